"""The `static` provider: existing machines that accept SSH logins, such as those of a lab."""

from __future__ import annotations

from clusterctl.providers.static.hosts import Host, examine_hosts, make_host
from clusterctl.providers.static.provider import StaticProvider

__all__ = ["Host", "StaticProvider", "examine_hosts", "make_host"]
