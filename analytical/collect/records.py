"""Records: how a platform's rows become plain dicts with an id of their own.

A record is ``{"_id", "_timestamp", "timeSpan", **dimensions, **metrics}``. Dimensions are text, metrics are
numbers: one rule, so that every sink stores equal rows and no column changes its type.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import blake2b
from itertools import islice
from typing import Any

import msgspec

from ..errors import ConfigurationError, DuplicateRecord, SourceError, did_you_mean
from .period import Period, stamp
from .protocol import Row

__all__ = ["RESERVED", "Batch", "Record", "Shape", "names", "record_id", "unique"]

#: A record: plain, JSON-safe, and yours.
Record = dict[str, Any]

#: Keys that every record has.
RESERVED = ("_id", "_timestamp", "timeSpan")

#: How many records of one period are held in memory; more wait in a temporary file.
HELD = 10_000

#: Records written to that file at once.
_LINES = 2_000

_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines
_decode_lines = msgspec.json.Decoder(dict[str, Any]).decode_lines
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def names(given: Mapping[str, str] | Iterable[str] | str | None, *, what: str) -> dict[str, str] | None:
    """Read ``metrics=`` or ``by=``: a mapping of the platform's names to yours, a list of names, or one name.

    Raises:
        ConfigurationError: a name is reserved, empty or given twice.
    """
    if given is None:
        return None
    if isinstance(given, str):
        table = {given: given}
    elif isinstance(given, Mapping):
        table = dict(given)
    else:
        listed = list(given)
        table = {name: name for name in listed}
        if len(table) != len(listed):
            raise ConfigurationError(f"{what}={listed!r} names something twice")
    for native, ours in table.items():
        if not isinstance(native, str) or not isinstance(ours, str) or not native or not ours:
            raise ConfigurationError(f"{what}={given!r}: expected names, such as {{'nb_visits': 'sessions'}}")
        if ours in RESERVED or ours.startswith("_"):
            raise ConfigurationError(f'{what}: "{ours}" is reserved; call {native!r} something else')
    if len({ours.lower() for ours in table.values()}) != len(table):
        raise ConfigurationError(f"{what}={given!r} gives two things one name (capitals do not tell columns apart)")
    return table


def record_id(timestamp: str, span: str, dimensions: Mapping[str, str | None]) -> str:
    """Return a record's id: a digest of everything but the metrics, the same on every run and machine.

    >>> record_id("2025-01-01T00:00:00+00:00", "day", {"device": "Desktop"})
    'ea6aff30c51f9e22baeb78e9cb6a1e79'
    """
    parts: list[str | None] = [timestamp, span]
    for name in sorted(dimensions):
        parts += (name, dimensions[name])
    return blake2b(_encode(parts), digest_size=16).hexdigest()


class Shape:
    """Turns rows into records: picks, renames, and gives every value the type of its column.

    Args:
        by: platform's name → yours; ``None``: every text is a dimension.
        metrics: platform's name → yours; ``None``: every number is a metric.
        constants: dimensions with one value, added to every record.
        numeric_text: whether text that spells a number counts as a metric where ``metrics`` is ``None``.
        text_names: names that are dimensions whatever they hold.
    """

    def __init__(
        self,
        by: Mapping[str, str] | None,
        metrics: Mapping[str, str] | None,
        constants: Mapping[str, Any] | None = None,
        *,
        numeric_text: bool = False,
        text_names: frozenset[str] = frozenset(),
    ) -> None:
        self.by = None if by is None else dict(by)
        self.metrics = None if metrics is None else dict(metrics)
        self.constants = {name: _text(value, name) for name, value in (constants or {}).items()}
        self._numeric_text = numeric_text
        self._text_names = text_names
        #: Names of the columns seen so far, in order. Dimensions first where both are declared.
        self.dimension_names: dict[str, None] = dict.fromkeys(self.constants)
        self.dimension_names.update(dict.fromkeys((self.by or {}).values()))
        self.metric_names: dict[str, None] = dict.fromkeys((self.metrics or {}).values())
        both = {name.lower() for name in self.dimension_names} & {name.lower() for name in self.metric_names}
        if both:
            raise ConfigurationError(f"{', '.join(sorted(both))}: a dimension and a metric cannot share a name")
        names(list(self.constants), what="add")

    def records(self, rows: Iterable[Row], period: Period) -> Iterator[Record]:
        """Give the records of one answer's rows.

        Raises:
            SourceError: a metric or dimension that was asked for stands in no row, or a metric is no number.
        """
        if self.by is not None and self.metrics is not None:
            yield from self._declared(rows, period)
            return
        timestamp, span = period.timestamp, period.span
        by, metrics = self.by, self.metrics
        seen: set[str] = set()
        wanted = {*(by or ()), *(metrics or ())}
        first: Row | None = None
        alike: _Alike | None = None
        for row in rows:
            if alike is not None and row.keys() == alike.keys and (record := alike.record(row)) is not None:
                yield record
                continue
            first = row if first is None else first
            seen.update(wanted.intersection(row))
            when = _when(row["_timestamp"], period) if "_timestamp" in row else timestamp
            dims: dict[str, str | None] = dict(self.constants)
            numbers: dict[str, float | None] = {}
            for native, ours in (by or {}).items():
                dims[ours] = _text(row.get(native), ours)
            for native, ours in (metrics or {}).items():
                numbers[ours] = _number(row.get(native), ours)
            self._guess(row, dims, numbers, by, metrics)
            record = {"_id": record_id(when, span, dims), "_timestamp": when, "timeSpan": span}
            record.update(dims)
            record.update(numbers)
            yield record
            alike = _Alike.of(row, dims, numbers, self, period)
        self._refuse_strangers(first, wanted - seen)

    def _declared(self, rows: Iterable[Row], period: Period) -> Iterator[Record]:
        """Do the same where all columns are known beforehand: what a million rows go through, so it is kept short."""
        timestamp, span = period.timestamp, period.span
        shared, rest, head, by = _digested(timestamp, span, self.constants, (self.by or {}).items())
        metrics = list((self.metrics or {}).items())
        base: Record = {"_id": "", "_timestamp": timestamp, "timeSpan": span, **self.constants}
        wanted = {*(self.by or ()), *(self.metrics or ())}
        seen: set[str] = set()
        first: Row | None = None
        for row in rows:
            if first is None:
                first = row
            if len(seen) < len(wanted):
                seen.update(wanted.intersection(row))
            record = base.copy()
            parts = rest.copy()
            get: Any = row.get
            for native, ours, place in by:
                value = get(native)
                if type(value) is not str or not value.isascii() or "\x00" in value:
                    value = _text(value, ours)
                record[ours] = parts[place] = value
            for native, ours in metrics:
                number = get(native)
                kind = type(number)  # keeps bool out
                if not (-_BIG < number < _BIG if kind is int else kind is float and number - number == 0.0):
                    number = _number(number, ours)
                record[ours] = number
            if "_timestamp" in row:
                record["_timestamp"] = when = _when(row["_timestamp"], period)
                digest = blake2b(_encode([when, *shared[1:], *parts]), digest_size=16)
            else:
                digest = head.copy()
                if parts:
                    digest.update(_encode(parts)[1:])
            record["_id"] = digest.hexdigest()
            yield record
        self._refuse_strangers(first, wanted - seen)

    @staticmethod
    def _refuse_strangers(first: Row | None, missing: set[str]) -> None:
        if first is not None and missing:
            have = sorted(str(key) for key in first)
            raise SourceError(
                f"no row has {', '.join(repr(name) for name in sorted(missing))}.{did_you_mean(min(missing), have)} "
                f"Rows have: {', '.join(have)[:600]}"
            )

    def _guess(
        self,
        row: Row,
        dims: dict[str, str | None],
        numbers: dict[str, float | None],
        by: Mapping[str, str] | None,
        metrics: Mapping[str, str] | None,
    ) -> None:
        for key, value in row.items():
            if (by and key in by) or (metrics and key in metrics) or key in RESERVED:
                continue
            if key in self._text_names:
                if by is None:
                    self.dimension_names.setdefault(key)
                    dims[key] = _text(value, key)
            elif metrics is None and (_is_number(value) or (self._numeric_text and _spells_number(value))):
                if key in self.dimension_names:
                    raise self._mixed(key)
                self.metric_names.setdefault(key)
                numbers[key] = _number(value, key)
            elif by is None and isinstance(value, str | date | datetime | bool):
                if key in self.metric_names:
                    raise self._mixed(key)
                self.dimension_names.setdefault(key)
                dims[key] = _text(value, key)

    @staticmethod
    def _mixed(key: str) -> SourceError:
        return SourceError(f"{key!r} is a number in one row and text in another; name it in by= or in metrics=")


class _Alike:
    """What rows with the same names and kinds of values as one that was looked at become, without looking again."""

    __slots__ = ("_base", "_by", "_head", "_metrics", "_rest", "keys")

    def __init__(
        self,
        keys: frozenset[str],
        by: list[tuple[str, str]],
        metrics: list[tuple[str, str]],
        shape: Shape,
        period: Period,
    ) -> None:
        self.keys = keys
        self._metrics = metrics
        self._base: Record = {"_id": "", "_timestamp": period.timestamp, "timeSpan": period.span, **shape.constants}
        _, self._rest, self._head, self._by = _digested(period.timestamp, period.span, shape.constants, by)

    @classmethod
    def of(
        cls,
        row: Row,
        dims: Mapping[str, str | None],
        numbers: Mapping[str, float | None],
        shape: Shape,
        period: Period,
    ) -> _Alike | None:
        """Return what to make of rows like this one; ``None`` where it holds anything but texts and numbers."""
        by, metrics = [], []
        for key, value in row.items():
            if type(value) is str and (ours := (shape.by or {}).get(key, key)) in dims:
                by.append((key, ours))
            elif type(value) in (int, float) and (ours := (shape.metrics or {}).get(key, key)) in numbers:
                metrics.append((key, ours))
            else:
                return None
        if len(by) + len(shape.constants) != len(dims) or len(metrics) != len(numbers):
            return None
        return cls(frozenset(row), by, metrics, shape, period)

    def record(self, row: Row) -> Record | None:
        """Return the record, or ``None`` where a value is of another kind."""
        record, parts = self._base.copy(), self._rest.copy()
        for native, ours, place in self._by:
            value: Any = row[native]
            if type(value) is not str:
                return None
            if not value.isascii() or "\x00" in value:
                value = _text(value, ours)
            record[ours] = parts[place] = value
        for native, ours in self._metrics:
            number: Any = row[native]
            kind = type(number)
            if not (-_BIG < number < _BIG if kind is int else kind is float and number - number == 0.0):
                return None
            record[ours] = number
        digest = self._head.copy()
        if parts:
            digest.update(_encode(parts)[1:])
        record["_id"] = digest.hexdigest()
        return record


def _digested(
    timestamp: str, span: str, constants: Mapping[str, str | None], by: Iterable[tuple[str, str]]
) -> tuple[list[str | None], list[str | None], Any, list[tuple[str, str, int]]]:
    """Prepare the digests of rows with the same dimensions, see :func:`record_id`.

    Returns:
        what all rows share; the rest, which waits for values; the digest of what they share; and for each dimension
        the platform's name, ours, and its place in the rest.
    """
    pairs = list(by)
    order = sorted({*constants, *(ours for _, ours in pairs)})
    template: list[str | None] = [timestamp, span]
    for name in order:
        template += (name, constants.get(name))
    cut = min((3 + 2 * order.index(ours) for _, ours in pairs), default=len(template))
    shared, rest = template[:cut], template[cut:]
    head = blake2b(_encode(shared)[:-1] + (b"," if rest else b"]"), digest_size=16)
    return shared, rest, head, [(native, ours, 3 + 2 * order.index(ours) - cut) for native, ours in pairs]


class Batch:
    """The records of one period, whole: a few in memory, more in a temporary file. May be iterated again.

    A sink gets a batch only when the source has given everything, so that no destination is locked, and nothing
    half-written, while a platform is being asked.
    """

    def __init__(self, records: Iterable[Record] = (), *, held: int = HELD) -> None:
        self._held: list[Record] = []
        self._file: Any = None
        self._count = 0
        source = iter(records)
        try:
            self._held = list(islice(source, held))
            self._count = len(self._held)
            while chunk := list(islice(source, _LINES)):
                if self._file is None:
                    self._file = tempfile.TemporaryFile(buffering=1 << 18)  # noqa: SIM115 - closed by close()
                    self._file.write(_encode_lines(self._held))
                    self._held = []
                self._file.write(_encode_lines(chunk))
                self._count += len(chunk)
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[Record]:
        if self._file is None:
            yield from self._held
            return
        if self._file.closed:
            raise ValueError("this batch is closed; a sink reads its records before it returns")
        self._file.seek(0)
        while lines := self._file.readlines(1 << 18):
            yield from _decode_lines(b"".join(lines))

    def __len__(self) -> int:
        return self._count

    def refuse_twins(self) -> None:
        """Look for two records with one id: a few in memory, more by sorting their ids in a temporary file.

        Raises:
            DuplicateRecord: names both records.
        """
        if self._file is None:
            for _ in unique(self):
                pass
            return
        with _temporary_database() as database:
            database.execute("CREATE TABLE ids (id TEXT)")
            database.execute("BEGIN")
            database.executemany("INSERT INTO ids VALUES (?)", ((record["_id"],) for record in self))
            found = database.execute("SELECT id FROM ids GROUP BY id HAVING count(*) > 1 LIMIT 1").fetchone()
        if found is not None:
            one, other = islice((record for record in self if record["_id"] == found[0]), 2)
            raise twins(one, other)

    def close(self) -> None:
        """Drop the temporary file. What is held in memory stays readable for a sink that kept the batch."""
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Batch:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def unique(records: Iterable[Record], *, held: int = HELD) -> Iterator[Record]:
    """Pass records on and refuse two with one id.

    Up to ``held`` ids are remembered in memory; then a temporary SQLite table, which lives on disk, takes over.

    Raises:
        DuplicateRecord: names both records.
    """
    near: dict[str, Record] = {}
    far: sqlite3.Connection | None = None
    find = "SELECT record FROM seen WHERE id = ?"
    insert = "INSERT OR IGNORE INTO seen VALUES (?, ?)"
    with ExitStack() as stack:
        for record in records:
            key = record["_id"]
            if key in near:
                raise twins(near[key], record)
            if far is not None:
                if far.execute(insert, (key, _encode(record))).rowcount == 0:
                    raise twins(_decode(far.execute(find, (key,)).fetchone()[0]), record)
            else:
                near[key] = record
                if len(near) > held:
                    far = stack.enter_context(_temporary_database())
                    far.execute("CREATE TABLE seen (id TEXT PRIMARY KEY, record BLOB) WITHOUT ROWID")
                    far.execute("BEGIN")
                    far.executemany(insert, ((key, _encode(one)) for key, one in near.items()))
                    near = {}
            yield record


@contextmanager
def _temporary_database() -> Iterator[sqlite3.Connection]:
    # "" is a private database in a temporary file, with its own small page cache.
    database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    try:
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-16000"):
            database.execute(f"PRAGMA {pragma}")
        yield database
    finally:
        database.close()


def twins(one: Record, other: Record) -> DuplicateRecord:
    """Return the error for two records with one id."""

    def show(record: Record) -> str:
        return "{" + ", ".join(f"{key}={value!r}" for key, value in record.items() if key not in RESERVED)[:300] + "}"

    return DuplicateRecord(
        f"two rows have one id, so one would overwrite the other: {show(one)} and {show(other)}; "
        "name in by= what tells them apart"
    )


_BIG = 2**63


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _spells_number(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        float(value)
    except ValueError:
        return False
    return True


def _number(value: Any, name: str) -> float | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        text = value.strip()
        try:
            value = int(text)
        except ValueError:
            try:
                value = float(text)
            except ValueError:
                raise SourceError(
                    f"the metric {name!r} is {text[:40]!r}, no number; if it is a dimension, name it in by="
                ) from None
    if isinstance(value, Decimal):
        value = int(value) if value.is_finite() and value == value.to_integral_value() else float(value)
    if not isinstance(value, int | float):
        raise SourceError(f"the metric {name!r} is a {type(value).__name__}, expected a number")
    if isinstance(value, int):
        if -_BIG < value < _BIG:
            return value
        try:
            value = float(value)
        except OverflowError:  # hundreds of digits: no number that any destination holds
            return None
    return value if float("-inf") < value < float("inf") else None


def _text(value: Any, name: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        text: str = value
    else:
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, float) and value.is_integer():
            return str(int(value))
        if isinstance(value, datetime | date):
            return value.isoformat()
        if not isinstance(value, int | float | Decimal):
            raise SourceError(f"the dimension {name!r} is a {type(value).__name__}, expected text")
        return str(value)
    if "\x00" in text:
        # A visitor can put a NUL into an address; PostgreSQL's text cannot hold one.
        text = text.replace("\x00", "\ufffd")
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    return text


def _when(value: Any, period: Period) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return stamp(datetime.fromtimestamp(value, UTC))
        except (OverflowError, ValueError, OSError):
            raise SourceError(f"_timestamp is {value!r:.40}; expected seconds since 1970") from None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise SourceError(f"_timestamp is {value[:40]!r}; expected ISO 8601 or seconds since 1970") from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime):
        raise SourceError(f"_timestamp is a {type(value).__name__}; expected a datetime, ISO 8601 or seconds")
    return stamp(value if value.tzinfo else value.replace(tzinfo=period.start.tzinfo))


#: What turns the records of a period into others; for a report's ``then=``.
Then = Callable[[Iterable[Record]], Iterable[Record]]
