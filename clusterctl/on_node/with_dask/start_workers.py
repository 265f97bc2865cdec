"""Runs the Dask workers of a node. They leave, with their data moved, when told to, or when the node is taken."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import dask.config
from distributed.nanny import Nanny

from .files import HOST, SCHEDULER, load
from .security import security_of

_LOOK_S = 0.5
_END_S = 10.0


async def _serve(values: dict[str, Any], document: dict[str, Any]) -> None:
    ends = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ends.set)
    notice, leave, left = (Path(values[name]) for name in ("notice", "leave", "left"))
    over = asyncio.create_task(ends.wait())
    while not over.done() and (_exists(leave) or _exists(notice)):
        await asyncio.wait([over], timeout=_LOOK_S)
    if over.done():
        return
    names = [f"{values['alias']}-{number}" for number in range(values["workers"])]
    nannies = [_nanny(name, values, document) for name in names]
    ended = asyncio.create_task(_live(nannies))
    told = asyncio.create_task(_wait_for(leave, notice))
    await asyncio.wait([ended, over, told], return_when=asyncio.FIRST_COMPLETED)
    if told.done() and not over.done():
        print("these workers leave: what they alone hold goes to others", flush=True)
        retired = asyncio.create_task(_retire(nannies, names))
        await asyncio.wait([retired, over], return_when=asyncio.FIRST_COMPLETED)
        left.touch()
        if retired.done() and retired.result():  # they end by themselves
            await asyncio.wait([ended, over], timeout=_END_S, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.gather(*(nanny.close(timeout=5) for nanny in nannies), return_exceptions=True)
    if ended.done() and not ended.cancelled():
        ended.result()


def _nanny(name: str, values: dict[str, Any], document: dict[str, Any]) -> Nanny:
    return Nanny(
        f"tls://{document[HOST]}:{document[SCHEDULER]}",
        name=name,
        nthreads=values["threads"],
        memory_limit=values["memory"],
        host=values["address"],
        protocol="tls",
        local_directory=values["space"],
        security=security_of(document),
        dashboard=False,
        dashboard_address="127.0.0.1:0",
    )


async def _live(nannies: list[Nanny]) -> None:
    await asyncio.gather(*nannies)
    await asyncio.gather(*(nanny.finished() for nanny in nannies))


async def _wait_for(*files: Path) -> None:
    while not any(map(_exists, files)):
        await asyncio.sleep(_LOOK_S)


def _exists(file: Path) -> bool:
    return os.path.exists(file)  # noqa: PTH110  a folder that is closed to us has none; Path raises there


async def _retire(nannies: list[Nanny], names: list[str]) -> bool:
    """Return whether all were let go; one that holds what nobody else has room for is not."""
    try:
        gone = await nannies[0].scheduler.retire_workers(names=names, close_workers=True, remove=True)
    except (OSError, asyncio.TimeoutError) as exc:  # without a scheduler nobody has use for the data
        print(f"the scheduler was not told: {exc}", flush=True)
        return False
    return len(gone) == len(names)


def main(values: dict[str, Any]) -> None:
    """Run them.

    `file` says where the scheduler is, `address` is the node's own, `space` a folder for what does not fit into memory.
    While the file `notice` or `leave` is there none starts; `left` is made once all are gone.
    """
    # supervisord gives it a pipe into which nobody writes: a task that reads would wait for ever.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    dask.config.set({"distributed.worker.http.routes": []})
    asyncio.run(_serve(values, load(Path(values["file"]))))
