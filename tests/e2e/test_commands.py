"""The commands that get you onto the nodes, and those that tell you what is there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from ..support.trees import describe, make_tree

pytestmark = pytest.mark.e2e


def test_exec_shows_each_nodes_output_and_passes_the_worst_status_on(laptop, cluster):
    script = "echo here $CLUSTERCTL_NODE; echo there >&2; [ $CLUSTERCTL_NODE != node001 ] || exit 3"
    result = laptop.run("exec", cluster.name, "--", "sh", "-c", script, status=3)
    assert sorted(result.stdout.splitlines()) == [f"{n}: here {n}" for n in ("master", "node001", "node002")]
    assert "node002: there\n" in result.stderr
    assert "failed on node001 (status 3)" in result.stderr


def test_exec_on_some_nodes_and_as_json(laptop, cluster):
    found = laptop.json("exec", "--json", "-n", "2", "-n", "master", cluster.name, "printenv", "CLUSTERCTL_NODE")
    assert [(entry["node"], entry["status"], entry["stdout"]) for entry in found] == [
        ("node002", 0, "node002\n"),
        ("master", 0, "master\n"),
    ]


def test_sshmaster_runs_a_command_with_its_input_and_exits_with_its_status(laptop, cluster):
    script = "cat; echo $CLUSTERCTL_NODE; exit 7"
    result = laptop.run("sshmaster", cluster.name, "sh", "-c", script, status=7, stdin="in\n")
    assert result.stdout == "in\nmaster\n"


@pytest.mark.skipif(not shutil.which("ssh"), reason="ssh: no OpenSSH here")
def test_ssh_gets_to_each_node_by_the_config_for_it(laptop, cluster, tmp_path):
    config = tmp_path / "config"
    config.write_text(laptop.run("ssh-config", cluster.name).stdout)
    command = ["ssh", "-F", config, "-o", "BatchMode=yes", f"{cluster.name}-node001", "echo $CLUSTERCTL_NODE"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("node001\n", 0), done.stderr
    pinned = laptop.folder(cluster.name) / "known_hosts"
    (tmp_path / "others").write_text(re.sub("(ssh-ed25519 .{30})....", r"\1AAAA", pinned.read_text()))
    config.write_text(config.read_text().replace(str(pinned), str(tmp_path / "others")))
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (refused.stdout, refused.returncode) == ("", 255)
    assert "Host key verification failed" in refused.stderr


def test_sync_sends_what_differs_to_the_home_that_all_share(laptop, cluster, tmp_path):
    folder = tmp_path / "synced"
    (folder / "pkg").mkdir(parents=True)
    (folder / "pkg" / "a.sh").write_text("echo run on $CLUSTERCTL_NODE")
    (folder / "pkg" / "a.sh").chmod(0o755)
    assert [one["sent"] for one in laptop.json("sync", "--json", cluster.name, str(folder))] == [["pkg/a.sh"]]
    assert [one["sent"] for one in laptop.json("sync", "--json", cluster.name, str(folder))] == [[]]
    result = laptop.run("sshnode", cluster.name, "2", "sh synced/pkg/a.sh; touch synced/new")
    assert result.stdout == "run on node002\n"
    [one] = laptop.json("sync", "--delete", "--json", cluster.name, str(folder))
    assert (one["deleted"], one["unchanged"]) == (["new"], 1)


def test_bytes_go_through_a_command_as_they_are(laptop, cluster, tmp_path):
    (tmp_path / "bytes").write_bytes(bytes(range(256)) * 5000)
    with (tmp_path / "bytes").open("rb") as sent:
        command = [*laptop.command, "sshmaster", cluster.name, "cat; echo '\\377' | cat >&2"]
        done = subprocess.run(command, env=laptop.env, stdin=sent, capture_output=True, timeout=60)
    assert done.stdout == (tmp_path / "bytes").read_bytes()


def test_a_command_ends_though_its_input_stays_open(laptop, cluster):
    reading, writing = os.pipe()
    with os.fdopen(reading) as stdin, os.fdopen(writing, "w"):
        command = [*laptop.command, "sshnode", cluster.name, "1", "echo hi; kill -15 $$"]
        done = subprocess.run(command, env=laptop.env, stdin=stdin, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (143, "hi\n")


def test_sshnode_takes_an_alias_or_just_its_number(laptop, cluster):
    assert laptop.run("sshnode", cluster.name, "1", "printenv", "CLUSTERCTL_NODE").stdout == "node001\n"
    assert laptop.run("sshnode", cluster.name, "node002", "printenv", "CLUSTERCTL_NODE").stdout == "node002\n"
    laptop.refuse("sshnode", cluster.name, "9", "true", status=1, says=["no node 9", "node002"])


def test_a_folder_goes_to_a_node_and_comes_back_as_it_was(laptop, cluster, tmp_path):
    sent = tmp_path / "sent"
    make_tree(sent, 7)
    (sent / "run").write_text("#!/bin/sh\necho ran\n")
    (sent / "run").chmod(0o755)
    for _ in range(2):  # the second time it is there already
        assert "copied to node001" in laptop.run("put", "-n", "1", cluster.name, str(sent), "there").stdout
    assert laptop.run("sshnode", cluster.name, "1", "there/run").stdout == "ran\n"
    laptop.run("get", "-n", "1", cluster.name, "there", str(tmp_path / "back"))
    assert describe(tmp_path / "back") == describe(sent)
    laptop.refuse("get", cluster.name, "nothing", str(tmp_path / "x"), status=1, says=["nothing"])


def test_files_come_from_all_nodes_each_into_a_folder_of_its_own(laptop, cluster, tmp_path):
    laptop.run("exec", cluster.name, "echo $CLUSTERCTL_NODE > /tmp/$CLUSTERCTL_NODE.own")
    laptop.run("get", "-n", "all", cluster.name, "/tmp/*.own", str(tmp_path / "out"))
    assert (tmp_path / "out" / "node002" / "node002.own").read_text() == "node002\n"
    laptop.run("exec", cluster.name, "rm /tmp/$CLUSTERCTL_NODE.own")


def test_logs_shows_every_service_of_a_node(laptop, cluster):
    text = laptop.run("logs", cluster.name).stdout
    for log in ("controller-0.log", "engine-0.log", "engine-1.log", "notebook-0.log"):
        assert f"==> {log}" in text
    assert "ipcluster: engines -> 0" in laptop.run("logs", "--commands", "-n", "1000", cluster.name, "1").stdout


def test_no_log_of_a_healthy_cluster_begins_with_an_alarm(laptop, cluster):
    """What is wrong is not what somebody sees first where nothing is."""
    for node in ("master", "node001"):
        text = laptop.run("logs", "-n", "10000", cluster.name, node).stdout
        assert "==> supervisord.log" in text
        alarms = [line for line in text.splitlines() if re.search(r"insecure|\bCRIT\b|running as root", line)]
        assert alarms == []


def test_status_of_a_healthy_cluster_is_zero(laptop, cluster):
    found = laptop.json("status", "--json", cluster.name)
    assert (found["healthy"], found["tunnel"]) == (True, "not needed")
    assert {(row["node"], row["item"], row["value"]) for row in found["rows"]} >= {
        ("master", "controller", "answers"),
        ("node002", "engines", "2 of 2"),
    }


def test_list_shows_a_line_for_each_node(laptop, cluster):
    lines = laptop.run("listclusters").stdout.splitlines()
    assert re.fullmatch(r"mycluster: running, 3 nodes, 6 engines \(local\), \d+ (s|min) old", lines[0])
    assert len([line for line in lines if line.strip().startswith(("master", "node"))]) == 3


def test_tunnel_says_that_none_is_needed(laptop, cluster):
    assert "mycluster needs no tunnel" in laptop.run("tunnel").stdout


def test_connect_has_the_client_and_views_ready(laptop, cluster):
    code = "print(len(client), view.apply_sync(lambda: 5), lview.apply_sync(lambda: 6))"
    assert laptop.run("connect", "-e", code).stdout == "6 [5, 5, 5, 5, 5, 5] 6\n"


def test_what_ends_a_cluster_asks_first(laptop, cluster):
    for command in ("terminate", "stop"):
        result = laptop.run(command, cluster.name, status=2)
        assert "--yes" in result.stderr
    assert len(laptop.find("master", "ipengine.py")) >= 2


def test_an_unknown_plugin_is_refused_with_those_that_there_are(laptop, cluster):
    laptop.refuse("runplugin", "nosuch", status=2, says=["unknown plugin nosuch", "ipclusterrestart"])


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_ones_that_the_shell_accepts(laptop, shell):
    script = laptop.run("completion", shell).stdout
    assert "_CLUSTERCTL_COMPLETE" in script
    program = shutil.which(shell)
    if program:
        checked = subprocess.run([program, "-n"], input=script, capture_output=True, text=True)
        assert (checked.returncode, checked.stderr) == (0, "")


def test_completion_knows_the_clusters_and_nodes(laptop, cluster):
    words = {"_CLUSTERCTL_COMPLETE": "bash_complete", "COMP_CWORD": "2"}
    program = laptop.command[0].rpartition("/")[0] + "/clusterctl"
    if not shutil.which(program):
        pytest.skip("the script clusterctl is not beside this Python")
    for line, answer in (("clusterctl sshnode my", "plain,mycluster"), ("clusterctl stat", "plain,status")):
        env = {**laptop.env, **words, "COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
        result = subprocess.run([program], env=env, capture_output=True, text=True)
        assert answer in result.stdout.splitlines(), result
