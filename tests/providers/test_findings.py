"""The inspector says what each platform would refuse, drop or cut, and answers as the platform does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from analytical.backend import Backend
from analytical.http import Request
from analytical.registry import PROVIDERS

AUTH = {"Authorization": "Basic eA=="}
OP = {"openpanel-client-id": "i", "openpanel-client-secret": "s"}
V1 = "v=1&tid=UA-1-1&cid=c"

CASES: list[tuple[str, str, dict[str, str], Any, str, int]] = [
    ("googleanalytics", "/collect", {}, f"{V1}&t=pageview", "needs dl", 200),
    ("googleanalytics", "/collect", {}, f"{V1}&t=nothing", "t must be one of", 200),
    ("googleanalytics", "/collect", {}, "v=2&tid=X&t=timing", "v must be 1", 200),
    ("googleanalytics", "/collect", {}, "v=1&tid=X&t=timing", "tid must look like", 200),
    ("googleanalytics", "/collect", {}, "v=1&tid=UA-1-1&t=timing", "cid or uid", 200),
    ("googleanalytics", "/collect", {}, f"{V1}&t=event&ec=a&ea=b&ev=-1", "non-negative", 200),
    ("googleanalytics", "/collect", {}, f"{V1}&t=event&ec=a", "needs ea", 200),
    ("googleanalytics", "/collect", {}, f"{V1}&t=timing&qt=99999999", "14400000", 200),
    ("googleanalytics", "/collect", {}, f"{V1}&t=timing&dp=a", "start with /", 200),
    ("googleanalytics", "/collect", {}, f"{V1}&t=timing&dt={'x' * 1501}", "1500 bytes", 200),
    ("googleanalytics", "/collect", {}, f"{V1}&t=timing&cd5={'x' * 151}", "150 bytes", 200),
    ("googleanalytics", "/collect", {}, f"{V1}&t=timing&x={'x' * 8200}", "8192", 200),
    ("googleanalytics", "/batch", {}, "\n".join([f"{V1}&t=timing"] * 21), "21 hits", 200),
    ("googleanalytics", "/batch", {}, "\n".join([f"{V1}&t=timing&x={'x' * 6000}"] * 3), "16384", 200),
    ("amplitude", "/2/httpapi", {}, {"events": [{"event_type": "a", "user_id": "u"}]}, "api_key", 400),
    ("amplitude", "/2/httpapi", {}, {"api_key": "k", "events": 1}, "must be a list", 400),
    ("amplitude", "/2/httpapi", {}, {"api_key": "k", "events": [1]}, "an object", 400),
    ("amplitude", "/2/httpapi", {}, {"api_key": "k", "events": [{"user_id": "u"}]}, "event_type", 400),
    ("amplitude", "/2/httpapi", {}, {"api_key": "k", "events": [{"event_type": "a"}]}, "user_id or device_id", 400),
    (
        "amplitude",
        "/2/httpapi",
        {},
        {"api_key": "k", "events": [{"event_type": "a", "user_id": "null"}]},
        "nobody",
        400,
    ),
    (
        "amplitude",
        "/2/httpapi",
        {},
        {"api_key": "k", "events": [{"event_type": "a", "user_id": "u", "time": "2026"}]},
        "milliseconds",
        400,
    ),
    (
        "amplitude",
        "/2/httpapi",
        {},
        {"api_key": "k", "events": [{"event_type": "a", "user_id": "u", "event_properties": {"p": "x" * 1025}}]},
        "1024",
        400,
    ),
    ("amplitude", "/2/httpapi", {}, {"api_key": "k", "events": [{}] * 2001}, "2001 events", 400),
    ("amplitude", "/2/httpapi", {}, {"api_key": "k" * 1_000_001, "events": [{}]}, "1 MB", 400),
    ("mixpanel", "/import", {}, [{"event": "a", "properties": {}}], "Authorization", 401),
    ("mixpanel", "/import", AUTH, {}, "must be a list", 400),
    ("mixpanel", "/import", AUTH, [1], "event and properties", 400),
    ("mixpanel", "/import", AUTH, [{"properties": {}}], "event is required", 400),
    ("mixpanel", "/import", AUTH, [{"event": "a", "properties": {}, "x": 1}], "nothing else", 400),
    ("mixpanel", "/import", AUTH, [{"event": "a", "properties": {}}], "distinct_id is required", 400),
    ("mixpanel", "/import", AUTH, [{"event": "a", "properties": {"distinct_id": "null"}}], "nobody", 400),
    ("mixpanel", "/import", AUTH, [{"event": "a", "properties": {"$insert_id": "ä"}}], "$insert_id", 400),
    ("mixpanel", "/import", AUTH, [{"event": "a", "properties": {str(i): 1 for i in range(256)}}], "256 prop", 400),
    ("mixpanel", "/import", AUTH, [{"event": "a", "properties": {"p": "x" * 256}}], "cut at 255", 400),
    ("mixpanel", "/import", AUTH, [{}] * 2001, "2001 events", 400),
    ("posthog", "/batch/", {}, {"batch": []}, "list of events", 401),
    ("posthog", "/batch/", {}, {"api_key": "k", "batch": [1]}, "an object", 400),
    ("posthog", "/batch/", {}, {"api_key": "k", "batch": [{"distinct_id": "u"}]}, "event is required", 400),
    ("posthog", "/batch/", {}, {"api_key": "k", "batch": [{"event": "e"}]}, "distinct_id is", 400),
    ("posthog", "/batch/", {}, {"api_key": "k", "batch": [{"event": "e", "distinct_id": "NULL"}]}, "nobody", 400),
    ("posthog", "/batch/", {}, {"api_key": "k", "batch": [{"event": "e" * 201, "distinct_id": "u" * 201}]}, "200", 400),
    (
        "posthog",
        "/batch/",
        {},
        {"api_key": "k", "batch": [{"event": "e", "distinct_id": "u", "uuid": "1"}]},
        "UUID",
        400,
    ),
    (
        "posthog",
        "/batch/",
        {},
        {"api_key": "k", "batch": [{"event": "e", "distinct_id": "u", "properties": {"p": "x" * 1_000_001}}]},
        "1 MB",
        400,
    ),
    ("segment", "/v1/batch", {}, {"batch": [{}]}, "write key", 200),
    ("segment", "/v1/batch", {}, {"writeKey": "k", "batch": []}, "list of messages", 200),
    ("segment", "/v1/batch", {}, {"writeKey": "k", "batch": [{}]}, "Content-Type", 200),
    ("segment", "/v1/batch", {}, {"writeKey": "k", "batch": [{}] * 2501}, "2501 messages", 200),
    ("segment", "/v1/batch", {}, {"writeKey": "k" * 500_001, "batch": [{}]}, "500 KB", 200),
    ("goatcounter", "/api/v0/count", {}, {"hits": [{"path": "/"}]}, "Authorization", 403),
    ("goatcounter", "/api/v0/count", AUTH, {"hits": 1}, "1 to 500", 400),
    ("goatcounter", "/api/v0/count", AUTH, {"hits": [{"session": "s"}] * 501}, "501 hits", 400),
    ("goatcounter", "/api/v0/count", AUTH, {"hits": [1]}, "an object", 400),
    ("goatcounter", "/api/v0/count", AUTH, {"hits": [{"session": "s"}]}, "path is required", 400),
    ("goatcounter", "/api/v0/count", AUTH, {"hits": [{"path": "/"}]}, "session, or", 400),
    ("pirsch", "/api/v1/hit", {}, {"url": "https://e.com/", "user_agent": "x"}, "Authorization", 401),
    ("pirsch", "/api/v1/hit/batch", AUTH, [1], "an object", 400),
    ("pirsch", "/api/v1/event", AUTH, {"url": "https://e.com/", "user_agent": "x"}, "event_name", 400),
    ("pirsch", "/api/v1/event", AUTH, {"event_meta": {"a": 1}}, "text only", 400),
    ("pirsch", "/api/v1/hit", AUTH, {}, "url is required", 400),
    ("simpleanalytics", "/events", {}, {"hostname": "e.com"}, "ua is required", 400),
    ("simpleanalytics", "/events", {}, {"hostname": "e.com", "type": "x"}, "type must be", 400),
    ("simpleanalytics", "/events", {}, {"hostname": "e.com", "type": "pageview"}, "path is required", 400),
    ("simpleanalytics", "/events", {}, {"hostname": "e.com", "ua": "python-requests/2"}, "robot", 400),
    ("rybbit", "/api/track", {}, {"what": 1}, "what is unknown", 400),
    ("rybbit", "/api/track", {}, {}, "site_id", 400),
    ("rybbit", "/api/track", {}, {}, "api_key", 400),
    ("rybbit", "/api/track", {}, {"type": "custom_event"}, "event_name", 400),
    ("rybbit", "/api/track", {}, {"properties": {"a": 1}}, "JSON in a string", 400),
    ("rybbit", "/api/track", {}, {"page_title": "x" * 513}, "512", 400),
    ("openpanel", "/track", {"openpanel-client-id": "i"}, {"type": "track", "payload": {"name": "x"}}, "secret", 401),
    ("openpanel", "/track", OP, {"type": "track", "payload": {}}, "name is required", 400),
    ("openpanel", "/track", OP, {"type": "track", "payload": {"name": "session_end"}}, "reserved", 400),
    (
        "openpanel",
        "/track",
        OP,
        {"type": "track", "payload": {"name": "x", "properties": {"__deviceId": "d" * 65}}},
        "64 characters",
        400,
    ),
    ("openpanel", "/track", OP, {"type": "track"}, "type and payload", 400),
    ("matomo", "/matomo.php?token_auth=x", {}, "idsite=1&rec=1&url=x", "ends in logs", 200),
    ("matomo", "/matomo.php", {}, "idsite=0&rec=1", "number of a site", 400),
    ("matomo", "/matomo.php", {}, "idsite=1&url=x", "rec=1 is missing", 200),
    ("matomo", "/matomo.php", {}, "idsite=1&rec=1&cid=abc", "16 characters", 400),
    ("matomo", "/matomo.php", {}, f"idsite=1&rec=1&url=x&cid={'g' * 16}", "one visitor", 200),
    ("matomo", "/matomo.php", {}, "idsite=1&rec=1&url=x&cip=1.2.3.4", "without token_auth", 400),
    ("matomo", "/matomo.php", {}, "idsite=1&rec=1&url=x&e_c=a", "an event needs e_a", 200),
    ("matomo", "/matomo.php", {}, "idsite=1&rec=1&url=x&e_c=a&e_a=b&e_v=many", "e_v must be", 200),
    ("matomo", "/matomo.php", {}, f"idsite=1&rec=1&action_name={'x' * 1025}", "1024 bytes", 200),
    ("matomo", "/matomo.php", {}, f"idsite=1&rec=1&url=x&uid={'x' * 201}", "200 characters", 200),
    ("matomo", "/matomo.php", {}, "idsite=1&rec=1&send_image=0", "url or action_name", 204),
    ("matomo", "/matomo.php", {}, {"requests": ["idsite=1&rec=1&url=x"]}, "dropped", 200),
    ("matomo", "/matomo.php", {}, {"requests": [1]}, "query string or an object", 200),
    ("matomo", "/matomo.php", {}, {"requests": "x"}, "must be a list", 200),
    ("matomo", "/matomo.php", {}, {"requests": ["?idsite=0"], "send_image": 0}, "number of a site", 204),
]


def arrived(path: str, headers: dict[str, str], body: Any) -> Request:
    raw = body if isinstance(body, str) else json.dumps(body)
    return Request(url=f"https://inspector.example{path}", headers=headers, body=raw.encode())


@pytest.mark.parametrize(
    ("name", "path", "headers", "body", "finding", "status"), CASES, ids=[f"{c[0]}: {c[4]}" for c in CASES]
)
def test_a_finding_is_said_and_the_answer_is_the_platforms(
    name: str, path: str, headers: dict[str, str], body: Any, finding: str, status: int
) -> None:
    cls: type[Backend] = PROVIDERS.get(name)
    request = arrived(path, headers, body)
    decoded = cls.decode(request)
    assert finding in " | ".join(text for hit in decoded for text in hit.findings)
    assert cls.answer(request, decoded).status == status


def test_an_invalid_item_of_a_bulk_is_named_to_a_token_only() -> None:
    matomo: type[Backend] = PROVIDERS.get("matomo")
    items = ["no query", "?idsite=0&rec=1&url=x", "?idsite=1&rec=1&url=x"]
    for body, indices in (({"requests": items}, None), ({"requests": items, "token_auth": "t"}, [0])):
        request = arrived("/matomo.php", {}, body)
        report = json.loads(matomo.answer(request, matomo.decode(request)).body)
        # The dropped item is counted nowhere, and shifts the indices: as a real server does.
        assert (report["tracked"], report["invalid"], report.get("invalid_indices")) == (1, 1, indices)


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("e_c=a&e_a=b", "event"),
        ("search=shoes", "search"),
        ("download=https://e.com/f", "download"),
        ("idgoal=1", "goal"),
        ("idgoal=0", "cart"),
        ("idgoal=0&ec_id=1", "order"),
        ("ping=1", "ping"),
        ("url=https://e.com/", "pageview"),
    ],
)
def test_matomos_kinds_are_told_by_their_keys(query: str, kind: str) -> None:
    matomo: type[Backend] = PROVIDERS.get("matomo")
    (decoded,) = matomo.decode(arrived("/piwik.php", {}, f"idsite=1&rec=1&{query}"))
    assert decoded.kind == kind


def test_posthogs_newer_end_point_answers_for_each_event() -> None:
    posthog: type[Backend] = PROVIDERS.get("posthog")
    batch = [{"event": "e", "distinct_id": "u", "uuid": "00000000-0000-4000-8000-000000000001"}, {"uuid": "x"}]
    request = arrived("/i/v1/analytics/events", {"Authorization": "Bearer k"}, {"batch": batch})
    report = json.loads(posthog.answer(request, posthog.decode(request)).body)
    assert report["results"] == {
        "00000000-0000-4000-8000-000000000001": {"result": "ok"},
        "x": {"result": "drop"},
    }
