"""The locks that a cluster has had: which versions its members keep, and what engines need not start anew for."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from clusterctl.api import Cluster, Note, locks, notes, plural, utc_now

if TYPE_CHECKING:
    from pathlib import Path

_LOCKS = Note("packages locks", dict[str, str])
"""The digest of each lock, by the name of its file."""


class KeptLocks:
    """The locks in a cluster's folder, and how the next one comes about.

    Args:
        cluster: the cluster.
        index: where packages come from.
        max_age_h: for how many hours a lock of the same requirements is good without asking the index.
    """

    def __init__(self, cluster: Cluster, index: locks.Index, *, max_age_h: float) -> None:
        self._cluster = cluster
        self._index = index
        self._max_age_h = max_age_h

    def choose(self, wanted: tuple[str, ...]) -> tuple[str, str]:
        """Return the lock of these requirements, and the digest of the one that it only adds to; empty if it does not.

        Members keep their versions though the index changes: only other packages make them join again, and then too as
        many versions as possible stay.
        """
        former = self._read_former()
        kept = self._cluster.folder / f"lock-{locks.key(wanted)}.txt"
        lock = self._read_kept(kept)
        if lock is None:
            locks.write_lock(kept, self._find_lock(wanted, former))
            lock = locks.read_lock(kept) or ""
        digest = locks.digest(lock)
        digests = self._cluster.recall(_LOCKS) or {}
        self._cluster.remember(_LOCKS, {**digests, kept.name: digest})
        known = self._cluster.recall(notes.ENVIRONMENT)
        grown_from = known if known and known != digest and former and locks.adds_only(former, lock) else ""
        self._cluster.remember(notes.LOADED, self._what_engines_load(digest, known, grows=bool(grown_from)))
        self._cluster.remember(notes.ENVIRONMENT, digest)
        return lock, grown_from or ""

    def _what_engines_load(self, digest: str, known: str | None, *, grows: bool) -> str:
        """Return what engines start anew for: nothing that they have loaded differs while packages only come."""
        loaded = self._cluster.recall(notes.LOADED) or known
        if loaded and (grows or digest == known):
            return loaded
        if not loaded or not loaded.startswith(digest):
            return digest
        # Back to what engines began with, from something that has had more: they may have loaded that.
        return f"{digest}-{locks.digest(f'{loaded} {known}')}"

    def _read_former(self) -> str | None:
        """Return the lock of the environment that the nodes have; None where it is not known."""
        environment = self._cluster.recall(notes.ENVIRONMENT)
        names = [name for name, digest in (self._cluster.recall(_LOCKS) or {}).items() if digest == environment]
        kept = (locks.read_lock(self._cluster.folder / name, environment) for name in names)
        return next((lock for lock in kept if lock is not None), None)

    def _read_kept(self, kept: Path) -> str | None:
        """Return the lock that the cluster has had, as it was written; None if there is none, or it was damaged."""
        if not kept.exists():
            return None
        digests = self._cluster.recall(_LOCKS) or {}
        known = digests.get(kept.name)
        if known is None and not digests:  # of an earlier version, which remembered the last one alone
            known = self._cluster.recall(notes.ENVIRONMENT)
            lock = locks.read_lock(kept, known) or locks.read_lock(kept)
        else:
            lock = locks.read_lock(kept, known)
        if lock is None:
            self._cluster.say(f"{kept} is damaged: the packages are resolved anew")
        return lock

    def _find_lock(self, wanted: tuple[str, ...], former: str | None) -> str:
        """Return a recent lock of the same requirements, else a new one; an old one if the index is out of reach."""
        known = self._cluster.recall(notes.ENVIRONMENT)
        cache = locks.cache_file(locks.key(wanted, self._index))
        age_h = (utc_now().timestamp() - cache.stat().st_mtime) / 3600 if cache.exists() else float("inf")
        recent = locks.read_cached(cache, known) if age_h <= self._max_age_h else None
        if recent is not None and (former is None or locks.adds_only(former, recent)):
            return recent
        self._cluster.say(f"Resolving {plural(len(wanted), 'package')}")
        try:
            lock = locks.resolve(wanted, self._index, former=former or "")
        except locks.IndexOutOfReachError:
            kept = locks.read_cached(cache, known)
            if kept is None:
                raise
            self._cluster.problem(
                f"the package index is out of reach: using the versions resolved {age_h:.0f} hours ago"
            )
            return kept
        if former is None:  # else it is as old as this cluster
            with suppress(OSError):  # only a cache
                locks.write_cached(cache, lock)
        return lock
