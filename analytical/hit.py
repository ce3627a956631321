"""The hit: what is sent, sealed; and ``HitFields``, the vocabulary of every call, in one place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b
from random import Random
from time import time_ns
from types import MappingProxyType
from typing import Any, Literal, TypedDict

import msgspec

__all__ = ["COMMON", "DATA_FIELDS", "Hit", "HitFields", "Kind", "VisitFields", "key_id", "new_id"]

#: The kind of a datum: what the privacy gate looks at.
Kind = Literal[
    "ip",  # an address of a visitor
    "user_agent",
    "url",  # a page's address, whole or a path
    "referrer",
    "text",  # free text: titles, names, labels
    "properties",  # a nested container of anything
    "client_id",
    "user_id",
    "session_id",
    "language",  # an Accept-Language value or a tag
    "screen",  # WIDTHxHEIGHT
    "number",
    "plain",  # a word of a closed vocabulary, a protocol's own switch: passes as it is
]


class VisitFields(TypedDict, total=False):
    """The keywords of every call that makes a hit: who, where and when. ``None`` means absent."""

    url: str | None  #: the page's address, absolute; a path where the platform takes one
    title: str | None  #: the page's title
    referrer: str | None  #: the address of the page before
    route: str | None  #: the page's template as the framework knows it (``/users/:id``); ``strict()`` prefers it
    client_ip: str | None  #: the visitor's address
    user_agent: str | None  #: the visitor's ``User-Agent`` header
    language: str | None  #: the visitor's ``Accept-Language`` header, or one tag
    client_id: str | None  #: an opaque id of the browser
    user_id: str | None  #: an opaque id of the person, never an address of theirs
    session_id: str | int | None  #: an opaque id of the visit
    screen: str | None  #: ``WIDTHxHEIGHT`` in pixels
    properties: Mapping[str, Any] | None  #: an event's own data: names to JSON values
    consent: Mapping[str, bool] | None  #: agreed to: ``analytics``, ``ad_user_data``, ``ad_personalization``
    time: datetime | float | None  #: when it happened: an aware datetime, or seconds since 1970
    key: str | None  #: a business id: the same key is the same hit, so a retried job counts once
    subject: str | None  #: a keyed opaque tag by which a withdrawal finds what is queued
    priority: int | None  #: 0 for what may be dropped first; a higher one outlives it in a full spool


class HitFields(VisitFields, total=False):
    """The keywords of ``pageview()``, ``event()``, ``track_hit()``: these five, and those of :class:`VisitFields`."""

    name: str | None  #: an event's name or action (``signup``)
    category: str | None  #: an event's category
    label: str | None  #: an event's label
    value: float | Decimal | None  #: an event's value
    currency: str | None  #: ISO 4217, where ``value`` is money


#: The common fields that carry data, and the kind of each: what a hit holds and a backend may encode.
COMMON: Mapping[str, Kind] = MappingProxyType(
    {
        "url": "url",
        "title": "text",
        "referrer": "referrer",
        "client_ip": "ip",
        "user_agent": "user_agent",
        "language": "language",
        "client_id": "client_id",
        "user_id": "user_id",
        "session_id": "session_id",
        "screen": "screen",
        "name": "text",
        "category": "text",
        "label": "text",
        "value": "number",
        "currency": "plain",
        "properties": "properties",
        "consent": "plain",
    }
)
DATA_FIELDS = tuple(COMMON)

_EMPTY: Mapping[str, Any] = MappingProxyType({})


class Hit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, repr_omit_defaults=True):
    """A sealed record of something that happened: frozen, JSON-safe, versioned.

    Only :meth:`analytical.Policy.seal` and :meth:`Hit.from_dict` make one; only a hit can be submitted.
    The containers in it are never changed by anyone.

    Args:
        id: a UUID in canonical form; the same on every attempt.
        kind: ``pageview``, ``event``, or a further kind that a backend declares (``screenview``, ``transaction`` …).
        time: when it happened, in seconds since 1970 (UTC).
        native: the provider's own keys that are no common field, as they were given.
    """

    id: str
    kind: str
    time: float
    v: int = 1
    url: str | None = None
    title: str | None = None
    referrer: str | None = None
    client_ip: str | None = None
    user_agent: str | None = None
    language: str | None = None
    client_id: str | None = None
    user_id: str | None = None
    session_id: str | int | None = None
    screen: str | None = None
    name: str | None = None
    category: str | None = None
    label: str | None = None
    value: int | float | str | None = None
    currency: str | None = None
    properties: dict[str, Any] | None = None
    consent: dict[str, bool] | None = None
    subject: str | None = None
    priority: int = 0
    bot: str | None = None  #: what a visit that is no person's declared itself to be (``search``, ``monitor`` …)
    keyed: bool = False  #: the id was derived from a business key
    native: dict[str, Any] | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Hit:
        """Read a hit back from a queue.

        Raises:
            ValueError: the data is no hit of a known version; the message names the field and shows no value.
        """
        if data.get("v", 1) != 1:
            raise ValueError("this hit was written by a newer version of analytical; update before reading the queue")
        try:
            return msgspec.convert(data, cls)
        except msgspec.ValidationError as error:
            raise ValueError(f"not a hit: {error}") from None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON-safe data, without what is absent."""
        built: dict[str, Any] = msgspec.to_builtins(self)
        return {"v": self.v, **built}

    def __repr__(self) -> str:
        return f"<Hit {self.kind} {self.id}>"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("kind", self.kind), ("id", self.id)]


def new_id() -> str:
    """Return a new UUID (version 7: its time, to the millisecond, and 72 random bits) in canonical form.

    Ids that grow with time stand beside each other in an index: a million of them on disk cost little more than one.

    >>> len(new_id())
    36
    """
    try:
        return _ids.pop()
    except IndexError:
        return _more_ids()


#: Ids made in advance: one call makes them for many hits, because the caller waits while it is done.
_ids: list[str] = []
_AT_ONCE = 32
_sources: list[Random] = []
_watching: list[bool] = []


def _more_ids() -> str:
    if not _sources:
        if not _watching:
            _watching.append(True)
            os.register_at_fork(after_in_child=_forget_ids)
        # Seeded by the system, and of its own: an application that calls random.seed() in each of its processes must
        # not get the same ids in all of them. Not os.urandom each time: a system call lets go of the interpreter's
        # lock, and getting it back from a busy driver costs milliseconds. An id must be unique, not secret.
        _sources.append(Random())
    stamp = f"{time_ns() // 1_000_000:012x}"
    front = f"{stamp[:8]}-{stamp[8:]}-7"
    digits = _sources[0].randbytes(9 * _AT_ONCE).hex()
    made = [
        # RFC 9562 §5.7: version 7 in the 13th digit, variant 10 in the 17th.
        # The two free bits of the variant's digit are left at 0, which saves half of the time.
        f"{front}{digits[at : at + 3]}-8{digits[at + 3 : at + 6]}-{digits[at + 6 : at + 18]}"
        for at in range(0, 18 * _AT_ONCE, 18)
    ]
    own = made.pop()
    _ids.extend(made)
    return own


def _forget_ids() -> None:
    # The same id must not be given out on both sides of a fork.
    _ids.clear()
    _sources.clear()


def key_id(key: str, scope: str) -> str:
    """Return the UUID that stands for a business key within one destination: the same key, the same hit.

    Args:
        key: ``order-1234``, ``signup-{user.id}`` …
        scope: whatever separates destinations, such as ``matomo:1``.

    >>> key_id("order-1", "matomo:1") == key_id("order-1", "matomo:1") != key_id("order-1", "matomo:2")
    True
    """
    text = blake2b(key.encode(), digest_size=16, key=blake2b(scope.encode(), digest_size=32).digest()).hexdigest()
    # RFC 9562 §5.8: version 8, a vendor's own derivation.
    return f"{text[:8]}-{text[8:12]}-8{text[13:16]}-{'89ab'[int(text[16], 16) & 3]}{text[17:20]}-{text[20:]}"
