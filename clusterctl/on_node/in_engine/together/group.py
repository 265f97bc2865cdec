"""What a function that runs on all engines at once has to do with the others: its rank, and what they exchange."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    # Their texts come before this one.
    from .spares import SPARES  # noqa: TC004
    from .tree import above, below, way_up  # noqa: TC004
    from .values import (  # noqa: TC004
        Total,
        pack_numbers,
        pack_value,
        read_piece,
        unpack_numbers,
        unpack_value,
    )
    from .wires import DONE, FAILED, HEAD, LOOK_MS, PIECE, VALUE, Line, MemberLostError, Wires  # noqa: TC004

GONE = "was lost: its connection has ended, or it was silent for too long"
RETURNED = "has returned, and others still call"


class Group:
    """The engines that run a function together. All of them make the same calls in the same order.

    Attributes:
        rank: the number of this member, from 0.
        size: how many members there are.
    """

    MemberLostError: type[Exception]

    def __init__(self, rank: int, size: int, fan_in: int, wires: Wires) -> None:
        self.rank, self.size = rank, size
        self.MemberLostError = MemberLostError
        self._fan_in, self._wires = fan_in, wires
        self._below = [wires.lines[other] for other in below(rank, size, fan_in)]
        self._above = wires.lines[above(rank, fan_in)] if rank else None
        self._calls = 0
        self.failure: MemberLostError | None = None

    def __repr__(self) -> str:
        return f"<member {self.rank} of {self.size}>"

    def __reduce__(self) -> Any:
        raise TypeError("a group lives in its engine: it cannot be sent")

    # What members call.

    def allreduce(self, value: Any, op: str | Callable[[Any, Any], Any] = "sum") -> Any:
        """Return on all members what becomes of all of their values.

        Whatever has come in first: the same values give the same bits again, on all members.

        Args:
            value: a number, an array of numbers, or a list, tuple or dict of them; of the same shape on all members.
            op: ``sum``, ``mean``, ``min``, ``max``, ``prod``; or a function of two values for which neither their order
                nor their grouping matters.

        Raises:
            MemberLostError: a member is lost, or gave a value of another shape.
        """
        if callable(op):
            return self.broadcast(self.reduce(value, op))
        total = Total(value, op, SPARES)
        self._add_for_all(total)
        return total.result(self.size)

    def reduce(self, value: Any, op: str | Callable[[Any, Any], Any] = "sum", root: int = 0) -> Any:
        """Return on the member `root` what `allreduce` would return, and None on the others."""
        self._check_rank(root)
        if not callable(op):
            return self._add_for_one(Total(value, op, SPARES), root)
        head = self._begin("reduce", "function", "")
        for line in self._below:
            value = op(value, self._take_value(line, head))
        if self._above is not None:
            self._send_value(self._above, head, value)
        return self._carry_to(root, value)

    def broadcast(self, value: Any = None, root: int = 0) -> Any:
        """Return on all members the value of the member `root`."""
        self._check_rank(root)
        way = way_up(root, self._fan_in)
        head = self._begin("broadcast", str(root), "")
        packed: list[Any] | None = None
        if self.rank == root:
            packed = self._pack(head, value)
        elif self.rank in way:
            packed = self._take(self._wires.lines[way[way.index(self.rank) - 1]], VALUE, head)
        if self.rank in way and self._above is not None:
            self._send(self._above, VALUE, *(packed or ()))
        if self._above is not None:
            packed = self._take(self._above, VALUE, head)
        for line in self._below:
            self._send(line, VALUE, *(packed or ()))
        return value if self.rank == root else self._unpack(self._above or self._below[0], packed or [])

    def gather(self, value: Any, root: int = 0) -> list[Any] | None:
        """Return on the member `root` the values of all members by their ranks, and None on the others."""
        self._check_rank(root)
        head = self._begin("gather", "", "")
        values = {str(self.rank): value}
        for line in self._below:
            values.update(self._take_value(line, head))
        if self._above is not None:
            self._send_value(self._above, head, values)
        result = [values[str(rank)] for rank in range(self.size)] if self.rank == 0 else None
        gathered: list[Any] | None = self._carry_to(root, result)
        return gathered

    def barrier(self) -> None:
        """Return when all members have come here."""
        self.allreduce(0)

    # The tree.

    def _check_rank(self, root: int) -> None:
        if not 0 <= root < self.size:
            raise ValueError(f"root is 0 to {self.size - 1}, not {root!r}")

    def _begin(self, call: str, what: str, shape: str) -> dict[str, Any]:
        """Return what all members must have alike in this call."""
        if self.failure is not None:
            raise self.failure
        self._calls += 1
        return {"call": call, "number": self._calls, "what": what, "shape": shape}

    def _add_for_all(self, total: Total) -> None:
        self._sum_up(total)
        self._hand_down(total)

    def _add_for_one(self, total: Total, root: int) -> Any:
        self._sum_up(total)
        return self._carry_to(root, total.result(self.size) if self.rank == 0 else None)

    def _sum_up(self, total: Total) -> None:
        head = self._begin("sum up", total.operation, total.shape)
        for line in self._below:
            said = self._take(line, HEAD, head)
            self._checked(line, _add_numbers, total, said[1].bytes)
        if self._above is not None:
            self._send(self._above, HEAD, json.dumps(head).encode(), json.dumps(pack_numbers(total.numbers)).encode())
        for piece in total.pieces():
            for line in self._below:
                (said,) = self._take(line, PIECE)
                self._checked(line, total.add_piece, piece, said.buffer)
            if self._above is not None:
                self._send(self._above, PIECE, piece.view("u1").data)

    def _hand_down(self, total: Total) -> None:
        """Replace the total of this member's branch by that of all."""
        head = self._begin("hand down", total.operation, total.shape)
        numbers = json.dumps(pack_numbers(total.numbers)).encode()
        if self._above is not None:
            source = self._above
            numbers = self._take(source, HEAD, head)[1].bytes
            total.numbers = self._checked(source, _read_numbers, numbers)
        for line in self._below:
            self._send(line, HEAD, json.dumps(head).encode(), numbers)
        for piece in total.pieces():
            buffer = piece.view("u1").data
            if self._above is not None:
                (said,) = self._take(self._above, PIECE)
                piece[:] = self._checked(self._above, read_piece, piece, said.buffer)
            for line in self._below:
                self._send(line, PIECE, buffer)

    def _carry_to(self, root: int, value: Any) -> Any:
        """Bring a value from the member 0 to another one."""
        way = way_up(root, self._fan_in)
        head = self._begin("carry", str(root), "")
        if self.rank not in way:
            return None
        if self._above is not None:
            value = self._take_value(self._above, head)
        if self.rank == root:
            return value
        self._send_value(self._wires.lines[way[way.index(self.rank) - 1]], head, value)
        return None

    # Messages.

    def _pack(self, head: dict[str, Any], value: Any) -> list[Any]:
        shape, buffers = pack_value(value)
        return [json.dumps(head).encode(), shape, *buffers]

    def _send_value(self, line: Line, head: dict[str, Any], value: Any) -> None:
        self._send(line, VALUE, *self._pack(head, value))

    def _take_value(self, line: Line, head: dict[str, Any]) -> Any:
        return self._unpack(line, self._take(line, VALUE, head))

    def _unpack(self, line: Line, packed: list[Any]) -> Any:
        parts = [getattr(part, "buffer", part) for part in packed]
        return self._checked(line, unpack_value, bytes(parts[1]), parts[2:])

    def _checked(self, line: Line, read: Callable[..., Any], *said: Any) -> Any:
        try:
            return read(*said)
        except (ValueError, TypeError, IndexError) as error:
            self.fail(line.rank, f"has sent something else than it said: {error}")

    def _send(self, line: Line, kind: bytes, *parts: Any) -> None:
        if not line.send(kind, *parts):
            self._look_out(LOOK_MS)
            self.fail(line.rank, RETURNED if line.has_done else GONE)

    def _take(self, line: Line, kind: bytes, head: dict[str, Any] | None = None) -> list[Any]:
        """Return the next message of a neighbour, of this kind.

        Raises:
            MemberLostError: it does not come, or says that it belongs to another call.
        """
        while True:
            self._look_for_failures()
            if line.messages:
                break
            if line.has_done:
                self.fail(line.rank, RETURNED)
            if line.is_gone:
                self.fail(line.rank, GONE)
            self._look()
        said, *parts = line.messages.popleft()
        if head is None:
            if said.bytes != kind or len(parts) != 1:
                self.fail(line.rank, "has sent something else than it said")
            return parts
        other = self._checked(line, json.loads, parts[0].bytes) if parts else None
        if said.bytes != kind or other != head:
            self.fail(line.rank, f"does something else: {_difference(other, head)}")
        return parts

    def _look(self) -> None:
        self._wires.look()

    def _look_out(self, wait_ms: int) -> None:
        """Look, for so long at most, whether a member is lost."""
        self._wires.look(wait_ms)
        self._look_for_failures()

    def _look_for_failures(self) -> None:
        for line in self._wires.lines.values():
            said = line.failure
            if said is not None:
                rank, why = self._checked(line, _read_failure, said)
                self.fail(rank, why, heard_from=line.rank)
            if line.is_gone and not line.has_done and not line.messages:
                self.fail(line.rank, GONE)

    def fail(self, rank: int, why: str, *, heard_from: int | None = None) -> None:
        """Tell all others that a member is lost, and raise the error that names it.

        Raises:
            MemberLostError: always.
        """
        if self.failure is None:
            self.failure = MemberLostError(rank, why)
            self._wires.tell(FAILED, [rank, why], but=heard_from)
        raise self.failure

    def end(self, error: BaseException | None) -> None:
        """Say to the neighbours that this member makes no call any more, and why."""
        if error is None:
            self._wires.tell(DONE, [])
        elif self.failure is None:
            why = f"raised {type(error).__name__}: {error}"[:1000]
            self._wires.tell(FAILED, [self.rank, why])
        self._wires.close()
        SPARES.trim()


def _read_numbers(said: bytes) -> list[Any]:
    return unpack_numbers(json.loads(said))


def _add_numbers(total: Total, said: bytes) -> None:
    total.add_numbers(_read_numbers(said))


def _read_failure(message: list[Any]) -> tuple[int, str]:
    rank, why = json.loads(message[1].bytes)
    return int(rank), str(why)[:2000]


def _difference(theirs: Any, ours: dict[str, Any]) -> str:
    if not isinstance(theirs, dict):
        return "its message has no head"
    different = {name: (theirs.get(name), ours[name]) for name in ours if theirs.get(name) != ours[name]}
    return ", ".join(f"{name} {theirs!r}, and here {own!r}" for name, (theirs, own) in different.items())[:1000]
