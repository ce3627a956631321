"""Snowplow, tracker protocol v2 (https://docs.snowplow.io/docs/events/http-requests/).

The collector answers 200 to whatever it can store; the checks come later, out of sight. So everything is checked here.
"""

from __future__ import annotations

import json
import math
import re
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from ..backend import (
    DEFAULT_CATEGORY,
    GIF,
    Backend,
    Decoded,
    Parcel,
    compact,
    header,
    language_tag,
    option,
    packed,
    parsed,
)
from ..fields import Fields
from ..hit import Hit, key_id
from ..http import Request, Response

__all__ = ["KEYS", "SCHEMAS", "Snowplow", "complete"]


def _words(*texts: str) -> list[str]:
    return " ".join(texts).split()


_OURS = "iglu:com.snowplowanalytics.snowplow"
PAYLOAD_DATA = f"{_OURS}/payload_data/jsonschema/1-0-4"
CONTEXTS = f"{_OURS}/contexts/jsonschema/1-0-1"
UNSTRUCT_EVENT = f"{_OURS}/unstruct_event/jsonschema/1-0-0"

#: Every key of payload_data 1-0-4; one more in one event fails the whole request
#: (https://github.com/snowplow/iglu-central, schemas/com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4).
KEYS = frozenset(
    _words(
        "tna aid p dtm tz e tid eid tv duid nuid uid vid ip res url page refr fp ctype cookie lang f_pdf f_qt f_realp",
        "f_wma f_dir f_fla f_java f_gears f_ag cd ds cs vp mac",
        "pp_mix pp_max pp_miy pp_may ad_ba ad_ca ad_ad ad_uid tr_id",
        "tr_af tr_tt tr_tx tr_sh tr_ci tr_st tr_co tr_cu ti_id ti_sk ti_nm ti_na ti_ca ti_pr ti_qu ti_cu sa sn st sp",
        "se_ca se_ac se_la se_pr se_va ue_na ue_pr ue_px co cx ua tnuid stm sid ttm",
    )
)
PLATFORMS = ("web", "mob", "pc", "srv", "app", "tv", "cnsl", "iot", "headset")
_INTEGERS = frozenset(_words("dtm stm ttm tid vid pp_mix pp_max pp_miy pp_may ti_qu"))
_DECIMALS = frozenset(_words("se_va tr_tt tr_tx tr_sh ti_pr"))
_UUIDS = frozenset({"eid", "sid"})
_SIZES = frozenset({"res", "vp", "ds"})
_FLAGS = frozenset(_words("cookie f_pdf f_qt f_realp f_wma f_dir f_fla f_java f_gears f_ag"))
_JSON = {"ue_px": "ue_pr", "cx": "co"}

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z", re.I | re.ASCII)
_HEX = re.compile(r"[0-9a-f]{32}\Z", re.I | re.ASCII)
_SIZE = re.compile(r"[0-9]{1,9}x[0-9]{1,9}\Z", re.ASCII)
_IGLU = re.compile(r"iglu:[a-zA-Z0-9-_.]+/[a-zA-Z0-9-_]+/[a-zA-Z0-9-_]+/[0-9]+-[0-9]+-[0-9]+\Z", re.ASCII)
_CONTENT_TYPES = frozenset({"application/json", "application/json; charset=utf-8"})

# The collector's defaults, in bytes (https://docs.snowplow.io/docs/api-reference/stream-collector/configure/):
_LONGEST_LINE = 20_480  # a longer request line is a 400
_LARGEST_STORED = 1_048_576  # a larger body is answered 200 and becomes a failed event
_LARGEST_TAKEN = 2_097_152  # a larger body is a 413
_LARGEST_EVENT = 192_000  # the smallest sink, SQS, takes no larger event; Kinesis and Kafka take 1,000,000

#: What each kind of hit is called on the wire; every other kind is a self-describing event.
_EVENTS = {
    "pageview": "pv",
    "page_ping": "pp",
    "event": "se",
    "structured_event": "se",
    "ecommerce_transaction": "tr",
    "ecommerce_transaction_item": "ti",
}
_KINDS = {"pv": "pageview", "pp": "page_ping", "se": "event", "tr": "ecommerce_transaction"} | {
    "ti": "ecommerce_transaction_item"
}
#: The helpers' schemas (https://github.com/snowplow/iglu-central), all of Snowplow's own vendor but one.
SCHEMAS = {
    "link_click": f"{_OURS}/link_click/jsonschema/1-0-1",
    "add_to_cart": f"{_OURS}/add_to_cart/jsonschema/1-0-0",
    "remove_from_cart": f"{_OURS}/remove_from_cart/jsonschema/1-0-0",
    "form_change": f"{_OURS}/change_form/jsonschema/1-0-0",
    "form_submit": f"{_OURS}/submit_form/jsonschema/1-0-0",
    "site_search": f"{_OURS}/site_search/jsonschema/1-0-0",
    "screen_view": "iglu:com.snowplowanalytics.mobile/screen_view/jsonschema/1-0-0",
    "screen_view_web": f"{_OURS}/screen_view/jsonschema/1-0-0",
}
#: What each event type cannot do without (https://docs.snowplow.io/docs/fundamentals/canonical-event/).
_REQUIRED = {
    "pv": ("url",),
    "se": ("se_ca", "se_ac"),
    "tr": ("tr_id", "tr_tt"),
    "ti": ("ti_id", "ti_sk", "ti_pr", "ti_qu"),
}
#: What Snowplow's own entities cannot do without; one that lost it at the gate would fail its event.
_REQUIRED_OF_ENTITY = {
    f"{_OURS}/geolocation_context": ("latitude", "longitude"),
    f"{_OURS}/web_page": ("id",),
    f"{_OURS}/client_session": ("userId", "sessionId", "sessionIndex", "storageMechanism"),
}
_UUIDS_OF_ENTITY = frozenset({"id", "sessionId"})
_KIND_OF_SCHEMA = {schema: kind.removesuffix("_web") for kind, schema in SCHEMAS.items()}
#: The protocol's keys of what our own vocabulary says in words.
_SPELLED = {
    "page_ping": {"min_x": "pp_mix", "max_x": "pp_max", "min_y": "pp_miy", "max_y": "pp_may"},
    "structured_event": {"category": "se_ca", "action": "se_ac", "label": "se_la", "property": "se_pr"}
    | {"value": "se_va"},
    "ecommerce_transaction": {"order_id": "tr_id", "total": "tr_tt", "affiliation": "tr_af", "tax": "tr_tx"}
    | {"shipping": "tr_sh", "city": "tr_ci", "state": "tr_st", "country": "tr_co", "currency": "tr_cu"},
    "ecommerce_transaction_item": {"order_id": "ti_id", "sku": "ti_sk", "price": "ti_pr", "quantity": "ti_qu"}
    | {"name": "ti_nm", "category": "ti_ca", "currency": "ti_cu"},
}

_SCREEN_IDS = ("id", "previousId")
_UNLIMITED = 1 << 62
_STRUCTURED = ("name", "category", "label", "value")


@dataclass(frozen=True, kw_only=True)
class Snowplow(Backend):
    """A Snowplow collector.

    Args:
        id: the app id (``aid``).
        endpoint: the collector.
        namespace: the tracker's name (``tna``), which tells several trackers of one app apart.
        platform: one of ``web mob pc srv app tv cnsl iot headset``.
        base64: whether self-describing events and entities travel as base64.
        method: ``post``, many events a request, or ``get``, one each; an event too long for an address is posted.
        batch_size: events in one request at most.
        byte_limit: bytes in one request at most.
        anonymous: asks the collector to keep neither the address nor a cookie (``SP-Anonymous``).
        validate: a folder of Iglu schemas, to check self-describing data against before anything is sent.
        tracker: what the protocol calls the tracker's version (``tv``).
    """

    namespace: str | None = option(doc="the tracker's name, tna")
    platform: str = option("srv", doc="one of web mob pc srv app tv cnsl iot headset")
    base64: bool = option(True, doc="whether self-describing events and entities travel as base64")
    method: str = option("post", doc="post or get")
    batch_size: int | None = option(doc="events in one request at most")
    byte_limit: int | None = option(doc="bytes in one request at most")
    anonymous: bool = option(False, doc="ask the collector to keep neither address nor cookie")
    validate: Callable[[str, Any], str | None] | None = option(  # noqa: RUF009 - a description, not a default
        load="analytical.schemas:checker", doc="a folder of Iglu schemas"
    )
    tracker: str = option("py-analytical-1", doc="the tracker's name and version, tv")

    name: ClassVar[str] = "snowplow"
    title: ClassVar[str] = "Snowplow"
    docs: ClassVar[str] = "https://docs.snowplow.io/docs/events/http-requests/"
    paths: ClassVar[tuple[str, ...]] = ("/com.snowplowanalytics.snowplow/tp2", "/i", "/ice.png")
    kinds: ClassVar[frozenset[str]] = frozenset({*_EVENTS, "self_describing", *SCHEMAS} - {"screen_view_web"})
    cannot: ClassVar[frozenset[str]] = frozenset({"properties", "currency", "consent"})
    max_batch: ClassVar[int] = 500
    max_bytes: ClassVar[int] = 1_000_000
    confirms: ClassVar[bool] = False
    dedupes: ClassVar[str | None] = "eid"
    remark: ClassVar[str] = "the collector answers before it checks, so a delivery is never confirmed"

    # Lengths: https://docs.snowplow.io/docs/fundamentals/canonical-event/ (characters).
    fields: ClassVar[Fields] = Fields(
        url="url",
        title="page",
        referrer="refr",
        client_ip="ip",
        user_agent="ua",
        language="lang",
        client_id="duid",
        user_id="uid",
        session_id="sid",
        screen="res",
        name="se_ac",
        category="se_ca",
        label="se_la",
        value="se_va",
        kinds={
            **dict.fromkeys(_words("e p tv tna aid eid tz cs ctype tr_id tr_cu ti_id ti_sk ti_cu cd fp"), "plain"),
            **dict.fromkeys([*_FLAGS, *(_INTEGERS | _DECIMALS) - {"se_va"}], "number"),
            **dict.fromkeys(["vp", "ds"], "screen"),
            **dict.fromkeys(["nuid", "tnuid", "mac"], "client_id"),
            **dict.fromkeys(["ue_pr", "co", "ue_px", "cx"], "properties"),
            "ad_uid": "user_id",
        },
        limits={
            **dict.fromkeys(["uid", "aid", "lang", "tz", "tr_id", "tr_af", "tr_ci", "tr_st", "tr_co"], 255),
            **dict.fromkeys(["ti_id", "ti_sk", "ti_nm", "ti_ca"], 255),
            **dict.fromkeys(["duid", "nuid", "tnuid", "ip", "tna", "cs"], 128),
            **dict.fromkeys(["se_ca", "se_ac", "se_pr", "ua"], 1000),
            **dict.fromkeys(["url", "refr", "se_la"], 4096),
            **dict.fromkeys(["tr_cu", "ti_cu"], 3),
            "page": 2000,
            "tv": 100,
        },
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.platform not in PLATFORMS:
            raise ValueError(f"platform={self.platform!r}: expected one of {', '.join(PLATFORMS)}")
        if self.method not in ("post", "get"):
            raise ValueError(f"method={self.method!r}: expected 'post' or 'get'")
        for name in ("batch_size", "byte_limit"):
            limit = getattr(self, name)
            if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
                raise ValueError(f"{name}={limit!r}: expected a whole number above 0")

    # -- from words to the protocol's keys ------------------------------------------------------------------------

    def phrase(self, kind: str, said: Mapping[str, Any]) -> dict[str, Any]:
        """Return the protocol's own keys for one of the typed calls; absent values are left out."""
        given = {name: value for name, value in said.items() if value is not None}
        native: dict[str, Any] = {}
        entities = given.pop("entities", None)
        if entities:
            native["co"] = list(entities)
        if "ttm" in given:
            native["ttm"] = given.pop("ttm")
        if not given:
            return native
        spelled = _SPELLED.get(kind)
        if spelled is not None:
            return native | {spelled[name]: value for name, value in given.items()}
        if kind == "self_describing":
            return native | {"ue_pr": {"schema": given["schema"], "data": given.get("data", {})}}
        # Only the older of the two schemas does without an id or a name.
        older = kind == "screen_view" and not ("id" in given and "name" in given)
        schema = SCHEMAS["screen_view_web" if older else kind]
        return native | {"ue_pr": {"schema": schema, "data": {_camel(name): value for name, value in given.items()}}}

    def lift(self, native: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Read what is encoded, so that the gate sees what is inside, and rename what has a common name."""
        known, rest = super().lift(native)
        for key in ("ue_px", "cx", "ue_pr", "co"):
            if isinstance(rest.get(key), str):
                value = _read(key, rest[key])
                if value is not None:
                    del rest[key]
                    rest[_JSON.get(key, key)] = value
        return known, rest

    def missing(self, kind: str, draft: Mapping[str, Any]) -> str | None:
        """Return what the collector would take and Snowplow later fail, in words."""
        native = draft.get("native") or {}
        event = _event(kind, native)
        if event == "pv" and not draft.get("url"):
            return "url= (native 'url')"
        if event == "se" and not draft.get("name"):
            return "name= (native 'se_ac')"
        for key in _REQUIRED[event] if event in ("tr", "ti") else ():
            if native.get(key) in (None, ""):
                return f"native {key!r}"
        if event == "ue" and not native.get("ue_pr"):
            return "native 'ue_pr': {'schema': 'iglu:…', 'data': {…}}"
        for key, value in native.items():
            wrong = _wrong(key, value)
            if wrong:
                return wrong
        for schema, data in _described(native):
            if not isinstance(schema, str) or not _IGLU.match(schema):
                return f"a schema such as 'iglu:com.acme/thing/jsonschema/1-0-0', not {str(schema)[:80]!r}"
            if schema == SCHEMAS["screen_view"] and isinstance(data, Mapping):
                for key in _SCREEN_IDS:
                    if key in data and not _UUID.match(str(data[key])):
                        return f"{key} as a UUID with its dashes"
            wrong = self.validate(schema, data) if self.validate is not None else None
            if wrong:
                return f"data that fits {schema}: {wrong}"
        return None

    # -- the wire -------------------------------------------------------------------------------------------------

    def encode(self, hits: Sequence[Hit], *, now: float) -> list[Parcel]:
        """Post hits together up to the limits, or get them one by one.

        What can never fit is in no parcel, and neither is what the gate took something out of that its event type
        cannot do without: the collector would take it, and the pipeline fail it out of sight.
        """
        stamp = str(int(now * 1000))
        payloads = [self.payload(hit) | {"stm": stamp} for hit in hits]
        whole = [position for position, hit in enumerate(hits) if hit.kind == "payload" or complete(payloads[position])]
        parcels: list[Parcel] = []
        posted: list[int] = whole
        if self.method == "get":
            posted = []
            for position in whole:
                payload = payloads[position]
                url = f"{self.address('/i')}?{urlencode(payload, errors='replace')}"
                if len(url) < _LONGEST_LINE - 64:  # "GET", "HTTP/1.1" and a proxy's longer name stand in that line too
                    headers = self._headers()
                    parcels.append(Parcel(Request(method="GET", url=url, headers=headers), (position,)))
                else:
                    posted.append(position)
        items = [compact(payloads[position]) for position in posted]
        opening = f'{{"schema":"{PAYLOAD_DATA}","data":['.encode()
        largest = min(self.byte_limit or self.max_bytes, self.max_bytes)
        count = min(self.batch_size or self.max_batch, self.max_batch)
        headers = {"Content-Type": "application/json; charset=utf-8", **self._headers()}
        for run in packed([len(item) for item in items], count=count, size=largest, overhead=len(opening) + 2):
            body = opening + b",".join(items[run.start : run.stop]) + b"]}"
            if len(body) <= _LARGEST_STORED:
                request = Request(url=self.address(), headers=headers, body=body)
                parcels.append(Parcel(request, tuple(posted[index] for index in run)))
        return parcels

    def payload(self, hit: Hit) -> dict[str, str]:
        """Return one hit in the protocol's keys, every value text, all but ``stm``."""
        native = hit.native or {}
        event = _event(hit.kind, native)
        found: dict[str, Any] = {"e": event, "p": self.platform, "tv": self.tracker, "aid": self.id}
        found["tna"] = self.namespace
        if hit.kind != "payload":  # one that came whole, from a queue or an older tracker, has all of it in native
            for name, key in self.fields.common.items():
                value = getattr(hit, name)
                if value is not None and (event == "se" or name not in _STRUCTURED):
                    found[key] = value
            found["lang"] = language_tag(hit.language)
            if event == "se":
                found["se_ca"] = found.get("se_ca") or DEFAULT_CATEGORY
        found["eid"] = hit.id
        found["dtm"] = int(hit.time * 1000)
        found |= {key: value for key, value in native.items() if value is not None and value != ""}
        out: dict[str, str] = {}
        for key, value in found.items():
            longest = _LONGEST.get(key)
            if longest is None or value is None or value == "":
                continue
            if type(value) is str and key not in _CHECKED:
                out[key] = value if len(value) <= longest else value[:longest]
            elif key in ("ue_pr", "co") and not isinstance(value, str):
                self._json(out, key, _identified(value, hit.id) if key == "ue_pr" else value)
            else:
                text = _text(key, value)
                if text:
                    out[key] = text[:longest]
        if "dtm" not in out and "ttm" not in out:
            out["dtm"] = str(int(hit.time * 1000))
        # A native value that is none, such as an infinite number, leaves what the whole request needs as it was.
        out.setdefault("tv", self.tracker)
        out.setdefault("p", self.platform)
        return out

    def _json(self, out: dict[str, str], key: str, value: Any) -> None:
        if key == "co":
            # An entity out of which the gate took something may not fit its schema any more; it would fail the event.
            value = [part for part in _entities(value) if self._fits(part["schema"], part["data"])]
            if not value:
                return
        whole = compact(_enveloped(key, value))
        if self.base64:
            out["ue_px" if key == "ue_pr" else "cx"] = urlsafe_b64encode(whole).decode()
        else:
            out[key] = whole.decode()

    def _fits(self, schema: str, data: Any) -> bool:
        for key in _REQUIRED_OF_ENTITY.get(schema.partition("/jsonschema/")[0], ()):
            value = data.get(key) if isinstance(data, Mapping) else None
            if value is None or (key in _UUIDS_OF_ENTITY and not _UUID.match(str(value))):
                return False
        return self.validate is None or not self.validate(schema, data)

    def _headers(self) -> dict[str, str]:
        return {"SP-Anonymous": "*"} if self.anonymous else {}

    # -- what the inspector asks ----------------------------------------------------------------------------------

    @classmethod
    def claims(cls, request: Request) -> bool:
        """Tell whether a request is of this protocol: a POST to tp2, or a GET with an event type."""
        parts = urlsplit(request.url)
        if request.method == "GET":
            return parts.path in cls.paths and any(key == "e" for key, _ in parse_qsl(parts.query))
        return parts.path == cls.paths[0]

    @classmethod
    def decode(cls, request: Request) -> list[Decoded]:
        """Read a request as the pipeline behind the collector would."""
        query = dict(parse_qsl(urlsplit(request.url).query, keep_blank_values=True))
        if request.method == "GET":
            line = len(request.url.partition("://")[2].partition("/")[2]) + 15
            found = [f"the request line has {line} bytes; the limit is {_LONGEST_LINE}"] if line > _LONGEST_LINE else []
            return [cls._decoded(query, found)]
        found = []
        kind = header(request, "content-type") or ""
        if kind.strip().lower() not in _CONTENT_TYPES:
            found.append(f"Content-Type {kind[:60]!r} fails; expected application/json; charset=utf-8")
        if len(request.body) > _LARGEST_STORED:
            found.append(f"the body has {len(request.body)} bytes; above {_LARGEST_STORED} it is answered and lost")
        body = parsed(request.body)
        if body is None:
            return [Decoded(kind="unknown", findings=[*found, "the body is no JSON; the whole request fails"])]
        data = body.get("data") if isinstance(body, dict) else None
        schema = body.get("schema") if isinstance(body, dict) else None
        if not isinstance(schema, str) or not schema.startswith(f"{_OURS}/payload_data/jsonschema/1-0-"):
            found.append(f"schema {str(schema)[:80]!r} fails; expected {PAYLOAD_DATA}")
        if not isinstance(data, list) or not data:
            return [Decoded(kind="unknown", findings=[*found, "data is no list of at least one event"])]
        if query:
            found.append("the address has a query: its parameters replace those of every event")
        return [
            cls._decoded({**event, **query}, found)
            if isinstance(event, dict)
            else Decoded(kind="unknown", findings=[*found, "an event is no object; the whole request fails"])
            for event in data
        ]

    @classmethod
    def _decoded(cls, payload: dict[str, Any], found: Sequence[str]) -> Decoded:
        findings = [*found, *_findings(payload)]
        native = dict(payload)
        for key in ("ue_px", "cx", "ue_pr", "co"):
            if isinstance(payload.get(key), str):
                value = _read(key, payload[key])
                if value is None:
                    findings.append(f"{key} is no {'base64 of ' if key in _JSON else ''}JSON")
                else:
                    native[key] = value
                    findings.extend(_about_envelope(key, value))
        kind = _KINDS.get(str(payload.get("e")), "unknown")
        if payload.get("e") == "ue":
            inner = next((schema for key, schema, _ in _inside(native) if key == "ue_pr"), None)
            kind = _KIND_OF_SCHEMA.get(str(inner), "self_describing")
        known, _ = cls.fields.lift(payload)
        return Decoded(kind=kind, fields=known, native=native, findings=findings)

    @classmethod
    def answer(cls, request: Request, decoded: Sequence[Decoded]) -> Response:
        """Answer as the collector does: a picture or ``ok``, whatever is in it, unless it is too large."""
        if request.method == "GET":
            line = len(request.url.partition("://")[2].partition("/")[2]) + 15
            if line > _LONGEST_LINE:
                return Response(status=400)
            return Response(status=200, headers={"content-type": "image/gif"}, body=GIF)
        if len(request.body) > _LARGEST_TAKEN:
            return Response(status=413)
        return Response(status=200, headers={"content-type": "text/plain; charset=UTF-8"}, body=b"ok")


_CHECKED = _INTEGERS | _UUIDS | _FLAGS
#: Every key and how many characters its value may have.
_LONGEST: Mapping[str, int] = {key: Snowplow.fields.limits.get(key, _UNLIMITED) for key in KEYS}


def _event(kind: str, native: Mapping[str, Any]) -> str:
    given = native.get("e")
    if given:
        return str(given)
    return "ue" if native.get("ue_pr") or native.get("ue_px") else _EVENTS.get(kind, "ue")


def complete(payload: Mapping[str, str]) -> bool:
    """Tell whether a payload has what its event type cannot do without."""
    return payload.keys() >= set(_REQUIRED.get(payload["e"], ()))


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def _text(key: str, value: Any) -> str:
    if key in _INTEGERS and type(value) is int:
        return str(value)
    if key in _UUIDS:
        return _uuid(str(value))
    if key in _FLAGS:
        return "1" if value in (True, 1, "1", "true") else "0"
    if key in _INTEGERS:
        try:
            return str(int(value))
        except (TypeError, ValueError, OverflowError):
            pass
        try:
            return str(int(float(value)))
        except (TypeError, ValueError, OverflowError):
            return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float) and not math.isfinite(value):
        return ""
    if isinstance(value, Mapping | list):
        return compact(value).decode()
    return str(value)


def _uuid(text: str) -> str:
    # Enrich takes the canonical 36 characters only; any other id keeps its identity under a derived one.
    if _UUID.match(text):
        return text
    if _HEX.match(text):
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
    return key_id(text, "snowplow") if text else ""


def _enveloped(key: str, value: Any) -> Any:
    schema = value.get("schema") if isinstance(value, Mapping) else None
    of = str(schema).rpartition("/")[0]
    if key == "ue_pr":
        whole = of == UNSTRUCT_EVENT.rpartition("/")[0]
        return value if whole else {"schema": UNSTRUCT_EVENT, "data": value}
    if of == CONTEXTS.rpartition("/")[0]:
        return value
    return {"schema": CONTEXTS, "data": [value] if isinstance(value, Mapping) else value}


def _identified(value: Any, identity: str) -> Any:
    """Return a screen view with ids that are UUIDs: a strict gate takes every id for a record's."""
    if not isinstance(value, Mapping) or value.get("schema") != SCHEMAS["screen_view"]:
        return value
    data = value.get("data")
    if not isinstance(data, Mapping) or all(_UUID.match(str(data.get(key, identity))) for key in _SCREEN_IDS):
        return value
    kept = {key: part for key, part in data.items() if key not in _SCREEN_IDS or _UUID.match(str(part))}
    return {"schema": value["schema"], "data": {"id": identity, **kept}}


def _read(key: str, text: str) -> Any:
    try:
        if key in _JSON:
            # Trackers leave the padding out, and some use the alphabet that addresses cannot hold.
            encoded = text.translate(str.maketrans("+/", "-_"))
            text = b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True).decode()
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def _inside(native: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return every self-describing part: the key of the plain form, the schema and the data."""
    found = []
    for key, value in native.items():
        plain = _JSON.get(key, key)
        if plain not in ("ue_pr", "co") or not isinstance(value, Mapping | list):
            continue
        inner = _enveloped(plain, value)
        data = inner.get("data")
        for part in data if plain == "co" and isinstance(data, list) else [data]:
            is_one = isinstance(part, Mapping)
            found.append((plain, part.get("schema") if is_one else None, part.get("data") if is_one else None))
    return found


def _entities(value: Any) -> list[Mapping[str, Any]]:
    data = _enveloped("co", value)["data"]
    parts = data if isinstance(data, list) else [data]
    return [part for part in parts if isinstance(part, Mapping) and set(part) == {"schema", "data"}]


def _described(native: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    return [(schema, data) for _, schema, data in _inside(native)]


def _wrong(key: str, value: Any) -> str | None:
    """Return what a parameter should have been, in words, or ``None``."""
    if key in ("ue_px", "cx"):
        return f"native {key!r} as base64 of JSON, or {_JSON[key]!r} as a mapping"
    if key in ("ue_pr", "co"):
        return None if isinstance(value, Mapping | list) else f"native {key!r} as a mapping, a list, or JSON of one"
    if key not in KEYS:
        near = get_close_matches(key, KEYS, n=1, cutoff=0.5)
        return f"parameters of its own protocol; it has no {key[:40]!r}" + (f", perhaps {near[0]!r}" if near else "")
    says = _says(key, str(value) if not isinstance(value, bool) else _text(key, value))
    return f"native {key!r} {says}" if says else None


def _says(key: str, text: str) -> str | None:
    """Return the rule that a text breaks, such as ``as a whole number``, or ``None``."""
    if key in _INTEGERS and not re.fullmatch(r"-?[0-9]+", text):
        return "as a whole number" + (" of milliseconds since 1970" if key in ("dtm", "stm", "ttm") else "")
    if key in _DECIMALS:
        try:
            if math.isfinite(float(text)) and "_" not in text:
                return None
        except ValueError:
            pass
        return "as a decimal number"
    if key in _SIZES and not _SIZE.match(text):
        return "as WIDTHxHEIGHT"
    if key in _UUIDS and not _UUID.match(text):
        return "as a UUID with its dashes"
    if key == "p" and text not in PLATFORMS:
        return f"as one of {', '.join(PLATFORMS)}"
    if key in _FLAGS and text not in ("0", "1"):
        return "as 0 or 1"
    if key == "e" and text not in ("pv", "pp", "se", "ue", "tr", "ti", "ad"):
        return "as one of pv, pp, se, ue, tr, ti"
    return None


def _findings(payload: Mapping[str, Any]) -> list[str]:
    found = []
    for key, value in payload.items():
        if key not in KEYS:
            found.append(f"{key[:40]!r} is no parameter of payload_data 1-0-4; it fails the whole request")
        elif not isinstance(value, str):
            found.append(f"{key} is {type(value).__name__}; every value must be text, or the whole request fails")
        else:
            says = _says(key, value)
            if says:
                found.append(f"{key}={value[:40]!r} fails; expected {says.removeprefix('as ')}")
            longest = Snowplow.fields.limits.get(key)
            if longest and len(value) > longest:
                found.append(f"{key} has {len(value)} characters; the limit is {longest}")
    found.extend(f"{key} is missing; the whole request fails" for key in ("tv", "p", "e") if not payload.get(key))
    event = str(payload.get("e"))
    found.extend(
        f"{key} is missing in an event of type {event}" for key in _REQUIRED.get(event, ()) if not payload.get(key)
    )
    if event == "ue" and not (payload.get("ue_px") or payload.get("ue_pr")):
        found.append("a self-describing event has neither ue_px nor ue_pr")
    size = sum(len(key) + len(str(value).encode("utf-8", "replace")) + 6 for key, value in payload.items())
    if size > _LARGEST_EVENT:
        found.append(f"the event has {size} bytes; the smallest sink takes {_LARGEST_EVENT}")
    return found


def _about_envelope(key: str, value: Any) -> list[str]:
    plain = _JSON.get(key, key)
    expected = UNSTRUCT_EVENT if plain == "ue_pr" else CONTEXTS
    if not isinstance(value, dict) or set(value) != {"schema", "data"}:
        return [f"{key} is no envelope of schema and data"]
    found = []
    if str(value["schema"]).rpartition("-")[0].rpartition("-")[0] != expected.rpartition("-")[0].rpartition("-")[0]:
        found.append(f"{key} is wrapped in {str(value['schema'])[:80]!r}; expected {expected}")
    for part in value["data"] if isinstance(value["data"], list) else [value["data"]]:
        schema = part.get("schema") if isinstance(part, dict) else None
        if not isinstance(schema, str) or not _IGLU.match(schema):
            found.append(f"{key} holds the schema {str(schema)[:80]!r}; expected iglu:VENDOR/NAME/jsonschema/1-0-0")
        if isinstance(part, dict) and set(part) != {"schema", "data"}:
            found.append(f"{key} holds something that is no pair of schema and data")
    return found
