"""A long way to a cluster, on this computer: a relay that carries bytes late, and not faster than a line would.

The whole of a laptop's connection goes through it: the tunnel's one SSH connection.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl.identity.endpoints import known_hosts_name
from clusterctl.tunnel import process as tunnel

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUND_TRIP_S, MBIT_S = 0.08, 20.0
_PIECE = 16 * 1024
_BUFFER_S = 0.1
"""What waits at the near end of a line, as in a router, before its sender has to wait."""


class _Line:
    """One direction, which all connections share."""

    def __init__(self, delay_s: float, bytes_s: float) -> None:
        self._delay_s, self._bytes_s = delay_s, bytes_s
        self._free_at = 0.0

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry what comes until the sender ends."""
        loop = asyncio.get_running_loop()
        arriving: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        delivery = asyncio.ensure_future(self._deliver(arriving, writer))
        try:
            while data := await reader.read(_PIECE):
                self._free_at = max(self._free_at, loop.time()) + len(data) / self._bytes_s
                arriving.put_nowait((self._free_at + self._delay_s, data))
                await asyncio.sleep(max(0.0, self._free_at - loop.time() - _BUFFER_S))
        except OSError:
            delivery.cancel()
        arriving.put_nowait((loop.time() + self._delay_s, b""))
        with suppress(OSError, asyncio.CancelledError):
            await delivery

    @staticmethod
    async def _deliver(arriving: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while True:
            at, data = await arriving.get()
            await asyncio.sleep(at - loop.time())
            if not data:
                writer.close()
                return
            writer.write(data)
            await writer.drain()


async def relay(host: str, port: int, round_trip_s: float, mbit_s: float) -> None:
    """Listen on another port of a host of this computer, print it, and carry all that comes, until killed."""
    there, back = (_Line(round_trip_s / 2, mbit_s * 1e6 / 8) for _ in range(2))

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(round_trip_s)  # a connection is made by a packet there and one back
        far_reader, far_writer = await asyncio.open_connection(host, port)
        await asyncio.gather(there.carry(reader, far_writer), back.carry(far_reader, writer))

    server = await asyncio.start_server(connect, host, 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def far_way(host: str, port: int, *, round_trip_s: float = ROUND_TRIP_S, mbit_s: float = MBIT_S) -> Iterator[int]:
    """Yield the port of a long way to another port of a host of this computer."""
    arguments = [host, str(port), "--round-trip", str(round_trip_s), "--mbit", str(mbit_s)]
    command = [sys.executable, str(Path(__file__)), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


@contextmanager
def far_tunnel(folder: Path, *, round_trip_s: float = ROUND_TRIP_S, mbit_s: float = MBIT_S) -> Iterator[None]:
    """Have a cluster's tunnel go a long way meanwhile.

    Args:
        folder: of the cluster, on the laptop; its tunnel is up.
        round_trip_s: there and back.
        mbit_s: in each direction.
    """
    target = tunnel.Target(**json.loads((folder / tunnel.TUNNEL_FILE).read_text())["target"])
    forwards = tunnel.read_forwards(folder)
    pinned = folder / "far_known_hosts"
    with far_way(target.address, target.port, round_trip_s=round_trip_s, mbit_s=mbit_s) as port:
        near, far = (known_hosts_name(target.address, number) for number in (target.port, port))
        pinned.write_text(Path(target.known_hosts).read_text().replace(near, far))
        tunnel.open_tunnel(folder, replace(target, port=port, known_hosts=str(pinned)), forwards)
        try:
            yield
        finally:
            tunnel.open_tunnel(folder, target, forwards)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--round-trip", type=float, default=ROUND_TRIP_S, help="seconds")
    parser.add_argument("--mbit", type=float, default=MBIT_S, help="a second, in each direction")
    options = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(relay(options.host, options.port, options.round_trip, options.mbit))
