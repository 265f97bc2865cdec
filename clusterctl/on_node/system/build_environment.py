"""Gives a node that shares its disk with others the environment of its cluster: a clone of one in the cache.

It runs under the Python that the environment is for.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from .environments import manifest
from .environments.shared import Cache, clone, find_fault, grow, locked

_KEPT_DAYS = 60


def main(values: dict[str, Any]) -> None:
    """Let the link `env` point to the environment `name` in the folder `clones`, which is made if need be.

    It is a clone of that in the folder `cache`, which is built if need be. `command` is an id of the command that asks,
    `lock` is the text of the lock, `grown_from` names an environment to which it only adds, and `sync` has further
    arguments of ``uv pip sync``.
    """
    try:
        _give(values)
    except OSError as exc:
        sys.exit(f"the packages cannot be set up: {exc}")


def _give(values: dict[str, Any]) -> None:
    cache, link, name = Cache(Path(values["cache"])), Path(values["env"]), values["name"]
    with locked(Path(values["clones"])) as clones:
        folder = clones / name
        fault = find_fault(folder, values["command"])
        if fault:
            whole, damage = cache.take(name, lambda part: _build(part, values))
            clone(whole, folder)
            for caches in (cache, Cache(Path(values["cache"]).with_name("envs"))):  # the second of an earlier version
                caches.sweep(_KEPT_DAYS)
            if fault != manifest.MISSING or damage:
                print(f"note: the packages were damaged ({damage or fault}) and are made anew")
        unchanged = not fault and link.is_symlink() and link.readlink() == folder
        _point(link, folder)
        _remove_unused(clones, link)
    print("unchanged" if unchanged else "changed: environment", name)


def _build(folder: Path, values: dict[str, Any]) -> None:
    former = values["grown_from"]
    if not (former and grow(Path(values["cache"]) / former, folder)):
        python = os.path.realpath(sys.executable)
        _run("uv", "venv", "--quiet", "--no-project", "--relocatable", "--python", python, folder)
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write(values["lock"])
        file.flush()
        # Compiled once here: no engine compiles anything at its start, and none could write it. Copied, not linked:
        # what is damaged here is whole in uv's own cache.
        options = ("--quiet", "--compile-bytecode", "--link-mode", "copy", *values["sync"])
        _run("uv", "pip", "sync", "--python", folder / "bin" / "python", *options, file.name)


def _run(*command: object) -> None:
    # What the environment is locked with is open in uv too, and so held for as long as that lives.
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, close_fds=False, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def _point(link: Path, target: Path) -> None:
    if link.is_symlink() and link.readlink() == target:
        return
    new = link.with_name(f"{link.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(link)


def _remove_unused(clones: Path, link: Path) -> None:
    """Delete the environments that no node of the cluster has any more, and what this one had of an earlier version."""
    links = [path for path in clones.parent.glob(f"*/{link.name}") if path.is_symlink()]
    used = {path.readlink() for path in links}
    for folder in [path for path in clones.iterdir() if path.is_dir()]:
        if folder not in used:
            manifest.remove(folder)
    for old in link.parent.glob(f"{link.name}-*"):
        shutil.rmtree(old, ignore_errors=True)
