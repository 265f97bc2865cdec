"""What a map raises: the exception of the user's own function, with where it happened, or an error of ours."""

from __future__ import annotations

import os
import pickle
from multiprocessing import pool
from typing import Any

from clusterctl.errors import ClusterctlError, raise_if_interrupt

_TOO_LARGE = "too large"
"""The kind of a failure that is no exception of a task's."""
RemoteTraceback: Any = vars(pool)["RemoteTraceback"]
"""multiprocessing's own, which the types of Python do not know."""


class TaskError(Exception):
    """The exception of a task that could not be sent as itself. Its text names the type."""


class CrashError(ClusterctlError):
    """An item has ended each engine that worked on it."""


class NoEnginesError(ClusterctlError):
    """No engine is there to work."""


def refuse_in_fork(process: int) -> None:
    """Refuse what a copy of a process cannot do: it has neither the threads of a client nor its connections.

    Args:
        process: the id of the process that has them.

    Raises:
        NoEnginesError: this is another one.
    """
    if os.getpid() != process:
        raise NoEnginesError(
            f"this client is of the process {process}, of which this one is a copy (by fork, as multiprocessing makes"
            " them): its connections are not here",
            remedy="call `clusterctl.connect()` in this process",
        )


class EngineTroubleError(ClusterctlError):
    """An engine cannot work on what this client sends."""


class TooLargeError(ClusterctlError):
    """More was to be sent than a controller should carry."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem, remedy="write it to a file in the home that all nodes share, and send its path")

    def __reduce__(self) -> tuple[type[TooLargeError], tuple[str]]:
        return type(self), (self.message,)


class StoreError(ClusterctlError):
    """A large array cannot be brought to the nodes."""

    @classmethod
    def on_node(cls, problem: str, engine: int) -> StoreError:
        """Return the error for what an engine says of its folder."""
        where = "the folder of large arrays"
        remedy = "make room (`clusterctl exec NAME df -h` shows the disks), or pass max_nbytes=None to do without files"
        return cls(f"engine {engine} cannot use {where}: {problem}", remedy=remedy)


def unpack_failure(packed: tuple[bytes, str, str, str], where: str) -> BaseException:
    """Return the exception of a task, with its remote traceback as its cause, and a note that says where it was.

    Args:
        packed: what the engine sent: the pickled exception or nothing, its type, its text, its traceback.
        where: the item and the engine, as a person reads it.
    """
    pickled, kind, text, traceback = packed
    error: BaseException
    if kind == _TOO_LARGE:
        return TooLargeError(f"{where}: {text}")
    try:
        error = pickle.loads(pickled) if pickled else TaskError(f"{kind}: {text}")
    except BaseException as exc:  # it is somebody else's code
        raise_if_interrupt(exc)
        error = TaskError(f"{kind}: {text}")
    if not isinstance(error, BaseException):
        error = TaskError(f"{kind}: {text}")
    error.__cause__ = RemoteTraceback(f'\n"""\n{traceback}"""')
    if hasattr(error, "add_note"):  # from Python 3.11 on
        error.add_note(where)
    return error


def pack_failure(error: BaseException) -> bytes:
    """Return the bytes of an exception as it is to be raised elsewhere, with its notes and its remote traceback."""
    kind = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    trace = str(error.__cause__) if isinstance(error.__cause__, RemoteTraceback) else ""
    notes = list(getattr(error, "__notes__", ()))
    try:
        import cloudpickle

        pickled = bytes(cloudpickle.dumps(error.with_traceback(None)))
        pickle.loads(pickled)  # many exceptions can be written and not read
    except BaseException as exc:  # it is somebody else's code
        raise_if_interrupt(exc)
        pickled = b""
    return pickle.dumps(((pickled, kind, str(error), trace), notes))


def read_failure(packed: bytes) -> BaseException:
    """Return the exception that was packed."""
    failure, notes = pickle.loads(packed)
    error = unpack_failure(failure, "")
    error.__cause__ = RemoteTraceback(failure[3]) if failure[3] else None
    error.__dict__["__notes__"] = notes
    return error
