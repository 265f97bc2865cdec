"""Programs of plugins that say who works, asked side by side, each with a time limit.

Whoever is about to end a node runs this by itself: it prints as JSON on which nodes something is at work.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, Callable

from .records import plain

if TYPE_CHECKING:
    from collections.abc import Iterable

_WAIT_S = 10.0
_TRUST_S = 3600.0
"""What cannot be asked may be at work for so long; then it is broken."""


def main(values: dict[str, Any]) -> None:
    """Ask `programs`. `silent` has the causes of those that do not say it."""
    programs = Programs(values["programs"])
    programs.ask(0.0)
    print(json.dumps({"nodes": programs.find_nodes(), "silent": programs.find_silent()}))


class Programs:
    """The programs of one set of terms.

    Args:
        texts: ``cause``, ``program`` and ``values`` of each.
    """

    def __init__(self, texts: Iterable[Any]) -> None:
        self._programs: list[tuple[str, Callable[[], object]]] = []
        self._answers: dict[int, dict[str, str]] = {}
        """What each has said last, by the node's alias; an empty one where it is on no single node."""
        self._asking: dict[int, threading.Thread] = {}
        self._silent_since: dict[int, float] = {}
        self._trouble = ""
        for number, about in enumerate(texts):
            try:
                name = f"busy_{number}"
                scope: dict[str, Any] = {"__name__": name, "CARRIED_AS": name}
                exec(compile(about["program"], name, "exec", dont_inherit=True), scope)  # noqa: S102  root's own file
                self._programs.append((str(about["cause"]), scope["program"].main(about["values"])))
            except Exception as exc:  # noqa: BLE001  one that cannot be loaded keeps none of the others from it
                print(f"clusterctl: who works cannot be asked by {about!r:.80}: {exc!r}", flush=True)

    def ask(self, awake_s: float) -> dict[str, str]:
        """Return what works, by its cause."""
        for number, (_, ask) in enumerate(self._programs):
            if number not in self._asking or not self._asking[number].is_alive():
                self._answers.pop(number, None)
                self._asking[number] = threading.Thread(target=self._ask, args=(number, ask), daemon=True)
                self._asking[number].start()
        work = {}
        for number, (cause, _) in enumerate(self._programs):
            self._asking[number].join(_WAIT_S)
            said = self._answers.get(number)
            answer = "" if said is None else "; ".join(_describe(alias, text) for alias, text in said.items())
            if said is None:
                since_s = self._silent_since.setdefault(number, awake_s)
                answer = f"nobody can say ({cause})" if awake_s - since_s < _TRUST_S else ""
            else:
                self._silent_since.pop(number, None)
            if answer:
                work[cause] = plain(answer)
        return work

    def find_nodes(self) -> dict[str, str]:
        """Return what is at work on single nodes, by their aliases, as it was said last."""
        nodes: dict[str, list[str]] = {}
        for said in self._answers.values():
            for alias, text in said.items():
                if alias:
                    nodes.setdefault(alias, []).append(text)
        return {plain(alias): plain("; ".join(texts)) for alias, texts in nodes.items()}

    def find_silent(self) -> list[str]:
        """Return the causes of those that have not answered."""
        return [cause for number, (cause, _) in enumerate(self._programs) if number not in self._answers]

    def _ask(self, number: int, ask: Callable[[], object]) -> None:
        try:
            said = ask() or {}
            texts = said if isinstance(said, dict) else {"": said}
            self._answers[number] = {str(alias): str(text) for alias, text in texts.items() if text}
        except Exception as exc:  # noqa: BLE001  it is somebody's program
            if repr(exc) != self._trouble:
                self._trouble = repr(exc)
                print(f"clusterctl: who works cannot be asked: {exc!r}", flush=True)


def _describe(alias: str, text: str) -> str:
    return f"{text} on {alias}" if alias else text
