"""A controller's ports and keys in a second place, which outlives the master: in the home of the cluster user."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_ADDRESSED = "ipcontroller-engine"
_NEEDED = ("ipcontroller-curve", "ipcontroller-client", _ADDRESSED)
_ALL = ("notebook", *_NEEDED)


def read_document(path: Path) -> dict[str, Any] | None:
    """Return the document in a file; None where it is not there or not whole."""
    with contextlib.suppress(OSError, ValueError):
        content = json.loads(path.read_text(encoding="utf-8"))
        return content if isinstance(content, dict) else None
    return None


def bring_back(kept: Path, security: Path, engine_ip: str, write: Callable[[Path, object], None]) -> None:
    """Give a profile that has not all of them the ports and keys of the master before, for this master's address.

    Args:
        kept: where they were kept.
        security: the profile's folder for them.
        engine_ip: the address of this master.
        write: writes a document for its owner only.
    """
    if all(read_document(security / f"{name}.json") for name in _NEEDED):
        return
    documents = {name: content for name in _ALL if (content := read_document(kept / f"{name}.json"))}
    if not documents.keys() >= {*_NEEDED}:
        return
    documents[_ADDRESSED] |= {"interface": f"tcp://{engine_ip}", "location": engine_ip}
    curve = bool(documents["ipcontroller-curve"].get("secret"))
    # First, and the others in their order: a profile that is whole has its terms too, wherever this was killed.
    write(security / "ipcontroller_terms.json", {"engine_ip": engine_ip, "curve": curve})
    for name, content in documents.items():
        write(security / f"{name}.json", content)


def keep(security: Path, kept: Path, write: Callable[[Path, object], None]) -> None:
    """Keep what the profile has now. What is kept already is not written again.

    Raises:
        SystemExit: it cannot be written.
    """
    try:
        kept.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in _ALL:
            content = read_document(security / f"{name}.json")
            if content is not None and content != read_document(kept / f"{name}.json"):
                write(kept / f"{name}.json", content)
    except OSError as exc:
        raise SystemExit(f"ports and keys cannot be kept in {kept}: {exc.strerror or exc}") from exc
