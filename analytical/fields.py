"""``Fields``: a provider's keys beside the common names, and the kind of each datum."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from types import MappingProxyType
from typing import Any

from .hit import COMMON, DATA_FIELDS, Hit, Kind

__all__ = ["Fields"]

_NO_LIMITS: Mapping[str, int] = MappingProxyType({})


class Fields:
    """A one-to-one table between common names and a provider's own keys.

    Args:
        kinds: the kind of each native key that has no common name (``{"el": "text"}``). A key that stands in
            neither table is treated as ``text``: unknown is never harmless.
        limits: the platform's longest value in characters, by common name or native key.
        byte_limits: the same in bytes of UTF-8.
        common: common name = native key.

    Law: ``lower(lift(native)) == native``.

    >>> table = Fields(url="dl", title="dt", kinds={"ni": "plain"})
    >>> table.lift({"dl": "https://example.com", "ni": 1})
    ({'url': 'https://example.com'}, {'ni': 1})
    """

    __slots__ = ("_by_native", "_ceilings", "_values", "byte_limits", "common", "kinds", "limits")

    def __init__(
        self,
        *,
        kinds: Mapping[str, Kind] = MappingProxyType({}),
        limits: Mapping[str, int] = _NO_LIMITS,
        byte_limits: Mapping[str, int] = _NO_LIMITS,
        **common: str,
    ) -> None:
        strangers = sorted(set(common) - set(DATA_FIELDS))
        if strangers:
            raise TypeError(f"{strangers} are no common fields; expected some of {', '.join(DATA_FIELDS)}")
        if len(set(common.values())) != len(common):
            raise TypeError("two common fields share a native key; the table must be one-to-one")
        self.common: Mapping[str, str] = MappingProxyType(common)
        self.kinds: Mapping[str, Kind] = MappingProxyType(dict(kinds))
        self.limits = MappingProxyType(dict(limits))
        self.byte_limits = MappingProxyType(dict(byte_limits))
        self._by_native = {native: name for name, native in common.items()}
        self._values = _values(tuple(common))
        self._ceilings: dict[str, tuple[int, int]] = {
            common.get(name, name): (limits.get(name, 0), byte_limits.get(name, 0)) for name in (*limits, *byte_limits)
        }

    def lift(self, native: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Rename the native keys that have a common name; return them, and the rest as it is."""
        known: dict[str, Any] = {}
        rest: dict[str, Any] = {}
        for key, value in native.items():
            name = self._by_native.get(key)
            if name is None:
                rest[key] = value
            else:
                known[name] = value
        return known, rest

    def lower(self, hit: Hit) -> dict[str, Any]:
        """Return the hit in the provider's own keys: the common fields that have one, then the native rest."""
        out = {
            native: value for native, value in zip(self._by_native, self._values(hit), strict=True) if value is not None
        }
        if hit.native:
            out.update(hit.native)
        return out

    def fitted(self, native: dict[str, Any]) -> dict[str, Any]:
        """Return native keys with every text cut, between characters, to the platform's limit for its key.

        The gate has cut already what a call was given; this holds for hits from elsewhere, too.

        >>> Fields(title="dt", byte_limits={"title": 2}).fitted({"dt": "né", "x": "long enough"})
        {'dt': 'n', 'x': 'long enough'}
        """
        for key, (chars, octets) in self._ceilings.items():
            value = native.get(key)
            if type(value) is str:
                if chars and len(value) > chars:
                    value = native[key] = value[:chars]
                if octets and len(value) * 4 > octets:
                    encoded = value.encode("utf-8", "replace")
                    if len(encoded) > octets:
                        native[key] = encoded[:octets].decode("utf-8", "ignore")
        return native

    def kind(self, key: str) -> Kind:
        """Return the kind of a native key; ``text`` where nothing is known of it."""
        name = self._by_native.get(key)
        return COMMON[name] if name else self.kinds.get(key, "text")

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.common.items())


def _values(names: tuple[str, ...]) -> Callable[[Hit], tuple[Any, ...]]:
    """Return what reads these fields of a hit at once: every hit of every batch is read by it."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda hit: tuple(getattr(hit, name) for name in names)
