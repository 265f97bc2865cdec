"""`clusterctl selftest ec2`: it asks before, says each check in a line, and exits with 0 only if all hold."""

from __future__ import annotations

import pytest

from clusterctl.events import Reporter
from clusterctl.operations.selftest import run as operation
from clusterctl.operations.selftest.checks import Check
from clusterctl.operations.selftest.context import NotProvenError, require_that
from clusterctl.operations.start import start_cluster
from clusterctl.wiring import providers
from clusterctl.wiring.context import selftest_contexts

from ....support.priced import PricedProvider


@pytest.fixture
def provider(laptop, monkeypatch):
    """Where EC2 is, for these tests, and a checker that has two things to look at."""
    made = PricedProvider()
    made.name = "ec2"
    monkeypatch.setitem(providers._PROVIDERS, "ec2", lambda settings: made)
    return made


def it_starts(bench):
    parts = bench.make_context(None)
    nobody = parts.with_plugins(parts.plugin_host.restrict_to(""))
    start_cluster(nobody)


def only_two(bench):
    require_that(len(bench.make_context(None).provider.nodes()) == 2, "there are not two")


def never(bench):
    require_that(False, "it is blue")


@pytest.fixture
def checks(monkeypatch):
    def use(*acts):
        found = tuple(Check(act.__name__, act) for act in acts)
        real = operation.run_selftest
        monkeypatch.setattr(operation, "run_selftest", lambda bench, on_verdict: real(bench, on_verdict, found))

    return use


def test_nobody_there_to_say_yes_starts_nothing_and_sees_what_it_would_cost(run, provider, checks):
    checks(it_starts)
    said = run("selftest", "ec2")
    assert said.status == 2
    assert "Start 2 nodes for $" in said.err
    assert "2 workers: c7i.large | c7a.large" in said.out
    assert not [call for call in provider.calls if call.startswith("create")]


def test_all_that_holds_is_ok_and_the_cluster_is_gone(run, provider, checks, laptop):
    checks(it_starts, only_two)
    said = run("selftest", "ec2", "--yes", "-c", "small")
    assert said.status == 0, said.err
    assert "ok      only_two (" in said.out
    assert "ok      the cluster ends (" in said.out
    assert ": all is as promised" in said.out
    assert provider.machines == {}
    assert provider.estimated == []
    (created,) = [call for call in provider.calls if call.startswith("create")]
    assert created.startswith("create selftest-")


def test_what_does_not_hold_is_failed_with_the_reason_and_status_1(run, provider, checks):
    checks(it_starts, never, only_two)
    said = run("selftest", "ec2", "--yes")
    assert said.status == 1
    assert "FAILED  never (0 s): it is blue" in said.out
    assert "ok      only_two (" in said.out
    assert ": 1 check failed" in said.out


def unsure(bench):
    raise NotProvenError("the market had none")


def test_what_was_not_proven_is_named_and_is_no_failure(run, provider, checks):
    checks(it_starts, unsure, only_two)
    said = run("selftest", "ec2", "--yes")
    assert said.status == 0
    assert "open    unsure (0 s): the market had none" in said.out
    assert ": nothing failed; not proven: unsure" in said.out
    rows = run("selftest", "ec2", "--yes", "--json").json["checks"]
    assert [(row["ok"], row["proven"]) for row in rows[:3]] == [(True, True), (True, False), (True, True)]


def test_json_is_all_there_is_on_stdout(run, provider, checks):
    checks(it_starts, never)
    answer = run("selftest", "ec2", "--yes", "--json").json
    assert answer["name"].startswith("selftest-")
    assert answer["ok"] is False
    assert [(row["check"], row["ok"], row["why"]) for row in answer["checks"]][:2] == [
        ("it_starts", True, ""),
        ("never", False, "it is blue"),
    ]


def test_a_template_that_does_not_exist_is_an_error_before_anything_is_asked(run, provider, checks):
    checks(it_starts)
    said = run("selftest", "ec2", "-c", "nowhere")
    assert said.status == 2
    assert "nowhere" in said.err
    assert provider.calls == []


def test_without_a_template_the_aws_section_counts_and_no_template_of_the_file(laptop, provider):
    laptop.config.write_text(
        "[aws]\naws_region_name = eu-west-1\n[cluster a]\nspot_bid = 9\n[cluster b]\nspot_bid = 8\n"
    )
    parts = selftest_contexts("selftest-1", config_file=None, template=None, types="", report=Reporter(print))(None)
    assert parts.settings.aws.aws_region_name == "eu-west-1"
    assert parts.settings.cluster.spot_bid is None
    assert parts.provider is provider


def test_with_a_template_its_image_network_and_access_count_and_its_disks_do_not(laptop, provider):
    laptop.config.write_text(
        "[cluster a]\nnode_image_id = debian-12\nsubnet_id = subnet-1\nallow_from = 192.0.2.7\narch = arm64\n"
        "cluster_size = 40\nvolumes = data\nnode_instance_type = m7g.metal\n"
        "[volume data]\nvolume_id = vol-1\nmount_path = /data\n"
    )
    parts = selftest_contexts("selftest-1", config_file=None, template="a", types="", report=Reporter(print))(None)
    cluster = parts.settings.cluster
    assert (cluster.node_image_id, cluster.subnet_id) == ("debian-12", ("subnet-1",))
    assert cluster.allow_from == ("192.0.2.7/32",)
    assert (cluster.cluster_size, cluster.volumes) == (2, ())
    assert cluster.node_instance_type[0] == "t4g.small"
