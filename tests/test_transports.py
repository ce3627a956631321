"""Transports: one request, whatever the other end does, within the deadline and without a word in any log."""

from __future__ import annotations

import contextlib
import errno
import gzip
import io
import itertools
import json
import logging
import os
import resource
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import requests
import requests_mock
import urllib3

from analytical.http import NoResponse, Request, Response
from analytical.transports import Transport, http11, local
from analytical.transports import requests as requests_transport
from analytical.transports._abandon import Abandonable
from analytical.transports.default import DefaultTransport, default_transport
from analytical.transports.http11 import Http11Transport
from analytical.transports.local import LocalTransport
from analytical.transports.requests import RequestsTransport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Platform: Yes\r\n\r\nok"


class Server:
    """A socket that says what the test wants, connection by connection."""

    def __init__(self, script: Callable[[socket.socket, Server], None]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        self.connections = 0
        self.over = threading.Event()
        self._script = script
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def url(self, path: str = "/collect?api_secret=s3cr3t&uip=12.34.56.78") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                self._script(connection, self)
            except OSError:
                return

    def read(self, connection: socket.socket) -> bytes:
        """Read one request, whole."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65_536)
            if not more:
                return b""
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        while len(body) < length:
            body += connection.recv(65_536)
        self.requests.append(head + b"\r\n\r\n" + body)
        return self.requests[-1]

    def close(self) -> None:
        self.over.set()
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join(5)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(script: Callable[[socket.socket, Server], None] | bytes = OK) -> Server:
        def answer(connection: socket.socket, server: Server) -> None:
            while server.read(connection):
                connection.sendall(script)  # type: ignore[arg-type]  # bytes in this branch

        servers.append(Server(answer if isinstance(script, bytes) else script))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


MAKERS: dict[str, Callable[..., Transport]] = {
    "requests": RequestsTransport,
    "http11": Http11Transport,
    "session": lambda **options: RequestsTransport(session=requests.Session(), **options),
    "default": DefaultTransport,
    "background": lambda **options: default_transport(background=True, **options),
}


@pytest.fixture(params=list(MAKERS))
def make(request: pytest.FixtureRequest) -> Iterator[Callable[..., Transport]]:
    made: list[Transport] = []

    def build(**options: Any) -> Transport:
        made.append(MAKERS[request.param](**options))
        return made[-1]

    yield build
    for transport in made:
        transport.close()


def post(transport: Transport, url: str, body: bytes = b"hi", **options: Any) -> Response | NoResponse:
    return transport.send(Request(url=url, body=body, headers={"Content-Type": "text/plain"}), **options)


def test_the_request_arrives_as_it_was_made_and_the_answer_comes_back(make: Any, serve: Any) -> None:
    server = serve()
    answer = post(make(), server.url(), b"hello")
    assert isinstance(answer, Response)
    assert (answer.status, answer.body, answer.headers["x-platform"]) == (200, b"ok", "Yes")
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /collect?api_secret=s3cr3t&uip=12.34.56.78 HTTP/1.1\r\n")
    assert b"content-type: text/plain" in head.lower()
    assert body == b"hello"


def test_a_get_has_no_body(make: Any, serve: Any) -> None:
    server = serve()
    answer = make().send(Request(method="GET", url=server.url("/p.gif?a=b")))
    assert isinstance(answer, Response)
    assert server.requests[0].startswith(b"GET /p.gif?a=b HTTP/1.1")


def test_connections_are_kept(make: Any, serve: Any) -> None:
    server = serve()
    transport = make()
    for _ in range(3):
        assert isinstance(post(transport, server.url()), Response)
    assert server.connections == 1


def test_redirects_are_not_followed(make: Any, serve: Any) -> None:
    server = serve(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")
    answer = post(make(), server.url())
    assert isinstance(answer, Response)
    assert (answer.status, answer.headers["location"]) == (302, "/elsewhere")
    assert len(server.requests) == 1


@pytest.mark.parametrize("kind", ["requests", "http11"])
def test_a_collector_s_cookie_is_not_sent_with_the_next_visitor_s_hit(kind: str, serve: Any) -> None:
    server = serve(b"HTTP/1.1 200 OK\r\nSet-Cookie: sp=visitor-1; Path=/\r\nContent-Length: 0\r\n\r\n")
    transport = MAKERS[kind]()
    post(transport, server.url())
    post(transport, server.url())
    assert b"cookie" not in server.requests[1].lower()
    transport.close()


@pytest.mark.parametrize(
    ("raw", "status", "body"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nA: b\r\n\r\n",
            200,
            b"abcde",
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 1\r\n\r\nx", 202, b"x"),
        (
            b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
            b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n",
            429,
            b"",
        ),
    ],
    ids=["no content", "chunked", "continue", "early hints"],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["requests", "http11"])
def test_every_framing_is_read(kind: str, serve: Any, raw: bytes, status: int, body: bytes) -> None:
    if kind == "requests" and status == 429:
        pytest.skip("http.client of this Python takes 103 for the answer")
    server = serve(raw)
    transport = MAKERS[kind]()
    for _ in range(2):
        answer = post(transport, server.url())
        assert isinstance(answer, Response)
        assert (answer.status, answer.body) == (status, body)
    assert server.connections == 1
    transport.close()


def test_a_body_that_ends_with_the_connection_is_read(make: Any, serve: Any) -> None:
    def script(connection: socket.socket, server: Server) -> None:
        server.read(connection)
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nall of it")

    answer = post(make(), serve(script).url())
    assert isinstance(answer, Response)
    assert answer.body == b"all of it"


def test_compressed_answers_are_read(make: Any, serve: Any) -> None:
    packed = gzip.compress(b'{"ok": true}')
    raw = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(packed), packed)
    answer = post(make(), serve(raw).url())
    assert isinstance(answer, Response)
    assert answer.body == b'{"ok": true}'


def test_a_kept_connection_that_was_closed_meanwhile_costs_nothing(make: Any, serve: Any) -> None:
    def script(connection: socket.socket, server: Server) -> None:
        server.read(connection)
        connection.sendall(OK)

    server = serve(script)
    transport = make()
    for _ in range(3):
        assert isinstance(post(transport, server.url()), Response)
        time.sleep(0.02)  # the other end's FIN travels
    assert server.connections == 3


# -- what goes wrong ----------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_refused_is_not_sent(make: Any) -> None:
    assert post(make(), f"http://127.0.0.1:{free_port()}/x") == NoResponse(reason="refused", sent=False)


def test_a_name_that_does_not_exist_is_not_sent(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert post(make(), "http://nowhere.example/x") == NoResponse(reason="dns", sent=False)


@pytest.mark.parametrize("kind", ["requests", "http11", "session"])
def test_name_resolution_is_within_the_deadline(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def hanging(*args: Any, **kwargs: Any) -> Any:
        over.wait(10)
        raise socket.gaierror(-2, "late")

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    transport = MAKERS[kind](timeout=0.2)
    started = time.monotonic()
    answer = post(transport, "http://nowhere.example/x")
    assert time.monotonic() - started < 1
    assert isinstance(answer, NoResponse)
    assert answer.reason == "timeout"
    assert answer.sent is (kind == "session")  # of a caller's session nothing is known
    over.set()


def hang(connection: socket.socket, server: Server) -> None:
    server.read(connection)
    server.over.wait(10)


def drip_head(connection: socket.socket, server: Server) -> None:
    server.read(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while not server.over.wait(0.02):
        connection.sendall(b"X: y\r\n")


def drip_body(connection: socket.socket, server: Server) -> None:
    server.read(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not server.over.wait(0.02):
        connection.sendall(b"x")


def drip_chunks(connection: socket.socket, server: Server) -> None:
    server.read(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not server.over.wait(0.02):
        connection.sendall(b"1\r\nx\r\n")


@pytest.mark.parametrize("script", [hang, drip_head, drip_body, drip_chunks], ids=lambda f: f.__name__)
@pytest.mark.parametrize("kind", ["requests", "http11", "session"])
def test_the_deadline_is_for_the_whole_exchange(kind: str, script: Any, serve: Any) -> None:
    server = serve(script)
    transport = MAKERS[kind](timeout=0.25)
    started = time.monotonic()
    assert post(transport, server.url()) == NoResponse(reason="timeout", sent=True)
    assert 0.2 < time.monotonic() - started < 1.0
    transport.close()


@pytest.mark.parametrize("kind", ["requests", "http11"])
def test_a_server_that_does_not_read_is_within_the_deadline_and_has_not_got_it(kind: str, serve: Any) -> None:
    server = serve(lambda connection, server: server.over.wait(10))
    transport = MAKERS[kind](timeout=0.3)
    answer = post(transport, server.url(), b"x" * 30_000_000)
    assert answer == NoResponse(reason="timeout", sent=False)
    transport.close()


def test_an_endless_answer_ends(make: Any, serve: Any) -> None:
    def script(connection: socket.socket, server: Server) -> None:
        server.read(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not server.over.is_set():
            connection.sendall(b"x" * 65_536)

    answer = post(make(timeout=3), serve(script).url())
    assert isinstance(answer, Response)
    assert len(answer.body) == 1 << 20


def test_a_reset_before_an_answer_may_have_been_received(make: Any, serve: Any) -> None:
    def script(connection: socket.socket, server: Server) -> None:
        server.read(connection)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")

    assert post(make(), serve(script).url()) == NoResponse(reason="reset", sent=True)


def test_a_connection_that_ends_without_an_answer_may_have_been_received(make: Any, serve: Any) -> None:
    assert post(make(), serve(lambda connection, server: server.read(connection)).url()) == NoResponse(
        reason="reset", sent=True
    )


def test_a_broken_answer_may_have_been_received(make: Any, serve: Any) -> None:
    def script(connection: socket.socket, server: Server) -> None:
        server.read(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf")

    answer = post(make(), serve(script).url())
    assert isinstance(answer, NoResponse)
    assert answer.sent


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\xff\x13garbage\r\n\r\n",
        b"HTTP/1.1 twohundred OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"y" * 100_000,
    ],
    ids=["noise", "status", "negative", "chunk", "long head"],
)
@pytest.mark.parametrize("kind", ["requests", "http11"])
def test_nonsense_is_a_value_and_not_an_exception(kind: str, raw: bytes, serve: Any) -> None:
    def script(connection: socket.socket, server: Server) -> None:
        server.read(connection)
        connection.sendall(raw)

    transport = MAKERS[kind](timeout=1)
    answer = post(transport, serve(script).url())
    assert isinstance(answer, NoResponse | Response)
    if kind == "http11":
        assert isinstance(answer, NoResponse)
    transport.close()


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Le", "malformed answer"),
        (HEAD + b"a line without a colon\r\n\r\n", "malformed answer"),
        (HEAD + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nzzzz", "malformed answer"),
        (CHUNKED, "truncated"),
        (CHUNKED + b"5\r\nab", "truncated"),
        (CHUNKED + b"2\r\nab\r\n", "truncated"),
        (CHUNKED + b"2\r\nab\r\n0\r\nX-Trailer: a\r\n", "truncated"),
        (CHUNKED + b"-2\r\nab\r\n0\r\n\r\n", "malformed answer"),
        (CHUNKED + b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n", "malformed answer"),
        (CHUNKED + b"2\r\nabcd\r\n0\r\n\r\n", "malformed answer"),
        (CHUNKED + b"1" * 200_000, "malformed answer"),
        (CHUNKED + b"2\r\nab\r\n0\r\n" + b"X" * 200_000, "malformed answer"),
    ],
    ids=[
        "half a head", "no colon", "no gzip", "no chunk", "half a chunk", "no last chunk", "half the trailers",
        "negative chunk", "underscore", "chunk too long", "endless size", "endless trailer",
    ],
)  # fmt: skip
def test_an_answer_that_breaks_off_or_breaks_the_rules_may_mean_that_it_was_received(
    raw: bytes, reason: str, serve: Any
) -> None:
    def script(connection: socket.socket, server: Server) -> None:
        server.read(connection)
        connection.sendall(raw)

    server = serve(script)
    transport = Http11Transport(timeout=5)
    assert post(transport, server.url()) == NoResponse(reason=reason, sent=True)
    assert isinstance(post(transport, server.url()), NoResponse)
    assert server.connections == 2  # such a connection is not kept
    transport.close()


def test_a_chunk_larger_than_one_receive_is_put_together(serve: Any) -> None:
    chunk = bytes(range(256)) * 1_024
    transport = Http11Transport()
    answer = post(transport, serve(CHUNKED + b"%x\r\n%s\r\n0\r\n\r\n" % (len(chunk), chunk)).url())
    assert isinstance(answer, Response)
    assert answer.body == chunk
    transport.close()


def test_a_chunked_answer_without_end_ends(serve: Any) -> None:
    def script(connection: socket.socket, server: Server) -> None:
        server.read(connection)
        connection.sendall(CHUNKED)
        while not server.over.is_set():
            connection.sendall(b"10000\r\n" + b"x" * 65_536 + b"\r\n")

    transport = Http11Transport(timeout=5)
    answer = post(transport, serve(script).url())
    assert isinstance(answer, Response)
    assert len(answer.body) == 1 << 20
    transport.close()


def test_time_that_passes_between_two_pieces_counts(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = itertools.count()
    monkeypatch.setattr(http11, "time", SimpleNamespace(monotonic=lambda: float(next(seconds))))
    transport = Http11Transport(timeout=20)
    assert post(transport, serve(drip_body).url()) == NoResponse(reason="timeout", sent=True)
    transport.close()


def test_without_time_nothing_is_sent(make: Any, serve: Any) -> None:
    server = serve()
    transport = make()
    assert post(transport, server.url(), timeout=0) == NoResponse(reason="timeout", sent=False)
    assert isinstance(post(transport, server.url("/first")), Response)
    assert post(transport, server.url(), timeout=0) == NoResponse(reason="timeout", sent=False)
    assert [request.split()[1] for request in server.requests] == [b"/first"]


def reset(connection: socket.socket) -> None:
    """End a connection the rude way."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    connection.close()


@pytest.mark.parametrize("kind", ["requests", "http11"])
def test_a_reset_before_the_body_has_left_is_not_sent(kind: str, serve: Any) -> None:
    def script(connection: socket.socket, server: Server) -> None:
        connection.recv(1_000)
        reset(connection)

    transport = MAKERS[kind](timeout=5)
    assert post(transport, serve(script).url(), b"x" * 30_000_000) == NoResponse(reason="reset", sent=False)
    transport.close()


def test_a_kept_connection_that_breaks_before_the_body_has_left_is_replaced(serve: Any) -> None:
    def script(connection: socket.socket, server: Server) -> None:
        first = server.connections == 1
        server.read(connection)
        connection.sendall(OK)
        if first:
            connection.recv(1_000)
            reset(connection)

    server = serve(script)
    transport = Http11Transport(timeout=10)
    assert isinstance(post(transport, server.url()), Response)
    body = b"x" * 30_000_000
    assert isinstance(post(transport, server.url(), body), Response)
    assert server.requests[-1].endswith(b"\r\n\r\n" + body)
    assert server.connections == 2
    transport.close()


def test_a_kept_connection_that_was_reset_meanwhile_costs_nothing(serve: Any) -> None:
    def script(connection: socket.socket, server: Server) -> None:
        server.read(connection)
        connection.sendall(OK)
        if server.connections == 1:
            reset(connection)

    server = serve(script)
    transport = Http11Transport()
    assert isinstance(post(transport, server.url()), Response)
    ((kept,),) = transport._idle.values()
    assert select.select([kept._sock], [], [], 5)[0]  # the reset has come
    assert isinstance(post(transport, server.url()), Response)
    assert server.connections == 2
    transport.close()


def test_so_many_connections_are_kept_and_no_more(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http11, "_KEEP", 1)
    both = threading.Barrier(2, timeout=10)

    def script(connection: socket.socket, server: Server) -> None:
        server.read(connection)
        both.wait()
        connection.sendall(OK)
        while server.read(connection):
            connection.sendall(OK)

    server = serve(script)
    transport = Http11Transport(timeout=10)
    threads = [threading.Thread(target=post, args=(transport, server.url())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert [len(connections) for connections in transport._idle.values()] == [1]
    assert isinstance(post(transport, server.url()), Response)
    assert server.connections == 2
    transport.close()


def test_a_server_that_does_not_take_connections_is_within_the_deadline(make: Any) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        with contextlib.ExitStack() as stack:
            for _ in range(3):  # fill the line before the door
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(listener.getsockname())
            answer = post(make(timeout=0.3), f"http://127.0.0.1:{listener.getsockname()[1]}/x")
    assert isinstance(answer, NoResponse)
    assert answer.reason == "timeout"


def test_a_network_that_is_not_there_is_not_sent(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(self: socket.socket, address: Any) -> None:
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", unreachable)
    assert post(make(), "http://127.0.0.1:9/x") == NoResponse(reason="unreachable", sent=False)


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/x", "http://[::1/x", "http://127.0.0.1:port/x"])
def test_an_address_with_a_broken_host_or_port_is_permanent(make: Any, url: str) -> None:
    answer = post(make(), url)
    assert isinstance(answer, NoResponse)
    assert answer.permanent


def test_an_address_that_needs_quoting_is_quoted(make: Any, serve: Any) -> None:
    server = serve()
    transport = make()
    assert isinstance(post(transport, server.url("/a b?c=d")), Response)
    assert isinstance(post(transport, server.url("/a?c=ä")), Response)
    assert [request.split()[1] for request in server.requests] == [b"/a%20b?c=d", b"/a?c=%C3%A4"]


def test_addresses_with_everything_in_the_query_do_not_pile_up(serve: Any) -> None:
    server = serve()
    transport = Http11Transport()
    for n in range(600):
        assert isinstance(post(transport, server.url(f"/p.gif?n={n}")), Response)
    assert len(transport._parsed) < 500
    transport.close()


def test_what_frames_a_request_cannot_be_said_by_a_header(serve: Any) -> None:
    server = serve()
    transport = Http11Transport()
    headers = {"Host": "evil", "Content-Length": "999", "Transfer-Encoding": "chunked", "Accept": "image/gif",
               "User-Agent": "mine", "X-Page": "日本", "X-Name": "Zoë"}  # fmt: skip
    assert isinstance(transport.send(Request(url=server.url(), headers=headers, body=b"hi")), Response)
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert b"evil" not in head
    assert b"chunked" not in head
    assert head.count(b"Content-Length: 2") == head.count(b"Accept: ") == head.count(b"User-Agent: mine") == 1
    assert "X-Page: 日本".encode() in head
    assert "X-Name: Zoë".encode("latin-1") in head
    assert body == b"hi"
    transport.close()


@pytest.mark.parametrize("loading", [True, False], ids=["half loaded", "not loaded"])
def test_requests_that_is_not_there_yet_does_not_count_as_replaced(
    serve: Any, monkeypatch: pytest.MonkeyPatch, loading: bool
) -> None:
    if loading:
        monkeypatch.setitem(sys.modules, "requests", ModuleType("requests"))
    else:
        monkeypatch.delitem(sys.modules, "requests")
    transport = Http11Transport()
    assert isinstance(post(transport, serve().url()), Response)
    transport.close()


# -- the thread that can be left behind ---------------------------------------------------------------------------


def test_an_exchange_that_is_given_up_is_cut_off_where_it_stands(serve: Any) -> None:
    request = Request(url=serve(drip_chunks).url(), body=b"x")
    exchange = requests_transport._Exchange(
        requests_transport._new_session(), request, time.monotonic() + 0.2, ours=True
    )
    assert exchange.run() == NoResponse(reason="timeout", sent=True)


def test_an_exchange_that_is_given_up_before_it_connects_sends_nothing(serve: Any) -> None:
    server = serve()
    session = requests_transport._new_session()
    request = Request(url=server.url(), body=b"x")
    late = requests_transport._Exchange(session, request, time.monotonic() - 1, ours=True)
    assert late.run() == NoResponse(reason="timeout", sent=False)
    given_up = requests_transport._Exchange(session, request, time.monotonic() + 5, ours=True)
    given_up.abandon()
    answer = given_up.run()
    assert isinstance(answer, NoResponse)
    assert not answer.sent
    assert server.requests == []
    with socket.socket() as gone:
        given_up.connected(gone)
    given_up.abandon()  # its socket is closed already


def test_our_session_without_an_exchange_is_a_session_like_any(serve: Any) -> None:
    with requests_transport._new_session() as session:
        assert session.post(serve().url(), data=b"x", timeout=5).text == "ok"


def test_two_first_requests_at_once_share_one_session(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = threading.Semaphore(0)

    class Watched:
        """A lock that says when somebody asks for it."""

        def __init__(self) -> None:
            self.inner = threading.Lock()

        def __enter__(self) -> None:
            asked.release()
            self.inner.acquire()

        def __exit__(self, *error: object) -> None:
            self.inner.release()

    made: list[requests.Session] = []
    really = requests_transport._new_session

    def new_session() -> requests.Session:
        for _ in range(2):  # the one that is here, and the one that waits behind
            assert asked.acquire(timeout=10)
        made.append(really())
        return made[-1]

    monkeypatch.setattr(requests_transport, "_new_session", new_session)
    transport = RequestsTransport(timeout=10)
    transport._lock = Watched()  # type: ignore[assignment]  # it is one, as far as it is used
    answers: list[Any] = []
    url = serve().url()
    threads = [threading.Thread(target=lambda: answers.append(post(transport, url))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert [type(answer) for answer in answers] == [Response, Response]
    assert len(made) == 1
    transport.close()


def test_where_no_thread_can_be_started_the_caller_does_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def ending(self: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", ending)
    assert Abandonable().run(threading.get_ident, 5) == (True, threading.get_ident())


def test_so_many_idle_threads_are_kept_and_no_more() -> None:
    threads = Abandonable(keep=1)
    one_inside = threading.Event()
    let_go = threading.Event()
    inside: list[Any] = []

    def outer() -> str:
        one_inside.set()
        let_go.wait(10)
        return "outer"

    other = threading.Thread(target=lambda: inside.append(threads.run(outer, 10)))
    other.start()
    assert one_inside.wait(10)
    assert threads.run(lambda: "inner", 10) == (True, "inner")
    let_go.set()
    other.join(10)
    assert inside == [(True, "outer")]
    assert len(threads._idle) == 1
    threads.close()
    assert threads._idle == []


@pytest.mark.parametrize("headers", [{"X-A": "b\r\nX-Evil: 1"}, {"X\r\nA": "b"}])
def test_a_header_cannot_be_split(make: Any, serve: Any, headers: dict[str, str]) -> None:
    server = serve()
    answer = make().send(Request(url=server.url(), headers=headers, body=b"x"))
    assert isinstance(answer, NoResponse)
    assert answer.permanent
    assert not any(b"evil" in request.lower() for request in server.requests)


def test_an_address_that_is_none_is_permanent(make: Any) -> None:
    answer = post(make(), "http://")
    assert isinstance(answer, NoResponse)
    assert answer.permanent


# -- what may be known --------------------------------------------------------------------------------------------


def test_no_logger_says_where_a_hit_went(make: Any, serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    server = serve()
    with caplog.at_level(logging.DEBUG):
        for name in ("urllib3", "urllib3.connectionpool", "urllib3.util.retry", "requests"):
            logging.getLogger(name).setLevel(logging.DEBUG)
        transport = make(timeout=0.5)
        post(transport, server.url())
        post(transport, f"http://127.0.0.1:{free_port()}/x?api_secret=s3cr3t")
        post(transport, "http://")
    assert "s3cr3t" not in caplog.text
    assert "12.34" not in caplog.text


def test_the_application_s_own_requests_are_logged_as_ever(serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    server = serve()
    transport = RequestsTransport()
    post(transport, server.url())
    with caplog.at_level(logging.DEBUG):
        requests.get(server.url("/mine"), timeout=5)
    assert "/mine" in caplog.text
    transport.close()


# -- what a caller brings -----------------------------------------------------------------------------------------


def test_a_caller_s_session_is_used_as_it_is(serve: Any) -> None:
    server = serve()
    session = requests.Session()
    session.headers["X-Mine"] = "yes"
    session.params = {"added": "1"}  # type: ignore[assignment]  # what people do
    transport = RequestsTransport(session=session)
    post(transport, server.url("/x"))
    assert b"/x?added=1" in server.requests[0]
    assert b"X-Mine: yes" in server.requests[0]
    transport.close()
    assert isinstance(post(transport, server.url()), Response)  # closing left the caller's session alone
    session.close()


def test_a_caller_s_adapter_is_used() -> None:
    session = requests.Session()
    mock = requests_mock.Adapter()
    mock.register_uri("POST", "mock://stats/x", json={"ok": 1}, headers={"X-A": "b"})
    session.mount("mock://", mock)
    answer = RequestsTransport(session=session).send(Request(url="mock://stats/x", body=b"hi"))
    assert isinstance(answer, Response)
    assert json.loads(answer.body) == {"ok": 1}
    assert mock.last_request.body == b"hi"


@pytest.mark.parametrize("kind", ["requests", "http11", "default", "background"])
def test_requests_mock_works_the_way_people_know(kind: str) -> None:
    with requests_mock.Mocker() as mock:
        mock.post("https://stats.example.com/x", status_code=204)
        answer = post(MAKERS[kind](), "https://stats.example.com/x?a=1", b"body")
        assert isinstance(answer, Response)
        assert answer.status == 204
        assert mock.last_request.text == "body"
        assert mock.last_request.qs == {"a": ["1"]}


def test_an_exception_that_a_mock_raises_is_a_value() -> None:
    with requests_mock.Mocker() as mock:
        mock.post("https://stats.example.com/x", exc=requests.exceptions.ReadTimeout)
        assert post(RequestsTransport(), "https://stats.example.com/x") == NoResponse(reason="timeout", sent=True)
        mock.post("https://stats.example.com/x", exc=requests.exceptions.ConnectionError("https://stats.example.com/x"))
        answer = post(RequestsTransport(), "https://stats.example.com/x")
        assert isinstance(answer, NoResponse)
        assert "example" not in answer.reason


@pytest.mark.parametrize("kind", ["requests", "http11"])
def test_a_proxy_of_the_environment_is_used(kind: str, serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = serve()
    monkeypatch.setenv("HTTP_PROXY", proxy.url(""))
    monkeypatch.setenv("http_proxy", proxy.url(""))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    transport = MAKERS[kind]()
    assert isinstance(post(transport, "http://stats.example.com/x"), Response)
    assert proxy.requests[0].startswith(b"POST http://stats.example.com/x HTTP/1.1")
    transport.close()


@pytest.mark.parametrize("kind", ["requests", "http11"])
def test_a_netrc_is_not_read(kind: str, serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password s3cr3t\n")
    monkeypatch.setenv("NETRC", str(netrc))
    server = serve()
    transport = MAKERS[kind]()
    post(transport, server.url("/x"))
    transport.close()
    assert b"authorization" not in server.requests[0].lower()


def test_no_session_and_no_mock_is_asked_for_twice_what_it_said_once() -> None:
    transport = Http11Transport()
    with requests_mock.Mocker() as mock:
        mock.post("https://stats.example.com/x", status_code=204)
        for _ in range(2):
            assert isinstance(post(transport, "https://stats.example.com/x"), Response)
        assert mock.call_count == 2
    transport.close()


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (requests.exceptions.ConnectTimeout, NoResponse(reason="timeout", sent=False)),
        (requests.exceptions.ProxyError, NoResponse(reason="proxy", sent=False)),
        (requests.exceptions.SSLError, NoResponse(reason="tls", sent=False)),
        (requests.exceptions.ChunkedEncodingError, NoResponse(reason="truncated", sent=True)),
        (ConnectionResetError, NoResponse(reason="reset", sent=True)),
        (ZeroDivisionError, NoResponse(reason="ZeroDivisionError", sent=False)),
    ],
)
def test_what_an_adapter_raises_is_a_word(error: type[Exception], answer: NoResponse) -> None:
    with requests_mock.Mocker() as mock:
        mock.post("https://stats.example.com/x", exc=error)
        assert post(RequestsTransport(), "https://stats.example.com/x") == answer


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def by(url: str) -> None:
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)

    return by


@pytest.mark.parametrize("kind", ["requests", "http11"])
def test_a_proxy_that_is_down_is_not_sent(kind: str, proxied: Callable[[str], None]) -> None:
    proxied(f"http://127.0.0.1:{free_port()}")
    transport = MAKERS[kind]()
    assert post(transport, "http://stats.example.com/x") == NoResponse(reason="proxy", sent=False)
    transport.close()


@pytest.mark.parametrize("kind", ["requests", "http11"])
def test_a_proxy_needs_no_library_for_socks(
    kind: str, serve: Any, proxied: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*args: Any, **kwargs: Any) -> Any:  # what stands there without PySocks
        raise requests.exceptions.InvalidSchema("Missing dependencies for SOCKS support.")

    monkeypatch.setattr(requests.adapters, "SOCKSProxyManager", missing)
    proxied(serve().url(""))
    transport = MAKERS[kind]()
    assert isinstance(post(transport, "http://stats.example.com/x"), Response)
    proxied("socks5://127.0.0.1:9")
    assert post(transport, "http://stats.example.com/x") == NoResponse(
        reason="bad request: InvalidSchema", permanent=True
    )
    transport.close()


def test_a_socks_proxy_keeps_connections_of_its_own(
    serve: Any, proxied: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = urllib3.PoolManager()
    own = dict(manager.pool_classes_by_scheme)
    monkeypatch.setattr(requests.adapters, "SOCKSProxyManager", lambda proxy, **options: manager)
    proxied("socks5://127.0.0.1:9")
    transport = RequestsTransport()
    assert isinstance(post(transport, serve().url("/x").replace("127.0.0.1", "localhost")), Response)
    assert manager.pool_classes_by_scheme == own
    transport.close()


# -- TLS ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=place, check=True, capture_output=True,
    )  # fmt: skip
    return place


@pytest.fixture
def secure(serve: Any, certificate: Path) -> Server:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")

    def script(connection: socket.socket, server: Server) -> None:
        with context.wrap_socket(connection, server_side=True) as wrapped:
            while server.read(wrapped):
                wrapped.sendall(OK)

    server: Server = serve(script)
    return server


@pytest.mark.parametrize("kind", ["requests", "http11"])
@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_tls_speaks_to_a_trusted_server_and_keeps_the_connection(
    kind: str, variable: str, secure: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(variable, str(certificate / "cert.pem"))
    transport = MAKERS[kind](timeout=5)
    for _ in range(3):
        assert isinstance(post(transport, f"https://localhost:{secure.port}/x"), Response)
    assert secure.connections == 1
    transport.close()


def test_tls_reads_its_certificates_once(secure: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate / "cert.pem"))
    transport = Http11Transport(timeout=5)
    url = f"https://localhost:{secure.port}/x"
    assert isinstance(post(transport, url), Response)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate / "no-such-file"))
    transport.close()
    assert isinstance(post(transport, url), Response)
    assert secure.connections == 2
    transport.close()


@pytest.mark.parametrize("kind", ["requests", "http11"])
def test_tls_refuses_a_stranger(kind: str, secure: Server) -> None:
    answer = post(MAKERS[kind](timeout=5), f"https://localhost:{secure.port}/x")
    assert answer == NoResponse(reason="tls", sent=False)
    assert secure.requests == []


# -- forks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["requests", "http11", "session"])
def test_a_forked_child_speaks_on_a_connection_of_its_own(kind: str, serve: Any) -> None:
    server = serve()
    transport = MAKERS[kind]()
    assert isinstance(post(transport, server.url("/parent")), Response)
    child = os.fork()
    if child == 0:
        answer = post(transport, server.url("/child"))
        os._exit(0 if isinstance(answer, Response) else 1)
    _, status = os.waitpid(child, 0)
    assert status == 0
    assert isinstance(post(transport, server.url("/parent")), Response)
    assert server.connections == 2
    transport.close()


@pytest.mark.parametrize("kind", ["requests", "http11", "session"])
def test_a_child_that_closes_what_it_inherited_leaves_it_to_its_parent(kind: str, serve: Any) -> None:
    server = serve()
    session = requests.Session() if kind == "session" else None
    transport = RequestsTransport(session=session) if kind != "http11" else Http11Transport()
    assert isinstance(post(transport, server.url("/parent")), Response)
    child = os.fork()
    if child == 0:
        transport.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert isinstance(post(transport, server.url("/parent")), Response)
    assert server.connections == 1
    transport.close()


def test_a_forked_child_uses_a_caller_s_adapter_that_has_no_pool() -> None:
    session = requests.Session()
    mock = requests_mock.Adapter()
    mock.register_uri("POST", "mock://stats/x", status_code=204)
    session.mount("mock://", mock)
    transport = RequestsTransport(session=session)
    child = os.fork()
    if child == 0:
        os._exit(0 if isinstance(post(transport, "mock://stats/x"), Response) else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_child_forked_while_a_file_is_written_writes_too(tmp_path: Path) -> None:
    transport = LocalTransport(timeout=5)
    with transport._lock:
        child = os.fork()
        if child == 0:
            os._exit(0 if transport.send(line(tmp_path / "hits", "child")) == Response(status=200) else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert transport.send(line(tmp_path / "hits", "parent"), timeout=0.05) == NoResponse(reason="timeout")
    assert (tmp_path / "hits").read_text() == "child\n"


# -- files and the standard output --------------------------------------------------------------------------------


def line(path: Path, text: str, query: str = "") -> Request:
    return Request(url=f"file://{path}{query}", body=text.encode() + b"\n")


def test_lines_are_appended_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "a b.ndjson"
    transport = LocalTransport()
    url = Path(str(path).replace(" ", "%20"))
    for n in range(3):
        assert transport.send(line(url, f'{{"n":{n}}}')) == Response(status=200)
    assert [json.loads(text)["n"] for text in path.read_text().splitlines()] == [0, 1, 2]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_rotates_by_size_and_keeps_so_many(tmp_path: Path) -> None:
    path = tmp_path / "hits"
    transport = LocalTransport()
    for n in range(40):
        transport.send(line(path, f"{n:09}", "?rotate=50&keep=2"))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["hits", "hits.1", "hits.2"]
    assert path.read_text().split()[-1] == f"{39:09}"
    assert all(file.stat().st_size <= 50 for file in tmp_path.iterdir())


def test_many_processes_write_whole_lines_through_rotations(tmp_path: Path) -> None:
    path = tmp_path / "hits"
    children = []
    for child in range(4):
        pid = os.fork()
        if pid == 0:
            transport = LocalTransport(timeout=20)
            done = all(
                transport.send(line(path, f"{child}-{n}-" + "x" * 100, "?rotate=4000&keep=1000"))
                == Response(status=200)
                for n in range(100)
            )
            os._exit(0 if done else 1)
        children.append(pid)
    assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)
    lines = [text for file in tmp_path.iterdir() for text in file.read_text().splitlines()]
    assert {text.rsplit("-", 1)[0] for text in lines} == {f"{child}-{n}" for child in range(4) for n in range(100)}
    assert len(lines) == 400
    assert {len(text.rsplit("-", 1)[1]) for text in lines} == {100}


def test_a_file_that_cannot_be_is_permanent_and_a_full_disk_is_not(tmp_path: Path) -> None:
    transport = LocalTransport()
    answer = transport.send(line(tmp_path / "missing" / "hits", "x"))
    assert answer == NoResponse(reason="file: ENOENT", permanent=True)
    assert transport.send(line(tmp_path, "x")) == NoResponse(reason="file: EISDIR", permanent=True)
    if os.path.exists("/dev/full"):
        assert transport.send(line(Path("/dev/full"), "x")) == NoResponse(reason="disk full")


def test_a_locked_file_is_waited_for_and_given_up(tmp_path: Path) -> None:
    import fcntl

    path = tmp_path / "hits"
    with path.open("a") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        assert LocalTransport(timeout=0.05).send(line(path, "x")) == NoResponse(reason="timeout")


@pytest.mark.parametrize("replaced", [True, False], ids=["rotated", "removed"])
def test_a_file_that_went_while_its_lock_was_waited_for_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replaced: bool
) -> None:
    path = tmp_path / "hits"
    path.write_text("before\n")
    locked = local._locked

    def slowly(fd: int, deadline: float) -> bool:
        monkeypatch.setattr(local, "_locked", locked)
        path.rename(tmp_path / "hits.1")
        if replaced:
            path.write_text("other\n")
        return locked(fd, deadline)

    monkeypatch.setattr(local, "_locked", slowly)
    assert LocalTransport().send(line(path, "mine")) == Response(status=200)
    assert path.read_text() == ("other\nmine\n" if replaced else "mine\n")
    assert (tmp_path / "hits.1").read_text() == "before\n"


def test_half_a_line_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "hits"
    transport = LocalTransport()
    assert transport.send(line(path, "whole")) == Response(status=200)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))  # as a disk that is full after four bytes more
    try:
        assert transport.send(line(path, "too long for it")) == NoResponse(reason="disk full")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert transport.send(line(path, "again")) == Response(status=200)
    assert path.read_text() == "whole\nagain\n"


def test_nothing_rotated_is_kept_when_none_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "hits"
    for n in range(9):
        assert LocalTransport().send(line(path, f"{n:09}", "?rotate=25&keep=0")) == Response(status=200)
    assert [file.name for file in tmp_path.iterdir()] == ["hits"]
    assert path.read_text().split()[-1] == f"{8:09}"


def test_the_standard_output_is_written_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    assert LocalTransport().send(Request(url="stdout:", body="ä\n".encode())) == Response(status=200)
    assert out.getvalue() == "ä\n"
    out.close()
    assert LocalTransport().send(Request(url="stdout:", body=b"x")) == NoResponse(
        reason="standard output: ValueError", permanent=True
    )
    monkeypatch.setattr(sys, "stdout", None)
    answer = LocalTransport().send(Request(url="stdout:", body=b"x"))
    assert isinstance(answer, NoResponse)
    assert answer.permanent


def test_the_default_transport_chooses_by_scheme(tmp_path: Path, serve: Any) -> None:
    transport = default_transport(background=True)
    assert transport.send(line(tmp_path / "x", "y")) == Response(status=200)
    assert isinstance(post(transport, serve().url()), Response)
    answer = transport.send(Request(url="gopher://x"))
    assert isinstance(answer, NoResponse)
    assert answer.permanent
    transport.close()
    transport.close()
    assert isinstance(post(transport, serve().url()), Response)  # closed is not over
    transport.close()


def test_sending_in_the_background_does_not_load_requests() -> None:
    code = (
        "import sys\n"
        "from analytical.transports.default import default_transport\n"
        "from analytical.http import Request\n"
        f"print(default_transport(background=True).send(Request(url='http://127.0.0.1:{free_port()}/')).reason)\n"
        "assert 'requests' not in sys.modules\n"
    )
    # A coverage tool that starts itself in every process would be taken for the package's doing.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=env)
    assert (done.returncode, done.stdout.strip()) == (0, "refused"), done.stderr
