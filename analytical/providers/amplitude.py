"""Amplitude, HTTP V2.

https://amplitude.com/docs/apis/analytics/http-v2
"""

from __future__ import annotations

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
    cut,
    folded,
    language_tag,
    number,
    packed,
    parsed,
    unfolded,
)
from ..fields import Fields
from ..hit import COMMON, Hit
from ..http import Request, Response
from ..verdict import Verdict, rejected, retry

__all__ = ["Amplitude"]

#: Keys of an event; any other native key becomes one of its properties.
EVENT = frozenset(
    {
        "user_id", "device_id", "event_type", "time", "event_properties", "user_properties", "groups",
        "group_properties", "app_version", "platform", "os_name", "os_version", "device_brand",
        "device_manufacturer", "device_model", "carrier", "country", "region", "city", "dma", "language", "price",
        "quantity", "revenue", "productId", "revenueType", "location_lat", "location_lng", "ip", "idfa", "idfv",
        "adid", "android_id", "event_id", "session_id", "insert_id", "plan", "library",
    }
)  # fmt: skip
#: Ids that the platform takes for nobody, and refuses.
NOBODY = frozenset(
    {
        "anonymous", "nil", "none", "null", "n/a", "na", "undefined", "unknown", "",
        "00000000-0000-0000-0000-000000000000", "{}", "lmy47d", "0", "-1",
    }
)  # fmt: skip
LONGEST = 1024
_PAGE_VIEW = "[Amplitude] Page Viewed"
_SAME = ("referrer", "screen", "category", "label", "value", "currency")
_RENAMED = {"url": "[Amplitude] Page Location", "title": "[Amplitude] Page Title"}


@dataclass(frozen=True, kw_only=True)
class Amplitude(Regional):
    """Amplitude, one project. The id is its API key."""

    id: str = credential("the API key")

    name: ClassVar[str] = "amplitude"
    title: ClassVar[str] = "Amplitude"
    docs: ClassVar[str] = "https://amplitude.com/docs/apis/analytics/http-v2"
    fields: ClassVar[Fields] = Fields(
        name="event_type",
        client_id="device_id",
        user_id="user_id",
        client_ip="ip",
        language="language",
        session_id="session_id",
        properties="event_properties",
        kinds={
            **dict.fromkeys(("user_properties", "groups", "group_properties", "plan"), "properties"),
            **dict.fromkeys(("app_version", "platform", "os_name", "os_version", "library", "revenueType"), "plain"),
            **dict.fromkeys(("device_brand", "device_manufacturer", "device_model", "carrier", "dma"), "text"),
            **dict.fromkeys(("country", "region", "city", "productId"), "text"),
            **dict.fromkeys(("price", "quantity", "revenue", "location_lat", "location_lng"), "number"),
            **dict.fromkeys(("time", "event_id"), "number"),
            **dict.fromkeys(("idfa", "idfv", "adid", "android_id"), "client_id"),
            "insert_id": "plain",
        },
        limits=dict.fromkeys(
            {*COMMON, *EVENT} - {"client_ip", "value", "properties", "consent", "screen", "time", "event_id"}, LONGEST
        ),
    )
    cannot: ClassVar[frozenset[str]] = frozenset({"user_agent", "consent"})
    regions: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"us": "https://api2.amplitude.com", "eu": "https://api.eu.amplitude.com"}
    )
    host: ClassVar[str | None] = "https://api2.amplitude.com"
    paths: ClassVar[tuple[str, ...]] = ("/2/httpapi", "/batch")
    max_batch: ClassVar[int] = 1_000
    max_bytes: ClassVar[int] = 1_000_000
    dedupes: ClassVar[str | None] = "insert_id"
    longest_property: ClassVar[int] = LONGEST
    remark: ClassVar[str] = "One event it cannot read refuses the upload; the others are sent again at once."

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.id:
            raise ConfigurationError("amplitude needs the project's API key as its id")

    def encode(self, hits: Sequence[Hit], *, now: float) -> list[Parcel]:
        events = [compact(self._event(hit)) for hit in hits]
        head = compact({"api_key": self.id, "options": {"min_id_length": 1}})[:-1] + b',"events":['
        parcels = []
        runs = packed([len(e) for e in events], count=self.max_batch, size=self.max_bytes - 1, overhead=len(head) + 2)
        for run in runs:
            body = head + b",".join(events[i] for i in run) + b"]}"
            request = Request(
                url=self.address(), headers={"Content-Type": "application/json"}, body=body, secrets=(self.id,)
            )
            parcels.append(Parcel(request, tuple(run)))
        return parcels

    def interpret(self, response: Response, hits: Sequence[Hit], *, now: float) -> list[Verdict]:
        answer = parsed(response.body)
        if response.status not in (400, 429) or not isinstance(answer, dict):
            return [self.by_status(response, now=now)] * len(hits)
        if str(answer.get("error", "")).startswith("Invalid API key"):
            return [retry(reason="api key refused", stop=True)] * len(hits)
        throttled = _indices(answer.get("throttled_events"))
        if response.status == 429 and not throttled:
            return [self.by_status(response, now=now)] * len(hits)
        wrong = _indices(answer.get("silenced_events"))
        for key, fields in answer.items():
            # events_with_invalid_fields, events_with_missing_fields, events_with_invalid_id_lengths: name = indices
            if key.startswith("events_with_") and isinstance(fields, dict):
                wrong = wrong.union(*(_indices(indices) for indices in fields.values()))
        if response.status == 400 and (answer.get("missing_field") or not (wrong | throttled)):
            return [rejected(f"http 400: {str(answer.get('error', ''))[:60]}")] * len(hits)
        quotas = [answer.get(f"exceeded_daily_quota_{whose}") for whose in ("users", "devices")]
        spent = {str(one) for quota in quotas if isinstance(quota, dict) for one in quota}
        verdicts = []
        for position, hit in enumerate(hits):
            if position in wrong:
                verdicts.append(rejected("refused"))
            elif position in throttled and {str(hit.user_id), str(hit.client_id)} & spent:
                verdicts.append(rejected("daily quota"))
            elif position in throttled:
                # A whole batch of one visitor waits half a minute, as the platform asks; else only those hits do.
                verdicts.append(retry(30.0 if len(throttled) == len(hits) else None, reason="throttled"))
            else:
                verdicts.append(retry(reason="refused with others"))
        return verdicts

    def _event(self, hit: Hit) -> dict[str, Any]:
        native = self.lowered(hit)
        event = {key: native.pop(key) for key in tuple(native) if key in EVENT}
        event.pop("event_properties", None)
        properties = {**native, **folded(hit, *_SAME, **_RENAMED)}
        if properties:
            event["event_properties"] = _cut(properties)
        event["event_type"] = event.get("event_type") if hit.kind == "event" else _PAGE_VIEW
        for key in ("user_id", "device_id"):
            if key in event and str(event[key]).strip().lower() in NOBODY:
                del event[key]
        if "user_id" not in event and "device_id" not in event:
            event["device_id"] = hit.id
        session = number(event.pop("session_id", None))
        if session is not None:
            event["session_id"] = int(session)
        if "language" in event:
            event["language"] = language_tag(event["language"])
        event.setdefault("time", int(hit.time * 1000))
        event.setdefault("insert_id", hit.id)
        return event

    # -- what the inspector asks

    @classmethod
    def claims(cls, request: Request) -> bool:
        path = urlsplit(request.url).path
        return path.endswith("/2/httpapi") or (path.endswith("/batch") and b'"events"' in request.body)

    @classmethod
    def decode(cls, request: Request) -> list[Decoded]:
        body = parsed(request.body)
        if not isinstance(body, dict):
            return [Decoded(kind="event", findings=["the body is no JSON object"])]
        common = [] if body.get("api_key") else ["api_key is required"]
        events = body.get("events")
        if not isinstance(events, list):
            return [Decoded(kind="event", findings=[*common, "events must be a list"])]
        if len(events) > 2_000:
            common.append(f"{len(events)} events; at most 2000 are allowed")
        if len(request.body) > 1_000_000:
            common.append(f"the body has {len(request.body)} bytes; at most 1 MB is allowed")
        return [cls._decoded(event, common) for event in events[:5_000]]

    @classmethod
    def _decoded(cls, event: Any, common: Sequence[str]) -> Decoded:
        if not isinstance(event, dict):
            return Decoded(kind="event", findings=[*common, "an event must be an object"])
        known, _ = cls.fields.lift(event)
        known.update(unfolded(known.pop("properties", None), *_SAME, **_RENAMED))
        kind = "pageview" if event.get("event_type") == _PAGE_VIEW else "event"
        if kind == "pageview":
            known.pop("name", None)
        found = list(common)
        if not event.get("event_type"):
            found.append("event_type is required")
        ids = [event.get(key) for key in ("user_id", "device_id") if event.get(key)]
        if not ids:
            found.append("user_id or device_id is required")
        if any(str(one).lower() in NOBODY for one in ids):
            found.append("an id that means nobody is refused")
        if "time" in event and not isinstance(event["time"], int):
            found.append("time must be milliseconds, a whole number")
        long = [key for key, value in event.items() if isinstance(value, str) and len(value) > LONGEST]
        properties = event.get("event_properties")
        if isinstance(properties, dict):
            long += [key for key, value in properties.items() if isinstance(value, str) and len(value) > LONGEST]
        found += [f"{str(key)[:60]} has more than {LONGEST} characters" for key in long]
        return Decoded(kind=kind, fields=known, native=event, findings=found)

    @classmethod
    def answer(cls, request: Request, decoded: Sequence[Decoded]) -> Response:
        bad = [i for i, hit in enumerate(decoded) if hit.findings]
        if bad:
            report: dict[str, Any] = {
                "code": 400,
                "error": "Request missing required field",
                "events_with_missing_fields": {"event_type": bad},
            }
            return Response(status=400, headers=_JSON, body=compact(report))
        report = {"code": 200, "events_ingested": len(decoded), "payload_size_bytes": len(request.body)}
        return Response(status=200, headers=_JSON, body=compact(report))


_JSON = MappingProxyType({"content-type": "application/json"})


def _indices(value: Any) -> frozenset[int]:
    return frozenset(i for i in value if isinstance(i, int)) if isinstance(value, list) else frozenset()


def _cut(value: Any) -> Any:
    if isinstance(value, str):
        return cut(value, chars=LONGEST)
    if isinstance(value, dict):
        return {cut(str(key), chars=LONGEST): _cut(item) for key, item in value.items()}
    return [_cut(item) for item in value] if isinstance(value, list) else value
