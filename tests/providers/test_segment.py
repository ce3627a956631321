"""segment: what is sent, and what the answers mean."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sampling import cases, check_encode, check_interpret

from analytical.errors import ConfigurationError
from analytical.hit import Hit
from analytical.http import Request
from analytical.providers.segment import Jitsu, RudderStack, Segment


@pytest.mark.parametrize("case", cases("segment"))
def test_hits_become_these_requests(case: dict[str, Any]) -> None:
    check_encode(case)


@pytest.mark.parametrize("case", cases("segment"))
def test_answers_become_these_verdicts(case: dict[str, Any]) -> None:
    check_interpret(case)


NOW = 1_767_225_600.0


def hit(number: int = 0, kind: str = "event", **fields: Any) -> Hit:
    fields.setdefault("name", "signup" if kind == "event" else None)
    return Hit(id=f"00000000-0000-4000-8000-{number:012d}", kind=kind, time=NOW, **fields)


def test_a_long_text_gives_way_so_that_the_message_fits() -> None:
    (parcel,) = Segment.create("key").encode([hit(0, properties={"plan": "pro", "text": "é" * 40_000})], now=NOW)
    message = json.loads(parcel.request.body)["batch"][0]
    assert len(json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()) <= 32_000
    assert message["properties"]["plan"] == "pro"
    assert set(message["properties"]["text"]) == {"é"}


def test_a_message_that_is_too_large_travels_alone() -> None:
    hits = [hit(0), hit(1, properties={"texts": ["x" * 40_000]}), hit(2)]
    parcels = Segment.create("key").encode(hits, now=NOW)
    assert sorted(parcel.hits for parcel in parcels) == [(0, 2), (1,)]


def test_somebody_is_always_named() -> None:
    (parcel,) = Segment.create("key").encode([hit()], now=NOW)
    (message,) = json.loads(parcel.request.body)["batch"]
    assert message["anonymousId"] == hit().id == message["messageId"]


def test_the_region_matters() -> None:
    assert Segment.create("key", region="eu").address() == "https://events.eu1.segmentapis.com/v1/batch"
    assert Segment.create("key").address() == "https://api.segment.io/v1/batch"


def test_the_three_say_who_they_are_in_their_own_way() -> None:
    (segment,) = Segment.create("key").encode([hit()], now=NOW)
    assert json.loads(segment.request.body)["writeKey"] == "key"
    (rudder,) = RudderStack.create("key", endpoint="https://d.example").encode([hit()], now=NOW)
    assert rudder.request.headers["Authorization"] == "Basic a2V5Og=="
    assert "a2V5Og==" not in str(dict(rudder.request.masked().headers))
    (jitsu,) = Jitsu.create("id:secret", endpoint="https://i.example").encode([hit()], now=NOW)
    assert jitsu.request.headers["X-Write-Key"] == "id:secret"
    assert jitsu.request.url == "https://i.example/api/s/s2s/batch"


def test_a_key_and_where_it_is_used_are_needed() -> None:
    with pytest.raises(ConfigurationError, match="write key"):
        Segment.create("")
    with pytest.raises(ConfigurationError, match="endpoint"):
        RudderStack.create("key")


@pytest.mark.parametrize(
    ("message", "finding"),
    [
        ({"type": "track"}, "userId or anonymousId"),
        ({"type": "track", "userId": "u"}, "needs event"),
        ({"type": "trace", "userId": "u"}, "type must be"),
        ({"type": "page", "userId": "u", "properties": {"x": "y" * 33_000}}, "32000 bytes"),
        (1, "must be an object"),
    ],
)
def test_the_inspector_finds_what_segment_answers_200_to(message: Any, finding: str) -> None:
    body = json.dumps({"writeKey": "k", "batch": [message]}).encode()
    request = Request(url="https://api.segment.io/v1/batch", headers={"content-type": "application/json"}, body=body)
    (decoded,) = Segment.decode(request)
    assert finding in " ".join(decoded.findings)
    assert Segment.answer(request, [decoded]).status == 200
    assert RudderStack.answer(request, [decoded]).status == 400
    assert b'"okEvents":0' in Jitsu.answer(request, [decoded]).body
