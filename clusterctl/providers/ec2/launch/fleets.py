"""Launches of one transaction. Each is recorded before its request, and settled after the answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from clusterctl.clock import utc_now
from clusterctl.errors import ProviderError
from clusterctl.identity.keys import new_key_pair
from clusterctl.model import MASTER, Market
from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.aws import AwsError
from clusterctl.providers.ec2.launch import fleet_requests, security_groups, userdata
from clusterctl.providers.ec2.launch_journal import Launch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clusterctl.providers.ec2.launch.context import LaunchContext
    from clusterctl.providers.ec2.launch.discovery import LaunchInputs
    from clusterctl.providers.ec2.launch.fleet_requests import FleetError, LaunchGroup
    from clusterctl.providers.ec2.launch.subnets import Subnet

_TAGGED = 20
"""Most nodes of one launch whose aliases are written into tags: each tag takes a call."""
_THREADS = 8


@dataclass(frozen=True)
class LaunchNetwork:
    """The network of a launch."""

    subnets: tuple[Subnet, ...]
    groups: tuple[str, ...]
    """Ids of security groups."""
    placement_group: str
    """Name of a placement group; empty without one."""


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
        self._untagged: dict[str, str] = {}

    def finish_launch(self, launch: Launch) -> None:
        """Find out the result of a launch whose answer was never seen, by repeating the same request."""
        if fleet_requests.template_exists(self._context.aws, launch.template):
            self._request_and_settle(launch)
        else:
            # The template is made before the request and deleted after the answer, so no request was made.
            self._context.journal.record_result(launch, {})

    def launch_group(self, group: LaunchGroup, inputs: LaunchInputs, network: LaunchNetwork) -> LaunchNetwork:
        """Launch a group of nodes; on demand where spot instances are short, if the group allows that.

        Returns:
            The network for the next launches: the first instance decides on the zone of all.
        """
        if not group.types:
            group = replace(group, types=inputs.fitting_types[group.vcpus, group.memory_gb])
        market = Market.ON_DEMAND if group.market == Market.ON_DEMAND else Market.SPOT
        count, subnet = self._launch_in(group, market, inputs, network)
        network = _same_zone(network, subnet) if not self._context.options.any_zone else network
        missing = group.aliases[count:]
        if missing and group.market == Market.SPOT_WITH_FALLBACK:
            self._context.report.say(
                f"{count} of {len(group.aliases)} spot instances could be had, asking on demand for {len(missing)}:"
                f" {fleet_requests.summarize_errors(self.errors)}"
            )
            self.errors.clear()
            rest = replace(group, aliases=missing, market=Market.ON_DEMAND, bid=None)
            _, subnet = self._launch_in(rest, Market.ON_DEMAND, inputs, network)
            network = _same_zone(network, subnet) if not self._context.options.any_zone else network
        return network

    def _launch_in(
        self, group: LaunchGroup, market: Market, inputs: LaunchInputs, network: LaunchNetwork
    ) -> tuple[int, str]:
        """Make one request; return the number of new instances, and the subnet of the first."""
        token = self._context.journal.new_token(group.role, market)
        name = f"{security_groups.group_name(self._context.cluster)}-{token[:12]}"
        instance_tags = self._instance_tags(group, token)
        template_data = fleet_requests.build_template_data(
            self._context.options,
            inputs.amis[group.image],
            user_data=self._user_data(),
            groups=network.groups,
            resource_tags=instance_tags,
            placement_group=network.placement_group,
        )
        launch = Launch(
            token=token,
            role=group.role,
            market=market,
            aliases=group.aliases,
            template=name,
            request=fleet_requests.build_request(
                group,
                token=token,
                template=name,
                market=market,
                subnets=network.subnets,
                any_zone=self._context.options.any_zone,
                fleet_tags=instance_tags,
            ),
        )
        self._context.journal.record_launch(launch)
        self.open_launches.append(launch)
        fleet_requests.create_template(self._context.aws, name, template_data, token=token, resource_tags=instance_tags)
        return self._request_and_settle(launch)

    def _request_and_settle(self, launch: Launch) -> tuple[int, str]:
        if launch not in self.open_launches:
            self.open_launches.append(launch)
        answer = fleet_requests.request_fleet(self._context.aws, launch)
        nodes = dict(zip(launch.aliases, answer.instance_ids, strict=False))
        self.launched_ids += answer.instance_ids
        self.errors += answer.errors
        self._context.journal.record_result(launch, nodes, fleet=answer.fleet_id)
        self.open_launches.remove(launch)
        fleet_requests.delete_template(self._context.aws, launch.template)
        if len(nodes) <= _TAGGED:
            self._untagged |= {alias: id_ for alias, id_ in nodes.items() if alias != MASTER}
        return len(nodes), answer.subnet

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

    def _instance_tags(self, group: LaunchGroup, token: str) -> dict[str, str]:
        role = group.role
        instance_tags = {
            **self._tags,
            tags.ROLE: role,
            tags.ATTEMPT: token,
            tags.HOST_KEY: self._host_key_public.strip(),
            tags.USER: self._context.plan.user,
            tags.NAME: f"{self._context.cluster}-{role}",
        }
        if self._context.options.lifetime_h is not None:
            ends = datetime.fromtimestamp(self._ends_at() or 0, timezone.utc)
            instance_tags[tags.EXPIRES] = ends.strftime("%Y-%m-%dT%H:%M:%SZ")
        return instance_tags

    def _ends_at(self) -> int | None:
        hours = self._context.options.lifetime_h
        return None if hours is None else int(self._created_at.timestamp() + hours * 3600)

    def _user_data(self) -> str:
        user_data = userdata.UserData(
            host_key=self._host_key,
            host_key_public=self._host_key_public,
            login_key=self._context.public_key,
            metadata_closed=not self._context.options.metadata_for_user,
            ends_at=self._ends_at(),
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
    return (
        replace(network, subnets=tuple(candidate for candidate in network.subnets if candidate.zone == zone))
        if zone
        else network
    )
