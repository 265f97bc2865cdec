"""Whose program listens on a port: by the tables of Linux, as a computer with several users has them."""

from __future__ import annotations

import os
import socket
import sys

import pytest

from clusterctl.laptop.ports import is_another_users

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
LOOPBACK, ANY, OTHER = "0100007F", "00000000", "0500007F"
OURS, ROOT, THEIRS = os.geteuid(), 0, 61234


@pytest.fixture
def tables(tmp_path):
    def write(*sockets, name="tcp"):
        lines = [
            f"   0: {address}:3039 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 {uid} 0 1 1 0\n"
            for address, state, uid in sockets
        ]
        (tmp_path / name).write_text(HEAD + "".join(lines))
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("sockets", "theirs"),
    [
        ([], False),
        ([(LOOPBACK, "0A", OURS)], False),
        ([(LOOPBACK, "0A", ROOT)], False),
        ([(LOOPBACK, "0A", THEIRS)], True),
        ([(ANY, "0A", THEIRS)], True),
        ([(ANY, "0A", THEIRS), (LOOPBACK, "0A", OURS)], False),  # the nearer one has the connection
        ([(OTHER, "0A", THEIRS)], False),  # another address
        ([(LOOPBACK, "01", THEIRS)], False),  # a connection, not a listener
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="this system has no such tables")
def test_the_user_of_the_socket_that_gets_the_connection_counts(tables, sockets, theirs):
    assert is_another_users(0x3039, tables=tables(*sockets)) is theirs


@pytest.mark.skipif(sys.platform == "win32", reason="this system has no such tables")
def test_a_socket_for_ipv6_that_takes_all_addresses_counts_too(tables):
    assert is_another_users(0x3039, tables=tables(("0" * 32, "0A", THEIRS), name="tcp6"))


def test_a_system_without_tables_tells_nothing(tmp_path):
    assert not is_another_users(12345, tables=tmp_path / "none")


def test_the_tables_of_this_computer_can_be_read(allow_loopback):
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not is_another_users(server.getsockname()[1])
