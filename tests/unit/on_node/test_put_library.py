"""The modules that a node gets: unpacked whole or not at all, found by every Python of its environment."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
import zlib
from pathlib import PurePosixPath

import pytest

from clusterctl.clients.here import WORD
from clusterctl.node.library import library_version, put_library
from clusterctl.on_node.system import put_library as program
from clusterctl.testing import fake_node


def packed(**texts):
    return base64.b64encode(zlib.compress(json.dumps(texts).encode())).decode()


@pytest.fixture
def values(tmp_path):
    packages = tmp_path / "env" / "lib" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "numpy.py").touch()
    packages.chmod(0o555)
    yield {
        "packed": packed(**{"clusterctl/__init__.py": "number = 1"}),
        "folder": str(tmp_path / "state" / "python-1"),
        "link": str(tmp_path / "state" / "python"),
        "word_name": WORD,
        "word": "{}",
        "pth": str(packages / "clusterctl-node.pth"),
        "line": "../../../state/python",
    }
    packages.chmod(0o755)


def test_it_is_unpacked_linked_and_announced_and_the_environment_stays_sealed(tmp_path, values):
    program.main(values)
    state, packages = tmp_path / "state", tmp_path / "env" / "lib" / "site-packages"
    assert (state / "python" / "clusterctl" / "__init__.py").read_text() == "number = 1"
    assert (state / "python" / WORD).read_text() == "{}"
    assert (packages / "clusterctl-node.pth").read_text() == "../../../state/python\n"
    assert stat.S_IMODE(packages.stat().st_mode) == 0o555
    assert sorted(path.name for path in packages.iterdir()) == ["clusterctl-node.pth", "numpy.py"]


def test_other_modules_take_its_place_and_the_former_ones_stay_for_processes_that_began_with_them(tmp_path, values):
    program.main(values)
    newer = {**values, "folder": str(tmp_path / "state" / "python-2"), "packed": packed(**{"clusterctl/a.py": ""})}
    program.main(newer)
    state = tmp_path / "state"
    assert (state / "python").readlink().name == "python-2"
    assert (state / "python-1" / "clusterctl").is_dir()
    os.utime(state / "python-1", (0, 0))
    program.main(newer)
    assert sorted(path.name for path in state.iterdir()) == ["python", "python-2"]


def test_what_is_half_there_or_in_the_way_is_made_anew(tmp_path, values):
    state = tmp_path / "state"
    for path in ("python", "python-1", "python-1.new", "python.link"):
        (state / path / "clusterctl").mkdir(parents=True)
    program.main(values)
    assert (state / "python" / "clusterctl" / "__init__.py").exists()
    assert sorted(path.name for path in state.iterdir()) == ["python", "python-1"]


def test_a_node_that_has_it_starts_no_python_for_it(tmp_path, allow_subprocess):
    """And one that lacks any part of it does."""
    env = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", env], check=True)
    layout = fake_node("master").layout
    node = fake_node("master", layout=type(layout)(**{**vars(layout), "env": env, "state": tmp_path / "state"}))
    version = ".".join(map(str, sys.version_info[:2]))
    script = put_library(node, cluster="lab", python=version, file=tmp_path / "client.json")

    def run(python):
        text = script.replace(f"{env}/bin/python", python)
        return subprocess.run(["sh", "-eus"], input=text, text=True, capture_output=True)

    assert run(f"{env}/bin/python").returncode == 0
    assert run("false").returncode == 0
    for lost in (tmp_path / "state" / "python", env / "lib" / f"python{version}/site-packages/clusterctl-node.pth"):
        lost.unlink()
        assert run("false").returncode == 1
        assert run(f"{env}/bin/python").returncode == 0
    code = "import clusterctl, clusterctl.clients.here as here; print(clusterctl.__file__, here.find_here())"
    python = env / "bin" / "python"
    said = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert said.startswith(f"{tmp_path}/state/python/clusterctl/__init__.py Here(cluster='lab', node='master'")


def test_it_is_small_and_has_nothing_heavy(tmp_path):
    script = put_library(fake_node("master"), cluster="lab", python="3.11", file=PurePosixPath("/client.json"))
    assert len(script) < 220_000
    assert library_version() == library_version()


def test_all_that_a_node_gets_is_loaded_without_the_rest_of_clusterctl(tmp_path, values, allow_subprocess):
    from clusterctl.node import library

    program.main(
        {
            **values,
            "packed": library._pack(),
            "word": '{"cluster": "lab", "node": "n", "file": "/no/client.json", "master": ""}',
        }
    )
    code = (
        "import importlib, pathlib, sys, clusterctl\n"
        "root = pathlib.Path(sys.argv[1])\n"
        "for path in sorted(root.glob('clusterctl/**/*.py')):\n"
        "    name = '.'.join(path.relative_to(root).with_suffix('').parts).removesuffix('.__init__')\n"
        # The text of the first one's base class comes before it; the others need joblib and scikit-learn.
        "    if not name.endswith(('.mpi_group', 'clusterctl.joblib', 'clusterctl.sklearn')):\n"
        "        importlib.import_module(name)\n"
        "sys.path.append(sys.argv[1] + '/beside')\n"
        "heavy = {'boto3', 'fabric', 'paramiko', 'jinja2', 'pydantic', 'click', 'rich', 'asyncssh', 'pluggy', 'uv'}\n"
        "print(heavy & set(sys.modules), clusterctl.__file__)\n"
        "try: clusterctl.connect()\n"
        "except clusterctl.errors.ClusterctlError as error: print(error, error.remedy)\n"
    )
    place = tmp_path / "state" / "python"
    env = {"PYTHONPATH": str(place), "PYTHONWARNINGS": "ignore", "HOME": str(tmp_path)}
    said = subprocess.run([sys.executable, "-c", code, place], env=env, capture_output=True, text=True, cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith(f"set() {place}/clusterctl/__init__.py\nthere is no connection file /no/client.json")
