"""A user without rights and with empty caches."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .laptop import Laptop


@dataclass(frozen=True)
class ColdStart:
    """A start by a user without rights, with nothing in their caches, that is under way."""

    laptop: Laptop | None = None
    process: subprocess.Popen[str] | None = None
    uid: int = 65534
    why_not: str = ""
    """Where there is none."""


def anybodys_python(runner):
    """A Python of our version that anybody may run."""
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    for program in (os.path.realpath(sys.executable), f"/usr/bin/{name}", f"/usr/local/bin/{name}"):
        if Path(program).exists() and subprocess.run([*runner, program, "-c", ""], capture_output=True).returncode == 0:
            return program
    return None


def virtual_environment(folder, program):
    """Make one that finds all that ours has; returns its Python."""
    subprocess.run([program, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    ours = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    (site / "all.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in ours))
    return str(folder / "bin" / "python")
