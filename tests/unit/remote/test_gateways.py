"""The way to a node through a member takes nothing from who waits for that member itself."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack

import pytest

from clusterctl.remote.gateways import Gateways
from clusterctl.testing import fake_node


@pytest.fixture
def server(allow_loopback):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def test_a_wait_for_a_member_goes_on_while_others_log_in_to_it_as_their_gateway(server):
    gateways, reached = Gateways(), threading.Event()
    master = fake_node("master", address="127.0.0.1", port=server.getsockname()[1])
    gateways.when_reachable(master, reached.set)
    with ExitStack() as opened:
        opened.enter_context(gateways.open_socket(master, lambda _: None, as_gateway=True))
        for _ in range(2):  # for both of them, in either order
            opened.enter_context(server.accept()[0]).sendall(b"SSH-2.0-x\r\n")
        assert reached.wait(10)
        own = opened.enter_context(gateways.open_socket(master, lambda _: None))
        assert own.recv(3) == b"SSH"
