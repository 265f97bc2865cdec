"""ipyparallel: a controller on the master, engines on every node, and a notebook.

The master's own files are the record of ports and keys: they are made there once, so that a restart of the controller
keeps both, and clients and engines that live come back by themselves. The CURVE secret key never leaves the master.
"""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING

from clusterctl.api import (
    Busy,
    Cluster,
    Connection,
    Facet,
    Node,
    Note,
    Plugin,
    Request,
    ServiceHealth,
    StatusRow,
    hookimpl,
    hub,
    library_version,
    notes,
    plural,
    render,
    run_program,
    services,
    write_atomically,
)

from .daemons import (
    ON_NODE,
    controller_service,
    engine_service,
    join_script,
    kept_folder,
    leave_script,
    python_command,
    restart_token,
    start_programs,
    told_variables,
)
from .gpus import count_gpus, forget_gpus, number_of_gpus, wants_gpus
from .notebook import (
    notebook_config,
    notebook_connection,
    notebook_files,
    notebook_services,
)
from .options import Options

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_ENGINES_OF = Note("ipcluster engines of", str)
"""What the engines that run were started for. Engines of anything else start anew."""
_LATER_OPTIONS = ("master_engines", "threads_per_engine")
"""Options that engines of earlier versions knew nothing of: what they have counts as what is said by default."""
_CLIENT_CHANNELS = ("registration", "control", "mux", "task", "iopub", "notification", "broadcast")

_CLIENT_USAGE = """\
Connect from this computer, in Python{version}:

from ipyparallel import Client
client = Client({file})"""


class IPCluster(Plugin[Options]):
    """The cluster's reason to be."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._lock = threading.Lock()

    @hookimpl
    def clusterctl_request(self) -> Request:
        """The laptop's own ipyparallel, JupyterLab if asked for, and the modules that clients on nodes are made of."""
        notebook = ("jupyterlab",) if self.options.enable_notebook else ()
        return Request(pip=(f"ipyparallel=={version('ipyparallel')}", *notebook), stamps=(library_version(),))

    @hookimpl
    def clusterctl_prepare(self, cluster: Cluster) -> None:
        """Say that engines which run start anew, if their packages or options are others now."""
        started_for = cluster.recall(_ENGINES_OF)
        if started_for is not None and started_for != self._engines_of(cluster):
            count = sum(map(len, hub.engine_ids(cluster).values()))
            cluster.will_end(f"{plural(count, 'engine')} with what is in memory")

    def _engines_of(self, cluster: Cluster) -> str:
        told = self.options
        more = [f"{name} {value}" for name in _LATER_OPTIONS if (value := getattr(told, name)) != "auto"]
        return " ".join([restart_token(cluster, told), str(told.engines_per_node), *more]) + told_variables(cluster)

    @hookimpl
    def clusterctl_join(self, cluster: Cluster, node: Node) -> None:
        """Controller, engines and notebook on the master; engines on a worker."""
        if wants_gpus(node, self.options):
            count_gpus(cluster, node, self._lock)
        if node.is_master:
            self._join_master(cluster, node)
        else:
            engine = self._engine_file(cluster)
            # Another controller's engines, or those of a master that was lost, would not register with this one.
            version = hashlib.sha256(f"{engine}{cluster.master.id}".encode()).hexdigest()[:8]
            ids = self._engine_ids(cluster, node)
            files = render(
                "ipcluster_worker.sh.j2",
                profile=hub.profile(node),
                engine=engine,
                programs=start_programs(cluster, node, ids, self.options),
            )
            daemons = [engine_service(cluster, node, ids, self.options, version=version)]
            cluster.on(node).run_script(
                join_script(cluster, node, files, daemons), name="ipcluster: engines", sudo=True
            )

    def _join_master(self, cluster: Cluster, node: Node) -> None:
        wanted = {
            "profile": hub.profile(node),
            "engine_ip": node.private_address,
            "curve": self.options.enable_curve,
            "notebook": notebook_config(node, self.options),
            "kept": kept_folder(cluster, node),
        }
        ids = self._engine_ids(cluster, node)
        files = render(
            "ipcluster_master.sh.j2",
            profile=hub.profile(node),
            connection_files=run_program(python_command(node)[0], f"{ON_NODE}.connection_files", wanted),
            programs=start_programs(cluster, node, ids, self.options),
            notebook=notebook_files(node, self.options),
        )
        daemons = [
            controller_service(cluster, node, self.options),
            engine_service(cluster, node, ids, self.options),
            *notebook_services(cluster, node, self.options),
        ]
        unwanted = () if self.options.enable_notebook else ("notebook",)
        script = join_script(cluster, node, files, daemons, unwanted=unwanted)
        result = cluster.on(node).run_script(script, name="ipcluster: controller and engines", secret=True, sudo=True)
        write_atomically(cluster.folder / "engine.json", result.stdout.strip())

    def _engine_file(self, cluster: Cluster) -> str:
        """What an engine needs to find the controller, from the laptop, or from the master if it was lost there."""
        kept = cluster.folder / "engine.json"
        with self._lock:  # workers join side by side
            if not _is_document(kept):
                remote = hub.profile(cluster.master) / "security" / "ipcontroller-engine.json"
                result = cluster.on(cluster.master).run(f"cat '{remote}'", secret=True, sudo=True)
                write_atomically(kept, result.stdout.strip())
            return kept.read_text(encoding="utf-8", errors="replace")

    def _engine_ids(self, cluster: Cluster, node: Node) -> range:
        """The ids of a node's engines. They stay the node's own as long as it is a member."""
        with self._lock:
            ids = hub.engine_ids(cluster)
            # In the order of the nodes, whichever asks first: ids then run from the master to the last worker. How many
            # engines a machine has may not be known before it has answered; whoever asks before that has lower ids.
            for member in [*cluster.nodes, replace(node, cores=node.cores or 1)]:
                count = self._count_engines(cluster, member)
                if count is None:
                    continue
                if member.alias not in ids or len(ids[member.alias]) != count:
                    ids.pop(member.alias, None)
                    ids[member.alias] = hub.lowest_gap(list(ids.values()), count)
            hub.keep_engine_ids(cluster, ids)
            return ids[node.alias]

    def _count_engines(self, cluster: Cluster, node: Node) -> int | None:
        """Return how many engines a node has; None as long as it has not said what decides that."""
        if node.is_master and self.options.master_engines != "auto":
            return self.options.master_engines
        if self.options.engines_per_node == "gpu":
            return number_of_gpus(cluster, node)
        if self.options.engines_per_node != "auto":
            return self.options.engines_per_node
        # On a machine of its own the controller's nine processes deserve a core.
        spare = 1 if node.is_master and cluster.workers and Facet.MACHINE in node.facets else 0
        return max(1, node.cores - spare) if node.cores else None

    @hookimpl
    def clusterctl_connect(self, cluster: Cluster) -> Sequence[Connection]:
        """Count the engines at the controller, and say where the laptop finds it."""

        def revive(node: Node, missing: set[int]) -> None:
            names = [services.instance("engine", number) for number in sorted(missing)]
            cluster.on(node).run_script(services.restart(node, names), name="ipcluster: restart engines", sudo=True)

        members = {node.alias for node in cluster.nodes if node.reachable}
        wanted = {alias: numbers for alias, numbers in hub.engine_ids(cluster).items() if alias in members}
        answer = hub.wait(cluster, wanted, timeout_s=self.options.engine_timeout, revive=revive)
        registered = {alias: len(set(numbers) & set(answer.engines)) for alias, numbers in wanted.items()}
        for alias, numbers in wanted.items():
            if set(numbers) & set(answer.draining):
                cluster.say(f"{alias} will be taken: its engines are given nothing new, and none starts there")
            elif registered[alias] < len(numbers):
                cluster.problem(
                    f"{alias}: {len(numbers) - registered[alias]} of {len(numbers)} engines did not register;"
                    f" see `clusterctl logs {cluster.name} {alias}`"
                )
        count, nodes = sum(registered.values()), sum(1 for number in registered.values() if number)
        # Where a node is no machine, there is no user but the one who started it.
        user = cluster.user if Facet.MACHINE in cluster.master.facets else cluster.master.user
        summary = f"{plural(count, 'engine')} on {plural(nodes, 'node')} for {user}"
        python = cluster.recall(notes.PYTHON)
        client = Connection(
            "client",
            host="127.0.0.1",
            ports={channel: answer.client[channel] for channel in _CLIENT_CHANNELS},
            document=answer.client,
            summary=summary,
            usage=_CLIENT_USAGE.replace("{version}", f" {python}" if python else ""),
        )
        cluster.remember(notes.IPYPARALLEL, version("ipyparallel"))
        cluster.remember(_ENGINES_OF, self._engines_of(cluster))
        if answer.notebook.get("foreign"):
            cluster.problem("another program listens on the notebook's port; the same `start` chooses another one")
        elif answer.notebook.get("late"):
            cluster.problem(f"the notebook does not answer yet; see `clusterctl logs {cluster.name} master`")
        for trouble in answer.trouble:
            cluster.problem(f"controller: the {trouble}; see `clusterctl logs {cluster.name} master`")
        if answer.task == hub.BUSY:
            cluster.say("All engines are at work: no task was tried")
        elif answer.task:
            cluster.problem(answer.task)
        return [client, *notebook_connection(answer.notebook)]

    @hookimpl
    def clusterctl_leave(self, cluster: Cluster, node: Node) -> None:
        """Stop the node's engines and take their ids off the controller's list."""
        if cluster.ending:
            return  # engines and controller end with their machines
        ids = hub.engine_ids(cluster)
        if node.reachable:
            names = ["engine", "controller", "notebook"] if node.is_master else ["engine"]
            cluster.on(node).run_script(leave_script(cluster, node, names), name="ipcluster: stop", sudo=True)
        if not (node.is_master or cluster.all_leave) and node.alias in ids and cluster.master.reachable:
            forget_gpus(cluster, node, self._lock)
            gone = ids.pop(node.alias)
            hub.ask(cluster, forget=gone)
            hub.keep_engine_ids(cluster, ids)

    @hookimpl
    def clusterctl_busy(self, cluster: Cluster) -> Sequence[Busy]:
        """Tasks that run or wait, and kernels of the notebook that run a cell."""
        security = hub.profile(cluster.master) / "security"
        tasks = Busy("tasks", f"{ON_NODE}.busy_hub", {"security": security})
        kernels = Busy("kernels", "clusterctl.on_node.system.busy_kernels", {"file": security / "notebook.json"})
        return [tasks, kernels] if self.options.enable_notebook else [tasks]

    @hookimpl
    def clusterctl_status(self, cluster: Cluster, services: Sequence[ServiceHealth]) -> Sequence[StatusRow]:
        """The engines that are registered, a row a node."""
        registered = hub.registered(services)
        rows = []
        if registered is None:  # a controller of an older version has no probe
            answer = hub.ask(cluster)
            rows = [
                StatusRow("master", "controller", "answers" if answer.answered else "does not answer", answer.answered)
            ]
            registered = set(answer.engines)
        ids = hub.engine_ids(cluster)
        for node in cluster.nodes:
            numbers = ids.get(node.alias)
            count = len(set(numbers or ()) & registered)
            value = "never set up" if numbers is None else f"{count} of {len(numbers)}"
            rows.append(StatusRow(node.alias, "engines", value, numbers is not None and count == len(numbers), count))
        return rows


def _is_document(file: Path) -> bool:
    """Return whether a file of ours has what was written: it may be damaged."""
    try:
        return isinstance(json.loads(file.read_text(encoding="utf-8")), dict)
    except (OSError, ValueError):
        return False
