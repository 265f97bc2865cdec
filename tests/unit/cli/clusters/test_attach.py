"""`attach` and `share`, as they are typed."""

from __future__ import annotations

import shutil

import pytest

from clusterctl.identity.keys import new_key_pair
from clusterctl.journal.ids import fingerprint
from clusterctl.operations.owning import record as master_record
from clusterctl.testing import FakeProvider
from clusterctl.wiring import attaching

KEY = " ".join(new_key_pair("")[1].split()[:2])


class Keyless(FakeProvider):
    """Its rights let no key in, as those to an account on EC2."""

    admit = None


@pytest.fixture
def lost(run, laptop, monkeypatch):
    """A cluster whose folder is gone; its master answers with the record that its start has made."""
    usual, said = master_record.make_record, []

    def make(*arguments):
        said.append(usual(*arguments))
        return said[-1]

    monkeypatch.setattr("clusterctl.operations.start.make_record", make)
    monkeypatch.setattr(attaching, "make_connector", lambda folder: laptop.connector)
    # What the master says names no program: the plugin of this file is not what is loaded afterwards.
    monkeypatch.setattr("clusterctl.environment.lock.resolve", lambda *_, **__: "ipyparallel==9\n")
    assert run("start", "lab").status == 0
    laptop.connector.answers = lambda call: (
        said[-1] if call.text.startswith("cat ") and "cluster.json" in call.text else ""
    )
    shutil.rmtree(laptop.home / "clusters" / "lab")
    return laptop


def test_a_lost_cluster_is_taken_over_and_brought_up(run, lost):
    said = run("attach", "lab")
    assert said.status == 0
    assert ">>> Taking lab over (local)" in said.out
    assert len(lost.provider.admitted) == 1
    assert run("start", "lab").status == 0
    again = run("attach", "lab")
    assert (again.status, "this computer's already" in again.err) == (2, True)


def test_what_no_provider_has_is_a_misspelt_name(run, lost):
    said = run("attach", "labb")
    assert said.status == 2
    assert "no provider has nodes of a cluster labb" in said.err


@pytest.fixture
def keyless(lost, monkeypatch, tmp_path):
    """Its provider lets no key in; the master shows a host key that nobody here knows."""
    lost.provider = Keyless(name="local", machines=lost.provider.machines)
    monkeypatch.setattr(attaching, "fetch_host_key", lambda node: KEY)
    (tmp_path / "mine").write_text("a key")
    return tmp_path / "mine"


def test_another_fingerprint_than_share_has_printed_is_refused_and_nothing_is_left(run, lost, keyless):
    said = run("attach", "--key", keyless, "--fingerprint", "SHA256:other", "lab")
    assert said.status == 2
    assert f"shows the host key {fingerprint(KEY)}, not SHA256:other" in said.err
    assert "another machine may pose as it" in said.err
    assert not (lost.home / "clusters" / "lab").exists()


def test_without_one_it_asks_and_a_no_or_nobody_changes_nothing(run, lost, keyless, monkeypatch):
    said = run("attach", "--key", keyless, "lab")
    assert said.status == 2
    assert "add --fingerprint" in said.err
    assert not (lost.home / "clusters" / "lab").exists()


def test_on_a_terminal_a_no_changes_nothing(run, lost, keyless, terminal):
    said = run("attach", "--key", keyless, "lab", stdin="n\n")
    assert (said.status, said.err.endswith("nothing was changed\n")) == (3, True)
    assert fingerprint(KEY) in said.err
    assert not (lost.home / "clusters" / "lab").exists()


def test_share_says_what_the_other_person_types(run, laptop, tmp_path):
    run("start", "lab")
    (tmp_path / "her.pub").write_text(f"{KEY} her\n")
    said = run("share", "lab", tmp_path / "her.pub")
    assert said.status == 0
    assert ">>> On the other computer: clusterctl attach --id" in said.out
    assert set(run("share", "--json", "lab", tmp_path / "her.pub").json) == {
        *("name", "id", "master", "host_fingerprint", "nodes")
    }
    missing = run("share", "lab", tmp_path / "none.pub")
    assert (missing.status, "cannot be read" in missing.err) == (2, True)
