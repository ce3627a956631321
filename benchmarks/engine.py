"""The engine alone, measured: what a put costs, how fast a spool is emptied, what a waiting hit takes.

    python -m benchmarks engine [--hits 20000] [--repeats 5] [--million]

Each number is the median of the repeats; times of the caller are its thread's CPU time and its wall time, so that
a busy machine can be told from a slow program.
"""

from __future__ import annotations

import argparse
import json
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
from analytical.models import Provider
from analytical.observe import Ledger
from analytical.route import Route
from analytical.spool import Spool
from analytical.spool.memory import MemorySpool
from analytical.spool.sqlite import SqliteSpool
from analytical.transports.http11 import Http11Transport
from analytical.transports.requests import RequestsTransport
from analytical.verdict import UNCONFIRMED, Verdict, retry

from .clients import page_of
from .sink import Sink, sink
from .spools import TO, child, hit_of

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


def median(measure: Callable[[], float], repeats: int) -> tuple[float, float]:
    values = [measure() for _ in range(repeats)]
    return statistics.median(values), max(values) - min(values)


def say(what: str, value: float, spread: float, unit: str) -> None:
    print(f"{what:<64} {value:>12,.2f} {unit:<10} ± {spread / 2:,.2f}")


def put_cost(spool: Spool, hits: Sequence[Hit], clock: Callable[[], float], *, to: str = "bench") -> float:
    spool.attach(to)
    put = spool.put
    begun = clock()
    for hit in hits:
        put(to, hit)
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
    """Fill one outbox, compare it with an empty one, and have one worker process empty it over HTTP."""
    path = place / "million.db"
    spool = SqliteSpool(path)
    spool.attach(TO)
    few = 2_000
    empty = put_and_take(spool, few)
    begun = time.perf_counter()
    while (waiting := spool.waiting(TO)) < count:
        for number in range(waiting, min(waiting + 20_000, count)):
            spool.put(TO, hit_of(number))
        spool._gather()
    print(f"{count:,} hits put and filed in {time.perf_counter() - begun:.1f} s; waiting: {spool.waiting(TO):,}")
    full = put_and_take(spool, few)
    for what, before, after in zip(("put", "take and settle"), empty, full, strict=True):
        print(f"{what}: {before:.2f} µs a hit, outbox empty; {after:.2f} µs, {count:,} waiting: {after / before:.2f} ×")
    spool._gather()
    left = spool.waiting(TO)
    spool.close()
    with sink() as to:
        found = child("drain", to.url, str(path), left, timeout=60 + left / 1_000)
    print(
        f"{left:,} hits delivered by one worker process: {found.get('rate', 0):,.0f} a second {found.get('error', '')}"
    )


def put_and_take(spool: SqliteSpool, count: int) -> tuple[float, float]:
    """Return the caller's microseconds for a put, and the worker's for a hit taken and settled, as medians of five."""
    puts, takes = [], []
    for _ in range(5):
        puts.append(put_cost(spool, [hit_of(number) for number in range(count)], time.thread_time, to=TO))
        spool._gather()
        taken, begun = 0, time.thread_time()
        while taken < count:
            entries = spool.take(BATCH, time.time(), to=TO)
            taken += len(entries)
            spool.settle(entries, [UNCONFIRMED] * len(entries), time.time())
        takes.append((time.thread_time() - begun) / taken * 1e6)
    return statistics.median(puts), statistics.median(takes)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks engine", description=__doc__.splitlines()[0])
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

        with sink() as server:
            over_http(server, hits, options.repeats, durable)
        if options.million:
            million(place, options.million)


def over_http(server: Sink, hits: Sequence[Hit], repeats: int, durable: Callable[[], SqliteSpool]) -> None:
    """Measure the whole way to a server of its own, near and 50 ms away."""
    url = f"{server.url}/batch/"
    cost = median(lambda: pageview_cost(server.url), repeats)
    say("pageview() in the background, careful(), warm, median", *cost, "µs")
    say("requests.Session, batches built before", *median(lambda: floor(url, hits), repeats), "hits/s")
    for name, transport, where in (
        ("memory, http11", Http11Transport(), lambda: None),
        ("memory, requests", RequestsTransport(), lambda: None),
        ("sqlite, http11", Http11Transport(), durable),
    ):
        found = [end_to_end(url, hits, transport, spool=where()) for _ in range(repeats)]
        for unit, column in (("hits/s", 0), ("CPU s/1000", 1), ("µs caller", 2)):
            values = [row[column] for row in found]
            say(f"end to end, {name}", statistics.median(values), max(values) - min(values), unit)
        transport.close()
    server.reset(delay=0.05)
    for batch, connections, count in ((BATCH, 32, len(hits)), (1, 32, 1_500), (1, 128, 3_000)):
        transport = Http11Transport()
        rate, _, _ = end_to_end(url, hits[:count], transport, batch=batch, connections=connections)
        say(f"50 ms round trip, {batch} a request, {connections} connections", rate, 0, "hits/s")
        transport.close()


def pageview_cost(url: str) -> float:
    """Return the median microseconds of a call whose values the gate has seen before."""
    costs = []
    with Provider("posthog", "phc_key", endpoint=url, delivery="background") as site:
        for number in range(3_000):
            page = page_of(number % 100)
            begun = time.perf_counter_ns()
            site.pageview(
                url=page["url"], title=page["title"], client_ip=page["ip"], user_agent=page["ua"],
                client_id=page["visitor"], referrer=page["referrer"],
            )  # fmt: skip
            costs.append(time.perf_counter_ns() - begun)
        site.flush(30)
    return statistics.median(costs[1_000:]) / 1_000


if __name__ == "__main__":
    main()
