"""Commands as lines that every login shell understands."""

from __future__ import annotations

_WORD = 2000
"""Longest word for a login shell, in characters; some shells accept no more than a few thousand."""


def quote_for_login_shell(command: str) -> str:
    """Return a POSIX shell command as a line that every login shell understands: csh and fish quote differently.

    Characters that one of them would change within single quotes are written as octal numbers.
    """
    letters = [
        letter
        if " " <= letter <= "~" and letter not in "'\\!"
        else "".join(f"\\0{byte:03o}" for byte in letter.encode(errors="surrogateescape"))
        for letter in command
    ]
    if "".join(letters) == command and len(command) <= _WORD:
        return f"sh -c '{command}'"
    words = ["".join(letters[start : start + _WORD // 4]) for start in range(0, len(letters), _WORD // 4)]
    return """sh -c 'eval "$(printf %b "$@")"' sh """ + " ".join(f"'{word}'" for word in words)
