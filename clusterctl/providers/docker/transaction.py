"""Starts nodes in parallel, and undoes all of it if a part fails."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from clusterctl.errors import ProviderError
from clusterctl.providers.docker import containers, networks
from clusterctl.providers.docker.records import UNFINISHED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from docker import APIClient

    from clusterctl.providers.docker.containers import ContainerSpec
    from clusterctl.providers.docker.ports import PortAllocator
    from clusterctl.providers.docker.records import Container, Scope

T = TypeVar("T")
_THREADS = 8


class Transaction:
    """Creates and starts nodes of one cluster, and knows what existed before."""

    def __init__(self, api: APIClient, scope: Scope, existing: Sequence[Container]) -> None:
        self._api = api
        self._scope = scope
        self._existing = existing
        self._new_volumes: list[str] = []
        self._new_network = False

    def provision(
        self,
        wanted: Sequence[ContainerSpec],
        stopped: Sequence[Container],
        *,
        volumes: Mapping[str, Mapping[str, str]],
        ports: PortAllocator,
    ) -> None:
        """Make the new nodes and start the stopped ones.

        Args:
            wanted: the nodes to make.
            stopped: the nodes to start.
            volumes: the labels of each volume that must exist, by volume name.
            ports: the source of free ports.

        Raises:
            ProviderError: a step failed, and all steps were undone.
        """
        try:
            run_parallel(
                lambda c: containers.remove_container(self._api, c),
                [c for c in self._existing if c.state in UNFINISHED],
            )
            for volume, labels in volumes.items():
                if networks.ensure_volume(self._api, volume, dict(labels)):
                    self._new_volumes.append(volume)
            network = self._ensure_network() if wanted else None
            actions: list[Callable[[], None]] = [_start_action(self._api, container) for container in stopped]
            if network:
                actions += [_make_action(self._api, node, network, ports) for node in wanted]
            run_parallel(_call_action, actions)
        except BaseException as cause:
            self._roll_back({c.id for c in stopped}, cause)
            raise

    def _ensure_network(self) -> networks.Network:
        taken = [container.record.address for container in self._existing]
        name = f"clusterctl-{self._scope.owner}-{self._scope.cluster}"
        network = networks.find_network(self._api, name, self._scope, taken)
        if network:
            return network
        self._new_network = True
        return networks.make_network(self._api, name, self._scope)

    def _roll_back(self, started: set[str], cause: BaseException) -> None:
        """Restore the state from before. What cannot be undone is noted on the error."""
        before = {container.id for container in self._existing}
        try:
            current = containers.find_containers(self._api, self._scope)
            run_parallel(
                lambda c: containers.remove_container(self._api, c), [c for c in current if c.id not in before]
            )
            run_parallel(
                lambda c: containers.stop_container(self._api, c),
                [c for c in current if c.id in started and c.is_running],
            )
            left = self._remove_new_resources()
        except BaseException as exc:  # noqa: BLE001  # a second Ctrl-C included: the first cause is reported
            left = [str(exc) or type(exc).__name__]
        if left and hasattr(cause, "add_note"):  # Python 3.11
            command = f"`clusterctl terminate {self._scope.cluster}` ends what is left"
            cause.add_note(f"not all could be undone ({', '.join(left)}): {command}")

    def _remove_new_resources(self) -> list[str]:
        left = []
        if self._new_network:
            left += networks.remove_networks(self._api, self._scope)
        for volume in self._new_volumes:
            left += networks.remove_volume(self._api, volume)
        return left


def _call_action(action: Callable[[], None]) -> None:
    action()


def _start_action(api: APIClient, container: Container) -> Callable[[], None]:
    return lambda: containers.start_container(api, container)


def _make_action(
    api: APIClient, node: ContainerSpec, network: networks.Network, ports: PortAllocator
) -> Callable[[], None]:
    return lambda: containers.create_container(api, node, network=network, ports=ports)


def run_parallel(task: Callable[[T], Any], things: Iterable[T]) -> None:
    """Run a task for all things in parallel, and wait for all. After Ctrl-C no further task begins.

    Raises:
        ProviderError: at least one task failed; the message has all failures.
    """
    todo = list(things)
    if not todo:
        return
    pool = ThreadPoolExecutor(min(_THREADS, len(todo)))
    try:
        futures = [pool.submit(task, thing) for thing in todo]
        failed = [error for future in futures if (error := future.exception())]
    finally:
        pool.shutdown(cancel_futures=True)
    first = next((error for error in failed if not isinstance(error, ProviderError)), None)
    if first is not None:
        raise first
    if failed:
        known = [error for error in failed if isinstance(error, ProviderError)]
        raise ProviderError("\n".join(dict.fromkeys(error.message for error in known)), remedy=known[0].remedy)


def collect_failures(task: Callable[[T], Any], things: Iterable[T]) -> list[str]:
    """Run a task for all things in parallel. Return the messages of the failures instead of raising them."""
    failed: list[str] = []

    def run_task(thing: T) -> None:
        try:
            task(thing)
        except ProviderError as exc:
            failed.append(exc.message)

    run_parallel(run_task, things)
    return failed
