"""The code of jobs on the home: whole or not at all, and nowhere but in a job's folder."""

from __future__ import annotations

import hashlib
import io
import json
import os
import time

import pytest

from clusterctl.clients.jobs.code import CodeFile, CodeStore, pack_files, read_files
from clusterctl.clients.jobs.model import JobError


def digest(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def store(tmp_path):
    return CodeStore(tmp_path / "code")


def put(store, content):
    store.put(digest(content), len(content), io.BytesIO(content).read)
    return digest(content)


def test_a_snapshot_is_copied_with_its_programs_and_links(store, tmp_path):
    files = [
        CodeFile("a/b.py", put(store, b"text"), 4),
        CodeFile("run.sh", put(store, b"#!"), 2, is_program=True),
        CodeFile("link", put(store, b"a/b.py"), 6, is_link=True),
    ]
    assert read_files(pack_files(files)) == files
    assert store.missing(files) == []
    store.copy_to(tmp_path / "work", files)
    assert (tmp_path / "work" / "link").read_bytes() == b"text"
    assert os.access(tmp_path / "work" / "run.sh", os.X_OK)
    (tmp_path / "work" / "a" / "b.py").write_text("changed")
    store.copy_to(tmp_path / "other", files)
    assert (tmp_path / "other" / "a" / "b.py").read_text() == "text"


def test_a_content_that_changed_on_its_way_is_not_kept(store):
    with pytest.raises(JobError, match="has changed"):
        store.put(digest(b"one"), 3, io.BytesIO(b"two").read)
    assert store.missing([CodeFile("a", digest(b"one"), 3)]) == [digest(b"one")]


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", ""])
def test_a_path_that_leads_out_is_refused(path):
    with pytest.raises(JobError, match="makes no sense"):
        read_files(json.dumps([[path, "0" * 64, 0, False, False]]).encode())


@pytest.mark.parametrize("content", [b"{", b"[1]", b'[["a"]]', b'[["a", "zz", 1, false, false]]'])
def test_what_is_no_list_of_files_is_refused(content):
    with pytest.raises(JobError, match="makes no sense"):
        read_files(content)


def test_what_no_job_has_used_for_long_goes(store):
    old, new = put(store, b"old"), put(store, b"new")
    past = time.time() - 31 * 86400
    os.utime(store._path(old), (past, past))
    store.sweep()
    assert store.missing([CodeFile("a", old, 3), CodeFile("b", new, 3)]) == [old]
