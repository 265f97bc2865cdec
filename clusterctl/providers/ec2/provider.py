"""The `ec2` provider: the order of things. What it makes is found again by tags; the journal has what was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.errors import ProviderError
from clusterctl.model import MASTER, Problem
from clusterctl.providers.base import ignore
from clusterctl.providers.ec2 import images, instances, tags
from clusterctl.providers.ec2.account import audit, listing
from clusterctl.providers.ec2.launch import checks, data_volumes, security_groups, teardown
from clusterctl.providers.ec2.launch import discovery as surveys
from clusterctl.providers.ec2.launch.caller_address import callers
from clusterctl.providers.ec2.launch.fleet_requests import BATCH
from clusterctl.providers.ec2.launch.subnets import find_subnets
from clusterctl.providers.ec2.launch.transaction import Attempt
from clusterctl.providers.ec2.launch_journal import Ledger
from clusterctl.providers.ec2.options import Options
from clusterctl.providers.ec2.pricing import estimates, spending

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clusterctl.model import Node, NodeSpec, Plan
    from clusterctl.providers.audits import Audit
    from clusterctl.providers.base import Image, Journal, Report
    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.instances import Instance
    from clusterctl.providers.ec2.launch.data_volumes import Disk
    from clusterctl.providers.ec2.launch.discovery import Survey
    from clusterctl.providers.money import Estimate, Spending


class Ec2Provider:
    """Launches instances. Implements `Provider`, and every other protocol of base.py but `BaseImages`."""

    name = "ec2"

    def __init__(
        self, aws: Aws, *, options: Options | None = None, journal: Callable[[str], Journal], owner: str
    ) -> None:
        """Work in the account and region of `aws`; a cluster that is in another region is looked for there.

        Args:
            aws: the account.
            options: of the template; without them clusters can be looked at, and ended.
            journal: that of a cluster, by its name.
            owner: who makes things, for the tags.
        """
        self._options = options or Options()
        self.facets = instances.facets(shared_home=self._options.shared_home)
        self._here = aws
        self._journal = journal
        self._owner = owner
        self._surveys: dict[tuple[Sequence[NodeSpec], str], Survey] = {}

    def check(self, plan: Plan) -> list[Problem]:
        """What would stop this plan. Changes nothing."""
        try:
            problems = checks.of_plan(plan, self._options)
            there = self._named(plan.cluster)
            missing = [spec for spec in plan.nodes if spec.alias not in there]
            if missing and not problems:
                problems += checks.of_account(self._aws(plan.cluster), self._options)
                zone, kept = self._zone(plan)
                if kept and zone != kept.zone:
                    text = f"the volume {kept.id} is in {kept.zone}, and AVAILABILITY_ZONE is {zone}"
                    problems.append(Problem(text, "leave AVAILABILITY_ZONE out, or name volumes of that zone"))
                problems += checks.of_room(self._survey(plan.cluster, missing, zone), len(missing))
        except ProviderError as exc:
            return [Problem(exc.message, exc.remedy)]
        return problems

    def estimate(self, plan: Plan, there: Sequence[Node]) -> Estimate:
        """What the instances that are not there would cost."""
        known = {node.alias for node in there}
        missing = [spec for spec in plan.nodes if spec.alias not in known]
        zone, _ = self._zone(plan)
        found = self._survey(plan.cluster, missing, zone)
        if not zone and there and not self._options.any_zone:
            zone = there[0].zone
        return estimates.estimate(self._aws(plan.cluster), self._options, missing, found, zone=zone)

    def spending(self, cluster: str, nodes: Sequence[Node]) -> Spending:
        """What these instances cost, with their disks and addresses."""
        return spending.spending(self._aws(cluster), self._options, cluster, nodes)

    def create(self, plan: Plan, *, public_key: str, report: Report = ignore) -> list[Node]:
        """Launch what is missing, start what is stopped; see `Attempt`."""
        aws = self._aws(plan.cluster)
        ledger = Ledger(self._journal(plan.cluster))
        attempt = Attempt(aws, self._options, plan, ledger, owner=self._owner, report=report)

        def look(specs: Sequence[NodeSpec], zone: str) -> Survey:
            return self._survey(plan.cluster, specs, zone)

        there = attempt.run(look, public_key=public_key)
        wanted = {spec.alias for spec in plan.nodes}
        return self._nodes_of(plan.cluster, {alias: each for alias, each in there.items() if alias in wanted})

    def nodes(self, cluster: str | None = None) -> list[Node]:
        """The instances that live, asked of AWS."""
        if cluster is not None:
            return self._nodes_of(cluster, self._named(cluster))
        found = instances.find(self._here)
        names = sorted({instance.cluster for instance in found})
        return [
            node
            for name in names
            for node in self._nodes_of(name, self._name(name, [each for each in found if each.cluster == name]))
        ]

    def destroy(self, cluster: str, aliases: Sequence[str] | None = None) -> None:
        """End these instances, or the whole cluster and all that belonged to it, and wait for it."""
        aws = self._aws(cluster)
        ledger = Ledger(self._journal(cluster))
        if aliases is not None:
            there = self._named(cluster)
            teardown.some(aws, cluster, [there[alias].id for alias in aliases if alias in there])
            return
        left = teardown.everything(aws, cluster, opened=ledger.open_launches(), fleets=ledger.fleets())
        if left:
            raise ProviderError(
                f"not all of {cluster} could be ended: {', '.join(left)}",
                remedy=f"run `clusterctl terminate {cluster}` again; `clusterctl gc` finds what is left of any cluster",
            )

    def stop(self, cluster: str) -> None:
        """Power off what can come back with its disks; spot instances end, and are asked for anew by `start`."""
        aws = self._aws(cluster)
        there = [each for each in self._named(cluster).values() if each.state in {"pending", "running"}]
        teardown.some(aws, cluster, [each.id for each in there if each.market == "spot"])
        teardown.stop(aws, [each.id for each in there if each.market != "spot"])

    def reboot(self, cluster: str) -> None:
        """Boot the running instances anew."""
        running = [each.id for each in self._named(cluster).values() if each.state == "running"]
        for first in range(0, len(running), BATCH):
            self._aws(cluster).call("ec2", "reboot_instances", InstanceIds=running[first : first + BATCH])

    def image(self, base: str, content: str) -> str:
        """The baked image of this content for the nodes of the template; empty without one."""
        return images.baked(self._here, self._base(base), content)

    def save_image(self, cluster: str, base: str, content: str) -> str:
        """Make an image of the cluster's only instance."""
        builder = self._named(cluster)[MASTER]
        return images.save(
            self._aws(cluster),
            builder.id,
            name=f"clusterctl-{cluster}-{content}",
            marks={
                **self._options.tags,
                tags.OWNER: self._owner,
                tags.IMAGE_BASE: self._base(base),
                tags.IMAGE_CONTENT: content,
            },
        )

    def images(self) -> list[Image]:
        """The baked images of the region, whoever of the account made them."""
        return images.all_baked(self._here)

    def remove_image(self, name: str) -> None:
        """Delete a baked image and its snapshots."""
        images.remove(self._here, name)

    def console(self, cluster: str, alias: str) -> str:
        """What a node has written to its console."""
        there = self._named(cluster)
        return listing.console(self._aws(cluster), there[alias].id) if alias in there else ""

    def allow(self, cluster: str) -> tuple[list[str], list[str]]:
        """Let who may reach SSH by the config now, such as this computer at its present address, and nobody else.

        Returns:
            The networks that may now, and those that might before.
        """
        aws = self._aws(cluster)
        networks = callers(self._options, find_subnets(aws, self._options))
        return networks, security_groups.replace_ssh(aws, cluster, networks)

    def audit(self, cluster: str) -> Audit:
        """How the cluster's instances, disks and security group are kept."""
        return audit.audit(self._aws(cluster), cluster)

    def left(self, cluster: str) -> list[str]:
        """What has the cluster's tag and has not ended, by its id."""
        return audit.left(self._aws(cluster), cluster)

    def _base(self, image: str) -> str:
        """What a baked image is made from, with the architecture: that of the types, where they have been looked at."""
        surveyed = (found.arch for found in self._surveys.values())
        return images.key(image, next(surveyed, self._options.arch))

    def _aws(self, cluster: str) -> Aws:
        """The account, in the region where the cluster is."""
        _, region = Ledger(self._journal(cluster)).identity()
        if region and region != self._here.region:
            self._here = self._here.elsewhere(region)
        return self._here

    def _zone(self, plan: Plan) -> tuple[str, Disk | None]:
        """The only zone that new nodes may be in (empty: any), and the volume that is a reason for it."""
        kept = data_volumes.look_up(self._aws(plan.cluster), plan.volumes)
        return self._options.zone or (kept[0].zone if kept else ""), kept[0] if kept else None

    def _survey(self, cluster: str, specs: Sequence[NodeSpec], zone: str) -> Survey:
        """What these nodes need; looked for once."""
        key = (tuple(specs), zone)
        if key not in self._surveys:
            ledger = Ledger(self._journal(cluster))
            known = ledger.images()
            found = surveys.survey(self._aws(cluster), self._options, specs, zone=zone, known_images=known)
            self._surveys[key] = found
        return self._surveys[key]

    def _named(self, cluster: str) -> dict[str, Instance]:
        return self._name(cluster, instances.find(self._aws(cluster), cluster))

    def _name(self, cluster: str, found: Sequence[Instance]) -> dict[str, Instance]:
        return instances.named(found, Ledger(self._journal(cluster)).names())

    def _nodes_of(self, cluster: str, there: dict[str, Instance]) -> list[Node]:
        keys = Ledger(self._journal(cluster)).host_keys()
        login = self._here.login
        return [each.node(alias, options=self._options, host_keys=keys, login=login) for alias, each in there.items()]
