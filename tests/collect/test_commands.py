"""``reports.toml`` and the commands that read it: in this process, and as processes that can be killed."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result
from servers import Backdrop, Matomo
from services import need_service

from analytical.cli.check import command as check
from analytical.cli.collect import command as collect
from analytical.cli.serve import command as serve
from analytical.collect import load, run
from analytical.collect.config import parse
from analytical.errors import ConfigurationError

TOKEN = "s3cret-t0ken"


def rows_of(params: dict[str, str]) -> Any:
    day = int(params["date"][-2:])
    if params["method"] == "VisitsSummary.get":
        return {"nb_visits": day * 11, "nb_uniq_visitors": day}
    return [{"label": "Desktop", "nb_visits": day}, {"label": "Tv", "nb_visits": 2}]


@pytest.fixture
def matomo(monkeypatch: pytest.MonkeyPatch) -> Iterator[Matomo]:
    monkeypatch.setenv("MATOMO_TOKEN", TOKEN)
    with Matomo(rows_of, TOKEN) as server:
        yield server


@pytest.fixture
def reports(matomo: Matomo, tmp_path: Path) -> Path:
    path = tmp_path / "reports.toml"
    path.write_text(
        f"""
        [providers.site]
        provider = "matomo"
        id = 9
        endpoint = "{matomo.url}/matomo.php"
        token_auth = "env:MATOMO_TOKEN"

        [reports.devices]
        provider = "site"
        report = "DevicesDetection.getType"
        every = "day"
        by = {{label = "device"}}
        metrics = {{nb_visits = "sessions"}}
        to = "sqlite:///{tmp_path}/stats.db"

        [reports.visits]
        provider = "site"
        report = "VisitsSummary.get"
        metrics = {{nb_visits = "visits", nb_uniq_visitors = "uniques"}}
        by = {{}}
        to = "{tmp_path}/visits.jsonl"
        """
    )
    return path


def invoke(command: Any, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def table(path: Path, name: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(f"SELECT * FROM {name} ORDER BY 2, 1").fetchall()
    finally:
        connection.close()


RANGE = ("--since", "2025-01-01", "--until", "2025-01-03")


def test_all_reports_of_a_file_are_stored(reports: Path, tmp_path: Path) -> None:
    done = invoke(collect, reports, *RANGE)
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    assert "devices: 3 periods, 6 records, to sqlite:///" in done.stderr
    assert "visits: 3 periods, 3 records" in done.stderr
    assert len(table(tmp_path / "stats.db", "devices")) == 6
    before = (table(tmp_path / "stats.db", "devices"), (tmp_path / "visits.jsonl").read_bytes())
    assert invoke(collect, reports, *RANGE, "--jobs", 2).exit_code == 0
    assert (table(tmp_path / "stats.db", "devices"), (tmp_path / "visits.jsonl").read_bytes()) == before


def test_named_reports_only(reports: Path, matomo: Matomo) -> None:
    assert invoke(collect, reports, "visits", "--since", "2025-01-01", "--until", "2025-01-01").exit_code == 0
    assert {asked.query["method"] for asked in matomo.asked} == {"VisitsSummary.get"}


def test_without_a_range_what_is_missing_is_read(reports: Path, matomo: Matomo) -> None:
    assert invoke(collect, reports, "visits").exit_code == 0
    assert len(matomo.asked) == 2
    assert invoke(collect, reports, "visits", "--until", "2001-01-01").exit_code == 0


def test_a_report_that_fails_does_not_hold_up_the_others(reports: Path, matomo: Matomo, tmp_path: Path) -> None:
    matomo.rows = lambda params: (
        {"result": "error", "message": f"bad {TOKEN}"} if "Devices" in params["method"] else rows_of(params)
    )
    done = invoke(collect, reports, *RANGE)
    assert done.exit_code == 1
    assert 'devices: failed after 0 periods, 0 records: report "devices", day 2025-01-01: ' in done.stderr
    assert "1 of 2 reports failed" in done.stderr
    assert TOKEN not in done.output
    assert len((tmp_path / "visits.jsonl").read_text().splitlines()) == 3


def test_a_dry_run_prints_records_and_stores_nothing(reports: Path, tmp_path: Path) -> None:
    done = invoke(collect, reports, *RANGE, "--dry-run")
    assert done.exit_code == 0
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(printed) == 9
    assert printed[0]["device"] == "Desktop"
    assert "devices: would replace day 2025-01-01 by 2 records in sqlite:///" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["reports.toml"]


def test_a_dry_run_without_a_range_asks_the_destination_what_it_lacks(reports: Path, matomo: Matomo) -> None:
    assert invoke(collect, reports, "devices").exit_code == 0
    matomo.asked.clear()
    done = invoke(collect, reports, "devices", "--dry-run")
    assert done.exit_code == 0
    assert len(matomo.asked) == 2  # what is still settling, and nothing older
    assert done.stderr.count("devices: would replace day ") == 2


def test_a_dry_run_shows_requests_without_their_token(
    reports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKDROP_TOKEN", "bearer-s3cret")
    to = "backdrop+https://backdrop.example/data/g/{report}?token=env:BACKDROP_TOKEN"
    done = invoke(
        collect, reports, "devices", "--since", "2025-01-01", "--until", "2025-01-01", "--dry-run", "--to", to
    )
    assert done.exit_code == 0, done.output
    assert "would POST" in done.stderr
    assert "https://backdrop.example/data/g/devices" in done.stderr
    assert "Authorization: Bearer ***" in done.stderr
    assert "bearer-s3cret" not in done.output


def test_standard_output_is_a_sink(reports: Path) -> None:
    done = invoke(collect, reports, *RANGE, "--to", "-")
    assert len([json.loads(line) for line in done.stdout.splitlines()]) == 9


def test_many_reports_cannot_share_a_file_but_may_have_one_each(reports: Path, tmp_path: Path) -> None:
    done = invoke(collect, reports, *RANGE, "--to", tmp_path / "all.jsonl")
    assert done.exit_code == 2
    assert "{report}" in done.stderr
    assert invoke(collect, reports, *RANGE, "--to", tmp_path / "{report}.csv").exit_code == 0
    assert {path.name for path in tmp_path.glob("*.csv")} == {"devices.csv", "visits.csv"}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("nosuch",), 'has no report "nosuch"'),
        (("vists",), 'Did you mean "visits"'),
        (("--since", "yesterday"), "ISO 8601"),
        (("--since", "2025-02-01", "--until", "2025-01-01"), "swap them"),
        (("--since", "2999-01-01"), "--since 2999-01-01 lies in the future; expected a date up to now, 20"),
        (("--since", "2999-01-01", "--until", "2999-02-01"), "--since 2999-01-01 lies in the future"),
        (("--since", "2999-01-01", "--dry-run"), "--since 2999-01-01 lies in the future"),
        (("--jobs", "0"), "--jobs"),
        (("--every", "soon"), "--every"),
        (("--to", "stats.txt"), "is no sink"),
        (("--unknown",), "No such option"),
    ],
)
def test_wrong_usage_is_2_and_nothing_is_sent(
    reports: Path, matomo: Matomo, arguments: tuple[str, ...], why: str
) -> None:
    done = invoke(collect, reports, *arguments)
    assert done.exit_code == 2, done.output
    assert why in done.stderr.replace("\n", " ")
    assert matomo.asked == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda d: d["providers"]["site"].update(token_auth="clear"), "holds a secret in clear"),
        (lambda d: d["providers"]["site"].update(api_key="clear"), "holds a secret in clear"),
        (lambda d: d["reports"]["r"].update(to="postgresql://u:pw@h/db"), "password in clear"),
        (lambda d: d["reports"]["r"].update(to={"url": "backdrop+https://h/a", "token": "x"}), "secret in clear"),
        (lambda d: d["providers"]["site"].update(token_aut="env:X"), 'Did you mean "token_auth"'),
        (lambda d: d["reports"]["r"].update(evry="day"), 'Did you mean "every"'),
        (lambda d: d["reports"]["r"].update(provider="sit"), 'Did you mean "site"'),
        (lambda d: d["reports"]["r"].update(to={"path": "x"}), 'needs url="…"'),
        (lambda d: d["reports"]["r"].update(every="daily"), "every='daily'"),
        (lambda d: d["reports"]["r"].update(tz="Mars"), "time zone"),
        (lambda d: d["reports"]["r"].update(to="x.doc"), "is no sink"),
        (lambda d: d["providers"]["site"].pop("provider"), 'needs provider="…"'),
        (lambda d: d["providers"]["site"].update(provider="mattomo"), 'Did you mean "matomo"'),
        (lambda d: d["providers"]["site"].pop("endpoint"), "need endpoint"),
        (lambda d: d.update(reports={}), "no [reports.NAME]"),
        (lambda d: d.update(report={}), 'Did you mean "reports"'),
        (lambda d: d.update(reports=[1]), "no table of tables"),
        (lambda d: d["reports"]["r"].update(to={"url": 5}), 'needs url="…"'),
        (lambda d: d["reports"]["r"].update(to={"url": "x.csv", "into": "t"}), "unexpected keyword argument 'into'"),
        (lambda d: d["reports"]["r"].update(to="prometheus://h:port"), "is no address"),
        (lambda d: d["reports"]["r"].update(parameters={"token": "clear"}), "secret in clear"),
    ],
)
def test_a_file_that_makes_no_sense_says_where(change: Callable[[Any], object], why: str) -> None:
    data: dict[str, Any] = {
        "providers": {"site": {"provider": "matomo", "id": 9, "endpoint": "https://h/matomo.php"}},
        "reports": {"r": {"provider": "site", "report": "VisitsSummary.get", "to": "-"}},
    }
    change(data)

    def understood() -> None:
        for spec in parse(data).chosen():
            spec.report()
            spec.sink()

    with pytest.raises(ConfigurationError) as raised:
        understood()
    assert why in str(raised.value)
    assert "clear" not in str(raised.value).replace("in clear", "")


def test_a_table_may_serve_the_sending_half_too() -> None:
    site = {"provider": "matomo", "id": 9, "endpoint": "https://h/matomo.php", "privacy": "strict", "token_auth": ""}
    assert parse({"providers": {"site": site}, "reports": {"r": {"provider": "site", "report": "A.b"}}}).chosen()


def test_a_destination_may_have_options_and_a_report_may_be_of_now(tmp_path: Path) -> None:
    site = {"provider": "matomo", "id": 9, "endpoint": "https://h/matomo.php"}
    table = {"provider": "site", "report": "Live.getCounters"}
    reports = {
        every: {**table, "every": every, "to": {"url": f"sqlite:///{tmp_path}/x.db", "table": "{report}"}}
        for every in ("now", "none", "")
    }
    for spec in parse({"providers": {"site": site}, "reports": reports}).chosen():
        assert spec.report().query.every is None
        assert spec.sink().describe() == f"sqlite:///{tmp_path}/x.db"


def test_since_today_reads_the_last_period_that_is_over(reports: Path, matomo: Matomo) -> None:
    from datetime import UTC, datetime, timedelta

    now = datetime.now(UTC)
    done = invoke(collect, reports, "visits", "--since", f"{now:%Y-%m-%dT00:00}")
    assert done.exit_code == 0, done.output
    assert {asked.query["date"] for asked in matomo.asked} <= {
        f"{now - timedelta(days=1):%Y-%m-%d}", f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}",
    }  # fmt: skip
    matomo.asked.clear()
    later = f"{now + timedelta(hours=1):%Y-%m-%dT%H:%M}"
    done = invoke(collect, reports, "visits", "--since", later)
    assert (done.exit_code, matomo.asked) == (2, [])
    assert f"--since {later} lies in the future" in done.stderr.replace("\n", " ")


def test_a_function_for_schedulers_refuses_what_the_command_refuses(
    reports: Path, matomo: Matomo, capsys: pytest.CaptureFixture[str]
) -> None:
    for given, why in (({"jobs": 0}, "jobs=0: expected 1 or more"), ({"since": "2999-01-01"}, "lies in the future")):
        with pytest.raises(ConfigurationError, match=why):
            run(str(reports), **given)
    assert matomo.asked == []
    run(str(reports), ["visits"], since="2025-01-01", until="2025-01-01", dry_run=True)
    shown = capsys.readouterr()
    assert json.loads(shown.out)["visits"] == 11
    assert shown.err.startswith("visits: would replace day 2025-01-01 by 1 records in ")


def test_what_a_reader_of_the_numbers_must_know_is_printed(reports: Path, matomo: Matomo) -> None:
    matomo.rows = {}
    done = invoke(collect, reports, "devices", "--since", "2025-01-01", "--until", "2025-01-01")
    assert done.exit_code == 0
    assert "devices: warning: no rows in 1 period (day 2025-01-01)" in done.stderr


def test_a_long_report_says_from_time_to_time_how_far_it_is(reports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analytical.cli.collect._PATIENCE", 0.0)
    done = invoke(collect, reports, "visits", *RANGE)
    assert done.stderr.splitlines()[:3] == [f"visits: {n} of 3 periods, {n} records" for n in (1, 2, 3)]


def test_a_sink_whose_extra_is_missing_says_what_to_type(reports: Path, matomo: Matomo) -> None:
    from analytical.collect.sink import SINKS
    from analytical.errors import MissingExtra

    def needs(to: str) -> Any:
        raise MissingExtra("the odd sink", "odd")

    SINKS.register("odd", needs)
    try:
        done = invoke(collect, reports, "visits", "--to", "odd://here")
    finally:
        SINKS._known.pop("odd")
    assert done.exit_code == 2
    assert 'pip install "analytical[odd]"' in done.stderr
    assert matomo.asked == []


def test_ctrl_c_ends_a_single_run_at_once_and_nothing_is_half_written(
    reports: Path, matomo: Matomo, tmp_path: Path
) -> None:
    before = signal.getsignal(signal.SIGINT)
    interrupted = threading.Event()
    whole = matomo.answer

    def answer(asked: Any) -> Any:
        if asked.query["date"] == "2025-01-02" and not interrupted.is_set():
            os.kill(os.getpid(), signal.SIGINT)
            interrupted.set()
            time.sleep(1)
        return whole(asked)

    matomo.answer = answer
    done = invoke(collect, reports, "visits", *RANGE)
    assert done.exit_code == 1
    assert "Aborted!" in done.stderr
    assert signal.getsignal(signal.SIGINT) == before
    # Periods that were whole are kept; the next run reads the rest.
    assert [json.loads(line)["visits"] for line in (tmp_path / "visits.jsonl").read_text().splitlines()] == [11]
    assert invoke(collect, reports, "visits", *RANGE).exit_code == 0
    assert len((tmp_path / "visits.jsonl").read_text().splitlines()) == 3


def test_it_runs_in_a_thread_of_a_scheduler_too(reports: Path, tmp_path: Path) -> None:
    found: list[Result] = []
    thread = threading.Thread(target=lambda: found.append(invoke(collect, reports, "visits", *RANGE)))
    thread.start()
    thread.join(60)
    assert [done.exit_code for done in found] == [0]
    assert len((tmp_path / "visits.jsonl").read_text().splitlines()) == 3


def test_check_goes_on_after_a_source_of_yours_that_breaks(reports: Path) -> None:
    import analytical

    @analytical.source("breaks-in-check")
    def breaks(period: Any, query: Any, http: Any, id: Any) -> Any:
        raise ZeroDivisionError("s3cret")
        yield

    reports.write_text(
        '[providers.odd]\nprovider = "breaks-in-check"\n[reports.odd]\nprovider = "odd"\n' + reports.read_text()
    )
    done = invoke(check, reports)
    assert done.exit_code == 1
    assert "odd: failed: ZeroDivisionError" in done.output
    assert "s3cret" not in done.output
    assert "devices: ok: " in done.output


def test_check_refuses_a_destination_that_makes_no_sense(reports: Path) -> None:
    reports.write_text(reports.read_text().replace("visits.jsonl", "visits.doc"))
    done = invoke(check, reports, "visits")
    assert done.exit_code == 2
    assert "is no sink" in done.output


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--refresh", "soon"), "is no duration"),
        (("--max-age", "0"), "must be greater than 0"),
        (("nosuch",), 'has no report "nosuch"'),
        (("--host", "203.0.113.1", "--port", "0"), "cannot listen on 203.0.113.1:0"),
    ],
)
def test_serve_says_what_is_wrong_before_it_serves(reports: Path, matomo: Matomo, arguments: Any, why: str) -> None:
    done = invoke(serve, reports, *arguments)
    assert done.exit_code == 2, done.output
    assert why in done.stderr.replace("\n", " ")
    assert matomo.asked == []


def test_serve_without_its_extra_says_what_to_type(reports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    done = invoke(serve, reports, "--port", 0)
    assert done.exit_code == 2
    assert 'pip install "analytical[prometheus]"' in done.stderr


def test_a_file_that_cannot_be_read_is_2(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[reports")
    for path in (tmp_path / "none.toml", tmp_path / "bad.toml"):
        assert invoke(collect, path).exit_code == 2
        assert invoke(check, path).exit_code == 2
        assert invoke(serve, path).exit_code == 2


def test_a_secret_that_is_not_set_is_2(reports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MATOMO_TOKEN")
    done = invoke(collect, reports)
    assert done.exit_code == 2
    assert "MATOMO_TOKEN" in done.stderr


def test_check_shows_a_row_of_each_and_what_fails(reports: Path, matomo: Matomo, tmp_path: Path) -> None:
    done = invoke(check, reports)
    assert done.exit_code == 0, done.output
    assert 'devices: ok: {"_id":' in done.output
    assert "devices: sqlite:///" in done.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["reports.toml"]
    matomo.token = "another"
    done = invoke(check, reports)
    assert done.exit_code == 1
    assert "visits: failed: " in done.output
    assert TOKEN not in done.output


def test_check_tells_a_metric_that_no_row_has(reports: Path, matomo: Matomo) -> None:
    reports.write_text(reports.read_text().replace('{nb_visits = "sessions"}', '{nb_vists = "sessions"}'))
    done = invoke(check, reports)
    assert done.exit_code == 1
    assert "no row has 'nb_vists'. Did you mean \"nb_visits\"?" in done.output
    assert "visits: ok: " in done.output


def test_a_run_is_a_function_for_schedulers(reports: Path, tmp_path: Path) -> None:
    summary = run(str(reports), ["visits"], since="2025-01-01", until="2025-01-02")
    assert json.loads(json.dumps(summary.as_dict())) == {
        "ok": True,
        "results": [
            {
                "report": "visits", "ok": True, "error": "", "periods": 2, "records": 2,
                "seconds": summary.results[0].seconds, "to": f"{tmp_path}/visits.jsonl", "warnings": [],
            }
        ],
    }  # fmt: skip


def test_a_run_may_be_stopped(reports: Path, matomo: Matomo) -> None:
    stop = threading.Event()
    matomo.answer = lambda asked: (stop.set(), (503, {"Retry-After": "100"}, b""))[1]
    summary = run(load(reports), since="2025-01-01", until="2025-01-09", stop=stop)
    assert [result.ok for result in summary.results] == [False, False]
    assert "stopped" in summary.results[0].error
    assert summary.results[1].error == "stopped"
    assert len(matomo.asked) == 1


def test_a_source_of_yours_that_breaks_is_one_failed_report(tmp_path: Path) -> None:
    import analytical

    @analytical.source("breaks")
    def breaks(period: Any, query: Any, http: Any, id: Any) -> Any:
        yield {"a": "x", "n": 1}
        raise ZeroDivisionError("oops")

    config = parse(
        {"providers": {"p": {"provider": "breaks"}}, "reports": {"r": {"provider": "p", "to": f"{tmp_path}/r.jsonl"}}}
    )
    summary = run(config)
    assert not summary.ok
    assert summary.results[0].error == 'report "r": ZeroDivisionError: oops'
    assert list(tmp_path.iterdir()) == []


def test_one_report_goes_everywhere_twice_with_equal_rows(
    reports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same definition: JSON Lines, CSV, Parquet, SQLite, PostgreSQL, MariaDB, Backdrop, Prometheus."""
    import pyarrow.parquet as pq
    from prometheus_client.parser import text_string_to_metric_families

    postgres, mariadb = need_service("postgresql"), need_service("mariadb")
    monkeypatch.setenv("BACKDROP_TOKEN", "bearer-s3cret")
    name = f"e2e_{os.getpid()}"

    def key(row: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(sorted(row.items()))

    def lines() -> list[dict[str, Any]]:
        return [json.loads(line) for line in (tmp_path / "d.jsonl").read_text().splitlines()]

    def database(url: str, of: str) -> list[dict[str, Any]]:
        engine = sa.create_engine(url)
        try:
            with engine.connect() as connection:
                return [dict(row._mapping) for row in connection.execute(sa.text(f"SELECT * FROM {of}"))]
        finally:
            engine.dispose()

    def comma() -> list[dict[str, Any]]:
        text = (tmp_path / "d.csv").read_text()
        return [{**row, "sessions": int(row["sessions"])} for row in csv.DictReader(io.StringIO(text))]

    with Backdrop() as backdrop:
        places: dict[str, Callable[[], list[dict[str, Any]]]] = {
            f"{tmp_path}/d.jsonl": lines,
            f"{tmp_path}/d.csv": comma,
            f"{tmp_path}/d.parquet": lambda: pq.read_table(tmp_path / "d.parquet").to_pylist(),
            f"sqlite:///{tmp_path}/stats.db": lambda: database(f"sqlite:///{tmp_path}/stats.db", "devices"),
            f"{postgres}?table={name}": lambda: database(postgres, name),
            f"{mariadb}?table={name}": lambda: database(mariadb, name),
            f"backdrop+{backdrop.url}/data/g/t?token=env:BACKDROP_TOKEN": lambda: list(backdrop.stored.values()),
        }
        try:
            first: list[tuple[Any, ...]] | None = None
            for _ in range(2):
                for to, read in places.items():
                    done = invoke(collect, reports, "devices", *RANGE, "--to", to)
                    assert done.exit_code == 0, done.output
                    found = sorted(map(key, read()))
                    first = first or found
                    assert found == first, to
            assert first is not None
            assert len(first) == 6
        finally:
            for url in (postgres, mariadb):
                engine = sa.create_engine(url)
                with engine.begin() as connection:
                    connection.execute(sa.text(f"DROP TABLE IF EXISTS {name}"))
                engine.dispose()
    done = invoke(collect, reports, "devices", *RANGE, "--to", tmp_path / "d.prom")
    assert done.exit_code == 0, done.output
    families = {family.name: family for family in text_string_to_metric_families((tmp_path / "d.prom").read_text())}
    assert {s.labels["device"]: s.value for s in families["sessions"].samples} == {"Desktop": 3, "Tv": 2}


# -- as processes ---------------------------------------------------------------------------------------------------


def process(command: str, *arguments: object, **options: Any) -> subprocess.Popen[str]:
    code = f"from analytical.cli.{command} import command; command(prog_name='analytical {command}')"
    line = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


@pytest.mark.parametrize("sink", ["stats.jsonl", "stats.csv", "stats.parquet", "sqlite"])
def test_a_run_that_is_killed_leaves_nothing_half_written_and_the_next_repairs_it(
    reports: Path, matomo: Matomo, tmp_path: Path, sink: str
) -> None:
    to = f"sqlite:///{tmp_path}/killed.db" if sink == "sqlite" else tmp_path / sink
    assert (
        invoke(collect, reports, "devices", "--since", "2025-01-01", "--until", "2025-01-02", "--to", to).exit_code == 0
    )

    def stored() -> Any:
        return table(tmp_path / "killed.db", "devices") if sink == "sqlite" else (tmp_path / sink).read_bytes()

    before = stored()
    reached, whole = threading.Event(), matomo.answer

    def hang(asked: Any) -> Any:
        if asked.query["date"] == "2025-01-01":
            reached.set()
            time.sleep(5)
        return whole(asked)

    matomo.answer = hang
    child = process("collect", reports, "devices", "--since", "2025-01-01", "--until", "2025-01-05", "--to", to)
    assert reached.wait(30)
    child.kill()
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    assert stored() == before
    matomo.answer = whole
    done = invoke(collect, reports, "devices", "--since", "2025-01-01", "--until", "2025-01-05", "--to", to)
    assert done.exit_code == 0, done.output
    after = stored()
    if sink == "stats.parquet":
        import pyarrow.parquet as pq

        assert pq.read_table(tmp_path / sink).num_rows == 10
    else:
        assert (len(after) if sink == "sqlite" else len(after.splitlines()) - (sink == "stats.csv")) == 10
    assert (
        invoke(collect, reports, "devices", "--since", "2025-01-01", "--until", "2025-01-05", "--to", to).exit_code == 0
    )
    assert stored() == after


def test_a_loop_ends_in_order_when_told(reports: Path, matomo: Matomo, tmp_path: Path) -> None:
    child = process("collect", reports, "visits", "--every", "1h")
    assert child.stderr is not None
    assert "visits: 2 periods" in child.stderr.readline()
    child.terminate()
    child.communicate(timeout=20)
    assert child.returncode == 0
    assert len((tmp_path / "visits.jsonl").read_text().splitlines()) == 2


def test_a_loop_outlives_a_file_that_is_being_edited(reports: Path, matomo: Matomo) -> None:
    whole = reports.read_text()
    child = process("collect", reports, "visits", "--every", "100ms")
    assert child.stderr is not None
    try:
        assert "visits: 2 periods" in child.stderr.readline()
        reports.write_text("[reports")
        while "nothing was read: " not in child.stderr.readline():
            assert child.poll() is None
        reports.write_text(whole)
        while "visits: 2 periods" not in child.stderr.readline():
            assert child.poll() is None
    finally:
        child.terminate()
        child.communicate(timeout=20)


def test_a_run_killed_between_two_chunks_is_repaired_by_the_next(
    reports: Path, matomo: Matomo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKDROP_TOKEN", "bearer-s3cret")
    matomo.answer = Matomo(lambda params: [{"label": f"p{n}", "nb_visits": n} for n in range(250)], TOKEN).answer
    reached = threading.Event()
    with Backdrop() as backdrop:
        whole, posts = backdrop.answer, []

        def hang(asked: Any) -> Any:
            posts.append(asked)
            if len(posts) == 2:
                reached.set()
                time.sleep(5)
                return "reset"
            return whole(asked)

        backdrop.answer = hang
        to = f"backdrop+{backdrop.url}/data/g/t?token=env:BACKDROP_TOKEN"
        arguments = (reports, "devices", "--since", "2025-01-01", "--until", "2025-01-01", "--to", to)
        child = process("collect", *arguments)
        assert reached.wait(30)
        child.kill()
        child.communicate()
        assert len(backdrop.stored) == 100
        backdrop.answer = whole
        for _ in range(2):
            assert invoke(collect, *arguments).exit_code == 0
            assert len(backdrop.stored) == 250


def test_serve_is_scraped_and_ends_when_told(reports: Path, matomo: Matomo) -> None:
    child = process("serve", reports, "--port", 0, "--refresh", "1s")
    assert child.stderr is not None
    try:
        url = child.stderr.readline().split()[-1]
        for _ in range(100):
            with urlopen(url, timeout=5) as answer:
                text = answer.read().decode()
            if 'analytical_up{report="devices"} 1.0' in text and 'analytical_up{report="visits"} 1.0' in text:
                break
            time.sleep(0.1)
        assert 'sessions{device="Tv"} 2.0' in text
        assert "\nuniques " in text
        with pytest.raises(subprocess.TimeoutExpired):  # it stays
            child.wait(1.5)
    finally:
        child.terminate()
        child.communicate(timeout=20)
    assert child.returncode == 0


def test_the_examples_for_schedulers_run(reports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util
    from datetime import UTC, datetime

    monkeypatch.setenv("REPORTS", str(reports))
    made = {}
    for name in ("celery_tasks", "airflow_dag"):
        path = Path(__file__).parents[2] / "examples" / "reports" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        made[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(made[name])
    made["celery_tasks"].app.conf.task_always_eager = True
    assert made["celery_tasks"].collect_one("visits", since="2025-01-01", until="2025-01-02")["ok"]
    done = made["airflow_dag"].collect_interval(
        "visits", datetime(2025, 1, 3, tzinfo=UTC), datetime(2025, 1, 4, tzinfo=UTC), logical_date="ignored"
    )
    assert done["results"][0]["periods"] == 1
    assert len((tmp_path / "visits.jsonl").read_text().splitlines()) == 3
    load(Path(__file__).parents[2] / "examples" / "reports" / "reports.toml")


def test_progress_is_drawn_on_a_terminal_only(reports: Path) -> None:
    master, slave = pty.openpty()
    code = "from analytical.cli.collect import command; command()"
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(reports), "devices", *RANGE, "--to", "-"],
        stdout=subprocess.PIPE, stderr=slave, env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )  # fmt: skip
    os.close(slave)
    seen = b""
    while True:
        try:
            chunk = os.read(master, 4096)
        except OSError:
            break
        if not chunk:
            break
        seen += chunk
    os.close(master)
    out, _ = child.communicate(timeout=20)
    assert child.returncode == 0
    assert len(out.splitlines()) == 6
    assert b"3/3" in seen
    assert b"\x1b[" in seen
