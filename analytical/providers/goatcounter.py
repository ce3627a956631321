"""GoatCounter, ``/api/v0/count``.

https://www.goatcounter.com/help/api
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
    header,
    iso,
    language_tag,
    option,
    packed,
    parsed,
    pixels,
)
from ..fields import Fields
from ..hit import Hit
from ..http import Request, Response
from ..verdict import DELIVERED, UNCONFIRMED, Verdict, rejected, retry

__all__ = ["GoatCounter"]


@dataclass(frozen=True, kw_only=True)
class GoatCounter(Backend):
    """GoatCounter. The id is the site's code (``mysite`` for mysite.goatcounter.com), or a domain of your own.

    Args:
        api_key: with the permission "count".
    """

    api_key: str | None = option(secret=True, doc='an API key with the permission "count"')

    name: ClassVar[str] = "goatcounter"
    title: ClassVar[str] = "GoatCounter"
    docs: ClassVar[str] = "https://www.goatcounter.com/help/api"
    fields: ClassVar[Fields] = Fields(
        url="path",
        title="title",
        referrer="ref",
        client_ip="ip",
        user_agent="user_agent",
        language="language",
        client_id="session",
        screen="size",
        kinds={"event": "plain", "query": "text", "bot": "plain", "location": "text", "created_at": "plain"},
        limits={"url": 2048, "name": 2048, "title": 1024, "referrer": 2048, "user_agent": 512, "client_id": 256},
    )
    required: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType({"pageview": ("url",)})
    cannot: ClassVar[frozenset[str]] = frozenset(
        {"user_id", "session_id", "category", "label", "value", "currency", "properties", "consent"}
    )
    host: ClassVar[str | None] = "https://goatcounter.com"
    paths: ClassVar[tuple[str, ...]] = ("/api/v0/count",)
    max_batch: ClassVar[int] = 500
    max_bytes: ClassVar[int] = 1_000_000
    remark: ClassVar[str] = "An event is a path of its own; properties have no place. 60 requests in 120 s by default."

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.id and self.endpoint is None:
            raise ConfigurationError("goatcounter needs the site's code as its id, such as 'mysite', or endpoint=")
        if not self.api_key and self.endpoint is None:
            raise ConfigurationError("goatcounter needs api_key=; make one under Settings > API")

    def missing(self, kind: str, draft: Mapping[str, Any]) -> str | None:
        if kind == "event":
            return None if draft.get("name") or draft.get("url") else "name= (native 'path')"
        return super().missing(kind, draft)

    def origin(self) -> str:
        return self.endpoint or (f"https://{self.id}" if "." in self.id else f"https://{self.id}.goatcounter.com")

    def encode(self, hits: Sequence[Hit], *, now: float) -> list[Parcel]:
        items = [compact(self._hit(hit, now)) for hit in hits]
        opening = b'{"hits":['
        headers, hidden = self._credentials()
        parcels = []
        runs = packed([len(i) for i in items], count=self.max_batch, size=self.max_bytes, overhead=len(opening) + 2)
        for run in runs:
            body = opening + b",".join(items[i] for i in run) + b"]}"
            parcels.append(Parcel(Request(url=self.address(), headers=headers, body=body, secrets=hidden), tuple(run)))
        return parcels

    def interpret(self, response: Response, hits: Sequence[Hit], *, now: float) -> list[Verdict]:
        if response.status in (401, 403):
            return [retry(reason="api key refused", stop=True)] * len(hits)
        answer = parsed(response.body)
        errors = answer.get("errors") if response.status == 400 and isinstance(answer, dict) else None
        if isinstance(errors, dict) and errors:
            # By position; what is not named was taken and would be counted again.
            wrong = {int(key) for key in errors if str(key).isdecimal()}
            if not wrong:
                return [UNCONFIRMED._replace(reason="refused, and which is not said")] * len(hits)
            return [rejected("refused") if i in wrong else DELIVERED for i in range(len(hits))]
        if response.ok:
            listed = response.headers.get("x-goatcounter-filter", "")
            filtered = {int(part) for part in listed.split(",") if part.strip().isdecimal()}
            return [rejected("filtered") if i in filtered else DELIVERED for i in range(len(hits))]
        return [self.by_status(response, now=now)] * len(hits)

    def probe(self) -> Request | None:
        headers, hidden = self._credentials()
        return Request(method="GET", url=self.address("/api/v0/me"), headers=headers, secrets=hidden)

    def _credentials(self) -> tuple[dict[str, str], tuple[str, ...]]:
        headers = {"Content-Type": "application/json"}
        if not self.api_key:
            return headers, ()
        return {**headers, "Authorization": f"Bearer {self.api_key}"}, (self.api_key,)

    def _hit(self, hit: Hit, now: float) -> dict[str, Any]:
        native = self.lowered(hit)
        if hit.bot:
            # Any positive number marks a robot; which says why, in the numbering of its own detector (5: a known one;
            # UNVERIFIED beyond "positive").
            native.setdefault("bot", 5)
        if hit.kind == "event":
            native["path"] = (hit.name or str(native.get("path", "")))[:2048]
            native["event"] = True
        else:
            parts = urlsplit(str(native.get("path", "/")))
            if parts.query:
                native.setdefault("query", parts.query)
            native["path"] = parts.path or "/"
        if "language" in native:
            native["language"] = language_tag(native["language"])
        if isinstance(native.get("size"), str):
            size = pixels(native["size"])
            native["size"] = [*size, 1] if size else None
        if "session" in native:
            native["session"] = str(native["session"])[:256]
        elif not (native.get("ip") and native.get("user_agent")):
            native["session"] = hit.id  # or the whole request would be refused
        native.setdefault("created_at", iso(min(hit.time, now)))
        return {key: value for key, value in native.items() if value is not None}

    # -- what the inspector asks

    @classmethod
    def claims(cls, request: Request) -> bool:
        return urlsplit(request.url).path.endswith(cls.paths)

    @classmethod
    def decode(cls, request: Request) -> list[Decoded]:
        body = parsed(request.body)
        hits = body.get("hits") if isinstance(body, dict) else None
        if not isinstance(hits, list) or not isinstance(body, dict):
            return [Decoded(kind="pageview", findings=["hits must be a list of 1 to 500"])]
        common = [] if header(request, "Authorization") else ["the Authorization header is missing"]
        if not 1 <= len(hits) <= 500:
            common.append(f"{len(hits)} hits; 1 to 500 are allowed")
        return [cls._decoded(hit, common, bool(body.get("no_sessions"))) for hit in hits[:2_000]]

    @classmethod
    def _decoded(cls, hit: Any, common: Sequence[str], anonymous: bool) -> Decoded:
        if not isinstance(hit, dict):
            return Decoded(kind="pageview", findings=[*common, "a hit must be an object"])
        known, _ = cls.fields.lift(hit)
        kind = "event" if hit.get("event") else "pageview"
        if kind == "event":
            known["name"] = known.pop("url", None)
        elif hit.get("query"):
            known["url"] = f"{known.get('url', '')}?{hit['query']}"
        size = hit.get("size")
        if isinstance(size, list) and len(size) >= 2:
            known["screen"] = f"{size[0]}x{size[1]}"
        found = list(common)
        if not hit.get("path"):
            found.append("path is required")
        if not (anonymous or hit.get("session") or (hit.get("user_agent") and hit.get("ip"))):
            found.append("session, or user_agent with ip, is required")
        return Decoded(kind=kind, fields=known, native=hit, findings=found)

    @classmethod
    def answer(cls, request: Request, decoded: Sequence[Decoded]) -> Response:
        if header(request, "Authorization") is None:
            return Response(status=403, headers=_JSON, body=b'{"error":"no Authorization header"}')
        errors = {str(i): hit.findings[0] for i, hit in enumerate(decoded) if hit.findings}
        if errors:
            return Response(status=400, headers=_JSON, body=compact({"errors": errors}))
        return Response(status=202, headers=_JSON, body=b'{"status":"ok"}')

    @classmethod
    def answer_probe(cls, request: Request) -> Response | None:
        if request.method != "GET" or not urlsplit(request.url).path.endswith("/api/v0/me"):
            return None
        if header(request, "Authorization") is None:
            return Response(status=403, headers=_JSON, body=b'{"error":"no Authorization header"}')
        return Response(status=200, headers=_JSON, body=b'{"user":{"id":1},"token":{"name":"inspector"}}')


_JSON = MappingProxyType({"content-type": "application/json"})
