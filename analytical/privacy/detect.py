"""The detector: where in a text something stands that names a person or opens a door.

:func:`spans` answers with places and labels and changes nothing. Every pattern is linear in the length of the text:
runs are possessive or bounded, and start only where the character before cannot belong to them; words that announce
something are looked up before the pattern that needs them is tried. :mod:`.text` cuts a text to 4 KiB before it comes
here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv6Address

from . import idnumbers, names, phones, places, tokens
from .glance import AT_WORDS, quiet
from .lazy import lazy
from .look import AFTER, BEFORE, Look, Span, decoded
from .words import words

__all__ = ["Span", "decoded", "slug_spans", "spans"]

#: A text longer than this is checked for density: one that is nothing but numbers, addresses or tokens goes as a whole.
_DENSE = 512
_MOST_NUMBERS = 96
#: No telephone number or national id has fewer digits.
_FEWEST = 5
_MOST_RUNS = 64
_NUMBER = lazy(r"[0-9]+")
_WORDLIKE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
_LONG_WORD = lazy(r"[A-Za-z0-9_+/=-]{12,}+")
_EMAIL = lazy(
    r"(?:(?<![\w.+%'-])[\w.+%'-]++|\"[^\"@\n]{1,64}\")@"
    r"(?:(?:[\w-]{1,63}+\.){1,8}(?:xn--[\w-]{2,59}|[^\W\d_]{2,24})|localhost\b|\[[\d.:A-Fa-fIPv]{7,60}\])"
)
_IMAGE_SCALE = lazy(r"@[1-9](?:\.\d)?x\.[a-z]{2,5}\Z", re.IGNORECASE)
_EMAIL_SPELLED = lazy(
    r"(?<![\w.+-])[\w.+-]{1,64}+(?:\s?[\[({<]\s?(?:at|@|arroba|chez|ät|æt)\s?[\])}>]\s?[\w-]{1,63}"
    r"(?:\s?(?:\.|[\[({<]\s?(?:dot|punkt|point|punto|\.)\s?[\])}>])\s?[\w-]{1,63}){1,5}"
    r"|\sat\s[\w-]{1,63}(?:\sdot\s[\w-]{1,63}){1,4}"
    r"|[-_. ]at[-_. ](?:gmail|googlemail|yahoo|hotmail|outlook|icloud|gmx|web|proton|protonmail|aol|live|msn|yandex"
    r"|mail)"
    r"[-_. ](?:dot[-_. ])?(?:com|de|net|org|fr|me|ru|co|uk|at|ch)\b"
    r"|[-_]at[-_][\w]{1,63}(?:\.|[-_]dot[-_])(?:com|net|org|de|fr|uk|eu|io|info|es|it|nl|pl|ch|at|br|edu|gov)\b)",
)
_IPV4 = lazy(rf"(?:(?<![\w.])|{BEFORE})\d{{1,3}}\.\d{{1,3}}\.\d{{1,3}}\.\d{{1,3}}(?:(?![\w]|\.\d)|{AFTER})")
_IPV4_DASHED = lazy(r"(?<![A-Za-z0-9])ip[-_](\d{1,3}[-_]\d{1,3}[-_]\d{1,3}[-_]\d{1,3})(?!\d)", re.IGNORECASE)
_VERSION_BEFORE = lazy(r"(?:\bv|version|release|build|firmware|driver|update|chrome|windows|edge)[ /:_-]{0,2}\Z")
_IPV6 = lazy(
    rf"(?:(?<![\w:.])|{BEFORE})(?=[0-9A-Fa-f:]{{2,}})[0-9A-Fa-f]{{0,4}}+(?::[0-9A-Fa-f]{{0,4}}+){{2,8}}"
    r"(?:(?<=:)?(?:\.\d{1,3}){3})?(?:(?![\w:])|(?=_))"
)
_MAC = lazy(
    rf"(?:(?<![0-9A-Za-z:-])|{BEFORE})(?:[0-9A-Fa-f]{{2}}([:-])(?:[0-9A-Fa-f]{{2}}\1){{4}}"
    r"(?:[0-9A-Fa-f]{2}\1[0-9A-Fa-f]{2}\1)?[0-9A-Fa-f]{2}"
    rf"|[0-9A-Fa-f]{{4}}\.[0-9A-Fa-f]{{4}}\.[0-9A-Fa-f]{{4}})(?:(?![0-9A-Za-z:-])|{AFTER})"
)
_HANDLE = lazy(r"(?<![\w/.@])@[A-Za-z_][\w.]{1,38}(?![\w/@-])")
_NO_HANDLE = words(
    "media import keyframes font-face charset supports layer page todo param return override latest next"
)


def spans(
    text: str,
    *,
    strict: bool = False,
    slug: bool = False,
    bare: bool = True,
    people: bool = True,
    mixed: bool = False,
) -> list[Span]:
    """Return where something personal stands, in order, without overlaps.

    Args:
        text: as :func:`decoded` spells it, and no longer than a few KiB.
        strict: look also for what is pseudonymous: record ids, handles, searches.
        slug: the text is a path segment: small letters, no sentences.
        bare: whether digits that stand alone can be a telephone number, a thing that a number in a path is not.
        people: whether to look for people's names.
        mixed: the text is many short ones, which may be numbers for the most part.

    >>> spans("write to alice@example.com")
    [(9, 26, 'email')]
    """
    if quiet(text):
        return []
    if len(text) > _DENSE and not mixed and _dense(text):
        return [(0, len(text), "removed")]
    look = Look(text)
    if len(text) > _DENSE and names.crowded(look):
        return [(0, len(text), "removed")]
    found = list(_mail(look, strict))
    found += tokens.find(look, strict)
    if look.digits:
        found += _machines(look)
        found += places.find(look)
        if look.digits >= _FEWEST:
            found += idnumbers.find(look)
            found += phones.find(look, bare=bare)
    elif ":" in text:
        found += [(*match.span(), "mac") for match in _MAC.finditer(text)]
    if people:
        found += names.find(look, slug=slug)
    if "///" in text:
        found += places.three_words(look)
    if strict and not slug:
        found += names.searches(look)
    return _merged(found)


def slug_spans(words: str) -> list[Span]:
    """Return what the words of a path segment announce, its hyphens read as spaces: names, births, places, numbers.

    >>> bool(slug_spans("welcome alice smith")), slug_spans("hello world")
    (True, [])
    """
    look = Look(words)
    found = list(names.find(look, slug=True))
    if look.digits:
        found += places.announced(look)
        found += places.streets(look, slug=True)
        found += phones.announced(look)
        found += idnumbers.announced(look, least=7)
    return _merged(found)


def _dense(text: str) -> bool:
    return (
        (sum(map(_WORDLIKE.__contains__, text)) * 2 < len(text) and text.isascii())
        or len(_NUMBER.findall(text)) > _MOST_NUMBERS
        or text.count("@") + text.count(" at ") > _MOST_RUNS
        or text.count(":") + text.count("=") > 4 * _MOST_RUNS
        or len(_LONG_WORD.findall(text)) > _MOST_RUNS
    )


def _mail(look: Look, strict: bool) -> Iterator[Span]:
    text = look.text
    if "@" in text:
        for match in _EMAIL.finditer(text):
            if not _IMAGE_SCALE.search(match.group()):
                yield *match.span(), "email"
        if strict:
            for match in _HANDLE.finditer(text):
                if match.group()[1:] not in _NO_HANDLE:
                    yield *match.span(), "handle"
    if not AT_WORDS.isdisjoint(look.words) or "(@" in text or "[@" in text:
        for match in _EMAIL_SPELLED.finditer(look.low):
            yield *match.span(), "email"


def _machines(look: Look) -> Iterator[Span]:
    text, low = look.text, look.low
    if "." in text or ":" in text or "-" in text:
        for match in _MAC.finditer(text):
            yield *match.span(), "mac"
    if "." in text:
        for match in _IPV4.finditer(text):
            if all(int(octet) < 256 for octet in match.group().split(".")) and not _VERSION_BEFORE.search(
                low, max(0, match.start() - 12), match.start()
            ):
                yield *match.span(), "ip"
    if text.count(":") > 1:
        for match in _IPV6.finditer(text):
            if _is_ipv6(match.group()):
                yield *match.span(), "ip"
    if "ip" in low:
        for match in _IPV4_DASHED.finditer(text):
            yield *match.span(), "ip"


def _is_ipv6(text: str) -> bool:
    # C++ and Ruby write ``a::b``: an address has a digit, and a long group or many of them.
    groups = text.split(":")
    if not any(c.isdigit() for c in text) or not (
        any(len(group) > 2 for group in groups) or sum(map(bool, groups)) > 3
    ):
        return False
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def _merged(found: list[Span]) -> list[Span]:
    if len(found) < 2:
        return found
    found.sort(key=lambda span: (span[0], -span[1]))
    out = [found[0]]
    for start, end, label in found[1:]:
        if start < out[-1][1]:
            if end > out[-1][1]:
                out[-1] = (out[-1][0], end, out[-1][2])
        else:
            out.append((start, end, label))
    return out
