"""What goes to engines by value: the user's own modules, and nothing that is installed."""

from __future__ import annotations

import json
import sys
import threading

import cloudpickle
import pytest

from clusterctl.compute import payload


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    (tmp_path / "my_own_module.py").write_text("FACTOR = 3\n\ndef triple(n):\n    return FACTOR * n\n")
    monkeypatch.syspath_prepend(tmp_path)
    import my_own_module

    yield my_own_module
    del sys.modules["my_own_module"]


def test_an_own_module_travels_with_its_globals(own_module):
    pickled = payload.pickle_for_engines(own_module.triple, "it")
    del sys.modules["my_own_module"]
    sys.path_importer_cache.clear()
    try:
        assert cloudpickle.loads(pickled)(4) == 12
        assert b"FACTOR" in pickled
    finally:
        sys.modules["my_own_module"] = own_module


def test_what_is_installed_goes_by_name():
    assert b"raw_decode" not in payload.pickle_for_engines(json.dumps, "it")
    assert len(payload.pickle_for_engines(pytest.raises, "it")) < 100


def test_nothing_stays_registered(own_module):
    before = cloudpickle.list_registry_pickle_by_value()
    payload.pickle_for_engines(own_module.triple, "it")
    assert cloudpickle.list_registry_pickle_by_value() == before


def test_what_cannot_be_sent_is_named():
    with pytest.raises(TypeError, match=r"the thing cannot be sent to engines: .*lock"):
        payload.pickle_for_engines(threading.Lock(), "the thing")
