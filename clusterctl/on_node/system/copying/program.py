"""The program for a node that is one end of a copy. Its other end is stdin or stdout."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from .frames import CopyError
from .receiving import receive
from .sending import Outgoing, find_sources


def main(values: dict[str, Any]) -> str | None:
    """Send `sources` over stdout, or receive to `target` over stdin and print the result. Return what failed."""
    try:
        if "sources" in values:
            for part in Outgoing(find_sources(values["sources"])).stream():
                sys.stdout.buffer.write(part)
            sys.stdout.buffer.flush()
            return None
        copied = receive(sys.stdin.buffer, Path(values["target"]), into=values["into"], trusted=True)
    except CopyError as exc:
        return str(exc)
    except BrokenPipeError:
        # Nobody listens any more, nor shall Python complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return "the copy was cut off"
    print(json.dumps(copied._asdict()))
    return None
