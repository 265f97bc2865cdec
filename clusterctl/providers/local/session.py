"""Sessions of clients: a process for each command or shell, with pipes or a terminal, and the data in between."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import struct
import subprocess
import termios
from typing import IO, TYPE_CHECKING

import asyncssh

from clusterctl.providers.local.environment import (
    HERE,
    chosen_variables,
    login_shell,
    prompting_shell,
    session_environment,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping
    from pathlib import Path

_log = logging.getLogger(__name__)
_CHUNK = 1 << 18
_HANGUP_S = 1.0
"""Seconds that a terminal may stay open after its shell ended, if the system does not hang it up."""
# A session leader gets the first terminal it opens as its controlling one, so no code runs between fork and exec.
_ON_TERMINAL = ("/bin/sh", "-c", 'exec "$@" <>"$0" >&0 2>&1')


class Sessions:
    """The sessions of a node. Processes that outlive their session are reaped, too."""

    def __init__(self, environment: Mapping[str, str], home: Path) -> None:
        self._environment = environment
        self._home = home
        self._running: dict[subprocess.Popen[bytes], asyncio.Future[int]] = {}
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._reap_children)

    async def serve_client(self, client: asyncssh.SSHServerProcess[bytes]) -> None:
        """Run the client's command until it ends or the client leaves, and send its exit status."""
        if client.subsystem:
            client.exit(1)
            return
        run = self._on_pipes if client.term_type is None else self._on_terminal
        try:
            status = await _unless_closed(client, run(client))
        except OSError as exc:
            client.stderr.write(f"the node cannot start it: {exc}\n".encode())
            status = 126
        except Exception:  # noqa: BLE001  # else asyncssh would end the connection without a message
            _log.exception("a session failed: %s", client.command)
            status = 255
        if status is not None:
            _send_exit_status(client, status)

    async def _on_pipes(self, client: asyncssh.SSHServerProcess[bytes]) -> int:
        pipe = subprocess.PIPE
        child, ended = self._start_process(client, self._command_line(client), stdin=pipe, stdout=pipe, stderr=pipe)
        with contextlib.ExitStack() as opened:
            for file in _open_pipes(child):
                opened.callback(file.close)
            output, errors = [await _open_reader(opened, file) for file in (child.stdout, child.stderr) if file]
            sink = await _open_writer(opened, child.stdin)
            feeding = asyncio.create_task(_feed_input(client, sink, child=child, terminal=None))
            opened.callback(feeding.cancel)
            # As in sshd, the session ends when the process has ended and its output is closed.
            await asyncio.gather(_copy_output(output, client.stdout), _copy_output(errors, client.stderr))
            return await asyncio.shield(ended)

    async def _on_terminal(self, client: asyncssh.SSHServerProcess[bytes]) -> int:
        master, slave = os.openpty()
        with open(master, "rb", buffering=0) as source:  # noqa: PTH123  # a descriptor, not a path
            try:
                _set_window_size(master, client.term_size)
                arguments = [*_ON_TERMINAL, os.ttyname(slave), *self._command_line(client)]
                child, ended = self._start_process(client, arguments, stdin=slave, stdout=slave, stderr=slave)
            finally:
                os.close(slave)
            with contextlib.ExitStack() as opened:
                output = await _open_reader(opened, source)
                sink = await _open_writer(opened, opened.enter_context(os.fdopen(os.dup(master), "wb", buffering=0)))
                tasks = [_copy_output(output, client.stdout), _feed_input(client, sink, child=child, terminal=master)]
                copying, feeding = (asyncio.create_task(task) for task in tasks)
                opened.callback(feeding.cancel)
                opened.callback(copying.cancel)
                status = await asyncio.shield(ended)
                await asyncio.wait([copying], timeout=_HANGUP_S)
                return status

    def _command_line(self, client: asyncssh.SSHServerProcess[bytes]) -> list[str]:
        if client.command is None:
            return prompting_shell(self._environment[HERE])[0]
        return ["/bin/sh", "-c", client.command]

    def _start_process(
        self,
        client: asyncssh.SSHServerProcess[bytes],
        arguments: list[str],
        *,
        stdin: int,
        stdout: int,
        stderr: int,
    ) -> tuple[subprocess.Popen[bytes], asyncio.Future[int]]:
        environment = session_environment(self._environment, requested=client.env, terminal=client.term_type)
        environment |= chosen_variables(self._environment)
        if client.command is None:
            environment |= {"SHELL": login_shell(), **prompting_shell(environment[HERE])[1]}
        child = subprocess.Popen(
            arguments,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            bufsize=0,
            cwd=self._home,
            env=environment,
            start_new_session=True,
        )
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._running[child] = ended
        self._reap_children()  # it may have ended before it was added to the list
        return child, ended

    def _reap_children(self) -> None:
        for child in [child for child in self._running if child.poll() is not None]:
            self._running.pop(child).set_result(child.returncode)


def _open_pipes(child: subprocess.Popen[bytes]) -> list[IO[bytes]]:
    return [file for file in (child.stdin, child.stdout, child.stderr) if file]


async def _unless_closed(client: asyncssh.SSHServerProcess[bytes], work: Awaitable[int]) -> int | None:
    """Return the result of `work`. If the client closes the channel first, cancel `work` and return None."""
    working = asyncio.ensure_future(work)
    closing = asyncio.ensure_future(client.channel.wait_closed())
    try:
        await asyncio.wait({working, closing}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        closing.cancel()


async def _open_reader(opened: contextlib.ExitStack, file: IO[bytes]) -> asyncio.StreamReader:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_CHUNK)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), file)
    opened.callback(transport.close)
    return reader


async def _open_writer(opened: contextlib.ExitStack, file: IO[bytes] | None) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader())  # for its flow control
    transport, _ = await loop.connect_write_pipe(lambda: protocol, file)
    transport.set_write_buffer_limits(0)  # no data is left unwritten when it is closed
    opened.callback(lambda: None if transport.is_closing() else transport.abort())
    return asyncio.StreamWriter(transport, protocol, None, loop)


async def _copy_output(source: asyncio.StreamReader, target: asyncssh.SSHWriter[bytes]) -> None:
    """Send all output, no faster than the client accepts it."""
    # A terminal whose last process has ended raises an error instead of an end of file.
    with contextlib.suppress(OSError, asyncssh.Error):
        while data := await source.read(_CHUNK):
            target.write(data)
            await target.drain()


async def _feed_input(
    client: asyncssh.SSHServerProcess[bytes],
    sink: asyncio.StreamWriter,
    *,
    child: subprocess.Popen[bytes],
    terminal: int | None,
) -> None:
    """Pass the client's input to the process until it ends. Handle signals and new window sizes."""
    with contextlib.suppress(OSError, asyncssh.Error):
        while (data := await _read_input(client, child=child, terminal=terminal)) != b"":
            if data and not sink.is_closing():
                sink.write(data)
                with contextlib.suppress(ConnectionError):  # the process reads no more, but may still get signals
                    await sink.drain()
    if terminal is None:
        sink.close()


async def _read_input(
    client: asyncssh.SSHServerProcess[bytes], *, child: subprocess.Popen[bytes], terminal: int | None
) -> bytes | None:
    """Return the next input, or None after a signal or a new window size, which is handled here."""
    try:
        return await client.stdin.read(_CHUNK)
    except asyncssh.TerminalSizeChanged as size:
        if terminal is not None:
            _set_window_size(terminal, (size.width, size.height, size.pixwidth, size.pixheight))
    except asyncssh.SignalReceived as received:
        _send_signal(child, received.signal)
    except asyncssh.BreakReceived:
        pass
    return None


def _send_signal(child: subprocess.Popen[bytes], name: str) -> None:
    number = getattr(signal, f"SIG{name}", None)
    if child.poll() is None and isinstance(number, signal.Signals):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, number)


def _set_window_size(terminal: int, size: tuple[int, int, int, int]) -> None:
    width, height, pixel_width, pixel_height = size
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, pixel_width, pixel_height))


def _send_exit_status(client: asyncssh.SSHServerProcess[bytes], status: int) -> None:
    with contextlib.suppress(OSError, asyncssh.Error):  # the client may have left meanwhile
        if status < 0:
            client.exit_with_signal(signal.Signals(-status).name[3:])
        else:
            client.exit(status)
