"""``ga``, ``ga.realtime``, ``ga.trending`` and ``ga.contrib.content.table``, answered by GA4's Data API.

Universal Analytics was switched off in July 2024. A query file keeps its words; :mod:`.ga4` puts them into GA4's, and
the rows come back under the old names, so that records and ids are as they were.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from ...collect.period import Period
from ...collect.protocol import Query, Token, json_of
from ...collect.session import Session
from ...collect.sources.ga4 import API, Ga4
from ...errors import SourceError
from ...http import Request
from . import python2
from .dates import period_range, time_span, to_datetime
from .errors import BadFile, CollectorError
from .ga4 import Names, as_list, prefixed, property_of, report_body, value_of
from .job import Job, collector
from .plugins import department_of
from .push import DataSet, Pusher
from .realtime import record, refuse_dates
from .records import DataParser, Record
from .statsd import statsd
from .web import ask, differs, log, open_session, whole_number

__all__ = [
    "Client",
    "create_client",
    "department_in",
    "main",
    "query_documents_for",
    "query_for_range",
    "query_ga",
    "realtime_main",
    "table_main",
    "trending_main",
    "try_number",
]

#: Rows asked for at once; the Data API gives 250,000 at most.
_PAGE = 100_000

_DAY = ("day", "month", "year")
_FLOOR = 500

#: What a source's reading of warnings wants to be told, and does not look at.
_QUERY = Query(method="runReport")
_PERIOD = Period(datetime(2000, 1, 1, tzinfo=UTC), datetime(2000, 1, 2, tzinfo=UTC), "day")


@collector
def main(job: Job) -> None:
    """Run a ``ga`` query file."""
    with create_client(job.credentials) as client:
        records = query_documents_for(client, job.query, job.options, job.data_type, job.start_at, job.end_at)
    Pusher(job.data_set_config, job.options).push(records)


@collector
def table_main(job: Job) -> None:
    """Run a ``ga.contrib.content.table`` query file: a query for every set of filters, one push at the end."""
    sets = job.options.get("filtersets")
    if not isinstance(sets, list):
        raise BadFile('"options" has no "filtersets", a list of lists of filters, each with a department')
    records: list[Record] = []
    with create_client(job.credentials) as client:
        for filters in sets:
            both = ";".join(
                f"ga:{each.removeprefix('ga:')}" for each in as_list(job.query.get("filters")) + as_list(filters)
            )
            more = {**(job.options.get("additionalFields") or {}), "department": department_in(as_list(filters))}
            records += query_documents_for(
                client,
                {**job.query, "filters": [both]},
                {**job.options, "additionalFields": more},
                job.data_type,
                job.start_at,
                job.end_at,
            )
    Pusher(job.data_set_config, job.options).push(records)


@collector
def realtime_main(job: Job) -> None:
    """Run a ``ga.realtime`` query file: one reading of now."""
    refuse_dates(job.start_at, job.end_at)
    with create_client(job.credentials) as client:
        visitors = client.realtime(job.query)
    DataSet.from_config(job.data_set_config).post(record(visitors, job.query.get("filters", "")))


@collector
def trending_main(job: Job) -> None:
    """Run a ``ga.trending`` query file: the last two weeks compared, page by page; the data set is emptied first."""
    for name in ("id", "metric"):
        if not isinstance(job.query.get(name), str) or not job.query[name]:
            raise BadFile(
                f'"query" has no "{name}"; ga.trending needs the view and the one number whose trend is wanted'
            )
    metric = job.query["metric"]
    today = date.today()
    start, middle, end = today - timedelta(weeks=2), today - timedelta(weeks=1), today - timedelta(days=1)
    with create_client(job.credentials) as client:
        rows = client.query.get(
            job.query["id"],
            start,
            end,
            [metric],
            [*as_list(job.query.get("dimensions")), *_DAY],
            job.query.get("filters"),
            None,
            None,
            job.query.get("segment"),
        )
        records = list(_trends(rows, metric, start, middle))
    data_set = DataSet.from_config(job.data_set_config)
    data_set.empty_data_set()
    data_set.post(records)


def query_documents_for(
    client: Any,
    query: Mapping[str, Any],
    options: Mapping[str, Any],
    data_type: str,
    start_date: date | None,
    end_date: date | None,
) -> list[Record]:
    """Ask for every period of a range, and return the records."""
    span = time_span(query.get("frequency", "weekly"))
    rows = list(query_for_range(client, query, start_date, end_date))
    special = [{**_metrics(row["metrics"], row["start_date"]), "timeSpan": span} for row in rows]
    return DataParser(rows, options, data_type).get_data(special)


def query_for_range(
    client: Any, query: Mapping[str, Any], range_start: date | None, range_end: date | None
) -> Iterator[dict[str, Any]]:
    """Give the rows of every period of a range."""
    if bool(range_start) != bool(range_end):
        differs("range", "--start alone runs to the last whole period, --end alone asks for its own period")
    for start, end in period_range(range_start, range_end, query.get("frequency", "weekly")):
        yield from query_ga(client, query, start, end)


def query_ga(client: Any, config: Mapping[str, Any], start_date: date, end_date: date) -> Iterable[dict[str, Any]]:
    """Give the rows of one period."""
    for name in ("id", "metrics"):
        if not config.get(name):
            raise BadFile(f'"query" has no "{name}", which ga collectors need')
    log.info("Querying GA for data in the period: %s - %s", start_date, end_date)
    rows: Iterable[dict[str, Any]] = client.query.get(
        str(config["id"]).replace("ga:", ""),
        start_date,
        end_date,
        config["metrics"],
        config.get("dimensions"),
        config.get("filters"),
        whole_number(config, "maxResults", 0) or None,
        config.get("sort") or None,
        config.get("segment"),
    )
    return rows


def try_number(value: str) -> int | float:
    """Return the number that a text is.

    Raises:
        CollectorError: it is none.
    """
    try:
        if "_" in value:
            raise ValueError
        try:
            return int(value)
        except ValueError:
            return float(value)
    except (ValueError, TypeError):
        raise CollectorError(f"{value!r} stands where a number was expected") from None


def department_in(filters: Sequence[str]) -> str:
    """Return the department of a set of filters, from the first of them: ``customVarValue9=~^<D10>``."""
    parts = filters[0].split("=~^") if filters else []
    if len(parts) != 2:
        raise CollectorError(
            f"the filters {filters!r:.120} name no department; the first must be such as customVarValue9=~^<D10>"
        )
    return department_of(parts[1])


def create_client(credentials: Mapping[str, Any]) -> Client:
    """Return a client for a credentials file."""
    differs("ga4", "Universal Analytics is no more; GA4 is asked instead, and counts differently")
    return Client(credentials)


class Client:
    """Answers Universal Analytics' queries from GA4.

    Args:
        credentials: ``properties``, ``service_account`` and, where names need it, ``dimensions``, ``metrics``,
            ``events``; ``url`` where the Data API is not Google's own.

    ``client.query.get(…)`` and ``client.realtime(…)`` are all that collectors use.
    """

    def __init__(self, credentials: Mapping[str, Any]) -> None:
        self._credentials = credentials
        self._session: Session | None = None
        self._sources: dict[str, Ga4] = {}
        self._token: Token | None = None
        self._fresh_until = 0.0

    @property
    def query(self) -> Client:
        """The client itself; the original had an object between."""
        return self

    def get(
        self,
        ids: str,
        start_date: date,
        end_date: date,
        metrics: Any,
        dimensions: Any = None,
        filters: Any = None,
        max_results: int | None = None,
        sort: Any = None,
        segment: Any = None,
    ) -> Iterator[dict[str, Any]]:
        """Give the rows of one report: ``metrics``, ``dimensions``, ``start_date``, ``end_date``."""
        property_id = property_of(self._credentials, ids)
        numbers, texts = as_list(metrics), as_list(dimensions)
        body = report_body(
            Names.of(self._credentials),
            metrics=numbers,
            dimensions=texts,
            filters=prefixed(as_list(filters)) or None,
            sort=as_list(sort),
            segment=segment,
            period=(start_date, end_date),
        )
        statsd.incr(f"ga.core.{prefixed([str(ids)]).replace(':', '')}.count")
        what = f"GA4 {property_id} for {start_date} to {end_date}"
        return self._rows(property_id, body, numbers, texts, max_results, (start_date, end_date), what)

    def realtime(self, query: Mapping[str, Any]) -> int:
        """Return the one number of a realtime query; 0 where there are no rows."""
        for name in ("ids", "metrics"):
            if not query.get(name):
                raise BadFile(f'"query" has no "{name}", which ga.realtime needs')
        if query.get("dimensions"):
            raise BadFile('"query" has "dimensions", but a realtime record holds one number; leave them out')
        property_id = property_of(self._credentials, query["ids"])
        body = report_body(
            Names.of(self._credentials, realtime=True),
            metrics=[each.strip() for text in as_list(query["metrics"]) for each in text.split(",")],
            filters=",".join(as_list(query.get("filters"))) or None,
        )
        answer = self._ask(property_id, "runRealtimeReport", body, f"GA4 {property_id} now")
        rows = answer.get("rows") or []
        if not rows:
            return 0
        try:
            return int(rows[0]["metricValues"][0]["value"])
        except (LookupError, TypeError, ValueError):
            raise CollectorError(f"GA4 {property_id} now: the first row has no whole number") from None

    def close(self) -> None:
        """Let go of connections."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _rows(
        self,
        property_id: str,
        body: Mapping[str, Any],
        metrics: list[str],
        dimensions: list[str],
        limit: int | None,
        period: tuple[date, date],
        what: str,
    ) -> Iterator[dict[str, Any]]:
        native = [each["name"] for each in body["metrics"]]
        names = Names.of(self._credentials)
        places = [native.index(names.metric(name)) for name in metrics]
        by = [each["name"] for each in body.get("dimensions", [])]
        columns = [by.index(names.dimension(name)) for name in dimensions]
        offset = 0
        while True:
            size = _PAGE if limit is None else min(_PAGE, limit - offset)
            page = {**body, "limit": str(size), "offset": str(offset), "returnPropertyQuota": True}
            answer = self._ask(property_id, "runReport", page, what)
            rows = answer.get("rows") or []
            for row in rows[:size]:
                try:
                    numbers = [row["metricValues"][at]["value"] for at in places]
                    texts = [row["dimensionValues"][at].get("value", "") for at in columns]
                except (LookupError, TypeError, AttributeError):
                    raise SourceError(f"{what}: a row has fewer values than were asked for") from None
                numbers = [value_of(native[at], value) for at, value in zip(places, numbers, strict=True)]
                texts = [value_of(by[at], value) for at, value in zip(columns, texts, strict=True)]
                found: dict[str, Any] = {
                    "metrics": dict(zip(metrics, numbers, strict=True)),
                    "start_date": period[0],
                    "end_date": period[1],
                }
                if dimensions:
                    found["dimensions"] = _dated(dict(zip(dimensions, texts, strict=True)), what)
                yield found
            offset += size
            if not rows or offset >= int(answer.get("rowCount", 0)) or (limit is not None and offset >= limit):
                return

    def _ask(self, property_id: str, method: str, body: Mapping[str, Any], what: str) -> dict[str, Any]:
        source, session = self._source(property_id), self._open()
        now = session.now()
        if self._token is None or now > self._fresh_until:
            login = source.login(now)
            if login is None:
                self._token, self._fresh_until = Token(source.access_token), float("inf")
            else:
                self._token = source.token(ask(lambda: session.send(login, judge=source.refusal), f"{what}: the login"))
                self._fresh_until = now + self._token.lifetime - 60
        request = Request(
            url=f"{(source.endpoint or API).rstrip('/')}/v1beta/{property_id}:{method}",
            headers={"Content-Type": "application/json", "Accept": "application/json"},
            body=msgspec.json.encode(body),
        )
        token = self._token
        response = ask(lambda: session.send(source.authorize(request, token), judge=source.refusal), what)
        answer = ask(lambda: json_of(response), what)
        if not isinstance(answer, dict):
            raise SourceError(f"{what}: expected a report, got {type(answer).__name__}")
        for warning in source.page(_QUERY, _PERIOD, request, response).warnings:
            (log.info if warning.startswith("quota") else log.warning)("%s: %s", what, warning)
        return answer

    def _source(self, property_id: str) -> Ga4:
        if property_id not in self._sources:
            given = self._credentials
            self._sources[property_id] = Ga4(
                id=property_id.removeprefix("properties/"),
                endpoint=str(given.get("url") or ""),
                service_account=_key(given),
                access_token=str(given.get("access_token") or ""),
            )
        return self._sources[property_id]

    def _open(self) -> Session:
        if self._session is None:
            self._session = open_session()
        return self._session


def _key(credentials: Mapping[str, Any]) -> Any:
    given = credentials.get("service_account")
    if not given and not credentials.get("access_token"):
        where = credentials.get("path_to_json_file", "the credentials file")
        raise BadFile(
            f'{where} has no "service_account", the JSON key of a service account that may read the GA4 property; '
            'write "service_account": "key.json"'
        )
    if not isinstance(given, str) or given.startswith(("env:", "file:", "keyring:", "{")):
        return given or ""
    beside = Path(str(credentials.get("path_to_json_file", ""))).parent / given
    return str(beside if beside.exists() else given)


def _metrics(values: Mapping[str, str], start: date) -> dict[str, Any]:
    numbers: dict[str, Any] = {}
    # Twice: the original made a dictionary of a dictionary's items, which moves what shares a slot.
    for name, value in python2.items(python2.items(values)):
        try:
            number = try_number(value)
        except CollectorError as error:
            raise CollectorError(f"metric {name} of the period from {start}: {error}") from None
        # Records have always had this one in milliseconds.
        numbers[name] = number * 1000 if name == "avgSessionDuration" and number else number
    return numbers


def _dated(dimensions: dict[str, Any], what: str) -> dict[str, Any]:
    if "date" in dimensions:
        text, form = dimensions["date"], "%Y%m%d"
        if "hour" in dimensions:
            text, form = text + dimensions["hour"], "%Y%m%d%H"
        try:
            dimensions["datetime"] = datetime.strptime(text, form)
        except ValueError:
            raise CollectorError(f"{what}: {text!r} stands where a date was expected") from None
    return dimensions


def _trends(rows: Iterable[Mapping[str, Any]], metric: str, start: date, middle: date) -> Iterator[Record]:
    pages: dict[str, Record] = {}
    for row in rows:
        dimensions = row["dimensions"]
        for name in ("pageTitle", "pagePath"):
            if name not in dimensions:
                raise BadFile(f'"dimensions" of "query" lack "{name}", which ga.trending needs')
        title, path = dimensions["pageTitle"], dimensions["pagePath"]
        if title not in pages:
            kept = {name: value for name, value in dimensions.items() if name not in _DAY}
            pages[title] = {**kept, "week1": 0, "week2": 0, "_timestamp": to_datetime(start)}
        if "(other)" in (dimensions["day"], dimensions["month"], dimensions["year"]):
            continue
        page = pages[title]
        if path in page["pagePath"]:
            page["pagePath"] = path
        day = date(int(dimensions["year"]), int(dimensions["month"]), int(dimensions["day"]))
        page["week2" if day >= middle else "week1"] += int(try_number(row["metrics"][metric]))
    for page in pages.values():
        for week in ("week1", "week2"):
            page[week] = max(page[week], _FLOOR)
        change = float(page["week2"] - page["week1"]) / float(page["week1"]) * 100
        name = base64.urlsafe_b64encode(page["pagePath"].encode()).decode()
        yield {**page, "percent_change": change, "_id": name}
