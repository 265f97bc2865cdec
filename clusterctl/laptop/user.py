"""Who uses this computer."""

import getpass


def laptop_user() -> str:
    """Return the name of the user of this computer, or ``cluster`` if there is none."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # neither a variable nor a name for the uid, as in a container
        return "cluster"
