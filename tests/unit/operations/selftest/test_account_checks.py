"""What `selftest` says of the account: proven, not proven, or wrong."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import pytest

from clusterctl.model import Market
from clusterctl.operations.selftest import account_checks
from clusterctl.operations.selftest.context import CheckContext, CheckFailedError, NotProvenError
from clusterctl.providers.money import Estimate, PriceRange, QuotedGroup, QuotedLimit
from clusterctl.testing import fake_node

USD = PriceRange(Decimal(1), Decimal(1))
GROUP = QuotedGroup("master", 2, ("c7i-flex.large",), Market.ON_DEMAND, "", USD, USD)
KNOWN = Estimate("here", (GROUP,), (), (QuotedLimit("spot", 2, 30),), ())


class Provider:
    """Answers as it is told to."""

    def __init__(self, nodes=(), estimate=KNOWN, who="arn:aws:iam::1:user/me in here", open_to=("203.1.2.3/32",)):
        self._nodes, self._estimate, self._who, self._open_to = nodes, estimate, who, open_to

    def nodes(self, cluster):
        return list(self._nodes)

    def identity(self):
        return self._who

    def estimate_nodes(self, plan, existing):
        return self._estimate

    def spending(self, cluster, nodes):
        raise NotImplementedError

    def allow_ssh(self, cluster):
        return list(self._open_to), list(self._open_to)


@pytest.fixture(autouse=True)
def _no_plan(monkeypatch):
    monkeypatch.setattr(account_checks, "make_plan", lambda context, wanted: wanted)


def bench(provider, **options):
    reached = {"allow_from": ("auto",), "ssm": False, "proxy_jump": None, "address": "auto", "public_ips": True}
    cluster = SimpleNamespace(**{**reached, **options})
    context = SimpleNamespace(name="selftest-1", provider=provider, settings=SimpleNamespace(cluster=cluster))
    return CheckContext(make_context=lambda _: context, connect_client=lambda: None)


def nodes(worker):
    return (
        replace(fake_node("master"), market=Market.ON_DEMAND),
        replace(fake_node("node001"), market=worker),
    )


def test_what_the_account_says_is_proof():
    told = bench(Provider(nodes(Market.SPOT)))
    for check in (
        account_checks.account_knows_us,
        account_checks.worker_is_spot,
        account_checks.address_is_asked,
        account_checks.quotas_are_known,
        account_checks.prices_are_known,
    ):
        check(told)


def test_a_worker_that_was_bought_on_demand_proves_nothing_of_spot():
    with pytest.raises(NotProvenError, match="node001 had to be bought on demand"):
        account_checks.worker_is_spot(bench(Provider(nodes(Market.ON_DEMAND))))


def test_a_spot_master_is_wrong():
    markets = tuple(replace(node, market=Market.SPOT) for node in nodes(Market.SPOT))
    with pytest.raises(CheckFailedError, match="the master is"):
        account_checks.worker_is_spot(bench(Provider(markets)))


def test_quotas_and_prices_that_are_not_told_are_named():
    quiet = replace(KNOWN, limits=(QuotedLimit("spot", 2, None),), notes=("prices were shipped with clusterctl",))
    with pytest.raises(NotProvenError, match="does not say what is left of: spot"):
        account_checks.quotas_are_known(bench(Provider(estimate=quiet)))
    with pytest.raises(NotProvenError, match="were shipped with clusterctl"):
        account_checks.prices_are_known(bench(Provider(estimate=quiet)))


def test_a_price_that_is_missing_is_wrong():
    with pytest.raises(CheckFailedError, match="a price is missing"):
        account_checks.prices_are_known(
            bench(Provider(estimate=replace(KNOWN, groups=(replace(GROUP, node_price=None),))))
        )


@pytest.mark.parametrize(
    "options",
    [{"allow_from": ("192.0.2.0/24",)}, {"ssm": True}, {"address": "private"}, {"public_ips": False}],
    ids=str,
)
def test_a_template_that_does_not_ask_for_our_address_proves_nothing_of_it(options):
    with pytest.raises(NotProvenError, match="the template"):
        account_checks.address_is_asked(bench(Provider(), **options))


@pytest.mark.parametrize("networks", [(), ("0.0.0.0/0",), ("10.0.0.1/32",), ("203.1.2.3/32", "203.1.2.4/32")])
def test_anything_but_one_public_address_is_wrong(networks):
    with pytest.raises(CheckFailedError, match="it is open to"):
        account_checks.address_is_asked(bench(Provider(open_to=networks)))
