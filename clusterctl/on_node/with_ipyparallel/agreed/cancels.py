"""Names that the controller, the engines and those who cancel work have agreed on."""

from __future__ import annotations

NAME = b"clusterctl-cancel"
"""The beginning of the identities of those who cancel."""
REQUEST = "clusterctl_cancel_work_request"
"""To hub, task scheduler and engines. `client` is the session of a client, or empty for all of them; `look`: only say
what there is; `marker`: the id of the message that will come to an engine behind all that waits there."""
REPLY = "clusterctl_cancel_work_reply"
KEY = "clusterctl_cancelled"
"""In a notice of the hub to all clients: whose work was cancelled."""
NOBODY = -1
"""The engine of such a notice, which is said to have ended: ipyparallel's clients know no other kind of notice."""


def is_of(client: str, session: object) -> bool:
    """Return whether a message of this session is meant by a request for this client."""
    return not client or session == client
