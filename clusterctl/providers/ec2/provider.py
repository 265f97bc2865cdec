"""The `ec2` provider: the order of its steps.

Tags on the resources say what exists. The journal says what was asked for.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from clusterctl.errors import ProviderError
from clusterctl.events import SILENT
from clusterctl.model import MASTER, Market, Problem
from clusterctl.providers.ec2 import home_volume, images, instances, tags
from clusterctl.providers.ec2.account import audit, listing
from clusterctl.providers.ec2.account.caller import Caller
from clusterctl.providers.ec2.checks import plan_checks
from clusterctl.providers.ec2.checks.context import CheckContext, Ground
from clusterctl.providers.ec2.checks.run import check_launch
from clusterctl.providers.ec2.clusters import Clusters
from clusterctl.providers.ec2.launch import discovery, security_groups, teardown
from clusterctl.providers.ec2.launch.caller_address import find_allowed_networks
from clusterctl.providers.ec2.launch.context import LaunchContext
from clusterctl.providers.ec2.launch.endings import end_instances, refuse_left
from clusterctl.providers.ec2.launch.fleet_requests import BATCH_SIZE
from clusterctl.providers.ec2.launch.subnets import find_subnets
from clusterctl.providers.ec2.launch.transaction import Transaction
from clusterctl.providers.ec2.launch_journal import LaunchJournal
from clusterctl.providers.ec2.options import Options
from clusterctl.providers.ec2.pricing import estimates, lives, price_list, price_table, spending
from clusterctl.providers.ec2.pricing.quotas import QuotaReader
from clusterctl.providers.outliving import KeptHome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from decimal import Decimal

    from clusterctl.events import Reporter
    from clusterctl.model import Node, NodeSpec, Plan
    from clusterctl.providers.audits import Audit
    from clusterctl.providers.base import Journal, Namesake
    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.data_volumes import DataVolume
    from clusterctl.providers.ec2.launch.discovery import LaunchInputs
    from clusterctl.providers.images import Image
    from clusterctl.providers.losses import Loss
    from clusterctl.providers.money import Estimate, Spending


class Ec2Provider:
    """Launch instances. Implements `Provider`, and every other protocol of base.py but `BaseImages`."""

    name = "ec2"

    def __init__(
        self, aws: Aws, *, options: Options | None = None, journal: Callable[[str], Journal], owner: str
    ) -> None:
        """Work in the account and region of `aws`; the journal's region counts for a cluster that is in another one.

        Args:
            aws: the account.
            options: of the template. Without them clusters can only be listed and ended.
            journal: returns the journal of a cluster, by its name.
            owner: the user on this computer: the owner of what is made where the account does not say who we are.
        """
        self._options = options or Options()
        self.facets = instances.instance_facets(shared_home=self._options.shared_home)
        self._clusters = Clusters(aws, self._options, journal)
        self._journal = journal
        self._caller = Caller(aws, owner)
        self._quotas: dict[str, QuotaReader] = {}
        self._inputs: dict[tuple[Sequence[NodeSpec], str], LaunchInputs] = {}

    def check(self, plan: Plan, report: Reporter = SILENT) -> list[Problem]:
        """Return the problems that would stop this plan. Changes nothing.

        `report` is told who the account takes us for, what may be wrong, and what could not be looked at.
        """
        try:
            problems = plan_checks.check_plan(plan, self._options)
            existing = self._clusters.find_by_alias(plan.cluster)
            key = self._clusters.known_key_of(plan.cluster)
            problems += home_volume.check_home(self._clusters.aws_for(plan.cluster), plan, existing, key)
            missing = [spec for spec in plan.nodes if spec.alias not in existing]
            if not existing:  # what is made has an owner, who is asked for beside all that follows
                self._caller.begin()
            if missing and not problems:
                aws = self._clusters.aws_for(plan.cluster)
                context = CheckContext(aws, self._options, plan, missing, existing, self._quotas_in(aws))
                look = partial(self._look_at_ground, plan, missing)
                problems = check_launch(context, look, None if existing else self._caller, report)
        except ProviderError as exc:
            return [Problem(exc.message, exc.remedy)]
        return problems

    def _look_at_ground(self, plan: Plan, missing: Sequence[NodeSpec]) -> Ground:
        zone, disks = self._choose_zone(plan)
        return Ground(self._inputs_for(plan.cluster, missing, zone), zone, disks)

    def _quotas_in(self, aws: Aws) -> QuotaReader:
        """Return who tells what the quotas of a region leave: they are asked for once, for checks and price."""
        return self._quotas.setdefault(aws.region, QuotaReader(aws))

    def identity(self) -> str:
        """Return the user or role that the keys belong to."""
        caller = self._clusters.aws.call("sts", "get_caller_identity")
        return f"{caller['Arn']} in {self._clusters.aws.region}"

    def estimate_nodes(self, plan: Plan, existing: Sequence[Node]) -> Estimate:
        """Return what the instances that do not exist yet would cost."""
        known = {node.alias for node in existing}
        missing = [spec for spec in plan.nodes if spec.alias not in known]
        zone, _ = self._choose_zone(plan)
        inputs = self._inputs_for(plan.cluster, missing, zone)
        if not zone and existing and not self._options.any_zone:
            zone = existing[0].zone
        aws, key = self._clusters.aws_for(plan.cluster), self._clusters.known_key_of(plan.cluster)
        has_home = not plan.home_volume or (key and home_volume.find_home_volume(aws, key))
        home_gb = 0 if has_home else self._options.home_volume_gb
        reader = self._quotas_in(aws)
        return estimates.estimate_launch_cost(
            aws, self._options, missing, inputs, zone=zone, home_gb=home_gb, reader=reader
        )

    def spending(self, cluster: str, nodes: Sequence[Node]) -> Spending:
        """Return what these instances cost, with their disks and addresses, and what those cost that have ended."""
        aws, journal = self._clusters.aws_for(cluster), self._journal(cluster)
        known = lives.read_lives(journal.events())
        look = partial(self._clusters.look_at_lives, cluster)
        return spending.compute_spending(aws, self._options, cluster, nodes, known_lives=known, look=look)

    def find_gpu_types(self, cluster: str, count: int) -> tuple[str, ...]:
        """Return the types that have so many GPUs: the smallest of each family, without those that are far dearer."""
        aws = self._clusters.aws_for(cluster)
        return price_table.leave_dear_out(discovery.find_gpu_types(aws, self._options.arch, count), aws.region)

    def list_price(self, node: Node) -> Decimal | None:
        """Return the price on demand of a node's type, by the table that is shipped."""
        return price_table.on_demand_price(node.type, self._clusters.aws.region)

    def find_losses(self, cluster: str) -> Mapping[str, Loss]:
        """Return when and why nodes ended or stopped, by alias."""
        return lives.explain_losses(self._clusters.look_at_lives(cluster))

    def note_lives(self, cluster: str) -> None:
        """Write into the cluster's journal what its instances are and were: EC2 forgets them in an hour."""
        self._clusters.note_lives(cluster)

    def create(self, plan: Plan, *, public_key: str, report: Reporter = SILENT) -> list[Node]:
        """Launch missing instances, and start stopped ones; see `Transaction`."""
        context = LaunchContext(
            aws=self._clusters.aws_for(plan.cluster),
            options=self._options,
            plan=plan,
            journal=LaunchJournal(self._journal(plan.cluster)),
            owner=self._caller.name,
            public_key=public_key,
            discover=partial(self._inputs_for, plan.cluster),
            on_demand_prices=partial(price_list.look_up_prices, self._clusters.aws_for(plan.cluster)),
            report=report,
        )
        try:
            transaction = Transaction(context)
            instances_by_alias = transaction.provision()
        except BaseException:
            self._clusters.note_lives(plan.cluster, self._root_sizes(plan))
            raise
        self._clusters.note_running(plan.cluster, instances_by_alias, self._root_sizes(plan))
        wanted = {spec.alias for spec in plan.nodes}
        made = [node for node in self._clusters.make_nodes(plan.cluster, instances_by_alias) if node.alias in wanted]
        return [replace(node, home_volume=transaction.home_volume) if node.is_master else node for node in made]

    def _root_sizes(self, plan: Plan) -> dict[str, int]:
        """Return the size of the root disk of nodes that this run launches, in GB."""
        amis = {image: ami for inputs in self._inputs.values() for image, ami in inputs.amis.items()}
        return {
            spec.alias: self._options.root_gb(spec.alias, amis[spec.image].root_gb)
            for spec in plan.nodes
            if spec.image in amis
        }

    def nodes(self, cluster: str | None = None) -> list[Node]:
        """Return the live instances, asked of AWS, as nodes."""
        if cluster is not None:
            return self._clusters.make_nodes(cluster, self._clusters.find_by_alias(cluster))
        return self._clusters.list_all_nodes()

    def destroy(self, cluster: str, aliases: Sequence[str] | None = None) -> None:
        """End these instances, or the whole cluster and all its resources, and wait until they have ended."""
        key = self._clusters.prove(cluster)
        if key is None:
            return
        aws = self._clusters.aws_for(cluster)
        launch_journal = LaunchJournal(self._journal(cluster))
        if aliases is not None:
            existing = self._clusters.find_by_alias(cluster)
            leftovers = end_instances(aws, key, [existing[alias].id for alias in aliases if alias in existing])
            self.note_lives(cluster)
            refuse_left(f"nodes of {cluster}", leftovers)
            return
        leftovers = teardown.end_cluster(
            aws, key, open_launches=launch_journal.open_launches(), fleet_ids=launch_journal.fleet_ids(), home=True
        )
        self.note_lives(cluster)
        refuse_left(f"of {cluster}", leftovers)

    def stop(self, cluster: str) -> None:
        """Stop instances that keep their disks. Spot instances are terminated; `start` launches them anew."""
        key = self._clusters.prove(cluster)
        if key is None:
            return
        aws = self._clusters.aws_for(cluster)
        instances = self._clusters.find_by_alias(cluster).values()
        running = [instance for instance in instances if instance.state in {"pending", "running"}]
        spot = [instance.id for instance in running if instance.market == Market.SPOT]
        leftovers = end_instances(aws, key, spot)
        teardown.stop_instances(aws, [instance.id for instance in running if instance.market != Market.SPOT])
        self.note_lives(cluster)
        refuse_left(f"spot instances of {cluster}", leftovers)

    def reboot(self, cluster: str) -> None:
        """Reboot the running instances."""
        if self._clusters.prove(cluster) is None:
            return
        ids = [
            instance.id for instance in self._clusters.find_by_alias(cluster).values() if instance.state == "running"
        ]
        for part in (ids[start : start + BATCH_SIZE] for start in range(0, len(ids), BATCH_SIZE)):
            self._clusters.aws_for(cluster).call("ec2", "reboot_instances", InstanceIds=part)

    def invite(self, cluster: str, aliases: Sequence[str], public_key: str) -> None:
        """Let a key log in within a minute, by EC2 Instance Connect."""
        instances.push_key(self._clusters.aws_for(cluster), self._clusters.find_by_alias(cluster), aliases, public_key)

    def find_image(self, base: str, content: str) -> str:
        """Return the baked image with this content for the template's nodes; empty if there is none."""
        return images.find_baked_image(self._clusters.aws, self._image_key(base), content)

    def save_image(self, cluster: str, base: str, content: str) -> str:
        """Make an image of the cluster's only instance."""
        builder = self._clusters.find_by_alias(cluster)[MASTER]
        return images.create_image(
            self._clusters.aws_for(cluster),
            builder.id,
            name=f"clusterctl-{cluster}-{content}",
            resource_tags={
                **self._options.tags,
                tags.OWNER: self._caller.name(),
                tags.IMAGE_BASE: self._image_key(base),
                tags.IMAGE_CONTENT: content,
            },
        )

    def list_images(self) -> list[Image]:
        """Return the baked images of the region, of all users of the account."""
        return images.list_baked_images(self._clusters.aws)

    def remove_image(self, name: str) -> None:
        """Delete a baked image and its snapshots."""
        images.delete_image(self._clusters.aws, name)

    def console(self, cluster: str, alias: str) -> str:
        """Return the console output of a node."""
        existing = self._clusters.find_by_alias(cluster)
        return listing.read_console(self._clusters.aws_for(cluster), existing[alias].id) if alias in existing else ""

    def allow_ssh(self, cluster: str) -> tuple[list[str], list[str]]:
        """Open SSH to the networks that the config allows now, and to no others.

        ``auto`` is this computer's present address.

        Returns:
            The networks that may reach SSH now, and those that could before.
        """
        aws = self._clusters.aws_for(cluster)
        networks = find_allowed_networks(self._options, find_subnets(aws, self._options))
        return networks, security_groups.replace_ssh_rules(aws, self._clusters.key_of(cluster), networks)

    def namesakes(self, cluster: str) -> list[Namesake]:
        """Return all of the region that has the name of this cluster, by its id, whoever made it."""
        return self._clusters.find_namesakes(cluster)

    def list_admitted(self, cluster: str) -> list[str]:
        """Return the networks (CIDR) that may reach SSH."""
        return security_groups.list_ssh_networks(self._clusters.aws_for(cluster), self._clusters.key_of(cluster))

    def audit(self, cluster: str) -> Audit:
        """Return the settings of the cluster's instances, disks and security group that matter for safety."""
        return audit.audit_cluster(self._clusters.aws_for(cluster), self._clusters.key_of(cluster))

    def leftovers(self, cluster: str, cluster_id: str) -> list[str]:
        """Return the ids of resources that have the tags of a cluster, which may have ended, and still exist."""
        return audit.list_leftovers(self._clusters.aws_for(cluster), tags.ClusterKey(cluster, cluster_id))

    def find_home(self, cluster: str) -> KeptHome | None:
        """Return the volume with the home of a cluster, or None."""
        key = self._clusters.known_key_of(cluster)
        volume = home_volume.find_home_volume(self._clusters.aws_for(cluster), key) if key else None
        return KeptHome(f"the volume {volume.id} of {volume.size_gb} GB with its home") if volume else None

    def _image_key(self, image: str) -> str:
        """Return the base of a baked image with its architecture: that of the instance types once they are known."""
        archs = (inputs.arch for inputs in self._inputs.values())
        return images.image_key(image, next(archs, self._options.arch))

    def _choose_zone(self, plan: Plan) -> tuple[str, Sequence[DataVolume]]:
        """Return the only zone for new nodes (empty: any), and the data volumes, which decide it if no option does."""
        key = self._clusters.known_key_of(plan.cluster)
        disks = home_volume.find_disks(self._clusters.aws_for(plan.cluster), plan, key)
        return self._options.zone or (disks[0].zone if disks else ""), disks

    def _inputs_for(self, cluster: str, specs: Sequence[NodeSpec], zone: str) -> LaunchInputs:
        """Return what a launch of these nodes needs. AWS is asked once for each set of nodes."""
        key = (tuple(specs), zone)
        if key not in self._inputs:
            launch_journal = LaunchJournal(self._journal(cluster))
            known_images = launch_journal.image_ids()
            inputs = discovery.discover_inputs(
                self._clusters.aws_for(cluster), self._options, specs, zone=zone, known_images=known_images
            )
            self._inputs[key] = inputs
        return self._inputs[key]
