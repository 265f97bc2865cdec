"""EC2 instances, and the nodes that they are."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Protocol, TypeVar

from clusterctl.formats import VERSION, Format
from clusterctl.model import MASTER, Access, Facet, Node, NodeState
from clusterctl.providers.base import machine_layout
from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.instance_reader import LIVING_STATES, read_instances
from clusterctl.text import format_utc

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from clusterctl.providers.ec2.aws import Aws
    from clusterctl.providers.ec2.instance_reader import Instance
    from clusterctl.providers.ec2.options import Options
    from clusterctl.providers.ec2.tags import ClusterKey

LOGIN_USER = "clusterctl"
"""The user that clusterctl logs in as, on every image. cloud-init makes it, with sudo and the cluster's own key."""
_AT_ONCE = 16
_STATES = {
    "pending": NodeState.PENDING,
    "running": NodeState.RUNNING,
    "stopping": NodeState.STOPPED,
    "stopped": NodeState.STOPPED,
}
_FORMAT = Format("the instance", 1)
STAMP = {tags.FORMAT: str(_FORMAT.number), tags.VERSION: VERSION}
"""Tags of every new instance, and of what is made with it."""


def make_node(
    instance: Instance,
    alias: str,
    *,
    options: Options,
    host_keys: Mapping[str, str],
    region: str = "",
    cli_options: Sequence[str] = (),
) -> Node:
    """Return an instance as a `Node`.

    Args:
        instance: as AWS describes it.
        alias: of the node in its cluster.
        options: of the template.
        region: where it is.
        cli_options: options of the program `aws` for account and region.
        host_keys: host keys that nodes generated themselves, by instance id.
    """
    own_key = host_keys.get(instance.id, "")
    launched = format_utc(instance.launched_at)
    address = instance.id if options.ssm else instance.choose_address(options.address)
    return Node(
        alias=alias,
        cluster=instance.cluster,
        id=f"{instance.id}@{launched}",
        machine_id=instance.id,
        boot_id=launched,
        launched_at=instance.launched_at,
        state=_STATES.get(instance.state, NodeState.GONE),
        address=address,
        private_address=instance.private_address,
        port=22,
        user=LOGIN_USER,
        host_key=own_key or instance.tags.get(tags.HOST_KEY, ""),
        bootstrap_key=not own_key,
        layout=machine_layout(instance.tags.get(tags.USER, "")),
        facets=instance_facets(shared_home=options.shared_home),
        type=instance.type,
        market=instance.market,
        zone=instance.zone,
        region=region,
        ends_at=_parse_end(instance.tags.get(tags.EXPIRES, "")),
        cluster_id=instance.tags.get(tags.UUID, ""),
        owner=instance.tags.get(tags.OWNER, ""),
        access=Access(jump=options.jump, command=ssm_command(instance.id, cli_options) if options.ssm else ()),
        gone_when_off=instance.tags.get(tags.WHEN_OFF) != "stop",
    )


def route_through_master(nodes: Sequence[Node], by_alias: Mapping[str, Instance], options: Options) -> list[Node]:
    """Return the nodes, with the master as the gateway to those that have no public address while it has one."""
    gates = [node for node in nodes if node.is_master and by_alias[node.alias].public_address]
    if not gates or options.address != "auto" or options.jump or options.ssm:
        return [*nodes]
    return [
        node if by_alias[node.alias].public_address else replace(node, access=replace(node.access, through=gates[0]))
        for node in nodes
    ]


def _parse_end(text: str) -> datetime | None:
    """Return the moment that a tag names; None if it names none."""
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def push_key(aws: Aws, by_alias: Mapping[str, Instance], aliases: Sequence[str], public_key: str) -> None:
    """Let a key log in to instances within a minute, where their system asks EC2 Instance Connect for keys.

    Raises:
        ProviderError: AWS refuses it for one of them.
    """

    def push(alias: str) -> None:
        aws.call(
            "ec2-instance-connect",
            "send_ssh_public_key",
            InstanceId=by_alias[alias].id,
            InstanceOSUser=LOGIN_USER,
            SSHPublicKey=" ".join(public_key.split()[:2]),
        )

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(push, [alias for alias in aliases if alias in by_alias]))


def instance_facets(*, shared_home: bool) -> frozenset[Facet]:
    """Return the facets that every instance has."""
    machine = frozenset({Facet.MACHINE, Facet.INIT})
    return machine | {Facet.SHARED_HOME} if shared_home else machine


def ssm_command(instance: str, cli_options: Sequence[str]) -> tuple[str, ...]:
    """Return the command whose standard input and output are connected to an instance's SSH server."""
    start = ("aws", *cli_options, "ssm", "start-session", "--target", instance)
    return (*start, "--document-name", "AWS-StartSSHSession", "--parameters", "portNumber=22")


def find_instances(
    aws: Aws, cluster: ClusterKey | str | None = None, *, states: Iterable[str] = LIVING_STATES
) -> list[Instance]:
    """Return the instances of a cluster, or of all clusters, the oldest first. One call for 1000.

    Args:
        aws: the account.
        cluster: the cluster; or its name alone, for the instances of all clusters of that name. They may be other
            users': only look at them.
        states: only instances in these states, as EC2 names them.

    Raises:
        NewerFormatError: a newer version made one of this cluster. Of all clusters none is refused.
    """
    if isinstance(cluster, tags.ClusterKey):
        filters = cluster.filters
    else:
        filters = [tags.filter_by(tags.CLUSTER, *([cluster] if cluster else []))]
    instances = read_instances(aws, *filters, states=states)
    for instance in instances if cluster else ():
        place = f"{instance.id} of {instance.cluster}"
        _FORMAT.check(instance.tags.get(tags.FORMAT), instance.tags.get(tags.VERSION), place)
    return instances


class Named(Protocol):
    """An instance that can have an alias in its cluster."""

    @property
    def id(self) -> str:
        """The id of the instance."""
        ...

    @property
    def tags(self) -> Mapping[str, str]:
        """The tags of the instance."""
        ...

    @property
    def is_master(self) -> bool:
        """Whether the instance was launched as the master."""
        ...


C = TypeVar("C", bound=Named)


def assign_aliases(instances: Iterable[C], names: Mapping[str, str]) -> dict[str, C]:
    """Return the instances of one cluster by alias, the master first.

    A small launch writes each alias into a tag, a large one only into the laptop's journal. An instance with neither is
    still a node: it gets the lowest free number, in the order of launch.

    Args:
        instances: the oldest first.
        names: aliases from the journal, by instance id.
    """
    by_alias: dict[str, C] = {}
    unnamed: list[C] = []
    for instance in instances:
        alias = MASTER if instance.is_master else instance.tags.get(tags.ALIAS) or names.get(instance.id, "")
        if alias and alias not in by_alias:
            by_alias[alias] = instance
        else:
            unnamed.append(instance)
    number = 1
    for instance in unnamed:
        while f"node{number:03d}" in by_alias:
            number += 1
        by_alias[f"node{number:03d}"] = instance
    return dict(sorted(by_alias.items(), key=lambda item: (item[0] != MASTER, item[0])))
