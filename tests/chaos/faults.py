"""What can break, and how it is broken. A fault returns when what it broke on purpose is so no more.

Each is a function of the ground and of a source of chance; its first line is printed beside its name.
"""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ..support.deafness import hold

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from .grounds import Ground

    Break = Callable[[Any, random.Random], str]

LOCAL, DOCKER = "local", "docker"
_FULL_S = (2.0, 8.0)
_FROZEN_S = (1.0, 40.0)
_FILL = 1 << 20


@dataclass(frozen=True)
class Kind:
    """A kind of fault."""

    about: str
    """What breaks, in one sentence."""
    act: Break
    """Breaks it; returns what it was."""
    grounds: tuple[str, ...] = (LOCAL, DOCKER)
    by_itself: tuple[str, ...] = (LOCAL, DOCKER)
    """Where the cluster must get over it by itself; elsewhere `start` is what a user has to type."""
    lasts_s: float = 0.0
    """A cut that lasts so long; such kinds are left out unless they are named, from two minutes on."""


def _kill(*pids: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def _frozen(*pids: int) -> Iterator[None]:
    """Stop processes for the time of the block. Whoever looks after them may let them go on before."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _freeze(ground: Ground, chance: random.Random, *pids: int) -> str:
    seconds = chance.uniform(*_FROZEN_S)
    with _frozen(*pids):
        ground.pause(seconds)
    return f"for {seconds:.0f} s"


def _kill_engine(ground: Ground, chance: random.Random) -> str:
    alias = chance.choice(ground.aliases)
    _kill(chance.choice(ground.engines(alias)).pid)
    return alias


def _freeze_engine(ground: Ground, chance: random.Random) -> str:
    alias = chance.choice(ground.aliases)
    return f"{alias} {_freeze(ground, chance, chance.choice(ground.engines(alias)).pid)}"


def _kill_nanny(ground: Ground, chance: random.Random) -> str:
    alias = chance.choice(ground.aliases)
    _kill(*[child.pid for child in chance.choice(ground.engines(alias)).children()])
    return alias


def _kill_part(ground: Ground, chance: random.Random, *, word: str) -> str:
    name, pid = chance.choice([part for part in sorted(ground.parts().items()) if word in part[0]])
    _kill(pid)
    return name


def _freeze_part(ground: Ground, chance: random.Random) -> str:
    name, pid = chance.choice(sorted(ground.parts().items()))
    return f"{name} {_freeze(ground, chance, pid)}"


def _kill_service(ground: Ground, chance: random.Random, *, word: str) -> str:
    alias = chance.choice(ground.aliases)
    _kill(*[process.pid for process in ground.find(alias, word)])
    return alias


def _freeze_service(ground: Ground, chance: random.Random, *, word: str) -> str:
    alias = chance.choice(ground.aliases)
    return f"{alias} {_freeze(ground, chance, *[process.pid for process in ground.find(alias, word)])}"


def _kill_ssh_server(ground: Ground, chance: random.Random) -> str:
    alias = chance.choice(ground.aliases)
    _kill(ground.ssh_server(alias))
    return alias


def _stop_ssh_server(ground: Ground, chance: random.Random) -> str:
    alias = chance.choice(ground.aliases)
    os.kill(ground.ssh_server(alias), signal.SIGSTOP)
    return alias


def _deafen_ssh_server(ground: Ground, chance: random.Random) -> str:
    alias = chance.choice(ground.aliases)
    ground.deaf.append(hold(ground.ssh_server(alias)))
    return alias


def _kill_guardian(ground: Any, chance: random.Random) -> str:
    alias = chance.choice(ground.workers)
    _kill(ground.running(alias)["guardian"])
    return alias


def _kill_node(ground: Any, chance: random.Random, *, of: str) -> str:
    alias = chance.choice(getattr(ground, of))
    if ground.provider == DOCKER:
        _kill(ground.root(alias))
        return alias
    running = ground.running(alias)
    _kill(running["guardian"], *(process.pid for process in ground.processes(alias)), running["pid"])
    return alias


def _tunnel(ground: Ground, *names: str) -> list[int]:
    return [int((ground.folder / f"tunnel.{name}").read_text()) for name in names]


def _kill_tunnel(ground: Ground, chance: random.Random, *, name: str) -> str:
    _kill(*_tunnel(ground, name))
    return ""


def _freeze_tunnel(ground: Ground, chance: random.Random) -> str:
    return _freeze(ground, chance, *_tunnel(ground, "pid"))


def _cut_node(ground: Ground, chance: random.Random, *, seconds: float, of: str) -> str:
    alias = chance.choice(getattr(ground, of))
    with ground.cut(alias):
        ground.pause(seconds)
    return alias


def _cut_tunnel(ground: Ground, chance: random.Random, *, seconds: float) -> str:
    with ground.cut_tunnel():
        ground.pause(seconds)
    return ""


def _sleep(ground: Ground, chance: random.Random, *, seconds: float) -> str:
    with _frozen(ground.load.pid, *_tunnel(ground, "pid", "minder")):
        ground.pause(seconds)
    return ""


def _fill_disk(ground: Ground, chance: random.Random) -> str:
    filler = ground.home.parent / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(_FILL))
    ground.pause(chance.uniform(*_FULL_S))
    filler.unlink()
    return ""


def _part(about: str, word: str) -> Kind:
    return Kind(about, partial(_kill_part, word=word))


_ENDS_IT = {"by_itself": (DOCKER,)}
KINDS: dict[str, Kind] = {
    "engine killed": Kind("One engine, as the kernel ends it when memory is short.", _kill_engine),
    "engine frozen": Kind("One engine stands still; the controller gives it up after 20 s.", _freeze_engine),
    "nanny killed": Kind("The process that passes signals on to an engine.", _kill_nanny),
    "controller killed": Kind(
        "The controller's first process, whose children hold the ports.", partial(_kill_part, word="hub")
    ),
    "heart monitor killed": _part("The child that notices dead engines.", "heart"),
    "output relay killed": _part("The child that passes on what engines print.", "output"),
    "direct scheduler killed": _part("The child for tasks of one engine.", "direct"),
    "control scheduler killed": _part("The child for aborts and signals.", "control"),
    "task scheduler killed": _part("The child that shares tasks out.", "task"),
    "broadcast scheduler killed": _part("One of the children for tasks of all engines.", "broadcast"),
    "part of the controller frozen": Kind("One process of the controller stands still.", _freeze_part),
    "service manager killed": Kind("A node's supervisord.", partial(_kill_service, word="supervisor.supervisord")),
    "service manager frozen": Kind(
        "A node's supervisord stands still.", partial(_freeze_service, word="supervisor.supervisord")
    ),
    "watch killed": Kind("The service that watches all others.", partial(_kill_service, word="services/watch.py")),
    "watch frozen": Kind("The same stands still.", partial(_freeze_service, word="services/watch.py")),
    "SSH server killed": Kind("A node's SSH server; a local node ends with it.", _kill_ssh_server, **_ENDS_IT),
    "SSH server stopped": Kind(
        "A node's SSH server stands still, and nobody but the node lets it go on.", _stop_ssh_server
    ),
    "SSH server deaf": Kind("A node's SSH server accepts and never answers, and cannot be woken.", _deafen_ssh_server),
    "tunnel killed": Kind("The process that forwards the laptop's ports.", partial(_kill_tunnel, name="pid")),
    "tunnel frozen": Kind("The same stands still.", _freeze_tunnel),
    "tunnel's minder killed": Kind("The process that looks after that one.", partial(_kill_tunnel, name="minder")),
    "guardian killed": Kind(
        "The process that ends a local node's processes with it: the node ends.", _kill_guardian, (LOCAL,), ()
    ),
    "worker killed": Kind(
        "All of a worker at once, as in a power failure.", partial(_kill_node, of="workers"), **_ENDS_IT
    ),
    "master killed": Kind("All of the master at once.", partial(_kill_node, of="masters"), **_ENDS_IT),
    "disk full": Kind("The disk that nodes and laptop share is full for a while.", _fill_disk, (LOCAL,)),
    **{
        f"{what} {verb} {length}": Kind(f"{about} for {length}.", partial(act, seconds=seconds), lasts_s=seconds)
        for length, seconds in (("30 s", 30.0), ("2 min", 120.0), ("15 min", 900.0))
        for what, verb, about, act in (
            ("worker", "cut", "A worker has no network (a local one: stands still)", partial(_cut_node, of="workers")),
            (
                "master",
                "cut",
                "The master has no network (a local one: stands still)",
                partial(_cut_node, of="masters"),
            ),
            ("tunnel", "cut", "The laptop cannot reach the master's SSH server", _cut_tunnel),
            ("laptop", "slept", "The client, the tunnel and its minder stand still", _sleep),
        )
    },
}
