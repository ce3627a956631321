"""Segment's HTTP tracking API, and those who speak it too: RudderStack and Jitsu.

https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/
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
    Regional,
    basic,
    compact,
    credential,
    cut,
    folded,
    header,
    iso,
    language_tag,
    lone,
    parsed,
    pixels,
    unfolded,
)
from ..fields import Fields
from ..hit import Hit
from ..http import Request, Response
from ..verdict import DELIVERED, UNCONFIRMED, Verdict, rejected, retry

__all__ = ["Jitsu", "RudderStack", "Segment", "Spec"]

#: Keys of a message, of its context, and of its page; any other native key becomes a property.
MESSAGE = frozenset(
    {
        "userId", "anonymousId", "messageId", "timestamp", "context", "integrations", "version", "event", "name",
        "traits", "groupId", "previousId", "properties", "channel", "originalTimestamp",
    }
)  # fmt: skip
CONTEXT = frozenset(
    {
        "active", "app", "campaign", "device", "ip", "library", "locale", "network", "os", "page", "screen",
        "timezone", "userAgent", "userAgentData",
    }
)  # fmt: skip
_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "pageview": "page",
        "event": "track",
        "screen": "screen",
        "identify": "identify",
        "group": "group",
        "alias": "alias",
    }
)
_SAME = ("category", "label", "value", "currency")
_FIELDS: Any = {
    "url": "url",
    "title": "title",
    "referrer": "referrer",
    "client_ip": "ip",
    "user_agent": "userAgent",
    "language": "locale",
    "client_id": "anonymousId",
    "user_id": "userId",
    "name": "event",
    "properties": "properties",
}


@dataclass(frozen=True, kw_only=True)
class Spec(Backend):
    """What the three have in common: messages by Segment's specification, in batches."""

    id: str = credential("the source's write key")

    fields: ClassVar[Fields] = Fields(
        **_FIELDS,
        kinds={
            **dict.fromkeys(("traits", "context", "integrations", "campaign", "device", "app", "os"), "properties"),
            **dict.fromkeys(("network", "library", "userAgentData", "page", "active"), "properties"),
            **dict.fromkeys(("messageId", "timestamp", "version", "channel", "timezone"), "plain"),
            **dict.fromkeys(("groupId", "previousId"), "user_id"),
            "path": "url",
            "search": "text",
            "keywords": "properties",
            "revenue": "number",
        },
        limits={
            **dict.fromkeys(("url", "referrer"), 4096),
            **dict.fromkeys(("title", "user_agent", "category", "label"), 1024),
            **dict.fromkeys(("name", "client_id", "user_id", "language"), 512),
        },
    )
    kinds: ClassVar[frozenset[str]] = frozenset(_TYPES)
    cannot: ClassVar[frozenset[str]] = frozenset({"session_id", "consent"})
    dedupes: ClassVar[str | None] = "messageId"
    #: Bytes of one message at most; a larger one travels alone, so that refusing it refuses nothing else.
    largest: ClassVar[int] = 32_000

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.id:
            raise ConfigurationError(f"{self.name} needs the source's write key as its id")

    def credentials(self) -> tuple[dict[str, str], dict[str, Any]]:
        """Return the headers and the keys of the body that carry the write key."""
        raise NotImplementedError

    def divisible(self, response: Response) -> bool:
        return response.status in (400, 413)

    def shortens(self, hit: Hit) -> bool:
        texts = [value for value in (hit.properties or {}).values() if type(value) is str]
        # A character has 4 bytes at most; the limits of the other fields leave half of a message to the properties.
        return 4 * sum(map(len, texts)) > self.largest // 2 and len(compact(self._whole(hit))) > self.largest

    def encode(self, hits: Sequence[Hit], *, now: float) -> list[Parcel]:
        messages = [compact(self._message(hit)) for hit in hits]
        headers, keys = self.credentials()
        hidden = (self.id, *(value.removeprefix("Basic ") for value in headers.values()))
        opening = compact({"sentAt": iso(now), **keys})[:-1] + b',"batch":['
        parcels = []
        runs = lone(
            [len(message) for message in messages],
            count=self.max_batch,
            size=self.max_bytes,
            largest=self.largest,
            overhead=len(opening) + 2,
        )
        for run in runs:
            body = opening + b",".join(messages[i] for i in run) + b"]}"
            request = Request(
                url=self.address(), headers={"Content-Type": "application/json", **headers}, body=body, secrets=hidden
            )
            parcels.append(Parcel(request, run))
        return parcels

    def interpret(self, response: Response, hits: Sequence[Hit], *, now: float) -> list[Verdict]:
        if response.status in (401, 403):
            return [retry(reason="write key refused", stop=True)] * len(hits)
        return [self.by_status(response, now=now)] * len(hits)

    def _message(self, hit: Hit) -> dict[str, Any]:
        message = self._whole(hit)
        for held in (message.get("properties"), message.get("traits")):
            if held:
                _fit(message, held, self.largest)
        return message

    def _whole(self, hit: Hit) -> dict[str, Any]:
        native = self.lowered(hit)
        message = {key: native.pop(key) for key in tuple(native) if key in MESSAGE}
        context = {key: native.pop(key) for key in tuple(native) if key in CONTEXT}
        given = message.pop("context", None)
        message.pop("properties", None)
        if "locale" in context:
            context["locale"] = language_tag(context["locale"])
        page: dict[str, Any] = {key: native.pop(key) for key in ("url", "title", "referrer", "path") if key in native}
        if "url" in page and "path" not in page:
            page["path"] = urlsplit(page["url"]).path or "/"
        if page:
            context.setdefault("page", page)
        size = pixels(hit.screen)
        if size:
            context.setdefault("screen", {"width": size[0], "height": size[1]})
        context.setdefault("library", {"name": "analytical", "version": "1"})
        if isinstance(given, dict):
            context.update(given)
        kind = _TYPES[hit.kind]
        if kind != "track":
            message.pop("event", None)
        properties: dict[str, Any] = {**(page if kind == "page" else {}), **native, **folded(hit, *_SAME)}
        if kind in ("identify", "group"):
            traits = message.get("traits")
            message["traits"] = {**properties, **(traits if isinstance(traits, dict) else {})}
        elif properties:
            message["properties"] = properties
        for key in ("userId", "anonymousId"):
            if key in message:
                message[key] = cut(str(message[key]), chars=512)
        if "userId" not in message:
            message.setdefault("anonymousId", hit.id)
        message.setdefault("messageId", hit.id)
        message.setdefault("timestamp", iso(hit.time))
        return {"type": kind, **message, "context": context}

    # -- what the inspector asks

    @classmethod
    def decode(cls, request: Request) -> list[Decoded]:
        body = parsed(request.body)
        if not isinstance(body, dict):
            return [Decoded(kind="event", findings=["the body is no JSON object"])]
        common = []
        if not (body.get("writeKey") or header(request, "Authorization") or header(request, "X-Write-Key")):
            common.append("the write key is missing")
        if header(request, "Content-Type") != "application/json":
            common.append("Content-Type must be application/json")
        batch = body.get("batch")
        if not isinstance(batch, list) or not batch:
            return [Decoded(kind="event", findings=[*common, "batch must be a list of messages"])]
        if len(batch) > 2_500:
            common.append(f"{len(batch)} messages; above 2500 they are dropped at 200")
        if len(request.body) > 500_000 and cls.max_bytes <= 500_000:
            common.append(f"the batch has {len(request.body)} bytes; at most 500 KB are allowed")
        return [cls._decoded(message, common) for message in batch[:5_000]]

    @classmethod
    def _decoded(cls, message: Any, common: Sequence[str]) -> Decoded:
        if not isinstance(message, dict):
            return Decoded(kind="event", findings=[*common, "a message must be an object"])
        context = message.get("context")
        context = context if isinstance(context, dict) else {}
        page = context.get("page")
        flat = {**context, **(page if isinstance(page, dict) else {}), **message}
        known, _ = cls.fields.lift(flat)
        own = known.pop("properties", None)
        if isinstance(own, dict):
            own = {key: value for key, value in own.items() if key not in ("url", "title", "referrer", "path")}
            known.update(unfolded(own, *_SAME))
        screen = context.get("screen")
        if isinstance(screen, dict) and {"width", "height"} <= set(screen):
            known["screen"] = f"{screen['width']}x{screen['height']}"
        kind = next((kind for kind, name in _TYPES.items() if name == message.get("type")), "")
        found = list(common)
        if not kind:
            found.append(f"type must be one of {', '.join(sorted(_TYPES.values()))}")
        if not message.get("userId") and not message.get("anonymousId"):
            found.append("userId or anonymousId is required")
        if kind == "event" and not message.get("event"):
            found.append("a track message needs event")
        if len(compact(message)) > cls.largest:
            found.append(f"a message has more than {cls.largest} bytes")
        return Decoded(kind=kind or "event", fields=known, native=message, findings=found)


@dataclass(frozen=True, kw_only=True)
class Segment(Spec, Regional):
    """Segment, one source. The id is its write key.

    Args:
        region: ``eu`` for a workspace in Europe: at the other address, hits vanish at 200.
    """

    name: ClassVar[str] = "segment"
    title: ClassVar[str] = "Segment"
    docs: ClassVar[str] = "https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/"
    regions: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"us": "https://api.segment.io", "eu": "https://events.eu1.segmentapis.com"}
    )
    host: ClassVar[str | None] = "https://api.segment.io"
    paths: ClassVar[tuple[str, ...]] = ("/v1/batch",)
    max_batch: ClassVar[int] = 1_000
    max_bytes: ClassVar[int] = 475_000
    # 200 is the answer to a wrong key and to broken messages, too.
    confirms: ClassVar[bool] = False
    remark: ClassVar[str] = "Answers 200 to a wrong key and to broken messages, so a hit is never confirmed."

    def credentials(self) -> tuple[dict[str, str], dict[str, Any]]:
        return {}, {"writeKey": self.id}

    @classmethod
    def claims(cls, request: Request) -> bool:
        return urlsplit(request.url).path.endswith("/v1/batch") and b'"writeKey"' in request.body

    @classmethod
    def answer(cls, request: Request, decoded: Sequence[Decoded]) -> Response:
        return Response(status=200, headers=_JSON, body=b'{"success":true}')


@dataclass(frozen=True, kw_only=True)
class RudderStack(Spec):
    """RudderStack, one source of a data plane. The id is its write key; the data plane's URL is the end point."""

    name: ClassVar[str] = "rudderstack"
    title: ClassVar[str] = "RudderStack"
    docs: ClassVar[str] = "https://www.rudderstack.com/docs/api/http-api/"
    paths: ClassVar[tuple[str, ...]] = ("/v1/batch",)
    max_batch: ClassVar[int] = 1_000
    max_bytes: ClassVar[int] = 4_000_000
    largest: ClassVar[int] = 1_000_000
    remark: ClassVar[str] = "A refused batch is halved until the message at fault is found."

    def credentials(self) -> tuple[dict[str, str], dict[str, Any]]:
        return {"Authorization": basic(self.id)}, {}

    @classmethod
    def claims(cls, request: Request) -> bool:
        return (
            urlsplit(request.url).path.endswith("/v1/batch")
            and header(request, "Authorization") is not None
            and b'"writeKey"' not in request.body
        )

    @classmethod
    def answer(cls, request: Request, decoded: Sequence[Decoded]) -> Response:
        findings = [finding for hit in decoded for finding in hit.findings]
        return Response(status=400, body=findings[0].encode()) if findings else Response(status=200, body=b"ok")


@dataclass(frozen=True, kw_only=True)
class Jitsu(Spec):
    """Jitsu, one stream. The id is its server-to-server write key (``keyId:secret``)."""

    name: ClassVar[str] = "jitsu"
    title: ClassVar[str] = "Jitsu"
    docs: ClassVar[str] = "https://docs.jitsu.com/sending-data/http"
    paths: ClassVar[tuple[str, ...]] = ("/api/s/s2s/batch",)
    max_batch: ClassVar[int] = 500
    max_bytes: ClassVar[int] = 4_000_000
    largest: ClassVar[int] = 1_000_000
    remark: ClassVar[str] = "Counts what it could read in a 200; fewer than sent makes the batch unconfirmed."

    def credentials(self) -> tuple[dict[str, str], dict[str, Any]]:
        return {"X-Write-Key": self.id}, {}

    def interpret(self, response: Response, hits: Sequence[Hit], *, now: float) -> list[Verdict]:
        answer = parsed(response.body) if response.ok else None
        if response.status == 402:
            return [rejected("quota")] * len(hits)
        if not isinstance(answer, dict) or "okEvents" not in answer:
            return super().interpret(response, hits, now=now)
        if answer["okEvents"] == len(hits):
            return [DELIVERED] * len(hits)
        errors = answer.get("errors")
        named = " ".join(str(error) for error in errors) if isinstance(errors, list) else ""
        # An error begins "Message ID: <id>: …".
        wrong = [f"Message ID: {hit.id}" in named for hit in hits]
        if sum(wrong) + (answer["okEvents"] if isinstance(answer["okEvents"], int) else 0) != len(hits):
            return [UNCONFIRMED._replace(reason="fewer than sent")] * len(hits)
        return [rejected("refused") if bad else DELIVERED for bad in wrong]

    @classmethod
    def claims(cls, request: Request) -> bool:
        return urlsplit(request.url).path.endswith(cls.paths)

    @classmethod
    def answer(cls, request: Request, decoded: Sequence[Decoded]) -> Response:
        bad = [f"Message ID: {hit.native.get('messageId')}: {hit.findings[0]}" for hit in decoded if hit.findings]
        report: dict[str, Any] = {"ok": not bad, "receivedEvents": len(decoded), "okEvents": len(decoded) - len(bad)}
        return Response(status=200, headers=_JSON, body=compact(report | ({"errors": bad} if bad else {})))


_JSON = MappingProxyType({"content-type": "application/json"})


def _fit(message: Mapping[str, Any], properties: dict[str, Any], size: int) -> None:
    """Make a message fit by cutting the longest text among its properties, again and again."""
    while (excess := len(compact(message)) - size) > 0:
        texts = {key: value for key, value in properties.items() if isinstance(value, str) and len(value) > 64}
        if not texts:
            return
        longest = max(texts, key=lambda key: len(texts[key]))
        text = texts[longest]
        properties[longest] = cut(text, octets=max(64, len(text.encode("utf-8", "replace")) - excess))
