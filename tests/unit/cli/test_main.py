"""The command line itself: every command has help, aliases resolve, errors are two lines, a bug leaves a file."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import click
import pytest

from clusterctl import __version__
from clusterctl.cli.commands import _OTHER_WORDS, COMMANDS, all_names
from clusterctl.cli.main import GlobalOptions, cli
from clusterctl.errors import ProviderError

ALIASES = [(alias, name) for name, entry in COMMANDS.items() for alias in entry.aliases]


def command(name):
    return cli.get_command(click.Context(cli), name)


@pytest.mark.parametrize("name", COMMANDS)
class TestEachCommand:
    def test_has_help_that_begins_with_what_it_does(self, run, name):
        said = run(name, "--help")
        assert said.status == 0
        assert said.out.startswith(f"Usage: clusterctl {name}")
        assert command(name).get_short_help_str(200)[0].isupper()
        assert run(name, "-h").out == said.out or name in {"config"}

    def test_every_option_of_it_says_what_it_is_for(self, name):
        for parameter in command(name).params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                assert parameter.help, parameter.name

    def test_is_listed(self, run, name):
        assert re.search(rf"^  {name} +\S", run("--help").out, re.MULTILINE)


@pytest.mark.parametrize(("alias", "name"), ALIASES)
def test_starclusters_other_names_are_the_same_commands(alias, name):
    assert command(alias) is command(name)


def test_no_name_means_two_commands():
    names = [*COMMANDS, *(alias for alias, _ in ALIASES)]
    assert len(names) == len(set(names))


def test_version(run):
    assert run("--version").out == f"clusterctl, version {__version__}\n"


@pytest.mark.parametrize(("typed", "meant"), [("strat", "start"), ("terminat", "terminate"), ("lsit", "list")])
def test_an_unknown_command_is_answered_with_the_nearest(run, typed, meant):
    said = run(typed, "x")
    assert said.status == 2
    assert f"Did you mean '{meant}'?" in said.err
    assert said.err.startswith("error: ")
    assert "\ntry: " in said.err


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("ls", "'listclusters' or 'listspots'"),
        ("up", "'start'"),
        ("down", "'stop' or 'terminate'"),
        ("kill", "'terminate'"),
        ("delete", "'terminate' or 'removenode'"),
        ("DESTORY", "'terminate'"),
        ("instances", "'listinstances'"),
        ("fetch", "'job fetch' or 'get'"),
    ],
)
def test_words_of_other_tools_are_answered_with_ours(run, typed, meant):
    said = run(typed, "lab")
    assert said.status == 2
    assert said.err.startswith(f"error: No such command '{typed}'. Did you mean {meant}?\n")


def test_words_of_other_tools_are_no_commands_and_lead_to_some():
    assert not set(_OTHER_WORDS) & set(all_names())
    for commands in _OTHER_WORDS.values():
        for words in commands:
            name, *rest = words.split()
            meant = command(name)
            assert meant, words
            assert all(
                word in meant.commands
                if isinstance(meant, click.Group)
                else word in meant.get_help(click.Context(meant))
                for word in rest
            ), words


def test_an_unknown_option_is_an_error_with_a_hint(run):
    said = run("start", "lab", "--cluster-sise", "3")
    assert said.status == 2
    assert "--cluster-size" in said.err


FLAGS = ["-s", "3", "-b", "0.07", "--force-spot-master", "-c", "small", "-i", "c7i.large", "--timings"]


@pytest.mark.parametrize(
    "words",
    [
        ["terminate", ""],
        ["put", "lab", ""],
        ["put", "lab", "x", ""],
        ["get", "lab", "", "."],
        ["sync", "lab", ""],
        ["runplugin", "", "lab"],
        ["start", "-c", "", "lab"],
        ["start", "--template=", "lab"],
        ["terminate", "--id", "", "lab"],
        ["logs", "lab", ""],
        ["job", "cancel", ""],
        ["job", "show", "--cluster=", "x"],
        ["share", "lab", ""],
        ["run", "--fetch", "", "--", "true"],
        ["--config", "", "list"],
    ],
    ids=" ".join,
)
def test_an_empty_word_is_refused_before_it_means_everything(run, words):
    said = run(*words)
    assert said.status == 2
    assert "empty" in said.err
    assert "a variable of your shell" in said.err


@pytest.mark.parametrize(
    "words",
    [["exec", "lab", "echo", ""], ["sshnode", "lab", "master", "echo", ""], ["run", "--", "echo", ""]],
    ids=" ".join,
)
def test_a_word_of_a_program_may_be_empty(run, words):
    assert "empty" not in run(*words).err


@pytest.mark.parametrize("words", [["mycluster", *FLAGS], [*FLAGS, "mycluster"], [*FLAGS[:4], "mycluster", *FLAGS[4:]]])
def test_start_takes_its_flags_in_any_order(words):
    parsed = command("start").make_context("start", list(words), obj=GlobalOptions()).params
    assert parsed["name"] == "mycluster"
    assert (parsed["cluster_size"], parsed["spot_bid"], parsed["force_spot_master"]) == ("3", "0.07", True)
    assert (parsed["template"], parsed["node_instance_type"], parsed["timings"]) == ("small", "c7i.large", True)


def test_start_leaves_out_what_was_not_said():
    parsed = command("start").make_context("start", ["lab"], obj=GlobalOptions()).params
    assert parsed["cluster_size"] is None
    assert parsed["force_spot_master"] is None


class TestErrors:
    def test_two_lines_and_status_1(self, run, laptop):
        laptop.provider.refusal = ProviderError("no capacity", remedy="try another zone")
        said = run("start", "lab")
        assert said.status == 1
        assert said.err.splitlines()[-2:] == ["error: no capacity", "try: try another zone"]

    def test_who_is_in_a_folder_that_is_gone_is_told_so(self, run, laptop, tmp_path, monkeypatch):
        (tmp_path / "gone").mkdir()
        monkeypatch.chdir(tmp_path / "gone")
        (tmp_path / "gone").rmdir()
        said = run("run", "--", "true")
        assert said.status == 2
        assert said.err.splitlines()[-2] == "error: the folder where you are was deleted"

    def test_what_is_to_fix_on_the_command_line_is_status_2(self, run, laptop):
        said = run("start", "bad name")
        assert (said.status, said.err.splitlines()[0]) == (
            2,
            "error: 'bad name' cannot name a cluster: it must be a valid host name",
        )

    def test_all_problems_of_the_file_come_at_once_each_on_a_line(self, run, laptop):
        laptop.config.write_text("[cluster x]\ncluster_sise = 3\nprovider = nowhere\nmin_size = x\n")
        said = run("start", "lab")
        assert said.status == 2
        assert sum(line.startswith("error: ") for line in said.err.splitlines()) >= 3
        assert sum(line.startswith("try: ") for line in said.err.splitlines()) == 1
        assert "CLUSTER_SIZE" in said.err

    def test_further_lines_of_a_message_are_indented(self, run, laptop):
        laptop.provider.refusal = ProviderError("no capacity\nin zone a\nin zone b", remedy="wait")
        assert run("start", "lab").err.splitlines()[-4:] == [
            "error: no capacity",
            "       in zone a",
            "       in zone b",
            "try: wait",
        ]

    def test_a_bug_leaves_its_traceback_in_a_file_that_is_named(self, run, laptop):
        laptop.provider.refusal = ZeroDivisionError("oh")
        said = run("start", "lab")
        assert said.status == 1
        assert "error: this is a bug in clusterctl: ZeroDivisionError: oh" in said.err
        assert "Traceback" not in said.err
        file = Path(re.search(r"report it with (\S+),", said.err)[1])
        text = file.read_text()
        assert "Traceback" in text
        assert "ZeroDivisionError: oh" in text
        assert __version__ in text

    @pytest.mark.parametrize("how", ["flag", "variable"])
    def test_debug_shows_the_traceback(self, run, laptop, monkeypatch, how):
        laptop.provider.refusal = ProviderError("no capacity", remedy="wait")
        if how == "variable":
            monkeypatch.setenv("CLUSTERCTL_DEBUG", "1")
        said = run(*(["-d"] if how == "flag" else []), "start", "lab")
        assert "Traceback" in said.err
        assert said.err.endswith("try: wait\n")

    def test_ctrl_c_is_status_130(self, run, laptop):
        laptop.provider.refusal = KeyboardInterrupt()
        said = run("start", "lab")
        assert said.status == 130
        assert "interrupted" in said.err
        assert laptop.provider.nodes() == []

    def test_a_machine_that_shuts_down_ends_a_command_as_ctrl_c_does(self, run):
        run("--version")
        assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
        assert signal.getsignal(signal.SIGHUP) is signal.default_int_handler


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_and_the_commands_agree(name):
    entry = COMMANDS[name]
    assert isinstance(command(name), click.Command), entry.module
    assert command(name).name == name
    assert command(name).get_short_help_str(500) == entry.summary
