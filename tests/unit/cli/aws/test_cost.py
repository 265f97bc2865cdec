"""The command cost, on the stand-in."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from clusterctl.journal import ClusterFolder
from clusterctl.journal.past import make_ledger, read_past
from clusterctl.model import Market
from clusterctl.providers.ec2.pricing.lives import Life, record_lives


def life(alias, **changes):
    """An instance that ran for ten hours, and ended ten hours ago."""
    now = datetime.now(timezone.utc).replace(microsecond=0)
    ran = Life(
        f"i-{alias}",
        alias,
        "c7i.large",
        Market.ON_DEMAND,
        "us-east-1a",
        began=now - timedelta(hours=20),
        seen=now,
        stopped=now - timedelta(hours=10),
        ended=now - timedelta(hours=10),
        public_ip=True,
        disk_gb=10,
        disk_type="gp3",
    )
    return replace(ran, **changes)


@pytest.fixture
def past(laptop, cloud):
    """A cluster that has ended."""
    folder = ClusterFolder(laptop.home, "gone")
    folder.ensure_exists()
    folder.ensure_id()
    folder.record("ec2", uuid=folder.cluster_id, region="us-east-1")
    worker = life("node001", market=Market.SPOT, reason="Server.SpotInstanceTermination")
    record_lives(folder, [life("master"), worker])
    folder.delete_folder()
    return laptop


def test_a_cluster_that_has_ended_is_billed_run_by_run(run, past):
    said = run("cost")
    assert said.status == 0
    head, columns, *rows, total = said.out.splitlines()
    assert head.startswith("gone (us-east-1, ended): $")
    assert columns.split() == ["NODE", "TYPE", "MARKET", "ZONE", "FROM", "TO", "HOURS", "MACHINE", "DISKS", "ADDRESS"]
    assert [row.split()[0] for row in rows] == ["master", "node001"]
    assert rows[0].split()[-4:] == ["10.00", "0.8920", "0.0110", "0.0500"]
    assert total.startswith("In all: $")


def test_json_has_every_run(run, past):
    (cluster,) = run("cost", "gone", "--json").json
    assert (cluster["name"], cluster["exists"], cluster["notes"]) == ("gone", False, [])
    assert [one["node"] for one in cluster["runs"]] == ["master", "node001"]
    first = cluster["runs"][0]
    assert (first["hours"], first["machine_usd"], first["address_usd"]) == (10.0, 0.892, 0.05)
    total = sum(one[key] for one in cluster["runs"] for key in ("machine_usd", "disks_usd", "address_usd"))
    assert cluster["usd"] == pytest.approx(total, abs=1e-5)


def test_only_what_was_since_then_counts(run, past):
    (cluster,) = run("cost", "--since", "15h", "--json").json
    assert cluster["runs"][0]["hours"] == pytest.approx(5, abs=0.01)
    assert run("cost", "--since", "5h", "--json").json == []
    assert run("cost", "--since", "yesterday").status == 2
    assert "write 12h" in run("cost", "--since", "yesterday").err


def test_what_is_not_known_is_said(run, past):
    assert run("cost", "other").out == "Nothing that other cost is known here.\n"


def test_clusters_that_cost_nothing_have_no_bill_and_leave_no_ledger(run, laptop, cloud):
    assert run("start", "lab").status == 0
    assert run("cost").out == "Nothing that any cluster of this computer cost is known here.\n"
    assert run("terminate", "--yes", "lab").status == 0
    assert read_past(laptop.home) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": 1}', '{"events": {}}'])
def test_a_ledger_that_is_damaged_is_left_out(run, past, text):
    (past.home / "past" / "other.1.json").write_text(text)
    assert [one["name"] for one in run("cost", "--json").json] == ["gone"]


def test_a_disk_that_is_full_keeps_no_cluster_from_ending(laptop, cloud):
    folder = ClusterFolder(laptop.home, "full")
    folder.ensure_exists()
    folder.ensure_id()
    record_lives(folder, [life("master")])
    assert make_ledger("full", "x", folder.events()).events
    (laptop.home / "past").write_text("no folder")
    folder.delete_folder()
    assert not folder.path.exists()
