"""Plugins as they were documented before there was a base class load and act as they did."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from clusterctl.model import Facet
from clusterctl.operations import leave
from clusterctl.operations.run_plugin import run_plugin
from clusterctl.operations.start import start_cluster
from clusterctl.operations.status import query_status
from clusterctl.plugin.loader import find_plugin_class, options_model, why_not_needed

SUPPORT = Path(__file__).parents[2] / "support"
HELLO = '''
from clusterctl.api import Cluster, Facet, Field, Node, Section, hookimpl


class Options(Section):
    greeting: str = Field("hello", description="what to say")


class Hello:
    """Writes a greeting to every node."""

    needs = frozenset({Facet.MACHINE})
    waits_for_master = False

    def __init__(self, options: Options) -> None:
        self._options = options

    @staticmethod
    @hookimpl
    def clusterctl_settings() -> type[Section]:
        return Options

    @hookimpl
    def clusterctl_join(self, cluster: Cluster, node: Node) -> None:
        path = node.layout.state / "greeting"
        cluster.on(node).run(f"echo '{self._options.greeting} from {node.alias}' > {path}")

    @hookimpl
    def clusterctl_run(self, cluster: Cluster) -> None:
        def read(node: Node) -> str:
            return cluster.on(node).run(f"cat {node.layout.state}/greeting").stdout.strip()

        for alias, said in cluster.each(read).items():
            cluster.say(f"{alias}: {said}")
'''


@pytest.fixture
def hello(tmp_path):
    path = tmp_path / "hello.py"
    path.write_text(textwrap.dedent(HELLO))
    return find_plugin_class("hello", f"{path}:Hello")


def test_the_documented_example_greets_with_its_option_and_runs_by_name(lab, hello):
    parts = lab.parts({"hello": hello}, options={"hello.greeting": "bonjour"})
    assert start_cluster(parts).ok
    assert [ran.text for ran in lab.connector.ran if ran.node == "node001"] == [
        "echo 'bonjour from node001' > /fake/lab/node001/state/greeting"
    ]
    assert run_plugin(lab.parts({"hello": hello}), "hello") == []
    assert "node001: " in lab.said


def test_its_attributes_count(lab, hello):
    assert why_not_needed(hello, frozenset()) == "these nodes are no machines of their own"
    assert why_not_needed(hello, frozenset({Facet.MACHINE})) == ""
    assert lab.parts({"hello": hello}).plugin_host.independent_plugins() == ("hello",)


def test_the_old_plugin_with_every_hook_lives_a_whole_life(lab):
    plugin = find_plugin_class("every_hook", f"{SUPPORT}/old_every_hook.py:EveryHook")
    assert set(options_model(plugin).model_fields) == {"title", "port"}
    lab.connector.answers = {"every_hook: status": "every_hook:every_hook-0 RUNNING pid 7, uptime 0:00:04\n"}
    started = start_cluster(lab.parts({"every_hook": plugin}, options={"every_hook.port": "8901"}))
    assert started.ok
    assert [endpoint.url.reveal() for endpoint in started.published] == ["http://127.0.0.1:8901/"]
    assert run_plugin(lab.parts({"every_hook": plugin}), "every_hook") == []
    assert [row.value for row in query_status(lab.parts({"every_hook": plugin})).rows] == [
        "running pid 7, uptime 0:00:04"
    ]
    leave.remove_nodes(lab.parts({"every_hook": plugin}), ["node002"], 1)
    leave.terminate_cluster(lab.parts({"every_hook": plugin}))
    assert lab.provider.nodes() == []
    assert lab.warnings == []
