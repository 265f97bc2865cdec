"""The HTTP server in front: one thread a connection, connections kept open, answers sent in one piece."""

from __future__ import annotations

import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from . import wire

if TYPE_CHECKING:
    from collections.abc import Callable


class Proxy:
    """A port of this computer whose requests go to `handle`; an answer of None closes the connection without a word."""

    def __init__(self, handle: Callable[[wire.Request], wire.Answer | None]) -> None:
        self.handle = handle
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closing = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def setup(self) -> None:
                with outer._lock:
                    outer._open.add(self.request)
                super().setup()

            def finish(self) -> None:
                with contextlib.suppress(OSError):
                    super().finish()
                with outer._lock:
                    outer._open.discard(self.request)

            def handle(self) -> None:
                with contextlib.suppress(ConnectionError, ValueError):
                    super().handle()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = outer.handle(wire.read(self.command, self.path, headers, body))
                if answer is None:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)
                self.wfile.flush()

            do_GET = do_PUT = do_DELETE = do_POST  # noqa: N815  the names that http.server looks for

            def log_message(self, *arguments: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._serve, daemon=True, name="standin")
        self._thread.start()

    def _serve(self) -> None:
        """Take connections until told to close. `serve_forever` would look for that 20 times a second, and so late."""
        while True:
            request, address = self._server.get_request()
            if self._closing:
                request.close()
                return
            self._server.process_request(request, address)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop listening and hang up on who is still connected."""
        self._closing = True
        socket.create_connection(self._server.server_address).close()
        self._thread.join()
        self._server.server_close()
        self.hang_up()

    def hang_up(self) -> None:
        """End all connections that are open."""
        with self._lock:
            left = list(self._open)
        for connection in left:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
