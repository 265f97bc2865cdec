"""What is to be fetched of jobs: noted on this computer, for places below the job's folder alone."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from clusterctl.errors import LostError, NewerFormatError, RemoteError, UsageError
from clusterctl.operations.jobs import wanted as wanted_module
from clusterctl.operations.jobs.wanted import Wanted, fetch_paths, fetch_wanted, note_wanted, read_wanted

WANTED = Wanted("9845a3bd4", "/home/me/code", ("model.pkl", "plots"))


def test_what_was_noted_is_read(tmp_path):
    note_wanted(tmp_path, WANTED)
    assert list(read_wanted(tmp_path)) == [WANTED]
    (tmp_path / "jobs" / "damaged.json").write_text("{")
    assert list(read_wanted(tmp_path)) == [WANTED]


def test_what_a_newer_version_has_noted_is_refused(tmp_path):
    note_wanted(tmp_path, WANTED)
    (file,) = (tmp_path / "jobs").iterdir()
    file.write_text(json.dumps({**json.loads(file.read_text()), "format": 99}))
    with pytest.raises(NewerFormatError):
        list(read_wanted(tmp_path))


@pytest.mark.parametrize("path", ["/etc/passwd", "../.ssh/config", "a/../../b", ""])
def test_a_path_that_leads_out_is_refused_whoever_has_named_it(tmp_path, path):
    with pytest.raises(UsageError, match="not below the job's folder"):
        note_wanted(tmp_path, Wanted("9845a3bd4", "/home/me", (path,)))
    with pytest.raises(UsageError, match="not below the job's folder"):
        fetch_paths(None, None, "9845a3bd4", (path,), tmp_path)


@pytest.mark.parametrize(
    ("error", "stays"),
    [
        (LostError("node001: the connection was lost", remedy="r"), True),
        (RemoteError("node001: copy: there is no model.pkl", remedy="r"), False),
    ],
)
def test_what_did_not_come_is_wanted_still_unless_there_is_none(tmp_path, monkeypatch, error, stays):
    def fail(*_):
        raise error

    monkeypatch.setattr(wanted_module, "fetch_paths", fail)
    note_wanted(tmp_path, WANTED)
    marked = []
    context = SimpleNamespace(folder=SimpleNamespace(path=tmp_path))
    jobs = SimpleNamespace(mark_fetched=marked.append)
    assert list(fetch_wanted(context, jobs, ["aaaa"])) == []
    assert list(fetch_wanted(context, jobs, [WANTED.id])) == [(WANTED, error.message)]
    assert (list(read_wanted(tmp_path)) == [WANTED], marked == []) == (stays, stays)
