"""The watch of a node: it probes the services every few seconds, and restarts what is deaf. It needs no laptop.

It is a service itself, so that the service manager and the watch look after each other: supervisord starts it again
when it ends, and when supervisord ends or answers no more, the watch ends what that has left and starts it anew.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from .ending.ending import Master, look_for_ever
from .ending.worker import Lost, Worker
from .watching import processes
from .watching.judging import Judge
from .watching.logins import Logins
from .watching.managers import Manager, find_manager
from .watching.probing import Probed, load_probes
from .watching.succession import succeed

_EVERY_S = 3.0
_NODE_ROOT = "CLUSTERCTL_NODE_ROOT"
"""The variable with a local node's folder."""
_FIRST_S = 2.0
"""Services that start want the processor for themselves."""


class Watch:
    """What is known of the services of this node."""

    def __init__(self, values: dict[str, Any], manager: Manager) -> None:
        self._folder = Path(values["probes"])
        self._told = Path(values["told"])
        self._beat = Path(values["beat"])
        self._manager = manager
        self._probes: list[Probed] = []
        self._seen: object = None
        self._judges: dict[str, Judge] = {}
        self._restarts: dict[str, dict[str, Any]] = {}
        self._logins = Logins(os.environ.get(_NODE_ROOT, ""))
        self.known: dict[int, str] = {}
        """The processes of the services, and when each began."""

    def look(self) -> None:
        """Probe all services once, side by side, and end those that must start anew.

        Raises:
            OSError: the service manager does not answer.
        """
        self._load()
        self._beat.touch()
        for said in self._logins.look():
            self._say(said)
        states = self._manager.states()
        self.known = {state["pid"]: processes.started(state["pid"]) for state in states.values() if state["pid"]}
        self._manager.revive()
        running = [(probed, pid) for probed in self._probes if (pid := states.get(probed.name, {}).get("pid", 0))]
        looks = [threading.Thread(target=self._look_at, args=instance, daemon=True) for instance in running]
        for look in looks:
            look.start()
        for look in looks:
            look.join(10 * _EVERY_S)

    def _load(self) -> None:
        """Load the probes, again when a file of theirs is another one."""
        seen = [(path.name, path.stat().st_mtime_ns) for path in sorted(self._folder.glob("*.json"))]
        if seen != self._seen:
            for former in self._probes:
                former.close()
            self._seen, self._probes = seen, load_probes(self._folder)

    def _look_at(self, probed: Probed, pid: int) -> None:
        findings = probed.find(pid)
        if any(part["trouble"] for part in findings["parts"]) and self._wake(probed.name, processes.tree(pid)):
            return
        why = self._judges.setdefault(probed.name, Judge()).hear(pid, findings)
        if why:
            self._say(f"{probed.name}: {why}: it starts anew")
            processes.kill(processes.tree(pid))
            self._tell(probed.name, why)

    def _wake(self, name: str, pids: list[int]) -> bool:
        woken = processes.wake(pids)
        if woken:
            self._say(f"{name}: was stopped, and goes on: {', '.join(map(str, woken))}")
        return bool(woken)

    def _tell(self, name: str, why: str) -> None:
        """Leave word for `status`."""
        count = self._restarts.get(name, {}).get("count", 0) + 1
        self._restarts[name] = {"count": count, "at": time.time(), "why": why}
        draft = self._told.with_name(f"{self._told.name}.new")
        draft.write_text(json.dumps(self._restarts), encoding="utf-8")
        draft.replace(self._told)

    def _say(self, text: str) -> None:
        print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}", flush=True)


def _write_to(log: Path) -> None:
    """Write to a file, not to the service manager: that may end first."""
    opened = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number in (1, 2):
        os.dup2(opened, number)
    os.close(opened)


def _see_to_end(values: dict[str, Any], manager: Manager) -> None:
    """Have threads of their own see to the end of the cluster, and of this node."""
    about = {**values["ending"], "root": os.environ.get(_NODE_ROOT, "")}
    roles: list[Any] = []
    if about["master"]:
        roles = [Master(about, manager)]
    else:
        worker = Worker(about, manager)
        roles = [worker, Lost(worker, about, manager)]
    for role in roles:
        threading.Thread(target=look_for_ever, args=(role,), daemon=True).start()


def main(values: dict[str, Any]) -> None:
    """Watch for ever: `probes` is the folder of the probes.

    `told` is the file of what was restarted, `beat` one that is touched at each look, `log` that of all else. `socket`
    and `login` are supervisord's, and `start` its command; without them systemd is asked. `ending` is what it must know
    to end.
    """
    os.umask(0o077)
    _write_to(Path(values["log"]))
    manager = find_manager(values)
    _see_to_end(values, find_manager(values))
    watch, parent, deaf = Watch(values, manager), os.getppid(), 0
    threading.Event().wait(_FIRST_S)
    while True:
        began = time.monotonic()
        try:
            watch.look()
            deaf = 0
        except OSError as exc:
            deaf += 1
            print(f"the service manager does not answer: {exc}", flush=True)
        if values.get("start") and (os.getppid() != parent or deaf > 1):
            sys.exit(succeed(values, parent, watch.known))
        threading.Event().wait(max(0.5, _EVERY_S - (time.monotonic() - began)))
