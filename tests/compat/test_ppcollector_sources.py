"""What the recordings leave out of the sources: ranges, the other version of an API, answers without rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from collecting import NOW, collect, serving

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
