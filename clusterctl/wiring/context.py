"""The context of an operation, from the config file, the command line and the files of a cluster."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from clusterctl import planning
from clusterctl.environment import requirements
from clusterctl.environment.additions import add_requirements
from clusterctl.errors import ClusterctlError, NewerFormatError, UsageError
from clusterctl.events import Reporter
from clusterctl.journal import ClusterFolder
from clusterctl.operations.context import RunContext
from clusterctl.operations.selftest import run
from clusterctl.remote.gateways import Gateways
from clusterctl.remote.ssh import SSHRemote
from clusterctl.wiring.clusters import find_provider
from clusterctl.wiring.local_paths import config_path, home_folder
from clusterctl.wiring.owner import OwnerOfNodes
from clusterctl.wiring.providers import make_provider, usual_provider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from clusterctl.config.settings import Settings
    from clusterctl.model import Node
    from clusterctl.providers.base import Provider
    from clusterctl.wiring.plugins import Parts

_PACKAGES = "packages"
"""The plugin that installs packages, where no section is about it."""


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

    A cluster that exists keeps the config file, the template and the options of its start, unless the arguments say
    otherwise.

    Args:
        name: the name of the cluster; refused if it cannot name one.
        config_file: the config file as given on the command line.
        report: tells the user what is done.
        template: the cluster template, if one was named.
        overrides: options of the cluster section, and ``PLUGIN.OPTION``, from the command line.
        plugin: the name of one more plugin that must be included.
    """
    from clusterctl.wiring import cluster_settings, plugins  # late: see wiring/settings.py

    folder = ClusterFolder(home_folder(), planning.check_name(name))
    settings = cluster_settings.load_cluster_settings(folder, config_file, template, overrides, plugin)
    for warning in settings.warnings:
        report.warn(warning)
    kept = cluster_settings.complete_overrides(folder, settings, overrides)
    chosen = plugins.choose_parts(settings, plugin)
    context = _context_of_folder(folder, settings, chosen, report=report, overrides=kept)
    # The default file is looked up each time: it may be written, or moved with its folder, after the start.
    return replace(context, named_config=cluster_settings.named_config_of(folder, config_file))


def install_context(
    name: str, packages: Sequence[str], *, config_file: str | None, report: Reporter
) -> tuple[RunContext, str]:
    """Return the context of an `install` of these packages, and the lines that a config file would have for them.

    Args:
        name: the name of the cluster.
        packages: requirements in pip's notation.
        config_file: the config file as given on the command line.
        report: tells the user what is done.
    """
    former = load_context(name, config_file=config_file, report=Reporter(lambda _: None)).settings
    section, listed, added = _packages_of(former)
    changes = {f"{section}.added": ", ".join(add_requirements(added, packages))}
    context = load_context(name, config_file=config_file, report=report, overrides=changes)
    if section not in context.plugin_host.plugin_names:
        raise UsageError(
            f"another plugin installs the packages of {name}", remedy="add the package as that plugin's page says"
        )
    whole = ", ".join(add_requirements(listed, (*added, *packages)))
    context = replace(context, named_config=context.named_config or config_path(None))
    return context, f"[plugin {section}]\nPACKAGES = {whole}"


def _packages_of(settings: Settings) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Return the section of the plugin that installs packages, what it lists, and what was added to the cluster."""
    named = (choice for choice in settings.plugins if hasattr(choice.options, "added"))
    choice = next(named, settings.all_plugins.get(_PACKAGES))
    if choice is None:
        return _PACKAGES, (), ()
    lists = [getattr(choice.options, option) for option in ("packages", "added")]
    return choice.name, requirements.whole(lists[0]), requirements.whole(lists[1])


def _context_of_folder(
    folder: ClusterFolder,
    settings: Settings,
    chosen: Parts,
    *,
    report: Reporter,
    overrides: Mapping[str, str],
) -> RunContext:
    return RunContext(
        name=folder.name,
        settings=settings,
        provider=chosen.provider,
        plugin_host=chosen.plugin_host,
        folder=folder,
        connector=make_connector(folder),
        report=report,
        overrides=overrides,
        notes=(*settings.notes, *chosen.idle),
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
    from clusterctl.wiring import plugins, settings  # late: see wiring/settings.py

    path = config_path(config_file)

    def settings_with(changes: Mapping[str, str]) -> Settings:
        if template:
            return settings.load_settings(path, template, changes)
        return replace(settings.load_settings(None, None, changes), aws=settings.load_aws(path))

    changes = run.smallest_cluster_options(types, arch=settings_with({"provider": "ec2"}).cluster.arch)
    chosen = settings_with(changes)
    folder = ClusterFolder(home_folder(), name)
    return lambda plugin: _context_of_folder(
        folder, chosen, plugins.choose_parts(chosen, plugin), report=report, overrides=changes
    )


def own_sizes(config_file: str | None) -> Mapping[str, tuple[str, ...]]:
    """Return what the config file calls sizes of nodes: instance types by names in lower case.

    Raises:
        ConfigError: its [sizes] are wrong.
    """
    from clusterctl.wiring import settings  # late: see there

    return settings.load_sizes(config_path(config_file))


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
    from clusterctl.wiring import cluster_settings, plugins  # late: see wiring/settings.py

    folder = ClusterFolder(home_folder(), name)
    holder = folder.last_provider() or find_provider(name)
    settings, trouble = cluster_settings.load_best_settings(folder, config_file, holder)
    if ending:
        settings = cluster_settings.with_former_plugins(settings, folder)
    provider = _make_lenient_provider(holder or settings.cluster.provider_name, settings)
    host, failures = plugins.make_lenient_plugin_host(settings, provider.facets)
    if ending and trouble:
        failures = [*settings.warnings, *failures]
    trouble = "\n".join([text for text in (trouble, *failures) if text])
    context = RunContext(name, settings, provider, host, folder, make_connector(folder), report)
    return replace(context, named_config=cluster_settings.named_config_of(folder, config_file)), trouble


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
    owner = OwnerOfNodes(folder)
    return lambda node: SSHRemote(
        node,
        key=folder.private_key_file,
        known_hosts=folder.known_hosts_file,
        log=folder.log_file(node.alias),
        gateways=gateways,
        owner=owner.current,
    )
