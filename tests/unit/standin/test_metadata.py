"""The metadata service: tokens, what an instance learns about itself, and who may not ask."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request

import pytest
from clusterctl_standin.bodies.metadata import TOKEN, TTL, Metadata, serve
from clusterctl_standin.bodies.subnet import METADATA

from ...e2e.test_standin_containers import launch

IMDS = f"http://{METADATA}/latest"
TOKENS = {"MetadataOptions": {"HttpTokens": "required", "HttpEndpoint": "enabled", "InstanceMetadataTags": "enabled"}}


class Asking:
    """An instance's view of its service, from this computer."""

    def __init__(self, service, port):
        self.service, self.url, self.instance = service, f"http://127.0.0.1:{port}", ""

    def ask(self, path, *, method="GET", **headers):
        """The status and what came with it."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(f"{self.url}{path}", method=method, headers=named)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as exc:
            with exc:
                return exc.code, exc.read().decode()

    def token(self, ttl="60"):
        status, token = self.ask("/latest/api/token", method="PUT", **{TTL: ttl})
        assert status == 200
        return token

    def get(self, path):
        return self.ask(f"/latest/{path}", **{TOKEN: self.token()})


@pytest.fixture
def asking(cloud, monkeypatch):
    service = Metadata(cloud, "none")
    server = serve(service, ("127.0.0.1", 0))
    found = Asking(service, server.server_address[1])

    def machine_at(_):
        return next((each for each in cloud.machines() if each.id == found.instance), None)

    monkeypatch.setattr(service, "machine_at", machine_at)
    yield found
    server.shutdown()
    server.server_close()


@pytest.fixture
def started(launcher, asking):
    """Make an instance the one that asks."""

    def start(**more):
        (made,) = launcher.run(**{**TOKENS, **more})
        asking.instance = made["InstanceId"]
        return made

    return start


def test_a_session_begins_with_a_token_that_holds_as_long_as_was_asked_for(asking, started, monkeypatch):
    made = started()
    assert asking.ask("/latest/meta-data/instance-id")[0] == 401
    assert asking.ask("/latest/meta-data/instance-id", **{TOKEN: "made-up"})[0] == 401
    token = asking.token(ttl="60")
    assert asking.ask("/latest/meta-data/instance-id", **{TOKEN: token}) == (200, made["InstanceId"])
    for ttl in ("", "0", "21601", "an hour"):
        assert asking.ask("/latest/api/token", method="PUT", **{TTL: ttl})[0] == 400
    forwarded = {TTL: "60", "X-Forwarded-For": "10.0.0.1"}
    assert asking.ask("/latest/api/token", method="PUT", **forwarded)[0] == 403
    now = time.monotonic()
    monkeypatch.setattr("time.monotonic", lambda: now + 61)
    assert asking.ask("/latest/meta-data/instance-id", **{TOKEN: token})[0] == 401


def test_a_token_is_good_for_its_own_instance_only(asking, started):
    started()
    token = asking.token()
    started()
    assert asking.ask("/latest/meta-data/instance-id", **{TOKEN: token})[0] == 401


def test_where_tokens_are_optional_none_is_needed_and_a_closed_endpoint_tells_nothing(asking, started):
    started(MetadataOptions={"HttpTokens": "optional", "HttpEndpoint": "enabled"})
    assert asking.ask("/latest/meta-data/placement/region") == (200, "us-east-1")
    started(MetadataOptions={"HttpEndpoint": "disabled"})
    assert asking.ask("/latest/meta-data/placement/region")[0] == 403
    assert asking.ask("/latest/api/token", method="PUT", **{TTL: "60"})[0] == 403


def test_an_instance_learns_what_the_cloud_knows_of_it(asking, started):
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "clusterctl:cluster", "Value": "lab"}]}]
    made = started(UserData="#!/bin/sh\ntrue\n", TagSpecifications=tags)
    assert asking.get("user-data") == (200, "#!/bin/sh\ntrue\n")
    for path, value in {
        "local-ipv4": made["PrivateIpAddress"],
        "placement/availability-zone": made["Placement"]["AvailabilityZone"],
        "instance-type": "c7i.large",
        "instance-life-cycle": "on-demand",
        "ami-id": made["ImageId"],
        "tags/instance": "clusterctl:cluster",
        "tags/instance/clusterctl:cluster": "lab",
        "placement": "availability-zone\nregion",
    }.items():
        assert asking.get(f"meta-data/{path}") == (200, value)
    document = json.loads(asking.get("dynamic/instance-identity/document")[1])
    assert (document["instanceId"], document["region"]) == (made["InstanceId"], "us-east-1")
    assert "instance-id" in asking.get("meta-data/")[1].splitlines()


def test_what_an_instance_has_not_is_not_found(asking, started):
    started(MetadataOptions={"HttpTokens": "required", "InstanceMetadataTags": "disabled"})
    for path in ("user-data", "meta-data/nothing", "meta-data/tags/instance", "meta-data/spot/instance-action"):
        assert asking.get(path)[0] == 404
    assert asking.get("meta-data/events/recommendations/rebalance")[0] == 404


def test_the_key_pair_is_listed_with_its_number(asking, started, ec2):
    ec2.create_key_pair(KeyName="mine")
    started(KeyName="mine")
    assert asking.get("meta-data/public-keys/") == (200, "0=mine")
    assert asking.get("meta-data/public-keys/0/openssh-key")[1].startswith("ssh-rsa ")


def test_a_notice_shows_up_with_its_time_and_a_recommendation_may_come_before(asking, started, cloud):
    made = started(InstanceMarketOptions={"MarketType": "spot"})
    assert asking.get("meta-data/instance-life-cycle") == (200, "spot")
    asking.service.recommend_rebalance(made["InstanceId"])
    assert "noticeTime" in json.loads(asking.get("meta-data/events/recommendations/rebalance")[1])
    assert asking.get("meta-data/spot/instance-action")[0] == 404
    cloud.interrupt(made["InstanceId"])
    at = cloud.notices()[made["InstanceId"]]
    said = json.loads(asking.get("meta-data/spot/instance-action")[1])
    assert said == {"action": "terminate", "time": at}
    assert asking.get("meta-data/spot/termination-time") == (200, at)


@pytest.mark.docker
@pytest.mark.timeout(600)
def test_root_of_a_body_may_ask_and_nobody_else_once_the_user_data_has_closed_the_service(bodies, tmp_path):
    machine = launch(bodies, tmp_path, **TOKENS)
    assert machine.says("sudo cloud-init status --wait >/dev/null; echo up") == "up"
    token = f"curl -sf -m 5 -X PUT -H '{TTL}: 60' {IMDS}/api/token"
    ask = f'curl -sf -m 5 -H "{TOKEN}: $({token})" {IMDS}/meta-data/instance-id'
    assert bodies.shell(machine.id, ask) == machine.id
    refused = machine.ssh(token)
    assert refused.returncode == 7, refused
    assert bodies.shell(machine.id, f"curl -s -o /dev/null -w '%{{http_code}}' {IMDS}/meta-data/") == "401"


@pytest.mark.docker
@pytest.mark.timeout(600)
def test_a_body_that_is_to_be_taken_back_is_told_and_then_gone(bodies, tmp_path):
    machine = launch(bodies, tmp_path, InstanceMarketOptions={"MarketType": "spot"}, **TOKENS)
    token = f"curl -sf -m 5 -X PUT -H '{TTL}: 60' {IMDS}/api/token"
    ask = f'curl -sf -m 5 -H "{TOKEN}: $({token})" {IMDS}/meta-data/spot/instance-action'
    bodies.cloud.interrupt(machine.id, notice_s=600)
    assert json.loads(bodies.shell(machine.id, ask))["action"] == "terminate"
    bodies.cloud.take_back(machine.id)
    with pytest.raises(AssertionError, match="has no container"):
        bodies.container_of(machine.id)
