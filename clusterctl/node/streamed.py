"""Programs that run on a node for as long as somebody listens. Their text comes over stdin, as does what follows."""

from __future__ import annotations

import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING

from clusterctl.model import Facet
from clusterctl.node.programs import node_program

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from clusterctl.remote.base import Remote, RunningCommand


@contextmanager
def running_program(
    remote: Remote, module: str, values: Mapping[str, object], *, idle_s: float, bare: bool = True, sudo: bool = False
) -> Iterator[RunningCommand]:
    """Have a program run on a node; see `node_program`. It is given up at the end of the block.

    Args:
        remote: the node.
        module: the program's module.
        values: what it is told.
        idle_s: for how long it may be silent, in seconds; then reads and writes raise TimeoutError.
        bare: it needs no package, so the system's Python will do where there is no other one yet.
        sudo: run it as root if the node is a machine.
    """
    program = node_program(module, values).encode()
    start = f"import sys; exec(compile(sys.stdin.buffer.read({len(program)}), 'clusterctl', 'exec'))"
    # The cluster's Python, or the system's where there is none yet; names of files are UTF-8, whatever the locale.
    python = shlex.quote(str(remote.node.layout.env / "bin" / "python"))
    alone = f'[ -x "$python" ] || python=python3; exec "$python" -X utf8 -I -S -c {shlex.quote(start)}'
    with_packages = f'exec "$python" -X utf8 -I -c {shlex.quote(start)}'
    command = f"python={python}; {alone if bare else with_packages}"
    if sudo and Facet.MACHINE in remote.node.facets and remote.node.user != "root":
        command = f"exec sudo -n -- sh -c {shlex.quote(command)}"
    running = remote.start_command(command, idle_s=idle_s)
    try:
        running.write(program)
        yield running
    finally:
        running.close()
