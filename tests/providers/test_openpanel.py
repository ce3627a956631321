"""openpanel: what is sent, and what the answers mean."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sampling import cases, check_encode, check_interpret

from analytical.errors import ConfigurationError, InvalidHit
from analytical.hit import Hit
from analytical.providers.openpanel import OpenPanel


@pytest.mark.parametrize("case", cases("openpanel"))
def test_hits_become_these_requests(case: dict[str, Any]) -> None:
    check_encode(case)


@pytest.mark.parametrize("case", cases("openpanel"))
def test_answers_become_these_verdicts(case: dict[str, Any]) -> None:
    check_interpret(case)


NOW = 1_767_225_600.0


def hit(number: int = 0, kind: str = "event", **fields: Any) -> Hit:
    fields.setdefault("name", "signup" if kind == "event" else None)
    return Hit(id=f"00000000-0000-4000-8000-{number:012d}", kind=kind, time=NOW, **fields)


def test_who_and_when_travel_beside_the_properties() -> None:
    given = hit(user_id="u", client_id="c" * 99, client_ip="203.0.113.0", properties={"plan": "pro"})
    (parcel,) = OpenPanel.create("id", client_secret="s").encode([given], now=NOW)
    body = json.loads(parcel.request.body)
    assert body["type"] == "track"
    assert body["payload"]["profileId"] == "u"
    properties = body["payload"]["properties"]
    assert properties["plan"] == "pro"
    assert properties["__timestamp"] == "2026-01-01T00:00:00.000Z"
    assert len(properties["__deviceId"]) == 64
    assert parcel.request.headers["x-client-ip"] == "203.0.113.0"


def test_a_person_can_be_introduced() -> None:
    given = Hit(id="a", kind="identify", time=NOW, user_id="u", native={"firstName": "A", "plan": "pro"})
    (parcel,) = OpenPanel.create("id", client_secret="s").encode([given], now=NOW)
    body = json.loads(parcel.request.body)
    assert body == {
        "type": "identify",
        "payload": {"profileId": "u", "firstName": "A", "properties": {"plan": "pro"}},
    }


def test_names_of_its_own_are_refused() -> None:
    backend = OpenPanel.create("id", client_secret="s")
    with pytest.raises(InvalidHit, match="session_start"):
        backend.refuse("event", {"name": "session_start"})
    with pytest.raises(ConfigurationError, match="client_secret"):
        OpenPanel.create("id")
    with pytest.raises(ConfigurationError, match="id"):
        OpenPanel.create("")
