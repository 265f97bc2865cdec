"""How well a cluster that grows by what waits keeps up with one that is as large from the beginning.

python tests/benchmarks/grow.py [TASKS] [PICTURE.svg]

Local nodes with one engine each, and tasks that sleep for 2 s, 300 by default. First on a cluster of one node that may
grow to six, with a watch over it; then on the six that it has become. Printed are both times and their ratio. The
picture has what waits and the nodes over time, until the cluster is small again.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from common import CLUSTERCTL, clusterctl, home, machine

_TASK_S, _NODES, _NAME = 2.0, 6, "bench"
_AFTER_S = 10.0
"""After the last node has left: the picture shows it, and the watch has done what it was at."""
_CONFIG = f"""
[cluster local]
PLUGINS = ipcluster
CLUSTER_SIZE = 1
SCALE_MAX = {_NODES}
SCALE_DOWN_AFTER = 20s

[plugin ipcluster]
ENGINES_PER_NODE = 1
"""


class Record:
    """What waits and how many nodes work, by the seconds since the beginning."""

    def __init__(self, client: Any) -> None:
        self._client, self._began = client, time.monotonic()
        self.rows: list[tuple[float, int, int]] = []
        self.done = 0
        self.total = 0
        self._over = threading.Event()
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while not self._over.wait(0.5):
            self.rows.append((time.monotonic() - self._began, self.total - self.done, len(self._client.ids)))

    def map(self, count: int) -> float:
        """Map; return the seconds that it took."""
        began = time.monotonic()
        self.done, self.total = 0, count
        for _ in self._client.pool().imap_unordered(time.sleep, [_TASK_S] * count):
            self.done += 1
        return time.monotonic() - began

    def until(self, nodes: int, most_s: float = 300.0) -> None:
        """Wait until there are so many nodes."""
        deadline = time.monotonic() + most_s
        while len(self._client.ids) != nodes:
            if time.monotonic() > deadline:
                raise SystemExit(f"not within {most_s:.0f} s: {nodes} nodes")
            time.sleep(0.2)

    def end(self) -> None:
        """Look no more."""
        self._over.set()


def draw(rows: list[tuple[float, int, int]]) -> str:
    """Return a picture of what waits, above, and of the nodes, below, over the same time."""
    width, left, right, height = 800, 60, 780, 150
    end_s = max(at for at, _, _ in rows)
    most = max(waiting for _, waiting, _ in rows)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} 420" width="{width}" height="420"'
            ' font-family="Helvetica, Arial, DejaVu Sans, sans-serif" font-size="12">'
        ),
        "<title>What waits, and nodes, over time</title>",
        f'<rect width="{width}" height="420" fill="#ffffff"/>',
    ]
    panels = [("tasks that are not done", "#d55e00", 1, most, 40), ("nodes", "#0072b2", 2, _NODES, 230)]
    for name, color, column, top, at_y in panels:
        base = at_y + height
        parts.append(f'<text x="{left}" y="{at_y - 10}" fill="{color}">{name}</text>')
        for value in sorted({0, top // 2, top}):
            y = base - height * value / max(1, top)
            parts.append(f'<line x1="{left}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#e4e4e4"/>')
            parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end" fill="#666666">{value}</text>')
        points, before = [], None
        for row in rows:
            x, y = left + (right - left) * row[0] / end_s, base - height * row[column] / max(1, top)
            points += [] if before is None or before == y else [f"{x:.1f},{before:.1f}"]
            points.append(f"{x:.1f},{y:.1f}")
            before = y
        parts.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{color}" stroke-width="2"/>')
    step = 20 if end_s < 240 else 60
    for second in range(0, int(end_s) + 1, step):
        x = left + (right - left) * second / end_s
        parts.append(f'<text x="{x:.1f}" y="400" text-anchor="middle" fill="#666666">{second} s</text>')
    return "\n".join([*parts, "</svg>", ""])


def measure(env: dict[str, str], count: int, picture: Path | None) -> None:
    """Map while it grows, map on all nodes, and wait until it has shrunk."""
    import clusterctl as package

    client = package.connect(_NAME)
    watch = subprocess.Popen([*CLUSTERCTL, "watch", _NAME, "--every", "2"], env=env)
    record = Record(client)
    try:
        growing_s = record.map(count)
        grown = len(record.rows)
        whole_s = record.map(count)
        again = len(record.rows)
        record.until(1)
        time.sleep(_AFTER_S)
        record.end()
    finally:
        watch.terminate()
        watch.wait()
        client.close()
    print(f"growing from 1 node: {growing_s:.1f} s; on {_NODES} nodes that are up: {whole_s:.1f} s")
    print(f"ratio: {growing_s / whole_s:.2f}")
    if picture:
        cut_s = record.rows[again][0] - record.rows[grown][0]
        rows = [*record.rows[:grown], *((at - cut_s, waiting, nodes) for at, waiting, nodes in record.rows[again:])]
        picture.write_text(draw(rows), encoding="utf-8")


def main() -> None:
    """Start, measure, and end."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    print(machine())
    with home() as env:
        os.environ["CLUSTERCTL_HOME"] = env["CLUSTERCTL_HOME"]
        (Path(env["CLUSTERCTL_HOME"]) / "config").write_text(_CONFIG, encoding="utf-8")
        clusterctl(env, "start", _NAME)
        try:
            measure(env, count, Path(sys.argv[2]) if len(sys.argv) > 2 else None)
        finally:
            clusterctl(env, "terminate", "--yes", _NAME)


if __name__ == "__main__":
    main()
