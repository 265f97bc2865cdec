"""Checks a plugin's class when it is loaded. Each mistake is a sentence that names plugin, file and line."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any

from clusterctl.errors import PluginError
from clusterctl.model import Facet
from clusterctl.options import Section
from clusterctl.plugin import hookspecs
from clusterctl.plugin.base import Order, Plugin
from clusterctl.plugin.returns import check_annotation, returns_data

if TYPE_CHECKING:
    from collections.abc import Mapping

HOOKS: Mapping[str, Callable[..., object]] = {
    name: spec for name, spec in vars(hookspecs).items() if name.startswith("clusterctl_")
}
_MARK = f"{hookspecs.PROJECT}_impl"
_LIST_HOOKS = f"the hooks are: {', '.join(HOOKS)}"
_LIKE = 0.8
"""How like a name must be to one of ours to count as a slip of the pen."""


@dataclass(frozen=True)
class _Fault:
    what: str
    line: str
    remedy: str


def check_plugin_class(candidate: object, name: str) -> type:
    """Return the class if it is a plugin's.

    Raises:
        PluginError: it is none, or its author made a mistake; all of them are named.
    """
    faults = _find_faults(candidate) if isinstance(candidate, type) else ()
    if faults:
        raise PluginError(
            "\n".join(f"plugin {name}: {fault.what} ({fault.line})" for fault in faults),
            remedy="; ".join(dict.fromkeys(fault.remedy for fault in faults)),
        )
    if not isinstance(candidate, type) or not _has_hook(candidate):
        raise PluginError(
            f"plugin {name}: {candidate!r} is not a plugin class: it has no clusterctl_ hook",
            remedy="write a class with at least one hook; see `clusterctl plugins --hooks`",
        )
    return candidate


@cache
def _has_hook(plugin_class: type) -> bool:
    return any(name.startswith("clusterctl_") for name in dir(plugin_class))


@cache
def _find_faults(plugin_class: type) -> tuple[_Fault, ...]:
    """Return all mistakes of a class. Cached: a command asks for the same class several times."""
    return (*_check_hooks(plugin_class), *_check_declarations(plugin_class))


# --- Hooks


def _check_hooks(plugin_class: type) -> Iterator[_Fault]:
    for name in _own_names(plugin_class):
        what, remedy = _judge_name(name, getattr(plugin_class, name))
        if name in HOOKS and not what:
            what, remedy = _judge_function(name, plugin_class)
        if what:
            yield _Fault(what, locate_name(plugin_class, name), remedy)


def _judge_name(name: str, value: object) -> tuple[str, str]:
    """Return what is wrong with a name, and the remedy; two empty texts if nothing is."""
    marked = getattr(value, _MARK, None) is not None
    if name in HOOKS:
        if not callable(value):
            return f"{name} is a hook, and must be a method", f"write `def {name}(self, ...)`"
        if not marked:
            return (
                f"{name} has no @hookimpl, so it would never be called",
                f"write @hookimpl directly above `def {name}`",
            )
        return "", ""
    near = _find_like(name)
    if name.startswith("clusterctl_") or marked or (near and callable(value)):
        what = f"{name} is no hook" + (f"; did you mean {near}?" if near else "")
        own = "" if marked else "; a method of your own needs a name that does not look like a hook's"
        return what, (f"write {near}" if near else _LIST_HOOKS) + own
    return "", ""


def _find_like(name: str) -> str:
    """Return the hook that a misspelt name most likely means; empty if there is none."""
    if name.startswith("clusterctl_") or f"clusterctl_{name}" in HOOKS:
        moments = [hook.removeprefix("clusterctl_") for hook in HOOKS]
        return "".join(f"clusterctl_{near}" for near in get_close_matches(name.removeprefix("clusterctl_"), moments, 1))
    return "".join(get_close_matches(name, HOOKS, 1, _LIKE))


def _judge_function(hook: str, plugin_class: type) -> tuple[str, str]:
    """Return what is wrong with the function of a hook, and the remedy; two empty texts if nothing is."""
    function: Any = inspect.unwrap(getattr(plugin_class, hook))
    known = [argument for argument in inspect.signature(HOOKS[hook]).parameters if argument != "self"]
    unknown = [argument for argument in _needed_arguments(plugin_class, hook) if argument not in known]
    if unknown:
        given = ", ".join(known) or "nothing but self"
        return f"{hook} is never given {', '.join(unknown)}", f"let {hook} take {given}, or fewer of them"
    if inspect.iscoroutinefunction(function):
        return f"{hook} is async, so its body would never run", f"write it as a plain `def {hook}`"
    if inspect.isgeneratorfunction(function) and not _wraps(function) and not returns_data(hook):
        return f"{hook} has a yield, so its body would never run", f"write {hook} without yield"
    fault = check_annotation(hook, getattr(function, "__func__", function))
    return fault, "declare the type that the hook's documentation names" if fault else ""


def _needed_arguments(plugin_class: type, hook: str) -> list[str]:
    """Return the arguments without which a method cannot be called, but for itself."""
    own = inspect.getattr_static(plugin_class, hook)
    parameters = list(inspect.signature(getattr(plugin_class, hook)).parameters.values())
    if not isinstance(own, staticmethod | classmethod):
        parameters = parameters[1:]
    variable = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    return [p.name for p in parameters if p.kind not in variable and p.default is inspect.Parameter.empty]


def _wraps(function: Any) -> bool:
    mark = getattr(function, _MARK)
    return bool(mark["wrapper"] or mark["hookwrapper"])


# --- Declarations


def _check_declarations(plugin_class: type) -> Iterator[_Fault]:
    wanted = _DECLARATIONS if issubclass(plugin_class, Plugin) else {n: _DECLARATIONS[n] for n in ("needs", "instead")}
    for name, (text, is_right) in wanted.items():
        value = inspect.getattr_static(plugin_class, name, None)
        if value is not None and not isinstance(value, property) and not is_right(value):
            what = f"{name} of {plugin_class.__name__} is {value!r}, and shall be {text}"
            yield _Fault(what, locate_name(plugin_class, name), f"give {name} {text}")
    if issubclass(plugin_class, Plugin):
        for name in [name for name in _own_names(plugin_class) if not callable(getattr(plugin_class, name))]:
            near = get_close_matches(name, _DECLARATIONS, 1, _LIKE)
            if near:
                what = f"{name} is nothing that a plugin declares; did you mean {near[0]}?"
                yield _Fault(what, locate_name(plugin_class, name), f"a plugin declares: {', '.join(_DECLARATIONS)}")


def _is_set_of(kind: type) -> Callable[[object], bool]:
    return lambda value: (
        isinstance(value, Iterable) and not isinstance(value, str) and all(isinstance(item, kind) for item in value)
    )


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


_DECLARATIONS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "options_model": ("a subclass of Section", lambda value: isinstance(value, type) and issubclass(value, Section)),
    "needs": ("a set of Facet, such as frozenset({Facet.MACHINE})", _is_set_of(Facet)),
    "instead": ("a set of Facet, such as frozenset({Facet.SHARED_HOME})", _is_set_of(Facet)),
    "replaces": ("a set of names of plugins, such as frozenset({'one'})", _is_set_of(str)),
    "waits_for_master": ("True or False", _is_bool),
    "on_every_cluster": ("True or False", _is_bool),
    "order": ("an Order, such as Order.NAMED", lambda value: isinstance(value, Order)),
}


# --- Names and lines


def _own_names(plugin_class: type) -> list[str]:
    """Return the public names of a class and its bases, without those that all plugins or all objects have."""
    foreign = {*dir(Plugin), *dir(object)}
    return [name for name in dir(plugin_class) if not name.startswith("_") and name not in foreign]


def locate_name(plugin_class: type, name: str) -> str:
    """Return ``FILE:LINE`` of where a class or one of its bases defines a name, as near as it can be known."""
    owner = next((base for base in plugin_class.__mro__ if name in vars(base)), plugin_class)
    try:
        lines, first = inspect.findsource(owner)
        statements = _class_body("".join(lines), owner.__name__, first + 1)
    except (OSError, TypeError, SyntaxError):
        code = getattr(getattr(owner, name, None), "__code__", None)
        return f"{code.co_filename}:{code.co_firstlineno}" if code else f"{owner.__module__}.{owner.__qualname__}"
    line = next((statement.lineno for statement in statements if name in _names_of(statement)), first + 1)
    return f"{inspect.getsourcefile(owner)}:{line}"


def _class_body(source: str, name: str, line: int) -> list[ast.stmt]:
    classes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef) and node.name == name]
    return min(classes, key=lambda node: abs(node.lineno - line)).body if classes else []


def _names_of(statement: ast.stmt) -> list[str]:
    """Return the names that a statement of a class body defines."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        return [statement.name]
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return [target.id for target in targets if isinstance(target, ast.Name)]
