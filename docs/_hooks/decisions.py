"""Lists the decisions by title when the site is built: in its navigation, and on their own page.

`read_decisions()` needs nothing of mkdocs: the tests read the same list that the site shows.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[1] / "decisions"
MARK = "<!-- decisions -->"


class Decision(NamedTuple):
    """One page of the folder."""

    file: str
    number: str
    title: str


def read_decisions() -> Iterator[Decision]:
    """Every decision, in the order of the numbers."""
    for path in sorted(FOLDER.glob("[0-9]*.md")):
        first_line = path.read_text(encoding="utf-8").partition("\n")[0]
        heading = re.fullmatch(r"# (\d{4}): (.+)", first_line)
        if not heading or not path.name.startswith(f"{heading[1]}-"):
            raise ValueError(f"{path.name} begins with {first_line!r}, not with '# NUMBER: TITLE' and its own number")
        yield Decision(path.name, heading[1], heading[2])


def on_config(config: Any) -> Any:
    """Called by mkdocs: the section of the decisions gets its pages."""
    pages = next(item["Decisions"] for item in config.nav if isinstance(item, dict) and "Decisions" in item)
    pages += [{decision.title.replace("`", ""): f"decisions/{decision.file}"} for decision in read_decisions()]
    return config


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs: the page of the decisions gets its table."""
    return markdown.replace(MARK, "\n".join(_table()))


def _table() -> Iterator[str]:
    yield "| | |"
    yield "|---|---|"
    for decision in read_decisions():
        yield f"| [{decision.number}]({decision.file}) | {decision.title} |"
