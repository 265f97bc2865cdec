"""The protocol for one node: run, put, get. All code above works with it; ssh.py implements it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path, PurePosixPath

    from clusterctl.model import Node


@dataclass(frozen=True)
class Result:
    """The output and the exit status of a command."""

    status: int
    stdout: str
    stderr: str


class RunningCommand(Protocol):
    """A command that runs on a node: bytes in both directions, at once and as they are. Close it in the end."""

    def read(self, size: int = ..., /) -> bytes:
        """Wait for output and return some of it, at most `size` bytes; none when it has ended."""

    def read_errors(self, size: int = ..., /) -> bytes:
        """Do the same with stderr. Both must be read, by two threads, or the command may have to wait."""

    def write(self, data: bytes) -> None:
        """Send input. Raises OSError once the command has ended."""

    def end_input(self) -> None:
        """Say that no more input comes."""

    def wait(self) -> int:
        """Return the exit status: 128 more than its number for a signal, and -1 where the connection was lost."""

    def close(self) -> None:
        """Give up the command, if it still runs."""


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
        reads: bool = False,
    ) -> Result:
        """Run a POSIX shell script. It is sent over stdin, so its secrets show in no process list.

        One run of clusterctl changes a node at a time: where another one is at work, OwnerError says who.
        What only reads says so (`reads`), and runs beside another one's work. The other arguments are those of `run`.
        """

    def start_command(self, command: str, *, idle_s: float | None = None) -> RunningCommand:
        """Start a command in the POSIX shell, for who passes its bytes on.

        Args:
            command: the text for the shell. No secrets: every user of the node can see it.
            idle_s: for how long it may neither send nor take anything, in seconds; then reads and writes raise OSError.
        """

    def put(self, local: Path, remote: PurePosixPath) -> None:
        """Copy a file to the node, with its permissions, whole or not at all. Missing folders are made."""

    def get(self, remote: PurePosixPath, local: Path) -> None:
        """Copy a file from the node, whole or not at all."""

    def shell(self, command: str = "") -> int:
        """Connect the terminal to an interactive shell or to `command`. Return its exit status."""

    def close(self) -> None:
        """Log out. A running command is cut off."""


def join_command(words: tuple[str, ...]) -> str:
    """Return a shell command: a single word is taken as a command line, several words are quoted one by one."""
    return words[0] if len(words) == 1 else shlex.join(words)
