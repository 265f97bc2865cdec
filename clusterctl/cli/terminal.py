"""Text on the terminal. Names, errors and logs may come from a node, and a terminal obeys what it is given."""

from __future__ import annotations

from typing import IO, Any

import click

from clusterctl.text import clean_lines


def echo(text: object = "", *, err: bool = False, file: IO[Any] | None = None) -> None:
    """Print lines, with control characters written out.

    The only way for commands to print text. What is exact goes by `show_json`, or as bytes.

    Args:
        text: the lines; a newline follows.
        err: print on stderr.
        file: where to print instead.
    """
    click.echo(clean_lines(str(text)), err=err, file=file)
