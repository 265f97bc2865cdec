"""A cluster that is up for a program ends when the program is gone, however it went: the master waits for its beats."""

from __future__ import annotations

import json
import secrets
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from clusterctl.errors import ClusterctlError
from clusterctl.node.render import render
from clusterctl.node.run_as import as_user
from clusterctl.operations.joining.terms import CLIENT_S, send_terms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.operations.context import RunContext

_EVERY_S = 30.0
_LIMIT_S = 25.0


@contextmanager
def leash(context: RunContext, *, client_s: float = CLIENT_S, every_s: float = _EVERY_S) -> Iterator[None]:
    """Have the cluster end by itself once nothing was heard of this program for `client_s`, while the body runs.

    Beats that fail are sent again: a network that is cut for some minutes ends nothing.
    """
    cluster = context.make_cluster(context.provider.nodes(context.name))
    over = threading.Event()
    beats = threading.Thread(target=_beat, args=(cluster, over, every_s), name="clusterctl-leash", daemon=True)
    try:
        send_terms(context, cluster, client_s=client_s)
        beats.start()
        yield
    finally:
        over.set()
        if beats.is_alive():
            beats.join(_LIMIT_S)
        cluster.close()


def _beat(cluster: Cluster, over: threading.Event, every_s: float) -> None:
    master, me, count = cluster.master, secrets.token_hex(8), 0
    folder = master.layout.home / ".clusterctl" / "ending"
    while not over.wait(every_s):
        count += 1
        beat = json.dumps({"id": me, "count": count})
        script = as_user(master, cluster.user, render("ending_wish.sh.j2", folder=folder, name="beat", wish=beat))
        try:
            cluster.on(master).run_script(script, name="ending: beat", timeout_s=_LIMIT_S, sudo=True, reads=True)
        except ClusterctlError:
            cluster.close()  # the next one logs in anew
