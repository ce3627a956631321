"""The SQLite outbox: the contract, and what only a file has: other processes, full disks, corruption, versions."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import resource
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from analytical.errors import ConfigurationError
from analytical.spool import Spool, open_spool, sqlite
from analytical.spool.contracts import NOW, Clock, SpoolContract, make_hit
from analytical.spool.sqlite import MIGRATIONS, SqliteSpool
from analytical.verdict import DELIVERED, rejected, retry


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


@pytest.fixture(autouse=True)
def nothing_stays_open(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Many tests leave a spool as a killed process would; its connection must not outlive the test."""
    made: list[SqliteSpool] = []
    begin = SqliteSpool.__init__

    def noted(self: SqliteSpool, *args: Any, **options: Any) -> None:
        begin(self, *args, **options)
        made.append(self)

    monkeypatch.setattr(SqliteSpool, "__init__", noted)
    yield
    for spool in made:
        if spool._db is not None:
            spool._db.close()


def opened(path: Path, clock: Clock | None = None, **options: Any) -> SqliteSpool:
    clock = clock or Clock()
    spool = SqliteSpool(path, monotonic=clock, clock=clock, **options)
    spool.attach("web")
    return spool


def take(spool: SqliteSpool, limit: int = 100, now: float = NOW) -> list[Any]:
    return spool.take(limit, now, to="web")


class TestSqliteSpool(SpoolContract):
    durable = True

    @pytest.fixture
    def spool(self, clock: Clock, path: Path) -> Iterator[Spool]:
        spool = SqliteSpool(path, monotonic=clock, clock=clock)
        yield spool
        spool.close()

    def reopen(self, spool: Spool) -> Spool:
        assert isinstance(spool, SqliteSpool)
        return SqliteSpool(spool.path, monotonic=spool._monotonic, clock=spool._clock)

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.tmp_path = tmp_path

    def small(self, hits: int) -> Spool:
        clock = Clock()

        class Watched(SqliteSpool):
            """Counts at every put: the limit is otherwise looked at once a second."""

            def put(self, to: str, hit: Any) -> bool:
                self._gather()
                self._check_room()
                return super().put(to, hit)

        return Watched(self.tmp_path / "small.db", hits=hits, monotonic=clock, clock=clock)


def test_everything_is_readable_by_its_owner_alone(path: Path) -> None:
    spool = opened(path)
    spool.put("web", make_hit())
    take(spool)
    for file in [path, *path.with_name("outbox.db.d").iterdir()]:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE(path.with_name("outbox.db.d").stat().st_mode) == 0o700
    spool.close()


def test_no_address_and_no_secret_is_on_disk_beside_the_hits(path: Path) -> None:
    spool = opened(path)
    spool.put("web", make_hit())
    journal = next(path.with_name("outbox.db.d").glob("*.journal")).read_bytes()
    assert b'{"v":1,"to":"web","hit":{' in journal
    spool.close()


def test_a_put_does_not_touch_the_database(path: Path) -> None:
    spool = opened(path)
    spool._lock = None  # type: ignore[assignment]  # whoever asks for it fails
    assert spool.put("web", make_hit())


def test_one_of_two_spools_uploads_and_the_other_takes_over_when_it_closes(path: Path) -> None:
    clock = Clock()
    first, second = opened(path, clock), opened(path, clock)
    first.put("web", make_hit(1))
    second.put("web", make_hit(2))
    clock.tick(1)
    assert {entry.hit.url[-1] for entry in take(first)} == {"1", "2"}
    assert not second.uploads("web")
    assert take(second) == []
    first.close()  # without having settled: due at once for the next
    clock.tick(1)
    assert second.uploads("web")
    assert {entry.hit.url[-1] for entry in take(second)} == {"1", "2"}
    second.close()


def test_destinations_have_uploaders_of_their_own(path: Path) -> None:
    clock = Clock()
    first, second = opened(path, clock), opened(path, clock)
    second.attach("shop")
    assert first.uploads("web")
    assert second.uploads("shop")
    first.put("web", make_hit(1))
    second.put("shop", make_hit(2))
    assert [e.hit.url[-1] for e in second.take(9, NOW, to="shop")] == ["2"]
    assert [e.hit.url[-1] for e in take(first)] == ["1"]
    first.close()
    second.close()


def test_hits_for_a_destination_that_nobody_knows_wait(path: Path) -> None:
    first = SqliteSpool(path)
    first.attach("former")
    first.put("former", make_hit())
    first.close()
    second = opened(path)
    assert take(second) == []
    second.attach("former")
    assert len(second.take(9, NOW, to="former")) == 1
    second.close()


def test_the_ledger_is_the_outbox_s_own_and_counts_what_other_processes_do(path: Path) -> None:
    clock = Clock()
    first, second = opened(path, clock), opened(path, clock)
    second.put("web", make_hit())
    assert second.stats("web") == first.stats("web") == {
        "accepted": 1, "delivered": 0, "unconfirmed": 0, "rejected": 0, "expired": 0, "dropped": 0, "pending": 1,
    }  # fmt: skip
    first.settle(take(first), [DELIVERED], NOW)
    assert second.stats("web") == first.stats("web") == {
        "accepted": 1, "delivered": 1, "unconfirmed": 0, "rejected": 0, "expired": 0, "dropped": 0, "pending": 0,
    }  # fmt: skip
    first.close()
    second.close()


def test_journals_are_removed_when_their_process_is_gone_and_they_are_read(path: Path) -> None:
    clock = Clock()
    first, second = opened(path, clock), opened(path, clock)
    first.put("web", make_hit())
    second.put("web", make_hit())
    second.close()
    clock.tick(1)
    assert len(take(first)) == 2
    assert len(list(first.directory.glob("*.journal"))) == 1
    first.close()
    assert list(first.directory.glob("*.journal")) == []


def test_a_journal_that_another_process_removed_is_not_held_open(path: Path) -> None:
    clock = Clock()
    first, second, gone = opened(path, clock), opened(path, clock), opened(path, clock)
    second.attach("shop")
    gone.put("web", make_hit())
    take(first)
    second.take(1, NOW, to="shop")
    assert len(second._readers) == 1
    gone.close()
    clock.tick(1)
    take(first)  # and removes it
    second.take(1, NOW, to="shop")
    assert second._readers == {}
    first.close()
    second.close()


def test_a_business_key_counts_once_in_the_window_whatever_process_sends_it(path: Path) -> None:
    clock = Clock()
    spool = opened(path, clock)
    hit = make_hit(keyed=True)
    spool.put("web", hit)
    spool.put("web", hit)
    spool.settle(take(spool), [DELIVERED], NOW)
    spool.close()
    again = opened(path, clock)
    again.put("web", hit)
    assert take(again) == []
    again.put("web", hit)
    assert len(take(again, now=NOW + 86_401)) == 1
    again.close()


def test_a_rejected_key_may_try_again(path: Path) -> None:
    spool = opened(path)
    hit = make_hit(keyed=True)
    spool.put("web", hit)
    spool.settle(take(spool), [rejected("no")], NOW)
    spool.put("web", hit)
    assert len(take(spool)) == 1
    spool.close()


def test_hits_older_than_the_age_cap_expire_and_are_told(path: Path) -> None:
    lost: list[str] = []
    spool = opened(path, age=100.0)
    spool.put("web", make_hit())
    take(spool)
    spool.close()
    again = opened(path, age=100.0)
    again.attach("web", lost=lambda to, hit, state, reason: lost.append(f"{state}: {reason}"))
    assert take(again, now=NOW + 101) == []
    assert lost == ["expired: age"]
    stats = again.stats("web")
    assert stats is not None
    assert (stats["expired"], stats["pending"]) == (1, 0)
    again.close()


# -- what an operator does ----------------------------------------------------------------------------------------


def test_rejected_hits_are_dead_letters_that_can_be_replayed(path: Path) -> None:
    spool = opened(path)
    hit = make_hit()
    spool.put("web", hit)
    spool.settle(take(spool), [rejected("http 400")], NOW)
    ((entry, state, reason),) = spool.dead()
    assert (entry.hit, entry.to, state, reason) == (hit, "web", "rejected", "http 400")
    assert spool.replay(to="web") == 1
    assert spool.dead() == []
    assert [entry.hit for entry in take(spool)] == [hit]
    spool.close()


def test_an_operator_sees_what_waits_and_can_purge_it(path: Path) -> None:
    spool = opened(path)
    for n in range(5):
        spool.put("web", make_hit(n))
    assert [entry.hit.url[-1] for entry in spool.peek(2)] == ["0", "1"]
    (row,) = spool.status()
    assert (row["to"], row["pending"], row["dead"]) == ("web", 5, 0)
    assert spool.purge(to="web") == 5
    stats = spool.stats("web")
    assert stats is not None
    assert (stats["accepted"], stats["dropped"], stats["pending"]) == (5, 5, 0)
    spool.close()


def test_a_purge_beside_a_running_worker_keeps_the_books(path: Path) -> None:
    clock = Clock()
    worker, operator = opened(path, clock), opened(path, clock)
    for n in range(4):
        worker.put("web", make_hit(n))
    entries = take(worker)
    assert operator.purge() == 4
    worker.settle(entries, [DELIVERED] * 4, NOW)
    stats = worker.stats("web")
    assert stats is not None
    assert stats["accepted"] == stats["dropped"] == 4
    assert stats["pending"] == 0
    worker.close()
    operator.close()


def test_what_an_operator_purges_a_running_worker_sends_no_more(path: Path) -> None:
    clock = Clock()
    worker, operator = opened(path, clock), opened(path, clock)
    for n in range(4):
        worker.put("web", make_hit(n))
    away = take(worker, 2)
    assert worker.settle(away[:1], [retry(5.0)], NOW) == [True]
    assert operator.purge() == 4
    clock.tick(1)
    assert take(worker, now=NOW + 10) == []
    worker.settle(away[1:], [DELIVERED], NOW)  # it was on its way
    counts = balanced(worker)
    assert (counts["dropped"], counts["delivered"], counts["pending"]) == (4, 0, 0)
    worker.close()
    operator.close()


def test_due_times_survive_a_restart_and_can_be_called_off(path: Path) -> None:
    spool = opened(path)
    spool.put("web", make_hit())
    spool.settle(take(spool), [retry(30.0)], NOW)
    spool.close()
    again = opened(path)
    assert take(again, now=NOW + 1) == []
    again.close()
    operator = opened(path)
    assert operator.retry() == 1
    operator.close()
    last = opened(path)
    assert take(last, now=NOW + 1)[0].attempts == 1
    last.close()


# -- what the world does ------------------------------------------------------------------------------------------


def test_a_corrupt_file_is_set_aside_and_said(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.write_bytes(b"this is no database" * 1_000)
    with caplog.at_level(logging.ERROR, "analytical"):
        spool = opened(path)
    assert spool.put("web", make_hit())
    assert len(take(spool)) == 1
    (aside,) = path.parent.glob("outbox.db.corrupt-*")
    assert aside.name in caplog.text
    assert "set aside" in caplog.text
    spool.close()


def test_a_file_that_breaks_under_way_costs_nothing_that_can_be_read(path: Path) -> None:
    spool = opened(path)
    for n in range(2_000):
        spool.put("web", make_hit(n))
    take(spool)
    spool.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size * 3 // 4 // 4096 * 4096)
        file.write(os.urandom(4096))
    again = opened(path)
    again.put("web", make_hit(9_999))
    found: set[str] = set()
    for _ in range(100):
        entries = take(again)
        found.update(entry.hit.url for entry in entries)
        again.settle(entries, [DELIVERED] * len(entries), NOW)
    assert len(found) > 1_000
    assert "https://example.com/9999" in found
    stats = again.stats("web")
    assert stats is not None
    assert stats["accepted"] == sum(count for state, count in stats.items() if state != "accepted")
    again.close()


def test_another_process_notices_that_the_file_was_set_aside(path: Path) -> None:
    clock = Clock()
    spool = opened(path, clock)
    spool.put("web", make_hit(1))
    spool.settle(take(spool), [DELIVERED], NOW)
    for file in path.parent.glob("outbox.db*"):
        if file.is_file():
            file.rename(file.with_name("old-" + file.name))
    clock.tick(1)
    spool.put("web", make_hit(2))
    assert [entry.hit.url[-1] for entry in take(spool)] == ["2"]
    spool.close()


def test_a_database_that_cannot_be_written_loses_nothing(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    spool = opened(path, clock)
    assert take(spool) == []
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    spool._db.execute("PRAGMA busy_timeout=10")  # type: ignore[union-attr]  # opened by take()
    assert spool.put("web", make_hit())
    assert take(spool) == []
    assert "cannot be written" in caplog.text
    blocker.execute("ROLLBACK")
    blocker.close()
    clock.tick(1)
    assert len(take(spool)) == 1
    spool.close()


def test_a_delivery_that_could_not_be_written_down_is_written_later_and_not_repeated(path: Path) -> None:
    clock = Clock()
    spool = opened(path, clock)
    spool.put("web", make_hit())
    entries = take(spool)
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    spool._db.execute("PRAGMA busy_timeout=10")  # type: ignore[union-attr]  # opened by take()
    assert spool.settle(entries, [DELIVERED], NOW) == [True]
    assert take(spool) == []
    blocker.execute("ROLLBACK")
    blocker.close()
    spool.close()
    again = opened(path, clock)
    assert take(again) == []
    again.close()


def test_a_newer_schema_is_refused_in_words(path: Path) -> None:
    opened(path).close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(ConfigurationError, match="newer version"):
        opened(path)


def test_an_older_schema_is_brought_up_and_keeps_its_hits(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = opened(path)
    spool.put("web", make_hit())
    take(spool)
    spool.close()
    monkeypatch.setattr(sqlite, "MIGRATIONS", (*MIGRATIONS, ("ALTER TABLE dead ADD COLUMN operator TEXT",)))
    again = opened(path)
    assert len(take(again)) == 1
    again.close()
    with closing(sqlite3.connect(path)) as db, db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 1,)
    db.close()


def test_another_program_s_database_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE customers(name)")
    db.close()
    with pytest.raises(ConfigurationError, match="another program"):
        opened(path)


def test_a_directory_is_no_outbox(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="path of a file"):
        SqliteSpool(tmp_path)


def test_open_spool_takes_a_path_and_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    relative = open_spool("sqlite:///a.db?hits=7&fsync=1")
    assert isinstance(relative, SqliteSpool)
    assert (relative.path, relative.hits) == (tmp_path / "a.db", 7)
    absolute = open_spool(f"sqlite:///{tmp_path}/b.db")
    assert isinstance(absolute, SqliteSpool)
    assert absolute.path == tmp_path / "b.db"
    plain = open_spool("c.db")
    assert isinstance(plain, SqliteSpool)
    assert plain.path == tmp_path / "c.db"


def test_nothing_is_made_before_it_is_needed(path: Path) -> None:
    SqliteSpool(path)
    assert not path.exists()


def test_fsync_is_asked_for_when_it_is_paid_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    spool = opened(path)
    spool.put("web", make_hit())
    spool.close()
    assert synced == []
    spool = opened(path.with_name("other.db"), fsync=True)
    spool.put("web", make_hit())
    spool.close()
    assert len(synced) >= 1


def test_the_log_carries_no_hit(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        spool = opened(path, hits=1)
        for _ in range(3):
            spool.put("web", make_hit(title="Marker-in-title"))
            spool.settle(entries := take(spool), [rejected("no")] * len(entries), NOW)
            spool._check_room()
        spool.close()
    assert "Marker" not in caplog.text
    assert "example.com" not in caplog.text


# -- a file that breaks in other ways -----------------------------------------------------------------------------


@contextmanager
def full_disk(size: int = 0) -> Iterator[None]:
    """Let no file of this process grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))  # Python ignores the signal, and the write fails
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def operate(path: Path, *statements: str) -> None:
    """Do something to the file behind the spool's back."""
    db = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        db.execute(statement)
    db.close()


def urls(entries: list[Any]) -> list[str]:
    return [entry.hit.url.rsplit("/", 1)[1] for entry in entries]


def balanced(spool: SqliteSpool) -> dict[str, int]:
    stats = spool.stats("web")
    assert stats is not None
    assert stats["accepted"] == sum(count for state, count in stats.items() if state != "accepted")
    return stats


def test_a_full_disk_refuses_hits_and_opens_when_there_is_room(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with full_disk():
        spool = opened(path)
        assert not spool.put("web", make_hit(1))
        assert spool.waiting("web") == 0
    assert "cannot be written" in caplog.text
    assert spool.put("web", make_hit(2))
    assert urls(take(spool)) == ["2"]
    assert balanced(spool)["dropped"] == 1
    spool.close()


def test_a_disk_that_is_full_for_a_while_loses_no_verdict_and_no_count(path: Path) -> None:
    clock = Clock()
    spool = opened(path, clock)
    for n in range(50):
        spool.put("web", make_hit(n))
    entries = take(spool)
    with full_disk():
        assert spool.settle(entries, [DELIVERED] * 50, NOW) == [True] * 50
        spool._sweep(NOW)
        assert take(spool) == []
    spool.settle([], [], NOW)
    assert (balanced(spool)["delivered"], balanced(spool)["pending"]) == (50, 0)
    spool.close()


@pytest.mark.parametrize("table", ["journals", "hits", "ledger", "destinations", "keys", "dead"])
def test_a_table_that_is_gone_stops_nothing(path: Path, table: str, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    spool = opened(path, clock)
    spool.put("web", make_hit(1))
    spool.settle(take(spool), [DELIVERED], NOW)
    operate(path, f"DROP TABLE {table}")
    clock.tick(61)
    spool.put("web", make_hit(2, keyed=True))
    seen: list[Any] = []
    for _ in range(3):
        entries = take(spool)
        seen += entries
        spool.settle(entries, [DELIVERED] * len(entries), NOW)
    assert urls(seen) == ["2"]
    assert balanced(spool)["pending"] == 0
    assert "set aside" in caplog.text
    spool.close()


def test_a_table_that_is_gone_is_noticed_by_who_counts(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    first, second = opened(path, clock), opened(path, clock)
    assert first.uploads("web")
    first.put("web", make_hit())
    operate(path, "DROP TABLE ledger")
    assert not second.uploads("web")  # looks for room, and cannot
    assert not second._full
    assert second.waiting("web") == 0  # what was known before
    assert "set aside" in caplog.text
    assert second.waiting("web") == 1
    first.close()
    second.close()


@pytest.mark.parametrize("finder", ["worker", "operator", "nobody"])
def test_what_was_delivered_when_the_file_broke_is_neither_sent_again_nor_taken_for_another(
    path: Path, finder: str
) -> None:
    clock = Clock()
    worker, operator = opened(path, clock), opened(path, clock)
    worker.put("web", make_hit(0))
    worker.settle(take(worker), [DELIVERED], NOW)
    for n in (1, 2, 3, 4):
        worker.put("web", make_hit(n))
    one, two, _, _ = take(worker)
    operate(path, "DROP TABLE ledger")  # from here on the numbers of rows are others
    if finder == "operator":
        operator.waiting("web")
    elif finder == "nobody":
        for file in path.parent.glob("outbox.db*"):
            if file.is_file():
                file.unlink()
    assert worker.settle([one, two], [DELIVERED, retry(1.0)], NOW) == [True, True]
    clock.tick(2)
    found = urls(take(worker, now=NOW + 2))
    assert sorted(found) == ([] if finder == "nobody" else ["2", "3", "4"])
    worker.close()
    operator.close()


def test_hits_on_a_broken_page_are_stepped_over_and_those_around_it_saved(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = opened(path)
    for n in range(600):
        spool.put("web", make_hit(n, title=f"marker-{n:04}"))
    take(spool)
    spool.close()
    data = path.read_bytes()
    page = data.index(b"marker-0300") // 4096 * 4096
    with path.open("r+b") as file:
        file.seek(page)
        file.write(b"\xa5" * 4096)
    again = opened(path)
    seen: set[str] = set()
    for _ in range(12):
        entries = take(again)
        seen.update(urls(entries))
        again.settle(entries, [DELIVERED] * len(entries), NOW)
    assert "300" not in seen
    assert {"0", "599"} <= seen
    assert len(seen) > 550
    assert f"{len(seen)} hits that waited in" in caplog.text
    assert balanced(again)["pending"] == 0
    again.close()


def test_a_table_of_which_nothing_can_be_read_is_given_up(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = opened(path)
    spool.put("web", make_hit(1))
    take(spool)
    spool.close()
    db = sqlite3.connect(path)
    (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name='hits'").fetchone()
    db.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xa5" * 4096)
    again = opened(path)
    again.put("web", make_hit(2))
    assert urls([*take(again), *take(again)]) == ["2"]  # set aside by the first
    assert "set aside" in caplog.text
    assert "could be read" not in caplog.text
    again.close()


def test_a_broken_file_without_its_list_of_destinations_gives_back_nothing(path: Path) -> None:
    spool = opened(path)
    spool.put("web", make_hit(1))
    take(spool)
    spool.close()
    operate(path, "DROP TABLE destinations")
    again = opened(path)
    assert take(again) == []
    again.put("web", make_hit(2))
    assert urls(take(again)) == ["2"]
    again.close()


def test_one_hit_that_is_saved_is_said_in_the_singular_and_a_broken_one_is_left(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = opened(path)
    for n in (1, 2):
        spool.put("web", make_hit(n))
    take(spool)
    spool.close()
    operate(path, "UPDATE hits SET body=x'00' WHERE seq=2", "DROP TABLE ledger")
    again = opened(path)
    assert urls(take(again)) == ["1"]
    assert "1 hit that waited in outbox.db.corrupt-" in caplog.text
    again.close()


def test_somebody_who_hangs_in_the_middle_of_a_repair_stops_nobody_for_ever(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    hasty = SimpleNamespace(wait=waited.append)
    monkeypatch.setattr(sqlite, "threading", SimpleNamespace(RLock=threading.RLock, Event=lambda: hasty))
    directory = path.with_name("outbox.db.d")
    directory.mkdir()
    path.write_bytes(b"this is no database" * 1_000)
    with (directory / "schema.lock").open("w") as schema, (directory / "repair.lock").open("w") as repair:
        fcntl.flock(schema, fcntl.LOCK_EX)
        fcntl.flock(repair, fcntl.LOCK_EX)
        spool = opened(path)
        spool.put("web", make_hit(1))
        assert urls(take(spool)) == ["1"]
    assert 4.0 < sum(waited) < 20.0  # seconds, had they been waited
    spool.close()


def test_a_place_that_is_no_directory_refuses_hits_and_says_so(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.with_name("outbox.db.d").write_text("somebody's file")
    clock = Clock()
    spool = opened(path, clock)
    assert not spool.put("web", make_hit())
    clock.tick(2)
    assert take(spool) == []
    assert spool.waiting("web") == 0
    assert "locks cannot be made: FileExistsError" in caplog.text
    assert "cannot be read: NotADirectoryError" in caplog.text
    spool.close()


@pytest.mark.parametrize("opened_before", [True, False])
def test_a_process_without_a_free_descriptor_waits_until_it_has_one(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, opened_before: bool
) -> None:
    spool = opened(path)
    spool.put("web", make_hit(1))
    batch = take(spool)
    spool.put("web", make_hit(2))
    if not opened_before:
        assert spool._db is not None
        spool._db.close()
        spool._db = None

    def none_left(*args: Any, **options: Any) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", none_left)
        patch.setattr(os, "scandir", none_left)
        assert take(spool) == []
        assert spool.settle(batch, [DELIVERED], NOW) == [True]
        assert take(spool) == []
    assert caplog.text.count("cannot be read: OSError") == 1
    assert urls(take(spool)) == ["2"]
    counts = balanced(spool)
    assert (counts["delivered"], counts["pending"]) == (1, 1)
    spool.close()


def test_a_directory_among_the_journals_hides_no_hits(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = opened(path)
    spool.put("web", make_hit(1))
    (spool.directory / "stray.journal").mkdir()
    assert urls(take(spool)) == ["1"]
    assert "a journal cannot be read: IsADirectoryError" in caplog.text
    spool.close()


def test_a_journal_that_another_process_has_just_removed_is_none(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = opened(path)
    spool.put("web", make_hit(1))
    there = sqlite.journals
    monkeypatch.setattr(sqlite, "journals", lambda directory: iter(["gone.journal", *there(directory)]))
    assert spool.waiting("web") == 1
    assert [row["to"] for row in spool.status()] == ["web"]
    assert urls(take(spool)) == ["1"]
    spool.close()


def test_a_journal_that_gets_its_name_meanwhile_is_no_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = Path.glob
    monkeypatch.setattr(Path, "glob", lambda self, pattern: [self / ".gone.journal", *there(self, pattern)])
    spool = opened(path)
    assert [row["to"] for row in spool.status()] == []
    spool.close()


def test_records_that_are_no_hits_are_skipped_and_said_without_their_content(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = opened(path)
    for record in (b"Marker", b'{"v":2,"to":"web","hit":{"id":"Marker"}}', b'{"v":1,"to":"web","hit":"Marker"}'):
        spool._journal.append(record)
    spool.put("web", make_hit(1))
    assert urls(take(spool)) == ["1"]
    assert "no hit of a known version, and is skipped" in caplog.text
    assert "Marker" not in caplog.text
    assert balanced(spool)["accepted"] == 1
    spool.close()


def test_a_hit_of_a_newer_version_waits_for_it(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = opened(path)
    spool.put("web", make_hit(1))
    take(spool)
    spool.close()
    operate(path, """UPDATE hits SET body=replace(body, '{"v":1', '{"v":2')""", """UPDATE hits SET body='{"v":2}'""")
    again = opened(path)
    assert again.peek() == []
    assert take(again) == []
    assert again.waiting("web") == 1
    assert "newer version of analytical, and waits for it" in caplog.text
    again.close()


def test_a_journal_without_a_name_is_removed_when_it_is_old(path: Path) -> None:
    directory = path.with_name("outbox.db.d")
    directory.mkdir()
    for name, age in (("old", 3_700), ("young", 3_500)):
        file = directory / f".{name}.journal"
        file.touch()
        os.utime(file, (NOW - age, NOW - age))
    spool = opened(path)
    assert sorted(file.name for file in directory.glob(".*")) == [".young.journal"]
    spool.close()


def test_a_new_schema_that_fails_half_way_leaves_the_old_one(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    spool = opened(path)
    spool.put("web", make_hit(1))
    take(spool)
    spool.close()
    step = ("ALTER TABLE dead ADD COLUMN operator TEXT", "CREATE TABLE dead(once_more TEXT)")
    with monkeypatch.context() as newer:
        newer.setattr(sqlite, "MIGRATIONS", (*MIGRATIONS, step))
        opened(path).close()
    assert "cannot be written: table dead already exists" in caplog.text
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    assert "operator" not in [row[1] for row in db.execute("PRAGMA table_info(dead)")]
    db.close()
    again = opened(path)
    assert urls(take(again)) == ["1"]
    again.close()


# -- small things -------------------------------------------------------------------------------------------------


def test_a_hit_for_a_destination_new_to_a_busy_file_waits(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    spool = opened(path, clock)
    spool.names()
    spool.attach("shop")
    assert spool.uploads("shop")
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    spool._db.execute("PRAGMA busy_timeout=10")  # type: ignore[union-attr]  # opened by names()
    assert spool.take(9, NOW, to="shop") == []
    assert "cannot be written: database is locked" in caplog.text
    blocker.execute("ROLLBACK")
    blocker.close()
    spool.put("shop", make_hit(1))
    assert urls(spool.take(9, NOW, to="shop")) == ["1"]
    spool.close()


def test_two_threads_that_begin_at_once_do_not_take_a_hit_twice(path: Path) -> None:
    asked = threading.Event()
    main = threading.get_ident()
    clock = Clock()

    def monotonic() -> float:
        if threading.get_ident() != main:
            asked.set()  # the other thread has seen that nobody uploads, and goes for the lock
        return clock()

    spool = SqliteSpool(path, monotonic=monotonic, clock=clock)
    spool.attach("web")
    spool.put("web", make_hit(1))
    said: list[bool] = []
    other = threading.Thread(target=lambda: said.append(spool.uploads("web")))
    with spool._lock:
        other.start()
        assert asked.wait(10)
        assert urls(take(spool)) == ["1"]
    other.join(10)
    assert said == [True]
    assert take(spool) == []
    spool.close()


def test_a_destination_that_nobody_attached_is_no_error(path: Path) -> None:
    spool = opened(path)
    spool.detach("nobody")
    assert spool.stats("nobody") is None
    assert spool.waiting("nobody") == 0
    assert len(spool) == 0
    assert bool(spool)  # an empty spool is a spool
    assert spool.remains("web") == []  # what is on disk is nobody's to give up
    spool.close()


def test_a_hit_that_comes_after_the_end_is_kept(path: Path) -> None:
    spool = opened(path)
    spool.close()
    assert spool.put("web", make_hit(1))
    spool.close()
    again = opened(path)
    assert urls(take(again)) == ["1"]
    again.close()


def test_a_fork_that_has_waited_long_enough_goes_on(path: Path) -> None:
    spool = opened(path)
    held = spool._lock
    spool._lock = SimpleNamespace(acquire=lambda timeout: False)  # type: ignore[assignment]  # another thread has it
    spool.before_fork()
    assert take(spool) == []
    spool.after_fork()
    spool._lock = held
    spool.put("web", make_hit(1))
    assert urls(take(spool)) == ["1"]
    spool.close()


def test_a_dead_letter_whose_hit_came_again_is_replayed_into_it(path: Path) -> None:
    spool = opened(path)
    hit = make_hit(1)
    spool.put("web", hit)
    spool.settle(take(spool), [rejected("no")], NOW)
    spool.put("web", hit)
    assert urls(take(spool)) == ["1"]
    assert spool.replay() == 1
    assert spool.dead() == []
    assert (balanced(spool)["accepted"], balanced(spool)["pending"]) == (2, 1)
    spool.close()


def test_a_long_journal_is_filed_piece_by_piece_and_in_order(path: Path) -> None:
    spool = opened(path)
    for n in range(600):
        spool.put("web", make_hit(n, title="x" * 2_000))
    assert len(take(spool, 1)) == 1
    (filed,) = spool._db.execute("SELECT count(*) FROM hits").fetchone()  # type: ignore[union-attr]  # opened by take()
    assert 400 < filed < 600  # a megabyte
    seen = ["0"]
    while entries := take(spool):
        seen += urls(entries)
    assert seen == [str(n) for n in range(600)]
    assert spool.waiting("web") == 600
    spool.close()


def test_no_more_than_a_window_of_hits_is_kept_in_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_WINDOW", 4)
    monkeypatch.setattr(sqlite, "_CHUNK", 4)
    spool = opened(path)
    for n in range(10):
        spool.put("web", make_hit(n))
    first = take(spool)
    assert urls(first) == ["0", "1", "2", "3"]
    assert take(spool) == []  # until some of those are settled
    spool.settle(first, [DELIVERED] * 4, NOW)
    assert urls(take(spool)) == ["4", "5", "6", "7"]
    spool.close()


def test_an_id_that_is_no_uuid_counts_once_too(path: Path) -> None:
    spool = opened(path)
    for _ in range(2):
        spool.put("web", make_hit(1, id="order-17"))
    assert urls(take(spool)) == ["1"]
    spool.put("web", make_hit(1, id="order-17"))
    assert take(spool) == []
    assert balanced(spool)["accepted"] == 1
    spool.close()


def test_hits_that_expire_need_nobody_to_be_told(path: Path) -> None:
    spool = opened(path, age=100.0)
    spool.put("web", make_hit())
    take(spool)
    spool.close()
    again = opened(path, age=100.0)
    assert take(again, now=NOW + 101) == []
    assert balanced(again)["expired"] == 1
    again.close()


def test_a_full_outbox_with_one_hit_says_so_in_the_singular(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = opened(path, hits=1)
    spool.put("web", make_hit())
    take(spool)
    spool._check_room()
    assert "the outbox is full: 1 hit, " in caplog.text
    spool.close()
