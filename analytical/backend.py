"""What a provider is: values in, values out; and the one algorithm that carries hits, ``exchange()``."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from importlib import import_module
from os import PathLike
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Self
from urllib.parse import urlsplit, urlunsplit

import msgspec

from .errors import ConfigurationError, InvalidHit, did_you_mean
from .fields import Fields
from .hit import DATA_FIELDS, Hit
from .http import NoResponse, Request, Response
from .retry import RETRYABLE_STATUSES, retry_after
from .secrets import resolve
from .verdict import DELIVERED, UNCONFIRMED, Verdict, rejected, retry

__all__ = [
    "DEFAULT_CATEGORY",
    "GIF",
    "NO_BROWSER",
    "Backend",
    "ConfigurationError",
    "Decoded",
    "InvalidHit",
    "Lines",
    "Parcel",
    "Regional",
    "basic",
    "compact",
    "credential",
    "cut",
    "digest",
    "exchange",
    "folded",
    "header",
    "header_text",
    "iso",
    "language_tag",
    "lone",
    "names_robot",
    "number",
    "option",
    "packed",
    "parsed",
    "pixels",
    "quoted",
    "text_of",
    "unfolded",
]

#: What an event without a category is filed under where the platform demands one.
DEFAULT_CATEGORY = "event"

#: The ``User-Agent`` of a hit that no browser made, on platforms that read the header: a transport's own would
#: make every such visitor look like the same library, which several platforms drop as a robot.
NO_BROWSER = "ServerSide/1.0"

#: The transparent image of one pixel that tracking endpoints answer with.
GIF = bytes.fromhex("4749463839610100010080000000000000000021f90401000000002c00000000010001000002024401003b")


class Parcel(NamedTuple):
    """A request and the positions of the hits in it, in the list given to ``encode``."""

    request: Request
    hits: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """One hit as the inspector shows it.

    Args:
        kind: ``pageview``, ``event`` …
        fields: the common names.
        native: everything that arrived, by the platform's own keys.
        findings: where the platform's published limits are broken, a sentence each, with the limit.
    """

    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    native: Mapping[str, Any] = field(default_factory=dict)
    findings: Sequence[str] = ()


def option(default: Any = None, *, secret: bool = False, load: str = "", doc: str = "") -> Any:
    """Declare an option of a backend; a secret one may be given as ``env:NAME`` or ``file:PATH`` and is never shown.

    Args:
        default: the value when none is given.
        secret: whether no log, error or page may show it.
        load: a ``"package.module:function"`` that turns a path given as the option into its value, so that reading
            files stays out of the backend.
        doc: one line for people.
    """
    return field(default=default, repr=not secret, metadata={"secret": secret, "load": load, "doc": doc})


def credential(doc: str = "") -> Any:
    """Declare the id of a backend whose id is a credential, a write key: treated as a secret, and still needed."""
    return field(repr=False, metadata={"secret": True, "load": "", "doc": doc})


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A platform's protocol: configuration, and pure methods over it. It never waits, stores, logs or connects.

    A subclass declares what is true of the platform as class data, and writes ``encode``; ``interpret`` only
    where a 2xx may mean no. Everything that needs I/O is somebody else's.

    Args:
        id: the platform's own id: a property, a site id, a domain …
        endpoint: a base address without a path (the protocol's is added), or a whole URL (used as given).
    """

    id: str
    endpoint: str | None = None

    #: The registry name, the platform's own name, and where its protocol is documented.
    name: ClassVar[str] = ""
    title: ClassVar[str] = ""
    docs: ClassVar[str] = ""
    #: The table of common names and native keys.
    fields: ClassVar[Fields] = Fields()
    #: The kinds of hits it takes.
    kinds: ClassVar[frozenset[str]] = frozenset({"pageview", "event"})
    #: The common fields that a kind cannot do without.
    required: ClassVar[Mapping[str, tuple[str, ...]]] = {"pageview": ("url",), "event": ("name",)}
    #: The common fields that the platform has no place for; they are left out.
    cannot: ClassVar[frozenset[str]] = frozenset()
    #: The base address used without ``endpoint=``; ``None`` where there is no common one.
    host: ClassVar[str | None] = None
    #: The paths on which the protocol is spoken, the main one first.
    paths: ClassVar[tuple[str, ...]] = ("/",)
    #: Hits and bytes in one request at most.
    max_batch: ClassVar[int] = 1
    max_bytes: ClassVar[int] = 1_000_000
    #: Seconds a hit may be late before the platform would misdate it; ``None`` for no limit.
    max_age: ClassVar[float | None] = None
    #: Whether a good answer confirms that the hit was recorded; otherwise it is *unconfirmed*.
    confirms: ClassVar[bool] = True
    #: The platform's own key that makes a repeated hit count once; ``None`` where it has none.
    dedupes: ClassVar[str | None] = None
    #: The longest text among an event's properties, in characters, and how many there may be; 0 for no limit.
    longest_property: ClassVar[int] = 0
    most_properties: ClassVar[int] = 0
    #: One line a person should know before choosing the platform.
    remark: ClassVar[str] = ""

    @classmethod
    def create(cls, id: Any = "", **options: Any) -> Backend:
        """Build a backend from a call's arguments; a class that stands for several protocols chooses here.

        Raises:
            TypeError: an option that the provider does not have; names the nearest.
            ConfigurationError: an option's value cannot be used.
        """
        known = {item.name: item for item in dataclasses.fields(cls) if item.init}
        for name in options:
            if name not in known:
                raise TypeError(
                    f"{cls.name} has no option {name!r}.{did_you_mean(name, known)} Options: {', '.join(sorted(known))}"
                )
        identity = "" if id is None else str(id)
        for name, item in known.items():
            if name == "id" and item.metadata.get("secret"):
                identity = resolve(identity, what=name)
            elif item.metadata.get("secret") and isinstance(options.get(name), str):
                options[name] = resolve(options[name], what=name)
            if item.metadata.get("load") and isinstance(options.get(name), (str, PathLike)):
                module, _, function = item.metadata["load"].partition(":")
                options[name] = getattr(import_module(module), function)(options[name])
        return cls(id=identity, **{k: v for k, v in options.items() if v is not None})

    def __post_init__(self) -> None:
        if self.endpoint is not None:
            parts = urlsplit(self.endpoint if isinstance(self.endpoint, str) else "")
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ConfigurationError(
                    f"endpoint={self.endpoint!r} is no address; expected something like "
                    f"'https://stats.example.com' or a whole URL"
                )
        elif self.host is None:
            raise ConfigurationError(
                f"{self.name} has no common address; type endpoint='https://your.server' "
                f"(the path {self.paths[0]} is added)"
            )

    @property
    def label(self) -> str:
        """The id as logs and queues may show it: where it is a credential, some digits of its hash."""
        hidden = any(item.name == "id" and item.metadata.get("secret") for item in dataclasses.fields(self))
        return digest(self.id)[:8] if hidden and self.id else self.id

    # -- what a provider file writes ------------------------------------------------------------------------------

    def encode(self, hits: Sequence[Hit], *, now: float) -> list[Parcel]:
        """Turn hits into requests.

        Args:
            hits: at most as many as were taken at once; the backend splits by its own limits.
            now: seconds since 1970, for queue times and sent-at stamps; the only clock there is.

        Returns:
            Parcels that together name every hit once. A hit in no parcel is rejected as not encodable.
        """
        raise NotImplementedError

    def interpret(self, response: Response, hits: Sequence[Hit], *, now: float) -> list[Verdict]:
        """Read an answer: a verdict for each hit of the parcel. The default reads the status alone."""
        return [self.by_status(response, now=now)] * len(hits)

    def by_status(self, response: Response, *, now: float) -> Verdict:
        """Return what a status says by HTTP's own rules (RFC 9110)."""
        if response.ok:
            return DELIVERED if self.confirms else UNCONFIRMED
        if response.status in RETRYABLE_STATUSES:
            return retry(retry_after(response.headers.get("retry-after"), now), reason=f"http {response.status}")
        return rejected(f"http {response.status}")

    def lift(self, native: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Rename the native keys of a call that have a common name; the shell asks here, not the table itself.

        A backend that also understands an older protocol's keys overrides this (and gives their kinds in ``fields``).
        """
        return self.fields.lift(native)

    def divisible(self, response: Response) -> bool:
        """Tell whether an answer condemns a whole batch for what may be one hit's fault; its halves are tried then."""
        return response.status == 413

    def lowered(self, hit: Hit) -> dict[str, Any]:
        """Return the hit in the platform's own keys, its texts cut to the platform's limits, without empty ones."""
        native = self.fields.fitted(self.fields.lower(hit))
        if "" in native.values():
            native = {key: value for key, value in native.items() if value != ""}
        return native

    def shortens(self, hit: Hit) -> bool:
        """Tell whether ``encode`` leaves out more of a hit than the table of fields cuts; the shell counts it."""
        properties = hit.properties
        if not properties:
            return False
        if 0 < self.most_properties < len(properties):
            return True
        longest = self.longest_property
        return longest > 0 and any(
            len(key) > longest or (type(value) is str and len(value) > longest) for key, value in properties.items()
        )

    def lane(self, hit: Hit) -> str | None:
        """Return the stream within which order matters, or ``None``: most platforms do not care."""
        return None

    def missing(self, kind: str, draft: Mapping[str, Any]) -> str | None:
        """Return what a draft lacks, in words, or ``None``; native keys stand in ``draft["native"]``."""
        absent = [name for name in self.required.get(kind, ()) if draft.get(name) in (None, "")]
        if not absent:
            return None
        spelled = dict(self.fields)
        return ", ".join(f"{name}= (native {spelled[name]!r})" if name in spelled else f"{name}=" for name in absent)

    def probe(self) -> Request | None:
        """Return the platform's own call that checks credentials without recording anything, if it has one."""
        return None

    def probed(self, response: Response) -> str | None:
        """Return what the answer to :meth:`probe` says is wrong, or ``None``."""
        return None if response.ok else f"http {response.status}"

    def validate_requests(self, hits: Sequence[Hit], *, now: float) -> list[Request]:
        """Return requests that ask the platform what it thinks of hits, recording nothing; none where it has no ear.

        The shell carries them before the hits when the backend was told ``validate=True``, gives each answer to
        :meth:`findings`, and raises ``ValueError`` with what is found.
        """
        return []

    def findings(self, response: Response) -> list[str]:
        """Return what the answer to one of :meth:`validate_requests` complains of, a sentence each."""
        return []

    # -- what the inspector asks ----------------------------------------------------------------------------------

    @classmethod
    def claims(cls, request: Request) -> bool:
        """Tell whether a request that arrived at the inspector is of this protocol."""
        return urlsplit(request.url).path in cls.paths

    @classmethod
    def decode(cls, request: Request) -> list[Decoded]:
        """Read a request as the platform would: the hits in it, and what its published limits say of them."""
        raise NotImplementedError

    @classmethod
    def answer(cls, request: Request, decoded: Sequence[Decoded]) -> Response:
        """Answer as the platform does."""
        return Response(status=200)

    @classmethod
    def answer_probe(cls, request: Request) -> Response | None:
        """Answer :meth:`probe` as the platform does; ``None`` where a request is no such call, and may be a hit."""
        return None

    # -- what every provider file uses ----------------------------------------------------------------------------

    def address(self, path: str | None = None) -> str:
        """Return the URL of one of the protocol's paths.

        A whole URL given as ``endpoint`` is used as it is for the main path; another path replaces the main
        one at its end, so that a proxy's prefix stays.
        """
        main = self.paths[0]
        path = path or main
        parts = urlsplit(self.origin())
        if parts.path in ("", "/"):
            return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))
        if path != main:
            for known in self.paths:
                if parts.path.endswith(known):
                    replaced = parts.path.removesuffix(known) + path
                    return urlunsplit((parts.scheme, parts.netloc, replaced, parts.query, ""))
        return urlunsplit((parts.scheme, parts.netloc, parts.path, parts.query, ""))

    def origin(self) -> str:
        """Return the base address or whole URL that :meth:`address` builds on."""
        return self.endpoint or self.host or ""

    def keeps(self, name: str) -> bool:
        """Tell whether the platform keeps an event's name for itself."""
        return False

    def refuse(self, kind: str, draft: Mapping[str, Any]) -> None:
        """Raise for what the platform could never take.

        Raises:
            InvalidHit: names what is missing, the kinds there are, or the event's name that is the platform's own.
        """
        if kind not in self.kinds:
            raise InvalidHit(
                f"{self.name} has no hit type {kind!r}.{did_you_mean(kind, self.kinds)} "
                f"It takes: {', '.join(sorted(self.kinds))}"
            )
        lacking = self.missing(kind, draft)
        if lacking:
            raise InvalidHit(f"{'an' if kind[:1] in 'aeiou' else 'a'} {kind} on {self.name} needs {lacking}")
        called = draft.get("name")
        if kind == "event" and isinstance(called, str) and self.keeps(called):
            raise InvalidHit(f"{self.name} keeps the event name {called!r} for itself; choose another")

    def but(self, **changes: Any) -> Self:
        """Return the same configuration with changes."""
        return dataclasses.replace(self, **changes)


@dataclass(frozen=True, kw_only=True)
class Regional(Backend):
    """A platform with data centres to choose from.

    Args:
        region: where the data is to stay: one of ``regions``; absent for the first.
    """

    region: str | None = option(doc="where the data is kept")

    #: Name of a region = its base address; the first is the platform's default.
    regions: ClassVar[Mapping[str, str]] = MappingProxyType({})

    def __post_init__(self) -> None:
        if self.region is not None and self.region.lower() not in self.regions:
            raise ConfigurationError(
                f"{self.name} has no region {self.region!r}.{did_you_mean(self.region, self.regions)} "
                f"It has: {', '.join(self.regions)}"
            )
        super().__post_init__()

    def origin(self) -> str:
        return self.endpoint or self.regions[(self.region or next(iter(self.regions))).lower()]


_IDENTITY: Any = {name: name for name in DATA_FIELDS}


@dataclass(frozen=True, kw_only=True)
class Lines(Backend):
    """What a file and the standard output have in common: every hit is a line of JSON in the common names."""

    docs: ClassVar[str] = "https://github.com/ndjson/ndjson-spec"
    fields: ClassVar[Fields] = Fields(**_IDENTITY)
    kinds: ClassVar[frozenset[str]] = frozenset(
        {
            "pageview",
            "event",
            "screenview",
            "transaction",
            "item",
            "social",
            "exception",
            "timing",
            "identify",
            "search",
        }
    )
    max_batch: ClassVar[int] = 1_000
    max_bytes: ClassVar[int] = 4_000_000

    def destination(self) -> str:
        """Return the URL that the local transport writes to."""
        raise NotImplementedError

    def encode(self, hits: Sequence[Hit], *, now: float) -> list[Parcel]:
        lines = [compact(hit.to_dict()) + b"\n" for hit in hits]
        url = self.destination()
        parcels = []
        for run in packed([len(line) for line in lines], count=self.max_batch, size=self.max_bytes, between=0):
            body = b"".join(lines[i] for i in run)
            request = Request(url=url, headers={"Content-Type": "application/x-ndjson"}, body=body)
            parcels.append(Parcel(request, tuple(run)))
        return parcels

    @classmethod
    def claims(cls, request: Request) -> bool:
        return urlsplit(request.url).scheme == cls.name

    @classmethod
    def decode(cls, request: Request) -> list[Decoded]:
        decoded = []
        for line in request.body.splitlines():
            data = parsed(line)
            if not isinstance(data, dict):
                decoded.append(Decoded(kind="pageview", findings=["a line is no JSON object"]))
                continue
            known = {key: value for key, value in data.items() if key in DATA_FIELDS}
            findings = [f"{key} is missing" for key in ("id", "kind", "time") if key not in data]
            decoded.append(
                Decoded(kind=str(data.get("kind", "pageview")), fields=known, native=data, findings=findings)
            )
        return decoded

    @classmethod
    def answer(cls, request: Request, decoded: Sequence[Decoded]) -> Response:
        return Response(status=200)


def exchange(
    backend: Backend, hits: Sequence[Hit], *, now: Callable[[], float]
) -> Generator[Request, Response | NoResponse, list[Verdict]]:
    """Carry hits to a platform, without carrying anything: yields requests, is sent answers, returns verdicts.

    One algorithm for every driver: it halves what is too large (413), stops asking a destination that does not
    answer, gives only the failed hits of a batch again, and survives a backend that raises.

    Args:
        backend: the protocol.
        hits: what to send.
        now: the clock, in seconds since 1970.

    Returns:
        A verdict for each hit, in order.
    """
    verdicts: list[Verdict | None] = [None] * len(hits)
    waiting: deque[tuple[int, ...]] = deque([tuple(range(len(hits)))]) if hits else deque()
    halted: Verdict | None = None
    while waiting:
        group = waiting.popleft()
        if halted:
            _settle(verdicts, group, [halted] * len(group))
            continue
        try:
            parcels = backend.encode([hits[i] for i in group], now=now())
        except Exception as error:  # noqa: BLE001 - a provider's fault must cost one hit, not the driver
            if len(group) > 1:
                waiting.extendleft((i,) for i in reversed(group))
            else:
                verdicts[group[0]] = rejected(f"cannot be encoded: {type(error).__name__}")
            continue
        for parcel in parcels:
            members = tuple(group[i] for i in parcel.hits)
            if halted:
                _settle(verdicts, members, [halted] * len(members))
                continue
            answer = yield parcel.request
            if isinstance(answer, NoResponse):
                if answer.permanent:
                    found = [rejected(answer.reason)] * len(members)
                else:
                    found = [retry(reason=answer.reason, ambiguous=answer.sent)] * len(members)
                    halted = retry(reason="not tried")
            elif len(members) > 1 and backend.divisible(answer):
                middle = len(members) // 2
                waiting.extendleft((members[middle:], members[:middle]))
                continue
            else:
                found = _interpreted(backend, answer, [hits[i] for i in members], now())
                halted = _halting(found)
            _settle(verdicts, members, found)
    return [verdict or rejected("cannot be encoded") for verdict in verdicts]


def _interpreted(backend: Backend, answer: Response, hits: list[Hit], now: float) -> list[Verdict]:
    try:
        found = backend.interpret(answer, hits, now=now)
    except Exception as error:  # noqa: BLE001 - an answer nobody foresaw; the status still says something
        return _doubtful(backend, answer, now, type(error).__name__) * len(hits)
    if len(found) != len(hits):  # a plug-in's slip; the same answer as for an unreadable one
        return _doubtful(backend, answer, now, "miscounted") * len(hits)
    return found


def _doubtful(backend: Backend, answer: Response, now: float, why: str) -> list[Verdict]:
    generic = backend.by_status(answer, now=now)
    return [UNCONFIRMED._replace(reason=f"unreadable answer: {why}") if answer.ok else generic]


def _halting(found: list[Verdict]) -> Verdict | None:
    # A platform that asks for time, or refuses the credentials, is not asked again in the same breath.
    for verdict in found:
        if verdict.stop or (verdict.state == "retry" and verdict.after is not None):
            return retry(verdict.after, reason="not tried", stop=verdict.stop)
    return retry(reason="not tried") if found and all(v.state == "retry" for v in found) else None


def _settle(verdicts: list[Verdict | None], members: Iterable[int], found: Iterable[Verdict]) -> None:
    for position, verdict in zip(members, found, strict=True):
        verdicts[position] = verdict


def packed(sizes: Sequence[int], *, count: int, size: int, overhead: int = 0, between: int = 1) -> Iterator[range]:
    """Split a sequence of encoded items into runs that fit one request.

    Args:
        sizes: bytes of each item.
        count: items in a run at most.
        size: bytes in a run at most; an item larger than that stands alone, for the platform to refuse.
        overhead: bytes around the items.
        between: bytes between two items.

    >>> list(packed([4, 4, 4], count=2, size=100)), list(packed([4, 4, 4], count=9, size=9))
    ([range(0, 2), range(2, 3)], [range(0, 2), range(2, 3)])
    """
    start, total = 0, overhead
    for position, length in enumerate(sizes):
        if position > start and (position - start >= count or total + between + length > size):
            yield range(start, position)
            start, total = position, overhead
        total += length + (between if position > start else 0)
    if start < len(sizes):
        yield range(start, len(sizes))


def text_of(value: Any) -> str:
    """Return a value as protocols of strings spell it: ``True`` is ``1``, ``2.0`` is ``2``.

    >>> [text_of(v) for v in (True, 2.0, 2.5, "x", None)]
    ['1', '2', '2.5', 'x', '']
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def number(value: Any) -> int | float | None:
    """Return a value as a JSON number, or ``None`` where it is none; a hit keeps exact decimals as text.

    >>> number("12.50"), number("3"), number(True), number("three")
    (12.5, 3, 1, None)
    """
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return value
    try:
        as_float = float(value)
    except (TypeError, ValueError):
        return None
    if not math.isfinite(as_float):
        return None
    return int(as_float) if as_float.is_integer() and abs(as_float) < 2**53 else as_float


def cut(text: str, *, chars: int = 0, octets: int = 0) -> str:
    """Return a text that fits, cut between characters; 0 for no limit.

    >>> cut("né", octets=2), cut("abc", chars=2)
    ('n', 'ab')
    """
    if chars and len(text) > chars:
        text = text[:chars]
    if octets and len(text) * 4 > octets:
        encoded = text.encode("utf-8", "replace")
        if len(encoded) > octets:
            text = encoded[:octets].decode("utf-8", "ignore")
    return text


def compact(value: Any) -> bytes:
    """Return a value as JSON in UTF-8 without spaces."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:  # a lone surrogate that came around the gate; one character is lost, not the hit
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def parsed(body: bytes) -> Any:
    """Return a body's JSON, or ``None`` where it is none: other people's bytes never raise here."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def header(message: Request | Response, name: str) -> str | None:
    """Return a header by name in any case."""
    wanted = name.lower()
    return next((value for key, value in message.headers.items() if key.lower() == wanted), None)


#: Robots that say so. Libraries (python-requests, curl) are left out: some platforms take them, and tests use them.
_ROBOT = re.compile(r"(?<!cu)bot\b|crawl|spider|headlesschrome", re.IGNORECASE)


def names_robot(user_agent: str) -> bool:
    """Tell whether a browser's string names a robot, as every platform's own list would find.

    >>> names_robot("Mozilla/5.0 (compatible; Googlebot/2.1)"), names_robot("Mozilla/5.0 (X11; Linux x86_64)")
    (True, False)
    """
    return _ROBOT.search(user_agent) is not None


#: What a form's body makes of each byte (https://url.spec.whatwg.org/#application/x-www-form-urlencoded).
_FORM = {
    byte: "+" if byte == 0x20 else f"%{byte:02X}"
    for byte in range(256)
    if not (chr(byte).isascii() and (chr(byte).isalnum() or chr(byte) in "-._~"))
}
_UNSAFE = re.compile(r"[^A-Za-z0-9._~-]")
#: The same for printable ASCII, in an order in which no replacement is replaced again.
_REPLACED = sorted(
    ((chr(byte), said) for byte, said in _FORM.items() if 0x20 <= byte < 0x7F),
    key=lambda pair: "%+ ".find(pair[0]) % 9,
)


def quoted(text: str) -> str:
    """Return a text as a form's body spells it: what ``urllib.parse.quote_plus`` does, several times as fast.

    >>> quoted("né & co")
    'n%C3%A9+%26+co'
    """
    if _UNSAFE.search(text) is None:
        return text
    if text.isascii() and text.isprintable():
        for character, said in _REPLACED:
            if character in text:
                text = text.replace(character, said)
        return text
    return text.encode("utf-8", "replace").decode("latin-1").translate(_FORM)


def header_text(value: Any) -> str:
    """Return a value as one line of ASCII, fit for a header: a line break in a header is another header."""
    return "".join(c for c in str(value or "") if c.isprintable() and c.isascii())


def iso(seconds: float) -> str:
    """Return a moment as RFC 3339 in UTC with milliseconds.

    >>> iso(1767225600.25)
    '2026-01-01T00:00:00.250Z'
    """
    whole, micros = divmod(round(seconds * 1_000_000), 1_000_000)
    return f"{_second(whole)}.{micros // 1000:03d}Z"


@lru_cache(maxsize=256)
def _second(seconds: int) -> str:
    # The hits of a batch share a few seconds, and spelling one takes as long as all else that is done with a time.
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:-6]


def language_tag(value: str | None) -> str | None:
    """Return the first tag of an ``Accept-Language`` value.

    >>> language_tag("de-CH,de;q=0.9"), language_tag("*")
    ('de-CH', None)
    """
    tag = (value or "").split(",", 1)[0].split(";", 1)[0].strip()
    return tag if tag and tag != "*" else None


def pixels(screen: str | None) -> tuple[int, int] | None:
    """Return the width and height of ``WIDTHxHEIGHT``, or ``None``.

    >>> pixels("1920x1080"), pixels("wide")
    ((1920, 1080), None)
    """
    width, cross, height = (screen or "").partition("x")
    return (int(width), int(height)) if cross and width.isdecimal() and height.isdecimal() else None


def digest(*parts: str, size: int = 8) -> str:
    """Return texts as ``size`` bytes in hexadecimal: the same texts, the same digits.

    >>> len(digest("a")), digest("a", "b") == digest("ab")
    (16, False)
    """
    joined = "\x1f".join(parts).encode("utf-8", "replace")
    return blake2b(joined, digest_size=size).hexdigest()


def basic(user: str, password: str = "") -> str:
    """Return the value of an ``Authorization`` header of the scheme Basic (RFC 7617)."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode("ascii")


def folded(hit: Hit, *same: str, **renamed: str) -> dict[str, Any]:
    """Return a hit's properties with further common fields among them, for platforms that know properties only.

    A property of the hit's own wins over a common field of the same name.

    Args:
        hit: the hit.
        same: common fields that keep their name.
        renamed: common field = the property's name.
    """
    out: dict[str, Any] = {}
    for name in same:
        value = getattr(hit, name)
        if value is not None:
            out[name] = number(value) if name == "value" else value
    for name, called in renamed.items():
        value = getattr(hit, name)
        if value is not None:
            out[called] = number(value) if name == "value" else value
    if hit.properties:
        out.update(hit.properties)
    return out


def unfolded(properties: Any, *same: str, **renamed: str) -> dict[str, Any]:
    """Undo :func:`folded`: return common fields, ``properties`` among them."""
    if not isinstance(properties, dict):
        return {}
    rest = dict(properties)
    named = {**{name: name for name in same}, **renamed}
    out = {name: rest.pop(called) for name, called in named.items() if called in rest}
    if rest:
        out["properties"] = rest
    return out


def lone(sizes: Sequence[int], *, count: int, size: int, largest: int, overhead: int = 0) -> Iterator[tuple[int, ...]]:
    """Split items as :func:`packed` does, those above ``largest`` each alone, so that refusing one refuses no other.

    >>> list(lone([4, 50, 4], count=9, size=99, largest=9))
    [(1,), (0, 2)]
    """
    small = [i for i, length in enumerate(sizes) if length <= largest]
    yield from ((i,) for i, length in enumerate(sizes) if length > largest)
    for run in packed([sizes[i] for i in small], count=count, size=size, overhead=overhead):
        yield tuple(small[i] for i in run)
