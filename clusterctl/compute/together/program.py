"""What runs in engines that work together: its text travels with what they are to do."""

from __future__ import annotations

import zlib
from functools import cache, partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from clusterctl.compute.payload import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_OWN = ("tree", "values", "spares", "wires", "group", "worlds", "mpi_group", "members", "averaging")
_MODULES = ("doors", *(f"together/{name}" for name in _OWN))
_LOAD = """
(lambda sys, types, zlib: sys.modules.get(name) or [
    module := types.ModuleType(name),
    exec(compile(zlib.decompress(packed), name, "exec"), module.__dict__),
    sys.modules.setdefault(name, module),
][2])(*map(__import__, ("sys", "types", "zlib")))
"""


@cache
def group_program() -> tuple[str, str]:
    """Return the name and the text of the program: its modules, one behind the other."""
    folder, first = files("clusterctl.on_node.in_engine"), "from __future__ import annotations\n"
    texts = [folder.joinpath(f"{name}.py").read_text(encoding="utf-8") for name in _MODULES]
    source = first + "".join(text.replace(first, "", 1) for text in texts)
    return f"clusterctl_together_{digest(source.encode())}", source


@cache
def _packed() -> bytes:
    return zlib.compress(group_program()[1].encode())


class InEngine:
    """A function of the program, by its name. It is there once it has been unpickled in an engine."""

    def __init__(self, name: str) -> None:
        self.__qualname__ = self._name = name

    def __call__(self, *_: object) -> Any:
        """Only engines have it."""
        raise NotImplementedError(self._name)

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, (f"({_LOAD.strip()}).{self._name}", {"name": group_program()[0], "packed": _packed()})


class MemberCall:
    """The call of a user's function, with its group first."""

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self.__qualname__ = getattr(function, "__qualname__", repr(function))
        self._arguments = InEngine("run_member"), function, args, dict(kwargs)

    def __call__(self, *_: object) -> Any:
        """Only engines call it."""
        raise NotImplementedError(self.__qualname__)

    def __reduce__(self) -> tuple[Any, ...]:
        return partial, self._arguments
