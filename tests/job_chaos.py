"""Kills what a job depends on, at many moments, and begins many short jobs: `python -m tests.job_chaos --help`.

The job writes down how far it is, and prints each step. In the end it must be done, each step must be in its log in
order, a step may be there twice only where a try ended, what it made must be here, and no process of it may be left. Of
the short jobs no more may run at once than a node has cores, and those of a node must begin in the order in which they
came. The seed is printed: with the same seed the same things are killed at the same moments.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

NAME = "jobchaos"
STEPS = 15
KINDS = ("runner", "runner and keeper", "node", "laptop", "controller", "tunnel")
_CLUSTERCTL = [sys.executable, "-m", "clusterctl.cli.main"]
_DEADLINE_S = 120
_SCRIPT = f"""
    import os, time
    done = int(open("done").read()) if os.path.exists("done") else 0
    for step in range(done, {STEPS}):
        print("step", step, flush=True)
        open("done.new", "w").write(str(step + 1))
        os.rename("done.new", "done")
        time.sleep(0.1)
    open("result", "w").write("all")
"""
_MANY = """
    import sys
    from pathlib import Path
    from clusterctl.events import Reporter
    from clusterctl.operations.jobs.remote_jobs import RemoteJobs
    from clusterctl.operations.jobs.running import JobRequest, begin_job
    from clusterctl.wiring.context import lenient_context

    context, _ = lenient_context(sys.argv[1], config_file=None, report=Reporter(lambda _: None))
    with RemoteJobs(context) as jobs:
        for number in range(int(sys.argv[2])):
            begun, ended = (f'echo "{sign} {number} $CLUSTERCTL_NODE" >> ~/times' for sign in "+-")
            line = f"{begun}; sleep 0.1; {ended}"
            begin_job(context, jobs, JobRequest(("sh", "-c", line), Path(sys.argv[3])))
"""


class BrokenPromiseError(Exception):
    """Something that is promised of jobs was not kept."""


@dataclass
class Ground:
    """A cluster of two nodes, and a folder with the script."""

    home: Path
    place: Path
    seed: int
    name: str = NAME
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.place.mkdir(exist_ok=True)
        (self.place / "train.py").write_text(textwrap.dedent(_SCRIPT))

    @property
    def env(self) -> dict[str, str]:
        """The variables of a user's."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CLUSTERCTL_", "PYTEST_"))}
        return {**kept, "CLUSTERCTL_HOME": str(self.home), "CLUSTERCTL_TUNNEL": "always"}

    def call(self, *words: str, status: int | None = 0) -> str:
        """Run a command in the folder. Return what it prints."""
        said = subprocess.run(
            [*_CLUSTERCTL, *words], env=self.env, cwd=self.place, capture_output=True, text=True, timeout=_DEADLINE_S
        )
        if status is not None and said.returncode != status:
            raise BrokenPromiseError(f"clusterctl {' '.join(words)}: {said.returncode}\n{said.stdout}{said.stderr}")
        return said.stdout

    def statuses(self) -> list[dict]:
        """All jobs."""
        return json.loads(self.call("jobs", self.name, "--json"))

    def folder_of(self, job_id: str) -> Path:
        """A job's own folder."""
        return self.home / "local" / self.name / "home" / ".clusterctl" / "jobs" / job_id


def await_that(condition, what: str, deadline_s: float = 30.0):
    """Return the first true value."""
    until = time.monotonic() + deadline_s
    while not (value := condition()):
        if time.monotonic() > until:
            raise BrokenPromiseError(f"not within {deadline_s:.0f} s: {what}")
        time.sleep(0.02)
    return value


def processes_of(job_id: str) -> list[int]:
    """The processes that a job has begun."""
    mine = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("CLUSTERCTL_JOB") == job_id and process.status() != psutil.STATUS_ZOMBIE:
                mine.append(process.pid)
    return mine


def victims(ground: Ground, kind: str, job_id: str) -> list[int]:
    """The processes to kill."""
    if kind.startswith("runner"):
        with suppress(OSError, ValueError, psutil.Error):
            runner = psutil.Process(int((ground.folder_of(job_id) / "lock").read_text()))
            keepers = [child.pid for child in runner.children() if "run_job" in " ".join(child.cmdline())]
            return [runner.pid, *(keepers if "keeper" in kind else ())]
    if kind == "node":
        return [json.loads((ground.home / "local" / ground.name / "node001" / "pid").read_text())["pid"]]
    if kind == "controller":
        with suppress(OSError, ValueError, KeyError):
            (file,) = ground.home.rglob("profile_cluster/pid/parts.json")
            return list(json.loads(file.read_text())["parts"].values())
    if kind == "tunnel":
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                words = " ".join(process.cmdline())
                if str(ground.home) in words and "clusterctl.tunnel" in words:
                    found.append(process.pid)
        return found
    return []


def kill_once(ground: Ground, kind: str) -> str:
    """Run a job on the worker, and kill something at some moment. Return the job's id, once all was kept."""
    busy = ground.call("run", "--detach", "-c", ground.name, "sleep", "600").split()[-1].rstrip(".")
    (ground.place / "result").unlink(missing_ok=True)
    words = ("run", "-c", ground.name, "--retry", "3", "--retry-on", "lost", "--fetch", "result", "python", "train.py")
    process = subprocess.Popen(
        [*_CLUSTERCTL, *words],
        env=ground.env,
        cwd=ground.place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        job_id = re.fullmatch(r"created new job ([0-9a-f]+)\.\n", process.stdout.readline())[1]
        time.sleep(ground.chance.uniform(0.0, 2.2))  # the moment: what is under test
        pids = [process.pid] if kind == "laptop" else victims(ground, kind, job_id)
        if not pids:
            raise BrokenPromiseError(f"{kind}: there was nothing to kill")
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if kind == "node":  # there is no other one for it
            ground.call("job", "cancel", "-c", ground.name, busy)
        if kind == "laptop":
            process.wait(30)
            await_that(lambda: has_ended(ground, job_id), "the job goes on")
        else:
            said, errors = process.communicate(timeout=_DEADLINE_S)
            if process.returncode:
                raise BrokenPromiseError(f"{kind}: run ended with {process.returncode}: {said}{errors}")
        check_job(ground, kind, job_id)
    finally:
        process.kill()
        process.communicate()
        ground.call("job", "cancel", "-c", ground.name, busy, status=None)
    if kind in {"node", "controller", "tunnel"}:
        ground.call("start", "-y", ground.name)
    return job_id


def has_ended(ground: Ground, job_id: str) -> bool:
    """Return whether the job is over, as its own files say it."""
    with suppress(OSError, ValueError):
        return json.loads((ground.folder_of(job_id) / "state.json").read_text())["state"] not in {"running", "waiting"}
    return False


def check_job(ground: Ground, kind: str, job_id: str) -> None:
    """Check all that is promised of a job that is over."""
    status = next(one for one in ground.statuses() if one["id"] == job_id)
    log = (ground.folder_of(job_id) / "log").read_text()
    tries = [[int(step) for step in re.findall(r"step (\d+)", part)] for part in re.split(r"--- try .*\n", log)]
    complaints = []
    if status["state"] != "done":
        complaints.append(f"it is {status['state']}: {status['detail']}")
    if any(steps != [*range(steps[0], steps[-1] + 1)] for steps in tries if steps):
        complaints.append("steps are missing")
    whole = [steps for steps in tries if steps]
    if any(later[0] not in {earlier[-1], earlier[-1] + 1} for earlier, later in itertools.pairwise(whole)):
        complaints.append("a try did not begin where the last one ended")
    if not whole or whole[0][0] != 0 or whole[-1][-1] != STEPS - 1:
        complaints.append("the log is not whole")
    if not (ground.place / "result").exists():
        complaints.append("what it made did not come")
    if processes_of(job_id):
        complaints.append("processes are left")
    if (ground.folder_of(job_id) / "environment").exists():
        complaints.append("its variables are left")
    if complaints:
        raise BrokenPromiseError(f"{kind}, job {job_id}: {'; '.join(complaints)}\n{log}")


def run_many(ground: Ground, count: int) -> None:
    """Begin many short jobs, and check cores and order."""
    folder = ground.place / "empty"
    folder.mkdir(exist_ok=True)
    times = ground.home / "local" / ground.name / "home" / "times"
    times.unlink(missing_ok=True)
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_MANY), ground.name, str(count), str(folder)], env=ground.env, check=True
    )
    ended = await_that(
        lambda: times.exists() and times.read_text().count("- ") == count and times.read_text(), "all are done", 600
    )
    for alias in ("master", "node001"):
        now, most, begun = 0, 0, []
        for sign, number, node in map(str.split, ended.splitlines()):
            if node == alias:
                now += 1 if sign == "+" else -1
                most = max(most, now)
                begun += [int(number)] if sign == "+" else []
        if most != 1 or begun != sorted(begun) or not begun:
            raise BrokenPromiseError(f"{alias}: {most} at once, in the order {begun}")
    await_that(
        lambda: all(one["state"] == "done" for one in ground.statuses() if "times" in one["command"][-1]), "ends"
    )


def main() -> None:
    """Kill each kind of thing so many times, and begin so many short jobs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10, help="how often each kind of thing is killed")
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--jobs", type=int, default=200, help="short ones")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    options = parser.parse_args()
    sys.stdout.write(f"--seed {options.seed}\n")
    with tempfile.TemporaryDirectory(prefix="job-chaos-") as folder:
        ground = Ground(Path(folder) / "home", Path(folder) / "code", options.seed)
        ground.call("start", "-y", "-s", "2", "--set", "ipcluster.engines_per_node=1", ground.name)
        try:
            for kind in options.kinds:
                for number in range(options.times):
                    kill_once(ground, kind)
                    sys.stdout.write(f"{kind} killed, {number + 1} of {options.times}: all was kept\n")
                    sys.stdout.flush()
            if options.jobs:
                run_many(ground, options.jobs)
                sys.stdout.write(f"{options.jobs} short jobs: never more at once than cores, and in their order\n")
        finally:
            ground.call("terminate", "--yes", ground.name, status=None)


if __name__ == "__main__":
    main()
