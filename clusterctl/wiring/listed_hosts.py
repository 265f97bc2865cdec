"""What `attach` takes over of hosts that were there before: those that say themselves that they are a cluster's."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl.errors import ConfigError, DeclinedError, ProviderError, UsageError
from clusterctl.identity.endpoints import format_endpoint
from clusterctl.journal import ClusterFolder
from clusterctl.journal.ids import fingerprint
from clusterctl.model import Facet, Node
from clusterctl.operations.owning.hosts import HostAnswer, ask_hosts, choose_master, match_hosts
from clusterctl.providers.static import Host, StaticProvider, examine_hosts, make_host
from clusterctl.wiring.context import make_connector
from clusterctl.wiring.local_paths import config_path, home_folder, named_config
from clusterctl.wiring.providers import make_provider
from clusterctl.wiring.settings import load_settings, read_hosts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from clusterctl.config.settings import Settings
    from clusterctl.events import Reporter
    from clusterctl.operations.owning.record import MasterRecord, RecordedHost
    from clusterctl.providers.base import Provider

_HOST_SECTION = """
[host {name}]
ADDRESS = {address}
PORT = {port}
USER = {user}
PRIVATE_ADDRESS = {private_address}
HOST_KEY = {host_key}
"""


@dataclass(frozen=True)
class HostQuery:
    """What the user says about the hosts of a cluster."""

    named: tuple[str, ...] = ()
    """Hosts, as in HOSTS of a config; empty for all that the config lists."""
    key: Path | None = None
    """A private key that they let in; None for the user's agent and usual keys."""
    chosen_id: str = ""
    confirm: Callable[[Sequence[str]], bool] | None = None
    """Returns whether clusterctl may log in to hosts that the master tells of, one a line."""


NO_HOSTS = HostQuery()


@dataclass(frozen=True)
class FoundHosts:
    """A cluster on hosts."""

    settings: Settings
    provider: Provider
    nodes: tuple[Node, ...]
    config: Path | None
    """The user's config that lists the hosts; None where the record makes one."""
    sections: str
    """Sections of the hosts, for such a config."""


def find_on_hosts(
    name: str,
    query: HostQuery,
    *,
    config_file: str | None,
    render: Callable[[object, str], str],
    report: Reporter,
) -> FoundHosts | None:
    """Return the cluster of this name on hosts; None where the user has named no host, and no config lists one.

    Args:
        name: the name of the cluster.
        query: what the user says of its hosts.
        config_file: the config file as given on the command line.
        render: returns the text of a config of the record's copy and the name of its template.
        report: is warned of hosts that are left out.

    Raises:
        ClusterctlError: no host is the cluster's, or it cannot be told which ones are.
    """
    hosts = _candidates(name, query, config_file)
    if not hosts:
        return None
    with tempfile.TemporaryDirectory(prefix="clusterctl-attach-") as home:
        inquiry = _Inquiry(ClusterFolder(Path(home), name), report)
        record, chosen = _find_members(name, query, inquiry, hosts, report)
        places = {alias: inquiry.host_of(answer) for alias, answer in chosen.items()}
        nodes = [
            replace(answer.node, alias=alias, id=record.hosts[alias].id, cluster=name, cluster_id=record.id)
            for alias, answer in chosen.items()
        ]
        sections = "".join(_render_host(alias, host) for alias, host in places.items())
        config = _own_config(record.template, places, config_file)
        if config:
            settings = load_settings(config, record.template)
        else:
            text = render(with_hosts(record.config, record.template, list(places)), record.template)
            (Path(home) / "attached.ini").write_text(text + sections, encoding="utf-8")
            settings = load_settings(Path(home) / "attached.ini", record.template)
    ordered = sorted(nodes, key=lambda node: (not node.is_master, node.alias))
    return FoundHosts(settings, make_provider("static", settings), tuple(ordered), config, sections)


def _find_members(
    name: str, query: HostQuery, inquiry: _Inquiry, hosts: Sequence[Host], report: Reporter
) -> tuple[MasterRecord, dict[str, HostAnswer]]:
    """Return what the master says of the cluster, and what each host said that is a node of it, by its alias."""
    answers = inquiry.ask(hosts)
    master, record = choose_master(name, answers, query.chosen_id)
    matched, unknown = match_hosts(record, answers, master)
    if unknown:
        more = inquiry.ask(_confirm_hosts(unknown, query))
        matched_hosts, lost = match_hosts(record, [*answers, *more], master)
        matched = {alias: matched_hosts[alias] for alias in record.hosts if alias in matched_hosts}
        for alias in lost:
            report.warn(f"{alias} is left out: no host that may be asked is where the master says")
    chosen = _checked(matched, master, name, report)
    for answer in answers:
        if (answer.cluster, answer.id) == (name, master.id) and answer not in matched.values():
            report.warn(f"left out, as the master does not know of it: {answer}")
    return record, chosen


class _Inquiry:
    """Asks hosts, and forgets the connections: nothing of it is left on this computer."""

    def __init__(self, folder: ClusterFolder, report: Reporter) -> None:
        self._folder = folder
        self._report = report
        self._hosts: dict[str, Host] = {}
        """By the alias of the node that stands for it here."""
        self._pinned: list[Node] = []

    def ask(self, hosts: Sequence[Host]) -> list[HostAnswer]:
        """Return what hosts say. One whose host key is not known is not connected to, and a warning says why."""
        complete, problems = examine_hosts(hosts)
        nodes = []
        for host in complete:
            if host.fault or not host.host_key:
                continue
            alias = f"host{len(self._hosts) + 1}"
            self._hosts[alias] = host
            nodes.append(_node_of(host, alias))
        if problems and not nodes:
            raise ProviderError(
                "no host may be asked:\n" + "\n".join(problem.message for problem in problems),
                remedy=problems[0].remedy,
            )
        for problem in problems:
            self._report.warn(f"{problem.message} (try: {problem.remedy})")
        self._pinned += nodes
        self._folder.ensure_exists()
        self._folder.pin_host_keys(self._pinned)
        return ask_hosts(nodes, make_connector(self._folder))

    def host_of(self, answer: HostAnswer) -> Host:
        """Return the host that has given an answer."""
        return self._hosts[answer.node.alias]


def _node_of(host: Host, alias: str) -> Node:
    return host.as_node(alias, facets=frozenset({Facet.MACHINE, Facet.LASTING}))


def _candidates(name: str, query: HostQuery, config_file: str | None) -> list[Host]:
    """Return the hosts that the user has named, or else those that this computer has noted, and that a config lists."""
    sections, listed = read_hosts(config_path(config_file))
    hosts = [make_host(text, sections) for text in query.named]
    if not query.named:
        noted = StaticProvider(home_folder() / "static").hosts_of(name)
        places = {host.location for host in noted}
        others = [make_host(text, sections) for text in listed]
        hosts = [*noted, *(host for host in others if host.location not in places)]
    return [replace(host, key=host.key or str(query.key or "")) for host in hosts]


def _confirm_hosts(unknown: Mapping[str, RecordedHost], query: HostQuery) -> list[Host]:
    """Return the hosts that only the master tells of, once the user has read which ones they are."""
    lines = [
        f"{alias}: {host.user}@{format_endpoint(host.address, host.port)}, host key {fingerprint(host.host_key)}"
        for alias, host in unknown.items()
    ]
    if not (query.confirm and query.confirm(lines)):
        raise DeclinedError("nothing was changed", remedy="name the hosts that are right: `--host A --host B`")
    key = str(query.key or "")
    return [
        Host(alias, host.address, host.port, host.user, private_address=host.private_address, key=key)
        for alias, host in unknown.items()
    ]


def _checked(
    matched: Mapping[str, HostAnswer], master: HostAnswer, name: str, report: Reporter
) -> dict[str, HostAnswer]:
    """Return those that say that they are the cluster's, and those that do not answer now. Warn of the others."""
    chosen: dict[str, HostAnswer] = {}
    for alias, answer in matched.items():
        if answer.trouble:
            report.warn(f"{alias} does not answer, and is taken over as the master says: {answer.trouble}")
        elif (answer.cluster, answer.id) != (name, master.id):
            report.warn(f"{alias} is left out, as its host does not say that it is of this cluster: {answer}")
            continue
        chosen[alias] = answer
    return chosen


def _own_config(template: str, places: Mapping[str, Host], config_file: str | None) -> Path | None:
    """Return the user's config, if it has the template and lists all these hosts.

    Raises:
        UsageError: the user has named a config, and it does not.
    """
    named = named_config(config_file)
    path = named or config_path(None)
    if path is None or (not named and not path.exists()):
        return None
    try:
        settings = load_settings(path, template)
    except ConfigError:
        if named:
            raise
        return None
    listed = {make_host(text, settings.hosts).location for text in settings.cluster.hosts}
    missing = [f"{alias} ({host.address}:{host.port})" for alias, host in places.items() if host.location not in listed]
    if missing and named:
        raise UsageError(
            f"[cluster {template}] of {path} does not list the hosts of {', '.join(missing)}",
            remedy="add them to its HOSTS, or attach without -c",
        )
    return None if missing else path


def with_hosts(document: object, template: str, names: Sequence[str]) -> object:
    """Return a config's copy in which a template has these hosts, whatever the master has said."""
    return with_provider(document, template, {"provider": "static", "hosts": ", ".join(names)})


def with_provider(document: object, template: str, own: Mapping[str, str]) -> object:
    """Return a config's copy in which these values of a template say who has its nodes, and no others."""
    sections = document.get("sections") if isinstance(document, dict) else None
    changed = []
    for section in sections if isinstance(sections, list) else ():
        is_template = isinstance(section, dict) and (section.get("kind"), section.get("name")) == ("cluster", template)
        values = section.get("values") if is_template else None
        if isinstance(values, dict):
            kept = {key: value for key, value in values.items() if key not in {"provider", "hosts"}}
            section = {**section, "values": {**kept, **own}}  # noqa: PLW2901  a copy takes its place
        changed.append(section)
    return {**document, "sections": changed} if isinstance(document, dict) else document


def _render_host(alias: str, host: Host) -> str:
    text = _HOST_SECTION.format(
        name=alias,
        address=host.address,
        port=host.port,
        user=host.user,
        private_address=host.private_address,
        host_key=host.host_key,
    )
    more = {"KEY_LOCATION": host.key, "PROXY_JUMP": host.jump}
    return text + "".join(f"{key} = {value}\n" for key, value in more.items() if value)
