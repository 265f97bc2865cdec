"""What the account is like: the plan that it has, and the key of its disks.

From "Amazon EC2 Free Tier usage": an account of the free plan may launch a few small types only, and EC2 says of others
what users have quoted. From "How Amazon EBS encryption works": an instance whose disk's key cannot be used is launched,
and ends at once with Client.InternalError.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moto.ec2.models.instance_types import INSTANCE_TYPES

from .api import wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .cloud import Cloud

_OWN_KEY = "alias/aws/ebs"


@dataclass
class Account:
    """Settable by a test."""

    free_plan: bool = False
    """Only types of the free plan may be launched."""
    disk_key: str = _OWN_KEY
    """The key of KMS for disks that name none."""


def check_plan(cloud: Cloud, name: str) -> None:
    """Raise what EC2 says to a type that the account's plan does not have."""
    if cloud.account.free_plan and not INSTANCE_TYPES[name].get("FreeTierEligible"):
        message = (
            "The specified instance type is not eligible for Free Tier. For a list of Free Tier instance types, run"
            " 'describe-instance-types' with the filter 'free-tier-eligible=true'."
        )
        raise wire.AwsError("InvalidParameterCombination", message)


def opens(cloud: Cloud, region: str, key: str) -> bool:
    """Whether EC2 may use this key, or the account's, for a disk."""
    key = key or cloud.account.disk_key
    if key.endswith(_OWN_KEY):
        return True
    backend = cloud.moto.backend("kms", region)
    try:
        identity = backend.any_id_to_key_id(key)
        return bool(backend.describe_key(identity).enabled)
    except Exception:  # noqa: BLE001  moto has no such key
        return False


def get_ebs_default_kms_key_id(cloud: Cloud, _: wire.Request) -> Mapping[str, Any]:
    """The key of disks that name none."""
    return {"KmsKeyId": cloud.account.disk_key}


HANDLERS = {("ec2", "GetEbsDefaultKmsKeyId"): get_ebs_default_kms_key_id}
