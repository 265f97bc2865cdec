"""The program of an engine in this process, what it is asked, and what it says."""

from __future__ import annotations

import pickle
import sys
import types

import cloudpickle

from clusterctl.compute import channel

_, SOURCE = channel.engine_program()
PROGRAM = compile(SOURCE, "program", "exec")


def load():
    """A fresh engine that has loaded the program."""
    program = types.ModuleType("engine")
    exec(PROGRAM, program.__dict__)
    program._kernel = lambda: types.SimpleNamespace(aborted=set())
    return program


def request(act, items, chunk="c1", **changes):
    """What a client sends."""
    pickled = cloudpickle.dumps(act)
    return {
        "chunk": chunk,
        "acknowledged": [],
        "python": sys.version_info[:2],
        "function": pickled,
        "digest": str(hash(pickled)),
        "initializer": ("", b""),
        "items": cloudpickle.dumps(items),
        "first": 0,
        "star": 0,
        "budget_s": 10.0,
        "timeout_s": None,
        "most_bytes": 10_000_000,
        "stop": True,
        "objects": [],
        **changes,
    }


def read(reply):
    """What the engine said: so many done, values, failures, and the word for what went wrong with its detail."""
    done, _seconds, values, failures, (trouble, detail) = pickle.loads(reply)
    return done, pickle.loads(values) if values else None, failures, trouble, detail
