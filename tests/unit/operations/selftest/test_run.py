"""`selftest`: one check after the other, and the end of its cluster whatever happens."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from clusterctl.errors import ProviderError
from clusterctl.operations.selftest import run as operation
from clusterctl.operations.selftest.checks import CHECKS, Check
from clusterctl.operations.selftest.context import CheckContext, require_that
from clusterctl.operations.selftest.run import plan_selftest, run_selftest, smallest_cluster_options
from clusterctl.operations.start import start_cluster
from clusterctl.testing import FakeProvider

ENDS = ["the cluster ends", "nothing of it is left in the account"]


@dataclass
class AuditedProvider(FakeProvider):
    """Leaves what it is told to leave, each thing until it has been looked at so often."""

    remains: dict[str, int] = field(default_factory=dict)

    def audit(self, cluster):
        raise NotImplementedError

    def leftovers(self, cluster, cluster_id):
        assert cluster_id, "the cluster had one before it ended"
        found = list(self.remains)
        self.remains = {name: looks - 1 for name, looks in self.remains.items() if looks > 1}
        return found


@pytest.fixture
def bench(lab, monkeypatch):
    monkeypatch.setattr(operation, "_LOOK_S", 0.01)
    lab.provider = AuditedProvider()
    lab.provider.name = "local"
    return CheckContext(make_context=lambda plugin: lab.parts(name="selftest-1"), connect_client=lambda: None)


def it_starts(bench):
    start_cluster(bench.make_context(None))


def good(bench):
    require_that(True, "")


def broken(bench):
    require_that(False, "it is\nblue")


def verdicts_of(bench, *acts, needed=()):
    told = []
    checks = [Check(act.__name__, act, needed=act in needed) for act in (it_starts, *acts)]
    found = run_selftest(bench, told.append, checks)
    assert told == found
    return {verdict.promise: verdict for verdict in found}


def test_each_check_is_told_as_it_comes_and_the_cluster_is_ended(bench, lab):
    found = verdicts_of(bench, good)
    assert [*found] == ["it_starts", "good", *ENDS]
    assert all(verdict.ok and not verdict.why for verdict in found.values())
    assert lab.provider.machines == {}
    assert not lab.parts(name="selftest-1").folder.exists


def test_one_that_fails_says_why_in_a_line_and_the_others_go_on(bench):
    found = verdicts_of(bench, broken, good)
    assert [name for name, verdict in found.items() if not verdict.ok] == ["broken"]
    assert found["broken"].why == "it is blue"
    assert "good" in found


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ProviderError("AWS refused", remedy="ask again"), "AWS refused (try: ask again)"),
        (ZeroDivisionError("by nothing"), "ZeroDivisionError: by nothing"),
    ],
)
def test_whatever_a_check_runs_into_is_told(bench, error, why):
    def raises(bench):
        raise error

    found = verdicts_of(bench, raises, good)
    assert found["raises"].why == why
    assert found["good"].ok


def test_where_one_that_others_need_fails_only_the_end_follows(bench, lab):
    found = verdicts_of(bench, broken, good, needed=(broken,))
    assert [*found] == ["it_starts", "broken", *ENDS]
    assert lab.provider.machines == {}


def test_a_start_that_is_refused_leaves_nothing_and_says_why(bench, lab):
    lab.provider.refusal = ProviderError("no capacity", remedy="wait")
    found = verdicts_of(bench, good, needed=(it_starts,))
    assert found["it_starts"].why == "no capacity (try: wait)"
    assert lab.provider.machines == {}


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_whoever_interrupts_is_let_go_once_the_cluster_is_ended(bench, lab, interrupt):
    def interrupted(bench):
        assert len(lab.provider.machines) == 3
        raise interrupt

    with pytest.raises(interrupt):
        verdicts_of(bench, interrupted)
    assert lab.provider.machines == {}


def test_a_cluster_that_cannot_be_ended_is_named_with_how_to_end_it(bench, lab):
    lab.provider.stuck = {"master"}

    def interrupted(bench):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verdicts_of(bench, interrupted)
    assert "`clusterctl terminate selftest-1` ends it" in lab.warnings[-1]


def test_one_that_does_not_end_is_a_check_that_failed(bench, lab):
    lab.provider.stuck = {"master"}
    found = verdicts_of(bench, good)
    assert "master of selftest-1 cannot be ended" in found[ENDS[0]].why
    assert ENDS[1] not in found


def test_what_ec2_lets_go_of_later_is_waited_for(bench, lab):
    lab.provider.remains = {"vol-1": 3}
    assert verdicts_of(bench, good)[ENDS[1]].ok


def test_what_stays_is_named(bench, lab, monkeypatch):
    monkeypatch.setattr(operation, "_GONE_S", 0.05)
    lab.provider.remains = {"vol-1": 10**9, "eni-1": 10**9}
    assert verdicts_of(bench, good)[ENDS[1]].why == "still there: vol-1, eni-1"


def test_its_plan_is_a_master_on_demand_and_a_spot_worker_that_end_by_themselves(lab):
    parts = lab.parts(**{key: text for key, text in smallest_cluster_options().items() if key != "plugins"})
    master, worker = plan_selftest(parts).nodes
    assert (master.market, worker.market) == ("on-demand", "spot-with-fallback")
    assert master.types == worker.types
    assert len(worker.types) > 2
    assert parts.settings.cluster.lifetime == 2


def test_types_go_with_the_architecture_unless_they_are_named(lab):
    assert smallest_cluster_options(arch="arm64")["node_instance_type"].startswith("t4g.")
    assert smallest_cluster_options("t3.small", arch="arm64")["node_instance_type"] == "t3.small"


def test_every_promise_is_said_once_and_has_a_function_that_says_what_it_is():
    promises = [check.promise for check in CHECKS]
    assert len(set(promises)) == len(promises)
    assert all(check.run_check.__doc__ for check in CHECKS)
