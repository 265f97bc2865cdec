"""A user whose ssh knows nobody, ports to be hosts, and a place for the records."""

from __future__ import annotations

import socket

import pytest

from ....support.static_hosts import KEY


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch, allow_loopback):
    """A user whose ssh knows nobody yet. (To read an address as such is a matter of sockets to asyncssh.)"""
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    (tmp_path / "me" / ".ssh").mkdir(parents=True)
    return tmp_path / "me"


@pytest.fixture
def known_hosts(home):
    """Write lines to the user's known_hosts."""
    return lambda *lines: (home / ".ssh" / "known_hosts").write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
def listening():
    """Makes ports that take connections; `port.close()` takes one away."""
    opened = []

    def listen():
        opened.append(socket.create_server(("127.0.0.1", 0)))
        return opened[-1]

    yield listen
    for server in opened:
        server.close()


@pytest.fixture
def root(tmp_path):
    return tmp_path / "static"


@pytest.fixture
def gate(known_hosts):
    known_hosts(f"198.51.100.1 {KEY}")
