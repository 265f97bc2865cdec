"""A line that every login shell reads as the same. With real ones, over SSH: tests/e2e/test_login_shells.py."""

from __future__ import annotations

import subprocess

import pytest

from clusterctl.remote.quoting import quote_for_login_shell


@pytest.mark.parametrize("command", ["", "true", "ls -l | wc -l", 'echo "$HOME" >&2; exit 3', "a && b || c &"])
def test_what_all_shells_read_alike_stays_as_it_is(command):
    assert quote_for_login_shell(command) == f"sh -c '{command}'"


@pytest.mark.parametrize("letter", ["'", "!", "\\", "\n", "\t", "\x1b", "ü", "\udcff"])
def test_within_quotes_stands_nothing_that_any_shell_changes(letter):
    line = quote_for_login_shell(f"echo x{letter}y")
    _, _, words = line.partition(" sh ")
    assert set(words) <= set("'echo xy\\0123456789")
    assert words.count("'") == 2


@pytest.mark.parametrize("command", ["echo it\\'s", "echo 'a\\b!'\necho ü", 'x="\'"; printf \'%s\' "$x"', "y" * 5000])
def test_it_means_what_was_meant(command, allow_subprocess):
    wanted = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    got = subprocess.run(["sh", "-c", quote_for_login_shell(command)], capture_output=True, text=True)
    assert (got.returncode, got.stdout) == (wanted.returncode, wanted.stdout)


def test_no_word_is_too_long_for_an_old_shell(allow_subprocess):
    line = quote_for_login_shell("echo '" + "a!" * 5000 + "' | wc -c")
    assert max(len(word) for word in line.split("'")) <= 2000
    assert subprocess.run(["sh", "-c", line], capture_output=True, text=True).stdout.strip() == "10001"
