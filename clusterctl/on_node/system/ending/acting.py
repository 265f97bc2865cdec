"""Ends: what was to be run before, the workers, the services, and the machine where it is to be switched off."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..watching.managers import Manager
    from .home import Home
    from .records import Terms

_WAYS_OFF = (["systemctl", "poweroff"], ["shutdown", "-h", "now"], ["systemctl", "poweroff", "-f"])
_WAIT_S = 30.0
_LOG_BYTES = 20_000


def run_last(home: Home, terms: Terms) -> str:
    """Run ON_END as the cluster user; return why it failed, or an empty text.

    What it began ends with it, or at the latest with its time.
    """
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                ["/bin/sh", "-s"],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=home.folder,
                env=home.environment(),
                start_new_session=True,
                **home.user(),
            )
        except OSError as exc:
            return f"ON_END cannot be run: {exc.strerror}"
        try:
            process.communicate(terms.on_end.encode(), timeout=terms.on_end_s)
        except subprocess.TimeoutExpired:
            end_group(process)
            return f"ON_END has taken longer than {terms.on_end_s:g} s"
        finally:
            output.seek(0)
            said = output.read(_LOG_BYTES).decode(errors="replace")
            print(f"ON_END ended with {process.poll()}\n{said}", flush=True)
    return f"ON_END ended with status {process.returncode}" if process.returncode else ""


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it began."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except OSError:
        process.kill()
    process.wait()


def end_jobs(home: Path, alias: str, grace_s: float = 40.0) -> None:
    """Tell the jobs of this node to end, and give them time: 30 seconds, and some for what they have begun.

    Args:
        home: the home that nodes share. It is not looked at: it may hang.
        alias: this node; several may be on one computer.
        grace_s: how long to wait for them.
    """
    until = time.monotonic() + grace_s
    runners = _find_runners(home, alias)
    for pid in runners:
        with suppress(OSError):
            os.kill(pid, signal.SIGTERM)
    while runners and time.monotonic() < until:
        time.sleep(0.1)
        runners = _find_runners(home, alias)


def _find_runners(home: Path, alias: str) -> list[int]:
    """Return the processes that run this node's jobs, where the system shows them."""
    begin, pids = [str(home / ".clusterctl" / "jobs"), alias], []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            told = words[words.index("clusterctl.clients.run_job") + 1 :][:2]
        except (OSError, ValueError):
            continue
        if len(told) == len(begin) and [str(Path(told[0]).parent), told[1]] == begin:
            pids.append(int(entry.name))
    return pids


def stop_services(manager: Manager) -> None:
    """Stop all services of this node but its watch.

    Raises:
        OSError: the service manager does not answer.
    """
    manager.stop_all(but="watch")


def power_off() -> str:
    """Switch this machine off; return why it does not, or an empty text."""
    troubles = []
    for words in _WAYS_OFF:
        troubles.append(run_command(words))
        if not troubles[-1]:
            return ""
    return "; ".join(troubles)


def stop_container() -> str:
    """Have the main process of this container end for good; return why it does not, or an empty text."""
    try:
        os.kill(1, signal.SIGUSR1)  # the engine's init hands it on
    except OSError as exc:
        return str(exc)
    return ""


def end_node(*, powers_off: bool, stops: bool) -> str:
    """Switch this machine off, or stop this container, if it is one that may be; return why that fails, or nothing."""
    if powers_off:
        return power_off()
    return stop_container() if stops else ""


def run_command(words: list[str]) -> str:
    """Run a command of the system; return why it failed, or an empty text."""
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_WAIT_S, check=False
        )
    except (OSError, subprocess.SubprocessError) as exc:
        return str(exc)
    return (done.stderr.strip() or f"{words[0]} ended with status {done.returncode}") if done.returncode else ""
