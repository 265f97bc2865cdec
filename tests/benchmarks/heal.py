"""How long until a cluster is well again when a part of its controller dies or is stopped, and what watching costs.

python tests/benchmarks/heal.py [ROUNDS]

Three local nodes. Each part is killed, and stopped, in turn; printed are the seconds until a live client, which was
told nothing, has answers of all engines through each scheduler. Then the watch, the controller and supervisord idle for
a minute: printed is the share of a core that each takes.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))
import psutil
from common import clusterctl, home, machine, spread

if TYPE_CHECKING:
    from collections.abc import Callable

_IDLE_S = 60
_YOUNG_S = 65
"""A young controller asks more often for engines."""


def answers(client: Any) -> bool:
    """Whether all engines answer, through each scheduler."""
    try:
        views = (client[:], client.broadcast_view())
        if [len(view.apply_async(os.getpid).get(timeout=2)) for view in views] != [6, 6]:
            return False
        client.load_balanced_view().apply_async(os.getpid).get(timeout=2)
    except Exception:  # noqa: BLE001  whatever it is: not yet
        return False
    return True


def until(condition: Callable[[], bool]) -> float:
    """Wait; return the seconds that it took."""
    began = time.monotonic()
    while not condition():
        time.sleep(0.05)
    return time.monotonic() - began


def is_hit(pid: int) -> bool:
    """Whether a signal has arrived at a process."""
    return not psutil.pid_exists(pid) or not is_no_more(pid)


def is_no_more(pid: int) -> bool:
    """Whether a process is neither killed and still there, nor stopped."""
    try:
        return psutil.Process(pid).status() not in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}
    except psutil.NoSuchProcess:
        return True


def heal(parts_file: Path, client: Any, number: int, rounds: int) -> None:
    """Print how long each part takes to be well again after this signal."""
    for part in json.loads(parts_file.read_text())["parts"]:
        times = []
        for _ in range(rounds):
            pid = json.loads(parts_file.read_text())["parts"][part]
            os.kill(pid, number)
            until(partial(is_hit, pid))
            times.append(until(partial(is_no_more, pid)) + until(partial(answers, client)))
        print(f"{signal.Signals(number).name:8} {part:24} {spread(times)} s", flush=True)


def idle(folder: str) -> None:
    """Print what the processes of the master take while nothing happens."""
    words = {"watch.py": "watch", "ipcontroller.py": "controller", "supervisor.supervisord": "supervisord"}
    found = {}
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or ())
        if f"{folder}/local/bench/master" in line:
            found[process] = next((name for word, name in words.items() if word in line), "")

    def used() -> dict[str, float]:
        total = dict.fromkeys(words.values(), 0.0)
        for process, name in found.items():
            if name:
                total[name] += sum(process.cpu_times()[:2])
        return total

    time.sleep(_YOUNG_S)
    before = used()
    time.sleep(_IDLE_S)
    for name, seconds in used().items():
        print(f"idle     {name:24} {100 * (seconds - before[name]) / _IDLE_S:7.2f} % of a core")


def main() -> None:
    """Start, break, wait, and end."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    print(machine())
    with home() as env:
        clusterctl(env, "start", "-s", "3", "--set", "ipcluster.engines_per_node=2", "bench")
        try:
            import ipyparallel

            folder = Path(env["CLUSTERCTL_HOME"])
            client = ipyparallel.Client(str(folder / "clusters" / "bench" / "client.json"))
            parts_file = next(folder.glob("local/bench/master/state/ipython/*/pid/parts.json"))
            for number in (signal.SIGKILL, signal.SIGSTOP):
                heal(parts_file, client, number, rounds)
            idle(str(folder))
            client.close()
        finally:
            clusterctl(env, "terminate", "--yes", "bench")


if __name__ == "__main__":
    main()
