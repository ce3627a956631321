"""Telephone numbers: international, national by form, and any digits beside a word that announces one."""

from __future__ import annotations

from collections.abc import Iterator

from .lazy import lazy
from .look import AFTER, BEFORE, Look, Span
from .numbers import is_phone_like_date
from .words import words

__all__ = ["ANNOUNCING", "announced", "find"]

_PHONE_INTL = lazy(
    r"(?:(?<![\w+])|(?<=[^\W\d_]_))"
    r"(?:\+|\+?00(?=[1-9]))[ ]?\(?[1-9](?:[ .\-/()\u2010-\u2013\u00a0\u202f]{0,3}\d){6,13}(?!\d)"
)
_PHONE_FORMS = lazy(
    rf"(?:(?<![\w.,:/+-])|{BEFORE})"
    r"(?:"
    r"(?:1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[ .-])\d{3}[ .-]\d{4}"  # North America
    r"|\(0?\d{1,5}\)[ .-]?\d{2,5}(?:[ .-]?\d{2,5}){1,3}"  # an area code in parentheses
    r"|[4-9]\d\d([ .-])\d{3}\1\d{3}"  # Spain, Portugal, Poland, Norway …
    r"|[689]\d\d \d\d \d\d \d\d|9\d \d{3} \d\d \d\d|[49]\d\d \d\d \d{3}"
    r"|3\d\d[ .\-/](?:\d{6,7}|\d{3}[ .-]\d{3,4})"  # Italy
    r"|[1-9]\d[ .-]9?\d{4}-\d{4}|[1-9]\d \d{4} \d{4}"  # Brazil, Mexico
    r"|1[3-9]\d[ -]\d{4}[ -]\d{4}|[6-9]\d{4}[ -]\d{5}"  # China, India
    r"|[2-9]\d( )\d\d \d\d \d\d(?! \d)"  # Denmark
    r"|[78][ -]\(?\d{3}\)?[ -]\d{3}[ -]?\d\d[ -]?\d\d"  # Russia
    rf")(?:(?![\w]|[.,-]\d)|{AFTER})"
)
_PHONE_TRUNK = lazy(
    rf"(?:(?<![\w.,:/+-])|{BEFORE})"
    r"\(?0[1-9]\d{0,4}\)?(?:[ .\-/\u2010-\u2013\u00a0\u202f]{1,3}\d{2,8}){1,5}"
    rf"(?:(?![\w]|[.,:]\d)|{AFTER})"
)
_PHONE_BARE0 = lazy(r"(?<![\w.,:/+#-])0[1-9]\d{7,9}(?![\w]|[.,:-]\d)")
_PHONE_BARE = lazy(r"(?<![\w.,:/+#=-])(?:1?[2-9]\d{2}[2-9]\d{6}|1[3-9]\d{9})(?![\w]|[.,:-]\d)")
_PHONE_WORD = lazy(
    r"(?<![^\W_])(?:phone|telephone|telefon\w{0,8}|teléfono|téléphone|telefono|tel|mobile?|mobil\w{0,8}"
    r"|cell(?:phone|ular)?|celular|móvil|"
    r"portable|cellulare|handy\w{0,8}|fax|call|ring|rufnummer|whatsapp|sms|text|viber|signal|msisdn|gsm|hotline"
    r"|dial|contact|telefone|"
    r"phone-?number|anruf|appeler|llamar|ligue)(?:[ _-]?(?:no|nr|number|nummer|número|me|us|now|at|on|to|is|a"
    r"|at:))*[\s.:=/_#-]{0,4}"
    r"(\(?\+?[\d(](?:[ ().\-/_]{0,3}\d){5,14})(?!\d)",
)
_NO_PHONE = lazy(
    r"(?:order|item|article|art|sku|isbn|ean|upc|gtin|asin|ref|reference|ticket|invoice|case|serial|part|model|no"
    r"|nr|nummer|number|"
    r"bestellung|rechnung|artikel|commande|pedido|issue|bug|rfc|product|id|build|version|lot|batch|doi|issn|pmid|"
    r"#|№|\$|€|£)[\s.:#=-]{0,3}\Z",
)
ANNOUNCING = words(
    "phone telephone tel mobile mobil cell cellphone cellular celular móvil portable cellulare handy fax call "
    "ring rufnummer whatsapp sms text viber signal msisdn gsm hotline dial contact telefone anruf appeler llamar "
    "ligue telefon telefono teléfono téléphone telefonnummer mobilnummer handynummer telefonisch mobiltelefon "
    "phonenumber mobi"
)


def find(look: Look, *, bare: bool) -> Iterator[Span]:
    """Find telephone numbers; with ``bare`` also digits that only stand in a sentence."""
    text, low = look.text, look.low
    if look.digits < 7:
        return
    for match in _PHONE_INTL.finditer(text):
        if sum(c.isdigit() for c in match.group()) >= (8 if match.group()[0] == "+" else 10):
            yield *match.span(), "phone"
    yield from announced(look)
    for match in _PHONE_FORMS.finditer(text):
        if not _something_else(low, match.start()):
            yield *match.span(), "phone"
    for match in _PHONE_TRUNK.finditer(text):
        digits = "".join(c for c in match.group() if c.isdigit())
        if 8 <= len(digits) <= 13 and not is_phone_like_date(digits) and not _something_else(low, match.start()):
            yield *match.span(), "phone"
    if bare:
        for pattern in (_PHONE_BARE0, _PHONE_BARE):
            for match in pattern.finditer(text):
                # A text that is a number and nothing else is an order's or an article's more often than anybody's.
                if match.group() != text.strip() and not _something_else(low, match.start()):
                    yield *match.span(), "phone"


def announced(look: Look) -> Iterator[Span]:
    """Find digits beside a word such as ``tel``."""
    if ANNOUNCING.isdisjoint(look.words):
        return
    for match in _PHONE_WORD.finditer(look.low):
        digits = "".join(c for c in match.group(1) if c.isdigit())
        if 7 <= len(digits) <= 15 and not is_phone_like_date(digits):
            yield *match.span(1), "phone"


def _something_else(low: str, start: int) -> bool:
    return _NO_PHONE.search(low, max(0, start - 14), start) is not None
