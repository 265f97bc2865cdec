"""jupyter_client calls a session without a key insecure, in the log of every process. CURVE makes it secure.

Our connection files have a key for signatures, or else CURVE keys: a session without a key is one with CURVE.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from . import guards

if TYPE_CHECKING:
    import logging

_NOTICE = "Message signing is disabled"


def apply(session_class: Any) -> None:
    """Keep the notice about missing signatures out of the logs; it is given by this class of sessions."""
    module = sys.modules[session_class.__module__]
    uses = ("key", "get_logger", "warning")
    reason = guards.difference(
        guards.Expected(session_class, "__init__", ("self", "kwargs"), uses), guards.Expected(module, "get_logger", ())
    )
    if reason:
        guards.leave_alone(reason, "logs say that signing is disabled, though CURVE protects", library="jupyter_client")
        return
    own = module.get_logger

    def get_logger() -> Any:
        logger = own()
        getattr(logger, "logger", logger).addFilter(tells_more)  # of an adapter, the logger behind it
        return logger

    module.get_logger = get_logger  # type: ignore[attr-defined]


def tells_more(record: logging.LogRecord) -> bool:
    """Return whether a message is another one."""
    return not str(record.msg).startswith(_NOTICE)
