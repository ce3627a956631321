"""A text as the detectors look at it: spelled plainly, in small letters too, and the words that it has."""

from __future__ import annotations

import re
from html import unescape
from unicodedata import category, decimal, normalize
from urllib.parse import unquote

from .lazy import lazy

__all__ = ["AFTER", "BEFORE", "LONGEST", "WORD", "Look", "Span", "decoded", "shorten"]

#: 4 KiB: no rule looks at a longer text, which is what makes hostile input cheap.
LONGEST = 4096
_TO_LAST_BREAK = lazy(r".*(?=[\s/&?;#=,|<>\"'()\[\]{}\\])", re.DOTALL)
#: What may join a number to a word before it (``ref-``, ``user_``, ``tel:``) and behind it, in patterns that
#: otherwise refuse a neighbour: an order's number must not be read as the middle of another.
BEFORE = r"(?<=[^\W\d_]{2}[-_:=/])"
AFTER = r"(?=[-_][^\W\d_]{2})"
#: Start, end, and what stands there.
Span = tuple[int, int, str]

_ESCAPED = lazy(r"%[0-9A-Fa-f]{2}|&(?:#[0-9]{1,6}|#x[0-9A-Fa-f]{1,5}|commat|period|plus|amp);")
#: A word, of letters alone.
WORD = lazy(r"[^\W\d_]+")
_DIGIT = lazy(r"[0-9]")
_RUN = lazy(r"[A-Za-z0-9_+/=.-]{12}")


class Look:
    """One text, and what tells at a glance which detectors have anything to look for.

    Args:
        text: as :func:`decoded` spells it.
    """

    __slots__ = ("digits", "low", "runs", "text", "words")

    def __init__(self, text: str) -> None:
        low = text.lower()
        if len(low) != len(text):  # a few capitals become two small letters; places must stay the same
            low = "".join([small if len(small := character.lower()) == 1 else character for character in text])
        self.text = text
        self.low = low
        self.words = frozenset(WORD.findall(low))
        self.digits = len(_DIGIT.findall(text))
        self.runs = _RUN.search(text) is not None


def shorten(text: str) -> str:
    """Cut a text to 4 KiB at a separator, and drop the token that the cut broke.

    >>> len(shorten("word " * 5000)), shorten("x" * 5000)
    (4094, '')
    """
    if len(text) * 4 <= LONGEST:
        return text
    encoded = text[: LONGEST + 1].encode("utf-8", "surrogatepass")
    if len(encoded) <= LONGEST:
        return text
    cut = encoded[:LONGEST].decode("utf-8", "ignore")
    whole = _TO_LAST_BREAK.match(cut)
    return whole.group() if whole else ""


def decoded(text: str) -> str:
    """Undo percent-encoding and HTML entities up to three times, look-alike characters and invisible ones.

    >>> decoded("alice%2540example.com"), decoded("alice\\u200b@example.com")
    ('alice@example.com', 'alice@example.com')
    """
    for _ in range(3):
        if not _ESCAPED.search(text):
            break
        text = unescape(unquote(text, errors="replace")) if "&" in text else unquote(text, errors="replace")
    if not text.isascii():
        text = "".join([_plain(character) for character in normalize("NFKC", text)])
        text = normalize("NFC", text)
    return text


def _plain(character: str) -> str:
    if character < "\x80":
        return character
    kind = category(character)
    if kind == "Nd":
        return str(decimal(character))
    return "" if kind in ("Cf", "Mn") and character != "\u0301" else character
