"""Sizes of nodes for jobs, and the idle node that has one."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from clusterctl.clients.jobs.model import JobStatus
from clusterctl.config.cluster_section import ClusterSection
from clusterctl.errors import UsageError
from clusterctl.model import NO_BID, Market, NodeOverrides
from clusterctl.operations.jobs.running import choose_node
from clusterctl.operations.jobs.sizes import find_idle, parse_size, settle_types
from clusterctl.testing import fake_node


def node(alias, cores=None, type_=""):
    return replace(fake_node(alias), cores=cores, type=type_)


def job(alias, state="running", cores=1):
    return JobStatus("9845a3bd4", state, ("a",), alias, cores, 1.0)


def context(own=None, **template):
    cluster = SimpleNamespace(**{"vcpus": None, "memory_gb": None, "node_instance_type": (), **template})
    return SimpleNamespace(
        folder=SimpleNamespace(node_overrides=lambda: own or {}), settings=SimpleNamespace(cluster=cluster)
    )


def idle(size, nodes, jobs=(), **about):
    chosen = find_idle(context(**about), nodes, jobs, parse_size(size))
    return chosen and chosen.alias


def test_sizes_are_processors_memory_or_a_type():
    assert (parse_size("C16").vcpus, parse_size("C16").memory_gb) == (16, None)
    assert (parse_size("M64").vcpus, parse_size("M64").memory_gb) == (8, 64)
    assert parse_size("M4").vcpus == 2
    assert parse_size("c7i.4xlarge").types == ("c7i.4xlarge",)
    assert parse_size("G2").gpus == 2


@pytest.mark.parametrize("text", ["C0", "C", "16", "c16", "huge", "C16;reboot", "C99999"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(UsageError, match="not understood"):
        parse_size(text)


def test_gpus_are_those_of_the_providers_types():
    asked = []

    def find_gpu_types(cluster, count):
        asked.append((cluster, count))
        return ("g6.xlarge", "g6e.xlarge")

    provider = SimpleNamespace(name="ec2", find_gpu_types=find_gpu_types)
    size = settle_types(SimpleNamespace(name="jobs", provider=provider), parse_size("G1"))
    assert asked == [("jobs", 1)]
    assert size.overrides(spot=None).types == ("g6.xlarge", "g6e.xlarge")
    assert size.options(ClusterSection(), spot=True)["node_instance_type"] == "g6.xlarge, g6e.xlarge"
    nodes = [node("node001", 4, "c7i.xlarge"), node("node002", 4, "g6.xlarge")]
    assert find_idle(context(), nodes, [], size).alias == "node002"


def test_providers_without_types_have_no_number_of_gpus():
    here = SimpleNamespace(name="jobs", provider=SimpleNamespace(name="docker"))
    with pytest.raises(UsageError, match="nodes of docker are not chosen by their GPUs"):
        settle_types(here, parse_size("G1"))
    assert settle_types(here, parse_size("C4")) == parse_size("C4")


def test_the_smallest_idle_node_that_fits_is_taken():
    nodes = [node("node001", 32), node("node002", 16), node("node003", 8)]
    assert idle("C16", nodes) == "node002"
    assert idle("C16", nodes, [job("node002", "waiting")]) == "node001"
    assert idle("C16", nodes, [job("node002", "done")]) == "node002"
    assert idle("C64", nodes) is None


def test_a_node_is_known_by_what_was_asked_for_when_it_was_made():
    nodes = [node("master"), node("node001")]
    assert idle("C16", nodes, own={"node001": NodeOverrides(vcpus=16)}) == "node001"
    assert idle("M64", nodes, own={"node001": NodeOverrides(vcpus=8, memory_gb=64)}) == "node001"
    assert idle("C16", nodes, vcpus=16) == "master"
    assert idle("C16", nodes, vcpus=16, node_instance_type=("c7i.large",)) is None
    assert idle("c7i.large", [node("master", type_="c7i.large")]) == "master"


def test_a_new_node_is_bought_as_it_is_said():
    assert parse_size("C16").overrides(spot=True) == NodeOverrides(vcpus=16, market=Market.SPOT, bid=NO_BID)
    assert parse_size("C16").overrides(spot=None).market == Market.NONE
    options = parse_size("c7i.large").options(ClusterSection(), spot=False)
    assert (options["market"], options["master_instance_type"]) == ("on-demand", "c7i.large")


def test_a_bid_for_the_templates_types_is_none_for_another_size():
    template = ClusterSection(spot_bid="0.07")
    options = parse_size("C16").options(template, spot=None)
    assert (options["spot_bid"], options["market"]) == ("", "spot"), "but it says how nodes are bought"
    assert ClusterSection(spot_bid=options["spot_bid"]).spot_bid is None


def test_a_job_goes_where_there_is_room():
    nodes = [node("master", 2), node("node001", 2)]
    assert choose_node("lab", nodes, [], 1).alias == "master"
    assert choose_node("lab", nodes, [job("master")], 1).alias == "node001"
    assert choose_node("lab", nodes, [job("master"), job("node001", cores=2)], 1).alias == "master"
    with pytest.raises(UsageError, match="the largest has 2"):
        choose_node("lab", nodes, [], 3)


def test_names_of_the_config_file_come_first():
    own = {"c16": ("c7i.4xlarge", "c7a.4xlarge"), "gpu": ("g6.xlarge",)}
    assert parse_size("C16", own).types == ("c7i.4xlarge", "c7a.4xlarge")
    assert parse_size("GPU", own).options(ClusterSection(), spot=None)["node_instance_type"] == "g6.xlarge"
    assert parse_size("C8", own).vcpus == 8
    with pytest.raises(UsageError) as caught:
        parse_size("huge", own)
    assert "one of [sizes]: c16, gpu" in caught.value.remedy
