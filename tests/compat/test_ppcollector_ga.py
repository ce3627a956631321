"""``ga*`` query files on GA4: what is asked, what the records are, and what is said where there is no equivalent."""

from __future__ import annotations

import json
import re
import socket
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from collecting import NOW, Answer, Run, Seen, Side, as_set, collect, serving

from analytical.compat.ppcollector import ga
from analytical.compat.ppcollector.errors import BadFile, CollectorError
from analytical.compat.ppcollector.ga import Client
from analytical.compat.ppcollector.ga4 import Names, prefixed, property_of, report_body, value_of
from analytical.compat.ppcollector.plugins import department_of

SAMPLES = Path(__file__).parent / "samples"
CASES = {
    case["case"]: case for case in map(json.loads, SAMPLES.joinpath("ppcollector-cases.jsonl").read_text().splitlines())
}
OLD = {"CLIENT_SECRETS": "client_secrets.json", "STORAGE_PATH": "storage.db"}


@pytest.fixture(scope="module")
def private_key() -> str:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


class Google:
    """Plays the token server and the Data API: hands rows out by position, page by page."""

    def __init__(self, side: Side, rows: Any, **more: Any) -> None:
        self.rows = rows
        self.more = more
        side.plan["/token"] = lambda _: (200, {"access_token": "ya29.fresh", "expires_in": 3599})
        side.plan["/v1beta/"] = self.answer
        side.plan["/data"] = lambda _: (200, {"status": "ok"})

    def answer(self, seen: Seen) -> Answer:
        assert seen.headers["authorization"] == "Bearer ya29.fresh"
        asked = seen.json
        rows = self.rows(asked) if callable(self.rows) else self.rows
        at, size = int(asked.get("offset", 0)), int(asked.get("limit", 10_000))
        dimensions, metrics = asked.get("dimensions", []), asked["metrics"]
        found = [
            {
                "dimensionValues": [{"value": value} for value in row[: len(dimensions)]],
                "metricValues": [{"value": value} for value in row[len(dimensions) :]],
            }
            for row in rows[at : at + size]
        ]
        return 200, {
            "dimensionHeaders": dimensions,
            "metricHeaders": metrics,
            "rowCount": len(rows),
            **({"rows": found} if found else {}),
            **self.more,
        }


def run(
    side: Side, directory: Path, config: Any, private_key: str, *more: str, extra: Any = None, **options: Any
) -> Run:
    key = {
        "type": "service_account",
        "client_email": "reader@example.iam.gserviceaccount.com",
        "private_key": private_key,
        "token_uri": f"{side.url}/token",
    }
    directory.joinpath("key.json").write_text(json.dumps(key))
    credentials = {
        "properties": {"ga:1": "properties/123"},
        "service_account": "key.json",
        "url": side.url,
        **(extra or {}),
    }
    return collect(directory, config, credentials, side.url, *more, now=NOW, **options)


def dates(case: dict[str, Any]) -> list[str]:
    return [f"--{name}={case[name]}" for name in ("start", "end") if case[name]]


def expected(case: dict[str, Any]) -> list[str]:
    return as_set([record for call in case["sink_calls"] for record in call["body"]])


@pytest.mark.parametrize("name", ["ga/no-dims", "ga/date+hour dims", "ga/monthly"])
def test_recorded_cases(name: str, tmp_path: Path, private_key: str) -> None:
    case = json.loads(json.dumps(CASES[name]))
    # Segments have no equivalent; everything else of the recording holds.
    case["config"]["query"].pop("segment", None)
    rows = {call["params"]["start_date"]: call["response_rows"] for call in case["source_calls"]}
    with serving() as side:
        Google(side, lambda asked: rows[asked["dateRanges"][0]["startDate"]])
        extra = {"dimensions": {"a": "customEvent:a", "ga:b": "customEvent:b"}}
        found = run(side, tmp_path, case["config"], private_key, *dates(case), extra=extra)
        assert found.code == 0, found.err
        assert [each.path for each in side.of("/v1beta")] == ["/v1beta/properties/123:runReport"] * len(rows)
        for call, seen in zip(case["source_calls"], side.of("/v1beta"), strict=True):
            ends = {"startDate": call["params"]["start_date"], "endDate": call["params"]["end_date"]}
            assert seen.json["dateRanges"] == [ends]
            if "max_results" in call["params"]:
                assert seen.json["limit"] == str(call["params"]["max_results"])
        assert as_set([record for each in side.of("/data") for record in each.json]) == expected(case)
        assert len(side.of("/token")) == 1
        assert "ya29" not in found.err
        assert "PRIVATE KEY" not in found.err


def test_recorded_realtime_case(tmp_path: Path, private_key: str) -> None:
    case = CASES["ga.realtime"]
    with serving() as side:
        Google(side, [["42"]])
        extra = {"dimensions": {"pagePath": "unifiedScreenName"}}
        found = run(side, tmp_path, case["config"], private_key, extra=extra)
        assert found.code == 0, found.err
        assert side.of("/v1beta")[0].path == "/v1beta/properties/123:runRealtimeReport"
        assert side.of("/v1beta")[0].json == {
            "metrics": [{"name": "activeUsers"}],
            "dimensionFilter": {
                "filter": {
                    "fieldName": "unifiedScreenName",
                    "stringFilter": {"matchType": "PARTIAL_REGEXP", "value": "^/x"},
                }
            },
        }
        assert side.of("/data")[0].json == case["sink_calls"][0]["body"]


def test_realtime_without_rows_is_0(tmp_path: Path, private_key: str) -> None:
    config = {**CASES["ga.realtime"]["config"], "query": {"ids": "ga:1", "metrics": "rt:activeUsers"}}
    with serving() as side:
        Google(side, [])
        assert run(side, tmp_path, config, private_key).code == 0
        record = side.of("/data")[0].json
        assert (record["unique_visitors"], record["for_url"]) == (0, "")
        found = run(side, tmp_path, config, private_key, "--start=2015-01-01")
        assert (found.code, found.out) == (1, "Cannot backfill realtime collectors\n")


# --- what stops it ----------------------------------------------------------------------------------------------------

ENTRYPOINTS = {
    "ga": {"id": "ga:86360471", "metrics": ["visits"]},
    "ga.contrib.content.table": {"id": "86360471", "metrics": ["visits"], "filters": ["keyword!=(not set)"]},
    "ga.realtime": {"ids": "ga:86360471", "metrics": "ga:activeVisitors"},
    "ga.trending": {"id": "ga:86360471", "metric": "pageviews", "dimensions": ["pageTitle", "pagePath"]},
}


@pytest.mark.parametrize("name", ENTRYPOINTS)
@pytest.mark.parametrize("credentials", [OLD, {"properties": {}}, {"properties": {"ga:2": "properties/5"}}])
def test_without_a_map_nothing_is_asked_and_the_sentence_says_what_to_write(
    name: str, credentials: dict[str, Any], tmp_path: Path
) -> None:
    config = {
        "data-set": {"data-group": "g", "data-type": "t"},
        "entrypoint": f"performanceplatform.collector.{name}",
        "query": ENTRYPOINTS[name],
        "options": {"filtersets": [["customVarValue9=~^<D10>"]]},
    }
    with serving() as side:
        found = collect(tmp_path, config, {**credentials, "url": side.url}, side.url)
        assert found.code == 1
        assert '"properties"' in found.err
        assert "ga:86360471" in found.err
        assert "g/t" in found.err
        assert not side.seen
        if credentials is OLD:
            assert "CLIENT_SECRETS, STORAGE_PATH belong to Universal Analytics" in found.err
            assert "service account" in found.err


def test_without_a_service_account_the_sentence_says_so(tmp_path: Path) -> None:
    with serving() as side:
        found = collect(tmp_path, CASES["ga/no-dims"]["config"], {"properties": {"1": 123}}, side.url)
        assert found.code == 1
        assert '"service_account"' in found.err


def test_everything_that_has_no_equivalent_is_named_at_once(tmp_path: Path, private_key: str) -> None:
    config = {
        **CASES["ga/no-dims"]["config"],
        "query": {
            "id": "ga:1",
            "metrics": ["visits", "uniquePageviews", "goal4Completions"],
            "dimensions": ["browser", "browserVersion"],
            "filters": ["socialNetwork!=(not set)"],
            "segment": "sessions::condition::ga:pagePath==/pay-online",
        },
    }
    with serving() as side:
        found = run(side, tmp_path, config, private_key)
        assert found.code == 1
        for name in (
            "metric uniquePageviews",
            '"events": {"goal4": "<event>"}',
            '"dimensions": {"browserVersion": "<name in GA4>"}',
            "dimension socialNetwork",
            "segment 'sessions::condition::ga:pagePath==/pay-online'",
        ):
            assert name in found.err
        assert "metric visits" not in found.err
        assert not side.seen


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((200, "<html>log in</html>"), "GA4 properties/123 for 2015-10-12 to 2015-10-18: expected JSON"),
        ((200, [1]), "GA4 properties/123 for 2015-10-12 to 2015-10-18: expected a report, got list"),
        ((200, {"rows": [{"metricValues": [{"value": "1"}]}]}), "2015-10-18: a row has fewer values"),
        (
            (200, {"rows": [{"metricValues": [{"value": "many"}, {"value": "1"}]}], "rowCount": 1}),
            "metric visits of the period from 2015-10-12: 'many' stands where a number was expected",
        ),
    ],
)
def test_an_answer_that_is_no_report_is_told_with_its_period(
    answer: Answer, says: str, tmp_path: Path, private_key: str
) -> None:
    with serving() as side:
        Google(side, [])
        side.plan["/v1beta/"] = lambda _: answer
        found = run(side, tmp_path, CASES["ga/no-dims"]["config"], private_key)
        assert found.code == 1
        assert says in found.err
        assert "g/t" in found.err
        assert not side.of("/data")


@pytest.mark.parametrize(("key", "says"), [(None, "key.json cannot be read"), ("{", "no JSON"), ("{}", "Keys")])
def test_a_key_that_cannot_be_used_is_told(key: str | None, says: str, tmp_path: Path) -> None:
    if key is not None:
        tmp_path.joinpath("key.json").write_text(key)
    with serving() as side:
        credentials = {"properties": {"ga:1": "properties/123"}, "service_account": "key.json", "url": side.url}
        found = collect(tmp_path, CASES["ga/no-dims"]["config"], credentials, side.url)
        assert found.code == 1
        assert says in found.err
        assert "g/t: service_account" in found.err
        assert not side.seen


def test_a_quota_used_up_is_said_with_its_reset_and_not_retried(tmp_path: Path, private_key: str) -> None:
    with serving() as side:
        Google(side, [])
        error = {"code": 429, "message": "Exhausted property tokens per day.", "status": "RESOURCE_EXHAUSTED"}
        side.plan["/v1beta/"] = lambda _: (429, {"error": error})
        found = run(side, tmp_path, CASES["ga/no-dims"]["config"], private_key)
        assert found.code == 1
        assert "the quota is full again at 2015-10-22T07:00:00Z" in found.err
        assert "properties/123 for 2015-10-12 to 2015-10-18" in found.err
        assert len(side.of("/v1beta")) == 1


def test_what_google_says_of_the_numbers_is_logged(tmp_path: Path, private_key: str) -> None:
    with serving() as side:
        Google(side, [["1", "2"]], metadata={"subjectToThresholding": True, "dataLossFromOtherRow": True})
        found = run(side, tmp_path, CASES["ga/no-dims"]["config"], private_key)
        assert found.code == 0
        assert "WARNING:analytical.compat.ppcollector:GA4 properties/123 for 2015-10-12 to 2015-10-18: thr" in found.err
        assert "(other)" in found.err


# --- periods, pages, files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frequency", "flags", "ranges"),
    [
        (None, [], ["2015-10-12..2015-10-18"]),
        ("daily", [], ["2015-10-20..2015-10-20"]),
        ("weekly", ["--start=2013-04-03", "--end=2013-04-10"], ["2013-04-01..2013-04-07", "2013-04-08..2013-04-14"]),
        ("monthly", [], ["2015-09-01..2015-09-30"]),
        ("daily", ["--start=2015-10-19"], ["2015-10-19..2015-10-19", "2015-10-20..2015-10-20"]),
        ("weekly", ["--end=2015-02-18"], ["2015-02-16..2015-02-22"]),
    ],
)
def test_periods(frequency: str | None, flags: list[str], ranges: list[str], tmp_path: Path, private_key: str) -> None:
    config = {**CASES["ga/no-dims"]["config"], "query": {"id": "ga:1", "metrics": ["visits"]}}
    if frequency:
        config["query"]["frequency"] = frequency
    with serving() as side:
        Google(side, [["5"]])
        found = run(side, tmp_path, config, private_key, *flags)
        assert found.code == 0, found.err
        asked = [each.json["dateRanges"][0] for each in side.of("/v1beta")]
        assert [f"{each['startDate']}..{each['endDate']}" for each in asked] == ranges


def test_a_start_after_the_end_is_exit_1(tmp_path: Path, private_key: str) -> None:
    with serving() as side:
        found = run(side, tmp_path, CASES["ga/no-dims"]["config"], private_key, "-s2015-02-02", "-e2015-01-01")
        assert found.code == 1
        assert "2015-02-02 lies after the end 2015-01-01" in found.err


def test_every_page_is_read(tmp_path: Path, private_key: str) -> None:
    config = {
        **CASES["ga/no-dims"]["config"],
        "query": {"id": "1", "metrics": "visits", "dimensions": "pageTitle", "maxResults": 0},
        "options": {"chunk-size": 200_000},
    }
    rows = [[f"Page {number}", "1"] for number in range(100_001)]
    with serving() as side:
        Google(side, rows)
        found = run(side, tmp_path, config, private_key)
        assert found.code == 0, found.err
        assert [each.json["offset"] for each in side.of("/v1beta")] == ["0", "100000"]
        assert len(side.of("/data")[0].json) == 100_001


def test_a_table_asks_for_every_set_of_filters_and_pushes_once(tmp_path: Path, private_key: str) -> None:
    config = {
        "data-set": {"data-group": "gov-uk-content", "data-type": "search_terms"},
        "entrypoint": "performanceplatform.collector.ga.contrib.content.table",
        "query": {
            "id": "ga:1",
            "metrics": ["sessions"],
            "dimensions": ["searchKeyword"],
            "filters": ["searchKeyword!=(not set)"],
            "maxResults": 10,
            "sort": ["-sessions"],
        },
        "options": {
            "plugins": [
                "Comment('departments are in the filters')",
                "ComputeRank('rank')",
                "ComputeIdFrom('_timestamp', 'timeSpan', 'dataType', 'department', 'rank')",
            ],
            "filtersets": [["customVarValue9=~^<D10>"], ["customVarValue9=~^<Unheard>"]],
        },
    }
    with serving() as side:
        Google(side, [["passport", "30"], ["visa", "20"]])
        extra = {"dimensions": {"customVarValue9": "customUser:org"}}
        found = run(side, tmp_path, config, private_key, extra=extra)
        assert found.code == 0, found.err
        filters = side.of("/v1beta")[0].json["dimensionFilter"]["andGroup"]["expressions"]
        assert [each.get("notExpression", each)["filter"]["fieldName"] for each in filters] == [
            "searchTerm",
            "customUser:org",
        ]
        assert side.of("/v1beta")[0].json["orderBys"] == [{"metric": {"metricName": "sessions"}, "desc": True}]
        [push] = side.of("/data")
        assert {record["department"] for record in push.json} == {department_of("<D10>"), "<Unheard>"}
        assert sorted(record["rank"] for record in push.json) == [1, 1, 2, 2]
        assert push.json[0]["humanId"] == f"20151012000000_week_search_terms_{push.json[0]['department']}_1"


def test_a_table_whose_filters_name_no_department_is_exit_1(tmp_path: Path, private_key: str) -> None:
    config = {
        **CASES["ga/no-dims"]["config"],
        "entrypoint": "performanceplatform.collector.ga.contrib.content.table",
        "options": {"filtersets": [["pagePath==/x"]]},
    }
    with serving() as side:
        found = run(side, tmp_path, config, private_key)
        assert found.code == 1
        assert "name no department" in found.err


def test_trending_compares_two_weeks_and_empties_first(tmp_path: Path, private_key: str) -> None:
    config = {
        "data-set": {"data-group": "govuk", "data-type": "trending"},
        "entrypoint": "performanceplatform.collector.ga.trending",
        "query": {"id": "ga:1", "metric": "pageviews", "dimensions": ["pageTitle", "pagePath"]},
        "options": {},
    }
    rows = [
        ["Tax", "/tax/long", "08", "10", "2015", "600"],
        ["Tax", "/tax", "15", "10", "2015", "900"],
        ["Tax", "/tax", "(other)", "10", "2015", "7000"],
        ["Quiet", "/quiet", "08", "10", "2015", "3"],
    ]
    with serving() as side:
        Google(side, rows)
        found = run(side, tmp_path, config, private_key, "--start=2001-01-01")
        assert found.code == 0, found.err
        assert side.of("/v1beta")[0].json["dateRanges"] == [{"startDate": "2015-10-07", "endDate": "2015-10-20"}]
        put, post = side.of("/data")
        assert (put.method, put.json) == ("PUT", [])
        assert as_set(post.json) == as_set(
            [
                {
                    "_id": "L3RheA==",
                    "_timestamp": "2015-10-07T00:00:00+00:00",
                    "pagePath": "/tax",
                    "pageTitle": "Tax",
                    "percent_change": 50.0,
                    "week1": 600,
                    "week2": 900,
                },
                {
                    "_id": "L3F1aWV0",
                    "_timestamp": "2015-10-07T00:00:00+00:00",
                    "pagePath": "/quiet",
                    "pageTitle": "Quiet",
                    "percent_change": 0.0,
                    "week1": 500,
                    "week2": 500,
                },
            ]
        )


def test_each_call_is_counted_over_udp(tmp_path: Path, private_key: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener, serving() as side:
        try:
            listener.bind(("127.0.0.1", 8125))
        except OSError:
            pytest.skip("port 8125 is taken by something else")
        listener.settimeout(5)
        Google(side, [["1", "2"]])
        assert run(side, tmp_path, CASES["ga/no-dims"]["config"], private_key).code == 0
        assert heard(listener, b"pp.apps.collector.ga.core.ga1.count:1|c")
        prefixed = {"GOVUK_STATSD_PREFIX": "mine"}
        assert run(side, tmp_path, CASES["ga/no-dims"]["config"], private_key, env=prefixed).code == 0
        assert heard(listener, b"mine.ga.core.ga1.count:1|c")


def heard(listener: socket.socket, text: bytes) -> bool:
    # Other programs of this machine may count at the same port.
    return any(listener.recv(200) == text for _ in range(1000))


# --- words ------------------------------------------------------------------------------------------------------------


def names(**more: dict[str, str]) -> Names:
    return Names.of({"dimensions": {}, "metrics": {}, "events": {}, **more})


def test_filters_or_binds_tighter_than_and() -> None:
    body = report_body(names(), metrics=["sessions"], filters="ga:pagePath==/a,ga:pagePath=~^/b;ga:medium!@ads")
    path, medium = body["dimensionFilter"]["andGroup"]["expressions"]
    assert [each["filter"]["stringFilter"] for each in path["orGroup"]["expressions"]] == [
        {"matchType": "EXACT", "value": "/a"},
        {"matchType": "PARTIAL_REGEXP", "value": "^/b"},
    ]
    assert medium["notExpression"]["filter"]["stringFilter"] == {"matchType": "CONTAINS", "value": "ads"}


def test_filters_of_numbers_stand_apart() -> None:
    body = report_body(names(), metrics=["sessions"], filters="sessions>99;ga:users<=2.5;browser==Lynx")
    first, second = body["metricFilter"]["andGroup"]["expressions"]
    assert first["filter"]["numericFilter"] == {"operation": "GREATER_THAN", "value": {"int64Value": "99"}}
    assert second["filter"]["fieldName"] == "totalUsers"
    assert second["filter"]["numericFilter"] == {"operation": "LESS_THAN_OR_EQUAL", "value": {"doubleValue": 2.5}}
    assert body["dimensionFilter"]["filter"]["fieldName"] == "browser"


def test_an_escaped_comma_is_text() -> None:
    body = report_body(names(), metrics=["sessions"], filters=r"pageTitle==One\, two\; three")
    assert body["dimensionFilter"]["filter"]["stringFilter"]["value"] == "One, two; three"


@pytest.mark.parametrize("text", ["nonsense", "sessions>many", "sessions=~1", "browser>3", "browser==a,sessions>1"])
def test_a_filter_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(CollectorError):
        report_body(names(), metrics=["sessions"], filters=text)


def test_goals_are_key_events_where_the_user_says_so() -> None:
    body = report_body(names(events={"goal4": "purchase"}), metrics=["goal4Completions", "ga:goal4ConversionRate"])
    assert [each["name"] for each in body["metrics"]] == ["keyEvents:purchase", "sessionKeyEventRate:purchase"]


def test_values_are_spelled_as_before() -> None:
    assert value_of("sessionKeyEventRate:purchase", "0.0291") == "2.91"
    assert value_of("newVsReturning", "returning") == "Returning Visitor"
    assert value_of("newVsReturning", "") == ""


def test_without_a_wish_the_order_is_that_of_the_dimensions() -> None:
    body = report_body(names(), metrics=["sessions"], dimensions=["browser", "deviceCategory"])
    assert [each["dimension"]["dimensionName"] for each in body["orderBys"]] == ["browser", "deviceCategory"]


def test_prefixes_are_put_as_the_original_put_them() -> None:
    assert prefixed(["a==1", "ga:b==2;ga:c==3"]) == "ga:a==1,ga:b==2;ga:c==3"
    assert re.match(r"^ga:1$", prefixed(["1"]))


def test_a_wish_for_an_order_by_a_dimension_is_one() -> None:
    body = report_body(names(), metrics=["sessions"], dimensions=["browser"], sort=["-ga:browser", "sessions"])
    assert body["orderBys"] == [
        {"dimension": {"dimensionName": "browser"}, "desc": True},
        {"metric": {"metricName": "sessions"}},
    ]


def test_a_rate_that_is_none_stays_as_it_is() -> None:
    assert value_of("bounceRate", "(other)") == "(other)"


@pytest.mark.parametrize("given", [["browser"], {"browser": 5}])
def test_names_that_are_no_map_are_refused(given: Any) -> None:
    with pytest.raises(BadFile, match='"dimensions" of the credentials file must map names to names of GA4'):
        Names.of({"dimensions": given})


def test_a_property_that_is_none_is_refused() -> None:
    with pytest.raises(BadFile, match="gives 'G-ABC' for view ga:1; expected such as \"properties/123\""):
        property_of({"properties": {"ga:1": "G-ABC"}}, "ga:1")


# --- the client, in this process -------------------------------------------------------------------------------------


DATA_SET = {"url": "http://127.0.0.1:9/data/g/t", "token": "t0k", "data-group": "g", "data-type": "t", "dry_run": False}


def client(side: Side) -> Client:
    return Client({"properties": {"ga:1": "properties/123"}, "access_token": "ya29.fresh", "url": side.url})


def test_a_token_that_something_else_keeps_fresh_needs_no_key() -> None:
    with serving() as side:
        Google(side, [["20150220", "17", "5"], ["20150221", "18", "7"]])
        with client(side) as google:
            days = list(google.get("1", date(2015, 2, 20), date(2015, 2, 21), "visits", ["date", "hour"]))
            assert [each["dimensions"]["datetime"] for each in days] == [
                datetime(2015, 2, 20, 17), datetime(2015, 2, 21, 18),
            ]  # fmt: skip
        Google(side, [["20150220", "5"]])
        with client(side) as google:
            [day] = google.get("1", date(2015, 2, 20), date(2015, 2, 20), "visits", "date")
            assert day["dimensions"]["datetime"] == datetime(2015, 2, 20)
        assert not side.of("/token")
        Google(side, [["(other)", "5"]])
        with (
            client(side) as google,
            pytest.raises(CollectorError, match=r"'\(other\)' stands where a date was"),
        ):
            list(google.get("1", date(2015, 2, 20), date(2015, 2, 20), "visits", "date"))


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"metrics": "rt:activeUsers"}, '"query" has no "ids"'),
        ({"ids": "ga:1"}, '"query" has no "metrics"'),
        ({"ids": "ga:1", "metrics": "rt:activeUsers", "dimensions": "city"}, "holds one number; leave them out"),
    ],
)
def test_a_realtime_query_that_lacks_something_says_what(query: dict[str, Any], says: str) -> None:
    with serving() as side, pytest.raises(BadFile, match=says):
        client(side).realtime(query)
    assert not side.seen


@pytest.mark.parametrize("row", [["many"], [""]])
def test_a_realtime_answer_without_a_number_is_told(row: list[str]) -> None:
    with serving() as side:
        Google(side, [row])
        with (
            client(side) as google,
            pytest.raises(CollectorError, match="properties/123 now: the first row has no"),
        ):
            google.realtime({"ids": "ga:1", "metrics": "rt:activeUsers"})


@pytest.mark.parametrize(
    ("entrypoint", "query", "options", "says"),
    [
        (ga.table_main, {"id": "1", "metrics": "visits"}, {}, '"options" has no "filtersets"'),
        (ga.trending_main, {"id": "1"}, {}, '"query" has no "metric"; ga.trending needs'),
        (ga.trending_main, {"metric": "visits"}, {}, '"query" has no "id"; ga.trending needs'),
        (ga.main, {"metrics": "visits"}, {}, '"query" has no "id", which ga collectors need'),
        (ga.main, {"id": "1", "metrics": []}, {}, '"query" has no "metrics", which ga collectors need'),
    ],
)
def test_a_query_file_that_lacks_something_says_what(entrypoint: Any, query: Any, options: Any, says: str) -> None:
    with serving() as side, pytest.raises(BadFile, match=says):
        entrypoint({"access_token": "t"}, DATA_SET, query, options, None, None)
    assert not side.seen


def test_trending_needs_the_title_and_the_path_of_pages() -> None:
    with serving() as side:
        Google(side, [["Tax", "08", "10", "2015", "600"]])
        credentials = {"properties": {"ga:1": "properties/123"}, "access_token": "ya29.fresh", "url": side.url}
        query = {"id": "ga:1", "metric": "pageviews", "dimensions": ["pageTitle"]}
        with pytest.raises(BadFile, match='"dimensions" of "query" lack "pagePath"'):
            ga.trending_main(credentials, DATA_SET, query, {}, None, None)


def test_the_shorter_of_two_paths_with_one_title_is_kept() -> None:
    def row(path: str, day: str) -> dict[str, Any]:
        texts = {"pageTitle": "Tax", "pagePath": path, "day": day, "month": "10", "year": "2015"}
        return {"dimensions": texts, "metrics": {"pageviews": "600"}}

    rows = [row("/tax/long", "08"), row("/tax", "08"), row("/other", "15")]
    [trend] = ga._trends(rows, "pageviews", date(2015, 10, 7), date(2015, 10, 14))
    assert (trend["pagePath"], trend["week1"], trend["week2"]) == ("/tax", 1200, 600)


@pytest.mark.parametrize("text", ["1_000", "many", "", None])
def test_a_number_with_anything_else_is_none(text: Any) -> None:
    with pytest.raises(CollectorError, match="stands where a number was expected"):
        ga.try_number(text)
