"""The types of machines: what moto knows of them, which zone offers which, and types by requirement.

moto ships AWS's own answers to DescribeInstanceTypes and DescribeInstanceTypeOfferings; the second one stays moto's.
Simplified: of the requirements of GetInstanceTypesFromInstanceRequirements it heeds the number of CPUs, memory
(whole and per CPU), the maker of the CPU, allowed and excluded types, generations, burstable performance, bare metal,
local storage and accelerators (none unless asked for, as EC2 has it); the others are ignored.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS, INSTANCE_TYPES, InstanceType
from moto.ec2.utils import generic_filter

from ..api import wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..cloud import Cloud

STANDARD = frozenset("acdhimrtz")
"""The families that share the quotas of standard instances, by their first letter."""


@dataclass(frozen=True)
class MachineType:
    """One type, with what a launch has to know of it."""

    name: str
    vcpus: int
    memory_mib: int
    architectures: tuple[str, ...]
    spot: bool
    family: str

    @property
    def standard(self) -> bool:
        """Whether its CPUs count towards the quotas of standard instances."""
        letters = self.family.rstrip("0123456789-").partition("-")[0]
        word = "".join(letter for letter in letters if letter.isalpha())
        return self.family[0] in STANDARD and not word.startswith(("dl", "inf", "hpc", "trn", "mac"))


@cache
def machine_type(name: str) -> MachineType | None:
    """The type of this name, or None where AWS has none."""
    known = INSTANCE_TYPES.get(name)
    if known is None:
        return None
    return MachineType(
        name=name,
        vcpus=known["VCpuInfo"]["DefaultVCpus"],
        memory_mib=known["MemoryInfo"]["SizeInMiB"],
        architectures=tuple(known["ProcessorInfo"]["SupportedArchitectures"]),
        spot="spot" in known["SupportedUsageClasses"],
        family=name.partition(".")[0],
    )


@cache
def _offered(region: str) -> Mapping[str, tuple[str, ...]]:
    zones: dict[str, list[str]] = {}
    for each in INSTANCE_TYPE_OFFERINGS["availability-zone"].get(region, []):
        zones.setdefault(each["InstanceType"], []).append(each["Location"])
    return {name: tuple(sorted(found)) for name, found in zones.items()}


def zones_offering(name: str, region: str) -> tuple[str, ...]:
    """The zones of a region that have this type."""
    return _offered(region).get(name, ())


@cache
def types_in(region: str) -> tuple[str, ...]:
    """The types that some zone of this region has."""
    return tuple(sorted(_offered(region)))


def matching(requirements: Mapping[str, Any], *, region: str, architecture: str | None = None) -> list[str]:
    """The types of a region that meet InstanceRequirements, in order of their names."""
    return [name for name in types_in(region) if _meets(name, requirements, architecture)]


def _meets(name: str, wanted: Mapping[str, Any], architecture: str | None) -> bool:
    kind, said = machine_type(name), INSTANCE_TYPES.get(name)
    if kind is None or said is None or (architecture and architecture not in kind.architectures):
        return False
    per_cpu = kind.memory_mib / 1024 / kind.vcpus
    generations = {"current": True, "previous": False}
    manufacturer = {"Intel": "intel", "AMD": "amd", "AWS": "amazon-web-services", "Apple": "apple"}
    accelerators = wanted.get("AcceleratorCount", {})
    return (
        _within(kind.vcpus, wanted.get("VCpuCount"))
        and _within(kind.memory_mib, wanted.get("MemoryMiB"))
        and _within(per_cpu, wanted.get("MemoryGiBPerVCpu"))
        and _named(name, wanted.get("AllowedInstanceTypes"), otherwise=True)
        and not _named(name, wanted.get("ExcludedInstanceTypes"), otherwise=False)
        and said["CurrentGeneration"]
        in [generations[word] for word in wanted.get("InstanceGenerations", ["current", "previous"])]
        and _allowed(said["BurstablePerformanceSupported"], wanted.get("BurstablePerformance", "excluded"))
        and _allowed(said["BareMetal"], wanted.get("BareMetal", "excluded"))
        and _allowed(said["InstanceStorageSupported"], wanted.get("LocalStorage", "included"))
        and _within(_accelerators(said, wanted), accelerators or {"Max": 0})
        and (
            not wanted.get("CpuManufacturers")
            or manufacturer.get(said["ProcessorInfo"].get("Manufacturer", "")) in wanted["CpuManufacturers"]
        )
    )


def _accelerators(said: Mapping[str, Any], wanted: Mapping[str, Any]) -> int:
    """How many accelerators of the wanted kinds and makers a type has."""
    kinds = {"GpuInfo": ("gpu", "Gpus"), "InferenceAcceleratorInfo": ("inference", "Accelerators")}
    kinds |= {"NeuronInfo": ("inference", "NeuronDevices"), "FpgaInfo": ("fpga", "Fpgas")}
    makers = wanted.get("AcceleratorManufacturers")
    return sum(
        int(each.get("Count", 0))
        for key, (kind, listed) in kinds.items()
        if kind in wanted.get("AcceleratorTypes", [kind])
        for each in said.get(key, {}).get(listed, ())
        if not makers or each.get("Manufacturer", "").lower() in makers
    )


def _within(value: float, bounds: Mapping[str, float] | None) -> bool:
    return not bounds or bounds.get("Min", 0) <= value <= bounds.get("Max", float("inf"))


def _named(name: str, patterns: list[str] | None, *, otherwise: bool) -> bool:
    return otherwise if not patterns else any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _allowed(has: bool, word: str) -> bool:
    return {"included": True, "required": has, "excluded": not has}[word]


def get_instance_types_from_instance_requirements(_cloud: Cloud, request: wire.Request) -> Mapping[str, Any]:
    """The types that meet the requirements, for any of the architectures, in pages."""
    given = request.params
    for key in ("VCpuCount", "MemoryMiB"):
        if "Min" not in given["InstanceRequirements"].get(key, {}):
            raise wire.AwsError("MissingParameter", f"The request must contain the parameter {key}.Min")
    names = sorted(
        {
            name
            for architecture in given["ArchitectureTypes"]
            for name in matching(given["InstanceRequirements"], region=request.region, architecture=architecture)
        }
    )
    page, token = wire.page(names, request, most=1000)
    return {"InstanceTypes": [{"InstanceType": name} for name in page], "NextToken": token}


def describe_instance_types(_cloud: Cloud, request: wire.Request) -> Mapping[str, Any]:
    """The types of the region, at most 100 a page; moto sends all that it knows of any region at once."""
    asked = request.params.get("InstanceTypes") or ()
    unknown = sorted(set(asked) - set(types_in(request.region)))
    if unknown:
        message = f"The following supplied instance types do not exist: [{', '.join(unknown)}]"
        raise wire.AwsError("InvalidInstanceType", message)
    filters = tuple((each["Name"], tuple(each["Values"])) for each in request.params.get("Filters") or ())
    page, token = wire.page(_described(tuple(asked or types_in(request.region)), filters), request, most=100)
    return {"InstanceTypes": page, "NextToken": token}


@cache
def _described(names: tuple[str, ...], filters: tuple[tuple[str, tuple[str, ...]], ...]) -> tuple[InstanceType, ...]:
    """What moto knows of the types of these names that meet the filters."""
    known = [InstanceType(name) for name in names if name in INSTANCE_TYPES]
    wanted = {name: list(values) for name, values in filters}
    return tuple(generic_filter(wanted, known) if wanted else known)


HANDLERS = {
    ("ec2", "DescribeInstanceTypes"): describe_instance_types,
    ("ec2", "GetInstanceTypesFromInstanceRequirements"): get_instance_types_from_instance_requirements,
}
