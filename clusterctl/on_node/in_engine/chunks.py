"""Runs the chunks of a map inside an engine.

A client sends the text of this module, behind those of the other ones here, before its first chunk, so that the two
never differ in version. It is loaded under a name that has its digest: clients of two versions share an engine.

A chunk is run for so long as its budget says, and what is left goes back. Its reply is kept until the client has said
that it has it: a chunk that is sent again because its reply was lost is answered from here, and never run twice.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import time
from collections import OrderedDict
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    # Their texts come before this one.
    from .fits import work_alone  # noqa: TC004
    from .limits import ItemLimit, guess_bytes, raise_if_interrupted  # noqa: TC004
    from .loading import load_package, when_loaded  # noqa: TC004
    from .object_files import StoreError  # noqa: TC004
    from .objects import OBJECTS, MissingObjectError  # noqa: TC004
    from .outcomes import Failure, pack_values  # noqa: TC004

KEPT_BYTES = 64 * 2**20
"""Of replies that no client has acknowledged; the oldest go first."""
ENOUGH_BYTES = 16 * 2**20
"""Of values in a chunk: what is left goes back."""
FUNCTIONS = 64
"""The most functions that are kept unpickled."""
TAKEN_BACK = 10_000
"""The most chunks that are known not to begin."""
WAKES, WAKE_S = 50, 0.1
WAKING = getattr(signal, "SIGURG", signal.SIGINT)
NESTED = "CLUSTERCTL_IN_TASK"


class LostFunctionError(LookupError):
    """A function was sent before, and is not kept any more."""


class Engine:
    """What is kept between chunks."""

    def __init__(self) -> None:
        self.functions: OrderedDict[str, Callable[..., Any]] = OrderedDict()
        self.replies: OrderedDict[str, bytes] = OrderedDict()
        self.initialized: set[str] = set()
        self.lock = threading.Lock()
        self.running = ""
        self.interrupted = ""
        self.taken_back: OrderedDict[str, None] = OrderedDict()
        """Chunks that are not to begin. The kernel may be past the point at which it leaves a message out."""

    def keep(self, chunk: str, reply: bytes) -> None:
        """Keep a reply until it is acknowledged, or until newer ones need the room."""
        self.replies[chunk] = reply
        while sum(map(len, self.replies.values())) > KEPT_BYTES and len(self.replies) > 1:
            self.replies.popitem(last=False)

    def forget(self, chunks: Iterable[str]) -> None:
        """Forget replies that the client has."""
        for chunk in chunks:
            self.replies.pop(chunk, None)

    def function(self, digest: str, pickled: bytes) -> Callable[..., Any]:
        """Return a function, unpickled once.

        Raises:
            LostFunctionError: it was sent before, and is not kept any more.
        """
        if digest not in self.functions and not pickled:
            raise LostFunctionError(digest)
        if digest not in self.functions:
            self.functions[digest] = pickle.loads(pickled)
        self.functions.move_to_end(digest)
        while len(self.functions) > FUNCTIONS:
            self.functions.popitem(last=False)
        return self.functions[digest]


ENGINE = Engine()


def run(request: dict[str, Any]) -> bytes:
    """Run a chunk. Return a pickled tuple: `done`, seconds, values, failures by place, the word for what went wrong.

    Args:
        request: `chunk` and `acknowledged` (ids), `python` (the client's version), `function` (empty if it was sent
            before) and `digest`, `initializer`, `items` (pickled), `first` (the number of the first one), `star` (how
            items become arguments), `budget_s`, `timeout_s` (of an item, or None), `most_bytes` (of the reply), `stop`
            (at a failure), `objects` (the names of the large arrays in it).
    """
    ENGINE.forget(request["acknowledged"])
    chunk = request["chunk"]
    if chunk in ENGINE.replies:
        return ENGINE.replies[chunk]
    if tuple(request["python"]) != sys.version_info[:2]:
        here = ".".join(map(str, sys.version_info[:2]))
        return _reply(trouble=("python", here))
    outcome = _interruptible(chunk, lambda: _run(request))
    reply = _reply(trouble=("cancelled", "")) if outcome is None else outcome
    ENGINE.keep(chunk, reply)
    return reply


def _reply(
    done: int = 0,
    seconds: float = 0.0,
    values: bytes = b"",
    failures: Iterable[tuple[int, tuple[bytes, str, str, str]]] = (),
    trouble: tuple[str, str] = ("", ""),
) -> bytes:
    return pickle.dumps((done, seconds, values, list(failures), trouble), protocol=5)


def _interruptible(chunk: str, act: Callable[[], bytes]) -> bytes | None:
    """Run with this chunk as the one that may be interrupted. None if it was."""
    try:
        with ENGINE.lock:
            if chunk in ENGINE.taken_back:
                return None
            ENGINE.running = chunk
        try:
            return act()
        finally:
            with ENGINE.lock:
                ENGINE.running = ""
            os.getppid()  # any system call: a signal that came before is raised here, not in somebody else's work
    except KeyboardInterrupt:
        if ENGINE.interrupted != chunk:
            raise
        return None


def _run(request: dict[str, Any]) -> bytes:
    try:
        if OBJECTS.lacking(request["objects"]):
            return _reply_lacking(request)
        function = ENGINE.function(request["digest"], request["function"])
        _initialize(request)
        items = pickle.loads(request["items"])
    except MissingObjectError:
        return _reply_lacking(request)
    except StoreError as error:
        return _reply(trouble=("store", str(error)))
    except LostFunctionError:
        return _reply(trouble=("function", ""))
    except BaseException as error:  # SystemExit as well: it is foreign code
        raise_if_interrupted(error)
        return _reply(failures=[(-1, Failure(error).packed())])
    os.environ[NESTED] = "1"
    began = time.perf_counter()
    try:
        values, failures = _work(function, items, request, began)
    finally:
        os.environ.pop(NESTED, None)
    seconds = time.perf_counter() - began
    return _reply(len(values), seconds, pack_values(values, failures, request["most_bytes"]), failures)


def _reply_lacking(request: dict[str, Any]) -> bytes:
    """Say what this engine lacks; all of it, if one was there a moment ago."""
    return _reply(trouble=("objects", " ".join(OBJECTS.lacking(request["objects"]) or request["objects"])))


def _work(
    function: Callable[..., Any], items: list[Any], request: dict[str, Any], began: float
) -> tuple[list[Any], list[tuple[int, Any]]]:
    """Work on items until the budget is spent. Return their values, and the failures by place."""
    values: list[Any] = []
    failures: list[tuple[int, Any]] = []
    size = 0
    limit = ItemLimit(request["timeout_s"]) if request["timeout_s"] else None
    with limit or nullcontext():
        for item in items:
            try:
                if limit is None:
                    values.append(_call(function, request["star"], item))
                else:
                    act = partial(_call, function, request["star"], item)
                    values.append(limit.call(act, request["first"] + len(values)))
            except KeyboardInterrupt:
                if ENGINE.interrupted == request["chunk"]:
                    raise
                failures.append((len(values), Failure(KeyboardInterrupt("interrupted by somebody else")).packed()))
                values.append(None)
                break  # whoever it was did not mean this one item
            except BaseException as error:  # SystemExit as well: a task ends, its engine does not
                failures.append((len(values), Failure(error).packed()))
                values.append(None)
            size += guess_bytes(values[-1])
            if (
                size > ENOUGH_BYTES
                or (failures and request["stop"])
                or time.perf_counter() - began > request["budget_s"]
            ):
                break
    return values, failures


def _initialize(request: dict[str, Any]) -> None:
    """Run the initializer of a pool, once in each engine."""
    name, pickled = request["initializer"]
    if pickled and name not in ENGINE.initialized:
        initializer, arguments = pickle.loads(pickled)
        initializer(*arguments)
        ENGINE.initialized.add(name)


def _call(function: Callable[..., Any], star: int, item: Any) -> Any:
    if star == 1:
        return function(*item)
    if star == 2:
        return function(*item[0], **item[1])
    return function(item)


def take_back(ids: list[str], messages: list[str], *, interrupt: bool) -> dict[str, list[str]]:
    """Take chunks back, in the thread of control messages. Return which one ran, and which had not begun.

    Args:
        ids: the chunks.
        messages: the ids of their messages, in the same order.
        interrupt: whether to end the one that runs.
    """
    kernel = _kernel()
    answer: dict[str, list[str]] = {"ran": [], "waited": []}
    with ENGINE.lock:
        for chunk, message in zip(ids, messages, strict=True):
            if chunk == ENGINE.running:
                answer["ran"].append(chunk)
                if not interrupt:
                    continue
                ENGINE.interrupted = chunk
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                threading.Thread(target=_wake, args=(chunk,), daemon=True).start()
            elif chunk not in ENGINE.replies:
                answer["waited"].append(chunk)
                kernel.aborted.add(message)
                ENGINE.taken_back[chunk] = None
        while len(ENGINE.taken_back) > TAKEN_BACK:
            ENGINE.taken_back.popitem(last=False)
    return answer


def _wake(chunk: str) -> None:
    """Have the thread that works look for its signal, until it leaves the chunk.

    It hears of a signal that comes while it waits for its turn at the end of the next call, which may be a long sleep.
    Another signal ends that. This one does nothing else: who cleans up after the first one is not disturbed.
    """
    for _ in range(WAKES):
        time.sleep(WAKE_S)
        with ENGINE.lock:
            if ENGINE.running != chunk:
                return
            signal.pthread_kill(threading.main_thread().ident or 0, WAKING)


def _kernel() -> Any:
    from IPython import get_ipython

    return get_ipython().kernel


def install(pickler: dict[str, str]) -> None:
    """Make the engine ready: it can unpickle what a client sends, and takes requests to cancel while it works.

    Args:
        pickler: the texts of cloudpickle, for an environment without it.
    """
    load_package("cloudpickle", pickler)
    when_loaded("joblib.parallel", work_alone)
    if signal.getsignal(signal.SIGINT) in {signal.SIG_IGN, signal.SIG_DFL, None}:  # it could not be interrupted
        signal.signal(signal.SIGINT, signal.default_int_handler)

    if signal.getsignal(WAKING) in {signal.SIG_IGN, signal.SIG_DFL, None}:
        signal.signal(WAKING, lambda *_: None)

    def handle(stream: Any, idents: Any, message: Any) -> None:
        content = message["content"]
        ENGINE.forget(content.get("acknowledged", ()))
        answer = take_back(content["chunks"], content["messages"], interrupt=content["interrupt"])
        kernel.session.send(stream, "clusterctl_cancel_reply", content=answer, parent=message, ident=idents)

    def take_object(stream: Any, idents: Any, message: Any) -> None:
        answer = OBJECTS.take(message["content"], message["buffers"])
        kernel.session.send(stream, "clusterctl_object_reply", content=answer, parent=message, ident=idents)

    kernel = _kernel()
    kernel.control_handlers[f"{__name__}_request"] = handle  # other versions have their own
    kernel.control_handlers[f"{__name__}_object"] = take_object
