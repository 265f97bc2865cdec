"""Who may log in."""

from __future__ import annotations

import pytest

from clusterctl.errors import UsageError
from clusterctl.operations.nodes.firewall import AllowedNetworks, allow_this_computer


def test_a_provider_without_a_firewall_says_so(lab):
    with pytest.raises(UsageError, match="no firewall"):
        allow_this_computer(lab.parts())


def test_one_with_a_firewall_is_asked(lab):
    class Walled(type(lab.provider)):
        def allow_ssh(self, cluster):
            return ["192.0.2.7/32"], ["192.0.2.6/32"]

    lab.provider = Walled()
    assert allow_this_computer(lab.parts()) == AllowedNetworks(("192.0.2.7/32",), ("192.0.2.6/32",))
