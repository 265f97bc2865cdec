"""The watch: look, decide, act, and look again."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clusterctl.clock import Deadline, Stopwatch, pause
from clusterctl.errors import ClusterctlError, NewerFormatError, StateError
from clusterctl.laptop.lock_files import hold, holder_pid
from clusterctl.operations.watching.acting import ChangedError, act_on
from clusterctl.operations.watching.deciding import Act, Decision, Memory, decide
from clusterctl.operations.watching.sight import look_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from clusterctl.operations.context import RunContext

WATCH_FILE = "watch.lock"
"""The file that the process holds that watches over a cluster."""
_SOON_S = 3.0
"""Until the next look, where this one has left a doubt."""
_RETRY_S, _RETRY_MOST_S = 30.0, 600.0
"""Before what failed is tried again; twice as long each time. A cloud without capacity stays so for a while."""


@dataclass(frozen=True)
class Outcome:
    """A decision, and what became of it."""

    decision: Decision
    seconds: float | None = None
    """How long it took; None where it was not done."""
    error: str = ""
    """Why it did not succeed; empty where it did."""


@dataclass
class _Patience:
    """When something that failed may be tried again."""

    failures: dict[Act, int] = field(default_factory=dict)
    until: dict[Act, Deadline] = field(default_factory=dict)
    errors: dict[Act, str] = field(default_factory=dict)
    """What went wrong at the last try."""

    def allows(self, act: Act) -> bool:
        return act not in self.until or self.until[act].is_over

    def take(self, act: Act, error: str) -> None:
        if not error:
            self.failures.pop(act, None)
            self.until.pop(act, None)
            self.errors.pop(act, None)
            return
        self.errors[act] = error
        count = self.failures[act] = self.failures.get(act, 0) + 1
        self.until[act] = Deadline.after(min(_RETRY_MOST_S, _RETRY_S * 2 ** (count - 1)))


class Watch:
    """Watches over one cluster."""

    def __init__(
        self,
        look_context: Callable[[], RunContext],
        act_context: Callable[[], RunContext],
        tell: Callable[[Outcome], None],
        *,
        dry_run: bool = False,
    ) -> None:
        """Begin to watch.

        Args:
            look_context: returns the context of a look.
            act_context: returns that of an act, which needs a config without faults.
            tell: called with each decision, before it is acted upon and after.
            dry_run: only tell.
        """
        self._look_context, self._act_context = look_context, act_context
        self._tell = tell
        self._dry_run = dry_run
        self._memory = Memory()
        self._patience = _Patience()
        self._trouble = ""
        self._before: set[tuple[Act, str, int]] = set()
        """What a dry run has told at the look before: it is not told again."""
        self._failed = False

    def run(self, every_s: float, *, once: bool = False) -> bool:
        """Look again and again, until there is nothing to watch over. Return whether all that was done succeeded.

        Args:
            every_s: seconds between two looks.
            once: until a look leaves no doubt.

        Raises:
            StateError: another process watches over the cluster.
        """
        with _alone(self._look_context()):
            while True:
                decisions = self.look()
                has_doubts = self._memory.has_doubts
                if any(decision.act == Act.END for decision in decisions) or (once and not has_doubts):
                    return not self._failed
                pause(min(every_s, _SOON_S) if has_doubts else every_s)

    def look(self) -> list[Decision]:
        """Look once, and act. Return what was decided."""
        try:
            sight = look_at(self._look_context())
        except NewerFormatError:
            raise
        except ClusterctlError as exc:
            self._failed = True
            self._tell_trouble(exc.message)
            return []
        self._tell_trouble("")
        decisions = decide(sight, self._memory)
        for decision in decisions:
            is_only_told = self._dry_run or decision.act in {Act.NOTE, Act.END}
            if is_only_told and _subject(decision) not in self._before:
                self._tell(Outcome(decision))
        if not self._dry_run:
            for together in _group(decisions):
                if self._patience.allows(together[0].act):
                    self._act(together)
        self._before = set(map(_subject, decisions)) if self._dry_run else set()
        return decisions

    def _tell_trouble(self, text: str) -> None:
        if text and text != self._trouble:
            self._tell(Outcome(Decision(Act.NOTE, "", f"nothing can be seen: {text}")))
        elif self._trouble and not text:
            self._tell(Outcome(Decision(Act.NOTE, "", "it can be seen again")))
        self._trouble = text

    def _act(self, decisions: Sequence[Decision]) -> None:
        """Do what was decided about one node, or about several at once."""
        first, watch, error = decisions[0], Stopwatch(), ""
        before = self._patience.errors.get(first.act) if first.act == Act.GROW else None
        if before is None:  # that no node is to be had is said once, however often it is tried
            for decision in decisions:
                self._tell(Outcome(decision))
        try:
            act_on(self._act_context(), first, [decision.node for decision in decisions[1:]])
        except ChangedError as exc:
            self._memory.growth.forget([decision.node for decision in decisions])
            self._tell(Outcome(Decision(Act.NOTE, first.node, exc.message)))
            return
        except ClusterctlError as exc:
            error = f"{exc.message} (try: {exc.remedy})"
            self._failed = True
        self._patience.take(first.act, error)
        if first.act == Act.GROW and not error:
            self._memory.growth.come_s = watch.elapsed_s
        if not error or error != before:
            for decision in decisions:
                self._tell(Outcome(decision, watch.elapsed_s, error))


def _subject(decision: Decision) -> tuple[Act, str, int]:
    """Return what a decision is about, whatever words it has: how much waits is another number at each look."""
    return decision.act, decision.node, decision.size


def _group(decisions: Sequence[Decision]) -> list[list[Decision]]:
    """Return the decisions to act upon: who brings one node back brings all of them back, each replacement is alone."""
    alone = [[decision] for decision in decisions if decision.act == Act.REPLACE]
    together = [
        [decision for decision in decisions if decision.act == act]
        for act in (Act.BRING_BACK, Act.REPAIR, Act.LET_GO, Act.GROW, Act.SHRINK)
    ]
    return [*alone, *filter(None, together)]


@contextmanager
def _alone(context: RunContext) -> Iterator[None]:
    """Be the only process that watches over this cluster on this computer.

    Others' commands, and those of other computers, are kept apart by the cluster's lock and the owner of its nodes.
    """
    path = context.folder.path / WATCH_FILE
    with hold(path) as mine:
        if not mine:
            raise StateError(
                f"process {holder_pid(path) or 'unknown'} watches over {context.name} already",
                remedy="end it first, or leave it alone",
            )
        yield
