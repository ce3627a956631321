"""A server that takes everything and counts it, in a process of its own: the other end of every measurement.

It answers what each platform's SDK wants to hear. A delay makes it a distant platform; connections are served
concurrently, so that the delay is latency and not a limit.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import multiprocessing
import sys
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
        self.requests = self.octets = self.marks = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lowered = head.lower()
                body = b""
                at = lowered.find(b"content-length:")
                if at >= 0:
                    body = await reader.readexactly(int(lowered[at + 15 : lowered.index(b"\r\n", at)]))
                elif b"transfer-encoding: chunked" in lowered:
                    body = await self._chunks(reader)
                if b"content-encoding: gzip" in lowered:
                    body = gzip.decompress(body)
                path = head.split(b" ", 2)[1]
                if path.startswith(b"/-/"):
                    self._control(path, writer)
                    continue
                found = body.count(MARK) + path.count(MARK)
                self.requests += 1
                self.octets += len(head) + len(body)
                self.marks += found
                if self.delay:
                    await asyncio.sleep(self.delay)
                writer.write(_answer(path, found))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _chunks(self, reader: asyncio.StreamReader) -> bytes:
        whole = b""
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            whole += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
        return whole

    def _control(self, path: bytes, writer: asyncio.StreamWriter) -> None:
        if path == b"/-/reset":
            self.requests = self.octets = self.marks = 0
        elif path.startswith(b"/-/delay/"):
            self.delay = float(path.rsplit(b"/", 1)[1])
        counts = {"requests": self.requests, "octets": self.octets, "marks": self.marks}
        writer.write(_http(200, json.dumps(counts).encode()))


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
        server = await asyncio.start_server(counter.serve, "127.0.0.1", 0, limit=64 * 2**20, backlog=512)
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
    try:
        yield Sink(ours.recv())
    finally:
        process.terminate()
        process.join(5)


if __name__ == "__main__":
    with sink() as running:
        print(running.url)
        sys.stdin.read()
