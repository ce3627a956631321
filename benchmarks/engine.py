"""The engine alone, measured: what a put costs, how fast a spool is emptied, what a waiting hit takes.

    python benchmarks/engine.py [--hits 20000] [--repeats 5] [--million]

Each number is the median of the repeats; times of the caller are its thread's CPU time and its wall time, so that
a busy machine can be told from a slow program.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import socket
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from analytical.delivery.thread import ThreadDelivery
from analytical.hit import Hit, new_id
from analytical.http import NoResponse, Request
from analytical.observe import Ledger
from analytical.route import Route
from analytical.spool import Spool
from analytical.spool.memory import MemorySpool
from analytical.spool.sqlite import SqliteSpool
from analytical.transports.http11 import Http11Transport
from analytical.transports.requests import RequestsTransport
from analytical.verdict import UNCONFIRMED, Verdict, retry

BATCH = 100


def make_hit(number: int) -> Hit:
    return Hit(
        id=new_id(),
        kind="pageview",
        time=time.time(),
        url=f"https://www.example.com/catalogue/page-{number}?utm_source=newsletter&utm_medium=email",
        title=f"Catalogue, page {number} – Example",
        referrer="https://www.example.org/search",
        client_ip=f"12.{number % 250}.0.0",
        user_agent=f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/{number % 40}.0.0.0 Safari",
        language="de-DE",
        client_id=f"{number % 1000:010}.1700000000",
    )


def sink(pipe: Any, delay: float = 0.0) -> None:
    """Answer every request as fast as Python can: a selector loop over plain sockets, in a process of its own."""
    import selectors

    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    listener.setblocking(False)
    pipe.send(listener.getsockname()[1])
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    waiting: dict[Any, tuple[bytearray, int]] = {}
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    later: list[tuple[float, Any]] = []
    while True:
        pause = max(0.0, later[0][0] - time.monotonic()) if later else None
        for key, _ in selector.select(pause):
            connection: Any = key.fileobj
            if connection is listener:
                connection, _ = listener.accept()
                connection.setblocking(False)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(connection, selectors.EVENT_READ)
                waiting[connection] = (bytearray(), 0)
                continue
            try:
                data = connection.recv(1 << 18)
            except OSError:
                data = b""
            if not data:
                selector.unregister(connection)
                waiting.pop(connection)
                connection.close()
                continue
            buffer, need = waiting[connection]
            buffer += data
            if not need:
                end = buffer.find(b"\r\n\r\n")
                if end < 0:
                    continue
                low = bytes(buffer[:end]).lower()
                at = low.find(b"content-length:")
                need = end + 4 + (int(low[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0)
            if len(buffer) >= need:
                waiting[connection] = (bytearray(), 0)
                if delay:
                    later.append((time.monotonic() + delay, connection))
                else:
                    connection.sendall(answer)
            else:
                waiting[connection] = (buffer, need)
        while later and later[0][0] <= time.monotonic():
            later.pop(0)[1].sendall(answer)


def start_sink(delay: float = 0.0) -> tuple[Any, str]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=sink, args=(theirs, delay), daemon=True)
    process.start()
    return process, f"http://127.0.0.1:{ours.recv()}/batch"


def median(measure: Callable[[], float], repeats: int) -> tuple[float, float]:
    values = [measure() for _ in range(repeats)]
    return statistics.median(values), max(values) - min(values)


def say(what: str, value: float, spread: float, unit: str) -> None:
    print(f"{what:<64} {value:>12,.2f} {unit:<10} ± {spread / 2:,.2f}")


def put_cost(spool: Spool, hits: Sequence[Hit], clock: Callable[[], float]) -> float:
    spool.attach("bench")
    put = spool.put
    begun = clock()
    for hit in hits:
        put("bench", hit)
    return (clock() - begun) / len(hits) * 1e6


def take_cost(spool: Spool) -> float:
    begun, count, now = time.process_time(), 0, time.time()
    while entries := spool.take(BATCH, now, to="bench"):
        count += len(entries)
        spool.settle(entries, [UNCONFIRMED] * len(entries), now)
    return (time.process_time() - begun) / count * 1e6


def end_to_end(
    url: str, hits: Sequence[Hit], transport: Any, *, spool: Any = None, batch: int = BATCH, connections: int = 32
) -> tuple[float, float, float]:
    """Return hits a second, CPU seconds for a thousand, and the caller's microseconds for one."""

    def send(group: Sequence[Hit], *, timeout: float | None = None) -> list[Verdict]:
        body = json.dumps([hit.to_dict() for hit in group]).encode()
        answer = transport.send(Request(url=url, body=body, headers={"Content-Type": "application/json"}))
        return [retry() if isinstance(answer, NoResponse) else UNCONFIRMED] * len(group)

    driver = ThreadDelivery(spool, connections=connections)
    driver.attach(Route(to="bench", send=send, observer=Ledger(), max_batch=batch))
    cpu, begun, mine = time.process_time(), time.perf_counter(), time.thread_time()
    for hit in hits:
        driver.submit("bench", hit)
    mine = time.thread_time() - mine
    if not driver.flush(120):
        raise SystemExit("not everything was delivered")
    took = time.perf_counter() - begun
    cpu = time.process_time() - cpu
    driver.close(1)
    return len(hits) / took, cpu / len(hits) * 1000, mine / len(hits) * 1e6


def floor(url: str, hits: Sequence[Hit]) -> float:
    """Return hits a second of a requests.Session with batches that were built before."""
    import requests

    bodies = [
        json.dumps([hit.to_dict() for hit in hits[start : start + BATCH]]).encode()
        for start in range(0, len(hits), BATCH)
    ]
    session = requests.Session()
    begun = time.perf_counter()
    for body in bodies:
        session.post(url, data=body, timeout=5)
    rate = len(hits) / (time.perf_counter() - begun)
    session.close()
    return rate


def million(place: Path, count: int) -> None:
    spool = SqliteSpool(place / "million.db")
    spool.attach("bench")
    empty = statistics.median(put_cost(spool, [make_hit(n) for n in range(2_000)], time.thread_time) for _ in range(5))
    begun = time.perf_counter()
    for start in range(0, count, 20_000):
        for number in range(start, start + 20_000):
            spool.put("bench", make_hit(number))
        spool._gather()
    print(f"{count:,} hits put and filed in {time.perf_counter() - begun:.1f} s; waiting: {spool.waiting('bench'):,}")
    full = statistics.median(put_cost(spool, [make_hit(n) for n in range(2_000)], time.thread_time) for _ in range(5))
    print(f"put, empty outbox {empty:.2f} µs; with {count:,} waiting {full:.2f} µs ({full / empty:.2f} ×)")
    begun, taken, now = time.perf_counter(), 0, time.time()
    while entries := spool.take(BATCH, now, to="bench"):
        taken += len(entries)
        spool.settle(entries, [UNCONFIRMED] * len(entries), now)
    took = time.perf_counter() - begun
    print(f"{taken:,} hits taken and settled in {took:.1f} s: {taken / took:,.0f} a second")
    spool.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hits", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--million", nargs="?", type=int, const=1_000_000, default=0, help="fill an outbox with so many"
    )
    options = parser.parse_args()
    hits = [make_hit(number) for number in range(options.hits)]
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        number = 0

        def durable() -> SqliteSpool:
            nonlocal number
            number += 1
            return SqliteSpool(place / f"{number}.db")

        for name, kind in (("memory", MemorySpool), ("sqlite", durable)):
            cpu = [put_cost(kind(), hits, time.thread_time) for _ in range(options.repeats)]
            wall = [put_cost(kind(), hits, time.perf_counter) for _ in range(options.repeats)]
            say(f"put, {name} (CPU)", statistics.median(cpu), max(cpu) - min(cpu), "µs")
            say(f"put, {name} (wall)", statistics.median(wall), max(wall) - min(wall), "µs")
        for kind in (MemorySpool, durable):
            values = []
            for _ in range(options.repeats):
                spool: Spool = kind()
                put_cost(spool, hits, time.thread_time)
                values.append(take_cost(spool))
                spool.close()
            say(f"take and settle, {'memory' if kind is MemorySpool else 'sqlite'} (CPU)",
                statistics.median(values), max(values) - min(values), "µs")  # fmt: skip

        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        spool = MemorySpool()
        spool.attach("bench")
        for n in range(5_000):
            spool.put("bench", make_hit(n))
        say("memory of a waiting hit", (tracemalloc.get_traced_memory()[0] - before) / 5_000, 0, "bytes")
        tracemalloc.stop()

        process, url = start_sink()
        say("requests.Session, batches built before", *median(lambda: floor(url, hits), options.repeats), "hits/s")
        for name, transport, where in (
            ("memory, http11", Http11Transport(), lambda: None),
            ("memory, requests", RequestsTransport(), lambda: None),
            ("sqlite, http11", Http11Transport(), durable),
        ):
            found = [end_to_end(url, hits, transport, spool=where()) for _ in range(options.repeats)]
            for unit, column in (("hits/s", 0), ("CPU s/1000", 1), ("µs caller", 2)):
                values = [row[column] for row in found]
                say(f"end to end, {name}", statistics.median(values), max(values) - min(values), unit)
            transport.close()
        process.kill()

        process, url = start_sink(0.05)
        for batch, connections, count in ((BATCH, 32, options.hits), (1, 32, 1_000), (1, 128, 3_000)):
            transport = Http11Transport()
            rate, _, _ = end_to_end(url, hits[:count], transport, batch=batch, connections=connections)
            say(f"50 ms round trip, {batch} a request, {connections} connections", rate, 0, "hits/s")
            transport.close()
        process.kill()
        if options.million:
            million(place, options.million)


if __name__ == "__main__":
    main()
