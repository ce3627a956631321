"""umami: what is sent, and what the answers mean."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sampling import cases, check_encode, check_interpret

from analytical.errors import ConfigurationError
from analytical.hit import Hit
from analytical.http import Request
from analytical.providers.umami import Umami


@pytest.mark.parametrize("case", cases("umami"))
def test_hits_become_these_requests(case: dict[str, Any]) -> None:
    check_encode(case)


@pytest.mark.parametrize("case", cases("umami"))
def test_answers_become_these_verdicts(case: dict[str, Any]) -> None:
    check_interpret(case)


NOW = 1_767_225_600.0


def hit(number: int = 0, kind: str = "event", **fields: Any) -> Hit:
    fields.setdefault("name", "signup" if kind == "event" else None)
    return Hit(id=f"00000000-0000-4000-8000-{number:012d}", kind=kind, time=NOW, **fields)


WEBSITE = "6f1c0000-0000-4000-8000-000000000000"


def payload(given: Hit) -> dict[str, Any]:
    (parcel,) = Umami.create(WEBSITE).encode([given], now=NOW)
    body: dict[str, Any] = json.loads(parcel.request.body)
    assert body["type"] in ("event", "identify", "performance")
    inner: dict[str, Any] = body["payload"]
    return inner


def test_the_timestamp_is_in_seconds() -> None:
    assert payload(hit())["timestamp"] == int(NOW)


def test_a_name_is_cut_where_the_server_would_refuse_it() -> None:
    assert len(payload(hit(name="n" * 99))["name"]) == 50


def test_a_page_view_has_no_name_or_it_would_be_an_event() -> None:
    assert "name" not in payload(Hit(id="a", kind="pageview", time=NOW, url="https://e.com/", name="x"))


def test_the_host_comes_from_the_page() -> None:
    assert payload(hit(url="https://shop.example.com/a"))["hostname"] == "shop.example.com"
    assert payload(hit())["url"] == "/"


def test_each_item_of_a_batch_names_its_own_browser() -> None:
    hits = [hit(0, user_agent="Mozilla/5.0 A"), hit(1)]
    (parcel,) = Umami.create(WEBSITE, batch=True).encode(hits, now=NOW)
    browsers = [item["payload"]["userAgent"] for item in json.loads(parcel.request.body)]
    assert browsers == ["Mozilla/5.0 A", "ServerSide/1.0"]


def test_a_whole_url_of_ones_own_gets_no_batches() -> None:
    backend = Umami.create(WEBSITE, batch=True, endpoint="https://example.com/proxy")
    assert len(backend.encode([hit(0), hit(1)], now=NOW)) == 2


def test_a_pixel_is_no_website() -> None:
    assert "website" not in payload(hit(native={"pixel": WEBSITE}))


def test_an_id_is_needed() -> None:
    with pytest.raises(ConfigurationError, match="UUID"):
        Umami.create("")


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"website": "1"}, "must be a UUID"),
        ({"website": WEBSITE, "pixel": WEBSITE}, "exactly one"),
        ({"website": WEBSITE, "name": "n" * 51, "url": "/", "userAgent": "x"}, "50 characters"),
        ({"website": WEBSITE, "timestamp": 1767225600000, "url": "/"}, "seconds"),
        ({"website": WEBSITE}, "url is needed"),
        ({"website": WEBSITE, "url": "/"}, "robot"),
        ({"website": WEBSITE, "url": "/", "data": 1}, "data must be"),
        ({"website": WEBSITE, "url": "/", "title": "t" * 501}, "500 characters"),
    ],
)
def test_the_inspector_finds_what_would_be_refused(change: dict[str, Any], finding: str) -> None:
    request = Request(
        url="https://cloud.umami.is/api/send", body=json.dumps({"type": "event", "payload": change}).encode()
    )
    (decoded,) = Umami.decode(request)
    assert finding in " ".join(decoded.findings)
    refused = any("(400)" in text for text in decoded.findings)
    assert Umami.answer(request, [decoded]).status == (400 if refused else 200)


def test_a_batch_answers_for_what_it_refused() -> None:
    items = [
        {"type": "event", "payload": {"website": WEBSITE, "url": "/", "userAgent": "x"}},
        {"type": "?", "payload": {}},
    ]
    request = Request(url="https://cloud.umami.is/api/batch", body=json.dumps(items).encode())
    answer = Umami.answer(request, Umami.decode(request))
    states = [v.state for v in Umami.create(WEBSITE).interpret(answer, [hit(0), hit(1)], now=NOW)]
    assert states == ["unconfirmed", "rejected"]
