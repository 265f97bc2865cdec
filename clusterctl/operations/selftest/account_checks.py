"""The checks of `selftest` on what the account was asked: who we are, the market, the quotas, the prices, our address.

What the account answers may be nothing that proves the promise: then it is named as not proven, and is no failure.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from clusterctl import planning
from clusterctl.model import MASTER, Market
from clusterctl.operations.plan import make_plan
from clusterctl.operations.selftest.context import CheckFailedError, NotProvenError, require_that
from clusterctl.providers.base import Firewall, Identified, Priced

if TYPE_CHECKING:
    from clusterctl.operations.selftest.context import CheckContext
    from clusterctl.providers.money import Estimate


def account_knows_us(check_context: CheckContext) -> None:
    """The account says who it takes us for."""
    provider = check_context.make_context(None).provider
    if not isinstance(provider, Identified):
        raise CheckFailedError("this provider does not say who we are")
    require_that(provider.identity(), "it says nobody")


def worker_is_spot(check_context: CheckContext) -> None:
    """The worker is a spot instance, and the master is not."""
    markets = {node.alias: node.market for node in check_context.nodes()}
    require_that(markets.get(MASTER) == Market.ON_DEMAND, f"the master is {markets.get(MASTER)}")
    on_demand = [alias for alias, market in markets.items() if alias != MASTER and market != Market.SPOT]
    if on_demand:
        raise NotProvenError(f"{', '.join(on_demand)} had to be bought on demand: the market had no spot instance")


def address_is_asked(check_context: CheckContext) -> None:
    """SSH is open to the address that AWS sees of this computer."""
    context = check_context.make_context(None)
    cluster = context.settings.cluster
    if cluster.allow_from != ("auto",):
        raise NotProvenError("the template names addresses in ALLOW_FROM")
    if cluster.ssm or cluster.proxy_jump or cluster.address == "private" or not cluster.public_ips:
        raise NotProvenError("the template reaches nodes at private addresses")
    if not isinstance(context.provider, Firewall):
        raise CheckFailedError("this provider has no firewall of ours")
    wanted, _ = context.provider.allow_ssh(context.name)
    networks = [ipaddress.ip_network(network) for network in wanted]
    alone = len(networks) == 1 and networks[0].num_addresses == 1
    require_that(alone and networks[0].is_global, f"it is open to {', '.join(wanted) or 'nobody'}")


def quotas_are_known(check_context: CheckContext) -> None:
    """The account says what its quotas leave."""
    limits = _ask_for_prices(check_context).limits
    require_that(limits, "no quota was asked for")
    unknown = [limit.name for limit in limits if limit.left is None]
    if unknown:
        raise NotProvenError(f"the account does not say what is left of: {'; '.join(unknown)}")


def prices_are_known(check_context: CheckContext) -> None:
    """The price list and the spot market say what the nodes cost."""
    estimate = _ask_for_prices(check_context)
    require_that(estimate.is_complete, f"a price is missing: {'; '.join(estimate.notes)}")
    if estimate.notes:
        raise NotProvenError("; ".join(estimate.notes))


def _ask_for_prices(check_context: CheckContext) -> Estimate:
    """Return the estimate for two nodes like those that run. It asks as a start does."""
    context = check_context.make_context(None)
    if not isinstance(context.provider, Priced):
        raise CheckFailedError("this provider has no prices")
    return context.provider.estimate_nodes(make_plan(context, planning.node_aliases(2)), [])
