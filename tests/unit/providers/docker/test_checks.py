"""What would stop a plan, told before anything is made."""

from __future__ import annotations

from dataclasses import replace

from clusterctl.providers.docker import checks, records

from ....support.containers import inspected, volume
from ....support.provider_contract import plan_for


class TestChecks:
    def test_a_good_plan_has_no_problem(self):
        plan = replace(plan_for("master"), volumes=(volume(id="data"),))
        assert checks.check_plan(plan) + checks.check_limits(plan, 2) + checks.check_mounts(plan, []) == []

    def test_a_disk_a_taken_path_and_a_bad_name_are_all_told(self):
        plan = replace(
            plan_for("master", cluster="no name"),
            volumes=(volume(device="/dev/sdb"), volume("home", "/home", id="x")),
        )
        told = " ".join(problem.message for problem in checks.check_plan(plan))
        assert "'no name' cannot be in the name of a container" in told
        assert "a container cannot mount a disk (/dev/sdb)" in told
        assert "/home of a node is taken" in told

    def test_more_processors_than_there_are_and_too_little_memory_are_told_once(self):
        plan = plan_for("master", "node001")
        plan = replace(plan, nodes=tuple(replace(spec, vcpus=8, memory_gb=0.01) for spec in plan.nodes))
        assert [problem.message for problem in checks.check_limits(plan, 4)] == [
            "a node shall have 8 processors, and the Docker engine has 4",
            "a node cannot work with 0.01 GB of memory",
        ]

    def test_a_volume_that_nodes_began_without_is_told(self):
        there = [records.parse_container(inspected())]
        plan = plan_for("node001", "node002")
        assert checks.check_mounts(replace(plan, volumes=(volume(id="data"),)), there) == []
        (problem,) = checks.check_mounts(replace(plan, volumes=(volume("more", "/more", id="more"),)), there)
        assert "node001 of lab began without the volume more" in problem.message
