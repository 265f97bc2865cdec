"""The notebooks of docs/examples: run on somebody's computer, and one in JupyterLab on the cluster, in a browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from ..support.notebooks import EXAMPLES, execute

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

BROWSE = Path(__file__).parents[1] / "support" / "browse_notebook.py"


def test_the_first_steps_run_on_somebodys_computer(laptop, cluster, tmp_path):
    engines, squares, failure, _, pi, free, detached, _ = execute(laptop, "first-steps", tmp_path)
    assert engines == "6 engines\n"
    assert re.fullmatch(r"square: 100%\|.*\| 200/200 \[.*, 6 engines]2646700", squares), "one line, that stays"
    assert "caught: division by zero\n" in failure
    assert "] looking at " in failure, "which of them, is a race with the error"
    assert pi == "pi is about 3.14\n"
    assert free == "free again: [0, 1, 4, 9]\n"
    assert detached == "328350 done\n"


def test_jobs_and_data(laptop, cluster, tmp_path):
    outputs = execute(laptop, "jobs-and-data", tmp_path)
    engines, _, job, summary, means, largest = outputs
    assert engines == "6 engines\n"
    assert re.fullmatch(r"ended with 0 on (master|node00[12])\npart 11 is written\n", job)
    assert summary == "12 parts of 1000 values\n\n"
    assert means == "{'20.0 of 12000'}\n"
    assert largest == "True\n"


def test_the_first_steps_look_right_in_jupyterlab(laptop, cluster, tmp_path):
    """The bar stays below its cell, prints are below the cell that caused them, and nothing pops up."""
    browser = shutil.which("chromium")
    if browser is None or find_spec("playwright") is None:
        pytest.skip("chromium: is not installed, or playwright is not")
    home = laptop.node_folder(cluster.name, "master").parent / "home"
    shutil.copy(EXAMPLES / "first-steps.ipynb", home)
    url = laptop.run("notebook").stdout.strip()
    command = [sys.executable, BROWSE, browser, url, "first-steps.ipynb", "8", str(tmp_path / "picture.png")]
    done = subprocess.run(command, env=laptop.env, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr
    page = json.loads(done.stdout)
    engines, squares, failure, *_, detached, _ = page["outputs"]
    assert engines.strip() == "6 engines"
    assert re.fullmatch(r"square: 100%\|.*\| 200/200 \[.*, 6 engines]\s+2646700\s*", squares)
    assert "[stdout:2] looking at 0\n" in failure
    assert re.search(r"caught:.* division by zero", failure, re.DOTALL)  # a print of a task may come between the two
    assert detached.strip() == "328350 done"
    assert page["errors"] == 0
    assert page["notices"] == []
    assert page["panels"]
    assert not [panel for panel in page["panels"] if "ipyparallel" in panel]
