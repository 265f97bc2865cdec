"""Daemons on a node: what supervisord and systemd read is what was meant."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clusterctl.errors import RemoteError
from clusterctl.model import Facet
from clusterctl.node import services, supervisord, systemd
from clusterctl.service import Service, ServiceState
from clusterctl.testing import fake_node

NODE = fake_node()
MACHINE = fake_node(facets=frozenset({Facet.MACHINE}))
SYSTEMD = fake_node(facets=frozenset({Facet.MACHINE, Facet.INIT}))
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
        parser.read_string(supervisord.service_definition(node, replace(service, directory=logs)))
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
    changed = replace(ENGINE, **change)
    assert supervisord.service_definition(NODE, ENGINE) != supervisord.service_definition(NODE, changed)
    # How many instances there are is not in a unit: they are enabled one by one.
    assert services.ensure(SYSTEMD, [ENGINE]) != services.ensure(SYSTEMD, [changed])


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


def test_a_machine_runs_it_as_its_user_with_that_users_home(read):
    service = replace(ENGINE, user="me", home=PurePosixPath("/home/me"))
    text = supervisord.service_definition(MACHINE, service)
    assert "\nuser=me\n" in text
    assert "HOME=/home/me USER=me" not in supervisord.service_definition(NODE, service)
    assert {"HOME=/home/me", "USER=me", "LOGNAME=me"} <= set(text.split("command=")[1].splitlines()[0].split())
    assert "user=" not in supervisord.service_definition(NODE, service)


def unit(service):
    """A unit file as systemd groups it: section to key to values."""
    found = {}
    for line in systemd.service_definition(SYSTEMD, service).splitlines():
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            section.setdefault(key, []).append(value)
    return found


class TestSystemd:
    def test_an_instance_has_its_number_user_log_and_open_files(self):
        said = unit(replace(ENGINE, user="me"))["Service"]
        assert said["ExecStart"] == ['"/env/bin/python" "-m" "x" "--id=%i"']
        assert said["User"] == ["me"]
        assert said["LimitNOFILE"] == ["65536"]
        assert said["Restart"] == ["always"]
        assert said["StandardOutput"] == [f"append:{SYSTEMD.layout.logs}/engine-%i.log"]

    def test_it_never_gives_up_as_the_master_may_be_away_for_long(self):
        assert unit(ENGINE)["Unit"]["StartLimitIntervalSec"] == ["0"]

    def test_words_are_escaped_as_systemd_reads_them(self):
        service = Service(
            "x", ["/bin/x", 'a "b"', "50%", "$HOME", "c\\d", ""], PurePosixPath("/"), environment={"A": "5% $B"}
        )
        said = unit(service)["Service"]
        assert said["ExecStart"] == ['"/bin/x" "a \\"b\\"" "50%%" "$$HOME" "c\\\\d" ""']
        assert said["Environment"] == ['"A=5%% $B"']

    def test_children_are_always_stopped_too_as_one_that_stayed_would_keep_the_home_mounted(self):
        assert unit(ENGINE)["Service"]["KillMode"] == ["control-group"]

    def test_a_line_end_is_refused(self):
        with pytest.raises(ValueError, match="line end"):
            services.ensure(SYSTEMD, [Service("x", ["echo", "a\nb"], PurePosixPath("/"))])

    def test_ensure_enables_every_instance_for_the_next_boot(self):
        script = services.ensure(SYSTEMD, [ENGINE])
        assert "clusterctl-engine@3.service clusterctl-engine@4.service" in script
        assert "systemctl --quiet enable" in script

    def test_one_instance_and_all_of_a_service_are_addressed(self):
        assert systemd.manager_name("engine") == "clusterctl-engine@*.service"
        assert systemd.manager_name(services.instance("engine", 3)) == "clusterctl-engine@3.service"

    def test_no_services_is_told_from_any_other_failure(self):
        assert "exit 69" in services.restart(SYSTEMD, ["engine"])
        assert "exit 69" not in services.stop(SYSTEMD, ["engine"])


@pytest.mark.parametrize("node", [NODE, SYSTEMD])
def test_a_service_that_is_not_wanted_any_more_is_stopped_where_it_was_set_up(node):
    plain, script = services.ensure(node, [ENGINE]), services.ensure(node, [ENGINE], unwanted=["notebook"])
    condition = f"if [ -e {node.layout.state}/services/probes/notebook.json ]; then ("
    assert script.startswith(condition)
    assert services.stop(node, ["notebook"]) in script
    assert script.endswith(plain)
