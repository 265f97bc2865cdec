"""`gc`: what is tagged as ours on EC2 and needed by no cluster, or past its time. The judgement is pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from clusterctl.events import Event, EventKind
from clusterctl.journal import ClusterFolder
from clusterctl.providers.ec2 import instances as records
from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.account import gc, inventory, resource_costs
from clusterctl.providers.ec2.account.gc import Left
from clusterctl.providers.ec2.account.resources import Kind, by_kind, of
from clusterctl.providers.ec2.launch_journal import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from decimal import Decimal
    from pathlib import Path

    from clusterctl.providers.ec2.account.resources import Resource
    from clusterctl.providers.ec2.aws import Aws

_TEMPLATE_AGE = timedelta(hours=1)
"""A launch template lives as long as its launch: minutes."""
_PARTS = (Kind.VOLUME, Kind.PLACEMENT_GROUP, Kind.NETWORK_INTERFACE, Kind.SECURITY_GROUP, Kind.KEY_PAIR)
"""What is of use to the instances of its cluster alone."""


@dataclass(frozen=True)
class Known:
    """A cluster on EC2 that this laptop's journal knows."""

    name: str
    uuid: str
    """Empty where the journal does not have it: then the name counts."""
    wanted: frozenset[str] = frozenset()
    """Aliases of the nodes that it shall have."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Aliases by instance id."""
    tokens: frozenset[str] = frozenset()
    """Of launches that the next `start` completes: whatever came of them is its."""
    templates: frozenset[str] = frozenset()
    """Launch templates of these launches."""
    images: frozenset[str] = frozenset()
    """That further nodes start from."""

    def has(self, resource: Resource) -> bool:
        """Whether this was made for it."""
        return resource.uuid == self.uuid if self.uuid else resource.cluster == self.name


@dataclass(frozen=True)
class Unneeded:
    """Something that may be ended."""

    resource: Resource
    reason: str
    foreign: bool = False
    """Somebody else made it: whether they need it only they know."""


@dataclass(frozen=True)
class Findings:
    """What `gc` found."""

    resources: tuple[Resource, ...]
    """Everything of ours."""
    unneeded: tuple[Unneeded, ...]
    hourly_usd: Mapping[str, Decimal]
    """By id, as far as it is known."""
    notes: tuple[str, ...]
    """Regions where AWS does not let us look, prices that are not known."""
    failures: tuple[str, ...]
    """Where we could not look although we should: something may be there."""
    regions: int
    """How many were looked at."""


@dataclass(frozen=True)
class Asker:
    """Who wants to know."""

    home: Path
    """The folder with the journals."""
    owner: str
    """As the tags say it."""
    images: bool = False
    """Baked images count too."""


def find(aws: Aws, asker: Asker, *, report: Callable[[Event], None]) -> Findings:
    """Look at all regions, and at the journals of this laptop. Changes nothing.

    Raises:
        AwsError: AWS does not even name the regions.
    """

    def progress(done: int, total: int) -> None:
        report(Event(EventKind.PROGRESS, "Looking at regions", done=done, total=total))

    found = inventory.everywhere(aws, images=asker.images, progress=progress)
    judged = _judge(found.resources, asker)
    prices, unknown = resource_costs.hourly(aws, [each.resource for each in judged])
    notes = (*found.notes, *unknown)
    return Findings(found.resources, tuple(judged), prices, notes, found.failures, len(found.regions))


def end(
    aws: Aws, found: Findings, doomed: Sequence[Unneeded], asker: Asker, *, report: Callable[[Event], None]
) -> list[Left]:
    """End these, but for what a cluster needs by now: the question may have stood there for an hour.

    Args:
        aws: the account.
        found: by `find`.
        doomed: some or all of what was found.
        asker: who wants it.
        report: told of each that has ended.

    Returns:
        What is left, and why.
    """
    still = {each.resource.key for each in _judge(found.resources, asker)}
    resources = [each.resource for each in doomed]
    left = gc.end(
        aws,
        [resource for resource in resources if resource.key in still],
        say=lambda text: report(Event(EventKind.NOTE, text)),
    )
    return left + [Left(each, "a cluster needs it now") for each in resources if each.key not in still]


def _judge(found: Sequence[Resource], asker: Asker) -> list[Unneeded]:
    # The journals are read after the cloud: a cluster that came in between is in them.
    known = known_clusters(asker.home)
    return unneeded(found, known, now=datetime.now(timezone.utc), owner=asker.owner, images=asker.images)


def known_clusters(home: Path) -> list[Known]:
    """The clusters of this laptop's journals that are on EC2, or may be."""
    folders = home / "clusters"
    if not folders.is_dir():
        return []
    found = (ClusterFolder(home, each.name) for each in sorted(folders.iterdir()))
    return [_known(folder) for folder in found if folder.exists and folder.provider() in {None, "ec2"}]


def _known(folder: ClusterFolder) -> Known:
    ledger = Ledger(folder)
    launches = ledger.open_launches()
    return Known(
        name=folder.name,
        uuid=ledger.identity()[0],
        wanted=frozenset(folder.wanted()),
        names=ledger.names(),
        tokens=frozenset(launch.token for launch in launches),
        templates=frozenset(launch.template for launch in launches),
        images=frozenset(ledger.images().values()),
    )


def unneeded(
    found: Sequence[Resource], known: Sequence[Known], *, now: datetime, owner: str, images: bool = False
) -> list[Unneeded]:
    """What may be ended, and why. Nothing that a known cluster needs, unless its own time is over.

    Args:
        found: everything of ours.
        known: the clusters of this laptop. Read after `found` was, else a cluster that came between is not known.
        now: with a time zone.
        owner: who asks.
        images: baked images count too.
    """
    nodes = _nodes(found, known)
    reasons: dict[tuple[str, Kind, str], str] = {}
    for resource in found:
        reason = _over(resource, now) or _why(resource, known, nodes, now=now)
        if not reason and images and resource.kind in {Kind.IMAGE, Kind.SNAPSHOT}:
            reason = _why_image(resource, known, found)
        if reason:
            reasons[resource.key] = reason
    instances = of(found, Kind.INSTANCE)
    # What belongs to a cluster whose instances stay, stays, whoever's journal is lost.
    staying = {each.uuid for each in instances if each.key not in reasons}
    foreign = {each.uuid for each in instances if each.owner != owner} - {""}
    return [
        Unneeded(each, reasons[each.key], foreign=each.owner != owner or each.uuid in foreign)
        for each in by_kind(found)
        if each.key in reasons and not (each.kind in _PARTS and each.uuid in staying and not _over(each, now))
    ]


def _over(resource: Resource, now: datetime) -> str:
    """Why it may go because of its tag, and only of it. A tag that says no time says nothing."""
    if resource.with_instance:
        return ""  # its instance has the same tag, and takes it along
    text = resource.tags.get(tags.EXPIRES, "")
    try:
        end = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return ""
    end = end if end.tzinfo else end.replace(tzinfo=timezone.utc)
    return f"its time was over at {end.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC" if end <= now else ""


def _why(resource: Resource, known: Sequence[Known], nodes: frozenset[str], *, now: datetime) -> str:
    """Why no cluster needs it; empty if one does, or may, or if it was never a cluster's."""
    if resource.with_instance or not resource.uuid:
        return ""  # ends with its instance; made by hand, such as with `createvolume`
    if resource.kind in {Kind.IMAGE, Kind.SNAPSHOT}:
        return ""
    mine = [cluster for cluster in known if cluster.has(resource)]
    if not mine:
        return f"no cluster that this computer knows needs it ({resource.cluster or resource.uuid})"
    if resource.kind == Kind.INSTANCE:
        return "" if resource.id in nodes else f"it is no node of {resource.cluster} any more"
    if resource.kind == Kind.LAUNCH_TEMPLATE:
        used = any({resource.id, resource.name} & cluster.templates for cluster in mine)
        old = resource.made is not None and now - resource.made > _TEMPLATE_AGE
        return "its launch is over" if old and not used else ""
    return ""


def _nodes(found: Iterable[Resource], known: Sequence[Known]) -> frozenset[str]:
    """The instances that are nodes of known clusters, or become some when the next `start` completes a launch."""
    instances = sorted(of(found, Kind.INSTANCE), key=lambda each: (str(each.made), each.id))
    needed: set[str] = set()
    for cluster in known:
        mine = [each for each in instances if cluster.has(each)]
        called = records.named(mine, cluster.names)
        needed |= {each.id for alias, each in called.items() if alias in cluster.wanted}
        needed |= {each.id for each in mine if each.tags.get(tags.ATTEMPT) in cluster.tokens}
    return frozenset(needed)


def _why_image(resource: Resource, known: Sequence[Known], found: Sequence[Resource]) -> str:
    if resource.kind == Kind.IMAGE:
        used = any(resource.id in cluster.images for cluster in known)
        return "" if used else "no cluster here uses this baked image; `clusterctl image bake` makes it anew"
    of_an_image = any(resource.id in image.parts for image in of(found, Kind.IMAGE))
    return "" if of_an_image else "its baked image is gone"
