"""Key pairs of an account: the public halves that EC2 puts on instances of one's own choosing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.errors import UsageError
from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.aws import AwsError
from clusterctl.secret import Secret
from clusterctl.text import utc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clusterctl.providers.ec2.aws import Aws


@dataclass(frozen=True)
class KeyPair:
    """A key pair, ours or not."""

    name: str
    id: str
    type: str
    fingerprint: str
    created: str
    owner: str
    """Empty for one that clusterctl did not make."""


def key_pairs(aws: Aws) -> list[KeyPair]:
    """All key pairs of the region, sorted by name."""
    found = aws.call("ec2", "describe_key_pairs")["KeyPairs"]
    return sorted(
        (
            KeyPair(
                name=each["KeyName"],
                id=each.get("KeyPairId", ""),
                type=each.get("KeyType", ""),
                fingerprint=each.get("KeyFingerprint", ""),
                created=utc(each.get("CreateTime")),
                owner=tags.tags_of(each).get(tags.OWNER, ""),
            )
            for each in found
        ),
        key=lambda pair: pair.name,
    )


def create(aws: Aws, name: str, *, kind: str, marks: Mapping[str, str]) -> Secret:
    """Make a key pair; returns the private key, which AWS does not keep.

    Args:
        aws: the account.
        name: of the pair.
        kind: ``ed25519`` or ``rsa``.
        marks: its tags.

    Raises:
        UsageError: there is one of this name.
    """
    try:
        made = aws.call(
            "ec2",
            "create_key_pair",
            KeyName=name,
            KeyType=kind,
            TagSpecifications=tags.specifications(marks, "key-pair"),
        )
    except AwsError as exc:
        raise _better(name, exc) from exc
    return Secret(made["KeyMaterial"])


def bring(aws: Aws, name: str, *, public_key: str, marks: Mapping[str, str]) -> None:
    """Let EC2 know a key that there is.

    Args:
        aws: the account.
        name: of the pair.
        public_key: as OpenSSH writes it.
        marks: its tags.

    Raises:
        UsageError: there is one of this name.
    """
    try:
        aws.call(
            "ec2",
            "import_key_pair",
            KeyName=name,
            PublicKeyMaterial=public_key.encode(),
            TagSpecifications=tags.specifications(marks, "key-pair"),
        )
    except AwsError as exc:
        raise _better(name, exc) from exc


def _better(name: str, exc: AwsError) -> UsageError | AwsError:
    if exc.code != "InvalidKeyPair.Duplicate":
        return exc
    return UsageError(
        f"there is a key pair {name} already", remedy=f"take another name, or `clusterctl removekey {name}`"
    )


def remove(aws: Aws, name: str) -> None:
    """Delete a key pair. Not being there is success."""
    aws.call("ec2", "delete_key_pair", KeyName=name)
