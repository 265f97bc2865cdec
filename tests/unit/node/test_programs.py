"""A module and its values become one text, which runs on a node without anything of ours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterctl.node.programs import node_program, run_program
from clusterctl.secret import Secret

from ...support.node_texts import sent_modules

MAIN = """
import json
import sys

from . import helper
from .parts import (
    deep,
    DEEPER,
)
from .parts.deep import words as _words


def main(values):
    from .late import LATE

    print(json.dumps([helper.__name__, deep.words(values), DEEPER, LATE, sys.argv[1:]]))
    return values.get("status")
"""


@pytest.fixture
def folder(tmp_path):
    """Modules of somebody's plugin, that nothing imports."""
    files = {
        "hello.py": MAIN,
        "helper.py": "raise_if_imported_here = 1\n",
        "late.py": "LATE = r'''it's\n'''\n",
        "unused.py": "raise SystemError\n",
        "parts/__init__.py": "DEEPER = 'deeper'\n",
        "parts/deep.py": "from .. import helper\n\n\ndef words(values):\n    return values['words']\n",
        "broken.py": "import logging\n\n\ndef main(values):\n    try:\n        oh = values['no such value']\n"
        "    except KeyError:\n        logging.exception('seen')\n",
        "above.py": "from ..other import x\n",
    }
    for name, text in files.items():
        path = tmp_path / "modules" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "modules"


@pytest.fixture
def run(tmp_path, allow_subprocess):
    def run(text, *words):
        command = [sys.executable, "-I", "-", *words]
        return subprocess.run(command, input=text, text=True, capture_output=True, cwd=tmp_path)

    return run


def test_it_runs_with_what_it_imports_from_beside_itself_and_nothing_else(folder, run):
    text = node_program(folder / "hello.py", {"words": "it's \\ 'quoted' ''' \n ü"})
    assert sent_modules(text).keys() == {"", "hello", "helper", "late", "parts", "parts.deep"}
    done = run(text, "--one")
    assert (done.returncode, done.stderr) == (0, "")
    expected = ["clusterctl_node.helper", "it's \\ 'quoted' ''' \n ü", "deeper", "it's\n", ["--one"]]
    assert json.loads(done.stdout) == expected


@pytest.mark.parametrize(
    ("status", "returncode", "said"), [(None, 0, ""), (3, 3, ""), ("what failed", 1, "what failed\n")]
)
def test_what_main_returns_is_the_exit_status(folder, run, status, returncode, said):
    done = run(node_program(folder / "hello.py", {"words": "", "status": status}))
    assert (done.returncode, done.stderr) == (returncode, said)


def test_a_traceback_in_a_log_shows_the_modules_lines(folder, run):
    said = run(node_program(folder / "broken.py")).stderr
    assert 'File "clusterctl_node/broken.py", line 6, in main' in said
    assert "oh = values['no such value']" in said


def test_it_is_not_imported_here(folder):
    node_program(folder / "hello.py")
    assert not [name for name in sys.modules if name.startswith("clusterctl_node")]
    assert not list(folder.rglob("*.pyc"))


def test_an_import_from_above_its_folder_is_an_error(folder):
    with pytest.raises(ValueError, match="above imports from above its folder"):
        node_program(folder / "above.py")


def test_a_module_that_does_not_exist_is_an_error(folder):
    with pytest.raises(FileNotFoundError):
        node_program(folder / "nothing.py")
    with pytest.raises(FileNotFoundError):
        node_program("clusterctl.on_node.system.nothing")


def test_a_package_that_is_installed_is_named_by_its_module(tmp_path, run, monkeypatch):
    package = tmp_path / "somebodys_plugin"
    (package / "on_node").mkdir(parents=True)
    for path in (package, package / "on_node"):
        (path / "__init__.py").write_text("")
    (package / "on_node" / "watch.py").write_text("def main(values):\n    print(values['at'])\n")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        assert run(node_program("somebodys_plugin.on_node.watch", {"at": PurePosixPath("/it's")})).stdout == "/it's\n"
        assert "somebodys_plugin.on_node.watch" not in sys.modules
    finally:
        for name in [name for name in sys.modules if name.startswith("somebodys_plugin")]:
            del sys.modules[name]


def test_a_secret_is_written_out_and_what_json_cannot_say_is_an_error(folder, run):
    assert "sesame" in node_program(folder / "hello.py", {"words": Secret("sesame")})
    with pytest.raises(TypeError, match="JSON cannot say"):
        node_program(folder / "hello.py", {"words": object()})


def test_a_piece_of_shell_runs_it_with_its_values_in_no_list_of_processes(folder, allow_subprocess):
    python = Path(sys.executable)
    piece = run_program(python, folder / "hello.py", {"words": "$HOME `id` sesame"})
    assert "sesame" not in piece.splitlines()[0]
    done = subprocess.run(["sh", "-s"], input=f"set -eu\n{piece}echo then\n", text=True, capture_output=True)
    first, then = done.stdout.splitlines()
    assert (json.loads(first)[1], then, done.stderr) == ("$HOME `id` sesame", "then", "")


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.none() | st.lists(st.text())))
def test_values_arrive_as_they_were(values):
    text = node_program("clusterctl.on_node.system.tell_instance", values)
    last = text.splitlines()[-1]
    scope = {"run": lambda program, document: json.loads(document), "program": None}
    assert eval(last, scope) == values
