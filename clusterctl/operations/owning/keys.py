"""The key that a cluster's nodes let in. If it was lost or damaged, the provider's own rights may let a new one in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.errors import StateError
from clusterctl.files import set_aside
from clusterctl.model import NodeState
from clusterctl.providers.base import Admitting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.model import Node
    from clusterctl.operations.context import RunContext


def ensure_key(context: RunContext, nodes: Sequence[Node]) -> str:
    """Return the public key of the cluster; make a new pair if there is none that can be used.

    Args:
        context: the context of the run.
        nodes: those that exist, and let in the key that they were made with.

    Raises:
        StateError: the key is lost, and the provider cannot let another one in.
    """
    folder = context.folder
    # Hosts are logged in to with the user's own keys, which are not ours to lose.
    running = [node for node in nodes if node.state == NodeState.RUNNING and not (node.access.key or node.access.agent)]
    had_one = folder.private_key_file.exists()
    try:
        if had_one or not running:
            return folder.ensure_exists()
        trouble = "is gone"
    except StateError as exc:
        trouble = f"cannot be used: {exc.message}"
    if running and not isinstance(context.provider, Admitting):
        raise StateError(
            f"the key of {context.name} {trouble}, and its nodes let in no other",
            remedy=f"put it back; or take the cluster over with a key that it lets in: move {folder.path} away, then"
            f" `clusterctl attach --key FILE {context.name}`; or end it: `clusterctl terminate {context.name}`",
        )
    set_aside(folder.private_key_file)
    public_key = folder.ensure_exists()
    if running and isinstance(context.provider, Admitting):
        context.provider.admit(context.name, public_key)
    context.report.warn(f"the key of {context.name} {trouble}: a new one was made")
    return public_key
