"""Key pairs of an account: public keys that EC2 installs on instances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.errors import UsageError
from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.answers.rows import Kind
from clusterctl.providers.ec2.aws import AwsError
from clusterctl.secret import Secret
from clusterctl.text import format_utc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clusterctl.providers.ec2.aws import Aws


@dataclass(frozen=True)
class KeyPair:
    """A key pair, made by clusterctl or not."""

    name: str
    id: str
    type: str
    fingerprint: str
    created: str
    owner: str
    """Empty if clusterctl did not make it."""


def list_key_pairs(aws: Aws) -> list[KeyPair]:
    """Return all key pairs of the region, sorted by name."""
    described = aws.call("ec2", "describe_key_pairs")["KeyPairs"]
    return sorted(
        (
            KeyPair(
                name=raw["KeyName"],
                id=raw.get("KeyPairId", ""),
                type=raw.get("KeyType", ""),
                fingerprint=raw.get("KeyFingerprint", ""),
                created=format_utc(raw.get("CreateTime")),
                owner=tags.tags_of(raw).get(tags.OWNER, ""),
            )
            for raw in described
        ),
        key=lambda pair: pair.name,
    )


def create_key_pair(aws: Aws, name: str, *, key_type: str, resource_tags: Mapping[str, str]) -> Secret:
    """Make a key pair; return the private key, which AWS does not keep.

    Args:
        aws: the account.
        name: of the pair.
        key_type: ``ed25519`` or ``rsa``.
        resource_tags: its tags.

    Raises:
        UsageError: there is one of this name.
    """
    try:
        answer = aws.call(
            "ec2",
            "create_key_pair",
            KeyName=name,
            KeyType=key_type,
            TagSpecifications=tags.tag_specifications(resource_tags, "key-pair"),
        )
    except AwsError as exc:
        raise _duplicate_error(name, exc) from exc
    return Secret(answer["KeyMaterial"])


def import_key_pair(aws: Aws, name: str, *, public_key: str, resource_tags: Mapping[str, str]) -> None:
    """Import an existing public key.

    Args:
        aws: the account.
        name: of the pair.
        public_key: as OpenSSH writes it.
        resource_tags: its tags.

    Raises:
        UsageError: there is one of this name.
    """
    try:
        aws.call(
            "ec2",
            "import_key_pair",
            KeyName=name,
            PublicKeyMaterial=public_key.encode(),
            TagSpecifications=tags.tag_specifications(resource_tags, "key-pair"),
        )
    except AwsError as exc:
        raise _duplicate_error(name, exc) from exc


def _duplicate_error(name: str, exc: AwsError) -> UsageError | AwsError:
    if exc.kind != Kind.TAKEN:
        return exc
    return UsageError(
        f"there is a key pair {name} already ({exc.code})",
        remedy=f"take another name, or `clusterctl removekey {name}`",
    )


def delete_key_pair(aws: Aws, name: str) -> None:
    """Delete a key pair. A missing one is success."""
    aws.call("ec2", "delete_key_pair", KeyName=name)
