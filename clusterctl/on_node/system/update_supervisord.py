"""Tells the supervisord that runs what has changed, and starts what is not running.

supervisorctl does it too, in two calls which each load a shell's worth of modules, and the second waits until the
services have run for a second.
"""

from __future__ import annotations

import xmlrpc.client
from typing import Any

from .watching.managers import LocalTransport

_AT_REST = ("STOPPED", "EXITED", "FATAL", "UNKNOWN")


def update(supervisor: Any, services: list[str]) -> None:
    """Have it read its files again, and start those of these services that are at rest."""
    added, changed, removed = supervisor.reloadConfig()[0]
    for name in [*removed, *changed]:
        supervisor.stopProcessGroup(name)
        supervisor.removeProcessGroup(name)
    for name in [*changed, *added]:
        supervisor.addProcessGroup(name)
    # What was added begins now, a service that gave up or was stopped by hand runs again, and one that runs is left
    # alone.
    for process in supervisor.getAllProcessInfo():
        if process["group"] in services and process["statename"] in _AT_REST:
            try:
                supervisor.startProcess(f"{process['group']}:{process['name']}", False)  # noqa: FBT003  by position only
            except xmlrpc.client.Fault as fault:
                print(process["name"], fault.faultString)


def main(values: dict[str, Any]) -> None:
    """Update the supervisord behind `socket`, whose name and password are `login`; `services` are to run."""
    login = values["login"]
    proxy = xmlrpc.client.ServerProxy(f"http://{login}:{login}@localhost", transport=LocalTransport(values["socket"]))
    update(proxy.supervisor, values["services"])
