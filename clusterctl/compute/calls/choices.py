"""What a pool and its maps are told, checked before anything is connected or sent."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


PLAIN, STAR, APPLY = 0, 1, 2
"""How an item becomes arguments: as it is, as arguments, as a pair of arguments and named ones."""
_LONGEST_S = 10.0**7
"""Beyond it the clock of an engine cannot be set."""


@dataclass(frozen=True)
class Options:
    """What `clusterctl.Pool` is told.

    Raises:
        ValueError: a number is below 1.
        TypeError: the initializer is no function, or a number is none.
    """

    processes: int | None = None
    initializer: Callable[..., object] | None = None
    initargs: tuple[object, ...] = ()
    maxtasksperchild: int | None = None

    def __post_init__(self) -> None:
        check_whole("processes", self.processes)
        if self.processes is not None and self.processes < 1:
            raise ValueError("Number of processes must be at least 1")
        most = self.maxtasksperchild
        if most is not None and (not isinstance(most, int) or most <= 0):
            raise ValueError("maxtasksperchild must be a positive int or None")
        if self.initializer is not None and not callable(self.initializer):
            raise TypeError("initializer must be a callable")


@dataclass(frozen=True)
class MapOptions:
    """What a map is told by name, beyond what multiprocessing has.

    Raises:
        ValueError: a value makes no sense.
        TypeError: a number is none.
    """

    on_error: str = "raise"
    """``raise`` ends a map at the first error; ``return`` puts errors in the places of values."""
    max_crashes: int = 3
    """So many engines may end with an item before it fails with `CrashError`."""
    timeout_s: float | None = None
    """An item that takes longer fails with `TimeoutError`. The time that it waits for an engine does not count."""
    prints: bool = True
    """Whether what tasks print is shown here."""
    progress: bool | None = None
    """Whether the progress is shown to the one who waits. None: where it takes seconds, and he looks at a terminal."""
    max_nbytes: float | None = 1_000_000
    """A NumPy array of so many bytes goes to a file on the nodes, once, and is mapped there. None: none does."""

    def __post_init__(self) -> None:
        if self.on_error not in {"raise", "return"}:
            raise ValueError(f"on_error is raise or return, not {self.on_error!r}")
        check_whole("max_crashes", self.max_crashes)
        check_real("timeout_s", self.timeout_s)
        check_real("max_nbytes", self.max_nbytes)
        if self.max_crashes < 1:
            raise ValueError(f"max_crashes must be 1+, not {self.max_crashes}")
        if self.timeout_s is not None and not 0 < self.timeout_s < _LONGEST_S:
            raise ValueError(f"timeout_s is above 0 and below {_LONGEST_S:.0f}, not {self.timeout_s}")
        if self.max_nbytes is not None and not self.max_nbytes >= 0:
            raise ValueError(f"max_nbytes must be 0 or more, or None, not {self.max_nbytes}")

    @property
    def returns_errors(self) -> bool:
        """Whether errors stand in the places of values."""
        return self.on_error == "return"


def read_map_options(given: Mapping[str, Any]) -> MapOptions:
    """Return what a map was told by name.

    Raises:
        TypeError: there is no option of that name, or a number is none.
        ValueError: a value makes no sense.
    """
    known = [option.name for option in fields(MapOptions)]
    for name in given:
        if name not in known:
            raise TypeError(f"a map has no option {name!r}; it has {', '.join(known)}")
    return MapOptions(**given)


@dataclass(frozen=True)
class Call:
    """What engines are to call for each item.

    Raises:
        ValueError: no item may go out.
        TypeError: a number is none.
    """

    function: Callable[..., Any]
    star: int = PLAIN
    most: int | None = None
    """At most so many items go out at once, of those that are all known."""
    options: MapOptions = field(default_factory=MapOptions)

    def __post_init__(self) -> None:
        check_whole("chunksize", self.most)
        if self.most is not None and self.most < 1:
            raise ValueError(f"Chunksize must be 1+, not {self.most}")


def check_whole(name: str, value: object) -> None:
    """Refuse what cannot count: such a number would fail later, or be rounded."""
    if value is not None and not hasattr(type(value), "__index__"):
        raise TypeError(f"{name} must be a whole number, not {value!r}")


def check_real(name: str, value: object) -> None:
    """Refuse what is no number."""
    if value is not None and not hasattr(type(value), "__float__"):
        raise TypeError(f"{name} must be a number, not {value!r}")
