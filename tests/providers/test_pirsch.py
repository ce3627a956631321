"""pirsch: what is sent, and what the answers mean."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sampling import cases, check_encode, check_interpret

from analytical.errors import ConfigurationError
from analytical.hit import Hit
from analytical.providers.pirsch import Pirsch


@pytest.mark.parametrize("case", cases("pirsch"))
def test_hits_become_these_requests(case: dict[str, Any]) -> None:
    check_encode(case)


@pytest.mark.parametrize("case", cases("pirsch"))
def test_answers_become_these_verdicts(case: dict[str, Any]) -> None:
    check_interpret(case)


NOW = 1_767_225_600.0


def hit(number: int = 0, kind: str = "event", **fields: Any) -> Hit:
    fields.setdefault("name", "signup" if kind == "event" else None)
    return Hit(id=f"00000000-0000-4000-8000-{number:012d}", kind=kind, time=NOW, **fields)


def test_page_views_and_events_go_to_end_points_of_their_own() -> None:
    hits = [hit(0), hit(1, "pageview", url="https://example.com/"), hit(2)]
    parcels = Pirsch.create("example.com", access_key="pa_1").encode(hits, now=NOW)
    assert [(parcel.request.url.rsplit("/v1/", 1)[1], parcel.hits) for parcel in parcels] == [
        ("hit/batch", (1,)),
        ("event/batch", (0, 2)),
    ]


def test_what_belongs_to_an_event_is_text() -> None:
    (parcel,) = Pirsch.create("example.com", access_key="pa_1").encode([hit(properties={"a": 1, "b": [2]})], now=NOW)
    (item,) = json.loads(parcel.request.body)
    assert item["event_meta"] == {"a": "1", "b": "[2]"}
    assert item["time"] == "2026-01-01T00:00:00.000Z"


def test_one_visitors_hits_stay_in_order() -> None:
    backend = Pirsch.create("example.com", access_key="pa_1")
    assert backend.lane(hit(client_ip="1.2.0.0", user_agent="A")) != backend.lane(
        hit(client_ip="1.3.0.0", user_agent="A")
    )


def test_a_key_is_needed() -> None:
    with pytest.raises(ConfigurationError, match="access_key"):
        Pirsch.create("example.com")
