"""`attach`: take a cluster over whose files are not on this computer, from what its provider and its master know."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from clusterctl.environment import lock as package_locks
from clusterctl.errors import ClusterctlError, ProviderError, RemoteError, StateError, UsageError
from clusterctl.identity.keys import extract_public_key
from clusterctl.journal import describe_overrides
from clusterctl.model import MASTER, Access, NodeState
from clusterctl.node import services
from clusterctl.notes import ENGINE_IDS
from clusterctl.operations.owning.record import MasterRecord, parse_record, record_path
from clusterctl.operations.owning.share import admit_by_ssh
from clusterctl.providers.base import Admitting
from clusterctl.providers.namesakes import describe_namesake, group_nodes
from clusterctl.providers.outliving import Adopting, Inviting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.model import Node
    from clusterctl.operations.context import RunContext

    RenderConfig = Callable[[object, str], tuple[str, list[str]]]
    """Returns the text of a config file, made of the copy that a master keeps; and what it left out."""

CONFIG_FILE = "attached.ini"
"""The config of a cluster that was taken over, in its folder: what its master said, and this computer may use."""


@dataclass(frozen=True)
class Rights:
    """What the user who attaches has besides the rights to the provider."""

    key: Path | None = None
    """A private key that the nodes accept, since somebody has shared the cluster with it; None if none is needed."""
    confirm_host: Callable[[Node], str] | None = None
    """Returns the host key of the master once the user has compared its fingerprint."""


def choose_nodes(name: str, nodes: Sequence[Node], chosen_id: str = "") -> list[Node]:
    """Return the nodes of the cluster that is meant, of all that have its name.

    Raises:
        UsageError: there are none, or they are of several clusters.
    """
    namesakes = group_nodes(nodes)
    ids = [namesake.id for namesake in namesakes if chosen_id in {"", namesake.id}]
    if len(ids) == 1:
        return [node for node in nodes if node.cluster_id == ids[0]]
    listing = "\n".join(map(describe_namesake, namesakes))
    if not namesakes or not ids:
        text = f"there is no cluster {name}" + (f" with the id {chosen_id}" if chosen_id else "")
        raise UsageError(f"{text}\n{listing}".strip(), remedy="name one that `clusterctl list` shows, or its provider")
    raise UsageError(
        f"several clusters are called {name}:\n{listing}", remedy=f"name one: `clusterctl attach --id ID {name}`"
    )


def take_over(context: RunContext, nodes: Sequence[Node], rights: Rights, render_config: RenderConfig) -> list[str]:
    """Make this computer's files of a cluster anew. Then `start` brings up what is missing. Return the warnings.

    Args:
        context: the context of the run, with the provider of the nodes.
        nodes: the nodes of the cluster, as the provider has them.
        rights: of the user.
        render_config: makes a config of what the master says.

    Raises:
        ClusterctlError: the cluster cannot be taken over. Nothing is left on this computer.
    """
    folder, provider = context.folder, context.provider
    is_noted = not isinstance(provider, Adopting) or bool(provider.nodes(context.name))
    complete = folder.exists and folder.cluster_id and folder.private_key_file.exists() and folder.wanted_nodes()
    if complete and is_noted:
        raise UsageError(
            f"{context.name} is this computer's already", remedy=f"`clusterctl start {context.name}` completes it"
        )
    master = next((node for node in nodes if node.alias == MASTER), None)
    if master is None or master.state != NodeState.RUNNING:
        raise StateError(
            f"the master of {context.name} does not run, and it alone knows what the cluster is",
            remedy=f"`clusterctl terminate {context.name}` ends it",
        )
    with context.lock(), context.forget_on_failure(new=not folder.exists):
        public_key = folder.ensure_exists()
        if master.cluster_id:
            folder.take_id(master.cluster_id)
        if isinstance(provider, Admitting):
            provider.admit(context.name, public_key)
            known = list(nodes)
        elif isinstance(provider, Adopting):
            return _adopt(context, provider, nodes, render_config, is_noted=is_noted)
        else:
            known = _introduce(context, nodes, master, public_key, rights)
        return _rebuild(context, known, render_config)


def _adopt(
    context: RunContext, provider: Adopting, nodes: Sequence[Node], render_config: RenderConfig, *, is_noted: bool
) -> list[str]:
    """Note hosts as the cluster's again, which the user's own keys log in to. What fails leaves no note."""
    provider.adopt(context.name, context.machines.user, nodes)
    try:
        return _rebuild(context, context.provider.nodes(context.name), render_config)
    except BaseException:
        if not is_noted:
            context.provider.destroy(context.name)
        raise


def _introduce(context: RunContext, nodes: Sequence[Node], master: Node, public_key: str, rights: Rights) -> list[Node]:
    """Let this computer's key in by a key that the nodes let in already. Return the nodes with their own host keys.

    The user has compared the master's host key. The master says those of the others, which are its own cluster's. Where
    nobody has shared the cluster, the provider may let this computer's key in for a moment.
    """
    provider = context.provider
    inviting = provider if rights.key is None and isinstance(provider, Inviting) else None
    if rights.confirm_host is None or not (rights.key or inviting):
        raise UsageError(
            f"nodes of the provider {context.provider.name} let in no key of this computer",
            remedy="name one that they let in, --key FILE; whoever has the cluster adds yours:"
            f" `clusterctl share {context.name} FILE.pub`",
        )
    trusted = replace(master, host_key=rights.confirm_host(master), bootstrap_key=False)
    others = [node for node in nodes if not node.is_master]
    access = Access(key=str(rights.key or context.folder.private_key_file), jump=master.access.jump)
    context.folder.pin_host_keys([trusted])
    cluster = context.make_cluster([replace(trusted, access=access)])
    try:
        if inviting:
            _invite(inviting, context.name, [MASTER], public_key)
        keys = _read_invited(cluster) if inviting else _read_member_keys(cluster)
        known = [trusted, *(replace(node, host_key=keys.get(node.private_address, node.host_key)) for node in others)]
        for node in known:
            if node.is_master or node.private_address in keys:
                context.folder.record(
                    "host_key", node=node.alias, id=node.id, machine=node.machine_id, key=node.host_key
                )
        context.folder.pin_host_keys(known)
        gate = replace(trusted, access=access)
        cluster.set_nodes(
            replace(node, access=replace(access, through=gate) if node.access.through else access) for node in known
        )
        running = [node for node in cluster.nodes if node.state == NodeState.RUNNING]
        if inviting:
            _invite(inviting, context.name, [node.alias for node in running if not node.is_master], public_key)
        admit_by_ssh(cluster, [public_key], running)
    finally:
        cluster.close()
    own = [replace(node, bootstrap_key=node.bootstrap_key and node.private_address not in keys) for node in known]
    return [trusted, *(node for node in own if not node.is_master)]


def _invite(provider: Inviting, name: str, aliases: Sequence[str], public_key: str) -> None:
    try:
        provider.invite(name, aliases, public_key)
    except ProviderError as exc:
        raise ProviderError(
            f"no key was shared, and none is let in without: {exc.message}", remedy=_share(name)
        ) from exc


def _read_invited(cluster: Cluster) -> dict[str, str]:
    """Do what `_read_member_keys` does, as the first thing that is asked of a master with an invited key."""
    try:
        return _read_member_keys(cluster)
    except RemoteError as exc:
        raise StateError(
            f"no key was shared, and {cluster.name}'s master lets none in that the account tells of: {exc.message}",
            remedy=_share(cluster.name),
        ) from exc


def _share(name: str) -> str:
    return (
        f"whoever has the cluster lets yours in: `clusterctl share {name} FILE.pub`; then `clusterctl attach --key"
        f" FILE {name}`"
    )


def _read_member_keys(cluster: Cluster) -> dict[str, str]:
    """Return the host keys of the members as the master knows them, by their private address."""
    result = cluster.on(cluster.master).run("cat /etc/ssh/ssh_known_hosts", check=False, sudo=True)
    keys: dict[str, str] = {}
    for line in result.stdout.splitlines():
        words = line.split()
        if len(words) < 3 or line.startswith(("#", "@")):
            continue
        try:
            key = extract_public_key(" ".join(words[1:3]))
        except ValueError:
            continue
        keys |= dict.fromkeys(words[0].split(","), key)
    return keys


def _rebuild(context: RunContext, nodes: Sequence[Node], render_config: RenderConfig) -> list[str]:
    context.folder.pin_host_keys(nodes)
    cluster = context.make_cluster(nodes)
    try:
        return _write_files(context, cluster, render_config)
    finally:
        cluster.close()


def _write_files(context: RunContext, cluster: Cluster, render_config: RenderConfig) -> list[str]:
    """Write the files of the cluster from the words of its master, each of which is checked."""
    folder, aliases = context.folder, [node.alias for node in cluster.nodes]
    record = _read_record(cluster)
    if folder.cluster_id not in {"", record.id}:
        raise StateError(
            f"the master says that its cluster has the id {record.id}, and its provider says {folder.cluster_id}",
            remedy=f"do not trust this master; `clusterctl terminate {context.name}` ends it",
        )
    folder.take_id(record.id)
    text, dropped = render_config(record.config, record.template)
    if not text and not context.named_config:
        raise StateError(
            f"the master of {context.name} does not say how its cluster was started",
            remedy="name the config file that it was started with: `clusterctl -c FILE attach ...`",
        )
    config = context.named_config or folder.write_file(CONFIG_FILE, text)
    warnings = [f"not taken over, as the master may not decide it: {', '.join(dropped)}"] if dropped else []
    for name, content in record.locks.items():
        path = folder.path / name
        if name.startswith("lock-") and name.endswith(".txt") and "/" not in name and len(content) < 1_000_000:
            folder.write_file(name, content)
            if package_locks.read_cached(path) is None:
                path.unlink()
    folder.record(
        "create",
        provider=context.provider.name,
        template=record.template,
        overrides={},
        config=str(config.absolute()),
        nodes=aliases,
        special={alias: describe_overrides(own) for alias, own in record.special.items() if alias in aliases},
    )
    ids = _read_engine_ids(cluster)
    if ids:
        cluster.remember(ENGINE_IDS, ids)
    return warnings


def _read_record(cluster: Cluster) -> MasterRecord:
    command = f"cat '{record_path(cluster.master)}'"
    try:
        text = cluster.on(cluster.master).run(command, secret=True, sudo=True).stdout
    except ClusterctlError as exc:
        raise StateError(
            f"the record of {cluster.name} cannot be read from its master: {exc.message}",
            remedy="whoever has the cluster runs `clusterctl start` once with this version, which writes it",
        ) from exc
    return parse_record(text, cluster.name)


def _read_engine_ids(cluster: Cluster) -> dict[str, tuple[int, int]]:
    """Return the ids of each node's engines, as its service manager has them: the first one, and how many."""

    def read(node: Node) -> tuple[int, int] | None:
        try:
            states = services.ask_states(cluster, node)
        except ClusterctlError:
            return None
        numbers = sorted(state.number for state in states if state.service == "engine")
        whole = bool(numbers) and numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        return (numbers[0], len(numbers)) if whole else None

    answers: dict[str, Any] = cluster.each(read, [node for node in cluster.nodes if node.state == NodeState.RUNNING])
    return {alias: ids for alias, ids in answers.items() if ids}
