"""Bodies for the instances of the stand-in: what the cloud says is made so, each instance in its own thread."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..cloud import Cloud
    from ..instances.machine_view import Machine

_SETTLED_S = 300.0
_GONE = "terminated"


class Maker(Protocol):
    """Makes bodies of one kind. Calls for one machine come one after another, for several side by side."""

    def switch_on(self, machine: Machine) -> None:
        """Make the body if there is none, and boot it if it is off. Its disk is the one that it had before."""

    def switch_off(self, machine: Machine) -> None:
        """Shut it down; the disk stays."""

    def reboot(self, machine: Machine) -> None:
        """Have it boot again, as somebody asked the cloud for it."""

    def remove(self, machine: Machine) -> None:
        """End it, and its disk with it. Finding nothing is success."""

    def set_disks(self, machine: Machine) -> None:
        """Plug in the data volumes that the machine has, and unplug those that it has no more."""

    def save(self, machine: Machine) -> None:
        """Keep its disk as it is for the machines of the newest image that was made of it."""


@dataclass
class _Known:
    """A machine as it was when it was last looked at, and the thread in which its body is looked after."""

    machine: Machine
    thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "body"))


class Reconciler:
    """Looks at the cloud whenever it is told to, and has the maker do what changed since, in the order it was seen."""

    def __init__(self, cloud: Cloud, maker: Maker) -> None:
        self._cloud = cloud
        self._maker = maker
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._work: set[Future[None]] = set()
        self._closed = False

    def look(self) -> None:
        """See what the cloud says now. Returns before the work that follows from it is done."""
        with self._lock:
            if self._closed:
                return
            for machine in self._cloud.machines():
                known = self._known.get(machine.id)
                tasks = _tasks(self._maker, known.machine if known else None, machine)
                if known is None:
                    known = self._known[machine.id] = _Known(machine)
                known.machine = machine
                for task in tasks:
                    self._work.add(known.thread.submit(task, machine))

    def again(self, instance_id: str) -> None:
        """A body has gone off to boot again: switch it on, unless the cloud wants it off by then."""

        def boot() -> None:
            now = self.machine(instance_id)
            if now.runs:
                self._maker.switch_on(now)

        with self._lock:
            if not self._closed and instance_id in self._known:
                self._work.add(self._known[instance_id].thread.submit(boot))

    def machine(self, instance_id: str) -> Machine:
        """A machine as it was when it was last looked at."""
        with self._lock:
            return self._known[instance_id].machine

    def settle(self, deadline_s: float = _SETTLED_S) -> None:
        """Wait until all that was seen is done.

        Raises:
            BaseException: the first trouble that a body made since this was last asked.
        """
        while True:
            with self._lock:
                work = set(self._work)
            if not work:
                return
            done, left = wait(work, deadline_s)
            assert not left, f"{len(left)} changes of bodies were not done after {deadline_s:.0f} s"
            with self._lock:
                self._work -= done
            for future in done:
                future.result()

    def close(self) -> None:
        """Look no more, and wait for what has begun. What had not begun is left undone."""
        with self._lock:
            self._closed = True
            threads = [known.thread for known in self._known.values()]
        for thread in threads:
            thread.shutdown(wait=False, cancel_futures=True)
        for thread in threads:
            thread.shutdown()


def _tasks(maker: Maker, before: Machine | None, now: Machine) -> list[Callable[[Machine], None]]:
    """What the maker has to do for a machine that was so before and is so now."""
    was = before.state if before else _GONE
    if now.state == _GONE:
        return [maker.remove] if was != _GONE else []
    tasks = []
    if before and now.images != before.images:
        tasks.append(maker.save)
    if now.state != was:
        # A machine that is seen for the first time when it is stopped has no body until it is started.
        tasks.append(maker.switch_on if now.runs else maker.switch_off)
    elif before and now.reboots != before.reboots and now.runs:
        tasks.append(maker.reboot)
    if before and now.disks != before.disks:
        tasks.append(maker.set_disks)
    return tasks
