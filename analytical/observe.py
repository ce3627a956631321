"""What became of every hit, counted: ``Observer`` is told, ``Ledger`` adds up."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Literal, Protocol

from .hit import Hit
from .verdict import Verdict

__all__ = ["STATES", "Ledger", "Observer", "State"]

#: The states in which an accepted hit can end.
State = Literal["delivered", "unconfirmed", "rejected", "expired", "dropped"]
STATES: tuple[State, ...] = ("delivered", "unconfirmed", "rejected", "expired", "dropped")


class Observer(Protocol):
    """Is told of every step; must be quick, must not raise, may be called from any thread."""

    def accepted(self, to: str, count: int = 1) -> None:
        """Hits were taken into the spool, or into an inline exchange; also those found in a durable spool."""

    def settled(self, to: str, hit: Hit, state: State, reason: str = "") -> None:
        """A hit reached its end."""

    def retried(self, to: str, hit: Hit, verdict: Verdict) -> None:
        """A hit will be tried again."""

    def noted(self, to: str, what: str, count: int = 1) -> None:
        """Something happened to a draft or a hit that does not end it: ``withheld:dnt``, ``cut``, ``nan``, ``rule_error`` …"""


class Ledger:
    """Counts per destination; ``accepted = delivered + unconfirmed + rejected + expired + dropped + pending`` always holds.

    Pending is what is left: a hit that no state has claimed is pending by definition, so the equation cannot
    be broken by a missed count, and a wrong count shows as a pending number that disagrees with the spool.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def accepted(self, to: str, count: int = 1) -> None:
        with self._lock:
            self._counts["accepted"] += count

    def settled(self, to: str, hit: Hit, state: State, reason: str = "") -> None:
        with self._lock:
            self._counts[state] += 1

    def retried(self, to: str, hit: Hit, verdict: Verdict) -> None:
        with self._lock:
            self._counts["note:retried"] += 1

    def noted(self, to: str, what: str, count: int = 1) -> None:
        with self._lock:
            self._counts["withheld" if what.startswith("withheld") else f"note:{what}"] += count

    def stats(self) -> dict[str, int]:
        """Return one consistent snapshot: the six states, ``pending`` and ``withheld``."""
        with self._lock:
            counts = dict(self._counts)
        snapshot = {name: counts.get(name, 0) for name in ("accepted", *STATES)}
        snapshot["pending"] = snapshot["accepted"] - sum(snapshot[name] for name in STATES)
        snapshot["withheld"] = counts.get("withheld", 0)
        return snapshot

    def notes(self) -> Mapping[str, int]:
        """Return what was done to hits on the way: ``{"cut": 2, "nan": 1, "retried": 5 …}``."""
        with self._lock:
            return {name[5:]: count for name, count in self._counts.items() if name.startswith("note:")}
