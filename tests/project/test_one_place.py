"""What one module does for the whole package is done nowhere else.

Programs that run on nodes are left out: they may import nothing of the package.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]


def sources() -> Iterator[tuple[str, str]]:
    """Return the modules that run on the laptop: path and text."""
    for folder in ("clusterctl", "plugins"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = str(path.relative_to(ROOT))
            if not name.startswith("clusterctl/on_node/"):
                yield name, path.read_text(encoding="utf-8")


def dotted_name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def replaces_a_file(node: ast.AST) -> bool:
    """``os.replace``, ``os.rename``, or a method of `Path`, whose `replace` has one argument and that of a text two."""
    if isinstance(node, ast.Attribute) and dotted_name(node) in {"os.replace", "os.rename", "shutil.move"}:
        return True
    method = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
    return method in {"replace", "rename"} and len(node.args) == 1 and not node.keywords


RULES: dict[str, tuple[Callable[[ast.AST], bool], set[str]]] = {
    "only the writer of files renames a draft over a file": (replaces_a_file, {"clusterctl/files.py"}),
}


def places(matches: Callable[[ast.AST], bool], texts: Iterator[tuple[str, str]]) -> set[str]:
    return {name for name, text in texts if any(matches(node) for node in ast.walk(ast.parse(text)))}


@pytest.mark.parametrize("rule", RULES)
def test_it_is_in_one_place(rule):
    matches, allowed = RULES[rule]
    assert places(matches, sources()) == allowed


BREAKS = [
    ("only the writer of files renames a draft over a file", "os.replace(draft, path)"),
    ("only the writer of files renames a draft over a file", "draft.rename(path)"),
    ("only the writer of files renames a draft over a file", "path.with_name('x').replace(path)"),
]


@pytest.mark.parametrize(("rule", "line"), BREAKS)
def test_the_rule_can_be_broken(rule, line):
    assert places(RULES[rule][0], iter([("x.py", line)]))


def test_every_rule_was_seen_to_fail():
    assert {rule for rule, _ in BREAKS} == set(RULES)
