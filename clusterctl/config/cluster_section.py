"""The [cluster NAME] section: the options of a cluster template, one line each."""

import ipaddress
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, ValidationInfo, field_validator, model_validator

from clusterctl.config.ini import IMPLY_EC2
from clusterctl.environment import variables as environment
from clusterctl.files import FileToSend, parse_file_to_send
from clusterctl.laptop.user import laptop_user
from clusterctl.model import Market
from clusterctl.options import CommaList, Field, Flag, PathList, SecretText, Section, Span, WordList
from clusterctl.text import comma_list

USER_NAME = r"[A-Za-z_][A-Za-z0-9_.-]{0,31}"


def parse_network(text: str) -> str:
    """Return addresses in CIDR notation. Raises ValueError with a message that says what was expected."""
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise ValueError(f"expected addresses such as 192.0.2.0/24, got {text!r}") from None


def _to_files(value: object, info: ValidationInfo) -> object:
    folder = (info.context or {}).get(info.field_name) or Path()
    return tuple(parse_file_to_send(item, folder) for item in comma_list(value)) if isinstance(value, str) else value


_ORDER = (("min_size", "cluster_size"), ("cluster_size", "scale_max"), ("scale_min", "scale_max"))
"""Sizes of which the first one is never greater than the second one."""
_IMPLY_MACHINES = ("provider", "hosts", *IMPLY_EC2)


class ClusterSection(Section):
    """A [cluster NAME] section: a template from which `start` makes clusters."""

    extends: str | None = Field(None, description="cluster section to take every other option from", examples=["local"])
    provider: Literal["local", "docker", "static", "ec2"] | None = Field(
        None,
        description="where the nodes are: local (this computer), docker, static or ec2;"
        " default: static if hosts are given, ec2 if an image, instance type, key or bid is, else local",
        examples=["ec2"],
    )
    cluster_size: int = Field(3, ge=1, le=10_000, description="nodes, with the master")
    min_size: int | None = Field(
        None, ge=1, le=10_000, description="nodes that must join for success; default: all", examples=["2"]
    )
    scale_max: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="nodes to which `clusterctl watch` may let it grow by what waits; default: it buys none",
        examples=["10"],
    )
    scale_min: int | None = Field(
        None,
        ge=0,
        le=10_000,
        description="nodes that `watch` lets stay in any case; default: CLUSTER_SIZE",
        examples=["1"],
    )
    scale_down_after: Span | None = Field(
        None,
        description="time without work after which `watch` ends a node, where there is a SCALE_MAX, as 90s, or"
        " never; default: 5m",
        examples=["2m"],
    )
    plugins: CommaList = Field((), description="what to set up, in this order", examples=["packages, ipcluster"])
    cluster_user: str = Field(
        default_factory=laptop_user,
        pattern=f"^{USER_NAME}$",
        description="user that the work runs as; default: your name here, or `cluster` if you are root here",
        examples=["me"],
    )
    cluster_shell: Literal["bash", "zsh", "csh", "ksh", "tcsh", "fish"] = Field(
        "bash", description="the user's login shell: bash, zsh, csh, ksh, tcsh or fish"
    )
    variables: WordList = Field(
        (),
        description="environment variables of engines, notebooks and logins, as KEY=value with blanks between them;"
        " a value with blanks in quotation marks. No secrets: users of the nodes can read them",
        examples=['OMP_SCHEDULE=dynamic TITLE="a, b and c"'],
    )
    files: Annotated[tuple[FileToSend, ...], BeforeValidator(_to_files)] = Field(
        (),
        description="files and folders of this computer that `start` brings to nodes that lack them, as local:remote",
        examples=["~/data.csv:data/, ~/models:models"],
    )
    start_timeout: float = Field(
        600.0,
        gt=0,
        le=86_400,
        description="seconds after which `start` stops waiting for missing nodes",
    )
    tunnel: Literal["auto", "always", "never"] = Field(
        "auto",
        description="reach services through SSH: always, never, or auto (where the nodes are elsewhere)",
    )
    hosts: CommaList = Field(
        (),
        description="static: the machines, the master first: names of [host NAME] sections, or user@address:port",
        examples=["alpha, beta, admin@192.0.2.12"],
    )
    shared_home: Flag = Field(
        default=False, description="the nodes share the users' homes already; no NFS server is set up"
    )
    vcpus: float | None = Field(
        None,
        gt=0,
        le=4096,
        description="processors of each node, where the provider can choose",
        examples=["4"],
    )
    memory_gb: float | None = Field(
        None,
        gt=0,
        le=100_000,
        description="memory of each node in GB, where the provider can choose",
        examples=["8"],
    )
    keyname: str | None = Field(
        None, description="the [key NAME] that nodes let in beside the cluster's own key", examples=["mykey"]
    )
    node_image_id: str | None = Field(
        None,
        description="image of the nodes; ec2: an AMI, ubuntu-24.04, ubuntu-22.04, debian-12, debian-13, al2023 or gpu;"
        " default: the system that has this computer's Python",
        examples=["ubuntu-24.04"],
    )
    node_instance_type: CommaList = Field(
        (),
        description="types of the workers; any of them may be taken",
        examples=["c7i.2xlarge, c7a.2xlarge"],
    )
    arch: Literal["x86_64", "arm64"] = Field(
        "x86_64", description="processors of the nodes, where no type says so: x86_64 or arm64"
    )
    master_image_id: str | None = Field(
        None, description="image of the master; default: the nodes'", examples=["ubuntu-24.04"]
    )
    master_instance_type: CommaList = Field(
        (), description="types of the master, any of which may be taken; default: the workers'", examples=["m7i.xlarge"]
    )
    spot_bid: Decimal | None = Field(
        None,
        gt=0,
        le=1000,
        description="most to pay per node-hour in USD; makes the workers spot instances",
        examples=["0.10"],
    )
    market: Market | None = Field(
        None,
        description="how workers are bought: spot, spot-with-fallback (on demand where no spot instance is to be had)"
        " or on-demand; default: spot-with-fallback with a FALLBACK_MAX, spot with a SPOT_BID, else on-demand",
        examples=["spot"],
    )
    fallback_max: Decimal | None = Field(
        None,
        gt=0,
        le=1000,
        description="most to pay per node-hour in USD for workers that are bought on demand because no spot instance"
        " is to be had; makes the workers spot instances; default: whatever the type costs, where MARKET is"
        " spot-with-fallback",
        examples=["0.20"],
    )
    force_spot_master: Flag = Field(default=False, description="let the master be a spot instance too")
    availability_zone: str | None = Field(
        None, description="zone; default: the cheapest with room", examples=["us-east-1a"]
    )
    zones: Literal["one", "any"] = Field(
        "one", description="any lets nodes be in several zones: more spot instances, slower and dearer traffic"
    )
    subnet_id: CommaList = Field(
        (),
        description="subnets, one of which is chosen; default: those of the default VPC",
        examples=["subnet-0123456789abcdef0"],
    )
    public_ips: Flag | Literal["master"] = Field(
        default=True,
        description="give the nodes public addresses; master: the master alone, through which the others are reached",
    )
    address: Literal["auto", "public", "private", "ipv6"] = Field(
        "auto",
        description="where this computer reaches the nodes: public, private or ipv6 address;"
        " auto: public if they have one, else private",
    )
    allow_from: CommaList = Field(
        ("auto",),
        description="addresses that may log in by SSH; auto: the one that this computer shows to the world",
        examples=["192.0.2.0/24, 2001:db8::/32"],
    )
    proxy_jump: str | None = Field(
        None, description="host to reach the nodes through, as user@host:port", examples=["me@gate.example.org"]
    )
    ssm: Flag = Field(
        default=False, description="reach the nodes through AWS Systems Manager; needs an INSTANCE_PROFILE that lets it"
    )
    security_groups: CommaList = Field(
        (), description="further security groups of the nodes, such as that of a file system", examples=["sg-0123abcd"]
    )
    placement_group: Flag = Field(default=False, description="put the nodes close together, for MPI")
    instance_profile: str | None = Field(
        None, description="IAM instance profile of the nodes, by name", examples=["my-profile"]
    )
    metadata_for_user: Flag = Field(
        default=False, description="let the cluster user, not only root, ask the instance metadata service"
    )
    root_volume_gb: int | None = Field(
        None,
        ge=1,
        le=65_536,
        description="size of each node's root disk in GB; default: 50 on the master, 20 on workers, or the image's if"
        " that is more",
        examples=["50"],
    )
    master_volume_gb: int | None = Field(
        None,
        ge=1,
        le=65_536,
        description="size of the master's root disk in GB, which holds all homes; default: ROOT_VOLUME_GB, else 50",
        examples=["200"],
    )
    home_volume: Flag = Field(
        default=False,
        description="let the home, the ports and the keys of the cluster outlive a master that is lost; on ec2 the home"
        " gets a volume of its own",
    )
    home_volume_gb: int = Field(50, ge=1, le=16_384, description="size of the volume of HOME_VOLUME in GB, on ec2")
    root_volume_type: Literal["gp3", "gp2", "standard"] = Field(
        "gp3", description="kind of the root disks: gp3, gp2 or standard"
    )
    kms_key: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9:/_-]+$",
        description="key of KMS that the nodes' disks are encrypted with, as id, arn or alias; default: the account's"
        " key for EBS",
        examples=["alias/research"],
    )
    lifetime: float | None = Field(
        None,
        gt=0,
        le=87_600,
        description="hours after which the cluster ends by itself, whoever may have forgotten it; default: never",
        examples=["12"],
    )
    idle_stop: Span | None = Field(
        None,
        description="time without work after which the cluster ends by itself, as 20m or 90s, or never;"
        " default: 20m on ec2, else never",
        examples=["2h"],
    )
    idle_action: Literal["stop", "terminate"] = Field(
        "stop",
        description="what becomes of an ec2 master on demand that ends by itself: stop (its disk stays, and `start`"
        " goes on) or terminate; workers end in any case",
    )
    idle_ignores: CommaList = Field(
        (),
        description="what is no work: tasks, kernels, logins, processes, jobs, demand, or what a plugin calls it",
        examples=["logins, processes"],
    )
    max_cost: Decimal | None = Field(
        None, gt=0, le=1_000_000, description="USD after which the cluster ends by itself; ec2 only", examples=["20"]
    )
    notify: SecretText | None = Field(
        None,
        description="who is told before and when the cluster ends by itself, when a job or detached map has ended, and"
        " when a node will be taken: a command on the master, or the address of a web hook",
        examples=["https://hooks.example.org/T0/B0"],
    )
    on_end: str | None = Field(
        None,
        description="command on the master, as the cluster user, before the cluster ends by itself: to save results",
        examples=["cp -r results /data"],
    )
    on_end_timeout: float = Field(600.0, gt=0, le=86_400, description="seconds that ON_END may take")
    tags: CommaList = Field((), description="tags of everything that is made, as key=value", examples=["project=x"])
    dns_prefix: Flag = Field(default=False, description="put the cluster's name before the host names")
    volumes: CommaList = Field((), description="the [volume NAME] sections to mount", examples=["data"])
    permissions: CommaList = Field((), description="the [permission NAME] sections to open", examples=["web"])
    userdata_scripts: PathList = Field(
        (), description="scripts on this computer that each node runs when it boots", examples=["~/setup.sh"]
    )

    @property
    def provider_name(self) -> str:
        """The provider that is set, or the one that the other options imply."""
        if self.provider is not None:
            return self.provider
        if self.hosts:
            return "static"
        return "ec2" if any(getattr(self, key) for key in IMPLY_EC2) else "local"

    @model_validator(mode="before")
    @classmethod
    def _fill_dependent_defaults(cls, values: object) -> object:
        """Fill in defaults that depend on other options: the number of hosts, a user other than root on machines."""
        if not isinstance(values, dict):
            return values
        defaults: dict[str, object] = {}
        if values.get("hosts") and not values.get("cluster_size"):
            defaults["cluster_size"] = len(comma_list(values["hosts"]))
        machines = values.get("provider") != "local" and any(values.get(key) for key in _IMPLY_MACHINES)
        if machines and not values.get("cluster_user") and laptop_user() == "root":
            defaults["cluster_user"] = "cluster"
        return {**values, **defaults}

    @field_validator("tags")
    @classmethod
    def _check_tags(cls, tags: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [tag for tag in tags if "=" not in tag or tag.startswith(("=", "aws:", "clusterctl:"))]
        if wrong:
            raise ValueError(f"expected key=value, with a key of your own, got {wrong[0]!r}")
        return tags

    @field_validator("variables")
    @classmethod
    def _check_variables(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        for number, word in enumerate(words, 1):
            name, equals, value = word.partition("=")
            if not equals:
                raise ValueError(f"expected KEY=value, got {word!r}; a value with blanks must be in quotation marks")
            if value.endswith(",") and number < len(words):
                raise ValueError(f"expected blanks between variables and no commas, got {word!r}")
            if fault := environment.find_fault(name, value):
                raise ValueError(fault)
        return words

    @field_validator("allow_from")
    @classmethod
    def _check_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(network if network == "auto" else parse_network(network) for network in networks)

    @field_validator("min_size", "scale_max", "scale_min")
    @classmethod
    def _check_sizes(cls, size: int | None, info: ValidationInfo) -> int | None:
        sizes = {**info.data, str(info.field_name): size}
        for less, more in _ORDER:
            if info.field_name in {less, more} and (sizes.get(less) or 1) > (sizes.get(more) or 10_000):
                word, other = ("most", more) if info.field_name == less else ("least", less)
                raise ValueError(f"expected at {word} {other.upper()} ({sizes[other]}), got {size}")
        return size
