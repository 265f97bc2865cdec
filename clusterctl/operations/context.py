"""The context of an operation: wiring chooses its pieces and hands it down. All operations take the same one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from clusterctl.cluster import Cluster
from clusterctl.config.provider_options import machines
from clusterctl.events import Event, EventKind
from clusterctl.model import Machines, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from clusterctl.config.settings import Settings
    from clusterctl.journal import ClusterFolder
    from clusterctl.model import Node
    from clusterctl.plugin.host import PluginHost
    from clusterctl.providers.base import Provider
    from clusterctl.remote.base import Remote


@dataclass(frozen=True)
class Parts:
    """The context of one run of the program, for one cluster."""

    name: str
    settings: Settings
    provider: Provider
    host: PluginHost
    folder: ClusterFolder
    connector: Callable[[Node], Remote]
    report: Callable[[Event], None]
    overrides: Mapping[str, str] = field(default_factory=dict)
    """Options of the template that the command line overrides."""

    @property
    def machines(self) -> Machines:
        """The settings of every machine, from the template."""
        return machines(self.settings.cluster, self.settings.volumes)

    def say(self, text: str) -> None:
        """Report to the user the step that begins now."""
        self.report(Event(EventKind.STEP, text))

    def warn(self, text: str) -> None:
        """Warn the user of a fault that is not fatal."""
        self.report(Event(EventKind.WARNING, text))

    def with_host(self, host: PluginHost) -> Parts:
        """Return a copy with other plugins."""
        return replace(self, host=host)

    def cluster(self, nodes: Iterable[Node], request: Request | None = None) -> Cluster:
        """Return the cluster with these nodes, without any connection."""
        return Cluster(
            self.name,
            machines=self.machines,
            nodes=nodes,
            request=request or Request(),
            folder=self.folder.path,
            connector=self.connector,
            report=self.report,
            notes=self.folder.notes(),
            remember=lambda key, value: self.folder.record("note", key=key, value=value),
        )
