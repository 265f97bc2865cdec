"""Config, provider, account and package index, well and not."""

from __future__ import annotations

import pytest
from clusterctl_plugins.packages import Options, Packages

from clusterctl.api import hookimpl
from clusterctl.environment.lock import Index
from clusterctl.errors import ConfigError, PluginError, ProviderError
from clusterctl.model import Problem
from clusterctl.operations.doctor import setup
from clusterctl.operations.doctor.checks import Finding, Outcome, run_checks
from clusterctl.secret import Secret
from clusterctl.testing import FakeProvider


class Installer:
    """A plugin that installs packages."""

    index = Index(default=Secret("https://me:hunter2@pypi.example.org/simple"))

    @hookimpl
    def clusterctl_prepare(self):
        pass


class Known(FakeProvider):
    def identity(self):
        return "arn:aws:iam::123456789012:user/ada in us-east-1"


def look(context, environ=None):
    return {finding.item: finding for finding in run_checks(setup.checks_of_setup(context, environ or {}))}


def broken():
    raise ConfigError(("[cluster a] SIZE: no such option",), remedy="correct it")


class TestConfig:
    def test_one_that_is_right(self, lab):
        context = lab.parts()
        findings, loaded = setup.look_at_config(lambda: "2 cluster templates", lambda: context)
        assert loaded is context
        assert findings == [Finding("config", "file", Outcome.OK, "2 cluster templates")]

    def test_one_that_is_wrong_is_said_once_and_leaves_the_rest_out(self):
        findings, loaded = setup.look_at_config(broken, broken)
        assert loaded is None
        assert findings == [Finding("config", "file", Outcome.FAILED, "[cluster a] SIZE: no such option", "correct it")]
        skipped = look(None)
        assert {finding.outcome for finding in skipped.values()} == {Outcome.SKIPPED}
        assert {*skipped} == {"plan", "credentials", "package index"}

    def test_a_template_of_another_cluster_that_is_wrong_does_not_leave_the_rest_out(self, lab):
        findings, loaded = setup.look_at_config(broken, lab.parts)
        assert loaded is not None
        assert [finding.outcome for finding in findings] == [Outcome.FAILED]


class TestProvider:
    def test_one_that_takes_the_plan(self, lab):
        assert look(lab.parts())["plan"].outcome == Outcome.OK

    def test_each_problem_has_its_remedy(self, lab):
        lab.provider.problems = [Problem("no image", "build it"), Problem("no room", "end some")]
        findings = setup.look_at_plan(lab.parts())
        assert findings == [
            Finding("provider", "plan", Outcome.FAILED, "no image", "build it"),
            Finding("provider", "plan", Outcome.FAILED, "no room", "end some"),
        ]

    def test_nothing_is_made(self, lab):
        look(lab.parts())
        assert lab.provider.calls == ["check lab"]
        assert not (lab.home / "clusters").exists()

    def test_a_plugin_that_refuses_fails_the_plan_alone(self, lab, monkeypatch):
        def refuse(*_):
            raise PluginError("EXTRAS needs PYPROJECT", remedy="correct these")

        monkeypatch.setattr(setup, "make_plan", refuse)
        findings = look(lab.parts())
        assert (findings["plan"].outcome, findings["plan"].remedy) == (Outcome.FAILED, "correct these")
        assert findings["credentials"].outcome == Outcome.SKIPPED


class TestCredentials:
    def test_who_needs_none_is_not_asked(self, lab):
        assert look(lab.parts())["credentials"] == Finding(
            "provider", "credentials", Outcome.SKIPPED, "fake needs none"
        )

    def test_who_is_known_is_named(self, lab):
        lab.provider = Known()
        finding = look(lab.parts())["credentials"]
        assert (finding.outcome, finding.detail) == (Outcome.OK, "arn:aws:iam::123456789012:user/ada in us-east-1")

    def test_keys_that_are_refused_fail_with_the_providers_remedy(self, lab, monkeypatch):
        def refuse(self):
            raise ProviderError("AWS refused: ExpiredToken", remedy="get new temporary credentials")

        monkeypatch.setattr(Known, "identity", refuse)
        lab.provider = Known()
        finding = look(lab.parts())["credentials"]
        assert (finding.outcome, finding.remedy) == (Outcome.FAILED, "get new temporary credentials")


class TestIndex:
    @pytest.fixture
    def asked(self, monkeypatch):
        sources = []

        def ask(source):
            sources.append(source.reveal())
            return "it answers"

        monkeypatch.setattr(setup, "ask_source", ask)
        return sources

    def test_that_of_the_plugin_is_asked_with_its_credentials_which_nobody_sees(self, lab, asked):
        findings = look(lab.parts({"installer": Installer}))
        assert asked == ["https://me:hunter2@pypi.example.org/simple"]
        assert findings["package index"].outcome == Outcome.OK
        checks = setup.checks_of_setup(lab.parts({"installer": Installer}), {})
        assert [check.waits_for for check in checks if check.item == "package index"] == [
            "https://pypi.example.org/simple"
        ]

    def test_the_plugin_that_installs_packages_has_one(self):
        plugin = Packages(Options(index_url="https://pypi.example.org/simple"))
        index = setup._index_of(plugin)
        assert index.default.reveal() == "https://pypi.example.org/simple"

    def test_without_packages_there_is_none_to_ask(self, lab, asked):
        assert look(lab.parts())["package index"].outcome == Outcome.SKIPPED
        assert asked == []
