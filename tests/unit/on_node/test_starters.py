"""The programs that start a controller and an engine: what they change in ipyparallel, and what they leave alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

ON_NODE = "clusterctl.on_node.with_ipyparallel"
ENGINE = f"from {ON_NODE} import start_engine as starter\nstarter.load()"
CONTROLLER = f"from {ON_NODE} import start_controller as starter\nstarter.prepare()"
NANNY = f"{ENGINE}\nfrom {ON_NODE}.patches import nanny as own\n"
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only there an engine's nanny is a copy of it")
SERVER = """
import json, os, sys, traceback
scope = {"__name__": "__main__", "json": json, "os": os, "sys": sys}
exec(sys.argv[1], scope)
for line in sys.stdin:
    request = json.loads(line)
    child = os.fork()
    if not child:
        status = 1
        try:
            os.chdir(request["folder"])
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(os.open("said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 1)
            os.dup2(1, 2)
            exec(request["code"], scope)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    print(os.waitpid(child, 0)[1], flush=True)
"""
"""A Python that does what a starter does before it runs ipyparallel, and runs each program in a copy of itself: to load
ipyparallel takes ten times as long as all the rest."""


@pytest.fixture(scope="module")
def servers():
    """Makes the server of a start."""
    made = {}

    def server(start):
        if start not in made:
            made[start] = subprocess.Popen(
                [sys.executable, "-c", SERVER, start],
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        return made[start]

    yield server
    for process in made.values():
        process.communicate(timeout=60)


@pytest.fixture
def says(tmp_path, allow_subprocess, servers):
    """What a program prints as JSON that has done what a starter does before it runs ipyparallel."""

    def says(start, code):
        server = servers(start)
        server.stdin.write(json.dumps({"folder": str(tmp_path), "code": code}) + "\n")
        server.stdin.flush()
        status = server.stdout.readline()
        said = (tmp_path / "said").read_text() if status else "the server ended"
        assert status == "0\n", said
        return json.loads(said.splitlines()[-1])

    return says


@LINUX
class TestNanny:
    def test_it_is_ipyparallels_in_a_copy_of_the_engine_and_ends_with_it(self, says):
        """Here it is one that only tells what it was asked, and who asks."""
        code = """
import ipyparallel.engine.nanny as nanny
asked, ask = os.pipe()
def be(cls, *, pipe, **wanted):
    os.write(ask, json.dumps({**wanted, "nanny": os.getpid(), "session": os.getsid(0)}).encode())
    pipe.write("tcp://127.0.0.1:1234\\n")
nanny.KernelNanny.main = classmethod(be)
start_nanny = own.fork_nanny()
url, answers = start_nanny(engine_id=7)
seen = json.loads(os.read(asked, 10000))
os.waitpid(seen["nanny"], 0)
print(json.dumps({**seen, "url": url, "own": os.getpid()}))
"""
        found = says(NANNY, code)
        assert (found["url"], found["engine_id"]) == ("tcp://127.0.0.1:1234", 7)
        assert found["pid"] == found["own"] != found["nanny"]
        assert found["session"] == found["nanny"], "signals to the engine's group must not reach it"

    def test_an_engine_that_ends_before_it_needs_one_leaves_none_behind(self, says):
        code = """
start_nanny = own.fork_nanny()
for cell in start_nanny.__closure__:
    if isinstance(cell.cell_contents, int):
        os.close(cell.cell_contents)
print(json.dumps(os.wait()[1]))
"""
        assert says(NANNY, code) == 0

    def test_one_that_cannot_start_is_an_error_of_the_engine(self, says):
        code = """
import ipyparallel.engine.nanny as nanny
nanny.KernelNanny.main = classmethod(lambda cls, **wanted: 1 / 0)
try:
    own.fork_nanny()(engine_id=7)
except RuntimeError as exc:
    print(json.dumps(str(exc)))
"""
        assert says(NANNY, code) == "the nanny ended"

    def test_engines_take_it_in_the_place_of_a_new_python(self, says):
        code = "print(json.dumps(sys.modules['ipyparallel.engine.app'].start_nanny.__module__))"
        assert says(NANNY, code) == f"{ON_NODE}.patches.nanny"


def test_an_engine_loads_no_debugger_and_its_users_still_can(says):
    code = """
before = "debugpy" in sys.modules
import ipykernel.debugger
import debugpy
print(json.dumps([before, ipykernel.debugger._is_debugpy_available, debugpy.__name__]))
"""
    assert says(ENGINE, code) == [False, False, "debugpy"]


def test_a_controller_loads_no_numpy_and_could(says):
    code = """
from ipyparallel.controller import task_scheduler
print(json.dumps([task_scheduler.numpy, "numpy" in sys.modules]))
"""
    assert says(CONTROLLER, code) == [None, False]


@pytest.mark.parametrize("start", [ENGINE, CONTROLLER], ids=["engine", "controller"])
def test_what_starts_clusters_is_loaded_when_somebody_asks_for_it(says, start):
    code = """
import ipyparallel
before = "ipyparallel.cluster" in sys.modules
from ipyparallel import Cluster, ClusterManager
import ipyparallel.cluster.cluster as real
refused = ""
try:
    ipyparallel.Clusters
except AttributeError as exc:
    refused = str(exc)
print(json.dumps([before, Cluster is real.Cluster, ipyparallel.cluster.ClusterManager is ClusterManager, refused]))
"""
    refused = "module 'ipyparallel' has no attribute 'Clusters'"
    assert says(start, code) == [False, True, True, refused]


def test_a_controller_does_not_sleep_before_it_answers(says):
    code = """
import time
slept = []
time.sleep = slept.append
app = sys.modules["ipyparallel.controller.app"]
app.time.sleep(0.25)
print(json.dumps([slept, app.time.monotonic is time.monotonic]))
"""
    assert says(CONTROLLER, code) == [[], True]


HEARTS = """
import asyncio
from types import SimpleNamespace
from ipyparallel.controller.heartmonitor import HeartMonitor
from jupyter_client.session import Session

sent, told = [], []
class Stream:
    def __init__(self):
        self.socket = SimpleNamespace(recv_multipart=lambda: [b""])
    def on_recv(self, act):
        self.act = act
    def send(self, text):
        sent.append(text)
    def flush(self):
        pass

def monitor(period):
    class Monitor(HeartMonitor):
        ping_stream, pong_stream, monitor_stream = Stream(), Stream(), Stream()
        session = SimpleNamespace(send=lambda stream, kind, content, ident: told.append([kind, *content["hearts"]]))
    return Monitor(period=period)
"""


class TestHearts:
    def test_a_new_engine_is_told_of_when_it_answers_and_once(self, says):
        code = f"""{HEARTS}
async def live():
    one = monitor(3_600_000)
    one.start()
    for _ in range(3):
        one.pong_stream.act([b"new", b"0.0"])
    one.pong_stream.act([b"stranger", b"of another time"])
    one.beat()
    one.pong_stream.act([b"new", sent[-1]])
    one.beat()
asyncio.run(live())
print(json.dumps(told))
"""
        assert says(CONTROLLER, code) == [["new_heart", "new"]]

    def test_one_that_stops_is_told_of_as_ever(self, says):
        code = f"""{HEARTS}
async def live():
    one = monitor(3_600_000)
    one.max_heartmonitor_misses = 2
    one.start()
    one.pong_stream.act([b"new", b"0.0"])
    for _ in range(4):
        one.beat()
asyncio.run(live())
print(json.dumps(told))
"""
        assert says(CONTROLLER, code) == [["new_heart", "new"], ["stopped_heart", "new"]]

    def test_a_young_controller_asks_more_often_than_it_counts(self, says):
        """Its beats, which decide who is alive, keep their period."""
        code = f"""{HEARTS}
async def live():
    one = monitor(3_600_000)
    one.start()
    while len(sent) < 3:
        await asyncio.sleep(0.01)
asyncio.run(asyncio.wait_for(live(), 60))
print(json.dumps([text.decode() for text in sent[:3]]))
"""
        assert says(CONTROLLER, code) == ["0.0", "0.0", "0.0"]


HUB = (
    f"""
import asyncio
from {ON_NODE}.patches import hub as own
"""
    """
from types import SimpleNamespace
from ipyparallel.controller.hub import EngineConnector

told = []
class Stream:
    def on_recv(self, act, copy=True):
        pass
    def flush(self, flag=None):
        pass

class Session:
    session = "session"
    def send(self, stream, kind, content, **_):
        told.append([kind, content["id"]])
        return {}

class Hub(own.Hub):
    query = monitor = notifier = resubmit = Stream()
    session = Session()

def hub():
    one = Hub(registration_timeout=60)
    one.engine_state_file = "engines.json"
    one._load_engine_state()
    return one

def register(one, number, heart):
    one.register_engine(b"", {"content": {"uuid": heart, "id": number}})
    one.handle_new_heart(heart.encode())

def uuids(one):
    return {number: engine.uuid for number, engine in one.engines.items()}

async def first():
    one = hub()
    for number in range(3):
        register(one, number, f"engine{number}")
asyncio.run(first())
told.clear()
"""
)


class TestHub:
    """Three engines were registered; then the controller starts anew."""

    def then(self, says, code):
        indented = "".join(f"    {line}\n" for line in code.strip().splitlines())
        return says(CONTROLLER, f"{HUB}\nasync def then():\n{indented}\nasyncio.run(then())")

    def test_the_controller_runs_it(self, says):
        code = f"from {ON_NODE}.patches import hub as own\nimport ipyparallel.controller.app as app\n"
        code += "print(json.dumps(app.Hub is own.Hub))"
        assert says(CONTROLLER, code) is True

    def test_an_engine_is_on_the_list_again_with_its_first_beat(self, says):
        code = """
one = hub()
before = uuids(one)
one.handle_new_heart(b"engine1")
one.handle_new_heart(b"stranger")
print(json.dumps([before, uuids(one), told]))
"""
        assert self.then(says, code) == [{}, {"1": "engine1"}, [["registration_notification", 1]]]

    def test_the_id_of_one_that_is_gone_is_free_for_the_next(self, says):
        code = """
one = hub()
register(one, 1, "new")
one.handle_new_heart(b"engine1")
print(json.dumps(uuids(one)))
"""
        assert self.then(says, code) == {"1": "new"}

    def test_those_that_have_not_come_yet_are_expected_by_the_controller_after_it_too(self, says):
        code = """
hub().handle_new_heart(b"engine1")
one = hub()
for number in range(3):
    one.handle_new_heart(f"engine{number}".encode())
print(json.dumps(sorted(uuids(one))))
"""
        assert self.then(says, code) == [0, 1, 2]

    def test_so_is_one_that_was_accepted_and_had_not_beaten_when_its_controller_ended(self, says):
        code = """
hub().register_engine(b"", {"content": {"uuid": "late", "id": 3}})
one = hub()
for heart in (b"late", b"engine0"):
    one.handle_new_heart(heart)
print(json.dumps(uuids(one)))
"""
        assert self.then(says, code) == {"0": "engine0", "3": "late"}

    def test_one_that_died_before_its_first_beat_leaves_its_id_to_the_next(self, says):
        code = """
one = hub()
for uuid in ("died", "next"):
    one.register_engine(b"", {"content": {"uuid": uuid, "id": 3}})
one.handle_new_heart(b"next")
print(json.dumps(uuids(one)))
"""
        assert self.then(says, code) == {"3": "next"}

    def test_one_that_was_taken_off_before_it_came_is_not_expected(self, says):
        code = """
one = hub()
one.unregister_engine(b"", {"content": {"id": 1}})
for number in range(3):
    one.handle_new_heart(f"engine{number}".encode())
print(json.dumps(sorted(uuids(one))))
"""
        assert self.then(says, code) == [0, 2]

    def test_what_an_engine_had_that_is_gone_is_no_work_any_more_and_what_its_successor_has_is(self, says):
        """Clients are told that the one has ended; nobody is to believe so of the other."""
        code = """
one = hub()
one.db = SimpleNamespace(update_record=lambda *_: None)
register(one, 0, "gone")
one.pending = {"call", "task", "done"}
one.queues[0], one.tasks[0] = ["call", "done"], ["task"]
one.unregister_engine(b"", {"content": {"id": 0}})
left = one.queues[0] + one.tasks[0]
one.pending.discard("done")
register(one, 0, "next")
one.pending.add("next call")
one.queues[0].append("next call")
one._handle_stranded_msgs(0, "gone")
print(json.dumps([left, one.queues[0], sorted(one.pending), sorted(one.all_completed), one.stranded]))
"""
        assert self.then(says, code) == [[], ["next call"], ["next call", "task"], ["call"], {}]

    @pytest.mark.parametrize("text", ["", "{"])
    def test_a_file_that_was_lost_with_the_power_expects_nobody(self, says, text):
        code = f"""
open("engines.json", "w").write({text!r})
one = hub()
register(one, 0, "new")
print(json.dumps(uuids(one)))
"""
        assert self.then(says, code) == {"0": "new"}
