"""Who empties a spool, and when: inline, a thread, a task queue, a worker process.

A driver knows hits, verdicts and routes; never a platform, an address or a protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from ..hit import Hit
from ..route import Route

__all__ = ["Delivery", "Done"]

#: Called once at a hit's end with its state (``delivered``, ``unconfirmed``, ``rejected``, ``expired``, ``dropped``)
#: and the reason.
Done = Callable[[str, str], None]


@runtime_checkable
class Delivery(Protocol):
    """Takes hits and carries them to their destinations, now or later."""

    def attach(self, route: Route) -> None:
        """Make a destination known. A route of the same name replaces the one before."""
        ...

    def submit(self, to: str, hit: Hit, *, done: Done | None = None) -> bool:
        """Take a hit.

        Args:
            to: the name of an attached route.
            hit: the sealed record.
            done: called once when the hit reaches its end, in whatever thread that happens. A hit that is settled
                by another process, or lost with this one, calls nothing.

        Returns:
            Inline, whether it was delivered or unconfirmed; else whether it was accepted. The observer of the
            route has been told either way.
        """
        ...

    def stats(self, to: str) -> dict[str, int] | None:
        """Return a destination's counts where the spool keeps them itself, across processes; else ``None``: the
        observer has counted all there is."""
        ...

    def flush(self, timeout: float | None = None, *, to: str | None = None) -> bool:
        """Wait until nothing is left, of one destination or of all.

        Args:
            timeout: seconds to wait at most; ``None`` for as long as it takes.
            to: one destination; ``None`` for all.

        Returns:
            Whether nothing is left.
        """
        ...

    def detach(self, to: str, timeout: float | None = None) -> None:
        """Flush one destination and forget it; the others go on."""
        ...

    def close(self, timeout: float | None = None) -> None:
        """Flush, and let go of threads, files and connections. A hit submitted later starts it again."""
        ...
