"""Service quotas for standard instances, counted in CPUs of what runs, for spot and on-demand apart.

Codes and names are those of the Service Quotas console. A launch beyond the quota gets as many as fit in a fleet, with
MaxSpotInstanceCountExceeded or VcpuLimitExceeded for the rest, as "Error codes for the Amazon EC2 API" has them.
Simplified: other families (GPUs and the like) have no quota.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..api import wire
from ..fleets.capacity import ON_DEMAND, SPOT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..cloud import Cloud

CODES = {SPOT: "L-34B43A08", ON_DEMAND: "L-1216C47A"}
NAMES = {
    "L-34B43A08": "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests",
    "L-1216C47A": "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
}


class Quotas:
    """The CPUs that may run in each region, by the quota's code. Settable: `cloud.quotas["L-34B43A08"] = 32`."""

    def __init__(self) -> None:
        self._values: dict[str, float] = dict.fromkeys(NAMES, 100_000.0)

    def __setitem__(self, code: str, vcpus: float) -> None:
        self._values[CODES.get(code, code)] = float(vcpus)

    def __getitem__(self, code: str) -> float:
        return self._values[CODES.get(code, code)]


def exceeded(market: str, quota: float) -> tuple[str, str]:
    """Code and message for a launch beyond the quota."""
    if market == SPOT:
        return "MaxSpotInstanceCountExceeded", "Max spot instance count exceeded"
    return (
        "VcpuLimitExceeded",
        (
            f"You have requested more vCPU capacity than your current vCPU limit of {quota:.0f} allows for the instance"
            " bucket that the specified instance type belongs to. Please visit"
            " http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit."
        ),
    )


def _quota(cloud: Cloud, code: str, region: str) -> dict[str, Any]:
    return {
        "ServiceCode": "ec2",
        "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
        "QuotaArn": f"arn:aws:servicequotas:{region}:123456789012:ec2/{code}",
        "QuotaCode": code,
        "QuotaName": NAMES[code],
        "Value": cloud.quotas[code],
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }


def get_service_quota(cloud: Cloud, request: wire.Request) -> Mapping[str, Any]:
    """One quota."""
    code = request.params["QuotaCode"]
    if request.params["ServiceCode"] != "ec2" or code not in NAMES:
        raise wire.AwsError("NoSuchResourceException", "The request failed because the specified quota does not exist.")
    return {"Quota": _quota(cloud, code, request.region)}


def list_service_quotas(cloud: Cloud, request: wire.Request) -> Mapping[str, Any]:
    """Both of them."""
    codes = NAMES if request.params["ServiceCode"] == "ec2" else ()
    return {"Quotas": [_quota(cloud, code, request.region) for code in codes]}


HANDLERS = {
    ("servicequotas", "GetServiceQuota"): get_service_quota,
    ("servicequotas", "ListServiceQuotas"): list_service_quotas,
}
