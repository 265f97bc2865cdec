"""The launches of one attempt: each written down before it is asked for, and settled when it was answered."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from clusterctl.errors import ProviderError
from clusterctl.identity.keys import new_key_pair
from clusterctl.model import MASTER
from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.aws import AwsError
from clusterctl.providers.ec2.launch import fleet_requests, userdata
from clusterctl.providers.ec2.launch import security_groups as groups
from clusterctl.providers.ec2.launch_journal import Launch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from clusterctl.model import Plan
    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.launch.discovery import Survey
    from clusterctl.providers.ec2.launch.fleet_requests import Refusal, Wanted
    from clusterctl.providers.ec2.launch.subnets import Subnet
    from clusterctl.providers.ec2.launch_journal import Ledger
    from clusterctl.providers.ec2.options import Options

_TAGGED = 20
"""So many nodes of one launch, at most, each carry their alias as a tag: it takes a call for each of them."""
_THREADS = 8


@dataclass(frozen=True)
class Where:
    """The network that a launch goes into."""

    subnets: tuple[Subnet, ...]
    groups: tuple[str, ...]
    """Security groups."""
    placement: str
    """A placement group; empty without."""


class Fleets:
    """Launches instances of one cluster, and remembers which."""

    def __init__(
        self,
        aws: Aws,
        options: Options,
        plan: Plan,
        ledger: Ledger,
        *,
        marks: Mapping[str, str],
        public_key: str,
        note: Callable[[str], None],
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            aws: the account.
            options: of the template.
            plan: of the cluster.
            ledger: of the cluster.
            marks: tags of everything that is made for it.
            public_key: what each node lets in.
            note: told what the user should know.
        """
        self._aws = aws
        self._options = options
        self._plan = plan
        self._ledger = ledger
        self._marks = marks
        self._public_key = public_key
        self._note = note
        self._born = time.time()
        self._host_key, self._host_key_public = new_key_pair("")
        self.begun: list[str] = []
        """Ids of the instances that were launched."""
        self.open: list[Launch] = []
        """What was asked for, with no answer yet."""
        self.refusals: list[Refusal] = []
        self._nameless: dict[str, str] = {}

    def finish(self, opened: Launch) -> None:
        """Find out what came of a launch that nobody saw the end of, by asking for the same once more."""
        if fleet_requests.template_is_there(self._aws, opened.template):
            self._settle(opened)
        else:
            # It is made before the request, and goes after the answer: nothing was asked for.
            self._ledger.settle(opened, {})

    def have(self, wanted: Wanted, found: Survey, where: Where) -> Where:
        """Launch nodes that are alike; on demand where spot instances are short, if that is wanted.

        Returns:
            Where others may be launched: the first to be there decides on the zone for all.
        """
        if not wanted.types:
            wanted = replace(wanted, types=found.fitting[wanted.vcpus, wanted.memory_gb])
        first = "on-demand" if wanted.market == "on-demand" else "spot"
        got, subnet = self._launch(wanted, first, found, where)
        where = _same_zone(where, subnet) if not self._options.any_zone else where
        short = wanted.aliases[got:]
        if short and wanted.market == "spot-with-fallback":
            self._note(
                f"{got} of {len(wanted.aliases)} spot instances could be had, asking on demand for {len(short)}:"
                f" {fleet_requests.reasons(self.refusals)}"
            )
            self.refusals.clear()
            rest = replace(wanted, aliases=short, market="on-demand", bid="")
            _, subnet = self._launch(rest, "on-demand", found, where)
            where = _same_zone(where, subnet) if not self._options.any_zone else where
        return where

    def _launch(self, wanted: Wanted, market: str, found: Survey, where: Where) -> tuple[int, str]:
        """One request; how many came of it, and in which subnet the first is."""
        token = self._ledger.token(wanted.role, market)
        name = f"{groups.group_name(self._plan.cluster)}-{token[:12]}"
        marks = self._marks_of(wanted, token)
        data = fleet_requests.template_data(
            self._options,
            found.amis[wanted.image],
            user_data=self._user_data(),
            groups=where.groups,
            marks=marks,
            placement=where.placement,
        )
        opened = Launch(
            token=token,
            role=wanted.role,
            market=market,
            aliases=wanted.aliases,
            template=name,
            request=fleet_requests.request(
                wanted,
                token=token,
                template=name,
                market=market,
                subnets=where.subnets,
                any_zone=self._options.any_zone,
                marks=marks,
            ),
        )
        self._ledger.open(opened)
        self.open.append(opened)
        fleet_requests.make_template(self._aws, name, data, token=token, marks=marks)
        return self._settle(opened)

    def _settle(self, opened: Launch) -> tuple[int, str]:
        if opened not in self.open:
            self.open.append(opened)
        answer = fleet_requests.ask(self._aws, opened)
        nodes = dict(zip(opened.aliases, answer.instances, strict=False))
        self.begun += answer.instances
        self.refusals += answer.refusals
        self._ledger.settle(opened, nodes, fleet=answer.fleet)
        self.open.remove(opened)
        fleet_requests.drop_template(self._aws, opened.template)
        if len(nodes) <= _TAGGED:
            self._nameless |= {alias: id_ for alias, id_ in nodes.items() if alias != MASTER}
        return len(nodes), answer.subnet

    def show_names(self) -> None:
        """Show in AWS's console what each node is called. The journal has it too, so a refusal does no harm.

        To be called once the instances are visible: before that EC2 may not know them by their ids.
        """

        def tag(alias: str) -> None:
            own = {tags.ALIAS: alias, tags.NAME: f"{self._plan.cluster}-{alias}"}
            with suppress(AwsError):
                self._aws.call("ec2", "create_tags", Resources=[self._nameless[alias]], Tags=tags.tag_list(own))

        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(tag, self._nameless))
        self._nameless.clear()

    def _marks_of(self, wanted: Wanted, token: str) -> dict[str, str]:
        role = wanted.role
        found = {
            **self._marks,
            tags.ROLE: role,
            tags.ATTEMPT: token,
            tags.HOST_KEY: self._host_key_public.strip(),
            tags.USER: self._plan.user,
            tags.NAME: f"{self._plan.cluster}-{role}",
        }
        if self._options.lifetime_h is not None:
            ends = datetime.fromtimestamp(self._ends_at() or 0, timezone.utc)
            found[tags.EXPIRES] = ends.strftime("%Y-%m-%dT%H:%M:%SZ")
        return found

    def _ends_at(self) -> int | None:
        hours = self._options.lifetime_h
        return None if hours is None else int(self._born + hours * 3600)

    def _user_data(self) -> str:
        birth = userdata.Birth(
            host_key=self._host_key,
            host_key_public=self._host_key_public,
            login_key=self._public_key,
            metadata_closed=not self._options.metadata_for_user,
            ends_at=self._ends_at(),
            scripts=self._options.scripts,
        )
        try:
            return userdata.encode(birth)
        except (ValueError, OSError) as exc:
            raise ProviderError(
                f"USERDATA_SCRIPTS cannot be given to the nodes: {exc}",
                remedy="make them shorter, or let them fetch what is long",
            ) from exc


def _same_zone(where: Where, subnet: str) -> Where:
    zone = next((each.zone for each in where.subnets if each.id == subnet), "")
    return replace(where, subnets=tuple(each for each in where.subnets if each.zone == zone)) if zone else where
