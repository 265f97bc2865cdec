"""Launches of one transaction. Each is recorded before its request, and settled after the answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from clusterctl.clock import Deadline, utc_now
from clusterctl.errors import ProviderError
from clusterctl.identity.keys import new_key_pair
from clusterctl.model import MASTER, Market
from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.answers.rows import Road
from clusterctl.providers.ec2.aws import AwsError
from clusterctl.providers.ec2.launch import fallback, fleet_requests, security_groups, userdata
from clusterctl.providers.ec2.launch.endings import delete_template, end_instances, refuse_left
from clusterctl.providers.ec2.launch.fleet_errors import choose_road, may_pass, stop_error
from clusterctl.providers.ec2.launch.subnets import subnets_for
from clusterctl.providers.ec2.launch_journal import ATTEMPT_LENGTH, Launch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clusterctl.providers.ec2.launch.context import LaunchContext
    from clusterctl.providers.ec2.launch.discovery import LaunchInputs
    from clusterctl.providers.ec2.launch.fleet_errors import FleetError
    from clusterctl.providers.ec2.launch.fleet_requests import FleetResult, LaunchGroup
    from clusterctl.providers.ec2.launch.subnets import Subnet

_TAGGED = 20
"""Most nodes of one launch whose aliases are written into tags: each tag takes a call."""
_THREADS = 8
_PASSING_S = 30.0
"""How long a request is made again that was answered with errors which pass."""
_FIRST_S, _LONGEST_S = 1.0, 8.0
"""Pauses between two such requests; they grow from the first to the longest."""


@dataclass(frozen=True)
class LaunchNetwork:
    """The network of a launch."""

    subnets: tuple[Subnet, ...]
    groups: tuple[str, ...]
    """Ids of security groups."""
    placement_group: str
    """Name of a placement group; empty without one."""

    @property
    def zones(self) -> frozenset[str]:
        """The zones of the subnets."""
        return frozenset(subnet.zone for subnet in self.subnets)

    def limited_to(self, *zones: str) -> LaunchNetwork:
        """Return the network with the subnets of these zones only."""
        return replace(self, subnets=tuple(subnet for subnet in self.subnets if subnet.zone in zones))


class Fleets:
    """Launch instances of one cluster, and keep their ids."""

    def __init__(self, context: LaunchContext, resource_tags: Mapping[str, str]) -> None:
        """Prepare; no call is made yet.

        Args:
            context: the context of the launch.
            resource_tags: tags of all new resources.
        """
        self._context = context
        self._tags = resource_tags
        self._created_at = utc_now()
        self._host_key, self._host_key_public = new_key_pair("")
        self.launched_ids: list[str] = []
        """Ids of the new instances."""
        self.open_launches: list[Launch] = []
        """Launches without an answer yet."""
        self.errors: list[FleetError] = []
        self.launched_aliases: dict[str, str] = {}
        """The new instances by their aliases."""
        self.lacks_in_zone = False
        """Some were not had that were asked for in one zone alone."""
        self._untagged: dict[str, str] = {}

    def finish_launch(self, launch: Launch) -> None:
        """Find out the result of a launch whose answer was never seen, by repeating the same request."""
        if fleet_requests.template_exists(self._context.aws, launch.template):
            self.errors += self._request_and_settle(launch).errors
            delete_template(self._context.aws, launch.template)
        else:
            # The template is made before the request and deleted after the answer, so no request was made.
            self._context.journal.record_result(launch, {})

    def launch_group(self, group: LaunchGroup, inputs: LaunchInputs, network: LaunchNetwork) -> LaunchNetwork:
        """Launch a group of nodes; on demand where the market for spot instances is short, if the group allows that.

        Returns:
            The network for the next launches: the first instance decides on the zone of all.

        Raises:
            ProviderError: AWS refused some of the nodes for another reason than a shortage.
        """
        if not group.types:
            group = replace(group, types=inputs.fitting_types[group.vcpus, group.memory_gb])
        market = Market.ON_DEMAND if group.market == Market.ON_DEMAND else Market.SPOT
        missing, errors, network = self._launch_in(group, market, inputs, network)
        if missing and group.market == Market.SPOT_WITH_FALLBACK and choose_road(errors) == Road.ON_DEMAND:
            types = fallback.choose_types(self._context, group, missing, errors)
            if types:
                rest = replace(group, aliases=missing, types=types, market=Market.ON_DEMAND, bid=None)
                missing, errors, network = self._launch_in(rest, Market.ON_DEMAND, inputs, network)
        self.errors += errors if missing else ()
        return network

    def _launch_in(
        self, group: LaunchGroup, market: Market, inputs: LaunchInputs, network: LaunchNetwork
    ) -> tuple[tuple[str, ...], tuple[FleetError, ...], LaunchNetwork]:
        """Launch on one market; return the aliases that were not had, why, and the network for the next launches.

        What the request names may be too new to be known where it arrives. Then it is made again, as a launch of its
        own: EC2 would answer a token that it knows with the same errors.
        """
        launch = self._plan_launch(group, market, network)
        self._open(launch)
        fleet_requests.create_template(
            self._context.aws,
            launch.template,
            self._template_data(group, inputs, network, launch),
            token=launch.token,
            resource_tags=self._instance_tags(group, launch.token, launch.market),
        )
        missing, in_one_zone = group.aliases, len(network.zones) == 1
        for _ in Deadline.after(_PASSING_S).polls(_FIRST_S, longest_s=_LONGEST_S):
            if launch not in self.open_launches:
                launch = self._plan_launch(replace(group, aliases=missing), market, network, template=launch.template)
                self._open(launch)
            result = self._request_and_settle(launch)
            missing = missing[len(result.instance_ids) :]
            if not self._context.options.any_zone:
                network = _same_zone(network, result.subnet)
            if not missing or not may_pass(self._context.aws, result.errors):
                break
        delete_template(self._context.aws, launch.template)
        self.lacks_in_zone |= in_one_zone and bool(missing)
        if missing and (error := stop_error(self._context.aws, result.errors, len(missing))):
            raise error
        return missing, result.errors, network

    def _plan_launch(self, group: LaunchGroup, market: Market, network: LaunchNetwork, *, template: str = "") -> Launch:
        token = self._context.journal.new_token(group.role, market)
        name = template or f"{security_groups.group_name(self._context.cluster)}-{token[:ATTEMPT_LENGTH]}"
        request = fleet_requests.build_request(
            group,
            token=token,
            template=name,
            market=market,
            subnets=subnets_for(network.subnets, group.role),
            any_zone=self._context.options.any_zone,
            fleet_tags=self._instance_tags(group, token, market),
        )
        return Launch(token, group.role, market, group.aliases, name, request)

    def _open(self, launch: Launch) -> None:
        self._context.journal.record_launch(launch)
        self.open_launches.append(launch)

    def _template_data(
        self, group: LaunchGroup, inputs: LaunchInputs, network: LaunchNetwork, launch: Launch
    ) -> dict[str, Any]:
        return fleet_requests.build_template_data(
            self._context.options,
            inputs.amis[group.image],
            user_data=self._user_data(ends_at_boot=not self._keeps_disk(group, launch.market)),
            groups=network.groups,
            resource_tags=self._instance_tags(group, launch.token, launch.market),
            placement_group=network.placement_group,
            when_off="stop" if self._keeps_disk(group, launch.market) else "terminate",
            role=group.role,
            market=launch.market,
        )

    def _keeps_disk(self, group: LaunchGroup, market: Market) -> bool:
        """Return whether nodes keep their disks when they are switched off from inside. Spot instances cannot."""
        return self._context.options.master_stops and group.role == MASTER and market == Market.ON_DEMAND

    def _request_and_settle(self, launch: Launch) -> FleetResult:
        if launch not in self.open_launches:
            self.open_launches.append(launch)
        answer = fleet_requests.request_fleet(self._context.aws, launch)
        nodes = dict(zip(launch.aliases, answer.instance_ids, strict=False))
        self.launched_ids += answer.instance_ids
        self.launched_aliases |= nodes
        self._context.journal.record_result(launch, nodes, fleet=answer.fleet_id)
        self.open_launches.remove(launch)
        if len(nodes) <= _TAGGED:
            self._untagged |= {alias: id_ for alias, id_ in nodes.items() if alias != MASTER}
        return answer

    def give_back(self, ids: Sequence[str]) -> None:
        """End instances that are of no use without others, which could not be had beside them.

        Raises:
            ProviderError: they cannot be ended.
        """
        left = end_instances(self._context.aws, self._context.key, ids, wait=False)
        refuse_left("instances of a zone that has not enough", left)
        self.launched_ids = [id_ for id_ in self.launched_ids if id_ not in ids]
        self.launched_aliases = {alias: id_ for alias, id_ in self.launched_aliases.items() if id_ not in ids}
        self._untagged = {alias: id_ for alias, id_ in self._untagged.items() if id_ not in ids}

    def tag_names(self) -> None:
        """Tag the nodes with their names, for AWS's console. The journal has the names too, so an error does no harm.

        Call this once the instances are visible: before that EC2 may not know their ids.
        """

        def tag_node(alias: str) -> None:
            own = {tags.ALIAS: alias, tags.NAME: f"{self._context.cluster}-{alias}"}
            with suppress(AwsError):
                self._context.aws.call("ec2", "create_tags", Resources=[self._untagged[alias]], Tags=tags.tag_list(own))

        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(tag_node, self._untagged))
        self._untagged.clear()

    def _instance_tags(self, group: LaunchGroup, token: str, market: Market) -> dict[str, str]:
        role = group.role
        instance_tags = {
            **self._tags,
            tags.ROLE: role,
            tags.ATTEMPT: token,
            tags.HOST_KEY: self._host_key_public.strip(),
            tags.USER: self._context.plan.user,
            tags.NAME: f"{self._context.cluster}-{role}",
        }
        if self._keeps_disk(group, market):
            instance_tags[tags.WHEN_OFF] = "stop"
        elif self._context.options.lifetime_h is not None:  # what has its time over is swept: a disk is kept
            ends = datetime.fromtimestamp(self._ends_at() or 0, timezone.utc)
            instance_tags[tags.EXPIRES] = ends.strftime("%Y-%m-%dT%H:%M:%SZ")
        return instance_tags

    def _ends_at(self) -> int | None:
        hours = self._context.options.lifetime_h
        return None if hours is None else int(self._created_at.timestamp() + hours * 3600)

    def _user_data(self, *, ends_at_boot: bool) -> str:
        user_data = userdata.UserData(
            host_key=self._host_key,
            host_key_public=self._host_key_public,
            login_key=self._context.public_key,
            metadata_closed=not self._context.options.metadata_for_user,
            ends_at=self._ends_at(),
            ends_at_boot=ends_at_boot,
            scripts=self._context.options.scripts,
        )
        try:
            return userdata.encode_user_data(user_data)
        except (ValueError, OSError) as exc:
            raise ProviderError(
                f"USERDATA_SCRIPTS cannot be given to the nodes: {exc}",
                remedy="make them shorter, or let them fetch what is long",
            ) from exc


def _same_zone(network: LaunchNetwork, subnet: str) -> LaunchNetwork:
    zone = next((candidate.zone for candidate in network.subnets if candidate.id == subnet), "")
    return network.limited_to(zone) if zone else network
