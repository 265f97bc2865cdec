"""One attempt to have the nodes of a plan: what an earlier one left is finished first, and a failure is undone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.errors import ProviderError
from clusterctl.events import Event, EventKind
from clusterctl.model import MASTER
from clusterctl.providers.ec2 import images, tags
from clusterctl.providers.ec2 import instances as records
from clusterctl.providers.ec2.aws import remedy_for
from clusterctl.providers.ec2.launch import data_volumes, fleet_requests, security_groups, teardown, waiters
from clusterctl.providers.ec2.launch.caller_address import callers
from clusterctl.providers.ec2.launch.fleets import Fleets, Where
from clusterctl.providers.ec2.launch.subnets import find_subnets
from clusterctl.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from clusterctl.model import NodeSpec, Plan
    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.instances import Instance
    from clusterctl.providers.ec2.launch.discovery import Survey
    from clusterctl.providers.ec2.launch.subnets import Subnet
    from clusterctl.providers.ec2.launch_journal import Ledger
    from clusterctl.providers.ec2.options import Options

    Look = Callable[[Sequence[NodeSpec], str], Survey]
    """Finds out what these nodes need, in this zone (empty: in any)."""


_ROUNDS = 2
"""What has ended right after its launch is asked for once more."""


class Attempt:
    """What is to be, and what was begun."""

    def __init__(
        self,
        aws: Aws,
        options: Options,
        plan: Plan,
        ledger: Ledger,
        *,
        owner: str,
        report: Callable[[Event], None],
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            aws: the account.
            options: of the template.
            plan: whose nodes there shall be.
            ledger: of the cluster.
            owner: who makes it, for the tags.
            report: told of what goes on.
        """
        self._aws = aws
        self._options = options
        self._plan = plan
        self._ledger = ledger
        self._owner = owner
        self._report = report
        self._marks: Mapping[str, str] = {}
        self._started: list[str] = []

    def run(self, look: Look, *, public_key: str) -> dict[str, Instance]:
        """Have the nodes of the plan: started, launched, or as many of them as can be had.

        Args:
            look: see `Look`.
            public_key: what each node lets in.

        Returns:
            All instances of the cluster by alias.

        Raises:
            ProviderError: too few can be had for a new cluster, or something is wrong; what was begun is undone.
        """
        there = records.find(self._aws, self._plan.cluster)
        self._marks = self._identify(there)
        fleets = Fleets(
            self._aws,
            self._options,
            self._plan,
            self._ledger,
            marks=self._marks,
            public_key=public_key,
            note=self._say,
        )
        try:
            return self._run(there, fleets, look)
        except BaseException as cause:
            self._undo(fleets, cause, new=not there)
            raise

    def _identify(self, there: Sequence[Instance]) -> dict[str, str]:
        """The tags of all that is made. Another's cluster of the same name is refused."""
        own, _ = self._ledger.identity()
        for instance in there:
            theirs, by = instance.tags.get(tags.UUID, ""), instance.tags.get(tags.OWNER, "")
            if theirs != own and (own or by != self._owner):
                raise ProviderError(
                    f"{self._plan.cluster} is there in {self._aws.region} already, started by {by or 'somebody else'}",
                    remedy="choose another name",
                )
        known = there[0].tags.get(tags.UUID, "") if there else ""
        return {
            **self._options.tags,
            tags.CLUSTER: self._plan.cluster,
            tags.UUID: self._ledger.ensure_identity(self._aws.region, known),
            tags.OWNER: self._owner,
        }

    def _run(self, there: Sequence[Instance], fleets: Fleets, look: Look) -> dict[str, Instance]:
        opened = self._ledger.open_launches()
        for each in opened:
            self._say(f"Finishing an earlier request for {plural(len(each.aliases), 'instance')}")
            fleets.finish(each)
        if opened:
            there = self._wait(fleets.begun)
            fleets.show_names()
        nodes = self._named(there)
        wanted = {spec.alias for spec in self._plan.nodes}
        self._start([instance for alias, instance in nodes.items() if alias in wanted])
        pending = [*self._started]
        for _ in range(_ROUNDS):
            missing = [spec for spec in self._plan.nodes if spec.alias not in nodes]
            before = len(fleets.begun)
            if missing:
                self._launch(missing, nodes, fleets, look)
            pending += fleets.begun[before:]
            if not pending:
                break
            living = self._wait(pending)
            nodes = self._named(living)
            fleets.show_names()
            if {*pending} <= {instance.id for instance in living}:
                break
            pending.clear()
        self._refuse_too_few(nodes, fleets, new=not there)
        self._attach(nodes)
        return nodes

    def _wait(self, ids: Sequence[str]) -> list[Instance]:
        return waiters.until_reachable(self._aws, self._plan.cluster, ids, options=self._options, report=self._report)

    def _named(self, instances: Sequence[Instance]) -> dict[str, Instance]:
        """By alias; whoever had none is written down with the one that it gets."""
        names = self._ledger.names()
        found = records.named(instances, names)
        new = {
            alias: instance.id
            for alias, instance in found.items()
            if alias not in {MASTER, names.get(instance.id), instance.tags.get(tags.ALIAS)}
        }
        self._ledger.name(new)
        return found

    def _start(self, instances: Sequence[Instance]) -> None:
        stopped = [instance.id for instance in instances if instance.state in {"stopping", "stopped"}]
        if not stopped:
            return
        waiters.until_stopped(self._aws, self._plan.cluster)
        self._say(f"Starting {plural(len(stopped), 'stopped instance')}")
        self._started = stopped
        self._let_in_whoever_calls()
        for first in range(0, len(stopped), fleet_requests.BATCH):
            self._aws.call("ec2", "start_instances", InstanceIds=stopped[first : first + fleet_requests.BATCH])

    def _launch(self, missing: Sequence[NodeSpec], nodes: Mapping[str, Instance], fleets: Fleets, look: Look) -> None:
        kept = data_volumes.look_up(self._aws, self._plan.volumes)
        zone = self._options.zone or (kept[0].zone if kept else "")
        if nodes and not zone and not self._options.any_zone:
            zone = (nodes.get(MASTER) or next(iter(nodes.values()))).zone
        fleets.refusals.clear()
        found = look(missing, zone)
        known = self._ledger.images()
        for spec in missing:
            name = images.key(spec.image, found.arch)
            if name not in known and not spec.image.startswith("ami-"):
                known[name] = found.amis[spec.image].id
                self._ledger.resolved(name, known[name])
        where = self._where(found)
        for wanted in fleet_requests.alike(missing):
            kinds = ", ".join(wanted.types) or "any type that fits"
            self._say(f"Asking for {plural(len(wanted.aliases), 'instance')} ({wanted.market}): {kinds}")
            where = fleets.have(wanted, found, where)

    def _where(self, found: Survey) -> Where:
        group = self._group(found.subnets)
        placement = ""
        if self._options.placement_group:
            placement = security_groups.ensure_placement(self._aws, self._plan.cluster, marks=self._marks)
        return Where(found.subnets, (group, *self._options.security_groups), placement)

    def _group(self, subnets: Sequence[Subnet]) -> str:
        rules = security_groups.ssh_rules(callers(self._options, subnets))
        rules += [
            security_groups.Rule(each.protocol, each.first, each.last, each.cidr, f"clusterctl: {each.name}")
            for each in self._options.permissions
        ]
        world = [("0.0.0.0/0", port) for port in self._plan.request.ports]
        rules += [
            security_groups.Rule("tcp", port, port, where, "clusterctl: asked for by a plugin") for where, port in world
        ]
        return security_groups.ensure_group(
            self._aws, self._plan.cluster, subnets[0].vpc, rules=rules, marks=self._marks
        )

    def _let_in_whoever_calls(self) -> None:
        """Who starts a cluster again may come from another address than who made it."""
        self._group(find_subnets(self._aws, self._options))

    def _refuse_too_few(self, nodes: Mapping[str, Instance], fleets: Fleets, *, new: bool) -> None:
        """A new cluster is had as asked for, or not at all; one that exists goes on with what there is."""
        missing = [spec.alias for spec in self._plan.nodes if spec.alias not in nodes]
        if not missing:
            return
        have = len(self._plan.nodes) - len(missing)
        why = fleet_requests.reasons(fleets.refusals)
        text = f"{len(missing)} of {plural(len(self._plan.nodes), 'node')} could not be had: {why}"
        if MASTER in missing or (new and have < self._plan.min_size):
            reached = next((each.code for each in fleets.refusals if each.code in fleet_requests.QUOTA), "")
            raise ProviderError(
                text,
                remedy=remedy_for(reached)
                if reached
                else "name more types in NODE_INSTANCE_TYPE, set ZONES = any, MARKET or another region,"
                " or be content with fewer: --min-size",
            )
        self._report(Event(EventKind.WARNING, text))

    def _attach(self, nodes: Mapping[str, Instance]) -> None:
        if MASTER not in {spec.alias for spec in self._plan.nodes}:
            return
        kept = data_volumes.look_up(self._aws, self._plan.volumes)
        master = nodes[MASTER].id
        if any(master not in disk.holders for disk in kept):
            waiters.until_running(self._aws, self._plan.cluster, master)
            data_volumes.attach(self._aws, kept, master)

    def _undo(self, fleets: Fleets, cause: BaseException, *, new: bool) -> None:
        """Make it as it was; what cannot be undone is noted on the error."""
        if fleets.begun or fleets.open or self._started:
            self._say("Undoing what was begun")
        try:
            left = teardown.undo(
                self._aws, self._plan.cluster, begun=fleets.begun, opened=fleets.open, started=self._started
            )
            for opened in fleets.open:
                self._ledger.settle(opened, {})
            if new and not left:
                own, _ = self._ledger.identity()
                left = teardown.everything(self._aws, self._plan.cluster, fleets=self._ledger.fleets(), uuid=own)
        except BaseException as exc:  # noqa: BLE001  # a second Ctrl-C included: the first cause is the one to tell
            left = [str(exc) or type(exc).__name__]
        if left:
            ends = f"`clusterctl terminate {self._plan.cluster}` ends the rest"
            text = f"not all could be undone ({', '.join(left)}): {ends}"
            self._report(Event(EventKind.WARNING, text))
            if hasattr(cause, "add_note"):  # Python 3.11
                cause.add_note(text)

    def _say(self, text: str) -> None:
        self._report(Event(EventKind.STEP, text))
