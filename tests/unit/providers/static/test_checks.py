"""Everything that is wrong with hosts, said at once."""

from __future__ import annotations

from dataclasses import replace

from clusterctl.model import NodeState, Volume
from clusterctl.providers.static.hosts import parse_host

from ....support.provider_contract import plan_for
from ....support.static_hosts import host, provider_of


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
