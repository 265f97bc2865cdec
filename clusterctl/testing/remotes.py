"""Nodes that answer from a table, and record all commands."""

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
    """A command or script that was run on a node."""

    node: str
    name: str
    """The script's name, or the command itself."""
    text: str
    """The text of the script or command."""
    stdin: str = ""
    secret: bool = False
    timeout_s: float | None = None
    sudo: bool = False


Answer = Result | str | BaseException
"""The answer to a command: a result, the stdout of a success, or an error to raise."""
Answers = Mapping[str, "Answer | Callable[[Ran], Answer | None]"] | Callable[[Ran], "Answer | None"]
"""Answers by name of script or command, or a function.

Names may have wildcards; the first match counts. Without a match the answer is an empty success.
"""


class FakeRemote:
    """A node that answers from a table, records all commands, and keeps its files in a dict.

    Attributes:
        ran: every command and script, oldest first.
        files: content by path; `put` and `get` use it.
        refusals: number of logins that it still refuses, like a machine that boots.
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

    def when_reachable(self, then: Callable[[], None]) -> None:
        """Call `then` at once: a fake node is always reachable."""
        then()

    def connect(self) -> None:
        """Log in; fail while the node is `down` or `refusals` remain."""
        with self._lock:
            refused = self.down or self.refusals > 0
            self.refusals = max(0, self.refusals - 1)
        if refused or self.closed:
            problem = "the connection was lost" if self.closed else "does not answer"
            raise RemoteError(
                f"{self.node.alias} {problem}", remedy="it is a fake: let it answer", node=self.node.alias
            )

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
        call = Ran(self.node.alias, command, command, stdin, secret, timeout_s, sudo)
        return self._answer_call(call, check=check, on_line=on_line)

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
        call = Ran(self.node.alias, name, script, "", secret, timeout_s, sudo)
        return self._answer_call(call, check=True, on_line=on_line)

    def put(self, local: Path, remote: PurePosixPath) -> None:
        """Store a file."""
        self._count_transfer()
        self.files[remote] = local.read_bytes()

    def get(self, remote: PurePosixPath, local: Path) -> None:
        """Write a stored file to a local path."""
        self._count_transfer()
        local.write_bytes(self.files[self._existing_path(remote)])

    def is_folder(self, path: PurePosixPath) -> bool:
        """Return whether a file exists below this path."""
        self._count_transfer()
        return any(path in file.parents for file in self.files)

    def find(self, pattern: PurePosixPath) -> list[PurePosixPath]:
        """Return the matching paths; the last part may have wildcards."""
        if not any(sign in pattern.name for sign in "*?["):
            return [pattern]
        self._count_transfer()
        below = {PurePosixPath(*path.parts[: len(pattern.parts)]) for path in self.files}
        return sorted(p for p in below if p.parent == pattern.parent and fnmatchcase(p.name, pattern.name))

    def walk(self, path: PurePosixPath) -> Iterator[tuple[PurePosixPath, PurePosixPath, int]]:
        """Yield a path and everything below it: path, relative path and mode."""
        self._count_transfer()
        if path in self.files:
            yield path, PurePosixPath(), _FILE
            return
        below = [file for file in sorted(self.files) if path in file.parents]
        if not below:
            self._existing_path(path)
        folders = {parent for file in below for parent in file.parents if path in (parent, *parent.parents)}
        for entry in sorted({*folders, *below}):
            yield entry, entry.relative_to(path), _FILE if entry in self.files else _FOLDER

    def shell(self, command: str = "") -> int:
        """Answer a shell's command; return its exit status."""
        return self._answer_call(Ran(self.node.alias, command, command), check=False, on_line=None).status

    def close(self) -> None:
        """Log out; later commands fail."""
        self.closed = True

    def _answer_call(self, call: Ran, *, check: bool, on_line: Callable[[str], None] | None) -> Result:
        self.connect()
        with self._lock:
            self.commands += 1
            self.ran.append(call)
        answer = self._find_answer(call)
        if isinstance(answer, BaseException):
            raise answer
        result = Result(0, answer, "") if isinstance(answer, str) else answer
        for line in result.stdout.splitlines() if on_line else ():
            on_line(line)  # type: ignore[misc]  # the loop is empty without it
        if check and result.status != 0:
            raise RemoteError(
                f"{call.node}: {call.name} ended with status {result.status}:\n{result.stderr or result.stdout}",
                remedy="see what the fake was told to answer",
                node=call.node,
                status=result.status,
                output=result.stderr or result.stdout,
            )
        return result

    def _find_answer(self, call: Ran) -> Answer:
        table = self._answers
        if isinstance(table, Mapping):
            table = next((answer for pattern, answer in table.items() if fnmatchcase(call.name, pattern)), "")  # type: ignore[assignment]
        answer = table(call) if callable(table) else table
        return "" if answer is None else answer  # type: ignore[return-value]

    def _count_transfer(self) -> None:
        self.connect()
        with self._lock:
            self.commands += 1

    def _existing_path(self, path: PurePosixPath) -> PurePosixPath:
        if path not in self.files:
            raise RemoteError(f"{self.node.alias}: no such file: {path}", remedy="put it there", node=self.node.alias)
        return path


class FakeConnector:
    """Make and keep a `FakeRemote` for each node and boot. Use it in place of a connector.

    Attributes:
        answers: of every remote.
        down: aliases that do not answer.
        refusals: number of logins to refuse first, by alias.
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
        """Return a new connection to a node. The node keeps its files."""
        remote = FakeRemote(node, self._record_call)
        remote.down = node.alias in self.down
        with self._lock:
            remote.refusals = self.refusals.pop(node.alias, 0)
            remote.files = self.files.setdefault(node.alias, {})
            self.remotes.append(remote)
        return remote

    @property
    def ran(self) -> list[Ran]:
        """All commands and scripts that were run on any node, oldest first."""
        with self._lock:
            return list(self._ran)

    def _record_call(self, call: Ran) -> Answer:
        with self._lock:
            self._ran.append(call)
        return FakeRemote(fake_node(call.node), self.answers)._find_answer(call)  # noqa: SLF001  our own class
