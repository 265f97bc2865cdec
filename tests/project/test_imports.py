"""Imports stand at the top of their files, but where start-up time forbids it."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST = 15
"""Imports of our own modules inside functions; `python tests/benchmarks/house.py` counts them too."""
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
INDENTED = re.compile(r"^[ \t]+(?:from|import) clusterctl\b", re.MULTILINE)
"""Only what has such a line behind its first function is parsed."""


@cache
def late_imports():
    """Each import of a module of ours that stands inside a function: its place, and its line."""
    return list(_find_late_imports())


def _find_late_imports():
    for folder in ("clusterctl", "plugins"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            if not INDENTED.search(text.partition("def ")[2]):
                continue
            statements = {
                node.lineno: node
                for function in ast.walk(ast.parse(text))
                if isinstance(function, FUNCTIONS)
                for node in ast.walk(function)
                if isinstance(node, (ast.Import, ast.ImportFrom))
            }
            for number, node in statements.items():
                module = node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name
                if module.split(".")[0] == "clusterctl":
                    yield f"{path.relative_to(ROOT)}:{number}", text.splitlines()[number - 1]


def test_few_of_our_modules_are_imported_inside_functions():
    places = [place for place, _ in late_imports()]
    assert 0 < len(places) <= MOST, places


def test_each_of_them_says_why():
    assert [place for place, line in late_imports() if "  # " not in line] == []
