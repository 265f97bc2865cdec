"""More users, as scripts. What they do is in tests/effects/test_users_effects.py."""

from __future__ import annotations

import base64

import pytest

from clusterctl.api import Facet, Machines, PluginError, Request
from clusterctl.plugin.loader import find_plugin_class, options_model
from clusterctl.testing import fake_cluster, fake_node

MACHINE = frozenset({Facet.MACHINE})


def users(**options):
    plugin = find_plugin_class("users")
    return plugin(options_model(plugin)(**options))


def made(*names, key="KEY"):
    """What the script on the master says."""
    sent = base64.b64encode(key.encode()).decode()
    lines = (
        f"fact: user-{name} {11000 + number} {11000 + number}\nfact: key-{name} {sent}\n"
        for number, name in enumerate(names)
    )
    return {"users: make": "".join(lines)}


def lab(tmp_path, *, facets=MACHINE, **about):
    nodes = [fake_node(alias, facets=facets) for alias in ("master", "node001", "node002")]
    return fake_cluster(tmp_path, nodes=nodes, machines=Machines("me"), **about)


def test_their_homes_are_one_folder_that_all_nodes_share():
    assert users().clusterctl_request() == Request(shared=("/home/users",))
    assert users(homes="course").clusterctl_request() == Request(shared=("/home/course",))


def test_named_and_numbered_ones_are_made_each_once(tmp_path):
    names = ["anna", "user001", "user002"]
    cluster = lab(tmp_path, answers=made(*names))
    users(usernames="anna, user001", num_users=2).clusterctl_join(cluster, cluster.master)
    assert "\nanna \nuser001 \nuser002 \n" in cluster.ran[0].text
    assert cluster.remembered["users"] == {name: [f"{11000 + n}"] * 2 for n, name in enumerate(names)}


def test_workers_get_the_masters_numbers(tmp_path):
    cluster = lab(tmp_path, answers=made("anna"))
    plugin = users(usernames="anna")
    for node in cluster.nodes:
        plugin.clusterctl_join(cluster, node)
    assert [(ran.node, ran.sudo) for ran in cluster.ran] == [(node.alias, True) for node in cluster.nodes]
    assert all("\nanna 11000 11000\n" in ran.text for ran in cluster.ran[1:])


def test_a_laptop_that_forgot_them_asks_the_master_once(tmp_path):
    cluster = lab(tmp_path, answers={"for name in anna;*": "anna 11005 11006\n"})
    plugin = users(usernames="anna")
    for node in cluster.workers:
        plugin.clusterctl_join(cluster, node)
    assert [ran.node for ran in cluster.ran] == ["master", "node001", "node002"]
    assert "\nanna 11005 11006\n" in cluster.ran[-1].text


def test_private_keys_come_to_the_laptop_for_its_user_only_and_into_no_log(tmp_path):
    cluster = lab(tmp_path, answers=made("anna"))
    users(usernames="anna").clusterctl_join(cluster, cluster.master)
    file = tmp_path / "users" / "anna"
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("KEY", 0o600)
    assert file.parent.stat().st_mode & 0o077 == 0
    assert cluster.ran[0].secret
    assert cluster.said == [f"The keys of 1 user are in {tmp_path}/users"]
    again = lab(tmp_path, answers=made("anna"))
    users(usernames="anna").clusterctl_join(again, again.master)
    assert again.said == []


def test_or_elsewhere_or_not_at_all(tmp_path):
    cluster = lab(tmp_path, answers=made("anna"))
    users(usernames="anna", download_keys_dir=str(tmp_path / "mine")).clusterctl_join(cluster, cluster.master)
    assert (tmp_path / "mine" / "anna").exists()
    cluster = lab(tmp_path, answers=made("anna"))
    users(usernames="anna", download_keys="no").clusterctl_join(cluster, cluster.master)
    assert "base64" not in cluster.ran[0].text
    assert not (tmp_path / "users").exists()


@pytest.mark.parametrize("name", ["root", "me", "Anna", "a b", "-x", "a;b"])
def test_names_that_cannot_be_are_refused_before_anything_is_made(tmp_path, name):
    with pytest.raises(PluginError, match="cannot be further users"):
        users(usernames=name).clusterctl_prepare(lab(tmp_path))


def test_nobody_to_make_is_said(tmp_path):
    cluster = lab(tmp_path)
    with pytest.raises(PluginError, match="there is no user to make") as caught:
        users().clusterctl_join(cluster, cluster.master)
    assert "NUM_USERS" in caught.value.remedy


def test_a_host_is_left_without_them_and_homes_stay_unless_told_otherwise(tmp_path):
    for keep in (True, False):
        cluster = lab(tmp_path, facets=MACHINE | {Facet.LASTING})
        users(usernames="anna", keep_homes=keep).clusterctl_undo(cluster, cluster.master)
        assert ("rm -rf --one-file-system" in cluster.ran[0].text) is not keep
