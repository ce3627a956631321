"""One client, one measurement, in a process of its own: ``python -m benchmarks.clients NAME MODE URL COUNT``.

Prints one JSON object. Every client is used as its documentation says, with its defaults, but for the address and (said
in the table) a queue large enough for the whole run, so that what is measured is speed and not what is thrown away.

Modes: ``loop``, one call after the other; ``paced``, 200 calls a second; ``fill``, calls that cannot be delivered, for
the memory that they take.
"""

from __future__ import annotations

import gc
import itertools
import json
import logging
import os
import resource
import statistics
import sys
import time
from array import array
from collections.abc import Callable
from typing import Any

Page = dict[str, str]
Call = Callable[[Page], Any]

BROWSERS = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
    "Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 "
    "Mobile/15E148 Safari/604.1",
]
PAGES = 2_000
VISITORS = 1_000


def page_of(i: int) -> Page:
    """Return what the web application knows of its i-th request."""
    # Two thousand pages, a thousand visitors, four browsers: a site, not one hit repeated.
    return {
        "url": f"https://shop.example/products/{i % PAGES}?utm_source=newsletter",
        "title": f"Product {i % PAGES} bench-mark",
        "ip": f"203.0.{i % 7}.{i % 250}",
        "ua": BROWSERS[i % 4],
        "visitor": f"visitor-{i % VISITORS}",
        "referrer": "https://www.search.example/",
    }


def analytical(url: str, provider: str, **options: Any) -> tuple[Call, Callable[[], Any], Callable[[], Any]]:
    import analytical as library

    site = library.Provider(provider, options.pop("id", "1"), endpoint=url, **{"delivery": "background", **options})

    # Plausible has no place for a title, so there the mark stands in the address.
    suffix = "&utm_campaign=bench-mark" if provider == "plausible" else ""

    def call(page: Page) -> None:
        site.pageview(
            url=page["url"] + suffix, title=page["title"], client_ip=page["ip"], user_agent=page["ua"],
            client_id=page["visitor"], referrer=page["referrer"],
        )  # fmt: skip

    return call, lambda: site.flush(300), site.stats


def make(name: str, url: str, count: int) -> tuple[Call, Callable[[], Any], Callable[[], Any] | None]:
    host, port = url.removeprefix("http://").split(":")
    queue = max(count * 2, 10_000)
    match name:
        case "analytical":  # the same protocol as the posthog package; its default queue is large enough
            return analytical(url, "posthog", id="phc_key")
        case "analytical-matomo":
            return analytical(url, "matomo")
        case "analytical-durable":
            import tempfile

            folder = tempfile.mkdtemp(prefix="analytical-bench-")
            return analytical(url, "posthog", id="phc_key", spool=f"{folder}/outbox.db")
        case "analytical-ga4":  # one hit a request
            return analytical(url, "ga4", id="G-1", api_secret="s")
        case "analytical-plausible":
            return analytical(url, "plausible", id="shop.example")
        case "analytical-plausible-wide":
            return analytical(url, "plausible", id="shop.example", connections=128)
        case "analytical-off":
            return analytical(url, "posthog", id="phc_key", privacy="off")
        case "posthog":
            from posthog import Posthog

            ph = Posthog("phc_key", host=url, max_queue_size=queue)

            def call(page: Page) -> None:
                ph.capture(
                    "$pageview", distinct_id=page["visitor"],
                    properties={"$current_url": page["url"], "title": page["title"], "$ip": page["ip"],
                                "$raw_user_agent": page["ua"], "$referrer": page["referrer"]},
                )  # fmt: skip

            return call, ph.flush, None
        case "segment" | "rudder":
            if name == "segment":
                from segment.analytics.client import Client
            else:
                from rudderstack.analytics.client import Client
            client = Client("key", host=url, max_queue_size=queue)

            def call(page: Page) -> None:
                client.page(
                    anonymous_id=page["visitor"], name="page",
                    properties={"url": page["url"], "title": page["title"], "referrer": page["referrer"]},
                    context={"ip": page["ip"], "userAgent": page["ua"]},
                )  # fmt: skip

            return call, client.flush, None
        case "amplitude":
            from amplitude import Amplitude, BaseEvent

            amp = Amplitude("key")
            amp.configuration.server_url = f"{url}/2/httpapi"

            def call(page: Page) -> None:
                amp.track(
                    BaseEvent(
                        "page view", device_id=page["visitor"], ip=page["ip"],
                        event_properties={"url": page["url"], "title": page["title"], "referrer": page["referrer"],
                                          "user_agent": page["ua"]},
                    )
                )  # fmt: skip

            def flush() -> None:
                for future in amp.flush() or []:
                    if future is not None:
                        future.result()

            return call, flush, None
        case "mixpanel":
            from mixpanel import BufferedConsumer, Mixpanel

            consumer = BufferedConsumer(events_url=f"{url}/track", import_url=f"{url}/import")
            mp = Mixpanel("token", consumer=consumer)

            def call(page: Page) -> None:
                mp.track(page["visitor"], "page view", {k: page[k] for k in ("url", "title", "ip", "ua", "referrer")})

            return call, consumer.flush, None
        case "snowplow":
            from snowplow_tracker import AsyncEmitter, PageView, Subject, Tracker

            emitter = AsyncEmitter(host, protocol="http", port=int(port), method="post", buffer_capacity=queue)
            tracker = Tracker(namespace="n", emitters=emitter, app_id="1")

            def call(page: Page) -> None:
                who = Subject().set_ip_address(page["ip"]).set_useragent(page["ua"]).set_domain_user_id(page["visitor"])
                tracker.track(
                    PageView(
                        page_url=page["url"], page_title=page["title"], referrer=page["referrer"], event_subject=who
                    )
                )

            return call, emitter.sync_flush, None
        case "ga4mp":
            from ga4mp import GtagMP

            ga = GtagMP("s", "G-1", "1.1")
            ga._base_domain = f"{url}/mp/collect"

            def call(page: Page) -> None:
                event = ga.create_new_event("page_view")
                event.set_event_param("page_location", page["url"])
                event.set_event_param("page_title", page["title"])
                event.set_event_param("page_referrer", page["referrer"])
                ga.send([event])

            return call, lambda: None, None
        case "floor-session":  # the floor: requests.Session, batches of 100 made beforehand
            import requests

            session = requests.Session()
            body = json.dumps({"batch": [{"title": "bench-mark", "url": page_of(i)["url"]} for i in range(100)]})

            turns = itertools.count(1)

            def call(page: Page) -> None:
                if next(turns) % 100 == 0:
                    session.post(f"{url}/batch/", data=body).content  # noqa: B018 - reading the answer is the point

            return call, lambda: None, None
    raise SystemExit(f"no client is named {name!r}")


def memory() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    logging.disable(logging.CRITICAL)
    name, mode, url, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    call, flush, stats = make(name, url, count)
    # Paced is a process that has served every page before, as most have; those that wait for each answer begin sooner.
    seen = 50 if name in ("mixpanel", "ga4mp") else PAGES
    warm = {"loop": 300, "paced": seen, "fill": 0}[mode]
    for i in range(warm):
        call(page_of(i))
    if warm:
        flush()
    gc.collect()
    costs = array("q", bytes(8 * count))
    clock = time.perf_counter_ns
    before, used, start = memory(), cpu(), time.perf_counter()
    for i in range(count):
        page = page_of(i)
        if mode == "paced":
            left = start + i / 200 - time.perf_counter()
            if left > 0:
                time.sleep(left)
        began = clock()
        call(page)
        costs[i] = clock() - began
    spent = time.perf_counter() - start
    if mode != "fill":
        flush()
    whole, used = time.perf_counter() - start, cpu() - used
    gc.collect()
    grown = memory() - before
    print(
        json.dumps(
            {
                "name": name,
                "warm": warm,
                "p50_us": statistics.median(costs) / 1000,
                "mean_us": sum(costs) / len(costs) / 1000,
                "p99_us": sorted(costs)[int(len(costs) * 0.99)] / 1000,
                "tracking_s": spent,
                "whole_s": whole,
                "cpu_s": used,
                "bytes_per_hit": grown / count,
                "stats": stats() if stats else None,
            }
        ),
        flush=True,
    )
    if mode == "fill":
        os._exit(0)  # what waits cannot be delivered: some clients would hang here


if __name__ == "__main__":
    main()
