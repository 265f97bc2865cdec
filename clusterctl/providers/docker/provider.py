"""The `docker` provider: the order of things. What it makes is found again by labels, and by nothing else."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from clusterctl.errors import ProviderError
from clusterctl.providers.base import ignore, machine_layout
from clusterctl.providers.docker import checks, containers, images, networks
from clusterctl.providers.docker.containers import Wanted
from clusterctl.providers.docker.engine import Engine, asking
from clusterctl.providers.docker.images import NODE_IMAGE
from clusterctl.providers.docker.ports import Ports
from clusterctl.providers.docker.records import FACETS, UNFINISHED
from clusterctl.providers.docker.transaction import Attempt, each, quietly

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from docker import APIClient

    from clusterctl.model import Node, NodeSpec, Plan, Problem
    from clusterctl.providers.base import Image, ImageSource, Report

_TRIES, _BETWEEN_S = 10, 0.3


class DockerProvider:
    """Makes a container for each node. Implements `Provider`, `Power`, `Images` and `BaseImages`."""

    name = "docker"
    facets = FACETS

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        owner: str,
        cache: str = "",
        dns_prefix: bool = False,
        image: str = NODE_IMAGE,
    ) -> None:
        """Work with the engine that `environ` names.

        Args:
            environ: DOCKER_HOST and what else Docker's own tools read.
            owner: whose nodes; those of others are not seen. Letters, digits, ``.``, ``_`` and ``-``.
            cache: who else shares downloads and environments, which outlive clusters; default: nobody but the owner.
            dns_prefix: host names begin with the cluster's name.
            image: what nodes are made of where their plan names nothing.
        """
        self._engine = Engine(environ)
        self._owner = owner
        self._dns_prefix = dns_prefix
        self._image = image
        self._cache = f"clusterctl-{cache or owner}-cache"

    def check(self, plan: Plan) -> list[Problem]:
        """What would stop this plan. Changes nothing."""
        problems = checks.of_plan(plan)
        trouble = self._engine.trouble()
        if trouble:
            return [*problems, trouble]
        api = self._engine.api
        problems += checks.of_limits(plan, _cores(api))
        problems += checks.of_images(api, {spec.image or self._image for spec in plan.nodes}, usual=self._image)
        there = containers.find(api, self._owner, plan.cluster) if plan.volumes else []
        return problems + checks.of_mounts(plan, there)

    def create(self, plan: Plan, *, public_key: str, report: Report = ignore) -> list[Node]:
        """Start the nodes of `plan` that do not run, with the addresses, port and host key that they had before."""
        del report  # it takes seconds
        api = self._engine.api
        everybody = containers.find(api, self._owner)
        there = [container for container in everybody if container.record.cluster == plan.cluster]
        usable = {c.record.alias: c for c in there if c.state not in UNFINISHED}
        aliases = {spec.alias for spec in plan.nodes}
        missing = [spec for spec in plan.nodes if spec.alias not in usable]
        stopped = [c for alias, c in usable.items() if alias in aliases and not c.is_running]
        if missing or stopped:
            ports = Ports(container.record.port for container in everybody)
            wanted = [self._wanted(plan, spec, public_key, cores=_cores(api)) for spec in missing]
            volumes = {
                self._home(plan.cluster): networks.labels(self._owner, plan.cluster),
                self._cache: networks.kept_labels(self._cache),
                **{volume.id: networks.kept_labels(volume.name) for volume in plan.volumes},
            }
            attempt = Attempt(api, self._owner, plan.cluster, there)
            attempt.bring_up(wanted, stopped, volumes=volumes, ports=ports)
            there = containers.find(api, self._owner, plan.cluster)
        return [container.node() for container in there if container.record.alias in aliases]

    def nodes(self, cluster: str | None = None) -> list[Node]:
        """The nodes that have a container, asked of the engine."""
        return [container.node() for container in containers.find(self._engine.api, self._owner, cluster)]

    def destroy(self, cluster: str, aliases: Sequence[str] | None = None) -> None:
        """End these nodes, or the whole cluster with its network and home. Volumes that were named stay."""
        api = self._engine.api
        left: list[str] = []
        for attempt in range(_TRIES):
            if attempt:
                threading.Event().wait(_BETWEEN_S)  # the engine lets go of networks and volumes a moment later
            left = self._remove(api, cluster, aliases)
            if not left:
                return
        raise ProviderError(
            f"not all of {cluster} could be removed: {', '.join(left)}",
            remedy=f"run `clusterctl terminate {cluster}` again; `docker ps -a` shows who still uses it",
        )

    def stop(self, cluster: str) -> None:
        """Power the nodes off, keep their disks."""
        api = self._engine.api
        running = [container for container in containers.find(api, self._owner, cluster) if container.is_running]
        # The master last: it hears the others say goodbye.
        for last in (False, True):
            each(lambda container: containers.stop(api, container), [c for c in running if c.is_master == last])

    def image(self, base: str, content: str) -> str:
        """The name of the baked image of this content; empty without one."""
        return images.baked(self._engine.api, base or self._image, content)

    def save_image(self, cluster: str, base: str, content: str) -> str:
        """Make an image of the cluster's only node, which is stopped for it."""
        api = self._engine.api
        (builder,) = containers.find(api, self._owner, cluster)
        containers.stop(api, builder)
        return images.save(api, builder, base=base or self._image, content=content)

    def images(self) -> list[Image]:
        """The baked images that there are, whoever made them."""
        return images.all_baked(self._engine.api)

    def remove_image(self, name: str) -> None:
        """Delete a baked image."""
        images.remove(self._engine.api, name)

    def build_image(self, source: ImageSource, report: Callable[[str], None]) -> str:
        """Make the image that nodes start from."""
        return images.build(self._engine.api, source, report=report, usual=self._image)

    def _wanted(self, plan: Plan, spec: NodeSpec, public_key: str, *, cores: int) -> Wanted:
        share = max(1, cores // len(plan.nodes))
        prefix = f"{plan.cluster.replace('_', '-')}-" if self._dns_prefix else ""
        kept = {str(volume.mount_path): volume.id for volume in plan.volumes}
        return Wanted(
            owner=self._owner,
            cluster=plan.cluster,
            alias=spec.alias,
            user=plan.user,
            host_name=f"{prefix}{spec.alias}",
            image=spec.image or self._image,
            cores=share if spec.vcpus is None else max(1, int(spec.vcpus)),
            vcpus=spec.vcpus,
            memory_gb=spec.memory_gb,
            volumes={"/home": self._home(plan.cluster), str(machine_layout("").cache): self._cache, **kept},
            public_key=public_key,
        )

    def _home(self, cluster: str) -> str:
        return f"clusterctl-{self._owner}-{cluster}-home"

    def _remove(self, api: APIClient, cluster: str, aliases: Sequence[str] | None) -> list[str]:
        """One try; returns what is left, and why."""
        there = containers.find(api, self._owner, cluster)
        doomed = [c for c in there if aliases is None or c.record.alias in aliases]
        left = quietly(lambda container: containers.remove(api, container), doomed)
        if aliases is None:
            left += networks.remove_networks(api, self._owner, cluster)
            left += networks.remove_home(api, self._owner, cluster)
        return left


def _cores(api: APIClient) -> int:
    with asking("say what it runs on"):
        return int(api.info()["NCPU"])
