"""What a plugin declares: by the base class, or by the attributes that plugins had before there was one."""

from __future__ import annotations

from typing import TypeVar

import pytest

from clusterctl.api import Facet, Field, NoOptions, Order, Plugin, Section, hookimpl
from clusterctl.plugin.base import declared
from clusterctl.plugin.host import PluginHost
from clusterctl.plugin.loader import options_model, why_not_needed


class Options(Section):
    word: str = Field("hello", description="what to say")


class More(Options):
    loud: bool = Field(default=False, description="say it loudly")


class Mine(Plugin[Options]):
    @hookimpl
    def clusterctl_members(self, cluster):
        return self.options.word


class TestOptions:
    def test_the_brackets_name_the_model(self):
        assert options_model(Mine) is Options
        assert options_model(type("Bare", (Plugin,), {})) is NoOptions

    def test_a_subclass_has_the_same_ones_or_its_own(self):
        class Same(Mine):
            pass

        class Own(Mine):
            options_model = More

        class Hooked(Mine):
            @staticmethod
            @hookimpl
            def clusterctl_settings():
                return More

        assert (options_model(Same), options_model(Own), options_model(Hooked)) == (Options, More, More)

    def test_a_base_of_several_plugins_leaves_the_model_open(self):
        kind = TypeVar("kind", bound=Section)

        class Common(Plugin[kind]):
            pass

        class One(Common[More]):
            pass

        assert (Common.options_model, One.options_model) == (NoOptions, More)

    def test_the_object_has_their_values(self):
        made = PluginHost([("mine", Mine, Options(word="hi"))])
        assert made.call_hook("mine", "clusterctl_members", cluster=None) == "hi"


class TestDeclarations:
    def test_all_have_defaults(self):
        assert declared(Mine, "needs") == declared(Mine, "instead") == declared(Mine, "replaces") == frozenset()
        assert declared(Mine, "waits_for_master") is True
        assert declared(Mine, "on_every_cluster") is False
        assert declared(Mine, "order") == Order.NAMED

    def test_a_class_without_the_base_is_read_as_before_and_its_other_attributes_mean_nothing(self):
        class Old:
            needs = {Facet.MACHINE}
            waits_for_master = False
            order = "mine"
            replaces = ("nfs",)
            on_every_cluster = True

        assert why_not_needed(Old, frozenset()) == "these nodes are no machines of their own"
        assert declared(Old, "waits_for_master") is False
        assert declared(Old, "order") == Order.NAMED
        assert declared(Old, "replaces") == frozenset()
        assert declared(Old, "on_every_cluster") is False

    def test_goes_first_still_works_and_warns(self):
        class Old:
            goes_first = True

            def __init__(self, options):
                pass

            @hookimpl
            def clusterctl_join(self, node):
                pass

        with pytest.warns(DeprecationWarning, match=r"goes_first is not read from 0\.3 on: .* order = Order\.FIRST"):
            made = PluginHost([("mine", Mine, Options()), ("old", Old, NoOptions())])
        assert made.plugin_names == ("old", "mine")

    def test_an_object_may_set_its_own_order(self):
        class Early(Mine):
            def __init__(self, options):
                super().__init__(options)
                self.order = Order.FIRST

        assert PluginHost([("mine", Mine, Options()), ("e", Early, Options())]).plugin_names == ("e", "mine")
