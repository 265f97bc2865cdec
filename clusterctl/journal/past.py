"""What clusters that have ended cost: the part of their journals that their bill is made of outlives their folders."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clusterctl.files import ensure_folder, write_own
from clusterctl.formats import Format

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_FORMAT = Format("the record of what a cluster cost", 1)
_LIVES = "lives"
_KEPT = ("ec2", _LIVES, "homes")


@dataclass(frozen=True)
class Ledger:
    """The events of a cluster's journal that its bill is made of."""

    name: str
    id: str
    events: tuple[Mapping[str, Any], ...]
    exists: bool
    """Whether the cluster is there; False once it has ended."""

    @property
    def region(self) -> str:
        """Where it is or was; empty if the journal does not say."""
        regions = [str(event.get("region", "")) for event in self.events if event.get("event") == "ec2"]
        return regions[-1] if regions else ""


def make_ledger(name: str, id_: str, events: Iterable[Mapping[str, Any]]) -> Ledger:
    """Return the ledger of a cluster that exists."""
    return Ledger(name, id_, tuple(event for event in events if event["event"] in _KEPT), exists=True)


def keep_ledger(home: Path, ledger: Ledger) -> None:
    """Keep the ledger of a cluster whose folder goes. One that never cost anything leaves none.

    What cannot be written is lost: it keeps nothing from ending.
    """
    if not any(event["event"] == _LIVES for event in ledger.events):
        return
    content = _FORMAT.stamp({"name": ledger.name, "id": ledger.id, "events": list(ledger.events)})
    with suppress(OSError):
        ensure_folder(_folder(home))
        write_own(_folder(home) / f"{ledger.name}.{re.sub('[^A-Za-z0-9]', '-', ledger.id)}.json", json.dumps(content))


def read_past(home: Path) -> list[Ledger]:
    """Return the ledgers of clusters that have ended, by name. A file that is damaged is left out.

    Raises:
        NewerFormatError: a newer version wrote one of them.
    """
    ledgers = []
    for path in sorted(_folder(home).glob("*.json")):
        with suppress(OSError, ValueError, KeyError, TypeError):
            content = _FORMAT.unstamp(json.loads(path.read_text(encoding="utf-8")), path)
            events = tuple(event for event in content["events"] if isinstance(event, dict))
            ledgers.append(Ledger(str(content["name"]), str(content["id"]), events, exists=False))
    return ledgers


def _folder(home: Path) -> Path:
    return home / "past"
