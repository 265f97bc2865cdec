"""A text that is not shown."""

from __future__ import annotations


class Secret(str):
    """A text that shows itself as ``***``; ``str.__str__(secret)`` or ``secret.reveal()`` gives the text."""

    __slots__ = ()

    def __new__(cls, text: str) -> Secret:
        """Of a text, or of another secret, whose str() is not its text."""
        return str.__new__(cls, str.__str__(text))

    def __repr__(self) -> str:
        return "'***'"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def reveal(self) -> str:
        """The text itself."""
        return str.__str__(self)
