"""The steps of a start as a picture."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from clusterctl.cli.charts.gantt import render_steps_svg
from clusterctl.operations.timing import Step

SVG = "{http://www.w3.org/2000/svg}"
STEPS = [
    Step("laptop", "plan", "", 0.0, 0.0, 0.5),
    Step("node001", "ssh", "", 0.5, 0.6, 2.0),
    Step("master", "ssh", "", 0.5, 0.5, 1.0),
    Step("node001", "packages", "master/packages", 2.0, 4.0, 6.0, error="no space left"),
]


def drawn(steps=STEPS, seconds=6.5):
    return ET.fromstring(render_steps_svg(steps, name="lab", seconds=seconds))


def test_each_step_is_a_bar_with_its_words():
    root = drawn()
    titles = [each.find(f"{SVG}title").text for each in root.iter(f"{SVG}rect") if each.find(f"{SVG}title") is not None]
    assert titles[3] == "node001: packages from 4.00 to 6.00 s, after master/packages, failed"
    assert len(titles) == len(STEPS)
    assert root.find(f"{SVG}desc").text == "; ".join(titles)
    assert root.find(f"{SVG}title").text == "The start of lab: 6.5 s"
    texts = [each.text for each in root.iter(f"{SVG}text")]
    assert [text for text in texts if text in {"laptop", "master", "node001"}] == ["laptop", "master", "node001"]


def test_a_wait_is_a_thin_line_before_the_bar():
    waits = [each for each in drawn().iter(f"{SVG}path") if each.get("stroke-width") == "2"]
    assert len(waits) == 2


@pytest.mark.parametrize("count", [1, 30, 1000])
def test_all_lies_within_the_picture(count):
    steps = [Step(f"node{number:03d}", f"plugin{number % 40}", "", 0, number, number + 1) for number in range(count)]
    root = drawn(steps, count + 1)
    height, width = (float(root.get(size)) for size in ("height", "width"))
    for each in root.iter(f"{SVG}rect"):
        assert float(each.get("y", 0)) + float(each.get("height")) <= height
        assert float(each.get("x", 0)) + float(each.get("width")) <= width
    assert ("800 more nodes that are not shown" in ET.tostring(root, "unicode")) == (count == 1000)


def test_names_are_text_and_nothing_is_loaded_from_elsewhere():
    text = render_steps_svg([Step("<n>", "a&b", "", 0, 0, 0)], name="<&>", seconds=0)
    assert "&lt;n&gt;" in text
    assert "a&amp;b" in text
    assert not [word for word in ("href", "url(", "@import", "<script") if word in text]
