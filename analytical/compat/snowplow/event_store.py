"""Where an emitter's events wait, and the same place as the drivers of this package see it."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ...hit import Hit, new_id
from ...spool import Entry, Lost, Spool
from ...verdict import Verdict
from .typing import PayloadDict, PayloadDictList

__all__ = ["EventStore", "InMemoryEventStore", "StoreSpool"]

log = logging.getLogger("analytical.compat.snowplow")


class EventStore(Protocol):
    """A buffer of an application's own: four methods, called one at a time."""

    def add_event(self, payload: PayloadDict) -> bool:
        """Keep one more payload; ``False`` where there is no room."""
        ...

    def get_events_batch(self) -> PayloadDictList:
        """Give out all that is kept."""
        ...

    def cleanup(self, batch: PayloadDictList, need_retry: bool) -> None:
        """Hear what became of payloads that were given out: sent for good, or to be kept again."""
        ...

    def size(self) -> int:
        """Return how many are kept."""
        ...


class InMemoryEventStore:
    """A buffer in memory.

    Args:
        logger: told when there is no room.
        buffer_capacity: how many payloads it keeps; one more is refused.
    """

    def __init__(self, logger: logging.Logger | None = None, buffer_capacity: int = 10_000) -> None:
        self.event_buffer: PayloadDictList = []
        self.buffer_capacity = buffer_capacity
        self.logger = logger or log

    def add_event(self, payload: PayloadDict) -> bool:
        if len(self.event_buffer) >= self.buffer_capacity:
            self.logger.error("the buffer of %d events is full; an event is lost", self.buffer_capacity)
            return False
        self.event_buffer.append(payload)
        return True

    def get_events_batch(self) -> PayloadDictList:
        batch, self.event_buffer = self.event_buffer, []
        return batch

    def cleanup(self, batch: PayloadDictList, need_retry: bool) -> None:
        if not need_retry:
            return
        # An application's own on_failure may have put them back already.
        known = {payload.get("eid") for payload in self.event_buffer}
        again = [payload for payload in batch if payload.get("eid") is None or payload["eid"] not in known]
        self.event_buffer[:0] = again

    def size(self) -> int:
        return len(self.event_buffer)


class StoreSpool(Spool):
    """An event store as a spool: what the emitters' driver takes from.

    Args:
        store: keeps the payloads.
        batch_size: how many make it due at once.
        byte_limit: how many bytes do.
        linger: seconds after which fewer are due, too; ``None`` for never.
        capacity: how many may wait and be under way together.
        clock: seconds since 1970.
    """

    blocking = False
    remote = False

    def __init__(
        self,
        store: EventStore,
        *,
        batch_size: int,
        byte_limit: int | None = None,
        linger: float | None = 1.0,
        capacity: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        # A store of an application's own may outlive the process; nothing in it is ever given up.
        self.durable = not isinstance(store, InMemoryEventStore)
        self.batch_size = max(1, batch_size)
        self.byte_limit = byte_limit
        self.linger = linger
        self.capacity = capacity
        self._clock = clock
        self._lock = threading.RLock()
        self._over: deque[PayloadDict] = deque()  # given out by the store, more than a batch can hold
        self._lent: dict[int, Entry] = {}
        self._bytes = 0
        self._first = 0.0
        #: When the last payload came.
        self.used = 0.0
        self._not_before = 0.0
        self._pushed = False
        self._attempts: dict[str, int] = {}
        #: Whether a thread has been told already that there is something to take.
        self.rung = False
        #: How many attempts have failed so far; a waiting flush looks at it.
        self.failures = 0
        #: Until when a thread is known to look again by itself.
        self.armed = 0.0

    # -- what an emitter asks -------------------------------------------------------------------------------------

    def add(self, payload: PayloadDict) -> int:
        """Keep a payload; returns how many are kept now, 0 where there is no room."""
        with self._lock:
            held = self.store.size() + len(self._over)
            if self._lent and self.capacity is not None and held + len(self._lent) >= self.capacity:
                return 0
            if self.store.add_event(payload) is False:
                return 0
            self.used = self._clock()
            if not held:
                self._first = self.used
            if self.byte_limit is not None:
                self._bytes += len(str(payload))
        return held + 1

    def push(self) -> None:
        """Make due whatever is there."""
        with self._lock:
            self._pushed = self._pushed or self._size() > 0

    def hold(self, seconds: float) -> None:
        """Give out nothing for a while."""
        with self._lock:
            self._not_before = max(self._not_before, self._clock() + seconds)

    @property
    def lent(self) -> int:
        """How many are under way."""
        return len(self._lent)

    @property
    def full(self) -> bool:
        """Whether there is enough for a request, whenever that may be sent."""
        return self._size() >= self.batch_size or (self.byte_limit is not None and self._bytes >= self.byte_limit)

    def due(self, now: float) -> bool:
        """Whether something may be taken now."""
        if not self._size() or (now < self._not_before <= now + 120.0):
            return False
        late = self.linger is not None and not self._first - 1.0 <= now < self._first + self.linger
        return self._pushed or late or self.full

    def _size(self) -> int:
        return self.store.size() + len(self._over)

    # -- what a driver asks ---------------------------------------------------------------------------------------

    def attach(self, to: str, *, lane: Callable[[Hit], str | None] | None = None, lost: Lost | None = None) -> None:
        """An emitter is the one destination."""

    def detach(self, to: str) -> None:
        """An emitter is the one destination."""

    def put(self, to: str, hit: Hit) -> bool:
        return self.add(dict(hit.native or {})) > 0

    def take(self, limit: int, now: float, *, to: str | None = None) -> list[Entry]:
        with self._lock:
            if not self.due(now):
                return []
            if len(self._over) < limit:
                self._over.extend(self.store.get_events_batch())
                self._bytes = 0
                self._pushed = False
            self._first = now
            self.rung = False
            return [self._lend(to or "") for _ in range(min(limit, len(self._over)))]

    def _lend(self, to: str) -> Entry:
        payload = self._over.popleft()
        attempts = self._attempts.get(str(payload.get("eid")), 0) if self._attempts else 0
        entry = Entry(hit_of(payload), to, attempts=attempts, since=self.used, token=payload)
        self._lent[id(entry)] = entry
        return entry

    def settle(self, entries: Sequence[Entry], verdicts: Sequence[Verdict], now: float) -> list[bool]:
        done: PayloadDictList = []
        again: PayloadDictList = []
        ours: list[bool] = []
        with self._lock:
            for entry, verdict in zip(entries, verdicts, strict=True):
                ours.append(self._lent.pop(id(entry), None) is not None)
                if not ours[-1]:
                    continue
                eid = str(entry.token.get("eid"))
                if verdict.state == "retry":
                    again.append(entry.token)
                    self._attempts[eid] = entry.attempts + verdict.tried
                    self._not_before = max(self._not_before, now + (verdict.after or 0.0))
                else:
                    done.append(entry.token)
                    self._attempts.pop(eid, None)
            if done:
                self.store.cleanup(done, False)
            if again:
                self.failures += 1
                self.store.cleanup(again, True)
                self._pushed = True  # tried once, so due as soon as the pause is over
            elif done:
                self._not_before = 0.0
        return ours

    def renew(self, entries: Sequence[Entry]) -> None:
        """Leases do not run out: the one driver is in this process."""

    def wake_at(self, to: str | None = None) -> float | None:
        now = self._clock()
        with self._lock:
            if self._size():
                if self._pushed or self.full:
                    when: float | None = max(now, self._not_before)
                elif self.linger is None:
                    when = None
                else:
                    when = max(self._first + self.linger, self._not_before)
            elif self.linger is not None and now - self.used < self.linger:
                # Look again soon: then the next event need not wake anybody.
                when = now + self.linger
            else:
                when = None
            self.armed = when or 0.0
            self.rung = False
        return when

    def waiting(self, to: str = "") -> int:
        return self._size() + len(self._lent)

    def uploads(self, to: str) -> bool:
        return True

    def ready(self, to: str = "") -> int:
        return self._size() if self.due(self._clock()) else 0

    def remains(self, to: str = "") -> list[Entry]:
        with self._lock:
            self._over.extend(self.store.get_events_batch())
            while self._over:
                self._lend(to)
            return list(self._lent.values())

    def stats(self, to: str) -> dict[str, int] | None:
        return None

    def __len__(self) -> int:
        return self.waiting()

    def before_fork(self) -> None:
        """Memory can be copied at any time."""

    def after_fork(self) -> None:
        """Nothing was held."""

    def abandon(self) -> None:
        # What waits in memory is the parent's to deliver; a store of the application's own knows for itself.
        self._lock = threading.RLock()
        self._over = deque()
        self._lent = {}
        self.armed = 0.0
        self.rung = False
        if isinstance(self.store, InMemoryEventStore):
            self.store.event_buffer = []

    def close(self) -> None:
        """Nothing is held open."""


def hit_of(payload: Mapping[str, Any]) -> Hit:
    """Return a payload as a hit: what an emitter was given, or a queue kept."""
    eid = payload.get("eid")
    try:
        moment = int(payload.get("dtm") or payload["ttm"]) / 1000
    except (KeyError, TypeError, ValueError):
        moment = time.time()
    identity = eid if isinstance(eid, str) and eid else new_id()
    return Hit.from_dict({"id": identity, "kind": "payload", "time": moment, "native": payload})
