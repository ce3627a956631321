"""PostHog's query API with HogQL: https://posthog.com/docs/api/queries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec

from ...errors import ConfigurationError, SourceError
from ...http import Request, Response
from ..period import Period
from ..protocol import Page, Query, Row, Source, json_of

__all__ = ["PostHog"]

LIMIT = 10_000

#: Seconds between two looks at a query that is still being computed.
POLL = 1.0


@dataclass(frozen=True, kw_only=True, repr=False)
class PostHog(Source):
    """Reads the rows of a HogQL query, which is the report's method.

    ``{start}`` and ``{end}`` in it stand for the period: ``where timestamp >= {start} and timestamp < {end}``. Its
    columns are named by ``by`` and ``metrics``.

    Args:
        personal_api_key: a personal key with the scope "Query Read".
        region: ``eu``, where the data are not in the United States.
        project: the project's number, where the provider's id is a project's public key (``phc_…``).
    """

    name: ClassVar[str] = "posthog"
    spans: ClassVar[tuple[str | None, ...]] = ("hour", "day", "week", "month", None)
    secret_options: ClassVar[tuple[str, ...]] = ("personal_api_key",)

    personal_api_key: str = field(default="", repr=False)
    project: str = ""
    region: str = ""

    def check(self, query: Query) -> None:
        super().check(query)
        text = query.method
        if not re.match(r"\s*(select|with)\b", text, re.IGNORECASE):
            raise ConfigurationError(
                'reports of posthog need a HogQL query, such as "select event, count() as n from events '
                'where timestamp >= {start} and timestamp < {end} group by event"'
            )
        if query.every is not None and not ("{start}" in text and "{end}" in text):
            raise ConfigurationError("the query must have {start} and {end}, or every period would be the same")
        if query.where:
            raise ConfigurationError("posthog: conditions stand in the query, not in where=")
        self.need("personal_api_key", "env:POSTHOG_PERSONAL_KEY")

    def first(self, query: Query, period: Period) -> Request:
        text = query.method.strip().rstrip(";")
        for name, when in (("{start}", period.start), ("{end}", period.end)):
            text = text.replace(name, _literal(when))
        return self._asked(text, query, 0)

    def page(self, query: Query, period: Period, request: Request, response: Response) -> Page:
        data = json_of(response)
        if not isinstance(data, dict):
            raise SourceError("the answer is no report: expected a JSON object")
        status = data.get("query_status")
        if isinstance(status, dict) and not status.get("complete") and "results" not in data:
            if status.get("error"):
                raise SourceError(f"the query failed: {str(status.get('error_message'))[:300]}")
            offset = _offset(request)
            poll = Request(
                method="GET",
                url=f"{self._api()}{quote(str(status['id']), safe='')}/#{offset}",
                headers=self._headers(),
                secrets=self.secrets,
            )
            return Page(next=poll, after=POLL)
        if isinstance(status, dict) and "results" not in data:
            if status.get("error"):
                raise SourceError(f"the query failed: {str(status.get('error_message'))[:300]}")
            data = status.get("results") or {}
        results = data.get("results")
        if not isinstance(results, list):
            raise SourceError(
                f"the answer has no results{': ' + str(data['error'])[:300] if data.get('error') else ''}"
            )
        columns = data.get("columns") or [*(query.by or ()), *(query.metrics or ())]
        following = None
        if len(results) >= LIMIT:
            text = query.method.strip().rstrip(";")
            for name, when in (("{start}", period.start), ("{end}", period.end)):
                text = text.replace(name, _literal(when))
            following = self._asked(text, query, _offset(request) + len(results))
        return Page(rows=_rows(columns, results), next=following)

    def message(self, response: Response) -> str:
        try:
            data = msgspec.json.decode(response.body[:65_536])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return ""
        return str(data.get("detail") or data.get("error") or "") if isinstance(data, dict) else ""

    def _asked(self, text: str, query: Query, offset: int) -> Request:
        # Without a limit of its own PostHog stops at 100 rows. Ordering by the dimensions keeps pages apart.
        order = ", ".join(f"`{name}`" for name in query.by or ())
        # The text is the caller's own, and HogQL reads only their project.
        paged = f"select * from ({text}){f' order by {order}' if order else ''} limit {LIMIT} offset {offset}"  # noqa: S608
        body = {"query": {"kind": "HogQLQuery", "query": paged}, "refresh": "blocking", **query.native}
        return Request(
            url=f"{self._api()}#{offset}", headers=self._headers(), body=msgspec.json.encode(body), secrets=self.secrets
        )

    def _api(self) -> str:
        parts = urlsplit(self.endpoint or f"https://{self.region.lower() or 'us'}.posthog.com")
        # Events go to us.i.posthog.com, queries to us.posthog.com.
        host = parts.netloc.replace(".i.posthog.com", ".posthog.com")
        project = quote(self.project or self.id, safe="")
        return urlunsplit((parts.scheme, host, f"/api/projects/{project}/query/", "", ""))

    def _headers(self) -> dict[str, str]:
        return {"Content-Type": "application/json", "Authorization": f"Bearer {self.personal_api_key}"}


def _literal(when: datetime) -> str:
    return f"toDateTime('{when.astimezone(UTC):%Y-%m-%d %H:%M:%S}', 'UTC')"


def _offset(request: Request) -> int:
    # A fragment is never sent; here it carries how many rows were read before.
    fragment = urlsplit(request.url).fragment
    return int(fragment) if fragment.isdigit() else 0


def _rows(columns: list[str], results: list[Any]) -> Iterator[Row]:
    for row in results:
        yield row if isinstance(row, dict) else dict(zip(columns, row, strict=False))
