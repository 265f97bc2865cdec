"""Orders and calls plugins, and names the plugin that failed.

pluggy by itself calls the last registered plugin first and does not say which one failed. So plugins are called one
by one, in INI order. pluggy still checks the name and the arguments of every hook.
"""

from __future__ import annotations

import errno
import inspect
import sys
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pluggy

from clusterctl.errors import ClusterctlError, OwnerError, PluginError, raise_if_interrupt
from clusterctl.plugin import hookspecs
from clusterctl.plugin.base import Order, Plugin, declared
from clusterctl.plugin.checks import check_plugin_class, locate_name
from clusterctl.plugin.returns import as_list, check_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from clusterctl.model import Request
    from clusterctl.options import Section

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Errors of a disk of this computer, which are no fault of whoever writes to it."""


@dataclass(frozen=True)
class LoadedPlugin:
    """A plugin that is ready to be called."""

    name: str
    plugin: object
    hooks: frozenset[str]


class PluginHost:
    """The plugins of one cluster, in order."""

    def __init__(self, choices: Iterable[tuple[str, type, Section]]) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        loaded = [self._load_plugin(*choice) for choice in choices]
        # In INI order, except for plugins whose options require them before the plugin that makes users.
        self.plugins: tuple[LoadedPlugin, ...] = tuple(
            sorted(loaded, key=lambda entry: declared(entry.plugin, "order") != Order.FIRST)
        )

    def _load_plugin(self, name: str, plugin_class: type, options: Section) -> LoadedPlugin:
        check_plugin_class(plugin_class, name)
        try:
            plugin = _make_object(name, plugin_class, options)
            self._manager.register(plugin, name=name)
        except PluginError:
            raise
        except BaseException as exc:  # foreign code
            raise_if_interrupt(exc)
            text = str(exc) if isinstance(exc, Exception) else ""
            raise PluginError(
                f"plugin {name}: {text or repr(exc)}",
                remedy=f"fix the plugin{_name_line(exc, plugin_class)}, or leave it out of PLUGINS",
            ) from exc
        callers = self._manager.get_hookcallers(plugin) or []
        return LoadedPlugin(name, plugin, frozenset(caller.name for caller in callers))

    @property
    def plugin_names(self) -> tuple[str, ...]:
        """The plugins' INI names, in order."""
        return tuple(loaded.name for loaded in self.plugins)

    def plugins_with(self, hook: str) -> tuple[str, ...]:
        """Return the names of the plugins that implement a hook, in order."""
        return tuple(loaded.name for loaded in self.plugins if hook in loaded.hooks)

    def independent_plugins(self) -> tuple[str, ...]:
        """Return the names of plugins with ``waits_for_master = False``: their work is the same on every node."""
        return tuple(loaded.name for loaded in self.plugins if not declared(loaded.plugin, "waits_for_master"))

    def restrict_to(self, name: str) -> PluginHost:
        """Return a host with one plugin only, the same object."""
        alone = PluginHost(())
        alone.plugins = tuple(loaded for loaded in self.plugins if loaded.name == name)
        alone._manager = self._manager
        return alone

    def call_hook(self, name: str, hook: str, **arguments: object) -> Any:
        """Call the hook of one plugin. Return its result, or None if the plugin lacks the hook.

        Raises:
            OwnerError: another run of clusterctl is at work, which is no plugin's fault.
            PluginError: the hook raised; the message names the plugin and the cause.
        """
        loaded = next(loaded for loaded in self.plugins if loaded.name == name)
        if hook not in loaded.hooks:
            return None
        others = self._manager.get_plugins() - {loaded.plugin}
        try:
            results = self._manager.subset_hook_caller(hook, others)(**arguments)
            answer = as_list(hook, results[0]) if results else None
        except OwnerError:
            raise
        except ClusterctlError as exc:
            raise PluginError(f"plugin {name}: {exc.message}", remedy=exc.remedy) from exc
        except OSError as exc:
            if exc.errno not in _FULL:
                raise _fault_error(loaded, hook, exc, arguments) from exc
            raise PluginError(
                f"plugin {name}: {exc.filename or 'this computer'}: {exc.strerror}",
                remedy="free some space there, or set CLUSTERCTL_HOME to a folder on another disk",
            ) from exc
        except BaseException as exc:  # a plugin must not end the program half-way
            raise_if_interrupt(exc)
            raise _fault_error(loaded, hook, exc, arguments) from exc
        fault = check_value(hook, answer)
        if fault:
            raise PluginError(
                f"plugin {name}: {fault} ({locate_name(type(loaded.plugin), hook)})",
                remedy="correct the plugin, or leave it out of PLUGINS to go on",
            )
        return answer

    def collect_requests(self) -> Sequence[tuple[str, Request]]:
        """Return the requests of the plugins for every node, in order."""
        requests = [(name, self.call_hook(name, "clusterctl_request")) for name in self.plugin_names]
        return [(name, request) for name, request in requests if request is not None]


def _make_object(name: str, plugin_class: type, options: Section) -> object:
    """Return the plugin's object. A class that takes no options is made without them."""
    signature = inspect.signature(plugin_class)
    plugin: object
    if _fits(signature, options):
        plugin = plugin_class(options)
    elif _fits(signature):
        plugin = plugin_class()
    else:
        raise PluginError(
            f"plugin {name}: {plugin_class.__name__}.__init__ takes {signature}, and is given the options alone"
            f" ({locate_name(plugin_class, '__init__')})",
            remedy="write `def __init__(self, options)`, or leave __init__ out in a class that derives from Plugin",
        )
    if isinstance(plugin, Plugin) and "options" not in vars(plugin):
        plugin.options = options  # its own __init__ did not call ours
    return plugin


def _fits(signature: inspect.Signature, *arguments: object) -> bool:
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True


def _fault_error(loaded: LoadedPlugin, hook: str, error: BaseException, arguments: Mapping[str, Any]) -> PluginError:
    """Return the error for an exception that a plugin should have caught or made sense of. Its traceback is kept."""
    cluster = arguments.get("cluster")
    if cluster is not None:
        lines = "".join(traceback.format_exception(error))
        cluster.log_fault(f"plugin {loaded.name}: {hook} failed", lines, node=arguments.get("node"))
    return PluginError(
        f"plugin {loaded.name}: {type(error).__name__}: {error}",
        remedy=f"this is a fault of the plugin{_name_line(error, type(loaded.plugin))}: its author wants to know;"
        " leave it out of PLUGINS to go on",
    )


def _name_line(error: BaseException, plugin_class: type) -> str:
    """Return ``, in FILE line N``: the last line of the plugin's file in a traceback; empty without one."""
    file = getattr(sys.modules.get(plugin_class.__module__), "__file__", None)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f", in {file} line {lines[-1]}" if lines else ""
