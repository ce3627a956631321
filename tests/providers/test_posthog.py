"""posthog: what is sent, and what the answers mean."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sampling import cases, check_encode, check_interpret

from analytical.backend import exchange
from analytical.errors import ConfigurationError
from analytical.hit import Hit
from analytical.http import Response
from analytical.providers.posthog import PostHog


@pytest.mark.parametrize("case", cases("posthog"))
def test_hits_become_these_requests(case: dict[str, Any]) -> None:
    check_encode(case)


@pytest.mark.parametrize("case", cases("posthog"))
def test_answers_become_these_verdicts(case: dict[str, Any]) -> None:
    check_interpret(case)


NOW = 1_767_225_600.0


def hit(number: int = 0, kind: str = "event", **fields: Any) -> Hit:
    fields.setdefault("name", "signup" if kind == "event" else None)
    return Hit(id=f"00000000-0000-4000-8000-{number:012d}", kind=kind, time=NOW, **fields)


def test_one_bad_event_does_not_take_the_batch_with_it() -> None:
    talk = exchange(PostHog.create("phc_1"), [hit(i) for i in range(8)], now=lambda: NOW)
    request = next(talk)
    asked = 0
    try:
        while True:
            asked += 1
            bad = b"000000000005" in request.body
            request = talk.send(Response(status=400 if bad else 200, body=b"missing" if bad else b'{"status":"Ok"}'))
    except StopIteration as finished:
        states = [verdict.state for verdict in finished.value]
    assert states == ["delivered"] * 5 + ["rejected"] + ["delivered"] * 2
    assert asked == 7


@pytest.mark.parametrize("nobody", ["anonymous", "0", "NULL", ""])
def test_ids_that_mean_nobody_are_not_sent(nobody: str) -> None:
    (parcel,) = PostHog.create("phc_1").encode([hit(user_id=nobody, client_id=nobody)], now=NOW)
    (event,) = json.loads(parcel.request.body)["batch"]
    assert event["distinct_id"] == hit().id
    assert event["properties"]["$process_person_profile"] is False


def test_the_servers_place_is_never_taken_for_the_visitors() -> None:
    (parcel,) = PostHog.create("phc_1").encode([hit(0), hit(1, client_ip="203.0.113.0")], now=NOW)
    without, with_address = json.loads(parcel.request.body)["batch"]
    assert without["properties"]["$geoip_disable"] is True
    assert "$geoip_disable" not in with_address["properties"]


def test_a_business_key_is_a_uuid() -> None:
    (parcel,) = PostHog.create("phc_1").encode([Hit(id="order-1", kind="event", time=NOW, name="x")], now=NOW)
    (event,) = json.loads(parcel.request.body)["batch"]
    assert len(event["uuid"]) == 36


def test_options_are_checked() -> None:
    with pytest.raises(ConfigurationError, match="version"):
        PostHog.create("phc_1", version=2)
    with pytest.raises(ConfigurationError, match="key"):
        PostHog.create("")
