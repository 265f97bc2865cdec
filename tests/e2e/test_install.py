"""`clusterctl install`: packages come to a cluster that runs, and engines go on with what they hold."""

from __future__ import annotations

import json

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]

LOOK = """
import clusterctl, json
client = clusterctl.connect("lab", wait=True)
def look():
    import importlib.metadata, os
    try:
        import tabulate
        found = tabulate.tabulate([["a"]], tablefmt="plain")
    except ImportError:
        found = None
    return os.getpid(), found, globals().get("kept"), importlib.metadata.version("traitlets")
print(json.dumps(client[:].apply_sync(look)))
client.close()
"""
KEEP = """
import clusterctl
client = clusterctl.connect("lab", wait=True)
client[:].push({"kept": 7}, block=True)
client.close()
"""


def test_engines_go_on_where_nothing_changes_and_the_user_is_asked_where_something_does(new_laptop):
    laptop = new_laptop()
    laptop.home.mkdir()
    config = laptop.home / "config"
    config.write_text(
        "[cluster c]\nCLUSTER_SIZE = 2\nPLUGINS = ipcluster\n[plugin ipcluster]\nENGINES_PER_NODE = 1\n"
        "[plugin packages]\nPACKAGES = traitlets\n"
    )
    before = config.read_text()

    def look():
        return json.loads(laptop.python(LOOK))

    laptop.run("start", "lab")
    laptop.python(KEEP)
    first = look()
    assert [found for _, found, _, _ in first] == [None, None]
    said = laptop.run("install", "lab", "tabulate").stdout
    assert said.endswith("[plugin packages]\nPACKAGES = traitlets, tabulate\n")
    second = look()
    assert [(pid, kept, version) for pid, _, kept, version in second] == [(pid, 7, v) for pid, _, _, v in first]
    assert [found for _, found, _, _ in second] == ["a", "a"]

    laptop.run("start", "lab")
    assert look() == second, "a start changed what was installed"
    assert "healthy" in laptop.run("status", "--json", "lab").stdout

    older = f"traitlets<{first[0][3]}"
    laptop.refuse("install", "lab", older, status=2, says=["2 engines with what is in memory", "--yes"])
    assert look() == second, "a question without an answer changed something"
    laptop.run("install", "--yes", "lab", older)
    third = look()
    assert not {pid for pid, *_ in third} & {pid for pid, *_ in second}
    assert [(found, kept) for _, found, kept, _ in third] == [("a", None)] * 2
    assert all(version != first[0][3] for *_, version in third)

    laptop.run("addnode", "lab")
    assert [found for _, found, _, _ in look()] == ["a"] * 3, "a node that came later lacks it"
    laptop.refuse("install", "lab", "no-such-package-of-anybody-1", status=1, says=["cannot be resolved"])
    laptop.run("start", "lab")
    assert len(look()) == 3, "what could not be had was kept"
    assert config.read_text() == before
    laptop.run("stop", "--yes", "lab")
    laptop.refuse("install", "lab", "six", status=1, says=["does not run", "clusterctl start lab"])
