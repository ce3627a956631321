"""``Report``: a lazy iterable of records on a period grid, and the one place where a source meets a sink."""

from __future__ import annotations

import difflib
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

from ..errors import (
    AnalyticalError,
    ConfigurationError,
    DuplicateRecord,
    QuotaExhausted,
    ReportError,
    SinkError,
    SourceError,
)
from ..http import mask
from ..secrets import is_reference, resolve
from ..transports import Transport
from .period import NOW, Moment, Period, grid, moment, period_at, seconds, zone
from .protocol import SOURCES, Query, Row, Source, Token
from .records import Batch, Record, Shape, Then, names, unique
from .session import Session
from .sink import Sink, Target, sink_for

__all__ = ["Outcome", "Report", "Warnings", "report_for"]

log = logging.getLogger("analytical.collect")

#: What report() takes besides; anything else is a parameter of the platform, so a slip is caught here or never.
_OWN = ("every", "settle", "since", "title", "retry_for", "timeout")

#: Named in one warning at most.
_NAMED = 5


class Warnings:
    """What a reader of the numbers must know; each said once, newest wording last. Iterates as texts."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}
        self._empty: list[str] = []
        self._lock = threading.Lock()

    def add(self, text: str, *, key: str | None = None) -> None:
        """Add a warning; one with the same key replaces it."""
        with self._lock:
            new = (key or text) not in self._said
            if new and len(self._said) >= 1000:
                return
            self._said[key or text] = text
        if new:
            log.warning("%s", text)

    def empty(self, period: Period) -> None:
        """Note a period without rows."""
        with self._lock:
            label = str(period)
            if label not in self._empty:
                self._empty.append(label)

    def _texts(self) -> list[str]:
        with self._lock:
            texts = list(self._said.values())
            if self._empty:
                shown = ", ".join(self._empty[:_NAMED]) + (", …" if len(self._empty) > _NAMED else "")
                texts.append(
                    f"no rows in {len(self._empty)} period{'s' if len(self._empty) > 1 else ''} ({shown}): "
                    "nothing happened, or the platform has not archived them"
                )
            return texts

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts())

    def __len__(self) -> int:
        return len(self._texts())

    def __getitem__(self, index: int) -> str:
        return self._texts()[index]

    def __contains__(self, text: object) -> bool:
        return text in self._texts()

    def __eq__(self, other: object) -> bool:
        return self._texts() == list(other) if isinstance(other, Iterable) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # it changes, so it is no key

    def __repr__(self) -> str:
        return repr(self._texts())


@dataclass(slots=True)
class Outcome:
    """What a run of :meth:`Report.to` did.

    Args:
        report: the report's name.
        periods: how many periods were read and stored.
        records: how many records they held.
    """

    report: str
    periods: int = 0
    records: int = 0


#: Told after each period: the period, its number from 1, how many there are, and its records.
Progress = Callable[[Period, int, int, int], None]


class Report:
    """The records of one report; nothing is asked before it is iterated or sent to a sink.

    Made by ``Provider(...).report(...)``; :meth:`last`, :meth:`between` and :meth:`now` return the same report with
    another range. All of them share :attr:`warnings`.

    Args:
        source: what asks the platform, or a generator function of yours: see ``analytical.source``.
        query: what is asked.
        name: how errors, tables and metrics call it.
        session: what sends requests.
        add: dimensions with one value, added to every record (``{"site": "shop"}``). With the period they say
            which stored records are this report's, so two sites may share a table.
        settle: how many complete periods are read again because late data may still come.
        since: where the grid begins for a sink that is still empty.
        then: a function from records to records, applied per period.
        now: the clock, for tests.
    """

    def __init__(
        self,
        source: Any,
        query: Query,
        *,
        name: str,
        session: Session,
        add: Mapping[str, Any] | None = None,
        settle: int = 2,
        since: Moment | None = None,
        then: Then | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        if settle < 0:
            raise ConfigurationError(f"settle={settle} is negative; expected how many periods to read again")
        self.name = name
        self.source = source
        self.query = query
        self.session = session
        self.settle = settle
        self.tz = zone(query.tz)
        self.since = moment(since, self.tz, what="since") if since is not None else None
        self.warnings = Warnings()
        #: Metric → ``counter`` or ``gauge``, and its description, for Prometheus.
        self.kinds: Mapping[str, str] = {}
        self.helps: Mapping[str, str] = {}
        #: How often ``serve`` asks, where that is this report's own.
        self.refresh: str | float | None = None
        self._then = then
        self._now = now
        self._shape = Shape(
            query.by,
            query.metrics,
            add,
            numeric_text=source.numeric_text if isinstance(source, Source) else False,
            text_names=source.text_names if isinstance(source, Source) else frozenset(),
        )
        self._range: Callable[[], list[Period]] | None = None
        self._horizon: datetime | None = None
        self._token: tuple[Token, float] | None = None
        self._token_lock = threading.Lock()
        if query.every is not None:
            period_at(self._clock(), query.every, self.tz)  # refuses a misspelt grid now, not at the first row

    # -- ranges -------------------------------------------------------------------------------------------------

    def last(self, n: int) -> Report:
        """Return the last ``n`` complete periods, oldest first."""
        self._gridded("last")
        if n < 1:
            raise ConfigurationError(f"last({n}): expected 1 or more")
        return self._on(lambda: self._complete(n))

    def between(self, a: Moment, b: Moment) -> Report:
        """Return every period from the one that ``a`` falls into to the one that ``b`` falls into, both included.

        Args:
            a: a date, a datetime or ISO 8601 text; without an offset it stands in the report's zone.
            b: the same; periods that have not begun yet are left out, one that is not over is read with a warning.

        Raises:
            ConfigurationError: ``a`` is after ``b``, or the report stands on no grid.
        """
        self._gridded("between")
        first, last = moment(a, self.tz), moment(b, self.tz)
        if first > last:
            raise ConfigurationError(f"between({a}, {b}): the first is after the second; swap them")

        def periods() -> list[Period]:
            return list(grid(first, min(last, self._clock()), str(self.query.every), self.tz))

        return self._on(periods)

    def now(self) -> Report:
        """Return the present: the period that is not over yet, or a realtime reading where ``every`` is ``None``."""
        return self._on(lambda: [self._present()])

    def until(self, b: Moment) -> Report:
        """Return the same report, as if nothing after the period of ``b`` existed."""
        self._gridded("until")
        end = period_at(moment(b, self.tz, what="until"), str(self.query.every), self.tz).end
        other = self._on(None)
        other._horizon = end
        return other

    def latest(self) -> Period:
        """Return the last complete period."""
        self._gridded("latest")
        return self._complete(1)[0]

    @property
    def bounded(self) -> bool:
        """Whether a range was chosen."""
        return self._range is not None

    def periods(self) -> list[Period]:
        """Return the periods that iterating would read: the chosen range, or the last complete ones."""
        if self._range is not None:
            return self._range()
        if self.query.every is None:
            return [self._present()]
        if self.since is not None:
            return self._from(self.since)
        return self._complete(max(1, self.settle))

    # -- reading ------------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Record]:
        for period in self.periods():
            with self._naming(period):
                yield from unique(self.read(period))

    def read(self, period: Period) -> Iterator[Record]:
        """Give the records of one period as they come, without looking for duplicates."""
        self._check()
        given: Iterable[Record] = self._records(period)
        records = iter(given if self._then is None else self._then(given))
        first = next(records, None)
        if first is not None:
            yield first
            yield from records
        elif period.span != NOW:
            self.warnings.empty(period)
        if period.span != NOW and period.end > self._clock():
            self.warnings.add(f"{self.name}: {period} is not over; its numbers will still grow", key=f"open {period}")

    def _records(self, period: Period) -> Iterator[Record]:
        if not isinstance(self.source, Source):
            yield from self._shape.records(self.source(period, self.query, self.session), period)
            return
        try:
            yield from self._shape.records(self._rows(self.source, period), period)
        except AnalyticalError:
            raise
        except (AttributeError, LookupError, TypeError, ValueError, ArithmeticError) as error:
            # JSON of another shape than the platform documents: a changed API, or another server at this address.
            raise SourceError(
                f"the answer is not what {self.source.name} documents ({type(error).__name__}); "
                "see whether the endpoint is right, and what the server says for itself"
            ) from error

    def _rows(self, source: Source, period: Period) -> Iterator[Row]:
        request = source.first(self.query, period)
        seen = b""
        while True:
            if self.session.stopped:
                raise SourceError("stopped")
            token = self._login(source)
            try:
                response = self.session.send(
                    source.authorize(request, token) if token else request, judge=source.refusal
                )
            except SourceError:
                # A token may be withdrawn early; the next period fetches another.
                self._token = None
                raise
            page = source.page(self.query, period, request, response)
            mark = blake2b(response.body, digest_size=16).digest() if seen or (page.next and not page.after) else b""
            del response
            if seen and mark == seen:
                self.warnings.add(
                    f"{self.name}: a page held the same rows as the one before, so this server does not turn pages; "
                    "what it has beyond the first is missing"
                )
                return
            seen = mark
            yield from page.rows
            for text in page.warnings:
                key, colon, _ = text.partition(":")
                self.warnings.add(f"{self.name}: {text}", key=key if colon and key == "quota" else None)
            if page.next is None:
                return
            if page.next == request and not page.after:
                raise SourceError("the platform's next page is the same page; reading it would never end")
            self.session.pause(page.after)
            request = page.next

    def _login(self, source: Source) -> Token | None:
        with self._token_lock:
            now = self.session.now()
            if self._token is not None and now < self._token[1]:
                return self._token[0]
            request = source.login(now)
            if request is None:
                return None
            token = source.token(self.session.send(request, judge=source.refusal))
            self._token = (token, now + token.lifetime * 0.9)
            return token

    # -- writing ------------------------------------------------------------------------------------------------

    def to(self, sink: Any, *, progress: Progress | None = None, **options: Any) -> Outcome:
        """Send the records to a sink, a period at a time.

        With a range, every period of it is read and stored again. Without one, the sink is asked what it has, and
        only what is missing or still settling is read; a sink that cannot say gets the last ``settle`` periods.

        Args:
            sink: a URL, a path, ``-``, or a callable ``sink(records, replace)``: see
                ``analytical.collect.sink_for``.
            progress: told after each period.
            options: the sink's own: ``table``, ``token``, ``chunk_size`` …

        Raises:
            ReportError: names the report and the period. Earlier periods are stored, this one is as it was.
        """
        where = sink_for(sink, options=options)
        target = self.target()
        outcome = Outcome(self.name)
        with self._saying(None):
            where.open(target)
        failed = True
        try:
            with self._saying(None):
                periods = self.due(where)
            for number, period in enumerate(periods, 1):
                with self._naming(period), Batch(self.read(period)) as batch:
                    if not where.finds_duplicates:
                        batch.refuse_twins()
                    where.write(batch, None if period.span == NOW else period, self.target())
                    outcome.periods += 1
                    outcome.records += len(batch)
                    if progress is not None:
                        progress(period, number, len(periods), len(batch))
            failed = False
        finally:
            # Periods that are whole are kept even where a later one failed; the first error is the one to show.
            if failed:
                with suppress(ReportError):
                    where.close(self.target())
            else:
                with self._saying(None):
                    where.close(self.target())
        return outcome

    def due(self, sink: Sink) -> list[Period]:
        """Return the periods that ``to`` would read for a sink: the range, or what is missing or still settling."""
        if self._range is not None or self.query.every is None:
            return self.periods()
        stored = sink.stored(self.target())
        have: set[str] = set()
        for text in stored or ():
            with suppress(ValueError):
                when = datetime.fromisoformat(text)
                at = period_at(when if when.tzinfo else when.replace(tzinfo=UTC), self.query.every, self.tz)
                have.add(at.timestamp)
        begin = datetime.fromisoformat(min(have)) if have else None
        if self.since is not None:
            begin = self.since
        settling = self._complete(max(self.settle, 0 if have else 1))
        if begin is None:
            return settling
        again = {period.timestamp for period in settling}
        return [period for period in self._from(begin) if period.timestamp not in have or period.timestamp in again]

    def target(self) -> Target:
        """Return what a sink must know of this report."""
        shape = self._shape
        return Target(
            name=self.name,
            span=self.query.every,
            constants=shape.constants,
            dimensions=tuple(shape.dimension_names),
            metrics=tuple(shape.metric_names),
            declared=shape.by is not None and shape.metrics is not None and self._then is None,
            tz=self.tz,
        )

    def close(self) -> None:
        """Let go of connections; waits are broken off."""
        self.session.close()

    # -- private ------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        if isinstance(self.source, Source):
            self.source.check(self.query)

    def _clock(self) -> datetime:
        if self._now is not None:
            return self._now()
        return datetime.fromtimestamp(self.session.now(), UTC)

    def _gridded(self, what: str) -> None:
        if self.query.every is None:
            raise ConfigurationError(
                f'{what}() needs a grid, and {self.name} has every=None (a realtime reading); give every="day"'
            )

    def _complete(self, n: int) -> list[Period]:
        found: list[Period] = []
        if n < 1:
            return found
        period = self._open_period()
        for _ in range(n):
            period = period.previous()
            found.append(period)
        return found[::-1]

    def _from(self, begin: datetime) -> list[Period]:
        last = self._open_period().previous()
        if begin >= last.end:
            return []
        return list(grid(begin, last.start, str(self.query.every), self.tz))

    def _open_period(self) -> Period:
        """Return the first period that is not to be read: the one that is not over, or that of the horizon."""
        now = self._clock()
        if self._horizon is not None and self._horizon < now:
            now = self._horizon
        return period_at(now, str(self.query.every), self.tz)

    def _present(self) -> Period:
        now = self._clock()
        if self.query.every is not None:
            return period_at(now, self.query.every, self.tz)
        second = now.replace(microsecond=0).astimezone(self.tz)
        return Period(second, second + timedelta(seconds=1), NOW)

    def _on(self, periods: Callable[[], list[Period]] | None) -> Report:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._range = periods
        return other

    def _naming(self, period: Period) -> Any:
        return self._saying(period)

    @contextmanager
    def _saying(self, period: Period | None) -> Iterator[None]:
        """Name report and period in every error that passes."""
        where = f'report "{self.name}"' + (f", {period}" if period is not None else "")
        try:
            yield
        except QuotaExhausted as error:
            raise QuotaExhausted(self.clean(f"{where}: {error}"), reset=error.reset) from None
        except (SourceError, SinkError, DuplicateRecord) as error:
            raise type(error)(self.clean(f"{where}: {error}")) from error.__cause__
        except ReportError as error:
            raise type(error)(self.clean(f"{where}: {error}")) from None

    def clean(self, text: str) -> str:
        """Return a text with this report's secrets masked."""
        secrets = self.source.secrets if isinstance(self.source, Source) else ()
        return mask(text, (*secrets, *self.session.secrets))

    def __repr__(self) -> str:
        return f"<Report {self.name} every={self.query.every!r}>"


def report_for(
    name: str,
    id: object,
    method: str | Iterable[str] = "",
    *,
    endpoint: str | None = None,
    options: Mapping[str, Any] | None = None,
    transport: Transport | None = None,
    metrics: Mapping[str, str] | Iterable[str] | str | None = None,
    by: Mapping[str, str] | Iterable[str] | str | None = None,
    where: Any = None,
    every: str | None = "day",
    tz: str = "UTC",
    settle: int = 2,
    since: Moment | None = None,
    add: Mapping[str, Any] | None = None,
    then: Then | None = None,
    title: str | None = None,
    retry_for: str | float = 120.0,
    timeout: str | float = 120.0,
    session: Session | None = None,
    now: Callable[[], datetime] | None = None,
    **native: Any,
) -> Report:
    """Make the report that ``Provider(name, id).report(method, ...)`` means.

    Args:
        name: the platform, or a source of yours.
        id: the site, property or project.
        method: the platform's report, method or query.
        endpoint: the server; the address that hits are sent to will do.
        options: the provider's options: credentials, in clear or as ``env:``, ``file:``, ``keyring:``.
        transport: what carries requests.
        metrics: the platform's names, or a mapping of them to yours.
        by: the same for dimensions.
        where: the platform's filter.
        every: ``hour``, ``day``, ``week``, ``month``; ``None`` for realtime.
        tz: the zone of the grid: the platform's own setting for this site.
        settle: how many complete periods ``.to()`` reads again.
        since: where ``.to()`` begins with an empty sink.
        add: dimensions with one value, added to every record.
        then: a function from records to records.
        title: how errors, tables and metrics call the report; the method's name unless given.
        retry_for: how long one request may be tried again.
        timeout: how long one exchange may take.
        session: an HTTP session to share.
        now: the clock, for tests.
        native: further parameters of the platform.

    Raises:
        UnknownName: no such source.
        ConfigurationError: the question makes no sense; nothing was sent.
    """
    made = SOURCES.get(name)
    free = [own for own, given in (("metrics", metrics), ("by", by), ("where", where)) if given is None]
    for word in native:
        if near := difflib.get_close_matches(word, (*free, *_OWN), n=1, cutoff=0.8):
            raise ConfigurationError(f'report({word}=…): unknown. Did you mean "{near[0]}"?')
    methods = method if isinstance(method, str) else ",".join(method)
    query = Query(
        method=methods,
        metrics=names(metrics, what="metrics"),
        by=names(by, what="by"),
        where=where,
        every=every,
        tz=tz,
        native=dict(native),
    )
    if isinstance(made, type) and issubclass(made, Source):
        source: Any = made.configured(id, endpoint=endpoint, options=options or {})
        query = source.completed(query)
        source.check(query)
        secrets = source.secrets
    else:
        source, query, secrets = _of_function(made, id, query, options or {})
    if session is None:
        session = Session(
            transport,
            retry_for=seconds(retry_for, what="retry_for"),
            timeout=seconds(timeout, what="timeout"),
            secrets=secrets,
        )
    label = title or methods.partition(",")[0].strip() or name
    if title is None and (len(label) > 60 or len(label.split()) != 1):  # a query's text is no name
        label = name
    return Report(source, query, name=label, session=session, add=add, settle=settle, since=since, then=then, now=now)


def _of_function(
    function: Any, id: object, query: Query, options: Mapping[str, Any]
) -> tuple[Callable[[Period, Query, Session], Iterable[Row]], Query, tuple[str, ...]]:
    """Wrap a generator function; the provider's options reach it in ``query.native``, with references resolved."""
    given: dict[str, Any] = {}
    secrets: list[str] = []
    for option, value in options.items():
        given[option] = value
        if is_reference(value):
            given[option] = resolve(value, what=option)
            secrets.append(given[option])

    def ask(period: Period, query: Query, http: Session) -> Iterable[Row]:
        rows: Iterable[Row] = function(period, query, http, id)
        return rows

    return ask, replace(query, native={**given, **query.native}), tuple(secrets)
