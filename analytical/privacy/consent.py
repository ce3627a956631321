"""Consent: who must not be counted, decided before anything is hashed, queued or logged, and again before sending.

The order is fixed: an explicit opt-out, then ``DNT: 1`` (W3C Tracking Preference Expression,
https://www.w3.org/TR/tracking-dnt/) and ``Sec-GPC: 1`` (https://www.w3.org/TR/gpc/), then the application's own
answer, then the policy's default.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Literal, Protocol, runtime_checkable

from ..errors import ConfigurationError
from ..hit import Hit

__all__ = [
    "Ask",
    "Consent",
    "Facts",
    "FileTombstones",
    "MemoryTombstones",
    "Reason",
    "Tombstones",
    "decide",
    "ga4_consent",
    "subject_tag",
]

#: Why a hit was withheld: what the ledger counts, and all that is kept of it.
Reason = Literal["optout", "dnt", "gpc", "consent"]


class Facts(Protocol):
    """What a request says about the visitor's wish; ``None`` means that it says nothing."""

    @property
    def opted_out(self) -> bool | None: ...

    @property
    def dnt(self) -> bool | None: ...

    @property
    def gpc(self) -> bool | None: ...


#: The application's answer: ``True`` yes, ``False`` no, ``None`` it does not know.
Ask = Callable[[Facts | None], bool | None]


def decide(
    facts: Facts | None,
    *,
    ask: Ask | None = None,
    default: bool = True,
    dnt: bool = True,
    gpc: bool = True,
    given: Mapping[str, bool] | None = None,
) -> Reason | None:
    """Return why a hit must be withheld, or ``None`` where it may go on.

    Args:
        facts: the request's answers; ``None`` outside a request.
        ask: the application's callback; one that raises is a no, for a gate fails closed.
        default: what holds where nobody answered.
        dnt: whether ``DNT: 1`` is obeyed.
        gpc: whether ``Sec-GPC: 1`` is obeyed.
        given: the call's own ``consent=``; ``{"analytics": False}`` is the application's no, ``True`` its yes.

    >>> decide(None), decide(None, default=False), decide(None, given={"analytics": False})
    (None, 'consent', 'consent')
    """
    if facts is not None:
        if facts.opted_out:
            return "optout"
        if dnt and facts.dnt:
            return "dnt"
        if gpc and facts.gpc:
            return "gpc"
    answer: bool | None = None
    if given is not None:
        answer = given.get("analytics")
    if answer is not False and ask is not None:
        try:
            said = ask(facts)
        except Exception:  # noqa: BLE001 - the application's code; whatever it raises, nothing may leave
            return "consent"
        answer = said if said is not None else answer
    if answer is None:
        answer = default
    return None if answer else "consent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """The same decision with its options bound: a ``withhold`` predicate.

    Args:
        ask: the application's callback.
        default: what holds where nobody answered; ``False`` sends only what was agreed to.
        dnt: whether ``DNT: 1`` is obeyed.
        gpc: whether ``Sec-GPC: 1`` is obeyed.

    >>> Consent(default=False)(None)
    'consent'
    """

    ask: Ask | None = None
    default: bool = True
    dnt: bool = True
    gpc: bool = True

    def __call__(self, facts: Facts | None, given: Mapping[str, bool] | None = None) -> Reason | None:
        return decide(facts, ask=self.ask, default=self.default, dnt=self.dnt, gpc=self.gpc, given=given)


def ga4_consent(given: Mapping[str, bool] | None) -> dict[str, str]:
    """Return the ``consent`` object of the GA4 Measurement Protocol: ``DENIED`` unless told.

    Source: https://developers.google.com/analytics/devguides/collection/protocol/ga4/reference

    >>> ga4_consent({"ad_user_data": True})
    {'ad_user_data': 'GRANTED', 'ad_personalization': 'DENIED'}
    """
    said = given or {}
    return {name: "GRANTED" if said.get(name) is True else "DENIED" for name in ("ad_user_data", "ad_personalization")}


def subject_tag(secret: str | bytes, user: str) -> str:
    """Return the opaque tag by which a withdrawal finds a person's queued hits.

    Keyed, so that nobody without the secret can tell from a queue whose hits wait there. The same secret must be
    used when hits are made and when consent is withdrawn.

    Args:
        secret: at least 32 bytes, kept by the application.
        user: the application's own id of the person.

    Raises:
        ConfigurationError: the secret is missing or short.

    >>> len(subject_tag(b"k" * 32, "user-17"))
    32
    """
    raw = secret.encode() if isinstance(secret, str) else bytes(secret)
    if len(raw) < 32:
        raise ConfigurationError(
            f"subject_tag: the secret has {len(raw)} bytes; expected at least 32, "
            'such as python -c "import secrets; print(secrets.token_hex(32))" prints'
        )
    key = blake2b(raw, digest_size=32, person=b"analytical-subj").digest()
    return blake2b(user.encode("utf-8", "surrogatepass"), digest_size=16, key=key).hexdigest()


@runtime_checkable
class Tombstones(Protocol):
    """Remembers who has withdrawn; asked again for every hit just before it is sent."""

    def withdraw(self, subject: str) -> None:
        """Every hit of this subject, queued or still to come, must not be sent."""

    def restore(self, subject: str) -> None:
        """The subject agreed again: hits made from now on may be sent, those made before stay dropped."""

    def withdrawn(self, hit: Hit) -> bool:
        """Tell whether the hit must be dropped; always ``False`` for a hit without a subject."""


class MemoryTombstones:
    """Tombstones beside a spool in memory: they live as long as what they guard.

    Args:
        keep: seconds after which a tombstone is forgotten; longer than anything can wait in the spool.
        clock: seconds since 1970.

    >>> stones = MemoryTombstones()
    >>> stones.withdraw("tag")
    >>> stones.withdrawn(Hit(id="1", kind="pageview", time=0.0, subject="tag"))
    True
    """

    def __init__(self, *, keep: float = 90 * 86400.0, clock: Callable[[], float] = time.time) -> None:
        self._keep = keep
        self._clock = clock
        self._lock = threading.Lock()
        #: subject = (when it was said, when it was taken back or None)
        self._stones: dict[str, tuple[float, float | None]] = {}

    def withdraw(self, subject: str) -> None:
        now = self._clock()
        with self._lock:
            self._stones.pop(subject, None)  # to the end: the oldest stand first
            self._stones[subject] = (now, None)
            self._forget(now)

    def restore(self, subject: str) -> None:
        now = self._clock()
        with self._lock:
            if subject in self._stones:
                self._stones.pop(subject)
                self._stones[subject] = (now, now)

    def withdrawn(self, hit: Hit) -> bool:
        if hit.subject is None:
            return False
        return _covers(self._stones.get(hit.subject), hit, self._clock() - self._keep)

    def __len__(self) -> int:
        return len(self._stones)

    def __repr__(self) -> str:
        return f"<MemoryTombstones {len(self._stones)}>"

    def _forget(self, now: float) -> None:
        old = now - self._keep
        for subject in [subject for subject, (said, _) in self._stones.items() if said < old]:
            del self._stones[subject]


class FileTombstones:
    """Tombstones in a file beside a durable spool, shared by every process that reads the spool.

    One line per withdrawal: the opaque tag, a time, a word. Appended under a lock and flushed to the disk before
    ``withdraw`` returns; readers notice by the file's size and time. A file that cannot be read fails closed:
    hits that carry a subject count as withdrawn.

    Args:
        path: such as ``outbox.db.tombstones``; made when first needed, readable by its owner alone.
        keep: seconds after which a tombstone is forgotten; longer than anything can wait in the spool.
        clock: seconds since 1970.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, keep: float = 90 * 86400.0, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = Path(path)
        self._keep = keep
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._stones: dict[str, tuple[float, float | None]] | None = {}

    def withdraw(self, subject: str) -> None:
        self._append(subject, "withdrawn")

    def restore(self, subject: str) -> None:
        known = self._read()
        if known is None or subject in known:
            self._append(subject, "restored")

    def withdrawn(self, hit: Hit) -> bool:
        if hit.subject is None:
            return False
        stones = self._read()
        if stones is None:
            return True
        return _covers(stones.get(hit.subject), hit, self._clock() - self._keep)

    def compact(self) -> int:
        """Drop lines that are no longer needed and return how many subjects remain."""
        with self._lock, _locked(self._path) as file:
            stones = _parse(file.read().decode("utf-8", "replace"))
            old = self._clock() - self._keep
            kept = {subject: stone for subject, stone in stones.items() if stone[0] >= old}
            lines = [
                f"{subject} {said!r} {'withdrawn' if back is None else 'restored'}\n"
                for subject, (said, back) in kept.items()
            ]
            # Written beside and moved over it: a crash leaves the old file or the new one, never a torn one.
            beside = self._path.with_name(self._path.name + ".new")
            with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as new:
                new.write("".join(lines).encode())
                new.flush()
                os.fsync(new.fileno())
            beside.replace(self._path)
            return len(kept)

    def __repr__(self) -> str:
        return f"<FileTombstones {self._path.name}>"

    def _append(self, subject: str, word: str) -> None:
        if not subject or not subject.isascii() or any(character.isspace() for character in subject):
            raise ValueError("a subject is an opaque tag without spaces; subject_tag(secret, user) makes one")
        with self._lock, _locked(self._path) as file:
            torn = b""
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                torn = b"" if file.read(1) == b"\n" else b"\n"
            file.write(torn + f"{subject} {self._clock()!r} {word}\n".encode())
            file.flush()
            os.fsync(file.fileno())

    def _read(self) -> dict[str, tuple[float, float | None]] | None:
        try:
            found = self._path.stat()
            seen = (found.st_ino, found.st_size, found.st_mtime_ns)
            if seen != self._seen:
                self._stones = _parse(self._path.read_text(encoding="utf-8", errors="replace"))
                self._seen = seen
        except FileNotFoundError:
            # Nobody has withdrawn yet; or somebody removed the file, and then what was known still holds.
            return self._stones
        except OSError:
            self._seen = None
            return None
        return self._stones


def _covers(stone: tuple[float, float | None] | None, hit: Hit, forgotten_before: float) -> bool:
    if stone is None or stone[0] < forgotten_before:
        return False
    said, back = stone
    return back is None or hit.time < said


def _parse(text: str) -> dict[str, tuple[float, float | None]]:
    stones: dict[str, tuple[float, float | None]] = {}
    for line in text.splitlines():
        parts = line.split(" ")
        if len(parts) != 3 or parts[2] not in ("withdrawn", "restored"):
            continue  # a line torn by a crash; the call that wrote it never returned
        try:
            said = float(parts[1])
        except ValueError:
            continue
        if parts[2] == "withdrawn":
            stones[parts[0]] = (said, None)
        else:
            stones[parts[0]] = (said, said)
    return stones


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """Open the file for reading and appending, alone. The lock is a file of its own, for compacting moves the other."""
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "r+b") as file:
            yield file
    finally:
        os.close(lock)
