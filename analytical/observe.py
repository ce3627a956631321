"""What became of every hit, counted: ``Observer`` is told, ``Ledger`` adds up, ``Hooks`` calls back."""

from __future__ import annotations

import itertools
import os
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

from .hit import Hit
from .verdict import Verdict

__all__ = ["STATES", "Hooks", "Ledger", "Observer", "State"]

#: The states in which an accepted hit can end.
State = Literal["delivered", "unconfirmed", "rejected", "expired", "dropped"]
STATES: tuple[State, ...] = ("delivered", "unconfirmed", "rejected", "expired", "dropped")


class Observer(Protocol):
    """Is told of every step; must be quick, must not raise, may be called from any thread.

    An observer that also has ``settled_many(to, hits, state)`` is told of a batch that ended alike in one call. One
    that has ``one()`` is told of a single accepted hit by that, in the caller's thread, which waits while it runs.
    """

    def accepted(self, to: str, count: int = 1) -> None:
        """Hits were taken into the spool, or into an inline exchange; also those found in a durable spool."""

    def settled(self, to: str, hit: Hit, state: State, reason: str = "") -> None:
        """A hit reached its end."""

    def retried(self, to: str, hit: Hit, verdict: Verdict) -> None:
        """A hit will be tried again."""

    def noted(self, to: str, what: str, count: int = 1) -> None:
        """Something happened on the way: ``withheld:dnt``, ``cut``, ``nan``, ``rule_error``, ``duplicate`` …"""


class Ledger:
    """Counts; ``accepted = delivered + unconfirmed + rejected + expired + dropped + pending`` always holds.

    Pending is what is left: a hit that no state has claimed is pending by definition, so the equation cannot
    be broken by a missed count, and a wrong count shows as a pending number that disagrees with the spool.

    A forked child begins with zeros: what its parent accepted is its parent's to account for.
    """

    def __init__(self) -> None:
        # Reentrant: a signal handler that records a hit may interrupt this thread in the middle of counting.
        self._lock = threading.RLock()
        self._counts: Counter[str] = Counter()
        # The one count that the caller's thread makes: a step of its own, without a lock. Reading is a step too.
        self._ones = itertools.count()
        self._reads = 0
        #: Counts one accepted hit, as ``accepted(to)`` does.
        self.one: Callable[[], object] = self._ones.__next__
        _remember(self)

    def accepted(self, to: str, count: int = 1) -> None:
        if count == 1:
            self.one()
        else:
            with self._lock:
                self._counts["accepted"] += count

    def settled(self, to: str, hit: Hit, state: State, reason: str = "") -> None:
        with self._lock:
            self._counts[state] += 1

    def settled_many(self, to: str, hits: Sequence[Hit], state: State) -> None:
        """Count hits that ended alike."""
        with self._lock:
            self._counts[state] += len(hits)

    def retried(self, to: str, hit: Hit, verdict: Verdict) -> None:
        with self._lock:
            self._counts["note:retried"] += 1
            if verdict.ambiguous:
                self._counts["note:ambiguous"] += 1

    def noted(self, to: str, what: str, count: int = 1) -> None:
        with self._lock:
            self._counts["withheld" if what.startswith("withheld") else f"note:{what}"] += count

    def stats(self) -> dict[str, int]:
        """Return one consistent snapshot: ``accepted``, the five states, ``pending`` and ``withheld``."""
        with self._lock:
            counts = dict(self._counts)
            # Read after the states, because a hit is accepted before it ends.
            counts["accepted"] = counts.get("accepted", 0) + next(self._ones) - self._reads
            self._reads += 1
        snapshot = {name: counts.get(name, 0) for name in ("accepted", *STATES)}
        snapshot["pending"] = snapshot["accepted"] - sum(snapshot[name] for name in STATES)
        snapshot["withheld"] = counts.get("withheld", 0)
        return snapshot

    def notes(self) -> Mapping[str, int]:
        """Return what was done to hits on the way: ``{"cut": 2, "nan": 1, "retried": 5 …}``."""
        with self._lock:
            return {name[5:]: count for name, count in self._counts.items() if name.startswith("note:")}

    def _begin_anew(self) -> None:
        self._lock = threading.RLock()
        self._counts = Counter()
        self._reads = next(self._ones) + 1


class Hooks:
    """An observer made of functions, for who wants to be told and not to count.

    Args:
        on_delivered: called with the hit when its platform took it, confirmed or not.
        on_retry: called with the hit and the verdict each time it will be tried again.
        on_lost: called with the hit and the reason when it was rejected, expired or dropped.
    """

    def __init__(
        self,
        *,
        on_delivered: Callable[[Hit], object] | None = None,
        on_retry: Callable[[Hit, Verdict], object] | None = None,
        on_lost: Callable[[Hit, str], object] | None = None,
    ) -> None:
        self._delivered = on_delivered
        self._retry = on_retry
        self._lost = on_lost

    @classmethod
    def of(cls, observer: object) -> Hooks | None:
        """Return the hooks of an object that has ``on_delivered``, ``on_retry`` or ``on_lost``, if it has any."""
        found = {name: getattr(observer, name, None) for name in ("on_delivered", "on_retry", "on_lost")}
        return cls(**found) if any(found.values()) else None

    def accepted(self, to: str, count: int = 1) -> None:
        """Nobody is told."""

    def settled(self, to: str, hit: Hit, state: State, reason: str = "") -> None:
        if state in ("delivered", "unconfirmed"):
            if self._delivered is not None:
                self._delivered(hit)
        elif self._lost is not None:
            self._lost(hit, f"{state}: {reason}" if reason else state)

    def retried(self, to: str, hit: Hit, verdict: Verdict) -> None:
        if self._retry is not None:
            self._retry(hit, verdict)

    def noted(self, to: str, what: str, count: int = 1) -> None:
        """Nobody is told."""


#: The ledgers of this process, for the moment after a fork. A list, because its append is one step.
_ledgers: list[weakref.ref[Ledger]] = []
_watching: list[bool] = []


def _remember(ledger: Ledger) -> None:
    if not _watching:
        _watching.append(True)
        os.register_at_fork(after_in_child=_after_fork)
    _ledgers.append(weakref.ref(ledger, _forget))


def _forget(reference: weakref.ref[Ledger]) -> None:
    _ledgers.remove(reference)


def _after_fork() -> None:
    for ledger in filter(None, [reference() for reference in tuple(_ledgers)]):
        ledger._begin_anew()
