"""Umami's statistics: https://umami.is/docs/api/website-stats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import msgspec

from ...errors import ConfigurationError, SourceError, did_you_mean
from ...http import Request, Response
from ..period import Period
from ..protocol import Page, Query, Row, Source, Token, json_of

__all__ = ["Umami"]

LIMIT = 1000
_METHODS = ("stats", "metrics", "pageviews", "events/series", "sessions", "active")
_PAGED = ("metrics", "sessions")


@dataclass(frozen=True, kw_only=True, repr=False)
class Umami(Source):
    """Reads ``stats``, ``metrics`` (with ``type="url"`` …), ``pageviews``, ``events/series``, ``sessions``, ``active``.

    ``metrics`` has the columns ``x`` and ``y``: ``by={"x": "page"}, metrics={"y": "visitors"}``.

    Args:
        username: of a server of your own.
        password: of that user.
        api_key: of Umami Cloud, instead.
    """

    name: ClassVar[str] = "umami"
    spans: ClassVar[tuple[str | None, ...]] = ("hour", "day", "week", "month", None)
    secret_options: ClassVar[tuple[str, ...]] = ("password", "api_key")
    text_names: ClassVar[frozenset[str]] = frozenset({"x", "t", "id"})

    username: str = ""
    password: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)

    def completed(self, query: Query) -> Query:
        return replace(query, every=None) if query.method == "active" else query

    def check(self, query: Query) -> None:
        super().check(query)
        if query.method not in _METHODS:
            raise ConfigurationError(
                f"method={query.method!r}: unknown.{did_you_mean(query.method, _METHODS)} "
                f"umami has {', '.join(_METHODS)}"
            )
        if query.method != "active" and query.every is None:
            raise ConfigurationError('every=None is a reading of now, which umami has in "active"')
        if query.method == "metrics" and "type" not in query.native:
            raise ConfigurationError('umami\'s "metrics" needs type="url", "referrer", "browser", "country" …')
        if not self.api_key:
            self.need("username", "admin")
            self.need("password", "env:UMAMI_PASSWORD")

    def login(self, now: float) -> Request | None:
        if self.api_key:
            return None
        return Request(
            url=f"{self._api()}/auth/login",
            headers={"Content-Type": "application/json"},
            body=msgspec.json.encode({"username": self.username, "password": self.password}),
            secrets=(self.password,),
        )

    def token(self, response: Response) -> Token:
        data = json_of(response)
        if not isinstance(data, dict) or not data.get("token"):
            raise SourceError("the login gave no token")
        return Token(str(data["token"]))

    def authorize(self, request: Request, token: Token) -> Request:
        return replace(
            request,
            headers={**request.headers, "Authorization": f"Bearer {token.value}"},
            secrets=(*request.secrets, token.value),
        )

    def first(self, query: Query, period: Period) -> Request:
        params: dict[str, Any] = {}
        if query.every is not None:
            params = {
                "startAt": int(period.start.timestamp() * 1000),
                # The last millisecond: the end is included there.
                "endAt": int(period.end.timestamp() * 1000) - 1,
                "unit": query.every,
                "timezone": query.tz,
            }
        if query.method == "metrics":
            params |= {"limit": LIMIT, "offset": 0}
        elif query.method == "sessions":
            params |= {"pageSize": LIMIT, "page": 1}
        if isinstance(query.where, Mapping):
            params |= query.where
        elif query.where:
            raise ConfigurationError(f'where={query.where!r}: umami takes a mapping such as {{"country": "FR"}}')
        params |= query.native
        headers = {"Accept": "application/json"}
        if self.api_key:
            headers["x-umami-api-key"] = self.api_key
        site = quote(self.id, safe="")
        return Request(
            method="GET",
            url=f"{self._api()}/websites/{site}/{query.method}?{urlencode(params)}",
            headers=headers,
            secrets=self.secrets,
        )

    def page(self, query: Query, period: Period, request: Request, response: Response) -> Page:
        data = json_of(response)
        rows = _rows(data, query.method)
        following = None
        if query.method in _PAGED and len(rows) >= LIMIT and not {"limit", "pageSize"} & set(query.native):
            base, _, text = request.url.partition("?")
            params = dict(parse_qsl(text))
            if query.method == "metrics":
                params["offset"] = str(int(params["offset"]) + LIMIT)
            else:
                params["page"] = str(int(params["page"]) + 1)
            following = replace(request, url=f"{base}?{urlencode(params)}")
        return Page(rows=rows, next=following)

    def message(self, response: Response) -> str:
        try:
            data = msgspec.json.decode(response.body[:65_536])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return ""
        error = data.get("error") if isinstance(data, dict) else None
        return str(error.get("message") if isinstance(error, dict) else error or "")

    def _api(self) -> str:
        if not self.endpoint:
            return "https://api.umami.is/v1" if self.api_key else "https://cloud.umami.is/api"
        parts = urlsplit(self.endpoint)
        head, _, rest = parts.path.partition("/api")
        path = f"{head.rstrip('/')}/api"
        if parts.path.rstrip("/").endswith("/v1"):
            path = parts.path.rstrip("/")
        del rest
        return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def _rows(data: Any, method: str) -> list[Row]:
    if method == "stats" and isinstance(data, dict):
        # Version 3 answers numbers, version 2 answered {"value": …, "prev": …}.
        return [
            {
                name: value.get("value") if isinstance(value, dict) else value
                for name, value in data.items()
                if name != "comparison"
            }
        ]
    if method == "pageviews" and isinstance(data, dict):
        joined: dict[Any, dict[str, Any]] = {}
        for name in ("pageviews", "sessions"):
            for point in data.get(name) or ():
                joined.setdefault(point.get("x"), {"x": point.get("x")})[name] = point.get("y")
        return list(joined.values())
    if isinstance(data, dict) and isinstance(data.get("data"), list):
        return list(data["data"])
    if isinstance(data, dict):
        return [data]
    if isinstance(data, list):
        return data
    raise SourceError("the answer is no report: expected JSON rows")
