"""How many bits of an address survive, in the worst of all spellings."""

from __future__ import annotations

import random
from ipaddress import IPv4Address, IPv6Address

from analytical.privacy.address import anonymize_ip_address

__all__ = ["rows"]

_LAYOUTS = {
    "plain": lambda v4: str(IPv4Address(v4)),
    "mapped": lambda v4: str(IPv6Address(0xFFFF << 32 | v4)),
    "mapped, dotted": lambda v4: f"::ffff:{IPv4Address(v4)}",
    "compatible": lambda v4: str(IPv6Address(v4)),
    "6to4": lambda v4: str(IPv6Address(0x2002 << 112 | v4 << 80)),
    "NAT64": lambda v4: str(IPv6Address(0x0064FF9B << 96 | v4)),
    "NAT64 /32": lambda v4: str(IPv6Address(0x20010DB8 << 96 | v4 << 64)),
    "NAT64 /40": lambda v4: str(IPv6Address(0x20010DB811 << 88 | v4 >> 8 << 64 | (v4 & 0xFF) << 48)),
    "NAT64 /48": lambda v4: str(IPv6Address(0x20010DB81122 << 80 | v4 >> 16 << 64 | (v4 & 0xFFFF) << 40)),
    "NAT64 /56": lambda v4: str(IPv6Address(0x20010DB8112233 << 72 | v4 >> 24 << 64 | (v4 & 0xFFFFFF) << 32)),
    "NAT64 /64": lambda v4: str(IPv6Address(0x20010DB811223344 << 64 | v4 << 24)),
    "Teredo": lambda v4: str(IPv6Address(0x20010000 << 96 | v4 << 64 | v4 ^ 0xFFFFFFFF)),
    "ISATAP": lambda v4: str(IPv6Address(0xFE80 << 112 | 0x5EFE << 32 | v4)),
    "brackets and port": lambda v4: f"[::ffff:{IPv4Address(v4)}]:443",
    "port": lambda v4: f"{IPv4Address(v4)}:443",
    "list": lambda v4: f"unknown, {IPv4Address(v4)}, 10.0.0.1",
    "RFC 7239": lambda v4: f'for="{IPv4Address(v4)}:80";proto=https',
}


def _surviving(spell, bits, tries=40) -> int:
    """Return how many bits change what comes out when they change."""
    r = random.Random(1)
    alive = set()
    for _ in range(tries):
        number = r.getrandbits(bits) | (1 << (bits - 1))
        base = anonymize_ip_address(spell(number))
        alive |= {bit for bit in range(bits) if anonymize_ip_address(spell(number ^ (1 << bit))) != base}
    return len(alive)


def rows() -> list[tuple[str, str, str, str]]:
    """Return what, today's best, target, measured."""
    v4 = max(_surviving(spell, 32) for spell in _LAYOUTS.values())
    v6 = max(
        _surviving(spell, 128, tries=20)
        for spell in (
            lambda n: str(IPv6Address(n)),
            lambda n: f"[{IPv6Address(n)}]:443",
            lambda n: f"{IPv6Address(n)}%eth0",
        )
    )
    return [
        (f"IPv4 bits surviving, worst of {len(_LAYOUTS)} spellings", "32", "≤ 16", str(v4)),
        ("IPv6 bits surviving, worst of 3 spellings", "48", "≤ 32", str(v6)),
    ]
