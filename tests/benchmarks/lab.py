"""Four fresh containers with the nodes' image, for the tools that machines.py compares."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from common import home

from clusterctl.errors import ClusterctlError
from clusterctl.events import SILENT
from clusterctl.operations.plan import make_plan
from clusterctl.planning import node_aliases
from clusterctl.wiring.context import load_context

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clusterctl.model import Node

USER = "iptest"
TALK = ("msgpack", "ipython", "scikit-learn")
"""What the talk installed."""
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
        parts = load_context("bench", config_file=str(config), report=SILENT)
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
