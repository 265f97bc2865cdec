"""Config files as people have them: read, planned, checked and launched on the stand-in, by what wiring makes."""

from __future__ import annotations

import pytest

from clusterctl import planning
from clusterctl.errors import ProviderError
from clusterctl.events import SILENT
from clusterctl.identity.keys import new_key_pair
from clusterctl.operations.plan import make_plan
from clusterctl.providers.ec2.aws import Aws
from clusterctl.wiring import context as wired
from clusterctl.wiring import ec2 as wired_ec2

from ....support.talk import SECTIONS

TALK = (
    SECTIONS
    + """
[cluster ip]
KEYNAME = mykey
CLUSTER_USER = iptest
NODE_IMAGE_ID = {image}
NODE_INSTANCE_TYPE = {kind}
DISABLE_QUEUE = True
SPOT_BID = 0.10
PLUGINS = ippackages, ipcluster
"""
)
TYPED = {"cluster_size": "3", "spot_bid": "0.07", "force_spot_master": "yes"}
"""`start mycluster -s 3 -b 0.07 --force-spot-master`, as it was typed."""
SHORTEST = """\
[cluster small]
NODE_INSTANCE_TYPE = c7i.xlarge, c7a.xlarge, m7i.xlarge
SPOT_BID = 0.10
PLUGINS = ipcluster
"""
STARCLUSTER = """\
[global]
DEFAULT_TEMPLATE=smallcluster

[aws info]
AWS_ACCESS_KEY_ID = AKIASTANDIN000000000
AWS_SECRET_ACCESS_KEY = standin
AWS_USER_ID = 123456789012
AWS_REGION_NAME = us-east-1
AWS_REGION_HOST = ec2.us-east-1.amazonaws.com

[key mykey]
KEY_LOCATION=~/.ssh/mykey.rsa

[cluster smallcluster]
KEYNAME = mykey
CLUSTER_SIZE = 2
CLUSTER_USER = sgeadmin
CLUSTER_SHELL = bash
DNS_PREFIX = True
NODE_IMAGE_ID = ami-3393a45a
NODE_INSTANCE_TYPE = m1.small
AVAILABILITY_ZONE = us-east-1c
PERMISSIONS = ssh, http
DISABLE_QUEUE = True

[cluster mediumcluster]
EXTENDS=smallcluster
NODE_INSTANCE_TYPE = c1.xlarge
CLUSTER_SIZE=4

[cluster largecluster]
EXTENDS=mediumcluster
CLUSTER_SIZE=6
SPOT_BID = 0.50

[permission ssh]
FROM_PORT = 22
TO_PORT = 22
CIDR_IP = 198.51.100.0/24

[permission http]
IP_PROTOCOL = tcp
FROM_PORT = 80
TO_PORT = 80
CIDR_IP = 0.0.0.0/0
"""
"""StarCluster's own sample, with a key, an image and two permissions."""


@pytest.fixture
def laptop(tmp_path, monkeypatch, aws, boto):
    """A home with the key's file, and an address."""
    monkeypatch.setattr(wired_ec2, "Aws", lambda *given, **more: boto.lend(Aws(*given, **more)))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLUSTERCTL_ALLOW_FROM", "192.0.2.7/32")
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/mykey.rsa").touch()
    return tmp_path


def parts_of(laptop, text, *, template=None, overrides=None):
    file = laptop / "config"
    file.write_text(text)
    return wired.load_context("mycluster", config_file=str(file), template=template, overrides=overrides, report=SILENT)


def launch(parts):
    """Plan, check and create, as `start` does."""
    plan = make_plan(parts, planning.node_aliases(parts.settings.cluster.cluster_size))
    assert parts.provider.check(plan) == []
    parts.folder.ensure_exists()
    return parts.provider.create(plan, public_key=new_key_pair("x")[1])


def import_key(cloud):
    cloud.client("ec2").import_key_pair(KeyName="mykey", PublicKeyMaterial=new_key_pair("mykey")[1].encode())


@pytest.mark.parametrize(
    ("image", "kind"),
    [("ubuntu-24.04", "c7i.2xlarge"), ("ami-999d49f0", "c1.xlarge")],
    ids=["image and type changed", "as it was shown"],
)
def test_the_talks_file_launches_three_spot_instances(laptop, cloud, image, kind):
    import_key(cloud)
    parts = parts_of(laptop, TALK.format(image=image, kind=kind), overrides={**TYPED, "spot_bid": "0.30"})
    nodes = launch(parts)
    assert parts.provider.name == "ec2"
    assert [(node.alias, node.market, node.type) for node in nodes] == [
        (alias, "spot", "c7i.2xlarge") for alias in ("master", "node001", "node002")
    ]
    assert parts.plugin_host.plugin_names[-2:] == ("ippackages", "ipcluster")
    assert {call.params["SpotOptions"]["AllocationStrategy"] for call in cloud.calls_of("CreateFleet")} == {
        "price-capacity-optimized"
    }


def test_the_talks_own_bid_is_below_todays_price_and_nothing_is_bought_on_demand_unasked(laptop, cloud):
    import_key(cloud)
    with pytest.raises(ProviderError, match="SpotMaxPriceTooLow") as caught:
        launch(parts_of(laptop, TALK.format(image="ubuntu-24.04", kind="c7i.2xlarge"), overrides=TYPED))
    assert "bid more" in caught.value.remedy
    assert cloud.left() == ["us-east-1 key pair mykey"]


def test_with_a_fallback_its_nodes_are_had_on_demand(laptop, cloud):
    import_key(cloud)
    typed = {**TYPED, "market": "spot-with-fallback"}
    nodes = launch(parts_of(laptop, TALK.format(image="ubuntu-24.04", kind="c7i.2xlarge"), overrides=typed))
    assert {node.market for node in nodes} == {"on-demand"}
    bids = {
        pool.get("MaxPrice")
        for call in cloud.calls_of("CreateFleet")
        for pool in call.params["LaunchTemplateConfigs"][0]["Overrides"]
    }
    assert bids == {"0.07", None}


def test_a_key_pair_that_ec2_does_not_have_is_said_before_anything_starts(laptop, cloud):
    parts = parts_of(laptop, TALK.format(image="ubuntu-24.04", kind="c7i.2xlarge"))
    plan = make_plan(parts, planning.node_aliases(3))
    (problem,) = parts.provider.check(plan)
    assert "there is no key pair mykey" in problem.message
    assert "leave KEYNAME out" in problem.remedy
    assert cloud.left() == []


def test_three_keys_of_one_section_are_enough(laptop, cloud):
    nodes = launch(parts_of(laptop, SHORTEST))
    assert [(node.alias, node.market) for node in nodes] == [
        ("master", "on-demand"),
        ("node001", "spot"),
        ("node002", "spot"),
    ]


@pytest.mark.parametrize(
    ("template", "size", "market"), [("smallcluster", 2, "on-demand"), ("largecluster", 6, "spot")]
)
def test_starclusters_own_sample_launches(laptop, cloud, template, size, market):
    import_key(cloud)
    nodes = launch(parts_of(laptop, STARCLUSTER, template=template))
    assert len(nodes) == size
    assert {node.market for node in nodes[1:]} == {market}
    (group,) = [
        each
        for each in cloud.client("ec2").describe_security_groups()["SecurityGroups"]
        if each["GroupName"] == "clusterctl-mycluster"
    ]
    opened = {
        (rule["FromPort"], network["CidrIp"])
        for rule in group["IpPermissions"]
        if rule["IpProtocol"] == "tcp"
        for network in rule["IpRanges"]
    }
    assert opened == {(22, "192.0.2.7/32"), (22, "198.51.100.0/24"), (80, "0.0.0.0/0")}
