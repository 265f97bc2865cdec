"""Engines without ipyparallel: each is a thread that runs what a client sends to an engine, in this process."""

from __future__ import annotations

import itertools
import queue
import sys
import threading
import types
from concurrent.futures import Future

from clusterctl.compute import channel as ways

NAME, SOURCE = ways.engine_program()
PROGRAM = compile(SOURCE, "chunks.py", "exec")


class _OfThisEngine:
    """The program that an engine's thread finds loaded; other threads find the newest one."""

    newest = None
    here = threading.local()

    def __getattr__(self, name):
        return getattr(getattr(self.here, "program", self.newest), name)


class Engine:
    """One of them. It works on one chunk after the other, and can be ended, or not answer."""

    def __init__(self, number, uuid):
        self.number, self.uuid = number, uuid
        self.program = types.ModuleType(f"engine_{uuid}")
        exec(PROGRAM, self.program.__dict__)
        _OfThisEngine.newest = self.program
        sys.modules[NAME] = _OfThisEngine()
        self.aborted = set()
        self.program._kernel = lambda: types.SimpleNamespace(aborted=self.aborted)
        self.has_ended = False
        self.loses_answers = 0
        self.before = lambda request: None
        self._chunks = queue.SimpleQueue()
        threading.Thread(target=self._work, daemon=True).start()

    def send(self, request, message, future):
        self._chunks.put((request, message, future))

    def _work(self):
        _OfThisEngine.here.program = self.program
        while True:
            request, message, future = self._chunks.get()
            if self.has_ended or future.done():
                continue
            if message in self.aborted:
                future.set_result((ways.ABORTED, None))
                continue
            self.before(request)
            reply = self.program.run(request)
            if self.has_ended or future.done():
                continue
            if self.loses_answers:
                self.loses_answers -= 1
                future.set_result((ways.CONNECTION_LOST, None))
            else:
                future.set_result(("", reply))


class LightChannel:
    """What a `Channel` does, for these engines."""

    def __init__(self, count):
        self._numbers = itertools.count()
        self._listeners = []
        self._sent = {}
        self.by_uuid = {}
        self.requests = []
        self.killed = []
        self.acknowledged = []
        self.demands = []
        self.is_closed = False
        self.steps = []
        self.ends = {}
        self.takes_steps = True
        self.unanswered = []
        self._leave = lambda: None
        for _ in range(count):
            self.add_engine()

    def add_engine(self):
        number = next(self._numbers)
        engine = Engine(number, f"uuid{number}")
        self.by_uuid[engine.uuid] = engine
        self._tell()
        return engine

    def end_engine(self, uuid):
        """It dies; what it had ends as ipyparallel has it."""
        engine = self.by_uuid.pop(uuid)
        engine.has_ended = True
        self._tell()
        for future in self._sent.pop(uuid, []):
            if not future.done():
                future.set_result((ways.ENGINE_ENDED, None))

    def _tell(self):
        for act in self._listeners:
            act()

    def engines(self):
        return {engine.number: uuid for uuid, engine in self.by_uuid.items()}

    def on_change(self, act, end, drain):
        self._listeners.append(act)
        self.cancel_all = end
        self.drain = drain

    def before_close(self, act):
        self._leave = act

    def close(self):
        self._leave()
        self.is_closed = True

    def unheard(self):
        return self.unanswered

    def send(self, uuid, request, hear):
        self.hear = hear
        request["python"] = sys.version_info[:2]
        message, future = f"m{next(self._numbers)}", Future()
        self.requests.append((uuid, request))
        if uuid not in self.by_uuid:
            future.set_result((ways.ENGINE_ENDED, None))
            return message, future
        self._sent.setdefault(uuid, []).append(future)
        self.by_uuid[uuid].send({**request, "timeout_s": None}, message, future)  # a thread gets no signal
        return message, future

    def outcome(self, future, engine):
        return future.result()

    def how_it_ended(self, engine):
        return self.ends.get(engine, "")

    def seconds_at_work(self, future):
        return None

    def take_back(self, uuid, chunks, *, interrupt):
        asked = Future()
        engine = self.by_uuid.get(uuid)
        if engine is not None:
            names, messages = zip(*chunks, strict=True)
            answer = engine.program.take_back(list(names), list(messages), interrupt=False)  # a thread gets no signal
            asked.set_result({"content": answer})
        return asked

    def tell_demand(self, demand):
        self.demands.append(demand)
        asked = Future()
        asked.set_result({"content": {"status": "ok"}})
        return asked

    def acknowledge(self, uuid, chunks):
        self.acknowledged += chunks
        if uuid in self.by_uuid:
            self.by_uuid[uuid].program.ENGINE.forget(chunks)

    def bring(self, uuid, step, pieces=()):
        asked = Future()
        engine = self.by_uuid.get(uuid)
        self.steps.append(step["act"])
        if engine is not None and self.takes_steps:
            asked.set_result({"content": engine.program.OBJECTS.take(step, pieces)})
        return asked

    def kill(self, number):
        self.killed.append(number)
        self.end_engine(f"uuid{number}")
