# ruff: noqa: E501 - user agents are long, and one to a line is how they are read
"""A user agent is kept, masked or reduced; nothing that somebody wrote into it survives."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from user_agents import parse

from analytical import utils
from analytical.privacy import browser
from analytical.privacy.browser import (
    RARE,
    anonymize_user_agent,
    read_browser,
    reduce_client_hints,
    reduce_user_agent,
    vocabulary,
)

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36"
)
COMMON = [
    CHROME.format(122),
    CHROME.format(122) + " Edg/122.0.0.0",
    CHROME.format(122) + " OPR/107.0.0.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0",
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.3 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_3_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
    " Version/17.3.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (iPad; CPU OS 17_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/122.0.6261.89"
    " Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/122.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 14; SM-S901B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/24.0"
    " Chrome/117.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 11; moto g power (2022)) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0"
    " Mobile Safari/537.36",
    "Mozilla/5.0 (Android 14; Mobile; rv:125.0) Gecko/125.0 Firefox/125.0",
    "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/121.0.0.0 Safari/537.36",
    "Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1; Trident/5.0)",
    "Opera/9.80 (Windows NT 6.1; U; en) Presto/2.8.131 Version/11.11",
    "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko",
]
PLANTED = [
    "ada@example.com",
    "Ada Lovelace",
    "ada",
    "John Smith 1985",
    "+44 20 7946 0958",
    "4111111111111111",
    "sk_live_abcdef0123456789",
    "deadbeefcafebabe",
    "12.34.56.78",
    "visitor-4711",
    "user=ada",
    "https://x.example/y",
    "eyJhbGciOiJIUzI1NiJ9.e30.abc",
    "Ada/1.0",
    "uid:88123",
    "550e8400-e29b-41d4-a716-446655440000",
]
PLACES = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36 {}",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36 ({})",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; {}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{} Safari/537.36",
    "Mozilla/5.0 (Linux; Android 13; {}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 13; SM-G998B {}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Linux; Android 13; SM-G998B Build/{}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0 {}",
    "Mozilla/5.0 (X11; Linux x86_64; {}; rv:125.0) Gecko/20100101 Firefox/125.0",
    "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Trident/4.0; {})",
    "{} Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
    " [FBAN/FBIOS;FBCR/{}]",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
    " Instagram 1.2.3 ({})",
]


@pytest.mark.parametrize("user_agent", COMMON)
def test_a_common_browser_is_kept_byte_for_byte(user_agent: str) -> None:
    assert anonymize_user_agent(user_agent) == user_agent
    assert anonymize_user_agent(user_agent) == user_agent  # and again, remembered


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("planted", PLANTED)
def test_free_text_makes_a_user_agent_rare_as_a_whole(place: str, planted: str) -> None:
    assert anonymize_user_agent(place.format(planted)) == RARE


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("planted", PLANTED)
def test_a_reduced_user_agent_stands_in_the_vocabulary_whatever_was_planted(place: str, planted: str) -> None:
    assert reduce_user_agent(place.format(planted)) in vocabulary() | {RARE}


@pytest.mark.parametrize("nothing", ["", " ", "curl/8.5.0", "Wget", "My browser", None, "é", "\x00", "Mozilla/5.0"])
def test_what_is_no_browser_is_rare(nothing: str | None) -> None:
    assert anonymize_user_agent(nothing) == RARE
    assert reduce_user_agent(nothing) == RARE


@pytest.mark.parametrize("user_agent", COMMON)
def test_vendors_parsers_read_the_same_of_the_reduced_string(user_agent: str) -> None:
    before, after = parse(user_agent), parse(reduce_user_agent(user_agent))
    family = {"Ubuntu": "Linux"}
    assert after.os.family == family.get(before.os.family, before.os.family)
    assert after.browser.family == before.browser.family
    assert (after.is_mobile, after.is_tablet, after.is_pc) == (before.is_mobile, before.is_tablet, before.is_pc)


def test_reducing_is_idempotent_over_the_whole_vocabulary() -> None:
    assert all(reduce_user_agent(word) == word for word in vocabulary())


def test_at_most_five_come_out_for_a_family_system_and_form_factor() -> None:
    for template in (*COMMON, CHROME.format("{}")):
        if "Chrome/122" not in template and "{}" not in template:
            continue
        shape = template.replace("Chrome/122", "Chrome/{}") if "{}" not in template else template
        assert len({reduce_user_agent(shape.format(major)) for major in range(1, 999)}) <= 5


def test_each_of_the_last_four_majors_is_told_apart_and_the_rest_is_older() -> None:
    data = json.loads(Path(browser.__file__).with_name("browsers.json").read_text())
    newest, *others = data["families"]["chrome"]["majors"]
    assert reduce_user_agent(CHROME.format(newest)) == CHROME.format(newest)
    assert [reduce_user_agent(CHROME.format(major)) for major in others] == [CHROME.format(major) for major in others]
    assert reduce_user_agent(CHROME.format(60)) == CHROME.format(others[-1])


def test_a_major_newer_than_the_data_counts_as_the_newest() -> None:
    data = json.loads(Path(browser.__file__).with_name("browsers.json").read_text())
    newest = data["families"]["chrome"]["majors"][0]
    assert reduce_user_agent(CHROME.format(newest + 40)) == CHROME.format(newest)


def test_a_robot_never_looks_like_a_browser_after_reducing() -> None:
    robot = CHROME.format(122) + " (compatible; ExampleBot/1.0; +https://bot.example)"
    assert reduce_user_agent(robot) == RARE
    assert anonymize_user_agent(robot) == RARE


@pytest.mark.parametrize(
    ("headers", "family", "system", "mobile"),
    [
        (('"Chromium";v="130", "Google Chrome";v="130", "Not?A_Brand";v="99"', "?0", '"Windows"'), "Chrome", "Windows", False),
        (('"Microsoft Edge";v="130", "Chromium";v="130", ";Not A Brand";v="99"', "?0", '"macOS"'), "Edge", "Mac OS X", False),
        (('"Chromium";v="130", "Samsung Internet";v="27"', "?1", '"Android"'), "Samsung Internet", "Android", True),
        (('"Chromium";v="130"', "?0", '"Chrome OS"'), "Chrome", "Chrome OS", False),
    ],
)  # fmt: skip
def test_client_hints_name_the_browser(headers: tuple[str, str, str], family: str, system: str, mobile: bool) -> None:
    names = ("Sec-CH-UA", "Sec-CH-UA-Mobile", "Sec-CH-UA-Platform")
    reduced = reduce_client_hints(dict(zip(names, headers, strict=True)))
    assert reduced in vocabulary()
    parsed = parse(reduced)
    assert (parsed.browser.family, parsed.os.family, parsed.is_mobile) == (family, system, mobile)
    wsgi = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in zip(names, headers, strict=True)}
    assert reduce_user_agent("anything", wsgi) == reduced


@pytest.mark.parametrize(
    "brands", ['"HeadlessChrome";v="130", "Chromium";v="130"', '"Ada\'s Browser";v="1"', "", "junk" * 999]
)
def test_client_hints_outside_the_vocabulary_are_rare(brands: str) -> None:
    assert reduce_client_hints({"Sec-CH-UA": brands, "Sec-CH-UA-Platform": '"Windows"'}) == RARE


@given(st.text(max_size=300))
def test_any_text_comes_out_of_the_vocabulary_or_rare(text: str) -> None:
    assert reduce_user_agent(text) in vocabulary() | {RARE}
    assert anonymize_user_agent(text) in (text, RARE)


@given(st.sampled_from(COMMON), st.data())
def test_a_common_browser_with_letters_put_in_anywhere_is_rare_or_still_closed(
    user_agent: str, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(user_agent)))
    secret = data.draw(st.sampled_from(["zqxjk", "zq@xj.kv", "Zq Xjk", "zqxjk=1", "\u00e9zqxjk"]))
    planted = user_agent[:at] + secret + user_agent[at:]
    assert anonymize_user_agent(planted) == RARE
    assert "zq" not in reduce_user_agent(planted).lower()


@given(
    st.lists(
        st.sampled_from(
            [
                "Mozilla/5.0 (",
                "X11; Linux x86_64",
                ")",
                " AppleWebKit/537.36",
                " (KHTML, like Gecko)",
                " Chrome/1",
                " Safari/",
                "; ",
                "Android 9",
                "[FB",
                " Instagram ",
                "/",
                "9.9",
            ]
        ),
        max_size=40,
    )
)
def test_the_grammar_survives_torn_pieces(pieces: list[str]) -> None:
    text = "".join(pieces)
    read_browser(text)
    assert reduce_user_agent(text) in vocabulary() | {RARE}


@pytest.mark.parametrize(
    "junk", ["(", " ", ";", "a/1 ", "; ", "Mozilla/5.0 (", "\u00e9", "\x00", "[FB", "Linux; Android 9; "]
)
def test_hostile_megabytes_take_less_than_five_milliseconds(junk: str) -> None:
    reduce_user_agent(CHROME.format(1))  # what is loaded once is loaded
    base = CHROME.format(120)
    for hostile in (
        junk * (1_000_000 // len(junk)),
        base + junk * 100_000,
        (base + junk * 90)[:700],
        base[:13] + junk * 40,
    ):
        best = min(_timed(hostile + "x" * turn) for turn in range(3))
        assert best < 0.005


def _timed(text: str) -> float:
    began = time.thread_time()
    anonymize_user_agent(text)
    reduce_user_agent(text)
    return time.thread_time() - began


def test_memories_hold_no_rejected_value_and_are_bounded() -> None:
    for number in range(browser._REMEMBERED + 50):
        anonymize_user_agent(f"{CHROME.format(120)} ada{number}@example.com")
        reduce_user_agent(f"a secret number {number}")
    held = repr((browser._KEPT, browser._MASKED, browser._REDUCED))
    assert "@example" not in held
    assert "secret number" not in held
    assert max(len(browser._KEPT), len(browser._MASKED), len(browser._REDUCED)) <= browser._REMEMBERED


def test_common_browsers_need_no_library() -> None:
    code = (
        "import sys; from analytical.privacy.browser import *\n"
        f"assert anonymize_user_agent({COMMON[0]!r}) != RARE; assert reduce_user_agent({COMMON[6]!r}) != RARE\n"
        "assert not {'user_agents', 'ua_parser'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_utils_offers_both() -> None:
    assert utils.reduce_user_agent is reduce_user_agent
    assert utils.anonymize_user_agent is anonymize_user_agent


def test_the_script_that_writes_the_data_takes_released_majors_only(tmp_path: Path) -> None:
    path = Path(__file__).parent.parent / "scripts" / "update_browsers.py"
    spec = importlib.util.spec_from_file_location("update_browsers", path)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    releases = {str(n): {"status": "retired", "engine_version": str(n + 9)} for n in range(90, 100)}
    releases["100"] = {"status": "beta", "engine_version": "109"}
    assert script.majors(releases) == [99, 98, 97, 96, 95]
    assert script.engines(releases, [99, 98]) == [108, 107]
    data = {
        "__meta": {"timestamp": "2030-01-02T00:00:00Z", "version": "9.9.9"},
        "browsers": {name: {"releases": releases} for name in script.SOURCES.values()},
    }
    built = script.build(data)
    shipped = json.loads(Path(browser.__file__).with_name("browsers.json").read_text())
    assert built["dated"] == "2030-01-02"
    assert set(built["families"]) == set(shipped["families"])
    assert browser._Table(built).dated == "2030-01-02"


_ON_IOS = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
_ON_ANDROID = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Mobile Safari/537.36"


@pytest.mark.parametrize(
    ("user_agent", "kept"),
    [
        (f"Mozilla/5.0 (Linux; Android 14; Mobile) {_ON_ANDROID}", True),
        (f"Mozilla/5.0 (Linux; Android 14; Build/UQ1A.240105.004) {_ON_ANDROID}", True),
        (f"Mozilla/5.0 (Linux; Android 14; Build/of-alice) {_ON_ANDROID}", False),
        (f"Mozilla/5.0 (Linux; Android 14; {'SM ' * 20}) {_ON_ANDROID}", False),
        (f"Mozilla/5.0 (Linux; Android 9; AFTS) {_ON_ANDROID}", False),
        (f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) {_ON_IOS}", True),
        # Chrome says CriOS there.
        (f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) {_ON_IOS} Chrome/120.0.0.0 Mobile/15E148 Safari/604.1",
         False),
    ],
    ids=["a form factor for a device", "a build for a device", "no build", "an endless model",
         "a television", "a web view", "Chrome on iOS"],
)  # fmt: skip
def test_what_stands_for_a_device_has_the_form_that_makers_give_it(user_agent: str, kept: bool) -> None:
    assert anonymize_user_agent(user_agent) == (user_agent if kept else RARE)


def test_hints_that_name_no_browser_leave_it_to_the_user_agent() -> None:
    firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0"
    assert reduce_user_agent(firefox, {"Sec-CH-UA": "nonsense"}) == reduce_user_agent(firefox) != RARE


def test_what_is_remembered_of_kept_strings_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "_REMEMBERED", 2)
    monkeypatch.setattr(browser, "_KEPT", set())
    for major in range(100, 120):
        firefox = f"Mozilla/5.0 (X11; Linux x86_64; rv:{major}.0) Gecko/20100101 Firefox/{major}.0"
        assert anonymize_user_agent(firefox) == firefox
        assert len(browser._KEPT) <= 2
