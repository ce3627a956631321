"""A server that takes everything and counts it, in a process of its own: the other end of every measurement.

It answers what each platform's SDK wants to hear. A delay makes it a distant platform; connections are served
concurrently, so that the delay is latency and not a limit. ``limits`` measures what the server itself can take.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import multiprocessing
import socket
import sys
import time
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Stands once in every hit that a client sends.
MARK = b"bench-mark"


class Counter:
    """Counts requests, bytes and marks."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.begin()

    def begin(self) -> None:
        self.requests = self.octets = self.marks = 0

    def control(self, path: bytes) -> bytes:
        """Obey ``/-/reset`` and ``/-/delay/SECONDS``; answer with the counts."""
        if path == b"/-/reset":
            self.begin()
        elif path.startswith(b"/-/delay/"):
            self.delay = float(path.rsplit(b"/", 1)[1])
        counts = {"requests": self.requests, "octets": self.octets, "marks": self.marks}
        return _http(200, json.dumps(counts).encode())


class Connection(asyncio.Protocol):
    """One connection: a request, its answer, the next request."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (found := _request(self._buffer)) is not None:
            head, body, used = found
            del self._buffer[:used]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        counter = self._counter
        path = head.split(b" ", 2)[1]
        if path.startswith(b"/-/"):
            self._transport.write(counter.control(path))
            return
        if b"content-encoding: gzip" in head.lower():
            body = gzip.decompress(body)
        marks = body.count(MARK) + path.count(MARK)
        counter.requests += 1
        counter.octets += len(head) + len(body)
        counter.marks += marks
        if counter.delay:
            asyncio.get_running_loop().call_later(counter.delay, self._transport.write, _answer(path, marks))
        else:
            self._transport.write(_answer(path, marks))


def _request(data: bytearray) -> tuple[bytes, bytes, int] | None:
    """Return the head and the body of the first request and the bytes that they take; ``None`` if it is not whole."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head, start = bytes(data[:end]), end + 4
    lowered = head.lower()
    at = lowered.find(b"content-length:")
    if at >= 0:
        size = int(lowered[at + 15 :].split(b"\r\n", 1)[0])
        return (head, bytes(data[start : start + size]), start + size) if len(data) >= start + size else None
    if b"transfer-encoding: chunked" not in lowered:
        return head, b"", start
    body = b""
    while (line := data.find(b"\r\n", start)) >= 0:
        size = int(data[start:line].split(b";")[0], 16)
        start = line + 2 + size + 2
        if len(data) < start:
            break
        if not size:
            return head, body, start
        body += data[line + 2 : line + 2 + size]
    return None


def _answer(path: bytes, found: int) -> bytes:
    if path.startswith(b"/2/httpapi"):
        return _http(200, b'{"code":200,"events_ingested":1,"payload_size_bytes":1,"server_upload_time":1}')
    if path.startswith((b"/track", b"/import")):
        return _http(200, b'{"status":1,"error":null}' if path.startswith(b"/track") else b'{"code":200,"status":"OK"}')
    if path.startswith((b"/matomo", b"/piwik")):
        return _http(200, json.dumps({"status": "success", "tracked": found, "invalid": 0}).encode())
    if path.startswith((b"/mp/collect", b"/g/collect")):
        return b"HTTP/1.1 204 No Content\r\n\r\n"
    if path.startswith(b"/api/event"):
        return _http(202, b"ok")
    if path.startswith((b"/batch", b"/i/v")):
        return _http(200, b'{"status":"Ok"}')
    return _http(200, b'{"success":true}')


def _http(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        status,
        len(body),
        body,
    )


def _run(connection: Any, delay: float) -> None:
    async def main() -> None:
        counter = Counter(delay)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(counter), "127.0.0.1", 0, backlog=512)
        connection.send(server.sockets[0].getsockname()[1])
        async with server:
            await server.serve_forever()

    asyncio.run(main())


class Sink:
    """The server as its user sees it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def counts(self) -> dict[str, int]:
        """Return what arrived since the last reset."""
        return self._ask("counts")

    def reset(self, *, delay: float = 0.0) -> None:
        """Begin again, answering after ``delay`` seconds."""
        self._ask(f"delay/{delay}")
        self._ask("reset")

    def _ask(self, what: str) -> dict[str, int]:
        with urllib.request.urlopen(f"{self.url}/-/{what}", timeout=30) as answer:
            return json.loads(answer.read())  # type: ignore[no-any-return]


@contextmanager
def sink(delay: float = 0.0) -> Iterator[Sink]:
    """Run the server for the time of a ``with`` block."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(theirs, delay), daemon=True)
    process.start()
    theirs.close()  # so that a server that does not start is an end of file here, and no wait
    try:
        yield Sink(ours.recv())
    finally:
        process.terminate()
        process.join(5)


def limits(to: Sink, *, seconds: float = 1.0) -> tuple[float, float]:
    """Return what the server takes at most: hits a second in batches of 100, and requests a second of one hit each.

    Requests that were made beforehand, over four kept connections, written without waiting for their turn.
    """
    to.reset()
    one = b'{"title":"%s","url":"https://shop.example/products/1","referrer":"https://www.search.example/"}' % MARK
    return _press(to, b'{"batch":[%s]}' % b",".join([one] * 100), 100, seconds), _press(to, one, 1, seconds)


def _press(to: Sink, body: bytes, hits: int, seconds: float) -> float:
    message = b"POST /batch/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    connections = [socket.create_connection(("127.0.0.1", to.port)) for _ in range(4)]
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        for connection in connections:
            connection.sendall(message)
        for connection in connections:
            connection.recv(65_536)
        count += len(connections)
    rate = count * hits / (time.perf_counter() - began)
    for connection in connections:
        connection.close()
    return rate


if __name__ == "__main__":
    with sink() as running:
        print(running.url)
        sys.stdin.read()
