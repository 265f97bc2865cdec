"""Four machines from an answer on port 22 to a working cluster: ours against Ansible, pyinfra, ssh with pip, and Dask.

    python tests/benchmarks/machines.py [--runs 5] [--image IMAGE] [--tools VENV] [--only NAME,...]

Needs a Docker engine and the image of `clusterctl image build`; the other tools are installed into a virtual
environment of their own (kept with --tools). Every tool gets the same four fresh containers, whose SSH servers answer
before the clock starts, and brings the same thing up: host names, the user, its ssh keys and host keys, the talk's
three packages with ipyparallel and JupyterLab on every node, a supervised controller, an engine a node, a notebook. The
clock stops when a program on the master has heard from all four engines and the notebook's port is open. Then each
does it again, on what it has just made. The playbook and the deploy are in tests/benchmarks/machines/. Python packages
come from the index each time; Debian's packages are in the image, so that no tool waits for a mirror.

The bare part: the environments are there and compiled, nothing runs on the nodes but their SSH servers and nothing on
the laptop, no notebook is wanted. Ours against Dask's SSHCluster, in turn on the same four machines, with the same
Python at both ends, by two clocks: until the controller (scheduler) and all engines (workers) work, as `clusterctl
start` and Dask's `wait_for_workers` tell; and until every node has answered a call from the laptop, for which ours
starts a second Python that loads ipyparallel. Ours has more to do: it looks whether users, names and environments are
as they should be, checks host keys, has services that come back, and encrypts.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))
from bare import bare
from common import machine, spread
from lab import Machines, bench_image, machines
from tools import ansible, ensure_tools, ours, pyinfra, ssh_and_pip

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> None:
    """Run them in turn, the order alternating, and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--image", default="clusterctl-node", help="image of the nodes, by `clusterctl image build`")
    parser.add_argument("--more", default="", help="a file with more config, such as [plugin base] with certificates")
    parser.add_argument("--tools", type=Path, help="environment with the other tools; made if it is not there")
    parser.add_argument("--only", default="", help="tools to run, separated by commas; `bare` for the bare part")
    options = parser.parse_args()
    more = Path(options.more).read_text() if options.more else ""
    with tempfile.TemporaryDirectory(prefix="tools-") as scratch:
        tools = ensure_tools(options.tools or Path(scratch) / "venv")
        acts: dict[str, Callable[[Machines], None]] = {
            "clusterctl": ours,
            "pyinfra": lambda lab: pyinfra(lab, tools),
            "ssh and pip": ssh_and_pip,
            "ansible tuned": lambda lab: ansible(lab, tools, "tuned"),
            "ansible plain": lambda lab: ansible(lab, tools, "plain"),
        }
        chosen = {name: act for name, act in acts.items() if not options.only or name in options.only.split(",")}
        image = bench_image(options.image)
        print(machine())
        first: dict[str, list[float]] = {name: [] for name in chosen}
        again: dict[str, list[float]] = {name: [] for name in chosen}
        for number in range(options.runs):
            for name in list(chosen) if number % 2 == 0 else reversed(list(chosen)):
                with machines(image, more) as lab:
                    for results in (first, again):
                        began = time.monotonic()
                        chosen[name](lab)
                        results[name].append(time.monotonic() - began)
                print(f"  run {number + 1}: {name} {first[name][-1]:.1f} s, again {again[name][-1]:.1f} s", flush=True)
        wanted = not options.only or "bare" in options.only
        up, answered = bare(image, more, tools, options.runs) if wanted else ({}, {})
    for title, results in (
        ("four fresh machines to a working cluster", first),
        ("the same again", again),
        ("the bare part: nothing runs, to engines that work", up),
        ("the bare part: nothing runs, to an answer from all", answered),
    ):
        print(f"\n{title}, seconds, median (least - most) of {options.runs}")
        for name, values in results.items():
            print(f"{name:20}{spread(values)}")
        own = statistics.median(results.get("clusterctl") or [float("nan")])
        for name, values in results.items():
            if name != "clusterctl":
                print(f"{name} / clusterctl: {statistics.median(values) / own:.1f}")


if __name__ == "__main__":
    main()
