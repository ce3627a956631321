"""``Route``: all that an engine must know of a destination, as one plain value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from .hit import Hit
from .observe import Observer
from .verdict import Verdict

__all__ = ["Route", "Send"]


class Send(Protocol):
    """Carries hits to one destination; returns a verdict for each, in order; never raises for the world's failures."""

    def __call__(self, hits: Sequence[Hit], *, timeout: float | None = None) -> list[Verdict]: ...


def _never(hit: Hit) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Route:
    """A destination.

    Args:
        to: its name in this process's configuration; what a queued entry says instead of an address.
        send: carries hits there.
        observer: is told what becomes of each hit.
        lane: the stream of a hit within which order matters and two requests must not be under way at once; ``None``
            where order is harmless, as on most platforms.
        max_batch: how many hits one request can hold.
        max_age: seconds after which the platform would misdate a hit, so that it must expire; ``None`` for no limit.
        withdrawn: whether the visitor has taken back the consent since; asked again just before sending.
        dedupes: whether the platform itself counts a repeated id once.
        ambiguous: what becomes of a hit whose body was sent and not answered, where the platform does not dedupe:
            ``retry`` may count it twice, ``drop`` may not count it at all.
        connections: how many requests may be under way at once; ``None`` for the driver's own number.
    """

    to: str
    send: Send
    observer: Observer
    lane: Callable[[Hit], str | None] | None = None
    max_batch: int = 1
    max_age: float | None = None
    withdrawn: Callable[[Hit], bool] = _never
    dedupes: bool = False
    ambiguous: Literal["retry", "drop"] = "retry"
    connections: int | None = None

    def __repr__(self) -> str:
        return f"<Route {self.to}>"
