"""rybbit: what is sent, and what the answers mean."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sampling import cases, check_encode, check_interpret

from analytical.errors import ConfigurationError
from analytical.hit import Hit
from analytical.providers.rybbit import KEYS, Rybbit


@pytest.mark.parametrize("case", cases("rybbit"))
def test_hits_become_these_requests(case: dict[str, Any]) -> None:
    check_encode(case)


@pytest.mark.parametrize("case", cases("rybbit"))
def test_answers_become_these_verdicts(case: dict[str, Any]) -> None:
    check_interpret(case)


NOW = 1_767_225_600.0


def hit(number: int = 0, kind: str = "event", **fields: Any) -> Hit:
    fields.setdefault("name", "signup" if kind == "event" else None)
    return Hit(id=f"00000000-0000-4000-8000-{number:012d}", kind=kind, time=NOW, **fields)


def item(given: Hit) -> dict[str, Any]:
    (parcel,) = Rybbit.create("1", api_key="rb_1").encode([given], now=NOW)
    body: dict[str, Any] = json.loads(parcel.request.body)
    return body


def test_no_unknown_key_is_ever_sent_since_it_would_refuse_the_hit() -> None:
    body = item(hit(native={"experiment": "b", "lcp": 1.5}, category="account"))
    assert set(body) <= KEYS
    assert json.loads(body["properties"]) == {"experiment": "b", "lcp": 1.5, "category": "account"}


def test_properties_stay_within_their_2048_characters_and_stay_json() -> None:
    written = item(hit(properties={f"p{i}": "x" * 300 for i in range(20)}))["properties"]
    assert len(written) <= 2048
    assert [len(text) for text in json.loads(written).values()][:6] == [300] * 6
    assert len(json.loads(written)) == 7, "the text that does not fit whole is cut"


def test_a_key_is_needed_unless_the_server_is_yours() -> None:
    with pytest.raises(ConfigurationError, match="api_key"):
        Rybbit.create("1")
    assert Rybbit.create("1", endpoint="https://rybbit.example.com")
