"""Dask beside ipyparallel: a scheduler on the master, and workers on every node.

The master's own file is the record of ports and certificates: they are made there once, so that a restart keeps both.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from clusterctl.api import (
    Busy,
    Cluster,
    Connection,
    Facet,
    Node,
    Note,
    Plugin,
    PluginError,
    Request,
    Secret,
    ServiceHealth,
    StatusRow,
    as_user,
    hookimpl,
    notes,
    own_folder,
    plural,
    render,
    run_program,
    services,
    write_atomically,
)

from .daemons import (
    ON_NODE,
    SCHEDULER,
    WORKER,
    connection_file,
    folder_of,
    programs,
    restart_token,
    scheduler_service,
    shape_of,
    worker_service,
)
from .document import parse_document
from .options import Options

if TYPE_CHECKING:
    from collections.abc import Sequence

_FILE = "dask-node.json"
"""The laptop's copy of what workers need."""
_WORKERS = Note("dask workers", dict[str, int])
"""How many workers each node was set up with."""
_WORKERS_OF = Note("dask workers of", str)
"""What the workers that run were started for. Workers of anything else start anew."""

_USAGE = """\
Use Dask from this computer, in Python{version}:

import clusterctl
dask = clusterctl.connect({name}).dask()"""


class Dask(Plugin[Options]):
    """Task graphs and data frames, on the nodes that the engines are on."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._lock = threading.Lock()

    @hookimpl
    def clusterctl_request(self) -> Request:
        """The laptop's own version, if it has one: the two ends must be the same."""
        try:
            pin = f"=={version('distributed')}"
        except PackageNotFoundError:
            pin = ""
        return Request(pip=(f"distributed{pin}", "dask[array,dataframe,diagnostics]", "cryptography>=42"))

    @hookimpl
    def clusterctl_prepare(self, cluster: Cluster) -> None:
        """Say that workers which run start anew, if their packages or options are others now."""
        started_for = cluster.recall(_WORKERS_OF)
        if started_for is not None and started_for != self._workers_of(cluster):
            count = sum(_known(cluster).values())
            cluster.will_end(f"{plural(count, 'Dask worker')} with what is in memory")

    def _workers_of(self, cluster: Cluster) -> str:
        told = self.options
        shape = f"{told.workers_per_node} {told.master_workers} {told.threads_per_worker} {told.memory_limit}"
        return f"{restart_token(cluster)} {shape}"

    @hookimpl
    def clusterctl_join(self, cluster: Cluster, node: Node) -> None:
        """The scheduler on the master, and workers wherever there shall be some."""
        document = None if node.is_master else self._document(cluster)
        make = self._make(cluster, node) if document is None else ""
        files = render(
            "dask_files.sh.j2",
            folder=folder_of(node),
            programs=programs(cluster, node, self.options),
            document=json.dumps(document) if document else "",
            make=make,
        )
        shape = shape_of(cluster, node, self.options)
        # Workers of another scheduler, or of a master that was lost, would not find this one.
        token = hashlib.sha256(f"{document}{cluster.master.id}".encode()).hexdigest()[:8] if document else ""
        daemons = [scheduler_service(cluster, node)] if node.is_master else []
        daemons += [worker_service(cluster, node, self.options, token)] if shape.workers else []
        script = "\n".join(
            [
                "set -eu",
                own_folder(node, cluster.user, folder_of(node)),
                as_user(node, cluster.user, files),
                services.ensure(node, daemons),
                "" if shape.workers else f"(\n{services.stop(node, [WORKER])}\n)",
            ]
        )
        name = "dask: scheduler and workers" if node.is_master else "dask: workers"
        result = cluster.on(node).run_script(script, name=name, secret=True, sudo=True)
        if node.is_master:
            write_atomically(cluster.folder / _FILE, json.dumps(parse_document(_last_line(result.stdout))))
        with self._lock:
            cluster.remember(_WORKERS, {**_known(cluster), node.alias: shape.workers})

    def _make(self, cluster: Cluster, node: Node) -> str:
        """A piece of a script that makes what the master lacks, and prints it."""
        values = {
            "file": connection_file(node),
            "address": node.private_address,
            "program": folder_of(node) / "scheduler.py",
            "cluster": cluster.name,
        }
        return run_program(node.layout.env / "bin" / "python", f"{ON_NODE}.make_connection", values)

    def _document(self, cluster: Cluster) -> dict[str, object]:
        """What a worker needs to find the scheduler, from the laptop, or from the master if it was lost there."""
        kept = cluster.folder / _FILE
        with self._lock:  # workers join side by side
            try:
                return parse_document(kept.read_text(encoding="utf-8"))
            except (OSError, ValueError, PluginError):
                file = connection_file(cluster.master)
                result = cluster.on(cluster.master).run(f"cat '{file}'", secret=True, sudo=True)
                document = parse_document(result.stdout)
                write_atomically(kept, json.dumps(document))
                return document

    @hookimpl
    def clusterctl_connect(self, cluster: Cluster) -> Sequence[Connection]:
        """Wait for the workers, and say where the laptop finds the scheduler and its dashboard."""
        known = _known(cluster)
        wanted = {node.alias: known[node.alias] for node in cluster.nodes if node.reachable and node.alias in known}
        registered = self._wait(cluster, wanted)
        for alias, count in wanted.items():
            if registered[alias] < count:
                cluster.problem(
                    f"{alias}: {count - registered[alias]} of {plural(count, 'Dask worker')} did not register;"
                    f" see `clusterctl logs {cluster.name} {alias}`"
                )
        document = self._document(cluster)
        count, nodes = sum(registered.values()), sum(1 for number in registered.values() if number)
        python = cluster.recall(notes.PYTHON)
        usage = _USAGE.replace("{version}", f" {python}" if python else "").replace("{name}", repr(cluster.name))
        cluster.remember(_WORKERS_OF, self._workers_of(cluster))
        public = {name: document[name] for name in ("scheduler", "ca", "cert", "key", "version")}
        url = Secret(f"http://127.0.0.1:{{dashboard}}/{document['token']}/status")
        return [
            Connection(
                "dask",
                host="127.0.0.1",
                ports={"scheduler": _port(document, "scheduler")},
                document={"host": "127.0.0.1", **public},
                summary=f"{plural(count, 'Dask worker')} on {plural(nodes, 'node')}",
                usage=usage,
            ),
            Connection("dask-dashboard", host="127.0.0.1", ports={"dashboard": _port(document, "dashboard")}, url=url),
        ]

    def _wait(self, cluster: Cluster, wanted: dict[str, int]) -> dict[str, int]:
        """Return how many workers of each node have come."""
        names = [f"{alias}-{number}" for alias, count in wanted.items() for number in range(count)]
        master, timeout_s = cluster.master, self.options.worker_timeout
        values = {"file": connection_file(master), "workers": names, "timeout_s": timeout_s}
        script = run_program(master.layout.env / "bin" / "python", f"{ON_NODE}.wait_workers", values)
        result = cluster.on(master).run_script(
            script, name="dask: count workers", timeout_s=timeout_s + 60, sudo=True, reads=True
        )
        try:
            said = json.loads(_last_line(result.stdout))
            trouble, known = str(said["trouble"]), {str(name) for name in said["workers"]}
        except (ValueError, KeyError, TypeError):
            trouble, known = "it gave an answer that cannot be read", set()
        if trouble:
            cluster.problem(f"Dask's scheduler does not answer: {trouble}; see `clusterctl logs {cluster.name} master`")
        return {alias: sum(f"{alias}-{number}" in known for number in range(count)) for alias, count in wanted.items()}

    @hookimpl
    def clusterctl_leave(self, cluster: Cluster, node: Node) -> None:
        """Have the node's workers give their data to others, and stop them."""
        if cluster.ending:
            return  # they end with their machines
        with self._lock:
            known = _known(cluster)
            cluster.remember(_WORKERS, {alias: count for alias, count in known.items() if alias != node.alias})
        if not node.reachable:
            return  # the scheduler finds out by itself
        retire_s = 0 if cluster.all_leave or node.is_master else self.options.retire_timeout
        folder, lasting = folder_of(node), Facet.LASTING in node.facets
        script = render(
            "dask_leave.sh.j2",
            lasting=lasting,
            mark=cluster.mark if lasting else "",
            retire_s=retire_s,
            status=services.status(node),
            leave=as_user(node, cluster.user, f": > '{folder / 'leave'}'"),
            left=folder / "left",
            stop=services.stop(node, [WORKER, SCHEDULER] if node.is_master else [WORKER]),
        )
        cluster.on(node).run_script(script, name="dask: stop", timeout_s=retire_s + 60, sudo=True)

    @hookimpl
    def clusterctl_undo(self, cluster: Cluster, node: Node) -> None:
        """Take its files off, with the certificates."""
        script = render("dask_undo.sh.j2", mark=cluster.mark, folder=folder_of(node))
        cluster.on(node).run_script(script, name="dask: remove", sudo=True)

    @hookimpl
    def clusterctl_busy(self, cluster: Cluster) -> Sequence[Busy]:
        """Tasks that run, and tasks that wait for a worker."""
        return [Busy("dask", f"{ON_NODE}.busy_scheduler", {"file": connection_file(cluster.master)})]

    @hookimpl
    def clusterctl_status(self, cluster: Cluster, services: Sequence[ServiceHealth]) -> Sequence[StatusRow]:
        """The workers that are registered, a row a node."""
        said = next((one.facts.get("workers") for one in services if one.service == SCHEDULER), None)
        joined = Counter(str(name).rpartition("-")[0] for name in said) if isinstance(said, list) else Counter()
        rows = []
        for node in cluster.nodes:
            wanted = _known(cluster).get(node.alias)
            count = joined[node.alias]
            value = "never set up" if wanted is None else f"{count} of {wanted}"
            rows.append(StatusRow(node.alias, "dask workers", value, wanted is not None and count >= wanted, count))
        return rows


def _known(cluster: Cluster) -> dict[str, int]:
    """How many workers each node was set up with."""
    return cluster.recall(_WORKERS) or {}


def _last_line(output: str) -> str:
    return next(reversed(output.strip().splitlines()), "")


def _port(document: dict[str, object], name: str) -> int:
    return int(str(document[name]))
