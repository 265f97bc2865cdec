"""The promises that every provider makes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clusterctl.providers.ec2 import Ec2Provider

from ....support.ec2_lab import OPTIONS, WORKER
from ....support.provider_contract import ProviderContract


class Typed(Ec2Provider):
    """With the type and image that the contract's plans do not name."""

    def check(self, plan, *more):
        return super().check(_typed(plan), *more)

    def create(self, plan, **more):
        return super().create(_typed(plan), **more)


def _typed(plan):
    return replace(plan, user="me", nodes=tuple(replace(WORKER, alias=spec.alias) for spec in plan.nodes))


class TestContract(ProviderContract):
    @pytest.fixture
    def provider(self, lab):
        return Typed(lab.aws, options=OPTIONS, journal=lab.journal, owner=lab.owner)
