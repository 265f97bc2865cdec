"""Leaves out what engines and controllers load and do not need. Without it they start later; nothing else changes."""

from __future__ import annotations

import contextlib
import importlib
import sys
import types
from typing import TYPE_CHECKING, Any

from . import guards

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLUSTER = "ipyparallel.cluster"


@contextlib.contextmanager
def module_in_place(name: str, module: types.ModuleType | None) -> Iterator[None]:
    """Have an import of this name give this module, or fail where that is None. What was loaded before stays."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = module  # type: ignore[assignment]  # None is how the import system is told
    try:
        yield
    finally:
        del sys.modules[name]


def import_debugger() -> None:
    """Import ipykernel's debugger without debugpy, a fifth of all that an engine's kernel loads.

    Engines cannot be debugged, says ipyparallel. Who imports debugpy in an engine gets it.
    """
    name = "ipykernel.debugger"
    try:
        with module_in_place("debugpy", None):
            importlib.import_module(name)
    except Exception as exc:  # noqa: BLE001  a kernel that needs no debugger loads none, and says so itself
        _forget(name)
        if not isinstance(exc, ImportError):
            guards.leave_alone(f"{name} needs debugpy: {exc!r}", "an engine starts later", library="ipykernel")


def import_controller() -> None:
    """Import the controller without numpy, a third of all that its scheduler loads, for a scheme that is not ours."""
    name = "ipyparallel.controller.app"
    try:
        with module_in_place("numpy", None):
            importlib.import_module(name)
    except ImportError as exc:
        _forget("ipyparallel.controller")
        importlib.import_module(name)
        guards.leave_alone(f"its controller needs numpy: {exc}", "a controller starts later")


def import_ipyparallel() -> None:
    """Import ipyparallel without what starts clusters, a tenth of it. Who asks for it gets it.

    Neither an engine nor a controller starts a cluster.
    """
    if "ipyparallel" in sys.modules:
        return
    later = types.ModuleType(_CLUSTER)
    vars(later)["__getattr__"] = lambda _: later
    try:
        with module_in_place(_CLUSTER, later):
            ipyparallel = importlib.import_module("ipyparallel")
    except Exception as exc:  # noqa: BLE001  it did something with a class that it imported
        _forget("ipyparallel")
        importlib.import_module("ipyparallel")
        guards.leave_alone(f"it needs {_CLUSTER}: {exc!r}", "engines and controllers start later")
        return
    put_off = [name for name, value in vars(ipyparallel).items() if value is later]
    for name in put_off:
        delattr(ipyparallel, name)

    def load_now(name: str) -> Any:
        if name not in [*put_off, "cluster"]:
            raise AttributeError(f"module 'ipyparallel' has no attribute {name!r}")
        module = importlib.import_module(_CLUSTER)
        return module if name == "cluster" else getattr(module, name)

    vars(ipyparallel)["__getattr__"] = load_now


def _forget(package: str) -> None:
    """Take a package that is half loaded out of the import system."""
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        del sys.modules[name]
