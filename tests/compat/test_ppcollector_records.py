"""Records, ids, order, dates, plug-ins, the crontab: the pure parts, against what the original made on Python 2.7."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from collecting import as_set
from freezegun import freeze_time

from analytical.compat.ppcollector import crontab, dates, logs, python2
from analytical.compat.ppcollector.errors import CollectorError
from analytical.compat.ppcollector.ga import query_documents_for
from analytical.compat.ppcollector.plugins import department_of, load_plugin, run_plugins
from analytical.compat.ppcollector.push import Pusher
from analytical.compat.ppcollector.records import DataParser, build_document, json_ready
from analytical.compat.ppcollector.statsd import StatsClient

SAMPLES = Path(__file__).parent / "samples"
PYTHON2 = json.loads(SAMPLES.joinpath("ppcollector-python2.json").read_text())
RECORDED = [json.loads(line) for line in SAMPLES.joinpath("ppcollector-records.jsonl").read_text().splitlines()]


# --- Python 2.7 -------------------------------------------------------------------------------------------------------


def test_dictionaries_are_in_python_2s_order() -> None:
    for each in PYTHON2["orders"]:
        assert list(python2.hash_order(tuple(each["put"]))) == each["got"]


def test_numbers_are_spelled_as_python_2_did() -> None:
    assert {each["float"]: python2.text(float(each["float"])) for each in PYTHON2["texts"]} == {
        each["float"]: each["text"] for each in PYTHON2["texts"]
    }


def test_hashes_are_python_2s() -> None:
    assert {name: python2.text_hash(name) for name in PYTHON2["hashes"]} == PYTHON2["hashes"]


def test_lists_and_objects_are_spelled_as_python_2_did() -> None:
    for each in PYTHON2["representations"]:
        assert python2.text(json.loads(each["json"])) == each["text"]


# --- records ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", range(0, len(RECORDED), 10))
def test_records_are_the_originals(at: int) -> None:
    for each in RECORDED[at : at + 10]:
        rows = [
            {"start_date": date(2015, 10, 12), **({"dimensions": row["dimensions"]} if row["dimensions"] else {})}
            for row in each["rows"]
        ]
        found = DataParser(rows, each["options"], "t").get_data([row["special"] for row in each["rows"]])
        assert as_set(json_ready(found)) == as_set(each["records"]), each["options"]


def test_fields_are_sent_in_the_originals_order() -> None:
    class Client:
        query = property(lambda self: self)

        def get(self, *_: Any) -> list[dict[str, Any]]:
            goals = [f"goal{number}{what}" for number in (1, 2, 3) for what in ("Completions", "Starts")]
            metrics = dict.fromkeys(["sessions", "goal1Completions", *goals[2:]], "1")
            metrics |= {f"goal{number}ConversionRate": "43.75" for number in (1, 2, 3)}
            return [{"start_date": date(2015, 10, 12), "metrics": metrics, "dimensions": {"deviceCategory": "desktop"}}]

    query = {"id": "ga:1", "metrics": ["sessions"]}
    [record] = query_documents_for(Client(), query, {}, "t", date(2015, 10, 12), date(2015, 10, 12))
    assert ",".join(json_ready(record)) == (
        "_timestamp,sessions,dataType,goal2Starts,goal1Completions,goal3Completions,goal2Completions,"
        "goal1ConversionRate,goal2ConversionRate,deviceCategory,humanId,goal3Starts,_id,goal3ConversionRate,timeSpan"
    )


@pytest.mark.parametrize(
    ("mappings", "says"),
    [({"x_": "y"}, '"x_" ends in an underscore'), ({"visits_0": "y"}, 'part 0 of "visits", which is 5')],
)
def test_a_mapping_of_parts_that_cannot_be_says_so(mappings: dict[str, str], says: str) -> None:
    with pytest.raises(CollectorError, match=says):
        build_document({"start_date": date(2015, 1, 1)}, "t", {"visits": 5}, mappings)


def test_a_part_beyond_the_last_is_absent() -> None:
    row = {"start_date": date(2015, 1, 1), "dimensions": {"eventLabel": "a:b"}}
    record = build_document(row, "t", {}, {"eventLabel_0": "first", "eventLabel_2": "third", "none_0": "never"})
    assert record["first"] == "a"
    assert not {"third", "never"} & set(record)


def test_a_record_needs_a_data_type_and_a_row_its_special_fields() -> None:
    with pytest.raises(CollectorError, match="data type"):
        DataParser([{"start_date": date(2015, 1, 1)}], {}, None).get_data()
    with pytest.raises(CollectorError, match="1 rows came with 2"):
        DataParser([{"start_date": date(2015, 1, 1)}], {}, "t").get_data([{}, {}])


def test_a_chunk_is_a_whole_number_of_records() -> None:
    config = {"url": "http://127.0.0.1:9", "token": None, "dry_run": True}
    assert Pusher(config, {"chunk-size": "7"}).chunk_size == 7
    with pytest.raises(CollectorError, match="\"chunk-size\" is 'many'"):
        Pusher(config, {"chunk-size": "many"})


def test_an_instant_is_iso_8601_and_stands_in_utc() -> None:
    assert json_ready({"a": datetime(2015, 1, 1), "b": [datetime(2015, 1, 1, tzinfo=UTC)]}) == {
        "a": "2015-01-01T00:00:00+00:00",
        "b": ["2015-01-01T00:00:00+00:00"],
    }
    with pytest.raises(CollectorError, match="2015-01-01"):
        json_ready(date(2015, 1, 1))


# --- plug-ins ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "open('/etc/passwd')",
        "Comment(open('x'))",
        "Comment(*['a'])",
        "Comment(**{'a': 1})",
        "Comment('a').__class__",
        "Comment",
        "lambda documents: documents",
        "[Comment('a')][0]",
        "aggregate_count('a')",
        "AggregateKey(Comment('a'))",
        "AggregateKey('a')",
        "ComputeRank()",
        "ComputeRank('a', 'b')",
        "ComputeRank(1 + 1)",
        "ComputeRank(f'{1}')",
        "Nonsense('a')",
        "Comment('a'",
        "Comment('a'); Comment('b')",
        "",
        "(" * 300,
    ],
)
def test_anything_off_the_list_is_refused_and_not_run(text: str) -> None:
    with pytest.raises(CollectorError):
        load_plugin(text)


def test_the_last_plug_in_makes_the_id() -> None:
    with pytest.raises(CollectorError, match="must be ComputeIdFrom"):
        run_plugins(["ComputeIdFrom('a')", "ComputeRank('rank')"], [])
    with pytest.raises(CollectorError, match="list of texts"):
        run_plugins("ComputeIdFrom('a')", [])


@pytest.mark.parametrize(
    ("plugins", "says"),
    [
        (["ComputeIdFrom('b')"], 'no field "b"'),
        (["RemoveKey('b')", "ComputeIdFrom('a')"], 'RemoveKey: a record has no field "b"'),
        (["ComputeDepartmentKey('a')", "ComputeIdFrom('a')"], "begins with a code"),
        (["AggregateKey(aggregate_count('a'))", "ComputeIdFrom('a')"], "does not fit"),
    ],
)
def test_a_plug_in_that_does_not_fit_says_why(plugins: list[str], says: str) -> None:
    with pytest.raises(CollectorError, match=says):
        run_plugins(plugins, [{"a": "text"}])


def test_rates_are_weighted_by_their_counts() -> None:
    records = [
        {"k": 1, "count": 30, "rate": 0.5},
        {"k": 1, "count": 10, "rate": 0.1},
        {"k": 2, "count": 1, "rate": 1.0},
    ]
    plugins = ["AggregateKey(aggregate_count('count'), aggregate_rate('rate', 'count'))", "ComputeIdFrom('k')"]
    found = run_plugins(plugins, records)
    assert [(each["count"], round(each["rate"], 6), each["humanId"]) for each in found] == [
        (40, 0.4, "1"),
        (1, 1.0, "2"),
    ]


def test_departments_are_found_by_the_first_code_of_a_field() -> None:
    records = [{"a": "<D10><D3>"}, {"a": "<XX1> and more"}]
    found = run_plugins(["ComputeDepartmentKey('a')", "ComputeIdFrom('department')"], records)
    assert department_of("<D10>") != "<D10>"
    assert [each["department"] for each in found] == [department_of("<D10>"), "<XX1>"]


def test_without_records_and_without_counts_nothing_is_averaged() -> None:
    plugins = ["AggregateKey(aggregate_count('count'), aggregate_rate('rate', 'count'))", "ComputeIdFrom('k')"]
    assert run_plugins(plugins, []) == []
    with pytest.raises(CollectorError, match='the counts "count" of a group add up to 0'):
        run_plugins(plugins, [{"k": 1, "count": 0, "rate": 0.5}])


# --- dates ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2014-08-03", "2014-08-03 00:00:00"),
        ("20140803", "2014-08-03 00:00:00"),
        ("2014/8/3", "2014-08-03 00:00:00"),
        ("2014-08-03T12:30:01Z", "2014-08-03 12:30:01+00:00"),
        ("2014-08-03 12:30", "2014-08-03 12:30:00"),
        ("2014-08-03 2:30 pm", "2014-08-03 14:30:00"),
        ("08/03/2014", "2014-08-03 00:00:00"),
        ("13/08/2014", "2014-08-13 00:00:00"),
        ("3 Aug 2014", "2014-08-03 00:00:00"),
        ("August 3rd, 2014", "2014-08-03 00:00:00"),
        ("Sun Aug 3 2014 10:11:12", "2014-08-03 10:11:12"),
        ("Sun Aug  3 10:11:12 2014", "2014-08-03 10:11:12"),
        ("2014-08-03 2pm", "2014-08-03 14:00:00"),
        ("201408031015", "2014-08-03 10:15:00"),
        ("20140803101530", "2014-08-03 10:15:30"),
        ("Friday", "2015-10-23 00:00:00"),
        ("8/3/14", "2014-08-03 00:00:00"),
        ("2014-02", "2014-02-21 00:00:00"),
        ("2014", "2014-10-21 00:00:00"),
        ("12:30", "2015-10-21 12:30:00"),
        ("3 Aug 2014 14:05 UTC", "2014-08-03 14:05:00+00:00"),
        ("3 Aug 2014 14:05:06.5 +0130", "2014-08-03 14:05:06.500000+01:30"),
        ("3 Aug 2014 14:05 -02:00", "2014-08-03 14:05:00-02:00"),
        ("3 Aug 2014 2:05 am +01", "2014-08-03 02:05:00+01:00"),
    ],
)
def test_dates_as_people_write_them(text: str, found: str) -> None:
    with freeze_time("2015-10-21T12:34:56"):
        assert str(dates.parse(text)) == found


NO_DATES = [
    "",
    " ",
    "foo",
    "yesterday",
    "2014-13-01",
    "2014-02-30",
    "31/31/2014",
    "-",
    "25:00",
    "1 2 3 4",
    "2014-02-",
    "2014.5",
    "of the",
    "3 Aug 2014 13pm",
    "3 Aug 2014 0 am",
    "3 Aug 2014 14:05 +99:00",
]


@pytest.mark.parametrize("text", [*NO_DATES, "Aug Sep 2014", "2014 2015 2016", "2014-02-", "2014.5"])
def test_what_is_no_date_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        dates.parse(text)


def test_an_instants_periods_are_whole() -> None:
    def days(*arguments: Any) -> list[str]:
        return [f"{first}..{last}" for first, last in dates.period_range(*arguments)]

    assert days(date(2013, 4, 3), date(2013, 4, 10), "weekly") == ["2013-04-01..2013-04-07", "2013-04-08..2013-04-14"]
    assert days(date(2015, 12, 31), datetime(2016, 2, 1), "monthly") == [
        "2015-12-01..2015-12-31",
        "2016-01-01..2016-01-31",
        "2016-02-01..2016-02-29",
    ]
    with freeze_time("2015-03-31"):
        assert days(None, None, "monthly") == ["2015-02-01..2015-02-28"]
        assert days(None, None, "daily") == ["2015-03-30..2015-03-30"]
        assert days(date(2015, 3, 1), None, "weekly") == [
            f"2015-{month:02}-{day:02}..2015-{end:02}-{last:02}"
            for month, day, end, last in [(2, 23, 3, 1), (3, 2, 3, 8), (3, 9, 3, 15), (3, 16, 3, 22), (3, 23, 3, 29)]
        ]


def test_an_hour_ago_is_local_time() -> None:
    with freeze_time("2015-10-21T12:34:56"):
        assert dates.an_hour_ago() == datetime(2015, 10, 21, 11, 34, 56)


# --- crontab ----------------------------------------------------------------------------------------------------------


def jobs_in(directory: Path, text: str) -> str:
    path = directory / "jobs"
    path.write_text(text)
    return str(path)


def test_own_jobs_are_replaced_and_others_kept(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path, "# schedule,slug,…\n\n0 3 * * *,one,ga.json,ga-t.json,pp.json\n")
    old = [
        "@daily other",
        "# Begin performanceplatform.collector jobs for mine",
        "old",
        "# End performanceplatform.collector jobs for mine",
        "@hourly another",
    ]
    assert crontab.generate_crontab(old, jobs, "/app", "mine", host="box") == [
        "@daily other",
        "@hourly another",
        "# Begin performanceplatform.collector jobs for mine",
        "0 3 * * * /app/venv/bin/pp-collector -l one -c /app/config/ga.json -t /app/config/ga-t.json "
        "-b /app/config/pp.json >> /app/log/out.log 2>> /app/log/error.log",
        "# End performanceplatform.collector jobs for mine",
    ]


def test_two_hosts_share_the_jobs(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path, "".join(f"@daily,job{number},c,t,b\n" for number in range(4)))
    first = crontab.generate_crontab([], jobs, "/app", "x", host="backend-1")
    second = crontab.generate_crontab([], jobs, "/app", "x", host="backend-2")
    assert [line.split(" -l ")[1][:4] for line in first[1:-1]] == ["job1", "job3"]
    assert [line.split(" -l ")[1][:4] for line in second[1:-1]] == ["job0", "job2"]


def test_the_switch_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISABLE_COLLECTORS", "true")
    lines = crontab.generate_crontab([], jobs_in(tmp_path, "@daily,a,c,t,b\n"), "/app", "x", host="box")
    assert lines[1].startswith("@daily DISABLE_COLLECTORS=true /app/venv/bin/pp-collector")


def test_a_line_that_is_no_job_gives_the_old_crontab_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("@daily other\n"))
    assert crontab.main(["/app", jobs_in(tmp_path, "nonsense\n"), "x"]) == 1
    shown = capsys.readouterr()
    assert shown.out == "@daily other\n"
    assert "line 1" in shown.err


def test_the_module_writes_the_new_crontab(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path, "@daily,a,c,t,b")
    done = subprocess.run(
        [sys.executable, "-m", "analytical.compat.ppcollector.crontab", "/app", jobs, "x"],
        input="@daily other\n", capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["@daily other", "# Begin performanceplatform.collector jobs for x"]
    assert lines[-1] == "# End performanceplatform.collector jobs for x"


# --- logs, counts, odd values -----------------------------------------------------------------------------------------


def test_values_beyond_json_are_spelled_as_python_2_did() -> None:
    assert python2.text(float("inf")) == "inf"
    assert python2.text(("a", 1.5)) == "(u'a', 1.5)"
    assert python2.text((None,)) == "(None,)"
    assert python2.text([datetime(2015, 1, 2, 3), date(2015, 1, 2)]) == (
        "[datetime.datetime(2015, 1, 2, 3, 0), datetime.date(2015, 1, 2)]"
    )


def test_a_log_that_cannot_be_written_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log").write_text("a file where a directory is wanted")
    with pytest.raises(CollectorError, match=r"make it writable, or use --console-logging"):
        with logs.logging_to(False, "app", ()):
            raise AssertionError("not reached")
    monkeypatch.setenv("LOGLEVEL", "LOUD")
    with pytest.raises(CollectorError, match="LOGLEVEL='LOUD' is no level"):
        with logs.logging_to(False, "app", ()):
            raise AssertionError("not reached")


def test_what_collectors_log_of_an_exception() -> None:
    assert logs.extra_fields_from_exception(KeyError("x")) == {
        "exception_class": "KeyError", "exception_message": "'x'",
    }  # fmt: skip


def test_a_counter_that_cannot_be_sent_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    StatsClient("::1").incr("calls")
    assert "statsd: " in caplog.text


# --- old names --------------------------------------------------------------------------------------------------------


def test_every_old_name_leads_somewhere() -> None:
    import importlib

    from analytical.compat.ppcollector import install_aliases
    from analytical.compat.ppcollector.aliases import _MODULES

    install_aliases()
    for name, targets in _MODULES.items():
        module = importlib.import_module(name)
        for attribute in targets:
            assert getattr(module, attribute) is not None, f"{name}.{attribute}"
        with pytest.raises(AttributeError, match="no_such_name"):
            getattr(module, "no_such_name")  # noqa: B009  an attribute that no type has
