"""Matomo's reports (and Piwik's): https://developer.matomo.org/api-reference/reporting-api.

As measured on 5.2: errors raised before the method runs are JSON only where ``format`` stands in the query, and a
token is safest, and for POST-only tokens possible at all, in the body. So everything but the token is in the query.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import msgspec

from ...errors import ConfigurationError, SourceError
from ...http import Request, Response
from ..period import Period
from ..protocol import Page, Query, Refusal, Row, Source, json_of

__all__ = ["Matomo", "api_url"]

#: Rows asked for at once. Matomo's own default of 100 cuts reports off silently.
LIMIT = 10_000


@dataclass(frozen=True, kw_only=True, repr=False)
class Matomo(Source):
    """Reads ``Module.method`` reports; several, with commas between, are fetched in one bulk request and joined.

    ``where`` is a segment, as text (``"deviceType==desktop"``) or as a mapping of equalities.

    Args:
        token_auth: a token with view access; none for anonymous access.
    """

    name: ClassVar[str] = "matomo"
    spans: ClassVar[tuple[str | None, ...]] = ("day", "week", "month", None)
    secret_options: ClassVar[tuple[str, ...]] = ("token_auth",)
    numeric_text: ClassVar[bool] = True
    text_names: ClassVar[frozenset[str]] = frozenset({"label", "idSite"})

    token_auth: str = field(default="", repr=False)

    def check(self, query: Query) -> None:
        super().check(query)
        if not query.method:
            raise ConfigurationError(
                'reports of matomo need a method, such as "VisitsSummary.get" or "DevicesDetection.getType"'
            )
        api_url(self.need("endpoint", "https://stats.example.com/matomo.php"))

    def first(self, query: Query, period: Period) -> Request:
        methods = [name.strip() for name in query.method.split(",") if name.strip()]
        common: dict[str, str] = {"idSite": self.id}
        if query.every is not None:
            common |= {"period": query.every, "date": period.first_day.isoformat()}
        elif methods == ["Live.getCounters"]:
            common["lastMinutes"] = "30"
        common["format_metrics"] = "0"
        if query.where:
            common["segment"] = segment(query.where)
        common |= {name: _plain(value) for name, value in query.native.items() if value is not None}
        params = {"module": "API", "format": "JSON"}
        body: dict[str, str] = {}
        if len(methods) == 1:
            params |= {"method": methods[0], "filter_limit": str(LIMIT), "filter_offset": "0"} | common
        else:
            params["method"] = "API.getBulkRequest"
            for number, name in enumerate(methods):
                body[f"urls[{number}]"] = urlencode({"method": name, "filter_limit": "-1", **common})
        if self.token_auth:
            body["token_auth"] = self.token_auth
        return Request(
            url=f"{api_url(self.endpoint)}?{urlencode(params)}",
            headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
            body=urlencode(body).encode(),
            secrets=self.secrets,
        )

    def page(self, query: Query, period: Period, request: Request, response: Response) -> Page:
        data = json_of(response)
        if "," in query.method:
            rows = _joined(data, query)
            return Page(rows=_kept(rows, query), warnings=_summaries(rows))
        whole = isinstance(data, list) and all(isinstance(row, dict) for row in data)
        rows = data if whole else list(_rows(data))
        params = dict(parse_qsl(urlsplit(request.url).query, keep_blank_values=True))
        following = None
        # A filter_limit of the caller's own is a wish for the first rows, not for all.
        # More rows than asked for are all there are: the server does not know the limit.
        if "filter_limit" not in query.native and isinstance(data, list) and len(rows) == LIMIT:
            params["filter_offset"] = str(int(params["filter_offset"]) + LIMIT)
            following = _with_params(request, params)
        return Page(rows=_kept(rows, query), next=following, warnings=_summaries(rows))

    def refusal(self, response: Response, now: float) -> Refusal | None:
        message = self.message(response)
        if "Too many failed logins" in message:
            # Every further try keeps the whole host locked out.
            return Refusal(reason=f"the server has locked this address out: {message}", quota=True, reset=now + 3600)
        if response.ok:
            return Refusal(reason=f"answered with an error: {message[:300]}") if message else None
        return super().refusal(response, now)

    def message(self, response: Response) -> str:
        body = response.body
        if len(body) > 20_000 or body.lstrip()[:1] != b"{":
            return ""
        try:
            data = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return ""
        if isinstance(data, dict) and data.get("result") == "error":
            return str(data.get("message") or "no reason given")
        return ""


def api_url(endpoint: str) -> str:
    """Return the reporting address of the server that an endpoint belongs to: ``index.php`` beside ``matomo.php``.

    >>> api_url("https://stats.example.com/piwik/matomo.php")
    'https://stats.example.com/piwik/index.php'
    """
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(
            f'endpoint="{endpoint}" is no address; expected one such as "https://stats.example.com/matomo.php"'
        )
    head, _, tail = parts.path.rpartition("/")
    if tail and not tail.endswith(".php"):
        head = parts.path
    return urlunsplit((parts.scheme, parts.netloc, f"{head.rstrip('/')}/index.php", "", ""))


def segment(where: Any) -> str:
    """Return a segment as Matomo writes it (https://developer.matomo.org/api-reference/reporting-api-segmentation)."""
    if isinstance(where, str):
        return where
    if isinstance(where, Mapping):
        # Values are encoded once more inside the segment, because ";" and "," join conditions there.
        return ";".join(f"{name}=={quote(str(value), safe='')}" for name, value in where.items())
    raise ConfigurationError(
        f'where={where!r}: matomo takes a segment, as text ("deviceType==desktop") or as a mapping of equalities'
    )


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return ",".join(str(one) for one in value) if isinstance(value, list | tuple) else str(value)


def _with_params(request: Request, params: Mapping[str, str]) -> Request:
    base = request.url.partition("?")[0]
    return Request(
        url=f"{base}?{urlencode(params)}", headers=request.headers, body=request.body, secrets=request.secrets
    )


def _rows(data: Any, site: str | None = None) -> Iterator[dict[str, Any]]:
    if isinstance(data, dict):
        if data.get("result") == "error":
            raise SourceError(f"answered with an error: {str(data.get('message'))[:300]}")
        if data.get("result") == "success" and set(data) <= {"result", "message"}:
            return
        if data and all(key.isdigit() and isinstance(value, dict | list) for key, value in data.items()):
            for key, value in data.items():  # several sites
                yield from _rows(value, key)
            return
        data = [data]
    if not isinstance(data, list):
        data = [{"value": data}]
    for row in data:
        found = row if isinstance(row, dict) else {"value": row}
        yield found if site is None else {"idSite": site, **found}


def _joined(data: Any, query: Query) -> list[dict[str, Any]]:
    """Join the answers of a bulk request on their dimensions."""
    if not isinstance(data, list):
        raise SourceError("the bulk answer is no list")
    keys = tuple(query.by) if query.by is not None else ("idSite", "label")
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for answer in data:
        for row in _rows(answer):
            found.setdefault(tuple(row.get(key) for key in keys), {}).update(row)
    return list(found.values())


def _kept(rows: list[dict[str, Any]], query: Query) -> list[Row]:
    """Where dimensions are not named, only the label is one: links, logos and segments are decoration."""
    if query.by is not None and query.metrics is not None:
        return rows  # type: ignore[return-value]  # a list of dicts, which nobody changes
    names = {"label", "idSite", *(query.by or ()), *(query.metrics or ())}
    return [
        {key: value for key, value in row.items() if key in names or (value is not None and _numeric(value))}
        for row in rows
    ]


def _numeric(value: Any) -> bool:
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return False
        return True
    return isinstance(value, int | float) and not isinstance(value, bool)


def _summaries(rows: list[dict[str, Any]]) -> tuple[str, ...]:
    found = [row for row in rows if row.get("is_summary")]
    if not found:
        return ()
    return (
        f"{len(found)} of {len(rows)} rows put many together (such as {str(found[0].get('label', 'Others'))[:60]!r}): "
        "Matomo's archive keeps a limited number of rows per report",
    )
