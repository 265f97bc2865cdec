"""This laptop: where our files are on it, and whose nodes are ours."""

from __future__ import annotations

import getpass
import hashlib
import os
import re
from pathlib import Path


def home() -> Path:
    """Where everything of ours is on this computer: $CLUSTERCTL_HOME, or ~/.clusterctl."""
    return Path(os.environ.get("CLUSTERCTL_HOME") or "~/.clusterctl").expanduser().absolute()


def config_path(explicit: str | None) -> Path | None:
    """The config file: the one named, else $CLUSTERCTL_CONFIG, else `config` in our folder if it is there."""
    named = explicit or os.environ.get("CLUSTERCTL_CONFIG")
    if named:
        return Path(named).expanduser()
    usual = home() / "config"
    return usual if usual.exists() else None


def owner() -> str:
    """Whose nodes we work with where several may share an engine: this user's; apart for a folder of ours elsewhere."""
    return user() + mark()


def mark() -> str:
    """What tells apart what a folder of ours elsewhere than usual knows of."""
    elsewhere = os.environ.get("CLUSTERCTL_HOME")
    return f"-{hashlib.sha256(os.fsencode(home())).hexdigest()[:8]}" if elsewhere else ""


def user() -> str:
    """This computer's user, as part of a name of Docker's."""
    try:
        name = getpass.getuser()
    except (ImportError, KeyError, OSError):  # a uid without a name
        name = str(os.getuid())
    return re.sub(r"[^A-Za-z0-9_.-]", "-", name)
