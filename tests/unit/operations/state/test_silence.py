"""Which nodes do not answer."""

from __future__ import annotations

import pytest

from clusterctl.errors import RemoteError
from clusterctl.model import Access, NodeState
from clusterctl.operations.state import silence
from clusterctl.testing import fake_node


class Remote:
    """A node: whether it greets, and whether it lets in who asks."""

    def __init__(self, node, *, greets, lets_in):
        self.node, self.greets, self.lets_in, self.logins = node, greets, lets_in, 0

    def when_reachable(self, then):
        if self.greets:
            then()

    def connect(self):
        self.logins += 1
        if not self.lets_in:
            raise RemoteError(f"{self.node.alias} does not answer on 192.0.2.1:22", remedy="", node=self.node.alias)


@pytest.fixture
def ask(monkeypatch, lab):
    monkeypatch.setattr(silence, "_PATIENCE_S", 0.01)

    def ask(**remotes):
        nodes = [remote.node for remote in remotes.values()]
        cluster = lab.parts().make_cluster(nodes)
        cluster._connector = lambda node: remotes[node.alias]
        return silence.find_silent(cluster, nodes)

    return ask


def test_who_greets_is_not_asked_again(ask):
    node = Remote(fake_node("node001"), greets=True, lets_in=False)
    assert ask(node001=node) == {}
    assert node.logins == 0


def test_who_is_only_late_is_not_silent(ask):
    assert ask(node001=Remote(fake_node("node001"), greets=False, lets_in=True)) == {}


def test_who_lets_nobody_in_is_silent_with_what_went_wrong(ask):
    silent = ask(
        node001=Remote(fake_node("node001"), greets=False, lets_in=False),
        node002=Remote(fake_node("node002"), greets=True, lets_in=True),
    )
    assert silent == {"node001": "does not answer on 192.0.2.1:22"}


def test_behind_a_gateway_only_a_login_tells(ask):
    node = fake_node("node001", access=Access(jump="gate"))
    assert ask(node001=Remote(node, greets=True, lets_in=False)) == {"node001": "does not answer on 192.0.2.1:22"}


@pytest.mark.parametrize("changes", [{"access": Access(command=("aws",))}, {"state": NodeState.STOPPED}])
def test_who_is_off_or_takes_a_program_for_each_connection_is_not_asked(ask, changes):
    node = Remote(fake_node("node001", **changes), greets=False, lets_in=False)
    assert ask(node001=node) == {}
    assert node.logins == 0
