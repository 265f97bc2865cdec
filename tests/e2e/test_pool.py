"""Maps over the engines of a cluster, as a user types them, and on bad days."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path

import pytest

from .. import pool_chaos
from ..support.sampling import rest

pytestmark = pytest.mark.e2e


def test_the_talks_lines(script):
    assert script("""
        from clusterctl import DistributedPool, Pool

        def square(number):
            return number * number

        with Pool(4) as pool:
            print(pool.map(type, [1, 2., '3']))
            print(pool.map_async(square, range(5)).get())
        pool = DistributedPool(n=5)
        print(sum(pool.map(square, range(100))))
        pool.close()
    """).splitlines() == ["[<class 'int'>, <class 'float'>, <class 'str'>]", "[0, 1, 4, 9, 16]", "328350"]


def test_what_the_first_call_says_is_heard_although_the_line_for_it_came_late(script, laptop, cluster, tmp_path):
    assert (
        script(f"""
        import json, socket, threading
        from pathlib import Path
        import clusterctl

        there = json.loads(Path({str(laptop.folder(cluster.name) / "client.json")!r}).read_text())
        gate, late = socket.create_server(("127.0.0.1", 0)), threading.Event()

        def carry(source, target):
            while data := source.recv(65536):
                target.sendall(data)

        def let_in():
            ours, _ = gate.accept()
            late.wait()
            theirs = socket.create_connection(("127.0.0.1", there["iopub"]))
            threading.Thread(target=carry, args=(theirs, ours), daemon=True).start()
            carry(ours, theirs)

        threading.Thread(target=let_in, daemon=True).start()
        threading.Timer(0.5, late.set).start()
        file = Path({str(tmp_path / "late.json")!r})
        file.write_text(json.dumps({{**there, "iopub": gate.getsockname()[1]}}))
        client = clusterctl.connect(file)
        client[0].execute("print('heard')", block=True).display_outputs()
    """)
        .strip()
        .endswith("heard")
    )


def test_own_modules_travel_and_their_classes_come_back_as_themselves(script, tmp_path):
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").write_text("from .shapes import Circle\n")
    (package / "shapes.py").write_text(
        "from dataclasses import dataclass\nfrom . import numbers\n\n@dataclass\nclass Circle:\n    r: float\n\n"
        "def grow(circle):\n    return Circle(circle.r * numbers.FACTOR)\n"
    )
    (package / "numbers.py").write_text("FACTOR = 3\n")
    assert (
        script("""
        import clusterctl
        from mine.shapes import Circle, grow
        client = clusterctl.connect()
        circles = client.map(grow, [Circle(1), Circle(2)])
        print(circles, all(type(circle) is Circle for circle in circles))
        client.close()
    """)
        == "[Circle(r=3), Circle(r=6)] True\n"
    )


def test_a_client_starts_without_what_reaches_nodes_or_checks_settings(script):
    assert script("""
        import sys
        import clusterctl

        client = clusterctl.connect()
        print(client.map(abs, [-1]))
        heavy = {"pydantic", "paramiko", "boto3", "joblib", "sklearn", "clusterctl.operations", "clusterctl.cli"}
        print(sorted(heavy & set(sys.modules)))
        client.close()
    """).splitlines() == ["[1]", "[]"]


def test_an_executor_serves_asyncio_and_cancels(script):
    assert script("""
        import asyncio
        import time
        import clusterctl

        client = clusterctl.connect()

        async def main(executor):
            loop = asyncio.get_running_loop()
            calls = [loop.run_in_executor(executor, pow, 2, number) for number in range(5)]
            print(await asyncio.gather(*calls))

        with client.executor() as executor:
            asyncio.run(main(executor))
            print(list(executor.map(divmod, [7, 9], [2, 4])))
            long = executor.submit(time.sleep, 600)
            print(long.cancel(), long.cancelled())
            print(executor.submit(divmod, 1, 0).exception())
        client.close()
    """).splitlines() == ["[1, 2, 4, 8, 16]", "[(3, 1), (2, 1)]", "True True", "integer division or modulo by zero"]


@pytest.mark.parametrize("end", ["values.get()", *rest("client.close()", "", "raise SystemExit(values.get()[0])")])
def test_nothing_waits_any_more_once_a_python_has_ended(script, poll, end):
    home = script(f"""
        import os
        import threading
        import time
        from pathlib import Path
        import clusterctl

        client = clusterctl.connect()
        home = Path(client[0].apply_sync(os.path.expanduser, "~"))
        values = client.pool().map_async(time.sleep, [0.4] * 24)
        for _ in range(200):
            if list(home.glob(f".clusterctl/demand/client-{{client.session.session}}.json")):
                print(home)
                break
            threading.Event().wait(0.05)
        {end}
    """).strip()
    assert home, "it told nothing"
    left = Path(home) / ".clusterctl" / "demand"
    poll(lambda: not list(left.glob("client-*.json")), "the demand of a client that is gone")


@pytest.mark.slow
def test_status_shows_what_waits_with_a_map(script, laptop, cluster, poll):
    process = script.begin("""
        import time
        import clusterctl

        clusterctl.connect().map(time.sleep, [0.2] * 10_000)
    """)
    maps = poll(
        lambda: (found := laptop.json("status", "--json", cluster.name)["maps"])["items_per_s"] and found, "a rate"
    )
    process.kill()
    assert maps["clients"] == 1
    assert 5000 < maps["left"] < 10_000
    assert 5 < maps["items_per_s"] < 60
    laptop.run("cancel", cluster.name)


def test_ctrl_c_frees_the_engines(script, client, poll):
    process = script.begin("""
        import signal
        import time
        import clusterctl

        signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started this may have it ignored
        client = clusterctl.connect()
        print("begins", flush=True)
        try:
            client.map(time.sleep, [600] * 100)
        except KeyboardInterrupt:
            print("interrupted", client.map(abs, [-1]), flush=True)
        client.close()
    """)
    assert process.stdout.readline() == "begins\n"
    poll(
        lambda: client.value("sum(q['queue'] for n, q in client.queue_status().items() if n != 'unassigned')"),
        "all work",
    )
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[0] == "interrupted [1]\n"
    assert client.value("client[:].apply_async(abs, -1).get(timeout=10)") == [1] * 6


@pytest.mark.slow
def test_a_program_that_ends_in_a_map_leaves_free_engines(script, client, poll):
    queued = "sum(q['queue'] for n, q in client.queue_status().items() if n != 'unassigned')"
    process = script.begin("""
        import signal
        import sys
        import time
        import clusterctl

        client = clusterctl.connect()
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        result = client.pool().map_async(time.sleep, [600] * 100)
        signal.pause()
    """)
    poll(lambda: client.value(queued) > 0, "engines have something to do", process=process)
    process.terminate()
    assert process.wait(30) == 0
    poll(lambda: client.value(queued) == 0, "they are free")


def test_a_map_leaves_nothing_in_the_records_of_its_client(script):
    assert (
        script("""
        import time
        import clusterctl

        client = clusterctl.connect()
        own = client[0].apply_async(abs, -1)
        own.get()
        assert len(list(client.pool().imap(abs, range(2000), buffersize=10))) == 2000
        deadline = time.monotonic() + 30
        while (client.results or client.outstanding) and time.monotonic() < deadline:
            time.sleep(0.01)
        print(client.history == own.msg_ids, dict(client.results), client.outstanding)
        client.close()
    """)
        == "True {} set()\n"
    )


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_whatever_is_killed_each_item_is_there_and_none_is_done_twice_unnamed(new_laptop, monkeypatch):
    laptop = new_laptop()
    laptop.run("start", "-s", "2", "--set", "ipcluster.engines_per_node=2", pool_chaos.NAME)
    monkeypatch.setenv("CLUSTERCTL_HOME", str(laptop.home))
    outcome = pool_chaos.run(laptop.home, 5000, seed=20)
    assert outcome.is_well, outcome
    assert outcome.killed


@pytest.mark.slow
def test_the_page_about_work_says_what_happens(script):
    page = (Path(__file__).parents[2] / "docs" / "howto" / "work.md").read_text()
    code, said = ("".join(re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL)) for kind in ("python", "text"))
    assert script(code) == said


def test_a_function_of_another_python_is_an_error_and_ends_no_engine(client, engine_pids):
    """3.13 made these instructions of ``def work(n): return sum(i * i for i in range(n))``; those of 3.12 for 3.13."""
    made = (
        "95005b01000000000000000053011a005b0300000000000000005500350100000000000013003500000000000000350100000000"
        "00002400"
        if sys.version_info[:2] != (3, 13)
        else "97007401000000000000000064018400740300000000000000007c00ab010000000000004400ab00000000000000ab010000"
        "000000005300"
    )
    before = engine_pids()
    client.run(
        "import types\n"
        "def work(n): return sum(i * i for i in range(n))\n"
        f"code = work.__code__.replace(co_code=bytes.fromhex({made!r}))\n"
        "other = types.FunctionType(code, {})\n"
        "def said():\n"
        "    try: return client[0].apply_async(other, 5).get(timeout=30)\n"
        "    except Exception as error: return str(error)"
    )
    if sys.version_info >= (3, 11):
        assert "compiled by another Python than this engine's" in client.value("said()")
        assert engine_pids() == before
