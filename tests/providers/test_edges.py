"""What providers do at their edges: without an id, with keys that few give, with answers that seldom come."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

import pytest

from analytical.backend import Backend, number
from analytical.errors import ConfigurationError
from analytical.hit import Hit
from analytical.http import Request, Response
from analytical.providers.stdout import Stdout
from analytical.registry import PROVIDERS
from analytical.verdict import Verdict

NOW = 1_767_225_600.0
UMAMI = "3fa85f64-5717-4562-b3fc-2c963f66afa6"


def backend(name: str, identity: str, **options: Any) -> Backend:
    made: Backend = PROVIDERS.get(name).create(identity, **options)
    return made


def hit(kind: str = "pageview", **fields: Any) -> Hit:
    named = {"name": "signup"} if kind == "event" else {}
    return Hit(**{"id": "0f9c2a4e-5b1d-4c3e-8a7f-000000000000", "kind": kind, "time": NOW,
                  "url": "https://example.com/", **named, **fields})  # fmt: skip


def body_of(of: Backend, sent: Hit) -> bytes:
    (parcel,) = of.encode([sent], now=NOW)
    return parcel.request.body


@pytest.mark.parametrize(
    ("name", "words"),
    [("amplitude", "API key"), ("mixpanel", "token"), ("rybbit", "site's id"), ("ga4", "measurement id")],
)
def test_a_provider_without_its_id_says_what_the_id_is(name: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        backend(name, "")


def test_a_ping_of_matomo_is_marked_as_one() -> None:
    sent = parse_qs(body_of(backend("matomo", "1", endpoint="https://m.example"), hit("ping")).decode())
    assert sent["ping"] == ["1"]


def test_groups_of_openpanel_stand_beside_the_profile() -> None:
    sent = json.loads(body_of(backend("openpanel", "c", client_secret="s"), hit(native={"groups": ["acme"]})))
    assert sent["payload"]["groups"] == ["acme"]
    assert "groups" not in sent["payload"]["properties"]


def test_a_context_of_segment_is_filled_and_the_caller_s_wins() -> None:
    sent = json.loads(body_of(backend("segment", "k"), hit(native={"context": {"library": {"name": "mine"}}})))
    assert sent["batch"][0]["context"]["library"] == {"name": "mine"}


def test_a_rybbit_of_one_s_own_needs_no_key() -> None:
    (parcel,) = backend("rybbit", "1", endpoint="https://r.example").encode([hit()], now=NOW)
    assert "authorization" not in {name.lower() for name in parcel.request.headers}
    assert "api_key" not in json.loads(parcel.request.body)


def test_pirsch_refuses_a_batch_for_one_of_its_hits() -> None:
    of = backend("pirsch", "", access_key="a")
    assert [of.divisible(Response(status=status)) for status in (200, 400, 413, 500)] == [False, True, True, False]


def test_requests_of_posthog_are_known_by_their_path() -> None:
    claims = PROVIDERS.get("posthog").claims
    assert claims(Request(url="https://x/i/v1/analytics/events"))
    assert not claims(Request(url="https://x/other"))


def test_an_inspector_in_place_of_goatcounter_wants_a_token() -> None:
    probe = PROVIDERS.get("goatcounter").answer_probe
    url = "https://x/api/v0/me"
    assert probe(Request(method="GET", url=url)).status == 403
    assert probe(Request(method="GET", url=url, headers={"Authorization": "Bearer t"})).status == 200
    assert probe(Request(method="GET", url="https://x/other")) is None


def states(of: Backend, status: int, answer: Any, count: int = 2) -> list[tuple[str, str]]:
    verdicts: list[Verdict] = of.interpret(
        Response(status=status, body=json.dumps(answer).encode()), [hit("event") for _ in range(count)], now=NOW
    )
    return [(verdict.state, verdict.reason) for verdict in verdicts]


def test_umami_s_errors_are_believed_where_it_says_which() -> None:
    of = backend("umami", UMAMI)
    nowhere = states(of, 200, {"size": 2, "processed": 1, "errors": 1, "details": [], "cache": "x"})
    assert nowhere == [("unconfirmed", "errors, and where is not said")] * 2
    second = {"index": 1, "response": {"error": "bad"}}
    details = ["odd", {"index": "odd"}, second]
    some = states(of, 200, {"size": 2, "processed": 1, "errors": 1, "details": details, "cache": "x"})
    assert some[1] == ("rejected", "refused")
    assert some[0][0] in ("delivered", "unconfirmed")


def test_mixpanel_s_failed_records_of_another_shape_are_passed_over() -> None:
    of = backend("mixpanel", "t", service_account="a", secret="s", project_id="1")
    found = states(of, 400, {"code": 400, "failed_records": ["odd", {"index": 0, "message": "bad"}]})
    assert found[0][0] == "rejected"


def test_snowplow_times_a_hit_whose_own_time_is_none() -> None:
    of = backend("snowplow", "app", endpoint="https://c.example")
    (sent,) = json.loads(body_of(of, hit(native={"dtm": float("inf"), "tv": float("inf")})))["data"]
    assert sent["dtm"] == str(int(NOW * 1000))
    assert sent["tv"]


@pytest.mark.parametrize(
    ("payload", "finding"),
    [
        ({"e": "zz"}, "expected one of pv, pp, se, ue, tr, ti"),
        ({"tr_tt": "infinity"}, "expected a decimal number"),
        ({"tr_tt": "1_0"}, "expected a decimal number"),
        ({"co": json.dumps({"schema": "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0",
                            "data": [{"schema": "iglu:a/b/jsonschema/1-0-0", "data": {}, "more": 1}]})},
         "is no pair of schema and data"),
        ({"page": "x" * 1_200_000}, "is answered and lost"),
    ],
    ids=["kind", "infinite", "underscore", "pair", "large"],
)  # fmt: skip
def test_an_inspector_in_place_of_snowplow_says_what_would_fail(payload: dict[str, str], finding: str) -> None:
    whole = {"schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4",
             "data": [{"e": "pv", "p": "web", "tv": "x", "url": "https://example.com/", **payload}]}  # fmt: skip
    request = Request(
        url="https://c.example/com.snowplowanalytics.snowplow/tp2",
        headers={"Content-Type": "application/json; charset=utf-8"},
        body=json.dumps(whole).encode(),
    )
    (seen,) = PROVIDERS.get("snowplow").decode(request)
    assert any(finding in said for said in seen.findings), seen.findings


def test_what_a_backend_does_not_say_is_nothing() -> None:
    plain = Stdout.create("demo")
    assert plain.validate_requests([hit()], now=NOW) == []
    assert plain.findings(Response(status=200)) == []
    assert number(True) == 1


def test_an_empty_secret_masks_nothing() -> None:
    request = Request(url="https://x/?a=s3cret", body=b"s3cret and more", secrets=("", "s3cret"))
    assert "s3cret" not in request.masked().url
    assert request.masked().body.endswith(b" and more")
    assert b"s3cret" not in request.masked().body
