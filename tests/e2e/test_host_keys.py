"""Nodes that are born with a throw-away host key get their own, and whoever is killed meanwhile still gets in."""

from __future__ import annotations

import shutil
import signal
import subprocess
from dataclasses import dataclass, replace

import pytest

from clusterctl.errors import RemoteError
from clusterctl.identity.keys import ensure_key_pair
from clusterctl.journal import ClusterFolder
from clusterctl.model import MASTER, Facet
from clusterctl.node.facts import gather_facts
from clusterctl.operations.joining.join import join_nodes
from clusterctl.operations.plan import make_plan
from clusterctl.remote.ssh import SSHRemote
from clusterctl.wiring.context import make_connector

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
MACHINE = "i-0123456789abcdef0"


class Killed(BaseException):
    """Nothing more happens."""


@dataclass
class Born:
    """A provider that tells of one node as a cloud does: with the key it was born with, until it is known to have more.

    Attributes:
        server: the node's sshd.
        folder: whose journal says which keys nodes have by now.
        boot: behind the machine's id; another one after a stop and a start.
    """

    server: object
    folder: ClusterFolder
    boot: str = "2026-11-27T10:00:00"
    facets: frozenset = frozenset({Facet.MACHINE})

    def nodes(self, cluster=None):
        known = self.folder.host_keys().get(MACHINE)
        key = known or self.server.host_key
        identity = {"id": f"{MACHINE}@{self.boot}", "machine_id": MACHINE, "boot_id": self.boot}
        return [self.server.node(**identity, host_key=key, bootstrap_key=known is None, facets=self.facets, cores=None)]


@dataclass
class Start:
    """A laptop that starts a cluster of one node; each call is another run of the program."""

    lab: object
    server: object

    def __call__(self, **changes):
        parts = self.lab.parts()
        folder = ClusterFolder(self.lab.home, "lab")
        provider = Born(self.server, folder, **changes)
        parts = replace(parts, provider=provider, folder=folder, connector=make_connector(folder))
        self.server.allow(folder.ensure_exists())
        nodes = provider.nodes()
        folder.pin_host_keys(nodes)
        cluster = parts.make_cluster(nodes)
        try:
            join_nodes(parts, cluster, make_plan(parts, [MASTER]), [MASTER], left_s=30)
            return cluster.master, cluster.on(cluster.master).run("echo it goes on").stdout
        finally:
            cluster.close()

    @property
    def folder(self):
        return ClusterFolder(self.lab.home, "lab")

    def remote(self):
        node = Born(self.server, self.folder).nodes()[0]
        self.folder.pin_host_keys([node])
        return SSHRemote(
            node,
            key=self.folder.private_key_file,
            known_hosts=self.folder.known_hosts_file,
            log=self.folder.log_file(MASTER),
        )


@pytest.fixture(scope="module")
def born(sshds):
    """An sshd whose host key is the one that it was born with, and what puts it back there."""
    if not shutil.which("ssh-keyscan"):
        pytest.skip("ssh-keyscan: is not installed")
    server = sshds.start(own_etc=True)
    shutil.copytree(server.folder / "etc", server.folder / "birth")
    return server


@pytest.fixture
def server(born):
    etc = born.folder / "etc"
    for path in etc.iterdir():
        path.unlink()
    for path in (born.folder / "birth").iterdir():
        shutil.copy2(path, etc)
    reload(born)
    return born


def reload(server):
    heard = server.log.count("Server listening")
    server.process.send_signal(signal.SIGHUP)
    while server.log.count("Server listening") == heard:
        assert server.process.poll() is None


@pytest.fixture
def start(lab, server, home):
    return Start(lab, server)


def shown(server):
    """Every host key that it shows, of any kind."""
    asked = ["ssh-keyscan", "-p", str(server.port), "-t", "ed25519,ecdsa,rsa", "127.0.0.1"]
    lines = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()
    return {line.split(" ", 1)[1] for line in lines if not line.startswith("#")}


def check_that_all_is_well(start, node):
    """The node shows a key of its own and no other, which is the only one that is pinned, and known for later."""
    server, folder = start.server, start.folder
    assert (node.bootstrap_key, shown(server)) == (False, {node.host_key})
    assert node.host_key != server.host_key
    assert folder.known_hosts_file.read_text() == f"[127.0.0.1]:{server.port} {node.host_key}\n"
    assert folder.host_keys() == {MACHINE: node.host_key}
    etc = server.folder / "etc"
    assert {path.name for path in etc.iterdir()} == {"ssh_host_ed25519_key", "ssh_host_ed25519_key.pub"}
    assert (etc / "ssh_host_ed25519_key").stat().st_mode & 0o777 == 0o600
    assert (etc / "ssh_host_ed25519_key.pub").read_text().strip() == node.host_key
    assert (etc / "ssh_host_ed25519_key.pub").stat().st_mode & 0o777 == 0o644


def test_a_node_gets_a_key_of_its_own_at_first_contact_and_the_connection_goes_on(start):
    node, said = start()
    assert said == "it goes on\n"
    assert node.cores >= 1
    check_that_all_is_well(start, node)


def test_it_costs_one_command_more_and_only_once(start):
    start()
    began = start.folder.log_file(MASTER).read_text()
    start()
    again = start.folder.log_file(MASTER).read_text().removeprefix(began)
    assert [line.split()[1] for line in began.splitlines() if " -> " in line] == ["facts", "host", "echo"]
    assert [line.split()[1] for line in again.splitlines() if " -> " in line] == ["facts", "echo"]


def test_its_key_stays_over_a_stop_and_a_start(start):
    before, _ = start()
    after, _ = start(boot="2026-11-28T08:00:00")
    assert (after.host_key, after.bootstrap_key) == (before.host_key, False)


def test_the_key_that_it_was_born_with_is_refused_from_then_on(start, server):
    start()
    for path in (server.folder / "birth").iterdir():
        shutil.copy2(path, server.folder / "etc")
    reload(server)
    with pytest.raises(RemoteError, match="shows another host key"):
        start.remote().connect()


def test_a_third_key_is_refused_while_two_are_accepted(start, server, tmp_path):
    node = Born(server, start.folder).nodes()[0]
    start.folder.ensure_exists()
    start.folder.pin_host_keys([node])
    start.folder.expect_host_key(node, ensure_key_pair(tmp_path / "third").rsplit(" ", 1)[0])
    ensure_key_pair(server.folder / "etc" / "new")
    (server.folder / "etc" / "new").replace(server.folder / "etc" / "ssh_host_ed25519_key")
    reload(server)
    with pytest.raises(RemoteError, match="shows another host key"):
        start.remote().connect()


STEPS = ("pin 1", "facts", "host_key_made", "pin 2", "host key", "host_key", "pin 3", "joined")
"""All that a start does with a new node: scripts there, lines in the journal, and known_hosts written here."""


class Steps:
    """Watches the steps of a start, and ends it after one of them."""

    def __init__(self, patch, last=""):
        self.last = last
        self.seen = []
        self._pins = 0
        self._watch(patch, SSHRemote, "run_script", lambda *_, name, **__: name)
        self._watch(patch, ClusterFolder, "record", lambda _, event, **__: event)
        self._watch(patch, ClusterFolder, "write_file", self._pin)

    def _pin(self, *_):
        self._pins += 1
        return f"pin {self._pins}"

    def _watch(self, patch, owner, method, name_of):
        act = getattr(owner, method)

        def do(*args, **kwargs):
            name = name_of(*args, **kwargs)
            self.seen.append(name)
            found = act(*args, **kwargs)
            if self.last == name:
                raise Killed
            return found

        patch.setattr(owner, method, do)


def test_these_are_all_steps(start):
    with pytest.MonkeyPatch.context() as patch:
        steps = Steps(patch)
        start()
    assert tuple(steps.seen) == STEPS


@pytest.mark.parametrize("last", STEPS)
def test_whoever_is_killed_after_any_step_gets_in_again(start, last):
    with pytest.MonkeyPatch.context() as patch:
        Steps(patch, last)
        with pytest.raises((Killed, RemoteError)):
            start()
    node, _ = start()
    check_that_all_is_well(start, node)


def test_so_does_whoever_is_killed_again_and_again(start):
    for last in ("facts", "host key", "host_key_made", "host_key"):
        with pytest.MonkeyPatch.context() as patch:
            Steps(patch, last)
            with pytest.raises((Killed, RemoteError)):
                start()
    node, _ = start()
    check_that_all_is_well(start, node)


DIED = {
    "nothing more than the key was made": "true",
    "half a key was made": "echo half > ssh_host_own_key.draft; rm ssh_host_own_key",
    "half a key was left where the whole belongs": "echo half > ssh_host_own_key",
    "the key was put in place": "mv ssh_host_own_key ssh_host_ed25519_key",
}


@pytest.mark.parametrize(("state", "booted"), [*((state, False) for state in DIED), ("the key was put in place", True)])
def test_a_node_that_died_half_way_gets_its_key_all_the_same(start, server, state, booted):
    server.allow(start.folder.ensure_exists())
    remote = start.remote()
    start.folder.expect_host_key(remote.node, gather_facts(remote, remote.node).host_key)
    remote.run(f"cd /etc/ssh && {DIED[state]}")
    remote.close()
    if booted:
        reload(server)
    node, _ = start()
    check_that_all_is_well(start, node)
