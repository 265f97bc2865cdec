"""uv trusts whom this computer trusts."""

from __future__ import annotations

import pytest

from clusterctl.laptop import trust

BOTH = {"UV_SYSTEM_CERTS": "true", "UV_NATIVE_TLS": "true"}


@pytest.fixture
def store(tmp_path, monkeypatch):
    path = tmp_path / "ca-certificates.crt"
    path.touch()
    monkeypatch.setattr(trust, "_SYSTEM_STORES", ("/nowhere", str(path)))
    monkeypatch.setattr(trust.sys, "platform", "linux")
    return path


def test_it_does_where_the_system_has_a_list(store, monkeypatch):
    assert trust.system_trust({}) == BOTH
    store.unlink()
    assert trust.system_trust({}) == {}
    monkeypatch.setattr(trust.sys, "platform", "darwin")
    assert trust.system_trust({}) == BOTH


@pytest.mark.parametrize("name", ["UV_SYSTEM_CERTS", "UV_NATIVE_TLS", "SSL_CERT_FILE"])
def test_but_not_where_the_user_has_chosen(store, name):
    assert trust.system_trust({name: "mine"}) == {}
