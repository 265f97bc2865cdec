"""Controller, engines and notebook: whose ids are whose, and what is said of those that are missing."""

from __future__ import annotations

import json
import re
import shlex
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterctl import hub
from clusterctl.api import ClusterctlError, Facet
from clusterctl.plugin.loader import find_plugin_class, options_model
from clusterctl.remote.base import Result
from clusterctl.service import ServiceHealth
from clusterctl.testing import fake_cluster, fake_node

CHANNELS = ("registration", "control", "mux", "task", "iopub", "notification", "broadcast")
CLIENT = {"key": "k", "curve_serverkey": "c", **{channel: 15000 + n for n, channel in enumerate(CHANNELS)}}
MASTER, WORKER, ASK = "ipcluster: controller and engines", "ipcluster: engines", "ipcluster: count engines"


def plugin(**options):
    made = find_plugin_class("ipcluster")
    return made(options_model(made)(**options))


class Controller:
    """Answers as a controller with certain engines."""

    def __init__(self, engines=(), **changes):
        self.engines = dict.fromkeys(engines, "uuid")
        self.changes = changes
        self.services = "engine:engine-0 RUNNING pid 7"

    def __call__(self, ran):
        if ran.name == ASK:
            engines = {str(number): uuid for number, uuid in self.engines.items()}
            return json.dumps({"answered": True, "engines": engines, "client": CLIENT, "notebook": {}, **self.changes})
        if ran.name == "services: status":
            return self.services
        return '{"engine": "file"}' if ran.name == MASTER else ""


def lab(folder, answers=None, *, nodes=3, facets=frozenset({Facet.DIRECT}), cores=2, notes=None):
    aliases = ["master", *(f"node{n:03d}" for n in range(1, nodes))]
    made = [fake_node(alias, facets=facets, cores=cores) for alias in aliases]
    return fake_cluster(folder, nodes=made, answers=answers or Controller(), notes=notes)


IDS = {"engine_ids": {"master": [0, 2], "node001": [2, 2], "node002": [4, 2]}}


class TestRequest:
    def test_the_laptops_own_ipyparallel(self):
        from importlib.metadata import version

        assert plugin().clusterctl_request().pip == (f"ipyparallel=={version('ipyparallel')}",)

    def test_jupyterlab_only_for_a_notebook(self):
        assert plugin(enable_notebook="yes").clusterctl_request().pip[1:] == ("jupyterlab",)


class TestEngineNumbers:
    def test_ids_run_from_the_master_to_the_last_worker_whoever_joins_first(self, tmp_path):
        cluster, one = lab(tmp_path), plugin()
        for alias in ("master", "node002", "node001"):
            one.clusterctl_join(cluster, cluster.node(alias))
        assert hub.engine_ids(cluster) == {"master": range(2), "node001": range(2, 4), "node002": range(4, 6)}

    def test_so_they_do_where_the_cores_are_not_known_but_the_number_of_engines_is(self, tmp_path):
        machines = frozenset({Facet.MACHINE})
        cluster, one = lab(tmp_path, facets=machines, cores=None), plugin(engines_per_node=2)
        for alias in ("master", "node002", "node001"):
            one.clusterctl_join(cluster, cluster.node(alias))
        assert hub.engine_ids(cluster) == {"master": range(2), "node001": range(2, 4), "node002": range(4, 6)}

    def test_workers_that_join_at_once_share_no_id(self, tmp_path):
        cluster, one = lab(tmp_path, nodes=17), plugin(engines_per_node=3)
        one.clusterctl_join(cluster, cluster.master)
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda node: one.clusterctl_join(cluster, node), cluster.workers))
        numbers = [number for ids in hub.engine_ids(cluster).values() for number in ids]
        assert sorted(numbers) == list(range(51))

    def test_a_node_keeps_its_ids_when_it_joins_again(self, tmp_path):
        cluster = lab(tmp_path, notes={"engine_ids": {"master": [4, 2], "node001": [0, 2]}})
        plugin().clusterctl_join(cluster, cluster.master)
        assert hub.engine_ids(cluster)["master"] == range(4, 6)
        assert hub.engine_ids(cluster)["node001"] == range(2)

    def test_other_counts_get_other_ids(self, tmp_path):
        cluster = lab(tmp_path, nodes=1, notes={"engine_ids": {"master": [0, 2]}})
        plugin(engines_per_node=5).clusterctl_join(cluster, cluster.master)
        assert hub.engine_ids(cluster) == {"master": range(5)}

    @pytest.mark.parametrize(
        ("facets", "nodes", "cores", "master", "worker"),
        [
            ({Facet.DIRECT}, 3, 2, 2, 2),
            ({Facet.MACHINE}, 3, 4, 3, 4),
            ({Facet.MACHINE}, 1, 4, 4, None),
            ({Facet.MACHINE}, 2, 1, 1, 1),
            ({Facet.MACHINE}, 2, None, 1, 1),
        ],
    )
    def test_one_a_core_and_one_fewer_on_a_real_master_with_workers(
        self, tmp_path, facets, nodes, cores, master, worker
    ):
        cluster, one = lab(tmp_path, nodes=nodes, facets=frozenset(facets), cores=cores), plugin()
        for node in cluster.nodes:
            one.clusterctl_join(cluster, node)
        counts = {alias: len(ids) for alias, ids in hub.engine_ids(cluster).items()}
        assert counts["master"] == master
        assert counts.get("node001") == worker

    def test_the_master_may_have_another_number_and_none(self, tmp_path):
        cluster, one = lab(tmp_path, nodes=2), plugin(master_engines=0, engines_per_node=3)
        for node in cluster.nodes:
            one.clusterctl_join(cluster, node)
        assert {alias: len(ids) for alias, ids in hub.engine_ids(cluster).items()} == {"master": 0, "node001": 3}

    @settings(deadline=None)  # the first join packs the programs for all that come
    @given(st.permutations(["node001", "node002", "node003", "node004"]))
    def test_whatever_the_order_the_ids_are_the_same(self, tmp_path_factory, order):
        cluster, one = lab(tmp_path_factory.mktemp("ids"), nodes=5), plugin()
        for alias in ("master", *order):
            one.clusterctl_join(cluster, cluster.node(alias))
        assert hub.engine_ids(cluster)["node003"] == range(6, 8)


class TestPrepare:
    """What a change of packages or options would end is said before it does."""

    def prepared(self, folder, environment="one", notes=None, **options):
        cluster = lab(folder, notes={**(notes or {}), "environment": environment})
        plugin(**options).clusterctl_prepare(cluster)
        return cluster

    def started(self, folder, **options):
        cluster = lab(folder, Controller(range(6)), notes={**IDS, "environment": "one"})
        plugin(**options).clusterctl_connect(cluster)
        return cluster.remembered

    @pytest.mark.parametrize(
        ("environment", "options"),
        [
            ("two", {}),
            ("one", {"enable_curve": "no"}),
            ("one", {"heartbeat_period": 600}),
            ("one", {"threads_per_engine": 2}),
            ("one", {"master_engines": 1}),
            ("one", {"engines_per_node": 1}),
        ],
        ids=str,
    )
    def test_other_packages_or_options_are_another_start_of_engines(self, tmp_path, environment, options):
        before = self.started(tmp_path)
        assert self.prepared(tmp_path, environment, before, **options).endings == ["6 engines with what is in memory"]

    def test_the_same_ones_are_not(self, tmp_path):
        before = self.started(tmp_path, engines_per_node=2)
        assert self.prepared(tmp_path, "one", before, engines_per_node=2).endings == []

    def test_nor_is_a_start_whose_engines_are_unknown_or_not_there(self, tmp_path):
        assert self.prepared(tmp_path, "two", {}).endings == []
        assert self.prepared(tmp_path, "two", {"engine_ids": IDS["engine_ids"]}).endings == []


class TestJoin:
    def test_each_node_costs_one_command(self, tmp_path):
        cluster, one = lab(tmp_path), plugin()
        for node in cluster.nodes:
            one.clusterctl_join(cluster, node)
        assert cluster.count_commands() == {"master": 1, "node001": 1, "node002": 1}
        assert [ran.name for ran in cluster.ran] == [MASTER, WORKER, WORKER]

    def test_the_master_runs_the_controller_and_the_workers_do_not(self, tmp_path):
        cluster, one = lab(tmp_path), plugin()
        for node in cluster.nodes:
            one.clusterctl_join(cluster, node)
        master, worker, _ = (ran.text for ran in cluster.ran)
        assert "[program:controller]" in master
        assert "[program:engine]" in master
        assert "[program:controller]" not in worker
        assert "numprocs_start=2" in worker

    def test_what_lets_engines_in_is_kept_for_the_owner_only_and_sent_to_the_workers(self, tmp_path):
        cluster, one = lab(tmp_path), plugin()
        one.clusterctl_join(cluster, cluster.master)
        kept = tmp_path / "engine.json"
        assert (kept.read_text(), kept.stat().st_mode & 0o777) == ('{"engine": "file"}', 0o600)
        one.clusterctl_join(cluster, cluster.node("1"))
        assert '{"engine": "file"}' in cluster.ran[-1].text
        assert cluster.ran[0].secret

    def test_if_the_laptop_lost_it_the_master_has_it(self, tmp_path):
        cluster = lab(tmp_path, {"cat *": '{"from": "the master"}'})
        plugin().clusterctl_join(cluster, cluster.node("1"))
        assert '{"from": "the master"}' in cluster.ran[-1].text
        assert (cluster.ran[0].node, cluster.ran[0].secret) == ("master", True)

    def test_a_master_that_cannot_be_asked_leaves_no_empty_file_behind(self, tmp_path):
        cluster = lab(tmp_path, {"cat *": Result(1, "", "no such file")})
        for _ in range(2):
            with pytest.raises(Exception, match="no such file"):
                plugin().clusterctl_join(cluster, cluster.node("1"))

    def test_a_notebook_only_where_asked_for(self, tmp_path):
        cluster = lab(tmp_path, nodes=1)
        plugin().clusterctl_join(cluster, cluster.master)
        plugin(enable_notebook="yes", notebook_directory="my notes").clusterctl_join(cluster, cluster.master)
        without, having = (ran.text for ran in cluster.ran)
        assert "[program:notebook]" not in without
        assert "[program:notebook]" in having
        # A word of it that differs restarts those that 0.1 has started, and their kernels are gone.
        profile = cluster.master.layout.state / "ipython"
        assert f"-m jupyterlab --config={profile}/jupyter_server_config.py\n" in having
        assert f'"config": "{profile}/jupyter_server_config.json"' in having
        assert "/fake/lab/master/home/my notes" in having


class TestConnect:
    def test_all_engines_are_there(self, tmp_path):
        cluster = lab(tmp_path, Controller(range(6)), notes=IDS)
        (client,) = plugin().clusterctl_connect(cluster)
        assert (client.name, client.host, client.summary) == ("client", "127.0.0.1", "6 engines on 3 nodes for me")
        assert dict(client.ports) == {channel: CLIENT[channel] for channel in CHANNELS}
        assert client.document == CLIENT
        assert cluster.problems == []
        assert len(cluster.ran) == 1

    def test_missing_ones_are_counted_by_node_once_their_service_gave_up(self, tmp_path):
        controller = Controller([0, 1, 2, 3, 4])
        controller.services = "engine:engine-5 FATAL Exited too quickly"
        cluster = lab(tmp_path, controller, notes=IDS)
        (client,) = plugin().clusterctl_connect(cluster)
        assert client.summary == "5 engines on 3 nodes for me"
        assert cluster.problems == ["node002: 1 of 2 engines did not register; see `clusterctl logs lab node002`"]

    def test_a_part_that_is_deaf_and_a_task_that_failed_are_problems(self, tmp_path):
        for changes, problem in (
            ({"trouble": ["hub is deaf"]}, "controller: the hub is deaf; see `clusterctl logs lab master`"),
            ({"task": "engine 0 has not answered"}, "engine 0 has not answered"),
        ):
            cluster = lab(tmp_path, Controller(range(6), **changes), notes=IDS)
            plugin().clusterctl_connect(cluster)
            assert cluster.problems == [problem]

    def test_that_all_engines_are_at_work_is_none(self, tmp_path):
        cluster = lab(tmp_path, Controller(range(6), task="busy"), notes=IDS)
        plugin().clusterctl_connect(cluster)
        assert cluster.problems == []

    def test_the_url_of_a_notebook_whose_port_somebody_else_has_is_not_given(self, tmp_path):
        notebook = {"port": 80, "token": "t", "late": True, "foreign": True}
        cluster = lab(tmp_path, Controller(range(6), notebook=notebook), notes=IDS)
        (client,) = plugin().clusterctl_connect(cluster)
        assert client.name == "client"
        assert "another program listens on the notebook's port" in cluster.problems[0]

    def test_or_once_time_is_up(self, tmp_path):
        cluster = lab(tmp_path, Controller([0]), notes={"engine_ids": {"master": [0, 2]}}, nodes=1)
        (client,) = plugin(engine_timeout=0.1).clusterctl_connect(cluster)
        assert client.summary == "1 engine on 1 node for me"
        assert len(cluster.problems) == 1

    def test_nodes_that_did_not_join_are_not_waited_for(self, tmp_path):
        cluster = lab(tmp_path, Controller(range(4)), notes=IDS)
        cluster.mark_unreachable("node002")
        (client,) = plugin().clusterctl_connect(cluster)
        assert client.summary == "4 engines on 2 nodes for me"
        assert cluster.problems == []

    def test_an_engine_that_runs_and_is_not_registered_is_restarted_alone(self, tmp_path):
        controller = Controller({0, 1, 2, 4, 5})

        def answers(ran):
            if ran.name == "ipcluster: restart engines":
                controller.engines[3] = "uuid"
            return controller(ran)

        cluster = lab(tmp_path, answers, notes=IDS)
        (client,) = plugin(engine_timeout=1000).clusterctl_connect(cluster)
        assert client.summary == "6 engines on 3 nodes for me"
        (restarted,) = [ran for ran in cluster.ran if ran.name == "ipcluster: restart engines"]
        assert restarted.node == "node001"
        assert "ctl restart 'engine:engine-3'" in restarted.text

    def test_a_controller_that_does_not_answer_is_an_error(self, tmp_path):
        cluster = lab(tmp_path, Controller(answered=False), notes=IDS)
        with pytest.raises(ClusterctlError, match="controller on the master does not answer") as caught:
            plugin(engine_timeout=0.1).clusterctl_connect(cluster)
        assert "clusterctl logs lab master" in caught.value.remedy

    def test_a_controller_that_gave_up_is_not_waited_for(self, tmp_path):
        controller = Controller(answered=False)
        controller.services = "controller:controller-0 FATAL Exited too quickly"
        with pytest.raises(ClusterctlError, match="does not answer"):
            plugin(engine_timeout=1000).clusterctl_connect(lab(tmp_path, controller, notes=IDS))

    def test_the_notebooks_url_is_a_secret_with_its_token(self, tmp_path):
        answers = Controller(range(6), notebook={"port": 8888, "token": "hunter2"})
        _, notebook = plugin().clusterctl_connect(lab(tmp_path, answers, notes=IDS))
        assert notebook.ports == {"notebook": 8888}
        assert notebook.url.reveal() == "http://127.0.0.1:{notebook}/lab?token=hunter2"
        assert "hunter2" not in repr(notebook)


class TestLeave:
    def test_engines_stop_and_their_ids_are_free(self, tmp_path):
        cluster = lab(tmp_path, notes=IDS)
        plugin().clusterctl_leave(cluster, cluster.node("2"))
        assert [(ran.node, ran.name) for ran in cluster.ran] == [("node002", "ipcluster: stop"), ("master", ASK)]
        assert '"forget": [4, 5]' in cluster.ran[1].text
        assert set(hub.engine_ids(cluster)) == {"master", "node001"}

    def test_one_that_is_gone_is_only_taken_off_the_list(self, tmp_path):
        cluster = lab(tmp_path, notes=IDS)
        cluster.mark_unreachable("node002")
        plugin().clusterctl_leave(cluster, cluster.node("2"))
        assert [ran.node for ran in cluster.ran] == ["master"]

    def test_nothing_is_done_where_the_whole_cluster_ends(self, tmp_path):
        cluster = lab(tmp_path, notes=IDS)
        cluster.ending = True
        for node in cluster.nodes:
            plugin().clusterctl_leave(cluster, node)
        assert cluster.ran == []

    def test_on_hosts_that_stay_services_stop_and_nobody_is_told_who_leaves_too(self, tmp_path):
        cluster = lab(tmp_path, notes=IDS)
        cluster.all_leave = True
        host = replace(cluster.node("1"), facets=frozenset({Facet.MACHINE, Facet.INIT, Facet.LASTING}))
        plugin().clusterctl_leave(cluster, host)
        (ran,) = cluster.ran
        assert (ran.node, ran.sudo) == ("node001", True)
        assert ran.text.index(cluster.mark) < ran.text.index("systemctl --quiet disable")

    def test_a_host_of_another_cluster_is_left_alone(self, tmp_path):
        cluster = lab(tmp_path, notes=IDS)
        host = replace(cluster.node("1"), facets=frozenset({Facet.MACHINE, Facet.INIT, Facet.LASTING}))
        plugin().clusterctl_leave(cluster, host)
        text = cluster.ran[0].text
        asked = text.index(f"\nunless_others {shlex.quote(cluster.mark)}\n")
        assert asked < text.index("systemctl --quiet disable")


class TestStatus:
    ROWS = (
        ("master", "engines", "2 of 2", True, 2),
        ("node001", "engines", "1 of 2", False, 1),
        ("node002", "engines", "0 of 2", False, 0),
    )

    def rows(self, cluster, *services):
        rows = plugin().clusterctl_status(cluster, services)
        return [(row.node, row.item, row.value, row.healthy, row.count) for row in rows]

    def test_a_row_a_node_from_what_the_controllers_probe_found(self, tmp_path):
        cluster = lab(tmp_path, Controller(), notes=IDS)
        found = ServiceHealth("controller", 0, "", {"engines": {"0": "a", "1": "b", "2": "c"}})
        assert self.rows(cluster, found) == [*self.ROWS]
        assert cluster.ran == []

    @pytest.mark.parametrize("said", [None, 3, ["0"]])
    def test_a_controller_that_is_silent_knows_no_engines(self, tmp_path, said):
        found = ServiceHealth("controller", 0, "hub does not answer", {"engines": said})
        rows = self.rows(lab(tmp_path, Controller([0, 1]), notes=IDS), found)
        assert [row[2] for row in rows] == ["0 of 2", "0 of 2", "0 of 2"]

    def test_one_of_an_older_version_has_no_probe_and_is_asked(self, tmp_path):
        cluster = lab(tmp_path, Controller([0, 1, 2]), notes=IDS)
        assert self.rows(cluster) == [("master", "controller", "answers", True, None), *self.ROWS]
        silent = lab(tmp_path, Controller(answered=False), notes=IDS)
        assert self.rows(silent)[0] == ("master", "controller", "does not answer", False, None)


def test_a_change_of_the_environment_restarts_what_runs(tmp_path):
    """A mark of the version is in the services' command lines, whose change is what makes them restart."""
    scripts = []
    for environment in ("one", "two"):
        cluster = lab(tmp_path, nodes=1, notes={"environment": environment})
        plugin().clusterctl_join(cluster, cluster.master)
        scripts.append(cluster.ran[0].text)
    assert scripts[0] != scripts[1]
    marks = [re.findall(r"CLUSTERCTL_VERSION=\w+", script) for script in scripts]
    assert len(marks[0]) == len(marks[1]) == 3
    (watch,) = set(marks[0]) & set(marks[1])
    assert marks[0][2] == watch
    bare = [re.sub(r"CLUSTERCTL_VERSION=\w+", "", script) for script in scripts]
    assert bare[0] == bare[1]
