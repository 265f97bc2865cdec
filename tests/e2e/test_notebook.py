"""JupyterLab on the master: reached with its token, its kernels see every engine."""

from __future__ import annotations

import json
import re
import tarfile
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def url(laptop, cluster):
    """What `clusterctl notebook` prints."""
    return laptop.run("notebook").stdout.strip()


@pytest.fixture(scope="module")
def base(url, poll):
    """Where JupyterLab is; it may still be on its way up."""
    place = "http://" + urlsplit(url).netloc

    def answers():
        try:
            return status(f"{place}/api") == 200
        except OSError:
            return False

    poll(answers, "JupyterLab answers")
    return place


@pytest.fixture(scope="module")
def token(url):
    return parse_qs(urlsplit(url).query)["token"][0]


def status(address):
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            return 302 if "/login" in answer.url else answer.status
    except urllib.error.HTTPError as exc:
        exc.close()
        return exc.code


def test_start_list_and_notebook_give_the_same_url(laptop, cluster, url):
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/lab\?token=[\w-]{20,}", url)
    assert f">>> Notebook: {url}\n" in cluster.output
    assert laptop.json("list", "--json")[0]["notebook_url"] == url


def test_nobody_gets_in_without_the_token(base, token):
    assert status(f"{base}/api/contents") == 403
    assert status(f"{base}/api/contents?token=wrong{token}") == 403
    assert status(f"{base}/lab") == 302


def test_the_url_opens_the_lab_and_the_starter_notebook_is_there(url, base, token):
    assert status(url) == 200
    with urllib.request.urlopen(f"{base}/api/contents?token={token}", timeout=10) as answer:
        names = [entry["name"] for entry in json.load(answer)["content"]]
    assert "clusterctl.ipynb" in names


@pytest.mark.slow
def test_the_starter_notebooks_cells_run_on_every_engine(laptop, base, token, engine_pids):
    pids = engine_pids()
    script = (Path(__file__).parents[1] / "support" / "run_notebook.py").read_text()
    outputs = json.loads(laptop.python(script, base, token, "clusterctl.ipynb"))
    ids, magics, squares, detached, cancelled = outputs
    assert ids == str(list(pids))
    for node, numbers in (("master", (0, 1)), ("node001", (2, 3)), ("node002", (4, 5))):
        for number in numbers:
            assert f"{node} {pids[number]}" in magics
    assert squares.endswith(str([x**2 for x in range(10)]))
    assert detached.endswith(str([x**2 for x in range(10)]))
    assert cancelled.endswith("[0, 1, 4]")


def test_every_notebook_is_ready_wherever_it_lies(laptop, cluster, base, token):
    """What was put can be imported, programs are the cluster's, and %pip says what to do."""
    home = laptop.node_folder(cluster.name, "master").parent / "home"
    (home / "deep" / "er").mkdir(parents=True)
    (home / "put_here.py").write_text("answer = 42\n")
    sources = [
        "import put_here; put_here.answer",
        "lview.apply_sync(abs, -1), len(view), c is client",
        "%px import put_here; print(put_here.answer)",
        "!python -c 'import ipyparallel, sys; print(sys.prefix)'",
        "%pip install humanize",
        "!pip install humanize",
    ]
    cells = [
        {"cell_type": "code", "source": s, "metadata": {}, "outputs": [], "execution_count": None} for s in sources
    ]
    (home / "deep" / "er" / "n.ipynb").write_text(
        json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    )
    script = (Path(__file__).parents[1] / "support" / "run_notebook.py").read_text()
    module, ready, engines, prefix, *pips = json.loads(
        laptop.python(script, base, token, "deep/er/n.ipynb", timeout=90)
    )
    assert module == "42"
    assert ready == "(1, 6, True)"
    assert engines.count("42") == 6
    assert prefix.strip() == str(laptop.node_folder(cluster.name, "master") / "env")
    for said in pips:
        assert "clusterctl install mycluster humanize" in said


def test_the_panel_of_ipyparallel_and_the_news_are_not_there(base, token):
    with urllib.request.urlopen(f"{base}/lab?token={token}", timeout=10) as answer:
        page = answer.read().decode()
    config = json.loads(re.search(r'id="jupyter-config-data"[^>]*>(.*?)</script>', page, re.DOTALL)[1])
    assert config["news"] == {"disabled": True}
    assert "ipyparallel-labextension" in config["disabledExtensions"]
    assert status(f"{base}/clusters?token={token}") == 404, "its server side starts clusters, too"


def test_a_terminal_has_the_clusters_python_and_says_where_it_is(laptop, cluster, base, token):
    script = (Path(__file__).parents[1] / "support" / "type_in_terminal.py").read_text()
    shown = laptop.python(script, base, token, "command -v python; echo do''ne", "done", timeout=60)
    assert f"{laptop.node_folder(cluster.name, 'master')}/env/bin/python" in shown.replace("\r\n", ""), shown
    assert "(mycluster master) " in shown


@pytest.mark.slow
def test_a_report_has_the_logs_of_all_nodes_and_neither_token_nor_key(laptop, cluster, token, tmp_path):
    packed = laptop.json("report", "--json", "-o", str(tmp_path / "report.tar.gz"), cluster.name)
    assert packed["missing"] == []
    with tarfile.open(packed["file"]) as archive:
        texts = {member.name: archive.extractfile(member).read().decode() for member in archive.getmembers()}
    assert any("==> controller-0.log" in text for name, text in texts.items() if name.endswith("nodes/master.txt"))
    folder = laptop.folder(cluster.name)
    client = json.loads((folder / "client.json").read_text())
    secrets = [token, *(str(value) for name, value in client.items() if "key" in name and value)]
    secrets += [line for line in (folder / "id_ed25519").read_text().splitlines() if not line.startswith("-----")]
    assert len(secrets) > 4
    for name, text in texts.items():
        assert not [secret for secret in secrets if secret in text], name


def test_a_client_that_fetches_a_result_runs_what_the_node_says_and_nobody_else_does(laptop, cluster, tmp_path):
    """docs/security.md says so: results are pickled, and come as they are from whoever owns a node."""
    mark = tmp_path / "ran on the laptop"
    code = (
        "import os, ipyparallel, sys\n"
        "class Result:\n"
        "    def __reduce__(self):\n"
        "        import os\n"
        f"        return (os.system, ('echo $PPID > ' + {str(mark)!r}.replace(' ', '-'),))\n"
        f"client = ipyparallel.Client({str(laptop.folder(cluster.name) / 'client.json')!r})\n"
        "print(os.getpid(), os.path.exists(sys.argv[1]))\n"
        "client[0].apply_async(Result).get(30)\n"
        "print(os.path.exists(sys.argv[1]))\n"
        "client.close()\n"
    )
    file = str(mark).replace(" ", "-")
    said = laptop.python(code, file).split()
    assert said[1:] == ["False", "True"]
    assert (tmp_path / "ran-on-the-laptop").read_text().strip() == said[0]
