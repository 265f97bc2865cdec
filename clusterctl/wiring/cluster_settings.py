"""The settings of a cluster: those of its config file or, where that cannot be used, what its last start left."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl.config import loading
from clusterctl.config.ini import Origin
from clusterctl.config.remembered import original_of_copy
from clusterctl.errors import ClusterctlError, ConfigError
from clusterctl.journal import CONFIG_COPY
from clusterctl.plugin import loader
from clusterctl.text import plural
from clusterctl.wiring.local_paths import config_path, named_config
from clusterctl.wiring.settings import built_in_settings, load_aws

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clusterctl.config.settings import Settings
    from clusterctl.journal import ClusterFolder


def named_config_of(folder: ClusterFolder, config_file: str | None) -> Path | None:
    """Return the config file that was typed, else that of the last start, else that of the environment; or None."""
    remembered = folder.last_config()
    return named_config(config_file) if config_file or not remembered else Path(remembered)


def load_cluster_settings(
    folder: ClusterFolder,
    config_file: str | None,
    template: str | None = None,
    overrides: Mapping[str, str] | None = None,
    plugin: str | None = None,
) -> Settings:
    """Read the config file of a cluster. What is not given here is as at its last start.

    Args:
        folder: the folder of the cluster.
        config_file: the config file as given on the command line.
        template: the cluster template.
        overrides: options of the cluster section, and ``PLUGIN.OPTION``, from the command line.
        plugin: one more plugin that will be used.

    Raises:
        ConfigError: what the template uses has problems, or the config file of the last start is not there.
    """
    path = named_config_of(folder, config_file) or config_path(None)
    _refuse_missing(folder, config_file)
    last, typed = folder.last_template(), overrides or {}
    changes = {**folder.last_overrides(), **typed}
    try:
        return loading.read_config(
            path,
            template=template or last,
            template_origin=None if template or not last else Origin("last start", key=folder.name),
            plugin=plugin,
            overrides=changes,
            remembered=changes.keys() - typed.keys(),
            environ=os.environ,
            find_plugin=loader.find_plugin_class,
        )
    except ConfigError as exc:
        original = original_of_copy(folder.read_json(CONFIG_COPY))
        if not original or template or (path and original == path.absolute()):
            raise
        remedy = f"{folder.name} was started with another config file: clusterctl -c {original} ..."
        raise ConfigError(exc.problems, remedy=remedy) from exc


def _refuse_missing(folder: ClusterFolder, config_file: str | None) -> None:
    """Raise an error if the config file of the last start is meant, and is not there."""
    remembered = folder.last_config()
    if remembered and not config_file and not Path(remembered).exists():
        raise ConfigError(
            (f"{folder.name} was started with the config file {remembered}, which is not there",),
            remedy="name the file that has its template now: clusterctl -c FILE ...",
        )


def complete_overrides(
    folder: ClusterFolder, settings: Settings, overrides: Mapping[str, str] | None
) -> dict[str, str]:
    """Return the options of the last start and of the command line, as they can be given again: with whole paths."""
    return loading.complete_overrides(settings, {**folder.last_overrides(), **(overrides or {})})


def load_best_settings(folder: ClusterFolder, config_file: str | None, holder: str | None) -> tuple[Settings, str]:
    """Return the settings of the config, or the nearest to them that can be had and a warning.

    Args:
        folder: the folder of the cluster.
        config_file: the config file as given on the command line.
        holder: the provider that has the nodes.
    """
    settings: Settings | None = None
    named = named_config_of(folder, config_file)
    path = named or config_path(None)
    original = original_of_copy(folder.read_json(CONFIG_COPY))
    try:
        if original and not named and (path is None or original != path.absolute()):
            # The usual file is another one than that of the last start.
            raise ConfigError(
                (f"{folder.name} was started with the config {original}",), remedy=f"name it: -c {original}"
            )
        settings = load_cluster_settings(folder, config_file)
        chosen = settings.cluster.provider_name
        if holder in {None, chosen}:
            return settings, ""
        trouble = f"it names the provider {chosen}, and the nodes are of {holder}"
    except ClusterctlError as exc:
        first, *more = exc.message.splitlines()
        trouble = first + (f" (and {plural(len(more), 'more problem')})" if more else "")
    copy = read_copy(folder)
    account_file = path if path and path.exists() else config_path(None)
    if copy:
        return _with_account(copy, account_file), f"the config cannot be used, so that of the last start is: {trouble}"
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
    account = _with_account(built_in_settings(), account_file)
    return account, f"the config cannot be used, so its plugins are not called: {trouble}"


def read_copy(folder: ClusterFolder) -> Settings | None:
    """Return the settings with which the cluster was started, or None if this laptop has no copy of its config."""
    return loading.read_copy(
        folder.read_json(CONFIG_COPY),
        folder.path / CONFIG_COPY,
        environ=os.environ,
        find_plugin=loader.find_plugin_class,
    )


def _with_account(settings: Settings, path: Path | None) -> Settings:
    """Return the settings with the AWS keys of the config, if they can be read: copies have no secrets."""
    try:
        account = load_aws(path)
    except ClusterctlError:
        return settings
    if "aws.aws_region_name" in settings.origins and settings.origins["aws.aws_region_name"].where == "file":
        account = account.model_copy(update={"aws_region_name": settings.aws.aws_region_name})
    return replace(settings, aws=account)


def with_former_plugins(settings: Settings, folder: ClusterFolder) -> Settings:
    """Return the settings with the plugins of the last start that they do not name."""
    named = {choice.name for choice in settings.plugins}
    copy = read_copy(folder)
    former = tuple(choice for choice in copy.plugins if choice.name not in named) if copy else ()
    return replace(settings, plugins=(*settings.plugins, *former))
