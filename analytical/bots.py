"""Robots and agents: what a user agent declares itself to be.

The strict grammar of browsers is asked first, for most visits are people's; then the names in ``bots.txt``; then rules
that find what no list holds: an address to write to, a robot's word, a library's name, a browser that lacks what every
browser writes. It is a declaration that is read here: a robot that lies is not found by any list.

Sources of the names, with their licences, stand in ``bots.txt``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from importlib import resources
from typing import Final, Literal, NamedTuple, get_args

from .privacy.browser import RARE, read_browser

__all__ = ["KINDS", "Agent", "AgentKind", "Bots", "Decision", "classify"]

#: What an agent is for. ``unknown``: nothing is known of it, and it is no browser's string either.
AgentKind = Literal[
    "human",
    "search",
    "ai_training",
    "ai_search",
    "ai_assistant",
    "monitor",
    "tool",
    "feed",
    "bot",
    "unknown",
]
KINDS: Final[tuple[AgentKind, ...]] = get_args(AgentKind)


class Agent(NamedTuple):
    """What a user agent declares itself to be."""

    kind: AgentKind
    name: str = ""  #: the declared name of a robot, as ``bots.txt`` or the agent spells it; ``""`` for a person

    @property
    def is_human(self) -> bool:
        """Whether a person is likely to sit behind it."""
        return self.kind == "human"


HUMAN: Final = Agent("human")
UNKNOWN: Final = Agent("unknown")


def classify(user_agent: str | None, hints: Mapping[str, str] | None = None) -> Agent:
    """Return what a user agent declares itself to be.

    Args:
        user_agent: the header; an empty or missing one is ``unknown``, which is not human.
        hints: the request's headers; a ``Sec-CH-UA`` that names a headless browser is believed before the user agent.

    >>> classify("Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)")
    Agent(kind='ai_training', name='GPTBot')
    >>> classify("Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0").is_human
    True
    >>> classify("curl/8.5.0")
    Agent(kind='tool', name='curl')
    """
    if hints:
        hinted = _hinted(hints)
        if hinted is not None:
            return hinted
    if not isinstance(user_agent, str):
        return UNKNOWN
    if len(user_agent) > _LONGEST:
        user_agent = f"{user_agent[:400]} {user_agent[-111:]}"  # a robot signs at the end
    state = _KEYED.copy()
    state.update(user_agent.encode("utf-8", "surrogatepass"))
    key = state.digest()
    known = _SEEN.get(key)
    if known is None:
        known = _classify(user_agent)
        if len(_SEEN) >= _REMEMBERED:
            _SEEN.clear()
        _SEEN[key] = known
    return known


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a visit: ``send`` it, ``drop`` it, ``tag`` it as a robot's, or ``route`` it elsewhere."""

    action: Literal["send", "drop", "tag", "route"]
    agent: Agent
    to: str | None = None  #: the other destination's name, where ``action`` is ``route``


@dataclass(frozen=True, slots=True, kw_only=True)
class Bots:
    """What is done with visits that are not a person's.

    Args:
        action: ``drop`` counts them and sends nothing; ``tag`` sends them with the platform's own mark for robots
            (Matomo's ``recMode=1``, GoatCounter's ``bot``); ``route`` sends them to another destination; ``send``
            treats them as people.
        to: the other destination's name, for ``route``.
        kinds: which kinds are meant; every kind but ``human`` by default.
        unknown: whether ``unknown`` is meant too. Off by default: an agent of which nothing is known may be a person's
            own program. An empty user agent is ``unknown``.

    >>> Bots(action="drop")("curl/8.5.0").action
    'drop'
    >>> Bots(action="route", to="robots", kinds=frozenset({"ai_training"}))("GPTBot/1.2").to
    'robots'
    """

    action: Literal["send", "drop", "tag", "route"] = "drop"
    to: str | None = None
    kinds: frozenset[str] = frozenset(KINDS) - {"human", "unknown"}
    unknown: bool = False

    def __post_init__(self) -> None:
        if self.action not in ("send", "drop", "tag", "route"):
            raise ValueError(f"bots: action={self.action!r}; expected send, drop, tag or route")
        if (self.action == "route") != (self.to is not None):
            raise ValueError('bots: to= names the other destination, and goes with action="route" alone')
        strangers = self.kinds - set(KINDS)
        if strangers:
            raise ValueError(f"bots: kinds={sorted(strangers)}; expected some of {', '.join(KINDS)}")

    def __call__(self, user_agent: str | None, hints: Mapping[str, str] | None = None) -> Decision:
        """Return what to do with a visit of this user agent."""
        agent = classify(user_agent, hints)
        if agent.kind in self.kinds or (self.unknown and agent.kind == "unknown"):
            return Decision(self.action, agent, self.to)
        return Decision("send", agent)


def _hinted(hints: Mapping[str, str]) -> Agent | None:
    for name, value in hints.items():
        plain = name.lower().replace("_", "-").removeprefix("http-")
        if plain == "sec-ch-ua" and "headless" in value[:_LONGEST].lower():
            return Agent("tool", "HeadlessChrome")
    return None


def _classify(text: str) -> Agent:
    browser = read_browser(text)
    if browser is not None and browser.closed:
        return HUMAN
    stripped = text.strip(" \t\r\n\"'")
    if not stripped or stripped == RARE:
        return UNKNOWN
    lower = _HARMLESS.sub(" ", _IN_APP.sub(" fbapp ", stripped.lower()))
    named = _named(lower)
    if named is not None and named.kind == "tool" and (_PHONE.search(lower) or "android" in lower):
        # An old phone names its Java, and a device may be called like a program.
        named = _named(_COMMENT.sub(" ", lower)) if lower.startswith("mozilla/") else None
        if named is not None and named.name in ("Java", "PHP"):
            named = None
    if named is not None:
        return named
    return _by_rules(stripped, lower)


def _by_rules(text: str, lower: str) -> Agent:
    """Judge a string that no list and no closed grammar knows: rules that hold for robots in general."""
    for kind, pattern in _STRONG:
        found = pattern.search(lower)
        if found is not None:
            return Agent(kind, _declared(text, found[0]))
    if _PHONE.search(lower) or _TELEVISION.search(lower) or _APP.search(lower):
        # A device's own name may hold any word; what stands outside of it may not.
        rest = _COMMENT.sub(" ", lower) if lower.startswith("mozilla/") else ""
        found = _WEAK.search(rest)
        return HUMAN if found is None else Agent("bot", _declared(text, found[0]))
    if _OLD.match(lower):
        return HUMAN
    for kind, pattern in _WORDS:
        found = pattern.search(lower)
        if found is not None:
            return Agent(kind, _declared(text, found[0]))
    if _BROWSER.match(lower) and _ENGINE.search(lower) and not _BROKEN.search(lower):
        return HUMAN
    return Agent("bot", _declared(text, ""))


def _named(lower: str) -> Agent | None:
    """Look every word up among the names: the first wins, then the longest; a mere program comes last."""
    names = _names()
    best: tuple[tuple[bool, int, int], Agent] | None = None
    for match in _TOKEN.finditer(lower):
        word = match[0]
        head = _HEAD.match(word)
        for candidate in {word, word.rstrip(".-_"), head[0] if head is not None else word}:
            for phrase, slash, agent in names.get(candidate, ()):
                if slash and lower[match.start() + len(phrase) : match.start() + len(phrase) + 1] != "/":
                    continue
                if len(phrase) > len(candidate) and not lower.startswith(phrase, match.start()):
                    continue
                rank = (agent.kind == "tool", match.start(), -len(phrase))
                if best is None or rank < best[0]:
                    best = (rank, agent)
    return best[1] if best is not None else None


@cache
def _names() -> dict[str, list[tuple[str, bool, Agent]]]:
    """Return the names by first word: the whole name in small letters, whether a version must follow, the agent."""
    table: dict[str, list[tuple[str, bool, Agent]]] = {}
    kind: AgentKind = "bot"
    for line in resources.files(__package__).joinpath("bots.txt").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            kind = KINDS[KINDS.index(line.strip("[]"))]
            continue
        name = line.rstrip("/")
        first = _TOKEN.match(name.lower())
        if first is not None:
            table.setdefault(first[0], []).append((name.lower(), line.endswith("/"), Agent(kind, name)))
    return table


def _declared(text: str, found: str) -> str:
    """Return the word that holds what was found, or else the first product: what the agent calls itself.

    Only letters, digits and ``._-`` come out, at most 40 of them: the name may be shown in a report.
    """
    if "@" in text or "://" in text:
        text = _ADDRESS.sub(" ", text)
    for word in _PRODUCT.findall(text):
        if found and found.strip(" /;(") in word.lower() and not _GENERIC.fullmatch(word):
            return str(word[:40])
    for word in _PRODUCT.findall(text):
        if not _GENERIC.fullmatch(word):
            return str(word[:40])
    return ""


_LONGEST: Final = 512
_REMEMBERED: Final = 4096
_KEYED: Final = blake2b(digest_size=16, key=os.urandom(32))  # for this process alone
_SEEN: dict[bytes, Agent] = {}
_TOKEN: Final = re.compile(r"[a-z][a-z0-9!'._\-]*")
_ADDRESS: Final = re.compile(r"[\w.+-]{0,64}@[\w.-]{0,64}|https?:[^\s;)]*")
_HEAD: Final = re.compile(r"[a-z]{6,}(?=[-_.])")
_PRODUCT: Final = re.compile(r"[A-Za-z][A-Za-z0-9._\-]*")
_GENERIC: Final = re.compile(
    r"mozilla|compatible|applewebkit|khtml|like|gecko|chrome|safari|version|mobile|windows|nt|linux|android"
    r"|x11|macintosh"
    r"|intel|mac|os|x|u|rv|win64|x64|x86_64|wow64|msie|trident|iphone|cpu|ipad|build|https?|www\..*|en|en-us|bot|the",
    re.IGNORECASE,
)
#: Parts that hold a robot's word and are no robot's: taken out before the rules look.
_HARMLESS: Final = re.compile(
    r"cubot\w*|https?://bsalsa\.com/?|embedded web browser from:?|camscanner\S*"
    r"|google(?:wv|app)\b\S*|\bask ?tb\S*|feedback\w*|search ?toolbar\S*"
    r"|com\.(?:android|google|apple|facebook|instagram|tencent|huawei|xiaomi|samsung|ss|zhiliaoapp|sina|baidu"
    r"|ucmobile)\.[\w.]*"
    r"|valve steam\S*(?: client)?|sky_stb\S*|pinterest/\S*|line/\d\S*|\.net clr|\.net\d\.\d[ce]?|http%20"
    r"|playfreebrowser\S*|search bar"
    r"|(?<=gecko\) )atom/[\d.]+"
)
_IN_APP: Final = re.compile(
    r"\[?fb(?:an|_iab)/[^\]]*\]?|whatsapp/\S{1,20} (?:android|s60version|wp7|bb|blackberry|iphone)[^ ]* device/"
)
#: What no browser and no device writes.
_STRONG: Final[tuple[tuple[AgentKind, re.Pattern[str]], ...]] = (
    (
        "feed",
        re.compile(
            r"feed[-_ ]?(?:fetch|parser|reader|bot|validator|crawler)|rss[-_ ]?(?:reader|bot|parser|fetch|feed)"
        ),
    ),
    ("search", re.compile(r"search[-_ ]?(?:bot|engine|spider|crawler)")),
    (
        "monitor",
        re.compile(
            r"uptime|site[-_ ]?monitor|monitor(?:ing)?[-_ /]?(?:bot|agent|service|\d)|health[-_ ]?check"
            r"|lighthouse|page ?speed|link[-_ ]?check|\bptst\b|pingdom"
        ),
    ),
    (
        "bot",
        re.compile(
            r"(?<![a-z])bots?(?![a-z])|[a-z]bots?(?=$|[/ ;,)\-_\d.:+])|[-_.]bot|(?<![a-z])robot|crawl|spider"
            r"|(?<!droid )spyder|slurp|scrap[ei]|scrapy|archiver"
            r"|chrome/[\d.]+[a-z]{4}|android 0[;)]|https?:|\bwww\.|(?<=\w)@[\w-]{1,64}\.[a-z]{2}|\[at\]|\(at\)"
            # Browsers close that comment at once, and on a desktop end with a name and a version.
            r"|like gecko[,;] ?(?!safari|version|khtml)[a-z]|^[a-z]{3,20}(?:/[\d.]+)?, mozilla/"
            r"|^(?!.*(?:android|iphone|ipad|mobile|tv\b|web0s|tizen|xbox|station|linux; u)).*safari/[\d.]+(?:; ?[a-z]"
            r"| (?!viber|lbbrowser|metasr|mrchrome|whale|brave|qihu|maxthon)[a-z]{5,}$)"
        ),
    ),
    (
        "tool",
        re.compile(
            r"^okhttp/|^duckduckgo/|^ddg[-_]android|^navermailapp|^(?:ipad|iphone|android|chrome|firefox"
            r"|safari|opera|mozilla|browser|user-?agent)(?:/[\d.]+)?$|webkit2png|&quot;|&#\d|&lt;"
            r"|headless|phantomjs|selenium|puppeteer|playwright|webdriver|wkhtmlto|python|libcurl|\bcurl/|wget"
            r"|libwww-perl|\blwp|go-http|http[-_]?client"
            r"|<script|<\?php|union (?:all )?select|\.\./\.\.|\$\{|\(\) ?\{|alert\(|sqlmap|nikto|masscan"
            r"|nessus|openvas|acunetix|chrome/[\d.]+(?: mobile)? safari/[\d.]+ mozilla/5|\bselect[ +(]"
            r"|_sleep\(|waitfor delay|load_file|['\"] ?\)? ?(?:or|and) ['\"\d(]|like gecko\)?;|%2[57]"
            r"|\\x[0-9a-f]{2}"
        ),
    ),
)
_DOMAIN: Final = (
    r"(?:(?<=[a-z0-9-][a-z])|(?<=[a-z][0-9-]))"
    r"\.(?:com|net|org|info|io|ai|app|dev|eu|ru|de|fr|uk|jp|cn|it|nl|pl|cz|br|ch|se|biz|co|me)\b(?![.\d])"
)
#: What a browser's own name does not hold, outside of the device's.
_WEAK: Final = re.compile(
    r"monitor|check(?:er|ing|s)?\b|preview|validat|verif|\bseo|seo\b|analy[sz]er|analytics|audit|transcod"
    r"|screenshot|snapshot|thumbnail|capture|discover|detect"
    r"|indexer|research|(?<!cam)scan(?:ner|ning|s)?\b|collector|grabber|downloader|parser|proxy\b|agent\b"
    r"|retriev|inspect|optimi[sz]er|insight|advisor|measure|classif"
    r"|sitemap|unfurl|synthetic|fetch|probe|prober|observatory|compatible;|" + _DOMAIN + r"(?!/\d)"
)
_WORDS: Final[tuple[tuple[AgentKind, re.Pattern[str]], ...]] = (
    (
        "monitor",
        re.compile(r"monitor|watchdog|\bping\b|pinger|synthetic|check(?:er|ing|s)?\b|\bprobe|observatory|status"),
    ),
    ("feed", re.compile(r"\brss|\bfeed|feeds?\b|podcast|\batom[-_ ](?:feed|reader|parser)|aggregat")),
    (
        "bot",
        re.compile(
            r"harvest|archiv|preview|validat|verif|\bseo|seo\b|analy[sz]er|analytics|audit|transcod|translat"
            r"|thumbnail|screenshot|snapshot|capture|discover|detect"
            r"|\bindex|research|scan(?:ner|ning|s)?\b|[-_]scan|extract|collector|grab|downloader|parser|proxy"
            r"|agent\b|retriev|inspect|optimi[sz]|insight|advis|measure|classif|catalog"
            r"|mirror|copier|sitemap|unfurl|embed(?:ly|der)\b|finder|seeker|hunter|sniff|sucker|ripper|reaper"
            r"|walker|abuse|phish|malware|antivirus|honeypot|backlink|hotjar|\bsearch|" + _DOMAIN
        ),
    ),
    (
        "tool",
        re.compile(
            r"cypress|chromedriver|\bperl\b|\bphp|\bruby\b|java(?:/|1\.|\b(?![;)]))|golang|\bgo \d|node(?:js"
            r"|\.js|-|/)|\brust\b|\bcurl\b|libwww|\blwp|okhttp|http[-_]?(?:get|kit|request|lib|unit|ie)"
            r"|httpx?/|axios|guzzle"
            r"|urllib|requests?/|fetch|client/|library|\bsdk\b|\bapi\b|\bcli\b|postman|powershell|winhttp"
            r"|wininet|webclient|restsharp|mechanize|fuzz|exploit|exec\(|eval\("
        ),
    ),
)
_PHONE: Final = re.compile(
    r"up\.(?:browser|link)|midp|cldc|\bwap\d?\b|obigo|teleca|netfront|novarra|symbian|profile/|mmp/|\bbrew\b"
    r"|\bmaui\b|openwave|dolfin|jasmine|blackberry|nokia|sonyericsson|windows ce|\bpalm|series60|\bbada\b"
    r"|iemobile|up\.b|foma\b|docomo|\bgt-[a-z]\d{4}|\bsm-[a-z]\d{3}|\bsgh-|"
    r"[(/ ,;=](?:samsung|htc|lge|sony|huawei|xiaomi|oppo|vivo|asus)[-/ ,;_]"
    r"|(?:^|\buntrusted(?:/1\.0|10) )(?:samsung|lg|sony|mot-|sie-|sec-|sgh|htc|zte|lenovo|alcatel|sagem"
    r"|philips|panasonic|sharp|kddi|docomo|j-phone|softbank|vodafone|sanyo|kwc|audiovox|benq|huawei|nec-|palm"
    r"|pantech|hitachi|toshiba|acer|asus|vk-|gionee|micromax|karbonn|spice|lava|fly|haier|amoi|tcl|ericsson"
    r"|motorola|telit|pt-|portalmmm|opwv|mauiwap|compal|qtek|xda|i-mate|hp|o2|casio|kyocera|kddi-|dopod|tianyu"
    r"|k-touch|oppo|coolpad|bird|konka|zt[e-]|cect|changhong|hisense|infocus)"
)
_TELEVISION: Final = re.compile(
    r"hbbtv|ce-html|smart-?tv|webtv|web tv|netcast|web0s|tizen|viera|bravia|aquos|\broku|crkey|apple ?tv"
    r"|playstation|nintendo|xbox|\bmaple\b|opera tv|netrange|google ?tv|dlnadoc|\bpsp\b|espial|nettv|freebox"
    r"|oculus|dreamcast"
)
_APP: Final = re.compile(
    r"cfnetwork/|^dalvik/|darwin/\d|\b(?:iphone|ipad|ipod|ios)\b|\bandroid|^\w{2,20}android/\d|(?:watch|tv)os\b|\b(?:sonos|quicktime|itunes"
    r"|vlc|winamp|stagefright|exoplayer\w*|nsplayer|windows-media-player|wmplayer|foobar2000|aimp)/|opera mini"
    r"|ucweb|ucbrowser|mqqbrowser|kaios|windows phone|instagram \d|fbapp|applecoremedia|onebrowser/|snapchat/"
    r"|j2me"
)
_COMMENT: Final = re.compile(r"\([^()]{0,400}(?:\([^()]{0,100}\)[^()]{0,200}){0,3}(?:\)|$)")
_BROWSER: Final = re.compile(
    r"(?:[\w/.-]{1,40},? )?(?:mozilla/[1-6]\.\d+ ?[(\[]|opera[/ ]\d|mozilla/[345]\.0 .{0,60}\()"
)
_OLD: Final = re.compile(
    r"(?:microsoft office/|outlook-express/|googleapp/|mozacfetch/|voyager|qqbrowser/"
    r"|applewebkit/[\d.]+ \(khtml, like gecko\) version/|lynx|links|elinks|w3m|ncsa|ibrowse|amiga|dillo"
    r"|netsurf|icab|omniweb|cyberdog|uzbl|midori|galeon|konqueror|mosaic|arora|offbyone|hotjava|contiki|emacs"
    r"|oregano|retawq|browserjet|edbrowse|(?:safari|firefox|netscape"
    r"|(?:microsoft )?internet explorer)/[\d.]+ \(|mozilla/[1-4]\.\d+(?: ?\[\w+\])? \((?:x11|win|macintosh"
    r"|mac_|os/2|amiga))"
)
_ENGINE: Final = re.compile(
    r"applewebkit|gecko|goanna|msie|trident|presto|khtml|opera|konqueror|netscape|icab|amiga|\bowb\b|firefox"
    r"|\blinks\b|iemobile|dillo|netsurf|ibrowse|servo|ladybird|netpositive|inferno|fireweb|ms-?office|webkit"
    r"|x11; u|win(?:95|98|nt)|; u\)|; i\)|mac_powerpc"
)
_BROKEN: Final = re.compile(
    r"compatible; *(?!konqueror|icab|netpositive|amiga|ibrowse|netsurf|omniweb|opera|msie"
    r"|yandex)[a-z][\w!.-]*(?:/[\w.]+)?;? *(?:\)|$)|compatible;? *\)"
)
