"""Jobs: scripts of a user's on nodes, with a copy of their folder, from their first line to their fetched results."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import textwrap
import urllib.request
from contextlib import suppress
from types import SimpleNamespace

import psutil
import pytest

from ..support.laptop import COMMAND, preloaded

pytestmark = pytest.mark.e2e


class Folder:
    """A folder of a user's with scripts, and the command line in it."""

    def __init__(self, laptop, cluster, place):
        self.laptop, self.name, self.place = laptop, cluster.name, place
        self.jobs_folder = laptop.home / "local" / cluster.name / "home" / ".clusterctl" / "jobs"

    def write(self, name, text):
        (self.place / name).write_text(textwrap.dedent(text))

    def run(self, *words, status=0, **about):
        """`clusterctl WORDS` in the folder."""
        code = (
            f"import os, sys; os.chdir({str(self.place)!r}); sys.argv = ['clusterctl', *{words!r}];"
            "from clusterctl.cli.main import main; main()"
        )
        said = preloaded().run(env={**self.laptop.env, **about}, code=code, timeout=120)
        assert "Traceback" not in said.stderr, said.stderr
        assert status is None or said.returncode == status, said
        return said

    def begin(self, *words):
        """Begin a detached job. Return its id."""
        said = self.run("run", "--detach", "-c", self.name, *words).stdout
        return re.fullmatch(r"created new job ([0-9a-f]{9})\.\n", said)[1]

    def status(self, job_id):
        listed = self.laptop.json("jobs", self.name, "--json")
        return next(one for one in listed if one["id"] == job_id)

    def pid(self, job_id):
        """Of the process that runs it."""
        return int((self.jobs_folder / job_id / "lock").read_text())

    def log(self, job_id):
        with suppress(FileNotFoundError):
            return (self.jobs_folder / job_id / "log").read_text()
        return ""

    def processes(self, job_id):
        """All of a job's processes."""
        mine = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get("CLUSTERCTL_JOB") == job_id and process.status() != psutil.STATUS_ZOMBIE:
                    mine.append(process.pid)
        return mine


@pytest.fixture
def folder(laptop, cluster, tmp_path):
    place = tmp_path / "code"
    place.mkdir()
    return Folder(laptop, cluster, place)


def test_a_script_runs_with_its_folder_and_its_end_is_the_commands(folder):
    folder.write("model_training.py", "print('epoch 1')")
    said = folder.run("run-job", "python", "model_training.py").stdout  # as a talk has it
    assert re.fullmatch(r"created new job [0-9a-f]{9}\.\nepoch 1\n", said)
    folder.write("helper.py", "WORD = 'from the folder'")
    folder.write(
        "model_training.py",
        """
        import helper, os, sys
        print(helper.WORD, sys.argv[1:], os.environ["TOKEN"], flush=True)
        open("model.txt", "w").write("trained")
        sys.exit(3)
        """,
    )
    words = ("--env", "TOKEN", "--fetch", "model.txt", "--", "python", "model_training.py", "--fast")
    said = folder.run("run-job", "-c", folder.name, *words, status=3, TOKEN="secret-7")
    first, second = said.stdout.splitlines()
    job_id = re.fullmatch(r"created new job ([0-9a-f]{9})\.", first)[1]
    assert second == "from the folder ['--fast'] secret-7"
    assert (folder.place / "model.txt").read_text() == "trained"
    manifest = json.loads(folder.laptop.run("job", "show", "-c", folder.name, job_id[:6]).stdout)
    assert (manifest["state"], manifest["exit"], manifest["command"]) == (
        "failed", 3, ["python", "model_training.py", "--fast"]
    )  # fmt: skip
    assert manifest["manifest"]["variables"] == ["TOKEN"]
    kept = [path for path in (folder.jobs_folder / job_id).rglob("*") if path.is_file()]
    assert not [path for path in kept if b"secret-7" in path.read_bytes() and path.name != "log"]


@pytest.mark.slow
def test_ending_a_job_ends_all_that_it_has_begun(folder, poll):
    folder.write(
        "spread.py",
        """
        import subprocess, time
        subprocess.Popen(["sleep", "600"], start_new_session=True)
        print("up", flush=True)
        time.sleep(600)
        """,
    )
    job_id = folder.begin("--", "python", "spread.py")
    poll(lambda: "up" in folder.log(job_id), "it runs")
    assert len(folder.processes(job_id)) == 2
    said = folder.run("job", "cancel", "-c", folder.name, job_id).stdout
    assert said == f">>> job {job_id} is cancelled\n"
    assert folder.processes(job_id) == []


@pytest.mark.slow
def test_two_runs_never_disturb_each_other(folder, poll):
    """Each has the code as it was when it began."""
    for word in ("one", "two"):
        folder.write("word.py", f"WORD = {word!r}")
        folder.write(
            "late.py",
            "import os, time\nwhile not os.path.exists('go'): time.sleep(0.05)\nimport word; print(word.WORD)",
        )
        job_id = folder.begin("--name", word, "--", "python", "late.py")
        poll(lambda job_id=job_id: folder.status(job_id)["state"] == "running", "it runs")
    folder.write("word.py", "WORD = 'three'")
    listed = {one["name"]: one["id"] for one in folder.laptop.json("jobs", folder.name, "--json")}
    for word in ("one", "two"):
        (folder.jobs_folder / listed[word] / "work" / "go").touch()
        said = folder.run("job", "logs", "--follow", "-c", folder.name, listed[word])
        assert said.stdout == f"{word}\n"


CHECKPOINTS = """
    import os, time
    done = int(open("done").read()) if os.path.exists("done") else 0
    for step in range(done, 20):
        print("step", step, flush=True)
        open("done.new", "w").write(str(step + 1))
        os.rename("done.new", "done")
        time.sleep(0.1)
    open("result", "w").write("all")
"""


@pytest.mark.slow
def test_a_job_that_is_lost_goes_on_from_its_checkpoint_at_the_next_contact(folder, poll):
    folder.write("long.py", CHECKPOINTS)
    job_id = folder.begin("--retry", "2", "--retry-on", "lost", "--fetch", "result", "--", "python", "long.py")
    poll(lambda: "step 3" in folder.log(job_id), "some is done")
    os.kill(folder.pid(job_id), signal.SIGKILL)
    poll(lambda: not folder.processes(job_id), "its processes end with it")
    assert not (folder.place / "result").exists()
    folder.run("job", "wait", "-c", folder.name, job_id)
    steps = re.findall(r"step (\d+)", folder.log(job_id))
    assert sorted(set(map(int, steps))) == [*range(20)]
    assert len(steps) <= 21, "it went on from its checkpoint"
    assert "--- try 2 of 3, on " in folder.log(job_id)
    assert (folder.place / "result").read_text() == "all"


POLITE = """
    import os, signal, sys, time
    if os.path.exists("saved"):
        print("goes on", flush=True)
        sys.exit()
    signal.signal(15, lambda *_: (open("saved", "w").close(), open("model", "w").write("half"), sys.exit(0)))
    print("up", flush=True)
    time.sleep(600)
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_jobs_have_a_grace_before_their_cluster_stops_or_ends_and_results_are_fetched_first(new_laptop, tmp_path, poll):
    laptop = new_laptop()
    laptop.run("start", "-s", "2", "--set", "ipcluster.engines_per_node=1", "short")
    folder = Folder(laptop, SimpleNamespace(name="short"), tmp_path)
    folder.write("polite.py", POLITE)
    job_id = folder.begin("--retry", "1", "--fetch", "model", "--", "python", "polite.py")
    poll(lambda: "up" in folder.log(job_id), "it runs")
    laptop.run("stop", "--yes", "short")
    work = folder.jobs_folder / job_id / "work"
    assert (work / "saved").exists()
    laptop.run("start", "short")
    os.utime(folder.jobs_folder / job_id / "interrupt", (1, 1))
    said = folder.run("job", "wait", "-c", "short", job_id)
    assert "goes on" in folder.log(job_id)
    assert (folder.place / "model").read_text() == "half"
    other = folder.begin("--fetch", "model", "--", "python", "polite.py")
    (folder.place / "model").unlink()
    poll(lambda: "up" in folder.log(other), "it runs")
    third = folder.begin("--fetch", "out", "--", "true")
    (laptop.folder("short") / "jobs" / f"{third}.json").unlink()  # as if another computer had begun it
    asked = laptop.run("terminate", "short", status=2).stderr
    assert f"Files of jobs that come to this computer before: model of job {other}. " in asked
    whose = f"{getpass.getuser()}@{socket.gethostname()}"
    assert f"not fetched go, too: out of job {third} begun by {whose}. Go on?" in asked
    said = laptop.run("terminate", "--yes", "short")
    assert f"job {other}: model fetched to {folder.place}" in said.stdout
    assert (folder.place / "model").read_text() == "half"
    assert folder.processes(other) == []


@pytest.mark.slow
def test_without_a_retry_a_job_whose_process_is_gone_is_lost(folder, poll):
    folder.write("long.py", CHECKPOINTS)
    job_id = folder.begin("--", "python", "long.py")
    poll(lambda: "step 1" in folder.log(job_id), "some is done")
    os.kill(folder.pid(job_id), signal.SIGKILL)
    poll(lambda: folder.status(job_id)["state"] == "lost", "it is seen")
    poll(lambda: not folder.processes(job_id), "nothing is left")
    said = folder.run("job", "wait", "-c", folder.name, job_id, status=255)
    assert said.stderr == f"job {job_id} is lost\n"


@pytest.mark.slow
def test_whoever_follows_is_killed_and_the_results_come_at_the_next_contact(folder, poll):
    folder.write("long.py", CHECKPOINTS)
    process = subprocess.Popen(
        [*COMMAND, "run", "-c", folder.name, "--fetch", "result", "python", "long.py"],
        env=folder.laptop.env, cwd=folder.place, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    job_id = re.fullmatch(r"created new job ([0-9a-f]{9})\.\n", process.stdout.readline())[1]
    process.kill()
    process.communicate()
    folder.laptop.run("tunnel", "--close", folder.name)
    poll(lambda: folder.status(job_id)["state"] == "done", "it is done")
    assert (folder.place / "result").read_text() == "all"
    assert folder.log(job_id).split() == [word for step in range(20) for word in ("step", str(step))]
    folder.laptop.run("tunnel", folder.name)


@pytest.mark.slow
def test_time_is_up(folder):
    folder.write(
        "polite.py",
        """
        import signal, sys, time
        signal.signal(15, lambda *_: (print("saved", flush=True), sys.exit(0)))
        time.sleep(600)
        """,
    )
    said = folder.run("run", "-c", folder.name, "--max-time", "2s", "--", "python", "polite.py", status=124)
    assert said.stdout.splitlines()[1:] == ["saved"]
    assert "is timed out: it took longer than 2 s" in said.stderr


@pytest.mark.slow
def test_what_cannot_be_begun_says_why(folder):
    def refuse(*words, says):
        folder.laptop.refuse("run", "-c", folder.name, *words, "true", status=2, says=says)

    refuse("--cores", "999", says=("no node of", "has 999 cores"))
    refuse("--fetch", "../x", says=("not below the job's folder",))
    refuse("--env", "NOT_HERE_AT_ALL", says=("no such variable",))
    folder.laptop.refuse("job", "logs", "-c", folder.name, "0123456789", status=2, says=("there is no job",))
    said = folder.run("run", "-c", folder.name, "--fetch", "never-made", "no-such-program", status=127)
    assert "never-made" in said.stderr
    assert "never-made" not in folder.run("jobs", folder.name).stderr
    assert said.stdout.splitlines()[1:] == ["no-such-program: No such file or directory"]


@pytest.mark.slow
def test_from_python_it_is_the_same(folder):
    folder.write("train.py", "print('learns'); open('model.txt', 'w').write('trained'); raise SystemExit(3)")
    said = folder.laptop.python(
        f"""
import clusterctl
about = {{"cluster": {folder.name!r}, "folder": {str(folder.place)!r}}}
job = clusterctl.run(["python", "train.py"], fetch=["model.txt"], **about)
print(job.wait(60), job.status().state, job.log().strip(), job.manifest["exit"])
late = clusterctl.run(["sleep", "600"], **about)
try:
    late.wait(0.1)
except TimeoutError:
    print(late.cancel().state)
"""
    )
    assert said.splitlines() == ["3 failed learns 3", "cancelled"]
    assert (folder.place / "model.txt").read_text() == "trained"


@pytest.mark.slow
def test_a_port_of_a_job_has_a_url_here(folder, poll):
    folder.write(
        "serve.py",
        """
        import http.server
        server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
        open("port", "w").write(str(server.server_port))
        server.serve_forever()
        """,
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = (folder.place / "serve.py").read_text().replace("0)", f"{port})", 1)
    (folder.place / "serve.py").write_text(script)
    job_id = folder.begin("--port", str(port), "--", "python", "serve.py")
    url = folder.run("job", "url", "-c", folder.name, job_id).stdout.strip()
    assert url == f"http://127.0.0.1:{port}/"
    with urllib.request.urlopen(url, timeout=10) as page:
        assert b"serve.py" in page.read()
    folder.run("job", "cancel", "-c", folder.name, job_id)
    said = folder.run("job", "url", "-c", folder.name, job_id, status=1)
    assert f"job {job_id} is cancelled" in said.stderr


@pytest.mark.slow
def test_ctrl_c_leaves_a_job_alone_and_a_second_one_cancels_it(folder, poll):
    for presses, state in ((1, "running"), (2, "cancelled")):
        process = subprocess.Popen(
            [*COMMAND, "run", "-c", folder.name, "sleep", "600"],
            env=folder.laptop.env, cwd=folder.place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        job_id = process.stdout.readline().split()[-1].rstrip(".")
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline() == f"job {job_id} goes on: `clusterctl job logs {job_id}` shows it\n"
        process.stderr.readline()
        if presses == 2:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode == 130
        assert folder.status(job_id)["state"] == state
        folder.run("job", "cancel", "-c", folder.name, job_id, status=None)


@pytest.mark.slow
def test_a_folder_that_says_what_it_needs_has_an_environment_of_its_own(folder):
    """One for each hash: the second job with the same lines builds nothing."""
    folder.write(
        "own.py", "# /// script\n# dependencies = ['iniconfig']\n# ///\nimport iniconfig, sys; print(sys.prefix)"
    )
    folder.write("other.py", "import iniconfig, sys; print(sys.prefix)")
    prefixes = [
        folder.run("run", "-c", folder.name, "python", script).stdout.splitlines()[-1]
        for script in ("own.py", "own.py")
    ]
    assert prefixes[0] == prefixes[1]
    assert "/.clusterctl/environments/" in prefixes[0]
    folder.write("requirements.txt", "iniconfig\n")
    (other,) = folder.run("run", "-c", folder.name, "python", "other.py").stdout.splitlines()[1:]
    assert "/.clusterctl/environments/" in other
    assert other != prefixes[0]
    last = folder.laptop.json("jobs", folder.name, "--json")[-1]["id"]
    manifest = folder.laptop.json("job", "show", last)["manifest"]
    assert manifest["lock"] == hashlib.sha256(b"iniconfig\n").hexdigest()
    folder.write("requirements.txt", "no such requirement !\n")
    said = folder.run("run", "-c", folder.name, "python", "other.py", status=126)
    assert "the environment of requirements.txt cannot be built" in said.stderr
