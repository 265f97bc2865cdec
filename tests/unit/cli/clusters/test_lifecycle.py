"""start, stop, restart, terminate, addnode, removenode."""

from __future__ import annotations

import json
import threading
from decimal import Decimal

import pytest

from clusterctl.errors import ProviderError
from clusterctl.journal import ClusterFolder
from clusterctl.model import Market, NodeOverrides


@pytest.fixture
def up(run, laptop):
    said = run("start", "lab")
    assert said.status == 0, said.err
    return said


class TestStart:
    def test_it_ends_with_the_lines_to_connect(self, up, laptop):
        assert ">>> lab is up: 6 engines on 3 nodes for me, in " in up.out
        file = laptop.home / "clusters" / "lab" / "client.json"
        assert f"from ipyparallel import Client\nclient = Client({str(file)!r})\n" in up.out
        assert json.loads(file.read_text()) == {"key": "k", "mux": 15001}
        assert ">>> Notebook: http://127.0.0.1:15002/lab?token=hunter2" in up.out
        assert ">>> Starting 3 nodes of lab (local)" in up.out

    def test_again_it_says_so_and_exits_with_0(self, run, up, laptop):
        again = run("start", "lab")
        assert again.status == 0
        assert "lab was already running" in again.out
        assert len(laptop.provider.machines) == 3

    def test_json_is_all_there_is_on_stdout(self, run, laptop):
        said = run("start", "lab", "--json", "-s", "2")
        answer = said.json
        assert (answer["name"], answer["ok"], answer["nodes"]) == ("lab", True, ["master", "node001"])
        assert answer["client_file"].endswith("/clusters/lab/client.json")
        assert answer["notebook_url"].endswith("hunter2")
        assert ">>> Starting" in said.err

    def test_a_template_is_remembered(self, run, laptop):
        run("start", "-c", "big", "lab")
        assert len(laptop.provider.nodes("lab")) == 5
        assert run("start", "lab").status == 0
        assert len(laptop.provider.nodes("lab")) == 5

    def test_another_size_is_refused(self, run, up):
        said = run("start", "lab", "-s", "5")
        assert said.status == 2
        assert "resize -s 5 lab" in said.err

    @pytest.mark.parametrize("size", ["0", "-1", "x", "1.5"])
    def test_a_size_that_is_none_is_an_error_and_nothing_is_created(self, run, laptop, size):
        said = run("start", "lab", "-s", size)
        assert said.status == 2
        assert laptop.provider.calls == []

    def test_a_dry_run_shows_the_plan_and_creates_nothing(self, run, laptop):
        said = run("start", "--dry-run", "lab", "-s", "2")
        assert said.status == 0
        assert "lab: 2 nodes from the provider local, user me" in said.out
        assert "node001" in said.out
        assert "plugins:   packages, engines" in said.out
        assert laptop.provider.calls == ["check lab"]
        assert not (laptop.home / "clusters").exists()
        assert [n["alias"] for n in run("start", "-v", "lab", "--json").json["nodes"]] == [
            "master",
            "node001",
            "node002",
        ]

    def test_timings_say_who_waited_for_what(self, run, laptop):
        said = run("start", "lab", "--timings")
        assert "WAITED FOR" in said.out
        assert "node001/packages" in said.out or "master/engines" in said.out
        assert "remote commands: 6, at most 2 on a node" in said.out
        answer = run("start", "other", "--timings", "--json").json
        assert answer["commands"] == {"master": 2, "node001": 2, "node002": 2}
        assert {step["plugin"] for step in answer["steps"]} >= {"ssh", "packages", "engines"}

    def test_the_timings_are_drawn_into_a_file(self, run, laptop, tmp_path):
        assert run("start", "lab", "--plot", tmp_path / "start.svg").status == 0
        assert "node001: packages from" in (tmp_path / "start.svg").read_text()
        refused = run("start", "other", "--plot", tmp_path / "start.png")
        assert refused.status == 2
        assert "is no SVG file" in refused.err
        assert "there is no cluster other" in run("status", "other").err
        late = run("start", "lab", "--plot", tmp_path / "none" / "start.svg")
        assert late.status == 2
        assert "lab is up, but" in late.err

    def test_no_create_creates_nothing(self, run, laptop):
        said = run("start", "-x", "lab")
        assert said.status == 2
        assert "there is no cluster lab" in said.err

    def test_set_gives_a_plugins_option_and_is_remembered(self, run, laptop):
        said = run("start", "lab", "--set", "every_hook.title=Us")
        assert said.status == 0
        assert run("start", "lab", "--set", "nonsense").status == 2

    def test_a_node_that_fails_is_named_and_the_status_is_1(self, run, laptop):
        from clusterctl.remote.base import Result

        laptop.connector.answers = lambda ran: Result(1, "", "disk on fire") if ran.node == "node002" else ""
        said = run("start", "lab")
        assert said.status == 1
        assert "lab is not complete (node002)" in said.out
        assert "goes on with them" in said.out
        assert "node002" in said.err
        assert "disk on fire" in said.err

    def test_an_unknown_template_plugin_or_file_is_named(self, run, laptop):
        assert "there is no section [cluster huge]" in run("start", "-c", "huge", "lab").err
        assert run("-c", "/no/such/file", "start", "lab").status == 2
        laptop.config.write_text("[cluster x]\nplugins = ipclutser\n")
        said = run("start", "lab")
        assert said.status == 2
        assert "unknown plugin ipclutser" in said.err


class TestStopAndRestart:
    def test_stop_keeps_and_start_brings_back(self, run, up, laptop):
        said = run("stop", "lab", "--yes")
        assert said.status == 0
        assert "lab is stopped (3 nodes)" in said.out
        assert "start lab" in said.out
        assert run("start", "lab").status == 0

    @pytest.mark.parametrize("command", ["stop", "restart"])
    def test_it_asks_first(self, run, up, laptop, command):
        said = run(command, "lab")
        assert said.status == 2
        assert "--yes" in said.err
        assert all(node.state.value == "running" for node in laptop.provider.nodes())

    def test_restart_powers_off_and_on(self, run, up, laptop):
        before = {node.id for node in laptop.provider.nodes()}
        assert run("restart", "lab", "--yes").status == 0
        assert not before & {node.id for node in laptop.provider.nodes()}

    def test_of_an_unknown_cluster_is_an_error(self, run, laptop):
        for command in (["stop", "-y"], ["restart", "-y"]):
            said = run(*command, "lab")
            assert said.status == 2
            assert "there is no cluster lab" in said.err


class TestSideBySide:
    """Clusters end at the same time, and one that fails keeps no other from its end."""

    @pytest.fixture
    def three(self, run, laptop):
        for name in ("one", "two", "three"):
            assert run("start", name).status == 0
        return laptop

    @pytest.mark.parametrize("command", ["stop", "terminate"])
    def test_all_are_under_way_before_one_has_ended(self, run, three, monkeypatch, command):
        meeting = threading.Barrier(3, timeout=30)
        original = type(three.provider).stop if command == "stop" else type(three.provider).destroy

        def together(provider, cluster, *more):
            meeting.wait()
            return original(provider, cluster, *more)

        monkeypatch.setattr(type(three.provider), "stop" if command == "stop" else "destroy", together)
        said = run(command, "--yes", "one", "two", "three", "one")
        assert said.status == 0
        words = "is stopped" if command == "stop" else "is gone"
        assert [line.split()[1] for line in said.out.splitlines() if words in line] == ["one", "two", "three"]

    def test_one_that_fails_keeps_no_other_and_all_faults_are_told(self, run, three, monkeypatch):
        original = type(three.provider).destroy

        def fail(provider, cluster, *more):
            if cluster != "two":
                raise ProviderError(f"{cluster} is stuck", remedy="push")
            return original(provider, cluster, *more)

        monkeypatch.setattr(type(three.provider), "destroy", fail)
        said = run("terminate", "--yes", "one", "two", "three")
        assert said.status == 1
        assert ">>> two is gone (3 nodes)" in said.out
        assert {f"{name} is stuck" in said.err for name in ("one", "three")} == {True}
        assert {node.cluster for node in three.provider.nodes()} == {"one", "three"}

    def test_how_far_it_is_is_shown(self, run, three):
        said = run("terminate", "--yes", "one")
        for line in ("Nodes of one leave: 3/3", "Ending nodes of one: 0/3", "Ending nodes of one: 3/3"):
            assert f">>> {line}\n" in said.out


class TestTerminate:
    def test_it_ends_it_for_good(self, run, up, laptop):
        said = run("terminate", "-c", "lab")  # StarCluster's way to say yes
        assert said.status == 0
        assert ">>> lab is gone (3 nodes)" in said.out
        assert laptop.provider.nodes() == []
        assert run("list").out == "No clusters. `clusterctl start NAME` makes one.\n"

    def test_it_asks_first(self, run, up, laptop):
        assert run("terminate", "lab").status == 2
        assert len(laptop.provider.nodes()) == 3

    def test_one_that_was_ended_before_is_success_without_a_question(self, run, up, laptop):
        assert run("terminate", "-y", "lab").status == 0
        for _ in range(2):
            said = run("terminate", "lab")
            assert (said.status, said.out) == (0, ">>> there is no lab any more: nothing to end\n")

    def test_one_that_never_was_is_a_misspelt_name(self, run, up, laptop):
        for _ in range(2):
            said = run("terminate", "--yes", "labb")
            assert said.status == 2
            assert said.err == "error: there is no cluster labb\ntry: did you mean lab?\n"
        assert len(laptop.provider.nodes()) == 3
        assert not (laptop.home / "clusters" / "labb").exists()

    def test_a_misspelt_name_keeps_no_other_cluster_up(self, run, up, laptop):
        said = run("terminate", "--yes", "labb", "lab")
        assert said.status == 2
        assert ">>> lab is gone (3 nodes)" in said.out
        assert "there is no cluster labb" in said.err
        assert laptop.provider.nodes() == []

    def test_several_at_once(self, run, laptop):
        run("start", "a", "-s", "1")
        run("start", "b", "-s", "1")
        assert run("terminate", "-y", "a", "b").status == 0
        assert laptop.provider.nodes() == []

    @pytest.mark.parametrize(
        "broken", ["config", "template gone", "plugin gone", "plugin that raises", "environment", "no config"]
    )
    def test_nothing_that_is_broken_keeps_machines_running(self, run, up, laptop, broken, monkeypatch, tmp_path):
        if broken == "config":
            laptop.config.write_text("[nonsense\n")
        elif broken == "template gone":
            laptop.config.write_text("[cluster other]\nprovider = local\n")
        elif broken == "plugin gone":
            (tmp_path / "offline.py").unlink()
        elif broken == "plugin that raises":
            file = tmp_path / "offline.py"
            before, class_, rest = file.read_text().partition("class Engines:")
            file.write_text(before + class_ + rest.replace("        pass\n", "        raise ValueError('oh')\n", 1))
        elif broken == "environment":
            monkeypatch.setenv("CLUSTERCTL_CLUSTER_SIZE", "many")
        else:
            laptop.config.unlink()
        said = run("terminate", "-y", "lab")
        assert said.status == 0, said.err
        assert laptop.provider.nodes() == []
        assert not (laptop.home / "clusters" / "lab").exists()
        assert "WARNING" in said.err


class TestMembers:
    def test_resize_adds_what_lacks_and_removes_what_is_too_much(self, run, up, laptop):
        assert "node003, node004 joined lab" in run("resize", "lab", "-s", "5").out.replace(
            "node004, node003", "node003, node004"
        )
        assert "nobody joined lab" in run("resize", "-s", "5", "lab").out
        refused = run("resize", "lab", "-s", "2")
        assert "node002, node003, node004" in refused.err
        assert len(laptop.provider.nodes("lab")) == 5
        assert run("resize", "lab", "-s", "2", "--yes", "--json").json == {
            "name": "lab",
            "removed": ["node002", "node003", "node004"],
        }
        assert len(laptop.provider.nodes("lab")) == 2

    @pytest.mark.parametrize("size", ["0", "-1", "x"])
    def test_resize_takes_a_number_of_nodes(self, run, up, size):
        assert run("resize", "lab", "-s", size).status == 2

    def test_addnode(self, run, up, laptop):
        said = run("addnode", "lab", "-n", "2")
        assert said.status == 0
        assert "node003, node004 joined lab" in said.out or "node004, node003 joined lab" in said.out
        assert len(laptop.provider.nodes()) == 5
        answer = run("an", "-a", "x,y", "lab", "--json").json
        assert (answer["ok"], sorted(answer["joined"])) == (True, ["x", "y"])

    def test_the_bid_for_a_new_node_is_kept_to_the_last_digit(self, run, up, laptop):
        assert run("addnode", "lab", "-b", "0.0123450", "-a", "x").status == 0
        own = {"x": NodeOverrides(bid=Decimal("0.0123450"), market=Market.SPOT)}
        assert ClusterFolder(laptop.home, "lab").node_overrides() == own

    @pytest.mark.parametrize("bid", ["0", "-1", "nan", "inf", "much"])
    def test_what_is_no_amount_is_no_bid(self, run, up, bid):
        said = run("addnode", "lab", f"--bid={bid}")
        assert (said.status, f"'{bid}' is no amount greater than 0" in said.err) == (2, True)

    def test_removenode(self, run, up, laptop):
        assert run("removenode", "lab").status == 2  # it asks
        assert run("rn", "lab", "-y", "-a", "node001").out.endswith(">>> node001 left lab\n")
        assert run("removenode", "lab", "-y", "--json").json == {"name": "lab", "removed": ["node002"]}
        assert [node.alias for node in laptop.provider.nodes()] == ["master"]
        said = run("removenode", "lab", "-y")
        assert said.status == 2
        assert "has only 0 workers" in said.err

    @pytest.mark.parametrize("command", ["addnode", "removenode"])
    def test_of_an_unknown_cluster(self, run, laptop, command):
        assert run(command, "lab", *(["-y"] if command == "removenode" else [])).status == 2
