"""Samples are the same in every run, and all that is left out can be asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ..support.sampling import Sample

pytestmark = pytest.mark.slow  # all of them together take a quarter of a minute

CASES = [f"case{number:02d}" for number in range(30)]
TEST = """
import pytest

@pytest.mark.seeds(1, 2)
def test_these(sample):
    print("took", sample.of(range(100), 3))
"""
CONFTEST = """
import sampling

def pytest_addoption(pluginmanager):
    pluginmanager.register(sampling)
"""


class TestSample:
    def test_a_seed_takes_the_same_cases_every_time_and_another_seed_takes_others(self):
        taken = Sample(1).of(CASES, 5)
        assert len(taken) == len(set(taken)) == 5
        assert taken == sorted(taken)
        assert Sample(1).of(CASES, 5) == taken
        assert Sample(2).of(CASES, 5) != taken

    def test_without_a_seed_all_are_taken_or_as_many_as_there_is_time_for(self):
        assert Sample(None).of(CASES, 5) == CASES
        assert len(Sample(None).of(CASES, 5, at_most=12)) == 12
        assert Sample(None).of(CASES, 5, at_most=99) == CASES

    def test_where_there_are_fewer_all_are_taken(self):
        assert Sample(1).of(CASES[:2], 5) == CASES[:2]


@pytest.fixture
def run(allow_subprocess, tmp_path):
    """What pytest prints of two tests that take samples, with these options."""
    (tmp_path / "test_it.py").write_text(TEST)
    (tmp_path / "conftest.py").write_text(CONFTEST)

    def run(*options, status=0):
        words = [sys.executable, "-m", "pytest", "-s", "-v", "-p", "no:cacheprovider", str(tmp_path), *options]
        environment = {"PYTHONPATH": str(Path(__file__).parents[1] / "support"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def test_a_run_takes_the_seeds_of_the_test_unless_told_to_take_all(run):
    usual, whole = run(), run("--whole")
    assert [f"[seed{seed}]" in usual for seed in (1, 2, 3)] == [True, True, False]
    assert "[whole]" in whole
    assert f"took {[*range(100)]}" in whole


def test_a_new_seed_is_the_same_in_all_processes_and_printed(run):
    said = run("-p", "xdist", "-n", "2", "--seed", "random")
    (seed,) = (line.rpartition(" ")[2] for line in said.splitlines() if line.startswith("samples: "))
    assert f"[seed{seed}]" in said
    assert "1 passed" in said
    again = run("--seed", seed)
    assert f"took {Sample(int(seed)).of(range(100), 3)}" in again
    assert "1 passed" in again
    assert "--seed takes a number or `random`" in run("--seed", "soon", status=4)
