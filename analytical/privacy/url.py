"""Addresses of pages: what a report needs of them, and nothing that names a person or opens a door.

Userinfo, fragment, matrix parameters and every query parameter outside an allow-list go. A path segment that is or
holds an identifier
becomes a word with a colon (``:email``, ``:token``); under ``strict`` record ids, handles and user names
become ``:id``. Plain numbers and slugs are never rewritten: that would merge ``/products/1`` and ``/products/2``.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from .address import anonymize_ip_address, parse_ip_address
from .detect import decoded, slug_spans, spans
from .lazy import lazy
from .look import shorten
from .memory import MISSING, Memory
from .names import mentions_health
from .tokens import code, is_random, prefixed, record_id, token_label
from .words import DENIED, DOUBTFUL, NOT_NAMES, PEOPLE, RESERVED, denied_key, first_names, fold, words

__all__ = ["QUERY_ALLOW", "origin", "scrub_url", "with_route"]

#: The parameters of https://support.google.com/analytics/answer/10917952; ``utm_term`` holds what was searched.
QUERY_ALLOW = words(
    "utm_source utm_medium utm_campaign utm_content utm_id utm_source_platform utm_creative_format utm_marketing_tactic"
)

_PARTS = lazy(r"(?:([A-Za-z][A-Za-z0-9+.-]{0,31}):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?", re.DOTALL)
_HOST = lazy(r"(?:\[[0-9A-Fa-f:.]{2,64}\]|[\w-]+(?:\.[\w-]+)*\.?)(?::\d{1,5})?")
_APP_SCHEMES = frozenset({"android-app", "ios-app", "app"})
_WEB_SCHEMES = frozenset({"http", "https", "ftp", "ws", "wss"})
#: Deeper paths and longer queries are cut there.
_MOST_SEGMENTS = 24
_MOST_PAIRS = 64
_LONGEST_SEGMENT = 512
#: Characters of a path, beyond which only what is plain at a glance is kept.
_MOST_LOOKED = 1024
_CONTROL = lazy(r"[\x00-\x20\x7f]+")
_MATRIX = lazy(r";|%(?:25){0,2}3[Bb]")
# A segment of letters, or a short plain number, is most segments of most sites.
_PLAIN = lazy(r"[A-Za-z]{0,24}(?:[-_][A-Za-z]{1,24}){0,12}(?:\.(?:html?|php|aspx?|jsp))?|\d{1,8}")
# A slug with a few short numbers in it: too few digits for anything that is told by its digits.
_SLUG = lazy(
    r"(?=(?:[^0-9]*[0-9]){1,6}[^0-9]*\Z)[A-Za-z0-9]{1,24}(?:[-_][A-Za-z0-9]{1,24}){0,16}(?:\.(?:html?|php|aspx?"
    r"|jsp))?"
)
_STREETS = lazy(
    r"(?:str(?:a(?:ss|ß)e)?|weg|platz|allee|gasse|damm|ufer|chaussee|steig|stieg|straat|laan|plein|gracht|kade|dijk"
    r"|singel|gatan|gade|vej|katu)[-_]\d",
    re.IGNORECASE,
)
_PIECE = lazy(r"[A-Za-z]+|[0-9]+")
_ASSET = lazy(r"[\w.@~-]{1,120}\.(?:m?js|css|map|woff2?|ttf|otf|eot|wasm|ico)", re.IGNORECASE)
_CONTEXT = words(
    "hello hi hey dear welcome greetings bonjour salut bienvenue hallo liebe lieber willkommen hola ciao ola hej "
    "mr mrs ms miss dr prof herr frau mme mlle monsieur madame sr sra senor senora account accounts profile user "
    "customer patient client member employee student passenger guest recipient contact konto profil benutzer "
    "kunde patientin compte utilisateur cuenta perfil usuario cliente for of order invoice booking appointment "
    "prescription name by from with to resume cv at s orders thanks congratulations page cart basket wishlist "
    "dashboard inbox settings photos timeline results calendar messages moin servus salut ola prezado prezada estimado "
    "estimada caro cara gentile buongiorno benvenuto benvenuta bienvenido bienvenida hej beste geachte witaj merhaba "
    "sehr cher chere querido querida prof madame monsieur signora signor doctor mevrouw pan pani sra srta capt rev"
)
_PLACES = words(
    "street st avenue ave road rd boulevard blvd lane ln drive dr court ct place pl square sq way terrace crescent "
    "close parkway pkwy circle "
    "highway hwy gardens grove mews row hill walk alley quay wharf loop trail pike plaza rue chemin impasse allee "
    "quai cours route calle "
    "avenida plaza paseo camino carrer viale piazza corso rua travessa ulica ul via box postfach born birthday dob "
    "geboren nato nacido ne nee "
    "phone tel telefon mobile mobil call fax sms whatsapp handy ip card passport ssn id iban"
)
_COMMIT = words(
    "commit commits blob tree raw sha rev revision revisions changeset blame compare object objects archive"
)
_CREDENTIAL = words(
    "token tokens reset reset-password password-reset resetpassword passwordreset password forgot forgot-password "
    "recover recovery verify verification verify-email email-verify confirm confirmation confirm-email activate "
    "activation magic magic-link magiclink invite invitation invitations invites auth login signin sign-in "
    "session sessions sess key keys api-key apikey api_key secret secrets unlock otp code codes oauth callback "
    "sso share shared access access-token share-link download-link private link links join accept set-password "
    "unsubscribe optout opt-out optin opt-in ticket passcode pin webhook webhooks hooks hook preview claim redeem "
    "authorize grant validate passwort zuruecksetzen bestaetigen einladung aktivieren abmelden reinitialiser "
    "confirmer restablecer confirmar password_reset reset_password verify_email confirm_email magic_link s sid "
    "jsessionid phpsessid 2fa mfa totp tan"
)
_CODES = words(
    "otp code codes verify verification confirm confirmation pin passcode token activate activation mfa 2fa totp"
)
_CONTACT = words(
    "phone tel telephone telefon mobile cell sms whatsapp fax call msisdn telefono telephone-number phone-number "
    "handy contact user users customer customers viber"
)
_NAMED = words(
    "name names first-name firstname first_name last-name lastname last_name surname full-name fullname username "
    "user-name user_name login nickname nick vorname nachname handle screenname screen-name"
)
_RECIPIENT = words(
    "unsubscribe unsub click clicks clicked open opens opened track tracking recipient recipients subscriber "
    "subscribers pixel beacon view-in-browser webversion optout opt-out rcpt contact-id click-id clickid gclid "
    "fbclid msclkid mc_eid newsletter-open email-open abmelden desabonnement desinscription baja"
)
_SHORT_RECIPIENT = words(
    "t r e c l ls ss wf el ct cl go redirect redir ref email emails mail mailing campaign link links aff affiliate"
)
_SEARCHES = words(
    "search searches suche suchen recherche rechercher buscar busqueda cerca ricerca zoeken pesquisa find results "
    "q query s szukaj sok keyword keywords"
)
_BORN = lazy(
    r"(/(?:born|dob|birthday|birthdate|birth|date-of-birth|geburtstag|geburtsdatum)/)\d{1,4}/\d{1,2}/\d{1,4}",
    re.IGNORECASE,
)
_DECIMAL = lazy(r"[-+]?\d{1,3}\.\d{3,}")
#: Segments behind which a known given name is somebody's: a greeting, a title, an account word, a group of people.
_GREETED = words(
    "hello hi hey dear welcome welcome-back greeting greetings bonjour salut bienvenue hallo liebe "
    "lieber willkommen hola "
    "bienvenido bienvenida ciao benvenuto benvenuta ola bem-vindo bem-vinda hej welkom witaj merhaba mr mrs ms miss dr "
    "prof herr frau mme mlle monsieur madame sr sra senor senora signor signora mevrouw"
)
_NEAR = _GREETED | words(
    "account accounts profile profiles konto kontos profil profile compte comptes cuenta cuentas perfil perfis conta "
    "contas account-of profilo profiel team teams staff family familie famille familia crew leadership doctor doctors "
    "dr-med arzt aerzte medecin medecins medico medicos lawyer lawyers speaker speakers coach coaches trainer trainers "
    "expert experts faculty alumni agent agents candidate candidates applicant applicants tenant tenants passenger "
    "passengers recipient recipients holder holders owner owners"
)
_BORN_ON = words(
    "born birth birthday birthdate dob bday date-of-birth geburtstag geburtsdatum naissance nacimiento nascimento "
    "nascita geboortedatum urodzenia"
)
# Language, script and region of RFC 5646; the first could also be a title.
_LOCALE = lazy(r"[a-z]{2,3}[-_][A-Z][a-z]{3}(?:[-_](?:[A-Z]{2}|[0-9]{3}))?")
# In lower case the word is also English for "by way of": only a whole segment of that form is a street's.
_VIA = lazy(r"via(?:[-_][a-z]{3,20}){1,3}[-_][0-9]{1,3}[a-z]?", re.IGNORECASE)
_LAT = frozenset(["lat", "latitude", "lon", "lng", "long", "longitude"])
_COOKIELESS = lazy(r"\((?:[A-Z]\([\w-]+\))+\)")
_RECIPIENT_VALUE = lazy(
    r"(?<![^\W_])(?:recipient|subscriber|subs?|user|contact|customer|member|rcpt|uid|cid|client|lead|person|patient"
    r"|r)[-_ .:]?(?:id[-_ .:]?)?\d{2,}(?!\d)",
    re.IGNORECASE,
)
_SAFE = "/:@!$&'()*+,=-._~%<>{}^|"

# Most addresses: a host, segments of small letters with at most a number behind them or alone, a query.
_COMMON = lazy(
    r"(https?://[\w.:-]{1,100}(?![^/?]))?"
    r"((?:/(?:[a-z]{1,15}+(?:-[a-z]{1,15}+){0,3}+(?:-[0-9]{1,6}+)?|[0-9]{1,8}+)(?![^/?])){0,12}+/?)"
    r"(?:\?([^#]{1,200}))?"
)
_ORIGIN = lazy(r"(https?://[\w.:-]{1,100})(?![^/?#])")
_LETTERS = lazy("[a-z]+")
#: The words of all segments that say something of themselves or of what stands behind them.
_TELLING = frozenset(
    re.findall(
        "[a-z]+",
        " ".join(
            _CONTEXT | _PLACES | _BORN_ON | _CREDENTIAL | _CODES | _CONTACT | _NAMED | _RECIPIENT | _SHORT_RECIPIENT
            | _SEARCHES | _LAT | _NEAR | PEOPLE | DENIED
        ),
    )
)  # fmt: skip
# A name in two words could be a denied one, and a number behind it somebody's.
_JOINED = lazy("-[^/]*/[^/]*[0-9]")
#: Origins and queries that were lately left unchanged.
_ORIGINS = Memory()
_QUERIES = Memory()


def scrub_url(
    url: str, *, strict: bool = False, query_allow: Collection[str] = (), route: str | None = None
) -> str | None:
    """Return a page's address without what is personal in it.

    Args:
        url: absolute, or a path with or without a query.
        strict: replace also record ids (UUIDs, ULIDs, long hexadecimal digits), handles, user names, recipients.
        query_allow: names of query parameters to keep beside the campaign's (``utm_source`` and the like).
        route: a route template (``/users/:id``) to put in the place of the path.

    Returns:
        The address, or ``None`` where there is nothing left that a report could use (``mailto:``, ``data:`` …).

    >>> scrub_url("https://bob:pw@example.com/u/alice%40example.org/edit;sid=1?utm_source=news&token=x#top")
    'https://example.com/u/:email/edit?utm_source=news'
    >>> scrub_url("/products/42")
    '/products/42'
    >>> scrub_url("/orders/550e8400-e29b-41d4-a716-446655440000", strict=True)
    '/orders/:id'
    """
    common = _COMMON.fullmatch(url)
    if not isinstance(query_allow, frozenset | tuple):
        query_allow = frozenset(query_allow)
    if common is not None and route is None:
        given, path, query = common.groups()
        if (
            (given is None or _ORIGINS.get(given) is not MISSING)
            and (query is None or _QUERIES.get((query, strict, query_allow)) is not MISSING)
            and _plain_path(path)
        ):
            return url or None
    split = _split(url)
    if split is None:
        return None
    prefix, path, query = split
    if common is not None and prefix and prefix == common.group(1):
        _ORIGINS.put(prefix, None)
    if route is not None:
        path = _template(route)
    elif path not in ("", "/"):
        path = _path(path, strict)
    if query:
        kept = _query(query, strict, query_allow)
        if kept == query and common is not None:
            _QUERIES.put((query, strict, query_allow), None)
        query = kept
        if query:
            return f"{prefix}{path}?{query}"
    return f"{prefix}{path}" or None


def origin(url: str) -> str | None:
    """Return the origin of an address, with a slash; ``None`` where it has none.

    >>> origin("https://user@news.example:8443/story?id=1")
    'https://news.example:8443/'
    """
    match = _ORIGIN.match(url)
    if match is not None and _ORIGINS.get(match.group()) is not MISSING:
        return f"{match.group()}/"
    split = _split(url)
    if match is not None and split and split[0] == match.group():
        _ORIGINS.put(split[0], None)
    return f"{split[0]}/" if split and split[0] else None


def with_route(url: str, route: str) -> str:
    """Put a route template in the place of an address's path.

    >>> with_route("https://example.com/users/42?utm_source=x", "/users/:id")
    'https://example.com/users/:id?utm_source=x'
    """
    match = _PARTS.match(url)
    assert match is not None  # every part is optional
    scheme, host, _, query = match.groups()
    prefix = f"{scheme}:" if scheme else ""
    if host is not None:
        prefix += f"//{host}"
    return prefix + _template(route) + (f"?{query}" if query else "")


def _template(route: str) -> str:
    return "/" + route.strip().lstrip("^").rstrip("$").lstrip("/").partition("?" if "(?" not in route else "\n")[0]


def _split(url: str) -> tuple[str, str, str] | None:
    """Return scheme with host, path, and query."""
    url = shorten(url.strip(" \t\r\n\f\v"))
    if _CONTROL.search(url):
        # Browsers drop tabs and line breaks inside an address; a space is spelled %20.
        url = _CONTROL.sub(lambda match: "%20" if " " in match.group() else "", url)
    if "\\" in url:
        head, mark, tail = url.partition("?")
        url = head.replace("\\", "/") + mark + tail
    match = _PARTS.match(url)
    if match is None or not url:
        return None
    scheme, host, path, query = match.groups()
    if scheme is not None and host is None:
        if "." in scheme or scheme.lower() == "localhost":  # host:port, without a scheme
            return _split(f"//{url}")
        return None
    if host is None:
        return "", path, query or ""
    scheme = scheme.lower() if scheme else None
    if scheme is not None and scheme not in _WEB_SCHEMES and scheme not in _APP_SCHEMES:
        return None
    host = _host(host)
    if host is None:
        return None
    return (f"{scheme}://{host}" if scheme else f"//{host}"), path, query or ""


def _host(host: str) -> str | None:
    if "%" in host:
        host = decoded(host)
    host = host.rpartition("@")[2]
    if not _HOST.fullmatch(host):
        return None
    if host.isascii() and len(host) < 24 and not any(c.isdigit() for c in host):
        return host
    return _address_host(host) or _labels(host)


def _address_host(host: str) -> str | None:
    parsed = parse_ip_address(host)
    if parsed is None:
        return None
    if not parsed.is_global:
        return host
    masked = anonymize_ip_address(host)
    return f"[{masked}]" if masked and ":" in masked else masked


def _labels(host: str) -> str:
    labels = host.split(".")
    for index, label in enumerate(labels[:-1]):
        if len(label) >= 10 and (
            (record_id(label) and len(label) >= 24) or spans(label, strict=True, bare=False, people=False)
        ):
            labels[index] = "id"
    return ".".join(labels)


def _plain_path(path: str) -> bool:
    """Tell at a glance that a path of the common shape stays as it is; ``False`` says nothing."""
    if len(path) < 2:
        return True
    if not _TELLING.isdisjoint(_LETTERS.findall(path)):
        return False
    return "-" not in path or not (_JOINED.search(path) or _STREETS.search(path))


def _path(path: str, strict: bool) -> str:
    if "b" in path or "B" in path or "g" in path:
        path = _BORN.sub(r"\1:birth", path)
    given = path.split("/", _MOST_SEGMENTS)[:_MOST_SEGMENTS]
    segments = [_MATRIX.split(raw, maxsplit=1)[0] if ";" in raw or "%" in raw else raw for raw in given]
    changed = len(given) == _MOST_SEGMENTS or segments != given
    before, looked = "", 0
    last = len(segments) - 1
    while last and not segments[last]:
        last -= 1
    for index, segment in enumerate(segments):
        if not segment:
            continue
        looked += len(segment)
        if looked > _MOST_LOOKED and not _PLAIN.fullmatch(segment):
            label: str | None = "removed"
        else:
            label = _segment(segment, before, strict, index == last)
        before = segment.lower() if label in (None, "id") else ""
        if label is not None:
            segments[index] = f":{label}"
            changed = True
    for index in range(len(segments) - 1):
        if _DECIMAL.fullmatch(segments[index]) and _DECIMAL.fullmatch(segments[index + 1]):
            segments[index] = segments[index + 1] = ":place"
            changed = True
    return "/".join(segments) if changed else path


def _segment(raw: str, before: str, strict: bool, last: bool) -> str | None:
    """Return what a path segment holds that must not be seen, or ``None``."""
    if len(raw) > _LONGEST_SEGMENT:
        return "removed"
    if _PLAIN.fullmatch(raw):
        label = None
        if not raw.isdigit():
            words = raw.lower().replace("_", "-").split("-")
            if len(words) > 1:
                if not _CONTEXT.isdisjoint(words):
                    label = _announced(raw)
            elif len(raw) >= 16:
                label = "token" if is_random(raw) else None
            if label is None and len(raw) > 15 and len(words) > 1 and max(map(len, words)) > 15:
                label = token_label(raw, strict=strict)
            if label is None and len(raw) > 15 and "_" in raw and prefixed(raw):
                label = "token"
        return label or (_in_context(raw, raw, before, strict, last) if before else None)
    if _SLUG.fullmatch(raw) and not _STREETS.search(raw):
        words = raw.lower().replace("_", "-").split("-")
        if _CONTEXT.isdisjoint(words) and _PLACES.isdisjoint(words) and all(map(_written, re.split("[-_.]", raw))):
            pairs = sum(len(word.partition(".")[0]) == 2 for word in words)
            if pairs < 3 and (len(raw) < 16 or len(words) > 1):
                return _in_context(raw, raw, before, strict, last) if before else None
    text = decoded(raw)
    if raw[0] == ":" and raw[1:].replace("-", "").isalpha():
        return None
    if _COOKIELESS.fullmatch(text):
        return "token"
    if record_id(text):
        if before in _CREDENTIAL:
            return "token"
        if strict:
            return "id"
        if len(text) >= 32:
            return "token" if "-" not in text and before not in _COMMIT else None
        # An IBAN or a national id can consist of hexadecimal digits.
        found = spans(text, bare=False, people=False)
        return found[0][2] if found else None
    if _ASSET.fullmatch(text):
        found = [span for span in spans(text, bare=False, people=False) if span[2] not in ("token", "id")]
    elif strict and len(text) > 1 and (text[0] == "~" or (text[0] == "@" and (last or before in PEOPLE))):
        return "id"
    else:
        found = spans(text, strict=strict, slug=True, bare=False, people=" " in text)
        if strict and found and all(label == "handle" for _, _, label in found):
            found = []
    if found:
        return found[0][2]
    return _announced(text) or _in_context(raw, text, before, strict, last)


def _written(word: str) -> bool:
    """Tell cheaply that a word of a slug is one; a doubtful word gets the long look."""
    if len(word) < 6 or word.isdigit():
        return True
    if len(word) > 9 and not (word.islower() or word.isupper() or word.istitle()):
        return False
    pieces = _PIECE.findall(word)
    return len(pieces) == 1 or (
        len(pieces) < 4 and all(len(piece) < 5 for piece in pieces if piece.isdigit()) and len(word) < 16
    )


def _announced(text: str) -> str | None:
    if _LOCALE.fullmatch(text):
        return None
    words = text.replace("-", " ").replace("_", " ").replace("+", " ")
    found = slug_spans(words) if " " in words else ()
    if not found and _VIA.fullmatch(text):
        return "place"
    return found[0][2] if found else None


def _in_context(raw: str, text: str, before: str, strict: bool, last: bool) -> str | None:
    """Judge a segment by the one before it."""
    if before[:1] in ("", ":"):
        return None
    digits = sum(character.isdigit() for character in text)
    plain = text.lower()
    if before in _CREDENTIAL and plain not in RESERVED and (code(text) or _credential(text, digits, before)):
        return "token"
    if before in _CONTACT and digits >= 7 and before not in PEOPLE and digits * 2 > len(text):
        return "phone"
    if before in _LAT and _DECIMAL.fullmatch(text):
        return "place"
    if before in _BORN_ON and digits >= 4:
        return "birth"
    if before in _NAMED and plain not in RESERVED and not text.isdigit():
        parts = re.split(r"[-._ +]", fold(text))
        if before not in ("name", "names", "login") or any(part in first_names() for part in parts):
            return "name"
    announced = digits and before not in PEOPLE and before not in _CREDENTIAL and denied_key(before)
    if announced and (digits >= 4 or _DECIMAL.fullmatch(text)):
        return "id-number"
    if before in PEOPLE and plain not in RESERVED and any(character.isalpha() for character in text):
        parts = re.split(r"[-._ +]", fold(text))
        known = any(part in first_names() for part in parts)
        pair = len(parts) == 2 and before not in ("in", "by", "home") and (RESERVED | NOT_NAMES).isdisjoint(parts)
        if strict and (
            before not in DOUBTFUL
            or known
            or pair
            or (digits and digits < len(text))
            or "." in text.strip(".")
            or "_" in text
        ):
            return "id" if not _PAGE.search(plain) else None
        if not strict and known and len(parts) > 1 and all(part.isalpha() for part in parts):
            return "name"
    if before.rpartition("-")[2] in _NEAR and plain not in RESERVED:
        parts = re.split(r"[-._ +]", fold(text))
        if all(map(str.isalpha, parts)) and any(part in first_names() for part in parts):
            if len(parts) > 1 and len(parts) < 5:
                return "id" if strict else "name"
            if strict or before in _GREETED:
                return "id" if strict else "name"
    if strict:
        if (before in _RECIPIENT and (digits or code(text))) or (before in _SHORT_RECIPIENT and code(text)):
            return "id"
        if before in _SEARCHES and not text.isdigit() and mentions_health(text.replace("-", " ").replace("+", " ")):
            return "search"
    return None


_PAGE = lazy(r"\.(?:html?|php|aspx?|jsp|json|xml|csv|pdf|png|jpe?g|gif|svg|txt|do|cgi)\Z")


def _credential(text: str, digits: int, before: str) -> bool:
    if text.isdigit():
        return before in _CODES and digits >= 4
    for part in re.split(r"[-_.]", text):
        if len(part) >= 6 and part.isalnum():
            letters = len(part) - digits
            if letters and sum(c.isdigit() for c in part) >= 2:
                return True
            if not part.islower() and not part.isupper() and not part.istitle() and digits == 0 and len(part) >= 8:
                humps = len(re.findall(r"[A-Z]+[a-z]*|[a-z]+", part))
                if len(part) / humps < 3:
                    return True
    # Pieces that are each too short, but together no words: a short token with hyphens in it.
    return digits >= 3 and len(text) >= 10 and any(c.isupper() for c in text) and any(c.islower() for c in text)


def _query(query: str, strict: bool, allow: Collection[str]) -> str:
    kept = []
    for pair in re.split("[&;]", query, maxsplit=_MOST_PAIRS)[:_MOST_PAIRS]:
        name, mark, value = pair.partition("=")
        if (name in QUERY_ALLOW or name in allow) and (not value or _value(value, strict)):
            kept.append(f"{name}{mark}{value}")
    return "&".join(kept)


def _value(value: str, strict: bool) -> bool:
    """Tell whether the value of an allowed parameter may stay."""
    if len(value) <= 32 and _PLAIN.fullmatch(value) and _CONTEXT.isdisjoint(re.split("[-_]", value.lower())):
        return not (strict and not value.isdigit() and mentions(value))
    if "+" in value and not _value(value.replace("+", "%2B"), strict):
        return False
    text = decoded(value.replace("+", " "))
    if len(text) > 512 or "://" in text:
        return False
    words = text.replace("-", " ").replace("_", " ")
    if (
        spans(text, strict=strict)
        or slug_spans(words)
        or (strict and (record_id(text) or _RECIPIENT_VALUE.search(text) or mentions(words)))
    ):
        return False
    return not (record_id(text) and len(text) >= 32 and "-" not in text)


def mentions(value: str) -> bool:
    """Tell whether an allowed value is about somebody's health or holds somebody's name."""
    return mentions_health(value.replace("-", " ").replace("_", " "))
