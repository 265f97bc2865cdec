"""The environment of sessions on local nodes: the laptop's variables, without those of the user's own work."""

from __future__ import annotations

import json
import os
import pwd
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl.environment.variables import PYTHON_PREFIX
from clusterctl.files import user_home
from clusterctl.laptop.trust import system_trust
from clusterctl.providers.local.processes import NODE_ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clusterctl.providers.local.nodes import Record

CHOSEN = "CLUSTERCTL_VARIABLES"
"""The names of the variables that the cluster's template gives to sessions: services have their own."""
HERE = "CLUSTERCTL_HERE"
"""Begins the prompt of a shell: without it nobody sees that this is no shell of the computer itself."""
_PROMPT = 'case ${PS1-} in "$CLUSTERCTL_HERE"*) ;; *) PS1="$CLUSTERCTL_HERE${PS1-}" ;; esac'
_FISH_PROMPT = (
    "functions --copy fish_prompt clusterctl_own_prompt;"
    " function fish_prompt; echo -n $CLUSTERCTL_HERE; clusterctl_own_prompt; end"
)
_DROPPED = frozenset(
    {"VIRTUAL_ENV", "VIRTUAL_ENV_PROMPT", "IPYTHONDIR", "TERM"}
    | {"OLDPWD", "PWD", "SHLVL", "_", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"}
)
_DROPPED_PREFIXES = (
    *("AWS_", "CLUSTERCTL_", "CONDA_", "SSH_"),
    # What the user's Python, Jupyter or test run is told. PYTHONWARNINGS=error would end every engine.
    *(PYTHON_PREFIX, "COVERAGE_", "COV_", "IPP_", "JPY_", "JUPYTER_", "PYTEST_"),
)
_NO_SHELLS = frozenset({"", "nologin", "false"})
_CLIENT_MAY_SET = ("LANG", "LC_")


def node_environment(inherited: Mapping[str, str], record: Record, folder: Path) -> dict[str, str]:
    """Return the environment of every session on this node.

    Args:
        inherited: the environment of the command that started the node.
        record: the record of the node.
        folder: the node's folder.
    """
    kept = {
        name: value
        for name, value in inherited.items()
        if name not in _DROPPED and not name.startswith(_DROPPED_PREFIXES)
    }
    kept |= {
        "HOME": str(folder.parent / "home"),
        "USER": record.user,
        "LOGNAME": record.user,
        "SHELL": "/bin/sh",
        "PATH": os.pathsep.join([*map(str, _programs(folder)), str(folder / "bin"), *_search_path(inherited)]),
        HERE: f"({record.cluster} {record.alias}) ",
        "CLUSTERCTL_NODE": record.alias,
        NODE_ROOT: str(folder),
        "UV_CACHE_DIR": inherited.get("UV_CACHE_DIR") or str(cache_folder(inherited) / "uv"),
    }
    return system_trust(inherited) | _laptop_files(inherited) | kept


def session_environment(
    node: Mapping[str, str], *, requested: Mapping[str, str], terminal: str | None
) -> dict[str, str]:
    """Return the environment of one session: the node's, with the client's language settings and terminal type."""
    asked = {name: value for name, value in requested.items() if name.startswith(_CLIENT_MAY_SET)}
    return {**node, **asked, **({"TERM": terminal or "dumb"} if terminal is not None else {})}


def chosen_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the cluster's template gives to a node's sessions, and their names for who drops them.

    Args:
        environment: the node's.
    """
    try:
        file = Path(environment[NODE_ROOT]) / "state" / "variables.json"
        content = json.loads(file.read_text(encoding="utf-8"))
        chosen = {str(name): str(value) for name, value in content.items()}
    except (KeyError, OSError, ValueError, AttributeError):
        return {}
    return {**chosen, CHOSEN: " ".join(chosen)} if chosen else {}


def user_name() -> str:
    """Return the name of the current user, or the user number if there is no name."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def login_shell() -> str:
    """Return the login shell of the current user, for interactive sessions."""
    try:
        shell = pwd.getpwuid(os.getuid()).pw_shell
    except KeyError:  # a container with a number for a user
        return "/bin/sh"
    usable = os.access(shell, os.X_OK) and Path(shell).name not in _NO_SHELLS
    return shell if usable else "/bin/sh"


def prompting_shell(here: str) -> tuple[list[str], dict[str, str]]:
    """Return the command of the user's login shell, and the variables with which its prompt begins with `here`.

    Nothing is written: the files that shells read are the user's own, or the computer's. csh takes a prompt from
    nowhere else.
    """
    shell = login_shell()
    name = Path(shell).name
    if name == "fish":
        return [shell, "--init-command", _FISH_PROMPT], {}
    if name == "bash":  # before each prompt, since the user's own file sets another one at the beginning
        return [shell], {"PROMPT_COMMAND": _PROMPT}
    prompts = {"zsh": "%m %~ %# "}
    return [shell], {"PS1": here + prompts.get(name, "$ ")}


def _programs(folder: Path) -> tuple[Path, ...]:
    """Return what `Layout.programs` says of the node in this folder."""
    return folder / "env" / "bin", folder / "state" / "python" / "bin"


def _search_path(inherited: Mapping[str, str]) -> list[str]:
    """Return the search path without our own virtual environment, whose programs belong to the laptop."""
    own = str(Path(sys.prefix) / "bin") if sys.prefix != sys.base_prefix else ""
    return [path for path in (inherited.get("PATH") or os.defpath).split(os.pathsep) if path and path != own]


def cache_folder(inherited: Mapping[str, str]) -> Path:
    """Return the user's cache folder."""
    home = Path(inherited.get("HOME") or user_home())
    return Path(inherited.get("XDG_CACHE_HOME") or home / ".cache")


def _laptop_files(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return variables that point uv and pip to the laptop's settings, such as mirrors: the node's home differs."""
    home = Path(inherited.get("HOME") or user_home())
    settings = Path(inherited.get("XDG_CONFIG_HOME") or home / ".config")
    places = {
        "UV_CONFIG_FILE": [settings / "uv" / "uv.toml"],
        "PIP_CONFIG_FILE": [settings / "pip" / "pip.conf", home / ".pip" / "pip.conf"],
    }
    files = {name: next((path for path in paths if path.is_file()), None) for name, paths in places.items()}
    return {name: str(path) for name, path in files.items() if path}
