"""Settings from the config file, this computer's environment, and the plugins that are installed.

The models of all options take as long to load as everything else that a command needs. So the rest of wiring imports
this module when a command asks for settings: `--help` of a command and a TAB never do.
`python tests/benchmarks/startup.py` shows what each costs.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from clusterctl.config import loading
from clusterctl.plugin import loader

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from clusterctl.config.settings import AwsSection, HostSection, Settings


def load_settings(
    path: Path | None, template: str | None = None, overrides: Mapping[str, str] | None = None
) -> Settings:
    """Read the config file. Raise ConfigError with all problems of what the template uses.

    Args:
        path: the config file; None for the built-in template.
        template: the cluster template; None for the default of the file.
        overrides: options of the cluster section, and ``PLUGIN.OPTION``, that were given to a command.
    """
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


def built_in_settings() -> Settings:
    """Return the settings of the built-in template, whatever the config file and the environment say."""
    return loading.read_config(None, environ={}, find_plugin=loader.find_plugin_class)


def read_hosts(path: Path | None) -> tuple[Mapping[str, HostSection], tuple[str, ...]]:
    """Return the [host NAME] sections of a config file, and the HOSTS of all its templates; of no file: none."""
    if path is None or not path.exists():
        return {}, ()
    return loading.read_hosts(path, environ=os.environ, find_plugin=loader.find_plugin_class)


def load_sizes(path: Path | None) -> Mapping[str, tuple[str, ...]]:
    """Return the [sizes] of the config file: instance types by names in lower case."""
    return loading.load_sizes(path) if path is not None and path.exists() else {}


def load_aws(path: Path | None) -> AwsSection:
    """Return the [aws] section of the config file alone, with the environment."""
    return loading.load_aws(path, environ=os.environ)
