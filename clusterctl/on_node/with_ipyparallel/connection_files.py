"""Makes the controller's ports, keys and connection files on the master, and keeps those that are still good.

Prints the file for engines. Only the keys need zmq, which takes longer to load than all else here.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from .ports import is_open, listens, own_ports, processes_with
from .records.kept_files import bring_back, keep, read_document

_ENGINE = ("registration", "control", "mux", "task", "iopub", "hb_ping", "hb_pong")
_CLIENT = ("control", "mux", "task", "iopub", "notification", "broadcast")
_STARTS_S = 60
"""Within it a controller that starts has all of its ports."""
_BROADCAST_LEAVES = 2
"""Of ipyparallel's default depth, 1."""
_LOOPBACK = "127.0.0.1"
_FIRST_PORT, _PORTS = 10000, 20000
_END_PORT = 32768
"""Below the range that outgoing connections take theirs from, so that ports stay ours over a stop."""


class Files:
    """The files of a profile's controller."""

    def __init__(self, profile: Path, engine_ip: str, *, curve: bool) -> None:
        self._profile = profile
        self._engine_ip = engine_ip
        self._curve = curve
        self._taken: set[int] = set()
        self._client, self.engine, self._keys = (
            self.load(f"ipcontroller-{kind}") for kind in ("client", "engine", "curve")
        )

    @property
    def _terms(self) -> dict[str, object]:
        """What ports and keys are made for."""
        return {"engine_ip": self._engine_ip, "curve": self._curve}

    def _path(self, name: str) -> Path:
        return self._profile / "security" / f"{name}.json"

    def load(self, name: str) -> Any:
        """Return the document in a file; None where it is not there or not whole."""
        return read_document(self._path(name))

    def save(self, name: str, content: object) -> None:
        """Write a file for its owner only, whole or not at all."""
        write_private(self._path(name), content)

    def remove(self, name: str) -> None:
        """Remove a file."""
        self._path(name).unlink()

    def choose_ports(self, address: str, count: int) -> list[int]:
        """Return ports that are free on this address and on the loopback, and that nothing here has yet."""
        start = _FIRST_PORT + secrets.randbelow(_PORTS)
        chosen: list[int] = []
        for port in range(start, _END_PORT):
            if port not in self._taken and is_free(address, port) and is_free(_LOOPBACK, port):
                chosen.append(port)
                self._taken.add(port)
                if len(chosen) == count:
                    return chosen
        raise SystemExit(f"no {count} free ports between {start} and {_END_PORT} on {address}")

    def are_usable(self) -> bool:
        """Return whether their ports are free, or our controller's, which takes them one by one when it starts."""
        if not (self._client and self.engine and self._keys and self._has_keys()):
            return False
        if self.load("ipcontroller_terms") != self._terms:
            return False
        leaves = self.engine.get("broadcast")
        client_ports = [self._client.get(name) for name in _CLIENT]
        engine_ports = [*(self.engine.get(name) for name in _ENGINE), *(leaves if isinstance(leaves, list) else [None])]
        if not all(map(_is_port, [*client_ports, *engine_ports])):
            return False
        deadline = time.monotonic() + _STARTS_S
        while True:
            free = [is_free(_LOOPBACK, port) for port in client_ports]
            free += [is_free(self._engine_ip, port) for port in engine_ports]
            if all(free) or (not any(free) and self._controller_has({*client_ports, *engine_ports})):
                return True
            if not self._controllers() or time.monotonic() > deadline:
                return False
            threading.Event().wait(0.2)

    def make(self) -> None:
        """Choose ports and keys anew. A controller that has the former ones is ended: it starts with these."""
        import zmq

        public, secret = zmq.curve_keypair() if self._curve else (b"", b"")
        base = {
            "ssh": "",
            "key": "" if self._curve else secrets.token_hex(32),
            "curve_serverkey": public.decode() or None,
            "pack": "json",
            "unpack": "json",
            "signature_scheme": "hmac-sha256",
        }
        ports = self.choose_ports(self._engine_ip, len(_ENGINE) + _BROADCAST_LEAVES)
        place = {"interface": f"tcp://{self._engine_ip}", "location": self._engine_ip}
        engine_ports = dict(zip(_ENGINE, ports[: len(_ENGINE)], strict=True))
        self.engine = {**engine_ports, "broadcast": ports[len(_ENGINE) :], **base, **place}
        local = {"interface": f"tcp://{_LOOPBACK}", "location": _LOOPBACK, "task_scheme": "leastload"}
        client_ports = dict(zip(_CLIENT, self.choose_ports(_LOOPBACK, len(_CLIENT)), strict=True))
        self._client = {**client_ports, "registration": self.engine["registration"], **base, **local}
        self._keys = {"public": public.decode(), "secret": secret.decode()}
        self.save("ipcontroller-curve", self._keys)
        self.save("ipcontroller-engine", self.engine)
        self.save("ipcontroller-client", self._client)
        self.save("ipcontroller_terms", self._terms)
        for process in self._controllers():  # what watches over it starts it again
            with contextlib.suppress(OSError):
                os.kill(process, signal.SIGTERM)

    def _has_keys(self) -> bool:
        """Whether all files are of one pair of keys, or of none where none is wanted."""
        public, secret = (self._keys.get(name) for name in ("public", "secret"))
        if not isinstance(public, str) or not isinstance(secret, str) or bool(public and secret) != self._curve:
            return False
        return all(side.get("curve_serverkey") == (public or None) for side in (self._client, self.engine))

    def _controller_has(self, ports: set[int]) -> bool:
        """Whether our own controller listens on all of these: another user may have taken them meanwhile.

        By the user, not by the process: an earlier version started it in another way. Where the system does not tell,
        whoever listens is believed.
        """
        return ports <= own_ports() if sys.platform == "linux" else is_open(_LOOPBACK, self._client["registration"])

    def _controllers(self) -> list[int]:
        """The processes of our controller; none where the system does not tell."""
        return processes_with(str(self._profile / "ipcontroller.py"))


def _is_port(number: object) -> bool:
    return isinstance(number, int) and 0 < number < 65536


def write_private(path: Path, content: object) -> None:
    """Write JSON for its owner only, whole or not at all. A folder that has taken its name is set aside."""
    if path.is_dir():
        path.replace(path.with_name(f"{path.name}.broken-{secrets.token_hex(4)}"))
    draft = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file)
    draft.replace(path)


def is_free(address: str, port: int) -> bool:
    """Return whether a server could have this port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def settle_notebook(files: Files, wanted: dict[str, Any] | None) -> None:
    """Keep, make or remove the notebook's port and token; `wanted` says what its configuration is, and where.

    They are kept while the server runs that has them. Somebody else may have got the port since, and with it the token
    of whoever opened the former URL.
    """
    notebook = files.load("notebook")
    if wanted is None:
        if notebook:
            files.remove("notebook")
        return
    if not (notebook and _is_port(notebook.get("port")) and isinstance(notebook.get("token"), str)):
        notebook = None
    if not (notebook and _is_ours(notebook["port"], f"--config={Path(wanted['config']).with_suffix('.py')}")):
        port = notebook["port"] if notebook and is_free(_LOOPBACK, notebook["port"]) else None
        notebook = {"port": port or files.choose_ports(_LOOPBACK, 1)[0], "token": secrets.token_urlsafe(24)}
        files.save("notebook", notebook)
    server = {**wanted["server"], "ip": _LOOPBACK, "port": notebook["port"], "port_retries": 0, "open_browser": False}
    config = {**wanted["more"], "IdentityProvider": {"token": notebook["token"]}, "ServerApp": server}
    write_private(Path(wanted["config"]), config)


def _is_ours(port: int, word: str) -> bool:
    """Return whether our server runs with this port, or is about to: one that just starts does not listen yet."""
    return listens(word, port) or (bool(processes_with(word)) and is_free(_LOOPBACK, port))


def main(values: dict[str, Any]) -> None:
    """Make what the profile lacks, and print the file for engines."""
    kept, security = values["kept"], Path(values["profile"]) / "security"
    if kept:
        bring_back(Path(kept), security, values["engine_ip"], write_private)
    files = Files(Path(values["profile"]), values["engine_ip"], curve=values["curve"])
    if not files.are_usable():
        files.make()
    settle_notebook(files, values["notebook"])
    if kept:
        keep(security, Path(kept), write_private)
    print(json.dumps(files.engine))
