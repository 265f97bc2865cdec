"""Stop, start, reboot, terminate, and what AWS itself does to instances.

From the API reference and "Amazon EC2 instance state changes": one wrong id fails the whole call; a one-time spot
instance cannot be stopped; a start needs capacity and quota again, has a new public address and launch time and keeps
the private address; an ended instance gives its disks and interfaces back. Simplified: an ended instance is shown for
ever, where EC2 forgets it after about an hour.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ..api import wire
from ..fleets.capacity import SPOT, shortage
from ..money.quotas import exceeded
from .lives import CODES, Life, utcnow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..cloud import Cloud

BY_USER = ("Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown")
BY_ITSELF = ("Client.InstanceInitiatedShutdown", "Client.InstanceInitiatedShutdown: Instance initiated shutdown")
INTERRUPTED = ("Server.SpotInstanceTermination", "Server.SpotInstanceTermination: Spot instance termination")
NO_KEY = ("Client.InternalError", "Client.InternalError: Client error on launch")
NO_ROOM = (
    "Server.InsufficientInstanceCapacity",
    "Server.InsufficientInstanceCapacity: Insufficient capacity available to satisfy instance request",
)


def _state(word: str) -> dict[str, Any]:
    return {"Code": CODES[word], "Name": word}


def _changes(lives: list[Life], before: list[str]) -> list[dict[str, Any]]:
    return [
        {"InstanceId": life.id, "CurrentState": _state(life.state), "PreviousState": _state(was)}
        for life, was in zip(lives, before, strict=True)
    ]


def terminate_instances(cloud: Cloud, request: wire.Request) -> Mapping[str, Any]:
    """End instances. To end one again is no error."""
    lives = cloud.lives.named(request.params.get("InstanceIds") or (), request.region)
    for life in lives:
        if life.instance.disable_api_termination:
            raise wire.AwsError(
                "OperationNotPermitted",
                f"The instance '{life.id}' may not be terminated. Modify its 'disableApiTermination' instance attribute"
                " and try again.",
            )
    before = [life.state for life in lives]
    for life in lives:
        end(cloud, life, reason=BY_USER, status="instance-terminated-by-user", slow=request.effects.slow)
    # EC2 always says shutting-down here; the state may be beyond it at the next look.
    said = [
        {
            "InstanceId": life.id,
            "CurrentState": _state("terminated" if was == "terminated" else "shutting-down"),
            "PreviousState": _state(was),
        }
        for life, was in zip(lives, before, strict=True)
    ]
    return {"TerminatingInstances": said}


def end(cloud: Cloud, life: Life, *, reason: tuple[str, str], status: str, slow: int = 0) -> None:
    """Take an instance away with what ends with it."""
    if life.settled == "terminated":
        return
    it, backend = life.instance, life.instance.ec2_backend
    for nic in list(it.nics.values()):
        nic.stop()
        if nic.delete_on_termination and nic.id in backend.enis:
            nic.delete()
        elif not nic.delete_on_termination:
            nic.attachment_id, nic.instance, nic.status = None, None, "available"
    for disk in it.block_device_mapping.values():
        volume = backend.volumes.get(disk.volume_id)
        if volume is None:
            continue
        volume.attachment = None
        if disk.delete_on_termination:
            del backend.volumes[disk.volume_id]
    life.reason = reason
    it._reason = f"User initiated ({utcnow():%Y-%m-%d %H:%M:%S} GMT)" if reason == BY_USER else reason[0]
    life.notice = None
    life.settle("terminated", slow=slow)
    cloud.spot.ended(life, status)


def stop_instances(cloud: Cloud, request: wire.Request) -> Mapping[str, Any]:
    """Stop running instances; their public addresses are gone."""
    lives = cloud.lives.named(request.params.get("InstanceIds") or (), request.region)
    for life in lives:
        spot = cloud.spot.get(life.spot_request)
        if spot is not None and spot.type == "one-time":
            raise wire.AwsError(
                "UnsupportedOperation",
                f"You can't stop the Spot Instance '{life.id}' because it is associated with a one-time Spot Instance"
                " request. You can only stop Spot Instances associated with persistent Spot Instance requests.",
            )
        if life.state not in ("running", "stopping", "stopped"):
            message = f"This instance '{life.id}' is not in a state from which it can be stopped."
            raise wire.AwsError("IncorrectInstanceState", message)
    before = [life.state for life in lives]
    for life in lives:
        if life.settled == "running":
            stop(life, reason=BY_USER, slow=request.effects.slow)
    said = _changes(lives, before)
    for each, was in zip(said, before, strict=True):
        each["CurrentState"] = _state("stopped" if was == "stopped" else "stopping")
    return {"StoppingInstances": said}


def stop(life: Life, *, reason: tuple[str, str], slow: int = 0) -> None:
    """Put an instance to rest."""
    for nic in life.instance.nics.values():
        nic.stop()
    life.reason = reason
    life.instance._reason = f"User initiated ({utcnow():%Y-%m-%d %H:%M:%S} GMT)"
    life.settle("stopped", slow=slow)


def start_instances(cloud: Cloud, request: wire.Request) -> Mapping[str, Any]:
    """Start stopped instances, if there is room for all of them."""
    lives = cloud.lives.named(request.params.get("InstanceIds") or (), request.region)
    for life in lives:
        if life.state not in ("stopped", "running", "pending"):
            message = f"The instance '{life.id}' is not in a state from which it can be started."
            raise wire.AwsError("IncorrectInstanceState", message)
    for life in lives:
        if life.state == "stopped":
            _check_room(cloud, request, life, also=lives)
    before = [life.state for life in lives]
    for life in lives:
        if life.settled == "stopped":
            for nic in life.instance.nics.values():
                nic.start()
            life.reason = None
            # The time has whole seconds, and no real instance stops and starts within one.
            former = life.instance.launch_time
            life.instance.launch_time = max(utcnow(), former + timedelta(seconds=1))
            life.settle("running", slow=request.effects.slow)
            life.boot(cloud.boot_s)
    said = _changes(lives, before)
    for each, was in zip(said, before, strict=True):
        each["CurrentState"] = _state("running" if was == "running" else "pending")
    return {"StartingInstances": said}


def _check_room(cloud: Cloud, request: wire.Request, life: Life, *, also: list[Life]) -> None:
    zone = life.instance.placement.zone
    alike = [each for each in also if each.state == "stopped" and each.kind == life.kind]
    room = request.effects.room(cloud, (life.kind.name, zone, life.market))
    if room is not None and room < sum(1 for each in alike if each.instance.placement.zone == zone):
        raise wire.AwsError(*shortage((life.kind.name, zone, life.market), others=[]), status=500)
    quota = request.effects.quota(cloud, life.market)
    wanted = sum(each.kind.vcpus for each in also if each.state == "stopped" and each.market == life.market)
    if life.kind.standard and cloud.lives.vcpus(request.region, life.market) + wanted > quota:
        raise wire.AwsError(*exceeded(life.market, quota))


def reboot_instances(cloud: Cloud, request: wire.Request) -> Mapping[str, Any]:
    """Reboot: nothing that the API shows changes, but who watches is told."""
    for life in cloud.lives.named(request.params.get("InstanceIds") or (), request.region):
        if life.state not in ("running", "pending"):
            message = f"This instance '{life.id}' is not in a state from which it can be rebooted."
            raise wire.AwsError("IncorrectInstanceState", message)
        cloud.rebooted(life.id)
    return {}


def powered_off(cloud: Cloud, life: Life) -> None:
    """The machine shut itself down: it stops or ends, as its shutdown behaviour says; a spot instance always ends."""
    if life.settled != "running":
        return
    if life.market == SPOT or life.instance.instance_initiated_shutdown_behavior == "terminate":
        end(cloud, life, reason=BY_ITSELF, status="instance-terminated-by-user")
    else:
        stop(life, reason=BY_ITSELF)


HANDLERS = {
    ("ec2", "TerminateInstances"): terminate_instances,
    ("ec2", "StopInstances"): stop_instances,
    ("ec2", "StartInstances"): start_instances,
    ("ec2", "RebootInstances"): reboot_instances,
}
