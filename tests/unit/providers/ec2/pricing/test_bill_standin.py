"""What a cluster's life costs, against the bill that the stand-in keeps by itself, within 1 %."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from clusterctl.clock import utc_now
from clusterctl.errors import ProviderError, StateError
from clusterctl.journal import ClusterFolder
from clusterctl.journal.past import make_ledger, read_past
from clusterctl.model import Market
from clusterctl.providers.ec2.pricing import lives
from clusterctl.providers.ec2.pricing.bill import compute_bill
from clusterctl.providers.ec2.pricing.lives import UNSEEN, read_lives
from clusterctl.providers.ec2.pricing.volume_lives import read_volumes
from clusterctl.testing import FakeClock

from .....support.ec2_lab import BOTH, SPOT, plan_of

pytestmark = pytest.mark.slow
HOUR = 3600


@pytest.fixture
def clock(lab, cloud, monkeypatch):
    """A clock for the program and the cloud that only the test moves, and waits that are short."""
    with FakeClock(datetime.now(timezone.utc).replace(microsecond=0)).installed() as clock:
        cloud.follow(clock.time)
        yield clock


def billed(lab, *, since=None):
    """What `cost` says now."""
    lab.provider().note_lives("lab")
    events = lab.journal("lab").events()
    return compute_bill(lab.aws, read_lives(events), read_volumes(events), since=since, now=utc_now())


def check(lab, cloud):
    bill, true = billed(lab), cloud.bill_usd("lab")
    assert bill.notes == ()
    assert true > 0
    assert float(bill.usd) == pytest.approx(true, rel=0.01)
    return bill


def machine_of(lab, alias):
    return next(node.machine_id for node in lab.provider().nodes("lab") if node.alias == alias)


def test_it_is_the_bill_after_each_turn_of_a_clusters_life(lab, cloud, clock):
    for zone in "abcdef":
        for kind in ("c7i.large", "c7a.large"):
            cloud.capacity[kind, f"us-east-1{zone}", "spot"] = 1 if kind == "c7i.large" else 0
    lab.create(plan_of(3, BOTH))
    clock.advance(5 * HOUR)
    markets = [line.market for line in check(lab, cloud).lines]
    assert sorted(markets) == [Market.ON_DEMAND, Market.ON_DEMAND, Market.SPOT]  # one of the workers by fallback

    lab.create(plan_of(4, BOTH))  # addnode
    clock.advance(3 * HOUR)
    check(lab, cloud)

    (taken,) = [node for node in lab.provider().nodes("lab") if node.market == Market.SPOT]
    cloud.interrupt(taken.machine_id, notice_s=0)
    clock.advance(HOUR // 2)
    assert check(lab, cloud).lines[0].began
    clock.advance(30 * HOUR)
    check(lab, cloud)
    lab.create(plan_of(4, BOTH))  # its successor
    clock.advance(7 * HOUR)
    check(lab, cloud)

    lab.provider().stop("lab")
    clock.advance(20 * HOUR)
    bill = check(lab, cloud)
    assert all(line.stopped for line in bill.lines)
    lab.create(plan_of(4, BOTH))
    clock.advance(2 * HOUR)
    check(lab, cloud)

    lab.provider().destroy("lab", ["node003"])
    clock.advance(HOUR)
    check(lab, cloud)
    lab.provider().destroy("lab")
    end = float(check(lab, cloud).usd)
    clock.advance(100 * HOUR)
    assert float(check(lab, cloud).usd) == pytest.approx(end)

    journal = lab.journal("lab")
    ledger = make_ledger("lab", journal.cluster_id, journal.events())
    journal.delete_folder()
    (past,) = read_past(lab.home)
    assert (past.name, past.id, past.region, past.exists) == ("lab", ledger.id, "us-east-1", False)
    assert read_lives(past.events) == read_lives(ledger.events)


def home_usd(bill):
    return sum(float(line.usd) for line in bill.lines if line.market is None)


def test_the_volume_of_a_home_counts_until_it_is_deleted(lab, cloud, clock):
    plan = plan_of(2, SPOT, home_volume=True)
    lab.create(plan)
    clock.advance(100 * HOUR)
    assert home_usd(check(lab, cloud)) == pytest.approx(50 * 0.08 / 730 * 100, rel=0.01)

    ids = [node.machine_id for node in lab.provider().nodes("lab")]
    cloud.client("ec2").terminate_instances(InstanceIds=ids)  # a cluster that ends by itself
    before = home_usd(billed(lab))
    clock.advance(400 * HOUR)
    assert home_usd(check(lab, cloud)) == pytest.approx(5 * before, rel=0.01), "it stays, and is billed"
    lab.create(plan)

    (volume,) = [line.id for line in check(lab, cloud).lines if line.market is None]
    cloud.client("ec2").modify_volume(VolumeId=volume, Size=150)
    check(lab, cloud)
    clock.advance(200 * HOUR)
    bill = check(lab, cloud)
    assert [line.type for line in bill.lines if line.market is None] == ["50 GB of gp3", "150 GB of gp3"]

    lab.provider().destroy("lab")
    whole = home_usd(check(lab, cloud))
    clock.advance(300 * HOUR)
    assert home_usd(check(lab, cloud)) == pytest.approx(whole)
    journal = lab.journal("lab")
    ledger = make_ledger("lab", journal.cluster_id, journal.events())
    journal.delete_folder()
    assert read_volumes(read_past(lab.home)[0].events) == read_volumes(ledger.events) != []


def test_a_home_that_another_account_does_not_know_is_not_gone_for_good(lab, cloud, clock, monkeypatch):
    lab.create(plan_of(1, home_volume=True))
    clock.advance(5 * HOUR)
    billed(lab)
    with monkeypatch.context() as patch:
        patch.setattr(type(lab.aws), "pages", lambda *_, **__: [])
        patch.setattr(lives, "read_instances", lambda *_, **__: [])
        lab.provider()._clusters.look_at_lives("lab")
    (life,) = read_volumes(lab.journal("lab").events())
    assert life.ended
    clock.advance(HOUR)
    check(lab, cloud)


@pytest.mark.parametrize("raw", [7, {}, {"id": "vol-1", "type": "gp3", "zone": "a", "gb": "x", "began": "2026-01-01"}])
def test_what_a_journal_says_of_no_volume_is_left_out(raw):
    assert read_volumes([{"event": "homes", "homes": [raw]}, {"event": "homes", "homes": "no"}]) == []


def test_what_was_before_does_not_count(lab, cloud, clock):
    lab.create(plan_of(1))
    clock.advance(10 * HOUR)
    whole, now = billed(lab), utc_now()
    clock.advance(10 * HOUR)
    assert float(billed(lab, since=now).usd) == pytest.approx(float(whole.usd), rel=0.01)
    assert billed(lab, since=utc_now()).usd == 0


def test_nodes_that_a_failed_start_had_for_a_minute_count_too(lab, cloud, clock):
    for zone in "abcdef":
        cloud.capacity["*", f"us-east-1{zone}", "spot"] = 1
    with pytest.raises(ProviderError):
        lab.create(plan_of(4, SPOT))
    assert lab.instances() == []
    assert cloud.bill_usd("lab") > 0
    check(lab, cloud)


def test_an_end_that_nobody_saw_is_counted_up_to_the_latest_that_it_can_have_been(lab, cloud, clock):
    nodes = {node.alias: node for node in lab.create(plan_of(2, SPOT))}
    cloud.interrupt(nodes["node001"].machine_id, notice_s=0)
    cloud.lives.forget(nodes["node001"].machine_id)
    clock.advance(5 * HOUR)
    (line,) = [line for line in billed(lab).lines if line.alias == "node001"]
    assert float(line.hours) == pytest.approx(4, rel=0.01)
    (life,) = [life for life in read_lives(lab.journal("lab").events()) if life.alias == "node001"]
    assert life.reason == UNSEEN
    clock.advance(5 * HOUR)
    assert [one.hours for one in billed(lab).lines if one.alias == "node001"] == [line.hours]


def test_an_account_that_does_not_know_it_ends_nothing_for_good(lab, cloud, clock, monkeypatch):
    lab.create(plan_of(1))
    clock.advance(5 * HOUR)
    with monkeypatch.context() as patch:
        patch.setattr(lives, "read_instances", lambda *_, **__: [])
        (life,) = lab.provider()._clusters.look_at_lives("lab")
    assert life.reason == UNSEEN
    clock.advance(HOUR)
    check(lab, cloud)


def test_a_disk_that_is_full_keeps_no_cluster_from_ending(lab, cloud, clock, monkeypatch):
    lab.create(plan_of(1))
    record = ClusterFolder.record

    def refuse(self, event, **facts):
        if event == "lives":
            raise StateError("no space left", remedy="free some")
        record(self, event, **facts)

    monkeypatch.setattr(ClusterFolder, "record", refuse)
    lab.provider().destroy("lab")
    assert lab.instances() == []
    assert len(lab.create(plan_of(2))) == 2
