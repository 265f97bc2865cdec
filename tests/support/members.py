"""Members of a group in this process, each a thread with a program of its own, and real lines between them."""

from __future__ import annotations

import threading
import types

from clusterctl.compute.together.program import group_program

DEADLINE_S = 30
PROGRAM = compile(group_program()[1], "program", "exec")


def load():
    """A fresh engine that has loaded the program."""
    program = types.ModuleType("engine")
    exec(PROGRAM, program.__dict__)
    return program


class Meeting:
    """So many members. They are held at once, and run when they are told."""

    def __init__(self, size, *, fan_in=2, silence_s=20.0):
        self.programs = [load() for _ in range(size)]
        common = {
            "group": "g",
            "size": size,
            "fan_in": fan_in,
            "silence_s": silence_s,
            "address": "127.0.0.1",
            "held_s": 60.0,
        }
        self.requests = [{**common, "rank": rank, "connect_s": DEADLINE_S, "own": ()} for rank in range(size)]
        self.peers = [program.hold(request) for program, request in zip(self.programs, self.requests, strict=True)]

    def run(self, act, *args):
        """What each member has returned; ``raised`` and the error where it has raised."""
        outcomes = [None] * len(self.programs)

        def run_one(rank):
            try:
                request = {**self.requests[rank], "peers": self.peers}
                outcomes[rank] = self.programs[rank].run_member(act, args, {}, request)
            except BaseException as error:  # noqa: BLE001  whatever it is
                outcomes[rank] = "raised", error

        threads = [threading.Thread(target=run_one, args=(rank,), daemon=True) for rank in range(len(outcomes))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE_S)
            assert not thread.is_alive(), "a member waits for ever"
        return outcomes


def together(size, act, *args, **about):
    """The values of all members, which must all have one."""
    outcomes = Meeting(size, **about).run(act, *args)
    assert {kind for kind, _ in outcomes} == {"value"}, outcomes
    return [value for _, value in outcomes]
