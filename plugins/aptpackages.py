"""System packages that you name. The plugin `base` installs what all plugins ask for together."""

from __future__ import annotations

from clusterctl.api import Cluster, CommaList, Facet, Field, Plugin, PluginError, Request, Section, hookimpl


class Options(Section):
    """The options of the `aptpackages` plugin."""

    packages: CommaList = Field(
        (), description="system packages to install on every node, as apt-get takes them", examples=["git, htop"]
    )


class AptPackages(Plugin[Options]):
    """Asks for system packages."""

    needs = frozenset({Facet.MACHINE})

    @hookimpl
    def clusterctl_request(self) -> Request:
        """The packages named in the section."""
        return Request(apt=self.options.packages)

    @hookimpl
    def clusterctl_run(self, cluster: Cluster) -> None:
        """Nothing can be done here alone: say what does it."""
        raise PluginError(
            "system packages are installed when nodes join",
            remedy=f"name aptpackages in PLUGINS and run `clusterctl start {cluster.name}` again",
        )
