"""What a map raises: the exception of the user's own function, with where it happened, or an error of ours."""

from __future__ import annotations

import pickle

from clusterctl.errors import ClusterctlError


class TaskError(Exception):
    """The exception of a task that could not be sent as itself. Its text names the type."""


class CrashError(ClusterctlError):
    """An item has ended each engine that worked on it."""


class NoEnginesError(ClusterctlError):
    """No engine is there to work."""


class EngineTroubleError(ClusterctlError):
    """An engine cannot work on what this client sends."""


class _RemoteTraceback(Exception):  # noqa: N818  it is shown, and never raised
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


def unpack_failure(packed: tuple[bytes, str, str, str], where: str) -> BaseException:
    """Return the exception of a task, with its remote traceback as its cause, and a note that says where it was.

    Args:
        packed: what the engine sent: the pickled exception or nothing, its type, its text, its traceback.
        where: the item and the engine, as a person reads it.
    """
    pickled, kind, text, traceback = packed
    error: BaseException
    try:
        error = pickle.loads(pickled) if pickled else TaskError(f"{kind}: {text}")
    except Exception:  # it is somebody else's code
        error = TaskError(f"{kind}: {text}")
    if not isinstance(error, BaseException):
        error = TaskError(f"{kind}: {text}")
    error.__cause__ = _RemoteTraceback(traceback)
    if hasattr(error, "add_note"):  # from Python 3.11 on
        error.add_note(where)
    return error
