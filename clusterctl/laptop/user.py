"""Who uses this computer."""

import getpass
import socket


def laptop_user() -> str:
    """Return the name of the user of this computer, or ``cluster`` if there is none."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # neither a variable nor a name for the uid, as in a container
        return "cluster"


def user_and_laptop() -> str:
    """Return who works where, for others who share a cluster, such as ``ada@desk``."""
    return f"{laptop_user()}@{socket.gethostname()}"
