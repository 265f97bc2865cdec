"""Nodes that answer from a table, and remember what they were told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from clusterctl.errors import RemoteError
from clusterctl.remote.base import Result
from clusterctl.testing.nodes import fake_node

if TYPE_CHECKING:
    from clusterctl.model import Node

_FOLDER, _FILE = 0o040755, 0o100644


@dataclass(frozen=True)
class Ran:
    """One thing that was run on a node."""

    node: str
    name: str
    """A script's name, or the command itself."""
    text: str
    """The script or the command."""
    stdin: str = ""
    secret: bool = False
    timeout_s: float | None = None
    sudo: bool = False


Answer = Result | str | BaseException
"""What a command gives: a result, the stdout of a success, or an error that is raised."""
Answers = Mapping[str, "Answer | Callable[[Ran], Answer | None]"] | Callable[[Ran], "Answer | None"]
"""By name of script or command, with wildcards, the first match counts; or a function. Else: an empty success."""


class FakeRemote:
    """A node that answers from a table, remembers what it was told, and keeps its files in a dict.

    Attributes:
        ran: every command and script, oldest first.
        files: what is on it: path to content; `put` and `get` work on it.
        refusals: how many logins it still refuses, as a machine that boots does.
        down: it does not answer at all.
    """

    def __init__(self, node: Node, answers: Answers | None = None) -> None:
        self.node = node
        self.commands = 0
        self.ran: list[Ran] = []
        self.files: dict[PurePosixPath, bytes] = {}
        self.refusals = 0
        self.down = False
        self.closed = False
        self._answers: Answers = answers or {}
        self._lock = threading.Lock()

    def knock(self, then: Callable[[], None]) -> None:
        """Nothing has to be waited for."""
        then()

    def connect(self) -> None:
        """Log in, unless `down` or `refusals` say no."""
        with self._lock:
            refused = self.down or self.refusals > 0
            self.refusals = max(0, self.refusals - 1)
        if refused or self.closed:
            what = "the connection was lost" if self.closed else "does not answer"
            raise RemoteError(f"{self.node.alias} {what}", remedy="it is a fake: let it answer", node=self.node.alias)

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
        """Answer a command."""
        asked = Ran(self.node.alias, command, command, stdin, secret, timeout_s, sudo)
        return self._answer(asked, check=check, on_line=on_line)

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
        """Answer a script."""
        asked = Ran(self.node.alias, name, script, "", secret, timeout_s, sudo)
        return self._answer(asked, check=True, on_line=on_line)

    def put(self, local: Path, remote: PurePosixPath) -> None:
        """Keep a file."""
        self._transfer()
        self.files[remote] = local.read_bytes()

    def get(self, remote: PurePosixPath, local: Path) -> None:
        """Give a file back."""
        self._transfer()
        local.write_bytes(self.files[self._existing(remote)])

    def is_folder(self, path: PurePosixPath) -> bool:
        """Whether a file lies below this path."""
        self._transfer()
        return any(path in file.parents for file in self.files)

    def find(self, pattern: PurePosixPath) -> list[PurePosixPath]:
        """What matches; the last part may have wildcards."""
        if not any(sign in pattern.name for sign in "*?["):
            return [pattern]
        self._transfer()
        below = {PurePosixPath(*path.parts[: len(pattern.parts)]) for path in self.files}
        return sorted(p for p in below if p.parent == pattern.parent and fnmatchcase(p.name, pattern.name))

    def walk(self, path: PurePosixPath) -> Iterator[tuple[PurePosixPath, PurePosixPath, int]]:
        """A path and all that is below it."""
        self._transfer()
        if path in self.files:
            yield path, PurePosixPath(), _FILE
            return
        below = [file for file in sorted(self.files) if path in file.parents]
        if not below:
            self._existing(path)
        folders = {parent for file in below for parent in file.parents if path in (parent, *parent.parents)}
        for found in sorted({*folders, *below}):
            yield found, found.relative_to(path), _FILE if found in self.files else _FOLDER

    def shell(self, command: str = "") -> int:
        """Answer a shell's command; its exit status."""
        return self._answer(Ran(self.node.alias, command, command), check=False, on_line=None).status

    def close(self) -> None:
        """Log out; nothing more is answered."""
        self.closed = True

    def _answer(self, asked: Ran, *, check: bool, on_line: Callable[[str], None] | None) -> Result:
        self.connect()
        with self._lock:
            self.commands += 1
            self.ran.append(asked)
        answer = self._look_up(asked)
        if isinstance(answer, BaseException):
            raise answer
        result = Result(0, answer, "") if isinstance(answer, str) else answer
        for line in result.stdout.splitlines() if on_line else ():
            on_line(line)  # type: ignore[misc]  # the loop is empty without it
        if check and result.status != 0:
            raise RemoteError(
                f"{asked.node}: {asked.name} ended with status {result.status}:\n{result.stderr or result.stdout}",
                remedy="see what the fake was told to answer",
                node=asked.node,
                status=result.status,
                output=result.stderr or result.stdout,
            )
        return result

    def _look_up(self, asked: Ran) -> Answer:
        found = self._answers
        if isinstance(found, Mapping):
            found = next((answer for pattern, answer in found.items() if fnmatchcase(asked.name, pattern)), "")  # type: ignore[assignment]
        answer = found(asked) if callable(found) else found
        return "" if answer is None else answer  # type: ignore[return-value]

    def _transfer(self) -> None:
        self.connect()
        with self._lock:
            self.commands += 1

    def _existing(self, path: PurePosixPath) -> PurePosixPath:
        if path not in self.files:
            raise RemoteError(f"{self.node.alias}: no such file: {path}", remedy="put it there", node=self.node.alias)
        return path


class FakeConnector:
    """Makes a `FakeRemote` for each node and boot, and keeps it: use it where a connector is wanted.

    Attributes:
        answers: what every remote answers.
        down: aliases that do not answer.
        refusals: by alias, how many logins are refused first.
    """

    def __init__(self, answers: Answers | None = None) -> None:
        self.answers = answers
        self.down: set[str] = set()
        self.refusals: dict[str, int] = {}
        self.files: dict[str, dict[PurePosixPath, bytes]] = {}
        self.remotes: list[FakeRemote] = []
        self._lock = threading.Lock()
        self._ran: list[Ran] = []

    def __call__(self, node: Node) -> FakeRemote:
        """A new connection to a node; its files are those that it had."""
        remote = FakeRemote(node, self._record)
        remote.down = node.alias in self.down
        with self._lock:
            remote.refusals = self.refusals.pop(node.alias, 0)
            remote.files = self.files.setdefault(node.alias, {})
            self.remotes.append(remote)
        return remote

    @property
    def ran(self) -> list[Ran]:
        """Everything that was run on any node, oldest first."""
        with self._lock:
            return list(self._ran)

    def _record(self, asked: Ran) -> Answer:
        with self._lock:
            self._ran.append(asked)
        return FakeRemote(fake_node(asked.node), self.answers)._look_up(asked)  # noqa: SLF001  our own class
