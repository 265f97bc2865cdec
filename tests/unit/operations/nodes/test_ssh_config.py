"""A config file of OpenSSH for the nodes of a cluster."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clusterctl.errors import StateError, UsageError
from clusterctl.model import Access
from clusterctl.operations.leave import stop_cluster
from clusterctl.operations.nodes.ssh_config import write_ssh_config
from clusterctl.operations.start import start_cluster


@pytest.fixture
def context(lab):
    start_cluster(lab.parts(cluster_size=2))
    return lab.parts()


def change(lab, node, **changes):
    lab.provider.machines["lab", node] = replace(lab.provider.machines["lab", node], **changes)


def hosts(text):
    """The lines of each host, by its first name."""
    blocks = [block.splitlines() for block in text.split("\n\n")[1:]]
    return {block[0].split()[1]: [line.strip() for line in block[1:]] for block in blocks}


def test_each_node_is_a_host_with_the_clusters_key_and_its_pinned_host_keys(context):
    text = write_ssh_config(context)
    found = hosts(text)
    assert list(found) == ["lab-master", "lab-node001"]
    assert "Host lab-master lab\n" in text
    assert found["lab-node001"] == [
        "HostName 127.0.0.1",
        "Port 22",
        "User me",
        f'IdentityFile "{context.folder.private_key_file}"',
        "IdentitiesOnly yes",
        f'UserKnownHostsFile "{context.folder.known_hosts_file}"',
        "GlobalKnownHostsFile /dev/null",
        "StrictHostKeyChecking yes",
        "UpdateHostKeys no",
        "CheckHostIP no",
    ]


def test_a_gateway_a_program_a_key_and_an_agent_are_as_clusterctl_uses_them(lab, context):
    change(lab, "master", access=Access(jump="me@gate:2222", key="/keys/100%/mine", agent=True), user="admin")
    change(lab, "node001", access=Access(command=("aws", "ssm", "--parameters", "portNumber=22 100%")))
    found = hosts(write_ssh_config(context))
    assert {"User admin", "ProxyJump me@gate:2222", 'IdentityFile "/keys/100%%/mine"'} <= {*found["lab-master"]}
    assert "IdentitiesOnly yes" not in found["lab-master"]
    assert "ProxyCommand aws ssm --parameters 'portNumber=22 100%%'" in found["lab-node001"]


def test_the_cluster_user_is_let_in_by_the_clusters_own_key(lab, context):
    change(lab, "master", access=Access(jump="gate", key="/keys/mine"), user="admin")
    master = hosts(write_ssh_config(context, user="me"))["lab-master"]
    assert {"User me", "ProxyJump gate", f'IdentityFile "{context.folder.private_key_file}"'} <= {*master}


@pytest.mark.parametrize(
    "changes",
    [
        {"address": "1.2.3.4\nProxyCommand touch /tmp/x"},
        {"address": "-oProxyCommand=x"},
        {"user": "me\n"},
        {"access": Access(jump="gate\nLocalCommand x")},
        {"alias": "node001 *"},
    ],
)
def test_what_a_node_is_called_is_no_line_of_its_own(lab, context, changes):
    change(lab, "node001", **changes)
    with pytest.raises(StateError, match="cannot be a name, an address or a user"):
        write_ssh_config(context)


def test_without_nodes_or_keys_it_says_what_makes_them(lab, context):
    context.folder.known_hosts_file.unlink()
    with pytest.raises(StateError, match=r"known_hosts is missing"):
        write_ssh_config(context)
    stop_cluster(lab.parts())
    with pytest.raises(UsageError, match="no node of lab runs"):
        write_ssh_config(context)
