"""What a shell says of a script's own mistakes, which may end well all the same: behind ``|| true``, say."""

from __future__ import annotations

import re

_OF_A_SHELL = re.compile(r"^(?:\S*/)?(?:sh|dash|bash): (?:line )?\d+: .*", re.MULTILINE)


def complaints(errors: str) -> list[str]:
    """The lines of a script's error output that the shell itself wrote."""
    return _OF_A_SHELL.findall(errors)
