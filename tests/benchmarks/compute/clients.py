"""What maps.py shows of clients: import, connect, an engine that is lost, and two clients at once."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from common import client_file, seconds

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "maps"
_DEADLINE_S = 60
_CONNECT = f"import clusterctl; clusterctl.connect({NAME!r}).close()"
_MAP = f"""
import time
import clusterctl
client = clusterctl.connect({NAME!r})
client.map(abs, range(100))
print("ready", flush=True)
input()
began = time.monotonic()
client.map(time.sleep, [0.01] * 1500)
print(time.monotonic() - began, flush=True)
client.close()
"""


def _python(code: str) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, "-c", code], check=True)


def _show(name: str, values: list[float], asked: str) -> None:
    spread = f"({min(values) * 1000:.0f} - {max(values) * 1000:.0f})"
    print(f"  {name:44}{statistics.median(values) * 1000:8.0f} ms {spread}   {asked}", flush=True)


def show_starts(env: dict[str, str], rounds: int) -> None:
    """A fresh Python each time: imports, and a client of each kind."""
    plain = f"import ipyparallel; ipyparallel.Client({str(client_file(env, NAME))!r}).close()"
    ways = {"python -c pass": "pass", "import clusterctl": "import clusterctl", "ipyparallel.Client": plain}
    ways["clusterctl.connect"] = _CONNECT
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, code in ways.items():
            times[name].append(seconds(_python(code)))
    print(f"\na fresh Python; load {os.getloadavg()[0]:.1f}")
    for name, values in times.items():
        more = statistics.median(map(float.__sub__, times["clusterctl.connect"], times["ipyparallel.Client"]))
        asked = f"{more * 1000:+.0f} ms, asked +50" if name == "clusterctl.connect" else ""
        _show(name, values, asked)


def _begun(file: Path) -> list[tuple[int, int, float]]:
    """Each item that has begun, with its engine's process and the moment."""
    entries = [line.split() for line in file.read_text().splitlines()]
    return [(int(item), int(pid), float(moment)) for item, pid, moment in entries]


def measure_loss(folder: Path) -> float:
    """Seconds from the death of an engine until another one has begun its item."""
    import clusterctl

    file = folder / "begun"
    file.write_text("")

    def note(item: int, file: str = str(file)) -> None:
        import os
        import time

        with open(file, "a") as log:  # noqa: PTH123  it runs on an engine
            log.write(f"{item} {os.getpid()} {time.time()}\n")
        time.sleep(3)

    client = clusterctl.connect(NAME)
    try:
        engines = len(client.ids)
        result = client.pool().map_async(note, range(engines - 1))  # one engine stays free
        deadline = time.monotonic() + _DEADLINE_S
        while len(_begun(file)) < engines - 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        item, pid, _ = _begun(file)[0]
        died = time.time()
        os.kill(pid, signal.SIGKILL)
        result.get(_DEADLINE_S)
        again = [moment for number, other, moment in _begun(file) if number == item and other != pid]
        while len(client.ids) < engines and time.monotonic() < deadline:
            time.sleep(0.05)
        return again[0] - died
    finally:
        client.close()


def measure_maps(count: int) -> list[float]:
    """Seconds that the same map takes each of so many clients at once."""
    command = [sys.executable, "-c", _MAP]
    clients = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(count)
    ]
    for client in clients:
        assert client.stdout is not None
        client.stdout.readline()
    for client in clients:
        assert client.stdin is not None
        client.stdin.write("\n")
        client.stdin.flush()
    return [float(client.communicate(timeout=_DEADLINE_S)[0]) for client in clients]


def show_all(env: dict[str, str], rounds: int) -> None:
    """Print all of it."""
    show_starts(env, rounds)
    print(f"\nan engine is killed; load {os.getloadavg()[0]:.1f}")
    losses = [measure_loss(Path(env["CLUSTERCTL_HOME"])) for _ in range(rounds)]
    _show("until another one has begun its item", losses, "asked: under 500 ms")
    alone, both = [], []
    for _ in range(rounds):
        alone += measure_maps(1)
        both.append(max(measure_maps(2)))
    print(f"\ntwo clients at once, 1,500 items of 10 ms each; load {os.getloadavg()[0]:.1f}")
    _show("one alone", alone, "")
    ratio = statistics.median(together / single for together, single in zip(both, alone, strict=True))
    _show("the later of two", both, f"{ratio:.2f} times, asked 2.2")
