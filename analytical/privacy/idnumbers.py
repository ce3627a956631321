"""Numbers of persons and accounts in a text: cards, IBANs, national ids, and digits beside a word that announces "
"one."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .lazy import lazy
from .look import AFTER, BEFORE, Look, Span
from .numbers import is_card, is_iban, is_phone_like_date, national_id, weak_national_id
from .words import words

__all__ = ["ANNOUNCING", "announced", "find"]

_I = re.IGNORECASE
#: More groups of digits in one text than a page's title or a property ever has; what is beyond does not pass.
_MOST_GROUPS = 96
#: Of numbers that could be somebody's.
_MOST_LONG = 24
_IBAN = lazy(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,30}+")
_GROUPED = lazy(rf"(?:(?<![\w])|{BEFORE})\d++(?:[ .\-/\u00a0\u202f\u2011]\d++)*+X?", _I)
_GROUP = lazy(r"\d+")
_LETTERED = lazy(
    r"(?<![A-Za-z0-9])(?:"
    r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?:[ -]?\d\d){3}[ -]?[A-D]"  # UK national insurance
    r"|[XYZ]?-?\d{7,8}-?[A-Z]"  # Spain, DNI and NIE; also one of Ireland and others
    r"|[A-Z]{6}[0-9LMNP-V]{2}[A-EHLMPR-T][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]"  # Italy
    r"|[A-Z]{4}\d{6}[HMX][A-Z]{5}[A-Z0-9]\d"  # Mexico, CURP
    r"|[A-Z]{3}[ABCFGHJLPT][A-Z]\d{4}[A-Z]"  # India, PAN
    r"|[STFGM]\d{7}[A-Z]|[A-Z][12]\d{8}"  # Singapore; Taiwan
    r"|\d{6}[-+A-FU-Y]\d{3}[0-9A-Y]"  # Finland
    r"|\d{7}[A-W][A-IW]?"  # Ireland
    r"|\d{1,2}\.?\d{3}\.?\d{3}-[\dK]"  # Chile
    r"|[12] ?\d\d ?(?:0[1-9]|1[0-2]|[2-9]\d) ?2[AB] ?\d{3} ?\d{3} ?\d\d"  # France, born in Corsica
    r")(?![A-Za-z0-9])",
    _I,
)
_NIE = str.maketrans("XYZxyz", "012012")
_CF_ODD = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (
            1,
            0,
            5,
            7,
            9,
            13,
            15,
            17,
            19,
            21,
            1,
            0,
            5,
            7,
            9,
            13,
            15,
            17,
            19,
            21,
            2,
            4,
            18,
            20,
            11,
            3,
            6,
            8,
            12,
            14,
            16,
            10,
            22,
            25,
            24,
            23,
        ),
        strict=True,
    )
)
_SSN = lazy(
    rf"(?:(?<![\w-])|{BEFORE})(?:(?!000|666)[0-8]\d{{2}}([- _])(?!00)\d{{2}}\1(?!0000)\d{{4}}"
    rf"|9\d{{2}}([- _])[5-9]\d\2\d{{4}})(?:(?![\w-])|{AFTER})"
)
_FORMATTED_ID = lazy(
    rf"(?:(?<![\w.-])|{BEFORE})"
    r"(?:\d{3}\.\d{3}\.\d{3}-\d{2}|\d{2}\.\d{3}\.\d{3}/\d{4}-\d{2}|\d{6}-[1-8]\d{6}|\d{4} \d{4} \d{4}(?= "
    r"*(?:$|[,.;)]))"
    r"|\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}|756\.\d{4}\.\d{4}\.\d{2}|\d{3}-\d{3}-\d{3} \d{2}|\d{2}-\d{8}-\d)"
    rf"(?:(?![\w-])|{AFTER})"
)
_DATED_ID = lazy(rf"(?:(?<![\w.-])|{BEFORE})(\d\d)(\d\d)(\d\d)[-/+](\d{{3,4}})(?:(?![\w-])|{AFTER})")
_ID_WORD = lazy(
    r"(?<![^\W_])(?:ssn|social security|sozialversicherung\w*|nino|national insurance|nhs|passport|reisepass\w*"
    r"|passeport|pasaporte|"
    r"passaporto|bsn|burgerservicenummer|sin|social insurance|tfn|tax file|medicare|aadhaa?r|pan|dni|nie|nif|nir"
    r"|cpf|cnpj|cuit|cuil|"
    r"rut|rfc|curp|pesel|nip|personnummer|personnr|cpr|fødselsnummer|hetu|henkilötunnus|steuer(?:-?id|nummer"
    r"|identifikationsnummer)|"
    r"idnr|tax id|tin|itin|vat id|codice fiscale|svnr|ahv|avs|oib|egn|cnp|amka|afm|tckn|tc kimlik|isikukood|asmens "
    r"kodas|rodné číslo|"
    r"snils|inn|my ?number|nric|fin|hkid|patient(?: id| no| number)?|mrn|medical record|driver'?s? licen[cs]e"
    r"|driving licen[cs]e|"
    r"führerschein\w*|id ?card|identity(?: card| number)?|national id|personalausweis\w*|ausweis\w*"
    r"|versicherungs?n\w*|"
    r"insurance (?:no|number|id)|policy (?:no|number)|account (?:no|nr|number)|acct|routing|sort code"
    r"|konto(?:nummer|nr)|blz|"
    r"customer (?:no|number|id)|kundennummer|client (?:no|number|id)|member(?:ship)? (?:no|number|id)|imei|imsi"
    r"|iccid|vin|"
    r"licen[cs]e plate|number plate|kennzeichen|sécurité sociale|seguridad social|citizen(?: id)?|taxpayer|employee "
    r"(?:no|number|id)|"
    r"student (?:no|number|id)|card|credit card|kreditkarte|carte|tarjeta|iban)"
    r"(?![^\W\d_])(?:[ _-]?(?:no|nr|number|num|nummer|id|#|n[°º]|código|code)\b)?(?:(?<![a-z])"
    r"|(?!\d))[\s.:#=°º/_-]{0,4}(?:is |ist |est |es )?"
    r"((?=[a-z0-9./ -]{0,12}\d)[a-z0-9](?:[ ./-]?[a-z0-9]){4,24})(?![a-z0-9])",
)
_ISBN = lazy(r"(?:isbn|ean|gtin|upc|asin|issn|doi)(?:[- ]?1[03])?[\s:=/-]{0,3}\Z")
ANNOUNCING = words(
    "ssn social sozialversicherung sozialversicherungsnummer nino national nhs passport reisepass reisepassnummer "
    "passeport pasaporte passaporto bsn burgerservicenummer sin tfn tax medicare aadhaar aadhar pan dni nie nif "
    "nir cpf cnpj cuit cuil rut rfc curp pesel nip personnummer personnr cpr fødselsnummer hetu henkilötunnus "
    "steuer steuernummer steueridentifikationsnummer idnr tin itin vat codice svnr ahv avs oib egn cnp amka afm "
    "tckn tc isikukood asmens rodné snils inn my mynumber nric fin hkid patient mrn medical driver drivers "
    "driving führerschein führerscheinnummer id idcard identity personalausweis personalausweisnummer ausweis "
    "ausweisnummer versicherungsnummer versicherungsnr versichertennummer insurance policy account acct routing "
    "sort konto kontonummer kontonr blz customer kundennummer client member membership imei imsi iccid vin "
    "license licence number kennzeichen sécurité seguridad citizen taxpayer employee student card cc credit "
    "kreditkarte carte tarjeta iban"
)
_SHAPES = lazy(r"\d\d-\d{8}-\d|\d{3}-\d{3}-\d{3} \d\d")


def find(look: Look) -> Iterator[Span]:
    """Find numbers of persons and accounts."""
    text = look.text
    if look.digits < 6:
        yield from announced(look, least=5)
        return
    if any(character.isalpha() for character in text):
        for match in _IBAN.finditer(text):
            raw = match.group()
            size = is_iban(re.sub(r"[ -]", "", raw).upper())
            if size:
                yield match.start(), match.start() + _reach(raw, size), "account"
        for match in _LETTERED.finditer(text):
            if _lettered_id(match.group()):
                yield *match.span(), "id-number"
    if look.digits < 8:
        yield from announced(look, least=5)
        return
    for match in _SSN.finditer(text):
        yield *match.span(), "id-number"
    for match in _FORMATTED_ID.finditer(text):
        digits = re.sub(r"\D", "", match.group())
        if national_id(digits) or weak_national_id(digits) or len(digits) == 13 or _SHAPES.fullmatch(match.group()):
            yield *match.span(), "id-number"
    for match in _DATED_ID.finditer(text):
        first, month, last = int(match.group(1)), int(match.group(2)) % 50 % 20, int(match.group(3))
        if 1 <= month <= 12 and (1 <= first % 40 <= 31 or 1 <= last % 60 <= 31):
            yield *match.span(), "id-number"
    yield from _grouped(look)
    yield from announced(look, least=5)


def announced(look: Look, *, least: int) -> Iterator[Span]:
    """Find what stands beside a word such as ``passport`` and has at least so many digits."""
    if ANNOUNCING.isdisjoint(look.words):
        return
    for match in _ID_WORD.finditer(look.low):
        digits = re.sub(r"\D", "", match.group(1))
        if len(digits) >= least and not is_phone_like_date(digits):
            yield *match.span(1), "id-number"


def _lettered_id(text: str) -> bool:
    t = re.sub(r"[ .-]", "", text).upper()
    size = len(t)
    if size == 9 and t[0].isalpha() and t[1].isalpha():  # UK: no check letter, but few prefixes
        return t[:2] not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")
    if size == 9 and t[:-1].translate(_NIE).isdigit() and t[-1].isalpha():
        return "TRWAGMYFPDXBNJZSQVHLCKE"[int(t[:-1].translate(_NIE)) % 23] == t[-1]
    if size == 9 and t[0] in "STFGM":
        total = sum(int(d) * w for d, w in zip(t[1:8], (2, 7, 6, 5, 4, 3, 2), strict=True))
        total += 4 if t[0] in "TG" else 3 if t[0] == "M" else 0
        letters = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "F": "XWUTRQPNMLK", "G": "XWUTRQPNMLK", "M": "XWUTRQPNJLK"}
        return letters[t[0]][total % 11 if t[0] != "M" else 10 - total % 11] == t[8]
    if size == 16:
        value = sum(
            _CF_ODD[c] if i % 2 == 0 else (int(c) if c.isdigit() else ord(c) - 65) for i, c in enumerate(t[:15])
        )
        return chr(65 + value % 26) == t[15]
    if size == 18:
        return 1 <= int(t[6:8]) <= 12 and 1 <= int(t[8:10]) <= 31
    if size == 15:
        digits = t[:5] + ("19" if "A" in t[5:7] else "18") + t[7:]
        return digits.isdigit() and 97 - int(digits[:13]) % 97 == int(digits[13:])
    if size == 10 and t[:5].isalpha():
        return text.isupper() or text.islower()
    if size == 10 and t[0].isalpha():  # Taiwan
        code = "ABCDEFGHJKLMNPQRSTUVXYWZIO".index(t[0]) + 10
        return (
            code // 10
            + code % 10 * 9
            + sum(int(d) * w for d, w in zip(t[1:], (8, 7, 6, 5, 4, 3, 2, 1, 1), strict=True))
        ) % 10 == 0
    if (
        len(text) == 11 and text[6] in "-+ABCDEFUVWXYabcdefuvwxy" and text[:6].isdigit() and text[7:10].isdigit()
    ):  # Finland
        if not (1 <= int(text[:2]) <= 31 and 1 <= int(text[2:4]) <= 12):
            return False
        return "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(text[:6] + text[7:10]) % 31] == text[10].upper()
    if size in (8, 9) and "-" in text and t[:-1].isdigit():  # Chile
        total = sum(int(d) * (2 + i % 6) for i, d in enumerate(reversed(t[:-1])))
        return "0K987654321"[total % 11] == t[-1]
    return size in (8, 9) and t[:7].isdigit() and _pps(t)


def _pps(t: str) -> bool:
    total = sum(int(d) * w for d, w in zip(t[:7], range(8, 1, -1), strict=True))
    if len(t) == 9:
        total += (ord(t[8]) - 64) * 9 if t[8] != "W" else 0
    return "WABCDEFGHIJKLMNOPQRSTUV"[total % 23] == t[7]


def _reach(raw: str, size: int) -> int:
    places = [index for index, character in enumerate(raw) if character not in " -"]
    return places[size - 1] + 1


def _grouped(look: Look) -> Iterator[Span]:
    """Find cards and national ids among digits that separators may part."""
    text, low = look.text, look.low
    budget, long = _MOST_GROUPS, _MOST_LONG
    for match in _GROUPED.finditer(text):
        raw = match.group()
        digits = sum(c.isdigit() for c in raw)
        if digits < 9:
            continue
        groups = [(part.start(), part.end(), part.group()) for part in _GROUP.finditer(raw)]
        budget -= len(groups)
        long -= 1
        if budget < 0 or long < 0:
            # Nobody writes that many numbers in a row; what is not looked at does not pass.
            yield *match.span(), "numbers"
            continue
        if len(groups) == 1 and raw[-1] not in "xX":
            value = groups[0][2]
            if is_card(value) or (_strong(value) and not _ISBN.search(low, max(0, match.start() - 12), match.start())):
                yield *match.span(), "card" if is_card(value) else "id-number"
            continue
        yield from _windows(low, match.start(), raw, groups)


def _strong(value: str) -> bool:
    # Ten bare digits are a national id in one case of forty by accident: too weak where nothing announces them.
    return len(value) > 10 and national_id(value)


def _windows(low: str, offset: int, raw: str, groups: list[tuple[int, int, str]]) -> Iterator[Span]:
    end_x = raw[-1] in "xX"
    index = 0
    while index < len(groups):
        joined = ""
        for last in range(index, min(index + 9, len(groups))):
            joined += groups[last][2]
            if len(joined) > 19:
                break
            size = len(joined)
            if size < 9:
                continue
            value = joined + "X" if end_x and last == len(groups) - 1 and size == 17 else joined
            whole = index == 0 and last == len(groups) - 1
            label = "card" if is_card(joined) else None
            if (
                label is None
                and whole
                and size >= 10
                and (national_id(value) or (size == 10 and _nhs_shape(groups) and weak_national_id(joined)))
            ):
                label = "id-number"
            if (
                label is None
                and not whole
                and size in (11, 13, 15, 18)
                and _plausible(groups[index : last + 1])
                and national_id(value)
            ):
                label = "id-number"
            if label and not (size in (10, 13) and _ISBN.search(low, max(0, offset - 12), offset)):
                yield offset + groups[index][0], offset + groups[last][1], label
                index = last
                break
        index += 1


def _plausible(groups: list[tuple[int, int, str]]) -> bool:
    return len(groups) == 1 or all(len(group[2]) <= 6 for group in groups)


def _nhs_shape(groups: list[tuple[int, int, str]]) -> bool:
    return [len(group[2]) for group in groups] == [3, 3, 4]
