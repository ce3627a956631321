"""goatcounter: what is sent, and what the answers mean."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sampling import cases, check_encode, check_interpret

from analytical.errors import ConfigurationError, InvalidHit
from analytical.hit import Hit
from analytical.http import Response
from analytical.providers.goatcounter import GoatCounter


@pytest.mark.parametrize("case", cases("goatcounter"))
def test_hits_become_these_requests(case: dict[str, Any]) -> None:
    check_encode(case)


@pytest.mark.parametrize("case", cases("goatcounter"))
def test_answers_become_these_verdicts(case: dict[str, Any]) -> None:
    check_interpret(case)


NOW = 1_767_225_600.0


def hit(number: int = 0, kind: str = "event", **fields: Any) -> Hit:
    fields.setdefault("name", "signup" if kind == "event" else None)
    return Hit(id=f"00000000-0000-4000-8000-{number:012d}", kind=kind, time=NOW, **fields)


def items(*hits: Hit) -> list[dict[str, Any]]:
    (parcel,) = GoatCounter.create("mysite", api_key="k").encode(hits, now=NOW)
    found: list[dict[str, Any]] = json.loads(parcel.request.body)["hits"]
    return found


def test_the_code_makes_the_address() -> None:
    assert GoatCounter.create("mysite", api_key="k").address() == "https://mysite.goatcounter.com/api/v0/count"
    assert GoatCounter.create("stats.example.com", api_key="k").address() == "https://stats.example.com/api/v0/count"


def test_somebody_is_always_named_or_the_request_would_be_refused() -> None:
    alone, known = items(hit(0), hit(1, client_ip="203.0.113.0", user_agent="UA"))
    assert alone["session"] == hit(0).id
    assert "session" not in known


def test_a_hit_is_never_dated_ahead() -> None:
    (item,) = items(Hit(id="a", kind="event", time=NOW + 60, name="x"))
    assert item["created_at"] == "2026-01-01T00:00:00.000Z"


def test_an_event_is_a_path() -> None:
    (item,) = items(hit(name="signup", url="https://example.com/a"))
    assert (item["path"], item["event"]) == ("signup", True)


def test_what_is_missing_is_said() -> None:
    backend = GoatCounter.create("mysite", api_key="k")
    with pytest.raises(InvalidHit, match="name="):
        backend.refuse("event", {})
    with pytest.raises(InvalidHit, match="url="):
        backend.refuse("pageview", {})
    with pytest.raises(ConfigurationError, match="api_key"):
        GoatCounter.create("mysite")
    with pytest.raises(ConfigurationError, match="code"):
        GoatCounter.create("")


def test_errors_that_name_no_hit_confirm_none() -> None:
    answer = Response(status=400, body=b'{"errors":{"all":"x"}}')
    (verdict,) = GoatCounter.create("mysite", api_key="k").interpret(answer, [hit()], now=NOW)
    assert verdict.state == "unconfirmed"


def test_the_probe_asks_who_the_key_is() -> None:
    request = GoatCounter.create("mysite", api_key="k").probe()
    assert request is not None
    assert (request.method, request.url) == ("GET", "https://mysite.goatcounter.com/api/v0/me")
