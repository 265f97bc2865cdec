"""Renders templates with values. The only file that knows jinja2."""

from __future__ import annotations

import shlex
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from clusterctl.formats import VERSION
from clusterctl.secret import Secret

if TYPE_CHECKING:
    from jinja2 import Environment


_TEMPLATE = ".j2"


@cache
def _jinja_environment() -> Environment:
    # jinja2 is loaded at the first template: `--help` and `--version` do not need it.
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    def load_template(name: str) -> str | None:
        file = files("clusterctl_templates").joinpath(name)
        if not file.is_file():
            return None
        text = file.read_text(encoding="utf-8")
        # A plain file is included as it is: a shell's `${#name}` begins no comment.
        return text if name.endswith(_TEMPLATE) else f"{{% raw %}}{text}{{% endraw %}}"

    environment = Environment(
        loader=FunctionLoader(load_template),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  shell, Python and INI, never HTML
        finalize=_reveal_secret,
    )
    environment.filters["percents"] = lambda value: str(value).replace("%", "%%")
    environment.globals["clusterctl_version"] = VERSION
    environment.filters["quote"] = lambda value: shlex.quote(str(_reveal_secret(value)))
    return environment


def _reveal_secret(value: object) -> object:
    """Return the real text of a secret. Templates write secrets to 0600 files of a node; elsewhere they show as ***."""
    return value.reveal() if isinstance(value, Secret) else value


def render(template: str, **values: object) -> str:
    """Return a template of templates/ filled with values. A missing value is an error, never an empty text."""
    return _jinja_environment().get_template(template).render(**values)


def render_text(source: str, **values: object) -> str:
    """Return a template, given as text, filled with values. For plugins with their own templates."""
    return _jinja_environment().from_string(source).render(**values)
