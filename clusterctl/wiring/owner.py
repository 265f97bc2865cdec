"""Who this is, for nodes that must tell it from other runs of clusterctl."""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
import threading
from contextlib import suppress
from pathlib import PurePath
from typing import TYPE_CHECKING

from clusterctl.clock import utc_now
from clusterctl.errors import NewerFormatError, StateError
from clusterctl.formats import Format
from clusterctl.journal import TURN_FILE
from clusterctl.remote.owner import Owner
from clusterctl.text import format_utc
from clusterctl.wiring.local_paths import login_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.journal import ClusterFolder

_TAKE_A_VALUE = ("-c", "--config")
_FORMAT = Format("the number of the last run", 1)


class OwnerOfNodes:
    """The run that changes a cluster's nodes from here: the one that holds its lock."""

    def __init__(self, folder: ClusterFolder) -> None:
        self._folder = folder
        self._owner: Owner | None = None
        self._lock = threading.Lock()

    def current(self) -> Owner | None:
        """Return the run that holds the lock; None for commands that only read, which do not hold it."""
        with self._lock:
            run = self._folder.run
            if not run:
                self._owner = None
            elif self._owner is None or self._owner.run != run:
                self._owner = self._next_owner(run)
            return self._owner

    def _next_owner(self, run: str) -> Owner:
        home, number = self._last_turn()
        # A folder that has lost its file counts anew, under a new name.
        home, number = home or secrets.token_hex(6), number + 1
        with suppress(StateError):  # a full disk: the next run takes this number again, and a name of its own
            self._folder.write_file(TURN_FILE, json.dumps(_FORMAT.stamp({"home": home, "number": number})))
        who = f"{login_name()}@{socket.gethostname()}, process {os.getpid()}"
        what = f"{command_name(sys.argv)} {self._folder.name}"
        return Owner(home, number, run, format_utc(utc_now()), who, what)

    def _last_turn(self) -> tuple[str, int]:
        """Return the name of the folder and its last number; nothing where the file is missing, or is not ours."""
        try:
            content = _FORMAT.unstamp(self._folder.read_json(TURN_FILE), TURN_FILE)
            home, number = content["home"], content["number"]
        except (ValueError, KeyError, NewerFormatError):
            return "", 0
        valid = isinstance(home, str) and home.isalnum() and home.isascii() and isinstance(number, int) and number > 0
        return (home, number) if valid else ("", 0)


def command_name(arguments: Sequence[str]) -> str:
    """Return a command line's program and subcommand: what else is in it may be long, or a secret."""
    program = PurePath(arguments[0] if arguments else "").name
    words = list(arguments[1:])
    while words and words[0].startswith("-"):
        del words[: 2 if words[0] in _TAKE_A_VALUE else 1]
    if program in {"clusterctl", "main.py", "clusterctl.exe"} and words:
        return f"clusterctl {words[0]}"
    return program or "Python"
