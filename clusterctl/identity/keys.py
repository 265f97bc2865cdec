"""SSH key pairs. The only file that knows `cryptography`."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl.errors import StateError, UsageError
from clusterctl.files import expand_user, read_own, write_atomically
from clusterctl.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def new_key_pair(comment: str) -> tuple[Secret, str]:
    """Return a new ed25519 key pair: the private key as OpenSSH PEM, the public key as ``ssh-ed25519 AAAA comment``."""
    # The import takes 50 ms, and most commands make no keys.
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.OpenSSH, form.NoEncryption())
    public = key.public_key().public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH)
    return Secret(private.decode()), f"{public.decode()} {comment}".rstrip()


def ensure_key_pair(path: Path | str) -> str:
    """Make a key pair at `path` (0600) and ``path.pub`` unless it exists. Return the public key.

    The private key decides: a public key that is missing or of another pair is written again.

    Raises:
        StateError: the file is not a private key that can be used, or the folder cannot be written.
    """
    private = Path(path)
    public = private.with_name(f"{private.name}.pub")
    try:
        if not private.exists():
            return _make_pair(private, public)
        private.chmod(0o600)
        derived = _derive_public_key(private)
        text = read_own(public).strip()
        if text.split()[:2] == derived.split():
            return text
        write_atomically(public, f"{derived}\n", mode=0o644)
    except OSError as exc:
        raise StateError(
            f"the key pair {private} cannot be read or written: {exc.strerror or exc}",
            remedy=f"free some space, or make {private.parent} a folder that you can write to",
        ) from exc
    return derived


def extract_public_key(text: str) -> str:
    """Return the public key, in OpenSSH format, from the text of a public or private key file.

    Raises:
        ValueError: the text is not a key, or the key has a passphrase.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization as form

    data = text.strip().encode()
    try:
        if data.startswith(b"-----BEGIN OPENSSH PRIVATE KEY-----"):
            public = form.load_ssh_private_key(data, password=None).public_key()
        elif data.startswith(b"-----BEGIN"):
            private = form.load_pem_private_key(data, password=None)
            public = private.public_key()  # type: ignore[assignment]
        else:
            form.load_ssh_public_key(data)
            return data.decode()
        return public.public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH).decode()
    except (TypeError, UnsupportedAlgorithm) as exc:
        raise ValueError(str(exc)) from exc


def _make_pair(private: Path, public: Path) -> str:
    secret, text = new_key_pair(f"clusterctl-{private.parent.name}")
    private.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(public, f"{text}\n", mode=0o644)
    write_atomically(private, secret.reveal())  # last: if it exists, the pair is complete
    return text


def _derive_public_key(private: Path) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization as form

    try:
        key = form.load_ssh_private_key(private.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise StateError(
            f"{private} is no private key without a passphrase: {exc}",
            remedy=f"move {private} and {private.name}.pub away; new ones will be made",
        ) from exc
    return key.public_key().public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH).decode()


@contextmanager
def create_private_file(path: Path) -> Iterator[Callable[[str], object]]:
    """Create a file that only its owner can read, before the secret exists. Yield its write method.

    The file is read-only for everyone once it is closed. An error removes it.
    """
    path = expand_user(path)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    except FileExistsError as exc:
        raise UsageError(f"{path} is there already", remedy="name another file, or move it away") from exc
    except OSError as exc:
        raise UsageError(f"{path} cannot be written: {exc.strerror or exc}", remedy="name another file") from exc
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            yield file.write
    except BaseException:
        path.unlink()
        raise
