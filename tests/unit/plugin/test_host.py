"""Plugins are found, ordered, called one by one, and named when they fail."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath

import pytest

from clusterctl.api import (
    ClusterctlError,
    Connection,
    Plugin,
    PluginError,
    RemoteError,
    Request,
    Secret,
    StatusRow,
    hookimpl,
)
from clusterctl.events import EventKind
from clusterctl.plugin.base import NoOptions
from clusterctl.plugin.host import PluginHost
from clusterctl.testing import fake_cluster


class Base:
    def __init__(self, options):
        self.options = options


class OddError(BaseException):
    """Not an Exception, and not one of Python's own."""


ENDS = pytest.mark.parametrize(
    "error", [SystemExit(0), OddError("odd"), GeneratorExit()], ids=lambda e: type(e).__name__
)


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

        with pytest.raises(
            PluginError, match=r"plugin wrong: clusterctl_join is never given nodes \(.*:\d+\)"
        ) as caught:
            host(wrong=Wrong)
        assert caught.value.remedy == "let clusterctl_join take cluster, node, or fewer of them"

    def test_a_plugin_that_raises_when_it_is_made_is_named(self):
        class Broken(Asking):
            def __init__(self, options):
                raise ValueError("oh")

        with pytest.raises(PluginError, match="plugin broken: oh"):
            host(broken=Broken)

    @pytest.mark.parametrize("takes", ["nothing", "no more than itself", "options"])
    def test_a_class_may_take_its_options_or_not(self, takes):
        class Plain:
            @hookimpl
            def clusterctl_join(self, node):
                return node

        class Bare(Plain):
            def __init__(self):
                self.made = True

        chosen = {"nothing": Plain, "no more than itself": Bare, "options": Joining}[takes]
        assert host(p=chosen).call_hook("p", "clusterctl_join", cluster=None, node="n") == "n"

    def test_a_class_that_takes_something_else_is_told_what_to_take(self):
        class Wrong(Asking):
            def __init__(self, options, more):
                pass

        with pytest.raises(
            PluginError, match=r"plugin wrong: Wrong.__init__ takes \(options, more\), .*test_host"
        ) as caught:
            host(wrong=Wrong)
        assert "def __init__(self, options)" in caught.value.remedy

    def test_options_are_there_though_its_own_init_forgets_them(self):
        class Forgetful(Plugin):
            def __init__(self, options):
                self.mine = 1

            @hookimpl
            def clusterctl_join(self, node):
                return self.options

        given = NoOptions()
        made = PluginHost([("p", Forgetful, given)])
        assert made.call_hook("p", "clusterctl_join", cluster=None, node="n") is given


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
            (
                OSError(2, "No such file", "/x"),
                "plugin p: FileNotFoundError: [Errno 2] No such file: '/x'",
                "fault of the plugin",
            ),
            (OSError(28, "No space left", "/x"), "plugin p: /x: No space left", "free some space"),
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

    @pytest.mark.parametrize(
        ("hook", "value", "words"),
        [
            ("clusterctl_status", [1], "clusterctl_status returned [1], and shall return a sequence of StatusRow"),
            ("clusterctl_status", "up", "clusterctl_status returned 'up', and shall"),
            ("clusterctl_status", StatusRow("m", "i", "v"), None),
            ("clusterctl_status", (StatusRow("m", "i", "v") for _ in "ab"), None),
            ("clusterctl_status", None, None),
            ("clusterctl_request", ["numpy"], "clusterctl_request returned ['numpy'], and shall return a Request"),
            ("clusterctl_request", Request(pip="numpy"), "pip of Request is 'numpy', and shall be a tuple of texts"),
            (
                "clusterctl_request",
                Request(ports=("80",)),
                "ports of Request is ('80',), and shall be a tuple of numbers",
            ),
            ("clusterctl_request", Request(files={"a": b""}), "files of Request is {'a': b''}, and shall be a mapping"),
            ("clusterctl_request", Request(pip=["numpy"], shared=(PurePosixPath("/a"),)), None),
            ("clusterctl_connect", {"a": 1}, "returned {'a': 1}, and shall return a Connection, a sequence of them"),
            (
                "clusterctl_connect",
                Connection("a", host="b", ports={}, url="http://c"),
                "url of Connection is 'http://c'",
            ),
            ("clusterctl_connect", Connection("a", host="b", ports={"c": "80"}), "ports of Connection is {'c': '80'}"),
            (
                "clusterctl_connect",
                Connection("../a", host="b", ports={}),
                "name of Connection is '../a', and shall be",
            ),
            (
                "clusterctl_connect",
                Connection("a", host="b", ports={"c": 80}, url=Secret("http://x:{web}/?t=s")),
                "url of Connection asks for the port 'web', which is not in its ports",
            ),
            ("clusterctl_connect", Connection("a", host="b", ports={}, url=Secret("x{")), "is no template for ports"),
            (
                "clusterctl_connect",
                Connection("a", host="b", ports={}, document={"a": {1}}),
                "cannot be written as JSON",
            ),
            ("clusterctl_connect", [Connection("a", host="b", ports={"c": 80}, url=Secret("u"))], None),
            ("clusterctl_members", "what acts may return anything", None),
        ],
    )
    def test_what_a_hook_returned_is_checked(self, hook, value, words):
        def method(self):
            return value

        made = host(p=type("Returning", (Base,), {hook: hookimpl(method)}))
        given = {} if hook == "clusterctl_request" else {"cluster": None}
        given |= {"services": ()} if hook == "clusterctl_status" else {}
        if words is None:
            made.call_hook("p", hook, **given)
            return
        with pytest.raises(PluginError) as caught:
            made.call_hook("p", hook, **given)
        assert caught.value.message.startswith("plugin p: ")
        assert words in caught.value.message
        assert caught.value.message.endswith(f"test_host.py:{method.__code__.co_firstlineno})")
        assert "correct the plugin" in caught.value.remedy

    @ENDS
    def test_a_plugin_does_not_end_the_program_and_the_line_is_named(self, error):
        class Leaving(Base):
            @hookimpl
            def clusterctl_members(self, cluster):
                raise error

        with pytest.raises(PluginError, match=f"plugin p: {type(error).__name__}: ") as caught:
            host(p=Leaving).call_hook("p", "clusterctl_members", cluster=None)
        assert f"this is a fault of the plugin, in {__file__} line " in caught.value.remedy

    @ENDS
    def test_nor_when_it_is_made(self, error):
        class Leaving(Joining):
            def __init__(self, options):
                raise error

        with pytest.raises(PluginError, match=f"plugin p: {type(error).__name__}") as caught:
            host(p=Leaving)
        assert f"fix the plugin, in {__file__} line " in caught.value.remedy

    def test_a_threads_ctrl_c_is_the_plugins_own(self):
        class Interrupted(Base):
            @hookimpl
            def clusterctl_members(self, cluster):
                raise KeyboardInterrupt

        with ThreadPoolExecutor(1) as pool:
            called = pool.submit(host(p=Interrupted).call_hook, "p", "clusterctl_members", cluster=None)
            with pytest.raises(PluginError, match="plugin p: KeyboardInterrupt"):
                called.result(10)

    def test_ctrl_c_goes_through(self):
        class Interrupted(Base):
            @hookimpl
            def clusterctl_members(self, cluster):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            host(p=Interrupted).call_hook("p", "clusterctl_members", cluster=None)


class TestTracebacks:
    """A line is not enough for who writes a plugin."""

    class Failing(Base):
        @hookimpl
        def clusterctl_join(self, node):
            return 1 // 0

        @hookimpl
        def clusterctl_members(self):
            return 1 // 0

    def test_it_is_in_the_log_of_the_node_and_told(self, tmp_path):
        cluster = fake_cluster(tmp_path)
        with pytest.raises(PluginError):
            host(p=self.Failing).call_hook("p", "clusterctl_join", cluster=cluster, node=cluster.node("1"))
        log = (tmp_path / "logs" / "node001.log").read_text()
        assert "plugin p: clusterctl_join failed" in log
        assert "return 1 // 0" in log
        (event,) = cluster.events
        assert (event.kind, "ZeroDivisionError" in event.text) == (EventKind.TRACE, True)

    def test_it_is_in_a_log_of_plugins_where_no_node_was_named(self, tmp_path):
        cluster = fake_cluster(tmp_path)
        with pytest.raises(PluginError):
            host(p=self.Failing).call_hook("p", "clusterctl_members", cluster=cluster)
        assert "ZeroDivisionError" in (tmp_path / "logs" / "plugins.log").read_text()

    def test_a_log_that_cannot_be_written_hides_no_fault(self, tmp_path):
        cluster = fake_cluster(tmp_path)
        (tmp_path / "logs").write_text("a file where the folder should be")
        with pytest.raises(PluginError, match="ZeroDivisionError"):
            host(p=self.Failing).call_hook("p", "clusterctl_members", cluster=cluster)
