"""A Python module and its values to the text of a program that runs on a node.

The text has all that it needs: the modules that it imports from beside itself, packed, and its values as one JSON
document. It goes to a node over stdin or into a file, so that no value of it shows in a list of processes.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
import zlib
from functools import cache
from importlib.resources import files
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Protocol

from clusterctl.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_CARRIER = "clusterctl.on_node.system.carrier"
_END = "CLUSTERCTL_PROGRAM"
_WIDTH = 120
_PROGRAM = '''\
# Made by clusterctl, from its modules. They are packed, as every node gets them.
import binascii
import zlib

exec(zlib.decompress(binascii.a2b_base64("""
{packed}
""")))
if __name__ == "__main__":
    run(program, {values})
'''
# Not by `ast`, which takes a tenth of a second for what a start sends. What is found too much is sent too much.
_RELATIVE_IMPORT = re.compile(r"^[ \t]*from[ \t]+(\.+)([\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]+)", re.MULTILINE)


class _Folder(Protocol):
    """What is used of a folder, be it of a file system or of a package."""

    def joinpath(self, child: str, /) -> _Folder: ...
    def is_file(self) -> bool: ...
    def read_text(self, encoding: str) -> str: ...


def node_program(module: str | Path, values: Mapping[str, object] | None = None) -> str:
    """Return the text of a program that calls the module's `main` with these values.

    The module may import others of its folder, and of folders below it, by relative imports; these are sent with it.
    It is read, never imported. What its `main` returns is the exit status, as `sys.exit` takes it.

    Args:
        module: its dotted name, such as ``my_plugin.on_node.watch``, or the path of its file.
        values: anything that JSON can say; paths become text, and secrets are written out.

    Raises:
        ValueError: it imports something from above its folder.
        FileNotFoundError: there is no such module.
    """
    document = json.dumps(dict(values or {}), default=_plain)
    return _PROGRAM.format(packed=_pack(module), values=repr(document))


def run_program(python: str | PurePath, module: str | Path, values: Mapping[str, object] | None = None) -> str:
    """Return a piece of a shell script that runs such a program at once, by this Python on the node."""
    return f"{shlex.quote(str(python))} - <<'{_END}'\n{node_program(module, values)}{_END}\n"


def _plain(value: object) -> object:
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f"JSON cannot say {value!r}")


@cache
def _pack(module: str | Path) -> str:
    """The part of a program that its values do not change: the carrier and what it carries."""
    folder, name = _place(module)
    sources = dict(sorted(_sources(folder, name).items()))
    text = (
        f"{_source(*_place(_CARRIER))}\nprogram = load({sources!r}, {name!r}, globals().get('CARRIED_AS', PACKAGE))\n"
    )
    packed = base64.b64encode(zlib.compress(text.encode(), 9)).decode()
    return "\n".join(packed[start : start + _WIDTH] for start in range(0, len(packed), _WIDTH))


def _place(module: str | Path) -> tuple[_Folder, str]:
    """The folder of a module, and its name in it."""
    if isinstance(module, Path):
        return module.parent, module.stem
    package, _, name = module.rpartition(".")
    return files(package), name


def _sources(folder: _Folder, main: str) -> dict[str, str]:
    """The sources of a module and of all that it imports from its folder, by their names below the folder."""
    sources = {"": ""}
    wanted = [main]
    while wanted:
        name = wanted.pop()
        if name in sources:
            continue
        sources[name] = _source(folder, name)
        wanted += [name.rpartition(".")[0], *_relative_imports(folder, name, sources[name])]
    return sources


def _relative_imports(folder: _Folder, name: str, text: str) -> Iterator[str]:
    """The modules that relative imports in a module name, wherever in it they are."""
    package = name.split(".") if _is_package(folder, name) else name.split(".")[:-1]
    for dots, module, names in _RELATIVE_IMPORT.findall(text):
        if len(dots) > len(package) + 1:
            raise ValueError(f"{name} imports from above its folder: from {dots}{module} import {names}")
        base = [*package[: len(package) + 1 - len(dots)], *(module.split(".") if module else [])]
        named = [".".join([*base, word]) for word in re.findall(r"\w+", names)]
        yield from (other for other in [".".join(base), *named] if other and _file(folder, other).is_file())


def _descend(folder: _Folder, *names: str) -> _Folder:
    """Return what is below a folder by these names; a package of Python 3.10 takes one name at a time."""
    for name in names:
        folder = folder.joinpath(name)
    return folder


def _is_package(folder: _Folder, name: str) -> bool:
    return _descend(folder, *name.split("."), "__init__.py").is_file()


def _file(folder: _Folder, name: str) -> _Folder:
    if _is_package(folder, name):
        return _descend(folder, *name.split("."), "__init__.py")
    *above, last = name.split(".")
    return _descend(folder, *above, f"{last}.py")


def _source(folder: _Folder, name: str) -> str:
    return _file(folder, name).read_text(encoding="utf-8")
