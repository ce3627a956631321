"""PostHog, ``/batch/``, and the newer end point that answers for each event.

https://posthog.com/docs/api/capture
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.parse import urlsplit

from ..backend import (
    ConfigurationError,
    Decoded,
    Parcel,
    Regional,
    compact,
    credential,
    digest,
    folded,
    header,
    iso,
    language_tag,
    lone,
    option,
    parsed,
    pixels,
    text_of,
    unfolded,
)
from ..fields import Fields
from ..hit import Hit
from ..http import Request, Response
from ..verdict import DELIVERED, Verdict, rejected, retry

__all__ = ["PostHog"]

BATCH, EVENTS = "/batch/", "/i/v1/analytics/events"
#: Ids that the platform takes for nobody (in any case); the newer end point refuses them.
NOBODY = frozenset(
    {
        "0", "00000000-0000-0000-0000-000000000000", "anonymous", "anonymous-user", "backend", "distinct_id",
        "distinctid", "email", "false", "guest", "id", "nan", "none", "not_authenticated", "null", "system", "true",
        "undefined", "user", "[object object]", "",
    }
)  # fmt: skip
LONGEST = 200
LARGEST_EVENT = 900 * 1024
_PAGE_VIEW = "$pageview"
#: The host and the path of an address: RFC 3986's appendix B, as far as needed. urlsplit takes ten times as long.
_PLACE = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//([^/?#]+)([^?#]*)")
_UUID = re.compile(r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}\Z")
_SAME = ("category", "label", "value", "currency")


@dataclass(frozen=True, kw_only=True)
class PostHog(Regional):
    """PostHog, one project. The id is the project's key (``phc_…``).

    Args:
        historical: send through the pipeline for imports, which raises no alarm over old events.
        version: 1 for the newer end point, which answers for each event; 0 for ``/batch/``, which every PostHog has.
    """

    id: str = credential("the project's key")
    historical: bool = option(False, doc="use the pipeline for imports")
    version: int = option(0, doc="1 for the end point that answers for each event")

    name: ClassVar[str] = "posthog"
    title: ClassVar[str] = "PostHog"
    docs: ClassVar[str] = "https://posthog.com/docs/api/capture"
    fields: ClassVar[Fields] = Fields(
        name="event",
        url="$current_url",
        title="$title",
        referrer="$referrer",
        client_ip="$ip",
        user_agent="$raw_user_agent",
        language="$browser_language",
        client_id="$device_id",
        user_id="distinct_id",
        session_id="$session_id",
        kinds={
            **dict.fromkeys(("$set", "$set_once", "$groups", "$group_set"), "properties"),
            **dict.fromkeys(
                ("$process_person_profile", "$geoip_disable", "$lib", "$lib_version", "$is_server"), "plain"
            ),
            **dict.fromkeys(("$browser", "$browser_version", "$os", "$os_version", "$device_type"), "plain"),
            **dict.fromkeys(("$group_type", "$screen_name", "$host"), "text"),
            **dict.fromkeys(("$group_key", "alias"), "user_id"),
            **dict.fromkeys(("$screen_width", "$screen_height"), "number"),
            "$pathname": "url",
            "$window_id": "session_id",
            "$ignore_sent_at": "plain",
        },
        limits={"name": LONGEST, "user_id": LONGEST, "client_id": LONGEST},
    )
    kinds: ClassVar[frozenset[str]] = frozenset(
        {"pageview", "event", "screen", "identify", "alias", "group", "pageleave"}
    )
    cannot: ClassVar[frozenset[str]] = frozenset({"consent"})
    regions: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"us": "https://us.i.posthog.com", "eu": "https://eu.i.posthog.com"}
    )
    host: ClassVar[str | None] = "https://us.i.posthog.com"
    paths: ClassVar[tuple[str, ...]] = (BATCH, EVENTS)
    max_batch: ClassVar[int] = 500
    max_bytes: ClassVar[int] = 5_000_000
    dedupes: ClassVar[str | None] = "uuid"
    remark: ClassVar[str] = "Without user_id no person profile is made; a refused batch is halved to find the culprit."

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.id:
            raise ConfigurationError("posthog needs the project's key as its id, such as 'phc_…'")
        if self.version not in (0, 1):
            raise ConfigurationError(f"posthog: version={self.version!r}; expected 0 or 1")

    def divisible(self, response: Response) -> bool:
        return response.status in (400, 413)

    def encode(self, hits: Sequence[Hit], *, now: float) -> list[Parcel]:
        write = self._event_v1 if self.version else self._event
        events = [compact(write(hit)) for hit in hits]
        headers: dict[str, str] = {"Content-Type": "application/json"}
        head: dict[str, Any] = {"historical_migration": True} if self.historical else {}
        head |= {"created_at": iso(now)} if self.version else {"api_key": self.id, "sent_at": iso(now)}
        opening = compact(head)[:-1] + b',"batch":['
        parcels = []
        runs = lone(
            [len(event) for event in events],
            count=self.max_batch,
            size=self.max_bytes,
            largest=LARGEST_EVENT,
            overhead=len(opening) + 2,
        )
        for run in runs:
            if self.version:
                headers = headers | {
                    "Authorization": f"Bearer {self.id}",
                    "PostHog-Sdk-Info": "analytical/1",
                    "PostHog-Attempt": "1",
                    "PostHog-Request-Id": _uuid(*(hits[i].id for i in run)),
                    "PostHog-Request-Timestamp": iso(now),
                }
            body = opening + b",".join(events[i] for i in run) + b"]}"
            url = self.address(EVENTS if self.version else BATCH)
            parcels.append(Parcel(Request(url=url, headers=headers, body=body, secrets=(self.id,)), run))
        return parcels

    def interpret(self, response: Response, hits: Sequence[Hit], *, now: float) -> list[Verdict]:
        if response.status in (401, 402, 403):
            return [retry(reason=f"http {response.status}", stop=True)] * len(hits)
        answer = parsed(response.body) if response.ok else None
        if not isinstance(answer, dict):
            return [self.by_status(response, now=now)] * len(hits)
        results = answer.get("results")
        if isinstance(results, dict):
            return [_result(results.get(_uuid_of(hit.id))) for hit in hits]
        if answer.get("quota_limited"):
            # 200, and nothing of these events is kept.
            return [rejected("quota limited")] * len(hits)
        return [DELIVERED] * len(hits)

    def _properties(self, hit: Hit, person: str | None) -> dict[str, Any]:
        native = self.lowered(hit)
        native.pop("event", None)
        native.pop("distinct_id", None)
        properties = {**native, **folded(hit, *_SAME)}
        if "$browser_language" in native:
            properties["$browser_language"] = language_tag(native["$browser_language"])
        size = pixels(hit.screen)
        if size:
            properties.setdefault("$screen_width", size[0])
            properties.setdefault("$screen_height", size[1])
        place = _PLACE.match(hit.url or "")
        if place is not None:
            properties.setdefault("$host", place[1].rpartition("@")[2])
            properties.setdefault("$pathname", place[2] or "/")
        if "$session_id" in properties:
            properties["$session_id"] = str(properties["$session_id"])
        if not properties.get("$ip"):
            # Or the server's own place would be taken for the visitor's.
            properties["$geoip_disable"] = True
        if person is None:
            properties.setdefault("$process_person_profile", False)
        properties.setdefault("$lib", "analytical")
        return properties

    def _event(self, hit: Hit) -> dict[str, Any]:
        person = _somebody(hit.user_id)
        return {
            "event": _NAMES.get(hit.kind) or hit.name,
            "distinct_id": person or _somebody(hit.client_id) or hit.id,
            "uuid": _uuid_of(hit.id),
            "timestamp": iso(hit.time),
            "properties": self._properties(hit, person),
        }

    def _event_v1(self, hit: Hit) -> dict[str, Any]:
        event = self._event(hit)
        properties = event["properties"]
        options = {}
        if "$process_person_profile" in properties:
            options["process_person_profile"] = bool(properties.pop("$process_person_profile"))
        session = properties.get("$session_id")
        if session is not None and _UUID.match(session):
            event["session_id"] = session
        return {**event, "options": options}

    # -- what the inspector asks

    @classmethod
    def claims(cls, request: Request) -> bool:
        path = urlsplit(request.url).path
        if path.endswith("/i/v1/analytics/events"):
            return True
        return path.rstrip("/").endswith("/batch") and b'"batch"' in request.body and b'"api_key"' in request.body

    @classmethod
    def decode(cls, request: Request) -> list[Decoded]:
        body = parsed(request.body)
        if not isinstance(body, dict):
            return [Decoded(kind="event", findings=["the body is no JSON object"])]
        common = [] if body.get("api_key") or header(request, "Authorization") else ["api_key is required"]
        batch = body.get("batch")
        if not isinstance(batch, list) or not batch:
            return [Decoded(kind="event", findings=[*common, "batch must be a list of events"])]
        return [cls._decoded(event, common) for event in batch[:5_000]]

    @classmethod
    def _decoded(cls, event: Any, common: Sequence[str]) -> Decoded:
        if not isinstance(event, dict):
            return Decoded(kind="event", findings=[*common, "an event must be an object"])
        raw = event.get("properties")
        properties: dict[str, Any] = raw if isinstance(raw, dict) else {}
        person = event.get("distinct_id", properties.get("distinct_id"))
        known, rest = cls.fields.lift({**properties, "event": event.get("event"), "distinct_id": person})
        own = {key: value for key, value in rest.items() if key not in cls.fields.kinds}
        known.update(unfolded(own, *_SAME))
        if "$screen_width" in rest and "$screen_height" in rest:
            known["screen"] = f"{rest['$screen_width']}x{rest['$screen_height']}"
        kind = next((kind for kind, name in _NAMES.items() if name == event.get("event")), "event")
        if kind != "event":
            known.pop("name", None)
        found = list(common)
        if not event.get("event"):
            found.append("event is required")
        elif len(str(event["event"])) > LONGEST:
            found.append(f"event has more than {LONGEST} characters")
        if not person:
            found.append("distinct_id is required")
        elif str(person).strip().lower() in NOBODY:
            found.append("a distinct_id that means nobody is refused")
        elif len(str(person)) > LONGEST:
            found.append(f"distinct_id has more than {LONGEST} characters")
        if "uuid" in event and not _UUID.match(str(event["uuid"])):
            found.append("uuid must be a UUID")
        if len(compact(event)) > 1_000_000:
            found.append("an event has more than 1 MB")
        return Decoded(kind=kind, fields=known, native=event, findings=found)

    @classmethod
    def answer(cls, request: Request, decoded: Sequence[Decoded]) -> Response:
        if urlsplit(request.url).path.endswith(EVENTS):
            results = {
                str(hit.native.get("uuid")): {"result": "drop" if hit.findings else "ok"}
                for hit in decoded
                if hit.native
            }
            return Response(status=200, headers=_JSON, body=compact({"results": results}))
        findings = [finding for hit in decoded for finding in hit.findings]
        if "api_key is required" in findings:
            return Response(status=401, body=b"API key is missing")
        if findings:
            return Response(status=400, body=findings[0].encode())
        return Response(status=200, headers=_JSON, body=b'{"status":"Ok"}')


_JSON = MappingProxyType({"content-type": "application/json"})
_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "pageview": _PAGE_VIEW,
        "pageleave": "$pageleave",
        "screen": "$screen",
        "identify": "$identify",
        "alias": "$create_alias",
        "group": "$groupidentify",
    }
)


def _result(result: Any) -> Verdict:
    word = result.get("result") if isinstance(result, dict) else None
    if word in ("ok", "warning"):
        return DELIVERED
    if word in ("drop", "limited"):
        return rejected("dropped" if word == "drop" else "quota limited")
    return retry(reason="asked to retry" if word == "retry" else "no result for this event", attempts=5)


def _somebody(value: Any) -> str | None:
    """Return an id, or ``None`` where the platform would take it for nobody."""
    text = value if type(value) is str else text_of(value)
    return None if text.strip().lower() in NOBODY else text[:LONGEST]


def _uuid(*parts: str) -> str:
    text = digest(*parts, size=16)
    return f"{text[:8]}-{text[8:12]}-8{text[13:16]}-8{text[17:20]}-{text[20:]}"


def _uuid_of(identity: str) -> str:
    return identity if _UUID.match(identity) else _uuid(identity)
