"""ga4: what is sent, and what the answers mean."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sampling import cases, check_encode, check_interpret

from analytical.errors import ConfigurationError, InvalidHit
from analytical.hit import Hit
from analytical.http import Request, Response
from analytical.providers.ga4 import Ga4
from analytical.providers.googleanalytics import GoogleAnalytics


@pytest.mark.parametrize("case", cases("ga4"))
def test_hits_become_these_requests(case: dict[str, Any]) -> None:
    check_encode(case)


@pytest.mark.parametrize("case", cases("ga4"))
def test_answers_become_these_verdicts(case: dict[str, Any]) -> None:
    check_interpret(case)


NOW = 1_767_225_600.0


def ga4(**options: Any) -> Ga4:
    built = Ga4.create("G-ABC123", **{"api_secret": "s3cret", **options})
    assert isinstance(built, Ga4)
    return built


def body_of(hit: Hit, backend: Ga4 | None = None) -> dict[str, Any]:
    (parcel,) = (backend or ga4()).encode([hit], now=NOW)
    body: dict[str, Any] = json.loads(parcel.request.body)
    return body


def hit(kind: str = "event", **fields: Any) -> Hit:
    return Hit(**{"id": "a", "kind": kind, "time": NOW, "name": "signup", **fields})


def test_the_native_mapping_is_flat() -> None:
    backend = ga4()
    known, rest = backend.lift(
        {"name": "login", "client_id": "1.2", "ip_override": "1.2.0.0", "method": "sso", "debug_mode": 1}
    )
    body = body_of(Hit(id="a", kind="event", time=NOW, native=rest, **known))
    assert body["client_id"] == "1.2"
    assert body["ip_override"] == "1.2.0.0"
    assert body["events"][0]["name"] == "login"
    assert body["events"][0]["params"] == {"method": "sso", "debug_mode": 1}


def test_user_agent_and_device_travel_together_only_where_the_device_names_the_browser() -> None:
    assert "device" not in body_of(hit(user_agent="UA", screen="1x2", language="de"))
    assert "user_agent" not in body_of(hit(user_agent="UA", native={"device": {"category": "mobile"}}))
    whole = body_of(hit(user_agent="UA", native={"device": {"browser": "Firefox", "operating_system": "Linux"}}))
    assert {"user_agent", "device"} <= set(whole)
    assert body_of(hit(screen="1x2", language="de,en"))["device"] == {"language": "de", "screen_resolution": "1x2"}


@pytest.mark.parametrize("session", ["1767225599", 1767225599, "abc", "-5", "0"])
def test_a_session_id_is_a_positive_number_with_engagement(session: Any) -> None:
    params = body_of(hit(session_id=session))["events"][0]["params"]
    assert params["session_id"] > 0
    assert params["engagement_time_msec"] == 1
    assert params["session_id"] == body_of(hit(session_id=session))["events"][0]["params"]["session_id"]


def test_a_long_number_stays_the_number_it_is() -> None:
    assert body_of(hit(session_id="9007199254740993"))["events"][0]["params"]["session_id"] == 9007199254740993
    assert body_of(hit(session_id="1" * 40))["events"][0]["params"]["session_id"] < 2**63


def test_user_properties_are_objects_within_the_limits() -> None:
    given = {"tier": "gold", "n" * 30: {"value": "v" * 40}, "user_id": "u", "ga_x": 1, "_y": 1}
    sent = body_of(hit(native={"user_properties": {**given, **{f"p{n}": n for n in range(30)}}}))["user_properties"]
    assert sent["tier"] == {"value": "gold"}
    assert sent["n" * 24] == {"value": "v" * 36}
    assert not {"user_id", "ga_x", "_y"} & set(sent)
    assert len(sent) == 25
    assert ga4().shortens(hit(native={"user_properties": given}))
    assert not ga4().shortens(hit(native={"user_properties": {"tier": {"value": "gold"}}}))


def test_a_reserved_name_that_came_around_the_refusal_is_renamed() -> None:
    assert body_of(hit(name="session_start"))["events"][0]["name"] == "e_session_start"
    app = Ga4.create("1:2:android:3", api_secret="s3cret")
    assert isinstance(app, Ga4)
    assert body_of(hit(name="screen_view"), app)["events"][0]["name"] == "screen_view"


def test_a_session_is_never_invented() -> None:
    params = body_of(hit())["events"][0]["params"]
    assert not {"session_id", "engagement_time_msec"} & set(params)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"analytics": True}, {"ad_user_data": "DENIED", "ad_personalization": "DENIED"}),
        (
            {"ad_user_data": True, "ad_personalization": False},
            {"ad_user_data": "GRANTED", "ad_personalization": "DENIED"},
        ),
        (None, {"ad_user_data": "DENIED", "ad_personalization": "DENIED"}),
    ],
)
def test_consent_is_denied_unless_told(given: Any, sent: Any) -> None:
    assert body_of(hit(consent=given)).get("consent") == sent


def test_a_missing_client_id_is_two_positive_numbers_derived_from_the_hit() -> None:
    first, second = body_of(hit())["client_id"], body_of(hit(id="b"))["client_id"]
    assert first != second
    assert all(int(part) > 0 for part in first.split("."))
    assert first == body_of(hit())["client_id"]


def test_a_purchase_counts_once() -> None:
    assert body_of(hit(name="purchase"))["events"][0]["params"]["transaction_id"] == "a"
    kept = body_of(hit(name="purchase", native={"transaction_id": "T1"}))
    assert kept["events"][0]["params"]["transaction_id"] == "T1"


def test_times_are_microseconds_and_never_ahead() -> None:
    assert body_of(hit(time=NOW - 60))["events"][0]["timestamp_micros"] == int((NOW - 60) * 1_000_000)
    assert body_of(hit(time=NOW + 60))["events"][0]["timestamp_micros"] == int(NOW * 1_000_000)
    assert ga4().max_age == 72 * 3600


def test_names_are_made_to_fit_and_reserved_ones_are_refused() -> None:
    assert body_of(hit(name="Sign up!"))["events"][0]["name"] == "Sign_up"
    assert len(body_of(hit(name="n" * 99))["events"][0]["name"]) == 40
    params = body_of(hit(properties={"plan type": "pro", "_private": 1, "google_x": 1, "nested": {"a": [1]}}))
    assert params["events"][0]["params"] == {"plan_type": "pro", "nested": '{"a":[1]}'}
    with pytest.raises(InvalidHit, match="session_start"):
        ga4().refuse("event", {"name": "session_start"})


def test_the_secret_travels_in_the_query_and_is_never_shown() -> None:
    (parcel,) = ga4(api_secret="s3cret/+ &").encode([hit()], now=NOW)
    query = parse_qs(urlsplit(parcel.request.url).query)
    assert query == {"measurement_id": ["G-ABC123"], "api_secret": ["s3cret/+ &"]}
    assert "s3cret" not in parcel.request.masked().url + repr(parcel.request) + repr(ga4())


def test_without_a_secret_google_would_ignore_everything() -> None:
    with pytest.raises(ConfigurationError, match="api_secret"):
        Ga4.create("G-ABC123")
    assert Ga4.create("G-ABC123", endpoint="http://127.0.0.1:8765")


def test_the_region_chooses_the_address() -> None:
    assert ga4(region="eu").address() == "https://region1.google-analytics.com/mp/collect"
    with pytest.raises(ConfigurationError, match="region"):
        ga4(region="mars")


def test_validation_asks_the_debug_server_and_reads_its_messages() -> None:
    assert ga4().validate_requests([hit()], now=NOW) == []
    (request,) = ga4(validate=True).validate_requests([hit()], now=NOW)
    assert urlsplit(request.url).path == "/debug/mp/collect"
    assert json.loads(request.body)["validation_behavior"] == "ENFORCE_RECOMMENDATIONS"
    answer = {
        "validationMessages": [
            {
                "fieldPath": "events",
                "description": "Event at index: [0] has invalid name",
                "validationCode": "NAME_INVALID",
            }
        ]
    }
    (finding,) = ga4().findings(Response(status=200, body=json.dumps(answer).encode()))
    assert "NAME_INVALID" in finding
    assert ga4().findings(Response(status=200, body=b'{"validationMessages":[]}')) == []
    assert ga4().findings(Response(status=500, body=b"oops")) == []


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"client_id": ""}, "client_id is required"),
        ({"consent": {"ad_user_data": "yes"}}, "GRANTED or DENIED"),
        ({"user_properties": {"first_open_time": {"value": "x" * 40}}}, "reserved"),
        ({"user_agent": "UA", "device": {"category": "mobile"}}, "ignore user_agent"),
        ({"events": [{"name": "error"}]}, "reserved"),
        ({"events": [{"name": "two words"}]}, "letters, digits"),
        ({"events": [{"name": "purchase", "params": {"value": 1}}]}, "transaction_id"),
        ({"events": [{"name": "a", "params": {"x": "y" * 101}}]}, "at most 100"),
        ({"events": [{"name": "a", "params": {f"p{i}": 1 for i in range(26)}}]}, "at most 25"),
        ({"events": [{"name": "a", "params": {"session_id": "x"}}]}, "session_id"),
        ({"events": [{"name": "a"}] * 26}, "at most 25"),
        ({"events": []}, "1 to 25"),
        ({"events": ["a"]}, "must be an object"),
    ],
)
def test_the_inspector_finds_what_the_platform_would_not_say(change: dict[str, Any], finding: str) -> None:
    body = {"client_id": "1.2", "events": [{"name": "a"}], **change}
    request = Request(
        url="https://x.example/debug/mp/collect?measurement_id=G-1&api_secret=s", body=json.dumps(body).encode()
    )
    decoded = Ga4.decode(request)
    assert finding in " ".join(f for hit in decoded for f in hit.findings)
    assert b"validationCode" in Ga4.answer(request, decoded).body


@pytest.mark.parametrize(
    ("query", "change", "finding"),
    [
        ("api_secret=s", {}, "measurement_id"),
        ("measurement_id=G-1", {}, "needs api_secret"),
        ("firebase_app_id=1&api_secret=s", {}, "32 hexadecimal"),
        ("measurement_id=G-1&api_secret=s", {"user_id": "u" * 257}, "256 characters"),
        ("measurement_id=G-1&api_secret=s", {"user_properties": {"n" * 25: {"value": 1}}}, "at most 24"),
        ("measurement_id=G-1&api_secret=s", {"user_properties": {"n": {"value": "x" * 37}}}, "36 characters"),
        ("measurement_id=G-1&api_secret=s", {"user_properties": {f"n{i}": {} for i in range(26)}}, "26 user prop"),
        ("measurement_id=G-1&api_secret=s", {"events": [{"params": {}}]}, "needs a name"),
        ("measurement_id=G-1&api_secret=s", {"events": [{"name": "refund", "params": {"value": 1}}]}, "needs currency"),
        ("measurement_id=G-1&api_secret=s", {"events": [{"name": "a", "params": {"b c": 1}}]}, "parameter name"),
        ("measurement_id=G-1&api_secret=s", {"events": [{"name": "a", "params": {"ga_x": 1}}]}, "reserved"),
        ("measurement_id=G-1&api_secret=s", {"x": "y" * 130_000}, "130000"),
    ],
)
def test_the_inspector_looks_at_the_address_and_the_body_too(query: str, change: dict[str, Any], finding: str) -> None:
    body = {"client_id": "1.2", "events": [{"name": "a"}], **change}
    request = Request(url=f"https://x.example/mp/collect?{query}", body=json.dumps(body).encode())
    decoded = Ga4.decode(request)
    assert finding in " ".join(text for hit in decoded for text in hit.findings)
    assert Ga4.answer(request, decoded).status == 204


def test_items_stay_a_list_and_unknown_nested_values_become_text() -> None:
    items = [{"item_id": str(i)} for i in range(250)]
    params = body_of(hit(native={"items": items, "tags": ["a", "b"]}))["events"][0]["params"]
    assert len(params["items"]) == 200
    assert params["tags"] == '["a","b"]'


def test_at_most_twenty_five_parameters_leave() -> None:
    params = body_of(hit(session_id="1", properties={f"p{i}": i for i in range(40)}))["events"][0]["params"]
    assert len(params) == 25


@pytest.mark.parametrize("make", [Ga4, GoogleAnalytics])
def test_what_validates_never_goes_to_an_address_that_records(make: Any) -> None:
    identity = "G-ABC" if make is Ga4 else "UA-1-1"
    with pytest.raises(ConfigurationError, match="validation server"):
        make(id=identity, endpoint="https://proxy.example/own/path", validate=True, api_secret="s3cret")
    (asked,) = make(
        id=identity, endpoint="https://proxy.example", validate=True, api_secret="s3cret"
    ).validate_requests([hit(category="c")], now=NOW)
    assert "/debug/" in asked.url


def test_an_id_is_needed() -> None:
    with pytest.raises(ConfigurationError, match="G-XXXXXXX"):
        Ga4.create("", api_secret="s")


# -- small things -------------------------------------------------------------------------------------------------


def test_a_property_of_universal_analytics_is_sent_to_the_provider_that_takes_it() -> None:
    with pytest.raises(ConfigurationError, match="the provider 'googleanalytics' takes both"):
        Ga4.create("UA-12345-1", api_secret="s3cret")


def test_an_app_s_own_instance_id_is_sent_as_it_is_and_another_id_becomes_one() -> None:
    app = Ga4.create("1:2:web:3", api_secret="s3cret")
    assert isinstance(app, Ga4)
    assert body_of(hit(native={"app_instance_id": "a" * 32}), app)["app_instance_id"] == "a" * 32
    assert body_of(hit(client_id="B" * 32), app)["app_instance_id"] == "B" * 32
    assert re.fullmatch("[0-9a-f]{32}", body_of(hit(client_id="17"), app)["app_instance_id"])


def test_a_device_that_is_given_is_filled_and_not_overwritten() -> None:
    sent = body_of(hit(screen="1x2", language="de", native={"device": {"category": "mobile", "language": "fr"}}))
    assert sent["device"] == {"category": "mobile", "language": "fr", "screen_resolution": "1x2"}
    device = {"language": "fr", "screen_resolution": "1x2"}
    body = json.dumps({"client_id": "1.2", "device": device, "events": [{"name": "page_view"}]}).encode()
    (seen,) = Ga4.decode(Request(url="https://x/mp/collect?measurement_id=G-1&api_secret=s", body=body))
    assert (seen.fields["language"], seen.fields["screen"]) == ("fr", "1x2")


def test_a_parameter_that_is_no_value_is_left_out() -> None:
    params = body_of(hit(native={"good": 1, "none": None}))["events"][0]["params"]
    assert params == {"good": 1}


@pytest.mark.parametrize(
    ("body", "finding"),
    [
        ({"user_agent": "UA", "device": "mobile"}, "device makes Google ignore user_agent"),
        ({"user_agent": "UA", "device": {"browser": "Firefox", "operating_system": "Linux"}}, None),
        ({"events": [{"name": "app_update"}]}, "is reserved"),
        ({"events": [{"name": "first_open"}]}, "is reserved"),
    ],
)
def test_the_inspector_says_what_google_would_not(body: dict[str, Any], finding: str | None) -> None:
    whole = {"client_id": "1.2", "events": [{"name": "signup"}], **body}
    request = Request(url="https://x/mp/collect?measurement_id=G-1&api_secret=s", body=json.dumps(whole).encode())
    (seen,) = Ga4.decode(request)
    assert any(finding in said for said in seen.findings) if finding else seen.findings == []
