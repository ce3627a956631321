"""Simple Analytics, server-side events.

https://docs.simpleanalytics.com/events/server-side
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from ..backend import (
    Backend,
    ConfigurationError,
    Decoded,
    Parcel,
    compact,
    folded,
    language_tag,
    option,
    parsed,
    pixels,
    unfolded,
)
from ..fields import Fields
from ..hit import Hit
from ..http import Request, Response

__all__ = ["SimpleAnalytics"]

_SAME = ("category", "label", "value", "currency")
_ROBOTS = ("python-requests/", "curl/", "axios/", "node-fetch")
_CAMPAIGN = MappingProxyType(
    {"utm_source": "source", "utm_medium": "medium", "utm_campaign": "campaign", "utm_content": "content"}
)


@dataclass(frozen=True, kw_only=True)
class SimpleAnalytics(Backend):
    """Simple Analytics, one website. The id is its host name.

    Args:
        unique: what to say of a page view that does not say itself whether it is the visitor's first today.
    """

    unique: bool | None = option(None, doc="whether page views count as unique visits")

    name: ClassVar[str] = "simpleanalytics"
    title: ClassVar[str] = "Simple Analytics"
    docs: ClassVar[str] = "https://docs.simpleanalytics.com/events/server-side"
    fields: ClassVar[Fields] = Fields(
        url="path",
        referrer="referrer",
        user_agent="ua",
        language="language",
        name="event",
        properties="metadata",
        kinds={
            **dict.fromkeys(("type", "unique", "https", "timezone"), "plain"),
            **dict.fromkeys(("source", "campaign", "medium", "content"), "text"),
            **dict.fromkeys(("viewport_width", "viewport_height", "screen_width", "screen_height"), "number"),
            "hostname": "plain",
        },
        limits={"url": 2048, "referrer": 2048, "name": 200},
    )
    required: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType({"pageview": ("url",), "event": ("name",)})
    cannot: ClassVar[frozenset[str]] = frozenset(
        {"title", "client_ip", "client_id", "user_id", "session_id", "consent"}
    )
    host: ClassVar[str | None] = "https://queue.simpleanalyticscdn.com"
    paths: ClassVar[tuple[str, ...]] = ("/events",)
    # Nothing says when a hit happened, so a late one would be counted in the wrong hour.
    max_age: ClassVar[float | None] = 300.0
    remark: ClassVar[str] = "No address and no id of the visitor: whether a visit is unique is yours to say (unique)."

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.id:
            raise ConfigurationError("simpleanalytics needs the website's host name as its id, such as 'example.com'")

    def encode(self, hits: Sequence[Hit], *, now: float) -> list[Parcel]:
        headers = {"Content-Type": "application/json"}
        return [
            Parcel(Request(url=self.address(), headers=headers, body=compact(self._item(hit))), (position,))
            for position, hit in enumerate(hits)
        ]

    def _item(self, hit: Hit) -> dict[str, Any]:
        native = self.lowered(hit)
        native.pop("metadata", None)
        native.pop("type", None)  # the call says it
        kind = "event" if hit.kind == "event" else "pageview"
        parts = urlsplit(str(native.pop("path", "") or "/"))
        if parts.scheme:
            native.setdefault("https", parts.scheme == "https")
        query = parse_qs(parts.query)
        for parameter, key in _CAMPAIGN.items():
            if parameter in query:
                native.setdefault(key, query[parameter][0])
        size = pixels(hit.screen)
        if size:
            native.setdefault("screen_width", size[0])
            native.setdefault("screen_height", size[1])
        if "language" in native:
            native["language"] = language_tag(native["language"])
        metadata = folded(hit, *_SAME)
        if metadata:
            native["metadata"] = metadata
        if kind == "pageview":
            native["event"] = "pageview"  # needed, though the type says it
            if self.unique is not None:
                native.setdefault("unique", self.unique)
        native.setdefault("ua", f"ServerSide/1.0 (+https://{self.id}/)")
        return {"type": kind, "hostname": self.id, "path": parts.path or "/", **native}

    # -- what the inspector asks

    @classmethod
    def claims(cls, request: Request) -> bool:
        return urlsplit(request.url).path == "/events" and b'"hostname"' in request.body

    @classmethod
    def decode(cls, request: Request) -> list[Decoded]:
        body = parsed(request.body)
        if not isinstance(body, dict):
            return [Decoded(kind="pageview", findings=["the body is no JSON object"])]
        known, rest = cls.fields.lift(body)
        known.update(unfolded(known.pop("properties", None), *_SAME))
        path = known.get("url")
        if isinstance(path, str) and path.startswith("/") and body.get("hostname"):
            known["url"] = f"{'http' if body.get('https') is False else 'https'}://{body['hostname']}{path}"
        kind = str(body.get("type", ""))
        if kind == "pageview":
            known.pop("name", None)
        if "screen_width" in rest and "screen_height" in rest:
            known["screen"] = f"{rest['screen_width']}x{rest['screen_height']}"
        found = [f"{key} is required" for key in ("hostname", "event", "ua") if not body.get(key)]
        if kind not in ("event", "pageview"):
            found.append("type must be event or pageview")
        if kind == "pageview" and not body.get("path"):
            found.append("path is required")
        if str(body.get("ua", "")).lower().startswith(_ROBOTS):
            found.append("ua names a library: it is taken for a robot")
        return [Decoded(kind=kind or "pageview", fields=known, native=body, findings=found)]

    @classmethod
    def answer(cls, request: Request, decoded: Sequence[Decoded]) -> Response:
        bad = any(hit.findings for hit in decoded)
        return Response(status=400 if bad else 201)
