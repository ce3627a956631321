"""The rules of the two ready levels, ``careful`` and ``strict``, one for each kind of datum."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ..hit import Kind
from .address import anonymize_ip_address
from .lazy import lazy
from .rule import Rule
from .text import identifies, scrub_properties, scrub_text
from .url import origin, scrub_url
from .words import words

__all__ = ["rules"]

# RFC 5646 without variants and extensions, which no report reads and which hold eight free characters each.
_TAG = lazy(
    r"\s*([A-Za-z]{2,3}(?:[-_][A-Za-z]{4})?(?:[-_](?:[A-Za-z]{2}|\d{3}))?"
    r"|\*)(?:[-_][A-Za-z0-9-]*)?\s*(;\s*q=[01](?:\.\d{0,3})?)?\s*"
)
_SCREEN = lazy(r"([1-9]\d{1,4})[xX×]([1-9]\d{1,4})")
# Screens that many people have, as of 2026-08 (https://gs.statcounter.com/screen-resolution-stats).
_COMMON_SCREENS = words(
    "1920x1080 1536x864 1366x768 1440x900 1280x720 1600x900 2560x1440 1280x1024 1680x1050 1920x1200 3840x2160 "
    "1280x800 1024x768 360x800 390x844 393x873 412x915 414x896 360x780 375x812 385x854 393x852 430x932 428x926 "
    "375x667 360x640 384x832 412x892 402x874 440x956 768x1024 820x1180 810x1080 800x1280 1280x832 1512x982 "
    "1470x956 1728x1117 2560x1080 3440x1440"
)
# Drawn, or a number, alone or behind the word for what it numbers (``user-17``): not a name that somebody chose.
_OPAQUE = lazy(
    r"[0-9a-fA-F]{16,}|[0-9.]{1,40}|[\w.=+/:-]{16,}"
    r"|(?:u|us(?:e)?r|uid|id|c|cust(?:omer)?|acc(?:oun)?t|m|member|client|visitor|subscriber|person|contact|tenant|org"
    r"|employee|student|patient|guest|kunde|benutzer)[-_.:#]?[0-9]{1,20}",
    re.IGNORECASE,
)


def rules(*, strict: bool, query_allow: frozenset[str], denied: Callable[[str], bool]) -> Mapping[Kind, Rule]:
    """Return the rule of each kind.

    Args:
        strict: whether what is contextual or pseudonymous goes, too.
        query_allow: query parameters to keep beside the campaign's.
        denied: tells of a property's key that its pair must go.
    """

    def text(value: Any) -> Any:
        if isinstance(value, str):
            return scrub_text(value, strict=strict)
        return scrub_properties(value, strict=strict, denied=denied, text=word)

    word = Rule("scrub-text", text, _SAYS["text", strict], remember=True)

    def properties(value: Any) -> Any:
        return scrub_properties(value, strict=strict, denied=denied, text=word)

    def plain(value: Any) -> Any:
        if isinstance(value, str):
            return None if identifies(value, words=False) else value
        return properties(value)

    def browser(value: Any) -> Any:
        from .browser import anonymize_user_agent, reduce_user_agent

        if not isinstance(value, str):
            return None
        return reduce_user_agent(value) if strict else anonymize_user_agent(value)

    def page(value: Any) -> Any:
        return scrub_url(value, strict=strict, query_allow=query_allow) if isinstance(value, str) else None

    def referrer(value: Any) -> Any:
        if not isinstance(value, str):
            return None
        return origin(value) if strict else scrub_url(value, query_allow=query_allow)

    def person(value: Any) -> Any:
        kept = _opaque(value)
        if strict and isinstance(kept, str) and not _OPAQUE.fullmatch(kept):
            return None
        return kept

    def language(value: Any) -> Any:
        return _language(value, strict=strict)

    def screen(value: Any) -> Any:
        match = _SCREEN.fullmatch(value) if isinstance(value, str) else None
        if match is None or (strict and f"{match[1]}x{match[2]}" not in _COMMON_SCREENS):
            return None
        return value

    def rule(kind: Kind, name: str, apply: Callable[[Any], Any], *, remember: bool = True) -> Rule:
        return Rule(name, apply, _SAYS[kind, strict], remember=remember)

    return {
        "ip": Rule("mask-address", anonymize_ip_address, _SAYS["ip", strict], bounded=True),
        "user_agent": rule("user_agent", "reduce-browser" if strict else "mask-browser", browser),
        "url": rule("url", "scrub-url", page),
        "referrer": rule("referrer", "cut-referrer" if strict else "scrub-referrer", referrer),
        "text": word,
        "properties": rule("properties", "scrub-properties", properties, remember=False),
        "client_id": rule("client_id", "opaque-id", _opaque),
        "user_id": rule("user_id", "opaque-user", person),
        "session_id": rule("session_id", "opaque-id", _opaque),
        "language": rule("language", "language-tags", language),
        "screen": rule("screen", "screen-size", screen),
        "number": rule("number", "numbers-only", _number, remember=False),
        "plain": rule("plain", "plain-words", plain),
    }


_ID = "Passes where it is opaque; one that holds an e-mail address, a telephone number, a name or the like is removed."
_CAREFUL: Mapping[Kind, str] = {
    "ip": "Keeps the first 16 bits of an IPv4 address, the first 32 of an IPv6 address, in every spelling.",
    "user_agent": "A common browser passes as it is; any other becomes Rare user agent.",
    "url": (
        "Drops userinfo, fragment, matrix parameters and query parameters outside the allow-list; replaces e-mail "
        "addresses, telephone numbers, cards, ids of persons, keys and tokens in the path."
    ),
    "referrer": "As for url.",
    "text": (
        "Replaces e-mail addresses, telephone numbers, names after a greeting, title or account word, dates of "
        "birth, "
        "national ids, cards, IBANs, postal, IP and MAC addresses, coordinates, keys and tokens."
    ),
    "properties": "Removes pairs whose key names something personal; every text in it passes the rule for text.",
    "client_id": _ID,
    "user_id": _ID,
    "session_id": _ID,
    "language": "Keeps language, script and region of each tag.",
    "screen": "Keeps WIDTHxHEIGHT; anything else is removed.",
    "number": "Keeps numbers; anything else is removed.",
    "plain": "A word of a closed vocabulary; one that holds a direct identifier or a key is removed.",
}
_STRICT: Mapping[Kind, str] = {
    **_CAREFUL,
    "user_agent": "Reduced to family, one of the last four major versions or older, system, and form factor.",
    "url": (
        _CAREFUL["url"]
        + " The path becomes the route template where the framework knows it; else record ids (UUIDs, ULIDs, "
        "long hexadecimal digits), user names, recipients and searches for health or people are replaced."
    ),
    "referrer": "Cut to its origin.",
    "text": _CAREFUL["text"] + " Also record ids, handles and what somebody searched for.",
    "user_id": (
        _ID + " So is a handle: what passes is a number, one such as user-17, or an id of 16 characters and more."
    ),
    "language": "Keeps language and region of the first tag.",
    "screen": "Keeps WIDTHxHEIGHT where many people have it; anything else is removed.",
}
_SAYS = {(kind, strict): says for strict, table in ((False, _CAREFUL), (True, _STRICT)) for kind, says in table.items()}


def _opaque(value: Any) -> Any:
    if isinstance(value, str):
        return None if identifies(value) else value
    return value if isinstance(value, int) else None


def _number(value: Any) -> Any:
    if isinstance(value, int | float):
        return value
    try:
        float(value)
    except (TypeError, ValueError):
        return None
    return value if len(value) <= 40 else None


def _language(value: Any, *, strict: bool) -> str | None:
    if not isinstance(value, str):
        return None
    kept = []
    for part in value.split(",", 16)[:16]:
        match = _TAG.fullmatch(part)
        if match is None:
            continue
        tag, quality = match.groups()
        if strict:
            pieces = re.split("[-_]", tag)
            region = pieces[-1] if len(pieces) > 1 and len(pieces[-1]) in (2, 3) else ""
            return f"{pieces[0]}-{region}" if region else pieces[0]
        if match.end(1) - match.start(1) == len(part.partition(";")[0].strip()):
            kept.append(part)
        else:
            kept.append(tag + (quality or ""))
    return ",".join(kept) or None
