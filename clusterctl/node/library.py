"""What a node gets of clusterctl itself: enough to connect to its own cluster, and to map over its engines.

The modules are packed, go to the node in the script that a plugin runs there anyway, and are unpacked into

STATE/python-DIGEST/       clusterctl/..., its word about itself, bin/pip and pip/, which tell how packages are added,
                           and beside/: cloudpickle, found last
STATE/python               a link to it, which changes whole or not at all

A file in the environment, which every Python of the environment reads at its start, names the link. It belongs to root
on a machine, as the environment does: root's services run that Python too.
"""

from __future__ import annotations

import base64
import hashlib
import json
import posixpath
import zlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from clusterctl.clients.here import WORD
from clusterctl.node.programs import run_program
from clusterctl.node.render import render

if TYPE_CHECKING:
    from importlib.abc import Traversable
    from pathlib import PurePosixPath

    from clusterctl.model import Node

_MODULES = (
    *("__init__", "clock", "errors", "files", "joblib", "sklearn/__init__", "text"),
    # What clients map is read there, and nothing else of the room.
    *(f"on_node/system/{name}" for name in ("__init__", "ending/__init__", "ending/demand", "ending/home_files")),
)
_ROOMS = ("clients", "compute", "laptop", "on_node.in_engine")
_RENAMED = {
    "clusterctl/clients/on_node.py": "clusterctl/wiring/connecting.py",
    "clusterctl/clients/no_pip.py": "pip/__main__.py",
}
"""What takes another module's place on a node."""
_PIP = """#!/bin/sh
exec python -m pip "$@"
"""
"""Where the environment has no pip, Python finds the word about packages."""
_PUT = "clusterctl.on_node.system.put_library"


def put_library(node: Node, *, cluster: str, python: str, file: PurePosixPath, master: str = "") -> str:
    """Return a piece of a script that gives a node the modules, and a word about itself. On a machine it needs root.

    Args:
        node: the node.
        cluster: the name of its cluster.
        python: the version of its environment's Python, such as ``3.11``.
        file: the connection file for clients, on the master.
        master: the master's address, where its files and its loopback are not the node's too.
    """
    word = json.dumps({"cluster": cluster, "node": node.alias, "file": str(file), "master": master})
    link = node.layout.state / "python"
    folder = link.with_name(f"python-{hashlib.sha256((_pack() + word).encode()).hexdigest()[:12]}")
    pth = node.layout.env / "lib" / f"python{python}" / "site-packages" / "clusterctl-node.pth"
    values = {
        "link": link,
        "folder": folder,
        "pth": pth,
        # Relative: nodes that share a disk share an environment too, and each has a state of its own.
        "line": posixpath.relpath(link, pth.parent),
        "word_name": WORD,
        "word": word,
    }
    program = run_program(node.layout.env / "bin" / "python", _PUT, {**values, "packed": _pack()})
    return render("library.sh.j2", **values, word_file=folder / WORD, program=program)


def library_version() -> str:
    """Return what changes with the modules: as a stamp of a request it brings nodes those of a newer laptop."""
    return hashlib.sha256(_pack().encode()).hexdigest()[:12]


@cache
def _pack() -> str:
    """Return the texts of all modules by their paths, packed."""
    texts = {f"clusterctl/{name}.py": _read(f"{name}.py") for name in _MODULES}
    for room in _ROOMS:
        path = f"clusterctl/{room.replace('.', '/')}"
        texts |= {f"{path}/{name}": text for name, text in _read_folder(files(f"clusterctl.{room}")).items()}
    texts["clusterctl/on_node/__init__.py"] = texts["clusterctl/wiring/__init__.py"] = ""
    texts |= {new: texts.pop(old) for old, new in _RENAMED.items()}
    texts |= {f"beside/cloudpickle/{name}": text for name, text in _read_folder(files("cloudpickle")).items()}
    texts["bin/pip"] = texts["bin/pip3"] = _PIP
    return base64.b64encode(zlib.compress(json.dumps(texts, sort_keys=True).encode(), 9)).decode()


def _read(name: str) -> str:
    return files("clusterctl").joinpath(name).read_text(encoding="utf-8")


def _read_folder(folder: Traversable) -> dict[str, str]:
    """Return the texts of the modules in a folder and below, by their paths."""
    texts: dict[str, str] = {}
    for place in folder.iterdir():
        if place.is_dir():
            texts |= {f"{place.name}/{path}": text for path, text in _read_folder(place).items()}
        elif place.name.endswith(".py"):
            texts[place.name] = place.read_text(encoding="utf-8")
    return texts
