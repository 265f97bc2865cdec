"""Read from the account what a launch needs to know: images, instance types, subnets. Changes nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clusterctl.errors import ProviderError
from clusterctl.providers.ec2 import images
from clusterctl.providers.ec2.launch.subnets import find_subnets

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from clusterctl.model import NodeSpec
    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.images import Ami
    from clusterctl.providers.ec2.launch.subnets import Subnet
    from clusterctl.providers.ec2.options import Options


@dataclass(frozen=True)
class InstanceType:
    """An instance type."""

    name: str
    archs: tuple[str, ...]
    vcpus: int


@dataclass(frozen=True)
class LaunchInputs:
    """Images, instance types and subnets that a launch can use."""

    arch: str
    instance_types: Mapping[str, InstanceType]
    """The instance types that the plan names, by name."""
    amis: Mapping[str, Ami]
    """By the name of the image in a `NodeSpec`."""
    subnets: tuple[Subnet, ...]
    fitting_types: Mapping[tuple[float | None, float | None], tuple[str, ...]]
    """Names of instance types, by processors and memory (GB), for nodes that name no type."""


def discover_inputs(
    aws: Aws, options: Options, specs: Sequence[NodeSpec], *, zone: str, known_images: Mapping[str, str]
) -> LaunchInputs:
    """Read what a launch of these nodes needs.

    Three calls; one more for an image that is named by its system, or for nodes without types.

    Args:
        aws: the account.
        options: of the template.
        specs: the nodes.
        zone: the only zone to use; empty for all.
        known_images: see `images.resolve_images`.

    Raises:
        ProviderError: a named resource does not exist, or does not match the others.
    """
    with ThreadPoolExecutor(1) as pool:
        subnets = pool.submit(find_subnets, aws, options, zone=zone)
        kinds = describe_instance_types(aws, [name for spec in specs for name in spec.types])
        arch = _common_arch(kinds, options.arch)
        amis = images.resolve_images(aws, {spec.image for spec in specs}, arch=arch, known=known_images)
        needs = dict.fromkeys((spec.vcpus, spec.memory_gb) for spec in specs if not spec.types)
        fitting = {(vcpus, memory): find_fitting_types(aws, arch, vcpus, memory) for vcpus, memory in needs}
        inputs = LaunchInputs(arch, kinds, amis, tuple(subnets.result()), fitting)
    _check_images(inputs, options)
    return inputs


def describe_instance_types(aws: Aws, names: Iterable[str]) -> dict[str, InstanceType]:
    """Return these instance types as AWS describes them. There is no list of types in this program.

    Raises:
        ProviderError: a type does not exist in this region.
    """
    sorted_names = sorted(set(names))
    if not sorted_names:
        return {}
    # A filter leaves a missing type out of the answer, so that the error can name it.
    filters = [{"Name": "instance-type", "Values": sorted_names}]
    described = aws.pages("ec2", "describe_instance_types", "InstanceTypes", Filters=filters)
    kinds = {kind.name: kind for kind in map(_parse_type, described)}
    missing = [name for name in sorted_names if name not in kinds]
    if missing:
        raise ProviderError(
            f"there is no instance type {', '.join(missing)} in {aws.region}",
            remedy="correct NODE_INSTANCE_TYPE or MASTER_INSTANCE_TYPE, or choose another region",
        )
    return kinds


def find_fitting_types(aws: Aws, arch: str, vcpus: float | None, memory_gb: float | None) -> tuple[str, ...]:
    """Return the types of the current generation with this number of processors and at least this memory.

    Raises:
        ProviderError: no type fits.
    """
    count = int(vcpus or 2)
    wanted = {
        "VCpuCount": {"Min": count, "Max": count},
        "MemoryMiB": {"Min": int((memory_gb or 0) * 1024)},
        # Burstable types slow down once their credits are used up.
        "BurstablePerformance": "excluded",
        "BareMetal": "excluded",
        "AcceleratorCount": {"Max": 0},
    }
    names = tuple(sorted(_find_types(aws, arch, wanted)))
    if not names:
        raise ProviderError(
            f"no instance type for {arch} in {aws.region} has {count} processors and {memory_gb or 0:g} GB",
            remedy="change VCPUS and MEMORY_GB, or name types in NODE_INSTANCE_TYPE",
        )
    return names


def find_gpu_types(aws: Aws, arch: str, count: int) -> tuple[str, ...]:
    """Return the types of the current generation with so many GPUs of NVIDIA, the smallest of each family.

    The larger ones of a family have more processors and memory for the same GPUs.

    Raises:
        ProviderError: no type has so many.
    """
    wanted = {
        "VCpuCount": {"Min": 1},
        "MemoryMiB": {"Min": 1},
        "AcceleratorCount": {"Min": count, "Max": count},
        "AcceleratorTypes": ["gpu"],
        "AcceleratorManufacturers": ["nvidia"],
    }
    kinds = describe_instance_types(aws, _find_types(aws, arch, wanted))
    smallest: dict[str, InstanceType] = {}
    for kind in sorted(kinds.values(), key=lambda kind: (kind.vcpus, kind.name)):
        smallest.setdefault(kind.name.partition(".")[0], kind)
    if not smallest:
        raise ProviderError(
            f"no instance type for {arch} in {aws.region} has {count} GPUs",
            remedy="ask for another number (1, 4 and 8 are common), or name a type such as g6.xlarge",
        )
    return tuple(sorted(kind.name for kind in smallest.values()))


def _find_types(aws: Aws, arch: str, wanted: Mapping[str, Any]) -> list[str]:
    """Return the types of the current generation that have what is wanted, in the words of `InstanceRequirements`."""
    fitting = aws.pages(
        "ec2",
        "get_instance_types_from_instance_requirements",
        "InstanceTypes",
        ArchitectureTypes=[arch],
        VirtualizationTypes=["hvm"],
        InstanceRequirements={"InstanceGenerations": ["current"], **wanted},
    )
    return [raw["InstanceType"] for raw in fitting]


def _parse_type(raw: Mapping[str, Any]) -> InstanceType:
    archs = raw.get("ProcessorInfo", {}).get("SupportedArchitectures") or ()
    return InstanceType(raw["InstanceType"], tuple(archs), int(raw.get("VCpuInfo", {}).get("DefaultVCpus", 1)))


def _common_arch(kinds: Mapping[str, InstanceType], requested: str) -> str:
    """Return the architecture that all types share; the requested one if there are no types."""
    if not kinds:
        return requested
    common = set.intersection(*(set(kind.archs) for kind in kinds.values()))
    usable = [arch for arch in (requested, "x86_64", "arm64") if arch in common]
    if not usable:
        listed = ", ".join(f"{kind.name} ({'/'.join(kind.archs)})" for kind in kinds.values())
        raise ProviderError(
            f"these types cannot share an image: {listed}", remedy="name types of one architecture, x86_64 or arm64"
        )
    return usable[0]


def _check_images(inputs: LaunchInputs, options: Options) -> None:
    for name, ami in inputs.amis.items():
        if ami.arch != inputs.arch:
            raise ProviderError(
                f"the image {name or ami.id} is for {ami.arch}, and the nodes are {inputs.arch}",
                remedy="choose an image and types of one architecture",
            )
        named = {"ROOT_VOLUME_GB": options.root_volume_gb, "MASTER_VOLUME_GB": options.master_volume_gb}
        for option, size in named.items():
            if size is not None and size < ami.root_gb:
                raise ProviderError(
                    f"{option} is {size}, and the image {name or ami.id} needs {ami.root_gb}",
                    remedy=f"set {option} to {ami.root_gb} or more, or leave it out",
                )
