"""Containers of jobs, by the node's engine: docker or podman. Home, user and network are the node's."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl.clients.jobs.model import JobError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from clusterctl.clients.jobs.model import JobOrder

COULD_NOT_RUN = 125
"""The status of both engines where the command was never begun."""
_ENGINES = ("docker", "podman")
_ANSWER_S = 20.0
_REMOVE_S = 30.0
_NVIDIA = Path("/dev/nvidiactl")


@dataclass(frozen=True)
class Engine:
    """An engine that answers this user."""

    program: str

    def command(self, order: JobOrder, folder: Path, names: Iterable[str]) -> list[str]:
        """Return the command that runs a job's in a container, and ends with its status.

        Args:
            order: the job.
            folder: where it runs.
            names: the variables that it has; their values are those of who runs this, so that they are in no argument.
        """
        is_podman = Path(self.program).name == "podman"
        # podman keeps the user's number where it runs without root alone, and refuses it to root.
        keeps_user = is_podman and os.getuid() != 0
        user = ["--userns=keep-id"] if keeps_user else [f"--user={os.getuid()}:{os.getgid()}"]
        gpus = ["--device=nvidia.com/gpu=all" if is_podman else "--gpus=all"] if _NVIDIA.exists() else []
        home = Path.home()
        return [
            *(self.program, "run", "--rm", "--init", f"--name={_name(order.id)}", "--network=host", *user, *gpus),
            *(f"--cpus={order.cores}", f"--volume={home}:{home}", f"--workdir={folder}"),
            *(f"--env={name}" for name in sorted(names)),
            *(order.image, *order.command),
        ]

    def removal(self, job_id: str) -> list[str]:
        """Return the command that ends and deletes the container of a job, whatever it does."""
        return [self.program, "rm", "--force", "--volumes", _name(job_id)]


def find_engine(node: str) -> Engine:
    """Return the engine of this node.

    Raises:
        JobError: it has none, or none that answers this user.
    """
    reasons = []
    for program in filter(None, map(shutil.which, _ENGINES)):
        try:
            done = subprocess.run(
                [program, "version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_ANSWER_S
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            reasons.append(f"{program}: {exc}")
            continue
        if done.returncode == 0:
            return Engine(program)
        reasons.append((done.stderr.strip().splitlines() or [f"{program}: status {done.returncode}"])[-1])
    if not reasons:
        raise JobError(f"{node} has neither docker nor podman", remedy="install one there, or leave --image out")
    raise JobError(
        f"no container engine of {node} answers: {'; '.join(reasons)}",
        remedy="let the cluster's user use it: with docker, by the group `docker`",
    )


def remove(command: Sequence[str]) -> None:
    """Run a `removal`. A container that is not there is none that is left."""
    with suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=_REMOVE_S
        )


def _name(job_id: str) -> str:
    return f"clusterctl-job-{job_id}"
