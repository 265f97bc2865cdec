"""The check of the key that the nodes' disks are encrypted with.

EC2 launches an instance whose disk it may not open, and ends it at once with Client.InternalError.
Source: https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.model import Market
from clusterctl.providers.ec2.answers.rows import Kind
from clusterctl.providers.ec2.aws import AwsError
from clusterctl.providers.ec2.checks.context import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clusterctl.providers.ec2.checks.context import CheckContext

_OURS = "alias/aws/ebs"
"""AWS's own key of an account: it always works."""
_SPOT_ROLE = "role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"


def find_unusable_keys(context: CheckContext) -> Iterator[Finding]:
    """Yield that the key of KMS is not there, is off, or is not granted to spot instances. Three calls at most."""
    key = context.options.kms_key
    if not key:
        key = str(context.aws.call("ec2", "get_ebs_default_kms_key_id")["KmsKeyId"])
    if key.endswith(_OURS):
        return
    named = f"the key {key} of KMS, with which the disks are encrypted,"
    try:
        described = context.aws.call("kms", "describe_key", KeyId=key)["KeyMetadata"]
    except AwsError as exc:
        if exc.kind != Kind.ABSENT:
            raise
        problem = f"{named} is not in {context.aws.region} ({exc.code})"
        yield Finding(problem, "correct KMS_KEY: a key of the same region")
        return
    if described.get("KeyState") != "Enabled":
        yield Finding(
            f"{named} is {described.get('KeyState', 'not usable')}: every instance would end at once",
            "enable the key, or set KMS_KEY to another one",
        )
    elif any(spec.market != Market.ON_DEMAND for spec in context.missing) and described.get("KeyManager") != "AWS":
        yield from _find_missing_grant(context, str(described["Arn"]), named)


def _find_missing_grant(context: CheckContext, key: str, named: str) -> Iterator[Finding]:
    """Yield that the role of spot instances has no grant; the key's policy may let it in all the same."""
    account = key.split(":")[4]
    principal = f":{account}:{_SPOT_ROLE}"
    grants = context.aws.pages("kms", "list_grants", "Grants", KeyId=key)
    if not any(str(grant.get("GranteePrincipal", "")).endswith(principal) for grant in grants):
        yield Finding(
            f"{named} has no grant for spot instances: unless its policy lets their role in, they end at once",
            "see docs/howto/ec2.md#a-key-of-your-own-for-the-disks for the line that grants it",
            stops=False,
        )
