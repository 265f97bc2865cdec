"""How the tests are shared out among processes: by file, and files that have one cluster in common go to one process.

A cluster of three nodes takes longer to start than most files take as a whole, and each process has its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

MAIN = (
    *("test_main_job", "test_commands", "test_hands", "test_cancel", "test_pool", "test_work", "test_together"),
    *("test_cpython", "test_repair", "test_tunnel", "test_healing"),
)
"""They work on the cluster of the main job, in this order."""
SECOND = ("test_here", "test_detached", "test_jobs", "test_job_images", "test_notebook", "test_top", "test_examples")
"""They do so, too, in this order. With what is slow in them another process does them, on such a cluster of its own."""
_TOGETHER = {
    **{f"tests/e2e/{name}.py": "main" for name in MAIN},
    **{f"tests/e2e/{name}.py": "second" for name in SECOND},
    # The second uses what the first has begun.
    **{f"tests/e2e/{name}.py": "cold" for name in ("test_power", "test_unprivileged")},
}


_LONGEST = (
    *("main", "second", "cold"),
    *(f"tests/e2e/{name}.py" for name in ("test_damage", "test_kill_points", "test_joins", "test_attach")),
    *(f"tests/e2e/{name}.py" for name in ("test_ec2", "test_selftest", "test_containers")),
    *(f"tests/e2e/{name}.py" for name in ("test_systemd_hosts", "test_ec2_volume", "test_standin_containers")),
)
"""They begin first, in this order: what takes longest must not begin when all else is done."""


def group_of(nodeid: str, *, clusters: int) -> str:
    """What is done by one process, without anything else in between, where so many processes have a main cluster."""
    file = nodeid.partition("::")[0]
    group = _TOGETHER.get(file, file)
    return "main" if group == "second" and clusters == 1 else group


def uses_main_cluster(nodeid: str) -> bool:
    """Whether this test works on the cluster of the main job."""
    return group_of(nodeid, clusters=1) == "main"


def in_order(items: Sequence[pytest.Item], *, clusters: int) -> list[pytest.Item]:
    """Group by group, those that take long first: the short ones even it out at the end."""
    groups: dict[str, list[pytest.Item]] = {}
    files = MAIN + SECOND
    for item in items:
        groups.setdefault(group_of(item.nodeid, clusters=clusters), []).append(item)
    for group in groups.values():
        # One group has several files, whose tests stay in their order.
        group.sort(key=lambda item: files.index(item.path.stem) if item.path.stem in files else 0)
    real = {"e2e", "docker", "vm"}
    on_nodes = {
        name: any(marker.name in real for item in group for marker in item.iter_markers())
        for name, group in groups.items()
    }
    ranks = {name: rank for rank, name in enumerate(_LONGEST)}
    names = sorted(groups, key=lambda name: (ranks.get(name, len(ranks)), not on_nodes[name]))
    return [item for name in names for item in groups[name]]


class Sharing(LoadScopeScheduling):
    """xdist's `--dist loadfile`, for groups."""

    def __init__(self, config: pytest.Config, log: object, *, clusters: int) -> None:
        super().__init__(config, log)
        self._clusters = clusters

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid, clusters=self._clusters)
