"""How often a `start` that was killed is well after the next one.

python tests/benchmarks/kills.py [--runs 12] [--seed 1] [--cold]

Each run kills `clusterctl start -s 3` by SIGKILL somewhere between 0.7 and 3.2 s, starts again at once, and ends the
cluster. The seed says where: the same one kills at the same moments. `--cold` empties the cache of environments first,
and kills anywhere in the first 15 s.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from common import CLUSTERCTL, home, machine

_WARM_S = (0.7, 3.2)
_COLD_S = (0.7, 15.0)


def killed_start(env: dict[str, str], after_s: float) -> bool:
    """Start a cluster and kill the command. Return False if it had ended by then."""
    process = subprocess.Popen(
        [*CLUSTERCTL, "start", "-s", "3", "killed"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        process.wait(after_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True
    return False


def repeat(env: dict[str, str]) -> tuple[float, str]:
    """Start again. Return the seconds, and what went wrong."""
    began = time.monotonic()
    result = subprocess.run(
        [*CLUSTERCTL, "start", "-s", "3", "killed"], env=env, capture_output=True, text=True, check=False
    )
    return time.monotonic() - began, result.stderr.strip() if result.returncode else ""


def trial(after_s: float, *, cold: bool) -> bool:
    """Kill and repeat once, print the outcome, and return whether it was well."""
    with home() as env, tempfile.TemporaryDirectory(prefix="clusterctl-bench-") as cache:
        if cold:
            env |= {"XDG_CACHE_HOME": cache, "UV_CACHE_DIR": env.get("UV_CACHE_DIR", "")}
        cut = killed_start(env, after_s)
        seconds, trouble = repeat(env)
        subprocess.run([*CLUSTERCTL, "terminate", "--yes", "killed"], env=env, stdout=subprocess.DEVNULL, check=True)
    state = "killed" if cut else "had ended"
    print(f"{after_s:6.2f} s {state:>10} {seconds:7.2f} s  {trouble or 'well'}", flush=True)
    return not trouble


def main() -> None:
    """Print a line for each kill, and the sum."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cold", action="store_true")
    options = parser.parse_args()
    moments = random.Random(options.seed)
    print(f"{machine()}, seed {options.seed}")
    spans = _COLD_S if options.cold else _WARM_S
    outcomes = [trial(moments.uniform(*spans), cold=options.cold) for _ in range(options.runs)]
    print(f"{sum(outcomes)} of {len(outcomes)} well at the first repeat")
    sys.exit(not all(outcomes))


if __name__ == "__main__":
    main()
