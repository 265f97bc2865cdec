"""Key pairs of an account: made, imported, deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.errors import UsageError
from clusterctl.files import expand_user
from clusterctl.identity.keys import create_private_file, extract_public_key
from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.account import key_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.secret import Secret


@dataclass(frozen=True)
class KeyRequest:
    """A key pair that is wanted."""

    name: str
    kind: str
    """``ed25519`` or ``rsa``; of one that is made."""
    source: Path | None = None
    """A private or public key of the user's, for EC2 to know; None for one that EC2 makes."""
    output: Path | None = None
    """The file to write the private key to; None to return it."""


def add_key_pair(aws: Aws, request: KeyRequest, *, owner: str) -> Secret | None:
    """Let EC2 know a key pair. Return the private key if EC2 made it and it is in no file; AWS keeps none."""
    if request.output and request.source:
        raise UsageError(
            "-o and -i: the private key of what is imported is there already", remedy="leave one of them out"
        )
    marks = {tags.OWNER: owner, tags.NAME: request.name}
    if request.source:
        public_key = _read_public_key(request.source)
        key_pairs.import_key_pair(aws, request.name, public_key=public_key, resource_tags=marks)
        return None
    if not request.output:
        return key_pairs.create_key_pair(aws, request.name, key_type=request.kind, resource_tags=marks)
    with create_private_file(request.output) as write:
        made = key_pairs.create_key_pair(aws, request.name, key_type=request.kind, resource_tags=marks)
        write(made.reveal())
    return None


def select_existing(aws: Aws, names: Sequence[str]) -> list[str]:
    """Return those of the names that are key pairs of the region."""
    existing = {pair.name for pair in key_pairs.list_key_pairs(aws)}
    return [name for name in names if name in existing]


def _read_public_key(path: Path) -> str:
    try:
        return extract_public_key(expand_user(path).read_text(encoding="utf-8"))
    except OSError as exc:
        raise UsageError(f"{path} cannot be read: {exc.strerror or exc}", remedy="correct the path") from exc
    except ValueError as exc:
        raise UsageError(
            f"{path} is no key without a passphrase: {exc}", remedy="name the public key, such as ~/.ssh/id_ed25519.pub"
        ) from exc
