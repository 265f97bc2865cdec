"""The programs that start a controller and an engine, as a node gets them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from clusterctl.node.programs import node_program

from .test_starters import ON_NODE


class TestAsSent:
    """What a node gets: the starter and all that it imports, in one file."""

    @pytest.fixture
    def run(self, tmp_path, allow_subprocess):
        def run(module, *words, values=None, code=None):
            path = tmp_path / "program.py"
            path.write_text(
                node_program(
                    f"{ON_NODE}.{module}", {"config": {}, "keys": None, "notice": "/no/notice", **(values or {})}
                )
            )
            command = [path, *words] if code is None else ["-c", code]
            # Without the project's own modules, which no node has.
            done = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, timeout=60)
            return done.returncode, done.stdout, done.stderr

        return run

    @pytest.mark.parametrize("module", ["start_engine", "start_controller"])
    def test_it_is_ipyparallels_own_program(self, run, module):
        import ipyparallel

        assert run(module, "--version") == (0, f"{ipyparallel.__version__}\n", "")

    def test_it_needs_none_of_our_modules_and_leaves_none_on_the_path(self, run, tmp_path):
        code = "import sys, program; print('clusterctl' in sys.modules, program.program.__name__, sys.path[0])"
        found = run("start_controller", code=code)
        assert found == (0, f"False clusterctl_node.start_controller {tmp_path}\n", "")

    @pytest.mark.parametrize(("name", "changed"), [("__mp_main__", "True"), ("__main__", "never printed")])
    def test_a_child_process_that_loads_it_anew_gets_the_patches_and_runs_nothing(self, run, name, changed):
        code = (
            f"import runpy, sys; sys.argv[1:] = ['--version']; runpy.run_path('program.py', run_name='{name}');"
            "from ipyparallel.controller.heartmonitor import HeartMonitor;"
            "print(HeartMonitor.start.__module__ == 'clusterctl_node.patches.heartbeats')"
        )
        _, said, _ = run("start_controller", code=code)
        assert (said == f"{changed}\n") is (name == "__mp_main__")

    def test_its_values_are_its_configuration(self, run):
        code = (
            "import json, runpy; from ipyparallel.engine import app\n"
            "app.main = lambda config: print(json.dumps(config))\n"
            "runpy.run_path('program.py', run_name='__main__')"
        )
        status, said, _ = run("start_engine", code=code, values={"config": {"IPEngine": {"timeout": 17.5}}})
        assert (status, json.loads(said)) == (0, {"IPEngine": {"timeout": 17.5}})

    def test_the_keys_of_its_file_are_those_of_a_controller(self, run, tmp_path):
        (tmp_path / "curve.json").write_text('{"public": "open", "secret": "sesame"}')
        code = (
            "import runpy; from ipyparallel.controller import app\n"
            "app.main = lambda config: print(config.IPController)\n"
            "runpy.run_path('program.py', run_name='__main__')"
        )
        status, said, _ = run("start_controller", code=code, values={"keys": str(tmp_path / "curve.json")})
        assert (status, said) == (0, "{'curve_publickey': b'open', 'curve_secretkey': b'sesame'}\n")
