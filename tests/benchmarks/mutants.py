"""How many faults in the modules that only compute are seen by unit tests: ``python tests/benchmarks/mutants.py``.

cosmic-ray makes the faults: it changes one operator, number or word of Python, in a copy of the checkout. Forty places
are drawn with a fixed seed, and one change for each. Then the unit tests run that import the changed module or are
named after it, and if they see nothing, those that import any module of its folder; other tests do not count. What no
test sees is printed as a diff. Left alone are annotations, which nothing runs, and changes that are no Python any more,
which every test would see.

Needs the extras `test` and `mutation`, and some minutes on two cores.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING

from cosmic_ray.commands.init import init
from cosmic_ray.mutating import mutate_and_test, mutate_code
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import use_db

if TYPE_CHECKING:
    from cosmic_ray.work_item import MutationSpec

ROOT = Path(__file__).parents[2]
MODULES = (
    "clusterctl/cli/charts/axis.py",
    "clusterctl/cli/charts/braille.py",
    "clusterctl/cli/charts/text.py",
    "clusterctl/config/ini.py",
    "clusterctl/config/plugin_sections.py",
    "clusterctl/config/provider_options.py",
    "clusterctl/config/starcluster.py",
    "clusterctl/config/validation.py",
    "clusterctl/environment/lock.py",
    "clusterctl/environment/requirements.py",
    "clusterctl/identity/endpoints.py",
    "clusterctl/identity/known_hosts.py",
    "clusterctl/model.py",
    "clusterctl/options.py",
    "clusterctl/planning.py",
    "clusterctl/providers/ec2/launch/fleet_requests.py",
    "clusterctl/providers/ec2/pricing/estimates.py",
    "clusterctl/providers/ec2/pricing/quotas.py",
    "clusterctl/providers/ec2/pricing/spending.py",
    "clusterctl/providers/ec2/tags.py",
    "clusterctl/providers/money.py",
    "clusterctl/remote/failures.py",
    "clusterctl/remote/quoting.py",
    "clusterctl/text.py",
)
"""Modules that compute, and touch neither disk nor network."""

FLOOR = 0.9
LIMIT_S = 600
PYTEST = (
    sys.executable,
    "-m",
    "pytest",
    "-x",
    "-q",
    "-n",
    "0",
    "-m",
    "not e2e",
    "--require",
    "slow",
    "--hypothesis-seed=0",
)


@dataclass(frozen=True)
class Verdict:
    """What became of one mutant."""

    mutation: MutationSpec
    killed: bool
    diff: str


def find_tests(module: str) -> list[list[str]]:
    """The files of unit tests that import a module or are named after it; then the others that import any of its room.

    The folder of all modules is no room: its tests are all there are.
    """
    *packages, name = Path(module).with_suffix("").parts
    package = re.escape(".".join(packages))
    of_module = re.compile(rf"^\s*from {package}(?:\.{name} import |[ ]import .*\b{name}\b)", re.MULTILINE)
    of_room = re.compile(rf"^\s*from {package}[. ]" if packages[1:] else r"(?!)", re.MULTILINE)
    texts = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if "e2e" not in path.parts
    }
    near = [file for file, text in texts.items() if Path(file).stem == f"test_{name}" or of_module.search(text)]
    room = [file for file, text in texts.items() if file not in near and of_room.search(text)]
    return [files for files in (near, room) if files]


def find_idle_spans(module: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where the parts of a module begin and end that nothing runs: annotations, and `if TYPE_CHECKING`."""
    spans = []
    for node in ast.walk(ast.parse((ROOT / module).read_text(encoding="utf-8"))):
        idle = getattr(node, "returns", None) or getattr(node, "annotation", None)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            idle = node
        if isinstance(idle, ast.AST):
            spans.append(((idle.lineno, idle.col_offset), (idle.end_lineno, idle.end_col_offset)))
    return spans


def is_python(mutation: MutationSpec) -> bool:
    """Whether the changed module can be read at all: in `def f(*, a)` the star is taken for an operator too."""
    source = (ROOT / mutation.module_path).read_text(encoding="utf-8")
    operator = get_operator(mutation.operator_name)(**mutation.operator_args)
    try:
        compile(mutate_code(source, operator, mutation.occurrence), mutation.module_path, "exec")
    except SyntaxError:
        return False
    return True


def draw_sample(count: int, seed: int) -> list[MutationSpec]:
    """So many places, and one change for each: the same ones for the same seed and sources."""
    with tempfile.TemporaryDirectory() as scratch, use_db(Path(scratch) / "session.sqlite") as session:
        init([Path(module) for module in MODULES], session, {})
        mutations = [item.mutations[0] for item in session.work_items]
    idle_spans = {module: find_idle_spans(module) for module in MODULES}

    def place(mutation: MutationSpec) -> tuple[str, tuple[int, int], tuple[int, int]]:
        return mutation.module_path.as_posix(), mutation.start_pos, mutation.end_pos

    def runs(mutation: MutationSpec) -> bool:
        return not any(start <= mutation.start_pos < end for start, end in idle_spans[place(mutation)[0]])

    mutations = sorted(filter(runs, mutations), key=lambda m: (*place(m), m.operator_name, m.occurrence))
    places = [list(group) for _, group in groupby(mutations, key=place)]
    draw = random.Random(seed)
    draw.shuffle(places)
    drawn = (draw.choice(changes) for changes in places)
    return list(islice(filter(is_python, drawn), count))


def enter_copy(folder: str) -> None:
    """Called in each worker process: it works in a copy of its own, since a mutant is a changed file."""
    copy = Path(tempfile.mkdtemp(dir=folder)) / "checkout"
    unwanted = shutil.ignore_patterns(".git", ".venv", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis", "site")
    shutil.copytree(ROOT, copy, ignore=unwanted)
    os.chdir(copy)
    os.environ["PYTHONPATH"] = str(copy)


def judge_mutant(mutation: MutationSpec) -> Verdict:
    """Run the tests of one mutant, until some see it."""
    for tests in find_tests(mutation.module_path.as_posix()):
        command = [*PYTEST, *tests]
        result = mutate_and_test([mutation], " ".join(f"'{word}'" for word in command), LIMIT_S)
        if result.test_outcome is None or result.test_outcome.value == "incompetent":
            raise RuntimeError(f"{mutation}: {result.output}")
        if result.is_killed:
            break
    return Verdict(mutation, result.is_killed, result.diff or "")


def check_baseline(modules: set[str]) -> None:
    """End here if the tests fail without a mutant: then nothing would be shown."""
    tests = sorted({test for module in modules for tests in find_tests(module) for test in tests})
    result = subprocess.run([*PYTEST, *tests], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": "."})
    if result.returncode:
        sys.exit(f"the unit tests fail without a mutant:\n{result.stdout}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=40, help="how many mutants (40)")
    parser.add_argument("--seed", type=int, default=2013, help="which ones are drawn (2013)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many at a time (one for each core)")
    parser.add_argument("--list", action="store_true", help="only show which are drawn")
    options = parser.parse_args()
    os.chdir(ROOT)
    sample = draw_sample(options.count, options.seed)
    if options.list:
        for mutation in sample:
            print(f"{mutation.module_path}:{mutation.start_pos[0]} {mutation.operator_name}")
        return
    check_baseline({mutation.module_path.as_posix() for mutation in sample})
    killed = 0
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(options.jobs, initializer=enter_copy, initargs=(folder,)) as pool,
    ):
        for verdict in pool.map(judge_mutant, sample):
            mutation = verdict.mutation
            killed += verdict.killed
            word = "killed  " if verdict.killed else "SURVIVED"
            print(f"{word} {mutation.module_path}:{mutation.start_pos[0]} {mutation.operator_name}", flush=True)
            if not verdict.killed:
                print(verdict.diff, flush=True)
    share = killed / len(sample)
    print(f"{killed} of {len(sample)} mutants killed by unit tests alone ({share:.0%}), seed {options.seed}")
    sys.exit(share < FLOOR)


if __name__ == "__main__":
    main()
