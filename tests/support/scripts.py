"""Scripts of a user's, each in a Python of its own. They end with the block, whatever they are at."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from contextlib import contextmanager


@contextmanager
def user_scripts(folder):
    """Yield what begins a script from a file of its own; its output is a pipe."""
    begun = []

    def begin(text, env):
        file = folder / f"work{len(begun)}.py"
        file.write_text(textwrap.dedent(text))
        begun.append(subprocess.Popen([sys.executable, file], env=env, stdout=subprocess.PIPE, text=True))
        return begun[-1]

    try:
        yield begin
    finally:
        for process in begun:
            process.kill()
            process.wait()
            process.stdout.close()
