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

import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from ..errors import ConfigurationError, MissingExtra
from ..hit import Hit, new_id
from ..observe import STATES
from ..verdict import Verdict
from . import LEASE, Entry, query_of, switch
from ._remote import FETCH, WINDOW, Destination, RemoteSpool, inherited
from ._shipping import read_queued
from .memory import Queue

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError:
    raise MissingExtra("a redis:// spool", "redis") from None

__all__ = ["RedisSpool"]

_GROUP = "workers"
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
  -- A later call with the same key is a new chance.
  local read, hit = pcall(function() return cjson.decode(row[2][2]).hit end)
  if read and hit and hit.keyed then redis.call('DEL', ARGV[3] .. hit.id) end
end
if #rows > 0 then redis.call('HINCRBY', KEYS[4], 'dropped', #rows) end
return #rows
"""


class _Destination(Destination):
    """What this process keeps about one destination."""

    def __init__(self, to: str, stream: str, queue: Queue) -> None:
        super().__init__(to, queue)
        tag = f"{{{stream}:{to}}}"
        self.stream, self.due, self.tries = f"{tag}:hits", f"{tag}:due", f"{tag}:tries"
        self.ledger, self.dead, self.lock = f"{tag}:ledger", f"{tag}:dead", f"{tag}:lock"
        self.keys = f"{tag}:key:"
        self.places = f"{tag}:journals"
        self.named = False
        self.laned = False
        self.locked = -1e9
        self.claimed = -1e9
        self.beaten = -1e9
        #: The counts of all time: when this process began to look, and when Redis was last asked.
        self.base: dict[str, int] | None = None
        self.counts: dict[str, int] = {}
        self.unsettled: list[tuple[Entry, Verdict]] = []


class RedisSpool(RemoteSpool[_Destination]):
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

    _BROKER = "Redis"
    _ERRORS = (redis.RedisError,)
    _AWAY = 0.5

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
        self._url = url
        self._stream = stream
        self._window = window
        self._keep_dead = keep_dead
        super().__init__(
            stream, timeout=timeout, lease=lease, journal=journal, deliver=deliver, clock=clock, monotonic=monotonic
        )

    def _reset(self) -> None:
        super()._reset()
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
        self._swept = self._monotonic()

    @classmethod
    def from_url(cls, url: str) -> RedisSpool:
        """Read ``redis://host:6379/0?stream=hits&timeout=0.5&lease=20&journal=/var/lib/app/journal&deliver=no``.

        What else stands in the query (``ssl_ca_certs``, ``username`` …) is redis-py's.
        """
        ours, theirs = query_of(
            url,
            _READERS,
            theirs=lambda name: name.startswith("ssl_") or name in _THEIRS,
            also=f", and redis-py's {', '.join(_THEIRS)}, ssl_…",
        )
        return cls(urlunsplit(urlsplit(url)._replace(query=urlencode(theirs))), **ours)

    # -- what every spool does ------------------------------------------------------------------------------------

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

    def uploads(self, to: str) -> bool:
        destination = self._destinations[to]
        with self._lock:
            self._begin(destination)
            self._ship()
            if not self._deliver or self._gone():
                return self._deliver
            try:
                return not self._is_laned(destination) or self._may_upload(destination)
            except redis.RedisError as error:
                self._unreachable(error)
                return True

    def abandon(self) -> None:
        inherited.append(self._redis)
        super().abandon()

    def close(self) -> None:
        with self._lock:
            super().close()
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
            found += self._entries(here, rows)
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
                done += int(self._purged(keys=keys, args=[_GROUP, limit - done, here.keys]))
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

    # -- the parts ------------------------------------------------------------------------------------------------

    def _make(self, to: str, queue: Queue) -> _Destination:
        return _Destination(to, self._stream, queue)

    def _begin(self, destination: _Destination) -> None:
        """Make the group and begin to count; what fails now is done later."""
        if self._gone():
            return
        try:
            if not destination.named:
                self._redis.sadd(f"{{{self._stream}}}:names", destination.to)
                self._make_group(destination)
                destination.named = True
            if destination.base is None:
                self._ask(destination)
                destination.base = destination.counts
        except redis.RedisError as error:
            self._unreachable(error)

    def _make_group(self, destination: _Destination) -> None:
        try:
            self._redis.xgroup_create(destination.stream, _GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def _send(self, destination: _Destination, hit: Hit, body: bytes) -> bool:
        deadline = self._monotonic() + self.timeout
        key = destination.keys + hit.id if hit.keyed else destination.keys
        arguments = (self.hits, body, repr(self._clock()), int(self._window) if hit.keyed else "")
        while True:
            try:
                if self._put(keys=[destination.stream, key], args=arguments):
                    return True
                self._complain("the stream is full; new hits are refused until some have left")
                return False
            except redis.RedisError as error:
                # Redis may be restarting: as long as there is time, it is asked again.
                if isinstance(error, redis.ConnectionError) and self._monotonic() + 0.05 < deadline:
                    threading.Event().wait(0.05)
                    continue
                self._unreachable(error)
                self._in_vain = self._monotonic()
                return False

    def _refill(self, destination: _Destination, limit: int) -> None:
        self._write_settled(destination)
        try:
            self._hold(destination)
            if destination.queue.ready() < limit:
                self._fetch(destination, limit)
        except redis.ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            destination.named = False  # Redis was emptied, or came back without its data

    def _fetch(self, destination: _Destination, limit: int) -> None:
        """Bring hits here: first those that others have left, then new ones."""
        queue = destination.queue
        mono = self._monotonic()
        room = min(WINDOW - queue.count, max(FETCH, limit))
        if room <= 0:
            return
        self._begin(destination)
        rows: list[Any] = []
        if mono - destination.claimed >= min(self._lease / 4, 5.0):
            idle = int(self._lease * 1_000)
            claimed = self._redis.xautoclaim(destination.stream, _GROUP, self._me, idle, "0-0", count=room)
            rows = [row for row in claimed[1] if row[1]]
            if len(claimed[1]) < room:
                destination.claimed = mono
        if len(rows) < room:
            fresh = self._redis.xreadgroup(_GROUP, self._me, {destination.stream: ">"}, count=room - len(rows))
            rows += fresh[0][1] if fresh else []
        held = {entry.token for entry in queue}
        fetched = self._entries(destination, [row for row in rows if row[0] not in held])
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

    def _entries(self, destination: _Destination, rows: Sequence[Any]) -> list[Entry]:
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
            entry = Entry(hit, destination.to, _order(identity), len(row[b"q"]), int(attempts or 0), float(row[b"s"]))
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
        destination.queue = self._queue(destination.queue.lane)

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

    def _carry(self, to: str, bodies: list[bytes], name: str, end: int) -> None:
        here = self._at(to)
        if to not in self._destinations:
            self._redis.sadd(f"{{{self._stream}}}:names", to)
        self._shipped(keys=[here.stream, here.places], args=[name, end, repr(self._clock()), *bodies])

    def _ends(self, name: str) -> list[int]:
        places = (self._redis.hget(self._at(to).places, name) for to in self.names())
        return [int(place) for place in places if place is not None]

    # -- counting -------------------------------------------------------------------------------------------------

    def _ask(self, destination: _Destination) -> None:
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hgetall(destination.ledger).xlen(destination.stream)
            ledger, pending = pipe.execute()
        destination.counts = {state.decode(): int(count) for state, count in ledger.items()}
        destination.known = int(pending)

    def _counts(self, destination: _Destination) -> tuple[dict[str, int], int]:
        """Count on all hosts."""
        pending = self._pending(destination)
        now, base = destination.counts, destination.base or {}
        return {state: max(0, now.get(state, 0) - base.get(state, 0)) for state in STATES}, pending


_THEIRS = ("db", "username", "password", "client_name", "max_connections", "health_check_interval")


_READERS: dict[str, Callable[[str], Any]] = {
    "stream": str,
    "timeout": float,
    "hits": int,
    "lease": float,
    "window": float,
    "keep_dead": int,
    "journal": str,
    "deliver": switch,
}


def _decoded(body: bytes) -> Hit | None:
    queued = read_queued(body)
    return queued.hit if queued is not None else None


def _order(identity: bytes) -> int:
    milliseconds, _, number = identity.partition(b"-")
    return int(milliseconds) << 20 | int(number)
