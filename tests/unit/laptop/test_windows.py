"""What runs on a laptop with Windows, as far as Linux can show it: tests/support/as_windows.py says how."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[3]
AS_WINDOWS = ROOT / "tests" / "support" / "as_windows.py"
CONFIG = """
[global]
DEFAULT_TEMPLATE = lab

[cluster cloud]
PROVIDER = ec2
NODE_INSTANCE_TYPE = c7i.large
PLUGINS = ipcluster

[cluster lab]
HOSTS = me@127.0.0.1
PLUGINS = ipcluster

[host me@127.0.0.1]
ADDRESS = 127.0.0.1
PORT = 9
USER = me
HOST_KEY = ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINGkOgMVHJggLBb1oIhiMt7rMcq8fChOLEPDGJ1JKphW

[cluster box]
PROVIDER = docker
PLUGINS = ipcluster

[cluster here]
PROVIDER = local
PLUGINS = ipcluster
"""
LOCKS = """
from clusterctl.laptop import locks
from pathlib import Path
import tempfile
path = Path(tempfile.mkdtemp()) / "lock"
with path.open("a+") as first, path.open("a+") as second:
    assert not locks.is_locked(second)
    assert locks.try_lock(first)
    assert not locks.try_lock(second)
    assert locks.is_locked(second)
    first.write("7"); first.flush()
    second.seek(0)
    print(second.read())
with path.open() as third:
    locks.await_unlock(third)
    assert not locks.is_locked(third)
    locks.lock(third)
"""
PROGRAM = """
from clusterctl.remote.proxy_command import ProxyCommand
import sys
program = ProxyCommand([sys.executable, "-c", '''
import sys
sys.stderr.write("something to say")
sys.stderr.flush()
while (line := sys.stdin.readline()):
    sys.stdout.write(line.upper())
    sys.stdout.flush()
'''])
program.settimeout(20)
program.send(b"a line\\\\n".decode("unicode_escape").encode())
print(program.recv(100).decode(), program.quote_stderr().partition("said")[2])
program._process.kill()
print(program.recv(100))
program.close()
"""
FOLDER = """
from clusterctl.journal import ClusterFolder
from clusterctl.wiring.local_paths import home_folder
folder = ClusterFolder(home_folder(), "mine")
with folder.exclusive_lock():
    folder.ensure_exists()
    folder.record("note", key="a", value=1)
    folder.record("note", key="a", value=2)
    print(folder.plugin_notes())
    folder.delete_folder()
print(folder.path.exists())
"""
PLACES = """
from clusterctl.laptop import places
from pathlib import Path
import tempfile
print(places.agent_address({}), places.agent_address({"SSH_AUTH_SOCK": "mine"}), places.permissions_of(Path("/")))
prefix = Path(tempfile.mkdtemp())
print(places.find_python(prefix).name, places.find_python(prefix).parent == prefix)
(prefix / "Scripts").mkdir()
(prefix / "Scripts" / "python.exe").touch()
print(places.find_python(prefix).parent.name)
"""
COMMANDS = {
    "help": ["--help"],
    "version": ["--version"],
    "check": ["config", "check"],
    "show": ["config", "show", "lab"],
    "init": ["config", "init", "--path", "new.ini"],
    "list": ["list"],
    "plugins": ["plugins"],
    "ec2 plan": ["start", "--dry-run", "-c", "cloud", "a"],
    "ec2 zones": ["listzones"],
    "docker plan": ["start", "--dry-run", "-c", "box", "a"],
    "docker": ["start", "-c", "box", "a"],
    "static plan": ["start", "--dry-run", "-c", "lab", "a"],
    "local": ["start", "-c", "here", "a"],
    "terminate": ["terminate", "--yes", "ended"],
    "locks": LOCKS,
    "program": PROGRAM,
    "folder": FOLDER,
    "places": PLACES,
}


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """What came of each of the commands, in one process: it takes seconds to load all that they need."""
    from clusterctl_standin.cloud import Cloud  # a second to load

    home = tmp_path_factory.mktemp("home")
    (home / "config").write_text(CONFIG)
    (home / "ended.txt").write_text("ended\n")
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CLUSTERCTL_", "DOCKER_"))
    }
    with Cloud() as cloud:
        done = subprocess.run(
            [sys.executable, AS_WINDOWS],
            input=json.dumps([*COMMANDS.values()]),
            env={**kept, **cloud.environment(), "CLUSTERCTL_HOME": str(home), "HOME": str(home), "USERNAME": "me"},
            cwd=home,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    results = dict(zip(COMMANDS, (SimpleNamespace(**result) for result in answer["results"]), strict=True))
    return SimpleNamespace(modules=answer["modules"], noted=answer["noted"], results=results, home=home)


def test_all_that_runs_on_a_laptop_is_imported_and_only_that_is_left_out(shown):
    missing = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / "clusterctl").rglob("*.py")
        if path.name != "__init__.py"
    } - set(shown.modules)
    assert {name.rpartition(".")[0] for name in missing} == {
        "clusterctl.clients",  # what answers on the master alone
        "clusterctl.on_node.in_engine",
        "clusterctl.on_node.in_engine.together",
        "clusterctl.on_node.system",
        "clusterctl.on_node.system.ending",
        "clusterctl.on_node.system.environments",
        "clusterctl.on_node.system.seeing",
        "clusterctl.on_node.system.watching",
        "clusterctl.on_node.system.copying",  # the program alone: the ends of a copy are the laptop's, too
        "clusterctl.on_node.with_dask",
        "clusterctl.on_node.with_ipyparallel",
        "clusterctl.on_node.with_ipyparallel.agreed",
        "clusterctl.on_node.with_ipyparallel.patches",
        "clusterctl.on_node.with_ipyparallel.records",
        "clusterctl.providers.local",
    }


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("help", "Bring up an ipyparallel cluster"),
        ("version", "clusterctl, version"),
        ("check", "ok: 4 cluster templates"),
        ("show", "cluster.hosts"),
        ("init", "new.ini"),
        ("list", "No clusters."),
        ("plugins", "ipcluster"),
        ("ec2 plan", "a: 3 nodes from the provider ec2"),
        ("ec2 zones", "us-east-1a"),
        ("static plan", "a: 1 node from the provider static"),
        ("terminate", "there is no ended any more: nothing to end"),
    ],
)
def test_commands_that_need_no_node_work(shown, command, words):
    result = shown.results[command]
    assert (result.status, result.err) == (0, "")
    assert words in result.out


def test_local_nodes_are_refused_in_one_sentence_with_what_to_do(shown):
    result = shown.results["local"]
    assert (result.status, result.out) == (2, "")
    assert result.err == (
        "error: nodes of the provider local need Linux or macOS on this computer\n"
        "try: set PROVIDER to docker, static or ec2 in the config file; or run clusterctl in WSL, which is Linux\n"
    )


@pytest.mark.parametrize("command", ["docker", "docker plan"])
def test_docker_is_looked_for_where_docker_desktop_listens(shown, command):
    result = shown.results[command]
    assert result.status == 1
    assert "the Docker engine npipe:////./pipe/docker_engine does not answer" in result.err
    assert "try: start it: open Docker Desktop; PROVIDER = static needs no Docker" in result.err


def test_locks_keep_others_out_and_let_them_read(shown):
    assert vars(shown.results["locks"]) == {"status": 0, "out": "7\n", "err": ""}


def test_a_program_that_leads_to_a_node_is_talked_to_by_a_socket(shown):
    result = shown.results["program"]
    assert (result.status, result.err) == (0, "")
    assert result.out == "A LINE\n : something to say)\nb''\n"
    assert 0x08000200 in shown.noted
    assert [words for words in shown.noted if isinstance(words, list) and words[:3] == ["taskkill", "/F", "/T"]]


def test_a_clusters_folder_is_closed_to_others_written_and_deleted(shown):
    assert vars(shown.results["folder"]) == {"status": 0, "out": "{'a': 2}\nFalse\n", "err": ""}
    (closed,) = [words for words in shown.noted if isinstance(words, list) and words[0] == "icacls"]
    assert closed[1:4] == [str(shown.home / "clusters" / "mine"), "/inheritance:r", "/grant:r"]
    assert closed[4:] == ["me:(OI)(CI)F", "*S-1-5-18:(OI)(CI)F"]


def test_things_are_looked_for_where_windows_has_them(shown):
    result = shown.results["places"]
    assert (result.status, result.err) == (0, "")
    assert result.out.splitlines() == [
        r"\\.\pipe\openssh-ssh-agent mine None",
        "python.exe True",
        "Scripts",
    ]
