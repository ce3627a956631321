"""HTTP/1.1 over connections of our own: kept alive, cut off at the deadline whatever the other end does.

What a general client does beside (redirects, cookies, authentication, proxies, compression of bodies) is not needed
to hand a batch to an analytics platform, and costs most of the time. Where it is needed after all, the request goes
through ``requests``: a proxy in the environment, or ``requests`` itself replaced, as tests do.
"""

from __future__ import annotations

import contextlib
import encodings.idna  # noqa: F401 - name look-ups and TLS would import it in the middle of things
import os
import socket
import ssl
import sys
import time
import zlib
from typing import Any
from urllib.parse import urlsplit

from ..http import NoResponse, Request, Response
from . import MAX_ANSWER, Transport
from ._abandon import Abandonable
from ._loading import loading

__all__ = ["Http11Transport"]

_MAX_HEAD = 65_536
#: Seconds after which an idle connection is not trusted any more; most servers close it after 60 or 75.
_IDLE = 50.0
_KEEP = 256

_Address = tuple[str, str, int]


class Http11Transport:
    """Carries requests over HTTP/1.1.

    Args:
        timeout: seconds for a whole exchange: name resolution, connecting, TLS, sending, every single receive.

    A request is sent twice only where it cannot have been received the first time: on a kept connection that turns
    out to be closed before the body has left.
    """

    def __init__(self, *, timeout: float = 3.0) -> None:
        self.timeout = timeout
        self._pid = os.getpid()
        self._idle: dict[_Address, list[_Connection]] = {}
        self._parsed: dict[str, tuple[_Address, bytes, bytes] | None] = {}
        self._threads = Abandonable(keep=8)
        self._tls: ssl.SSLContext | None = None
        self._fallback: Transport | None = None

    def send(self, request: Request, *, timeout: float | None = None) -> Response | NoResponse:
        limit = self.timeout if timeout is None else timeout
        deadline = time.monotonic() + limit
        if self._pid != os.getpid():
            self._after_fork()
        place = None if _requests_replaced() else self._place(request.url)
        if place is None:
            return self._through_requests().send(request, timeout=limit)
        address, target, host = place
        message = _message(request, target, host)
        if message is None:
            return NoResponse(reason="bad request", permanent=True)
        connection = self._kept(address)
        if connection is not None:
            answer = connection.exchange(message, request.method, deadline)
            if not isinstance(answer, _Stale):
                return self._done(address, connection, answer)
            connection.close()
        opened = self._open(address, deadline)
        if isinstance(opened, NoResponse):
            return opened
        answer = opened.exchange(message, request.method, deadline)
        if isinstance(answer, _Stale):
            opened.close()
            return NoResponse(reason="reset", sent=False)
        return self._done(address, opened, answer)

    def close(self) -> None:
        """Close the idle connections."""
        idle, self._idle = self._idle, {}
        if self._pid == os.getpid():
            for connections in idle.values():
                for connection in connections:
                    connection.close()
        self._threads.close()
        fallback, self._fallback = self._fallback, None
        if fallback is not None:
            fallback.close()

    def _through_requests(self) -> Transport:
        if self._fallback is None:
            with loading:
                from .requests import RequestsTransport

            self._fallback = RequestsTransport(timeout=self.timeout)
        return self._fallback

    def _after_fork(self) -> None:
        # Two processes must not speak on one stream, and a TLS goodbye from the child would end the parent's.
        _left_to_parent.append(self._idle)
        self._idle = {}
        self._pid = os.getpid()
        self._threads = Abandonable(keep=8)

    # -- connections ----------------------------------------------------------------------------------------------

    def _place(self, url: str) -> tuple[_Address, bytes, bytes] | None:
        """Return where a URL leads: address, request target, Host; ``None`` where ``requests`` should see to it."""
        try:
            return self._parsed[url]
        except KeyError:
            pass
        place = _parse(url)
        if place is not None and _proxied(url):
            place = None
        if len(self._parsed) > 500:  # one-hit-per-request protocols with everything in the query
            self._parsed.clear()
        self._parsed[url] = place
        return place

    def _kept(self, address: _Address) -> _Connection | None:
        idle = self._idle.get(address, [])
        now = time.monotonic()
        while True:
            try:
                connection = idle.pop()  # one step, because other threads take from here too
            except IndexError:
                return None
            if now - connection.used < _IDLE and connection.alive():
                return connection
            connection.close()

    def _done(self, address: _Address, connection: _Connection, answer: Response | NoResponse) -> Response | NoResponse:
        if connection.reusable:
            connection.used = time.monotonic()
            idle = self._idle.setdefault(address, [])
            if len(idle) < _KEEP:
                idle.append(connection)
                return answer
        connection.close()
        return answer

    def _open(self, address: _Address, deadline: float) -> _Connection | NoResponse:
        scheme, host, port = address
        found = self._resolve(host, port, deadline)
        if isinstance(found, NoResponse):
            return found
        failure = NoResponse(reason="unreachable")
        for position, (family, kind, protocol, _, where) in enumerate(found):
            left = deadline - time.monotonic()
            if left <= 0:
                return NoResponse(reason="timeout")
            sock = socket.socket(family, kind, protocol)
            try:
                # The last address may use up what is left; the others leave something for those after them.
                sock.settimeout(left / (len(found) - position))
                sock.connect(where)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if scheme == "https":
                    sock.settimeout(max(deadline - time.monotonic(), 0.001))
                    sock = self._context().wrap_socket(sock, server_hostname=host)
            except OSError as error:
                sock.close()
                failure = NoResponse(reason=_reason(error))
            else:
                return _Connection(sock)
        return failure

    def _resolve(self, host: str, port: int, deadline: float) -> list[Any] | NoResponse:
        if host.replace(".", "").isdigit() or ":" in host:
            return _lookup(host, port)
        ended, found = self._threads.run(lambda: _lookup(host, port), deadline - time.monotonic())
        if not ended:
            return NoResponse(reason="timeout")
        answer: list[Any] | NoResponse = found
        return answer

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            with loading:
                import certifi

            # The same trust as requests', so that changing the transport changes no one's certificates.
            named = (os.environ.get(name) for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"))
            bundle = next(filter(None, named), None) or certifi.where()
            context = (
                ssl.create_default_context(capath=bundle)
                if os.path.isdir(bundle)
                else ssl.create_default_context(cafile=bundle)
            )
            context.set_alpn_protocols(["http/1.1"])
            self._tls = context
        return self._tls


class _Stale:
    """A kept connection turned out to be closed before the message had left whole."""


class _Connection:
    __slots__ = ("_buffer", "_sock", "reusable", "used")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = b""
        self.reusable = False
        self.used = 0.0

    def alive(self) -> bool:
        """Tell whether the peer has neither closed nor said anything unasked."""
        try:
            self._sock.settimeout(0.0)
            self._sock.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except (OSError, ValueError):
            return False
        return False

    def close(self) -> None:
        self.reusable = False
        with contextlib.suppress(OSError):  # gone already
            self._sock.close()

    def exchange(self, message: bytes, method: str, deadline: float) -> Response | NoResponse | _Stale:
        self.reusable = False
        self._buffer = b""
        try:
            if not self._send(message, deadline):
                return NoResponse(reason="timeout")
        except TimeoutError:
            return NoResponse(reason="timeout")
        except OSError:
            return _Stale()
        try:
            return self._answer(method, deadline)
        except TimeoutError:
            return NoResponse(reason="timeout", sent=True)
        except OSError as error:
            return NoResponse(reason=_reason(error), sent=True)
        except _Malformed:
            self.reusable = False
            return NoResponse(reason="malformed answer", sent=True)

    def _send(self, message: bytes, deadline: float) -> bool:
        view = memoryview(message)
        while view:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._sock.settimeout(left)
            view = view[self._sock.send(view) :]
        return True

    def _more(self, deadline: float) -> bytes:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._sock.recv(65_536)

    def _answer(self, method: str, deadline: float) -> Response | NoResponse:
        while True:
            head = self._head(deadline)
            if head is None:
                return NoResponse(reason="reset", sent=True)
            version, status, headers = head
            if status >= 200 or status == 101:
                break
        body, whole = self._body(method, status, headers, deadline)
        if body is None:
            return NoResponse(reason="truncated", sent=True)
        connection = headers.get("connection", "").lower()
        keeps = "close" not in connection if version == b"HTTP/1.1" else "keep-alive" in connection
        self.reusable = whole and keeps and not self._buffer and status != 101
        encoding = headers.get("content-encoding", "").lower()
        if encoding in ("gzip", "deflate", "x-gzip") and body:
            try:
                body = zlib.decompressobj(47).decompress(body, MAX_ANSWER)
            except zlib.error:
                raise _Malformed from None
        return Response(status=status, headers=headers, body=body)

    def _head(self, deadline: float) -> tuple[bytes, int, dict[str, str]] | None:
        while True:
            end = self._buffer.find(b"\r\n\r\n")
            if end >= 0:
                break
            if len(self._buffer) > _MAX_HEAD:
                raise _Malformed
            data = self._more(deadline)
            if not data:
                if self._buffer:
                    raise _Malformed
                return None
            self._buffer += data
        lines = self._buffer[:end].split(b"\r\n")
        self._buffer = self._buffer[end + 4 :]
        words = lines[0].split(None, 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or len(words[1]) != 3 or not words[1].isdigit():
            raise _Malformed
        headers: dict[str, str] = {}
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            if not colon:
                raise _Malformed
            key = name.decode("latin-1").lower()
            text = value.strip().decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
        return words[0], int(words[1]), headers

    def _body(self, method: str, status: int, headers: dict[str, str], deadline: float) -> tuple[bytes | None, bool]:
        """Return the body, and whether it was read to its end; ``None`` where the connection broke in it."""
        if method == "HEAD" or status in (204, 304):
            return b"", True
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return self._chunks(deadline)
        length = headers.get("content-length")
        if length is None:
            while len(self._buffer) < MAX_ANSWER:
                data = self._more(deadline)
                if not data:
                    break
                self._buffer += data
            body, self._buffer = self._buffer[:MAX_ANSWER], b""
            return body, False
        if not length.isdigit():
            raise _Malformed
        size = int(length)
        wanted = min(size, MAX_ANSWER)
        parts = [self._buffer]
        have = len(self._buffer)
        while have < wanted:
            data = self._more(deadline)
            if not data:
                return None, False
            parts.append(data)
            have += len(data)
        everything = b"".join(parts)
        self._buffer = everything[wanted:]
        return everything[:wanted], size <= MAX_ANSWER

    def _chunks(self, deadline: float) -> tuple[bytes | None, bool]:
        body = bytearray()
        while True:
            line = self._line(deadline)
            if line is None:
                return None, False
            digits = line.partition(b";")[0].strip()
            try:
                size = int(digits, 16)
            except ValueError:
                raise _Malformed from None
            if size < 0 or b"_" in digits:
                raise _Malformed
            if size == 0:
                while True:  # trailers
                    line = self._line(deadline)
                    if line is None:
                        return None, False
                    if not line:
                        return bytes(body), True
            if len(body) + size > MAX_ANSWER:
                return bytes(body), False
            while len(self._buffer) < size + 2:
                data = self._more(deadline)
                if not data:
                    return None, False
                self._buffer += data
            body += self._buffer[:size]
            if self._buffer[size : size + 2] != b"\r\n":
                raise _Malformed
            self._buffer = self._buffer[size + 2 :]

    def _line(self, deadline: float) -> bytes | None:
        while b"\r\n" not in self._buffer:
            if len(self._buffer) > _MAX_HEAD:
                raise _Malformed
            data = self._more(deadline)
            if not data:
                return None
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line


class _Malformed(Exception):
    """What came is no HTTP."""


#: Connections that a forked child inherited: kept, so that nothing closes what the parent uses.
_left_to_parent: list[Any] = []


def _parse(url: str) -> tuple[_Address, bytes, bytes] | None:
    try:
        parts = urlsplit(url)
        port = parts.port
        host = parts.hostname
        if parts.scheme not in ("http", "https") or not host or parts.username is not None or not url.isascii():
            return None
    except ValueError:
        return None
    standard = 443 if parts.scheme == "https" else 80
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    shown = f"[{host}]" if ":" in host else host
    if port is not None and port != standard:
        shown = f"{shown}:{port}"
    if any(sign <= " " or sign == "\x7f" for sign in target + shown):
        return None  # requests knows how to quote
    return (parts.scheme, host, port or standard), target.encode(), shown.encode()


def _message(request: Request, target: bytes, host: bytes) -> bytes | None:
    lines = [b"%s %s HTTP/1.1\r\nHost: %s\r\n" % (request.method.encode("ascii", "replace"), target, host)]
    named = set()
    for name, value in request.headers.items():
        low = name.lower()
        if low in ("host", "content-length", "connection", "transfer-encoding"):
            continue
        named.add(low)
        if not (name + value).isprintable():
            return None
        try:
            lines.append(f"{name}: {value}\r\n".encode("latin-1"))
        except UnicodeEncodeError:
            lines.append(f"{name}: {value}\r\n".encode())
    if "user-agent" not in named:
        lines.append(b"User-Agent: analytical\r\n")
    if "accept" not in named:
        lines.append(b"Accept: */*\r\n")
    if request.body or request.method not in ("GET", "HEAD"):
        lines.append(b"Content-Length: %d\r\n" % len(request.body))
    lines.append(b"\r\n")
    lines.append(request.body)
    return b"".join(lines)


def _lookup(host: str, port: int) -> list[Any] | NoResponse:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return NoResponse(reason="dns")


def _reason(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ssl.SSLError):
        return "tls"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, ConnectionError):
        return "reset"
    return "unreachable"


def _proxied(url: str) -> bool:
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return False
    with loading:
        from requests.utils import get_environ_proxies

    return bool(get_environ_proxies(url))


def _requests_replaced() -> bool:
    """Tell whether something stands in for ``requests``: a mock, which must see what it would have seen."""
    requests = sys.modules.get("requests")
    if requests is None:
        return False
    session = getattr(requests, "Session", None)
    if session is None:
        return False  # another thread is importing it this moment; nothing stands in for it yet
    return (
        getattr(session.get_adapter, "__module__", "") != "requests.sessions"
        or getattr(session.request, "__module__", "") != "requests.sessions"
        or getattr(session.send, "__module__", "") != "requests.sessions"
        or getattr(requests.adapters.HTTPAdapter.send, "__module__", "") != "requests.adapters"
    )
