"""docs/where.md answers a stranger's questions with files that exist and have what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"\| (?P<question>[^|]+\?) \| `(?P<file>[^`]+)` \| `(?P<name>[^`]+)` \|")
ANSWERS = [match.groupdict() for match in ROW.finditer((ROOT / "docs" / "where.md").read_text(encoding="utf-8"))]


def test_there_are_at_least_twenty_questions():
    assert len({answer["question"] for answer in ANSWERS}) == len(ANSWERS) >= 20


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer["question"])
def test_the_file_has_the_name(answer):
    text = (ROOT / answer["file"]).read_text(encoding="utf-8")
    assert re.search(rf"^ *(?:async def|def|class)? ?{answer['name']}\b", text, re.MULTILINE), answer
