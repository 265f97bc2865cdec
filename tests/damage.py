"""Damage to each kind of file that a cluster has on this computer, and what commands make of it.

    python -m tests.damage                          whole table, which takes some hours
    python -m tests.damage --results damage.jsonl   goes on where it was cut off
    python -m tests.damage --results damage.jsonl --show
                                                    only prints the table of what is done
    python -m tests.damage journal lock             only files whose names have one of these words

The kinds are not listed anywhere: they are what a home has after a start. For each kind and each damage a cluster is
started, one file is damaged, and then the other cluster of the home must answer, `start` must mend this one or say what
to do, and `terminate` must leave nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .support.laptop import Laptop

if TYPE_CHECKING:
    from collections.abc import Sequence

OTHER, NAME = "other", "hurt"
WAYS = ("start", "terminate")
BOUND = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
"""Runs a program as a root for whom a file can be read-only."""
_SKIPPED = re.compile(r"/(env|\.environments|home|bin|cache)(/|$)|\.sock$|\.lock$")
"""An environment and a home are many files, which are not ours to read; sockets are no files.

An environment's files are those of the cache and of all clusters: tests/e2e/test_environments.py has a cache of its
own.
"""


def half(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def nonsense(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 4)


def other_shape(path: Path) -> None:
    """Valid JSON, and in a journal a line of it."""
    shapes = (b"{}\n", b"1\n", b"[]\n", b'{"event": 1}\n', b"null\n")
    path.write_bytes(shapes[sum(path.name.encode()) % len(shapes)])


def read_only(path: Path) -> None:
    path.chmod(0o400)


def gone(path: Path) -> None:
    path.unlink()


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES = {act.__name__: act for act in (half, empty, nonsense, other_shape, read_only, gone, a_folder)}


@dataclass(frozen=True)
class Case:
    """A kind of file, a damage, and the command that meets it."""

    kind: str
    damage: str
    way: str

    def __str__(self) -> str:
        return f"{self.kind} {self.damage} {self.way}"


@dataclass
class Finding:
    """What came of a case."""

    kind: str
    damage: str
    way: str
    result: str = "absent"
    """``mended``: all is well; ``told``: the command failed, and said what to do; ``gone``: nothing is left;
    ``absent``: there was no such file this time; ``WRONG``."""
    faults: list[str] = field(default_factory=list)


def files_of(home: Path, name: str) -> dict[str, Path]:
    """One file of each kind that a cluster has, by its path with node names and numbers left out."""
    found: dict[str, Path] = {}
    for root in (home / "clusters" / name, home / "local" / name, home / "static"):
        for path in sorted(root.rglob("*")) if root.is_dir() else ():
            relative = str(path.relative_to(home))
            if path.is_file() and not path.is_symlink() and not _SKIPPED.search(f"/{relative}"):
                kind = re.sub(rf"/{name}/", "/NAME/", relative)
                kind = re.sub(r"/(master|node\d+)(?=[/.])", "/NODE", kind)
                kind = re.sub(r"[0-9a-f]{8,}|\d+", "N", kind)
                found.setdefault(re.sub(r"(/python-N)/.*\.py$", r"\1/MODULE.py", kind), path)
    for path in (home / "ended.txt", home / "ids.txt"):
        if path.is_file():
            found[path.name] = path
    return found


class Bench:
    """A home with two clusters: one is hurt, the other must not notice."""

    def __init__(self, home: Path, *, runner: tuple[str, ...] = ()) -> None:
        self.laptop = Laptop(home, runner=runner)
        self.laptop.run("start", "-s", "1", OTHER)
        self.up = False

    def files(self) -> dict[str, Path]:
        self._bring_up()
        return files_of(self.laptop.home, NAME)

    def _bring_up(self) -> None:
        if not self.up:
            self.laptop.run("start", "-s", "2", "--set", "ipcluster.enable_notebook=yes", NAME)
            self.up = True

    def judge(self, case: Case) -> Finding:
        """Do the damage, run the command, and see what came of it."""
        finding = Finding(case.kind, case.damage, case.way)
        path = self.files().get(case.kind)
        if path is None:  # the case before has taken it away for good
            finding.faults += self._see_end()
            path = self.files().get(case.kind)
        if path is None:
            return finding  # what `start` makes only sometimes
        path.chmod(path.stat().st_mode | 0o200)  # a few are read-only from the beginning
        DAMAGES[case.damage](path)
        finding.faults += self._see_others()
        if case.way == "start":
            finding.result = self._see_start(finding.faults)
        else:
            finding.result = "gone"
        if not self.up or case.way == "terminate":
            finding.faults += self._see_end()
        if finding.faults:
            finding.result = "WRONG"
        return finding

    def _see_others(self) -> list[str]:
        return self._run("status", OTHER, must=True)[1] + self._run("list", must=True)[1]

    def _see_start(self, faults: list[str]) -> str:
        mended, wrong = self._run("start", NAME)
        faults += wrong
        if mended:
            faults += [f"after start: {fault}" for fault in self._run("status", NAME, must=True)[1]]
        self.up = mended and not faults
        return "mended" if mended else "told"

    def _see_end(self) -> list[str]:
        faults = self._run("terminate", "--yes", NAME, must=True)[1]
        self.up = False
        sign = f"{self.laptop.home}/local/{NAME}/"
        left = [each for each in self.laptop.processes() if sign in f"{each.cmdline()} {each.environ()}"]
        faults += [f"terminate left the process {process.cmdline()}" for process in left]
        for process in left:
            process.kill()
        for folder in (self.laptop.folder(NAME), self.laptop.home / "local" / NAME):
            if folder.exists():
                faults.append(f"terminate left {folder}")
                shutil.rmtree(folder)
        return faults

    def _run(self, *words: str, must: bool = False) -> tuple[bool, list[str]]:
        """Run a command. Return whether it succeeded, and what is wrong with its answer."""
        try:
            said = self.laptop.run(*words, status=None, timeout=180)
        except (AssertionError, subprocess.TimeoutExpired) as exc:
            return False, [f"{' '.join(words)}: {str(exc)[-600:]}"]
        if must and said.returncode:
            return False, [f"{' '.join(words)}: {said.returncode}: {(said.stdout + said.stderr).strip()[-600:]}"]
        if said.returncode and "\ntry: " not in said.stderr and "\ntry: " not in said.stdout:
            return False, [f"{' '.join(words)}: no remedy: {said.stderr.strip()[-600:]}"]
        return not said.returncode, []

    def close(self) -> None:
        self.laptop.run("terminate", "--yes", OTHER, NAME, status=None)
        for process in self.laptop.processes():
            process.kill()


def show(findings: list[Finding]) -> None:
    """Print the table: a line for each kind of file, a column for each damage."""
    table: dict[str, dict[tuple[str, str], str]] = defaultdict(dict)
    for finding in findings:
        table[finding.kind][finding.damage, finding.way] = finding.result
    print(f"\n| file | {' | '.join(name.replace('_', ' ') for name in DAMAGES)} | `terminate` leaves nothing |")
    print("|---" * (len(DAMAGES) + 2) + "|")
    for kind, results in sorted(table.items()):
        ends = [results.get((damage, "terminate"), "") for damage in DAMAGES]
        cells = [results.get((damage, "start"), "") for damage in DAMAGES]
        print(f"| `{kind}` | {' | '.join(cells)} | {ends.count('gone')} of {len(ends) - ends.count('')} |")
    wrong = [finding for finding in findings if finding.faults]
    print(f"\n{len(findings)} cases, {len(wrong)} wrong")
    for finding in wrong:
        print(f"{finding.kind} {finding.damage} {finding.way}: {'; '.join(finding.faults)}")


def main() -> int:
    """Print the table. Return 1 if anything is not as it should be."""
    if not os.geteuid() and shutil.which(BOUND[0]) and "CLUSTERCTL_BOUND" not in os.environ:
        os.environ["CLUSTERCTL_BOUND"] = "yes"
        os.execvp(BOUND[0], [*BOUND, sys.executable, "-m", "tests.damage", *sys.argv[1:]])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="WORD", help="only files whose names have one of these")
    parser.add_argument("--way", choices=WAYS, help="only this command; default: both")
    parser.add_argument("--results", type=Path, help="keep the findings in this file, and go on with it")
    parser.add_argument("--show", action="store_true", help="only print the table of the results")
    options = parser.parse_args()
    findings = []
    if options.results and options.results.exists():
        findings = [Finding(**json.loads(line)) for line in options.results.read_text().splitlines()]
    if options.show:
        show(findings)
        return 0
    done = {Case(finding.kind, finding.damage, finding.way) for finding in findings}
    folder = Path(tempfile.mkdtemp(prefix="clusterctl-damage-"))
    bench = Bench(folder / "home")
    try:
        for case in cases(bench, words=options.words, ways=[options.way] if options.way else WAYS):
            if case not in done:
                finding = bench.judge(case)
                findings.append(finding)
                print(f"{case!s:90} {finding.result} {'; '.join(finding.faults)}", flush=True)
                if options.results:
                    with options.results.open("a") as file:
                        file.write(json.dumps(asdict(finding)) + "\n")
    finally:
        bench.close()
        shutil.rmtree(folder)
    show(findings)
    return 1 if any(finding.faults for finding in findings) else 0


def cases(bench: Bench, *, words: Sequence[str] = (), ways: Sequence[str] = WAYS) -> list[Case]:
    """Each damage to each kind of file whose name has one of the words, met by each of the commands."""
    kinds = [kind for kind in sorted(bench.files()) if not words or any(word in kind for word in words)]
    return [Case(kind, damage, way) for way in ways for kind in kinds for damage in DAMAGES]


if __name__ == "__main__":
    sys.exit(main())
