"""The notebook's port and token on the node, and what every notebook begins with."""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path
from types import ModuleType

import pytest

from clusterctl.on_node.with_ipyparallel import connection_files, notebook_startup


class TestNotebook:
    @pytest.fixture
    def files(self, tmp_path, monkeypatch):
        (tmp_path / "security").mkdir()
        files = connection_files.Files(tmp_path, "127.0.0.1", curve=True)
        monkeypatch.setattr(files, "choose_ports", lambda address, count: [4711], raising=False)
        monkeypatch.setattr(connection_files, "is_free", lambda address, port: port not in self.taken)
        monkeypatch.setattr(connection_files, "processes_with", lambda word: [1] if word in self.words else [])
        monkeypatch.setattr(
            connection_files, "listens", lambda word, port: word in self.words and port in self.taken.get("ours", ())
        )
        return files

    @pytest.fixture(autouse=True)
    def machine(self):
        self.taken, self.words = {}, []

    def settle(self, files, tmp_path):
        connection_files.settle_notebook(files, {"config": str(tmp_path / "config.json"), "server": {}, "more": {}})
        return files.load("notebook")

    def test_while_its_server_runs_or_starts_both_are_kept(self, files, tmp_path):
        self.words = [f"--config={tmp_path / 'config.py'}"]
        first = self.settle(files, tmp_path)
        assert self.settle(files, tmp_path) == first
        self.taken = {4711: True, "ours": [4711]}
        assert self.settle(files, tmp_path) == first

    def test_without_it_the_token_is_a_new_one_and_the_port_is_kept_if_it_is_free(self, files, tmp_path):
        first = self.settle(files, tmp_path)
        second = self.settle(files, tmp_path)
        assert (second["port"], second["token"] != first["token"]) == (4711, True)

    def test_where_another_program_has_its_port_it_gets_another_one(self, files, tmp_path, monkeypatch):
        self.words = [f"--config={tmp_path / 'config.py'}"]
        first = self.settle(files, tmp_path)
        self.taken = {4711: True}
        monkeypatch.setattr(files, "choose_ports", lambda address, count: [4712], raising=False)
        second = self.settle(files, tmp_path)
        assert (second["port"], second["token"] != first["token"]) == (4712, True)

    def test_its_port_and_token_are_made_once_and_are_its_owners_alone(self, files, tmp_path):
        wanted = {
            "config": str(tmp_path / "config.json"),
            "server": {"root_dir": "/it's", "allow_root": True},
            "more": {"LabApp": {"news_url": None}},
        }
        self.words = [f"--config={tmp_path / 'config.py'}"]
        connection_files.settle_notebook(files, wanted)
        first = json.loads((tmp_path / "config.json").read_text())
        assert first["ServerApp"] == {
            "root_dir": "/it's",
            "allow_root": True,
            "ip": "127.0.0.1",
            "port": 4711,
            "port_retries": 0,
            "open_browser": False,
        }
        for path in (tmp_path / "config.json", tmp_path / "security" / "notebook.json"):
            assert path.stat().st_mode & 0o777 == 0o600
        connection_files.settle_notebook(files, wanted)
        assert json.loads((tmp_path / "config.json").read_text()) == first
        assert files.load("notebook") == {"port": 4711, "token": first["IdentityProvider"]["token"]}

    def test_where_none_is_wanted_they_are_forgotten(self, files):
        files.save("notebook", {"port": 1, "token": "x"})
        connection_files.settle_notebook(files, None)
        assert files.load("notebook") is None
        connection_files.settle_notebook(files, None)

    @pytest.mark.parametrize("there", [True, False])
    def test_a_notebook_begins_with_a_client_or_says_why_not(self, monkeypatch, capsys, there):
        class Client(list):
            def __init__(self, **about):
                assert about == {"timeout": 10}
                if not there:
                    raise OSError("no file")
                super().__init__([0, 1])

            def activate(self):
                self.active = True

            def load_balanced_view(self):
                return "balanced"

        library = ModuleType("clusterctl")
        library.connect = Client
        monkeypatch.setitem(sys.modules, "clusterctl", library)
        monkeypatch.setattr(sys, "path", ["", *sys.path])
        monkeypatch.setenv("PATH", "/usr/bin")
        monkeypatch.setenv("HOME", "/home/me")
        names = runpy.run_path(str(Path(notebook_startup.__file__)))
        assert sys.path[:2] == ["", "/home/me"]
        assert os.environ["PATH"].split(":")[0] == str(Path(sys.executable).parent)
        if there:
            assert (names["client"].active, names["view"], names["lview"]) == (True, [0, 1], "balanced")
            assert names["c"] is names["client"]
        else:
            assert "No engines to talk to yet (no file)" in capsys.readouterr().out
