"""The context of the checks of `selftest`: the cluster as they see it, and how they fail."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clusterctl.providers.base import Audited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clusterctl.cluster_nodes import Cluster
    from clusterctl.model import Node
    from clusterctl.operations.context import RunContext
    from clusterctl.providers.audits import Audit


class CheckFailedError(Exception):
    """A promise does not hold. The message says how."""


class NotProvenError(Exception):
    """Nothing is wrong, and nothing shows that the promise holds. The message says why."""


def require_that(condition: object, text: str) -> None:
    """Raise a failed check with this text unless the condition holds."""
    if not condition:
        raise CheckFailedError(text)


@dataclass(frozen=True)
class CheckContext:
    """The context of the checks."""

    make_context: Callable[[str | None], RunContext]
    """Makes a new run context for each operation, as each command does; the argument adds one more plugin."""
    connect_client: Callable[[], Any]
    """Makes an ipyparallel client as the user gets it: from this computer, through the tunnel."""

    def nodes(self) -> list[Node]:
        """Return the nodes of the cluster, as its provider has them now."""
        context = self.make_context(None)
        return context.provider.nodes(context.name)

    def audit(self) -> Audit:
        """Return the settings of the cluster's machines that matter for safety."""
        context = self.make_context(None)
        if not isinstance(context.provider, Audited):
            raise CheckFailedError("this provider does not tell how it keeps nodes")
        return context.provider.audit(context.name)

    @contextmanager
    def open_cluster(self) -> Iterator[Cluster]:
        """Open the cluster with connections of its own, and close them at the end."""
        context = self.make_context(None)
        cluster = context.make_cluster(context.provider.nodes(context.name))
        try:
            yield cluster
        finally:
            cluster.close()

    @contextmanager
    def open_client(self) -> Iterator[Any]:
        """Open an ipyparallel client, and close it at the end."""
        client = self.connect_client()
        try:
            yield client
        finally:
            client.close()
