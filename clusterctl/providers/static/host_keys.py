"""Host keys: finds the hosts and gateways of the config whose host key is not known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clusterctl.identity import endpoints, known_hosts
from clusterctl.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clusterctl.identity.known_hosts import KnownHosts
    from clusterctl.providers.static.hosts import Host

_PUBLIC_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"


@dataclass(frozen=True)
class _Server:
    """An SSH server whose host key must be in the user's known_hosts."""

    label: str
    host: str
    port: int
    login: str
    """The command that logs in to it."""

    def __str__(self) -> str:
        return f"{self.label} ({self.host}:{self.port})"


def find_untrusted(hosts: Sequence[Host], known: KnownHosts) -> Iterator[Problem]:
    """Yield one problem for all unknown host keys, with the exact way to get them safely, and one for signed keys."""
    servers = dict.fromkeys(server for host in hosts for server in _servers_to_trust(host))
    trust_by_server = {server: known.find_key(server.host, server.port) for server in servers}
    missing = [server for server, trust in trust_by_server.items() if not trust.key and not trust.authority]
    signed = [server for server, trust in trust_by_server.items() if trust.authority]
    if missing:
        yield Problem(
            f"no host key is known of {', '.join(map(str, missing))}: another machine could pose as it",
            f"log in once, `{missing[0].login}`, and compare the fingerprint that it shows with that of"
            f" `ssh-keygen -lf {_PUBLIC_KEY}` on the host's own console; or, for many hosts,"
            f" `ssh-keyscan -p {missing[0].port} {missing[0].host} ... >> ~/.ssh/known_hosts`, and compare"
            " `ssh-keygen -lf ~/.ssh/known_hosts` in the same way; or copy that .pub file's line to HOST_KEY in its"
            " [host NAME] section",
        )
    if signed:
        yield Problem(
            f"your known_hosts has only a certificate authority (@cert-authority) for {', '.join(map(str, signed))}:"
            " signed host keys are not supported",
            f"copy the line of its {_PUBLIC_KEY} to HOST_KEY in its [host NAME] section;"
            " for a gateway, add that key to ~/.ssh/known_hosts",
        )


def _servers_to_trust(host: Host) -> Iterator[_Server]:
    if not host.host_key and not host.fault:
        jump = f"-J {host.jump} " if host.jump else ""
        login = f"ssh {jump}-p {host.port} {host.user}@{host.address}"
        yield _Server(host.name, host.address, host.port, login)
    if host.jump:
        try:
            end = endpoints.parse_endpoint(host.jump, user=known_hosts.default_login_name())
        except ValueError:
            return  # reported with the other faults of the text
        yield _Server("the gateway", end.host, end.port, f"ssh -p {end.port} {end.user}@{end.host}")
