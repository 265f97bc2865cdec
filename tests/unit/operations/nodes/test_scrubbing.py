"""What somebody else will read has no secrets in it, known ones and others."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterctl.operations.nodes.scrubbing import (
    Scrubber,
    secrets_of_environment,
    secrets_of_folder,
    secrets_of_options,
    url_secrets,
)
from clusterctl.secret import Secret

MARKER = "Marker-1234567890"


@pytest.mark.parametrize(
    "text",
    [
        f"https://ada:{MARKER}@index.example/simple",
        f"opened http://127.0.0.1:8888/lab?token={MARKER} in a browser",
        f"http://h/?a=b&token={MARKER}&c=d",
        f"-----BEGIN OPENSSH PRIVATE KEY-----\n{MARKER}\n-----END OPENSSH PRIVATE KEY-----",
        f"-----BEGIN RSA PRIVATE KEY-----\n{MARKER}\nand it was cut off",
        f"password = {MARKER}",
        f"AWS_SECRET_ACCESS_KEY={MARKER}",
        f'{{"aws_session_token": "{MARKER}"}}',
        f"Password: {MARKER}",
        f"api_key='{MARKER}'",
        f"the token is {MARKER}",
    ],
)
def test_what_looks_like_a_secret_goes(text):
    scrubbed = Scrubber([]).scrub(f"before\n{text}\nafter")
    assert MARKER not in scrubbed
    assert scrubbed.startswith("before\n")


@pytest.mark.parametrize(
    "text",
    ["12 tokens a second", "node001: secretary", "https://index.example/simple", "the key pair mykey"],
)
def test_other_words_stay(text):
    assert Scrubber([]).scrub(text) == text


@given(st.text(min_size=6), st.text(), st.text())
def test_a_known_secret_is_nowhere_left(secret, before, after):
    scrubbed = Scrubber([secret]).scrub(f"{before}{secret}{after}")
    assert secret not in scrubbed or secret in "***" * 9


def test_the_longer_of_two_goes_first():
    assert Scrubber(["abcdef", "abcdefghi"]).scrub("abcdefghi") == "***"


def test_short_ones_would_tear_every_word_apart():
    assert Scrubber(["a", ""]).scrub("a banana") == "a banana"


def test_the_secrets_of_a_folder_are_found_wherever_they_stand(tmp_path):
    (tmp_path / "client.json").write_text(json.dumps({"key": "k-secret", "curve": {"curve_secretkey": "c-secret"}}))
    urls = [{"url": "http://127.0.0.1:1/lab?token=t-secret"}, {"url": "https://u-secret:p-secret@h"}]
    (tmp_path / "connections.json").write_text(json.dumps({"connections": urls}))
    (tmp_path / "id_ed25519").write_text("-----BEGIN\nl-secret\n-----END\n")
    (tmp_path / "id_ed25519.pub").write_text("public\n")
    (tmp_path / "broken.json").write_text("{")
    found = {*secrets_of_folder(tmp_path)}
    assert found >= {"k-secret", "c-secret", "t-secret", "u-secret", "p-secret", "l-secret"}
    assert "public" not in found


def test_the_secrets_of_options_and_of_the_environment():
    assert [*secrets_of_options(["x", Secret("one"), (Secret("two"), "y"), 3])] == ["one", "two"]
    environment = {"AWS_SECRET_ACCESS_KEY": "one", "UV_INDEX": "https://u:two@h/simple", "HOME": "/root"}
    assert [*secrets_of_environment(environment)] == ["one", "u", "two"]


def test_a_url_that_is_none_has_none():
    assert [*url_secrets("http://[")] == []
