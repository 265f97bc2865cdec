"""Getting onto machines that are not ours: OpenSSH's own server, host keys, keys and agents."""

from __future__ import annotations

import getpass
import subprocess
from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from clusterctl.errors import RemoteError
from clusterctl.identity.keys import ensure_key_pair
from clusterctl.model import Access
from clusterctl.testing import fake_node

from ..support.openssh import HOST, locked_key
from ..support.two_laptops import TwoLaptops, check_one_owner_at_a_time

pytestmark = pytest.mark.e2e


class TestKeys:
    def test_the_clusters_own_key_is_offered_where_nothing_else_is_said(self, host, login):
        node = host.node()
        login.pin(node)
        host.allow(login.public_key)
        assert login.to(node).run("echo hi").stdout == "hi\n"

    def test_a_key_file_takes_its_place(self, host, login, tmp_path):
        host.allow(ensure_key_pair(tmp_path / "mine"))
        node = host.node(access=Access(key=str(tmp_path / "mine")))
        login.pin(node)
        assert login.to(node).run("echo hi").stdout == "hi\n"
        said = login.refusal(host.node(facets=HOST))
        assert f"master: {getpass.getuser()} is not let in at 127.0.0.1:{host.port}: 1 key tried" in said
        assert "authorized_keys" in said

    def test_the_agents_keys_are_offered(self, host, login, tmp_path, agent):
        for name in ("other", "mine"):
            ensure_key_pair(tmp_path / name)
        agent(tmp_path / "other", tmp_path / "mine")
        host.allow((tmp_path / "mine.pub").read_text())
        node = host.node(access=Access(agent=True))
        login.pin(node)
        assert login.to(node).run("echo hi").stdout == "hi\n"
        assert "2 keys tried" not in login.refusal(host.node(facets=HOST))  # not where it is not wanted

    @pytest.mark.parametrize("kind", ["ed25519", "ecdsa", pytest.param("rsa", marks=pytest.mark.slow)])
    def test_the_keys_of_the_users_folder_are_offered(self, host, login, home, kind):
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", home / f"id_{kind}"], check=True)
        host.allow((home / f"id_{kind}.pub").read_text())
        node = host.node(access=Access(agent=True))
        login.pin(node)
        assert login.to(node).run("echo hi").stdout == "hi\n"

    def test_one_with_a_passphrase_is_the_agents_business(self, host, login, tmp_path, agent):
        host.allow(locked_key(tmp_path / "mine", agent))
        node = host.node(access=Access(key=str(tmp_path / "mine")))
        login.pin(node)
        assert login.to(node).run("echo hi").stdout == "hi\n"

    def test_and_without_an_agent_that_holds_it_the_error_says_so(self, host, login, tmp_path):
        host.allow(locked_key(tmp_path / "mine"))
        node = host.node(access=Access(key=str(tmp_path / "mine")))
        login.pin(node)
        said = login.refusal(node)
        assert f"the key {tmp_path}/mine has a passphrase, and no ssh agent holds it" in said
        assert f"ssh-add {tmp_path}/mine" in said

    def test_in_the_users_folder_it_is_passed_over(self, host, login, home):
        locked_key(home / "id_ed25519")
        subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", home / "id_ecdsa"], check=True)
        host.allow((home / "id_ecdsa.pub").read_text())
        node = host.node(access=Access(agent=True))
        login.pin(node)
        login.to(node).connect()

    @pytest.mark.parametrize("text", [None, "no key at all"])
    def test_a_file_that_is_no_key_is_named(self, host, login, tmp_path, text):
        if text:
            (tmp_path / "mine").write_text(text)
        node = host.node(access=Access(key=str(tmp_path / "mine")))
        login.pin(node)
        said = login.refusal(node)
        assert f"the key {tmp_path}/mine cannot be used" in said
        assert "KEY_LOCATION" in said

    def test_more_keys_than_the_server_wants_to_see(self, host, login, tmp_path, agent):
        for number in range(8):
            ensure_key_pair(tmp_path / f"key{number}")
        agent(*(tmp_path / f"key{number}" for number in range(8)))
        host.allow()
        node = host.node(access=Access(agent=True), facets=HOST)
        login.pin(node)
        assert "name one with KEY_LOCATION" in login.refusal(node)

    def test_a_machine_that_may_still_be_on_its_way_is_asked_again(self, host, login):
        host.allow()
        node = host.node()
        login.pin(node)
        assert "is not let in" in login.refusal(node, RemoteError)


class TestHostKeys:
    @pytest.mark.parametrize("kind", ["ecdsa", pytest.param("rsa", marks=pytest.mark.slow)])  # seconds make a key
    def test_any_usual_type_can_be_pinned(self, sshds, login, kind):
        server = sshds.start(key_type=kind)
        server.allow(login.public_key)
        login.pin(server.node())
        assert login.to(server.node()).run("echo hi").stdout == "hi\n"

    def test_one_that_was_never_pinned_is_refused(self, host, login):
        host.allow(login.public_key)
        login.pin()
        assert "not found in known_hosts" in login.refusal(host.node(), RemoteError)

    def test_another_one_is_refused_and_of_a_host_that_is_final(self, host, login, tmp_path):
        host.allow(login.public_key)
        login.pin(host.node(host_key=ensure_key_pair(tmp_path / "another")))
        said = login.refusal(host.node(facets=HOST))
        assert "shows another host key than the one that was pinned" in said
        assert "HOST_KEY" in said
        assert "shows another host key" in login.refusal(host.node(), RemoteError)


@pytest.mark.slow
def test_two_laptops_change_one_machine_one_after_the_other(host, login, tmp_path):
    node = host.node(layout=replace(fake_node().layout, run=PurePosixPath(tmp_path / "run")))
    login.pin(node)
    host.allow(login.public_key)
    files = {"key": tmp_path / "id", "known_hosts": tmp_path / "pinned", "log": tmp_path / "log"}
    check_one_owner_at_a_time(TwoLaptops(node, files, tmp_path))
