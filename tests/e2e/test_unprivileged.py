"""Nobody in particular, with nothing in their caches, does the main job."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

PASTE = "print(client.ids, client[:].apply_sync(lambda: __import__('os').getuid()))\nclient.close()"


@pytest.fixture
def nobody(cold_start):
    if cold_start.laptop is None:
        pytest.skip(cold_start.why_not)
    return cold_start.laptop


@pytest.mark.slow
def test_a_user_without_rights_and_with_cold_caches_does_the_main_job(nobody, cold_start):
    output, errors = cold_start.process.communicate(timeout=120)
    assert cold_start.process.returncode == 0, errors
    lines = [line for line in output.splitlines() if line.startswith(("from ipyparallel", "client = "))]
    uid = cold_start.uid
    assert nobody.python("\n".join([*lines, PASTE])) == f"[0, 1] [{uid}, {uid}]\n"
    assert {process.uids().real for process in nobody.processes()} == {uid}
    (found,) = nobody.json("list", "--json")
    assert found["engines"] == 2
    assert "mycluster is gone (2 nodes)" in nobody.run("terminate", "--yes", "mycluster").stdout


def test_a_home_that_cannot_be_written_is_refused(nobody):
    home = Path(tempfile.mkdtemp(prefix="closed-", dir="/tmp"))
    try:
        home.chmod(0o755)
        where = {"CLUSTERCTL_HOME": str(home / "below")}
        nobody.refuse("start", "x", status=1, says=[str(home), "CLUSTERCTL_HOME"], env=where)
        assert list(home.iterdir()) == []
    finally:
        home.rmdir()
