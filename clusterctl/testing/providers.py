"""Machines in memory: a whole cluster of them can be started, stopped, lost and ended."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from clusterctl.errors import ProviderError
from clusterctl.events import SILENT
from clusterctl.model import Facet, Node, NodeSpec, NodeState, Plan, Problem
from clusterctl.providers.images import Image, ImageSource
from clusterctl.testing.nodes import fake_node

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.events import Reporter


@dataclass
class FakeProvider:
    """Machines in memory. It keeps the promises of every provider, and can be made to break them.

    Attributes:
        facets: of every node.
        cores: of every node.
        calls: calls of the provider, such as ``create lab master node001``, oldest first.
        problems: that `check` returns.
        scarce: aliases for which `create` makes no machine.
        refusal: the error that the next `create` raises; it then makes nothing.
        stuck: aliases that `destroy` cannot end.
        machines: by cluster and alias.
        admitted: keys that were let in besides those that nodes were made with.
    """

    facets: frozenset[Facet] = frozenset({Facet.DIRECT})
    cores: int | None = 2
    name: str = "fake"
    calls: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    refusal: BaseException | None = None
    scarce: set[str] = field(default_factory=set)
    stuck: tuple[str, ...] = ()
    machines: dict[tuple[str, str], Node] = field(default_factory=dict)
    admitted: list[str] = field(default_factory=list)
    _boots: int = 0

    def check(self, plan: Plan, report: Reporter = SILENT) -> list[Problem]:
        """Return `problems`."""
        del report
        self.calls.append(f"check {plan.cluster}")
        return list(self.problems)

    def create(self, plan: Plan, *, public_key: str, report: Reporter = SILENT) -> list[Node]:
        """Make missing machines, and start stopped ones again."""
        del public_key, report
        self.calls.append(" ".join(["create", plan.cluster, *(spec.alias for spec in plan.nodes)]))
        refusal, self.refusal = self.refusal, None
        if refusal is not None:
            raise refusal
        for spec in plan.nodes:
            if spec.alias in self.scarce:
                continue
            known = self.machines.get((plan.cluster, spec.alias))
            if known is None or known.state != NodeState.RUNNING:
                self.machines[plan.cluster, spec.alias] = self._boot_machine(plan, spec)
        wanted = {spec.alias for spec in plan.nodes}
        return [node for node in self.nodes(plan.cluster) if node.alias in wanted]

    def nodes(self, cluster: str | None = None) -> list[Node]:
        """Return the machines that exist, the master first."""
        matching = [node for (name, _), node in self.machines.items() if cluster in (None, name)]
        return sorted(matching, key=lambda node: (node.cluster, not node.is_master, node.alias))

    def destroy(self, cluster: str, aliases: Sequence[str] | None = None) -> None:
        """End machines. `stuck` ones stay, and the error names them."""
        self.calls.append(" ".join(["destroy", cluster, *(aliases or ())]))
        selected = [node for node in self.nodes(cluster) if aliases is None or node.alias in aliases]
        for node in selected:
            if node.alias not in self.stuck:
                del self.machines[cluster, node.alias]
        stuck = [node.alias for node in selected if node.alias in self.stuck]
        if stuck:
            raise ProviderError(f"{', '.join(stuck)} of {cluster} cannot be ended", remedy="run `terminate` again")

    def stop(self, cluster: str) -> None:
        """Power the nodes off."""
        self.calls.append(f"stop {cluster}")
        for node in self.nodes(cluster):
            self.power_off(cluster, node.alias)

    def admit(self, cluster: str, public_key: str) -> None:
        """Let a key log in."""
        self.calls.append(f"admit {cluster}")
        self.admitted.append(public_key)

    def power_off(self, cluster: str, alias: str) -> None:
        """Stop a machine, as if it had shut down by itself; its disk stays."""
        self.machines[cluster, alias] = replace(self.machines[cluster, alias], state=NodeState.STOPPED)

    def lose(self, cluster: str, alias: str) -> None:
        """Remove a machine, as AWS removes a spot instance."""
        del self.machines[cluster, alias]

    def _boot_machine(self, plan: Plan, spec: NodeSpec) -> Node:
        self._boots += 1
        return fake_node(
            spec.alias,
            cluster=plan.cluster,
            id=f"{plan.cluster}-{spec.alias}-{self._boots}",
            boot_id=str(self._boots),
            user=plan.user or "me",
            facets=self.facets,
            cores=self.cores,
            type=spec.types[0] if spec.types else "",
            market=spec.market,
        )


@dataclass
class FakeImageProvider(FakeProvider):
    """A fake provider whose nodes start from images.

    Attributes:
        baked: the images by name.
        sources: arguments of `build_image`.
        images_of: the image that each node was made from, by alias.
    """

    baked: dict[str, Image] = field(default_factory=dict)
    sources: list[ImageSource] = field(default_factory=list)
    images_of: dict[str, str] = field(default_factory=dict)

    def create(self, plan: Plan, *, public_key: str, report: Reporter = SILENT) -> list[Node]:
        """Make missing machines, and record their images."""
        existing = {node.alias for node in self.nodes(plan.cluster)}
        self.images_of |= {spec.alias: spec.image for spec in plan.nodes if spec.alias not in existing}
        return super().create(plan, public_key=public_key, report=report)

    def find_image(self, base: str, content: str) -> str:
        """Return the name of the baked image with this content; empty if there is none."""
        return next((i.name for i in self.baked.values() if (i.base, i.content) == (base, content)), "")

    def save_image(self, cluster: str, base: str, content: str) -> str:
        """Make an image of the cluster's only node."""
        self.calls.append(f"save_image {cluster}")
        (_,) = self.nodes(cluster)
        name = f"{cluster}-{content}"
        self.baked[name] = Image(name, base=base, content=content, size_gb=1.0, made="2026-01-01T00:00:00+00:00")
        return name

    def list_images(self) -> list[Image]:
        """Return the baked images."""
        return list(self.baked.values())

    def remove_image(self, name: str) -> None:
        """Remove a baked image."""
        self.calls.append(f"remove_image {name}")
        self.baked.pop(name, None)

    def build_image(self, source: ImageSource, report: Reporter) -> str:
        """Report two lines, and record the source."""
        self.sources.append(source)
        report.detail("Step 1 of 2")
        report.detail("Step 2 of 2")
        return source.name or "usual"
