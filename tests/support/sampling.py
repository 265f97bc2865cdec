"""Tests that go through more cases than every run has time for: each run takes a sample, the same one every time.

Such a test asks for `sample` and names its seeds: ``@pytest.mark.seeds(1, 2)``. It runs once for each of them. A seed
that failed once joins them. ``--seed N`` takes that one seed instead, ``--seed random`` draws a new one and prints it,
and ``--whole`` takes every case.

Where a few cases of a class show what it does, `rest` leaves the others to the slow tests.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")
_WHOLE = "whole"
_RANDOM = "random"


@dataclass(frozen=True)
class Sample:
    """Chooses among cases; without a seed it takes all of them."""

    seed: int | None

    def of(self, cases: Sequence[T], count: int, *, at_most: int | None = None) -> list[T]:
        """Return so many of the cases, in their order.

        Args:
            cases: all of them, in an order that is the same in every run.
            count: how many a sample has.
            at_most: how many the whole has, where all of them take hours.
        """
        if self.seed is None:
            count = min(len(cases), len(cases) if at_most is None else at_most)
        chance = random.Random(self.seed or 0)
        return [cases[number] for number in sorted(chance.sample(range(len(cases)), min(count, len(cases))))]


def rest(*cases: object) -> list[Any]:
    """Return the cases of a parametrized test that are taken with the slow tests alone."""
    return [pytest.param(case, marks=pytest.mark.slow) for case in cases]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run choose what samples it takes."""
    group = parser.getgroup("sampling")
    group.addoption("--seed", metavar="N|random", help="take the sample of this seed, not those in the tests")
    group.addoption("--whole", action="store_true", help="take every case, not a sample; it takes minutes")


def pytest_configure(config: pytest.Config) -> None:
    """Draw a seed if one is to be drawn. Processes of xdist are told which one it is."""
    config.addinivalue_line("markers", "seeds(*numbers): the samples that every run takes, by their seeds")
    seed = config.option.seed = getattr(config, "workerinput", {}).get("seed", config.option.seed)
    if seed == _RANDOM:
        config.option.seed = str(random.SystemRandom().randrange(10**6))
    elif seed is not None and not seed.isdecimal():
        raise pytest.UsageError(f"--seed takes a number or `{_RANDOM}`, not {seed!r}")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process of xdist."""
    node.workerinput["seed"] = node.config.option.seed


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say how the samples of this run are had again."""
    if config.option.whole:
        return "samples: every case"
    return f"samples: --seed {config.option.seed}" if config.option.seed else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for `sample` once for each seed."""
    if "sample" not in metafunc.fixturenames:
        return
    if metafunc.config.option.whole:
        samples = {_WHOLE: Sample(None)}
    elif metafunc.config.option.seed:
        samples = {f"seed{metafunc.config.option.seed}": Sample(int(metafunc.config.option.seed))}
    else:
        (mark,) = metafunc.definition.iter_markers("seeds")
        samples = {f"seed{seed}": Sample(seed) for seed in mark.args}
    metafunc.parametrize("sample", samples.values(), ids=samples.keys())
