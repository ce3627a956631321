"""What an inspector does wrong on purpose: failing, hanging, being slow. Seeded, so that a run can be repeated."""

from __future__ import annotations

import random
import re
import threading
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["LONGEST", "Faults", "Outcome", "seconds"]

#: No answer is held back longer than this, in seconds.
LONGEST = 60.0

Outcome = Literal["answer", "fail", "hang"]

_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m)?\s*\Z")


def seconds(text: str | float) -> float:
    """Read a duration: ``500ms``, ``2s``, ``1m``, or seconds.

    Raises:
        ValueError: it is none; says what is expected.

    >>> seconds("500ms"), seconds("2s"), seconds(1.5)
    (0.5, 2.0, 1.5)
    """
    match = _DURATION.match(str(text))
    if match is None:
        raise ValueError(f"{text!r} is no duration; expected something like 500ms, 2s or 1m")
    return float(match[1]) * {"ms": 0.001, "s": 1.0, "m": 60.0, None: 1.0}[match[2]]


@dataclass(frozen=True, kw_only=True)
class Faults:
    """Which answers fail, hang or come late.

    Args:
        fail_rate: the share of requests answered with ``status``, 0 to 1; without it, 1 where ``status`` is given.
        hang_rate: the share of requests that get no answer at all, 0 to 1.
        delay: seconds before every answer.
        status: what a failing answer says.
        seed: the same seed, the same sequence of outcomes.

    Raises:
        ValueError: a rate, status or delay out of its range; names it.
    """

    fail_rate: float | None = None
    hang_rate: float = 0.0
    delay: float = 0.0
    status: int | None = None
    seed: int | None = None
    _random: random.Random = field(init=False, repr=False, compare=False)
    _lock: threading.Lock = field(init=False, repr=False, compare=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        for name in ("fail_rate", "hang_rate"):
            rate = getattr(self, name)
            if rate is not None and not 0 <= rate <= 1:
                raise ValueError(f"{name}={rate!r}: expected a share from 0 to 1, such as 0.2")
        if self.status is not None and not 200 <= self.status <= 599:
            raise ValueError(f"status={self.status!r}: expected an HTTP status from 200 to 599, such as 429")
        if not 0 <= self.delay <= LONGEST:
            raise ValueError(f"delay={self.delay!r}: expected seconds from 0 to {LONGEST:g}")
        object.__setattr__(self, "_random", random.Random(self.seed))

    @property
    def failing_status(self) -> int:
        """The status of a failing answer; 503 where none was given."""
        return self.status or 503

    def next(self) -> Outcome:
        """Draw what happens to the next request."""
        rate = self.fail_rate if self.fail_rate is not None else (1.0 if self.status else 0.0)
        with self._lock:
            fails, hangs = self._random.random() < rate, self._random.random() < self.hang_rate
        return "hang" if hangs else "fail" if fails else "answer"
