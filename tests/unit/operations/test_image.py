"""`image bake`, and how `start` finds what it made."""

from __future__ import annotations

import pytest

from clusterctl.api import Request, hookimpl
from clusterctl.errors import PluginError, ProviderError, UsageError
from clusterctl.model import Problem
from clusterctl.operations.growing import add_nodes
from clusterctl.operations.image import bake_image
from clusterctl.operations.start import start_cluster
from clusterctl.testing import FakeImageProvider, FakeProvider

from ...support.approval import Asked, Refusing
from ...support.priced import PricedImageProvider

LOG: list[str] = []


def plugin(name, *, apt=(), environment="", fails="", bakes=True):
    """A plugin that writes down what it is asked to do."""

    class Recording:
        def __init__(self, options):
            pass

        @hookimpl
        def clusterctl_request(self):
            return Request(apt=apt)

        @hookimpl
        def clusterctl_prepare(self, cluster):
            LOG.append(f"{name} prepare")
            if environment:
                cluster.remember("environment", environment)

        @hookimpl
        def clusterctl_join(self, cluster, node):
            LOG.append(f"{name} join {node.alias}")

        @hookimpl
        def clusterctl_leave(self, cluster, node):
            LOG.append(f"{name} leave {node.alias}")

    if bakes:

        def clusterctl_bake(self, cluster, node):
            LOG.append(f"{name} bake {node.alias}")
            if fails == "interrupt":
                raise KeyboardInterrupt
            if fails:
                raise ProviderError(fails, remedy="none")

        Recording.clusterctl_bake = hookimpl(clusterctl_bake)
    return Recording


@pytest.fixture
def bakery(lab):
    LOG.clear()
    lab.provider = FakeImageProvider()
    return lab


def parts(lab, name="bake-mine", *, apt=("git", "vim"), environment="0123", fails="", **cluster):
    plugins = {
        "base": plugin("base", apt=apt, fails=fails),
        "packages": plugin("packages", environment=environment),
        "engines": plugin("engines", bakes=False),
    }
    return lab.parts(plugins, name=name, **cluster)


class TestBake:
    def test_a_builder_of_one_node_prepares_then_bakes_in_order_and_is_gone_afterwards(self, bakery):
        made = parts(bakery, cluster_size=5)
        baked = bake_image(made)
        assert baked.new
        assert LOG == [
            "base prepare",
            "packages prepare",
            "engines prepare",
            "base bake master",
            "packages bake master",
        ]
        assert [call for call in bakery.provider.calls if "check" not in call] == [
            "destroy bake-mine",
            "create bake-mine master",
            "save_image bake-mine",
            "destroy bake-mine",
        ]
        assert list(bakery.provider.baked) == [baked.image]
        assert not bakery.provider.machines
        assert not made.folder.path.exists()

    def test_what_belongs_to_the_builder_is_taken_off_last(self, bakery):
        bake_image(parts(bakery))
        assert [ran.name for ran in bakery.connector.ran] == ["image: clean"]
        (ran,) = bakery.connector.ran
        assert ran.sudo
        for word in ("ssh_host_", "authorized_keys", "machine-id", "/var/log", "/var/lib/apt/lists"):
            assert word in ran.text

    def test_again_it_makes_nothing(self, bakery):
        first = bake_image(parts(bakery))
        bakery.provider.calls.clear()
        second = bake_image(parts(bakery))
        assert (second.image, second.new) == (first.image, False)
        assert not [call for call in bakery.provider.calls if call.startswith(("create", "save"))]

    def test_its_name_depends_on_what_is_in_it_and_not_on_the_order(self, bakery):
        one = bake_image(parts(bakery)).image
        assert bake_image(parts(bakery, apt=("vim", "git"))).image == one
        others = [
            bake_image(parts(bakery, apt=("vim",))).image,
            bake_image(parts(bakery, environment="4567")).image,
        ]
        assert len({one, *others}) == 3

    def test_it_is_made_from_the_templates_image_and_found_for_that_one_only(self, bakery):
        bake_image(parts(bakery, node_image_id="mine", provider="docker"))
        assert bakery.provider.images_of == {"master": "mine"}
        assert bake_image(parts(bakery, node_image_id="other", provider="docker")).new

    @pytest.mark.parametrize(("fails", "error"), [("no space", PluginError), ("interrupt", KeyboardInterrupt)])
    def test_a_failure_or_a_ctrl_c_leaves_no_builder_and_no_image(self, bakery, fails, error):
        made = parts(bakery, fails=fails)
        with pytest.raises(error):
            bake_image(made)
        assert not bakery.provider.machines
        assert not bakery.provider.baked
        assert not made.folder.path.exists()

    def test_a_builder_that_cannot_be_ended_is_named_and_the_first_cause_is_told(self, bakery):
        bakery.provider.stuck = ("master",)
        made = parts(bakery, fails="no space")
        with pytest.raises(PluginError, match="no space") as caught:
            bake_image(made)
        assert any("clusterctl terminate bake-mine" in warning for warning in bakery.warnings)
        assert "clusterctl terminate bake-mine" in "".join(getattr(caught.value, "__notes__", bakery.warnings))
        assert made.folder.exists, "terminate finds the provider in the journal"

    def test_what_stops_the_plan_is_said_before_anything_is_made(self, bakery):
        bakery.provider.problems = [Problem("no engine", "get one")]
        made = parts(bakery)
        with pytest.raises(ProviderError, match="no engine"):
            bake_image(made)
        assert bakery.provider.calls == ["check bake-mine"]
        assert not made.folder.path.exists()

    def test_a_builder_that_costs_is_asked_about_and_one_that_need_not_be_made_is_not(self, bakery):
        bakery.provider = PricedImageProvider()
        made = parts(bakery)
        with pytest.raises(UsageError, match="no"):
            bake_image(made, approval=Refusing())
        assert not bakery.provider.machines
        assert not made.folder.path.exists()
        asked = Asked()
        assert bake_image(parts(bakery), approval=asked).new
        assert len(asked.estimates) == 1
        assert not bake_image(parts(bakery), approval=Refusing()).new

    def test_a_provider_without_images_is_refused(self, bakery):
        bakery.provider = FakeProvider()
        with pytest.raises(UsageError, match="do not start from images"):
            bake_image(parts(bakery))


class TestStart:
    def test_a_matching_image_is_used_and_said_and_the_nodes_still_join(self, bakery):
        image = bake_image(parts(bakery)).image
        LOG.clear()
        started = start_cluster(parts(bakery, "lab", cluster_size=2))
        assert started.ok
        assert bakery.provider.images_of == {"master": image, "node001": image}
        assert f"Using the baked image {image}: its packages are there already" in bakery.said
        assert "packages join node001" in LOG

    def test_another_content_is_not_used(self, bakery):
        bake_image(parts(bakery))
        start_cluster(parts(bakery, "lab", cluster_size=1, apt=("vim",)))
        assert bakery.provider.images_of["master"] == ""
        assert not any("baked image" in line for line in bakery.said)

    def test_only_nodes_that_are_made_now_take_it(self, bakery):
        start_cluster(parts(bakery, "lab", cluster_size=1))
        image = bake_image(parts(bakery)).image
        bakery.events.clear()
        start_cluster(parts(bakery, "lab", cluster_size=1))
        assert not any("baked image" in line for line in bakery.said)
        add_nodes(parts(bakery, "lab"), (), 1)
        assert bakery.provider.images_of["node001"] == image
        assert any("baked image" in line for line in bakery.said)

    def test_a_provider_without_images_is_not_asked(self, bakery):
        bakery.provider = FakeProvider()
        assert start_cluster(parts(bakery, "lab", cluster_size=1)).ok
