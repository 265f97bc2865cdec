"""What a home has of a cluster is deleted while its processes run: `terminate` by its name ends them all the same."""

from __future__ import annotations

import shutil

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
LOST = {
    "the whole home": ("",),
    "the cluster's folder": ("clusters/lab",),
    "the nodes' folder": ("local/lab",),
    "both folders": ("clusters/lab", "local/lab"),
}


@pytest.mark.parametrize("folders", LOST.values(), ids=LOST)
def test_terminate_ends_what_runs_and_leaves_nothing(new_laptop, folders):
    laptop = new_laptop()
    laptop.run("start", "-s", "2", "lab")
    whole = folders == ("",)
    if not whole:
        laptop.run("start", "-s", "1", "other")
    ports, places = laptop.listeners(), laptop.run_folders()
    others = {process.pid for process in laptop.find("master") if "/local/other/" in str(process.environ())}
    for folder in folders:
        path = laptop.home / folder
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    said = laptop.run("terminate", "--yes", "lab")
    assert "lab is gone" in said.stdout
    left = [process for process in laptop.processes() if f"{laptop.home}/local/lab" in str(process.environ())]
    assert left == []
    assert others <= {process.pid for process in laptop.processes()}
    again = laptop.run("terminate", "--yes", "lab")
    assert "nothing to end" in again.stdout
    if not whole:
        laptop.run("terminate", "--yes", "other")
    laptop.assert_nothing_left(ports, places)


def test_a_name_that_nothing_has_is_still_a_misspelt_one(new_laptop):
    laptop = new_laptop()
    laptop.run("start", "-s", "1", "lab")
    shutil.rmtree(laptop.folder("lab"))
    laptop.refuse("terminate", "--yes", "labb", status=2, says=["there is no cluster labb"])
    assert laptop.json("list", "--json")[0]["state"] == "running"
