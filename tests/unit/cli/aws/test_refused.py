"""Every error code of the table at every call of the commands about the account; and two of no row.

Whatever AWS says, it is told by its name and with a remedy, and a resource that is called gone is gone. A run takes a
sample; `pytest -n 0 --whole --require slow` with this file takes all.
"""

from __future__ import annotations

import pytest

from clusterctl.providers.ec2.answers.lookup import find_row

from ....support.ec2_lab import hurry
from ....support.refusals import CODES, refusal

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

COMMANDS = {
    "listinstances": (),
    "listspots": (),
    "listregions": (),
    "listzones": (),
    "listimages": (),
    "listkeypairs": (),
    "listvolumes": (),
    "createkey": ("new",),
    "removekey": ("mine", "--yes"),
    "createvolume": ("8", "us-east-1a"),
    "resizevolume": ("{volume}", "20"),
    "removevolume": ("{volume}", "--yes"),
    "showconsole": ("{instance}",),
    "spothistory": ("c7i.large",),
    "gc": ("--yes",),
}
NAMED_ANYWAY = {"createkey", "createvolume"}
"""What these make is tagged with the user's name on this computer where the account does not say who asks."""
IMAGE = "/aws/service/debian/release/12/latest/amd64"
OURS = [{"Key": "clusterctl:cluster", "Value": "lost"}, {"Key": "clusterctl:owner", "Value": "user/standin"}]


@pytest.fixture
def attempt(run, cloud, monkeypatch, tmp_path):
    """Runs a command of the table in an account that has one of each; returns what it said, and what it asked for."""
    hurry(monkeypatch)
    monkeypatch.chdir(tmp_path)
    ec2 = cloud.client("ec2")
    image = cloud.client("ssm").get_parameter(Name=IMAGE)["Parameter"]["Value"]

    def tagged(kind):
        return {"TagSpecifications": [{"ResourceType": kind, "Tags": OURS}]}

    def attempt(command, fault=None):
        made = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, InstanceType="c5.large", **tagged("instance"))
        things = {
            "instance": made["Instances"][0]["InstanceId"],
            "volume": ec2.create_volume(Size=8, AvailabilityZone="us-east-1a", **tagged("volume"))["VolumeId"],
        }
        ec2.create_key_pair(KeyName="mine")
        cloud.clear_calls()
        if fault:
            cloud.faults.add(fault)
        said = run(command, *(word.format(**things) for word in COMMANDS[command]))
        cloud.faults.clear()
        actions = {call.action for call in cloud.calls}
        states = [each["State"]["Name"] for each in instances(things["instance"])]
        living = {"instance": bool(states) and states != ["terminated"], "volume": bool(volumes(things["volume"]))}
        for name in ("mine", "new"):
            ec2.delete_key_pair(KeyName=name)
        ec2.terminate_instances(InstanceIds=[things["instance"]])
        for each in volumes():
            ec2.delete_volume(VolumeId=each)
        gone = [kind for kind, id_ in things.items() if f"{id_} is gone" in said.out + said.err]
        return said, actions, [kind for kind in gone if living[kind]]

    def instances(id_):
        found = ec2.describe_instances(Filters=[{"Name": "instance-id", "Values": [id_]}])["Reservations"]
        return [each for reservation in found for each in reservation["Instances"]]

    def volumes(*ids):
        filters = [{"Name": "volume-id", "Values": [*ids]}] if ids else []
        found = ec2.describe_volumes(Filters=[*filters, {"Name": "status", "Values": ["available"]}])["Volumes"]
        return [each["VolumeId"] for each in found]

    return attempt


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.seeds(1)
def test_every_code_at_every_call(attempt, sample, command):
    said, actions, wrong = attempt(command)
    assert (said.status, wrong) == (0, []), said.err
    if command in NAMED_ANYWAY:
        actions -= {"GetCallerIdentity"}
    cases = [(action, code) for action in sorted(actions) for code in CODES]
    chosen = sample.of(cases, 3)
    faults = {case: fault for case in chosen if (fault := fault_of(attempt, command, *case))}
    print(f"{command}: {len(chosen)} of {len(cases)} cases")  # shown by -rP
    assert faults == {}


def fault_of(attempt, command, action, code):
    """Return what is wrong with a case; empty if it is as it should be. One that fails hides no other."""
    said, _, lies = attempt(command, refusal(action, code))
    text = said.out + said.err
    wrong = {
        "a traceback or a bug report": "Traceback" in text or said.status not in {0, 1, 2},
        "too long": len(text) > 4000,
        "encoded": "aB3aB3" in text,
        "its name is not said": code not in text,
        "no remedy": bool(said.status) and "try: " not in text and find_row(code).remedy not in text,
        f"not gone: {lies}": bool(lies),
    }
    return [what for what, is_so in wrong.items() if is_so] and [*(w for w, is_so in wrong.items() if is_so), text]
