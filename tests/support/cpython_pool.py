"""CPython's own tests of multiprocessing's pool, with ours in its place. Prints what became of each, as JSON.

The tests are those of the Python that runs this: nothing of them is in this repository.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import traceback
import unittest
from pathlib import Path

from test import _test_multiprocessing as theirs

import clusterctl

_client = clusterctl.connect()


def make_pool(processes=None, initializer=None, initargs=(), maxtasksperchild=None):
    return clusterctl.Pool(processes, initializer, initargs, maxtasksperchild, client=_client)


class OurPool:
    """What the tests have as attributes."""

    TYPE = "processes"
    Pool = staticmethod(make_pool)


CLASSES = [
    type(name.lstrip("_"), (OurPool, getattr(theirs, name), unittest.TestCase), {"__module__": __name__})
    for name in ("_TestPool", "_TestPoolWorkerErrors", "_TestPoolWorkerLifetime")
]


class Outcomes(unittest.TestResult):
    """By the name of each test: what became of it."""

    def __init__(self):
        super().__init__()
        self.by_name = {}

    def note(self, test, what):
        self.by_name[test.id().rpartition(".")[2]] = what

    def addSuccess(self, test):  # noqa: N802  as unittest has it
        self.note(test, "passed")

    def addSkip(self, test, reason):  # noqa: N802
        self.note(test, f"skipped: {reason}")

    def addFailure(self, test, err):  # noqa: N802
        self.note(test, "".join(traceback.format_exception(*err)))

    addError = addFailure  # noqa: N815


def main():
    # Some send a method of their class, with all that the class has.
    root = str(Path(__file__).parents[2])
    _client[:].execute(f"import sys; sys.path.append({root!r})", block=True)
    multiprocessing.Pool = make_pool
    outcomes = Outcomes()
    unittest.TestSuite(map(unittest.defaultTestLoader.loadTestsFromTestCase, CLASSES)).run(outcomes)
    _client.close()
    json.dump(outcomes.by_name, sys.stdout)


if __name__ == "__main__":
    main()
