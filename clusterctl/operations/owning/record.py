"""The record of a cluster on its master: what another laptop needs to take the cluster over. It holds no secret."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clusterctl.errors import NewerFormatError, StateError
from clusterctl.formats import Format
from clusterctl.journal.ids import is_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import PurePosixPath

    from clusterctl.model import Node
    from clusterctl.operations.context import RunContext

_FORMAT = Format("the record on the master", 1)
_MOST_BYTES = 1_000_000


@dataclass(frozen=True)
class MasterRecord:
    """What the master says of its cluster. Another laptop believes of it only what it has checked."""

    id: str
    template: str
    nodes: tuple[str, ...]
    """Aliases that the cluster should have had when the master joined."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """A copy of the config."""
    locks: Mapping[str, str] = field(default_factory=dict)
    """The text of each lock of packages, by the name of its file."""


def record_path(master: Node) -> PurePosixPath:
    """Return the path of the record on the master."""
    return master.layout.state / "cluster.json"


def make_record(context: RunContext, wanted: Sequence[str]) -> str:
    """Return the record as text, once the plugins have prepared."""
    locks = {path.name: path.read_text(encoding="utf-8") for path in sorted(context.folder.path.glob("lock-*.txt"))}
    content = {
        "cluster": context.name,
        "id": context.folder.ensure_id(),
        "provider": context.provider.name,
        "template": context.settings.template,
        "nodes": list(wanted),
        "config": json.loads(context.settings.copy),
        "locks": locks,
    }
    return json.dumps(_FORMAT.stamp(content))


def parse_record(text: str, name: str) -> MasterRecord:
    """Return the record that a master has sent.

    Raises:
        StateError: it is no record of this cluster.
    """
    damaged = StateError(
        f"the master of {name} has no record of its cluster that can be read",
        remedy="name the config file that the cluster was started with: `clusterctl -c FILE attach ...`",
    )
    try:
        content = _FORMAT.unstamp(json.loads(text[:_MOST_BYTES]), f"of {name}")
    except NewerFormatError:
        raise
    except (ValueError, RecursionError) as exc:
        raise damaged from exc
    id_, template, nodes = content.get("id"), content.get("template"), content.get("nodes")
    config, locks = content.get("config"), content.get("locks")
    if not (isinstance(id_, str) and is_id(id_) and isinstance(template, str) and template.isprintable()):
        raise damaged
    if content.get("cluster") != name or not isinstance(nodes, list) or not isinstance(config, dict):
        raise damaged
    if not isinstance(locks, dict) or not all(isinstance(text, str) for text in (*locks, *locks.values(), *nodes)):
        raise damaged
    return MasterRecord(id_, template, tuple(nodes), config, locks)
