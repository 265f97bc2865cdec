"""Answers questions about the jobs of this cluster, on any of its nodes: `python -m ... ROOT NODE`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clusterctl.clients import serving
from clusterctl.clients.jobs.code import read_files
from clusterctl.clients.jobs.job_store import JobStore
from clusterctl.clients.jobs.model import read_order

if TYPE_CHECKING:
    from typing import BinaryIO

    from clusterctl.clients.jobs.model import JobStatus

    Said = tuple[object, bytes]


class Service(serving.Service):
    """The jobs that a folder has."""

    def __init__(self, store: JobStore, source: BinaryIO) -> None:
        self._store = store
        super().__init__(
            source,
            {
                "missing": lambda asked: (store.code.missing(read_files(self.take(asked["files"]))), b""),
                "bring": self._bring,
                "submit": self._submit,
                "look": lambda asked: _say(store.look(asked["id"])),
                "read": self._read,
                "manifest": lambda asked: (store.manifest(asked["id"]), b""),
                "resume": lambda asked: _say(store.resume(asked["id"], asked["total"])),
                "cancel": lambda asked: _say(store.cancel(asked["id"], asked["wait_s"])),
                "end all": lambda asked: ([one.as_json() for one in store.end_all(cancel=asked["cancel"])], b""),
                "fetched": lambda asked: _say(store.mark_fetched(asked["id"])),
                "all": lambda _: ([status.as_json() for status in store.all()], b""),
            },
        )

    def _bring(self, asked: dict[str, Any]) -> Said:
        for digest, size in asked["contents"]:
            self._store.code.put(digest, size, self.take)
        return {}, b""

    def _submit(self, asked: dict[str, Any]) -> Said:
        files, environment = (self.take(asked[part]) for part in ("files", "environment"))
        self._bring(asked)
        return _say(self._store.submit(read_order(asked["order"]), read_files(files), environment, asked["total"]))

    def _read(self, asked: dict[str, Any]) -> Said:
        status, part = self._store.read(asked["id"], asked["offset"], asked["wait_s"])
        return status.as_json(), part


def _say(status: JobStatus) -> Said:
    return status.as_json(), b""


def main() -> None:
    """Answer the questions on stdin."""
    root, node = sys.argv[1:]
    Service(JobStore(Path(root), node), sys.stdin.buffer).serve(sys.stdout.buffer)


if __name__ == "__main__":
    main()
