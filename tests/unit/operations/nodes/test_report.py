"""The archive for who helps: whole where all is well, without secrets, and there when something is broken."""

from __future__ import annotations

import json
import os
import tarfile

import pytest

from clusterctl.config.ini import Origin
from clusterctl.config.settings import ChosenOption
from clusterctl.errors import ConfigError, RemoteError, StateError
from clusterctl.model import NodeState
from clusterctl.operations.nodes.report import pack_report
from clusterctl.operations.start import start_cluster
from clusterctl.remote.base import Result
from clusterctl.secret import Secret

MARKERS = {
    name: f"Marker-{name}-0123456789" for name in ("key", "token", "private", "option", "environment", "printed")
}


@pytest.fixture
def parts(lab, monkeypatch):
    """A cluster with a marker in place of every secret."""
    made = lab.parts()
    start_cluster(made)
    folder = made.folder
    folder.write_file("client.json", json.dumps({"key": MARKERS["key"], "ssh": ""}))
    url = f"http://127.0.0.1:1/lab?token={MARKERS['token']}"
    one = {"name": "notebook", "file": None, "url": url, "summary": "", "usage": "", "ports": {"web": 1}}
    folder.write_file("connections.json", json.dumps([one]))
    folder.private_key_file.write_text(f"{MARKERS['private']}\n")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", MARKERS["environment"])
    log = "\n".join([*MARKERS.values(), f"password={MARKERS['printed']}"]).replace(f"{MARKERS['printed']}\n", "", 1)
    folder.log_file("master").write_text(log)
    lab.connector.answers = {"*": Result(0, f"==> engine-0.log\n{log}\n", "")}
    folder.record("note", key="k", value=MARKERS["option"])
    return made


def options():
    return [
        ChosenOption("plugin.mine.password", Secret(MARKERS["option"]), Origin("default")),
        ChosenOption("cluster.cluster_size", 3, Origin("default")),
    ]


def unpack(report):
    with tarfile.open(report.file) as archive:
        return {
            member.name.partition("/")[2]: archive.extractfile(member).read().decode()
            for member in archive.getmembers()
        }


def test_it_has_what_is_known_and_no_secret(parts, tmp_path):
    report = pack_report(parts, tmp_path / "r.tar.gz", list_options=options)
    files = unpack(report)
    assert report.members == tuple(sorted(files))
    assert report.missing == ()
    assert {"versions.json", "state.json", "options.txt", "laptop/journal.jsonl", "laptop/timings.json"} <= {*files}
    assert {"nodes/master.txt", "nodes/node001.txt", "laptop/master.log"} <= {*files}
    assert "cluster.cluster_size = 3" in files["options.txt"]
    assert json.loads(files["versions.json"])["libraries"]["ipyparallel"]
    assert json.loads(files["state.json"])["state"] == "running"
    assert "engine-0.log" in files["nodes/master.txt"]
    for name, text in files.items():
        assert not [marker for marker in MARKERS.values() if marker in text], name


def test_nobody_else_may_read_it(parts, tmp_path):
    report = pack_report(parts, tmp_path / "r.tar.gz", list_options=options)
    assert report.file.stat().st_mode & 0o777 == 0o600


def test_what_is_broken_is_named_and_the_rest_is_there(lab, parts, tmp_path):
    def broken():
        raise ConfigError(("no such option",), remedy="none")

    place = ("lab", "node001")
    lab.provider.machines[place] = lab.provider.machines[place].__class__(
        **{**vars(lab.provider.machines[place]), "state": NodeState.STOPPED}
    )
    lab.connector.answers = {"*": RemoteError("master does not answer", remedy="none", node="master")}
    report = pack_report(parts, tmp_path / "r.tar.gz", list_options=broken, trouble="the config is gone")
    assert report.missing[0] == "the config is gone"
    assert "options: no such option" in report.missing
    assert any("node001: stopped" in line for line in report.missing)
    assert any("master does not answer" in line for line in report.missing)
    assert "laptop/journal.jsonl" in unpack(report)
    assert unpack(report)["missing.txt"].splitlines() == list(report.missing)


def test_a_log_without_end_is_cut(parts, tmp_path):
    with parts.folder.log_file("master").open("wb") as log:
        log.truncate(50_000_000)
        log.seek(0, os.SEEK_END)
        log.write(b"the end")
    files = unpack(pack_report(parts, tmp_path / "r.tar.gz", list_options=options))
    assert len(files["laptop/master.log"]) <= 2_000_000
    assert files["laptop/master.log"].endswith("the end")


def test_an_archive_that_cannot_be_written_is_an_error_with_a_remedy(parts, tmp_path):
    with pytest.raises(StateError, match="cannot write") as caught:
        pack_report(parts, tmp_path / "no" / "r.tar.gz", list_options=options)
    assert "-o" in caught.value.remedy
