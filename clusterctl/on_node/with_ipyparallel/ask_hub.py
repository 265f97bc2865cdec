"""Asks the controller who is registered, and waits until certain engines are. Prints progress, and JSON at the end."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import zmq

from .agreed import drains
from .hub_client import Hub
from .ports import is_open, listens
from .probe_controller import Prober, load
from .try_task import try_task

_AGAIN_S = 0.3


class Question:
    """A question to the controller whose files are in a folder, and what is known of the answer."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._wait_for: list[int] = values["wait_for"]
        self._but_not: dict[str, str] = values["but_not"]
        self._forget: list[int] = values["forget"]
        self._wait_for_notebook: bool = values["notebook"]
        self._deadline = time.monotonic() + values["wait_s"]
        self._told = -1
        security = Path(values["security"])
        self.client = load(security / "ipcontroller-client.json")
        self.notebook = load(security / "notebook.json")
        self.engines: dict[str, str] = {}
        self.draining: list[int] = []
        """Those whose node will be taken: they are waited for no more."""
        self.answered = False
        self.trouble: list[str] = []
        """The parts of the controller that do not answer, where engines were waited for."""
        self.task = ""
        """What is wrong with a task that an idle engine was given, as `try_task` says it."""
        self._prober = Prober(security.parent)
        self._notebook_word = f"--config={security.parents[1] / 'jupyter_server_config.py'}"

    def ask(self) -> None:
        """Ask until all engines are there or time is up, then look whether all works."""
        # A controller that does not run never comes, unless engines are waited for.
        if self.client and (self._wait_for or self._listens()):
            self._ask_hub()
        if self.answered and self._wait_for:
            self._try_out()
        if self.notebook and self._wait_for_notebook and not self._notebook_comes():
            taken = is_open("127.0.0.1", self.notebook["port"])
            if not (taken and self._notebook_listens()):  # ours may have come between the two questions
                self.notebook |= {"late": True, "foreign": taken}

    def _try_out(self) -> None:
        """Probe all parts until they answer or time is up: the node's watch restarts what does not. Then run a task."""
        while True:
            findings = self._prober(0)
            self.trouble = [f"{part['part']} {part['trouble']}" for part in findings["parts"] if part["trouble"]]
            if not self.trouble or time.monotonic() > self._deadline:
                break
            threading.Event().wait(_AGAIN_S)
        numbers = [str(number) for number in self._wait_for if number not in self.draining]
        engines = {number: self.engines[number] for number in numbers if number in self.engines}
        if engines and not self.trouble:
            self.task = try_task(self.client, engines)

    def _listens(self) -> bool:
        return is_open(self.client["interface"].rpartition("/")[2], self.client["registration"])

    def _ask_hub(self) -> None:
        hub, poller = Hub(self.client), zmq.Poller()
        news = hub.open(zmq.SUB, "notification")
        news.subscribe(b"")
        poller.register(hub.socket, zmq.POLLIN)
        poller.register(news, zmq.POLLIN)
        for number in self._forget:
            hub.send("unregistration_request", {"id": number})
        if self._wait_for:  # first, so that its answer is there before the other one
            hub.send(drains.REQUEST, {"engines": [], "over": False})
        hub.send("connection_request", {})
        while time.monotonic() < self._deadline and not self._is_complete():
            # Woken by each engine that comes or goes; the second is for news that came before we listened.
            woken = dict(poller.poll(min(1000, max(1, 1000 * (self._deadline - time.monotonic())))))
            if news in woken:
                news.recv_multipart()
            if hub.socket not in woken:
                hub.send("connection_request", {})
            else:
                self._take(hub.receive())

    def _take(self, content: dict[str, Any]) -> None:
        self.draining = content.get("draining", self.draining)
        if "engines" not in content:
            return
        self.answered, self.engines = True, content["engines"]
        count = sum(str(number) in self.engines for number in self._wait_for)
        if count != self._told and self._wait_for:
            self._told = count
            print("progress", count, flush=True)

    def _is_complete(self) -> bool:
        return self.answered and all(self._is_registered(str(number)) for number in self._wait_for)

    def _is_registered(self, number: str) -> bool:
        is_new = number in self.engines and self.engines[number] != self._but_not.get(number)
        return is_new or int(number) in self.draining

    def _notebook_comes(self) -> bool:
        """Wait for the notebook. It is asked for once at least: the engines may have had all the time."""
        while not self._notebook_listens():
            if time.monotonic() > self._deadline:
                return False
            threading.Event().wait(0.1)
        return True

    def _notebook_listens(self) -> bool:
        return listens(self._notebook_word, self.notebook["port"])


def main(values: dict[str, Any]) -> None:
    """Ask, and print the answer."""
    question = Question(values)
    question.ask()
    answer = {"answered": question.answered, "engines": question.engines}
    answer |= {"trouble": question.trouble, "task": question.task, "draining": question.draining}
    print(json.dumps({**answer, "client": question.client, "notebook": question.notebook}))
