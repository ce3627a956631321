"""Every sink keeps the promises of ``SinkContract``: files, real databases, a Backdrop-compatible server, dlt."""

from __future__ import annotations

import csv
import importlib
import json
import socket
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import sqlalchemy as sa
from servers import Backdrop as BackdropServer
from services import need_service

from analytical.collect import sink_for
from analytical.collect.contracts import SinkContract
from analytical.collect.period import period_at
from analytical.collect.records import Batch, Record, Shape
from analytical.collect.session import Session
from analytical.collect.sink import SINKS, Sink, Target, redacted
from analytical.collect.sinks.backdrop import post_request, push
from analytical.collect.sinks.prometheus import Endpoint
from analytical.errors import ConfigurationError, DuplicateRecord, MissingExtra, SinkError, SourceError
from analytical.http import NoResponse, Request, Response


class TestJsonLines(SinkContract):
    def make(self) -> Sink:
        return sink_for(str(self.place / "deep" / "stats.jsonl"))

    def rows(self) -> list[Record]:
        path = self.place / "deep" / "stats.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def test_lines_stand_in_order_of_time(self) -> None:
        three, third = self.records(3, ("/", 1))
        one, first = self.records(1, ("/", 1))
        two, second = self.records(2, ("/", 1))
        self.store((three, third))
        self.store((one, first), (two, second))
        assert [row["_timestamp"] for row in self.rows()] == sorted(row["_timestamp"] for row in self.rows())

    def test_a_damaged_file_is_an_error_and_stays_as_it_is(self) -> None:
        one, first = self.records(1, ("/", 1))
        self.store((one, first))
        path = self.place / "deep" / "stats.jsonl"
        with path.open("a") as file:
            file.write('{"_id": "cut')
        before = path.read_bytes()
        with pytest.raises(SinkError, match="line 2: no JSON object"):
            self.store((one, first))
        assert path.read_bytes() == before
        assert list(path.parent.iterdir()) == [path]

    def test_two_runs_cannot_write_one_file_at_once(self) -> None:
        import fcntl

        one, first = self.records(1, ("/", 1))
        (self.place / "deep").mkdir()
        with (self.place / "deep" / ".stats.jsonl.part").open("wb") as other:
            fcntl.flock(other.fileno(), fcntl.LOCK_EX)
            with pytest.raises(SinkError, match="another run"):
                self.store((one, first))

    def test_a_run_that_ends_between_the_look_and_the_lock_keeps_what_it_wrote(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import fcntl

        one, first = self.records(1, ("/", 1))
        self.store((one, first))
        path = self.place / "deep" / "stats.jsonl"
        written = path.read_bytes()
        flock = fcntl.flock

        def late(number: int, how: int) -> None:
            # The other run had this very file open as its part; it is renamed, and the lock is free again.
            part = path.with_name(".stats.jsonl.part")
            part.write_bytes(written)
            part.replace(path)
            flock(number, how)

        monkeypatch.setattr(fcntl, "flock", late)
        with pytest.raises(SinkError, match="another run"):
            self.store((one, first))
        assert path.read_bytes() == written

    def test_what_a_killed_run_left_is_swept_up(self) -> None:
        one, first = self.records(1, ("/", 1))
        (self.place / "deep").mkdir()
        (self.place / "deep" / ".stats.jsonl.part").write_text('{"half":')
        self.store((one, first))
        self.check(*one)
        assert [path.name for path in (self.place / "deep").iterdir()] == ["stats.jsonl"]

    def test_a_link_and_its_rights_survive(self) -> None:
        (self.place / "deep").mkdir()
        real = self.place / "real.jsonl"
        real.touch(0o640)
        real.chmod(0o640)
        (self.place / "deep" / "stats.jsonl").symlink_to(real)
        one, first = self.records(1, ("/", 1))
        self.store((one, first))
        assert (self.place / "deep" / "stats.jsonl").is_symlink()
        assert real.stat().st_mode & 0o777 == 0o640
        self.check(*one)

    def test_a_place_that_cannot_be_read_or_written_is_an_error_of_ours(self) -> None:
        (self.place / "deep").write_text("a file where a directory is wanted")
        one, first = self.records(1, ("/", 1))
        with pytest.raises(SinkError, match="the file cannot be written"):
            self.store((one, first))
        (self.place / "deep").unlink()
        (self.place / "deep" / "stats.jsonl").mkdir(parents=True)
        sink = self.make()
        with pytest.raises(SinkError, match=r"the file cannot be read \(Is a directory\)"):
            sink.stored(self.target())

    def test_rows_of_other_reports_and_times_within_a_period_are_told_apart(self) -> None:
        path = self.place / "deep" / "stats.jsonl"
        path.parent.mkdir()
        lines = [
            {"_id": "1", "_timestamp": "2025-01-01T13:00:00", "timeSpan": "day", "site": "a"},
            {"_id": "2", "_timestamp": "2025-01-01T14:00:00+00:00", "timeSpan": "day", "site": "a"},
            {"_id": "3", "_timestamp": "soon", "timeSpan": "day", "site": "a"},
            {"_id": "4", "_timestamp": "2025-01-02T00:00:00+00:00", "timeSpan": "day", "site": "b"},
            {"_id": "5", "_timestamp": "2025-01-02T00:00:00+00:00", "timeSpan": "week", "site": "a"},
        ]
        path.write_text("\n\n".join(map(json.dumps, lines)) + "\n")
        mine = self.target(constants={"site": "a"})
        assert self.make().stored(mine) == {"2025-01-01T00:00:00+00:00", "soon"}
        assert self.make().stored(self.target(span=None, tz=None)) == {line["_timestamp"] for line in lines}
        # The period is replaced whole, whatever time within it a row stands at; the others stay.
        one, first = self.records(1, ("/", 1))
        self.store(([row | {"site": "a"} for row in one], first), target=mine)
        assert sorted(row["_id"] for row in self.rows() if row["_id"] != one[0]["_id"]) == ["3", "4", "5"]

    def test_readings_are_added(self) -> None:
        one, _ = self.records(1, ("/", 1))
        self.store((one, None))
        self.store((one, None))
        assert len(self.rows()) == 2

    def test_closing_what_was_never_opened_writes_nothing(self) -> None:
        self.make().close(self.target())
        assert list(self.place.iterdir()) == []


class TestCsv(SinkContract):
    text_only = True

    def make(self) -> Sink:
        return sink_for(self.place / "stats.csv")

    def rows(self) -> list[Record]:
        path = self.place / "stats.csv"
        if not path.exists():
            return []
        with path.open(newline="", encoding="utf-8") as file:
            return [{name: value or None for name, value in row.items()} for row in csv.DictReader(file)]

    def test_a_file_of_somebody_elses_is_refused(self) -> None:
        (self.place / "stats.csv").write_text("name,age\nx,1\n")
        one, first = self.records(1, ("/", 1))
        with pytest.raises(SinkError, match="no column _timestamp"):
            self.store((one, first))

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            (b"_id,_timestamp,timeSpan,page\n1,t,day,/,more\n", "line 2: more cells than the header has columns"),
            (b"_id,_timestamp,timeSpan,page\n1,t,day,caf\xe9\n", r"no CSV in UTF-8 \(UnicodeDecodeError\)"),
            (b"_id,_timestamp,timeSpan,p\xe4ge\n", r"no CSV in UTF-8 \(UnicodeDecodeError\)"),
            (b'_id,_timestamp,timeSpan,page\n1,t,day,"' + b"x" * (1 << 24) + b'more"\n', r"no CSV in UTF-8 \(Error\)"),
        ],
        ids=["cells", "row in latin-1", "header in latin-1", "a cell without end"],
    )
    def test_a_damaged_file_is_an_error_and_stays_as_it_is(self, content: bytes, why: str) -> None:
        path = self.place / "stats.csv"
        path.write_bytes(content)
        one, first = self.records(1, ("/", 1))
        with pytest.raises(SinkError, match=why):
            self.store((one, first))
        assert path.read_bytes() == content
        assert list(self.place.iterdir()) == [path]


class TestParquet(SinkContract):
    def make(self) -> Sink:
        return sink_for(self.place / "stats.parquet")

    def rows(self) -> list[Record]:
        import pyarrow.parquet as pq

        path = self.place / "stats.parquet"
        return pq.read_table(path).to_pylist() if path.exists() else []

    def test_a_metric_is_a_double_from_the_first_row_on(self) -> None:
        import pyarrow.parquet as pq

        one, first = self.records(1, ("/", 5))
        two, second = self.records(2, ("/", 2.5))
        self.store((one, first))
        self.store((two, second))
        assert str(pq.read_schema(self.place / "stats.parquet").field("views").type) == "double"
        self.check(*one, *two)

    def test_a_file_that_is_none_is_an_error_and_stays_as_it_is(self) -> None:
        path = self.place / "stats.parquet"
        path.write_bytes(b"PAR1, or not")
        one, first = self.records(1, ("/", 5))
        with pytest.raises(SinkError, match="no Parquet file; move it away"):
            self.store((one, first))
        with pytest.raises(SinkError, match="no Parquet file; move it away"):
            self.make().stored(self.target())
        assert path.read_bytes() == b"PAR1, or not"
        assert list(self.place.iterdir()) == [path]

    def test_a_stored_column_of_another_type_is_an_error_and_the_file_stays(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.place / "stats.parquet"
        row = {"_id": "1", "_timestamp": "2025-01-02T00:00:00+00:00", "timeSpan": "day", "page": 404, "views": 1.0}
        pq.write_table(pa.Table.from_pylist([row]), path)
        before = path.read_bytes()
        one, first = self.records(1, ("/", 5))
        with pytest.raises(SinkError, match="a stored column has another type"):
            self.store((one, first))
        assert path.read_bytes() == before


class SqlContract(SinkContract):
    url: str
    driver_url: str

    @pytest.fixture(autouse=True)
    def _table(self, _place: None) -> Iterator[None]:
        self.table = f"t_{uuid.uuid4().hex[:12]}"
        self.prepare()
        yield
        engine = sa.create_engine(self.driver_url)
        with engine.begin() as connection:
            connection.execute(sa.text(f"DROP TABLE IF EXISTS {self.table}"))
        engine.dispose()

    def prepare(self) -> None:
        raise NotImplementedError

    def make(self) -> Sink:
        return sink_for(f"{self.url}?table={self.table}")

    def rows(self) -> list[Record]:
        engine = sa.create_engine(self.driver_url)
        try:
            if not sa.inspect(engine).has_table(self.table):
                return []
            with engine.connect() as connection:
                table = sa.Table(self.table, sa.MetaData(), autoload_with=engine)
                return [dict(row._mapping) for row in connection.execute(sa.select(table))]
        finally:
            engine.dispose()

    def test_a_number_column_holds_whole_and_broken_numbers(self) -> None:
        one, first = self.records(1, ("/", 5), ("/a", 2.5), ("/b", 2**40))
        self.store((one, first))
        self.check(*one)
        engine = sa.create_engine(self.driver_url)
        names = [column["name"] for column in sa.inspect(engine).get_columns(self.table)]
        engine.dispose()
        assert names == ["_id", "_timestamp", "timeSpan", "page", "views"]

    def test_two_sites_share_a_table_by_a_constant(self) -> None:
        period = period_at(datetime(2025, 1, 1, tzinfo=UTC), "day", UTC)
        stored = {}
        for site in ("A", "a"):
            shape = Shape({"p": "page"}, {"n": "views"}, {"site": site})
            stored[site] = list(shape.records([{"p": "/", "n": 1}], period))
            about = self.target(constants={"site": site}, dimensions=("site", "page"))
            self.store((stored[site], period), target=about)
            self.store((stored[site], period), target=about)
        self.check(*stored["A"], *stored["a"])

    def test_many_reports_write_to_one_table_at_once(self) -> None:
        period = period_at(datetime(2025, 1, 1, tzinfo=UTC), "day", UTC)

        def site(number: int) -> list[Record]:
            shape = Shape({"p": "page"}, {"n": "views"}, {"site": str(number)})
            records = list(shape.records([{"p": f"/{n}", "n": n} for n in range(300)], period))
            about = self.target(constants={"site": str(number)}, dimensions=("site", "page"))
            for _ in range(3):
                self.store((records, period), target=about)
            return records

        with ThreadPoolExecutor(4) as pool:
            stored = list(pool.map(site, range(4)))
        self.check(*(record for records in stored for record in records))

    def test_a_period_that_fails_half_way_is_as_it_was(self) -> None:
        one, first = self.records(1, ("/", 5))
        self.store((one, first))
        bad, _ = self.records(1, *((f"/{number}", 1) for number in range(6000)))
        bad.append(bad[0] | {"views": 9})  # found when 5000 rows have been inserted
        with pytest.raises(DuplicateRecord):
            self.store((bad, first))
        self.check(*one)

    def test_a_table_of_somebody_elses_is_refused(self) -> None:
        engine = sa.create_engine(self.driver_url)
        with engine.begin() as connection:
            connection.execute(sa.text(f"CREATE TABLE {self.table} (name VARCHAR(10))"))
        engine.dispose()
        one, first = self.records(1, ("/", 5))
        with pytest.raises(SinkError, match="no column _id"):
            self.store((one, first))

    def test_columns_that_differ_in_capitals_only_are_refused(self) -> None:
        one, first = self.records(1, ("/", 5))
        self.store((one, first))
        two, second = self.records(2, ("/", 5))
        two[0]["Views"] = 1
        with pytest.raises(SinkError, match="capitals"):
            self.store((two, second), target=self.target(declared=False))

    def test_a_killed_writer_leaves_the_period_as_it_was(self) -> None:
        one, first = self.records(1, ("/", 5))
        self.store((one, first))
        code = textwrap.dedent(
            f"""
            import os, signal
            from datetime import UTC, datetime
            from analytical.collect import sink_for
            from analytical.collect.period import period_at
            from analytical.collect.records import Shape
            from analytical.collect.sink import Target

            class Batch(list):
                def __iter__(self):
                    for number, record in enumerate(list.__iter__(self)):
                        if number == 5500:
                            os.kill(os.getpid(), signal.SIGKILL)
                        yield record

            period = period_at(datetime(2025, 1, 1, tzinfo=UTC), "day", UTC)
            shape = Shape({{"p": "page"}}, {{"n": "views"}})
            records = Batch(shape.records([{{"p": f"/{{n}}", "n": 1}} for n in range(6000)], period))
            target = Target(name="contract", dimensions=("page",), metrics=("views",), declared=True, tz=UTC)
            sink = sink_for({f"{self.url}?table={self.table}"!r})
            sink.open(target)
            sink.write(records, period, target)
            """
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=60)
        assert done.returncode == -9, done.stderr.decode()
        self.check(*one)
        self.store((one, first))
        self.check(*one)


class TestSqlite(SqlContract):
    def prepare(self) -> None:
        self.url = self.driver_url = f"sqlite:///{self.place}/stats.db"

    def test_asking_does_not_make_the_file(self) -> None:
        sink = self.make()
        sink.open(self.target())
        assert list(sink.stored(self.target()) or ()) == []
        sink.close(self.target())
        assert not (self.place / "stats.db").exists()

    def test_whole_numbers_are_stored_whole(self) -> None:
        one, first = self.records(1, ("/", 5))
        self.store((one, first))
        assert repr(self.rows()[0]["views"]) in ("5", "Decimal('5')", "Decimal('5.0000000000')")

    def test_a_reading_of_the_same_second_takes_the_place_of_the_other(self) -> None:
        one, _ = self.records(1, ("/", 5), ("/a", 1), span="day")
        again, _ = self.records(1, ("/", 6), span="day")
        other, _ = self.records(2, ("/", 7), span="day")
        self.store((one, None))
        self.store((other, None))
        self.store((again, None))
        self.check(*again, *other)

    def test_a_table_with_a_key_of_its_own_is_served_as_well(self) -> None:
        engine = sa.create_engine(self.driver_url)
        with engine.begin() as connection:
            connection.execute(
                sa.text(
                    f'CREATE TABLE {self.table} (_id TEXT PRIMARY KEY, _timestamp TEXT, "timeSpan" TEXT, page TEXT, '
                    "views NUMERIC)"
                )
            )
        engine.dispose()
        self.test_a_repeat_changes_nothing()
        twice, third = self.records(3, ("/a", 1), ("/a", 2))
        with pytest.raises(DuplicateRecord):
            self.store((twice, third))

    def test_a_directory_that_is_missing_is_an_error_of_ours(self) -> None:
        self.url = f"sqlite:///{self.place}/none/stats.db"
        one, first = self.records(1, ("/", 5))
        with pytest.raises(SinkError, match="unable to open database file"):
            self.store((one, first))

    def test_a_very_wide_report_is_stored_as_well(self) -> None:
        one, first = self.records(1, ("/", 5), ("/a", 1))
        for row in one:
            row |= {f"m{number}": number for number in range(500)}
        self.store((one, first), target=self.target(declared=False))
        self.check(*one)

    def test_a_report_with_more_columns_than_a_table_takes_is_an_error_of_ours(self) -> None:
        one, first = self.records(1, ("/", 5))
        one[0] |= {f"m{number}": number for number in range(2_100)}
        with pytest.raises(SinkError, match="cannot make the table: OperationalError: too many columns"):
            self.store((one, first), target=self.target(declared=False))

    def test_a_table_that_refuses_rows_is_an_error_with_its_reason_and_without_data(self) -> None:
        self.statement(
            f'CREATE TABLE {self.table} (_id TEXT, _timestamp TEXT, "timeSpan" TEXT, page TEXT, views NUMERIC '
            "CHECK (views < 9))"
        )
        one, first = self.records(1, ("/", 5))
        self.store((one, first))
        two, second = self.records(1, ("/s3cret-page", 10))
        with pytest.raises(SinkError, match="refused the period: IntegrityError: CHECK constraint failed") as raised:
            self.store((two, second))
        assert "s3cret-page" not in str(raised.value)
        self.check(*one)

    def test_a_view_cannot_be_written_to_and_says_so(self) -> None:
        columns = "'x' AS _id, 't' AS _timestamp, 'day' AS \"timeSpan\""
        self.statement(f"CREATE VIEW v AS SELECT {columns}, '/' AS page, 1 AS views")
        one, first = self.records(1, ("/", 5))
        self.table = "v"
        with pytest.raises(SinkError, match="the period was not stored: OperationalError: cannot modify v"):
            self.store((one, first))
        one[0]["country"] = "FR"
        with pytest.raises(SinkError, match="cannot make the table: OperationalError: Cannot add a column to a view"):
            self.store((one, first), target=self.target(declared=False))
        self.statement("DROP VIEW v")

    def test_a_column_that_another_run_adds_in_the_same_moment_is_used(self) -> None:
        one, first = self.records(1, ("/", 5))
        self.store((one, first))
        sink, about = self.make(), self.target(declared=False)
        sink.open(about)
        added = []

        def quicker(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
            if statement.startswith("ALTER TABLE") and not added:
                added.append(statement)
                self.statement(statement)

        sa.event.listen(sink._engine, "before_cursor_execute", quicker)  # type: ignore[attr-defined]
        two, second = self.records(2, ("/", 7))
        two[0]["country"] = "FR"
        with Batch(two) as batch:
            sink.write(batch, second, about)
        sink.close(about)
        assert len(added) == 1
        self.check(*one, *two)

    @pytest.mark.parametrize("reason", ["sqlstate", "number", "words"])
    def test_a_transaction_that_lost_a_race_begins_again(self, reason: str) -> None:
        sink, about = self.make(), self.target()
        sink.open(about)
        waits: list[float] = []
        whole, left = sink._insert, [3]  # type: ignore[attr-defined]

        class Driver(Exception):
            sqlstate = "40P01" if reason == "sqlstate" else None

        lost = Driver(*{"sqlstate": (), "number": (1213, "Deadlock found")}.get(reason, ("database is locked",)))

        def insert(*given: Any, **options: Any) -> None:
            if left[0]:
                left[0] -= 1
                raise sa.exc.OperationalError("INSERT", {}, lost)
            whole(*given, **options)

        class Pause:
            wait = staticmethod(waits.append)

        sink._insert, sink._pause = insert, Pause()  # type: ignore[attr-defined]
        one, first = self.records(1, ("/", 5))
        with Batch(one) as batch:
            sink.write(batch, first, about)
        assert len(waits) == 3
        self.check(*one)
        left[0] = 100
        with Batch(one) as batch, pytest.raises(SinkError, match="the period was not stored: Driver"):
            sink.write(batch, first, about)
        assert len(waits) == 12  # ten tries
        sink.close(about)
        self.check(*one)

    def statement(self, text: str) -> None:
        engine = sa.create_engine(self.driver_url)
        with engine.begin() as connection:
            connection.execute(sa.text(text))
        engine.dispose()

    def test_closing_what_was_never_opened_does_nothing(self) -> None:
        self.make().close(self.target())
        assert list(self.place.iterdir()) == []


class TestPostgres(SqlContract):
    def prepare(self) -> None:
        self.driver_url = need_service("postgresql")
        self.url = self.driver_url.replace("+psycopg", "")


class TestMariaDb(SqlContract):
    def prepare(self) -> None:
        self.driver_url = need_service("mariadb")
        self.url = self.driver_url.replace("+pymysql", "")


class TestBackdrop(SinkContract):
    replaces = False
    remembers = False

    @pytest.fixture(autouse=True)
    def _server(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setenv("BACKDROP_TOKEN", "bearer-s3cret")
        with BackdropServer() as self.server:
            yield

    def make(self) -> Sink:
        return sink_for(f"backdrop+{self.server.url}/data/g/t?token=env:BACKDROP_TOKEN")

    def rows(self) -> list[Record]:
        return list(self.server.stored.values())

    def test_records_go_in_chunks_and_long_ones_zipped(self) -> None:
        many, first = self.records(1, *((f"/{number}", number) for number in range(250)))
        self.store((many, first))
        assert [asked.headers.get("content-encoding") for asked in self.server.asked] == ["gzip"] * 3
        assert all(asked.path == "/data/g/t" and not asked.query for asked in self.server.asked)
        few, _ = self.records(1, ("/", 1))
        self.store((few, first))
        assert "content-encoding" not in self.server.asked[-1].headers
        assert len(self.server.stored) == 251

    def test_a_retry_sends_the_whole_body_again(self) -> None:
        many, _ = self.records(1, *((f"/{number}", number) for number in range(100)))
        self.server.script = [(503, {}, b""), (502, {}, b"")]
        session = Session(error=SinkError, wait=lambda _: None)
        assert push(many, f"{self.server.url}/data/g/t", "bearer-s3cret", session=session) == 100
        assert len({asked.body for asked in self.server.asked}) == 1
        assert len(self.server.asked) == 3
        assert len(self.server.stored) == 100

    def test_what_the_server_would_refuse_is_refused_before_anything_is_sent(self) -> None:
        good = {"_id": "a", "_timestamp": "2025-01-01T00:00:00+00:00", "views": 1}
        for bad, why in (
            ({"Page Views": 1}, "letters, digits and underscores"),
            ({"x": 1}, "two at least"),
            ({"_day_start_at": "x"}, "begins with an underscore"),
            ({"nested": {}}, "is a dict"),
            ({"_id": "a b"}, "white space"),
        ):
            with pytest.raises(SinkError, match=rf"record 2.*{why}"):
                push([good, {**good, **bad}], self.server.url, "bearer-s3cret", chunk_size=1)
        assert self.server.asked == []

    def test_a_chunk_that_is_refused_is_an_error_with_the_servers_words(self) -> None:
        many, first = self.records(1, *((f"/{number}", number) for number in range(250)))
        self.server.script = [self.server.answer, (400, {}, {"messages": ["views has an invalid value"]})]
        with pytest.raises(SinkError, match="400: views has an invalid value"):
            self.store((many, first))
        self.store((many, first))  # the next run repairs it
        assert len(self.server.stored) == 250

    def test_a_wrong_token_is_said_and_never_shown(self) -> None:
        one, _ = self.records(1, ("/", 1))
        with pytest.raises(SinkError, match="credentials were refused") as raised:
            push(one, self.server.url, "wr0ng-token")
        assert "wr0ng-token" not in str(raised.value)
        # This server tells its own token to everybody; ours is masked all the same.
        self.server.token = "other"
        with pytest.raises(SinkError):
            push(one, self.server.url, "bearer-s3cret")

    def test_a_set_is_emptied_first_where_asked(self) -> None:
        one, first = self.records(1, ("/", 1))
        self.store((one, first))
        two, _ = self.records(2, ("/", 1))
        assert push(two, self.server.url, "bearer-s3cret", empty_first=True) == 1
        assert [asked.method for asked in self.server.asked] == ["POST", "PUT", "POST"]
        self.check(*two)

    def test_nothing_is_sent_where_there_is_nothing(self) -> None:
        assert push([], self.server.url, "bearer-s3cret") == 0
        assert self.server.asked == []

    def test_a_dry_run_gives_the_requests(self) -> None:
        one, _ = self.records(1, ("/", 1))
        seen: list[Request] = []
        push(one, "https://b.example/data/g/t", "t0ken", dry_run=seen.append)
        assert seen == [post_request(one, "https://b.example/data/g/t", "t0ken")]
        assert "t0ken" not in str(seen[0].masked().headers)

    def test_a_session_may_be_shared_and_outlives_the_sink(self) -> None:
        with Session(error=SinkError, secrets=("bearer-s3cret",)) as session:
            to = f"backdrop+{self.server.url}/data/g/t"
            sink = sink_for(to, options={"session": session, "token": "bearer-s3cret"})
            about = self.target()
            one, first = self.records(1, ("/", 1))
            sink.open(about)
            with Batch(one) as batch:
                sink.write(batch, first, about)
            sink.close(about)
            assert not session.stopped
        self.check(*one)

    def test_a_server_that_asks_to_wait_too_long_is_an_error_of_the_sink(self) -> None:
        self.server.answer = lambda asked: (429, {"Retry-After": "3600"}, b"[1]")
        one, _ = self.records(1, ("/", 1))
        session = Session(error=SinkError, wait=lambda _: None, retry_for=1)
        with pytest.raises(SinkError, match="answered 429, and asks to wait 3600 s") as raised:
            push(one, f"{self.server.url}/data/g/t", "bearer-s3cret", session=session)
        assert type(raised.value) is SinkError

    def test_a_chunk_that_no_server_takes_is_refused_before_it_is_sent(self) -> None:
        record = {"_id": "a", "text": "x" * 6_000_000}
        with pytest.raises(SinkError, match="the server takes 10485760; make chunk_size smaller"):
            push([record, record], self.server.url, "bearer-s3cret")
        assert self.server.asked == []

    def test_without_a_token_there_is_no_such_header(self) -> None:
        request = post_request([{"_id": "a"}], "https://b.example/data/g/t")
        assert "Authorization" not in request.headers
        assert request.secrets == ()

    @pytest.mark.parametrize(
        ("to", "options", "why"),
        [
            ("backdrop+https:///data/g/t", {}, 'expected an address such as "backdrop'),
            ("backdrop+https://b.example/data/g/t", {"chunk_size": 0}, "chunk_size=0: expected 1 or more"),
            ("backdrop+https://[b.example/data/g/t", {}, "is no address; see its host and port"),
            ("backdrop+https://b.example/data/g/t", {"chunksize": 5}, "unexpected keyword argument 'chunksize'"),
        ],
    )
    def test_an_address_that_is_none_says_what_to_type(self, to: str, options: dict[str, Any], why: str) -> None:
        with pytest.raises(ConfigurationError, match=why):
            sink_for(to, options=options)

    def test_a_token_in_the_url_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="never stands in a URL"):
            sink_for("backdrop+https://b.example/data/g/t?token=secret")


class TestTextFile:
    def test_the_latest_period_is_written_in_prometheus_format(self, tmp_path: Path) -> None:
        path = tmp_path / "stats.prom"
        sink = sink_for(path)
        target = Target(name="devices", tz=UTC)
        sink.open(target)
        for day in (1, 2):
            period = period_at(datetime(2025, 1, day, tzinfo=UTC), "day", UTC)
            with Batch(Shape({"d": "device"}, {"n": "sessions"}).records([{"d": 'a"b', "n": day}], period)) as batch:
                sink.write(batch, period, target)
        sink.close(target)
        assert path.read_text().splitlines() == [
            "# HELP sessions sessions, from the report devices.",
            "# TYPE sessions gauge",
            'sessions{device="a\\"b"} 2.0',
        ]

    def test_nothing_written_is_no_file(self, tmp_path: Path) -> None:
        sink, target = sink_for(tmp_path / "stats.prom"), Target(name="devices", tz=UTC)
        sink.open(target)
        sink.close(target)
        assert list(tmp_path.iterdir()) == []
        assert sink.describe() == str(tmp_path / "stats.prom")

    def test_a_file_that_cannot_be_written_is_an_error_of_ours(self, tmp_path: Path) -> None:
        (tmp_path / "stats.prom").mkdir()
        sink, target = sink_for(tmp_path / "stats.prom"), Target(name="devices", tz=UTC)
        sink.open(target)
        write(sink, target, 1)
        with pytest.raises(SinkError, match=r"cannot be written \(Is a directory\)"):
            sink.close(target)


def write(sink: Sink, target: Target, sessions: int, device: str = "Tv") -> None:
    period = period_at(datetime(2025, 1, 1, tzinfo=UTC), "day", UTC)
    with Batch(Shape({"d": "device"}, {"n": "sessions"}).records([{"d": device, "n": sessions}], period)) as batch:
        sink.write(batch, period, target)


class TestEndpoint:
    @pytest.fixture
    def to(self) -> Iterator[str]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        yield f"prometheus://127.0.0.1:{port}"
        running = Endpoint._running.pop(("127.0.0.1", port), None)
        if running is not None:
            running.stop()

    def test_the_latest_numbers_of_several_reports_are_scraped_at_one_address(self, to: str) -> None:
        devices, shops = (Target(name=name, tz=UTC) for name in ("devices", "shops"))
        for target, device in ((devices, "Tv"), (shops, "Till")):
            sink = sink_for(to)
            sink.open(target)
            write(sink, target, 5, device)
            sink.close(target)
        url = sink.describe()
        assert url == to.replace("prometheus", "http") + "/metrics"
        text = urlopen(url, timeout=5).read().decode()
        assert 'sessions{device="Tv"} 5.0' in text
        assert 'sessions{device="Till"} 5.0' in text
        assert 'analytical_up{report="shops"} 1.0' in text
        # The next run of one takes the place of its numbers, and of no others.
        sink = sink_for(to)
        sink.open(devices)
        write(sink, devices, 7)
        text = urlopen(url, timeout=5).read().decode()
        assert 'sessions{device="Tv"} 7.0' in text
        assert 'sessions{device="Till"} 5.0' in text
        # Two reports that make one series would break every scrape.
        with pytest.raises(SourceError, match="both have the series sessions"):
            write(sink, shops, 1)

    def test_a_dry_run_does_not_listen(self, to: str) -> None:
        sink = sink_for(to)
        sink.dry = True
        sink.open(Target(name="devices", tz=UTC))
        with pytest.raises(OSError, match="refused"):
            urlopen(sink.describe(), timeout=5)

    @pytest.mark.parametrize(
        "to",
        ["prometheus://127.0.0.1", "prometheus://127.0.0.1:0", "prometheus://127.0.0.1:http", "prometheus://h:70000"],
    )
    def test_an_address_without_a_port_is_refused(self, to: str) -> None:
        with pytest.raises(ConfigurationError, match=r"prometheus://HOST:PORT|see its host and port"):
            sink_for(to)


def test_dlt_replaces_a_period_so_that_a_repeat_changes_nothing(tmp_path: Path) -> None:
    dlt = pytest.importorskip("dlt")
    period = period_at(datetime(2025, 1, 1, tzinfo=UTC), "day", UTC)
    target = Target(name="devices", dimensions=("device",), metrics=("sessions",), declared=True, tz=UTC)
    code = f"sqlite:///{tmp_path}/dlt.db"
    options = {"destination": dlt.destinations.sqlalchemy(code), "pipelines_dir": str(tmp_path / "pipelines")}
    with _quiet():
        for rows in (
            [{"d": "Desktop", "n": 3}, {"d": "Gone", "n": 1}],
            [{"d": "Desktop", "n": 2.5}, {"d": "Tv", "n": 1}],
        ):
            sink = sink_for("dlt:sqlalchemy/stats", options=options)
            sink.open(target)
            with Batch(Shape({"d": "device"}, {"n": "sessions"}).records(rows, period)) as batch:
                sink.write(batch, period, target)
            sink.close(target)
            # What a killed run leaves behind must not be loaded in place of what comes next.
            left = dlt.pipeline("analytical_stats", dataset_name="stats", **options)
            left.extract([{"_id": "stale", "device": "Stale"}], table_name="devices")
    files = [file for file in tmp_path.glob("*.db") if "staging" not in file.name]
    found: list[Any] = []
    for file in files:
        engine = sa.create_engine(f"sqlite:///{file}")
        with engine.connect() as connection:
            if sa.inspect(engine).has_table("devices"):
                found += list(connection.execute(sa.text("SELECT device, sessions FROM devices ORDER BY device")))
        engine.dispose()
    assert found == [("Desktop", 2.5), ("Tv", 1.0)]


def test_dlt_says_what_it_wants_and_what_went_wrong(tmp_path: Path) -> None:
    dlt = pytest.importorskip("dlt")
    for to in ("dlt:duckdb", "dlt:/stats", "dlt:duckdb/a b"):
        with pytest.raises(ConfigurationError, match="expected dlt:DESTINATION/DATASET"):
            sink_for(to)
    target = Target(name="devices", dimensions=("device",), metrics=("sessions",), declared=True, tz=UTC)
    nowhere = dlt.destinations.sqlalchemy(f"sqlite:///{tmp_path}/none/dlt.db")
    options = {"destination": nowhere, "pipelines_dir": str(tmp_path / "pipelines")}
    with _quiet():
        sink = sink_for("dlt:sqlalchemy/stats?table=t", options=options)
        assert sink.describe() == "dlt:sqlalchemy/stats"
        sink.dry = True
        sink.open(target)
        assert not (tmp_path / "pipelines").exists()
        sink.dry = False
        sink.open(target)
        with Batch() as nothing:
            sink.write(nothing, None, target)
        with pytest.raises(SinkError, match=r"^dlt:sqlalchemy/stats: \w+"):
            write(sink, target, 1)


class _quiet:
    """dlt and what it brings warn on import; that is theirs to mend."""

    def __enter__(self) -> None:
        import warnings

        self._caught = warnings.catch_warnings()
        self._caught.__enter__()
        warnings.simplefilter("ignore")

    def __exit__(self, *_: object) -> None:
        self._caught.__exit__(None, None, None)


# -- which sink a URL means -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["stats.txt", "stats", "", "nosuch:thing"])
def test_what_is_no_sink_lists_those_there_are(to: str) -> None:
    with pytest.raises(ConfigurationError, match=r'expected.*"sqlite:///stats.db"|Expected "-"'):
        sink_for(to)


def test_a_url_may_be_a_reference(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WHERE", f"sqlite:///{tmp_path}/x.db")
    assert sink_for("env:WHERE").describe() == f"sqlite:///{tmp_path}/x.db"


def test_no_password_is_ever_said() -> None:
    sink = sink_for("postgresql://me:pa55@127.0.0.1:1/x?table=t")
    assert "pa55" not in sink.describe()
    assert "pa55" not in redacted("postgresql://me:pa55@h/x?sslpassword=q")
    target = Target(name="t", dimensions=("page",), metrics=("views",), declared=True, tz=UTC)
    sink.open(target)
    with pytest.raises(SinkError) as raised:
        sink.stored(target)
    assert "pa55" not in str(raised.value)


def test_a_driver_that_is_missing_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    sink = sink_for("postgresql://me@127.0.0.1:1/x")
    with pytest.raises(MissingExtra, match=r'pip install "analytical\[postgresql\]"'):
        sink.open(Target(name="t"))


@pytest.mark.parametrize(
    ("module", "needs", "extra"),
    [("sql", "sqlalchemy", "sql"), ("parquet", "pyarrow", "parquet"), ("dlt", "dlt", "dlt")],
)
def test_a_sink_without_its_extra_says_what_to_type(
    monkeypatch: pytest.MonkeyPatch, module: str, needs: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, needs, None)
    monkeypatch.delitem(sys.modules, f"analytical.collect.sinks.{module}", raising=False)
    with pytest.raises(MissingExtra, match=rf'pip install "analytical\[{extra}\]"'):
        importlib.import_module(f"analytical.collect.sinks.{module}")


def test_what_is_no_url_path_or_callable_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"to=int: expected a URL, a path or a callable"):
        sink_for(5)
    with pytest.raises(ConfigurationError, match='to="://x" is no database URL'):
        sink_for("://x")
    with pytest.raises(ConfigurationError, match=r'to="postgresql://me:\*\*\*@h:abc/db" is no address') as raised:
        sink_for("postgresql://me:pa55@h:abc/db")
    assert "pa55" not in str(raised.value)
    with pytest.raises(ConfigurationError, match="unexpected keyword argument 'into'"):
        sink_for("sqlite:///stats.db", options={"into": "t"})


def test_a_sink_of_yours_that_cannot_be_made_shows_its_own_fault() -> None:
    class Odd(Sink):
        def __init__(self, to: str) -> None:
            raise TypeError("a fault of its own")

    SINKS.register("odd", Odd)
    try:
        with pytest.raises(TypeError, match="a fault of its own"):
            sink_for("odd://here")
    finally:
        SINKS._known.pop("odd")


def test_a_sink_of_yours_has_a_name_for_people() -> None:
    class Mine(Sink): ...

    assert Mine().describe() == "Mine"
    assert Mine().key(Target(name="t")) is None
    assert sink_for(print).describe() == "print()"
    assert sink_for(partial(print)).describe() == "partial()"


def test_a_callable_is_a_sink() -> None:
    from analytical.collect import report_for, source

    @source("two-rows")
    def two_rows(period: Any, query: Any, http: Any, id: Any) -> Iterator[dict[str, Any]]:
        yield {"a": "x", "n": 1}
        yield {"a": "y", "n": 2}

    seen: list[tuple[list[Record], Any]] = []
    report = report_for("two-rows", 1, "m", now=lambda: datetime(2025, 1, 3, tzinfo=UTC))
    report.last(2).to(lambda records, replace: seen.append((list(records), replace)))
    assert [str(period) for _, period in seen] == ["day 2025-01-01", "day 2025-01-02"]
    assert [row["n"] for row in seen[0][0]] == [1, 2]


def test_a_transport_that_never_answers_is_not_waited_for_longer_than_asked() -> None:
    class Dead:
        def send(self, request: Request, *, timeout: float | None = None) -> Response | NoResponse:
            return NoResponse(reason="refused")

        def close(self) -> None: ...

    waits: list[float] = []
    session = Session(Dead(), error=SinkError, wait=waits.append, uniform=lambda low, high: high)
    began = time.monotonic()
    with pytest.raises(SinkError, match=r"no answer \(refused\); tried 6 times"):
        push([{"_id": "a"}], "http://127.0.0.1:1/x", "t", session=session)
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert time.monotonic() - began < 2
