"""When to try again: arithmetic only. Both halves use it."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from random import SystemRandom

__all__ = ["RETRYABLE_STATUSES", "backoff", "retry_after", "system_uniform"]

#: Statuses that say "not now": RFC 9110 §15.5.9, RFC 8470 §5.2, RFC 6585 §4 and every 5xx.
RETRYABLE_STATUSES = frozenset({408, 425, 429, *range(500, 600)})

_LONGEST = 7 * 86_400.0

#: The source of jitter: the system's. Drawing from the application's own generator in a thread would disturb whoever
#: seeded it, and processes that seed alike would come back together.
system_uniform = SystemRandom().uniform


def backoff(
    attempt: int, *, base: float = 0.5, cap: float = 60.0, uniform: Callable[[float, float], float] = system_uniform
) -> float:
    """Return how many seconds to wait before the next attempt: exponential with full jitter.

    Args:
        attempt: how many attempts were made, from 1.
        base: the upper end of the first wait, in seconds.
        cap: the upper end of any wait, in seconds.
        uniform: the source of randomness.

    Why full jitter: clients that failed together must not come back together
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).

    >>> backoff(3, base=1, uniform=lambda low, high: high)
    4.0
    """
    return uniform(0.0, float(min(cap, base * 2 ** min(attempt - 1, 62))))


def retry_after(value: str | None, now: float) -> float | None:
    """Read a ``Retry-After`` header: seconds or an HTTP date, in seconds from now (RFC 9110 §10.2.3).

    Args:
        value: the header's text, or ``None``.
        now: the current time in seconds since 1970.

    Returns:
        Seconds from now, from 0 to a week; ``None`` for no header or nonsense.

    >>> retry_after("120", 0.0), retry_after("Thu, 01 Jan 1970 00:01:00 GMT", 0.0), retry_after("soon", 0.0)
    (120.0, 60.0, None)
    """
    if value is None:
        return None
    text = value.strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            when = parsedate_to_datetime(text)
        except (ValueError, TypeError, IndexError):
            return None
        seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - now
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), _LONGEST)
