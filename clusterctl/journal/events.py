"""The journal's lines: one event each, checked when it is read. A line that is none is left out: no reader fails."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from clusterctl.clock import utc_now
from clusterctl.formats import Format
from clusterctl.model import Market, NodeOverrides

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

JOURNAL_FORMAT = Format("the journal", 1)
FORMAT_EVENT = "format"
IDENTITY = "identity"
"""The event with the cluster's id. Clusters on EC2 have it in the event `ec2`, since the first version."""
_TEXTS = (str,)
_FIELDS: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "create": {"provider": _TEXTS, "template": _TEXTS, "nodes": (list,)},
    "remove": {"nodes": (list,)},
    "replacing": {"node": _TEXTS, "machine": _TEXTS, "by": _TEXTS},
    "joined": {"node": _TEXTS, "id": _TEXTS, "digest": _TEXTS},
    "left": {"node": _TEXTS},
    "note": {"key": _TEXTS},
    "host_key": {"id": _TEXTS, "key": _TEXTS},
    "host_key_made": {"id": _TEXTS, "key": _TEXTS},
    IDENTITY: {"id": _TEXTS},
    "ec2": {"uuid": _TEXTS, "region": _TEXTS},
    "launch": {
        **dict.fromkeys(("token", "role", "market", "template"), _TEXTS),
        "aliases": (list,),
        "request": (dict,),
    },
    "launched": {"token": _TEXTS, "nodes": (dict,), "fleet": _TEXTS},
    "named": {"nodes": (dict,)},
    "image": {"name": _TEXTS, "id": _TEXTS},
    "lives": {"lives": (list,)},
}
"""The fields that readers of an event rely on, with their types. An event of another name is kept as it is."""


@dataclass(frozen=True)
class Lines:
    """The content of a journal."""

    number: int
    """The number of its format."""
    events: tuple[dict[str, Any], ...]
    """Oldest first."""
    whole: tuple[str, ...] = ()
    """The lines that are events."""
    broken: tuple[str, ...] = ()
    """The lines that are none."""


def read_lines(text: str, place: Path) -> Lines:
    """Return what a journal holds. A crash, a full disk or an editor may have left lines that are no events.

    Raises:
        NewerFormatError: a newer version has written to the journal.
    """
    number = 0
    events: list[dict[str, Any]] = []
    whole, broken = [], []
    for line in text.splitlines():
        event = _parse_line(line)
        if event is None:
            broken += [line] if line.strip() else []
            continue
        if event["event"] == FORMAT_EVENT:
            try:
                number = max(number, JOURNAL_FORMAT.check(event.get("format"), event.get("written_by"), place))
            except ValueError:
                broken.append(line)
                continue
        else:
            events.append(event)
        whole.append(line)
    return Lines(number, tuple(events), tuple(whole), tuple(broken))


def _parse_line(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        return None
    fields = _FIELDS.get(event["event"], {})
    sound = all(isinstance(event.get(name), types) for name, types in fields.items())
    return event if sound and _is_sound_inside(event) else None


def _is_sound_inside(event: Mapping[str, Any]) -> bool:
    """Return whether what an event has in lists and dicts is of the right type too."""
    nodes = event.get("nodes")
    names = [*(nodes or ())] if isinstance(nodes, list) else [*(nodes or {}).items()] if isinstance(nodes, dict) else []
    texts = [text for name in names for text in ((name,) if isinstance(nodes, list) else name)]
    if event["event"] == "launch":
        texts += event["aliases"]
        if event["market"] not in {market.value for market in Market}:
            return False
    if event["event"] == "create" and not _are_overrides(event.get("special") or {}):
        return False
    return all(isinstance(text, str) for text in texts)


def _are_overrides(special: object) -> bool:
    try:
        for fields in special.values():  # type: ignore[attr-defined]
            parse_overrides(fields)
    except (AttributeError, TypeError, ValueError, InvalidOperation):
        return False
    return True


def format_line(entry: Mapping[str, object]) -> str:
    """Return an event as a line, with the present time."""
    return json.dumps({"time": utc_now().astimezone().strftime("%Y-%m-%dT%H:%M:%S%z"), **entry}) + "\n"


def format_stamp() -> str:
    """Return the line that tells the journal's format."""
    return format_line(JOURNAL_FORMAT.stamp({"event": FORMAT_EVENT}))


def find_id(events: Iterable[Mapping[str, Any]]) -> str:
    """Return the cluster's id; empty if no event has it."""
    ids = [
        str(event["uuid"] if event["event"] == "ec2" else event["id"])
        for event in events
        if event["event"] in {"ec2", IDENTITY}
    ]
    return ids[-1] if ids else ""


def describe_overrides(overrides: NodeOverrides) -> dict[str, object]:
    """Return what was requested for a node as the journal has it: the fields that are set, the bid as a text."""
    fields = {name: str(value) if name == "bid" else value for name, value in asdict(overrides).items() if value}
    return {name: value.value if isinstance(value, Market) else value for name, value in fields.items()}


def parse_overrides(fields: Mapping[str, Any]) -> NodeOverrides:
    """Return what was requested for a node, from what the journal has.

    Raises:
        ValueError, TypeError, AttributeError, InvalidOperation: the journal has something else.
    """
    return NodeOverrides(
        types=tuple(fields.get("types") or ()),
        market=Market(fields.get("market") or ""),
        bid=Decimal(fields["bid"]) if fields.get("bid") else None,
        image=fields.get("image") or "",
        vcpus=fields.get("vcpus"),
        memory_gb=fields.get("memory_gb"),
    )


def read_machine_keys(events: Iterable[Mapping[str, Any]], kind: str = "host_key") -> dict[str, str]:
    """Return the host keys in the events of this kind, by machine: keys survive a stop and a start.

    Earlier versions recorded only the node's id: the machine's, an ``@``, and the boot's.
    """
    entries = [event for event in events if event["event"] == kind]
    return {str(entry.get("machine") or str(entry["id"]).partition("@")[0]): str(entry["key"]) for entry in entries}
