"""How many calls a second go through each ``tracker.track_*`` here and in the ``snowplow-tracker`` package, in one run.

Two tables: what building alone costs the calling thread, and the throughput with sending, with both emitters. Both
packages speak to the same collector on this machine, in a process of its own; the repeats are interleaved. Type::

    python benchmarks/snowplow.py [--calls 1000] [--repeats 5]
"""

from __future__ import annotations

import argparse
import logging
import platform
import socket
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

SINK = """
import selectors, socket, sys
listener = socket.create_server(("127.0.0.1", 0), backlog=256)
listener.setblocking(False)
print(listener.getsockname()[1], flush=True)
poll = selectors.DefaultSelector()
poll.register(listener, selectors.EVENT_READ)
waiting, events = {}, 0
OK = b"HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\nContent-Length: 2\\r\\n\\r\\nok"
while True:
    for key, _ in poll.select():
        if key.fileobj is listener:
            peer, _ = listener.accept()
            peer.setblocking(False)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            poll.register(peer, selectors.EVENT_READ)
            waiting[peer] = b""
            continue
        peer = key.fileobj
        try:
            data = peer.recv(1 << 20)
        except OSError:
            data = b""
        if not data:
            poll.unregister(peer)
            peer.close()
            del waiting[peer]
            continue
        have = waiting[peer] + data
        while True:
            head, mark, rest = have.partition(b"\\r\\n\\r\\n")
            if not mark:
                break
            length = 0
            for line in head.split(b"\\r\\n"):
                if line.lower().startswith(b"content-length:"):
                    length = int(line[15:])
            if len(rest) < length:
                break
            body, have = rest[:length], rest[length:]
            if head.startswith(b"GET /count"):
                answer = b"%d" % events
                peer.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(answer) + answer)
            else:
                events += body.count(b'"eid"')
                peer.sendall(OK)
        waiting[peer] = have
"""


class _Collector:
    """The collector, as the one who counts sees it: over one connection, to disturb little."""

    def __init__(self, port: int) -> None:
        self.where = f"http://127.0.0.1:{port}"
        self._peer = socket.create_connection(("127.0.0.1", port))

    def count(self) -> int:
        """Return how many events have arrived so far."""
        self._peer.sendall(b"GET /count HTTP/1.1\r\n\r\n")
        return int(self._peer.recv(4096).partition(b"\r\n\r\n")[2])

    def wait(self, count: int) -> None:
        """Wait until so many have arrived."""
        deadline = time.perf_counter() + 60
        while (arrived := self.count()) < count:
            if time.perf_counter() > deadline:
                raise SystemExit(f"{count - arrived} events did not arrive")
            time.sleep(0.001)


@contextmanager
def _collector() -> Iterator[_Collector]:
    sink = subprocess.Popen([sys.executable, "-c", SINK], stdout=subprocess.PIPE, text=True)
    assert sink.stdout is not None
    try:
        yield _Collector(int(sink.stdout.readline()))
    finally:
        sink.terminate()
        sink.wait()


class _Counting:
    """A custom emitter that throws away, for what building an event costs by itself."""

    events = 0

    def input(self, payload: dict[str, Any]) -> None:
        self.events += 1


def _kinds(package: Any) -> dict[str, Callable[[Any], Any]]:
    """Return a call of every kind, for a tracker of a package."""
    about = [package.SelfDescribingJson("iglu:com.acme/page/jsonschema/1-0-0", {"id": 7, "section": "news"})]
    page, title, before = "https://www.example.com/page", "A page", "https://www.example.com/before"
    field = {"name": "age", "value": "24", "nodeName": "INPUT", "type": "number"}
    line = {"sku": "pbz0026", "price": 20, "quantity": 1}
    view = "538e46f7-7738-4ac4-a68c-53decd3bf0f1"
    return {
        "track(PageView)": lambda t: t.track(package.PageView(page, title, before)),
        "page_view": lambda t: t.track_page_view(page, title, before),
        "page_view, context": lambda t: t.track_page_view(page, title, None, about),
        "page_ping": lambda t: t.track_page_ping(page, title, None, 0, 100, 0, 500),
        "struct_event": lambda t: t.track_struct_event("shop", "add", "label", "pcs", 2),
        "self_describing_event": lambda t: t.track_self_describing_event(about[0]),
        "unstruct_event": lambda t: t.track_unstruct_event(about[0]),
        "screen_view": lambda t: t.track_screen_view("HUD", "screen23"),
        "mobile_screen_view": lambda t: t.track_mobile_screen_view("HUD", view, "feed", "Start"),
        "link_click": lambda t: t.track_link_click(page, "out"),
        "add_to_cart": lambda t: t.track_add_to_cart("123", 2, "Shoes", "Clothing", 23.99, "USD"),
        "remove_from_cart": lambda t: t.track_remove_from_cart("123", 2, "Shoes", "Clothing", 23.99, "USD"),
        "form_change": lambda t: t.track_form_change("signup", "age", "INPUT", "24", "number"),
        "form_submit": lambda t: t.track_form_submit("signup", ["wide"], [field]),
        "site_search": lambda t: t.track_site_search(["pulp", "fiction"], {"new": True}, 215, 22),
        # Copies, because the package writes into the items that it is given.
        "ecommerce_transaction": lambda t: t.track_ecommerce_transaction("o", 20, items=[dict(line)]),
        "ecommerce_transaction, 5": lambda t: t.track_ecommerce_transaction("o", 20, items=[dict(line)] * 5),
        "ecommerce_transaction_item": lambda t: t.track_ecommerce_transaction_item("o", "pbz0026", 20, 1),
    }


def _built(packages: tuple[Any, Any], count: int = 1000) -> None:
    """Print what building each kind of event costs its thread, the least of several interleaved repeats."""
    print(f"{'building, microseconds a call':32}{'package':>10}{'here':>10}{'ratio':>8}")
    trackers = [package.Tracker("ns", _Counting(), app_id="app") for package in packages]
    kinds = [_kinds(package) for package in packages]
    ratios: dict[str, float] = {}
    for name in kinds[0]:
        least = [1.0, 1.0]
        for _ in range(5):
            for place, tracker in enumerate(trackers):
                call = kinds[place][name]
                started = time.thread_time()
                for _ in range(count):
                    call(tracker)
                least[place] = min(least[place], (time.thread_time() - started) / count)
        ratios[name] = least[0] / least[1]
        print(f"{name:32}{least[0] * 1e6:10.1f}{least[1] * 1e6:10.1f}{ratios[name]:8.1f}")
    _say_least(ratios)


def _events(package: Any, call: Callable[[Any], Any]) -> int:
    """Return how many events a call makes."""
    counting = _Counting()
    call(package.Tracker("ns", counting))
    return counting.events


def _rates(tracker: Any, call: Callable[[Any], Any], count: int, events: int, at: _Collector) -> tuple[float, float]:
    """Return calls a second: the calls alone, and until all their events have arrived."""
    before = at.count()
    started = time.perf_counter()
    for _ in range(count):
        call(tracker)
    called = time.perf_counter()
    tracker.flush()
    at.wait(before + count * events)
    return count / (called - started), count / (time.perf_counter() - started)


def _sent(packages: tuple[Any, Any], at: _Collector, count: int, repeats: int) -> None:
    """Print the throughput of each kind of call with sending, medians of interleaved repeats."""
    emitters = ("Emitter", "AsyncEmitter")
    trackers = {
        (emitter, place): package.Tracker("ns", getattr(package, emitter)(at.where), app_id="app")
        for emitter in emitters
        for place, package in enumerate(packages)
    }
    kinds = [_kinds(package) for package in packages]
    print(
        f"sending, calls a second, medians of {repeats} interleaved repeats of {count} calls; * until all has arrived"
    )
    titles = [f"{emitter}{star}" for emitter in emitters for star in ("", "*")]
    print(" " * 26 + "".join(f"{title:>24}" for title in titles))
    print(" " * 26 + f"{'package':>10}{'here':>8}{'x':>6}" * len(titles))
    ratios: dict[str, float] = {}
    for name in kinds[0]:
        events = _events(packages[0], kinds[0][name])
        found: dict[tuple[str, int], list[tuple[float, float]]] = {key: [] for key in trackers}
        for repeat in range(repeats + 1):
            for key, tracker in trackers.items():
                rates = _rates(tracker, kinds[key[1]][name], count // events, events, at)
                if repeat:  # the first is the warm-up
                    found[key].append(rates)
        cells = ""
        for title in titles:
            peer, mine = (
                statistics.median(one[title.endswith("*")] for one in found[title.rstrip("*"), place])
                for place in range(2)
            )
            ratios[f"{name}, {title}"] = mine / peer
            cells += f"{peer:10,.0f}{mine:8,.0f}{mine / peer:6.1f}"
        print(f"{name:26}{cells}", flush=True)
    _say_least(ratios)


def _say_least(ratios: dict[str, float]) -> None:
    name = min(ratios, key=lambda one: ratios[one])
    print(f"least ratio: {ratios[name]:.1f} ({name})\n")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--calls", type=int, default=1000)
    options.add_argument("--repeats", type=int, default=5)
    given = options.parse_args()
    warnings.simplefilter("ignore")
    import snowplow_tracker as theirs

    logging.getLogger("snowplow_tracker").setLevel(logging.ERROR)
    logging.getLogger("snowplow_tracker.emitters").setLevel(logging.ERROR)
    from analytical.compat import snowplow as ours

    packages = (theirs, ours)
    print(f"snowplow-tracker {version('snowplow-tracker')}, Python {platform.python_version()}\n")
    _built(packages)
    with _collector() as at:
        _sent(packages, at, given.calls, given.repeats)


if __name__ == "__main__":
    main()
