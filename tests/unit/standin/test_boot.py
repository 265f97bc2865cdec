"""A boot takes the seconds that it is told to: first the instance is pending, and in the end its SSH server answers."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from clusterctl_standin.__main__ import main
from clusterctl_standin.bodies.booting import MOMENT, SCRIPT, late_server
from clusterctl_standin.cloud import Cloud

BEGAN = 1_800_000_000


class Clock:
    now = float(BEGAN)

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def cloud(clock):
    """One whose machines boot half a minute, and which needs no port."""
    with Cloud(port=False, boot_s=29) as standin:
        standin.follow(clock)
        yield standin


def shown(launcher):
    (found,) = launcher.all()
    return found["State"]["Name"], "PublicIpAddress" in found


def answers_after(cloud, began):
    (machine,) = cloud.machines()
    return (machine.answers_at - datetime.fromtimestamp(began, timezone.utc)).total_seconds()


@pytest.mark.parametrize("by", ["run", "fleet"])
def test_an_instance_is_pending_at_first_and_answers_at_the_end(launcher, cloud, clock, by):
    getattr(launcher, by)(1)
    for after, state in ((0, "pending"), (4.8, "pending"), (4.9, "running"), (28, "running")):
        clock.now = BEGAN + after
        assert shown(launcher) == (state, state == "running"), after
    assert answers_after(cloud, BEGAN) == 29


def test_so_does_one_that_is_started_again(launcher, ec2, cloud, clock):
    (made,) = launcher.run()
    clock.now += 29
    ec2.stop_instances(InstanceIds=[made["InstanceId"]])
    assert shown(launcher) == ("stopped", False)
    clock.now += 100
    ec2.start_instances(InstanceIds=[made["InstanceId"]])
    assert shown(launcher) == ("pending", False)
    assert answers_after(cloud, clock.now) == 29


def test_an_end_is_no_part_of_a_boot(launcher, ec2):
    (made,) = launcher.run()
    ec2.terminate_instances(InstanceIds=[made["InstanceId"]])
    assert shown(launcher)[0] == "terminated"


def test_without_the_option_nothing_is_waited_for(launcher, cloud):
    cloud.boot_s = 0
    launcher.run()
    assert shown(launcher) == ("running", True)
    (machine,) = cloud.machines()
    assert late_server(machine) == {}


class TestTheBody:
    """Its SSH server is started by a script, whose `sleep` is one that writes down how long it would be."""

    @pytest.fixture
    def waited(self, tmp_path, allow_subprocess):
        (tmp_path / "sleep").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/slept\n')
        (tmp_path / "sleep").chmod(0o755)

        def wait(machine):
            files = late_server(machine)
            (tmp_path / "answers-at").write_bytes(files[MOMENT])
            env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
            text = files[SCRIPT].decode().replace(f"/{MOMENT}", f"{tmp_path}/answers-at")
            subprocess.run(["sh", "-c", text], env=env, check=True)
            slept = tmp_path / "slept"
            return float(slept.read_text()) if slept.exists() else 0

        return wait

    @pytest.fixture
    def machine(self, launcher, cloud):
        launcher.run()
        (made,) = cloud.machines()
        return made

    def test_it_waits_for_its_moment(self, machine, waited):
        later = datetime.now(timezone.utc) + timedelta(seconds=29)
        assert 20 < waited(replace(machine, answers_at=later)) <= 29

    def test_it_waits_no_more_once_that_has_been(self, machine, waited):
        before = datetime.now(timezone.utc) - timedelta(seconds=1)
        assert waited(replace(machine, answers_at=before)) == 0


def test_the_command_line_has_it(monkeypatch, capsys):
    made = []

    def enter(**options):
        made.append(options)
        raise KeyboardInterrupt

    monkeypatch.setattr("clusterctl_standin.__main__.Cloud", enter)
    monkeypatch.setattr("clusterctl_standin.__main__.signal.signal", lambda *_: None)
    with pytest.raises(KeyboardInterrupt):
        main(["--boot-seconds", "29"])
    assert made == [{"boot_s": 29}]
    for wrong in ("-1", "nan", "soon"):
        with pytest.raises(SystemExit):
            main(["--boot-seconds", wrong])
        assert "--boot-seconds" in capsys.readouterr().err
