"""OpenPanel, ``/track``.

https://openpanel.dev/docs/api/track
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.parse import urlsplit

from ..backend import (
    NO_BROWSER,
    Backend,
    ConfigurationError,
    Decoded,
    Parcel,
    compact,
    folded,
    header,
    header_text,
    iso,
    language_tag,
    option,
    parsed,
    unfolded,
)
from ..fields import Fields
from ..hit import Hit
from ..http import Request, Response
from ..verdict import Verdict, rejected, retry

__all__ = ["OpenPanel"]

RESERVED = frozenset({"session_start", "session_end"})
_PAGE_VIEW = "screen_view"
_SAME = ("language", "screen", "category", "label", "value", "currency", "session_id")


@dataclass(frozen=True, kw_only=True)
class OpenPanel(Backend):
    """OpenPanel, one project. The id is the client's id.

    Args:
        client_secret: of a client that may write.
    """

    client_secret: str | None = option(secret=True, doc="the client's secret")

    name: ClassVar[str] = "openpanel"
    title: ClassVar[str] = "OpenPanel"
    docs: ClassVar[str] = "https://openpanel.dev/docs/api/track"
    fields: ClassVar[Fields] = Fields(
        name="name",
        url="__path",
        title="__title",
        referrer="__referrer",
        client_ip="__ip",
        client_id="__deviceId",
        user_id="profileId",
        user_agent="user-agent",
        properties="properties",
        kinds={
            "__timestamp": "plain",
            "__revenue": "number",
            "__identify": "properties",
            "groups": "properties",
            "email": "text",
            "firstName": "text",
            "lastName": "text",
            "avatar": "url",
        },
        limits={"client_id": 64, "url": 2048, "referrer": 2048, "title": 1024, "name": 256, "user_id": 256},
    )
    kinds: ClassVar[frozenset[str]] = frozenset({"pageview", "event", "identify"})
    cannot: ClassVar[frozenset[str]] = frozenset({"consent"})
    host: ClassVar[str | None] = "https://api.openpanel.dev"
    paths: ClassVar[tuple[str, ...]] = ("/track",)
    remark: ClassVar[str] = "A hit more than 15 minutes late is kept, but opens no session."

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.id:
            raise ConfigurationError("openpanel needs the client's id")
        if not self.client_secret and self.endpoint is None:
            raise ConfigurationError("openpanel needs client_secret=; made together with the client's id")

    def keeps(self, name: str) -> bool:
        return name in RESERVED

    def encode(self, hits: Sequence[Hit], *, now: float) -> list[Parcel]:
        return [Parcel(self._request(hit, now), (position,)) for position, hit in enumerate(hits)]

    def interpret(self, response: Response, hits: Sequence[Hit], *, now: float) -> list[Verdict]:
        if response.status in (401, 403):
            return [retry(reason="client refused", stop=True)] * len(hits)
        if response.status == 202:
            # The hook that keeps known robots out answers instead of the end point.
            return [rejected("bot")] * len(hits)
        return [self.by_status(response, now=now)] * len(hits)

    def _request(self, hit: Hit, now: float) -> Request:
        native = self.lowered(hit)
        headers = {
            "Content-Type": "application/json",
            "openpanel-client-id": header_text(self.id),
            "openpanel-client-secret": header_text(self.client_secret),
            "user-agent": header_text(native.pop("user-agent", None)) or NO_BROWSER,
        }
        address = native.get("__ip")
        if address:
            headers["x-client-ip"] = header_text(address)
        native.pop("properties", None)
        person = native.pop("profileId", None)
        payload: dict[str, Any] = {"profileId": str(person)} if person is not None else {}
        if "groups" in native:
            payload["groups"] = native.pop("groups")
        called = native.pop("name", None)
        properties = {**native, **folded(hit, *_SAME)}
        if hit.language:
            properties["language"] = language_tag(hit.language)
        if hit.kind == "identify":
            own = ("email", "firstName", "lastName", "avatar")
            payload |= {key: properties.pop(key) for key in own if key in properties}
        else:
            payload["name"] = called if hit.kind == "event" else _PAGE_VIEW
            properties.setdefault("__timestamp", iso(min(hit.time, now)))
        payload["properties"] = properties
        kind = "identify" if hit.kind == "identify" else "track"
        hidden = (self.client_secret,) if self.client_secret else ()
        body = compact({"type": kind, "payload": payload})
        return Request(url=self.address(), headers=headers, body=body, secrets=hidden)

    # -- what the inspector asks

    @classmethod
    def claims(cls, request: Request) -> bool:
        return urlsplit(request.url).path.endswith("/track") and header(request, "openpanel-client-id") is not None

    @classmethod
    def decode(cls, request: Request) -> list[Decoded]:
        body = parsed(request.body)
        payload = body.get("payload") if isinstance(body, dict) else None
        if not isinstance(body, dict) or not isinstance(payload, dict):
            return [Decoded(kind="event", findings=["expected an object with type and payload"])]
        raw = payload.get("properties")
        properties: dict[str, Any] = raw if isinstance(raw, dict) else {}
        top = {key: payload[key] for key in ("name", "profileId") if key in payload}
        known, _ = cls.fields.lift({**properties, **top})
        own = {key: value for key, value in properties.items() if not str(key).startswith("__")}
        known.update(unfolded(own, *_SAME))
        browser = header(request, "user-agent")
        if browser:
            known["user_agent"] = browser
        kind = str(body.get("type", ""))
        if kind == "track":
            kind = "pageview" if payload.get("name") == _PAGE_VIEW else "event"
        if kind == "pageview":
            known.pop("name", None)
        found = []
        if kind in ("pageview", "event") and not payload.get("name"):
            found.append("name is required")
        if payload.get("name") in RESERVED:
            found.append(f"the name {payload['name']!r} is reserved")
        if len(str(properties.get("__deviceId", ""))) > 64:
            found.append("__deviceId has more than 64 characters")
        if not header(request, "openpanel-client-secret"):
            found.append("the header openpanel-client-secret is missing")
        return [Decoded(kind=kind or "event", fields=known, native={**body}, findings=found)]

    @classmethod
    def answer(cls, request: Request, decoded: Sequence[Decoded]) -> Response:
        if not header(request, "openpanel-client-secret"):
            return Response(status=401, headers=_JSON, body=b'{"error":"Unauthorized"}')
        if any(hit.findings for hit in decoded):
            return Response(status=400, headers=_JSON, body=b'{"error":"Bad Request"}')
        return Response(status=200, headers=_JSON, body=b'{"deviceId":"","sessionId":""}')


_JSON = MappingProxyType({"content-type": "application/json"})
