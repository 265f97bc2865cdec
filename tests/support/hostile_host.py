"""A host that lets us in and means ill: an SSH server that answers whatever it is asked with what it likes."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import asyncssh

if TYPE_CHECKING:
    from collections.abc import Iterator

ESCAPE = "\x1b]0;owned\x07\x1b[2J\x9b31m"
FACTS = "id 0\nkernel Linux\ncores 2\ninit systemd\npython /usr/bin/python3\n"
_MARK = re.compile(rb"clusterctl-[0-9a-f]{16}")
_SCRIPT_ENDS = (b"owner_main\n", b"clusterctl_script\nexit $?\n")
_CHUNK = b"x" * 65535 + b"\n"


def _shapes() -> dict[str, bytes]:
    hub = {"answered": True, "engines": {"0": "x"}, "client": {}, "notebook": {}, "trouble": [], "task": ""}
    health = {"services": [], "manager": "", "watched": True}
    instance = {"service": "controller", "number": 0, "trouble": "", "facts": {"engines": {"0": "x"}}}
    deep = "[" * 100_000
    said = {
        "nothing": "",
        "words": "hello\nworld",
        "escapes": ESCAPE,
        "escapes in JSON": json.dumps(
            health | {"manager": ESCAPE, "services": [instance | {"trouble": ESCAPE, "service": ESCAPE}]}
        ),
        "null": "null",
        "a list": "[1, 2]",
        "deep": deep,
        "deep below a name": '{"services": ' + deep,
        "not a number": json.dumps(health | {"services": [instance | {"number": float("nan")}]}),
        "infinite": json.dumps(
            health | {"services": [instance | {"number": float("inf"), "restarts": {"count": 1e400}}]}
        ),
        "huge number": '{"services": [], "manager": 1' + "0" * 5000 + "}",
        "wrong types": json.dumps({"services": {"a": 1}, "manager": [], "engines": [], "client": 3, "notebook": "x"}),
        "wrong types within": json.dumps(health | {"services": [instance | {"facts": {"engines": [ESCAPE]}}, 3]}),
        "twice": '{"services": [], "services": 3, "manager": "", "manager": null}',
        "hub": json.dumps(
            hub | {"client": {"mux": "../../x", "interface": ESCAPE}, "notebook": {"port": "x", "token": 3}}
        ),
        "hub with names": json.dumps(hub | {"engines": {"../../x": "y", "1" * 5000: "z"}}),
        "names": "../../../x\n/etc/passwd\n..\n" + "n" * 100_000,
        "facts": FACTS,
        "bad facts": "id 0\nkernel Linux\ncores " + "9" * 5000 + "\ninit systemd\npython x\n",
    }
    return {name: text.encode() for name, text in said.items()} | {
        "no text": bytes(range(256)) * 40,
        "nulls": b"\0" * 10_000,
    }


SHAPES = _shapes()
STREAMS = ("endless", "endless line", "endless errors", "hangs up", "no status")


class HostileHost:
    """The server, in a thread of its own.

    Attributes:
        says: the name of a shape or a stream.
        polite: for how many questions it gives honest facts first.
        asked: all that it was sent.
    """

    def __init__(self, host_key: str, public_key: str) -> None:
        self.says = "nothing"
        self.polite = 0
        self.asked: list[bytes] = []
        self.port = 0
        self._keys = (host_key, public_key)
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._up.wait(30)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listen())
        self._loop.run_forever()
        self._server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _listen(self) -> None:
        self._server = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[asyncssh.import_private_key(self._keys[0])],
            authorized_client_keys=asyncssh.import_authorized_keys(self._keys[1]),
            process_factory=self._answer,
            encoding=None,
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self._up.set()

    async def _answer(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        asked = (process.command or "").encode()
        with suppress(asyncssh.Error, OSError, asyncio.TimeoutError):
            if b"sh -s" in asked:
                while not asked.endswith(_SCRIPT_ENDS):
                    more = await asyncio.wait_for(process.stdin.read(65536), 20)
                    if not more:
                        break
                    asked += more
        self.asked.append(asked)
        mark = _MARK.search(asked)
        with suppress(asyncssh.Error, OSError, ConnectionError):
            process.stdout.write((mark[0] if mark else b"") + b"\n")
            if self.polite > 0:
                self.polite -= 1
                process.stdout.write(FACTS.encode())
                process.exit(0)
            else:
                await self._do(process)

    async def _do(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        if self.says in SHAPES:
            process.stdout.write(SHAPES[self.says] + b"\n")
            process.stderr.write(SHAPES[self.says][:2000] + b"\n")
            process.exit(0 if len(self.asked) % 2 else 1)
        elif self.says == "hangs up":
            process.channel.get_connection().abort()
        elif self.says == "no status":
            process.channel.close()
        else:
            out = process.stderr if self.says == "endless errors" else process.stdout
            while True:
                out.write(_CHUNK if self.says == "endless" else _CHUNK[:-1])
                await out.drain()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)


@contextmanager
def hostile_host(host_key: str, public_key: str) -> Iterator[HostileHost]:
    host = HostileHost(host_key, public_key)
    try:
        yield host
    finally:
        host.close()
