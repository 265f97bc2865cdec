"""The process that minds a tunnel: it makes the forwarding one anew when that has ended or is frozen.

The forwarding one starts it, and starts it again when it ends: each looks after the other until the cluster needs no
tunnel any more. It loads little: no SSH.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl.laptop.processes import forget_children
from clusterctl.tunnel import holders, process

if TYPE_CHECKING:
    from collections.abc import Callable

_SILENT_LOOKS = 4
"""In a row, before the forwarding process is taken for frozen. A laptop that slept has slept through none of them."""


class Minder:
    """What is known of the forwarding process of a folder."""

    def __init__(self, folder: Path, start: Callable[[Path], None]) -> None:
        self._folder = folder
        self._start = start
        self._last: float | None = None
        self._silent = 0

    def look(self) -> bool:
        """Look once; start another forwarding process if it must be. Return False if no tunnel is wanted any more."""
        if not (self._folder / process.TUNNEL_FILE).exists():
            return False
        forwarder = self._folder / holders.FORWARDER_FILE
        beaten = holders.last_beat(self._folder)
        self._silent = self._silent + 1 if beaten is not None and beaten == self._last else 0
        self._last = beaten
        alive = holders.holder_pid(forwarder) is not None
        if alive and self._silent < _SILENT_LOOKS:
            return True
        self._silent = 0
        if not process.can_be_opened(self._folder):
            return True  # the next `start` writes it anew
        holders.end_holder(forwarder)
        holders.beat(self._folder)
        self._start(self._folder)
        return True


def main() -> None:
    """Mind the tunnel of a folder: `python -m clusterctl.tunnel.minder FOLDER`."""
    folder = Path(sys.argv[1])
    with holders.hold(folder / holders.MINDER_FILE) as mine:
        minder = Minder(folder, process.start_patient)
        pause = threading.Event()
        while mine and minder.look():
            pause.wait(holders.BEAT_S)
            forget_children()


if __name__ == "__main__":
    main()
