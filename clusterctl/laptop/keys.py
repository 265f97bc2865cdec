"""Keys that somebody presses on the terminal, one by one, while something else goes on."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Wait = Callable[[float], str]
    """Waits for a key, so many seconds at most, and returns it; empty where none was pressed."""

_LOOK_S = 0.1

if sys.platform == "win32":
    import msvcrt

    @contextmanager
    def listening_to_keys(pause: Callable[[float], None]) -> Iterator[Wait]:
        """Have keys come at once, and not with the next line, until the end of the block.

        Args:
            pause: waits so many seconds, where there are no keys.
        """

        def wait(seconds: float) -> str:
            for _ in range(max(1, round(seconds / _LOOK_S))):
                if msvcrt.kbhit():
                    return msvcrt.getwch()
                pause(_LOOK_S)
            return ""

        yield wait if sys.stdin is not None and sys.stdin.isatty() else _without_keys(pause)

else:
    import select
    import termios
    import tty

    @contextmanager
    def listening_to_keys(pause: Callable[[float], None]) -> Iterator[Wait]:
        """Have keys come at once, and not with the next line, until the end of the block.

        Args:
            pause: waits so many seconds, where there are no keys.
        """
        if sys.stdin is None or not sys.stdin.isatty():
            yield _without_keys(pause)
            return
        terminal = sys.stdin.fileno()
        before = termios.tcgetattr(terminal)

        def wait(seconds: float) -> str:
            if not select.select([terminal], [], [], seconds)[0]:
                return ""
            pressed = os.read(terminal, 64)
            # A terminal that is closed is always ready, and has nothing to say.
            return pressed[:1].decode(errors="replace") if pressed else "\x04"

        try:
            tty.setcbreak(terminal)
            yield wait
        finally:
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _without_keys(pause: Callable[[float], None]) -> Wait:
    def wait(seconds: float) -> str:
        pause(seconds)
        return ""

    return wait
