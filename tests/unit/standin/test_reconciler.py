"""Bodies follow what the cloud says, in the order in which it was said, each in its own time."""

from __future__ import annotations

import threading

import pytest
from clusterctl_standin.bodies.reconciler import Reconciler


class Recorder:
    """A maker that writes down what it is asked to do, and waits on the way for those that it shall."""

    def __init__(self):
        self.done = []
        self.may_go_on = {}

    def _note(self, what, machine):
        if event := self.may_go_on.get(machine.id):
            assert event.wait(30)
        self.done.append((what, machine.id))

    def switch_on(self, machine):
        self._note("on", machine)

    def switch_off(self, machine):
        self._note("off", machine)

    def reboot(self, machine):
        self._note("reboot", machine)

    def remove(self, machine):
        self._note("gone", machine)

    def set_disks(self, machine):
        self._note("disks", machine)

    def save(self, machine):
        self._note("save", machine)

    def of(self, instance_id):
        return [what for what, whose in self.done if whose == instance_id]


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def reconciler(cloud, recorder):
    made = Reconciler(cloud, recorder)
    cloud.on_change(made.look)
    yield made
    made.close()


@pytest.fixture
def launch(launcher):
    def ids(count=1):
        return [instance["InstanceId"] for instance in launcher.run(count)]

    return ids


def test_a_body_goes_through_everything_that_its_instance_went_through(ec2, launch, reconciler, recorder):
    (one,) = launch()
    ec2.stop_instances(InstanceIds=[one])
    ec2.start_instances(InstanceIds=[one])
    ec2.reboot_instances(InstanceIds=[one])
    ec2.terminate_instances(InstanceIds=[one])
    reconciler.settle()
    assert recorder.of(one) == ["on", "off", "on", "reboot", "gone"]


def test_its_disk_is_kept_for_an_image_and_then_it_boots_anew(ec2, launch, reconciler, recorder):
    (one,) = launch()
    made = ec2.create_image(InstanceId=one, Name="baked")["ImageId"]
    reconciler.settle()
    assert recorder.of(one) == ["on", "save", "reboot"]
    assert reconciler.machine(one).images == (made,)


def test_what_does_not_change_is_left_alone(ec2, launch, reconciler, recorder):
    (one,) = launch()
    ec2.create_tags(Resources=[one], Tags=[{"Key": "a", "Value": "b"}])
    reconciler.look()
    reconciler.settle()
    assert recorder.of(one) == ["on"]
    assert reconciler.machine(one).tags == {"a": "b"}


def test_a_slow_body_holds_up_no_other(ec2, launch, reconciler, recorder, monkeypatch):
    quick_is_gone = threading.Event()
    (slow,) = launch()
    reconciler.settle()
    recorder.may_go_on[slow] = quick_is_gone
    ec2.stop_instances(InstanceIds=[slow])
    (quick,) = launch()
    monkeypatch.setattr(recorder, "remove", lambda _: quick_is_gone.set())
    ec2.terminate_instances(InstanceIds=[quick])
    reconciler.settle()
    assert recorder.of(slow) == ["on", "off"]
    assert recorder.of(quick) == ["on"]


def test_what_went_wrong_with_a_body_is_raised_to_whoever_waits_for_it(ec2, launch, reconciler, recorder, monkeypatch):
    def fail(_):
        raise RuntimeError("no room")

    monkeypatch.setattr(recorder, "switch_on", fail)
    launch()
    with pytest.raises(RuntimeError, match="no room"):
        reconciler.settle()


def test_a_body_that_reboots_is_switched_on_again_unless_the_cloud_wants_it_off(ec2, launch, reconciler, recorder):
    (one,) = launch()
    reconciler.again(one)
    reconciler.settle()
    ec2.stop_instances(InstanceIds=[one])
    reconciler.again(one)
    reconciler.settle()
    assert recorder.of(one) == ["on", "on", "off"]
