"""Every source keeps the promises of ``SourceContract``, and asks as its platform documents."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

import pytest

from analytical.collect import report_for
from analytical.collect.contracts import SourceContract
from analytical.collect.period import period_at
from analytical.collect.protocol import Query
from analytical.collect.sources.ga4 import Ga4
from analytical.collect.sources.matomo import Matomo, api_url
from analytical.collect.sources.mixpanel import Mixpanel
from analytical.collect.sources.pingdom import Pingdom
from analytical.collect.sources.plausible import Plausible
from analytical.collect.sources.posthog import PostHog
from analytical.collect.sources.umami import Umami
from analytical.collect.sources.webtrends import Webtrends
from analytical.errors import ConfigurationError, SourceError, Unsupported
from analytical.http import Request, Response

SAMPLES = Path(__file__).parent / "samples"
DAY = period_at(datetime(2025, 1, 15, tzinfo=UTC), "day", UTC)


def samples(name: str) -> Any:
    return json.loads((SAMPLES / f"{name}.json").read_text())


def params(request: Request) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(request.url).query))


def rsa_key() -> str:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


ACCOUNT = {
    "type": "service_account",
    "client_email": "reader@demo.iam.gserviceaccount.com",
    "private_key": rsa_key(),
    "token_uri": "https://oauth2.googleapis.com/token",
}
MATOMO = Matomo(id="3", endpoint="https://stats.example.com/matomo.php", token_auth="t0ken/+ &")


class TestMatomoTable(SourceContract):
    source = MATOMO
    query = Query(
        method="DevicesDetection.getType",
        by={"label": "device"},
        metrics={"nb_visits": "visits", "nb_actions": "actions"},
    )
    samples = samples("matomo")["devices"]


class TestMatomoObject(SourceContract):
    source = MATOMO
    query = Query(method="VisitsSummary.get", by={}, metrics={"nb_visits": "visits", "nb_uniq_visitors": "uniques"})
    samples = samples("matomo")["visits"]


class TestGa4(SourceContract):
    source = Ga4(id="G-ABC", property="properties/123", service_account=ACCOUNT)
    query = Query(
        method="", by={"country": "country"}, metrics={"activeUsers": "users", "engagementRate": "engagement"}
    )
    samples = samples("ga4")


class TestPlausible(SourceContract):
    source = Plausible(id="example.com", stats_key="st4ts-key")
    query = Query(method="", by={"visit:source": "source"}, metrics={"visitors": "visitors", "bounce_rate": "bounce"})
    samples = samples("plausible")


class TestPingdom(SourceContract):
    source = Pingdom(id="85975", token="p1ngdom-token")
    query = Query(method="")
    samples = samples("pingdom")


class TestPostHog(SourceContract):
    source = PostHog(id="42", personal_api_key="phx_s3cret")
    query = Query(
        method="select event, count() as n from events where timestamp >= {start} and timestamp < {end} group by event",
        by={"event": "event"},
        metrics={"n": "n"},
    )
    samples = samples("posthog")


class TestMixpanel(SourceContract):
    source = Mixpanel(id="token", project_id="77", service_account="me.mp", secret="m1x-s3cret")
    query = Query(method="", by={"event": "event", "plan": "plan"}, metrics={"count": "events"})
    samples = samples("mixpanel")

    @pytest.mark.parametrize("body", [b"<!DOCTYPE html>", b'{"event": {"cut": '])
    def test_an_answer_that_is_no_report_is_an_error(self, body: bytes) -> None:
        # An empty body is an empty day here.
        super().test_an_answer_that_is_no_report_is_an_error(body)


class TestUmami(SourceContract):
    source = Umami(id="6f1c", endpoint="https://umami.example.com", username="admin", password="um4mi-pw")
    query = Query(method="metrics", by={"x": "page"}, metrics={"y": "visitors"}, native={"type": "url"})
    samples = samples("umami")


class TestWebtrends(SourceContract):
    source = Webtrends(
        id="r1", endpoint="https://ws.example.com/reports", user="a\\me", password="w3b-pw", row_name="b"
    )
    query = Query(method="", by={"b": "browser"}, metrics={"Visits": "visits"})
    samples = samples("webtrends")


# -- Matomo ---------------------------------------------------------------------------------------------------------


def test_matomo_is_asked_in_the_query_and_the_token_goes_in_the_body() -> None:
    # As measured: a POST-only token is refused in a query, and errors are JSON only with format in the query.
    request = MATOMO.first(Query(method="DevicesDetection.getType", every="week"), DAY)
    assert params(request) == {
        "module": "API", "format": "JSON", "method": "DevicesDetection.getType", "idSite": "3", "period": "week",
        "date": "2025-01-15", "filter_limit": "10000", "filter_offset": "0", "format_metrics": "0",
    }  # fmt: skip
    assert dict(parse_qsl(request.body.decode())) == {"token_auth": "t0ken/+ &"}


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("https://h/matomo.php", "https://h/index.php"),
        ("https://h/a/piwik.php", "https://h/a/index.php"),
        ("https://h/index.php", "https://h/index.php"),
        ("https://h", "https://h/index.php"),
        ("https://h/matomo/", "https://h/matomo/index.php"),
        ("https://h/matomo", "https://h/matomo/index.php"),
    ],
)
def test_matomo_reports_are_beside_the_tracker(endpoint: str, expected: str) -> None:
    assert api_url(endpoint) == expected


def test_matomo_pages_to_the_end_and_no_further() -> None:
    query = Query(method="Actions.getPageUrls", by={"label": "page"}, metrics={"nb_hits": "hits"})
    request = MATOMO.first(query, DAY)
    full = Response(status=200, body=json.dumps([{"label": str(n), "nb_hits": n} for n in range(10_000)]).encode())
    page = MATOMO.page(query, DAY, request, full)
    assert page.next is not None
    assert params(page.next)["filter_offset"] == "10000"
    assert page.next.body == request.body
    assert MATOMO.page(query, DAY, page.next, Response(status=200, body=b"[]")).next is None


def test_a_limit_of_the_callers_own_is_a_wish_for_the_first_rows() -> None:
    query = Query(method="Actions.getPageUrls", native={"filter_limit": 2, "flat": True})
    request = MATOMO.first(query, DAY)
    assert params(request)["filter_limit"] == "2"
    assert params(request)["flat"] == "1"
    body = json.dumps([{"label": "a", "nb_hits": 1}, {"label": "b", "nb_hits": 1}]).encode()
    assert MATOMO.page(query, DAY, request, Response(status=200, body=body)).next is None


def test_several_matomo_methods_are_one_bulk_request_and_one_row() -> None:
    query = Query(
        method="VisitsSummary.get,Goals.get", by={}, metrics={"nb_visits": "visits", "nb_conversions": "goals"}
    )
    request = MATOMO.first(query, DAY)
    assert params(request) == {"module": "API", "format": "JSON", "method": "API.getBulkRequest"}
    form = dict(parse_qsl(request.body.decode()))
    assert dict(parse_qsl(form["urls[1]"]))["method"] == "Goals.get"
    assert "token_auth" not in form["urls[1]"]
    answer = json.dumps([{"nb_visits": 6}, {"nb_conversions": 2}]).encode()
    page = MATOMO.page(query, DAY, request, Response(status=200, body=answer))
    assert list(page.rows) == [{"nb_visits": 6, "nb_conversions": 2}]
    bad = json.dumps([{"nb_visits": 6}, {"result": "error", "message": "The plugin Goals is not enabled"}]).encode()
    with pytest.raises(SourceError, match="not enabled"):
        MATOMO.page(query, DAY, request, Response(status=200, body=bad))


def test_rows_that_matomo_put_together_are_said() -> None:
    body = json.dumps([{"label": "/page/ - Others", "nb_hits": 31, "is_summary": True}, {"label": "/", "nb_hits": 2}])
    page = MATOMO.page(Query(method="Actions.getPageUrls"), DAY, MATOMO.first(Query(method="A.b"), DAY),
                       Response(status=200, body=body.encode()))  # fmt: skip
    assert "1 of 2 rows put many together" in page.warnings[0]


def test_a_segment_may_be_text_or_equalities() -> None:
    text = MATOMO.first(Query(method="A.b", where="deviceType==desktop;visitCount>1"), DAY)
    assert params(text)["segment"] == "deviceType==desktop;visitCount>1"
    table = MATOMO.first(Query(method="A.b", where={"pageUrl": "a;b", "country": "fr"}), DAY)
    assert params(table)["segment"] == "pageUrl==a%3Bb;country==fr"


def test_matomo_has_no_hours() -> None:
    with pytest.raises(Unsupported, match="day, week, month"):
        MATOMO.check(Query(method="VisitsSummary.get", every="hour"))


# -- GA4 ------------------------------------------------------------------------------------------------------------


def test_ga4_signs_in_with_a_service_account_and_pages_by_offset() -> None:
    from google.auth import crypt, jwt

    source = TestGa4.source
    login = source.login(1_736_900_000.0)
    assert login is not None
    form = dict(parse_qsl(login.body.decode()))
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    claims = jwt.decode(form["assertion"], verify=False)
    assert claims["iss"] == ACCOUNT["client_email"]
    assert claims["aud"] == "https://oauth2.googleapis.com/token"
    assert claims["exp"] - claims["iat"] == 3600
    assert crypt is not None
    token = source.token(Response(status=200, body=b'{"access_token":"ya29.x","expires_in":3599}'))
    query = source.completed(TestGa4.query)
    request = source.first(query, DAY)
    sent = source.authorize(request, token)
    assert sent.headers["Authorization"] == "Bearer ya29.x"
    assert "ya29.x" not in str(sent.masked().headers)
    assert request.url == "https://analyticsdata.googleapis.com/v1beta/properties/123:runReport"
    body = json.loads(request.body)
    assert body["dateRanges"] == [{"startDate": "2025-01-15", "endDate": "2025-01-15"}]
    assert body["dimensions"] == [{"name": "country"}]
    rows = [
        {"dimensionValues": [{"value": str(n)}], "metricValues": [{"value": "1"}, {"value": "1"}]} for n in range(10)
    ]
    answer = {"dimensionHeaders": [{"name": "country"}], "rows": rows, "rowCount": 15}
    page = source.page(query, DAY, request, Response(status=200, body=json.dumps(answer).encode()))
    assert page.next is not None
    assert json.loads(page.next.body)["offset"] == "10"
    rest = {**answer, "rows": rows[:5]}
    assert source.page(query, DAY, page.next, Response(status=200, body=json.dumps(rest).encode())).next is None


def test_ga4_says_what_the_numbers_lack() -> None:
    answer = {
        "dimensionHeaders": [{"name": "country"}],
        "metricHeaders": [{"name": "activeUsers"}],
        "rows": [{"dimensionValues": [{"value": "(other)"}], "metricValues": [{"value": "9"}]}],
        "rowCount": 1,
        "metadata": {
            "subjectToThresholding": True,
            "samplingMetadatas": [{"samplesReadCount": "500", "samplingSpaceSize": "9000"}],
        },
        "propertyQuota": {"tokensPerDay": {"consumed": 9, "remaining": 24}, "tokensPerHour": {"remaining": 5}},
    }
    source = TestGa4.source
    query = source.completed(TestGa4.query)
    page = source.page(query, DAY, source.first(query, DAY), Response(status=200, body=json.dumps(answer).encode()))
    said = " | ".join(page.warnings)
    assert "thresholding" in said
    assert "sampling: computed from 500 of 9000" in said
    assert '"(other)"' in said
    assert "quota: 24 tokens today, 5 tokens this hour left" in said


def test_ga4_gives_one_hour_by_a_filter_in_the_propertys_zone() -> None:
    tz = ZoneInfo("America/New_York")
    hour = period_at(datetime(2025, 1, 15, 23, 30, tzinfo=tz), "hour", tz)
    source = TestGa4.source
    query = source.completed(
        Query(
            method="",
            metrics={"sessions": "sessions"},
            every="hour",
            tz="America/New_York",
            where={"country": "France"},
        )
    )
    body = json.loads(source.first(query, hour).body)
    assert body["dateRanges"] == [{"startDate": "2025-01-15", "endDate": "2025-01-15"}]
    fields = [part["filter"]["fieldName"] for part in body["dimensionFilter"]["andGroup"]["expressions"]]
    assert fields == ["hour", "country"]
    assert body["dimensionFilter"]["andGroup"]["expressions"][0]["filter"]["stringFilter"]["value"] == "23"


def test_ga4_quotas_name_their_reset() -> None:
    source = TestGa4.source
    now = datetime(2025, 1, 15, 20, 0, tzinfo=UTC).timestamp()

    def reset(message: str) -> Any:
        body = json.dumps({"error": {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED"}}).encode()
        refusal = source.refusal(Response(status=429, body=body), now)
        assert refusal is not None
        return refusal.reset if refusal.quota else refusal.retry

    assert reset("Exhausted property tokens per day.") == datetime(2025, 1, 16, 8, 0, tzinfo=UTC).timestamp()
    assert reset("Exhausted property tokens per hour.") == now + 3600
    assert reset("Exhausted concurrent requests quota.") is True


def test_ga4_without_what_it_needs_says_what_to_type() -> None:
    with pytest.raises(ConfigurationError, match="not the measurement id"):
        Ga4(id="G-ABC", access_token="x").check(TestGa4.source.completed(TestGa4.query))
    with pytest.raises(ConfigurationError, match="service_account="):
        Ga4(id="1").check(TestGa4.source.completed(TestGa4.query))
    with pytest.raises(ConfigurationError, match="no service account's key"):
        Ga4(id="1", service_account={"installed": {}})
    with pytest.raises(ConfigurationError, match="need metrics"):
        Ga4(id="1", access_token="x").check(Ga4(id="1").completed(Query(method="")))


# -- others ---------------------------------------------------------------------------------------------------------


def test_plausible_is_asked_for_whole_periods_and_pages_by_total_rows() -> None:
    source = TestPlausible.source
    query = source.completed(Query(method="", by={"event:page": "page"}, every="month", where={"visit:country": "FR"}))
    month = period_at(datetime(2025, 2, 15, tzinfo=UTC), "month", UTC)
    request = source.first(query, month)
    assert request.url == "https://plausible.io/api/v2/query"
    assert request.headers["Authorization"] == "Bearer st4ts-key"
    body = json.loads(request.body)
    assert body["date_range"] == ["2025-02-01", "2025-02-28"]
    assert body["filters"] == [["is", "visit:country", ["FR"]]]
    assert body["metrics"] == ["visitors"]
    answer = {"results": [{"dimensions": ["/"], "metrics": [1]}], "meta": {"total_rows": 2}}
    page = source.page(query, month, request, Response(status=200, body=json.dumps(answer).encode()))
    assert page.next is not None
    assert json.loads(page.next.body)["pagination"] == {"limit": 10_000, "offset": 1}
    assert source.page(query, month, page.next, Response(status=200, body=json.dumps(answer).encode())).next is None


def test_plausibles_own_server_and_hours() -> None:
    source = Plausible(id="example.com", endpoint="https://p.example.com/api/event", stats_key="k")
    tz = ZoneInfo("Europe/Berlin")
    hour = period_at(datetime(2025, 1, 15, 10, tzinfo=tz), "hour", tz)
    request = source.first(source.completed(Query(method="", every="hour")), hour)
    assert request.url == "https://p.example.com/api/v2/query"
    assert json.loads(request.body)["date_range"] == ["2025-01-15T10:00:00+01:00", "2025-01-15T10:59:59+01:00"]


def test_pingdom_finds_a_check_by_its_name() -> None:
    source = Pingdom(id="My site", token="t")
    query = source.completed(Query(method=""))
    first = source.first(query, DAY)
    assert first.url == "https://api.pingdom.com/api/3.1/checks"
    answer = {"checks": [{"id": 1, "name": "Other"}, {"id": 2, "name": "My site"}]}
    headers = {"req-limit-short": "Remaining: 394 Time until reset: 3589"}
    page = source.page(query, DAY, first, Response(status=200, headers=headers, body=json.dumps(answer).encode()))
    assert page.next is not None
    assert urlsplit(page.next.url).path == "/api/3.1/summary.performance/2"
    assert params(page.next) == {
        "from": "1736899200", "to": "1736985600", "resolution": "day", "includeuptime": "true",
    }  # fmt: skip
    assert page.warnings == ("quota: 394 short-term requests, reset in 3589 s",)
    with pytest.raises(SourceError, match=r'no check "My site"; there are: Other'):
        source.page(query, DAY, first, Response(status=200, body=b'{"checks":[{"id":1,"name":"Other"}]}'))


def test_pingdoms_used_up_limit_is_waited_for_or_named() -> None:
    source = TestPingdom.source
    limits = {
        "req-limit-short": "Remaining: 0 Time until reset: 60",
        "req-limit-long": "Remaining: 9 Time until reset: 3589",
    }
    refusal = source.refusal(Response(status=429, headers=limits), 1000.0)
    assert refusal is not None
    assert (refusal.retry, refusal.reset) == (True, 1060.0)
    asked = source.refusal(Response(status=429, headers={**limits, "retry-after": "5"}), 1000.0)
    assert asked is not None
    assert asked.reset is None


def test_a_reading_of_now_needs_no_word_about_the_grid() -> None:
    ga = report_for("ga4", "123", "runRealtimeReport", options={"access_token": "t"}, metrics=["activeUsers"])
    assert ga.query.every is None
    umami = report_for("umami", "u", "active", options={"api_key": "k"})
    assert umami.query.every is None


def test_posthog_pages_by_itself_and_waits_for_slow_queries() -> None:
    source = TestPostHog.source
    query = TestPostHog.query
    request = source.first(query, DAY)
    assert request.url.startswith("https://us.posthog.com/api/projects/42/query/")
    sent = json.loads(request.body)["query"]
    assert sent["kind"] == "HogQLQuery"
    assert "toDateTime('2025-01-15 00:00:00', 'UTC')" in sent["query"]
    assert sent["query"].endswith("order by `event` limit 10000 offset 0")
    waiting = source.page(
        query, DAY, request, Response(status=202, body=b'{"query_status":{"id":"q1","complete":false}}')
    )
    assert waiting.after > 0
    assert waiting.next is not None
    assert waiting.next.method == "GET"
    assert urlsplit(waiting.next.url).path.endswith("/query/q1/")
    full = json.dumps({"columns": ["event", "n"], "results": [[str(n), n] for n in range(10_000)]}).encode()
    after = source.page(query, DAY, request, Response(status=200, body=full))
    assert after.next is not None
    assert json.loads(after.next.body)["query"]["query"].endswith("offset 10000")


def test_posthog_refuses_a_query_that_is_the_same_in_every_period() -> None:
    with pytest.raises(ConfigurationError, match=r"\{start\} and \{end\}"):
        TestPostHog.source.check(Query(method="select count() from events"))


def test_mixpanel_events_carry_their_own_time() -> None:
    source = TestMixpanel.source
    query = Query(method="export", by={"event": "event", "$insert_id": "insert_id"}, metrics={"amount": "amount"})
    request = source.first(query, DAY)
    assert params(request) == {"project_id": "77", "from_date": "2025-01-15", "to_date": "2025-01-15"}
    line = b'{"event":"Paid","properties":{"time":1736935200000,"$insert_id":"1","amount":9.5}}\n'
    rows = list(source.page(query, DAY, request, Response(status=200, body=line)).rows)
    assert rows[0]["_timestamp"] == 1736935200
    with pytest.raises(SourceError, match="line 2"):
        list(source.page(query, DAY, request, Response(status=200, body=line + line[:20])).rows)


def test_umami_logs_in_or_takes_a_key() -> None:
    source = TestUmami.source
    login = source.login(0.0)
    assert login is not None
    assert login.url == "https://umami.example.com/api/auth/login"
    request = source.first(TestUmami.query, DAY)
    assert urlsplit(request.url).path == "/api/websites/6f1c/metrics"
    assert params(request)["startAt"] == "1736899200000"
    assert params(request)["endAt"] == "1736985599999"
    cloud = Umami(id="6f1c", api_key="k3y")
    assert cloud.login(0.0) is None
    asked = cloud.first(Query(method="stats"), DAY)
    assert asked.url.startswith("https://api.umami.is/v1/websites/6f1c/stats?")
    assert asked.headers["x-umami-api-key"] == "k3y"


@pytest.mark.parametrize(
    "body", [{"pageviews": 10, "comparison": {"pageviews": 3}}, {"pageviews": {"value": 10, "prev": 3}}]
)
def test_both_versions_of_umamis_stats_are_read(body: dict[str, Any]) -> None:
    query = Query(method="stats", metrics={"pageviews": "views"})
    source = TestUmami.source
    response = Response(status=200, body=json.dumps(body).encode())
    assert list(source.page(query, DAY, source.first(query, DAY), response).rows) == [{"pageviews": 10}]


def test_webtrends_spells_periods_its_own_way() -> None:
    source = TestWebtrends.source
    for every, spelt in (("day", "2025m01d15"), ("week", "2025w03"), ("month", "2025m01")):
        period = period_at(datetime(2025, 1, 15, tzinfo=UTC), every, UTC)
        assert params(source.first(Query(method="reports", every=every), period))["start_period"] == spelt


def test_a_secret_may_be_a_reference(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STATS_KEY", "from-env")
    assert Plausible(id="x", stats_key="env:STATS_KEY").secrets == ("from-env",)
    (tmp_path / "key.json").write_text(json.dumps(ACCOUNT))
    for given in (str(tmp_path / "key.json"), f"file:{tmp_path}/key.json"):
        assert Ga4(id="1", service_account=given).service_account["client_email"] == ACCOUNT["client_email"]
