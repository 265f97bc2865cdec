"""Keeps detached maps in a folder of the master, and sees to the process that runs each of them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl.clients.detached import model
from clusterctl.clients.detached.model import DetachedError, Order, Status, check_name
from clusterctl.clients.detached.records import read_places
from clusterctl.clock import Deadline, utc_now
from clusterctl.files import publish_folder, read_json, write_atomically
from clusterctl.laptop.lock_files import holder_pid
from clusterctl.laptop.processes import end_process, kill_process

if TYPE_CHECKING:
    from collections.abc import Iterator

ORDER, FUNCTION, ITEMS, RESULTS = "order.json", "function", "items", "results"
STATE, FAILURE, LOCK, LOG = "state.json", "failure", "lock", "log"
_PART = 8 << 20
_LOG_BYTES = 64 << 10
"""Of a log that is shown."""
_END_S = 15.0
"""For a process to end, with the engines that it has to free."""
_KEPT_S = 30 * 86400.0
"""After a map is over and was fetched."""
_DRAFT_S = 86400.0
"""For whoever makes or deletes one to be done with it."""
_FETCHED = "fetched"


class LocalStore:
    """The maps in a folder, which only its owner may enter."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def submit(self, order: Order) -> Status:
        """See `model.Store`."""
        self._sweep()
        place = self._folder / check_name(order.name)
        if place.is_dir():
            self._check_same(place, order)
            status = self.look(order.name)
            if status.state == model.DONE:
                return status
            write_atomically(place / FUNCTION, order.function)
            write_atomically(place / ORDER, json.dumps(order.head()).encode())
        else:
            self._make(place, order)
        return self.resume(order.name)

    def _make(self, place: Path, order: Order) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._folder / f".{order.name}.{os.getpid()}.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        try:
            for name, content in ((FUNCTION, order.function), (ITEMS, order.items)):
                write_atomically(draft / name, content)
            write_atomically(draft / ORDER, json.dumps(order.head()).encode())
            publish_folder(draft, place)
        except OSError as exc:
            shutil.rmtree(draft, ignore_errors=True)
            raise DetachedError(
                f"the map cannot be kept on the master: {exc.strerror}", remedy="look for room there: `df`"
            ) from exc

    @staticmethod
    def _check_same(place: Path, order: Order) -> None:
        known = read_json(place / ORDER)
        if known.get("digest") != order.digest or known.get("total") != order.total:
            raise DetachedError(
                f"there is a map {order.name} already, and its items are others",
                remedy=f"take another name, or delete it: clusterctl.results({order.name!r}).forget()",
            )

    def look(self, name: str) -> Status:
        """See `model.Store`."""
        place = self._place(name)
        order, said = read_json(place / ORDER), read_json(place / STATE)
        state = str(said.get("state") or model.INTERRUPTED)
        if state == model.RUNNING and not self._is_alive(place):
            said = read_json(place / STATE)  # it may have ended between the two
            state = str(said.get("state"))
            state = model.INTERRUPTED if state == model.RUNNING else state
        done = said.get("done")
        if not isinstance(done, int) or state == model.INTERRUPTED:
            done = len(read_places(place / RESULTS)[0])
        return Status(
            name,
            state,
            int(order.get("total", 0)),
            done,
            str(order.get("digest")),
            (place / ITEMS).stat().st_mtime,
            str(said.get("detail", "")),
            int(said.get("reruns", 0)),
        )

    def read(self, name: str, offset: int, wait_s: float) -> tuple[Status, bytes]:
        """See `model.Store`."""
        path = self._place(name) / RESULTS
        for _ in Deadline.after(wait_s).polls(0.02, longest_s=0.5):
            status = self.look(name)  # before the file: what an end has left in it is seen
            part = _read_part(path, offset)
            if part or status.is_over or status.state in model.GOES_ON:
                break
        if status.is_over and len(part) < _PART:
            (path.parent / _FETCHED).touch()
        return status, part

    def resume(self, name: str) -> Status:
        """See `model.Store`."""
        place = self._place(name)
        if not self._is_alive(place):
            write_atomically(place / STATE, json.dumps({"state": model.RUNNING, "detail": "begins"}).encode())
            self._begin(place)
        return self.look(name)

    def _begin(self, place: Path) -> None:
        """Begin the process, in a session of its own: it outlives who has asked for it."""
        with (place / LOG).open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "clusterctl.clients.run_detached", str(place)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=Path.home(),
                start_new_session=True,
            )
        # Until it has its lock it counts as ended.
        for _ in Deadline.after(_END_S).polls(0.01, longest_s=0.1):
            if self._is_alive(place) or process.poll() is not None:
                return

    def cancel(self, name: str) -> Status:
        """See `model.Store`."""
        place = self._place(name)
        pid = holder_pid(place / LOCK)
        if pid:
            end_process(pid)
            if not any(not self._is_alive(place) for _ in Deadline.after(_END_S).polls(0.02, longest_s=0.2)):
                kill_process(pid)
        if self.look(name).state in model.GOES_ON:
            write_atomically(place / STATE, json.dumps({"state": model.CANCELLED}).encode())
        return self.look(name)

    def forget(self, name: str) -> None:
        """See `model.Store`."""
        place = self._place(name)
        if self._is_alive(place):
            raise DetachedError(f"the map {name} runs", remedy=f"end it first: clusterctl.results({name!r}).cancel()")
        gone = self._folder / f".{name}.{os.getpid()}.old"
        publish_folder(place, gone)
        shutil.rmtree(gone, ignore_errors=True)

    def failure(self, name: str) -> bytes:
        """See `model.Store`."""
        with contextlib.suppress(FileNotFoundError):
            return (self._place(name) / FAILURE).read_bytes()
        return b""

    def all(self) -> list[Status]:
        """See `model.Store`."""
        statuses = [self.look(place.name) for place in self._places()]
        return sorted(statuses, key=lambda status: status.began)

    def log(self, name: str) -> str:
        """See `model.Store`."""
        path = self._place(name) / LOG
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LOG_BYTES))
            return file.read().decode(errors="replace")
        return ""

    def _places(self) -> Iterator[Path]:
        if self._folder.is_dir():
            yield from (place for place in self._folder.iterdir() if not place.name.startswith("."))

    def _place(self, name: str) -> Path:
        place = self._folder / check_name(name)
        if not (place / ORDER).exists():
            known = ", ".join(sorted(other.name for other in self._places())) or "none"
            raise DetachedError(f"there is no detached map {name} on this cluster", remedy=f"there are: {known}")
        return place

    @staticmethod
    def _is_alive(place: Path) -> bool:
        return holder_pid(place / LOCK) is not None

    def _sweep(self) -> None:
        """Delete what was fetched long ago, and what killed processes have left."""
        now = utc_now().timestamp()
        if not self._folder.is_dir():
            return
        for place in self._folder.iterdir():
            with contextlib.suppress(OSError):
                mark = place if place.name.startswith(".") else place / _FETCHED
                kept_s = _DRAFT_S if place.name.startswith(".") else _KEPT_S
                if mark.stat().st_mtime < now - kept_s and not self._is_alive(place):
                    shutil.rmtree(place, ignore_errors=True)


def _read_part(path: Path, offset: int) -> bytes:
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        file.seek(offset)
        return file.read(_PART)
    return b""
