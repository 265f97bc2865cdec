"""An engine leaves out, or interrupts, what somebody cancels.

ipyparallel takes back only what it is told by name, and only from the client that sent it: what a client sent that is
gone runs on. A signal ends what an engine does, and the next one in its queue begins.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

from ..agreed import cancels
from . import guards

if TYPE_CHECKING:
    from collections.abc import Iterator

_MARKER_S = 30.0
"""For a marker to come. Who sends it may have been killed before."""


class EngineWork:
    """What an engine does, and what it shall leave out."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancelled: dict[str, tuple[str, float]] = {}
        """By the marker that ends it: whose messages are left out, and until when at most."""
        self._header: dict[str, Any] = {}
        self._began = 0.0
        self._is_interruptible = False

    def leaves_out(self, header: dict[str, Any]) -> bool:
        """Take note of a message whose turn it is. Return whether it was cancelled."""
        with self._lock:
            self._cancelled.pop(header["msg_id"], None)
            now = time.monotonic()
            clients = [client for client, until in self._cancelled.values() if until > now]
            if any(cancels.is_of(client, header.get("session")) for client in clients):
                return True
            self._header, self._began = header, now
            return False

    def end(self) -> None:
        """Take note that the message is done with."""
        with self._lock:
            self._header = {}

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Be in the part of a message's work that may be interrupted: its answer may not."""
        with self._lock:
            self._is_interruptible = True
        try:
            yield
        finally:
            with self._lock:
                self._is_interruptible = False
            time.sleep(0)  # a signal that came before is raised here, and not while the answer is sent

    def cancel(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what a request says, in the thread of control messages. Return what the engine was at."""
        with self._lock:
            if not request["look"]:
                self._cancelled[request["marker"]] = (request["client"], time.monotonic() + _MARKER_S)
            header = self._header
            if not header or not cancels.is_of(request["client"], header.get("session")):
                return {}
            if self._is_interruptible and not request["look"]:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            session, kind = str(header.get("session")), str(header.get("msg_type"))
            return {"client": session, "kind": kind, "seconds": time.monotonic() - self._began}


def apply() -> None:
    """Have engines know what they do, and take requests to cancel it."""
    from ipyparallel.engine.kernel import IPythonParallelKernel as Kernel

    reason = _difference(Kernel)
    if reason:
        guards.leave_alone(reason, "`clusterctl cancel` does not reach engines")
        return
    own: dict[str, Any] = {name: getattr(Kernel, name) for name in ("should_handle", "do_apply", "do_execute")}
    work, own_end = EngineWork(), Kernel.post_handler_hook

    def should_handle(kernel: Any, stream: Any, message: Any, idents: Any) -> bool:
        if not own["should_handle"](kernel, stream, message, idents):
            return False
        if not work.leaves_out(message["header"]):
            return True
        _refuse(kernel, stream, message, idents)
        return False

    def do_apply(kernel: Any, content: Any, buffers: Any, message: str, metadata: Any) -> Any:
        answer = None
        try:
            with work.interruptible():
                answer = own["do_apply"](kernel, content, buffers, message, metadata)
        except KeyboardInterrupt:
            if answer is None:
                raise
        return answer

    async def do_execute(kernel: Any, *args: Any, **about: Any) -> Any:
        answer = None
        try:
            with work.interruptible():
                answer = await own["do_execute"](kernel, *args, **about)
        except KeyboardInterrupt:
            if answer is None:
                raise
        return answer

    def post_handler_hook(kernel: Any) -> None:
        work.end()
        own_end(kernel)

    def cancel_work(kernel: Any, stream: Any, idents: Any, message: Any) -> None:
        content = {"status": "ok", "was_at": work.cancel(message["content"])}
        kernel.session.send(stream, cancels.REPLY, content, parent=message, ident=idents)

    Kernel.should_handle, Kernel.do_apply, Kernel.do_execute = should_handle, do_apply, do_execute
    Kernel.post_handler_hook = post_handler_hook
    Kernel.control_msg_types = [*Kernel.control_msg_types, cancels.REQUEST]
    setattr(Kernel, cancels.REQUEST, cancel_work)


def _difference(kernel: type) -> str:
    """Return what of ipyparallel's class is not as these patches need it; empty if all is."""
    return guards.difference(
        guards.Expected(kernel, "should_handle", ("self", "stream", "msg", "idents"), ("aborted",)),
        guards.Expected(
            kernel, "do_apply", ("self", "content", "bufs", "msg_id", "reply_metadata"), ("showtraceback",)
        ),
        guards.Expected(kernel, "do_execute", ("self", "args", "kwargs"), ("isawaitable",)),
        guards.Expected(kernel, "post_handler_hook", ("self",)),
        guards.Expected(kernel, "get_engine_info", ("self", "method")),
        guards.Expected(kernel, "init_metadata", ("self", "parent")),
        guards.Expected(kernel, "finish_metadata", ("self", "parent", "metadata", "reply_content")),
    )


def _refuse(kernel: Any, stream: Any, message: Any, idents: Any) -> None:
    """Answer that a message was cancelled, as a failure: what ipyparallel calls aborted is a value to its clients."""
    kind = message["header"]["msg_type"].rpartition("_")[0]
    content = {
        "status": "error",
        "ename": "TaskAborted",
        "evalue": "somebody has cancelled it before it began",
        "traceback": [],
        "engine_info": kernel.get_engine_info(method=kind),
    }
    metadata = kernel.finish_metadata(message, kernel.init_metadata(message), content)
    kernel.session.send(stream, f"{kind}_reply", content, parent=message, ident=idents, metadata=metadata)
