"""The probes of this node's services: files that name a program each, and what the programs find."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from pathlib import Path

    Probe = Callable[[int], dict[str, Any]]


class Probed:
    """An instance of a service that has a probe."""

    def __init__(self, service: str, number: int, probe: Probe) -> None:
        self.service = service
        self.number = number
        self.probe = probe

    @property
    def name(self) -> str:
        """The service manager's name of it."""
        return f"{self.service}-{self.number}"

    def close(self) -> None:
        """Let go what it holds open, if anything. Who forgets ZeroMQ's sockets without that may wait for ever."""
        close = getattr(self.probe, "close", None)
        if close is not None:
            close()

    def find(self, pid: int) -> dict[str, Any]:
        """Return what its probe finds: ``parts`` with what is wrong with each, and ``facts``."""
        try:
            findings = self.probe(pid)
            parts = [
                {"part": str(part["part"]), "pid": int(part.get("pid") or 0), "trouble": str(part["trouble"])}
                for part in findings["parts"]
            ]
            return {"parts": parts, "facts": findings.get("facts") or {}}
        except Exception as exc:  # noqa: BLE001  a probe is somebody's program: what it cannot do is what it found
            return {"parts": [{"part": self.service, "pid": 0, "trouble": str(exc) or repr(exc)}], "facts": {}}


def load_probes(folder: Path) -> list[Probed]:
    """Return an entry for each instance of the services with a probe. A file that is not whole is left out."""
    probes = []
    for path in sorted(folder.glob("*.json")):
        try:
            about = json.loads(path.read_text(encoding="utf-8"))
            name = f"probe_of_{path.stem}"
            scope: dict[str, Any] = {"__name__": name, "CARRIED_AS": name}
            exec(compile(about["program"], str(path), "exec", dont_inherit=True), scope)  # noqa: S102  a node's own file
            numbers = range(about["first"], about["first"] + about["count"])
            probes += [Probed(path.stem, number, scope["program"].main(about["values"])) for number in numbers]
        except Exception as exc:  # noqa: BLE001  one that cannot be loaded keeps none of the others from it
            print(f"clusterctl: {path} cannot be loaded: {exc!r}", flush=True)
    return probes
