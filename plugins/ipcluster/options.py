"""The options of the `ipcluster` plugin."""

from __future__ import annotations

from typing import Annotated, Literal

from clusterctl.api import Field, Section


class Options(Section):
    """The options of the `ipcluster` plugin."""

    engines_per_node: Annotated[int, Field(ge=0, le=1024)] | Literal["auto", "gpu"] = Field(
        "auto",
        description="engines on each node; auto: one a core, one fewer on the master of a cluster with workers;"
        " gpu: one a GPU of NVIDIA, which sees no other",
    )
    master_engines: Annotated[int, Field(ge=0, le=1024)] | Literal["auto"] = Field(
        "auto",
        description="engines on the master; auto: as on each node",
    )
    threads_per_engine: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] = Field(
        "auto",
        description="threads of BLAS and OpenMP in each engine; auto: the cores of the node, divided by its engines",
    )
    enable_notebook: bool = Field(default=False, description="run JupyterLab on the master")
    notebook_directory: str = Field("", description="folder of the notebooks, below the cluster user's home")
    enable_curve: bool = Field(default=True, description="encrypt and authenticate all traffic of ipyparallel (CURVE)")
    heartbeat_period: int = Field(
        500, ge=50, le=60_000, description="milliseconds between heartbeats; a new engine waits for one"
    )
    engine_timeout: float = Field(120.0, gt=0, le=86_400, description="seconds to wait for all engines to register")
