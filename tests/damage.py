"""Damage to each kind of file that a cluster has on this computer, and what commands make of it.

    python -m tests.damage                whole table, which takes about half an hour
    python -m tests.damage journal lock   only files whose names have one of these words

The kinds are not listed anywhere: they are what a home has after a start. For each kind and each damage a cluster is
started, one file is damaged, and then the other cluster of the home must answer, `start` must mend this one or say what
to do, and `terminate` must leave nothing.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .support.laptop import Laptop

OTHER, NAME = "other", "hurt"
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
    """A kind of file, and a damage."""

    kind: str
    damage: str

    def __str__(self) -> str:
        return f"{self.kind} {self.damage}"


def files_of(home: Path, name: str) -> dict[str, Path]:
    """One file of each kind that a cluster has, by its path with node names and numbers left out."""
    found: dict[str, Path] = {}
    for root in (home / "clusters" / name, home / "local" / name, home / "static"):
        for path in sorted(root.rglob("*")) if root.is_dir() else ():
            relative = str(path.relative_to(home))
            if path.is_file() and not path.is_symlink() and not _SKIPPED.search(f"/{relative}"):
                kind = re.sub(rf"/{name}/", "/NAME/", relative)
                kind = re.sub(r"/(master|node\d+)(?=[/.])", "/NODE", kind)
                found.setdefault(re.sub(r"[0-9a-f]{8,}|\d+", "N", kind), path)
    for path in (home / "ended.txt", home / "ids.txt"):
        if path.is_file():
            found[path.name] = path
    return found


class Bench:
    """A home with two clusters: one is hurt, the other must not notice."""

    def __init__(self, home: Path) -> None:
        self.laptop = Laptop(home)
        self.laptop.run("start", "-s", "1", OTHER)
        self.up = False

    def files(self) -> dict[str, Path]:
        self._bring_up()
        return files_of(self.laptop.home, NAME)

    def _bring_up(self) -> None:
        if not self.up:
            self.laptop.run("start", "-s", "2", NAME)
            self.up = True

    def judge(self, case: Case, *, ways: tuple[str, ...] = ("start", "terminate")) -> list[str]:
        """Return the faults that a damage brings to light; none if all is as it should be."""
        faults = []
        for way in ways:
            self._bring_up()
            path = files_of(self.laptop.home, NAME).get(case.kind)
            if path is None:
                continue  # what `start` makes only sometimes
            DAMAGES[case.damage](path)
            faults += self._see_others()
            faults += self._see_start() if way == "start" else self._see_end()
        return faults

    def _see_others(self) -> list[str]:
        return self._fault("status", OTHER, status=0) + self._fault("list", status=0)

    def _see_start(self) -> list[str]:
        faults = self._fault("start", NAME, status=None)
        self.up = not faults and self._is_well()
        return faults if self.up else faults + self._see_end()

    def _is_well(self) -> bool:
        return self.laptop.run("status", NAME, status=None).returncode == 0

    def _see_end(self) -> list[str]:
        faults = self._fault("terminate", "--yes", NAME, status=0)
        self.up = False
        sign = f"{self.laptop.home}/local/{NAME}/"
        left = [each.cmdline() for each in self.laptop.processes() if sign in f"{each.cmdline()} {each.environ()}"]
        faults += [f"terminate left the process {line}" for line in left]
        for folder in (self.laptop.folder(NAME), self.laptop.home / "local" / NAME):
            faults += [f"terminate left {folder}"] if folder.exists() else []
        return faults

    def _fault(self, *words: str, status: int | None) -> list[str]:
        """Run a command; return what is wrong with its answer."""
        try:
            said = self.laptop.run(*words, status=None, timeout=180)
        except AssertionError as exc:
            return [f"{' '.join(words)}: {str(exc)[-600:]}"]
        if status is not None and said.returncode != status:
            return [f"{' '.join(words)}: {said.returncode}: {said.stderr.strip()[-600:]}"]
        if said.returncode and "\ntry: " not in said.stderr and "\ntry: " not in said.stdout:
            return [f"{' '.join(words)}: no remedy: {said.stderr.strip()[-600:]}"]
        return []

    def close(self) -> None:
        self.laptop.run("terminate", "--yes", OTHER, NAME, status=None)
        for process in self.laptop.processes():
            process.kill()


def main(words: list[str]) -> int:
    """Print the table. Return 1 if anything is not as it should be."""
    folder = Path(tempfile.mkdtemp(prefix="clusterctl-damage-"))
    bench = Bench(folder / "home")
    wrong = 0
    try:
        kinds = [kind for kind in bench.files() if not words or any(word in kind for word in words)]
        for case in (Case(kind, damage) for kind in kinds for damage in DAMAGES):
            faults = bench.judge(case)
            wrong += bool(faults)
            print(f"{case.kind:60} {case.damage:12} {'; '.join(faults) or 'well'}", flush=True)
    finally:
        bench.close()
        shutil.rmtree(folder)
    print(f"{wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
