"""Sends Ctrl-C at random moments to a Python that maps: `python -m tests.pool_interrupts --help`.

One session works on a real local cluster, as a user's does: maps of sleeps, of loops, of quick items, of C code,
`imap`, single calls, and clients and pools that are just being made. A real SIGINT comes in the middle. Then its
prompt must be back, each engine must answer another client, none may have ended without a reason, and the session's
next map must be right. The seed is printed: with the same seed the same things are interrupted after the same pauses.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import clusterctl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.compute.client import Client

NAME = "interrupts"
_CLUSTERCTL = [sys.executable, "-m", "clusterctl.cli.main"]
_DEADLINE_S = 60.0
_PROMPT_S, _FREE_S, _RESTARTED_S = 1.0, 1.0, 15.0
"""Asked: from Ctrl-C on. An engine in C code is ended after 5 seconds, and its service starts it anew."""
_SHORTEST_S, _LONGEST_S = 0.001, 1.5
"""From the begin of the work until Ctrl-C."""

_SESSION = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
import itertools, json, time
import clusterctl

client = None

def get_client():
    global client
    if client is None:
        client = clusterctl.connect(NAME)
    return client

def square(number):
    return number * number

def doze(number):
    time.sleep(0.01)
    return number

def loop(number):
    while True:
        number += 1

def hold(number):
    return sum(range(10**11))

def connect_again_and_again():
    while True:
        clusterctl.connect(NAME).close()

def make_pools():
    while True:
        with clusterctl.Pool(cluster=NAME) as pool:
            pool.map(square, range(100))

def loop_over_imap():
    for _ in get_client().pool().imap(time.sleep, [0] * 6 + [600] * 100):
        time.sleep(600)

def call_again_and_again():
    pool = get_client().pool()
    while True:
        pool.apply(square, (3,))

def check():
    values = get_client().map(square, range(500))
    return values == [number * number for number in range(500)]

WORK = {
    "sleeps": lambda: get_client().map(time.sleep, [600] * 100),
    "short sleeps": lambda: get_client().map(doze, range(100_000)),
    "loops": lambda: get_client().map(loop, range(100)),
    "quick items": lambda: [get_client().map(square, range(300_000)) for _ in itertools.count()],
    "imap of sleeps": lambda: list(get_client().pool().imap(time.sleep, [600] * 100)),
    "loop over imap": loop_over_imap,
    "imap": lambda: sum(get_client().pool().imap(doze, itertools.count())),
    "imap_unordered": lambda: sum(get_client().pool().imap_unordered(square, itertools.count())),
    "calls": call_again_and_again,
    "C code": lambda: get_client().map(hold, range(100)),
    "connect": connect_again_and_again,
    "pools": make_pools,
    "check": check,
}

def say(**about):
    os.write(1, json.dumps(about).encode() + b"\\n")

for line in iter(sys.stdin.readline, ""):
    try:
        value = WORK[line.strip()]()
    except KeyboardInterrupt:
        say(interrupted=True)
    except BaseException as error:
        say(error=f"{type(error).__name__}: {error}")
    else:
        say(value=value)
"""


@dataclass
class Trial:
    """One Ctrl-C, and what came of it."""

    kind: str
    pause_s: float
    prompt_s: float = 0.0
    free_s: float = 0.0
    said: dict[str, object] = field(default_factory=dict)
    is_next_right: bool = False
    lost: int = 0
    """Engines that are not there any more."""

    @property
    def faults(self) -> list[str]:
        """What was not as promised, apart from times."""
        found = []
        if self.said != {"interrupted": True}:
            found.append(f"the prompt said {self.said}")
        if not self.is_next_right:
            found.append("the next map is not right")
        if self.lost and self.kind != "C code":
            found.append(f"{self.lost} engines were lost")
        return found

    @property
    def delays(self) -> list[str]:
        """What took longer than asked."""
        free_s = _RESTARTED_S if self.kind == "C code" else _FREE_S
        found = [f"the prompt took {self.prompt_s:.1f} s"] if self.prompt_s > _PROMPT_S else []
        return found + ([f"the engines took {self.free_s:.1f} s"] if self.free_s > free_s else [])


class Session:
    """A user's Python."""

    def __init__(self) -> None:
        code = f"NAME = {NAME!r}\n{_SESSION}"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )

    def begin(self, kind: str) -> None:
        """Have it do this."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{kind}\n".encode())

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def hear(self) -> dict[str, object]:
        """Return what it says next."""
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], _DEADLINE_S)
        line = self._process.stdout.readline() if ready else b""
        said: dict[str, object] = json.loads(line) if line else {"silent": True}
        return said

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


def await_answers(client: Client, engines: Sequence[int]) -> None:
    """Return when each of these engines has answered a call; one that ended and came back, too."""
    deadline = time.monotonic() + _DEADLINE_S
    for engine in engines:
        while time.monotonic() < deadline:
            try:
                client[engine].apply_async(abs, -1).get(timeout=max(0.1, deadline - time.monotonic()))
                break
            except Exception:  # noqa: BLE001  it has ended: its service starts it anew
                time.sleep(0.05)


def try_once(session: Session, observer: Client, kind: str, pause_s: float) -> Trial:
    """Interrupt this kind of work after a pause."""
    trial, before, engines = Trial(kind, pause_s), dict(observer._engines), list(observer.ids)
    session.begin(kind)
    time.sleep(pause_s)
    began = time.monotonic()
    session.interrupt()
    trial.said = session.hear()
    trial.prompt_s = time.monotonic() - began
    await_answers(observer, engines)
    trial.free_s = time.monotonic() - began
    trial.lost = len(set(before.values()) - set(observer._engines.values()))
    session.begin("check")
    trial.is_next_right = session.hear() == {"value": True}
    return trial


def run(count: int, seed: int, kinds: Sequence[str] = ()) -> list[Trial]:
    """Interrupt so often, on the cluster of this home. Each fault is printed when it is seen."""
    chance = random.Random(seed)
    usual = ["sleeps", "short sleeps", "loops", "quick items", "imap", "calls", "connect", "pools"]
    usual += ["imap of sleeps", "imap_unordered", "loop over imap"]
    kinds = kinds or [*usual, *usual, "C code"]
    observer, session, trials = clusterctl.connect(NAME), Session(), []
    try:
        session.begin("check")
        session.hear()
        for number in range(count):
            kind = chance.choice(kinds)
            pause_s = _SHORTEST_S * (_LONGEST_S / _SHORTEST_S) ** chance.random()
            trial = try_once(session, observer, kind, pause_s)
            trials.append(trial)
            for problem in trial.faults + trial.delays:
                print(f"{number}: {kind}, Ctrl-C after {pause_s * 1000:.0f} ms: {problem}", flush=True)
            if "silent" in trial.said or not trial.is_next_right:
                session.close()
                session = Session()
                session.begin("check")
                session.hear()
    finally:
        session.close()
        observer.close()
    return trials


def main() -> None:
    """Start a cluster, run, end it, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10_000))
    parser.add_argument("--kinds", nargs="*", default=(), help="only these kinds of work")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="clusterctl-interrupts-") as folder:
        os.environ.update(CLUSTERCTL_HOME=folder)
        subprocess.run([*_CLUSTERCTL, "start", "-s", "3", "--set", "ipcluster.engines_per_node=2", NAME], check=True)
        try:
            trials = run(options.count, options.seed, options.kinds)
        finally:
            subprocess.run([*_CLUSTERCTL, "terminate", "--yes", NAME], check=True)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    for kind in sorted({trial.kind for trial in trials}):
        own = [trial for trial in trials if trial.kind == kind]
        prompt_s, free_s = max(trial.prompt_s for trial in own), max(trial.free_s for trial in own)
        print(f"  {kind:16}{len(own):4} times; at most: prompt {prompt_s:.2f} s, engines free {free_s:.2f} s")
    faults, delays = sum(bool(trial.faults) for trial in trials), sum(bool(trial.delays) for trial in trials)
    print(f"seed {options.seed}: {len(trials)} times Ctrl-C, {faults} with a fault, {delays} too slow; load {load:.1f}")
    sys.exit(bool(faults or delays))


if __name__ == "__main__":
    main()
