"""plausible: what is sent, and what the answers mean."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sampling import cases, check_encode, check_interpret

from analytical.errors import ConfigurationError, InvalidHit
from analytical.hit import Hit
from analytical.http import Request, Response
from analytical.providers.plausible import Plausible


@pytest.mark.parametrize("case", cases("plausible"))
def test_hits_become_these_requests(case: dict[str, Any]) -> None:
    check_encode(case)


@pytest.mark.parametrize("case", cases("plausible"))
def test_answers_become_these_verdicts(case: dict[str, Any]) -> None:
    check_interpret(case)


NOW = 1_767_225_600.0


def hit(number: int = 0, kind: str = "event", **fields: Any) -> Hit:
    fields.setdefault("name", "signup" if kind == "event" else None)
    return Hit(id=f"00000000-0000-4000-8000-{number:012d}", kind=kind, time=NOW, **fields)


def sent(*hits: Hit) -> tuple[dict[str, str], dict[str, Any]]:
    (parcel,) = Plausible.create("example.com").encode(hits, now=NOW)
    return dict(parcel.request.headers), json.loads(parcel.request.body)


def test_the_visitor_is_named_by_headers() -> None:
    headers, body = sent(hit(client_ip="203.0.113.0", user_agent="Mozilla/5.0"))
    assert headers["User-Agent"] == "Mozilla/5.0"
    assert headers["X-Forwarded-For"] == "203.0.113.0"
    assert not {"client_ip", "user_agent"} & set(body)


def test_a_header_holds_one_line_whatever_the_browser_says() -> None:
    headers, _ = sent(hit(user_agent="Mozilla\r\nX-Forwarded-For: 1.1.1.1 é"))
    assert headers["User-Agent"] == "MozillaX-Forwarded-For: 1.1.1.1 "


def test_a_hit_without_a_browser_does_not_borrow_the_librarys() -> None:
    assert sent(hit())[0]["User-Agent"] == "ServerSide/1.0"


def test_an_event_without_a_page_is_filed_under_the_sites_home() -> None:
    assert sent(hit())[1]["url"] == "https://example.com/"


def test_money_is_revenue_and_other_values_are_properties() -> None:
    assert sent(hit(value="12.50", currency="EUR"))[1]["revenue"] == {"currency": "EUR", "amount": "12.50"}
    assert sent(hit(value=3))[1]["props"] == {"value": 3}


def test_at_most_thirty_properties_and_nothing_nested() -> None:
    props = sent(hit(properties={"list": [1, 2], **{f"p{i}": i for i in range(40)}}))[1]["props"]
    assert len(props) == 30
    assert props["list"] == "[1,2]"


def test_names_of_its_own_are_refused() -> None:
    for name in ("pageview", "engagement"):
        with pytest.raises(InvalidHit, match=name):
            Plausible.create("example.com").refuse("event", {"name": name})
    with pytest.raises(ConfigurationError, match="domain"):
        Plausible.create("")


def test_the_probe_stores_nothing() -> None:
    request = Plausible.create("example.com").probe()
    assert request is not None
    assert request.headers["X-Debug-Request"] == "true"


def test_it_cannot_be_back_dated() -> None:
    assert Plausible.max_age == 300


@pytest.mark.parametrize(
    ("body", "finding"),
    [
        ({}, "name is required"),
        ({"name": "x" * 121, "url": "https://e.com/", "domain": "e.com"}, "120 characters"),
        ({"name": "x", "url": "https://e.com/" + "a" * 2000}, "2000 bytes"),
        ({"name": "x", "url": "/path"}, "no host"),
        ({"name": "x", "url": "https://e.com/", "props": {"a": [1]}}, "nested"),
        ({"name": "x", "url": "https://e.com/", "props": {f"{i}": i for i in range(31)}}, "at most 30"),
        ({"name": "x", "url": "https://e.com/", "props": {"a": "b" * 2001, "k" * 301: 1}}, "2000 bytes"),
        ({"name": "x", "url": "https://e.com/", "props": "no"}, "must be an object"),
    ],
)
def test_the_inspector_finds_what_would_be_refused(body: dict[str, Any], finding: str) -> None:
    request = Request(url="https://plausible.io/api/event", body=json.dumps(body).encode())
    decoded = Plausible.decode(request)
    assert finding in " ".join(decoded[0].findings)
    refused = any("(400)" in text for text in decoded[0].findings)
    assert Plausible.answer(request, decoded).status == (400 if refused else 202)


def test_the_short_keys_are_read_too() -> None:
    request = Request(
        url="https://plausible.io/api/event", body=b'{"n":"x","u":"https://e.com/","d":"e.com","p":{"a":1}}'
    )
    (decoded,) = Plausible.decode(request)
    assert decoded.fields["properties"] == {"a": 1}


def test_an_unreadable_count_of_dropped_events_counts_as_dropped() -> None:
    answer = Response(status=202, headers={"x-plausible-dropped": "yes"}, body=b"ok")
    (verdict,) = Plausible.create("example.com").interpret(answer, [hit()], now=NOW)
    assert verdict.state == "rejected"
