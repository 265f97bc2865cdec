"""Who answers an action in moto's place. Everything else is moto's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import account
from ..fleets import fleets, spot
from ..instances import describe, imaging, machines, parameters, running, states
from ..money import pricelist, prices, quotas
from ..network import groups, placement
from . import tagging

if TYPE_CHECKING:
    from collections.abc import Callable

OWNERS = (
    account,
    fleets,
    groups,
    imaging,
    describe,
    machines,
    parameters,
    placement,
    pricelist,
    prices,
    quotas,
    running,
    spot,
    states,
    tagging,
)
HANDLERS: dict[tuple[str, str], Callable[[Any, Any], Any]] = {
    key: handler for owner in OWNERS for key, handler in owner.HANDLERS.items()
}
