"""Google Analytics 4's Data API: https://developers.google.com/analytics/devguides/reporting/data/v1.

The typed source of every name here is ``google/analytics/data/v1beta/analytics_data_api.proto`` in
https://github.com/googleapis/googleapis.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlencode, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from ...errors import ConfigurationError, MissingExtra, SourceError
from ...http import Request, Response
from ...secrets import is_reference, resolve
from ..period import Period
from ..protocol import Page, Query, Refusal, Row, Source, Token, json_of

__all__ = ["Ga4"]

API = "https://analyticsdata.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/analytics.readonly"

#: Rows per request: Google's own default, small enough to hold.
LIMIT = 10_000

# The option ``property`` hides the built-in of that name in the class below.
_property = property

_METHODS = ("runReport", "runRealtimeReport")
_EXPRESSIONS = {"filter", "andGroup", "orGroup", "notExpression"}


@dataclass(frozen=True, kw_only=True, repr=False)
class Ga4(Source):
    """Reads ``runReport`` and ``runRealtimeReport`` with a service account.

    The account's address must be a viewer of the property. ``where`` is a mapping of dimensions to a value or a list
    of values, or a ``FilterExpression`` as Google writes it.

    Args:
        property: the property's number, where the provider's id is a measurement id (``G-…``).
        service_account: the key file: a path, its JSON, or a reference to one of them.
        access_token: instead of a service account, a token that something else keeps fresh.
    """

    name: ClassVar[str] = "ga4"
    spans: ClassVar[tuple[str | None, ...]] = ("hour", "day", "week", "month", None)
    secret_options: ClassVar[tuple[str, ...]] = ("access_token",)
    numeric_text: ClassVar[bool] = True

    property: str = ""
    service_account: Any = field(default="", repr=False)
    access_token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        key = self.service_account
        given = bool(key)
        if is_reference(key) and not str(key).endswith(".json"):
            key = resolve(str(key), what="service_account")
        elif isinstance(key, str) and key.startswith("file:"):
            key = key.removeprefix("file:")
        if isinstance(key, str) and key:
            if not key.lstrip().startswith("{"):
                try:
                    key = Path(key).read_text(encoding="utf-8")
                except (OSError, UnicodeDecodeError) as error:
                    # Something pasted in the place of a path may be the key itself.
                    named = f" {key}" if key.endswith(".json") else ""
                    raise ConfigurationError(
                        f"service_account: the key file{named} cannot be read ({type(error).__name__})"
                    ) from None
            try:
                key = msgspec.json.decode(key)
            except msgspec.DecodeError:
                raise ConfigurationError("service_account: no JSON; expected a service account's key file") from None
        if given and not (isinstance(key, Mapping) and {"client_email", "private_key"} <= set(key)):
            raise ConfigurationError(
                "service_account: no service account's key; create one in the Google Cloud console "
                "(IAM, Service accounts, Keys, JSON), and make its address a viewer of the property"
            )
        object.__setattr__(self, "service_account", key or None)

    @_property
    def secrets(self) -> tuple[str, ...]:
        key = self.service_account
        return (*super().secrets, str(key["private_key"])) if key else super().secrets

    def completed(self, query: Query) -> Query:
        method = query.method or ("runRealtimeReport" if query.every is None else "runReport")
        # Without dimensions there is one row; Google sends nothing that could be one by itself.
        by = query.by if query.by is not None else {}
        return replace(query, method=method, by=by, every=None if method == "runRealtimeReport" else query.every)

    def check(self, query: Query) -> None:
        super().check(query)
        if query.method not in _METHODS:
            raise ConfigurationError(f"method={query.method!r}: ga4 has {' and '.join(_METHODS)}")
        if query.method == "runReport" and query.every is None:
            raise ConfigurationError('every=None is a reading of now, which ga4 has in "runRealtimeReport"')
        if not query.metrics:
            raise ConfigurationError('reports of ga4 need metrics, such as metrics={"activeUsers": "users"}')
        if not self._number.isdigit():
            raise ConfigurationError(
                f'reports of ga4 need the property\'s number, got {self._number!r}; type: property="123456789" '
                "(Admin, Property details), not the measurement id G-…"
            )
        if not self.service_account and not self.access_token:
            self.need("service_account", "key.json")

    @_property
    def _number(self) -> str:
        return (self.property or self.id).removeprefix("properties/")

    @_property
    def _api(self) -> str:
        # Hits go to www.google-analytics.com; a provider that serves both halves may name that.
        host = urlsplit(self.endpoint).hostname or ""
        return API if not host or host.endswith("google-analytics.com") else self.endpoint.rstrip("/")

    def login(self, now: float) -> Request | None:
        if self.access_token:
            return None
        key = self.service_account
        try:
            from google.auth import crypt, jwt
        except ImportError:
            raise MissingExtra("GA4's service account", "ga4-reports") from None
        address = str(key.get("token_uri") or "https://oauth2.googleapis.com/token")
        try:
            signer = crypt.RSASigner.from_service_account_info(dict(key))  # type: ignore[no-untyped-call]  # google's
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(f"service_account: its private key is unusable ({type(error).__name__})") from None
        claims = {
            "iss": key["client_email"],
            "scope": SCOPE,
            "aud": address,
            "iat": int(now),
            "exp": int(now) + 3600,
        }
        assertion = jwt.encode(signer, claims).decode()  # type: ignore[no-untyped-call]  # google's
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
        return Request(
            url=address,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode(form).encode(),
            secrets=(assertion,),
        )

    def token(self, response: Response) -> Token:
        data = json_of(response)
        if not isinstance(data, dict) or not data.get("access_token"):
            raise SourceError("the token server sent no access_token")
        return Token(str(data["access_token"]), float(data.get("expires_in") or 3000))

    def authorize(self, request: Request, token: Token) -> Request:
        return replace(
            request,
            headers={**request.headers, "Authorization": f"Bearer {token.value}"},
            secrets=(*request.secrets, token.value),
        )

    def first(self, query: Query, period: Period) -> Request:
        dimensions, metrics = list(query.by or ()), list(query.metrics or ())
        body: dict[str, Any] = {
            "dimensions": [{"name": name} for name in dimensions],
            "metrics": [{"name": name} for name in metrics],
            "limit": str(LIMIT),
            "returnPropertyQuota": True,
        }
        where = _expression(query.where) if query.where else None
        if query.every is not None:
            body["dateRanges"] = [{"startDate": str(period.first_day), "endDate": str(period.last_day)}]
            body["offset"] = "0"
            if dimensions:
                # Pages of an unordered answer may overlap.
                body["orderBys"] = [{"dimension": {"dimensionName": name}} for name in dimensions]
            if query.every == "hour":
                hour = _expression({"hour": f"{period.start:%H}"})
                where = {"andGroup": {"expressions": [hour, where]}} if where else hour
        if where:
            body["dimensionFilter"] = where
        body |= query.native
        headers = {"Content-Type": "application/json"}
        if self.access_token:
            headers["Authorization"] = f"Bearer {self.access_token}"
        return Request(
            url=f"{self._api}/v1beta/properties/{self._number}:{query.method}",
            headers=headers,
            body=msgspec.json.encode(body),
            secrets=(self.access_token,) if self.access_token else (),
        )

    def page(self, query: Query, period: Period, request: Request, response: Response) -> Page:
        data = json_of(response)
        if not isinstance(data, dict):
            raise SourceError("the answer is no report: expected a JSON object")
        asked = msgspec.json.decode(request.body)
        rows = data.get("rows") or []
        following = None
        done = int(asked.get("offset") or 0) + len(rows)
        if rows and query.every is not None and "limit" not in query.native and done < int(data.get("rowCount") or 0):
            following = replace(request, body=msgspec.json.encode({**asked, "offset": str(done)}))
        elif query.every is None and int(data.get("rowCount") or 0) > len(rows):
            # The realtime method has no offset: saying it is all that can be done.
            return Page(
                rows=_rows(data, rows),
                warnings=(
                    f"{len(rows)} of {data['rowCount']} rows: realtime reports cannot be paged",
                    *_warnings(data, rows, query),
                ),
            )
        return Page(rows=_rows(data, rows), next=following, warnings=_warnings(data, rows, query))

    def refusal(self, response: Response, now: float) -> Refusal | None:
        if response.status == 429:
            said = self.message(response)
            low = said.lower()
            if "concurrent" in low:
                return Refusal(reason=f"answered 429: {said[:300]}", retry=True)
            if any(word in low for word in ("exhausted", "quota", "tokens")):
                return Refusal(reason=f"a quota is used up: {said[:300]}", quota=True, reset=_reset(low, now))
        return super().refusal(response, now)

    def message(self, response: Response) -> str:
        try:
            data = msgspec.json.decode(response.body[:65_536])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return ""
        error = data.get("error") if isinstance(data, dict) else None
        if isinstance(error, dict):
            return str(error.get("message") or error.get("status") or "")
        if error:  # the token server's own form: RFC 6749 §5.2
            return f"{error}: {data.get('error_description') or ''}".rstrip(": ")
        return ""


def _rows(data: Mapping[str, Any], rows: list[Any]) -> Iterator[Row]:
    names = [header["name"] for header in data.get("dimensionHeaders") or ()]
    metrics = [header["name"] for header in data.get("metricHeaders") or ()]
    for row in rows:
        found = {name: cell.get("value") for name, cell in zip(names, row.get("dimensionValues") or (), strict=False)}
        found.update(
            (name, cell.get("value")) for name, cell in zip(metrics, row.get("metricValues") or (), strict=False)
        )
        yield found


def _warnings(data: Mapping[str, Any], rows: list[Any], query: Query) -> tuple[str, ...]:
    found: list[str] = []
    meta = data.get("metadata") or {}
    if meta.get("subjectToThresholding"):
        found.append("thresholding: rows with few users were left out")
    for sampled in meta.get("samplingMetadatas") or ():
        read, of = sampled.get("samplesReadCount"), sampled.get("samplingSpaceSize")
        found.append(f"sampling: computed from {read} of {of} events")
    other = meta.get("dataLossFromOtherRow") or any(
        cell.get("value") == "(other)" for row in rows for cell in row.get("dimensionValues") or ()
    )
    if other:
        found.append('"(other)": rows beyond the cardinality limit were put together in one')
    quota = data.get("propertyQuota") or {}
    left = [
        f"{quota[name]['remaining']} {text}"
        for name, text in (("tokensPerDay", "tokens today"), ("tokensPerHour", "tokens this hour"))
        if isinstance(quota.get(name), dict) and "remaining" in quota[name]
    ]
    if left:
        found.append(f"quota: {', '.join(left)} left")
    return tuple(found)


def _expression(where: Any) -> dict[str, Any]:
    if isinstance(where, Mapping):
        if set(where) & _EXPRESSIONS:
            return dict(where)
        parts = []
        for name, value in where.items():
            if isinstance(value, list | tuple):
                condition: dict[str, Any] = {"inListFilter": {"values": [str(one) for one in value]}}
            else:
                condition = {"stringFilter": {"matchType": "EXACT", "value": str(value)}}
            parts.append({"filter": {"fieldName": name, **condition}})
        return parts[0] if len(parts) == 1 else {"andGroup": {"expressions": parts}}
    raise ConfigurationError(
        f'where={where!r}: ga4 takes a mapping such as {{"country": "France"}}, or a FilterExpression'
    )


def _reset(said: str, now: float) -> float:
    """Return when a quota is full again: daily ones at midnight in California, hourly ones within the hour."""
    if "hour" in said and "day" not in said:
        return now + 3600
    try:
        pacific = ZoneInfo("America/Los_Angeles")
    except ZoneInfoNotFoundError:  # pragma: no cover - a system without a time zone database
        return now + 86_400
    today = datetime.fromtimestamp(now, UTC).astimezone(pacific).date() + timedelta(days=1)
    return datetime(today.year, today.month, today.day, tzinfo=pacific).timestamp()
