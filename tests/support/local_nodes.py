"""Nodes that are processes of this computer: sessions on them, and what runs there."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
import time
from pathlib import Path

import paramiko
import psutil

from clusterctl.model import NodeState
from clusterctl.providers.local import power

DEADLINE_S = 30


def connect(node, **options):
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    kind, body = node.host_key.split()[:2]
    pinned = paramiko.PKey.from_type_string(kind, base64.b64decode(body))
    client.get_host_keys().add(f"[{node.address}]:{node.port}", kind, pinned)
    line = socket.create_connection((node.address, node.port), timeout=DEADLINE_S)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    options = {"username": node.user, "look_for_keys": False, "allow_agent": False, "sock": line, **options}
    try:
        client.connect(node.address, node.port, timeout=DEADLINE_S, **options)
    except BaseException:
        client.close()
        raise
    return client


def run(client, command, *, stdin=b""):
    """Exit status, output, errors."""
    channel = client.get_transport().open_session()
    channel.settimeout(DEADLINE_S)
    channel.exec_command(command)
    channel.sendall(stdin)
    channel.shutdown_write()
    output = channel.makefile("rb").read()
    errors = channel.makefile_stderr("rb").read()
    status = channel.recv_exit_status()
    channel.close()
    return status, output.decode(), errors.decode()


def until(true):
    """Wait for something to become true."""
    deadline = time.monotonic() + DEADLINE_S
    while not (value := true()):
        assert time.monotonic() < deadline, "it did not happen"
        threading.Event().wait(0.01)
    return value


def lives(pid):
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def server_of(provider, node):
    folder = Path(node.layout.state).parent
    until(lambda: provider.nodes(node.cluster)[0].state is not NodeState.PENDING)
    return until(lambda: power.read_running(folder, node.id.rpartition("-")[2]))


# A daemon as they are: forked twice, in a session of its own, holding nothing of the one that started it.
DAEMON = """python3 -c '
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        null = os.open("/dev/null", os.O_RDWR)
        for number in (0, 1, 2): os.dup2(null, number)
        open(sys.argv[1], "w").write(str(os.getpid()))
        os.execvp("sleep", ["sleep", "1000"])
' """


def start_daemon(client, folder, name="daemon"):
    assert run(client, f"{DAEMON} {folder}/{name}")[0] == 0
    return int(until(lambda: (folder / name).exists() and (folder / name).read_text()))
