"""Hosts that exist, for the static provider."""

from __future__ import annotations

from dataclasses import replace

import asyncssh

from clusterctl.providers.static import Host, StaticProvider


def new_key(kind="ssh-ed25519", **options):
    return asyncssh.generate_private_key(kind, **options).export_public_key().decode().strip()


KEY = new_key()


def host(name, **changes):
    fields = {"address": "127.0.0.1", "port": 22, "user": "me", "host_key": KEY, **changes}
    return Host(name, **fields)


def provider_of(root, *hosts, **options):
    return StaticProvider(root, hosts=hosts, **options)


FAR = [host("alpha", address="192.0.2.1"), host("beta", address="192.0.2.2"), host("gamma", address="192.0.2.3")]
"""Addresses that nobody has, of hosts that are behind a gateway: nothing is connected to."""
FAR = [replace(each, jump="198.51.100.1") for each in FAR]
