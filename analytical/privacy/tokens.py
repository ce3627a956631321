"""Keys, tokens and ids of records: known prefixes, and runs that were drawn and not written."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from .lazy import lazy
from .look import Look, Span
from .words import denied_key, words

__all__ = ["ANNOUNCING", "code", "find", "is_random", "prefixed", "record_id", "token_label", "unwritten"]

_I = re.IGNORECASE
_PREFIXED = lazy(
    r"(?<![A-Za-z0-9])(?:"
    r"eyJ[\w-]{5,}+(?:\.[\w=-]*+){0,4}"  # JSON Web Tokens, signed or encrypted
    r"|(?:sk|pk|rk)_(?:live|test)_\w{8,}+|whsec_[\w+/=]{8,}+|(?:acct|cus|pi|seti|cs_live|cs_test)_\w{14,}+"  # Stripe
    r"|(?:A3T[A-Z0-9]|AKIA|ASIA|AGPA|AIDA|AROA|AIPA|ANPA|ANVA|ABIA|ACCA)[A-Z0-9]{12,}+"  # AWS
    r"|gh[pousr]_\w{16,}+|github_pat_\w{20,}+|gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|soat)-[\w-]{16,}+"
    r"|xox[abeoprs]-[\w-]{8,}+|xapp-[\w-]{8,}+|AIza[\w-]{20,}+|ya29\.[\w-]{10,}+|1//0[\w-]{20,}+|GOCSPX-[\w-]{16,}+"
    r"|[0-9]{6,}+-[a-z0-9]{20,}\.apps\.googleusercontent\.com"
    r"|sk-(?:ant-|proj-|or-|svcacct-|lf-)?[\w-]{16,}+|SG\.[\w-]{10,}+\.[\w-]{10,}+|key-[0-9a-f]{20,}+|npm_\w{20,}+"
    r"|pypi-[\w-]{20,}+|do[opr]_v1_\w{16,}+|hf_\w{16,}+|shp(?:at|ss|ca|pa)_\w{16,}+|sq0[a-z]{3}-[\w-]{16,}+"
    r"|EAA[A-Za-z0-9]{20,}+"
    r"|lin_api_\w{16,}+|fig[dou]_[\w-]{16,}+|dckr_pat_[\w-]{10,}+|hv[sb]\.[\w-]{16,}+|ATATT3[\w=-]{16,}+"
    r"|NRAK-\w{16,}+"
    r"|PMAK-[\w-]{16,}+|rubygems_\w{16,}+|sntry[su]_[\w=+/-]{16,}+|ntn_\w{16,}+|ph[cxrs]_\w{16,}+|pat-(?:na"
    r"|eu)\d-[\w-]{16,}+"
    r"|[a-z]{2,6}_(?:live|test|prod|sandbox)_\w{10,}+|[rs]k_[a-z]+_\w{16,}+|(?:AC|SK)[0-9a-f]{32}|dapi[0-9a-f]{32}|glsa_\w{20,}+|gsk_\w{20,}+|r8_\w{20,}+"
    r"|pplx-\w{20,}+"
    r"|xkeysib-[\w-]{16,}+|re_\w{16,}+|AGE-SECRET-KEY-1\w{20,}+|\$2[abxy]\$\d\d\$[\w./]{20,}+"
    r"|\$argon2\w+\$[\w$=,+/]{20,}+"
    r"|\d{8,10}:[\w-]{35}|[MNO][\w-]{22,27}\.[\w-]{6}\.[\w-]{27,}+|T[A-Z0-9]{8,10}/B[A-Z0-9]{8,10}/\w{20,}+"
    r"|AKC[A-Za-z0-9]{10,}+|LTAI\w{12,}+|AKID\w{13,}+|tk_\w{20,}+|tok_\w{10,}+|sess_\w{10,}+"
    r"|ory_[a-z]{2}_[\w.-]{16,}+"
    r"|secret_[A-Za-z0-9]{16,}+|nfp_\w{20,}+|vc[pk]_\w{20,}+|CFPAT-[\w-]{20,}+|m[gs]-[0-9a-f]{32}|oauth_\w{16,}+"
    r")"
)
_PEM = lazy(r"-----BEGIN [A-Z ]{3,40}-----(?:[^-]|-(?!----))*+(?:-----END [A-Z ]{3,40}-----)?")
_BEARER = lazy(r"(?<!\w)(?:bearer|basic|digest|apikey|token)\s+([\w.~+/-]{12,}+=*)")
_CARRIED = lazy(
    r"(?<![A-Za-z0-9])(passwor[dt]|passwd|pwd|passphrase|pass|secret|token|api[ _-]?key|access[ _-]?(?:key|token)"
    r"|session[ _-]?id|"
    r"sid|otp|pin(?: code)?|one[- ]time (?:code|password)|(?:your|verification|security|access|reset|login|auth"
    r"|confirmation|backup) "
    r"code|cvv2?|cvc2?|csrf|signature|credentials?|passcode|kennwort|mot de passe|contraseña|senha|hasło|wachtwoord"
    r"|parola)"
    r"[\"']?\s{0,2}(?:[:=]|\bis\b|\bist\b|\best\b|\bes\b)\s{0,2}[\"']?([^\s\"'&;,<>]{3,}+)",
)
_CARRIERS = words(
    "your password passwort passwd pwd passphrase pass secret token api apikey access session sid otp pin one "
    "verification security reset login auth confirmation backup cvv cvc csrf signature credential credentials "
    "passcode kennwort mot contraseña senha hasło wachtwoord parola"
)
_BEARERS = frozenset(["bearer", "basic", "digest", "apikey", "token"])
#: Without one of these, only the form of a run tells of a token.
ANNOUNCING = _CARRIERS | _BEARERS
_PAIR = lazy(r"(?<![\w.-])([A-Za-z_][\w.-]{1,40}+)=([^\s&;#\"'<>]++)")
_HEX = lazy(r"[0-9a-f]{16,}|[0-9A-F]{16,}")
_UUID = lazy(
    r"(?<![0-9A-Za-z])[0-9A-Fa-f]{8}([-_]?)[0-9A-Fa-f]{4}\1[0-9A-Fa-f]{4}\1[0-9A-Fa-f]{4}\1[0-9A-Fa-f]{12}(?![0-9A-Za-z])"
)
_ULID = lazy(r"(?<![0-9A-Za-z])0[01][0-9A-HJKMNP-TV-Z]{24}(?![0-9A-Za-z])", _I)
_RUN = lazy(r"(?<![A-Za-z0-9_+/=-])[A-Za-z0-9_+/=-]{16,}+")
_CHUNK = lazy(r"[A-Z]+[a-z]*|[a-z]+|\d+")
_LICENCE = lazy(r"(?<![A-Za-z0-9-])(?:[A-Z0-9]{4,6}-){3,7}[A-Z0-9]{4,6}(?![A-Za-z0-9-])")
_HIDDEN = lazy(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{12,}+={0,2}")
#: Between the rarest written words and drawn letters.
_UNWRITTEN = 5.1
_UNWRITTEN_CODE = 4.9
_MAIL = lazy(r"[\w.+-]{1,64}@[\w-]{1,63}\.[\w.-]{2,63}")


def find(look: Look, strict: bool) -> Iterator[Span]:
    """Find keys and tokens, and with ``strict`` ids of records."""
    text, low = look.text, look.low
    if look.runs:
        for match in _PREFIXED.finditer(text):
            yield *match.span(), "token"
        if "-----BEGIN" in text:
            for match in _PEM.finditer(text):
                yield *match.span(), "token"
        yield from _runs(text, strict)
        if not _BEARERS.isdisjoint(look.words):
            for match in _BEARER.finditer(low):
                if _tokenish(text[match.start(1) : match.end(1)]):
                    yield *match.span(1), "token"
        if strict:
            for pattern in (_UUID, _ULID):
                for match in pattern.finditer(text):
                    yield *match.span(), "id"
    if not _CARRIERS.isdisjoint(look.words):
        for match in _CARRIED.finditer(low):
            value = text[match.start(2) : match.end(2)]
            if value[0] == "[":
                continue
            if "=" in match.group() or (len(value) >= 4 and any(c.isdigit() for c in value)) or _tokenish(value):
                yield *match.span(2), "secret"
    if "=" in text:
        for match in _PAIR.finditer(text):
            if match.group(2)[0] != "[" and denied_key(match.group(1), strict=strict):
                yield *match.span(2), "secret"


def prefixed(text: str) -> bool:
    """Tell whether a text holds a credential of a known form."""
    return _PREFIXED.search(text) is not None


def record_id(text: str) -> bool:
    """Tell whether a whole text is a record's id: a UUID, a ULID, or long hexadecimal digits."""
    return bool(_UUID.fullmatch(text) or _ULID.fullmatch(text) or (_HEX.fullmatch(text) and not text.isdigit()))


@cache
def _bigrams() -> dict[str, int]:
    lines = files(__package__).joinpath("bigrams.txt").read_text("utf-8").splitlines()
    rows = [line for line in lines if line and not line.startswith("#")]
    letters = "abcdefghijklmnopqrstuvwxyz"
    return {one + two: int(rows[x][y]) for x, one in enumerate(letters) for y, two in enumerate(letters)}


def unwritten(part: str) -> float:
    """Return how rarely the letters of a part follow each other in written words: below 5 for words, 6 for drawn ones.

    >>> unwritten("internationalization") < 4 < 6 < unwritten("qzxkvwjpfgtbhdmq")
    True
    """
    table = _bigrams()
    small = part.lower()
    costs = [table[small[index : index + 2]] for index in range(len(small) - 1) if small[index : index + 2] in table]
    return sum(costs) / len(costs) if costs else 0.0


def is_random(part: str) -> bool:
    """Tell whether a run of letters and digits was drawn and not written.

    A written run falls into few long words and numbers, a drawn one into many short pieces, and its letters follow
    each other as in no language.

    >>> is_random("iPhone15ProMaxCase"), is_random("x7Kq9ZpL2mVtR4wB"), is_random("JCwZWiZsfJzkapngnp9pTv")
    (False, True, True)
    """
    size = len(part)
    chunks = _CHUNK.findall(part)
    digits = sum(character.isdigit() for character in part)
    if digits == size or not chunks:
        return False
    mixed = not part.islower() and not part.isupper()
    if digits >= 2:
        if size >= 16 and len(chunks) >= 5 and size / len(chunks) < (3.4 if part.isupper() else 3.0):
            return True
        if size < 16:
            return size >= 10 and len(chunks) >= 5 and size / len(chunks) < (2.3 if mixed else 1.9)
    if size < 16:
        return False
    if mixed and size / len(chunks) < 2.4:
        return True
    return size - digits >= 12 and unwritten(part) >= _UNWRITTEN


def code(text: str) -> bool:
    """Tell whether a short run of letters and digits was drawn, where what stands before says that a code follows.

    >>> code("zwQjnsGLO"), code("K0yFjywB"), code("addToCart"), code("newsletter")
    (True, True, False, False)
    """
    if not text.isalnum() or text.isdigit() or len(text) < 6:
        return False
    if sum(map(str.isdigit, text)) >= 2:
        return True
    written = text.islower() or text.isupper() or text.istitle()
    drawn = _mixed(text) or unwritten(text) >= _UNWRITTEN_CODE or any(map(str.isdigit, text))
    return not written and drawn


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
        joined = "".join(parts)
        if len(joined) >= 6 * len(parts) and sum(map(str.isdigit, joined)) >= 2 and _mixed(joined):
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


def _tokenish(value: str) -> bool:
    return any(c.isdigit() for c in value) or _mixed(value) or len(value) >= 20


def _runs(text: str, strict: bool) -> Iterator[Span]:
    for match in _HIDDEN.finditer(text):
        if _hidden(match.group()):
            yield *match.span(), "email"
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


def _hidden(run: str) -> bool:
    """Tell whether base64 or hexadecimal digits spell an e-mail address."""
    bare = run.rstrip("=")
    if len(bare) % 4 == 1 or len(bare) > 1024:
        bare = bare[: len(bare) // 4 * 4][:1024]
    plain = base64.b64decode(bare.replace("-", "+").replace("_", "/") + "=" * (-len(bare) % 4))
    if b"@" in plain and _MAIL.search(plain.decode("latin-1")):
        return True
    if len(run) % 2 == 0 and "40" in run and _HEX.fullmatch(run):
        return bool(_MAIL.search(bytes.fromhex(run).decode("latin-1")))
    return False
