"""The bare part of machines.py: the environments are there, and nothing runs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from common import clusterctl
from lab import Machines, machines
from tools import run_tool

from clusterctl.tunnel import process

DASK_HOME = "/var/cache/clusterctl/bench-dask"
DASK = """
import socket, sys, json, time
from dask.distributed import Client, SSHCluster
hosts, options, python = json.loads(sys.argv[1])
cluster = SSHCluster(hosts, connect_options=options, remote_python=python,
    scheduler_options={"port": 0}, worker_options={"nthreads": 1})
client = Client(cluster)
client.wait_for_workers(4)
print(time.monotonic())
assert len(set(client.run(socket.gethostname).values())) == 4
"""
OURS = """
import socket, sys, ipyparallel
client = ipyparallel.Client(sys.argv[1])
assert len(set(client[:].apply_sync(socket.gethostname))) == 4
"""


def bare(image: str, more: str, tools: Path, runs: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Seconds from nothing that runs, by tool: to engines that work, and to an answer from all four."""
    up: dict[str, list[float]] = {"clusterctl": [], "dask SSHCluster": []}
    answered: dict[str, list[float]] = {name: [] for name in up}
    with machines(image, more, notebook=False) as lab:
        clusterctl(lab.env, "start", "bench")
        install_dask(lab, tools)
        _await_compiled(lab)
        acts = {"clusterctl": lambda: _bare_ours(lab), "dask SSHCluster": lambda: _bare_dask(lab, tools)}
        for number in range(runs):
            for name in list(acts) if number % 2 == 0 else reversed(list(acts)):
                _end_all(lab)
                began = time.monotonic()
                up[name].append(acts[name]() - began)
                answered[name].append(time.monotonic() - began)
            last = ", ".join(f"{name} {up[name][-1]:.1f} s, answered {answered[name][-1]:.1f} s" for name in up)
            print(f"  bare run {number + 1}: {last}", flush=True)
    return up, answered


def _await_compiled(lab: Machines) -> None:
    """Wait for what our join has left to the background: it would be charged to whoever is timed."""
    for node in lab.nodes[:1]:  # they share one environment
        lab.ssh(
            node, "for i in $(seq 600); do [ ! -e /opt/clusterctl/env/compiled ] || exit 0; sleep 0.2; done; exit 1\n"
        )


def _end_all(lab: Machines) -> None:
    """Nothing of ours is left running: neither services and what looks after them, nor the tunnel."""
    clusterctl(lab.env, "runplugin", "ipclusterstop", "bench")
    process.close_tunnel(lab.key.parent)
    pid = "/run/clusterctl/supervisord.pid"
    for node in lab.nodes:
        lab.ssh(
            node,
            f"[ -e {pid} ] || exit 0; manager=$(cat {pid}); kill $manager\n"
            "for i in $(seq 100); do kill -0 $manager 2>/dev/null || exit 0; sleep 0.1; done; exit 1\n",
        )


def _bare_ours(lab: Machines) -> float:
    """Returns when the engines worked, by the monotonic clock."""
    clusterctl(lab.env, "start", "bench")
    up = time.monotonic()
    file = Path(lab.env["CLUSTERCTL_HOME"]) / "clusters" / "bench" / "client.json"
    subprocess.run([sys.executable, "-c", OURS, str(file)], check=True)
    return up


def _bare_dask(lab: Machines, tools: Path) -> float:
    """Returns when the workers worked, by the monotonic clock."""
    # Its workers run as root, in an environment of the same Python; its scheduler is on the first host.
    hosts = [lab.nodes[0].private_address, *(node.private_address for node in lab.nodes)]
    options = {"username": "root", "client_keys": [str(lab.key)], "known_hosts": None}
    request = json.dumps([hosts, options, f"{DASK_HOME}/bin/python"])
    return float(run_tool([str(tools / "bin" / "python"), "-c", DASK, request], lab.folder, lab.env).split()[-1])


def install_dask(lab: Machines, tools: Path) -> None:
    """The laptop's Dask, untimed: in the cache that the nodes share, by the one that has uv."""
    code = "from importlib.metadata import version as v; print(v('dask'), v('distributed'))"
    said = subprocess.run([str(tools / "bin" / "python"), "-c", code], capture_output=True, text=True, check=True)
    dask, distributed = said.stdout.split()
    lab.ssh(
        lab.nodes[0],
        "if [ -r /etc/clusterctl/environment ]; then set -a; . /etc/clusterctl/environment; set +a; fi\n"
        "export UV_SYSTEM_CERTS=true UV_NATIVE_TLS=true\n"
        "export UV_CACHE_DIR=/var/cache/clusterctl/uv PATH=/opt/clusterctl/bin:$PATH\n"
        f"uv venv --quiet --python python3 {DASK_HOME}\n"
        f"uv pip install --quiet --compile-bytecode --python {DASK_HOME}/bin/python"
        f" dask=={dask} distributed=={distributed}\n",
    )
