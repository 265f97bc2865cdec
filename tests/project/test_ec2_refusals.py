"""The page on refusals has every row of the table of error codes, as the table says it."""

from __future__ import annotations

from pathlib import Path

from clusterctl.providers.ec2.answers.rows import Kind
from clusterctl.providers.ec2.answers.table import SOURCES, TABLE

PAGE = Path(__file__).parents[2] / "docs/howto/ec2-refusals.md"


def render_rows() -> list[str]:
    """The page's sections: one for each kind of refusal, with a table of its codes."""
    lines = []
    for kind in Kind:
        rows = [row for row in TABLE if row.kind == kind]
        if not rows:
            continue
        title = kind.value[0].upper() + kind.value[1:]
        lines += ["", f"## {title}", "", "| code | what is done | what helps | source |", "|---|---|---|---|"]
        for row in rows:
            code = f"`{row.code}`" + (f", with “{row.about}”" if row.about else "")
            calls = f" (at {', '.join(row.calls)})" if row.calls else ""
            lines.append(f"| {code}{calls} | {row.road.value} | {row.remedy} | [{row.source}]({SOURCES[row.source]}) |")
    return lines


def test_the_page_has_every_row():
    text = PAGE.read_text(encoding="utf-8")
    begin = "<!-- rows -->\n"
    assert text.partition(begin)[2] == "\n".join(render_rows()) + "\n", "run tests/project/test_ec2_refusals.py"


if __name__ == "__main__":
    head = PAGE.read_text(encoding="utf-8").partition("<!-- rows -->\n")[0]
    PAGE.write_text(head + "<!-- rows -->\n" + "\n".join(render_rows()) + "\n", encoding="utf-8")
