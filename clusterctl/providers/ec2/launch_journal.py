"""What a cluster's journal says of instances: who it is, what was asked for, and what came of it.

A launch is written before it is asked for, with all that asking again takes: the same request with the same token
launches nothing twice (https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html).
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clusterctl.providers.base import Journal

_IDENTITY, _LAUNCH, _LAUNCHED, _IMAGE, _NAMED = "ec2", "launch", "launched", "image", "named"


@dataclass(frozen=True)
class Launch:
    """A request for instances, with all that it takes to ask again."""

    token: str
    """The client token, and the tag `clusterctl:attempt` of what comes of it."""
    role: str
    """``master`` or ``worker``."""
    market: str
    """``spot`` or ``on-demand``."""
    aliases: tuple[str, ...]
    template: str
    """The id of the launch template, which lives as long as the launch is open."""
    request: Mapping[str, Any]
    """The parameters of CreateFleet."""


class Ledger:
    """A cluster's journal, as this provider reads and writes it."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def identity(self) -> tuple[str, str]:
        """The cluster's uuid and its region; empty before it was made."""
        found = [event for event in self._journal.events() if event["event"] == _IDENTITY]
        return (str(found[-1]["uuid"]), str(found[-1]["region"])) if found else ("", "")

    def ensure_identity(self, region: str, known: str = "") -> str:
        """The cluster's uuid: that of the journal, else the `known` one that its instances have, else a new one."""
        own, where = self.identity()
        chosen = own or known or uuid.uuid4().hex
        if (chosen, region) != (own, where):
            self._journal.record(_IDENTITY, uuid=chosen, region=region)
        return chosen

    def token(self, role: str, market: str) -> str:
        """A client token that was never used: of the cluster, the number of the attempt, the role and the market."""
        attempt = sum(event["event"] == _LAUNCH for event in self._journal.events()) + 1
        facts = f"{self.identity()[0]} {attempt} {role} {market}"
        return hashlib.sha256(facts.encode()).hexdigest()[:40]

    def open(self, launch: Launch) -> None:
        """Write down what is about to be asked for."""
        self._journal.record(
            _LAUNCH,
            token=launch.token,
            role=launch.role,
            market=launch.market,
            aliases=list(launch.aliases),
            template=launch.template,
            request=launch.request,
        )

    def settle(self, launch: Launch, nodes: Mapping[str, str], *, fleet: str = "") -> None:
        """Write down what came of it: instance ids by alias. It is not asked for again."""
        self._journal.record(_LAUNCHED, token=launch.token, nodes=dict(nodes), fleet=fleet)

    def open_launches(self) -> list[Launch]:
        """What was asked for, or was about to be, with nobody knowing what came of it."""
        events = self._journal.events()
        settled = {event["token"] for event in events if event["event"] == _LAUNCHED}
        return [
            Launch(
                token=event["token"],
                role=event["role"],
                market=event["market"],
                aliases=tuple(event["aliases"]),
                template=event["template"],
                request=event["request"],
            )
            for event in events
            if event["event"] == _LAUNCH and event["token"] not in settled
        ]

    def names(self) -> dict[str, str]:
        """Aliases by instance id."""
        found: dict[str, str] = {}
        for event in self._journal.events():
            if event["event"] in {_LAUNCHED, _NAMED}:
                found |= {instance: alias for alias, instance in event["nodes"].items()}
        return found

    def name(self, nodes: Mapping[str, str]) -> None:
        """Write down what instances are called: ids by alias."""
        if nodes:
            self._journal.record(_NAMED, nodes=dict(nodes))

    def fleets(self) -> list[str]:
        """The ids of the fleets that launches made."""
        return [event["fleet"] for event in self._journal.events() if event["event"] == _LAUNCHED and event["fleet"]]

    def images(self) -> dict[str, str]:
        """Image ids by what they were asked for as: later nodes get the same as the first ones."""
        return {event["name"]: event["id"] for event in self._journal.events() if event["event"] == _IMAGE}

    def resolved(self, name: str, image: str) -> None:
        """Write down which image a name stands for in this cluster."""
        self._journal.record(_IMAGE, name=name, id=image)

    def host_keys(self) -> dict[str, str]:
        """By instance id, the host keys that nodes have made themselves."""
        found = [event for event in self._journal.events() if event["event"] == "host_key"]
        return {str(event["id"]).partition("@")[0]: str(event["key"]) for event in found}
