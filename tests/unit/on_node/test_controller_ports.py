"""Whose the controller's ports are: another user may have taken all of them while it was down."""

from __future__ import annotations

import sys

import pytest

from clusterctl.on_node.with_ipyparallel import connection_files


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells whose a port is")
class TestPortsOfTheController:
    """They are ours by the user who listens: another one may have taken all of them while it was down."""

    @pytest.fixture
    def files(self, tmp_path, monkeypatch):
        (tmp_path / "security").mkdir()
        monkeypatch.setattr(connection_files, "processes_with", lambda word: [])
        made = connection_files.Files(tmp_path, "127.0.0.1", curve=False)
        monkeypatch.setattr(connection_files, "is_free", lambda address, port: True)
        monkeypatch.setattr(connection_files.secrets, "randbelow", lambda number: 0)
        made.make()
        monkeypatch.setattr(connection_files, "is_free", lambda address, port: False)
        return connection_files.Files(tmp_path, "127.0.0.1", curve=False)

    def test_what_this_user_listens_on_is_the_controllers(self, files, monkeypatch):
        monkeypatch.setattr(connection_files, "own_ports", lambda: set(range(10000, 10100)))
        assert files.are_usable()

    def test_what_another_user_listens_on_is_not_even_one_of_them(self, files, monkeypatch):
        monkeypatch.setattr(connection_files, "own_ports", lambda: set(range(10000, 10100)) - {files.engine["task"]})
        assert not files.are_usable()
