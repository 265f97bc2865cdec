"""The sections of the INI file, and the whole of it once read: what everything above works from."""

import getpass
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import ValidationInfo, field_validator, model_validator

from clusterctl.sections import CommaList, ExpandedPath, Field, Flag, PathList, SecretText, Section, comma_list

USER_NAME = r"[A-Za-z_][A-Za-z0-9_.-]{0,31}"


def laptop_user() -> str:
    """Who types here; ``cluster`` where nobody has a name."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # no such variable, and a uid without a name: a container
        return "cluster"


class GlobalSection(Section):
    """The [global] section."""

    default_template: str | None = Field(
        None, description="the cluster section that `start` takes when none is named", examples=["local"]
    )
    include: PathList = Field(
        (), description="further files to read, relative to this one", examples=["~/.clusterctl/aws.ini"]
    )


class AwsSection(Section):
    """The [aws] section. Without it, the usual AWS environment, profiles and roles are used."""

    aws_access_key_id: str | None = Field(None, description="access key; better left to a profile or a role")
    aws_secret_access_key: SecretText | None = Field(None, description="the secret of the access key")
    aws_session_token: SecretText | None = Field(None, description="the token of temporary credentials")
    aws_profile: str | None = Field(None, description="profile of ~/.aws/config to use", examples=["research"])
    aws_region_name: str = Field("us-east-1", description="region to run in")


class KeySection(Section):
    """A [key NAME] section: NAME is the EC2 key pair."""

    key_location: ExpandedPath = Field(description="private key file on this computer", examples=["~/.ssh/mykey.rsa"])


class HostSection(Section):
    """A [host NAME] section: a machine of the provider `static`."""

    address: str | None = Field(
        None, description="where this computer reaches it; default: NAME", examples=["192.0.2.10"]
    )
    private_address: str | None = Field(
        None,
        description="where the other hosts reach it, an IPv4 address; default: its address",
        examples=["10.0.0.10"],
    )
    port: int = Field(22, ge=1, le=65535, description="port of its SSH server")
    user: str = Field(
        default_factory=laptop_user,
        description="who logs in: root, or a user with sudo and no password; default: your name here",
        examples=["debian"],
    )
    key_location: ExpandedPath | None = Field(
        None,
        description="private key file on this computer; default: your ssh agent and the keys in ~/.ssh",
        examples=["~/.ssh/id_ed25519"],
    )
    proxy_jump: str | None = Field(
        None, description="host to go through, as user@host:port", examples=["me@gate.example.org"]
    )
    host_key: str | None = Field(
        None,
        description="the key it must show, as in /etc/ssh/ssh_host_ed25519_key.pub; default: from your known_hosts",
        examples=["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA..."],
    )


class VolumeSection(Section):
    """A [volume NAME] section: a disk that outlives clusters, mounted on the master and seen by all nodes."""

    volume_id: str | None = Field(
        None,
        description="ec2: the EBS volume; docker: the name of a Docker volume, made if it is not there",
        examples=["vol-0123456789abcdef0"],
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]+$",
    )
    device: str | None = Field(
        None,
        description="static: the block device on the master",
        examples=["/dev/disk/by-id/ata-DISK"],
        pattern=r"^/dev/[A-Za-z0-9_./:+-]+$",
    )
    format: Flag = Field(default=False, description="make a file system on it if it is blank; never otherwise")
    file_system: Literal["ext4", "xfs"] = Field("ext4", description="what a blank one is formatted with")
    mount_path: PurePosixPath = Field(description="where it is mounted on every node", examples=["/data"])
    partition: int | None = Field(
        None, ge=1, description="partition to mount; default: the only one, or the whole disk"
    )

    @field_validator("mount_path")
    @classmethod
    def _absolute(cls, path: PurePosixPath) -> PurePosixPath:
        if not path.is_absolute() or ".." in path.parts or len(path.parts) < 2:
            raise ValueError(f"expected an absolute path below /, got {str(path)!r}")
        return path

    @model_validator(mode="after")
    def _one_name(self) -> "VolumeSection":
        if self.volume_id is None and self.device is None:
            raise ValueError("expected VOLUME_ID (ec2, docker) or DEVICE (static)")
        return self


class PermissionSection(Section):
    """A [permission NAME] section: ports opened on every node, to whom you say."""

    ip_protocol: Literal["tcp", "udp", "icmp"] = Field("tcp", description="tcp, udp or icmp")
    from_port: int = Field(ge=-1, le=65535, description="first port; -1 for icmp", examples=["8080"])
    to_port: int = Field(ge=-1, le=65535, description="last port; -1 for icmp", examples=["8080"])
    cidr_ip: str = Field(
        description="addresses let in; never assumed, 0.0.0.0/0 (the world) must be written out",
        examples=["192.0.2.0/24"],
    )

    @field_validator("from_port", "to_port")
    @classmethod
    def _ports(cls, port: int, info: ValidationInfo) -> int:
        icmp = info.data.get("ip_protocol") == "icmp"
        if icmp != (port == -1) or port == 0:
            raise ValueError(f"expected {'-1, as icmp has no ports' if icmp else 'a port from 1 to 65535'}, got {port}")
        if port < info.data.get("from_port", port):
            raise ValueError(f"expected at least FROM_PORT ({info.data['from_port']}), got {port}")
        return port

    @field_validator("cidr_ip")
    @classmethod
    def _network(cls, text: str) -> str:
        try:
            return str(ipaddress.ip_network(text, strict=False))
        except ValueError:
            raise ValueError(f"expected addresses such as 192.0.2.0/24, got {text!r}") from None


MEAN_EC2 = ("node_image_id", "node_instance_type", "keyname", "spot_bid")
"""Options that say, without a PROVIDER, that it is ec2."""
_MEAN_MACHINES = ("provider", "hosts", *MEAN_EC2)


class ClusterSection(Section):
    """A [cluster NAME] section: a template that `start` makes clusters from."""

    extends: str | None = Field(None, description="cluster section to take every other option from", examples=["local"])
    provider: Literal["local", "docker", "static", "ec2"] | None = Field(
        None,
        description="where the nodes are: local (this computer), docker, static or ec2;"
        " default: static if hosts are given, ec2 if an image, instance type, key or bid is, else local",
        examples=["ec2"],
    )
    cluster_size: int = Field(3, ge=1, description="nodes, with the master")
    min_size: int | None = Field(
        None, ge=1, description="nodes that must join for success; default: all", examples=["2"]
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
    start_timeout: float = Field(
        600.0,
        gt=0,
        allow_inf_nan=False,
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
        default=False, description="static: the hosts share the users' homes already; no NFS server is set up"
    )
    vcpus: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="processors of each node, where the provider can choose",
        examples=["4"],
    )
    memory_gb: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="memory of each node in GB, where the provider can choose",
        examples=["8"],
    )
    keyname: str | None = Field(None, description="the [key NAME] to log in with", examples=["mykey"])
    node_image_id: str | None = Field(None, description="image of the nodes", examples=["ubuntu-24.04"])
    node_instance_type: CommaList = Field(
        (),
        description="types of the workers; any of them may be taken",
        examples=["c7i.2xlarge, c7a.2xlarge"],
    )
    master_image_id: str | None = Field(
        None, description="image of the master; default: the nodes'", examples=["ubuntu-24.04"]
    )
    master_instance_type: str | None = Field(
        None, description="type of the master; default: the workers'", examples=["m7i.xlarge"]
    )
    spot_bid: Decimal | None = Field(
        None,
        gt=0,
        description="most to pay per node-hour in USD; makes the workers spot instances",
        examples=["0.10"],
    )
    force_spot_master: Flag = Field(default=False, description="let the master be a spot instance too")
    availability_zone: str | None = Field(
        None, description="zone; default: the cheapest with room", examples=["us-east-1a"]
    )
    subnet_id: str | None = Field(
        None, description="subnet; default: the zone's own", examples=["subnet-0123456789abcdef0"]
    )
    public_ips: Flag = Field(default=True, description="give the nodes public addresses")
    dns_prefix: Flag = Field(default=False, description="put the cluster's name before the host names")
    volumes: CommaList = Field((), description="the [volume NAME] sections to mount", examples=["data"])
    permissions: CommaList = Field((), description="the [permission NAME] sections to open", examples=["web"])
    userdata_scripts: PathList = Field(
        (), description="scripts on this computer that each node runs when it boots", examples=["~/setup.sh"]
    )

    @model_validator(mode="before")
    @classmethod
    def _what_follows(cls, values: object) -> object:
        """Defaults that depend on other options: all listed hosts, and a user who is not root on machines."""
        if not isinstance(values, dict):
            return values
        found: dict[str, object] = {}
        if values.get("hosts") and not values.get("cluster_size"):
            found["cluster_size"] = len(comma_list(values["hosts"]))
        machines = values.get("provider") != "local" and any(values.get(key) for key in _MEAN_MACHINES)
        if machines and not values.get("cluster_user") and laptop_user() == "root":
            found["cluster_user"] = "cluster"
        return {**values, **found}

    @field_validator("min_size")
    @classmethod
    def _reachable(cls, size: int | None, info: ValidationInfo) -> int | None:
        whole = info.data.get("cluster_size", size)
        if size is not None and whole is not None and size > whole:
            raise ValueError(f"expected at most CLUSTER_SIZE ({whole}), got {size}")
        return size


@dataclass(frozen=True)
class Origin:
    """Where a value comes from."""

    where: Literal["default", "file", "environment", "command line"]
    file: str = ""
    section: str = ""
    """As written, without the brackets."""
    key: str = ""

    def __str__(self) -> str:
        """How a message about the value begins."""
        if self.where != "file":
            return f"{self.where}: {self.key}"
        return f"{self.file}: [{self.section}] {self.key}".rstrip()


@dataclass(frozen=True)
class PluginChoice:
    """A plugin and its options."""

    name: str
    """As in the INI file: the section's, which need not be the plugin's own."""
    plugin: type[object]
    options: Section


@dataclass(frozen=True)
class Settings:
    """Everything that was asked for, checked. Nothing below looks at text again."""

    path: Path | None
    template: str
    templates: tuple[str, ...]
    """All that the file has."""
    cluster: ClusterSection
    global_: GlobalSection
    aws: AwsSection
    keys: Mapping[str, KeySection]
    hosts: Mapping[str, HostSection]
    volumes: Mapping[str, VolumeSection]
    permissions: Mapping[str, PermissionSection]
    plugins: tuple[PluginChoice, ...]
    """Those of the template, in its order."""
    all_plugins: Mapping[str, PluginChoice]
    """Those of every [plugin NAME] section, and of every template: what `runplugin` may run."""
    origins: Mapping[str, Origin]
    """By dotted key: ``cluster.spot_bid``, ``aws.aws_profile``, ``plugin.NAME.option``."""
    notes: tuple[str, ...]
    """What was read as something else than was written, or has no effect."""
