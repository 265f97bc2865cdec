"""Containers as nodes: the promises, on a real engine."""

from __future__ import annotations

import json
import os
import signal
import socket

import paramiko
import pytest

from clusterctl.errors import ProviderError
from clusterctl.identity.keys import new_key_pair
from clusterctl.model import Facet, NodeState
from clusterctl.providers.base import Power
from clusterctl.providers.docker import ports
from clusterctl.providers.images import BaseImages, Images

from ....support.containers import DEADLINE_S, connect, run
from ....support.laptop import poll
from ....support.provider_contract import ProviderContract, ids


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
            assert found["State"]["ExitCode"] == 143, "it let its services end"
        assert ended["node001"] < ended["master"]

    def test_one_that_stops_itself_stays_off_and_one_that_breaks_comes_back(self, make, provider, docker_api):
        def state(alias):
            found = next(node for node in provider.nodes("lab") if node.alias == alias)
            return docker_api.inspect_container(found.machine_id)

        for node in make("master", "node001"):
            assert Facet.STOPS_ITSELF in node.facets
        os.kill(state("master")["State"]["Pid"], signal.SIGKILL)
        began = docker_api.exec_create(state("node001")["Id"], ["kill", "-USR1", "1"])["Id"]
        docker_api.exec_start(began)
        poll(lambda: state("node001")["State"]["Status"] == "exited", "it stops itself")
        assert state("node001")["State"]["ExitCode"] == 0, "no engine that begins anew starts it"
        poll(lambda: state("master")["RestartCount"] == 1 and state("master")["State"]["Running"], "it comes back")
        make("master", "node001")
        assert state("node001")["State"]["Running"]

    def test_what_was_stopped_does_not_come_back_with_its_engine(self, make, provider, docker_api):
        (node,) = make("master")
        policies = [docker_api.inspect_container(node.machine_id)["HostConfig"]["RestartPolicy"]["Name"]]
        provider.stop("lab")
        policies.append(docker_api.inspect_container(node.machine_id)["HostConfig"]["RestartPolicy"]["Name"])
        make("master")
        policies.append(docker_api.inspect_container(node.machine_id)["HostConfig"]["RestartPolicy"]["Name"])
        assert policies == ["on-failure", "no", "on-failure"]

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
