"""A text that is not displayed."""

from __future__ import annotations


class Secret(str):
    """A text that is displayed as ``***``. ``secret.reveal()`` or ``str.__str__(secret)`` returns the real text."""

    __slots__ = ()

    def __new__(cls, text: str) -> Secret:
        """Make a secret of a text or of another secret, whose str() is not its text."""
        return str.__new__(cls, str.__str__(text))

    def __repr__(self) -> str:
        return "'***'"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def reveal(self) -> str:
        """Return the real text."""
        return str.__str__(self)
