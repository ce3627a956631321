# ruff: noqa: E501 - user agents are long, and one to a line is how they are read
"""Robots declare themselves, people's browsers do not look like robots."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytical import bots
from analytical.bots import KINDS, Agent, Bots, classify
from analytical.privacy.browser import RARE, vocabulary

KIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
CHROME = f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {KIT} Chrome/122.0.0.0 Safari/537.36"
ANDROID = f"Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) {KIT} Chrome/122.0.0.0 Mobile Safari/537.36"

DECLARED = [
    ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "search", "Googlebot"),
    (f"{ANDROID} (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "search", "Googlebot"),
    ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", "search", "bingbot"),
    ("Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)", "search", "YandexBot"),
    ("DuckDuckBot/1.1; (+http://duckduckgo.com/duckduckbot.html)", "search", "DuckDuckBot"),
    ("Mozilla/5.0 (compatible; Yahoo! Slurp; http://help.yahoo.com/help/us/ysearch/slurp)", "search", "Yahoo! Slurp"),
    (f"Mozilla/5.0 {KIT}; compatible; GPTBot/1.2; +https://openai.com/gptbot)", "ai_training", "GPTBot"),
    ("CCBot/2.0 (https://commoncrawl.org/faq/)", "ai_training", "CCBot"),
    (f"Mozilla/5.0 {KIT}; compatible; ClaudeBot/1.0; +claudebot@anthropic.com)", "ai_training", "ClaudeBot"),
    ("meta-externalagent/1.1 (+https://developers.facebook.com/docs/sharing/webmasters/crawler)", "ai_training", "meta-externalagent"),
    (f"Mozilla/5.0 {KIT}; compatible; OAI-SearchBot/1.0; +https://openai.com/searchbot", "ai_search", "OAI-SearchBot"),
    (f"Mozilla/5.0 {KIT}; compatible; PerplexityBot/1.0; +https://perplexity.ai/perplexitybot)", "ai_search", "PerplexityBot"),
    (f"Mozilla/5.0 {KIT}; compatible; ChatGPT-User/1.0; +https://openai.com/bot", "ai_assistant", "ChatGPT-User"),
    (f"Mozilla/5.0 {KIT}; compatible; Claude-User/1.0; +Claude-User@anthropic.com)", "ai_assistant", "Claude-User"),
    (f"Mozilla/5.0 {KIT}; compatible; Perplexity-User/1.0; +https://perplexity.ai/perplexity-user)", "ai_assistant", "Perplexity-User"),
    ("Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)", "monitor", "UptimeRobot"),
    ("Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)", "monitor", "pingdom"),
    (f"Mozilla/5.0 (X11; Linux x86_64) {KIT} Chrome/122.0.0.0 Safari/537.36 PTST/240101", "monitor", "PTST"),
    ("curl/8.5.0", "tool", "curl"),
    ("python-requests/2.32.3", "tool", "python-requests"),
    ("Go-http-client/2.0", "tool", "Go-http-client"),
    ("PostmanRuntime/7.37.3", "tool", "PostmanRuntime"),
    (f"Mozilla/5.0 (X11; Linux x86_64) {KIT} HeadlessChrome/122.0.0.0 Safari/537.36", "tool", "HeadlessChrome"),
    ("Feedly/1.0 (+http://www.feedly.com/fetcher.html; like FeedFetcher-Google)", "feed", ""),
    ("Tiny Tiny RSS/21.05 (https://tt-rss.org/)", "feed", "Tiny Tiny RSS"),
    ("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", "bot", "facebookexternalhit"),
    ("Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)", "bot", "AhrefsBot"),
    ("Twitterbot/1.0", "bot", "Twitterbot"),
]  # fmt: skip

NEVER_LISTED = [
    "Mozilla/5.0 (compatible; ZqxjkBot/1.0)",
    "Mozilla/5.0 (compatible; Zqxjk/1.0; +https://zqxjk.example/about)",
    f"{CHROME} (compatible; Zqxjk; info@zqxjk.example)",
    f"{CHROME} zqxjk-crawler",
    f"{CHROME} Zqxjk-Link-Checker/3",
    f"Mozilla/5.0 {KIT}; Zqxjk Console) Chrome/122.0.0.0 Safari/537.36",
    "zqxjk spider v2",
    "Zqxjk/1.0",
    "zqxjk-http-client/0.9",
    "Mozilla/5.0 (Zqxjk)",
    "Mozilla/4.0 (compatible;)",
    "Mozilla/5.0",
    "Chrome",
    "iPhone",
    "ZqxjkFeedFetcher/2.1 4 subscribers",
    "zqxjk uptime monitor",
    "Java/17.0.2",
    "<script>alert(1)</script>",
    "' or 1=1--",
    "${jndi:ldap://x.example/a}",
    f"{CHROME} {CHROME}",
]

PEOPLE = [
    CHROME,
    ANDROID,
    f"{CHROME} Edg/122.0.0.0",
    f"{CHROME} OPR/107.0.0.0 (Edition Yx 05)",
    "Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
    " [FBAN/FBIOS;FBAV/450.0.0.38;FBBV/564431005;FBDV/iPhone14,3;FBMD/iPhone;FBSN/iOS;FBCR/Telekom.de;FBID/phone]",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/21D50"
    " Instagram 319.0.2.27.108 (iPhone14,3; iOS 17_3; en_US; en; scale=3.00; 1284x2778; 561309374)",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 13_3_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0.5"
    " Mobile/15E148 Snapchat/10.77.5.59 (like Safari/604.1)",
    f"Mozilla/5.0 (Linux; Android 9; Pixel Build/PQ3A.190801.002; wv) {KIT} Version/4.0 Chrome/77.0.3865.73 Mobile Safari/537.36",
    "Opera/9.80 (Android; Opera Mini/36.2/119.132; U; en) Presto/2.12.423 Version/12.16",
    "Nokia6300/2.0 (05.00) Profile/MIDP-2.0 Configuration/CLDC-1.1",
    "SonyEricssonW760i/R4EA Java/SEMC-Java/2.0 Profile/MIDP-2.0 Configuration/CLDC-1.1",
    "BlackBerry9700/5.0.0.862 Profile/MIDP-2.1 Configuration/CLDC-1.1 VendorID/331",
    "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1; .NET CLR 1.1.4322)",
    "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 5.1; Embedded Web Browser from: http://bsalsa.com/; .NET CLR 2.0)",
    "Mozilla/5.0 (compatible; Konqueror/4.4; Linux) KHTML/4.4.5 (like Gecko) Kubuntu",
    f"Mozilla/5.0 (Linux; Android 8.1.0; CUBOT_NOVA) {KIT} Chrome/70.0.3538.80 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 4.1.1; DROID SPYDER Build/JRO03R) AppleWebKit/535.19 (KHTML, like Gecko)"
    " Chrome/18.0.1025.166 Mobile Safari/535.19",
    f"Mozilla/5.0 (Web0S; Linux/SmartTV) {KIT} Chrome/79.0.3945.79 Safari/537.36 WebAppManager",
    "HbbTV/1.1.1 (;Samsung;SmartTV2013;T-FXPDEUC-1102.2;;) WebKit",
    "Mozilla/5.0 (PlayStation 4 3.11) AppleWebKit/537.73 (KHTML, like Gecko)",
    "Mozilla/5.0 (Nintendo 3DS; U; ; en) Version/1.7412.EU",
    f"Mozilla/5.0 (SMART-TV; Linux; Tizen 2.4.0) {KIT} SamsungBrowser/2.4 TV Safari/537.36",
    f"Mozilla/5.0 (Linux; Android 5.1; AFTS Build/LMY47O) {KIT} Version/4.0 Chrome/41.99900.2250.0242 Safari/537.36",
    "ExampleApp/1 iPhone5,2 iOS/10_1 CFNetwork/808.3 Darwin/16.3.0",
    "Dalvik/2.1.0 (Linux; U; Android 6.0.1; vivo 1610 Build/MMB29M)",
    "Lynx/2.9.0dev.5 libwww-FM/2.14 SSL-MM/1.4.1 GNUTLS/3.6.13",
    "w3m/0.5.3+git20190105",
    "Mozilla/5.0 (Mobile; Nokia_8110_4G; rv:48.0) Gecko/48.0 Firefox/48.0 KAIOS/2.5",
    "UCWEB/2.0 (MIDP-2.0; U; Adr 4.4.2; en-US; GT-I9500) U2/1.0.0 UCBrowser/9.8.0.534 U2/1.0.0 Mobile",
]  # fmt: skip


@pytest.mark.parametrize(("user_agent", "kind", "name"), DECLARED)
def test_a_robot_that_is_known_is_named_with_its_purpose(user_agent: str, kind: str, name: str) -> None:
    agent = classify(user_agent)
    assert agent.kind == kind
    assert not name or agent.name.lower() == name.lower()
    assert not agent.is_human


@pytest.mark.parametrize("user_agent", NEVER_LISTED)
def test_a_robot_that_no_list_holds_is_found_by_what_it_writes(user_agent: str) -> None:
    assert classify(user_agent).kind not in ("human", "unknown")


@pytest.mark.parametrize("user_agent", PEOPLE)
def test_people_are_not_robots_whatever_they_use(user_agent: str) -> None:
    assert classify(user_agent) == Agent("human")


def test_every_reduced_browser_is_a_persons() -> None:
    assert [word for word in vocabulary() if not classify(word).is_human] == []


@pytest.mark.parametrize("nothing", ["", "  ", None, RARE])
def test_nothing_is_unknown_and_not_human(nothing: str | None) -> None:
    assert classify(nothing) == Agent("unknown")
    assert not classify(nothing).is_human


def test_hints_may_say_more_than_the_user_agent() -> None:
    assert classify(CHROME, {"Sec-CH-UA": '"HeadlessChrome";v="122"'}).kind == "tool"
    assert classify(CHROME, {"HTTP_SEC_CH_UA": '"Google Chrome";v="122"'}).is_human


@given(st.text(max_size=400))
def test_any_text_has_a_kind_and_a_short_plain_name(text: str) -> None:
    agent = classify(text)
    assert agent.kind in KINDS
    assert len(agent.name) <= 40
    assert "@" not in agent.name
    assert agent == classify(text)


@given(st.from_regex(r"[a-z]{2,12}\.?[a-z]{0,8}@[a-z]{2,10}\.example", fullmatch=True))
def test_an_address_in_a_user_agent_is_no_name(address: str) -> None:
    name = classify(f"Zqxjk/1.0 ({address})").name
    assert name == "Zqxjk"


@pytest.mark.parametrize(
    "junk", ["_", "a", "(", "a.", "e_", "-9", "0bj_.", ";", " ", "\u00e9", "mozilla/5.0 (", "bot", "@"]
)
def test_hostile_megabytes_take_less_than_five_milliseconds(junk: str) -> None:
    classify("warm")
    for hostile in (junk * (1_000_000 // len(junk)), f"Mozilla/5.0 (X11) {KIT} " + junk * 100_000, (junk * 640)[:640]):
        assert min(_timed(f"{turn}{hostile}") for turn in range(6)) < 0.005


def _timed(text: str) -> float:
    began = time.thread_time()
    classify(text)
    return time.thread_time() - began


def test_the_memory_is_bounded_and_holds_no_user_agent() -> None:
    for number in range(bots._REMEMBERED + 10):
        classify(f"secret-{number}-x/1.0 (zq{number}@example.com)")
    assert len(bots._SEEN) <= bots._REMEMBERED
    assert all(isinstance(key, bytes) for key in bots._SEEN)


@pytest.mark.parametrize(
    ("policy", "robot", "person"),
    [
        (Bots(), "drop", "send"),
        (Bots(action="tag"), "tag", "send"),
        (Bots(action="route", to="robots"), "route", "send"),
        (Bots(action="send"), "send", "send"),
        (Bots(kinds=frozenset({"search"})), "send", "send"),
    ],
)
def test_a_policy_says_what_becomes_of_a_robots_visit(policy: Bots, robot: str, person: str) -> None:
    decision = policy("curl/8.5.0")
    assert decision.action == robot
    assert decision.agent == Agent("tool", "curl")
    assert decision.to == ("robots" if robot == "route" else None)
    assert policy(CHROME).action == person


def test_unknown_agents_are_sent_unless_asked() -> None:
    assert Bots()("").action == "send"
    assert Bots(unknown=True)("").action == "drop"


@pytest.mark.parametrize(
    "options", [{"action": "burn"}, {"action": "route"}, {"to": "x"}, {"kinds": frozenset({"robots"})}]
)
def test_a_policy_that_makes_no_sense_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="bots:"):
        Bots(**options)  # type: ignore[arg-type]


def test_every_name_in_the_file_is_found_in_a_user_agent() -> None:
    lost = []
    for entries in bots._names().values():
        for phrase, _, agent in entries:
            found = classify(f"Mozilla/5.0 (compatible; {phrase}/1.0; +https://example.com)")
            if found.kind in ("human", "unknown"):
                lost.append((phrase, agent, found))
    assert lost == []


@pytest.mark.parametrize(
    "user_agent",
    [
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko, Watcher) Chrome/131.0.0.0 Safari/537.36",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36; Watcher",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Watcher",
        "Resizer/6.7, Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0",
    ],
)
def test_a_program_that_signs_a_desktop_browsers_string_is_found_without_its_name(user_agent: str) -> None:
    assert classify(user_agent).kind == "bot"


@pytest.mark.parametrize(
    "user_agent",
    [
        "Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/94.0 Safari/537.36 WebAppManager",
        "Mozilla/5.0 (Linux; Android 13; SM-G991N; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 "
        "Chrome/120.0.6099.144 Mobile Safari/537.36;KAKAOTALK 2410540",
        "TwitterAndroid/2.0.0 (119) Desire HD/10 (HTC;ace;htc_wwe;htc_ace;)",
        "Mozilla/5.0 (Linux; U; Android 4.1.2; GT-I9300de_DE Build/JZO54K) AppleWebKit/ (KHTML, like Gecko) Version/ "
        "Mobile Safari/ Wetter.de/1.7",
    ],
)
def test_apps_and_televisions_sign_as_they_like(user_agent: str) -> None:
    assert classify(user_agent).is_human


@pytest.mark.parametrize(
    ("user_agent", "kind"),
    [
        # An old phone names the Java that it runs, and is somebody's.
        ("Mozilla/4.0 (compatible; Android; Profile/MIDP-2.0) Java/1.6.0", "human"),
        ("acme-uptime-checker/1.0", "monitor"),
        ("my own feed reader thing", "feed"),
        ("acme link preview", "bot"),
    ],
)
def test_words_tell_where_no_name_is_known(user_agent: str, kind: str) -> None:
    assert classify(user_agent).kind == kind
