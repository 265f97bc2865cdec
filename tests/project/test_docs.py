"""The documentation is true of the code: what can be checked by a program is checked here."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from clusterctl import errors
from clusterctl.cli.commands import COMMANDS
from clusterctl.cli.main import cli
from clusterctl.config import loading
from clusterctl.config.cluster_section import ClusterSection
from clusterctl.config.settings import AwsSection, GlobalSection, KeySection, PermissionSection, VolumeSection
from clusterctl.plugin import hookspecs, loader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

ROOT = Path(__file__).parents[2]
SECTIONS = (GlobalSection, ClusterSection, KeySection, VolumeSection, PermissionSection, AwsSection)
WRITTEN = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("ami/*.md"), *ROOT.glob("changelog.d/*.md")]
)
PLACEHOLDERS = {"COMMAND"}
"""Lines with one of these show a shape, not a command."""


def load_hook(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / "_hooks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    return load_hook("reference")


@pytest.fixture(scope="module")
def pages(hook) -> dict[str, str]:
    return hook.pages()


def commands() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(cli, info_name="clusterctl")
    yield "clusterctl", cli
    for name in COMMANDS:
        command = cli.get_command(context, name)
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {below}", sub) for below, sub in command.commands.items())


def section_of(page: str, title: str) -> str:
    """The text below a heading, up to the next heading of any level."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, f"no heading {title}"
    return found[1]


def test_every_command_and_option_is_in_the_reference(pages):
    for name, command in commands():
        text = section_of(pages["reference/commands.md"], name)
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                missing = [flag for flag in (*parameter.opts, *parameter.secondary_opts) if f"{flag}" not in text]
                assert not missing, f"{name}: {missing}"
                assert parameter.help, f"{name}: {parameter.opts} says nothing"
    for aliases in (entry.aliases for entry in COMMANDS.values()):
        assert all(f"`clusterctl {alias}`" in pages["reference/commands.md"] for alias in aliases)


def test_every_option_of_the_config_file_is_in_the_reference(pages):
    models = [(None, model) for model in SECTIONS]
    for name, plugin in loader.installed_plugins("clusterctl").items():
        assert f"## [plugin {name}]" in pages["reference/options.md"]
        models.append((name, loader.options_model(plugin)))
    for _, model in models:
        for key, field in model.model_fields.items():
            assert f"| `{key.upper()}` |" in pages["reference/options.md"], (model, key)
            assert field.description, (model, key)


def test_every_hook_is_in_the_reference_and_in_the_guide(pages):
    guide = (ROOT / "docs/howto/plugin.md").read_text(encoding="utf-8")
    hooks = [name for name in vars(hookspecs) if name.startswith("clusterctl_")]
    assert hooks
    for name in hooks:
        assert "When: " in section_of(pages["reference/hooks.md"], name)
        assert f"`{name}`" in guide


def test_every_kind_of_error_and_its_exit_code_is_in_the_reference(pages):
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and kind.__module__ == errors.__name__]
    rows = {
        int(row[1]): row[2] for row in re.finditer(r"^\| (\d+) \| (.*) \|$", pages["reference/exit-codes.md"], re.M)
    }
    assert rows.keys() == {0, 1, 2, 3, 130}
    for kind in kinds:
        if kind is not errors.ClusterctlError:
            assert f"`{kind.__name__}`" in rows[kind.exit_code]


def test_the_marked_places_of_the_pages_are_filled(hook):
    marked = {
        mark
        for path in (ROOT / "docs").rglob("*.md")
        for mark in re.findall(r"<!-- code: (.*?) -->", path.read_text(encoding="utf-8"))
    }
    assert marked == set(hook._MARKS)
    for mark in marked:
        assert "<!--" not in hook.filled(f"<!-- code: {mark} -->")


def test_every_decision_is_listed_by_its_title_without_a_line_of_hand():
    hook = load_hook("decisions")
    decisions = list(hook.read_decisions())
    folder = ROOT / "docs" / "decisions"
    assert {decision.file for decision in decisions} == {path.name for path in folder.glob("*.md")} - {"index.md"}
    numbers, titles = [decision.number for decision in decisions], [decision.title for decision in decisions]
    assert len(set(numbers)) == len(numbers), "two decisions share a number"
    assert len(set(titles)) == len(titles)
    assert not re.search(r"decisions/\d", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    page = hook.on_page_markdown((folder / "index.md").read_text(encoding="utf-8"))
    for decision in decisions:
        assert f"| [{decision.number}]({decision.file}) | {decision.title} |" in page


@pytest.mark.parametrize("first_line", ["# A title", "# 0008: A title", "0007: A title"])
def test_a_decision_without_its_number_and_title_ends_the_build(first_line, tmp_path, monkeypatch):
    hook = load_hook("decisions")
    monkeypatch.setattr(hook, "FOLDER", tmp_path)
    (tmp_path / "0007-lines.md").write_text(f"{first_line}\n")
    with pytest.raises(ValueError, match=r"0007-lines\.md"):
        list(hook.read_decisions())


def lines_of_code(path: Path) -> Iterator[str]:
    """Lines of shell in fenced blocks, and code within the text."""
    text = path.read_text(encoding="utf-8")
    fence = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
    for block in fence.finditer(text):
        if block[1] in {"bash", "sh", "console"}:
            yield from (line.strip() for line in block[2].splitlines())
    yield from re.findall(r"(?<!`)`([^`\n]+)`(?!`)", fence.sub("", text))


def words_of_calls(line: str) -> Iterator[list[str]]:
    """The arguments of every clusterctl in a line of shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    arguments: list[str] | None = None
    begins = True
    for token in [*lexer, ";"]:
        if set(token) <= set("();<>|&"):
            if arguments:
                yield arguments
            arguments, begins = None, True
        elif token.startswith("$("):
            yield from words_of_calls(token[2:-1])
        elif arguments is not None:
            arguments.append(token)
        elif begins and token == "clusterctl":
            arguments = []
        else:
            begins = begins and (token in {"$", "python3", "install.py"} or "=" in token)


def calls() -> Iterator[tuple[str, list[str]]]:
    for path in WRITTEN:
        for line in lines_of_code(path):
            if "clusterctl " in line and not line.startswith("#"):
                for words in words_of_calls(line):
                    if not PLACEHOLDERS & set(words):
                        yield f"{path.relative_to(ROOT)}: {line}", words


def parse(words: list[str]) -> None:
    """What click does with a command line before it calls anything."""
    context = cli.make_context("clusterctl", list(words))
    command, rest = cli, [*context._protected_args, *context.args]
    while isinstance(command, click.Group) and rest:
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)
        rest = [*context._protected_args, *context.args]


def test_every_clusterctl_line_of_the_documentation_is_understood():
    wrong, count = [], 0
    for place, words in calls():
        count += 1
        try:
            parse(words)
        except click.exceptions.Exit:
            pass  # --help
        except (click.ClickException, errors.UsageError, ValueError) as exc:
            wrong.append(f"{place}: {getattr(exc, 'message', exc)}")
    assert not wrong, "\n".join(wrong)
    assert count > 100, "the lines are not found any more"


@pytest.mark.parametrize("line", ["strat x", "start --sise 3 x", "start", "config chek"])
def test_the_check_of_lines_sees_what_is_wrong(line):
    with pytest.raises((click.ClickException, errors.UsageError)):
        parse(line.split())


def test_the_check_of_lines_finds_them_in_shell():
    line = (
        'CLUSTERCTL_TUNNEL=always clusterctl list --json > x || eval "$(clusterctl completion zsh)"; echo clusterctl no'
    )
    assert list(words_of_calls(line)) == [["list", "--json"], ["completion", "zsh"]]


def test_the_readme_has_its_two_commands_every_command_and_no_link_to_nowhere():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "```bash\npython3 install.py clusterctl start -s 3 mycluster\n```" in text
    assert "```bash\npython3 install.py pytest\n```" in text
    missing = [name for name in COMMANDS if not re.search(rf"clusterctl {name}\b|`{name}`", text)]
    assert not missing
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / target).exists(), target


def test_no_page_names_a_place_of_the_machine_that_it_was_written_on():
    allowed = ("/home/me", "/home/users", "/home/CLUSTER_USER")
    texts = [*WRITTEN, ROOT / "mkdocs.yml", ROOT / "docs/terminal.svg", *ROOT.glob("docs/**/*.py")]
    for path in texts:
        found = re.findall(r"(?:/home/\w+|/root|/Users/\w+)(?:/|\b)", path.read_text(encoding="utf-8"))
        assert not [place for place in found if not place.startswith(allowed)], path


def test_the_picture_fetches_nothing():
    text = (ROOT / "docs/terminal.svg").read_text(encoding="utf-8")
    assert not re.search(r"@font-face|@import|url\((?!#)|(?:href|src)=", text)


def test_the_examples_of_configs_are_read(tmp_path):
    count = 0
    for name in ("settings.toml", "models", "lookup.db"):  # what FILES names
        (tmp_path / name).touch()
    for path in WRITTEN:
        for found in re.findall(r"^```ini\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            block = found if "[cluster" in found else f"{found}\n[cluster x]\n"
            if "SETUP_CLASS = /path/to" in block or "INCLUDE" in block or "package.module" in block:
                continue
            count += 1
            file = tmp_path / "config"
            file.write_text(block, encoding="utf-8")
            templates = re.findall(r"^\[cluster (\w+)\]", block, re.MULTILINE)
            try:
                loading.read_config(file, template=templates[-1], environ={}, find_plugin=loader.find_plugin_class)
            except errors.ConfigError as exc:
                pytest.fail(f"{path.name}: {exc}")
    assert count >= 5


@pytest.mark.e2e
@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path):
    pytest.importorskip("mkdocs", reason="the docs extra is not installed")
    site = tmp_path / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    html = list(site.rglob("*.html"))
    assert (site / "reference/commands.html") in html
    loads = re.compile(r"<(?:link|script|img|iframe)\b[^>]*?\b(?:href|src)=\"?(https?:|//)")
    for page in html:
        assert not loads.search(page.read_text(encoding="utf-8")), page
    navigation = (site / "index.html").read_text(encoding="utf-8")
    assert all(f"decisions/{path.stem}.html" in navigation for path in (ROOT / "docs/decisions").glob("0*.md"))
    if (ROOT / "tests/support/every_hook.py").exists():
        guide = (site / "howto/plugin.html").read_text(encoding="utf-8")
        assert "clusterctl_prepare" in guide.partition("every_hook.py")[2]
