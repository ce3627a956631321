"""Pingdom's API 3.1: https://docs.pingdom.com/api/."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar
from urllib.parse import urlencode

import msgspec

from ...errors import ConfigurationError, SourceError
from ...http import Request, Response
from ..period import Period
from ..protocol import Page, Query, Refusal, Row, Source, json_of

__all__ = ["Pingdom"]

API = "https://api.pingdom.com/api/3.1"

_KEYS = {"hour": "hours", "day": "days", "week": "weeks"}
_METRICS = ("avgresponse", "uptime", "downtime", "unmonitored")


@dataclass(frozen=True, kw_only=True, repr=False)
class Pingdom(Source):
    """Reads ``summary.performance`` of one check, whose number or name is the provider's id.

    ``avgresponse`` is in ms; ``uptime``, ``downtime`` and ``unmonitored`` are in seconds.

    Args:
        token: an API token with read access.
    """

    name: ClassVar[str] = "pingdom"
    spans: ClassVar[tuple[str | None, ...]] = ("hour", "day", "week")
    secret_options: ClassVar[tuple[str, ...]] = ("token",)

    token: str = field(default="", repr=False)  # type: ignore[assignment]  # an option, as Pingdom names it

    def completed(self, query: Query) -> Query:
        metrics = query.metrics if query.metrics is not None else {name: name for name in _METRICS}
        by = query.by if query.by is not None else {"check": "check"}
        return replace(query, method=query.method or "summary.performance", by=by, metrics=metrics)

    def check(self, query: Query) -> None:
        super().check(query)
        if query.method != "summary.performance":
            raise ConfigurationError(f'method={query.method!r}: pingdom has one, "summary.performance"')
        if not self.id:
            raise ConfigurationError("pingdom needs the number or the name of a check as id")
        self.need("token", "env:PINGDOM_TOKEN")

    def first(self, query: Query, period: Period) -> Request:
        if self.id.isdigit():
            return self._summary(self.id, query, period)
        return self._get("checks", {})

    def page(self, query: Query, period: Period, request: Request, response: Response) -> Page:
        data = json_of(response)
        warnings = _quota(response)
        if isinstance(data, dict) and "checks" in data:
            found = [check for check in data["checks"] if check.get("name") == self.id]
            if not found:
                names = ", ".join(sorted(str(check.get("name")) for check in data["checks"]))
                raise SourceError(f'there is no check "{self.id}"; there are: {names[:600] or "none"}')
            return Page(next=self._summary(str(found[0]["id"]), query, period), warnings=warnings)
        summary = data.get("summary") if isinstance(data, dict) else None
        rows = summary.get(_KEYS[str(query.every)]) if isinstance(summary, dict) else None
        if not isinstance(rows, list):
            raise SourceError(f"the answer has no summary.{_KEYS[str(query.every)]}")
        start, end = period.start.timestamp(), period.end.timestamp()
        kept: list[Row] = [
            {**row, "check": self.id} for row in rows if start <= float(row.get("starttime", start)) < end
        ]
        return Page(rows=kept, warnings=warnings)

    def refusal(self, response: Response, now: float) -> Refusal | None:
        if response.status == 429 and "retry-after" not in response.headers:
            waits = [int(wait) for _, left, wait in _limits(response) if left == "0"]
            if waits:
                return Refusal(reason="answered 429: no requests are left", retry=True, reset=now + max(waits))
        return super().refusal(response, now)

    def message(self, response: Response) -> str:
        try:
            data = msgspec.json.decode(response.body[:65_536])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return ""
        error = data.get("error") if isinstance(data, dict) else None
        return str(error.get("errormessage") or "") if isinstance(error, dict) else ""

    def _summary(self, check: str, query: Query, period: Period) -> Request:
        params: dict[str, Any] = {
            "from": int(period.start.timestamp()),
            "to": int(period.end.timestamp()),
            "resolution": query.every,
            "includeuptime": "true",
            **query.native,
        }
        return self._get(f"summary.performance/{check}", params)

    def _get(self, path: str, params: dict[str, Any]) -> Request:
        query = f"?{urlencode(params)}" if params else ""
        return Request(
            method="GET",
            url=f"{(self.endpoint or API).rstrip('/')}/{path}{query}",
            headers={"Authorization": f"Bearer {self.token}", "Accept": "application/json"},
            secrets=(str(self.token),),
        )


def _limits(response: Response) -> Iterator[tuple[str, str, str]]:
    """Give each limit of the account: its name, how many requests are left, and in how many seconds it is reset."""
    for header, name in (("req-limit-short", "short-term"), ("req-limit-long", "long-term")):
        found = re.search(r"Remaining:\s*(\d+).*?reset:\s*(\d+)", response.headers.get(header, ""))
        if found:
            yield name, found[1], found[2]


def _quota(response: Response) -> tuple[str, ...]:
    left = [f"{count} {name} requests, reset in {wait} s" for name, count, wait in _limits(response)]
    return (f"quota: {'; '.join(left)}",) if left else ()
