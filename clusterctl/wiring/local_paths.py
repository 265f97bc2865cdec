"""This laptop: the places of our files, and the user and owner names of our nodes."""

from __future__ import annotations

import functools
import getpass
import hashlib
import os
import re
from pathlib import Path

from clusterctl.errors import StateError
from clusterctl.files import expand_path, expand_user, user_home
from clusterctl.laptop.places import find_intruder, user_number


def home_folder() -> Path:
    """Return the folder of all our files on this computer: $CLUSTERCTL_HOME, or ~/.clusterctl.

    Raises:
        StateError: another user could put files there, which this user's commands would run.
    """
    home = expand_user(Path(os.environ.get("CLUSTERCTL_HOME") or user_home() / ".clusterctl")).absolute()
    _refuse_shared(home)
    return home


@functools.cache
def _refuse_shared(home: Path) -> None:
    if intruder := find_intruder(home):
        raise StateError(
            f"other users could put files of theirs in {home}: {intruder}",
            remedy="set CLUSTERCTL_HOME to a folder of your own, or close it to others (chmod go-w)",
        )


def config_path(explicit: str | None) -> Path | None:
    """Return the config file: the named one, else $CLUSTERCTL_CONFIG, else `config` in our folder if it exists."""
    named = named_config(explicit)
    default = home_folder() / "config"
    return named or (default if default.exists() else None)


def named_config(explicit: str | None) -> Path | None:
    """Return the config file that is named here or by $CLUSTERCTL_CONFIG; None where none is named."""
    named = explicit or os.environ.get("CLUSTERCTL_CONFIG")
    return expand_path(named) if named else None  # unlike `Path.expanduser`, it takes the name of nobody here


def docker_owner() -> str:
    """Return the owner of our nodes on a shared Docker engine: this user, with a suffix for another home folder."""
    return login_name() + home_suffix()


def home_suffix() -> str:
    """Return a suffix that tells nodes of another $CLUSTERCTL_HOME apart; empty for the default folder."""
    elsewhere = os.environ.get("CLUSTERCTL_HOME")
    return f"-{hashlib.sha256(os.fsencode(home_folder())).hexdigest()[:8]}" if elsewhere else ""


def login_name() -> str:
    """Return the user of this computer, as part of a name in Docker."""
    try:
        name = getpass.getuser()
    except (ImportError, KeyError, OSError):  # a uid without a name
        name = user_number()
    return re.sub(r"[^A-Za-z0-9_.-]", "-", name)
