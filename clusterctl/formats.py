"""Format numbers of the records that outlive a command. What a newer version wrote is refused, not guessed.

A record without a number has format 0: it was written by clusterctl 0.1. A number grows when an older version could
not read, or not undo, what a newer one writes (docs/decisions/0059-formats.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from clusterctl import __version__
from clusterctl.errors import NewerFormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

A = TypeVar("A")
T = TypeVar("T")
VERSION = __version__
"""The version that writes now."""
_NUMBER, _WRITER = "format", "written_by"


@dataclass(frozen=True)
class Format:
    """The format of one kind of record."""

    kind: str
    """The kind, for messages: ``the journal``."""
    number: int
    """The format that this version writes. It reads this one and all below."""

    def stamp(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Return the content with the number of its format, and the version that writes it."""
        return {_NUMBER: self.number, _WRITER: VERSION, **content}

    def unstamp(self, content: object, place: object) -> dict[str, Any]:
        """Return the content of a record without its stamp.

        Raises:
            NewerFormatError: a newer version wrote it.
            ValueError: it is no JSON object, or its number is none.
        """
        if not isinstance(content, dict):
            raise ValueError(f"{self.kind} is no JSON object")  # noqa: TRY004  for callers one of the ways to be damaged
        self.check(content.get(_NUMBER), content.get(_WRITER), place)
        return {key: value for key, value in content.items() if key not in {_NUMBER, _WRITER}}

    def check(self, number: object, writer: object, place: object) -> int:
        """Return the format of a record from its number, which is missing or empty in a record of format 0.

        Args:
            number: the number, or its text.
            writer: the version that wrote the record, if it is known.
            place: the place of the record, for messages.

        Raises:
            NewerFormatError: this version does not know the format.
            ValueError: the number is none.
        """
        record_format = int(str(number)) if number not in (None, "") else 0
        if record_format > self.number:
            version = str(writer or "")
            raise NewerFormatError(
                f"{self.kind} {place} has format {record_format}, which clusterctl"
                f" {version or 'of a newer version'} wrote, and this clusterctl {VERSION} knows {self.number} at most",
                remedy="install what wrote it, or a newer one: "
                + (f"`pip install 'clusterctl>={version}'`" if version else "`pip install --upgrade clusterctl`"),
            )
        return record_format


def read_known(read: Callable[[A], T], sources: Iterable[A]) -> list[T]:
    """Return what `read` makes of each source, without those that a newer version wrote.

    For questions about all clusters. A question about one cluster is refused.
    """
    results = []
    for source in sources:
        try:
            results.append(read(source))
        except NewerFormatError:
            continue
    return results
