"""Worlds of MPI: each engine is one by itself, and groups join them.

Processes that ``mpiexec`` starts begin and end as one, and engines come and go. So an engine begins MPI alone, with a
name for its world that no other one has, and two halves of a group accept each other until all have one communicator.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import sys
import threading
import uuid
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ASKED = "ENGINE_GROUPS"
"""The variable that the plugin `mpi` gives to engines, and its value."""
MEET_S = 60
KEPT_WORLDS = 8
ADDRESS_OF_INTERFACE = 0x8915
HELPED = {
    "init": "cmd=response_to_init pmi_version=1 pmi_subversion=1 rc=0",
    "get_maxes": "cmd=maxes kvsname_max=256 keylen_max=64 vallen_max=1024 rc=0",
    "get_appnum": "cmd=appnum appnum=0 rc=0",
    "put": "cmd=put_result rc=0 msg=success",
    "get": "cmd=get_result rc=-1 msg=unknown value=unknown",
    "barrier_in": "cmd=barrier_out rc=0",
    "finalize": "cmd=finalize_ack rc=0",
}
"""What MPI asks of the program that has started it, and is told (PMI 1.1)."""


class World:
    """This engine's own world of MPI. It begins when it is first needed, and ends with the engine."""

    name = uuid.uuid4().hex
    joined: OrderedDict[tuple[str, ...], Any] = OrderedDict()
    """Communicators, by the worlds of their members."""
    left: list[Any] = []
    """What MPI may still write to, after a member was lost."""

    @classmethod
    def keep(cls, worlds: tuple[str, ...], communicator: Any) -> Any:
        """Keep a communicator for later groups of the same members."""
        cls.joined[worlds] = communicator
        cls.joined.move_to_end(worlds)
        while len(cls.joined) > KEPT_WORLDS:
            cls.joined.popitem(last=False)[1].Free()
        return communicator


def world_name() -> str:
    """Return the name of this engine's world, or nothing where the cluster does not ask for MPI."""
    return World.name if os.environ.get(ASKED) == "mpi" else ""


def keep_mpi_from_beginning() -> None:
    """See to it that `from mpi4py import MPI` does not begin MPI, where nobody has done so: this world needs a name."""
    import mpi4py

    if "mpi4py.MPI" not in sys.modules:
        mpi4py.rc.initialize = mpi4py.rc.finalize = False


def start_mpi(address: str) -> Any:
    """Return the module of mpi4py, whose MPI has begun.

    Args:
        address: of this machine in the cluster's network, which MPI is to keep to.

    Raises:
        ImportError: it is not there.
        RuntimeError: MPI does not begin, or somebody else has begun it, so that this world has no name of its own.
    """
    try:
        keep_mpi_from_beginning()
        from mpi4py import MPI
    except ImportError as error:
        problem = f"this engine has no MPI ({error}): `clusterctl start` installs what the plugin mpi needs"
        raise ImportError(problem) from None
    if not MPI.Is_initialized():
        _begin(MPI, address)
        MPI.clusterctl = True
    if not hasattr(MPI, "clusterctl"):
        raise RuntimeError(
            "this engine has begun MPI before, outside of a group, and cannot join others:"
            " `clusterctl runplugin ipclusterrestart` starts it anew"
        )
    return MPI


def _begin(mpi: Any, address: str) -> None:
    ours, helper = socket.socketpair()
    threading.Thread(target=_help, args=(helper,), daemon=True).start()
    values = {"PMI_FD": str(ours.fileno()), "PMI_RANK": "0", "PMI_SIZE": "1"}
    interface = _interface_of(address)
    if interface and "UCX_NET_DEVICES" not in os.environ:
        values["UCX_NET_DEVICES"] = interface
    os.environ.update(values)
    level = ctypes.c_int()
    try:  # mpi4py's own way holds Python, and nobody could answer
        failed = ctypes.CDLL(mpi.__file__).MPI_Init_thread(None, None, mpi.THREAD_MULTIPLE, ctypes.byref(level))
    finally:
        for name in values:
            os.environ.pop(name, None)
    if failed or level.value != mpi.THREAD_MULTIPLE:
        raise RuntimeError(f"MPI does not begin: error {failed}, level of threads {level.value}")
    ours.detach()  # MPI has it, until this process ends
    mpi.COMM_SELF.Set_errhandler(mpi.ERRORS_RETURN)
    with suppress(OSError):  # it would stay when this engine is killed, and nobody else is in this world
        for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
            if "/mpich_shm_" in line:
                Path(line.split(maxsplit=5)[5]).unlink(missing_ok=True)


def _help(helper: socket.socket) -> None:
    """Stand for the program that starts the processes of MPI: each world gets a name that no other one has."""
    answers = {**HELPED, "get_my_kvsname": f"cmd=my_kvsname kvsname=clusterctl_{World.name} rc=0"}
    with helper, helper.makefile("r") as asked:
        for line in asked:
            command = line.partition("cmd=")[2].split()[0]
            helper.sendall(f"{answers.get(command, 'cmd=unknown rc=-1')}\n".encode())


def _interface_of(address: str) -> str:
    if address.startswith("127."):
        return "lo"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            with suppress(OSError):
                about = fcntl.ioctl(probe, ADDRESS_OF_INTERFACE, struct.pack("256s", name.encode()[:15]))
                if socket.inet_ntoa(about[20:24]) == address:
                    return name
    return ""


def halves(rank: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the steps in which a member's world joins others: the first rank of the lower half, and of the upper."""
    width = 1
    while width < size:
        lower = rank // (2 * width) * 2 * width
        if lower + width < size:
            yield lower, lower + width
        width *= 2


class Meeting(threading.Thread):
    """Joins worlds, in a thread: a half waits for the other one inside of MPI."""

    def __init__(self, mpi: Any, rank: int, size: int, ports: Sequence[Mapping[str, str]]) -> None:
        super().__init__(daemon=True)
        self._mpi, self._rank, self._size, self._ports = mpi, rank, size, ports
        self.communicator: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        """Join."""
        try:
            self.communicator = self._join()
        except BaseException as error:
            self.error = error

    def _join(self) -> Any:
        mpi, joined = self._mpi, self._mpi.COMM_SELF
        about = mpi.Info.Create({"timeout": str(MEET_S)})
        for lower, upper in halves(self._rank, self._size):
            port, is_low = str(self._ports[lower][str(upper)]), self._rank < upper
            between = joined.Accept(port, about) if is_low else joined.Connect(port, about)
            between.Set_errhandler(mpi.ERRORS_RETURN)
            half, joined = joined, between.Merge(not is_low)
            joined.Set_errhandler(mpi.ERRORS_RETURN)
            between.Free()
            if half != mpi.COMM_SELF:
                half.Free()
            if self._rank == lower:
                mpi.Close_port(port)
        about.Free()
        return joined
