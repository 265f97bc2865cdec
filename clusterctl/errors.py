"""Every error a user can meet: what happened, and what to do now."""

from __future__ import annotations


class ClusterctlError(Exception):
    """Something the user can act on. Shown as two lines, ``error:`` and ``try:``, never as a traceback."""

    exit_code = 1

    def __init__(self, message: str, *, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class UsageError(ClusterctlError):
    """The command line is wrong."""

    exit_code = 2


class ConfigError(ClusterctlError):
    """The config file is wrong. Carries every problem found, not the first."""

    exit_code = 2

    def __init__(self, problems: tuple[str, ...], *, remedy: str) -> None:
        super().__init__("\n".join(problems), remedy=remedy)
        self.problems = problems


class ProviderError(ClusterctlError):
    """The machines' owner refused or failed."""


class RemoteError(ClusterctlError):
    """A node could not be reached, or a command on it failed.

    Attributes:
        node: the alias of the node.
        status: the command's exit status, or None where it never ran or never ended.
        output: the last lines the command printed.
    """

    def __init__(
        self, message: str, *, remedy: str, node: str = "", status: int | None = None, output: str = ""
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.node = node
        self.status = status
        self.output = output


class RefusedError(RemoteError):
    """A login that waiting will not make good: an untrusted host key, or no key of ours that is let in."""


class LostError(RemoteError):
    """A connection broke, or a command on it did not begin or end in time: asked again the node may answer."""


class PluginError(ClusterctlError):
    """A plugin cannot be loaded, or its work on a node failed."""


class DeadlineError(ClusterctlError):
    """A named wait ran out of time."""


class StateError(ClusterctlError):
    """The laptop's own files about a cluster cannot be read or written, or somebody else holds them."""
