"""A queue on another machine, with a local window of leased hits: what Redis and Kafka have in common.

A broker says how hits get there and back. When it is asked, how long nobody asks again after it did not answer, what a
forked child leaves alone, how refused hits count and what ``stats()`` shows are the same for all of them.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from ..hit import Hit
from . import Entry, Lost
from ._shipping import Shipping
from .memory import Queue

__all__ = ["FETCH", "VAIN", "WINDOW", "Destination", "RemoteSpool", "inherited"]

log = logging.getLogger("analytical.spool")

#: Hits of one destination that this process holds on their way out, and how many it fetches at once.
WINDOW, FETCH = 5_000, 500
#: Seconds for which nobody waits for a broker after a page has waited in vain: hits are refused at once.
VAIN = 0.5

#: What forked children inherited and must not close.
inherited: list[Any] = []


class Destination:
    """What this process keeps about one destination."""

    def __init__(self, to: str, queue: Queue) -> None:
        self.to = to
        self.queue = queue
        self.prefix = b'{"v":1,"to":' + msgspec.json.encode(to) + b',"hit":'
        self.lost: Lost | None = None
        self.refused = 0
        #: How many hits waited at the broker when it was last asked.
        self.known = 0


_D = TypeVar("_D", bound=Destination)


class RemoteSpool(Generic[_D]):
    """A spool whose hits wait at a broker.

    Args:
        name: what this spool is called in logs.
        timeout: seconds that ``put`` waits at most for the broker's acknowledgement.
        lease: seconds after which a batch that nobody settled is taken again.
        journal: a directory on this machine, from which a thread of the driver brings hits to the broker.
        deliver: whether this process takes hits out, too.
        clock: seconds since 1970.
        monotonic: the clock of leases.

    A broker's class gives ``_make``, ``_begin``, ``_send``, ``_refill``, ``_let_go``, ``_carry``, ``_ask`` and
    ``_counts``, and the methods ``settle`` and ``uploads``.

    Attributes:
        away: whether the broker did not answer when it was last asked.
    """

    durable = True
    remote = True

    #: The broker's name in sentences, and the errors with which its library says that it does not answer.
    _BROKER: str
    _ERRORS: tuple[type[Exception], ...]
    #: Seconds for which a broker that did not answer is not asked again in the background.
    _AWAY: float

    def __init__(
        self,
        name: str,
        *,
        timeout: float,
        lease: float,
        journal: str | os.PathLike[str] | None,
        deliver: bool,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self.timeout = timeout
        self._name = name
        self._lease = lease
        self._deliver = deliver
        self._clock = clock
        self._monotonic = monotonic
        self._encode = msgspec.json.Encoder().encode
        self._shipping: Shipping | None = None
        if journal is not None:
            self._shipping = Shipping(
                journal, self._carry, ends=self._ends, complain=self._complain, monotonic=monotonic
            )
        self.blocking = self._shipping is None
        self._destinations: dict[str, _D] = {}
        self._reset()

    def _reset(self) -> None:
        # Held around a conversation with the broker by whoever takes, settles or counts; never by put().
        self._lock = threading.RLock()
        self._held = False
        self._pace = 0.05
        self._closed = False
        self.away = False
        self._failed = self._in_vain = -1e9
        self._said: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name}>"

    # -- what every spool does ------------------------------------------------------------------------------------

    def attach(self, to: str, *, lane: Callable[[Hit], str | None] | None = None, lost: Lost | None = None) -> None:
        destination = self._destinations.get(to)
        if destination is None:
            self._destinations[to] = destination = self._make(to, self._queue(lane))
            if self.blocking:  # with a journal, only the driver's threads speak to the broker
                with self._lock:
                    self._begin(destination)
        destination.queue.lane = lane
        self._closed = False
        if lost is not None:
            destination.lost = lost

    def detach(self, to: str) -> None:
        destination = self._destinations.get(to)
        if destination is not None:
            with self._lock:
                self._ship(now=True)
                self._let_go(destination)

    def put(self, to: str, hit: Hit) -> bool:
        destination = self._destinations[to]
        body = destination.prefix + self._encode(hit) + b"}"
        self._closed = False
        if self._shipping is not None:
            accepted = self._shipping.journal.append(body)
        elif self._monotonic() - self._in_vain < VAIN:
            accepted = False
        else:
            accepted = self._send(destination, hit, body)
        if not accepted:
            destination.refused += 1
        return accepted

    def take(self, limit: int, now: float, *, to: str | None = None) -> list[Entry]:
        with self._lock:
            for name in [to] if to is not None else list(self._destinations):
                destination = self._destinations[name]
                if self._closed or not self.uploads(name):
                    continue  # a thread that came late must not begin anew
                if not self._gone():
                    try:
                        self._refill(destination, limit)
                    except self._ERRORS as error:
                        self._unreachable(error)
                taken = destination.queue.take(limit, now)
                if taken:
                    return taken
        return []

    def renew(self, entries: Sequence[Entry]) -> None:
        until = self._monotonic() + self._lease
        for entry in entries:
            entry.until = until

    def wake_at(self, to: str | None = None) -> float | None:
        times = []
        for name, destination in list(self._destinations.items()):
            if to is None or name == to:
                due = destination.queue.wake_at()
                # Other hosts ring no bell.
                times += [self._clock() + self._pace] if due is None else [self._clock() + self._pace, due]
        return min(times, default=None)

    def waiting(self, to: str) -> int:
        return self._pending(self._at(to))

    def uploads(self, to: str) -> bool:
        raise NotImplementedError

    def ready(self, to: str) -> int:
        return self._destinations[to].queue.ready()

    def remains(self, to: str) -> list[Entry]:
        return []

    def stats(self, to: str) -> dict[str, int] | None:
        """Count a destination's hits since this spool was opened here."""
        destination = self._destinations.get(to)
        if destination is None:
            return None
        with self._lock:
            self._begin(destination)
            counts, pending = self._counts(destination)
        counts["dropped"] += destination.refused
        return {"accepted": sum(counts.values()) + pending, **counts, "pending": pending}

    def __len__(self) -> int:
        return sum(self.waiting(to) for to in list(self._destinations))

    def __bool__(self) -> bool:
        return True  # an empty spool is a spool

    def before_fork(self) -> None:
        self._held = self._lock.acquire(timeout=5.0)

    def after_fork(self) -> None:
        if self._held:
            self._held = False
            self._lock.release()

    def abandon(self) -> None:
        if self._shipping is not None:
            inherited.append(self._shipping.inherited())
        for to, old in list(self._destinations.items()):
            self._destinations[to] = destination = self._make(to, self._queue(old.queue.lane))
            destination.lost = old.lost
        self._reset()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._shipping is not None:
                self._ship(now=True)
                self._shipping.close()
            for destination in self._destinations.values():
                self._let_go(destination)

    # -- what a broker says ---------------------------------------------------------------------------------------

    def _make(self, to: str, queue: Queue) -> _D:
        """Return what is kept about a destination."""
        raise NotImplementedError

    def _begin(self, destination: _D) -> None:
        """Begin to count; what fails now is done later."""
        raise NotImplementedError

    def _send(self, destination: _D, hit: Hit, body: bytes) -> bool:
        """Bring one hit to the broker; tell whether it is acknowledged. Sets ``_in_vain`` where nobody answered."""
        raise NotImplementedError

    def _refill(self, destination: _D, limit: int) -> None:
        """Bring hits here, and what was settled there."""
        raise NotImplementedError

    def _let_go(self, destination: _D) -> None:
        """Leave to others what this process holds."""
        raise NotImplementedError

    def _carry(self, to: str, bodies: list[bytes], name: str, end: int) -> None:
        """Bring records of a journal to the broker, as :class:`Shipping` asks."""
        raise NotImplementedError

    def _ends(self, name: str) -> Iterable[int]:
        """Return the places of a journal up to which the broker may have records without the file saying so."""
        return ()

    def _ask(self, destination: _D) -> None:
        """Learn how many hits wait, for ``destination.known``."""
        raise NotImplementedError

    def _counts(self, destination: _D) -> tuple[dict[str, int], int]:
        """Return how many hits came to each end since this spool was opened, and how many wait."""
        raise NotImplementedError

    @staticmethod
    def _kind(error: Any) -> str:
        """Return what may be logged of an error: its text may show an address with a password in it."""
        return type(error).__name__

    # -- the parts ------------------------------------------------------------------------------------------------

    def _queue(self, lane: Callable[[Hit], str | None] | None) -> Queue:
        return Queue(lane, lease=self._lease, monotonic=self._monotonic)

    def _at(self, to: str) -> _D:
        return self._destinations.get(to) or self._make(to, Queue(None))

    def _ship(self, *, now: bool = False) -> None:
        """Bring on what is in journals. What fails stays there, and another process of this machine adopts it."""
        if self._shipping is None or self._gone():
            return
        try:
            self._shipping.ship(now=now)
        except self._ERRORS as error:
            self._unreachable(error)
        except OSError as error:
            self._complain(f"a journal cannot be read: {type(error).__name__}")

    def _pending(self, destination: _D) -> int:
        """Count what waits at the broker and in the journals of this machine."""
        here = self._shipping.waiting(destination.to) if self._shipping is not None else 0
        with self._lock:
            if not self._gone():
                try:
                    self._ask(destination)
                    self.away = False
                except self._ERRORS as error:
                    self._unreachable(error)
            return destination.known + here

    def _gone(self) -> bool:
        """Tell whether the broker did not answer a moment ago: then nobody waits for it again, but who puts a hit."""
        return self._monotonic() - self._failed < self._AWAY

    def _unreachable(self, error: Any) -> None:
        self.away = True
        self._failed = self._monotonic()
        self._complain(f"{self._BROKER} cannot be used: {self._kind(error)}")

    def _complain(self, what: str) -> None:
        now = self._monotonic()
        if now - self._said.get(what, -1e9) > 60.0:
            self._said[what] = now
            log.warning("%s: %s", self._name, what)
