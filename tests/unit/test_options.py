"""Options of sections: what a text becomes, and what is said of one that is wrong."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import Field

from clusterctl.options import (
    CommaList,
    ExpandedPath,
    Flag,
    PathList,
    SecretText,
    Section,
    Span,
    TypedValues,
    WordList,
    is_list,
    is_secret,
    parse_span,
    quote_shortened,
    read_section,
)
from clusterctl.secret import Secret


def two_words() -> tuple[str, ...]:
    return ("a", "b")


class Options(Section):
    names: CommaList = ()
    words: WordList = ()
    wanted: Flag = False
    span: Span = 60.0
    folder: ExpandedPath | None = None
    folders: PathList = ()
    token: SecretText | None = None
    count: int = Field(1, ge=1, le=9)
    price: Decimal | None = None
    greeting: str = Field(default_factory=lambda: "hello")
    listed: CommaList = Field(default_factory=two_words)
    zone: str = Field("a1", pattern=r"^[a-z][0-9]$", examples=["b2"])


class Required(Section):
    hosts: CommaList = Field(description="the machines")
    place: str


def read(**texts: str) -> Options:
    section, faults = read_section(Options, texts)
    assert faults == []
    assert section is not None
    return section


def fault(**texts: str) -> str:
    section, faults = read_section(Options, texts)
    assert section is None
    ((key, words),) = faults
    assert key in texts
    return words


class TestTexts:
    def test_an_empty_one_is_the_default_also_one_that_is_made(self):
        section = read(count="", greeting="", span="", zone="")
        assert (section.count, section.greeting, section.span, section.zone) == (1, "hello", 60.0, "a1")

    def test_an_empty_list_is_empty(self):
        assert read(listed="").listed == ()
        assert Options().listed == ("a", "b")

    def test_lists(self):
        assert read(names=" a, b,\n  c ,").names == ("a", "b", "c")
        assert read(words="a 'b c'\n  d").words == ("a", "b c", "d")

    @pytest.mark.parametrize("text", ["yes", "On", "TRUE", "1"])
    def test_flags_that_are_on(self, text):
        assert read(wanted=text).wanted is True

    @pytest.mark.parametrize("text", ["no", "Off", "FALSE", "0"])
    def test_flags_that_are_off(self, text):
        assert Options(wanted=True).wanted is True
        assert read(wanted=text).wanted is False

    def test_values_that_are_none_of_a_file_stay(self):
        section = Options(names=("a",), words=("b c",), wanted=True, span=0.0, folder=Path("x"))
        assert (section.names, section.words, section.wanted, section.span) == (("a",), ("b c",), True, 0.0)
        assert section.folder == Path("x")

    def test_a_secret_is_not_shown_and_can_be_read(self):
        section = read(token="hunter2")
        assert "hunter2" not in repr(section)
        assert section.token is not None
        assert section.token.reveal() == "hunter2"
        kept = Secret("x")
        assert Options(token=kept).token is kept


class TestPaths:
    def test_a_relative_one_begins_in_the_folder_that_is_given(self, tmp_path):
        texts = {"folder": "data", "folders": "a, /b"}
        section, _ = read_section(Options, texts, {"folder": tmp_path, "folders": tmp_path})
        assert section is not None
        assert section.folder == tmp_path / "data"
        assert section.folders == (tmp_path / "a", Path("/b"))

    def test_others_stay_relative(self, tmp_path):
        assert read(folder="data").folder == Path("data")
        section, _ = read_section(Options, {"folder": "data"}, {"folders": tmp_path})
        assert section is not None
        assert section.folder == Path("data")

    def test_home_and_variables_are_expanded(self, monkeypatch):
        monkeypatch.setenv("HOME", "/home/me")
        monkeypatch.setenv("WHERE", "there")
        assert read(folders="~/x, $WHERE/y").folders == (Path("/home/me/x"), Path("there/y"))
        assert os.environ["HOME"] == "/home/me"


class TestSpans:
    @pytest.mark.parametrize(
        ("text", "seconds"),
        [("90s", 90), ("20m", 1200), ("20 min", 1200), ("1.5h", 5400), ("2D", 172_800), ("never", 0), ("1s", 1)],
    )
    def test_units(self, text, seconds):
        assert parse_span(text) == seconds
        assert read(span=text).span == seconds

    @pytest.mark.parametrize("text", ["90", "0s", "0.9s", "-1s", "367d", "1w", "1h 2m", "Never!"])
    def test_what_is_none(self, text):
        with pytest.raises(ValueError, match="expected a time such as"):
            parse_span(text)
        assert fault(span=text).endswith(f"or never; got {text!r}")

    def test_one_below_zero_is_none_either(self):
        assert parse_span("366d") == 366 * 86_400
        for wrong in (-0.5, 366.5 * 86_400):
            with pytest.raises(ValueError, match="span"):
                Options(span=wrong)


class TestFaults:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ({"wanted": "perhaps"}, "expected yes or no, got 'perhaps'"),
            ({"words": "a 'b"}, "a quotation mark is not closed"),
            ({"count": "x"}, "expected a whole number, got 'x'"),
            ({"count": "0"}, "expected at least 1, got '0'"),
            ({"count": "10"}, "expected at most 9, got '10'"),
            ({"price": "cheap"}, "expected a number, got 'cheap'"),
            ({"zone": "A"}, "expected something like b2, got 'A'"),
            ({"cuont": "1"}, "unknown option (did you mean COUNT?)"),
        ],
    )
    def test_words(self, text, words):
        assert fault(**text) == words

    def test_an_unknown_option_without_a_like_is_answered_with_all(self):
        assert fault(qqqq="1").startswith("unknown option; there are NAMES, WORDS, ")

    def test_what_is_missing_is_described(self):
        _, faults = read_section(Required, {})
        assert faults == [("hosts", "is required: the machines"), ("place", "is required")]
        assert read_section(Required, {"hosts": "", "place": "x"})[1] == []

    def test_an_option_that_got_lost_in_another_one_is_named_and_nothing_is_quoted(self):
        words = fault(names="a\n  token = hunter2")
        assert words == "the line TOKEN below it is indented and so part of it; unindent it"
        assert read(names="a,\n  other = b").names == ("a", "other = b")

    def test_a_long_value_is_cut_and_further_lines_are_not_shown(self):
        assert quote_shortened("x" * 60) == repr("x" * 60)
        assert quote_shortened("x" * 61) == repr("x" * 57 + "...")
        assert quote_shortened("short\nhunter2") == repr("short...")


def test_kinds_are_told_apart():
    fields = Options.model_fields
    assert [name for name, field in fields.items() if is_list(field)] == ["names", "words", "folders", "listed"]
    assert [name for name, field in fields.items() if is_secret(field)] == ["token"]


def test_values_go_to_json_and_back():
    values = TypedValues(tuple[int, ...])
    assert values.dump((1, 2)) == [1, 2]
    assert values.load([1, 2]) == (1, 2)
    with pytest.raises(ValueError, match="validation error"):
        values.load(["x"])
