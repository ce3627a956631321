"""The detector: where in a text something stands that names a person or opens a door.

:func:`spans` answers with places and labels and changes nothing. Every pattern is linear in the length of the text: runs
are possessive or bounded, and start only where the character before cannot belong to them. :mod:`.text` cuts a text to
4 KiB before it comes here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from ipaddress import IPv6Address
from unicodedata import category, normalize
from urllib.parse import unquote

from .numbers import is_card, is_iban, is_phone_like_date, national_id, weak_national_id
from .words import HEALTH, NOT_NAMES, denied_key, first_names, fold

__all__ = [
    "Span",
    "decoded",
    "is_random",
    "mentions_health",
    "prefixed",
    "record_id",
    "slug_spans",
    "spans",
    "token_label",
]

#: Start, end, and what stands there.
Span = tuple[int, int, str]

_I = re.IGNORECASE
_LETTER = r"[^\W\d_]"
#: More groups of digits in one text than a page's title or a property ever has; the rest is replaced unread.
_MOST_GROUPS = 96

# -- spelled otherwise

_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}|&(?:#\d{1,6}|#x[0-9a-f]{1,5}|commat|period|plus|amp);", _I)


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
        text = "".join(
            character
            for character in normalize("NFKC", text)
            if category(character) not in ("Cf", "Mn") or ord(character) < 128
        )
        text = normalize("NFC", text)
    return text


# -- mail

_EMAIL = re.compile(
    r"(?:(?<![\w.+%'-])[\w.+%'-]++|\"[^\"@\n]{1,64}\")@"
    r"(?:(?:[\w-]{1,63}+\.){1,8}(?:xn--[\w-]{2,59}|[^\W\d_]{2,24})|localhost\b|\[[\d.:A-Fa-fIPv]{7,60}\])"
)
_IMAGE_SCALE = re.compile(r"@[1-9](?:\.\d)?x\.[a-z]{2,5}\Z", _I)
_EMAIL_SPELLED = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}+(?:\s?[\[({<]\s?(?:at|@|arroba|chez|ät|æt)\s?[\])}>]\s?[\w-]{1,63}"
    r"(?:\s?(?:\.|[\[({<]\s?(?:dot|punkt|point|punto|\.)\s?[\])}>])\s?[\w-]{1,63}){1,5}"
    r"|\sat\s[\w-]{1,63}(?:\sdot\s[\w-]{1,63}){1,4}"
    r"|[-_. ]at[-_. ](?:gmail|googlemail|yahoo|hotmail|outlook|icloud|gmx|web|proton|protonmail|aol|live|msn|yandex|mail)"
    r"[-_. ](?:dot[-_. ])?(?:com|de|net|org|fr|me|ru|co|uk|at|ch)\b"
    r"|[-_]at[-_][\w]{1,63}(?:\.|[-_]dot[-_])(?:com|net|org|de|fr|uk|eu|io|info|es|it|nl|pl|ch|at|br|edu|gov)\b)",
    _I,
)

# -- addresses of machines

_IPV4 = re.compile(r"(?<![\w.])\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?![\w]|\.\d)")
_IPV4_DASHED = re.compile(r"(?<![A-Za-z0-9])ip[-_](\d{1,3}[-_]\d{1,3}[-_]\d{1,3}[-_]\d{1,3})(?!\d)", _I)
_VERSION_BEFORE = re.compile(
    r"(?:\bv|version|release|build|firmware|driver|update|chrome|windows|edge)[ /:_-]{0,2}\Z", _I
)
_IPV6 = re.compile(
    r"(?<![\w:.])(?=[0-9A-Fa-f:]{2,})[0-9A-Fa-f]{0,4}+(?::[0-9A-Fa-f]{0,4}+){2,8}(?:(?<=:)?(?:\.\d{1,3}){3})?(?![\w:])"
)
_MAC = re.compile(
    r"(?<![0-9A-Za-z:-])(?:[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}(?:[0-9A-Fa-f]{2}\1[0-9A-Fa-f]{2}\1)?[0-9A-Fa-f]{2}"
    r"|[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4})(?![0-9A-Za-z:-])"
)

# -- keys and tokens

_PREFIXED = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"eyJ[\w-]{5,}+(?:\.[\w=-]*+){0,4}"  # JSON Web Tokens, signed or encrypted
    r"|(?:sk|pk|rk)_(?:live|test)_\w{8,}+|whsec_[\w+/=]{8,}+|(?:acct|cus|pi|seti|cs_live|cs_test)_\w{14,}+"  # Stripe
    r"|(?:A3T[A-Z0-9]|AKIA|ASIA|AGPA|AIDA|AROA|AIPA|ANPA|ANVA|ABIA|ACCA)[A-Z0-9]{12,}+"  # AWS
    r"|gh[pousr]_\w{16,}+|github_pat_\w{20,}+|gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|soat)-[\w-]{16,}+"
    r"|xox[abeoprs]-[\w-]{8,}+|xapp-[\w-]{8,}+|AIza[\w-]{20,}+|ya29\.[\w-]{10,}+|1//0[\w-]{20,}+|GOCSPX-[\w-]{16,}+"
    r"|\d{6,}-[a-z0-9]{20,}\.apps\.googleusercontent\.com"
    r"|sk-(?:ant-|proj-|or-|svcacct-|lf-)?[\w-]{16,}+|SG\.[\w-]{10,}+\.[\w-]{10,}+|key-[0-9a-f]{20,}+|npm_\w{20,}+"
    r"|pypi-[\w-]{20,}+|do[opr]_v1_\w{16,}+|hf_\w{16,}+|shp(?:at|ss|ca|pa)_\w{16,}+|sq0[a-z]{3}-[\w-]{16,}+|EAA[A-Za-z0-9]{20,}+"
    r"|lin_api_\w{16,}+|fig[dou]_[\w-]{16,}+|dckr_pat_[\w-]{10,}+|hv[sb]\.[\w-]{16,}+|ATATT3[\w=-]{16,}+|NRAK-\w{16,}+"
    r"|PMAK-[\w-]{16,}+|rubygems_\w{16,}+|sntry[su]_[\w=+/-]{16,}+|ntn_\w{16,}+|ph[cxrs]_\w{16,}+|pat-(?:na|eu)\d-[\w-]{16,}+"
    r"|[rs]k_[a-z]+_\w{16,}+|(?:AC|SK)[0-9a-f]{32}|dapi[0-9a-f]{32}|glsa_\w{20,}+|gsk_\w{20,}+|r8_\w{20,}+|pplx-\w{20,}+"
    r"|xkeysib-[\w-]{16,}+|re_\w{16,}+|AGE-SECRET-KEY-1\w{20,}+|\$2[abxy]\$\d\d\$[\w./]{20,}+|\$argon2\w+\$[\w$=,+/]{20,}+"
    r"|\d{8,10}:[\w-]{35}|[MNO][\w-]{22,27}\.[\w-]{6}\.[\w-]{27,}+|T[A-Z0-9]{8,10}/B[A-Z0-9]{8,10}/\w{20,}+"
    r"|AKC[A-Za-z0-9]{10,}+|LTAI\w{12,}+|AKID\w{13,}+|tk_\w{20,}+|tok_\w{10,}+|sess_\w{10,}+|ory_[a-z]{2}_[\w.-]{16,}+"
    r"|secret_[A-Za-z0-9]{16,}+|nfp_\w{20,}+|vc[pk]_\w{20,}+|CFPAT-[\w-]{20,}+|m[gs]-[0-9a-f]{32}|oauth_\w{16,}+"
    r")"
)
_PEM = re.compile(r"-----BEGIN [A-Z ]{3,40}-----(?:[^-]|-(?!----))*+(?:-----END [A-Z ]{3,40}-----)?")
_BEARER = re.compile(r"(?<!\w)(?:bearer|basic|digest|apikey|token)\s+([\w.~+/-]{12,}+=*)", _I)
_CARRIED = re.compile(
    r"(?<![A-Za-z0-9])(passwor[dt]|passwd|pwd|passphrase|pass|secret|token|api[ _-]?key|access[ _-]?(?:key|token)|session[ _-]?id|"
    r"sid|otp|pin(?: code)?|one[- ]time (?:code|password)|(?:verification|security|access|reset|login|auth|confirmation|backup) "
    r"code|cvv2?|cvc2?|csrf|signature|credentials?|passcode|kennwort|mot de passe|contraseña|senha|hasło|wachtwoord|parola)"
    r"[\"']?\s{0,2}(?:[:=]|\bis\b|\bist\b|\best\b|\bes\b)\s{0,2}[\"']?([^\s\"'&;,<>]{3,}+)",
    _I,
)
_PAIR = re.compile(r"(?<![\w.-])([A-Za-z_][\w.-]{1,40}+)=([^\s&;#\"'<>]++)")
_HEX = re.compile(r"[0-9a-f]{16,}|[0-9A-F]{16,}")
_UUID = re.compile(
    r"(?<![0-9A-Za-z])[0-9A-Fa-f]{8}([-_]?)[0-9A-Fa-f]{4}\1[0-9A-Fa-f]{4}\1[0-9A-Fa-f]{4}\1[0-9A-Fa-f]{12}(?![0-9A-Za-z])"
)
_ULID = re.compile(r"(?<![0-9A-Za-z])0[01][0-9A-HJKMNP-TV-Z]{24}(?![0-9A-Za-z])", _I)
_RUN = re.compile(r"(?<![A-Za-z0-9_+/=-])[A-Za-z0-9_+/=-]{16,}+")
_CHUNK = re.compile(r"[A-Z]+[a-z]*|[a-z]+|\d+")
_VOWEL = re.compile(r"[aeiouyAEIOUY]")
_LICENCE = re.compile(r"(?<![A-Za-z0-9-])(?:[A-Z0-9]{4,6}-){3,7}[A-Z0-9]{4,6}(?![A-Za-z0-9-])")


def prefixed(text: str) -> bool:
    """Tell whether a text holds a credential of a known form."""
    return _PREFIXED.search(text) is not None


def record_id(text: str) -> bool:
    """Tell whether a whole text is a record's id: a UUID, a ULID, or long hexadecimal digits."""
    return bool(_UUID.fullmatch(text) or _ULID.fullmatch(text) or (_HEX.fullmatch(text) and not text.isdigit()))


def is_random(part: str) -> bool:
    """Tell whether a run of letters and digits was drawn and not written.

    A written run falls into few long words and numbers, a drawn one into many short pieces.

    >>> is_random("iPhone15ProMaxCase"), is_random("x7Kq9ZpL2mVtR4wB")
    (False, True)
    """
    size = len(part)
    chunks = _CHUNK.findall(part)
    digits = sum(character.isdigit() for character in part)
    if digits == size:
        return False
    if digits >= 2:
        if size >= 16:
            return size / len(chunks) < (3.0 if part.islower() or not part.isupper() else 3.4) and len(chunks) >= 5
        mixed = not part.islower() and not part.isupper()
        return size >= 10 and len(chunks) >= 5 and size / len(chunks) < (2.3 if mixed else 1.9)
    if size >= 20 and part.isalpha():
        if not part.islower() and not part.isupper() and size / len(chunks) < 2.8:
            return True
        return len(_VOWEL.findall(part)) / size < 0.2
    return size >= 16 and not part.islower() and not part.isupper() and size / len(chunks) < 2.4


def token_label(run: str, *, strict: bool) -> str | None:
    """Return ``token`` or ``id`` where a run of token characters is one, else ``None``.

    >>> token_label("my-summer-holiday-2024-in-france", strict=True) is None
    True
    """
    bare = run.rstrip("=")
    if _HEX.fullmatch(bare):
        if bare.isdigit():
            return None
        if len(bare) >= 32 and not _UUID.fullmatch(bare):
            return "token"
        letters = sum(character.isalpha() for character in bare)
        if 2 <= letters <= len(bare) - 2:
            return "token" if len(bare) >= 32 else "id" if strict else None
        return None
    if _UUID.fullmatch(bare) or _ULID.fullmatch(bare):
        return "id" if strict else None
    parts = [part for part in re.split(r"[-_+/=]", bare) if part]
    for part in parts:
        if len(part) >= 16 and not _HEX.fullmatch(part) and not _ULID.fullmatch(part) and is_random(part):
            return "token"
        if len(part) >= 32 and _HEX.fullmatch(part) and not part.isdigit():
            return "token"
        if strict and len(part) >= 16 and _HEX.fullmatch(part) and not part.isdigit():
            return "id"
    if len(parts) > 1 and len(bare) >= 20 and not _UUID.search(bare):
        # Base64 for URLs holds - and _ by chance: look for pieces that mix capitals, small letters and digits.
        mixed = [part for part in parts if len(part) > 3 and _mixed(part)]
        if sum(map(len, mixed)) >= 12 and sum(map(len, mixed)) * 2 >= len(bare):
            return "token"
    if _LICENCE.fullmatch(bare):
        groups = [group for group in parts if any(c.isdigit() for c in group) and any(c.isalpha() for c in group)]
        if len({len(group) for group in parts}) == 1 and len(groups) * 2 >= len(parts):
            return "token"
    return None


def _mixed(part: str) -> bool:
    if part.islower() or part.isupper():
        return False
    chunks = _CHUNK.findall(part)
    return len(part) / len(chunks) < 2.4 and len(chunks) >= 3


_HIDDEN = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{12,}+={0,2}")


def _hidden(run: str) -> bool:
    """Tell whether base64 or hexadecimal digits spell an e-mail address."""
    import base64
    import binascii

    bare = run.rstrip("=")
    if len(bare) % 4 == 1 or len(bare) > 1024:
        bare = bare[: len(bare) // 4 * 4][:1024]
    try:
        plain = base64.b64decode(bare.replace("-", "+").replace("_", "/") + "=" * (-len(bare) % 4))
    except (ValueError, binascii.Error):
        return False
    if b"@" in plain and _EMAIL.search(plain.decode("latin-1")):
        return True
    if len(run) % 2 == 0 and "40" in run and _HEX.fullmatch(run):
        return bool(_EMAIL.search(bytes.fromhex(run).decode("latin-1")))
    return False


# -- numbers

_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,30}+")
_GROUPED = re.compile(r"(?<![\w])\d++(?:[ .\-/\u00a0\u202f\u2011]\d++)*+X?", _I)
_GROUP = re.compile(r"\d+")
_LETTERED = re.compile(
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


def _lettered_id(text: str) -> bool:
    t = re.sub(r"[ .-]", "", text).upper()
    size = len(t)
    if size == 9 and t[0].isalpha() and t[1].isalpha():  # UK: no check letter, but few prefixes
        return t[:2] not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")
    if size == 9 and t[:-1].translate(_NIE).isdigit() and t[-1].isalpha():
        if "TRWAGMYFPDXBNJZSQVHLCKE"[int(t[:-1].translate(_NIE)) % 23] == t[-1]:
            return True
        return t[:7].isdigit() and _pps(t)
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


_SSN = re.compile(
    r"(?<![\w-])(?!000|666)[0-8]\d{2}([- ])(?!00)\d{2}\1(?!0000)\d{4}(?![\w-])|(?<![\w-])9\d{2}([- ])[5-9]\d\2\d{4}(?![\w-])"
)
_FORMATTED_ID = re.compile(
    r"(?<![\w.-])(?:\d{3}\.\d{3}\.\d{3}-\d{2}|\d{2}\.\d{3}\.\d{3}/\d{4}-\d{2}|\d{6}-[1-8]\d{6}|\d{4} \d{4} \d{4}(?= *(?:$|[,.;)]))"
    r"|\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}|756\.\d{4}\.\d{4}\.\d{2}|\d{3}-\d{3}-\d{3} \d{2}|\d{2}-\d{8}-\d)(?![\w-])"
)
_DATED_ID = re.compile(r"(?<![\w.-])(\d\d)(\d\d)(\d\d)[-/+](\d{3,4})(?![\w-])")
_ID_WORD = re.compile(
    r"(?<![^\W_])(?:ssn|social security|sozialversicherung\w*|nino|national insurance|nhs|passport|reisepass\w*|passeport|pasaporte|"
    r"passaporto|bsn|burgerservicenummer|sin|social insurance|tfn|tax file|medicare|aadhaa?r|pan|dni|nie|nif|nir|cpf|cnpj|cuit|cuil|"
    r"rut|rfc|curp|pesel|nip|personnummer|personnr|cpr|fødselsnummer|hetu|henkilötunnus|steuer(?:-?id|nummer|identifikationsnummer)|"
    r"idnr|tax id|tin|itin|vat id|codice fiscale|svnr|ahv|avs|oib|egn|cnp|amka|afm|tckn|tc kimlik|isikukood|asmens kodas|rodné číslo|"
    r"snils|inn|my ?number|nric|fin|hkid|patient(?: id| no| number)?|mrn|medical record|driver'?s? licen[cs]e|driving licen[cs]e|"
    r"führerschein\w*|id ?card|identity(?: card| number)?|national id|personalausweis\w*|ausweis\w*|versicherungs?n\w*|"
    r"insurance (?:no|number|id)|policy (?:no|number)|account (?:no|nr|number)|acct|routing|sort code|konto(?:nummer|nr)|blz|"
    r"customer (?:no|number|id)|kundennummer|client (?:no|number|id)|member(?:ship)? (?:no|number|id)|imei|imsi|iccid|vin|"
    r"licen[cs]e plate|number plate|kennzeichen|sécurité sociale|seguridad social|citizen(?: id)?|taxpayer|employee (?:no|number|id)|"
    r"student (?:no|number|id)|card|cc|credit card|kreditkarte|carte|tarjeta|iban)"
    r"(?:[ _-]?(?:no|nr|number|num|nummer|id|#|n[°º]|código|code)\b)?[\s.:#=°º/_-]{0,4}(?:is |ist |est |es )?"
    r"((?=[A-Z0-9./ -]{0,12}\d)[A-Z0-9](?:[ ./-]?[A-Z0-9]){4,24})(?![A-Z0-9])",
    _I,
)

# -- telephones

_PHONE_INTL = re.compile(
    r"(?<![\w+])(?:\+|\+?00(?=[1-9]))[ ]?\(?[1-9](?:[ .\-/()\u2010-\u2013\u00a0\u202f]{0,3}\d){6,13}(?!\d)"
)
_PHONE_FORMS = re.compile(
    r"(?<![\w.,:/+-])(?:"
    r"(?:1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[ .-])\d{3}[ .-]\d{4}"  # North America
    r"|\(0?\d{1,5}\)[ .-]?\d{2,5}(?:[ .-]?\d{2,5}){1,3}"  # an area code in parentheses
    r"|[4-9]\d\d([ .-])\d{3}\1\d{3}"  # Spain, Portugal, Poland, Norway …
    r"|[689]\d\d \d\d \d\d \d\d|9\d \d{3} \d\d \d\d|[49]\d\d \d\d \d{3}"
    r"|3\d\d[ .\-/](?:\d{6,7}|\d{3}[ .-]\d{3,4})"  # Italy
    r"|[1-9]\d[ .-]9?\d{4}-\d{4}|[1-9]\d \d{4} \d{4}"  # Brazil, Mexico
    r"|1[3-9]\d[ -]\d{4}[ -]\d{4}|[6-9]\d{4}[ -]\d{5}"  # China, India
    r"|[2-9]\d( )\d\d \d\d \d\d(?! \d)"  # Denmark
    r"|[78][ -]\(?\d{3}\)?[ -]\d{3}[ -]?\d\d[ -]?\d\d"  # Russia
    r")(?![\w]|[.,-]\d)"
)
_PHONE_TRUNK = re.compile(
    r"(?<![\w.,:/+-])\(?0[1-9]\d{0,4}\)?(?:[ .\-/\u2010-\u2013\u00a0\u202f]{1,3}\d{2,8}){1,5}(?![\w]|[.,:]\d)"
)
_PHONE_BARE0 = re.compile(r"(?<![\w.,:/+#-])0[1-9]\d{7,9}(?![\w]|[.,:-]\d)")
_PHONE_BARE = re.compile(r"(?<![\w.,:/+#=-])(?:1?[2-9]\d{2}[2-9]\d{6}|1[3-9]\d{9})(?![\w]|[.,:-]\d)")
_PHONE_WORD = re.compile(
    r"(?<![^\W_])(?:phone|telephone|telefon\w{0,8}|teléfono|téléphone|telefono|tel|mobile?|mobil\w{0,8}|cell(?:phone|ular)?|celular|móvil|"
    r"portable|cellulare|handy\w{0,8}|fax|call|ring|rufnummer|whatsapp|sms|text|viber|signal|msisdn|gsm|hotline|dial|contact|telefone|"
    r"phone-?number|anruf|appeler|llamar|ligue)(?:[ _-]?(?:no|nr|number|nummer|número|me|us|now|at|on|to|is|a|at:))*[\s.:=/_#-]{0,4}"
    r"(\(?\+?[\d(](?:[ ().\-/_]{0,3}\d){5,14})(?!\d)",
    _I,
)
_NO_PHONE = re.compile(
    r"(?:order|item|article|art|sku|isbn|ean|upc|gtin|asin|ref|reference|ticket|invoice|case|serial|part|model|no|nr|nummer|number|"
    r"bestellung|rechnung|artikel|commande|pedido|issue|bug|rfc|product|id|build|version|lot|batch|doi|issn|pmid|"
    r"#|№|\$|€|£)[\s.:#=-]{0,3}\Z",
    _I,
)
_ISBN = re.compile(r"(?:isbn|ean|gtin|upc|asin|issn|doi)(?:[- ]?1[03])?[\s:=/-]{0,3}\Z", _I)

# -- births, places

_MONTH = (
    r"(?:jan|feb|m[aä]r|apr|ma[iyj]|jun|jul|aug|ago|sep|o[ck]t|nov|de[czs]|janv|f[eé]v|mars|avr|juin|juil|ao[uû]t|ene|abr|gen|mag|giu|lug|set|ott|dic)"
    r"[^\W\d_]{0,7}\.?"
)
_DATE = (
    rf"(?:\d{{4}}[-./ _]\d{{1,2}}[-./ _]\d{{1,2}}|\d{{1,2}}[-./ _]\d{{1,2}}[-./ _]\d{{2,4}}|\d{{8}}"
    rf"|\d{{1,2}}(?:st|nd|rd|th|\.|er)?[ _-](?:de |of )?{_MONTH}[ _,-]{{0,2}}(?:de )?\d{{4}}|{_MONTH}[ _-]\d{{1,2}}(?:st|nd|rd|th)?,?[ _-]\d{{4}})"
)
_BIRTH = re.compile(
    r"(?<![^\W_])(?:born|birth ?(?:day|date)?|d\.?o\.?b\.?|date[ _-]?of[ _-]?birth|bday|geb\.?|geboren|geburts(?:tag|datum)|"
    r"née?|naissance|nacid[oa]|nacimiento|cumplea[nñ]os|nat[oa]|nascita|nascid[oa]|nascimento|geboortedatum|urodzon[ya]|"
    r"urodzenia|född|født|syntynyt)(?:[\s:=(_*–/-]{1,4}(?:on|am|the|le|el|il|em|op|den|dnia|is|was|date|de|del|di|datum|at)?){1,3}?[\s:=(_*–/-]{0,3}"
    rf"({_DATE})(?!\d)",
    _I,
)
_NUM_WORD = r"\d{1,5}[A-Za-z]?"
_NAME_WORD = r"[^\W\d_][\w'’.]{0,30}"
_STREET_EN = re.compile(
    rf"(?<![\w.,-])(?:(?:apt|apartment|unit|flat|suite)[ .#]{{1,2}}\w{{1,5}},? )?{_NUM_WORD}(?:[-/]\d{{1,4}})? (?:[NSEW]\.? |north |south |east |west )?"
    rf"((?:(?:{_NAME_WORD}|\d{{1,3}}(?:st|nd|rd|th)) ){{1,4}}?)"
    r"(?:street|st|avenue|ave|road|rd|boulevard|blvd|lane|ln|drive|dr|court|ct|place|pl|square|sq|way|terrace|crescent|close|"
    r"parkway|pkwy|circle|cir|highway|hwy|gardens|grove|mews|row|hill|walk|alley|quay|wharf|loop|trail|pike|plaza)\b\.?"
    r"(?:,? (?:apt|apartment|unit|suite|ste|flat|floor|#)\.? ?#?\w{1,6})?"
    r"(?:,? [^\W\d_][\w .]{1,30}?,? [A-Z]{2} \d{5}(?:-\d{4})?)?"
    r"(?! (?!in |apt|unit|flat|suite|and |near |at |is )[^\W\d_])",
    _I,
)
_NO_STREET = frozenset(
    ["best", "top", "way", "ways", "easy", "hour", "hours", "day", "days", "minute", "minutes", "min", "things", "reasons", "tips", "steps", "step", "great", "new", "good", "free", "simple", "people", "years", "year", "months", "weeks", "items", "results", "products", "ideas", "more", "most", "of", "the", "to", "for", "on", "your", "a", "percent", "off", "km", "mile", "miles", "gb", "tb", "inch", "mm", "cm", "kg", "wheel", "door", "speed", "hp", "pack", "piece", "on-the", "vs", "per", "from", "by", "with", "best-of", "stars", "star"]
)
_STREET_DE = re.compile(
    rf"(?<!\w)(?:{_NAME_WORD}[ -]){{0,2}}(?:[^\W\d_][\w-]{{1,40}}?(?:stra(?:ß|ss)e|str\.|weg|platz|allee|gasse|damm|ufer|chaussee|steig|stieg|"
    r"straat|laan|plein|gracht|kade|dijk|singel|gatan|vägen|gränd|torget|gade|vej|katu)|(?:stra(?:ß|ss)e|str\.|platz|allee|weg|laan)(?: des| der| am)?(?: [^\W\d_]\w{2,20}){0,2}) "
    r"\d{1,4}(?: ?[a-z])?(?![\w%])(?:[-/]\d{1,4})?(?:,? (?:[A-Z]-)?\d{4,5} [^\W\d_][\w.-]{2,30})?",
    _I,
)
_STREET_ROMANCE = re.compile(
    r"(?<![\w.])(?:\d{1,4}(?: ?(?:bis|ter|quater))?,? (?:rue|avenue|av\.|boulevard|bd|bld|place|chemin|impasse|all[ée]e|quai|cours|route|faubourg|square|passage) "
    rf"(?:(?:de|du|des|la|le|les|l|d)[ '’]){{0,3}}{_NAME_WORD}(?:[ -]{_NAME_WORD}){{0,3}}(?:,? \d{{5}} {_NAME_WORD})?"
    r"|(?:calle|c/|avenida|avda\.?|plaza|paseo|camino|carrer|ronda|viale|piazza|piazzale|corso|vicolo|largo|rua|travessa|praça|alameda|estrada|rodovia|"
    rf"ulica|ul\.|aleja|al\.|os\.|улица|ул\.) ?(?:{_NAME_WORD} ){{0,4}}{_NAME_WORD},? (?:n[º°o.]{{0,2}} ?|д\.? ?)?\d{{1,4}}(?:[a-z]|/\d{{1,3}})?(?!\w)"
    rf"|(?-i:Via|via (?=[A-Z])) ?(?-i:[A-Z])[\w'’.]{{1,30}}(?: {_NAME_WORD}){{0,3}},? \d{{1,4}}(?:/?[a-z])?(?!\w))",
    _I,
)
_POSTCODE = re.compile(
    r"(?<![A-Za-z0-9])(?:GIR ?0AA|[A-PR-UWYZ](?:\d{1,2}|[A-HK-Y]\d{1,2}|\d[A-HJKS-UW]|[A-HK-Y]\d[ABEHMNPRV-Y]) \d[ABD-HJLNP-UW-Z]{2}"
    r"|[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z] \d[ABCEGHJ-NPRSTV-Z]\d"
    r"|(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[AT]|W[AIVY]) \d{5}(?:-\d{4})?)(?![A-Za-z0-9])"
)
_PO_BOX = re.compile(
    r"(?<!\w)(?:p\.? ?o\.? ?box|postfach|bo[iî]te postale|apartado(?: de correos)?|casella postale|caixa postal|postbus)[ :#]{1,2}\d{1,7}",
    _I,
)
_DECIMAL = r"[-+]?\d{1,3}\.\d{3,}"
_COORDINATES = re.compile(
    rf"(?<![\w.+-])(?:geo:|@|ll=|q=|loc:)?({_DECIMAL})°?\s?[NS]?\s?[,;/_ |]\s{{0,2}}({_DECIMAL})°?\s?[EW]?(?![\w.]\d|\d)",
    _I,
)
_DEGREES = re.compile(
    r"(?:[NSEWO] ?)?(?<![\w.])\d{1,3}(?:\.\d+)? ?(?:°|º|deg)(?: ?\d{1,2}(?:\.\d+)? ?['′’m](?: ?\d{1,2}(?:\.\d+)? ?(?:\"|″|''|”|s))?)? ?[NSEWO](?!\w)"
    r"|(?<!\w)[NS] ?\d{1,2}\.\d{2,},? ?[EW] ?\d{1,3}\.\d{2,}",
    _I,
)
_COORDINATE_WORD = re.compile(
    r"(?<![^\W_])(?:lat(?:itude)?|l(?:on|ng)(?:gitude)?|longitude)[\s:=/_\"'-]{1,4}([-+]?\d{1,3}\.\d{2,})", _I
)
_PLUS_CODE = re.compile(
    r"(?<![\w+])(?:[23456789CFGHJMPQRVWX]{8}|[23456789CFGHJMPQRVWX]{4,6})\+[23456789CFGHJMPQRVWX]{2,3}(?![\w+])"
)
_THREE_WORDS = re.compile(r"(?<![\w/:])///[^\W\d_]{3,}\.[^\W\d_]{3,}\.[^\W\d_]{3,}")

# -- names

_WORDS3 = rf"({_LETTER}[\w'’]*+(?:[ .-]{_LETTER}[\w'’]*+\.?){{0,3}})"
_GREETING = re.compile(
    r"(?<![^\W_])(hello|hi|hey|dear|welcome back|welcome|greetings|good (?:morning|afternoon|evening)|thanks|thank you|congratulations|"
    r"happy birthday|bonjour|salut|bonsoir|bienvenue|cher|chère|hallo|guten (?:tag|morgen|abend)|liebe[rs]?|sehr geehrte[rs]?|"
    r"willkommen zurück|willkommen|servus|moin|grüezi|grüß gott|hola|buen[oa]s (?:días|tardes|noches)|estimad[oa]|querid[oa]|"
    r"bienvenid[oa](?: de nuevo)?|ciao|buongiorno|buonasera|gentile|car[oa]|benvenut[oa]|olá|bom dia|prezad[oa]|bem-vind[oa]|"
    r"hej|hei|välkommen|velkommen|welkom(?: terug)?|beste|geachte|cześć|witaj|dzień dobry|drog[ia]|ahoj|merhaba|sayın|"
    rf"привет|здравствуйте|уважаем(?:ый|ая))(,|!|:)?[ \u00a0]{_WORDS3}",
    _I,
)
_WEAK_GREETING = frozenset(
    ["welcome", "thanks", "congratulations", "bienvenue", "willkommen", "cher", "chère", "caro", "cara", "hei", "beste", "liebe", "lieber", "liebes", "moin", "hello", "hallo", "car"]
) | {"thank you"}
_TITLE = re.compile(
    r"(?<![^\W_])(mr|mrs|ms|miss|mx|dr|prof|professor|herrn?|frau|fräulein|mme|mlle|monsieur|madame|mademoiselle|sr|sra|srta|señora?|señorita|"
    r"don|doña|dona|sig|signora?|sig\.ra|dott|dottoressa|dott\.ssa|avv|ing|senhora?|pan|pani|pana|mevrouw|meneer|dhr|mevr|mw|doctor|sir|lady|lord|"
    rf"rev|reverend|capt|captain|господин|госпожа)(\.?)[ \u00a0](?:(?:dr|prof|med|von|van|de)\.?[ \u00a0]){{0,2}}{_WORDS3}",
    _I,
)
_WEAK_TITLE = frozenset(
    ["miss", "don", "dona", "pan", "pani", "pana", "sir", "lady", "lord", "sr", "ing", "professor", "doctor", "captain", "capt", "rev", "reverend", "sig", "avv", "ms"]
)
_ACCOUNT_WORD = (
    r"(?:account|profile|user ?name|user|customer|patient|client|member|employee|student|passenger|traveller|guest|recipient|"
    r"contact|beneficiary|card ?holder|tenant|candidate|applicant|subscriber|holder|owner|name|full name|first name|last name|surname|signed in|logged in|"
    r"konto|profil|benutzer|nutzer|kunde|kundin|patientin|mitglied|vorname|nachname|compte|utilisateur|cuenta|perfil|usuario|cliente|conta|utente|"
    r"paziente|paciente|gebruiker|klant|nom|prénom|nombre|nome|naam|imię|nazwisko|użytkownik|angemeldet|connecté|attn|c/o|mr|"
    r"order|invoice|receipt|booking|reservation|appointment|prescription|quote|statement|bill|ticket|bestellung|rechnung|termin|buchung|commande|facture|"
    r"pedido|factura|reserva|ordine|fattura|fatura|edit|delete|impersonate|message|chat|call|conversation|inbox|dashboard|orders|medical record|record|cart|wishlist|settings|"
    r"invited|shared|sent|resume|cv|lebenslauf|curriculum vitae|application|bewerbung)"
)
_ACCOUNT = re.compile(
    rf"(?<![^\W_])({_ACCOUNT_WORD})(\s?(?::|–|—|\||#|=|-)\s?|\s(?:of|for|von|vom|für|de|di|da|do|del|du|van|voor|dla|as|als|with|mit|by|from|to|avec|con|pour|para|per|is)\s|\s)"
    rf"{_WORDS3}",
    _I,
)
_POSSESSED = re.compile(
    rf"{_WORDS3}(?<=['’sxz])[ \u00a0](?:account|profile|orders?|cart|basket|wish ?list|dashboard|inbox|konto|profil|settings|photos|"
    r"timeline|subscription|invoices?|bookings?|reservations?|medical|health|results|calendar|address|phone|email|birthday|"
    r"appointments?|prescriptions?|page|resume|cv|order|messages|payment|tickets?|bestellung(?:en)?)(?!\w)",
    _I,
)
_BEFORE = re.compile(
    rf"{_WORDS3}\s?(?:[|–—·»>:,-]|\()\s?(?:my |mein |your |user |customer |public |edit |patient |mon |mi )?(account|profile|profil|konto|compte|cuenta|perfil|dashboard|"
    r"patient|customer|member|user|my account|medical record|resume|cv|lebenslauf)(?!\w)",
    _I,
)
_PARTICLES = frozenset(
    ["von", "van", "de", "der", "den", "di", "da", "del", "della", "du", "la", "le", "bin", "ibn", "al", "el", "dos", "das", "zu", "zum", "ter", "ten", "y", "e", "mac", "o'"]
)
_HANDLE = re.compile(r"(?<![\w/.@])@[A-Za-z_][\w.]{1,38}(?![\w/@-])")
_NO_HANDLE = frozenset(
    ["media", "import", "keyframes", "font-face", "charset", "supports", "layer", "page", "todo", "param", "return", "override", "latest", "next"]
)
_SEARCH = re.compile(
    r"(?<![^\W_])(?:search(?:ed|ing)?(?: results?)?|results?|you searched|suche|suchergebnisse?|ergebnisse|recherche|résultats?|búsqueda|resultados?|risultati|ricerca|"
    r"pesquisa|zoekresultaten|wyniki|sök|query)\s{0,2}(?:(?:for|nach|für|pour|de|del|para|per|voor|dla)\b|:|=|–|-)\s{0,2}"
    r"([^|–—\n]{2,120}?)(?=\s[|–—-]\s|\s?[|–—\n]|$)",
    _I,
)


def _people(words: str, *, sure: bool, lower: bool = False) -> int:
    """Return how many characters at the start are somebody's name, or 0.

    Args:
        sure: whether what stands before announces a name and little else.
        lower: whether the text tells nothing by its capitals, as a slug does.
    """
    names = first_names()
    end, capitals, known = 0, 0, False
    for match in re.finditer(r"[^\s-]+", words):
        word = match.group().strip(".,")
        plain = fold(word.rstrip("'’"))
        if plain.endswith(("'s", "’s")):
            plain = plain[:-2]
        if end and plain in _PARTICLES:
            continue
        if plain in NOT_NAMES and plain not in names:
            break
        parts = plain.split(".")
        if plain in names or (len(parts) > 1 and parts[0] in names):
            known = True
        elif (not (word[:1].isupper() and (len(word) > 1 or end)) and not (lower and known and end)) or (not sure and not known and any(character.isdigit() for character in word)):
            break
        capitals += 1
        end = match.end()
        if capitals == 3:
            break
    if not end:
        return 0
    if known or sure:
        return end
    return end if capitals >= 2 else 0


def _names(text: str, *, slug: bool) -> Iterator[Span]:
    for match in _GREETING.finditer(text):
        greeting, mark, words = match.group(1).lower(), match.group(2), match.group(3)
        sure = not slug and (greeting not in _WEAK_GREETING or bool(mark))
        if greeting in ("hello", "hallo", "hi", "hey") and not slug:
            sure = True
        size = _people(words, sure=sure, lower=slug)
        if size:
            yield match.start(3), match.start(3) + size, "name"
    for match in _TITLE.finditer(text):
        title, dot, words = match.group(1).lower(), match.group(2), match.group(3)
        if not slug and not match.group(1)[0].isupper() and words[:1].islower():
            continue
        sure = not slug and (title not in _WEAK_TITLE or bool(dot)) and words[:1].isupper()
        size = _people(words, sure=sure, lower=slug)
        if not size and slug and title in ("mr", "mrs", "ms", "dr", "herr", "frau", "mme", "prof"):
            first = words.replace("-", " ").split(" ")[0]
            size = len(first) if len(first) > 2 and first not in NOT_NAMES and first.isalpha() else 0
        if size:
            yield match.start(3), match.start(3) + size, "name"
    for match in _ACCOUNT.finditer(text):
        size = _people(match.group(3), sure=False, lower=slug)
        if not size and match.group(1).lower() in _SIGNED and match.group(2).strip() and not slug:
            first = match.group(3).split(" ")[0].strip(".,-")
            size = len(first) if len(first) > 1 and fold(first) not in NOT_NAMES else 0
        if size:
            yield match.start(3), match.start(3) + size, "name"
    if "s " in text or "'" in text or "’" in text:
        for match in _POSSESSED.finditer(text):
            yield from _last_names(match, match.group(1))
    for match in _BEFORE.finditer(text):
        yield from _last_names(match, match.group(1), known=True)


_SIGNED = frozenset(
    (
        "signed in",
        "logged in",
        "username",
        "user name",
        "first name",
        "last name",
        "surname",
        "full name",
        "vorname",
        "nachname",
        "prénom",
        "angemeldet",
        "connecté",
        "patient",
        "passenger",
    )
)


def _last_names(match: re.Match[str], words: str, *, known: bool = False) -> Iterator[Span]:
    # The words before may be more than the name: "View Alice Smith's profile".
    parts = list(re.finditer(r"[^\s-]+", words))
    start = None
    named = False
    count = 0
    for part in reversed(parts):
        word = part.group().rstrip("'’")
        plain = fold(word)
        for ending in ("'s", "’s"):
            plain = plain.removesuffix(ending)
        is_known = plain in first_names() or (plain.endswith("s") and plain[:-1] in first_names())
        if not is_known and (plain in NOT_NAMES or plain.removesuffix("s") in NOT_NAMES or not word[:1].isupper()):
            break
        named = named or is_known
        start = part.start()
        count += 1
    marked = "'" in words or "’" in words
    if start is not None and (named if known else (marked and (named or count <= 3)) or (named and count > 1)):
        yield match.start(1) + start, match.end(1), "name"


def mentions_health(text: str) -> bool:
    """Tell whether a search asks about somebody's health, or for somebody by name."""
    words = [fold(word) for word in re.findall(r"[^\W\d_]+", text)]
    return any(word in HEALTH for word in words) or any(word in first_names() for word in words)


# -- all of it

_DIGITS3 = re.compile(r"\d[\d .\-/()\u00a0\u202f\u2010-\u2013_]{2,}")
_LONG_RUN = re.compile(r"[A-Za-z0-9_+/=.-]{12}")


def spans(text: str, *, strict: bool = False, slug: bool = False, bare: bool = True, names: bool = True) -> list[Span]:
    """Return where something personal stands, in order, without overlaps.

    Args:
        text: decoded, and no longer than a few KiB.
        strict: look also for what is pseudonymous: record ids, handles, searches.
        slug: the words are those of a path segment: small letters, hyphens read as spaces.
        bare: whether digits that stand alone can be a telephone number, a thing that a number in a path is not.
        names: whether to look for people's names.
    """
    found: list[Span] = []
    if "@" in text:
        for match in _EMAIL.finditer(text):
            if not _IMAGE_SCALE.search(match.group()):
                found.append((*match.span(), "email"))
        if strict:
            found += [
                (*match.span(), "handle") for match in _HANDLE.finditer(text) if match.group()[1:] not in _NO_HANDLE
            ]
    if _AT.search(text):
        found += [(*match.span(), "email") for match in _EMAIL_SPELLED.finditer(text)]
    if _LONG_RUN.search(text):
        found += [(*match.span(), "token") for match in _PREFIXED.finditer(text)]
        found += [(*match.span(), "token") for match in _PEM.finditer(text)] if "-----BEGIN" in text else []
        found += _runs(text, strict)
        found += [(*match.span(1), "token") for match in _BEARER.finditer(text) if _tokenish(match.group(1))]
    if "=" in text or ":" in text or " i" in text or " e" in text:
        for match in _CARRIED.finditer(text):
            value = match.group(2)
            if "=" in match.group() or (any(c.isdigit() for c in value) and len(value) >= 4) or _tokenish(value):
                found.append((*match.span(2), "secret"))
        found += [
            (*match.span(2), "secret") for match in _PAIR.finditer(text) if denied_key(match.group(1), strict=strict)
        ]
    if _ANY_DIGIT.search(text):
        found += _numbers(text, bare=bare, slug=slug)
    elif ":" in text:
        found += [(*match.span(), "mac") for match in _MAC.finditer(text)]
    if names:
        found += _names(text, slug=slug)
    if "///" in text:
        found += [(*match.span(), "place") for match in _THREE_WORDS.finditer(text)]
    if strict:
        if _LONG_RUN.search(text):
            found += [(*match.span(), "id") for match in _UUID.finditer(text)]
            found += [(*match.span(), "id") for match in _ULID.finditer(text)]
        if not slug:
            found += [(*match.span(1), "search") for match in _SEARCH.finditer(text) if match.group(1)[0] != "["]
    return _merged(found)


def slug_spans(words: str) -> list[Span]:
    """Return what the words of a path segment announce, its hyphens read as spaces: names, births, places, numbers.

    >>> bool(slug_spans("welcome alice smith")), slug_spans("hello world")
    (True, [])
    """
    found = list(_names(words, slug=True))
    if _ANY_DIGIT.search(words):
        found += [(*match.span(1), "birth") for match in _BIRTH.finditer(words)]
        for match in _STREET_EN.finditer(words):
            inner = match.group(1).lower().split()
            if len(inner) <= 3 and not _NO_STREET.intersection(inner):
                found.append((*match.span(), "place"))
        for pattern in (_STREET_DE, _STREET_ROMANCE):
            found += [(*match.span(), "place") for match in pattern.finditer(words)]
        for match in _PHONE_WORD.finditer(words):
            digits = re.sub(r"\D", "", match.group(1))
            if 7 <= len(digits) <= 15 and not is_phone_like_date(digits):
                found.append((*match.span(1), "phone"))
        for match in _ID_WORD.finditer(words):
            digits = re.sub(r"\D", "", match.group(1))
            if len(digits) >= 7 and not is_phone_like_date(digits):
                found.append((*match.span(1), "id-number"))
    return _merged(found)


_AT = re.compile(r"[\[({<\s_.-](?:at|@|arroba|chez|ät|æt)[\])}>\s_.-]", _I)
_ANY_DIGIT = re.compile(r"\d")


def _tokenish(value: str) -> bool:
    return any(c.isdigit() for c in value) or _mixed(value) or len(value) >= 20


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


def _runs(text: str, strict: bool) -> Iterator[Span]:
    for match in _RUN.finditer(text):
        run = match.group()
        label = token_label(run, strict=strict) if "/" not in run or "+" in run else None
        if label is None and "/" in run:
            start = match.start()
            for part in run.split("/"):
                inner = token_label(part, strict=strict) if len(part) >= 16 else None
                if inner:
                    yield start, start + len(part), inner
                start += len(part) + 1
        elif label:
            yield *match.span(), label
    for match in _HIDDEN.finditer(text):
        if _hidden(match.group()):
            yield *match.span(), "email"


def _numbers(text: str, *, bare: bool, slug: bool) -> Iterator[Span]:
    if ":" in text or "-" in text or "." in text:
        for match in _MAC.finditer(text):
            yield *match.span(), "mac"
    if "." in text:
        for match in _IPV4.finditer(text):
            octets = match.group().split(".")
            if all(int(octet) < 256 for octet in octets) and not _VERSION_BEFORE.search(
                text, max(0, match.start() - 12), match.start()
            ):
                yield *match.span(), "ip"
        for match in _COORDINATES.finditer(text):
            one, two = match.group(1), match.group(2)
            known = (
                match.group().lstrip()[0] in "gGlLqQ@"
                or "°" in match.group()
                or bool(re.search("[NSEW]", match.group()))
            )
            long = max(len(one.partition(".")[2]), len(two.partition(".")[2])) > 3
            if (
                abs(float(one)) <= 180
                and abs(float(two)) <= 180
                and (known or long or ("," in match.group() and ", " not in match.group()))
            ):
                yield *match.span(), "place"
        for match in _COORDINATE_WORD.finditer(text):
            yield *match.span(1), "place"
    if ":" in text:
        for match in _IPV6.finditer(text):
            groups = match.group().split(":")
            if any(c.isdigit() for c in match.group()) and (
                any(len(g) > 2 for g in groups) or sum(map(bool, groups)) > 3
            ):
                try:
                    IPv6Address(match.group())
                except ValueError:
                    continue
                yield *match.span(), "ip"
    if "ip" in text or "IP" in text:
        for match in _IPV4_DASHED.finditer(text):
            yield *match.span(), "ip"
    for match in _DEGREES.finditer(text) if ("°" in text or "º" in text or "deg" in text or _NS.search(text)) else ():
        yield *match.span(), "place"
    if "+" in text:
        for match in _PLUS_CODE.finditer(text):
            yield *match.span(), "place"
    for match in _BIRTH.finditer(text):
        yield *match.span(1), "birth"
    for match in _STREET_EN.finditer(text):
        words = match.group(1).lower().split()
        if not _NO_STREET.intersection(words) and (not slug or len(words) <= 3):
            yield *match.span(), "place"
    for pattern in (_STREET_DE, _STREET_ROMANCE, _POSTCODE, _PO_BOX):
        for match in pattern.finditer(text):
            yield *match.span(), "place"
    for match in _IBAN.finditer(text):
        raw = match.group()
        size = is_iban(re.sub(r"[ -]", "", raw).upper())
        if size:
            yield match.start(), match.start() + _reach(raw, size), "account"
    for match in _LETTERED.finditer(text):
        if _lettered_id(match.group()):
            yield *match.span(), "id-number"
    if not _FEW_DIGITS.search(text):
        return
    for match in _SSN.finditer(text):
        yield *match.span(), "id-number"
    for match in _FORMATTED_ID.finditer(text):
        digits = re.sub(r"\D", "", match.group())
        if (
            national_id(digits)
            or weak_national_id(digits)
            or len(digits) == 13
            or re.fullmatch(r"\d\d-\d{8}-\d|\d{3}-\d{3}-\d{3} \d\d", match.group())
        ):
            yield *match.span(), "id-number"
    for match in _DATED_ID.finditer(text):
        a, month, b = int(match.group(1)), int(match.group(2)) % 50 % 20, int(match.group(3))
        if 1 <= month <= 12 and (1 <= a % 40 <= 31 or 1 <= b % 60 <= 31):
            yield *match.span(), "id-number"
    for match in _ID_WORD.finditer(text):
        value = match.group(1)
        digits = sum(c.isdigit() for c in value)
        if digits >= 5 and not is_phone_like_date(re.sub(r"\D", "", value)):
            yield *match.span(1), "id-number"
    yield from _grouped(text)
    for match in _PHONE_INTL.finditer(text):
        if sum(c.isdigit() for c in match.group()) >= (8 if match.group()[0] == "+" else 10):
            yield *match.span(), "phone"
    for match in _PHONE_WORD.finditer(text):
        digits = re.sub(r"\D", "", match.group(1))
        if 7 <= len(digits) <= 15 and not is_phone_like_date(digits):
            yield *match.span(1), "phone"
    for match in _PHONE_FORMS.finditer(text):
        if not _skip_phone(text, match):
            yield *match.span(), "phone"
    for match in _PHONE_TRUNK.finditer(text):
        digits = re.sub(r"\D", "", match.group())
        if 8 <= len(digits) <= 13 and not is_phone_like_date(digits) and not _skip_phone(text, match):
            yield *match.span(), "phone"
    if bare:
        for pattern in (_PHONE_BARE0, _PHONE_BARE):
            for match in pattern.finditer(text):
                if not _skip_phone(text, match) and match.group() != text.strip():
                    yield *match.span(), "phone"


_NS = re.compile(r"[NSns] ?\d{1,2}\.\d")
_FEW_DIGITS = re.compile(r"\d(?:[^\d]{0,4}\d){5}")


def _skip_phone(text: str, match: re.Match[str]) -> bool:
    return _NO_PHONE.search(text, max(0, match.start() - 14), match.start()) is not None


def _reach(raw: str, size: int) -> int:
    seen = 0
    for index, character in enumerate(raw):
        seen += character not in " -"
        if seen == size:
            return index + 1
    return len(raw)


def _grouped(text: str) -> Iterator[Span]:
    """Find cards and national ids among digits that separators may part."""
    budget = _MOST_GROUPS
    for match in _GROUPED.finditer(text):
        raw = match.group()
        digits = sum(c.isdigit() for c in raw)
        if digits < 9:
            continue
        groups = [(part.start(), part.end(), part.group()) for part in _GROUP.finditer(raw)]
        budget -= len(groups)
        if budget < 0:
            # Nobody writes that many numbers in a row; what is not looked at does not pass.
            yield *match.span(), "numbers"
            continue
        if len(groups) == 1 and raw[-1] not in "xX":
            value = groups[0][2]
            if is_card(value) or (_strong(value) and not _ISBN.search(text, max(0, match.start() - 12), match.start())):
                yield *match.span(), "card" if is_card(value) else "id-number"
            continue
        yield from _windows(text, match.start(), raw, groups)


def _strong(value: str) -> bool:
    # Ten bare digits are a national id in one case of forty by accident: too weak where nothing announces them.
    return len(value) > 10 and national_id(value)


def _windows(text: str, offset: int, raw: str, groups: list[tuple[int, int, str]]) -> Iterator[Span]:
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
            if label and not (size in (10, 13) and _ISBN.search(text, max(0, offset - 12), offset)):
                yield offset + groups[index][0], offset + groups[last][1], label
                index = last
                break
        index += 1


def _plausible(groups: list[tuple[int, int, str]]) -> bool:
    return len(groups) == 1 or all(len(group[2]) <= 6 for group in groups)


def _nhs_shape(groups: list[tuple[int, int, str]]) -> bool:
    return [len(group[2]) for group in groups] == [3, 3, 4]
