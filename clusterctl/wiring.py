"""INI path to Parts. The only place where concrete classes are chosen."""

from __future__ import annotations

import getpass
import hashlib
import os
import platform
import re
import warnings
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl import config, connections, plugin_host, tunnel
from clusterctl.errors import ClusterctlError, PluginError, ProviderError, StateError, UsageError
from clusterctl.gateways import Gateways
from clusterctl.journal import ClusterFolder
from clusterctl.model import NodeState
from clusterctl.operations import selftest
from clusterctl.operations.parts import Parts
from clusterctl.placement import provider_name
from clusterctl.providers.base import BaseImages, Images
from clusterctl.providers.docker import DockerProvider
from clusterctl.providers.ec2 import Ec2Options, Ec2Provider, Permission
from clusterctl.providers.ec2.aws import Aws, Credentials
from clusterctl.providers.local import LocalProvider
from clusterctl.providers.static import Host, StaticProvider, as_written
from clusterctl.ssh import SSHRemote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ipyparallel import Client

    from clusterctl.model import Event, Facet, Node
    from clusterctl.providers.base import Provider
    from clusterctl.sections import Section
    from clusterctl.settings import AwsSection, Settings


def _static(settings: Settings | None) -> StaticProvider:
    """The hosts of the config, those with a section of their own and those without."""
    root = home() / "static"
    if settings is None:
        return StaticProvider(root)
    hosts = [
        Host(
            name,
            address=section.address or name,
            port=section.port,
            user=section.user,
            private_address=section.private_address or "",
            key=str(section.key_location or ""),
            jump=section.proxy_jump or "",
            host_key=section.host_key or "",
        )
        if (section := settings.hosts.get(name))
        else as_written(name)
        for name in settings.cluster.hosts
    ]
    return StaticProvider(root, hosts=hosts, shared_home=settings.cluster.shared_home)


_PROVIDERS: Mapping[str, Callable[[Settings | None], Provider]] = {
    "local": lambda _: LocalProvider(home() / "local", os.environ),
    "docker": lambda settings: DockerProvider(
        os.environ,
        owner=_owner(),
        cache=_user(),
        dns_prefix=bool(settings and settings.cluster.dns_prefix),
    ),
    "static": _static,
    "ec2": lambda settings: _ec2(settings),  # noqa: PLW0108  defined below
}
"""By name. Without settings a provider can still tell, and end, what there is."""


def _ec2(settings: Settings | None) -> Ec2Provider:
    """Instances, as the template says; without settings in the account and region of the usual config file."""
    return Ec2Provider(
        aws_of(settings.aws) if settings else aws(None),
        options=_ec2_options(settings) if settings else None,
        journal=lambda cluster: ClusterFolder(home(), cluster),
        owner=ec2_owner(),
    )


def _ec2_options(settings: Settings) -> Ec2Options:
    template = settings.cluster
    return Ec2Options(
        arch=template.arch,
        zone=template.availability_zone or "",
        any_zone=template.zones == "any",
        subnets=template.subnet_id,
        public_ips=template.public_ips,
        address=template.address,
        allow_from=template.allow_from,
        jump=template.proxy_jump or "",
        ssm=template.ssm,
        permissions=tuple(
            Permission(name, each.ip_protocol, each.from_port, each.to_port, each.cidr_ip)
            for name in template.permissions
            if (each := settings.permissions.get(name))
        ),
        security_groups=template.security_groups,
        placement_group=template.placement_group,
        instance_profile=template.instance_profile or "",
        metadata_for_user=template.metadata_for_user,
        root_volume_gb=template.root_volume_gb,
        root_volume_type=template.root_volume_type,
        lifetime_h=template.lifetime,
        tags=dict(tag.split("=", 1) for tag in template.tags),
        key_name=template.keyname or "",
        scripts=template.userdata_scripts,
        shared_home=template.shared_home,
    )


def _asked() -> dict[str, Callable[[Settings | None], Provider]]:
    """The providers that are asked what they have. AWS is one of them only for those who use it."""
    return {name: make for name, make in _PROVIDERS.items() if name != "ec2" or _uses_ec2()}


def _uses_ec2() -> bool:
    """Whether the usual config file, or a cluster of this laptop's, has to do with EC2."""
    folders = home() / "clusters"
    names = [folder.name for folder in folders.iterdir()] if folders.is_dir() else []
    if any(ClusterFolder(home(), name).provider() == "ec2" for name in names):
        return True
    path = config_path(None)
    return path is not None and config.mentions_ec2(path)


def home() -> Path:
    """Where everything of ours is on this computer: $CLUSTERCTL_HOME, or ~/.clusterctl."""
    return Path(os.environ.get("CLUSTERCTL_HOME") or "~/.clusterctl").expanduser().absolute()


def _owner() -> str:
    """Whose nodes we work with where several may share an engine: this user's; apart for a folder of ours elsewhere."""
    return _user() + _mark()


def _mark() -> str:
    """What tells apart what a folder of ours elsewhere than usual knows of."""
    elsewhere = os.environ.get("CLUSTERCTL_HOME")
    return f"-{hashlib.sha256(os.fsencode(home())).hexdigest()[:8]}" if elsewhere else ""


def _user() -> str:
    """This computer's user, as part of a name of Docker's."""
    try:
        user = getpass.getuser()
    except (ImportError, KeyError, OSError):  # a uid without a name
        user = str(os.getuid())
    return re.sub(r"[^A-Za-z0-9_.-]", "-", user)


def ec2_owner() -> str:
    """Whose resources we work with in an AWS account: this user's on this computer, as a tag's value."""
    computer = re.sub(r"[^A-Za-z0-9_-]", "-", platform.node().partition(".")[0]) or "unknown"
    return f"{_user()}@{computer}"[: 128 - len(_mark())] + _mark()


def aws(config_file: str | None, region: str | None = None, *, hasty: bool = False) -> Aws:
    """The AWS account that the config file (as given on the command line) and the environment say.

    Args:
        config_file: only its [aws] section counts.
        region: to look elsewhere than the section says.
        hasty: give up at once where nobody answers.
    """
    return aws_of(config.load_aws(config_path(config_file), environ=os.environ), region, hasty=hasty)


def aws_of(section: AwsSection, region: str | None = None, *, hasty: bool = False) -> Aws:
    """The AWS account of this section; the other arguments as of `aws`."""
    known = Credentials(
        profile=section.aws_profile,
        access_key_id=section.aws_access_key_id,
        secret_access_key=section.aws_secret_access_key,
        session_token=section.aws_session_token,
    )
    return Aws(region or section.aws_region_name, known, hasty=hasty)


def config_path(explicit: str | None) -> Path | None:
    """The config file: the one named, else $CLUSTERCTL_CONFIG, else `config` in our folder if it is there."""
    named = explicit or os.environ.get("CLUSTERCTL_CONFIG")
    if named:
        return Path(named).expanduser()
    usual = home() / "config"
    return usual if usual.exists() else None


def load_settings(
    path: Path | None, template: str | None = None, overrides: Mapping[str, str] | None = None
) -> Settings:
    """Read and check the config file; raises ConfigError with every problem found."""
    return config.load(
        path, template=template, overrides=overrides or {}, environ=os.environ, find_plugin=plugin_host.find
    )


def provider(name: str, settings: Settings | None = None) -> Provider:
    """The provider of this name; with the settings of the cluster that it is to make."""
    if name not in _PROVIDERS:
        raise UsageError(
            f"the provider {name} is not in this version of clusterctl",
            remedy=f"set PROVIDER to one of: {', '.join(_PROVIDERS)}; see the docs for what is planned",
        )
    return _PROVIDERS[name](settings)


def image_providers() -> dict[str, Images]:
    """The providers whose nodes start from images, by name."""
    return {name: owner for name, make in _asked().items() if isinstance(owner := make(None), Images)}


def base_images() -> BaseImages:
    """The provider whose nodes' image is made on this computer."""
    return next(owner for make in _asked().values() if isinstance(owner := make(None), BaseImages))


def host_of(settings: Settings, facets: frozenset[Facet], plugin: str | None = None) -> plugin_host.PluginHost:
    """The template's plugins in INI order, those that act always before them, and `plugin` after them if it is new.

    Those that have nothing to do on nodes with these facets are left out; `idle_plugins` names them.
    """
    named: list[tuple[str, type, Section]] = [(c.name, c.plugin, c.options) for c in settings.plugins]
    chosen = []
    for name in plugin_host.IMPLICIT:
        implicit = plugin_host.find(name)
        if not any(issubclass(plugin_class, implicit) for _, plugin_class, _ in named):
            said = settings.all_plugins.get(name)  # its section, or --set
            options = said.options if said else plugin_host.options_model(implicit)()
            chosen.append((name, said.plugin if said else implicit, options))
    chosen = [choice for choice in (*chosen, *named) if not plugin_host.not_needed(choice[1], facets)]
    if plugin and plugin not in {name for name, _, _ in chosen}:
        extra = settings.all_plugins.get(plugin)
        found = extra.plugin if extra else _found(plugin)
        chosen.append((plugin, found, extra.options if extra else plugin_host.options_model(found)()))
    return plugin_host.PluginHost(chosen)


def idle_plugins(settings: Settings, facets: frozenset[Facet]) -> list[str]:
    """A line for each plugin that was named and has nothing to do on such nodes."""
    reasons = {choice.name: plugin_host.not_needed(choice.plugin, facets) for choice in settings.plugins}
    return [f"plugin {name} is not needed: {reason}" for name, reason in reasons.items() if reason]


def _found(plugin: str) -> type:
    try:
        return plugin_host.find(plugin)
    except PluginError as exc:
        raise UsageError(exc.message, remedy=exc.remedy) from exc  # its name is on the command line


def parts(
    name: str,
    *,
    config_file: str | None,
    report: Callable[[Event], None],
    template: str | None = None,
    overrides: Mapping[str, str] | None = None,
    plugin: str | None = None,
) -> Parts:
    """Everything an operation on this cluster works with.

    A cluster that exists keeps its template and what the command line of its start said, unless told otherwise.

    Args:
        name: the cluster's.
        config_file: as given on the command line.
        report: where events go.
        template: the cluster template, if one was named.
        overrides: options of the cluster section, and ``PLUGIN.OPTION``, that the command line gives.
        plugin: one more plugin that must be there.
    """
    folder = ClusterFolder(home(), name)
    changes = {**folder.overrides(), **(overrides or {})}
    settings = load_settings(config_path(config_file), template or folder.template(), changes)
    return _parts_of(folder, settings, report=report, overrides=changes, plugin=plugin)


def _parts_of(
    folder: ClusterFolder,
    settings: Settings,
    *,
    report: Callable[[Event], None],
    overrides: Mapping[str, str],
    plugin: str | None,
) -> Parts:
    owner = provider(provider_name(settings.cluster), settings)
    return Parts(
        name=folder.name,
        settings=settings,
        provider=owner,
        host=host_of(settings, owner.facets, plugin),
        folder=folder,
        connector=connector(folder),
        report=report,
        overrides=overrides,
    )


def selftest_parts(
    name: str, *, config_file: str | None, template: str | None, types: str, report: Callable[[Event], None]
) -> Callable[[str | None], Parts]:
    """What makes the parts of each operation of a `selftest`, with one more plugin.

    Args:
        name: of its cluster.
        config_file: as given on the command line.
        template: the cluster template whose image, network and access count; without one, the [aws] section alone does.
        types: of the nodes; empty for small ones.
        report: where events go.
    """
    path = config_path(config_file)

    def settings_with(changes: Mapping[str, str]) -> Settings:
        if template:
            return load_settings(path, template, changes)
        return replace(load_settings(None, None, changes), aws=config.load_aws(path, environ=os.environ))

    changes = selftest.options(types, arch=settings_with({"provider": "ec2"}).cluster.arch)
    settings = settings_with(changes)
    folder = ClusterFolder(home(), name)
    return lambda plugin: _parts_of(folder, settings, report=report, overrides=changes, plugin=plugin)


def lenient_parts(name: str, *, config_file: str | None, report: Callable[[Event], None]) -> tuple[Parts, str]:
    """Parts to look at or end a cluster with, even if config, environment or a plugin is broken by now; and what is.

    Without a config no plugin of the user's is called; the provider still finds and ends every node.
    """
    folder = ClusterFolder(home(), name)
    holder = folder.provider() or _holder(name)
    try:
        made = parts(name, config_file=config_file, report=report)
        if holder in {None, provider_name(made.settings.cluster)}:
            return made, ""
        # Its files are lost, or the config says something else by now: who has the nodes can still end them.
        owner = provider(holder or "", made.settings)
        return replace(made, provider=owner, host=host_of(made.settings, owner.facets)), ""
    except ClusterctlError as exc:
        settings = config.load(None, environ={}, find_plugin=plugin_host.find)
        owner = provider(holder or "local")
        host = host_of(settings, owner.facets)
        return Parts(name, settings, owner, host, folder, connector(folder), report), exc.message


def _holder(cluster: str) -> str | None:
    """Who has nodes of a cluster whose files here are lost; None where nobody says so."""
    for name, make in _asked().items():
        with suppress(ProviderError):
            if make(None).nodes(cluster):
                return name
    return None


def connector(folder: ClusterFolder) -> Callable[[Node], SSHRemote]:
    """How to reach a node of this cluster."""
    gateways = Gateways()
    return lambda node: SSHRemote(
        node, key=folder.key, known_hosts=folder.known_hosts, log=folder.log(node.alias), gateways=gateways
    )


def known_clusters() -> dict[str, NodeState]:
    """Every cluster that a provider or this laptop knows, and whether it runs; sorted by name."""
    found: dict[str, NodeState] = {}
    folders = home() / "clusters"
    if folders.is_dir():
        found = {f.name: NodeState.GONE for f in folders.iterdir() if ClusterFolder(home(), f.name).exists}
    for make in _asked().values():
        # One that cannot be asked, such as for want of a Docker engine, shows no nodes: what it made we still know of.
        with suppress(ProviderError):
            for node in make(None).nodes():
                before = found.get(node.cluster, NodeState.GONE)
                found[node.cluster] = NodeState.RUNNING if NodeState.RUNNING in {before, node.state} else node.state
    return dict(sorted(found.items()))


def the_cluster(name: str | None) -> str:
    """The name given, if there is such a cluster; without one, the only cluster that is up."""
    if name is not None and ClusterFolder(home(), name).exists:
        return name  # whoever is asked for its nodes next knows whether they are there
    clusters = known_clusters()
    if name is not None:
        if name not in clusters:
            raise UsageError(f"there is no cluster {name}", remedy=_choices(list(clusters)))
        return name
    up = [cluster for cluster, state in clusters.items() if state == NodeState.RUNNING]
    if len(up) != 1:
        what = f"{len(up)} clusters are up: which one is meant?" if up else "no cluster is up"
        raise UsageError(what, remedy=_choices(up or list(clusters)))
    return up[0]


def _choices(names: list[str]) -> str:
    return f"name one of: {', '.join(names)}" if names else "`clusterctl start NAME` makes one"


def client_file(name: str | None) -> Path:
    """The connection file of a cluster's ipyparallel, its tunnel up."""
    folder = ClusterFolder(home(), the_cluster(name))
    found = next((c.file for c in connections.published(folder) if c.name == "client" and c.file), None)
    if found is None or not found.exists():
        raise StateError(
            f"{folder.name} has no connection file", remedy=f"`clusterctl start {folder.name}` makes it anew"
        )
    tunnel.reopen(folder.path)
    return found


def other_python(name: str) -> str:
    """What is wrong if the cluster runs another Python than this one; empty if it does not."""
    there = str(ClusterFolder(home(), name).notes().get("python", ""))
    here = ".".join(platform.python_version_tuple()[:2])
    if there in {"", here}:
        return ""
    return f"this is Python {here} and {name} runs {there}: functions that you send will not load there"


def connect_client(name: str | None, **client_options: object) -> Client:
    """See `clusterctl.connect`."""
    import ipyparallel

    path = client_file(name)
    trouble = other_python(path.parent.name)
    if trouble:
        warnings.warn(trouble, stacklevel=3)
    try:
        return ipyparallel.Client(str(path), **client_options)
    except (TimeoutError, OSError, ipyparallel.error.TimeoutError) as exc:
        raise StateError(
            f"the controller of {path.parent.name} does not answer: {exc}",
            remedy=f"see `clusterctl status {path.parent.name}`; `clusterctl start {path.parent.name}` repairs it",
        ) from exc
