"""The SQLite outbox: the contract, and what only a file has: other processes, full disks, corruption, versions."""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
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
    with sqlite3.connect(path) as db:
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
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 1,)
    db.close()


def test_another_program_s_database_is_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as db:
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
