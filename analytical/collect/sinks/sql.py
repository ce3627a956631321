"""Any SQL database that SQLAlchemy speaks to: SQLite, PostgreSQL, MariaDB … (https://docs.sqlalchemy.org).

One transaction per period deletes what is stored of it and inserts what the platform says now, so that a repeat is
harmless, a row that is gone there vanishes here, and a crash leaves the period as it was.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from operator import itemgetter
from typing import Any, ClassVar

from ...errors import ConfigurationError, MissingExtra, SinkError
from ...retry import backoff
from ...secrets import is_reference, resolve
from ..period import Period, stamp
from ..records import RESERVED, Batch
from ..sink import Sink, Target, redacted, table_name

try:
    import sqlalchemy as sa
    from sqlalchemy import exc
    from sqlalchemy.dialects import mysql
    from sqlalchemy.schema import CreateIndex, CreateTable
except ImportError:
    raise MissingExtra("a SQL database", "sql") from None

__all__ = ["Sql"]

#: Rows per INSERT.
CHUNK = 5_000

#: How often a transaction is tried that loses against another.
ATTEMPTS = 10

#: KiB of SQLite's page cache.
CACHE = 16_000

#: Values of one statement in SQLite; 999 are the most that every version takes.
VALUES = 900

#: Times of readings in one condition.
TIMES = 500

#: The drivers that the extras install, for URLs that name none.
_DRIVERS = {
    "postgres": ("postgresql+psycopg", "postgresql"),
    "postgresql": ("postgresql+psycopg", "postgresql"),
    "mysql": ("mysql+pymysql", "mysql"),
    "mariadb": ("mariadb+pymysql", "mysql"),
}


class Sql(Sink):
    """``sqlite:///stats.db?table=devices``, ``postgresql://user@host/db``, ``mysql://…``.

    Args:
        url: as SQLAlchemy reads it.
        table: the table, made if need be; the report's name unless given. ``schema.table`` is understood.
        password: instead of one in the URL; ``env:NAME`` and the like are resolved.
    """

    finds_duplicates: ClassVar[bool] = True

    def __init__(self, url: str, *, table: str | None = None, password: str | None = None) -> None:
        try:
            self._url = sa.make_url(url)
        except exc.ArgumentError:
            raise ConfigurationError(
                f'to="{redacted(url)}" is no database URL; expected one such as "sqlite:///stats.db"'
            ) from None
        secret = password if password is not None else self._url.password
        if secret is not None:
            self._url = self._url.set(
                password=resolve(str(secret), what="password") if is_reference(secret) else secret
            )
        self._extra = "sql"
        if self._url.drivername in _DRIVERS:
            driver, self._extra = _DRIVERS[self._url.drivername]
            self._url = self._url.set(drivername=driver)
        self._wanted = table
        self._engine: sa.Engine | None = None
        self._table: sa.Table | None = None
        self._pause = threading.Event()

    def open(self, target: Target) -> None:
        sqlite = self._url.get_backend_name() == "sqlite"
        # MariaDB's default would lock the gaps between rows, and so the rows that other reports insert there.
        more = {"isolation_level": "READ COMMITTED"} if self._url.get_backend_name() in ("mysql", "mariadb") else {}
        try:
            self._engine = sa.create_engine(
                self._url,
                hide_parameters=True,
                # A writer of another report may hold the file for the length of one period.
                connect_args={"timeout": 120} if sqlite else {},
                **more,
            )
        except (ModuleNotFoundError, exc.NoSuchModuleError):
            raise MissingExtra(self._url.get_backend_name(), self._extra) from None
        if sqlite:
            # By default it is 2 MiB, which a long period's sorting and deleting would thrash.
            sa.event.listen(self._engine, "connect", lambda raw, _: raw.execute(f"PRAGMA cache_size=-{CACHE}"))
        self._table = None

    def stored(self, target: Target) -> Iterable[str] | None:
        database = self._url.database
        if self._url.get_backend_name() == "sqlite" and database and not os.path.exists(database):
            return ()  # asking would make the file
        with self._refusals("be asked what it has"):
            table = self._reflected(target)
            if table is None or any(name not in table.c for name in (*RESERVED, *target.constants)):
                return ()
            query = sa.select(table.c["_timestamp"]).where(*self._scope(table, target)).distinct()
            with self._connected() as connection:
                return [str(row[0]) for row in connection.execute(query)]

    def write(self, records: Batch, replace: Period | None, target: Target) -> None:
        columns = _columns(records, target)
        with self._refusals("make the table"):
            table = self._grown(columns, target)
        try:
            self._replace(table, list(columns), records, replace, target)
        except (exc.IntegrityError, _Twins) as error:
            records.refuse_twins()
            raise SinkError(f"{self.describe()}: refused the period: {_said(error)}") from None
        except exc.SQLAlchemyError as error:
            raise SinkError(f"{self.describe()}: the period was not stored: {_said(error)}") from None

    def _replace(
        self, table: sa.Table, columns: list[str], records: Batch, replace: Period | None, target: Target
    ) -> None:
        attempt = 0
        while True:
            attempt += 1
            try:
                with self._connected() as connection, connection.begin():
                    for within in _within(table, records, replace):
                        connection.execute(table.delete().where(*self._scope(table, target), *within))
                    self._insert(connection, table, columns, records, whole=target.declared)
                    if "_id" not in table.primary_key.columns:
                        self._refuse_twins(connection, table, records, replace, target)
                return
            except exc.OperationalError as error:
                # Other reports write to the same table; the one that lost the race begins again.
                if attempt >= ATTEMPTS or not _lost_a_race(error):
                    raise
            self._pause.wait(backoff(attempt, base=0.1, cap=2.0))

    def close(self, target: Target) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None
        self._table = None

    def describe(self) -> str:
        return redacted(self._url.render_as_string(hide_password=True))

    def key(self, target: Target) -> object:
        where = self._url.render_as_string(hide_password=True)
        return where, self._name(target), target.span, tuple(sorted(target.constants.items()))

    def _refuse_twins(
        self, connection: sa.Connection, table: sa.Table, records: Batch, replace: Period | None, target: Target
    ) -> None:
        key = table.c["_id"]
        for within in _within(table, records, replace):
            ids = sa.select(key).where(*self._scope(table, target), *within).group_by(key)
            if connection.execute(ids.having(sa.func.count() > 1).limit(1)).first() is not None:
                raise _Twins("two records have one id")

    @staticmethod
    def _insert(connection: sa.Connection, table: sa.Table, columns: list[str], records: Batch, *, whole: bool) -> None:
        insert = table.insert().values({name: sa.bindparam(f"p{number}") for number, name in enumerate(columns)})
        compiled = insert.compile(dialect=connection.dialect)
        order = [columns[int(name[1:])] for name in compiled.positiontup or ()]
        if not order:
            rows = ({f"p{number}": record.get(name) for number, name in enumerate(columns)} for record in records)
            while chunk := list(islice(rows, CHUNK)):
                connection.execute(insert, chunk)
            return
        # Values are text and numbers only, so a driver with positions takes them as they are: half the time per row.
        text = str(compiled)
        plain: Iterator[tuple[Any, ...]]
        if whole:  # every record has every column
            plain = map(itemgetter(*order), records)
        else:
            plain = (tuple([record.get(name) for name in order]) for record in records)
        several = max(1, VALUES // len(order)) if connection.dialect.name == "sqlite" else 1
        if several > 1:
            # Rows of one statement go into an index side by side, without a search for each.
            head, values, row = text.rpartition("VALUES ")
            many = f"{head}{values}{', '.join([row] * several)}"
            while len(some := list(islice(plain, several))) == several:
                connection.exec_driver_sql(many, tuple(chain.from_iterable(some)))
            if some:
                connection.exec_driver_sql(text, some)
        while some := list(islice(plain, CHUNK)):
            connection.exec_driver_sql(text, some)

    # -- private ------------------------------------------------------------------------------------------------

    def _name(self, target: Target) -> tuple[str | None, str]:
        schema, _, name = (self._wanted or table_name(target.name)).rpartition(".")
        return schema or None, name

    def _connected(self) -> sa.Connection:
        assert self._engine is not None, "open() comes first"
        return self._engine.connect()

    def _reflected(self, target: Target) -> sa.Table | None:
        assert self._engine is not None, "open() comes first"
        schema, name = self._name(target)
        inspector = sa.inspect(self._engine)
        if not inspector.has_table(name, schema=schema):
            return None
        return sa.Table(name, sa.MetaData(), schema=schema, autoload_with=self._engine)

    def _grown(self, columns: dict[str, bool], target: Target) -> sa.Table:
        """Return the table with at least these columns: name → whether it holds numbers."""
        if self._table is not None and all(name in self._table.c for name in columns):
            return self._table
        assert self._engine is not None, "open() comes first"
        existing = self._reflected(target)
        if existing is None:
            made = self._defined(columns, target)
            try:
                # DDL stands alone: MariaDB commits on it.
                with self._engine.begin() as connection:
                    connection.execute(CreateTable(made))
                    for index in made.indexes:
                        connection.execute(CreateIndex(index))
            except exc.SQLAlchemyError:
                if self._reflected(target) is None:
                    raise
                # Another process made it in the same moment.
            existing = self._reflected(target)
            assert existing is not None, "a table that was just made"
        for reserved in RESERVED:
            if reserved not in existing.c:
                raise SinkError(
                    f'{self.describe()}: the table "{existing.name}" has no column {reserved}, so it is not one of '
                    "this sink's; give another with table="
                )
        lowered = {str(column.name).lower(): str(column.name) for column in existing.c}
        for name, number in columns.items():
            if name in existing.c:
                continue
            if name.lower() in lowered:
                raise SinkError(
                    f'{self.describe()}: "{name}" and the stored column "{lowered[name.lower()]}" differ only in '
                    "capitals; rename one in by= or metrics="
                )
            self._add(existing, name, number, target)
        self._table = self._reflected(target)
        assert self._table is not None, "a table that exists"
        return self._table

    def _add(self, table: sa.Table, name: str, number: bool, target: Target) -> None:
        assert self._engine is not None, "open() comes first"
        prepare = self._engine.dialect.identifier_preparer
        kind = (_number_type() if number else _text_type()).compile(self._engine.dialect)
        ddl = f"ALTER TABLE {prepare.format_table(table)} ADD COLUMN {prepare.quote_identifier(name)} {kind}"
        try:
            with self._engine.begin() as connection:
                # A percent sign in a name would be read as a parameter by some drivers.
                connection.exec_driver_sql(ddl.replace("%", "%%") if "%" in name else ddl)
        except exc.SQLAlchemyError:
            again = self._reflected(target)
            if again is None or name not in again.c:
                raise

    def _defined(self, columns: dict[str, bool], target: Target) -> sa.Table:
        schema, name = self._name(target)
        table = sa.Table(
            name,
            sa.MetaData(),
            # In SQLite twins are looked for once a period: its writers take turns, so no other can bring them in, and
            # an index over digests, where every insert lands elsewhere, costs more than everything else together.
            sa.Column("_id", sa.String(64), primary_key=self._url.get_backend_name() != "sqlite", nullable=False),
            sa.Column("_timestamp", sa.String(40), nullable=False),
            sa.Column("timeSpan", sa.String(16), nullable=False),
            *(
                sa.Column(column, _number_type() if number else _text_type())
                for column, number in columns.items()
                if column not in RESERVED
            ),
            schema=schema,
            mysql_engine="InnoDB",
            mysql_charset="utf8mb4",
            mysql_collate="utf8mb4_bin",  # "Home" and "home" are two pages
            mariadb_engine="InnoDB",
            mariadb_charset="utf8mb4",
            mariadb_collate="utf8mb4_bin",
        )
        sa.Index(f"{name[:40]}_period", table.c["timeSpan"], table.c["_timestamp"])
        return table

    @staticmethod
    def _scope(table: sa.Table, target: Target) -> Iterator[Any]:
        if target.span is not None:
            yield table.c["timeSpan"] == target.span
        for name, value in target.constants.items():
            yield table.c[name].is_(None) if value is None else table.c[name] == value

    def _refusals(self, what: str) -> _Refusals:
        return _Refusals(self.describe(), what)


class _Refusals:
    """Turns the database's errors into one of ours, without statement and data."""

    def __init__(self, where: str, what: str) -> None:
        self._where, self._what = where, what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, exc.SQLAlchemyError):
            raise SinkError(f"{self._where}: cannot {self._what}: {_said(error)}") from None


class _Twins(Exception):
    """Two rows of what was just inserted have one id."""


def _within(table: sa.Table, records: Batch, replace: Period | None) -> Iterator[tuple[Any, ...]]:
    """Give the conditions for what a batch replaces: a period, or readings of the same time."""
    when = table.c["_timestamp"]
    if replace is not None:
        yield when >= stamp(replace.start), when < stamp(replace.end)
        return
    times = iter(sorted({record["_timestamp"] for record in records}))
    while some := list(islice(times, TIMES)):
        yield (when.in_(some),)


def _lost_a_race(error: exc.OperationalError) -> bool:
    original = error.orig
    if getattr(original, "sqlstate", None) in ("40001", "40P01"):  # PostgreSQL: serialization failure, deadlock
        return True
    number = original.args[0] if original is not None and original.args else None
    # MariaDB: lock wait timeout, deadlock.
    return number in (1205, 1213) or "database is locked" in str(original)


def _said(error: Exception) -> str:
    original = getattr(error, "orig", None) or error
    lines = str(original).strip().splitlines()
    return f"{type(original).__name__}: {lines[0][:200] if lines else ''}"


def _number_type() -> Any:
    # One type for whole and broken numbers. SQLite's NUMERIC keeps 5 as 5.
    return sa.Double().with_variant(sa.Numeric(asdecimal=False), "sqlite")


def _text_type() -> Any:
    return sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def _columns(records: Batch, target: Target) -> dict[str, bool]:
    """Return the columns: name → whether it holds numbers."""
    columns = dict.fromkeys((*RESERVED, *target.dimensions), False)
    columns.update(dict.fromkeys(target.metrics, True))
    if not target.declared:
        for record in records:
            for name, value in record.items():
                if name not in columns and value is not None:
                    columns[name] = isinstance(value, int | float)
    return columns
