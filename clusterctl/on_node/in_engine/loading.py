"""Packages that a client brings, for environments without them.

The text of this module is sent before that of `chunks.py`, and both run as one program.
"""

from __future__ import annotations

import importlib.util
import sys
import types


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
