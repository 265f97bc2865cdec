"""Commands as lines that every login shell understands, whichever it is."""

from __future__ import annotations

_WORD = 2000
"""The longest word that a login shell is given; some take no more than a few thousand letters."""


def posix(command: str) -> str:
    """A command of the POSIX shell as a line that every login shell understands: csh and fish quote in other ways.

    What one of them would change within single quotes is written as an octal number.
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
