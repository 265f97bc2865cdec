"""The shared home, as root of a node sees it: through a process of the cluster user's, which may hang."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from pathlib import Path
from typing import Any

from . import home_files

_WAIT_S = 10.0
_LENGTH = 64 << 20


class Home:
    """The folder ``.clusterctl`` of the home, and that of detached maps.

    Args:
        folder: the home.
        maps: the folder of the maps that the master keeps.
    """

    def __init__(self, folder: str, maps: str) -> None:
        self._place, self._maps = Path(folder) / ".clusterctl", Path(maps)
        self._home = Path(folder)
        self._stuck: subprocess.Popen[str] | None = None
        loader: Any = home_files.__loader__
        self._program: str = loader.get_source(home_files.__name__)

    def look(self, name: str = "", text: str = "", *, unfetched: bool = False) -> dict[str, Any]:
        """Write a file if one is named, and return what is there. See `home_files.look`.

        Raises:
            OSError: the home does not answer, or cannot be written.
        """
        if self._stuck is not None and self._stuck.poll() is None:
            raise OSError("the home does not answer")
        self._stuck = None
        if os.geteuid() == self.uid():  # a local node's: it is on this computer
            if name:
                home_files.write(self._place, name, text)
            return home_files.look(self._place, self._maps, unfetched=unfetched)
        places = {"place": str(self._place), "maps": str(self._maps)}
        asked = json.dumps({**places, "write": name, "text": text, "unfetched": unfetched})
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", self._program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            **self.user(),
        )
        try:
            answer, trouble = process.communicate(f"{asked}\n", timeout=_WAIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            self._stuck = process
            raise OSError("the home does not answer") from None
        if process.returncode:
            raise OSError(trouble.strip().rpartition("\n")[2] or "the home cannot be read")
        try:
            content = json.loads(answer[:_LENGTH])
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise OSError("the home cannot be read")
        return content

    def user(self) -> dict[str, Any]:
        """Return how a process is begun as the cluster user: whom the home belongs to.

        Raises:
            OSError: there is no home.
        """
        owner = self._home.stat()
        if os.geteuid() != 0 or owner.st_uid == 0:
            return {}
        return {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}

    def environment(self) -> dict[str, str]:
        """Return the variables of a process of the cluster user's."""
        owner = self._home.stat().st_uid
        try:
            name = pwd.getpwuid(owner).pw_name
        except KeyError:
            name = str(owner)
        own = {name_: value for name_, value in os.environ.items() if not name_.startswith("SUPERVISOR_")}
        return {**own, "HOME": str(self._home), "USER": name, "LOGNAME": name}

    @property
    def folder(self) -> Path:
        """The home."""
        return self._home

    def uid(self) -> int:
        """Return the cluster user."""
        return self._home.stat().st_uid
