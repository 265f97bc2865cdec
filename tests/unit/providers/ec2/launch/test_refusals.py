"""What EC2 says in place of yes: what is too new is waited for, and only a shortage is a reason to buy otherwise."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

import pytest
from clusterctl_standin.faults import ALWAYS, Fails, FleetErrors, NoCapacity, NotYet

from clusterctl.errors import ProviderError
from clusterctl.providers.ec2.launch import security_groups

from .....support.ec2_lab import BOTH, SPOT, plan_of
from .....support.sampling import rest

SIZE = 3
BLOB = "x1Y2z3" * 100


def markets(lab):
    return sorted(each.get("InstanceLifecycle", "on-demand") for each in lab.instances())


def zones(lab):
    return {each["Placement"]["AvailabilityZone"] for each in lab.instances()}


class TestTooNew:
    @pytest.mark.parametrize("action", ["AuthorizeSecurityGroupIngress", "CreateFleet"])
    def test_what_this_run_made_is_waited_for(self, lab, action):
        lab.cloud.faults.add(NotYet(action, times=5))
        assert len(lab.create(plan_of(SIZE, BOTH))) == SIZE
        assert markets(lab) == ["on-demand", "spot", "spot"]

    @pytest.mark.parametrize("code", ["InvalidGroup.NotFound", "InvalidLaunchTemplateId.VersionNotFound"])
    def test_inside_the_errors_of_a_fleet_too_by_a_launch_of_its_own(self, lab, code):
        lab.cloud.faults.add(FleetErrors(code=code, times=2))
        assert len(lab.create(plan_of(SIZE, BOTH))) == SIZE
        assert markets(lab) == ["on-demand", "spot", "spot"]
        tokens = [call.params["ClientToken"] for call in lab.cloud.calls_of("CreateFleet")]
        assert len(tokens) == len(set(tokens)) == 4  # three of the workers, one of the master
        recorded = [event["token"] for event in lab.journal("lab").events() if event["event"] == "launch"]
        assert recorded == tokens

    def test_after_a_partial_success_the_rest_is_asked_for_and_no_more(self, lab):
        lab.cloud.faults.add(FleetErrors(times=1, left=1))
        lab.cloud.capacity["c7a.large", "*", "*"] = 0
        assert len(lab.create(plan_of(5, BOTH))) == 5
        assert len(lab.instances()) == 5
        assert len(zones(lab)) == 1

    def test_a_busy_answer_in_them_is_asked_again(self, lab):
        lab.cloud.faults.add(FleetErrors(code="RequestLimitExceeded", message="Request limit exceeded.", times=2))
        assert len(lab.create(plan_of(SIZE, BOTH))) == SIZE
        assert markets(lab) == ["on-demand", "spot", "spot"]

    def test_one_that_stays_unknown_is_an_error_and_nothing_is_bought(self, lab):
        lab.cloud.faults.add(FleetErrors(times=ALWAYS))
        with pytest.raises(ProviderError, match=r"InvalidGroup\.NotFound"):
            lab.create(plan_of(SIZE, BOTH))
        assert lab.cloud.left() == []

    def test_what_this_run_did_not_make_is_not_waited_for(self, lab):
        foreign = "The security group 'sg-0123456789abcdef0' does not exist"
        lab.cloud.faults.add(FleetErrors(message=foreign, times=ALWAYS))
        with pytest.raises(ProviderError, match="sg-0123456789abcdef0"):
            lab.create(plan_of(SIZE, SPOT))
        assert len(lab.cloud.calls_of("CreateFleet")) == 1

    def test_a_group_whose_name_is_taken_is_waited_for_until_it_is_listed(self, lab, monkeypatch):
        lab.create(plan_of(1))
        real, looks = lab.aws.call, []

        def call(service, operation, **parameters):
            answer = real(service, operation, **parameters)
            if operation == "describe_security_groups" and len(looks) < 3:
                looks.append(operation)
                answer = {**answer, "SecurityGroups": []}
            return answer

        monkeypatch.setattr(lab.aws, "call", call)
        assert len(lab.create(plan_of(2))) == 2
        assert len(looks) == 3

    def test_one_that_is_never_listed_is_an_error(self, lab, monkeypatch):
        lab.create(plan_of(1))
        monkeypatch.setattr(lab.aws, "pages", lambda *args, **rest: iter(()))
        filters = [{"Name": "group-name", "Values": ["nobody's"]}]
        with pytest.raises(ProviderError, match="does not list it"):
            security_groups._wait_for_group(lab.aws, "nobody's", filters)


class TestFallback:
    @pytest.mark.parametrize(
        "code",
        [
            "InsufficientInstanceCapacity",
            *rest("UnfulfillableCapacity", "SpotMaxPriceTooLow", "MaxSpotInstanceCountExceeded"),
        ],
    )
    def test_a_shortage_is_bought_on_demand_with_its_price(self, lab, code):
        lab.cloud.faults.add(FleetErrors(code=code, message="none", market="spot"))
        lab.create(plan_of(SIZE, BOTH))
        assert markets(lab) == ["on-demand"] * 3
        (warning,) = [text for text in lab.said if "could be had" in text]
        assert code in warning
        assert re.search(r"on demand, at 0\.\d{1,6} USD an hour each, 0\.\d{1,6} an hour in all at most", warning)
        assert "000 " not in warning

    @pytest.mark.parametrize(
        "code",
        [
            "UnauthorizedOperation",
            "NewlyInvented",
            *rest("AuthFailure.ServiceLinkedRoleCreationNotPermitted", "InvalidParameterValue", "VcpuLimitExceeded"),
        ],
    )
    @pytest.mark.parametrize("left", [0, 1])
    def test_nothing_else_is_a_reason_to(self, lab, code, left):
        lab.cloud.faults.add(FleetErrors(code=code, message="no", market="spot", left=left, times=ALWAYS))
        with pytest.raises(ProviderError, match=code) as caught:
            lab.create(plan_of(6, BOTH))
        assert len(caught.value.message) < 4000
        assert lab.cloud.left() == []
        asked = [call.params["TargetCapacitySpecification"] for call in lab.cloud.calls_of("CreateFleet")]
        workers = [each for each in asked if each["TotalTargetCapacity"] > 1 or left]
        assert {each["DefaultTargetCapacityType"] for each in workers if each["TotalTargetCapacity"] > 1} == {"spot"}

    def test_nor_is_a_refusal_of_the_whole_request(self, lab):
        code = "AuthFailure.ServiceLinkedRoleCreationNotPermitted"
        lab.cloud.faults.add(Fails("CreateFleet", code=code, message="no role"))
        with pytest.raises(ProviderError, match="no role") as caught:
            lab.create(plan_of(SIZE, BOTH))
        assert "create-service-linked-role" in caught.value.remedy
        assert lab.cloud.left() == []

    def test_a_shortage_may_be_said_by_one(self, lab):
        lab.cloud.faults.add(Fails("CreateFleet", code="MaxSpotInstanceCountExceeded", message="Max spot count"))
        lab.create(plan_of(SIZE, BOTH))
        assert markets(lab) == ["on-demand"] * 3

    def test_its_price_has_a_cap(self, lab):
        lab.options = replace(lab.options, fallback_max=Decimal("0.01"))
        lab.cloud.faults.add(NoCapacity(market="spot", times=ALWAYS))
        with pytest.raises(ProviderError, match="2 of 3 nodes could not be had"):
            lab.create(plan_of(SIZE, BOTH))
        assert any("FALLBACK_MAX is 0.01 USD" in text for text in lab.said)
        assert lab.cloud.left() == []

    def test_types_below_the_cap_are_bought(self, lab):
        lab.options = replace(lab.options, fallback_max=Decimal(1))
        lab.cloud.faults.add(NoCapacity(market="spot"))
        lab.create(plan_of(SIZE, BOTH))
        assert markets(lab) == ["on-demand"] * 3


class TestZones:
    def test_another_zone_is_tried_where_the_settled_one_is_full(self, lab):
        lab.create(plan_of(SIZE, BOTH))
        (first,) = zones(lab)
        lab.provider().destroy("lab")
        lab.cloud.capacity["*", first, "on-demand"] = 0  # the workers have room there, the master has none
        lab.create(plan_of(SIZE, BOTH))
        assert len(lab.instances()) == SIZE
        assert len(zones(lab)) == 1
        assert first not in zones(lab)
        assert any(f"The zone {first} has not enough" in text for text in lab.said)

    def test_where_all_are_full_nothing_is_left(self, lab):
        lab.cloud.capacity["*", "*", "on-demand"] = 0
        with pytest.raises(ProviderError, match="InsufficientInstanceCapacity"):
            lab.create(plan_of(SIZE, BOTH))
        assert lab.cloud.left() == []

    def test_a_zone_that_was_named_is_kept(self, lab):
        lab.options = replace(lab.options, zone="us-east-1a")
        lab.cloud.capacity["*", "us-east-1a", "on-demand"] = 0
        with pytest.raises(ProviderError, match="in us-east-1a"):
            lab.create(plan_of(SIZE, BOTH))
        assert lab.cloud.left() == []


class TestWords:
    def test_errors_name_types_and_zones_and_no_bare_subnets(self, lab):
        lab.cloud.capacity["*", "*", "*"] = 0
        with pytest.raises(ProviderError, match=r"c7i.large in us-east-1a") as caught:
            lab.create(plan_of(SIZE, SPOT))
        assert "subnet-" not in caught.value.message

    def test_what_is_encoded_is_never_shown(self, lab):
        words = f"You are not authorized to perform this operation. Encoded authorization failure message: {BLOB}"
        lab.cloud.faults.add(FleetErrors(code="UnauthorizedOperation", message=words, times=ALWAYS))
        with pytest.raises(ProviderError, match="UnauthorizedOperation") as caught:
            lab.create(plan_of(SIZE, SPOT))
        said = "\n".join([caught.value.message, *lab.said])
        assert BLOB[:20] not in said
        assert len(said) < 4000
        assert lab.cloud.left() == []

    def test_it_is_decoded_where_that_is_allowed(self, lab, monkeypatch):
        decision = (
            '{"allowed": false, "explicitDeny": true, "context": {"action": "ec2:RunInstances", "resource": "r"}}'
        )
        real = lab.aws.call

        def call(service, operation, **parameters):
            if operation == "decode_authorization_message":
                assert parameters["EncodedMessage"] == BLOB
                return {"DecodedMessage": decision}
            return real(service, operation, **parameters)

        monkeypatch.setattr(lab.aws, "call", call)
        words = f"Not authorized. Encoded authorization failure message: {BLOB}"
        lab.cloud.faults.add(FleetErrors(code="UnauthorizedOperation", message=words, times=ALWAYS))
        with pytest.raises(ProviderError, match="ec2:RunInstances on r is denied by a policy"):
            lab.create(plan_of(SIZE, SPOT))

    def test_a_code_of_no_row_is_shown_once_with_the_requests_id(self, lab):
        lab.cloud.faults.add(Fails("CreateFleet", code="NewlyInvented", message="Odd words."))
        with pytest.raises(ProviderError, match=r"Odd words\. \(NewlyInvented, request [0-9a-f-]{36}\)") as caught:
            lab.create(plan_of(SIZE, SPOT))
        assert caught.value.message.count("NewlyInvented") == 1

    def test_an_unknown_instance_profile_is_told_as_one(self, lab):
        words = "Value (x) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name"
        lab.cloud.faults.add(FleetErrors(code="InvalidParameterValue", message=words, times=ALWAYS))
        with pytest.raises(ProviderError, match="Instance Profile") as caught:
            lab.create(plan_of(SIZE, SPOT))
        assert "INSTANCE_PROFILE" in caught.value.remedy


def test_fleets_are_deleted_by_as_many_as_one_call_takes(lab):
    plan = plan_of(1)
    lab.create(plan)
    journal = lab.journal("lab")
    for number in range(60):
        journal.record("launched", token=f"t{number}", nodes={}, fleet=f"fleet-{number:08d}")
    lab.provider().destroy("lab")
    sizes = [len(call.params["FleetIds"]) for call in lab.cloud.calls_of("DeleteFleets")]
    assert sizes == [25, 25, 11]
