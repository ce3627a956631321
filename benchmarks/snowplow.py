"""How many events a second go through ``tracker.track_*`` here and in the ``snowplow-tracker`` package, in one run.

Both speak to the same collector on this machine, in a process of its own; the repeats are interleaved. Type::

    python benchmarks/snowplow.py [--events 3000] [--repeats 5]
"""

from __future__ import annotations

import argparse
import json
import logging
import socket
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

SINK = """
import selectors, socket, sys
listener = socket.create_server(("127.0.0.1", 0), backlog=256)
listener.setblocking(False)
print(listener.getsockname()[1], flush=True)
poll = selectors.DefaultSelector()
poll.register(listener, selectors.EVENT_READ)
waiting, events, requests = {}, 0, 0
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
                answer = f"{events} {requests}".encode()
                peer.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(answer) + answer)
            else:
                events += body.count(b'"eid"')
                requests += 1
                peer.sendall(OK)
        waiting[peer] = have
"""


def _count(port: int) -> tuple[int, int]:
    with socket.create_connection(("127.0.0.1", port)) as peer:
        peer.sendall(b"GET /count HTTP/1.1\r\n\r\n")
        events, requests = peer.recv(4096).partition(b"\r\n\r\n")[2].split()
    return int(events), int(requests)


def _track(tracker: Any, count: int) -> None:
    for number in range(count):
        if number % 2:
            tracker.track_struct_event("shop", "add-to-basket", "label", "pcs", number)
        else:
            tracker.track_page_view("https://www.example.com/page", "A page", "https://www.example.com/before")


def _run(make: Callable[[], Any], port: int, count: int, finish: Callable[[Any], None]) -> tuple[float, float]:
    """Return events a second in the calls alone, and until all have arrived."""
    before = _count(port)[0]
    tracker = make()
    started = time.perf_counter()
    _track(tracker, count)
    called = time.perf_counter()
    finish(tracker)
    while _count(port)[0] - before < count:
        if time.perf_counter() - started > 120:
            raise SystemExit(f"{count - (_count(port)[0] - before)} events did not arrive")
        time.sleep(0.0005)
    done = time.perf_counter()
    return count / (called - started), count / (done - started)


class _Nowhere:
    """A custom emitter that throws away, for what building an event costs by itself."""

    def input(self, payload: dict[str, Any]) -> None:
        return


def _calls(package: Any) -> dict[str, Callable[[], Any]]:
    tracker = package.Tracker("ns", _Nowhere(), app_id="app")
    about = [package.SelfDescribingJson("iglu:com.acme/page/jsonschema/1-0-0", {"id": 7, "section": "news"})]
    line = {"sku": "pbz0026", "price": 20, "quantity": 1}
    return {
        "page_view": lambda: tracker.track_page_view("https://e.example/", "A page", "https://e.example/before"),
        "page_view, context": lambda: tracker.track_page_view("https://e.example/", "A page", None, about),
        "page_ping": lambda: tracker.track_page_ping("https://e.example/", "A page", None, 0, 100, 0, 500),
        "struct_event": lambda: tracker.track_struct_event("shop", "add", "label", "pcs", 2),
        "self_describing_event": lambda: tracker.track_self_describing_event(about[0]),
        "screen_view": lambda: tracker.track_screen_view("HUD", "screen23"),
        "link_click": lambda: tracker.track_link_click("https://e.example/", "out"),
        "add_to_cart": lambda: tracker.track_add_to_cart("123", 2, "Shoes", "Clothing", 23.99, "USD"),
        "form_change": lambda: tracker.track_form_change("signup", "age", "INPUT", "24", "number"),
        "site_search": lambda: tracker.track_site_search(["pulp", "fiction"], {"new": True}, 215, 22),
        "ecommerce_transaction": lambda: tracker.track_ecommerce_transaction("o", 20, items=[dict(line)]),
    }


def _built(ours: Any, theirs: Any, count: int = 1000) -> None:
    """Print what building each kind of event costs its thread, the least of several interleaved repeats."""
    print(f"{'track_…, microseconds a call':32}{'package':>10}{'here':>10}{'ratio':>8}")
    mine, peers = _calls(ours), _calls(theirs)
    for name in mine:
        least = [1.0, 1.0]
        for _ in range(5):
            for place, call in enumerate((mine[name], peers[name])):
                started = time.thread_time()
                for _ in range(count):
                    call()
                least[place] = min(least[place], (time.thread_time() - started) / count)
        print(f"{name:32}{least[1] * 1e6:10.1f}{least[0] * 1e6:10.1f}{least[1] / least[0]:8.1f}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--events", type=int, default=3000)
    options.add_argument("--repeats", type=int, default=5)
    given = options.parse_args()
    warnings.simplefilter("ignore")
    import snowplow_tracker as theirs

    logging.getLogger("snowplow_tracker").setLevel(logging.ERROR)
    logging.getLogger("snowplow_tracker.emitters").setLevel(logging.ERROR)
    from analytical.compat import snowplow as ours

    _built(ours, theirs)
    sink = subprocess.Popen([sys.executable, "-c", SINK], stdout=subprocess.PIPE, text=True)
    assert sink.stdout is not None
    port = int(sink.stdout.readline())
    where = f"http://127.0.0.1:{port}"
    contenders: dict[str, tuple[Callable[[], Any], Callable[[Any], None]]] = {
        "snowplow-tracker Emitter": (lambda: theirs.Tracker("ns", theirs.Emitter(where)), lambda t: t.flush()),
        "analytical Emitter": (lambda: ours.Tracker("ns", ours.Emitter(where)), lambda t: t.flush()),
        "snowplow-tracker AsyncEmitter": (
            lambda: theirs.Tracker("ns", theirs.AsyncEmitter(where)),
            lambda t: t.flush(),
        ),
        "analytical AsyncEmitter": (lambda: ours.Tracker("ns", ours.AsyncEmitter(where)), lambda t: t.flush()),
    }
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    try:
        for repeat in range(given.repeats + 1):
            for name, (make, finish) in contenders.items():
                found = _run(make, port, given.events, finish)
                if repeat:  # the first is the warm-up
                    results[name].append(found)
    finally:
        sink.terminate()
        sink.wait()
    print(f"{given.events} events, medians of {given.repeats} interleaved repeats, events a second")
    print(f"{'':32}{'calls':>10}{'arrived':>10}{'spread':>18}")
    middle: dict[str, tuple[float, float]] = {}
    for name, found in results.items():
        calls = statistics.median(one[0] for one in found)
        whole = statistics.median(one[1] for one in found)
        middle[name] = (calls, whole)
        low, high = min(one[1] for one in found), max(one[1] for one in found)
        print(f"{name:32}{calls:10,.0f}{whole:10,.0f}{f'{low:,.0f} to {high:,.0f}':>18}")
    for kind in ("Emitter", "AsyncEmitter"):
        mine, peer = middle[f"analytical {kind}"], middle[f"snowplow-tracker {kind}"]
        print(f"{kind}: {mine[0] / peer[0]:.1f} x in the calls, {mine[1] / peer[1]:.1f} x until arrived")
    ratios = {
        kind: middle[f"analytical {kind}"][1] / middle[f"snowplow-tracker {kind}"][1]
        for kind in ("Emitter", "AsyncEmitter")
    }
    print(json.dumps({"ratio": {kind: round(ratio, 2) for kind, ratio in ratios.items()}}))


if __name__ == "__main__":
    main()
