"""The default transport: `requests <https://requests.readthedocs.io>`_, with a deadline for the whole exchange."""

from __future__ import annotations

import encodings.idna  # noqa: F401 - sockets would import it in the middle of a request
import netrc  # noqa: F401 - so would requests
import os
import socket
import threading
import time
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import requests.adapters
import urllib3
import urllib3.exceptions

from ..http import NoResponse, Request, Response
from . import MAX_ANSWER
from ._abandon import Abandonable
from ._quiet import quiet

__all__ = ["RequestsTransport"]

_PERMANENT = (
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidHeader,
    UnicodeError,
)


class RequestsTransport:
    """Carries requests over HTTP through ``requests``; redirects are not followed, cookies not kept.

    Args:
        timeout: seconds for a whole exchange: name resolution, connecting, a dripping answer.
        session: a caller's own session, used exactly as it is: its proxies, certificates, adapters, hooks. Without
            one, a session that obeys the proxy and certificate variables of the environment, and nothing else of it.
        max_answer: bytes of an answer that are read; a report may be longer than any answer to a hit.

    The exchange runs in a thread that can be left behind, because neither name resolution nor a caller's session
    can be interrupted. One that was left behind may still arrive, so it counts as sent unless it is known not
    to have come that far.
    """

    def __init__(
        self, *, timeout: float = 3.0, session: requests.Session | None = None, max_answer: int = MAX_ANSWER
    ) -> None:
        self.timeout = timeout
        self.max_answer = max_answer
        self._given = session
        self._session: requests.Session | None = session
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._threads = Abandonable()

    def send(self, request: Request, *, timeout: float | None = None) -> Response | NoResponse:
        limit = self.timeout if timeout is None else timeout
        if limit <= 0:
            return NoResponse(reason="timeout")
        session = self._own_session()
        exchange = _Exchange(session, request, time.monotonic() + limit, ours=self._given is None)
        exchange.max_answer = self.max_answer
        ended, answer = self._threads.run(exchange.run, limit)
        if ended:
            found: Response | NoResponse = answer
            return found
        exchange.abandon()
        return NoResponse(reason="timeout", sent=exchange.may_be_sent)

    def close(self) -> None:
        """Close the connections; a caller's own session is the caller's to close."""
        self._threads.close()
        with self._lock:
            session, self._session = self._session, self._given
        if session is not None and session is not self._given and self._pid == os.getpid():
            session.close()

    def _own_session(self) -> requests.Session:
        session = self._session
        if session is not None and self._pid == os.getpid():
            return session
        if self._pid != os.getpid():
            self._after_fork()
        with self._lock:
            if self._session is None:
                self._session = _new_session()
            return self._session

    def _after_fork(self) -> None:
        # The parent's connections are not ours to speak on: two processes on one TLS stream break both.
        self._lock = threading.Lock()
        self._pid = os.getpid()
        if self._given is None:
            _left_to_parent.append(self._session)
            self._session = None
            return
        for adapter in self._given.adapters.values():
            pools = [getattr(adapter, "poolmanager", None), *getattr(adapter, "proxy_manager", {}).values()]
            for pool in pools:
                if pool is not None:
                    # Closing the child's copy of a descriptor says nothing to the peer.
                    pool.clear()


#: Sessions that a forked child inherited: kept, so that nothing closes what the parent uses.
_left_to_parent: list[requests.Session | None] = []


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


class _Adapter(requests.adapters.HTTPAdapter):
    """The usual adapter over connections that can tell whether a body has left, and be cut from another thread."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}

    def proxy_manager_for(self, proxy: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):  # SOCKS brings connections of its own
            manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
        return manager


def _new_session() -> requests.Session:
    session = requests.Session()
    adapter = _Adapter(pool_connections=16, pool_maxsize=64)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    # A collector's cookie is a visitor's identity: kept, it would make all visitors one.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    # An Authorization header out of ~/.netrc would go to analytics platforms; proxies from the environment stay.
    session.auth = _no_auth
    # requests reads REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE by itself, but not the name that OpenSSL gave it.
    session.verify = os.environ.get("SSL_CERT_FILE") or True
    session.headers.clear()
    session.headers.update({"User-Agent": "analytical", "Accept": "*/*"})
    return session


class _Exchange:
    """One request under way: what it came to, how far it came, and how to cut it off."""

    def __init__(self, session: requests.Session, request: Request, deadline: float, *, ours: bool) -> None:
        self._session = session
        self._request = request
        self._deadline = deadline
        self._ours = ours
        self.max_answer = MAX_ANSWER
        self._stage = "start"
        self._socket: socket.socket | None = None
        self._cut = False

    @property
    def may_be_sent(self) -> bool:
        return not self._ours or self._stage == "sent"

    def abandon(self) -> None:
        """Wake the thread that still waits for this exchange, where its socket is known."""
        self._cut = True
        _cut(self._socket)

    def run(self) -> Response | NoResponse:
        _current.exchange = self
        try:
            with quiet():
                return self._talk()
        except _PERMANENT as error:
            return NoResponse(reason=f"bad request: {type(error).__name__}", permanent=True)
        except Exception as error:  # noqa: BLE001 - whatever a session raises is the world's failure here
            return _classified(error, known=self._ours, sent=self._stage == "sent")
        finally:
            _current.exchange = None
            self._socket = None

    def _talk(self) -> Response | NoResponse:
        left = self._deadline - time.monotonic()
        if left <= 0:
            return NoResponse(reason="timeout")
        request = self._request
        answer = self._session.request(
            request.method,
            request.url,
            data=request.body or None,
            headers=dict(request.headers),
            timeout=(left, left),
            allow_redirects=False,
            stream=True,
        )
        self._stage = "sent"
        try:
            body = bytearray()
            for chunk in answer.iter_content(16_384):
                body += chunk
                if len(body) >= self.max_answer:
                    del body[self.max_answer :]
                    break
                if self._cut or time.monotonic() > self._deadline:
                    return NoResponse(reason="timeout", sent=True)
            return Response(
                status=answer.status_code,
                headers={name.lower(): value for name, value in answer.headers.items()},
                body=bytes(body),
            )
        finally:
            answer.close()

    def connected(self, sock: Any) -> None:
        self._socket = sock
        if self._cut:
            _cut(sock)

    def body_left(self) -> None:
        self._stage = "sent"


class _Current(threading.local):
    exchange: _Exchange | None = None


_current = _Current()


def _cut(sock: Any) -> None:
    if sock is not None:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except (OSError, ValueError, AttributeError):
            return  # closed meanwhile: what was wanted


class _Told:
    """What both kinds of connections add: they tell the exchange of this thread how far it is."""

    sock: Any

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]  # a mixin over urllib3's connections
        exchange = _current.exchange
        if exchange is not None:
            exchange.connected(self.sock)

    def request(self, *args: Any, **kwargs: Any) -> None:
        exchange = _current.exchange
        if exchange is not None and self.sock is not None:
            exchange.connected(self.sock)
        super().request(*args, **kwargs)  # type: ignore[misc]
        if exchange is not None:
            exchange.body_left()


class _HTTPConnection(_Told, urllib3.connection.HTTPConnection):
    """A plain connection."""


class _HTTPSConnection(_Told, urllib3.connection.HTTPSConnection):
    """A TLS connection."""


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


def _causes(error: BaseException | None) -> list[BaseException]:
    """Return an exception and all that it wraps: requests hides urllib3's in args, urllib3 in ``reason``."""
    found: list[BaseException] = []
    waiting: list[Any] = [error]
    while waiting and len(found) < 20:
        item = waiting.pop(0)
        if isinstance(item, BaseException) and not any(item is seen for seen in found):
            found.append(item)
            waiting += [*item.args, getattr(item, "reason", None), item.__cause__, item.__context__]
    return found


def _classified(error: Exception, *, known: bool, sent: bool) -> NoResponse:
    """Say in a word what went wrong, without any text of the exception: those hold addresses."""
    chain = _causes(error)

    def has(*kinds: Any) -> bool:
        return any(isinstance(item, kinds) for item in chain)

    if has(urllib3.exceptions.NameResolutionError, socket.gaierror):
        return NoResponse(reason="dns")
    if has(requests.exceptions.SSLError, urllib3.exceptions.SSLError):
        return NoResponse(reason="tls", sent=sent)
    if has(requests.exceptions.ProxyError, urllib3.exceptions.ProxyError):
        return NoResponse(reason="proxy", sent=sent)
    if has(ConnectionRefusedError):
        return NoResponse(reason="refused")
    if has(urllib3.exceptions.NewConnectionError):  # a kind of ConnectTimeoutError, so it is asked first
        return NoResponse(reason="unreachable")
    if has(requests.exceptions.ConnectTimeout, urllib3.exceptions.ConnectTimeoutError):
        return NoResponse(reason="timeout")
    if known and len(chain) > 1:
        maybe = sent
    else:
        # Of a caller's session, or of a mock in place of ours, only the exception is known. Mocks and mounted
        # adapters raise bare ConnectionErrors before anything was sent.
        maybe = has(requests.exceptions.ReadTimeout, urllib3.exceptions.HTTPError, OSError) and not (
            type(error) is requests.exceptions.ConnectionError and len(chain) == 1
        )
    if has(requests.exceptions.Timeout, TimeoutError):
        return NoResponse(reason="timeout", sent=maybe)
    if has(requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError):
        return NoResponse(reason="truncated", sent=True)
    if has(ConnectionResetError, BrokenPipeError, urllib3.exceptions.ProtocolError):
        return NoResponse(reason="reset", sent=maybe)
    if has(requests.exceptions.ConnectionError):
        return NoResponse(reason="unreachable", sent=maybe)
    return NoResponse(reason=type(error).__name__, sent=maybe)
