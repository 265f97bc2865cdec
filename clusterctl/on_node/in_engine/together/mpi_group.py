"""A group whose large arrays go by MPI, where their cluster asks for it. Its calls are those of `Group`.

The lines between the members stay. They say what is called and of which shapes, so that no member enters MPI alone, and
they say who is lost. MPI itself would wait for him for ever: it is only asked, again and again, whether it is done.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # Their texts come before this one.
    from .group import Group  # noqa: TC004
    from .values import Total, pack_value, unpack_value  # noqa: TC004
    from .wires import LOOK_MS, Wires  # noqa: TC004
    from .worlds import Meeting, World, halves, keep_mpi_from_beginning, start_mpi  # noqa: TC004

LEAST_BYTES = 2**16
"""What is smaller goes by the lines, whose round MPI's would only follow."""
OPERATION_NAMES = {"sum": "SUM", "mean": "SUM", "prod": "PROD"}
"""MPI leaves open what a minimum makes of NaN: those go by the lines."""
LOOK_OUT_S = 0.02
LATER_S = 2.0
"""For the word of who is lost, when MPI has noticed that somebody is."""


class MpiGroup(Group):
    """The engines that run a function together, and have MPI."""

    def __init__(self, rank: int, size: int, fan_in: int, wires: Wires, worlds: tuple[str, ...]) -> None:
        """Nothing of MPI begins yet; `worlds` are the names of the members' worlds, by rank."""
        super().__init__(rank, size, fan_in, wires)
        self._worlds, self._address = worlds, wires.address
        self._communicator: Any = None
        with suppress(ImportError):  # which is said when a large array is to travel
            keep_mpi_from_beginning()

    @property
    def comm(self) -> Any:
        """The ``mpi4py.MPI.Intracomm`` of the members. The first time all of them ask for it at once.

        What a member calls on it itself waits as MPI does: only the end of the whole call ends it.
        """
        if self._communicator is None:
            known = World.joined.get(self._worlds)
            if not self.allreduce(int(known is not None), "min"):
                known = self._meet()
            self._communicator = World.keep(self._worlds, known)
        return self._communicator

    def _meet(self) -> Any:
        mpi = start_mpi(self._address)
        own = {str(upper): mpi.Open_port() for lower, upper in halves(self.rank, self.size) if lower == self.rank}
        ports = super().broadcast(self.gather(own))
        meeting = Meeting(mpi, self.rank, self.size, ports)
        meeting.start()
        while meeting.is_alive():
            self._look_out(wait_ms=2)
        if meeting.error is not None:
            self._await_failure(meeting.error)
        return meeting.communicator

    def broadcast(self, value: Any = None, root: int = 0) -> Any:
        """Return on all members the value of the member `root`."""
        self._check_rank(root)
        said: Any = None
        buffers: list[Any] = []
        if self.rank == root:
            shape, buffers = pack_value(value)
            sizes = [memoryview(buffer).nbytes for buffer in buffers]
            is_large = sum(sizes) >= LEAST_BYTES
            said = {"shape": shape.decode(), "sizes": sizes} if is_large else {"value": value}
        said = super().broadcast(said, root)
        if "value" in said:
            return said["value"]
        if self.rank != root:
            buffers = [bytearray(size) for size in said["sizes"]]
        for buffer in buffers:
            self._wait(self.comm.Ibcast(buffer, root), buffer)
        return value if self.rank == root else unpack_value(said["shape"].encode(), buffers)

    def _add_for_all(self, total: Total) -> None:
        arrays = self._agree(total)
        for array in arrays:
            comm, how = self.comm, self._operation(total)
            self._wait(comm.Iallreduce(_in_place(), array, how), array)

    def _add_for_one(self, total: Total, root: int) -> Any:
        if not _is_large(total):
            return super()._add_for_one(total, root)
        for array in self._agree(total):
            comm, how = self.comm, self._operation(total)
            sent, got = (_in_place(), array) if self.rank == root else (array, None)
            self._wait(comm.Ireduce(sent, got, how, root), array)
        return total.result(self.size) if self.rank == root else None

    def _agree(self, total: Total) -> list[Any]:
        """Add up by the lines, but for large arrays, which all members have alike after this. Return these."""
        arrays = total.arrays if _is_large(total) else []
        if arrays:
            total.arrays = []
        super()._add_for_all(total)
        total.arrays = arrays or total.arrays
        return arrays

    def _operation(self, total: Total) -> Any:
        return getattr(_mpi(), OPERATION_NAMES[total.operation])

    def _wait(self, request: Any, buffer: Any) -> None:
        """Return when MPI is done.

        Raises:
            MemberLostError: a member is lost. MPI may wait for it for ever, and write to the array.
        """
        until = time.monotonic() + LOOK_OUT_S
        try:
            while not request.Test():
                os.sched_yield()
                if time.monotonic() > until:
                    self._look_out(wait_ms=0)
                    until = time.monotonic() + LOOK_OUT_S
        except BaseException as error:
            World.left.append((request, buffer, World.joined.pop(self._worlds, None)))
            self._communicator = None
            if isinstance(error, _mpi().Exception):
                self._await_failure(error)
            raise

    def _await_failure(self, error: BaseException) -> None:
        """Raise the error that names the member who is lost, or else this one."""
        until = time.monotonic() + LATER_S
        while time.monotonic() < until:
            self._look_out(LOOK_MS)
        raise error


def _mpi() -> Any:
    from mpi4py import MPI

    return MPI


def _in_place() -> Any:
    return _mpi().IN_PLACE


def _is_large(total: Total) -> bool:
    return total.operation in OPERATION_NAMES and sum(array.nbytes for array in total.arrays) >= LEAST_BYTES
