"""The lives of a cluster's instances: what each was, and from when to when it ran.

EC2 forgets an instance about an hour after its end, so the journal keeps its life. EC2 says when in
`StateTransitionReason` (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Instance.html), and of a spot
instance in its request.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from clusterctl.clock import utc_now
from clusterctl.errors import ClusterctlError
from clusterctl.model import MASTER, Market
from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.answers.reasons import describe_reason, is_interruption
from clusterctl.providers.ec2.instance_reader import ENDED_STATES, read_instances
from clusterctl.providers.ec2.pricing.volume_lives import look_at_volumes, read_volumes
from clusterctl.providers.losses import Loss
from clusterctl.text import format_utc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from clusterctl.providers.base import Journal
    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.instance_reader import Instance

_EVENT = "lives"
_MOMENT = re.compile(r"\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (?:GMT|UTC)\)")
_FORGOTTEN = timedelta(hours=1)
"""EC2 shows an instance for about so long after its end."""
_FILTER_VALUES = 200
"""Most values of a filter. Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Filter.html"""
UNSEEN = "it ended when nobody looked"
_TIMES = ("began", "stopped", "ended", "seen")


@dataclass(frozen=True)
class Life:
    """One run of an instance: from its launch, or a start, to its stop or end. Times are in UTC."""

    id: str
    alias: str
    type: str
    market: Market
    zone: str
    began: datetime
    seen: datetime
    """When it was last known to be as said here."""
    stopped: datetime | None = None
    """When it ceased to run; None if it runs."""
    ended: datetime | None = None
    """When it and its disks ended; None if they exist."""
    reason: str = ""
    """Why it ceased to run, as EC2 says it."""
    public_ip: bool = False
    """Whether it had a public IPv4 address, which costs as long as it runs."""
    disk_gb: int = 0
    """The size of the disks that end with it, together; 0 if that is not known."""
    disk_type: str = ""

    @property
    def key(self) -> tuple[str, datetime]:
        """What tells it from all other lives."""
        return self.id, self.began


def read_lives(events: Iterable[Mapping[str, Any]]) -> list[Life]:
    """Return the lives that a journal tells of, the oldest first. What is none of ours is left out."""
    lives: dict[tuple[str, datetime], Life] = {}
    for event in events:
        entries = event.get(_EVENT) if event.get("event") == _EVENT else None
        for raw in entries if isinstance(entries, list) else ():
            life = _parse_life(raw)
            if life:
                lives[life.key] = life
    return sorted(lives.values(), key=lambda life: life.began)


def _parse_life(raw: object) -> Life | None:
    try:
        fields = {key: raw[key] for key in Life.__dataclass_fields__ if key in raw}  # type: ignore[index,operator]
        for name in _TIMES:
            if fields.get(name) is not None:
                fields[name] = datetime.fromisoformat(fields[name].replace("Z", "+00:00"))
        life = Life(**{**fields, "market": Market(fields["market"]), "disk_gb": int(fields.get("disk_gb", 0))})
    except (TypeError, KeyError, ValueError, AttributeError):
        return None
    return life if all(isinstance(text, str) for text in (life.id, life.alias, life.type, life.zone)) else None


def _format_life(life: Life) -> dict[str, object]:
    times = {name: format_utc(getattr(life, name)) or None for name in _TIMES}
    return {**asdict(life), **times, "market": life.market.value}


def record_lives(journal: Journal, lives: Sequence[Life]) -> None:
    """Write what the journal does not know yet of these lives."""
    known = {life.key: life for life in read_lives(journal.events())}
    new = [life for life in lives if _differs(known.get(life.key), life)]
    if new:
        journal.record(_EVENT, lives=[_format_life(life) for life in new])


def _differs(known: Life | None, life: Life) -> bool:
    def parts(one: Life) -> tuple[object, ...]:
        return one.stopped, one.ended, one.disk_gb, one.public_ip

    return known is None or parts(known) != parts(life)


def record_running(
    journal: Journal, instances: Mapping[str, Instance], *, disk_gb: Mapping[str, int], disk_type: str
) -> None:
    """Write down instances that were just launched or started, without asking EC2 again.

    Args:
        journal: of their cluster.
        instances: by alias.
        disk_gb: the size of the root disk, by alias; of those that this run launched.
        disk_type: the type of root disks.
    """
    known = read_lives(journal.events())
    lives = []
    for alias, instance in instances.items():
        if instance.launched_at and instance.state in {"pending", "running"}:
            life = replace(_life_of(instance, alias, utc_now()), disk_gb=disk_gb.get(alias, 0), disk_type=disk_type)
            before = _earlier(known, life.id)
            lives.append(_merge(before, life) if before else life)
    record_lives(journal, lives)


def look_at_lives(
    aws: Aws,
    cluster: tags.ClusterKey,
    journal: Journal,
    *,
    disk_gb: Mapping[str, int] | None = None,
    disk_type: str = "",
    has_public_ip: Callable[[str], bool] = lambda _: False,
) -> list[Life]:
    """Return all lives of a cluster that EC2 or the journal knows, the oldest first. Record what is new.

    One call, two where a spot instance has ended since the last look; one more where the home is on a volume.

    Args:
        aws: the account.
        cluster: its name and id.
        journal: of the cluster.
        disk_gb: the size of the root disk, by alias, of those that this run launched and that may have ended.
        disk_type: the type of root disks.
        has_public_ip: whether one of those has a public address, by its alias.
    """
    now = utc_now()
    known = {life.key: life for life in read_lives(journal.events())}
    names = _aliases(journal)
    instances = read_instances(aws, *cluster.filters, states=None)
    requests = _spot_ends(aws, [one for one in instances if _ended_anew(one, known)])
    lives = dict(known)
    for instance in instances:
        if instance.launched_at is None:
            continue
        life = _life_of(instance, _alias_of(instance, names), now, requests.get(instance.spot_request))
        if disk_gb and life.alias in disk_gb:
            life = replace(life, disk_gb=disk_gb[life.alias], disk_type=disk_type, public_ip=has_public_ip(life.alias))
        before = known.get(life.key) or _earlier(known.values(), life.id)
        lives[life.key] = _merge(before, life) if before else life
    listed = {instance.id for instance in instances}
    ordered = _close_unseen(sorted(lives.values(), key=lambda life: life.began), listed, now)
    ordered = _with_disks(aws, cluster, ordered)
    record_lives(journal, ordered)
    has_home = any(instance.tags.get(tags.HOME_ON) == tags.VOLUME for instance in instances)
    if has_home or read_volumes(journal.events()):
        with suppress(ClusterctlError):  # only the bill needs it
            look_at_volumes(aws, cluster, journal)
    return ordered


def _earlier(lives: Iterable[Life], id_: str) -> Life | None:
    """Return an earlier life of an instance, which had the same disks; as one that is not over."""
    same = [life for life in lives if life.id == id_]
    return replace(same[-1], stopped=None, ended=None, reason="") if same else None


def _close_unseen(lives: Sequence[Life], listed: set[str], now: datetime) -> list[Life]:
    """Return the lives, with an end for those whose end nobody saw: the latest that it can have been."""
    closed = []
    for place, life in enumerate(lives):
        following = next((later.began for later in lives[place + 1 :] if later.id == life.id), None)
        if life.stopped is None and following:
            closed.append(replace(life, stopped=following))
        elif life.ended is None and life.id not in listed and now - life.seen > _FORGOTTEN and not following:
            latest = max(life.seen, now - _FORGOTTEN)
            closed.append(replace(life, stopped=life.stopped or latest, ended=latest, reason=life.reason or UNSEEN))
        else:
            closed.append(life)
    return closed


def _with_disks(aws: Aws, cluster: tags.ClusterKey, lives: Sequence[Life]) -> list[Life]:
    """Return the lives with the sizes of disks that nobody has noted yet and that exist. One call if there are any."""
    if all(life.disk_gb or life.ended for life in lives):
        return list(lives)
    sizes: dict[str, tuple[int, str]] = {}
    for raw in aws.pages("ec2", "describe_volumes", "Volumes", Filters=cluster.filters):
        does_outlive = tags.tags_of(raw).get(tags.ROLE) == tags.HOME
        for attachment in () if does_outlive else raw.get("Attachments") or ():
            size, _ = sizes.get(attachment["InstanceId"], (0, ""))
            sizes[attachment["InstanceId"]] = (size + int(raw["Size"]), str(raw["VolumeType"]))
    return [
        replace(life, disk_gb=sizes[life.id][0], disk_type=sizes[life.id][1])
        if not life.disk_gb and life.id in sizes
        else life
        for life in lives
    ]


def _aliases(journal: Journal) -> dict[str, str]:
    events = [event for event in journal.events() if event["event"] in {"launched", "named"}]
    return {str(instance): str(alias) for event in events for alias, instance in event["nodes"].items()}


def _alias_of(instance: Instance, names: Mapping[str, str]) -> str:
    return MASTER if instance.is_master else instance.tags.get(tags.ALIAS) or names.get(instance.id) or instance.id


def _ended_anew(instance: Instance, known: Mapping[tuple[str, datetime], Life]) -> bool:
    if instance.market != Market.SPOT or instance.state not in ENDED_STATES or instance.launched_at is None:
        return False
    before = known.get((instance.id, instance.launched_at))
    return (before is None or before.ended is None) and not _MOMENT.search(instance.transition)


def _spot_ends(aws: Aws, ended: Sequence[Instance]) -> dict[str, datetime]:
    """Return when these spot instances ended, by their requests."""
    ids = sorted({instance.spot_request for instance in ended if instance.spot_request})
    moments: dict[str, datetime] = {}
    for start in range(0, len(ids), _FILTER_VALUES):
        filters = [{"Name": "spot-instance-request-id", "Values": ids[start : start + _FILTER_VALUES]}]
        for raw in aws.pages("ec2", "describe_spot_instance_requests", "SpotInstanceRequests", Filters=filters):
            moment = (raw.get("Status") or {}).get("UpdateTime")
            moments |= {raw["SpotInstanceRequestId"]: moment} if moment else {}
    return moments


def _life_of(instance: Instance, alias: str, now: datetime, spot_end: datetime | None = None) -> Life:
    running = instance.state in {"pending", "running"}
    said = _MOMENT.search(instance.transition)
    moment = datetime.strptime(said[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc) if said else spot_end or now
    over = None if running else max(moment, instance.launched_at or moment)
    return Life(
        id=instance.id,
        alias=alias,
        type=instance.type,
        market=instance.market,
        zone=instance.zone,
        began=instance.launched_at or now,
        seen=now,
        stopped=over,
        ended=over if instance.state in ENDED_STATES else None,
        reason="" if running else instance.reason,
        public_ip=bool(instance.public_address),
    )


def _merge(before: Life, now: Life) -> Life:
    """Return what EC2 says now with what was known before: an instance that is off has no address and no disks.

    One that runs has not ended, whatever was written: another account may have been asked, which does not know it.
    """
    over = now.stopped is not None
    return replace(
        now,
        alias=before.alias,
        stopped=(before.stopped or now.stopped) if over else None,
        ended=(before.ended or now.ended) if over else None,
        reason=(before.reason or now.reason) if over else "",
        public_ip=before.public_ip or now.public_ip,
        disk_gb=before.disk_gb or now.disk_gb,
        disk_type=before.disk_type or now.disk_type,
    )


def explain_losses(lives: Iterable[Life]) -> dict[str, Loss]:
    """Return why and since when nodes do not run, by alias.

    Args:
        lives: the oldest first; the last one of each alias counts.
    """
    last = {life.alias: life for life in lives}
    return {
        alias: Loss(life.stopped, describe_reason(life.reason), is_interruption(life.reason))
        for alias, life in last.items()
        if life.stopped
    }
