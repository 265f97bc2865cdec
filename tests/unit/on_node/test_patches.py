"""Each patch on ipyparallel meets what it was made for; where it does not, it says so and leaves it alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from clusterctl.on_node.with_ipyparallel.patches import guards

from ...support.preloaded import Preloaded

PATCHES = "clusterctl.on_node.with_ipyparallel.patches"
READ = ("9.1.0", "9.2.0")
"""Versions of ipyparallel whose sources were read beside the patches."""
SCHEDULER = "from ipyparallel.controller.task_scheduler import TaskScheduler as T"
KERNEL = "from ipyparallel.engine.kernel import IPythonParallelKernel as K"
SOURCES = {
    "ipyparallel.controller.heartmonitor:HeartMonitor.start": "56b9fcfcfda3",
    "ipyparallel.controller.heartmonitor:HeartMonitor.handle_pong": "35bb312af390",
    "ipyparallel.controller.heartmonitor:HeartMonitor.handle_new_hearts": "2818e06d40f8",
    "ipyparallel.controller.heartmonitor:HeartMonitor.beat": "0ffe204a5897",
    "ipyparallel.controller.hub:Hub._load_engine_state": "2f0ae4694488",
    "ipyparallel.controller.hub:Hub._save_engine_state": "2728294c8022",
    "ipyparallel.controller.hub:Hub.register_engine": "ea255e410bf9",
    "ipyparallel.controller.hub:Hub.handle_new_heart": "917ed8f9aa21",
    "ipyparallel.controller.hub:Hub.unregister_engine": "caab2bd9a3b1",
    "ipyparallel.controller.hub:Hub.finish_registration": "9d941edbe6eb",
    "ipyparallel.controller.hub:Hub.handle_stopped_heart": "dfcdfef90666",
    "ipyparallel.controller.hub:Hub.dispatch_monitor_traffic": "f833e99375ae",
    "ipyparallel.controller.hub:Hub.dispatch_query": "fade79daa44c",
    "ipyparallel.controller.app:IPController.init_signal": "57b68013a4fc",
    "ipyparallel.controller.app:IPController.handle_signal": "bd428fa430c5",
    "ipyparallel.controller.app:IPController.start": "82b8bc14e3bb",
    "ipyparallel.controller.task_scheduler:TaskScheduler._register_engine": "ab5289c8ead8",
    "ipyparallel.controller.task_scheduler:TaskScheduler._unregister_engine": "5db2fda4d10f",
    "ipyparallel.controller.task_scheduler:TaskScheduler.handle_stranded_tasks": "6f92d5e2fc20",
    "ipyparallel.controller.task_scheduler:TaskScheduler.dispatch_submission": "585dd5f9e247",
    "ipyparallel.controller.task_scheduler:TaskScheduler.fail_unreachable": "66b0d0ae77be",
    "ipyparallel.controller.task_scheduler:TaskScheduler.dispatch_result": "8ef8dfed6bf4",
    "ipyparallel.controller.task_scheduler:TaskScheduler.dispatch_notification": "3ae04470f3c4",
    "ipyparallel.controller.task_scheduler:TaskScheduler.available_engines": "877d14907b2b",
    "ipyparallel.controller.task_scheduler:TaskScheduler.finish_job": "693bccb20abc",
    "ipyparallel.controller.task_scheduler:TaskScheduler.update_graph": "ee0a259405ac",
    "ipyparallel.engine.kernel:IPythonParallelKernel.should_handle": "0a427b6b0c96",
    "ipyparallel.engine.kernel:IPythonParallelKernel.do_apply": "e801802d8419",
    "ipyparallel.engine.kernel:IPythonParallelKernel.do_execute": "745fe4eeb6d7",
    "ipyparallel.engine.kernel:IPythonParallelKernel.apply_request": "e2761ffa9394",
    "ipyparallel.serialize.codeutil:code_ctor": "cde73b17b47a",
    "ipyparallel.serialize.codeutil:reduce_code": "5e680e51668d",
    "ipyparallel.engine.nanny:start_nanny": "cd75f853335b",
    "ipyparallel.engine.nanny:KernelNanny.main": "6f5980b1e81c",
    "ipyparallel.engine.nanny:KernelNanny.notify_exit": "aa5633347d73",
}
"""What a patch replaces, calls or counts on, and the beginning of the SHA-256 of its source in these versions."""


@pytest.fixture
def fresh_python(tmp_path, allow_subprocess):
    """What a Python says that runs this code: its status, its output, its errors."""

    def run(code):
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture(scope="module")
def loaded():
    """A Python that has loaded ipyparallel, which takes longer than all that is tried on it."""
    server = Preloaded("import ipyparallel, ipyparallel.controller.app, ipyparallel.engine.app")
    yield server
    server.close()


@pytest.fixture
def python(loaded, allow_subprocess, allow_loopback):
    """What a copy of that Python says that runs this code: its status, its output, its errors."""

    def run(code):
        done = loaded.run(env=dict(os.environ), code=code, timeout=60)
        return done.returncode, done.stdout, done.stderr

    return run


def test_what_is_replaced_is_what_was_read(python):
    code = f"""
import hashlib, importlib, inspect, json, operator, ipyparallel
hashes = {{}}
for name in {list(SOURCES)!r}:
    module, _, path = name.partition(":")
    source = inspect.getsource(operator.attrgetter(path)(importlib.import_module(module)))
    hashes[name] = hashlib.sha256(source.encode()).hexdigest()[:12]
print(json.dumps([ipyparallel.__version__, hashes]))
"""
    _, said, _ = python(code)
    version, hashes = json.loads(said)
    if version not in READ:
        pytest.skip(f"ipyparallel {version}: nobody has read it beside the patches yet")
    assert hashes == SOURCES


@pytest.mark.parametrize(
    "patch",
    ["cancelling", "cancelling_tasks", "database_wait", "draining", "heartbeats", "hub", "nanny", "parts", "rejoining"],
)
def test_each_patch_is_at_work_with_the_version_that_is_installed(python, patch):
    """A version that has not been read may still be as expected."""
    codes = {
        "cancelling": f"{KERNEL}; print(K.should_handle.__module__)",
        "cancelling_tasks": f"{SCHEDULER}; print(T.dispatch_submission.__module__)",
        "database_wait": "from ipyparallel.controller import app; print(type(app.time).__name__)",
        "draining": f"{SCHEDULER}; print(T._unregister_engine.__module__)",
        "heartbeats": "from ipyparallel.controller.heartmonitor import HeartMonitor as H; print(H.start.__module__)",
        "hub": "from ipyparallel.controller import app; print(app.Hub.__module__)",
        "nanny": "from ipyparallel.engine import app; print(app.start_nanny.__module__)",
        "parts": "from ipyparallel.controller import app; print(app.IPController.init_signal.__module__)",
        "rejoining": f"{SCHEDULER}; print(T._register_engine.__module__)",
    }
    said = {"database_wait": "SimpleNamespace"}.get(patch, f"{PATCHES}.{patch}")
    if patch == "nanny" and sys.platform != "linux":
        pytest.skip("linux: only there an engine's nanny is a copy of it")
    assert python(f"from {PATCHES} import {patch}\n{patch}.apply()\n{codes[patch]}") == (0, f"{said}\n", "")


CHANGES = {
    "cancelling": (
        f"{KERNEL}; K.do_apply = lambda self, content: self.showtraceback",
        "IPythonParallelKernel.do_apply takes self, content",
        "`clusterctl cancel` does not reach engines",
        "print(K.should_handle.__module__)",
        "ipyparallel.engine.kernel",
    ),
    "cancelling_tasks": (
        f"{SCHEDULER}; T.fail_unreachable = lambda self, number: None",
        "TaskScheduler.fail_unreachable takes self, number",
        "`clusterctl cancel` does not reach tasks that wait",
        "print(T.dispatch_submission.__module__)",
        "ipyparallel.controller.task_scheduler",
    ),
    "draining": (
        f"{SCHEDULER}; T.available_engines = lambda self: self.targets",
        "TaskScheduler.available_engines does not use hwm, loads",
        "engines of a node that will be taken are given tasks until they are stopped",
        "print(T._unregister_engine.__module__)",
        "ipyparallel.controller.task_scheduler",
    ),
    "rejoining": (
        f"{SCHEDULER}; del T.handle_stranded_tasks",
        "there is no TaskScheduler.handle_stranded_tasks",
        "an engine that was frozen for half a minute may end the sharing out of tasks",
        "print(T._register_engine.__module__)",
        "ipyparallel.controller.task_scheduler",
    ),
    "database_wait": (
        "from ipyparallel.controller import app; app.IPController.init_hub = lambda self, when: None",
        "IPController.init_hub takes self, when",
        "a controller answers a quarter of a second later",
        "print(app.time.sleep.__module__)",
        "time",
    ),
    "heartbeats": (
        "from ipyparallel.controller.heartmonitor import HeartMonitor as H; H.beat = lambda self: self.ping_stream",
        "HeartMonitor.beat does not use hearts, responses, handle_new_hearts",
        "an engine registers one and a half heartbeat periods later",
        "print(H.start.__module__)",
        "ipyparallel.controller.heartmonitor",
    ),
    "nanny": (
        "from ipyparallel.engine import app, nanny as n; del n.KernelNanny.main",
        "there is no KernelNanny.main",
        "an engine takes twice as long to start",
        "print(app.start_nanny.__module__)",
        "ipyparallel.engine.nanny",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("patch", CHANGES)
def test_what_is_not_as_expected_is_left_alone_and_said_once(python, patch):
    if patch == "nanny" and sys.platform != "linux":
        pytest.skip("linux: only there an engine's nanny is a copy of it")
    change, reason, consequence, look, own = CHANGES[patch]
    status, said, log = python(f"{change}\nfrom {PATCHES} import {patch}\n{patch}.apply()\n{look}")
    assert (status, said) == (0, f"{own}\n")
    assert len(log.splitlines()) == 1
    assert log.startswith("clusterctl: ipyparallel ")
    assert f"({reason}): {consequence}\n" in log


@pytest.mark.parametrize(
    ("patch", "lacks"), [("hub", "hub:Hub._save_engine_state"), ("parts", "app:IPController.handle_signal")]
)
def test_a_controller_with_another_hub_or_other_parts_does_not_start(python, patch, lacks):
    """It would count engines that ended, or miss a part that did."""
    module, _, name = lacks.partition(":")
    change = f"from ipyparallel.controller import {module}\ndel {module}.{name}"
    status, _, log = python(f"{change}\nfrom {PATCHES} import {patch}\n{patch}.apply()")
    assert status == 1
    assert f"there is no {name}" in log
    assert "try: install the newest clusterctl" in log


class TestRejoining:
    START = f"""
from types import SimpleNamespace
{SCHEDULER}
from {PATCHES} import rejoining
later, given_up = [], []
rejoining._OWN["handle_stranded_tasks"] = lambda scheduler, engine: given_up.append(engine)
rejoining.apply()
class Scheduler:
    targets, loads, completed, failed, pending = [], [], {{}}, {{}}, {{}}
    engine_stream = SimpleNamespace(flush=lambda: None)
    loop = SimpleNamespace(time=lambda: 0, add_timeout=lambda when, act: later.append(act))
    update_graph = lambda self, msg_id: None
    _register_engine, _unregister_engine = T._register_engine, T._unregister_engine
    handle_stranded_tasks = T.handle_stranded_tasks
made = Scheduler()
made._register_engine(b"a")
made.pending[b"a"]["task"] = "job"
"""

    def test_an_engine_that_is_back_before_its_tasks_are_given_up_goes_on_with_them(self, python):
        code = f"{self.START}made._unregister_engine(b'a')\nmade._register_engine(b'a')\nlater.pop()()\n"
        seen = "print(given_up, made.targets, made.loads, made.pending[b'a'], made.completed, made.failed)"
        said = "[] [b'a'] [1] {'task': 'job'} {b'a': set()} {b'a': set()}\n"
        assert python(code + seen) == (0, said, "")

    def test_of_one_that_is_not_back_they_are_given_up_once(self, python):
        code = f"{self.START}made._unregister_engine(b'a')\nlater[0]()\nprint(given_up)\n"
        again = "del made.completed[b'a'], made.failed[b'a']\nlater[0]()\nprint(given_up)"
        assert python(code + again) == (0, "[b'a']\n[b'a']\n", "")

    def test_one_that_is_listed_twice_is_one(self, python):
        assert python(f"{self.START}made._register_engine(b'a')\nprint(made.targets)") == (0, "[b'a']\n", "")


class TestLeanImports:
    def test_an_ipyparallel_that_needs_what_starts_clusters_is_loaded_whole(self, fresh_python, tmp_path):
        package = tmp_path / "ipyparallel"
        package.mkdir()
        (package / "__init__.py").write_text(
            "from .cluster import Cluster\n__version__ = '9.9'\nclass Mine(Cluster):\n    pass\n"
        )
        (package / "cluster.py").write_text("class Cluster:\n    pass\n")
        code = f"from {PATCHES} import lean_imports\nlean_imports.import_ipyparallel()\n"
        status, said, log = fresh_python(f"{code}import ipyparallel; print(ipyparallel.Mine.__mro__[1].__module__)")
        assert (status, said) == (0, "ipyparallel.cluster\n"), log
        assert "it needs ipyparallel.cluster" in log

    def test_a_controller_that_needs_numpy_is_loaded_with_it(self, fresh_python, tmp_path):
        (tmp_path / "ipyparallel/controller").mkdir(parents=True)
        (tmp_path / "ipyparallel/__init__.py").write_text("__version__ = '9.9'\n")
        (tmp_path / "ipyparallel/controller/__init__.py").write_text("")
        (tmp_path / "ipyparallel/controller/app.py").write_text("import numpy\n")
        (tmp_path / "numpy.py").write_text("")
        code = f"from {PATCHES} import lean_imports\nlean_imports.import_controller()\n"
        status, said, log = fresh_python(f"{code}from ipyparallel.controller import app; print(app.numpy.__name__)")
        assert (status, said) == (0, "numpy\n"), log
        assert "a controller starts later" in log

    @pytest.mark.parametrize(
        ("text", "said"), [("import debugpy\n", ""), ("raise SystemError('no debugpy')\n", "an engine starts later")]
    )
    def test_a_debugger_that_cannot_be_without_debugpy_is_left_to_ipykernel(self, fresh_python, tmp_path, text, said):
        (tmp_path / "ipykernel").mkdir()
        (tmp_path / "ipykernel/__init__.py").write_text("__version__ = '9.9'\n")
        (tmp_path / "ipykernel/debugger.py").write_text(text)
        code = f"import sys\nfrom {PATCHES} import lean_imports\nlean_imports.import_debugger()\n"
        status, loaded, log = fresh_python(
            f"{code}print('ipykernel.debugger' in sys.modules, 'debugpy' in sys.modules)"
        )
        assert (status, loaded) == (0, "False False\n"), log
        assert bool(log) == bool(said)
        assert said in log

    def test_what_was_loaded_before_is_left_alone(self, fresh_python):
        code = f"import ipyparallel\nfrom {PATCHES} import lean_imports\nlean_imports.import_ipyparallel()\n"
        status, said, log = fresh_python(f"{code}print(ipyparallel.Cluster.__module__)")
        assert (status, said, log) == (0, "ipyparallel.cluster.cluster\n", "")


class TestDifference:
    @staticmethod
    def known(first, *rest, key=None, **others):
        return first.attribute + rest

    def expected(self, parameters=("first", "key", "rest", "others"), uses=("attribute",), name="known"):
        return guards.Expected(TestDifference, name, parameters, uses)

    def test_there_is_none_where_all_is_as_it_was(self):
        assert guards.difference(self.expected()) == ""

    @pytest.mark.parametrize(
        ("about", "said"),
        [
            ({"name": "unknown"}, "there is no TestDifference.unknown"),
            ({"name": "__doc__"}, "there is no TestDifference.__doc__"),
            ({"name": "__module__"}, "TestDifference.__module__ is no function"),
            ({"parameters": ("first",)}, "TestDifference.known takes first, key, rest, others"),
            ({"uses": ("attribute", "other")}, "TestDifference.known does not use other"),
        ],
    )
    def test_the_first_one_is_told(self, about, said):
        assert guards.difference(self.expected(), self.expected(**about), self.expected(name="later")) == said

    def test_what_a_decorator_wraps_is_looked_at(self):
        inner = TestDifference.known

        def outer(*words):
            return inner(*words)

        outer.__wrapped__ = inner
        owner = SimpleNamespace(__name__="owner", known=outer)
        assert guards.difference(self.expected()._replace(owner=owner)) == ""


class TestSigningNotice:
    """CURVE authenticates and encrypts: no log shall begin with a line that calls this insecure."""

    LOOK = (
        "import logging, sys\nlogging.basicConfig(stream=sys.stdout, format='%(message)s')\n"
        "from jupyter_client.session import Session\nSession(key=b'')\n"
        "logging.getLogger('traitlets').warning('another')"
    )
    APPLY = f"from jupyter_client.session import Session\nfrom {PATCHES} import signing_notice\n"

    def test_the_notice_is_kept_out_and_what_else_is_logged_is_not(self, fresh_python):
        assert "insecure" in fresh_python(self.LOOK)[1]
        twice = "signing_notice.apply(Session)\n" * 2
        assert fresh_python(f"{self.APPLY}{twice}{self.LOOK}")[:2] == (0, "another\n")

    def test_the_log_of_an_application_is_meant_too(self, fresh_python):
        code = (
            f"{self.APPLY}signing_notice.apply(Session)\nfrom traitlets.config import Application\n"
            "Application.instance().log.warning('another')\nSession(key=b'')"
        )
        _, _, log = fresh_python(code)
        assert "another" in log
        assert "insecure" not in log

    def test_a_jupyter_client_that_is_another_one_is_left_alone(self, fresh_python):
        change = "import jupyter_client.session as s; s.Session.__init__ = lambda self, **kwargs: self.key"
        status, _, log = fresh_python(f"{change}\n{self.APPLY}signing_notice.apply(Session)")
        assert status == 0
        assert log.startswith("clusterctl: jupyter_client ")
        assert "logs say that signing is disabled, though CURVE protects" in log
