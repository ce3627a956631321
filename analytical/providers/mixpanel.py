"""Mixpanel, ``/import`` in strict mode: the server-side end point, which says what it refused.

https://developer.mixpanel.com/reference/import-events
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.parse import urlencode, urlsplit

from ..backend import (
    ConfigurationError,
    Decoded,
    Parcel,
    Regional,
    basic,
    compact,
    credential,
    cut,
    digest,
    folded,
    header,
    language_tag,
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

__all__ = ["Mixpanel"]

#: Ids that the platform takes for nobody, and refuses.
NOBODY = frozenset(
    {
        "00000000-0000-0000-0000-000000000000", "anon", "anonymous", "nil", "none", "null", "n/a", "na",
        "undefined", "unknown", "<nil>", "0", "-1", "true", "false", "[]", "{}",
    }
)  # fmt: skip
LONGEST = 255
#: Fewer than 255 are allowed; the last few are this provider's own (time, ids).
MOST_PROPERTIES = 240
_PAGE_VIEW = "$mp_web_page_view"
_INSERT_ID = re.compile(r"[A-Za-z0-9-]{1,36}\Z", re.ASCII)
_SAME = ("language", "screen", "category", "label", "value", "currency", "session_id")


@dataclass(frozen=True, kw_only=True)
class Mixpanel(Regional):
    """Mixpanel, one project. The id is the project's token.

    Args:
        service_account: the user name of a service account; without one the token itself is the credential.
        secret: the service account's secret.
        project_id: the project's number; needed with a service account.
    """

    id: str = credential("the project's token")
    service_account: str | None = option(doc="the user name of a service account")
    secret: str | None = option(secret=True, doc="the service account's secret")
    project_id: str | None = option(doc="the project's number, with a service account")

    name: ClassVar[str] = "mixpanel"
    title: ClassVar[str] = "Mixpanel"
    docs: ClassVar[str] = "https://developer.mixpanel.com/reference/import-events"
    fields: ClassVar[Fields] = Fields(
        name="event",
        url="$current_url",
        title="current_page_title",
        referrer="$referrer",
        client_ip="ip",
        client_id="$device_id",
        user_id="$user_id",
        kinds={
            "time": "number",
            "distinct_id": "user_id",
            "$insert_id": "plain",
            "token": "plain",
            "mp_lib": "plain",
            "$lib_version": "plain",
            **dict.fromkeys(("$browser", "$browser_version", "$os", "$os_version", "$device", "$model"), "plain"),
            **dict.fromkeys(("$city", "$region", "mp_country_code"), "text"),
            **dict.fromkeys(("$screen_height", "$screen_width"), "number"),
            "$referring_domain": "text",
            "$search_engine": "plain",
        },
        limits=dict.fromkeys(
            ("name", "url", "title", "referrer", "client_id", "user_id", "session_id", "language", "category", "label"),
            LONGEST,
        ),
    )
    cannot: ClassVar[frozenset[str]] = frozenset({"user_agent", "consent"})
    regions: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "us": "https://api.mixpanel.com",
            "eu": "https://api-eu.mixpanel.com",
            "in": "https://api-in.mixpanel.com",
        }
    )
    host: ClassVar[str | None] = "https://api.mixpanel.com"
    paths: ClassVar[tuple[str, ...]] = ("/import",)
    max_batch: ClassVar[int] = 2_000
    # 10 MB are documented; an error text of the platform's own names 2097152.
    max_bytes: ClassVar[int] = 2_000_000
    dedupes: ClassVar[str | None] = "$insert_id"
    longest_property: ClassVar[int] = LONGEST
    most_properties: ClassVar[int] = MOST_PROPERTIES - len(_SAME) - 10
    remark: ClassVar[str] = "A 400 names the events it refused; the others of that batch were kept."

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.id:
            raise ConfigurationError("mixpanel needs the project's token as its id")
        if self.service_account and not (self.secret and self.project_id):
            raise ConfigurationError("mixpanel: service_account= needs secret= and project_id= beside it")

    def encode(self, hits: Sequence[Hit], *, now: float) -> list[Parcel]:
        events = [compact(self._event(hit)) for hit in hits]
        credential = basic(self.service_account, self.secret or "") if self.service_account else basic(self.id)
        query = {"strict": "1", **({"project_id": self.project_id} if self.project_id else {})}
        address = self.address()
        url = f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(query)}"
        hidden = (credential.removeprefix("Basic "), *((self.secret,) if self.secret else ()))
        parcels = []
        for run in packed([len(event) for event in events], count=self.max_batch, size=self.max_bytes, overhead=2):
            request = Request(
                url=url,
                headers={"Content-Type": "application/json", "Authorization": credential},
                body=b"[" + b",".join(events[i] for i in run) + b"]",
                secrets=hidden,
            )
            parcels.append(Parcel(request, tuple(run)))
        return parcels

    def interpret(self, response: Response, hits: Sequence[Hit], *, now: float) -> list[Verdict]:
        if response.status in (401, 403):
            return [retry(reason="credentials refused", stop=True)] * len(hits)
        answer = parsed(response.body)
        if response.ok:
            known = isinstance(answer, dict) and answer.get("num_records_imported") == len(hits)
            return [DELIVERED if known else UNCONFIRMED._replace(reason="not as many as sent")] * len(hits)
        failed = answer.get("failed_records") if response.status == 400 and isinstance(answer, dict) else None
        if not isinstance(failed, list) or not failed:
            return [self.by_status(response, now=now)] * len(hits)
        ids = {_insert_id(hit.id): position for position, hit in enumerate(hits)}
        wrong: dict[int, str] = {}
        for record in failed:
            if isinstance(record, dict):
                # The reference and its schema spell the id differently; both also give the index.
                named = ids.get(str(record.get("$insert_id") or record.get("insert_id") or ""))
                position = record.get("index") if named is None else named
                if isinstance(position, int):
                    wrong[position] = f"refused: {str(record.get('field', ''))[:40]}"
        if not wrong:
            return [UNCONFIRMED._replace(reason="refused, and which is not said")] * len(hits)
        return [rejected(wrong[i]) if i in wrong else DELIVERED for i in range(len(hits))]

    def _event(self, hit: Hit) -> dict[str, Any]:
        native = self.lowered(hit)
        called = native.pop("event", None) if hit.kind == "event" else _PAGE_VIEW
        native.pop("event", None)
        properties = {**native, **folded(hit, *_SAME)}
        if "language" in properties and hit.language:
            properties["language"] = language_tag(hit.language)
        for key in ("$user_id", "$device_id", "distinct_id"):
            if key in properties and str(properties[key]).strip().lower() in NOBODY:
                del properties[key]
        properties = {
            cut(str(key), chars=LONGEST): _cut(value) for key, value in list(properties.items())[:MOST_PROPERTIES]
        }
        properties.setdefault("time", int(hit.time * 1000))
        # Empty is allowed, and counts for no user.
        properties.setdefault("distinct_id", properties.get("$user_id") or properties.get("$device_id") or "")
        properties["$insert_id"] = _insert_id(str(properties.get("$insert_id") or hit.id))
        return {"event": called, "properties": properties}

    # -- what the inspector asks

    @classmethod
    def claims(cls, request: Request) -> bool:
        return urlsplit(request.url).path.endswith(cls.paths)

    @classmethod
    def decode(cls, request: Request) -> list[Decoded]:
        common = [] if header(request, "Authorization") else ["the Authorization header is missing"]
        body = parsed(request.body)
        if not isinstance(body, list):
            return [Decoded(kind="event", findings=[*common, "the body must be a list of events"])]
        if len(body) > 2_000:
            common.append(f"{len(body)} events; at most 2000 are allowed")
        return [cls._decoded(event, common) for event in body[:5_000]]

    @classmethod
    def _decoded(cls, event: Any, common: Sequence[str]) -> Decoded:
        properties = event.get("properties") if isinstance(event, dict) else None
        if not isinstance(properties, dict):
            return Decoded(kind="event", findings=[*common, "an event is an object with event and properties"])
        known, rest = cls.fields.lift({**properties, "event": event.get("event")})
        own = {key: value for key, value in rest.items() if key not in cls.fields.kinds}
        known.update(unfolded(own, *_SAME))
        kind = "pageview" if event.get("event") == _PAGE_VIEW else "event"
        if kind == "pageview":
            known.pop("name", None)
        found = list(common)
        if not event.get("event"):
            found.append("event is required")
        if set(event) - {"event", "properties"}:
            found.append("an event has event and properties, and nothing else")
        if number(properties.get("time")) is None:
            found.append("time is required, in seconds or milliseconds")
        if "distinct_id" not in properties:
            found.append("distinct_id is required")
        elif str(properties["distinct_id"]).lower() in NOBODY:
            found.append("a distinct_id that means nobody is refused")
        if not _INSERT_ID.match(str(properties.get("$insert_id", ""))):
            found.append("$insert_id is required: at most 36 letters, digits or hyphens")
        if len(properties) > 255:
            found.append(f"{len(properties)} properties; fewer than 255 are allowed")
        found += [
            f"{str(key)[:60]} is cut at {LONGEST} characters"
            for key, value in properties.items()
            if isinstance(value, str) and len(value) > LONGEST
        ]
        return Decoded(kind=kind, fields=known, native=event, findings=found)

    @classmethod
    def answer(cls, request: Request, decoded: Sequence[Decoded]) -> Response:
        if header(request, "Authorization") is None:
            report: dict[str, Any] = {"code": 401, "error": "Invalid credentials", "status": "Unauthorized"}
            return Response(status=401, headers=_JSON, body=compact(report))
        failed = [
            {"index": i, "field": "properties", "message": h.findings[0]} for i, h in enumerate(decoded) if h.findings
        ]
        report = {"code": 400 if failed else 200, "num_records_imported": len(decoded) - len(failed)}
        if failed:
            report |= {"error": "some data points in the request failed validation", "failed_records": failed}
        report["status"] = "Bad Request" if failed else "OK"
        return Response(status=report["code"], headers=_JSON, body=compact(report))


_JSON = MappingProxyType({"content-type": "application/json"})


def _insert_id(identity: str) -> str:
    return identity if _INSERT_ID.match(identity) else digest(identity, size=16)


def _cut(value: Any) -> Any:
    return cut(value, chars=LONGEST) if isinstance(value, str) else value
