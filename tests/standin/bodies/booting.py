"""What lets the time of a boot pass that a container does not need: its SSH server starts late."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..instances.machine_view import Machine

SCRIPT = "usr/local/sbin/body-ssh"
MOMENT = "var/lib/body/answers-at"
"""From when on it runs: milliseconds since 1970 by this computer's clock."""
_UNIT = "etc/systemd/system/ssh.service.d/body.conf"
_SLEEP = f"""#!/bin/sh
set -eu
left=$(($(cat /{MOMENT}) - $(date +%s%3N)))
[ "$left" -le 0 ] || exec sleep "$((left / 1000)).$(printf %03d $((left % 1000)))"
"""


def late_server(machine: Machine) -> Mapping[str, bytes]:
    """The files of a machine whose SSH server starts at its moment and not before; none without such a moment."""
    if machine.answers_at is None:
        return {}
    unit = f"[Service]\nExecStartPre=/bin/sh /{SCRIPT}\nTimeoutStartSec=10min\n"
    files = {MOMENT: f"{machine.answers_at.timestamp() * 1000:.0f}\n", SCRIPT: _SLEEP, _UNIT: unit}
    return {name: text.encode() for name, text in files.items()}
