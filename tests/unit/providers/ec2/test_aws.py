"""Calls to AWS."""

from __future__ import annotations

from datetime import datetime, timezone

import boto3
import pytest
from clusterctl_standin.faults import LostAnswer

from clusterctl.providers.ec2.aws import Aws, AwsError, _parse_time

from ....support.ec2_lab import plan_of


def test_all_regions_share_one_session(aws, monkeypatch):
    made = []
    real = boto3.session.Session

    def session(**options):
        made.append(options)
        return real(**options)

    monkeypatch.setattr(boto3.session, "Session", session)
    aws._sessions, aws._clients = [], {}
    elsewhere = aws.in_region("eu-west-1")
    assert (aws.region, elsewhere.region) == ("us-east-1", "eu-west-1")
    for each in (elsewhere, aws):
        zones = each.call("ec2", "describe_availability_zones")["AvailabilityZones"]
        assert {zone["RegionName"] for zone in zones} == {each.region}
    assert len(made) == 1


@pytest.mark.parametrize("cloud", ["http"], indirect=True)
def test_a_cluster_is_made_and_ended_over_http_as_without(allow_loopback, lab):
    lab.cloud.faults.add(LostAnswer("CreateFleet"))
    assert len(lab.create(plan_of(2))) == 2
    assert lab.cloud.endpoint.startswith("http://127.0.0.1:")
    assert 0 in {call.status for call in lab.cloud.calls_of("CreateFleet")}
    lab.provider().destroy("lab")
    assert lab.cloud.left() == []


def test_who_is_in_haste_tries_once(monkeypatch, allow_loopback):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    account = Aws("us-east-1", fail_fast=True)
    with pytest.raises(AwsError, match="did not answer") as caught:
        account.call("ec2", "describe_key_pairs")
    assert caught.value.code == ""
    assert account._client_for("ec2", "us-east-1").meta.config.retries["total_max_attempts"] == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_ENDPOINT_URL", "nonsense"),
        ("AWS_ENDPOINT_URL", "https://"),
        ("AWS_DEFAULTS_MODE", "foo"),
        ("AWS_STS_REGIONAL_ENDPOINTS", "foo"),
        ("region", "bad region!"),
    ],
)
def test_what_is_set_wrong_for_aws_is_told_and_no_bug(monkeypatch, name, value):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    if name != "region":
        monkeypatch.setenv(name, value)
    with pytest.raises(AwsError, match="what is set for AWS cannot be used: ") as caught:
        Aws(value if name == "region" else "us-east-1").call("ec2", "describe_key_pairs")
    assert "AWS_REGION_NAME" in caught.value.remedy


def test_times_are_read_whichever_way_a_service_writes_them():
    moment = datetime(2026, 11, 27, 3, 57, 6, tzinfo=timezone.utc)
    for text in (
        "2026-11-27T03:57:06.000Z",
        "2026-11-27T03:57:06Z",
        "Fri, 27 Nov 2026 03:57:06 GMT",
        moment.timestamp(),
    ):
        assert _parse_time(text) == moment
