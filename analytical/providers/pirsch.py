"""Pirsch, hits and events, with an access key.

https://docs.pirsch.io/api-sdks/api-guide
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    iso,
    number,
    option,
    packed,
    parsed,
    pixels,
    text_of,
    unfolded,
)
from ..fields import Fields
from ..hit import Hit
from ..http import Request, Response
from ..verdict import Verdict, retry

__all__ = ["Pirsch"]

HITS, EVENTS = "/api/v1/hit/batch", "/api/v1/event/batch"
_SAME = ("category", "label", "value", "currency")


@dataclass(frozen=True, kw_only=True)
class Pirsch(Backend):
    """Pirsch, one domain. The id is the domain's name, for people only: the access key names it to Pirsch.

    Args:
        access_key: ``pa_…``, which can write and nothing else.
    """

    access_key: str | None = option(secret=True, doc="an access key, pa_…")

    name: ClassVar[str] = "pirsch"
    title: ClassVar[str] = "Pirsch"
    docs: ClassVar[str] = "https://docs.pirsch.io/api-sdks/api-guide"
    fields: ClassVar[Fields] = Fields(
        url="url",
        title="title",
        referrer="referrer",
        client_ip="ip",
        user_agent="user_agent",
        language="accept_language",
        name="event_name",
        properties="event_meta",
        kinds={
            **dict.fromkeys(("sec_ch_ua", "sec_ch_ua_mobile", "sec_ch_ua_platform"), "user_agent"),
            **dict.fromkeys(("sec_ch_ua_platform_version", "sec_ch_width", "sec_ch_viewport_width"), "plain"),
            **dict.fromkeys(("screen_width", "screen_height", "event_duration"), "number"),
            "tags": "properties",
            "time": "plain",
        },
        limits={"url": 2048, "title": 1024, "referrer": 2048, "name": 200},
    )
    cannot: ClassVar[frozenset[str]] = frozenset({"client_id", "user_id", "session_id", "consent"})
    host: ClassVar[str | None] = "https://api.pirsch.io"
    paths: ClassVar[tuple[str, ...]] = (HITS, EVENTS, "/api/v1/hit", "/api/v1/event")
    max_batch: ClassVar[int] = 100
    max_bytes: ClassVar[int] = 1_000_000
    remark: ClassVar[str] = "Wants hits in order, so one visitor's travel in one stream; properties are text."

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.access_key and self.endpoint is None:
            raise ConfigurationError("pirsch needs access_key='pa_…'; make one under Settings > Integration")

    def lane(self, hit: Hit) -> str | None:
        """Return the visitor: hits out of order distort the statistics."""
        return f"{hit.client_ip or ''} {hit.user_agent or ''}"

    def divisible(self, response: Response) -> bool:
        return response.status in (400, 413)

    def encode(self, hits: Sequence[Hit], *, now: float) -> list[Parcel]:
        parcels = []
        secrets = (self.access_key,) if self.access_key else ()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.access_key or ''}"}
        for path in (HITS, EVENTS):
            positions = [i for i, hit in enumerate(hits) if (hit.kind == "event") == (path == EVENTS)]
            items = [compact(self._item(hits[i])) for i in positions]
            for run in packed([len(item) for item in items], count=self.max_batch, size=self.max_bytes, overhead=2):
                body = b"[" + b",".join(items[k] for k in run) + b"]"
                request = Request(url=self.address(path), headers=headers, body=body, secrets=secrets)
                parcels.append(Parcel(request, tuple(positions[k] for k in run)))
        return parcels

    def interpret(self, response: Response, hits: Sequence[Hit], *, now: float) -> list[Verdict]:
        if response.status in (401, 403):
            return [retry(reason="access key refused", stop=True)] * len(hits)
        return [self.by_status(response, now=now)] * len(hits)

    def _item(self, hit: Hit) -> dict[str, Any]:
        native = self.lowered(hit)
        native.pop("event_meta", None)
        size = pixels(hit.screen)
        if size:
            native.setdefault("screen_width", size[0])
            native.setdefault("screen_height", size[1])
        meta = folded(hit, *_SAME)
        if hit.kind == "event":
            native.setdefault("url", f"https://{self.id}/")
            if meta:
                native["event_meta"] = _texts(meta)
        else:
            native.pop("event_name", None)
            if meta:
                tags = native.get("tags")
                native["tags"] = {**_texts(meta), **(tags if isinstance(tags, dict) else {})}
        native.setdefault("user_agent", NO_BROWSER)
        native.setdefault("time", iso(hit.time))
        return native

    # -- what the inspector asks

    @classmethod
    def decode(cls, request: Request) -> list[Decoded]:
        body = parsed(request.body)
        items = body if isinstance(body, list) else [body]
        common = [] if header(request, "Authorization") else ["the Authorization header is missing"]
        kind = "event" if "/event" in urlsplit(request.url).path else "pageview"
        return [cls._decoded(item, kind, common) for item in items[:1_000]]

    @classmethod
    def _decoded(cls, item: Any, kind: str, common: Sequence[str]) -> Decoded:
        if not isinstance(item, dict):
            return Decoded(kind=kind, findings=[*common, "an item must be an object"])
        known, rest = cls.fields.lift(item)
        meta = known.pop("properties", None)
        known.update(unfolded(meta, *_SAME))
        if "value" in known:
            known["value"] = number(known["value"])
        if "screen_width" in rest and "screen_height" in rest:
            known["screen"] = f"{rest['screen_width']}x{rest['screen_height']}"
        found = [*common, *(f"{key} is required" for key in ("url", "user_agent") if not item.get(key))]
        if kind == "event" and not item.get("event_name"):
            found.append("event_name is required")
        if isinstance(meta, dict) and not all(isinstance(value, str) for value in meta.values()):
            found.append("event_meta takes text only")
        return Decoded(kind=kind, fields=known, native=item, findings=found)

    @classmethod
    def answer(cls, request: Request, decoded: Sequence[Decoded]) -> Response:
        if header(request, "Authorization") is None:
            return Response(status=401)
        findings = [finding for hit in decoded for finding in hit.findings]
        if findings:
            report: Mapping[str, Any] = {"validation": {}, "error": findings[:10]}
            return Response(status=400, headers={"content-type": "application/json"}, body=compact(report))
        return Response(status=200)


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {
        str(key): compact(value).decode() if isinstance(value, dict | list) else text_of(value)
        for key, value in values.items()
    }
