"""Templates: a value that is missing is an error, a secret reaches a node's file and nothing else."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import TemplateNotFound, UndefinedError

from clusterctl.node.render import render, render_text
from clusterctl.secret import Secret


def test_a_value_that_is_used_and_not_given_is_an_error():
    with pytest.raises(UndefinedError, match="name"):
        render_text("hello {{ name }}")


def test_a_template_that_does_not_exist_is_an_error():
    with pytest.raises(TemplateNotFound):
        render("nope.sh.j2")


def test_a_secret_is_written_out():
    assert render_text("{{ token }} {{ token | quote }}", token=Secret("a b")) == "a b 'a b'"


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_quote_makes_one_word_of_anything(text):
    assert shlex.split(render_text("echo {{ it | quote }}", it=text)) == ["echo", text]


def test_lines_of_the_template_language_leave_no_empty_lines():
    assert render_text("{% for n in [1, 2] %}\n    {% if n %}\nx{{ n }}\n    {% endif %}\n{% endfor %}\n") == "x1\nx2\n"
