"""Visitors: pairs of ids that could be linked across days, sites and providers, and what an id costs."""

from __future__ import annotations

import itertools
import secrets
from collections import Counter

from analytical.privacy.visitor import MemorySalts, VisitorId

from .browsers import Row, microseconds

__all__ = ["linkable", "rows"]

DAY = 86400.0


def linkable(visitors: VisitorId, *, people: int = 50) -> int:
    """Return how many pairs of contexts (day, site, provider) share an id, or the half of one, for any person."""
    seen: Counter[tuple[int, str]] = Counter()
    contexts = itertools.product(range(4), ("a.example", "b.example"), ("ga4", "matomo", "snowplow", "umami"))
    for day, site, provider in contexts:
        for person in range(people):
            made = visitors.id(
                site=site,
                client_ip=f"198.51.100.{person}",
                user_agent="Mozilla/5.0",
                provider=provider,
                now=20_000 * DAY + day * DAY,
            )
            plain = made.replace("-", "").replace(".", "")
            # Two people's ids may share eight digits by accident; one person's must not, in two contexts.
            seen.update({(person, part) for part in (plain, plain[:8], plain[-8:])})
    return sum(count * (count - 1) // 2 for count in seen.values() if count > 1)


def rows() -> list[Row]:
    """Return what was asked, today's best, the target and what was measured."""
    made = {
        "derived": VisitorId(secrets.token_hex(32)),
        "destroyed": VisitorId(secrets.token_hex(32), mode="destroyed", store=MemorySalts()),
        "ratchet": VisitorId(secrets.token_hex(32), mode="ratchet", since="2024-01-01"),
    }
    table: list[Row] = [
        (f"linkable pairs across days, sites, providers: {mode}", "0", "0", str(linkable(visitors)))
        for mode, visitors in made.items()
    ]

    def one(address: str) -> str:
        return made["derived"].id(
            site="a.example", client_ip=address, user_agent="Mozilla/5.0", provider="matomo", now=DAY
        )

    table.append(("an id", "", "", f"{microseconds(one, ['192.0.2.1'] * 2000):.1f} µs"))
    return table
