"""The cases of `old_faults`: how the stand-in is made as EC2 was, and what a version must not do then."""

from __future__ import annotations

import base64
import gzip
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl_standin.faults import ALWAYS, FleetErrors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from clusterctl_standin.bodies.containers import Containers
    from clusterctl_standin.cloud import Cloud

_BLOB = "x1Y2z3" * 100


@dataclass(frozen=True)
class Bench:
    """A stand-in, and a version's command line with a home of its own."""

    cloud: Cloud
    home: Path
    run: Callable[..., tuple[int, str]]
    bodies: Containers | None = None
    """The machines behind its instances, for a case that needs them."""

    def config(self, template: str = "", *, types: str = "c7i.large", aws: str = "") -> None:
        """Write a config for three nodes that nobody waits for."""
        (self.home / "config").write_text(
            f"[aws]\n{aws}\n[cluster c]\nPROVIDER = ec2\nCLUSTER_SIZE = 3\nCLUSTER_USER = me\nSTART_TIMEOUT = 2\n"
            f"ADDRESS = private\nALLOW_FROM = 192.0.2.7/32\nNODE_INSTANCE_TYPE = {types}\n{template}\n"
        )

    def start(self, *words: str) -> tuple[int, str]:
        """Start the cluster of the config; it is bought without a question."""
        return self.run("start", "--yes", *words, "-c", "c", "lab")

    def markets(self) -> list[str]:
        """The market of each instance that was bought, whether it lives or not."""
        found = self.cloud.client("ec2").describe_instances()["Reservations"]
        return sorted(
            one.get("InstanceLifecycle", "on-demand") for reservation in found for one in reservation["Instances"]
        )

    def ids(self) -> list[str]:
        """The ids of all that live."""
        filters = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
        found = self.cloud.client("ec2").describe_instances(Filters=filters)["Reservations"]
        return [one["InstanceId"] for reservation in found for one in reservation["Instances"]]


@dataclass(frozen=True)
class Case:
    """A fault, and how it is tried."""

    text: str
    look: Callable[[Bench], str]
    """Return what is wrong; empty if nothing is."""
    bodies: bool = False
    """It needs machines that answer."""


def too_new(bench: Bench) -> str:
    """A1."""
    bench.config("SPOT_BID = 0.10")
    bench.cloud.faults.add(FleetErrors(code="InvalidLaunchTemplateId.VersionNotFound", market="spot", times=2))
    _, said = bench.start()
    bought = bench.markets()
    return (
        "" if bought == ["on-demand", "spot", "spot"] else f"bought {', '.join(bought) or 'nothing'}: {last_of(said)}"
    )


def no_role(bench: Bench) -> str:
    """A2."""
    bench.config("SPOT_BID = 0.10")
    code = "AuthFailure.ServiceLinkedRoleCreationNotPermitted"
    bench.cloud.faults.add(FleetErrors(code=code, message="no", market="spot", times=ALWAYS))
    bench.start()
    bought = bench.markets()
    return f"bought {len(bought)} on demand" if len(bought) > 1 else ""


def long_errors(bench: Bench) -> str:
    """A3."""
    bench.config("SPOT_BID = 0.10", types="c7i.large, c7a.large, m7i.large")
    message = f"You are not authorized to perform this operation. Encoded authorization failure message: {_BLOB}"
    bench.cloud.faults.add(FleetErrors(code="UnauthorizedOperation", message=message, times=ALWAYS))
    _, said = bench.start()
    size = len(said.encode())
    if size > 4000 or _BLOB in said:
        return f"{size:,} bytes of output, with encoded blobs"
    return ""


def free_plan(bench: Bench) -> str:
    """A4."""
    bench.config()
    bench.cloud.account.free_plan = True
    _, said = bench.start("--dry-run")
    _, more = ("", "") if "t3.micro" in said else bench.start()
    return "" if "t3.micro" in said else f"does not name the types that the plan has: {last_of(more)}"


def region_of_profile(bench: Bench) -> str:
    """A5."""
    files = bench.home / "aws-config"
    files.write_text("[profile lab]\nregion = eu-west-1\naws_access_key_id = AKIAX\naws_secret_access_key = x\n")
    bench.config(aws="")
    env = {"AWS_CONFIG_FILE": str(files), "AWS_PROFILE": "lab", "AWS_DEFAULT_REGION": ""}
    bench.run("listinstances", env=env)
    asked = sorted({call.region for call in bench.cloud.calls})
    return "" if asked == ["eu-west-1"] else f"asks {', '.join(asked)}, where the profile says eu-west-1"


def login_profile(bench: Bench) -> str:
    """A6."""
    files = bench.home / "aws-config"
    files.write_text("[profile lab]\nregion = eu-west-1\nlogin_session = arn:aws:iam::123456789012:user/me\n")
    bench.config()
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")
    env = {"AWS_CONFIG_FILE": str(files), "AWS_PROFILE": "lab", **dict.fromkeys(names, "")}
    _, said = bench.run("listinstances", env=env)
    remedy = next((line for line in said.splitlines() if line.startswith("try:")), "")
    return "" if "install" in remedy else f"the remedy is another one: {remedy[:90]}"


def no_route(bench: Bench) -> str:
    """A8."""
    ec2 = bench.cloud.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24", AvailabilityZone="us-east-1a")["Subnet"]["SubnetId"]
    bench.config(f"SUBNET_ID = {subnet}")
    text = (bench.home / "config").read_text().replace("ADDRESS = private\n", "")
    (bench.home / "config").write_text(text)
    bench.start()
    bought = len(bench.markets())
    return f"bought {bought} nodes that nobody can reach" if bought else ""


def gone_worker(bench: Bench) -> str:
    """B1."""
    bench.config()
    bench.start()
    ids = bench.ids()
    if len(ids) != 3:
        return f"{len(ids)} nodes after a start"
    workers = [call for call in ids if role_of(bench, call) != "master"]
    bench.cloud.client("ec2").terminate_instances(InstanceIds=workers[:1])
    _, said = bench.run("list")
    return "" if re.search(r"^ +node00\d is \w+", said, re.M) else f"`list` does not name it: {_first(said)}"


def role_of(bench: Bench, instance: str) -> str:
    (found,) = bench.cloud.client("ec2").describe_instances(InstanceIds=[instance])["Reservations"]
    return next((tag["Value"] for tag in found["Instances"][0]["Tags"] if tag["Key"] == "clusterctl:role"), "")


def no_watch(bench: Bench) -> str:
    """B3."""
    bench.config()
    status, said = bench.run("watch", "--help")
    return "" if not status else f"nothing does it: {last_of(said)}"


def full_zone(bench: Bench) -> str:
    """B4."""
    bench.config("MASTER_INSTANCE_TYPE = m7i.large\nSPOT_BID = 0.10")
    for zone in "abcdef":
        bench.cloud.capacity["c7i.large", f"us-east-1{zone}", "spot"] = 50 if zone in "ab" else 0
    # The workers' zone is where they are cheapest; it has no master.
    bench.cloud.prices.set_spot("c7i.large", "us-east-1a", 0.01)
    bench.cloud.capacity["m7i.large", "us-east-1a", "on-demand"] = 0
    _, said = bench.start()
    return "" if len(bench.ids()) == 3 else f"the start is undone, with room in us-east-1b: {last_of(said)}"


def subnet_ids(bench: Bench) -> str:
    """B5."""
    bench.config("MARKET = on-demand")
    bench.cloud.capacity["*", "*", "*"] = 0
    _, said = bench.start()
    return f"names {re.search('subnet-[0-9a-f]+', said)[0]}" if "subnet-" in said else ""


def missing_key_pair(bench: Bench) -> str:
    """B6."""
    (bench.home / "key").touch(mode=0o600)
    bench.config(f"KEYNAME = nobody\n[key nobody]\nKEY_LOCATION = {bench.home}/key")
    status, said = bench.run("start", "--dry-run", "-c", "c", "lab")
    return "" if status and "nobody" in said else f"--dry-run ends with status {status}"


def small_disks(bench: Bench) -> str:
    """B7."""
    bench.config()
    bench.start()
    sizes = sorted(volume["Size"] for volume in bench.cloud.client("ec2").describe_volumes()["Volumes"])
    return "" if sizes and sizes[-1] > 8 else f"root disks of {', '.join(map(str, sizes))} GB"


def ended_cluster(bench: Bench) -> str:
    """B8."""
    bench.config("LIFETIME = 1")
    bench.start()
    bench.cloud.client("ec2").terminate_instances(InstanceIds=bench.ids())
    _, said = bench.run("list")
    return "" if "ended" in _first(said) else f"`list`: {_first(said)}"


def fallback_quota(bench: Bench) -> str:
    """B9."""
    bench.config("SPOT_BID = 0.10\nMARKET = spot-with-fallback")
    bench.cloud.quotas["on-demand"] = 4
    _, said = bench.run("start", "--dry-run", "-c", "c", "lab")
    shown = re.search(r"quota, on demand, .*processors needed: (\d+)", said)
    return "" if shown and shown[1] == "6" else "shows no quota for the 6 processors that the fallback may need"


def weak_lock(bench: Bench) -> str:
    """B10."""
    bench.config()
    bench.start()
    calls = [call for call in bench.cloud.calls_of("CreateLaunchTemplate") if not call.params.get("DryRun")]
    if not calls:
        return "no launch"
    raw = base64.b64decode(calls[0].params["LaunchTemplateData"]["UserData"])
    text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode()
    return "" if "protocol kernel" in text else "its rules are not the kernel's, so systemd-networkd may take them away"


def ssm_without_agent(bench: Bench) -> str:
    """B11."""
    bench.config("SSM = yes\nINSTANCE_PROFILE = p\nPUBLIC_IPS = no\nNODE_IMAGE_ID = debian-12")
    iam = bench.cloud.client("iam")
    iam.create_instance_profile(InstanceProfileName="p")
    _, said = bench.run("start", "--dry-run", "-c", "c", "lab")
    return "" if "agent" in said else "--dry-run says nothing of the agent"


def disabled_key(bench: Bench) -> str:
    """B12."""
    bench.config()
    kms = bench.cloud.client("kms")
    key = kms.create_key()["KeyMetadata"]
    kms.disable_key(KeyId=key["KeyId"])
    bench.cloud.account.disk_key = key["Arn"]
    _, said = bench.start()
    return "" if "KMS" in said else f"does not name the key: {last_of(said)}"


def last_of(said: str) -> str:
    """What a command said in the end, short enough for a table."""
    lines = [line for line in said.splitlines() if line.startswith(("error:", "Error:"))] or said.splitlines()[-1:]
    return json.dumps(lines[0][:90] if lines else "").strip('"').replace("|", "\\|")


def _first(said: str) -> str:
    return said.splitlines()[0][:90].replace("|", "\\|") if said.strip() else ""


CASES = {
    "A1": Case("a launch template that is too new, inside a fleet's errors", too_new),
    "A2": Case("no role for spot instances", no_role),
    "A3": Case("no right to launch, 3 types in all subnets", long_errors),
    "A4": Case("an account of the free plan", free_plan),
    "A5": Case("the region of the profile", region_of_profile),
    "A6": Case("a profile of `aws login`", login_profile),
    "A8": Case("a subnet without an internet gateway", no_route),
    "B1": Case("a worker that was ended in the console", gone_worker),
    "B3": Case("replacing what is lost", no_watch),
    "B4": Case("the workers' zone has no room for the master", full_zone),
    "B5": Case("no capacity anywhere", subnet_ids),
    "B6": Case("`--dry-run` with a key pair that is not there", missing_key_pair),
    "B7": Case("the root disks", small_disks),
    "B8": Case("`list` after LIFETIME", ended_cluster),
    "B9": Case("`--dry-run` with a low quota for the fallback", fallback_quota),
    "B10": Case("the rules that close the metadata service", weak_lock),
    "B11": Case("SSM with an image that has no agent", ssm_without_agent),
    "B12": Case("the account's key for disks is off", disabled_key),
}
