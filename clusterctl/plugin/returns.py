"""What hooks return: the type that a hook declares is checked when it is loaded, its value when it has returned."""

from __future__ import annotations

import collections.abc
import inspect
import json
import re
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from string import Formatter
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

from clusterctl import model, service
from clusterctl.options import Section
from clusterctl.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Expected:
    """What a hook returns."""

    text: str
    one: type | None = None
    """The type of the value, None where a hook only acts."""
    several: bool = False
    """A sequence of them may be returned, too."""


_NOTHING = Expected("nothing")
_EXPECTED = {
    "clusterctl_settings": Expected("a subclass of Section"),
    "clusterctl_request": Expected("a Request", model.Request),
    "clusterctl_connect": Expected("a Connection, a sequence of them, or None", model.Connection, several=True),
    "clusterctl_busy": Expected("a sequence of Busy", service.Busy, several=True),
    "clusterctl_status": Expected("a sequence of StatusRow", model.StatusRow, several=True),
}


def returns_data(hook: str) -> bool:
    """Return whether a hook returns data. All others act."""
    return hook in _EXPECTED


# --- The type that a hook declares


def check_annotation(hook: str, function: Callable[..., object]) -> str:
    """Return what is wrong with the declared return type of a hook's function; empty if nothing is.

    A type that is not known here is believed: it may be imported for type checkers alone.
    """
    annotation = inspect.get_annotations(function).get("return", inspect.Signature.empty)
    if annotation is inspect.Signature.empty or _allows(_resolve(annotation, function), hook):
        return ""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return f"{hook} is declared to return {text}, and shall return {_EXPECTED.get(hook, _NOTHING).text}"


def _resolve(annotation: object, function: Callable[..., object]) -> object:
    names = {**vars(collections.abc), **vars(model), **vars(service), "Section": Section}
    holder = types.SimpleNamespace(__annotations__={"return": annotation})
    try:
        return get_type_hints(holder, {**names, **function.__globals__})["return"]
    except Exception:  # noqa: BLE001  a name that only type checkers see, or foreign syntax
        return Any


def _allows(hint: Any, hook: str) -> bool:
    """Return whether a hook may return values of this type. Unknown forms of types are believed."""
    expected, origin, arguments = _EXPECTED.get(hook, _NOTHING), get_origin(hint), get_args(hint)
    if hint in {Any, object}:
        return True
    if hint is type(None):
        return hook != "clusterctl_settings"
    if origin in {Union, types.UnionType}:
        return all(_allows(argument, hook) for argument in arguments)
    kind = hint if origin is None else origin
    if not isinstance(kind, type):
        return True
    if hook == "clusterctl_settings":
        return issubclass(kind, type)
    if expected.several and issubclass(kind, Iterable) and not issubclass(kind, str | bytes):
        return not arguments or _allows(arguments[0], hook)
    return expected.one is not None and issubclass(kind, expected.one)


# --- The value that a hook has returned


def as_list(hook: str, value: Any) -> Any:
    """Return a list where a hook may return several and returned any kind of sequence; else the value itself."""
    several = _EXPECTED.get(hook, _NOTHING).several and isinstance(value, Iterable)
    return list(value) if several and not isinstance(value, str | bytes | Mapping) else value


def check_value(hook: str, value: Any) -> str:
    """Return what is wrong with the value that a hook returned; empty if nothing is.

    What a hook returns that only acts is not used, and so not checked.
    """
    expected = _EXPECTED.get(hook, _NOTHING)
    if expected.one is None or value is None:
        return ""
    values = value if expected.several and isinstance(value, list) else [value]
    if not all(isinstance(one, expected.one) for one in values):
        return f"{hook} returned {_shorten(value)}, and shall return {expected.text}"
    return next((f"{hook}: {fault}" for one in values for fault in _check_fields(one)), "")


def _check_fields(value: Any) -> Iterable[str]:
    for name, (text, is_right) in _FIELDS.get(type(value), {}).items():
        field = getattr(value, name)
        if not is_right(field):
            yield f"{name} of {type(value).__name__} is {_shorten(field)}, and shall be {text}"
            return
    if isinstance(value, model.Connection):
        yield from _check_connection(value)


def _check_connection(connection: model.Connection) -> Iterable[str]:
    try:
        parts = list(Formatter().parse(connection.url.reveal() if connection.url else ""))
    except ValueError as exc:
        yield f"url of Connection is no template for ports: {exc}"
        return
    unknown = sorted({name for _, name, _, _ in parts if name is not None} - set(connection.ports))
    if unknown:
        yield f"url of Connection asks for the port {unknown[0]!r}, which is not in its ports"
    try:
        json.dumps(connection.document)
    except (TypeError, ValueError) as exc:
        yield f"document of Connection cannot be written as JSON: {exc}"


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _are(*kinds: type) -> Callable[[object], bool]:
    return lambda value: (
        isinstance(value, Iterable)
        and not isinstance(value, str | bytes | Mapping)
        and all(isinstance(item, kinds) for item in value)
    )


def _is_map_to(kind: type) -> Callable[[object], bool]:
    return lambda value: (
        isinstance(value, Mapping)
        and all(isinstance(key, str) and isinstance(item, kind) for key, item in value.items())
    )


_TEXTS = ("a tuple of texts, such as ('one',)", _are(str))
_FIELDS: Mapping[type, Mapping[str, tuple[str, Callable[[object], bool]]]] = {
    model.Request: {
        "pip": _TEXTS,
        "apt": _TEXTS,
        "ports": ("a tuple of numbers, such as (8080,)", _are(int)),
        "files": ("a mapping of paths to texts", _is_map_to(str)),
        "shared": ("a tuple of paths, such as ('/data',)", _are(str, PurePath)),
    },
    model.Connection: {
        "name": ("a word", lambda value: isinstance(value, str) and re.fullmatch(r"\w[\w.-]*", value) is not None),
        "ports": ("a mapping of names to numbers", _is_map_to(int)),
        "document": ("a mapping, or None", lambda value: value is None or isinstance(value, Mapping)),
        "url": ("a Secret, or None", lambda value: value is None or isinstance(value, Secret)),
    },
}
