"""Every error says what to do now."""

from __future__ import annotations

import pytest

from clusterctl import errors
from clusterctl.errors import ClusterctlError, ConfigError

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ClusterctlError)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_remedy_is_required(kind):
    with pytest.raises(TypeError):
        kind("what happened") if kind is not ConfigError else kind(("what happened",))
    message = ("what happened",) if kind is ConfigError else "what happened"
    made = kind(message, remedy="what to do")
    assert (made.message, str(made), made.remedy) == ("what happened", "what happened", "what to do")


def test_what_is_to_be_fixed_in_file_or_command_line_exits_with_2_a_no_with_3_and_the_rest_with_1():
    codes = {kind.__name__: kind.exit_code for kind in KINDS}
    assert {name for name, code in codes.items() if code == 2} == {"UsageError", "ConfigError", "UnprovenError"}
    assert {name for name, code in codes.items() if code == 3} == {"DeclinedError"}
    assert set(codes.values()) == {1, 2, 3}


def test_a_config_error_carries_every_problem():
    assert ConfigError(("a", "b"), remedy="r").problems == ("a", "b")
    assert ConfigError(("a", "b"), remedy="r").message == "a\nb"
