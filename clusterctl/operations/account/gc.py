"""`gc`: select resources on EC2 with our tags that no cluster needs, or that have expired. The selection is pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from clusterctl.clock import utc_now
from clusterctl.journal import ClusterFolder, find_id, known_ids
from clusterctl.providers.ec2 import instances as records
from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.account import gc, inventory, resource_costs
from clusterctl.providers.ec2.account.gc import Leftover
from clusterctl.providers.ec2.account.resources import ResourceKind, select_kind, sort_for_deletion
from clusterctl.providers.ec2.launch_journal import LaunchJournal

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence
    from decimal import Decimal
    from pathlib import Path

    from clusterctl.events import Reporter
    from clusterctl.providers.ec2.account.resources import Resource
    from clusterctl.providers.ec2.aws import Aws

_TEMPLATE_AGE = timedelta(hours=1)
"""A launch template is needed during its launch only, which takes minutes."""
_CLUSTER_KINDS = (
    ResourceKind.VOLUME,
    ResourceKind.PLACEMENT_GROUP,
    ResourceKind.NETWORK_INTERFACE,
    ResourceKind.SECURITY_GROUP,
    ResourceKind.KEY_PAIR,
)
"""Kinds of resources that only the instances of their cluster use."""


@dataclass(frozen=True)
class KnownCluster:
    """A cluster on EC2 in the journals of this laptop."""

    name: str
    uuid: str
    """Empty where the journal has none: then the name decides."""
    wanted_aliases: frozenset[str] = frozenset()
    """Aliases of the nodes that the cluster should have."""
    alias_by_id: Mapping[str, str] = field(default_factory=dict)
    """Aliases by instance id."""
    tokens: frozenset[str] = frozenset()
    """Tokens of launches that the next `start` completes. Their instances belong to this cluster."""
    templates: frozenset[str] = frozenset()
    """The launch templates of these launches."""
    images: frozenset[str] = frozenset()
    """The images that new nodes of the cluster start from."""

    def owns_resource(self, resource: Resource) -> bool:
        """Return whether the resource was made for this cluster."""
        return resource.uuid == self.uuid if self.uuid else resource.cluster == self.name


@dataclass(frozen=True)
class UnneededResource:
    """A resource that may be ended, and why."""

    resource: Resource
    reason: str
    foreign: bool = False
    """Another owner or another home made it. This computer cannot know whether they need it."""


@dataclass(frozen=True)
class GcFindings:
    """The result of the search of `gc`."""

    resources: tuple[Resource, ...]
    """All resources with our tags."""
    unneeded: tuple[UnneededResource, ...]
    hourly_usd: Mapping[str, Decimal]
    """Costs by resource id, as far as they are known."""
    notes: tuple[str, ...]
    """Regions where AWS denies access, and prices that are unknown."""
    failures: tuple[str, ...]
    """Searches that failed: resources may be left there."""
    regions: int
    """The number of regions that were searched."""

    def select_doomed(self, *, all_owners: bool) -> list[UnneededResource]:
        """Return what may be ended: our own, or that of all owners."""
        return [item for item in self.unneeded if all_owners or not item.foreign]


@dataclass(frozen=True)
class GcScope:
    """The scope of `gc`: the owner whose resources it searches, and whether baked images count."""

    home: Path
    """The folder with the journals."""
    owner: str
    """The owner, as the tags name it."""
    images: bool = False
    """Include baked images."""
    former_owner: str = ""
    """The owner, as earlier versions named it: the user on this computer."""
    unknown_owner: str = ""
    """Why the account does not say who the owner is; empty if it does."""


def find_unneeded(aws: Aws, scope: GcScope, *, report: Reporter) -> GcFindings:
    """Search all regions, and compare with the journals of this laptop. Changes nothing.

    Raises:
        AwsError: AWS did not list the regions.
    """

    def report_progress(done: int, total: int) -> None:
        report.progress("Looking at regions", done=done, total=total)

    listing = inventory.list_account_resources(aws, images=scope.images, progress=report_progress)
    judged = _select_with_journals(listing.resources, scope)
    prices, unknown = resource_costs.compute_hourly_costs(aws, [item.resource for item in judged])
    notes = (*listing.notes, *unknown)
    if scope.unknown_owner:
        text = "what you made there may be taken for what others made, and left"
        notes = (f"the account does not say who you are: {text} ({scope.unknown_owner})", *notes)
    return GcFindings(listing.resources, tuple(judged), prices, notes, listing.failures, len(listing.regions))


def end_resources(
    aws: Aws,
    findings: GcFindings,
    doomed: Sequence[UnneededResource],
    scope: GcScope,
    *,
    report: Reporter,
) -> list[Leftover]:
    """End these resources, except those that a cluster needs by now: the user may have answered an hour later.

    Args:
        aws: the account.
        findings: the result of the search.
        doomed: some or all of its unneeded resources.
        scope: the same as for the search.
        report: told as each resource has ended.

    Returns:
        The resources that are left, and why.
    """
    unneeded_now = {item.resource.key for item in _select_with_journals(findings.resources, scope)}
    resources = [item.resource for item in doomed]
    left = gc.delete_resources(
        aws,
        [resource for resource in resources if resource.key in unneeded_now],
        report=report,
    )
    needed = [resource for resource in resources if resource.key not in unneeded_now]
    return left + [Leftover(resource, "a cluster needs it now") for resource in needed]


def _select_with_journals(resources: Sequence[Resource], scope: GcScope) -> list[UnneededResource]:
    # The journals are read after the cloud: they contain a cluster that was started in between.
    known = read_known_clusters(scope.home)
    own_ids = known_ids(scope.home) | {cluster.uuid for cluster in known}
    owners = {scope.owner, scope.former_owner} - {""}
    return select_unneeded(resources, known, now=utc_now(), owners=owners, own_ids=own_ids, images=scope.images)


def read_known_clusters(home: Path) -> list[KnownCluster]:
    """Return the clusters of this laptop's journals that are on EC2, or may be."""
    folders = home / "clusters"
    if not folders.is_dir():
        return []
    clusters = (ClusterFolder(home, folder.name) for folder in sorted(folders.iterdir()))
    return [
        _read_cluster(cluster) for cluster in clusters if cluster.exists and cluster.last_provider() in {None, "ec2"}
    ]


def _read_cluster(folder: ClusterFolder) -> KnownCluster:
    ledger = LaunchJournal(folder)
    launches = ledger.open_launches()
    return KnownCluster(
        name=folder.name,
        uuid=find_id(folder.events()),
        wanted_aliases=frozenset(folder.wanted_nodes()),
        alias_by_id=ledger.aliases_by_id(),
        tokens=frozenset(launch.token for launch in launches),
        templates=frozenset(launch.template for launch in launches),
        images=frozenset(ledger.image_ids().values()),
    )


def select_unneeded(
    resources: Sequence[Resource],
    known: Sequence[KnownCluster],
    *,
    now: datetime,
    owners: Container[str],
    own_ids: Container[str],
    images: bool = False,
) -> list[UnneededResource]:
    """Return the resources that may be ended, and why. A known cluster keeps what it needs, unless that has expired.

    Args:
        resources: all resources with our tags.
        known: the clusters of this laptop. Read them after `resources`, else a cluster that was started in between is
            missing.
        now: the present time, with a time zone.
        owners: the owner that asks, as the tags name it. Two computers may have the same, so it proves nothing of
            what has the id of a cluster.
        own_ids: the ids of all clusters that this home has made.
        images: include baked images.
    """
    nodes = _node_instances(resources, known)
    reasons: dict[tuple[str, ResourceKind, str], str] = {}
    for resource in resources:
        reason = _expiry_reason(resource, now) or _orphan_reason(resource, known, nodes, now=now)
        if not reason and images and resource.kind in {ResourceKind.IMAGE, ResourceKind.SNAPSHOT}:
            reason = _image_reason(resource, known, resources)
        if reason:
            reasons[resource.key] = reason
    instances = select_kind(resources, ResourceKind.INSTANCE)
    # Resources of a cluster whose instances stay are kept, even where its journal is lost.
    staying = {instance.uuid for instance in instances if instance.key not in reasons}
    return [
        UnneededResource(item, reasons[item.key], foreign=not _is_own(item, owners, own_ids))
        for item in sort_for_deletion(resources)
        if item.key in reasons
        and not (item.kind in _CLUSTER_KINDS and item.uuid in staying and not _expiry_reason(item, now))
    ]


def _is_own(resource: Resource, owners: Container[str], own_ids: Container[str]) -> bool:
    """Return whether a resource was made by this home: by its cluster's id; by its owner where it is of no cluster."""
    return resource.uuid in own_ids if resource.uuid else resource.owner in owners


def _expiry_reason(resource: Resource, now: datetime) -> str:
    """Return why the resource's own tag says that it has expired; empty if not. A tag without a time does not count."""
    if resource.with_instance:
        return ""  # its instance has the same tag, and its end deletes this too
    text = resource.tags.get(tags.EXPIRES, "")
    try:
        end = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return ""
    end = end if end.tzinfo else end.replace(tzinfo=timezone.utc)
    return f"its time was over at {end.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC" if end <= now else ""


def _orphan_reason(resource: Resource, known: Sequence[KnownCluster], nodes: frozenset[str], *, now: datetime) -> str:
    """Return why no cluster needs the resource; empty if one does or may, or if it never belonged to a cluster."""
    if resource.with_instance or not resource.uuid:
        return ""  # ends with its instance, or was made by hand, such as with `createvolume`
    if resource.kind in {ResourceKind.IMAGE, ResourceKind.SNAPSHOT}:
        return ""
    owners = [cluster for cluster in known if cluster.owns_resource(resource)]
    if not owners:
        files = "; its home, with all files" if resource.tags.get(tags.ROLE) == tags.HOME else ""
        return f"no cluster that this computer knows needs it ({resource.cluster or resource.uuid}{files})"
    if resource.kind == ResourceKind.INSTANCE:
        return "" if resource.id in nodes else f"it is no node of {resource.cluster} any more"
    if resource.kind == ResourceKind.LAUNCH_TEMPLATE:
        used = any({resource.id, resource.name} & cluster.templates for cluster in owners)
        old = resource.made is not None and now - resource.made > _TEMPLATE_AGE
        return "its launch is over" if old and not used else ""
    return ""


def _node_instances(resources: Iterable[Resource], known: Sequence[KnownCluster]) -> frozenset[str]:
    """Return the ids of instances that are nodes of known clusters, or will be once `start` completes their launch."""
    instances = sorted(
        select_kind(resources, ResourceKind.INSTANCE), key=lambda instance: (str(instance.made), instance.id)
    )
    needed: set[str] = set()
    for cluster in known:
        own = [instance for instance in instances if cluster.owns_resource(instance)]
        by_alias = records.assign_aliases(own, cluster.alias_by_id)
        needed |= {instance.id for alias, instance in by_alias.items() if alias in cluster.wanted_aliases}
        needed |= {instance.id for instance in own if instance.tags.get(tags.ATTEMPT) in cluster.tokens}
    return frozenset(needed)


def _image_reason(resource: Resource, known: Sequence[KnownCluster], resources: Sequence[Resource]) -> str:
    if resource.kind == ResourceKind.IMAGE:
        used = any(resource.id in cluster.images for cluster in known)
        return "" if used else "no cluster here uses this baked image; `clusterctl image bake` makes it anew"
    of_an_image = any(resource.id in image.parts for image in select_kind(resources, ResourceKind.IMAGE))
    return "" if of_an_image else "its baked image is gone"
