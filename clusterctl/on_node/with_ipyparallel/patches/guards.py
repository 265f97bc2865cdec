"""Looks whether a part of ipyparallel is still what a patch was made for."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from types import CodeType


class Expected(NamedTuple):
    """A function that is replaced, or that a replacement counts on, as it was when the patch was made."""

    owner: object
    """The module or class that has it."""
    name: str
    parameters: tuple[str, ...]
    uses: tuple[str, ...] = ()
    """Names that its body speaks of: attributes, functions, variables of its module."""


def difference(*functions: Expected) -> str:
    """Return what is not as expected; empty where all is."""
    return next(filter(None, map(_difference, functions)), "")


def _difference(expected: Expected) -> str:
    function = getattr(expected.owner, expected.name, None)
    called = f"{getattr(expected.owner, '__name__', expected.owner)}.{expected.name}"
    if function is None:
        return f"there is no {called}"
    code = getattr(inspect.unwrap(getattr(function, "__func__", function)), "__code__", None)
    if code is None:
        return f"{called} is no function"
    if _parameters(code) != expected.parameters:
        return f"{called} takes {', '.join(_parameters(code))}"
    unused = [name for name in expected.uses if name not in code.co_names]
    return f"{called} does not use {', '.join(unused)}" if unused else ""


def _parameters(code: CodeType) -> tuple[str, ...]:
    stars = bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + stars]


def leave_alone(reason: str, consequence: str, *, library: str = "ipyparallel") -> None:
    """Say in the log that a patch was left out, and what follows."""
    version = _version(library)
    print(f"clusterctl: {version} is another one than clusterctl knows ({reason}): {consequence}", file=sys.stderr)


def refuse(reason: str, consequence: str) -> None:
    """End this process, where ipyparallel's own way would be wrong."""
    raise SystemExit(
        f"clusterctl: {_version('ipyparallel')} is another one than clusterctl knows ({reason}): {consequence}\n"
        "try: install the newest clusterctl, or ipyparallel 9.2, on your computer, and start the cluster again"
    )


def _version(library: str) -> str:
    return f"{library} {getattr(sys.modules.get(library), '__version__', '')}".strip()
