"""Breaks parts of a cluster that works, one after the other, under a steady load.

    python -m tests.chaos --faults 200 --seed 1
    python -m tests.chaos --provider docker --faults 40 --results docker.jsonl
    python -m tests.chaos --faults 3 --kinds "worker cut 15 min, laptop slept 15 min"

A client of `clusterctl.connect()`, in a process of its own, keeps some tasks at work, and is told nothing. After each
fault it is waited for until every node's SSH server greets, all that looks after others is at work, and each engine
answers this client through each scheduler.
Printed are, for each kind of fault: how often; how often the cluster was well by itself, and after how many seconds
from the end of the fault; how often `start` was needed; how many tasks ended with an error, and how many had no end
60 s after what happened. In the end `terminate` must leave nothing.

With --results a run that was cut off goes on where it was, with a new cluster. Local nodes have a disk of their own in
memory, and packets are dropped by iptables: both need root.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from .faults import KINDS
from .grounds import GROUNDS, disk_of_its_own

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .grounds import Ground

_LONG_S = 100.0
_GOOD = {"sent", "done"}


@dataclass
class Trial:
    """One fault, and what came of it."""

    seed: int
    number: int
    kind: str
    where: str
    seconds: float
    """From the end of the fault until all was well."""
    came: str
    """How it came to be well: itself, start, never."""
    last: str
    """What was well last."""
    ends: dict[str, int] = field(default_factory=dict)
    """How tasks ended meanwhile."""
    longest_s: float = 0.0
    """How long the slowest call took, from what happened to it."""


def draw(kinds: list[str], seed: int) -> Iterator[tuple[str, random.Random]]:
    """Yield kinds and chances without end: all kinds once in some order, then all once more."""
    chance = random.Random(seed)
    while True:
        for kind in chance.sample(kinds, len(kinds)):
            yield kind, random.Random(chance.random())


def run(
    ground: Ground, kinds: list[str], seed: int, numbers: list[int], seconds: float, pause_s: float
) -> Iterator[tuple[Trial, dict[str, dict[str, int]]]]:
    """Break and wait, the faults of these numbers among those that the seed draws, or for so long.

    Yield each trial with what all tasks came to so far.
    """
    drawn = draw(kinds, seed)
    began = time.monotonic()
    for number in range(1, max(numbers, default=0) + 1):
        kind, chance = next(drawn)
        if number not in numbers:
            continue
        if time.monotonic() - began > seconds:
            return
        ground.pause(pause_s)
        ground.load.ask("begin", fault=number)
        where = KINDS[kind].act(ground, chance)
        ground.load.ask("end")
        took, came, last = ground.heal(by_itself=ground.provider in KINDS[kind].by_itself)
        ground.load.ask("heal")
        print(f"{number:4} {kind} {where}: well by {came} after {took:.1f} s{last and f' ({last})'}", flush=True)
        if came == "never" or (came == "start" and ground.provider in KINDS[kind].by_itself):
            print(ground.status(), flush=True)
        yield Trial(seed, number, kind, where, round(took, 2), came, last), ground.load.ask("counts")
        if came == "never":
            return


def show(trials: list[Trial], provider: str) -> None:
    """Print the table."""
    print("\n| fault | times | well by itself | median s | worst s | by `start` | never | tasks lost | hung |")
    print("|---|---|---|---|---|---|---|---|---|")
    for kind in KINDS:
        some = [trial for trial in trials if trial.kind == kind]
        if some:
            came = Counter(trial.came for trial in some)
            times = [trial.seconds for trial in some if trial.came != "never"] or [0.0]
            ends = sum((Counter(trial.ends) for trial in some), Counter[str]())
            hung = sum(count for name, count in ends.items() if name.startswith("hung"))
            lost = sum(count for name, count in ends.items() if name not in _GOOD) - hung
            row = (kind, len(some), came["itself"], f"{median(times):.1f}", f"{max(times):.1f}")
            print(f"| {' | '.join(map(str, (*row, came['start'], came['never'], lost, hung)))} |")
    ends = sum((Counter(trial.ends) for trial in trials), Counter[str]())
    print(f"\n{provider}: {len(trials)} faults; tasks: {', '.join(f'{n} {name}' for name, n in ends.most_common())}")
    print(f"slowest call: {max((trial.longest_s for trial in trials), default=0):.0f} s after what happened to it")


def is_bad(trial: Trial, provider: str) -> bool:
    """Whether a trial shows a fault of ours."""
    helped = trial.came != "itself" and provider in KINDS[trial.kind].by_itself
    return helped or trial.came == "never" or any(name.startswith(("hung", "wrong")) for name in trial.ends)


def take(trials: list[Trial], counts: dict[str, dict[str, int]]) -> None:
    """Write what tasks came to into the trials of this run."""
    for trial in trials:
        trial.ends = counts["ends"].get(str(trial.number), {})
        trial.longest_s = counts["longest"].get(str(trial.number), 0.0)


def write(results: Path | None, before: list[Trial], trials: list[Trial]) -> None:
    """Write all trials, whole or not at all."""
    if results:
        draft = results.with_name(f"{results.name}.new")
        draft.write_text("".join(json.dumps(asdict(trial)) + "\n" for trial in [*before, *trials]))
        draft.replace(results)


def parse() -> argparse.Namespace:
    """Return what was asked for."""
    lines = [f"  {name}: {kind.about}" for name, kind in KINDS.items()]
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description=__doc__,
        epilog="kinds, all but the cuts that last minutes unless named:\n" + "\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--provider", choices=list(GROUNDS), default="local")
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no new fault after so long")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--size", type=int, default=3, help="nodes")
    parser.add_argument("--engines", type=int, default=2, help="on each node")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds of peace before each fault")
    parser.add_argument("--kinds", default="", help="a comma list")
    parser.add_argument("--results", type=Path, help="keep the trials in this file, and go on with it")
    options = parser.parse_args()
    here = [name for name, kind in KINDS.items() if options.provider in kind.grounds]
    options.kinds = [kind.strip() for kind in options.kinds.split(",") if kind.strip()]
    if unknown := set(options.kinds) - set(here):
        parser.error(f"no such kinds: {', '.join(sorted(unknown))}; there are {', '.join(here)}")
    options.kinds = options.kinds or [name for name in here if KINDS[name].lasts_s < _LONG_S]
    return options


def main() -> int:
    """Parse, run, tell."""
    options = parse()
    before = []
    if options.results and options.results.exists():
        before = [Trial(**json.loads(line)) for line in options.results.read_text().splitlines()]
    seed = options.seed
    if seed is None:
        seed = before[0].seed if before else random.SystemRandom().randrange(10**6)
    before = [trial for trial in before if trial.seed == seed]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # whoever ends it leaves no cluster
    print(f"seed {seed}, {options.size} nodes of {options.engines} engines, {options.provider}", flush=True)
    trials: list[Trial] = []
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        if options.provider == "local":
            opened.enter_context(disk_of_its_own(folder))
        ground = GROUNDS[options.provider](folder / "home", size=options.size, engines=options.engines)
        left = ["nothing ran"]
        try:
            ground.start()
            numbers = [*{*range(1, 1 + options.faults)} - {trial.number for trial in before}]
            for trial, counts in run(ground, options.kinds, seed, numbers, options.seconds, options.pause):
                trials.append(trial)
                take(trials, counts)
                write(options.results, before, trials)
            ground.load.ask("finish")
            take(trials, ground.load.ask("counts"))
            write(options.results, before, trials)
        finally:
            left = ground.end()
            print((folder / "client.log").read_text()[-4000:])
    show([*before, *trials], options.provider)
    print("left:", left or "nothing")
    return 1 if left or any(is_bad(trial, options.provider) for trial in trials) else 0


if __name__ == "__main__":
    sys.exit(main())
