"""The end of a cluster, as its master sees to it. The watch runs this in a thread of its own: a home may hang."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import acting, clocks, home_files, telling
from .demand import Demands
from .happenings import Happenings
from .home import Home
from .judging import COST, Wishes, about, judge, let_time_pass, span
from .people import People
from .programs import Programs
from .records import (
    AWAKE,
    ENDED,
    ENDING,
    WARNED,
    Beat,
    Keep,
    Order,
    State,
    Terms,
    Word,
    dump,
    parse,
    plain,
    read,
    write,
)

if TYPE_CHECKING:
    from ..watching.managers import Manager

_TRIES = 3
"""How often ON_END may fail; then the cluster ends without it."""
_AGAIN_S = 300.0
_FOLLOW_S = 60.0
"""For workers to follow the order to end."""
_HEARD_S = 20.0
"""For workers to hear of a master: who has heard nothing else follows no order to end."""
_SILENT_S = 180.0
"""So long a worker's last word counts."""
_HOLD_S = 3600.0
"""So long a master waits for files to be fetched that would be lost with it. It costs money all the while."""
_TIMER = "clusterctl-lifetime.timer"
JOBS, DEMAND = "jobs", "demand"
_MASTER = "master"


class Master:
    """What the master of a cluster remembers.

    Args:
        values: `terms` and `decision` are files; `home` the shared home, `root` the folder of a local node.
        manager: the service manager.
    """

    def __init__(self, values: dict[str, Any], manager: Manager) -> None:
        self._files = {name: Path(values[name]) for name in ("terms", "decision")}
        self._home = Home(values["home"], values["maps"])
        self._root = str(values.get("root") or "")
        self._manager = manager
        self._state = read(State, self._files["decision"]) or State()
        self._terms = Terms()
        self._people = People(self._root, 300.0)
        self._programs = Programs(())
        self._demands = Demands()
        self._happenings = Happenings()
        self._words: dict[str, tuple[str, float]] = {}
        """What each worker said last, and when it was seen to say it."""
        self._trouble = ""
        self._again_s = 0.0
        """Before this moment ON_END is not tried again."""
        self._taken_s = self._ordered_s = 0.0
        self._order = ""
        self._holds = False
        """Whether files that are to be fetched have held its end."""

    def look(self) -> float:
        """Look once, and do what is to be done; return how many seconds the next look may wait."""
        terms = read(Terms, self._files["terms"])
        if terms is None:
            return 3.0
        if terms != self._terms:
            self._take(terms)
        content = self._look_home()
        for event, text in self._happenings.look(content):
            telling.notify(self._home, terms, event, text)
        now = clocks.now()
        busy = self._find_work(content, now.awake_s)
        wishes = Wishes(parse(Keep, content.get("keep", "")), parse(Beat, content.get("beat", "")))
        before = self._state
        self._state = judge(terms, before, now, busy=busy, wishes=wishes)
        self._tell(before)
        if self._state.phase == ENDING:
            self._end(content, now.awake_s)
        self._write()
        return terms.every_s if self._state.phase != ENDING else 1.0

    def _take(self, terms: Terms) -> None:
        """Begin to work by these terms."""
        self._terms = terms
        self._taken_s = clocks.now().awake_s
        window_s = min(300.0, terms.idle_s or 300.0)
        self._people = People(self._root, window_s)
        self._programs = Programs(terms.programs)
        self._send_order("")
        if terms.powers_off and terms.lifetime_s:  # from now on it is this that ends the machine
            acting.run_command(["systemctl", "disable", "--now", _TIMER])

    def _send_order(self, end: str) -> None:
        terms = self._terms
        order = Order(end or terms.nonce, bool(end), terms.address, terms.lost_s, terms.every_s, terms.ignored)
        self._order = end
        self._write_home(home_files.ORDER, dump(order))

    def _look_home(self) -> dict[str, Any]:
        try:
            return self._home.look()
        except OSError as exc:
            self._complain(f"the home cannot be read: {exc}")
            return {}

    def _write_home(self, name: str, text: str) -> None:
        try:
            self._home.look(name, text)
        except OSError as exc:
            self._complain(f"{name} cannot be written: {exc}")

    def _find_work(self, content: dict[str, Any], awake_s: float) -> str:
        """Return who works; empty: nobody."""
        terms = self._terms
        work = self._programs.ask(awake_s)
        try:
            pids = {name: state["pid"] for name, state in self._manager.states().items() if state["pid"]}
            work |= self._people.look(self._home.uid(), pids, awake_s)
        except OSError as exc:
            self._complain(f"who works here cannot be seen: {exc}")
        held = content.get("held") or []
        if held:
            work[JOBS] = f"the job {plain(str(held[0]))}"
        demand = self._demands.in_date(content.get("demand") or {})
        if demand:
            work[DEMAND] = f"{sum(wanted.items for wanted in demand.values())} items wait ({plain(min(demand))})"
        work |= self._hear_workers(content.get("words") or {}, awake_s)
        return plain("; ".join(text for cause, text in work.items() if cause.partition(" ")[0] not in terms.ignored))

    def _hear_workers(self, texts: dict[str, str], awake_s: float) -> dict[str, str]:
        """Return what workers say who works there. A word counts from when it was seen to change."""
        work = {}
        for alias in self._terms.workers:
            text = texts.get(alias, "")
            if text != self._words.get(alias, ("", 0.0))[0]:
                self._words[alias] = (text, awake_s)
            word = parse(Word, text)
            if word and word.busy and awake_s - self._words[alias][1] < _SILENT_S:
                cause, _, what = plain(word.busy).partition(" ")
                work[f"{cause} {alias}"] = f"{what} on {alias}"
        return work

    def _tell(self, before: State) -> None:
        """Tell people what has changed."""
        state, terms = self._state, self._terms
        if state.phase == before.phase:
            return
        what = "its machines are switched off" if terms.powers_off else _what_stops(terms)
        if state.phase == WARNED and before.phase == AWAKE:
            text = (
                f"{terms.cluster} ends in {span(about(state.due_s))}: {state.why}; {what};"
                f" `clusterctl keep {terms.cluster} 2h` keeps it"
            )
            self._say(text)
            self._warn(text)
            telling.notify(self._home, terms, "cost" if state.why == COST else "warned", f"ends soon: {state.why}")
        elif state.phase == AWAKE and before.phase in (WARNED, ENDING):
            self._say(f"goes on: {state.busy or 'it is kept'}")
            self._warn("")
            self._state = replace(state, ran=False, tries=0)
            if self._order:
                self._send_order("")

    def _warn(self, text: str) -> None:
        try:
            telling.warn(self._home, self._people, text)
        except OSError as exc:
            self._complain(f"nobody can be warned: {exc}")

    def _end(self, content: dict[str, Any], awake_s: float) -> None:
        """Do the next step of the end. Each may be repeated, and the next look may find a reason not to go on."""
        terms = self._terms
        if terms.on_end and not self._state.ran and self._state.tries < _TRIES:
            if awake_s < self._again_s:
                return
            trouble = acting.run_last(self._home, terms)
            self._state = let_time_pass(self._state, clocks.now())  # this was no gap in which nobody looked
            if trouble:
                self._state = replace(self._state, tries=self._state.tries + 1)
                self._say(f"{trouble}: try {self._state.tries} of {_TRIES}")
                telling.notify(self._home, terms, "failed", f"{trouble}; without it nothing is ended yet")
                if self._state.tries < _TRIES:
                    self._again_s = awake_s + min(_AGAIN_S, terms.on_end_s)
                return
            self._state = replace(self._state, ran=True)
            return  # it took time: who came back meanwhile is seen by the next look
        if terms.workers and awake_s - self._taken_s < _HEARD_S:
            return
        if not self._order:
            self._say(f"ends: {self._state.why}")
            telling.notify(self._home, terms, "ending", self._state.why)
            self._ordered_s = awake_s
            self._send_order(f"end {terms.nonce}")
        if terms.workers and awake_s - self._ordered_s < _FOLLOW_S and not self._all_follow(content):
            return
        if self._waits_for_fetch():
            return
        self._end_here()

    def _waits_for_fetch(self) -> bool:
        """Return whether this master stays for files that somebody has asked for, and that would be lost with it."""
        terms, left_s = self._terms, _HOLD_S - self._state.ending_s
        if not terms.powers_off or terms.lasts or terms.on_end or self._state.why == COST or left_s <= 0:
            return False
        try:
            jobs = self._home.look(unfetched=True).get("unfetched") or []
        except OSError as exc:
            self._complain(f"the home cannot be read: {exc}")
            return True
        if jobs and not self._holds:
            text = f"{plain(str(jobs[0]))} has files to be fetched: the master waits {span(about(left_s))} for that"
            self._say(f"the job {text}")
            telling.notify(self._home, terms, "held", f"the job {text}, then they are lost")
        self._holds = bool(jobs)
        if jobs:
            why = f"{self._state.why}; but files of the job {plain(str(jobs[0]))} are to be fetched within"
            self._state = replace(self._state, why=f"{why} {span(about(left_s))}")
        return self._holds

    def _all_follow(self, content: dict[str, Any]) -> bool:
        texts = content.get("words") or {}
        words = [parse(Word, texts.get(alias, "")) for alias in self._terms.workers]
        return all(word and word.ended == self._order for word in words)

    def _end_here(self) -> None:
        """End this node, for good where it can be switched off."""
        acting.end_jobs(self._home.folder, _MASTER)
        terms = self._terms
        rest = "its master stops, with its disk" if terms.lasts else "its machines are gone"
        telling.notify(
            self._home,
            terms,
            "ended",
            f"{self._state.why}: {rest if terms.powers_off else _what_stops(terms)}",
            wait=True,
        )
        self._state = replace(self._state, phase=ENDED, due_s=-1.0)
        self._write()
        self._warn("")
        try:
            acting.stop_services(self._manager)
        except OSError as exc:
            self._complain(f"the services do not stop: {exc}")
            if not (terms.powers_off or terms.stops):
                self._state = replace(self._state, phase=ENDING)
        if trouble := acting.end_node(powers_off=terms.powers_off, stops=terms.stops):
            self._complain(f"the machine cannot be switched off: {trouble}")
            self._state = replace(self._state, phase=ENDING)

    def _write(self) -> None:
        try:
            write(self._files["decision"], self._state)
        except OSError as exc:
            self._complain(f"the decision cannot be written: {exc}")  # it is made all the same

    def _complain(self, text: str) -> None:
        if text != self._trouble:
            self._trouble = text
            self._say(text)

    @staticmethod
    def _say(text: str) -> None:
        print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} the end: {text}", flush=True)


def _what_stops(terms: Terms) -> str:
    return "its containers stop" if terms.stops else "its services stop"


def look_for_ever(role: Any) -> None:
    """Look again and again, whatever goes wrong."""
    pause = threading.Event()
    while True:
        wait_s = 3.0
        try:
            wait_s = role.look()
        except Exception as exc:  # noqa: BLE001  who ends the cluster must not end before it
            print(f"clusterctl: the end cannot be judged: {exc!r}", flush=True)
        pause.wait(wait_s)
