"""What the recordings leave out of the sources: ranges, the other version of an API, answers without rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from collecting import NOW, collect, serving

from analytical.compat.ppcollector import pingdom, piwik, web, webtrends
from analytical.compat.ppcollector.errors import BadFile, CollectorError
from analytical.compat.ppcollector.push import CollectorAPI, DataSet, get_config

SAMPLES = Path(__file__).parent / "samples"
ANSWERS = json.loads(SAMPLES.joinpath("ppcollector-answers.json").read_text())
WEBTRENDS = {"user": "account\\me", "password": "hush-hush"}


def ok(_: Any) -> tuple[int, Any]:
    return 200, {"status": "ok"}


def config(entrypoint: str, query: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    return {
        "data-set": {"data-group": "g", "data-type": "t"},
        "entrypoint": f"performanceplatform.collector.{entrypoint}",
        "query": query,
        "options": options,
    }


REPORT = config(
    "webtrends.reports",
    {"report_id": "whoop"},
    {"row_type_name": "browser", "mappings": {"Visits": "visitors"}, "idMapping": ["_timestamp", "browser"]},
)


def test_webtrends_reports_are_asked_for_day_by_day(tmp_path: Path) -> None:
    with serving() as side:
        side.plan.update({"/data": ok, "/reports/": lambda _: (200, {"data": {}})})
        credentials = {**WEBTRENDS, "reports_url": f"{side.url}/reports/"}
        found = collect(tmp_path, REPORT, credentials, side.url, "-s2015-02-27", "-e2015-03-01")
        assert found.code == 0, found.err
        assert "Doing nothing - no data to push" in found.err
        asked = [(each.query["start_period"], each.query["end_period"]) for each in side.of("/reports/whoop")]
        assert asked == [(day, day) for day in ("2015m02d27", "2015m02d28", "2015m03d01")]
        assert not side.of("/data")


def test_one_date_alone_is_not_enough_for_webtrends_and_it_says_so(tmp_path: Path) -> None:
    with serving() as side:
        side.plan.update({"/data": ok, "/reports/": lambda _: (200, {"data": {}})})
        credentials = {**WEBTRENDS, "reports_url": f"{side.url}/reports/"}
        found = collect(tmp_path, REPORT, credentials, side.url, "-s2015-02-27")
        assert "asked for yesterday, because one of --start and --end is missing" in found.err
        assert side.of("/reports/whoop")[0].query["start_period"] == "current_day-1"


def test_key_metrics_of_version_3(tmp_path: Path) -> None:
    query = config("webtrends.keymetrics", {}, {"mappings": {"Visits": "visits"}, "idMapping": "_timestamp"})
    with serving() as side:
        side.plan.update({"/data": ok, "/key": lambda _: (200, ANSWERS["webtrends_keymetrics_v3.json"])})
        credentials = {**WEBTRENDS, "keymetrics_url": f"{side.url}/key", "api_version": "v3"}
        found = collect(tmp_path, query, credentials, side.url, "-s2015-03-26", "-e2015-04-22")
        assert found.code == 0, found.err
        [asked] = side.of("/key")
        assert (asked.query["start_period"], asked.query["end_period"]) == ("2015m03d26", "2015m04d22")
        [record] = side.of("/data")[0].json
        assert record["_timestamp"] == "2015-03-26T00:00:00+00:00"
        assert record["humanId"] == "2015-03-26 00:00:00+00:00"
        assert "timeSpan" not in record
        assert record["visits"] > 0


def test_keys_that_the_data_set_will_refuse_are_said_before(tmp_path: Path) -> None:
    query = config("webtrends.keymetrics", {}, {"idMapping": "_timestamp"})
    with serving() as side:
        side.plan.update({"/data": ok, "/key": lambda _: (200, ANSWERS["webtrends_keymetrics_last_3_hours.json"])})
        found = collect(tmp_path, query, {**WEBTRENDS, "keymetrics_url": f"{side.url}/key"}, side.url)
        assert found.code == 0, found.err
        assert found.err.count("a Backdrop server will refuse a record: the key") == 1
        assert "rename it" in found.err


@pytest.mark.parametrize(
    ("version", "data"),
    [("v3", {"10/14/2014": {}}), (None, [{"start_date": "2015-03"}]), ("v3", [{}]), (None, {"x": {}})],
)
def test_an_answer_of_the_other_version_is_told(version: str | None, data: Any, tmp_path: Path) -> None:
    with serving() as side:
        side.plan.update({"/data": ok, "/reports/": lambda _: (200, {"data": data})})
        credentials = {**WEBTRENDS, "reports_url": f"{side.url}/reports/", "api_version": version}
        found = collect(tmp_path, REPORT, credentials, side.url)
        assert found.code == 1
        assert "g/t: Webtrends" in found.err
        assert "hush-hush" not in found.err


def test_wrong_credentials_are_told_without_showing_them(tmp_path: Path) -> None:
    with serving() as side:
        side.plan["/reports/"] = lambda _: (401, "no")
        credentials = {**WEBTRENDS, "reports_url": f"{side.url}/reports/"}
        found = collect(tmp_path, REPORT, credentials, side.url)
        assert found.code == 1
        assert "report whoop for current_day-1" in found.err
        assert "credentials were refused (401)" in found.err
        assert "hush-hush" not in found.err


PINGDOM = config("pingdom", {"name": "govuk"}, {})
CHECKS = {"checks": [{"id": 7, "name": "other"}, {"id": 9, "name": "govuk"}]}


@pytest.mark.parametrize(
    ("flags", "first", "last"),
    [
        ([], "1445342400.0", "1445428800.0"),
        (["--end=2015-10-20"], "1104537600.0", "1445299200.0"),
        (["--start=2015-10-20T05:59", "--end=2015-10-20 10:00"], "1445317200.0", "1445335200.0"),
    ],
)
def test_pingdoms_range_is_whole_hours(flags: list[str], first: str, last: str, tmp_path: Path) -> None:
    with serving() as side:
        side.plan["/api/checks"] = lambda _: (200, CHECKS)
        side.plan["/api/summary.performance/9"] = lambda _: (200, {"summary": {"hours": []}})
        side.plan["/data"] = ok
        credentials = {"user": "u", "password": "pw-1", "app_key": "key-1", "url": f"{side.url}/api"}
        found = collect(tmp_path, PINGDOM, credentials, side.url, *flags, now=NOW)
        assert found.code == 0, found.err
        asked = side.of("/api/summary")[0].query
        assert (asked["from"], asked["to"]) == (first, last)
        assert "account-email" not in side.seen[0].headers
        # An empty list was always posted here, unlike by the other collectors.
        assert side.of("/data")[0].json == []


def test_a_check_that_is_not_there_is_named(tmp_path: Path) -> None:
    with serving() as side:
        side.plan["/api/checks"] = lambda _: (200, {"checks": [{"id": 7, "name": "other"}]})
        credentials = {"token": "tok-1", "url": f"{side.url}/api"}
        found = collect(tmp_path, PINGDOM, credentials, side.url)
        assert found.code == 1
        assert 'g/t: no check is called "govuk"; there are 1 others' in found.err


def test_a_login_page_is_told_with_report_and_period(tmp_path: Path) -> None:
    with serving() as side:
        side.plan.update({"/api/checks": lambda _: (200, CHECKS), "/": lambda _: (200, "<html>log in</html>")})
        credentials = {"token": "tok-1", "url": f"{side.url}/api"}
        found = collect(tmp_path, PINGDOM, credentials, side.url, "--start=2015-10-20", "--end=2015-10-21")
        assert found.code == 1
        assert 'g/t: check "govuk" from 2015-10-20T00:00 to 2015-10-21T00:00: expected JSON' in found.err
        credentials = {**WEBTRENDS, "reports_url": f"{side.url}/reports/"}
        found = collect(tmp_path, REPORT, credentials, side.url)
        assert found.code == 1
        assert "g/t: report whoop for current_day-1: expected JSON" in found.err


def test_a_refusal_of_pingdoms_old_api_says_what_to_make(tmp_path: Path) -> None:
    with serving() as side:
        side.plan["/api/checks"] = lambda _: (410, {"error": {"errormessage": "gone"}})
        credentials = {"user": "u", "password": "pw-1", "app_key": "key-1", "url": f"{side.url}/api"}
        found = collect(tmp_path, PINGDOM, credentials, side.url)
        assert found.code == 1
        assert '"token" in the credentials file' in found.err
        assert "pw-1" not in found.err


# --- in this process -------------------------------------------------------------------------------------------------


def data_set(side: Any) -> dict[str, Any]:
    return {"url": f"{side.url}/data/g/t", "token": "t0k", "data-group": "g", "data-type": "t", "dry_run": False}


@pytest.mark.parametrize(
    ("query", "options", "says"),
    [
        ({}, {"row_type_name": "browser"}, '"query" has no "report_id"'),
        ({"report_id": "whoop"}, {}, '"options" has no "row_type_name"'),
    ],
)
def test_a_report_of_webtrends_that_lacks_something_says_what(query: Any, options: Any, says: str) -> None:
    with serving() as side, pytest.raises(BadFile, match=says):
        webtrends.reports_main(WEBTRENDS, data_set(side), query, options, None, None)
    assert not side.seen


@pytest.mark.parametrize("answer", [[], {"definition": {}}])
def test_an_answer_of_webtrends_without_data_is_told(answer: Any) -> None:
    with serving() as side:
        side.plan["/key"] = lambda _: (200, answer)
        with pytest.raises(CollectorError, match='key metrics for current_hour-1: the answer has no "data"'):
            webtrends.keymetrics_main(
                {**WEBTRENDS, "keymetrics_url": f"{side.url}/key"}, data_set(side), {}, {}, None, None
            )


def test_rows_of_webtrends_version_3_are_of_the_first_group(caplog: pytest.LogCaptureFixture) -> None:
    row = {"measures": {"Visits": 5}}
    data = [
        {"start_date": "2015-03-01", "SubRows": [{"Firefox": row}, {"Lynx": row}]},
        {"start_date": "2015-03", "SubRows": None},
    ]
    [record] = webtrends.parse_reports([data], {"row_type_name": "browser"}, "t", "v3")
    assert (record["browser"], record["Visits"]) == ("Firefox", 5)
    assert "2015-03-01 has 2 groups of rows; only the first is read" in caplog.text


@pytest.mark.parametrize(
    ("version", "data"),
    [
        ("v3", [{"start_date": "2015-03", "SubRows": {"a": {"measures": {"Visits": 5}}, "b": None}}]),
        (None, {"10/14/2014": {"SubRows": {"10/14/2014 09": {"measures": {"Visits": 5}}, "10/14/2014 10": None}}}),
    ],
)
def test_hours_without_key_metrics_are_left_out(version: str | None, data: Any) -> None:
    assert [record["Visits"] for record in webtrends.parse_keymetrics([data], {}, "t", version)] == [5]


@pytest.mark.parametrize("row", [{"measures": [5]}, {"Visits": 5}, 5])
def test_a_row_of_webtrends_without_measures_is_told(row: Any) -> None:
    data = {"10/14/2014-10/15/2014": {"SubRows": {"Firefox": row}}}
    with pytest.raises(CollectorError, match='a row has no "measures"'):
        webtrends.parse_reports([data], {"row_type_name": "browser"}, "t")


def test_a_check_of_pingdom_is_named_in_the_query() -> None:
    with serving() as side, pytest.raises(BadFile, match='"query" has no "name"'):
        pingdom.main({"token": "tok-1"}, data_set(side), {}, {}, None, None)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({}, "has no hours with a starttime"),
        ({"summary": {"hours": [5]}}, "has no hours with a starttime"),
        ({"summary": {"hours": [{"starttime": "noon"}]}}, "has no hours with a starttime"),
        ({"summary": {"hours": [{"starttime": 1e30}]}}, "has no hours with a starttime"),
        ({"summary": {"hours": [{"starttime": 1445342400, "uptime": 5}]}}, "the hour has no 'avgresponse'; it has"),
    ],
)
def test_hours_of_pingdom_that_lack_something_are_told(answer: Any, says: str) -> None:
    with serving() as side:
        side.plan["/api/checks"] = lambda _: (200, CHECKS)
        side.plan["/api/summary.performance/9"] = lambda _: (200, answer)
        with pytest.raises(CollectorError, match=says):
            pingdom.main(
                {"token": "tok-1", "url": f"{side.url}/api"}, data_set(side), {"name": "govuk"}, {}, None, None
            )
        assert not side.of("/data")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ([], "the list of checks has no checks in it"),
        ({"checks": {}}, "the list of checks has no checks in it"),
        ({"checks": [5, {"name": "govuk"}]}, 'no check is called "govuk"; there are 2 others'),
    ],
)
def test_a_list_of_checks_that_is_none_is_told(answer: Any, says: str) -> None:
    with serving() as side:
        side.plan["/api/checks"] = lambda _: (200, answer)
        with pytest.raises(CollectorError, match=says):
            pingdom.Pingdom({"token": "tok-1", "url": f"{side.url}/api"}).check_id("govuk")


def test_a_realtime_answer_of_matomo_without_a_number_is_told() -> None:
    query = {"site_id": "9", "api_method": "Live.getCounters"}
    for answer in ([], [{"visits": 5}], [{"visitors": "many"}], [{"visitors": None}]):
        with serving() as side:
            side.plan["/index.php"] = lambda _, answer=answer: (200, answer)
            credentials = {"url": f"{side.url}/index.php", "token_auth": "hush-hush"}
            with pytest.raises(CollectorError, match=r'Live\.getCounters of site 9 gave no number of "visitors"'):
                piwik.realtime_main(credentials, data_set(side), query, {}, None, None)
            assert not side.of("/data")


def test_an_answer_of_matomo_may_be_empty_and_must_be_rows() -> None:
    query, options = {"site_id": 9, "api_method": "A.b"}, {"mappings": {"nb_visits": "visits"}}
    assert piwik.parse([], query, options, "t") == []
    assert piwik.parse({"2015-02-13": []}, query, options, "t") == []
    with pytest.raises(CollectorError, match=r"A\.b of site 9 for 2015-02-13: expected rows, got 'cut'"):
        piwik.parse({"2015-02-13": "cut"}, query, options, "t")


def test_old_collectors_post_text_forms_and_json() -> None:
    with serving() as side:
        side.plan["/x"] = lambda seen: (200, {"got": seen.text})
        assert web.post(f"{side.url}/x", "a=1").json() == {"got": "a=1"}
        assert web.post(f"{side.url}/x", {"a": 2}).json() == {"got": "a=2"}
        reply = web.post(f"{side.url}/x", json={"a": 3}, headers={"X-Mine": "yes"})
        reply.raise_for_status()
        assert (reply.status_code, reply.ok, json.loads(reply.text)) == (200, True, {"got": '{"a":3}'})
        assert side.seen[-1].headers["x-mine"] == "yes"


# --- data sets -------------------------------------------------------------------------------------------------------


def test_a_data_set_is_read_by_its_name_without_a_token() -> None:
    with serving() as side:
        side.plan["/data/some"] = lambda seen: (200, {"data": [1], "asked": seen.query})
        found = DataSet.from_name(f"{side.url}/data", "some").get({"limit": 1})
        assert found == {"data": [1], "asked": {"limit": "1"}}
        assert "authorization" not in side.seen[0].headers
        group = DataSet.from_group_and_type(f"{side.url}/data", "some", "type", token="tok-1")
        assert (group.base_url, group.token) == (f"{side.url}/data/some/type", "tok-1")
        group.get()
        assert side.seen[1].headers["authorization"] == "Bearer tok-1"
        group.set_token("tok-2")
        group.get()
        assert side.seen[2].headers["authorization"] == "Bearer tok-2"
        assert repr(group) == f"<DataSet {side.url}/data/some/type>"


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: DataSet(None, "t"), ValueError),  # type: ignore[arg-type]  # what a broken file may hold
        (lambda: DataSet("http://h", 5), ValueError),  # type: ignore[arg-type]
        (lambda: DataSet("http://h", None).set_token(None), TypeError),  # type: ignore[arg-type]
    ],
)
def test_an_address_or_a_token_that_is_no_text_is_refused(make: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="must be a text"):
        make()


def test_a_token_may_be_a_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "from-env")
    data_set = DataSet("http://h", "env:TOKEN")
    assert data_set.token == "from-env"
    monkeypatch.setenv("TOKEN", "later")
    data_set.set_token("env:TOKEN")
    assert data_set.token == "later"


def test_records_in_chunks_and_a_data_set_that_answers_204() -> None:
    with serving() as side:
        side.plan["/data"] = lambda _: (204, b"")
        data_set = DataSet(f"{side.url}/data/g/t", "tok-1")
        assert data_set.post([{"_id": str(number)} for number in range(5)], chunk_size=2) is None
        assert [len(each.json) for each in side.seen] == [2, 2, 1]
        assert data_set.post({"_id": "one"}) is None
        assert side.seen[-1].json == {"_id": "one"}
        data_set.post([{"_id": "a"}, {"_id": "b"}], chunk_size=2)
        assert len(side.seen) == 5


def test_configurations_are_listed_and_read_by_kind() -> None:
    with serving() as side:
        side.plan["/"] = lambda seen: (200, {"path": seen.path})
        api = CollectorAPI(side.url, "omni")
        found = (
            api.get_collector("one"), api.list_collectors(), api.get_collector_type("ga"), api.list_collector_types(),
        )  # fmt: skip
        assert [each["path"] for each in found] == [
            "/collector/one",
            "/collector",
            "/collector-type/ga",
            "/collector-type",
        ]


@pytest.mark.parametrize("found", [[], {}, {"data_set": {}}, {"entry_point": "x"}, {"data_set": 5, "entry_point": "x"}])
def test_a_configuration_that_is_none_is_told(found: Any) -> None:
    with serving() as side:
        side.plan["/collector/slug"] = lambda _: (200, found)
        with pytest.raises(BadFile, match='collector "slug" has no "data_set" or no "entry_point"'):
            get_config("slug", {"stagecraft_url": side.url, "omniscient_api_token": "omni"})
