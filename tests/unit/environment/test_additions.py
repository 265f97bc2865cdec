"""Packages that come to a list."""

from __future__ import annotations

import pytest

from clusterctl.environment.additions import add_requirements
from clusterctl.errors import UsageError


def test_they_come_behind_the_others_and_one_of_the_same_name_takes_its_place():
    former = ("numpy>=1.26,<3", "Scikit_Learn")
    assert add_requirements(former, ["humanize", "scikit-learn==1.9", "numpy"]) == (
        "numpy",
        "scikit-learn==1.9",
        "humanize",
    )


def test_what_comes_from_a_repository_is_known_by_its_name_or_its_place():
    places = ("git+https://github.com/user/project.git", "six @ git+https://example.org/six.git")
    assert add_requirements((), places) == places
    assert add_requirements(places, ["six"]) == (places[0], "six")


@pytest.mark.parametrize("word", ["./folder", "a b", "x @ file:///tmp/x.whl", "-r", "--index-url=http://x", "", "a\nb"])
def test_what_no_node_could_install_is_refused(word):
    with pytest.raises(UsageError):
        add_requirements((), [word])
