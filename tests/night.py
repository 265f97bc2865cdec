"""A night of a spot cluster on the stand-in: its nodes are taken while work goes on, and then it ends alone.

python -m tests.night [--nodes 6] [--interruptions 10] [--seed N]

As root, with a Docker engine. Each interruption takes one worker, every fourth one without a notice. Once, in the
middle, the master ends: the next one has its home, ports and keys. Meanwhile one map after the other runs: its values
must be right, and the items are counted that its report says were run again. After each interruption the cluster must
have its size and its engines again. Then the client leaves. The cluster must end alone, by the IDLE_STOP that it had
all night, under the same watch, which must end, too. No instance may be left, and the next start must find each file of
the home and client.json as they were. In the end nothing may be left in the account. The exit status is 1 if anything
of this was not so.
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
from typing import IO, TYPE_CHECKING

from clusterctl.providers.ec2.tags import MASTER, ROLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clusterctl_standin.bodies.containers import Containers

NAME = "night"
_CLUSTERCTL = [sys.executable, "-m", "clusterctl.cli.main"]
_IDLE_S = 60
_CONFIG = f"""
[cluster night]
PROVIDER = ec2
NODE_IMAGE_ID = debian-12
NODE_INSTANCE_TYPE = c7i.large, c7a.large
SPOT_BID = 0.10
CLUSTER_USER = night
PLUGINS = ipcluster
HOME_VOLUME = yes
IDLE_ACTION = terminate
IDLE_STOP = {_IDLE_S}s

[plugin ipcluster]
ENGINES_PER_NODE = 1

[global]
DEFAULT_TEMPLATE = night
"""
_ITEMS = 600
_WORK = f"""
import json, sys, time
from pathlib import Path
import clusterctl

def work(item):
    time.sleep(0.05)
    (Path.home() / "results").mkdir(exist_ok=True)
    (Path.home() / "results" / str(item)).write_bytes(b"%d" % item * 1000)
    return item

client = clusterctl.connect({NAME!r})
maps, wrong, again = 0, 0, 0
while True:
    result = client.pool().map_async(work, range({_ITEMS}))
    try:
        wrong += result.get() != list(range({_ITEMS}))
    except KeyboardInterrupt:
        sys.exit()
    maps, again = maps + 1, again + len(result.report.rerun_items)
    print(json.dumps({{"maps": maps, "wrong": wrong, "again": again}}), flush=True)
"""
_LONGEST_S = 900
_NOTICE_S = (25, 60, 120)
_LIST_HOME = """
find . -path ./.clusterctl -prune -o -printf '%m %u %g %p %l\\n'
find . -path ./.clusterctl -prune -o -type f -exec sha256sum {} +
find .clusterctl/kept -type f ! -name '*-engine.json' -exec sha256sum {} +
"""
"""All that is there but what the services write, which is in one folder. Of that what the next master gets: ports and
keys, but not where engines find the master, which has another address."""


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

    def wait_for_maps(self, count: int) -> None:
        """Wait until so many maps are done."""
        wait_until(lambda: self._is_alive() and self.last["maps"] >= count, f"{count} maps are done")

    def _is_alive(self) -> bool:
        if self.process.poll() is not None:
            raise SystemExit("the client has ended")
        return True


class Night:
    """One cluster, and what happens to it."""

    def __init__(self, bodies: Containers, home: Path, size: int) -> None:
        self._bodies, self._size = bodies, size
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CLUSTERCTL_", "AWS_"))}
        more = {"CLUSTERCTL_HOME": str(home), "CLUSTERCTL_ADDRESS": "private", "CLUSTERCTL_SHARED_HOME": "yes"}
        self._env = {**kept, **bodies.cloud.environment(), **more}
        (home / "config").write_text(_CONFIG)
        self.client_file = home / "clusters" / NAME / "client.json"

    def run(self, *words: str) -> str:
        """Run a command to its end, and return what it printed."""
        done = subprocess.run([*_CLUSTERCTL, *words], env=self._env, capture_output=True, text=True, timeout=_LONGEST_S)
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
        wait_until(lambda: self.master() != lost, "the master has ended")

    def wait_until_whole(self) -> float:
        """Return the seconds until the cluster has its size and all engines again, and nobody more."""

        def is_whole() -> bool:
            engines = self.engines()
            return len(engines) == self._size and set(engines.values()) == {1} and bool(self.master())

        return wait_until(is_whole, f"{self._size} nodes have their engines")

    def look_at_home(self) -> frozenset[str]:
        """Return all that the cluster user has: each file with its hash, its rights and its owner."""
        return frozenset(self.run("sshnode", "-u", NAME, NAME, "master", _LIST_HOME).splitlines())

    def is_alone(self) -> bool:
        """Return whether no instance is left."""
        return all(machine.state == "terminated" for machine in self._bodies.cloud.machines())

    def wait_until_alone(self) -> float:
        """Return the seconds until no instance is left."""
        return wait_until(self.is_alone, "the cluster has ended by itself")

    def take(self, instance: str, notice_s: int) -> None:
        """Have the cloud take an instance, and wait until it has."""
        self._bodies.cloud.interrupt(instance, notice_s=notice_s)
        wait_until(lambda: not self._runs(instance), f"{instance} was taken")

    def _runs(self, instance: str) -> bool:
        return any(m.id == instance and m.state == "running" for m in self._bodies.cloud.machines())

    @contextmanager
    def process(self, *command: str, output: IO[str] | int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
        """Have a process run meanwhile."""
        with subprocess.Popen(command, env=self._env, stdout=output, text=True) as process:
            try:
                yield process
            finally:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()


def wait_until(is_so: Callable[[], bool], what: str) -> float:
    """Return the seconds until something is so."""
    began = time.monotonic()
    while not is_so():
        if time.monotonic() - began > _LONGEST_S:
            raise SystemExit(f"after {_LONGEST_S} s it is not so that {what}")
        time.sleep(1)
    return time.monotonic() - began


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
            with (
                (Path(home) / "watched").open("w+") as said,
                night.process(*_CLUSTERCTL, "watch", NAME, "--every", "5", output=said) as watch,
            ):
                last = _spend(night, chance, options.interruptions)
                home_before, client = night.look_at_home(), night.client_file.read_bytes()
                _end_alone(night, watch)
                said.seek(0)
                print(said.read(), end="")
            _start_again(night, home_before, client)
        finally:
            night.run("terminate", "--yes", NAME)
        left = cloud.left()
    about = f"wrong {last['wrong']}, items run again {last['again']}"
    print(f"maps of {_ITEMS} items: {last['maps']}, {about}; left: {left or 0}")
    return 1 if last["wrong"] or left else 0


def _spend(night: Night, chance: random.Random, interruptions: int) -> dict[str, int]:
    """Have nodes taken while a client works. Return what it said last, before it left."""
    with night.process(sys.executable, "-c", _WORK) as process:
        worker = Worker(process)
        threading.Thread(target=worker.read, daemon=True).start()
        worker.wait_for_maps(1)
        for number in range(1, interruptions + 1):
            notice_s = 0 if number % 4 == 0 else chance.choice(_NOTICE_S)
            before = worker.last["maps"]
            night.take(chance.choice(night.workers()), notice_s)
            seconds, maps = night.wait_until_whole(), worker.last["maps"] - before
            print(f"{number:3}  notice {notice_s:3} s  whole {seconds:4.0f} s after its end  {maps} maps", flush=True)
            if number == (interruptions + 1) // 2:
                _lose_master(night)
            worker.wait_for_maps(before + maps + 1)
        return worker.last


def _lose_master(night: Night) -> None:
    client = night.client_file.read_bytes()
    night.lose_master()
    seconds, same = night.wait_until_whole(), night.client_file.read_bytes() == client
    print(
        f"     the master   whole {seconds:4.0f} s after its end  {'the same' if same else 'ANOTHER'} client.json",
        flush=True,
    )
    if not same:
        raise SystemExit("ports or keys are lost")


def _end_alone(night: Night, watch: subprocess.Popen[str]) -> None:
    """Wait for the end of a cluster that nobody works on, and for that of its watch, which must bring nobody back."""
    seconds = night.wait_until_alone()
    print(f"     nobody works: no instance left {seconds:.0f} s later, {_IDLE_S} s of them idle", flush=True)
    watch.wait(_LONGEST_S)
    if not night.is_alone():
        raise SystemExit(f"somebody was brought back: {night.engines()}")


def _start_again(night: Night, home: frozenset[str], client: bytes) -> None:
    night.run("start", "--yes", NAME)
    night.wait_until_whole()
    changed = sorted(home ^ night.look_at_home())
    same = night.client_file.read_bytes() == client
    told = "as they were" if same and not changed else "CHANGED"
    print(f"     started again: {len(home)} lines of files of the home and client.json {told}", flush=True)
    if told == "CHANGED":
        raise SystemExit("\n".join(["ports or keys are lost" if not same else "files have changed:", *changed]))


if __name__ == "__main__":
    sys.exit(main())
