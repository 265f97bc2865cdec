"""Containers that the plugins for machines work on through their own hooks, by `docker exec`."""

from __future__ import annotations

import subprocess
import uuid

from clusterctl.api import Facet, Machines, RemoteError, Request, Result
from clusterctl.cluster_nodes import Cluster
from clusterctl.events import Reporter
from clusterctl.model import MASTER
from clusterctl.plugin.loader import find_plugin_class, options_model
from clusterctl.providers.base import machine_layout
from clusterctl.testing import fake_node

from .complaints import complaints

MACHINE = frozenset({Facet.MACHINE})
LASTING = frozenset({Facet.MACHINE, Facet.LASTING})
KEPT = ("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/subuid", "/etc/hosts", "/etc/fstab")
START_SSHD = """rm -f /etc/ssh/ssh_host_*; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
mkdir -p /run/sshd; /usr/sbin/sshd; cat /etc/ssh/ssh_host_ed25519_key.pub"""
"""One key: to make another kind of them takes a second."""


def docker(*words, check=True, stdin=None):
    return subprocess.run(["docker", *words], input=stdin, text=True, capture_output=True, check=check)


class ExecRemote:
    """A container, spoken to by `docker exec` as root."""

    def __init__(self, node):
        self.node = node
        self.commands = 0

    def run_script(self, script, *, name="script", on_line=None, timeout_s=None, secret=False, sudo=False, reads=False):
        assert sudo, f"{name} changes a machine and does not ask to be root"
        whole = f"clusterctl_script() {{\n{script}\n}}\nclusterctl_script\nexit $?\n"
        return self._exec(["sh", "-s"], whole, name)

    def run(self, command, *, stdin="", check=True, on_line=None, timeout_s=None, secret=False, sudo=False):
        return self._exec(["sh", "-c", command], stdin, command, check=check)

    def _exec(self, words, stdin, name, *, check=True):
        self.commands += 1
        done = docker("exec", "-i", self.node.id, *words, check=False, stdin=stdin)
        if check and done.returncode != 0:
            raise RemoteError(
                f"{self.node.alias}: {name} ended with status {done.returncode}:\n{done.stderr}",
                remedy="",
                node=self.node.alias,
                status=done.returncode,
                output=done.stderr,
            )
        assert not complaints(done.stderr), name
        return Result(done.returncode, done.stdout, done.stderr)

    def close(self):
        pass


class Lab:
    """Containers, and a cluster of them."""

    def __init__(self, folder, image):
        self.folder, self.image = folder, image
        self.name = f"lab{uuid.uuid4().hex[:6]}"
        self.notes, self.said, self.nodes = {}, [], {}
        folder.mkdir(exist_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", folder / "id_ed25519"])

    def boot(self, alias, *, facets=MACHINE, options=()):
        identity = docker(
            *("run", "-d", "--init", "--hostname", alias, "--label", f"clusterctl-test={self.name}", *options),
            *(self.image, "sleep", "infinity"),
        ).stdout.strip()
        key = docker("exec", identity, "sh", "-ec", START_SSHD).stdout.split()[:2]
        address = docker("inspect", "-f", "{{.NetworkSettings.IPAddress}}", identity).stdout.strip()
        self.nodes[alias] = fake_node(
            alias,
            cluster=self.name,
            id=identity,
            machine_id=identity,
            address=address,
            private_address=address,
            user="root",
            host_key=" ".join(key),
            layout=machine_layout("me"),
            facets=facets,
        )
        return self.nodes[alias]

    def cluster(self, *, apt=(), **machines):
        return Cluster(
            self.name,
            machines=Machines(**{"user": "me", **machines}),
            nodes=self.nodes.values(),
            request=Request(apt=tuple(apt)),
            folder=self.folder,
            connector=ExecRemote,
            report=Reporter(lambda event: self.said.append(event.text)),
            notes=self.notes,
            remember=self.notes.__setitem__,
            cluster_id=lambda: "0123456789abcdef",
        )

    def sh(self, alias, command, user="", check=True):
        done = docker(
            *("exec", *(("-u", user) if user else ()), self.nodes[alias].id, "sh", "-c", command), check=False
        )
        if check:
            assert done.returncode == 0, f"{alias}: {command}: {done.stdout}{done.stderr}"
        return done.stdout.strip() if check else done

    def close(self):
        found = docker("ps", "-aq", "--filter", f"label=clusterctl-test={self.name}").stdout.split()
        if found:
            docker("rm", "-f", "-v", *found)
        docker("volume", "rm", "-f", f"{self.name}-home")


def plugin(name, **options):
    found = find_plugin_class(name)
    return found(options_model(found)(**options))


def join(plugin, cluster, *aliases):
    """What a join changed, by node: the master first, the workers side by side."""
    changed = {}

    def act(node):
        remote = cluster.on(node)
        real = remote.run_script

        def listen(script, **about):
            said = real(script, **about)
            changed.setdefault(node.alias, []).extend(
                line for line in said.stdout.splitlines() if line.startswith("changed: ")
            )
            return said

        remote.run_script = listen
        try:
            plugin.clusterctl_join(cluster, node)
        finally:
            remote.run_script = real

    act(cluster.master)
    cluster.each(act, cluster.workers)
    return changed


def two(lab, **about):
    """A master and a worker, which share /home by a volume as the docker provider's do."""
    boot_all(lab, MASTER, "node001", **about)


def three(lab, **about):
    """A master and two workers: for what workers have to do with each other."""
    boot_all(lab, MASTER, "node001", "node002", **about)


def boot_all(lab, *aliases, **about):
    home = f"{lab.name}-home"
    for alias in aliases:
        lab.boot(alias, options=("-v", f"{home}:/home"), **about)


def ssh(lab, alias, user, target, command="hostname", check=True):
    """What a command says over ssh from one node to another, which may ask nothing."""
    return lab.sh(alias, f"ssh -o BatchMode=yes {target} {command} </dev/null", user=user, check=check)


def kept(lab, alias):
    """The system's files that others write too, byte for byte."""
    return {path: lab.sh(alias, f"sha256sum {path} 2>/dev/null || echo none") for path in KEPT}


MOUNTS = ("--cap-add", "SYS_ADMIN", "--security-opt", "apparmor=unconfined")


def with_disks(*disks):
    return (*MOUNTS, *(word for each in disks for word in ("--device", each)))


def tree(lab, alias):
    """Every file and folder that a cluster could leave behind, but for caches and logs of the system's own."""
    return lab.sh(
        alias,
        "find /etc /home /opt /root /scratch /big /data /usr/local/share /var/lib/clusterctl /var/cache/clusterctl"
        " /var/log/clusterctl /run/clusterctl ! -name '*-' ! -name '*.lock' 2>/dev/null | sort || true",
    )


def certificate():
    """A new certificate that signs itself."""
    import datetime as dt

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
    now = dt.datetime.now(dt.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()
