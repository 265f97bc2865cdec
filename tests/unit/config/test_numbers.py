"""Each number among all options has a lowest and a highest value, and what is beyond is refused by name."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import TypeAdapter

from clusterctl.config import settings
from clusterctl.config.cluster_section import ClusterSection
from clusterctl.options import Section, is_secret, parse_span, read_section
from clusterctl.plugin import loader


def models():
    """All sections, of our own and of each plugin that is ours."""
    yield "cluster", ClusterSection
    for name, model in vars(settings).items():
        if isinstance(model, type) and issubclass(model, Section) and model not in {Section, ClusterSection}:
            yield name, model
    for name, plugin in loader.installed_plugins().items():
        if plugin.__module__.startswith("clusterctl_plugins"):
            yield name, loader.options_model(plugin)


def numbers():
    """Section, option, and what its schema says of its numbers."""
    for section, model in models():
        for option, field in model.model_fields.items():
            if is_secret(field):
                continue
            kind = (
                Annotated.__class_getitem__((field.annotation, *field.metadata)) if field.metadata else field.annotation
            )
            schema = TypeAdapter(kind).json_schema()
            kinds = [schema, *schema.get("anyOf", [])]
            found = [kind for kind in kinds if kind.get("type") in {"integer", "number"}]
            if found:
                yield pytest.param(model, option, found[0], id=f"{section}.{option}")


def test_there_are_such_options():
    assert len(list(numbers())) >= 20


@pytest.mark.parametrize(("model", "option", "schema"), list(numbers()))
def test_it_has_a_range_and_the_example_and_default_are_in_it(model, option, schema):
    assert {"minimum", "exclusiveMinimum"} & schema.keys(), "no lowest value"
    assert {"maximum", "exclusiveMaximum"} & schema.keys(), "no highest value"
    lowest = schema.get("minimum", schema.get("exclusiveMinimum"))
    highest = schema.get("maximum", schema.get("exclusiveMaximum"))
    for text in (str(lowest - 1), str(highest + 1), "1e400", "-1e400", "nan", "inf", "9" * 5000):
        _, faults = read_section(model, {option: text})
        assert option in dict(faults), text
    shown = model.model_fields[option].examples or [model.model_fields[option].get_default(call_default_factory=True)]
    for value in shown:
        if isinstance(value, str) and value.replace(".", "").isdigit():
            assert option not in dict(read_section(model, {option: value})[1])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("20m", 1200), ("20 min", 1200), ("1.5H", 5400), ("366d", 31_622_400), ("1s", 1), (" Never ", 0)],
)
def test_a_time_has_a_unit(text, seconds):
    assert parse_span(text) == seconds


@pytest.mark.parametrize("text", ["", "90", "0s", "0.9s", "367d", "-1m", "1w", "m", "1 h 30 m", "nan s"])
def test_what_is_no_time_of_a_second_to_a_year_is_refused(text):
    with pytest.raises(ValueError, match="expected a time"):
        parse_span(text)
