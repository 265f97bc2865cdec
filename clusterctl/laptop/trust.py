"""Whom uv trusts: the authorities that this computer trusts, as pip does, a company's own among them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_SYSTEM_STORES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, Amazon Linux
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",
)
"""Where Linux has the certificates of the authorities that it trusts."""


def system_trust(environ: Mapping[str, str]) -> dict[str, str]:
    """Return variables with which uv trusts whom this computer trusts; without them it has a list of its own.

    None where the system has no list, or the user has chosen one.

    Args:
        environ: the user's environment.
    """
    # Two names: uv has renamed it.
    names = ("UV_SYSTEM_CERTS", "UV_NATIVE_TLS")
    known = sys.platform != "linux" or any(Path(store).exists() for store in _SYSTEM_STORES)
    return dict.fromkeys(names, "true") if known and not environ.keys() & {*names, "SSL_CERT_FILE"} else {}
