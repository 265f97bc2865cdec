"""Hosts as they are written: in HOSTS, and in sections of the config."""

from __future__ import annotations

import pytest

from clusterctl.config import loading
from clusterctl.model import Facet
from clusterctl.plugin.loader import find_plugin_class
from clusterctl.providers.static import Host
from clusterctl.providers.static.hosts import parse_host
from clusterctl.wiring import providers

from ....support.provider_contract import ids


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("alpha", ("alpha", 22, "")),
        ("admin@192.0.2.1", ("192.0.2.1", 22, "admin")),
        ("admin@alpha.example.org:2222", ("alpha.example.org", 2222, "admin")),
        ("admin@[2001:db8::1]:2222", ("2001:db8::1", 2222, "admin")),
        ("[2001:db8::1]", ("2001:db8::1", 22, "")),
    ],
)
def test_a_host_without_a_section_is_what_is_written(text, expected, monkeypatch):
    monkeypatch.setenv("LOGNAME", "")
    monkeypatch.setenv("USER", "")
    monkeypatch.setattr("getpass.getuser", lambda: "")
    written = parse_host(text)
    assert (written.address, written.port, written.user) == expected
    assert written.fault == ""


@pytest.mark.parametrize("text", ["", "a b", "user@", "@host", "host:0", "host:70000", "host:x", "2001:db8::1", "a;b"])
def test_what_is_no_host_is_a_fault(text):
    assert "expected user@host:port" in parse_host(text).fault


def test_the_config_says_the_hosts(tmp_path):
    path = tmp_path / "config"
    path.write_text(
        "[cluster rack]\ncluster_user = me\nhosts = alpha, admin@192.0.2.9:2222\nshared_home = yes\n"
        "[host alpha]\naddress = 192.0.2.1\nprivate_address = 10.0.0.1\nport = 23\nuser = root\n"
        "key_location = ~/id\nproxy_jump = me@gate\nhost_key = ssh-ed25519 AAAA\n"
    )
    settings = loading.read_config(path, environ={}, find_plugin=find_plugin_class)
    provider = providers.make_provider("static", settings)
    assert provider._hosts == (
        Host(
            "alpha",
            address="192.0.2.1",
            port=23,
            user="root",
            private_address="10.0.0.1",
            key=str(tmp_path / "me" / "id"),
            jump="me@gate",
            host_key="ssh-ed25519 AAAA",
        ),
        Host("admin@192.0.2.9:2222", address="192.0.2.9", port=2222, user="admin"),
    )
    assert Facet.SHARED_HOME in provider.facets
    assert ids(providers.make_provider("static").nodes()) == {}
