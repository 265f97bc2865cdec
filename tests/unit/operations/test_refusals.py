"""A `start` that is refused or interrupted: what is not created, what is undone, what is kept."""

from __future__ import annotations

import pytest

from clusterctl.api import Request, hookimpl
from clusterctl.errors import ConfigError, PluginError, ProviderError, UsageError
from clusterctl.events import EventKind, Reporter
from clusterctl.model import Problem
from clusterctl.operations.growing import add_nodes
from clusterctl.operations.start import start_cluster

from ...support.recording import of, recording


class TestNothingIsCreatedAndNothingIsLeft:
    def test_a_provider_that_refuses_leaves_no_folder(self, lab, log):
        lab.provider.refusal = ProviderError("no capacity", remedy="try another zone")
        parts = lab.parts(recording(log))
        with pytest.raises(ProviderError, match="no capacity"):
            start_cluster(parts)
        assert not parts.folder.path.exists()
        assert of(log, "join") == []

    def test_a_problem_that_the_provider_sees_before(self, lab, log):
        lab.provider.problems = [Problem("too many", remedy="fewer"), Problem("no key", remedy="a key")]
        parts = lab.parts(recording(log))
        with pytest.raises(ProviderError) as caught:
            start_cluster(parts)
        assert caught.value.message == "too many\nno key"
        assert caught.value.remedy == "fewer; a key"
        assert lab.provider.machines == {}
        assert not parts.folder.path.exists()

    def test_a_plugin_that_cannot_prepare(self, lab, log):
        parts = lab.parts(recording(log, b={"prepare": ValueError("oh")}))
        with pytest.raises(PluginError, match="plugin b: ValueError: oh"):
            start_cluster(parts)
        assert not any(call.startswith("create") for call in lab.provider.calls)
        assert not parts.folder.path.exists()

    @pytest.mark.parametrize("answer", [ZeroDivisionError("oh"), None, dict])
    def test_a_plugin_whose_settings_are_none(self, lab, answer):
        class Wrong:
            @staticmethod
            def clusterctl_settings():
                if isinstance(answer, Exception):
                    raise answer
                return answer

        with pytest.raises(ConfigError, match="clusterctl_settings"):
            lab.parts({"wrong": Wrong})

    def test_two_plugins_that_want_the_same_file_differently(self, lab):
        def wanting(content):
            class Wanting:
                def __init__(self, options):
                    pass

                @hookimpl
                def clusterctl_request(self):
                    return Request(files={"x": content})

            return Wanting

        parts = lab.parts({"one": wanting("1"), "two": wanting("2")})
        with pytest.raises(ConfigError, match="plugin two and another one both want to write x"):
            start_cluster(parts)
        assert not parts.folder.path.exists()

    def test_a_bad_name(self, lab, log):
        parts = lab.parts(recording(log), name="-x")
        with pytest.raises(UsageError):
            start_cluster(parts)
        assert not parts.folder.path.exists()

    def test_what_existed_before_is_kept(self, lab, log):
        parts = lab.parts(recording(log))
        start_cluster(parts)
        lab.provider.refusal = ProviderError("no capacity", remedy="wait")
        with pytest.raises(ProviderError):
            start_cluster(lab.parts(recording(log)))
        assert parts.folder.exists
        assert len(lab.provider.nodes()) == 3


class TestCtrlC:
    @pytest.fixture
    def interrupted(self, lab):
        """Ctrl-C while the nodes are being waited for."""

        def report(event):
            lab.events.append(event)
            if event.text.startswith("Waiting for") and event.kind == EventKind.STEP:
                raise KeyboardInterrupt

        return Reporter(report)

    def test_it_ends_a_cluster_that_this_start_made(self, lab, log, interrupted):
        lab.report = interrupted
        parts = lab.parts(recording(log))
        with pytest.raises(KeyboardInterrupt):
            start_cluster(parts)
        assert lab.provider.nodes() == []
        assert not parts.folder.path.exists()
        assert "Interrupted: ending what this start made of lab" in lab.said

    def test_it_leaves_one_that_was_there_alone(self, lab, log, interrupted):
        start_cluster(lab.parts(recording(log), cluster_size=2))
        lab.report = interrupted
        parts = lab.parts(recording(log), cluster_size=2)
        with pytest.raises(KeyboardInterrupt):
            add_nodes(parts, [], 1)
        assert len(lab.provider.nodes()) == 3
        assert parts.folder.wanted_nodes() == ("master", "node001", "node002")

    def test_an_undo_that_fails_keeps_the_cause_and_says_what_may_run(self, lab, log, interrupted):
        lab.report = interrupted
        lab.provider.stuck = ("node001",)
        with pytest.raises(KeyboardInterrupt):
            start_cluster(lab.parts(recording(log)))
        assert "nodes may still be running: `clusterctl terminate lab` ends them" in lab.warnings[-1]
        assert "node001" in lab.warnings[-1]


class TestWhatCannotBeHad:
    """Nodes that a provider does not give to a cluster that it gives others to."""

    def test_is_named_and_makes_the_start_incomplete(self, lab, log):
        lab.provider.scarce = {"node002"}
        started = start_cluster(lab.parts(recording(log)))
        assert (started.failed, started.ok) == (("node002",), False)
        assert set(started.joined) == {"master", "node001"}
        lab.provider.scarce = set()
        started = start_cluster(lab.parts(recording(log)))
        assert (started.joined, started.ok) == (("node002",), True)

    def test_is_forgiven_where_enough_have_joined(self, lab, log):
        lab.provider.scarce = {"node002"}
        assert start_cluster(lab.parts(recording(log), min_size=2)).ok

    def test_a_refusal_that_leaves_something_keeps_the_folder(self, lab, log):
        class Careless(type(lab.provider)):
            def create(self, plan, *, public_key, report):
                super().create(plan, public_key=public_key, report=report)
                raise ProviderError("half-way", remedy="see")

        lab.provider = Careless()
        parts = lab.parts(recording(log))
        with pytest.raises(ProviderError):
            start_cluster(parts)
        assert parts.folder.wanted_nodes() == ("master", "node001", "node002")
