"""What a source is: two pure functions that turn a question into requests, and answers into rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.parse import urlsplit

import msgspec

from ..errors import ConfigurationError, SourceError, UnknownName, Unsupported, did_you_mean
from ..http import Request, Response
from ..registry import Registry
from ..retry import RETRYABLE_STATUSES
from ..secrets import resolve
from .period import Period

__all__ = [
    "SOURCES",
    "Page",
    "Query",
    "Refusal",
    "Row",
    "Source",
    "Token",
    "json_of",
    "options_of",
    "refusal_by_status",
]

#: One row of a platform's answer, in the platform's own names.
Row = Mapping[str, Any]

_EMPTY: Mapping[str, Any] = MappingProxyType({})

SOURCES = Registry(
    "report source",
    "analytical.sources",
    {
        "matomo": "analytical.collect.sources.matomo:Matomo",
        "piwik": "analytical.collect.sources.matomo:Matomo",
        "ga4": "analytical.collect.sources.ga4:Ga4",
        "googleanalytics": "analytical.collect.sources.ga4:Ga4",
        "plausible": "analytical.collect.sources.plausible:Plausible",
        "pingdom": "analytical.collect.sources.pingdom:Pingdom",
        "posthog": "analytical.collect.sources.posthog:PostHog",
        "mixpanel": "analytical.collect.sources.mixpanel:Mixpanel",
        "umami": "analytical.collect.sources.umami:Umami",
        "webtrends": "analytical.collect.sources.webtrends:Webtrends",
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a report asks for, in the platform's names.

    Args:
        method: the platform's report, method or query text.
        metrics: platform's name → yours; ``None`` where the source's own choice holds.
        by: the same for dimensions.
        where: the platform's filter; what it may be stands in each source.
        every: the grid, or ``None`` for a reading of now.
        tz: the grid's time zone.
        native: further parameters of the platform, as it documents them.
    """

    method: str
    metrics: Mapping[str, str] | None = None
    by: Mapping[str, str] | None = None
    where: Any = None
    every: str | None = "day"
    tz: str = "UTC"
    native: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of an answer.

    Args:
        rows: in the platform's names; may be a generator.
        next: the request for the next part; ``None`` at the end.
        after: seconds to wait before ``next`` (an answer that is still being computed).
        warnings: what a reader of the numbers must know: sampling, thresholds, rows put together, quota left.
    """

    rows: Iterable[Row] = ()
    next: Request | None = None
    after: float = 0.0
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An answer that is no report.

    Args:
        reason: for people; secrets are masked later.
        retry: whether the same request may succeed soon: at ``reset``, where that is known.
        quota: whether a quota is used up, so that only time helps.
        reset: when the quota is full again, in seconds since 1970, where known.
    """

    reason: str
    retry: bool = False
    quota: bool = False
    reset: float | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """What a login gave: the token, and for how many seconds it is good."""

    value: str = field(repr=False)
    lifetime: float = 3000.0


@dataclass(frozen=True, kw_only=True, repr=False)
class Source:
    """The base of all sources: configuration, and pure methods.

    A source says how to ask (``first``), how to read an answer and whether there is more (``page``), and which
    answers are refusals (``refusal``). It never connects, waits or retries: the report does.

    Args:
        id: the site, property or project, as the platform names it.
        endpoint: the server, where it is not the platform's own.
    """

    name: ClassVar[str] = ""
    #: What ``every`` may be; ``None`` means that realtime readings exist.
    spans: ClassVar[tuple[str | None, ...]] = ("day", "week", "month")
    #: Options that hold secrets, so that configuration files may only refer to them.
    secret_options: ClassVar[tuple[str, ...]] = ()
    #: Names of the platform that are dimensions even where they spell numbers.
    text_names: ClassVar[frozenset[str]] = frozenset()
    #: Whether text that spells a number is one, for metrics that the query does not name.
    numeric_text: ClassVar[bool] = False

    id: str
    endpoint: str = ""

    def __post_init__(self) -> None:
        for option in self.secret_options:
            value = getattr(self, option)
            if isinstance(value, str) and value:
                object.__setattr__(self, option, resolve(value, what=option))

    @classmethod
    def configured(cls, id: object, *, endpoint: str | None = None, options: Mapping[str, Any] = _EMPTY) -> Source:
        """Make a source from a provider's configuration; options of the sending half are passed over.

        Raises:
            ConfigurationError: a needed option is missing, or one has the wrong form.
        """
        known = {name for name in cls.__dataclass_fields__ if name not in ("id", "endpoint")}
        mine = {name: value for name, value in options.items() if name in known and value is not None}
        return cls(id=str(id), endpoint=endpoint or "", **mine)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret of this source, for masking."""
        return tuple(str(getattr(self, option)) for option in self.secret_options if getattr(self, option))

    def completed(self, query: Query) -> Query:
        """Return the query with this source's own choices filled in."""
        return query

    def check(self, query: Query) -> None:
        """Refuse, before anything is sent, a question that the platform cannot answer.

        Raises:
            Unsupported: the grid is not one of the platform's.
            ConfigurationError: something that it needs is missing.
        """
        if query.every not in self.spans:
            known = [span or "None (realtime)" for span in self.spans]
            raise Unsupported(
                f"{self.name} has no reports with every={query.every!r}."
                f"{did_you_mean(str(query.every), known)} Expected one of {', '.join(known)}"
            )

    def login(self, now: float) -> Request | None:
        """Return the request that fetches a token, for platforms that have one."""
        return None

    def token(self, response: Response) -> Token:
        """Read the answer of ``login``."""
        raise NotImplementedError

    def authorize(self, request: Request, token: Token) -> Request:
        """Add a token that ``login`` fetched to a request."""
        raise NotImplementedError

    def first(self, query: Query, period: Period) -> Request:
        """Return the first request for one period."""
        raise NotImplementedError

    def page(self, query: Query, period: Period, request: Request, response: Response) -> Page:
        """Read one answer."""
        raise NotImplementedError

    def refusal(self, response: Response, now: float) -> Refusal | None:
        """Tell whether an answer is no report; the base knows what HTTP says by itself."""
        return refusal_by_status(response, self.message(response))

    def message(self, response: Response) -> str:
        """Return what the platform says of an error, or ``""``."""
        return ""

    def need(self, option: str, example: str) -> Any:
        """Return an option that this source cannot do without.

        Raises:
            ConfigurationError: it is not set; says what to type.
        """
        value = getattr(self, option)
        if not value:
            raise ConfigurationError(f'reports of {self.name} need {option}; type: {option}="{example}"')
        return value

    def __repr__(self) -> str:
        return f"<{type(self).__name__} source {self.id!r}>"


def options_of(name: str) -> frozenset[str]:
    """Return the options that a source takes besides ``id`` and ``endpoint``; none where there is no such source."""
    try:
        made = SOURCES.get(name)
    except UnknownName:
        return frozenset()
    if not (isinstance(made, type) and issubclass(made, Source)):
        return frozenset()
    return frozenset(made.__dataclass_fields__) - {"id", "endpoint"}


def refusal_by_status(response: Response, message: str = "") -> Refusal | None:
    """Judge an answer by its status alone."""
    status, said = response.status, f": {message[:300]}" if message else ""
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        target = urlsplit(response.headers.get("location", ""))
        place = f"{target.scheme}://{target.hostname}{target.path}" if target.hostname else target.path
        return Refusal(
            reason=f"answered {status}, a redirect{f' to {place}' if place else ''}; it is not followed, because the "
            "credentials would go with it (a login page, or the endpoint lacks https or a path)"
        )
    if status in (401, 403):
        return Refusal(reason=f"the credentials were refused ({status}){said}")
    if status in RETRYABLE_STATUSES:
        return Refusal(reason=f"answered {status}{said}", retry=True)
    return Refusal(reason=f"answered {status}{said}")


def json_of(response: Response) -> Any:
    """Decode an answer.

    Raises:
        SourceError: it is not JSON, or was cut off; says what it looks like, never what it holds.
    """
    body = response.body
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower() or "no content type"
        start = body[:200].lstrip().lower()
        if not body.strip():
            what = "an empty answer"
        elif start.startswith((b"<!doctype", b"<html")):
            what = "an HTML page (a login page, or the wrong endpoint)"
        elif start[:1] in (b"{", b"["):
            what = "JSON that is cut off or broken"
        else:
            what = "no JSON"
        raise SourceError(f"expected JSON, got {what} ({kind}, {len(body)} bytes, status {response.status})") from None
