"""The page that says what was shown of EC2 names tests that there are."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/ec2-shown.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)((?:::\w+)*)`", PAGE)


@cache
def named_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef)))


def test_each_test_that_is_named_exists():
    assert len(NAMED) > 30
    missing = [path for path, _ in NAMED if not (ROOT / path).is_file()]
    assert not missing
    for path, names in NAMED:
        missing += [f"{path}: {name}" for name in names.split("::") if name and name not in named_in(path)]
    assert not missing


def test_each_row_says_where_it_was_shown_and_how_to_check_it():
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "---" not in line]
    assert len(rows) > 30
    for row in rows:
        assert all(cell.strip() for cell in row.strip("|").split(" | ")), row


def test_a_promise_without_a_test_is_said_not_to_be_shown():
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in PAGE.splitlines()]
    for promise, tests, where, *_ in (row for row in rows if len(row) == 4 and row[0] not in {"promise", "---"}):
        assert (tests == "-") == (where == "not shown"), promise
