"""The signals by which a system or a terminal ends a program."""

from __future__ import annotations

import signal
import sys

if sys.platform == "win32":
    END_SIGNALS: tuple[signal.Signals, ...] = (signal.SIGTERM, signal.SIGBREAK)
    """Besides Ctrl-C."""
else:
    END_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
    """Besides Ctrl-C."""
