"""The jobs of a cluster, asked from the laptop. Every node sees all of them, so any that answers will do."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from clusterctl.clients.jobs.code import pack_files
from clusterctl.clients.jobs.model import JobError, JobStatus, parse_status
from clusterctl.errors import RemoteError, StateError
from clusterctl.model import NodeState
from clusterctl.operations.sending.asking import Questions
from clusterctl.operations.sending.places import open_node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from clusterctl.clients.jobs.code import CodeFile
    from clusterctl.clients.jobs.model import JobOrder
    from clusterctl.model import Node
    from clusterctl.operations.context import RunContext
    from clusterctl.operations.jobs.snapshot import Snapshot

T = TypeVar("T")
_MODULE = "clusterctl.clients.serve_jobs"
_AT_ONCE = 256 << 10
"""Bytes of code that go along with a job, whether the cluster has them or not: to ask first would take longer."""
_BATCH = 8 << 20


class RemoteJobs:
    """The jobs of one cluster."""

    def __init__(self, context: RunContext) -> None:
        """Ask nothing yet."""
        self._context = context
        self._ways: dict[str, Questions] = {}
        self.nodes: dict[str, Node] = {}
        self._last = ""
        """The alias of the node that answered last."""
        self.look_up_nodes()

    def look_up_nodes(self) -> None:
        """Ask the provider which nodes run now."""
        running = [node for node in self._context.provider.nodes(self._context.name) if node.state == NodeState.RUNNING]
        self.nodes = {node.alias: node for node in sorted(running, key=lambda node: not node.is_master)}

    def submit(self, order: JobOrder, snapshot: Snapshot, environment: Mapping[str, str]) -> JobStatus:
        """Have a job begun on its node, with the code that it has not got yet."""
        files, values = pack_files(snapshot.files), json.dumps(dict(environment)).encode()
        contents = {file.digest: file for file in snapshot.files}
        if sum(file.size for file in contents.values()) > _AT_ONCE:
            contents = self._send_missing(order.node, snapshot, files, contents)
        asked = {
            "do": "submit",
            "order": order.as_json(),
            "files": len(files),
            "environment": len(values),
            "contents": [[file.digest, file.size] for file in contents.values()],
            "total": self._count_cores(order.node),
        }

        def parts() -> Iterator[bytes]:
            yield files
            yield values
            for file in contents.values():
                yield from snapshot.read(file)

        return self._way(order.node).ask(asked, parse=parse_status, content=parts)[0]

    def _send_missing(
        self, alias: str, snapshot: Snapshot, files: bytes, contents: dict[str, CodeFile]
    ) -> dict[str, CodeFile]:
        """Send what the cluster lacks, some at a time. Return what is left for the last question: nothing."""
        asked = {"do": "missing", "files": len(files)}
        missing, _ = self._way(alias).ask(asked, parse=_parse_digests, content=lambda: (files,))
        left = [contents[digest] for digest in missing if digest in contents]
        while left:
            batch: list[CodeFile] = []
            size = 0
            while left and (not batch or size + left[0].size <= _BATCH):
                size += left[0].size
                batch.append(left.pop(0))
            asked = {"do": "bring", "contents": [[file.digest, file.size] for file in batch]}
            parts = [part for file in batch for part in snapshot.read(file)]
            self._way(alias).ask(asked, parse=_pass_over, content=partial(tuple, parts))
        return {}

    def resume(self, job_id: str, alias: str) -> JobStatus:
        """Have a job that is lost run again, on this node."""
        asked = {"do": "resume", "id": job_id, "total": self._count_cores(alias)}
        return self._way(alias).ask(asked, parse=parse_status)[0]

    def look(self, job_id: str) -> JobStatus:
        """Return how a job is."""
        return self._ask({"do": "look", "id": job_id}, parse_status)[0]

    def read(self, job_id: str, offset: int, wait_s: float) -> tuple[JobStatus, bytes]:
        """Return how a job is, and some of its log from there on; wait so long for the first."""
        return self._ask({"do": "read", "id": job_id, "offset": offset, "wait_s": wait_s}, parse_status)

    def manifest(self, job_id: str) -> dict[str, Any]:
        """Return what is known of how a job was made and how it went. It is a node's word."""
        return self._ask({"do": "manifest", "id": job_id}, _parse_object)[0]

    def cancel(self, job_id: str, wait_s: float) -> JobStatus:
        """End a job, and wait so long for its end."""
        return self._ask({"do": "cancel", "id": job_id, "wait_s": wait_s}, parse_status)[0]

    def end_all(self, *, cancel: bool) -> list[JobStatus]:
        """Have all jobs end because their nodes do, and wait for nothing; see `JobStore.end_all`. Return all jobs."""
        return self._ask({"do": "end all", "cancel": cancel}, _parse_all)[0]

    def mark_fetched(self, job_id: str) -> JobStatus:
        """Note that what is to be fetched of a job was."""
        return self._ask({"do": "fetched", "id": job_id}, parse_status)[0]

    def all(self) -> list[JobStatus]:
        """Return all jobs, the newest one last."""
        return self._ask({"do": "all"}, _parse_all)[0]

    def _ask(self, asked: dict[str, Any], parse: Callable[[Any], T]) -> tuple[T, bytes]:
        """Ask the node that answered last, and the others where it does not."""
        failure: RemoteError | None = None
        for alias in sorted(self.nodes, key=lambda alias: alias != self._last):
            try:
                answer = self._way(alias).ask(asked, parse=parse)
            except RemoteError as exc:
                failure = failure or exc
            else:
                self._last = alias
                return answer
        if failure:
            raise failure
        raise StateError(
            f"no node of {self._context.name} is up", remedy=f"`clusterctl start {self._context.name}` brings it up"
        )

    def _way(self, alias: str) -> Questions:
        if alias not in self._ways:
            context = self._context
            user = context.settings.cluster.cluster_user
            self._ways[alias] = Questions(
                context.name,
                lambda node: [_MODULE, str(node.layout.home / ".clusterctl"), node.alias],
                "jobs",
                lambda: open_node(context, alias, user=user),
                error=lambda message, remedy: JobError(message, remedy=remedy),
            )
        return self._ways[alias]

    def _count_cores(self, alias: str) -> int | None:
        return self.nodes[alias].cores if alias in self.nodes else None

    def forget_ways(self) -> None:
        """Log out of all nodes: what was asked may be half-way."""
        for way in self._ways.values():
            way.close()

    def __enter__(self) -> RemoteJobs:
        return self

    def __exit__(self, *_: object) -> None:
        self.forget_ways()


def _parse_all(said: Any) -> list[JobStatus]:
    """Leave out what makes no sense: a job may write into its own records, and hides no other one by it."""
    statuses = []
    for one in said:
        with suppress(ValueError):
            statuses.append(parse_status(one))
    return statuses


def _parse_digests(said: Any) -> list[str]:
    if not all(isinstance(digest, str) for digest in said):
        raise ValueError("no digests")
    return list(said)


def _parse_object(said: Any) -> dict[str, Any]:
    if not isinstance(said, dict):
        raise ValueError("no object")  # noqa: TRY004  whatever it was, it makes no sense
    return said


def _pass_over(_said: object) -> None:
    """Take no interest in what is said."""
