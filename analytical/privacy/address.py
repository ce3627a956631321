"""Addresses: at most 16 bits of any IPv4 and 32 bits of any IPv6 survive, in every spelling.

An IPv4 address hides in an IPv6 address in several ways, and a mask that looks only at the outer address lets it
through whole. The layouts are those of RFC 4291 (mapped, compatible), RFC 3056 (6to4), RFC 6052 and RFC 8215 (NAT64),
RFC 4380 (Teredo) and RFC 5214 (ISATAP); the spellings of a list are those of ``X-Forwarded-For`` and RFC 7239.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from .lazy import lazy

__all__ = ["anonymize_ip_address", "keep_bits", "parse_ip_address"]

_OCTETS = frozenset(map(str, range(256)))
#: No header of a real chain is longer; what stands behind is not looked at.
_LONGEST = 4096
_MOST_PARTS = 64

# NAT64 prefixes that can be told from the address alone: 64:ff9b::/96 (RFC 6052) and 64:ff9b:1::/48 (RFC 8215). A
# network's own prefix cannot be told, which is one reason why 32 bits is all that survives by default.
_NAT64 = 0x0064_FF9B << 96
_NAT64_LOCAL = 0x0064_FF9B_0001 << 80
_LOW32 = 0xFFFF_FFFF
_V4_MAPPED = 0xFFFF
_V4_TRANSLATED = 0xFFFF_0000  # ::ffff:0:a.b.c.d, RFC 2765
_ZONE = lazy(r"%[0-9A-Za-z._~:%-]{1,64}\Z")
_FORWARDED = lazy(r"(?:\A|[;,])\s*for\s*=\s*(\"[^\"]{0,128}\"|[^;,\s\"]{1,128})", re.IGNORECASE)


def anonymize_ip_address(ip_address: str | None, *, zero_bytes: int | None = None) -> str | None:
    """Mask an address: an IPv4 loses its last 2 bytes, an IPv6 keeps its first 32 bits.

    Zeroing 2 of the 16 bytes of an IPv6 address would name a household, so by default 12 of them go. An IPv4 inside
    an IPv6 (mapped, compatible, 6to4, NAT64, Teredo, ISATAP) never survives. Ports, brackets and zone ids are accepted;
    of a list (``X-Forwarded-For``, or ``Forwarded`` of RFC 7239) the first address that parses is taken.

    Args:
        ip_address: the address as a header or a socket spells it.
        zero_bytes: how many bytes to zero at the end instead, 0 to 16; with 2 it is the rule of release 0.0.1. An IPv4
            has only 4 to lose. An IPv4 inside an IPv6 loses at least 2 in any case.

    Returns:
        The masked address in canonical form, or ``None`` where there is none.

    Raises:
        ValueError: ``zero_bytes`` is no number from 0 to 16.

    >>> anonymize_ip_address("12.34.56.78")
    '12.34.0.0'
    >>> anonymize_ip_address("[2001:db8:85a3::8a2e:370:7334]:443")
    '2001:db8::'
    >>> anonymize_ip_address("::ffff:12.34.56.78")
    '12.34.0.0'
    >>> anonymize_ip_address("unknown, 12.34.56.78, 10.0.0.1")
    '12.34.0.0'
    >>> anonymize_ip_address("localhost") is None
    True
    """
    if zero_bytes is None:
        if isinstance(ip_address, str):
            # Nearly every address is a plain IPv4: four dictionary look-ups instead of a parser.
            parts = ip_address.split(".", 4)
            if (
                len(parts) == 4
                and parts[0] in _OCTETS
                and parts[1] in _OCTETS
                and parts[2] in _OCTETS
                and parts[3] in _OCTETS
            ):
                return f"{parts[0]}.{parts[1]}.0.0"
        return keep_bits(ip_address, 16, 32)
    if isinstance(zero_bytes, bool) or not isinstance(zero_bytes, int) or not 0 <= zero_bytes <= 16:
        raise ValueError(f"zero_bytes is a number of bytes from 0 to 16, got {zero_bytes!r}")
    return keep_bits(ip_address, 32 - 8 * min(4, zero_bytes), 128 - 8 * zero_bytes)


def keep_bits(ip_address: str | None, v4: int, v6: int) -> str | None:
    """Keep the first ``v4`` bits of an IPv4, the first ``v6`` bits of an IPv6, and zero the rest.

    >>> keep_bits("12.34.56.78", 24, 48)
    '12.34.56.0'
    """
    parsed = parse_ip_address(ip_address)
    if parsed is None:
        return None
    if isinstance(parsed, IPv4Address):
        return str(IPv4Address(int(parsed) >> (32 - v4) << (32 - v4)))
    number = _blank_embedded(int(parsed), min(16, v4))
    return str(IPv6Address(number >> (128 - v6) << (128 - v6)))


def parse_ip_address(ip_address: str | None) -> IPv4Address | IPv6Address | None:
    """Read an address in any spelling; a mapped or compatible IPv4 is answered as the IPv4 it is.

    >>> parse_ip_address('for="[2001:db8::1]:4711";proto=https')
    IPv6Address('2001:db8::1')
    """
    if ip_address is None:
        return None
    text = str(ip_address)[:_LONGEST]
    for part in _parts(text):
        parsed = _parse_one(part)
        if parsed is not None:
            return parsed
    return None


def _parts(text: str) -> Iterator[str]:
    if "=" in text:
        for count, match in enumerate(_FORWARDED.finditer(text)):
            if count >= _MOST_PARTS:
                return
            yield match.group(1)
        return
    yield from text.split(",", _MOST_PARTS)[:_MOST_PARTS]


def _parse_one(text: str) -> IPv4Address | IPv6Address | None:
    text = text.strip().strip('"').strip()
    if not 2 <= len(text) <= 128:
        return None
    try:
        if text[0] == "[":
            inner, bracket, port = text[1:].partition("]")
            if not bracket or (port and not (port[0] == ":" and port[1:].isascii() and port[1:].isdigit())):
                return None
            return _plain(IPv6Address(_ZONE.sub("", inner, count=1)))
        if text.count(":") >= 2:
            return _plain(IPv6Address(_ZONE.sub("", text, count=1)))
        host, colon, port = text.partition(":")
        if colon and not (port.isascii() and port.isdigit()):
            return None
        return IPv4Address(_ZONE.sub("", host, count=1))
    except AddressValueError:
        return None


def _plain(address: IPv6Address) -> IPv4Address | IPv6Address:
    number = int(address)
    high, low = number >> 32, number & _LOW32
    # ::1 and :: are themselves, not compatible spellings of 0.0.0.1 and 0.0.0.0.
    if high == _V4_MAPPED or (high == 0 and low > 1):
        return IPv4Address(low)
    if high == _V4_TRANSLATED:
        return IPv4Address(low)
    return address


def _blank_embedded(number: int, keep: int) -> int:
    """Zero all but ``keep`` bits of every IPv4 address that the layout of this IPv6 address is known to hold."""

    def blank(number: int, shift: int) -> int:
        # ``shift``: how many bits stand to the right of the embedded address.
        return number & ~(((1 << (32 - keep)) - 1) << shift)

    top = number >> 96
    if top >> 16 == 0x2002:  # 6to4: the address follows the first 16 bits
        number = blank(number, 80)
    elif top == 0x2001_0000:  # Teredo: the server's address, then flags and port, then the client's, inverted
        number = blank(number, 64) >> 48 << 48
    elif number >> 96 == _NAT64 >> 96:
        if number >> 80 == _NAT64_LOCAL >> 80:  # RFC 8215 leaves the prefix length open: 48, 56, 64 or 96
            number = number >> 80 << 80
        else:
            number = number >> 32 << 32
    if number >> 32 & 0xFDFF_FFFF == 0x0000_5EFE:  # ISATAP: 0000:5efe or 0200:5efe, then the address
        number = blank(number, 0)
    return number
