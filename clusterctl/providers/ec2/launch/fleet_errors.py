"""Errors in the answer of a fleet: what they come to together, and how they are told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clusterctl.errors import ProviderError
from clusterctl.providers.ec2.answers.lookup import find_row
from clusterctl.providers.ec2.answers.rows import Kind, Road, Row
from clusterctl.providers.ec2.answers.wording import split_encoded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from clusterctl.providers.ec2.aws import Aws, AwsError

_SHORTAGES = frozenset({Kind.CAPACITY, Kind.PRICE, Kind.QUOTA, Kind.POOL})
"""Why there are fewer instances than wanted though nothing is wrong: fewer may be enough."""
_SHOWN = 4
_MOST_CODES = 6
_SUBNET = re.compile(r"\bsubnet-[0-9a-f]+\b")


@dataclass(frozen=True)
class FleetError:
    """The error for one instance type in one zone."""

    code: str
    message: str
    pool: str
    """Type and zone, such as ``c7i.large in us-east-1a``."""
    encoded: str = ""
    """What AWS alone can read of its message."""
    request: str = ""
    """The id of the request."""

    @property
    def row(self) -> Row:
        """What the table of error codes says."""
        return find_row(self.code, operation="create_fleet", message=self.message)


def read_errors(answer: Mapping[str, Any], zones: Mapping[str, str]) -> tuple[FleetError, ...]:
    """Return the errors of a fleet's answer.

    Args:
        answer: of CreateFleet.
        zones: zones of the subnets that were asked for, by id.
    """
    request = str(answer.get("ResponseMetadata", {}).get("RequestId", ""))
    errors = []
    for raw in answer.get("Errors") or ():
        words, encoded = split_encoded(str(raw.get("ErrorMessage", "")))
        override = raw.get("LaunchTemplateAndOverrides", {}).get("Overrides", {})
        zone = override.get("AvailabilityZone") or zones.get(override.get("SubnetId", ""))
        pool = f"{override.get('InstanceType') or 'any type'} in {zone or 'any zone'}"
        errors.append(FleetError(str(raw.get("ErrorCode", "")), _with_zones(words, zones), pool, encoded, request))
    return tuple(errors)


def _with_zones(words: str, zones: Mapping[str, str]) -> str:
    """Return a message in which each subnet has its zone: ids alone tell nobody anything."""
    return _SUBNET.sub(lambda subnet: f"{subnet[0]} ({zones.get(subnet[0], 'another zone')})", words)


def of_refusal(error: AwsError) -> FleetError | None:
    """Return the refusal of a whole request as an error of all its pools; None if it is no shortage."""
    if error.row.road in {Road.ON_DEMAND, Road.ELSEWHERE} or error.kind in _SHORTAGES:
        return FleetError(error.code, error.words, "all types and zones")
    return None


def telling(errors: Iterable[FleetError]) -> list[FleetError]:
    """Return the errors without those that a zone does not offer a type, unless there are no others."""
    all_errors = list(errors)
    return [error for error in all_errors if error.row.kind != Kind.POOL] or all_errors


def may_pass(aws: Aws, errors: Iterable[FleetError]) -> bool:
    """Return whether the same request may be answered otherwise in a moment."""
    return any(
        error.row.road == Road.RETRY or (error.row.road == Road.AWAIT and aws.newborn.is_told_by(error.message))
        for error in telling(errors)
    )


def choose_road(errors: Iterable[FleetError]) -> Road:
    """Return what to do about the nodes that were not had: the most careful of all roads.

    `ON_DEMAND` only if every error that tells something allows that; without any error it is not allowed.
    """
    roads = {error.row.road for error in telling(errors)}
    if roads == {Road.ON_DEMAND}:
        return Road.ON_DEMAND
    return Road.ELSEWHERE if roads <= {Road.ON_DEMAND, Road.ELSEWHERE} else Road.STOP


def stop_error(aws: Aws, errors: Sequence[FleetError], missing: int) -> ProviderError | None:
    """Return the error that ends a launch; None if AWS is only short of what was asked for."""
    wrong = [error for error in telling(errors) if error.row.kind not in _SHORTAGES]
    if choose_road(errors) != Road.STOP or not wrong:
        return None
    return ProviderError(
        f"AWS refused {missing} of the instances: {summarize_errors(aws, wrong)}", remedy=wrong[0].row.remedy
    )


def remedy_of(errors: Iterable[FleetError]) -> str:
    """Return what the user can do about nodes that could not be had."""
    rows = [error.row for error in telling(errors)]
    fewer = "or be content with fewer: --min-size"
    if not rows:
        return f"run the same command again, {fewer}"
    row = next((row for row in rows if row.road == Road.STOP), rows[0])
    return f"{row.remedy}; {fewer}" if row.kind in _SHORTAGES or row.road == Road.ELSEWHERE else row.remedy


def summarize_errors(aws: Aws, errors: Iterable[FleetError]) -> str:
    """Return the errors of AWS in few words, each code once, with types and zones."""
    by_code: dict[tuple[str, str], list[FleetError]] = {}
    for error in telling(errors):
        words = "" if error.row.says_all else error.message
        by_code.setdefault((error.code, "" if error.encoded else words), []).append(error)
    parts = [_summarize_code(aws, alike) for alike in [*by_code.values()][:_MOST_CODES]]
    more = len(by_code) - len(parts)
    return "; ".join([*parts, *([f"and {more} more"] if more else [])]) or "AWS gave no reason"


def _summarize_code(aws: Aws, alike: Sequence[FleetError]) -> str:
    first = alike[0]
    pools = list(dict.fromkeys(error.pool for error in alike))
    more = f" and {len(pools) - _SHOWN} more" if len(pools) > _SHOWN else ""
    words = "" if first.row.says_all else first.message
    if decision := aws.decode_refusal(first.encoded):
        words = f"{words} {decision}"
    unknown = first.row.kind == Kind.UNKNOWN and first.request
    code = f"{first.code}, request {first.request}" if unknown else first.code
    return f"{code} ({', '.join(pools[:_SHOWN])}{more}){f': {words}' if words else ''}"
