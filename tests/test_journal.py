"""The journal: framed records, a lock that dies with its process, readers that skip what is torn."""

from __future__ import annotations

import errno
import os
import signal
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytical.spool.journal import HEADER, Journal, JournalReader, frame, frames, journals

payloads = st.lists(st.binary(max_size=200).map(lambda raw: raw.replace(b"\x00", b"")), max_size=20)


def read(path: Path) -> list[bytes]:
    reader = JournalReader(path)
    try:
        return reader.read(HEADER)[0]
    finally:
        reader.close()


@given(payloads)
def test_frames_come_back_as_they_were(records: list[bytes]) -> None:
    data = b"".join(map(frame, records))
    assert frames(data) == (records, len(data), 0)


@given(payloads, st.data())
def test_a_journal_cut_anywhere_gives_whole_records_only(records: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(map(frame, records))
    cut = data.draw(st.integers(0, len(whole)))
    found, used, damaged = frames(whole[:cut])
    assert found == records[: len(found)]
    assert used <= cut
    assert damaged == 0
    more, _, _ = frames(whole[used:])
    assert found + more == records


@given(payloads, payloads, st.binary(min_size=1, max_size=50), st.data())
def test_what_follows_a_torn_record_is_found(
    before: list[bytes], after: list[bytes], torn: bytes, data: st.DataObject
) -> None:
    piece = frame(torn)[: data.draw(st.integers(1, len(frame(torn)) - 1))]
    joined = b"".join(map(frame, before)) + piece + b"".join(map(frame, after))
    found, used, _ = frames(joined, final=True)
    assert found == before + after
    assert used == len(joined)


def test_a_record_with_a_flipped_bit_is_skipped() -> None:
    data = bytearray(frame(b"one") + frame(b"two") + frame(b"three"))
    data[len(frame(b"one")) + 13] ^= 1
    found, used, damaged = frames(bytes(data))
    assert (found, used) == ([b"one", b"three"], len(data))
    assert damaged == 1


def test_a_length_out_of_a_torn_record_does_not_hold_up_the_rest() -> None:
    data = frame(b"x" * 5_000)[:20] + frame(b"next")
    assert frames(data)[0] == []  # it could still be on its way
    assert frames(data, final=True)[0] == [b"next"]
    assert frames(data + frame(b"y" * 6_000))[0] == [b"next", b"y" * 6_000]


def test_records_are_appended_for_the_owner_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "d")
    assert journal.append(b"one")
    assert journal.append(b"two")
    (name,) = journals(tmp_path / "d")
    assert read(tmp_path / "d" / name) == [b"one", b"two"]
    assert (tmp_path / "d" / name).stat().st_mode & 0o777 == 0o600
    journal.close()


def test_a_journal_is_nobody_s_when_its_owner_is_closed(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(b"one")
    reader = JournalReader(tmp_path / next(journals(tmp_path)))
    assert not reader.orphaned()
    journal.close()
    assert reader.orphaned()
    reader.close()


def test_a_journal_is_nobody_s_when_its_owner_is_killed_and_holds_what_was_appended(tmp_path: Path) -> None:
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        journal = Journal(tmp_path)
        for n in range(100):
            journal.append(b"record %d" % n)
        os.write(tell, b"x")
        signal.pause()
        os._exit(0)
    os.read(told, 1)
    reader = JournalReader(tmp_path / next(journals(tmp_path)))
    assert not reader.orphaned()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert reader.orphaned()
    assert reader.read(HEADER, final=True)[0] == [b"record %d" % n for n in range(100)]
    reader.close()
    os.close(told)
    os.close(tell)


def test_a_child_closes_its_copy_and_begins_its_own(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(b"parent")
    pid = os.fork()
    if pid == 0:
        journal.abandon()
        done = journal.append(b"child")
        os._exit(0 if done else 1)
    assert os.waitpid(pid, 0)[1] == 0
    names = list(journals(tmp_path))
    assert len(names) == 2
    found = {}
    for name in names:
        reader = JournalReader(tmp_path / name)
        found[reader.read(HEADER)[0][0]] = reader.orphaned()
        reader.close()
    assert found == {b"parent": False, b"child": True}
    journal.close()


def test_a_large_journal_is_followed_by_another_and_the_old_one_is_nobody_s(tmp_path: Path) -> None:
    journal = Journal(tmp_path, rotate=1_000)
    for n in range(30):
        assert journal.append(b"%03d" % n + b"x" * 100)
    names = list(journals(tmp_path))
    assert len(names) > 2
    orphaned = []
    records = []
    for name in names:
        reader = JournalReader(tmp_path / name)
        orphaned.append(reader.orphaned())
        records += reader.read(HEADER)[0]
        reader.close()
    assert orphaned.count(False) == 1
    assert sorted(record[:3] for record in records) == [b"%03d" % n for n in range(30)]
    journal.close()


def test_a_full_disk_is_no_and_not_an_exception(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path)
    assert journal.append(b"before")
    real = os.write

    def full(fd: int, data: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    assert not journal.append(b"lost")
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[: len(data) // 2]))
    assert not journal.append(b"torn and refused")
    monkeypatch.setattr(os, "write", real)
    assert journal.append(b"after")
    reader = JournalReader(tmp_path / next(journals(tmp_path)))
    found, end = reader.read(HEADER, final=True)
    assert found == [b"before", b"after"]
    assert end == reader.size()
    reader.close()
    journal.close()


def test_a_disk_that_is_full_at_the_start_is_no_and_later_yes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path)
    real = os.open

    def full(*args: Any, **options: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "open", full)
    assert not journal.append(b"lost")
    monkeypatch.setattr(os, "open", real)
    assert journal.append(b"kept")
    journal.close()


def test_a_record_longer_than_a_read_is_read(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(b"x" * 3_000_000)
    assert read(tmp_path / next(journals(tmp_path))) == [b"x" * 3_000_000]
    journal.close()


def test_threads_share_a_journal_without_mixing_records(tmp_path: Path) -> None:
    journal = Journal(tmp_path, rotate=20_000)

    def write(thread: int) -> None:
        for n in range(200):
            assert journal.append(b"%d-%d-" % (thread, n) + b"z" * 50)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = [record for name in journals(tmp_path) for record in read(tmp_path / name)]
    assert sorted(record.rpartition(b"-")[0] for record in records) == sorted(
        b"%d-%d" % (thread, n) for thread in range(4) for n in range(200)
    )
    journal.close()


def test_how_far_it_was_read_is_noted_in_the_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(b"one")
    reader = JournalReader(tmp_path / next(journals(tmp_path)))
    assert reader.hint() == HEADER
    _, end = reader.read(HEADER)
    reader.note(end)
    assert reader.hint() == end
    journal.append(b"two")
    assert reader.read(reader.hint())[0] == [b"two"]
    reader.close()
    journal.close()


def test_no_directory_is_no_journal(tmp_path: Path) -> None:
    assert list(journals(tmp_path / "missing")) == []


def test_with_fsync_a_record_and_the_files_name_are_on_the_disk_before_yes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bool] = []
    real = os.fsync

    def watched(fd: int) -> None:
        synced.append(stat.S_ISDIR(os.fstat(fd).st_mode))
        real(fd)

    monkeypatch.setattr(os, "fsync", watched)
    journal = Journal(tmp_path, fsync=True)
    assert journal.append(b"one")
    assert synced == [True, False]  # the directory, the record
    assert journal.append(b"two")
    assert synced == [True, False, False]
    journal.close()


def test_a_disk_that_is_full_at_the_head_leaves_no_journal_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path)
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:5]))
    assert not journal.append(b"lost")
    assert list(journals(tmp_path)) == []
    assert os.listdir(tmp_path) == []  # nor one without a name, for every hit that is refused
    monkeypatch.setattr(os, "write", real)
    assert journal.append(b"kept")
    (name,) = journals(tmp_path)
    assert read(tmp_path / name) == [b"kept"]
    journal.close()


def test_two_threads_that_begin_at_once_begin_one_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    lock = journal._opening

    class Overtaken:
        """Another thread is first, while this one waits for the lock."""

        def __enter__(self) -> None:
            lock.acquire()
            journal._opening = lock
            assert journal.append(b"first")

        def __exit__(self, *error: object) -> None:
            lock.release()

    journal._opening = Overtaken()  # type: ignore[assignment]  # a lock that lets another go first
    assert journal.append(b"second")
    (name,) = journals(tmp_path)
    assert read(tmp_path / name) == [b"first", b"second"]
    journal.close()


def test_a_file_without_a_head_is_read_from_the_first_record(tmp_path: Path) -> None:
    path = tmp_path / "torn.journal"
    path.write_bytes(b"\x1e")
    reader = JournalReader(path)
    assert reader.hint() == HEADER
    path.write_bytes(b"x" * HEADER + frame(b"one"))
    assert reader.hint() == HEADER
    assert reader.read(reader.hint())[0] == [b"one"]
    reader.close()
    reader.close()  # twice is harmless
