"""A client that is far away: all of its connection goes a way of 80 ms there and back, at 20 Mbit/s."""

from __future__ import annotations

import signal

import pytest

from ..support.far_way import ROUND_TRIP_S, far_tunnel
from ..support.scripts import user_scripts

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def far(new_laptop):
    laptop = new_laptop(more={"CLUSTERCTL_TUNNEL": "always"})
    laptop.run("start", "-s", "2", "--set", "ipcluster.engines_per_node=2", "far")
    with far_tunnel(laptop.folder("far")):
        yield laptop


@pytest.fixture
def begin(far, tmp_path):
    with user_scripts(tmp_path) as begin_script:
        yield lambda text: begin_script(text, far.env)


def test_maps_exceptions_iterators_and_cancelling_work_from_there(begin, far, poll):
    process = begin("""
        import itertools
        import signal
        import time
        import clusterctl
        from concurrent.futures import CancelledError

        class OwnError(Exception):
            pass

        def wait(number):
            time.sleep(0.01)
            return number

        def fail(number):
            if number == 70:
                raise OwnError(number)
            return number

        signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started this may have it ignored
        client = clusterctl.connect()
        pool = client.pool()
        began = time.monotonic()
        print(pool.apply(abs, (-1,)))
        print(time.monotonic() - began)
        print(pool.map(wait, range(1000)) == list(range(1000)))
        print(list(itertools.islice(pool.imap(wait, itertools.count()), 300)) == list(range(300)))
        try:
            pool.map(fail, range(100))
        except OwnError as error:
            print(error.args)
        result = pool.map_async(time.sleep, [600] * 100)
        result.cancel()
        try:
            result.get()
        except CancelledError:
            print("cancelled", pool.map(abs, [-1]))
        print("begins", flush=True)
        try:
            pool.map(time.sleep, [600] * 100)
        except KeyboardInterrupt:
            print("interrupted", client[:].apply_async(abs, -1).get(timeout=30), flush=True)
        client.close()
    """)
    said = [process.stdout.readline().strip() for _ in range(7)]
    assert said[0] == "1"
    assert float(said[1]) >= ROUND_TRIP_S
    assert said[2:] == ["True", "True", "(70,)", "cancelled [1]", "begins"]
    with far.console() as console:
        console.run("import clusterctl; client = clusterctl.connect()")
        queued = "sum(q['queue'] for n, q in client.queue_status().items() if n != 'unassigned')"
        poll(lambda: console.value(queued), "all work")
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[0] == "interrupted [1, 1, 1, 1]\n"
