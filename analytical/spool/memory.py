"""Hits that wait in this process's memory: quick, bounded by count and bytes, gone with the process."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush
from typing import Literal

from ..errors import ConfigurationError
from ..hit import Hit
from ..verdict import Verdict
from . import LEASE, LONGEST, Entry, Lost, options_of

__all__ = ["MemorySpool", "Overflow", "Queue", "weigh"]

Overflow = Literal["drop-newest", "drop-oldest", "block"]
_OVERFLOWS = ("drop-newest", "drop-oldest", "block")

_WAITING, _TAKEN, _DONE = 0, 1, 2


class MemorySpool:
    """A bounded queue per destination.

    Args:
        hits: how many hits of one destination may wait.
        bytes: how much memory they may take.
        overflow: what happens to a hit that finds it full. ``drop-newest`` refuses it, ``drop-oldest`` gives up the
            oldest that waits, ``block`` waits up to ``wait`` seconds for room and then refuses (``block(0.5)`` says
            both in one). A hit with a higher ``priority`` always takes the place of one with a lower.
        wait: seconds, for ``block``.
        lease: seconds after which a batch that nobody settled is taken again.
        monotonic: the clock of leases and waits.

    The bounds are each destination's own, so that one that is down cannot take the room of another.
    """

    durable = False
    blocking = False

    def __init__(
        self,
        *,
        hits: int = 100_000,
        bytes: int = 64 << 20,
        overflow: Overflow | str = "drop-newest",
        wait: float = 1.0,
        lease: float = LEASE,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        deadline = re.fullmatch(r"block\((\d+(?:\.\d+)?)\)", overflow)
        if deadline is not None:
            overflow, wait = "block", float(deadline[1])
        if overflow not in _OVERFLOWS:
            raise ConfigurationError(
                f"overflow={overflow!r}: expected one of {', '.join(_OVERFLOWS)}, or block(SECONDS)"
            )
        if hits < 1 or bytes < 1:
            raise ConfigurationError(f"hits={hits}, bytes={bytes}: expected room for at least one hit")
        self.hits = hits
        self.bytes = bytes
        self.overflow = overflow
        self.wait = wait
        self._lease = lease
        self._monotonic = monotonic
        # Reentrant: a signal handler that records a hit may interrupt this very thread within put().
        self._lock = threading.RLock()
        self._queues: dict[str, Queue] = {}
        self._losers: dict[str, Lost] = {}
        self._blocked: list[threading.Lock] = []
        self._seq = 0

    @classmethod
    def from_url(cls, url: str) -> MemorySpool:
        """Read ``memory://?hits=50000&bytes=67108864&overflow=drop-oldest&wait=0.5``."""
        _, options = options_of(url, {"hits": int, "bytes": int, "overflow": str, "wait": float, "lease": float})
        return cls(**options)

    def attach(self, to: str, *, lane: Callable[[Hit], str | None] | None = None, lost: Lost | None = None) -> None:
        with self._lock:
            queue = self._queues.get(to)
            if queue is None:
                self._queues[to] = Queue(lane, lease=self._lease, monotonic=self._monotonic)
            else:
                queue.lane = lane
            if lost is not None:
                self._losers[to] = lost

    def detach(self, to: str) -> None:
        """Nobody else could empty it."""

    def put(self, to: str, hit: Hit) -> bool:
        size = weigh(hit)
        queue = self._queues[to]
        with self._lock:
            if queue.count < self.hits and queue.size + size <= self.bytes:
                self._seq = seq = self._seq + 1
                queue.append(Entry(hit, to, seq, size))
                return True
        return self._put_into_full(to, queue, hit, size)

    def _put_into_full(self, to: str, queue: Queue, hit: Hit, size: int) -> bool:
        deadline = self._monotonic() + self.wait
        while True:
            evicted: list[Entry] = []
            with self._lock:
                room = queue.make_room(
                    hit.priority, self.hits - 1, self.bytes - size, evicted, oldest=self.overflow == "drop-oldest"
                )
                if room:
                    self._seq = seq = self._seq + 1
                    queue.append(Entry(hit, to, seq, size))
                bell = threading.Lock()
                bell.acquire()
                if not room and self.overflow == "block":
                    self._blocked.append(bell)
            lost = self._losers.get(to)
            if lost is not None:
                for entry in evicted:
                    lost(to, entry.hit, "dropped", "full")
            if room or self.overflow != "block":
                return room
            left = deadline - self._monotonic()
            if left <= 0 or not bell.acquire(timeout=left):
                return False

    def take(self, limit: int, now: float, *, to: str | None = None) -> list[Entry]:
        with self._lock:
            for name in [to] if to is not None else list(self._queues):
                queue = self._queues.get(name)
                taken = queue.take(limit, now) if queue is not None else []
                if taken:
                    return taken
        return []

    def settle(self, entries: Sequence[Entry], verdicts: Sequence[Verdict], now: float) -> list[bool]:
        with self._lock:
            done = [
                self._queues[entry.to].settle(entry, verdict, now)
                for entry, verdict in zip(entries, verdicts, strict=True)
            ]
            blocked, self._blocked = self._blocked, []
        for bell in blocked:
            bell.release()
        return done

    def renew(self, entries: Sequence[Entry]) -> None:
        until = self._monotonic() + self._lease
        with self._lock:
            for entry in entries:
                entry.until = until

    def wake_at(self, to: str | None = None) -> float | None:
        with self._lock:
            times = [
                when
                for name, queue in self._queues.items()
                if (to is None or name == to) and (when := queue.wake_at()) is not None
            ]
        return min(times, default=None)

    def waiting(self, to: str) -> int:
        queue = self._queues.get(to)
        return queue.count if queue is not None else 0

    def uploads(self, to: str) -> bool:
        return True

    def roomy(self, to: str) -> bool:
        """Tell whether three quarters of the room are free, so that a burst may wait before it is carried."""
        queue = self._queues[to]
        return queue.count < self.hits // 4 and queue.size < self.bytes // 4

    def ready(self, to: str) -> int:
        queue = self._queues.get(to)
        return queue.ready() if queue is not None else 0

    def remains(self, to: str) -> list[Entry]:
        queue = self._queues.get(to)
        with self._lock:
            return list(queue) if queue is not None else []

    def stats(self, to: str) -> dict[str, int] | None:
        return None

    def __len__(self) -> int:
        with self._lock:
            return sum(queue.count for queue in self._queues.values())

    def __bool__(self) -> bool:
        return True  # an empty spool is a spool

    def before_fork(self) -> None:
        """Nothing in here is in the way of a fork."""

    def after_fork(self) -> None:
        """Nothing was held."""

    def abandon(self) -> None:
        # What waits here is the parent's to deliver.
        self._lock = threading.RLock()
        self._blocked = []
        self._queues = {
            to: Queue(queue.lane, lease=self._lease, monotonic=self._monotonic) for to, queue in self._queues.items()
        }

    def close(self) -> None:
        """Nothing is held open."""


class Queue:
    """The order of one destination's hits: by arrival, by due time, by lane. Not locked: its owner is.

    A lane is busy while one of its hits is away or waits for a retry; the hits behind it are held back, so that
    no two batches carry one visitor's hits at once, and none overtakes another.

    Args:
        lane: the stream of a hit, or ``None`` where order does not matter.
        lease: seconds that a batch may be away.
        monotonic: the clock of leases; the wall clock may jump, and must not make a batch leave twice.
    """

    __slots__ = (
        "_away",
        "_expiry",
        "_fresh",
        "_held",
        "_laned",
        "_lease",
        "_monotonic",
        "_most",
        "_only",
        "_released",
        "_retries",
        "_retrying",
        "_taken",
        "count",
        "lane",
        "size",
    )

    def __init__(
        self,
        lane: Callable[[Hit], str | None] | None,
        *,
        lease: float = LEASE,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lane = lane
        self.count = 0
        self.size = 0
        self._lease = lease
        self._monotonic = monotonic
        self._only: deque[Entry] = deque()  # priority 0: in almost every program the only one
        self._fresh: dict[int, deque[Entry]] = {0: self._only}
        self._released: deque[Entry] = deque()  # were held back; their lane is free now
        self._retries: list[tuple[float, int, Entry]] = []
        self._taken: dict[int, Entry] = {}
        self._expiry = float("inf")
        self._away: dict[str, int] = {}
        self._retrying: dict[str, int] = {}
        self._held: dict[str, list[tuple[int, Entry]]] = {}
        self._laned = False
        self._most = 1  # that were ever asked for at once

    def append(self, entry: Entry) -> None:
        """Add a hit at the end."""
        priority = entry.hit.priority
        if not priority:
            self._only.append(entry)
        else:
            self._fresh.setdefault(priority, deque()).append(entry)
        self.count += 1
        self.size += entry.size

    def later(self, entry: Entry, due: float) -> None:
        """Add a hit that is due at a time."""
        self.count += 1
        self.size += entry.size
        self._name(entry)
        self._again(entry, due)

    def ready(self) -> int:
        """Return about how many could be taken at once."""
        if len(self._fresh) == 1:
            return len(self._only) + len(self._released)
        return sum(map(len, self._fresh.values())) + len(self._released)

    def take(self, limit: int, now: float) -> list[Entry]:
        """Lease what is due: retries first, then what was held back, then the rest."""
        out: list[Entry] = []
        mono = self._monotonic()
        if mono >= self._expiry:
            self._take_back(mono)
        until = mono + self._lease
        self._most = max(self._most, limit)
        mine: set[str] = set()
        retries = self._retries
        # A head that is further ahead than any wait means that the clock was set back.
        while retries and len(out) < limit and (retries[0][0] <= now or retries[0][0] > now + LONGEST):
            entry = heappop(retries)[2]
            if entry.lane is not None:
                _less(self._retrying, entry.lane)
            if entry.state == _DONE:
                self._free(entry.lane)
            elif self._may_leave(entry, mine, again=True):
                self._lend(entry, until, out)
        lanes = self.lane is not None
        while len(out) < limit:
            released = bool(self._released)
            next_one = self._next()
            if next_one is None:
                break
            if next_one.state == _DONE:
                continue
            if lanes:
                self._name(next_one)
                if not self._may_leave(next_one, mine, released=released):
                    continue
            self._lend(next_one, until, out)
        if out and until < self._expiry:
            self._expiry = until
        return out

    def settle(self, entry: Entry, verdict: Verdict, now: float) -> bool:
        """Take a hit out for good, or put it back until it is due; ``False`` where it is not this lease's to settle."""
        while entry.heir is not None:  # the lease ran out, and the hit went on under a new one
            if verdict.state == "retry":
                return False
            entry = entry.heir
        if entry.state == _DONE or (verdict.state == "retry" and entry.state != _TAKEN):
            return False
        if entry.state == _TAKEN:
            if self._taken.get(entry.seq) is not entry:
                return False  # of a lease that was let go of; the hit may be on another
            del self._taken[entry.seq]
            if entry.lane is not None:
                _less(self._away, entry.lane)
        if verdict.state == "retry":
            entry.attempts += verdict.tried
            self._again(entry, now + (verdict.after or 0.0))
            return True
        entry.state = _DONE
        self.count -= 1
        self.size -= entry.size
        self._free(entry.lane)
        return True

    def wake_at(self) -> float | None:
        """Return when something may be taken: 0 for at once, ``None`` where only a new hit or a settled one helps."""
        if self.ready():
            return 0.0
        return self._retries[0][0] if self._retries else None

    def make_room(self, priority: int, count: int, size: int, evicted: list[Entry], *, oldest: bool) -> bool:
        """Give up waiting hits of lower priority (where ``oldest``, as low too) until ``count`` and ``size`` hold."""
        for low in sorted(self._fresh):
            if low > priority or (low == priority and not oldest):
                break
            line = self._fresh[low]
            while line and (self.count > count or self.size > size):
                entry = line.popleft() if oldest else line.pop()
                if entry.state == _DONE:
                    continue
                entry.state = _DONE
                self.count -= 1
                self.size -= entry.size
                evicted.append(entry)
        return self.count <= count and self.size <= size

    def __iter__(self) -> Iterator[Entry]:
        for line in (*self._fresh.values(), self._released):
            yield from (entry for entry in line if entry.state == _WAITING)
        yield from (entry for _, _, entry in self._retries if entry.state == _WAITING)
        for held in self._held.values():
            yield from (entry for _, entry in held if entry.state == _WAITING)
        yield from list(self._taken.values())

    # -- the parts ------------------------------------------------------------------------------------------------

    def _next(self) -> Entry | None:
        if self._released:
            return self._released.popleft()
        if len(self._fresh) == 1:
            return self._only.popleft() if self._only else None
        lines = [(priority, line) for priority, line in self._fresh.items() if line]
        if not lines:
            return None
        if self._laned:  # within a lane nothing may overtake, so the order of arrival it is
            return min((line for _, line in lines), key=lambda line: line[0].seq).popleft()
        return max(lines, key=lambda item: item[0])[1].popleft()

    def _name(self, entry: Entry) -> None:
        if self.lane is not None and entry.lane is None:
            entry.lane = self.lane(entry.hit)
            self._laned = self._laned or entry.lane is not None

    def _may_leave(self, entry: Entry, mine: set[str], *, again: bool = False, released: bool = False) -> bool:
        lane = entry.lane
        if lane is None:
            return True
        fresh = not (again or released)
        behind = fresh and lane in self._held  # what was held back before it goes first
        if lane in mine and not behind:
            return True
        if behind or lane in self._away or (not again and lane in self._retrying):
            heappush(self._held.setdefault(lane, []), (entry.seq, entry))
            return False
        mine.add(lane)
        return True

    def _lend(self, entry: Entry, until: float, out: list[Entry]) -> None:
        entry.state = _TAKEN
        entry.until = until
        self._taken[entry.seq] = entry
        if entry.lane is not None:
            self._away[entry.lane] = self._away.get(entry.lane, 0) + 1
        out.append(entry)

    def _again(self, entry: Entry, due: float) -> None:
        entry.state = _WAITING
        entry.due = due
        if entry.lane is not None:
            self._retrying[entry.lane] = self._retrying.get(entry.lane, 0) + 1
        heappush(self._retries, (due, entry.seq, entry))

    def _free(self, lane: str | None) -> None:
        """Let those go on that were held back behind a lane that has become free: as many as may leave at once.

        The others stay, for the lane is busy again as soon as these are away: moving all of them for every batch would
        make a long queue slow.
        """
        if lane is None or lane in self._away or lane in self._retrying:
            return
        held = self._held.get(lane)
        if held is None:
            return
        for _ in range(min(self._most, len(held))):
            self._released.append(heappop(held)[1])
        if not held:
            del self._held[lane]

    def _take_back(self, mono: float) -> None:
        self._expiry = float("inf")
        for seq, entry in list(self._taken.items()):
            if entry.until <= mono:
                del self._taken[seq]
                if entry.lane is not None:
                    _less(self._away, entry.lane)
                # A new record, so that the late taker's verdict cannot be mistaken for the next one's.
                entry.heir = heir = Entry(
                    entry.hit, entry.to, seq, entry.size, entry.attempts + 1, entry.since, entry.lane, token=entry.token
                )
                self._again(heir, 0.0)
            elif entry.until < self._expiry:
                self._expiry = entry.until


def _less(counts: dict[str, int], lane: str) -> None:
    left = counts.get(lane, 0) - 1
    if left > 0:
        counts[lane] = left
    else:
        counts.pop(lane, None)


def weigh(hit: Hit) -> int:
    """Return about how many bytes of memory a waiting hit takes.

    >>> from analytical.hit import Hit
    >>> weigh(Hit(id="0" * 36, kind="pageview", time=0.0, url="https://example.com/")) < 1000
    True
    """
    # Measured: the record, its id, its entry, and some 50 bytes for each text beside the text itself.
    size = 560 + len(hit.url or "") + len(hit.title or "") + len(hit.referrer or "") + len(hit.user_agent or "")
    if hit.properties is not None:
        size += _weigh(hit.properties)
    if hit.native is not None:
        size += _weigh(hit.native)
    if hit.name is not None:
        size += 300 + len(hit.name) + len(hit.label or "") + len(hit.category or "")
    return size


def _weigh(value: object) -> int:
    if isinstance(value, str):
        return 50 + len(value)
    if isinstance(value, dict):
        return 120 + sum(_weigh(key) + _weigh(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return 64 + sum(map(_weigh, value))
    return 32
