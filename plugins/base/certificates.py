"""The certificates that nodes shall trust, from files on this computer."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from clusterctl.api import PluginError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def read_certificates(paths: Iterable[Path]) -> Mapping[str, str]:
    """Return every certificate that the files hold, by its file name on the node.

    Raises:
        PluginError: a file cannot be read, or holds none.
    """
    pem_by_name: dict[str, str] = {}
    for path in paths:
        try:
            certificates = _CERTIFICATE.findall(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as exc:
            raise PluginError(f"cannot read {path}: {exc}", remedy="correct CA_CERTIFICATES in [plugin base]") from exc
        if not certificates:
            raise PluginError(
                f"{path} holds no certificate", remedy="name a PEM file, with lines -----BEGIN CERTIFICATE-----"
            )
        for pem in certificates:
            pem_by_name[f"clusterctl-{hashlib.sha256(pem.encode()).hexdigest()[:12]}.crt"] = pem
    return pem_by_name
