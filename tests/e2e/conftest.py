"""A laptop of its own for each group of tests: a CLUSTERCTL_HOME, the real command line, and a look at what is left."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..support.baking import vm_image  # noqa: F401  fixture
from ..support.cold_start import ColdStart, anybodys_python, virtual_environment
from ..support.first_version import first_clusterctl  # noqa: F401  fixture
from ..support.laptop import CommandLines, Laptop, poll
from ..support.openssh import agent  # noqa: F401  fixture
from ..support.scripts import user_scripts
from ..support.sharing import uses_main_cluster
from ..support.sshds import echo, home, host, login, sshds  # noqa: F401  fixtures
from ..support.systemd_hosts import systemd_hosts  # noqa: F401  fixture
from ..support.virtual_lab import virtual_lab  # noqa: F401  fixture


@dataclass(frozen=True)
class MainCluster:
    """The cluster of the main job."""

    name: str
    output: str
    """What `start` printed."""
    command_lines: frozenset[str]
    """Every process's arguments while it started."""
    timings: dict[str, object]
    """The ``timings.json`` of that start."""


@pytest.fixture(name="poll", scope="session")
def poll_fixture():
    return poll


@pytest.fixture(scope="session")
def laptop_class():
    return Laptop


@pytest.fixture
def new_laptop(tmp_path_factory):
    """Makes laptops; at the end nothing may be left of them."""
    made = []

    def make(folder="home", **fields):
        laptop = Laptop(tmp_path_factory.mktemp("laptop") / folder, **fields)
        made.append(laptop)
        return laptop

    yield make
    for laptop in made:
        laptop.terminate_all()


_main: list[Laptop] = []


@pytest.fixture(scope="session")
def laptop(tmp_path_factory):
    """The laptop of the main job."""
    made = Laptop(tmp_path_factory.mktemp("main") / "home")
    _main.append(made)
    yield made
    made.terminate_all()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
    """The main cluster ends with the last test that uses it, not with the session: it has 30 processes."""
    if _main and uses_main_cluster(item.nodeid) and (nextitem is None or not uses_main_cluster(nextitem.nodeid)):
        _main.pop().terminate_all()


@pytest.fixture(scope="session")
def cluster(laptop):
    """Three nodes of two engines with a notebook, brought up by the real command line."""
    watch = CommandLines()
    watch.start()
    try:
        options = ("--set", "ipcluster.enable_notebook=yes", "--set", "ipcluster.engines_per_node=2")
        output = laptop.run("start", "-s", "3", *options, "mycluster", anew=True).stdout
    finally:
        watch.end()
    timings = json.loads((laptop.folder("mycluster") / "timings.json").read_text())
    return MainCluster("mycluster", output, frozenset(watch.seen), timings)


@pytest.fixture(scope="module")
def client(laptop, cluster):
    """A session of somebody who connected once, with `client` and `view`, and goes on working."""
    with laptop.console() as console:
        console.run(
            "import os, signal, ipyparallel\n"
            f"client = ipyparallel.Client({str(laptop.folder(cluster.name) / 'client.json')!r})\n"
            "view = client[:]\n"
            "def pids(): return dict(zip(client.ids, client[:].apply_sync(os.getpid)))"
        )
        yield console


@pytest.fixture
def engine_pids(client):
    """Pid of each engine by its id, as the live client sees them."""
    return lambda: {int(number): pid for number, pid in client.value("pids()").items()}


@pytest.fixture
def script(laptop, cluster, tmp_path):
    """Runs a script of the user's, from a file of its own; returns what it printed."""
    with user_scripts(tmp_path) as begin:

        def run(text):
            process = begin(text, laptop.env)
            said, _ = process.communicate(timeout=60)
            assert process.returncode == 0
            return said

        run.begin = lambda text: begin(text, laptop.env)
        yield run


def kill_group(process):
    """SIGKILL for a process and all of its group."""
    os.killpg(os.getpgid(process.pid), signal.SIGKILL)


@pytest.fixture(name="kill_group", scope="session")
def kill_group_fixture():
    return kill_group


@pytest.fixture(scope="session")
def cold_start():
    """It mostly waits for the package index: a test that need not be alone asks for it early and ignores it."""
    if os.geteuid():
        yield ColdStart(why_not="root: these tests run without rights as it is")
        return
    base = Path(tempfile.mkdtemp(prefix="nobody-", dir="/tmp"))
    try:
        # setpriv has its rights until it is replaced by the first program: that must not be the Python that is tried.
        uid = ColdStart.uid
        runner = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--no-new-privs", "env")
        program = anybodys_python(runner) if shutil.which("setpriv") else None
        if program is None:
            yield ColdStart(why_not="root: no setpriv, or no Python of this version that anybody may run")
            return
        places = {"HOME": "home", "XDG_CACHE_HOME": "cache", "XDG_CONFIG_HOME": "config", "TMPDIR": "tmp"}
        python = virtual_environment(base / "venv", program)
        (base / "tmp").mkdir()
        for folder in (base, base / "tmp"):
            os.chown(folder, uid, uid)
        laptop = Laptop(
            base / "home" / ".clusterctl",
            more={name: str(base / folder) for name, folder in places.items()},
            command=(python, "-m", "clusterctl.cli.main"),
            runner=runner,
        )
        try:
            with laptop.begin("start", "-s", "2", "--set", "ipcluster.engines_per_node=1", "mycluster") as process:
                yield ColdStart(laptop, process)
        finally:
            laptop.terminate_all()
    finally:
        shutil.rmtree(base)
