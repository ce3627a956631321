"""What file sinks share: a file is written beside the old one and takes its place in one step, once a run."""

from __future__ import annotations

import heapq
import os
import tempfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from ...errors import SinkError
from ..period import Period, period_at, stamp
from ..records import RESERVED, Batch, Record
from ..sink import Sink, Target

__all__ = ["FileSink", "columns_of"]

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class FileSink(Sink):
    """A file that holds the records of one report, in order of time.

    Periods are collected in a temporary file while the platform is asked. ``close`` merges them with what the file
    holds of other periods into a new file beside it, and renames that: a reader, and a run after a crash, sees the
    old file or the new one, never half of either.

    Args:
        path: the file; its directory is made if need be.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self._spool: Any = None
        self._replaced: list[Period] = []
        self._added = False

    def open(self, target: Target) -> None:
        self._spool = tempfile.TemporaryFile(buffering=1 << 18)  # noqa: SIM115 - closed by close()
        self._replaced = []
        self._added = False

    def stored(self, target: Target) -> Iterable[str] | None:
        found: set[str] = set()
        for record in self._old():
            if self._mine(record, target):
                when = str(record.get("_timestamp", ""))
                if when not in found:
                    found.add(_cell(when, target))
        return found

    def write(self, records: Batch, replace: Period | None, target: Target) -> None:
        for record in records:
            self._spool.write(_encode(record) + b"\n")
        self._added = self._added or len(records) > 0
        if replace is not None:
            self._replaced.append(replace)

    def close(self, target: Target) -> None:
        if self._spool is None:
            return
        try:
            if self._added or (self._replaced and self.path.exists()):
                self._rewrite(target)
        except OSError as error:
            raise SinkError(
                f"{self.path}: the file cannot be written ({error.strerror or type(error).__name__})"
            ) from None
        finally:
            self._spool.close()
            self._spool = None

    def _rewrite(self, target: Target) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # A link stays a link: what it points to is replaced.
        path = Path(os.path.realpath(self.path))
        part = path.with_name(f".{path.name}.part")
        # Opened for appending, so that nothing is cut off before the lock says that nobody else writes it.
        with part.open("ab", buffering=1 << 18) as out:
            _lock(out, path)
            if not _is_at(out, part):
                # The run that held the lock has ended since this was opened: it is the file itself by now, or nothing.
                raise SinkError(f"{path}: another run has just written this file; run again")
            out.truncate(0)
            if path.exists():
                os.chmod(part, path.stat().st_mode & 0o777)
            merged = heapq.merge(self._kept(target), self._new(), key=lambda record: str(record.get("_timestamp", "")))
            try:
                self.render(merged, out, target)
                out.flush()
                os.fsync(out.fileno())
                os.replace(part, path)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
        _sync_directory(path.parent)

    def _new(self) -> Iterator[Record]:
        self._spool.seek(0)
        for line in self._spool:
            yield _decode(line)

    def _kept(self, target: Target) -> Iterator[Record]:
        """Give the old records that no period of this run replaces."""
        replaced = [(stamp(period.start), stamp(period.end), period.span) for period in self._replaced]
        starts = {(start, span) for start, _, span in replaced}
        spans = {span for _, _, span in replaced}
        for record in self._old():
            if self._mine(record, target):
                when, span = str(record.get("_timestamp", "")), record.get("timeSpan")
                if (when, span) in starts:
                    continue
                if span in spans and any(a <= when < b and span == s for a, b, s in replaced):
                    continue
            yield record

    @staticmethod
    def _mine(record: Record, target: Target) -> bool:
        if target.span is not None and record.get("timeSpan") != target.span:
            return False
        return all(record.get(name) == value for name, value in target.constants.items())

    def _old(self) -> Iterator[Record]:
        if self.path.exists():
            try:
                yield from self.parse()
            except OSError as error:
                raise SinkError(
                    f"{self.path}: the file cannot be read ({error.strerror or type(error).__name__})"
                ) from None

    def parse(self) -> Iterator[Record]:
        """Give the records that the file holds."""
        raise NotImplementedError

    def render(self, records: Iterator[Record], out: Any, target: Target) -> None:
        """Write records to a file open for bytes."""
        raise NotImplementedError

    def describe(self) -> str:
        return str(self.path)

    def key(self, target: Target) -> object:
        return os.path.realpath(self.path)


def _cell(when: str, target: Target) -> str:
    """Return the start of the period that a record stands in: rows may carry a time within it."""
    if target.span is None or target.tz is None:
        return when
    try:
        found = datetime.fromisoformat(when)
    except ValueError:
        return when
    return stamp(period_at(found if found.tzinfo else found.replace(tzinfo=UTC), target.span, target.tz).start)


def columns_of(records: Iterable[Record], target: Target) -> list[str]:
    """Return the columns of records: the three that all have, what the report declares, then what came."""
    columns = dict.fromkeys((*RESERVED, *target.dimensions, *target.metrics))
    for record in records:
        columns.update(dict.fromkeys(record))
    return list(columns)


def _lock(out: Any, path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # pragma: no cover - no such thing on Windows, where an open file cannot be replaced anyway
        return
    try:
        fcntl.flock(out.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SinkError(f"{path}: another run is writing this file; let it end, or give each its own") from None


def _is_at(out: Any, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(out.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _sync_directory(directory: Path) -> None:
    try:
        handle = os.open(directory, os.O_RDONLY)
    except OSError:  # pragma: no cover - not every system opens directories
        return
    try:
        os.fsync(handle)
    except OSError:  # pragma: no cover
        return
    finally:
        os.close(handle)
