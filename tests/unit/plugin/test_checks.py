"""What the author of a plugin got wrong is a sentence that names plugin, file and line, before anything is created."""

from __future__ import annotations

import re
import sys
import textwrap

import pytest

from clusterctl.api import PluginError
from clusterctl.config import loading
from clusterctl.errors import ConfigError
from clusterctl.plugin.checks import HOOKS, check_plugin_class
from clusterctl.plugin.loader import find_plugin_class
from clusterctl.plugin.returns import returns_data

HEAD = """\
from __future__ import annotations
from typing import TYPE_CHECKING
from clusterctl.api import Cluster, Connection, Facet, Node, Order, Plugin, Request, Section, StatusRow, hookimpl
if TYPE_CHECKING:
    from collections.abc import Sequence
    from somewhere import Unknown
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Load the class `Mine` of a file, with this text in its body."""

    def load(body, head="class Mine(Plugin):"):
        monkeypatch.delitem(sys.modules, "clusterctl_plugin_mine", raising=False)
        (tmp_path / "mine.py").write_text(f"{HEAD}{head}\n{textwrap.indent(textwrap.dedent(body), '    ')}")
        return find_plugin_class("m", f"{tmp_path}/mine.py:Mine")

    yield load
    sys.modules.pop("clusterctl_plugin_mine", None)


def refused(load, body, head="class Mine(Plugin):"):
    """The message, without the file's folder, and the remedy."""
    with pytest.raises(PluginError) as caught:
        load(body, head)
    return re.sub(r"\(/\S*/", "(", caught.value.message), caught.value.remedy


def line_of(body):
    """Where the first thing of a body is defined, below its decorators."""
    below = next(number for number, line in enumerate(body.splitlines()) if not line.startswith("@"))
    return HEAD.count("\n") + 2 + below


JOIN = "@hookimpl\ndef clusterctl_join(self, node): pass\n"
NEVER = "so its body would never run"
SHALL = "and shall return"
CONNECTIONS = "a Connection, a sequence of them, or None"
AND_A_SET = "and shall be a set of Facet, such as frozenset"


@pytest.mark.parametrize("head", ["class Mine(Plugin):", "class Mine:"])
@pytest.mark.parametrize(
    ("body", "what", "remedy"),
    [
        (
            "def clusterctl_join(self): ...",
            "clusterctl_join has no @hookimpl, so it would never be called",
            "@hookimpl",
        ),
        (
            "@hookimpl\ndef clusterctl_jion(self): ...",
            "clusterctl_jion is no hook; did you mean clusterctl_join?",
            "join",
        ),
        ("def clusterctl_statsu(self): ...", "clusterctl_statsu is no hook; did you mean clusterctl_status?", "status"),
        ("@hookimpl\ndef join(self): ...", "join is no hook; did you mean clusterctl_join?", "write clusterctl_join"),
        ("@hookimpl\ndef greet(self): ...", "greet is no hook", "the hooks are"),
        ("def cluster_join(self): ...", "cluster_join is no hook; did you mean clusterctl_join?", "of your own"),
        ("clusterctl_version = 3", "clusterctl_version is no hook", "a method of your own"),
        ("clusterctl_join = 3", "clusterctl_join is a hook, and must be a method", "def clusterctl_join"),
        ("@hookimpl\nasync def clusterctl_join(self): ...", f"clusterctl_join is async, {NEVER}", "a plain `def"),
        ("@hookimpl\ndef clusterctl_join(self): yield", f"clusterctl_join has a yield, {NEVER}", "without yield"),
        (
            "@hookimpl\ndef clusterctl_join(self, nodes): ...",
            "clusterctl_join is never given nodes",
            "cluster, node, or",
        ),
        ("@hookimpl\ndef clusterctl_request(self, a, b): ...", "clusterctl_request is never given a, b", "but self"),
        (
            "@hookimpl\ndef clusterctl_request(self) -> list[str]: ...",
            f"clusterctl_request is declared to return list[str], {SHALL} a Request",
            "declare the type",
        ),
        (
            "@hookimpl\ndef clusterctl_join(self, node: Node) -> bool: ...",
            f"clusterctl_join is declared to return bool, {SHALL} nothing",
            "declare the type",
        ),
        (
            "@hookimpl\ndef clusterctl_status(self) -> Sequence[str]: ...",
            f"clusterctl_status is declared to return Sequence[str], {SHALL} a sequence of StatusRow",
            "declare the type",
        ),
        (
            "@hookimpl\ndef clusterctl_connect(self) -> Connection | str: ...",
            f"clusterctl_connect is declared to return Connection | str, {SHALL} {CONNECTIONS}",
            "declare the type",
        ),
        (
            "@staticmethod\n@hookimpl\ndef clusterctl_settings() -> Section: ...",
            f"clusterctl_settings is declared to return Section, {SHALL} a subclass of Section",
            "declare the type",
        ),
        (
            f"needs = Facet.MACHINE\n{JOIN}",
            f"needs of Mine is <Facet.MACHINE: 'machine'>, {AND_A_SET}({{Facet.MACHINE}})",
            "give needs a set of Facet",
        ),
        (
            f"instead = {{'shared_home'}}\n{JOIN}",
            f"instead of Mine is {{'shared_home'}}, {AND_A_SET}({{Facet.SHARED_HOME}})",
            "give instead a set of Facet",
        ),
    ],
)
def test_a_mistake_is_one_sentence_with_its_line(load, head, body, what, remedy):
    message, said = refused(load, body, head)
    assert message == f"plugin m: {what} (mine.py:{line_of(body)})"
    assert remedy in said


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("order = 5", "order of Mine is 5, and shall be an Order"),
        ("replaces = 'nfs'", "replaces of Mine is 'nfs', and shall be a set of names of plugins"),
        ("waits_for_master = 'no'", "waits_for_master of Mine is 'no', and shall be True or False"),
        ("on_every_cluster = 1", "on_every_cluster of Mine is 1, and shall be True or False"),
        ("options_model = dict", "options_model of Mine is <class 'dict'>, and shall be a subclass of Section"),
        ("need = frozenset()", "need is nothing that a plugin declares; did you mean needs?"),
        ("wait_for_master = 1", "wait_for_master is nothing that a plugin declares; did you mean waits_for_master?"),
    ],
)
def test_a_wrong_or_misspelt_declaration_is_one_too(load, body, what):
    message, _ = refused(load, f"'''It does.'''\n\n{body}\n{JOIN}")
    assert message.startswith(f"plugin m: {what}")
    assert message.endswith(f"(mine.py:{line_of(body) + 2})")


def test_all_mistakes_of_a_class_are_named_at_once(load):
    message, remedy = refused(load, "need = ()\ndef clusterctl_join(self): ...\n@hookimpl\ndef leave(self): ...\n")
    assert [line.split()[2] for line in message.splitlines()] == ["clusterctl_join", "leave", "need"]
    assert remedy.count("; ") == 2


@pytest.mark.parametrize(
    "body",
    [
        "@hookimpl\ndef clusterctl_request(self) -> Request | None: ...",
        "@hookimpl\ndef clusterctl_status(self) -> list[StatusRow]: ...",
        "@hookimpl\ndef clusterctl_status(self) -> Sequence[StatusRow]: ...",
        "@hookimpl\ndef clusterctl_status(self): yield StatusRow('master', 'a', 'b')",
        "@hookimpl\ndef clusterctl_connect(self) -> None: ...",
        "@hookimpl\ndef clusterctl_connect(self) -> tuple[Connection, ...]: ...",
        "@hookimpl\ndef clusterctl_join(self, node: Unknown) -> Unknown: ...",
        "@hookimpl\ndef clusterctl_join(this, node, more=3): ...",
        "@classmethod\n@hookimpl\ndef clusterctl_members(cls, cluster): ...",
        "needs = {Facet.MACHINE}\nname = 'hello'\ndef option(self): ...\n" + JOIN,
        "@property\ndef order(self): return Order.FIRST\n" + JOIN,
    ],
)
def test_what_is_right_or_cannot_be_judged_loads(load, body):
    assert load(body).__name__ == "Mine"


def test_the_line_is_known_in_a_class_that_has_no_source():
    made = type("Made", (), {"clusterctl_join": lambda self: None, "clusterctl_x": 1})
    with pytest.raises(PluginError, match=r"clusterctl_join has no @hookimpl.*test_checks\.py:\d+\)") as caught:
        check_plugin_class(made, "m")
    assert f"({__name__}.Made)" in caught.value.message


def test_they_stop_the_reading_of_the_config(load, tmp_path):
    (tmp_path / "config").write_text(f"[cluster a]\nplugins = m\n[plugin m]\nsetup_class = {tmp_path}/mine.py:Mine\n")
    with pytest.raises(PluginError):
        load("def clusterctl_join(self): pass")
    with pytest.raises(ConfigError, match=r"plugin m: clusterctl_join has no @hookimpl.*mine\.py:8\); write @hookimpl"):
        loading.read_config(tmp_path / "config", environ={}, find_plugin=find_plugin_class)


def test_every_hook_is_known_by_what_it_returns():
    assert {hook for hook in HOOKS if returns_data(hook)} == {
        hook for hook, spec in HOOKS.items() if spec.__annotations__["return"] != "None"
    }
