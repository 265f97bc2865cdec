"""The options of the `dask` plugin."""

from __future__ import annotations

from typing import Annotated, Literal

from clusterctl.api import Field, Section


class Options(Section):
    """The options of the `dask` plugin."""

    workers_per_node: Annotated[int, Field(ge=0, le=1024)] | Literal["auto"] = Field(
        "auto",
        description="Dask workers on each node; auto: one a core up to four cores, fewer of several threads above",
    )
    master_workers: Annotated[int, Field(ge=0, le=1024)] | Literal["auto"] = Field(
        "auto", description="Dask workers on the master; auto: as on each node, with one core left to the scheduler"
    )
    threads_per_worker: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] = Field(
        "auto", description="tasks that a Dask worker runs at once; auto: the cores of the node, divided by its workers"
    )
    memory_limit: str = Field(
        "auto",
        pattern=r"^(auto|\d+(\.\d+)?\s*[kMGT]i?B)$",
        description="memory of a Dask worker, such as 4GB; above it, it is ended and started anew;"
        " auto: its share of the node's, by cores",
    )
    worker_timeout: float = Field(120.0, gt=0, le=86_400, description="seconds to wait for all Dask workers")
    retire_timeout: float = Field(
        60.0, ge=0, le=86_400, description="seconds that a worker has to give its data to others when its node leaves"
    )
