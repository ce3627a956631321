"""The Google Analytics provider of release 0.0.1, with the contract that it had.

It sends what it is given: a flat dict of ``v``, ``tid``, ``t`` and the caller's own keys goes through
``Provider._send``, which a subclass may replace. For new code :class:`analytical.Provider` does more; its gate is on.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from ..models import Provider as _Named
from ..privacy.visitor import generate_client_id

__all__ = ["Provider", "generate_client_id"]


class Provider:
    """Sends page views and events to one Google Analytics property.

    Args:
        property_id: ``UA-XXXXXX-Y``, or a GA4 stream's ``G-XXXXXXX`` with ``api_secret=``.
        timeout: seconds for one exchange.
        fail_silently: whether the world's failures are only counted. In 0.0.1 an HTTP error was never noticed, and a
            refused connection escaped; both are failures here.
        asynchronously: hand over to a Celery worker.
        options: further options of :class:`analytical.Provider`.
    """

    def __init__(
        self,
        property_id: str,
        timeout: float = 3,
        fail_silently: bool = True,
        asynchronously: bool = False,
        **options: Any,
    ) -> None:
        self.property_id = property_id
        self.timeout = timeout
        self.fail_silently = fail_silently
        self.asynchronously = asynchronously
        self._provider = _Named(
            "googleanalytics",
            property_id,
            timeout=timeout,
            fail_silently=fail_silently,
            asynchronously=asynchronously or None,
            **{"privacy": "off", **options},
        )

    def pageview(self, params: Mapping[str, Any] | None = None) -> Any:
        """Record a page view; ``dl`` (or ``dh`` and ``dp``) is needed. Returns what :meth:`_send` returns."""
        return self.track_hit("pageview", params)

    def event(self, params: Mapping[str, Any] | None = None) -> Any:
        """Record an event; ``ec`` and ``ea`` are needed. Returns what :meth:`_send` returns."""
        return self.track_hit("event", params)

    def track_hit(self, hit_type: str, params: Mapping[str, Any] | None = None) -> Any:
        """Record a hit of any type of Measurement Protocol v1.

        Without ``cid`` and ``uid`` the visitor is a new one: ``cid`` is random.
        """
        flat = {"v": "1", "tid": self.property_id, "t": hit_type, **(params or {})}
        if flat.get("cid") is None and flat.get("uid") is None:
            flat["cid"] = str(uuid.uuid4())
        return self._send(flat)

    def _send(self, params: Mapping[str, Any]) -> Any:
        """Send one flat dict of parameters; the seam that subclasses and tests replace."""
        own = {key: value for key, value in params.items() if key not in ("v", "tid", "t")}
        return self._provider.track_hit(str(params["t"]), own)

    def flush(self, timeout: float | None = 10.0) -> bool:
        """Wait until everything accepted has reached its end."""
        return self._provider.flush(timeout)

    def stats(self) -> dict[str, int]:
        """Return the counts of :meth:`analytical.Provider.stats`."""
        return self._provider.stats()
