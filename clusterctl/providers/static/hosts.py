"""The hosts of the config: their faults, and the facts that are needed before a cluster takes them."""

from __future__ import annotations

import ipaddress
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from clusterctl.identity import endpoints, known_hosts
from clusterctl.model import Access, Facet, Node, NodeState, Problem
from clusterctl.providers.base import machine_layout
from clusterctl.providers.static.host_keys import find_untrusted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from clusterctl.identity.known_hosts import KnownHosts

_MAX_THREADS = 32
_NEEDS_IPV4 = "set PRIVATE_ADDRESS of each, in its [host NAME] section, to an IPv4 address that the other hosts reach"
Fault = tuple[str, str]
"""The fault, and its remedy."""


class HostOptions(Protocol):
    """The options of a [host NAME] section; None: not given."""

    @property
    def address(self) -> str | None:
        """The address, where it is not the name."""

    @property
    def port(self) -> int:
        """The port of its SSH server."""

    @property
    def user(self) -> str:
        """The user who logs in."""

    @property
    def private_address(self) -> str | None:
        """The address for the other hosts."""

    @property
    def key_location(self) -> Path | None:
        """The private key file on this computer."""

    @property
    def proxy_jump(self) -> str | None:
        """The jump host."""

    @property
    def host_key(self) -> str | None:
        """The host key that it must show."""


@dataclass(frozen=True)
class Host:
    """A machine that is listed in the config."""

    name: str
    """The name in HOSTS."""
    address: str
    port: int
    user: str
    private_address: str = ""
    """The address for the other hosts; empty: the IPv4 address of `address`."""
    key: str = ""
    """The private key file on this computer; empty: the user's agent and the keys in ``~/.ssh``."""
    jump: str = ""
    host_key: str = ""
    """The host key it must show; empty: the key in the user's known_hosts."""
    fault: str = ""
    """The reason why its text in HOSTS cannot be used."""

    @property
    def access(self) -> Access:
        """The way to log in to it."""
        return Access(key=self.key, agent=not self.key, jump=self.jump)

    @property
    def location(self) -> tuple[str, int, str]:
        """The values that tell this host from other hosts."""
        return self.address.lower(), self.port, self.jump

    def as_node(self, alias: str, facets: frozenset[Facet]) -> Node:
        """Return it as a node that is of no cluster."""
        return Node(
            alias=alias,
            cluster="",
            id=alias,
            machine_id=f"{self.address}:{self.port}",
            state=NodeState.RUNNING,
            address=self.address,
            private_address=self.private_address,
            port=self.port,
            user=self.user,
            host_key=self.host_key,
            layout=machine_layout(self.user),
            facets=facets,
            access=self.access,
        )


def parse_host(text: str) -> Host:
    """Return the host that HOSTS gives as ``[user@]address[:port]``, without a section of its own."""
    try:
        end = endpoints.parse_endpoint(text, user=known_hosts.default_login_name())
    except ValueError as exc:
        return Host(text, address=text, port=endpoints.SSH_PORT, user="", fault=str(exc))
    return Host(text, address=end.host, port=end.port, user=end.user)


def make_host(name: str, options: Mapping[str, HostOptions]) -> Host:
    """Return the host of this name in HOSTS, with or without options of its own."""
    own = options.get(name)
    if own is None:
        return parse_host(name)
    return Host(
        name,
        address=own.address or name,
        port=own.port,
        user=own.user,
        private_address=own.private_address or "",
        key=str(own.key_location or ""),
        jump=own.proxy_jump or "",
        host_key=own.host_key or "",
    )


def examine_hosts(hosts: Sequence[Host]) -> tuple[list[Host], list[Problem]]:
    """Return the hosts with their host keys and private addresses, and the problems of all of them."""
    known = known_hosts.KnownHosts()
    with ThreadPoolExecutor(min(len(hosts), _MAX_THREADS) or 1) as pool:
        results = list(pool.map(lambda host: _examine_host(host, known), hosts))
    complete = [host for host, _ in results]
    faults = [fault for _, host_faults in results for fault in host_faults]
    return complete, [*_group_by_remedy([*faults, *_find_address_clashes(complete)]), *find_untrusted(hosts, known)]


def _examine_host(host: Host, known: KnownHosts) -> tuple[Host, list[Fault]]:
    if host.fault:
        return host, [(f"HOSTS: {host.fault}", "correct HOSTS: names of [host NAME] sections, or user@address:port")]
    private, faults = _private_address(host)
    if host.key and not os.access(host.key, os.R_OK):
        faults.append((f"{host.name}: its key {host.key} cannot be read", "correct KEY_LOCATION"))
    try:
        known_key = known.find_key(host.address, host.port).key
        host_key = known_hosts.parse_public_key(host.host_key) if host.host_key else known_key
    except ValueError as exc:
        host_key = ""
        faults.append((f"{host.name}: HOST_KEY: {exc}", "copy the line of /etc/ssh/ssh_host_ed25519_key.pub there"))
    return replace(host, private_address=private, host_key=host_key), [*faults, *_gateway_faults(host)]


def _gateway_faults(host: Host) -> Iterator[Fault]:
    if host.jump:
        try:
            gateway = endpoints.parse_endpoint(host.jump, user=known_hosts.default_login_name())
        except ValueError as exc:
            yield f"{host.name}: PROXY_JUMP: {exc}", "name one host to go through, as user@host:port"
            return
        if not _resolve_name(gateway.host):
            yield f"{host.name}: PROXY_JUMP: {gateway.host} is no name that is known here", "correct PROXY_JUMP"


def _private_address(host: Host) -> tuple[str, list[Fault]]:
    """Return the IPv4 address for the other hosts, and the faults of the host's addresses."""
    own_addresses = _resolve_name(host.address) if not host.jump else ()
    if not host.jump and not own_addresses:
        remedy = "correct HOSTS, or write a [host NAME] section with its ADDRESS"
        return "", [(f"{host.name}: {host.address} is no name that is known here", remedy)]
    wanted = host.private_address or host.address
    addresses = own_addresses if wanted == host.address and own_addresses else _resolve_name(wanted)
    ipv4 = next((address for address in addresses if "." in address and ":" not in address), "")
    if ipv4:
        return ipv4, []
    if addresses:
        only = "has IPv6 addresses only, and ipyparallel's controller listens on IPv4 only"
        return "", [(f"{host.name}: {wanted} {only}", _NEEDS_IPV4)]
    return "", [(f"{host.name}: no IPv4 address of {wanted} is known here", _NEEDS_IPV4)]


def _resolve_name(name: str) -> tuple[str, ...]:
    """Return the addresses of a host name; empty if it is not known."""
    try:
        return (str(ipaddress.ip_address(name)),)
    except ValueError:
        pass
    try:
        entries = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(str(address[0]) for *_, address in entries)


def _find_address_clashes(hosts: Sequence[Host]) -> Iterator[Fault]:
    """Yield faults for hosts with the same private address, and for addresses that others cannot reach."""
    addresses: dict[str, str] = {}
    for host in hosts:
        other = addresses.setdefault(host.private_address, host.name)
        if host.private_address and other != host.name and not _is_loopback(host.private_address):
            yield f"{other} and {host.name} both have the address {host.private_address}", _NEEDS_IPV4
    outside = [host for host in hosts if host.private_address and not _is_loopback(host.private_address)]
    for host in hosts if outside else ():
        if _is_loopback(host.private_address):
            yield f"{host.name}: the other hosts cannot reach it on {host.private_address}", _NEEDS_IPV4


def _is_loopback(address: str) -> bool:
    return bool(address) and ipaddress.ip_address(address).is_loopback


def find_duplicates(hosts: Sequence[Host]) -> Iterator[Problem]:
    """Yield a problem for each host that HOSTS names more than once."""
    seen: dict[tuple[str, int, str], str] = {}
    for host in hosts:
        other = seen.get(host.location)
        seen[host.location] = host.name
        if other:
            what = f"{host.name} twice" if other == host.name else f"the same host as {other} and as {host.name}"
            yield Problem(f"HOSTS names {what}", "leave one of them out of HOSTS")


def _group_by_remedy(faults: Sequence[Fault]) -> list[Problem]:
    """Return one problem for all faults with the same remedy."""
    by_remedy: dict[str, dict[str, None]] = {}
    for message, remedy in faults:
        by_remedy.setdefault(remedy, {})[message] = None
    return [Problem("\n".join(messages), remedy) for remedy, messages in by_remedy.items()]
