"""Relative paths: those of a config file begin in its folder, those of the command line in the working folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl.files import FileToSend
from clusterctl.options import expand_path

if TYPE_CHECKING:
    from clusterctl.config.ini import Origin, RawSection
    from clusterctl.options import Section


_PLACED = (Path, FileToSend)
"""What has a path in it."""


def folder_of(origin: Origin) -> Path:
    """Return the folder in which relative paths of a value begin; a relative path for the working folder."""
    return Path(origin.file).absolute().parent if origin.where == "file" else Path()


def folders_of(section: RawSection) -> dict[str, Path]:
    """Return by key the folders in which relative paths of a section begin, which may extend one of another file."""
    return {key: folder_of(value.origin) for key, value in section.values.items()}


def complete_class_path(text: str, origin: Origin) -> str:
    """Return a SETUP_CLASS with the whole path of its file; unchanged if it names a module or an installed plugin."""
    file, colon, name = text.rpartition(":")
    return f"{(folder_of(origin) / expand_path(file)).absolute()}{colon}{name}" if file.endswith(".py") else text


def path_text(section: Section, key: str) -> str | None:
    """Return a path, or a list of paths, as a config has it and without the folder that it began in; else None."""
    value = getattr(section, key, None)
    paths = [value] if isinstance(value, Path) else value
    if not isinstance(paths, tuple | list) or not paths or not all(isinstance(path, _PLACED) for path in paths):
        return None
    return ", ".join(str(path.absolute() if isinstance(path, Path) else path) for path in paths)
