"""The instance metadata service at 169.254.169.254, which knows by the address who asks.

As "Use IMDSv2" of the EC2 user guide says: a session begins with a PUT that says how long its token shall hold; without
a token there is nothing where the instance was launched with HttpTokens=required, and nothing at all where its endpoint
is disabled. The answer to the PUT goes as many hops as the instance allows.
"""

from __future__ import annotations

import secrets
import socket
import subprocess
import threading
import time
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from .metadata_tree import identity, metadata, read
from .subnet import METADATA

if TYPE_CHECKING:
    from ..cloud import Cloud
    from ..instances.machine_view import Machine

TTL = "X-aws-ec2-metadata-token-ttl-seconds"
TOKEN = "X-aws-ec2-metadata-token"
_LONGEST_S = 21600
_KEYS = "public-keys"


class Metadata:
    """Answers for every instance of a cloud that runs, as long as the context lasts.

    Args:
        cloud: the stand-in.
        bridge: the bridge of the bodies' network: it gets the address of the service.
    """

    def __init__(self, cloud: Cloud, bridge: str) -> None:
        self._cloud = cloud
        self._bridge = bridge
        self._tokens: dict[str, tuple[str, float]] = {}
        self._recommended: dict[str, datetime] = {}

    def __enter__(self) -> Metadata:
        subprocess.run(["ip", "address", "add", f"{METADATA}/32", "dev", self._bridge], check=True)
        self._server = serve(self, (METADATA, 80), device=self._bridge)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        # The bridge is gone before this where its network was removed by somebody.
        subprocess.run(["ip", "address", "delete", f"{METADATA}/32", "dev", self._bridge], capture_output=True)

    def recommend_rebalance(self, instance_id: str) -> None:
        """Tell an instance that it is likelier than others to be taken back: before its notice, if that ever comes."""
        self._recommended[instance_id] = datetime.now(timezone.utc)

    def machine_at(self, address: str) -> Machine | None:
        """The instance that asks."""
        here = [each for each in self._cloud.machines() if each.runs and each.private_address == address]
        return here[0] if here else None

    def new_token(self, machine: Machine, ttl_s: int) -> str:
        """A token for this instance alone."""
        token = secrets.token_urlsafe(40)
        self._tokens[token] = (machine.id, time.monotonic() + ttl_s)
        return token

    def admits(self, machine: Machine, token: str | None) -> bool:
        """Whether an instance may ask with this token, or with none."""
        if token is None:
            return machine.metadata["http_tokens"] != "required"
        owner, until = self._tokens.get(token, ("", 0.0))
        return owner == machine.id and time.monotonic() < until

    def value(self, machine: Machine, path: str) -> bytes | None:
        """What is at a path below the version; None where there is nothing."""
        if path.strip("/") == "user-data":
            return machine.user_data or None
        if path.strip("/") == f"meta-data/{_KEYS}" and machine.public_key:
            return f"0={machine.key_name}".encode()
        tree = {
            "dynamic": {"instance-identity": {"document": identity(machine)}},
            "meta-data": metadata(machine, rebalance=self._recommended.get(machine.id)),
        }
        found = read(tree, path)
        return None if found is None else found.encode()


def serve(service: Metadata, address: tuple[str, int], *, device: str = "") -> ThreadingHTTPServer:
    """A server that answers from now on; with a device, who asks there alone: other runs answer on theirs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version, sys_version = "EC2ws", ""

        def do_GET(self) -> None:
            machine = self._asking()
            if machine is None:
                return
            if not service.admits(machine, self.headers[TOKEN]):
                self._answer(401)
                return
            _, _, path = self.path.lstrip("/").partition("/")
            found = service.value(machine, path)
            self._answer(404 if found is None else 200, found or b"")

        def do_PUT(self) -> None:
            machine = self._asking()
            if machine is None:
                return
            ttl = self.headers[TTL] or ""
            if self.path != "/latest/api/token":
                self._answer(405)
            elif self.headers["X-Forwarded-For"]:
                self._answer(403)
            elif not ttl.isdigit() or not 1 <= int(ttl) <= _LONGEST_S:
                self._answer(400)
            else:
                hops = int(machine.metadata["http_put_response_hop_limit"])
                self.connection.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)
                self._answer(200, service.new_token(machine, int(ttl)).encode(), {TTL: ttl})

        def _asking(self) -> Machine | None:
            """Who asks, if that one may ask at all; otherwise it has its answer."""
            machine = service.machine_at(self.client_address[0])
            if machine is None:
                self._answer(404)
            elif machine.metadata["http_endpoint"] == "disabled":
                self._answer(403)
                machine = None
            return machine

        def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def server_bind(self) -> None:
            if device:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
            super().server_bind()

    server = Server(address, Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True, name="metadata").start()
    return server
