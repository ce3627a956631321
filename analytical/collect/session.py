"""The HTTP session of reports: retries within a budget, never follows a redirect, never shows a secret."""

from __future__ import annotations

import logging
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from ..errors import QuotaExhausted, ReportError, SourceError
from ..http import NoResponse, Request, Response, mask
from ..retry import backoff, retry_after, system_uniform
from ..transports import Transport
from .protocol import Refusal, json_of, refusal_by_status

__all__ = ["Answer", "Session"]

log = logging.getLogger("analytical.collect")

#: What judges an answer: the response and the time in; a refusal, or ``None`` for a good answer, out.
Judge = Callable[[Response, float], Refusal | None]

#: Bytes of one answer that are read. Pages are far smaller; an export of events in one piece may be large.
MAX_ANSWER = 1 << 28

_NOTHING: Mapping[str, str] = {}


class Answer:
    """A good answer, for people who write a source: ``.json()``, ``.text``, ``.body``, ``.status``, ``.headers``."""

    __slots__ = ("response",)

    def __init__(self, response: Response) -> None:
        self.response = response

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.response.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, with names in lower case."""
        return self.response.headers

    @property
    def body(self) -> bytes:
        """The body as it came."""
        return self.response.body

    @property
    def text(self) -> str:
        """The body as text."""
        return self.response.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            SourceError: it is not JSON.
        """
        return json_of(self.response)


class Session:
    """Sends requests for the reading half.

    Args:
        transport: what carries requests; the package's own by default, made on first use.
        retry_for: seconds in which one request may be tried again. A wait that would not fit ends it at once.
        attempts: how often one request is tried at most.
        timeout: seconds for one exchange.
        secrets: texts that no error or log may show, besides those of each request.
        error: the class of the errors raised.
        clock: the time in seconds since 1970.
        wait: how to wait, in seconds; returns true where the wait was broken off because everything stops.
        uniform: the source of randomness for waits.
    """

    def __init__(
        self,
        transport: Transport | None = None,
        *,
        retry_for: float = 120.0,
        attempts: int = 6,
        timeout: float = 120.0,
        secrets: tuple[str, ...] = (),
        error: type[ReportError] = SourceError,
        clock: Callable[[], float] | None = None,
        wait: Callable[[float], object] | None = None,
        uniform: Callable[[float, float], float] = system_uniform,
    ) -> None:
        self._transport = transport
        self._own = transport is None
        self.retry_for = retry_for
        self.attempts = attempts
        self.timeout = timeout
        self.secrets = secrets
        self.error = error
        self._clock = clock
        self._stop = threading.Event()
        self._followed: threading.Event | None = None
        self._wait = wait or self._stop.wait
        self._uniform = uniform
        self._lock = threading.Lock()

    def now(self) -> float:
        """Return the time in seconds since 1970."""
        return self._clock() if self._clock is not None else time.time()

    @property
    def transport(self) -> Transport:
        """What carries the requests."""
        with self._lock:
            if self._transport is None:
                from ..transports.requests import RequestsTransport

                self._transport = RequestsTransport(timeout=self.timeout, max_answer=MAX_ANSWER)
            return self._transport

    def send(self, request: Request, *, judge: Judge | None = None) -> Response:
        """Send one request, as often as it is worth it, and return a good answer.

        Raises:
            QuotaExhausted: a quota is used up, or the platform asks to wait longer than ``retry_for``.
            SourceError: no answer, or a refusal. (Or the class given as ``error``.)
        """
        started = self.now()
        secrets = (*self.secrets, *request.secrets)
        attempt = 0
        while True:
            attempt += 1
            answer = self.transport.send(request, timeout=self.timeout)
            now = self.now()
            if isinstance(answer, NoResponse):
                refusal = Refusal(reason=f"no answer ({answer.reason})", retry=not answer.permanent)
                asked = None
            else:
                found = judge(answer, now) if judge else refusal_by_status(answer)
                if found is None:
                    if len(answer.body) >= MAX_ANSWER:
                        raise self.error(
                            f"{_where(request)} answered more than {MAX_ANSWER >> 20} MiB in one piece, which is not "
                            "read; ask for less at once: a shorter every=, fewer dimensions in by=, or a filter"
                        )
                    return answer
                refusal = found
                asked = retry_after(answer.headers.get("retry-after"), now)
                if asked is None and refusal.reset is not None:
                    asked = max(0.0, refusal.reset - now)
            where = _where(request)
            reason = mask(refusal.reason, secrets)
            if refusal.quota:
                raise QuotaExhausted(f"{where} {reason}{_until(refusal.reset)}", reset=refusal.reset)
            if not refusal.retry:
                raise self.error(f"{where} {reason}")
            delay = backoff(attempt, uniform=self._uniform) if asked is None else asked
            if asked is not None and now - started + asked > self.retry_for:
                reset = now + asked
                raise QuotaExhausted(f"{where} {reason}, and asks to wait {asked:.0f} s{_until(reset)}", reset=reset)
            if attempt >= self.attempts or now - started + delay > self.retry_for:
                raise self.error(f"{where} {reason}; tried {attempt} times in {now - started:.0f} s")
            log.info("%s %s; trying again in %.1f s (attempt %d)", where, reason, delay, attempt)
            self.pause(delay)

    def pause(self, delay: float) -> None:
        """Wait; broken off by :meth:`stop`.

        Raises:
            SourceError: everything stops.
        """
        if delay > 0 and self._wait(delay) is True:
            raise self.error("stopped")

    def stop(self) -> None:
        """Break off every wait, now and later; safe to call from any thread."""
        self._stop.set()

    def follow(self, event: threading.Event) -> None:
        """Stop when somebody else's event is set, too."""
        self._followed = event
        if self._wait == self._stop.wait:
            self._wait = event.wait

    @property
    def stopped(self) -> bool:
        """Whether :meth:`stop` was called, or the event followed is set."""
        return self._stop.is_set() or (self._followed is not None and self._followed.is_set())

    def get(
        self,
        url: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        secrets: tuple[str, ...] = (),
        judge: Judge | None = None,
    ) -> Answer:
        """Ask for a page. See :meth:`request`."""
        return self.request("GET", url, params=params, headers=headers, auth=auth, secrets=secrets, judge=judge)

    def post(
        self,
        url: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        data: Mapping[str, Any] | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        secrets: tuple[str, ...] = (),
        judge: Judge | None = None,
    ) -> Answer:
        """Post JSON, a form or bytes. See :meth:`request`."""
        return self.request(
            "POST", url, params=params, json=json, data=data, headers=headers, auth=auth, secrets=secrets, judge=judge
        )

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        data: Mapping[str, Any] | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        secrets: tuple[str, ...] = (),
        judge: Judge | None = None,
    ) -> Answer:
        """Send a request and return the answer.

        Args:
            method: ``GET``, ``POST`` …
            url: absolute.
            params: added to the query; a list repeats its name, ``None`` leaves it out.
            json: the body, as JSON.
            data: the body, as a form, or as bytes.
            headers: names and values.
            auth: user and password, for Basic.
            secrets: what to mask in errors and logs; values of ``Authorization``-like headers are masked anyway.
            judge: tells whether an answer is a refusal; by its status unless given.

        Raises:
            SourceError: the request failed; see :meth:`send`.
        """
        query = urlencode([pair for name, value in (params or {}).items() for pair in _pairs(name, value)])
        if query:
            url += ("&" if urlsplit(url).query else "?") + query
        fields = dict(headers or _NOTHING)
        hidden = [*secrets, *(value for name, value in fields.items() if _is_secret(name))]
        body = b""
        if json is not None:
            body = msgspec.json.encode(json)
            fields.setdefault("Content-Type", "application/json")
        elif isinstance(data, bytes):
            body = data
        elif data is not None:
            body = urlencode([pair for name, value in data.items() for pair in _pairs(name, value)]).encode()
            fields.setdefault("Content-Type", "application/x-www-form-urlencoded")
        if auth is not None:
            basic = b64encode(f"{auth[0]}:{auth[1]}".encode()).decode()
            fields["Authorization"] = f"Basic {basic}"
            hidden += [basic, auth[1]]
        return Answer(
            self.send(Request(method=method, url=url, headers=fields, body=body, secrets=tuple(hidden)), judge=judge)
        )

    def close(self) -> None:
        """Stop, and let go of connections."""
        self.stop()
        if self._own and self._transport is not None:
            self._transport.close()
            self._transport = None

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _pairs(name: str, value: Any) -> list[tuple[str, str]]:
    if value is None:
        return []
    if isinstance(value, list | tuple):
        return [(name, str(one)) for one in value]
    if isinstance(value, bool):
        return [(name, "true" if value else "false")]
    return [(name, str(value))]


def _is_secret(header: str) -> bool:
    name = header.lower()
    return any(word in name for word in ("auth", "key", "token", "secret", "cookie"))


def _where(request: Request) -> str:
    parts = urlsplit(request.url)
    # Not the parsed port: of an address without a usable one, that raises.
    host = parts.netloc.rpartition("@")[2]
    return f"{request.method} {parts.scheme}://{host}{mask(parts.path, request.secrets)}"


def _until(reset: float | None) -> str:
    if reset is None:
        return ""
    from datetime import UTC, datetime

    return f"; the quota is full again at {datetime.fromtimestamp(reset, UTC):%Y-%m-%dT%H:%M:%SZ}"
