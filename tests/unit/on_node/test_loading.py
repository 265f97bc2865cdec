"""What is done once a module has been loaded."""

from __future__ import annotations

import importlib
import sys
import types

import pytest

from clusterctl.on_node.in_engine.loading import when_loaded


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    monkeypatch.setattr(sys, "modules", {**sys.modules})
    return tmp_path


def test_it_is_done_after_the_modules_own_code_and_once(folder):
    (folder / "awaited.py").write_text("ready = True\n")
    seen = []
    before = [*sys.meta_path]
    when_loaded("awaited", lambda: seen.append(sys.modules["awaited"].ready))
    import json  # noqa: F401  another one is nothing to it

    assert seen == []
    import awaited

    del sys.modules["awaited"]
    import awaited  # noqa: F401, F811

    assert seen == [True]
    assert sys.meta_path == before


def test_at_once_where_it_is_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "awaited", types.ModuleType("awaited"))
    seen = []
    when_loaded("awaited", lambda: seen.append(1))
    assert seen == [1]


def test_a_module_that_is_not_there_is_missing_as_ever_and_may_come_later(folder):
    seen = []
    when_loaded("awaited", lambda: seen.append(1))
    with pytest.raises(ModuleNotFoundError, match="awaited"):
        import awaited
    assert seen == []
    (folder / "awaited.py").write_text("")
    importlib.invalidate_caches()
    import awaited  # noqa: F401

    assert seen == [1]


def test_a_module_that_fails_as_it_is_loaded_raises_its_own_error(folder):
    (folder / "awaited.py").write_text("raise ValueError('broken')\n")
    seen = []
    when_loaded("awaited", lambda: seen.append(1))
    with pytest.raises(ValueError, match="broken"):
        import awaited  # noqa: F401
    assert seen == []
    assert "awaited" not in sys.modules
