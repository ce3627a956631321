"""The HTTP side of the inspector: the standard library's server, bounded wherever a stranger could make it large."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterable
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from ..http import Request, Response
from .faults import LONGEST, Faults, seconds
from .reading import Headers, Protocols, Reading, TooLarge, inflated, stripped
from .store import Mark, Store, lines

__all__ = ["Record", "Server"]

#: Connections served at once; further ones are told to come back.
_THREADS = 128
#: Pages listening at once.
_LISTENERS = 24
#: Seconds a connection may be idle, and a body may take to arrive.
_IDLE = 15.0
_ARRIVAL = 30.0
#: Hits in one message to a page.
_CHUNK = 200
#: Bytes of a refused body that are read and forgotten, and seconds that may take, so that its sender gets the answer.
_FORGOTTEN = 64_000_000
_LINGER = 5.0

_BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_PAGE = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/_inspector/page.css": ("page.css", "text/css; charset=utf-8"),
    "/_inspector/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
_OURS = frozenset({*_PAGE, "/events", "/hits.ndjson", "/clear"})

#: Nothing from elsewhere, nothing inline, nothing that could send data away: hits are hostile input.
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_SAFE = (
    ("Content-Security-Policy", _CSP),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)


class Record(Protocol):
    """Keeps the hits of one request."""

    def __call__(
        self, request: Request, reading: Reading, *, target: str, outcome: str = ..., status: int | None = ...
    ) -> list[dict[str, Any]]: ...


class _Refused(Exception):
    """An answer that ends the request: status and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@cache
def _asset(name: str) -> bytes:
    return (files(__package__) / name).read_bytes()


class Server(ThreadingHTTPServer):
    """Listens, with a bounded number of threads, and closes without leaving any behind."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(
        self,
        address: tuple[str, int],
        store: Store,
        protocols: Protocols,
        faults: Faults,
        record: Record,
        *,
        max_body: int,
    ) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self.store = store
        self.protocols = protocols
        self.faults = faults
        self.record = record
        self.max_body = max_body
        self.guarded = address[0] in _LOOPBACK
        self.listeners = threading.BoundedSemaphore(_LISTENERS)
        self.ending = threading.Event()
        self._slots = threading.BoundedSemaphore(_THREADS)
        self._open: dict[socket.socket, threading.Thread | None] = {}
        self._open_lock = threading.Lock()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve one connection in a thread of its own, or say that there are too many."""
        if not self._slots.acquire(blocking=False):
            with contextlib.suppress(OSError):
                request.sendall(_BUSY)
            self.shutdown_request(request)
            return
        with self._open_lock:
            self._open[request] = None
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one connection."""
        with self._open_lock:
            self._open[request] = threading.current_thread()
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._open_lock:
                self._open.pop(request, None)
            self._slots.release()

    def server_close(self) -> None:
        """Close the port and every connection, and wait for their threads."""
        self.ending.set()
        super().server_close()
        with self._open_lock:
            waiting = list(self._open.items())
        for connection, _ in waiting:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + 3
        for _, thread in waiting:
            if thread is not None:
                thread.join(max(0.0, deadline - time.monotonic()))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent: a peer that hangs up is no event, and a traceback would show what it sent."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "analytical-inspector"
    sys_version = ""
    error_content_type = "text/plain; charset=utf-8"
    error_message_format = "%(code)d %(message)s\n"
    timeout = _IDLE
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def do_OPTIONS(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:
        """Write no log: request lines carry visitors' data."""

    # -- routing --------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        try:
            self._guard()
            path = self._path()
            if self.command in ("GET", "HEAD") and path in _PAGE:
                name, kind = _PAGE[path]
                self._send(200, _asset(name), kind)
            elif path == "/events" and self.command == "GET":
                self._events()
            elif path == "/hits.ndjson" and self.command in ("GET", "HEAD"):
                self._export()
            elif path.startswith("/hits/") and path.endswith(".json") and self.command == "GET":
                self._one(path)
            elif path == "/clear" and self.command == "POST":
                self._clear()
            elif path in _OURS and self.command not in ("POST", "PUT"):
                raise _Refused(405, "This is cleared with POST." if path == "/clear" else "This is read with GET.")
            elif self.command in ("PATCH", "DELETE"):
                raise _Refused(405, f"No platform takes hits by {self.command}.")
            elif self.command == "OPTIONS":
                self._preflight()
            else:
                self._hit()
        except _Refused as refused:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self._send(refused.status, f"{refused}\n".encode(), "text/plain; charset=utf-8")
                self._linger()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def _path(self) -> str:
        # RFC 9112 §3.2.2: who speaks to a proxy writes the whole address, and a server must take that too.
        try:
            parts = urlsplit(self.path)
        except ValueError:
            raise _Refused(400, "The request's target is no address.") from None
        if parts.scheme in ("http", "https"):
            self.path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        return parts.path or "/"

    def _linger(self) -> None:
        # Closing on a peer that is still sending would reset the connection, and the answer would be lost with it.
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(1.0)
        left, deadline = _FORGOTTEN, time.monotonic() + _LINGER
        while left > 0 and time.monotonic() < deadline and (piece := self.connection.recv(65_536)):
            left -= len(piece)

    def _guard(self) -> None:
        # A page elsewhere can point a name of its own at 127.0.0.1 and read what is here (DNS rebinding);
        # it cannot choose the Host header that goes with it.
        if not self.server.guarded:
            return
        try:
            name = urlsplit(f"//{self.headers.get('Host', 'localhost')}").hostname or ""
        except ValueError:
            name = ""
        if name not in _LOOPBACK and not name.endswith(".localhost"):
            raise _Refused(421, "This inspector answers to localhost only; start it with --host to change that.")

    # -- hits -----------------------------------------------------------------------------------------------------

    def _hit(self) -> None:
        body = self._body()
        arrived = self.path if self.path.startswith("/") else "/"
        target, sleep = stripped(arrived)
        host = self.headers.get("Host") or "localhost"
        request = Request(
            method=self.command,
            url=f"http://{host}{target}",
            headers=Headers(list(self.headers.items())),
            body=body,
        )
        checked = self.server.protocols.probed(request)
        if checked is not None:
            # A platform's own call that checks credentials; it records nothing there, and nothing here.
            self._answer(checked if self.server.faults.next() == "answer" else self._failing())
            return
        reading = self.server.protocols.read(request)
        if not reading.hits and (self.command not in ("POST", "PUT") or reading.backend is None) and not body:
            # A browser's favicon, a health check, a platform's own read-only call: an answer, but no hit.
            if reading.backend is None:
                raise _Refused(404, reading.trouble)
            self._answer(reading.backend.answer(request, []))
            return
        outcome = self.server.faults.next()
        if outcome == "hang":
            self.server.record(request, reading, target=arrived, outcome="hung")
            self.server.ending.wait(LONGEST)
            self.close_connection = True
            return
        if outcome == "fail":
            status = self.server.faults.failing_status
            self.server.record(request, reading, target=arrived, outcome="refused", status=status)
            self._pause(sleep)
            self._answer(self._failing())
            return
        if reading.backend is None:
            response = Response(status=404, body=reading.trouble.encode())
        else:
            try:
                response = reading.backend.answer(request, reading.hits)
            except Exception:  # noqa: BLE001 - hostile bytes, or a plug-in's slip
                response = Response(status=500)
        self.server.record(request, reading, target=arrived, status=response.status)
        self._pause(sleep)
        self._answer(response)

    def _failing(self) -> Response:
        status = self.server.faults.failing_status
        return Response(status=status, headers={"retry-after": "1"} if status in (429, 503) else {})

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            body = b"".join(self._chunks())
        else:
            length = self.headers.get("Content-Length", "0").strip()
            if not length.isdecimal() or len(length) > 18:
                raise _Refused(400, "Content-Length is no number.")
            if int(length) > self.server.max_body:
                raise _Refused(413, f"A body has at most {self.server.max_body} bytes here.")
            body = b"".join(self._exactly(int(length), time.monotonic() + _ARRIVAL))
        try:
            return inflated(body, self.headers.get("Content-Encoding", ""), limit=self.server.max_body)
        except TooLarge:
            raise _Refused(413, f"A body unpacks to at most {self.server.max_body} bytes here.") from None
        except ValueError as error:
            raise _Refused(400, str(error)) from None

    def _exactly(self, length: int, deadline: float) -> Iterable[bytes]:
        while length > 0:
            piece = self.rfile.read1(min(length, 65_536))
            if not piece:
                raise ConnectionError("the body ended early")
            if time.monotonic() > deadline:
                raise _Refused(408, "The body took too long to arrive.")
            length -= len(piece)
            yield piece

    def _chunks(self) -> Iterable[bytes]:
        total, deadline = 0, time.monotonic() + _ARRIVAL
        while True:
            size = self.rfile.readline(1_000).partition(b";")[0].strip()
            try:
                length = int(size, 16) if len(size) <= 16 and not size.startswith((b"-", b"+")) else -1
            except ValueError:
                length = -1
            if length < 0:
                raise _Refused(400, "A chunk has no size.")
            total += length
            if total > self.server.max_body:
                raise _Refused(413, f"A body has at most {self.server.max_body} bytes here.")
            yield from self._exactly(length, deadline)
            if length == 0:
                for _ in range(50):  # trailers, up to the empty line
                    if self.rfile.readline(8_000) in (b"\r\n", b"\n", b""):
                        return
                raise _Refused(400, "Too many trailers.")
            self.rfile.readline(8)

    def _pause(self, sleep: str | None) -> None:
        wait = self.server.faults.delay
        if sleep is not None:
            try:
                wait += seconds(sleep)
            except ValueError:
                wait += 0.0
        if wait > 0:
            self.server.ending.wait(min(wait, LONGEST))

    def _answer(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        self._allow_origin()
        self.end_headers()
        if self.command != "HEAD" and response.status not in (204, 304):
            self.wfile.write(response.body)

    def _allow_origin(self) -> None:
        # Browsers' own trackers may be pointed here too, and some send with credentials, which "*" would forbid. What
        # they send can be sent, never read back: the answer to a hit says nothing of other hits.
        origin = self.headers.get("Origin")
        self.send_header("Access-Control-Allow-Origin", origin or "*")
        if origin:
            self.send_header("Access-Control-Allow-Credentials", "true")
            self.send_header("Vary", "Origin")

    def _preflight(self) -> None:
        self.send_response(204)
        self._allow_origin()
        self.send_header("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
        wanted = self.headers.get("Access-Control-Request-Headers", "")
        if wanted.replace("-", "").replace(",", "").replace(" ", "").isalnum():
            self.send_header("Access-Control-Allow-Headers", wanted)
        self.send_header("Content-Length", "0")
        self.end_headers()

    # -- the page's own -------------------------------------------------------------------------------------------

    def _send(self, status: int, body: bytes, kind: str, *extra: tuple[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (*_SAFE, *extra):
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _export(self) -> None:
        query = parse_qs(urlsplit(self.path).query)

        def one(name: str) -> str:
            return query.get(name, [""])[0]

        provider, kind, text, findings = one("provider"), one("kind"), one("q").casefold(), one("findings")

        def keep(hit: dict[str, Any]) -> bool:
            return (
                (not provider or hit["provider"] == provider)
                and (not kind or hit["kind"] == kind)
                and (not findings or bool(hit["findings"]))
                and (not text or text in json.dumps(hit, ensure_ascii=False).casefold())
            )

        entries = [entry for entry in self.server.store.entries() if entry.counts or one("refused")]
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson; charset=utf-8")
        for name, value in _SAFE:
            self.send_header(name, value)
        if one("download"):
            self.send_header("Content-Disposition", 'attachment; filename="hits.ndjson"')
        # Its length is not known before: the end of the connection is its end.
        self.close_connection = True
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            for line in lines(entries, keep=keep):
                self.wfile.write(line)

    def _one(self, path: str) -> None:
        number = path[len("/hits/") : -len(".json")]
        entry = self.server.store.get(int(number)) if number.isdecimal() and len(number) < 16 else None
        if entry is None:
            raise _Refused(404, "This hit is no longer kept.")
        self._send(200, entry.head[:-1] + b',"raw":' + entry.raw + b"}", "application/json; charset=utf-8")

    def _clear(self) -> None:
        self._body()
        origin = self.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != self.headers.get("Host"):
            raise _Refused(403, "Only this inspector's own page may clear it.")
        if self.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            raise _Refused(403, "Only this inspector's own page may clear it.")
        self.server.store.clear()
        self._send(200, b"{}", "application/json; charset=utf-8")

    def _events(self) -> None:
        if not self.server.listeners.acquire(blocking=False):
            raise _Refused(503, f"{_LISTENERS} pages are listening already; close one.")
        try:
            self.close_connection = True
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream; charset=utf-8")
            for name, value in _SAFE:
                self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            self._stream(Mark.parse(self.headers.get("Last-Event-ID", "")))
        finally:
            self.server.listeners.release()

    def _stream(self, mark: Mark | None) -> None:
        # https://html.spec.whatwg.org/multipage/server-sent-events.html: "id:" comes back as Last-Event-ID.
        store = self.server.store
        self.wfile.write(b"retry: 1000\n\n")
        while not store.closed:
            mark, fresh, found = store.read(mark, limit=_CHUNK, timeout=5.0)
            if fresh:
                hello = json.dumps({"max_hits": store.max_hits, "faults": self._faults()})
                self.wfile.write(f"event: reset\nid: {mark}\ndata: {hello}\n\n".encode())
            if found:
                heads = b",".join(b'{"id":%d,%s' % (entry.id, entry.head[1:]) for entry in found)
                self.wfile.write(b"id: %s\ndata: [%s]\n\n" % (str(mark).encode(), heads))
            elif not fresh:
                self.wfile.write(b": alive\n\n")
            self.wfile.flush()

    def _faults(self) -> str:
        faults = self.server.faults
        said = []
        if faults.fail_rate is not None or faults.status:
            rate = faults.fail_rate if faults.fail_rate is not None else 1.0
            said.append(f"{rate:.0%} answered {faults.failing_status}")
        if faults.hang_rate:
            said.append(f"{faults.hang_rate:.0%} left hanging")
        if faults.delay:
            said.append(f"{faults.delay * 1000:g} ms late")
        return ", ".join(said)
