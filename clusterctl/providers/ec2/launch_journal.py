"""The EC2 provider's entries in a cluster's journal: the cluster's identity, its launches and their results.

A launch is recorded before it is requested, with all that is needed to repeat it. A repeated request with the same
token launches nothing twice (https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clusterctl.journal import read_machine_keys
from clusterctl.model import Market

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clusterctl.providers.base import Journal

ATTEMPT_LENGTH = 12
"""Characters of a token that end the name of its launch template."""
_IDENTITY, _LAUNCH, _LAUNCHED, _IMAGE, _NAMED = "ec2", "launch", "launched", "image", "named"


@dataclass(frozen=True)
class Launch:
    """A request for instances, with all that is needed to repeat it."""

    token: str
    """The client token, and the value of the tag `clusterctl:attempt` on the instances."""
    role: str
    """``master`` or ``worker``."""
    market: Market
    """`SPOT` or `ON_DEMAND`."""
    aliases: tuple[str, ...]
    template: str
    """The name of the launch template, which exists until the launch is settled."""
    request: Mapping[str, Any]
    """The parameters of CreateFleet."""

    def made(self, attempt: str) -> bool:
        """Return whether this launch made what has this value of the tag `clusterctl:attempt`.

        The tag is the token of the launch that made the template, and later launches may use the same one.
        """
        first = self.template.rpartition("-")[2]
        return attempt == self.token or (len(first) == ATTEMPT_LENGTH and attempt.startswith(first))


class LaunchJournal:
    """A cluster's journal, as this provider reads and writes it."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def read_identity(self) -> tuple[str, str]:
        """Return the cluster's id and region; empty before the cluster was made."""
        regions = [str(event["region"]) for event in self._journal.events() if event["event"] == _IDENTITY]
        return self._journal.cluster_id, regions[-1] if regions else ""

    def ensure_identity(self, region: str) -> str:
        """Return the cluster's id: that of the journal, else a new one. Record the region with it."""
        own_uuid, own_region = self._journal.ensure_id(), self.read_identity()[1]
        if region != own_region:
            self._journal.record(_IDENTITY, uuid=own_uuid, region=region)
        return own_uuid

    def new_token(self, role: str, market: Market) -> str:
        """Return a new client token, made of the cluster, the number of the launch, the role and the market."""
        attempt = sum(event["event"] == _LAUNCH for event in self._journal.events()) + 1
        facts = f"{self.read_identity()[0]} {attempt} {role} {market}"
        return hashlib.sha256(facts.encode()).hexdigest()[:40]

    def record_launch(self, launch: Launch) -> None:
        """Record a launch before it is requested."""
        self._journal.record(
            _LAUNCH,
            token=launch.token,
            role=launch.role,
            market=launch.market.value,
            aliases=list(launch.aliases),
            template=launch.template,
            request=launch.request,
        )

    def record_result(self, launch: Launch, nodes: Mapping[str, str], *, fleet: str = "") -> None:
        """Record the result of a launch: instance ids by alias. The launch is not repeated after that."""
        self._journal.record(_LAUNCHED, token=launch.token, nodes=dict(nodes), fleet=fleet)

    def open_launches(self) -> list[Launch]:
        """Return the launches without a recorded result: they may or may not have been requested."""
        events = self._journal.events()
        settled = {event["token"] for event in events if event["event"] == _LAUNCHED}
        return [
            Launch(
                token=event["token"],
                role=event["role"],
                market=Market(event["market"]),
                aliases=tuple(event["aliases"]),
                template=event["template"],
                request=event["request"],
            )
            for event in events
            if event["event"] == _LAUNCH and event["token"] not in settled
        ]

    def aliases_by_id(self) -> dict[str, str]:
        """Return aliases by instance id."""
        aliases: dict[str, str] = {}
        for event in self._journal.events():
            if event["event"] in {_LAUNCHED, _NAMED}:
                aliases |= {instance: alias for alias, instance in event["nodes"].items()}
        return aliases

    def record_aliases(self, nodes: Mapping[str, str]) -> None:
        """Record the aliases of instances: ids by alias."""
        if nodes:
            self._journal.record(_NAMED, nodes=dict(nodes))

    def fleet_ids(self) -> list[str]:
        """Return the ids of the fleets of all launches."""
        return [event["fleet"] for event in self._journal.events() if event["event"] == _LAUNCHED and event["fleet"]]

    def image_ids(self) -> dict[str, str]:
        """Return image ids by the names they were asked for with. Later nodes get the same image as the first ones."""
        return {event["name"]: event["id"] for event in self._journal.events() if event["event"] == _IMAGE}

    def record_image(self, name: str, image: str) -> None:
        """Record the image that a name stands for in this cluster."""
        self._journal.record(_IMAGE, name=name, id=image)

    def host_keys(self) -> dict[str, str]:
        """Return the host keys that nodes generated themselves, by instance id."""
        return read_machine_keys(self._journal.events())
