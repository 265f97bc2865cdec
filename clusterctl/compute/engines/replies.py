"""What an engine says of a chunk."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clusterctl.compute.failures import EngineTroubleError, StoreError, unpack_failure
from clusterctl.errors import raise_if_interrupt

if TYPE_CHECKING:
    from clusterctl.compute.engines.crew import Chunk


@dataclass
class Reply:
    """The outcome of the first items of a chunk; the engine has given back the rest."""

    done: int = 0
    seconds: float = 0.0
    values: list[Any] = field(default_factory=list)
    errors: dict[int, BaseException] = field(default_factory=dict)
    """By their place in the chunk."""
    lacks_function: bool = False
    """Whether the engine does not have the function any more."""
    lacking: list[str] = field(default_factory=list)
    """The large arrays that the engine does not have, by name."""
    fatal: BaseException | None = None
    """Why no chunk of this map can be worked on there."""


def read_reply(pickled: bytes, chunk: Chunk) -> Reply:
    """Unpickle a reply. What is unpickled runs code that the engine has chosen."""
    try:
        return _read_reply(pickled, chunk)
    except BaseException as exc:  # it is somebody else's code
        raise_if_interrupt(exc)
        return Reply(fatal=exc)


def _read_reply(pickled: bytes, chunk: Chunk) -> Reply:
    done, seconds, packed_values, failures, (trouble, detail) = pickle.loads(pickled)
    if trouble == "python":
        problem = f"engine {chunk.engine.id} runs Python {detail}, which cannot read what another Python sends"
        return Reply(fatal=EngineTroubleError(problem, remedy=f"run this in Python {detail}"))
    if trouble == "function":
        return Reply(lacks_function=True)
    if trouble == "objects":
        return Reply(lacking=detail.split())
    if trouble == "store":
        return Reply(fatal=StoreError.on_node(detail, chunk.engine.id))
    if trouble:
        return Reply()  # it was interrupted, and nothing of it is done
    errors = {offset: unpack_failure(packed, _where(chunk, offset)) for offset, packed in failures}
    if -1 in errors:  # of the chunk as a whole
        return Reply(fatal=_with_remedy(errors[-1]))
    values = pickle.loads(packed_values)
    if not isinstance(values, list) or not len(values) == done <= len(chunk.places):
        problem = f"engine {chunk.engine.id} has answered what nobody asked"
        return Reply(fatal=EngineTroubleError(problem, remedy="see `clusterctl logs`"))
    return Reply(done, seconds, values, errors)


def _where(chunk: Chunk, offset: int) -> str:
    return f"item {chunk.places[max(offset, 0)]}, on engine {chunk.engine.id}"


def _with_remedy(error: BaseException) -> BaseException:
    """Return the error of an engine that could not unpickle; with a remedy where one is known."""
    if isinstance(error, ModuleNotFoundError):
        where = "PACKAGES of [plugin packages] in the config"
        remedy = f"add its package to {where}, and `clusterctl start` the cluster again"
        return EngineTroubleError(f"an engine has no module {error.name}, which is needed there", remedy=remedy)
    return error
