"""A report: its grid, its records, what it reads again, and what it says when the world is unkind."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from servers import Asked, Matomo, Server

import analytical
from analytical.collect import Report, Session, report_for
from analytical.collect.records import HELD, Batch, Shape, record_id, unique
from analytical.collect.report import Warnings
from analytical.errors import (
    ConfigurationError,
    DuplicateRecord,
    QuotaExhausted,
    ReportError,
    SinkError,
    SourceError,
    UnknownName,
    Unsupported,
)

NOW = datetime(2025, 1, 10, 12, tzinfo=UTC)
TOKEN = "s3cret-t0ken"


@pytest.fixture
def matomo() -> Iterator[Matomo]:
    rows = {
        f"2025-01-{day:02d}": [{"label": "Desktop", "nb_visits": day}, {"label": "Tv", "nb_visits": str(day * 10)}]
        for day in range(1, 11)
    }
    with Matomo(rows, TOKEN) as server:
        yield server


def devices(server: Server, *, wait: Callable[[float], object] = lambda _: None, **changes: Any) -> Report:
    """A report on a server, with a clock of its own that stands still, and waits that only count."""
    options = {"by": {"label": "device"}, "metrics": {"nb_visits": "sessions"}, "title": "devices"} | changes
    retry_for = options.pop("retry_for", 120.0)
    session = Session(retry_for=retry_for, secrets=(TOKEN,), clock=lambda: NOW.timestamp(), wait=wait, timeout=10)
    return report_for(
        "matomo", 9, "DevicesDetection.getType", endpoint=f"{server.url}/matomo.php",
        options={"token_auth": TOKEN}, session=session, now=lambda: NOW, **options,
    )  # fmt: skip


def days(server: Server) -> list[str]:
    return [asked.query["date"][-2:] for asked in server.asked]


def jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# -- records and ranges ---------------------------------------------------------------------------------------------


def test_nothing_is_asked_before_it_is_iterated(matomo: Matomo) -> None:
    report = devices(matomo).last(2)
    assert matomo.asked == []
    assert [(r["_timestamp"][:10], r["device"], r["sessions"]) for r in report] == [
        ("2025-01-08", "Desktop", 8), ("2025-01-08", "Tv", 80), ("2025-01-09", "Desktop", 9), ("2025-01-09", "Tv", 90),
    ]  # fmt: skip
    assert days(matomo) == ["08", "09"]


def test_a_record_is_plain(matomo: Matomo) -> None:
    assert next(iter(devices(matomo).last(1))) == {
        "_id": record_id("2025-01-09T00:00:00+00:00", "day", {"device": "Desktop"}),
        "_timestamp": "2025-01-09T00:00:00+00:00",
        "timeSpan": "day",
        "device": "Desktop",
        "sessions": 9,
    }


def test_between_includes_both_ends(matomo: Matomo) -> None:
    list(devices(matomo).between("2025-01-02", date(2025, 1, 4)))
    assert days(matomo) == ["02", "03", "04"]


def test_weeks_that_an_end_falls_into_are_read_whole(matomo: Matomo) -> None:
    list(devices(matomo, every="week").between("2025-01-01", "2025-01-06"))
    assert [(asked.query["period"], asked.query["date"]) for asked in matomo.asked] == [
        ("week", "2024-12-30"), ("week", "2025-01-06"),
    ]  # fmt: skip


def test_a_period_that_is_not_over_is_said(matomo: Matomo) -> None:
    report = devices(matomo)
    assert {record["_timestamp"][:10] for record in report.now()} == {"2025-01-10"}
    assert report.warnings == ["devices: day 2025-01-10 is not over; its numbers will still grow"]


def test_nothing_after_the_present_is_asked_for(matomo: Matomo) -> None:
    list(devices(matomo).between("2025-01-09", "2025-02-01"))
    assert days(matomo) == ["09", "10"]


def test_a_range_backwards_is_refused(matomo: Matomo) -> None:
    with pytest.raises(ConfigurationError, match="swap"):
        devices(matomo).between("2025-01-04", "2025-01-02")


def test_pages_are_read_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analytical.collect.sources.matomo.LIMIT", 50)
    with Matomo({"2025-01-09": [{"label": f"/{n}", "nb_visits": n} for n in range(130)]}, TOKEN) as server:
        assert len(list(devices(server).last(1))) == 130
        assert [asked.query["filter_offset"] for asked in server.asked] == ["0", "50", "100"]


def test_a_server_that_turns_no_pages_is_said_and_does_not_go_on_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analytical.collect.sources.matomo.LIMIT", 2)
    rows = [{"label": "a", "nb_visits": 1}, {"label": "b", "nb_visits": 2}]
    with Server(lambda asked: rows) as server:
        report = devices(server)
        assert len(list(report.last(1))) == 2
        assert len(server.asked) == 2
        assert "does not turn pages" in report.warnings[0]
        rows.append({"label": "c", "nb_visits": 3})  # more than was asked for: all there are
        assert len(list(devices(server).last(1))) == 3
        assert len(server.asked) == 3


def test_an_answer_too_long_to_hold_says_what_to_do(matomo: Matomo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analytical.collect.session.MAX_ANSWER", 10)
    with pytest.raises(SourceError, match="in one piece, which is not read; ask for less at once"):
        list(devices(matomo).last(1))


def test_rows_alike_become_the_same_records_as_rows_that_were_looked_at() -> None:
    from analytical.collect.period import period_at

    period = period_at(NOW, "day", UTC)
    odd: list[dict[str, Any]] = [
        {"a": "x", "n": 1}, {"a": "y\x00é", "n": 2.5}, {"a": "z", "n": None}, {"a": "w", "n": float("nan")},
        {"a": None, "n": 3}, {"a": "v", "n": 2**70}, {"n": 5, "a": "u"}, {"a": "t", "n": 6, "b": "more"},
        {"a": "s", "n": True}, {"a": "r", "n": 7},
    ]  # fmt: skip
    for names in ({}, {"by": {"a": "A"}}, {"metrics": {"n": "N"}}):
        given = {"by": None, "metrics": None} | names
        together = list(Shape(given["by"], given["metrics"], {"site": "s"}).records(odd[:-2], period))
        alone = [
            record
            for row in odd[:-2]
            for record in Shape(given["by"], given["metrics"], {"site": "s"}).records([row], period)
        ]
        assert together == alone
        for record in together:
            dims = {
                key: value for key, value in record.items() if key not in ("_id", "_timestamp", "timeSpan", "n", "N")
            }
            assert record["_id"] == record_id(period.timestamp, "day", dims)
    with pytest.raises(SourceError, match="a number in one row and text in another"):
        list(Shape(None, None).records([odd[0], odd[-1], {"a": "q", "n": "text"}], period))


def test_periods_without_rows_are_said_once(matomo: Matomo) -> None:
    matomo.rows = {"2025-01-05": [{"label": "Tv", "nb_visits": 1}]}
    report = devices(matomo)
    list(report.between("2025-01-04", "2025-01-06"))
    assert report.warnings == [
        "no rows in 2 periods (day 2025-01-04, day 2025-01-06): nothing happened, or the platform has not archived them"
    ]


def test_one_provider_serves_both_halves(matomo: Matomo) -> None:
    site = analytical.Provider("matomo", 9, endpoint=f"{matomo.url}/matomo.php", token_auth=TOKEN)
    report = site.report("DevicesDetection.getType", by={"label": "device"}, metrics={"nb_visits": "sessions"})
    assert [record["sessions"] for record in report.between("2025-01-02", "2025-01-02")] == [2, 20]
    assert matomo.asked[0].path == "/index.php"
    site.close()


def test_a_platform_with_reports_only_is_a_provider_that_takes_no_hits() -> None:
    check = analytical.Provider("pingdom", "85975", token="p1ngdom")
    assert repr(check.report("")) == "<Report pingdom every='day'>"
    with pytest.raises(Unsupported, match=r"pingdom has reports and takes no hits; call report\(\)"):
        check.pageview(url="https://example.com/")
    check.close()


def test_an_option_that_a_platform_with_reports_only_lacks_is_refused() -> None:
    with pytest.raises(TypeError, match=r"""pingdom has no option 'tokn'. Did you mean "token"\?"""):
        analytical.Provider("pingdom", "85975", tokn="x")


@pytest.mark.parametrize("id", ["123456789", "properties/123456789", "G-ABC123"])
def test_credentials_of_reports_make_a_provider_that_need_not_send(id: str) -> None:
    ga = analytical.Provider("googleanalytics", id, access_token="t0k", property="123456789")
    assert ga.report("runReport", metrics=["activeUsers"]).source.access_token == "t0k"
    with pytest.raises(ConfigurationError, match="api_secret" if id.startswith("G") else "is no Google Analytics id"):
        ga.pageview(url="https://example.com/")
    ga.close()
    with pytest.raises(ConfigurationError):
        analytical.Provider("googleanalytics", "123456789")


def test_a_providers_own_session_and_transport_carry_its_reports(matomo: Matomo) -> None:
    import requests

    from analytical.http import Request, Response

    session = requests.Session()
    session.headers["X-Mine"] = "yes"
    endpoint = f"{matomo.url}/matomo.php"
    site = analytical.Provider("matomo", 9, endpoint=endpoint, token_auth=TOKEN, session=session)
    assert list(site.report("DevicesDetection.getType").between("2025-01-02", "2025-01-02"))
    assert matomo.asked[0].headers["x-mine"] == "yes"
    site.close()
    session.close()

    class Scripted:
        def send(self, request: Request, *, timeout: float | None = None) -> Response:
            return Response(status=200, body=b'[{"label": "Desktop", "nb_visits": 77}]')

        def close(self) -> None:
            pass

    site = analytical.Provider("matomo", 9, endpoint=endpoint, transport=Scripted())
    assert [row["nb_visits"] for row in site.report("DevicesDetection.getType").last(1)] == [77]


def test_the_arguments_of_a_report_have_names() -> None:
    import inspect

    given = inspect.signature(analytical.Provider.report).parameters
    assert list(given)[1:7] == ["method", "metrics", "by", "where", "every", "tz"]
    assert (given["every"].default, given["tz"].default) == ("day", "UTC")
    with pytest.raises(ConfigurationError, match='Did you mean "metrics"'):
        report_for("matomo", 9, "A.b", endpoint="https://h/matomo.php", metric=["nb_visits"])
    # The platform's own parameter may be called so.
    native = report_for(
        "matomo", 9, "A.b", endpoint="https://h/matomo.php", metrics=["n"], metric="nb_visits"
    ).query.native
    assert native == {"metric": "nb_visits"}


def test_options_of_either_half_stand_in_one_call() -> None:
    site = analytical.Provider("plausible", "example.com", stats_key="st4ts")
    assert site.report("query").source.secrets == ("st4ts",)
    site.close()
    ga = analytical.Provider("ga4", "G-ABC123", api_secret="s", property="123", access_token="t0k")
    assert ga.report("runReport", metrics=["activeUsers"]).source.property == "123"
    ga.close()
    with pytest.raises(TypeError, match="no option 'stats_kee'"):
        analytical.Provider("plausible", "example.com", stats_kee="x")


def test_without_a_choice_labels_are_dimensions_and_numbers_metrics(matomo: Matomo) -> None:
    matomo.rows = {
        "2025-01-09": [{"label": 404, "nb_visits": 3, "nb_actions": "7", "logo": "x.png", "goals": {"a": 1}}]
    }
    found = next(iter(devices(matomo, by=None, metrics=None).last(1)))
    assert {name: found[name] for name in list(found)[3:]} == {"label": "404", "nb_visits": 3, "nb_actions": 7}


def test_a_metric_that_does_not_exist_names_those_there_are(matomo: Matomo) -> None:
    with pytest.raises(SourceError, match=r"report \"devices\", day 2025-01-09: no row has 'nb_vists'.*\"nb_visits\""):
        list(devices(matomo, metrics={"nb_vists": "sessions"}).last(1))


def test_a_metric_that_is_no_number_is_an_error(matomo: Matomo) -> None:
    matomo.rows = {"2025-01-09": [{"label": "x", "nb_visits": "50%"}]}
    with pytest.raises(SourceError, match="'sessions' is '50%', no number"):
        list(devices(matomo).last(1))


def test_two_rows_with_one_id_name_both(matomo: Matomo) -> None:
    matomo.rows = {"2025-01-09": [{"label": "Tv", "nb_visits": 1}, {"label": "Tv", "nb_visits": 2}]}
    with pytest.raises(DuplicateRecord, match=r"day 2025-01-09.*sessions=1.*sessions=2"):
        list(devices(matomo).last(1))


def test_twins_far_apart_are_found_without_holding_all() -> None:
    def records() -> Iterator[dict[str, Any]]:
        for number in range(HELD * 3):
            yield {"_id": str(number), "_timestamp": "", "timeSpan": "day", "n": number}
        yield {"_id": str(HELD + 7), "_timestamp": "", "timeSpan": "day", "n": -1}

    with pytest.raises(DuplicateRecord, match=rf"n={HELD + 7}}}.*n=-1"):
        for _ in unique(records()):
            pass


@pytest.mark.parametrize("count", [10, HELD + 50])
def test_twins_in_a_batch_are_found_in_memory_and_on_disk(count: int) -> None:
    records = [{"_id": str(number), "_timestamp": "t", "timeSpan": "day", "n": number} for number in range(count)]
    with Batch(records) as batch:
        batch.refuse_twins()
    with (
        Batch([*records, {**records[3], "n": -1}]) as batch,
        pytest.raises(DuplicateRecord, match=r"n=3\b.* and .*n=-1"),
    ):
        batch.refuse_twins()


def test_an_id_hangs_on_everything_but_the_metrics() -> None:
    one = record_id("t", "day", {"a": "1", "b": "2"})
    assert one == record_id("t", "day", {"b": "2", "a": "1"})
    others = [
        record_id("u", "day", {"a": "1", "b": "2"}),
        record_id("t", "week", {"a": "1", "b": "2"}),
        record_id("t", "day", {"a": "2", "b": "1"}),
        record_id("t", "day", {"a": "1"}),
        record_id("t", "day", {"a": "1", "b": None}),
        record_id("t", "day", {"ab": "12"}),
    ]
    assert len({one, *others}) == 7


def test_what_a_visitor_may_put_into_a_title_is_kept_storable() -> None:
    from analytical.collect.period import period_at

    shape = Shape({"label": "page"}, {"n": "n"})
    period = period_at(NOW, "day", UTC)
    rows = [{"label": "a\x00b", "n": True}, {"label": "\ud800", "n": float("nan")}, {"label": 5.0, "n": 2**80}]
    assert [(r["page"], r["n"]) for r in shape.records(rows, period)] == [
        ("a\ufffdb", 1),
        ("?", None),
        ("5", float(2**80)),
    ]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"metrics": ["a", "a"]}, "twice"),
        ({"metrics": {"a": "x", "b": "X"}}, "one name"),
        ({"by": {"a": "x"}, "metrics": {"b": "X"}}, "cannot share"),
        ({"by": {"a": "_id"}}, "reserved"),
        ({"by": {"a": "timeSpan"}}, "reserved"),
        ({"settle": -1}, "settle"),
        ({"tz": "Mars/Olympus"}, "time zone"),
        ({"retry_for": "soon"}, "duration"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_at_once(given: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        report_for("matomo", 9, "A.b", endpoint="https://h/matomo.php", **given)


def test_a_name_or_a_grid_misspelt_is_refused_at_once() -> None:
    with pytest.raises(UnknownName, match='"matomo"'):
        report_for("mattomo", 9, "A.b")
    with pytest.raises(Unsupported, match="no reports with every='hour'"):
        report_for("matomo", 9, "A.b", endpoint="https://h/matomo.php", every="hour")
    with pytest.raises(ConfigurationError, match="need endpoint"):
        report_for("matomo", 9, "A.b")


# -- what is read again ---------------------------------------------------------------------------------------------


def test_a_run_without_a_range_reads_what_is_missing_or_settling(matomo: Matomo, tmp_path: Path) -> None:
    to = tmp_path / "stats.jsonl"
    devices(matomo).between("2025-01-02", "2025-01-05").to(to)
    matomo.asked.clear()
    assert devices(matomo, settle=1).to(to).periods == 4
    assert days(matomo) == ["06", "07", "08", "09"]
    matomo.asked.clear()
    devices(matomo, settle=2).to(to)
    assert days(matomo) == ["08", "09"]
    assert len(jsonl(to)) == 16


def test_a_gap_in_the_middle_is_filled(matomo: Matomo, tmp_path: Path) -> None:
    to = tmp_path / "stats.csv"
    devices(matomo).between("2025-01-02", "2025-01-03").to(to)
    devices(matomo).between("2025-01-06", "2025-01-09").to(to)
    matomo.asked.clear()
    devices(matomo, settle=0).to(to)
    assert days(matomo) == ["04", "05"]


def test_a_beginning_may_be_given_for_an_empty_sink(matomo: Matomo, tmp_path: Path) -> None:
    devices(matomo, since="2025-01-07").to(tmp_path / "stats.jsonl")
    assert days(matomo) == ["07", "08", "09"]


def test_a_sink_that_cannot_say_gets_the_settling_periods(matomo: Matomo) -> None:
    devices(matomo, settle=3).to(lambda records, replace: None)
    assert days(matomo) == ["07", "08", "09"]


def test_late_numbers_replace_early_ones(matomo: Matomo, tmp_path: Path) -> None:
    to = f"sqlite:///{tmp_path}/stats.db"
    devices(matomo).last(2).to(to)
    matomo.rows["2025-01-09"] = [{"label": "Desktop", "nb_visits": 11}]
    devices(matomo).to(to)
    import sqlite3

    with closing(sqlite3.connect(tmp_path / "stats.db")) as connection, connection:
        found = connection.execute("SELECT substr(_timestamp, 1, 10), device, sessions FROM devices ORDER BY 1, 2")
        assert found.fetchall() == [
            ("2025-01-08", "Desktop", 8),
            ("2025-01-08", "Tv", 80),
            ("2025-01-09", "Desktop", 11),
        ]
    connection.close()


def test_the_hour_that_comes_twice_in_autumn_is_two_periods(tmp_path: Path) -> None:
    @analytical.source("hourly")
    def hourly(period: Any, query: Any, http: Any, id: Any) -> Iterator[dict[str, Any]]:
        yield {"page": "/", "n": 1}

    now = [datetime(2024, 10, 27, 0, 30, tzinfo=UTC)]
    report = report_for(
        "hourly", 1, "x", every="hour", tz="Europe/Berlin", since="2024-10-27", settle=0, now=lambda: now[0]
    )
    to = tmp_path / "hours.jsonl"
    assert report.to(to).periods == 2
    now[0] = datetime(2024, 10, 27, 1, 1, tzinfo=UTC)  # 02:01, for the second time
    assert report.to(to).periods == 1
    now[0] = datetime(2024, 10, 27, 2, 1, tzinfo=UTC)
    assert report.to(to).periods == 1
    assert [row["_timestamp"][11:13] for row in jsonl(to)] == ["22", "23", "00", "01"]


def test_a_zone_moves_the_grid_and_resume_follows(matomo: Matomo, tmp_path: Path) -> None:
    to = tmp_path / "stats.jsonl"
    devices(matomo, tz="Asia/Tokyo").between("2025-01-05", "2025-01-06").to(to)
    assert {row["_timestamp"] for row in jsonl(to)} == {"2025-01-04T15:00:00+00:00", "2025-01-05T15:00:00+00:00"}
    matomo.asked.clear()
    devices(matomo, tz="Asia/Tokyo", settle=0).to(to)
    assert days(matomo) == ["07", "08", "09"]


# -- bad weather ----------------------------------------------------------------------------------------------------


def test_trouble_that_passes_is_tried_again(matomo: Matomo) -> None:
    waits: list[float] = []
    matomo.script = [(503, {}, b"<html>maintenance"), "reset", (429, {"Retry-After": "7"}, b"{}")]
    assert len(list(devices(matomo, wait=waits.append).last(1))) == 2
    assert len(matomo.asked) == 4
    assert waits[2] == 7.0


def test_a_wait_beyond_the_budget_is_a_quota_with_its_reset(matomo: Matomo) -> None:
    matomo.answer = lambda asked: (429, {"Retry-After": "3600"}, b"{}")
    with pytest.raises(
        QuotaExhausted, match=r'"devices", day 2025-01-09.*asks to wait 3600 s.*2025-01-10T13:00:00Z'
    ) as raised:
        list(devices(matomo).last(1))
    assert raised.value.reset == NOW.timestamp() + 3600
    assert len(matomo.asked) == 1


def test_refused_credentials_are_not_tried_twice(matomo: Matomo) -> None:
    matomo.token = "another"
    with pytest.raises(SourceError, match=r"day 2025-01-09.*credentials were refused \(401\): Unable to authenticate"):
        list(devices(matomo).last(1))
    assert len(matomo.asked) == 1


def test_an_error_in_a_200_is_an_error(matomo: Matomo) -> None:
    matomo.rows = lambda params: {"result": "error", "message": "The plugin Nope is not enabled."}
    with pytest.raises(SourceError, match=r'"devices", day 2025-01-09.*The plugin Nope is not enabled'):
        list(devices(matomo).last(1))
    assert len(matomo.asked) == 1


def test_a_login_page_never_sees_the_token(matomo: Matomo) -> None:
    with Server(lambda asked: (200, {"Content-Type": "text/html"}, b"<html>Sign in")) as login:
        matomo.answer = lambda asked: (302, {"Location": f"{login.url}/login?next=x"}, b"")
        with pytest.raises(SourceError, match=r"redirect to .*/login; it is not followed"):
            list(devices(matomo).last(1))
        assert login.asked == []
        assert len(matomo.asked) == 1


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((200, {"Content-Type": "text/html"}, b"<!DOCTYPE html><form>"), "got an HTML page"),
        ((200, {}, b'[{"label": "Desktop", "nb_vi'), "JSON that is cut off or broken"),
        ((200, {}, b""), "an empty answer"),
        ((200, {"Content-Type": "text/xml"}, b"<?xml version='1.0'?>"), "no JSON"),
    ],
    ids=["html", "cut", "empty", "xml"],
)
def test_an_answer_that_is_no_report_names_report_and_period(matomo: Matomo, answer: Any, why: str) -> None:
    matomo.answer = lambda asked: answer
    with pytest.raises(SourceError, match=rf'report "devices", day 2025-01-09.*{why}'):
        list(devices(matomo).last(1))


def test_an_answer_that_ends_early_is_tried_again(matomo: Matomo) -> None:
    matomo.script = [(200, {"Content-Length": "500"}, b'[{"label": "Desk')]
    assert len(list(devices(matomo).last(1))) == 2
    assert len(matomo.asked) == 2


def test_a_server_that_is_not_there_ends_in_an_error() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    class Gone:
        url = f"http://127.0.0.1:{port}"

    with pytest.raises(SourceError, match=r"no answer \(refused\); tried 6 times"):
        list(devices(Gone()).last(1))  # type: ignore[arg-type]


def test_periods_before_a_failure_are_kept_and_the_next_run_repairs(matomo: Matomo, tmp_path: Path) -> None:
    for to in (tmp_path / "stats.jsonl", f"sqlite:///{tmp_path}/stats.db"):
        whole = matomo.answer
        matomo.answer = lambda asked, whole=whole: (
            {"result": "error", "message": "no"} if asked.query["date"] == "2025-01-05" else whole(asked)
        )
        with pytest.raises(SourceError, match="day 2025-01-05"):
            devices(matomo).between("2025-01-03", "2025-01-07").to(to)
        matomo.answer = whole
        matomo.asked.clear()
        devices(matomo, settle=0).to(to)
        assert days(matomo) == ["05", "06", "07", "08", "09"]
    assert len(jsonl(tmp_path / "stats.jsonl")) == 14


def test_a_page_that_fails_leaves_the_period_as_it_was(matomo: Matomo, tmp_path: Path, monkeypatch: Any) -> None:
    to = f"sqlite:///{tmp_path}/stats.db"
    devices(matomo).last(1).to(to)
    monkeypatch.setattr("analytical.collect.sources.matomo.LIMIT", 1)
    whole = matomo.answer
    matomo.answer = lambda asked: b"[{" if asked.query["filter_offset"] == "1" else whole(asked)
    with pytest.raises(SourceError):
        devices(matomo).last(1).to(to)
    import sqlite3

    connection = sqlite3.connect(tmp_path / "stats.db")
    assert connection.execute("SELECT count(*) FROM devices").fetchone() == (2,)
    connection.close()


def test_a_sink_of_yours_that_fails_names_report_and_period(matomo: Matomo) -> None:
    def refuse(records: Any, replace: Any) -> None:
        raise SinkError("disk full")

    with pytest.raises(SinkError, match='report "devices", day 2025-01-08: disk full'):
        devices(matomo).to(refuse)


def test_no_secret_is_in_an_error_a_log_or_a_repr(matomo: Matomo, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    matomo.answer = lambda asked: {"result": "error", "message": f"token {TOKEN} is bad"}
    report = devices(matomo)
    with pytest.raises(SourceError) as raised:
        list(report.last(1))
    matomo.script = [(500, {}, {"result": "error", "message": TOKEN})]
    with pytest.raises(SourceError):
        list(report.last(1))
    assert TOKEN not in str(raised.value)
    assert "***" in str(raised.value)
    assert TOKEN not in caplog.text
    assert TOKEN not in repr(report) + repr(report.source) + repr(report.query)
    assert all(TOKEN not in json.dumps(asked.query) for asked in matomo.asked)


def test_a_wait_is_broken_off_when_everything_stops(matomo: Matomo) -> None:
    matomo.answer = lambda asked: (503, {"Retry-After": "60"}, b"")
    session = Session(retry_for=600)
    report = report_for("matomo", 9, "A.b", endpoint=f"{matomo.url}/matomo.php", session=session, now=lambda: NOW)
    threading.Timer(0.2, session.stop).start()
    with pytest.raises(SourceError, match="stopped"):
        list(report.last(1))


def test_the_usual_proxy_variables_are_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(lambda asked: [{"label": "by proxy", "nb_visits": 1}]) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        report = report_for("matomo", 9, "A.b", endpoint="http://stats.example.invalid/matomo.php")
        assert [record["label"] for record in report.last(1)] == ["by proxy"]


def test_ga4_signs_in_once_for_many_periods() -> None:
    from test_sources import ACCOUNT

    def answer(asked: Asked) -> Any:
        if asked.path == "/token":
            return {"access_token": "ya29.t", "expires_in": 3599}
        assert asked.headers["authorization"] == "Bearer ya29.t"
        body = asked.json()
        rows = [{"metricValues": [{"value": "7"}]}]
        return {"metricHeaders": [{"name": m["name"]} for m in body["metrics"]], "rows": rows, "rowCount": 1}

    with Server(answer) as google:
        report = report_for(
            "ga4", "properties/123", "runReport", endpoint=google.url, metrics={"activeUsers": "users"},
            options={"service_account": {**ACCOUNT, "token_uri": f"{google.url}/token"}}, now=lambda: NOW,
        )  # fmt: skip
        assert [record["users"] for record in report.last(3)] == [7, 7, 7]
        assert [asked.path for asked in google.asked].count("/token") == 1


def test_a_source_of_yours_gets_options_and_a_session_that_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEATHER_KEY", "w3ather-key")

    @analytical.source("weather-test")
    def weather(period: Any, query: Any, http: Any, id: Any) -> Iterator[dict[str, Any]]:
        found = http.get(f"{query.native['base']}/v1/{id}", params={"from": period.start.date(), "n": None},
                         headers={"X-Api-Key": query.native["api_key"]}).json()  # fmt: skip
        for hour in found["hours"]:
            yield {"city": id, "temp": hour["t"], "_timestamp": hour["time"]}

    hours = {"hours": [{"time": "2025-01-09T01:00:00+01:00", "t": -3}, {"time": 1736388000, "t": 1.5}]}
    with Server(lambda asked: hours) as server:
        server.script = [(503, {"Retry-After": "0"}, b"")]
        report = report_for(
            "weather-test", "LON", options={"api_key": "env:WEATHER_KEY", "base": server.url}, now=lambda: NOW
        )
        found = list(report.last(1))
        assert [(r["_timestamp"], r["city"], r["temp"]) for r in found] == [
            ("2025-01-09T00:00:00+00:00", "LON", -3), ("2025-01-09T02:00:00+00:00", "LON", 1.5),
        ]  # fmt: skip
        assert server.asked[-1].headers["x-api-key"] == "w3ather-key"
        assert server.asked[-1].query == {"from": "2025-01-09"}
        server.answer = lambda asked: (400, {}, {"error": "bad key w3ather-key"})
        with pytest.raises(SourceError) as raised:
            list(report.last(1))
        assert "w3ather-key" not in str(raised.value)


def test_a_batch_may_be_read_again_and_keeps_little_in_memory() -> None:

    records = [{"_id": str(number), "n": number} for number in range(HELD + 5000)]
    with Batch(iter(records)) as batch:
        assert len(batch) == len(records)
        assert list(batch) == records
        assert list(batch) == records
        assert batch._held == []
    with pytest.raises(ValueError, match="closed"):
        list(batch)
    with Batch(records[:3]) as few:
        pass
    assert list(few) == records[:3]


def test_the_usual_certificate_variables_are_obeyed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import datetime as dt
    import http.server
    import ipaddress
    import ssl

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    today = dt.datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(today - dt.timedelta(days=1)).not_valid_after(today + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = tmp_path / "ca.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'[{"label": "by TLS", "nb_visits": 1}]')

        def log_message(self, *_: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, tmp_path / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:

        def labels() -> list[str]:
            session = Session(attempts=1)
            report = report_for(
                "matomo", 9, "A.b", endpoint=f"https://127.0.0.1:{server.server_port}/matomo.php", session=session
            )
            return [record["label"] for record in report.last(1)]

        for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
            monkeypatch.delenv(variable, raising=False)
        with pytest.raises(SourceError, match=r"no answer \(tls\)"):
            labels()
        for variable in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
            monkeypatch.setenv(variable, str(pem))
            assert labels() == ["by TLS"]
            monkeypatch.delenv(variable)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# -- odd values -----------------------------------------------------------------------------------------------------


def shaped(rows: list[dict[str, Any]], **options: Any) -> list[dict[str, Any]]:
    from analytical.collect.period import period_at

    by, metrics = options.pop("by", {"a": "a"}), options.pop("metrics", {"n": "n"})
    shape = Shape(by, metrics, options.pop("constants", None), **options)
    return list(shape.records(rows, period_at(NOW, "day", UTC)))


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("", None),
        (" 12 ", 12),
        ("1.5", 1.5),
        ("1e400", None),
        ("9" * 400, None),
        (10**400, None),
        (-(10**400), None),
        (2**64, float(2**64)),
        (Decimal("5"), 5),
        (Decimal("5.25"), 5.25),
        (Decimal("Infinity"), None),
        (Decimal("NaN"), None),
        (False, 0),
    ],
)
def test_a_number_is_one_that_every_destination_holds_or_none(given: Any, stored: Any) -> None:
    assert [record["n"] for record in shaped([{"a": "x", "n": given}])] == [stored]
    # The same where the source's own choice of columns holds.
    assert [record["n"] for record in shaped([{"a": "x", "n": given}], by=None)] == [stored]


@pytest.mark.parametrize("given", [[1], {"value": 1}, b"1"])
def test_a_metric_that_is_a_list_or_an_object_is_named(given: Any) -> None:
    with pytest.raises(SourceError, match=rf"the metric 'n' is a {type(given).__name__}, expected a number"):
        shaped([{"a": "x", "n": given}])


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (True, "true"),
        (5.0, "5"),
        (5.5, "5.5"),
        (7, "7"),
        (Decimal("7.10"), "7.10"),
        (date(2025, 1, 2), "2025-01-02"),
        (datetime(2025, 1, 2, tzinfo=UTC), "2025-01-02T00:00:00+00:00"),
        (None, None),
    ],
)
def test_a_dimension_is_text_whatever_it_was(given: Any, stored: Any) -> None:
    assert [record["a"] for record in shaped([{"a": given, "n": 1}])] == [stored]


def test_a_dimension_that_is_a_list_is_named() -> None:
    with pytest.raises(SourceError, match="the dimension 'a' is a list, expected text"):
        shaped([{"a": ["x"], "n": 1}])


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (1736388000, "2025-01-09T02:00:00+00:00"),
        ("2025-01-09T02:00:00+01:00", "2025-01-09T01:00:00+00:00"),
        ("2025-01-09T02:00:00", "2025-01-09T02:00:00+00:00"),
        (date(2025, 1, 9), "2025-01-09T00:00:00+00:00"),
        (datetime(2025, 1, 9, 3), "2025-01-09T03:00:00+00:00"),
    ],
)
@pytest.mark.parametrize("by", [{"a": "a"}, None])
def test_a_row_may_stand_at_a_time_of_its_own(by: Any, given: Any, stored: str) -> None:
    (record,) = shaped([{"a": "x", "n": 1, "_timestamp": given}], by=by)
    assert record["_timestamp"] == stored
    assert record["_id"] == record_id(stored, "day", {"a": "x"})


@pytest.mark.parametrize("given", ["noon", 1e300, float("nan"), 10**30, True, None, [1]])
def test_a_time_that_is_none_is_an_error(given: Any) -> None:
    with pytest.raises(SourceError, match=r"_timestamp is .*; expected"):
        shaped([{"a": "x", "n": 1, "_timestamp": given}])


def test_what_text_spells_a_number_is_the_sources_to_say() -> None:
    rows = [{"label": "404", "n": "5", "share": "5 %", "on": True}]
    (plain,) = shaped(rows, by=None, metrics=None)
    assert {name: plain[name] for name in list(plain)[3:]} == {"label": "404", "n": "5", "share": "5 %", "on": "true"}
    (spelt,) = shaped(rows, by=None, metrics=None, numeric_text=True, text_names=frozenset({"label"}))
    assert {name: spelt[name] for name in list(spelt)[3:]} == {"label": "404", "share": "5 %", "on": "true", "n": 5}
    # A dimension by its name is left out where others were chosen.
    (chosen,) = shaped(rows, by={"share": "share"}, metrics=None, numeric_text=True, text_names=frozenset({"label"}))
    assert {name: chosen[name] for name in list(chosen)[3:]} == {"share": "5 %", "n": 5}
    with pytest.raises(SourceError, match="'n' is a number in one row and text in another"):
        shaped([{"n": "text"}, {"n": 5}], by=None, metrics=None)


def test_one_name_may_be_given_without_a_list() -> None:
    report = report_for("matomo", 9, "A.b", endpoint="https://h/matomo.php", metrics="nb_visits", by="label")
    assert (report.query.metrics, report.query.by) == ({"nb_visits": "nb_visits"}, {"label": "label"})
    with pytest.raises(ConfigurationError, match="expected names, such as"):
        report_for("matomo", 9, "A.b", endpoint="https://h/matomo.php", metrics={"nb_visits": ""})


# -- ranges and warnings, further --------------------------------------------------------------------------------------


def test_warnings_are_a_sequence_of_texts_and_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    warnings = Warnings()
    warnings.add("quota: 5 left", key="quota")
    warnings.add("quota: 4 left", key="quota")
    assert (list(warnings), len(warnings), warnings[0]) == (["quota: 4 left"], 1, "quota: 4 left")
    assert "quota: 4 left" in warnings
    assert warnings == ["quota: 4 left"]
    assert warnings != 5
    assert repr(warnings) == "['quota: 4 left']"
    # What is said again under a key is logged once.
    assert [record.message for record in caplog.records] == ["quota: 5 left"]
    for number in range(2_000):
        warnings.add(f"row {number}")
    assert len(warnings) == 1_000
    warnings.add("quota: 3 left", key="quota")
    assert warnings[0] == "quota: 3 left"


def test_what_a_source_warns_of_stands_with_the_report(matomo: Matomo, caplog: pytest.LogCaptureFixture) -> None:
    matomo.rows = lambda params: [{"label": "Others", "nb_visits": 1, "is_summary": True}]
    report = devices(matomo)
    list(report.last(2))
    assert len(report.warnings) == 1
    assert report.warnings[0].startswith("devices: 1 of 1 rows put many together (such as 'Others')")
    assert caplog.text.count("put many together") == 1


def test_a_quota_that_shrinks_is_said_in_its_newest_words() -> None:
    left = ["9", "8"]

    def answer(asked: Asked) -> Any:
        headers = {"Req-Limit-Short": f"Remaining: {left.pop(0)} Time until reset: 60"}
        return 200, headers, json.dumps({"summary": {"days": []}}).encode()

    with Server(answer) as server:
        report = report_for("pingdom", 9, endpoint=server.url, options={"token": "p1ngdom"}, now=lambda: NOW)
        list(report.last(2))
    assert report.warnings[0] == "pingdom: quota: 8 short-term requests, reset in 60 s"


def test_a_reading_of_now_without_rows_is_no_empty_period() -> None:
    with Matomo(lambda params: [], TOKEN) as server:
        report = devices(server, by={}, metrics={"visits": "visits"}, every=None)
        assert list(report) == []
        assert report.warnings == []


def test_a_querys_text_is_no_name_and_every_error_of_ours_names_report_and_period() -> None:
    query = "select event from events where timestamp >= {start} and timestamp < {end}"
    assert report_for("posthog", 1, query, options={"personal_api_key": "phx_key"}).name == "posthog"

    @analytical.source("refuses")
    def refuses(period: Any, query: Any, http: Any, id: Any) -> Iterator[dict[str, Any]]:
        raise ReportError("not today")
        yield {}

    with pytest.raises(ReportError, match='report "x", day 2025-01-09: not today'):
        list(report_for("refuses", 1, "x", now=lambda: NOW).last(1))


def test_rows_alike_with_a_value_of_another_kind_are_looked_at_again() -> None:
    rows: list[dict[str, Any]] = [{"a": "x", "n": 1}, {"a": "y", "n": 2}, {"a": True, "n": 3}, {"a": "z", "n": "many"}]
    assert [record["a"] for record in shaped(rows[:3], by=None, metrics={"n": "n"})] == ["x", "y", "true"]
    with pytest.raises(SourceError, match="'n' is 'many', no number"):
        shaped(rows, by=None, metrics={"n": "n"})
    # Without any dimension the period alone makes the id.
    (one, two) = shaped([{"n": 1}, {"n": 2}], by=None, metrics={"n": "n"})
    assert one["_id"] == two["_id"] == record_id(one["_timestamp"], "day", {})


def test_a_period_that_was_empty_twice_is_counted_once(matomo: Matomo) -> None:
    matomo.rows = {}
    report = devices(matomo)
    for _ in range(2):
        assert list(report.last(1)) == []
    assert report.warnings[0].startswith("no rows in 1 period (day 2025-01-09): ")


def test_a_function_of_yours_stands_between_rows_and_sink(matomo: Matomo, tmp_path: Path) -> None:
    def only_tv(records: Any) -> Iterator[dict[str, Any]]:
        yield from (record for record in records if record["device"] == "Tv")

    report = devices(matomo, then=only_tv)
    assert not report.target().declared
    report.last(2).to(tmp_path / "tv.jsonl")
    assert [row["device"] for row in jsonl(tmp_path / "tv.jsonl")] == ["Tv", "Tv"]


def test_iterating_without_a_range_gives_what_a_run_would_read(matomo: Matomo) -> None:
    list(devices(matomo, settle=0))
    assert days(matomo) == ["09"]
    matomo.asked.clear()
    list(devices(matomo, since="2025-01-08"))
    assert days(matomo) == ["08", "09"]
    matomo.asked.clear()
    # A grid that begins later than the last period that is over has nothing yet.
    assert list(devices(matomo, since="2025-01-10")) == []
    assert devices(matomo, since="2025-01-11").to(lambda records, replace: None).periods == 0
    assert matomo.asked == []


def test_the_last_complete_period_has_a_name_and_none_is_refused(matomo: Matomo) -> None:
    assert str(devices(matomo).latest()) == "day 2025-01-09"
    with pytest.raises(ConfigurationError, match=r"last\(0\): expected 1 or more"):
        devices(matomo).last(0)
    now = report_for("matomo", 9, "Live.getCounters", endpoint="https://h/matomo.php", every=None)
    for ask in (lambda: now.last(1), lambda: now.between("2025-01-01", "2025-01-02"), now.latest,
                lambda: now.until("2025-01-01")):  # fmt: skip
        with pytest.raises(ConfigurationError, match="needs a grid"):
            ask()


def test_a_reading_of_now_is_added_and_stands_at_its_second(tmp_path: Path) -> None:
    with Matomo(lambda params: [{"visits": "3"}], TOKEN) as server:
        report = devices(server, by={}, metrics={"visits": "visits"}, every=None, title="live")
        report.to(tmp_path / "live.jsonl")
        (row,) = jsonl(tmp_path / "live.jsonl")
        assert (row["_timestamp"], row["timeSpan"], row["visits"]) == ("2025-01-10T12:00:00+00:00", "now", 3)


def test_a_next_page_that_is_the_same_page_is_an_error() -> None:
    from dataclasses import dataclass

    from analytical.collect.protocol import Page, Query, Source
    from analytical.http import Request, Response

    @dataclass(frozen=True, kw_only=True, repr=False)
    class Stuck(Source):
        name = "stuck"

        def first(self, query: Query, period: Any) -> Request:
            return Request(method="GET", url="https://stuck.example.com/")

        def page(self, query: Query, period: Any, request: Request, response: Response) -> Page:
            return Page(rows=[{"a": "x", "n": 1}], next=request)

    class Answers:
        def send(self, request: Request, *, timeout: float | None = None) -> Response:
            return Response(status=200, body=b"[]")

        def close(self) -> None: ...

    report = Report(Stuck(id="1"), Query(method="x"), name="stuck", session=Session(Answers()), now=lambda: NOW)
    with pytest.raises(SourceError, match="next page is the same page"):
        list(report.last(1))


def test_a_session_that_was_stopped_asks_nothing_more(matomo: Matomo) -> None:
    report = devices(matomo)
    report.close()
    with pytest.raises(SourceError, match="stopped"):
        list(report.last(1))
    assert matomo.asked == []


def test_a_sink_that_fails_while_closing_does_not_hide_the_first_error(matomo: Matomo, tmp_path: Path) -> None:
    from analytical.collect.sink import Sink

    class Broken(Sink):
        def write(self, records: Any, replace: Any, target: Any) -> None:
            raise SinkError("first")

        def close(self, target: Any) -> None:
            raise SinkError("second")

    with pytest.raises(SinkError, match='report "devices", day 2025-01-08: first'):
        devices(matomo).to(Broken())

    class Late(Broken):
        def write(self, records: Any, replace: Any, target: Any) -> None: ...

    with pytest.raises(SinkError, match='report "devices": second'):
        devices(matomo).to(Late())


def test_stored_times_that_are_none_are_read_again(matomo: Matomo) -> None:
    from analytical.collect.sink import Sink

    class Odd(Sink):
        def stored(self, target: Any) -> list[str]:
            return ["soon", "2025-01-08T00:00:00", "2025-01-09T00:00:00+00:00"]

        def write(self, records: Any, replace: Any, target: Any) -> None: ...

    devices(matomo, settle=0).to(Odd())
    assert matomo.asked == []
    devices(matomo, settle=1).to(Odd())
    assert days(matomo) == ["09"]


# -- a session of its own ----------------------------------------------------------------------------------------------


def test_a_session_sends_json_forms_and_bytes() -> None:
    with Server(lambda asked: {"ok": True}) as server, Session() as http:
        assert http.post(f"{server.url}/a", json={"n": 1}).json() == {"ok": True}
        http.post(f"{server.url}/a", data=b"raw", headers={"Content-Type": "text/plain"})
        http.post(f"{server.url}/a", data={"list": [1, 2], "yes": True, "no": None})
        answer = http.get(f"{server.url}/a?x=1", params={"list": ("a", "b"), "no": False}, auth=("me", "pa55"))
        assert (answer.status, answer.text, answer.headers["content-type"]) == (
            200, '{"ok": true}', "application/json; charset=utf-8",
        )  # fmt: skip
    one, two, three, four = server.asked
    assert (one.body, one.headers["content-type"]) == (b'{"n":1}', "application/json")
    assert (two.body, two.headers["content-type"]) == (b"raw", "text/plain")
    assert three.body == b"list=1&list=2&yes=true"
    assert three.headers["content-type"] == "application/x-www-form-urlencoded"
    assert four.query == {"x": "1", "list": "b", "no": "false"}
    assert four.headers["authorization"] == "Basic bWU6cGE1NQ=="


def test_a_password_is_not_in_the_error_of_a_request() -> None:
    with Server(lambda asked: (400, {}, b"")) as server, Session() as http:
        with pytest.raises(SourceError) as raised:
            http.get(f"{server.url}/pa55w0rd/x", auth=("me", "pa55w0rd"), headers={"X-Token": "t0ken"})
    assert f"GET {server.url}/***/x answered 400" in str(raised.value)


def test_a_quota_without_a_reset_says_no_time() -> None:
    from analytical.collect.protocol import Refusal

    with Server(lambda asked: {}) as server, Session() as http:
        with pytest.raises(QuotaExhausted) as raised:
            http.get(server.url, judge=lambda response, now: Refusal(reason="no quota", quota=True))
    assert raised.value.reset is None
    assert str(raised.value).endswith("no quota")


def test_a_session_with_a_wait_of_its_own_still_follows_an_event() -> None:
    stop = threading.Event()
    http = Session(wait=lambda delay: None)
    http.follow(stop)
    assert not http.stopped
    stop.set()
    assert http.stopped


@pytest.mark.parametrize("endpoint", ["https://h:port/matomo.php", "https://h:99999/matomo.php"])
def test_an_address_with_an_impossible_port_is_an_error_of_ours(endpoint: str) -> None:
    with pytest.raises(SourceError, match=r"POST https://h:\w+/index\.php no answer"):
        list(report_for("matomo", 9, "A.b", endpoint=endpoint, retry_for=1).last(1))


def test_the_package_names_what_it_has() -> None:
    import analytical.collect as collect

    assert set(collect.__all__) <= set(dir(collect))
    with pytest.raises(AttributeError, match="has no attribute 'Reports'"):
        _ = collect.Reports
