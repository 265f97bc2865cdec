"""Dask's plugin: how cores are shared out, what nodes are given, and what is believed of a master."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from clusterctl.api import ClusterctlError, Facet, PluginError
from clusterctl.plugin.loader import find_plugin_class, options_model
from clusterctl.service import ServiceHealth
from clusterctl.testing import fake_cluster, fake_node

PEM = "-----BEGIN X-----\nabc\n-----END X-----\n"
DOCUMENT = {
    "host": "10.0.0.1",
    "scheduler": 12001,
    "dashboard": 12002,
    "ca": PEM,
    "cert": PEM,
    "key": PEM.replace("abc", "the key"),
    "token": "t0ken",
    "version": "2026.8.0",
}
MACHINE = frozenset({Facet.MACHINE})


def plugin(**options):
    made = find_plugin_class("dask")
    return made(options_model(made)(**options))


class Master:
    """Answers as a master whose scheduler has certain workers."""

    def __init__(self, workers=(), trouble="", document=DOCUMENT):
        self.page = {"workers": list(workers), "trouble": trouble}
        self.document = document

    def __call__(self, ran):
        if ran.name == "dask: count workers":
            return json.dumps(self.page)
        is_asked = ran.name == "dask: scheduler and workers" or ran.text.startswith("cat ")
        return json.dumps(self.document) if is_asked else ""


def lab(folder, answers=None, *, nodes=3, facets=frozenset({Facet.DIRECT}), cores=2, notes=None):
    aliases = ["master", *(f"node{n:03d}" for n in range(1, nodes))]
    made = [fake_node(alias, facets=facets, cores=cores) for alias in aliases]
    return fake_cluster(folder, nodes=made, answers=answers or Master(), notes=notes)


def join_all(one, cluster):
    for node in cluster.nodes:
        one.clusterctl_join(cluster, node)
    return {ran.node: ran.text for ran in cluster.ran}


@pytest.mark.parametrize(
    ("cores", "facets", "options", "master", "worker"),
    [
        (2, {Facet.DIRECT}, {}, 2, 2),
        (4, MACHINE, {}, 3, 4),
        (8, {Facet.DIRECT}, {}, 4, 4),
        (36, {Facet.DIRECT}, {}, 6, 6),
        (8, {Facet.DIRECT}, {"workers_per_node": 3, "master_workers": 0}, 0, 3),
        (None, MACHINE, {}, 1, 1),
    ],
)
def test_cores_are_shared_out_to_workers(tmp_path, cores, facets, options, master, worker):
    cluster = lab(tmp_path, nodes=2, facets=frozenset(facets), cores=cores)
    join_all(plugin(**options), cluster)
    assert cluster.remembered["dask workers"] == {"master": master, "node001": worker}


def test_the_scheduler_is_the_masters_and_workers_are_everywhere(tmp_path):
    scripts = join_all(plugin(master_workers=0), lab(tmp_path, nodes=2))
    assert "dask-scheduler" in scripts["master"]
    assert "workers.py" not in scripts["master"]
    assert "dask-worker" in scripts["node001"]
    assert "scheduler.py" not in scripts["node001"]


def test_a_worker_gets_the_masters_certificates_over_stdin_into_a_file_of_its_own(tmp_path):
    cluster = lab(tmp_path, nodes=2)
    scripts = join_all(plugin(), cluster)
    assert "the key" in scripts["node001"]
    assert "umask 077" in scripts["node001"]
    assert all(ran.secret for ran in cluster.ran)
    kept = tmp_path / "dask-node.json"
    assert json.loads(kept.read_text()) == DOCUMENT
    assert kept.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("kept", [None, "{", json.dumps({**DOCUMENT, "scheduler": 0})])
def test_what_the_laptop_has_lost_is_asked_of_the_master(tmp_path, kept):
    cluster = lab(tmp_path, nodes=2)
    if kept is not None:
        (tmp_path / "dask-node.json").write_text(kept)
    plugin().clusterctl_join(cluster, cluster.node("node001"))
    assert [ran.node for ran in cluster.ran] == ["master", "node001"]
    assert "the key" in cluster.ran[-1].text


@pytest.mark.parametrize(
    "changes",
    [
        {"ca": "/etc/passwd"},
        {"key": None},
        {"scheduler": 70000},
        {"dashboard": True},
        {"scheduler": "12001"},
        {"token": "x" * 20_000},
    ],
)
def test_a_master_that_says_something_else_is_not_believed(tmp_path, changes):
    cluster = lab(tmp_path, Master(document={**DOCUMENT, **changes}))
    with pytest.raises(PluginError, match="cannot be read"):
        plugin().clusterctl_join(cluster, cluster.master)


def test_the_laptop_reaches_the_scheduler_and_the_dashboard(tmp_path):
    cluster = lab(tmp_path, Master(["master-0", "master-1", "node001-0", "node001-1"]), nodes=2)
    join_all(plugin(), cluster)
    dask, dashboard = plugin().clusterctl_connect(cluster)
    assert (dask.summary, dask.ports, dask.host) == ("4 Dask workers on 2 nodes", {"scheduler": 12001}, "127.0.0.1")
    assert dask.document["key"] == DOCUMENT["key"]
    assert "token" not in dask.document
    assert dashboard.url.reveal().format(dashboard=9) == "http://127.0.0.1:9/t0ken/status"
    assert cluster.problems == []


def test_workers_that_are_missing_are_said_by_node(tmp_path):
    cluster = lab(tmp_path, Master(["master-0", "master-1", "node001-1", "\x1b[2J"]), nodes=2)
    join_all(plugin(), cluster)
    plugin().clusterctl_connect(cluster)
    assert [text.partition(";")[0] for text in cluster.problems] == [
        "node001: 1 of 2 Dask workers did not register",
    ]


def test_a_scheduler_that_does_not_answer_is_a_problem(tmp_path):
    cluster = lab(tmp_path, Master(trouble="refused"), nodes=1)
    join_all(plugin(), cluster)
    plugin().clusterctl_connect(cluster)
    assert any("scheduler does not answer: refused" in text for text in cluster.problems)


class TestLeave:
    def leave(self, tmp_path, **changes):
        cluster = lab(tmp_path, notes={"dask workers": {"master": 2, "node001": 2, "node002": 2}})
        for name, value in changes.items():
            setattr(cluster, name, value)
        node = replace(cluster.node("node001"), reachable=not changes.get("gone", False))
        plugin(retire_timeout=7).clusterctl_leave(cluster, node)
        return cluster

    def test_workers_give_their_data_to_others_and_are_stopped(self, tmp_path):
        cluster = self.leave(tmp_path)
        (ran,) = cluster.ran
        assert "/state/dask/leave" in ran.text
        assert '"$tries" -lt 35' in ran.text
        assert cluster.remembered["dask workers"] == {"master": 2, "node002": 2}

    def test_nobody_waits_for_that_when_all_leave(self, tmp_path):
        (ran,) = self.leave(tmp_path, all_leave=True).ran
        assert "dask/leave" not in ran.text

    def test_nothing_is_done_for_machines_that_end_or_are_gone(self, tmp_path):
        assert self.leave(tmp_path, ending=True).ran == []
        gone = self.leave(tmp_path, gone=True)
        assert gone.ran == []
        assert gone.remembered["dask workers"] == {"master": 2, "node002": 2}

    def test_a_machine_that_stays_keeps_no_certificates(self, tmp_path):
        cluster = lab(tmp_path)
        plugin().clusterctl_undo(cluster, cluster.node("node001"))
        assert "rm -rf /fake/lab/node001/state/dask" in cluster.ran[-1].text.replace("'", "")


def test_status_counts_the_workers_of_each_node(tmp_path):
    cluster = lab(tmp_path, notes={"dask workers": {"master": 1, "node001": 2}})
    found = [ServiceHealth("dask-scheduler", 0, "", {"workers": ["master-0", "node001-1", 7]})]
    rows = plugin().clusterctl_status(cluster, found)
    assert [(row.node, row.value, row.healthy, row.count) for row in rows] == [
        ("master", "1 of 1", True, 1),
        ("node001", "1 of 2", False, 1),
        ("node002", "never set up", False, 0),
    ]
    assert [row.value for row in plugin().clusterctl_status(cluster, [])][:2] == ["0 of 1", "0 of 2"]


def test_the_user_is_asked_before_workers_start_anew(tmp_path):
    cluster = lab(tmp_path, Master(["master-0", "master-1"]), nodes=1)
    join_all(plugin(), cluster)
    plugin().clusterctl_connect(cluster)
    plugin().clusterctl_prepare(cluster)
    assert cluster.endings == []
    plugin(memory_limit="1GB").clusterctl_prepare(cluster)
    assert cluster.endings == ["2 Dask workers with what is in memory"]


def test_memory_is_a_size():
    with pytest.raises((ValueError, ClusterctlError)):
        plugin(memory_limit="much")
    assert plugin(memory_limit="1.5 GiB").options.memory_limit == "1.5 GiB"
