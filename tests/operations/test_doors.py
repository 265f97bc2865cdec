"""Who may log in."""

from __future__ import annotations

import pytest

from clusterctl.errors import UsageError
from clusterctl.operations.firewall import Allowed, allow_me


def test_a_provider_without_a_firewall_says_so(lab):
    with pytest.raises(UsageError, match="no firewall"):
        allow_me(lab.parts())


def test_one_with_a_firewall_is_asked(lab):
    class Walled(type(lab.provider)):
        def allow(self, cluster):
            return ["192.0.2.7/32"], ["192.0.2.6/32"]

    lab.provider = Walled()
    assert allow_me(lab.parts()) == Allowed(("192.0.2.7/32",), ("192.0.2.6/32",))
