"""Containers of a cluster: list, make, start, stop and remove them, one node at a time. provider.py has the order."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clusterctl.clock import utc_now
from clusterctl.errors import NewerFormatError, ProviderError
from clusterctl.identity.keys import new_key_pair
from clusterctl.providers.docker.engine import error_text, is_missing, translate_errors
from clusterctl.providers.docker.ports import PortAllocator, is_port_conflict
from clusterctl.providers.docker.records import (
    ALWAYS,
    LOOPBACK,
    NEVER,
    UNTIL_ITS_END,
    Container,
    Record,
    parse_container,
    sort_containers,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from docker import APIClient

    from clusterctl.providers.docker.networks import Network
    from clusterctl.providers.docker.records import Scope
    from clusterctl.secret import Secret

_PORT_TRIES = 5
_AUTHORIZED_KEYS = "root/.ssh/authorized_keys"
_STOP_S = 15
"""Seconds for the services of a node to end: more than its main process gives them."""
_GB = 10**9
_NVIDIA = Path("/dev/nvidiactl")
_MAX_PROCESSES = 16384
"""Limit of processes and threads of a node: enough for a hundred engines with a math library each, and safe for the
computer."""
_DROPPED_CAPABILITIES = ["MKNOD", "NET_RAW"]
"""Capabilities of Docker's default set that a node does not get. sshd, sudo, runuser and apt need the others."""


@dataclass(frozen=True)
class ContainerSpec:
    """The description of a container to make for a node."""

    owner: str
    cluster: str
    cluster_id: str
    alias: str
    user: str
    host_name: str
    image: str
    cores: int
    vcpus: float | None
    memory_gb: float | None
    volumes: Mapping[str, str]
    """Volumes to mount: path in the container to volume name."""
    public_key: str
    stops_itself: bool = False
    """Whether its image can end by itself."""
    gpus: bool = False
    """It has all GPUs of NVIDIA that the computer has."""


def container_name(owner: str, cluster: str, alias: str) -> str:
    """Return the container name of a node. It is unique on the engine: of two commands that make it, one fails."""
    return f"clusterctl-{owner}-{cluster}-{alias}"


def find_containers(api: APIClient, scope: Scope) -> list[Container]:
    """Return the existing containers, found by their labels, masters first.

    Raises:
        NewerFormatError: a newer version made one of this cluster. Without a cluster such containers are left out.
    """
    from docker.errors import APIError

    containers = []
    with translate_errors("list the nodes"):
        for listed in api.containers(all=True, filters=scope.filters):
            if not scope.owns(listed.get("Labels")):
                continue
            try:
                # The list does not have the start time.
                containers.append(parse_container(api.inspect_container(listed["Id"])))
            except NewerFormatError:
                if scope.cluster is not None:
                    raise
            except APIError as exc:
                if not is_missing(exc):
                    raise
    return sort_containers(containers)


def create_container(api: APIClient, wanted: ContainerSpec, *, network: Network, ports: PortAllocator) -> None:
    """Make and start the container of a node. If another program takes its port first, try again with another port.

    Raises:
        ProviderError: the engine refuses.
    """
    from docker.errors import APIError

    private, public = new_key_pair("")
    private_address = network.allocate_address()
    for attempt in range(1, _PORT_TRIES + 1):
        record = Record(
            owner=wanted.owner,
            cluster=wanted.cluster,
            alias=wanted.alias,
            user=wanted.user,
            host_key=public,
            port=ports.allocate_port(),
            address=private_address,
            cores=wanted.cores,
            image=wanted.image,
            cluster_id=wanted.cluster_id,
        )
        with translate_errors(f"make {wanted.alias} of {wanted.cluster}"):
            container_id = _create_from_record(api, wanted, record, network.name)
            api.put_archive(container_id, "/", identity_archive(private, public, wanted.public_key))
            try:
                api.start(container_id)
            except APIError as exc:
                if attempt == _PORT_TRIES or not is_port_conflict(error_text(exc)):
                    raise
                api.remove_container(container_id, v=True, force=True)
                continue
            return


def _create_from_record(api: APIClient, wanted: ContainerSpec, record: Record, network: str) -> str:
    from docker.types import LogConfig, Mount

    host = api.create_host_config(
        init=True,
        network_mode=network,
        port_bindings={22: (LOOPBACK, record.port)},
        mounts=[Mount(path, volume, type="volume") for path, volume in wanted.volumes.items()],
        tmpfs={"/run": "mode=755"},
        restart_policy={"Name": UNTIL_ITS_END if wanted.stops_itself else ALWAYS},
        shm_size=256 * 1024**2,
        pids_limit=_MAX_PROCESSES,
        cap_drop=_DROPPED_CAPABILITIES,
        log_config=LogConfig(type="json-file", config={"max-size": "5m"}),
        **resource_limits(wanted.vcpus, wanted.memory_gb),
        **gpu_requests(wanted.gpus),
    )
    endpoint = api.create_endpoint_config(aliases=[wanted.alias], ipv4_address=record.address)
    made = api.create_container(
        wanted.image,
        name=container_name(wanted.owner, wanted.cluster, wanted.alias),
        hostname=wanted.host_name,
        labels=record.to_labels(),
        ports=[22],
        host_config=host,
        networking_config=api.create_networking_config({network: endpoint}),
    )
    return str(made["Id"])


def resource_limits(vcpus: float | None, memory_gb: float | None) -> dict[str, int]:
    """Return the limits as options of Docker, without those that are not set. There is no swap beyond the memory."""
    options: dict[str, int] = {}
    if vcpus is not None:
        options["nano_cpus"] = round(vcpus * 10**9)
    if memory_gb is not None:
        options["mem_limit"] = options["memswap_limit"] = round(memory_gb * _GB)
    return options


def has_gpus(info: Mapping[str, Any]) -> bool:
    """Return whether an engine, which says this of itself, can give GPUs of NVIDIA to containers.

    Its toolkit alone says nothing of the driver. With one and without the other no container would start.
    """
    return "nvidia" in (info.get("Runtimes") or {}) and _NVIDIA.exists()


def gpu_requests(wanted: bool) -> dict[str, Any]:  # noqa: FBT001  the only argument
    """Return what asks Docker for all GPUs, as ``docker run --gpus all`` does."""
    from docker.types import DeviceRequest

    return {"device_requests": [DeviceRequest(count=-1, capabilities=[["gpu"]])]} if wanted else {}


def identity_archive(private: Secret, public: str, authorized: str) -> bytes:
    """Return a tar of the files that a node has before its first boot: its host key and the authorized key."""
    return _pack_files(
        ("etc/ssh/ssh_host_ed25519_key", private.reveal(), 0o600),
        ("etc/ssh/ssh_host_ed25519_key.pub", f"{public}\n", 0o644),
        ("root/.ssh", None, 0o700),
        (_AUTHORIZED_KEYS, f"{authorized}\n", 0o600),
    )


def _pack_files(*files: tuple[str, str | None, int]) -> bytes:
    """Return a tar of files, each given by its path, its text and its mode. One without a text is a folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, text, mode in files:
            member = tarfile.TarInfo(path)
            member.mode, member.mtime = mode, int(utc_now().timestamp())
            if text is None:
                member.type = tarfile.DIRTYPE
                tar.addfile(member)
            else:
                content = text.encode()
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def admit_key(api: APIClient, container: Container, public_key: str) -> None:
    """Let a key log in to a node, whether it runs or not.

    Raises:
        ProviderError: the engine refuses.
    """
    with translate_errors(f"let a key log in to {container.record.alias} of {container.record.cluster}"):
        packed, _ = api.get_archive(container.id, f"/{_AUTHORIZED_KEYS}")
        with tarfile.open(fileobj=io.BytesIO(b"".join(packed))) as tar:
            file = tar.extractfile(tar.next() or "")
            lines = file.read().decode("utf-8", "replace").splitlines() if file else []
        if public_key in lines:
            return
        text = "".join(f"{line}\n" for line in [*lines, public_key])
        api.put_archive(container.id, "/", _pack_files((_AUTHORIZED_KEYS, text, 0o600)))


def start_container(api: APIClient, container: Container) -> None:
    """Start a stopped node with everything it had.

    Raises:
        ProviderError: it cannot be started, for example because its port is taken.
    """
    from docker.errors import APIError

    record = container.record
    with translate_errors(f"start {record.alias} of {record.cluster}"):
        try:
            _choose_policy(api, container, UNTIL_ITS_END)
            (api.unpause if container.state == "paused" else api.start)(container.id)
        except APIError as exc:
            if not is_port_conflict(error_text(exc)):
                raise
            raise ProviderError(
                f"{record.alias} of {record.cluster} cannot have its port back: another program has taken"
                f" {LOOPBACK}:{record.port}",
                remedy=f"end that program (`ss -ltnp 'sport = :{record.port}'` names it), then start again",
            ) from exc


def stop_container(api: APIClient, container: Container) -> None:
    """Stop a node. Its services get time to end. A node that is off or gone already is success."""

    def stop_running() -> None:
        if container.state == "paused":
            api.unpause(container.id)
        _choose_policy(api, container, NEVER)
        api.stop(container.id, timeout=_STOP_S)

    _ignore_missing("stop", container, stop_running)


def _choose_policy(api: APIClient, container: Container, policy: str) -> None:
    """Have the engine start a node that stops itself again, or not: one that begins anew starts what it has stopped."""
    if container.stops_itself:
        api.update_container(container.id, restart_policy={"Name": policy})


def remove_container(api: APIClient, container: Container) -> None:
    """Remove a node for good. A node that is gone already is success."""
    _ignore_missing("remove", container, lambda: api.remove_container(container.id, v=True, force=True))


def _ignore_missing(verb: str, container: Container, act: Callable[[], None]) -> None:
    """Run `act` on a container. A container that is gone already is success."""
    from docker.errors import APIError

    with translate_errors(f"{verb} {container.record.alias} of {container.record.cluster}"):
        try:
            act()
        except APIError as exc:
            # 409: another command is removing it right now.
            if not is_missing(exc) and "already in progress" not in error_text(exc):
                raise
