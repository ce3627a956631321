"""Every source keeps the promises of ``SourceContract``, and asks as its platform documents."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

import pytest

from analytical.collect import report_for
from analytical.collect.contracts import SourceContract
from analytical.collect.period import Period, period_at
from analytical.collect.protocol import Page, Query, Refusal, Source
from analytical.collect.sources.ga4 import Ga4
from analytical.collect.sources.matomo import Matomo, api_url
from analytical.collect.sources.mixpanel import Mixpanel
from analytical.collect.sources.pingdom import Pingdom
from analytical.collect.sources.plausible import Plausible
from analytical.collect.sources.posthog import PostHog
from analytical.collect.sources.umami import Umami
from analytical.collect.sources.webtrends import Webtrends
from analytical.errors import ConfigurationError, MissingExtra, SourceError, Unsupported
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


class TestASourceThatRefusesWhatIsNoReport(SourceContract):
    """A source may say so itself, before its rows are asked for."""

    @dataclass(frozen=True, kw_only=True, repr=False)
    class Careful(Source):
        name = "careful"

        def first(self, query: Query, period: Period) -> Request:
            return Request(method="GET", url=f"https://careful.example.com/{period.first_day}")

        def page(self, query: Query, period: Period, request: Request, response: Response) -> Page:
            return Page(rows=json.loads(response.body))

        def refusal(self, response: Response, now: float) -> Refusal | None:
            if response.ok and not response.body.endswith(b"]"):
                return Refusal(reason="no list of rows")
            return super().refusal(response, now)

    source = Careful(id="1")
    query = Query(method="x", by={"page": "page"}, metrics={"n": "n"})
    samples = (
        {"name": "rows", "body": '[{"page": "/", "n": 1}]', "rows": [{"page": "/", "n": 1}]},
        {"name": "page", "body": "<html>", "refused": "no list of rows"},
    )


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


# -- questions that are refused before anything is asked --------------------------------------------------------------

SECRET = "s3cret-0f-the-test"
HOGQL = "select event from events where timestamp >= {start} and timestamp < {end}"


@pytest.mark.parametrize(
    ("source", "query", "why"),
    [
        (TestMatomoTable.source, {"method": ""}, r'need a method, such as "VisitsSummary\.get"'),
        (Matomo(id="1", endpoint="stats.example.com"), {"method": "A.b"}, "is no address; expected one such as"),
        (TestGa4.source, {"method": "batchRunReports"}, "ga4 has runReport and runRealtimeReport"),
        (TestGa4.source, {"method": "runReport", "every": None}, 'which ga4 has in "runRealtimeReport"'),
        (TestPlausible.source, {"method": "breakdown"}, 'plausible has one, "query"'),
        (Plausible(id="example.com"), {"method": "query"}, 'type: stats_key="env:PLAUSIBLE_STATS_KEY"'),
        (TestPlausible.source, {"method": "query", "where": "country==FR"}, "plausible takes filters such as"),
        (TestPingdom.source, {"method": "checks"}, 'pingdom has one, "summary.performance"'),
        (Pingdom(id="", token="t"), {"method": "summary.performance"}, "the number or the name of a check"),
        (Pingdom(id="1"), {"method": "summary.performance"}, 'type: token="env:PINGDOM_TOKEN"'),
        (TestPostHog.source, {"method": "trends"}, "need a HogQL query, such as"),
        (TestPostHog.source, {"method": HOGQL, "where": {"a": 1}}, "conditions stand in the query"),
        (PostHog(id="42"), {"method": HOGQL}, 'type: personal_api_key="env:POSTHOG_PERSONAL_KEY"'),
        (TestMixpanel.source, {"method": "segmentation"}, 'mixpanel has one, "export"'),
        (TestMixpanel.source, {"method": "export", "metrics": {"count": "n", "a": "a"}}, "not both in one report"),
        (Mixpanel(id="t0ken"), {"method": "export"}, 'type: project_id="123456"'),
        (Mixpanel(id="77"), {"method": "export"}, "need service_account"),
        (Mixpanel(id="77", service_account="me"), {"method": "export"}, 'type: secret="env:MIXPANEL_SECRET"'),
        (TestUmami.source, {"method": "metric"}, 'Did you mean "metrics"'),
        (TestUmami.source, {"method": "stats", "every": None}, 'which umami has in "active"'),
        (TestUmami.source, {"method": "metrics"}, 'needs type="url"'),
        (Umami(id="6f1c"), {"method": "stats"}, 'type: username="admin"'),
        (Umami(id="6f1c", username="admin"), {"method": "stats"}, 'type: password="env:UMAMI_PASSWORD"'),
        (TestWebtrends.source, {"method": "report"}, 'webtrends has "reports" and "keymetrics"'),
        (TestWebtrends.source, {"method": "reports", "every": "hour"}, "hours in keymetrics only"),
        (Webtrends(id="r1"), {"method": "reports"}, 'type: endpoint="https://ws.example.com/v3'),
        (Webtrends(id="r1", endpoint="https://h/"), {"method": "reports"}, "need user"),
        (Webtrends(id="r1", endpoint="https://h/", user="u"), {"method": "reports"}, "need password"),
    ],
)  # fmt: skip
def test_a_question_that_cannot_be_asked_says_what_to_type(source: Any, query: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        source.check(Query(**query))


@pytest.mark.parametrize(
    ("source", "method", "where", "why"),
    [
        (TestMatomoTable.source, "A.b", ["deviceType==desktop"], "matomo takes a segment"),
        (TestGa4.source, "runReport", "country==France", "ga4 takes a mapping such as"),
        (TestUmami.source, "stats", "country=FR", "umami takes a mapping such as"),
    ],
)
def test_a_filter_of_the_wrong_kind_shows_the_right_one(source: Any, method: str, where: Any, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        source.first(Query(method=method, where=where), DAY)


# -- answers of every kind --------------------------------------------------------------------------------------------


def given(status: int, body: Any) -> Response:
    return Response(status=status, body=body if isinstance(body, bytes) else json.dumps(body).encode())


def rows_of(source: Any, query: Query, body: Any, period: Any = DAY) -> list[Any]:
    return list(source.page(query, period, source.first(query, period), given(200, body)).rows)


class Scripted:
    """A transport that gives one answer for ever, and a token to whoever logs in."""

    def __init__(self, body: Any) -> None:
        self.body = body

    def send(self, request: Request, *, timeout: float | None = None) -> Response:
        if request.url.endswith(("/auth/login", "/token")):
            return given(200, {"token": "t0ken", "access_token": "t0ken"})
        return given(200, self.body)

    def close(self) -> None: ...


@pytest.mark.parametrize(
    ("name", "options", "asked", "body"),
    [
        ("plausible", {"stats_key": SECRET}, {}, {"results": [17]}),
        ("plausible", {"stats_key": SECRET}, {}, {"results": [], "meta": [1]}),
        ("ga4", {"access_token": SECRET}, {"metrics": ["activeUsers"]}, {"rows": [{}], "rowCount": "many"}),
        ("ga4", {"access_token": SECRET}, {"metrics": ["activeUsers"]}, {"rows": [{"metricValues": 5}]}),
        ("ga4", {"access_token": SECRET}, {"metrics": ["activeUsers"]}, {"rows": 5}),
        ("umami", {"api_key": SECRET}, {"method": "metrics", "type": "url"}, [1, 2]),
        ("umami", {"api_key": SECRET}, {"method": "pageviews"}, {"pageviews": ["x"]}),
        ("posthog", {"personal_api_key": SECRET}, {"method": HOGQL}, {"results": [5], "columns": ["a"]}),
        ("posthog", {"personal_api_key": SECRET}, {"method": HOGQL}, {"query_status": {"complete": False}}),
        ("pingdom", {"token": SECRET}, {}, {"checks": [1]}),
        ("pingdom", {"token": SECRET}, {}, {"summary": {"days": [{"starttime": "noon"}]}}),
        ("mixpanel", {"service_account": "s", "secret": SECRET}, {}, b'{"event": "a", "properties": 5}\n'),
        ("webtrends", {"user": "u", "password": SECRET}, {}, {"data": 5}),
        ("webtrends", {"user": "u", "password": SECRET}, {"method": "keymetrics"}, {"data": [5]}),
    ],
)  # fmt: skip
def test_json_of_another_shape_is_an_error_of_ours_that_names_report_and_period(
    name: str, options: dict[str, Any], asked: dict[str, Any], body: Any
) -> None:
    endpoint = "https://ws.example.com" if name == "webtrends" else None
    asked = {"method": "", **asked}
    report = report_for(name, "123", endpoint=endpoint, options=options, transport=Scripted(body), title="odd", **asked)
    with pytest.raises(SourceError, match=r'report "odd", day 2025-01-15: .*(not what \w+ documents|expected)'):
        list(report.between("2025-01-15", "2025-01-15"))


@pytest.mark.parametrize(
    ("source", "body", "said"),
    [
        (TestPlausible.source, {"error": "Invalid API key"}, "Invalid API key"),
        (TestPlausible.source, b"<html>", ""),
        (TestPlausible.source, [1], ""),
        (TestPostHog.source, {"detail": "Authentication credentials were not provided."}, "credentials were not"),
        (TestPostHog.source, {"error": "syntax"}, "syntax"),
        (TestPostHog.source, b"\xff\xfe", ""),
        (TestMixpanel.source, {"error": "Invalid service account"}, "Invalid service account"),
        (TestMixpanel.source, b"plain words", ""),
        (TestUmami.source, {"error": "Bad request"}, "Bad request"),
        (TestUmami.source, {"error": {"message": "Not found"}}, "Not found"),
        (TestUmami.source, b"", ""),
        (TestPingdom.source, {"error": {"errormessage": "Invalid check identifier"}}, "Invalid check identifier"),
        (TestPingdom.source, {"error": "text"}, ""),
        (TestPingdom.source, b"<", ""),
        (TestGa4.source, {"error": {"status": "INVALID_ARGUMENT"}}, "INVALID_ARGUMENT"),
        (TestGa4.source, {"error": "invalid_grant"}, "invalid_grant"),
        (TestGa4.source, {"error": "invalid_grant", "error_description": "Invalid JWT"}, "invalid_grant: Invalid JWT"),
        (TestGa4.source, [], ""),
        (TestGa4.source, b"{", ""),
        (MATOMO, {"result": "error"}, "no reason given"),
        (MATOMO, b"{cut", ""),
    ],
)
def test_what_a_platform_says_of_an_error_is_passed_on(source: Any, body: Any, said: str) -> None:
    refusal = source.refusal(given(400, body), 1.7e9)
    assert refusal is not None
    assert said in refusal.reason
    assert refusal.reason.endswith("400") == (not said)
    assert not refusal.retry


# -- more of Matomo ---------------------------------------------------------------------------------------------------


def test_a_locked_out_address_does_not_ask_again_for_an_hour() -> None:
    body = {"result": "error", "message": "You are currently not allowed to log in. Too many failed logins."}
    refusal = MATOMO.refusal(given(403, body), 1000.0)
    assert refusal is not None
    assert (refusal.quota, refusal.reset) == (True, 4600.0)
    assert "locked this address out" in refusal.reason


def test_matomos_live_counters_are_a_reading_of_the_last_half_hour() -> None:
    query = MATOMO.completed(Query(method="Live.getCounters", every=None))
    MATOMO.check(query)
    asked = params(MATOMO.first(query, DAY))
    assert asked["lastMinutes"] == "30"
    assert "period" not in asked
    assert rows_of(MATOMO, query, [{"visits": "3"}]) == [{"visits": "3"}]


def test_matomo_answers_of_every_shape_are_rows() -> None:
    query = Query(method="API.get")
    assert rows_of(MATOMO, query, {"1": [{"nb_visits": 5}], "2": {"nb_visits": 7}}) == [
        {"idSite": "1", "nb_visits": 5},
        {"idSite": "2", "nb_visits": 7},
    ]
    assert rows_of(MATOMO, query, {}) == [{}]
    assert rows_of(MATOMO, query, {"result": "success", "message": "ok"}) == []
    assert rows_of(MATOMO, query, 42) == [{"value": 42}]
    assert rows_of(MATOMO, query, [42]) == [{"value": 42}]
    # Nested tables and texts other than the label are decoration where no columns were chosen.
    row = {"label": "x", "nb_visits": "5", "logo": "a.png", "sum": None, "subtable": [1], "ok": True}
    assert rows_of(MATOMO, query, [row]) == [{"label": "x", "nb_visits": "5"}]
    with pytest.raises(SourceError, match="the bulk answer is no list"):
        rows_of(MATOMO, Query(method="A.b,C.d"), {"result": "success"})


def test_matomo_lists_are_joined_by_commas() -> None:
    request = MATOMO.first(Query(method="API.get", native={"columns": ["nb_visits", "nb_actions"], "none": None}), DAY)
    assert params(request)["columns"] == "nb_visits,nb_actions"
    assert "none" not in params(request)


# -- more of GA4 ------------------------------------------------------------------------------------------------------


def test_ga4_takes_its_key_from_a_variable_and_says_when_it_is_unusable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GA_KEY", json.dumps({**ACCOUNT, "private_key": "no key at all"}))
    source = Ga4(id="1", service_account="env:GA_KEY")
    assert source.secrets == ("no key at all",)
    with pytest.raises(ConfigurationError, match="its private key is unusable") as raised:
        source.login(0.0)
    assert "no key at all" not in str(raised.value)
    assert Ga4(id="1", service_account=json.dumps(ACCOUNT)).service_account["client_email"] == ACCOUNT["client_email"]
    with pytest.raises(ConfigurationError, match=r"the key file .*none\.json cannot be read"):
        Ga4(id="1", service_account=str(tmp_path / "none.json"))
    with pytest.raises(ConfigurationError, match="the key file cannot be read") as raised:
        Ga4(id="1", service_account="-----BEGIN PRIVATE KEY-----s3cret")
    assert "s3cret" not in str(raised.value)
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ConfigurationError, match="no JSON"):
        Ga4(id="1", service_account=str(tmp_path / "broken.json"))


def test_ga4s_token_may_be_kept_fresh_by_others() -> None:
    source = Ga4(id="123", access_token="ya29.mine")
    query = source.completed(Query(method="", metrics={"activeUsers": "users"}))
    source.check(query)
    assert source.login(0.0) is None
    request = source.first(query, DAY)
    assert request.headers["Authorization"] == "Bearer ya29.mine"
    assert request.secrets == ("ya29.mine",)
    own = Ga4(id="123", endpoint="https://proxy.example.com/", access_token="t").first(query, DAY)
    assert own.url.startswith("https://proxy.example.com/v1beta/properties/123:")
    hits = Ga4(id="123", endpoint="https://www.google-analytics.com", access_token="t").first(query, DAY)
    assert hits.url.startswith("https://analyticsdata.googleapis.com/")


def test_ga4_without_its_extra_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.auth", None)
    with pytest.raises(MissingExtra, match=r'pip install "analytical\[ga4-reports\]"'):
        TestGa4.source.login(0.0)


def test_a_token_server_that_gives_no_token_is_an_error() -> None:
    for body in ({"expires_in": 3599}, ["ya29"]):
        with pytest.raises(SourceError, match="sent no access_token"):
            TestGa4.source.token(given(200, body))
    assert TestGa4.source.token(given(200, {"access_token": "t"})).lifetime == 3000.0


def test_ga4s_realtime_cannot_be_paged_and_says_how_much_is_missing() -> None:
    source = TestGa4.source
    query = source.completed(Query(method="", by={"country": "country"}, metrics={"activeUsers": "users"}, every=None))
    assert query.method == "runRealtimeReport"
    request = source.first(query, DAY)
    assert "dateRanges" not in json.loads(request.body)
    body = {
        "dimensionHeaders": [{"name": "country"}],
        "metricHeaders": [{"name": "activeUsers"}],
        "rows": [{"dimensionValues": [{"value": "France"}], "metricValues": [{"value": "4"}]}],
        "rowCount": 9,
    }
    page = source.page(query, DAY, request, given(200, body))
    assert list(page.rows) == [{"country": "France", "activeUsers": "4"}]
    assert page.next is None
    assert page.warnings[0] == "1 of 9 rows: realtime reports cannot be paged"
    whole = source.page(query, DAY, request, given(200, {**body, "rowCount": 1}))
    assert whole.warnings == ()


def test_ga4s_filters_are_values_lists_or_googles_own() -> None:
    def sent(where: Any) -> Any:
        query = TestGa4.source.completed(Query(method="", metrics={"sessions": "sessions"}, where=where))
        return json.loads(TestGa4.source.first(query, DAY).body)["dimensionFilter"]

    assert sent({"country": ["France", "Italy"]}) == {
        "filter": {"fieldName": "country", "inListFilter": {"values": ["France", "Italy"]}}
    }
    own = {"notExpression": {"filter": {"fieldName": "country", "stringFilter": {"value": "France"}}}}
    assert sent(own) == own


@pytest.mark.parametrize("body", [[], 5])
def test_an_answer_of_ga4_that_is_no_object_is_an_error(body: Any) -> None:
    with pytest.raises(SourceError, match="expected a JSON object"):
        rows_of(TestGa4.source, TestGa4.source.completed(TestGa4.query), body)


# -- more of Plausible, Pingdom, PostHog ------------------------------------------------------------------------------


def test_plausible_passes_on_what_it_warns_of() -> None:
    source = TestPlausible.source
    query = source.completed(Query(method="", where=[["contains", "event:page", ["/blog"]]]))
    request = source.first(query, DAY)
    assert json.loads(request.body)["filters"] == [["contains", "event:page", ["/blog"]]]
    body = {
        "results": [{"metrics": [3]}],
        "meta": {
            "imports_warning": "Imported stats are not included",
            "metric_warnings": {"scroll_depth": {"code": "no_data"}, "time": {"warning": "no imported time"}},
        },
    }
    page = source.page(query, DAY, request, given(200, body))
    assert list(page.rows) == [{"visitors": 3}]
    assert page.warnings == (
        "Imported stats are not included", "scroll_depth: no_data", "time: no imported time",
    )  # fmt: skip
    assert page.next is None


def test_plausible_without_a_total_reads_on_while_pages_are_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analytical.collect.sources.plausible.LIMIT", 2)
    source = TestPlausible.source
    query = source.completed(Query(method="", by={"event:page": "page"}))
    request = source.first(query, DAY)
    rows = [{"dimensions": ["/a"], "metrics": [1]}, {"dimensions": ["/b"], "metrics": [1]}]
    page = source.page(query, DAY, request, given(200, {"results": rows}))
    assert page.next is not None
    assert source.page(query, DAY, page.next, given(200, {"results": rows[:1]})).next is None
    own = source.completed(Query(method="", native={"pagination": {"limit": 2, "offset": 0}}))
    assert source.page(own, DAY, source.first(own, DAY), given(200, {"results": rows})).next is None


@pytest.mark.parametrize("body", [{"results": None}, {"error": "x"}, [], "x"])
def test_an_answer_of_plausible_without_results_is_an_error(body: Any) -> None:
    with pytest.raises(SourceError, match="no list of results"):
        rows_of(TestPlausible.source, TestPlausible.source.completed(Query(method="")), body)


@pytest.mark.parametrize("body", [{}, {"summary": []}, {"summary": {"hours": []}}, [], {"summary": {"days": None}}])
def test_an_answer_of_pingdom_without_the_grids_rows_is_an_error(body: Any) -> None:
    with pytest.raises(SourceError, match=r"the answer has no summary\.days"):
        rows_of(TestPingdom.source, TestPingdom.source.completed(Query(method="")), body)


def test_a_query_of_posthog_that_fails_while_it_is_computed_says_why() -> None:
    source, query = TestPostHog.source, TestPostHog.query
    failed = {"query_status": {"id": "q1", "complete": False, "error": True, "error_message": "memory limit"}}
    done = {"query_status": {"id": "q1", "complete": True, "error": True, "error_message": "timeout"}}
    for body, why in ((failed, "memory limit"), (done, "timeout"), ([], "expected a JSON object"),
                      ({"results": None, "error": "bad column"}, "no results: bad column"),
                      ({"results": 5}, "the answer has no results")):  # fmt: skip
        with pytest.raises(SourceError, match=why):
            rows_of(source, query, body)


def test_a_query_of_posthog_that_was_waited_for_gives_its_rows() -> None:
    source, query = TestPostHog.source, TestPostHog.query
    body = {"query_status": {"id": "q1", "complete": True, "results": {"results": [["a", 1], {"event": "b", "n": 2}]}}}
    assert rows_of(source, query, body) == [{"event": "a", "n": 1}, {"event": "b", "n": 2}]


def test_posthogs_servers_for_hits_and_for_queries_have_two_names() -> None:
    def url(**options: Any) -> str:
        return PostHog(id="phc_x", project="42", personal_api_key="k", **options).first(TestPostHog.query, DAY).url

    assert url(endpoint="https://eu.i.posthog.com/batch/") == "https://eu.posthog.com/api/projects/42/query/#0"
    assert url(region="EU") == "https://eu.posthog.com/api/projects/42/query/#0"
    assert url(endpoint="https://ph.example.com").startswith("https://ph.example.com/api/projects/42/query/")


# -- Mixpanel ---------------------------------------------------------------------------------------------------------


def test_mixpanels_events_are_counted_by_what_was_asked_for() -> None:
    source = TestMixpanel.source
    query = source.completed(Query(method="", by={"event": "event", "tags": "tags"}))
    lines = [
        {"event": "Paid", "properties": {"tags": ["a", "b"]}},
        {"event": "Paid", "properties": {"tags": ["a", "b"]}},
        {"event": "Paid"},
        {"event": "Left", "properties": {"tags": None}},
    ]
    body = b"\n\n".join(json.dumps(line).encode() for line in lines)
    assert rows_of(source, query, body) == [
        {"event": "Paid", "tags": "['a', 'b']", "count": 2},
        {"event": "Paid", "tags": None, "count": 1},
        {"event": "Left", "tags": None, "count": 1},
    ]
    assert rows_of(source, query, b"") == []
    assert rows_of(source, source.completed(Query(method="", by={})), body) == [{"count": 4}]


def test_an_export_of_mixpanel_that_ends_with_an_error_is_no_report() -> None:
    query = Query(method="export", by={"event": "event"}, metrics={"amount": "amount"})
    body = b'{"event": "Paid", "properties": {"time": "noon"}}\n{"error": "export timed out"}\n'
    with pytest.raises(SourceError, match="ended with an error: export timed out"):
        rows_of(TestMixpanel.source, query, body)
    assert rows_of(TestMixpanel.source, query, body.splitlines()[0]) == [{"time": "noon", "event": "Paid"}]


def test_mixpanel_is_asked_where_its_data_are_and_lists_are_json() -> None:
    def url(**options: Any) -> str:
        source = Mixpanel(id="77", service_account="me", secret="s", **options)
        query = Query(method="export", where='properties["plan"] == "pro"', native={"event": ["Paid"], "limit": 5})
        return source.first(source.completed(query), DAY).url

    assert url().startswith("https://data.mixpanel.com/api/2.0/export?project_id=77&")
    assert url(region="EU").startswith("https://data-eu.mixpanel.com/api/2.0/export?")
    assert url(endpoint="https://api-eu.mixpanel.com/track").startswith("https://data-eu.mixpanel.com/api/2.0/export?")
    assert url(endpoint="https://mp.example.com").startswith("https://mp.example.com/api/2.0/export?")
    asked = dict(parse_qsl(urlsplit(url()).query))
    assert (asked["where"], asked["event"], asked["limit"]) == ('properties["plan"] == "pro"', '["Paid"]', "5")


# -- Umami ------------------------------------------------------------------------------------------------------------


def test_umamis_token_goes_into_every_request_and_is_masked() -> None:
    source = TestUmami.source
    token = source.token(given(200, {"token": "um4mi-t0ken", "user": {}}))
    sent = source.authorize(source.first(TestUmami.query, DAY), token)
    assert sent.headers["Authorization"] == "Bearer um4mi-t0ken"
    assert "um4mi-t0ken" not in str(sent.masked().headers)
    for body in ({"user": {}}, ["t"]):
        with pytest.raises(SourceError, match="the login gave no token"):
            source.token(given(200, body))


@pytest.mark.parametrize(("method", "name", "start"), [("metrics", "offset", "1000"), ("sessions", "page", "2")])
def test_umami_is_read_page_by_page(method: str, name: str, start: str) -> None:
    source = TestUmami.source
    query = Query(method=method, where={"country": "FR"}, native={"type": "url"} if method == "metrics" else {})
    request = source.first(query, DAY)
    assert params(request)["country"] == "FR"
    rows = [{"x": f"/{n}", "y": n} for n in range(1000)]
    full = given(200, rows if method == "metrics" else {"data": rows, "count": 1500})
    page = source.page(query, DAY, request, full)
    assert page.next is not None
    assert params(page.next) == {**params(request), name: start}
    assert source.page(query, DAY, page.next, given(200, rows[:500])).next is None
    # A limit of the caller's own is a wish for the first rows.
    own = Query(method=method, native={**query.native, "limit": 1000, "pageSize": 1000})
    assert source.page(own, DAY, source.first(own, DAY), full).next is None


def test_umamis_answers_of_every_shape_are_rows() -> None:
    source = TestUmami.source
    series = {"pageviews": [{"x": "10:00", "y": 5}, {"x": "11:00", "y": 2}], "sessions": [{"x": "10:00", "y": 1}]}
    assert rows_of(source, Query(method="pageviews"), series) == [
        {"x": "10:00", "pageviews": 5, "sessions": 1},
        {"x": "11:00", "pageviews": 2},
    ]
    assert rows_of(source, Query(method="pageviews"), {}) == []
    assert rows_of(source, Query(method="sessions"), {"data": [{"id": "a"}], "count": 1}) == [{"id": "a"}]
    now = Query(method="active", every=None)
    assert params(source.first(now, DAY)) == {}
    assert rows_of(source, now, {"visitors": 4}) == [{"visitors": 4}]
    with pytest.raises(SourceError, match="expected JSON rows"):
        rows_of(source, Query(method="stats"), 17)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"endpoint": "https://u.example.com/umami/api/send"}, "https://u.example.com/umami/api"),
        ({"endpoint": "https://api.umami.is/v1/", "api_key": "k"}, "https://api.umami.is/v1"),
        ({"username": "a", "password": "b"}, "https://cloud.umami.is/api"),
    ],
)
def test_umamis_statistics_are_beside_where_hits_go(options: dict[str, str], expected: str) -> None:
    url = Umami(id="6f1c", **options).first(Query(method="stats"), DAY).url
    assert url.startswith(f"{expected}/websites/6f1c/stats?")


def test_an_id_of_umami_cannot_lead_elsewhere() -> None:
    assert "/websites/..%2F..%2Fusers/stats?" in Umami(id="../../users", api_key="k").first(
        Query(method="stats"), DAY
    ).url  # fmt: skip


# -- Webtrends --------------------------------------------------------------------------------------------------------


def test_webtrends_keymetrics_of_an_hour_leave_out_the_other_hours() -> None:
    source = TestWebtrends.source
    tz = ZoneInfo("Europe/London")
    hour = period_at(datetime(2025, 1, 15, 9, tzinfo=tz), "hour", tz)
    query = Query(method="keymetrics", every="hour")
    source.check(query)
    request = source.first(query, hour)
    assert params(request)["start_period"] == "2025m01d15h09"
    assert params(request)["userealtime"] == "True"
    assert urlsplit(request.url).path == "/reports"
    data = [
        {"start_date": "2025-01-15 09", "measures": {"Visits": 5}},
        {"start_date": "2025-01-15 10", "measures": {"Visits": 7}},
        {"start_date": "soon", "measures": None},
    ]
    assert rows_of(source, query, {"data": data}, hour) == [{"Visits": 5}, {}]


def test_older_servers_of_webtrends_key_their_rows_by_date() -> None:
    old = Webtrends(id="", endpoint="https://ws.example.com/v2", user="u", password="p", api_version="v2")
    hourly = {
        "01/15/2025": {"SubRows": {"01/15/2025 09": {"measures": {"Visits": 5}}, "Total": {"measures": {"Visits": 9}}}},
        "01/16/2025": {"measures": {"Visits": 2}},
    }
    assert rows_of(old, Query(method="keymetrics"), {"data": hourly}) == [{"Visits": 5}, {"Visits": 9}, {"Visits": 2}]
    tz = UTC
    hour = period_at(datetime(2025, 1, 15, 9, tzinfo=tz), "hour", tz)
    assert rows_of(old, Query(method="keymetrics", every="hour"), {"data": hourly}, hour) == [{"Visits": 5}]
    report = {
        "01/15/2025-01/16/2025": {"SubRows": {"Firefox": {"measures": {"Visits": 3}}}},
        "01/16/2025-01/17/2025": {"SubRows": None},
    }
    assert urlsplit(old.first(Query(method="reports"), DAY).url).path == "/v2"
    assert rows_of(old, Query(method="reports"), {"data": report}) == [{"row": "Firefox", "Visits": 3}]


@pytest.mark.parametrize("body", [{"definition": {}}, [1]])
def test_an_answer_of_webtrends_without_data_is_an_error(body: Any) -> None:
    with pytest.raises(SourceError, match="it has no data"):
        rows_of(TestWebtrends.source, Query(method="reports"), body)
