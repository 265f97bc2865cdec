"""Every error that a user can see: what happened, and what to do now."""

from __future__ import annotations

import threading


def raise_if_interrupt(error: BaseException) -> None:
    """Raise it again if it is Ctrl-C, which Python brings to the main thread alone.

    All else that foreign code raises ends nothing of ours: not even `SystemExit`, with which a program would end as if
    all were well, or a thread that others wait for.
    """
    if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
        raise error


class ClusterctlError(Exception):
    """An error that the user can act on. It is shown as two lines, ``error:`` and ``try:``, without a traceback."""

    exit_code = 1

    def __init__(self, message: str, *, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __reduce__(self) -> tuple[object, ...]:
        """Travel between processes, though `remedy` has to be named."""
        return _make_again, (type(self), self.args, self.__dict__)


def _make_again(kind: type[ClusterctlError], args: tuple[object, ...], state: dict[str, object]) -> ClusterctlError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class UsageError(ClusterctlError):
    """The command line is wrong."""

    exit_code = 2


class UnprovenError(UsageError):
    """Machines have the name of a cluster, and nothing here proves that they are of this one."""


class DeclinedError(ClusterctlError):
    """The user answered no to a question: nothing was changed."""

    exit_code = 3


class ConfigError(ClusterctlError):
    """The config file is wrong. The error carries all problems, not only the first."""

    exit_code = 2

    def __init__(self, problems: tuple[str, ...], *, remedy: str) -> None:
        super().__init__("\n".join(problems), remedy=remedy)
        self.problems = problems


class ProviderError(ClusterctlError):
    """The provider of the machines refused a request or failed."""


class RemoteError(ClusterctlError):
    """A node could not be reached, or a command on it failed.

    Attributes:
        node: the alias of the node.
        status: the command's exit status, or None if it did not run or did not end.
        output: the last lines that the command printed.
    """

    def __init__(
        self, message: str, *, remedy: str, node: str = "", status: int | None = None, output: str = ""
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.node = node
        self.status = status
        self.output = output


class RefusedError(RemoteError):
    """A login that fails however long one waits: an untrusted host key, or no key of ours is accepted."""


class LostError(RemoteError):
    """A connection broke, or a command did not begin or end in time. A second try may succeed."""


class OwnerError(RemoteError):
    """Another run of clusterctl is at work on the node, or has taken it over."""


class PluginError(ClusterctlError):
    """A plugin cannot be loaded, or its work on a node failed."""


class DeadlineError(ClusterctlError):
    """A wait reached its deadline."""


class StateError(ClusterctlError):
    """The laptop's files of a cluster cannot be read or written, or another process holds their lock."""


class NewerFormatError(StateError):
    """A newer version of clusterctl wrote a record in a format that this version does not know."""
