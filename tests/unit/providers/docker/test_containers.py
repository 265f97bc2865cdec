"""What a container is made of: ports, limits, keys and addresses, without an engine."""

from __future__ import annotations

import io
import socket
import tarfile
from pathlib import Path

import pytest

from clusterctl.errors import ProviderError
from clusterctl.providers.docker import containers, networks, ports, transaction
from clusterctl.providers.docker.images import build_context
from clusterctl.secret import Secret


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

    def test_gpus_are_asked_for_where_engine_and_driver_have_them(self, monkeypatch, tmp_path):
        assert containers.gpu_requests(False) == {}
        (request,) = containers.gpu_requests(True)["device_requests"]
        assert (request["Count"], request["Capabilities"]) == (-1, [["gpu"]])
        toolkit = {"Runtimes": {"runc": {}, "nvidia": {}}}
        monkeypatch.setattr(containers, "_NVIDIA", tmp_path / "nvidiactl")
        assert not containers.has_gpus(toolkit)
        (tmp_path / "nvidiactl").touch()
        assert containers.has_gpus(toolkit)
        assert not containers.has_gpus({"Runtimes": {"runc": {}}})
        assert not containers.has_gpus({})

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
            Path(__file__).parents[4] / "ami" / "docker", [tmp_path / "a" / "ca.pem", tmp_path / "b" / "ca.pem"]
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
