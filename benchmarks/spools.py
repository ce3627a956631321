"""What a ``put`` into each spool costs, and how fast one worker of one machine empties it.

``python -m benchmarks spools``. Redis is asked on its standard port or at ``ANALYTICAL_TEST_REDIS_URL``; for Kafka,
librdkafka's own mock cluster runs in this process. What is not there is left out, and said. The worker speaks a
batching protocol to a server of its own. The time runs from the moment before the first arrival to the last.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .clients import page_of
from .peers import ROOT, cores, table
from .sink import Sink, sink

TO = "bench"


def hit_of(i: int) -> Any:
    """Return a sealed hit that the server can count."""
    from analytical.hit import Hit, new_id

    page = page_of(i)
    return Hit(
        id=new_id(), kind="pageview", time=time.time(), url=page["url"], title=page["title"], client_ip=page["ip"],
        user_agent=page["ua"], client_id=page["visitor"], referrer=page["referrer"],
    )  # fmt: skip


def put(url: str, spool: str, count: int) -> dict[str, Any]:
    """Fill a spool; nobody empties it meanwhile."""
    from analytical.spool import open_spool

    filled = open_spool(spool)
    filled.attach(TO)
    costs = []
    for i in range(count):
        hit = hit_of(i)
        began = time.perf_counter_ns()
        if not filled.put(TO, hit):
            raise SystemExit("a hit was not accepted")
        costs.append(time.perf_counter_ns() - began)
    filled.close()
    return {"p50_us": statistics.median(costs) / 1000, "mean_us": sum(costs) / count / 1000}


def drain(url: str, spool: str, count: int) -> dict[str, Any]:
    """Empty a spool as ``analytical worker`` does."""
    from analytical.delivery.thread import ThreadDelivery
    from analytical.models import Provider

    to = Sink(int(url.rsplit(":", 1)[1]))
    driver = ThreadDelivery(spool)
    site = Provider("posthog", "phc_key", endpoint=url, delivery=driver, to=TO)
    driver.begin()
    limit = time.perf_counter() + 60 + count / 1_000
    began, used = time.perf_counter(), time.process_time()
    while (arrived := to.counts()["marks"]) < count:
        if not arrived:
            began, used = time.perf_counter(), time.process_time()
        if time.perf_counter() > limit:
            raise SystemExit(f"{count - arrived} hits have not arrived in time")
        time.sleep(0.002)
    took, used = time.perf_counter() - began, time.process_time() - used
    site.close(1)
    return {"rate": count / took, "cpu": used / count * 1000}


@contextmanager
def spools(folder: str) -> Iterator[list[tuple[str, str, str, int]]]:
    """Yield what there is: name, URL for putting, URL for emptying, and how many hits."""
    name = f"bench-{uuid.uuid4().hex[:8]}"
    found = [("sqlite", f"{folder}/outbox.db", f"{folder}/outbox.db", 50_000)]
    redis = os.environ.get("ANALYTICAL_TEST_REDIS_URL", "redis://127.0.0.1:6379/0")
    mark = "&" if "?" in redis else "?"
    if _answers(redis):
        for kind, more in (("redis", ""), ("redis, journal=", f"&journal={folder}/redis")):
            stream = f"{redis}{mark}stream={name}{len(more)}"
            found.append((kind, stream + more, stream + more, 20_000))
    else:
        print("redis: does not answer", file=sys.stderr)
    cluster = None
    if find_spec("confluent_kafka"):
        from confluent_kafka import Producer

        cluster = Producer({"test.mock.num.brokers": 3, "log_level": 0})
        brokers = ",".join(f"{one.host}:{one.port}" for one in cluster.list_topics(timeout=10).brokers.values())
        kafka = f"kafka://{brokers}/{name}?group=bench&timeout=5"
        found.append(("kafka (mock cluster)", kafka, kafka, 2_000))
        kafka = f"kafka://{brokers}/{name}-j?group=bench&timeout=5&journal={folder}/kafka"
        found.append(("kafka (mock cluster), journal=", kafka, kafka, 20_000))
    else:
        print("kafka: type: pip install 'analytical[kafka]'", file=sys.stderr)
    try:
        yield found
    finally:
        del cluster
        if _answers(redis):
            _forget(redis, name)


def _answers(url: str) -> bool:
    if not find_spec("redis"):
        return False
    import redis

    try:
        return bool(redis.Redis.from_url(url, socket_timeout=1).ping())
    except redis.RedisError:
        return False


def _forget(url: str, name: str) -> None:
    import redis

    client = redis.Redis.from_url(url)
    for key in client.scan_iter(f"{{{name}*"):
        client.delete(key)


def rows(sizes: Callable[[int], int]) -> list[list[str]]:
    """Measure everything; the first row names the columns."""
    out = [["spool", "put µs p50", "mean", "emptied by one worker, hits/s", "CPU s/1000", "hits/s of a whole core"]]
    with tempfile.TemporaryDirectory() as folder, sink() as to, spools(folder) as found:
        for name, into, outof, hits in found:
            print(f"\r{name:<40}", end="", file=sys.stderr, flush=True)
            count = sizes(hits)
            to.reset()
            one = child("put", to.url, into, count)
            two = child("drain", to.url, outof, count) if "error" not in one else {}
            if "error" in one or "error" in two:
                out.append([name, one.get("error", two.get("error", "")), "", "", "", ""])
                continue
            # What a worker that has its core for itself would do, where the machine had other work meanwhile.
            core = 1_000 / two["cpu"]
            costs = [f"{one['p50_us']:,.1f}", f"{one['mean_us']:,.1f}"]
            out.append([name, *costs, f"{two['rate']:,.0f}", f"{two['cpu']:.3f}", f"{core:,.0f}"])
    print("\r" + " " * 40 + "\r", end="", file=sys.stderr)
    return out


def about() -> str:
    """Return on what machine it was measured."""
    return f"Python {platform.python_version()}, {platform.machine()}, {cores()} cores."


def child(what: str, url: str, spool: str, count: int, *, timeout: float = 180) -> dict[str, Any]:
    """Fill or empty a spool in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.spools", "--child", what, url, spool, str(count)],
        capture_output=True, text=True, check=False, timeout=timeout, cwd=ROOT,
    )  # fmt: skip
    if done.returncode != 0:
        return {"error": (done.stderr.strip().splitlines() or ["?"])[-1][:80]}
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks spools", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the hits")
    parser.add_argument("--write", action="store_true", help="write docs/_static/spools.rst")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        what, url, spool, count = given.child
        print(json.dumps({"put": put, "drain": drain}[what](url, spool, int(count))))
        return
    text = about() + "\n\n" + table(rows(lambda hits: max(hits // 10, 500) if given.quick else hits))
    print(text)
    if given.write:
        (Path(ROOT) / "docs" / "_static" / "spools.rst").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
