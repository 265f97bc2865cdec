"""The instances of clusters: found by their tags, named by the journal, proved by the cluster's id."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from clusterctl.errors import ClusterctlError
from clusterctl.providers.ec2 import instances, tags
from clusterctl.providers.ec2.launch import security_groups
from clusterctl.providers.ec2.launch_journal import LaunchJournal
from clusterctl.providers.ec2.pricing import lives
from clusterctl.providers.namesakes import group_nodes, unproven_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from clusterctl.model import Node
    from clusterctl.providers.base import Journal, Namesake
    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.instance_reader import Instance
    from clusterctl.providers.ec2.options import Options
    from clusterctl.providers.ec2.pricing.lives import Life


class Clusters:
    """The clusters of an account, as its tags and this computer's journals tell of them.

    Attributes:
        aws: the account; in the region of the cluster that was asked for last.
    """

    def __init__(self, aws: Aws, options: Options, journal: Callable[[str], Journal]) -> None:
        """Look at the region of `aws`; the journal's region counts for a cluster that is in another one.

        Args:
            aws: the account.
            options: of the template.
            journal: returns the journal of a cluster, by its name.
        """
        self.aws = aws
        self._options = options
        self._journal = journal

    def aws_for(self, cluster: str) -> Aws:
        """Return the account, in the region of the cluster."""
        _, region = LaunchJournal(self._journal(cluster)).read_identity()
        if region and region != self.aws.region:
            self.aws = self.aws.in_region(region)
        return self.aws

    def find_by_alias(self, cluster: str) -> dict[str, Instance]:
        """Return the living instances of a cluster, by alias."""
        known = self._journal(cluster).cluster_id
        sought = tags.ClusterKey(cluster, known) if known else cluster
        return self._by_alias(cluster, instances.find_instances(self.aws_for(cluster), sought))

    def list_all_nodes(self) -> list[Node]:
        """Return the living instances of all clusters of the region, as nodes."""
        all_instances = instances.find_instances(self.aws)
        names = sorted({instance.cluster for instance in all_instances})
        return [
            node
            for name in names
            for node in self.make_nodes(
                name, self._by_alias(name, [instance for instance in all_instances if instance.cluster == name])
            )
        ]

    def make_nodes(self, cluster: str, instances_by_alias: Mapping[str, Instance]) -> list[Node]:
        """Return instances of a cluster as nodes."""
        keys = LaunchJournal(self._journal(cluster)).host_keys()
        make = partial(
            instances.make_node,
            options=self._options,
            host_keys=keys,
            region=self.aws.region,
            cli_options=self.aws.cli_options,
        )
        nodes = [make(instance, alias) for alias, instance in instances_by_alias.items()]
        return instances.route_through_master(nodes, instances_by_alias, self._options)

    def key_of(self, cluster: str) -> tags.ClusterKey:
        """Return the name and id of a cluster that this computer knows."""
        return tags.ClusterKey(cluster, self._journal(cluster).cluster_id)

    def known_key_of(self, cluster: str) -> tags.ClusterKey | None:
        """Return the name and id of a cluster; None if this computer knows no id of it."""
        return self.key_of(cluster) if self._journal(cluster).cluster_id else None

    def prove(self, cluster: str) -> tags.ClusterKey | None:
        """Return the name and id of a cluster that is to end or change; None if there is nothing of that name.

        Raises:
            UnprovenError: its id is not known here, and something has its name.
        """
        if self._journal(cluster).cluster_id:
            return self.key_of(cluster)
        if namesakes := self.find_namesakes(cluster):
            raise unproven_error(cluster, namesakes)
        return None

    def find_namesakes(self, cluster: str) -> list[Namesake]:
        """Return all of the region that has the name of this cluster, by its id, whoever made it."""
        named = instances.find_instances(self.aws, cluster)
        groups = security_groups.list_groups(self.aws, cluster)
        others: dict[str, list[str]] = {}
        for group, group_tags in groups.items():
            others.setdefault(group_tags.get(tags.UUID, ""), []).append(group)
        nodes = self.make_nodes(cluster, self._by_alias(cluster, named))
        owners = {group_tags.get(tags.UUID, ""): group_tags.get(tags.OWNER, "") for group_tags in groups.values()}
        namesakes = group_nodes(nodes, others)
        return [replace(namesake, owner=namesake.owner or owners.get(namesake.id, "")) for namesake in namesakes]

    def _by_alias(self, cluster: str, found_instances: Sequence[Instance]) -> dict[str, Instance]:
        return instances.assign_aliases(found_instances, LaunchJournal(self._journal(cluster)).aliases_by_id())

    def look_at_lives(self, cluster: str, disk_gb: Mapping[str, int] | None = None) -> list[Life]:
        """Return the lives of a cluster's instances, the oldest first. Write what is new into its journal.

        Args:
            cluster: its name.
            disk_gb: the size of the root disk of nodes that this run launches, by alias.
        """
        journal = self._journal(cluster)
        if not journal.cluster_id:
            return []
        return lives.look_at_lives(
            self.aws_for(cluster),
            self.key_of(cluster),
            journal,
            disk_gb=disk_gb,
            disk_type=self._options.root_volume_type,
            has_public_ip=self._options.has_public_ip,
        )

    def note_lives(self, cluster: str, disk_gb: Mapping[str, int] | None = None) -> None:
        """Write into the journal what a cluster's instances are and were, if it can: only the bill needs it."""
        with suppress(ClusterctlError):
            self.look_at_lives(cluster, disk_gb)

    def note_running(
        self, cluster: str, instances_by_alias: Mapping[str, Instance], disk_gb: Mapping[str, int]
    ) -> None:
        """Write into the journal what was just launched or started; all of it, if some were given back at once."""
        journal = self._journal(cluster)
        disk_type = self._options.root_volume_type
        with suppress(ClusterctlError):  # a full disk undoes no start
            lives.record_running(journal, instances_by_alias, disk_gb=disk_gb, disk_type=disk_type)
        launched = LaunchJournal(journal).aliases_by_id().keys()
        if launched - {life.id for life in lives.read_lives(journal.events())}:
            self.note_lives(cluster, disk_gb)
