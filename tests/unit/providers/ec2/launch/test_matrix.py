"""Every error code of the table at every call of start, addnode, removenode, stop and terminate; and two of no row.

The cluster has its home on a volume and is in a placement group, so that all calls are made. Each code is given to all
calls of one operation, or to those after the first, and inside the errors of a fleet with nothing or something in each
pool. Whatever is said, what runs is known, nothing is left unnamed, and nothing is bought on demand that was not agreed
to. A run takes a sample; `pytest -n 0 --whole --require slow -k whole-stop` with this file takes all of a stop. A test
takes a part of the operations, so that some may run beside others, and one that fails is told within minutes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import pytest
from clusterctl_standin.faults import ALWAYS, FleetErrors

from clusterctl.errors import ClusterctlError
from clusterctl.providers.ec2.answers.lookup import find_row
from clusterctl.providers.ec2.answers.rows import Kind, Road

from .....support.ec2_lab import BOTH, plan_of
from .....support.refusals import CODES, WORDS, refusal

pytestmark = [pytest.mark.slow, pytest.mark.timeout(5400)]

COMMANDS = ("start", "start-stopped", "addnode", "removenode", "stop", "terminate")
SIZE = 3
PARTS = 8


@dataclass(frozen=True, order=True)
class Case:
    """A command, the operation that is refused in it, the code, and where."""

    command: str
    action: str
    code: str
    place: str
    """``all`` calls, those ``after the first``, or the ``errors`` of a fleet that gives 0 or 1 of each pool."""

    def fault(self):
        if self.place.startswith("errors"):
            return FleetErrors(code=self.code, message=WORDS, left=int(self.place[-1]), market="spot", times=ALWAYS)
        return refusal(self.action, self.code, skip=int(self.place == "after the first"))


@pytest.fixture
def lab(lab):
    lab.options = replace(lab.options, placement_group=True)
    return lab


def prepare(lab, command):
    """What there is before the command."""
    if command != "start":
        lab.create(plan_of(2, BOTH, home_volume=True))
    if command == "start-stopped":
        lab.provider().stop("lab")


def run(lab, command):
    if command in {"start", "start-stopped", "addnode"}:
        lab.create(plan_of(SIZE, BOTH, home_volume=True))
    elif command == "removenode":
        lab.provider().destroy("lab", ["node001"])
    elif command == "stop":
        lab.provider().stop("lab")
    else:
        lab.provider().destroy("lab")


def clean_up(lab):
    lab.cloud.faults.clear()
    lab.provider().destroy("lab")
    assert lab.cloud.left() == []
    lab.journal("lab").delete_folder()
    for life in lab.cloud.lives:
        lab.cloud.lives.forget(life.id)
    lab.cloud.clear_calls()
    lab.events.clear()


def actions_of(lab, command):
    """The operations of a command, and how often each is called."""
    prepare(lab, command)
    lab.cloud.clear_calls()
    run(lab, command)
    actions = Counter(call.action for call in lab.cloud.calls)
    clean_up(lab)
    return actions


def cases_of(lab, command, part):
    """Every case of a part of the operations of a command, in an order that is the same in every run."""
    cases = set()
    for action, count in sorted(actions_of(lab, command).items())[part::PARTS]:
        places = ["all"]
        places += ["after the first"] if count > 1 else []
        places += ["errors 0", "errors 1"] if action == "CreateFleet" else []
        cases |= {Case(command, action, code, place) for code in CODES for place in places}
    return sorted(cases)


def workers_on_demand(lab):
    """Workers that run on demand, past everything of ours."""
    return [
        each["InstanceId"]
        for each in lab.instances()
        if {"Key": "clusterctl:role", "Value": "worker"} in each["Tags"] and "InstanceLifecycle" not in each
    ]


def check(lab, case):
    """Run one case."""
    prepare(lab, case.command)
    before = {each["InstanceId"] for each in lab.instances()}
    lab.events.clear()
    lab.cloud.faults.add(case.fault())
    error = None
    try:
        run(lab, case.command)
    except ClusterctlError as exc:
        error = exc
    lab.cloud.faults.clear()
    said = "\n".join([*lab.said, *([error.message, error.remedy] if error else [])])
    row = find_row(case.code, message=WORDS)
    assert len(said) < 4000, case
    assert "aB3aB3" not in said, case
    assert error is None or error.remedy, case
    if error is not None:
        assert case.code in said, case  # the reason is told, by its name
    living = {each["InstanceId"] for each in lab.instances()}
    assert living == {node.machine_id for node in lab.provider().nodes("lab")}, case
    if row.road != Road.ON_DEMAND:
        assert workers_on_demand(lab) == [], case
    elif workers_on_demand(lab):
        assert "USD an hour each" in said, case
    if error is not None and case.command == "start":
        assert lab.cloud.left() == [] or "not all could be undone" in said, case
    if error is not None and case.command in {"addnode", "start-stopped"}:
        assert living == before or "not all could be undone" in said, case
    if error is None and case.command == "terminate":
        assert lab.cloud.left() == [], case
    if error is None and case.command == "removenode":
        assert len(living) == 1, case
    if case.place.startswith("errors"):
        check_fleet(lab, case, row, error)
    clean_up(lab)


def fault_of(lab, case):
    """Return what is wrong with a case; empty if it is as it should be. One that fails hides no other."""
    try:
        check(lab, case)
    except AssertionError as exc:
        clean_up(lab)
        return f"{case}: {str(exc)[:500]}"
    return ""


def check_fleet(lab, case, row, error):
    """The outcome is the one that the row says."""
    shortages = {Kind.CAPACITY, Kind.PRICE, Kind.QUOTA, Kind.POOL}
    if row.road == Road.ON_DEMAND:
        assert error is None, case
        assert len(lab.instances()) == SIZE, case
    elif row.kind not in shortages and row.road != Road.ELSEWHERE and case.place == "errors 0":
        assert error is not None, case
        assert error.remedy == row.remedy, case


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.seeds(1, 2)
def test_every_code_at_every_call(lab, sample, command, part):
    cases = cases_of(lab, command, part)
    fleets = [case for case in cases if case.action == "CreateFleet"]
    chosen = dict.fromkeys([*sample.of(cases, 1), *sample.of(fleets, 5)])
    print(f"{command}, part {part}: {len(chosen)} of {len(cases)} cases")  # shown by -rP
    wrong = [fault for case in chosen if (fault := fault_of(lab, case))]
    assert wrong == []


@pytest.mark.parametrize(
    ("command", "calls"),
    [
        ("start", {"CreateFleet", "CreateLaunchTemplate", "CreateSecurityGroup", "AuthorizeSecurityGroupIngress"}),
        ("start", {"CreatePlacementGroup", "CreateVolume", "AttachVolume"}),
        ("start-stopped", {"StartInstances", "CreateFleet"}),
        ("addnode", {"CreateFleet", "CreateLaunchTemplate", "DeleteLaunchTemplate", "DescribeInstances"}),
        ("removenode", {"TerminateInstances"}),
        ("stop", {"StopInstances", "TerminateInstances"}),
        (
            "terminate",
            {"TerminateInstances", "DeleteSecurityGroup", "DeletePlacementGroup", "DeleteVolume", "DeleteFleets"},
        ),
    ],
)
def test_the_cases_are_of_the_calls_that_change_something(lab, command, calls):
    assert calls <= actions_of(lab, command).keys()
