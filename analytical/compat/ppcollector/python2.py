"""What CPython 2.7 did with dictionaries and text, as far as it reached the records: order, ``unicode()``, ``repr()``.

The ids of existing data sets were made from dictionaries in hash order and from numbers of twelve digits. A record
that is to overwrite an old one must have the same id, so both are reproduced to the bit.

Sources: ``Objects/dictobject.c``, ``Objects/stringobject.c`` and ``Python/pystrtod.c`` of CPython 2.7.18
(https://github.com/python/cpython/tree/v2.7.18), on a 64-bit machine with hash randomisation off, its default.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from functools import lru_cache
from math import isfinite
from typing import Any

__all__ = ["hash_order", "items", "representation", "text", "text_hash"]

_WORD = (1 << 64) - 1


def text_hash(value: str) -> int:
    """Return ``hash(value)`` as a 64-bit CPython 2.7 had it.

    >>> text_hash("browser"), text_hash("")
    (8358283631056071551, 0)
    """
    if not value:
        return 0
    found = (ord(value[0]) << 7) & _WORD
    for character in value:
        found = ((1000003 * found) & _WORD) ^ ord(character)
    found ^= len(value)
    if found >> 63:
        found -= 1 << 64
    return -2 if found == -1 else found


@lru_cache(maxsize=4096)
def hash_order(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return names in the order in which a CPython 2.7 dictionary gave them back.

    Args:
        names: in the order in which they were put in; a repeated name keeps its first place.

    >>> hash_order(("date", "hour", "datetime"))
    ('date', 'hour', 'datetime')
    """
    slots: list[str | None] = [None] * 8
    for used, name in enumerate(dict.fromkeys(names), start=1):
        _put(slots, name)
        if used * 3 >= len(slots) * 2:
            wanted = used * (2 if used > 50_000 else 4)
            size = 8
            while size <= wanted:
                size <<= 1
            grown: list[str | None] = [None] * size
            for kept in slots:
                if kept is not None:
                    _put(grown, kept)
            slots = grown
    return tuple(name for name in slots if name is not None)


def _put(slots: list[str | None], name: str) -> None:
    hashed = text_hash(name)
    mask = len(slots) - 1
    place = hashed & mask
    perturb = hashed & _WORD
    while slots[place & mask] is not None:
        place = place * 5 + perturb + 1
        perturb >>= 5
    slots[place & mask] = name


def items(mapping: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Return the items of a dictionary in hash order, given one in the order of insertion."""
    found = dict(mapping)
    return [(name, found[name]) for name in hash_order(tuple(found))]


def text(value: Any) -> str:
    """Return what ``unicode(value)`` gave: floats have twelve significant digits.

    >>> text(0.1 + 0.2), text(1e11), text(123456.0), text(None), text(["a", 1.5])
    ('0.3', '1e+11', '123456.0', 'None', "[u'a', 1.5]")
    """
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, (list, tuple, dict)):
        return representation(value)
    return str(value)


def _float(value: float) -> str:
    if not isfinite(value):
        return str(value)
    shown = f"{value:.12g}"
    if "e" in shown:
        return shown
    whole, _, fraction = shown.lstrip("-").partition(".")
    if len(whole) < 12:
        return shown if fraction else shown + ".0"
    # Python 2 went over to an exponent one digit earlier than "%g" does, to leave room for the ".0" it adds.
    digits = whole[1:].rstrip("0")
    return f"{'-' if value < 0 else ''}{whole[0]}{'.' if digits else ''}{digits}e+11"


def representation(value: Any) -> str:
    """Return what ``repr(value)`` gave for the values that JSON can hold.

    >>> representation({"a": [True, None, "it's"]})
    '{u\\'a\\': [True, None, u"it\\'s"]}'
    """
    if isinstance(value, str):
        shown = ascii(value)
        return "u" + shown
    if isinstance(value, dict):
        return "{" + ", ".join(f"{representation(k)}: {representation(v)}" for k, v in items(value)) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(representation(each) for each in value) + "]"
    if isinstance(value, tuple):
        inside = ", ".join(representation(each) for each in value)
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if isinstance(value, (datetime, date)):
        return repr(value)
    return repr(value)
