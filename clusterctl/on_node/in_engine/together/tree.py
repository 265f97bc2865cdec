"""The tree of a group: whose line leads to whom, by their ranks. The root has rank 0."""

from __future__ import annotations


def below(rank: int, size: int, fan_in: int) -> range:
    """Return the ranks whose line leads to this one: 0 is the root, and has the first ones below it."""
    return range(min(size, fan_in * rank + 1), min(size, fan_in * rank + fan_in + 1))


def above(rank: int, fan_in: int) -> int:
    """Return the rank to which the line of this one leads."""
    return (rank - 1) // fan_in


def way_up(rank: int, fan_in: int) -> list[int]:
    """Return the ranks from this one to the root, with both."""
    ranks = [rank]
    while ranks[-1]:
        ranks.append(above(ranks[-1], fan_in))
    return ranks
