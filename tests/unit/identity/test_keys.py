from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
    load_ssh_public_key,
)

from clusterctl.errors import StateError
from clusterctl.identity.keys import ensure_key_pair, extract_public_key, new_key_pair


def test_a_new_pair_is_ed25519_and_its_halves_belong_together():
    private, public = new_key_pair("me@here")
    kind, _, comment = public.split()
    assert (kind, comment) == ("ssh-ed25519", "me@here")
    assert private.reveal().startswith("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    mine = load_ssh_private_key(private.reveal().encode(), password=None).public_key()
    assert mine.public_bytes_raw() == load_ssh_public_key(public.encode()).public_bytes_raw()


def test_the_private_key_does_not_show_itself():
    private, _ = new_key_pair("")
    assert "PRIVATE" not in f"{private} {private!r}"


def test_ensure_writes_a_private_file_once_and_returns_the_same_key_after(tmp_path):
    path = tmp_path / "clusters" / "lab" / "id_ed25519"
    public = ensure_key_pair(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.with_name("id_ed25519.pub").read_text() == f"{public}\n"
    before = path.read_bytes()
    assert ensure_key_pair(path) == public
    assert path.read_bytes() == before
    assert sorted(file.name for file in path.parent.iterdir()) == ["id_ed25519", "id_ed25519.pub"]


class TestPublicKeyOf:
    def forms(self, key):
        """A private key as OpenSSH, and as others write it."""
        for style in (PrivateFormat.OpenSSH, PrivateFormat.PKCS8):
            yield key.private_bytes(Encoding.PEM, style, NoEncryption()).decode()

    @pytest.mark.parametrize("make", [Ed25519PrivateKey.generate, lambda: generate_private_key(65537, 2048)])
    def test_it_is_found_in_a_private_key_however_that_is_written(self, make):
        key = make()
        public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
        assert [extract_public_key(text) for text in self.forms(key)] == [public, public]

    def test_a_public_key_is_left_as_it_is(self):
        _, public = new_key_pair("me@here")
        assert extract_public_key(f"{public}\n") == public

    def test_what_is_no_key_or_has_a_passphrase_is_refused(self):
        secret = Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.OpenSSH, BestAvailableEncryption(b"hunter2")
        )
        for text in ("", "hello", "ssh-ed25519 AAAA", "-----BEGIN RSA PRIVATE KEY-----\nx\n", secret.decode()):
            with pytest.raises(ValueError, match=r"."):
                extract_public_key(text)


def test_a_lost_or_foreign_public_file_is_written_again(tmp_path):
    path = tmp_path / "id"
    public = ensure_key_pair(path)
    for spoil in (lambda file: file.unlink(), lambda file: file.write_text(new_key_pair("other")[1])):
        spoil(tmp_path / "id.pub")
        assert ensure_key_pair(path).split()[:2] == public.split()[:2]
        assert (tmp_path / "id.pub").read_text().split()[:2] == public.split()[:2]


def test_permissions_that_are_too_wide_are_closed(tmp_path):
    ensure_key_pair(tmp_path / "id")
    (tmp_path / "id").chmod(0o644)
    ensure_key_pair(tmp_path / "id")
    assert (tmp_path / "id").stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_no_key_is_left_alone_and_named(tmp_path):
    path = tmp_path / "id"
    path.write_text("mine")
    with pytest.raises(StateError) as caught:
        ensure_key_pair(path)
    assert str(path) in caught.value.message
    assert path.read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_an_error_with_a_remedy(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError) as caught:
        ensure_key_pair(tmp_path / "file" / "id")
    assert caught.value.remedy


def test_a_public_key_that_is_no_text_any_more_is_written_again(tmp_path):
    public = ensure_key_pair(tmp_path / "key")
    (tmp_path / "key.pub").write_bytes(bytes(range(256)))
    assert ensure_key_pair(tmp_path / "key").split()[:2] == public.split()[:2]
    assert (tmp_path / "key.pub").read_text().split()[:2] == public.split()[:2]
