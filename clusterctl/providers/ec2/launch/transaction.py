"""A transaction that provides the nodes of a plan.

It finishes what an earlier transaction left open, and undoes itself if it fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.errors import ProviderError
from clusterctl.model import MASTER
from clusterctl.providers.ec2 import data_volumes, home_volume, images, tags
from clusterctl.providers.ec2 import instances as ec2_instances
from clusterctl.providers.ec2.answers.rows import Kind
from clusterctl.providers.ec2.launch import (
    fleet_errors,
    fleet_requests,
    security_groups,
    teardown,
    waiters,
)
from clusterctl.providers.ec2.launch.caller_address import find_allowed_networks
from clusterctl.providers.ec2.launch.fleets import Fleets, LaunchNetwork
from clusterctl.providers.ec2.launch.subnets import find_subnets
from clusterctl.text import plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clusterctl.model import NodeSpec
    from clusterctl.providers.ec2.instance_reader import Instance
    from clusterctl.providers.ec2.launch.context import LaunchContext
    from clusterctl.providers.ec2.launch.discovery import LaunchInputs
    from clusterctl.providers.ec2.launch.subnets import Subnet


_ZONAL = frozenset({Kind.CAPACITY, Kind.PRICE, Kind.POOL, Kind.NETWORK})
"""Why there may be more in another zone. Quotas and rights are those of the whole region."""
_ROUNDS = 2
"""Number of launches: instances that ended right after their launch are replaced once."""


class Transaction:
    """The plan to fulfil, and the steps that were begun."""

    def __init__(self, context: LaunchContext) -> None:
        self._context = context
        self._tags: Mapping[str, str] = {}
        self._started: list[str] = []
        self._home_is_new = False
        self.home_volume = ""
        """The volume with the home, once it is attached to the master; empty where the plan wants none."""

    def provision(self) -> dict[str, Instance]:
        """Provide the nodes of the plan: start stopped ones, launch missing ones, as many as AWS gives.

        Returns:
            All instances of the cluster by alias.

        Raises:
            ProviderError: AWS gives too few nodes for a new cluster, or another error; begun steps are undone.
        """
        existing = ec2_instances.find_instances(self._context.aws, self._context.cluster)
        self._tags = self._identity_tags(existing)
        fleets = Fleets(self._context, self._tags)
        try:
            return self._provide_nodes(existing, fleets)
        except BaseException as cause:
            self._undo_begun(fleets, cause, new=not existing)
            raise

    def _identity_tags(self, existing: Sequence[Instance]) -> dict[str, str]:
        """Return the tags of all new resources. Instances of the same name that are another cluster's are an error."""
        own_uuid, _ = self._context.journal.read_identity()
        for instance in existing:
            cluster_uuid, cluster_owner = instance.tags.get(tags.UUID, ""), instance.tags.get(tags.OWNER, "")
            if not own_uuid or cluster_uuid != own_uuid:
                raise ProviderError(
                    f"{self._context.cluster} is there in {self._context.aws.region} already,"
                    f" started by {cluster_owner or 'somebody else'} (id {cluster_uuid or 'unknown'})",
                    remedy=f"choose another name; if it is yours, `clusterctl attach {self._context.cluster}` takes it"
                    " over where this computer has lost its files",
                )
        # The account is asked for a new cluster alone: a start that changes nothing costs no question.
        owner = next((instance.tags[tags.OWNER] for instance in existing if instance.tags.get(tags.OWNER)), "")
        return {
            **self._context.options.tags,
            tags.CLUSTER: self._context.cluster,
            tags.UUID: self._context.journal.ensure_identity(self._context.aws.region),
            tags.OWNER: owner or self._context.owner(),
            **home_volume.home_tags(self._context.plan),
            **ec2_instances.STAMP,
        }

    def _provide_nodes(self, existing: Sequence[Instance], fleets: Fleets) -> dict[str, Instance]:
        opened = self._context.journal.open_launches()
        for launch in opened:
            self._context.report.say(f"Finishing an earlier request for {plural(len(launch.aliases), 'instance')}")
            fleets.finish_launch(launch)
        if opened:
            existing = self._wait_until_reachable(fleets.launched_ids)
            fleets.tag_names()
        nodes = self._name_instances(existing)
        wanted = {spec.alias for spec in self._context.plan.nodes}
        self._start_stopped([instance for alias, instance in nodes.items() if alias in wanted])
        pending = [*self._started]
        for _ in range(_ROUNDS):
            missing = [spec for spec in self._context.plan.nodes if spec.alias not in nodes]
            before = len(fleets.launched_ids)
            if missing:
                self._launch_missing(missing, nodes, fleets)
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
        self._attach_volumes(nodes)
        return nodes

    def _wait_until_reachable(self, ids: Sequence[str]) -> list[Instance]:
        return waiters.wait_until_reachable(self._context, ids)

    def _name_instances(self, instances: Sequence[Instance]) -> dict[str, Instance]:
        """Return instances by alias, and record the aliases that are new."""
        names = self._context.journal.aliases_by_id()
        by_alias = ec2_instances.assign_aliases(instances, names)
        new = {
            alias: instance.id
            for alias, instance in by_alias.items()
            if alias not in {MASTER, names.get(instance.id), instance.tags.get(tags.ALIAS)}
        }
        self._context.journal.record_aliases(new)
        return by_alias

    def _start_stopped(self, instances: Sequence[Instance]) -> None:
        stopped = [instance.id for instance in instances if instance.state in {"stopping", "stopped"}]
        if not stopped:
            return
        waiters.wait_until_stopped(self._context.aws, self._context.key)
        self._context.report.say(f"Starting {plural(len(stopped), 'stopped instance')}")
        self._started = stopped
        self._allow_caller()
        for start in range(0, len(stopped), fleet_requests.BATCH_SIZE):
            self._context.aws.call(
                "ec2", "start_instances", InstanceIds=stopped[start : start + fleet_requests.BATCH_SIZE]
            )

    def _launch_missing(self, missing: Sequence[NodeSpec], nodes: Mapping[str, Instance], fleets: Fleets) -> None:
        disks = home_volume.find_disks(self._context.aws, self._context.plan, self._context.key)
        zone = self._context.options.zone or (disks[0].zone if disks else "")
        if nodes and not zone and not self._context.options.any_zone:
            zone = (nodes.get(MASTER) or next(iter(nodes.values()))).zone
        fleets.errors.clear()
        inputs = self._context.discover(missing, zone)
        known_images = self._context.journal.image_ids()
        for spec in missing:
            name = images.image_key(spec.image, inputs.arch)
            if name not in known_images and not spec.image.startswith("ami-"):
                known_images[name] = inputs.amis[spec.image].id
                self._context.journal.record_image(name, known_images[name])
        network = self._network_for(inputs)
        bound = bool(zone) or self._context.options.any_zone
        while True:
            before = len(fleets.launched_ids)
            fleets.lacks_in_zone = False
            settled = self._launch_groups(missing, inputs, network, fleets)
            launched = fleets.launched_ids[before:]
            others = network.zones - settled.zones
            if bound or not others or not self._is_too_little(len(missing) - len(launched), fleets, nodes):
                return
            full = ", ".join(sorted(settled.zones))
            reasons = fleet_errors.summarize_errors(self._context.aws, fleets.errors)
            self._context.report.warn(f"The zone {full} has not enough: {reasons}. Trying {', '.join(sorted(others))}")
            fleets.give_back(launched)
            network = network.limited_to(*others)

    def _launch_groups(
        self, missing: Sequence[NodeSpec], inputs: LaunchInputs, network: LaunchNetwork, fleets: Fleets
    ) -> LaunchNetwork:
        """Launch all groups of nodes in one zone, the first that has room; return the network with that zone."""
        for group in fleet_requests.group_specs(missing):
            type_names = ", ".join(group.types) or "any type that fits"
            self._context.report.say(
                f"Asking for {plural(len(group.aliases), 'instance')} ({group.market}): {type_names}"
            )
            network = fleets.launch_group(group, inputs, network)
        return network

    def _is_too_little(self, lacking: int, fleets: Fleets, nodes: Mapping[str, Instance]) -> bool:
        """Return whether a new cluster would fail for want of room in one zone, and another may have more."""
        if nodes or not lacking or not fleets.lacks_in_zone:
            return False
        names = {error.row.kind for error in fleet_errors.telling(fleets.errors)}
        master_lacks = MASTER not in fleets.launched_aliases
        too_few = len(self._context.plan.nodes) - lacking < self._context.plan.min_size
        return (master_lacks or too_few) and names <= _ZONAL and bool(names)

    def _network_for(self, inputs: LaunchInputs) -> LaunchNetwork:
        group = self._ensure_group(inputs.subnets)
        placement = ""
        if self._context.options.placement_group:
            placement = security_groups.ensure_placement_group(
                self._context.aws, self._context.cluster, resource_tags=self._tags
            )
        return LaunchNetwork(inputs.subnets, (group, *self._context.options.security_groups), placement)

    def _ensure_group(self, subnets: Sequence[Subnet]) -> str:
        rules = security_groups.build_ssh_rules(find_allowed_networks(self._context.options, subnets))
        rules += [
            security_groups.IngressRule(
                permission.protocol,
                permission.first,
                permission.last,
                permission.cidr,
                f"clusterctl: {permission.name}",
            )
            for permission in self._context.options.permissions
        ]
        world = [("0.0.0.0/0", port) for port in self._context.plan.request.ports]
        rules += [
            security_groups.IngressRule("tcp", port, port, network, "clusterctl: asked for by a plugin")
            for network, port in world
        ]
        return security_groups.ensure_security_group(
            self._context.aws, self._context.cluster, subnets[0].vpc, rules=rules, resource_tags=self._tags
        )

    def _allow_caller(self) -> None:
        """Let the present address reach SSH: the user may start the cluster again from another address."""
        self._ensure_group(find_subnets(self._context.aws, self._context.options))

    def _check_node_count(self, nodes: Mapping[str, Instance], fleets: Fleets, *, new: bool) -> None:
        """Raise if a new cluster has fewer nodes than its minimum, or if the master is missing; else only warn."""
        missing = [spec.alias for spec in self._context.plan.nodes if spec.alias not in nodes]
        if not missing:
            return
        count = len(self._context.plan.nodes) - len(missing)
        reasons = fleet_errors.summarize_errors(self._context.aws, fleets.errors)
        text = f"{len(missing)} of {plural(len(self._context.plan.nodes), 'node')} could not be had: {reasons}"
        if MASTER in missing or (new and count < self._context.plan.min_size):
            raise ProviderError(text, remedy=fleet_errors.remedy_of(fleets.errors))
        self._context.report.warn(text)

    def _attach_volumes(self, nodes: Mapping[str, Instance]) -> None:
        if MASTER not in {spec.alias for spec in self._context.plan.nodes}:
            return
        if self._context.plan.home_volume:
            self._bring_home(nodes[MASTER])
        data_disks = data_volumes.find_data_volumes(self._context.aws, self._context.plan.volumes)
        master = nodes[MASTER].id
        if any(master not in disk.attached_to for disk in data_disks):
            waiters.wait_until_running(self._context.aws, self._context.key, master)
            data_volumes.attach_data_volumes(self._context.aws, data_disks, master)

    def _bring_home(self, master: Instance) -> None:
        """Attach the volume with the home to the master; a new one for a new cluster."""
        aws, key, report = self._context.aws, self._context.key, self._context.report
        volume = home_volume.find_home_volume(aws, key)
        if not volume or master.id not in volume.attached_to:
            self._home_is_new = volume is None  # known before it is asked for: its answer may be lost
            waiters.wait_until_running(aws, key, master.id)
            if volume is None:
                volume = home_volume.create_home_volume(aws, key, self._context.options, master, self._tags, report)
            home_volume.attach_home_volume(aws, key.name, volume, master.id, report)
        self.home_volume = volume.id

    def _undo_begun(self, fleets: Fleets, cause: BaseException, *, new: bool) -> None:
        """Restore the former state; note on the error what cannot be undone."""
        if fleets.launched_ids or fleets.open_launches or self._started:
            self._context.report.say("Undoing what was begun")
        try:
            leftovers = teardown.undo_launches(
                self._context.aws,
                self._context.key,
                launched_ids=fleets.launched_ids,
                open_launches=fleets.open_launches,
                started_ids=self._started,
            )
            for launch in fleets.open_launches:
                self._context.journal.record_result(launch, {})
            if new and not leftovers:
                leftovers = teardown.end_cluster(
                    self._context.aws,
                    self._context.key,
                    fleet_ids=self._context.journal.fleet_ids(),
                    home=self._home_is_new,
                )
        except BaseException as exc:  # noqa: BLE001  # a second Ctrl-C included: the first cause is the one to tell
            leftovers = [str(exc) or type(exc).__name__]
        if leftovers:
            command = f"`clusterctl terminate {self._context.cluster}` ends the rest"
            text = f"not all could be undone ({', '.join(leftovers)}): {command}"
            self._context.report.warn(text)
            if hasattr(cause, "add_note"):  # Python 3.11
                cause.add_note(text)
