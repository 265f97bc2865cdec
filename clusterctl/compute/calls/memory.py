"""Remembers the values of a function by its arguments, in files below the home that the nodes share.

joblib keeps them, on the engines. This module travels with the functions, so it needs nothing but the standard library
until it is used there.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import textwrap
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

LOCATION = "~/.cache/clusterctl/memory"
"""Below the home of whoever runs the engines."""


class Memory:
    """Makes functions whose values are remembered."""

    def __init__(self, apply: Callable[..., Any] | None = None, location: str = LOCATION) -> None:
        """Nothing is made yet.

        Args:
            apply: calls a function on an engine, as a pool's `apply` does; None in a task, which is on one.
            location: the folder on the nodes.
        """
        self._apply, self.location = apply, location

    def __getstate__(self) -> dict[str, Any]:
        """Travel to a task, which is on an engine."""
        return {**self.__dict__, "_apply": None}

    def cache(self, function: Callable[..., Any] | None = None, *, ignore: Iterable[str] = ()) -> Any:
        """Return the function, with a memory. Also a decorator, with or without `ignore`.

        Args:
            function: what is remembered, by its text, the values that it closes over, and its arguments.
            ignore: the names of arguments that make no difference.

        Raises:
            TypeError: the function can be no key of a memory.
            ValueError: it has no argument of that name.
        """
        if function is None:
            return functools.partial(self.cache, ignore=ignore)
        return Remembered(function, self, ignore=ignore)

    def clear(self) -> None:
        """Forget all, of every function."""
        self.run(_clear, self.location)

    def reduce_size(self, **limits: Any) -> None:
        """Forget what was not used for the longest time, as joblib's `Memory.reduce_size` has it."""
        self.run(_reduce_size, self.location, limits)

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call this on an engine: here, if this is one."""
        if self._apply is None:
            return function(*args, **kwargs)
        return self._apply(function, args, kwargs)


class Remembered:
    """A function with a memory. Where it is called outside of a task, an engine does it."""

    def __init__(self, function: Callable[..., Any], memory: Memory, *, ignore: Iterable[str] = ()) -> None:
        functools.update_wrapper(self, function)
        self._function, self._memory, self._ignore = function, memory, frozenset(ignore)
        self._signature = inspect.signature(function)
        unknown = sorted(self._ignore - self._signature.parameters.keys())
        if unknown:
            raise ValueError(f"{function!r} has no argument {unknown[0]!r} to ignore")
        name = getattr(function, "__name__", type(function).__name__)
        self._name = f"{name}-{_fingerprint(function)}"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the value: from memory, if it is there."""
        return self._memory.run(self.recall, *args, **kwargs)

    def clear(self) -> None:
        """Forget the values of this function, as its text is now."""
        self._memory.run(self.forget)

    def recall(self, *args: Any, **kwargs: Any) -> Any:
        """Return the value, on an engine."""
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        key = {name: value for name, value in bound.arguments.items() if name not in self._ignore}
        return self._remember(lambda: self._function(*bound.args, **bound.kwargs))(key)

    def forget(self) -> None:
        """Forget the values, on an engine."""
        self._remember(lambda: None).clear(warn=False)

    def _remember(self, act: Callable[[], Any]) -> Any:
        return _open(self._memory.location).cache(_Named(self._name, self.__module__, act))


class _Named:
    """What joblib calls. It has a name that is the same on every engine, and no code: its name says which code it is.

    The text of a function is on the laptop alone, and without a text joblib takes a function for one that has changed,
    and forgets its values.
    """

    def __init__(self, name: str, module: str, act: Callable[[], Any]) -> None:
        self.__name__ = self.__qualname__ = name
        self.__module__ = module
        self._act = act

    def __repr__(self) -> str:
        return self.__name__

    def __call__(self, _key: Mapping[str, Any]) -> Any:
        return self._act()


def _fingerprint(function: Callable[..., Any]) -> str:
    """Return a digest of the text of a function and of the values that it closes over."""
    import cloudpickle

    try:
        text = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):  # it was typed in, or is no function of Python's
        code = getattr(function, "__code__", None)
        if code is None:
            raise TypeError(f"{function!r} has no text to remember it by: put it into a function") from None
        text = _describe_code(code)
    values = []
    for cell in getattr(function, "__closure__", None) or ():
        try:
            values.append(cell.cell_contents)
        except ValueError:  # it is the function itself, which has no name yet
            continue
    digest = hashlib.blake2b(text.encode(), digest_size=16)
    digest.update(cloudpickle.dumps(values) if values else b"")
    return digest.hexdigest()


def _describe_code(code: CodeType) -> str:
    constants = [_describe_code(part) if isinstance(part, CodeType) else repr(part) for part in code.co_consts]
    return repr((code.co_code, code.co_names, code.co_varnames, constants))


def _open(location: str) -> Any:
    """Return joblib's memory, on an engine.

    Raises:
        ModuleNotFoundError: there is no joblib.
    """
    try:
        import joblib
    except ModuleNotFoundError:
        remedy = "add joblib to PACKAGES of [plugin packages] in the config, and `clusterctl start` the cluster again"
        raise ModuleNotFoundError(f"an engine has no joblib, which remembers values (try: {remedy})") from None
    folder = Path(location).expanduser()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return joblib.Memory(str(folder), verbose=0)


def _clear(location: str) -> None:
    _open(location).clear(warn=False)


def _reduce_size(location: str, limits: Mapping[str, Any]) -> None:
    _open(location).reduce_size(**limits)
