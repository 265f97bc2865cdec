"""The command gc, on the stand-in."""

from __future__ import annotations

import pytest
from clusterctl_standin.faults import ALWAYS, Fails, InUse, Unauthorized
from clusterctl_standin.leaks import left

from clusterctl.journal import ClusterFolder
from clusterctl.journal.ids import remember_id
from clusterctl.providers.ec2 import deletion, tags
from clusterctl.providers.ec2.account import gc, inventory
from clusterctl.wiring.ec2 import owner_tag as ours
from clusterctl.wiring.local_paths import home_folder

pytestmark = pytest.mark.slow  # all of them together take a quarter of a minute

HERE, THERE = "us-east-1", "eu-west-1"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Two regions, and looks without a pause."""
    monkeypatch.setattr(inventory, "region_names", lambda _: [THERE, HERE])
    for module in (deletion, gc):
        monkeypatch.setattr(module, "_EVERY_S", 0.001)


def make(cloud, *, owner=None, region=HERE, uuid="u9", own=True):
    """A disk and a group that a cluster has left; their ids. `own`: this home has made it."""
    if own:
        home_folder().mkdir(parents=True, exist_ok=True)
        remember_id(home_folder(), uuid, "old")
    marks = {tags.UUID: uuid, tags.CLUSTER: "old", tags.OWNER: owner or ours()}
    ec2 = cloud.client("ec2", region)
    disk = ec2.create_volume(
        AvailabilityZone=f"{region}a",
        Size=100,
        VolumeType="gp3",
        TagSpecifications=tags.tag_specifications(marks, "volume"),
    )
    group = ec2.create_security_group(
        GroupName=f"old-{uuid}", Description="old", TagSpecifications=tags.tag_specifications(marks, "security-group")
    )
    return disk["VolumeId"], group["GroupId"]


def test_where_there_is_nothing_it_says_so(run, cloud):
    said = run("gc")
    assert (said.status, said.out.splitlines()[-1]) == (0, ">>> nothing that no cluster needs, in 2 regions")


def test_a_dry_run_says_what_where_whose_why_and_for_how_much_and_ends_nothing(run, cloud):
    disk, group = make(cloud, region=THERE)
    said = run("gc", "--dry-run")
    assert said.status == 0
    lines = {
        line.split("  ")[1].strip() or line: line for line in said.out.splitlines() if disk in line or group in line
    }
    assert len(lines) == 2
    text = next(line for line in said.out.splitlines() if disk in line)
    for part in (
        THERE,
        "old",
        ours(),
        "100 GB gp3, available",
        "no cluster that this computer knows needs it",
    ):
        assert part in text
    assert ">>> 2 of 2 things to end, 0.0" in said.out
    assert len(list(left(cloud, THERE))) == 2


def test_it_asks_and_without_an_answer_nothing_is_ended(run, cloud):
    make(cloud)
    said = run("gc")
    assert said.status == 2
    assert (
        "End 2 things? 1 volume, 1 security group go for good, with all that is on them. Go on? Nobody is here"
        in said.err
    )
    assert len(list(left(cloud, HERE))) == 2


def test_after_a_yes_all_is_ended_and_named(run, cloud):
    disk, group = make(cloud)
    said = run("gc", "-y")
    assert said.status == 0, said.err
    assert f">>> {HERE}: volume {disk} is gone" in said.out
    assert f">>> {HERE}: security group {group} is gone" in said.out
    assert list(left(cloud, HERE)) == []


def test_json_is_all_there_is_on_stdout(run, cloud):
    disk, _ = make(cloud)
    before = run("gc", "--json", "-n").json
    assert [each["ended"] for each in before["found"]] == [False, False]
    found = {each["id"]: each for each in run("gc", "--json", "--yes").json["found"]}
    assert found[disk]["kind"] == "volume"
    assert found[disk]["hourly_usd"] > 0
    assert found[disk]["ended"] is True
    assert found[disk]["left"] == ""
    assert run("gc", "--json").json == {"found": [], "notes": [], "failures": []}


def test_what_others_made_is_shown_and_only_ended_if_that_is_said(run, cloud):
    make(cloud, owner=ours(), own=False)  # two computers may have one name and one user
    said = run("gc", "--yes")
    assert said.status == 0
    assert ours() in said.out
    assert "not ours, --all-owners ends it" in said.out
    assert ">>> 0 of 2 things to end" in said.out
    assert len(list(left(cloud, HERE))) == 2
    assert run("gc", "--yes", "--all-owners").status == 0
    assert list(left(cloud, HERE)) == []


def test_what_the_journal_of_this_computer_knows_is_left_alone(run, cloud):
    make(cloud)
    folder = ClusterFolder(home_folder(), "old")
    folder.ensure_exists()
    folder.record("create", provider="ec2", template="t", overrides={}, nodes=["master"])
    folder.record("ec2", uuid="u9", region=HERE)
    assert ">>> nothing that no cluster needs" in run("gc", "--yes").out
    assert len(list(left(cloud, HERE))) == 2


def test_what_is_left_is_named_with_what_aws_says_and_the_status_is_1(run, cloud, monkeypatch):
    monkeypatch.setattr(gc, "_ENDING_S", 0.05)
    disk, group = make(cloud)
    cloud.faults.add(InUse(times=10_000))
    said = run("gc", "--yes")
    assert said.status == 1
    assert f"*** WARNING - {HERE}: security group {group} is left: AWS refused" in said.err
    assert "DependencyViolation" in said.err
    assert f"volume {disk} is gone" in said.out
    assert run("gc", "--yes", "--json").json["found"][0]["left"].startswith("AWS refused")


def test_a_region_that_may_not_be_looked_at_is_a_note(run, cloud):
    cloud.faults.add(Unauthorized("DescribeInstances", times=1))
    said = run("gc")
    assert said.status == 0
    assert "note: " in said.err
    assert "not looked at, AWS does not allow it (UnauthorizedOperation)" in said.err
    assert ">>> nothing that no cluster needs, in 1 region\n" in said.out


def test_one_that_does_not_answer_is_a_warning_and_the_status_is_1(run, cloud):
    cloud.faults.add(Fails("DescribeInstances", code="InvalidParameterValue", message="no"))
    said = run("gc")
    assert said.status == 1
    assert "*** WARNING - not looked at: " in said.err


def test_what_all_regions_answer_is_said_once_with_what_helps(run, cloud, monkeypatch):
    monkeypatch.setattr(inventory, "region_names", lambda _: ["us-east-1", "us-east-2", "us-west-1", "us-west-2"])
    cloud.faults.add(Fails("DescribeInstances", code="InvalidParameterValue", message="no", times=ALWAYS))
    said = run("gc", "--dry-run")
    assert said.status == 1
    assert said.err.count("AWS refused") == 1
    where = "not looked at: us-east-1, us-east-2, us-west-1 and 1 more region: AWS refused describe instances: no"
    assert f"{where} (InvalidParameterValue); correct what AWS names in the template" in said.err


def test_an_account_that_does_not_say_who_asks_is_a_note(run, cloud):
    make(cloud, owner="user/standin", own=False)
    cloud.faults.add(Fails("GetCallerIdentity", code="RequestExpired", message="late", times=ALWAYS))
    said = run("gc", "--yes")
    assert "the account does not say who you are" in said.err
    assert "(RequestExpired)" in said.err
    assert "not ours" in said.out
