"""Spot instances: told two minutes ahead that they will be taken, their engines go in time, and `status` says so.

A service on each such node asks the instance metadata service, which answers root alone. Its word reaches the master as
a file in the shared home, so that `status` asks one node, however many there are.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from typing import TYPE_CHECKING

from clusterctl.api import (
    Cluster,
    Facet,
    Field,
    Market,
    Node,
    Order,
    Plugin,
    Section,
    Service,
    StatusRow,
    as_user,
    hookimpl,
    hub,
    node_program,
    render,
    run_reported,
    runners_pattern,
    services,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import PurePosixPath

_NAME = "spot"
_LEAD_S = 40
"""So long before the end jobs and engines go: late enough for the work, early enough for what ends them.

A job may take 30 s."""
_ANSWER_S = 10.0
_GOODBYE_S = 8
_HINT = "~hint"
"""At the end of the name of a file that says that AWS recommends to replace a node. No machine's id has it."""


class Options(Section):
    """The options of the `spot` plugin."""

    metadata_url: str = Field(
        "http://169.254.169.254",
        pattern=r"^https?://[^\s'\"]+$",
        description="where a spot node asks whether it will be taken; another one is for tests",
    )
    poll_s: float = Field(5.0, ge=0.1, le=60, description="seconds between two such questions")


class Spot(Plugin[Options]):
    """Lets the engines of a spot instance go before it is taken."""

    needs = frozenset({Facet.MACHINE})
    waits_for_master = False
    on_every_cluster = True
    order = Order.WATCHES

    @hookimpl
    def clusterctl_join(self, cluster: Cluster, node: Node) -> None:
        """Have a spot node look out for its end."""
        if node.market != Market.SPOT:
            return
        folder = _shared_folder(node)
        files = {
            "watch.py": self._start_watch(cluster, node),
            "goodbye.py": _hub_program(node, "forget_engines"),
            "stop.sh": self._stop_watch(cluster, node),
            "drain.py": _hub_program(node, "drain_engines"),
            "drain.sh": self._drain_engines(cluster, node),
        }
        watch = Service(
            name=_NAME,
            # The node's own Python, which is there before any environment.
            command=["/usr/bin/env", "python3", str(folder / "watch.py")],
            directory=folder,
            version=hashlib.sha256(json.dumps(files).encode()).hexdigest()[:12],
        )
        script = render("spot_join.sh.j2", folder=folder, files=files, daemon=services.ensure(node, [watch]))
        run_reported(cluster, node, script, name="spot: watch")

    @hookimpl
    def clusterctl_undo(self, cluster: Cluster, node: Node) -> None:
        """Look no more."""
        if node.market != Market.SPOT:
            return
        script = render(
            "spot_leave.sh.j2",
            mark=cluster.mark,
            folder=_shared_folder(node),
            notice=node.layout.interruption,
            stop=services.stop(node, [_NAME]),
        )
        run_reported(cluster, node, script, name="spot: leave")

    @hookimpl
    def clusterctl_status(self, cluster: Cluster) -> Sequence[StatusRow]:
        """The nodes that will be taken, and when. One question to the master, and none without spot nodes."""
        watched = {
            _notice_name(node): node for node in cluster.nodes if node.market == Market.SPOT and _is_running(node)
        }
        if not watched:
            return []
        master = cluster.master
        script = as_user(master, cluster.user, render("spot_status.sh.j2", folder=_notices_folder(master)))
        asked = cluster.on(master).run_script(script, name="spot: notices", timeout_s=_ANSWER_S, sudo=True, reads=True)
        notices = dict(line.split(" ", 1) for line in asked.stdout.splitlines() if " " in line)
        return [row for mark, node in watched.items() for row in _rows_of(node, mark, notices)]

    def _start_watch(self, cluster: Cluster, node: Node) -> str:
        settings = {
            "url": self.options.metadata_url.rstrip("/"),
            "poll_s": self.options.poll_s,
            "lead_s": _LEAD_S,
            "notice": node.layout.interruption,
            "stop": ["/bin/sh", str(_shared_folder(node) / "stop.sh")],
            "drain": ["/bin/sh", str(_shared_folder(node) / "drain.sh")],
            "hint_suffix": _HINT,
            "user": cluster.user,
            "shared": _notices_folder(node),
            "mark": _notice_name(node),
        }
        return node_program("clusterctl.on_node.system.spot_watch", settings)

    def _stop_watch(self, cluster: Cluster, node: Node) -> str:
        return render(
            "spot_stop.sh.j2",
            status=services.status(node),
            stop=services.stop(node, ["engine"]),
            user=cluster.user,
            runners=runners_pattern(node),
            goodbye=_command(node, "goodbye.py"),
        )

    def _drain_engines(self, cluster: Cluster, node: Node) -> str:
        status, drain = services.status(node), _command(node, "drain.py")
        return render("spot_drain.sh.j2", status=status, user=cluster.user, drain=drain)


def _command(node: Node, program: str) -> str:
    return shlex.join([str(node.layout.env / "bin" / "python"), str(_shared_folder(node) / program)])


def _hub_program(node: Node, name: str) -> str:
    """A program that tells the controller something of the engines whose numbers it is given."""
    connection = hub.profile(node) / "security" / "ipcontroller-engine.json"
    values = {"connection": connection, "wait_s": _GOODBYE_S}
    return node_program(f"clusterctl.on_node.with_ipyparallel.{name}", values)


def _rows_of(node: Node, mark: str, notices: dict[str, str]) -> Sequence[StatusRow]:
    """What the notices say of a node: that it will be taken, or that it may be."""
    if mark in notices:
        value = f"will be taken at {_time_of_day(notices[mark])}"
        return [StatusRow(node.alias, _NAME, value, healthy=False, ends=True)]
    if mark + _HINT in notices:
        value = f"may be taken: so AWS says since {_time_of_day(notices[mark + _HINT])}"
        return [StatusRow(node.alias, _NAME, value, may_end=True)]
    return []


def _shared_folder(node: Node) -> PurePosixPath:
    return node.layout.state / _NAME


def _notices_folder(node: Node) -> PurePosixPath:
    """Where all nodes' notices are, in the home that they share."""
    return node.layout.home / ".clusterctl" / "interruptions"


def _notice_name(node: Node) -> str:
    """The name of a node's notice: of this machine, not of the one that had the alias before."""
    return re.sub(r"[^\w.@-]", "_", node.id)


def _is_running(node: Node) -> bool:
    return node.state.value == "running"


def _time_of_day(notice: str) -> str:
    """``10:00:00Z`` of ``2026-11-27T10:00:00Z terminate``."""
    return notice.split()[0].rpartition("T")[2]
