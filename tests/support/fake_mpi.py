"""Stands for mpi4py's MPI among members that are threads: ports, communicators that join, and three collectives."""

# ruff: noqa: N802  the names are mpi4py's

from __future__ import annotations

import operator
import threading
from collections import defaultdict

IN_PLACE = object()
ERRORS_RETURN = object()
SUM, PROD = operator.add, operator.mul
DEADLINE_S = 20


class MpiError(Exception):
    """What mpi4py raises."""


class Network:
    """What all worlds of a test share."""

    def __init__(self):
        self.condition = threading.Condition()
        self.comers = defaultdict(lambda: {"low": {}, "high": {}})
        self.said = defaultdict(dict)
        self.calls = []
        """Which collective each member has called, with how many bytes."""

    def wait_for_call(self):
        """Whether somebody has called a collective by now."""
        with self.condition:
            return self.condition.wait_for(lambda: self.calls, DEADLINE_S)


class Mpi:
    """The module, as one member has it."""

    Exception, IN_PLACE, ERRORS_RETURN, SUM, PROD = MpiError, IN_PLACE, ERRORS_RETURN, SUM, PROD

    class Info:
        """Options of a call."""

        @classmethod
        def Create(cls, _):
            return cls()

        def Free(self):
            pass

    def __init__(self, network, name):
        self.network, self.name, self.opened = network, name, []
        self.COMM_SELF = Communicator(network, (name,), 0)

    def Open_port(self):
        self.opened.append(f"{self.name}-{len(self.opened)}")
        return self.opened[-1]

    def Close_port(self, port):
        self.opened.remove(port)


class Communicator:
    """Of worlds, by the names of their members."""

    def __init__(self, network, members, rank):
        self.network, self.members, self.rank = network, members, rank
        self.size, self.calls, self.is_free = len(members), 0, False

    def Set_errhandler(self, _):
        pass

    def Free(self):
        self.is_free = True

    def Accept(self, port, _info):
        return self._meet("low", port)

    def Connect(self, port, _info):
        return self._meet("high", port)

    def _meet(self, side, port):
        comers, condition = self.network.comers[port], self.network.condition
        with condition:
            comers[side][self.rank] = self
            condition.notify_all()
            halves = comers.values()
            are_there = condition.wait_for(
                lambda: all(half and len(half) == next(iter(half.values())).size for half in halves), DEADLINE_S
            )
        if not are_there:
            raise MpiError("nobody came")
        return Between(self, side, next(iter(comers["low"].values())), next(iter(comers["high"].values())))

    def Iallreduce(self, sent, array, how):
        assert sent is IN_PLACE
        return self._begin("Iallreduce", array, lambda said: self._fill(array, said, how))

    def Ireduce(self, sent, got, how, root):
        array = got if sent is IN_PLACE else sent
        finish = (lambda said: self._fill(array, said, how)) if self.rank == root else (lambda said: None)
        return self._begin("Ireduce", array, finish)

    def Ibcast(self, buffer, root):
        def finish(said):
            if self.rank != root:
                memoryview(buffer).cast("B")[:] = said[root]

        return self._begin("Ibcast", buffer, finish)

    def _fill(self, array, said, how):
        import numpy as np

        total = np.frombuffer(said[0], array.dtype)
        for rank in range(1, self.size):
            total = how(total, np.frombuffer(said[rank], array.dtype))
        array[:] = total

    def _begin(self, call, buffer, finish):
        self.calls += 1
        said = self.network.said[self.members, self.calls]
        content = memoryview(buffer).cast("B").tobytes()
        with self.network.condition:
            self.network.calls.append((call, len(content)))
            said[self.rank] = content
            self.network.condition.notify_all()
        return Request(self.size, said, finish)


class Between:
    """Two halves that have met."""

    def __init__(self, own, side, low, high):
        self.own, self.side, self.low, self.high = own, side, low, high

    def Set_errhandler(self, _):
        pass

    def Free(self):
        pass

    def Merge(self, high):
        assert high == (self.side == "high")
        rank = self.own.rank + (self.low.size if high else 0)
        return Communicator(self.own.network, self.low.members + self.high.members, rank)


class Request:
    """A collective that is done when all have come."""

    def __init__(self, size, said, finish):
        self.size, self.said, self.finish = size, said, finish

    def Test(self):
        if len(self.said) < self.size:
            return False
        self.finish(self.said)
        return True
