"""Tells a plugin for StarCluster from one that is broken or missing, and says what to do with it."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl.config.relative_paths import folder_of
from clusterctl.options import expand_path, is_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clusterctl.config.ini import Origin

# The text is searched and not run: it is often Python 2.
_FOR_STARCLUSTER = re.compile(
    r"^\s*(?:from\s+starcluster\b|import\s[^#\n]*\bstarcluster\b)"
    r"|\bdef\s+run\s*\(\s*self\s*,\s*nodes\s*,\s*master\b"
    r"|\bdef\s+on_(?:add|remove)_node\s*\(",
    re.MULTILINE,
)
_OURS = re.compile(r"\bclusterctl_[a-z]+\b")
_PORT = "port it to clusterctl's hooks: docs/howto/starcluster.md, Plugins of your own, says what becomes of what"


def explain_starcluster_plugin(setup_class: str, origin: Origin) -> str:
    """Return what to do about a SETUP_CLASS that cannot be loaded and is StarCluster's; empty if it is not.

    Args:
        setup_class: as written in the config.
        origin: where it is written.
    """
    module, _, name = setup_class.rpartition(":" if ":" in setup_class else ".")
    for file, importable in _candidates(module, origin):
        text = file.read_text(encoding="utf-8", errors="replace") if is_file(file) else ""
        ported = _OURS.search(text)
        if _FOR_STARCLUSTER.search(text) or (text and not ported and file.is_relative_to(_plugin_folder())):
            return f"{setup_class} is a plugin for StarCluster (found in {file}) and cannot run here; {_PORT}"
        if ported:
            advice = f"write SETUP_CLASS = {file}:{name}"
            return "" if importable else f"{setup_class} is in {file}, where clusterctl does not look; {advice}"
    if module.endswith(".py") or not module or _is_importable(module):
        return ""
    return (
        f"there is no Python module {module} here, nor in {_plugin_folder()}; for a file write"
        f" SETUP_CLASS = /path/to/{module.rpartition('.')[2]}.py:{name}. If it was written for StarCluster, {_PORT}"
    )


def _plugin_folder() -> Path:
    return expand_path("~/.starcluster/plugins")


def _candidates(module: str, origin: Origin) -> Iterator[tuple[Path, bool]]:
    """Yield the files that a module may be, each with whether clusterctl finds it by this name."""
    if module.endswith(".py"):
        yield (folder_of(origin) / expand_path(module)).absolute(), True
        return
    relative = Path(*module.split(".")) if module else Path()
    for folder in (_plugin_folder(), folder_of(origin) / "plugins", folder_of(origin)):
        yield folder / relative.with_suffix(".py"), False
        yield folder / relative / "__init__.py", False
    if module and (file := _module_file(module)):
        yield file, True


def _module_file(module: str) -> Path | None:
    """Return the file of a module on Python's path, without importing it; None if there is none."""
    top, *_ = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None
    below = module.split(".")[1:]
    file = Path(spec.origin)
    return file.parent.joinpath(*below).with_suffix(".py") if below and file.name == "__init__.py" else file


def _is_importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module.partition(".")[0]) is not None
    except (ImportError, ValueError):
        return False
