"""A steady load of small tasks from one client of `clusterctl.connect()`, in a process of its own.

The process does what its input says, a JSON line each, and answers with one: so whoever breaks things can freeze it
with its tunnel, as a laptop that sleeps. The client is told nothing of what breaks.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

_PENDING = 8
_PAUSE_S = 0.08
_HUNG_S = 60.0
"""What docs/howto/connect.md promises: a call ends that long after what happened, at the latest."""
_LOOK_S = 2.0


def work(number: int, seconds: float) -> int:
    """What an engine does."""
    import time

    time.sleep(seconds)
    return number * number


@dataclass
class Call:
    """A call that has no end yet."""

    path: str
    result: Any
    number: int
    since: float
    """When it was sent, or when the fault began or ended that it met."""
    sent: float
    fault: int
    """The fault that it was sent in, or that began while it waited; 0: none yet."""


class Load:
    """Keeps some tasks at work, and counts how each of them ended, by the number of the fault at that time."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._calls: list[Call] = []
        self._sending: Call | None = None
        self._over = threading.Event()
        self.ends: dict[int, Counter[str]] = defaultdict(Counter)
        """By the fault: ``sent``, ``done``, ``wrong``, ``hung by PATH``, and the names of errors."""
        self.longest: dict[int, float] = defaultdict(float)
        self.fault = 0
        self._is_broken = False
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._send_tasks, self._count)]

    def start(self) -> None:
        """Begin to send."""
        for thread in self._threads:
            thread.start()

    def begin(self, fault: int) -> None:
        """Take note that something is about to break."""
        self.fault, self._is_broken = fault, True
        self._meet()

    def end(self) -> None:
        """Take note that what was broken on purpose is so no more."""
        self._meet()

    def heal(self) -> None:
        """Take note that all is well."""
        self._is_broken = False

    def _meet(self) -> None:
        """Give calls that wait their time anew, once for each of the two moments of the fault that they met first."""
        with self._lock:
            for call in [*self._calls, *([self._sending] if self._sending else [])]:
                if call.fault in {0, self.fault}:
                    call.fault, call.since = self.fault, time.monotonic()

    def _send_tasks(self) -> None:
        chance, number = random.Random(1), 0
        while not self._over.wait(_PAUSE_S):
            if len(self._calls) >= _PENDING:
                continue
            number += 1
            path = chance.choices(("any", "one", "all"), (8, 1, 1))[0]
            self._send(path, number, chance)

    def _send(self, path: str, number: int, chance: random.Random) -> None:
        now = time.monotonic()
        self._sending = Call(path, None, number, now, now, self.fault if self._is_broken else 0)
        self.ends[self.fault]["sent"] += 1
        try:
            self._sending.result = self._view(path, chance).apply_async(work, number, 0.02 * (number % 10))
        except Exception as exc:  # noqa: BLE001  whatever it is, the user was told
            self.ends[self.fault][_name(exc)] += 1
            self._over.wait(0.3)
        else:
            with self._lock:
                self._calls.append(self._sending)
        finally:
            self._sending = None

    def _view(self, path: str, chance: random.Random) -> Any:
        ids = self._client.ids
        if path == "any" or not ids:
            return self._client.load_balanced_view()
        return self._client.broadcast_view() if path == "all" else self._client[chance.choice(ids)]

    def _count(self) -> None:
        while not (self._over.is_set() and not self._calls):
            now = time.monotonic()
            with self._lock:
                over = [call for call in self._calls if call.result.done()]
                hung = [call for call in self._calls if call not in over and now - call.since > _HUNG_S]
                self._calls = [call for call in self._calls if call not in over and call not in hung]
            for call in over:
                self._count_end(call)
            stuck = self._sending
            if stuck and now - stuck.since > _HUNG_S:
                stuck.since = float("inf")
                hung.append(stuck)
            for call in hung:
                self.ends[call.fault][f"hung by {call.path}"] += 1
                targets = getattr(call.result, "_targets", None)
                print(f"hung: {call}, targets {targets}, now {now}", file=sys.stderr, flush=True)
            threading.Event().wait(0.05)

    def _count_end(self, call: Call) -> None:
        fault = call.fault or self.fault
        self.longest[fault] = max(self.longest[fault], time.monotonic() - call.since)
        try:
            said = call.result.get(timeout=1)
            answers = said if isinstance(said, list) else [said]
            right = answers and all(answer == call.number**2 for answer in answers)
            self.ends[self.fault]["done" if right else "wrong"] += 1
        except Exception as exc:  # noqa: BLE001
            self.ends[fault][_name(exc)] += 1

    def look(self, count: int) -> str:
        """Return what keeps so many engines from answering, through each scheduler; empty if nothing does.

        What was asked must have an end as well.
        """
        if len(self._client.ids) != count:
            return f"the client knows {len(self._client.ids)} of {count} engines"
        for path, view in (
            ("one", self._client[:]),
            ("all", self._client.broadcast_view()),
            ("any", self._client.load_balanced_view()),
        ):
            try:
                self._ask(path, view)
            except Exception as exc:  # noqa: BLE001  whatever it is: not yet
                return f"{path}: {_name(exc)}"
        return ""

    def _ask(self, path: str, view: Any) -> None:
        call = Call(f"{path}, a look", view.apply_async(work, 1, 0), 1, time.monotonic(), time.monotonic(), self.fault)
        try:
            call.result.get(timeout=_LOOK_S)
        finally:
            if not call.result.done():
                with self._lock:
                    self._calls.append(call)

    def finish(self) -> None:
        """Send nothing more, and wait for what is pending: to its end, or until it hangs."""
        self._over.set()
        for thread in self._threads:
            thread.join(2 * _HUNG_S)

    def counts(self) -> dict[str, Any]:
        """Return what there is to tell."""
        return {
            "ends": {number: dict(ends) for number, ends in dict(self.ends).items()},
            "longest": dict(self.longest),
        }


def _name(exc: Exception) -> str:
    """Return the name of an error; of several engines' errors, the first one's."""
    inner = getattr(exc, "elist", None)
    if inner:
        return str(inner[0][0])
    return str(getattr(exc, "ename", "") or type(exc).__name__)


class LoadProcess:
    """The process, as whoever breaks things sees it."""

    def __init__(self, name: str, env: dict[str, str], log: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.load", name],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self._hear()

    def ask(self, do: str, **about: Any) -> Any:
        """Have it do something; return its answer.

        Raises:
            EOFError: it has ended.
        """
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"do": do, **about}) + "\n")
        self._process.stdin.flush()
        return self._hear()

    def _hear(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise EOFError(f"the client ended with {self._process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            pipe.close()


def main() -> None:
    """Serve: `python -m tests.chaos.load CLUSTER`."""
    import clusterctl

    answers, sys.stdout = sys.stdout, sys.stderr
    load = Load(clusterctl.connect(sys.argv[1], timeout=60))
    load.start()
    print("null", file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        answer = getattr(load, request.pop("do"))(**request)
        print(json.dumps(answer), file=answers, flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
