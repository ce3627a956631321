"""What is told at a glance agrees with the whole look: where a short cut says *clean*, the detector finds nothing."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analytical.privacy import detect, glance, text, url
from analytical.privacy.memory import MISSING, Memory
from analytical.privacy.rule import Rule

#: Words of all sorts: plain, announcing, near patterns of tokens, streets, angles, names, postcodes, keys.
WORDS = [
    *sorted(glance._TELLING)[::7],
    *("product", "Product", "PRODUCT", "shop", "coffee", "International", "internationally", "bench-mark", "a", "A"),
    *(
        "John",
        "Mary",
        "john",
        "CA",
        "ca",
        "NY",
        "GIR",
        "AB",
        "deg",
        "degrees",
        "dego",
        "hauptstrasse",
        "weg",
        "Ringweg",
    ),
    *("eyJhbGci", "eyJ", "sk", "key", "xapp", "glpat", "AKIA", "SK", "EAA", "npm", "QAxAyz", "kAds", "YUBiLmNv", "Qa"),
    *("ip", "IP", "at", "dot", "com", "gmail", "dead", "beef", "cafe", "aa", "bb", "ff", "N", "S", "s", "Women's", "x"),
    *("1", "12", "123", "2024", "12345", "90210", "123456", "1.5", "12.50", "3.1415", "007", "1.2.3.4", "0A1", "1AA"),
]
JOINS = [
    " ",
    " ",
    " ",
    "-",
    " - ",
    " | ",
    ", ",
    ": ",
    ". ",
    "? ",
    " & ",
    " / ",
    "'",
    "/",
    ".",
    "_",
    "",
    "+",
    "=",
    "@",
    ":",
]
PLAIN_JOINS = JOINS[:13]


@st.composite
def texts(draw: st.DrawFn) -> str:
    joins = draw(st.sampled_from([JOINS, PLAIN_JOINS, [" ", "-"]]))
    words = draw(
        st.lists(st.sampled_from(WORDS) | st.from_regex(r"[A-Za-z]{1,15}|[0-9]{1,6}", fullmatch=True), max_size=9)
    )
    out = ""
    for word in words:
        out += (draw(st.sampled_from(joins)) if out else "") + word
    return out + draw(st.sampled_from(["", "", ".", "!", "?", " "]))


def whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the short cuts away."""
    for module in (detect, text):
        monkeypatch.setattr(module, "quiet", lambda text: False)
    monkeypatch.setattr(text, "opaque", lambda text: False)
    monkeypatch.setattr(url, "_COMMON", re.compile("(?!)"))
    monkeypatch.setattr(url, "_ORIGIN", re.compile("(?!)"))


def check_quiet(plain: str) -> None:
    if glance.quiet(plain):
        with pytest.MonkeyPatch.context() as patch:
            whole(patch)
            assert detect.decoded(plain) == plain
            for strict in (False, True):
                for slug in (False, True):
                    assert detect.spans(plain, strict=strict, slug=slug) == []
                assert text.scrub_text(plain, strict=strict) == plain


@settings(max_examples=400, deadline=None)
@given(texts() | st.from_regex(glance._QUIET._source, fullmatch=True))  # type: ignore[attr-defined]
@example("CA 90210")
@example("45 dego")
@example("Musterweg 5")
@example("eyJhbGciO.")
@example("ip-1-2-3-4")
@example("aa-bb-cc-dd-ee-11")
@example("YUBiLmNvbS4")
@example("order 12345")
def test_a_quiet_text_has_nothing_in_it(plain: str) -> None:
    check_quiet(plain)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(glance._TELLING)), st.sampled_from(["{} 12345", "{}-123", "My {}", "{}", "A {}: x, 12"]))
def test_a_word_that_announces_is_never_passed_over(word: str, frame: str) -> None:
    assert not glance.quiet(frame.format(word))


@settings(max_examples=300, deadline=None)
@given(
    texts()
    | st.uuids().map(str)
    | st.from_regex(glance._OPAQUE._source, fullmatch=True)  # type: ignore[attr-defined]
    | st.integers(0, 10**20).map(str)
    | st.from_regex(r"[0-9]{8,11}\.[0-9]{8,11}|[0-9a-f]{16}|[0-9a-f]{32}", fullmatch=True)
)
@example("4111111111111111")
@example("5550e840-4111-1111-a111-1111446655ab")
def test_an_opaque_id_identifies_nobody(identity: str) -> None:
    cut = text.identifies(identity), text.identifies(identity, words=False)
    with pytest.MonkeyPatch.context() as patch:
        whole(patch)
        assert cut == (text.identifies(identity), text.identifies(identity, words=False))


SEGMENTS = [
    *sorted(url._TELLING)[::9],
    *("products", "blog", "pass-phrase", "maiden-name", "api-key", "my-shop", "summer-sale-2024", "long-summer-weg-5"),
    *("1", "42", "2024", "12345678", "123456789", "a", "en", "aa-bb-cc-dd-11", "x-1", "item-123456", "item-1234567"),
    *("internationalization", "X7", "a_b", "alice@example.com", "%41", ";x", "", "john-smith", "sommerweg-12", "born"),
]


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(
        ["", "https://example.com", "http://a.example:8080", "https://10.1.2.3", "HTTPS://Example.com", "//x"]
    ),
    st.lists(st.sampled_from(SEGMENTS) | st.from_regex("[a-z]{1,16}(-[a-z0-9]{1,6}){0,4}", fullmatch=True), max_size=6),
    st.sampled_from(
        ["", "/", "?", "?utm_source=a", "?utm_source=john-smith", "?page=2", "?x=1", "?page=alice@a.com", "#f"]
    ),
    st.booleans(),
)
@example("", ["pass-phrase", "1234"], "", False)
@example("", ["sommerweg-12"], "", False)
def test_an_address_told_at_a_glance_is_what_the_long_way_says(
    origin: str, segments: list[str], tail: str, strict: bool
) -> None:
    given_url = f"{origin}/{'/'.join(segments)}{tail}"
    allow = frozenset({"page"})
    url.scrub_url(given_url, strict=strict, query_allow=allow)  # the second time, origin and query are known
    cut = url.scrub_url(given_url, strict=strict, query_allow=allow), url.origin(given_url)
    with pytest.MonkeyPatch.context() as patch:
        whole(patch)
        assert cut == (url.scrub_url(given_url, strict=strict, query_allow=allow), url.origin(given_url))


@pytest.mark.parametrize(
    "plain", ["Pricing", "Product 123 | Shop", "Coffee, tea & more - 2024", "Women's shoes", "v 1.5"]
)
def test_plain_titles_are_quiet(plain: str) -> None:
    assert glance.quiet(plain)


@pytest.mark.parametrize(
    "page", ["/", "/products/42", "https://example.com/blog/2024/a-summer-sale-3/", "https://a.example?utm_source=x"]
)
def test_plain_addresses_are_told_at_a_glance(page: str) -> None:
    assert url.scrub_url(page) == page
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(url, "_split", lambda url: pytest.fail("went the long way"))
        assert url.scrub_url(page) == page


def test_what_is_asked_often_is_remembered_and_memory_is_bounded() -> None:
    memory = Memory(room=10_000)
    memory.put("often", 1)
    for number in range(1_000):
        memory.put(f"{number}", number)
        assert memory.get("often") == 1
        assert len(memory.recent) + len(memory._before) < 200
    assert memory.get("0") is MISSING


def test_a_site_of_two_thousand_pages_is_remembered_whole() -> None:
    asked: list[str] = []
    rule = Rule("test", lambda value: asked.append(value) or value, "", remember=True)
    for _ in range(3):
        for number in range(2_000):
            rule(f"https://shop.example/products/{number}?utm_source=newsletter")
    assert len(asked) == 2_000


def test_origins_and_queries_that_were_changed_are_not_remembered() -> None:
    url.scrub_url("https://1.2.3.4/?utm_source=alice@example.com")
    url.origin("https://alice@example.com/")
    assert "1.2.3.4" not in repr(url._ORIGINS.recent)
    assert "alice" not in repr(url._QUERIES.recent) + repr(url._ORIGINS.recent)
