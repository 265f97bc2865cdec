"""Whatever is in the file: it loads, or every problem is named with its file. Never another exception."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from clusterctl.config import loading
from clusterctl.errors import ConfigError, PluginError
from clusterctl.options import CommaList, Section

GOOD = """\
[global]
DEFAULT_TEMPLATE = small
[aws info]
AWS_ACCESS_KEY_ID = AKIAEXAMPLE
AWS_SECRET_ACCESS_KEY = hunter2hunter2
[key mykey]
KEY_LOCATION = /dev/null
[volume data]
VOLUME_ID = vol-0123456789abcdef0
MOUNT_PATH = /data
[permission web]
FROM_PORT = 8080
TO_PORT = 8090
CIDR_IP = 192.0.2.0/24
[plugin packages]
PACKAGES = numpy,
  scipy
[cluster small]
PROVIDER = docker
CLUSTER_USER = me
CLUSTER_SIZE = 4
MIN_SIZE = 2
SPOT_BID = 0.10
START_TIMEOUT = 60
KEYNAME = mykey
VOLUMES = data
PERMISSIONS = web
PLUGINS = packages
PUBLIC_IPS = yes
[cluster big]
EXTENDS = small
CLUSTER_SIZE = 40
"""
LINES = GOOD.splitlines()
HEADERS = [number for number, line in enumerate(LINES) if line.startswith("[")]
OPTIONS = [number for number, line in enumerate(LINES) if " = " in line]


class Options(Section):
    packages: CommaList = ()
    count: int = 1


class Packages:
    clusterctl_settings = staticmethod(lambda: Options)


def find_plugin(name: str, setup_class: str | None) -> type:
    if setup_class or name != "packages":
        raise PluginError(f"unknown plugin {name}", remedy="installed: packages")
    return Packages


def problems_of(read: Callable[..., object], file: Path) -> tuple[str, ...]:
    """The problems that one way to read a config reports; none if it loads."""
    error = None
    try:
        read(file, environ={}, find_plugin=find_plugin)
    except ConfigError as exc:
        error = exc
    if error is None:
        return ()
    assert error.remedy
    assert any(problem.startswith(str(file)) for problem in error.problems)
    assert all(len(problem.splitlines()) == 1 for problem in error.problems)
    assert "hunter2" not in str(error)
    return error.problems


def outcome(file: Path, data: bytes) -> tuple[str, ...]:
    """The problems of the whole file. Those of the template, which are a part of them, are reported in the same way."""
    file.write_bytes(data)
    everywhere = problems_of(loading.check_config, file)
    of_template = problems_of(loading.read_config, file)
    assert {problem for problem in of_template if "DEFAULT_TEMPLATE: is needed" not in problem} <= {*everywhere}
    return everywhere


@st.composite
def misspelt(draw: st.DrawFn) -> bytes:
    """A letter of a key or of a section header is another one, is gone, or is there twice."""
    lines = list(LINES)
    number = draw(st.sampled_from(HEADERS + OPTIONS))
    line = lines[number]
    at = draw(st.integers(0, len(line.partition(" =")[0]) - 1))
    lines[number] = line[:at] + draw(st.sampled_from(["", "x", "_", line[at] * 2, "é", " ", "]"])) + line[at + 1 :]
    return "\n".join(lines).encode()


@st.composite
def wrong_value(draw: st.DrawFn) -> bytes:
    """An option has a value that was made for nothing in particular."""
    lines = list(LINES)
    number = draw(st.sampled_from(OPTIONS))
    junk = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
    odd = st.sampled_from(
        [
            "",
            "x",
            "-1",
            "0",
            "1e999",
            "nan",
            "inf",
            "9" * 5000,
            "~nobody/x",
            "$HOME",
            "%(x)s",
            "..",
            "a, b",
            "/",
        ]
    )
    secret = "SECRET" in lines[number]
    lines[number] = f"{lines[number].partition(' =')[0]} = {'hunter2' if secret else ''}{draw(junk | odd)}"
    return "\n".join(lines).encode()


@st.composite
def rearranged(draw: st.DrawFn) -> bytes:
    """Lines are gone, twice there, swapped, indented, or cut."""
    lines = list(LINES)
    for _ in range(draw(st.integers(1, 4))):
        number = draw(st.integers(0, len(lines) - 1))
        other = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["drop", "twice", "swap", "indent", "cut"])):
            case "drop":
                del lines[number]
            case "twice":
                lines.insert(other, lines[number])
            case "swap":
                lines[number], lines[other] = lines[other], lines[number]
            case "indent":
                lines[number] = "  " + lines[number]
            case "cut":
                lines[number] = lines[number][: other % (len(lines[number]) + 1)]
    return "\n".join(lines).encode()


@st.composite
def broken_bytes(draw: st.DrawFn) -> bytes:
    """The file stops half-way, or has junk in the middle."""
    data = GOOD.encode()
    at = draw(st.integers(0, len(data)))
    return data[:at] + draw(st.binary(max_size=30)) + (data[at:] if draw(st.booleans()) else b"")


@st.composite
def unknown_names(draw: st.DrawFn) -> bytes:
    """Sections extend, include and name each other in every direction."""
    names = ["small", "big", "nobody", "a, b", ""]
    lines = list(LINES)
    chosen = [key for key in ("EXTENDS", "PLUGINS", "VOLUMES", "KEYNAME") if draw(st.booleans())]
    lines += [f"{key} = {draw(st.sampled_from(names))}" for key in chosen]
    lines[1] = f"INCLUDE = {draw(st.sampled_from(['config', '.', '/nowhere', 'http://x', '~x', '$X', '']))}"
    lines.append(f"[cluster {draw(st.sampled_from(names))}]\nEXTENDS = {draw(st.sampled_from(names))}")
    return "\n".join(lines).encode()


@settings(
    max_examples=4 * settings.default.max_examples,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.one_of(misspelt(), wrong_value(), rearranged(), broken_bytes(), unknown_names(), st.binary()))
@example(data=b"")
@example(data=b"\xff\xfe\x00")
@example(data=b"[")
@example(data=b"[cluster a]\n = 1\n")
@example(data=b"[cluster a]\nx\n y\n[cluster a]\n:")
@example(data="[cluster a]\nextends=a\u2028b\n".encode())
def test_every_config_loads_or_says_what_is_wrong_and_where(data: bytes, tmp_path: Path):
    outcome(tmp_path / "config", data)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(number=st.sampled_from(OPTIONS), letters=st.text("qwxyz", min_size=1, max_size=3))
def test_an_option_that_does_not_exist_is_always_reported_by_its_name(number: int, letters: str, tmp_path: Path):
    lines = list(LINES)
    key, _, value = lines[number].partition(" = ")
    lines[number] = f"{key}{letters} = {value}"
    found = outcome(tmp_path / "config", "\n".join(lines).encode())
    assert any(f"] {key}{letters.upper()}: unknown option" in problem for problem in found)


@pytest.mark.parametrize("number", OPTIONS)
def test_the_good_file_loads_and_no_option_may_be_given_twice(number: int, tmp_path: Path):
    assert outcome(tmp_path / "config", GOOD.encode()) == ()
    lines = [*LINES[:number], LINES[number], *LINES[number:]]
    assert any("is given twice" in problem for problem in outcome(tmp_path / "config", "\n".join(lines).encode()))
