"""Keeps a folder named clusterctl, such as a clone, from hiding the package that is installed from it.

A package that Python finds by its path counts as always: only a folder without an `__init__.py` gives way.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec, PathFinder
from itertools import dropwhile


class NamespaceGuard:
    """A finder that comes first, and knows one name."""

    @classmethod
    def find_spec(cls, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Return the package of another finder if the path has only a namespace package; None for all other names."""
        del path, target
        if name != "clusterctl":
            return None
        by_path = PathFinder.find_spec(name)
        if by_path is None or by_path.loader is not None:
            return None
        _, *later = dropwhile(lambda finder: finder is not PathFinder, sys.meta_path)
        specs = (finder.find_spec(name, None) for finder in later)
        return next((spec for spec in specs if spec is not None), None)


sys.meta_path.insert(0, NamespaceGuard)
