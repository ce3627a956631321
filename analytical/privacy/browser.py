"""Browsers: a user agent is kept only where it says nothing but a browser and a system, or is reduced to a few words.

:func:`anonymize_user_agent` returns the very same string or ``Rare user agent``. :func:`reduce_user_agent` returns one
of a closed set of strings (family, one of the last four majors or an older one, system, form factor), written the
way those browsers write themselves, so that every vendor's parser reads it. A strict grammar answers both for common
browsers; only the rest is handed to ``user_agents``, imported when first needed.

The majors stand in ``browsers.json``, which ``scripts/update_browsers.py`` writes from public data. A major newer than
the file counts as the newest it knows.

Sources: https://www.rfc-editor.org/rfc/rfc9110#field.user-agent,
https://www.chromium.org/updates/ua-reduction/ (Chrome's own reduction, whose form the output follows),
https://wicg.github.io/ua-client-hints/ (``Sec-CH-UA``).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from functools import cache
from hashlib import blake2b
from importlib import resources
from typing import Any, Final, NamedTuple

from .lazy import lazy

__all__ = [
    "RARE",
    "Browser",
    "anonymize_user_agent",
    "read_browser",
    "reduce_client_hints",
    "reduce_user_agent",
    "vocabulary",
]

#: What stands for every user agent that is not kept.
RARE: Final = "Rare user agent"
#: No browser in use sends more; what is longer is rare without being looked at.
_LONGEST = 768
_REMEMBERED = 4096


class Browser(NamedTuple):
    """What the strict grammar reads in a user agent."""

    family: str  #: ``chrome edge firefox safari opera samsung webview …``
    major: int
    system: str  #: ``windows mac linux chromeos android ios``
    form: str  #: ``desktop mobile tablet``
    closed: bool  #: whether every part of the string stands in the grammar, so that nothing was planted in it


def anonymize_user_agent(user_agent: str | None) -> str:
    """Return the user agent byte for byte where browser and system are recognised, else ``Rare user agent``.

    A rare browser singles a visitor out, and so does anything that somebody wrote into a common one: a string with a
    part that no browser writes is rare as a whole.

    >>> anonymize_user_agent("Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0")
    'Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0'
    >>> anonymize_user_agent("Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0 ada@example.com")
    'Rare user agent'
    """
    if not isinstance(user_agent, str):
        return RARE
    if len(user_agent) > _LONGEST:
        return RARE
    if user_agent in _KEPT:
        return user_agent
    key = _digest(user_agent)
    if key in _MASKED:
        return RARE
    if _is_common(user_agent):
        if len(_KEPT) >= _REMEMBERED:
            _KEPT.clear()
        _KEPT.add(user_agent)
        return user_agent
    if len(_MASKED) >= _REMEMBERED:
        _MASKED.clear()
    _MASKED.add(key)
    return RARE


def reduce_user_agent(user_agent: str | None, hints: Mapping[str, str] | None = None) -> str:
    """Return the one of a closed set of user agents that says the same of browser, system and form factor.

    At most five come out for each family, system and form factor: one for each of the last four majors, and one for
    everything older, which shows the major before them. No byte of the input reaches the output.

    Args:
        user_agent: the header.
        hints: the request's headers; where the ``Sec-CH-UA`` group names a browser, it is believed first.

    >>> reduce_user_agent("Mozilla/5.0 (X11; Fedora; Linux x86_64; rv:999.0) Gecko/20100101 Firefox/999.0")
    ... # doctest: +ELLIPSIS
    'Mozilla/5.0 (X11; Linux x86_64; rv:...) Gecko/20100101 Firefox/...'
    >>> reduce_user_agent("My own robot of Baker Street")
    'Rare user agent'
    """
    if hints is not None:
        hinted = reduce_client_hints(hints)
        if hinted != RARE:
            return hinted
    if not isinstance(user_agent, str) or not user_agent or len(user_agent) > _LONGEST:
        return RARE
    key = _digest(user_agent)
    known = _REDUCED.get(key)
    if known is not None:
        return known
    table = _table()
    if user_agent in table.every:
        reduced = user_agent
    else:
        browser = read_browser(user_agent) or _ask_library(user_agent)
        reduced = table.words(browser) if browser is not None else RARE
    if len(_REDUCED) >= _REMEMBERED:
        _REDUCED.clear()
    _REDUCED[key] = reduced
    return reduced


def reduce_client_hints(headers: Mapping[str, str]) -> str:
    """Return the reduced user agent that the low-entropy client hints name, or ``Rare user agent``.

    ``Sec-CH-UA``, ``Sec-CH-UA-Mobile`` and ``Sec-CH-UA-Platform`` are read; the high-entropy ones (model, full version,
    architecture) never are. Header names are compared without case; ``HTTP_SEC_CH_UA`` is read too.

    >>> reduce_client_hints({"Sec-CH-UA": '"Chromium";v="999"', "Sec-CH-UA-Platform": '"Linux"'})
    ... # doctest: +ELLIPSIS
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/....0.0.0 Safari/537.36'
    """
    found = {"": "", "-mobile": "", "-platform": ""}
    for name, value in headers.items():
        plain = name.lower().replace("_", "-").removeprefix("http-")
        if plain.startswith("sec-ch-ua") and plain[9:] in found and isinstance(value, str) and len(value) <= _LONGEST:
            found[plain[9:]] = value
    system = _HINTED_SYSTEMS.get(found["-platform"].strip().strip('"').lower(), "")
    if not found[""] or not system:
        return RARE
    best: tuple[int, str, int] | None = None
    for brand, version in _BRAND.findall(found[""]):
        rank, family = _BRANDS.get(brand.lower(), (0, ""))
        if rank and (best is None or rank > best[0]):
            best = (rank, family, int(version))
    if best is None or not best[1]:
        return RARE
    if system in ("android", "ios"):
        form = "mobile" if found["-mobile"].strip() == "?1" else "tablet"
    else:
        form = "desktop"
    return _table().words(Browser(best[1], best[2], system, form, True))


def vocabulary() -> frozenset[str]:
    """Return every string that :func:`reduce_user_agent` can return, but ``Rare user agent``."""
    return frozenset(_table().every)


def read_browser(user_agent: str) -> Browser | None:
    """Return what the strict grammar reads in a user agent, or ``None`` where it is no common browser's.

    No library is asked and nothing is remembered. Robots that add their name to a browser's string are not read.
    """
    if len(user_agent) > _LONGEST or not user_agent.startswith("Mozilla/5.0 ("):
        return None
    end = user_agent.find(")", 13)
    # An Android model may hold one pair of parentheses: "moto g(7) power".
    if end > 0 and user_agent.find("(", 13, end) > 0:
        end = user_agent.find(")", end + 1)
    if end < 0 or user_agent[end + 1 : end + 2] != " ":
        return None
    platform = _read_platform(user_agent[13:end])
    if platform is None:
        return None
    system, form, closed, flavour = platform
    rest = user_agent[end + 2 :]
    family, rank, major, version = "", 0, 0, 0
    mobile = webkit = gecko = False
    app = rest.find("[FB")
    if app > 0:
        tail = rest[app:]
        rest = rest[:app].rstrip()
        if not _FACEBOOK.fullmatch(tail):
            if not _FACEBOOK_LIKE.fullmatch(tail) or _ROBOTIC.search(tail):
                return None
            closed = False
        family, rank = ("instagram" if "FBAN/Instagram" in tail else "facebook"), 9
    elif " Instagram " in rest:
        rest, _, tail = rest.partition(" Instagram ")
        if not _INSTAGRAM.fullmatch(tail):
            if not _INSTAGRAM_LIKE.fullmatch(tail) or _ROBOTIC.search(tail):
                return None
            closed = False
        family, rank = "instagram", 9
    if rest.startswith("AppleWebKit/"):
        head, between, rest = rest.partition(" (KHTML, like Gecko)")
        if not between or not _WEBKIT.fullmatch(head[12:]):
            return None
        webkit = True
        rest = rest[1:] if rest[:1] == " " else rest
    edition = rest.find(" (Edition ")
    if edition > 0 and _EDITION.fullmatch(rest, edition + 1):
        rest = rest[:edition]
    held = system in ("android", "ios")  # apps write what they like behind the web view that holds the page
    if held and ";" in rest:
        if _ROBOTIC.search(rest):
            return None
        rest = rest.replace(";", " ")
        closed = False
    for part in rest.split():
        name, slash, number = part.rpartition("/")
        if not slash:
            name, number = part, ""
        token = _TOKENS.get(name)
        if token is None or not (token[0].fullmatch(number) if slash else name in _BARE):
            # A name that an app adds cannot be told from one that somebody planted: nothing of it is read.
            strange = not _EXTRA.fullmatch(part) if token is None else bool(token[2])
            if (strange and not held) or _ROBOTIC.search(part):
                return None
            closed = False
            continue
        _, candidate, strength = token
        if strength > rank and (candidate, system) not in _FOLDED:
            family, rank = candidate, strength
            major = (
                0 if strength == 1 else _leading(number)
            )  # Safari/604.1 is WebKit's number; Version/ has the browser's
        if name == "Version":
            version = _leading(number)
        elif name == "Mobile":
            mobile = True
        elif name == "Gecko":
            gecko = True
    return _conclude(family, rank, major or version, version, system, form, closed, flavour, mobile, webkit, gecko)


def _conclude(
    family: str,
    rank: int,
    major: int,
    version: int,
    system: str,
    form: str,
    closed: bool,
    flavour: str,
    mobile: bool,
    webkit: bool,
    gecko: bool,
) -> Browser | None:
    """Put the parts together; ``None`` where no browser writes that combination."""
    if family == "firefox":
        # Firefox writes Gecko/; on iOS it is FxiOS upon WebKit.
        if gecko == webkit:
            return None
    elif not webkit:
        return None
    if system == "android":
        if not form:
            form = "mobile" if mobile else "tablet"
        if family in ("", "safari"):
            # The browser of Android before Chrome: Version/4.0 Mobile Safari/534.30.
            if not version:
                return None
            family, major = "android", version
        elif family == "chrome" and (flavour == "wv" or version == 4):
            family = "webview"
    elif system == "ios":
        if not family or (family == "safari" and not version):
            if not mobile:
                return None
            family, major = "wkwebview", 0
        if rank == 2:
            return None  # Chrome/ is never written on iOS, where Chrome is CriOS
    elif (
        not family
        or (mobile and system in ("linux", "chromeos"))
        or (family == "safari" and (system != "mac" or not version))
    ):
        return None
    return Browser(family, major, system, form, closed)


def _read_platform(text: str) -> tuple[str, str, bool, str] | None:
    """Return system, form (``""`` where the rest decides), whether it is closed, and a flavour."""
    match = _PLATFORM.fullmatch(text)
    if match is not None:
        system, form = _PLATFORMS[match.lastgroup or ""]
        return system, form, True, ""
    match = _ANDROID.fullmatch(text)
    if match is None:
        return None
    closed = True
    flavour = ""
    form = ""
    models = 0
    for position, item in enumerate((match[1] or "").split("; ")[1:]):
        if item in ("wv", "K", "U", "HarmonyOS", "arm_64"):
            flavour = "wv" if item == "wv" else flavour
        elif item in ("Mobile", "Tablet") and position <= 1:
            form = item.lower()
        elif not _LANGUAGE.fullmatch(item) and not _HMS.fullmatch(item):
            # One device has one model; a second is somebody's own.
            closed = closed and not models and _is_model(item)
            models += not item.startswith("Build/")
    if not closed and (_TELEVISION.search(text) or _ROBOTIC.search(text)):
        return None
    return "android", form, closed, flavour


def _is_model(item: str) -> bool:
    """Tell whether a part has the form in which makers write a device and a build."""
    model, between, build = item.partition(" Build/")
    if between and not _BUILD.fullmatch(build):
        return False
    if not between and item.startswith("Build/"):
        return bool(_BUILD.fullmatch(item[6:]))
    if len(model) > 48:
        return False
    if model[:3] == "AFT" or "TV" in model:
        return False  # a television, which has no form factor here
    words = model.replace("(", " ").replace(")", " ").split()
    named = coded = False
    for word in words:
        if word.lower() in _MODEL_WORDS:
            named = named or len(words) > 1 or word.lower() in _MODEL_BRANDS
        elif not coded and _MODEL_CODE.fullmatch(word):
            coded = True
        elif not _MODEL_ASIDE.fullmatch(word):
            return False
    return named or coded


def _is_common(user_agent: str) -> bool:
    browser = read_browser(user_agent)
    if browser is not None:
        return browser.closed
    return _has_known_words_only(user_agent) and _library_knows(user_agent)


def _has_known_words_only(user_agent: str) -> bool:
    """Tell whether a string outside the grammar consists of words that browsers write, and of versions."""
    if len(user_agent) > 320 or not _OLD_BROWSER.match(user_agent) or not _PLAIN.fullmatch(user_agent):
        return False
    before = ""
    for part in _PART.findall(user_agent):
        name, *numbers = part.lower().split("/")
        if not all(_OLD_VERSION.fullmatch(number) or number in _OLD_WORDS or not number for number in numbers):
            return False
        known = name in _OLD_WORDS or _OLD_CODE.fullmatch(name)
        # A number stands behind the name that it belongs to: MSIE 8.0, Windows NT 6.1, CLR 3.5.30729.
        if not known and (before not in _NUMBERED or not _OLD_NUMBER.fullmatch(name)):
            return False
        before = name
    return True


def _library_knows(user_agent: str) -> bool:
    from user_agents import parse

    parsed = parse(user_agent)
    return "Other" not in (parsed.browser.family, parsed.os.family) and not parsed.is_bot


def _ask_library(user_agent: str) -> Browser | None:
    """Ask ``user_agents`` about a string outside the grammar; 1 ms, so only where it can be a browser at all."""
    if _TELEVISION.search(user_agent) or not _has_known_words_only(user_agent):
        return None
    from user_agents import parse

    parsed = parse(user_agent)
    family = _LIBRARY_FAMILIES.get(parsed.browser.family)
    system = _LIBRARY_SYSTEMS.get(parsed.os.family)
    if (family, system) in _FOLDED:
        return None
    if family is None or system is None or parsed.is_bot:
        return None
    form = "tablet" if parsed.is_tablet else "mobile" if parsed.is_mobile else "desktop"
    return Browser(family, int((parsed.browser.version or (0,))[0] or 0), system, form, False)


class _Table:
    """The closed vocabulary, rendered once."""

    __slots__ = ("_rows", "dated", "every")

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.dated: str = data["dated"]
        #: family, system, form = majors newest first, and the string of each
        self._rows: dict[tuple[str, str, str], tuple[tuple[int, ...], tuple[str, ...]]] = {}
        for (family, system, form), (source, template) in _templates().items():
            if not source:
                self._rows[family, system, form] = ((0,), (template,))
                continue
            majors = tuple(data["families"][source]["majors"])
            engines = tuple(data["families"][source].get("engines", majors))
            self._rows[family, system, form] = (
                majors,
                tuple(
                    template.replace("@M@", str(major)).replace("@E@", str(engine)).replace("@I@", _ios(major))
                    for major, engine in zip(majors, engines, strict=True)
                ),
            )
        self.every = {string for _, strings in self._rows.values() for string in strings}

    def words(self, browser: Browser) -> str:
        """Return the string for a browser, or ``Rare user agent`` where the vocabulary has none."""
        row = self._rows.get((browser.family, browser.system, browser.form))
        if row is None:
            return RARE
        majors, strings = row
        for major, string in zip(majors, strings, strict=True):
            if browser.major >= major:
                return string
        return strings[-1]


@cache
def _table() -> _Table:
    data = json.loads(resources.files(__package__).joinpath("browsers.json").read_text(encoding="utf-8"))
    return _Table(data)


def _ios(major: int) -> str:
    # Safari 26 and newer name iOS 18_6 whatever they run on:
    # https://webkit.org/blog/17333/webkit-features-in-safari-26-0/
    return "18_6" if major >= 26 else f"{major}_0"


def _templates() -> dict[tuple[str, str, str], tuple[str, str]]:
    """Return the strings to fill, and the row of ``browsers.json`` that fills them; ``""`` where one string is all."""
    like = "(KHTML, like Gecko)"
    blink = f"AppleWebKit/537.36 {like}"
    kit = f"AppleWebKit/605.1.15 {like}"
    desktops = {
        "windows": "Windows NT 10.0; Win64; x64",
        "mac": "Macintosh; Intel Mac OS X 10_15_7",
        "linux": "X11; Linux x86_64",
        "chromeos": "X11; CrOS x86_64 14541.0.0",
    }
    foxes = {**desktops, "mac": "Macintosh; Intel Mac OS X 10.15"}
    apples = {"mobile": "iPhone; CPU iPhone OS {} like Mac OS X", "tablet": "iPad; CPU OS {} like Mac OS X"}
    rows: dict[tuple[str, str, str], tuple[str, str]] = {}
    for system, platform in desktops.items():
        start = f"Mozilla/5.0 ({platform}) {blink} Chrome/@E@.0.0.0"
        rows["chrome", system, "desktop"] = ("chrome", f"{start} Safari/537.36")
        if system == "chromeos":
            continue
        rows["edge", system, "desktop"] = ("edge", f"{start} Safari/537.36 Edg/@M@.0.0.0")
        rows["opera", system, "desktop"] = ("opera", f"{start} Safari/537.36 OPR/@M@.0.0.0")
        rows["firefox", system, "desktop"] = (
            "firefox",
            f"Mozilla/5.0 ({foxes[system]}; rv:@M@.0) Gecko/20100101 Firefox/@M@.0",
        )
        fixed = f"Mozilla/5.0 ({platform}) {blink} Chrome/138.0.0.0"
        if system == "windows":
            rows["yandex", system, "desktop"] = ("", f"{fixed} YaBrowser/25.8.0.0 Safari/537.36")
    rows["ie", "windows", "desktop"] = ("", "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko")
    rows["safari", "mac", "desktop"] = (
        "safari",
        f"Mozilla/5.0 ({desktops['mac']}) {kit} Version/@M@.0 Safari/605.1.15",
    )
    for form, word in (("mobile", "Mobile "), ("tablet", "")):
        start = f"Mozilla/5.0 (Linux; Android 10; K) {blink}"
        safari = f"{word}Safari/537.36"
        rows["chrome", "android", form] = ("chrome_android", f"{start} Chrome/@M@.0.0.0 {safari}")
        rows["edge", "android", form] = ("edge", f"{start} Chrome/@M@.0.0.0 {safari} EdgA/@M@.0.0.0")
        rows["opera", "android", form] = ("opera_android", f"{start} Chrome/@E@.0.0.0 {safari} OPR/@M@.0.0.0")
        rows["samsung", "android", form] = ("samsung", f"{start} SamsungBrowser/@M@.0 Chrome/@E@.0.0.0 {safari}")
        held = f"Mozilla/5.0 (Linux; Android 10; K; wv) {blink} Version/4.0"
        rows["webview", "android", form] = ("webview_android", f"{held} Chrome/@M@.0.0.0 {safari}")
        rows["facebook", "android", form] = ("", f"{held} Chrome/138.0.0.0 {safari} [FB_IAB/FB4A;FBAV/500.0;]")
        rows["instagram", "android", form] = ("", f"{held} Chrome/138.0.0.0 {safari} Instagram 400.0.0")
        rows["yandex", "android", form] = ("", f"{start} Chrome/138.0.0.0 YaBrowser/25.8.0.0 {safari}")
        rows["uc", "android", form] = ("", f"{start} Version/4.0 Chrome/123.0.0.0 UCBrowser/15.0.0.0 {safari}")
        rows["android", "android", form] = (
            "",
            f"Mozilla/5.0 (Linux; U; Android 4.4; en-us; K) AppleWebKit/534.30 {like} Version/4.0 {word}Safari/534.30",
        )
        rows["silk", "android", form] = (
            "",
            f"Mozilla/5.0 (Linux; Android 10; KFTRWI) {blink} Silk/138.1 like Chrome/138.0.0.0 {safari}",
        )
        rows["firefox", "android", form] = (
            "firefox_android",
            f"Mozilla/5.0 (Android 15; {form.title()}; rv:@M@.0) Gecko/@M@.0 Firefox/@M@.0",
        )
        held = f"Mozilla/5.0 ({apples[form].format('18_6')}) {kit}"
        end = "Mobile/15E148 Safari/604.1"
        rows["safari", "ios", form] = (
            "safari_ios",
            f"Mozilla/5.0 ({apples[form].format('@I@')}) {kit} Version/@M@.0 {end}",
        )
        rows["chrome", "ios", form] = ("chrome_android", f"{held} CriOS/@M@.0.0.0 {end}")
        rows["edge", "ios", form] = ("edge", f"{held} Version/18.0 EdgiOS/@M@.0.0.0 {end}")
        rows["firefox", "ios", form] = ("firefox", f"{held} FxiOS/@M@.0 {end}")
        rows["opera", "ios", form] = ("", f"{held} Version/18.6 {end} OPT/6.0")
        rows["google", "ios", form] = ("", f"{held} GSA/380.0.0 {end}")
        rows["duckduckgo", "ios", form] = ("", f"{held} Version/18.6 {end} Ddg/18.6")
        rows["yandex", "ios", form] = ("", f"{held} Version/18.6 YaBrowser/25.8.0.0 {end}")
        rows["facebook", "ios", form] = ("", f"{held} Mobile/15E148 [FBAN/FBIOS;FBAV/500.0]")
        rows["instagram", "ios", form] = ("", f"{held} Mobile/15E148 Instagram 400.0.0")
        rows["wkwebview", "ios", form] = ("", f"{held} Mobile/15E148")
    rows["operamini", "android", "mobile"] = (
        "",
        "Opera/9.80 (Android; Opera Mini/36.2/119.132; U; en) Presto/2.12.423 Version/12.16",
    )
    return rows


def _leading(number: str) -> int:
    head = number.split(".", 1)[0]
    return int(head) if head.isdigit() and len(head) <= 4 else 0


def _digest(text: str) -> bytes:
    """Return a keyed hash: what a cache may hold of a value that a rule takes out."""
    state = _KEYED.copy()
    state.update(text.encode("utf-8", "surrogatepass"))
    return state.digest()


#: Keyed for this process alone; nothing compares these hashes elsewhere.
_KEYED: Final = blake2b(digest_size=16, key=os.urandom(32))
#: Strings that are kept, as they are; digests of those that are not; digest = reduced string. Bounded, then emptied.
_KEPT: set[str] = set()
_MASKED: set[bytes] = set()
_REDUCED: dict[bytes, str] = {}

#: A version. Four small numbers are one only where some are nought: an address is no version.
_VERSION: Final = lazy(r"(?!\d{1,3}\.[1-9]\d{0,2}\.\d{1,3}\.[1-9]\d{0,2}\Z)\d{1,4}(?:[._]\d{1,5}){0,4}(?:-gn)?")
_WEBKIT: Final = lazy(r"(?:[4-7]\d\d|[1-9][4-7]\d\d|1\d{4})(?:\.\d{1,3}){0,3}\+?")
_GOOGLE: Final = lazy(r"\d{1,3}\.\d{1,2}\.\d{1,9}")
_CHROMIUM: Final = lazy(r"\d{1,3}(?:\.0(?:\.\d{1,5}){0,2})?")
_BUILD_CODE: Final = lazy(r"\d{1,2}[A-Za-z]\d{1,5}[a-z]?")
_GECKO: Final = lazy(r"(?:20\d{6}|\d{1,3}(?:\.\d){1,2})")
_MESSENGER: Final = lazy(r"\d{1,2}(?:\.\d{1,4}){1,3}(?:\(0x[0-9a-f]{8}\))?")
_NET: Final = lazy(r"WIFI|[2345]G|NON_NETWORK|cmnet|3gnet|ctnet")
_EXTRA: Final = lazy(r"\[?[A-Za-z][A-Za-z_\-.]{0,30}(?:/[\w.\-]{1,32})?\]?")
_LANGUAGE: Final = lazy(r"[a-z]{2}(?:[-_][A-Za-z]{2})?")
_HMS: Final = lazy(r"(?:HMSCore|GMSCore|HMS) \d{1,3}(?:\.\d{1,4}){1,3}")
_BUILD: Final = lazy(
    r"[A-Z]{1,4}\d{0,5}[A-Z]?\d{0,2}[A-Z]?(?:\.\d{1,6}){0,3}(?:\.[A-Z]?\d{0,3}[A-Z]?){0,2}(?:-\d{1,6})?"
)
#: Capitals and a number, as makers write: SM-G998B, CPH2219, M2101K6G, 2201117TG, XT2041-4.
_MODEL_CODE: Final = lazy(
    r"(?:[A-Z]{1,6}[-_]?){1,2}\d{1,5}[A-Za-z]{0,5}\d{0,2}[A-Z]{0,2}(?:-[A-Z0-9]{1,6})?(?:/[A-Z0-9]{2,10})?"
    r"|KF[A-Z]{2,5}|\d{5,9}[A-Z]{1,4}\d{0,3}[A-Z]{0,2}|M\d{4}[A-Z]\d{1,2}[A-Z]{1,3}"
)
_MODEL_ASIDE: Final = lazy(r"\d{1,2}[a-zA-Z+]?|20[12]\d|[A-Z]{2,3}")
_EDITION: Final = lazy(r"\(Edition (?:Yx|Campaign|beta|developer|std-\d|ax|utorrent)(?: \d\d)?\)")
_TELEVISION: Final = lazy(
    r"\bTV\b|BRAVIA|\bAFT[A-Z]|SmartTV|SMART-TV|HbbTV|CrKey|Web0S|Tizen|PlayStation|Xbox|Nintendo|Roku|Oculus|Quest"
)
_PLATFORM: Final = lazy(
    r"(?P<windows>Windows NT (?:10\.0|11\.0|6\.[0-4]|5\.[0-2])(?:; (?:Win64|WOW64|ARM))?(?:; (?:x64|ARM64"
    r"|arm64|IA64))?(?:; rv:\d{1,3}\.\d{1,2}(?:\.\d)?)?)"
    r"|(?P<mac>Macintosh; (?:Intel|PPC) Mac OS X (?:1\d[._]\d{1,2}(?:[._]\d{1,2})?)(?:; rv:\d{1,3}\.\d{1,2})?)"
    r"|(?P<linux>X11; (?:(?:Ubuntu|Fedora|Debian|Arch|Mint|Gentoo|CentOS); )?(?:Linux|FreeBSD|OpenBSD"
    r"|NetBSD) (?:x86_64|i686|i586|amd64|i386|aarch64|armv7l|armv8l|armv6l|i686 on x86_64|ppc64le"
    r"|riscv64)(?:; rv:\d{1,3}\.\d{1,2}(?:\.\d)?)?)"
    r"|(?P<chromeos>X11; CrOS (?:x86_64|aarch64|armv7l|i686) \d{4,5}\.\d{1,3}\.\d{1,3})"
    r"|(?P<iphone>(?:iPhone|iPod"
    r"|iPod touch); (?:U; )?CPU (?:iPhone )?OS \d{1,2}(?:_\d{1,2}){1,2} like Mac OS X"
    r"(?:; [a-z]{2}(?:[-_][A-Za-z]{2})?)?)"
    r"|(?P<ipad>iPad; (?:U; )?CPU (?:iPhone )?OS \d{1,2}(?:_\d{1,2}){1,2} like Mac OS X"
    r"(?:; [a-z]{2}(?:[-_][A-Za-z]{2})?)?)"
    r"|(?P<foxmobile>Android(?: \d{1,2}(?:\.\d){0,2})?; Mobile; rv:\d{1,3}\.\d{1,2})"
    r"|(?P<foxtablet>Android(?: \d{1,2}(?:\.\d){0,2})?; Tablet; rv:\d{1,3}\.\d{1,2})"
)
_PLATFORMS: Final = {
    "windows": ("windows", "desktop"),
    "mac": ("mac", "desktop"),
    "linux": ("linux", "desktop"),
    "chromeos": ("chromeos", "desktop"),
    "iphone": ("ios", "mobile"),
    "ipad": ("ios", "tablet"),
    "foxmobile": ("android", "mobile"),
    "foxtablet": ("android", "tablet"),
}
_ANDROID: Final = lazy(r"Linux; (?:arm_64; |U; )?Android \d{1,2}(?:\.\d{1,2}){0,2}((?:; ?[^;]{1,64}){0,5})")
_FACEBOOK: Final = lazy(
    r"\[(?:(?:FB_IAB/(?:FB4A|MESSENGER|Orca-Android)|FBAN/(?:FBIOS|MessengerForiOS|EMA|MESSENGER|FBForIPad"
    r"|Instagram)|FBAV/\d{1,4}(?:\.\d{1,4}){0,5}|FBBV/\d{1,12}"
    r"|FBDV/(?:iPhone|iPad|iPod)\d{1,2},\d{1,2}|FBMD/(?:iPhone|iPad|iPod touch)|FBSN/(?:iOS|iPadOS|iPhone OS)"
    r"|FBSV/\d{1,2}(?:\.\d{1,2}){0,2}|FBSS/\d|FBCR/|FBID/(?:phone|tablet)"
    r"|FBLC/[a-z]{2}(?:_[A-Z][A-Za-z]{1,3}){0,2}|FBOP/\d{1,3}|FBRV/\d{1,12}|FBNV/\d{1,3}|IABMV/\d|FB_FW/\d);?){1,20}\]"
)
_FACEBOOK_LIKE: Final = lazy(r"\[[\w/.;,:+ \-]{4,400}\]")
_INSTAGRAM: Final = lazy(
    r"\d{1,4}(?:\.\d{1,4}){1,5}(?: \((?:iPhone|iPad)\d{1,2},\d{1,2}; (?:iOS|iPadOS"
    r"|iPhone OS) \d{1,2}(?:_\d{1,2}){1,2}; [a-z]{2}(?:_[A-Z][A-Za-z]{1,3}){0,2}; [a-z]{2}(?:-[A-Z][A-Za-z]{1,3}){0,2}"
    r"; scale=\d\.\d\d; \d{3,4}x\d{3,4}; \d{6,10}(?:; IABMV/\d)?\))?"
)
_INSTAGRAM_LIKE: Final = lazy(
    r"\d{1,4}(?:\.\d{1,4}){1,5}(?: [A-Za-z]{1,12})?(?: \([\w/.;,:=()+ \-]{4,300}\)?)?(?: ?[\w;/.)\[\]]{0,40})?"
)
#: What robots and tools write and browsers do not.
_ROBOTIC: Final = lazy(
    r"https?:|www\.|@|\+|bot\b|bot[/_\-;)]|bots|crawl|spider|scrap|fetch|monitor|scan|headless|lighthouse"
    r"|preview|probe|check|python|curl|wget|java/|archiv|compatible;"
    r"|agent\b|\bptst\b|playwright|selenium|observatory|inspect|synthetic|optimi[sz]|verif|pingdom|abuse"
    r"|-google\b|favicon",
    re.IGNORECASE,
)

_Token = tuple[re.Pattern[str], str, int]


#: Browsers that so few use on a system that their name would single a visitor out: there they count as the browser
#: that they are built on, which they name too.
_FOLDED: Final = frozenset(
    {
        ("yandex", "mac"),
        ("yandex", "linux"),
        ("vivaldi", "windows"),
        ("vivaldi", "mac"),
        ("vivaldi", "linux"),
        ("huawei", "android"),
        ("miui", "android"),
        ("duckduckgo", "android"),
        ("uc", "windows"),
        ("silk", "linux"),
    }
)
_MARKS: Final = """
    Avast AVG CCleaner ADG Norton Brave Yowser Config Unique Viewer Herring Agency Trailer AtContent Ubuntu
    AmazonKidsBrowser CopilotSapphire BingSapphire Pinterest Twitter iPhone Snapchat LinkedInApp Line coc_coc_browser
    Whale NAVER QQBrowser MQQBrowser MetaSr LBBROWSER SeaMonkey Waterfox PaleMoon Goanna Iceweasel Epiphany Falkon
    MxBrowser QtWebEngine Konqueror Puffin Ecosia Focus Klar Maxthon Sleipnir Iron Comodo_Dragon
"""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _tokens() -> dict[str, _Token]:
    plain: dict[str, _Token] = {
        "AppleWebKit": (_WEBKIT, "", 0),
        "Version": (_VERSION, "", 0),
        "Mobile": (_BUILD_CODE, "", 0),
        "Tablet": (_BUILD_CODE, "", 0),
        "Gecko": (_GECKO, "", 0),
        "like": (_VERSION, "", 0),
        "for": (_VERSION, "", 0),
        "MicroMessenger": (_MESSENGER, "", 0),
        "NetType": (_NET, "", 0),
        "Language": (_LANGUAGE, "", 0),
        "Safari": (_WEBKIT, "safari", 1),
        "Chrome": (_CHROMIUM, "chrome", 2),
        "Chromium": (_CHROMIUM, "chrome", 2),
        "Firefox": (_VERSION, "firefox", 3),
    }
    families = {
        "chrome": "CriOS",
        "firefox": "FxiOS",
        "edge": "Edg Edge EdgA EdgiOS EdgW",
        "opera": "OPR OPT OPX OPRGX",
        "samsung": "SamsungBrowser",
        "google": "GSA",
        "yandex": "YaBrowser",
        "vivaldi": "Vivaldi",
        "duckduckgo": "Ddg DuckDuckGo",
        "huawei": "HuaweiBrowser",
        "miui": "MiuiBrowser XiaoMi/MiuiBrowser",
        "uc": "UCBrowser UBrowser UCMobile",
        "silk": "Silk",
    }
    for family, names in families.items():
        for name in names.split():
            plain[name] = (_VERSION, family, 4)
    plain["GSA"] = (_GOOGLE, "google", 4)
    # Marks that browsers of a known family add, and that say nothing of who uses them.
    for name in _MARKS.split():
        plain.setdefault(name, (_VERSION, "", 0))
    return plain


_TOKENS: Final = _tokens()
_BARE: Final = frozenset({"Mobile", "Tablet", "like", "Gecko", "Twitter", "for"})

_MODEL_BRANDS: Final = _words("""
    pixel nexus moto motorola redmi poco huawei honor oppo vivo realme tecno infinix itel nokia htc xperia lenovo asus
    zte blade alcatel galaxy oneplus xiaomi samsung sony lg lge wiko doogee ulefone cubot umidigi oukitel blackview
    micromax lava karbonn symphony walton meizu coolpad gionee hisense tcl sharp kyocera fairphone essential razer
    nothing cat teclast chuwi chromebook
""")
_MODEL_WORDS: Final = _MODEL_BRANDS | _words("""
    edge fusion plus pro lite note mi mix max ultra mini play power dual sim prime xl 5g 4g lte wi-fi wifi one desire
    tab pad fold flip neo zoom stylus hyper ace fe a g e x z c s k f v se te go active premium style compact smart hot
    spark camon pop view phone android build tablet me p y u m t gt nord turbo speed race race2 uw bold explorer global
    duos neo2 ii iii iv first edition classic force droid razr maxx
""")

_OLD_BROWSER: Final = lazy(
    r"(?:Mozilla/[345]\.0 \(|Opera/\d|Dalvik/|UCWEB/|BlackBerry|Nokia|SAMSUNG|SonyEricsson|MOT-|LG-)"
)
_PLAIN: Final = lazy(r"[A-Za-z0-9 ()/.,;:_\-\[\]+]{8,512}")
_OLD_CODE: Final = lazy(
    r"\.net|\.net\d\.\d[ce]?|infopath\.\d|slcc\d|rv:\d{1,3}(?:\.\d{1,2}){0,3}|[a-z]{2}[-_][a-z]{2}|win(?:32|64"
    r"|9x|95|98)|x(?:11|64|86_64)"
    r"|i[3-6]86|armv[5-8]l|wow64|series[46]0|khtml|mb\d{3}|m[a-z]{3}js"
)
_OLD_VERSION: Final = lazy(
    r"(?!\d{1,3}\.[1-9]\d{0,2}\.\d{1,3}\.[1-9]\d{0,2}\Z)\d{1,4}(?:\.\d{1,6}){0,4}(?:[ab]\d{1,2})?(?:pre)?\+?"
    r"|(?:19|20)\d\d(?:0\d|1[0-2])[0-3]\d(?:\d\d)?"
)
_OLD_NUMBER: Final = lazy(r"\d{1,4}(?:[._]\d{1,5}){0,2}|9x")
_PART: Final = lazy(r"[^ ;(),\[\]]+")
_OLD_WORDS: Final = _words("""
    mozilla compatible msie windows nt wow trident net clr slcc media center pc tablet infopath like gecko khtml
    applewebkit safari chrome version mobile opera presto mini firefox macintosh intel ppc mac os x linux ubuntu
    fedora debian gentoo suse centos mint arch android iphone ipad ipod cpu phone iemobile touch arm nokia lumia
    blackberry playbook bb rim symbianos series symbian webos hpwos wosbrowser maemo meego tizen kaios
    seamonkey epiphany konqueror camino iceweasel icecat palemoon waterfox galeon netscape navigator
    win amd us en de fr es it ja zh cn tw pt br ru pl nl sv da fi nb no cs hu tr ko gb ca au el he ar th vi id
    u i n ws asu touchpc zune mddr malc maarjs maau asjb lcjb hpntdf dell edg edge opr bsd freebsd openbsd netbsd
    sunos solaris ucbrowser ucweb samsungbrowser silk vivaldi yabrowser maxthon qqbrowser sogou metasr lbbrowser
    bidubrowser se darwin powerpc classic crios fxios gsa kindle fire accelerated true false profile midp
    j2me configuration cldc rv on xp cros jolla sailfish browser mobi security wv dalvik build release unknown
""")

_NUMBERED: Final = _words("msie nt clr x os android pc phone mini touch windows lumia blackberry asha version")

_LIBRARY_FAMILIES: Final = {
    "Chrome": "chrome",
    "Chrome Mobile": "chrome",
    "Chrome Mobile iOS": "chrome",
    "Chromium": "chrome",
    "Chrome Mobile WebView": "webview",
    "Edge": "edge",
    "Edge Mobile": "edge",
    "Firefox": "firefox",
    "Firefox Mobile": "firefox",
    "Firefox iOS": "firefox",
    "Safari": "safari",
    "Mobile Safari": "safari",
    "Mobile Safari UI/WKWebView": "wkwebview",
    "Opera": "opera",
    "Opera Mobile": "opera",
    "Opera Mini": "operamini",
    "Samsung Internet": "samsung",
    "Yandex Browser": "yandex",
    "Vivaldi": "vivaldi",
    "UC Browser": "uc",
    "MiuiBrowser": "miui",
    "Huawei Browser": "huawei",
    "DuckDuckGo Mobile": "duckduckgo",
    "Amazon Silk": "silk",
    "Facebook": "facebook",
    "Instagram": "instagram",
    "Google": "google",
    "IE": "ie",
    "Android": "android",
}
_LIBRARY_SYSTEMS: Final = {
    "Windows": "windows",
    "Windows 95": "windows",
    "Windows 98": "windows",
    "Mac OS X": "mac",
    "Mac OS": "mac",
    "Linux": "linux",
    "Ubuntu": "linux",
    "Fedora": "linux",
    "Debian": "linux",
    "FreeBSD": "linux",
    "Chrome OS": "chromeos",
    "Android": "android",
    "iOS": "ios",
}
_HINTED_SYSTEMS: Final = {
    "windows": "windows",
    "macos": "mac",
    "linux": "linux",
    "chrome os": "chromeos",
    "chromium os": "chromeos",
    "android": "android",
    "ios": "ios",
}
_BRAND: Final = lazy(r'"([^"\\]{1,40})"\s*;\s*v="(\d{1,4})(?:\.[\d.]{0,20})?"')
#: brand = how much it says, and the family; a family of "" ends it: no browser of a person.
_BRANDS: Final = {
    "chromium": (1, "chrome"),
    "google chrome": (2, "chrome"),
    "microsoft edge": (2, "edge"),
    "opera": (2, "opera"),
    "opera gx": (2, "opera"),
    "samsung internet": (2, "samsung"),
    "android webview": (2, "webview"),
    "microsoft edge webview2": (2, "edge"),
    "yandex": (2, "yandex"),
    "yabrowser": (2, "yandex"),
    "vivaldi": (2, "vivaldi"),
    "duckduckgo": (2, "duckduckgo"),
    "huaweibrowser": (2, "huawei"),
    "miui browser": (2, "miui"),
    "brave": (2, "chrome"),
    "headlesschrome": (9, ""),
}
