"""Plugins are found, ordered, called one by one, and named when they fail."""

from __future__ import annotations

import pytest

from clusterctl.api import ClusterctlError, PluginError, RemoteError, Request, hookimpl
from clusterctl.plugin.host import PluginHost
from clusterctl.plugin.loader import NoOptions


class Base:
    def __init__(self, options):
        self.options = options


def host(**plugins):
    return PluginHost((name, plugin, NoOptions()) for name, plugin in plugins.items())


class Asking(Base):
    @hookimpl
    def clusterctl_request(self):
        return Request(pip=(type(self).__name__,))


class Joining(Base):
    @hookimpl
    def clusterctl_join(self, node):
        return node


class TestLoad:
    def test_the_order_is_the_files_and_not_pluggys(self):
        loaded = host(z=Asking, a=Joining, m=type("Other", (Asking,), {}))
        assert loaded.plugin_names == ("z", "a", "m")
        assert loaded.plugins_with("clusterctl_request") == ("z", "m")
        assert [name for name, _ in loaded.collect_requests()] == ["z", "m"]

    def test_one_class_may_be_two_plugins(self):
        assert host(first=Asking, second=Asking).plugin_names == ("first", "second")

    def test_a_hook_that_there_is_not_is_refused_with_those_that_there_are(self):
        class Misspelt(Base):
            @hookimpl
            def clusterctl_jion(self, node):
                pass

        with pytest.raises(PluginError, match="clusterctl_jion") as caught:
            host(misspelt=Misspelt)
        assert "clusterctl_join" in caught.value.remedy

    def test_an_argument_that_a_hook_has_not_is_refused(self):
        class Wrong(Base):
            @hookimpl
            def clusterctl_join(self, nodes):
                pass

        with pytest.raises(PluginError, match=r"(?s)plugin wrong: .*'nodes'"):
            host(wrong=Wrong)

    def test_a_plugin_that_raises_when_it_is_made_is_named(self):
        class Broken(Asking):
            def __init__(self, options):
                raise ValueError("oh")

        with pytest.raises(PluginError, match="plugin broken: oh"):
            host(broken=Broken)

    def test_a_plugin_without_the_marker_has_no_hook(self):
        class Unmarked(Base):
            def clusterctl_join(self, node):
                raise AssertionError

        loaded = host(unmarked=Unmarked)
        assert loaded.plugins_with("clusterctl_join") == ()


class TestCall:
    def test_only_the_one_that_is_named_acts_and_takes_the_arguments_it_uses(self):
        loaded = host(a=Joining, b=Joining)
        assert loaded.call_hook("a", "clusterctl_join", cluster=None, node="n") == "n"
        assert loaded.call_hook("a", "clusterctl_request") is None

    def test_only_one_of_two_that_have_the_hook_is_called(self):
        calls = []

        class Counting(Base):
            @hookimpl
            def clusterctl_members(self, cluster):
                calls.append(self)

        loaded = host(a=Counting, b=Counting)
        loaded.call_hook("b", "clusterctl_members", cluster=None)
        assert calls == [loaded.plugins[1].plugin]
        alone = loaded.restrict_to("a")
        assert alone.plugin_names == ("a",)
        alone.call_hook("a", "clusterctl_members", cluster=None)
        assert calls[1] is loaded.plugins[0].plugin

    @pytest.mark.parametrize(
        ("error", "message", "remedy"),
        [
            (RemoteError("node001: no space", remedy="free some"), "plugin p: node001: no space", "free some"),
            (ZeroDivisionError("oh"), "plugin p: ZeroDivisionError: oh", "fault of the plugin"),
        ],
    )
    def test_the_one_that_failed_is_named_and_a_users_remedy_is_kept(self, error, message, remedy):
        class Failing(Base):
            @hookimpl
            def clusterctl_members(self, cluster):
                raise error

        with pytest.raises(PluginError) as caught:
            host(p=Failing).call_hook("p", "clusterctl_members", cluster=None)
        assert caught.value.message == message
        assert remedy in caught.value.remedy
        assert caught.value.__cause__ is error
        assert isinstance(caught.value, ClusterctlError)

    def test_ctrl_c_goes_through(self):
        class Interrupted(Base):
            @hookimpl
            def clusterctl_members(self, cluster):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            host(p=Interrupted).call_hook("p", "clusterctl_members", cluster=None)
