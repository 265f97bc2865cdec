"""Notes: values of known type that plugins keep with a cluster, from one run of the program to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar, cast

if TYPE_CHECKING:
    from clusterctl.options import TypedValues

T = TypeVar("T")


@dataclass(frozen=True)
class Note(Generic[T]):
    """The key of a value that is kept with a cluster, and the value's type.

    Declare it once, at the top of a module::

        SHARED = Note("my_plugin shared", dict[str, int])

        cluster.remember(SHARED, {"node001": 3})
        shared = cluster.recall(SHARED)  # dict[str, int], or None

    A note is small and holds no secrets. The journal keeps it as JSON.
    """

    key: str
    """A text that no other plugin uses; begin it with the plugin's name."""
    kind: type[T]
    """The type: what JSON has, tuples, paths, enums, dates, decimals, and dataclasses of these."""

    def load(self, stored: object) -> T | None:
        """Return the value of what the journal has; None if nothing is stored, or if it is of another type."""
        if stored is None:
            return None
        if self.kind is str:  # all that a client asks: it starts without the library that checks the other types
            return cast("T", stored) if isinstance(stored, str) else None
        try:
            return self._values.load(stored)
        except ValueError:
            return None

    def dump(self, value: T) -> object:
        """Return the value as the journal keeps it."""
        return self._values.dump(value)

    @property
    def _values(self) -> TypedValues[T]:
        from clusterctl.options import TypedValues  # late: see wiring/settings.py

        return TypedValues(self.kind)


ENVIRONMENT = Note("environment", str)
"""The hash of the Python environment of the nodes: it changes with their packages."""
LOADED = Note("loaded environment", str)
"""What changes with the packages that engines which run may have loaded: not where others only come to them."""
PYTHON = Note("python", str)
"""The version of Python that the nodes have, such as ``3.11``."""
IPYPARALLEL = Note("ipyparallel", str)
"""The version of ipyparallel that the controller and the engines have."""
SHARED_KEYS = Note("shared keys", tuple[str, ...])
"""The public keys that may log in to the nodes besides the cluster's own."""
ENGINE_IDS = Note("engine_ids", dict[str, tuple[int, int]])
"""The ids of the engines of each node, by alias: the first one, and how many."""
