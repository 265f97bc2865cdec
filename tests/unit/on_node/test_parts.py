"""The controller's parts: they end together, and what passes through them for a probe is nobody's work."""

from __future__ import annotations

import sys

import pytest

from .test_starters import CONTROLLER, ENGINE, HEARTS, HUB, ON_NODE, says, servers  # noqa: F401  fixtures

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only there a process can be killed with its parent")
PARTS = f"""
import multiprocessing, pathlib, signal
from types import SimpleNamespace
from {ON_NODE}.patches import parts as own
import ipyparallel.controller.app as app

class Loop:
    READ = 1
    def __init__(self):
        self.handlers = {{}}
    def add_handler(self, sentinel, act, events):
        self.handlers[sentinel] = act
    def remove_handler(self, sentinel):
        del self.handlers[sentinel]

def process(number):
    return SimpleNamespace(pid=number, sentinel=number, exitcode=-9, join=lambda s: None)

def child(name, number):
    return SimpleNamespace(name=name, launcher=process(number))

own._OWN["init_signal"] = own._OWN["handle_signal"] = lambda *_: None
ended = []
own.os = SimpleNamespace(_exit=ended.append, getpid=os.getpid)
controller = SimpleNamespace(
    loop=Loop(),
    profile_dir=SimpleNamespace(pid_dir="pid"),
    heartmonitor_process=process(9),
    children=[
        child("IOPubScheduler", 1),
        child("DirectScheduler", 2),
        child("ControlScheduler", 3),
        child("TaskScheduler", 4),
        child("BroadcastScheduler(depth=0, id=0)", 5),
        child("BroadcastScheduler(depth=1, id=00)", 6),
        child("BroadcastScheduler(depth=1, id=01)", 7),
    ],
)
app.IPController.init_signal(controller)
"""
PROBE_MESSAGE = "[b'intask', b'clusterctl-probe-1', b'<IDS|MSG>', b'']"


class TestParts:
    def test_each_process_is_written_down_by_the_name_of_its_part(self, says):  # noqa: F811
        code = f"{PARTS}\nfound = json.loads(pathlib.Path('pid/parts.json').read_text())['parts']\n"
        found = says(CONTROLLER, f"{code}del found['hub']\nprint(json.dumps(found))")
        assert found == {
            "heart monitor": 9,
            "output relay": 1,
            "direct scheduler": 2,
            "control scheduler": 3,
            "task scheduler": 4,
            "broadcast scheduler": 5,
            "broadcast scheduler 0": 6,
            "broadcast scheduler 1": 7,
        }

    def test_when_one_ends_the_controller_does(self, says):  # noqa: F811
        code = f"{PARTS}\ncontroller.loop.handlers[4]()\nprint(json.dumps([ended, sorted(controller.loop.handlers)]))"
        assert says(CONTROLLER, code) == [[70], [1, 2, 3, 5, 6, 7, 9]]

    def test_one_that_was_told_to_end_is_no_loss(self, says):  # noqa: F811
        code = f"""{PARTS}
app.IPController.handle_signal(controller, signal.SIGTERM, None)
controller.loop.handlers[4]()
print(json.dumps(ended))
"""
        assert says(CONTROLLER, code) == []

    @LINUX
    def test_a_child_is_killed_with_the_controller(self, says):  # noqa: F811
        """However that ends: a child that stays keeps a port."""
        code = """
heard, said = os.pipe()
parent = os.fork()
if not parent:
    if not os.fork():
        os.close(heard)
        os.write(said, b"%d" % os.getpid())
        while True:
            import signal
            signal.pause()
    os.close(said)
    import time
    while True:
        time.sleep(60)
os.close(said)
child = os.read(heard, 16)
os.kill(parent, 9)
rest = os.read(heard, 1)
print(json.dumps([child.isdigit(), rest == b""]))
"""
        assert says(CONTROLLER, code) == [True, True]


class TestProbes:
    def then(self, says, code):  # noqa: F811
        indented = "".join(f"    {line}\n" for line in code.strip().splitlines())
        return says(CONTROLLER, f"{HUB}\nasync def then():\n{indented}\nasyncio.run(then())")

    def test_the_hub_counts_no_task_of_a_probe(self, says):  # noqa: F811
        code = f"""
seen = []
one = hub()
one.monitor_handlers = {{topic: lambda *words: seen.append(len(words)) for topic in one.monitor_handlers}}
one.session.feed_identities = lambda frames: ([b"x"], frames)
one.dispatch_monitor_traffic({PROBE_MESSAGE})
one.dispatch_monitor_traffic([b"intask", b"a client", b"<IDS|MSG>", b""])
print(json.dumps([seen, len(one.pending), len(one.unassigned)]))
"""
        assert self.then(says, code) == [[2], 0, 0]

    def test_the_hub_answers_one_with_who_is_registered(self, says):  # noqa: F811
        code = """
one = hub()
register(one, 0, "engine0")
said = []
one.session.feed_identities = lambda frames: (frames[:1], frames[1:])
one.session.deserialize = lambda frames: {"header": frames}
one.session.send = lambda stream, kind, content, **_: said.append([kind, content["engines"], content["demand"]])
one.dispatch_query([b"clusterctl-probe-1", b"x"])
print(json.dumps(said))
"""
        nothing = {"clients": 0, "items": 0, "rate": 0}
        assert self.then(says, code) == [["connection_reply", {"0": "engine0"}, nothing]]

    def test_the_heart_monitor_returns_one_and_takes_it_for_no_engine(self, says):  # noqa: F811
        code = f"""{HEARTS}
async def live():
    one = monitor(3_600_000)
    one.pong_stream.send_multipart = lambda message: sent.append(message[1].decode())
    one.start()
    one.pong_stream.act([b"clusterctl-probe-1", b"0.0"])
    one.beat()
asyncio.run(live())
print(json.dumps([told, sent[:1]]))
"""
        assert says(CONTROLLER, code) == [[], ["0.0"]]


class TestSilentEngine:
    def then(self, says, code):  # noqa: F811
        indented = "".join(f"    {line}\n" for line in code.strip().splitlines())
        return says(CONTROLLER, f"{HUB}\nasync def then():\n{indented}\nasyncio.run(then())")

    def test_it_is_on_the_list_again_under_its_id_when_it_is_heard(self, says):  # noqa: F811
        code = """
one = hub()
register(one, 1, "engine1")
one.handle_stopped_heart(b"engine1")
between = uuids(one)
one.handle_new_heart(b"engine1")
print(json.dumps([between, uuids(one)]))
"""
        assert self.then(says, code) == [{}, {"1": "engine1"}]

    def test_unless_another_one_has_its_id_by_then(self, says):  # noqa: F811
        code = """
one = hub()
register(one, 1, "engine1")
one.handle_stopped_heart(b"engine1")
register(one, 1, "new")
one.handle_new_heart(b"engine1")
print(json.dumps(uuids(one)))
"""
        assert self.then(says, code) == {"1": "new"}

    def test_the_controller_after_this_one_knows_it_too(self, says):  # noqa: F811
        code = """
one = hub()
register(one, 1, "engine1")
one.handle_stopped_heart(b"engine1")
after = hub()
after.handle_new_heart(b"engine1")
print(json.dumps(uuids(after)))
"""
        assert self.then(says, code) == {"1": "engine1"}

    def test_one_that_said_goodbye_is_not_expected(self, says):  # noqa: F811
        code = """
one = hub()
register(one, 1, "engine1")
one.unregister_engine(b"", {"content": {"id": 1}})
one.handle_new_heart(b"engine1")
print(json.dumps(uuids(one)))
"""
        assert self.then(says, code) == {}


@pytest.mark.parametrize("start", [CONTROLLER, ENGINE], ids=["controller", "engine"])
def test_a_connection_that_a_network_has_swallowed_is_noticed(says, start):  # noqa: F811
    code = """
import zmq
context = zmq.Context()
made = context.socket(zmq.SUB)
options = [zmq.TCP_KEEPALIVE, zmq.TCP_KEEPALIVE_IDLE, zmq.CONNECT_TIMEOUT]
print(json.dumps([made.getsockopt(option) for option in options]))
context.destroy(0)
"""
    assert says(start, code) == [1, 30, 10_000]
