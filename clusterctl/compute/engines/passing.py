"""Has one engine pass a file of the store on to another, so that it comes from the client once."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TYPE_CHECKING, Any

from clusterctl.clock import Deadline, pause

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from clusterctl.compute.channel import Channel
    from clusterctl.compute.large_arrays import StoredArray

_KNOWN_FILES = 200
_ANSWER_S = 5.0
"""For an engine that is to pass something on."""
_LOOK_S, _LOOK_MOST_S = 0.01, 0.2


class Passer:
    """Knows which engines have got which files, and how often each has passed one on."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._holders: OrderedDict[str, dict[str, int]] = OrderedDict()
        """By the name of a file: how often each engine that has it was asked."""
        self._cannot: set[str] = set()
        """The engines that nothing has reached: a firewall may be between them and the others."""

    def note(self, name: str, engine: str) -> None:
        """Note that an engine has a file now."""
        self._holders.setdefault(name, {}).setdefault(engine, 0)
        self._holders.move_to_end(name)
        while len(self._holders) > _KNOWN_FILES:
            self._holders.popitem(last=False)

    def pass_on(self, stored: StoredArray, engine: str, ask: Callable[[Mapping[str, Any]], dict[str, Any]]) -> bool:
        """Have a file passed on to an engine. Return whether it has it; if not, it has to come from here.

        Args:
            stored: the file.
            engine: the uuid of who lacks it.
            ask: asks that engine. What it raises ends all.
        """
        if engine in self._cannot:
            return False
        holders = self._holders.get(stored.name, {})
        for source in sorted((uuid for uuid in holders if uuid != engine), key=lambda uuid: holders[uuid]):
            holders[source] += 1
            offered = self._ask(source, {"act": "offer", "name": stored.name})
            if "key" not in offered:
                del holders[source]
                continue
            step = {"act": "receive", "name": stored.name, "bytes": stored.bytes, "key": offered["key"]}
            begun = ask(step)
            if begun.get("has"):
                return True
            if "arrival" not in begun:  # it has no program that could
                return False
            where = {part: begun.get(part) for part in ("address", "port", "key")}
            sent = self._ask(source, {"act": "pass", "name": stored.name, "offer": offered["offer"], **where})
            if self._has_come(begun["arrival"], source, ask, is_sent=sent == {}):
                return True
            if source in self._channel.engines().values():
                self._cannot.add(engine)
                return False
        return False

    def _has_come(
        self, arrival: object, source: str, ask: Callable[[Mapping[str, Any]], dict[str, Any]], *, is_sent: bool
    ) -> bool:
        """Wait while it comes. An engine gives up by itself what does not come any more."""
        wait_s = _LOOK_S
        while True:
            is_lost = not is_sent or source not in self._channel.engines().values()
            answer = ask({"act": "look", "arrival": arrival, "end": is_lost})
            if "bytes" not in answer:
                return bool(answer.get("done"))
            pause(wait_s)
            wait_s = min(2 * wait_s, _LOOK_MOST_S)

    def _ask(self, engine: str, step: dict[str, Any]) -> dict[str, Any]:
        """Return what an engine answers that is to send; nothing useful if it is gone or silent."""
        asked, silence = self._channel.bring(engine, step), Deadline.after(_ANSWER_S)
        while not silence.is_over and engine in self._channel.engines().values() and not self._channel.is_closed:
            try:
                answer = asked.result(timeout=_LOOK_MOST_S)["content"]
            except (FutureTimeoutError, TimeoutError):
                continue
            return answer if isinstance(answer, dict) else {"error": "it is no answer"}
        return {"error": "there is no answer"}
