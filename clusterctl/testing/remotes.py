"""Nodes that answer from a table, and record all commands."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from clusterctl.errors import OwnerError, RemoteError
from clusterctl.remote.base import Result
from clusterctl.testing.nodes import fake_node

if TYPE_CHECKING:
    from pathlib import Path, PurePosixPath

    from clusterctl.model import Node


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
    owned: bool = False
    """It may run only where no other run of clusterctl is at work."""


Answer = Result | str | BaseException
"""The answer to a command: a result, the stdout of a success, or an error to raise."""
Answers = Mapping[str, "Answer | Callable[[Ran], Answer | None]"] | Callable[[Ran], "Answer | None"]
"""Answers by name of script or command, or a function.

Names may have wildcards; the first match counts. Without a match the answer is an empty success; of probes, which say
what they found, it is that nothing is wrong.
"""
_PROBE = "services: probe"
_NOTHING_WRONG = '{"manager": "", "services": [], "watched": true}'


class FakeRemote:
    """A node that answers from a table, records all commands, and keeps its files in a dict.

    Attributes:
        ran: every command and script, oldest first.
        files: content by path; `put` and `get` use it.
        refusals: number of logins that it still refuses, like a machine that boots.
        down: it does not answer at all.
        owner: another run of clusterctl that is at work there: scripts that change the node are refused.
    """

    def __init__(self, node: Node, answers: Answers | None = None) -> None:
        self.node = node
        self.commands = 0
        self.ran: list[Ran] = []
        self.files: dict[PurePosixPath, bytes] = {}
        self.refusals = 0
        self.down = False
        self.owner = ""
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
        reads: bool = False,
    ) -> Result:
        """Answer a script. One that changes the node is refused while the node has another owner."""
        if self.owner and not reads:
            raise OwnerError(
                f"{self.node.alias}: another clusterctl is at work there: {self.owner}",
                remedy="it is a fake: let it have no owner",
                node=self.node.alias,
            )
        call = Ran(self.node.alias, name, script, "", secret, timeout_s, sudo, owned=not reads)
        return self._answer_call(call, check=True, on_line=on_line)

    def start_command(self, command: str, *, idle_s: float | None = None) -> FakeCommand:
        """Answer a command; its input is recorded when it is closed."""
        del idle_s
        self.connect()
        return FakeCommand(self, command)

    def put(self, local: Path, remote: PurePosixPath) -> None:
        """Store a file."""
        self._count_transfer()
        self.files[remote] = local.read_bytes()

    def get(self, remote: PurePosixPath, local: Path) -> None:
        """Write a stored file to a local path."""
        self._count_transfer()
        local.write_bytes(self.files[self._existing_path(remote)])

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
        if call.name == _PROBE and answer == "":
            answer = _NOTHING_WRONG
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


class FakeCommand:
    """A command of a `FakeRemote`, which answers once it has all of its input."""

    def __init__(self, remote: FakeRemote, command: str) -> None:
        self._remote = remote
        self._command = command
        self._input = b""
        self._result: Result | None = None
        self._left = {"out": b"", "err": b""}

    def _answer(self) -> Result:
        if self._result is None:
            stdin = self._input.decode("utf-8", "surrogateescape")
            self._result = self._remote.run(self._command, stdin=stdin, check=False)
            self._left = {"out": self._result.stdout.encode(), "err": self._result.stderr.encode()}
        return self._result

    def _take(self, name: str, size: int) -> bytes:
        self._answer()
        chunk, self._left[name] = self._left[name][:size], self._left[name][size:]
        return chunk

    def read(self, size: int = 65536, /) -> bytes:
        """Return output."""
        return self._take("out", size)

    def read_errors(self, size: int = 65536, /) -> bytes:
        """Return stderr."""
        return self._take("err", size)

    def write(self, data: bytes) -> None:
        """Take input."""
        self._input += data

    def end_input(self) -> None:
        """Answer."""
        self._answer()

    def wait(self) -> int:
        """Return the exit status."""
        return self._answer().status

    def close(self) -> None:
        """Do nothing: it has ended."""


class FakeConnector:
    """Make and keep a `FakeRemote` for each node and boot. Use it in place of a connector.

    Attributes:
        answers: of every remote.
        down: aliases that do not answer.
        refusals: number of logins to refuse first, by alias.
        owners: other runs of clusterctl that are at work, by alias.
    """

    def __init__(self, answers: Answers | None = None) -> None:
        self.answers = answers
        self.down: set[str] = set()
        self.refusals: dict[str, int] = {}
        self.owners: dict[str, str] = {}
        self.files: dict[str, dict[PurePosixPath, bytes]] = {}
        self.remotes: list[FakeRemote] = []
        self._lock = threading.Lock()
        self._ran: list[Ran] = []

    def __call__(self, node: Node) -> FakeRemote:
        """Return a new connection to a node. The node keeps its files."""
        remote = FakeRemote(node, self._record_call)
        remote.down = node.alias in self.down
        remote.owner = self.owners.get(node.alias, "")
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
