"""Four machines from an answer on port 22 to a working cluster: ours against Ansible, pyinfra, ssh with pip, and Dask.

    python tests/benchmarks/machines.py [--runs 5] [--image IMAGE] [--tools VENV] [--only NAME,...]

Needs a Docker engine and the image of `clusterctl image build`; the other tools are installed into a virtual
environment of their own (kept with --tools). Every tool gets the same four fresh containers, whose SSH servers answer
before the clock starts, and brings the same thing up: host names, the user, its ssh keys and host keys, the talk's
three packages with ipyparallel and JupyterLab on every node, a supervised controller, an engine a node, a notebook. The
clock stops when a program on the master has heard from all four engines and the notebook's port is open. Then each
does it again, on what it has just made. The playbook and the deploy are in tests/benchmarks/machines/. Python packages
come from the index each time; Debian's packages are in the image, so that no tool waits for a mirror.

The bare part: the environments are there and compiled, nothing runs on the nodes but their SSH servers and nothing on
the laptop, no notebook is wanted. Ours against Dask's SSHCluster, in turn on the same four machines, with the same
Python at both ends, by two clocks: until the controller (scheduler) and all engines (workers) work, as `clusterctl
start` and Dask's `wait_for_workers` tell; and until every node has answered a call from the laptop, for which ours
starts a second Python that loads ipyparallel. Ours has more to do: it looks whether users, names and environments are
as they should be, checks host keys, has services that come back, and encrypts.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))
from common import clusterctl, home, machine, spread

from clusterctl.errors import ClusterctlError
from clusterctl.operations.plan import make_plan
from clusterctl.planning import node_aliases
from clusterctl.tunnel import process
from clusterctl.wiring.context import load_context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clusterctl.model import Node

HERE = Path(__file__).parent / "machines"
USER = "iptest"
TALK = ("msgpack", "ipython", "scikit-learn")
"""What the talk installed."""
PACKAGES = (*TALK, f"ipyparallel=={version('ipyparallel')}", "jupyterlab", "supervisor")
TOOLS = ("ansible", "pyinfra", "dask[distributed]", "asyncssh")
NODES = node_aliases(4)
CONFIG = f"""
[cluster bench]
PROVIDER = docker
NODE_IMAGE_ID = {{image}}
CLUSTER_SIZE = {len(NODES)}
CLUSTER_USER = {USER}
PLUGINS = ippackages, ipcluster
[plugin ippackages]
SETUP_CLASS = packages
PACKAGES = {", ".join(TALK)}
LOCK_MAX_AGE = 0
[plugin ipcluster]
ENGINES_PER_NODE = 1
ENABLE_NOTEBOOK = {{notebook}}
NOTEBOOK_DIRECTORY = notebooks
{{more}}
"""
PROVE = """
import os, socket, sys, threading, ipyparallel
while not os.path.exists(sys.argv[1]) or not os.path.getsize(sys.argv[1]):
    threading.Event().wait(0.05)
client = ipyparallel.Client(sys.argv[1], timeout=300)
client.wait_for_engines(4, timeout=300, interactive=False)
names = client[:].apply_sync(socket.gethostname)
assert len(set(names)) == 4, names
while True:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", int(sys.argv[2]))) == 0:
            break
    threading.Event().wait(0.05)
"""


class Machines:
    """Four fresh containers that answer, and how to get onto them."""

    def __init__(self, env: dict[str, str], folder: Path, nodes: list[Node]) -> None:
        self.env, self.folder, self.nodes = env, folder, nodes
        self.key = Path(env["CLUSTERCTL_HOME"]) / "clusters" / "bench" / "id_ed25519"
        self.known_hosts = folder / "known_hosts"
        by_port = [f"[{n.address}]:{n.port} {n.host_key}\n" for n in nodes]
        inside = [f"{n.alias},{n.private_address} {n.host_key}\n" for n in nodes]
        self.known_hosts.write_text("".join(by_port + inside))

    def ssh(self, node: Node, script: str) -> None:
        """Run a root script on a node; fails loudly."""
        options = ["-i", str(self.key), "-o", f"UserKnownHostsFile={self.known_hosts}", "-p", str(node.port)]
        done = subprocess.run(
            ["ssh", "-o", "BatchMode=yes", *options, f"root@{node.address}", "sh -eus"],
            input=script,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{node.alias}: {done.stdout}{done.stderr}")

    def prove(self, python: str, connection: str, port: str) -> None:
        """Wait until the cluster works, as seen on the master."""
        arguments = f"{shlex.quote(connection)} {port}"
        script = f"runuser -u {USER} -- {python} - {arguments} <<'END'\n{PROVE}\nEND\n"
        self.ssh(self.nodes[0], script)


@contextmanager
def machines(image: str, more: str, *, notebook: bool = True) -> Iterator[Machines]:
    """Four containers with nothing on them but the image."""
    with home() as env, tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        folder = Path(scratch)
        config = Path(env["CLUSTERCTL_HOME"]) / "config"
        config.write_text(CONFIG.format(image=image, more=more, notebook=notebook))
        # A user of its own has a cache of its own: what one run has downloaded must not help the next one.
        changed = {"CLUSTERCTL_HOME": env["CLUSTERCTL_HOME"], "LOGNAME": f"bench{os.getpid()}"}
        os.environ |= changed
        env.update(changed)
        parts = load_context("bench", config_file=str(config), report=lambda _: None)
        try:
            nodes = parts.provider.create(make_plan(parts, NODES), public_key=parts.folder.ensure_exists())
            parts.folder.pin_host_keys(nodes)
            for node in nodes:
                _await_login(parts.connector(node))
            yield Machines(env, folder, nodes)
        finally:
            parts.provider.destroy("bench")
            volume = f"clusterctl-{changed['LOGNAME']}-cache"
            subprocess.run(["docker", "volume", "rm", "--force", volume], capture_output=True, check=True)


def _await_login(remote: object) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            remote.connect()  # type: ignore[attr-defined]
        except ClusterctlError:
            if time.monotonic() > deadline:
                raise
        else:
            remote.close()  # type: ignore[attr-defined]
            return


# --- the tools: each is called twice on the same machines


def ours(lab: Machines) -> None:
    """`clusterctl start`."""
    clusterctl(lab.env, "start", "bench")
    state = "/var/lib/clusterctl/ipython/profile_cluster/security"
    port = f'"$(sed -E \'s/.*"port": ([0-9]+).*/\\1/\' {state}/notebook.json)"'
    lab.prove("/opt/clusterctl/env/bin/python", f"{state}/ipcontroller-client.json", port)


def _prove_theirs(lab: Machines) -> None:
    lab.prove("/opt/venv/bin/python", f"/home/{USER}/profile/security/ipcontroller-client.json", "8888")


def ansible(lab: Machines, tools: Path, kind: str) -> None:
    """The playbook, plain or tuned."""
    folder = lab.folder / f"ansible-{kind}"
    shutil.copytree(HERE, folder, dirs_exist_ok=True)
    hosts = {
        node.alias: {
            "ansible_host": node.address,
            "ansible_port": node.port,
            "ansible_user": "root",
            "private_address": node.private_address,
            "host_key": node.host_key,
            "ansible_ssh_private_key_file": str(lab.key),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={lab.known_hosts}",
        }
        for node in lab.nodes
    }
    workers = {"hosts": {name: {} for name in list(hosts)[1:]}}
    inventory = {"all": {"hosts": hosts, "children": {"workers": workers}}}
    (folder / "inventory.json").write_text(json.dumps(inventory))
    facts = json.dumps({"cluster_user": USER, "packages": PACKAGES})
    env = {
        **lab.env,
        "ANSIBLE_CONFIG": str(folder / f"ansible_{kind}.cfg"),
        "ANSIBLE_LOCAL_TEMP": str(folder / "tmp"),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(lab.folder / "cp"),
        "LC_ALL": "C.UTF-8",
    }
    command = [str(tools / "bin" / "ansible-playbook"), "-i", "inventory.json", "-e", facts, "playbook.yml"]
    _run(command, folder, env)
    _prove_theirs(lab)


def pyinfra(lab: Machines, tools: Path) -> None:
    """The deploy."""
    folder = lab.folder / "pyinfra"
    shutil.copytree(HERE, folder, dirs_exist_ok=True)
    nodes = {node.alias: {"private_address": node.private_address} for node in lab.nodes}
    (folder / "facts.json").write_text(json.dumps({"user": USER, "nodes": nodes, "packages": PACKAGES}))
    shutil.copy(lab.known_hosts, folder / "known_hosts")
    (folder / "ipcontroller_config.py").write_text(_controller(lab.nodes[0]))
    hosts = [
        (
            node.alias,
            {
                "ssh_hostname": node.address,
                "ssh_port": node.port,
                "ssh_user": "root",
                "ssh_key": str(lab.key),
                "ssh_known_hosts_file": str(lab.known_hosts),
            },
        )
        for node in lab.nodes
    ]
    (folder / "inventory.py").write_text(f"nodes = {hosts!r}\n")
    _run([str(tools / "bin" / "pyinfra"), "-y", "inventory.py", "deploy.py"], folder, lab.env)
    _prove_theirs(lab)


def ssh_and_pip(lab: Machines) -> None:
    """One script a node over ssh, all at once, with pip: ours by hand and without uv."""
    hosts = "".join(f"{node.private_address} {node.alias}\n" for node in lab.nodes)
    inside = "".join(f"{node.alias},{node.private_address} {node.host_key}\n" for node in lab.nodes)

    def set_up(node: Node) -> None:
        supervisord = (HERE / "supervisord.conf").read_text()
        supervisord = _fill(supervisord, inventory_hostname=node.alias, cluster_user=USER)
        lab.ssh(
            node,
            f"grep -q node001 /etc/hosts || cat >> /etc/hosts <<'END'\n{hosts}END\n"
            f"id {USER} >/dev/null 2>&1 || useradd -m -u 20000 -s /bin/bash {USER} 2>/dev/null\n"
            f"cat > /etc/ssh/ssh_known_hosts <<'END'\n{inside}END\n"
            f"mkdir -p /srv/cluster /home/{USER}/profile /home/{USER}/notebooks /home/{USER}/.ssh\n"
            f"[ {node.alias} != master ] || [ -e /home/{USER}/.ssh/id_ed25519 ] || {{\n"
            f"ssh-keygen -q -t ed25519 -N '' -f /home/{USER}/.ssh/id_ed25519\n"
            f"cp /home/{USER}/.ssh/id_ed25519.pub /home/{USER}/.ssh/authorized_keys; }}\n"
            f"cat > /home/{USER}/profile/ipcontroller_config.py <<'END'\n{_controller(lab.nodes[0])}END\n"
            f"chown -R {USER} /home/{USER} /srv/cluster; chmod 700 /home/{USER}/.ssh\n"
            f"[ -x /opt/venv/bin/pip ] || python3 -m venv /opt/venv\n"
            f"/opt/venv/bin/pip install --quiet {shlex.join(PACKAGES)}\n"
            f"cat > /srv/cluster/supervisord.conf <<'END'\n{supervisord}\nEND\n"
            "[ -e /srv/cluster/supervisord.pid ]"
            " || /opt/venv/bin/supervisord -c /srv/cluster/supervisord.conf </dev/null >/dev/null 2>&1\n",
        )

    with ThreadPoolExecutor(len(lab.nodes)) as pool:
        list(pool.map(set_up, lab.nodes))
    _prove_theirs(lab)


def _fill(template: str, **values: str) -> str:
    from clusterctl.node.render import render_text

    return render_text(template, **values)


def _controller(master: Node) -> str:
    return (
        "c = get_config()\n"
        f'c.IPController.ip = "{master.private_address}"\n'
        "c.HeartMonitor.period = 500\n"
        "c.HeartMonitor.max_heartmonitor_misses = 40\n"
    )


def _run(command: list[str], folder: Path, env: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)} failed:\n{done.stdout[-4000:]}{done.stderr[-2000:]}")
    return done.stdout


# --- the bare part

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
    return float(_run([str(tools / "bin" / "python"), "-c", DASK, request], lab.folder, lab.env).split()[-1])


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


def bench_image(base: str) -> str:
    """The nodes' image with what the other tools need from Debian, so that none of them waits for a mirror."""
    text = (
        f"FROM {base}\n"
        "RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends"
        " python3-venv python3-pip python3-apt openssh-client && rm -rf /var/lib/apt/lists/*"
        # pip brings certificates of its own; a company's, or a laboratory's, are the system's.
        " && printf '[global]\\ncert = /etc/ssl/certs/ca-certificates.crt\\n' > /etc/pip.conf\n"
    )
    name = "clusterctl-bench"
    subprocess.run(["docker", "build", "--quiet", "--tag", name, "-"], input=text, text=True, check=True)
    return name


def ensure_tools(folder: Path) -> Path:
    """The other tools in an environment of their own."""
    if not (folder / "bin" / "pyinfra").exists():
        import uv

        program = uv.find_uv_bin()
        subprocess.run([program, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
        python = str(folder / "bin" / "python")
        subprocess.run([program, "pip", "install", "--quiet", "--python", python, *TOOLS], check=True)
    return folder


def main() -> None:
    """Run them in turn, the order alternating, and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--image", default="clusterctl-node", help="image of the nodes, by `clusterctl image build`")
    parser.add_argument("--more", default="", help="a file with more config, such as [plugin base] with certificates")
    parser.add_argument("--tools", type=Path, help="environment with the other tools; made if it is not there")
    parser.add_argument("--only", default="", help="tools to run, separated by commas; `bare` for the bare part")
    options = parser.parse_args()
    more = Path(options.more).read_text() if options.more else ""
    with tempfile.TemporaryDirectory(prefix="tools-") as scratch:
        tools = ensure_tools(options.tools or Path(scratch) / "venv")
        acts: dict[str, Callable[[Machines], None]] = {
            "clusterctl": ours,
            "pyinfra": lambda lab: pyinfra(lab, tools),
            "ssh and pip": ssh_and_pip,
            "ansible tuned": lambda lab: ansible(lab, tools, "tuned"),
            "ansible plain": lambda lab: ansible(lab, tools, "plain"),
        }
        chosen = {name: act for name, act in acts.items() if not options.only or name in options.only.split(",")}
        image = bench_image(options.image)
        print(machine())
        first: dict[str, list[float]] = {name: [] for name in chosen}
        again: dict[str, list[float]] = {name: [] for name in chosen}
        for number in range(options.runs):
            for name in list(chosen) if number % 2 == 0 else reversed(list(chosen)):
                with machines(image, more) as lab:
                    for results in (first, again):
                        began = time.monotonic()
                        chosen[name](lab)
                        results[name].append(time.monotonic() - began)
                print(f"  run {number + 1}: {name} {first[name][-1]:.1f} s, again {again[name][-1]:.1f} s", flush=True)
        wanted = not options.only or "bare" in options.only
        up, answered = bare(image, more, tools, options.runs) if wanted else ({}, {})
    for title, results in (
        ("four fresh machines to a working cluster", first),
        ("the same again", again),
        ("the bare part: nothing runs, to engines that work", up),
        ("the bare part: nothing runs, to an answer from all", answered),
    ):
        print(f"\n{title}, seconds, median (least - most) of {options.runs}")
        for name, values in results.items():
            print(f"{name:20}{spread(values)}")
        own = statistics.median(results.get("clusterctl") or [float("nan")])
        for name, values in results.items():
            if name != "clusterctl":
                print(f"{name} / clusterctl: {statistics.median(values) / own:.1f}")


if __name__ == "__main__":
    main()
