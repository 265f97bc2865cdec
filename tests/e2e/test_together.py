"""Engines of a real cluster that work together, and what happens when one of them is lost."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e
LOST = """
    import os, signal, threading, time
    import clusterctl
    from clusterctl.compute.together.meeting import MemberLostError

    client = clusterctl.connect(wait=6)
    ids = client.ids

    def lose(group, number):
        group.barrier()
        if group.rank == 4:
            os.kill(os.getpid(), number)
        try:
            for _ in range(1000):
                group.allreduce([1.0] * 100)
        except group.MemberLostError as error:
            print(error.rank)
            raise
"""


@pytest.mark.slow
def test_the_page_about_them_says_what_happens(script):
    page = (Path(__file__).parents[2] / "docs" / "howto" / "allreduce.md").read_text()
    code = "".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    said = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    printed = re.search(r"```py\n(.*?)```", page, re.DOTALL)[1].splitlines()
    lines = script(code).splitlines()
    assert [line for line in lines if line not in printed] == "".join(said).splitlines()
    assert printed[-1] in lines
    # What engines print comes when it comes.
    assert set(lines) & set(printed[:-1]) <= set(printed)


@pytest.mark.slow
def test_a_member_that_is_killed_is_named_to_all_and_comes_back(script):
    said = script(f"""{LOST}
    try:
        client.together(lose, signal.SIGKILL)
    except MemberLostError as error:
        print("lost", error.rank, error.engine == ids[4])
    client.wait_for_engines(6, timeout=30)
    print(client.allreduce(lambda: 1))
    client.close()
    """)
    lines = [line for line in said.splitlines() if not line.startswith("[stdout")]
    assert lines == ["lost 4 True", "6"]
    assert {line.rpartition(" ")[2] for line in said.splitlines() if line.startswith("[stdout")} <= {"4"}


@pytest.mark.slow
def test_a_member_that_is_frozen_is_named_to_all_and_comes_back(script):
    said = script(f"""{LOST}
    try:
        client.together(lose, signal.SIGSTOP, silence_s=2)
    except MemberLostError as error:
        print("lost", error.rank)
    until = time.monotonic() + 40
    while time.monotonic() < until:
        try:
            if client.allreduce(lambda: 1, wait_s=5) == 6:
                print("all are back")
                break
        except clusterctl.errors.ClusterctlError:
            pass
    client.close()
    """)
    assert [line for line in said.splitlines() if not line.startswith("[stdout")] == ["lost 4", "all are back"]


@pytest.mark.slow
def test_ctrl_c_frees_all_engines(script, poll, tmp_path):
    mark = tmp_path / "mark"
    process = script.begin(f"""
        import time
        import clusterctl

        client = clusterctl.connect(wait=6)

        def wait(group):
            group.barrier()
            if group.rank == 1:
                open({str(mark)!r}, "w").close()
                time.sleep(600)
            group.barrier()

        try:
            client.together(wait)
        except KeyboardInterrupt:
            print("interrupted")
        print(client.allreduce(lambda: 1))
        client.close()
    """)
    poll(mark.exists, "the members are at it", process=process)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert said.splitlines() == ["interrupted", "6"]


@pytest.mark.slow
def test_groups_that_want_the_same_engines_have_them_in_turn(script):
    """Of one client in several threads, and of several clients; among maps."""
    assert script("""
        import threading
        from concurrent.futures import ThreadPoolExecutor
        import clusterctl

        clients = [clusterctl.connect(wait=6) for _ in range(2)]

        def add(group, number):
            return group.allreduce(number)

        def begin(turn):
            client = clients[turn % 2]
            engines = [client.ids, client.ids[:3], client.ids[3:], client.ids[::-1]][turn % 4]
            values = client.together(add, turn, engines=engines)
            return set(values) == {turn * len(engines)} and client.map(abs, [-turn]) == [turn]

        with ThreadPoolExecutor(4) as threads:
            print(all(threads.map(begin, range(12))))
        for client in clients:
            client.close()
    """).splitlines() == ["True"]


@pytest.mark.slow
def test_engines_at_other_work_are_named_and_what_takes_too_long_ends(script):
    said = script("""
        import time
        import clusterctl

        client = clusterctl.connect(wait=6)
        with client.pool() as pool:
            at_work = pool.apply_async(time.sleep, (600,))
            while not any(load["queue"] for engine, load in client.queue_status().items() if engine != "unassigned"):
                pass
            try:
                client.allreduce(lambda: 1, wait_s=1)
            except clusterctl.errors.ClusterctlError as error:
                print(type(error).__name__, str(error).count(","))
            at_work.cancel()
        try:
            client.together(lambda group: time.sleep(600), timeout_s=0.5)
        except TimeoutError as error:
            print(error)
        print(client.allreduce(lambda: 1))
        client.close()
    """)
    assert said.splitlines() == [
        "EnginesBusyError 0",
        "the group was not done in time; engines 0, 1, 2, 3, 4, 5 were still at it",
        "6",
    ]
