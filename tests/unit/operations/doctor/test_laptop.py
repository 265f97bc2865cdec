"""Files that others may use, disks that are full, and versions."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from clusterctl.formats import VERSION
from clusterctl.operations.doctor import laptop
from clusterctl.operations.doctor.checks import Outcome, run_checks
from clusterctl.operations.start import start_cluster


@pytest.fixture
def home(lab):
    start_cluster(lab.parts())
    lab.home.chmod(0o755)
    return lab.home


def troubles(home):
    return {
        (finding.outcome, finding.remedy) for finding in laptop.look_at_files(home) if finding.outcome != Outcome.OK
    }


def test_files_as_we_make_them_are_closed(home):
    (finding,) = laptop.look_at_files(home)
    assert finding.outcome == Outcome.OK
    assert "with 1 cluster," in finding.detail


def test_no_files_at_all_are_fine(tmp_path):
    (finding,) = laptop.look_at_files(tmp_path / "none")
    assert (finding.outcome, finding.remedy) == (Outcome.OK, "")


@pytest.mark.parametrize(
    ("name", "mode", "wanted"),
    [
        ("", 0o775, "go-w"),
        ("clusters/lab", 0o755, "700"),
        ("clusters/lab/id_ed25519", 0o644, "600"),
        ("clusters/lab/config.json", 0o640, "600"),
    ],
)
def test_what_others_may_use_fails_with_the_command_that_closes_it(home, name, mode, wanted):
    (home / name).chmod(mode)
    assert troubles(home) == {(Outcome.FAILED, f"chmod {wanted} {home / name}")}


def test_a_config_that_others_may_read_is_a_warning(home):
    (home / "config").write_text("")
    (home / "config").chmod(0o644)
    assert troubles(home) == {(Outcome.WARNING, f"chmod 600 {home / 'config'}")}


def test_what_belongs_to_another_user_fails(home, monkeypatch):
    key = home / "clusters" / "lab" / "id_ed25519"
    monkeypatch.setattr(laptop, "is_own", lambda path: path != key)
    assert troubles(home) == {(Outcome.FAILED, f"sudo chown -R $(id -u) {key}")}


def test_a_home_that_cannot_be_written_fails(home, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    (finding,) = laptop.look_at_files(home)
    assert finding.outcome == Outcome.FAILED
    assert "chown" in finding.remedy


def test_a_file_that_cannot_be_asked_about_is_named(home, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(laptop, "permissions_of", refuse)
    assert all(finding.detail.endswith("cannot be read: Permission denied") for finding in laptop.look_at_files(home))
    assert laptop.look_at_files(home)


@pytest.mark.parametrize(
    ("free", "outcome"),
    [(50_000_000_000, Outcome.OK), (500_000_000, Outcome.WARNING), (5_000_000, Outcome.FAILED)],
)
def test_space_is_enough_or_short_or_gone(tmp_path, monkeypatch, free, outcome):
    monkeypatch.setattr(laptop.shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    finding = laptop.look_at_disk(tmp_path / "not" / "made")
    assert finding.outcome == outcome
    assert finding.detail.endswith(f"in {tmp_path}")
    assert bool(finding.remedy) == (outcome != Outcome.OK)


def test_all_of_it_is_looked_at(home):
    findings = run_checks(laptop.checks_of_laptop(home))
    assert [finding.item for finding in findings] == ["versions", "files", "disk"]
    assert VERSION in findings[0].detail
