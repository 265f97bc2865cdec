"""A cluster that is broken, its processes, and whether it is well: local nodes on a disk of their own, or containers.

Both are reached through a tunnel, as a cluster far away is. The processes of containers are this computer's, too.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from clusterctl.tunnel import holders

from ..support.docker_engine import node_image
from ..support.laptop import Laptop
from .load import LoadProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

_WELL_S = 120.0
_HELP_S = 120.0
_DISK = "900m"
_GREETING_S = 2.0
_CONFIG = """
[global]
DEFAULT_TEMPLATE = {provider}

[cluster {provider}]
PROVIDER = {provider}
{image}
PLUGINS = ipcluster
"""


class Ground:
    """What is the same on all grounds."""

    provider = ""

    def __init__(self, home: Path, *, size: int, engines: int) -> None:
        self.home = home
        self.name = f"chaos{secrets.token_hex(3)}"
        self.laptop = Laptop(home, more={"CLUSTERCTL_TUNNEL": "always"})
        self.workers = [f"node{number:03d}" for number in range(1, size)]
        self.masters = ["master"]
        self.aliases = [*self.masters, *self.workers]
        self.folder = self.laptop.folder(self.name)
        self._engines = engines
        self._log = home.parent / "client.log"
        self.load: Any = None
        self.deaf: list[subprocess.Popen[str]] = []
        """What keeps processes deaf, until these are killed."""

    def image_line(self) -> str:
        """Return the line of the config that names the nodes' image."""
        return ""

    def start(self) -> None:
        """Bring the cluster up, and connect."""
        self.home.mkdir(parents=True)
        (self.home / "config").write_text(_CONFIG.format(provider=self.provider, image=self.image_line()))
        options = ("--set", f"ipcluster.engines_per_node={self._engines}")
        self.laptop.run("start", "-s", str(len(self.aliases)), *options, self.name, timeout=400)
        self.load = LoadProcess(self.name, self.laptop.env, self._log.open("a"))

    def end(self) -> list[str]:
        """Terminate; return what is left."""
        if self.load:
            self.load.close()
        for holder in self.deaf:
            holder.kill()
            holder.communicate()
        ports, folders = self.laptop.listeners(), self.laptop.run_folders()
        done = self.laptop.run("terminate", "--yes", self.name, status=None, timeout=300)
        left = self.left()
        try:
            self.laptop.assert_nothing_left(ports, folders)
        except AssertionError as exc:
            left.append(str(exc).partition("\n")[0])
        return left if done.returncode == 0 else [*left, done.stderr]

    def left(self) -> list[str]:
        """Return what is left of the nodes outside of the home."""
        return []

    def processes(self, alias: str) -> list[psutil.Process]:
        """Return all processes of a node."""
        raise NotImplementedError

    def address(self, alias: str) -> tuple[str, int]:
        """Return where a node's SSH server is reached."""
        raise NotImplementedError

    def ssh_server(self, alias: str) -> int:
        """Return the process that listens for logins to a node."""
        raise NotImplementedError

    def parts_text(self) -> str:
        """Return the file in which the controller names its parts."""
        raise NotImplementedError

    @contextmanager
    def cut(self, alias: str) -> Iterator[None]:
        """Cut a node off for the time of the block."""
        raise NotImplementedError
        yield

    @contextmanager
    def cut_tunnel(self) -> Iterator[None]:
        """Cut the laptop off from the master's SSH server."""
        raise NotImplementedError
        yield

    def find(self, alias: str, *words: str) -> list[psutil.Process]:
        """The processes of a node with these words in their command lines, without their children."""
        found = []
        for process in self.processes(alias):
            with suppress(psutil.Error):
                if all(word in " ".join(process.cmdline()) for word in words):
                    found.append(process)
        pids = {process.pid for process in found}
        outermost = []
        for process in found:
            with suppress(psutil.Error):
                if process.ppid() not in pids:
                    outermost.append(process)
        return outermost

    def engines(self, alias: str) -> list[psutil.Process]:
        """Return the engines of a node; their nannies are none of them."""
        found = self.find(alias, "ipengine.py", "--IPEngine.id")
        return [process for process in found if process.children()] or found

    def parts(self) -> dict[str, int]:
        """The pids of the controller's processes, by the names of its parts."""
        own = {_pid_inside(process.pid): process.pid for process in self.processes("master")}
        return {name: own[pid] for name, pid in json.loads(self.parts_text())["parts"].items() if pid in own}

    def pause(self, seconds: float) -> None:
        """Let a fault last."""
        threading.Event().wait(seconds)

    def trouble(self) -> str:
        """Return what is not well; empty if all is: processes that look after others, SSH servers, and all engines."""
        for alias in self.aliases:
            for name, word in (("service manager", "supervisor.supervisord"), ("watch", "services/watch.py")):
                if not any(map(_is_at_work, self.find(alias, word))):
                    return f"{alias} has no {name}"
            if not self._greets(alias):
                return f"the SSH server of {alias} does not greet"
        for name in ("pid", "minder"):
            if not (holder := holders.holder_pid(self.folder / f"tunnel.{name}")) or not _is_at_work(holder):
                return f"no tunnel.{name}"
        return str(self.load.ask("look", count=self._engines * len(self.aliases)))

    def _greets(self, alias: str) -> bool:
        with suppress(OSError, ValueError, KeyError), socket.create_connection(self.address(alias), 1) as opened:
            opened.settimeout(_GREETING_S)
            return opened.recv(4) == b"SSH-"
        return False

    def heal(self, *, by_itself: bool) -> tuple[float, str, str]:
        """Wait until all is well.

        Return how many seconds that took, how it came (by itself, by start, never), and what came last.
        """
        began = time.monotonic()
        well, last = self._await_well(_WELL_S) if by_itself else (False, "")
        if well:
            return time.monotonic() - began, "itself", last
        self.laptop.run("start", self.name, status=None, timeout=300)
        helped, still = self._await_well(_HELP_S)
        return time.monotonic() - began, "start" if helped else "never", last or still

    def _await_well(self, seconds: float) -> tuple[bool, str]:
        deadline, last = time.monotonic() + seconds, ""
        while time.monotonic() < deadline:
            trouble = self.trouble()
            if not trouble:
                return True, last
            last = trouble
            threading.Event().wait(0.1)
        return False, last

    def status(self) -> str:
        """What `status` says, for who reads why it is not well."""
        done = self.laptop.run("status", self.name, status=None)
        return f"{done.stdout}{done.stderr}"


def _is_at_work(process: psutil.Process | int) -> bool:
    with suppress(psutil.Error):
        return psutil.Process(getattr(process, "pid", process)).status() not in {
            psutil.STATUS_STOPPED,
            psutil.STATUS_ZOMBIE,
        }
    return False


def _pid_inside(pid: int) -> int:
    """Return the number that a process has in its own namespace."""
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(int(line.split()[-1]) for line in lines if line.startswith("NSpid"))
    return 0


class LocalGround(Ground):
    """Nodes that are processes of this computer, on a disk that can be full."""

    provider = "local"

    def running(self, alias: str) -> dict[str, int]:
        """The pids of a node's server and guardian."""
        return dict(self.laptop.running(self.name, alias))

    def processes(self, alias: str) -> list[psutil.Process]:
        """See Ground."""
        return list(self.laptop.find(alias))

    def address(self, alias: str) -> tuple[str, int]:
        """See Ground."""
        record = json.loads((self.laptop.node_folder(self.name, alias) / "node.json").read_text())
        return record["address"], record["port"]

    def ssh_server(self, alias: str) -> int:
        """See Ground."""
        return int(self.running(alias)["pid"])

    def parts_text(self) -> str:
        """See Ground."""
        state = self.laptop.node_folder(self.name, "master") / "state"
        return (state / "ipython/profile_cluster/pid/parts.json").read_text()

    @contextmanager
    def cut(self, alias: str) -> Iterator[None]:
        """Stop all of a node: it has no network of its own."""
        running = self.running(alias)
        pids = [running["guardian"], running["pid"], *(process.pid for process in self.processes(alias))]
        _signal(pids, 19)
        try:
            yield
        finally:
            _signal(pids, 18)

    @contextmanager
    def cut_tunnel(self) -> Iterator[None]:
        """See Ground."""
        address, port = self.address("master")
        with _dropping(
            ("OUTPUT", "-d", address, "-p", "tcp", "--dport", str(port)),
            ("OUTPUT", "-s", address, "-p", "tcp", "--sport", str(port)),
        ):
            yield


class DockerGround(Ground):
    """Nodes that are containers."""

    provider = "docker"

    def image_line(self) -> str:
        """See Ground."""
        from clusterctl.providers.docker.engine import Engine

        return f"NODE_IMAGE_ID = {node_image(Engine(os.environ).api)}"

    def left(self) -> list[str]:
        """See Ground."""
        label = f"label=clusterctl.cluster={self.name}"
        kinds = ("ps -aq", "network ls -q", "volume ls -q")
        return [f"{kind}: {what}" for kind in kinds for what in _docker(*kind.split(), "--filter", label).split()]

    def _inspect(self, alias: str) -> dict[str, Any]:
        filters = [
            word
            for key, value in (("cluster", self.name), ("alias", alias))
            for word in ("--filter", f"label=clusterctl.{key}={value}")
        ]
        return dict(json.loads(_docker("inspect", _docker("ps", "-aq", *filters)))[0])

    def root(self, alias: str) -> int:
        """The first process of a node; 0 while it is off."""
        return int(self._inspect(alias)["State"]["Pid"])

    def processes(self, alias: str) -> list[psutil.Process]:
        """See Ground."""
        with suppress(psutil.Error):
            if root := self.root(alias):
                return list(psutil.Process(root).children(recursive=True))
        return []

    def address(self, alias: str) -> tuple[str, int]:
        """See Ground: inside of the node, since the engine's own relay answers for it outside."""
        networks = self._inspect(alias)["NetworkSettings"]["Networks"]
        return next(iter(networks.values()))["IPAddress"] or "0.0.0.0", 22

    def ssh_server(self, alias: str) -> int:
        """See Ground."""
        (server,) = self.find(alias, "sshd", "listener")
        return int(server.pid)

    def parts_text(self) -> str:
        """See Ground."""
        hub = self.find("master", "ipcontroller.py")[0]
        profile = next(word.partition("=")[2] for word in hub.cmdline() if word.startswith("--profile-dir="))
        return Path(f"/proc/{hub.pid}/root{profile}/pid/parts.json").read_text()

    @contextmanager
    def cut(self, alias: str) -> Iterator[None]:
        """Drop all packets of a node, in its own network, without a word to anybody."""
        with _dropping(("INPUT", "-i", "eth0"), ("OUTPUT", "-o", "eth0"), root=self.root(alias)):
            yield

    @contextmanager
    def cut_tunnel(self) -> Iterator[None]:
        """See Ground."""
        ways = (("INPUT", "-p", "tcp", "--dport", "22"), ("OUTPUT", "-p", "tcp", "--sport", "22"))
        with _dropping(*ways, root=self.root("master")):
            yield


GROUNDS = {ground.provider: ground for ground in (LocalGround, DockerGround)}


def _docker(*words: str) -> str:
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True).stdout.strip()


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


@contextmanager
def _dropping(*ways: tuple[str, ...], root: int = 0) -> Iterator[None]:
    """Drop packets for the time of the block; `root`: in the network of this process."""
    inside = ["nsenter", "-t", str(root), "-n"] if root else []

    def change(action: str, way: tuple[str, ...]) -> None:
        words = [*inside, "iptables", "-w", action, *way, "-j", "DROP"]
        subprocess.run(words, check=action == "-A", capture_output=True)

    with ExitStack() as undo:
        for way in ways:
            change("-A", way)
            undo.callback(change, "-D", way)
        yield


@contextmanager
def disk_of_its_own(folder: Path) -> Iterator[Path]:
    """Mount a disk that can be full without anybody else's being so."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "chaos", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
