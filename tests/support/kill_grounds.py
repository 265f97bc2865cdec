"""Where commands are killed: a home for clusters of one provider, and what they leave behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from clusterctl_standin.bodies.containers import Containers
from clusterctl_standin.cloud import Cloud

from clusterctl.providers.docker.engine import Engine

from .docker_engine import node_image

if TYPE_CHECKING:
    from typing_extensions import Self

TRAP = Path(__file__).parent / "kill_trap.py"
NAME = "killed"
_TIMEOUT_S = 300
_PLUGIN = '''
from clusterctl.api import Plugin, hookimpl


class Mine(Plugin):
    """What somebody else wrote."""

    @hookimpl
    def clusterctl_join(self, cluster, node):
        cluster.on(node).run_script("sleep 0.3; echo mine", name="mine")

    @hookimpl
    def clusterctl_members(self, cluster):
        cluster.on(cluster.master).run("true")
'''
CONFIG = """
[global]
DEFAULT_TEMPLATE = local

[cluster local]
CLUSTER_SIZE = 2
PLUGINS = ipcluster, mine

{more}

[plugin ipcluster]
ENGINES_PER_NODE = 1

[plugin mine]
SETUP_CLASS = mine.Mine
"""

_SAME = """CLUSTER_SIZE = 2
PLUGINS = ipcluster, mine
"""


class Ground:
    """A home for clusters of one provider, and what they leave behind; local nodes."""

    provider = "local"
    template = ""
    """The section of the config file that other nodes than local ones need."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        (self.home / "config").write_text(CONFIG.format(more=self.template))
        (folder / "mine.py").write_text(_PLUGIN)
        self.put = folder / "put"
        self.put.mkdir()
        for number in range(20):
            (self.put / f"file{number}").write_text(f"{number}\n" * 1000)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CLUSTERCTL_")},
            "CLUSTERCTL_HOME": str(self.home),
            "PYTHONPATH": str(folder),
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        left = self.end()
        if left:
            print(f"# left at the end: {left}", flush=True)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command, to its end."""
        return self._run([sys.executable, "-m", "clusterctl.cli.main", *arguments])

    def run_trapped(self, at: int, whom: str, *arguments: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        """A command that is killed at its N-th action; its actions until then."""
        log = self.folder / "actions"
        log.unlink(missing_ok=True)
        done = self._run([sys.executable, str(TRAP), str(at), str(log), whom, *arguments])
        return done, log.read_text().splitlines()

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        with (self.folder / "said").open("w+") as said:  # no pipe: what outlives the command may hold it open
            done = subprocess.run(
                command,
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                timeout=_TIMEOUT_S,
                start_new_session=True,
                check=False,
            )
            said.seek(0)
            return subprocess.CompletedProcess(command, done.returncode, said.read())

    def start(self) -> None:
        """Have a cluster that is well."""
        self.must("start", "--yes", "-c", self.provider, NAME)

    def must(self, *arguments: str) -> None:
        """Run a command that prepares a trial."""
        done = self.run(*arguments)
        assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}"

    def nodes(self) -> dict[str, int | None]:
        """The engines of each node, as `list` has them."""
        done = self.run("list", "--json")
        clusters = json.loads(done.stdout[done.stdout.index("[") :]) if done.returncode == 0 else []
        return {node["alias"]: node["engines"] for cluster in clusters for node in cluster["nodes"]}

    def is_whole(self, count: int) -> str:
        """Empty if so many nodes are there with their engines, and nothing more; else what is there."""
        found = self.nodes()
        return "" if len(found) == count and set(found.values()) == {1} else f"nodes {found}"

    def left(self) -> list[str]:
        """What a terminated cluster has left behind."""
        left = []
        for process in psutil.process_iter():
            try:
                words = process.cmdline()
                inside = str(self.home) in " ".join(words) or process.environ().get("CLUSTERCTL_HOME") == str(self.home)
            except psutil.Error:
                continue
            if inside and process.pid != os.getpid():
                left.append(f"process {' '.join(words)[:80]}")
        left += [f"folder {path}" for kind in ("clusters", "local") for path in (self.home / kind).glob("*")]
        return left

    def end(self) -> list[str]:
        """Terminate, and tell what is left. What is left is ended by hand then."""
        if not self.left():
            return []
        names = sorted({NAME, *(path.name for path in (self.home / "clusters").glob("*"))})
        done = self.run("terminate", "--yes", *names)
        left = self.left()
        if done.returncode:
            left.append(f"terminate ended with {done.returncode}: {done.stdout[-300:]}")
        if left:
            self.run("terminate", "--yes", "--force", *names)
            for process in psutil.process_iter():
                try:
                    if str(self.home) in " ".join(process.cmdline()):
                        process.kill()
                except psutil.Error:
                    continue
            for kind in ("clusters", "local"):
                shutil.rmtree(self.home / kind, ignore_errors=True)
        return left


class DockerGround(Ground):
    """Containers of a Docker engine."""

    provider = "docker"

    def __init__(self, folder: Path) -> None:
        image = node_image(Engine(os.environ).api)
        self.template = f"[cluster docker]\nPROVIDER = docker\nNODE_IMAGE_ID = {image}\n{_SAME}"
        super().__init__(folder)
        ask = "from clusterctl.wiring.local_paths import docker_owner; print(docker_owner())"
        self._owner = self._run([sys.executable, "-c", ask]).stdout.strip()

    def left(self) -> list[str]:
        """What is labelled with this home, too."""
        left = super().left()
        for kind in ("ps -aq", "network ls -q", "volume ls -q"):
            said = subprocess.run(
                ["docker", *kind.split(), "--filter", f"label=clusterctl.owner={self._owner}"],
                capture_output=True,
                text=True,
                check=True,
            )
            left += [f"{kind.split()[0]} {name}" for name in said.stdout.split()]
        return left


class StandinGround(Ground):
    """Instances of the stand-in for EC2, with bodies."""

    provider = "ec2"
    template = f"""[cluster ec2]
PROVIDER = ec2
NODE_IMAGE_ID = debian-12
NODE_INSTANCE_TYPE = c7i.large
CLUSTER_USER = iptest
ADDRESS = private
ALLOW_FROM = 192.0.2.1/32
SHARED_HOME = yes
{_SAME}"""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.cloud = stack.enter_context(Cloud())
            self._bodies = stack.enter_context(Containers(self.cloud))
            self.environment.update(self.cloud.environment())
            # Each trial saves the seconds in which nodes install what they need.
            self.must("image", "bake", "--yes", "-c", self.provider, "baked")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        self._stack.close()

    def left(self) -> list[str]:
        """What the account has, too."""
        return [*super().left(), *self.cloud.left()]

    def end(self) -> list[str]:
        """Terminate as anywhere; containers go a moment after their instances."""
        left = super().end()
        self._bodies.settle()
        return left


GROUNDS = {ground.provider: ground for ground in (Ground, DockerGround, StandinGround)}
