"""The way to the engines of one ipyparallel client. Here alone is asked what ipyparallel's client has inside."""

# ruff: noqa: SLF001  ipyparallel's client has no other way in

from __future__ import annotations

import atexit
import json
import sys
import threading
import zlib
from concurrent.futures import Future, wait
from datetime import datetime
from functools import cache
from importlib.resources import files
from math import inf
from typing import TYPE_CHECKING, Any, TypeVar

from clusterctl.compute.large_arrays import Swapper
from clusterctl.compute.payload import digest
from clusterctl.compute.watch import LOST
from clusterctl.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ipyparallel import Client

T = TypeVar("T")
_INSTALL = """
if name not in sys.modules:
    module = types.ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
    module.install(json.loads(zlib.decompress(pickler)))
    sys.modules[name] = module
"""
_PROGRAM = ("limits", "outcomes", "loading", "object_files", "rows", "doors", "passing", "objects", "fits", "chunks")
"""The modules of what runs inside an engine, in their order."""
_ONE_AT_A_TIME = threading.Lock()
"""For what makes messages: ipyparallel's tables of types, which all clients share, are not made for several threads."""
_ONE_PER_CLIENT = threading.Lock()
_JUST_SENT = 100
"""Calls at the end of the client's history, among which our own is: other threads send too."""
ENGINE_ENDED, CONNECTION_LOST, ABORTED, FAILED = "engine ended", "connection lost", "aborted", "failed"
"""What became of a chunk that has no reply."""


@cache
def engine_program() -> tuple[str, str]:
    """Return the name and the text of what runs inside an engine: its modules, one behind the other."""
    folder, first = files("clusterctl.on_node.in_engine"), "from __future__ import annotations\n"
    texts = [folder.joinpath(f"{name}.py").read_text(encoding="utf-8") for name in _PROGRAM]
    source = first + "".join(text.replace(first, "", 1) for text in texts)
    return f"clusterctl_chunks_{digest(source.encode())}", source


class InEngine:
    """Stands for a function of what runs inside an engine, and is that when it comes there."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *_: Any, **__: Any) -> None:
        """Refuse: here is no engine."""
        raise RuntimeError(f"{self._name} runs in engines alone")

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel as that function."""
        return eval, (f"__import__('sys').modules[program].{self._name}", {"program": engine_program()[0]})


def make_swapper(least: float | None, **about: Any) -> Swapper:
    """Return one who knows the large arrays of a call. See `Swapper`."""
    return Swapper(engine_program()[0], least=inf if least is None else least, **about)


@cache
def _pickler() -> bytes:
    """Return the texts of the modules of cloudpickle, packed."""
    modules = [module for module in files("cloudpickle").iterdir() if module.name.endswith(".py")]
    texts = {module.name.removesuffix(".py"): module.read_text(encoding="utf-8") for module in modules}
    return zlib.compress(json.dumps(texts).encode())


def _let_go(future: Any) -> None:
    """Have a future that is done hold nobody who waited for it.

    Those of ipyparallel hold themselves by what they call, and so a chunk and its reply: as long as nobody looks for
    garbage, which Python does by the number of objects, however large they are.
    """
    future._done_callbacks = []


def _parse(moment: str) -> datetime:
    return datetime.fromisoformat(moment.replace("Z", "+00:00"))  # which Python 3.10 does not take as it is


def part_of(client: Client, kind: Callable[[Channel], T]) -> T:
    """Return the part of this kind that a client has: each has one, made for a channel of its own, while it lives."""
    with _ONE_PER_CLIENT:
        parts: dict[object, Any] = vars(client).setdefault("_clusterctl_parts", {})
        if kind not in parts:
            parts[kind] = kind(Channel(client))
        part: T = parts[kind]
        return part


class Channel:
    """Sends chunks to engines, takes them back, and tells which engines there are."""

    def __init__(self, client: Client) -> None:
        self._client: Any = client
        self._equipped: set[str] = set()
        self._answering: set[str] = set()
        """The engines that are known to have the program."""
        self._ends: dict[str, str] = {}
        """How engines have ended, by uuid, where their nodes could tell."""

    def engines(self) -> dict[int, str]:
        """Return the uuid of each engine, by its id."""
        return dict(self._client._engines)

    @property
    def is_closed(self) -> bool:
        """Whether the client was closed."""
        return bool(self._client._closed)

    def close(self) -> None:
        """Close the client."""
        self._client.close()

    def before_close(self, act: Callable[[], object]) -> None:
        """Have this called before the client is closed, or Python ends."""
        close = self._client.close

        def act_and_close(*args: Any, **about: Any) -> None:
            atexit.unregister(act)
            try:
                if not self.is_closed:
                    act()
            finally:
                close(*args, **about)

        self._client.close = act_and_close
        atexit.register(act)

    def wait_for(self, asked: Sequence[Future[Any]], most_s: float) -> None:
        """Wait for replies; not in the client's own thread, which brings it, nor where that is gone."""
        thread = self._client._io_thread
        if thread is not None and thread.is_alive() and thread is not threading.current_thread():
            wait(asked, most_s)

    def on_change(
        self, act: Callable[[], object], end: Callable[[], object], drain: Callable[[set[str]], object]
    ) -> None:
        """Have all three called in the client's own thread.

        Args:
            act: called whenever an engine comes or goes.
            end: called when somebody has cancelled this client's work. See `on_node/with_ipyparallel/agreed/`.
            drain: called with the uuids of all engines whose node will be taken.
        """

        def hear(event: dict[str, Any]) -> None:
            whose, draining = event.get("clusterctl_cancelled"), event.get("clusterctl_draining")
            if draining is not None:
                drain(set(draining))
            elif ended := event.get("clusterctl_ended"):
                self._ends[str(ended[0])] = clean_text(str(ended[1]))
            elif whose is None:
                act()
            elif whose in {"", self._client.session.session}:
                end()

        self._client._registration_callbacks.append(hear)

    def send(self, engine: str, request: dict[str, Any], hear: Callable[[str, str], object]) -> tuple[str, Future[Any]]:
        """Send a chunk to an engine.

        Args:
            engine: its uuid.
            request: the chunk.
            hear: called in the client's own thread with what it prints: the name of the stream, and the text.

        Returns:
            the id of the message, and what will be its result.
        """
        name, source = engine_program()
        if engine not in self._equipped:
            self._equipped.add(engine)
            values = {"name": name, "source": source, "pickler": _pickler()}
            self._apply(engine, exec, (f"import json, sys, types, zlib\n{_INSTALL}", values))
        request["python"] = sys.version_info[:2]

        def hear_output(message: dict[str, Any]) -> None:
            if message["header"].get("msg_type") == "stream":
                hear(str(message["content"].get("name")), str(message["content"].get("text")))

        def prepare(future: Any) -> None:  # before it is sent: what a task prints may come before this thread goes on
            future.iopub_callbacks.append(hear_output)

        arguments = ("__import__('sys').modules[name].run(request)", {"name": name, "request": request})
        future = self._apply(engine, eval, arguments, prepare)
        return future.msg_id, future

    def _apply(
        self,
        engine: str,
        function: Callable[..., object],
        arguments: tuple[object, ...],
        prepare: Callable[[Any], object] | None = None,
    ) -> Any:
        with _ONE_AT_A_TIME:
            future = self._client.send_apply_request(
                self._client._mux_stream,
                function,
                arguments,
                {},
                metadata={"label": None},
                ident=engine.encode(),
                message_future_hook=prepare,
            )
        future.add_done_callback(_let_go)
        history = self._client.history  # which is of the user's own calls, and would grow without end
        for index in range(len(history) - 1, max(-1, len(history) - _JUST_SENT), -1):
            if history[index] == future.msg_id:
                del history[index]
                break
        return future

    def outcome(self, future: Future[Any], engine: str) -> tuple[str, Any]:
        """Return the reply of a chunk and an empty word, or what became of it and the error."""
        from ipyparallel import error

        try:
            result = future.result()
        except Exception as exc:  # whatever ipyparallel raises, the chunk has no reply
            result = exc
        if not isinstance(result, BaseException):
            self._answering.add(engine)
            return "", result
        name = getattr(result, "ename", "")
        if isinstance(result, error.TaskAborted) or name == "TaskAborted":
            return ABORTED, result
        if name == "EngineError":
            return ENGINE_ENDED, result
        if name == LOST:
            self._equipped.discard(engine)  # what came before the chunk may be lost as well
            return CONNECTION_LOST, result
        if name == "KeyError" and "clusterctl_chunks_" in str(result):
            self._equipped.discard(engine)  # somebody has restarted its namespace
            return CONNECTION_LOST, result
        return FAILED, result

    def how_it_ended(self, engine: str) -> str:
        """Return how an engine has ended, as its node has told; empty where nothing is known."""
        return self._ends.get(engine, "")

    def seconds_at_work(self, future: Future[Any]) -> float | None:
        """Return how long an engine was at what has this result, by its own clock; None where it does not say."""
        about = getattr(getattr(future, "output", None), "metadata", None) or {}
        try:
            said = (about[name] for name in ("started", "completed"))
            began, ended = (_parse(moment) if isinstance(moment, str) else moment for moment in said)
            return float((ended - began).total_seconds())
        except (KeyError, TypeError, ValueError, AttributeError):  # an engine may say anything
            return None

    def take_back(self, engine: str, chunks: Sequence[tuple[str, str]], *, interrupt: bool) -> Future[Any]:
        """Ask an engine to leave out chunks that it has not begun, given as pairs of their id and their message's.

        Args:
            engine: its uuid.
            chunks: pairs of a chunk's id and its message's.
            interrupt: end the one that it works on, too.
        """
        messages = [message for _, message in chunks]
        if interrupt and engine not in self._answering:  # it may not have the program yet, which alone hears the rest
            self._tell(engine, "abort_request", {"msg_ids": messages})
        ids = [chunk for chunk, _ in chunks]
        return self._tell(engine, self._request, {"chunks": ids, "messages": messages, "interrupt": interrupt})

    def acknowledge(self, engine: str, chunks: Sequence[str]) -> None:
        """Have an engine forget replies at once, and not with the next chunk."""
        nothing: list[str] = []
        about = {"chunks": nothing, "messages": nothing, "interrupt": False, "acknowledged": list(chunks)}
        self._tell(engine, self._request, about)

    @property
    def _request(self) -> str:
        """The kind of message that the program of this version listens to: an engine may have several."""
        return f"{engine_program()[0]}_request"

    def _tell(self, engine: str, kind: str, content: dict[str, Any]) -> Future[Any]:
        return self._ask(self._client._control_stream, kind, content=content, ident=engine.encode())

    def _ask(self, stream: object, kind: str, **about: Any) -> Future[Any]:
        """Send a question. If another thread has closed the client, its answer is an error: who asks goes on."""
        try:
            asked: Future[Any] = self._client._send(stream, kind, **about)
        except OSError as exc:
            if not self.is_closed:
                raise
            asked = Future()
            asked.set_exception(exc)
        asked.add_done_callback(_let_go)
        return asked

    def bring(self, engine: str, step: dict[str, Any], pieces: Sequence[memoryview] = ()) -> Future[Any]:
        """Have an engine take a step of a file that is brought. See `on_node/in_engine/objects.py`.

        Args:
            engine: its uuid. It has answered before, so it has the program.
            step: what it is.
            pieces: of the file.
        """
        kind, stream = f"{engine_program()[0]}_object", self._client._control_stream
        return self._ask(stream, kind, content=step, buffers=list(pieces) or None, ident=engine.encode())

    def tell_demand(self, demand: dict[str, float]) -> Future[Any]:
        """Tell the controller what waits here. Its reply says whether it knows of such things.

        Args:
            demand: as in `on_node/with_ipyparallel/agreed/demands.py`.
        """
        return self._ask(self._client._query_stream, "clusterctl_demand_request", content=demand)

    def kill(self, engine_id: int) -> None:
        """End an engine that does not let itself be interrupted. Its service starts it anew."""
        self._client.send_signal("SIGKILL", targets=engine_id, block=False)
