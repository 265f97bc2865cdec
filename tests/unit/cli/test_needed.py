"""A command line that lacks something: what is missing, which clusters there are, and the whole line to type."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import click
import pytest

from clusterctl.cli.commands import COMMANDS
from clusterctl.cli.main import GlobalOptions, cli
from clusterctl.cli.needed import Needed, NeededOption


def leaves():
    """Every command that is no group, with its words."""
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        below = command.commands.items() if isinstance(command, click.Group) else [("", command)]
        for word, leaf in below:
            yield (name, word) if word else (name,), leaf


def needed(command):
    return [one for one in command.params if isinstance(one, Needed)]


LEAVES = dict(leaves())
THAT_NEED = {words: command for words, command in LEAVES.items() if any(one.required for one in command.params)}
OF_CLUSTERS = {w: c for w, c in THAT_NEED.items() if needed(c) and needed(c)[0].is_cluster and len(needed(c)) > 1}


@pytest.fixture
def clusters():
    """Names of two clusters that this computer knows."""
    for name in ("lab", "two"):
        folder = Path(os.environ["CLUSTERCTL_HOME"]) / "clusters" / name
        folder.mkdir(parents=True)
        (folder / "journal.jsonl").touch()
    return ["lab", "two"]


def read_remedy(said):
    """The words of the last line to type."""
    assert said.status == 2, said
    assert said.err.count("error: ") == 1
    return shlex.split(re.findall(r"`([^`]*)`", said.err.split("\ntry: ")[1])[-1])


def parse(line):
    """What a line means to its command; an error if it is not whole."""
    words = next(words for words in LEAVES if tuple(line[1 : 1 + len(words)]) == words)
    return LEAVES[words].make_context(words[-1], line[1 + len(words) :], obj=GlobalOptions()).params


def test_whatever_a_command_needs_has_an_example():
    assert len(THAT_NEED) > 25
    for words, command in THAT_NEED.items():
        for one in command.params:
            if one.required:
                assert isinstance(one, (Needed, NeededOption)), (words, one.name)


@pytest.mark.parametrize("words", THAT_NEED, ids=" ".join)
def test_with_each_number_of_words_too_few_the_missing_ones_are_named_with_the_whole_line(run, clusters, words):
    command = THAT_NEED[words]
    context = click.Context(command)
    names = [name for one in needed(command) for name in one.metavars(context)]
    examples = [word for one in needed(command) for word in (["lab"] if one.is_cluster else one.example)]
    for count in range(len(names)):
        said = run(*words, *examples[:count])
        lacking, told = names[count:], said.err.split(" missing")[0]
        assert told.endswith(("is", "are"))
        assert all(name in told.split("`: ")[1] for name in lacking)
        assert [word for word in read_remedy(said) if word not in {"-s", "3"}] == ["clusterctl", *words, *examples]
        assert parse(read_remedy(said))
        assert ("clusters here: lab, two" in said.err) == any(one.is_cluster for one in needed(command))


@pytest.mark.parametrize("words", OF_CLUSTERS, ids=" ".join)
def test_a_first_word_that_is_no_cluster_goes_behind_one(run, clusters, words):
    own = [word for one in needed(OF_CLUSTERS[words])[1:] for word in one.example]
    said = run(*words, own[0])
    assert f"no cluster here is called {own[0]!r}" in said.err
    assert "CLUSTER" in said.err.split("`: ")[1].split(" missing")[0]
    assert read_remedy(said) == ["clusterctl", *words, "lab", *own]


def test_commands_of_clusters_are_many():
    assert {"install", "keep", "put", "get", "sync", "exec", "share", "sshnode"} <= {words[0] for words in OF_CLUSTERS}


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("install humanize", "install lab humanize"),
        ("install --json humanize --yes", "install --json lab humanize --yes"),
        ("-c my.ini keep 2h", "-c my.ini keep lab 2h"),
        ("keep twoo", "keep two 2h"),
        ("put -n all a.txt b.txt", "put -n all lab a.txt b.txt"),
        ("put lab 'a b.txt'", "put lab 'a b.txt' data/"),
        ("exec --json two", "exec --json two uptime"),
        ("exec -n 1 hostname", "exec -n 1 lab hostname"),
        ("resize", "resize lab -s 3"),
        ("resize two", "resize two -s 3"),
        ("resize 5", "resize lab -s 3"),
        ("resize two 5", "resize two -s 5"),
        ("resize --yes two 5 6", "resize --yes two -s 5"),
        ("resize -s 5", "resize -s 5 lab"),
        ("sn 1", "sn lab 1"),
        ("run -c two", "run -c two python train.py"),
    ],
)
def test_what_was_typed_stays_in_the_line(run, clusters, typed, meant):
    assert shlex.join(read_remedy(run(*shlex.split(typed)))) == f"clusterctl {meant}"


def test_without_a_cluster_the_start_of_one_comes_first(run):
    said = run("install", "humanize")
    assert "there is no cluster here yet" in said.err
    assert "try: `clusterctl start mycluster`, then `clusterctl install mycluster humanize`\n" in said.err


def test_what_the_name_of_a_kind_may_be_is_listed_but_not_without_an_end(run, clusters):
    assert "plugins here: " in run("runplugin").err
    assert "; `clusterctl jobs --all` shows what there is\n" in run("job", "logs").err
    for number in range(20):
        (Path(os.environ["CLUSTERCTL_HOME"]) / "clusters" / f"x{number}").mkdir()
    assert " and 10 more\n" in run("keep").err


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("run lab -- python x.py --fast", "run -c lab -- python x.py --fast"), ("run lab", "run -c lab python train.py")],
)
def test_run_does_not_take_a_cluster_for_a_command(run, clusters, typed, meant):
    said = run(*typed.split())
    assert "error: lab is a cluster, and no command\n" in said.err
    assert shlex.join(read_remedy(said)) == f"clusterctl {meant}"
