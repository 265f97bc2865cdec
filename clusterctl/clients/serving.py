"""Answers questions about what a node keeps, from a stream: a line of JSON, then bytes, both ways, until no more come.

The laptop begins such a process over SSH, as the cluster user. So no port is open for it, and it works without a
controller. It ends with the connection.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from clusterctl.errors import ClusterctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import BinaryIO

    Question = dict[str, Any]
    Answer = Callable[[Question], tuple[object, bytes]]

_LONGEST_HEAD = 1 << 20


class CutOffError(Exception):
    """The request was not whole."""


class Service:
    """What a node knows, for who asks by a stream."""

    def __init__(self, source: BinaryIO, answers: Mapping[str, Answer]) -> None:
        """Read nothing yet.

        Args:
            source: where questions come from.
            answers: what answers each question, by what it says is to be done.
        """
        self._source, self._answers = source, answers

    def answer(self) -> tuple[dict[str, object], bytes] | None:
        """Read a question, do it, and return the answer's head and its bytes; None where no more come."""
        line = self._source.readline(_LONGEST_HEAD)
        if not line:
            return None
        try:
            asked = json.loads(line)
            said, content = self._answers[asked["do"]](asked)
        except ClusterctlError as exc:
            return {"error": exc.message, "remedy": exc.remedy, "size": 0}, b""
        except OSError as exc:
            remedy = "see the disk of the master: `df`"
            return {"error": f"{exc.strerror}: {exc.filename}", "remedy": remedy, "size": 0}, b""
        return {"said": said, "size": len(content)}, content

    def take(self, size: int) -> bytes:
        """Return so many bytes that come behind the question.

        Raises:
            CutOffError: they do not come: whoever sent them was killed.
        """
        content = self._source.read(size)
        if len(content) < size:
            raise CutOffError
        return content

    def serve(self, sink: BinaryIO) -> None:
        """Answer until no more questions come."""
        while (answered := self.answer()) is not None:
            head, content = answered
            # Whoever asks knows by the first word that the next question can come here too.
            sink.write(json.dumps({"stays": True, **head}).encode() + b"\n" + content)
            sink.flush()
