"""The controller and the engines: the services that keep them running, and the programs that start them."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from clusterctl.api import (
    Cluster,
    Facet,
    Node,
    Probe,
    Service,
    as_user,
    hub,
    node_program,
    notes,
    own_folder,
    put_library,
    render,
    runners_pattern,
    services,
)

from .gpus import share_gpus_out, wants_gpus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import PurePath

    from .options import Options

_JOBS_GRACE_S = 35
"""For jobs of a node that leaves: they have 30 seconds to end."""
ENGINE = "engine"
"""The service of engines."""
ON_NODE = "clusterctl.on_node.with_ipyparallel"
THREAD_LIMITS = (
    "BLIS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
"""What the libraries read that compute in threads of their own, each when it is loaded."""


def python_command(node: Node, *words: str | PurePath) -> tuple[str, ...]:
    """Return a command of the node's own Python."""
    return (str(node.layout.env / "bin" / "python"), *map(str, words))


def join_script(
    cluster: Cluster, node: Node, files: str, daemons: Sequence[Service], *, unwanted: Sequence[str] = ()
) -> str:
    """Return what makes a node's files, as the cluster user, and its daemons: one script, run as root on a machine."""
    python = cluster.recall(notes.PYTHON)
    file = hub.profile(cluster.master) / "security" / "ipcontroller-client.json"
    # Nodes on one computer have one loopback, on which the controller listens for clients, and one disk.
    reaches = node.is_master or Facet.DIRECT in node.facets
    master = "" if reaches else cluster.master.private_address
    library = put_library(node, cluster=cluster.name, python=python, file=file, master=master) if python else ""
    return render(
        "ipcluster_join.sh.j2",
        folder=own_folder(node, cluster.user, hub.profile(node).parent),
        files=as_user(node, cluster.user, files),
        library=library,
        daemons=services.ensure(node, daemons, unwanted=unwanted),
    )


def leave_script(cluster: Cluster, node: Node, names: Sequence[str]) -> str:
    """Return what ends a node's jobs and these services, where it leaves its cluster."""
    lasting = Facet.LASTING in node.facets
    return render(
        "ipcluster_leave.sh.j2",
        lasting=lasting,
        mark=cluster.mark if lasting else "",
        runners=runners_pattern(node),
        grace_s=_JOBS_GRACE_S,
        stop=services.stop(node, names),
    )


def restart_token(cluster: Cluster, options: Options) -> str:
    """Return what changes with what a controller and its engines can only take over by starting anew."""
    environment = cluster.recall(notes.LOADED) or cluster.recall(notes.ENVIRONMENT)
    return f"{environment} {options.enable_curve} {options.heartbeat_period}"


def controller_service(cluster: Cluster, node: Node, options: Options) -> Service:
    """Return the controller, as the master's service manager takes it."""
    return Service(
        name="controller",
        command=[
            *python_command(node, hub.profile(node) / "ipcontroller.py"),
            f"--profile-dir={hub.profile(node)}",
        ],
        user=cluster.user,
        home=node.layout.home,
        directory=node.layout.home,
        # Its eight children hold the ports: left alive, they would keep the next controller from starting.
        whole_group=True,
        environment=process_environment(node),
        version=restart_token(cluster, options),
        probe=Probe(f"{ON_NODE}.probe_controller", {"profile": hub.profile(node)}),
    )


def engine_service(cluster: Cluster, node: Node, numbers: range, options: Options, *, version: str = "") -> Service:
    """Return a node's engines, one for each of these ids. Another `version` starts them anew."""
    return Service(
        name=ENGINE,
        command=[
            *python_command(node, hub.profile(node) / "ipengine.py"),
            f"--profile-dir={hub.profile(node)}",
            "--IPEngine.id={number}",
        ],
        user=cluster.user,
        home=node.layout.home,
        directory=node.layout.home,
        count=len(numbers),
        first=numbers.start,
        environment=process_environment(node),
        # Other packages, options or controller: the engines must start anew.
        version=f"{restart_token(cluster, options)} {version}{_told_threads(options)}{told_variables(cluster)}"
        + (" gpu" if wants_gpus(node, options) else ""),
    )


def told_variables(cluster: Cluster) -> str:
    """Return what changes with the variables of the template and of plugins, if there are any."""
    variables = dict(cluster.request.environment)
    return f" {hashlib.sha256(json.dumps(variables, sort_keys=True).encode()).hexdigest()[:12]}" if variables else ""


def _told_threads(options: Options) -> str:
    """Return what changes with the number of threads, if one was told."""
    return "" if options.threads_per_engine == "auto" else f" {options.threads_per_engine}"


def thread_limits(node: Node, engines: int, options: Options) -> dict[str, dict[str, str]]:
    """Return the variables by which libraries know how many threads they may start, as an engine's start takes them.

    Without them each engine starts one a core, and all of them fight for the cores. What the user has set himself
    counts, unless an option says otherwise.
    """
    if options.threads_per_engine != "auto":
        return {"environment": dict.fromkeys(THREAD_LIMITS, str(options.threads_per_engine))}
    threads = max(1, (node.cores or 1) // max(1, engines))
    return {"defaults": dict.fromkeys(THREAD_LIMITS, str(threads))}


def start_programs(cluster: Cluster, node: Node, ids: range, options: Options) -> dict[str, str]:
    """Return the programs that start a node's processes, by the names of their files in the profile."""
    limits = thread_limits(node, len(ids), options)
    security = hub.profile(node) / "security"
    period = options.heartbeat_period
    # An engine may be up before the controller, and outlives one that restarts, or a network that is cut: twenty
    # minutes without a beat are forgiven.
    engine = {"timeout": 120, "max_heartbeat_misses": max(50, 1_200_000 // period), "wait_for_url_file": 120}
    values: dict[str, object] = {
        "config": {"IPEngine": engine},
        "connection": security / "ipcontroller-engine.json",
        "notice": node.layout.interruption,
        "log": node.layout.logs / f"{ENGINE}-{{number}}.log",
        "defaults": limits.get("defaults", {}),
        # The option that is about threads alone says more of them than the one about all variables.
        "environment": {**cluster.request.environment, **limits.get("environment", {})},
        "own": share_gpus_out(cluster, node, ids, options),
    }
    programs = {"ipengine.py": node_program(f"{ON_NODE}.start_engine", values)}
    if node.is_master:
        curve = options.enable_curve
        config = {
            "IPController": _controller_config(node, curve=curve),
            # Whatever the period, an engine is given up after 20 s without a beat.
            "HeartMonitor": {"period": period, "max_heartmonitor_misses": max(10, 20_000 // period)},
        }
        values = {"config": config, "keys": security / "ipcontroller-curve.json" if curve else None}
        programs["ipcontroller.py"] = node_program(f"{ON_NODE}.start_controller", values)
    return programs


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


def process_environment(node: Node) -> dict[str, str]:
    """Return the environment of every process of ipyparallel."""
    return {"IPYTHONDIR": str(hub.profile(node).parent), "CLUSTERCTL_NODE": node.alias}


def kept_folder(cluster: Cluster, node: Node) -> str:
    """Return where ports and keys outlive the master: in the home, if that shall do so. Two clusters may share one."""
    return str(node.layout.home / ".clusterctl" / "kept" / cluster.id) if cluster.machines.home_volume else ""
