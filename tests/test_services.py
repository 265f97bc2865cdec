"""Daemons on a node: what supervisord reads is what was meant."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clusterctl import services
from clusterctl.errors import RemoteError
from clusterctl.services import Service, ServiceState
from clusterctl.testing import fake_node

NODE = fake_node()
ENGINE = Service("engine", ["/env/bin/python", "-m", "x", "--id={number}"], PurePosixPath("/home"), count=2, first=3)
LINE = st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=12)


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Supervisor's own reading of a program's section."""
    options = pytest.importorskip("supervisor.options", reason="supervisor: is not installed")
    logs = PurePosixPath(tmp_path_factory.mktemp("logs"))
    node = replace(NODE, layout=replace(NODE.layout, logs=logs))

    def read(service):
        parser = options.UnhosedConfigParser()
        server = options.ServerOptions()
        parser.expansions = server.environ_expansions
        parser.read_string(services._program(node, replace(service, directory=logs)))
        return server.processes_from_section(parser, f"program:{service.name}", service.name)

    return read


def test_each_instance_has_its_number_its_name_and_its_log(read):
    found = read(ENGINE)
    assert [process.name for process in found] == ["engine-3", "engine-4"]
    assert [shlex.split(process.command)[-1] for process in found] == ["--id=3", "--id=4"]
    assert [PurePosixPath(process.stdout_logfile).name for process in found] == ["engine-3.log", "engine-4.log"]


@given(words=st.lists(LINE, max_size=4), values=st.dictionaries(st.sampled_from(["A", "B"]), LINE))
@example(words=["100%", "%(ENV_HOME)s", "it's", 'say "hi"', "a\\b", "a ; b # c", "", "%%"], values={"A": "b ;\"c' 50%"})
def test_words_and_environment_arrive_as_they_are(read, words, values):
    (process,) = read(Service("x", ["/bin/x", *words], PurePosixPath("/"), environment=values))
    expected = ["env", *(f"{key}={value}" for key, value in sorted(values.items()))] if values else []
    assert shlex.split(process.command) == [*expected, "/bin/x", *words]


def test_a_line_end_that_supervisord_cannot_take_is_refused():
    with pytest.raises(ValueError, match="line end"):
        services.ensure(NODE, [Service("x", ["echo", "a\nb"], PurePosixPath("/"))])


def test_a_version_of_several_lines_stays_a_comment(read):
    assert len(read(replace(ENGINE, version="a\n[program:evil]\ncommand=x"))) == 2


def test_children_are_stopped_too_only_where_asked(read):
    assert not read(ENGINE)[0].stopasgroup
    whole = read(replace(ENGINE, whole_group=True))[0]
    assert whole.stopasgroup
    assert whole.killasgroup


def test_a_service_is_restarted_by_itself(read):
    process = read(ENGINE)[0]
    assert process.autostart
    assert process.autorestart is not False


@pytest.mark.parametrize(
    "change", [{"count": 3}, {"first": 0}, {"command": ["x"]}, {"environment": {"A": "b"}}, {"version": "2"}]
)
def test_any_change_of_the_description_changes_the_file_that_decides_on_a_restart(change):
    assert services._program(NODE, ENGINE) != services._program(NODE, replace(ENGINE, **change))


def test_status_is_read_line_by_line():
    output = (
        "controller:controller-0          RUNNING   pid 7, uptime 0:00:04\n"
        "engine:engine-3                  FATAL     Exited too quickly (process log may have details)\n"
        "engine:engine-12                 STARTING\n"
        "unix:///x/s.sock no such file\n"
        "\n"
    )
    assert services.parse_status(output) == (
        ServiceState("controller", 0, running=True, detail="running pid 7, uptime 0:00:04"),
        ServiceState("engine", 3, running=False, detail="fatal Exited too quickly (process log may have details)"),
        ServiceState("engine", 12, running=False, detail="starting"),
    )


def test_no_manager_is_told_from_any_other_failure():
    assert services.is_missing(RemoteError("x", remedy="y", status=69))
    assert not services.is_missing(RemoteError("x", remedy="y", status=1))
    assert "exit 69" in services.restart(NODE, ["engine"])


def test_stop_of_what_does_not_run_is_success():
    script = services.stop(NODE, ["engine"])
    assert "exit 0" in script
    assert "exit 69" not in script


def test_a_pid_file_of_before_a_boot_is_not_believed():
    """The condition needs the socket, which is in a folder that a boot empties, and a live process."""
    condition = services.manager_runs(NODE)
    assert "s.sock" in condition
    assert "kill -0" in condition
