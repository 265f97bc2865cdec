"""ini.read_ini: files -> raw sections, and what cannot be read."""

import os
from pathlib import Path

import pytest

from clusterctl.config import ini, references


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str | bytes, name: str = "config") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def only_problem(path: Path) -> str:
    text = ini.read_ini(path)
    assert len(text.problems) == 1, text.problems
    return text.problems[0].text


def test_kinds_match_by_their_beginning_keys_in_any_case_and_names_as_written(write):
    text = ini.read_ini(write("[KeyPair MyKey]\nKey_Location=a\n[vol Data]\n[AWS Info]\n[Cluster  Ip]\nSPOT_BID : 1\n"))
    assert [(each.kind, each.name) for each in text.sections] == [
        ("key", "MyKey"),
        ("volume", "Data"),
        ("aws", ""),
        ("cluster", "Ip"),
    ]
    assert text.sections[0].values["key_location"].text == "a"
    assert text.sections[3].values["spot_bid"].origin.section == "Cluster Ip"


def test_comments_need_a_blank_before_them_and_percent_signs_mean_nothing(write):
    text = ini.read_ini(write("# top\n[cluster a] ; this\nx = a#b;c # d\ny = %(x)s ; e\n; z = 1\n"))
    values = text.sections[0].values
    assert {key: value.text for key, value in values.items()} == {"x": "a#b;c", "y": "%(x)s"}


def test_a_byte_order_mark_and_windows_line_ends_are_fine(write):
    text = ini.read_ini(write(b"\xef\xbb\xbf[cluster a]\r\nx = \xc3\xa9,\r\n  b\r\n"))
    assert text.problems == ()
    assert text.sections[0].values["x"].text == "é,\nb"


def test_includes_are_relative_to_the_file_that_names_them_and_nest(write, tmp_path, monkeypatch):
    monkeypatch.setenv("WHERE", "sub")
    (tmp_path / "sub").mkdir()
    write("[cluster c]\n", "sub/c.ini")
    write("[global]\nINCLUDE = c.ini\n[cluster b]\n", "sub/b.ini")
    main = write("[global]\ninclude = $WHERE/b.ini, sub/c.ini\ndefault_template = b\n[cluster a]\n")
    text = ini.read_ini(main)
    assert text.problems == ()
    assert set(ini.sections_by_name(text.sections, "cluster")) == {"a", "b", "c"}
    assert ini.sections_by_name(text.sections, "cluster")["c"].origin.file == str(tmp_path / "sub/c.ini")


def test_files_that_include_each_other_are_named(write):
    write("[global]\ninclude = config\n", "b.ini")
    assert "include each other" in only_problem(write("[global]\ninclude = b.ini\n"))


@pytest.mark.parametrize("target", ["https://example.org/c.ini", "ftp://x/y", "nothing.ini", ".", "a\x85b"])
def test_an_include_that_cannot_be_read_names_the_file_and_the_option(write, target):
    main = write(f"[global]\nINCLUDE = {target}\n")
    assert only_problem(main).startswith(f"{main}: [global] INCLUDE: ")


@pytest.mark.parametrize(
    "marker",
    [
        'python_version < "3.0"',
        "python_version<'3.0'",
        "python_full_version === '3.11.2'",
        "( python_version < '3.0' ) and sys_platform == 'linux'",
        "sys_platform not in 'win32 cygwin'",
        "'linux' in sys_platform",
        '"3.0" > python_version',
        "extra == 'x'",
        "platform_machine != 'arm64'",
        "implementation_name ~= 'cpython'",
        "python_versoin < '3.0'",  # to be refused
        "python_version < 3.0",  # to be refused
        "python_version = '3.0'",  # to be refused
    ],
)
@pytest.mark.parametrize("between", [" ; ", ";", "; ", " ;", "\t;  "])
def test_a_condition_on_a_package_is_no_comment(write, marker, between):
    text = (
        f"[plugin p]\nPACKAGES = six{between}{marker}, numpy # why\n  a @ https://x/y.zip{between}{marker} ; and this\n"
    )
    value = ini.read_ini(write(text)).sections[0].values["packages"]
    assert value.text == f"six{between}{marker}, numpy\na @ https://x/y.zip{between}{marker}"


@pytest.mark.parametrize(
    "comment", ["; python_version", "; in 'use'", "; X = 'y'", "; the version", "# x == 'y'", ";; 'a' and 'b'"]
)
def test_and_a_comment_is_none(write, comment):
    sections = ini.read_ini(
        write(f"[plugin p]\nPACKAGES = six {comment}\n{comment}\n[cluster a]\nX = 1 ; was == '2'\n")
    )
    assert sections.problems == ()
    assert sections.sections[0].values["packages"].text == "six"
    assert sections.sections[1].values["x"].text == "1"


@pytest.mark.parametrize("indent", ["  ", "\t", "\u00a0"])
def test_a_file_that_is_indented_as_a_whole_is_told_to_be_unindented(write, indent):
    lines = ["# copied", "[cluster a]", "CLUSTER_SIZE = 2", "PLUGINS = a,", "  b", "[cluster b]"]
    main = write("".join(f"{indent}{line}\n\n" for line in lines))
    assert only_problem(main).startswith(f"{main}: line 3: the whole file is indented")
    assert "unindent" in only_problem(main)
    part = write("".join(f"{indent}{line}\n" for line in lines) + "[cluster c]\n", "part")
    assert (
        only_problem(part) == f"{part}: line 2: the header [cluster a] is indented; unindent it and what belongs to it"
    )
    include = write("[global]\nINCLUDE = config\n", "including")
    assert "the whole file is indented" in only_problem(include)


@pytest.mark.parametrize(
    ("header", "meant"),
    [
        ("[clutser a]", ("cluster", "a")),
        ("[cluster a", ("cluster", "a")),
        ("[webserver a]", ("webserver", "a")),
        ("[globl]", ("global", "")),
    ],
)
def test_a_wrong_header_counts_as_the_section_that_was_meant(write, header, meant):
    (problem,) = ini.read_ini(write(f"{header}\nX = 1\n")).problems
    assert problem.section == meant


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[aws]\n", True),
        ("[cluster a]\nPROVIDER = ec2\n", True),
        ("[cluster a]\nPROVIDER = local\n[cluster b]\nNODE_INSTANCE_TYPE = c7i.large\n", True),
        ("[cluster a]\nPROVIDER = docker\nNODE_INSTANCE_TYPE = c7i.large\n", False),
        ("[cluster a]\nCLUSTER_SIZE = 2\n[plugin p]\nPROVIDER = ec2\n", False),
        ("[cluster a\n[key k]\n", False),
        ("", False),
    ],
)
def test_whether_a_file_mentions_ec2(write, text, expected):
    assert ini.mentions_ec2(write(text)) is expected


def test_a_section_given_twice_names_both_places(write, tmp_path):
    write("\n[Cluster a]\n", "b.ini")
    main = write("[cluster a]\n[cluster A]\n[global]\ninclude = b.ini\n")
    other = tmp_path / "b.ini"
    assert only_problem(main) == f"{other}: [Cluster a]: line 2: it is already in {main} line 1; keep one"


def test_a_key_given_twice_is_refused_in_a_section_and_over_the_globals_of_files(write):
    assert only_problem(write("[cluster a]\nX=1\nx=2\n")).endswith("[cluster a] X: is given twice")
    write("[global]\ndefault_template = a\n", "b.ini")
    main = write("[global]\ninclude = b.ini\ndefault_template = b\n")
    assert "DEFAULT_TEMPLATE: is given already in" in only_problem(main)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1\n[cluster a]\n", "line 1: expected a [section]"),
        ("[cluster a]\nx = 1\nhunter2\n", "[cluster a]: line 3: expected KEY = VALUE"),
        ("[cluster a\nx = 1\n", "line 1: [cluster a]: not a section header"),
        ("[cluster a] b\n", "not a section header"),
        ("[]\n", "unknown kind"),
        ("[clutser a]\n", "did you mean cluster?"),
        ("[DEFAULT]\nx = 1\n", "unknown kind of section"),
        ("[cluster]\n", "expected one name without blanks"),
        ("[cluster a b]\n", "expected one name without blanks"),
        ("[global x]\n", "write [global]"),
        ("[cluster a]\n  [cluster b]\n", "the header [cluster b] below it is indented"),
        (b"[cluster a]\n\x00\n", "control character in line 2"),
        (b"[cluster a]\n\xff\xfe\n", "not UTF-8 text (line 2)"),
        (b"#" * (1 << 21), "too large"),
    ],
)
def test_what_cannot_be_parsed_is_named_with_its_line_and_never_shown(write, text, words):
    path = write(text)
    problem = only_problem(path)
    assert problem.startswith(f"{path}: ")
    assert words in problem
    assert "hunter2" not in problem


def test_what_is_no_file_is_said_to_be_none(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    assert "it is not a file" in only_problem(tmp_path)
    assert "it is not a file" in only_problem(tmp_path / "pipe")
    assert "cannot read" in only_problem(tmp_path / "loop")
    assert "no such file" in only_problem(tmp_path / "nothing")


def test_names_that_no_section_has_are_told_but_for_plugins_which_may_be_bundled(write):
    sections = ini.read_ini(
        write("[volume data]\n[cluster a]\nVOLUMES = data, dta\nPLUGINS = base\nKEYNAME = k\n")
    ).sections
    first, second = sorted(
        problem.text
        for problem in references.check_references(ini.sections_by_name(sections, "cluster")["a"], sections)
    )
    assert "KEYNAME: there is no section [key k]" in first
    assert "VOLUMES: there is no section [volume dta]" in second
    assert "data" in second.partition("there is no section")[2]


def test_a_name_given_twice_is_told_once(write):
    sections = ini.read_ini(write("[volume d]\n[cluster a]\nVOLUMES = d, d, d\nPLUGINS = b, b\n")).sections
    problems = references.check_references(ini.sections_by_name(sections, "cluster")["a"], sections)
    assert sorted(problem.text.rpartition(": ")[2] for problem in problems) == ["b is named twice", "d is named twice"]


def test_a_section_has_what_those_it_extends_say_and_it_does_not(write):
    text = "[cluster a]\nx = 1\ny = 1\n[cluster b]\nEXTENDS = a\ny = 2\nz = 2\n[cluster c]\nEXTENDS = b\nz = 3\n"
    section = references.resolve_extends("c", ini.sections_by_name(ini.read_ini(write(text)).sections, "cluster"))
    assert {key: value.text for key, value in section.values.items()} == {"extends": "b", "x": "1", "y": "2", "z": "3"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[cluster a]\nEXTENDS = b\n", ["there is no section [cluster b]"]),
        ("[cluster a]\nEXTENDS = a\n", ["extend each other: a -> a"]),
        ("[cluster a]\nEXTENDS = b\n[cluster b]\nEXTENDS = a\n", ["a -> b -> a", "b -> a -> b"]),
        # The fault is told where it stands, not at those that extend the faulty one.
        ("[cluster a]\nEXTENDS = b\n[cluster b]\nEXTENDS = c\n", ["there is no section [cluster c]"]),
        ("[cluster a]\nEXTENDS = b\n[cluster b]\n", []),
    ],
)
def test_what_extends_nothing_or_itself_is_told(write, text, words):
    problems = references.check_extends(ini.sections_by_name(ini.read_ini(write(text)).sections, "cluster"))
    assert len(problems) == len(words)
    for problem, word in zip(problems, words, strict=True):
        assert word in problem.text
