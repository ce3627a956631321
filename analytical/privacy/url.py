"""Addresses of pages."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit, urlunsplit

from .text import scrub_text

__all__ = ["QUERY_ALLOW", "origin", "scrub_url", "with_route"]

QUERY_ALLOW = frozenset({"utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_id"})


def scrub_url(url: str, *, strict: bool = False, query_allow: Collection[str] = ()) -> str | None:
    """Scrub a page's address."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    pairs = [
        pair
        for pair in parts.query.split("&")
        if pair.partition("=")[0] in QUERY_ALLOW or pair.partition("=")[0] in query_allow
    ]
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], scrub_text(parts.path), "&".join(pairs), ""))


def origin(url: str) -> str | None:
    """Return the origin of an address."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/" if parts.netloc else None


def with_route(url: str, route: str) -> str:
    """Put a route template in the place of an address's path."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, route, parts.query, ""))
