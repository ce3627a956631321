"""Matomo (once Piwik), Tracking HTTP API: single requests and bulk.

https://developer.matomo.org/api-reference/tracking-api
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from ..backend import (
    DEFAULT_CATEGORY,
    GIF,
    Backend,
    ConfigurationError,
    Decoded,
    Parcel,
    compact,
    digest,
    number,
    option,
    packed,
    parsed,
    quoted,
    text_of,
)
from ..fields import Fields
from ..hit import Hit
from ..http import Request, Response
from ..verdict import DELIVERED, UNCONFIRMED, Verdict, rejected, retry

__all__ = ["Matomo"]

#: Parameters that lose the whole request unless a token with write access comes with them.
NEEDS_TOKEN = frozenset({"cip", "country", "region", "city", "lat", "long"})
#: Seconds back to which a hit may be dated without a token; the server's limit is a day, its clock is its own.
FREE_BACKDATING = 86_000.0

#: Where the server cuts texts by bytes, blind to characters. A character cut in two is an error of the database,
#: which loses the request, and in bulk every other hit with it (measured on 5.2).
CUT_BY_BYTES: Mapping[str, int] = MappingProxyType(
    {"action_name": 1024, "url": 1024, "urlref": 1024, "search": 1024, "search_cat": 200, "pv_id": 6}
)

#: What a kind cannot do without, by native key.
REQUIRED: Mapping[str, str] = MappingProxyType(
    {"search": "search", "download": "download", "link": "link", "content": "c_n", "goal": "idgoal", "order": "ec_id"}
)

#: Characters of a custom dimension that are kept (measured on 5.2).
LONGEST_DIMENSION = 250

_DIMENSION = re.compile(r"dimension\d{1,3}\Z", re.ASCII)
_CID = re.compile(r"[0-9a-fA-F]{16}\Z", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Matomo(Backend):
    """Matomo, one site of it.

    Args:
        token_auth: of a user with write access to the site; needed for the visitor's address, for places, and for
            hits older than a day. It stands in the body only.
        post_only: the token was made for POST requests only (Matomo's own default). Matomo before 5.4 does not
            take such a token in bulk, so what needs it is then sent one by one.
    """

    token_auth: str | None = option(secret=True, doc="a token with write access to the site")
    post_only: bool = option(False, doc="the token is for POST requests only")

    name: ClassVar[str] = "matomo"
    title: ClassVar[str] = "Matomo"
    docs: ClassVar[str] = "https://developer.matomo.org/api-reference/tracking-api"
    fields: ClassVar[Fields] = Fields(
        url="url",
        title="action_name",
        referrer="urlref",
        client_ip="cip",
        user_agent="ua",
        language="lang",
        client_id="cid",
        user_id="uid",
        screen="res",
        name="e_a",
        category="e_c",
        label="e_n",
        value="e_v",
        kinds={
            **dict.fromkeys(
                ("idsite", "rec", "apiv", "rand", "send_image", "bots", "queuedtracking", "dp", "debug"), "plain"
            ),
            **dict.fromkeys(("h", "m", "s", "cookie", "new_visit", "ca", "ping", "cs", "idgoal"), "plain"),
            **dict.fromkeys(("fla", "java", "qt", "realp", "pdf", "wma", "ag"), "plain"),
            **dict.fromkeys(("pf_net", "pf_srv", "pf_tfr", "pf_dm1", "pf_dm2", "pf_onl", "_refts"), "number"),
            **dict.fromkeys(("revenue", "ec_st", "ec_tx", "ec_sh", "ec_dt", "_pkp", "search_count"), "number"),
            **dict.fromkeys(("link", "download", "c_t", "_ref", "cra_ru"), "url"),
            **dict.fromkeys(("search", "search_cat", "c_n", "c_p", "c_i", "ec_id", "_rcn", "_rck"), "text"),
            **dict.fromkeys(("_pks", "_pkn", "_pkc", "cra", "cra_st", "cra_ct", "cra_tp"), "text"),
            **dict.fromkeys(("_cvar", "cvar", "ec_items", "uadata"), "properties"),
            **dict.fromkeys(("country", "region", "city"), "text"),
            **dict.fromkeys(("lat", "long"), "number"),
            **dict.fromkeys(("cdt", "cdo", "cra_rl", "cra_rc"), "plain"),
            "_id": "client_id",
            "pv_id": "client_id",
            "token_auth": "plain",
        },
        limits={"user_id": 200, "name": 1024, "category": 1024, "label": 1024, "ec_id": 100},
        byte_limits=CUT_BY_BYTES,
    )
    kinds: ClassVar[frozenset[str]] = frozenset({"pageview", "event", "ping", "cart", *REQUIRED})
    cannot: ClassVar[frozenset[str]] = frozenset({"session_id", "currency", "properties", "consent"})
    paths: ClassVar[tuple[str, ...]] = ("/matomo.php", "/piwik.php")
    max_batch: ClassVar[int] = 200
    max_bytes: ClassVar[int] = 1_000_000
    remark: ClassVar[str] = (
        "The visitor's address needs token_auth. A bulk answer is trusted only where tracked and invalid add up."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.id.isdecimal() or int(self.id) < 1:
            raise ConfigurationError(f"{self.id!r} is no Matomo site id; expected a number such as 1")
        if not self.token_auth:
            # Older hits would be refused, so they expire here, where that is counted.
            object.__setattr__(self, "max_age", FREE_BACKDATING)

    def missing(self, kind: str, draft: Mapping[str, Any]) -> str | None:
        native = draft.get("native") or {}
        if kind == "pageview" and not (draft.get("url") or draft.get("title")):
            return "url=, or title= (native 'action_name')"
        if kind == "event":
            return super().missing(kind, draft)
        needed = REQUIRED.get(kind)
        return repr(needed) if needed and native.get(needed) in (None, "") else None

    def shortens(self, hit: Hit) -> bool:
        return any(
            isinstance(value, str) and len(value) > LONGEST_DIMENSION and _DIMENSION.match(key)
            for key, value in (hit.native or {}).items()
        )

    def lane(self, hit: Hit) -> str | None:
        """Return the visitor: Matomo splits the visit of one whose hits come in two requests at once."""
        if hit.user_id:
            return f"uid:{hit.user_id}"
        if hit.client_id:
            return f"cid:{hit.client_id}"
        return f"at:{hit.client_ip or ''}:{hit.user_agent or ''}"

    def encode(self, hits: Sequence[Hit], *, now: float) -> list[Parcel]:
        written = [self._written(hit, now) for hit in hits]
        alone = [i for i, native in enumerate(written) if self.post_only and _needs_token(native, now)]
        together = [i for i in range(len(hits)) if i not in set(alone)]
        if len(together) == 1:
            alone, together = sorted(alone + together), []
        items = [f"?{_query(written[i])}" for i in together]
        parcels = [self._single(written[i], i, now) for i in alone]
        sizes = [len(item) + 2 for item in items]
        for run in packed(sizes, count=self.max_batch, size=self.max_bytes, overhead=100):
            body: dict[str, Any] = {"requests": [items[k] for k in run]}
            if self.token_auth and not self.post_only:
                # Also where no hit needs it: a super user's token makes the answer name the invalid hits.
                body["token_auth"] = self.token_auth
            request = Request(
                url=self.address(),
                headers={"Content-Type": "application/json"},
                body=compact(body),
                secrets=self._secrets(),
            )
            parcels.append(Parcel(request, tuple(together[k] for k in run)))
        return sorted(parcels, key=lambda parcel: parcel.hits)

    def interpret(self, response: Response, hits: Sequence[Hit], *, now: float) -> list[Verdict]:
        answer = parsed(response.body) if response.body[:1] == b"{" else None
        if isinstance(answer, dict) and "tracked" in answer:
            return self._of_bulk(response, answer, hits, now)
        if response.ok and len(hits) > 1:
            # Bulk always answers in JSON; a proxy's page says nothing of the hits.
            return [UNCONFIRMED._replace(reason="unreadable answer")] * len(hits)
        if response.status in (401, 403):
            return [retry(reason=f"http {response.status}", attempts=3, stop=True)] * len(hits)
        if response.status == 400:
            # Also the answer to a database that is down, so not yet the hit's own fault. After 21 wrong tokens
            # the server locks this host out, so a token that may have been refused is not tried at once.
            return [retry(reason="http 400", attempts=3, stop=self._uses_token(hit, now)) for hit in hits]
        return [self.by_status(response, now=now)] * len(hits)

    def _of_bulk(self, response: Response, answer: Mapping[str, Any], hits: Sequence[Hit], now: float) -> list[Verdict]:
        if not response.ok:
            # 500 is the server's own failure (the database, mostly): it rolled everything back, whatever it counts.
            limit = None if response.status >= 500 else 3
            return [retry(reason=f"http {response.status}", attempts=limit)] * len(hits)
        tracked, invalid = answer.get("tracked"), answer.get("invalid")
        named = answer.get("invalid_indices")
        if tracked == invalid == 0:
            # Tracking is switched off, or every row was locked: nothing was stored, so nothing can be counted twice.
            return [retry(reason="nothing was tracked", attempts=3)] * len(hits)
        if not isinstance(tracked, int) or not isinstance(invalid, int) or tracked + invalid != len(hits):
            return [UNCONFIRMED._replace(reason="tracked and invalid do not add up")] * len(hits)
        if invalid == 0:
            return [DELIVERED] * len(hits)
        if isinstance(named, list) and len(set(named)) == invalid:
            return [rejected("invalid") if i in named else DELIVERED for i in range(len(hits))]
        if tracked == 0:
            if all(self._uses_token(hit, now) for hit in hits):
                # Nothing but a refused token makes every one of them invalid; trying on would lock this host out.
                return [retry(reason="token refused?", attempts=3, stop=True)] * len(hits)
            return [rejected("invalid")] * len(hits)
        # As many invalid as need the token: it may have been refused, and trying on would lock this host out.
        suspect = invalid == sum(self._uses_token(hit, now) for hit in hits)
        return [UNCONFIRMED._replace(reason="invalid, and which is not said", stop=suspect)] * len(hits)

    def probe(self) -> Request | None:
        # Everything but the token in the query: errors raised before dispatch are JSON only then (measured).
        query = {"module": "API", "method": "SitesManager.getSiteFromId", "idSite": self.id, "format": "JSON"}
        address = self.address("/index.php")
        return Request(
            url=f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(query)}",
            headers=_FORM,
            body=urlencode({"token_auth": self.token_auth or "anonymous"}).encode(),
            secrets=self._secrets(),
        )

    def probed(self, response: Response) -> str | None:
        answer = parsed(response.body)
        if isinstance(answer, dict) and answer.get("result") == "error":
            return str(answer.get("message", "refused"))[:200]
        return super().probed(response)

    def _written(self, hit: Hit, now: float) -> dict[str, Any]:
        native = self.fields.fitted(self.fields.lower(hit))
        for key, limit in CUT_BY_BYTES.items():
            if isinstance(native.get(key), str):
                native[key] = _fitting(native[key], limit)
        native.pop("token_auth", None)
        for key in hit.native or ():
            if _DIMENSION.match(key) and isinstance(native.get(key), str):
                native[key] = native[key][:LONGEST_DIMENSION]
        if hit.bot:
            # bots=1: the server records what its own detector takes for a robot. recMode=1: newer servers (UNVERIFIED)
            # file it under robots rather than visits.
            native.setdefault("bots", 1)
            native.setdefault("recMode", 1)
        if hit.kind == "event":
            # An empty category or action would be counted as a page view.
            native["e_c"] = _unblank(native.get("e_c"))
            native["e_a"] = _unblank(native.get("e_a"))
        if native.get("e_v") is not None:
            native["e_v"] = number(native["e_v"])
        if hit.kind == "ping":
            native.setdefault("ping", 1)
        if hit.kind in ("order", "cart"):
            native.setdefault("idgoal", 0)
        cid = native.get("cid")
        if cid is not None:
            # Only the length is checked: other ids of 16 characters would all become one visitor.
            native["cid"] = str(cid).lower() if _CID.match(str(cid)) else digest(str(cid))
        if now - hit.time >= 1 and "cdt" not in native:
            native["cdt"] = int(hit.time)
        if not self.token_auth:
            if not native.get("cid") and not native.get("uid") and native.get("cip"):
                # The address cannot be said, and without one all visitors with one browser become one visit. What
                # Matomo makes of address and browser itself, an id for a day, is made here instead.
                day = str(int(hit.time // 86_400))
                native["cid"] = digest(self.id, str(native["cip"]), str(native.get("ua", "")), day)
            for key in NEEDS_TOKEN:
                native.pop(key, None)
        return {**native, "idsite": self.id, "rec": 1, "apiv": 1}

    def _single(self, native: dict[str, Any], position: int, now: float) -> Parcel:
        secrets: tuple[str, ...] = ()
        if self.token_auth and _needs_token(native, now):
            native = {**native, "token_auth": self.token_auth}
            secrets = self._secrets()
        body = _query(native).encode("ascii")
        return Parcel(Request(url=self.address(), headers=_FORM, body=body, secrets=secrets), (position,))

    def _uses_token(self, hit: Hit, now: float) -> bool:
        return bool(self.token_auth) and _needs_token(self._written(hit, now), now)

    def _secrets(self) -> tuple[str, ...]:
        return (self.token_auth,) if self.token_auth else ()

    # -- what the inspector asks

    @classmethod
    def claims(cls, request: Request) -> bool:
        return urlsplit(request.url).path.rstrip("/").endswith(cls.paths)

    @classmethod
    def decode(cls, request: Request) -> list[Decoded]:
        query = dict(parse_qsl(urlsplit(request.url).query, keep_blank_values=True))
        common = ["token_auth in the address ends in logs; it belongs in the body"] if "token_auth" in query else []
        if request.body.find(b'"requests"') < 1:
            pairs = {**query, **dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))}
            return [cls._decoded(pairs, bool(pairs.get("token_auth")), common)]
        body = parsed(request.body)
        items = body.get("requests") if isinstance(body, dict) else None
        if not isinstance(items, list):
            return [Decoded(kind="pageview", findings=["requests must be a list; nothing of this is counted"])]
        trusted = bool(body.get("token_auth"))
        return [cls._item(item, trusted, common) for item in items[:5_000]]

    @classmethod
    def _item(cls, item: Any, trusted: bool, common: Sequence[str]) -> Decoded:
        if isinstance(item, str):
            mark = item.find("?")
            if mark < 0:
                return Decoded(
                    kind="pageview", findings=[*common, "a string without '?' is dropped: neither tracked nor invalid"]
                )
            item = dict(parse_qsl(item[mark + 1 :], keep_blank_values=True))
        if not isinstance(item, dict):
            return Decoded(kind="pageview", findings=[*common, "an item is a query string or an object"])
        return cls._decoded({str(key): value for key, value in item.items()}, trusted, common)

    @classmethod
    def _decoded(cls, pairs: Mapping[str, Any], trusted: bool, common: Sequence[str]) -> Decoded:
        native = {key: text_of(value) if not isinstance(value, dict | list) else value for key, value in pairs.items()}
        trusted = bool(native.pop("token_auth", None)) or trusted
        known, _ = cls.fields.lift(native)
        kind = _kind_of(native)
        if known.get("category") == DEFAULT_CATEGORY:
            known.pop("category")
        if "value" in known:
            known["value"] = number(known["value"])
        return Decoded(kind=kind, fields=known, native=native, findings=[*common, *_findings(native, kind, trusted)])

    @classmethod
    def answer(cls, request: Request, decoded: Sequence[Decoded]) -> Response:
        counted = [hit for hit in decoded if not any("dropped" in finding for finding in hit.findings)]
        bad = [any(finding.endswith("(400)") for finding in hit.findings) for hit in counted]
        if request.body.find(b'"requests"') < 1:
            if any(bad):
                return Response(status=400, headers={"content-type": "image/gif"}, body=GIF)
            native = decoded[0].native if decoded else {}
            if native.get("send_image") == "0":
                return Response(status=204)
            return Response(status=200, headers={"content-type": "image/gif"}, body=GIF)
        body = parsed(request.body)
        if not isinstance(body, dict) or not isinstance(body.get("requests"), list):
            counted, bad = [], []
        elif str(body.get("send_image", "")) == "0" and body.get("send_image") is not False:
            return Response(status=204)
        report: dict[str, Any] = {"status": "success", "tracked": len(counted) - sum(bad), "invalid": sum(bad)}
        if isinstance(body, dict) and body.get("token_auth"):
            report["invalid_indices"] = [i for i, wrong in enumerate(bad) if wrong]
        return Response(status=200, headers={"content-type": "application/json"}, body=compact(report))

    @classmethod
    def answer_probe(cls, request: Request) -> Response | None:
        query = dict(parse_qsl(urlsplit(request.url).query))
        if query.get("module") != "API" or query.get("method") != "SitesManager.getSiteFromId":
            return None
        site = {"idsite": query.get("idSite", ""), "name": "Inspector"}
        return Response(status=200, headers={"content-type": "application/json"}, body=compact(site))


_FORM = MappingProxyType({"Content-Type": "application/x-www-form-urlencoded"})


def _query(native: Mapping[str, Any]) -> str:
    pairs = []
    for key, value in native.items():
        if value is not None and value != "":
            text = value if type(value) is str else _text(value)
            pairs.append(f"{quoted(key)}={quoted(text)}")
    return "&".join(pairs)


def _text(value: Any) -> str:
    return compact(value).decode() if isinstance(value, dict | list) else text_of(value)


def _needs_token(native: Mapping[str, Any], now: float) -> bool:
    if not NEEDS_TOKEN.isdisjoint(native):
        return True
    if "cdt" not in native:
        return False
    stamp = number(native["cdt"])
    return stamp is None or now - stamp > FREE_BACKDATING


def _fitting(text: str, limit: int) -> str:
    """Return a text that stays within ``limit`` bytes when the server has escaped it for HTML, as it does first."""
    if len(text) * 6 <= limit or len(escape(text).encode("utf-8", "replace")) <= limit:
        return text
    left = limit
    for position, character in enumerate(text):
        left -= len(escape(character).encode("utf-8", "replace"))
        if left < 0:
            return text[:position]
    return text


def _unblank(value: Any) -> Any:
    return value if value is not None and str(value).strip() else DEFAULT_CATEGORY


def _kind_of(native: Mapping[str, Any]) -> str:
    if native.get("e_c") and native.get("e_a"):
        return "event"
    for kind, key in REQUIRED.items():
        if native.get(key) and not (kind == "goal" and native.get("idgoal") == "0"):
            return kind
    if native.get("ping"):
        return "ping"
    return "cart" if native.get("idgoal") == "0" else "pageview"


def _findings(native: Mapping[str, Any], kind: str, trusted: bool) -> list[str]:
    found = []
    if not str(native.get("idsite", "")).isdecimal() or int(native["idsite"]) < 1:
        found.append("idsite must be the number of a site (400)")
    if native.get("rec") != "1":
        found.append("rec=1 is missing: nothing is recorded")
    cid = str(native.get("cid", ""))
    if cid and len(cid) != 16:
        found.append("cid must have 16 characters (400)")
    elif cid and not _CID.match(cid):
        found.append("cid must be hexadecimal: all others become one visitor")
    wanting = sorted(NEEDS_TOKEN & set(native))
    if wanting and not trusted:
        found.append(f"{', '.join(wanting)} without token_auth (400)")
    if "e_c" in native or "e_a" in native:
        blank = [key for key in ("e_c", "e_a") if not str(native.get(key, "")).strip()]
        found += [f"an event needs {key}; without it a page view is counted" for key in blank]
    if "e_v" in native and number(native["e_v"]) is None:
        found.append("e_v must be a number")
    for key, limit in CUT_BY_BYTES.items():
        if len(str(native.get(key, "")).encode("utf-8", "replace")) > limit:
            found.append(f"{key} is cut at {limit} bytes, which can break a character and lose the request")
    if len(str(native.get("uid", ""))) > 200:
        found.append("uid is cut at 200 characters")
    if kind == "pageview" and not (native.get("url") or native.get("action_name")):
        found.append("a page view needs url or action_name")
    return found
