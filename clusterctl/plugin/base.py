"""The base class of plugins: what a plugin declares about itself, each with its type and its default."""

from __future__ import annotations

import warnings
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, get_args, get_origin

from clusterctl.options import Section

if TYPE_CHECKING:
    from clusterctl.model import Facet

OptionsT = TypeVar("OptionsT", bound=Section)


class NoOptions(Section):
    """A plugin without options."""


class Order(IntEnum):
    """The place of a plugin among those that act on every cluster. Those that only PLUGINS names come after them."""

    FIRST = 0
    """Before all others, also where PLUGINS names it later."""
    DISKS = 10
    """Disks are mounted afterwards."""
    USERS = 20
    """The cluster user, host names and system packages are there afterwards."""
    SHARES = 30
    """All nodes see the same folders afterwards."""
    PACKAGES = 40
    """The nodes' environment is there afterwards, with all Python packages."""
    WATCHES = 50
    """It looks after what the others made."""
    NAMED = 100
    """After all that act on every cluster."""


class Plugin(Generic[OptionsT]):
    """A plugin. Derive from it, and write the hooks that you need, each with `@hookimpl` above it.

    ``class Mine(Plugin[Options])`` has the options of the model `Options`; ``class Mine(Plugin)`` has none (for strict
    type checkers: ``Plugin[NoOptions]``). One object is made for a whole command; its hooks run in several threads.

    Attributes:
        options: the values of ``[plugin NAME]``, checked.
    """

    options_model: ClassVar[type[Section]] = NoOptions
    """The model of its options. The brackets of ``Plugin[Options]`` set it."""
    needs: ClassVar[frozenset[Facet]] = frozenset()
    """The facets without which it can do nothing: elsewhere it is left out, and `start` says so if it was named."""
    instead: ClassVar[frozenset[Facet]] = frozenset()
    """The facets that make it superfluous. Where the nodes have one of them, it is left out."""
    replaces: ClassVar[frozenset[str]] = frozenset()
    """The names of plugins of every cluster that are left out where PLUGINS names this one."""
    waits_for_master: ClassVar[bool] = True
    """Whether it acts on a worker only after it has acted on the master. False if its join needs nothing from there."""
    on_every_cluster: ClassVar[bool] = False
    """Whether it acts on every cluster once its package is installed, named in PLUGINS or not."""
    order: Order = Order.NAMED
    """Its place among the plugins of every cluster. An object may set its own: its options can decide."""

    def __init__(self, options: OptionsT) -> None:
        self.options = options

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in cls.__dict__.get("__orig_bases__", ()):
            origin = get_origin(base)
            if isinstance(origin, type) and issubclass(origin, Plugin):
                (model,) = get_args(base)
                if not isinstance(model, TypeVar):
                    cls.options_model = model


def declared(plugin: object, name: str) -> Any:
    """Return what a plugin, or its class, declares under a name of `Plugin`.

    A class without this base declares as plugins did before there was one: by attributes of the same names, and by
    `goes_first`. Its attributes of other names mean something else.
    """
    plugin_class = plugin if isinstance(plugin, type) else type(plugin)
    if name == "order" and getattr(plugin, "goes_first", False) and plugin is not plugin_class:
        warnings.warn(
            f"{plugin_class.__name__}.goes_first is not read from 0.3 on: derive the class from clusterctl.api.Plugin,"
            " and set order = Order.FIRST",
            DeprecationWarning,
            stacklevel=2,
        )
        return Order.FIRST
    if issubclass(plugin_class, Plugin) or name in {"needs", "instead", "waits_for_master"}:
        return getattr(plugin, name, getattr(Plugin, name))
    return getattr(Plugin, name)
