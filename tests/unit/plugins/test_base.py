"""What every machine needs, as scripts. What they do is in tests/effects/test_base_effects.py."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

import pytest

from clusterctl.api import Facet, Machines, PluginError, Request
from clusterctl.config import loading
from clusterctl.errors import ConfigError
from clusterctl.model import NodeState
from clusterctl.plugin.loader import find_plugin_class, options_model, why_not_needed
from clusterctl.testing import fake_cluster, fake_node

MACHINE = frozenset({Facet.MACHINE})
LASTING = frozenset({Facet.MACHINE, Facet.LASTING})
NUMBERS = {"base: machine": "fact: uid 10007\nfact: gid 10008\n", "id -u*": "4711 4712\n"}


def base(**options):
    plugin = find_plugin_class("base")
    return plugin(options_model(plugin)(**options))


def lab(tmp_path, aliases=("master", "node001", "node002"), *, facets=MACHINE, machines=None, **about):
    nodes = [
        fake_node(alias, facets=facets, private_address=f"10.0.0.{number}", user="admin")
        for number, alias in enumerate(aliases, start=1)
    ]
    return fake_cluster(
        tmp_path,
        nodes=nodes,
        machines=Machines(**{"user": "me", **(machines or {})}),
        answers=about.pop("answers", NUMBERS),
        **about,
    )


def join_all(plugin, cluster):
    for node in cluster.nodes:
        plugin.clusterctl_join(cluster, node)


def block(script, file):
    """What a script puts into a file."""
    into = rf"put_(?:block|file) {re.escape(file)} [^\n]*"
    return re.search(rf"(?:{into}<<'CLUSTERCTL_EOF'|<<'CLUSTERCTL_EOF' \| {into})\n(.*?)CLUSTERCTL_EOF", script, re.S)[
        1
    ]


def test_it_has_nothing_to_do_where_nodes_are_no_machines():
    assert why_not_needed(find_plugin_class("base"), frozenset()) == "these nodes are no machines of their own"
    assert why_not_needed(find_plugin_class("base"), MACHINE) == ""


def test_a_node_joins_in_one_root_script(tmp_path):
    cluster = lab(tmp_path)
    join_all(base(), cluster)
    assert [(ran.node, ran.name, ran.sudo) for ran in cluster.ran] == [
        (node.alias, "base: machine", True) for node in cluster.nodes
    ]


def test_all_members_have_their_addresses_and_keys_on_every_node(tmp_path):
    cluster = lab(tmp_path)
    base().clusterctl_join(cluster, cluster.master)
    assert block(cluster.ran[0].text, "/etc/hosts") == "10.0.0.1 master\n10.0.0.2 node001\n10.0.0.3 node002\n"
    keys = block(cluster.ran[0].text, "/etc/ssh/ssh_known_hosts")
    assert "node001,10.0.0.2 ssh-ed25519 AAAAnode001\n" in keys


def test_one_that_has_no_address_yet_is_left_out_until_it_has(tmp_path):
    cluster = lab(tmp_path)
    cluster.update_node(replace(cluster.node("node002"), private_address="", host_key=""))
    plugin = base()
    plugin.clusterctl_join(cluster, cluster.master)
    assert "node002" not in block(cluster.ran[0].text, "/etc/hosts")
    cluster.update_node(replace(cluster.node("node002"), private_address="10.0.0.3", host_key="ssh-ed25519 NEW"))
    plugin.clusterctl_members(cluster)
    told = next(ran for ran in cluster.ran if ran.name == "base: members" and ran.node == "master")
    assert "10.0.0.3 node002\n" in told.text
    assert "node002,10.0.0.3 ssh-ed25519 NEW\n" in told.text


def test_a_host_key_that_many_were_born_with_is_told_to_nobody_and_their_own_are_once_they_have_them(tmp_path):
    cluster = lab(tmp_path)
    for node in cluster.workers:
        cluster.update_node(replace(node, host_key="ssh-ed25519 THROWAWAY", bootstrap_key=True))
    plugin = base()
    plugin.clusterctl_join(cluster, cluster.master)
    assert "node001" in block(cluster.ran[0].text, "/etc/hosts")
    assert block(cluster.ran[0].text, "/etc/ssh/ssh_known_hosts") == "master,10.0.0.1 ssh-ed25519 AAAAmaster\n"
    for node in cluster.workers:
        cluster.update_node(replace(node, host_key=f"ssh-ed25519 OWN{node.alias}", bootstrap_key=False))
        plugin.clusterctl_join(cluster, node)
    plugin.clusterctl_members(cluster)
    told = {ran.node: block(ran.text, "/etc/ssh/ssh_known_hosts") for ran in cluster.ran}  # the last of each
    assert "node002,10.0.0.3 ssh-ed25519 OWNnode002\n" in told["master"]
    assert len(set(told.values())) == 1


def test_a_port_that_is_not_22_is_known_to_ssh_on_hosts_and_a_mapped_one_is_not(tmp_path):
    for facets, expected in ((LASTING, True), (MACHINE, False)):
        cluster = lab(tmp_path, facets=facets)
        cluster.update_node(replace(cluster.node("node001"), port=2222))
        base().clusterctl_join(cluster, cluster.master)
        text = cluster.ran[0].text
        assert ("Host node001 10.0.0.2\n    Port 2222" in text) is expected
        assert ("[node001]:2222,[10.0.0.2]:2222 ssh-ed25519" in text) is expected


def test_the_clusters_name_is_before_the_host_names_if_asked_for(tmp_path):
    cluster = lab(tmp_path, machines={"dns_prefix": True}, name="my_lab")
    base().clusterctl_join(cluster, cluster.node("node001"))
    text = cluster.ran[-1].text
    assert "host=my-lab-node001\n" in text
    assert "10.0.0.2 my-lab-node001 node001\n" in text


def test_a_host_that_lasts_keeps_its_name(tmp_path):
    for facets, named in ((LASTING, False), (MACHINE, True)):
        cluster = lab(tmp_path, facets=facets)
        base().clusterctl_join(cluster, cluster.master)
        assert ("/etc/hostname" in cluster.ran[0].text) is named
        assert f"\nclaim {shlex.quote(cluster.mark)} {'no' if named else 'yes'}\n" in cluster.ran[0].text


def test_workers_get_the_numbers_that_the_master_chose(tmp_path):
    cluster = lab(tmp_path)
    join_all(base(), cluster)
    assert cluster.remembered["base user"] == {"name": "me", "uid": 10007, "gid": 10008}
    assert 'ensure_account "$user" 10007 10008 ' in cluster.ran[1].text
    assert "choose_numbers" not in cluster.ran[1].text


def test_a_laptop_that_forgot_them_asks_the_master_once(tmp_path):
    cluster = lab(tmp_path)
    plugin = base()
    for node in cluster.workers:
        plugin.clusterctl_join(cluster, node)
    assert [ran.name for ran in cluster.ran if ran.node == "master"] == ["id -u me && id -g me"]
    assert 'ensure_account "$user" 4711 4712 ' in cluster.ran[-1].text


def test_the_numbers_of_another_user_are_not_taken(tmp_path):
    notes = {"base user": {"name": "former", "uid": 1, "gid": 1}}
    cluster = lab(tmp_path, notes=notes)
    base().clusterctl_join(cluster, cluster.node("node001"))
    assert 'ensure_account "$user" 4711 4712 ' in cluster.ran[-1].text


def test_the_master_is_told_the_number_that_is_wanted_and_the_one_it_had(tmp_path):
    notes = {"base user": {"name": "me", "uid": 10003, "gid": 10003}}
    cluster = lab(tmp_path, notes=notes)
    base(uid=5005).clusterctl_join(cluster, cluster.master)
    assert 'choose_numbers "$user" "$home" 5005 10003 10000' in cluster.ran[0].text


def test_members_tells_nobody_who_knows(tmp_path):
    cluster = lab(tmp_path)
    plugin = base()
    join_all(plugin, cluster)
    before = len(cluster.ran)
    plugin.clusterctl_members(cluster)
    assert len(cluster.ran) == before
    again = lab(tmp_path, notes=cluster.remembered)
    base().clusterctl_members(again)
    assert again.ran == []


def test_members_tells_those_who_have_another_list_or_are_other_machines(tmp_path):
    cluster = lab(tmp_path)
    plugin = base()
    join_all(plugin, cluster)
    plugin.clusterctl_members(cluster)
    replaced = lab(tmp_path, notes=cluster.remembered)
    replaced.update_node(replace(replaced.node("node002"), id="another"))
    base().clusterctl_members(replaced)
    assert [ran.node for ran in replaced.ran] == ["node002"]
    fewer = lab(tmp_path, ("master", "node001"), notes=cluster.remembered)
    base().clusterctl_members(fewer)
    assert sorted(ran.node for ran in fewer.ran) == ["master", "node001"]
    assert sorted(fewer.remembered["base members"]) == ["master", "node001"]


def test_members_leaves_out_who_cannot_be_told_and_tells_them_later(tmp_path):
    cluster = lab(tmp_path)
    cluster.mark_unreachable("node001")
    cluster.update_node(replace(cluster.node("node002"), state=NodeState.STOPPED))
    base().clusterctl_members(cluster)
    assert [ran.node for ran in cluster.ran] == ["master"]
    assert sorted(cluster.remembered["base members"]) == ["master"]
    back = lab(tmp_path, notes=cluster.remembered)
    base().clusterctl_members(back)
    assert sorted(ran.node for ran in back.ran) == ["node001", "node002"]


def test_a_join_that_changes_the_list_is_not_taken_back_by_what_was_remembered(tmp_path):
    """A list written and then not remembered, as by a start that is killed, is written again."""
    cluster = lab(tmp_path)
    plugin = base()
    join_all(plugin, cluster)
    plugin.clusterctl_members(cluster)
    more = lab(tmp_path, ("master", "node001", "node002", "node003"), notes=cluster.remembered)
    base().clusterctl_join(more, more.node("node001"))  # and then it is killed
    back = lab(tmp_path, notes={**cluster.remembered, **more.remembered})
    base().clusterctl_members(back)
    assert [ran.node for ran in back.ran] == ["node001"]


def test_all_system_packages_are_installed_with_the_shells(tmp_path):
    assert base().clusterctl_request() == Request()
    assert base(sudo=True, ca_certificates="x.pem").clusterctl_request() == Request(apt=("ca-certificates", "sudo"))
    for shell, words in (("bash", "curl "), ("fish", "curl fish ")):
        cluster = lab(tmp_path, machines={"shell": shell}, request=Request(apt=("curl",)))
        base().clusterctl_join(cluster, cluster.master)
        assert f"ensure_packages {words}\n" in cluster.ran[0].text


def test_an_image_has_no_user_no_names_and_no_proxy_on_it(tmp_path):
    cluster = lab(tmp_path, request=Request(apt=("curl",)))
    base(http_proxy="http://proxy:3128").clusterctl_bake(cluster, cluster.master)
    (ran,) = cluster.ran
    assert "ensure_packages curl" in ran.text
    assert "export http_proxy=http://proxy:3128" in ran.text
    for other in ("ensure_account", "/etc/hosts", "/etc/clusterctl/environment", "/etc/hostname"):
        assert other not in ran.text


def test_the_proxy_is_passed_by_for_members_and_for_what_is_named(tmp_path):
    cluster = lab(tmp_path)
    base(http_proxy="http://p:1", no_proxy=".internal,x").clusterctl_join(cluster, cluster.master)
    environment = dict(
        line.split("=", 1) for line in block(cluster.ran[0].text, "/etc/clusterctl/environment").splitlines()
    )
    assert environment["no_proxy"] == environment["NO_PROXY"]
    assert environment["no_proxy"].split(",") == [
        *("localhost", "127.0.0.1", "::1", "master", "10.0.0.1", "node001", "10.0.0.2", "node002", "10.0.0.3"),
        *(".internal", "x"),
    ]
    assert environment["https_proxy"] == "http://p:1"
    assert "SSL_CERT_FILE" not in environment


def test_certificates_of_one_file_go_one_by_one_and_what_is_none_is_refused_before_anything_is_made(tmp_path):
    pems = [f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----" for text in ("AA", "BB")]
    (tmp_path / "ca.pem").write_text(f"subject: x\n{pems[0]}\nsubject: y\n{pems[1]}\n")
    plugin = base(ca_certificates=str(tmp_path / "ca.pem"))
    plugin.clusterctl_prepare()
    cluster = lab(tmp_path)
    plugin.clusterctl_join(cluster, cluster.master)
    assert len(set(re.findall(r'put_file "\$ca_folder/(clusterctl-\w+\.crt)"', cluster.ran[0].text))) == 2
    assert "UV_NATIVE_TLS=true\n" in cluster.ran[0].text
    (tmp_path / "no.pem").write_text("nothing")
    with pytest.raises(PluginError, match=r"no\.pem holds no certificate"):
        base(ca_certificates=str(tmp_path / "no.pem")).clusterctl_prepare()
    with pytest.raises(PluginError, match="cannot read") as caught:
        base(ca_certificates=str(tmp_path / "gone.pem")).clusterctl_prepare()
    assert "CA_CERTIFICATES" in caught.value.remedy


def test_roots_key_goes_from_the_master_to_workers_in_scripts_alone(tmp_path):
    cluster = lab(tmp_path, answers={"cat /root/.ssh/clusterctl": "THE KEY\n", **NUMBERS})
    plugin = base(root_ssh=True)
    join_all(plugin, cluster)
    asked = [ran for ran in cluster.ran if ran.name.startswith("cat ")]
    assert [(ran.node, ran.secret, ran.sudo) for ran in asked] == [("master", True, True)]
    assert "THE KEY" not in cluster.ran[0].text
    assert all("THE KEY" in ran.text for ran in cluster.ran if ran.node != "master")
    assert "THE KEY" not in str(cluster.remembered)
    without = lab(tmp_path)
    join_all(base(), without)
    assert len(without.ran) == 3
    assert all("drop_file /root/.ssh/clusterctl\n" in ran.text for ran in without.ran)


def test_a_host_is_left_as_it_was_by_one_command(tmp_path):
    cluster = lab(tmp_path, facets=LASTING)
    base().clusterctl_undo(cluster, cluster.master)
    assert [(ran.name, ran.sudo) for ran in cluster.ran] == [("base: leave", True)]


def test_a_home_is_removed_only_where_that_was_asked_for_and_only_on_the_master(tmp_path):
    for keep, alias, removed in ((True, "master", False), (False, "master", True), (False, "node001", False)):
        cluster = lab(tmp_path, facets=LASTING)
        base(keep_home=keep).clusterctl_undo(cluster, cluster.node(alias))
        assert ('rm -rf --one-file-system "${folder:?}"' in cluster.ran[0].text) is removed


@pytest.mark.parametrize(
    "line",
    [
        "scratch = sdb",
        "scratch = /dev/sdb; rm -rf /",
        "http_proxy = proxy:3128",
        "http_proxy = http://a'b",
        "no_proxy = a'b",
        "uid = 0",
        "apt_mirror = debian",
    ],
)
def test_what_cannot_be_meant_is_refused_when_the_config_is_read(tmp_path, line):
    file = tmp_path / "config"
    file.write_text(f"[cluster a]\ncluster_user = me\n[plugin base]\n{line}\n")
    with pytest.raises(ConfigError):
        loading.read_config(file, environ={}, find_plugin=find_plugin_class)
