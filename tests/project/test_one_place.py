"""What one module does for the whole package is done nowhere else.

Programs that run on nodes are left out: they may import nothing of the package.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from clusterctl.model import Market

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def sources() -> dict[str, list[ast.AST]]:
    """The modules that run on the laptop, by path: all that stands in them."""
    paths = [path for folder in ("clusterctl", "plugins") for path in (ROOT / folder).rglob("*.py")]
    names = {str(path.relative_to(ROOT)): path for path in paths}
    return {
        name: list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        for name, path in names.items()
        if not name.startswith("clusterctl/on_node/")
    }


def dotted_name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def replaces_a_file(node: ast.AST) -> bool:
    """``os.replace``, ``os.rename``, or a method of `Path`, whose `replace` has one argument and that of a text two."""
    if isinstance(node, ast.Attribute) and dotted_name(node) in {"os.replace", "os.rename", "shutil.move"}:
        return True
    method = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
    return method in {"replace", "rename"} and len(node.args) == 1 and not node.keywords


def reads_a_clock(node: ast.AST) -> bool:
    """The module `time`, ``now`` of a date, an event that nobody sets, and the clock of an event loop."""
    if isinstance(node, ast.Import):
        return any(alias.name == "time" for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        return node.module == "time"
    if isinstance(node, ast.Attribute) and node.attr in {"now", "utcnow", "today"}:
        return dotted_name(node.value).endswith(("datetime", "date"))
    if not isinstance(node, ast.Attribute) or node.attr not in {"wait", "time"}:
        return False
    return ast.unparse(node).endswith(("Event().wait", "loop().time"))


def reads_instances(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value in {"describe_instances", "Reservations", "InstanceLifecycle"}


def compares_a_text_with_a_market(node: ast.AST) -> bool:
    values = [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
    return any(isinstance(value, ast.Constant) and value.value in {*map(str, Market)} - {""} for value in values)


def names_a_note_by_a_text(node: ast.AST) -> bool:
    method = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
    return method in {"recall", "remember"} and isinstance(node.args[0], ast.Constant)


def prints(node: ast.AST) -> bool:
    """Text on the terminal, by click or by Python."""
    name = dotted_name(node)
    return name in {"click.echo", "click.secho", "print", "traceback.print_exception", "traceback.print_exc"}


RULES: dict[str, tuple[Callable[[ast.AST], bool], set[str]]] = {
    "only the writer of files renames a draft over a file": (
        replaces_a_file,
        {"clusterctl/files.py"},
    ),
    "only the clock knows the time": (reads_a_clock, {"clusterctl/clock.py"}),
    "notes have a type": (names_a_note_by_a_text, set()),
    # The completion is a program for a shell, the guardian of local nodes writes a log, and the narrator is for those
    # who start a cluster in Python.
    "only the output prints, for a node may have said it": (
        prints,
        {
            "clusterctl/cli/output.py",
            "clusterctl/cli/terminal.py",
            "clusterctl/cli/setup/completion.py",
            "clusterctl/events.py",
            "clusterctl/providers/local/guardian.py",
        },
    ),
    "only one reader knows what DescribeInstances answers": (
        reads_instances,
        {"clusterctl/providers/ec2/instance_reader.py"},
    ),
    "only what reads AWS's answers knows a market by its text": (
        compares_a_text_with_a_market,
        {"clusterctl/providers/ec2/instance_reader.py"},
    ),
}


@pytest.mark.parametrize("rule", RULES)
def test_it_is_in_one_place(rule, sources):
    matches, allowed = RULES[rule]
    assert {name for name, nodes in sources.items() if any(map(matches, nodes))} == allowed


BREAKS = [
    ("only the output prints, for a node may have said it", "click.echo(exc.message, err=True)"),
    ("only the output prints, for a node may have said it", "show_logs(show=click.echo)"),
    ("only the output prints, for a node may have said it", "print(name)"),
    ("only the output prints, for a node may have said it", "traceback.print_exception(exc)"),
    ("only the writer of files renames a draft over a file", "os.replace(draft, path)"),
    ("only the writer of files renames a draft over a file", "draft.rename(path)"),
    ("only the writer of files renames a draft over a file", "path.with_name('x').replace(path)"),
    ("only one reader knows what DescribeInstances answers", "aws.pages('ec2', 'describe_instances', 'Reservations')"),
    ("only what reads AWS's answers knows a market by its text", "node.market == 'spot'"),
    ("only what reads AWS's answers knows a market by its text", "market != 'on-demand'"),
    ("notes have a type", "cluster.recall('environment')"),
    ("only the clock knows the time", "import time"),
    ("only the clock knows the time", "from time import monotonic"),
    ("only the clock knows the time", "datetime.now(timezone.utc)"),
    ("only the clock knows the time", "threading.Event().wait(3)"),
    ("only the clock knows the time", "asyncio.get_running_loop().time()"),
]


@pytest.mark.parametrize(("rule", "line"), BREAKS)
def test_the_rule_can_be_broken(rule, line):
    assert any(map(RULES[rule][0], ast.walk(ast.parse(line))))


def test_every_rule_was_seen_to_fail():
    assert {rule for rule, _ in BREAKS} == set(RULES)
