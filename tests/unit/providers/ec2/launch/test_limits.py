"""What EC2 would refuse is seen before: limits of its calls and tags, scripts that no node runs, odd networks."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from clusterctl.errors import ProviderError
from clusterctl.model import Market
from clusterctl.providers.ec2.checks.plan_checks import check_plan
from clusterctl.providers.ec2.launch.fleet_requests import build_request, group_specs
from clusterctl.providers.ec2.launch.subnets import Subnet, find_subnets

from .....support.ec2_lab import BOTH, OPTIONS, plan_of
from .....support.fake_aws import FakeAws

PLAN = plan_of(2)


def raw_subnet(name, **more):
    return {"SubnetId": name, "AvailabilityZone": f"eu-west-1{name[-1]}", "VpcId": "vpc-1", **more}


def problems(**options):
    return [problem.message for problem in check_plan(PLAN, replace(OPTIONS, **options))]


class TestTags:
    def test_usual_ones_are_taken(self):
        assert problems(tags={"project": "genomes", "costs": "x" * 256}) == []

    @pytest.mark.parametrize(
        ("tags", "words"),
        [
            ({"long": "x" * 257}, "the tag long is too long"),
            ({"k" * 129: ""}, "is too long"),
            ({f"k{number}": "" for number in range(39)}, "TAGS has 39 tags"),
            ({"aws:x": "1"}, "belongs to AWS"),
            ({"clusterctl:uuid": "1"}, "belongs to AWS or to clusterctl"),
        ],
    )
    def test_what_ec2_would_refuse_is_a_problem_before(self, tags, words):
        (problem,) = problems(tags=tags)
        assert words in problem

    def test_no_resource_has_more_of_ours_than_that_leaves_room_for(self, lab):
        lab.options = replace(lab.options, lifetime_h=1, tags={f"k{number}": "v" for number in range(37)})
        lab.create(plan_of(2, home_volume=True))
        # AWS's own tags do not count.
        counts = [sum(not tag["Key"].startswith("aws:") for tag in instance["Tags"]) for instance in lab.instances()]
        assert max(counts) <= 50


class TestScripts:
    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"echo x\n", "no first line such as #!/bin/sh"),
            ("#!/bin/sh\n# Gr\u00fc\u00dfe\n".encode("latin-1"), "is not in UTF-8"),
            (b"#!/bin/sh\n#" + os.urandom(20000).hex().encode(), "is too long"),
        ],
    )
    def test_what_no_node_would_run_is_a_problem(self, tmp_path, content, words):
        script = tmp_path / "script.sh"
        script.write_bytes(content)
        (problem,) = problems(scripts=(script,))
        assert words in problem

    def test_all_of_them_together_and_what_nodes_get_besides_must_fit(self, tmp_path):
        scripts = []
        for number in range(2):
            script = tmp_path / f"{number}.sh"
            script.write_text("#!/bin/sh\n#" + os.urandom(7500).hex())
            scripts.append(script)
        assert problems(scripts=(scripts[0],)) == []
        (problem,) = problems(scripts=tuple(scripts))
        assert "USERDATA_SCRIPTS is too long" in problem

    def test_one_that_is_missing_too(self, tmp_path):
        (problem,) = problems(scripts=(tmp_path / "none.sh",))
        assert "cannot be read" in problem

    def test_a_good_one_is_none(self, tmp_path):
        script = tmp_path / "script.sh"
        script.write_text("#!/bin/sh\ntrue\n")
        assert problems(scripts=(script,)) == []


class TestPools:
    def test_more_than_one_request_takes_are_chosen_from_all_families(self):
        types = tuple(f"{family}{number}.large" for family in "cmr" for number in range(40))
        group = group_specs([replace(BOTH, types=types)])[0]
        subnets = [Subnet(f"subnet-{n}", f"eu-west-1{n}", "vpc-1", "10.0.0.0/24", "", 200) for n in "abcdef"]
        request = build_request(
            group, token="t", template="x", market=Market.SPOT, subnets=subnets, any_zone=False, fleet_tags={}
        )
        pools = request["LaunchTemplateConfigs"][0]["Overrides"]
        assert len(pools) == 300
        assert {pool["InstanceType"][0] for pool in pools} == set("cmr")
        assert len({(pool["InstanceType"], pool["SubnetId"]) for pool in pools}) == 300
        assert all(pool["AvailabilityZone"][-1] == pool["SubnetId"][-1] for pool in pools)


class TestNetworks:
    def test_subnets_of_ipv6_alone_are_left_out(self):
        both = [raw_subnet("subnet-a", CidrBlock="10.0.0.0/24"), raw_subnet("subnet-b")]
        found = find_subnets(FakeAws({"describe_subnets": both}), OPTIONS)
        assert [subnet.id for subnet in found] == ["subnet-a"]

    def test_where_there_are_no_others_that_is_said(self):
        options = replace(OPTIONS, subnets=("subnet-b",))
        with pytest.raises(ProviderError, match=r"IPv6 addresses alone: subnet-b \(eu-west-1b\)"):
            find_subnets(FakeAws({"describe_subnets": [raw_subnet("subnet-b")]}), options)
