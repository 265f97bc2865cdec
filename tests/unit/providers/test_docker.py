"""Containers as nodes: what can be said without an engine, and the promises on a real one."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import socket
import tarfile
import threading
import time
from dataclasses import replace
from pathlib import Path, PurePosixPath

import paramiko
import pytest

from clusterctl.errors import ProviderError
from clusterctl.identity.keys import new_key_pair
from clusterctl.model import Facet, NodeState, Volume
from clusterctl.providers.base import BaseImages, Images, ImageSource, Power
from clusterctl.providers.docker import (
    DockerProvider,
    checks,
    containers,
    engine,
    networks,
    ports,
    records,
    transaction,
)
from clusterctl.providers.docker.images import NODE_IMAGE, build_context
from clusterctl.providers.docker.records import Container, Record
from clusterctl.secret import Secret

from ...support.docker_engine import things_of
from ...support.provider_contract import ProviderContract, ids, plan_for

DEADLINE_S = 60
RECORD = Record(
    owner="me",
    cluster="lab",
    alias="node001",
    user="ann",
    host_key="ssh-ed25519 AAAA",
    port=12345,
    address="172.18.0.3",
    cores=2,
    image="clusterctl-node:latest",
)


def inspected(status="running", record=RECORD, **changes):
    """As much of an engine's answer as is read."""
    return {
        "Id": "0123456789abcdef",
        "State": {"Status": status, "StartedAt": "2026-01-01T00:00:00.5Z"},
        "Mounts": [{"Destination": "/home"}, {"Destination": "/data"}],
        "Config": {"Labels": {**record.to_labels(), "somebody": "else"}},
        **changes,
    }


def volume(name="data", path="/data", **fields):
    return Volume(name, PurePosixPath(path), **fields)


class TestRecords:
    def test_what_is_known_of_a_node_survives_as_labels_and_holds_no_secret(self):
        labels = RECORD.to_labels()
        assert Record.from_labels(labels) == RECORD
        assert all(key.startswith("clusterctl.") for key in labels)
        assert set(records.blank_labels()) == set(labels)

    def test_a_node_is_reached_on_this_computers_loopback_and_by_others_on_its_own_network(self):
        node = records.parse_container(inspected()).to_node()
        assert (node.alias, node.cluster, node.user, node.address, node.port) == (
            "node001",
            "lab",
            "root",
            "127.0.0.1",
            12345,
        )
        assert node.private_address == "172.18.0.3"
        assert node.layout.home == PurePosixPath("/home/ann")
        assert node.facets == {Facet.MACHINE, Facet.SHARED_HOME, Facet.SHARED_CACHE}
        assert node.cores == 2

    def test_each_boot_has_an_id_of_its_own(self):
        later = {"State": {"Status": "running", "StartedAt": "2026-01-01T00:09:00Z"}}
        assert (
            records.parse_container(inspected()).to_node().id
            != records.parse_container(inspected(**later)).to_node().id
        )

    @pytest.mark.parametrize(
        ("status", "state"),
        [
            ("running", NodeState.RUNNING),
            ("restarting", NodeState.PENDING),
            ("exited", NodeState.STOPPED),
            ("paused", NodeState.STOPPED),
            ("created", NodeState.STOPPED),
            ("removing", NodeState.GONE),
            ("dead", NodeState.GONE),
        ],
    )
    def test_states_are_those_of_every_provider(self, status, state):
        container = records.parse_container(inspected(status))
        assert container.to_node().state == state
        assert container.is_running == (status in {"running", "restarting"})

    def test_the_master_comes_first_in_each_cluster(self):
        found = [
            Container("1", "running", "", frozenset(), replace(RECORD, cluster=cluster, alias=alias))
            for cluster, alias in [("two", "master"), ("one", "alpha"), ("one", "master")]
        ]
        assert [(c.record.cluster, c.record.alias) for c in records.sort_containers(found)] == [
            ("one", "master"),
            ("one", "alpha"),
            ("two", "master"),
        ]


class TestWhereTheEngineIs:
    @pytest.fixture
    def context(self, tmp_path):
        folder = tmp_path / ".docker"
        meta = folder / "contexts" / "meta" / hashlib.sha256(b"desktop").hexdigest()
        meta.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps({"currentContext": "desktop"}))
        (meta / "meta.json").write_text(json.dumps({"Endpoints": {"docker": {"Host": "unix:///of/desktop.sock"}}}))
        return {"HOME": str(tmp_path)}

    def test_the_environment_comes_before_the_context_in_use(self, context):
        assert engine.engine_address(context) == "unix:///of/desktop.sock"
        assert engine.engine_address({**context, "DOCKER_HOST": "unix:///named.sock"}) == "unix:///named.sock"

    def test_a_context_that_is_default_or_unreadable_is_none(self, context, tmp_path):
        assert engine.engine_address({**context, "DOCKER_CONTEXT": "default"}).startswith("unix:///var/run/")
        assert engine.engine_address({**context, "DOCKER_CONTEXT": "gone"}).startswith("unix:///var/run/")
        (tmp_path / ".docker" / "config.json").write_text("no json")
        assert engine.engine_address(context).startswith("unix:///var/run/")

    @pytest.mark.parametrize("where", ["tcp://192.0.2.1:2375", "ssh://me@elsewhere", "tcp://elsewhere:2376"])
    def test_one_on_another_computer_is_refused(self, where):
        provider = DockerProvider({"DOCKER_HOST": where}, owner="me")
        (problem,) = provider.check(plan_for("master"))
        assert "is not on this computer" in problem.message
        assert "DOCKER_HOST" in problem.remedy
        with pytest.raises(ProviderError, match="not on this computer"):
            provider.nodes()

    @pytest.mark.parametrize(
        ("platform", "words"), [("linux", "apt-get install docker.io"), ("darwin", "install Docker Desktop")]
    )
    def test_without_one_the_error_says_how_to_get_one_and_that_local_needs_none(
        self, platform, words, tmp_path, monkeypatch
    ):
        monkeypatch.setattr(engine.sys, "platform", platform)
        provider = DockerProvider({"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}, owner="me")
        (problem,) = provider.check(plan_for("master"))
        assert f"there is no Docker engine here: no {tmp_path}/none.sock" in problem.message
        assert words in problem.remedy
        assert "PROVIDER = local needs no Docker" in problem.remedy
        for ask in (
            provider.nodes,
            lambda: provider.destroy("lab"),
            lambda: provider.stop("lab"),
            provider.list_images,
        ):
            with pytest.raises(ProviderError, match="there is no Docker engine here"):
                ask()

    def test_a_socket_that_is_closed_to_the_user_names_the_group(self, tmp_path, monkeypatch, allow_loopback):
        path = tmp_path / "closed.sock"
        path.touch()

        def closed(*_):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(engine.socket.socket, "connect", closed)
        (problem,) = DockerProvider({"DOCKER_HOST": f"unix://{path}"}, owner="me").check(plan_for("master"))
        assert f"{path} is closed to you" in problem.message
        assert "usermod -aG docker" in problem.remedy
        assert "local" in problem.remedy

    def test_one_that_has_ended_is_to_be_started(self, tmp_path, allow_loopback):
        path = tmp_path / "docker.sock"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
        (problem,) = DockerProvider({"DOCKER_HOST": f"unix://{path}"}, owner="me").check(plan_for("master"))
        assert "does not answer" in problem.message
        assert problem.remedy.startswith("start it: ")


class TestPorts:
    def test_each_is_given_once_and_those_of_stopped_nodes_never(self):
        everything = ports.PortAllocator(set(range(10000, 32768)) - {10100}, lambda port: True)
        assert everything.allocate_port() == 10100
        with pytest.raises(ProviderError, match="no port from 10000 to"):
            everything.allocate_port()

    def test_one_that_somebody_listens_on_is_left_alone(self, allow_loopback):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            assert not ports._is_unused(listener.getsockname()[1])

    @pytest.mark.parametrize(
        ("ephemeral", "highest"), [("32768\t60999", 32767), ("20000 60999", 19999), ("", 32767), ("1024 65535", 10200)]
    )
    def test_they_are_below_those_that_the_system_gives_to_anybody(self, ephemeral, highest):
        assert ports.highest_port(ephemeral) == highest

    def test_a_conflict_is_told_from_other_troubles(self):
        assert ports.is_port_conflict("driver failed: Bind for 127.0.0.1:12345 failed: port is already allocated")
        assert not ports.is_port_conflict("no space left on device")


class TestWhatIsMade:
    def test_limits_are_only_those_asked_for_and_there_is_no_swap_beyond_them(self):
        assert containers.resource_limits(None, None) == {}
        assert containers.resource_limits(1.5, 2) == {
            "nano_cpus": 1_500_000_000,
            "mem_limit": 2_000_000_000,
            "memswap_limit": 2_000_000_000,
        }

    def test_the_keys_of_a_node_are_for_root_alone(self):
        packed = containers.identity_archive(Secret("PRIVATE"), "ssh-ed25519 HOST", "ssh-ed25519 CLUSTER")
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            found = {member.name: (member.mode, member.uid) for member in tar}
            assert found == {
                "etc/ssh/ssh_host_ed25519_key": (0o600, 0),
                "etc/ssh/ssh_host_ed25519_key.pub": (0o644, 0),
                "root/.ssh": (0o700, 0),
                "root/.ssh/authorized_keys": (0o600, 0),
            }
            assert tar.extractfile("etc/ssh/ssh_host_ed25519_key").read() == b"PRIVATE"

    def test_addresses_are_the_lowest_that_nobody_has(self):
        network = networks.Network("n", "172.18.0.0/29", "172.18.0.1", {"172.18.0.3"})
        assert [network.allocate_address() for _ in range(4)] == [f"172.18.0.{host}" for host in (2, 4, 5, 6)]
        with pytest.raises(ProviderError, match="is full"):
            network.allocate_address()

    def test_the_context_of_a_build_has_our_files_and_the_users_certificates(self, tmp_path):
        for folder in ("a", "b"):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "ca.pem").write_text(folder)
        context = build_context(
            Path(__file__).parents[3] / "ami" / "docker", [tmp_path / "a" / "ca.pem", tmp_path / "b" / "ca.pem"]
        )
        with tarfile.open(fileobj=io.BytesIO(context)) as tar:
            names = tar.getnames()
            assert {"Dockerfile", "entry.sh", "sshd.conf", "limits.conf", "certificates/README"} <= set(names)
            assert tar.extractfile("certificates/01-ca.crt").read() == b"b"

    def test_every_failure_of_many_is_told(self):
        def fail(name):
            if name != "well":
                raise ProviderError(f"{name} failed", remedy="do something")

        with pytest.raises(ProviderError, match="one failed\ntwo failed"):
            transaction.run_parallel(fail, ["one", "well", "two"])
        assert sorted(transaction.collect_failures(fail, ["one", "well", "two"])) == ["one failed", "two failed"]
        with pytest.raises(KeyError):
            transaction.run_parallel({}.__getitem__, ["a fault is not hidden"])


class TestChecks:
    def test_a_good_plan_has_no_problem(self):
        plan = replace(plan_for("master"), volumes=(volume(id="data"),))
        assert checks.check_plan(plan) + checks.check_limits(plan, 2) + checks.check_mounts(plan, []) == []

    def test_a_disk_a_taken_path_and_a_bad_name_are_all_told(self):
        plan = replace(
            plan_for("master", cluster="no name"),
            volumes=(volume(device="/dev/sdb"), volume("home", "/home", id="x")),
        )
        told = " ".join(problem.message for problem in checks.check_plan(plan))
        assert "'no name' cannot be in the name of a container" in told
        assert "a container cannot mount a disk (/dev/sdb)" in told
        assert "/home of a node is taken" in told

    def test_more_processors_than_there_are_and_too_little_memory_are_told_once(self):
        plan = plan_for("master", "node001")
        plan = replace(plan, nodes=tuple(replace(spec, vcpus=8, memory_gb=0.01) for spec in plan.nodes))
        assert [problem.message for problem in checks.check_limits(plan, 4)] == [
            "a node shall have 8 processors, and the Docker engine has 4",
            "a node cannot work with 0.01 GB of memory",
        ]

    def test_a_volume_that_nodes_began_without_is_told(self):
        there = [records.parse_container(inspected())]
        plan = plan_for("node001", "node002")
        assert checks.check_mounts(replace(plan, volumes=(volume(id="data"),)), there) == []
        (problem,) = checks.check_mounts(replace(plan, volumes=(volume("more", "/more", id="more"),)), there)
        assert "node001 of lab began without the volume more" in problem.message


def connect(node, key, host_key=None):
    """A session, as soon as the node answers."""
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    kind, body = (host_key or node.host_key).split()[:2]
    pinned = paramiko.PKey.from_type_string(kind, base64.b64decode(body))
    client.get_host_keys().add(f"[{node.address}]:{node.port}", kind, pinned)
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            client.connect(
                node.address, node.port, node.user, pkey=key, timeout=10, look_for_keys=False, allow_agent=False
            )
        except (paramiko.SSHException, OSError, EOFError) as exc:
            client.close()
            known = isinstance(exc, (paramiko.BadHostKeyException, paramiko.AuthenticationException))
            if known or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return client


def run(node, key, command):
    """The output of a command that succeeds."""
    client = connect(node, key)
    try:
        _, out, err = client.exec_command(command, timeout=DEADLINE_S)
        said = out.read().decode()
        assert out.channel.recv_exit_status() == 0, said + err.read().decode()
        return said
    finally:
        client.close()


@pytest.fixture(scope="module")
def key_pair():
    return new_key_pair("tests")


@pytest.fixture
def key(key_pair, tmp_path):
    path = tmp_path / "id"
    path.write_text(key_pair[0].reveal())
    return paramiko.Ed25519Key.from_private_key_file(path)


@pytest.fixture
def provider(docker_provider):
    return docker_provider


@pytest.fixture
def ended_by_itself(docker_api):
    """Whether a stopped node's main process let its services end and left; an engine that waits in vain kills it."""
    return lambda node: docker_api.inspect_container(node.id.split("@")[0])["State"]["ExitCode"] == 0


@pytest.fixture
def make(provider, key_pair):
    def make(*aliases, **changes):
        plan = plan_for(*aliases, provider="docker")
        fields = {name: changes.pop(name) for name in ("vcpus", "memory_gb") if name in changes}
        nodes = tuple(replace(spec, **fields) for spec in plan.nodes)
        return provider.create(replace(plan, nodes=nodes, user="me", **changes), public_key=key_pair[1])

    return make


@pytest.mark.docker
@pytest.mark.timeout(600)  # the image is made by whoever needs it first
class TestPromises(ProviderContract):
    """Of every provider, here of this one."""

    def test_it_can_do_all_that_there_is(self, provider):
        assert isinstance(provider, Power)
        assert isinstance(provider, Images)
        assert isinstance(provider, BaseImages)


@pytest.mark.docker
@pytest.mark.timeout(600)  # the image is made by whoever needs it first
class TestNodes:
    def test_the_clusters_key_logs_in_as_root_and_members_reach_each_other_by_name(self, make, key):
        master, worker = make("master", "node001")
        assert run(master, key, "hostname; id -u; ulimit -n").split()[:2] == ["master", "0"]
        assert worker.private_address in run(master, key, "getent hosts node001")
        assert "SSH-2.0" in run(
            master,
            key,
            f"python3 -c \"import socket; s=socket.create_connection(('{worker.private_address}', 22));"
            ' print(s.recv(20))"',
        )

    def test_another_key_a_password_and_another_host_key_are_refused(self, make, key, tmp_path):
        master, worker = make("master", "node001")
        (tmp_path / "other").write_text(new_key_pair("")[0].reveal())
        other = paramiko.Ed25519Key.from_private_key_file(tmp_path / "other")
        with pytest.raises(paramiko.AuthenticationException):
            connect(master, other)
        assert master.host_key != worker.host_key
        with pytest.raises(paramiko.BadHostKeyException):
            connect(master, key, host_key=worker.host_key)
        client = paramiko.Transport((master.address, master.port))
        client.start_client(timeout=DEADLINE_S)
        with pytest.raises(paramiko.BadAuthenticationType) as refused:
            client.auth_password("root", "secret")
        client.close()
        assert refused.value.allowed_types == ["publickey"]

    def test_secrets_are_in_files_for_root_and_nowhere_that_the_engine_tells(self, make, key, key_pair, docker_api):
        (master,) = make("master")
        private = run(master, key, "stat -c %a /etc/ssh/ssh_host_ed25519_key; cat /etc/ssh/ssh_host_ed25519_key")
        assert private.startswith("600\n-----BEGIN OPENSSH PRIVATE KEY-----")
        told = json.dumps(docker_api.inspect_container(master.id.split("@")[0]))
        assert "PRIVATE KEY" not in told
        assert private.splitlines()[2] not in told
        assert run(master, key, "ls /etc/ssh/ | grep -c '^ssh_host_.*_key$'").strip() == "1"

    def test_a_stop_and_start_keeps_address_port_key_and_files_and_is_another_boot(self, make, provider, key):
        before = make("master", "node001")
        run(before[0], key, "touch /root/mine /home/ours; echo x >/run/gone")
        provider.stop("lab")
        after = make("master", "node001")
        for old, new in zip(before, after, strict=True):
            assert (old.address, old.port, old.private_address, old.host_key) == (
                new.address,
                new.port,
                new.private_address,
                new.host_key,
            )
            assert old.id != new.id
            assert new.private_address in run(new, key, "ip -4 addr show eth0")
        assert run(after[0], key, "ls /root/mine /home/ours; ls /run").split()[:2] == ["/home/ours", "/root/mine"]
        assert "gone" not in run(after[0], key, "ls /run")
        assert run(after[1], key, "ls /home").split() == ["ours"]

    def test_the_master_is_stopped_last_so_that_it_hears_the_others_say_goodbye(self, make, provider, docker_api):
        make("master", "node001")
        provider.stop("lab")
        only = {"label": f"clusterctl.owner={provider._owner}"}
        ended = {}
        for known in docker_api.containers(all=True, filters=only):
            found = docker_api.inspect_container(known["Id"])
            ended[known["Labels"]["clusterctl.alias"]] = found["State"]["FinishedAt"]
            assert found["State"]["ExitCode"] == 0, "it ended by itself"
        assert ended["node001"] < ended["master"]

    def test_one_node_that_comes_back_leaves_the_running_ones_alone(self, make, docker_api):
        before = ids(make("master", "node001"))
        docker_api.stop(before["node001"].split("@")[0], timeout=5)
        after = ids(make("master", "node001"))
        assert after["master"] == before["master"]
        assert after["node001"] != before["node001"]

    def test_a_node_that_is_paused_runs_again(self, make, docker_api):
        (node,) = make("master")
        docker_api.pause(node.id.split("@")[0])
        assert make("master")[0].state == NodeState.RUNNING

    def test_a_container_that_never_began_is_made_anew(self, make, provider, docker_api, key):
        (node,) = make("master")
        config = docker_api.inspect_container(node.id.split("@")[0])["Config"]
        labels = {**config["Labels"], "clusterctl.alias": "node001", "clusterctl.port": "1"}
        docker_api.create_container(config["Image"], labels=labels)
        worker = next(node for node in make("master", "node001") if node.alias == "node001")
        assert worker.port != 1
        assert run(worker, key, "hostname").strip() == "node001"

    def test_cores_are_a_fair_share_unless_said_and_limits_are_kept(self, make, provider, docker_api, key):
        total = docker_api.info()["NCPU"]
        assert [node.cores for node in make("master", "node001", "node002")] == [max(1, total // 3)] * 3
        provider.destroy("lab")
        (node,) = make("master", vcpus=1.5, memory_gb=0.5)
        assert node.cores == 1
        host = docker_api.inspect_container(node.id.split("@")[0])["HostConfig"]
        assert (host["NanoCpus"], host["Memory"], host["MemorySwap"]) == (1_500_000_000, 500_000_000, 500_000_000)
        assert host["PidsLimit"] == 16384
        assert not host["Privileged"]
        assert "MKNOD" in " ".join(host["CapDrop"])
        assert list(host["PortBindings"].values()) == [[{"HostIp": "127.0.0.1", "HostPort": str(node.port)}]]
        assert run(node, key, "ps -o comm= -p 1").strip() in {"docker-init", "tini"}
        assert run(node, key, "runuser -u nobody -- id -un && sudo -n id -un").split() == ["nobody", "root"]

    def test_a_port_taken_while_it_was_off_is_named(self, make, provider):
        (node,) = make("master")
        provider.stop("lab")
        with socket.socket() as thief:
            thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            thief.bind(("127.0.0.1", node.port))
            thief.listen()
            with pytest.raises(ProviderError, match=f"another program has taken 127.0.0.1:{node.port}"):
                make("master")
        assert make("master")[0].port == node.port

    def test_a_port_that_is_taken_between_choice_and_start_costs_another_try(self, make, monkeypatch):
        with socket.socket() as thief:
            thief.bind(("127.0.0.1", 0))
            thief.listen()
            taken = thief.getsockname()[1]
            choices = iter([taken])
            usual = ports.PortAllocator.allocate_port
            monkeypatch.setattr(ports.PortAllocator, "allocate_port", lambda self: next(choices, None) or usual(self))
            (node,) = make("master")
        assert node.port != taken

    def test_services_come_back_with_the_container_and_may_end_in_peace(self, make, key, docker_api, ended_by_itself):
        """With a stand-in for supervisord that says when it was started and told to end."""
        (node,) = make("master")
        run(
            node,
            key,
            "mkdir -p /opt/clusterctl/env/bin /var/lib/clusterctl/services && "
            "touch /var/lib/clusterctl/services/supervisord.conf && cat >/opt/clusterctl/env/bin/python <<'END'\n"
            "#!/bin/sh\n"
            'echo "began $*" >>/root/said\n'
            "(trap 'sleep 1; echo ended >>/root/said; exit' TERM; echo $$ >/dev/null; "
            "sh -c 'echo $PPID' >/run/clusterctl/supervisord.pid; while :; do sleep 0.1; done) >/dev/null 2>&1 &\n"
            "END\nchmod +x /opt/clusterctl/env/bin/python",
        )
        docker_api.restart(node.id.split("@")[0], timeout=20)
        assert "began -m supervisor.supervisord -c /var/lib/clusterctl/services" in run(node, key, "cat /root/said")
        docker_api.stop(node.id.split("@")[0], timeout=20)
        assert ended_by_itself(node)
        docker_api.start(node.id.split("@")[0])
        assert [line.split()[0] for line in run(node, key, "cat /root/said").splitlines()] == [
            "began",
            "ended",
            "began",
        ]

    def test_a_node_without_services_ends_by_itself(self, make, provider, key, ended_by_itself):
        (node,) = make("master")
        run(node, key, "true")
        provider.stop("lab")
        assert ended_by_itself(node)


@pytest.mark.docker
@pytest.mark.timeout(600)  # the image is made by whoever needs it first
class TestImages:
    def test_an_image_that_is_not_there_or_not_ours_is_refused_with_what_makes_it(self, docker_image, docker_api):
        usual = DockerProvider(os.environ, owner="test", image="clusterctl-node-test:none")
        (problem,) = usual.check(plan_for("master"))
        assert problem.remedy == "make it: `clusterctl image build`"
        foreign = bare_image(docker_api)
        try:
            plan = plan_for("master")
            plan = replace(plan, nodes=(replace(plan.nodes[0], image=foreign),))
            (problem,) = DockerProvider(os.environ, owner="test", image=docker_image).check(plan)
        finally:
            docker_api.remove_image(foreign)
        assert "was not made for nodes" in problem.message
        assert f"image build --base {foreign}" in problem.remedy

    def test_an_image_is_baked_found_and_has_nothing_of_its_builder(
        self, make, provider, key, docker_api, docker_image
    ):
        (builder,) = make("master")
        run(builder, key, "echo baked >/opt/mark")
        assert provider.find_image("", "0123abcd") == ""
        name = provider.save_image("lab", "", "0123abcd")
        try:
            assert name.startswith("clusterctl-baked:lab-")
            assert provider.find_image("", "0123abcd") == provider.find_image(docker_image, "0123abcd") == name
            assert provider.find_image("", "other") == ""
            (image,) = [image for image in provider.list_images() if image.name == name]
            assert image.content == "0123abcd"
            assert image.size_gb > 0
            provider.destroy("lab")
            assert provider.nodes() == []
            plan = plan_for("master")
            plan = replace(plan, nodes=(replace(plan.nodes[0], image=name),))
            assert provider.check(plan) == []
            labels = docker_api.inspect_image(name)["Config"]["Labels"]
            assert builder.host_key not in labels.values()
            (node,) = provider.create(plan, public_key=f"ssh-ed25519 {key.get_base64()}")
            assert run(node, key, "cat /opt/mark").strip() == "baked"
            provider.destroy("lab")
        finally:
            provider.remove_image(name)
        provider.remove_image(name)
        assert provider.find_image("", "0123abcd") == ""

    def test_only_baked_images_are_removed(self, provider, docker_image):
        with pytest.raises(ProviderError, match="is no baked image"):
            provider.remove_image(docker_image)

    def test_building_again_leaves_no_image_without_a_name(self, provider, docker_api, docker_image, tmp_path):
        built = []
        for content in ("a", "b"):
            (tmp_path / "ca.crt").write_text(content)
            source = ImageSource(base=docker_image, certificates=(tmp_path / "ca.crt",), name="clusterctl-test-again")
            assert provider.build_image(source, lambda _: None) == "clusterctl-test-again"
            built.append(docker_api.inspect_image("clusterctl-test-again")["Id"])
        docker_api.remove_image("clusterctl-test-again")
        assert len({*built}) == 2
        # Not all that have no name: other tests build images meanwhile.
        assert not {*built} & {image["Id"] for image in docker_api.images(all=True)}

    def test_a_build_that_fails_says_why(self, provider):
        said = []
        with pytest.raises(ProviderError, match="could not") as caught:
            provider.build_image(
                ImageSource(base="clusterctl.invalid/none:1", name="clusterctl-test-never"), said.append
            )
        assert "--rootfs" in caught.value.remedy

    def test_a_file_that_is_no_root_file_system_is_refused(self, provider, tmp_path):
        (tmp_path / "x.tar").write_text("no tar")
        with pytest.raises(ProviderError, match=r"import"):
            provider.build_image(ImageSource(rootfs=tmp_path / "x.tar", name="clusterctl-test-never"), lambda _: None)


def bare_image(api) -> str:
    """An image with one empty file in it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("empty"))
    api.import_image_from_data(buffer.getvalue(), repository="clusterctl-test-bare", tag="latest")
    return "clusterctl-test-bare:latest"


@pytest.mark.docker
@pytest.mark.timeout(600)  # the image is made by whoever needs it first
class TestNothingIsLeft:
    def test_destroy_leaves_no_container_network_or_home_but_named_volumes_with_what_is_in_them(
        self, make, provider, docker_api, key
    ):
        name = f"{provider._owner}-data"
        try:
            master, worker = make("master", "node001", volumes=(volume(id=name),))
            run(master, key, "echo kept >/data/file")
            assert run(worker, key, "cat /data/file").strip() == "kept"
            assert len(things_of(docker_api, provider._owner)) == 4
            provider.destroy("lab")
            assert things_of(docker_api, provider._owner) == []
            (master,) = make("master", volumes=(volume(id=name),))
            assert run(master, key, "cat /data/file").strip() == "kept"
            provider.destroy("lab")
        finally:
            docker_api.remove_volume(name)

    def test_a_ctrl_c_during_create_leaves_nothing(self, make, provider, docker_api, monkeypatch):
        usual = containers.create_container
        count = threading.Semaphore(1)

        def interrupted(*arguments, **options):
            if not count.acquire(blocking=False):
                raise KeyboardInterrupt
            usual(*arguments, **options)

        monkeypatch.setattr(containers, "create_container", interrupted)
        name = f"{provider._owner}-data"
        with pytest.raises(KeyboardInterrupt):
            make("master", "node001", "node002", volumes=(volume(id=name),))
        assert things_of(docker_api, provider._owner) == []
        assert name not in [found["Name"] for found in docker_api.volumes()["Volumes"] or []]

    def test_a_create_that_is_refused_half_way_keeps_what_was_there_as_it_was(
        self, make, provider, docker_api, monkeypatch
    ):
        before = ids(make("master", "node001"))
        docker_api.stop(before["node001"].split("@")[0], timeout=5)
        things = sorted(things_of(docker_api, provider._owner))

        def refuse(*_arguments, **_options):
            raise ProviderError("no", remedy="none")

        monkeypatch.setattr(containers, "create_container", refuse)
        with pytest.raises(ProviderError, match="no"):
            make("master", "node001", "node002")
        now = {node.alias: node for node in provider.nodes("lab")}
        assert (now["master"].state, now["node001"].state) == (NodeState.RUNNING, NodeState.STOPPED)
        assert now["master"].id == before["master"]
        assert sorted(things_of(docker_api, provider._owner)) == things

    def test_what_cannot_be_removed_is_named_and_a_second_try_succeeds(
        self, make, provider, docker_api, docker_image, monkeypatch
    ):
        make("master")
        monkeypatch.setattr("clusterctl.providers.docker.provider._TRIES", 2)
        (network,) = docker_api.networks(filters={"label": f"clusterctl.owner={provider._owner}"})
        guest = docker_api.create_container(
            docker_image,
            ["sleep", "1000"],
            host_config=docker_api.create_host_config(network_mode=network["Id"]),
        )
        docker_api.start(guest["Id"])
        try:
            with pytest.raises(ProviderError, match=network["Name"]) as caught:
                provider.destroy("lab")
            assert "clusterctl terminate lab" in caught.value.remedy
        finally:
            docker_api.remove_container(guest["Id"], force=True)
        provider.destroy("lab")
        assert things_of(docker_api, provider._owner) == []

    def test_nodes_of_another_owner_are_not_seen(self, make, provider, docker_image):
        make("master")
        other = DockerProvider(os.environ, owner=f"{provider._owner}-other", image=docker_image)
        assert other.nodes() == []
        other.destroy("lab")
        assert len(provider.nodes()) == 1


def test_the_usual_image_has_a_name_that_is_said_in_the_docs():
    assert NODE_IMAGE in (Path(__file__).parents[3] / "docs/howto/docker.md").read_text(encoding="utf-8")
