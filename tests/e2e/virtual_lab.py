"""Three virtual machines as hosts of clusters by the `static` provider, and looks at them without clusterctl."""

from __future__ import annotations

import json
import shlex
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from clusterctl.identity.keys import ensure_key_pair

from . import vms
from .baking import PLUGINS, USER

_CONFIG = """
[global]
DEFAULT_TEMPLATE = lab

[cluster lab]
PROVIDER = static
HOSTS = {hosts}
CLUSTER_USER = {user}
PLUGINS = ippackages, ipcluster
START_TIMEOUT = 1500
{options}
{plugins}
"""
_HOST = """
[host {name}]
ADDRESS = {address}
USER = admin
KEY_LOCATION = {key}
HOST_KEY = {host_key}
"""
_BOOTED = """
cloud-init status --wait >/dev/null
[ -e /root/baked ] || cp -al /opt/clusterctl /root/baked
[ -e /opt/clusterctl ] || cp -al /root/baked /opt/clusterctl
"""
"""What cloud-init changes after it has let us in is not ours. A cluster's end removes what the image came with."""
STATE = """
find /etc -type f ! -name '*.lock' ! -name ld.so.cache ! -path '/etc/cloud/*' ! -name '*-' -exec sha256sum {} +
getent passwd
findmnt --list --noheadings --output TARGET,FSTYPE --types ext4,xfs,nfs4,autofs | grep -v binfmt_misc | sort
ls -d /opt/* /var/lib/clusterctl /var/cache/clusterctl /var/log/clusterctl /run/clusterctl 2>/dev/null
systemctl is-enabled nfs-server || true
"""
"""What of a machine `terminate` shall leave as it was: its settings, users, mounts and our folders."""
AFTER_REBOOT_S = 420.0


@pytest.fixture(scope="module")
def virtual_lab(vm_image, tmp_path_factory):
    """Three machines that answer, as a cloud would give them."""
    folder = tmp_path_factory.mktemp("vms")
    with vms.Lab(folder, vm_image, ensure_key_pair(folder / "admin_key")) as lab:
        lab.start(3, blank_disk_gb=1)
        yield lab


@pytest.fixture(scope="module")
def admin(virtual_lab):
    """Runs a command as root on a machine, by its number, and returns what it prints; not through clusterctl."""
    folder = virtual_lab.machines[0].folder.parent
    known = folder / "known_hosts"
    known.write_text("".join(f"{machine.address} {machine.host_key}\n" for machine in virtual_lab.machines))
    options = ["-i", str(folder / "admin_key"), "-o", f"UserKnownHostsFile={known}", "-o", "BatchMode=yes"]

    def run(number: int, command: str, *, check: bool = True) -> str:
        address = virtual_lab.machines[number].address
        done = subprocess.run(
            ["ssh", *options, f"admin@{address}", f"sudo -n sh -c {shlex.quote(command)}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert not check or done.returncode == 0, f"vm{number}: {command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    return run


@dataclass(frozen=True)
class Story:
    """A cluster on machines, and what they were before."""

    laptop: object
    started: str
    before: tuple[str, ...]


@contextmanager
def started(lab, admin, laptop, numbers, options):
    """`clusterctl start lab`, as its user types it, on the machines of these numbers."""
    machines = [lab.machines[number] for number in numbers]
    key = machines[0].folder.parent / "admin_key"
    hosts = [_HOST.format(name=m.name, address=m.address, key=key, host_key=m.host_key) for m in machines]
    names = ", ".join(machine.name for machine in machines)
    config = _CONFIG.format(hosts=names, user=USER, plugins=PLUGINS, options=options)
    laptop.home.mkdir()
    (laptop.home / "config").write_text(config + "".join(hosts))
    before = tuple(admin(number, f"{_BOOTED}{STATE}") for number in numbers)
    try:
        done = laptop.run("start", "lab", timeout=1800)
        yield Story(laptop, done.stdout + done.stderr, before)
    finally:
        laptop.run("terminate", "--yes", "lab", status=None, timeout=600)


def assert_as_before(story, admin, numbers):
    """The machines are what they were; but for what the image had from us before there was a cluster."""
    for was, number in zip(story.before, numbers, strict=True):
        now = admin(number, STATE)
        assert set(now.splitlines()) - set(was.splitlines()) == set()
        assert set(was.splitlines()) - set(now.splitlines()) <= {"/opt/clusterctl", "/var/cache/clusterctl"}


def engines(story: Story) -> dict[str, int | None]:
    (found,) = story.laptop.json("list", "--json", "lab")
    return {node["alias"]: node["engines"] for node in found["nodes"]}


def python(story: Story, code: str) -> object:
    """Code in a plain Python on the laptop, with `client` connected; what `answer` then is."""
    file = story.laptop.folder("lab") / "client.json"
    whole = (
        f"import json, os, ipyparallel\nclient = ipyparallel.Client({str(file)!r}, timeout=120)\n"
        f"{code}\nprint(json.dumps(answer))\n"
    )
    return json.loads(story.laptop.python(whole, timeout=300))


def is_whole(story: Story) -> bool:
    """Whether the controller has exactly the engines that belong to the nodes, under their ids."""
    return set(engines(story).values()) == {1} and python(story, "answer = client.ids") == [*range(len(story.before))]


def everywhere(virtual_lab, admin, command):
    return [admin(number, command) for number in range(len(virtual_lab.machines))]


def as_user(admin, number, command):
    """What a command prints that the cluster user runs at home: root of a worker has no rights there."""
    return admin(number, f"runuser -u {USER} -- sh -c {shlex.quote(f'cd /home/{USER} && {command}')}")


def reboot(number, virtual_lab, admin, poll):
    def boot_id():
        return admin(number, "cat /proc/sys/kernel/random/boot_id", check=False)

    before = boot_id()
    admin(number, "systemctl reboot", check=False)

    def is_back():
        try:
            return boot_id() not in ("", before)
        except subprocess.TimeoutExpired:
            return False

    poll(is_back, f"vm{number} is back", deadline_s=AFTER_REBOOT_S, every_s=2)
