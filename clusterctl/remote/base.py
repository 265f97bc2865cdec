"""The protocol for one node: run, put, get. All code above works with it; ssh.py implements it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path, PurePosixPath

    from clusterctl.model import Node


@dataclass(frozen=True)
class Result:
    """The output and the exit status of a command."""

    status: int
    stdout: str
    stderr: str


class Remote(Protocol):
    """One node that commands and files can be sent to."""

    node: Node
    commands: int
    """Number of remote commands run so far; a file transfer counts as one."""

    def when_reachable(self, then: Callable[[], None]) -> None:
        """Call `then`, now or from another thread, once `connect` need no longer wait for the machine to answer."""

    def connect(self) -> None:
        """Log in, unless a connection is up. Raises RemoteError; a retry may help, except after RefusedError."""

    def run(
        self,
        command: str,
        *,
        stdin: str = "",
        check: bool = True,
        on_line: Callable[[str], None] | None = None,
        timeout_s: float | None = None,
        secret: bool = False,
        sudo: bool = False,
    ) -> Result:
        """Run a command in the POSIX shell. It has no input unless `stdin` is given.

        Args:
            command: the text for the shell. No secrets: every user of the node can see it.
            stdin: the text that the command reads; it may hold secrets.
            check: raise RemoteError if the exit status is not 0.
            on_line: called with each line of stdout as it arrives.
            timeout_s: how long the command may take, in seconds.
            secret: keep stdout out of the log that the laptop writes for the node.
            sudo: run as root if the node is a machine. Other nodes have a single user, who owns everything.
        """

    def run_script(
        self,
        script: str,
        *,
        name: str = "script",
        on_line: Callable[[str], None] | None = None,
        timeout_s: float | None = None,
        secret: bool = False,
        sudo: bool = False,
    ) -> Result:
        """Run a POSIX shell script. It is sent over stdin, so its secrets show in no process list."""

    def put(self, local: Path, remote: PurePosixPath) -> None:
        """Copy a file to the node, with its permissions. Missing folders are made."""

    def get(self, remote: PurePosixPath, local: Path) -> None:
        """Copy a file from the node."""

    def is_folder(self, path: PurePosixPath) -> bool:
        """Return whether this path is a folder."""

    def find(self, pattern: PurePosixPath) -> list[PurePosixPath]:
        """Return the paths that match a pattern whose last part may have wildcards."""

    def walk(self, path: PurePosixPath) -> Iterator[tuple[PurePosixPath, PurePosixPath, int]]:
        """Yield a path and everything below it: the full path, the path relative to the first one, and the mode."""

    def shell(self, command: str = "") -> int:
        """Connect the terminal to an interactive shell or to `command`. Return its exit status."""

    def close(self) -> None:
        """Log out. A running command is cut off."""


def join_command(words: tuple[str, ...]) -> str:
    """Return a shell command: a single word is taken as a command line, several words are quoted one by one."""
    return words[0] if len(words) == 1 else shlex.join(words)
