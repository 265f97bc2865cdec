"""Environment variables that change what a Python does, for processes that outlive the command or build packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PYTHON_PREFIX = "PYTHON"
_WHERE_MODULES_ARE = frozenset(
    {"PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "PYTHONNOUSERSITE", "PYTHONPLATLIBDIR", "PYTHONSAFEPATH"}
    | {"PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE", "PYTHONUTF8", "PYTHONIOENCODING"}
)


def own_process_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a Python process of ours.

    It finds the same modules. PYTHONWARNINGS=error, PYTHONINSPECT or PYTHONOPTIMIZE, as test runs set them, were meant
    for another program.
    """
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith(PYTHON_PREFIX) or name in _WHERE_MODULES_ARE
    }
