"""Knocking at many doors at once, in one thread: machines that still boot keep no thread from those that are up."""

from __future__ import annotations

import errno
import heapq
import itertools
import os
import resource
import selectors
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_AGAIN_S = 0.1
"""How soon a port that refused is tried again: the machine is there, its server is not."""
_EACH_S = 0.001
"""How much later for each door that is waited at: the processor's time is for those that are up."""
_MOST_FILES = 65536


@dataclass(eq=False)
class _Knock:
    name: str
    where: tuple[int, Any]
    """Family and address, as the system wants them."""
    until: float
    then: Callable[[], None]
    sock: socket.socket | None = None
    connected: bool = False
    error: OSError | None = None
    """The last refusal."""
    over: bool = False


class Doors:
    """The doors that are knocked at, and the answers that nobody has taken yet.

    A knock ends when the server has greeted, so that whoever logs in need not wait for it, or when its time is over.
    What refuses before that is tried again. The thread lives while there is something to wait for.
    """

    def __init__(self, patience_s: float) -> None:
        """Nobody is knocked at yet.

        Args:
            patience_s: how long a knock may take.
        """
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._knocks: dict[str, _Knock] = {}
        """By name: the last knock of each, until its answer is taken or nobody wants it any more."""
        self._answers: dict[str, socket.socket | OSError] = {}
        self._new: list[_Knock] = []
        self._unwanted: list[_Knock] = []
        self._wake: socket.socket | None = None

    def knock(self, name: str, address: str, port: int, then: Callable[[], None]) -> None:
        """Begin to connect; `then` is called, from another thread, once there is an answer to take.

        Args:
            name: to take the answer by.
            address: an IP address. A host's name would have to be looked up, which may take its time: then there is
                no answer, and `then` is called at once.
            port: of the server.
            then: called once; must be quick.
        """
        where = _where(address, port)
        if where is None:
            then()
            return
        knock = _Knock(name, where, time.monotonic() + self._patience_s, then)
        self.forget(name)
        with self._lock:
            self._knocks[name] = knock
            self._new.append(knock)
            if self._wake is None:
                _allow_files()
                self._wake, woken = socket.socketpair()
                self._wake.settimeout(0)
                threading.Thread(target=_Round(self, woken).run, name="doors", daemon=True).start()
            else:
                self._tell()

    def _tell(self) -> None:
        """Have the thread look."""
        if self._wake is not None:
            with suppress(BlockingIOError):  # it has been told often enough
                self._wake.send(b"!")

    def take(self, name: str) -> socket.socket | OSError | None:
        """The answer to the last knock: a connection, which is the caller's from now on, or why there is none.

        None where there is no answer, or the other side has hung up since. It is not waited for any longer.
        """
        with self._lock:
            knock = self._knocks.pop(name, None)
            answer = self._answers.pop(name, None)
            if knock and not answer:
                self._unwanted.append(knock)
                self._tell()
        if isinstance(answer, socket.socket) and _has_gone(answer):
            answer.close()
            return None
        return answer

    def forget(self, name: str) -> None:
        """Nobody will take the answer, and nobody is to be called."""
        answer = self.take(name)
        if isinstance(answer, socket.socket):
            answer.close()

    def admit(self) -> list[_Knock]:
        """For the thread: what is new."""
        with self._lock:
            new, self._new = self._new, []
            return new

    def drop(self) -> list[_Knock]:
        """For the thread: what nobody waits for any more."""
        with self._lock:
            unwanted, self._unwanted = self._unwanted, []
            return unwanted

    def retire(self) -> bool:
        """For the thread: whether it may end, since nothing is new."""
        with self._lock:
            if not self._new and self._wake is not None:
                self._wake.close()
                self._wake = None
            return self._wake is None

    def hand_over(self, knock: _Knock, answer: socket.socket | OSError) -> None:
        """For the thread: the end of a knock."""
        with self._lock:
            wanted = self._knocks.get(knock.name) is knock
            if wanted:
                self._answers[knock.name] = answer
        if wanted:
            knock.then()
        elif isinstance(answer, socket.socket):
            answer.close()


class _Round:
    """The thread's own: what it waits for."""

    def __init__(self, doors: Doors, woken: socket.socket) -> None:
        self._doors = doors
        self._woken = woken
        self._selector = selectors.DefaultSelector()
        self._selector.register(woken, selectors.EVENT_READ)
        self._waiting: deque[_Knock] = deque()
        """The oldest first, which is the one whose time is over first."""
        self._again: list[tuple[float, int, _Knock]] = []
        self._count = itertools.count()

    def run(self) -> None:
        with self._woken, self._selector:
            while True:
                for knock in self._doors.admit():
                    self._waiting.append(knock)
                    self._try(knock)
                for knock in self._doors.drop():
                    if not knock.over:
                        self._end(knock, None)
                self._expire()
                if not self._waiting and self._doors.retire():
                    return
                for key, _ in self._selector.select(self._left_s()):
                    if key.data is None:
                        self._woken.recv(65536)
                    else:
                        self._hear(key.data, key.fileobj)
                while self._again and self._again[0][0] <= time.monotonic():
                    self._try(heapq.heappop(self._again)[2])

    def _left_s(self) -> float | None:
        times = [self._waiting[0].until] if self._waiting else []
        times += [self._again[0][0]] if self._again else []
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _try(self, knock: _Knock) -> None:
        """Connect without waiting for it."""
        if knock.over:
            return
        family, address = knock.where
        try:
            knock.sock = socket.socket(family, socket.SOCK_STREAM)
            knock.sock.settimeout(0)
            code = knock.sock.connect_ex(address)
            if code not in {0, errno.EINPROGRESS}:
                raise OSError(code, os.strerror(code))
            self._selector.register(knock.sock, selectors.EVENT_WRITE, knock)
        except OSError as exc:
            self._refused(knock, exc)

    def _hear(self, knock: _Knock, sock: Any) -> None:
        """It has connected, been refused, or greeted."""
        if knock.connected:
            self._end(knock, sock)
            return
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._selector.unregister(sock)
            self._refused(knock, OSError(code, os.strerror(code)))
        else:
            knock.connected = True
            self._selector.modify(sock, selectors.EVENT_READ, knock)

    def _refused(self, knock: _Knock, why: OSError) -> None:
        knock.error = why
        if knock.sock is not None:
            knock.sock.close()
            knock.sock = None
        later = time.monotonic() + _AGAIN_S + _EACH_S * len(self._waiting)
        heapq.heappush(self._again, (later, next(self._count), knock))

    def _expire(self) -> None:
        """End what has been waited for long enough; one that is connected may still greet whoever takes it."""
        while self._waiting and (self._waiting[0].over or self._waiting[0].until <= time.monotonic()):
            knock = self._waiting.popleft()
            if not knock.over:
                self._end(knock, knock.sock if knock.connected else None)

    def _end(self, knock: _Knock, connection: socket.socket | None) -> None:
        knock.over = True
        if knock.sock is not None:
            self._selector.unregister(knock.sock)
            if connection is None:
                knock.sock.close()
        if connection is not None:
            connection.settimeout(None)
        self._doors.hand_over(knock, connection or knock.error or TimeoutError("timed out"))


def _where(address: str, port: int) -> tuple[int, Any] | None:
    """What the system wants to know to connect; None if the address is a name."""
    try:
        found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return None
    return found[0][0], found[0][4]


def _has_gone(sock: socket.socket) -> bool:
    """Whether the other side has hung up; an SSH server does so with whoever does not log in for two minutes."""
    try:
        return not sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _allow_files() -> None:
    """Have as many open files as this user may: each node is one, and a thousand is a usual limit."""
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if most == resource.RLIM_INFINITY else min(most, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):  # some systems have another limit behind that one
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
