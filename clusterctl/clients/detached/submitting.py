"""Hands a map over to who keeps detached maps."""

from __future__ import annotations

import pickle
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from clusterctl.clients.detached.model import Order, check_name, new_name
from clusterctl.clients.detached.results import DetachedMap
from clusterctl.compute.calls.choices import PLAIN, STAR, read_map_options
from clusterctl.compute.payload import digest, pickle_for_engines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from clusterctl.clients.detached.model import Store


class DetachedMaps:
    """The detached maps of one cluster."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def begin(
        self,
        function: Callable[..., Any],
        iterables: Sequence[Iterable[object]],
        name: str | None,
        given: Mapping[str, Any],
    ) -> DetachedMap:
        """Begin a map that goes on without this Python, or find the one of this name again.

        Args:
            function: what engines call.
            iterables: one or more inputs, as the built-in `map` takes them.
            name: its name; None for a new one.
            given: the options of a map, by name, and `chunksize`.

        Raises:
            TypeError: the function or an item cannot be pickled.
            DetachedError: it cannot be kept, or another map has this name.
        """
        order = _make_order(function, iterables, name, given)
        self.store.submit(order)
        return DetachedMap(self.store, order.name)

    def find(self, name: str) -> DetachedMap:
        """Return the map of this name.

        Raises:
            DetachedError: there is none; the remedy says which there are.
        """
        detached = DetachedMap(self.store, name)
        detached.status()
        return detached


def _make_order(
    function: Callable[..., Any],
    iterables: Sequence[Iterable[object]],
    name: str | None,
    given: Mapping[str, Any],
) -> Order:
    about = dict(given)
    most = about.pop("chunksize", None)
    options = {**asdict(read_map_options(about)), "progress": False}
    items = list(iterables[0]) if len(iterables) == 1 else list(zip(*iterables, strict=False))
    pickled = pickle_for_engines(items, "the items")
    return Order(
        name=new_name() if name is None else check_name(name),
        function=pickle_for_engines(function, "the function"),
        items=pickled,
        digest=_digest_items(items, pickled),
        total=len(items),
        star=PLAIN if len(iterables) == 1 else STAR,
        most=most,
        options=options,
    )


def _digest_items(items: Sequence[object], pickled: bytes) -> str:
    """Return what tells these items from others: plain data is the same in each Python, whatever it was made from."""
    try:
        return digest(b"".join(pickle.dumps(item, protocol=4) for item in items))
    except Exception:  # functions, classes of `__main__`
        return digest(pickled)
