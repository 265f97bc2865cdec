"""Runs Dask's scheduler: TLS alone, its dashboard on the loopback below a path that nobody guesses."""

from __future__ import annotations

import asyncio
import signal
from importlib import import_module
from pathlib import Path
from typing import Any

import dask.config
from distributed.scheduler import Scheduler
from tornado.web import RequestHandler

from .files import DASHBOARD, HOST, PAGE, SCHEDULER, load
from .security import security_of


class Page(RequestHandler):
    """Says which workers there are, how many tasks are to be done, and how many of them each worker has."""

    def initialize(self, scheduler: Scheduler) -> None:
        """Remember whose it is."""
        self._scheduler = scheduler

    def get(self) -> None:
        """Answer."""
        workers = list(self._scheduler.workers.values())
        at_work = sum(len(worker.processing) for worker in workers)
        waiting = len(self._scheduler.queued) + len(self._scheduler.unrunnable)
        busy = {str(worker.name): len(worker.processing) for worker in workers if worker.processing}
        self.write(
            {"workers": sorted(str(worker.name) for worker in workers), "tasks": at_work + waiting, "busy": busy}
        )


async def _serve(document: dict[str, Any]) -> None:
    ends = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ends.set)
    # The first is the one that workers and tasks are told.
    hosts = dict.fromkeys([document[HOST], "127.0.0.1"])
    path = f"/{document['token']}"
    scheduler = Scheduler(
        host=[f"tls://{host}:{document[SCHEDULER]}" for host in hosts],
        security=security_of(document),
        dashboard=False,
        dashboard_address=f"127.0.0.1:{document[DASHBOARD]}",
        http_prefix=path,
    )
    if scheduler.http_server.port != document[DASHBOARD]:
        raise SystemExit(f"another program has the dashboard's port {document[DASHBOARD]}")
    scheduler.http_application.add_handlers(".*", [(f"{path}/{PAGE}", Page, {"scheduler": scheduler})])
    await scheduler
    # Workers register meanwhile: its pages take longer to load than all else.
    pages = await asyncio.to_thread(import_module, "distributed.dashboard.scheduler")
    pages.connect(scheduler.http_application, scheduler.http_server, scheduler, prefix=path)
    ended = [asyncio.create_task(scheduler.finished()), asyncio.create_task(ends.wait())]
    await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
    await scheduler.close()


def main(values: dict[str, Any]) -> None:
    """Run it. `file` says on which ports."""
    dask.config.set(
        {"distributed.scheduler.http.routes": ["distributed.http.scheduler.info", "distributed.http.statics"]}
    )
    asyncio.run(_serve(load(Path(values["file"]))))
