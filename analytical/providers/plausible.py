"""Plausible, Events API: one event a request, no time but the moment of receipt.

https://plausible.io/docs/events-api
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
    cut,
    folded,
    header,
    header_text,
    names_robot,
    number,
    option,
    parsed,
    text_of,
    unfolded,
)
from ..fields import Fields
from ..hit import Hit
from ..http import Request, Response
from ..verdict import Verdict, rejected

__all__ = ["Plausible"]

#: Properties of an event, and bytes of one's name and value; more than these are dropped or refused.
MOST_PROPS, LONGEST_KEY, LONGEST_PROP = 30, 300, 2000
_FOLDED = ("category", "label")
_ROBOT = "the browser names a robot: the hit is dropped"
_KEPT = ("pageview", "engagement")


@dataclass(frozen=True, kw_only=True)
class Plausible(Backend):
    """Plausible, hosted or your own. The id is the site's domain, or several separated by commas.

    Args:
        hash_mode: count the fragment as part of the page, for sites routed by it.
    """

    hash_mode: bool = option(False, doc="count #fragments as pages")

    name: ClassVar[str] = "plausible"
    title: ClassVar[str] = "Plausible"
    docs: ClassVar[str] = "https://plausible.io/docs/events-api"
    fields: ClassVar[Fields] = Fields(
        name="name",
        url="url",
        referrer="referrer",
        properties="props",
        client_ip="X-Forwarded-For",
        user_agent="User-Agent",
        kinds={
            "domain": "plain",
            "revenue": "properties",
            "interactive": "plain",
            "hashMode": "plain",
            "v": "plain",
            "scroll_depth": "number",
        },
        limits={"name": 120},
        byte_limits={"url": 2000, "referrer": 2000, "category": LONGEST_PROP, "label": LONGEST_PROP},
    )
    cannot: ClassVar[frozenset[str]] = frozenset(
        {"title", "language", "client_id", "user_id", "session_id", "screen", "consent"}
    )
    host: ClassVar[str | None] = "https://plausible.io"
    paths: ClassVar[tuple[str, ...]] = ("/api/event",)
    most_properties: ClassVar[int] = MOST_PROPS
    # Events are dated at receipt, so a late one would be counted in the wrong hour, or as another day's visitor.
    max_age: ClassVar[float | None] = 300.0
    remark: ClassVar[str] = "Cannot be back-dated; needs the visitor's browser and address, and drops robots at 202."

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.id.strip():
            raise ConfigurationError("plausible needs the site's domain as its id, such as 'example.com'")

    def keeps(self, name: str) -> bool:
        return name in _KEPT

    def shortens(self, hit: Hit) -> bool:
        return super().shortens(hit) or any(
            len(str(key).encode("utf-8", "replace")) > LONGEST_KEY
            or (isinstance(value, str) and len(value) * 4 > LONGEST_PROP < len(value.encode("utf-8", "replace")))
            for key, value in (hit.properties or {}).items()
        )

    def encode(self, hits: Sequence[Hit], *, now: float) -> list[Parcel]:
        return [Parcel(self._request(hit), (position,)) for position, hit in enumerate(hits)]

    def interpret(self, response: Response, hits: Sequence[Hit], *, now: float) -> list[Verdict]:
        dropped = response.headers.get("x-plausible-dropped")
        if response.ok and dropped is not None and dropped.strip() not in ("", "0"):
            # A robot, an address of a data centre, a domain nobody registered, a shield: 202 all the same.
            return [rejected("dropped by plausible")] * len(hits)
        return super().interpret(response, hits, now=now)

    def probe(self) -> Request | None:
        # Answers with the address it saw, and stores nothing.
        page = {"name": "pageview", "url": self._home(), "domain": self.id}
        headers = {"Content-Type": "application/json", "User-Agent": NO_BROWSER, "X-Debug-Request": "true"}
        return Request(url=self.address(), headers=headers, body=compact(page))

    def _home(self) -> str:
        return f"https://{self.id.split(',')[0].strip()}/"

    def _request(self, hit: Hit) -> Request:
        native = self.lowered(hit)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": header_text(native.pop("User-Agent", None)) or NO_BROWSER,
        }
        address = header_text(native.pop("X-Forwarded-For", None))
        if address:
            headers["X-Forwarded-For"] = address
        props = native.pop("props", None)
        props = {**(props if isinstance(props, dict) else {})}
        value = number(hit.value)
        if hit.currency and value is not None:
            native.setdefault("revenue", {"currency": hit.currency, "amount": text_of(hit.value)})
        else:
            props = {**folded(hit, "value", "currency"), **props}
        props = {**{name: getattr(hit, name) for name in _FOLDED if getattr(hit, name) is not None}, **props}
        native["name"] = native.get("name") if hit.kind == "event" else "pageview"
        native.setdefault("url", self._home())
        native.setdefault("domain", self.id)
        if self.hash_mode:
            native.setdefault("hashMode", 1)
        if props:
            native["props"] = _props(props)
        return Request(url=self.address(), headers=headers, body=compact(native))

    # -- what the inspector asks

    @classmethod
    def decode(cls, request: Request) -> list[Decoded]:
        body = parsed(request.body)
        if not isinstance(body, dict):
            return [Decoded(kind="pageview", findings=["request: the body is no JSON object (400)"])]
        short = {"n": "name", "u": "url", "d": "domain", "r": "referrer", "p": "props", "m": "props", "$": "revenue"}
        native: dict[str, Any] = {short.get(str(key)) or str(key): value for key, value in body.items()}
        for name in ("User-Agent", "X-Forwarded-For"):
            if header(request, name):
                native[name] = header(request, name)
        known, _ = cls.fields.lift(native)
        props = known.pop("properties", None)
        if isinstance(props, dict):
            known.update(unfolded(props, *_FOLDED, "value", "currency"))
        revenue = native.get("revenue")
        if isinstance(revenue, dict):
            known |= {"value": number(revenue.get("amount")), "currency": revenue.get("currency")}
        kind = "pageview" if native.get("name") == "pageview" else "event"
        if kind == "pageview":
            known.pop("name", None)
        return [Decoded(kind=kind, fields=known, native=native, findings=_findings(native))]

    @classmethod
    def answer(cls, request: Request, decoded: Sequence[Decoded]) -> Response:
        errors = {
            finding.split(" ", 1)[0].rstrip(":"): [finding]
            for hit in decoded
            for finding in hit.findings
            if finding.endswith("(400)")
        }
        if errors:
            return Response(status=400, headers={"content-type": "application/json"}, body=compact({"errors": errors}))
        answered = {"content-type": "text/plain"}
        if any(_ROBOT in hit.findings for hit in decoded):
            answered["x-plausible-dropped"] = "1"
        return Response(status=202, headers=answered, body=b"ok")

    @classmethod
    def answer_probe(cls, request: Request) -> Response | None:
        if not cls.claims(request) or header(request, "X-Debug-Request") != "true":
            return None
        return Response(status=200, headers={"content-type": "text/plain"}, body=b"127.0.0.1")


def _props(props: Mapping[str, Any]) -> dict[str, Any]:
    """Return properties the platform keeps: at most 30 scalars; what is nested becomes JSON, as lists are dropped."""
    out: dict[str, Any] = {}
    for key, value in list(props.items())[:MOST_PROPS]:
        plain = compact(value).decode() if isinstance(value, dict | list) else value
        out[cut(str(key), octets=LONGEST_KEY)] = cut(plain, octets=LONGEST_PROP) if isinstance(plain, str) else plain
    return out


def _findings(native: Mapping[str, Any]) -> list[str]:
    found = []
    called, url = native.get("name"), native.get("url")
    if not called:
        found.append("name is required (400)")
    elif len(str(called)) > 120:
        found.append("name has more than 120 characters (400)")
    if not url:
        found.append("url is required (400)")
    elif len(str(url).encode("utf-8", "replace")) > 2000:
        found.append("url has more than 2000 bytes (400)")
    elif not urlsplit(str(url)).netloc:
        found.append("url has no host: the page is filed under (none)")
    if not native.get("domain"):
        found.append("domain is required")
    if not native.get("User-Agent"):
        found.append("the User-Agent header is required")
    elif names_robot(str(native["User-Agent"])):
        found.append(_ROBOT)
    props = native.get("props")
    if isinstance(props, dict):
        if len(props) > MOST_PROPS:
            found.append(f"props has {len(props)} pairs; at most {MOST_PROPS} are kept")
        for key, value in props.items():
            if isinstance(value, dict | list):
                found.append(f"props: {key[:60]!r} is nested and will be lost")
            if len(key.encode("utf-8", "replace")) > 300:
                found.append("props: a key has more than 300 bytes (400)")
            if len(str(value).encode("utf-8", "replace")) > 2000:
                found.append(f"props: {key[:60]!r} has more than 2000 bytes (400)")
    elif props is not None:
        found.append("props must be an object")
    return found
