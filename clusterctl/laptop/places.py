"""Where a laptop's system has things, what it lets others do with files, and what it cannot do at all."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

if sys.platform == "win32":
    WITHOUT_LOCAL_NODES = "nodes of the provider local need Linux or macOS on this computer"
    """What is missing for the provider `local`; empty if nothing is."""
    SYSTEM_KNOWN_HOSTS = Path(os.environ.get("PROGRAMDATA") or r"C:\ProgramData") / "ssh" / "ssh_known_hosts"
    """This computer's own list of known host keys."""
    DOCKER_SOCKETS: tuple[str, ...] = ()
    """Sockets of Docker engines, the usual one first; those below the user's home without a slash at the front."""
    DOCKER_PIPE = "npipe:////./pipe/docker_engine"
    """The address of a Docker engine that listens on no socket."""
    DOCKER_START = "open Docker Desktop"
    """How a Docker engine is started."""
    DOCKER_INSTALL = "install Docker Desktop (https://docs.docker.com/desktop/) and open it"
    """How a Docker engine is installed."""

    def agent_address(environ: Mapping[str, str]) -> str | None:
        """Return the address of the user's ssh agent, or None."""
        return environ.get("SSH_AUTH_SOCK") or r"\\.\pipe\openssh-ssh-agent"

    def user_number() -> str:
        """Return the number of the current user, as a name for a user without one. This system has none."""
        return "user"

    def find_python(prefix: Path) -> Path:
        """Return the Python of an environment."""
        usual = prefix / "Scripts" / "python.exe"
        return usual if usual.exists() else prefix / "python.exe"  # in an environment of conda

    def close_to_others(folder: Path) -> None:
        """Let only the user, and the system itself, reach a folder and what will be in it.

        Raises:
            OSError: the folder is not the user's.
        """
        # Without what it inherits. `*S-1-5-18` is the system, whatever its name is in the user's language.
        grants = [f"{os.environ['USERNAME']}:(OI)(CI)F", "*S-1-5-18:(OI)(CI)F"]
        command = ["icacls", str(folder), "/inheritance:r", "/grant:r", *grants]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise PermissionError(done.returncode, (done.stderr or done.stdout).strip())

    def permissions_of(path: Path) -> int | None:
        """Return the permissions of a file for its copy on a node; None where the system has none that compare."""
        del path
        return None

    def is_own(path: Path) -> bool:
        """Return whether a file is the user's. This system lets nobody else write in the user's folder."""
        path.stat()
        return True

    def find_intruder(path: Path) -> str:
        """Return who besides the user could put files of theirs in this place. On this system nobody."""
        del path
        return ""

else:
    WITHOUT_LOCAL_NODES = ""
    """What is missing for the provider `local`; empty if nothing is."""
    SYSTEM_KNOWN_HOSTS = Path("/etc/ssh/ssh_known_hosts")
    """This computer's own list of known host keys."""
    DOCKER_SOCKETS = ("/var/run/docker.sock", ".docker/run/docker.sock", ".docker/desktop/docker.sock")
    """Sockets of Docker engines, the usual one first; those below the user's home without a slash at the front."""
    DOCKER_PIPE = ""
    """The address of a Docker engine that listens on no socket."""
    DOCKER_START = "open Docker Desktop" if sys.platform == "darwin" else "`sudo systemctl start docker`"
    """How a Docker engine is started."""
    DOCKER_INSTALL = (
        "install Docker Desktop (https://docs.docker.com/desktop/) and open it"
        if sys.platform == "darwin"
        else "install one: `sudo apt-get install docker.io`, or Docker Desktop"
    )
    """How a Docker engine is installed."""

    def agent_address(environ: Mapping[str, str]) -> str | None:
        """Return the address of the user's ssh agent, or None."""
        return environ.get("SSH_AUTH_SOCK")

    def user_number() -> str:
        """Return the number of the current user, as a name for a user without one."""
        return str(os.getuid())

    def find_python(prefix: Path) -> Path:
        """Return the Python of an environment."""
        return prefix / "bin" / "python"

    def close_to_others(folder: Path) -> None:
        """Let only the user reach a folder and what will be in it.

        Raises:
            OSError: the folder is not the user's.
        """
        folder.chmod(0o700)

    def permissions_of(path: Path) -> int | None:
        """Return the permissions of a file for its copy on a node; None where the system has none that compare."""
        return stat.S_IMODE(path.stat().st_mode)

    def is_own(path: Path) -> bool:
        """Return whether a file is the user's."""
        return path.stat().st_uid == os.geteuid()

    def find_intruder(path: Path) -> str:
        """Return who besides the user and root could put files of theirs in this place; empty if nobody could.

        Whoever may write in a folder above it may put another folder in its place, unless files there stay their
        owners' (the sticky bit, as in ``/tmp``). A group counts as the user: who is in it is for its owner to say.
        """
        trusted = {0, os.geteuid()}
        with suppress(OSError, RuntimeError):  # the second: nobody says where root's home is
            if not os.geteuid():  # root in a container works in the home of another one, and could be any user anyway
                trusted.add(Path.home().stat().st_uid)
            if (number := _unknown_user()) is not None:
                trusted.add(number)
        whole = Path(os.path.realpath(path))
        for folder in (whole, *whole.parents):
            with suppress(FileNotFoundError, PermissionError):
                status = folder.stat()
                if status.st_uid not in trusted:
                    return f"{folder} belongs to user {status.st_uid}"
                if status.st_mode & stat.S_IWOTH and (folder == whole or not status.st_mode & stat.S_ISVTX):
                    return f"everybody may write in {folder}"
        return ""

    def _unknown_user() -> int | None:
        """Return the number that stands for users who are none here, the real root among them; None where all are."""
        mapped = Path("/proc/self/uid_map")
        if not mapped.exists() or mapped.read_text(encoding="ascii").split() == ["0", "0", "4294967295"]:
            return None
        return int(Path("/proc/sys/kernel/overflowuid").read_text(encoding="ascii"))
