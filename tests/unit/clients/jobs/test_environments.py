"""What says what a job needs, and the environment that comes of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clusterctl.clients.jobs.environments import EnvironmentBuildError, ensure_environment, find_source, sweep

LINES = "# /// script\n# dependencies = ['rich']\n# ///\nprint()\n"


@pytest.fixture
def work(tmp_path):
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def name(work, *command):
    source = find_source(work, command)
    return source and source[0].name


def test_a_script_comes_before_a_lock_and_a_lock_before_a_list(work):
    assert name(work, "python", "a.py") is None
    (work / "requirements.txt").write_text("rich")
    assert name(work, "python", "a.py") == "requirements.txt"
    (work / "uv.lock").write_text("")
    assert name(work, "sh", "a.sh") == "uv.lock"
    (work / "a.py").write_text(LINES)
    assert name(work, "python3.11", "a.py", "b.py") == "a.py"
    assert name(work, "cat", "a.py") == "uv.lock"


def test_only_its_own_lines_count_of_a_script(work):
    (work / "a.py").write_text(LINES)
    before = find_source(work, ("python", "a.py"))
    (work / "a.py").write_text(LINES + "print('changed')\n")
    assert find_source(work, ("python", "a.py")) == before
    (work / "a.py").write_text(LINES.replace("rich", "attrs"))
    assert find_source(work, ("python", "a.py")) != before


def test_an_environment_is_built_once_and_anew_where_it_was_cut_off(work, tmp_path):
    (work / "requirements.txt").write_text("rich")
    steps = []

    def build(*outcomes):
        answers = iter(outcomes)

        def run(step):
            steps.append(step[1])
            place = next(word for word in reversed(step) if "environments" in word)
            Path(place).mkdir(parents=True, exist_ok=True)
            return next(answers)

        return ensure_environment(tmp_path, work, ("python", "a.py"), run)

    with pytest.raises(EnvironmentBuildError, match=r"requirements\.txt"):
        build(True, False)
    place = build(True, True)
    assert build() == place
    assert steps == ["venv", "pip", "venv", "pip"]
    os.utime(place / "whole", (0, 0))
    sweep(tmp_path)
    assert not place.exists()
