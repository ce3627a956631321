"""Hits that wait on disk: one SQLite file for all processes of a machine, with a journal per process in front of it.

``put`` appends to this process's own journal (:mod:`analytical.spool.journal`): the hit survives the death of the
process from then on. One process at a time, for each destination, holds the right to upload: a file lock, so that it
falls free with its holder. That process moves journals into the database and takes hits from there. Nobody else
writes the database.

Beside ``outbox.db`` there is the directory ``outbox.db.d`` with journals and locks; together they are the outbox.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from hashlib import blake2b
from os import PathLike
from pathlib import Path
from typing import Any

import msgspec

from ..errors import ConfigurationError
from ..hit import Hit
from ..observe import STATES
from ..verdict import Verdict
from . import LEASE, Entry, Lost, options_of, switch
from .journal import Journal, JournalReader, journals
from .memory import Queue

__all__ = ["SqliteSpool"]

log = logging.getLogger("analytical.spool")

#: The schema, one step for each version; a file of an older version is brought up by the steps it lacks.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE destinations(number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
        """CREATE TABLE hits(
            seq INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL, dest INTEGER NOT NULL, since REAL NOT NULL,
            due REAL NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0, body BLOB NOT NULL)""",
        "CREATE UNIQUE INDEX hits_once ON hits(id, dest)",
        "CREATE INDEX hits_order ON hits(dest, seq)",
        """CREATE TABLE dead(
            seq INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL, dest INTEGER NOT NULL, since REAL NOT NULL,
            at REAL NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL, body BLOB NOT NULL)""",
        "CREATE TABLE journals(name TEXT PRIMARY KEY, place INTEGER NOT NULL) WITHOUT ROWID",
        """CREATE TABLE ledger(
            dest INTEGER NOT NULL, state TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY(dest, state)
            ) WITHOUT ROWID""",
        # Business keys that were delivered: the window in which the same key counts once.
        """CREATE TABLE keys(
            id BLOB NOT NULL, dest INTEGER NOT NULL, at REAL NOT NULL, PRIMARY KEY(id, dest)) WITHOUT ROWID""",
        "CREATE INDEX keys_age ON keys(at)",
    ),
)

#: ``PRAGMA application_id``: that the file is one of ours.
_KIND = 0x414C5954
_SECOND = 1.0
#: Hits of one destination that are kept in memory on their way out.
_WINDOW = 20_000
_CHUNK = 2_000


class _Peek(msgspec.Struct):
    """What must be known of a hit to file it."""

    id: str
    keyed: bool = False


class _Queued(msgspec.Struct):
    """A record of a journal."""

    to: str
    hit: msgspec.Raw
    v: int = 1


class _Destination:
    """What this process keeps about one destination."""

    __slots__ = (
        "base",
        "compared",
        "cursor",
        "known",
        "lock",
        "lost",
        "prefix",
        "queue",
        "refused",
        "tried",
        "unsettled",
        "version",
    )

    def __init__(self, to: str, queue: Queue) -> None:
        self.queue = queue
        self.prefix = b'{"v":1,"to":' + msgspec.json.encode(to) + b',"hit":'
        self.cursor = 0
        self.lost: Lost | None = None
        self.lock: int | None = None
        self.tried = -1e9
        #: When the hits here were last compared with the file, and the state of the file then.
        self.compared = -1e9
        self.version = -1
        self.refused = 0
        #: The counts of all time when this process began to look; and the last that could be read.
        self.base: dict[str, int] | None = None
        self.known: tuple[dict[str, int], int] = ({}, 0)
        #: Settled, but the disk would not take it yet.
        self.unsettled: list[tuple[Entry, Verdict]] = []


class SqliteSpool:
    """An outbox on disk.

    Args:
        path: the database file; made when needed, readable by its owner alone.
        hits: how many hits may wait.
        bytes: how large the database may grow, in bytes.
        age: seconds after which a hit that waits expires.
        fsync: wait for the disk at every hit, to survive a power loss too.
        lease: seconds after which a batch that nobody settled is taken again.
        window: seconds in which a business key counts once, where the platform itself does not see to it.
        keep_dead: how many dead letters are kept.
        clock: seconds since 1970.
        monotonic: the clock of leases.

    A file that SQLite cannot read is renamed to ``….corrupt-TIME``, an error is logged, what can be read of it is
    taken over, and a new one is begun.
    """

    durable = True
    blocking = False

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        hits: int = 5_000_000,
        bytes: int = 8 << 30,
        age: float = 7 * 86_400.0,
        fsync: bool = False,
        lease: float = LEASE,
        window: float = 86_400.0,
        keep_dead: int = 100_000,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = Path(os.path.abspath(os.fspath(path)))
        if not self.path.name or self.path.is_dir():
            raise ConfigurationError(f"spool={str(path)!r}: expected the path of a file, such as 'outbox.db'")
        self.directory = self.path.with_name(self.path.name + ".d")
        self.hits = hits
        self.bytes = bytes
        self.age = age
        self._fsync = fsync
        self._lease = lease
        self._window = window
        self._keep_dead = keep_dead
        self._clock = clock
        self._monotonic = monotonic
        self._encode = msgspec.json.Encoder().encode
        self._journal = Journal(self.directory, fsync=fsync)
        self._destinations: dict[str, _Destination] = {}
        #: Set while there is no room: read by put() without any lock.
        self._full = False
        self._reset()

    def _reset(self) -> None:
        # Held around disk I/O, by whoever uploads or counts; never by put().
        self._lock = threading.RLock()
        self._db: sqlite3.Connection | None = None
        self._closed = False
        self._held = False
        self._forking = False
        self._identity: tuple[int, int] | None = None
        self._numbers: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._readers: dict[str, JournalReader] = {}
        self._looked = -1e9
        self._pace = 0.05
        self._checked = -1e9
        self._swept = -1e9
        self._said: dict[str, float] = {}

    @classmethod
    def from_url(cls, url: str) -> SqliteSpool:
        """Read ``sqlite:///outbox.db?hits=1000000&fsync=1`` (four slashes for an absolute path)."""
        path, options = options_of(
            url,
            {
                "hits": int,
                "bytes": int,
                "age": float,
                "fsync": switch,
                "lease": float,
                "window": float,
                "keep_dead": int,
            },
        )
        return cls(path, **options)

    # -- what every spool does ------------------------------------------------------------------------------------

    def attach(self, to: str, *, lane: Callable[[Hit], str | None] | None = None, lost: Lost | None = None) -> None:
        destination = self._destinations.get(to)
        if destination is None:
            destination = _Destination(to, Queue(lane, lease=self._lease, monotonic=self._monotonic))
            self._destinations[to] = destination
            self._begin_counting(to, destination)
        destination.queue.lane = lane
        self._closed = False
        if lost is not None:
            destination.lost = lost

    def detach(self, to: str) -> None:
        destination = self._destinations.get(to)
        if destination is not None:
            with self._lock:
                self._write_settled(self._clock())
                self._let_go(destination)

    def _let_go(self, destination: _Destination) -> None:
        if destination.lock is not None:
            # What is on lease falls due at once for whoever comes next.
            os.close(destination.lock)
            destination.lock = None
        destination.tried = -1e9
        destination.queue = Queue(destination.queue.lane, lease=self._lease, monotonic=self._monotonic)

    def _begin_counting(self, to: str, destination: _Destination) -> None:
        with self._lock:
            if destination.base is None:
                found = self._counts(to)[0]
                destination.base = None if self._db is None else found

    def put(self, to: str, hit: Hit) -> bool:
        destination = self._destinations[to]
        if self._closed:
            self._closed = False
        if not self._full and self._journal.append(destination.prefix + self._encode(hit) + b"}"):
            return True
        destination.refused += 1
        return False

    def take(self, limit: int, now: float, *, to: str | None = None) -> list[Entry]:
        if self._forking or self._closed:
            return []  # after close(), a thread that comes late must not begin anew
        with self._lock:
            for name in [to] if to is not None else list(self._destinations):
                destination = self._destinations[name]
                if not self.uploads(name):
                    continue
                if destination.queue.ready() < limit:
                    self._bring_in(now)
                    self._load(name, destination, now)
                self._forget(name, destination, now)
                taken = destination.queue.take(limit, now)
                if taken:
                    return taken
        return []

    def settle(self, entries: Sequence[Entry], verdicts: Sequence[Verdict], now: float) -> list[bool]:
        with self._lock:
            done: list[bool] = []
            for entry, verdict in zip(entries, verdicts, strict=True):
                destination = self._destinations[entry.to]
                really = destination.queue.settle(entry, verdict, now)
                done.append(really)
                if really:
                    destination.unsettled.append((entry, verdict))
            self._write_settled(now)
            return done

    def renew(self, entries: Sequence[Entry]) -> None:
        until = self._monotonic() + self._lease
        for entry in entries:
            entry.until = until

    def wake_at(self, to: str | None = None) -> float | None:
        now = self._clock()
        times: list[float] = []
        for name, destination in list(self._destinations.items()):
            if to is None or name == to:
                if destination.lock is None:
                    times.append(now + _SECOND)
                    continue
                times.append(now + self._pace)  # other processes' journals ring no bell
                due = destination.queue.wake_at()
                if due is not None:
                    times.append(due)
        return min(times, default=None)

    def uploads(self, to: str) -> bool:
        destination = self._destinations[to]
        if destination.lock is not None:
            return True
        mono = self._monotonic()
        if mono - destination.tried < _SECOND:
            return False
        with self._lock:
            if self._closed:
                return False
            if destination.lock is not None:
                return True  # another thread was first, and what it has taken is in the queue
            destination.tried = mono
            self._begin_counting(to, destination)
            destination.lock = self._try_lock(f"upload-{blake2b(to.encode(), digest_size=8).hexdigest()}.lock")
            if destination.lock is None:
                self._check_room()
                return False
            # Whatever another process did meanwhile, this one knows nothing of it.
            destination.queue = Queue(destination.queue.lane, lease=self._lease, monotonic=self._monotonic)
            destination.cursor = 0
            return True

    def waiting(self, to: str) -> int:
        return self._counts(to)[1]

    def ready(self, to: str) -> int:
        destination = self._destinations[to]
        if destination.lock is None:
            return 0
        waiting = destination.queue.ready()
        return waiting if waiting else (1 if self._behind() else 0)

    def remains(self, to: str) -> list[Entry]:
        return []

    def stats(self, to: str) -> dict[str, int] | None:
        """Count what became of a destination's hits, in all processes, since this spool was opened here."""
        destination = self._destinations.get(to)
        if destination is None:
            return None
        self._begin_counting(to, destination)
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
        # SQLite's own locks would be copied as they are, and a child that finds one taken waits for ever.
        self._forking = True  # nobody takes anew, or the lock would hardly ever be free
        self._held = self._lock.acquire(timeout=5.0)

    def after_fork(self) -> None:
        self._forking = False
        if self._held:
            self._held = False
            self._lock.release()

    def abandon(self) -> None:
        _inherited.append((self._db, list(self._readers.values())))
        self._journal.abandon()
        for destination in self._destinations.values():
            if destination.lock is not None:
                os.close(destination.lock)  # the child's copy; the parent's keeps the lock
            destination.lock = None
            destination.tried = -1e9
            destination.refused = 0
            destination.base = None  # counted when somebody asks: no file is opened here
            destination.known = ({}, 0)
            destination.unsettled = []
            destination.cursor = 0
            destination.queue = Queue(destination.queue.lane, lease=self._lease, monotonic=self._monotonic)
        self._reset()

    def close(self) -> None:
        with self._lock:
            self._write_settled(self._clock())
            self._journal.close()
            if any(destination.lock is not None for destination in self._destinations.values()):
                # One chunk, because an exit has little time; with what it holds goes this process's journal.
                self._looked = -1e9
                self._bring_in(self._clock())
            for destination in self._destinations.values():
                self._let_go(destination)
            self._closed = True
            for reader in self._readers.values():
                reader.close()
            self._readers = {}
            if self._db is not None:
                self._db.close()
                self._db = None
            self._numbers.clear()
            self._names.clear()

    # -- what an operator does ------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Return the destinations that the outbox has ever held hits of."""
        with self._lock, self._database() as db:
            return [name for (name,) in db.execute("SELECT name FROM destinations ORDER BY name")]

    def status(self) -> list[dict[str, Any]]:
        """Return a row for each destination: how many wait, since when, how many are dead, and all counts so far."""
        rows = []
        for name in sorted({*self.names(), *self._unfiled()}):
            counts, pending = self._counts(name)
            with self._lock, self._database() as db:
                number = self._number(name)
                (oldest,) = db.execute(
                    "SELECT min(since) FROM (SELECT since FROM hits WHERE dest=? ORDER BY seq LIMIT 1)", (number,)
                ).fetchone()
                (dead,) = db.execute("SELECT count(*) FROM dead WHERE dest=?", (number,)).fetchone()
            rows.append({"to": name, "pending": pending, "oldest": oldest, "dead": dead, **counts})
        return rows

    def peek(self, limit: int = 20, *, to: str | None = None) -> list[Entry]:
        """Return hits that wait, the oldest first, without taking them."""
        self._gather()
        with self._lock, self._database() as db:
            only = self._only(to)
            rows = db.execute(
                "SELECT seq, dest, attempts, since, due, body FROM hits WHERE $to IS NULL OR dest=$to "
                "ORDER BY seq LIMIT $limit",
                {"to": only, "limit": limit},
            ).fetchall()
            found = []
            for seq, dest, attempts, since, due, body in rows:
                hit = _decoded(body)
                if hit is not None:
                    found.append(Entry(hit, self._name(dest), seq, len(body), attempts, since, due=due))
            return found

    def dead(self, limit: int = 20, *, to: str | None = None) -> list[tuple[Entry, str, str]]:
        """Return dead letters, the newest first, each with its state and reason."""
        with self._lock, self._database() as db:
            only = self._only(to)
            rows = db.execute(
                "SELECT seq, dest, since, state, reason, body FROM dead WHERE $to IS NULL OR dest=$to "
                "ORDER BY seq DESC LIMIT $limit",
                {"to": only, "limit": limit},
            ).fetchall()
            return [
                (Entry(hit, self._name(dest), seq, len(body), 0, since), state, reason)
                for seq, dest, since, state, reason, body in rows
                if (hit := _decoded(body)) is not None
            ]

    def replay(self, *, to: str | None = None, limit: int = 1_000) -> int:
        """Put up to ``limit`` dead letters back among the waiting; return how many. They count as accepted anew."""
        now = self._clock()
        with self._lock, self._writing() as db:
            only = self._only(to)
            rows = db.execute(
                "SELECT seq, id, dest, body FROM dead WHERE $to IS NULL OR dest=$to ORDER BY seq LIMIT $limit",
                {"to": only, "limit": limit},
            ).fetchall()
            for seq, identity, dest, body in rows:
                added = db.execute(
                    "INSERT OR IGNORE INTO hits(id, dest, since, body) VALUES(?,?,?,?)", (identity, dest, now, body)
                ).rowcount
                db.execute("DELETE FROM dead WHERE seq=?", (seq,))
                if added:
                    _add(db, dest, "accepted", 1)
            return len(rows)

    def purge(self, *, to: str | None = None, dead: bool = False, limit: int = 10_000) -> int:
        """Delete up to ``limit`` waiting hits (counted as dropped), or dead letters; return how many."""
        self._gather()
        with self._lock, self._writing() as db:
            only = self._only(to)
            if dead:
                return db.execute(
                    "DELETE FROM dead WHERE seq IN "
                    "(SELECT seq FROM dead WHERE $to IS NULL OR dest=$to ORDER BY seq LIMIT $limit)",
                    {"to": only, "limit": limit},
                ).rowcount
            rows = db.execute(
                "SELECT seq, dest FROM hits WHERE $to IS NULL OR dest=$to ORDER BY seq LIMIT $limit",
                {"to": only, "limit": limit},
            ).fetchall()
            for seq, dest in rows:
                db.execute("DELETE FROM hits WHERE seq=?", (seq,))
                _add(db, dest, "dropped", 1)
            return len(rows)

    def retry(self, *, to: str | None = None) -> int:
        """Make every waiting hit due now; return how many were not."""
        with self._lock, self._writing() as db:
            only = self._only(to)
            return db.execute("UPDATE hits SET due=0 WHERE due>0 AND ($to IS NULL OR dest=$to)", {"to": only}).rowcount

    def _only(self, to: str | None) -> int | None:
        return None if to is None else self._number(to)

    def _gather(self) -> None:
        with self._lock:
            moved = 1
            while moved:
                self._looked = -1e9
                moved = self._bring_in(self._clock())

    def _unfiled(self) -> set[str]:
        found: set[str] = set()
        for name in journals(self.directory):
            try:
                reader = JournalReader(self.directory / name)
            except FileNotFoundError:
                continue  # it has been filed meanwhile
            payloads, _ = reader.read(reader.hint())
            reader.close()
            found.update(queued.to for payload in payloads if (queued := _queued(payload)) is not None)
        return found

    # -- journals into the database -------------------------------------------------------------------------------

    def _behind(self) -> bool:
        """Tell whether this process's own journal holds something that the database does not."""
        name = self._journal.name
        if name is None:
            return False
        reader = self._readers.get(name)
        return reader is None or reader.size() > reader.seen

    def _bring_in(self, now: float) -> int:
        mono = self._monotonic()
        if mono - self._looked < self._pace and not self._behind():
            return 0
        self._looked = mono
        moved = 0
        own = self._journal.name
        try:
            self._same_file()
            names = list(journals(self.directory))
        except OSError as error:
            self._complain(f"the outbox cannot be read: {type(error).__name__}")
            return 0
        for gone in self._readers.keys() - set(names):  # another process has removed it
            self._readers.pop(gone).close()
        for name in names:
            try:
                moved += self._move(name, now, own=name == own)
            except FileNotFoundError:
                self._readers.pop(name, None)
            except OSError as error:
                self._complain(f"a journal cannot be read: {type(error).__name__}")
            except sqlite3.DatabaseError as error:
                if not self._survivable(error):
                    self._set_aside(error)
                break
        # Often while something comes, rarely while nothing does.
        self._pace = 0.02 if moved else min(self._pace * 1.5, 0.5)
        if mono - self._checked >= _SECOND:
            self._check_room()
        if mono - self._swept >= 60.0:
            self._sweep(now)
        return moved

    def _move(self, name: str, now: float, *, own: bool) -> int:
        reader = self._readers.get(name)
        if reader is None:
            self._readers[name] = reader = JournalReader(self.directory / name)
        moved = 0
        # Asked before reading: what is there after the lock was free is all there will ever be.
        orphaned = not own and reader.orphaned()
        size = reader.size()
        if not orphaned and reader.seen == size:
            return moved
        with self._writing() as db:
            row = db.execute("SELECT place FROM journals WHERE name=?", (name,)).fetchone()
            place = row[0] if row is not None else reader.hint()
            payloads, end = reader.read(place, final=orphaned)
            moved += self._file(db, payloads, now)
            if row is None or end != place:
                db.execute("INSERT OR REPLACE INTO journals VALUES(?,?)", (name, end))
        if end != place:
            reader.note(end)
        if reader.damaged:
            self._complain(f"{reader.damaged} damaged places in a journal were skipped")
            reader.damaged = 0
        if end < size and end != place:
            return moved  # the rest when these are on their way
        reader.seen = size
        if orphaned:
            reader.remove()
            reader.close()
            self._readers.pop(name, None)
            with self._writing() as db:
                db.execute("DELETE FROM journals WHERE name=?", (name,))
        return moved

    def _file(self, db: sqlite3.Connection, payloads: list[bytes], now: float) -> int:
        rows: dict[int, list[tuple[bytes, int, float, bytes]]] = {}
        for payload in payloads:
            queued = _queued(payload)
            peek = _peeked(queued.hit) if queued is not None else None
            if queued is None or peek is None:
                self._complain("a record of a journal is no hit of a known version, and is skipped")
                continue
            number = self._number(queued.to)
            identity = _identity(peek.id)
            if peek.keyed:
                fresh = db.execute("SELECT at FROM keys WHERE id=? AND dest=?", (identity, number)).fetchone()
                if fresh is not None and abs(now - fresh[0]) < self._window:
                    continue
            rows.setdefault(number, []).append((identity, number, now, bytes(queued.hit)))
        count = 0
        for number, batch in rows.items():
            before = db.total_changes
            db.executemany("INSERT OR IGNORE INTO hits(id, dest, since, body) VALUES(?,?,?,?)", batch)
            added = db.total_changes - before
            count += added
            _add(db, number, "accepted", added)
        return count

    def _load(self, to: str, destination: _Destination, now: float) -> None:
        queue = destination.queue
        if queue.count >= _WINDOW:
            return
        try:
            with self._database() as db:
                rows = db.execute(
                    "SELECT seq, attempts, since, due, body FROM hits WHERE dest=? AND seq>? ORDER BY seq LIMIT ?",
                    (self._number(to), destination.cursor, _CHUNK),
                ).fetchall()
        except sqlite3.DatabaseError as error:
            if not self._survivable(error):
                self._set_aside(error)
            return
        except OSError as error:
            self._complain(f"the outbox cannot be read: {type(error).__name__}")
            return
        for seq, attempts, since, due, body in rows:
            destination.cursor = seq
            hit = _decoded(body)
            if hit is None:
                self._complain("a hit was written by a newer version of analytical, and waits for it")
                continue
            entry = Entry(hit, to, seq, len(body), attempts, since)
            if now - since > self.age:
                entry.state = 1
                destination.unsettled.append((entry, Verdict("expired", "age")))
                if destination.lost is not None:
                    destination.lost(to, hit, "expired", "age")
            elif due:
                queue.later(entry, due)
            else:
                queue.append(entry)
        if destination.unsettled:
            self._write_settled(now)

    def _forget(self, to: str, destination: _Destination, now: float) -> None:
        """Let go of waiting hits that an operator has deleted meanwhile; looked at once a second."""
        mono = self._monotonic()
        if self._db is None or not destination.queue.count or mono - destination.compared < _SECOND:
            return
        destination.compared = mono
        try:
            # Moved by other processes' writing alone: https://sqlite.org/pragma.html#pragma_data_version
            (version,) = self._db.execute("PRAGMA data_version").fetchone()
            if version == destination.version:
                return
            waiting = [entry for entry in destination.queue if not entry.state]
            reach = (self._number(to), min((entry.seq for entry in waiting), default=0), destination.cursor)
            rows = self._db.execute("SELECT seq FROM hits WHERE dest=? AND seq BETWEEN ? AND ?", reach).fetchall()
        except sqlite3.DatabaseError as error:
            if not self._survivable(error):
                self._set_aside(error)
            return
        destination.version = version
        there = {seq for (seq,) in rows}
        for entry in waiting:
            if entry.seq not in there:
                destination.queue.settle(entry, Verdict("dropped"), now)

    def _write_settled(self, now: float, *, again: bool = True) -> None:
        waiting = [item for item in self._destinations.values() if item.unsettled]
        if not waiting:
            return
        try:
            with self._writing() as db:
                for destination in waiting:
                    self._settle_in(db, destination, now)
        except sqlite3.DatabaseError as error:
            # Kept, and tried again with the next: what was delivered must not be sent again after a full disk.
            if not self._survivable(error) and again:
                self._set_aside(error)
                self._write_settled(now, again=False)  # before what was saved of the old file is taken anew
            return
        except OSError as error:
            self._complain(f"the outbox cannot be written: {type(error).__name__}")
            return
        for destination in waiting:
            destination.unsettled.clear()

    def _settle_in(self, db: sqlite3.Connection, destination: _Destination, now: float) -> None:
        counts: dict[str, int] = {}
        number = 0
        gone: list[tuple[int]] = []
        for entry, verdict in destination.unsettled:
            number = self._number(entry.to)
            if not entry.seq:  # taken out of a file that is no longer there
                row = db.execute(
                    "SELECT seq FROM hits WHERE id=? AND dest=?", (_identity(entry.hit.id), number)
                ).fetchone()
                entry.seq = row[0] if row is not None else -1
            if verdict.state == "retry":
                db.execute("UPDATE hits SET attempts=?, due=? WHERE seq=?", (entry.attempts, entry.due, entry.seq))
                continue
            if verdict.state not in ("delivered", "unconfirmed"):
                db.execute(
                    "INSERT INTO dead(id, dest, since, at, state, reason, body) "
                    "SELECT id, dest, since, ?, ?, ?, body FROM hits WHERE seq=?",
                    (now, verdict.state, verdict.reason, entry.seq),
                )
            elif entry.hit.keyed:
                db.execute("INSERT OR REPLACE INTO keys VALUES(?,?,?)", (_identity(entry.hit.id), number, now))
            gone.append((entry.seq,))
            counts[verdict.state] = counts.get(verdict.state, 0) + 1
        if not gone:
            return
        deleted = db.executemany("DELETE FROM hits WHERE seq=?", gone).rowcount
        if deleted != len(gone):  # an operator purged some meanwhile, and they are counted
            for state in list(counts):
                cut = min(counts[state], len(gone) - deleted)
                counts[state] -= cut
                deleted += cut
        for state, count in counts.items():
            _add(db, number, state, count)

    # -- counting -------------------------------------------------------------------------------------------------

    def _counts(self, to: str) -> tuple[dict[str, int], int]:
        """Return a destination's counts of all time, and how many hits wait, journals included, at one moment."""
        with self._lock:
            try:
                return self._counted(to)
            except sqlite3.DatabaseError as error:
                if not self._survivable(error):
                    self._set_aside(error)
            except OSError as error:
                self._complain(f"the outbox cannot be read: {type(error).__name__}")
            destination = self._destinations.get(to)
            return destination.known if destination is not None else ({}, 0)

    def _counted(self, to: str) -> tuple[dict[str, int], int]:
        self._same_file()
        # Opened first: a journal that is removed after this can still be read.
        readers: list[tuple[str, JournalReader]] = []
        try:
            for name in journals(self.directory):
                try:
                    readers.append((name, JournalReader(self.directory / name)))
                except FileNotFoundError:
                    continue
            with self._database() as db:
                db.execute("BEGIN")
                try:
                    row = db.execute("SELECT number FROM destinations WHERE name=?", (to,)).fetchone()
                    number = row[0] if row is not None else -1
                    counts = dict(db.execute("SELECT state, count FROM ledger WHERE dest=?", (number,)).fetchall())
                    places = dict(db.execute("SELECT name, place FROM journals").fetchall())
                finally:
                    db.execute("COMMIT")
            pending = counts.pop("accepted", 0) - sum(counts.get(state, 0) for state in STATES)
            for name, reader in readers:
                pending += _held_in(reader, places.get(name), to)
            destination = self._destinations.get(to)
            if destination is not None:
                destination.known = (counts, pending)
            return counts, pending
        finally:
            for _, reader in readers:
                reader.close()
            if self._closed and self._db is not None:  # asked after the end: nothing stays open for it
                self._db.close()
                self._db = None

    def _sweep(self, now: float) -> None:
        """Forget old keys and dead letters, and give room that was freed back to the disk."""
        self._swept = self._monotonic()
        try:
            with self._writing() as db:
                db.execute("DELETE FROM keys WHERE at<?", (now - self._window,))
                db.execute(
                    "DELETE FROM dead WHERE seq<=(SELECT seq FROM dead ORDER BY seq DESC LIMIT 1 OFFSET ?)",
                    (self._keep_dead,),
                )
            with self._database() as db:
                db.execute("PRAGMA incremental_vacuum(2000)").fetchall()
        except sqlite3.DatabaseError as error:
            if not self._survivable(error):
                self._set_aside(error)

    def _check_room(self) -> None:
        self._checked = self._monotonic()
        try:
            with self._database() as db:
                (waiting,) = db.execute(
                    "SELECT coalesce(sum(CASE state WHEN 'accepted' THEN count ELSE -count END), 0) FROM ledger"
                ).fetchone()
                pages = (
                    db.execute("PRAGMA page_count").fetchone()[0] - db.execute("PRAGMA freelist_count").fetchone()[0]
                )
                size = pages * db.execute("PRAGMA page_size").fetchone()[0]
            size += sum(reader.size() for reader in self._readers.values())
        except (sqlite3.DatabaseError, OSError):
            return
        full = waiting >= self.hits or size >= self.bytes
        if full and not self._full:
            log.warning(
                "the outbox is full: %d %s, %d bytes; new hits are refused until some have left",
                waiting,
                "hit" if waiting == 1 else "hits",
                size,
            )
        self._full = full

    # -- the file -------------------------------------------------------------------------------------------------

    def _connect(self) -> sqlite3.Connection:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._tidy()
        # Made by us and not by SQLite, for the mode.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        db = sqlite3.connect(self.path, timeout=10.0, isolation_level=None, check_same_thread=False)
        try:
            # How hard a file is pressed to the disk decides what a power loss costs, never what a kill does.
            db.execute("PRAGMA synchronous=FULL" if self._fsync else "PRAGMA synchronous=NORMAL")
            db.execute("PRAGMA wal_autocheckpoint=4000")
            db.execute("PRAGMA cache_size=-16000")
            self._check_kind(db)
            if db.execute("PRAGMA user_version").fetchone()[0] < len(MIGRATIONS):
                self._migrate(db)
        except BaseException:
            db.close()
            raise
        status = os.stat(self.path)
        self._identity = (status.st_dev, status.st_ino)
        return db

    def _check_kind(self, db: sqlite3.Connection) -> None:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        kind = db.execute("PRAGMA application_id").fetchone()[0]
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if kind != _KIND and (tables or version):
            raise ConfigurationError(f"{self.path.name} is another program's database; give another path for the spool")
        if version > len(MIGRATIONS):
            raise ConfigurationError(
                f"{self.path.name} was written by a newer version of analytical (schema {version}, this one knows "
                f"{len(MIGRATIONS)}); update, or give another path"
            )

    def _migrate(self, db: sqlite3.Connection) -> None:
        # One process at a time: turning the write-ahead log on does not wait for others by itself.
        lock = self._wait_lock("schema.lock")
        try:
            self._migrate_alone(db)
        finally:
            if lock is not None:
                os.close(lock)

    def _migrate_alone(self, db: sqlite3.Connection) -> None:
        db.execute("PRAGMA auto_vacuum=INCREMENTAL")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("BEGIN EXCLUSIVE")
        try:
            version = db.execute("PRAGMA user_version").fetchone()[0]  # another process may have been first
            for step in MIGRATIONS[version:]:
                for statement in step:
                    db.execute(statement)
            db.execute(f"PRAGMA application_id={_KIND}")
            db.execute(f"PRAGMA user_version={len(MIGRATIONS)}")
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        if self._db is None:
            try:
                self._db = self._connect()
            except sqlite3.DatabaseError as error:
                if self._survivable(error):
                    raise
                self._set_aside(error)
        assert self._db is not None
        yield self._db

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._database() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                # Numbers given within the transaction are gone with it.
                self._numbers.clear()
                self._names.clear()
                raise

    def _number(self, to: str) -> int:
        number = self._numbers.get(to)
        if number is None:
            assert self._db is not None
            row = self._db.execute("SELECT number FROM destinations WHERE name=?", (to,)).fetchone()
            if row is None:
                number = int(self._db.execute("INSERT INTO destinations(name) VALUES(?)", (to,)).lastrowid or 0)
            else:
                number = int(row[0])
            self._numbers[to] = number
            self._names[number] = to
        return number

    def _name(self, number: int) -> str:
        if number not in self._names:
            assert self._db is not None
            row = self._db.execute("SELECT name FROM destinations WHERE number=?", (number,)).fetchone()
            self._names[number] = row[0] if row is not None else "?"
        return self._names[number]

    def _same_file(self) -> None:
        """Notice that another process has set the file aside, or an operator removed it."""
        if self._db is None:
            return
        try:
            status = os.stat(self.path)
            same = (status.st_dev, status.st_ino) == self._identity
        except FileNotFoundError:
            same = False
        if not same:
            self._begin_again()

    def _begin_again(self) -> None:
        if self._db is not None:
            self._db.close()
        self._db = None
        self._numbers.clear()
        self._names.clear()
        for reader in self._readers.values():
            reader.seen = -1
        for destination in self._destinations.values():
            for entry, _ in destination.unsettled:
                entry.seq = 0  # the next file numbers anew
            destination.queue = Queue(destination.queue.lane, lease=self._lease, monotonic=self._monotonic)
            destination.cursor = 0
            destination.base = {}

    def _survivable(self, error: sqlite3.DatabaseError) -> bool:
        """Tell whether waiting helps (a full disk, a busy file), and say so; else the file is broken."""
        if isinstance(error, sqlite3.OperationalError | sqlite3.ProgrammingError | sqlite3.InterfaceError):
            text = str(error)
            if "malformed" not in text and "not a database" not in text and "no such" not in text:
                self._complain(f"the outbox cannot be written: {text}")
                return True
        return False

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        lock = self._wait_lock("repair.lock")
        try:
            try:
                status = os.stat(self.path)
                if self._identity is not None and (status.st_dev, status.st_ino) != self._identity:
                    self._begin_again()  # another process has done it
                    self._db = self._connect()
                    return
            except FileNotFoundError:
                status = None
            self._begin_again()
            aside = self.path.with_name(f"{self.path.name}.corrupt-{int(self._clock())}")
            for suffix in ("", "-wal", "-shm"):
                part = self.path.with_name(self.path.name + suffix)
                if part.exists():
                    part.rename(aside.with_name(aside.name + suffix))
            log.error(
                "the outbox %s cannot be read (%s); it was set aside as %s, and a new one begun",
                self.path.name,
                type(error).__name__,
                aside.name,
            )
            self._db = self._connect()
            saved = self._salvage(aside)
            if saved:
                said = "1 hit that waited" if saved == 1 else f"{saved} hits that waited"
                log.error("%s in %s could be read, to be sent after all", said, aside.name)
        finally:
            if lock is not None:
                os.close(lock)

    def _salvage(self, aside: Path) -> int:
        saved = 0
        try:
            with closing(sqlite3.connect(aside, isolation_level=None)) as old, self._writing() as db:
                names = dict(old.execute("SELECT number, name FROM destinations").fetchall())
                places = self._salvaged_places(old)
                db.executemany("INSERT OR IGNORE INTO journals VALUES(?,?)", places)
                for identity, dest, since, body in self._readable(old):
                    if dest in names and _decoded(body) is not None:
                        number = self._number(names[dest])
                        added = db.execute(
                            "INSERT OR IGNORE INTO hits(id, dest, since, body) VALUES(?,?,?,?)",
                            (identity, number, since, body),
                        ).rowcount
                        _add(db, number, "accepted", added)
                        saved += added
        except sqlite3.DatabaseError:
            return 0
        return saved

    @staticmethod
    def _salvaged_places(old: sqlite3.Connection) -> list[tuple[str, int]]:
        try:
            return old.execute("SELECT name, place FROM journals").fetchall()
        except sqlite3.DatabaseError:
            return []  # the journals themselves say it too

    @staticmethod
    def _readable(old: sqlite3.Connection) -> Iterator[tuple[bytes, int, float, bytes]]:
        """Yield the waiting hits of a broken file, stepping over what cannot be read."""
        last, step, width, patience = 0, 1, 200, 2_000
        while patience:
            try:
                rows = old.execute(
                    "SELECT seq, id, dest, since, body FROM hits WHERE seq>? ORDER BY seq LIMIT ?",
                    (last, width),
                ).fetchall()
            except sqlite3.DatabaseError:
                patience -= 1
                if width > 1:
                    width = 1
                else:
                    last += step
                    step = min(step * 2, 512)
                continue
            if not rows:
                return
            step = 1
            width = min(width + 1, 200)
            for seq, *row in rows:
                last = seq
                yield row[0], row[1], row[2], row[3]

    def _tidy(self) -> None:
        # A process that died while it began a journal leaves a nameless one, without records.
        for left in self.directory.glob(".*.journal"):
            with suppress(FileNotFoundError):  # it got its name meanwhile
                if self._clock() - left.stat().st_mtime > 3_600:
                    left.unlink()

    def _try_lock(self, name: str) -> int | None:
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self.directory / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            self._complain(f"the outbox's locks cannot be made: {type(error).__name__}")
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            return None
        return fd

    def _wait_lock(self, name: str) -> int | None:
        pause = threading.Event()
        for _ in range(500):
            fd = self._try_lock(name)
            if fd is not None:
                return fd
            pause.wait(0.01)
        return None

    def _complain(self, what: str) -> None:
        now = self._monotonic()
        if now - self._said.get(what, -1e9) > 60.0:
            self._said[what] = now
            log.warning("%s: %s", self.path.name, what)


#: What forked children inherited and must not close: SQLite's locks belong to the parent.
_inherited: list[Any] = []


_read_hit = msgspec.json.Decoder(Hit)
_read_queued = msgspec.json.Decoder(_Queued)
_read_peek = msgspec.json.Decoder(_Peek)


def _decoded(body: bytes) -> Hit | None:
    try:
        hit = _read_hit.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return hit if hit.v == 1 else None


def _queued(payload: bytes) -> _Queued | None:
    try:
        queued = _read_queued.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return queued if queued.v == 1 else None


def _peeked(hit: msgspec.Raw) -> _Peek | None:
    try:
        return _read_peek.decode(hit)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _identity(text: str) -> bytes:
    try:
        found = bytes.fromhex(text.replace("-", ""))
    except ValueError:
        found = b""
    return found if len(found) == 16 else blake2b(text.encode(), digest_size=16).digest()


def _add(db: sqlite3.Connection, dest: int, state: str, count: int) -> None:
    if count:
        db.execute(
            "INSERT INTO ledger VALUES(?,?,?) ON CONFLICT(dest, state) DO UPDATE SET count=count+excluded.count",
            (dest, state, count),
        )


def _held_in(reader: JournalReader, place: int | None, to: str) -> int:
    """Count a destination's records in a journal from a place on."""
    count = 0
    at = reader.hint() if place is None else place
    while True:
        payloads, end = reader.read(at)
        for payload in payloads:
            queued = _queued(payload)
            count += queued is not None and queued.to == to
        if end == at:
            return count
        at = end
