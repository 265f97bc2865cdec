"""``user@host:port`` as people write it."""

from __future__ import annotations

import pytest

from clusterctl.identity.endpoints import Endpoint, format_endpoint, known_hosts_name, parse_endpoint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gate", Endpoint("gate", 22, "me")),
        (" gate.example.org ", Endpoint("gate.example.org", 22, "me")),
        ("you@gate", Endpoint("gate", 22, "you")),
        ("first.last@gate:2222", Endpoint("gate", 2222, "first.last")),
        ("192.0.2.1:65535", Endpoint("192.0.2.1", 65535, "me")),
        ("you@[2001:db8::1]:24", Endpoint("2001:db8::1", 24, "you")),
        ("[fe80::1%eth0]", Endpoint("fe80::1%eth0", 22, "me")),
    ],
)
def test_what_is_left_out_has_a_meaning(text, expected):
    assert parse_endpoint(text, user="me") == expected


@pytest.mark.parametrize(
    ("host", "port", "text", "name"),
    [
        ("gate", 22, "gate:22", "gate"),
        ("192.0.2.1", 2222, "192.0.2.1:2222", "[192.0.2.1]:2222"),
        ("2001:db8::1", 22, "[2001:db8::1]:22", "2001:db8::1"),
        ("2001:db8::1", 24, "[2001:db8::1]:24", "[2001:db8::1]:24"),
    ],
)
def test_a_server_as_people_and_as_lists_of_known_hosts_write_it(host, port, text, name):
    assert format_endpoint(host, port) == text
    assert parse_endpoint(text, user="me") == Endpoint(host, port, "me")
    assert known_hosts_name(host, port) == name


NONE = (
    *("", " ", "@", "you@", "@gate", "gate:", "gate:0", "gate:65536", "gate:x", "a,b", "a b", "-oProxyCommand=x"),
    *("2001:db8::1", "ssh://gate", "you@-x", "gate\nother"),
)


@pytest.mark.parametrize("text", NONE)
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match="expected user@host:port, or a part of it, got"):
        parse_endpoint(text, user="me")
