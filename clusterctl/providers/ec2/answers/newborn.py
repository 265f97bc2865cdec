"""What this run has made, and EC2 may not know everywhere yet.

EC2's answers lag behind what it has made, for seconds as a rule
(https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html).
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_MAKES = ("create_", "import_")
_ENDS = ("delete_", "terminate_", "deregister_")
_IDS = frozenset(
    {"FleetId", "GroupId", "ImageId", "InstanceIds", "KeyName", "KeyPairId", "LaunchTemplateId", "SnapshotId"}
    | {"VolumeId"}
)
"""Keys of answers whose values are what was made."""
_NAMES = ("GroupName", "KeyName", "LaunchTemplateName")
"""Parameters that name what is made."""
_ANY_ID = re.compile(r"\b[a-z]{1,8}-[0-9a-f]{8,17}\b")


class Newborn:
    """The ids and names of what this run has made and not deleted. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: set[str] = set()

    def add(self, *names: str) -> None:
        """Take these for made in this run."""
        with self._lock:
            self._known.update(names)

    def forget(self, names: Iterable[str]) -> None:
        """Take these for old enough to be known everywhere, or for gone."""
        with self._lock:
            self._known.difference_update(names)

    def note_answer(self, operation: str, parameters: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        """Remember what a call has made, or forget what it has deleted."""
        if operation.startswith(_ENDS):
            self.forget(_strings_in(parameters))
        elif operation.startswith(_MAKES) and operation != "create_tags":
            self.add(*_values_of(answer), *(parameters[key] for key in _NAMES if key in parameters))

    def are_named_in(self, parameters: Mapping[str, Any]) -> bool:
        """Return whether a call names something that this run has made."""
        with self._lock:
            return any(text in self._known for text in _strings_in(parameters))

    def is_told_by(self, message: str) -> bool:
        """Return whether a message that something is missing can mean what this run has made."""
        with self._lock:
            return any(name in message for name in self._known) or not _ANY_ID.search(message)


def _values_of(answer: Any) -> Iterator[str]:
    if isinstance(answer, dict):
        for key, value in answer.items():
            if key in _IDS:
                yield from _strings_in(value)
            else:
                yield from _values_of(value)
    elif isinstance(answer, list):
        for value in answer:
            yield from _values_of(value)


def _strings_in(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings_in(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _strings_in(inner)
