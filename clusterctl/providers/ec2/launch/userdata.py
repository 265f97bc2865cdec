"""What an instance is told at its birth: a host key that we know, who may log in, and nothing else that is secret.

It is a cloud-config, run by the image's cloud-init. Everybody who may describe the instance can read it, and so can
root on the node: the host key in it is a throw-away one, replaced at first contact.
"""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass
from datetime import datetime, timezone
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import TYPE_CHECKING, Any

from clusterctl.providers.ec2.instances import LOGIN

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from clusterctl.secret import Secret

LIMIT = 16384
"""Bytes that EC2 takes, before base64 (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html)."""
_TIMER = "clusterctl-lifetime"
_METADATA = ("169.254.169.254/32", "fd00:ec2::254/128")
# What would hold the package manager's lock, or the disk, while the node joins.
_NOISE = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "apt-daily.service", "apt-daily-upgrade.service"),
    *("unattended-upgrades.service", "man-db.timer", "motd-news.timer", "e2scrub_all.timer"),
)


@dataclass(frozen=True)
class Birth:
    """What a node is born with."""

    host_key: Secret
    """The private half of the throw-away host key."""
    host_key_public: str
    login_key: str
    """The public key that is let in."""
    metadata_closed: bool = True
    """Only root may ask the metadata service."""
    ends_at: int | None = None
    """When it ends itself, in seconds since 1970."""
    scripts: tuple[Path, ...] = ()


def encode(birth: Birth) -> str:
    """As EC2 takes it: base64, of gzip where that is needed to fit.

    Raises:
        ValueError: it does not fit.
    """
    raw = _text(birth).encode()
    if len(raw) > LIMIT:
        raw = gzip.compress(raw, mtime=0)
    if len(raw) > LIMIT:
        raise ValueError(f"the user-data has {len(raw)} bytes compressed, and EC2 takes {LIMIT}")
    return base64.b64encode(raw).decode("ascii")


def _text(birth: Birth) -> str:
    config = "#cloud-config\n" + json.dumps(_config(birth), indent=1)
    if not birth.scripts:
        return config
    parts = MIMEMultipart()
    parts.attach(MIMEText(config, "cloud-config", "us-ascii"))
    for script in birth.scripts:
        part = MIMEText(script.read_text(encoding="utf-8"), "x-shellscript", "utf-8")
        part.add_header("Content-Disposition", "attachment", filename=script.name)
        parts.attach(part)
    return parts.as_string()


def _config(birth: Birth) -> dict[str, Any]:
    # Nothing empty: cloud-init calls that wrong, newer ones on the console and in their status.
    lifetime = {} if birth.ends_at is None else _lifetime(birth.ends_at)
    return {
        "ssh_deletekeys": True,
        "ssh_keys": {"ed25519_private": birth.host_key.reveal(), "ed25519_public": birth.host_key_public},
        "ssh_pwauth": False,
        "users": [
            "default",
            {
                "name": LOGIN,
                "gecos": "clusterctl",
                "shell": "/bin/bash",
                "lock_passwd": True,
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "ssh_authorized_keys": [birth.login_key],
            },
        ],
        # Names are ours: Debian's images would write both anew at every boot.
        "preserve_hostname": True,
        "manage_etc_hosts": False,
        "package_update": False,
        "package_upgrade": False,
        # At every boot.
        "bootcmd": [*_boot(birth)],
        **lifetime,
    }


def _boot(birth: Birth) -> Sequence[list[str]]:
    quiet = f"systemctl --quiet mask --now {' '.join(_NOISE)} 2>/dev/null || true"
    commands = [["cloud-init-per", "instance", "clusterctl-quiet", "sh", "-c", quiet]]
    if birth.metadata_closed:
        # Whoever works on a node must not take over the role that the instance has. By the routing table, which needs
        # no package.
        for network in _METADATA:
            ip = "ip -6" if ":" in network else "ip"
            rule = f"{ip} rule add to {network} uidrange 1-4294967294 prohibit pref 100"
            commands.append(["sh", "-c", f"{rule} 2>/dev/null || true"])
    return commands


def _lifetime(ends_at: int) -> dict[str, Any]:
    """A timer that ends the node, whoever may have forgotten it. One that was off then ends at its next boot."""
    when = datetime.fromtimestamp(ends_at, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    timer = (
        f"[Unit]\nDescription=End this node when its time is over\n[Timer]\nOnCalendar={when}\nPersistent=true\n"
        "[Install]\nWantedBy=timers.target\n"
    )
    service = "[Service]\nType=oneshot\nExecStart=/bin/systemctl poweroff\n"
    folder = "/etc/systemd/system"
    return {
        "write_files": [
            {"path": f"{folder}/{_TIMER}.timer", "content": timer},
            {"path": f"{folder}/{_TIMER}.service", "content": service},
        ],
        "runcmd": [["systemctl", "daemon-reload"], ["systemctl", "enable", "--now", f"{_TIMER}.timer"]],
    }
