"""Hosts that let us in, as the `static` provider takes them: looks at them without clusterctl, and clusters on them."""

from __future__ import annotations

import json
import shlex
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from clusterctl.identity.keys import ensure_key_pair

from .qemu import listens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

LOGIN = "admin"
"""Who logs in to a host."""
USER = "iptest"
"""Whose work runs there."""
_CONFIG = """
[global]
DEFAULT_TEMPLATE = lab

[cluster lab]
PROVIDER = static
HOSTS = {hosts}
CLUSTER_USER = {user}
START_TIMEOUT = 1500
{options}
"""
_HOST = """
[host {name}]
ADDRESS = {address}
USER = {login}
KEY_LOCATION = {key}
HOST_KEY = {host_key}
"""
_STATE = """
find /etc -type f ! -name '*.lock' ! -name ld.so.cache ! -path '/etc/cloud/*' ! -name '*-' -exec sha256sum {} +
getent passwd
findmnt --list --noheadings --output TARGET,FSTYPE --types ext4,xfs,nfs4,autofs | grep -v binfmt_misc | sort
ls -d /opt/* /var/lib/clusterctl /var/cache/clusterctl /var/log/clusterctl /run/clusterctl 2>/dev/null
systemctl is-enabled nfs-server 2>/dev/null || true
"""
"""What of a host `terminate` shall leave as it was: its settings, users, mounts and our folders."""
_AFTER_REBOOT_S = 420.0


@dataclass(frozen=True)
class Host:
    """A machine that is there already."""

    name: str
    address: str
    host_key: str


class Hosts:
    """Hosts by their numbers, for somebody who is root there and does not use clusterctl.

    Args:
        folder: for keys.
        begin: makes the hosts, which shall let in this public key.
    """

    def __init__(self, folder: Path, begin: Callable[[str], Sequence[Host]]) -> None:
        self.key = folder / "admin_key"
        self.all = tuple(begin(ensure_key_pair(self.key)))
        self._known = folder / "known_hosts"
        self._pin()
        self._ssh = ("ssh", "-i", str(self.key), "-o", f"UserKnownHostsFile={self._known}", "-o", "BatchMode=yes")

    def _pin(self) -> None:
        self._known.write_text("".join(f"{host.address} {host.host_key}\n" for host in self.all))

    def install_anew(self, number: int, command: str) -> str:
        """Run a command after which one of them shows another host key, the last that it prints; return that."""
        key = " ".join(self.on(number, command).splitlines()[-1].split()[:2])
        others = [replace(host, host_key=key) if at == number else host for at, host in enumerate(self.all)]
        self.all = tuple(others)
        self._pin()
        return key

    def on(self, number: int, command: str, *, check: bool = True) -> str:
        """What a command prints that root runs on one of them."""
        done = subprocess.run(
            [*self._ssh, f"{LOGIN}@{self.all[number].address}", f"sudo -n sh -c {shlex.quote(command)}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        said = f"{self.all[number].name}: {command}: {done.stdout}{done.stderr}"
        assert not check or done.returncode == 0, said
        return done.stdout.strip()

    def everywhere(self, command: str) -> list[str]:
        """What root's command prints on each."""
        return [self.on(number, command) for number in range(len(self.all))]

    def as_user(self, number: int, command: str) -> str:
        """What a command prints that the cluster user runs at home: root of a worker has no rights there."""
        return self.on(number, f"runuser -u {USER} -- sh -c {shlex.quote(f'cd /home/{USER} && {command}')}")

    def reboot(self, numbers: Iterable[int], poll: Callable[..., object]) -> None:
        """Have these boot again, each as soon as the one before shuts down. They answer again when this ends."""
        before = {number: self._boot(number) for number in numbers}
        for number, boot in before.items():
            self.on(number, "systemctl --no-block reboot", check=False)
            left = partial(self._has_left, number, boot)
            poll(left, f"{self.all[number].name} shuts down", deadline_s=_AFTER_REBOOT_S)

        def are_back() -> bool:
            return all(self._boot(number) not in ("", boot) for number, boot in before.items())

        names = ", ".join(self.all[number].name for number in before)
        poll(are_back, f"{names}: back", deadline_s=_AFTER_REBOOT_S, every_s=0.5)

    def _has_left(self, number: int, boot: str) -> bool:
        """Whether that boot is over."""
        return self._boot(number) != boot

    def _boot(self, number: int) -> str:
        """The id of its present boot; nothing while it does not answer."""
        if not listens(self.all[number].address):
            return ""
        try:
            return self.on(number, "cat /proc/sys/kernel/random/boot_id", check=False)
        except subprocess.TimeoutExpired:
            return ""


@dataclass(frozen=True)
class Story:
    """A cluster on hosts, and what they were before."""

    laptop: object
    hosts: Hosts
    numbers: tuple[int, ...]
    started: str
    before: tuple[str, ...]

    def engines(self) -> dict[str, int | None]:
        (found,) = self.laptop.json("list", "--json", "lab")
        return {node["alias"]: node["engines"] for node in found["nodes"]}

    def python(self, code: str) -> object:
        """Code in a plain Python on the laptop, with `client` connected; what `answer` then is."""
        file = self.laptop.folder("lab") / "client.json"
        whole = (
            f"import json, os, ipyparallel\nclient = ipyparallel.Client({str(file)!r}, timeout=120)\n"
            f"{code}\nprint(json.dumps(answer))\n"
        )
        return json.loads(self.laptop.python(whole, timeout=300))

    def is_whole(self) -> bool:
        """Whether the controller has exactly the engines that belong to the nodes, under their ids."""
        return {*self.engines().values()} == {1} and self.python("answer = client.ids") == [*range(len(self.numbers))]

    def await_engines(self, poll: Callable[..., object]) -> None:
        """Wait until all of them are back by themselves."""
        # Each question is work for a machine that has enough to do, above all where it is emulated.
        poll(self.is_whole, "all engines are back", deadline_s=_AFTER_REBOOT_S, every_s=5)

    def assert_as_before(self) -> None:
        """The machines are what they were; but for what the image had from us before there was a cluster."""
        for was, number in zip(self.before, self.numbers, strict=True):
            now = self.hosts.on(number, _STATE)
            present, former = set(now.splitlines()), set(was.splitlines())
            assert present <= former, f"not there before: {sorted(present - former)}"
            gone = former - present
            assert gone <= {"/opt/clusterctl", "/var/cache/clusterctl"}, f"there no more: {sorted(gone)}"


@contextmanager
def started(hosts: Hosts, laptop: object, numbers: Iterable[int], *, options: str) -> Iterator[Story]:
    """`clusterctl start lab`, as its user types it, on the hosts of these numbers.

    Args:
        options: lines of the cluster's section, and what follows it.
    """
    numbers = tuple(numbers)
    chosen = [hosts.all[number] for number in numbers]
    names = ", ".join(host.name for host in chosen)
    sections = [
        _HOST.format(name=host.name, address=host.address, login=LOGIN, key=hosts.key, host_key=host.host_key)
        for host in chosen
    ]
    laptop.home.mkdir()
    config = _CONFIG.format(hosts=names, user=USER, options=options)
    (laptop.home / "config").write_text(config + "".join(sections))
    before = tuple(hosts.on(number, _STATE) for number in numbers)
    try:
        done = laptop.run("start", "lab", timeout=1800)
        yield Story(laptop, hosts, numbers, done.stdout + done.stderr, before)
    finally:
        laptop.run("terminate", "--yes", "lab", status=None, timeout=600)
