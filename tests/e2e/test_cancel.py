"""What engines do, and what waits there, ends when somebody cancels it: with an error for whoever gave it."""

from __future__ import annotations

import json
import signal
import textwrap

import pytest

from ..support.scripts import user_scripts

pytestmark = pytest.mark.e2e

CLIENT = """
    import ipyparallel, json
    client = ipyparallel.Client({file!r}, timeout=60)

    def busy(number):
        import time
        until = time.monotonic() + 100
        while time.monotonic() < until:
            time.sleep(0.01)

    def deaf(number):
        import ctypes
        for _ in range(100):
            try:
                ctypes.CDLL(None).sleep(100)
            except KeyboardInterrupt:
                pass

    def end_of(result):
        try:
            return ["a value", result.get(60)]
        except ipyparallel.error.CompositeError as error:
            return sorted({{name for name, *_ in error.elist}})
"""


class Script:
    """A Python of a user's with a client, that says what became of its work."""

    def __init__(self, process):
        self.process = process

    def next_line(self):
        return self.process.stdout.readline().strip()

    def rest(self):
        said, _ = self.process.communicate(timeout=90)
        assert self.process.returncode == 0
        return said.splitlines()


@pytest.fixture
def begin(laptop, cluster, tmp_path):
    """Begins a script; it is ended with the test."""
    file = laptop.folder(cluster.name) / "client.json"
    head = textwrap.dedent(CLIENT).format(file=str(file))
    with user_scripts(tmp_path) as begin_script:
        yield lambda text: Script(begin_script(head + textwrap.dedent(text), laptop.env))


@pytest.fixture
def work(laptop, cluster, poll):
    """Tells what runs and waits, once it is as it is expected to be."""

    def listed(is_as_expected):
        def look():
            found = laptop.json("cancel", "--list", "--json", cluster.name)
            return found if is_as_expected(found) else None

        return poll(look, "the work is as expected", deadline_s=60)

    return listed


MANY = """
    direct = client[:].apply_async(busy, 0)
    behind = client[:].apply_async(busy, 0)
    code = client[:].execute("import time; time.sleep(100)")
    tasks = client.load_balanced_view().map_async(busy, range(20), chunksize=1)
    again = client.load_balanced_view(retries=3).apply_async(busy, 0)
    print(client.session.session, flush=True)
    ends = [end_of(result) for result in (direct, behind, code, tasks)]
    try:
        again.get(60)
    except ipyparallel.RemoteError as error:
        ends.append(error.ename)
    print(json.dumps([*ends, client[:].apply_sync(int, "7") == [7] * len(client)]))
"""


def test_everything_ends_with_an_error_and_the_engines_are_free(laptop, cluster, begin, work):
    user = begin(MANY)
    session = user.next_line()
    there = work(lambda there: len(there["running"]) == 6 and there["waiting"])
    assert {task["client"] for task in there["running"]} | {*there["waiting"]} == {session}
    said = laptop.run("cancel", cluster.name).stdout
    assert "6 engines interrupted" in said
    *ends, again, are_free = json.loads(user.rest()[-1])
    assert {name for names in ends for name in names} == {"KeyboardInterrupt", "TaskAborted"}
    assert ends[1:3] == [["TaskAborted"], ["TaskAborted"]]
    assert (again, are_free) == ("TaskAborted", True)
    assert "nothing runs or waits" in laptop.run("cancel", cluster.name, "--list").stdout


@pytest.mark.slow
def test_of_one_client_and_the_others_goes_on(laptop, cluster, begin, work):
    short = begin("""
        results = [client[number].apply_async(busy, 0) for number in client.ids[:2]]
        tasks = client.load_balanced_view(client.ids[:1]).map_async(busy, range(4), chunksize=1)
        print(client.session.session, flush=True)
        print(json.dumps([type(result.exception(60)).__name__ for result in results] + [end_of(tasks)]))
    """)
    session = short.next_line()
    work(lambda there: len(there["running"]) == 2)
    other = begin("""
        import time
        results = [client[number].apply_async(busy, 0) for number in client.ids[2:4]]
        print(client.session.session, flush=True)
        print(json.dumps([type(result.exception(60)).__name__ for result in results]))
    """)
    others = other.next_line()
    work(lambda there: len(there["running"]) == 4)
    assert laptop.json("cancel", cluster.name, "--client", session, "--json")["interrupted"] == [0, 1]
    one, another, ends = json.loads(short.rest()[-1])
    assert (one, another) == ("RemoteError", "RemoteError")
    assert {"TaskAborted"} <= {*ends} <= {"KeyboardInterrupt", "TaskAborted"}  # either kind may be an engine's first
    assert other.process.poll() is None
    left = work(lambda there: len(there["running"]) == 2)
    assert {task["client"] for task in left["running"]} == {others}
    assert "no client" in laptop.run("cancel", cluster.name, "--client", session, status=2).stderr
    laptop.run("cancel", cluster.name)
    other.rest()


@pytest.mark.slow
def test_a_pool_ends_and_sends_nothing_again(laptop, cluster, begin, work):
    user = begin(f"""
        import clusterctl, concurrent.futures
        client = clusterctl.connect({cluster.name!r})
        try:
            client.map(busy, range(1000))
        except concurrent.futures.CancelledError as error:
            print(error)
        print(sum(client.map(abs, range(10))))
    """)
    work(lambda there: len(there["running"]) == 6)
    laptop.run("cancel", cluster.name)
    assert user.rest() == ["somebody has cancelled what this client had given to engines", "45"]


@pytest.mark.slow
def test_what_a_killed_client_left_ends(laptop, cluster, begin, work):
    user = begin(MANY)
    user.next_line()
    work(lambda there: len(there["running"]) == 6 and there["waiting"])
    user.process.send_signal(signal.SIGKILL)
    user.process.wait()
    assert work(lambda there: len(there["running"]) == 6)["waiting"]
    laptop.run("cancel", cluster.name)
    assert work(lambda there: not there["running"])["waiting"] == {}


@pytest.mark.slow
def test_a_restart_of_the_engines_empties_the_queue(laptop, cluster, begin, work):
    user = begin("""
        tasks = client.load_balanced_view().map_async(busy, range(20), chunksize=1)
        print("sent", flush=True)
        print(json.dumps(end_of(tasks)))
    """)
    user.next_line()
    work(lambda there: len(there["running"]) == 6)
    laptop.run("runplugin", "ipclusterrestart", cluster.name)
    assert user.rest() == ['["EngineError", "TaskAborted"]']
    assert "nothing runs or waits" in laptop.run("cancel", cluster.name, "--list").stdout


@pytest.mark.slow
def test_an_engine_that_cannot_be_interrupted_is_ended_and_comes_back(laptop, cluster, begin, work):
    user = begin("""
        result = client[client.ids[0]].apply_async(deaf, 0)
        print("sent", flush=True)
        print(result.exception(60).ename)
        client.wait_for_engines(6, timeout=60)
        print(client[0].apply_sync(int, "7"))
    """)
    user.next_line()
    work(lambda there: len(there["running"]) == 1)
    cancelled = laptop.json("cancel", cluster.name, "--json")
    assert (cancelled["interrupted"], cancelled["ended"]) == ([], [0])
    assert user.rest() == ["EngineError", "7"]
