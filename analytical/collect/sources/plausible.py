"""Plausible's Stats API v2: https://plausible.io/docs/stats-api."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import urlsplit, urlunsplit

import msgspec

from ...errors import ConfigurationError, SourceError
from ...http import Request, Response
from ..period import Period
from ..protocol import Page, Query, Row, Source, json_of

__all__ = ["Plausible"]

LIMIT = 10_000


@dataclass(frozen=True, kw_only=True, repr=False)
class Plausible(Source):
    """Reads ``query``.

    The site's own time zone must be the report's ``tz``. ``where`` is a list of filters as Plausible writes them
    (``[["is", "visit:country", ["FR"]]]``), or a mapping of dimensions to a value or a list of values.

    Args:
        stats_key: a key of the kind "Stats API".
    """

    name: ClassVar[str] = "plausible"
    spans: ClassVar[tuple[str | None, ...]] = ("hour", "day", "week", "month")
    secret_options: ClassVar[tuple[str, ...]] = ("stats_key", "api_key")

    stats_key: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)

    def completed(self, query: Query) -> Query:
        return replace(
            query,
            method=query.method or "query",
            by=query.by if query.by is not None else {},
            metrics=query.metrics if query.metrics is not None else {"visitors": "visitors"},
        )

    def check(self, query: Query) -> None:
        super().check(query)
        if query.method not in ("query", "v2/query", "/api/v2/query"):
            raise ConfigurationError(f'method={query.method!r}: plausible has one, "query"')
        if not (self.stats_key or self.api_key):
            self.need("stats_key", "env:PLAUSIBLE_STATS_KEY")
        _filters(query.where)

    def first(self, query: Query, period: Period) -> Request:
        if query.every == "hour":
            last = period.end - timedelta(seconds=1)
            dates = [period.start.isoformat(), last.isoformat()]
        else:
            dates = [str(period.first_day), str(period.last_day)]
        include = {"total_rows": True, **query.native.get("include", {})}
        body: dict[str, Any] = {
            "site_id": self.id,
            "metrics": list(query.metrics or ()),
            "date_range": dates,
            "dimensions": list(query.by or ()),
            "pagination": {"limit": LIMIT, "offset": 0},
        }
        filters = _filters(query.where)
        if filters:
            body["filters"] = filters
        body |= query.native
        body["include"] = include
        key = self.stats_key or self.api_key
        return Request(
            url=_api(self.endpoint),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {key}"},
            body=msgspec.json.encode(body),
            secrets=(key,),
        )

    def page(self, query: Query, period: Period, request: Request, response: Response) -> Page:
        data = json_of(response)
        if not isinstance(data, dict) or not isinstance(data.get("results"), list):
            raise SourceError("the answer is no report: it has no list of results")
        rows, meta = data["results"], data.get("meta") or {}
        asked = msgspec.json.decode(request.body)
        done = asked["pagination"]["offset"] + len(rows)
        total = meta.get("total_rows")
        more = done < total if isinstance(total, int) else len(rows) >= asked["pagination"]["limit"]
        following = None
        if rows and more and "pagination" not in query.native:
            asked["pagination"]["offset"] = done
            following = replace(request, body=msgspec.json.encode(asked))
        warnings = [str(meta[name]) for name in ("imports_warning", "time_on_page_warning") if meta.get(name)]
        for name, about in (meta.get("metric_warnings") or {}).items():
            warnings.append(f"{name}: {about.get('warning') or about.get('code')}")
        return Page(rows=_rows(asked, rows), next=following, warnings=tuple(warnings))

    def message(self, response: Response) -> str:
        try:
            data = msgspec.json.decode(response.body[:65_536])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return ""
        return str(data.get("error") or "") if isinstance(data, dict) else ""


def _rows(asked: Mapping[str, Any], rows: list[Any]) -> Iterator[Row]:
    dimensions, metrics = asked["dimensions"], asked["metrics"]
    for row in rows:
        yield {
            **dict(zip(dimensions, row.get("dimensions") or (), strict=False)),
            **dict(zip(metrics, row.get("metrics") or (), strict=False)),
        }


def _filters(where: Any) -> list[Any]:
    if not where:
        return []
    if isinstance(where, Mapping):
        return [
            ["is", name, [str(one) for one in (value if isinstance(value, list | tuple) else [value])]]
            for name, value in where.items()
        ]
    if isinstance(where, list | tuple):
        return list(where)
    raise ConfigurationError(
        f'where={where!r}: plausible takes filters such as [["is", "visit:country", ["FR"]]], or a mapping'
    )


def _api(endpoint: str) -> str:
    parts = urlsplit(endpoint or "https://plausible.io")
    head = parts.path.partition("/api/")[0].rstrip("/")
    return urlunsplit((parts.scheme, parts.netloc, f"{head}/api/v2/query", "", ""))
