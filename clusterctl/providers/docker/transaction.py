"""One attempt to bring nodes up: side by side, and undone as a whole if it fails half-way."""

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

    from clusterctl.providers.docker.containers import Wanted
    from clusterctl.providers.docker.ports import Ports
    from clusterctl.providers.docker.records import Container

T = TypeVar("T")
_THREADS = 8


class Attempt:
    """What is to be, and what was there before."""

    def __init__(self, api: APIClient, owner: str, cluster: str, there: Sequence[Container]) -> None:
        self._api = api
        self._owner = owner
        self._cluster = cluster
        self._there = there
        self._new_volumes: list[str] = []
        self._new_network = False

    def bring_up(
        self,
        wanted: Sequence[Wanted],
        stopped: Sequence[Container],
        *,
        volumes: Mapping[str, Mapping[str, str]],
        ports: Ports,
    ) -> None:
        """Make these nodes and start those that are stopped.

        Args:
            wanted: nodes to make.
            stopped: nodes to start.
            volumes: the labels of each volume that must be there, by its name.
            ports: to take from.

        Raises:
            ProviderError: it failed, and all of it was undone.
        """
        try:
            each(lambda c: containers.remove(self._api, c), [c for c in self._there if c.state in UNFINISHED])
            for volume, labels in volumes.items():
                if networks.ensure_volume(self._api, volume, dict(labels)):
                    self._new_volumes.append(volume)
            network = self._network() if wanted else None
            acts: list[Callable[[], None]] = [_starter(self._api, container) for container in stopped]
            if network:
                acts += [_maker(self._api, node, network, ports) for node in wanted]
            each(_call, acts)
        except BaseException as cause:
            self._undo({c.id for c in stopped}, cause)
            raise

    def _network(self) -> networks.Network:
        taken = [container.record.address for container in self._there]
        found = networks.find_network(self._api, self._owner, self._cluster, taken)
        if found:
            return found
        self._new_network = True
        name = f"clusterctl-{self._owner}-{self._cluster}"
        return networks.make_network(self._api, name, self._owner, self._cluster)

    def _undo(self, started: set[str], cause: BaseException) -> None:
        """Make it as it was before; what cannot be undone is noted on the error."""
        before = {container.id for container in self._there}
        try:
            now = containers.find(self._api, self._owner, self._cluster)
            each(lambda c: containers.remove(self._api, c), [c for c in now if c.id not in before])
            each(lambda c: containers.stop(self._api, c), [c for c in now if c.id in started and c.is_running])
            left = self._remove_new()
        except BaseException as exc:  # noqa: BLE001  # a second Ctrl-C included: the first cause is the one to tell
            left = [str(exc) or type(exc).__name__]
        if left and hasattr(cause, "add_note"):  # Python 3.11
            cause.add_note(
                f"not all could be undone ({', '.join(left)}): `clusterctl terminate {self._cluster}` ends what is left"
            )

    def _remove_new(self) -> list[str]:
        left = []
        if self._new_network:
            left += networks.remove_networks(self._api, self._owner, self._cluster)
        for volume in self._new_volumes:
            left += networks.remove_volume(self._api, volume)
        return left


def _call(act: Callable[[], None]) -> None:
    act()


def _starter(api: APIClient, container: Container) -> Callable[[], None]:
    return lambda: containers.start(api, container)


def _maker(api: APIClient, node: Wanted, network: networks.Network, ports: Ports) -> Callable[[], None]:
    return lambda: containers.make(api, node, network=network, ports=ports)


def each(task: Callable[[T], Any], things: Iterable[T]) -> None:
    """Do this with each, side by side, and wait for all. What has not begun at a Ctrl-C is left undone.

    Raises:
        ProviderError: the first failure; the message has the others.
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


def quietly(task: Callable[[T], Any], things: Iterable[T]) -> list[str]:
    """Do this with each, side by side; returns what failed instead of raising it."""
    failed: list[str] = []

    def one(thing: T) -> None:
        try:
            task(thing)
        except ProviderError as exc:
            failed.append(exc.message)

    each(one, things)
    return failed
