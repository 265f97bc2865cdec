"""The context of an operation, from the config file, the command line and the files of a cluster."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl import planning
from clusterctl.errors import ClusterctlError, ConfigError
from clusterctl.journal import ClusterFolder
from clusterctl.operations.context import RunContext
from clusterctl.operations.selftest import run
from clusterctl.remote.gateways import Gateways
from clusterctl.remote.ssh import SSHRemote
from clusterctl.wiring.clusters import find_provider
from clusterctl.wiring.local_paths import config_path, home_folder, named_config
from clusterctl.wiring.providers import make_provider

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from clusterctl.config.settings import Settings
    from clusterctl.events import Event
    from clusterctl.model import Node


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

    A cluster that exists keeps the config file, the template and the options of its start, unless the arguments say
    otherwise.

    Args:
        name: the name of the cluster; refused if it cannot name one.
        config_file: the config file as given on the command line.
        report: called with each event.
        template: the cluster template, if one was named.
        overrides: options of the cluster section, and ``PLUGIN.OPTION``, from the command line.
        plugin: the name of one more plugin that must be included.
    """
    from clusterctl.wiring import settings as config  # late: see there

    folder = ClusterFolder(home_folder(), planning.check_name(name))
    typed = {**(overrides or {}), **({"template": template} if template else {})}
    changes = {**folder.last_overrides(), **(overrides or {})}
    settings = config.load_settings(
        _config_of_cluster(folder, config_file),
        template or folder.last_template(),
        changes,
        remembered={"template", *changes} - set(typed),
    )
    context = _context_of_folder(folder, settings, report=report, overrides=changes, plugin=plugin)
    # The default file is looked up each time: it may be written, or moved with its folder, after the start.
    return replace(context, named_config=settings.path if named_config(config_file) or folder.last_config() else None)


def _config_of_cluster(folder: ClusterFolder, config_file: str | None) -> Path | None:
    """Return the config file that was typed, else the one that the cluster was started with, else the usual one."""
    remembered = folder.last_config()
    if config_file or not remembered:
        return config_path(config_file)
    if not Path(remembered).exists():
        raise ConfigError(
            (f"{folder.name} was started with the config file {remembered}, which is not there",),
            remedy="name the file that has its template now: clusterctl -c FILE ...",
        )
    return Path(remembered)


def _context_of_folder(
    folder: ClusterFolder,
    settings: Settings,
    *,
    report: Callable[[Event], None],
    overrides: Mapping[str, str],
    plugin: str | None,
) -> RunContext:
    from clusterctl.wiring import plugins  # late, as settings are

    owner = make_provider(plugins.provider_of(settings), settings)
    return RunContext(
        name=folder.name,
        settings=settings,
        provider=owner,
        plugin_host=plugins.make_plugin_host(settings, owner.facets, plugin),
        folder=folder,
        connector=make_connector(folder),
        report=report,
        overrides=overrides,
        notes=(*settings.notes, *plugins.idle_plugins(settings, owner.facets)),
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
    from clusterctl.wiring import settings as config  # late: see there

    path = config_path(config_file)

    def settings_with(changes: Mapping[str, str]) -> Settings:
        if template:
            return config.load_settings(path, template, changes)
        return replace(config.load_settings(None, None, changes), aws=config.load_aws(path))

    changes = run.smallest_cluster_options(types, arch=settings_with({"provider": "ec2"}).cluster.arch)
    settings = settings_with(changes)
    folder = ClusterFolder(home_folder(), name)
    return lambda plugin: _context_of_folder(folder, settings, report=report, overrides=changes, plugin=plugin)


def lenient_context(name: str, *, config_file: str | None, report: Callable[[Event], None]) -> tuple[RunContext, str]:
    """Return a context to inspect or end a cluster, and the error in config, environment or plugin, if there is one.

    With such an error no plugin of the user is called. The provider still finds and ends every node.
    """
    from clusterctl.wiring import plugins, settings  # late: see there

    folder = ClusterFolder(home_folder(), name)
    holder = folder.last_provider() or find_provider(name)
    try:
        context = load_context(name, config_file=config_file, report=report)
        if holder in {None, context.provider_name}:
            return context, ""
        # Its files are lost, or the config names another provider by now. The one with the nodes can still end them.
        owner = make_provider(holder or "", context.settings)
        host = plugins.make_plugin_host(context.settings, owner.facets)
        return replace(context, provider=owner, plugin_host=host), ""
    except ClusterctlError as exc:
        built_in = settings.built_in_settings()
        owner = make_provider(holder or "local")
        host = plugins.make_plugin_host(built_in, owner.facets)
        return RunContext(name, built_in, owner, host, folder, make_connector(folder), report), exc.message


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
