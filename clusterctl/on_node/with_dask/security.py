"""What a member of the cluster shows to the others, and believes of them."""

from __future__ import annotations

from typing import Any

from distributed.security import Security


def security_of(document: dict[str, Any]) -> Security:
    """Return the certificates of a document, for all roles: whoever has them is a member."""
    roles = ("client", "scheduler", "worker")
    own = {f"tls_{role}_{part}": document[part] for role in roles for part in ("cert", "key")}
    return Security(tls_ca_file=document["ca"], require_encryption=True, **own)
