"""Damaged files: other clusters do not notice, `start` mends or says what it cannot, `terminate` leaves nothing.

`python -m tests.damage` goes through the whole table. Here are twelve of its cases, which are the same every time.
"""

from __future__ import annotations

import os
import random
import shutil

import pytest

from ..damage import BOUND, DAMAGES, WAYS, Bench, Case, Finding, cases, show

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]
STARTS, ENDS = 8, 4


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    bound = not os.geteuid() and shutil.which(BOUND[0])
    made = Bench(tmp_path_factory.mktemp("damage") / "home", runner=(*BOUND, "env") if bound else ())
    yield made
    made.close()


def test_a_sample_of_all_damages_to_all_kinds_of_files(bench):
    table = cases(bench)
    assert len({case.kind for case in table}) > 15
    chance = random.Random(66)
    chosen = [
        case
        for way, count in (("start", STARTS), ("terminate", ENDS))
        for case in chance.sample([case for case in table if case.way == way], count)
    ]
    findings = [bench.judge(case) for case in chosen]
    assert {str(case): finding.faults for case, finding in zip(chosen, findings, strict=True) if finding.faults} == {}
    assert {finding.result for finding in findings} <= {"mended", "told", "gone", "absent"}


def test_the_table_has_a_line_for_each_file_and_names_what_was_wrong(capsys):
    show([Finding("a/file", "half", "start", "mended"), Finding("a/file", "gone", "terminate", "WRONG", ["left it"])])
    said = capsys.readouterr().out
    assert f"| `a/file` | mended |{'  |' * (len(DAMAGES) - 1)} 0 of 1 |" in said
    assert "2 cases, 1 wrong\na/file gone terminate: left it\n" in said


def test_a_case_is_told_from_another_by_all_that_it_is():
    case = Case("a/file", "half", WAYS[0])
    assert case in {Case("a/file", "half", "start")}
    assert case not in {Case("a/file", "half", "terminate")}
