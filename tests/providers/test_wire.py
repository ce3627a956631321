"""What every provider file uses: addresses, regions, halving, limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytical.backend import (
    Backend,
    Parcel,
    Regional,
    compact,
    cut,
    exchange,
    header_text,
    iso,
    language_tag,
    lone,
    number,
    parsed,
    pixels,
    quoted,
)
from analytical.errors import ConfigurationError
from analytical.fields import Fields
from analytical.hit import Hit
from analytical.http import Request, Response
from analytical.registry import PROVIDERS


@dataclass(frozen=True, kw_only=True)
class Splitting(Backend):
    """Refuses any request with the hit ``bad`` in it."""

    name: ClassVar[str] = "splitting"
    host: ClassVar[str | None] = "https://example.com"
    paths: ClassVar[tuple[str, ...]] = ("/main", "/old")

    def encode(self, hits: Any, *, now: float) -> list[Parcel]:
        body = " ".join(hit.id for hit in hits).encode()
        return [Parcel(Request(url=self.address(), body=body), tuple(range(len(hits))))]

    def divisible(self, response: Response) -> bool:
        return response.status == 400


def test_a_batch_condemned_for_one_hit_is_halved_where_the_platform_says_so() -> None:
    hits = [Hit(id=name, kind="event", time=0.0) for name in ("a", "b", "bad", "d")]
    talk = exchange(Splitting(id="x"), hits, now=lambda: 0.0)
    request = next(talk)
    try:
        while True:
            request = talk.send(Response(status=400 if b"bad" in request.body else 200))
    except StopIteration as finished:
        states = [verdict.state for verdict in finished.value]
    assert states == ["delivered", "delivered", "rejected", "delivered"]


@pytest.mark.parametrize(
    ("endpoint", "path", "address"),
    [
        (None, None, "https://example.com/main"),
        ("https://own.example", "/other", "https://own.example/other"),
        ("https://own.example/", None, "https://own.example/main"),
        ("https://own.example/proxy/main", "/other", "https://own.example/proxy/other"),
        ("https://own.example/proxy/old", "/other", "https://own.example/proxy/other"),
        ("https://own.example/proxy/old", None, "https://own.example/proxy/old"),
        ("https://own.example/proxy?k=v", None, "https://own.example/proxy?k=v"),
    ],
)
def test_an_endpoint_is_a_base_address_or_a_whole_url(endpoint: str | None, path: str | None, address: str) -> None:
    assert Splitting(id="x", endpoint=endpoint).address(path) == address


REGIONAL = [
    name for name in ("ga4", "amplitude", "mixpanel", "posthog", "segment") if issubclass(PROVIDERS.get(name), Regional)
]


@pytest.mark.parametrize("name", REGIONAL)
def test_every_region_is_an_address_and_an_unknown_one_is_named(name: str) -> None:
    cls = PROVIDERS.get(name)
    secret = {"api_secret": "s"} if name == "ga4" else {}
    addresses = {cls.create("G-1", region=region, **secret).address() for region in cls.regions}
    assert len(addresses) == len(cls.regions)
    assert cls.create("G-1", **secret).address().startswith(cls.host)
    with pytest.raises(ConfigurationError, match="eu"):
        cls.create("G-1", region="atlantis", **secret)
    own = cls.create("G-1", region="eu", endpoint="https://proxy.example.com", **secret)
    assert own.address().startswith("https://proxy.example.com/")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 30), max_size=20))
def test_large_items_stand_alone_and_none_is_lost(sizes: list[int]) -> None:
    runs = list(lone(sizes, count=4, size=40, largest=20))
    assert sorted(i for run in runs for i in run) == list(range(len(sizes)))
    for run in runs:
        assert len(run) == 1 or (len(run) <= 4 and all(sizes[i] <= 20 for i in run))


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=50), st.integers(0, 60), st.integers(0, 60))
def test_a_cut_text_fits_and_begins_the_same(text: str, chars: int, octets: int) -> None:
    found = cut(text, chars=chars, octets=octets)
    assert text.startswith(found)
    assert not chars or len(found) <= chars
    assert not octets or len(found.encode()) <= octets


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=50))
def test_a_form_is_spelled_as_everybody_spells_it(text: str) -> None:
    assert quoted(text) == quote_plus(text, errors="replace")


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=50))
def test_a_header_is_one_line_of_ascii(text: str) -> None:
    found = header_text(text)
    assert found.isascii()
    assert not found or found.isprintable()


@pytest.mark.parametrize("text", ["", "x", "1x", "x1", "1x2x3", "-1x2", "1.5x2", None])
def test_what_is_no_screen_is_none(text: str | None) -> None:
    assert pixels(text) is None


@pytest.mark.parametrize("value", [None, "", "inf", "nan", "x", [], {}])
def test_what_is_no_number_is_none(value: Any) -> None:
    assert number(value) is None


def test_texts_that_utf8_cannot_carry_cost_a_character_not_the_hit() -> None:
    assert b"?" in compact({"a": "\ud800"})


def test_other_peoples_json_never_raises() -> None:
    assert parsed(b"[" * 100_000) is None
    assert parsed(b"\xff") is None


def test_moments_and_languages() -> None:
    assert iso(0.0) == "1970-01-01T00:00:00.000Z"
    assert language_tag(None) is None
    assert language_tag("*, en") is None


@pytest.mark.parametrize(
    ("name", "identity", "options"),
    [
        ("segment", "key", {}),
        ("goatcounter", "code", {"api_key": "k"}),
        ("pirsch", "example.com", {"access_key": "pa_k"}),
        ("simpleanalytics", "example.com", {}),
        ("ga4", "G-ABC", {"api_secret": "s"}),
    ],
)
def test_what_a_rule_emptied_is_absent(name: str, identity: str, options: dict[str, Any]) -> None:
    backend = PROVIDERS.get(name).create(identity, **options)
    emptied: dict[str, Any] = dict.fromkeys(
        ("client_id", "user_id", "client_ip", "user_agent", "referrer", "title"), ""
    )
    hit = Hit(id="0-1", kind="pageview", time=1_767_225_600.0, url="https://example.com/", **emptied)
    (parcel,) = backend.encode([hit], now=hit.time)
    assert b'""' not in parcel.request.body
    assert [finding for decoded in type(backend).decode(parcel.request) for finding in decoded.findings] == []


def test_limits_may_stand_by_common_name_or_native_key() -> None:
    table = Fields(title="t", name="n", limits={"title": 2, "other": 3}, byte_limits={"n": 3})
    assert table.fitted({"t": "abc", "other": "abcd", "n": "ééé", "free": "x" * 9}) == {
        "t": "ab",
        "other": "abc",
        "n": "é",
        "free": "x" * 9,
    }
