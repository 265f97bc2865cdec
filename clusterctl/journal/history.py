"""What a journal says: the nodes that a cluster should have, who joined, and what its last start was told."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from clusterctl.journal.events import parse_overrides, read_machine_keys

if TYPE_CHECKING:
    from clusterctl.model import NodeOverrides


class History:
    """The answers that follow from the events of a journal."""

    def events(self) -> list[dict[str, Any]]:
        """Return the events, oldest first."""
        raise NotImplementedError

    def plugin_notes(self) -> dict[str, object]:
        """Return the values that plugins stored: the last value of each key."""
        return {str(e["key"]): e.get("value") for e in self.events() if e["event"] == "note"}

    def joined_members(self) -> dict[str, tuple[str, str]]:
        """Return the nodes that have joined: alias to (the machine's id, the plan's digest)."""
        members: dict[str, tuple[str, str]] = {}
        for event in self.events():
            if event["event"] == "joined":
                members[str(event["node"])] = (str(event["id"]), str(event["digest"]))
            elif event["event"] == "left":
                members.pop(str(event["node"]), None)
        return members

    def wanted_nodes(self) -> tuple[str, ...]:
        """Return the aliases that the cluster should have: requested and not removed since, the master first."""
        wanted: dict[str, None] = {}
        for event in self.events():
            aliases = [str(alias) for alias in event.get("nodes", [])] if event["event"] in {"create", "remove"} else []
            if event["event"] == "create":
                wanted |= dict.fromkeys(aliases)
            else:
                wanted = {alias: None for alias in wanted if alias not in aliases}
        return tuple(wanted)

    def created_at(self) -> datetime | None:
        """Return when the cluster was first asked for; None if the journal does not say."""
        texts = [event.get("time") for event in self.events() if event["event"] == "create"]
        try:
            return _parse_time(texts[0]) if texts else None
        except ValueError:  # an editor was there
            return None

    def left_at(self) -> dict[str, datetime]:
        """Return when nodes left that have not joined again since, by alias."""
        left: dict[str, datetime] = {}
        for event in self.events():
            if event["event"] == "left":
                with suppress(ValueError):  # an editor was there
                    left[str(event["node"])] = _parse_time(event.get("time"))
            elif event["event"] == "joined":
                left.pop(str(event["node"]), None)
        return left

    def started_nodes(self) -> set[str]:
        """Return the aliases that a start of this laptop asked for. One that took the cluster over knows no joins."""
        asked = [event for event in self.events() if event["event"] == "create" and "adding" in event]
        return {str(alias) for event in asked for alias in event["nodes"]}

    def is_unfinished(self) -> bool:
        """Return whether nodes were asked for, and whoever asked has not come to an end yet."""
        last = [event["event"] for event in self.events() if event["event"] in {"create", "completed"}]
        return bool(last) and last[-1] == "create"

    def unfinished_additions(self) -> tuple[str, ...]:
        """Return the aliases of nodes that an `addnode` began to add, and that neither it nor a `start` completed."""
        begun: dict[str, None] = {}
        for event in self.events():
            if event["event"] == "create":
                begun |= dict.fromkeys(str(alias) for alias in event.get("adding") or ())
            elif event["event"] == "remove":
                begun = {alias: None for alias in begun if alias not in event["nodes"]}
            elif event["event"] == "completed":
                begun.clear()
        return tuple(begun)

    def unfinished_removals(self) -> tuple[str, ...]:
        """Return the aliases of nodes that a `removenode` chose by a number, and that it did not get to the end of."""
        begun: dict[str, None] = {}
        for event in self.events():
            if event["event"] == "remove" and event.get("counted"):
                begun |= dict.fromkeys(str(alias) for alias in event["nodes"])
            elif event["event"] in {"completed", "create"}:
                begun.clear()
        return tuple(begun)

    def replaced_nodes(self) -> dict[str, tuple[str, str]]:
        """Return the nodes that will be taken and have another in their place: alias to (its machine, the other)."""
        replaced: dict[str, tuple[str, str]] = {}
        for event in self.events():
            if event["event"] == "replacing":
                replaced[event["node"]] = (event["machine"], event["by"])
            elif event["event"] == "remove":
                gone = set(event["nodes"])
                replaced = {alias: it for alias, it in replaced.items() if not {alias, it[1]} & gone}
        return replaced

    def removed_nodes(self) -> set[str]:
        """Return the aliases of all nodes that were removed at some time."""
        return {str(alias) for event in self.events() if event["event"] == "remove" for alias in event["nodes"]}

    def node_overrides(self) -> dict[str, NodeOverrides]:
        """Return what was requested for single nodes, by alias."""
        overrides: dict[str, dict[str, Any]] = {}
        for event in self.events():
            if event["event"] == "create":
                overrides |= event.get("special") or {}
            elif event["event"] == "remove":
                overrides = {alias: fields for alias, fields in overrides.items() if alias not in event["nodes"]}
        return {alias: parse_overrides(fields) for alias, fields in overrides.items()}

    def last_provider(self) -> str | None:
        """Return the provider that has the nodes, or None."""
        names = [str(e["provider"]) for e in self.events() if e["event"] == "create"]
        return names[-1] if names else None

    def last_template(self) -> str | None:
        """Return the template of the last start, or None."""
        names = [str(e["template"]) for e in self.events() if e["event"] == "create"]
        return names[-1] if names else None

    def last_config(self) -> str | None:
        """Return the config file of the last start, if it was named by `-c` or $CLUSTERCTL_CONFIG; else None."""
        files = [event.get("config") for event in self.events() if event["event"] == "create"]
        return str(files[-1]) if files and files[-1] else None

    def last_overrides(self) -> dict[str, str]:
        """Return the options that the command line of the last `start` changed."""
        recorded = [e["overrides"] for e in self.events() if e["event"] == "create"]
        last = recorded[-1] if recorded else None
        return {str(k): str(v) for k, v in last.items()} if isinstance(last, dict) else {}

    def host_keys(self) -> dict[str, str]:
        """Return the host keys that nodes made for themselves and show instead of their first keys, by machine."""
        return self._recorded_keys("host_key")

    def _recorded_keys(self, event: str) -> dict[str, str]:
        return read_machine_keys(self.events(), event)


def _parse_time(text: object) -> datetime:
    """Return the time of an event.

    Raises:
        ValueError: it is none.
    """
    return datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%S%z")
