"""One node you can talk to: run, put, get. What everybody above works with; ssh.py does it."""

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
    """What a command said and how it ended."""

    status: int
    stdout: str
    stderr: str


class Remote(Protocol):
    """One node you can talk to."""

    node: Node
    commands: int
    """How many remote commands were run so far; a file transfer counts as one."""

    def knock(self, then: Callable[[], None]) -> None:
        """Call `then`, now or from another thread, when `connect` will no more have to wait for a silent machine."""

    def connect(self) -> None:
        """Log in, if not done or if it broke. Raises RemoteError; may be tried again, but for RefusedError."""

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
        """Run a command of the POSIX shell, without input unless it is given.

        Args:
            command: what the shell is to do. No secrets: every user of the node may see it.
            stdin: what the command reads; secrets may be in it.
            check: raise RemoteError if the exit status is not 0.
            on_line: called with each line of stdout as it comes.
            timeout_s: how long it may take.
            secret: keep stdout out of the node's log.
            sudo: as root, where the node is a machine. Elsewhere there is one user only, who owns all of it.
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
        """Run a POSIX shell script that is sent over stdin, so secrets in it show in no process list."""

    def put(self, local: Path, remote: PurePosixPath) -> None:
        """Copy a file to the node, with its permissions; missing folders are made."""

    def get(self, remote: PurePosixPath, local: Path) -> None:
        """Copy a file from the node."""

    def is_folder(self, path: PurePosixPath) -> bool:
        """Whether there is a folder of this path."""

    def find(self, pattern: PurePosixPath) -> list[PurePosixPath]:
        """What matches a path whose last part may have wildcards."""

    def walk(self, path: PurePosixPath) -> Iterator[tuple[PurePosixPath, PurePosixPath, int]]:
        """A path and all that is below it: the path, the part of it below the first one, and its mode."""

    def shell(self, command: str = "") -> int:
        """Join the terminal to an interactive shell, or to `command`; returns its exit status."""

    def close(self) -> None:
        """Log out. A command that runs is cut off."""


def quote(words: tuple[str, ...]) -> str:
    """Words to a shell command: one word is taken as a command line, several are quoted one by one."""
    return words[0] if len(words) == 1 else shlex.join(words)
