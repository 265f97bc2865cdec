"""list, status, logs, plugins, runplugin, and getting onto nodes."""

from __future__ import annotations

import json
import textwrap
from dataclasses import replace
from datetime import timedelta

import pytest

from clusterctl.clock import utc_now
from clusterctl.remote.base import Result


@pytest.fixture
def up(run, laptop):
    assert run("start", "lab").status == 0
    return laptop


class TestList:
    def test_json_has_what_programs_need(self, run, up):
        (cluster,) = run("list", "--json").json
        assert set(cluster) == {
            "name",
            "provider",
            "state",
            "master",
            "engines",
            "client_file",
            "notebook_url",
            "connections",
            "cost",
            "ends",
            "nodes",
            "region",
            "created",
            "ends_at",
            "kept",
            "maps",
            "troubles",
        }
        assert cluster["created"]
        assert (cluster["region"], cluster["ends_at"], cluster["troubles"]) == (None, None, [])
        assert cluster["cost"] is None
        assert (cluster["name"], cluster["provider"], cluster["state"], cluster["engines"]) == (
            "lab",
            "local",
            "running",
            6,
        )
        assert cluster["nodes"][1] == {
            "alias": "node001",
            "state": "running",
            "address": "127.0.0.1",
            "type": "",
            "market": "",
            "zone": "",
            "launched": None,
            "engines": 2,
        }

    def test_nothing_is_an_empty_list(self, run, laptop):
        assert run("listclusters", "--json").json == []

    def test_each_cluster_with_its_nodes(self, run, up):
        out = run("list").out
        assert "lab: running, 3 nodes, 6 engines (local)" in out
        assert "node002  running  127.0.0.1:22" in out

    def test_one_whose_machines_have_ended_by_themselves_says_what_removes_the_rest(self, run, up):
        up.provider.machines.clear()
        said = run("list").out
        assert "it has no machines any more: `clusterctl terminate lab` removes what else there is of it" in said

    def test_one_of_several(self, run, up):
        run("start", "other", "-s", "1")
        assert [cluster["name"] for cluster in run("list", "--json").json] == ["lab", "other"]
        assert [cluster["name"] for cluster in run("list", "other", "--json").json] == ["other"]
        assert run("list", "nope").status == 2

    def test_one_that_a_newer_version_wrote_hides_no_other_and_is_left_alone(self, run, up):
        run("start", "other", "-s", "1")
        with (up.home / "clusters" / "other" / "journal.jsonl").open("a") as journal:
            journal.write('{"event": "format", "format": 99, "written_by": "0.9.1"}\n')
        said = run("list", "--json")
        assert [cluster["name"] for cluster in said.json] == ["lab"]
        assert "WARNING - other is left out: the journal" in said.err
        assert "pip install 'clusterctl>=0.9.1'" in said.err
        nodes = up.provider.nodes("other")
        for command in (["start"], ["stop", "--yes"], ["terminate", "--yes"], ["status"], ["exec"], ["addnode"]):
            said = run(*command, "other", *(["true"] if command == ["exec"] else []))
            assert said.status == 1
            assert "which clusterctl 0.9.1 wrote" in said.err
            assert "try: install what wrote it, or a newer one: `pip install 'clusterctl>=0.9.1'`" in said.err
        assert up.provider.nodes("other") == nodes


class TestStatus:
    def test_all_is_well(self, run, up):
        said = run("status", "lab")
        assert said.status == 0
        assert "tunnel: not needed" in said.out
        answer = run("status", "--json").json
        assert (answer["healthy"], answer["tunnel"], len(answer["rows"])) == (True, "not needed", 3)

    @pytest.mark.parametrize(
        ("said", "line", "maps"),
        [
            (
                {"clients": 2, "items": 1200, "rate": 210.4},
                "  maps of 2 clients: 1200 items left, 210 a second\n",
                {"clients": 2, "left": 1200, "items_per_s": 210.4},
            ),
            ({"clients": 0, "items": 0, "rate": 0}, "", {"clients": 0, "left": 0, "items_per_s": 0}),
            (None, "", None),
        ],
    )
    def test_what_waits_with_clients_is_shown_as_the_probe_of_the_controller_found_it(self, run, up, said, line, maps):
        controller = {"service": "controller", "number": 0, "trouble": "", "facts": {"engines": {}, "demand": said}}
        health = {"manager": "", "services": [controller], "watched": True}
        up.connector.answers = {"services: probe": json.dumps(health)}
        out = run("status", "lab").out
        assert (line in out, "maps of" in out) == (True, bool(line))
        assert run("status", "lab", "--json").json["maps"] == maps

    def test_a_node_that_is_off_makes_it_1(self, run, up):
        up.provider.power_off("lab", "node001")
        said = run("status", "lab")
        assert said.status == 1
        assert "lab: partial" in said.out
        assert "`clusterctl logs lab node001` says why\n" in said.out

    def test_a_node_that_is_gone_makes_it_1_and_list_shows_it_with_0(self, run, up):
        up.provider.lose("lab", "node002")
        said = run("status", "lab")
        assert said.status == 1
        assert "lab: partial, 2 nodes" in said.out
        assert "  node002 is gone\n" in said.out
        assert "`clusterctl logs lab` says why\n" in said.out
        listed = run("list")
        assert (listed.status, "  node002 is gone\n" in listed.out) == (0, True)
        assert "  node002  gone" in listed.out
        (cluster,) = run("list", "--json").json
        assert cluster["troubles"] == [{"node": "node002", "what": "gone", "since": None, "why": ""}]
        assert [node["alias"] for node in cluster["nodes"]] == ["master", "node001"]

    def test_where_and_how_old_and_until_when(self, run, up):
        ends = utc_now() + timedelta(hours=5, minutes=1)
        for key, node in up.provider.machines.items():
            up.provider.machines[key] = replace(node, region="moon-1", zone="moon-1a", ends_at=ends, launched_at=ends)
        out = run("list").out
        assert "(local moon-1), " in out
        assert " old, ends in 5 h (LIFETIME)" in out
        assert "moon-1a  0 s" in out

    def test_a_config_that_is_broken_by_now_is_said(self, run, up):
        up.config.write_text("[nonsense\n")
        said = run("status", "lab")
        assert "lab: running, 3 nodes" in said.out
        assert "the config cannot be used" in said.err


class TestPlugins:
    def test_the_installed_ones_and_their_options(self, run):
        out = run("plugins").out
        for name in ("packages", "ipcluster", "ipclusterrestart", "ipclusterstop"):
            assert name in out
        assert "engines_per_node" in out
        names = {plugin["name"] for plugin in run("plugins", "--json").json}
        assert {"packages", "ipcluster"} <= names

    def test_the_hooks_and_their_promises(self, run):
        hooks = [entry["hook"] for entry in run("plugins", "--hooks", "--json").json]
        assert hooks[0] == "clusterctl_settings"
        assert "clusterctl_leave" in run("plugins", "--hooks").out

    def test_runplugin_needs_no_name_when_one_cluster_is_up(self, run, up):
        said = run("runplugin", "engines")
        assert said.status == 0
        assert ">>> Running the engines" in said.out
        assert ">>> engines ran on lab" in said.out

    def test_but_it_does_when_two_are(self, run, up):
        run("start", "other", "-s", "1")
        said = run("rp", "engines")
        assert said.status == 2
        assert "2 clusters are up" in said.err
        assert "lab, other" in said.err
        assert run("rp", "engines", "other").status == 0

    def test_one_of_a_section_that_the_template_does_not_name(self, run, up):
        said = run("runplugin", "every_hook", "lab")
        assert said.status == 0
        assert "Writing the page of lab again" in said.out

    def test_an_unknown_one(self, run, up):
        said = run("runplugin", "nope", "lab")
        assert said.status == 2
        assert "unknown plugin nope" in said.err


class TestAccess:
    def test_sshmaster_runs_a_command_and_exits_with_its_status(self, run, up):
        up.connector.answers = {"*ls *": Result(3, "file\n", "oh\n")}
        said = run("sshmaster", "lab", "ls", "-l", "--color")
        assert (said.status, said.out, said.err) == (3, "file\n", "oh\n")
        assert up.connector.ran[-1].text.splitlines()[-1] == "ls -l --color"

    def test_whoever_logs_in_finds_the_clusters_programs_first(self, run, up):
        folders = up.provider.nodes("lab")[0].layout.programs
        for words in (("sshmaster", "lab", "python x.py"), ("exec", "-n", "master", "lab", "python x.py")):
            run(*words)
            assert up.connector.ran[-1].text.endswith(f'export PATH={folders[0]}:{folders[1]}:"$PATH"\npython x.py'), (
                words
            )

    def test_sshnode_takes_a_number(self, run, up):
        assert run("sshnode", "lab", "1", "cat > x").status == 0
        assert (up.connector.ran[-1].node, up.connector.ran[-1].text.splitlines()[-1]) == ("node001", "cat > x")
        assert run("sn", "lab", "9", "ls").status == 1

    def test_exec_says_whose_line_is_whose(self, run, up):
        up.connector.answers = lambda ran: Result(0 if ran.node == "master" else 2, f"{ran.node}!\n", "")
        said = run("exec", "lab", "hostname")
        assert said.status == 2
        assert "node001: node001!\n" in said.out
        assert "failed on node001 (status 2), node002 (status 2)" in said.err
        answer = run("exec", "--json", "-n", "2", "lab", "hostname").json
        assert answer == [{"node": "node002", "status": 2, "stdout": "node002!\n", "stderr": ""}]

    def test_what_was_left_out_is_named_and_is_a_status(self, run, up, tmp_path):
        (tmp_path / "f").write_text("x")
        up.connector.answers = {"*": '{"files": 1, "size": 1, "omitted": [["a/\\u001b[31mb", "it is a socket"]]}'}
        said = run("put", "lab", tmp_path / "f", "g")
        assert (said.status, said.out) == (1, ">>> 1 file copied to master\n")
        assert said.err == "master: left out: a/\\x1b[31mb: it is a socket\n"
        answer = run("put", "--json", "-n", "1", "lab", tmp_path / "f", "g").json
        omitted = [{"path": "a/\x1b[31mb", "why": "it is a socket"}]
        assert answer == [{"node": "node001", "files": 1, "bytes": 1, "omitted": omitted}]

    def test_what_a_node_answers_must_make_sense(self, run, up, tmp_path):
        (tmp_path / "f").write_text("x")
        up.connector.answers = {"*": "ok"}
        assert "makes no sense" in run("put", "lab", tmp_path / "f", "g").err
        up.connector.answers = {"*": "You have mail.\n" * 9}
        assert "is no copy" in run("get", "lab", "g", tmp_path / "h").err
        assert not (tmp_path / "h").exists()

    def test_what_and_where_to_must_be_named(self, run, up, tmp_path):
        assert run("put", "lab", tmp_path / "f").status == 2
        assert run("get", "lab", "f").status == 2

    def test_logs(self, run, up):
        up.connector.answers = {"cd *": "==> engine-0.log\nhello\n"}
        assert run("logs", "lab").out == "==> engine-0.log\nhello\n"
        assert run("logs", "lab", "1", "--commands").status == 0

    def test_logs_have_no_colours_and_no_commands_for_a_terminal(self, run, up):
        up.connector.answers = {"cd *": "\x1b[32mgreen\x1b[0m\n\x1b]0;owned\x07\n"}
        assert run("logs", "lab").out == "green\n" + r"\x1b]0;owned\x07" + "\n"


class TestClient:
    def test_a_cluster_without_a_tunnel_says_so(self, run, up):
        assert "needs no tunnel" in run("tunnel", "lab").out
        answer = run("tunnel", "--json").json
        del answer["connections"]
        assert answer == {"name": "lab", "needed": False, "up": False, "forwards": []}

    def test_the_notebooks_url(self, run, up):
        assert run("notebook").out == "http://127.0.0.1:15002/lab?token=hunter2\n"
        assert run("notebook", "lab", "--json").json["url"].endswith("hunter2")

    def test_connect_without_a_connection_file_says_what_makes_one(self, run, up):
        (up.home / "clusters" / "lab" / "client.json").unlink()
        said = run("connect", "lab")
        assert said.status == 1
        assert "lab has no connection file" in said.err
        assert "clusterctl start lab" in said.err

    def test_connect_where_no_plugin_gives_a_client_says_which_one_does(self, run, laptop):
        laptop.config.write_text(laptop.config.read_text().replace("packages, engines", "packages"))
        said = run("start", "lab")
        assert said.status == 0
        assert "clusterctl sshmaster lab" in said.out
        assert "clusterctl connect" not in said.out
        assert "PLUGINS have no ipcluster: name it there" in run("connect", "lab").err

    def test_no_cluster_is_up(self, run, laptop):
        for command in ("connect", "notebook", "tunnel", "status"):
            said = run(command)
            assert said.status == 2
            assert "no cluster is up" in said.err


class TestConnections:
    """Those of any plugin are shown, by every command that shows one."""

    PLUGIN = """
        from clusterctl.api import Connection, Plugin, Secret, StatusRow, hookimpl
        class Board(Plugin):
            @hookimpl
            def clusterctl_connect(self, cluster):
                url = Secret("http://127.0.0.1:{web}/board")
                usage = "Schedule, in Python:\\n\\nScheduler({file})"
                return [
                    Connection("board", host="127.0.0.1", ports={"web": 15003}, url=url),
                    Connection("scheduler", host="127.0.0.1", ports={"tcp": 15004}, document={}, usage=usage),
                    Connection("raw", host="127.0.0.1", ports={"tcp": 15005}, summary="5 workers"),
                ]
            @hookimpl
            def clusterctl_status(self, cluster):
                return [StatusRow(node.alias, "workers", "1 of 1", count=1) for node in cluster.workers]
    """

    @pytest.fixture
    def board(self, run, laptop, tmp_path):
        (tmp_path / "board.py").write_text(textwrap.dedent(self.PLUGIN))
        text = laptop.config.read_text().replace("packages, engines", "packages, engines, board")
        laptop.config.write_text(f"{text}[plugin board]\nsetup_class = {tmp_path}/board.py:Board\n")
        said = run("start", "lab")
        assert said.status == 0, said.err
        return laptop.home / "clusters" / "lab" / "scheduler.json", said.out

    def test_start_says_where_each_is_and_how_to_use_it(self, board):
        file, out = board
        assert ">>> lab is up: 6 engines on 3 nodes for me; 5 workers, in " in out
        assert ">>> Board: http://127.0.0.1:15003/board\n" in out
        assert f">>> Schedule, in Python:\n\nScheduler({str(file)!r})\n" in out
        assert ">>> Raw: tcp at 127.0.0.1:15005\n" in out

    @pytest.mark.parametrize("command", ["list", "status", "tunnel"])
    def test_list_status_and_tunnel_say_where_each_is(self, run, board, command):
        out = run(command, "lab").out
        assert "  board: http://127.0.0.1:15003/board\n" in out
        assert f"  scheduler: {board[0]}\n" in out
        assert "  raw: tcp at 127.0.0.1:15005\n" in out

    @pytest.mark.parametrize("command", ["start", "list", "status", "tunnel"])
    def test_json_has_them_all(self, run, board, command):
        answer = run(command, "lab", "--json").json
        answer = answer[0] if command == "list" else answer
        assert [one["name"] for one in answer["connections"]] == ["client", "notebook", "board", "scheduler", "raw"]
        assert answer["connections"][2] == {
            "name": "board",
            "url": "http://127.0.0.1:15003/board",
            "file": None,
            "ports": {"web": 15003},
            "summary": "",
        }
        assert answer["connections"][3]["file"] == str(board[0])

    def test_running_one_plugin_keeps_those_of_the_others(self, run, board):
        before = run("list", "lab", "--json").json
        assert run("runplugin", "board", "lab").status == 0
        assert run("list", "lab", "--json").json == before

    def test_what_any_plugin_counts_has_a_column(self, run, board):
        out = run("list", "lab").out
        assert "lab: running, 3 nodes, 6 engines, 2 workers (local)" in out
        rows = [line.split() for line in out.splitlines()]
        assert next(row for row in rows if row[:1] == ["NODE"])[-2:] == ["ENGINES", "WORKERS"]
        assert next(row for row in rows if row[:1] == ["master"])[-2:] == ["2", "-"]
        assert next(row for row in rows if row[:1] == ["node001"])[-2:] == ["2", "1"]
