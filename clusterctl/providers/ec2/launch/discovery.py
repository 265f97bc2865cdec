"""What a launch needs to know of the account beforehand: images, types, subnets. Changes nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clusterctl.errors import ProviderError
from clusterctl.providers.ec2 import images
from clusterctl.providers.ec2.aws import AwsError
from clusterctl.providers.ec2.launch.subnets import find_subnets

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from clusterctl.model import NodeSpec
    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.images import Ami
    from clusterctl.providers.ec2.launch.subnets import Subnet
    from clusterctl.providers.ec2.options import Options


@dataclass(frozen=True)
class Kind:
    """An instance type."""

    name: str
    archs: tuple[str, ...]
    vcpus: int


@dataclass(frozen=True)
class Survey:
    """What is there to launch with."""

    arch: str
    kinds: Mapping[str, Kind]
    """By name, those that the plan names."""
    amis: Mapping[str, Ami]
    """By what a `NodeSpec` calls its image."""
    subnets: tuple[Subnet, ...]
    fitting: Mapping[tuple[float | None, float | None], tuple[str, ...]]
    """Types by the processors and the memory (GB) that nodes without a type shall have."""


def survey(
    aws: Aws, options: Options, specs: Sequence[NodeSpec], *, zone: str, known_images: Mapping[str, str]
) -> Survey:
    """Look at what these nodes need: three calls, one more where an image is named by its system, or no type is.

    Args:
        aws: the account.
        options: of the template.
        specs: the nodes.
        zone: the only zone that may be taken; empty for all.
        known_images: see `images.resolve`.

    Raises:
        ProviderError: something that is named does not exist, or does not fit the rest.
    """
    with ThreadPoolExecutor(1) as pool:
        subnets = pool.submit(find_subnets, aws, options, zone=zone)
        kinds = describe_kinds(aws, [kind for spec in specs for kind in spec.types])
        arch = _arch(kinds, options.arch)
        amis = images.resolve(aws, {spec.image for spec in specs}, arch=arch, known=known_images)
        needs = dict.fromkeys((spec.vcpus, spec.memory_gb) for spec in specs if not spec.types)
        fitting = {(vcpus, memory): fitting_kinds(aws, arch, vcpus, memory) for vcpus, memory in needs}
        found = Survey(arch, kinds, amis, tuple(subnets.result()), fitting)
    _refuse_misfits(found, options)
    return found


def describe_kinds(aws: Aws, names: Iterable[str]) -> dict[str, Kind]:
    """These instance types, whichever AWS knows: there is no list of ours.

    Raises:
        ProviderError: one does not exist in this region.
    """
    wanted = sorted(set(names))
    if not wanted:
        return {}
    # By a filter: one that does not exist is then left out of the answer, and can be named.
    filters = [{"Name": "instance-type", "Values": wanted}]
    try:
        described = list(aws.pages("ec2", "describe_instance_types", "InstanceTypes", Filters=filters))
    except AwsError as exc:
        if exc.code != "InvalidInstanceType":
            raise
        described = []
    found = {kind.name: kind for kind in map(_kind, described)}
    missing = [name for name in wanted if name not in found]
    if missing:
        raise ProviderError(
            f"there is no instance type {', '.join(missing)} in {aws.region}",
            remedy="correct NODE_INSTANCE_TYPE or MASTER_INSTANCE_TYPE, or choose another region",
        )
    return found


def fitting_kinds(aws: Aws, arch: str, vcpus: float | None, memory_gb: float | None) -> tuple[str, ...]:
    """The types of the current generation with so many processors and at least so much memory.

    Raises:
        ProviderError: there is none.
    """
    count = int(vcpus or 2)
    found = aws.pages(
        "ec2",
        "get_instance_types_from_instance_requirements",
        "InstanceTypes",
        ArchitectureTypes=[arch],
        VirtualizationTypes=["hvm"],
        InstanceRequirements={
            "VCpuCount": {"Min": count, "Max": count},
            "MemoryMiB": {"Min": int((memory_gb or 0) * 1024)},
            "InstanceGenerations": ["current"],
            # Without them: burstable types slow down once they have used up their credits.
            "BurstablePerformance": "excluded",
            "BareMetal": "excluded",
            "AcceleratorCount": {"Max": 0},
        },
    )
    names = tuple(sorted(each["InstanceType"] for each in found))
    if not names:
        raise ProviderError(
            f"no instance type for {arch} in {aws.region} has {count} processors and {memory_gb or 0:g} GB",
            remedy="change VCPUS and MEMORY_GB, or name types in NODE_INSTANCE_TYPE",
        )
    return names


def _kind(said: Mapping[str, Any]) -> Kind:
    archs = said.get("ProcessorInfo", {}).get("SupportedArchitectures") or ()
    return Kind(said["InstanceType"], tuple(archs), int(said.get("VCpuInfo", {}).get("DefaultVCpus", 1)))


def _arch(kinds: Mapping[str, Kind], asked: str) -> str:
    """The architecture that all types have; what was asked for where there are none."""
    if not kinds:
        return asked
    common = set.intersection(*(set(kind.archs) for kind in kinds.values()))
    usable = [arch for arch in (asked, "x86_64", "arm64") if arch in common]
    if not usable:
        each = ", ".join(f"{kind.name} ({'/'.join(kind.archs)})" for kind in kinds.values())
        raise ProviderError(
            f"these types cannot share an image: {each}", remedy="name types of one architecture, x86_64 or arm64"
        )
    return usable[0]


def _refuse_misfits(found: Survey, options: Options) -> None:
    for name, ami in found.amis.items():
        if ami.arch != found.arch:
            raise ProviderError(
                f"the image {name or ami.id} is for {ami.arch}, and the nodes are {found.arch}",
                remedy="choose an image and types of one architecture",
            )
        if options.root_volume_gb is not None and options.root_volume_gb < ami.root_gb:
            raise ProviderError(
                f"ROOT_VOLUME_GB is {options.root_volume_gb}, and the image {name or ami.id} needs {ami.root_gb}",
                remedy=f"set ROOT_VOLUME_GB to {ami.root_gb} or more, or leave it out",
            )
