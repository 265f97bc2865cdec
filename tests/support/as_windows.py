"""Runs clusterctl's command line as on Windows, as far as Linux can show it: `python as_windows.py [LIBRARY]...`.

The request is on stdin, in JSON. It is a list: a list of words is a command line, a text is Python to execute. The
answer on stdout is a list of what came of each. This is what is different from an ordinary run:

- our modules are given no module, function or constant of the system that Windows lacks: to use one is an error;
- the room `clusterctl.laptop` believes that this is Windows, and gets a stand-in for msvcrt. Locks work by it;
- a process is begun with the flags that Windows takes, which are noted; icacls and taskkill are noted, not run.

Libraries of others see Linux, and so do paths.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import traceback
import types

# Before anything is hidden: all that ours load later.
for library in (
    *("asyncio", "asyncssh", "boto3", "click.shell_completion", "cryptography.hazmat.primitives.serialization"),
    *("docker", "fabric", "getpass", "multiprocessing", "paramiko", "psutil", "rich.progress", "shutil", "tempfile"),
    *sys.argv[1:],
):
    importlib.import_module(library)

import fcntl  # noqa: E402  for the stand-in only

HIDDEN_MODULES = ("fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty")
HIDDEN_NAMES = {
    os: (
        *("chown", "fork", "forkpty", "getegid", "geteuid", "getgid", "getgroups", "getpgid", "getpgrp", "getsid"),
        *("getuid", "initgroups", "killpg", "mkfifo", "openpty", "pidfd_open", "pread", "pwrite", "sched_getaffinity"),
        *("setsid", "setuid", "statvfs", "sysconf", "ttyname", "uname", "wait", "WIFSIGNALED", "WNOHANG"),
    ),
    signal: (
        *("SIGALRM", "SIGCHLD", "SIGCONT", "SIGHUP", "SIGKILL", "SIGQUIT", "SIGSTOP", "SIGTSTP", "SIGUSR1", "SIGWINCH"),
        *("pthread_sigmask", "sigtimedwait", "SIG_BLOCK"),
    ),
    socket: ("AF_UNIX", "MSG_DONTWAIT", "sendmsg", "recvmsg"),
}
NODES_ALONE = ("clusterctl.on_node", "clusterctl.providers.local", "clusterctl.clients.serve_detached")
"""What runs on nodes, or where nodes are this computer's own."""
_FLAGS = {"CREATE_NO_WINDOW": 0x08000000, "CREATE_NEW_PROCESS_GROUP": 0x00000200}
noted: list[object] = []
"""Flags of processes and lines of commands that Windows would have seen."""


class Without(types.ModuleType):
    """A module of the system without some of its names, and with others."""

    def __init__(self, whole, missing, more=()):
        super().__init__(whole.__name__)
        self.__dict__.update(_whole=whole, _missing=frozenset(missing), **dict(more))

    def __getattr__(self, name):
        if name in self._missing:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} on Windows")
        return getattr(self._whole, name)


def stand_in_for_msvcrt():
    """As much of msvcrt as locks need, by this system's own locks, so that ordinary processes heed them."""
    module = types.ModuleType("msvcrt")
    module.LK_UNLCK, module.LK_LOCK, module.LK_NBLCK = 0, 1, 2
    ways = {0: fcntl.LOCK_UN, 1: fcntl.LOCK_EX, 2: fcntl.LOCK_EX | fcntl.LOCK_NB}

    def locking(descriptor, mode, size):
        assert os.lseek(descriptor, 0, os.SEEK_CUR) >= 1 << 30, "a lock on content keeps others from reading it"
        fcntl.flock(descriptor, ways[mode])

    module.locking = locking
    return module


def begin(command, *, creationflags, **options):
    """`subprocess.Popen`, which takes flags on Windows alone."""
    noted.append(creationflags)
    return subprocess.Popen(command, start_new_session=True, **options)


def note(command, **_):
    """`subprocess.run` of a program that Windows has."""
    noted.append(command)
    return subprocess.CompletedProcess(command, 0, "", "")


def load_ours():
    """Import all that runs on a laptop; returns the names of the modules."""
    real = sys.platform
    sys.modules.update({**dict.fromkeys(HIDDEN_MODULES), "msvcrt": stand_in_for_msvcrt()})
    sys.platform, subprocess.CREATE_NO_WINDOW, subprocess.CREATE_NEW_PROCESS_GROUP = "win32", *_FLAGS.values()
    signal.SIGBREAK = signal.SIGUSR2
    try:
        import clusterctl.laptop

        rooms = [importlib.import_module(f"clusterctl.laptop.{room.name}") for room in walk(clusterctl.laptop)]
    finally:
        sys.platform = real
        del sys.modules["msvcrt"]
    programs = Without(subprocess, (), {"Popen": begin, "run": note})
    for room in rooms:
        for name, value in vars(room).items():
            if value is subprocess:
                setattr(room, name, programs)
    import clusterctl_plugins

    import clusterctl

    names = [name for package in (clusterctl, clusterctl_plugins) for name in all_below(package)]
    for name in names:
        importlib.import_module(name)
    reduced = {module: Without(module, missing) for module, missing in HIDDEN_NAMES.items()}
    for name in names:
        for key, value in list(vars(sys.modules[name]).items()):
            if isinstance(value, types.ModuleType) and value in reduced:
                setattr(sys.modules[name], key, reduced[value])
    return names


def walk(package):
    return pkgutil.iter_modules(package.__path__)


def all_below(package):
    for module in walk(package):
        name = f"{package.__name__}.{module.name}"
        if name.startswith(NODES_ALONE):
            continue
        yield name
        if module.ispkg:
            yield from all_below(importlib.import_module(name))


def run(words):
    """Run a command line, or code; returns its status and what it said."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    status = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            if isinstance(words, str):
                exec(words, {})
            else:
                sys.argv = ["clusterctl", *words]
                sys.modules["clusterctl.cli.main"].main()
        except SystemExit as exc:
            status = exc.code
        except BaseException:  # noqa: BLE001  whatever it is, it is the answer
            traceback.print_exc()
            status = -1
    texts = {name: stream.buffer.getvalue().decode() for name, stream in (("out", out), ("err", err))}
    return {"status": status, **texts}


def main():
    answer = sys.stdout
    modules = load_ours()
    results = [run(words) for words in json.load(sys.stdin)]
    print(json.dumps({"modules": modules, "results": results, "noted": noted}), file=answer)


if __name__ == "__main__":
    main()
