"""Nodes that are containers: one as an engine tells of it, and a way onto a real one."""

from __future__ import annotations

import base64
import time
from pathlib import PurePosixPath

import paramiko

from clusterctl.model import Volume
from clusterctl.providers.docker.records import Record

DEADLINE_S = 60
RECORD = Record(
    owner="me",
    cluster="lab",
    alias="node001",
    user="ann",
    host_key="ssh-ed25519 AAAA",
    port=12345,
    address="172.18.0.3",
    cores=2,
    image="clusterctl-node:latest",
)


def inspected(status="running", record=RECORD, **changes):
    """As much of an engine's answer as is read."""
    return {
        "Id": "0123456789abcdef",
        "State": {"Status": status, "StartedAt": "2026-01-01T00:00:00.5Z"},
        "Mounts": [{"Destination": "/home"}, {"Destination": "/data"}],
        "Config": {"Labels": {**record.to_labels(), "somebody": "else"}},
        **changes,
    }


def volume(name="data", path="/data", **fields):
    return Volume(name, PurePosixPath(path), **fields)


def connect(node, key, host_key=None):
    """A session, as soon as the node answers."""
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    kind, body = (host_key or node.host_key).split()[:2]
    pinned = paramiko.PKey.from_type_string(kind, base64.b64decode(body))
    client.get_host_keys().add(f"[{node.address}]:{node.port}", kind, pinned)
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            client.connect(
                node.address, node.port, node.user, pkey=key, timeout=10, look_for_keys=False, allow_agent=False
            )
        except (paramiko.SSHException, OSError, EOFError) as exc:
            client.close()
            known = isinstance(exc, (paramiko.BadHostKeyException, paramiko.AuthenticationException))
            if known or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return client


def run(node, key, command):
    """The output of a command that succeeds."""
    client = connect(node, key)
    try:
        _, out, err = client.exec_command(command, timeout=DEADLINE_S)
        said = out.read().decode()
        assert out.channel.recv_exit_status() == 0, said + err.read().decode()
        return said
    finally:
        client.close()
