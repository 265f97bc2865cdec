"""Maps whose client is interrupted or killed, and maps on a full disk: engines are free, and the next map is right."""

from __future__ import annotations

import os
from contextlib import suppress

import pytest

from .. import pool_interrupts
from ..chaos.grounds import disk_of_its_own
from ..support.scripts import user_scripts

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]
QUEUED = "sum(q['queue'] for n, q in client.queue_status().items() if n != 'unassigned')"


def start(laptop):
    laptop.run("start", "-s", "2", "--set", "ipcluster.engines_per_node=2", pool_interrupts.NAME)
    return laptop


def test_ctrl_c_at_random_moments(new_laptop, monkeypatch):
    monkeypatch.setenv("CLUSTERCTL_HOME", str(start(new_laptop()).home))
    trials = pool_interrupts.run(8, seed=14)
    assert len({trial.kind for trial in trials}) > 3
    assert [(trial.kind, trial.faults) for trial in trials if trial.faults] == []


@pytest.fixture
def begin(tmp_path):
    """Runs a script of the user's that notes each item which has begun."""
    notes = tmp_path / "notes"
    with user_scripts(tmp_path) as begin_script:

        def begin(laptop, seconds, items):
            text = f"""
                import clusterctl

                def note(item):
                    import os
                    import time
                    file = os.open({str(notes)!r}, os.O_APPEND | os.O_WRONLY | os.O_CREAT)
                    os.write(file, b"%d\\n" % item)
                    os.close(file)
                    time.sleep({seconds})
                    return item

                client = clusterctl.connect()
                print(client.map(note, range({items})) == list(range({items})))
            """
            return begin_script(text, laptop.env)

        begin.count = lambda: len(notes.read_text().split()) if notes.exists() else 0
        yield begin


def test_a_killed_client_leaves_free_engines_after_what_they_have(new_laptop, begin, poll):
    laptop = start(new_laptop())
    with laptop.console() as console:
        console.run("import clusterctl; client = clusterctl.connect()")
        killed = begin(laptop, 0.05, 10_000)
        poll(lambda: begin.count() > 50, "the map is under way")
        killed.kill()
        killed.wait()
        poll(lambda: console.value(QUEUED) == 0, "the engines have done what they have")
        count = begin.count()
        assert count < 1000
        assert console.value("client.map(abs, range(-1000, 0)) == list(range(1000, 0, -1))")
        assert begin.count() == count


@pytest.mark.skipif(os.geteuid() != 0, reason="root: only root may mount a disk that can be full")
def test_a_full_disk_below_a_map_costs_no_item(new_laptop, begin, poll, tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    with disk_of_its_own(place):
        laptop = new_laptop()
        laptop.home = place / "home"
        start(laptop)
        try:
            mapping = begin(laptop, 0.01, 2000)
            poll(lambda: begin.count() > 50, "the map is under way")
            with suppress(OSError), (place / "filler").open("wb", buffering=0) as filler:
                while filler.write(bytes(2**16)):
                    pass
            assert os.statvfs(place).f_bavail * os.statvfs(place).f_frsize < 2**16
            assert mapping.communicate(timeout=120)[0] == "True\n"
        finally:
            (place / "filler").unlink(missing_ok=True)
            laptop.terminate_all()
