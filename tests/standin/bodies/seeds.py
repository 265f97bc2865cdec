"""What an instance learns about itself, as cloud-init's data source NoCloud reads it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..instances.machine_view import Machine


def hostname(machine: Machine) -> str:
    """The name that Amazon gives it by default."""
    return f"ip-{machine.private_address.replace('.', '-')}"


def seed(machine: Machine) -> Mapping[str, bytes]:
    """The files of a seed by their names. The user data is as it was given: text, packed, or of several parts."""
    facts = {
        "instance-id": machine.id,
        "local-hostname": hostname(machine),
        "public-keys": [machine.public_key] if machine.public_key else [],
    }
    return {"meta-data": json.dumps(facts).encode(), "user-data": machine.user_data}
