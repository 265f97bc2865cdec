"""A command that runs on this computer, in place of one on a node."""

from __future__ import annotations

import subprocess


class LocalProcess:
    """A command that runs on this computer."""

    def __init__(self, command):
        pipe = subprocess.PIPE
        self._child = subprocess.Popen(["sh", "-c", command], stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0)

    def read(self, size=65536, /):
        return self._child.stdout.read(size)

    def read_errors(self, size=65536, /):
        return self._child.stderr.read(size)

    def write(self, data):
        while data:
            data = data[self._child.stdin.write(data) :]

    def end_input(self):
        self._child.stdin.close()

    def wait(self):
        return self._child.wait()

    def close(self):
        self._child.kill()
        self._child.wait()
        for file in (self._child.stdin, self._child.stdout, self._child.stderr):
            file.close()
