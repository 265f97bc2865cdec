"""On a cluster's own nodes `clusterctl.connect()` finds that cluster: in a login, in a task, in a notebook."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

pytestmark = pytest.mark.e2e

CODE = "import clusterctl; c = clusterctl.connect(wait=6); print(c.ids, c.map(abs, [-1, -2]))"


@pytest.mark.parametrize("alias", [pytest.param("master", marks=pytest.mark.slow), "node001"])
def test_in_a_login(laptop, cluster, alias):
    python = laptop.node_folder(cluster.name, alias) / "env" / "bin" / "python"
    command = shlex.join([str(python), "-c", CODE])
    assert laptop.run("sshnode", cluster.name, alias, command).stdout == "[0, 1, 2, 3, 4, 5] [1, 2]\n"


def test_in_a_task_on_any_node(laptop, cluster):
    code = (
        "import clusterctl\n"
        "def look():\n"
        "    import clusterctl\n"
        "    client = clusterctl.connect('mycluster')\n"
        "    try: return len(client.ids), clusterctl.__file__\n"
        "    finally: client.close()\n"
        "client = clusterctl.connect(wait=True)\n"
        "for count, file in client[:].apply_sync(look): print(count, file)\n"
        "client.close()\n"
    )
    nodes = [laptop.node_folder(cluster.name, alias) for alias in ("master", "node001", "node002") for _ in range(2)]
    assert laptop.python(code).split() == [
        word for node in nodes for word in ("6", f"{node}/state/python/clusterctl/__init__.py")
    ]


@pytest.mark.slow
def test_in_a_notebook(laptop, cluster):
    url = urlsplit(laptop.run("notebook").stdout.strip())
    cells = [{"cell_type": "code", "source": CODE, "metadata": {}, "outputs": [], "execution_count": None}]
    notebook = laptop.node_folder(cluster.name, "master").parent / "home" / "here.ipynb"
    notebook.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    script = (Path(__file__).parents[1] / "support" / "run_notebook.py").read_text()
    token = parse_qs(url.query)["token"][0]
    said = json.loads(laptop.python(script, f"http://{url.netloc}", token, notebook.name, timeout=90))
    assert said == ["[0, 1, 2, 3, 4, 5] [1, 2]\n"]
