"""The context of an operation: wiring chooses its pieces and hands it down. All operations take the same one."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from clusterctl.cluster_nodes import Cluster
from clusterctl.model import Machines, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from clusterctl.config.settings import Settings
    from clusterctl.events import Reporter
    from clusterctl.journal import ClusterFolder
    from clusterctl.model import Node
    from clusterctl.plugin.host import PluginHost
    from clusterctl.providers.base import Provider
    from clusterctl.remote.base import Remote


@dataclass(frozen=True)
class RunContext:
    """The context of one run of the program, for one cluster."""

    name: str
    settings: Settings
    provider: Provider
    plugin_host: PluginHost
    folder: ClusterFolder
    connector: Callable[[Node], Remote]
    report: Reporter
    overrides: Mapping[str, str] = field(default_factory=dict)
    """Options of the template that the command line overrides."""
    notes: tuple[str, ...] = ()
    """What the user should know of the settings: options and plugins that have no effect on such nodes."""
    named_config: Path | None = None
    """The config file, where it is not the usual one; the cluster remembers it."""

    @property
    def machines(self) -> Machines:
        """The settings of every machine, from the template."""
        return self.settings.machines

    @property
    def provider_name(self) -> str:
        """The provider that the template names or implies."""
        return self.settings.cluster.provider_name

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock of the cluster's folder, and mend what a crash or a full disk has left in it.

        Raises:
            StateError: another process holds the lock, or the folder cannot be written.
        """
        with self.folder.exclusive_lock():
            for done in self.folder.set_aside_broken():
                self.report.warn(done)
            yield

    @contextmanager
    def forget_on_failure(self, *, new: bool) -> Iterator[None]:
        """Delete the cluster's folder if the block fails and the cluster is new: nothing was made of it yet."""
        try:
            yield
        except BaseException:
            if new:
                self.folder.delete_folder()
            raise

    def warn_of(self, trouble: str) -> None:
        """Warn the user of each line of a text; of nothing if it is empty."""
        for line in trouble.splitlines():
            self.report.warn(line)

    def with_plugins(self, host: PluginHost) -> RunContext:
        """Return a copy with other plugins."""
        return replace(self, plugin_host=host)

    def make_cluster(self, nodes: Iterable[Node], request: Request | None = None) -> Cluster:
        """Return the cluster with these nodes, without any connection."""
        return Cluster(
            self.name,
            machines=self.machines,
            nodes=nodes,
            request=request or Request(),
            folder=self.folder.path,
            connector=self.connector,
            report=self.report,
            notes=self.folder.plugin_notes(),
            cluster_id=lambda: self.folder.cluster_id,
            remember=lambda key, value: self.folder.record("note", key=key, value=value),
        )
