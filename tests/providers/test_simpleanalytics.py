"""simpleanalytics: what is sent, and what the answers mean."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sampling import cases, check_encode, check_interpret

from analytical.errors import ConfigurationError
from analytical.hit import Hit
from analytical.providers.simpleanalytics import SimpleAnalytics


@pytest.mark.parametrize("case", cases("simpleanalytics"))
def test_hits_become_these_requests(case: dict[str, Any]) -> None:
    check_encode(case)


@pytest.mark.parametrize("case", cases("simpleanalytics"))
def test_answers_become_these_verdicts(case: dict[str, Any]) -> None:
    check_interpret(case)


NOW = 1_767_225_600.0


def hit(number: int = 0, kind: str = "event", **fields: Any) -> Hit:
    fields.setdefault("name", "signup" if kind == "event" else None)
    return Hit(id=f"00000000-0000-4000-8000-{number:012d}", kind=kind, time=NOW, **fields)


def item(given: Hit, **options: Any) -> dict[str, Any]:
    (parcel,) = SimpleAnalytics.create("example.com", **options).encode([given], now=NOW)
    body: dict[str, Any] = json.loads(parcel.request.body)
    return body


def test_a_page_view_names_itself_twice() -> None:
    sent = item(hit(0, "pageview", url="https://example.com/a?utm_source=news&utm_campaign=x"))
    assert (sent["type"], sent["event"], sent["path"]) == ("pageview", "pageview", "/a")
    assert (sent["source"], sent["campaign"], sent["https"]) == ("news", "x", True)


def test_whether_a_visit_is_unique_is_the_callers_to_say() -> None:
    page = hit(0, "pageview", url="/a")
    assert "unique" not in item(page)
    assert item(page, unique=False)["unique"] is False
    assert item(hit(0, "pageview", url="/a", native={"unique": True}), unique=False)["unique"] is True


def test_a_hit_without_a_browser_is_no_robot() -> None:
    assert item(hit())["ua"] == "ServerSide/1.0 (+https://example.com/)"


def test_a_host_is_needed() -> None:
    with pytest.raises(ConfigurationError, match="host name"):
        SimpleAnalytics.create("")
