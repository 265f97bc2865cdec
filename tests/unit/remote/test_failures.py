"""Well-known failures, and what helps."""

from __future__ import annotations

import pytest

from clusterctl.remote.failures import remedy_for


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("cp: write error: No space left on device", "free some space"),
        ("error: Failed to fetch: https://pypi.org/", "package index is out of reach"),
        ("error sending request: invalid peer certificate: UnknownIssuer", "CA_CERTIFICATES"),
        ("No interpreter found: python3.11", "same Python minor version"),
        ("sudo: a password is required", "`ann ALL=(ALL) NOPASSWD: ALL`"),
        ("me is not in the sudoers file.", "NOPASSWD"),
        ("sudo: sorry, you must have a tty to run sudo", "requiretty"),
        ("bash: line 1: sudo: command not found", "install sudo"),
        ("sh: 1: sudo: not found", "install sudo"),
        ("sudo: Command not found.", "install sudo"),
        ("fish: Unknown command: sudo", "install sudo"),
        ("anything else", ""),
    ],
)
def test_well_known_failures_have_their_own_remedy(said, remedy):
    assert remedy in remedy_for(said, user="ann")
    assert bool(remedy_for(said, user="ann")) == bool(remedy)
