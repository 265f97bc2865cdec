"""Another laptop takes a cluster on EC2 over: by the right to the account, and a key that its nodes let in."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from clusterctl.config import loading
from clusterctl.errors import ProviderError, RemoteError, StateError, UsageError
from clusterctl.events import Reporter
from clusterctl.identity.keys import new_key_pair
from clusterctl.operations.context import RunContext
from clusterctl.operations.owning.attach import Rights, choose_nodes, take_over
from clusterctl.plugin.host import PluginHost
from clusterctl.providers.ec2.aws import Aws, AwsError
from clusterctl.testing import FakeConnector

from ....support.ec2_lab import plan_of

MASTER_KEY, WORKER_KEY = (" ".join(new_key_pair("")[1].split()[:2]) for _ in range(2))


def render(document, template):
    return f"[cluster {template}]\nPROVIDER = ec2\n", []


@pytest.fixture
def lost(lab, tmp_path):
    """A cluster of two whose laptop is gone, as another owner's laptop sees it; and what its master says."""
    made = lab.create(plan_of(2))
    shutil.rmtree(lab.home)
    other = replace(lab, home=tmp_path / "another laptop", owner="you@there")
    record = {"cluster": "lab", "id": made[0].cluster_id, "template": "c", "nodes": [], "config": {}, "locks": {}}
    worker = next(node for node in made if not node.is_master)

    def answer(call):
        if "ssh_known_hosts" in call.text:
            return f"node001,{worker.private_address} {WORKER_KEY}\n"
        return json.dumps(record) if call.text.startswith("cat ") else ""

    other.record, other.connector = record, FakeConnector(answer)
    return other


def context_of(lab):
    settings = loading.read_config(None, environ={}, find_plugin=lambda *_: None, overrides={"plugins": ""})
    folder = lab.journal("lab")
    shutil.rmtree(folder.path)
    report = Reporter(lab.events.append)
    return RunContext("lab", settings, lab.provider(), PluginHost(()), folder, lab.connector, report)


def test_its_nodes_show_their_own_host_keys_let_the_new_key_in_and_end_by_the_same_id(lost, tmp_path):
    context = context_of(lost)
    nodes = choose_nodes("lab", context.provider.nodes("lab"))
    assert {node.bootstrap_key for node in nodes} == {True}  # the tag has the throw-away key
    take_over(context, nodes, Rights(tmp_path / "mine", lambda node: MASTER_KEY), render)
    known = {node.alias: node for node in lost.provider().nodes("lab")}
    assert (known["master"].host_key, known["master"].bootstrap_key) == (MASTER_KEY, False)
    assert (known["node001"].host_key, known["node001"].bootstrap_key) == (WORKER_KEY, False)
    public = (context.folder.path / "id_ed25519.pub").read_text().strip()
    admitted = [ran for ran in lost.connector.ran if ran.name == "admit keys"]
    assert sorted(ran.node for ran in admitted) == ["master", "node001"]
    assert all(public in ran.text for ran in admitted)
    assert context.folder.cluster_id == lost.record["id"]
    lost.provider().destroy("lab")
    assert lost.cloud.left() == []


def test_where_nobody_compares_the_host_key_nobody_is_let_in(lost):
    context = context_of(lost)
    with pytest.raises(UsageError, match="let in no key of this computer"):
        take_over(context, context.provider.nodes("lab"), Rights(), render)
    assert not context.folder.path.exists()
    assert lost.connector.ran == []


@pytest.fixture
def pushed(monkeypatch):
    """The keys that the account was asked to let in for a moment: the user, and the instance."""
    usual, keys = Aws.call, []

    def call(aws, service, operation, **parameters):
        if service == "ec2-instance-connect":
            assert operation == "send_ssh_public_key"
            keys.append((parameters["InstanceOSUser"], parameters["InstanceId"], parameters["SSHPublicKey"]))
        return usual(aws, service, operation, **parameters)

    monkeypatch.setattr(Aws, "call", call)
    return keys


def test_without_a_shared_key_the_account_lets_this_computers_key_in_for_a_moment(lost, pushed):
    context = context_of(lost)
    nodes = {node.alias: node for node in context.provider.nodes("lab")}
    take_over(context, list(nodes.values()), Rights(None, lambda node: MASTER_KEY), render)
    public = " ".join((context.folder.path / "id_ed25519.pub").read_text().split()[:2])
    assert pushed == [("clusterctl", nodes[alias].machine_id, public) for alias in ("master", "node001")]
    logins = {remote.node.access.key for remote in lost.connector.remotes if remote.ran}
    assert str(context.folder.private_key_file) in logins
    admitted = [ran for ran in lost.connector.ran if ran.name == "admit keys"]
    assert sorted(ran.node for ran in admitted) == ["master", "node001"]
    lost.provider().destroy("lab")
    assert lost.cloud.left() == []


def test_a_master_whose_system_does_not_ask_the_account_says_what_helps(lost, pushed):
    def refuse(call):
        raise RemoteError("clusterctl is not let in at master", remedy="", node="master")

    lost.connector = FakeConnector(refuse)
    context = context_of(lost)
    with pytest.raises(StateError, match="lets none in that the account tells of") as caught:
        take_over(context, context.provider.nodes("lab"), Rights(None, lambda node: MASTER_KEY), render)
    assert "clusterctl share lab FILE.pub" in caught.value.remedy
    assert len(pushed) == 1
    assert not context.folder.path.exists()


def test_an_account_that_does_not_allow_it_says_what_helps(lost, monkeypatch):
    usual = Aws.call

    def call(aws, service, operation, **parameters):
        if service == "ec2-instance-connect":
            raise AwsError("AWS refused SendSSHPublicKey: not for you", remedy="ask", code="AccessDeniedException")
        return usual(aws, service, operation, **parameters)

    monkeypatch.setattr(Aws, "call", call)
    context = context_of(lost)
    with pytest.raises(ProviderError, match="no key was shared, and none is let in without: AWS refused") as caught:
        take_over(context, context.provider.nodes("lab"), Rights(None, lambda node: MASTER_KEY), render)
    assert "clusterctl share lab FILE.pub" in caught.value.remedy
    assert lost.connector.ran == []
    assert not context.folder.path.exists()


def test_a_master_that_claims_another_id_is_not_believed(lost, tmp_path):
    lost.record["id"] = "0" * 32
    context = context_of(lost)
    rights = Rights(tmp_path / "mine", lambda node: MASTER_KEY)
    with pytest.raises(StateError, match="and its provider says"):
        take_over(context, context.provider.nodes("lab"), rights, render)
    assert not context.folder.path.exists()
    assert len(lost.instances()) == 2


def test_a_host_key_that_the_user_does_not_confirm_ends_it_before_any_login(lost, tmp_path):
    def refuse(node):
        raise UsageError("not the same", remedy="ask")

    context = context_of(lost)
    with pytest.raises(UsageError, match="not the same"):
        take_over(context, context.provider.nodes("lab"), Rights(tmp_path / "mine", refuse), render)
    assert lost.connector.ran == []
    assert not context.folder.path.exists()
