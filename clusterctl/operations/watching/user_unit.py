"""Services of the user on this computer, for what shall go on when no terminal is open: systemd's user units."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl.errors import StateError
from clusterctl.files import user_home

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ASK_S = 30.0
_USAGE_STATUS = 2
"""The status of a command that was called for what is not there: to call it again would change nothing."""


def unit_file(name: str) -> Path:
    """Return the file of a unit of the user's."""
    config = os.environ.get("XDG_CONFIG_HOME") or user_home() / ".config"
    return Path(config) / "systemd" / "user" / f"{name}.service"


def write_unit(description: str, command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return the text of a unit that runs a command, and again when that failed.

    Args:
        description: what it is for.
        command: the program and its arguments.
        environment: variables that it has. No secrets: others may ask systemd for them.
    """
    variables = [f"Environment={_quote(f'{name}={value}')}" for name, value in environment.items()]
    lines = [
        "[Unit]",
        f"Description={description.replace('%', '%%')}",
        "",
        "[Service]",
        f"ExecStart={' '.join(_quote(word).replace('$', '$$') for word in command)}",
        *variables,
        "Restart=on-failure",
        "RestartSec=30",
        f"RestartPreventExitStatus={_USAGE_STATUS}",
        "",
        "[Install]",
        "WantedBy=default.target",
    ]
    return "".join(f"{line}\n" for line in lines)


def _quote(word: str) -> str:
    """Return a word as systemd reads it: in quotes, and with no meaning in its percent signs."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("\n", "\\n")
    return f'"{escaped}"'


def install_unit(name: str, text: str) -> Path:
    """Write a unit, and start it now and at each login. Return its file.

    Raises:
        StateError: this computer has no systemd for users, or it refuses.
    """
    _require_systemd()
    path = unit_file(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as exc:
        remedy = "free some space, or fix its permissions"
        raise StateError(f"cannot write {path}: {exc.strerror or exc}", remedy=remedy) from exc
    try:
        _ask("daemon-reload")
        _ask("enable", f"{name}.service")
        _ask("restart", f"{name}.service")  # it may run with an older text
    except StateError:
        path.unlink(missing_ok=True)
        raise
    return path


def remove_unit(name: str, *, stop: bool = True) -> bool:
    """Have a unit start no more, and delete it. Return whether there was one.

    Args:
        name: of the unit.
        stop: end what runs of it; False where that is this process.
    """
    path = unit_file(name)
    if not path.exists():
        return False
    _require_systemd()
    _ask("disable", *(["--now"] if stop else []), f"{name}.service")
    path.unlink(missing_ok=True)
    _ask("daemon-reload")
    return True


def _require_systemd() -> None:
    if shutil.which("systemctl") is None:
        raise StateError(
            "this computer has no systemd, which would run it without a terminal",
            remedy="leave --install out, and let it run in a terminal, or in tmux",
        )


def _ask(*words: str) -> None:
    command = ["systemctl", "--user", *words]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_ASK_S)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise _refusal(command, str(exc)) from exc
    if done.returncode:
        raise _refusal(command, done.stderr.strip())


def _refusal(command: Sequence[str], said: str) -> StateError:
    return StateError(
        f"`{' '.join(command)}` failed: {said or 'without a word'}",
        remedy="log in with a session of your own (not su or sudo), or leave --install out and let it run in tmux",
    )
