"""Hosts that exist: which are taken, what is kept of it, and everything that is wrong with them, said at once."""

from __future__ import annotations

import json
import socket
import stat
import threading
from dataclasses import replace

import asyncssh
import pytest

from clusterctl.config import loading
from clusterctl.errors import ProviderError
from clusterctl.model import Access, Facet, NodeState, Volume
from clusterctl.plugin.loader import find_plugin_class
from clusterctl.providers.base import Power
from clusterctl.providers.static import Host, StaticProvider, parse_host
from clusterctl.wiring import providers

from ...support.provider_contract import ProviderContract, ids, plan_for


def new_key(kind="ssh-ed25519", **options):
    return asyncssh.generate_private_key(kind, **options).export_public_key().decode().strip()


KEY = new_key()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch, allow_loopback):
    """A user whose ssh knows nobody yet. (To read an address as such is a matter of sockets to asyncssh.)"""
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    (tmp_path / "me" / ".ssh").mkdir(parents=True)
    return tmp_path / "me"


@pytest.fixture
def known_hosts(home):
    """Write lines to the user's known_hosts."""
    return lambda *lines: (home / ".ssh" / "known_hosts").write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
def listening():
    """Makes ports that take connections; `port.close()` takes one away."""
    opened = []

    def listen():
        opened.append(socket.create_server(("127.0.0.1", 0)))
        return opened[-1]

    yield listen
    for server in opened:
        server.close()


def host(name, **changes):
    fields = {"address": "127.0.0.1", "port": 22, "user": "me", "host_key": KEY, **changes}
    return Host(name, **fields)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "static"


def provider_of(root, *hosts, **options):
    return StaticProvider(root, hosts=hosts, **options)


class TestContract(ProviderContract):
    @pytest.fixture
    def provider(self, root, listening):
        return provider_of(root, *(host(f"h{n}", port=listening().getsockname()[1]) for n in range(5)))


FAR = [host("alpha", address="192.0.2.1"), host("beta", address="192.0.2.2"), host("gamma", address="192.0.2.3")]
"""Addresses that nobody has, of hosts that are behind a gateway: nothing is connected to."""
FAR = [replace(each, jump="198.51.100.1") for each in FAR]


@pytest.fixture
def gate(known_hosts):
    known_hosts(f"198.51.100.1 {KEY}")


@pytest.mark.usefixtures("gate")
class TestTaking:
    def create(self, provider, *aliases, cluster="lab", user="me"):
        return {
            node.alias: node
            for node in provider.create(replace(plan_for(*aliases, cluster=cluster), user=user), public_key="")
        }

    def test_aliases_take_hosts_in_order_the_master_the_first(self, root):
        nodes = self.create(provider_of(root, *FAR), "node001", "master")
        assert {alias: node.address for alias, node in nodes.items()} == {
            "master": "192.0.2.1",
            "node001": "192.0.2.2",
        }

    def test_an_alias_keeps_its_host_though_the_order_changes_and_takes_what_the_config_says_now(self, root):
        before = self.create(provider_of(root, *FAR), "master", "node001")
        turned = [replace(each, user="admin") for each in reversed(FAR)]
        after = self.create(provider_of(root, *turned), "master", "node001", "node002")
        assert [after[alias].id for alias in before] == [before[alias].id for alias in before]
        assert (after["node002"].address, after["master"].user) == ("192.0.2.3", "admin")

    def test_a_host_that_left_is_free_and_whoever_takes_it_is_a_new_member(self, root):
        provider = provider_of(root, *FAR)
        before = self.create(provider, "master", "node001", "node002")
        provider.destroy("lab", ["node001"])
        after = self.create(provider, "master", "node002", "node003")
        assert after["node003"].address == before["node001"].address
        assert after["node003"].id != before["node001"].id.replace("node001", "node003")

    def test_one_that_moved_to_another_address_is_a_new_member(self, root):
        before = self.create(provider_of(root, *FAR), "master")
        after = self.create(provider_of(root, replace(FAR[0], address="192.0.2.77")), "master")
        assert after["master"].id != before["master"].id
        assert after["master"].address == "192.0.2.77"

    def test_a_host_of_another_cluster_is_not_taken_though_it_has_another_name_there(self, root):
        self.create(provider_of(root, replace(FAR[0], name="a")), "master", cluster="other")
        provider = provider_of(root, *FAR)
        assert self.create(provider, "master")["master"].address == "192.0.2.2"
        (problem,) = provider.check(plan_for("master", "node001", "node002"))
        assert problem.message == "lab needs 3 hosts, and HOSTS has 2 for it; others belong to other"

    def test_too_few_are_refused_and_nothing_is_taken(self, root):
        provider = provider_of(root, *FAR[:1])
        with pytest.raises(ProviderError, match="lab needs 2 hosts, and HOSTS has 1 for it") as caught:
            self.create(provider, "master", "node001")
        assert "add hosts" in caught.value.remedy
        assert provider.nodes() == []

    def test_a_host_that_is_not_listed_any_more_must_leave_first(self, root):
        self.create(provider_of(root, *FAR), "master", "node001")
        messages = provider_of(root, FAR[1]).check(plan_for("master", "node001"))
        (problem,) = [each for each in messages if "alpha" in each.message]
        assert problem.message == "master of lab is on alpha, which HOSTS does not name any more"
        assert "terminate lab" in problem.remedy
        (problem,) = provider_of(root, FAR[0], FAR[2]).check(plan_for("master", "node001"))
        assert "removenode -a node001 lab" in problem.remedy

    def test_a_node_is_what_the_config_says(self, root):
        node = self.create(provider_of(root, *FAR), "master")["master"]
        assert node.access == Access(agent=True, jump="198.51.100.1")
        assert (node.private_address, node.user, node.cores) == ("192.0.2.1", "me", None)
        assert node.host_key == " ".join(KEY.split()[:2])
        assert str(node.layout.home) == "/home/me"
        assert node.facets == {Facet.MACHINE, Facet.INIT, Facet.LASTING}

    def test_a_key_file_takes_the_place_of_the_agent(self, root, tmp_path):
        (tmp_path / "id").touch()
        provider = provider_of(root, host("alpha", address="192.0.2.1", key=str(tmp_path / "id"), jump="198.51.100.1"))
        assert self.create(provider, "master")["master"].access == Access(key=str(tmp_path / "id"), jump="198.51.100.1")

    def test_a_shared_home_is_said_by_provider_and_nodes_also_later_without_the_config(self, root):
        provider = provider_of(root, *FAR, shared_home=True)
        self.create(provider, "master")
        assert Facet.SHARED_HOME in provider.facets
        assert Facet.SHARED_HOME in StaticProvider(root).nodes("lab")[0].facets
        assert Facet.SHARED_HOME not in StaticProvider(root).facets

    def test_without_the_config_what_is_taken_is_told_and_freed(self, root):
        self.create(provider_of(root, *FAR), "master", "node001")
        bare = StaticProvider(root)
        assert [node.alias for node in bare.nodes()] == ["master", "node001"]
        bare.destroy("lab")
        assert provider_of(root, *FAR).nodes() == []
        assert not list(root.glob("*.json"))

    def test_nothing_is_powered_off(self, root):
        assert not isinstance(provider_of(root), Power)

    def test_two_that_take_hosts_at_once_take_different_ones(self, root):
        taken = {}

        def take(cluster):
            taken[cluster] = self.create(provider_of(root, *FAR), "master", cluster=cluster)["master"].address

        threads = [threading.Thread(target=take, args=(name,)) for name in ("one", "two", "three")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(taken.values()) == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]


@pytest.mark.usefixtures("gate")
class TestRecord:
    @pytest.fixture
    def taken(self, root):
        provider = provider_of(root, *FAR)
        provider.create(plan_for("master"), public_key="")
        return root / "lab.json"

    def test_it_is_for_its_owner_only(self, taken, root):
        assert stat.S_IMODE(taken.stat().st_mode) == 0o600
        assert stat.S_IMODE(root.stat().st_mode) == 0o700
        assert {path.name for path in root.iterdir()} == {"lab.json", "lock"}

    @pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"user": "", "shared_home": false, "members": {"a": {}}}'])
    def test_one_that_is_not_whole_is_named(self, taken, root, text):
        taken.write_text(text)
        with pytest.raises(ProviderError, match=r"record of the hosts of lab cannot be read: .*lab\.json") as caught:
            provider_of(root).nodes("lab")
        assert f"delete {taken}" in caught.value.remedy

    def test_a_record_that_cannot_be_written_leaves_the_old_one(self, taken, root, monkeypatch):
        before = taken.read_text()

        def full(*_, **__):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(json, "dump", full)
        with pytest.raises(ProviderError, match="cannot write"):
            provider_of(root, *FAR).create(plan_for("master", "node001"), public_key="")
        assert taken.read_text() == before
        assert {path.name for path in root.iterdir()} == {"lab.json", "lock"}

    @pytest.mark.parametrize("name", ["../lab", "", "/lab", ".hidden"])
    def test_what_cannot_name_a_cluster_reads_and_writes_no_file(self, root, name):
        with pytest.raises(ProviderError, match="cannot be a cluster's name"):
            provider_of(root).nodes(name)
        with pytest.raises(ProviderError, match="cannot be a cluster's name"):
            provider_of(root).destroy(name)


class TestState:
    def test_one_that_takes_no_connection_is_stopped(self, root, listening):
        ports = [listening(), listening()]
        hosts = [host(f"h{n}", port=port.getsockname()[1]) for n, port in enumerate(ports)]
        provider = provider_of(root, *hosts)
        provider.create(plan_for("master", "node001"), public_key="")
        ports[1].close()
        assert [node.state for node in provider.nodes("lab")] == [NodeState.RUNNING, NodeState.STOPPED]

    def test_one_behind_a_gateway_is_taken_for_up_and_not_connected_to(self, root, gate, monkeypatch):
        monkeypatch.delattr(socket, "create_connection")
        provider = provider_of(root, FAR[0])
        provider.create(plan_for("master"), public_key="")
        assert provider.nodes("lab")[0].state == NodeState.RUNNING


def messages(provider, *aliases, **changes):
    problems = provider.check(replace(plan_for(*(aliases or ("master",))), **changes))
    assert all(problem.remedy for problem in problems)
    return [problem.message for problem in problems]


class TestCheck:
    def test_everything_of_every_host_is_said_at_once(self, root):
        hosts = [
            parse_host("me@@nonsense"),
            host("alpha", address="name.invalid"),
            host("beta", address="192.0.2.2", host_key=""),
            host("gamma", address="192.0.2.3", key="/nothing/id"),
            host("delta", address="192.0.2.3", host_key="nonsense"),
            host("epsilon", address="2001:db8::1", jump="gate.invalid,other"),
        ]
        volumes = (Volume("data", mount_path="/data", id="vol-1"),)
        said = "\n".join(
            messages(provider_of(root, *hosts), "master", *(f"node{n:03d}" for n in range(1, 8)), volumes=volumes)
        )
        for part in (
            "HOSTS: expected user@host:port, or a part of it, got 'me@@nonsense'",
            "alpha: name.invalid is no name that is known here",
            "no host key is known of beta (192.0.2.2:22)",
            "gamma: its key /nothing/id cannot be read",
            "HOSTS names the same host as gamma and as delta",
            "delta: HOST_KEY: expected one of ssh-ed25519",
            "epsilon: PROXY_JUMP: expected user@host:port",
            "epsilon: 2001:db8::1 has IPv6 addresses only, and ipyparallel's controller listens on IPv4 only",
            "lab needs 8 hosts, and HOSTS has 6 for it",
            "volume data: VOLUME_ID means nothing to static hosts",
        ):
            assert part in said
        assert not root.exists()

    def test_hosts_that_are_not_needed_stop_nothing(self, root):
        hosts = [host("alpha", address="192.0.2.1"), host("beta", address="192.0.2.2", host_key="")]
        assert messages(provider_of(root, *hosts), "master") == []

    def test_one_problem_for_all_that_nobody_knows_with_the_way_to_get_their_keys(self, root):
        hosts = [
            host("alpha", address="192.0.2.1", port=2222, host_key="", jump="admin@198.51.100.9:24"),
            host("beta", address="192.0.2.2", host_key="", jump="admin@198.51.100.9:24"),
        ]
        (problem,) = provider_of(root, *hosts).check(plan_for("master", "node001"))
        assert "alpha (192.0.2.1:2222), the gateway (198.51.100.9:24), beta (192.0.2.2:22)" in problem.message
        assert "ssh -J admin@198.51.100.9:24 -p 2222 me@192.0.2.1" in problem.remedy
        assert "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" in problem.remedy
        assert "HOST_KEY" in problem.remedy
        assert "ssh-keyscan" in problem.remedy

    def test_a_host_that_is_listed_twice_is_named(self, root):
        twice = [host("alpha", address="192.0.2.1"), host("alpha", address="192.0.2.1")]
        assert "HOSTS names alpha twice" in messages(provider_of(root, *twice))
        other = [host("alpha", address="RACK1", private_address="192.0.2.1"), host("b", address="rack1")]
        assert "HOSTS names the same host as alpha and as b" in provider_of(root, *other).check(plan_for())[0].message

    def test_two_hosts_cannot_be_at_one_address_for_the_others(self, root):
        behind = [host(name, address="192.0.2.1", port=port) for name, port in (("alpha", 2201), ("beta", 2202))]
        assert messages(provider_of(root, *behind), "master", "node001") == [
            "alpha and beta both have the address 192.0.2.1"
        ]
        told = [replace(each, private_address=f"10.0.0.{each.port - 2200}") for each in behind]
        assert messages(provider_of(root, *told), "master", "node001") == []

    def test_loopback_is_an_address_only_among_themselves(self, root):
        mixed = [host("here", address="127.0.0.1"), host("there", address="192.0.2.1")]
        assert messages(provider_of(root, *mixed), "master", "node001") == [
            "here: the other hosts cannot reach it on 127.0.0.1"
        ]

    def test_by_ipv6_a_host_may_be_reached_if_the_others_have_an_ipv4_address_for_it(self, root, monkeypatch):
        six = host("alpha", address="2001:db8::1", private_address="10.0.0.1")
        assert messages(provider_of(root, six)) == []
        monkeypatch.setattr("clusterctl.providers.static.provider._probe_state", lambda node: NodeState.RUNNING)
        (node,) = provider_of(root, six).create(plan_for("master"), public_key="")
        assert (node.address, node.private_address) == ("2001:db8::1", "10.0.0.1")

    def test_a_name_is_resolved_for_the_others(self, root):
        provider = provider_of(root, host("localhost", address="localhost", port=1))
        (node,) = provider.create(plan_for("master"), public_key="")
        assert (node.address, node.private_address) == ("localhost", "127.0.0.1")

    def test_a_name_that_only_the_gateway_knows_needs_a_private_address(self, root, gate):
        inside = host("alpha", address="alpha.invalid", jump="198.51.100.1")
        assert messages(provider_of(root, inside)) == ["alpha: no IPv4 address of alpha.invalid is known here"]
        assert messages(provider_of(root, replace(inside, private_address="10.0.0.1"))) == []

    def test_a_volume_with_a_device_is_fine(self, root):
        provider = provider_of(root, host("alpha", address="192.0.2.1"))
        assert messages(provider, volumes=(Volume("data", mount_path="/data", device="/dev/sdb"),)) == []


class TestHostKeys:
    @pytest.fixture
    def key_of(self, root, monkeypatch):
        monkeypatch.setattr("clusterctl.providers.static.provider._probe_state", lambda node: NodeState.RUNNING)

        def key_of(**changes):
            provider = provider_of(root, host("alpha", **{"address": "192.0.2.1", "host_key": "", **changes}))
            return provider.create(plan_for("master"), public_key="")[0].host_key

        return key_of

    def test_it_comes_from_the_users_known_hosts(self, key_of, known_hosts):
        known_hosts("# a comment", "not a line", "192.0.2.9 ssh-ed25519 AAAA", f"192.0.2.1,rack {KEY} a comment")
        assert key_of() == KEY

    def test_a_port_of_its_own_is_in_brackets_there(self, key_of, known_hosts):
        other = new_key()
        known_hosts(f"192.0.2.1 {other}", f"[192.0.2.1]:2222 {KEY}")
        assert key_of(port=2222) == KEY
        assert key_of() == other

    def test_hashed_lines_count(self, key_of, known_hosts):
        # As ssh-keygen -H makes them: HMAC-SHA1 of the name, with the salt as key.
        import base64
        import hashlib
        import hmac

        salt = b"01234567890123456789"
        lines = []
        for name in ("192.0.2.1", "[192.0.2.1]:2222"):
            digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
            lines.append(f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()} {KEY}")
        known_hosts(*lines)
        assert key_of() == key_of(port=2222) == KEY

    def test_of_several_types_the_best_is_taken(self, key_of, known_hosts):
        ecdsa, rsa = new_key("ecdsa-sha2-nistp256"), new_key("ssh-rsa", key_size=2048)
        known_hosts(f"192.0.2.1 {rsa}")
        assert key_of() == rsa
        known_hosts(f"192.0.2.1 {rsa}", f"192.0.2.1 {ecdsa}")
        assert key_of() == ecdsa
        known_hosts(f"192.0.2.1 {rsa}", f"192.0.2.1 {ecdsa}", f"192.0.2.1 {KEY}")
        assert key_of() == KEY

    def test_a_revoked_key_is_none(self, key_of, known_hosts):
        known_hosts(f"192.0.2.1 {KEY}", f"@revoked * {KEY}")
        with pytest.raises(ProviderError, match="no host key is known of alpha"):
            key_of()

    def test_a_certificate_authority_is_refused_in_words(self, key_of, known_hosts):
        known_hosts(f"@cert-authority *,192.0.2.1 {KEY}")
        with pytest.raises(ProviderError, match="certificate authority") as caught:
            key_of()
        assert "HOST_KEY" in caught.value.remedy
        known_hosts(f"@cert-authority *,192.0.2.1 {new_key()}", f"192.0.2.1 {KEY}")
        assert key_of() == KEY

    @pytest.mark.parametrize(
        "text", [KEY, f"{KEY} root@alpha", f"alpha {KEY}"], ids=["key", "with comment", "with host"]
    )
    def test_the_configs_counts_more_however_it_was_copied(self, key_of, known_hosts, text):
        known_hosts(f"192.0.2.1 {new_key()}")
        assert key_of(host_key=text) == KEY

    def test_a_name_is_looked_up_in_small_letters(self, key_of, known_hosts):
        known_hosts(f"rack.example.org {KEY}", f"192.0.2.5 {KEY}")
        assert key_of(address="Rack.example.org", private_address="10.0.0.1", jump="192.0.2.5") == KEY


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("alpha", ("alpha", 22, "")),
        ("admin@192.0.2.1", ("192.0.2.1", 22, "admin")),
        ("admin@alpha.example.org:2222", ("alpha.example.org", 2222, "admin")),
        ("admin@[2001:db8::1]:2222", ("2001:db8::1", 2222, "admin")),
        ("[2001:db8::1]", ("2001:db8::1", 22, "")),
    ],
)
def test_a_host_without_a_section_is_what_is_written(text, expected, monkeypatch):
    monkeypatch.setenv("LOGNAME", "")
    monkeypatch.setenv("USER", "")
    monkeypatch.setattr("getpass.getuser", lambda: "")
    written = parse_host(text)
    assert (written.address, written.port, written.user) == expected
    assert written.fault == ""


@pytest.mark.parametrize("text", ["", "a b", "user@", "@host", "host:0", "host:70000", "host:x", "2001:db8::1", "a;b"])
def test_what_is_no_host_is_a_fault(text):
    assert "expected user@host:port" in parse_host(text).fault


def test_the_config_says_the_hosts(tmp_path):
    path = tmp_path / "config"
    path.write_text(
        "[cluster rack]\ncluster_user = me\nhosts = alpha, admin@192.0.2.9:2222\nshared_home = yes\n"
        "[host alpha]\naddress = 192.0.2.1\nprivate_address = 10.0.0.1\nport = 23\nuser = root\n"
        "key_location = ~/id\nproxy_jump = me@gate\nhost_key = ssh-ed25519 AAAA\n"
    )
    settings = loading.read_config(path, environ={}, find_plugin=find_plugin_class)
    provider = providers.make_provider("static", settings)
    assert provider._hosts == (
        Host(
            "alpha",
            address="192.0.2.1",
            port=23,
            user="root",
            private_address="10.0.0.1",
            key=str(tmp_path / "me" / "id"),
            jump="me@gate",
            host_key="ssh-ed25519 AAAA",
        ),
        Host("admin@192.0.2.9:2222", address="192.0.2.9", port=2222, user="admin"),
    )
    assert Facet.SHARED_HOME in provider.facets
    assert ids(providers.make_provider("static").nodes()) == {}
