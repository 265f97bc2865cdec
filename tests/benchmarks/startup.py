"""What a command costs before it does anything, against a bare Python; or what it costs here and in another checkout.

python tests/benchmarks/startup.py [--runs 11] [--against OTHER/.venv/bin/python] [--start]

Of each it prints the median of the time that passed, and the least processor time, which says more on a busy machine.
With `--against` each command is run in turn by this Python and by that one, whose clusterctl is the other checkout's.
`--start` starts a cluster of one local node too, and ends it.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from common import home, machine, seconds

COMMANDS = {
    "--version": "--version",
    "--help": "--help",
    "start --help": "start --help",
    "list": "list",
    "start --dry-run": "start --dry-run -s 2 lab",
}
TABS = {"TAB after `clusterctl te`": "clusterctl te", "TAB after `terminate m`": "clusterctl terminate m"}


def tab(env: dict[str, str], line: str) -> dict[str, str]:
    """The environment in which a shell asks what a TAB after this line offers."""
    words = len(line.split()) - 1
    return {**env, "_CLUSTERCTL_COMPLETE": "zsh_complete", "COMP_WORDS": line, "COMP_CWORD": str(words)}


def measure(pythons: dict[str, str], runs: int, *, start: bool) -> dict[tuple[str, str], list[tuple[float, float]]]:
    """Run each command by each Python in turn; time passed and processor time of every run but the first."""
    times: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with home() as env:
        env["DOCKER_HOST"] = f"unix://{env['CLUSTERCTL_HOME']}/none.sock"
        for turn in range(runs + 1):
            for name, words, shell in cases(env):
                for which, python in pythons.items():
                    script = str(Path(python).with_name("clusterctl"))
                    program = [python, "-c", "pass"] if name == BARE else [script, *words.split()]
                    took = run(program, shell)
                    times.setdefault((name, which), []).extend([took] if turn else [])
            for which, python in pythons.items() if start else ():
                script = str(Path(python).with_name("clusterctl"))
                took = run([script, "start", "-s", "1", "lab"], env)
                times.setdefault(("start", which), []).extend([took] if turn else [])
                run([script, "terminate", "--yes", "lab"], env)
    return times


BARE = "python -c pass"


def cases(env: dict[str, str]) -> list[tuple[str, str, dict[str, str]]]:
    """Name, words and environment of each command."""
    commands = [(name, words, env) for name, words in COMMANDS.items()]
    return [(BARE, "", env), *commands, *((name, "", tab(env, line)) for name, line in TABS.items())]


def run(command: list[str], env: dict[str, str]) -> tuple[float, float]:
    """Run one command, whose output nobody reads. Return the seconds that passed, and its processor time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    arguments = {"env": env, "check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    passed = seconds(lambda: subprocess.run(command, **arguments))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return passed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Run them in turn; print medians, and what is above a bare Python or the other checkout."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=11)
    parser.add_argument("--against", metavar="PYTHON", help="Python of another checkout's environment")
    parser.add_argument("--start", action="store_true", help="start a local cluster, too")
    chosen = parser.parse_args()
    pythons = {"here": sys.executable, **({"there": chosen.against} if chosen.against else {})}
    times = measure(pythons, chosen.runs, start=chosen.start)
    print(machine())
    print(f"{'ms':28}{'passed':>10}{'processor':>12}" + f"{'there':>14}{'processor':>12}" * (len(pythons) - 1))
    for name in dict.fromkeys(name for name, _ in times):
        figures = [
            (statistics.median(passed for passed, _ in values), min(used for _, used in values))
            for values in (times[name, which] for which in pythons)
        ]
        columns = [f"{1000 * passed:10.0f}{1000 * used:12.0f}" for passed, used in figures]
        print(f"{name:28}" + "    ".join(columns))


if __name__ == "__main__":
    main()
