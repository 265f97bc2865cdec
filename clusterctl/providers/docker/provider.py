"""The `docker` provider: the order of the steps. What it makes is found again by its labels alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clusterctl.clock import pause
from clusterctl.errors import ProviderError
from clusterctl.events import SILENT
from clusterctl.providers.base import machine_layout
from clusterctl.providers.docker import checks, containers, images, networks
from clusterctl.providers.docker.containers import ContainerSpec
from clusterctl.providers.docker.engine import Engine, translate_errors
from clusterctl.providers.docker.images import NODE_IMAGE
from clusterctl.providers.docker.ports import PortAllocator
from clusterctl.providers.docker.records import FACETS, ID, UNFINISHED, Scope
from clusterctl.providers.docker.transaction import Transaction, collect_failures, run_parallel
from clusterctl.providers.namesakes import describe_namesake, group_nodes, unproven_error
from clusterctl.providers.outliving import KeptHome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from docker import APIClient

    from clusterctl.events import Reporter
    from clusterctl.model import Node, NodeSpec, Plan, Problem
    from clusterctl.providers.base import Journal, Namesake
    from clusterctl.providers.docker.records import Container
    from clusterctl.providers.images import Image, ImageSource

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
        journal: Callable[[str], Journal],
        cache: str = "",
        dns_prefix: bool = False,
        image: str = NODE_IMAGE,
    ) -> None:
        """Work with the engine that `environ` names.

        Args:
            environ: the variables that Docker's own tools read, such as DOCKER_HOST.
            owner: the owner of the nodes; nodes of other owners are not seen. Letters, digits, ``.``, ``_``, ``-``.
            journal: returns the journal of a cluster, by its name.
            cache: the name under which downloads and environments are shared; they outlive clusters. Default: owner.
            dns_prefix: put the cluster's name before the host names.
            image: the image of nodes whose plan names none.
        """
        self._engine = Engine(environ)
        self._owner = owner
        self._journal = journal
        self._dns_prefix = dns_prefix
        self._image = image
        self._cache = f"clusterctl-{cache or owner}-cache"

    def check(self, plan: Plan, report: Reporter = SILENT) -> list[Problem]:
        """Return the problems that would stop this plan. Changes nothing."""
        del report
        problems = checks.check_plan(plan)
        trouble = self._engine.find_problem()
        if trouble:
            return [*problems, trouble]
        api = self._engine.api
        problems += checks.check_limits(plan, int(_engine_info(api)["NCPU"]))
        problems += checks.check_images(api, {spec.image or self._image for spec in plan.nodes}, default=self._image)
        existing = containers.find_containers(api, self._scope(plan.cluster)) if plan.volumes else []
        return problems + checks.check_mounts(plan, existing)

    def create(self, plan: Plan, *, public_key: str, report: Reporter = SILENT) -> list[Node]:
        """Start the nodes of `plan` that do not run. They keep their addresses, port and host key."""
        del report  # it takes seconds
        api = self._engine.api
        own_id = self._journal(plan.cluster).ensure_id()
        all_containers = containers.find_containers(api, Scope(self._owner))
        _refuse_namesakes(plan.cluster, own_id, all_containers)
        existing = containers.find_containers(api, Scope(self._owner, plan.cluster, own_id))
        # A cluster that was taken over keeps the owner that it had.
        scope = Scope(existing[0].record.owner if existing else self._owner, plan.cluster, own_id)
        usable = {c.record.alias: c for c in existing if c.state not in UNFINISHED}
        aliases = {spec.alias for spec in plan.nodes}
        missing = [spec for spec in plan.nodes if spec.alias not in usable]
        stopped = [c for alias, c in usable.items() if alias in aliases and not c.is_running]
        if missing or stopped:
            ports = PortAllocator(container.record.port for container in [*all_containers, *existing])
            wanted = self._container_specs(plan, missing, public_key, scope, api) if missing else []
            volumes = {
                _home_volume(scope): scope.labels,
                self._cache: networks.kept_labels(self._cache),
                **{volume.id: networks.kept_labels(volume.name) for volume in plan.volumes},
            }
            attempt = Transaction(api, scope, existing)
            attempt.provision(wanted, stopped, volumes=volumes, ports=ports)
            existing = containers.find_containers(api, scope)
        return [container.to_node() for container in existing if container.record.alias in aliases]

    def nodes(self, cluster: str | None = None) -> list[Node]:
        """Return the nodes that have a container, as the engine knows them now."""
        scope = Scope(self._owner) if cluster is None else self._scope(cluster)
        return [container.to_node() for container in containers.find_containers(self._engine.api, scope)]

    def namesakes(self, cluster: str) -> list[Namesake]:
        """Return all of this owner that has the name of this cluster, by its id."""
        scope = Scope(self._owner, cluster)
        return group_nodes(container.to_node() for container in containers.find_containers(self._engine.api, scope))

    def find_anybodys(self, cluster: str) -> list[Node]:
        """Return all nodes of this name on the engine, whoever made them. Who may use the engine may take them over."""
        scope = Scope(None, cluster)
        return [container.to_node() for container in containers.find_containers(self._engine.api, scope)]

    def admit(self, cluster: str, public_key: str) -> None:
        """Let a key log in to all nodes."""
        scope = self._prove(cluster)
        for container in containers.find_containers(self._engine.api, scope) if scope else ():
            containers.admit_key(self._engine.api, container, public_key)

    def destroy(self, cluster: str, aliases: Sequence[str] | None = None) -> None:
        """Remove these nodes, or the whole cluster with its network and home. Named volumes stay."""
        api = self._engine.api
        scope = self._prove(cluster)
        leftovers: list[str] = []
        for attempt in range(_TRIES):
            if attempt:
                pause(_BETWEEN_S)  # the engine releases networks and volumes a moment later
            leftovers = _remove_once(api, scope, aliases) if scope else []
            if not leftovers:
                return
        raise ProviderError(
            f"not all of {cluster} could be removed: {', '.join(leftovers)}",
            remedy=f"run `clusterctl terminate {cluster}` again; `docker ps -a` shows who still uses it",
        )

    def stop(self, cluster: str) -> None:
        """Stop the nodes and keep their disks."""
        api = self._engine.api
        scope = self._prove(cluster)
        existing = containers.find_containers(api, scope) if scope else []
        running = [container for container in existing if container.is_running]
        # The master last: the others report to it when they stop.
        for last in (False, True):
            run_parallel(
                lambda container: containers.stop_container(api, container), [c for c in running if c.is_master == last]
            )

    def find_home(self, cluster: str) -> KeptHome | None:
        """Return the volume with the homes, which all containers have and none takes with it."""
        scope = self._scope(cluster)
        names = networks.find_homes(self._engine.api, scope) if scope.id else []
        return KeptHome(f"the volume {names[0]} with its home") if names else None

    def find_image(self, base: str, content: str) -> str:
        """Return the name of the baked image of this content; empty if there is none."""
        return images.find_baked(self._engine.api, base or self._image, content)

    def save_image(self, cluster: str, base: str, content: str) -> str:
        """Make an image of the cluster's only node. The node is stopped for this."""
        api = self._engine.api
        (builder,) = containers.find_containers(api, self._scope(cluster))
        containers.stop_container(api, builder)
        return images.save_baked(api, builder, base=base or self._image, content=content)

    def list_images(self) -> list[Image]:
        """Return the baked images of all owners."""
        return images.list_baked(self._engine.api)

    def remove_image(self, name: str) -> None:
        """Delete a baked image."""
        images.remove_baked(self._engine.api, name)

    def build_image(self, source: ImageSource, report: Reporter) -> str:
        """Build the image that nodes start from."""
        return images.build_node_image(self._engine.api, source, report=report, default=self._image)

    def _scope(self, cluster: str) -> Scope:
        return Scope(self._owner, cluster, self._journal(cluster).cluster_id)

    def _prove(self, cluster: str) -> Scope | None:
        """Return what is to end or change; None if there is nothing of that name.

        Raises:
            UnprovenError: its id is not known here, and something has its name.
        """
        scope = self._scope(cluster)
        if scope.id:
            return scope
        if named := self.namesakes(cluster):
            raise unproven_error(cluster, named)
        return None

    def _container_specs(
        self, plan: Plan, specs: Sequence[NodeSpec], public_key: str, scope: Scope, api: APIClient
    ) -> list[ContainerSpec]:
        """Return what containers are made by. The engine is asked once, and once for each image."""
        info = _engine_info(api)
        made = [self._container_spec(plan, spec, public_key, scope, info) for spec in specs]
        names = {spec.image for spec in made}
        stops = {name: images.can_stop_itself(images.find_image(api, name) or {}) for name in names}
        return [replace(spec, stops_itself=stops[spec.image]) for spec in made]

    def _container_spec(
        self, plan: Plan, spec: NodeSpec, public_key: str, scope: Scope, info: Mapping[str, Any]
    ) -> ContainerSpec:
        share = max(1, int(info["NCPU"]) // len(plan.nodes))
        prefix = f"{plan.cluster.replace('_', '-')}-" if self._dns_prefix else ""
        kept = {str(volume.mount_path): volume.id for volume in plan.volumes}
        return ContainerSpec(
            owner=scope.owner or self._owner,
            cluster=plan.cluster,
            cluster_id=scope.id,
            alias=spec.alias,
            user=plan.user,
            host_name=f"{prefix}{spec.alias}",
            image=spec.image or self._image,
            cores=share if spec.vcpus is None else max(1, int(spec.vcpus)),
            vcpus=spec.vcpus,
            memory_gb=spec.memory_gb,
            volumes={"/home": _home_volume(scope), str(machine_layout("").cache): self._cache, **kept},
            public_key=public_key,
            gpus=containers.has_gpus(info),
        )


def _home_volume(scope: Scope) -> str:
    return f"clusterctl-{scope.owner}-{scope.cluster}-home"


def _refuse_namesakes(cluster: str, own_id: str, existing: Sequence[Container]) -> None:
    """Raise an error if this owner has containers of the same name that are another cluster's."""
    own = Scope("", cluster, own_id)
    named = [container for container in existing if container.record.cluster == cluster]
    others = [container.to_node() for container in named if not own.owns({ID: container.record.cluster_id})]
    if others:
        raise ProviderError(
            f"{cluster} is there already: {describe_namesake(group_nodes(others)[0])}",
            remedy=f"choose another name; if it is yours, `clusterctl attach {cluster}` takes it over where this"
            " computer has lost its files",
        )


def _remove_once(api: APIClient, scope: Scope, aliases: Sequence[str] | None) -> list[str]:
    """Try once to remove everything. Return what is left, with the reasons."""
    existing = containers.find_containers(api, scope)
    to_remove = [c for c in existing if aliases is None or c.record.alias in aliases]
    leftovers = collect_failures(lambda container: containers.remove_container(api, container), to_remove)
    if aliases is None:
        leftovers += networks.remove_networks(api, scope)
        leftovers += networks.remove_home(api, scope)
    return leftovers


def _engine_info(api: APIClient) -> Mapping[str, Any]:
    with translate_errors("say what it runs on"):
        info: Mapping[str, Any] = api.info()
        return info
