"""The hub's files of what waits with clients. They are written beside it: a home that hangs must not hang the hub."""

from __future__ import annotations

import json
import math
import re
import threading
import time
from pathlib import Path
from typing import Any

from ..agreed import demands

_CLIENT = re.compile(r"[\w-]{1,64}", re.ASCII)
_LONGEST_S = 3600.0
_OLD_S = 86_400.0
_PREFIX = "client-"
_MOST_CLIENTS = 10_000


class DemandFiles:
    """What clients have said last.

    Args:
        folder: of the files; by default in the home of the user that this process runs as.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = Path.home() / demands.FOLDER if folder is None else folder
        self._lock = threading.Lock()
        self._waiting: dict[str, str] = {}
        """What is to be written, by the names of the files; empty: to be deleted."""
        self._writer: threading.Thread | None = None
        self._in_date: dict[str, tuple[float, float, float]] = {}
        """Of each client whose word holds: until when, by the clock that nobody sets, its items and their rate."""

    def put(self, client: str, said: dict[str, Any]) -> None:
        """Have it written what a client says. It holds by this computer's clock, whatever the client's says.

        Raises:
            ValueError: it says no such thing.
        """
        if not _CLIENT.fullmatch(client):
            raise ValueError("no name of a client")
        text = as_text(said)
        self._remember(client, said if text else None)
        with self._lock:
            self._waiting[f"{_PREFIX}{client}.json"] = text
            if self._writer is None or not self._writer.is_alive():
                self._writer = threading.Thread(target=self._write_all, daemon=True)
                self._writer.start()

    def _remember(self, client: str, said: dict[str, Any] | None) -> None:
        self._forget_old()
        if said is None:
            self._in_date.pop(client, None)
        elif client in self._in_date or len(self._in_date) < _MOST_CLIENTS:
            until = time.monotonic() + min(said["for_s"], _LONGEST_S)
            self._in_date[client] = (until, said["items"], said.get("rate", 0.0))

    def _forget_old(self) -> None:
        now = time.monotonic()
        self._in_date = {client: word for client, word in self._in_date.items() if word[0] > now}

    def sums(self) -> dict[str, float]:
        """Return what waits now, as `agreed/demands.py` has it. No file is asked."""
        self._forget_old()
        words = self._in_date.values()
        return {"clients": len(words), "items": sum(word[1] for word in words), "rate": sum(word[2] for word in words)}

    def _write_all(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._writer = None
                    return
                name, text = self._waiting.popitem()
            try:
                self._write(self._folder / name, text)
            except OSError as exc:  # what is not known to wait buys nothing: all else goes on
                print(f"clusterctl: {name} of {self._folder} cannot be written: {exc}", flush=True)

    def _write(self, path: Path, text: str) -> None:
        if not text:
            path.unlink(missing_ok=True)
            return
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._sweep()
        draft = path.with_name(f".{path.name}.new")
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)

    def _sweep(self) -> None:
        """Delete what clients have left that were killed."""
        for path in self._folder.glob(f"{_PREFIX}*.json"):
            if time.time() - path.stat().st_mtime > _OLD_S:
                path.unlink(missing_ok=True)


def as_text(said: dict[str, Any]) -> str:
    """Return the text of a file with this demand; an empty one where nothing waits.

    Raises:
        ValueError: a number is missing, or is none.
    """
    items, item_s, engines, for_s = (_number(said.get(name)) for name in ("items", "item_s", "engines", "for_s"))
    rate = _number(said.get("rate", 0.0))  # a client of an older version says nothing of it
    if items < 1:
        return ""
    until = time.time() + min(for_s, _LONGEST_S)
    return json.dumps({"items": int(items), "item_s": item_s, "engines": int(engines), "rate": rate, "until": until})


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        raise ValueError("no number")
    return float(value)
