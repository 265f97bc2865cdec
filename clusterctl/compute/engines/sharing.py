"""Has engines that have nothing to do take over what waits behind long work, or where a node ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from clusterctl.compute.channel import Channel
    from clusterctl.compute.engines.crew import Chunk, Crew


class Sharing:
    """Asks engines to leave chunks that they have not begun. Used in the dispatcher's thread alone."""

    def __init__(self, channel: Channel, crew: Crew, put: Callable[[Callable[[], object]], object]) -> None:
        """Nothing is asked yet.

        Args:
            channel: the way to the engines.
            crew: the engines.
            put: has something done in the dispatcher's thread.
        """
        self._channel, self._crew, self._put = channel, crew, put

    def ask_for_stuck(self, *, only_draining: bool) -> None:
        """Ask for all chunks that wait where a node ends, and for one for each engine that has nothing to do.

        Args:
            only_draining: something is left to give to those that have nothing to do.
        """
        for chunk in self._crew.stuck(only_draining=only_draining):
            self._ask_for(chunk)

    def _ask_for(self, chunk: Chunk) -> None:
        asked = self._channel.take_back(chunk.engine.uuid, [(chunk.id, chunk.message)], interrupt=False)
        asked.add_done_callback(lambda done: self._put(lambda: _hear_shared(chunk, done)))


def _hear_shared(chunk: Chunk, asked: Future[Any]) -> None:
    """Bring a chunk elsewhere that its engine has not begun."""
    is_still_there = chunk in chunk.engine.chunks and not chunk.work.is_over
    if is_still_there and asked.exception() is None and chunk.id in asked.result()["content"]["waited"]:
        chunk.is_elsewhere = True
        chunk.work.pending.give_back(chunk.places)
