"""Backdrop's write API, and anything that speaks it: an HTTP data set that takes JSON and overwrites by ``_id``.

Protocol: https://github.com/alphagov/backdrop (``backdrop/write/api.py``, ``core/validation.py``).
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

import msgspec

from ...errors import ConfigurationError, ReportError, SinkError
from ...http import Request, Response
from ...secrets import is_reference, resolve
from ..period import Period
from ..protocol import Refusal, refusal_by_status
from ..records import Batch
from ..session import Session
from ..sink import Sink, Target

__all__ = ["Backdrop", "empty_request", "fault_of", "post_request", "push"]

#: Bodies longer than this many bytes are sent as gzip.
GZIP_ABOVE = 2048

#: Records per request.
CHUNK = 100

#: Bytes of one unzipped body that the server takes (413 beyond).
MAX_BODY = 10 * 1024 * 1024

_KEY = re.compile(r"[a-z_][a-z0-9_]+", re.ASCII)
_INTERNAL = frozenset({"_timestamp", "_start_at", "_end_at", "_id"})

_encode = msgspec.json.Encoder(decimal_format="number").encode


class Backdrop(Sink):
    """``backdrop+https://host/data/group/type``: records are posted in chunks, and overwrite those with their id.

    A period cannot be replaced there, so a row that is gone at the platform stays, unless ``empty_first`` empties
    the whole data set before a run.

    Args:
        url: the address of the data set; ``?token=env:NAME`` may stand in it.
        token: the bearer token, or a reference to one.
        chunk_size: records per request.
        empty_first: whether ``PUT []`` empties the data set before the first record of a run.
        session: an HTTP session to share.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        chunk_size: int = CHUNK,
        empty_first: bool = False,
        session: Session | None = None,
    ) -> None:
        parts = urlsplit(url.removeprefix("backdrop+"))
        in_url = parse_qs(parts.query).get("token", [None])[0]
        if in_url is not None and not is_reference(in_url):
            raise ConfigurationError("a token never stands in a URL; give token=, or ?token=env:NAME")
        if not parts.hostname:
            raise ConfigurationError(
                f'to="{url.partition("?")[0]}": expected an address such as "backdrop+https://host/data/group/type"'
            )
        if chunk_size < 1:
            raise ConfigurationError(f"chunk_size={chunk_size}: expected 1 or more")
        self.url = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
        self._token = resolve(token or in_url or "", what="token")
        self._chunk_size = chunk_size
        self._empty_first = empty_first
        self._session = session
        self._own = session is None

    def open(self, target: Target) -> None:
        if self._own:
            self._session = Session(error=SinkError, secrets=(self._token,))

    def write(self, records: Batch, replace: Period | None, target: Target) -> None:
        empty, self._empty_first = self._empty_first, False
        push(
            records,
            self.url,
            self._token,
            chunk_size=self._chunk_size,
            empty_first=empty,
            session=self._session,
        )

    def close(self, target: Target) -> None:
        if self._own and self._session is not None:
            self._session.close()
            self._session = None

    def describe(self) -> str:
        return self.url

    def preview(self, records: Batch, replace: Period | None, target: Target) -> list[str]:
        lines: list[str] = []

        def say(request: Request) -> None:
            shown = request.masked()
            fields = " ".join(f"{name}: {value};" for name, value in shown.headers.items())
            lines.append(f"would {shown.method} {len(request.body)} bytes to {shown.url} ({fields.rstrip(';')})")

        empty, self._empty_first = self._empty_first, False
        push(records, self.url, self._token, chunk_size=self._chunk_size, empty_first=empty, dry_run=say)
        return lines


def push(
    records: Iterable[Mapping[str, Any]],
    url: str,
    token: str = "",
    *,
    chunk_size: int | None = CHUNK,
    empty_first: bool = False,
    headers: Mapping[str, str] | None = None,
    session: Session | None = None,
    dry_run: Callable[[Request], object] | None = None,
) -> int:
    """Post records to a data set; all keys and values are looked at before the first is sent.

    Args:
        records: iterated twice, so a list, a :class:`~analytical.collect.records.Batch`, not a generator.
        url: ``https://host/data/group/type``.
        token: the bearer token.
        chunk_size: records per request; ``None`` or 0 for one request.
        empty_first: whether ``PUT []`` goes first.
        headers: further headers.
        session: what sends and retries; one of its own unless given.
        dry_run: is given each request instead of its being sent.

    Returns:
        How many records were posted. Without records nothing is sent at all, unless ``empty_first``.

    Raises:
        SinkError: a record that the server would refuse, or its refusal, with its messages.
    """
    count = 0
    for number, record in enumerate(records, 1):
        fault = fault_of(record)
        if fault:
            raise SinkError(f"record {number} would be refused: {fault}")
        count = number
    if not count and not empty_first:
        return 0
    own = session is None and dry_run is None
    http = session or Session(error=SinkError, secrets=(token,))
    try:

        def send(request: Request) -> None:
            if dry_run is not None:
                dry_run(request)
                return
            try:
                http.send(request, judge=_refusal)
            except SinkError:
                raise
            except ReportError as error:
                raise SinkError(str(error)) from None

        if empty_first:
            send(empty_request(url, token, headers=headers))
        source = iter(records)
        while chunk := list(islice(source, chunk_size or None)):
            send(post_request(chunk, url, token, headers=headers))
    finally:
        if own:
            http.close()
    return count


def post_request(records: Any, url: str, token: str = "", *, headers: Mapping[str, str] | None = None) -> Request:
    """Return the request that posts records: a list of them, or one.

    The body is bytes, also when it is gzip: a request that is sent again is sent whole.
    """
    body = _encode(records)
    fields = _headers(token, headers)
    if len(body) > MAX_BODY:
        raise SinkError(f"a chunk has {len(body)} bytes, the server takes {MAX_BODY}; make chunk_size smaller")
    if len(body) > GZIP_ABOVE:
        fields["Content-Encoding"] = "gzip"
        body = gzip.compress(body, mtime=0)
    return Request(method="POST", url=url, headers=fields, body=body, secrets=(token,) if token else ())


def empty_request(url: str, token: str = "", *, headers: Mapping[str, str] | None = None) -> Request:
    """Return the request that empties a data set."""
    return Request(
        method="PUT", url=url, headers=_headers(token, headers), body=b"[]", secrets=(token,) if token else ()
    )


def fault_of(record: Mapping[str, Any]) -> str:
    """Return why the server would refuse a record, or ``""``.

    >>> fault_of({"Page Views": 1})
    'the key "Page Views" may have letters, digits and underscores only, two at least; rename it'
    """
    for key, value in record.items():
        lower = key.lower()
        if not _KEY.fullmatch(lower):
            return f'the key "{key}" may have letters, digits and underscores only, two at least; rename it'
        if lower.startswith("_") and lower not in _INTERNAL:
            return f'the key "{key}" begins with an underscore, which only {", ".join(sorted(_INTERNAL))} may'
        if isinstance(value, dict | list | tuple | set):
            return (
                f'the value of "{key}" is a {type(value).__name__}; only text, numbers, true, false and null are taken'
            )
        if lower == "_id" and (not isinstance(value, str) or not value or value.split() != [value]):
            return "_id must be text without white space"
    return ""


def _headers(token: str, more: Mapping[str, str] | None) -> dict[str, str]:
    fields = {"Content-Type": "application/json", "Accept": "application/json"}
    if token:
        fields["Authorization"] = f"Bearer {token}"
    fields.update(more or {})
    return fields


def _refusal(response: Response, now: float) -> Refusal | None:
    return refusal_by_status(response, "" if response.ok else _messages(response))


def _messages(response: Response) -> str:
    try:
        data = msgspec.json.decode(response.body[:65_536])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    if not isinstance(data, dict):
        return ""
    said = data.get("messages") or data.get("message") or ""
    return "; ".join(str(one) for one in said) if isinstance(said, list) else str(said)
