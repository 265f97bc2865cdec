"""Processes that outlive a command, and programs that are talked to by a socket."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping, Sequence

_GRACE_S = 1.0
"""Seconds that a program may take to end after a signal."""

if sys.platform == "win32":
    import threading

    _CHUNK = 65536
    # No console that one could see, and not that of the command, which may be closed.
    _APART = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP

    def start_apart(command: Sequence[str], *, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start a process that outlives the command, its terminal and Ctrl-C in it. Its input and output are pipes."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, bufsize=0, env=env, creationflags=_APART
        )

    def end_process(pid: int) -> None:
        """Tell a process to end. One that has ended already is fine."""
        with suppress(OSError):
            os.kill(pid, signal.SIGTERM)

    kill_process = end_process
    """On this system nothing is asked first."""

    def forget_children() -> None:
        """Let go of child processes that have ended. On this system nothing is left of them."""

    def on_end(loop: asyncio.AbstractEventLoop, act: Callable[[], object]) -> None:
        """Call `act` in an event loop when the process is told to end. This system ends it at once instead."""
        del loop, act

    def start_connected(command: Sequence[str], stderr: IO[bytes]) -> tuple[subprocess.Popen[bytes], socket.socket]:
        """Start a program. Return it, and a socket that is its input and output.

        A program cannot be given a socket here, so two threads carry the data.
        """
        ours, theirs = socket.socketpair()
        try:
            pipe = subprocess.PIPE
            process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=stderr, bufsize=0, creationflags=_APART)
        except OSError:
            ours.close()
            theirs.close()
            raise
        for carry in (_carry_in, _carry_out):
            threading.Thread(target=carry, args=(process, theirs), name="program-data", daemon=True).start()
        return process, ours

    def _carry_in(process: subprocess.Popen[bytes], end: socket.socket) -> None:
        with suppress(OSError, ValueError):  # either side may have ended
            while process.stdin and (data := end.recv(_CHUNK)):
                process.stdin.write(data)
        with suppress(OSError):
            if process.stdin:
                process.stdin.close()

    def _carry_out(process: subprocess.Popen[bytes], end: socket.socket) -> None:
        with suppress(OSError, ValueError):
            while process.stdout and (data := process.stdout.read(_CHUNK)):
                end.sendall(data)
        with suppress(OSError):
            if process.stdout:
                process.stdout.close()
            end.shutdown(socket.SHUT_WR)

    def end_program(process: subprocess.Popen[bytes]) -> None:
        """End a program that `start_connected` started, and its child processes."""
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)

    def read_end(file: IO[bytes], size: int) -> bytes:
        """Return the last bytes of a file that a program is writing, which shares our place in it."""
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - size))
        return file.read()  # our place is the end again

    def raise_file_limit(wanted: int) -> None:
        """Raise the limit of open files up to a number. This system has no such limit."""
        del wanted

else:
    import resource

    from clusterctl.laptop.signals import END_SIGNALS

    def start_apart(command: Sequence[str], *, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start a process that outlives the command, its terminal and Ctrl-C in it. Its input and output are pipes."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, bufsize=0, env=env, start_new_session=True
        )

    def end_process(pid: int) -> None:
        """Tell a process to end. One that has ended already is fine."""
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)

    def forget_children() -> None:
        """Let go of child processes that have ended, for a process that waits for none of them."""
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                continue

    def kill_process(pid: int) -> None:
        """End a process at once. One that has ended already is fine."""
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def on_end(loop: asyncio.AbstractEventLoop, act: Callable[[], object]) -> None:
        """Call `act` in an event loop when the process is told to end."""
        for number in END_SIGNALS:
            loop.add_signal_handler(number, act)

    def start_connected(command: Sequence[str], stderr: IO[bytes]) -> tuple[subprocess.Popen[bytes], socket.socket]:
        """Start a program. Return it, and a socket that is its input and output.

        The program inherits the other end of the socket, so no data is copied in between.
        """
        ours, theirs = socket.socketpair()
        try:
            # A session of its own: Ctrl-C on this terminal does not reach it, and its child processes end with it.
            process = subprocess.Popen(
                command, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=stderr, start_new_session=True
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        return process, ours

    def end_program(process: subprocess.Popen[bytes]) -> None:
        """End a program that `start_connected` started, and its child processes."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            # The process was not waited for yet, so its number cannot belong to another process.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_S)
                return

    def read_end(file: IO[bytes], size: int) -> bytes:
        """Return the last bytes of a file that a program is writing, which shares our place in it."""
        return os.pread(file.fileno(), size, max(0, os.fstat(file.fileno()).st_size - size))

    def raise_file_limit(wanted: int) -> None:
        """Raise the limit of open files up to a number, as far as the system allows it."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        highest = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        if soft != resource.RLIM_INFINITY and soft < highest:
            with suppress(ValueError, OSError):  # some systems have a second limit behind this one
                resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
