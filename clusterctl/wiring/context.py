"""The context of an operation, from the config file, the command line and the files of a cluster."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from clusterctl.config import loading
from clusterctl.config.provider_options import provider_name
from clusterctl.errors import ClusterctlError, NewerFormatError
from clusterctl.events import Event, EventKind
from clusterctl.journal import ClusterFolder
from clusterctl.operations.context import RunContext
from clusterctl.operations.selftest import run
from clusterctl.plugin import loader
from clusterctl.remote.gateways import Gateways
from clusterctl.remote.ssh import SSHRemote
from clusterctl.wiring.clusters import find_provider
from clusterctl.wiring.local_paths import config_path, home_folder
from clusterctl.wiring.plugins import make_plugin_host
from clusterctl.wiring.providers import make_provider, usual_provider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from clusterctl.config.settings import Settings
    from clusterctl.model import Node


def load_settings(
    path: Path | None, template: str | None = None, overrides: Mapping[str, str] | None = None
) -> Settings:
    """Read and check the config file. Raise ConfigError with all of its problems."""
    return loading.read_config(
        path, template=template, overrides=overrides or {}, environ=os.environ, find_plugin=loader.find_plugin_class
    )


def load_context(
    name: str,
    *,
    config_file: str | None,
    report: Callable[[Event], None],
    template: str | None = None,
    overrides: Mapping[str, str] | None = None,
    plugin: str | None = None,
) -> RunContext:
    """Return the context of an operation on this cluster.

    A cluster that exists keeps the template and the options of its start, unless the arguments say otherwise.

    Args:
        name: the name of the cluster.
        config_file: the config file as given on the command line.
        report: called with each event.
        template: the cluster template, if one was named.
        overrides: options of the cluster section, and ``PLUGIN.OPTION``, from the command line.
        plugin: the name of one more plugin that must be included.
    """
    folder = ClusterFolder(home_folder(), name)
    changes = {**folder.last_overrides(), **(overrides or {})}
    settings = load_settings(config_path(config_file), template or folder.last_template(), changes)
    return _context_of_folder(folder, settings, report=report, overrides=changes, plugin=plugin)


def _context_of_folder(
    folder: ClusterFolder,
    settings: Settings,
    *,
    report: Callable[[Event], None],
    overrides: Mapping[str, str],
    plugin: str | None,
) -> RunContext:
    owner = make_provider(provider_name(settings.cluster), settings)
    return RunContext(
        name=folder.name,
        settings=settings,
        provider=owner,
        plugin_host=make_plugin_host(settings, owner.facets, plugin),
        folder=folder,
        connector=make_connector(folder),
        report=report,
        overrides=overrides,
    )


def selftest_contexts(
    name: str, *, config_file: str | None, template: str | None, types: str, report: Callable[[Event], None]
) -> Callable[[str | None], RunContext]:
    """Return a function that makes the context of each operation of a `selftest`. Its argument names one more plugin.

    Args:
        name: the name of its cluster.
        config_file: the config file as given on the command line.
        template: the cluster template whose image, network and access are used; None for the [aws] section alone.
        types: instance types of the nodes; empty for small ones.
        report: called with each event.
    """
    path = config_path(config_file)

    def settings_with(changes: Mapping[str, str]) -> Settings:
        if template:
            return load_settings(path, template, changes)
        return replace(load_settings(None, None, changes), aws=loading.load_aws(path, environ=os.environ))

    changes = run.smallest_cluster_options(types, arch=settings_with({"provider": "ec2"}).cluster.arch)
    settings = settings_with(changes)
    folder = ClusterFolder(home_folder(), name)
    return lambda plugin: _context_of_folder(folder, settings, report=report, overrides=changes, plugin=plugin)


def lenient_context(name: str, *, config_file: str | None, report: Callable[[Event], None]) -> tuple[RunContext, str]:
    """Return a context to inspect or end a cluster, and the error in config, environment or plugin, if there is one.

    With such an error no plugin of the user is called. The provider still finds and ends every node.
    """
    folder = ClusterFolder(home_folder(), name)
    holder = folder.last_provider() or find_provider(name)
    try:
        context = load_context(name, config_file=config_file, report=report)
        if holder in {None, provider_name(context.settings.cluster)}:
            return context, ""
        # Its files are lost, or the config names another provider by now. The one with the nodes can still end them.
        owner = make_provider(holder or "", context.settings)
        return replace(context, provider=owner, plugin_host=make_plugin_host(context.settings, owner.facets)), ""
    except ClusterctlError as exc:
        settings = loading.read_config(None, environ={}, find_plugin=loader.find_plugin_class)
        owner = make_provider(holder or usual_provider())
        host = make_plugin_host(settings, owner.facets)
        return RunContext(name, settings, owner, host, folder, make_connector(folder), report), exc.message


def readable_contexts(
    names: Iterable[str], *, config_file: str | None, report: Callable[[Event], None]
) -> list[RunContext]:
    """Return lenient contexts of these clusters. Warn of those that a newer version has written, and leave them out."""
    contexts = []
    for name in names:
        try:
            contexts.append(lenient_context(name, config_file=config_file, report=report)[0])
        except NewerFormatError as exc:
            report(Event(EventKind.WARNING, f"{name} is left out: {exc.message} (try: {exc.remedy})"))
    return contexts


def make_connector(folder: ClusterFolder) -> Callable[[Node], SSHRemote]:
    """Return a function that makes the remote of a node of this cluster."""
    gateways = Gateways()
    return lambda node: SSHRemote(
        node,
        key=folder.private_key_file,
        known_hosts=folder.known_hosts_file,
        log=folder.log_file(node.alias),
        gateways=gateways,
    )
