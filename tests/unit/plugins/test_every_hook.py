"""The sample plugin through a whole life of a fake cluster: each hook's effect is seen."""

from __future__ import annotations

import subprocess
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from clusterctl.api import PluginError
from clusterctl.errors import ConfigError
from clusterctl.model import Facet
from clusterctl.operations import leave
from clusterctl.operations.growing import add_nodes
from clusterctl.operations.plan import make_plan
from clusterctl.operations.run_plugin import run_plugin
from clusterctl.operations.start import start_cluster
from clusterctl.operations.status import query_status
from clusterctl.plugin import hookspecs, host, loader
from clusterctl.testing import fake_cluster

FILE = Path(__file__).parents[2] / "support" / "every_hook.py"
RUNNING = "every_hook:every_hook-0 RUNNING pid 7, uptime 0:00:04\n"


@pytest.fixture
def plugin():
    """Loaded as a user's is."""
    return loader.find_plugin_class("every_hook", f"{FILE}:EveryHook")


@pytest.fixture
def parts(lab, plugin):
    lab.connector.answers = {"every_hook: status": RUNNING}

    def parts(**options):
        return lab.parts({"every_hook": plugin}, options={f"every_hook.{k}": str(v) for k, v in options.items()})

    return parts


def scripts(lab, name):
    return [(ran.node, ran.text) for ran in lab.connector.ran if ran.name == f"every_hook: {name}"]


def test_it_implements_every_hook_there_is(plugin):
    specified = {name for name in vars(hookspecs) if name.startswith("clusterctl_")}
    loaded = host.PluginHost([("every_hook", plugin, loader.options_model(plugin)())])
    assert loaded.plugins[0].hooks == specified - {"clusterctl_settings"}  # the base class has it


def test_it_imports_nothing_of_ours_but_the_api():
    lines = [
        line for line in FILE.read_text().splitlines() if line.lstrip().startswith(("from clusterctl", "import cl"))
    ]
    assert lines == ["from clusterctl.api import ("]


def test_settings_are_checked_before_anything_is_created(parts, lab):
    with pytest.raises(ConfigError, match=r"every_hook\.port: expected at least 1024, got '80'"):
        parts(port=80)
    with pytest.raises(ConfigError, match=r"every_hook.titel: unknown option .did you mean TITLE"):
        parts(titel="x")


def test_request_is_part_of_the_plan(parts):
    plan = make_plan(parts(title="Us"), ["master"])
    assert "tabulate" in plan.request.pip
    assert plan.request.files == {"every_hook.txt": "Us\n"}


def test_prepare_remembers_and_may_refuse(parts, lab, plugin):
    made = parts(title="Us")
    start_cluster(made)
    assert made.folder.plugin_notes()["every_hook_title"] == "Us"
    too_many = make_plan(made, [f"n{i}" for i in range(1001)])
    with pytest.raises(PluginError, match="a page of 1001 nodes"):
        made.plugin_host.call_hook("every_hook", "clusterctl_prepare", cluster=None, plan=too_many)


def test_join_starts_the_server_on_the_master_and_tells_the_workers_where_it_is(parts, lab):
    start_cluster(parts(port=8901))
    joins = dict(scripts(lab, "join"))
    assert set(joins) == {"master", "node001", "node002"}
    assert "http.server --bind 127.0.0.1 --directory /fake/lab/master/state/every_hook 8901" in joins["master"]
    assert "echo 127.0.0.1 > /fake/lab/node001/state/every_hook_master" in joins["node001"]
    assert "http.server" not in joins["node001"]


def test_members_writes_the_page_once_for_those_who_are_there(parts, lab):
    lab.connector.down = {"node002"}
    made = parts(title="Our <b>cluster</b>")
    start_cluster(lab.parts({"every_hook": type(made.plugin_host.plugins[0].plugin)}, start_timeout=1.5))
    ((node, page),) = scripts(lab, "page")
    assert node == "master"
    assert "<p>master: 2 cores</p>\n<p>node001: 2 cores</p>\n" in page
    assert "node002" not in page


def test_connect_says_how_the_laptop_reaches_it(parts):
    started = start_cluster(parts(port=8901))
    (found,) = started.published
    assert (found.name, found.url.reveal(), found.file) == ("every_hook", "http://127.0.0.1:8901/", None)


def test_a_node_that_joins_later_is_on_the_page(parts, lab):
    start_cluster(parts())
    add_nodes(parts(), [], 1)
    assert "node003" in scripts(lab, "page")[-1][1]


def test_leave_stops_the_server_unless_the_machine_ends_anyway(parts, lab, plugin, tmp_path):
    start_cluster(parts())
    leave.remove_nodes(parts(), ["node001"], 1)
    assert "node001" not in scripts(lab, "page")[-1][1]
    leave.terminate_cluster(parts())
    assert scripts(lab, "stop") == []

    cluster = fake_cluster(tmp_path)
    one = plugin(loader.options_model(plugin)())
    one.clusterctl_leave(cluster, cluster.node("node001"))
    assert cluster.ran == []
    one.clusterctl_leave(cluster, cluster.master)
    assert [(ran.node, ran.name) for ran in cluster.ran] == [("master", "every_hook: stop")]
    cluster.mark_unreachable("master")
    one.clusterctl_leave(cluster, cluster.master)
    assert len(cluster.ran) == 1


def test_undo_takes_it_off_machines_that_stay(parts, lab):
    lab.provider.facets = frozenset({Facet.DIRECT, Facet.LASTING})
    start_cluster(parts())
    leave.terminate_cluster(parts())
    names = ["every_hook: stop", "every_hook: undo"]
    assert [ran.name for ran in lab.connector.ran if ran.node == "master"][-2:] == names
    assert "rm -rf /fake/lab/node001/state/every_hook " in dict(scripts(lab, "undo"))["node001"]


def test_run_writes_the_page_again(parts, lab):
    start_cluster(parts())
    before = len(scripts(lab, "page"))
    assert run_plugin(parts(), "every_hook") == []
    assert len(scripts(lab, "page")) == before + 1
    assert "Writing the page of lab again" in lab.said


@pytest.mark.parametrize(
    ("said", "value", "healthy"),
    [
        (RUNNING, "running pid 7, uptime 0:00:04", True),
        ("every_hook:every_hook-0 FATAL Exited too quickly\n", "fatal Exited too quickly", False),
        ("engine:engine-0 RUNNING pid 3\n", "is not set up", False),
    ],
)
def test_status_is_what_the_service_manager_says(parts, lab, said, value, healthy):
    start_cluster(parts())
    lab.connector.answers = {"every_hook: status": said}
    (row,) = query_status(parts()).rows
    assert (row.node, row.item, row.value, row.healthy) == ("master", "page", value, healthy)


def test_its_scripts_are_shell(parts, lab, allow_subprocess):
    start_cluster(parts(title="it's `$HOME`"))
    for ran in lab.connector.ran:
        checked = subprocess.run(["sh", "-n"], input=ran.text, text=True, capture_output=True)
        assert (checked.returncode, checked.stderr) == (0, ""), ran.name


def test_it_can_be_imported_like_any_module():
    spec = spec_from_file_location("a_copy", FILE)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.EveryHook.__doc__
