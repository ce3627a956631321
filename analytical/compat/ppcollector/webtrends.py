"""``webtrends.reports`` and ``webtrends.keymetrics``: the data extraction API, versions 2 and 3.

Source: http://help.webtrends.com/en/dxapi/parameters_dx.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from . import python2
from .errors import BadFile, CollectorError
from .job import Job, collector
from .push import Pusher
from .records import DataParser, Record
from .web import ask, credential, log, open_session, patient, secret

__all__ = ["keymetrics_main", "parse_keymetrics", "parse_reports", "reports_main"]

#: A row: when it starts, and its fields.
Row = tuple[datetime, dict[str, Any]]


@collector
def reports_main(job: Job) -> None:
    """Run a ``webtrends.reports`` query file: one request a day."""
    if "report_id" not in job.query:
        raise BadFile('"query" has no "report_id", which webtrends.reports needs')
    if "row_type_name" not in job.options:
        raise BadFile('"options" has no "row_type_name", the name of the field that holds what a row is about')
    report = str(job.query["report_id"])
    periods = [("current_day-1", "current_day-1")]
    if job.start_at and job.end_at:
        days = range((job.end_at - job.start_at).days + 1)
        periods = [
            (_spelled(day), _spelled(day)) for day in (job.end_at - timedelta(days=back) for back in reversed(days))
        ]
    else:
        _warn(job.start_at, job.end_at, "yesterday")
    url = credential(job.credentials, "reports_url") + report
    data = [_fetch(job.credentials, url, first, last, f"report {report}", {}) for first, last in periods]
    records = parse_reports(data, job.options, job.data_type, job.credentials.get("api_version"))
    Pusher(job.data_set_config, job.options).push(records)


@collector
def keymetrics_main(job: Job) -> None:
    """Run a ``webtrends.keymetrics`` query file: one request for the whole range."""
    first = last = "current_hour-1"
    if job.start_at and job.end_at:
        first, last = _spelled(job.start_at), _spelled(job.end_at)
    else:
        _warn(job.start_at, job.end_at, "the last hour")
    url = credential(job.credentials, "keymetrics_url")
    data = [_fetch(job.credentials, url, first, last, "key metrics", {"userealtime": "True"})]
    records = parse_keymetrics(data, job.options, job.data_type, job.credentials.get("api_version"))
    Pusher(job.data_set_config, job.options).push(records)


def parse_reports(data: list[Any], options: Mapping[str, Any], data_type: str, version: object = None) -> list[Record]:
    """Return the records of the answers' ``data``: one for every row of the first level."""
    rows = _report_rows_v3 if version == "v3" else _report_rows_v2
    return _records([row for each in data for row in rows(each, options["row_type_name"])], options, data_type)


def parse_keymetrics(
    data: list[Any], options: Mapping[str, Any], data_type: str, version: object = None
) -> list[Record]:
    """Return the records of the answers' ``data``: one for every hour (version 2) or period (version 3)."""
    rows = _keymetric_rows_v3 if version == "v3" else _keymetric_rows_v2
    return _records([row for each in data for row in rows(each)], options, data_type)


def _records(rows: list[Row], options: Mapping[str, Any], data_type: str) -> list[Record]:
    return DataParser([{"start_date": when} for when, _ in rows], options, data_type).get_data(
        [fields for _, fields in rows]
    )


def _report_rows_v2(data: Any, name: str) -> Iterator[Row]:
    for key, period in _items(data, "data"):
        when = _moment(key.split("-")[0], "%m/%d/%Y")
        for row_type, row in _items(period.get("SubRows") or {}, key):
            yield when, {name: row_type, **_measures(row, key)}


def _report_rows_v3(data: Any, name: str) -> Iterator[Row]:
    for period in _list(data):
        when = _start_date(period)
        below = period.get("SubRows")
        if below:
            if len(below) > 1:
                log.warning("%s has %d groups of rows; only the first is read", period.get("start_date"), len(below))
            for row_type, row in _items(below[0], period["start_date"]):
                yield when, {name: row_type, **_measures(row, period["start_date"])}


def _keymetric_rows_v2(data: Any) -> Iterator[Row]:
    for key, period in _items(data, "data"):
        for hour, row in _items(period.get("SubRows") or {}, key):
            when = _moment(hour, "%m/%d/%Y %H")
            if row:
                yield when, _measures(row, hour)


def _keymetric_rows_v3(data: Any) -> Iterator[Row]:
    for period in _list(data):
        when = _start_date(period)
        for _, row in _items(period.get("SubRows") or {}, period["start_date"]):
            if row:
                yield when, _measures(row, period["start_date"])


def _measures(row: Any, where: str) -> dict[str, Any]:
    if not isinstance(row, dict) or not isinstance(row.get("measures"), dict):
        raise CollectorError(f'Webtrends, {where}: a row has no "measures"')
    return dict(python2.items(row["measures"]))


def _items(found: Any, where: str) -> list[tuple[str, Any]]:
    if not isinstance(found, dict):
        raise CollectorError(
            f"Webtrends, {where}: expected rows by name, got {type(found).__name__}; "
            'is "api_version" of the credentials file that of the address?'
        )
    return python2.items(found)


def _list(found: Any) -> list[Any]:
    if not isinstance(found, list):
        raise CollectorError(
            f"Webtrends: expected a list of periods, got {type(found).__name__}; "
            'is "api_version" of the credentials file that of the address?'
        )
    return found


def _start_date(period: Any) -> datetime:
    text = period.get("start_date") if isinstance(period, dict) else None
    if not isinstance(text, str):
        raise CollectorError('Webtrends: a period has no "start_date"')
    return _moment(text, "%Y-%m-%d" if text.count("-") == 2 else "%Y-%m")


def _moment(text: str, form: str) -> datetime:
    try:
        return datetime.strptime(text, form).replace(tzinfo=UTC)
    except ValueError:
        raise CollectorError(f'Webtrends: "{text[:80]}" stands where a date was expected') from None


def _spelled(day: date) -> str:
    return day.strftime("%Ym%md%d")


def _warn(start_at: datetime | None, end_at: datetime | None, what: str) -> None:
    if start_at or end_at:
        log.warning(
            "Webtrends is asked for %s, because one of --start and --end is missing; give both for a range", what
        )


def _fetch(credentials: Mapping[str, Any], url: str, first: str, last: str, what: str, more: Mapping[str, str]) -> Any:
    auth = (credential(credentials, "user"), secret(credentials, "password"))
    params = {"start_period": first, "end_period": last, "format": "json", **more}
    whole = f"{what} for {first}" + ("" if first == last else f" to {last}")
    with open_session(auth[1]) as session:
        found = ask(lambda: session.get(url, params=params, auth=auth, judge=patient).json(), whole)
    if not isinstance(found, dict) or "data" not in found:
        raise CollectorError(f'{whole}: the answer has no "data"')
    return found["data"]
