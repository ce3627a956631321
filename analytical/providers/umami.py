"""Umami, ``/api/send`` and ``/api/batch``.

https://umami.is/docs/api/sending-stats
"""

from __future__ import annotations

import re
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
    cut,
    folded,
    header,
    header_text,
    language_tag,
    names_robot,
    number,
    option,
    packed,
    parsed,
    unfolded,
)
from ..fields import Fields
from ..hit import Hit
from ..http import Request, Response
from ..verdict import DELIVERED, UNCONFIRMED, Verdict, rejected, retry

__all__ = ["Umami"]

SEND, BATCH = "/api/send", "/api/batch"
#: Longest values in characters; a longer one is a 400 (the server's schema).
LONGEST = {"hostname": 100, "language": 35, "screen": 11, "name": 50, "tag": 50, "title": 500}

_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\Z", re.IGNORECASE)
_FOLDED = ("category", "label", "value", "currency")
_ROBOT = "the browser names a robot: it is answered with a beep, and dropped"


@dataclass(frozen=True, kw_only=True)
class Umami(Backend):
    """Umami, hosted or your own. The id is the website's UUID.

    Args:
        batch: send lists to ``/api/batch`` (Umami 2.18 and newer). Its answer does not say which hits were taken for
            robots, so a batch is *unconfirmed*; one by one, every answer is read.
    """

    batch: bool = option(False, doc="send lists; faster, and unconfirmed")

    name: ClassVar[str] = "umami"
    title: ClassVar[str] = "Umami"
    docs: ClassVar[str] = "https://umami.is/docs/api/sending-stats"
    fields: ClassVar[Fields] = Fields(
        url="url",
        title="title",
        referrer="referrer",
        client_ip="ip",
        user_agent="userAgent",
        language="language",
        user_id="id",
        screen="screen",
        name="name",
        properties="data",
        kinds={
            "website": "plain",
            "link": "plain",
            "pixel": "plain",
            "type": "plain",
            "hostname": "plain",
            "tag": "text",
            "timestamp": "number",
            "browser": "plain",
            "os": "plain",
            "device": "plain",
            **dict.fromkeys(("lcp", "inp", "cls", "fcp", "ttfb"), "number"),
        },
        limits={**LONGEST, "url": 2000, "referrer": 2000},
    )
    kinds: ClassVar[frozenset[str]] = frozenset({"pageview", "event", "identify", "performance"})
    cannot: ClassVar[frozenset[str]] = frozenset({"client_id", "session_id", "consent"})
    host: ClassVar[str | None] = "https://cloud.umami.is"
    paths: ClassVar[tuple[str, ...]] = (SEND, BATCH)
    max_batch: ClassVar[int] = 100
    max_bytes: ClassVar[int] = 1_000_000
    remark: ClassVar[str] = "Drops what looks like a robot, with a beep at 200; the visitor's browser is needed."

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.id.strip():
            raise ConfigurationError("umami needs the website's id, a UUID that its settings show")

    def encode(self, hits: Sequence[Hit], *, now: float) -> list[Parcel]:
        items = [self._item(hit) for hit in hits]
        if not self.batch or len(items) < 2 or self.address(BATCH) == self.address():
            return [
                Parcel(_request(self.address(), compact(item), item["payload"]), (position,))
                for position, item in enumerate(items)
            ]
        written = [compact(item) for item in items]
        parcels = []
        for run in packed([len(item) for item in written], count=self.max_batch, size=self.max_bytes, overhead=2):
            body = b"[" + b",".join(written[i] for i in run) + b"]"
            parcels.append(Parcel(_request(self.address(BATCH), body, items[run[0]]["payload"]), tuple(run)))
        return parcels

    def interpret(self, response: Response, hits: Sequence[Hit], *, now: float) -> list[Verdict]:
        answer = parsed(response.body) if response.ok else None
        if not isinstance(answer, dict):
            if response.status == 403:
                return [rejected("address blocked")] * len(hits)
            return [self.by_status(response, now=now)] * len(hits)
        if "beep" in answer:
            return [rejected("bot")] * len(hits)
        if "processed" not in answer:
            return [DELIVERED] * len(hits)
        return self._of_batch(answer, len(hits))

    def _of_batch(self, answer: Mapping[str, Any], sent: int) -> list[Verdict]:
        if answer.get("size") != sent:
            return [UNCONFIRMED._replace(reason="size does not match")] * sent
        details = answer.get("details")
        failed: dict[int, Verdict] = {}
        for detail in details if isinstance(details, list) else ():
            if isinstance(detail, dict) and isinstance(detail.get("index"), int):
                response = detail.get("response")
                # The server's own failure of one item says errorObject; a refusal says what it refuses.
                own = isinstance(response, dict) and "errorObject" in response
                failed[detail["index"]] = retry(reason="server error", attempts=3) if own else rejected("refused")
        errors = answer.get("errors")
        if errors and not failed:
            return [UNCONFIRMED._replace(reason="errors, and where is not said")] * sent
        if not answer.get("cache"):
            # The first hit that is no robot fills it.
            return [failed.get(i, rejected("bot")) for i in range(sent)]
        return [failed.get(i, UNCONFIRMED) for i in range(sent)]

    def _item(self, hit: Hit) -> dict[str, Any]:
        native = self.lowered(hit)
        kind = native.pop("type", None) or (hit.kind if hit.kind in ("identify", "performance") else "event")
        data = folded(hit, *_FOLDED)
        if data:
            native["data"] = data
        if hit.kind == "pageview":
            native.pop("name", None)  # a name would make it an event
        if "language" in native:
            native["language"] = cut(language_tag(native["language"]) or "", chars=35)
        native.setdefault("url", "/")
        host = urlsplit(str(native["url"])).hostname
        if host:
            native.setdefault("hostname", host[:100])
        native.setdefault("userAgent", NO_BROWSER)
        native.setdefault("timestamp", int(hit.time))
        if not {"link", "pixel"} & set(native):
            native["website"] = self.id
        return {"type": kind, "payload": native}

    # -- what the inspector asks

    @classmethod
    def decode(cls, request: Request) -> list[Decoded]:
        body = parsed(request.body)
        items = body if isinstance(body, list) else [body]
        return [cls._decoded(item, header(request, "User-Agent")) for item in items[:1_000]]

    @classmethod
    def _decoded(cls, item: Any, browser: str | None) -> Decoded:
        payload = item.get("payload") if isinstance(item, dict) else None
        if not isinstance(payload, dict):
            return Decoded(kind="pageview", findings=["expected an object with type and payload (400)"])
        known, _ = cls.fields.lift({"userAgent": browser, **payload} if browser else payload)
        data = known.pop("properties", None)
        if isinstance(data, dict):
            known.update(unfolded(data, *_FOLDED))
        kind = str(item.get("type", ""))
        if kind == "event":
            kind = "event" if payload.get("name") else "pageview"
        return Decoded(kind=kind, fields=known, native=payload, findings=_findings(item, payload, browser))

    @classmethod
    def answer(cls, request: Request, decoded: Sequence[Decoded]) -> Response:
        bad = [any(finding.endswith("(400)") for finding in hit.findings) for hit in decoded]
        if decoded and all(_ROBOT in hit.findings for hit in decoded) and not any(bad):
            return _json(200, {"beep": "boop"})
        token = {"cache": "cache", "sessionId": "00000000-0000-0000-0000-000000000001", "visitId": "1"}
        if not urlsplit(request.url).path.endswith(BATCH):
            if any(bad):
                return _json(400, {"error": {"message": "Bad request", "code": "bad-request", "status": 400}})
            return _json(200, token)
        errors = [{"index": i, "response": {"error": "Bad request"}} for i, wrong in enumerate(bad) if wrong]
        count = len(decoded)
        return _json(
            200,
            {
                "size": count,
                "processed": count - len(errors),
                "errors": len(errors),
                "details": errors,
                "cache": "cache" if len(errors) < count else None,
            },
        )


def _request(url: str, body: bytes, payload: Mapping[str, Any]) -> Request:
    # Older servers read the header only; a batch shares it, so there each payload names its own browser.
    browser = header_text(payload["userAgent"])
    return Request(
        url=url, headers={"Content-Type": "application/json", "User-Agent": browser or NO_BROWSER}, body=body
    )


def _json(status: int, value: Any) -> Response:
    return Response(status=status, headers={"content-type": "application/json"}, body=compact(value))


def _findings(item: Mapping[str, Any], payload: Mapping[str, Any], browser: str | None) -> list[str]:
    found = []
    if item.get("type") not in ("event", "identify", "performance"):
        found.append("type must be event, identify or performance (400)")
    if sum(key in payload for key in ("website", "link", "pixel")) != 1:
        found.append("exactly one of website, link and pixel is needed (400)")
    elif not _UUID.match(str(payload.get("website", payload.get("link", payload.get("pixel"))))):
        found.append("website must be a UUID (400)")
    if item.get("type") == "event" and not payload.get("url"):
        found.append("url is needed (400)")
    found += [
        f"{key} has more than {limit} characters (400)"
        for key, limit in LONGEST.items()
        if key != "title" and len(str(payload.get(key, ""))) > limit
    ]
    if len(str(payload.get("title", ""))) > 500:
        found.append("title is cut at 500 characters")
    stamp = payload.get("timestamp")
    if stamp is not None and (number(stamp) is None or not 0 < (number(stamp) or 0) < 1e11):
        found.append("timestamp must be in seconds")
    if not payload.get("userAgent") and not browser:
        found.append("no browser is named: it is taken for a robot")
    elif names_robot(str(payload.get("userAgent") or browser)):
        found.append(_ROBOT)
    if "data" in payload and not isinstance(payload["data"], dict):
        found.append("data must be an object (400)")
    return found
