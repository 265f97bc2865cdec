"""One command or shell of a client: its process, with pipes or a terminal, and the bytes in between."""

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

from clusterctl.providers.local.environment import login_shell, session_environment

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping
    from pathlib import Path

_log = logging.getLogger(__name__)
_CHUNK = 1 << 18
_HANGUP_S = 1.0
"""How long a terminal may stay open after its shell ended, where the system does not hang it up."""
# A session leader that opens a terminal gets it as its controlling one: no code between fork and exec.
_ON_TERMINAL = ("/bin/sh", "-c", 'exec "$@" <>"$0" >&0 2>&1')


class Sessions:
    """The sessions of a node. Processes that outlive theirs are buried all the same."""

    def __init__(self, environment: Mapping[str, str], home: Path) -> None:
        self._environment = environment
        self._home = home
        self._running: dict[subprocess.Popen[bytes], asyncio.Future[int]] = {}
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._bury)

    async def serve(self, client: asyncssh.SSHServerProcess[bytes]) -> None:
        """Run what the client asked for until it ends or the client leaves, and report how it ended."""
        if client.subsystem:
            client.exit(1)
            return
        run = self._on_pipes if client.term_type is None else self._on_terminal
        try:
            status = await _unless_closed(client, run(client))
        except OSError as exc:
            client.stderr.write(f"the node cannot start it: {exc}\n".encode())
            status = 126
        except Exception:  # noqa: BLE001  # else asyncssh would end the connection without a word
            _log.exception("a session failed: %s", client.command)
            status = 255
        if status is not None:
            _report(client, status)

    async def _on_pipes(self, client: asyncssh.SSHServerProcess[bytes]) -> int:
        pipe = subprocess.PIPE
        child, ended = self._start(client, _arguments(client), stdin=pipe, stdout=pipe, stderr=pipe)
        with contextlib.ExitStack() as opened:
            for file in _pipes(child):
                opened.callback(file.close)
            output, errors = [await _reader(opened, file) for file in (child.stdout, child.stderr) if file]
            sink = await _writer(opened, child.stdin)
            feeding = asyncio.create_task(_feed(client, sink, child=child, terminal=None))
            opened.callback(feeding.cancel)
            # As sshd: over when the process ended and nobody holds its output any more.
            await asyncio.gather(_copy(output, client.stdout), _copy(errors, client.stderr))
            return await asyncio.shield(ended)

    async def _on_terminal(self, client: asyncssh.SSHServerProcess[bytes]) -> int:
        master, slave = os.openpty()
        with open(master, "rb", buffering=0) as source:  # noqa: PTH123  # a descriptor, not a path
            try:
                _resize(master, client.term_size)
                arguments = [*_ON_TERMINAL, os.ttyname(slave), *_arguments(client)]
                child, ended = self._start(client, arguments, stdin=slave, stdout=slave, stderr=slave)
            finally:
                os.close(slave)
            with contextlib.ExitStack() as opened:
                output = await _reader(opened, source)
                sink = await _writer(opened, opened.enter_context(os.fdopen(os.dup(master), "wb", buffering=0)))
                tasks = [_copy(output, client.stdout), _feed(client, sink, child=child, terminal=master)]
                copying, feeding = (asyncio.create_task(task) for task in tasks)
                opened.callback(feeding.cancel)
                opened.callback(copying.cancel)
                status = await asyncio.shield(ended)
                await asyncio.wait([copying], timeout=_HANGUP_S)
                return status

    def _start(
        self,
        client: asyncssh.SSHServerProcess[bytes],
        arguments: list[str],
        *,
        stdin: int,
        stdout: int,
        stderr: int,
    ) -> tuple[subprocess.Popen[bytes], asyncio.Future[int]]:
        environment = session_environment(self._environment, requested=client.env, terminal=client.term_type)
        if client.command is None:
            environment["SHELL"] = arguments[-1]
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
        self._bury()  # it may have ended before it was listed
        return child, ended

    def _bury(self) -> None:
        for child in [child for child in self._running if child.poll() is not None]:
            self._running.pop(child).set_result(child.returncode)


def _pipes(child: subprocess.Popen[bytes]) -> list[IO[bytes]]:
    return [file for file in (child.stdin, child.stdout, child.stderr) if file]


def _arguments(client: asyncssh.SSHServerProcess[bytes]) -> list[str]:
    return [login_shell()] if client.command is None else ["/bin/sh", "-c", client.command]


async def _unless_closed(client: asyncssh.SSHServerProcess[bytes], work: Awaitable[int]) -> int | None:
    """The result of `work`; None, with `work` cancelled, if the client closes the channel before."""
    working = asyncio.ensure_future(work)
    closing = asyncio.ensure_future(client.channel.wait_closed())
    try:
        await asyncio.wait({working, closing}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        closing.cancel()


async def _reader(opened: contextlib.ExitStack, file: IO[bytes]) -> asyncio.StreamReader:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_CHUNK)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), file)
    opened.callback(transport.close)
    return reader


async def _writer(opened: contextlib.ExitStack, file: IO[bytes] | None) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader())  # for its flow control
    transport, _ = await loop.connect_write_pipe(lambda: protocol, file)
    transport.set_write_buffer_limits(0)  # nothing is left unwritten when it is closed
    opened.callback(lambda: None if transport.is_closing() else transport.abort())
    return asyncio.StreamWriter(transport, protocol, None, loop)


async def _copy(source: asyncio.StreamReader, target: asyncssh.SSHWriter[bytes]) -> None:
    """Send all that comes, no faster than the client takes it."""
    # A terminal whose last user is gone answers with an error, not with an end.
    with contextlib.suppress(OSError, asyncssh.Error):
        while data := await source.read(_CHUNK):
            target.write(data)
            await target.drain()


async def _feed(
    client: asyncssh.SSHServerProcess[bytes],
    sink: asyncio.StreamWriter,
    *,
    child: subprocess.Popen[bytes],
    terminal: int | None,
) -> None:
    """Give the process what the client types, until it has no more; obey signals and new window sizes."""
    with contextlib.suppress(OSError, asyncssh.Error):
        while (data := await _typed(client, child=child, terminal=terminal)) != b"":
            if data and not sink.is_closing():
                sink.write(data)
                with contextlib.suppress(ConnectionError):  # it reads no more, but may still get signals
                    await sink.drain()
    if terminal is None:
        sink.close()


async def _typed(
    client: asyncssh.SSHServerProcess[bytes], *, child: subprocess.Popen[bytes], terminal: int | None
) -> bytes | None:
    """The next input; None where it was no text but a signal or a window size, which is obeyed."""
    try:
        return await client.stdin.read(_CHUNK)
    except asyncssh.TerminalSizeChanged as size:
        if terminal is not None:
            _resize(terminal, (size.width, size.height, size.pixwidth, size.pixheight))
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


def _resize(terminal: int, size: tuple[int, int, int, int]) -> None:
    width, height, pixel_width, pixel_height = size
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, pixel_width, pixel_height))


def _report(client: asyncssh.SSHServerProcess[bytes], status: int) -> None:
    with contextlib.suppress(OSError, asyncssh.Error):  # the client may have left in the meantime
        if status < 0:
            client.exit_with_signal(signal.Signals(-status).name[3:])
        else:
            client.exit(status)
