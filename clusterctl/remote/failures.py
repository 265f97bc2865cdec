"""Remedies for well-known failures of commands on nodes, chosen by their output."""

from __future__ import annotations

_NO_SUDO = "log in as root (USER = root), or install sudo on that host"
_NO_RIGHTS = "log in as root, or put the line `{user} ALL=(ALL) NOPASSWD: ALL` into a file in /etc/sudoers.d there"
_REMEDIES = (
    ("sudo: a password is required", _NO_RIGHTS),
    ("is not in the sudoers file", _NO_RIGHTS),
    ("is not allowed to execute", _NO_RIGHTS),
    ("sudo: sorry, you must have a tty", "take `Defaults requiretty` out of /etc/sudoers there, or log in as root"),
    ("sudo: not found", _NO_SUDO),
    ("sudo: command not found", _NO_SUDO),
    ("unknown command: sudo", _NO_SUDO),
    ("No space left on device", "free some space on that node's disk, then run the same command again"),
    ("Disk quota exceeded", "free some space in that user's quota, then run the same command again"),
    (
        "invalid peer certificate",
        "that node does not trust the index's certificate: name your authority's in CA_CERTIFICATES of [plugin base]",
    ),
    (
        "Failed to fetch",
        "the package index is out of reach from that node: check its network and proxy, or set UV_DEFAULT_INDEX",
    ),
    (
        "error sending request",
        "the package index is out of reach from that node: check its network and proxy, or set UV_DEFAULT_INDEX",
    ),
    ("No interpreter found", "install the same Python minor version on that node as clusterctl runs on"),
)


def remedy_for(output: str, *, user: str) -> str:
    """Return the remedy for a failed command, or an empty text if none is known.

    Args:
        output: the text that the command printed.
        user: the user who is logged in on the node.
    """
    lowered = output.lower()
    return next((remedy for sign, remedy in _REMEDIES if sign.lower() in lowered), "").replace("{user}", user)
