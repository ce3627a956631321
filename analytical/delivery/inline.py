"""The hit is sent in the calling thread, once, and is settled before the call returns."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..hit import Hit
from ..observe import State
from ..route import Route
from ..verdict import Verdict
from . import Done
from ._settling import overdue, sent

__all__ = ["InlineDelivery"]


class InlineDelivery:
    """Sends at once and never again.

    Args:
        clock: seconds since 1970.

    An answer of *not now* ends the hit as dropped: there is nothing that could try again. For a program that must
    not lose it, ``delivery="background"``.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._routes: dict[str, Route] = {}

    def attach(self, route: Route) -> None:
        self._routes[route.to] = route

    def submit(self, to: str, hit: Hit, *, done: Done | None = None) -> bool:
        route = self._routes[to]
        route.observer.accepted(to)
        state, reason = self._outcome(route, hit)
        route.observer.settled(to, hit, state, reason)
        if done is not None:
            done(state, reason)
        return state in ("delivered", "unconfirmed")

    def stats(self, to: str) -> dict[str, int] | None:
        return None

    def flush(self, timeout: float | None = None, *, to: str | None = None) -> bool:
        """Nothing ever waits."""
        return True

    def detach(self, to: str, timeout: float | None = None) -> None:
        """Nothing is held open, and the route stays usable."""

    def close(self, timeout: float | None = None) -> None:
        """Nothing is held open."""

    def _outcome(self, route: Route, hit: Hit) -> tuple[State, str]:
        end = overdue(route, hit, self._clock())
        verdict: Verdict = end if end is not None else sent(route, [hit])[0]
        if verdict.state == "retry":
            return "dropped", verdict.reason or "no answer"
        return verdict.state, verdict.reason
