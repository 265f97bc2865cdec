"""Opens a connection file: a client that is watched, with the engines that were asked for. This loads ipyparallel."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ipyparallel

from clusterctl.clock import Deadline
from clusterctl.compute.client import Client
from clusterctl.compute.watch import ClientWatch
from clusterctl.errors import DeadlineError, StateError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from clusterctl.compute.client import DetachedMaps

WAIT_S = 120.0
_LOOPBACK = ("tcp://127.", "tcp://localhost")


@dataclass(frozen=True)
class Target:
    """A controller that a client is for."""

    file: Path
    """Its connection file."""
    name: str
    """What it is called in messages."""
    repair: str
    """What to do where it does not answer."""
    engines: Mapping[str, range] | None = None
    """The ids of the engines that were set up, by node, where they are known."""
    document: Mapping[str, Any] | None = None
    """What to take for the content of the file, where that is on another computer."""
    open_maps: Callable[[], DetachedMaps] | None = None
    """Returns who keeps its detached maps, if anybody does."""
    find_dask: Callable[[], Mapping[str, Any] | None] | None = None
    """What says where the scheduler of Dask is that runs beside it."""


@dataclass(frozen=True)
class Wanted:
    """How many engines to wait for, and for how long."""

    wait: int | bool | None = None
    """So many; True: all that were set up; None or False: none."""
    wait_s: float = WAIT_S

    def __post_init__(self) -> None:
        if self.wait is not None and not isinstance(self.wait, bool):
            if not isinstance(self.wait, int):
                raise TypeError(f"wait is a number of engines or True, not {self.wait!r}")
            if self.wait < 0:
                raise ValueError("Number of engines to wait for must be at least 0")
        if not self.wait_s >= 0:
            raise ValueError("wait_s must be at least 0")


def open_client(target: Target, wanted: Wanted, client_options: Mapping[str, Any]) -> Client:
    """Return a connected client, once it has the engines that are wanted.

    Raises:
        StateError: the file is damaged, or the controller does not answer.
        DeadlineError: engines are missing.
        UsageError: all engines are wanted, and nobody here knows how many these are.
    """
    if wanted.wait is True and target.engines is None:
        raise UsageError(
            f"how many engines {target.name} has is not known here", remedy="say how many to wait for: wait=4"
        )
    client = _connect(target, _leave_out_own_ssh(target, client_options))
    client.keep_detached(target.open_maps)
    client.find_dask_by(target.find_dask)
    ClientWatch(client, target.name).begin()
    try:
        _wait_for_engines(client, target, wanted)
    except BaseException:
        client.close()
        raise
    return client


def _connect(target: Target, client_options: Mapping[str, Any]) -> Client:
    try:
        return Client(dict(target.document) if target.document else str(target.file), **client_options)
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        if _read_document(target):
            raise  # an option of the caller's
        raise StateError(f"the connection file {target.file} is damaged", remedy=target.repair) from exc
    except (TimeoutError, OSError, ipyparallel.error.TimeoutError) as exc:
        raise StateError(f"the controller of {target.name} does not answer: {exc}", remedy=target.repair) from exc


def _leave_out_own_ssh(target: Target, client_options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options without a key and password of ssh, where the file leads to this very computer.

    ipyparallel would log in to that to reach the ports. They are here already: of a tunnel, or of a cluster on it.
    """
    content = _read_document(target)
    is_here = str(content.get("interface")).startswith(_LOOPBACK) and not content.get("ssh")
    if not is_here or client_options.get("sshserver"):
        return dict(client_options)
    return {key: value for key, value in client_options.items() if key not in {"sshkey", "password"}}


def _read_document(target: Target) -> Mapping[str, Any]:
    """Return what a connection file says; nothing if a client needs more."""
    try:
        content = target.document or json.loads(target.file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, Mapping) and {"interface", "key", "registration"} <= content.keys() else {}


def _wait_for_engines(client: Client, target: Target, wanted: Wanted) -> None:
    if not wanted.wait:
        return
    known = {number for numbers in (target.engines or {}).values() for number in numbers}
    for _ in Deadline.after(wanted.wait_s).polls(0.02, longest_s=0.5):
        registered = set(client.ids)
        if known <= registered if wanted.wait is True else len(registered) >= wanted.wait:
            return
    count = len(known) if wanted.wait is True else wanted.wait
    missing = "; ".join(
        f"{node} lacks {', '.join(map(str, lacking))}"
        for node, numbers in (target.engines or {}).items()
        if (lacking := [number for number in numbers if number not in registered])
    )
    said = f": {missing}" if missing else ""
    if not missing and target.engines is not None and count > len(known):
        said = f", and {len(known)} were set up"
    raise DeadlineError(
        f"{target.name} has {len(registered)} of {count} engines after {wanted.wait_s:g} s{said}", remedy=target.repair
    )
