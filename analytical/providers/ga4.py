"""Google Analytics 4, Measurement Protocol.

https://developers.google.com/analytics/devguides/collection/protocol/ga4/reference
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from ..backend import (
    ConfigurationError,
    Decoded,
    Parcel,
    Regional,
    compact,
    cut,
    digest,
    language_tag,
    number,
    option,
    packed,
    parsed,
)
from ..fields import Fields
from ..hit import Hit
from ..http import Request, Response

__all__ = ["Ga4"]

COLLECT = "/mp/collect"
DEBUG = "/debug/mp/collect"

#: Keys of the request's body; every other native key is a parameter of the event.
BODY = frozenset(
    {
        "client_id",
        "app_instance_id",
        "user_id",
        "timestamp_micros",
        "user_properties",
        "user_data",
        "consent",
        "non_personalized_ads",
        "user_location",
        "ip_override",
        "device",
        "user_agent",
        "validation_behavior",
    }
)

#: Names that the protocol refuses (reference, "Reserved names").
RESERVED_EVENTS = frozenset(
    {
        "ad_activeview",
        "ad_click",
        "ad_exposure",
        "ad_query",
        "ad_reward",
        "adunit_exposure",
        "app_clear_data",
        "app_exception",
        "app_install",
        "app_remove",
        "app_store_refund",
        "app_update",
        "app_upgrade",
        "dynamic_link_app_open",
        "dynamic_link_app_update",
        "dynamic_link_first_open",
        "error",
        "firebase_campaign",
        "firebase_in_app_message_action",
        "firebase_in_app_message_dismiss",
        "firebase_in_app_message_impression",
        "first_open",
        "first_visit",
        "notification_dismiss",
        "notification_foreground",
        "notification_open",
        "notification_receive",
        "notification_send",
        "os_update",
        "session_start",
        "user_engagement",
    }
)
RESERVED_PARAMS = frozenset({"firebase_conversion"})
RESERVED_PREFIXES = ("_", "firebase_", "ga_", "google_", "gtag.")
RESERVED_PROPERTIES = frozenset(
    {"first_open_time", "first_visit_time", "last_deep_link_referrer", "user_id", "first_open_after_install"}
)

#: Limits of "Sending events" and of https://support.google.com/analytics/answer/9267744.
MOST_PARAMS = 25
MOST_EVENTS = 25
LONGEST_NAME = 40
LONGEST_VALUE = 100
LONGEST_OF: Mapping[str, int] = MappingProxyType({"page_location": 1000, "page_title": 300, "page_referrer": 420})

#: Names that belong to streams of apps alone.
APP_EVENTS = frozenset({"ad_impression", "in_app_purchase", "screen_view"})

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z", re.ASCII)
_STRANGE = re.compile(r"[^A-Za-z0-9_]+", re.ASCII)
_PAGE_VIEW = "page_view"
#: Characters of a name and a value of a user property, and how many of them there may be in one request.
_USER_NAME, _USER_VALUE, _MOST_USER = 24, 36, 25
#: Parameters that carry common names beside the page's own.
_PARAMS = MappingProxyType({"category": "event_category", "label": "event_label"})


@dataclass(frozen=True, kw_only=True)
class Ga4(Regional):
    """Google Analytics 4: a web stream (``G-…``), or an app stream (a Firebase app id).

    Args:
        api_secret: made in the stream's settings; travels in the query, as the protocol wants it.
        region: ``eu`` for the end point in the European Union.
        validate: ask the validation server first, and raise what it finds.
        engagement_time_msec: sent with a session id, without which Google counts no engagement.
        longest_value: characters of a parameter's value; 500 on a 360 property.
    """

    api_secret: str | None = option(secret=True, doc="the stream's API secret")
    validate: bool = option(False, doc="ask the validation server before sending")
    engagement_time_msec: int = option(1, doc="milliseconds of engagement sent with a session id")
    longest_value: int = option(LONGEST_VALUE, doc="characters of a value: 100, or 500 on a 360 property")

    name: ClassVar[str] = "ga4"
    title: ClassVar[str] = "Google Analytics 4"
    docs: ClassVar[str] = "https://developers.google.com/analytics/devguides/collection/protocol/ga4"
    fields: ClassVar[Fields] = Fields(
        url="page_location",
        title="page_title",
        referrer="page_referrer",
        client_ip="ip_override",
        user_agent="user_agent",
        language="language",
        client_id="client_id",
        user_id="user_id",
        session_id="session_id",
        screen="screen_resolution",
        name="name",
        category="event_category",
        label="event_label",
        value="value",
        currency="currency",
        kinds={
            "app_instance_id": "client_id",
            "timestamp_micros": "number",
            "user_properties": "properties",
            "user_data": "properties",
            "consent": "plain",
            "non_personalized_ads": "plain",
            "user_location": "properties",
            "device": "properties",
            "validation_behavior": "plain",
            "engagement_time_msec": "number",
            "session_number": "number",
            "debug_mode": "plain",
            "transaction_id": "text",
            "affiliation": "text",
            "coupon": "text",
            "tax": "number",
            "shipping": "number",
            "items": "properties",
            "campaign": "text",
            "campaign_id": "text",
            "source": "text",
            "medium": "text",
            "term": "text",
            "content": "text",
            "method": "text",
            "search_term": "text",
            "content_type": "text",
            "item_id": "text",
            "link_url": "url",
            "quantity": "number",
            "score": "number",
            "percent_scrolled": "number",
        },
        limits={"url": 1000, "title": 300, "referrer": 420, "user_id": 256, "name": LONGEST_NAME},
    )
    regions: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"us": "https://www.google-analytics.com", "eu": "https://region1.google-analytics.com"}
    )
    host: ClassVar[str | None] = "https://www.google-analytics.com"
    paths: ClassVar[tuple[str, ...]] = (COLLECT, DEBUG)
    max_batch: ClassVar[int] = MOST_EVENTS
    max_bytes: ClassVar[int] = 130_000
    max_age: ClassVar[float | None] = 72 * 3600.0
    confirms: ClassVar[bool] = False
    remark: ClassVar[str] = (
        "Answers 204 to anything, so a hit is never confirmed; validate=True asks what it thinks of the events. "
        "Only a purchase counts once, by its transaction_id."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.id:
            raise ConfigurationError("ga4 needs a measurement id such as 'G-XXXXXXX', or a Firebase app id")
        if self.id.upper().startswith("UA-"):
            raise ConfigurationError(
                f"{self.id!r} is a property of Universal Analytics; ga4 takes 'G-XXXXXXX', and the provider "
                "'googleanalytics' takes both"
            )
        if self.validate and self.address(DEBUG) == self.address():
            raise ConfigurationError(
                f"{self.name}: validate=True needs the validation server's address, and endpoint= names another path; "
                f"give a base address, or a URL that ends in {COLLECT}"
            )
        if not self.api_secret and self.endpoint is None:
            raise ConfigurationError(
                f"{self.name} needs api_secret=, or Google ignores every hit; make one under "
                "Admin > Data streams > Measurement Protocol, then type api_secret='env:GA_SECRET'"
            )

    def encode(self, hits: Sequence[Hit], *, now: float) -> list[Parcel]:
        return self._encode(hits, now, COLLECT)

    def validate_requests(self, hits: Sequence[Hit], *, now: float) -> list[Request]:
        return [parcel.request for parcel in self._encode(hits, now, DEBUG)] if self.validate else []

    def findings(self, response: Response) -> list[str]:
        answer = parsed(response.body)
        messages = answer.get("validationMessages") if isinstance(answer, dict) else None
        return [
            ": ".join(str(message[key]) for key in ("fieldPath", "description") if message.get(key))
            + f" ({message.get('validationCode', 'no code')})"
            for message in messages or ()
            if isinstance(message, dict)
        ]

    def keeps(self, name: str) -> bool:
        return self._reserved(_named(name))

    def shortens(self, hit: Hit) -> bool:
        longest = self.longest_value
        count = 0
        for held in (hit.properties, hit.native):
            for key, value in held.items() if held else ():
                if key == "user_properties" and isinstance(value, dict) and _cuts_user(value):
                    return True
                if key in BODY or key in LONGEST_OF:
                    continue
                count += 1
                if len(key) > LONGEST_NAME:
                    return True
                plain = compact(value) if isinstance(value, dict | list) and key != "items" else value
                if isinstance(plain, str | bytes) and len(plain) > longest:
                    return True
        return count > MOST_PARAMS or len(hit.category or "") > longest or len(hit.label or "") > longest

    def _reserved(self, called: str) -> bool:
        if called in APP_EVENTS:
            return ":" not in self.id
        return called in RESERVED_EVENTS or called.startswith(RESERVED_PREFIXES)

    # -- one request speaks of one visitor, so hits travel together only where everything but the event is the same

    def _encode(self, hits: Sequence[Hit], now: float, path: str) -> list[Parcel]:
        secrets = (self.api_secret,) if self.api_secret else ()
        stream = "firebase_app_id" if ":" in self.id else "measurement_id"
        query = {stream: self.id, **({"api_secret": self.api_secret} if self.api_secret else {})}
        address = self.address(path)
        url = f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(query)}"
        visitors: dict[bytes, tuple[dict[str, Any], list[int], list[dict[str, Any]]]] = {}
        for position, hit in enumerate(hits):
            body, event = self._written(hit, now)
            if path == DEBUG:
                body.setdefault("validation_behavior", "ENFORCE_RECOMMENDATIONS")
            _, positions, events = visitors.setdefault(compact(body), (body, [], []))
            positions.append(position)
            events.append(event)
        parcels = []
        for key, (body, positions, events) in visitors.items():
            sizes = [len(compact(event)) for event in events]
            for run in packed(sizes, count=MOST_EVENTS, size=self.max_bytes, overhead=len(key) + 16):
                content = compact({**body, "events": [events[i] for i in run]})
                request = Request(url=url, headers={"Content-Type": "application/json"}, body=content, secrets=secrets)
                parcels.append(Parcel(request, tuple(positions[i] for i in run)))
        return parcels

    def _written(self, hit: Hit, now: float) -> tuple[dict[str, Any], dict[str, Any]]:
        native = self.lowered(hit)
        body = {key: native.pop(key) for key in tuple(native) if key in BODY}
        self._identify(body, hit)
        self._describe(body, native, hit)
        stamp = body.pop("timestamp_micros", None) or int(min(hit.time, now) * 1_000_000)
        called = str(native.pop("name", None) or "")
        called = _PAGE_VIEW if hit.kind == "pageview" else _named(called or hit.kind)
        if self._reserved(called):
            called = _named(f"e_{called}")  # an action of old: refusing it here would lose it
        params = self._params(native, hit)
        if called == "purchase":
            params.setdefault("transaction_id", hit.id)
        return body, {"name": called, "timestamp_micros": stamp, "params": params}

    def _identify(self, body: dict[str, Any], hit: Hit) -> None:
        seed = digest(hit.id)
        if isinstance(body.get("user_properties"), dict):
            body["user_properties"] = _user_properties(body["user_properties"])
        if ":" in self.id:
            given = body.pop("client_id", None)
            if "app_instance_id" not in body:
                # An app's instance id is 32 hexadecimal digits; another id is mapped to one.
                known = isinstance(given, str) and re.fullmatch("[0-9a-fA-F]{32}", given)
                body["app_instance_id"] = given if known else digest(str(given or hit.id), size=16)
        elif not body.get("client_id"):
            # Two positive numbers joined by a period, as Google's own tag makes them.
            body["client_id"] = f"{int(seed[:8], 16) or 1}.{int(seed[8:], 16) or 1}"
        else:
            body["client_id"] = str(body["client_id"])
        said = hit.consent or {}  # where nobody asked the visitor, advertising is denied
        told = {name: said.get(name) is True for name in ("ad_user_data", "ad_personalization")}
        body.setdefault("consent", {name: "GRANTED" if yes else "DENIED" for name, yes in told.items()})

    def _describe(self, body: dict[str, Any], native: dict[str, Any], hit: Hit) -> None:
        """Decide between ``user_agent`` and ``device``: Google ignores the first where the second is present."""
        tag = language_tag(native.pop("language", None))
        screen = native.pop("screen_resolution", None)
        device = body.get("device")
        if isinstance(device, dict):
            if tag:
                body["device"] = device = {"language": tag, **device}
            if screen:
                body["device"] = device = {"screen_resolution": screen, **device}
            if not (device.get("browser") and device.get("operating_system")):
                body.pop("user_agent", None)
            return
        known = {name: value for name, value in (("language", tag), ("screen_resolution", screen)) if value}
        if body.get("user_agent"):
            native.update(known)  # as parameters: a device would hide the browser
        elif known:
            body["device"] = known
        if ":" in self.id:
            body.pop("user_agent", None)  # the variant for apps has no such field

    def _params(self, native: dict[str, Any], hit: Hit) -> dict[str, Any]:
        session = native.pop("session_id", None)
        params: dict[str, Any] = {}
        if session is not None:
            params["session_id"] = _session(session)
            params["engagement_time_msec"] = native.pop("engagement_time_msec", self.engagement_time_msec)
        for key, value in {**native, **(hit.properties or {})}.items():
            if len(params) >= MOST_PARAMS:
                break
            called = _named(str(key))
            if called in RESERVED_PARAMS or str(key).startswith(RESERVED_PREFIXES):
                continue
            written = self._value(called, value)
            if written is not None:
                params.setdefault(called, written)
        return params

    def _value(self, called: str, value: Any) -> Any:
        if called == "value":
            return number(value)
        if called == "items" and isinstance(value, list):
            return value[:200]
        if isinstance(value, dict | list):
            value = compact(value).decode()
        return cut(value, chars=LONGEST_OF.get(called, self.longest_value)) if isinstance(value, str) else value

    # -- what the inspector asks

    @classmethod
    def claims(cls, request: Request) -> bool:
        return urlsplit(request.url).path.endswith((COLLECT, DEBUG))

    @classmethod
    def decode(cls, request: Request) -> list[Decoded]:
        query = dict(parse_qsl(urlsplit(request.url).query))
        common = [
            finding
            for finding, broken in (
                (
                    "the query needs measurement_id, or firebase_app_id",
                    not {"measurement_id", "firebase_app_id"} & set(query),
                ),
                ("the query needs api_secret", not query.get("api_secret")),
                (f"the body has {len(request.body)} bytes; at most 130000 are allowed", len(request.body) >= 130_000),
            )
            if broken
        ]
        body = parsed(request.body)
        if not isinstance(body, dict):
            return [Decoded(kind="event", findings=[*common, "the body is no JSON object"])]
        common += _of_body(body, app="firebase_app_id" in query)
        events = body.get("events")
        if not isinstance(events, list) or not events:
            return [Decoded(kind="event", native=body, findings=[*common, "events must be a list of 1 to 25 events"])]
        if len(events) > MOST_EVENTS:
            common.append(f"{len(events)} events in one request; at most {MOST_EVENTS} are allowed")
        envelope = {key: value for key, value in body.items() if key != "events"}
        return [cls._decoded(envelope, event, common) for event in events[: 4 * MOST_EVENTS]]

    @classmethod
    def _decoded(cls, body: Mapping[str, Any], event: Any, common: Sequence[str]) -> Decoded:
        if not isinstance(event, dict):
            return Decoded(kind="event", native=body, findings=[*common, "an event must be an object"])
        raw = event.get("params")
        params: dict[str, Any] = raw if isinstance(raw, dict) else {}
        known, rest = Ga4.fields.lift({**body, **params, "name": event.get("name")})
        device = rest.get("device")
        if isinstance(device, dict):
            for common_name, native in (("language", "language"), ("screen", "screen_resolution")):
                if native in device:
                    known.setdefault(common_name, device[native])
        kind = "pageview" if event.get("name") == _PAGE_VIEW else "event"
        if kind == "pageview":
            known.pop("name", None)
        properties = {key: value for key, value in rest.items() if key in params and key not in Ga4.fields.kinds}
        if properties:
            known["properties"] = properties
        consent = body.get("consent")
        if isinstance(consent, dict):
            known["consent"] = {key: value == "GRANTED" for key, value in consent.items()}
        findings = [*common, *_of_event(event, params, app="app_instance_id" in body)]
        return Decoded(kind=kind, fields=known, native={**body, **event}, findings=findings)

    @classmethod
    def answer(cls, request: Request, decoded: Sequence[Decoded]) -> Response:
        if not urlsplit(request.url).path.endswith(DEBUG):
            return Response(status=204)
        messages = [
            {"fieldPath": "events", "description": finding, "validationCode": "VALUE_INVALID"}
            for hit in decoded
            for finding in hit.findings
        ]
        return Response(
            status=200, headers={"content-type": "application/json"}, body=compact({"validationMessages": messages})
        )


def _named(text: str) -> str:
    """Return a text as a name the protocol takes: letters, digits, underscores; a letter first; 40 characters.

    >>> _named("Sign up!"), _named("2nd step")
    ('Sign_up', 'e_2nd_step')
    """
    plain = _STRANGE.sub("_", text).rstrip("_") if not _NAME.match(text) else text
    if not plain or not plain[0].isalpha():
        plain = f"e_{plain.lstrip('_')}"
    return plain[:LONGEST_NAME]


def _session(given: Any) -> int:
    """Return a session's id as the positive whole number that the protocol wants; other text is mapped to one.

    >>> _session("1767225600"), _session(5.0), _session("0") == _session("0") > 0
    (1767225600, 5, True)
    """
    numeric = int(given) if isinstance(given, str) and given.isdecimal() and len(given) < 19 else number(given)
    if numeric is not None and 1 <= numeric < 2**63:
        return int(numeric)
    return int(digest(str(given))[:12], 16) or 1


def _cuts_user(given: Mapping[str, Any]) -> bool:
    return len(given) > _MOST_USER or any(
        len(str(key)) > _USER_NAME or len(str(item.get("value", "") if isinstance(item, dict) else item)) > _USER_VALUE
        for key, item in given.items()
    )


def _user_properties(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return user properties as the protocol wants them: each an object with a value, within the limits.

    >>> _user_properties({"tier": "gold"})
    {'tier': {'value': 'gold'}}
    """
    out: dict[str, Any] = {}
    for key, item in given.items():
        called = _named(str(key))[:_USER_NAME]
        if called in RESERVED_PROPERTIES or str(key).startswith(RESERVED_PREFIXES) or len(out) >= _MOST_USER:
            continue
        held = dict(item) if isinstance(item, dict) else {"value": item}
        if isinstance(held.get("value"), str):
            held["value"] = cut(held["value"], chars=_USER_VALUE)
        out[called] = held
    return out


def _of_body(body: Mapping[str, Any], *, app: bool) -> list[str]:
    found = []
    if app and not re.fullmatch("[0-9a-fA-F]{32}", str(body.get("app_instance_id", ""))):
        found.append("app_instance_id must be 32 hexadecimal digits")
    if not app and not (isinstance(body.get("client_id"), str) and body["client_id"]):
        found.append("client_id is required")
    if len(str(body.get("user_id", ""))) > 256:
        found.append("user_id is longer than 256 characters")
    if "device" in body and "user_agent" in body:
        device = body["device"] if isinstance(body["device"], dict) else {}
        if not (device.get("browser") and device.get("operating_system")):
            found.append("device makes Google ignore user_agent; it should name browser and operating_system")
    consent = body.get("consent")
    if consent is not None and not (
        isinstance(consent, dict)
        and set(consent) <= {"ad_user_data", "ad_personalization"}
        and set(map(str, consent.values())) <= {"GRANTED", "DENIED"}
    ):
        found.append("consent takes ad_user_data and ad_personalization, each GRANTED or DENIED")
    properties = body.get("user_properties")
    if isinstance(properties, dict):
        if len(properties) > _MOST_USER:
            found.append(f"{len(properties)} user properties; at most 25 are allowed")
        for key, item in properties.items():
            if len(key) > _USER_NAME or not _NAME.match(key):
                found.append(f"the user property {key[:40]!r} must be at most 24 letters, digits or underscores")
            if key in RESERVED_PROPERTIES or key.startswith(RESERVED_PREFIXES):
                found.append(f"the user property name {key[:40]!r} is reserved")
            if not isinstance(item, dict) or "value" not in item:
                found.append(f"the user property {key[:40]!r} must be an object with a value")
            elif len(str(item["value"])) > _USER_VALUE:
                found.append(f"the user property {key[:40]!r} is longer than 36 characters")
    return found


def _of_event(event: Mapping[str, Any], params: Mapping[str, Any], *, app: bool) -> list[str]:
    found = []
    called = event.get("name")
    if not isinstance(called, str) or not called:
        found.append("an event needs a name")
    elif not _NAME.match(called) or len(called) > LONGEST_NAME:
        found.append("an event name is at most 40 letters, digits or underscores, a letter first")
    elif called in RESERVED_EVENTS or called.startswith(RESERVED_PREFIXES):
        found.append(f"the event name {called!r} is reserved")
    elif called in APP_EVENTS and not app:
        found.append(f"the event name {called!r} is reserved for streams of apps")
    if called == "purchase" and not params.get("transaction_id"):
        found.append("purchase needs transaction_id")
    if called in ("purchase", "refund") and "value" in params and not params.get("currency"):
        found.append("value needs currency")
    if len(params) > MOST_PARAMS:
        found.append(f"{len(params)} parameters; at most {MOST_PARAMS} are allowed")
    for key, value in params.items():
        if len(key) > LONGEST_NAME or not _NAME.match(key):
            found.append(f"the parameter name {key[:60]!r} is not at most 40 letters, digits or underscores")
        elif key in RESERVED_PARAMS or key.startswith(RESERVED_PREFIXES):
            found.append(f"the parameter name {key!r} is reserved")
        limit = LONGEST_OF.get(key, LONGEST_VALUE)
        if isinstance(value, str) and len(value) > limit:
            found.append(f"{key} has {len(value)} characters; at most {limit} are allowed")
    session = params.get("session_id")
    if session is not None and not (number(session) or 0) > 0:
        found.append("session_id must be a positive number")
    return found
