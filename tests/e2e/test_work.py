"""What tasks may do and take, on the engines of a real cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e


@pytest.mark.slow
def test_an_item_that_takes_too_long_fails_alone_and_leaves_its_engine_well(script):
    assert script("""
        import time
        import clusterctl

        def wait(seconds):
            time.sleep(seconds)
            return seconds

        client = clusterctl.connect()
        print(client.map(wait, [0, 600, 0], timeout_s=0.3, on_error="return"))
        try:
            client.map(wait, [600], timeout_s=0.3)
        except TimeoutError as error:
            print(error)
        result = client.pool().map_async(abs, range(10))
        print(sum(result.get()), result.report.lost_engines)
        client.close()
    """).splitlines() == [
        "[0, TimeoutError('item 1 took longer than 0.3 s'), 0]",
        "item 0 took longer than 0.3 s",
        "45 set()",
    ]


@pytest.mark.slow
def test_c_code_that_takes_too_long_costs_its_engine_and_no_other_item(script):
    assert script("""
        import clusterctl

        def count(numbers):
            return sum(range(numbers))  # in C, without a look at signals

        client = clusterctl.connect()
        sizes = [10**15 if number == 3 else number for number in range(20)]
        values = client.map(count, sizes, timeout_s=1, on_error="return")
        print([place for place, value in enumerate(values) if value != sum(range(place))], repr(values[3]))
        print(client.map(abs, range(-50, 0)) == list(range(50, 0, -1)))
        client.close()
    """).splitlines() == [
        "[3] TimeoutError('item 3 took longer than 1 s, in C code: its engine was ended, and its log says where')",
        "True",
    ]


@pytest.mark.slow
def test_a_task_that_asks_for_input_or_whose_program_does_has_none_and_goes_on(script):
    assert script("""
        import clusterctl

        def ask(item):
            return input()

        def call(item):
            import subprocess
            return subprocess.run(["cat"], capture_output=True).stdout

        client = clusterctl.connect()
        print(client.map(ask, [1], on_error="return"), client.map(call, [1]))
        client.close()
    """).splitlines() == ["[EOFError('EOF when reading a line')] [b'']"]


@pytest.mark.slow
def test_a_copy_of_a_python_has_an_error_and_the_python_itself_its_values(script):
    assert script("""
        import os
        import clusterctl

        client = clusterctl.connect()
        client.map(abs, [-1])
        if not os.fork():
            for ask in (lambda: client.map(abs, [-1]), lambda: client[:].apply_sync(abs, -1), client.queue_status):
                try:
                    print(ask())
                except Exception as error:
                    print(type(error).__name__, str(error).count("of which this one is a copy"), flush=True)
            os._exit(0)
        os.wait()
        print(client.map(abs, [-1]), client[0].apply_sync(abs, -2))
        client.close()
    """).splitlines() == ["NoEnginesError 1"] * 3 + ["[1] 2"]


@pytest.mark.slow
def test_a_client_that_is_closed_in_the_middle_ends_each_of_its_maps_and_frees_the_engines(script):
    assert script("""
        import time
        import clusterctl

        client = clusterctl.connect()
        client.map(abs, range(100))
        results = [client.pool().map_async(time.sleep, [600] * 20) for _ in range(2)]
        while not any(counts["queue"] for number, counts in client.queue_status().items() if number != "unassigned"):
            pass
        client.close()
        for result in results:
            try:
                result.get(20)
            except Exception as error:
                print(error)
        with clusterctl.connect() as other:
            print(set(other[:].apply_async(abs, -1).get(20)))
    """).splitlines() == ["the client was closed"] * 2 + ["{1}"]


@pytest.mark.slow
def test_what_has_ended_an_engine_is_told_with_its_line(script):
    signal, line = script("""
        import os
        import clusterctl

        def die(item):
            os.abort()

        client = clusterctl.connect()
        (error,) = client.map(die, [1], max_crashes=1, on_error="return")
        print(*str(error).split("; ")[:2], sep="\\n")
        client.close()
    """).splitlines()
    assert signal == "item 0 has ended 1 engine: Fatal Python error: Aborted"
    assert line.startswith("File ")
    assert line.endswith(" in die")


def test_a_map_in_a_map_has_its_values_says_so_once_and_can_be_cancelled(script):
    root = Path(__file__).parents[2]
    said = script(f"""
        import os
        import warnings
        from collections import Counter
        import clusterctl

        client = clusterctl.connect()
        client[:].execute("import sys; sys.path.append({str(root)!r})", block=True)  # for an engine without clusterctl

        def square(number):
            return number * number

        def by_client(number):
            return sum(client.map(square, range(number)))

        def by_pool(number):
            with clusterctl.Pool(2) as pool:
                return sum(pool.imap(square, range(number)))

        def by_executor(number):
            return sum(client.executor().map(square, range(number)))

        def by_whom(number):
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                client.map(square, [number])
            return [os.getpid()] * len(said)

        told = Counter(engine for engines in client.map(by_whom, range(100)) for engine in engines)
        print({{*told.values()}})
        for act in (by_client, by_pool, by_executor):
            print(client.map(act, range(5)))
        with client.pool() as pool:
            result = pool.map_async(by_pool, [10**9] * 100)
            while not any(load["queue"] for engine, load in client.queue_status().items() if engine != "unassigned"):
                pass
            result.cancel()
            print(pool.map(square, [3]))
        client.close()
    """)
    assert said.splitlines() == ["{1}", *["[0, 0, 1, 5, 14]"] * 3, "[9]"]


def test_what_is_too_large_is_an_error_of_its_item_and_costs_no_engine(script):
    assert script("""
        import clusterctl

        client = clusterctl.connect()
        result = client.pool().map_async(bytes, [1, 300 * 2**20, 2], on_error="return")
        print([type(value).__name__ for value in result.get()], result.report.lost_engines)
        table = bytes(300 * 2**20)
        for act, items in ((lambda place: table[place], [1]), (len, [table])):
            try:
                client.map(act, items)
            except Exception as error:
                print(type(error).__name__)
        print(client.map(abs, [-1]))
        client.close()
    """).splitlines() == ["['bytes', 'TooLargeError', 'bytes'] set()", "TooLargeError", "TooLargeError", "[1]"]


def test_what_tasks_print_is_shown_where_the_map_was_begun(script):
    said = script("""
        import io, sys, time
        import clusterctl

        shown, sys.stdout = sys.stdout, io.StringIO()
        client = clusterctl.connect()
        client.map(print, ["hello"] * 3)
        client.map(print, ["never"], prints=False)
        until = time.monotonic() + 20
        while sys.stdout.getvalue().count("hello") < 3 and time.monotonic() < until:
            client.map(abs, [1])
        shown.write(sys.stdout.getvalue())
        client.close()
    """)
    lines = said.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("[stdout:") and line.endswith("] hello") for line in lines)
