"""Numbers that name somebody, told apart from other numbers by their check digits: cards, accounts, national ids.

Every algorithm is public: ISO/IEC 7812 (Luhn), ISO 13616 (IBAN), and the issuing authority's rule for each national id.
A number of a weak form (one check digit and nothing else: one number in ten or eleven passes by accident) counts only
beside a word that announces it, such as ``BSN``; a number of a strong form counts wherever it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .lazy import lazy

__all__ = ["is_card", "is_iban", "is_phone_like_date", "luhn", "national_id", "weak_national_id"]

_DIGIT = {str(number): number for number in range(10)}


def luhn(digits: str) -> bool:
    """Tell whether digits pass the Luhn check.

    >>> luhn("4111111111111111"), luhn("4111111111111112")
    (True, False)
    """
    total = 0
    for index, digit in enumerate(reversed(digits)):
        number = _DIGIT[digit]
        if index % 2:
            number = number * 2 - 9 if number > 4 else number * 2
        total += number
    return total % 10 == 0


# Issuer prefixes as published by the schemes; the lengths are those in use.
_CARD = lazy(
    r"(?:4\d{12}(?:\d{3}(?:\d{3})?)?|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|6(?:011|5\d\d|4[4-9]\d)\d{12}(?:\d{3})?|3(?:0[0-5]|[68]\d)\d{11}|35(?:2[89]|[3-8]\d)\d{12}|62\d{14,17}"
    r"|(?:5018|5020|5038|5893|6304|6759|676[1-3])\d{8,15}|220[0-4]\d{12}|(?:1800|2131)\d{11}|6(?:0|521|522)\d{14})"
)


def is_card(digits: str) -> bool:
    """Tell whether digits are a payment card's number.

    A number of 12 to 14 digits that is also a valid article number (GTIN) is taken for the article.

    >>> is_card("378282246310005"), is_card("1234567812345670"), is_card("4006381333931")
    (True, False, False)
    """
    if not _CARD.fullmatch(digits) or not luhn(digits):
        return False
    return len(digits) > 14 or not _gtin(digits)


def _gtin(digits: str) -> bool:
    total = sum(_DIGIT[digit] * (3 if index % 2 else 1) for index, digit in enumerate(reversed(digits)))
    return total % 10 == 0


# The lengths of the IBAN registry (SWIFT, https://www.swift.com/standards/data-standards/iban), as of 2026-08.
_IBAN_LENGTH = {
    country: int(length)
    for country, length in (
        pair.split(":")
        for pair in [
            "AD:24",
            "AE:23",
            "AL:28",
            "AT:20",
            "AZ:28",
            "BA:20",
            "BE:16",
            "BG:22",
            "BH:22",
            "BI:27",
            "BR:29",
            "BY:28",
            "CH:21",
            "CR:22",
            "CY:28",
            "CZ:24",
            "DE:22",
            "DJ:27",
            "DK:18",
            "DO:28",
            "EE:20",
            "EG:29",
            "ES:24",
            "FI:18",
            "FK:18",
            "FO:18",
            "FR:27",
            "GB:22",
            "GE:22",
            "GI:23",
            "GL:18",
            "GR:27",
            "GT:28",
            "HN:28",
            "HR:21",
            "HU:28",
            "IE:22",
            "IL:23",
            "IQ:23",
            "IS:26",
            "IT:27",
            "JO:30",
            "KW:30",
            "KZ:20",
            "LB:28",
            "LC:32",
            "LI:21",
            "LT:20",
            "LU:20",
            "LV:21",
            "LY:25",
            "MC:27",
            "MD:24",
            "ME:22",
            "MK:19",
            "MN:20",
            "MR:27",
            "MT:31",
            "MU:30",
            "NI:28",
            "NL:18",
            "NO:15",
            "OM:23",
            "PK:24",
            "PL:28",
            "PS:29",
            "PT:25",
            "QA:29",
            "RO:24",
            "RS:22",
            "RU:33",
            "SA:24",
            "SC:31",
            "SD:18",
            "SE:24",
            "SI:19",
            "SK:24",
            "SM:27",
            "SO:23",
            "ST:25",
            "SV:28",
            "TL:23",
            "TN:24",
            "TR:26",
            "UA:29",
            "VA:22",
            "VG:24",
            "XK:20",
            "YE:30",
        ]
    )
}


def is_iban(text: str) -> int:
    """Return how many characters at the start are an IBAN (without separators, upper case), or 0.

    >>> is_iban("DE89370400440532013000"), is_iban("DE89370400440532013001")
    (22, 0)
    """
    length = _IBAN_LENGTH.get(text[:2], 0)
    if not length or len(text) < length:
        return 0
    moved = text[4:length] + text[:4]
    try:
        number = int("".join(str(int(character, 36)) for character in moved))
    except ValueError:
        return 0
    return length if number % 97 == 1 else 0


# -- dates inside ids


def _day(year: int, month: int, day: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1] and year >= 0


def _ymd(digits: str) -> bool:
    return _day(int(digits[:2]), int(digits[2:4]), int(digits[4:6]))


def _dmy(digits: str) -> bool:
    return _day(int(digits[4:6]), int(digits[2:4]), int(digits[:2]))


def is_phone_like_date(digits: str) -> bool:
    """Tell whether eight digits are a date, in one of the orders people write.

    >>> is_phone_like_date("01022024"), is_phone_like_date("20240131"), is_phone_like_date("99999999")
    (True, True, False)
    """
    if len(digits) != 8:
        return False
    first = 1900 <= int(digits[:4]) <= 2100 and _day(0, int(digits[4:6]), int(digits[6:]))
    last = 1900 <= int(digits[4:]) <= 2100 and (
        _day(0, int(digits[2:4]), int(digits[:2])) or _day(0, int(digits[:2]), int(digits[2:4]))
    )
    return first or last


def _weighed(digits: str, weights: Sequence[int]) -> int:
    return sum(_DIGIT[digit] * weight for digit, weight in zip(digits, weights, strict=False))


def _same(digits: str) -> bool:
    return digits == digits[0] * len(digits)


# -- one function per country


def _cpf(d: str) -> bool:  # Brazil, natural persons
    first = _weighed(d, range(10, 1, -1)) * 10 % 11 % 10
    second = _weighed(d, range(11, 1, -1)) * 10 % 11 % 10
    return not _same(d) and int(d[9]) == first and int(d[10]) == second


def _cnpj(d: str) -> bool:  # Brazil, companies
    weights = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    first = 11 - _weighed(d[:12], weights[1:]) % 11
    second = 11 - _weighed(d[:13], weights) % 11
    return not _same(d) and int(d[12]) == (first if first < 10 else 0) and int(d[13]) == (second if second < 10 else 0)


def _pesel(d: str) -> bool:  # Poland; the century is added to the month
    month = int(d[2:4]) % 20
    return _day(0, month, int(d[4:6])) and _weighed(d, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def _steuer_id(d: str) -> bool:  # Germany: one digit of the first ten stands twice or three times
    counts = sorted((d[:10].count(digit) for digit in set(d[:10])), reverse=True)
    if d[0] == "0" or counts[0] not in (2, 3) or (len(counts) > 1 and counts[1] > 1):
        return False
    product = 10
    for digit in d[:10]:
        total = (_DIGIT[digit] + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(d[10])


def _fodselsnummer(d: str) -> bool:  # Norway
    day = int(d[:2]) % 40
    first = 11 - _weighed(d, (3, 7, 6, 1, 8, 9, 4, 5, 2)) % 11
    second = 11 - _weighed(d, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return _day(0, int(d[2:4]) % 40, day) and first % 11 == int(d[9]) and second % 11 == int(d[10])


def _tc_kimlik(d: str) -> bool:  # Turkey
    odd, even = sum(int(x) for x in d[0:9:2]), sum(int(x) for x in d[1:8:2])
    return d[0] != "0" and (odd * 7 - even) % 10 == int(d[9]) and sum(int(x) for x in d[:10]) % 10 == int(d[10])


def _baltic(d: str) -> bool:  # Estonia, Lithuania
    if d[0] not in "12345678" or not _ymd(d[1:7]):
        return False
    check = _weighed(d, (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    if check == 10:
        check = _weighed(d, (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 % 10
    return check == int(d[10])


def _belgian(d: str) -> bool:
    number, check = int(d[:9]), int(d[9:])
    return _day(0, int(d[2:4]) % 20, int(d[4:6])) and check in (97 - number % 97, 97 - (2_000_000_000 + number) % 97)


def _amka(d: str) -> bool:  # Greece
    return _dmy(d) and luhn(d)


def _personnummer(d: str) -> bool:  # Sweden; a coordination number adds 60 to the day
    return _day(0, int(d[2:4]), int(d[4:6]) % 60) and luhn(d)


def _egn(d: str) -> bool:  # Bulgaria; the century is added to the month
    check = _weighed(d, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10
    return _day(0, int(d[2:4]) % 20, int(d[4:6])) and check == int(d[9])


def _south_african(d: str) -> bool:
    return _ymd(d) and d[10] in "012" and luhn(d)


def _cnp(d: str) -> bool:  # Romania
    check = _weighed(d, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return d[0] in "123456789" and _ymd(d[1:7]) and (1 if check == 10 else check) == int(d[12])


def _emso(d: str) -> bool:  # Slovenia and its neighbours
    check = 11 - _weighed(d, (7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return _day(0, int(d[2:4]), int(d[:2])) and d[4] in "90" and check % 11 == int(d[12])


def _ahv(d: str) -> bool:  # Switzerland
    return d.startswith("756") and _gtin(d)


def _nir(d: str) -> bool:  # France: sex, year, month, place, order, key
    month = int(d[3:5])
    return d[0] in "123478" and (1 <= month <= 12 or 20 <= month <= 99) and 97 - int(d[:13]) % 97 == int(d[13:])


def _chinese(d: str) -> bool:
    year = int(d[6:10])
    check = "10X98765432"[_weighed(d, (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)) % 11]
    return 1900 <= year <= 2100 and _day(year, int(d[10:12]), int(d[12:14])) and check == d[17]


#: Strong forms: a date, two check digits, or a structure that few numbers have by accident.
_STRONG: dict[int, tuple[Callable[[str], bool], ...]] = {
    10: (_personnummer, _egn),
    11: (_cpf, _pesel, _steuer_id, _fodselsnummer, _tc_kimlik, _baltic, _belgian, _amka),
    12: (lambda d: d[:2] in ("19", "20") and _personnummer(d[2:]),),
    13: (_south_african, _cnp, _emso, _ahv),
    14: (_cnpj,),
    15: (_nir,),
    18: (_chinese,),
}


def national_id(digits: str) -> bool:
    """Tell whether digits are a national id of a strong form.

    >>> national_id("52998224725"), national_id("12345678901")
    (True, False)
    """
    if _same(digits):
        return False
    return any(check(digits) for check in _STRONG.get(len(digits), ()))


def _nhs(d: str) -> bool:
    check = 11 - _weighed(d, range(10, 1, -1)) % 11
    return check != 10 and check % 11 == int(d[9])


def _bsn(d: str) -> bool:  # the Netherlands
    return _weighed(d, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def _nif(d: str) -> bool:  # Portugal
    check = 11 - _weighed(d, range(9, 1, -1)) % 11
    return (0 if check > 9 else check) == int(d[8])


def _tfn(d: str) -> bool:  # Australia
    return _weighed(d, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


_VERHOEFF_D = tuple(
    tuple(int(digit) for digit in row)
    for row in [
        "0123456789",
        "1234067895",
        "2340178956",
        "3401289567",
        "4012395678",
        "5987604321",
        "6598710432",
        "7659821043",
        "8765932104",
        "9876543210",
    ]
)
_VERHOEFF_P = tuple(
    tuple(int(digit) for digit in row)
    for row in [
        "0123456789",
        "1576283094",
        "5803796142",
        "8916043527",
        "9453126870",
        "4286573901",
        "2793806415",
        "7046913258",
    ]
)


def _aadhaar(d: str) -> bool:  # India; Verhoeff's check
    check = 0
    for index, digit in enumerate(reversed(d)):
        check = _VERHOEFF_D[check][_VERHOEFF_P[index % 8][int(digit)]]
    return check == 0 and d[0] not in "01"


def _svnr(d: str) -> bool:  # Austria
    return _weighed(d, (3, 7, 9, 0, 5, 8, 4, 2, 1, 6)) % 11 == int(d[3]) and 1 <= int(d[4:6]) <= 31


def _oib(d: str) -> bool:  # Croatia
    product = 10
    for digit in d[:10]:
        product = ((_DIGIT[digit] + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(d[10])


def _my_number(d: str) -> bool:  # Japan
    check = 11 - _weighed(d, (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return (0 if check > 9 else check) == int(d[11])


def _rodne_cislo(d: str) -> bool:  # Czechia, Slovakia; women add 50 to the month
    return _day(0, int(d[2:4]) % 50 % 20, int(d[4:6])) and (int(d) % 11 == 0 or int(d[:9]) % 11 == 10)


_WEAK: dict[int, tuple[Callable[[str], bool], ...]] = {
    9: (_bsn, _nif, _tfn, luhn),
    10: (_nhs, _svnr, _rodne_cislo),
    11: (_oib,),
    12: (_aadhaar, _my_number),
}


def weak_national_id(digits: str) -> bool:
    """Tell whether digits pass the one check digit of a national id; that alone says little.

    >>> weak_national_id("9434765919"), weak_national_id("111222333"), weak_national_id("123")
    (True, True, False)
    """
    return not _same(digits) and any(check(digits) for check in _WEAK.get(len(digits), ()))
