"""ipyparallel: a controller on the master, engines on every node, and a notebook.

The master's own files are the record of ports and keys: they are made there once, so that a restart of the controller
keeps both, and clients and engines that live come back by themselves. The CURVE secret key never leaves the master.
"""

from __future__ import annotations

import hashlib
import threading
from importlib.metadata import version
from importlib.resources import files as resources
from typing import TYPE_CHECKING, Any, Literal

from clusterctl.api import (
    Cluster,
    Connection,
    Facet,
    Field,
    Node,
    Request,
    Secret,
    Section,
    Service,
    StatusRow,
    as_user,
    hookimpl,
    hub,
    node_program,
    own_folder,
    plural,
    render,
    run_program,
    services,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path, PurePath, PurePosixPath

_ON_NODE = "clusterctl.on_node.with_ipyparallel"
_CLIENT_CHANNELS = ("registration", "control", "mux", "task", "iopub", "notification", "broadcast")


class Options(Section):
    """The options of the `ipcluster` plugin."""

    engines_per_node: int | Literal["auto"] = Field(
        "auto",
        description="engines on each node; auto: one a core, one fewer on the master of a cluster with workers",
    )
    enable_notebook: bool = Field(default=False, description="run JupyterLab on the master")
    notebook_directory: str = Field("", description="folder of the notebooks, below the cluster user's home")
    enable_curve: bool = Field(default=True, description="encrypt and authenticate all traffic of ipyparallel (CURVE)")
    heartbeat_period: int = Field(500, ge=50, description="milliseconds between heartbeats; a new engine waits for one")
    engine_timeout: float = Field(120.0, gt=0, description="seconds to wait for all engines to register")


class IPCluster:
    """The cluster's reason to be."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._lock = threading.Lock()

    @staticmethod
    @hookimpl
    def clusterctl_settings() -> type[Section]:
        """The options of `[plugin ipcluster]`."""
        return Options

    @hookimpl
    def clusterctl_request(self) -> Request:
        """The laptop's own ipyparallel, and JupyterLab if asked for."""
        notebook = ("jupyterlab",) if self._options.enable_notebook else ()
        return Request(pip=(f"ipyparallel=={version('ipyparallel')}", *notebook))

    @hookimpl
    def clusterctl_join(self, cluster: Cluster, node: Node) -> None:
        """Controller, engines and notebook on the master; engines on a worker."""
        if node.is_master:
            self._join_master(cluster, node)
        else:
            engine = self._engine_file(cluster)
            # Another controller's engines, or those of a master that was lost, would not register with this one.
            version = hashlib.sha256(f"{engine}{cluster.master.id}".encode()).hexdigest()[:8]
            files = render(
                "ipcluster_worker.sh.j2", profile=hub.profile(node), engine=engine, programs=self._start_programs(node)
            )
            daemons = self._engine_services(cluster, node, version)
            cluster.on(node).run_script(
                _join_script(cluster, node, files, daemons), name="ipcluster: engines", sudo=True
            )

    def _join_master(self, cluster: Cluster, node: Node) -> None:
        wanted = {
            "profile": hub.profile(node),
            "engine_ip": node.private_address,
            "curve": self._options.enable_curve,
            "notebook": self._notebook_config(node),
        }
        files = render(
            "ipcluster_master.sh.j2",
            profile=hub.profile(node),
            connection_files=run_program(_python_command(node)[0], f"{_ON_NODE}.connection_files", wanted),
            programs=self._start_programs(node),
            notebook=self._notebook_files(node),
        )
        daemons = [
            self._controller_service(cluster, node),
            *self._engine_services(cluster, node),
            *self._notebook_services(cluster, node),
        ]
        script = _join_script(cluster, node, files, daemons)
        result = cluster.on(node).run_script(script, name="ipcluster: controller and engines", secret=True, sudo=True)
        _write_private(cluster.folder / "engine.json", result.stdout.strip())

    def _start_programs(self, node: Node) -> dict[str, str]:
        """The programs that start a node's processes, by the names of their files in the profile."""
        security = hub.profile(node) / "security"
        period = self._options.heartbeat_period
        # An engine may be up before the controller, and outlives one that restarts: five minutes without a beat are
        # forgiven.
        engine = {"timeout": 120, "max_heartbeat_misses": max(50, 300_000 // period), "wait_for_url_file": 120}
        values = {"config": {"IPEngine": engine}, "connection": security / "ipcontroller-engine.json"}
        programs = {"ipengine.py": node_program(f"{_ON_NODE}.start_engine", values)}
        if node.is_master:
            curve = self._options.enable_curve
            config = {
                "IPController": _controller_config(node, curve=curve),
                # Whatever the period, an engine is given up after 20 s without a beat.
                "HeartMonitor": {"period": period, "max_heartmonitor_misses": max(10, 20_000 // period)},
            }
            values = {"config": config, "keys": security / "ipcontroller-curve.json" if curve else None}
            programs["ipcontroller.py"] = node_program(f"{_ON_NODE}.start_controller", values)
        return programs

    def _engine_file(self, cluster: Cluster) -> str:
        """What an engine needs to find the controller, from the laptop, or from the master if it was lost there."""
        kept = cluster.folder / "engine.json"
        with self._lock:  # workers join side by side
            if not kept.exists():
                remote = hub.profile(cluster.master) / "security" / "ipcontroller-engine.json"
                result = cluster.on(cluster.master).run(f"cat '{remote}'", secret=True, sudo=True)
                _write_private(kept, result.stdout.strip())
            return kept.read_text(encoding="utf-8")

    def _controller_service(self, cluster: Cluster, node: Node) -> Service:
        return Service(
            name="controller",
            command=[
                *_python_command(node, hub.profile(node) / "ipcontroller.py"),
                f"--profile-dir={hub.profile(node)}",
            ],
            user=cluster.user,
            home=node.layout.home,
            directory=node.layout.home,
            # Its eight children hold the ports: left alive, they would keep the next controller from starting.
            whole_group=True,
            environment=_process_environment(node),
            version=self._restart_token(cluster),
        )

    def _restart_token(self, cluster: Cluster) -> str:
        """Changes with what a controller and its engines can only take over by starting anew."""
        return f"{cluster.recall('environment')} {self._options.enable_curve} {self._options.heartbeat_period}"

    def _engine_services(self, cluster: Cluster, node: Node, version: str = "") -> list[Service]:
        numbers = self._engine_ids(cluster, node)
        engine = Service(
            name="engine",
            command=[
                *_python_command(node, hub.profile(node) / "ipengine.py"),
                f"--profile-dir={hub.profile(node)}",
                "--IPEngine.id={number}",
            ],
            user=cluster.user,
            home=node.layout.home,
            directory=node.layout.home,
            count=len(numbers),
            first=numbers.start,
            environment=_process_environment(node),
            # Other packages, options or controller: the engines must start anew.
            version=f"{self._restart_token(cluster)} {version}",
        )
        return [engine]

    def _notebook_services(self, cluster: Cluster, node: Node) -> list[Service]:
        if not self._options.enable_notebook:
            return []
        return [
            Service(
                name="notebook",
                command=_notebook_command(node),
                user=cluster.user,
                home=node.layout.home,
                directory=node.layout.home,
                whole_group=True,
                environment=_process_environment(node),
                version=f"{cluster.recall('environment')}",
            )
        ]

    def _notebook_files(self, node: Node) -> dict[str, object] | None:
        if not self._options.enable_notebook:
            return None
        return {
            "folder": self._notebook_folder(node),
            "startup": hub.profile(node).parent / "profile_default" / "startup",
            "startup_code": _read_source("notebook_startup.py"),
        }

    def _notebook_config(self, node: Node) -> dict[str, object] | None:
        """What the server is told besides its port and token, which are chosen on the node, and in which file."""
        if not self._options.enable_notebook:
            return None
        root = Facet.MACHINE not in node.facets and node.user == "root"
        return {
            "config": _notebook_file(node),
            "server": {"root_dir": self._notebook_folder(node), "allow_root": root},
        }

    def _notebook_folder(self, node: Node) -> PurePosixPath:
        return node.layout.home / self._options.notebook_directory

    def _engine_ids(self, cluster: Cluster, node: Node) -> range:
        """The ids of a node's engines. They stay the node's own as long as it is a member."""
        with self._lock:
            ids = hub.engine_ids(cluster)
            # In the order of the nodes, whichever asks first: ids then run from the master to the last worker.
            for member in [*(other for other in cluster.nodes if other.cores), node]:
                count = self._count_engines(cluster, member)
                if len(ids.get(member.alias, ())) != count:
                    ids.pop(member.alias, None)
                    ids[member.alias] = hub.lowest_gap(list(ids.values()), count)
            hub.keep_engine_ids(cluster, ids)
            return ids[node.alias]

    def _count_engines(self, cluster: Cluster, node: Node) -> int:
        if self._options.engines_per_node != "auto":
            return self._options.engines_per_node
        cores = node.cores or 1
        # On a machine of its own the controller's nine processes deserve a core.
        spare = 1 if node.is_master and cluster.workers and Facet.MACHINE in node.facets else 0
        return max(1, cores - spare)

    @hookimpl
    def clusterctl_connect(self, cluster: Cluster) -> Sequence[Connection]:
        """Count the engines at the controller, and say where the laptop finds it."""

        def revive(node: Node, missing: set[int]) -> None:
            names = [services.instance("engine", number) for number in sorted(missing)]
            cluster.on(node).run_script(services.restart(node, names), name="ipcluster: restart engines", sudo=True)

        members = {node.alias for node in cluster.nodes if node.reachable}
        wanted = {alias: numbers for alias, numbers in hub.engine_ids(cluster).items() if alias in members}
        answer = hub.wait(cluster, wanted, timeout_s=self._options.engine_timeout, revive=revive)
        registered = {alias: len(set(numbers) & set(answer.engines)) for alias, numbers in wanted.items()}
        for alias, numbers in wanted.items():
            if registered[alias] < len(numbers):
                cluster.problem(
                    f"{alias}: {len(numbers) - registered[alias]} of {len(numbers)} engines did not register;"
                    f" see `clusterctl logs {cluster.name} {alias}`"
                )
        count, nodes = sum(registered.values()), sum(1 for number in registered.values() if number)
        # Where a node is no machine, there is no user but the one who started it.
        user = cluster.user if Facet.MACHINE in cluster.master.facets else cluster.master.user
        summary = f"{plural(count, 'engine')} on {plural(nodes, 'node')} for {user}"
        client = Connection(
            "client",
            host="127.0.0.1",
            ports={channel: answer.client[channel] for channel in _CLIENT_CHANNELS},
            document=answer.client,
            summary=summary,
        )
        if answer.notebook.get("late"):
            cluster.problem(f"the notebook does not answer yet; see `clusterctl logs {cluster.name} master`")
        return [client, *_notebook_connection(answer.notebook)]

    @hookimpl
    def clusterctl_leave(self, cluster: Cluster, node: Node) -> None:
        """Stop the node's engines and take their ids off the controller's list."""
        if cluster.ending:
            return  # engines and controller end with their machines
        ids = hub.engine_ids(cluster)
        if node.reachable:
            names = ["engine", "controller", "notebook"] if node.is_master else ["engine"]
            lasting = Facet.LASTING in node.facets
            stop = services.stop(node, names)
            script = render("ipcluster_leave.sh.j2", lasting=lasting, mark=cluster.mark if lasting else "", stop=stop)
            cluster.on(node).run_script(script, name="ipcluster: stop", sudo=True)
        if not (node.is_master or cluster.all_leave) and node.alias in ids and cluster.master.reachable:
            gone = ids.pop(node.alias)
            hub.ask(cluster, forget=gone)
            hub.keep_engine_ids(cluster, ids)

    @hookimpl
    def clusterctl_status(self, cluster: Cluster) -> Sequence[StatusRow]:
        """The controller, and the engines that are registered, a row a node."""
        answer = hub.ask(cluster)
        says = "answers" if answer.answered else "does not answer"
        rows = [StatusRow("master", "controller", says, answer.answered)]
        ids = hub.engine_ids(cluster)
        for node in cluster.nodes:
            numbers = ids.get(node.alias, range(0))
            registered = len(set(numbers) & set(answer.engines))
            value = f"{registered} of {len(numbers)}" if numbers else "never set up"
            rows.append(
                StatusRow(node.alias, "engines", value, bool(numbers) and registered == len(numbers), registered)
            )
        return rows


def _write_private(path: Path, text: str) -> None:
    """Write a file for its owner only, whole or not at all."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def _join_script(cluster: Cluster, node: Node, files: str, daemons: Sequence[Service]) -> str:
    """What makes a node's files, as the cluster user, and its daemons: one script, run as root on a machine."""
    return render(
        "ipcluster_join.sh.j2",
        folder=own_folder(node, cluster.user, hub.profile(node).parent),
        files=as_user(node, cluster.user, files),
        daemons=services.ensure(node, daemons),
    )


def _python_command(node: Node, *words: str | PurePath) -> tuple[str, ...]:
    return (str(node.layout.env / "bin" / "python"), *map(str, words))


def _controller_config(node: Node, *, curve: bool) -> dict[str, object]:
    return {
        # Ports and keys are in files that were made before: a controller that restarts keeps both, and takes back the
        # engines it had.
        "reuse_files": True,
        "restore_engines": True,
        "engine_ip": node.private_address,
        "client_ip": "127.0.0.1",
        "enable_curve": curve,
        # The database keeps every task's buffers in memory: 1 GiB of them, at a seventh of the speed.
        "db_class": "NoDB",
    }


def _notebook_file(node: Node) -> PurePosixPath:
    """The notebook server's configuration."""
    return hub.profile(node).parent / "jupyter_server_config.json"


def _notebook_command(node: Node) -> list[str]:
    # Jupyter reads the .json and the .py file of the name that it is given, whichever of both that says. The .py is in
    # the commands of 0.1, whose notebooks would else be restarted, with their kernels, when their master joins again.
    return [*_python_command(node, "-m", "jupyterlab"), f"--config={_notebook_file(node).with_suffix('.py')}"]


def _read_source(name: str) -> str:
    """A file that goes to a node as it is."""
    return resources(_ON_NODE).joinpath(name).read_text(encoding="utf-8")


def _process_environment(node: Node) -> dict[str, str]:
    return {"IPYTHONDIR": str(hub.profile(node).parent), "CLUSTERCTL_NODE": node.alias}


def _notebook_connection(notebook: Mapping[str, Any]) -> list[Connection]:
    if not notebook:
        return []
    url = Secret("http://127.0.0.1:{notebook}/lab?token=" + notebook["token"])
    return [Connection("notebook", host="127.0.0.1", ports={"notebook": notebook["port"]}, url=url)]
