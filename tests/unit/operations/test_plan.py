"""The plan of an operation."""

from __future__ import annotations

from clusterctl import planning
from clusterctl.api import Request, hookimpl
from clusterctl.operations.plan import make_plan


class Wanting:
    def __init__(self, options):
        pass

    @hookimpl
    def clusterctl_request(self):
        return Request(pip=("a-package",))


def test_it_depends_on_nothing_but_its_input(lab):
    first, second = (make_plan(lab.parts({"a": Wanting}), planning.node_aliases(3)) for _ in range(2))
    assert first == second
    assert lab.provider.calls == []


def test_where_no_init_runs_the_services_need_a_package(lab):
    plan = make_plan(lab.parts({"a": Wanting}), ["master"])
    assert plan.request.pip == ("a-package", "supervisor>=4.2.5")
