"""Mixpanel's raw export: https://developer.mixpanel.com/reference/raw-event-export."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec

from ...errors import ConfigurationError, SourceError
from ...http import Request, Response
from ..period import Period
from ..protocol import Page, Query, Row, Source

__all__ = ["Mixpanel"]

HOST = "https://data.mixpanel.com"

_decode = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(frozen=True, kw_only=True, repr=False)
class Mixpanel(Source):
    """Reads ``export``: events, or with the metric ``count`` how many there are per combination of ``by``.

    ``by`` names properties, or ``event``. ``where`` is an expression as Mixpanel writes it. Mixpanel counts days in
    UTC for projects created since 2023, else in the project's zone: give that as ``tz``.

    Args:
        service_account: a service account's user name.
        secret: its secret.
        region: ``eu`` or ``in``, where the data are not in the United States.
        project_id: the project's number, where the provider's id is a project token.
    """

    name: ClassVar[str] = "mixpanel"
    spans: ClassVar[tuple[str | None, ...]] = ("day", "week", "month")
    secret_options: ClassVar[tuple[str, ...]] = ("secret",)

    service_account: str = ""
    secret: str = field(default="", repr=False)
    project_id: str = ""
    region: str = ""

    def completed(self, query: Query) -> Query:
        metrics = query.metrics if query.metrics is not None else {"count": "count"}
        by = query.by if query.by is not None else {"event": "event"}
        return replace(query, method=query.method or "export", metrics=metrics, by=by)

    def check(self, query: Query) -> None:
        super().check(query)
        if query.method != "export":
            raise ConfigurationError(f'method={query.method!r}: mixpanel has one, "export"')
        if query.metrics and "count" in query.metrics and len(query.metrics) > 1:
            raise ConfigurationError("mixpanel counts events, or exports their numbers; not both in one report")
        if not (self.project_id or self.id).isdigit():
            raise ConfigurationError('reports of mixpanel need the project\'s number; type: project_id="123456"')
        self.need("service_account", "name.abc123.mp-service-account")
        self.need("secret", "env:MIXPANEL_SECRET")

    def first(self, query: Query, period: Period) -> Request:
        params: dict[str, Any] = {
            "project_id": self.project_id or self.id,
            "from_date": period.first_day.isoformat(),
            "to_date": period.last_day.isoformat(),
        }
        if query.where:
            params["where"] = str(query.where)
        for name, value in query.native.items():
            params[name] = msgspec.json.encode(value).decode() if isinstance(value, list | tuple) else value
        basic = b64encode(f"{self.service_account}:{self.secret}".encode()).decode()
        return Request(
            method="GET",
            url=f"{_host(self.endpoint, self.region)}/api/2.0/export?{urlencode(params)}",
            headers={"Authorization": f"Basic {basic}", "Accept": "text/plain", "Accept-Encoding": "gzip"},
            secrets=(self.secret, basic),
        )

    def page(self, query: Query, period: Period, request: Request, response: Response) -> Page:
        if query.metrics is not None and "count" in query.metrics:
            rows: Iterator[Row] = _counted(response, list(query.by or ()))
        else:
            rows = _events(response)
        return Page(rows=rows, warnings=("Mixpanel's export does not leave out duplicates; its own reports do",))

    def message(self, response: Response) -> str:
        try:
            data = msgspec.json.decode(response.body[:65_536])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return ""
        return str(data.get("error") or "") if isinstance(data, dict) else ""


def _events(response: Response) -> Iterator[Row]:
    """Give events one by one: a day's export may be long."""
    body = response.body
    start, number = 0, 0
    while start < len(body):
        end = body.find(b"\n", start)
        end = len(body) if end < 0 else end
        line = body[start:end]
        start, number = end + 1, number + 1
        if not line.strip():
            continue
        try:
            event = _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise SourceError(f"line {number} of the export is no JSON; it was cut off or broken") from None
        if "error" in event and "event" not in event:
            raise SourceError(f"the export ended with an error: {str(event['error'])[:300]}")
        properties = event.get("properties") or {}
        row: dict[str, Any] = {**properties, "event": event.get("event")}
        when = properties.get("time")
        if isinstance(when, int | float):
            row["_timestamp"] = when / 1000 if when > 1e11 else when
        yield row


def _counted(response: Response, by: list[str]) -> Iterator[Row]:
    counts: dict[tuple[Any, ...], int] = {}
    for event in _events(response):
        values = [event.get(name) for name in by]
        key = tuple(value if isinstance(value, str | int | float | None) else str(value) for value in values)
        counts[key] = counts.get(key, 0) + 1
    for key, count in counts.items():
        yield {**dict(zip(by, key, strict=True)), "count": count}


def _host(endpoint: str, region: str) -> str:
    if not endpoint:
        return HOST if region.lower() in ("", "us") else f"https://data-{region.lower()}.mixpanel.com"
    parts = urlsplit(endpoint)
    # Events go to api[-eu|-in].mixpanel.com, exports come from data[-eu|-in].mixpanel.com.
    host = parts.netloc
    if host.startswith("api") and host.endswith("mixpanel.com"):
        host = "data" + host[3:]
    return urlunsplit((parts.scheme, host, "", "", ""))
