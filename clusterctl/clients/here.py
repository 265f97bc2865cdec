"""The cluster that this Python is a part of: that of an engine, a notebook, or of somebody who has logged in to a node.

A node has a word about itself beside the modules that it was given (`node/library.py`). A laptop has none.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clusterctl.errors import StateError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

WORD = "clusterctl-here.json"
"""The file, in a folder on the path of the Python of a node."""

_BESIDE = Path(__file__).parents[2] / "beside"
"""Libraries that a node was given, for an environment that does not have them."""


@dataclass(frozen=True)
class Here:
    """What a node knows of itself."""

    cluster: str
    node: str
    file: Path
    """The connection file for clients, on the master."""
    master: str = ""
    """The master's address, where its files and its loopback are not this node's too."""
    state: Path = field(default=Path(), compare=False)
    """The folder of what the node has of the cluster."""

    @property
    def maps(self) -> Path | None:
        """The folder of detached maps; None on a node that keeps none."""
        return None if self.master else self.file.parents[2] / "maps"

    def dask_document(self) -> Mapping[str, Any] | None:
        """Return where the scheduler of Dask is, with the certificates; None if this node has no part in one."""
        try:
            content = json.loads((self.state / "dask" / "connection.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return content if isinstance(content, dict) else None

    def client_file(self, name: str | None) -> Path:
        """Return the connection file of the named cluster, which is this one.

        Raises:
            UsageError: another one is named.
            StateError: there is none, or it is another user's.
        """
        if name not in {None, self.cluster}:
            raise UsageError(
                f"this is {self.node} of the cluster {self.cluster}: it knows no cluster {name}",
                remedy="leave the name out, or connect from your own computer",
            )
        try:
            exists = bool(self.master) or self.file.exists()
        except PermissionError as exc:
            raise StateError(
                f"{exc.filename} is the cluster user's alone", remedy="connect as that user, whose the engines are"
            ) from exc
        if not exists:
            raise StateError(
                f"there is no connection file {self.file}",
                remedy=f"`clusterctl start {self.cluster}` on your own computer makes it anew",
            )
        return self.file


def find_here() -> Here | None:
    """Return what this node knows of itself; None on a computer that is no node."""
    for folder in filter(os.path.isabs, sys.path):  # whatever lies in the working folder says nothing
        try:
            word = json.loads((Path(folder) / WORD).read_text(encoding="utf-8"))
            return Here(word["cluster"], word["node"], Path(word["file"]), word["master"], Path(folder).parent)
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def find_cloudpickle() -> None:
    """Have the node's own copy found last: what is installed in the environment counts."""
    with suppress(ImportError):
        import cloudpickle  # noqa: F401  only whether it is there

        return
    if str(_BESIDE) not in sys.path:
        sys.path.append(str(_BESIDE))
