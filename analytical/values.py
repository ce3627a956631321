"""What a call may be given, made JSON-safe: lazy text, decimals, dates, sets; and what is refused, by field name."""

from __future__ import annotations

import math
import re
from collections import UserString
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from numbers import Integral, Real
from typing import Any
from uuid import UUID

from .errors import InvalidHit, UnknownField, did_you_mean
from .hit import COMMON, HitFields

__all__ = ["KEYWORDS", "coerce", "seconds", "unknown_field"]

#: Every keyword that a call understands.
KEYWORDS = frozenset(HitFields.__annotations__)

#: The keywords whose plain ``str`` needs no look beyond its encoding.
TEXTUAL = frozenset(name for name, kind in COMMON.items() if kind not in ("number", "properties", "screen")) - {
    "consent"
} | {"route", "subject"}

_SCREEN = re.compile(r"\d{1,5}x\d{1,5}\Z", re.ASCII)
_LONGEST = 65_536  # characters; the gate cuts further, a platform further still
_DEPTH = 16
_ITEMS = 10_000
_INT64 = 2**63
_BITS = 1024  # about the range of a float; larger whole numbers are slow to write, and Python refuses to

Note = Callable[[str], None]


def unknown_field(name: str) -> UnknownField:
    """Return the error for a keyword that no provider knows."""
    return UnknownField(
        f"unknown field {name!r}.{did_you_mean(name, KEYWORDS)} Common fields: {', '.join(sorted(KEYWORDS))}. "
        "A provider's own keys go into the first argument, a mapping"
    )


def coerce(name: str, value: Any, note: Note) -> Any:
    """Return one field's value JSON-safe, or ``None`` where nothing is left of it.

    Args:
        name: the common name, or the provider's own key: what an error calls it.
        value: what the caller gave.
        note: told ``nan`` or ``cut`` when a part was removed.

    Raises:
        InvalidHit: the value is of a kind that no platform can take.
    """
    kind = COMMON.get(name, "text" if name in KEYWORDS else "native")
    if kind in ("properties", "native"):
        if kind == "properties" and not isinstance(value, Mapping):
            raise InvalidHit(f"properties={_shown(value)}: expected a mapping of names to values")
        return _tree(name, value, note, 0, [0])
    if name == "consent":
        return _consent(value)
    if kind == "number":
        return _number(name, value, note)
    plain = _scalar(name, value, note)
    if plain is None:
        return None
    if name == "session_id" and type(plain) is int:
        return plain
    text = plain if type(plain) is str else str(plain)
    if kind == "screen" and not _SCREEN.match(text):
        raise InvalidHit(f"{name}= takes WIDTHxHEIGHT in pixels, such as '1920x1080'; got {len(text)} other characters")
    return text


def seconds(value: Any) -> float:
    """Return a moment in seconds since 1970.

    Args:
        value: an aware ``datetime``, or a number of seconds.

    Raises:
        InvalidHit: a naive ``datetime``, milliseconds, or no moment at all.
    """
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise InvalidHit(
                f"time={value.isoformat()} has no time zone; type datetime.now(timezone.utc), not utcnow()"
            )
        return value.timestamp()
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        if (not isinstance(value, Decimal) or value.is_finite()) and 0 <= value < 1e11:
            return float(value)
        raise InvalidHit("time= takes seconds since 1970, this side of the year 5000; divide milliseconds by 1000")
    raise InvalidHit(f"time={_shown(value)}: expected an aware datetime or seconds since 1970")


def text(value: str, note: Note) -> str:
    """Return text that UTF-8 can carry and that is not absurdly long."""
    if len(value) > _LONGEST:
        note("cut")
        value = value[:_LONGEST]
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate, from a file name or a broken decoder
        return value.encode("utf-8", "replace").decode()
    return value


def _scalar(name: str, value: Any, note: Note) -> str | int | float | bool | None:
    if value.__class__ is not type(value):
        value = _unwrapped(value)
    if isinstance(value, str):
        return text(str.__str__(value) if issubclass(type(value), str) else str(value), note)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Integral):  # numpy's, too
        number = int(value)
        if -_INT64 <= number < _INT64:
            return number
        if number.bit_length() > _BITS:
            raise InvalidHit(f"{name}= takes a number of at most {_BITS} bits; got one of {number.bit_length()}")
        return str(number)
    if isinstance(value, Real):
        if math.isfinite(value):
            return float(value)
        note("nan")
        return None
    if isinstance(value, Decimal):
        if value.is_finite():
            # 1E+999999999 would be a gigabyte of zeros.
            return format(value, "f") if abs(value.adjusted()) < _BITS else str(value)
        note("nan")
        return None
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, UserString) or _is_lazy(value):
        return text(str(value), note)
    raise InvalidHit(
        f"{name}={_shown(value)} cannot be sent; expected text, a number, a date, a UUID or a Decimal"
        + (". Decode bytes first: value.decode()" if isinstance(value, (bytes, bytearray, memoryview)) else "")
    )


def _unwrapped(value: Any) -> Any:
    """Return the number, truth or nothing that a proxy stands for; other proxies answer for themselves.

    A proxy says that it is a str, an int … and is none: Django's SimpleLazyObject, Werkzeug's LocalProxy.
    """
    claimed = value.__class__
    if issubclass(claimed, bool):
        return bool(value)
    for plain, numbers in ((int, Integral), (float, Real), (Decimal, Decimal)):
        if issubclass(claimed, numbers):
            return plain(str(value))  # Django's has no __int__
    return None if claimed is type(None) else value


def _is_lazy(value: Any) -> bool:
    # Django's gettext_lazy makes a class called __proxy__, Babel LazyProxy; Flask-Babel, speaklater and WTForms say
    # LazyString. A lazy object of another kind, such as Django's request.user, is no text: str() of it is a person.
    return type(value).__name__ in ("__proxy__", "LazyProxy", "LazyString", "_LazyString")


def _number(name: str, value: Any, note: Note) -> int | float | str | None:
    plain = _scalar(name, value, note)
    if isinstance(plain, str):
        try:
            finite = math.isfinite(float(plain))
        except ValueError:
            finite = False
        if not finite:
            raise InvalidHit(f"{name}= takes a number; got a text of {len(plain)} characters that is none")
        return plain
    return int(plain) if isinstance(plain, bool) else plain


def _consent(value: Any) -> dict[str, bool]:
    if isinstance(value, bool):
        return {"analytics": value, "ad_user_data": value, "ad_personalization": value}
    if isinstance(value, Mapping) and all(isinstance(k, str) and isinstance(v, bool) for k, v in value.items()):
        return dict(value)
    raise InvalidHit(
        f"consent={_shown(value)}: expected a mapping such as {{'analytics': True, 'ad_user_data': False}}"
    )


def _tree(name: str, value: Any, note: Note, depth: int, count: list[int]) -> Any:
    if type(value) is str:
        return text(value, note)
    count[0] += 1
    if depth > _DEPTH or count[0] > _ITEMS:
        raise InvalidHit(f"{name} is nested deeper than {_DEPTH} levels or holds more than {_ITEMS} values")
    if isinstance(value, Mapping):
        out = {}
        for key, item in value.items():
            plain = _tree(f"{name}[{str(key)[:40]!r}]", item, note, depth + 1, count)
            if plain is not None:
                out[text(key if type(key) is str else str(_scalar(name, key, note)), note)] = plain
        return out
    if isinstance(value, (list, tuple, set, frozenset)):
        items = [_tree(name, item, note, depth + 1, count) for item in value]
        kept = [item for item in items if item is not None]
        return _sorted(kept) if isinstance(value, (set, frozenset)) else kept
    return _scalar(name, value, note)


def _sorted(items: list[Any]) -> list[Any]:
    try:
        return sorted(items)
    except TypeError:  # of several kinds
        return sorted(items, key=lambda item: (str(type(item)), str(item)))


def _shown(value: Any) -> str:
    # The type, not the value: it may be personal, and errors end in logs.
    return f"<{type(value).__name__}>"
