"""Makes the scheduler's ports and the cluster's certificates on the master, and keeps those that are still good.

Prints the document: what workers and the laptop need.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import secrets
import signal
import socket
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .files import DASHBOARD, HOST, SCHEDULER, load, save
from .page import listening_users

_LOOPBACK = "127.0.0.1"
_FIRST_PORT, _PORTS, _END_PORT = 10000, 20000, 32768
"""Below the range that outgoing connections take theirs from, so that ports stay ours over a stop."""
_VALID = dt.timedelta(days=3650)
_AT_LEAST = dt.timedelta(days=365)
"""A certificate that ends sooner is made anew when the master joins."""
_SLOW_CLOCK = dt.timedelta(days=1)


def is_free(address: str, port: int) -> bool:
    """Return whether a server could have this port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def choose_ports(address: str, count: int) -> list[int]:
    """Return ports that are free on this address and on the loopback."""
    start = _FIRST_PORT + secrets.randbelow(_PORTS)
    chosen = []
    for port in range(start, _END_PORT):
        if is_free(address, port) and is_free(_LOOPBACK, port):
            chosen.append(port)
            if len(chosen) == count:
                return chosen
    raise SystemExit(f"no {count} free ports between {start} and {_END_PORT} on {address}")


def is_usable(document: dict[str, Any], address: str, *, runs: bool) -> bool:
    """Return whether its ports are free, or the scheduler's that runs, or starts."""
    named = [document.get(SCHEDULER), document.get(DASHBOARD)]
    ports = [port for port in named if isinstance(port, int) and 0 < port < 65536]
    if document.get(HOST) != address or len(ports) < len(named):
        return False
    if runs:
        return all(listening_users(port) <= {os.getuid()} for port in ports)
    return all(is_free(place, port) for place in (address, _LOOPBACK) for port in ports)


def has_certificates(document: dict[str, Any]) -> bool:
    """Return whether there are certificates that hold for long."""
    try:
        serialization.load_pem_private_key(document["key"].encode(), None)
        ends = [x509.load_pem_x509_certificate(document[name].encode()).not_valid_after_utc for name in ("ca", "cert")]
    except (KeyError, AttributeError, ValueError):
        return False
    return min(ends) > dt.datetime.now(dt.timezone.utc) + _AT_LEAST


def make_certificates(cluster: str) -> dict[str, str]:
    """Return an authority's certificate, a certificate that it has given, and the key of that. Its own key is lost."""
    authority, member = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"clusterctl {cluster}"[:64])])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "member")])
    identifier = x509.SubjectKeyIdentifier.from_public_key(authority.public_key())
    ca = (
        _certificate(issuer, issuer, authority.public_key(), signs=True)
        .add_extension(identifier, critical=False)
        .sign(authority, hashes.SHA256())
    )
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    cert = (
        _certificate(subject, issuer, member.public_key(), signs=False)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(authority, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form, nothing = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return {
        "ca": ca.public_bytes(pem).decode(),
        "cert": cert.public_bytes(pem).decode(),
        "key": member.private_bytes(pem, form, nothing).decode(),
    }


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, signs: bool
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.timezone.utc)
    usage = x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SLOW_CLOCK)
        .not_valid_after(now + _VALID)
        .add_extension(x509.BasicConstraints(ca=signs, path_length=0 if signs else None), critical=True)
        .add_extension(usage, critical=True)
    )


def processes_of(program: str) -> list[int]:
    """Return this user's processes with this file in their command lines; none where the system does not tell."""
    pids = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if folder.stat().st_uid == os.getuid() and program in words:
                pids.append(int(folder.name))
    return pids


def main(values: dict[str, Any]) -> None:
    """Make what the file lacks. `file` is its path, `address` the master's, `program` the scheduler's program."""
    path, address = Path(values["file"]), values["address"]
    former = load(path)
    document = dict(former)
    running = processes_of(values["program"])
    if not is_usable(document, address, runs=bool(running)):
        scheduler, dashboard = choose_ports(address, 2)
        document |= {HOST: address, SCHEDULER: scheduler, DASHBOARD: dashboard}
    if not has_certificates(document):
        document |= make_certificates(values["cluster"])
    if not isinstance(document.get("token"), str):
        document["token"] = secrets.token_urlsafe(24)
    document["version"] = version("distributed")
    if document != former:
        save(path, document)
        if {**former, "version": ""} != {**document, "version": ""}:
            for pid in running:  # what watches over it starts it again, with these
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGTERM)
    print(json.dumps(document))
