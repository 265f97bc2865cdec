"""Before nodes go a question says what goes with them; a no changes nothing, and says so."""

from __future__ import annotations

import click
import pytest

from clusterctl.cli.commands import COMMANDS
from clusterctl.cli.main import cli
from clusterctl.cli.questions import ask_remove, ask_stop, ask_terminate
from clusterctl.errors import DeclinedError
from clusterctl.journal import ClusterFolder
from clusterctl.notes import ENGINE_IDS
from clusterctl.operations.jobs.leaving import LeavingJobs
from clusterctl.operations.leave import Losses
from clusterctl.wiring import providers

from ....support.priced import PricedImageProvider

ASKING = {
    "start": ["new"],
    "addnode": ["lab"],
    "stop": ["lab"],
    "restart": ["lab"],
    "terminate": ["lab"],
    "removenode": ["lab"],
    "resize": ["-s", "2", "lab"],
    "image bake": ["mine"],
    "image remove": ["IMAGE"],
}
"""A command line for each command that asks."""
ONLY_WHERE_ENGINES_END = {"install", "runplugin"}
"""See tests/unit/operations/test_approval.py."""
ONLY_WHERE_IT_BUYS = {"run"}
"""Through `addnode` and `start`: see tests/unit/operations/jobs/."""
OF_AN_ACCOUNT = {"gc", "removekey", "removevolume", "selftest ec2"}
"""They ask in the same way, and need an account."""


@pytest.fixture
def up(run, laptop, monkeypatch):
    """A cluster that runs and an image, at a provider whose nodes cost money."""
    laptop.provider = PricedImageProvider(name="local")
    monkeypatch.delitem(providers._PROVIDERS, "docker")
    assert run("start", "lab", "--yes").status == 0
    laptop.image = run("image", "bake", "first", "--yes", "--json").json["image"]
    folder = ClusterFolder(laptop.home, "lab")
    folder.record("note", key=ENGINE_IDS.key, value={"master": [0, 2], "node001": [2, 4], "node002": [6, 4]})
    return laptop


def state_of(laptop):
    files = {
        path: path.read_bytes()
        for path in laptop.home.rglob("*")
        if path.is_file() and path.name != "lock" and "logs" not in path.parts
    }
    return files, dict(laptop.provider.machines), dict(laptop.provider.baked)


def commands():
    """Every command and subcommand, by its words."""
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {child}", below) for child, below in command.commands.items())


def test_every_command_that_asks_is_tried_here():
    asking = {words for words, command in commands() if any(option.name == "yes" for option in command.params)}
    assert asking == {*ASKING, *ONLY_WHERE_ENGINES_END, *ONLY_WHERE_IT_BUYS, *OF_AN_ACCOUNT}


@pytest.mark.parametrize("words", ASKING)
@pytest.mark.parametrize("answer", ["n\n", "\n"])
def test_a_no_changes_nothing_says_so_and_has_a_status_of_its_own(run, up, terminal, words, answer):
    if words == "image bake":
        up.provider.baked.clear()
    before = state_of(up)
    said = run(*words.split(), *(up.image if word == "IMAGE" else word for word in ASKING[words]), stdin=answer)
    assert said.err.splitlines()[-1] == "nothing was changed"
    assert "interrupted" not in said.err
    assert said.status == DeclinedError.exit_code == 3
    assert state_of(up) == before


ENGINES = "engines with what is in memory"
HOMES = "the disks with the homes on them"


@pytest.mark.parametrize(
    ("words", "question"),
    [
        ("terminate lab", f"End lab? 3 nodes, 10 {ENGINES} and {HOMES} will be gone for good. Go on? [y/N]"),
        ("stop lab", f"Stop lab? 3 nodes and 10 {ENGINES} go off; {HOMES} stay. Go on? [y/N]"),
        ("restart lab", f"Restart lab? 3 nodes and 10 {ENGINES} start anew. Go on? [y/N]"),
        ("removenode lab", f"Remove node002 from lab? 1 node, 4 {ENGINES} and the disks will be gone for good. Go on?"),
        ("removenode lab -a node001", "Remove node001 from lab? 1 node, 4 "),
    ],
)
def test_the_question_says_what_goes(run, up, terminal, words, question):
    assert question in run(*words.split(), stdin="n\n").out


def test_what_does_not_exist_is_refused_before_the_question(run, up, terminal):
    said = run("removenode", "lab", "-a", "node009", stdin="y\n")
    assert said.status == 2
    assert "lab has no node node009" in said.err


def losses(cluster="lab", **changes):
    facts = {"nodes": ("master", "node001"), "engines": 4, "lasting": False, "volumes": ()}
    return Losses(cluster=cluster, **{**facts, **changes})


def test_what_stays_is_said_too():
    assert ask_terminate([losses(volumes=("data",))]) == (
        f"End lab? 2 nodes, 4 {ENGINES} and {HOMES} will be gone for good; the volumes data stay. Go on?"
    )
    home = "the volume vol-1 of 50 GB with its home"
    assert ask_terminate([losses(home=home)]) == (
        f"End lab? 2 nodes, 4 {ENGINES}, the disks and {home} will be gone for good. Go on?"
    )
    assert ask_stop([losses(home=home, engines=0)]) == f"Stop lab? 2 nodes go off; the disks and {home} stay. Go on?"
    assert ask_terminate([losses(lasting=True)]) == (
        f"End lab? 4 {ENGINES} and all that the cluster set up will be gone; the machines and {HOMES} stay. Go on?"
    )
    assert ask_remove(losses(nodes=("node001",), engines=0, lasting=True)) == (
        "Remove node001 from lab? all that the cluster set up will be gone; the machines and the disks stay. Go on?"
    )


def test_jobs_that_end_with_it_are_named():
    jobs = ("9845a3bd4 python train.py", f"27f30c9e1 {'x' * 90}", *(f"{n}a0b0c0d sweep" for n in range(4)))
    said = ask_remove(losses(nodes=("node001",), engines=1, jobs=LeavingJobs(jobs)))
    assert "1 engine with what is in memory, 6 jobs not over (9845a3bd4 python train.py; 27f30c9e1 xxx" in said
    assert said.count("x") < 60
    assert "; 1 more) and the disks will be gone for good" in said


def test_files_of_jobs_that_come_before_or_go_unfetched_are_named_with_whose_they_are():
    jobs = LeavingJobs((), ("a.pkl of job 9845a3bd4",), ("out of job 27f30c9e1 begun by ada@desk",))
    here, there = "a.pkl of job 9845a3bd4", "out of job 27f30c9e1 begun by ada@desk"
    assert ask_terminate([losses(jobs=jobs)]).endswith(
        f"will be gone for good. Files of jobs that come to this computer before: {here}. "
        f"Files of jobs that are not fetched go, too: {there}. Go on?"
    )
    assert ask_terminate([losses(jobs=jobs)], force=True).endswith(f" go, too: {here}; {there}. Go on?")
    assert (
        f"stay. Files of jobs that come to this computer before: {here}. Files of jobs that are not fetched: {there}"
        in (ask_terminate([losses(jobs=jobs, lasting=True)]))
    )
    many = LeavingJobs((), (), tuple(f"f of job {n}a0b0c0d begun by ada@desk" for n in range(7)))
    assert ask_terminate([losses(jobs=many)]).endswith("begun by ada@desk; 2 more. Go on?")


def test_several_clusters_are_told_apart():
    assert ask_stop([losses("a", engines=0), losses("b", nodes=("master",), engines=2)]) == (
        f"Stop a, b? a: 2 nodes go off; {HOMES} stay. b: 1 node and 2 {ENGINES} go off; {HOMES} stay. Go on?"
    )
