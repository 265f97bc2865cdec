"""Every moment a plugin may act at: typed, documented, used, in the docs."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from clusterctl.plugin import hookspecs

ROOT = Path(__file__).parents[3]
HOOKS = {name: spec for name, spec in vars(hookspecs).items() if name.startswith("clusterctl_")}
ORDER = [
    "clusterctl_settings",
    "clusterctl_request",
    "clusterctl_prepare",
    "clusterctl_bake",
    "clusterctl_join",
    "clusterctl_members",
    "clusterctl_connect",
    "clusterctl_leave",
    "clusterctl_undo",
    "clusterctl_run",
    "clusterctl_busy",
    "clusterctl_status",
]
SAMPLE = ROOT / "tests" / "support" / "every_hook.py"
OLD_SAMPLE = ROOT / "tests" / "support" / "old_every_hook.py"
"""As it was before there was a base class: it has the hook that the base class saves."""
DOCS = sorted((ROOT / "docs").rglob("*.md"))


def test_the_hooks_are_these_in_the_order_in_which_they_come():
    assert list(HOOKS) == ORDER


@pytest.mark.parametrize("name", HOOKS)
class TestEachHook:
    def test_is_typed(self, name):
        signature = inspect.signature(HOOKS[name])
        assert signature.return_annotation is not inspect.Signature.empty
        assert all(p.annotation is not inspect.Parameter.empty for p in signature.parameters.values())

    def test_says_what_it_promises_when_it_comes_and_what_a_failure_means(self, name):
        text = inspect.getdoc(HOOKS[name]) or ""
        first = text.splitlines()[0]
        assert first.endswith(".")
        assert re.search(r"^When: \S", text, re.MULTILINE)
        assert re.search(r"If it raises: \S", text)

    def test_returns_data_or_acts_and_never_both(self, name):
        returns = inspect.signature(HOOKS[name]).return_annotation
        arguments = set(inspect.signature(HOOKS[name]).parameters)
        asks = name in {"clusterctl_settings", "clusterctl_request", "clusterctl_connect"} | {
            "clusterctl_busy",
            "clusterctl_status",
        }
        assert (returns != "None") == asks
        assert arguments <= {"cluster", "node", "plan", "services"}

    def test_is_in_the_sample_plugin_and_in_its_docs(self, name):
        text = (OLD_SAMPLE if name == "clusterctl_settings" else SAMPLE).read_text(encoding="utf-8")
        assert re.search(rf'def {name}\(.*\) -> .*:\n        """\S', text)

    def test_is_used_by_a_plugin_that_is_shipped_or_by_the_sample(self, name):
        files = [*(ROOT / "plugins").rglob("*.py"), SAMPLE, OLD_SAMPLE]
        assert any(f"def {name}(" in path.read_text(encoding="utf-8") for path in files)

    def test_is_in_the_docs(self, name):
        if not DOCS:
            pytest.skip("docs: are not written yet")
        assert any(name in path.read_text(encoding="utf-8") for path in DOCS)


def test_every_implementation_takes_arguments_that_its_hook_has():
    for path in [*(ROOT / "plugins").rglob("*.py"), SAMPLE, OLD_SAMPLE]:
        for name, arguments in re.findall(r"def (clusterctl_\w+)\(([^)]*)\)", path.read_text(encoding="utf-8")):
            taken = {argument.split(":")[0].strip() for argument in arguments.split(",") if argument} - {"self"}
            assert taken <= set(inspect.signature(HOOKS[name]).parameters), f"{path.name}: {name}"
