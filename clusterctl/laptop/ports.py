"""Whose program listens on a port of this computer: its number alone says nothing."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

_LISTENS = "0A"
_LOOPBACK = ("0100007F", "0000000000000000FFFF00000100007F")
"""127.0.0.1 as the kernel writes it, and as a socket for IPv6 has it."""
_ANY = ("0" * 8, "0" * 32)


if sys.platform == "win32":

    def is_another_users(port: int) -> bool:
        """Return False: the system does not tell whose program listens."""
        del port
        return False

else:

    def is_another_users(port: int, *, tables: Path = Path("/proc/net")) -> bool:
        """Return whether whoever connects to this port of 127.0.0.1 reaches a program of another user, not root's.

        Where the system does not tell, and where nobody listens, it is nobody else's.
        """
        if not tables.is_dir():
            return False
        users: dict[str, set[int]] = {}
        for name in ("tcp", "tcp6"):
            with suppress(OSError):
                for line in (tables / name).read_text(encoding="ascii", errors="replace").splitlines()[1:]:
                    words = line.split()
                    address, _, number = words[1].rpartition(":")
                    if words[3] == _LISTENS and int(number, 16) == port:
                        users.setdefault(address, set()).add(int(words[7]))
        for addresses in (_LOOPBACK, _ANY):  # a socket for this very address has the connection
            owners = {uid for address in addresses for uid in users.get(address, ())}
            if owners:
                return not owners <= {0, os.geteuid()}
        return False
