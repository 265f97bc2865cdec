"""Decides when a cluster ends: pure, from the terms, what was, what is, and how much time has passed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from .records import AWAKE, ENDED, ENDING, WARNED, Beat, Keep, State

if TYPE_CHECKING:
    from .clocks import Moment
    from .records import Terms

_GAP_S = 60.0
"""Who has not looked for so long cannot say that nobody worked."""
_GRACE_S = 20 * 60.0
"""A machine that has just booted is not ended by its old terms: the `start` that booted it wants to join it."""
_MOST_KEPT_S = 30 * 86_400.0
CLIENT = "the program that it was started for is gone"
COST = "MAX_COST is reached"
LIFETIME = "LIFETIME is over"


class Wishes(NamedTuple):
    """What others have asked for since, as the home has it."""

    keep: Keep | None
    beat: Beat | None


def judge(terms: Terms, before: State, now: Moment, *, busy: str, wishes: Wishes) -> State:
    """Return the state after a look."""
    state = let_time_pass(before, now)
    if now.since(before.looked)[0] > max(_GAP_S, 5 * terms.every_s) or before.boot != now.boot:
        state = replace(state, idle_s=0.0, client_s=0.0, warned_s=0.0)
    if before.boot and before.boot != now.boot:
        state = replace(state, young_s=_GRACE_S)
    if state.nonce != terms.nonce:
        # Whoever starts a cluster that has ended begins another life of it.
        anew = state.life != terms.life or state.phase == ENDED
        state = replace(
            state, nonce=terms.nonce, life=terms.life, phase=AWAKE, idle_s=0.0, terms_s=0.0, client_s=0.0, warned_s=0.0
        )
        state = replace(state, tries=0, ran=False, young_s=0.0)
        state = replace(state, lived_s=0.0, kept_s=0.0) if anew else state
    elif state.phase == ENDED:
        if state.boot == before.boot or not terms.powers_off:
            return state
        # Somebody has switched the machine on again.
        state = replace(state, phase=AWAKE, idle_s=0.0, client_s=0.0, tries=0, ran=False)
    state = _heed(state, wishes)
    state = replace(state, busy=busy, idle_s=0.0 if busy else state.idle_s)
    return _settle(terms, state, now)


def let_time_pass(before: State, now: Moment) -> State:
    """Return the state at a later moment, if nothing but time has passed."""
    awake_s, up_s = now.since(before.looked)
    return replace(
        before,
        boot=now.boot,
        awake_s=now.awake_s,
        up_s=now.up_s,
        idle_s=before.idle_s + awake_s,
        client_s=before.client_s + awake_s,
        lived_s=before.lived_s + up_s,
        terms_s=before.terms_s + up_s,
        kept_s=max(0.0, before.kept_s - up_s),
        young_s=max(0.0, before.young_s - up_s),
        warned_s=before.warned_s + awake_s,
        ending_s=before.ending_s + awake_s if before.phase == ENDING else 0.0,
    )


def _heed(state: State, wishes: Wishes) -> State:
    keep, beat = wishes
    if keep and keep.id and keep.id != state.keep:
        state = replace(state, keep=keep.id[:64], kept_s=max(0.0, min(keep.seconds, _MOST_KEPT_S)))
    if beat and (sign := f"{beat.id[:64]} {beat.count}") != state.client:
        state = replace(state, client=sign, client_s=0.0)
    return state


def _dues(terms: Terms, state: State, now: Moment) -> list[tuple[float, float, str]]:
    """Return each end that is in sight: in how many seconds, how long it is warned of, and why."""
    dues = []
    if terms.idle_s and not state.busy:
        left_s = max(terms.idle_s - state.idle_s, state.young_s)
        dues.append((left_s, terms.warning_s(terms.idle_s), f"nobody has worked for {span(terms.idle_s)}"))
    if terms.client_s:
        dues.append((terms.client_s - state.client_s, terms.warning_s(terms.client_s), CLIENT))
    if terms.lifetime_s:
        left_s = terms.lifetime_s - state.lived_s
        # With so little time left after a boot, it is the boot that counts.
        young = state.lived_s > terms.lifetime_s and now.up_s < _GRACE_S
        dues.append(
            (max(left_s, _GRACE_S - now.up_s) if young else left_s, terms.warning_s(terms.lifetime_s), LIFETIME)
        )
    dues = [(max(due_s, state.kept_s), warn_s, why) for due_s, warn_s, why in dues]
    if terms.max_usd and terms.hourly_usd:  # nobody's wish to keep it makes it cheaper
        left_s = (terms.max_usd - terms.spent_usd) / terms.hourly_usd * 3600 - state.terms_s
        dues.append((left_s, terms.warn_s, COST))
    return dues


def _settle(terms: Terms, state: State, now: Moment) -> State:
    """Return the state with the phase that the nearest end has it in."""
    dues = _dues(terms, state, now)
    if not dues:
        return replace(state, phase=AWAKE, why="", due_s=-1.0, warned_s=0.0)
    due_s, warn_s, why = min(dues)
    state = replace(state, due_s=max(0.0, due_s), why=why)
    if due_s > warn_s:
        return replace(state, phase=AWAKE, warned_s=0.0)
    if state.phase == AWAKE:
        return replace(state, phase=WARNED, warned_s=0.0, due_s=max(due_s, _notice_s(warn_s)))
    # However late this is noticed, as after a sleep, there is a warning, and time to answer it.
    left_s = _notice_s(warn_s) - state.warned_s
    if due_s > 0 or (state.phase == WARNED and left_s > 0):
        return replace(state, phase=WARNED, due_s=max(0.0, due_s, left_s))
    return replace(state, phase=ENDING, due_s=0.0)


def _notice_s(warn_s: float) -> float:
    return min(60.0, warn_s / 2)


def span(seconds: float) -> str:
    """Return a duration as people say it."""
    for unit_s, unit in ((3600, "h"), (60, "min")):
        if seconds >= unit_s and seconds % unit_s == 0:
            return f"{seconds / unit_s:g} {unit}"
    return f"{seconds:g} s"


def about(seconds: float) -> float:
    """Return a duration rounded as people round it."""
    unit_s = 60 if seconds >= 120 else 1
    return unit_s * round(seconds / unit_s)
