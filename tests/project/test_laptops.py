"""Which system a laptop has is asked in one room, and what other systems lack is used there and on nodes alone."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = (
    *("clusterctl/laptop/", "clusterctl/on_node/", "clusterctl/providers/local/"),
    *("clusterctl/clients/jobs/", "clusterctl/clients/run_job.py"),  # nodes alone
)
MODULES = frozenset({"fcntl", "grp", "msvcrt", "pty", "pwd", "resource", "select", "termios", "tty", "winreg"})
QUESTIONS = frozenset({"os.name", "os.uname", "platform.system", "sys.platform"})
WORDS = re.compile(rf"\b(?:{'|'.join(MODULES | QUESTIONS)})\b".replace(".", r"\."))
"""Only what has one of them is parsed."""


def asked(source: str) -> set[str]:
    """The modules of one system that a source imports, and the questions that it asks."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)) if WORDS.search(source) else ():
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names} & MODULES
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module} & MODULES
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            names |= {f"{node.value.id}.{node.attr}"} & QUESTIONS
    return names


@pytest.mark.parametrize("code", ["import fcntl", "from pwd import getpwuid", "if sys.platform == 'linux': pass"])
def test_the_look_sees_what_it_looks_for(code):
    assert asked(code)


def test_nothing_else_asks():
    sources = [*(ROOT / "clusterctl").rglob("*.py"), *(ROOT / "plugins").glob("*.py")]
    places = {str(path.relative_to(ROOT)): asked(path.read_text(encoding="utf-8")) for path in sources}
    assert {place: names for place, names in places.items() if names and not place.startswith(ROOMS)} == {}
    assert places["clusterctl/laptop/locks.py"] == {"fcntl", "msvcrt", "sys.platform"}
