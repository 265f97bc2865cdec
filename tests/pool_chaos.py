"""Kills engines, the tunnel and parts of the controller while a map runs: `python -m tests.pool_chaos --help`.

Each item appends its number to a file. In the end the values must be those of the sequence, each number must be in the
file, and what is in it twice must be among the items that the map's report names. The seed is printed: with the same
seed the same things are killed at the same moments.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

import clusterctl

NAME = "poolchaos"
_CLUSTERCTL = [sys.executable, "-m", "clusterctl.cli.main"]
_DEADLINE_S = 600
_ITEM_S = 0.004


@dataclass
class Outcome:
    """What came of a run."""

    seconds: float
    is_right: bool
    missing: int
    twice: int
    twice_and_not_named: int
    resent: int
    lost_engines: int
    killed: Counter[str]

    @property
    def is_well(self) -> bool:
        """Whether all that is promised was kept."""
        return self.is_right and not self.missing and not self.twice_and_not_named


def victims(home: Path) -> dict[str, list[int]]:
    """What may be killed, by kind: its processes."""
    parts: dict[str, int] = {}
    with suppress(OSError, ValueError, KeyError):
        (file,) = home.rglob("profile_cluster/pid/parts.json")
        parts = json.loads(file.read_text())["parts"]
    engines, tunnels = [], []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = " ".join(process.cmdline())
            if str(home) in words and "ipengine.py" in words and "nanny" not in words:
                engines.append(process.pid)
            if str(home) in words and "clusterctl.tunnel.forwarder" in words:
                tunnels.append(process.pid)
    return {"engine": engines, "tunnel": tunnels, **{name: [pid] for name, pid in parts.items()}}


class Killer(threading.Thread):
    """Kills something every few seconds, until it is told to stop."""

    def __init__(self, home: Path, seed: int, *, pause_s: tuple[float, float]) -> None:
        super().__init__(daemon=True)
        self._home, self._random, self._pause_s = home, random.Random(seed), pause_s
        self._over = threading.Event()
        self.killed: Counter[str] = Counter()

    def run(self) -> None:
        while not self._over.wait(self._random.uniform(*self._pause_s)):
            kinds = {kind: sorted(pids) for kind, pids in victims(self._home).items() if pids}
            # Engines are killed as often as all parts of the controller together, the tunnel as often as five of them.
            others = sorted(kinds.keys() - {"engine"}) + ["tunnel"] * (4 if "tunnel" in kinds else 0)
            kind = self._random.choice(["engine"] * max(1, len(others)) + others)
            if kind in kinds:
                with suppress(ProcessLookupError):
                    os.kill(self._random.choice(kinds[kind]), signal.SIGKILL)
                    self.killed[kind] += 1

    def end(self) -> None:
        """Kill nothing more."""
        self._over.set()
        self.join()


def run(home: Path, items: int, seed: int, *, pause_s: tuple[float, float] = (1.0, 4.0)) -> Outcome:
    """Map over so many items on the cluster of this home, and look what came of it."""
    log = home / f"items-{seed}"
    log.touch()

    def note(item: int, log: str = str(log)) -> int:
        import os
        import time

        time.sleep(0.004)
        file = os.open(log, os.O_APPEND | os.O_WRONLY)
        os.write(file, b"%d\n" % item)
        os.close(file)
        return item

    client = clusterctl.connect(NAME)
    killer = Killer(home, seed, pause_s=pause_s)
    killer.start()
    began = time.monotonic()
    try:
        result = client.pool().map_async(note, range(items))
        values = result.get(_DEADLINE_S)
    finally:
        killer.end()
        client.close()
    counts = Counter(map(int, log.read_text().split()))
    twice = {item for item, count in counts.items() if count > 1}
    return Outcome(
        time.monotonic() - began,
        values == list(range(items)),
        items - len(counts),
        len(twice),
        len(twice - result.report.rerun_items),
        result.report.resent,
        len(result.report.lost_engines),
        killer.killed,
    )


def run_fits(
    home: Path, fits: int, seed: int, *, pause_s: tuple[float, float] = (1.0, 4.0)
) -> tuple[bool, Counter[str]]:
    """Have joblib fit so many times on the cluster of this home; return whether all scores are those of one process."""
    import numpy as np  # late: who runs items needs none of it
    from sklearn.linear_model import SGDClassifier
    from sklearn.model_selection import ShuffleSplit, cross_val_score

    rows = np.random.default_rng(seed).normal(size=(20_000, 20))
    task = SGDClassifier(random_state=0), rows, rows[:, 0] > 0
    splits = ShuffleSplit(fits, random_state=seed)
    alone = cross_val_score(*task, cv=splits, n_jobs=1)
    client = clusterctl.connect(NAME)
    killer = Killer(home, seed, pause_s=pause_s)
    killer.start()
    try:
        with client.joblib():
            scores = cross_val_score(*task, cv=splits, n_jobs=-1)
    finally:
        killer.end()
        client.close()
    return bool(np.array_equal(scores, alone)), killer.killed


def main() -> None:
    """Start a cluster, run, end it, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--fits", type=int, help="have joblib fit so many times instead, by scikit-learn")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10_000))
    parser.add_argument("--tunnel", action="store_true", help="go through a tunnel, and kill that, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="clusterctl-pool-chaos-") as folder:
        os.environ.update(CLUSTERCTL_HOME=folder, CLUSTERCTL_TUNNEL="always" if options.tunnel else "auto")
        options_of_start = ["--set", "ipcluster.engines_per_node=2"]
        options_of_start += ["--set", "packages.packages=scikit-learn"] if options.fits else []
        subprocess.run([*_CLUSTERCTL, "start", "-s", "3", *options_of_start, NAME], check=True)
        try:
            if options.fits:
                is_right, killed = run_fits(Path(folder), options.fits, options.seed)
                print(f"seed {options.seed}, {options.fits} fits: {'all' if is_right else 'NOT all'} right, {killed}")
                sys.exit(not is_right)
            outcome = run(Path(folder), options.items, options.seed)
        finally:
            subprocess.run([*_CLUSTERCTL, "terminate", "--yes", NAME], check=True)
    print(f"seed {options.seed}, {options.items} items of {_ITEM_S * 1000:.0f} ms: {outcome}")
    sys.exit(not outcome.is_well)


if __name__ == "__main__":
    main()
