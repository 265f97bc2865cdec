"""The story on containers: the `docker` provider, supervisord, a shared volume as home."""

from __future__ import annotations

import getpass
import json
import os
import secrets
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from clusterctl.tunnel import holders

from ..support.engine_relay import engine_by_tcp

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

AS_WINDOWS = Path(__file__).parents[1] / "support" / "as_windows.py"
CLUSTER = f"story{secrets.token_hex(3)}"
"""Other runs may share the Docker engine."""
DATA = f"clusterctl-test-data-{CLUSTER}"
USER = "iptest"
CONFIG = """
[global]
DEFAULT_TEMPLATE = docker

[cluster docker]
PROVIDER = docker
NODE_IMAGE_ID = {image}
CLUSTER_SIZE = 3
CLUSTER_USER = {user}
CLUSTER_SHELL = fish
VARIABLES = TITLE="it's a, b"
PLUGINS = ippackages, aptpackages, users, ipcluster
VOLUMES = data
HOME_VOLUME = yes

[plugin ippackages]
SETUP_CLASS = packages
PACKAGES = msgpack

[plugin aptpackages]
PACKAGES = less

[plugin users]
USERNAMES = alice

[plugin ipcluster]
ENABLE_NOTEBOOK = True
NOTEBOOK_DIRECTORY = notebooks
ENGINES_PER_NODE = 2

[volume data]
VOLUME_ID = {volume}
MOUNT_PATH = /data
"""


@dataclass(frozen=True)
class Story:
    """The cluster of containers, and what its start said."""

    laptop: object
    started: str


def docker(*arguments: str) -> str:
    """The docker command: somebody else's view of what there is."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


def ours() -> list[str]:
    """Everything that carries this cluster's label, data volumes aside."""
    label = f"label=clusterctl.cluster={CLUSTER}"
    found = docker("ps", "-aq", "--filter", label).split()
    found += docker("network", "ls", "-q", "--filter", label).split()
    return found + docker("volume", "ls", "-q", "--filter", label).split()


@pytest.fixture(scope="module")
def story(docker_image_with_lists, laptop_class, tmp_path_factory):
    """`clusterctl start`, as its user types it."""
    laptop = laptop_class(tmp_path_factory.mktemp("laptop") / "home")
    laptop.home.mkdir()
    (laptop.home / "config").write_text(CONFIG.format(image=docker_image_with_lists, user=USER, volume=DATA))
    try:
        started = laptop.run("start", CLUSTER, timeout=500)
        yield Story(laptop, started.stdout + started.stderr)
    finally:
        laptop.run("terminate", "--yes", CLUSTER, status=None)
        docker("volume", "rm", "--force", DATA)
    assert ours() == []


def engines(story: Story) -> dict[str, int | None]:
    (found,) = story.laptop.json("list", "--json", CLUSTER)
    return {node["alias"]: node["engines"] for node in found["nodes"]}


def python(story: Story, code: str) -> object:
    """Code in a plain Python on the laptop, with `client` connected; what `answer` then is."""
    file = story.laptop.folder(CLUSTER) / "client.json"
    connect = f"import json, os, ipyparallel\nclient_file = {str(file)!r}\n"
    connect += "client = ipyparallel.Client(client_file, timeout=60)\n"
    return json.loads(story.laptop.python(f"{connect}{code}\nprint(json.dumps(answer))\n", timeout=120))


def container(alias: str) -> str:
    """The id of a node's container."""
    filters = ["--filter", f"label=clusterctl.cluster={CLUSTER}", "--filter", f"label=clusterctl.alias={alias}"]
    return docker("ps", "-aq", *filters)


def inside(alias: str, command: str) -> str:
    return docker("exec", container(alias), "sh", "-c", command)


def is_whole(story: Story, nodes: tuple[str, ...] = ("master", "node001", "node002")) -> bool:
    """Whether the controller has exactly the engines that belong to the nodes, under their ids."""
    if engines(story) != dict.fromkeys(nodes, 2):
        return False
    return python(story, "answer = client.ids") == list(range(2 * len(nodes)))


def work_anew(story: Story, alias: str, ids: list[int]) -> bool:
    """Whether a node that was restarted has its engines again: those that answer run there now."""
    if not is_whole(story):
        return False
    code = (
        f"try:\n    answer = client[{ids}].apply_async(os.getpid).get(timeout=10)\n"
        "except Exception:\n"  # one that has just gone is unknown, or does not answer, or has ended
        "    answer = [0]"
    )
    return {*map(str, python(story, code))} <= {*inside(alias, "pgrep -f IPEngine.id || true").split()}


def test_start_ends_with_every_engine_and_the_lines_to_connect(story):
    assert f"{CLUSTER} is up: 6 engines on 3 nodes for iptest" in story.started
    assert is_whole(story)


def test_the_user_is_the_same_everywhere_and_the_home_is_shared(story):
    uids = {inside(alias, f"id -u {USER}") for alias in ("master", "node001", "node002")}
    assert len(uids) == 1
    code = (
        "def write():\n    import getpass, os, pathlib\n    (pathlib.Path.home() / 'probe').write_text('here ')\n"
        "    return getpass.getuser()\n"
        "answer = client[5].apply_sync(write)"
    )
    assert python(story, code) == USER
    assert inside("master", f"cat /home/{USER}/probe; stat -c %U /home/{USER}/probe").split() == ["here", USER]


def test_members_reach_each_other_by_name_without_a_question_whatever_the_shell(story):
    assert inside("master", f"getent passwd {USER}").endswith("fish")
    for source, goal in (("master", "node002"), ("node001", "master"), ("node002", "node001")):
        said = story.laptop.run("sshnode", "-u", USER, CLUSTER, source, f"ssh -o BatchMode=yes {goal} hostname")
        assert said.stdout.strip() == goal


def test_each_node_is_a_client_of_its_own_cluster_and_logins_have_its_variables(story):
    code = "import clusterctl, os; c = clusterctl.connect(wait=6); print(c.map(abs, [-1]), len(c), os.environ['TITLE'])"
    for alias in ("master", "node001"):
        command = f'/opt/clusterctl/env/bin/python -W ignore -c "{code}"'
        said = story.laptop.run("sshnode", "-u", USER, CLUSTER, alias, command).stdout
        assert said == "[1] 6 it's a, b\n"
    task = (
        "def look():\n    import clusterctl\n    client = clusterctl.connect()\n    return len(client.ids)\n"
        "answer = client[:].apply_sync(look)"
    )
    assert python(story, task) == [6] * 6


def test_the_users_shell_has_the_clusters_python_and_so_does_a_command(story):
    for alias in ("master", "node001"):
        said = docker(
            "exec", "-u", USER, container(alias), "fish", "-c", "python -c 'import ipyparallel, sys; print(sys.prefix)'"
        )
        assert said.startswith("/opt/clusterctl/env")
    said = story.laptop.run("exec", CLUSTER, "python -c 'import msgpack'; pip install six; id -un", status=0)
    assert said.stdout.count(": root") == 3, "they are commands of who set the node up"
    assert said.stderr.count(f"clusterctl install {CLUSTER} six") == 3


def test_engines_of_different_nodes_work_together_by_lines_on_their_own_addresses(story):
    code = (
        "import socket, clusterctl\n"
        "client = clusterctl.connect(client_file)\n"
        "def look(group):\n"
        "    own = socket.gethostbyname(socket.gethostname())\n"
        "    return socket.gethostname(), group._wires.address == own, group.allreduce(group.rank)\n"
        "answer = client.together(look)"
    )
    members = python(story, code)
    assert len({host for host, _, _ in members}) == 3
    assert [rest for _, *rest in members] == [[True, 15]] * 6


def test_packages_of_both_kinds_are_there(story):
    code = "def f():\n    import msgpack, sys\n    return sys.version_info[:2]\nanswer = client[:].apply_sync(f)"
    assert python(story, code) == [list(sys.version_info[:2])] * 6
    assert inside("node002", "command -v less") == "/usr/bin/less"


def test_a_package_comes_to_all_nodes_and_no_engine_ends(story):
    pids = "answer = client[:].apply_sync(os.getpid)"
    before = python(story, pids)
    said = story.laptop.run("install", CLUSTER, "tabulate").stdout
    assert "[plugin ippackages]\nPACKAGES = msgpack, tabulate\n" in said
    assert python(story, pids) == before
    used = "def use():\n    import tabulate\n    return tabulate.__name__\nanswer = client[:].apply_sync(use)"
    assert python(story, used) == ["tabulate"] * 6
    assert story.laptop.run("doctor", CLUSTER, status=None).stdout.count("was changed") == 0
    assert story.laptop.run("exec", CLUSTER, "tabulate --help >/dev/null && echo ok").stdout.count("ok") == 3


def test_the_data_volume_is_on_every_node(story):
    inside("master", "echo kept > /data/probe")
    assert inside("node002", "cat /data/probe") == "kept"


def test_files_go_to_the_users_home_and_come_from_it(story, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    story.laptop.run("put", CLUSTER, str(tmp_path / "notes.txt"), "notes.txt")
    assert inside("node001", f"stat -c %U /home/{USER}/notes.txt") == USER
    story.laptop.run("get", CLUSTER, "notes.txt", str(tmp_path / "back.txt"))
    assert (tmp_path / "back.txt").read_text() == "mine"


def test_a_laptop_with_windows_lists_copies_and_connects(story, tmp_path):
    (tmp_path / "there").write_text("from Windows")
    connect = f"import clusterctl, os\nprint(len(clusterctl.connect({CLUSTER!r})[:].apply_sync(os.getpid)))"
    commands = {
        "list": ["list"],
        "status": ["status", CLUSTER],
        "exec": ["exec", CLUSTER, "hostname"],
        "put": ["put", CLUSTER, str(tmp_path / "there"), "there"],
        "get": ["get", CLUSTER, "there", str(tmp_path / "back")],
        "close": ["tunnel", "--close", CLUSTER],
        "tunnel": ["tunnel", CLUSTER],
        "connect": connect,
    }
    with engine_by_tcp() as address:
        done = subprocess.run(
            [sys.executable, AS_WINDOWS, "ipyparallel", "zmq"],
            input=json.dumps([*commands.values()]),
            env={**story.laptop.env, "USERNAME": getpass.getuser(), "DOCKER_HOST": address},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    results = dict(zip(commands, answer["results"], strict=True))
    assert {name: (result["status"], result["err"]) for name, result in results.items()} == dict.fromkeys(
        commands, (0, "")
    )
    assert f"{CLUSTER}: running, 3 nodes, 6 engines (docker)" in results["list"]["out"]
    assert (tmp_path / "back").read_text() == "from Windows"
    assert results["connect"]["out"] == "6\n"
    assert answer["noted"] == [0x08000200], "the tunnel's process, which outlives the command"


def test_an_extra_user_gets_in_with_the_key_that_was_downloaded(story):
    keys = list(story.laptop.folder(CLUSTER).glob("users/alice*")) or list(
        story.laptop.folder(CLUSTER).glob("users/**/alice*")
    )
    assert keys
    uids = {inside(alias, "id -u alice") for alias in ("master", "node002")}
    assert len(uids) == 1


def test_nothing_listens_for_the_world(story):
    for alias in ("master", "node001"):
        ports = json.loads(docker("inspect", "--format", "{{json .NetworkSettings.Ports}}", container(alias)))
        assert {bound["HostIp"] for bindings in ports.values() for bound in bindings or ()} == {"127.0.0.1"}


def test_no_secret_is_in_what_docker_tells_of_a_container(story):
    folder = story.laptop.folder(CLUSTER)
    private = (folder / "id_ed25519").read_text().splitlines()[1]
    for alias in ("master", "node001"):
        said = docker("inspect", container(alias))
        assert private not in said
        assert "PRIVATE KEY" not in said


def test_start_again_changes_nothing(story):
    before = inside("master", "pgrep -f '[i]pyparallel' | sort")
    again = story.laptop.run("start", CLUSTER)
    assert f"{CLUSTER} was already running: 6 engines on 3 nodes" in again.stdout + again.stderr
    assert inside("master", "pgrep -f '[i]pyparallel' | sort") == before


def test_a_killed_engine_comes_back_with_its_id(story, poll):
    inside("node001", "pkill -KILL -o -f 'IPEngine.id=2'")
    poll(lambda: is_whole(story), "all engines are back", deadline_s=60, every_s=1)


def test_a_worker_that_was_restarted_brings_its_engines_back_by_itself(story, poll):
    docker("restart", "--time", "0", container("node002"))
    poll(lambda: work_anew(story, "node002", [4, 5]), "all engines are back", deadline_s=90, every_s=1)


def test_a_master_that_was_restarted_brings_everything_back_by_itself(story, poll):
    docker("restart", "--time", "0", container("master"))
    poll(lambda: work_anew(story, "master", [0, 1]), "all engines are back", deadline_s=120, every_s=1)


def test_a_computer_that_was_restarted_says_so_and_has_its_cluster_back_at_the_next_connect(story, poll):
    """The power fails: all containers and the tunnel are gone at once. Then the engine starts what ran."""
    folder = story.laptop.folder(CLUSTER)
    client = (folder / "client.json").read_bytes()
    for name in ("tunnel.minder", "tunnel.pid"):
        os.kill(holders.holder_pid(folder / name), signal.SIGKILL)
    nodes = docker("ps", "-q", "--filter", f"label=clusterctl.cluster={CLUSTER}").split()
    docker("kill", *nodes)
    said = story.laptop.run("status", CLUSTER, status=1).stdout
    assert {"  master is stopped", "  node002 is stopped", "tunnel: down"} <= {*said.splitlines()}
    assert f"`clusterctl start {CLUSTER}` repairs what is missing" in said
    docker("start", *nodes)
    ids = f"import clusterctl; print(clusterctl.connect({CLUSTER!r}, wait=6).ids)"
    assert story.laptop.python(ids, timeout=120) == "[0, 1, 2, 3, 4, 5]\n"
    poll(lambda: not story.laptop.run("status", CLUSTER, status=None).returncode, "all is well, the notebook too")
    assert (folder / "client.json").read_bytes() == client


def test_runplugin_restarts_all_engines(story):
    said = story.laptop.run("runplugin", "ipclusterrestart", CLUSTER)
    assert "Restarting 6 engines on 3 nodes" in said.stdout + said.stderr
    assert is_whole(story)


def test_a_node_joins_and_leaves_and_the_others_know(story):
    story.laptop.run("addnode", CLUSTER, timeout=300)
    assert is_whole(story, ("master", "node001", "node002", "node003"))
    said = story.laptop.run("sshnode", "-u", USER, CLUSTER, "node001", "ssh -o BatchMode=yes node003 hostname")
    assert said.stdout.strip() == "node003"
    story.laptop.run("removenode", "--yes", CLUSTER, "-a", "node003")
    assert is_whole(story)
    assert "node003" not in inside("node001", "cat /etc/hosts /etc/ssh/ssh_known_hosts")


def test_stop_and_start_bring_the_same_cluster_back(story):
    inside("master", f"echo stays > /home/{USER}/stays")
    story.laptop.run("stop", "--yes", CLUSTER)
    assert docker("ps", "-q", "--filter", f"label=clusterctl.cluster={CLUSTER}") == ""
    story.laptop.run("start", CLUSTER, timeout=300)
    assert is_whole(story)
    assert inside("node002", f"cat /home/{USER}/stays") == "stays"


def test_a_master_whose_container_is_gone_is_followed_by_one_with_its_home_ports_and_keys(story):
    client = (story.laptop.folder(CLUSTER) / "client.json").read_bytes()
    docker("rm", "--force", container("master"))
    said = story.laptop.run("start", CLUSTER, timeout=300)
    assert "another one gets its home, its ports and its keys" in said.stdout + said.stderr
    assert is_whole(story)
    assert inside("master", f"cat /home/{USER}/stays") == "stays"
    assert (story.laptop.folder(CLUSTER) / "client.json").read_bytes() == client


def test_it_ends_by_itself_without_the_laptop_and_the_next_start_goes_on(story, poll):
    inside("master", f"echo idle > /home/{USER}/idle")
    said = story.laptop.run("start", CLUSTER, env={"CLUSTERCTL_IDLE_STOP": "5s"}).stdout
    assert "once nobody has worked for 5 s (IDLE_STOP): its containers stop, with all that is in them" in said
    only = ["--filter", f"label=clusterctl.cluster={CLUSTER}"]
    poll(lambda: docker("ps", "-q", *only) == "", "all containers have stopped", deadline_s=150, every_s=1)
    ended = docker("inspect", "--format", "{{.State.ExitCode}} {{.State.Status}}", *docker("ps", "-aq", *only).split())
    assert ended.splitlines() == ["0 exited"] * 3, "they do not come back with their engine"
    story.laptop.run("start", CLUSTER, timeout=300)
    assert is_whole(story)
    assert inside("node002", f"cat /home/{USER}/idle") == "idle"


def test_terminate_leaves_nothing_but_the_data(story):
    story.laptop.run("terminate", "--yes", CLUSTER)
    assert ours() == []
    assert DATA in docker("volume", "ls", "-q").split()
