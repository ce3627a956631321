"""Hits that wait in Redis, for many hosts: a stream per destination, read by one group of workers.

https://redis.io/docs/latest/develop/data-types/streams/

``put`` answers when Redis has acknowledged the hit, or ``timeout`` seconds have passed; with ``journal=`` the hit goes
to a file of this machine first, and from there to Redis, so that the caller waits for no network. A worker that dies
leaves what it held to the others after ``lease`` seconds. What Redis itself survives is its own configuration:
``appendonly yes`` for its restart.

Keys, for the stream ``analytical`` and the destination ``web``, all in one slot of a cluster: ``{analytical:web}:hits``
(the stream), ``…:due`` (when a retry may leave, by id), ``…:tries``, ``…:ledger`` and ``…:dead``.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from ..errors import ConfigurationError, MissingExtra, did_you_mean
from ..hit import Hit, new_id
from ..observe import STATES
from ..verdict import Verdict
from . import LEASE, Entry, Lost
from ._shipping import Shipping, read_queued
from .memory import Queue

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError:
    raise MissingExtra("a redis:// spool", "redis") from None

__all__ = ["RedisSpool"]

log = logging.getLogger("analytical.spool")

_GROUP = "workers"
#: Hits of one destination that this process holds on their way out, and how many it fetches at once.
_WINDOW, _FETCH = 5_000, 500
_SECOND = 1.0
#: Seconds for which a Redis that did not answer is not asked again in the background.
_AWAY = 0.5
#: Seconds for which nobody waits for Redis after a page has waited in vain: hits are refused at once.
_VAIN = 0.5
#: Seconds after which a consumer that holds nothing and asks for nothing is forgotten.
_GONE = 3_600.0

# Accepts a hit unless there are too many, or its business key was accepted within the window.
_PUT = """
if tonumber(ARGV[1]) <= redis.call('XLEN', KEYS[1]) then return 0 end
if ARGV[4] ~= '' and not redis.call('SET', KEYS[2], '1', 'NX', 'EX', ARGV[4]) then return 2 end
redis.call('XADD', KEYS[1], '*', 'q', ARGV[2], 's', ARGV[3])
return 1
"""

# Takes over records of a journal, exactly once: not where they were taken over before, and only the note was lost.
_SHIP = """
local place = redis.call('HGET', KEYS[2], ARGV[1])
if place and tonumber(place) >= tonumber(ARGV[2]) then return 0 end
for i = 4, #ARGV do redis.call('XADD', KEYS[1], '*', 'q', ARGV[i], 's', ARGV[3]) end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return 1
"""

# Does what the verdicts say, all or nothing; tells for each whether it was still there.
_SETTLE = """
local out = {}
for i = 4, #ARGV, 5 do
  local id, state, reason, tries, due = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  local row = redis.call('XRANGE', KEYS[1], id, id)
  if #row == 0 then
    out[#out + 1] = 0
  elseif state == 'retry' then
    redis.call('ZADD', KEYS[2], due, id)
    redis.call('HSET', KEYS[3], id, tries)
    out[#out + 1] = 1
  else
    redis.call('XACK', KEYS[1], ARGV[1], id)
    redis.call('XDEL', KEYS[1], id)
    redis.call('ZREM', KEYS[2], id)
    redis.call('HDEL', KEYS[3], id)
    redis.call('HINCRBY', KEYS[4], state, 1)
    if state ~= 'delivered' and state ~= 'unconfirmed' then
      redis.call('XADD', KEYS[5], 'MAXLEN', '~', ARGV[2], '*',
                 'state', state, 'reason', reason, 'q', row[1][2][2], 's', row[1][2][4])
    end
    out[#out + 1] = 1
  end
end
return out
"""

# Holds on to what this consumer still has; returns what it has lost to another.
_BEAT = """
local lost = {}
for i = 3, #ARGV do
  local held = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1)
  if held[1] and held[1][2] == ARGV[2] then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'JUSTID')
  else
    lost[#lost + 1] = ARGV[i]
  end
end
return lost
"""

# Puts the oldest dead letters back among the waiting.
_REPLAY = """
local rows = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', ARGV[1])
for _, row in ipairs(rows) do
  redis.call('XADD', KEYS[1], '*', 'q', row[2][6], 's', ARGV[2])
  redis.call('XDEL', KEYS[2], row[1])
end
return #rows
"""

# Deletes the oldest waiting hits; they count as dropped.
_PURGE = """
local rows = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', ARGV[2])
for _, row in ipairs(rows) do
  redis.call('XACK', KEYS[1], ARGV[1], row[1])
  redis.call('XDEL', KEYS[1], row[1])
  redis.call('ZREM', KEYS[2], row[1])
  redis.call('HDEL', KEYS[3], row[1])
end
if #rows > 0 then redis.call('HINCRBY', KEYS[4], 'dropped', #rows) end
return #rows
"""


class _Destination:
    """What this process keeps about one destination."""

    def __init__(self, to: str, stream: str, queue: Queue) -> None:
        self.queue = queue
        tag = f"{{{stream}:{to}}}"
        self.stream, self.due, self.tries = f"{tag}:hits", f"{tag}:due", f"{tag}:tries"
        self.ledger, self.dead, self.lock = f"{tag}:ledger", f"{tag}:dead", f"{tag}:lock"
        self.keys = f"{tag}:key:"
        self.places = f"{tag}:journals"
        self.prefix = b'{"v":1,"to":' + msgspec.json.encode(to) + b',"hit":'
        self.lost: Lost | None = None
        self.named = False
        self.laned = False
        self.locked = -1e9
        self.claimed = -1e9
        self.beaten = -1e9
        self.refused = 0
        self.base: dict[str, int] | None = None
        self.known: tuple[dict[str, int], int] = ({}, 0)
        self.unsettled: list[tuple[Entry, Verdict]] = []


class RedisSpool:
    """A spool in Redis.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``, as redis-py takes it.
        stream: what the keys begin with: spools of different streams know nothing of each other.
        timeout: seconds that ``put`` waits at most for Redis's acknowledgement.
        hits: how many hits of one destination may wait.
        lease: seconds after which what a worker holds goes to another.
        window: seconds in which a business key counts once.
        keep_dead: about how many dead letters of a destination are kept.
        journal: a directory on this machine: ``put`` appends to a file in it and returns, and a thread of the
            driver brings it to Redis. What is in it survives the process; another on this machine adopts it.
        deliver: whether this process takes hits out, too; ``False`` where workers of their own do.
        clock: seconds since 1970.
        monotonic: the clock of leases.

    Where the platform needs the order of a visitor's hits (a *lane*), one worker at a time delivers for that
    destination, as with SQLite; everywhere else all of them do.
    """

    durable = True
    remote = True

    def __init__(
        self,
        url: str,
        *,
        stream: str = "analytical",
        timeout: float = 1.0,
        hits: int = 10_000_000,
        lease: float = LEASE,
        window: float = 86_400.0,
        keep_dead: int = 100_000,
        journal: str | os.PathLike[str] | None = None,
        deliver: bool = True,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if not stream or any(mark in stream for mark in "{}"):
            raise ConfigurationError(f"stream={stream!r}: expected a name without braces")
        self.hits = hits
        self.timeout = timeout
        self._url = url
        self._stream = stream
        self._lease = lease
        self._window = window
        self._keep_dead = keep_dead
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
        self._destinations: dict[str, _Destination] = {}
        self._reset()

    def _reset(self) -> None:
        # Held around a conversation with Redis by whoever takes, settles or counts; never by put().
        self._lock = threading.RLock()
        self._held = False
        try:
            self._redis: Any = redis.Redis.from_url(
                self._url,
                socket_timeout=self.timeout,
                socket_connect_timeout=self.timeout,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
            )
        except ValueError as error:
            raise ConfigurationError(f"the Redis URL cannot be read: {error}") from None
        register = self._redis.register_script
        self._put, self._settle, self._beat = register(_PUT), register(_SETTLE), register(_BEAT)
        self._shipped, self._replayed, self._purged = register(_SHIP), register(_REPLAY), register(_PURGE)
        # A name for each process: what it holds is its own until the lease ends.
        self._me = f"{socket.gethostname()}-{os.getpid()}-{new_id()[-12:]}"
        self._pace = 0.05
        self._closed = False
        #: Whether Redis did not answer when it was last asked.
        self.away = False
        self._failed = self._in_vain = -1e9
        self._swept = self._monotonic()
        self._said: dict[str, float] = {}

    @classmethod
    def from_url(cls, url: str) -> RedisSpool:
        """Read ``redis://host:6379/0?stream=hits&timeout=0.5&lease=20&journal=/var/lib/app/journal&deliver=no``.

        What else stands in the query (``ssl_ca_certs``, ``protocol`` …) is redis-py's.
        """
        parts = urlsplit(url)
        ours: dict[str, Any] = {}
        theirs: list[tuple[str, str]] = []
        for name, value in parse_qsl(parts.query, keep_blank_values=True):
            if name in _READERS:
                try:
                    ours[name] = _READERS[name](value)
                except ValueError:
                    raise ConfigurationError(
                        f"{parts.scheme}://…?{name}={value}: expected another kind of value"
                    ) from None
            elif name.startswith("ssl_") or name in _THEIRS:
                theirs.append((name, value))
            else:
                raise ConfigurationError(
                    f"{parts.scheme}://…?{name}=: no such option.{did_you_mean(name, _READERS)} "
                    f"Options: {', '.join(_READERS)}, and redis-py's {', '.join(_THEIRS)}, ssl_…"
                )
        return cls(urlunsplit(parts._replace(query=urlencode(theirs))), **ours)

    def __repr__(self) -> str:
        return f"<RedisSpool {self._stream}>"

    # -- what every spool does ------------------------------------------------------------------------------------

    def attach(self, to: str, *, lane: Callable[[Hit], str | None] | None = None, lost: Lost | None = None) -> None:
        destination = self._destinations.get(to)
        if destination is None:
            queue = Queue(lane, lease=self._lease, monotonic=self._monotonic)
            self._destinations[to] = destination = _Destination(to, self._stream, queue)
            if self.blocking:  # with a journal, only the driver's threads speak to Redis
                with self._lock:
                    self._begin(to, destination)
        destination.queue.lane = lane
        self._closed = False
        if lost is not None:
            destination.lost = lost

    def detach(self, to: str) -> None:
        destination = self._destinations.get(to)
        if destination is not None:
            with self._lock:
                self._ship_all()
                self._let_go(destination)

    def put(self, to: str, hit: Hit) -> bool:
        destination = self._destinations[to]
        body = destination.prefix + self._encode(hit) + b"}"
        self._closed = False
        if self._shipping is not None:
            if self._shipping.journal.append(body):
                return True
            destination.refused += 1
            return False
        mono = self._monotonic()
        if mono - self._in_vain < _VAIN:
            destination.refused += 1
            return False
        deadline = mono + self.timeout
        key = destination.keys + hit.id if hit.keyed else destination.keys
        arguments = (self.hits, body, repr(self._clock()), int(self._window) if hit.keyed else "")
        while True:
            try:
                if self._put(keys=[destination.stream, key], args=arguments):
                    return True
                self._complain("the stream is full; new hits are refused until some have left")
            except redis.ConnectionError as error:
                # Redis may be restarting: as long as there is time, it is asked again.
                if self._monotonic() + 0.05 < deadline:
                    threading.Event().wait(0.05)
                    continue
                self._unreachable(error)
                self._in_vain = self._monotonic()
            except redis.RedisError as error:
                self._unreachable(error)
                self._in_vain = self._monotonic()
            destination.refused += 1
            return False

    def take(self, limit: int, now: float, *, to: str | None = None) -> list[Entry]:
        with self._lock:
            for name in [to] if to is not None else list(self._destinations):
                destination = self._destinations[name]
                if self._closed or not self.uploads(name):
                    continue  # a thread that came late must not begin anew
                if not self._gone():
                    try:
                        self._write_settled(destination)
                        self._hold(destination)
                        if destination.queue.ready() < limit:
                            self._fetch(name, destination, now, limit)
                    except redis.RedisError as error:
                        self._unreachable(error)
                taken = destination.queue.take(limit, now)
                if taken:
                    return taken
        return []

    def settle(self, entries: Sequence[Entry], verdicts: Sequence[Verdict], now: float) -> list[bool]:
        with self._lock:
            done: list[bool] = []
            mine: list[tuple[int, Entry, Verdict]] = []
            for position, (entry, verdict) in enumerate(zip(entries, verdicts, strict=True)):
                destination = self._destinations[entry.to]
                really = destination.queue.settle(entry, verdict, now)
                done.append(really)
                if really:
                    mine.append((position, entry, verdict))
            for name in {entry.to for entry in entries}:
                destination = self._destinations[name]
                chosen = [item for item in mine if item[1].to == name]
                destination.unsettled += [(entry, verdict) for _, entry, verdict in chosen]
                before = len(destination.unsettled) - len(chosen)
                if self._gone():
                    continue
                try:
                    answers = self._write_settled(destination)[before:]
                except redis.RedisError as error:
                    # Kept, and said to Redis as soon as it is back.
                    self._unreachable(error)
                    continue
                for (position, _, _), answer in zip(chosen, answers, strict=True):
                    done[position] = answer
            return done

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

    def uploads(self, to: str) -> bool:
        destination = self._destinations[to]
        with self._lock:
            if self._gone():
                return self._deliver
            try:
                self._begin(to, destination)
                self._ship()
                if not self._deliver:
                    return False
                return not self._is_laned(destination) or self._may_upload(destination)
            except redis.RedisError as error:
                self._unreachable(error)
                return self._deliver

    def waiting(self, to: str) -> int:
        return self._counts(to)[1]

    def ready(self, to: str) -> int:
        return self._destinations[to].queue.ready()

    def remains(self, to: str) -> list[Entry]:
        return []

    def stats(self, to: str) -> dict[str, int] | None:
        """Count what became of a destination's hits, on all hosts, since this spool was opened here."""
        destination = self._destinations.get(to)
        if destination is None:
            return None
        with self._lock:
            self._begin(to, destination)
            counts, pending = self._counts(to)
        base = destination.base or {}
        snapshot: dict[str, int] = {state: max(0, counts.get(state, 0) - base.get(state, 0)) for state in STATES}
        snapshot["dropped"] += destination.refused
        return {"accepted": sum(snapshot.values()) + pending, **snapshot, "pending": pending}

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
        _inherited.append((self._redis, self._shipping.inherited() if self._shipping is not None else None))
        for to, old in list(self._destinations.items()):
            queue = Queue(old.queue.lane, lease=self._lease, monotonic=self._monotonic)
            self._destinations[to] = destination = _Destination(to, self._stream, queue)
            destination.lost, destination.named = old.lost, old.named
        self._reset()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._shipping is not None:
                self._ship_all()
                self._shipping.close()
            for destination in self._destinations.values():
                self._let_go(destination)
            self._redis.close()

    # -- what an operator does ------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Return the destinations that this stream has ever held hits of."""
        return sorted(name.decode() for name in self._redis.smembers(f"{{{self._stream}}}:names"))

    def status(self) -> list[dict[str, Any]]:
        """Return a row for each destination: how many wait, since when, how many are dead, and all counts so far."""
        rows = []
        for name in self.names():
            here = self._at(name)
            with self._redis.pipeline() as pipe:
                pipe.xlen(here.stream).hgetall(here.ledger).xrange(here.stream, count=1).xlen(here.dead)
                pending, ledger, first, dead = pipe.execute()
            oldest = float(first[0][1][b"s"]) if first else None
            counts = {state.decode(): int(count) for state, count in ledger.items()}
            rows.append({"to": name, "pending": pending, "oldest": oldest, "dead": dead, **counts})
        return rows

    def peek(self, limit: int = 20, *, to: str | None = None) -> list[Entry]:
        """Return hits that wait, the oldest first, without taking them."""
        found: list[Entry] = []
        for name in self._names(to):
            here = self._at(name)
            rows = self._redis.xrange(here.stream, count=limit)
            found += self._entries(name, here, rows)
        return sorted(found, key=lambda entry: entry.since)[:limit]

    def dead(self, limit: int = 20, *, to: str | None = None) -> list[tuple[Entry, str, str]]:
        """Return dead letters, the newest first, each with its state and reason."""
        found: list[tuple[Entry, str, str]] = []
        for name in self._names(to):
            for _, row in self._redis.xrevrange(self._at(name).dead, count=limit):
                hit = _decoded(row[b"q"])
                if hit is not None:
                    entry = Entry(hit, name, since=float(row[b"s"]))
                    found.append((entry, row[b"state"].decode(), row[b"reason"].decode()))
        return found[:limit]

    def replay(self, *, to: str | None = None, limit: int = 1_000) -> int:
        """Put up to ``limit`` dead letters back among the waiting; return how many. They count as accepted anew."""
        done = 0
        for name in self._names(to):
            here = self._at(name)
            if done < limit:
                done += int(self._replayed(keys=[here.stream, here.dead], args=[limit - done, repr(self._clock())]))
        return done

    def purge(self, *, to: str | None = None, dead: bool = False, limit: int = 10_000) -> int:
        """Delete up to ``limit`` waiting hits (counted as dropped), or dead letters; return how many."""
        done = 0
        for name in self._names(to):
            here = self._at(name)
            if dead:
                rows = self._redis.xrange(here.dead, count=max(limit - done, 1)) if done < limit else []
                done += int(self._redis.xdel(here.dead, *[row for row, _ in rows])) if rows else 0
            elif done < limit:
                keys = [here.stream, here.due, here.tries, here.ledger]
                done += int(self._purged(keys=keys, args=[_GROUP, limit - done]))
        return done

    def retry(self, *, to: str | None = None) -> int:
        """Make every waiting hit due now, for whichever worker takes it next; return how many were not."""
        done = 0
        for name in self._names(to):
            here = self._at(name)
            done += int(self._redis.zremrangebyscore(here.due, f"({self._clock()!r}", "+inf"))
        return done

    def _names(self, to: str | None) -> list[str]:
        return self.names() if to is None else [to]

    def _at(self, to: str) -> _Destination:
        return self._destinations.get(to) or _Destination(to, self._stream, Queue(None))

    # -- the parts ------------------------------------------------------------------------------------------------

    def _begin(self, to: str, destination: _Destination) -> None:
        """Make the group and begin to count; what fails now is done later."""
        if self._gone():
            return
        try:
            if not destination.named:
                self._redis.sadd(f"{{{self._stream}}}:names", to)
                self._make_group(destination)
                destination.named = True
            if destination.base is None:
                destination.base = self._ask(destination)[0]
        except redis.RedisError as error:
            self._unreachable(error)

    def _make_group(self, destination: _Destination) -> None:
        try:
            self._redis.xgroup_create(destination.stream, _GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def _fetch(self, to: str, destination: _Destination, now: float, limit: int) -> None:
        """Bring hits here: first those that others have left, then new ones."""
        queue = destination.queue
        mono = self._monotonic()
        room = min(_WINDOW - queue.count, max(_FETCH, limit))
        if room <= 0:
            return
        self._begin(to, destination)
        rows: list[Any] = []
        try:
            if mono - destination.claimed >= min(self._lease / 4, 5.0):
                idle = int(self._lease * 1_000)
                claimed = self._redis.xautoclaim(destination.stream, _GROUP, self._me, idle, "0-0", count=room)
                rows = [row for row in claimed[1] if row[1]]
                if len(claimed[1]) < room:
                    destination.claimed = mono
            if len(rows) < room:
                fresh = self._redis.xreadgroup(_GROUP, self._me, {destination.stream: ">"}, count=room - len(rows))
                rows += fresh[0][1] if fresh else []
        except redis.ResponseError as error:
            if "NOGROUP" in str(error):  # Redis was emptied, or came back without its data
                destination.named = False
            else:
                raise
        held = {entry.token for entry in queue}
        fetched = self._entries(to, destination, [row for row in rows if row[0] not in held])
        for entry in fetched:
            if entry.due:
                queue.later(entry, entry.due)
            else:
                queue.append(entry)
        # Often while something comes, rarely while nothing does.
        self._pace = 0.02 if fetched else min(self._pace * 1.5, 0.5)
        if mono - self._swept > 600.0:
            self._swept = mono
            self._sweep(destination)

    def _entries(self, to: str, destination: _Destination, rows: Sequence[Any]) -> list[Entry]:
        if not rows:
            return []
        ids = [row for row, _ in rows]
        with self._redis.pipeline() as pipe:
            pipe.hmget(destination.tries, ids).execute_command("ZMSCORE", destination.due, *ids)
            tries, dues = pipe.execute()
        found = []
        for (identity, row), attempts, due in zip(rows, tries, dues, strict=True):
            hit = _decoded(row[b"q"])
            if hit is None:
                self._complain("a hit was written by a newer version of analytical, and waits for it")
                continue
            entry = Entry(hit, to, _order(identity), len(row[b"q"]), int(attempts or 0), float(row[b"s"]))
            entry.due, entry.token = float(due or 0.0), identity
            found.append(entry)
        return found

    def _write_settled(self, destination: _Destination) -> list[bool]:
        if not destination.unsettled:
            return []
        arguments: list[Any] = [_GROUP, self._keep_dead, len(destination.unsettled)]
        for entry, verdict in destination.unsettled:
            arguments += [entry.token, verdict.state, verdict.reason, entry.attempts, repr(entry.due)]
        keys = [destination.stream, destination.due, destination.tries, destination.ledger, destination.dead]
        answers = [bool(answer) for answer in self._settle(keys=keys, args=arguments)]
        again = [
            destination.keys + entry.hit.id
            for entry, verdict in destination.unsettled
            if entry.hit.keyed and verdict.state in ("rejected", "expired", "dropped")
        ]
        destination.unsettled.clear()
        if again:  # a later call with the same key is a new chance
            self._redis.delete(*again)
        return answers

    def _hold(self, destination: _Destination) -> None:
        """Say that this process lives, so that nobody claims what it holds."""
        mono = self._monotonic()
        if not destination.queue.count or mono - destination.beaten < self._lease / 4:
            return
        held = {entry.token: entry for entry in destination.queue}
        lost = self._beat(keys=[destination.stream], args=[_GROUP, self._me, *held]) if held else []
        destination.beaten = mono
        for identity in lost:  # another has it: this process was away for longer than the lease
            destination.queue.settle(held[identity], Verdict("dropped"), self._clock())

    def _is_laned(self, destination: _Destination) -> bool:
        lane = destination.queue.lane
        if destination.laned or lane is None:
            return destination.laned
        rows = self._redis.xrange(destination.stream, count=1) if not destination.queue.count else []
        hits = [_decoded(row[b"q"]) for _, row in rows] or [entry.hit for entry in destination.queue][:1]
        destination.laned = any(hit is not None and lane(hit) is not None for hit in hits)
        return destination.laned

    def _may_upload(self, destination: _Destination) -> bool:
        """Tell whether this process is the one that delivers where order matters; try to become it."""
        mono = self._monotonic()
        if 0 <= mono - destination.locked < self._lease / 4:
            return True
        life = int(self._lease * 1_000)
        if self._redis.set(destination.lock, self._me, nx=True, px=life):
            destination.locked = mono
            return True
        if self._redis.get(destination.lock) == self._me.encode():
            self._redis.pexpire(destination.lock, life)
            destination.locked = mono
            return True
        return False

    def _let_go(self, destination: _Destination) -> None:
        try:
            if not self._gone():
                self._hand_back(destination)
        except redis.RedisError as error:
            self._unreachable(error)  # the leases end by themselves
        destination.locked = destination.claimed = -1e9
        destination.queue = Queue(destination.queue.lane, lease=self._lease, monotonic=self._monotonic)

    def _hand_back(self, destination: _Destination) -> None:
        if destination.named:
            self._write_settled(destination)
            held = [entry.token for entry in destination.queue]
            for start in range(0, len(held), 500):
                # As old as a lease: the next worker need not wait for its end.
                self._redis.xclaim(
                    destination.stream, _GROUP, self._me, 0, held[start : start + 500],
                    idle=int(self._lease * 1_000) + 1, justid=True,
                )  # fmt: skip
            if destination.locked > 0 and self._redis.get(destination.lock) == self._me.encode():
                self._redis.delete(destination.lock)

    def _sweep(self, destination: _Destination) -> None:
        for consumer in self._redis.xinfo_consumers(destination.stream, _GROUP):
            if not consumer["pending"] and consumer["idle"] > _GONE * 1_000:
                self._redis.xgroup_delconsumer(destination.stream, _GROUP, consumer["name"])

    # -- a journal on this machine --------------------------------------------------------------------------------

    def _ship_all(self) -> None:
        if self._gone():
            return
        try:
            self._ship(now=True)
        except redis.RedisError as error:
            self._unreachable(error)  # it stays in the journal, and another process of this machine adopts it

    def _ship(self, *, now: bool = False) -> None:
        if self._shipping is None:
            return
        try:
            self._shipping.ship(now=now)
        except OSError as error:
            self._complain(f"a journal cannot be read: {type(error).__name__}")

    def _carry(self, to: str, bodies: list[bytes], name: str, end: int) -> None:
        here = self._at(to)
        if to not in self._destinations:
            self._redis.sadd(f"{{{self._stream}}}:names", to)
        self._shipped(keys=[here.stream, here.places], args=[name, end, repr(self._clock()), *bodies])

    def _ends(self, name: str) -> list[int]:
        places = (self._redis.hget(self._at(to).places, name) for to in self.names())
        return [int(place) for place in places if place is not None]

    # -- counting -------------------------------------------------------------------------------------------------

    def _ask(self, destination: _Destination) -> tuple[dict[str, int], int]:
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hgetall(destination.ledger).xlen(destination.stream)
            ledger, pending = pipe.execute()
        self.away = False
        destination.known = ({state.decode(): int(count) for state, count in ledger.items()}, int(pending))
        return destination.known

    def _counts(self, to: str) -> tuple[dict[str, int], int]:
        destination = self._at(to)
        here = self._shipping.waiting(to) if self._shipping is not None else 0
        with self._lock:
            if not self._gone():
                try:
                    self._ask(destination)
                except redis.RedisError as error:
                    self._unreachable(error)
            counts, pending = destination.known
            return counts, pending + here

    def _gone(self) -> bool:
        """Tell whether Redis did not answer a moment ago: then nobody waits for it again, but who puts a hit."""
        return self._monotonic() - self._failed < _AWAY

    def _unreachable(self, error: Exception) -> None:
        self.away = True
        self._failed = self._monotonic()
        # Its text may show an address with a password in it; its kind says enough.
        self._complain(f"Redis cannot be used: {type(error).__name__}")

    def _complain(self, what: str) -> None:
        now = self._monotonic()
        if now - self._said.get(what, -1e9) > 60.0:
            self._said[what] = now
            log.warning("%s: %s", self._stream, what)


#: What forked children inherited and must not close.
_inherited: list[Any] = []

_THEIRS = ("db", "username", "password", "client_name", "max_connections", "health_check_interval")


def _switch(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on", ""):
        return True
    if text.lower() in ("0", "false", "no", "off"):
        return False
    raise ValueError


_READERS: dict[str, Callable[[str], Any]] = {
    "stream": str,
    "timeout": float,
    "hits": int,
    "lease": float,
    "window": float,
    "keep_dead": int,
    "journal": str,
    "deliver": _switch,
}


def _decoded(body: bytes) -> Hit | None:
    queued = read_queued(body)
    return queued.hit if queued is not None else None


def _order(identity: bytes) -> int:
    milliseconds, _, number = identity.partition(b"-")
    return int(milliseconds) << 20 | int(number)
