"""Members that raise, return early, differ or are strangers: all others get an error that names them."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
import zmq

from ....support.members import DEADLINE_S, Meeting, together

pytestmark = pytest.mark.usefixtures("allow_loopback")


def lost(outcomes, rank):
    """What the others say of a member."""
    others = [outcome for place, outcome in enumerate(outcomes) if place != rank]
    assert {kind for kind, _ in others} == {"lost"}, outcomes
    assert {named for _, (named, _) in others} == {rank}
    (why,) = {why for _, (_, why) in others}
    return why


@pytest.mark.parametrize("rank", [0, 2, 5])
def test_a_member_that_raises_is_named_to_all(rank):
    def act(group):
        group.barrier()
        if group.rank == rank:
            raise ZeroDivisionError("mine")
        return group.allreduce(np.ones(300_000))

    outcomes = Meeting(6).run(act)
    assert lost(outcomes, rank) == "raised ZeroDivisionError: mine"
    assert outcomes[rank][0] == "raised"
    assert isinstance(outcomes[rank][1], ZeroDivisionError)


@pytest.mark.parametrize("rank", [0, 1, 4])
def test_a_member_that_returns_before_the_others_is_named(rank):
    outcomes = Meeting(5).run(lambda group: "early" if group.rank == rank else group.allreduce(1))
    assert lost(outcomes, rank) == "has returned, and others still call"
    assert outcomes[rank] == ("value", "early")


def test_members_that_return_at_once_take_nothing_from_the_others():
    def act(group):
        return group.broadcast(np.ones(10**6) if group.rank == 0 else None).sum()

    assert together(6, act) == [10**6] * 6


@pytest.mark.parametrize(
    ("theirs", "ours", "words"),
    [
        (lambda group: group.allreduce(np.ones(3)), lambda group: group.allreduce(np.ones(2)), "shape"),
        (lambda group: group.allreduce(np.ones(2, "f4")), lambda group: group.allreduce(np.ones(2)), "shape"),
        (lambda group: group.allreduce([1, 2]), lambda group: group.allreduce([1]), "shape"),
        (lambda group: group.allreduce(1, "max"), lambda group: group.allreduce(1), "what 'max', and here 'sum'"),
        (lambda group: group.gather(1), lambda group: group.allreduce(1), "call 'gather', and here 'sum up'"),
    ],
)
def test_a_member_that_does_something_else_is_named(theirs, ours, words):
    outcomes = Meeting(4).run(lambda group: (theirs if group.rank == 3 else ours)(group))
    said = {outcome for outcome in outcomes if outcome[0] == "lost"}
    ((_, (rank, why)),) = said
    assert rank in {1, 3}, "the member itself, or the one that it found different"
    assert words in why


def test_a_member_that_sends_other_bytes_than_it_said_is_named():
    def act(group):
        if group.rank == 3:  # as `_sum_up` does, but for the bytes
            head = group._begin("sum up", "sum", json.dumps(["array", "<f8", [4]]))
            line = group._above
            line.send(b"H", json.dumps(head).encode(), b"[]")
            line.send(b"P", bytes(31))
            group.barrier()
        return group.allreduce(np.ones(4))

    assert "31 bytes came where 32 were said" in lost(Meeting(4).run(act), 3)


@pytest.mark.parametrize("messages", [[b"P", b""], [b"H"], [b"H", b"{", b"[]"], [b"F"], [b"F", b"[1"], [b"X"], [b""]])
def test_a_member_that_sends_no_message_of_a_group_is_named(messages):
    def act(group):
        if group.rank == 1:
            group._above.send(*messages)
            group.gather(1)
        return group.allreduce(1)

    assert lost(Meeting(3).run(act), 1)


def test_a_member_that_knows_of_a_loss_makes_no_call_any_more():
    def act(group):
        if group.rank == 1:
            raise ValueError
        for _ in range(2):
            try:
                group.allreduce(1)
            except group.MemberLostError as error:
                said = error.rank, str(error)
        return said

    outcomes = Meeting(3).run(act)
    assert outcomes[2] == ("value", (1, "member 1 of the group raised ValueError: "))


def test_a_member_that_does_not_connect_is_named():
    meeting = Meeting(3)
    for request in meeting.requests:
        request["connect_s"] = 0.2
    meeting.programs[2].run_member = lambda *_: ("value", "was never there")
    outcomes = meeting.run(lambda group: group.allreduce(1))
    meeting.programs[2].let_go(meeting.requests[2])
    assert outcomes[0][0] == "lost"
    assert outcomes[0][1] == (2, "did not connect within 0 s: its engine may be at other work")


def test_a_stranger_at_the_port_is_not_let_in_and_disturbs_nobody():
    meeting = Meeting(3)
    port, key = meeting.peers[0]["ports"][1], meeting.peers[0]["key"]
    context, heard = zmq.Context(), threading.Event()

    def knock(*, curve):
        stranger = context.socket(zmq.PAIR)
        stranger.linger = 0
        if curve:
            stranger.curve_publickey, stranger.curve_secretkey = zmq.curve_keypair()
            stranger.curve_serverkey = key.encode()
        stranger.connect(f"tcp://127.0.0.1:{port}")
        stranger.send_multipart([b"F", b'[2, "a lie"]'])
        return stranger

    strangers = [knock(curve=True), knock(curve=False)]
    try:

        def act(group):
            values = [group.allreduce(group.rank)]
            if group.rank == 0:
                strangers.append(knock(curve=True))
                strangers.pop(0).close()
                heard.set()
            assert heard.wait(DEADLINE_S)
            return [*values, *(group.allreduce(np.full(200_000, group.rank))[0] for _ in range(5))]

        assert meeting.run(act) == [("value", [3, *[3] * 5])] * 3
    finally:
        context.destroy(linger=0)


def test_an_engine_that_is_held_for_one_group_is_not_held_for_another():
    meeting = Meeting(1)
    (program,), (request,) = meeting.programs, meeting.requests
    other = {**request, "group": "other"}
    assert program.hold(other) == {}
    program.let_go(other)
    assert program.hold(other) == {}
    program.let_go(request)
    assert program.hold({**other, "held_s": 0.0})["key"]
    assert program.hold({**request, "group": "a third one"})["key"], "the client of the other one did not come back"
    assert program.hold(other) == {}
    program.let_go({"group": "a third one"})
    assert program.hold(other)["key"]
    assert meeting.run(lambda group: 1) == [("lost", (0, "was held for this group no more: too much time had passed"))]
    program.let_go(other)
