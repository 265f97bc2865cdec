"""User data of an instance: a known host key and the key that may log in. It has no other secret.

The image's cloud-init runs it as a cloud-config. Every user of the account who may describe the instance can read it,
and so can root on the node. Therefore its host key is temporary, and is replaced at the first login.
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

from clusterctl.providers.ec2.instances import LOGIN_USER

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from clusterctl.secret import Secret

LIMIT_BYTES = 16384
"""Most bytes that EC2 takes, before base64 (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html)."""
_TIMER = "clusterctl-lifetime"
_METADATA = ("169.254.169.254/32", "fd00:ec2::254/128")
_CONNECT_USER = "ec2-instance-connect"
NETWORKD = "/etc/systemd/system/systemd-networkd.service.d/clusterctl.conf"
"""Is there where the metadata service is closed to users; `doctor` looks for it (operations/doctor/nodes.py)."""
# Units that would keep the package manager's lock, or the disk busy, while the node joins.
_NOISE = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "apt-daily.service", "apt-daily-upgrade.service"),
    *("unattended-upgrades.service", "man-db.timer", "motd-news.timer", "e2scrub_all.timer"),
)


@dataclass(frozen=True)
class UserData:
    """The content of the user data."""

    host_key: Secret
    """The private half of the temporary host key."""
    host_key_public: str
    login_key: str
    """The public key that may log in."""
    metadata_closed: bool = True
    """Only root may reach the metadata service."""
    ends_at: int | None = None
    """When the node ends by itself, in seconds since 1970, if nobody tells it another time until then."""
    ends_at_boot: bool = True
    """A node that was off then ends at its next boot."""
    scripts: tuple[Path, ...] = ()


def encode_user_data(birth: UserData) -> str:
    """Return the user data in the form that EC2 takes: base64, of gzip if that is needed to fit.

    Raises:
        ValueError: it is too long.
    """
    raw = _render_text(birth).encode()
    if len(raw) > LIMIT_BYTES:
        raw = gzip.compress(raw, mtime=0)
    if len(raw) > LIMIT_BYTES:
        raise ValueError(f"the user-data has {len(raw)} bytes compressed, and EC2 takes {LIMIT_BYTES}")
    return base64.b64encode(raw).decode("ascii")


def _render_text(birth: UserData) -> str:
    config = "#cloud-config\n" + json.dumps(_cloud_config(birth), indent=1)
    if not birth.scripts:
        return config
    parts = MIMEMultipart()
    parts.attach(MIMEText(config, "cloud-config", "us-ascii"))
    for script in birth.scripts:
        part = MIMEText(script.read_text(encoding="utf-8"), "x-shellscript", "utf-8")
        part.add_header("Content-Disposition", "attachment", filename=script.name)
        parts.attach(part)
    return parts.as_string()


def _cloud_config(birth: UserData) -> dict[str, Any]:
    # No empty values: cloud-init reports them as errors, newer versions on the console and in their status.
    files = [] if birth.ends_at is None else _lifetime_units(birth.ends_at, at_boot=birth.ends_at_boot)
    started = [] if birth.ends_at is None else [["systemctl", "enable", "--now", f"{_TIMER}.timer"]]
    if birth.metadata_closed:
        files.append({"path": NETWORKD, "content": _networkd_drop_in()})
    units = {"write_files": files, "runcmd": [["systemctl", "daemon-reload"], *started]} if files else {}
    return {
        "ssh_deletekeys": True,
        "ssh_keys": {"ed25519_private": birth.host_key.reveal(), "ed25519_public": birth.host_key_public},
        "ssh_pwauth": False,
        "users": [
            "default",
            {
                "name": LOGIN_USER,
                "gecos": "clusterctl",
                "shell": "/bin/bash",
                "lock_passwd": True,
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "ssh_authorized_keys": [birth.login_key],
            },
        ],
        # clusterctl sets host names. Debian's images would overwrite both files at every boot.
        "preserve_hostname": True,
        "manage_etc_hosts": False,
        "package_update": False,
        "package_upgrade": False,
        # At every boot.
        "bootcmd": [*_boot_commands(birth)],
        **units,
    }


def _boot_commands(birth: UserData) -> Sequence[list[str]]:
    quiet = f"systemctl --quiet mask --now {' '.join(_NOISE)} 2>/dev/null || true"
    commands = [["cloud-init-per", "instance", "clusterctl-quiet", "sh", "-c", quiet]]
    if birth.metadata_closed:
        commands += [["sh", "-c", command] for command in _closing_commands()]
    return commands


def _closing_commands() -> list[str]:
    """Return the commands that close the metadata service to all users but root, and the one who asks for sshd.

    Users of a node must not get the credentials of the instance role. The routing table does that without a package.
    systemd-networkd takes away the rules of others when it starts anew, but none of the kernel's
    (https://github.com/systemd/systemd/issues/22077).
    """
    commands = []
    for network in _METADATA:
        ip = "ip -6" if ":" in network else "ip"
        rule = f"{ip} rule add to {network} uidrange 1-4294967294 prohibit pref 100"
        commands.append(f"{rule} protocol kernel 2>/dev/null || {rule} 2>/dev/null || true")
        # sshd asks EC2 Instance Connect for keys as a user of that package, whom nobody else can become.
        find = f"u=$(id -u {_CONNECT_USER} 2>/dev/null)"
        open_rule = f"{ip} rule add to {network} uidrange $u-$u lookup main pref 99"
        commands.append(f"{find} && {{ {open_rule} protocol kernel 2>/dev/null || {open_rule} 2>/dev/null; }} || true")
    return commands


def _networkd_drop_in() -> str:
    """Return what makes the rules again whenever systemd-networkd starts anew; those that are there are refused."""
    # systemd takes $u for a variable of its own, and a quotation mark for the end of the command.
    lines = [f"ExecStartPost=+-/bin/sh -c '{command.replace('$', '$$')}'" for command in _closing_commands()]
    return "\n".join(["[Service]", *lines, ""])


def _lifetime_units(ends_at: int, *, at_boot: bool) -> list[dict[str, str]]:
    """Return the files of a systemd timer that switches the node off.

    It is for a node that never joins: the watch of one that has joined takes its place.
    """
    when = datetime.fromtimestamp(ends_at, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    timer = (
        f"[Unit]\nDescription=End this node when its time is over\n[Timer]\nOnCalendar={when}\n"
        f"Persistent={'true' if at_boot else 'false'}\n[Install]\nWantedBy=timers.target\n"
    )
    service = "[Service]\nType=oneshot\nExecStart=/bin/systemctl poweroff\n"
    folder = "/etc/systemd/system"
    return [
        {"path": f"{folder}/{_TIMER}.timer", "content": timer},
        {"path": f"{folder}/{_TIMER}.service", "content": service},
    ]
