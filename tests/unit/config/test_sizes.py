"""Names of a user's for instance types: [sizes], which only `run -i` needs to be right."""

from __future__ import annotations

import pytest

from clusterctl.config import loading
from clusterctl.errors import ConfigError

GOOD = "[cluster a]\nPROVIDER = local\n[sizes]\nC16 = c7i.4xlarge, c7a.4xlarge\n  m7i.4xlarge\nGpu = g6.xlarge\n"


@pytest.fixture
def config(tmp_path):
    def write(text):
        path = tmp_path / "config"
        path.write_text(text)
        return path

    return write


def find_plugin(name):
    raise AssertionError(name)


def test_they_are_read(config):
    assert loading.load_sizes(config(GOOD)) == {
        "c16": ("c7i.4xlarge", "c7a.4xlarge", "m7i.4xlarge"),
        "gpu": ("g6.xlarge",),
    }
    assert loading.load_sizes(config("[cluster a]\n")) == {}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("C16 = 16", "expected instance types, such as c7i.4xlarge, c7a.4xlarge, got '16'"),
        ("C16 =", "expected instance types"),
        ("C16 = $(rm).x", "expected instance types"),
        ("16 = c7i.4xlarge", "expected a name such as C16 or big"),
    ],
)
def test_what_makes_no_sense_is_said_where_it_is_used_and_warned_of_elsewhere(config, line, says):
    path = config(f"[cluster a]\nPROVIDER = local\n[sizes]\n{line}\n")
    with pytest.raises(ConfigError) as caught:
        loading.load_sizes(path)
    assert says in caught.value.message
    settings = loading.read_config(path, template="a", environ={}, find_plugin=find_plugin)
    assert [says in warning for warning in settings.warnings] == [True]
    with pytest.raises(ConfigError):
        loading.check_config(path, environ={}, find_plugin=find_plugin)
