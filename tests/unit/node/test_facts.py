"""What a machine says of itself, and what is made of it."""

from __future__ import annotations

import pytest

from clusterctl.errors import RemoteError
from clusterctl.model import Facet
from clusterctl.node.facts import Facts, gather_facts, switch_host_key
from clusterctl.testing import FakeRemote, fake_node

MACHINE = frozenset({Facet.MACHINE, Facet.INIT})
USUAL = "id 0\nkernel Linux\ncores 4\ninit systemd\npython /usr/bin/python3\n"
BORN = fake_node(facets=MACHINE, bootstrap_key=True, host_key="ssh-ed25519 THROWAWAY a comment")


def asked(node, said=USUAL):
    remote = FakeRemote(node, {"facts": said})
    return gather_facts(remote, node), remote


def test_one_root_script_tells_how_many_cores_it_has():
    facts, remote = asked(fake_node(facets=MACHINE))
    assert facts == Facts(cores=4)
    assert [(ran.name, ran.sudo) for ran in remote.ran] == [("facts", True)]
    assert "host_key" not in remote.ran[0].text


def test_the_same_script_makes_a_host_key_where_the_node_was_born_with_a_throw_away_one():
    facts, remote = asked(BORN, f"{USUAL}host_key ssh-ed25519 OWN\n")
    assert facts == Facts(cores=4, host_key="ssh-ed25519 OWN")
    assert [ran.name for ran in remote.ran] == ["facts"]
    assert "= 'ssh-ed25519 THROWAWAY' ]" in remote.ran[0].text


@pytest.mark.parametrize("cores", ["", "four", "-1", "9" * 5000, "\u0664"])
def test_a_number_of_cores_that_is_none_is_an_error_of_that_node(cores):
    with pytest.raises(RemoteError, match="master: it does not say how many cores it has"):
        asked(fake_node(facets=MACHINE), USUAL.replace("cores 4", f"cores {cores}"))


@pytest.mark.parametrize("line", ["", "host_key \n", "host_key ssh-ed25519 A;B\n", "host_key * ssh-ed25519 AAAA\n"])
def test_a_node_that_cannot_make_one_is_told_of(line):
    with pytest.raises(RemoteError, match="master: it could not make a host key of its own") as caught:
        asked(BORN, USUAL + line)
    assert "ssh-keygen" in caught.value.remedy


@pytest.mark.parametrize(
    ("there", "instead", "message"),
    [
        ("id 0", "id 1000", "me is not root there"),
        ("init systemd", "init other", "systemd does not run on 127.0.0.1"),
        ("/usr/bin/python3", "none", "127.0.0.1 has no Python 3"),
        ("Linux", "FreeBSD", "or does not run Linux"),
    ],
)
def test_what_its_provider_promised_and_it_is_not_is_an_error(there, instead, message):
    with pytest.raises(RemoteError, match=message):
        asked(fake_node(facets=MACHINE), USUAL.replace(there, instead))


def test_the_key_is_taken_into_use_by_one_root_script():
    remote = FakeRemote(BORN)
    switch_host_key(remote, "ssh-ed25519 OWN")
    (ran,) = remote.ran
    assert (ran.name, ran.sudo) == ("host key", True)
    assert "wanted='ssh-ed25519 OWN'" in ran.text
