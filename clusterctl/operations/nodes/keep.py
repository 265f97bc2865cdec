"""`keep`: have a cluster stay that would end by itself."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

from clusterctl.clock import Deadline
from clusterctl.errors import StateError
from clusterctl.model import MASTER
from clusterctl.node import health
from clusterctl.node.render import render
from clusterctl.node.run_as import as_user
from clusterctl.operations.sending.places import open_node

if TYPE_CHECKING:
    from clusterctl.node.ending import Ending
    from clusterctl.operations.context import RunContext

_ANSWER_S = 60.0
"""The master looks every 15 seconds."""
_POLL_S = 0.5


def keep_cluster(context: RunContext, seconds: float) -> Ending:
    """Have the cluster stay for so long from now, whatever IDLE_STOP and LIFETIME say; 0 takes that back.

    Raises:
        StateError: the cluster does not end by itself, or has ended, or its master does not answer.
    """
    cluster, master = open_node(context, MASTER)
    try:
        ends = health.ask(cluster, master).ending
        if ends is None:
            raise StateError(
                f"{context.name} does not end by itself",
                remedy="there is nothing to keep it from; IDLE_STOP has it do so",
            )
        if ends.phase == "ended":
            raise StateError(
                f"{context.name} has ended by itself: {ends.why}", remedy=f"`clusterctl start {context.name}` goes on"
            )
        wish = {"id": secrets.token_hex(8), "seconds": seconds}
        folder = master.layout.home / ".clusterctl" / "ending"
        script = as_user(
            master, cluster.user, render("ending_wish.sh.j2", folder=folder, name="keep", wish=json.dumps(wish))
        )
        cluster.on(master).run_script(script, name="ending: keep", sudo=True, reads=True)
        for _ in Deadline.after(_ANSWER_S).polls(_POLL_S, longest_s=3.0):
            ends = health.ask(cluster, master).ending
            if ends and ends.keep == wish["id"]:
                return ends
    finally:
        cluster.close()
    raise StateError(
        f"{context.name} has not said that it heard it",
        remedy=f"`clusterctl logs {context.name}` shows what its watch says; repeat this",
    )
