"""Where hits wait: ``put``, ``take`` (a lease), ``settle``. Retry is a due time in here, never a sleep in a worker.

A spool knows nothing of networks, back-off or platforms. The driver decides what becomes of a hit and says it as
a verdict; the spool does it. Every spool passes one contract suite (``analytical.testing.SpoolContract``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from ..errors import ConfigurationError, did_you_mean
from ..hit import Hit
from ..registry import Registry
from ..verdict import Verdict

__all__ = ["LEASE", "LONGEST", "SPOOLS", "Entry", "Lost", "Spool", "open_spool", "options_of", "query_of", "switch"]

#: Seconds that a lease lasts; a taker that neither settles nor renews by then has lost the hits to the next.
LEASE = 20.0
#: Seconds of the longest wait that a driver ever asks for. A due time further ahead than this means that the clock
#: was moved, and is due now.
LONGEST = 60.0

#: Told of a hit that the spool itself had to give up: the hit's destination, the hit, ``dropped`` or ``expired``, why.
Lost = Callable[[str, Hit, Literal["dropped", "expired"], str], None]


class Entry(msgspec.Struct, gc=False, eq=False, repr_omit_defaults=True):
    """A hit that waits, and what its spool and driver keep about it.

    Args:
        hit: the sealed record.
        to: the destination's name.
        seq: the order of arrival within the spool.
        size: bytes it is reckoned with.
        attempts: how often it was tried and may be tried again.
        since: when it was accepted, in seconds since 1970; 0 where that is not kept.
        lane, due, until, state, heir: the queue's own book-keeping.
        token: the spool's own: a row, a stream id, a partition and offset.
    """

    hit: Hit
    to: str
    seq: int = 0
    size: int = 0
    attempts: int = 0
    since: float = 0.0
    lane: str | None = None
    due: float = 0.0
    until: float = 0.0
    state: int = 0
    heir: Entry | None = None
    token: Any = None

    def __repr__(self) -> str:
        return f"<Entry {self.to} {self.hit.id}>"


@runtime_checkable
class Spool(Protocol):
    """A place where hits wait. Every method may be called from any thread; none raises for what the world does.

    Attributes:
        durable: whether what was accepted outlives the process.
        blocking: whether ``put`` waits for a network (a broker's acknowledgement).
        remote: whether anything else does, such as counting and closing; may be left out where nothing does.

    A spool may have ``roomy(to)``, which tells whether most of its room is free: then a burst of hits is let through
    for a quarter of a second before it is carried.
    """

    durable: bool
    blocking: bool

    def attach(self, to: str, *, lane: Callable[[Hit], str | None] | None = None, lost: Lost | None = None) -> None:
        """Make a destination known, before its first ``put`` or ``take``.

        Args:
            to: its name.
            lane: the stream of a hit within which two batches must not be under way at once; ``None`` for none.
            lost: told of the hits that the spool gives up by itself.
        """
        ...

    def detach(self, to: str) -> None:
        """Let go of a destination, so that another process may empty it. What waits in memory stays until taken."""
        ...

    def put(self, to: str, hit: Hit) -> bool:
        """Accept a hit: ``True`` exactly when it is now kept as surely as this spool keeps anything."""
        ...

    def take(self, limit: int, now: float, *, to: str | None = None) -> list[Entry]:
        """Lease up to ``limit`` hits that are due, of one destination; none whose lane is under way.

        Args:
            limit: how many at most.
            now: seconds since 1970.
            to: the destination; ``None`` for any one.
        """
        ...

    def settle(self, entries: Sequence[Entry], verdicts: Sequence[Verdict], now: float) -> list[bool]:
        """Do what the verdicts say: ``retry`` is due again ``verdict.after`` seconds from now; all else is done with.

        ``rejected``, ``expired`` and ``dropped`` become dead letters where the spool keeps such.

        Returns:
            For each entry whether this call settled it; ``False`` where its lease had run out and another did.
        """
        ...

    def renew(self, entries: Sequence[Entry]) -> None:
        """Let leases begin anew."""
        ...

    def wake_at(self, to: str | None = None) -> float | None:
        """Return when ``take`` may next have something, in seconds since 1970; ``None`` where only a ``put`` helps."""
        ...

    def waiting(self, to: str) -> int:
        """Return how many accepted hits of a destination are not settled, as far as this process can see."""
        ...

    def uploads(self, to: str) -> bool:
        """Tell whether this process is the one that empties the spool of a destination; may try to become it."""
        ...

    def ready(self, to: str) -> int:
        """Return about how many could be taken now: a hint for how many connections are worth having."""
        ...

    def remains(self, to: str) -> list[Entry]:
        """Return the hits that would be lost with this process, those under way included; none of a durable spool's."""
        ...

    def stats(self, to: str) -> dict[str, int] | None:
        """Return the counts since this spool was opened where the spool keeps its own ledger; else ``None``."""
        ...

    def __len__(self) -> int: ...

    def before_fork(self) -> None:
        """Come to a point at which the process may be copied: no library of C in the middle of something."""
        ...

    def after_fork(self) -> None:
        """Go on, in the parent."""
        ...

    def abandon(self) -> None:
        """Let go of everything inherited through a fork, closing nothing; usable again afterwards."""
        ...

    def close(self) -> None:
        """Let go of files and connections. What is durable stays."""
        ...


#: Spools by URL scheme; other packages register theirs under the entry-point group ``analytical.spools``.
SPOOLS = Registry(
    "spool",
    "analytical.spools",
    {
        "memory": "analytical.spool.memory:MemorySpool",
        "sqlite": "analytical.spool.sqlite:SqliteSpool",
        "redis": "analytical.spool.redis:RedisSpool",
        "rediss": "analytical.spool.redis:RedisSpool",
        "unix": "analytical.spool.redis:RedisSpool",
        "kafka": "analytical.spool.kafka:KafkaSpool",
    },
)


def open_spool(where: str | PathLike[str] | Spool) -> Spool:
    """Return the spool that a path or URL names.

    Args:
        where: a path (SQLite), or a URL: ``memory://?hits=50000``, ``sqlite:///outbox.db`` (relative),
            ``sqlite:////var/lib/outbox.db`` (absolute), ``redis://…``, ``kafka://…``. A spool is returned as it is.

    Raises:
        UnknownName: no such kind of spool.
        ConfigurationError: an option that the spool does not have.

    Each kind is a class with ``from_url(url)``.
    """
    if not isinstance(where, str | PathLike):
        if isinstance(where, Spool):
            return where
        raise ConfigurationError(
            f"spool=<{type(where).__name__}>: expected a path, a URL or an object with put and take"
        )
    text = str(where)
    scheme, mark, _ = text.partition("://")
    if isinstance(where, Path) or not mark:
        from .sqlite import SqliteSpool

        return SqliteSpool(text)
    spool: Spool = SPOOLS.get(scheme).from_url(text)
    return spool


def options_of(url: str, known: Mapping[str, Callable[[str], Any]]) -> tuple[str, dict[str, Any]]:
    """Read a spool's URL: the path, unquoted, and the options in its query, each through its reader.

    Raises:
        ConfigurationError: an option that is not known (names the nearest), or a value that cannot be read.

    >>> options_of("sqlite:///outbox.db?hits=10", {"hits": int})
    ('outbox.db', {'hits': 10})
    """
    parts = urlsplit(url)
    found, _ = query_of(url, known)
    return unquote(parts.netloc + parts.path[1:]) if not parts.netloc else unquote(parts.netloc + parts.path), found


def query_of(
    url: str,
    known: Mapping[str, Callable[[str], Any]],
    *,
    theirs: Callable[[str], bool] = lambda name: False,
    also: str = "",
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Read the query of a spool's URL: our options, each through its reader, and as they stand those of a library.

    Args:
        url: of the spool.
        known: our options, each with its reader.
        theirs: whether an option is the library's.
        also: what the error message says of those, after naming ours.

    Raises:
        ConfigurationError: as :func:`options_of`.

    >>> query_of("redis://host/0?hits=10&db=3", {"hits": int}, theirs=lambda name: name == "db")
    ({'hits': 10}, [('db', '3')])
    """
    parts = urlsplit(url)
    found: dict[str, Any] = {}
    rest: list[tuple[str, str]] = []
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name in known:
            try:
                found[name] = known[name](value)
            except ValueError:
                raise ConfigurationError(f"{parts.scheme}://…?{name}={value}: expected another kind of value") from None
        elif theirs(name):
            rest.append((name, value))
        else:
            raise ConfigurationError(
                f"{parts.scheme}://…?{name}=: no such option.{did_you_mean(name, known)} "
                f"Options: {', '.join(known)}{also}"
            )
    return found, rest


def switch(text: str) -> bool:
    """Read yes or no.

    >>> switch("on"), switch("No")
    (True, False)
    """
    if text.lower() in ("1", "true", "yes", "on", ""):
        return True
    if text.lower() in ("0", "false", "no", "off"):
        return False
    raise ValueError(f"{text!r}: expected yes or no")
