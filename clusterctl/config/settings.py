"""The sections of the INI file, and Settings: the whole config once it was read and checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import ValidationInfo, field_validator, model_validator

from clusterctl.config.cluster_section import ClusterSection, parse_network
from clusterctl.config.ini import Origin
from clusterctl.laptop.user import laptop_user
from clusterctl.model import Machines, Volume
from clusterctl.options import ExpandedPath, Field, Flag, PathList, SecretText, Section


class GlobalSection(Section):
    """The [global] section."""

    default_template: str | None = Field(
        None, description="the cluster section that `start` takes when none is named", examples=["local"]
    )
    include: PathList = Field(
        (), description="further files to read, relative to this one", examples=["~/.clusterctl/aws.ini"]
    )


_SYSTEM_FOLDERS = frozenset({"/root", "/usr", "/var", "/var/lib", "/var/log"})
"""What a disk would hide if it were mounted there. Folders inside are fine, but for those of `_SYSTEM_TREES`."""
_SYSTEM_TREES = (
    *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/run", "/sbin", "/sys"),
    *("/usr/bin", "/usr/lib", "/usr/lib64", "/usr/libexec", "/usr/sbin", "/usr/share"),
    *("/opt/clusterctl", "/var/cache/clusterctl", "/var/lib/clusterctl", "/var/log/clusterctl"),
    *("/var/lib/apt", "/var/lib/cloud", "/var/lib/dpkg", "/var/lib/systemd"),
)


class AwsSection(Section):
    """The [aws] section. Without it, the usual AWS environment, profiles and roles are used."""

    aws_access_key_id: str | None = Field(None, description="access key; better left to a profile or a role")
    aws_secret_access_key: SecretText | None = Field(None, description="the secret of the access key")
    aws_session_token: SecretText | None = Field(None, description="the token of temporary credentials")
    aws_profile: str | None = Field(None, description="profile of ~/.aws/config to use", examples=["research"])
    aws_region_name: str = Field("us-east-1", description="region to run in; default: that of the profile")


class KeySection(Section):
    """A [key NAME] section: NAME is the EC2 key pair."""

    key_location: ExpandedPath | None = Field(
        None,
        description="its private key on this computer, for you: clusterctl logs in with a key of its own",
        examples=["~/.ssh/mykey.rsa"],
    )


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
        None, ge=1, le=128, description="partition to mount; default: the only one, or the whole disk"
    )

    @field_validator("mount_path")
    @classmethod
    def _check_mount_path(cls, path: PurePosixPath) -> PurePosixPath:
        if not path.is_absolute() or ".." in path.parts or len(path.parts) < 2:
            raise ValueError(f"expected an absolute path below /, got {str(path)!r}")
        if str(path) in _SYSTEM_FOLDERS or any(path.is_relative_to(folder) for folder in _SYSTEM_TREES):
            raise ValueError(f"expected a folder of your own, got {path}: the system of the nodes has its files there")
        if len(str(path).split()) > 1 or not str(path).isprintable():
            raise ValueError(f"expected a path without blanks, got {str(path)!r}")
        return path

    @model_validator(mode="after")
    def _check_source(self) -> "VolumeSection":
        if self.volume_id is None and self.device is None:
            raise ValueError("expected VOLUME_ID (ec2, docker) or DEVICE (static)")
        return self


class PermissionSection(Section):
    """A [permission NAME] section: ports to open on every node, for given addresses."""

    ip_protocol: Literal["tcp", "udp", "icmp"] = Field("tcp", description="tcp, udp or icmp")
    from_port: int = Field(ge=-1, le=65535, description="first port; -1 for icmp", examples=["8080"])
    to_port: int = Field(ge=-1, le=65535, description="last port; -1 for icmp", examples=["8080"])
    cidr_ip: str = Field(
        description="addresses let in; never assumed, 0.0.0.0/0 (the world) must be written out",
        examples=["192.0.2.0/24"],
    )

    @field_validator("from_port", "to_port")
    @classmethod
    def _check_ports(cls, port: int, info: ValidationInfo) -> int:
        icmp = info.data.get("ip_protocol") == "icmp"
        if icmp != (port == -1) or port == 0:
            raise ValueError(f"expected {'-1, as icmp has no ports' if icmp else 'a port from 1 to 65535'}, got {port}")
        if port < info.data.get("from_port", port):
            raise ValueError(f"expected at least FROM_PORT ({info.data['from_port']}), got {port}")
        return port

    @field_validator("cidr_ip")
    @classmethod
    def _check_network(cls, text: str) -> str:
        return parse_network(text)


SECTION_MODELS: Mapping[str, type[Section]] = {
    "global": GlobalSection,
    "cluster NAME": ClusterSection,
    "key NAME": KeySection,
    "host NAME": HostSection,
    "volume NAME": VolumeSection,
    "permission NAME": PermissionSection,
    "aws": AwsSection,
}
"""What checks a section, by its header. Those of plugins are with the plugins, and [sizes] has names of its owner's."""


@dataclass(frozen=True)
class PluginChoice:
    """A plugin and its options."""

    name: str
    """The name of the INI section, which may differ from the plugin's own name."""
    plugin: type[object]
    options: Section


@dataclass(frozen=True)
class Settings:
    """The whole config, checked. No later step reads INI text."""

    path: Path | None
    template: str
    templates: tuple[str, ...]
    """All templates of the file."""
    cluster: ClusterSection
    global_: GlobalSection
    aws: AwsSection
    keys: Mapping[str, KeySection]
    hosts: Mapping[str, HostSection]
    volumes: Mapping[str, VolumeSection]
    permissions: Mapping[str, PermissionSection]
    plugins: tuple[PluginChoice, ...]
    """The plugins of the template, in its order."""
    all_plugins: Mapping[str, PluginChoice]
    """The plugins of all [plugin NAME] sections and all templates: the ones that `runplugin` can run."""
    origins: Mapping[str, Origin]
    """By dotted key: ``cluster.spot_bid``, ``aws.aws_profile``, ``plugin.NAME.option``."""
    notes: tuple[str, ...]
    """Notes about values that were translated or have no effect."""
    warnings: tuple[str, ...]
    """What is wrong with sections that the template does not use."""
    copy: str
    """The sections that the template uses, as a JSON document without secrets: `read_copy` reads it again."""

    @property
    def machines(self) -> Machines:
        """The settings of every machine, from the template."""
        return machine_settings(self.cluster, self.volumes)


def machine_settings(cluster: ClusterSection, volumes: Mapping[str, VolumeSection]) -> Machines:
    """Return the settings for every machine, with the volumes that the template names."""
    chosen = [(name, volumes[name]) for name in cluster.volumes if name in volumes]
    return Machines(
        user=cluster.cluster_user,
        shell=cluster.cluster_shell,
        dns_prefix=cluster.dns_prefix,
        home_volume=cluster.home_volume,
        volumes=tuple(
            Volume(
                name=name,
                mount_path=section.mount_path,
                id=section.volume_id or "",
                device=section.device or "",
                partition=section.partition,
                file_system=section.file_system,
                format=section.format,
            )
            for name, section in chosen
        ),
    )


@dataclass(frozen=True)
class ChosenOption:
    """An option and its value."""

    key: str
    """Kind of section, name of section and option, with dots: ``cluster.cluster_size``, ``plugin.packages.python``."""
    value: Any
    origin: Origin


def list_chosen_options(settings: Settings, plugins: Mapping[str, Section]) -> list[ChosenOption]:
    """Return the options that a cluster of the chosen template has.

    Args:
        settings: the config.
        plugins: the options of the plugins that act on its nodes, by name.
    """
    cluster = settings.cluster
    groups: list[tuple[str, Mapping[str, Section]]] = [
        ("cluster", {"": cluster}),
        ("global", {"": settings.global_}),
        ("aws", {"": settings.aws}),
        ("key", {name: key for name, key in settings.keys.items() if name == cluster.keyname}),
        ("host", {name: settings.hosts[name] for name in cluster.hosts if name in settings.hosts}),
        ("volume", {name: settings.volumes[name] for name in cluster.volumes}),
        ("permission", {name: settings.permissions[name] for name in cluster.permissions}),
        ("plugin", plugins),
    ]
    options = []
    for kind, sections in groups:
        for name, section in sections.items():
            for key in type(section).model_fields:
                dotted = ".".join(part for part in (kind, name, key) if part)
                origin = settings.origins.get(dotted, Origin("default"))  # a plugin without a section has none
                options.append(ChosenOption(dotted, getattr(section, key), origin))
    return options
