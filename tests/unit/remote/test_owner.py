"""Scripts with an owner: what is sent, and what a refusal says."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from clusterctl.model import Facet
from clusterctl.remote.owner import Owner, prepare, refusal
from clusterctl.testing import fake_node

OWNER = Owner("abc", 7, "run1", "2026-01-02T03:04:05Z", "it's\nme@host", "clusterctl start lab")
MACHINE = frozenset({Facet.MACHINE})


def test_without_an_owner_a_script_is_sent_as_it_is():
    command, text = prepare("echo hi", None, fake_node(), sudo=True, word="word")
    assert command == "sh -s"
    assert text == "clusterctl_script() {\necho hi\n}\necho word\nclusterctl_script\nexit $?\n"


def test_with_an_owner_each_script_has_a_name_of_its_own_in_its_environment():
    names = {prepare("x", OWNER, fake_node(), sudo=True, word="w")[0] for _ in range(2)}
    assert len(names) == 2
    assert all(name.startswith("env CLUSTERCTL_SCRIPT=script.run1.") and name.endswith(" sh -s") for name in names)


def test_what_people_are_called_is_no_shell():
    text = prepare("echo hi", OWNER, fake_node(), sudo=True, word="w")[1]
    assert """\nowner_who='it'"'"'s me@host'\n""" in text
    assert text.endswith("\necho w\nowner_main\n")


@pytest.mark.parametrize(
    ("user", "facets", "sudo", "place"),
    [
        ("me", frozenset(), False, "run"),
        ("root", MACHINE, False, "run"),
        ("admin", MACHINE, True, "run"),
        ("admin", MACHINE, False, ""),
    ],
)
def test_who_may_not_change_the_whole_node_owns_a_place_of_his_own(user, facets, sudo, place):
    node = fake_node(user=user, facets=facets)
    wanted = str(node.layout.run) if place else "''"
    assert f"\nowner_place={wanted}\n" in prepare("x", OWNER, node, sudo=sudo, word="w")[1]


class TestRefusals:
    @pytest.fixture(autouse=True)
    def _now(self, monkeypatch):
        now = datetime(2026, 1, 2, 3, 9, 5, tzinfo=timezone.utc)
        monkeypatch.setattr("clusterctl.remote.owner.utc_now", lambda: now)

    def refusal(self, *lines):
        return refusal("\n".join(("some noise", *lines)), fake_node(), word="w0rd")

    def test_one_that_is_at_work_is_named_with_when_it_began(self):
        error = self.refusal("w0rd busy", "me@host, process 3", "clusterctl start lab", OWNER.since, "412")
        assert error.message.startswith(
            "master: another clusterctl is at work there: me@host, process 3, clusterctl start"
        )
        assert error.message.endswith("(5 min ago)")
        assert "clusterctl exec -n master lab -- kill 412" in error.remedy
        assert error.node == "master"

    def test_one_that_has_taken_over_is_named(self):
        error = self.refusal("w0rd late", "me@host", "clusterctl start lab", "no time", "")
        assert error.message == "master: another clusterctl has taken over there: me@host, clusterctl start lab"

    def test_what_does_not_end_is_named(self):
        error = self.refusal("w0rd stuck", "", "", "", " dpkg (12) apt-get (9)")
        assert error.message == "master: what an earlier command left there does not end: dpkg (12) apt-get (9)"
        assert "clusterctl restart lab" in error.remedy

    def test_a_refusal_that_is_cut_short_is_one_all_the_same(self):
        assert self.refusal("w0rd busy").message.startswith("master: another clusterctl is at work there")

    def test_what_a_script_prints_is_no_refusal(self):
        assert self.refusal("word busy", "me", "x", "y", "z") is None
        assert self.refusal("w0rd busy after all") is None
