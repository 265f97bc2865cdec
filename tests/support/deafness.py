"""A process that does nothing any more, and that SIGCONT does not wake: it is held as by a debugger."""

from __future__ import annotations

import subprocess
import sys

HOLD = """
import ctypes, os, sys
pid = int(sys.argv[1])
if ctypes.CDLL(None, use_errno=True).ptrace(16, pid, None, None):
    sys.exit(os.strerror(ctypes.get_errno()))
os.waitpid(pid, 0x40000000)
print("held", flush=True)
while not os.WIFSIGNALED(os.waitpid(pid, 0x40000000)[1]):
    pass
"""
"""Attaches to it (PTRACE_ATTACH) and waits for its death (__WALL), which its parent does not hear of before."""


def hold(pid: int) -> subprocess.Popen[str]:
    """Make a process deaf until it is killed. Needs root. The holder, which is returned, ends then."""
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(pid)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout
    said = holder.stdout.readline()
    assert said == "held\n", f"{pid} cannot be held: {said}"
    return holder
