"""CPython's own tests of multiprocessing's pool pass on engines, but for those that the page about work names."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def named_deviations():
    page = (ROOT / "docs" / "howto" / "work.md").read_text()
    rows = re.findall(r"^\| (`test_.*?) \|", page, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def has_their_tests():
    try:
        return find_spec("test._test_multiprocessing") is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.skipif(not has_their_tests(), reason="cpython-tests: no package `test`; Debian: libpython3.11-testsuite")
def test_all_pass_but_those_that_are_named(laptop, cluster):
    program = ROOT / "tests" / "support" / "cpython_pool.py"
    done = subprocess.run([sys.executable, program], env=laptop.env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout)
    failed = {name: what for name, what in outcomes.items() if what != "passed"}
    assert failed.keys() == named_deviations() & outcomes.keys(), failed
    assert len(outcomes) > 25
