"""The context of an operation, from the config file, the command line and the files of a cluster."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from clusterctl.config import loading
from clusterctl.config.provider_options import provider_name
from clusterctl.config.remembered import original_of_copy
from clusterctl.config.settings import Origin
from clusterctl.errors import ClusterctlError, ConfigError, NewerFormatError
from clusterctl.journal import CONFIG_COPY, ClusterFolder
from clusterctl.operations.context import RunContext
from clusterctl.operations.selftest import run
from clusterctl.plugin import loader
from clusterctl.remote.gateways import Gateways
from clusterctl.remote.ssh import SSHRemote
from clusterctl.text import plural
from clusterctl.wiring.clusters import find_provider
from clusterctl.wiring.local_paths import config_path, home_folder, names_config
from clusterctl.wiring.plugins import make_lenient_plugin_host, make_plugin_host
from clusterctl.wiring.providers import make_provider, usual_provider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from clusterctl.config.settings import Settings
    from clusterctl.events import Reporter
    from clusterctl.model import Node
    from clusterctl.providers.base import Provider


def load_settings(
    path: Path | None, template: str | None = None, overrides: Mapping[str, str] | None = None
) -> Settings:
    """Read the config file. Raise ConfigError with all problems of what the template uses."""
    return loading.read_config(
        path,
        template=template,
        overrides=overrides or {},
        environ=os.environ,
        find_plugin=loader.find_plugin_class,
    )


def check_config(path: Path | None, template: str | None = None) -> loading.CheckedConfig:
    """Read the config file. Raise ConfigError with all problems of all its sections."""
    return loading.check_config(path, template=template, environ=os.environ, find_plugin=loader.find_plugin_class)


def load_context(
    name: str,
    *,
    config_file: str | None,
    report: Reporter,
    template: str | None = None,
    overrides: Mapping[str, str] | None = None,
    plugin: str | None = None,
) -> RunContext:
    """Return the context of an operation on this cluster.

    A cluster that exists keeps the template and the options of its start, unless the arguments say otherwise.

    Args:
        name: the name of the cluster.
        config_file: the config file as given on the command line.
        report: tells the user what is done.
        template: the cluster template, if one was named.
        overrides: options of the cluster section, and ``PLUGIN.OPTION``, from the command line.
        plugin: the name of one more plugin that must be included.
    """
    folder = ClusterFolder(home_folder(), name)
    changes = {**folder.last_overrides(), **(overrides or {})}
    settings = _load_cluster_settings(folder, config_path(config_file), template, changes, plugin)
    for warning in settings.warnings:
        report.warn(warning)
    kept = loading.complete_overrides(settings, changes)
    return _context_of_folder(folder, settings, report=report, overrides=kept, plugin=plugin)


def _load_cluster_settings(
    folder: ClusterFolder,
    path: Path | None,
    template: str | None = None,
    changes: Mapping[str, str] | None = None,
    plugin: str | None = None,
) -> Settings:
    """Read the config file for a cluster, which has the template and the options of its last start by default."""
    last = folder.last_template()
    try:
        return loading.read_config(
            path,
            template=template or last,
            template_origin=None if template or not last else Origin("last start", key=folder.name),
            plugin=plugin,
            overrides=folder.last_overrides() if changes is None else changes,
            environ=os.environ,
            find_plugin=loader.find_plugin_class,
        )
    except ConfigError as exc:
        original = original_of_copy(folder.read_json(CONFIG_COPY))
        if not original or template or (path and original == path.absolute()):
            raise
        remedy = f"{folder.name} was started with another config file: clusterctl -c {original} ..."
        raise ConfigError(exc.problems, remedy=remedy) from exc


def _context_of_folder(
    folder: ClusterFolder,
    settings: Settings,
    *,
    report: Reporter,
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
    name: str, *, config_file: str | None, template: str | None, types: str, report: Reporter
) -> Callable[[str | None], RunContext]:
    """Return a function that makes the context of each operation of a `selftest`. Its argument names one more plugin.

    Args:
        name: the name of its cluster.
        config_file: the config file as given on the command line.
        template: the cluster template whose image, network and access are used; None for the [aws] section alone.
        types: instance types of the nodes; empty for small ones.
        report: tells the user what is done.
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


def lenient_context(
    name: str, *, config_file: str | None, report: Reporter, ending: bool = False
) -> tuple[RunContext, str]:
    """Return a context to inspect or end a cluster, and a warning if the config of the cluster cannot be used.

    Then the cluster is taken as it was when it was started. The provider finds and ends every node in any case, and
    every plugin that can still be loaded is called.

    Args:
        name: the name of the cluster.
        config_file: the config file as given on the command line.
        report: called with each event.
        ending: whether nodes leave. Plugins that the config does not name any more undo their work too.
    """
    folder = ClusterFolder(home_folder(), name)
    holder = folder.last_provider() or find_provider(name)
    settings, trouble = _best_settings(folder, config_path(config_file), holder, chosen=names_config(config_file))
    if ending:
        settings = _with_former_plugins(settings, _read_copy(folder))
    provider = _make_lenient_provider(holder or provider_name(settings.cluster), settings)
    host, failures = make_lenient_plugin_host(settings, provider.facets)
    if ending and trouble:
        failures = [*settings.warnings, *failures]
    trouble = "\n".join([text for text in (trouble, *failures) if text])
    return RunContext(name, settings, provider, host, folder, make_connector(folder), report), trouble


def _read_copy(folder: ClusterFolder) -> Settings | None:
    """Return the settings with which the cluster was started, or None if this laptop has no copy of its config."""
    return loading.read_copy(
        folder.read_json(CONFIG_COPY),
        folder.path / CONFIG_COPY,
        environ=os.environ,
        find_plugin=loader.find_plugin_class,
    )


def _best_settings(
    folder: ClusterFolder, path: Path | None, holder: str | None, *, chosen: bool
) -> tuple[Settings, str]:
    """Return the settings of the config, or the nearest to them that can be had and a warning.

    Args:
        folder: the folder of the cluster.
        path: the config file.
        holder: the provider that has the nodes.
        chosen: whether the user named the config file. The default one may be another than that of the last start.
    """
    settings: Settings | None = None
    original = original_of_copy(folder.read_json(CONFIG_COPY))
    try:
        if original and not chosen and (path is None or original != path.absolute()):
            raise ConfigError(
                (f"{folder.name} was started with the config {original}",), remedy=f"name it: -c {original}"
            )
        settings = _load_cluster_settings(folder, path)
        named = provider_name(settings.cluster)
        if holder in {None, named}:
            return settings, ""
        trouble = f"it names the provider {named}, and the nodes are of {holder}"
    except ClusterctlError as exc:
        first, *more = exc.message.splitlines()
        trouble = first + (f" (and {plural(len(more), 'more problem')})" if more else "")
    copy = _read_copy(folder)
    if copy:
        return _with_account(copy, path), f"the config cannot be used, so that of the last start is: {trouble}"
    if settings:
        return settings, ""
    usable = loading.read_leniently(
        path,
        template=folder.last_template(),
        overrides=folder.last_overrides(),
        environ=os.environ,
        find_plugin=loader.find_plugin_class,
    )
    if usable:
        return usable, f"the config cannot be used as it is: {trouble}"
    built_in = loading.read_config(None, environ={}, find_plugin=loader.find_plugin_class)
    return _with_account(built_in, path), f"the config cannot be used, so its plugins are not called: {trouble}"


def _with_account(settings: Settings, path: Path | None) -> Settings:
    """Return the settings with the AWS keys of the config, if they can be read: copies have no secrets."""
    try:
        account = loading.load_aws(path, environ=os.environ)
    except ClusterctlError:
        return settings
    if "aws.aws_region_name" in settings.origins and settings.origins["aws.aws_region_name"].where == "file":
        account = account.model_copy(update={"aws_region_name": settings.aws.aws_region_name})
    return replace(settings, aws=account)


def _with_former_plugins(settings: Settings, copy: Settings | None) -> Settings:
    """Return the settings with the plugins of the last start that they do not name."""
    named = {choice.name for choice in settings.plugins}
    former = tuple(choice for choice in copy.plugins if choice.name not in named) if copy else ()
    return replace(settings, plugins=(*settings.plugins, *former))


def _make_lenient_provider(name: str, settings: Settings) -> Provider:
    """Return the provider with these settings if it takes them. Without settings it can list and end its nodes."""
    try:
        return make_provider(name, settings)
    except ClusterctlError:
        pass
    try:
        return make_provider(name)
    except ClusterctlError:  # the built-in template's, where this computer cannot have local nodes
        return make_provider(usual_provider())


def readable_contexts(names: Iterable[str], *, config_file: str | None, report: Reporter) -> list[RunContext]:
    """Return lenient contexts of these clusters. Warn of those that a newer version has written, and leave them out."""
    contexts = []
    for name in names:
        try:
            contexts.append(lenient_context(name, config_file=config_file, report=report)[0])
        except NewerFormatError as exc:
            report.warn(f"{name} is left out: {exc.message} (try: {exc.remedy})")
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
