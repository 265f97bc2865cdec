"""Waiting for many TCP ports in one thread, so that machines that still boot keep no thread busy."""

from __future__ import annotations

import errno
import heapq
import itertools
import os
import selectors
import socket
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clusterctl.clock import Deadline
from clusterctl.laptop.processes import raise_file_limit

if TYPE_CHECKING:
    from collections.abc import Callable

_RETRY_S = 0.1
"""Seconds until a port that refused is tried again: the machine runs, but its server does not yet."""
_RETRY_EXTRA_S = 0.001
"""Seconds added to that for each port that is waited for: processor time belongs to the machines that are up."""
_MAX_FILES = 65536
"""The limit of open files that is asked for: each node needs one, and the usual limit is a thousand."""


@dataclass(eq=False)
class _Wait:
    """One port that is waited for."""

    name: str
    where: tuple[int, Any]
    """Address family and address, as the system expects them."""
    until: Deadline
    then: Callable[[], None]
    sock: socket.socket | None = None
    connected: bool = False
    error: OSError | None = None
    """The last error of a connection attempt."""
    over: bool = False


class PortWaiter:
    """Waits until TCP ports answer, and keeps the connections until they are taken.

    A wait ends when the server has sent its greeting or when its time is over. The login that follows then need not
    wait for the greeting. A port that refuses before that is tried again. The thread lives while a wait is open.
    """

    def __init__(self, timeout_s: float) -> None:
        """Make a waiter without any wait.

        Args:
            timeout_s: how long a wait may take, in seconds.
        """
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._waits: dict[str, _Wait] = {}
        """The last wait of each name, until its answer is taken or dropped."""
        self._answers: dict[str, socket.socket | OSError] = {}
        self._new_waits: list[_Wait] = []
        self._dropped_waits: list[_Wait] = []
        self._wake: socket.socket | None = None

    def when_reachable(self, name: str, address: str, port: int, then: Callable[[], None]) -> None:
        """Begin to connect. Another thread calls `then` once there is an answer to take.

        Args:
            name: the key to take the answer by.
            address: an IP address. A host name would need a look-up, which may be slow: for a name there is no
                answer, and `then` is called at once.
            port: the port of the server.
            then: called once; must return quickly.
        """
        where = _numeric_address(address, port)
        if where is None:
            then()
            return
        wait = _Wait(name, where, Deadline.after(self._timeout_s), then)
        self.forget_port(name)
        with self._lock:
            self._waits[name] = wait
            self._new_waits.append(wait)
            if self._wake is None:
                raise_file_limit(_MAX_FILES)
                self._wake, woken = socket.socketpair()
                self._wake.settimeout(0)
                threading.Thread(target=_WaitLoop(self, woken).run, name="port-waiter", daemon=True).start()
            else:
                self._wake_thread()

    def _wake_thread(self) -> None:
        """Wake the thread, so that it handles what is new."""
        if self._wake is not None:
            with suppress(BlockingIOError):  # enough wake-ups are waiting already
                self._wake.send(b"!")

    def take_answer(self, name: str) -> socket.socket | OSError | None:
        """Return the answer of the last wait: a connection, which now belongs to the caller, or the error.

        Return None if there is no answer, or if the other side has hung up since. The wait ends in every case.
        """
        with self._lock:
            wait = self._waits.pop(name, None)
            answer = self._answers.pop(name, None)
            if wait and not answer:
                self._dropped_waits.append(wait)
                self._wake_thread()
        if isinstance(answer, socket.socket) and _has_hung_up(answer):
            answer.close()
            return None
        return answer

    def forget_port(self, name: str) -> None:
        """End the wait of this name without calling `then`, and close its connection."""
        answer = self.take_answer(name)
        if isinstance(answer, socket.socket):
            answer.close()

    def pop_new_waits(self) -> list[_Wait]:
        """Return the new waits. For the thread."""
        with self._lock:
            new, self._new_waits = self._new_waits, []
            return new

    def pop_dropped_waits(self) -> list[_Wait]:
        """Return the waits that were dropped. For the thread."""
        with self._lock:
            unwanted, self._dropped_waits = self._dropped_waits, []
            return unwanted

    def retire_if_idle(self) -> bool:
        """Return whether the thread may end because nothing is new. For the thread."""
        with self._lock:
            if not self._new_waits and self._wake is not None:
                self._wake.close()
                self._wake = None
            return self._wake is None

    def hand_over(self, wait: _Wait, answer: socket.socket | OSError) -> None:
        """Store the answer of a wait and call its `then`. For the thread."""
        with self._lock:
            wanted = self._waits.get(wait.name) is wait
            if wanted:
                self._answers[wait.name] = answer
        if wanted:
            wait.then()
        elif isinstance(answer, socket.socket):
            answer.close()


class _WaitLoop:
    """What the thread of a waiter does: its selector, its open waits and its retries."""

    def __init__(self, doors: PortWaiter, woken: socket.socket) -> None:
        self._waiter = doors
        self._wake_end = woken
        self._selector = selectors.DefaultSelector()
        self._selector.register(woken, selectors.EVENT_READ)
        self._waiting: deque[_Wait] = deque()
        """The oldest first: its time is over first."""
        self._retries: list[tuple[Deadline, int, _Wait]] = []
        self._count = itertools.count()

    def run(self) -> None:
        with self._wake_end, self._selector:
            while True:
                for wait in self._waiter.pop_new_waits():
                    self._waiting.append(wait)
                    self._try_to_connect(wait)
                for wait in self._waiter.pop_dropped_waits():
                    if not wait.over:
                        self._end_wait(wait, None)
                self._end_expired()
                if not self._waiting and self._waiter.retire_if_idle():
                    return
                for key, _ in self._selector.select(self._time_left_s()):
                    if key.data is None:
                        self._wake_end.recv(65536)
                    else:
                        self._handle_event(key.data, key.fileobj)
                while self._retries and self._retries[0][0].is_over:
                    self._try_to_connect(heapq.heappop(self._retries)[2])

    def _time_left_s(self) -> float | None:
        times = [self._waiting[0].until] if self._waiting else []
        times += [self._retries[0][0]] if self._retries else []
        return min(times).left_s if times else None

    def _try_to_connect(self, wait: _Wait) -> None:
        """Begin to connect without blocking."""
        if wait.over:
            return
        family, address = wait.where
        try:
            wait.sock = socket.socket(family, socket.SOCK_STREAM)
            wait.sock.settimeout(0)
            code = wait.sock.connect_ex(address)
            if code not in {0, errno.EINPROGRESS, errno.EWOULDBLOCK}:
                raise OSError(code, os.strerror(code))
            self._selector.register(wait.sock, selectors.EVENT_WRITE, wait)
        except OSError as exc:
            self._retry_later(wait, exc)

    def _handle_event(self, wait: _Wait, sock: Any) -> None:
        """Handle a socket that has connected, was refused, or has received the greeting."""
        if wait.connected:
            self._end_wait(wait, sock)
            return
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._selector.unregister(sock)
            self._retry_later(wait, OSError(code, os.strerror(code)))
        else:
            wait.connected = True
            self._selector.modify(sock, selectors.EVENT_READ, wait)

    def _retry_later(self, wait: _Wait, why: OSError) -> None:
        wait.error = why
        if wait.sock is not None:
            wait.sock.close()
            wait.sock = None
        later = Deadline.after(_RETRY_S + _RETRY_EXTRA_S * len(self._waiting))
        heapq.heappush(self._retries, (later, next(self._count), wait))

    def _end_expired(self) -> None:
        """End the waits whose time is over. A connected socket is still an answer: the greeting may come later."""
        while self._waiting and (self._waiting[0].over or self._waiting[0].until.is_over):
            wait = self._waiting.popleft()
            if not wait.over:
                self._end_wait(wait, wait.sock if wait.connected else None)

    def _end_wait(self, wait: _Wait, connection: socket.socket | None) -> None:
        wait.over = True
        if wait.sock is not None:
            self._selector.unregister(wait.sock)
            if connection is None:
                wait.sock.close()
        if connection is not None:
            connection.settimeout(None)
        self._waiter.hand_over(wait, connection or wait.error or TimeoutError("timed out"))


def _numeric_address(address: str, port: int) -> tuple[int, Any] | None:
    """Return the address family and address to connect to, or None if the address is a host name."""
    try:
        addresses = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return None
    return addresses[0][0], addresses[0][4]


def _has_hung_up(sock: socket.socket) -> bool:
    """Return whether the other side has hung up. An SSH server does so two minutes after a connection without login."""
    try:
        sock.settimeout(0)
        return not sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        sock.settimeout(None)
