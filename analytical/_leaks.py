"""A leak test for everybody: markers go in at every door, and everything that comes out is searched for them."""

from __future__ import annotations

import base64
import logging
import re
import traceback
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_plus

from .context import from_wsgi, serving
from .http import NoResponse, Request, Response
from .privacy.words import words

__all__ = ["MARKERS", "assert_no_leak"]

#: One direct identifier of each kind that a policy takes out.
MARKERS: tuple[str, ...] = (
    "zelda.quux+leak@marker.example",
    "+49 1573 1234567",
    "203.0.113.77",
    "4111 1111 1111 1111",
    "DE89 3704 0044 0532 0130 00",
    "078-05-1120",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ6ZWxkYSJ9.c2lnbmF0dXJlLW1hcmtlcg",
    "ghp_Zz9Leak0Marker1Qq2Ww3Ee4Rr5Tt6Yy7Uu",
)
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{12,}={0,2}")
_HEX = re.compile(rb"(?:[0-9A-Fa-f]{2}){8,}")
_TEXTS = words("referrer client_ip user_agent language client_id user_id session_id name category label currency")
_HEADERS = words("USER_AGENT REFERER ACCEPT_LANGUAGE X_FORWARDED_FOR FORWARDED COOKIE AUTHORIZATION SEC_CH_UA")
_MOST_BYTES = 64 * 1024 * 1024


def assert_no_leak(
    markers: Iterable[str] = MARKERS,
    provider: Any = None,
    *,
    searched: Iterable[Any] = (),
    paths: Iterable[str | Path] = (),
) -> None:
    """Plant markers in every field and header, drive a provider, and search everything that leaves.

    Searched are the wire's bytes, what ``explain()`` shows, every log record at ``DEBUG``, ``repr`` and tracebacks,
    files, and whatever else is given; as it stands and percent-, base64- and hex-decoded.

    Args:
        markers: texts that must not be found; by default one direct identifier of each kind.
        provider: a provider with a transport that may be used in a test, such as
            :class:`analytical.testing.FakeTransport`. ``None`` searches only what is given.
        searched: further things that left: texts, bytes, requests, hits, exceptions, or anything with a ``repr``.
        paths: files and folders to search as well, such as a spool's.

    Raises:
        AssertionError: a marker was found; the message says which, where, and in what spelling.

    >>> assert_no_leak(["alice@example.com"], searched=["nothing here", b"nor here"])
    >>> assert_no_leak(["alice@example.com"], searched=["x=alice%40example.com"])
    Traceback (most recent call last):
        ...
    AssertionError: 1 leak: marker 1 ('ali…') in searched[0], percent-decoded
    """
    wanted = tuple(markers)
    places: list[tuple[str, Any]] = [(f"searched[{index}]", item) for index, item in enumerate(searched)]
    if provider is not None:
        places += _drive(provider, wanted)
    for path in paths:
        places += [(str(file), file) for file in _files(Path(path))]
    found = []
    for where, item in places:
        for data in _bytes(item):
            found += [(number, where, how) for number, how in _search(wanted, data)]
    if found:
        lines = [
            f"marker {number + 1} ({wanted[number][:3] + '…'!r}) in {where}, {how}"
            for number, where, how in dict.fromkeys(found)
        ]
        plural = "leak" if len(lines) == 1 else "leaks"
        raise AssertionError(f"{len(lines)} {plural}: " + "; ".join(lines[:20]))


class _Tap:
    """A transport that keeps what passes."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.requests: list[Request] = []

    def send(self, request: Request, *, timeout: float) -> Response | NoResponse:
        self.requests.append(request)
        answer: Response | NoResponse = self.inner.send(request, timeout=timeout)
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class _Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record) + repr(record.args))


def _drive(provider: Any, markers: tuple[str, ...]) -> list[tuple[str, Any]]:
    tap = _Tap(provider._transport)
    records = _Records()
    root = logging.getLogger()
    level = root.level
    raised: list[BaseException] = []
    shown: list[Any] = []
    provider._transport = tap
    root.addHandler(records)
    root.setLevel(logging.DEBUG)
    try:
        for marker in markers:
            for call in _calls(provider, marker):
                try:
                    shown.append(call())
                except Exception as error:  # noqa: BLE001 - whatever is raised is searched as well
                    raised.append(error)
        provider.flush(5)
    finally:
        root.setLevel(level)
        root.removeHandler(records)
        provider._transport = tap.inner
    out: list[tuple[str, Any]] = [("a request", request) for request in tap.requests]
    out += [("an answer of the provider", item) for item in shown]
    out += [("a log record", line) for line in records.lines]
    out += [("an exception", error) for error in raised]
    out += [("repr(provider)", repr(provider)), ("stats()", repr(provider.stats()))]
    return out


def _calls(provider: Any, marker: str) -> Iterator[Any]:
    spelled = quote(marker, safe="")
    address = (
        f"https://user:{spelled}@shop.example/a/{spelled}/b;v={spelled}?q={spelled}&utm_source={spelled}#{spelled}"
    )
    texts = dict.fromkeys(_TEXTS, marker)
    inside = {"note": marker, "deep": [{"more": f"see {marker}"}], marker: 1, "email": marker}
    yield lambda: provider.pageview(url=address, title=f"Title {marker} end")
    yield lambda: provider.pageview(url="https://shop.example/", screen=marker)
    yield lambda: provider.pageview(url="https://shop.example/", **{**texts, "referrer": address})
    yield lambda: provider.event("signup", url="https://shop.example/", label=marker, properties=inside)
    yield lambda: provider.event(**{**texts, "name": f"name {marker}"}, url="https://shop.example/")
    yield lambda: provider.pageview({"a_native_key": marker, marker: "x"}, url="https://shop.example/")
    yield lambda: repr(provider.explain(url=address, title=marker, client_ip=marker, user_agent=marker))

    def within_a_request() -> Any:
        environ = {
            "wsgi.url_scheme": "https",
            "REQUEST_METHOD": "GET",
            "HTTP_HOST": "shop.example",
            "SERVER_NAME": "shop.example",
            "SERVER_PORT": "443",
            "PATH_INFO": f"/a/{marker}",
            "QUERY_STRING": f"q={spelled}",
            "REMOTE_ADDR": marker,
            **{f"HTTP_{name}": marker for name in _HEADERS},
        }
        with serving(from_wsgi(environ)):
            return provider.pageview(title="inside a request")

    yield within_a_request


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(file for file in path.rglob("*") if file.is_file())
    elif path.exists():
        # A database keeps a journal beside it.
        yield from sorted(file for file in path.parent.glob(path.name + "*") if file.is_file())


def _bytes(item: Any) -> Iterator[bytes]:
    if isinstance(item, bytes | bytearray):
        yield bytes(item)
    elif isinstance(item, str):
        yield item.encode("utf-8", "surrogatepass")
    elif isinstance(item, Path):
        yield item.read_bytes()[:_MOST_BYTES]
    elif isinstance(item, Request):
        yield item.url.encode()
        yield repr(dict(item.headers)).encode("utf-8", "surrogatepass")
        yield item.body
        yield repr(item).encode("utf-8", "surrogatepass")
    elif isinstance(item, BaseException):
        yield "".join(traceback.format_exception(item)).encode("utf-8", "surrogatepass")
        yield repr(item).encode("utf-8", "surrogatepass")
    elif isinstance(item, Mapping):
        for key, value in item.items():
            yield from _bytes(key)
            yield from _bytes(value)
    elif isinstance(item, list | tuple | set | frozenset):
        for value in item:
            yield from _bytes(value)
    else:
        to_dict = getattr(item, "to_dict", None)
        if callable(to_dict):
            yield from _bytes(to_dict())
        yield repr(item).encode("utf-8", "surrogatepass")


def _search(markers: tuple[str, ...], data: bytes) -> Iterator[tuple[int, str]]:
    spellings = [("as it stands", data)]
    text = data.decode("utf-8", "replace")
    for _ in range(3):
        plain = unquote_plus(text)
        if plain == text:
            break
        text = plain
    spellings.append(("percent-decoded", text.encode("utf-8", "replace")))
    if b"\\u" in data:
        spellings.append(
            ("JSON-decoded", re.sub(rb"\\u00([0-9a-fA-F]{2})", lambda m: bytes.fromhex(m[1].decode()), data))
        )
    spellings.append(("base64-decoded", b"\n".join(_decoded64(data))))
    spellings.append(("hex-decoded", b"\n".join(bytes.fromhex(run.decode()) for run in _HEX.findall(data))))
    for number, marker in enumerate(markers):
        needle = marker.encode()
        for how, spelled in spellings:
            if needle in spelled:
                yield number, how
                break


def _decoded64(data: bytes) -> Iterator[bytes]:
    for run in _BASE64.findall(data):
        bare = run.rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
        # A run may begin within a group of four.
        for start in range(4):
            part = bare[start:]
            part = part[: len(part) - len(part) % 4] if len(part) % 4 == 1 else part
            yield base64.b64decode(part + b"=" * (-len(part) % 4))
