"""Environment variables: those that change what a Python does, and those that a user may give to nodes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PYTHON_PREFIX = "PYTHON"
_WHERE_MODULES_ARE = frozenset(
    {"PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "PYTHONNOUSERSITE", "PYTHONPLATLIBDIR", "PYTHONSAFEPATH"}
    | {"PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE", "PYTHONUTF8", "PYTHONIOENCODING"}
)

_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_OURS = frozenset({"HOME", "IPYTHONDIR", "LOGNAME", "PATH", "PWD", "SHELL", "USER"})
_OUR_PREFIX = "CLUSTERCTL_"


def find_fault(name: str, value: str) -> str:
    """Return why a variable cannot be given to engines and logins; empty if it can."""
    if not _NAME.fullmatch(name):
        return f"{name!r} cannot be the name of a variable"
    if name in _OURS or name.startswith(_OUR_PREFIX):
        return f"{name} is set on nodes already"
    if not value.isprintable():
        return f"{name} has a line end or another character that cannot be printed"
    return f"{name} has a #, behind which logins see nothing" if "#" in value else ""


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
