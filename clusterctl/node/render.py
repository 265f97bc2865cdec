"""Template name and values to text. The only file that knows jinja2."""

from __future__ import annotations

import shlex
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from clusterctl.secret import Secret

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def _environment() -> Environment:
    # jinja2 is loaded at the first template: `--help` and `--version` need none.
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    def source(name: str) -> str | None:
        found = files("clusterctl_templates").joinpath(name)
        return found.read_text(encoding="utf-8") if found.is_file() else None

    environment = Environment(
        loader=FunctionLoader(source),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  shell, Python and INI, never HTML
        finalize=_reveal,
    )
    environment.filters["quote"] = lambda value: shlex.quote(str(_reveal(value)))
    return environment


def _reveal(value: object) -> object:
    """A template is how a secret reaches a node's 0600 file; anywhere else it shows as ***."""
    return value.reveal() if isinstance(value, Secret) else value


def render(template: str, **values: object) -> str:
    """Fill a template of templates/. A value it uses and does not get is an error, never an empty text."""
    return _environment().get_template(template).render(**values)


def render_text(source: str, **values: object) -> str:
    """Fill a template given as text: for plugins that bring their own."""
    return _environment().from_string(source).render(**values)
