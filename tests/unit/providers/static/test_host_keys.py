"""Where the host key of a host comes from."""

from __future__ import annotations

import pytest

from clusterctl.errors import ProviderError
from clusterctl.model import NodeState

from ....support.provider_contract import plan_for
from ....support.static_hosts import KEY, host, new_key, provider_of


class TestHostKeys:
    @pytest.fixture
    def key_of(self, root, monkeypatch):
        monkeypatch.setattr("clusterctl.providers.static.provider._probe_state", lambda node: NodeState.RUNNING)

        def key_of(**changes):
            provider = provider_of(root, host("alpha", **{"address": "192.0.2.1", "host_key": "", **changes}))
            return provider.create(plan_for("master"), public_key="")[0].host_key

        return key_of

    def test_it_comes_from_the_users_known_hosts(self, key_of, known_hosts):
        known_hosts("# a comment", "not a line", "192.0.2.9 ssh-ed25519 AAAA", f"192.0.2.1,rack {KEY} a comment")
        assert key_of() == KEY

    def test_a_port_of_its_own_is_in_brackets_there(self, key_of, known_hosts):
        other = new_key()
        known_hosts(f"192.0.2.1 {other}", f"[192.0.2.1]:2222 {KEY}")
        assert key_of(port=2222) == KEY
        assert key_of() == other

    def test_hashed_lines_count(self, key_of, known_hosts):
        # As ssh-keygen -H makes them: HMAC-SHA1 of the name, with the salt as key.
        import base64
        import hashlib
        import hmac

        salt = b"01234567890123456789"
        lines = []
        for name in ("192.0.2.1", "[192.0.2.1]:2222"):
            digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
            lines.append(f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()} {KEY}")
        known_hosts(*lines)
        assert key_of() == key_of(port=2222) == KEY

    def test_of_several_types_the_best_is_taken(self, key_of, known_hosts):
        ecdsa, rsa = new_key("ecdsa-sha2-nistp256"), new_key("ssh-rsa", key_size=2048)
        known_hosts(f"192.0.2.1 {rsa}")
        assert key_of() == rsa
        known_hosts(f"192.0.2.1 {rsa}", f"192.0.2.1 {ecdsa}")
        assert key_of() == ecdsa
        known_hosts(f"192.0.2.1 {rsa}", f"192.0.2.1 {ecdsa}", f"192.0.2.1 {KEY}")
        assert key_of() == KEY

    def test_a_revoked_key_is_none(self, key_of, known_hosts):
        known_hosts(f"192.0.2.1 {KEY}", f"@revoked * {KEY}")
        with pytest.raises(ProviderError, match="no host key is known of alpha"):
            key_of()

    def test_a_certificate_authority_is_refused_in_words(self, key_of, known_hosts):
        known_hosts(f"@cert-authority *,192.0.2.1 {KEY}")
        with pytest.raises(ProviderError, match="certificate authority") as caught:
            key_of()
        assert "HOST_KEY" in caught.value.remedy
        known_hosts(f"@cert-authority *,192.0.2.1 {new_key()}", f"192.0.2.1 {KEY}")
        assert key_of() == KEY

    @pytest.mark.parametrize(
        "text", [KEY, f"{KEY} root@alpha", f"alpha {KEY}"], ids=["key", "with comment", "with host"]
    )
    def test_the_configs_counts_more_however_it_was_copied(self, key_of, known_hosts, text):
        known_hosts(f"192.0.2.1 {new_key()}")
        assert key_of(host_key=text) == KEY

    def test_a_name_is_looked_up_in_small_letters(self, key_of, known_hosts):
        known_hosts(f"rack.example.org {KEY}", f"192.0.2.5 {KEY}")
        assert key_of(address="Rack.example.org", private_address="10.0.0.1", jump="192.0.2.5") == KEY
