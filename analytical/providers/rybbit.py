"""Rybbit, ``/api/track``.

https://www.rybbit.io/docs/api
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.parse import urlsplit

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
from ..verdict import Verdict, rejected, retry

__all__ = ["Rybbit"]

#: Longest values in characters; a longer one, like an unknown key, is a 400 (the server's schema).
LONGEST = {
    "hostname": 253, "pathname": 2048, "querystring": 2048, "language": 35, "page_title": 512, "referrer": 2048,
    "event_name": 256, "user_id": 255, "user_agent": 512, "properties": 2048,
}  # fmt: skip
KEYS = frozenset({*LONGEST, "type", "site_id", "api_key", "screenWidth", "screenHeight", "ip_address"})
_TYPES: Mapping[str, str] = MappingProxyType(
    {"pageview": "pageview", "event": "custom_event", "performance": "performance"}
)
_SAME = ("category", "label", "value", "currency")


@dataclass(frozen=True, kw_only=True)
class Rybbit(Backend):
    """Rybbit, one site. The id is the site's id.

    Args:
        api_key: ``rb_…``; without it the server wants the request to come from the site itself.
    """

    api_key: str | None = option(secret=True, doc="the site's API key, rb_…")

    name: ClassVar[str] = "rybbit"
    title: ClassVar[str] = "Rybbit"
    docs: ClassVar[str] = "https://www.rybbit.io/docs/api"
    fields: ClassVar[Fields] = Fields(
        url="pathname",
        title="page_title",
        referrer="referrer",
        client_ip="ip_address",
        user_agent="user_agent",
        language="language",
        user_id="user_id",
        name="event_name",
        properties="properties",
        kinds={
            "type": "plain",
            "hostname": "plain",
            "querystring": "text",
            "screenWidth": "number",
            "screenHeight": "number",
            **dict.fromkeys(("lcp", "cls", "inp", "fcp", "ttfb"), "number"),
        },
        limits={
            **{key: limit for key, limit in LONGEST.items() if key not in ("pathname", "properties")},
            **dict.fromkeys(("category", "label"), 255),
            "url": 4096,
        },
    )
    kinds: ClassVar[frozenset[str]] = frozenset({"pageview", "event"})
    cannot: ClassVar[frozenset[str]] = frozenset({"client_id", "session_id", "consent"})
    host: ClassVar[str | None] = "https://app.rybbit.io"
    paths: ClassVar[tuple[str, ...]] = ("/api/track",)
    # Nothing says when a hit happened, so a late one would be counted in the wrong hour.
    max_age: ClassVar[float | None] = 300.0
    remark: ClassVar[str] = "20 requests a second for a key; over the monthly limit it answers 200 and keeps nothing."

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.id:
            raise ConfigurationError("rybbit needs the site's id")
        if not self.api_key and self.endpoint is None:
            raise ConfigurationError("rybbit needs api_key='rb_…'; make one in the site's settings")

    def shortens(self, hit: Hit) -> bool:
        return bool(hit.properties) and len(compact(hit.properties).decode()) > LONGEST["properties"]

    def encode(self, hits: Sequence[Hit], *, now: float) -> list[Parcel]:
        headers = {"Content-Type": "application/json"}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"  # where newer servers look
        hidden = (self.api_key,) if self.api_key else ()
        return [
            Parcel(
                Request(url=self.address(), headers=headers, body=compact(self._item(hit)), secrets=hidden), (position,)
            )
            for position, hit in enumerate(hits)
        ]

    def interpret(self, response: Response, hits: Sequence[Hit], *, now: float) -> list[Verdict]:
        if response.status in (401, 403):
            return [retry(reason="api key refused", stop=True)] * len(hits)
        if response.ok and b"not tracked" in response.body[:500]:
            return [rejected("over the monthly limit")] * len(hits)
        return [self.by_status(response, now=now)] * len(hits)

    def _item(self, hit: Hit) -> dict[str, Any]:
        native = self.lowered(hit)
        native.pop("properties", None)
        parts = urlsplit(str(native.get("pathname") or "/"))
        native["pathname"] = (parts.path or "/")[:2048]
        if parts.query:
            native.setdefault("querystring", f"?{parts.query}"[:2048])
        native.setdefault("hostname", (parts.hostname or "")[:253])
        if not native["hostname"]:
            del native["hostname"]
        if "language" in native:
            native["language"] = (language_tag(native["language"]) or "")[:35]
        if "user_id" in native:
            native["user_id"] = str(native["user_id"])
        size = pixels(hit.screen)
        if size:
            native.setdefault("screenWidth", size[0])
            native.setdefault("screenHeight", size[1])
        if hit.kind != "event":
            native.pop("event_name", None)
        # Unknown keys refuse the hit, so they go where there is room for anything.
        properties = {key: native.pop(key) for key in tuple(native) if key not in KEYS}
        properties.update(folded(hit, *_SAME))
        if properties:
            native["properties"] = _written(properties)
        native["type"] = _TYPES[hit.kind]
        native["site_id"] = self.id
        if self.api_key:
            native["api_key"] = self.api_key
        return native

    # -- what the inspector asks

    @classmethod
    def claims(cls, request: Request) -> bool:
        return urlsplit(request.url).path.endswith(cls.paths)

    @classmethod
    def decode(cls, request: Request) -> list[Decoded]:
        body = parsed(request.body)
        if not isinstance(body, dict):
            return [Decoded(kind="pageview", findings=["the body is no JSON object"])]
        known, rest = cls.fields.lift({key: value for key, value in body.items() if key != "api_key"})
        written = known.pop("properties", None)
        known.update(unfolded(parsed(written.encode()) if isinstance(written, str) else None, *_SAME))
        if "hostname" in rest:
            known["url"] = f"https://{rest['hostname']}{known.get('url', '/')}{rest.get('querystring', '')}"
        if "screenWidth" in rest and "screenHeight" in rest:
            known["screen"] = f"{rest['screenWidth']}x{rest['screenHeight']}"
        kind = next((kind for kind, name in _TYPES.items() if name == body.get("type")), "")
        found = [f"{key} is unknown, which refuses the hit" for key in sorted(set(body) - KEYS)]
        if not kind:
            found.append("type must be pageview, custom_event or performance")
        if not body.get("site_id"):
            found.append("site_id is required")
        if not body.get("api_key"):
            found.append("api_key is required, or an Origin of the site's domain")
        if kind == "event" and not body.get("event_name"):
            found.append("event_name is required")
        if written is not None and not (isinstance(written, str) and isinstance(parsed(written.encode()), dict)):
            found.append("properties must be JSON in a string")
        found += [
            f"{key} has more than {limit} characters"
            for key, limit in LONGEST.items()
            if len(str(body.get(key, ""))) > limit
        ]
        native = {key: value for key, value in body.items() if key != "api_key"}
        return [Decoded(kind=kind or "pageview", fields=known, native=native, findings=found)]

    @classmethod
    def answer(cls, request: Request, decoded: Sequence[Decoded]) -> Response:
        findings = [finding for hit in decoded for finding in hit.findings]
        if findings:
            report: Mapping[str, Any] = {"success": False, "error": "Invalid payload", "details": findings}
            return Response(status=400, headers=_JSON, body=compact(report))
        return Response(status=200, headers=_JSON, body=b'{"success":true}')


_JSON = MappingProxyType({"content-type": "application/json"})


def _written(properties: Mapping[str, Any]) -> str:
    """Return as many properties as fit 2048 characters of JSON, in their order; a text gives way before others go."""
    kept: dict[str, Any] = {}
    room = LONGEST["properties"] - 2
    for key, value in properties.items():
        size = len(compact({str(key): value}).decode()) - 1  # without braces, with a comma
        if size > room and isinstance(value, str) and len(value) > size - room:
            value = value[: len(value) - (size - room)]  # noqa: PLW2901 - what is left of it
            size = len(compact({str(key): value}).decode()) - 1
        if size <= room:
            kept[str(key)] = value
            room -= size
    return compact(kept).decode()
