"""How values and exceptions of tasks travel to the client.

The text of this module is sent behind that of `limits.py` and before that of `chunks.py`: all run as one program.
"""

from __future__ import annotations

import pickle
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # Its text comes before this one.
    from .limits import LimitedBytes, TooLargeError, raise_if_interrupted  # noqa: TC004

TEXT = 100_000
"""The most characters of an exception's text, and of its traceback."""
EXCEPTION_BYTES = 16 * 2**20
"""The most that an exception may have that travels as itself."""
PLAIN = frozenset({type(None), bool, int, float})
TOO_LARGE = "too large"
"""The kind of a failure that is no exception."""


class Failure:
    """How an exception travels: itself where it can be pickled, and always as text."""

    def __init__(self, error: BaseException) -> None:
        self.kind = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
        self.text = _text(error)[:TEXT]
        self.traceback = _traceback(error)[-TEXT:]
        self.error = error

    def packed(self) -> tuple[bytes, str, str, str]:
        """Return what goes to the client."""
        try:
            pickled = dumps(self.error.with_traceback(None), EXCEPTION_BYTES)
            pickle.loads(pickled)  # many exceptions can be written and not read
        except BaseException as error:
            raise_if_interrupted(error)
            pickled = b""
        return pickled, self.kind, self.text, self.traceback


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException as wrong:
        raise_if_interrupted(wrong)
        return "its text cannot be made"


def _traceback(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(type(error), error, _own_frames(error)))
    except BaseException as wrong:
        raise_if_interrupted(wrong)
        return "its traceback cannot be made"


def _own_frames(error: BaseException) -> Any:
    """Return the traceback without the frames of this module."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_globals is globals():
        frames = frames.tb_next
    return frames


def dumps(value: object, most: int) -> bytes:
    """Pickle as the client does: functions and classes of `__main__` by value.

    Raises:
        TooLargeError: it has more bytes.
    """
    if type(value) is list and all(type(part) in PLAIN for part in value):
        pickled = pickle.dumps(value, protocol=5)  # which is quicker than to make a pickler that could do more
        if len(pickled) > most:
            raise TooLargeError
        return pickled
    import cloudpickle

    file = LimitedBytes(most)
    cloudpickle.CloudPickler(file, protocol=5).dump(value)
    return file.getvalue()


def pack_values(values: list[Any], failures: list[tuple[int, Any]], most: int) -> bytes:
    """Pickle what came out. What cannot be sent fails by itself, not with its neighbours.

    Args:
        values: by place.
        failures: by place, to which those are added.
        most: the bytes that a message may have.
    """
    try:
        return dumps(values, most)
    except BaseException as wrong:
        raise_if_interrupted(wrong)
        left = most
        for place, value in enumerate(values):
            try:
                left -= len(dumps(value, left))
            except TooLargeError:
                values[place] = None
                failures.append((place, (b"", TOO_LARGE, _say_too_large(value, most), "")))
            except BaseException as error:
                raise_if_interrupted(error)
                values[place] = None
                failures.append((place, Failure(_cannot_send(error, value)).packed()))
        return dumps(values, 2 * most)


def _say_too_large(value: object, most: int) -> str:
    try:
        dumps(value, most)
    except TooLargeError:
        return f"its value has more than {most >> 20} MiB"
    return f"its value and those that came out with it have more than {most >> 20} MiB: chunksize=1 parts them"


def _cannot_send(error: BaseException, value: object) -> Exception:
    from multiprocessing import pool

    encoding_error: type[Exception] = vars(pool)["MaybeEncodingError"]
    try:
        return encoding_error(error, value)
    except BaseException as wrong:  # it has texts of both, which the user's classes make
        raise_if_interrupted(wrong)
        return encoding_error(type(error), type(value))
