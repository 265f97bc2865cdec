"""What cannot work is refused with what happened and what to do, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

pytestmark = pytest.mark.e2e

NO_INDEX = {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0"}


@pytest.fixture
def laptop(new_laptop):
    return new_laptop()


@pytest.fixture
def refused(laptop):
    """Run a start that must be refused and leave nothing."""

    def refuse(*arguments, status, says, env=None):
        result = laptop.refuse("start", *arguments, status=status, says=says, env=env)
        lines = result.stderr.splitlines()
        assert lines[0].startswith("error: "), lines
        assert lines[-1].startswith("try: "), lines
        assert len(lines[-1]) > len("try: ")
        laptop.assert_nothing_left()
        return lines

    return refuse


@pytest.mark.slow
def test_a_name_that_is_no_host_name(laptop):
    names = ["-leading", "a" * 64, "../up", ""]
    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(lambda name: laptop.run("start", "--", name, status=2).stderr, names))
    assert all("try: " in text for text in said), said
    laptop.assert_nothing_left()


def test_a_bad_name_says_what_a_good_one_is(refused):
    assert len(refused("bad name!", status=2, says=["bad name!"])) == 2


def test_no_nodes_at_all(refused):
    assert len(refused("-s", "0", "none", status=2, says=["CLUSTER_SIZE", "'0'"])) == 2


def test_an_unknown_template(refused):
    assert len(refused("-c", "nope", "x", status=2, says=["nope", "local"])) == 2


def test_an_unknown_plugin(laptop, refused):
    config(laptop, "[cluster c]\nPROVIDER = local\nPLUGINS = ipclustr\n")
    refused("x", status=2, says=["unknown plugin ipclustr", "ipcluster"])


def test_a_plugin_that_cannot_be_imported(laptop, refused):
    config(laptop, "[cluster c]\nPROVIDER = local\nPLUGINS = own\n[plugin own]\nSETUP_CLASS = /no/such.py:Own\n")
    refused("x", status=2, says=["own", "/no/such.py"])


def test_a_missing_key_file(laptop, refused):
    config(laptop, "[host h]\nADDRESS = 127.0.0.1\nKEY_LOCATION = /no/key\n[cluster c]\nHOSTS = h\n")
    refused("x", status=1, says=["its key /no/key cannot be read", "KEY_LOCATION"])


def test_a_missing_config_file(laptop):
    laptop.refuse("-c", "/no/config", "start", "x", status=2, says=["/no/config", "config init"])
    laptop.assert_nothing_left()


def config(laptop, text):
    laptop.home.mkdir()
    (laptop.home / "config").write_text(text)


def test_the_package_index_out_of_reach(refused, tmp_path):
    cold = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "UV_CACHE_DIR": str(tmp_path / "uv")}
    refused("x", status=1, says=["the package index is out of reach", "UV_DEFAULT_INDEX"], env={**NO_INDEX, **cold})


def test_a_misspelt_package(refused):
    refused("--set", "packages.packages=no-such-package-xyzzy", "x", status=1, says=["no-such-package-xyzzy"])


def test_an_unknown_option(refused):
    refused("--set", "ipcluster.engines_per_nod=3", "x", status=2, says=["ENGINES_PER_NODE"])


@pytest.fixture
def disk(tmp_path):
    """Makes a small disk of its own."""
    if os.geteuid():
        pytest.skip("root: a small disk to fill can only be mounted by root")
    mounted = []

    def make(size):
        place = tmp_path / "disk"
        place.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", place], capture_output=True
        )
        if done.returncode:
            pytest.skip(f"root: no small disk to fill: {done.stderr.decode().strip()}")
        mounted.append(place)
        return place

    yield make
    for place in mounted:
        subprocess.run(["umount", place], check=True)


def fill(folder, leave=0):
    """Leave no space on a disk."""
    try:
        with (folder / "filler").open("wb") as file:
            while True:
                file.write(b"x" * 4096)
                file.flush()
    except OSError:
        pass


def test_a_disk_that_is_full_from_the_beginning(laptop, disk):
    laptop.home = disk("64k")
    fill(laptop.home)
    result = laptop.refuse("start", "-s", "2", "full", status=1, says=[str(laptop.home), "No space left"])
    assert "free some space" in result.stderr
    laptop.assert_nothing_left()


@pytest.mark.slow
def test_a_disk_that_fills_up_while_nodes_join(laptop, disk):
    laptop.home = disk("4m")
    says = ["No space left", "free some space", "terminate"]
    laptop.refuse("start", "-s", "2", "full", status=1, says=says)
    assert [node["state"] for node in laptop.json("list", "--json")[0]["nodes"]] == ["running"] * 2
    ports, folders = laptop.listeners(), laptop.run_folders()
    laptop.run("terminate", "--yes", "full")
    laptop.assert_nothing_left(ports, folders)
