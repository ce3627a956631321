"""amplitude: what is sent, and what the answers mean."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sampling import cases, check_encode, check_interpret

from analytical.hit import Hit
from analytical.http import Response
from analytical.providers.amplitude import Amplitude


@pytest.mark.parametrize("case", cases("amplitude"))
def test_hits_become_these_requests(case: dict[str, Any]) -> None:
    check_encode(case)


@pytest.mark.parametrize("case", cases("amplitude"))
def test_answers_become_these_verdicts(case: dict[str, Any]) -> None:
    check_interpret(case)


NOW = 1_767_225_600.0


def hit(number: int = 0, kind: str = "event", **fields: Any) -> Hit:
    fields.setdefault("name", "signup" if kind == "event" else None)
    return Hit(id=f"00000000-0000-4000-8000-{number:012d}", kind=kind, time=NOW, **fields)


def event(given: Hit) -> dict[str, Any]:
    (parcel,) = Amplitude.create("key").encode([given], now=NOW)
    body = json.loads(parcel.request.body)
    assert body["options"] == {"min_id_length": 1}
    (only,) = body["events"]
    found: dict[str, Any] = only
    return found


@pytest.mark.parametrize("nobody", ["anonymous", "0", "Null", "-1"])
def test_ids_that_mean_nobody_are_not_sent(nobody: str) -> None:
    sent = event(hit(user_id=nobody, client_id=nobody))
    assert "user_id" not in sent
    assert sent["device_id"] == hit().id


def test_a_repeated_hit_carries_the_same_id() -> None:
    assert event(hit())["insert_id"] == hit().id
    assert event(hit(native={"insert_id": "mine"}))["insert_id"] == "mine"


def test_native_keys_of_an_event_stay_and_others_are_properties() -> None:
    sent = event(hit(native={"os_name": "Linux", "plan_tier": "gold"}))
    assert sent["os_name"] == "Linux"
    assert sent["event_properties"] == {"plan_tier": "gold"}


def test_a_session_that_is_no_number_is_left_out() -> None:
    assert "session_id" not in event(hit(session_id="abc"))
    assert event(hit(session_id="1767225599000"))["session_id"] == 1767225599000


def test_a_whole_batch_of_one_throttled_visitor_waits_as_asked() -> None:
    answer = {"code": 429, "error": "Too many requests", "throttled_events": [0, 1]}
    verdicts = Amplitude.create("key").interpret(
        Response(status=429, body=json.dumps(answer).encode()), [hit(0), hit(1)], now=NOW
    )
    assert [verdict.after for verdict in verdicts] == [30.0, 30.0]
