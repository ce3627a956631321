"""Free text and containers of it: what names a person or opens a door is replaced by a word in brackets."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from .detect import decoded, spans
from .glance import opaque, quiet
from .lazy import lazy
from .look import LONGEST, shorten
from .tokens import prefixed
from .words import denied_key, first_names, fold

__all__ = ["denied_key", "identifies", "scrub_properties", "scrub_text", "shorten"]

_URL = lazy(r"https?://[^\s\"'<>|]++", re.IGNORECASE)
_UNUSUAL = lazy(r"[^\x00-\x7f]|%[0-9A-Fa-f]{2}|&[#a-z]")
#: What can stand in a container: enough for any platform's own limit, and bounded for hostile input.
_MOST_ITEMS = 256
_MOST_CHARS = 4096
_DEEPEST = 8
_LONGEST_KEY = 128
#: In one text; further ones are replaced unread.
_MOST_URLS = 8
#: More texts than a few are looked at together first; then those with a finding one by one, as far as this goes.
_FEW = 12
_MOST_TOGETHER = 1024
_MOST_SINGLY = 1792
_MARK = lazy(r"[^A-Za-z]")
#: What parts texts that are looked at together: no pattern reaches over it.
_BETWEEN = "\n\x00\n"
#: Longer than any platform's id: whatever it is, it is not opaque.
_LONGEST_ID = 512
_LABELS_OF_TOKENS = frozenset({"token", "id"})


def scrub_text(text: str, *, strict: bool = False) -> str:
    """Replace e-mail addresses, telephone numbers, names, ids, cards, places, keys and tokens in a text.

    Args:
        text: a title, a label, a property's value. It may be percent-encoded up to three times.
        strict: replace also record ids, handles and what somebody searched for.

    Returns:
        The text, with ``[email]``, ``[phone]`` … where something was. Longer than 4 KiB, it is cut first.

    >>> scrub_text("Invoice for alice@example.com, card 4111 1111 1111 1111")
    'Invoice for [email], card [card]'
    >>> scrub_text("Pricing: 3 plans from 12.50 EUR")
    'Pricing: 3 plans from 12.50 EUR'
    """
    if quiet(text):
        return text
    text = shorten(text)
    if "://" in text:
        text = _URL.sub(lambda match: _scrub_inner_url(match.group(), strict), text, count=_MOST_URLS)
        if text.count("://") > _MOST_URLS:
            text = _further_urls(text)
    plain = decoded(text) if _UNUSUAL.search(text) else text
    found = spans(plain, strict=strict)
    if not found:
        return text
    for _ in range(3):
        pieces, end = [], 0
        for start, stop, label in found:
            pieces += [plain[end:start], "[", label, "]"]
            end = stop
        pieces.append(plain[end:])
        replaced = "".join(pieces)
        found = spans(replaced, strict=strict)
        if not found or replaced == plain:
            break
        plain = replaced
    # Replacing made new neighbours three times over: nothing of such a text is worth a risk.
    return "[removed]" if found else replaced


def _further_urls(text: str) -> str:
    seen = 0

    def judged(match: re.Match[str]) -> str:
        nonlocal seen
        seen += 1
        return match.group() if seen <= _MOST_URLS else "[url]"

    return _URL.sub(judged, text)


def _scrub_inner_url(url: str, strict: bool) -> str:
    from .url import scrub_url

    trailing = url[len(url.rstrip(".,;:!?)")) :]
    clean = scrub_url(url[: len(url) - len(trailing)], strict=strict)
    return (clean or "[url]") + trailing


def identifies(text: str, *, words: bool = True) -> bool:
    """Tell whether a text that should be opaque holds a direct identifier or a credential with a known prefix.

    Args:
        text: an id, or a word of a closed vocabulary.
        words: whether two words of which one is a given name count, too.
    """
    if opaque(text):
        return False
    if len(text) > _LONGEST_ID:
        return True
    # The one known form of a credential that fits into a run short enough to be quiet.
    if not quiet(text) or "eyJ" in text:
        if _UNUSUAL.search(text):
            text = decoded(text)
        if prefixed(text) or any(label not in _LABELS_OF_TOKENS for _, _, label in spans(text)):
            return True
        if words and text[:1] == "0" and text.isdigit() and 10 <= len(text) <= 11:
            return True
    if text[-1:].isdigit():
        return False
    parts = re.split(r"[\s._-]+", text.strip()) if words else ()
    return (
        2 <= len(parts) <= 4
        and all(part.isalpha() for part in parts)
        and any(fold(part) in first_names() for part in parts)
    )


def scrub_properties(
    value: Any,
    *,
    strict: bool = False,
    denied: Callable[[str], bool] | None = None,
    text: Callable[[str], Any] | None = None,
) -> Any:
    """Walk a container: a pair whose key names something personal goes, every text is scrubbed, the work is bounded.

    Args:
        value: mappings, lists and JSON values. It is not changed.
        strict: as for :func:`scrub_text`.
        denied: tells of a key that its pair must go; by default the built-in list.
        text: scrubs one text, or answers ``None`` to remove it; by default :func:`scrub_text`.

    Returns:
        A new container. What lies deeper than 8 levels, beyond 256 items or beyond 4 KiB of text is left out.

    >>> scrub_properties({"plan": "pro", "userEmail": "x", "note": "call +49 30 1234567"})
    {'plan': 'pro', 'note': 'call [phone]'}
    """
    scrub = text or (lambda inner: scrub_text(inner, strict=strict))
    walk = _Walk(denied or (lambda key: denied_key(key, strict=strict)), scrub)
    many: list[str] = []
    _collect(value, many, 0, _MOST_CHARS)
    if len(many) > _FEW:
        known: Mapping[str, Any] = getattr(scrub, "same", {})
        walk.clean = {one for one in many if one in known or quiet(one)}
        walk.clean |= _clean([one for one in many if one not in walk.clean], strict)
        walk.singly = _MOST_SINGLY
    return walk.value(value, 0)


def _collect(value: Any, out: list[str], depth: int, left: int) -> int:
    """Gather the texts that a walk would reach, and return how many characters it may still read."""
    if depth > _DEEPEST:
        return left
    if isinstance(value, str):
        out.append(value)
        return left - min(len(value), LONGEST)
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if len(out) >= _MOST_ITEMS or left <= 0:
                break
            if isinstance(key, str):
                out.append(key)
                left -= len(key)
            left = _collect(inner, out, depth + 1, left)
    elif isinstance(value, list | tuple):
        for inner in value:
            if len(out) >= _MOST_ITEMS or left <= 0:
                break
            left = _collect(inner, out, depth + 1, left)
    return left


def _clean(many: list[str], strict: bool) -> set[str]:
    """Return those of many short texts that one look at all of them together finds nothing in."""
    asked, left = [], _MOST_TOGETHER
    for text in dict.fromkeys(many):
        if len(text) <= 256 and "://" not in text:
            left -= len(text) + len(_BETWEEN)
            if left < 0:
                break
            asked.append(text)
    clean: set[str] = set()
    for first in range(0, len(asked), 64):
        batch = asked[first : first + 64]
        spelled = [decoded(text) if _UNUSUAL.search(text) else text for text in batch]
        found = spans(_BETWEEN.join(spelled), strict=strict, mixed=True)
        start = 0
        for text, plain in zip(batch, spelled, strict=True):
            end = start + len(plain)
            if not any(one < end and other > start for one, other, _ in found):
                clean.add(text)
            start = end + len(_BETWEEN)
    return clean


class _Walk:
    __slots__ = ("chars", "clean", "denied", "items", "singly", "text")

    def __init__(self, denied: Callable[[str], bool], text: Callable[[str], Any]) -> None:
        self.denied = denied
        self.text = text
        self.items = _MOST_ITEMS
        self.chars = _MOST_CHARS
        self.clean: set[str] = set()
        self.singly = 1 << 30

    def scrub(self, text: str) -> Any:
        if text in self.clean:
            return text
        self.singly -= 48 + min(len(text), LONGEST) + 8 * len(_MARK.findall(text[:_LONGEST_KEY]))
        return self.text(text) if self.singly >= 0 else None

    def value(self, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            self.chars -= min(len(value), LONGEST)
            if self.chars < 0:
                return None
            return self.scrub(value)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            return self.number(value)
        if depth >= _DEEPEST:
            return None
        if isinstance(value, Mapping):
            return self.mapping(value, depth)
        if isinstance(value, list | tuple):
            return self.sequence(value, depth)
        return None

    def number(self, value: int | float) -> Any:
        # A number is personal only where its digits alone say so: a card, a national id with two check digits.
        if isinstance(value, int) and value > 10**9:
            spelled = str(value) if value < 10**20 else ""
            return value if spelled and self.scrub(spelled) == spelled else None
        return value

    def mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, inner in value.items():
            if self.items <= 0 or self.chars <= 0:
                break
            self.items -= 1
            if not isinstance(key, str) or len(key) > _LONGEST_KEY or self.denied(key):
                continue
            self.chars -= len(key)
            # A key can hold an address as well as a value can.
            if self.scrub(key) != key:
                continue
            kept = self.value(inner, depth + 1)
            if kept is not None or inner is None:
                out[key] = kept
        return out

    def sequence(self, value: list[Any] | tuple[Any, ...], depth: int) -> list[Any]:
        out = []
        for inner in value:
            if self.items <= 0 or self.chars <= 0:
                break
            self.items -= 1
            kept = self.value(inner, depth + 1)
            if kept is not None or inner is None:
                out.append(kept)
        return out
