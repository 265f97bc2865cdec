"""What commands on nodes print, byte by byte."""

from __future__ import annotations

import io
import sys

import click
import pytest

from clusterctl.cli.nodes import streams
from clusterctl.cli.nodes.streams import CollectedOutput, PrefixedOutput, pass_bytes_on
from clusterctl.operations.nodes.access import OutputLine
from clusterctl.remote.base import Result
from clusterctl.testing import FakeConnector, fake_node


class Stream(io.TextIOWrapper):
    """A terminal, or none."""

    def __init__(self, *, terminal):
        super().__init__(io.BytesIO(), "utf-8", write_through=True)
        self.isatty = lambda: terminal

    @property
    def content(self):
        return self.buffer.getvalue()


@pytest.fixture
def screen(monkeypatch):
    """Has stdout and stderr be terminals or not; returns both."""

    def screen(*, terminal=False):
        made = Stream(terminal=terminal), Stream(terminal=terminal)
        monkeypatch.setattr(sys, "stdout", made[0])
        monkeypatch.setattr(sys, "stderr", made[1])
        return made

    return screen


class TestPassedOn:
    @pytest.mark.parametrize("stdin", [None, io.StringIO("no file")])
    def test_without_a_stdin_the_command_has_an_end_of_input(self, screen, monkeypatch, stdin):
        out, err = screen()
        monkeypatch.setattr(sys, "stdin", stdin)
        running = FakeConnector({"cat": Result(7, "out", "oh\n")})(fake_node()).start_command("cat")
        assert pass_bytes_on(running) == 7
        assert (out.content, err.content) == (b"out", b"oh\n")

    def test_a_lost_connection_is_said_and_has_the_status_that_ssh_gives(self, screen, monkeypatch):
        _, err = screen()
        monkeypatch.setattr(sys, "stdin", None)
        running = FakeConnector({"cat": Result(-1, "", "")})(fake_node()).start_command("cat")
        assert pass_bytes_on(running) == 255
        assert err.content == b"the connection was lost\n"


class TestPrefixed:
    LINES = (OutputLine("node001", b"a\xff\x1b[2J\n", is_error=False), OutputLine("master", b"oh", is_error=True))

    def test_elsewhere_a_line_is_as_it_is(self, screen):
        out, err = screen()
        for line in self.LINES:
            PrefixedOutput()(line)
        assert (out.content, err.content) == (b"node001: a\xff\x1b[2J\n", b"master: oh\n")

    def test_on_a_terminal_control_characters_are_written_out(self, screen):
        out, _ = screen(terminal=True)
        PrefixedOutput()(self.LINES[0])
        assert out.content == "node001: a\ufffd\\x1b[2J\n".encode()


class TestCollected:
    def test_what_is_no_text_has_its_bytes_beside_it(self):
        output = CollectedOutput()
        output(OutputLine("master", b"a\xff\n", is_error=False))
        output(OutputLine("master", b"text\n", is_error=True))
        assert output.of("master") == {"stdout": "a\ufffd\n", "stdout_base64": "Yf8K", "stderr": "text\n"}
        assert output.of("node001") == {"stdout": "", "stderr": ""}

    def test_it_has_a_limit(self, monkeypatch):
        monkeypatch.setattr(streams, "_MOST_COLLECTED", 10)
        output = CollectedOutput()
        output(OutputLine("master", b"x" * 10, is_error=False))
        with pytest.raises(click.UsageError, match="leave out --json"):
            output(OutputLine("master", b"x", is_error=False))
