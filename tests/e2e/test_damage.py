"""Damaged files: other clusters do not notice, `start` mends or says what it cannot, `terminate` leaves nothing.

`python -m tests.damage` goes through the whole table. Here are twenty of its cases, which are the same every time.
"""

from __future__ import annotations

import random

import pytest

from ..damage import DAMAGES, Bench, Case

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]
CASES = 20


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    made = Bench(tmp_path_factory.mktemp("damage") / "home")
    yield made
    made.close()


def test_a_sample_of_all_damages_to_all_kinds_of_files(bench):
    table = [Case(kind, damage) for kind in sorted(bench.files()) for damage in DAMAGES]
    assert len({case.kind for case in table}) > 15
    faults = {}
    for number, case in enumerate(random.Random(66).sample(table, CASES)):
        way = "terminate" if number % 4 == 0 else "start"  # a cluster that was mended serves the next case
        found = bench.judge(case, ways=(way,))
        if found:
            faults[f"{case} {way}"] = found
    assert faults == {}
