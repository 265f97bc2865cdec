"""Prices and quotas: made up, but asked for and answered as on AWS."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest
from botocore.exceptions import ClientError
from clusterctl_standin.money.prices import on_demand_usd

pytestmark = pytest.mark.slow  # all of them together take more than a minute

LINUX = {"operatingSystem": "Linux", "tenancy": "Shared", "capacitystatus": "Used", "preInstalledSw": "NA"}


def products(cloud, *, service="AmazonEC2", any_of=(), **fields):
    filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in fields.items()]
    filters += [{"Type": "ANY_OF", "Field": field, "Value": ",".join(values)} for field, values in any_of]
    pages = cloud.client("pricing").get_paginator("get_products").paginate(ServiceCode=service, Filters=filters)
    return [json.loads(text) for page in pages for text in page["PriceList"]]


def usd(product):
    (term,) = product["terms"]["OnDemand"].values()
    (dimension,) = term["priceDimensions"].values()
    return float(dimension["pricePerUnit"]["USD"])


def test_the_present_spot_price_is_one_point_for_each_zone(ec2, cloud):
    now = datetime.now(timezone.utc)
    found = ec2.describe_spot_price_history(
        InstanceTypes=["c7i.large"], ProductDescriptions=["Linux/UNIX"], StartTime=now, EndTime=now
    )["SpotPriceHistory"]
    prices = {each["AvailabilityZone"]: float(each["SpotPrice"]) for each in found}
    assert len(found) == len(prices) == 5
    assert len({*prices.values()}) > 1  # two may be the same at a time
    assert all(0.2 < price / on_demand_usd("c7i.large", "us-east-1") < 0.65 for price in prices.values())
    cloud.prices.set_spot("c7i.large", "us-east-1a", 0.042)
    assert cloud.prices.spot_usd("c7i.large", "us-east-1a") == 0.042


def test_the_history_has_several_points_and_stays_the_same(ec2):
    def history():
        start = datetime.now(timezone.utc) - timedelta(days=2)
        asked = {"InstanceTypes": ["m7i.large"], "AvailabilityZone": "us-east-1b", "StartTime": start}
        pages = ec2.get_paginator("describe_spot_price_history").paginate(**asked, PaginationConfig={"PageSize": 5})
        return [(each["Timestamp"], each["SpotPrice"]) for page in pages for each in page["SpotPriceHistory"]]

    first = history()
    assert len(first) in (9, 10)
    assert first == sorted(first, reverse=True)
    assert len({price for _, price in first}) > 3
    assert history() == first


def test_an_on_demand_price_needs_all_of_its_filters(cloud):
    (one,) = products(cloud, instanceType="c7i.large", regionCode="us-east-1", **LINUX)
    assert usd(one) == on_demand_usd("c7i.large", "us-east-1")
    assert one["product"]["attributes"]["memory"] == "4 GiB"
    assert len(products(cloud, instanceType="c7i.large", regionCode="us-east-1")) == 12


def test_several_types_can_be_asked_for_at_once(cloud):
    found = products(cloud, regionCode="eu-central-1", any_of=[("instanceType", ("c7i.large", "c7a.large"))], **LINUX)
    assert {each["product"]["attributes"]["instanceType"] for each in found} == {"c7i.large", "c7a.large"}


def test_disks_and_addresses_have_prices(cloud):
    (disk,) = products(cloud, regionCode="us-east-1", volumeApiName="gp3")
    assert usd(disk) == 0.08
    (address,) = products(cloud, service="AmazonVPC", regionCode="us-east-1", group="VPCPublicIPv4Address")
    assert usd(address) == 0.005


def test_quotas_can_be_asked_for_and_set(cloud):
    quotas = cloud.client("service-quotas")
    cloud.quotas["L-1216C47A"] = 32
    found = quotas.get_service_quota(ServiceCode="ec2", QuotaCode="L-1216C47A")["Quota"]
    assert (found["Value"], found["QuotaName"][:17]) == (32.0, "Running On-Demand")
    codes = [each["QuotaCode"] for each in quotas.list_service_quotas(ServiceCode="ec2")["Quotas"]]
    assert codes == ["L-34B43A08", "L-1216C47A"]
    with pytest.raises(ClientError, match="NoSuchResource"):
        quotas.get_service_quota(ServiceCode="ec2", QuotaCode="L-0")


def test_types_are_found_by_requirement_and_zone(ec2):
    asked = {
        "ArchitectureTypes": ["x86_64"],
        "VirtualizationTypes": ["hvm"],
        "InstanceRequirements": {"VCpuCount": {"Min": 4, "Max": 4}, "MemoryMiB": {"Min": 8192, "Max": 8192}},
    }
    pages = ec2.get_paginator("get_instance_types_from_instance_requirements").paginate(**asked)
    names = {each["InstanceType"] for page in pages for each in page["InstanceTypes"]}
    assert {"c7i.xlarge", "c7a.xlarge"} <= names
    assert not names & {"m7i.xlarge", "c7g.xlarge", "t3.xlarge"}
    offered = ec2.describe_instance_type_offerings(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": ["c7i.xlarge"]}]
    )["InstanceTypeOfferings"]
    assert "us-east-1a" in {each["Location"] for each in offered}
