"""A night of a spot cluster on the stand-in: its nodes are taken while work goes on and a watch is on it.

python -m tests.night [--nodes 6] [--interruptions 10] [--seed N]

As root, with a Docker engine. Each interruption takes one worker, every fourth one without a notice. Once, in the
middle, the master ends: the next one has its home, ports and keys. Meanwhile one map after the other runs: its values
must be right, and the items are counted that its report says were run again. After each interruption the cluster must
have its size and its engines again. Then nobody works: it must end alone, no instance may be left, and the next start
must find the home as it was. In the end nothing may be left in the account.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl.providers.ec2.tags import MASTER, ROLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clusterctl_standin.bodies.containers import Containers

NAME = "night"
_CLUSTERCTL = [sys.executable, "-m", "clusterctl.cli.main"]
_CONFIG = """
[cluster night]
PROVIDER = ec2
NODE_IMAGE_ID = debian-12
NODE_INSTANCE_TYPE = c7i.large, c7a.large
SPOT_BID = 0.10
CLUSTER_USER = night
PLUGINS = ipcluster
HOME_VOLUME = yes
IDLE_ACTION = terminate

[plugin ipcluster]
ENGINES_PER_NODE = 1

[global]
DEFAULT_TEMPLATE = night
"""
_WORK = f"""
import json, sys, time
import clusterctl

def work(item):
    time.sleep(0.05)
    return item

client = clusterctl.connect({NAME!r})
maps, wrong, again = 0, 0, 0
while True:
    result = client.pool().map_async(work, range(600))
    wrong += result.get() != list(range(600))
    maps, again = maps + 1, again + len(result.report.rerun_items)
    print(json.dumps({{"maps": maps, "wrong": wrong, "again": again}}), flush=True)
"""
_LONGEST_S = 900
_NOTICE_S = (25, 60, 120)
_IDLE_S = 60


@dataclass
class Worker:
    """The process that maps all the time."""

    process: subprocess.Popen[str]
    last: dict[str, int] = field(default_factory=lambda: {"maps": 0, "wrong": 0, "again": 0})

    def read(self) -> None:
        """Take in what it says, until it ends."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.last = json.loads(line)


class Night:
    """One cluster, and what happens to it."""

    def __init__(self, bodies: Containers, home: Path, size: int) -> None:
        self._bodies, self._size = bodies, size
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CLUSTERCTL_", "AWS_"))}
        more = {"CLUSTERCTL_HOME": str(home), "CLUSTERCTL_ADDRESS": "private", "CLUSTERCTL_SHARED_HOME": "yes"}
        self._env = {**kept, **bodies.cloud.environment(), **more}
        (home / "config").write_text(_CONFIG)
        self.client_file = home / "clusters" / NAME / "client.json"

    def run(self, *words: str, **options: str) -> str:
        """Run a command to its end, with these options of the cluster, and return what it printed."""
        env = self._env | {f"CLUSTERCTL_{name.upper()}": value for name, value in options.items()}
        done = subprocess.run([*_CLUSTERCTL, *words], env=env, capture_output=True, text=True, timeout=_LONGEST_S)
        if done.returncode:
            raise SystemExit(f"clusterctl {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def engines(self) -> dict[str, int | None]:
        """Return the engines of each node that is there."""
        (cluster,) = json.loads(self.run("list", "--json", NAME))
        return {node["alias"]: node["engines"] for node in cluster["nodes"]}

    def workers(self) -> list[str]:
        """Return the ids of the spot instances that run and were not taken."""
        doomed, machines = self._bodies.cloud.notices(), self._bodies.cloud.machines()
        return sorted(m.id for m in machines if m.state == "running" and m.market == "spot" and m.id not in doomed)

    def master(self) -> str:
        """Return the id of the master's instance; empty while none runs."""
        machines = self._bodies.cloud.machines()
        return next((m.id for m in machines if m.state == "running" and m.tags.get(ROLE) == MASTER), "")

    def lose_master(self) -> None:
        """End the master's instance, and wait until it has ended."""
        lost = self.master()
        self._bodies.cloud.client("ec2").terminate_instances(InstanceIds=[lost])
        while self.master() == lost:
            time.sleep(1)

    def wait_until_whole(self) -> float:
        """Return the seconds until the cluster has its size and all engines again, and nobody more."""
        began = time.monotonic()
        while time.monotonic() - began < _LONGEST_S:
            engines = self.engines()
            if len(engines) == self._size and set(engines.values()) == {1} and self.master():
                return time.monotonic() - began
            time.sleep(1)
        raise SystemExit(f"the cluster is not whole after {_LONGEST_S} s: {self.engines()}")

    def look_at_home(self) -> str:
        """Return a hash of all files of the cluster user's that no service of clusterctl's writes."""
        find = "find . -type f ! -path './.*' -exec sha256sum {} +"
        return self.run("sshnode", "-u", NAME, NAME, "master", f"{find} | sort | sha256sum")

    def wait_until_alone(self) -> float:
        """Return the seconds until no instance is left."""
        began = time.monotonic()
        while time.monotonic() - began < _LONGEST_S:
            if all(machine.state == "terminated" for machine in self._bodies.cloud.machines()):
                return time.monotonic() - began
            time.sleep(1)
        raise SystemExit(f"it has not ended by itself after {_LONGEST_S} s: {self.run('status', NAME)}")

    def take(self, instance: str, notice_s: int) -> None:
        """Have the cloud take an instance, and wait until it has."""
        self._bodies.cloud.interrupt(instance, notice_s=notice_s)
        while any(m.id == instance and m.state == "running" for m in self._bodies.cloud.machines()):
            time.sleep(1)

    @contextmanager
    def process(self, *command: str) -> Iterator[subprocess.Popen[str]]:
        """Have a process run meanwhile."""
        with subprocess.Popen(command, env=self._env, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield process
            finally:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()


def main() -> int:
    """Let it be night. Return 1 if something was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=6)
    parser.add_argument("--interruptions", type=int, default=10)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10_000))
    options = parser.parse_args()
    from clusterctl_standin.bodies.containers import Containers  # late: the help needs neither moto nor Docker
    from clusterctl_standin.cloud import Cloud

    print(f"seed {options.seed}")
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="night-") as home, Cloud() as cloud, Containers(cloud) as bodies:
        night = Night(bodies, Path(home), options.nodes)
        night.run("image", "bake", "--yes", "night")
        night.run("start", "--yes", "-s", str(options.nodes), NAME)
        try:
            last = _spend(night, chance, options.interruptions)
            _end_alone(night)
        finally:
            night.run("terminate", "--yes", NAME)
        left = cloud.left()
    print(
        f"maps of 600 items: {last['maps']}, wrong {last['wrong']}, items run again {last['again']}; left: {left or 0}"
    )
    return 1 if last["wrong"] or not last["maps"] or left else 0


def _end_alone(night: Night) -> None:
    """Have nobody work, and look what the next start finds."""
    night.run("sshnode", "-u", NAME, NAME, "master", "head -c 3000000 /dev/urandom >mine")
    home, client = night.look_at_home(), night.client_file.read_bytes()
    night.run("start", "--yes", NAME, idle_stop=f"{_IDLE_S}s", idle_ignores="processes")
    seconds = night.wait_until_alone()
    print(f"     nobody works: no instance left {seconds:.0f} s later, {_IDLE_S} s of them idle", flush=True)
    night.run("start", "--yes", NAME)
    same = night.look_at_home() == home, night.client_file.read_bytes() == client
    print(f"     started again: home {'as it was' if same[0] else 'CHANGED'}", flush=True)
    if not all(same):
        raise SystemExit("home, ports or keys are lost")


def _spend(night: Night, chance: random.Random, interruptions: int) -> dict[str, int]:
    with (
        night.process(*_CLUSTERCTL, "watch", NAME, "--every", "5"),
        night.process(sys.executable, "-c", _WORK) as process,
    ):
        worker = Worker(process)
        threading.Thread(target=worker.read, daemon=True).start()
        for number in range(1, interruptions + 1):
            notice_s = 0 if number % 4 == 0 else chance.choice(_NOTICE_S)
            before = worker.last["maps"]
            night.take(chance.choice(night.workers()), notice_s)
            seconds, maps = night.wait_until_whole(), worker.last["maps"] - before
            print(f"{number:3}  notice {notice_s:3} s  whole {seconds:4.0f} s after its end  {maps} maps", flush=True)
            if number == (interruptions + 1) // 2:
                client = night.client_file.read_bytes()
                night.lose_master()
                seconds, same = night.wait_until_whole(), night.client_file.read_bytes() == client
                told = "the same" if same else "ANOTHER"
                print(f"     the master   whole {seconds:4.0f} s after its end  {told} client.json", flush=True)
                if not same:
                    raise SystemExit("ports or keys are lost")
            if process.poll() is not None:
                raise SystemExit("the client has ended")
        return worker.last


if __name__ == "__main__":
    sys.exit(main())
