"""The way out of the default VPC: an internet gateway, and a route of the main table that leads there.

From "Default VPCs": every new account has both. moto has neither.
"""

from __future__ import annotations

from typing import Any


def seed(backend: Any) -> None:
    """Make them in a region that is used for the first time."""
    vpc = backend.get_default_vpc()
    if vpc is None:
        return
    gateway = backend.create_internet_gateway()
    backend.attach_internet_gateway(gateway.id, vpc.id)
    tables = (table for table in backend.route_tables.values() if table.vpc_id == vpc.id and table.main_association_id)
    backend.create_route(next(tables).id, "0.0.0.0/0", gateway_id=gateway.id)
