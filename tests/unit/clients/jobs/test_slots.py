"""The cores of a node, and the line of those who wait for them."""

from __future__ import annotations

import os
import threading

import pytest

from clusterctl.clients.jobs.slots import Ticket
from clusterctl.laptop import locks


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "slots" / "master"


def never():
    return False


def release(held):
    for file in held:
        file.close()


def test_cores_are_taken_and_free_again(folder):
    first = Ticket.take(folder, "aaaa").wait(2, 2, never)
    assert len(first) == 2
    second = Ticket.take(folder, "bbbb")
    looks = iter([False, False, True])
    assert second.wait(1, 2, lambda: next(looks)) is None
    release(first)
    third = Ticket.take(folder, "cccc").wait(1, 2, never)
    assert len(third) == 1
    release(third)


def test_the_line_is_kept_though_a_later_one_would_fit(folder):
    one = Ticket.take(folder, "aaaa").wait(1, 2, never)
    large, small = Ticket.take(folder, "bbbb"), Ticket.take(folder, "cccc")
    order = []

    def wait(ticket, cores, name):
        held = ticket.wait(cores, 2, never)
        order.append(name)
        release(held)

    threads = [threading.Thread(target=wait, args=about) for about in ((small, 1, "small"), (large, 2, "large"))]
    for thread in threads:
        thread.start()
    release(one)
    for thread in threads:
        thread.join(10)
    assert order == ["large", "small"]


def test_who_was_killed_in_the_line_holds_nobody_up(folder):
    dead, alive = Ticket.take(folder, "aaaa"), Ticket.take(folder, "bbbb")
    dead.close()  # as the end of its process does
    held = alive.wait(1, 1, never)
    assert len(held) == 1
    release(held)
    assert list((folder / "tickets").iterdir()) == []


def test_numbers_grow_though_all_have_left(folder):
    first = Ticket.take(folder, "aaaa")
    first.leave()
    second = Ticket.take(folder, "bbbb")
    assert second.path.name > first.path.name
    second.leave()


def test_a_ticket_is_inherited_locked(folder):
    ticket = Ticket.take(folder, "aaaa")
    heir = Ticket.inherit(ticket.path, os.dup(ticket.descriptor))
    ticket.close()
    with heir.path.open() as file:
        assert locks.is_locked(file)
    heir.leave()
