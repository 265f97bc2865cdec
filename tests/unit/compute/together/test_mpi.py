"""Large arrays by MPI: the same values as by the lines, worlds that join once, and members that are lost."""

from __future__ import annotations

import socket
import sys
import threading

import numpy as np
import pytest

from ....support.fake_mpi import Mpi, MpiError, Network
from ....support.members import Meeting, load

pytestmark = pytest.mark.usefixtures("allow_loopback")
LARGE = 10_000
"""Numbers: more than go by the lines."""


def meet(monkeypatch, size, network=None):
    """Members whose engines have MPI, each a world of its own; and their network."""
    monkeypatch.setenv("ENGINE_GROUPS", "mpi")
    meeting, network = Meeting(size), network or Network()
    for rank, program in enumerate(meeting.programs):
        mpi = Mpi(network, program.World.name)
        monkeypatch.setattr(program, "start_mpi", lambda address, mpi=mpi: mpi)
        monkeypatch.setattr(program, "_mpi", lambda mpi=mpi: mpi)
        assert meeting.peers[rank]["world"] == program.World.name
    return meeting, network


def values(outcomes):
    assert {kind for kind, _ in outcomes} == {"value"}, outcomes
    return [value for _, value in outcomes]


@pytest.mark.parametrize("size", [2, 3, 5, 6, 8])
def test_large_arrays_go_by_mpi_and_come_out_as_by_the_lines(monkeypatch, size):
    def act(group):
        own = {"large": np.arange(LARGE) * (group.rank + 1.0), "whole": np.full(3, group.rank, "i2"), "number": 1}
        total = group.allreduce(own)
        mean = group.reduce(own["large"], "mean", root=size - 1)
        sent = group.broadcast((own["large"], b"x", "text") if group.rank == 1 else None, root=1)
        return total, mean, sent, group.gather(group.rank)

    meeting, network = meet(monkeypatch, size)
    by_mpi = values(meeting.run(act))
    monkeypatch.delenv("ENGINE_GROUPS")
    by_lines = values(Meeting(size).run(act))
    for (total, mean, sent, gathered), (other, other_mean, other_sent, other_gathered) in zip(
        by_mpi, by_lines, strict=True
    ):
        np.testing.assert_array_equal(total["large"], other["large"])
        np.testing.assert_array_equal(total["whole"], other["whole"])
        assert (total["whole"].dtype, total["number"]) == (other["whole"].dtype, size)
        assert (mean is None) == (other_mean is None)
        assert mean is None or np.array_equal(mean, other_mean)
        np.testing.assert_array_equal(sent[0], other_sent[0])
        assert sent[1:] == other_sent[1:] == (b"x", "text")
        assert gathered == other_gathered
    counts = {
        call: sum(1 for called, _ in network.calls if called == call) for call in ("Iallreduce", "Ireduce", "Ibcast")
    }
    assert counts == {"Iallreduce": 2 * size, "Ireduce": size, "Ibcast": 2 * size}


def test_small_values_and_what_mpi_leaves_open_go_by_the_lines(monkeypatch):
    def act(group):
        own = np.full(LARGE, np.nan if group.rank == 0 else 1.0)
        return group.allreduce(np.ones(3))[0], group.allreduce(own, "max")[0], group.allreduce(own, lambda a, b: a)[1]

    meeting, network = meet(monkeypatch, 3)
    for small, most, _ in values(meeting.run(act)):
        assert (small, np.isnan(most)) == (3, True)
    assert {call for call, _ in network.calls} == {"Ibcast"}  # what the function of two values gave


def test_worlds_that_have_joined_do_so_once_and_those_of_a_new_engine_anew(monkeypatch):
    joined = []

    def act(group):
        group.allreduce(np.ones(LARGE))
        joined.append((group.rank, group.comm))
        return group.comm.size

    meeting, _ = meet(monkeypatch, 3)
    assert values(meeting.run(act)) == [3] * 3
    first = dict(joined)
    joined.clear()
    for program, request in zip(meeting.programs, meeting.requests, strict=True):
        program.hold(request)
    meeting.peers = [p.hold(r) for p, r in zip(meeting.programs, meeting.requests, strict=True)]
    values(meeting.run(act))
    assert dict(joined) == first
    joined.clear()
    meeting.programs[1].World.joined.clear()  # as with an engine that has forgotten: all join anew
    meeting.peers = [p.hold(r) for p, r in zip(meeting.programs, meeting.requests, strict=True)]
    values(meeting.run(act))
    assert all(comm is not first[rank] for rank, comm in joined)


def test_members_of_different_shapes_are_told_before_mpi_is_called(monkeypatch):
    meeting, network = meet(monkeypatch, 3)
    outcomes = meeting.run(lambda group: group.allreduce(np.ones(LARGE + group.rank)))
    assert {kind for kind, _ in outcomes} == {"lost"}
    assert network.calls == []


@pytest.mark.parametrize("rank", [0, 2, 4])
def test_who_is_lost_while_the_others_are_in_mpi_is_named_to_all(monkeypatch, rank):
    meeting, network = meet(monkeypatch, 5)

    def act(group):
        comm = group.comm
        if group.rank == rank:
            comm.Iallreduce = lambda *_: network.wait_for_call() and 1 / 0
        group.allreduce(np.ones(LARGE))

    outcomes = meeting.run(act)
    assert isinstance(outcomes.pop(rank)[1], ZeroDivisionError)
    assert outcomes == [("lost", (rank, "raised ZeroDivisionError: division by zero"))] * 4
    others = [program.World for place, program in enumerate(meeting.programs) if place != rank]
    # A request that never ends must not be cleared away, and its communicator is no other group's.
    assert all(not world.joined for world in others if world.left)
    assert any(world.left for world in others)


def test_an_error_of_mpi_itself_waits_for_the_word_who_was_lost(monkeypatch):
    meeting, _ = meet(monkeypatch, 2)
    for program in meeting.programs:
        monkeypatch.setattr(program, "LATER_S", 0.5)
    is_told = threading.Event()

    class Failing:
        def Test(self):  # noqa: N802  mpi4py calls it so
            is_told.set()
            raise MpiError("the other end is gone")

    def act(group):
        comm = group.comm
        if group.rank == 0:
            assert is_told.wait(10)
            raise ZeroDivisionError
        comm.Iallreduce = lambda *_: Failing()
        group._agree = lambda total: total.arrays
        group.allreduce(np.ones(LARGE))

    assert meeting.run(act)[1] == ("lost", (0, "raised ZeroDivisionError: "))


def test_a_world_is_told_a_name_that_no_other_has():
    first, second = load(), load()
    assert first.World.name != second.World.name
    here, there = socket.socketpair()
    helper = threading.Thread(target=first._help, args=(there,))
    helper.start()
    answers = []
    with here, here.makefile("r") as lines:
        for asked in ("cmd=init pmi_version=1", "cmd=get_my_kvsname", "cmd=get kvsname=a key=b", "cmd=strange"):
            here.sendall(f"{asked}\n".encode())
            answers.append(lines.readline().strip())
        here.shutdown(socket.SHUT_RDWR)
    helper.join(10)
    assert not helper.is_alive()
    assert answers[0].startswith("cmd=response_to_init")
    assert answers[1:] == [
        f"cmd=my_kvsname kvsname=clusterctl_{first.World.name} rc=0",
        "cmd=get_result rc=-1 msg=unknown value=unknown",
        "cmd=unknown rc=-1",
    ]


def test_halves_bring_each_member_to_all_others():
    program = load()
    for size in range(2, 20):
        have = [{rank} for rank in range(size)]
        steps = {rank: list(program.halves(rank, size)) for rank in range(size)}
        for pair in sorted({pair for pairs in steps.values() for pair in pairs}, key=lambda pair: pair[1] - pair[0]):
            taking = [rank for rank in range(size) if pair in steps[rank]]
            assert set(taking) == have[pair[0]] | have[pair[1]]
            for rank in taking:
                have[rank] = set(taking)
        assert all(known == set(range(size)) for known in have)


def test_an_engine_without_mpi_says_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(ImportError, match="`clusterctl start` installs what the plugin mpi needs"):
        load().start_mpi("127.0.0.1")
