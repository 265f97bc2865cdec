"""Quotas: which there are, and what is left of them."""

from __future__ import annotations

import pytest

from clusterctl.providers.ec2.aws import AwsError
from clusterctl.providers.ec2.pricing import quotas

from .....support.fake_aws import FakeAws, refused


@pytest.mark.parametrize(
    ("kind", "market", "code"),
    [
        ("c7i.large", "on-demand", "L-1216C47A"),
        ("t4g.nano", "spot", "L-34B43A08"),
        ("m7i-flex.large", "spot-with-fallback", "L-34B43A08"),
        ("g5.xlarge", "spot", "L-3819A6DF"),
        ("p5.48xlarge", "on-demand", "L-417A185B"),
        ("p5.48xlarge", "spot", ""),
        ("inf2.xlarge", "spot", "L-B5D1601B"),
        ("u7i-6tb.112xlarge", "on-demand", ""),
        ("mac2.metal", "on-demand", ""),
        ("", "on-demand", ""),
    ],
)
def test_each_type_counts_against_the_quota_of_its_family_and_market(kind, market, code):
    assert quotas.find_quota(kind, market).code == code


@pytest.mark.parametrize(
    ("kind", "market", "name"),
    [
        ("c7i.large", "on-demand", "on demand, standard types"),
        ("c7i.large", "spot", "spot, standard types"),
        ("mac2.metal", "on-demand", "on demand, mac2"),
        ("mac2.metal", "spot", "spot, mac2"),
    ],
)
def test_a_quota_is_called_after_its_market_and_families(kind, market, name):
    assert quotas.find_quota(kind, market).name == name


def test_types_of_one_quota_have_one_bucket():
    assert quotas.find_quota("c7i.large", "spot") == quotas.find_quota("r5.xlarge", "spot-with-fallback")


def test_what_runs_is_counted_in_processors_whoever_s_it_is():
    def instance(kind, cores, threads, **more):
        return {
            "InstanceId": f"i-{kind}",
            "InstanceType": kind,
            "CpuOptions": {"CoreCount": cores, "ThreadsPerCore": threads},
            **more,
        }

    aws = FakeAws(
        {
            "describe_instances": [
                {"Instances": [instance("c7i.xlarge", 2, 2), instance("c7g.xlarge", 4, 1, InstanceLifecycle="spot")]},
                {"Instances": [instance("g5.xlarge", 2, 2), instance("c7i.large", 1, 2)]},
            ]
        }
    )
    assert quotas.count_running_vcpus(aws) == {"L-1216C47A": 6, "L-34B43A08": 4, "L-DB2E81BA": 4}


class TestLimit:
    def test_the_account_s_own_value(self):
        aws = FakeAws({"get_service_quota": {"Quota": {"Value": 640.0}}})
        assert quotas.fetch_limit(aws, "L-34B43A08") == 640
        assert aws.asked("get_service_quota") == [{"ServiceCode": "ec2", "QuotaCode": "L-34B43A08"}]

    def test_else_the_one_that_every_account_has(self):
        missing = refused("NoSuchResourceException")
        aws = FakeAws({"get_service_quota": missing, "get_aws_default_service_quota": {"Quota": {"Value": 5.0}}})
        assert quotas.fetch_limit(aws, "L-34B43A08") == 5

    def test_none_where_there_is_no_such_quota(self):
        missing = refused("NoSuchResourceException")
        aws = FakeAws({"get_service_quota": missing, "get_aws_default_service_quota": missing})
        assert quotas.fetch_limit(aws, "L-0") is None

    def test_not_being_let_ask_is_said(self):
        with pytest.raises(AwsError):
            quotas.fetch_limit(FakeAws(), "L-34B43A08")
