"""Asks the service manager which services run, and as which processes."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import subprocess
import xmlrpc.client
from typing import Any, Protocol

_AT_REST = ("EXITED", "FATAL", "UNKNOWN")
_WAIT_S = 3.0
_STOP_S = 120.0
_UNIT = re.compile(r"clusterctl-(.+)@(\d+)\.service")


class Manager(Protocol):
    """What watches over services on this node."""

    def states(self) -> dict[str, dict[str, Any]]:
        """Return ``pid`` (0: none) and ``detail`` of each instance, by ``NAME-N``.

        Raises:
            OSError: it does not answer.
        """

    def revive(self) -> list[str]:
        """Start those that it has given up, as `states` saw them; return them."""

    def stop_all(self, but: str) -> None:
        """Stop all services but one, so that none of them starts again by itself. To repeat it does no harm.

        Raises:
            OSError: it does not answer.
        """


class LocalTransport(xmlrpc.client.Transport):
    """Connects to a socket of this machine."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        """Connect to the socket, whatever the host is called."""
        name, self._extra_headers, _ = self.get_host_info(host)
        connection = http.client.HTTPConnection(name)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(_WAIT_S)
        connection.sock.connect(self._path)
        return connection


class Supervisord:
    """A supervisord, by its socket."""

    def __init__(self, path: str, login: str) -> None:
        self._path, self._login = path, login
        self._infos: list[dict[str, Any]] = []

    def _ask(self) -> Any:
        # Anew each time: a connection that is kept would be that of a supervisord that is gone.
        transport = LocalTransport(self._path)
        return xmlrpc.client.ServerProxy(
            f"http://{self._login}:{self._login}@localhost", transport=transport
        ).supervisor

    def states(self) -> dict[str, dict[str, Any]]:
        """See Manager."""
        try:
            self._infos = self._ask().getAllProcessInfo()
        except (xmlrpc.client.Error, http.client.HTTPException, ValueError) as exc:
            raise OSError(str(exc)) from exc
        return {
            info["name"]: {"pid": info["pid"], "detail": f"{info['statename'].lower()} {info['description']}".strip()}
            for info in self._infos
        }

    def revive(self) -> list[str]:
        """See Manager. Supervisord gives up after some ends in a row, and begins again only when it is told to."""
        begun = []
        for info in self._infos:
            if info["statename"] in _AT_REST:
                try:
                    self._ask().startProcess(f"{info['group']}:{info['name']}", False)  # noqa: FBT003  by position only
                    begun.append(info["name"])
                except xmlrpc.client.Fault:
                    continue
        return begun

    def stop_all(self, but: str) -> None:
        """See Manager. Supervisord stops them side by side, and starts them again when it is started anew itself."""
        self.states()
        for info in self._infos:
            if info["group"] != but and info["statename"] not in ("STOPPED", "STOPPING"):
                with contextlib.suppress(xmlrpc.client.Fault):  # it has ended by itself
                    self._ask().stopProcess(f"{info['group']}:{info['name']}", False)  # noqa: FBT003  by position only


class Systemd:
    """The systemd of this machine."""

    def states(self) -> dict[str, dict[str, Any]]:
        """See Manager."""
        words = ["systemctl", "show", "--property=Id,ActiveState,SubState,MainPID", "clusterctl-*@*.service"]
        try:
            said = subprocess.run(words, capture_output=True, text=True, timeout=_WAIT_S, check=True).stdout
        except subprocess.SubprocessError as exc:
            raise OSError(str(exc)) from exc
        states = {}
        for block in said.split("\n\n"):
            facts = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
            unit = _UNIT.fullmatch(facts.get("Id", ""))
            if unit:
                detail = f"{facts['ActiveState']} {facts['SubState']}"
                states[f"{unit[1]}-{unit[2]}"] = {"pid": int(facts["MainPID"]), "detail": detail}
        return states

    def revive(self) -> list[str]:
        """See Manager. Its units have no limit, so it never gives up."""
        return []

    def stop_all(self, but: str) -> None:
        """See Manager. Disabled, they do not come back at the next boot: the next join enables them."""
        units = [f"clusterctl-{service}@{number}.service" for service, number in self._instances() if service != but]
        if not units:
            return
        words = ["systemctl", "--quiet", "disable", "--now", *units]
        try:
            subprocess.run(words, capture_output=True, timeout=_STOP_S, check=True)
        except subprocess.SubprocessError as exc:
            raise OSError(str(exc)) from exc

    def _instances(self) -> list[tuple[str, str]]:
        return [(service, number) for service, _, number in (name.rpartition("-") for name in self.states())]


def find_manager(values: dict[str, Any]) -> Manager:
    """Return the service manager of this node: with a socket it is supervisord."""
    return Supervisord(values["socket"], values["login"]) if values.get("socket") else Systemd()
