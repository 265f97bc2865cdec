"""`report`: what somebody needs who helps with a cluster, in one archive, without secrets."""

from __future__ import annotations

import importlib.metadata
import io
import json
import platform
import re
import shlex
import sys
import sysconfig
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from clusterctl.clock import utc_now
from clusterctl.errors import ClusterctlError, StateError
from clusterctl.files import write_atomically
from clusterctl.formats import VERSION
from clusterctl.model import NodeState
from clusterctl.operations.nodes.access import MAX_THREADS
from clusterctl.operations.nodes.scrubbing import (
    Scrubber,
    secrets_of_environment,
    secrets_of_folder,
    secrets_of_options,
)
from clusterctl.operations.status import query_health

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.config.settings import ChosenOption
    from clusterctl.journal import ClusterFolder
    from clusterctl.model import Node
    from clusterctl.operations.context import RunContext

_MOST_OF_A_FILE = 2_000_000
"""Bytes of the end of a log that are packed: a node may have written without end."""
_NODE_TIMEOUT_S = 60.0
_LAPTOP_FILES = ("journal.jsonl", "timings.json", "lock-*.txt")
"""What of a cluster's folder is packed, beside its logs. All else stays: keys, connection files, copies of configs."""


@dataclass(frozen=True)
class Report:
    """An archive for who helps."""

    file: Path
    members: tuple[str, ...]
    """The names of the files in it."""
    missing: tuple[str, ...]
    """What could not be asked, and why."""


def pack_report(
    context: RunContext, target: Path, *, list_options: Callable[[], Sequence[ChosenOption]], trouble: str = ""
) -> Report:
    """Pack logs, journal, timings, options, state and versions of a cluster into an archive, without secrets.

    Whatever is broken is left out and named: a report is wanted when something is.

    Args:
        context: the context of the run.
        target: the archive, a ``.tar.gz`` that nobody else may read.
        list_options: returns the options of the cluster's template; it may raise.
        trouble: what is wrong with the config, if anything.

    Raises:
        StateError: the archive cannot be written.
    """
    missing = trouble.splitlines()
    options = _attempt("options", list_options, missing) or ()
    scrubber = Scrubber(
        [
            *secrets_of_folder(context.folder.path),
            *secrets_of_options(option.value for option in options),
            *secrets_of_environment(),
        ]
    )
    texts = {
        "options.txt": "".join(f"{option.key} = {option.value}  ({option.origin.where})\n" for option in options),
        "versions.json": json.dumps(_versions(), indent=1),
        **dict(_laptop_texts(context.folder)),
    }
    state = _attempt("state", lambda: _state(context), missing)
    if state is not None:
        texts["state.json"] = json.dumps(state, indent=1)
    texts |= _attempt("nodes", lambda: _node_texts(context, missing), missing) or {}
    texts["missing.txt"] = "".join(f"{line}\n" for line in missing)
    cleaned = {name: scrubber.scrub(text) for name, text in texts.items()}
    folder = f"clusterctl-report-{context.name}"
    try:
        write_atomically(target, _archive(folder, cleaned))
    except OSError as exc:
        raise StateError(
            f"cannot write {target}: {exc.strerror or exc}", remedy="name another file with -o, or free some space"
        ) from exc
    return Report(target, tuple(sorted(cleaned)), tuple(map(scrubber.scrub, missing)))


def _attempt(what: str, ask: Callable[[], Any], missing: list[str]) -> Any:
    """Return the answer, or None after noting why there is none."""
    try:
        return ask()
    except ClusterctlError as exc:
        missing.append(f"{what}: {exc.message}")
    return None


def _versions() -> dict[str, Any]:
    """Return the versions of clusterctl, Python, the system, and the libraries that clusterctl needs."""
    names = [re.split(r"[^\w.-]", text, maxsplit=1)[0] for text in importlib.metadata.requires("clusterctl") or ()]
    libraries = {}
    for name in sorted({*names, "pyzmq", "paramiko", "botocore"}):
        try:
            libraries[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # of an extra that is not installed
    return {
        "clusterctl": VERSION,
        "python": sys.version,
        "system": f"{sysconfig.get_platform()} {platform.release()}",
        "time": utc_now().isoformat(timespec="seconds"),
        "libraries": libraries,
    }


def _laptop_texts(folder: ClusterFolder) -> Iterator[tuple[str, str]]:
    for pattern in (*_LAPTOP_FILES, "logs/*.log"):
        for path in sorted(folder.path.glob(pattern)):
            try:
                with path.open("rb") as file:
                    file.seek(max(0, path.stat().st_size - _MOST_OF_A_FILE))
                    text = file.read(_MOST_OF_A_FILE).decode(errors="replace")
            except OSError as exc:
                text = f"cannot be read: {exc.strerror or exc}\n"
            yield f"laptop/{path.name}", text


def _state(context: RunContext) -> dict[str, object]:
    health = query_health(context)
    status = health.status
    return {
        "state": status.state,
        "provider": status.provider,
        "tunnel": health.tunnel,
        "healthy": health.healthy,
        "rows": [asdict(row) for row in status.rows],
        "connections": [{"name": endpoint.name, "ports": dict(endpoint.ports)} for endpoint in status.published],
        "nodes": [
            {"alias": node.alias, "state": node.state.value, "type": node.type, "cores": node.cores}
            for node in status.nodes
        ],
    }


def _node_texts(context: RunContext, missing: list[str]) -> dict[str, str]:
    """Return the ends of the logs of each node that answers."""
    nodes = context.provider.nodes(context.name)
    running = [node for node in nodes if node.state == NodeState.RUNNING]
    missing += [f"{node.alias}: {node.state.value}" for node in nodes if node not in running]
    cluster = context.make_cluster(nodes)
    try:
        with ThreadPoolExecutor(min(MAX_THREADS, len(running)) or 1) as pool:
            texts = pool.map(lambda node: _attempt(node.alias, lambda: _read_logs(cluster, node), missing), running)
            return {f"nodes/{node.alias}.txt": text for node, text in zip(running, texts, strict=True) if text}
    finally:
        cluster.close()


def _read_logs(cluster: Cluster, node: Node) -> str:
    """Return the ends of all logs of a node, at most so much of each and of all together."""
    logs = shlex.quote(str(node.layout.logs))
    look = (
        f"uname -a; uptime; df -h; free -m; cd {logs} && "
        f'for log in *.log; do echo "==> $log"; tail -c {_MOST_OF_A_FILE // 10} "$log"; done'
    )
    result = cluster.on(node).run(
        f"{{ {look}; }} 2>&1 | tail -c {_MOST_OF_A_FILE}",
        check=False,
        timeout_s=_NODE_TIMEOUT_S,
        secret=True,
        sudo=True,
    )
    return result.stdout


def _archive(folder: str, texts: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in sorted(texts.items()):
            content = text.encode(errors="replace")
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size, member.mode, member.mtime = len(content), 0o600, int(utc_now().timestamp())
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()
