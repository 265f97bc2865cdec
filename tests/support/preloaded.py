"""The command line in a copy of a Python that has loaded its modules: to load them takes longer than most commands.

All else is as in a process of its own: arguments, environment, pipes, signals, the end with its exit status. The cold
start, and all that is begun and looked at meanwhile, do without.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

CLUSTERCTL = """
import importlib, pkgutil
from clusterctl import cli, operations, wiring
from clusterctl.providers import local
import clusterctl_plugins
for package in (cli, operations, wiring, local, clusterctl_plugins):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
import docker, ipyparallel, clusterctl.remote.ssh
from clusterctl.cli.main import main
"""
SERVER = """
import json, os, select, socket, sys

def receive(line):
    word, pipes, _, _ = socket.recv_fds(line, 1_000_000, 3)
    asked = json.loads(word)
    line.send(f"{os.getpid()} ".encode())
    line.close()
    for number, pipe in enumerate(pipes):
        os.dup2(pipe, number)
        os.close(pipe)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    sys.argv = asked["arguments"]
    return asked["code"]

def serve(listener):
    # Comes back in a copy that is to be the command.
    while True:
        if 0 in select.select([listener.fileno(), 0], [], [])[0]:
            place = listener.getsockname()  # whoever asks has died
            os.unlink(place)
            os.rmdir(os.path.dirname(place))
            os._exit(0)
        line, _ = listener.accept()
        while True:
            try:
                if not os.waitpid(-1, os.WNOHANG)[0]:
                    break
            except ChildProcessError:
                break
        if os.fork():
            line.close()
            continue
        listener.close()
        command = os.fork()
        if not command:
            return line
        status = os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])
        line.send(str(status).encode())
        os._exit(0)

listener = socket.socket(fileno=int(sys.argv[1]))
code = receive(serve(listener))
if code:
    exec(code, {"__name__": "__main__"})
else:
    main()
"""


class Preloaded:
    """The server, and what is asked of it."""

    def __init__(self, loading: str = CLUSTERCTL) -> None:
        """Start it with the code that loads what is needed; without the command line, it runs code alone."""
        self._folder = tempfile.TemporaryDirectory(
            prefix="preloaded-", dir="/tmp"
        )  # the path of a socket must be short
        self._place = str(Path(self._folder.name, "s"))
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self._place)
            listener.listen(16)
            number = listener.fileno()
            self._process = subprocess.Popen(
                [sys.executable, "-c", loading + SERVER, str(number)], stdin=subprocess.PIPE, pass_fds=[number]
            )

    def run(self, *arguments, env, code="", stdin="", timeout=120):
        """What `subprocess.run` does, for a command line of clusterctl, or for code and the words behind it."""
        words = ["-c" if code else "clusterctl", *arguments]
        assert self._process.poll() is None, "the Python that commands are copied from has ended: see its traceback"
        with ExitStack() as opened:
            line = opened.enter_context(socket.socket(socket.AF_UNIX))
            line.settimeout(timeout)
            line.connect(self._place)
            (theirs_in, ours_in), (ours_out, theirs_out), (ours_err, theirs_err) = os.pipe(), os.pipe(), os.pipe()
            asked = {"arguments": words, "code": code, "environment": env, "folder": str(Path.cwd())}
            socket.send_fds(line, [json.dumps(asked).encode()], [theirs_in, theirs_out, theirs_err])
            for number in (theirs_in, theirs_out, theirs_err):
                os.close(number)
            pool = opened.enter_context(ThreadPoolExecutor(3))
            pool.submit(_write, ours_in, stdin)
            said = [pool.submit(_read, number) for number in (ours_out, ours_err)]
            answer = b""
            try:
                while more := line.recv(100):
                    answer += more
            except TimeoutError:
                if answer:
                    os.kill(int(answer.split()[0]), signal.SIGKILL)
                raise subprocess.TimeoutExpired(words, timeout) from None
            out, err = (future.result(timeout) for future in said)
        return subprocess.CompletedProcess(words, int(answer.split()[1]), out, err)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._folder.cleanup()


def _write(number, text):
    with os.fdopen(number, "w") as pipe:
        try:
            pipe.write(text)
            pipe.flush()
        except BrokenPipeError:  # nobody reads it
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def _read(number):
    with os.fdopen(number) as pipe:
        return pipe.read()
