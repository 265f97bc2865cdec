"""An engine's nanny is a copy of the engine, made while that has neither threads nor sockets.

The nanny passes signals on, says goodbye for its engine, and tells how that has ended. ipyparallel starts each as a
new Python. That imports for half of an engine's own price what the engine has imported already, and the engine waits.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any, TextIO

import ipyparallel.engine.nanny
from ipyparallel.engine import app

from ..agreed import ends
from . import guards
from .last_words import LastWords

if TYPE_CHECKING:
    from collections.abc import Callable

    StartNanny = Callable[..., tuple[str, TextIO]]


def apply(log: str = "") -> None:
    """Have this engine use such a copy, on Linux and while it has one thread; elsewhere ipyparallel's way is kept.

    Args:
        log: the file of its log.
    """
    if sys.platform != "linux" or threading.active_count() != 1:
        return
    nanny = ipyparallel.engine.nanny
    reason = guards.difference(
        guards.Expected(nanny, "start_nanny", ("kwargs",), ("getpid", "pickle", "Popen", "readline")),
        guards.Expected(nanny.KernelNanny, "main", ("cls", "args", "kwargs"), ("start", "run_forever")),
        guards.Expected(nanny.KernelNanny, "notify_exit", ("self",), ("session", "send", "engine_id")),
        guards.Expected(app, "start_nanny", ("kwargs",)),
        guards.Expected(app.IPEngine, "start_nanny", ("self", "control_url"), ("start_nanny",)),
    )
    if not reason and app.start_nanny is not nanny.start_nanny:
        reason = "its engines start another nanny"
    if reason:
        guards.leave_alone(reason, "an engine takes twice as long to start")
        return
    app.start_nanny = fork_nanny(log)


def fork_nanny(log: str = "") -> StartNanny:
    """Make the copy; return what to call in place of `start_nanny`: it tells the copy, and returns its address."""
    (asked, ask), (heard, say) = os.pipe(), os.pipe()
    words = LastWords(log)
    if not os.fork():
        os.close(ask)
        os.close(heard)
        _be_nanny(asked, say, words)
    os.close(asked)
    os.close(say)
    words.keep()
    answers = os.fdopen(heard)

    def start_nanny(**wanted: Any) -> tuple[str, TextIO]:
        with os.fdopen(ask, "wb") as file:
            file.write(pickle.dumps({**wanted, "pid": os.getpid()}))
        url = answers.readline().strip()
        if not url:
            raise RuntimeError("the nanny ended")
        return url, answers  # to be kept open: a nanny ends when nobody listens any more

    return start_nanny


def make_nanny(words: LastWords) -> Any:
    """Return the class of ipyparallel's nannies, which tell the hub how their engine has ended as well."""

    class Nanny(ipyparallel.engine.nanny.KernelNanny):  # type: ignore[misc]  # it has no types
        def notify_exit(self) -> None:
            send = self.session.send

            def send_words(socket: Any, kind: str, content: dict[str, Any]) -> object:
                return send(socket, kind, content={**content, ends.KEY: words.read()})

            self.session.send = send_words
            super().notify_exit()
            words.log()  # later: nothing that is wrong with the log keeps the hub from hearing of it

    return Nanny


def _be_nanny(asked: int, say: int, words: LastWords) -> None:
    """Wait for what it shall know, be ipyparallel's nanny, and end without a trace of the engine."""
    try:
        os.setsid()  # a signal to the engine's group is not for it
        with os.fdopen(asked, "rb") as file:
            wanted = file.read()
        if wanted:  # else the engine ended before it needed a nanny
            pipe = os.fdopen(say, "w", buffering=1)
            make_nanny(words).main(**pickle.loads(wanted), pipe=pipe)  # noqa: S301  its engine's
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    finally:
        os._exit(0)
