"""The end of a worker: its master's order, by the home that they share; or the loss of its master."""

from __future__ import annotations

import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import acting, clocks, home_files
from .home import Home
from .people import People
from .records import Order, State, Word, dump, parse, read, write

if TYPE_CHECKING:
    from ..watching.managers import Manager

_UNKNOWN_S, _NEAR_S = 15.0, 3.0
"""How often to look where no master has said anything yet: in a home elsewhere, and in one on this computer."""
_PORT = 22
_CONNECT_S = 5.0
_LOST_EVERY_S = 20.0


class Worker:
    """What a worker remembers.

    Args:
        values: as for the master; `alias` is the node's, `powers_off` whether it can be switched off, `stops`
            whether it can stop itself.
        manager: the service manager.
    """

    def __init__(self, values: dict[str, Any], manager: Manager) -> None:
        self._home = Home(values["home"], values["maps"])
        self._alias = str(values["alias"])
        self._root = str(values.get("root") or "")
        self._powers_off, self._stops = bool(values["powers_off"]), bool(values.get("stops"))
        self._manager = manager
        self._file = Path(values["decision"])
        self.order = read(Order, self._file) or Order()
        """The last one that was heard."""
        self._people = People(self._root, 300.0)
        self._word = Word()
        self._told = False
        self._followed = self.order.id if self.order.end else ""
        """The order to end that was followed: what is started after it runs, until there is another one."""

    def look(self) -> float:
        """Look once; return how many seconds the next look may wait."""
        order = parse(Order, self._home.look().get("order", ""))
        if order is None:
            return _NEAR_S if self._root else _UNKNOWN_S
        if order.end and not self.order.id:
            return _NEAR_S  # of a life before this node's: a master that lives takes it back
        if order != self.order:
            self._hear(order)
        if order.end:
            if order.id != self._followed:
                self._follow(order)
            return 2.0
        pids = {name: state["pid"] for name, state in self._manager.states().items() if state["pid"]}
        work = self._people.look(self._home.uid(), pids, clocks.now().awake_s)
        busy = next((f"{cause} {text}" for cause, text in work.items() if cause not in order.ignored), "")
        if busy:
            self._say_word(Word(busy, self._word.count + 1))
        elif self._word.busy or self._word.ended:
            self._say_word(Word("", self._word.count + 1))
        return max(0.5, min(60.0, order.every_s))

    def _hear(self, order: Order) -> None:
        if not self.order.id and self._powers_off:  # from now on it is this that ends the machine
            acting.run_command(["systemctl", "disable", "--now", "clusterctl-lifetime.timer"])
        self._people = People(self._root, min(300.0, max(1.0, order.every_s * 10)))
        self.order = order
        if not order.end:
            write(self._file, order)

    def _follow(self, order: Order) -> None:
        """End this node. One that is killed here does it again."""
        acting.end_jobs(self._home.folder, self._alias)  # before the word: the master waits for it, and has the home
        self._say_word(replace(self._word, busy="", ended=order.id))
        if self._stops:  # before it ends: what the next `start` starts is not to end by this order, too
            write(self._file, order)
        self.end("its master has said so")
        if not self._powers_off:
            self._followed = order.id
            write(self._file, order)

    def _say_word(self, word: Word) -> None:
        if word != self._word:
            self._home.look(f"{home_files.WORDS}/{self._alias}.json", dump(word))
            self._word = word

    def end(self, why: str) -> None:
        """End this node."""
        if not self._told:
            print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} the end: {why}", flush=True)
            self._told = True
        acting.end_jobs(self._home.folder, self._alias)
        acting.stop_services(self._manager)
        if trouble := acting.end_node(powers_off=self._powers_off, stops=self._stops):
            print(f"the machine cannot be switched off: {trouble}", flush=True)


class Lost:
    """Ends a worker that has lost its master. It touches no home: that is lost with the master.

    Args:
        worker: the worker.
        values: as for it.
        manager: the service manager.
    """

    def __init__(self, worker: Worker, values: dict[str, Any], manager: Manager) -> None:
        self._worker = worker
        self._file = Path(values["decision"]).with_name("lost.json")
        self._powers_off = bool(values["powers_off"])
        self._manager = manager
        self._people = People("", 300.0)

    def look(self) -> float:
        """Look once; return how many seconds the next look may wait."""
        order = self._worker.order
        if not (self._powers_off and order.address and order.lost_s > 0):
            return _LOST_EVERY_S
        before, now = read(State, self._file) or State(), clocks.now()
        passed_s = now.since(before.looked)[0] if before.looked.boot == now.boot else 0.0
        lost_s = 0.0 if is_there(order.address) else before.idle_s + min(passed_s, 3 * _LOST_EVERY_S)
        write(self._file, State(boot=now.boot, awake_s=now.awake_s, up_s=now.up_s, idle_s=lost_s))
        if lost_s >= order.lost_s and not self._find_work(now.awake_s):
            self._worker.end(f"its master has not answered for {lost_s / 60:.0f} minutes")
        return min(_LOST_EVERY_S, order.lost_s / 5)

    def _find_work(self, awake_s: float) -> str:
        """Return what a user's task or job still does here."""
        pids = {name: state["pid"] for name, state in self._manager.states().items() if state["pid"]}
        work = self._people.look(owner_of(pids), pids, awake_s)
        return next(iter(work.values()), "")


def owner_of(pids: dict[str, int]) -> int:
    """Return the user of the engines; -1 without any."""
    for name, pid in pids.items():
        if name.startswith("engine-"):
            try:
                return Path(f"/proc/{pid}").stat().st_uid
            except OSError:
                continue
    return -1


def is_there(address: str) -> bool:
    """Return whether a machine answers, be it with a refusal."""
    try:
        socket.create_connection((address, _PORT), timeout=_CONNECT_S).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True
