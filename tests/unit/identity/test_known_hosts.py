"""Whom the user's own ssh trusts: the best key of a host, without what else its line says."""

from __future__ import annotations

import asyncssh
import pytest

from clusterctl.identity.known_hosts import KnownHosts, parse_public_key

ED25519, ECDSA = (
    " ".join(asyncssh.generate_private_key(kind).export_public_key().decode().split()[:2])
    for kind in ("ssh-ed25519", "ecdsa-sha2-nistp256")
)


@pytest.fixture
def trust(tmp_path, allow_loopback):
    def look_up(*lines, host="example.org", port=22):
        file = tmp_path / "known_hosts"
        file.write_text("".join(f"{line}\n" for line in lines))
        return KnownHosts([file]).find_key(host, port)

    return look_up


def test_a_key_is_known_without_the_comment_behind_it(trust):
    assert trust(f"example.org {ED25519} me@laptop in Paris").key == ED25519
    assert parse_public_key(f"{ED25519} me@laptop in Paris") == ED25519


def test_of_several_keys_the_best_is_taken_wherever_it_stands(trust):
    assert trust(f"example.org {ECDSA}", f"example.org {ED25519}").key == ED25519
    assert trust(f"example.org {ED25519}", f"example.org {ECDSA}").key == ED25519


def test_a_revoked_key_is_not_taken(trust):
    assert trust(f"example.org {ECDSA}", f"example.org {ED25519}", f"@revoked * {ED25519}").key == ECDSA


def test_a_port_of_its_own_has_a_key_of_its_own(trust):
    lines = (f"example.org {ECDSA}", f"[example.org]:2222 {ED25519}")
    assert trust(*lines, port=2222).key == ED25519
    assert trust(*lines).key == ECDSA


def test_a_host_that_only_an_authority_vouches_for_has_no_key(trust):
    found = trust(f"@cert-authority *.org {ED25519}")
    assert (found.key, found.authority) == ("", True)
    assert not trust(f"@cert-authority *.org {ED25519}", f"example.org {ECDSA}").authority


def test_what_nobody_knows_and_lines_that_nobody_can_read_are_no_trust(trust):
    found = trust(f"other.org {ED25519}", "example.org ssh-ed25519 AAAA", "example.org", host="EXAMPLE.org")
    assert (found.key, found.authority) == ("", False)
