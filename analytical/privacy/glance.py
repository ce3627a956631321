"""What can be told of a short text at a glance: that the detector would find nothing in it.

Most titles, words and ids are plain, and the whole look at a text costs ten times as much as this one. It errs on one
side only: whatever it cannot prove gets the whole look. A test holds it to that: where it says yes, the detector,
asked, finds nothing.
"""

from __future__ import annotations

from . import idnumbers, names, phones, places, tokens
from .lazy import lazy
from .look import WORD
from .words import words

__all__ = ["AT_WORDS", "opaque", "quiet"]

#: What stands for the sign in a spelled e-mail address.
AT_WORDS = words("at arroba chez ät æt")
#: Every word without which one of the detector's patterns is not even tried.
_TELLING = (
    AT_WORDS | idnumbers.ANNOUNCING | names.ANNOUNCING | phones.ANNOUNCING | places.ANNOUNCING | tokens.ANNOUNCING
)
_LONGEST = 256
# Words and short numbers with a blank between them. Fewer than six digits: no telephone number or id has so few. No
# run of twelve characters but a written word, so no token, and at most two hyphens, so no dashed address. A number of
# five digits stands behind no pair of capitals, or it would be a postcode. The group tells that there is a number.
_PIECE = r"[A-Za-z]++(?:'[a-z]{1,2}+)?"
_NUMBER = r"([0-9]{1,4}+(?:\.[0-9]{1,2}+)?(?![0-9])|(?<![A-Z]{2} )[0-9]{5}+)"
_UNIT = (
    rf"(?:(?![A-Za-z0-9.'-]{{12}})(?:{_PIECE}|{_NUMBER})(?:-(?:[A-Za-z]++|[0-9]{{1,4}}+)){{0,2}}+(?![A-Za-z0-9'-])"
    r"|[A-Z]?[a-z]{11,14}+(?![A-Za-z0-9'-]))"
)
_QUIET = lazy(rf"(?!(?:[^0-9]*+[0-9]){{6}}){_UNIT}(?:[.,:;!?]? (?:[|&/-] )?{_UNIT})*+[.!?]?")
# The shapes in which systems draw ids. The conditions leave out those that an accident made into a card's number, an
# account's or the like: no long run of digits, no two letters before two digits.
_GROUP = r"(?![a-f]{2}[0-9]{2})(?![0-9]{4}-[0-9]{4})[0-9a-f]{4}-"
_OPAQUE = lazy(
    r"[1-9][0-9]{0,9}"
    r"|[1-9][0-9]{9}\.[1-9][0-9]{9}"
    r"|(?![a-f]{2})(?![0-9]{9})(?![0-9a-f]*?40)(?:[0-9a-f]{16}){1,2}"
    rf"|(?![a-f]{{2}}[0-9]{{2}})(?![0-9]{{7}})[0-9a-f]{{8}}-{_GROUP}{_GROUP}{_GROUP}(?![0-9]{{9}})[0-9a-f]{{12}}"
)


def quiet(text: str) -> bool:
    """Tell whether a text is so plain that nothing can be found in it; ``False`` says nothing.

    >>> quiet("Product 123 | Shop"), quiet("Hello Alice"), quiet("call 030 123456")
    (True, False, False)
    """
    if len(text) > _LONGEST:
        return False
    match = _QUIET.fullmatch(text)
    if match is None:
        return False
    low = text.lower()
    if not _TELLING.isdisjoint(WORD.findall(low)):
        return False
    # With a number, an angle or a street needs no announcing word of its own.
    return match.lastindex is None or not (" " in low and ("deg" in low or places.STREET_END.search(low)))


def opaque(text: str) -> bool:
    """Tell whether a text has one of the shapes in which systems draw ids, and can hold nothing else.

    >>> opaque("1234567890.1700000000"), opaque("4111111111111111")
    (True, False)
    """
    return _OPAQUE.fullmatch(text) is not None
