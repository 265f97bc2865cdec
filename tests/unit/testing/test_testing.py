"""The fakes keep the promises of what they stand for."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from clusterctl.errors import OwnerError, ProviderError, RemoteError
from clusterctl.providers.base import Power
from clusterctl.remote.base import Result
from clusterctl.remote.ssh import SSHRemote
from clusterctl.testing import FakeConnector, FakeProvider, FakeRemote, fake_cluster, fake_node

from ...support.provider_contract import ProviderContract, plan_for


class TestFakeProvider(ProviderContract):
    """Every promise of a provider."""

    @pytest.fixture
    def provider(self):
        return FakeProvider()

    def test_it_has_power(self, provider):
        assert isinstance(provider, Power)

    def test_it_can_be_told_to_refuse(self, provider):
        provider.refusal = ProviderError("no", remedy="yes")
        with pytest.raises(ProviderError):
            provider.create(plan_for("master"), public_key="")
        assert provider.nodes() == []
        assert provider.create(plan_for("master"), public_key="")


class TestFakeRemote:
    def test_it_has_all_that_the_real_one_has(self):
        def public(kind):
            return {name for name in dir(kind) if not name.startswith("_")}

        assert public(SSHRemote) <= public(FakeRemote(fake_node()))

    def test_answers_are_found_by_name_and_everything_is_remembered(self):
        remote = FakeRemote(fake_node(), {"mine: *": "one\ntwo\n", "fail": Result(3, "", "oh"), "f": lambda r: r.text})
        lines = []
        assert remote.run_script("text", name="mine: x", on_line=lines.append).stdout == "one\ntwo\n"
        assert lines == ["one", "two"]
        assert remote.run("f").stdout == "f"
        assert remote.run("anything", stdin="in") == Result(0, "", "")
        assert remote.run("fail", check=False).status == 3
        with pytest.raises(RemoteError) as caught:
            remote.run("fail")
        assert (caught.value.status, caught.value.node, caught.value.output) == (3, "master", "oh")
        assert [ran.name for ran in remote.ran] == ["mine: x", "f", "anything", "fail", "fail"]
        assert remote.ran[2].stdin == "in"
        assert remote.commands == 5

    def test_a_node_that_another_run_owns_takes_no_script_that_changes_it(self):
        connector = FakeConnector()
        connector.owners["master"] = "ada@laptop"
        remote = connector(fake_node())
        with pytest.raises(OwnerError, match="another clusterctl is at work there: ada@laptop"):
            remote.run_script("x", name="change")
        remote.run_script("x", name="question", reads=True)
        remote.run("x")
        assert [(ran.name, ran.owned) for ran in connector.ran] == [("question", False), ("x", False)]

    def test_an_answer_may_be_an_error(self):
        remote = FakeRemote(fake_node(), lambda ran: RemoteError("gone", remedy="x"))
        with pytest.raises(RemoteError, match="gone"):
            remote.run("x")

    def test_it_can_be_out_of_reach(self):
        remote = FakeRemote(fake_node())
        remote.refusals = 1
        with pytest.raises(RemoteError, match="does not answer"):
            remote.connect()
        remote.connect()
        remote.close()
        with pytest.raises(RemoteError, match="lost"):
            remote.run("x")

    def test_files_are_kept_by_the_node_not_by_the_connection(self, tmp_path):
        connector, path = FakeConnector(), tmp_path / "f"
        path.write_text("x")
        connector(fake_node()).put(path, PurePosixPath("/a/b"))
        remote = connector(fake_node())
        remote.get(PurePosixPath("/a/b"), tmp_path / "back")
        assert (tmp_path / "back").read_text() == "x"
        assert remote.shell("ls") == 0

    def test_a_started_command_answers_once_it_has_its_input(self):
        remote = FakeConnector({"cat": Result(3, "out", "err")})(fake_node())
        running = remote.start_command("cat")
        running.write(b"in")
        running.end_input()
        assert (running.read(2), running.read(), running.read(), running.read_errors()) == (b"ou", b"t", b"", b"err")
        assert running.wait() == 3
        assert remote.ran[-1].stdin == "in"


def test_a_cluster_for_a_plugins_tests(tmp_path):
    cluster = fake_cluster(tmp_path, nodes=2, answers={"hostname": "me"}, notes={"k": 1})
    assert [node.alias for node in cluster.nodes] == ["master", "node001"]
    assert cluster.on(cluster.master).run("hostname").stdout == "me"
    cluster.say("hello")
    assert cluster.said == ["hello"]
    assert [ran.name for ran in cluster.ran] == ["hostname"]
    assert cluster.recall("k") == 1
