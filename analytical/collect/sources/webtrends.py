"""Webtrends' Data Extraction API, for those who still have a server of their own.

http://help.webtrends.com/en/dxapi/ and https://onpremises.webtrends.help/docs/. The hosted service is presumed gone.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlencode

from ...errors import ConfigurationError, SourceError
from ...http import Request, Response
from ..period import Period
from ..protocol import Page, Query, Row, Source, json_of

__all__ = ["Webtrends", "keymetrics_rows", "report_rows"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Webtrends(Source):
    """Reads ``reports`` (the report's id is the provider's id) and ``keymetrics``.

    Args:
        user: ``account\\\\name`` on a hosted service.
        password: of that user.
        api_version: ``v3``, or ``v2`` for older servers.
        row_name: what the first column of a report is called.
    """

    name: ClassVar[str] = "webtrends"
    spans: ClassVar[tuple[str | None, ...]] = ("hour", "day", "week", "month")
    secret_options: ClassVar[tuple[str, ...]] = ("password",)

    user: str = ""
    password: str = field(default="", repr=False)
    api_version: str = "v3"
    row_name: str = "row"

    def completed(self, query: Query) -> Query:
        return replace(query, method=query.method or "reports")

    def check(self, query: Query) -> None:
        super().check(query)
        if query.method not in ("reports", "keymetrics"):
            raise ConfigurationError(f'method={query.method!r}: webtrends has "reports" and "keymetrics"')
        if query.every == "hour" and query.method != "keymetrics":
            raise ConfigurationError("webtrends has hours in keymetrics only")
        self.need("endpoint", "https://ws.example.com/v3/Reporting/profiles/1234/reports/")
        self.need("user", "account\\name")
        self.need("password", "env:WEBTRENDS_PASSWORD")

    def first(self, query: Query, period: Period) -> Request:
        params: dict[str, Any] = {"start_period": _spelt(period), "end_period": _spelt(period), "format": "json"}
        if query.method == "keymetrics":
            params["userealtime"] = "True"
        params |= query.native
        address = self.endpoint
        if query.method == "reports" and self.id:
            address = f"{address.rstrip('/')}/{self.id}"
        basic = b64encode(f"{self.user}:{self.password}".encode()).decode()
        return Request(
            method="GET",
            url=f"{address}?{urlencode(params)}",
            headers={"Authorization": f"Basic {basic}", "Accept": "application/json"},
            secrets=(self.password, basic),
        )

    def page(self, query: Query, period: Period, request: Request, response: Response) -> Page:
        data = json_of(response)
        if not isinstance(data, dict) or "data" not in data:
            raise SourceError("the answer is no report: it has no data")
        if query.method == "keymetrics":
            rows = list(keymetrics_rows(data, self.api_version))
        else:
            rows = list(report_rows(data, self.row_name, self.api_version))
        tz = period.start.tzinfo
        kept: list[Row] = []
        for row in rows:
            when = row.pop("_start", None)
            elsewhere = isinstance(when, datetime) and not period.start <= when.replace(tzinfo=tz) < period.end
            if query.every == "hour" and elsewhere:
                continue
            kept.append(row)
        return Page(rows=kept)


def report_rows(data: dict[str, Any], row_name: str, version: str) -> Iterator[dict[str, Any]]:
    """Give the rows of a report: its measures, and under ``row_name`` what they are of."""
    for _, sub in _cells(data["data"], version):
        parts = sub if isinstance(sub, list) else [sub] if sub else []
        for part in parts:
            for name, cell in part.items():
                yield {row_name: name, **cell.get("measures", {})}


def keymetrics_rows(data: dict[str, Any], version: str) -> Iterator[dict[str, Any]]:
    """Give one row per time: its measures, and under ``_start`` when it began."""
    found = data["data"]
    if version == "v3":
        for cell in found:
            measures = cell.get("measures") or {}
            yield {**measures, "_start": _date(cell.get("start_date"))}
        return
    for key, cell in found.items():
        subs = cell.get("SubRows")
        if subs:
            for name, sub in subs.items():
                yield {**sub.get("measures", {}), "_start": _date(name) or _date(key)}
        else:
            yield {**cell.get("measures", {}), "_start": _date(key)}


def _cells(found: Any, version: str) -> Iterator[tuple[Any, Any]]:
    if version == "v3":
        for cell in found:
            yield cell.get("start_date"), cell.get("SubRows")
    else:
        for key, cell in found.items():
            yield key, cell.get("SubRows")


def _date(text: Any) -> datetime | None:
    for form in ("%Y-%m-%d", "%Y-%m-%d %H", "%m/%d/%Y %H", "%m/%d/%Y"):
        try:
            return datetime.strptime(str(text).strip(), form)
        except ValueError:
            continue
    return None


def _spelt(period: Period) -> str:
    start = period.start
    if period.span == "hour":
        return f"{start:%Ym%md%dh%H}"
    if period.span == "week":
        year, week, _ = start.isocalendar()
        return f"{year}w{week:02d}"
    return f"{start:%Ym%m}" if period.span == "month" else f"{start:%Ym%md%d}"
