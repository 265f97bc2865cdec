"""The first part of each program that is sent: it loads the modules that come behind it, and runs one of them."""

from __future__ import annotations

import importlib
import json
import sys
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

PACKAGE = "clusterctl_node"
"""The package that the modules are in. A process that loads several programs gives each another one, as CARRIED_AS."""


class CarriedModules:
    """Finds and loads modules by their sources; tracebacks in logs show their lines."""

    def __init__(self, sources: Mapping[str, str], package: str) -> None:
        self._sources = {f"{package}.{name}" if name else package: text for name, text in sources.items()}

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        """Return what the import system asks for; None for a module that is not ours."""
        if name not in self._sources:
            return None
        is_package = any(other.startswith(f"{name}.") for other in self._sources)
        return ModuleSpec(name, self, origin=_file(name), is_package=is_package)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to the import system."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's source."""
        code = compile(self._sources[module.__name__], _file(module.__name__), "exec", dont_inherit=True)
        exec(code, vars(module))  # noqa: S102  the import system's own way to load a module

    def get_source(self, name: str) -> str:
        """Return the module's source, for tracebacks."""
        return self._sources[name]


def _file(name: str) -> str:
    """What tracebacks call a module. One in angle brackets would have no lines there."""
    return f"{name.replace('.', '/')}.py"


def load(sources: Mapping[str, str], main: str, package: str) -> ModuleType:
    """Load the main module. Its `prepare` is called too, which child processes that load this file anew need."""
    sys.meta_path.insert(0, CarriedModules(sources, package))
    program = importlib.import_module(f"{package}.{main}")
    if hasattr(program, "prepare"):
        program.prepare()
    return program


def run(program: Any, values: str) -> None:
    """Call the program with its values, which are one JSON document, and end with what it returns."""
    sys.exit(program.main(json.loads(values)))
