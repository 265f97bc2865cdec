"""Bytes of a command, behind what a login shell prints of its own accord."""

from __future__ import annotations

import pytest

from clusterctl.remote.running import ErrorReader, SSHCommand

MARK = b"clusterctl-1234\n"


class Channel:
    """Has these pieces come in, one at a time."""

    def __init__(self, *pieces):
        self._pieces = list(pieces)

    def recv(self, size):
        piece = self._pieces.pop(0) if self._pieces else b""
        if len(piece) > size:
            self._pieces.insert(0, piece[size:])
        return piece[:size]


def read_all(command, size=65536):
    return b"".join(iter(lambda: command.read(size), b""))


@pytest.mark.parametrize("noise", [b"", b"Welcome!\n", b"clusterctl-\n", b"\xff" * 5000])
@pytest.mark.parametrize("output", [b"", b"\xff\0\n", MARK, b"x" * 200_000])
@pytest.mark.parametrize("piece", [7, 65536])
def test_what_comes_before_the_mark_is_dropped_and_the_rest_is_exact(noise, output, piece):
    whole = noise + MARK + output
    pieces = [whole[start : start + piece] for start in range(0, len(whole), piece)]
    assert read_all(SSHCommand(Channel(*pieces), MARK)) == output


def test_what_comes_without_a_mark_says_why_the_command_never_began():
    assert read_all(SSHCommand(Channel(b"sudo: ", b"no\n"), MARK), size=4) == b"sudo: no\n"


def test_endless_noise_is_given_up():
    channel = Channel(*[b"y\n" * 30_000] * 40)
    assert len(SSHCommand(channel, MARK).read()) == 65536


def test_of_errors_the_last_are_kept():
    pieces = [b"first ", b"second ", b"third", b""]
    assert ErrorReader(lambda _: pieces.pop(0), keep=8).finish() == "nd third"
