"""An engine that was taken off the list is on it again when it is heard, and probes are no clients.

ipyparallel's controller that starts anew puts every engine of its file back onto its list, and never finds one dead
that it has not heard: what ended while it was away would stay, be waited for and be given work. One that was silent too
long is forgotten, and never learns: it hears the beats, and its own are a stranger's. What an engine had that has ended
would be work under way for ever, and the cluster never be idle.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import ipyparallel.controller.hub
from ipyparallel.controller import app

from ..agreed import cancels, demands, drains, ends, probes
from ..records.demand_files import DemandFiles
from . import guards

_OWN = ipyparallel.controller.hub.Hub
_EXPECTED = (
    guards.Expected(_OWN, "_load_engine_state", ("self",), ("engine_state_file", "_idcounter", "finish_registration")),
    guards.Expected(_OWN, "_save_engine_state", ("self",), ("engine_state_file", "engines", "_idcounter")),
    guards.Expected(_OWN, "register_engine", ("self", "reg", "msg"), ("incoming_registrations", "new_engine_id")),
    guards.Expected(_OWN, "handle_new_heart", ("self", "heart"), ("incoming_registrations", "finish_registration")),
    guards.Expected(_OWN, "unregister_engine", ("self", "ident", "msg"), ("engines", "incoming_registrations")),
    guards.Expected(_OWN, "_handle_stranded_msgs", ("self", "eid", "uuid"), ("queues", "pending", "all_completed")),
    guards.Expected(_OWN, "finish_registration", ("self", "heart"), ("incoming_registrations", "_save_engine_state")),
    guards.Expected(_OWN, "handle_stopped_heart", ("self", "heart"), ("hearts", "unregister_engine")),
    guards.Expected(_OWN, "dispatch_monitor_traffic", ("self", "msg"), ("monitor_handlers",)),
    guards.Expected(_OWN, "dispatch_query", ("self", "msg"), ("query_handlers",)),
    guards.Expected(app.IPController, "init_hub", ("self",), ("Hub", "engine_state_file", "_load_engine_state")),
)


class Hub(_OWN):  # type: ignore[misc, valid-type]  # it has no types
    """ipyparallel's hub, which believes in an engine of its file when it hears it."""

    expected: dict[bytes, int] = {}
    """The ids of those that have still to come, by their hearts."""
    draining: dict[int, str] = {}
    """The uuids, by their ids, of engines whose node will be taken: empty where one is not on the list."""
    listened_s = -demands.LISTENS_S
    """When somebody listened last who adds nodes, by the clock that nobody sets."""

    def __init__(self, **about: Any) -> None:
        super().__init__(**about)
        self.query_handlers[cancels.REQUEST] = self.tell_cancelled
        self.query_handlers[drains.REQUEST] = self.tell_draining
        self.query_handlers[demands.REQUEST] = self.note_demand
        self.query_handlers[demands.LISTENS] = self.note_listener
        self.demand_files = DemandFiles()
        self.stranded: dict[str, list[str]] = {}
        """The calls that engines had which are gone, by their uuids, until it is noted how they ended."""

    def _load_engine_state(self) -> None:
        try:
            state = json.loads(Path(self.engine_state_file).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return
        self.expected = {uuid.encode(): int(number) for number, uuid in state["engines"].items()}
        self._idcounter = state["next_id"]

    def _save_engine_state(self) -> None:
        """Write the file whole or not at all, with those that are expected, and those that have not beaten yet."""
        engines = {number: heart.decode() for heart, number in self.expected.items()}
        engines |= {engine.id: engine.uuid for engine in self.incoming_registrations.values()}
        engines |= {number: engine.uuid for number, engine in self.engines.items()}
        draft = Path(f"{self.engine_state_file}.new")
        draft.write_text(json.dumps({"engines": engines, "next_id": self._idcounter}), encoding="utf-8")
        draft.replace(self.engine_state_file)

    def register_engine(self, reg: Any, msg: Any) -> Any:
        """Let it have its id, if another one asked for that and died before its first beat.

        It has its answer then, and asks nobody again: the controller after this one must know it.
        """
        wanted = msg["content"].get("id")
        for heart, engine in [*self.incoming_registrations.items()]:
            if engine.id == wanted:
                del self.incoming_registrations[heart]
        number = super().register_engine(reg, msg)
        self._save_engine_state()
        return number

    def handle_new_heart(self, heart: bytes) -> None:
        """Put an engine that is expected onto the list."""
        number = self.expected.pop(heart, None)
        taken = {*self.engines, *(engine.id for engine in self.incoming_registrations.values())}
        if number is not None and number not in taken:
            self.incoming_registrations[heart] = ipyparallel.controller.hub.EngineConnector(
                id=number, uuid=heart.decode(), ident=heart
            )
        super().handle_new_heart(heart)

    def handle_stopped_heart(self, heart: bytes) -> None:
        """Take an engine that is silent off the list, and expect it: it may be frozen, or cut off."""
        number = self.hearts.get(heart)
        super().handle_stopped_heart(heart)
        if number is not None:
            self.expected[heart] = number
            self._save_engine_state()

    def dispatch_monitor_traffic(self, msg: list[bytes]) -> None:
        """Pass over what the relays tell of probes."""
        if not (len(msg) > 1 and msg[1].startswith(probes.NAME)):
            super().dispatch_monitor_traffic(msg)

    def dispatch_query(self, msg: list[bytes]) -> Any:
        """Answer a probe as `connection_request` answers a client, without a line in the log each time.

        What waits with clients is told besides.
        """
        if not msg[0].startswith(probes.NAME):
            return super().dispatch_query(msg)
        idents, frames = self.session.feed_identities(msg)
        question = self.session.deserialize(frames)
        engines = {str(number): engine.uuid for number, engine in self.engines.items()}
        content = {"status": "ok", "engines": engines, demands.SUMS: self.demand_files.sums()}
        self.session.send(self.query, "connection_reply", content, parent=question, ident=idents)
        return None

    def tell_cancelled(self, idents: list[bytes], msg: Any) -> None:
        """Tell all clients whose work was cancelled: a pool that is not told would send it again."""
        notice = {"id": cancels.NOBODY, "uuid": "", cancels.KEY: msg["content"]["client"]}
        self.session.send(self.notifier, "unregistration_notification", content=notice)
        self.session.send(self.query, cancels.REPLY, {"status": "ok"}, parent=msg, ident=idents)

    def tell_draining(self, idents: list[bytes], msg: Any) -> None:
        """Tell clients and task scheduler which engines are given nothing new. A node repeats it: some may be new."""
        content = msg["content"]
        for number in content["engines"]:
            if content["over"]:
                self.draining.pop(number, None)
            else:
                self.draining[number] = self.engines[number].uuid if number in self.engines else ""
        if content["engines"]:
            _tell_all_who_drain(self)
        if content.get("for_s") and not content["over"]:
            lapsing = {number: self.draining[number] for number in content["engines"]}
            self.loop.call_later(content["for_s"], self.give_work_again, lapsing)
        answer = {"status": "ok", "draining": sorted(self.draining)}
        self.session.send(self.query, drains.REPLY, answer, parent=msg, ident=idents)

    def give_work_again(self, lapsing: dict[int, str]) -> None:
        """End the draining of engines that are still there. A node whose notice stands repeats its word at once."""
        if lapsing.items() & self.draining.items():
            for number, uuid in lapsing.items():
                if self.draining.get(number) == uuid:
                    del self.draining[number]
            _tell_all_who_drain(self)

    def note_demand(self, idents: list[bytes], msg: Any) -> None:
        """Write down what waits with a client."""
        self.demand_files.put(msg["header"]["session"], msg["content"])
        grows = time.monotonic() - self.listened_s < demands.LISTENS_S
        self.session.send(self.query, demands.REPLY, {"status": "ok", "grows": grows}, parent=msg, ident=idents)

    def note_listener(self, idents: list[bytes], msg: Any) -> None:
        """Remember that somebody adds nodes for what waits."""
        self.listened_s = time.monotonic()
        self.session.send(self.query, demands.REPLY, {"status": "ok", "grows": True}, parent=msg, ident=idents)

    def finish_registration(self, heart: bytes) -> None:
        """Give an engine work that has the id of one whose node was taken: it is of another node."""
        coming = self.incoming_registrations.get(heart)
        if coming is not None and self.draining.get(coming.id) != coming.uuid:
            self.draining.pop(coming.id, None)
        super().finish_registration(heart)

    def unregister_engine(self, ident: Any, msg: Any) -> None:
        """Expect it no more, and tell clients how it has ended, before they hear that it has."""
        gone, how = msg["content"].get("id"), msg["content"].get(ends.KEY)
        engine = self.engines.get(gone)
        if how and engine is not None:
            notice = {"id": cancels.NOBODY, "uuid": "", ends.KEY: [engine.uuid, str(how)[: ends.LONGEST]]}
            self.session.send(self.notifier, "unregistration_notification", content=notice)
        self.expected = {heart: number for heart, number in self.expected.items() if number != gone}
        super().unregister_engine(ident, msg)
        if engine is not None:
            self.stranded.setdefault(engine.uuid, []).extend(self.queues[gone])
            self.queues[gone], self.tasks[gone] = [], []

    def _handle_stranded_msgs(self, eid: int, uuid: str) -> None:
        """Note how calls have ended whose engine is gone. Another one may have its id by now, and calls of its own."""
        own = self.queues[eid]
        self.queues[eid] = [call for call in self.stranded.pop(uuid, ()) if call in self.pending]
        super()._handle_stranded_msgs(eid, uuid)
        self.queues[eid] = own


def _tell_all_who_drain(hub: Hub) -> None:
    uuids = [uuid for uuid in hub.draining.values() if uuid]
    notice = {"id": cancels.NOBODY, "uuid": drains.as_uuid(uuids), drains.KEY: uuids}
    hub.session.send(hub.notifier, "unregistration_notification", content=notice)


def apply() -> None:
    """Have the controller run this hub; end it where that cannot be."""
    reason = guards.difference(*_EXPECTED)
    if reason:
        guards.refuse(reason, "after a restart its controller would count engines that ended, so it is not started")
    app.Hub = Hub
