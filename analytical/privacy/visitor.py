"""Visitors without cookies: a rotating id that means nothing to anybody else, and the id of a visit.

An id is a keyed BLAKE2b (RFC 7693) over length-prefixed fields, so that no two sets of fields collide by running
together. Without the key it cannot be reversed by trying every address; a plain hash of address and browser can, on one
core, in minutes. It differs for each day (UTC), site and provider, and nothing links one with another but the key.

Three modes say who can compute the key of a past day:

``derived``
    anybody who holds the secret: the key is the secret and the date. No store. Pseudonymous for as long as the secret
    exists.
``destroyed``
    nobody: a random salt per period, shared through a store and deleted when the period is over. Fails closed.
``ratchet``
    nobody who learns the secret later, *if* the configured secret is replaced by :meth:`VisitorId.advanced` from time
    to time: each period's key is a one-way function of the one before. No store.
"""

from __future__ import annotations

import hmac
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, Protocol, get_args

from ..errors import AnalyticalError, ConfigurationError, MissingExtra
from ..hit import new_id
from ..secrets import resolve

__all__ = [
    "FileSalts",
    "MemorySalts",
    "MemorySessions",
    "RedisSalts",
    "RedisSessions",
    "SaltStore",
    "SaltUnavailable",
    "SessionStore",
    "SqlSalts",
    "VisitorId",
    "generate_client_id",
    "salt_store",
    "shape",
]

Rotate = Literal["hour", "day", "week", "month"]
Mode = Literal["derived", "destroyed", "ratchet"]

#: The shortest secret that is taken, in bytes: as long as the key it makes.
SHORTEST: Final = 32


class SaltUnavailable(AnalyticalError):
    """There is no salt for that time: the store does not answer, or the salt is destroyed. No id is made."""


class SaltStore(Protocol):
    """Keeps one random salt per period for every process that must agree, and forgets those that are over."""

    def salt(self, period: int, fresh: bytes, oldest: int) -> bytes:
        """Return the salt of a period, ``fresh`` if there is none yet, and destroy all before ``oldest``.

        All of it is one step: two processes that ask at once get the same salt.

        Args:
            period: the number of the period.
            fresh: 32 random bytes.
            oldest: the first period whose salt may still exist.

        Raises:
            SaltUnavailable: the period was destroyed already, or the store cannot be asked.
        """


class SessionStore(Protocol):
    """Knows when the visit of a visitor began, as long as it goes on."""

    def began(self, visitor: str, now: float, idle: float) -> float:
        """Return when the running visit began, in seconds since 1970; ``now`` where the last one is over."""


class VisitorId:
    """Makes ids of visitors.

    Args:
        secret: at least 32 bytes, the same in every process and on every host; ``env:NAME`` and ``file:PATH`` are read.
        rotate: after how long an id changes, in UTC: ``hour``, ``day``, ``week`` (ISO, from Monday) or ``month``.
        mode: ``derived``, ``destroyed`` or ``ratchet``; see the module.
        store: where ``destroyed`` shares its salts: a :class:`SaltStore`, or what ``salt_store`` understands
            (``redis://…``, a database URL of SQLAlchemy, a path).
        address: ``whole`` tells neighbours apart; ``masked`` hashes only what
            ``analytical.utils.anonymize_ip_address`` leaves, so that not even the holder of the key learns more.
        since: for ``ratchet``, the day to which the secret belongs.
        sessions: where running visits are known; this process's memory by default.
        idle: seconds without a hit after which a visit is over.
        grace: seconds for which the key of the last period is kept, for clocks differ.
        clock: seconds since 1970.

    Raises:
        ConfigurationError: the secret is missing or short, or the options do not fit together.

    >>> visitors = VisitorId("0" * 64)
    >>> a = visitors.id(site="example.com", client_ip="192.0.2.1", user_agent="Firefox", provider="matomo", now=0)
    >>> b = visitors.id(site="example.com", client_ip="192.0.2.1", user_agent="Firefox", provider="matomo", now=86400)
    >>> len(a), a == b
    (16, False)
    """

    def __init__(
        self,
        secret: str | bytes,
        *,
        rotate: Rotate = "day",
        mode: Mode = "derived",
        store: SaltStore | str | os.PathLike[str] | None = None,
        address: Literal["whole", "masked"] = "whole",
        since: date | str | None = None,
        sessions: SessionStore | None = None,
        idle: float = 1800.0,
        grace: float = 300.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        raw = _secret(secret)
        for name, value, known in (
            ("rotate", rotate, get_args(Rotate)),
            ("mode", mode, get_args(Mode)),
            ("address", address, ("whole", "masked")),
        ):
            if value not in known:
                raise ConfigurationError(f"VisitorId: {name}={value!r}; expected {', '.join(known)}")
        if (mode == "destroyed") != (store is not None):
            raise ConfigurationError(
                'VisitorId: mode="destroyed" needs store=, and no other mode takes one: a path, redis://… or '
                "a database URL that every process reaches; MemorySalts() where there is one process only"
            )
        if since is not None and mode != "ratchet":
            raise ConfigurationError('VisitorId: since= goes with mode="ratchet" alone')
        self._rotate: Rotate = rotate
        self._mode: Mode = mode
        self._masked = address == "masked"
        self._grace = grace
        self._idle = idle
        self._clock = clock
        self._sessions: SessionStore = sessions if sessions is not None else MemorySessions()
        self._store = salt_store(store) if isinstance(store, str | os.PathLike) else store
        self._lock = threading.Lock()
        #: period = key; never more than the running period and, for the grace, the one before
        self._keys: dict[int, bytes] = {}
        self._master = _keyed(raw, b"vid-master", mode, rotate)
        if mode == "ratchet":
            first = _day(since) if since is not None else _EPOCH
            self._newest = self.period(datetime(first.year, first.month, first.day, tzinfo=UTC).timestamp())
            # A secret that advanced() made is the state itself.
            self._state = raw if len(raw) == 32 and since is not None else self._master
            self._master = b""
        else:
            self._newest = -(2**62)
            self._state = b""

    def id(
        self,
        *,
        site: str,
        client_ip: str | None,
        user_agent: str | None,
        provider: str,
        now: float | datetime | None = None,
    ) -> str:
        """Return the visitor's id, shaped as the provider wants it.

        Args:
            site: what separates sites: a domain, a property.
            client_ip: the visitor's address, before it is masked.
            user_agent: the visitor's ``User-Agent`` header, before it is reduced.
            provider: the provider's name; ids of two providers have nothing in common.
            now: seconds since 1970, or a ``datetime`` (one without a time zone is local, as Python has it).

        Raises:
            SaltUnavailable: there is no key for that time. No id is better than one that links.
        """
        return shape(self._digest(site, client_ip, user_agent, provider, self._at(now)), provider)

    def session(
        self,
        *,
        site: str,
        client_ip: str | None,
        user_agent: str | None,
        provider: str,
        now: float | datetime | None = None,
    ) -> str:
        """Return the id of the visit: it ends after 30 minutes without a hit, and when the visitor's id changes.

        GA4 gets the second in which the visit began, as its own tag does; others get an id in their shape.

        Raises:
            SaltUnavailable: there is no key for that time.
        """
        at = self._at(now)
        digest = self._digest(site, client_ip, user_agent, provider, at)
        began = self._sessions.began(digest.hex(), at, self._idle)
        if _shape_name(provider) == "google":
            return str(int(began))
        return shape(_keyed(digest, b"vid-session", repr(int(began * 1000))), provider)

    def period(self, now: float) -> int:
        """Return the number of the period that holds a time: what changes when ids change."""
        if self._rotate == "hour":
            return int(now // 3600)
        if self._rotate == "day":
            return int(now // 86400)
        if self._rotate == "week":
            return int((now // 86400 + 3) // 7)  # 1970-01-01 was a Thursday
        at = datetime.fromtimestamp(now, UTC)
        return at.year * 12 + at.month - 1

    def purge(self, now: float | datetime | None = None) -> None:
        """Forget the keys that are over, here and in the store; for a timer, where no hit may come for a day.

        Raises:
            SaltUnavailable: the store does not answer.
        """
        at = self._at(now)
        with self._lock:
            oldest = self.period(at - self._grace)
            for old in [held for held in self._keys if held < oldest]:
                del self._keys[old]
            if self._mode == "destroyed":
                self._salted(self.period(at), oldest)

    def advanced(self, now: float | datetime | None = None) -> tuple[str, str]:
        """Return a new secret and the day it belongs to, for ``secret=`` and ``since=`` of the ``ratchet`` mode.

        Put them in the place of the old ones and destroy those: nothing from before that day can then be computed
        again, by nobody. Ids of the running period do not change.

        Raises:
            ConfigurationError: in another mode, or where periods are no whole days.
        """
        if self._mode != "ratchet" or self._rotate != "day":
            raise ConfigurationError('advanced() goes with mode="ratchet" and rotate="day"')
        at = self._at(now)
        self._key(at)
        with self._lock:
            since = datetime.fromtimestamp(self._newest * 86400, UTC).date().isoformat()
            return self._state.hex(), since

    def __repr__(self) -> str:
        return f"<VisitorId {self._mode} {self._rotate}>"

    def _at(self, now: float | datetime | None) -> float:
        if now is None:
            return self._clock()
        return now.timestamp() if isinstance(now, datetime) else now

    def _digest(self, site: str, client_ip: str | None, user_agent: str | None, provider: str, at: float) -> bytes:
        key = self._key(at)
        return _keyed(key, b"vid-visitor", site, _alias(provider), self._address(client_ip), user_agent or "")

    def _address(self, client_ip: str | None) -> str:
        if not client_ip:
            return ""
        if self._masked:
            from .address import anonymize_ip_address

            return anonymize_ip_address(client_ip) or ""
        return _one_spelling(client_ip)

    def _key(self, now: float) -> bytes:
        period = self.period(now)
        key = self._keys.get(period)
        if key is not None and period >= self._newest and (self._mode == "derived" or len(self._keys) == 1):
            return key
        with self._lock:
            if self._mode == "derived":
                key = self._keys.get(period)
                if key is None:
                    key = _keyed(self._master, b"vid-derived", str(period))
                    if len(self._keys) > 8:
                        self._keys.clear()
                    self._keys[period] = key
                return key
            return self._fleeting(period, self.period(now - self._grace))

    def _fleeting(self, period: int, oldest: int) -> bytes:
        """Return the key of a period whose key will not exist later; forget those that are over."""
        over = [held for held in self._keys if held < oldest and held != period]
        for old in over:
            del self._keys[old]
        known = self._keys.get(period)
        if known is not None:
            if over and self._mode == "destroyed":
                self._salted(period, oldest)  # the grace has ended: the store must forget too
            return known
        if self._mode == "destroyed":
            key = self._salted(period, oldest)
        else:
            key = self._ratcheted(period, oldest)
        self._keys[period] = key
        self._newest = max(self._newest, period)
        return key

    def _salted(self, period: int, oldest: int) -> bytes:
        store = self._store
        assert store is not None
        try:
            salt = store.salt(period, os.urandom(32), min(period, oldest))
        except SaltUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a driver raises; its message may hold the store's address
            what = type(error).__name__
            raise SaltUnavailable(f"the store of salts does not answer ({what}); no id is made") from None
        if len(salt) != 32:
            raise SaltUnavailable("the store returned no salt of 32 bytes; no id is made")
        return _keyed(self._master, b"vid-destroyed", salt.hex(), str(period))

    def _ratcheted(self, period: int, oldest: int) -> bytes:
        if period < self._newest:
            raise SaltUnavailable("the key of that time is gone: the ratchet has moved on, or since= is later")
        state = self._state
        for step in range(self._newest, period):
            if step >= oldest and step not in self._keys:
                self._keys[step] = _keyed(state, b"vid-ratchet-key")
            state = _keyed(state, b"vid-ratchet-next")
        self._state = state
        return _keyed(state, b"vid-ratchet-key")


def generate_client_id(user_secret: str | bytes | None = None, *, key: str | bytes | None = None) -> str:
    """Return a client id: always the same for a secret, a new one each time for ``None``.

    HMAC-SHA-256 (RFC 2104), keyed by the secret, over a fixed message. It is as hard to guess as the secret is: an
    address and a browser alone are guessed in minutes, so give ``key=``, a secret of the site, with them.

    Args:
        user_secret: what does not change for a user: an id of yours, or address and browser joined. ``None`` makes
            every call a new visitor.
        key: a secret of the site's own, so that others who know the user's part cannot compute the id.

    Returns:
        A UUID in canonical form, which every Google Analytics protocol takes as ``cid``.

    Raises:
        TypeError: a secret that is neither text nor bytes.

    >>> generate_client_id("user-17") == generate_client_id("user-17") != generate_client_id("user-17", key="ours")
    True
    >>> generate_client_id() == generate_client_id()
    False
    """
    if user_secret is None:
        return new_id()
    secret = _octets(user_secret, "user_secret")
    if key is not None:
        secret = hmac.digest(_octets(key, "key"), secret, "sha256")
    return _uuid(hmac.digest(secret, b"analytical client id", "sha256"))


def _octets(secret: object, what: str) -> bytes:
    if isinstance(secret, str):
        return str(secret).encode("utf-8", "surrogatepass")
    if isinstance(secret, (bytes, bytearray)):
        return bytes(secret)
    # bytes(17) is seventeen zeros: keyed by those, every user would be the same visitor.
    raise TypeError(f"{what}= takes text or bytes, got <{type(secret).__name__}>; for a number type str(number)")


def shape(digest: bytes, provider: str) -> str:
    """Return 16 bytes or more in the form that a provider takes for a visitor's id.

    ``n.n`` for Google Analytics (https://developers.google.com/analytics/devguides/collection/protocol/ga4), 16 hex
    digits for Matomo (``_id``, https://developer.matomo.org/api-reference/tracking-api), a UUID for Snowplow
    (``duid``) and for every other.

    >>> shape(bytes(range(16)), "matomo")
    '0001020304050607'
    """
    name = _shape_name(provider)
    if name == "matomo":
        return digest[:8].hex()
    if name == "google":
        # The second number is a time in Google's own cookies; a time before 2033 that means nothing is made here.
        first = 1 + int.from_bytes(digest[:8], "big") % 2147483647
        second = 1_000_000_000 + int.from_bytes(digest[8:16], "big") % 1_000_000_000
        return f"{first}.{second}"
    return _uuid(digest)


def salt_store(where: str | os.PathLike[str]) -> SaltStore:
    """Return the store that a text names: ``redis://…`` or ``rediss://…``, a URL of SQLAlchemy, else a path.

    Raises:
        MissingExtra: the package for it is not installed.
    """
    text = os.fspath(where)
    if text.startswith(("redis://", "rediss://", "unix://")):
        return RedisSalts(text)
    if "://" in text:
        return SqlSalts(text)
    return FileSalts(text)


class MemorySalts:
    """Salts in this process's memory: for one process, and gone with it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._salts: dict[int, bytes] = {}
        self._oldest = -(2**62)

    def salt(self, period: int, fresh: bytes, oldest: int) -> bytes:
        with self._lock:
            self._oldest = max(self._oldest, oldest)
            for old in [held for held in self._salts if held < self._oldest]:
                del self._salts[old]
            if period < self._oldest:
                raise SaltUnavailable("the salt of that time is destroyed; no id is made")
            return self._salts.setdefault(period, fresh)

    def __repr__(self) -> str:
        return "<MemorySalts>"


class FileSalts:
    """Salts in one file, for the processes of one host: locked while it is read and written, readable by its owner.

    A salt that is over is overwritten with noughts before the file is cut; a file system that copies on write, a
    backup and a flash disk may keep the old bytes all the same.

    Args:
        path: of the file; its folder must exist and be private to the application.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)

    def salt(self, period: int, fresh: bytes, oldest: int) -> bytes:
        with self._locked() as file:
            lines = file.read().decode("ascii", "replace").split("\n")
            floor = oldest
            salts: dict[int, bytes] = {}
            for line in lines:
                name, _, value = line.partition(" ")
                if not value:
                    continue
                try:
                    if name == "oldest":
                        floor = max(floor, int(value))
                    else:
                        salts[int(name)] = bytes.fromhex(value)
                except ValueError:
                    raise SaltUnavailable("the file of salts is damaged; remove it to begin anew") from None
            if period < floor:
                raise SaltUnavailable("the salt of that time is destroyed; no id is made")
            kept = {held: salt for held, salt in salts.items() if held >= floor}
            found = kept.setdefault(period, fresh)
            if kept != salts:
                text = f"oldest {floor}\n" + "".join(f"{held} {salt.hex()}\n" for held, salt in sorted(kept.items()))
                size = file.seek(0, os.SEEK_END)
                file.seek(0)
                file.write(b"0" * size)
                file.flush()
                os.fsync(file.fileno())
                file.seek(0)
                file.write(text.encode())
                file.truncate()
                file.flush()
                os.fsync(file.fileno())
            return found

    @contextmanager
    def _locked(self) -> Iterator[BinaryIO]:
        import fcntl

        try:
            with open(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield file
        except OSError as error:
            raise SaltUnavailable(f"the file of salts cannot be used ({type(error).__name__}); no id is made") from None

    def __repr__(self) -> str:
        return f"<FileSalts {self._path.name}>"


class RedisSalts:
    """Salts in Redis, for any number of hosts. They expire by themselves too, should nobody come to destroy them.

    Turn persistence and backups off for this database, or a salt outlives its day on a disk.

    Args:
        url: such as ``redis://127.0.0.1:6379/0``, or a client of the package ``redis``.
        prefix: of the keys.
        expire: seconds after which Redis itself forgets a salt.
    """

    def __init__(self, url: Any, *, prefix: str = "analytical:salt:", expire: int = 40 * 86400) -> None:
        self._client: Any = _redis(url, "the salts in Redis")
        self._prefix = prefix
        self._expire = expire

    def salt(self, period: int, fresh: bytes, oldest: int) -> bytes:
        found = self._client.eval(
            _SALT_SCRIPT, 1, self._prefix + "all", str(period), fresh.hex(), str(oldest), str(self._expire)
        )
        if not found:
            raise SaltUnavailable("the salt of that time is destroyed; no id is made")
        return bytes.fromhex(found.decode() if isinstance(found, bytes) else str(found))

    def __repr__(self) -> str:
        return "<RedisSalts>"


#: One hash: a salt per period, and the oldest period that may exist. A script runs alone, so this is one step.
_SALT_SCRIPT: Final = """
local floor = tonumber(redis.call('HGET', KEYS[1], 'oldest') or ARGV[3])
if tonumber(ARGV[3]) > floor then floor = tonumber(ARGV[3]) end
redis.call('HSET', KEYS[1], 'oldest', string.format('%d', floor))
redis.call('EXPIRE', KEYS[1], ARGV[4])
for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
  if name ~= 'oldest' and tonumber(name) < floor then redis.call('HDEL', KEYS[1], name) end
end
if tonumber(ARGV[1]) < floor then return false end
redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])
return redis.call('HGET', KEYS[1], ARGV[1])
"""


class SqlSalts:
    """Salts in a table of an SQL database, for any number of hosts.

    The row is deleted; what the database keeps in its log, in replicas and in backups is beyond this class.

    Args:
        url: a URL of SQLAlchemy, or an engine.
        table: the table's name; made when first needed.
    """

    def __init__(self, url: Any, *, table: str = "analytical_salts") -> None:
        try:
            import sqlalchemy
        except ImportError:
            raise MissingExtra("the salts in a database", "sql") from None
        self._sql: Any = sqlalchemy
        # No pool: a salt is asked for once a period, and a connection kept so long would be shared with children.
        self._engine: Any = (
            sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool) if isinstance(url, str) else url
        )
        self._table: Any = sqlalchemy.Table(
            table,
            sqlalchemy.MetaData(),
            sqlalchemy.Column("period", sqlalchemy.BigInteger, primary_key=True, autoincrement=False),
            sqlalchemy.Column("salt", sqlalchemy.String(64), nullable=False),
        )
        self._made = False

    def salt(self, period: int, fresh: bytes, oldest: int) -> bytes:
        sql, table = self._sql, self._table
        if not self._made:
            self._make()
        # The period -1 holds no salt but the oldest period that may exist, so that a late caller cannot revive one.
        floor = self._floor(oldest)
        with self._engine.begin() as connection:
            connection.execute(sql.delete(table).where(table.c.period < floor, table.c.period != _FLOOR_ROW))
        if period < floor:
            raise SaltUnavailable("the salt of that time is destroyed; no id is made")
        self._insert(period, fresh.hex())
        with self._engine.begin() as connection:
            row = connection.execute(sql.select(table.c.salt).where(table.c.period == period)).first()
        if row is None:
            raise SaltUnavailable("the salt was destroyed by another process; no id is made")
        return bytes.fromhex(row[0])

    def _make(self) -> None:
        try:
            self._table.create(self._engine, checkfirst=True)
        except self._sql.exc.DBAPIError:
            # Another process made it between the check and the statement; if not, the next statement says so.
            if not self._sql.inspect(self._engine).has_table(self._table.name):
                raise
        self._made = True

    def _floor(self, oldest: int) -> int:
        sql, table = self._sql, self._table
        self._insert(_FLOOR_ROW, str(oldest))
        with self._engine.begin() as connection:
            row = connection.execute(
                sql.select(table.c.salt).where(table.c.period == _FLOOR_ROW).with_for_update()
            ).first()
            floor = max(oldest, int(row[0]))
            if floor != int(row[0]):
                connection.execute(sql.update(table).where(table.c.period == _FLOOR_ROW).values(salt=str(floor)))
        return floor

    def _insert(self, period: int, value: str) -> None:
        try:
            with self._engine.begin() as connection:
                connection.execute(self._sql.insert(self._table).values(period=period, salt=value))
        except self._sql.exc.IntegrityError:
            return  # another process was first, and its value holds

    def __repr__(self) -> str:
        return "<SqlSalts>"


class MemorySessions:
    """Running visits in this process's memory: bounded, and each worker knows its own.

    Args:
        capacity: how many running visits are known; the one that was quiet longest is forgotten first.
    """

    def __init__(self, *, capacity: int = 100_000) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._running: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def began(self, visitor: str, now: float, idle: float) -> float:
        with self._lock:
            known = self._running.pop(visitor, None)
            # A hit that comes late belongs to the visit it falls into; it does not move the clock back.
            if known is not None and known[0] - idle <= now <= known[1] + idle:
                began, last = min(known[0], now) if now < known[0] else known[0], max(known[1], now)
            else:
                began, last = now, now
            self._running[visitor] = (began, last)
            if len(self._running) > self._capacity:
                self._running.popitem(last=False)
            return began

    def __repr__(self) -> str:
        return f"<MemorySessions {len(self._running)}>"


class RedisSessions:
    """Running visits in Redis, the same for every worker and host; Redis itself forgets those that are over.

    Args:
        url: such as ``redis://127.0.0.1:6379/0``, or a client of the package ``redis``.
        prefix: of the keys.
    """

    def __init__(self, url: Any, *, prefix: str = "analytical:visit:") -> None:
        self._client: Any = _redis(url, "the visits in Redis")
        self._prefix = prefix

    def began(self, visitor: str, now: float, idle: float) -> float:
        name = self._prefix + visitor
        milliseconds = max(1, int(idle * 1000))
        self._client.set(name, repr(now), nx=True, px=milliseconds)
        found = self._client.getex(name, px=milliseconds)
        return float(found) if found is not None else now

    def __repr__(self) -> str:
        return "<RedisSessions>"


_EPOCH: Final = date(2026, 1, 1)
_FLOOR_ROW: Final = -(2**40)
_SHAPES: Final = {
    "ga4": "google",
    "ga": "google",
    "google": "google",
    "googleanalytics": "google",
    "google_analytics": "google",
    "matomo": "matomo",
    "piwik": "matomo",
}
_ALIASES: Final = {"piwik": "matomo", "ga": "googleanalytics", "google": "googleanalytics"}


def _alias(provider: str) -> str:
    name = provider.strip().lower()
    return _ALIASES.get(name, name)


def _shape_name(provider: str) -> str:
    return _SHAPES.get(provider.strip().lower(), "")


def _secret(secret: str | bytes) -> bytes:
    if not isinstance(secret, str | bytes | bytearray):
        raise ConfigurationError(f"VisitorId: the secret is {type(secret).__name__}; expected text or bytes. {_HOW}")
    text = resolve(secret, what="VisitorId secret") if isinstance(secret, str) else secret
    raw = text.encode() if isinstance(text, str) else bytes(text)
    if isinstance(text, str) and len(text) == 64:
        # What token_hex(32) prints is 32 bytes: taken as such, so that advanced() can be put in its place.
        try:
            raw = bytes.fromhex(text)
        except ValueError:
            raw = text.encode()
    if len(raw) < SHORTEST:
        raise ConfigurationError(f"VisitorId: the secret has {len(raw)} bytes; expected at least {SHORTEST}. {_HOW}")
    return raw


_HOW: Final = 'Make one with: python -c "import secrets; print(secrets.token_hex(32))"'


def _keyed(key: bytes, purpose: bytes, *fields: str) -> bytes:
    """Return 32 bytes: BLAKE2b, keyed and personalised, over the fields, each with its length before it."""
    if len(key) > 64:
        key = blake2b(key, digest_size=64).digest()
    parts: list[bytes] = []
    for field in fields:
        raw = field.encode("utf-8", "surrogatepass")
        parts.append(len(raw).to_bytes(8, "big"))
        parts.append(raw)
    return blake2b(b"".join(parts), digest_size=32, key=key, person=purpose[:16]).digest()


def _one_spelling(address: str) -> str:
    """Return an address in one spelling, so that a visitor is one however a server writes it; else the text itself."""
    from ipaddress import IPv6Address, ip_address

    text = address.strip()
    try:
        found = ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return text
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(found)


def _uuid(digest: bytes) -> str:
    """Return 16 bytes as a UUID: version 4 (RFC 9562 §5.4), which every vendor takes, though these bits are derived."""
    text = digest[:16].hex()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{'89ab'[int(text[16], 16) & 3]}{text[17:20]}-{text[20:]}"


def _day(value: date | str) -> date:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ConfigurationError(f"VisitorId: since={value!r}; expected a day such as 2026-11-01") from None


def _redis(url: Any, what: str) -> Any:
    if not isinstance(url, str):
        return url
    try:
        import redis
    except ImportError:
        raise MissingExtra(what, "redis") from None
    return redis.Redis.from_url(url, socket_timeout=3.0, socket_connect_timeout=3.0)
