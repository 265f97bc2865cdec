"""A function comes as bytecode. That of another Python ends the engine, or does something else than was written.

What is sent does not say which Python compiled it. But each has opcodes of its own, and its own number of empty places
behind each of them: a function of another version that fits in all of its instructions is the same in both.
"""

from __future__ import annotations

import dis
import sys
from functools import cache
from types import CodeType
from typing import Any

from . import guards

_FIRST_WITH_CACHES = (3, 11)


def apply(codeutil: Any) -> None:
    """Have functions of another Python refused with an error, by this module of ipyparallel."""
    reason = guards.difference(guards.Expected(codeutil, "code_ctor", ("args",), ("types", "CodeType")))
    if reason:
        guards.leave_alone(reason, "a function of another Python may end an engine")
        return

    def code_ctor(*args: Any) -> CodeType:
        try:
            code = CodeType(*args)
        except (TypeError, ValueError) as error:
            raise _refusal() from error
        if not fits(code):
            raise _refusal()
        return code

    # Code that goes back is pickled with the name of this function: the client looks for it there.
    code_ctor.__module__, code_ctor.__qualname__ = codeutil.__name__, "code_ctor"
    codeutil.code_ctor = code_ctor


def _refusal() -> TypeError:
    here = ".".join(map(str, sys.version_info[:2]))
    return TypeError(
        f"the function was compiled by another Python than this engine's, which is {here}:"
        f" run your program with Python {here}, or start the cluster from the Python that you use"
    )


def fits(code: CodeType) -> bool:
    """Return whether this Python could have made the instructions. Before 3.11 nothing tells, and all fit."""
    if sys.version_info < _FIRST_WITH_CACHES:
        return True
    places, constants = _places_behind(), len(code.co_consts)
    text, position, extended, resumes = code.co_code, 0, 0, False
    if len(text) % 2:
        return False
    while position < len(text):
        operation, argument = text[position], text[position + 1] | extended << 8
        behind = places.get(operation)
        position += 2
        if behind is None or any(text[position : position + 2 * behind]):
            return False
        if operation == dis.opmap["LOAD_CONST"] and argument >= constants:
            return False
        extended = argument if operation == dis.EXTENDED_ARG else 0
        resumes = resumes or operation == dis.opmap["RESUME"]
        position += 2 * behind
    return resumes and position == len(text)


@cache
def _places_behind() -> dict[int, int]:
    """Return how many empty places follow each operation. Nothing else is empty."""
    known: Any = vars(dis).get("_inline_cache_entries", {})
    places = {}
    for name, operation in dis.opmap.items():
        if 0 < operation < 256:
            places[operation] = known.get(name, 0) if isinstance(known, dict) else known[operation]
    return places
