"""The lives of volumes that outlive machines: the homes of clusters, from when to when each had which size.

EC2 forgets a volume as soon as it is deleted, so the journal keeps its life.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from clusterctl.clock import utc_now
from clusterctl.providers.ec2 import tags
from clusterctl.text import format_utc

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from clusterctl.providers.base import Journal
    from clusterctl.providers.ec2.aws import Aws

EVENT = "homes"
_GONE = frozenset({"deleting", "deleted", "error"})


@dataclass(frozen=True)
class VolumeLife:
    """A volume, for as long as it had one size. Times are in UTC."""

    id: str
    type: str
    zone: str
    gb: int
    began: datetime
    """When it was made, or got this size."""
    ended: datetime | None = None
    """When it was deleted, or got another size; None if it has it now. As late as it can have been."""

    @property
    def key(self) -> tuple[str, datetime]:
        """What tells it from all other lives."""
        return self.id, self.began


def read_volumes(events: Iterable[Mapping[str, Any]]) -> list[VolumeLife]:
    """Return the lives that a journal tells of, the oldest first. What is none of ours is left out."""
    lives: dict[tuple[str, datetime], VolumeLife] = {}
    for event in events:
        entries = event.get(EVENT) if event.get("event") == EVENT else None
        for raw in entries if isinstance(entries, list) else ():
            life = _parse(raw)
            if life:
                lives[life.key] = life
    return sorted(lives.values(), key=lambda life: life.began)


def _parse(raw: object) -> VolumeLife | None:
    try:
        fields: dict[str, Any] = {key: raw[key] for key in VolumeLife.__dataclass_fields__ if key in raw}  # type: ignore[index,operator]
        for name in ("began", "ended"):
            if fields.get(name) is not None:
                fields[name] = datetime.fromisoformat(fields[name].replace("Z", "+00:00"))
        life = VolumeLife(**{**fields, "gb": int(fields["gb"])})
    except (TypeError, KeyError, ValueError, AttributeError):
        return None
    is_whole = all(isinstance(text, str) for text in (life.id, life.type, life.zone))
    return life if is_whole and isinstance(life.began, datetime) else None


def look_at_volumes(aws: Aws, cluster: tags.ClusterKey, journal: Journal) -> None:
    """Write into the journal what became of the volumes with the home of a cluster. One call.

    Args:
        aws: the account.
        cluster: its name and id.
        journal: of the cluster.
    """
    filters = [*cluster.filters, tags.filter_by(tags.ROLE, tags.HOME)]
    raw_volumes = aws.pages("ec2", "describe_volumes", "Volumes", Filters=filters)
    known = read_volumes(journal.events())
    new = list(_find_changes(known, [raw for raw in raw_volumes if raw.get("State") not in _GONE], utc_now()))
    if new:
        times = [{name: format_utc(getattr(life, name)) or None for name in ("began", "ended")} for life in new]
        journal.record(EVENT, homes=[{**asdict(life), **at} for life, at in zip(new, times, strict=True)])


def _find_changes(
    known: Sequence[VolumeLife], raw_volumes: Sequence[Mapping[str, Any]], now: datetime
) -> Iterable[VolumeLife]:
    """Yield the lives that the journal does not have, or has otherwise."""
    last = {life.id: life for life in known}
    for raw in raw_volumes:
        before, size = last.pop(raw["VolumeId"], None), int(raw["Size"])
        if before and before.gb == size:
            if before.ended:  # another account may have been asked, which does not know it
                yield replace(before, ended=None)
            continue
        if before and before.ended is None:
            yield replace(before, ended=now)
        began = now if before else raw["CreateTime"]
        yield VolumeLife(raw["VolumeId"], str(raw["VolumeType"]), str(raw["AvailabilityZone"]), size, began)
    for life in last.values():
        if life.ended is None:
            yield replace(life, ended=now)
