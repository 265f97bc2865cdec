"""Keeps what a cluster does up to date: one program a node that tells its load, one on the master for the engines.

Nothing here waits for a node. What has not answered is silent, and is tried again beside all else.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from clusterctl import hub
from clusterctl.clients.detached.model import DetachedError
from clusterctl.clock import Deadline, Stopwatch, utc_now
from clusterctl.errors import ClusterctlError
from clusterctl.model import MASTER, NodeState
from clusterctl.operations.jobs.remote_jobs import RemoteJobs
from clusterctl.operations.nodes.detached import ClientMaps, RemoteStore
from clusterctl.operations.seeing.listening import Listener, Program
from clusterctl.operations.seeing.readings import Load, Work, parse_load, parse_work
from clusterctl.operations.seeing.sight import MapSight, Sight, see_engines, see_nodes
from clusterctl.operations.sending.places import choose_node, file_owner
from clusterctl.providers.base import Priced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from clusterctl.clients.detached.model import Status
    from clusterctl.clients.jobs.model import JobStatus
    from clusterctl.cluster_nodes import Cluster
    from clusterctl.model import Node
    from clusterctl.operations.context import RunContext
    from clusterctl.providers.money import Spending

_LOAD = Program(
    "clusterctl.on_node.system.seeing.tell_load",
    lambda node: {"disks": ["/", str(node.layout.home)]},
    parse_load,
    bare=True,
)
_WORK = Program(
    "clusterctl.on_node.with_ipyparallel.tell_work",
    lambda node: {"security": str(hub.profile(node) / "security")},
    parse_work,
    bare=False,
)
_PROVIDER_S, _SPENDING_S = 15.0, 60.0
"""Between two questions to the provider: which nodes there are, and what they cost."""
_SHARE = 0.02
"""Of the time that is spent on asking for jobs and maps, at most: their records are files, and there may be many."""
_SILENT_S = 15.0
_PROMPT_S = 10.0
"""For the first look: whoever has not told anything by then is silent."""
_END_S = 3.0
"""For connections to be closed. One that hangs ends with the process."""


class Observer:
    """Looks at one cluster until it is closed."""

    def __init__(self, context: RunContext, *, every_s: float) -> None:
        """Begin to look.

        Args:
            context: the context of the run.
            every_s: how often nodes tell, in seconds.
        """
        self._context, self._every_s = context, every_s
        self._patience_s = max(_SILENT_S, 4 * every_s)
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._nodes: list[Node] = list(context.provider.nodes(context.name))
        self._ids = hub.engine_ids(context.make_cluster(self._nodes))
        self._loads: dict[str, tuple[str, Listener[Load]]] = {}
        self._work: tuple[str, Listener[Work]] | None = None
        self._maps: tuple[MapSight, ...] = ()
        self._clients: tuple[ClientMaps, ...] = ()
        self._jobs: tuple[JobStatus, ...] = ()
        self._spending: Spending | None = None
        self._troubles: dict[str, str] = {}
        self._first: set[str] = {"jobs", "maps", "cost"}
        """What nobody knows yet."""
        self._listen()
        self._threads = [
            threading.Thread(target=act, daemon=True) for act in (self._follow_provider, self._follow_records)
        ]
        for thread in self._threads:
            thread.start()

    def wait_for_all(self) -> None:
        """Wait until all have told something, or it is clear that they do not."""
        for _ in Deadline.after(_PROMPT_S).polls(0.05):
            heard = [listener.heard() for listener in self._listeners()]
            if not self._first and all(one.value is not None or one.trouble for one in heard):
                return

    def look(self) -> Sight:
        """Return what is known now."""
        with self._lock:
            nodes, loads, work = list(self._nodes), dict(self._loads), self._work
            ids, maps, jobs = self._ids, self._maps, self._jobs
            spending, troubles = self._spending, dict(self._troubles)
        heard = work[1].heard() if work else None
        told = heard.value if heard and not heard.trouble and heard.age_s <= self._patience_s else None
        answered = told is not None and told.answered
        engines = see_engines(told, ids)
        if heard and heard.trouble:
            troubles["engines"] = heard.trouble
        elif told is not None and not told.answered:
            troubles["engines"] = "the controller does not answer"
        notes = tuple(f"{what}: {why}" for what, why in sorted(troubles.items()))
        return Sight(
            name=self._context.name,
            at=utc_now(),
            nodes=see_nodes(
                nodes,
                {alias: one.heard() for alias, (_, one) in loads.items()},
                engines,
                patience_s=self._patience_s,
                prompt_s=_PROMPT_S,
            ),
            engines=engines,
            answered=answered,
            waiting=told.waiting if told else 0,
            rate=told.rate if told else None,
            maps=maps,
            clients=self._clients,
            jobs=jobs,
            spending=spending,
            notes=notes,
        )

    def close(self) -> None:
        """Look no more. The programs on the nodes end with their connections."""
        self._closed.set()
        listeners = self._listeners()
        for listener in listeners:
            listener.close()
        deadline = Deadline.after(_END_S)
        for listener in listeners:
            listener.join(deadline)
        for thread in self._threads:  # one that logs out while Python ends would complain
            thread.join(deadline.left_s)

    def _listeners(self) -> list[Listener[Any]]:
        with self._lock:
            return [*(one for _, one in self._loads.values()), *([self._work[1]] if self._work else [])]

    def _listen(self) -> None:
        """Listen to each node that runs; no more to those that are gone, or are another machine now."""
        running = {node.alias: node for node in self._nodes if node.state == NodeState.RUNNING}
        idle_s = self._patience_s
        with self._lock:
            if self._closed.is_set():
                return
            for alias, (machine, listener) in list(self._loads.items()):
                if alias not in running or machine != _machine(running[alias]):
                    listener.close()
                    del self._loads[alias]
            for alias, node in running.items():
                if alias not in self._loads:
                    listening = Listener(_LOAD, self._opener(node), every_s=self._every_s, idle_s=idle_s)
                    self._loads[alias] = (_machine(node), listening)
            master = running.get(MASTER)
            if self._work and (master is None or self._work[0] != _machine(master)):
                self._work[1].close()
                self._work = None
            if master is not None and self._work is None and self._ids:
                work = Listener(_WORK, self._opener(master), every_s=self._every_s, idle_s=idle_s)
                self._work = (_machine(master), work)

    def _opener(self, node: Node) -> Callable[[], tuple[Cluster, Node]]:
        context = self._context

        def open_it() -> tuple[Cluster, Node]:
            cluster = context.make_cluster([node])
            # What is only read needs no rights: not as the user that sets nodes up.
            return cluster, choose_node(context, cluster, node.alias, user=file_owner(context))

        return open_it

    def _follow_provider(self) -> None:
        asked = Deadline.after(0)
        while True:
            with self._noting("nodes"):
                nodes = list(self._context.provider.nodes(self._context.name))
                ids = hub.engine_ids(self._context.make_cluster(nodes))
                with self._lock:
                    self._nodes, self._ids = nodes, ids
                self._listen()
            if asked.is_over:
                asked = Deadline.after(_SPENDING_S)
                with self._noting("cost"):
                    self._spending = self._ask_spending()
            if self._closed.wait(_PROVIDER_S):
                return

    def _ask_spending(self) -> Spending | None:
        provider = self._context.provider
        return provider.spending(self._context.name, self._nodes) if isinstance(provider, Priced) else None

    @contextmanager
    def _noting(self, what: str) -> Iterator[None]:
        """Keep why something cannot be seen, or that it can."""
        trouble = ""
        try:
            yield
        except ClusterctlError as exc:
            trouble = exc.message
        with self._lock:
            self._first.discard(what)
            self._troubles.pop(what, None)
            if trouble:
                self._troubles[what] = trouble

    def _follow_records(self) -> None:
        """Ask for jobs and detached maps again and again."""
        maps = RemoteStore(self._context.name, self._open_master)
        jobs: RemoteJobs | None = None
        before: tuple[Stopwatch, Sequence[Status]] | None = None
        knows_clients = True
        while not self._closed.is_set():
            watch = Stopwatch()
            with self._noting("jobs"):
                if jobs is None:
                    jobs = RemoteJobs(self._context)
                elif "jobs" in self._troubles:
                    jobs.look_up_nodes()  # else the provider would be asked at each look
                self._jobs = tuple(status for status in jobs.all() if not status.is_over)
            with self._noting("maps"):
                statuses = maps.all()
                self._maps = _with_rates(statuses, before)
                before = Stopwatch(), statuses
                if knows_clients:
                    self._clients, knows_clients = _ask_clients(maps)
            self._closed.wait(max(self._every_s, watch.elapsed_s / _SHARE))
        maps.close()
        if jobs is not None:
            jobs.forget_ways()

    def _open_master(self) -> tuple[Cluster, Node]:
        with self._lock:
            master = next((node for node in self._nodes if node.is_master), None)
        if master is None:
            raise DetachedError("there is no master", remedy=f"`clusterctl start {self._context.name}` brings it up")
        return self._opener(master)()


def _ask_clients(maps: RemoteStore) -> tuple[tuple[ClientMaps, ...], bool]:
    """Return what clients map, and whether the master knows: one that an older version has set up does not."""
    try:
        return tuple(maps.clients()), True
    except ClusterctlError:
        return (), False


def _with_rates(statuses: Sequence[Status], before: tuple[Stopwatch, Sequence[Status]] | None) -> tuple[MapSight, ...]:
    """Return the maps that go on, with the items that each has done in a second since it was asked before."""
    passed_s = before[0].elapsed_s if before else 0.0
    done = {status.name: status.done for status in before[1]} if before else {}
    sights = []
    for status in statuses:
        if not status.is_over:
            count = status.done - done[status.name] if status.name in done else None
            sights.append(MapSight(status, None if count is None or not passed_s else max(0.0, count / passed_s)))
    return tuple(sights)


def _machine(node: Node) -> str:
    """Return what tells this machine from another one of its name."""
    return f"{node.id} {node.boot_id} {node.address} {node.port}"
