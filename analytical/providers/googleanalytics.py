"""Google Analytics by property id: ``UA-…`` speaks Measurement Protocol v1, ``G-…`` speaks GA4 and understands v1 keys.

https://developers.google.com/analytics/devguides/collection/protocol/v1/reference
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from ..backend import (
    DEFAULT_CATEGORY,
    GIF,
    Backend,
    ConfigurationError,
    Decoded,
    Parcel,
    compact,
    cut,
    digest,
    language_tag,
    number,
    option,
    packed,
    parsed,
    quoted,
    text_of,
)
from ..fields import Fields
from ..hit import Hit, Kind
from ..http import Request, Response
from .ga4 import BODY, Ga4

__all__ = ["GoogleAnalytics", "GoogleAnalytics4"]

COLLECT, BATCH, DEBUG = "/collect", "/batch", "/debug/collect"
MOST_HITS, MOST_BYTES, LONGEST_HIT = 20, 16_384, 8_192
LONGEST_QUEUE = 4 * 3600.0

#: Longest values in bytes (parameter reference); numbered keys stand in ``_NUMBERED``.
LONGEST: Mapping[str, int] = MappingProxyType(
    {
        "dr": 2048, "cn": 100, "cs": 100, "cm": 50, "ck": 500, "cc": 500, "ci": 100, "sr": 20, "vp": 20, "de": 20,
        "sd": 20, "ul": 20, "fl": 20, "dl": 2048, "dh": 100, "dp": 2048, "dt": 1500, "cd": 2048, "an": 100,
        "aid": 150, "av": 100, "aiid": 150, "ec": 150, "ea": 500, "el": 500, "ti": 500, "ta": 500, "in": 500,
        "ic": 500, "iv": 500, "cu": 10, "sn": 50, "sa": 50, "st": 2048, "utc": 150, "utv": 500, "utl": 500,
        "exd": 150, "xid": 40,
    }
)  # fmt: skip

#: What each hit type cannot do without, beyond ``v tid t`` and an id of the visitor.
REQUIRED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "screenview": ("cd",),
        "event": ("ec", "ea"),
        "transaction": ("ti",),
        "item": ("ti", "in"),
        "social": ("sn", "sa", "st"),
    }
)

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(
        [
            "v",
            "tid",
            "t",
            "aip",
            "npa",
            "ds",
            "z",
            "sc",
            "geoid",
            "gclid",
            "dclid",
            "vp",
            "de",
            "sd",
            "je",
            "fl",
            "ni",
            "linkid",
            "aid",
            "aiid",
            "utc",
            "cu",
            "exf",
            "xid",
            "xvar",
            "pa",
            "cos",
        ],
        "plain",
    ),
    **dict.fromkeys(
        ["qt", "tr", "ts", "tt", "ip", "iq", "utt", "plt", "dns", "pdt", "rrt", "tcp", "srt", "dit", "clt"], "number"
    ),
    **dict.fromkeys(
        [
            "cn",
            "cs",
            "cm",
            "ck",
            "cc",
            "ci",
            "dh",
            "cd",
            "an",
            "av",
            "ti",
            "ta",
            "in",
            "ic",
            "iv",
            "sn",
            "sa",
            "utv",
            "utl",
            "exd",
            "col",
            "pal",
            "tcc",
            "promoa",
        ],
        "text",
    ),
    "dp": "url",
    "st": "url",
}

_NUMBERED = re.compile(r"(cd|cm|cg)(\d{1,3})\Z", re.ASCII)
_warned = False


@dataclass(frozen=True, kw_only=True)
class GoogleAnalytics(Backend):
    """Universal Analytics, Measurement Protocol v1; Google stopped recording it in 2024, other collectors go on.

    Args:
        aip: send ``aip=1`` with every hit, so that the collector masks addresses itself.
        validate: ask ``/debug/collect`` first, and raise what it finds.
        api_secret: what a ``G-`` id needs; v1 has no secrets, and nothing is done with it here.
    """

    api_secret: str | None = option(secret=True, doc="a GA4 stream's API secret, for G- ids")
    aip: bool = option(False, doc="send aip=1 with every hit")
    validate: bool = option(False, doc="ask the validation server before sending")

    name: ClassVar[str] = "googleanalytics"
    title: ClassVar[str] = "Google Analytics (UA)"
    docs: ClassVar[str] = "https://developers.google.com/analytics/devguides/collection/protocol/v1/reference"
    fields: ClassVar[Fields] = Fields(
        url="dl",
        title="dt",
        referrer="dr",
        client_ip="uip",
        user_agent="ua",
        language="ul",
        client_id="cid",
        user_id="uid",
        screen="sr",
        name="ea",
        category="ec",
        label="el",
        value="ev",
        currency="cu",
        kinds=_KINDS,
        byte_limits=LONGEST,
    )
    kinds: ClassVar[frozenset[str]] = frozenset(
        {"pageview", "screenview", "event", "transaction", "item", "social", "exception", "timing"}
    )
    cannot: ClassVar[frozenset[str]] = frozenset({"session_id", "properties"})
    host: ClassVar[str | None] = "https://www.google-analytics.com"
    paths: ClassVar[tuple[str, ...]] = (COLLECT, BATCH, DEBUG)
    max_batch: ClassVar[int] = MOST_HITS
    max_bytes: ClassVar[int] = MOST_BYTES
    max_age: ClassVar[float | None] = LONGEST_QUEUE
    confirms: ClassVar[bool] = False
    remark: ClassVar[str] = "Google records nothing sent to a UA- property since July 2024; a G- id speaks GA4."

    @classmethod
    def create(cls, id: Any = "", **options: Any) -> Backend:
        """Build the backend that an id stands for: GA4 for ``G-…`` and Firebase ids, v1 for ``UA-…``."""
        text = str(id or "")
        if text.upper().startswith("G-") or text.count(":") == 3:
            return GoogleAnalytics4.create(text, **options)
        if text.upper().startswith("UA-"):
            _warn_once()
        return super().create(text, **options)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.id or (not self.id.upper().startswith("UA-") and self.endpoint is None):
            raise ConfigurationError(
                f"{self.id!r} is no Google Analytics id; expected 'G-XXXXXXX', or 'UA-XXXXXX-Y' with a collector "
                "of your own as endpoint="
            )

        if self.validate and self.address(DEBUG) == self.address():
            raise ConfigurationError(
                f"{self.name}: validate=True needs the validation server's address, and endpoint= names another path; "
                f"give a base address, or a URL that ends in {COLLECT}"
            )

    def missing(self, kind: str, draft: Mapping[str, Any]) -> str | None:
        native = draft.get("native") or {}
        if kind == "pageview":
            if draft.get("url") or (native.get("dh") and native.get("dp")):
                return None
            return "url= (native 'dl'), or 'dh' with 'dp'"
        spelled = {native_key: common for common, native_key in self.fields}
        absent = [
            key
            for key in REQUIRED.get(kind, ())
            if key != "ec" and draft.get(spelled.get(key, ""), native.get(key)) in (None, "")
        ]
        return ", ".join(f"{spelled[key]}= (native {key!r})" if key in spelled else repr(key) for key in absent) or None

    def shortens(self, hit: Hit) -> bool:
        texts = (hit.url, hit.title, hit.referrer, hit.user_agent, hit.client_id, hit.user_id, hit.name, hit.label)
        native = (value for value in (hit.native or {}).values() if type(value) is str)
        # Percent-encoding makes 12 bytes of a character at most; far below the limit nothing has to be written out.
        if 12 * sum(len(text) for text in (*texts, *native) if text) < LONGEST_HIT - 1_024:
            return False
        return sum(len(quoted(key)) + len(quoted(value)) + 2 for key, value in self._pairs(hit, hit.time)) > LONGEST_HIT

    def encode(self, hits: Sequence[Hit], *, now: float) -> list[Parcel]:
        payloads = [self._payload(hit, now) for hit in hits]
        batch = self.address(BATCH)
        # A whole URL that is not .../collect names one end point; a list of hits would not be understood there.
        count = MOST_HITS if batch != self.address() else 1
        parcels = []
        for run in packed([len(payload) for payload in payloads], count=count, size=MOST_BYTES):
            url = batch if len(run) > 1 else self.address()
            body = b"\n".join(payloads[i] for i in run)
            parcels.append(Parcel(Request(url=url, headers=_FORM, body=body), tuple(run)))
        return parcels

    def validate_requests(self, hits: Sequence[Hit], *, now: float) -> list[Request]:
        if not self.validate:
            return []
        return [Request(url=self.address(DEBUG), headers=_FORM, body=self._payload(hit, now)) for hit in hits]

    def findings(self, response: Response) -> list[str]:
        answer = parsed(response.body)
        results = answer.get("hitParsingResult") if isinstance(answer, dict) else None
        return [
            f"{message.get('parameter', 'hit')}: {message.get('description', '')}"
            for result in results or ()
            for message in (result.get("parserMessage") or () if isinstance(result, dict) else ())
            if isinstance(message, dict) and message.get("messageType") != "INFO"
        ]

    def _payload(self, hit: Hit, now: float) -> bytes:
        return _fitting(dict(self._pairs(hit, now)))

    def _pairs(self, hit: Hit, now: float) -> Iterator[tuple[str, str]]:
        native = self.lowered(hit)
        if hit.kind == "event":
            native["ec"] = native.get("ec") or DEFAULT_CATEGORY
        if "ul" in native:
            native["ul"] = cut((language_tag(native["ul"]) or "").lower(), octets=20)
        if "ev" in native:
            value = number(native["ev"])
            # A non-negative integer; anything else would void the hit.
            native["ev"] = int(value) if value is not None and value >= 0 else None
        if not native.get("cid") and not native.get("uid"):
            native["cid"] = _visitor(hit.id)
        if self.aip:
            native["aip"] = 1
        if hit.consent is not None and hit.consent.get("ad_personalization") is not True:
            native.setdefault("npa", 1)
        late = int((now - hit.time) * 1000)
        if late >= 1000:
            native["qt"] = late + int(number(native.get("qt")) or 0)
        yield from (("v", "1"), ("tid", self.id), ("t", hit.kind))
        for key, value in native.items():
            if value is not None and value != "" and key not in ("v", "tid", "t"):
                yield key, compact(value).decode() if isinstance(value, dict | list) else text_of(value)

    # -- what the inspector asks

    @classmethod
    def claims(cls, request: Request) -> bool:
        parts = urlsplit(request.url)
        return parts.path.endswith(cls.paths) and not parts.path.endswith("/mp/collect") and (
            b"tid=" in request.body[:100_000] or "tid=" in parts.query
        )  # fmt: skip

    @classmethod
    def decode(cls, request: Request) -> list[Decoded]:
        parts = urlsplit(request.url)
        batch = parts.path.endswith(BATCH)
        lines = (request.body or parts.query.encode()).split(b"\n") if batch else [request.body or parts.query.encode()]
        lines = [line for line in lines if line.strip()]
        common = []
        if batch and len(lines) > MOST_HITS:
            common.append(f"{len(lines)} hits in one batch; at most {MOST_HITS} are allowed")
        if batch and len(request.body) > MOST_BYTES:
            common.append(f"the batch has {len(request.body)} bytes; at most {MOST_BYTES} are allowed")
        return [cls._decoded(line, common) for line in lines[: 5 * MOST_HITS]]

    @classmethod
    def _decoded(cls, line: bytes, common: Sequence[str]) -> Decoded:
        pairs = dict(parse_qsl(line.decode("utf-8", "replace").strip(), keep_blank_values=True))
        known, rest = cls.fields.lift(pairs)
        kind = pairs.get("t", "")
        found = list(common)
        if len(line) > LONGEST_HIT:
            found.append(f"the hit has {len(line)} bytes; at most {LONGEST_HIT} are allowed")
        if pairs.get("v") != "1":
            found.append("v must be 1")
        if not re.fullmatch(r"UA-[\w]+-[\w]+", pairs.get("tid", ""), re.ASCII):
            found.append("tid must look like UA-XXXX-Y")
        if kind not in cls.kinds:
            found.append(f"t must be one of {', '.join(sorted(cls.kinds))}")
        if not pairs.get("cid") and not pairs.get("uid"):
            found.append("cid or uid is required")
        if kind == "pageview" and not (pairs.get("dl") or (pairs.get("dh") and pairs.get("dp"))):
            found.append("a pageview needs dl, or dh and dp")
        found += [f"a hit of type {kind} needs {key}" for key in REQUIRED.get(kind, ()) if not pairs.get(key)]
        for key, value in pairs.items():
            limit = LONGEST.get(key, 150 if _NUMBERED.match(key) and not key.startswith("cm") else 0)
            if limit and len(value.encode("utf-8", "replace")) > limit:
                found.append(f"{key} has more than {limit} bytes")
        if "ev" in pairs and not re.fullmatch(r"\d+", pairs["ev"], re.ASCII):
            found.append("ev must be a non-negative integer")
        queued = number(pairs.get("qt", 0))
        if queued is None or queued < 0 or queued > LONGEST_QUEUE * 1000:
            found.append("qt must lie between 0 and 14400000 ms")
        if "dp" in pairs and not pairs["dp"].startswith("/"):
            found.append("dp must start with /")
        if known.get("category") == DEFAULT_CATEGORY:
            known.pop("category")
        if "value" in known:
            known["value"] = number(known["value"])
        if "npa" in rest:
            known["consent"] = {"ad_personalization": rest["npa"] != "1"}
        return Decoded(kind=kind or "pageview", fields=known, native=pairs, findings=found)

    @classmethod
    def answer(cls, request: Request, decoded: Sequence[Decoded]) -> Response:
        if not urlsplit(request.url).path.endswith(DEBUG):
            return Response(status=200, headers={"content-type": "image/gif"}, body=GIF)
        results = [
            {
                "valid": not hit.findings,
                "hit": f"{request.method} {DEBUG} HTTP/1.1",
                "parserMessage": [{"messageType": "ERROR", "description": text} for text in hit.findings],
            }
            for hit in decoded
        ]
        return Response(
            status=200, headers={"content-type": "application/json"}, body=compact({"hitParsingResult": results})
        )


#: v1 keys = common names, where GA4 has the same thing.
_V1_COMMON = MappingProxyType({native: common for common, native in GoogleAnalytics.fields})
#: v1 keys = the parameter of GA4's events that says the same.
_V1_PARAMS: Mapping[str, str] = MappingProxyType(
    {
        "cn": "campaign", "cs": "source", "cm": "medium", "ck": "term", "cc": "content", "ci": "campaign_id",
        "cd": "screen_name", "an": "app_name", "av": "app_version", "aid": "app_id", "linkid": "link_id",
        "ti": "transaction_id", "ta": "affiliation", "tr": "value", "ts": "shipping", "tt": "tax", "tcc": "coupon",
        "sn": "method", "sa": "content_type", "st": "item_id", "exd": "description", "exf": "fatal",
        "utc": "event_category", "utv": "timing_variable", "utt": "value", "utl": "event_label", "vp": "viewport_size",
    }
)  # fmt: skip
#: v1 keys of the transport, and of browsers that no longer exist; GA4 has no place for them.
_V1_GONE = frozenset({"v", "tid", "t", "z", "aip", "ds", "de", "je", "fl", "sd", "geoid", "sc", "ni", "qt"})
_V1_EVENTS: Mapping[str, str] = MappingProxyType(
    {
        "screenview": "screen_view",
        "transaction": "purchase",
        "item": "view_item",
        "social": "share",
        "exception": "exception",
        "timing": "timing_complete",
    }
)


#: v1's product actions = the event that says the same.
_V1_ACTIONS: Mapping[str, str] = MappingProxyType(
    {
        "detail": "view_item",
        "click": "select_item",
        "add": "add_to_cart",
        "remove": "remove_from_cart",
        "checkout": "begin_checkout",
        "purchase": "purchase",
        "refund": "refund",
    }
)
#: A product's keys, ``pr1id`` …, = an item's.
_PRODUCT = re.compile(r"pr(\d{1,3})(id|nm|br|ca|va|pr|qt|cc|ps)\Z", re.ASCII)
_V1_PRODUCT: Mapping[str, str] = MappingProxyType(
    {
        "id": "item_id",
        "nm": "item_name",
        "br": "item_brand",
        "ca": "item_category",
        "va": "item_variant",
        "pr": "price",
        "qt": "quantity",
        "cc": "coupon",
        "ps": "index",
    }
)


_GA4_COMMON: Any = dict(Ga4.fields.common)


@dataclass(frozen=True, kw_only=True)
class GoogleAnalytics4(Ga4):
    """GA4 under its old name: everything of :class:`Ga4`, and the keys of Measurement Protocol v1 are understood."""

    name: ClassVar[str] = "googleanalytics"
    kinds: ClassVar[frozenset[str]] = GoogleAnalytics.kinds
    fields: ClassVar[Fields] = Fields(
        **_GA4_COMMON,
        kinds={**_KINDS, **dict(Ga4.fields.kinds)},
        limits=Ga4.fields.limits,
    )

    def lift(self, native: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        known, rest = self.fields.lift({key: value for key, value in native.items() if key not in _V1_COMMON})
        known.update((_V1_COMMON[key], value) for key, value in native.items() if key in _V1_COMMON)
        return known, rest

    def keeps(self, name: str) -> bool:
        return False  # v1 knew no reserved names: an action such as "error" is renamed by encode

    def missing(self, kind: str, draft: Mapping[str, Any]) -> str | None:
        native = draft.get("native") or {}
        if kind == "pageview" and native.get("dh") and native.get("dp"):
            return None
        lacking = super().missing(kind, draft)
        return (
            lacking.replace("(native", "(v1 'ea', native" if kind == "event" else "(v1 'dl', native")
            if lacking
            else None
        )

    def lowered(self, hit: Hit) -> dict[str, Any]:
        native = super().lowered(hit)
        out: dict[str, Any] = {}
        host, path = native.pop("dh", None), native.pop("dp", None)
        if path and "page_location" not in native:
            out["page_location"] = f"https://{host}{path}" if host else path
        if str(native.pop("npa", "0")) in ("1", "true", "True"):
            out["consent"] = {"ad_personalization": "DENIED"}
        if hit.kind in _V1_EVENTS:
            out["name"] = _V1_EVENTS[hit.kind]
        if hit.kind == "screenview" and ":" not in self.id:
            # Only streams of apps have screens; on the web a screen is a page of that title.
            out |= {"name": "page_view", "page_title": native.get("cd")}
        queued = number(native.get("qt"))
        if queued is not None and queued > 0:
            out["timestamp_micros"] = int(hit.time * 1_000_000 - queued * 1000)
        if hit.kind == "event" and native.get("pa") in _V1_ACTIONS:
            out["name"] = _V1_ACTIONS[native.pop("pa")]
        items = _items(native)
        if items:
            out["items"] = items
        for key, value in native.items():
            if key not in _V1_GONE or key in BODY:
                out.setdefault(_V1_PARAMS.get(key, key) if key != "value" else key, value)
        for key in ("value", "tax", "shipping"):
            if key in out:
                out[key] = number(out[key])
        return out


_FORM = MappingProxyType({"Content-Type": "application/x-www-form-urlencoded"})


def _visitor(identity: str) -> str:
    """Return a hit's id as a visitor's: the protocol recommends a UUID of version 4, which says nothing of the time."""
    if len(identity) != 36 or identity[14] == "4":
        return identity
    text = digest(identity, size=16)
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:]}"


def _items(native: dict[str, Any]) -> list[dict[str, Any]]:
    """Take v1's item and products out of native keys, and return them as GA4's items, in the order of their numbers."""
    spelled = {"in": "item_name", "ic": "item_id", "iv": "item_category", "ip": "price", "iq": "quantity"}
    found: dict[int, dict[str, Any]] = {}
    for key in tuple(native):
        product = _PRODUCT.match(key)
        if key in spelled:
            found.setdefault(0, {})[spelled[key]] = native.pop(key)
        elif product:
            found.setdefault(int(product[1]), {})[_V1_PRODUCT[product[2]]] = native.pop(key)
    for item in found.values():
        for key in ("price", "quantity", "index"):
            if key in item:
                item[key] = number(item[key])
    return [found[position] for position in sorted(found)]


def _fitting(pairs: dict[str, str]) -> bytes:
    """Return the payload in at most 8192 bytes; the longest values give way, since percent-encoding triples them."""
    # Keys, too: a line break in one would be the next hit of a batch.
    written = {quoted(key): quoted(value) for key, value in pairs.items()}
    payload = "&".join([f"{key}={value}" for key, value in written.items()])
    if len(payload) > LONGEST_HIT:
        values = dict(zip(written, pairs.values(), strict=True))
        while (size := sum(len(key) + len(value) + 2 for key, value in written.items()) - 1) > LONGEST_HIT:
            longest = max(written, key=lambda key: len(written[key]))
            keep = len(values[longest]) - max(1, (size - LONGEST_HIT) // 9)
            values[longest] = values[longest][: max(0, min(keep, LONGEST_HIT))]
            written[longest] = quoted(values[longest])
        payload = "&".join([f"{key}={value}" for key, value in written.items()])
    return payload.encode("ascii")


#: What release 0.0.1 kept in this module; it lives elsewhere now, and is imported when asked for.
_MOVED = MappingProxyType(
    {
        "Provider": "analytical.compat.googleanalytics:Provider",
        "generate_client_id": "analytical.privacy.visitor:generate_client_id",
    }
)


def __getattr__(name: str) -> Any:
    if name not in _MOVED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _MOVED[name].partition(":")
    return getattr(import_module(module), attribute)


def _warn_once() -> None:
    global _warned  # noqa: PLW0603 - once a process, as the warning itself says nothing new the second time
    if not _warned:
        _warned = True
        # The line to look at is the first one outside this package.
        frame, level = sys._getframe(1), 2
        while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("analytical."):
            frame, level = frame.f_back, level + 1
        warnings.warn(
            "Google stopped recording hits to UA- properties in July 2024; nothing sent there is kept. "
            "Create a GA4 property and use its G- id: the keys of Measurement Protocol v1 keep working.",
            UserWarning,
            stacklevel=level,
        )
