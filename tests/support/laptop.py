"""Somebody's computer: a CLUSTERCTL_HOME, the real command line, and a look at what is left."""

from __future__ import annotations

import atexit
import functools
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from .preloaded import Preloaded

CONSOLE = r"""
import json, sys, traceback
answer, sys.stdout = sys.stdout, sys.stderr
scope = {}
for line in sys.stdin:
    request = json.loads(line)
    try:
        if request["run"]:
            exec(request["code"], scope)
            result = {"value": None}
        else:
            result = {"value": eval(request["code"], scope)}
    except BaseException:
        result = {"error": traceback.format_exc()}
    print(json.dumps(result), file=answer, flush=True)
"""
"""A plain Python that does what it is told, line by line: somebody's session that stays open meanwhile."""


def read_acts(watch, *states):
    """What a `watch --json` in the background tells, up to the last of these states: act, node, state."""
    acts, left = [], list(states)
    for line in watch.stdout:
        told = json.loads(line)
        acts.append((told["act"], told["node"], told["state"]))
        if told["state"] == left[0]:
            left.pop(0)
        if not left:
            break
    return acts


def poll(condition, what, *, deadline_s=30.0, every_s=0.05, process=None):
    """The first true value of `condition()`; fails with `what` at the deadline, or when `process` has ended."""
    pause = threading.Event()
    deadline = time.monotonic() + deadline_s
    while not (value := condition()):
        if process is not None and process.poll() is not None:
            pytest.fail(f"ended with {process.returncode} before {what}:\n{''.join(map(str, process.communicate()))}")
        if time.monotonic() > deadline:
            pytest.fail(f"not within {deadline_s:.0f} s: {what}")
        pause.wait(every_s)
    return value


@functools.cache
def preloaded():
    """One for all laptops of this process."""
    server = Preloaded()
    atexit.register(server.close)
    return server


class Console:
    """A Python in another process, as a user has it open."""

    def __init__(self, env, python=sys.executable):
        self._process = subprocess.Popen(
            [python, "-c", CONSOLE],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, code):
        self._ask(code, run=True)

    def value(self, code):
        return self._ask(code, run=False)

    def _ask(self, code, *, run):
        self._process.stdin.write(json.dumps({"code": code, "run": run}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the Python in the other process ended"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def close(self):
        self._process.stdin.close()
        try:
            self._process.wait(10)
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait(5)
            self._process.stdout.close()


COMMAND = (sys.executable, "-m", "clusterctl.cli.main")


@dataclass
class Laptop:
    """Somebody's computer: the command line with a home of its own, and what it leaves behind."""

    home: Path
    more: dict[str, str] = field(default_factory=dict)
    """Environment variables on top of ours."""
    command: tuple[str, ...] = COMMAND
    runner: tuple[str, ...] = ()
    """What the command line is started through."""

    @property
    def env(self):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("CLUSTERCTL_", "PYTEST_", "COV_"))}
        return {**kept, "CLUSTERCTL_HOME": str(self.home), **self.more}

    def run(self, *arguments, status=0, timeout=120, stdin="", env=None, anew=False):
        """Run a command to its end; its exit status must be `status` (None: any).

        `anew`: in a Python that loads all by itself, as users have it.
        """
        environment = {**self.env, **(env or {})}
        if anew or self.runner or self.command != COMMAND:
            result = subprocess.run(
                [*self.runner, *self.command, *arguments],
                env=environment,
                input=stdin,
                capture_output=True,
                text=True,
                timeout=timeout,
            )
        else:
            result = preloaded().run(*arguments, env=environment, stdin=stdin, timeout=timeout)
        said = f"clusterctl {' '.join(arguments)}: {result.returncode}\n{result.stdout}\n{result.stderr}"
        assert "Traceback" not in result.stderr, said
        assert "this is a bug" not in result.stderr, said
        if status is not None:
            assert result.returncode == status, said
        return result

    def refuse(self, *arguments, status, says=(), env=None):
        """Run a command that must fail with a message of what happened and what to do."""
        result = self.run(*arguments, status=status, env=env)
        assert "error: " in result.stderr, result.stderr
        assert "\ntry: " in result.stderr, result.stderr
        for text in says:
            assert text in result.stderr, result.stderr
        return result

    def json(self, *arguments, status=0, timeout=120):
        return json.loads(self.run(*arguments, status=status, timeout=timeout).stdout)

    @contextmanager
    def begin(self, *arguments, env=None):
        """A command in the background; whatever happens, it is over afterwards."""
        process = subprocess.Popen(
            [*self.runner, *self.command, *arguments],
            env={**self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            with suppress(ValueError):  # its output has been read
                process.communicate(timeout=10)
            for pipe in (process.stdout, process.stderr):
                pipe.close()

    def python(self, code, *arguments, timeout=60, anew=False):
        """Run code in another process; returns what it printed. `anew`: in a plain Python that loads all by itself."""
        if anew or self.runner or self.command != COMMAND:
            result = subprocess.run(
                [*self.runner, self.command[0], "-c", code, *arguments],
                env=self.env,
                capture_output=True,
                text=True,
                timeout=timeout,
            )
        else:
            result = preloaded().run(*arguments, env=self.env, code=code, timeout=timeout)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def run_script(self, folder, text):
        """Run a script of the user's, which is put into this folder; returns the lines that it printed."""
        file = folder / "work.py"
        file.write_text(textwrap.dedent(text))
        done = subprocess.run([sys.executable, file], env=self.env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    @contextmanager
    def console(self):
        """A Python session that stays open. Do not mix with `runner`."""
        console = Console(self.env)
        try:
            yield console
        finally:
            console.close()

    def folder(self, name):
        return self.home / "clusters" / name

    def node_folder(self, name, alias):
        return self.home / "local" / name / alias

    def running(self, name, alias):
        """A node's ``pid`` file."""
        return json.loads((self.node_folder(name, alias) / "pid").read_text())

    def journal(self, name):
        try:
            lines = (self.folder(name) / "journal.jsonl").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines if line.endswith("}")]

    def processes(self):
        """Every process that runs because of this home."""
        sign, own = str(self.home), os.getpid()
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                words = [*process.cmdline(), *process.environ().values()]
                if process.pid != own and process.status() != psutil.STATUS_ZOMBIE and any(sign in w for w in words):
                    found.append(process)
        return found

    def find(self, alias, *words):
        """The processes of a node that have all these words in their command line."""
        mark = str(self.home)
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                line, env = " ".join(process.cmdline()), process.environ()
                if env.get("CLUSTERCTL_NODE") == alias and mark in line + str(env) and all(w in line for w in words):
                    found.append(process)
        return found

    def listeners(self):
        """Address and port of everything that the processes of this home listen on."""
        found = set()
        for process in self.processes():
            with suppress(psutil.Error):
                connections = process.net_connections(kind="tcp")
                found |= {tuple(c.laddr) for c in connections if c.status == psutil.CONN_LISTEN}
        return found

    def run_folders(self):
        """Where the nodes have their sockets, outside of the home."""
        return [Path(json.loads(record.read_text())["run"]) for record in self.home.glob("local/*/*/node.json")]

    def terminate_all(self):
        """End every cluster, and insist that nothing of them is left anywhere."""
        ports, folders = self.listeners(), self.run_folders()
        names = {path.name for kind in ("clusters", "local") for path in self.home.glob(f"{kind}/*")}
        try:
            result = self.run("terminate", "--yes", *sorted(names), status=None) if names else None
            assert result is None or result.returncode == 0, result.stderr
            self.assert_nothing_left(ports, folders)
        finally:
            for process in self.processes():
                with suppress(psutil.Error):
                    process.kill()

    def assert_nothing_left(self, ports=(), folders=()):
        left = poll_quietly(lambda: not self.processes(), 3)
        assert left, [(process.pid, process.cmdline()) for process in self.processes()]
        assert not [str(path) for kind in ("clusters", "local") for path in self.home.glob(f"{kind}/*")]
        assert not [str(folder) for folder in folders if folder.exists()]
        listening = {tuple(c.laddr) for c in psutil.net_connections(kind="tcp") if c.status == psutil.CONN_LISTEN}
        assert not listening & set(ports)


def poll_quietly(condition, deadline_s):
    pause = threading.Event()
    deadline = time.monotonic() + deadline_s
    while not (value := condition()) and time.monotonic() < deadline:
        pause.wait(0.05)
    return value


class CommandLines(threading.Thread):
    """Notes the arguments of every process on this machine until told to stop: what anybody could have read."""

    def __init__(self):
        super().__init__(daemon=True)
        self.seen: set[str] = set()
        self._told = threading.Event()

    def run(self):
        while not self._told.wait(0.1):
            for entry in os.scandir("/proc"):
                if entry.name.isdecimal():
                    with suppress(OSError):
                        self.seen.add(Path(entry.path, "cmdline").read_bytes().decode(errors="replace"))

    def end(self):
        self._told.set()
        self.join()
