"""Packages that a client brings, for environments without them.

The text of this module is sent before that of `chunks.py`, and both run as one program.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def load_package(name: str, texts: dict[str, str]) -> None:
    """Load a package from the texts of its modules, where none of this name is installed.

    Args:
        name: of the package.
        texts: by the names of the modules; the package's own is `__init__`.
    """
    if name in sys.modules or importlib.util.find_spec(name) is not None:
        return
    package = types.ModuleType(name)
    package.__path__ = []
    package.__package__ = name
    sys.modules[name] = package
    for part in sorted(texts.keys() - {"__init__"}):
        module = types.ModuleType(f"{name}.{part}")
        module.__package__ = name
        sys.modules[module.__name__] = module
        setattr(package, part, module)
    for part in sorted(texts, key=lambda part: (part == "__init__", part)):
        module = package if part == "__init__" else sys.modules[f"{name}.{part}"]
        exec(compile(texts[part], f"{name}/{part}.py", "exec"), module.__dict__)  # noqa: S102  sent by the client


def when_loaded(name: str, act: Callable[[], object]) -> None:
    """Call this once a module has been loaded, by whomever; at once, if it is there.

    Args:
        name: of the module.
        act: is called right after the module's own code.
    """
    if name in sys.modules:
        act()
    else:
        sys.meta_path.insert(0, _Awaiting(name, act))


class _Awaiting:
    """Finds one module as all others are found, and acts when it has been loaded."""

    def __init__(self, name: str, act: Callable[[], object]) -> None:
        self._name, self._act = name, act
        self._is_asking = False

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> Any:
        """Return what the other finders have for this module; nothing for any other one."""
        if name != self._name or self._is_asking:
            return None
        self._is_asking = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._is_asking = False
        loader = getattr(spec, "loader", None)
        execute = getattr(loader, "exec_module", None)
        if execute is not None:

            def execute_and_act(module: types.ModuleType) -> None:
                execute(module)
                if self in sys.meta_path:
                    sys.meta_path.remove(self)
                self._act()

            loader.exec_module = execute_and_act  # type: ignore[union-attr]
        return spec
