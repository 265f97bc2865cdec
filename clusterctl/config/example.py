"""Renders the option declarations as a commented INI file.

``python -m clusterctl.config.example > config.example.ini`` refreshes the file that comes with the sources.
"""

from __future__ import annotations

import inspect
import os
import sys
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING

from clusterctl.config.settings import SECTION_MODELS, GlobalSection
from clusterctl.errors import UsageError
from clusterctl.files import ensure_folder
from clusterctl.options import Section, is_secret
from clusterctl.plugin import loader

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic.fields import FieldInfo

_TOP = """\
# The configuration of clusterctl. As it is, it makes clusters on this computer:
#
#     clusterctl start mycluster
#
# Every other option is below, commented out with its default or an example.
# Options are the same in upper and lower case. A line that begins with a blank goes on
# with the one above it. What follows a blank and a # is a comment.
"""

_LOCAL = """\

[cluster local]
PROVIDER = local
CLUSTER_SIZE = 3
PLUGINS = ipcluster
"""

_SIZES = """
# Names of yours for instance types, for `clusterctl run -i NAME`; as many as you like. They
# come before clusterctl's own: C16, M64, G1.
#[sizes]
#C16 = c7i.4xlarge, c7a.4xlarge
#GPU = g6.xlarge
"""

_SECTIONS = {
    "cluster big": "A template to make clusters from; as many as you like, each with a name.",
    "aws": "Who pays, and where. Needed if neither a profile nor a role of AWS is set up.",
    "host alpha": "A machine that is there, for the provider static.",
    "key mykey": "A key pair of EC2.",
    "volume data": "A disk that outlives clusters, mounted on the master and seen by all nodes.",
    "permission web": "Ports to open. The tunnel of clusterctl needs none.",
}


def render_example(plugins: Mapping[str, type[object]]) -> str:
    """Return a config file that works unchanged and lists every option: the text that `config init` writes."""
    top = _render_section("global", "The whole file.", GlobalSection)
    for line in ("[global]", "DEFAULT_TEMPLATE = local"):
        top = top.replace(f"#{line}\n", f"{line}\n")
    parts = [_TOP, top, _LOCAL]
    models = {title.partition(" ")[0]: model for title, model in SECTION_MODELS.items()}
    parts += [_render_section(title, about, models[title.partition(" ")[0]]) for title, about in _SECTIONS.items()]
    parts.append(_SIZES)
    for name in sorted(plugins):
        about = (inspect.getdoc(plugins[name]) or "").partition("\n")[0]
        parts.append(_render_section(f"plugin {name}", about, loader.options_model(plugins[name])))
    return "".join(parts)


def _render_section(title: str, about: str, model: type[Section]) -> str:
    lines = ["", *_comment_lines(about), f"#[{title}]"]
    for key, field in model.model_fields.items():
        lines += [*_comment_lines(_describe_option(field)), f"#{key.upper()} = {_example_value(field)}".rstrip()]
    return "\n".join(lines) + "\n"


def _comment_lines(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, 88)]


def _describe_option(field: FieldInfo) -> str:
    text = field.description or ""
    if field.is_required():
        return f"{text} (required)"
    shown = _format_default(field.default)
    # The line shows the example, so the default must be in the comment.
    return f"{text} (default: {shown})" if field.examples and shown else text


def _example_value(field: FieldInfo) -> str:
    if is_secret(field):
        return ""
    if field.examples:
        return str(field.examples[0])
    return "" if field.is_required() else _format_default(field.default)


def _format_default(value: object) -> str:
    """Return a default as a user would write it; empty if it is made at run time."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str | int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    return ", ".join(map(str, value)) if isinstance(value, Iterable) else ""


def write_config(path: Path, text: str, *, force: bool) -> None:
    """Write a config file that only its owner can read, since it may contain keys. Replace one with `force` alone."""
    try:
        ensure_folder(path.parent)
        if force:
            path.unlink(missing_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UsageError(
            f"{path} is there already",
            remedy="edit it; or add --force to replace it, or --path to write another",
        ) from None
    except OSError as exc:
        raise UsageError(f"cannot write {path}: {exc.strerror}", remedy="name another place with --path") from exc
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)


if __name__ == "__main__":
    sys.stdout.write(render_example(loader.installed_plugins("clusterctl")))
