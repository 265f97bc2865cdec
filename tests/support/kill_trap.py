"""Runs clusterctl in a Python that kills itself at its N-th action on the outside world.

    python kill_trap.py COUNT FILE group|alone ARGUMENTS...

Python's audit events tell of each action before it is done, whoever does it: a file that is opened for writing, made,
renamed or removed, a connection, a process, a signal, a request. Of commands on nodes there is no such event, since
they are bytes on a connection that is open: our own SSH client tells of them. FILE gets one line for each action, so
that what was not reached can be named.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_ACTIONS = {
    "os.rename": "rename",
    "os.remove": "remove",
    "os.rmdir": "remove",
    "os.mkdir": "make folder",
    "os.link": "link",
    "os.symlink": "link",
    "os.chmod": "mode",
    "os.truncate": "write",
    "shutil.rmtree": "remove",
    "socket.connect": "connect",
    "socket.bind": "listen",
    "subprocess.Popen": "process",
    "os.posix_spawn": "process",
    "os.fork": "process",
    "os.kill": "signal",
    "os.killpg": "signal",
    "http.client.send": "request",
    "fcntl.flock": "lock",
    "clusterctl.remote.begin": "remote command begins",
    "clusterctl.remote.sent": "remote command is sent",
    "clusterctl.remote.end": "remote command has ended",
}
_NOISE = ("/dev/", "/proc/", "__pycache__")


class Trap:
    """Counts actions, and kills at one of them."""

    def __init__(self, at: int, file: str, *, group: bool) -> None:
        self._at = at
        self._group = group
        self._count = 0
        self._removed = 0
        self._lock = threading.RLock()  # to kill is an action, too
        self._log = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._pid = os.getpid()

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        kind = self._kind(event, arguments)
        if kind is None or os.getpid() != self._pid:
            return
        with self._lock:
            self._removed = self._removed + 1 if kind == "remove" else 0
            if self._removed > 3 and self._removed % 500:
                return  # the files of an environment are thousands
            self._count += 1
            if self._count > self._at > 0:
                return
            os.write(self._log, f"{kind}\n".encode())
            if self._count == self._at:
                if self._group:
                    os.killpg(0, signal.SIGKILL)
                os.kill(self._pid, signal.SIGKILL)

    @staticmethod
    def _kind(event: str, arguments: tuple[object, ...]) -> str | None:
        if arguments and any(noise in str(arguments[0]) for noise in _NOISE):
            return None
        if event == "open":
            flags = arguments[2]
            return "write" if isinstance(flags, int) and flags & _WRITES else None
        return _ACTIONS.get(event)


def tell_of_remote_commands() -> None:
    """Have our SSH client tell of the commands that it sends."""
    from clusterctl.remote import running, ssh

    open_command, wait, write = ssh.SSHRemote._open_command, running.SSHCommand.wait, running.SSHCommand.write

    def tell_begin(self, *arguments, **options):
        sys.audit("clusterctl.remote.begin", self.node.alias)
        return open_command(self, *arguments, **options)

    def tell_sent(self, data):
        write(self, data)
        sys.audit("clusterctl.remote.sent", len(data))

    def tell_end(self):
        status = wait(self)
        sys.audit("clusterctl.remote.end", status)
        return status

    ssh.SSHRemote._open_command = tell_begin
    running.SSHCommand.write = tell_sent
    running.SSHCommand.wait = tell_end


def main() -> None:
    """Arm the trap and become clusterctl."""
    at, file, whom, *arguments = sys.argv[1:]
    tell_of_remote_commands()
    from clusterctl.cli import main as program

    sys.argv = ["clusterctl", *arguments]
    sys.addaudithook(Trap(int(at), file, group=whom == "group"))
    program.main()


if __name__ == "__main__":
    main()
