"""mixpanel: what is sent, and what the answers mean."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sampling import cases, check_encode, check_interpret

from analytical.errors import ConfigurationError
from analytical.hit import Hit
from analytical.http import Response
from analytical.providers.mixpanel import Mixpanel


@pytest.mark.parametrize("case", cases("mixpanel"))
def test_hits_become_these_requests(case: dict[str, Any]) -> None:
    check_encode(case)


@pytest.mark.parametrize("case", cases("mixpanel"))
def test_answers_become_these_verdicts(case: dict[str, Any]) -> None:
    check_interpret(case)


NOW = 1_767_225_600.0


def hit(number: int = 0, kind: str = "event", **fields: Any) -> Hit:
    fields.setdefault("name", "signup" if kind == "event" else None)
    return Hit(id=f"00000000-0000-4000-8000-{number:012d}", kind=kind, time=NOW, **fields)


def properties(given: Hit) -> dict[str, Any]:
    (parcel,) = Mixpanel.create("token").encode([given], now=NOW)
    (only,) = json.loads(parcel.request.body)
    assert set(only) == {"event", "properties"}
    found: dict[str, Any] = only["properties"]
    return found


def test_a_hit_of_nobody_counts_for_no_user() -> None:
    assert properties(hit())["distinct_id"] == ""
    assert properties(hit(user_id="anonymous"))["distinct_id"] == ""
    assert properties(hit(client_id="c"))["distinct_id"] == "c"
    assert properties(hit(client_id="c", user_id="u"))["distinct_id"] == "u"


def test_the_insert_id_fits() -> None:
    assert properties(hit())["$insert_id"] == hit().id
    assert len(properties(Hit(id="order/1 ä", kind="event", time=NOW, name="x"))["$insert_id"]) == 32


def test_a_service_account_needs_its_secret_and_project() -> None:
    with pytest.raises(ConfigurationError, match="project_id"):
        Mixpanel.create("token", service_account="sa")


def test_the_credential_is_not_shown_in_its_base64_form_either() -> None:
    backend = Mixpanel.create("token", service_account="sa", secret="s3cret", project_id="42")
    (parcel,) = backend.encode([hit()], now=NOW)
    assert parcel.request.headers["Authorization"] == "Basic c2E6czNjcmV0"
    assert parcel.request.masked().headers["Authorization"] == "Basic ***"
    assert "project_id=42" in parcel.request.url


def test_a_failure_that_names_nobody_confirms_nobody() -> None:
    answer = {"failed_records": [{"field": "x"}], "num_records_imported": 1}
    verdicts = Mixpanel.create("token").interpret(
        Response(status=400, body=json.dumps(answer).encode()), [hit(0), hit(1)], now=NOW
    )
    assert {verdict.state for verdict in verdicts} == {"unconfirmed"}
