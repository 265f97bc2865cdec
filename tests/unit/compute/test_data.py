"""Data at URLs: named on the laptop, read where it is used, by fsspec."""

from __future__ import annotations

import io
import pickle
import sys
from types import ModuleType

import pytest

from clusterctl.compute.data import Dataset
from clusterctl.compute.learning.beside import Beside
from clusterctl.errors import UsageError


@pytest.fixture
def fsspec(monkeypatch):
    """One that knows a single URL."""
    module = ModuleType("fsspec")
    module.asked = []

    def open_url(url, mode, **options):
        module.asked.append((url, mode, options))
        if url.startswith("gs:"):
            raise ImportError("Please install gcsfs")
        return io.BytesIO(b"a,b\n1,2\n")

    module.open = open_url
    monkeypatch.setitem(sys.modules, "fsspec", module)
    return module


def test_nothing_is_asked_before_it_is_read(fsspec):
    data = Beside().s3("bucket", "/folder/key.csv", anon=True)
    assert (data.url, fsspec.asked) == ("s3://bucket/folder/key.csv", [])
    assert data.read() == b"a,b\n1,2\n"
    assert fsspec.asked == [("s3://bucket/folder/key.csv", "rb", {"anon": True})]


def test_it_travels_as_its_name(fsspec):
    text = pickle.dumps(Beside().open("https://example.org/x"))
    assert len(text) < 200
    with pickle.loads(text).open("r", encoding="utf-8"):
        assert fsspec.asked == [("https://example.org/x", "r", {"encoding": "utf-8"})]


def test_it_shows_no_options():
    assert repr(Dataset("s3://b/k", {"secret": "hunter2"})) == "Dataset('s3://b/k')"


@pytest.mark.parametrize("read", ["read_csv", "read_parquet"])
def test_a_frame_is_read_by_pandas(fsspec, monkeypatch, read):
    pandas = ModuleType("pandas")
    setattr(pandas, read, lambda file, **options: (file.read(), options))
    monkeypatch.setitem(sys.modules, "pandas", pandas)
    assert getattr(Dataset("s3://b/k"), read)(nrows=1) == (b"a,b\n1,2\n", {"nrows": 1})


@pytest.mark.parametrize(
    ("url", "call", "missing", "library"),
    [
        ("s3://b/k", "open", "fsspec", "fsspec"),
        ("s3://b/k", "read_csv", "pandas", "pandas"),
        ("gs://b/k", "open", None, "gcsfs"),
    ],
)
def test_what_is_missing_is_named_with_both_ways_to_install_it(fsspec, monkeypatch, url, call, missing, library):
    if missing:
        monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UsageError, match=f"{library} is not installed here") as caught:
        getattr(Dataset(url), call)()
    assert f"add {library} to PACKAGES" in caught.value.remedy
    assert f"pip install {library}" in caught.value.remedy
