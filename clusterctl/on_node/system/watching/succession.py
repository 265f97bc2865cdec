"""A supervisord that ended, or is deaf, is followed by another one. The watch, which it started, sees to that."""

from __future__ import annotations

import os
import subprocess
from typing import Any

from . import processes

_OWN = "SUPERVISOR_"


def succeed(values: dict[str, Any], former: int, known: dict[int, str]) -> int:
    """Wake a supervisord that is stopped; else end it with all that it has started, and start another one.

    `known` are the processes of its services as they were last, and when each began.
    """
    if os.getppid() == former and processes.wake([former]):
        print("supervisord was stopped, and goes on", flush=True)
        return 0  # it starts the watch again
    left = [former] if os.getppid() == former else []
    for pid in (pid for pid, since in known.items() if pid != os.getpid() and processes.started(pid) == since):
        left += [member for member in processes.tree(pid) if member not in left and member != os.getpid()]
    print(f"supervisord is gone or deaf: another one starts; {len(left)} processes end", flush=True)
    processes.kill(left)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_OWN)}
    return subprocess.run(values["start"], env=environment, check=False, stdin=subprocess.DEVNULL).returncode
