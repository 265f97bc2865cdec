"""Settings and requests to a plan, pure."""

from __future__ import annotations

from decimal import Decimal
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterctl import planning
from clusterctl.config.cluster_section import ClusterSection
from clusterctl.config.provider_options import check_provider_options
from clusterctl.config.settings import machine_settings
from clusterctl.errors import ConfigError, UsageError
from clusterctl.model import NO_BID, Machines, Market, NodeOverrides, Request, Volume


def plan(
    nodes=("master", "node001", "node002"),
    request=None,
    plugins=(("a", "{}"),),
    provider="local",
    special=None,
    **options,
):
    cluster = ClusterSection(cluster_user="me", **options)
    return planning.build_plan(
        "lab",
        cluster,
        provider=provider,
        plugins=plugins,
        request=request or Request(),
        nodes=nodes,
        machines=machine_settings(cluster, {}),
        node_overrides=special,
    )


class TestMounts:
    @staticmethod
    def problems(*paths):
        volumes = tuple(Volume(f"v{place}", PurePosixPath(path), id="vol-1") for place, path in enumerate(paths))
        with pytest.raises(ConfigError) as caught:
            planning.build_plan(
                "lab",
                ClusterSection(cluster_user="me"),
                provider="ec2",
                plugins=(),
                request=Request(),
                nodes=("master",),
                machines=Machines("me", volumes=volumes),
            )
        return caught.value.problems

    def test_two_on_one_path_are_refused(self):
        assert self.problems("/data", "/other", "/data") == ("the volumes v0 and v2 are both mounted on /data",)

    def test_one_below_another_comes_after_it(self):
        assert self.problems("/data/sub", "/data") == ("the volume v1 on /data would hide v0 on /data/sub",)
        with pytest.raises(pytest.fail.Exception):
            self.problems("/data", "/data/sub", "/data2")


class TestNames:
    @pytest.mark.parametrize("name", ["a", "mycluster", "My-Cluster_2", "1", "x" * 63])
    def test_host_names_are_let_through(self, name):
        assert planning.check_name(name) == name

    @pytest.mark.parametrize("name", ["", "-a", "a-", "_a", "a.b", "a b", "a/b", "..", "ä", "x" * 64, "a\n", "$(x)"])
    def test_anything_else_is_refused(self, name):
        with pytest.raises(UsageError) as caught:
            planning.check_name(name)
        assert caught.value.remedy

    @given(st.text(st.characters(exclude_categories=["Cs"]), max_size=70))
    def test_what_is_let_through_is_safe_as_a_folder_and_a_host(self, name):
        try:
            planning.check_name(name)
        except UsageError:
            return
        assert 1 <= len(name) <= 63
        assert name.isascii()
        assert name.replace("-", "").replace("_", "").isalnum()


def test_aliases_are_the_master_and_numbers():
    assert planning.node_aliases(1) == ("master",)
    assert planning.node_aliases(3) == ("master", "node001", "node002")
    assert planning.node_aliases(1001)[-1] == "node1000"


@given(taken=st.sets(st.integers(min_value=1, max_value=30)), count=st.integers(min_value=1, max_value=10))
def test_next_aliases_are_the_lowest_that_are_free(taken, count):
    found = planning.next_aliases(["master", *(f"node{n:03d}" for n in taken)], count)
    free = [n for n in range(1, 60) if n not in taken][:count]
    assert found == tuple(f"node{n:03d}" for n in free)


class TestMerge:
    def test_each_entry_comes_once_in_the_order_of_first_mention(self):
        merged = planning.merge_requests(
            [
                ("a", Request(pip=("numpy", "x"), apt=("git",), ports=(80,), files={"f": "1"})),
                ("b", Request(pip=("y", "numpy"), apt=("git", "vim"), ports=(80, 443), files={"f": "1", "g": "2"})),
            ]
        )
        assert merged == Request(("numpy", "x", "y"), ("git", "vim"), (80, 443), {"f": "1", "g": "2"})

    def test_nobody_wants_anything(self):
        assert planning.merge_requests([]) == Request()

    def test_one_file_with_two_contents_is_refused(self):
        with pytest.raises(ConfigError, match="plugin b and another one both want to write f"):
            planning.merge_requests([("a", Request(files={"f": "1"})), ("b", Request(files={"f": "2"}))])


class TestPlan:
    def test_the_same_input_gives_the_same_plan(self):
        assert plan() == plan()

    def test_the_digest_changes_with_everything_a_join_applies_and_with_nothing_else(self):
        same = plan().digest
        assert plan(nodes=("master",)).digest == same
        assert plan(min_size=2).digest == same
        assert plan(start_timeout=7).digest == same
        different = [
            plan(request=Request(pip=("x",))),
            plan(request=Request(apt=("x",))),
            plan(request=Request(files={"x": "y"})),
            plan(plugins=(("a", '{"x": 1}'),)),
            plan(plugins=(("a", "{}"), ("b", "{}"))),
            plan(provider="docker"),
        ]
        assert same not in {p.digest for p in different}
        assert len({p.digest for p in different}) == len(different)

    def test_a_home_volume_is_for_a_home_that_nobody_else_shares(self):
        def has_volume(request=None, **options):
            return plan(request=request, provider="ec2", **options).home_volume

        assert has_volume(home_volume="yes")
        assert not has_volume()
        assert not has_volume(home_volume="yes", shared_home="yes")
        assert not has_volume(Request(homes_elsewhere=True), home_volume="yes")

    def test_min_size_is_all_unless_said_and_never_more_than_there_are(self):
        assert plan().min_size == 3
        assert plan(min_size=2).min_size == 2
        assert plan(nodes=("master",), min_size=2).min_size == 1

    def test_types_and_images_of_the_master_default_to_the_workers(self):
        made = plan(node_instance_type="c7i.large", node_image_id="img")
        assert [(n.types, n.image) for n in made.nodes] == [(("c7i.large",), "img")] * 3
        made = plan(node_instance_type="c7i.large", master_instance_type="m7i.large", master_image_id="other")
        master, worker = made.nodes[:2]
        assert (master.types, master.image, worker.types) == (("m7i.large",), "other", ("c7i.large",))

    def test_a_bid_makes_the_workers_spot_and_the_master_only_if_forced(self):
        def markets(**options):
            return [node.market for node in plan(provider="ec2", **options).nodes]

        assert markets(spot_bid="0.1") == ["on-demand", "spot", "spot"]
        assert markets(spot_bid="0.1", force_spot_master=True) == ["spot"] * 3
        assert markets(force_spot_master=True) == ["on-demand"] * 3
        assert markets(market="spot") == ["on-demand", "spot", "spot"]
        assert markets(spot_bid="0.1", market="on-demand") == ["on-demand"] * 3
        bid = Decimal("0.1")
        assert [node.bid for node in plan(provider="ec2", spot_bid="0.1").nodes] == [None, bid, bid]

    def test_nothing_is_bought_on_demand_in_place_of_spot_unless_the_owner_says_so(self):
        def workers(**options):
            return {str(node.market) for node in plan(provider="ec2", **options).nodes[1:]}

        assert workers(spot_bid="0.1") == {"spot"}
        assert workers(spot_bid="0.1", fallback_max="0.2") == {"spot-with-fallback"}
        assert workers(fallback_max="0.2") == {"spot-with-fallback"}
        assert workers(spot_bid="0.1", market="spot-with-fallback") == {"spot-with-fallback"}
        assert workers(spot_bid="0.1", fallback_max="0.2", market="spot") == {"spot"}

    def test_nobody_but_ec2_has_markets(self):
        assert [node.market for node in plan(spot_bid="0.1").nodes] == ["", "", ""]

    def test_a_node_may_have_been_asked_for_with_something_of_its_own(self):
        special = {"node001": NodeOverrides(types=("r7i.large",), bid=Decimal("0.2"), market=Market.SPOT)}
        made = plan(provider="ec2", node_instance_type="c7i.large", special=special)
        assert [(n.types, n.bid, n.market) for n in made.nodes[1:]] == [
            (("r7i.large",), Decimal("0.2"), Market.SPOT),
            (("c7i.large",), None, Market.ON_DEMAND),
        ]

    def test_a_node_of_another_size_is_none_of_the_templates_types(self):
        made = plan(provider="ec2", node_instance_type="c7i.large", special={"node001": NodeOverrides(vcpus=16)})
        assert [(n.types, n.vcpus) for n in made.nodes[1:]] == [((), 16), (("c7i.large",), None)]

    def test_a_bid_can_be_left_out_for_one_node(self):
        own = NodeOverrides(vcpus=16, bid=NO_BID)
        made = plan(provider="ec2", node_instance_type="c7i.large", spot_bid="0.07", special={"node001": own})
        assert [(n.bid, n.market) for n in made.nodes[1:]] == [(None, Market.SPOT), (Decimal("0.07"), Market.SPOT)]

    def test_a_bad_name_makes_no_plan(self):
        with pytest.raises(UsageError):
            planning.build_plan(
                "a b",
                ClusterSection(),
                provider="local",
                plugins=(),
                request=Request(),
                nodes=("master",),
                machines=Machines("me"),
            )


@pytest.mark.parametrize(
    ("options", "faults"),
    [
        ({"provider": "static", "hosts": "a, b", "cluster_size": 2}, []),
        ({"provider": "static", "hosts": "a, b", "cluster_size": 3}, [("cluster_size", "there are 2 HOSTS")]),
        ({"provider": "static", "hosts": "a, b", "cluster_size": 1}, []),
        ({"provider": "static"}, [("provider", "static needs HOSTS: the machines to use, the master first")]),
        ({"provider": "local", "hosts": "a, b", "cluster_size": 3}, []),
    ],
)
def test_hosts_are_enough_where_there_are_no_others(options, faults):
    assert list(check_provider_options(ClusterSection(cluster_user="me", **options))) == faults


class TestVariables:
    def merged(self, *environments):
        return planning.merge_requests((f"p{n}", Request(environment=one)) for n, one in enumerate(environments))

    def test_those_of_the_template_come_before_those_of_plugins(self):
        request = self.merged({"A": "1", "B": "1"}, {"B": "1", "C": "="})
        made = plan(request=request, variables='A=2 "D=a b=c"')
        assert made.request.environment == {"A": "2", "B": "1", "C": "=", "D": "a b=c"}

    def test_two_plugins_that_differ_and_names_that_are_ours_are_refused(self):
        with pytest.raises(ConfigError, match="plugin p1 and another one both want to set A, differently"):
            self.merged({"A": "1"}, {"A": "2"})
        with pytest.raises(ConfigError, match="plugin p0: HOME is set on nodes already"):
            self.merged({"HOME": "/x"})

    def test_another_value_makes_all_join_again(self):
        assert len({plan(variables=text).digest for text in ("", "A=1", "A=2")}) == 3

    def test_so_do_other_stamps_and_each_counts_once(self):
        assert plan(request=Request(stamps=("a",))).digest != plan().digest
        requests = [("p", Request(stamps=("a", "b"))), ("q", Request(stamps=("b",)))]
        assert planning.merge_requests(requests).stamps == ("a", "b")


@pytest.mark.parametrize(("address", "count"), [("auto", 0), ("private", 0), ("public", 1), ("ipv6", 1)])
def test_private_workers_have_no_address_that_could_be_asked_for(address, count):
    section = ClusterSection(cluster_user="me", provider="ec2", public_ips="master", address=address)
    assert [key for key, _ in check_provider_options(section)] == ["address"] * count
