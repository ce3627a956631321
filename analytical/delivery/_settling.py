"""What becomes of a hit, decided once for every driver: the verdict's meaning, the budgets, the waits."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from ..hit import Hit
from ..retry import backoff, system_uniform
from ..route import Route
from ..spool import Entry
from ..verdict import NOT_TRIED, Verdict, dropped, expired, rejected

__all__ = ["Breaker", "Complaints", "Duplicates", "decide", "overdue", "sent"]

log = logging.getLogger("analytical.delivery")

#: Seconds: the upper end of the first wait, and of any, so that hits leave soon after an outage ends.
BASE = 0.5
CAP = 10.0
#: Exchanges that fail one after the other until the destination is thought to be down.
THRESHOLD = 3
#: Seconds that a destination which refused the credentials is left alone: trying on can lock the host out.
STOP = 60.0
#: Seconds that a platform may ask to be left alone; more is a mistake or malice.
LONGEST_PAUSE = 7 * 86_400.0
#: How often a hit in memory is tried, attempts while the destination is down not counted.
MAX_ATTEMPTS = 20
#: Seconds after which a durable spool gives a hit up.
MAX_AGE = 7 * 86_400.0
#: Seconds between two log lines that say the same.
QUIET = 60.0


def overdue(route: Route, hit: Hit, now: float) -> Verdict | None:
    """Return how a hit ends that must not be sent any more, or ``None``."""
    if route.max_age is not None and now - hit.time > route.max_age:
        return expired("too old for the platform")
    try:
        if route.withdrawn(hit):
            return dropped("withdrawn")
    except Exception as error:  # noqa: BLE001 - the question cannot be answered, so the answer is no
        log.warning("%s: asking for consent raised %s; the hit is dropped", route.to, type(error).__name__)
        return dropped("consent unknown")
    return None


def sent(route: Route, hits: Sequence[Hit], *, timeout: float | None = None) -> list[Verdict]:
    """Send, and survive a route that raises: its fault costs the hit that causes it, not the driver or the batch."""
    try:
        verdicts = route.send(hits, timeout=timeout)
    except Exception as error:  # noqa: BLE001 - see above
        log.error("%s: sending raised %s", route.to, type(error).__name__)
        if len(hits) == 1:
            return [rejected(f"cannot be sent: {type(error).__name__}")]
        return [verdict for hit in hits for verdict in sent(route, [hit], timeout=timeout)]
    if len(verdicts) != len(hits):
        log.error("%s: verdicts and hits are not as many: %d and %d", route.to, len(verdicts), len(hits))
        return [Verdict("unconfirmed", "miscounted")] * len(hits)
    return verdicts


def decide(
    route: Route, entry: Entry, verdict: Verdict, now: float, *, durable: bool, jitter: float, probing: bool
) -> Verdict:
    """Turn what a backend said into what the spool shall do.

    Args:
        route: the destination.
        entry: the hit and how often it was tried.
        verdict: the backend's.
        now: seconds since 1970.
        durable: whether the spool outlives the process: then there is no limit of attempts, only one of age.
        jitter: a random number from 0 to 1, one for the whole batch, so that a lane's hits come back together.
        probing: whether the destination was known to be down: then the attempt says nothing about the hit.

    Returns:
        A final verdict, or a retry whose ``after`` is the exact wait.
    """
    if verdict.state != "retry":
        return verdict
    if verdict.ambiguous and route.ambiguous == "drop" and not route.dedupes:
        return dropped(f"ambiguous: {verdict.reason}")
    if verdict.reason == NOT_TRIED:
        return verdict._replace(after=0.0, tried=False)
    attempts = entry.attempts + 1
    if verdict.attempts is not None and attempts >= verdict.attempts and not probing:
        return rejected(verdict.reason or "refused again and again")
    if durable:
        if entry.since and now - entry.since > MAX_AGE:
            return expired(f"not delivered in {MAX_AGE / 86_400:.0f} days: {verdict.reason}")
    elif attempts >= MAX_ATTEMPTS and not probing:
        return dropped(f"given up after {attempts} attempts: {verdict.reason}")
    # The pause of the destination is the breaker's; a hit's own wait never outlasts an outage by more than this.
    wait = backoff(attempts, base=BASE, cap=CAP, uniform=lambda low, high: low + (high - low) * jitter)
    return verdict._replace(after=wait, tried=not probing)


class Breaker:
    """Whether a destination may be spoken to: pauses, and one probe at a time while it is down.

    Args:
        uniform: the source of jitter.

    It opens after three exchanges in a row of which every hit has to be tried again, at once where the platform
    asked for time (``Retry-After``) or refused the credentials, and closes with the first hit that is taken.
    """

    def __init__(self, uniform: Callable[[float, float], float] = system_uniform) -> None:
        self._uniform = uniform
        self.failures = 0
        self.until = 0.0
        self._opened = 0.0
        self._failing = 0.0

    @property
    def open(self) -> bool:
        """Whether the destination is thought to be down: one request at a time."""
        return self.failures >= THRESHOLD

    def pause(self, now: float) -> float:
        """Return for how many seconds nothing may be sent, by the monotonic clock."""
        return max(0.0, self.until - now)

    def heard(self, verdicts: Sequence[Verdict], *, started: float, now: float) -> bool:
        """Learn from an exchange.

        Args:
            verdicts: the backend's.
            started: when the exchange began; what began before the breaker opened tells nothing new.
            now: when it ended.

        Returns:
            Whether the destination is well.
        """
        if len(verdicts) > 1 and verdicts.count(verdicts[0]) == len(verdicts):
            verdicts = verdicts[:1]  # as nearly always: what one says, all say
        asked = max((verdict.after for verdict in verdicts if verdict.after), default=0.0)
        stop = any(verdict.stop for verdict in verdicts)
        # A verdict with a limit of attempts blames the hit, not the destination.
        down = all(verdict.state == "retry" and verdict.attempts is None for verdict in verdicts)
        if stop:
            asked = max(asked, STOP)
        if asked:
            self.until = max(self.until, now + min(asked, LONGEST_PAUSE))
        if not down and not stop:
            # A good answer to what was asked before the last bad one tells nothing new.
            if started >= self._failing and any(verdict.state != "retry" for verdict in verdicts):
                self.failures = 0
            return not asked
        if started < self._opened and self.open:
            return False
        self._failing = max(self._failing, started)
        self.failures = max(self.failures + 1, THRESHOLD if asked else 0)
        if self.open:
            self._opened = now
            wait = backoff(self.failures - THRESHOLD + 1, base=2 * BASE, cap=CAP, uniform=self._uniform)
            self.until = max(self.until, now + wait)
        return False


class Complaints:
    """Log lines about one destination, at most one a minute for each reason, without any hit.

    Args:
        monotonic: the clock.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._last: dict[tuple[str, str], float] = {}
        self._hushed: dict[tuple[str, str], int] = {}

    def about(self, to: str, what: str, reason: str) -> None:
        """Say that a hit was retried, rejected, expired or dropped, unless it was said a moment ago."""
        key = (what, reason)
        now = self._monotonic()
        last = self._last.get(key)
        if last is not None and now - last < QUIET:
            self._hushed[key] = self._hushed.get(key, 0) + 1
            return
        if len(self._last) > 200:  # reasons are few; a backend that invents them must not fill memory
            self._last.clear()
            self._hushed.clear()
        self._last[key] = now
        before = self._hushed.pop(key, 0)
        level = logging.INFO if what == "retried" else logging.WARNING
        log.log(level, "%s: %s (%s)%s", to, what, reason, f", and {before} more since the last line" if before else "")


class Duplicates:
    """Remembers business keys for a while: the same key is the same hit, so it is taken once.

    Args:
        clock: monotonic.
        window: seconds.
        room: how many keys.
    """

    def __init__(self, *, clock: Callable[[], float], window: float = 86_400.0, room: int = 50_000) -> None:
        self._clock = clock
        self._window = window
        self._room = room
        self._seen: dict[str, tuple[float]] = {}

    def first(self, identity: str) -> bool:
        """Tell whether an id is new, and remember it."""
        now = self._clock()
        # setdefault is one step: of two threads with the same key, one is first.
        mine = (now,)
        first = self._seen.setdefault(identity, mine)
        if first is mine:
            if len(self._seen) > self._room:
                for old in list(self._seen)[: self._room // 10]:
                    self._seen.pop(old, None)
            return True
        if now - first[0] > self._window:
            self._seen[identity] = mine
            return True
        return False

    def forget(self, identity: str) -> None:
        """Let an id be new again: its hit was lost."""
        self._seen.pop(identity, None)
