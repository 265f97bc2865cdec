"""Nothing that engines hold ends before its owner has said yes."""

from __future__ import annotations

import pytest

from clusterctl.api import hookimpl
from clusterctl.errors import UsageError
from clusterctl.operations.growing import add_nodes
from clusterctl.operations.leave import stop_cluster
from clusterctl.operations.run_plugin import run_plugin
from clusterctl.operations.start import start_cluster
from clusterctl.operations.start_plan import preview_start

from ...support.approval import Asked, Refusing

ENDS = "6 engines with what is in memory"


class Ending:
    """Says that engines end."""

    joined: list

    def __init__(self, options):
        pass

    @hookimpl
    def clusterctl_prepare(self, cluster):
        cluster.will_end(ENDS)
        cluster.remember("count", len(self.joined))

    @hookimpl
    def clusterctl_join(self, cluster, node):
        self.joined.append(node.alias)


@pytest.fixture
def parts(lab):
    Ending.joined = []
    made = lab.parts({"e": Ending}, cluster_size=2)
    start_cluster(made, approval=Refusing())
    Ending.joined.clear()
    return made


def test_on_a_new_cluster_nothing_can_end(lab):
    Ending.joined = []
    assert preview_start(lab.parts({"e": Ending})).endings == ()
    assert start_cluster(lab.parts({"e": Ending}), approval=Refusing()).ok


@pytest.mark.parametrize(
    "command",
    [
        lambda parts, approval: start_cluster(parts, approval=approval),
        lambda parts, approval: add_nodes(parts, [], 1, approval=approval),
        lambda parts, approval: run_plugin(parts, "e", approval=approval),
    ],
    ids=["start", "addnode", "runplugin"],
)
def test_whoever_owns_it_is_asked_before_a_node_is_touched(parts, lab, command):
    before = lab.provider.nodes()
    Ending.joined = [None] * 7
    with pytest.raises(UsageError):
        command(parts, Refusing())
    assert len(Ending.joined) == 7
    assert lab.provider.nodes() == before
    assert parts.folder.plugin_notes()["count"] == 0
    asked = Asked()
    command(parts, asked)
    assert asked.endings == [("lab", ENDS)]
    assert parts.folder.plugin_notes()["count"] == 7
    assert f"Starting anew on lab: {ENDS}" in lab.said


def test_a_dry_run_says_it(parts):
    assert preview_start(parts).endings == (ENDS,)


def test_on_nodes_that_do_not_run_nothing_ends(parts):
    stop_cluster(parts)
    assert start_cluster(parts, approval=Refusing()).ok
