"""Files of the store from one engine to another: by a line for this one file, which is encrypted.

Who receives listens, and lets in the one engine whose key its client has named. Who sends knows the other's key. Both
have threads for it: a task may be at work, and messages of control are answered all the time. What has come is believed
when its content has the digest that is its name.
"""

from __future__ import annotations

import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

import zmq

if TYPE_CHECKING:
    from collections.abc import Callable

    # Their texts come before this one.
    from .doors import Doorkeeper, endpoint, own_address  # noqa: TC004
    from .object_files import BLOCK, Part, StoreError  # noqa: TC004

QUIET_S = 10.0
"""After which a line on which nothing comes is given up."""
WAITING_PIECES = 8
MOST_OFFERS = 100


class Passing:
    """What one engine sends to others, and receives."""

    def __init__(self) -> None:
        self._offers: dict[str, tuple[bytes, bytes]] = {}
        self._arrivals: dict[str, Arrival] = {}

    def offer(self) -> dict[str, Any]:
        """Return a name and the public key with which this engine will come."""
        while len(self._offers) >= MOST_OFFERS:
            self._offers.pop(next(iter(self._offers)))
        name, keys = uuid.uuid4().hex, zmq.curve_keypair()
        self._offers[name] = keys
        return {"offer": name, "key": keys[0].decode()}

    def receive(self, part: Part, size: int, key: str, done: Callable[[Part], object]) -> dict[str, Any]:
        """Listen for a file. Return where.

        Args:
            part: where it is written to.
            size: its bytes.
            key: of the engine that will send it.
            done: called when it has come whole.
        """
        arrival = Arrival(part, size, key, done)
        name = uuid.uuid4().hex
        self._arrivals[name] = arrival
        arrival.start()
        return {"arrival": name, "address": arrival.address, "port": arrival.port, "key": arrival.key}

    def look(self, name: str, *, end: bool) -> dict[str, Any]:
        """Return how far a file is that comes. `end` gives it up."""
        arrival = self._arrivals.get(name)
        if arrival is None:
            return {"error": "it is not known here"}
        arrival.is_over |= end
        if arrival.is_alive():
            return {"bytes": arrival.part.size}
        del self._arrivals[name]
        return {"error": arrival.error} if arrival.error else {"done": True}

    def send(self, offer: str, open_file: Callable[[], Any], where: dict[str, Any]) -> None:
        """Send a file, in a thread, to who listens there.

        Raises:
            StoreError: nothing was offered by this name.
        """
        keys = self._offers.pop(offer, None)
        if keys is None:
            raise StoreError("it was not offered")
        target = str(where["key"]).encode(), endpoint(str(where["address"]), int(where["port"]))
        threading.Thread(target=_send, args=(open_file(), keys, *target), daemon=True).start()


def _send(file: Any, keys: tuple[bytes, bytes], key: bytes, target: str) -> None:
    context = zmq.Context()
    try:
        line = context.socket(zmq.PUSH)
        line.curve_publickey, line.curve_secretkey = keys
        line.curve_serverkey = key
        line.ipv6 = "[" in target
        line.sndhwm, line.sndtimeo = WAITING_PIECES, int(1000 * QUIET_S)
        line.connect(target)
        with file:
            while piece := file.read(BLOCK):
                line.send(piece)
    except zmq.ZMQError:
        pass  # who receives says what is missing
    finally:
        context.destroy(linger=int(1000 * QUIET_S))


class Arrival(threading.Thread):
    """A file that comes."""

    def __init__(self, part: Part, size: int, key: str, done: Callable[[Part], object]) -> None:
        super().__init__(daemon=True)
        self.part, self._size, self._done = part, size, done
        self.is_over, self.error = False, ""
        public, secret = zmq.curve_keypair()
        self.address, self.key = own_address(), public.decode()
        self._context = zmq.Context()
        self._door = Doorkeeper(self._context)
        self._door.keys = {b"file": key}
        self._line = self._context.socket(zmq.PULL)
        self._line.curve_publickey, self._line.curve_secretkey = public, secret
        self._line.curve_server, self._line.zap_domain = True, b"file"
        self._line.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        self._line.ipv6 = ":" in self.address
        self._line.rcvhwm = WAITING_PIECES
        self._line.maxmsgsize = 2 * BLOCK  # it counts what encryption adds
        self.port = self._line.bind_to_random_port(endpoint(self.address))

    def run(self) -> None:
        """Take it in."""
        try:
            self._take()
            self._done(self.part)
        except (OSError, StoreError, zmq.ZMQError) as error:
            self.error = str(error) or type(error).__name__
            self.part.drop()
        finally:
            self._context.destroy(linger=0)

    def _take(self) -> None:
        poller = zmq.Poller()
        poller.register(self._line, zmq.POLLIN)
        poller.register(self._door.socket, zmq.POLLIN)
        until = time.monotonic() + QUIET_S
        while self.part.size < self._size:
            ready = dict(poller.poll(100))
            if self._door.socket in ready:
                self._door.answer()
            if self._line in ready:
                piece = self._line.recv()
                if self.part.size + len(piece) > self._size:
                    raise StoreError("more has come than was announced")
                self.part.write(piece, self.part.size)
                until = time.monotonic() + QUIET_S
            if self.is_over or time.monotonic() > until:
                raise StoreError("nothing came from the engine that has it")


PASSING = Passing()
