"""The story on instances: the talk's own config file against the stand-in, whose instances have bodies.

Its cluster is made of an image that was baked of the same file, which saves each node the time for its packages: that a
bare instance becomes a node is shown by the baking, and by `test_selftest.py`.
"""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
from dataclasses import dataclass, replace

import pytest

from clusterctl.providers.ec2 import tags

from ..support.halfway import halfway_network
from ..support.laptop import read_acts
from ..support.metadata import ask_for_token
from ..support.talk import CONFIG, LIST_HOME, SLOW_MAP

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

NODES = ("master", "node001", "node002")
REPLACED = ("master", "node001", "node003")


@dataclass(frozen=True)
class Story:
    """The cluster, and what its start said."""

    laptop: object
    bodies: object
    image: str
    started: str

    def instance(self, alias: str) -> dict:
        """A node as the cloud has it."""
        (node,) = [each for each in self.nodes() if each["alias"] == alias]
        filters = [
            {"Name": "private-ip-address", "Values": [node["address"]]},
            {"Name": "instance-state-name", "Values": ["running"]},
        ]
        (found,) = self.bodies.cloud.client("ec2").describe_instances(Filters=filters)["Reservations"]
        return found["Instances"][0]

    def nodes(self) -> list[dict]:
        (found,) = self.laptop.json("list", "--json", "demo")
        return found["nodes"]

    def engines(self) -> dict[str, int | None]:
        return {node["alias"]: node["engines"] for node in self.nodes()}

    def on(self, alias: str, command: str, *, user: str = "") -> str:
        """What a command prints on a node, by SSH."""
        as_user = ("-u", user) if user else ()
        return self.laptop.run("sshnode", *as_user, "demo", alias, command).stdout.strip()

    def python(self, code: str) -> object:
        """Code in a plain Python on the laptop, with `client` connected; what `answer` then is."""
        file = self.laptop.folder("demo") / "client.json"
        connect = f"import json, ipyparallel\nclient = ipyparallel.Client({str(file)!r}, timeout=60)\n"
        return json.loads(self.laptop.python(f"{connect}{code}\nprint(json.dumps(answer))\n", timeout=120))

    def is_whole(self, *aliases: str) -> bool:
        """Whether these nodes, and no others, have the engines that they should have, under their ids."""
        return self.engines() == dict.fromkeys(aliases, 1) and self.python("answer = client.ids") == [
            *range(len(aliases))
        ]


@pytest.fixture(scope="module")
def laptop(bodies, laptop_class, tmp_path_factory):
    """With the config, and a key that the account has too."""
    home = tmp_path_factory.mktemp("laptop")
    # The cloud's address, and that nodes are reached by their private ones: this kernel has no NFS, so that the bodies
    # share their homes, as they would a file system of Amazon's.
    more = {"CLUSTERCTL_ADDRESS": "private", "CLUSTERCTL_SHARED_HOME": "yes", "HOME": str(home)}
    laptop = laptop_class(home / "clusterctl", {**bodies.cloud.environment(), **more})
    laptop.home.mkdir()
    (laptop.home / "config").write_text(CONFIG)
    (home / ".ssh").mkdir(mode=0o700)
    key = home / ".ssh" / "mykey.rsa"
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", str(key)], check=True)
    laptop.run("createkey", "mykey", "--import-key", str(key))
    try:
        yield laptop
    finally:
        laptop.run("terminate", "--yes", "demo", "bake-talk", status=None, timeout=300)
        laptop.run("removekey", "--yes", "mykey", status=None)
    assert bodies.cloud.left() == []


@pytest.fixture(scope="module")
def image(laptop):
    """The id of an image that has just been baked."""
    return laptop.json("image", "bake", "talk", "--yes", "--json", timeout=600)["image"]


@pytest.fixture(scope="module")
def story(bodies, laptop, image):
    """`clusterctl start -s 3 -b 0.07 demo`, as its user types it."""
    started = laptop.run("start", "-s", "3", "-b", "0.07", "--yes", "demo", timeout=600)
    return Story(laptop, bodies, image, started.stdout + started.stderr)


def snapshots(ec2) -> set[str]:
    """Those of the account: moto says that the images of others have theirs there."""
    return {each["SnapshotId"] for each in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}


def test_the_builder_is_gone_and_a_second_bake_finds_all_of_it_there(bodies, laptop, image):
    assert bodies.cloud.left() == ["us-east-1 key pair mykey"]
    again = laptop.json("image", "bake", "talk", "--yes", "--json")
    assert (again["image"], again["new"]) == (image, False)
    assert [baked["name"] for baked in laptop.json("image", "list", "--json")] == [image]


@pytest.fixture
def halfway(bodies, laptop, image):
    """A laptop outside of the network, whose config has private workers. They reach nothing, but have the image."""
    with halfway_network(bodies.cloud.client("ec2"), extends="ip") as template, bodies.from_outside():
        (laptop.home / "config").write_text(CONFIG + template)
        yield replace(laptop, more={**laptop.more, "CLUSTERCTL_ADDRESS": "auto"})
        laptop.run("terminate", "--yes", "halfway", status=None, timeout=300)
    (laptop.home / "config").write_text(CONFIG)


def test_workers_without_a_public_address_are_reached_through_the_master(bodies, halfway, tmp_path):
    said = halfway.run("start", "-s", "2", "--yes", "-c", "halfway", "halfway", timeout=400)
    assert "no route leads from" in said.stderr + said.stdout, "nobody said that workers get no packages"
    halfway.run("addnode", "--yes", "halfway", timeout=300)
    (found,) = halfway.json("list", "--json", "halfway")
    master, *workers = found["nodes"]
    for node in workers:
        with pytest.raises(OSError, match="No route to host"):
            socket.create_connection((node["address"], 22), 5)
    socket.create_connection((master["address"], 22), 5).close()
    assert halfway.run("exec", "-n", "node002", "halfway", "hostname").stdout.split()[-1] == "node002"
    (tmp_path / "there").write_text("kept")
    halfway.run("put", "-n", "node001", "halfway", str(tmp_path / "there"), "there")
    halfway.run("get", "-n", "node001", "halfway", "there", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "kept"
    with halfway.console() as console:
        console.run("import clusterctl\nclient = clusterctl.connect('halfway', wait=3)")
        console.run(SLOW_MAP.partition("def linger")[0])
        assert console.value("sorted({*client.map(where, range(60), chunksize=1)})") == [*NODES]
    halfway.run("terminate", "--yes", "halfway", timeout=300)
    assert bodies.cloud.left() == ["us-east-1 key pair mykey"]


def test_the_talks_file_starts_spot_workers_and_a_master_on_demand_in_one_zone(story):
    assert "demo is up: 3 engines on 3 nodes for iptest" in story.started
    assert "demo ends by itself once nobody has worked for 20 min (IDLE_STOP)" in story.started
    assert story.is_whole(*NODES)
    assert [node["market"] for node in story.nodes()] == ["on-demand", "spot", "spot"]
    assert len({story.instance(alias)["Placement"]["AvailabilityZone"] for alias in NODES}) == 1


def test_its_instances_are_made_of_the_baked_image_and_nothing_is_installed_on_them(story):
    assert f"Using the baked image {story.image}" in story.started
    assert {machine.image for machine in story.bodies.cloud.machines() if machine.runs} == {story.image}
    for alias in NODES:
        log = (story.laptop.folder("demo") / "logs" / f"{alias}.log").read_text()
        assert not re.search(r"Setting up less|changed: environment", log)
    assert story.on("node001", "less --version | head -n 1").startswith("less ")


def test_cloud_init_finds_nothing_wrong_with_the_user_data(story):
    master = story.instance("master")["InstanceId"]
    assert "Valid cloud-config" in story.bodies.shell(master, "cloud-init schema --system")


def test_what_runs_shows_what_it_costs(story):
    (found,) = story.laptop.json("list", "--json", "demo")
    assert found["cost"]["hourly_usd"]


def test_a_laptop_connects_and_work_runs_as_the_user_on_every_node(story):
    code = (
        "def who():\n    import getpass, socket, msgpack, sklearn\n"
        "    return [getpass.getuser(), socket.gethostname()]\n"
        "answer = client[:].apply_sync(who)"
    )
    assert sorted(story.python(code)) == [["iptest", alias] for alias in NODES]


def test_members_reach_each_other_by_name_with_keys_that_they_made_themselves(story):
    assert story.on("node001", "ssh -o BatchMode=yes node002 hostname", user="iptest") == "node002"
    known = (story.laptop.folder("demo") / "known_hosts").read_text().splitlines()
    keys = {line.split()[-1] for line in known}
    born = {tags.tags_of(story.instance(alias))[tags.HOST_KEY].split()[1] for alias in NODES}
    assert len(keys) == 3
    assert len(born) == 1  # all instances of a launch are born with one key
    assert not keys & born
    said = story.laptop.run("exec", "demo", "cat /etc/machine-id").stdout
    assert len(set(re.findall(r"\b[0-9a-f]{32}\b", said))) == 3


def test_the_talks_own_key_lets_its_user_in(story):
    key = f"{story.laptop.more['HOME']}/.ssh/mykey.rsa"
    address = story.nodes()[0]["address"]
    known = story.laptop.folder("demo") / "known_hosts"
    options = ["-o", f"UserKnownHostsFile={known}", "-o", "BatchMode=yes", "-i", key]
    said = subprocess.run(["ssh", *options, f"admin@{address}", "id -un"], capture_output=True, text=True)
    assert said.stdout.strip() == "admin", said.stderr


def test_only_root_may_ask_the_metadata_service(story):
    ask = ask_for_token(timeout_s=5)
    assert story.on("node001", f"sudo {ask}") == "True"
    refused = story.laptop.run("sshnode", "-u", "iptest", "demo", "node001", ask, status=None)
    assert "True" not in refused.stdout
    assert refused.returncode != 0


def test_restarting_the_engines_keeps_their_ids(story):
    before = story.python("answer = client[:].apply_sync(__import__('os').getpid)")
    said = story.laptop.run("runplugin", "ipclusterrestart")
    assert "Restarting 3 engines on 3 nodes" in said.stdout
    assert story.is_whole(*NODES)
    after = story.python("answer = client[:].apply_sync(__import__('os').getpid)")
    assert not set(before) & set(after)


def test_a_node_of_another_type_and_market_joins(story):
    story.laptop.run("addnode", "-I", "m7i.large", "--market", "on-demand", "--yes", "demo", timeout=300)
    assert story.is_whole(*NODES, "node003")
    node = story.nodes()[-1]
    assert (node["type"], node["market"]) == ("m7i.large", "on-demand")
    story.laptop.run("removenode", "--yes", "demo")
    assert story.is_whole(*NODES)


def test_a_notice_lets_the_engines_go_before_the_end_and_start_replaces_the_node(story, poll):
    doomed = story.instance("node002")["InstanceId"]
    story.bodies.cloud.interrupt(doomed, notice_s=40, by_hand=True)
    poll(lambda: story.engines()["node002"] == 0, "the engines of node002 went", deadline_s=90, every_s=1)
    said = story.laptop.run("status", "demo", status=1)
    assert "will be taken" in said.stdout
    assert doomed == story.instance("node002")["InstanceId"]  # it is there still
    story.bodies.cloud.take_back(doomed)
    assert "node002" not in story.engines()
    story.laptop.run("start", "--yes", "demo", timeout=400)
    assert story.is_whole(*NODES)
    assert story.instance("node002")["InstanceId"] != doomed


def test_a_node_that_boots_anew_comes_back_by_itself_and_knows_the_others(story, poll):
    story.bodies.reboot(story.instance("node001")["InstanceId"])
    # The controller has not missed its engine yet: the node itself is asked first.
    look = ("sshnode", "demo", "node001", "pgrep -f IPEngine.id")
    poll(lambda: not story.laptop.run(*look, status=None).returncode, "an engine runs", deadline_s=150, every_s=1)
    poll(lambda: story.engines().get("node001") == 1, "the engine of node001 is back", deadline_s=150, every_s=2)
    assert story.on("node001", "ssh -o BatchMode=yes master hostname", user="iptest") == "master"


def test_restart_boots_all_of_them_and_ends_no_spot_instance(story):
    before = {alias: story.instance(alias)["InstanceId"] for alias in NODES}
    story.laptop.run("restart", "--yes", "demo", timeout=400)
    assert story.is_whole(*NODES)
    assert {alias: story.instance(alias)["InstanceId"] for alias in NODES} == before


def test_stop_keeps_the_master_and_start_asks_for_the_workers_anew(story):
    before = {alias: story.instance(alias)["InstanceId"] for alias in NODES}
    story.laptop.run("stop", "--yes", "demo", timeout=200)
    assert [(node["alias"], node["state"]) for node in story.nodes()] == [("master", "stopped")]
    story.laptop.run("start", "--yes", "demo", timeout=400)
    assert story.is_whole(*NODES)
    after = {alias: story.instance(alias)["InstanceId"] for alias in NODES}
    assert after["master"] == before["master"]
    assert not {after[alias] for alias in NODES[1:]} & {before[alias] for alias in NODES[1:]}


def test_a_start_again_changes_nothing(story):
    story.bodies.cloud.clear_calls()
    said = story.laptop.run("start", "demo")
    assert "demo was already running" in said.stdout
    assert {call.action for call in story.bodies.cloud.calls} <= {"DescribeInstances"}


def test_a_job_of_a_size_buys_one_spot_instance_and_the_next_one_reuses_it(story, tmp_path, monkeypatch, poll):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model_training.py").write_text("import os; print(os.uname().nodename)")
    words = ("run-job", "--spot", "--yes", "-i", "C16", "python", "model_training.py")
    first = story.laptop.run(*words, timeout=400, anew=True)
    created, alias = first.stdout.splitlines()
    assert re.fullmatch(r"created new job [0-9a-f]{9}\.", created)
    assert "In all: $" in first.stderr, "the price is said before"
    bought = story.instance(alias)
    assert bought["InstanceLifecycle"] == "spot"
    assert bought["InstanceType"].endswith(".4xlarge")
    manifest = story.laptop.json("job", "show", "-c", "demo", created.split()[-1].rstrip("."))["manifest"]
    assert (manifest["market"], manifest["type"]) == ("spot", bought["InstanceType"])
    assert manifest["on_demand_usd"] is None or float(manifest["on_demand_usd"]) > 0.5
    story.bodies.cloud.clear_calls()
    assert story.laptop.run(*words, anew=True).stdout.endswith(f"\n{alias}\n")
    assert not {call.action for call in story.bodies.cloud.calls} & {"CreateFleet", "RunInstances"}
    story.laptop.run("removenode", "--yes", "-a", alias, "demo")
    poll(lambda: story.is_whole(*NODES), f"{story.engines()} are as before", deadline_s=60, every_s=2)


def test_a_watch_replaces_a_node_that_will_be_taken_and_no_task_is_lost(story, poll):
    doomed_alias = "node002"
    doomed = story.instance(doomed_alias)["InstanceId"]
    with story.laptop.begin("watch", "demo", "--every", "1", "--json") as watch, story.laptop.console() as console:
        console.run(f"import clusterctl\nclient = clusterctl.connect('demo', wait=3)\n{SLOW_MAP}")
        story.bodies.cloud.interrupt(doomed, notice_s=100, by_hand=True)
        poll(lambda: story.engines().get("node003") == 1, "another node has joined", deadline_s=240, every_s=1)
        assert story.instance("node002")["InstanceId"] == doomed, "the old one has its time"

        def all_others_work() -> bool:  # one that is at an item of the slow map may have none of a quick one
            names = console.value("sorted({*client.map(where, range(60), chunksize=1)})")
            assert doomed_alias not in names
            return names == [*REPLACED]

        poll(all_others_work, "those that stay have work", deadline_s=60)
        assert console.value("sorted(item for item, _ in slow.get(120))") == [*range(60)]
        assert console.value("len(slow.report.rerun_items)") == 0
        story.bodies.cloud.take_back(doomed)
        poll(lambda: story.engines() == dict.fromkeys(REPLACED, 1), "the size is back", deadline_s=120, every_s=1)
        told = read_acts(watch, "done", "done")
        watch.send_signal(signal.SIGINT)
        watch.wait(60)
    assert [act[:2] for act in told if act[2] == "done"] == [("replace", "node002"), ("let go", "node002")]
    assert story.laptop.run("status", "demo").returncode == 0


def test_it_ends_by_itself_without_the_laptop_and_the_next_start_finds_each_file_and_the_client_file(story, poll):
    """The morning after; `python -m tests.night` has one in which the master ends, too."""
    story.on("master", "mkdir -p results && seq 100000 > results/numbers", user="iptest")
    said = story.laptop.run("start", "demo", env={"CLUSTERCTL_IDLE_STOP": "10s"}).stdout
    assert "once nobody has worked for 10 s (IDLE_STOP): its workers end, its master stops and keeps its disk" in said
    ids = {alias: story.instance(alias)["InstanceId"] for alias in REPLACED}
    client_file = story.laptop.folder("demo") / "client.json"
    home, client = story.on("master", LIST_HOME, user="iptest"), client_file.read_bytes()
    ec2 = story.bodies.cloud.client("ec2")

    def states() -> dict[str, str]:
        found = ec2.describe_instances(InstanceIds=[*ids.values()])["Reservations"]
        by_id = {each["InstanceId"]: each["State"]["Name"] for group in found for each in group["Instances"]}
        return {alias: by_id[id_] for alias, id_ in ids.items()}

    story.bodies.cloud.clear_calls()
    wanted = {"master": "stopped", "node001": "terminated", "node003": "terminated"}
    poll(lambda: states() == wanted, "the workers have ended and the master has stopped", deadline_s=120)
    assert {call.action for call in story.bodies.cloud.calls} <= {"DescribeInstances"}, "no rights are needed"
    story.laptop.run("start", "--yes", "demo", timeout=400)
    assert story.engines() == dict.fromkeys(REPLACED, 1)
    assert story.instance("master")["InstanceId"] == ids["master"]
    assert story.on("master", LIST_HOME, user="iptest") == home
    assert client_file.read_bytes() == client


def test_terminate_leaves_nothing_in_the_account_but_the_image_which_goes_with_its_snapshot(story):
    said = story.laptop.run("terminate", "--yes", "demo", timeout=300)
    assert "demo is gone" in said.stdout
    story.laptop.run("removekey", "--yes", "mykey")
    assert story.bodies.cloud.left() == []
    assert not story.laptop.folder("demo").exists()
    ec2 = story.bodies.cloud.client("ec2")
    (baked,) = ec2.describe_images(Owners=["self"])["Images"]
    assert baked["ImageId"] == story.image
    snapshot = baked["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    assert snapshot in snapshots(ec2)
    story.laptop.run("image", "remove", "--yes", story.image)
    assert ec2.describe_images(Owners=["self"])["Images"] == []
    assert snapshot not in snapshots(ec2)
    assert story.bodies.cloud.left() == []
