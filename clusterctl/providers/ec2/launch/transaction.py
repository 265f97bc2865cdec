"""A transaction that provides the nodes of a plan.

It finishes what an earlier transaction left open, and undoes itself if it fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.errors import ProviderError
from clusterctl.events import Event, EventKind
from clusterctl.model import MASTER
from clusterctl.providers.ec2 import images, tags
from clusterctl.providers.ec2 import instances as ec2_instances
from clusterctl.providers.ec2.aws import remedy_for
from clusterctl.providers.ec2.launch import data_volumes, fleet_requests, security_groups, teardown, waiters
from clusterctl.providers.ec2.launch.caller_address import find_allowed_networks
from clusterctl.providers.ec2.launch.fleets import Fleets, LaunchNetwork
from clusterctl.providers.ec2.launch.subnets import find_subnets
from clusterctl.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from clusterctl.model import NodeSpec, Plan
    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.instances import Instance
    from clusterctl.providers.ec2.launch.discovery import LaunchInputs
    from clusterctl.providers.ec2.launch.subnets import Subnet
    from clusterctl.providers.ec2.launch_journal import LaunchJournal
    from clusterctl.providers.ec2.options import Options

    Discover = Callable[[Sequence[NodeSpec], str], LaunchInputs]
    """Returns what a launch of these nodes needs, in this zone (empty: in any)."""


_ROUNDS = 2
"""Number of launches: instances that ended right after their launch are replaced once."""


class Transaction:
    """The plan to fulfil, and the steps that were begun."""

    def __init__(
        self,
        aws: Aws,
        options: Options,
        plan: Plan,
        journal: LaunchJournal,
        *,
        owner: str,
        report: Callable[[Event], None],
    ) -> None:
        """Prepare; no call is made yet.

        Args:
            aws: the account.
            options: of the template.
            plan: with the nodes to provide.
            journal: of the cluster.
            owner: the user, for the tags.
            report: called with each event.
        """
        self._aws = aws
        self._options = options
        self._plan = plan
        self._journal = journal
        self._owner = owner
        self._report = report
        self._tags: Mapping[str, str] = {}
        self._started: list[str] = []

    def provision(self, discover: Discover, *, public_key: str) -> dict[str, Instance]:
        """Provide the nodes of the plan: start stopped ones, launch missing ones, as many as AWS gives.

        Args:
            discover: see `Discover`.
            public_key: that each node accepts for login.

        Returns:
            All instances of the cluster by alias.

        Raises:
            ProviderError: AWS gives too few nodes for a new cluster, or another error; begun steps are undone.
        """
        existing = ec2_instances.find_instances(self._aws, self._plan.cluster)
        self._tags = self._identity_tags(existing)
        fleets = Fleets(
            self._aws,
            self._options,
            self._plan,
            self._journal,
            resource_tags=self._tags,
            public_key=public_key,
            report=self._report_step,
        )
        try:
            return self._provide_nodes(existing, fleets, discover)
        except BaseException as cause:
            self._undo_begun(fleets, cause, new=not existing)
            raise

    def _identity_tags(self, existing: Sequence[Instance]) -> dict[str, str]:
        """Return the tags of all new resources. A cluster of another user with the same name is an error."""
        own_uuid, _ = self._journal.read_identity()
        for instance in existing:
            cluster_uuid, cluster_owner = instance.tags.get(tags.UUID, ""), instance.tags.get(tags.OWNER, "")
            if cluster_uuid != own_uuid and (own_uuid or cluster_owner != self._owner):
                raise ProviderError(
                    f"{self._plan.cluster} is there in {self._aws.region} already,"
                    f" started by {cluster_owner or 'somebody else'}",
                    remedy="choose another name",
                )
        known = existing[0].tags.get(tags.UUID, "") if existing else ""
        return {
            **self._options.tags,
            tags.CLUSTER: self._plan.cluster,
            tags.UUID: self._journal.ensure_identity(self._aws.region, known),
            tags.OWNER: self._owner,
            **ec2_instances.STAMP,
        }

    def _provide_nodes(self, existing: Sequence[Instance], fleets: Fleets, discover: Discover) -> dict[str, Instance]:
        opened = self._journal.open_launches()
        for launch in opened:
            self._report_step(f"Finishing an earlier request for {plural(len(launch.aliases), 'instance')}")
            fleets.finish_launch(launch)
        if opened:
            existing = self._wait_until_reachable(fleets.launched_ids)
            fleets.tag_names()
        nodes = self._name_instances(existing)
        wanted = {spec.alias for spec in self._plan.nodes}
        self._start_stopped([instance for alias, instance in nodes.items() if alias in wanted])
        pending = [*self._started]
        for _ in range(_ROUNDS):
            missing = [spec for spec in self._plan.nodes if spec.alias not in nodes]
            before = len(fleets.launched_ids)
            if missing:
                self._launch_missing(missing, nodes, fleets, discover)
            pending += fleets.launched_ids[before:]
            if not pending:
                break
            living = self._wait_until_reachable(pending)
            nodes = self._name_instances(living)
            fleets.tag_names()
            if {*pending} <= {instance.id for instance in living}:
                break
            pending.clear()
        self._check_node_count(nodes, fleets, new=not existing)
        self._attach_data_volumes(nodes)
        return nodes

    def _wait_until_reachable(self, ids: Sequence[str]) -> list[Instance]:
        return waiters.wait_until_reachable(
            self._aws, self._plan.cluster, ids, options=self._options, report=self._report
        )

    def _name_instances(self, instances: Sequence[Instance]) -> dict[str, Instance]:
        """Return instances by alias, and record the aliases that are new."""
        names = self._journal.aliases_by_id()
        by_alias = ec2_instances.assign_aliases(instances, names)
        new = {
            alias: instance.id
            for alias, instance in by_alias.items()
            if alias not in {MASTER, names.get(instance.id), instance.tags.get(tags.ALIAS)}
        }
        self._journal.record_aliases(new)
        return by_alias

    def _start_stopped(self, instances: Sequence[Instance]) -> None:
        stopped = [instance.id for instance in instances if instance.state in {"stopping", "stopped"}]
        if not stopped:
            return
        waiters.wait_until_stopped(self._aws, self._plan.cluster)
        self._report_step(f"Starting {plural(len(stopped), 'stopped instance')}")
        self._started = stopped
        self._allow_caller()
        for start in range(0, len(stopped), fleet_requests.BATCH_SIZE):
            self._aws.call("ec2", "start_instances", InstanceIds=stopped[start : start + fleet_requests.BATCH_SIZE])

    def _launch_missing(
        self, missing: Sequence[NodeSpec], nodes: Mapping[str, Instance], fleets: Fleets, discover: Discover
    ) -> None:
        data_disks = data_volumes.find_data_volumes(self._aws, self._plan.volumes)
        zone = self._options.zone or (data_disks[0].zone if data_disks else "")
        if nodes and not zone and not self._options.any_zone:
            zone = (nodes.get(MASTER) or next(iter(nodes.values()))).zone
        fleets.errors.clear()
        inputs = discover(missing, zone)
        known_images = self._journal.image_ids()
        for spec in missing:
            name = images.image_key(spec.image, inputs.arch)
            if name not in known_images and not spec.image.startswith("ami-"):
                known_images[name] = inputs.amis[spec.image].id
                self._journal.record_image(name, known_images[name])
        network = self._network_for(inputs)
        for group in fleet_requests.group_specs(missing):
            type_names = ", ".join(group.types) or "any type that fits"
            self._report_step(f"Asking for {plural(len(group.aliases), 'instance')} ({group.market}): {type_names}")
            network = fleets.launch_group(group, inputs, network)

    def _network_for(self, inputs: LaunchInputs) -> LaunchNetwork:
        group = self._ensure_group(inputs.subnets)
        placement = ""
        if self._options.placement_group:
            placement = security_groups.ensure_placement_group(self._aws, self._plan.cluster, resource_tags=self._tags)
        return LaunchNetwork(inputs.subnets, (group, *self._options.security_groups), placement)

    def _ensure_group(self, subnets: Sequence[Subnet]) -> str:
        rules = security_groups.build_ssh_rules(find_allowed_networks(self._options, subnets))
        rules += [
            security_groups.IngressRule(
                permission.protocol,
                permission.first,
                permission.last,
                permission.cidr,
                f"clusterctl: {permission.name}",
            )
            for permission in self._options.permissions
        ]
        world = [("0.0.0.0/0", port) for port in self._plan.request.ports]
        rules += [
            security_groups.IngressRule("tcp", port, port, network, "clusterctl: asked for by a plugin")
            for network, port in world
        ]
        return security_groups.ensure_security_group(
            self._aws, self._plan.cluster, subnets[0].vpc, rules=rules, resource_tags=self._tags
        )

    def _allow_caller(self) -> None:
        """Let the present address reach SSH: the user may start the cluster again from another address."""
        self._ensure_group(find_subnets(self._aws, self._options))

    def _check_node_count(self, nodes: Mapping[str, Instance], fleets: Fleets, *, new: bool) -> None:
        """Raise if a new cluster has fewer nodes than its minimum, or if the master is missing; else only warn."""
        missing = [spec.alias for spec in self._plan.nodes if spec.alias not in nodes]
        if not missing:
            return
        count = len(self._plan.nodes) - len(missing)
        reasons = fleet_requests.summarize_errors(fleets.errors)
        text = f"{len(missing)} of {plural(len(self._plan.nodes), 'node')} could not be had: {reasons}"
        if MASTER in missing or (new and count < self._plan.min_size):
            quota_code = next(
                (refusal.code for refusal in fleets.errors if refusal.code in fleet_requests.QUOTA_CODES), ""
            )
            raise ProviderError(
                text,
                remedy=remedy_for(quota_code)
                if quota_code
                else "name more types in NODE_INSTANCE_TYPE, set ZONES = any, MARKET or another region,"
                " or be content with fewer: --min-size",
            )
        self._report(Event(EventKind.WARNING, text))

    def _attach_data_volumes(self, nodes: Mapping[str, Instance]) -> None:
        if MASTER not in {spec.alias for spec in self._plan.nodes}:
            return
        data_disks = data_volumes.find_data_volumes(self._aws, self._plan.volumes)
        master = nodes[MASTER].id
        if any(master not in disk.attached_to for disk in data_disks):
            waiters.wait_until_running(self._aws, self._plan.cluster, master)
            data_volumes.attach_data_volumes(self._aws, data_disks, master)

    def _undo_begun(self, fleets: Fleets, cause: BaseException, *, new: bool) -> None:
        """Restore the former state; note on the error what cannot be undone."""
        if fleets.launched_ids or fleets.open_launches or self._started:
            self._report_step("Undoing what was begun")
        try:
            leftovers = teardown.undo_launches(
                self._aws,
                self._plan.cluster,
                launched_ids=fleets.launched_ids,
                open_launches=fleets.open_launches,
                started_ids=self._started,
            )
            for launch in fleets.open_launches:
                self._journal.record_result(launch, {})
            if new and not leftovers:
                own_uuid, _ = self._journal.read_identity()
                leftovers = teardown.end_cluster(
                    self._aws, self._plan.cluster, fleet_ids=self._journal.fleet_ids(), uuid=own_uuid
                )
        except BaseException as exc:  # noqa: BLE001  # a second Ctrl-C included: the first cause is the one to tell
            leftovers = [str(exc) or type(exc).__name__]
        if leftovers:
            command = f"`clusterctl terminate {self._plan.cluster}` ends the rest"
            text = f"not all could be undone ({', '.join(leftovers)}): {command}"
            self._report(Event(EventKind.WARNING, text))
            if hasattr(cause, "add_note"):  # Python 3.11
                cause.add_note(text)

    def _report_step(self, text: str) -> None:
        self._report(Event(EventKind.STEP, text))
