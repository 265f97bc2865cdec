"""What this computer still wants of jobs: the files that `--fetch` names, until they are here.

CLUSTER/jobs/ID.json    where they come to; what a node says of that counts for nothing
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from clusterctl.clients.jobs.model import FOLDER, WORK
from clusterctl.errors import ClusterctlError, UsageError
from clusterctl.files import ensure_folder, read_json, write_atomically
from clusterctl.formats import Format
from clusterctl.node import copying
from clusterctl.operations.sending.places import choose_node

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clusterctl.node.copying import Copied
    from clusterctl.operations.context import RunContext
    from clusterctl.operations.jobs.remote_jobs import RemoteJobs

_NOTHING_THERE = "there is no "
"""What the copy says where a job has not made what it was to make: it will not be there the next time either."""
_FORMAT = Format("the record of the job", 1)


@dataclass(frozen=True)
class Wanted:
    """What is to be fetched of a job."""

    id: str
    folder: str
    """Where to, on this computer."""
    paths: tuple[str, ...]
    """Below the job's folder, and below this one."""


def note_wanted(cluster_folder: Path, wanted: Wanted) -> None:
    """Remember what is to be fetched of a job.

    Raises:
        UsageError: a path is not below the folder.
    """
    _check_paths(wanted.paths)
    ensure_folder(cluster_folder / FOLDER)
    write_atomically(_file(cluster_folder, wanted.id), json.dumps(_FORMAT.stamp(asdict(wanted))))


def _check_paths(paths: Sequence[str]) -> None:
    """Refuse paths that lead out of the job's folder: a node may have named them, and they lead out of ours as well."""
    for text in paths:
        path = PurePosixPath(text)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise UsageError(f"{text!r} is not below the job's folder", remedy="name it relative to that folder")


def read_wanted(cluster_folder: Path) -> Iterator[Wanted]:
    """Yield what is still to be fetched."""
    for path in sorted((cluster_folder / FOLDER).glob("*.json")):
        content = _FORMAT.unstamp(read_json(path), path)
        if content:
            yield Wanted(str(content["id"]), str(content["folder"]), tuple(map(str, content["paths"])))


def fetch_wanted(context: RunContext, jobs: RemoteJobs, ids: Sequence[str]) -> Iterator[tuple[Wanted, str]]:
    """Fetch what is wanted of jobs that are over. Yield each, and what went wrong, or nothing.

    Args:
        context: the context of the run.
        jobs: the jobs of the cluster.
        ids: those that are over.
    """
    for wanted in read_wanted(context.folder.path):
        if wanted.id in ids:
            try:
                copied = fetch_paths(context, jobs, wanted.id, wanted.paths, Path(wanted.folder))
            except ClusterctlError as exc:
                yield wanted, exc.message
                if not is_gone(exc.message):
                    continue  # the next contact tries again
            else:
                trouble = "; ".join(f"left out: {path}: {why}" for path, why in copied.omitted)
                yield wanted, trouble
            jobs.mark_fetched(wanted.id)
            _file(context.folder.path, wanted.id).unlink(missing_ok=True)


def is_gone(trouble: str) -> bool:
    """Return whether files did not come because there are none."""
    return _NOTHING_THERE in trouble


def fetch_paths(context: RunContext, jobs: RemoteJobs, job_id: str, paths: Sequence[str], folder: Path) -> Copied:
    """Fetch files and folders of a job, to the same places below a folder. Return what was copied."""
    _check_paths(paths)
    jobs.look(job_id)
    alias = next(iter(jobs.nodes))
    cluster = context.make_cluster(jobs.nodes.values())
    files, size, omitted = 0, 0, []
    try:
        node = choose_node(context, cluster, alias, user=context.settings.cluster.cluster_user)
        work = node.layout.home / ".clusterctl" / FOLDER / job_id / WORK
        for path in paths:
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            target = copying.Target(place, into=False)
            part = copying.copy_from_node(cluster.on(node), [work / path], target, lambda *_: None)
            files, size = files + part.files, size + part.size
            omitted += part.omitted
    finally:
        cluster.close()
    return copying.Copied(files, size, omitted)


def _file(cluster_folder: Path, job_id: str) -> Path:
    return cluster_folder / FOLDER / f"{job_id}.json"
