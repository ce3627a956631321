"""The inspector over real HTTP: what it keeps, what it answers, and what it refuses."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import threading
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

import analytical
from analytical.backend import Backend, Decoded
from analytical.http import Request, Response
from analytical.inspector import Faults, Inspector, seconds
from analytical.inspector.reading import Headers, TooLarge, inflated, stripped
from analytical.inspector.store import Mark, Store, plain
from analytical.registry import Registry

UA = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"
PAGE = {"url": "https://example.com/pricing", "title": "Pricing", "client_ip": "203.0.113.9", "user_agent": UA}


@pytest.fixture
def inspector() -> Iterator[Inspector]:
    with Inspector() as running:
        yield running


def ask(
    inspector: Inspector, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", inspector.port, timeout=10)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def plausible(inspector: Inspector, title: str = "Home", *, path: str = "/api/event", **headers: str) -> int:
    body = json.dumps({"name": "pageview", "url": f"https://example.com/{title}", "domain": "example.com"})
    sent = {"Content-Type": "application/json", "User-Agent": UA, **headers}
    return ask(inspector, "POST", path, body.encode(), sent)[0]


DESTINATIONS: dict[str, tuple[Any, dict[str, Any]]] = {
    "matomo": (1, {"token_auth": "0123456789abcdef0123456789abcdef"}),
    "ga4": ("G-ABC1234567", {"api_secret": "a-secret-of-ga4"}),
    "plausible": ("example.com", {}),
    "umami": ("5f6d2a8e-0d6b-4c43-9f6e-1c1d0c2b7a11", {}),
    "snowplow": ("shop", {}),
    "posthog": ("phc_0000000000000000000", {}),
}


@pytest.mark.parametrize("name", DESTINATIONS)
def test_what_a_provider_sends_is_decoded_without_a_finding(name: str, inspector: Inspector) -> None:
    id, options = DESTINATIONS[name]
    with analytical.Provider(name, id, endpoint=inspector.url, fail_silently=False, **options) as provider:
        assert provider.pageview(**PAGE)
        assert provider.event("signup", url="https://example.com/signup", user_agent=UA, category="account")
    view, event = inspector.wait(2)
    assert (view["provider"], view["kind"], view["url"]) == (name, "pageview", "https://example.com/pricing")
    assert (event["kind"], event["name"]) == ("event", "signup")
    assert view["findings"] == event["findings"] == []


def test_the_export_is_one_object_a_line_with_the_promised_keys(inspector: Inspector) -> None:
    plausible(inspector)
    status, headers, body = ask(inspector, "GET", "/hits.ndjson")
    assert status == 200
    assert headers["content-type"].startswith("application/x-ndjson")
    (line,) = body.splitlines()
    hit = json.loads(line)
    assert list(hit) == ["provider", "kind", "url", "title", "name", "fields", "findings", "raw"]
    assert hit["raw"]["method"] == "POST"
    assert hit["raw"]["path"] == "/api/event"
    assert json.loads(hit["raw"]["body"])["domain"] == "example.com"


@pytest.mark.parametrize("name", ["matomo", "ga4"])
def test_no_secret_is_kept_shown_or_exported(name: str, inspector: Inspector) -> None:
    id, options = DESTINATIONS[name]
    (secret,) = options.values()
    with analytical.Provider(name, id, endpoint=inspector.url, **options) as provider:
        provider.pageview(**{**PAGE, "client_ip": "203.0.113.9"})
    ask(inspector, "POST", f"/matomo.php?idsite=1&rec=1&url=x&token_auth={secret}", b"")
    inspector.wait(2)
    exported = ask(inspector, "GET", "/hits.ndjson")[2] + ask(inspector, "GET", "/hits/1.json")[2]
    assert secret.encode() not in exported
    assert b"***" in exported
    assert not any(secret.encode() in entry.head + entry.raw for entry in inspector.store.entries())


def test_credentials_in_headers_are_masked(inspector: Inspector) -> None:
    plausible(inspector, Authorization="Bearer very-secret-token", Cookie="session=abcdef123")
    headers = inspector.hits()[0]["raw"]["headers"]
    assert headers["Authorization"] == headers["Cookie"] == "***"


def test_a_batch_becomes_one_hit_each(inspector: Inspector) -> None:
    pages = [f"?idsite=1&rec=1&url=https%3A%2F%2Fexample.com%2F{n}" for n in range(3)]
    status, _, body = ask(inspector, "POST", "/matomo.php", json.dumps({"requests": pages}).encode())
    assert status == 200
    assert json.loads(body)["tracked"] == 3
    assert [hit["url"] for hit in inspector.hits()] == [f"https://example.com/{n}" for n in range(3)]


@pytest.mark.parametrize(("packed", "encoding"), [(gzip.compress, "gzip"), (zlib.compress, "deflate")])
def test_packed_bodies_are_read(packed: Any, encoding: str, inspector: Inspector) -> None:
    body = packed(json.dumps({"name": "pageview", "url": "https://example.com/", "domain": "e.com"}).encode())
    ask(inspector, "POST", "/api/event", body, {"Content-Encoding": encoding, "User-Agent": UA})
    assert inspector.hits()[0]["url"] == "https://example.com/"


def test_a_body_that_unpacks_to_gigabytes_is_refused() -> None:
    bomb = gzip.compress(b"0" * 5_000_000)
    with Inspector(max_body=100_000) as inspector:
        assert len(bomb) < 100_000
        assert ask(inspector, "POST", "/api/event", bomb, {"Content-Encoding": "gzip"})[0] == 413
        assert inspector.hits() == []


def test_chunked_bodies_are_read(inspector: Inspector) -> None:
    body = json.dumps({"name": "pageview", "url": "https://example.com/", "domain": "e.com"}).encode()
    connection = http.client.HTTPConnection("127.0.0.1", inspector.port, timeout=10)
    connection.request("POST", "/api/event", body=iter([body[:10], body[10:]]), encode_chunked=True,
                       headers={"Transfer-Encoding": "chunked", "User-Agent": UA})  # fmt: skip
    assert connection.getresponse().status == 202
    connection.close()
    assert inspector.hits()[0]["url"] == "https://example.com/"


def test_a_body_larger_than_allowed_is_refused_and_its_sender_told() -> None:
    with Inspector(max_body=1_000) as inspector:
        assert ask(inspector, "POST", "/api/event", b"x" * 1_001)[0] == 413
        # Larger than any socket's buffer: who is still sending must get the answer, not a reset.
        assert ask(inspector, "POST", "/api/event", b"x" * 30_000_000)[0] == 413
        assert inspector.hits() == []


def test_a_whole_address_in_the_request_line_is_understood(inspector: Inspector) -> None:
    target = f"{inspector.url}/matomo.php?idsite=1&rec=1&url=https%3A%2F%2Fexample.com"
    assert ask(inspector, "GET", target)[0] == 200
    assert inspector.hits()[0]["url"] == "https://example.com"
    with socket.create_connection(("127.0.0.1", inspector.port), timeout=10) as connection:
        connection.sendall(b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("method", ["DELETE", "PATCH"])
def test_methods_that_no_platform_takes_are_refused(method: str, inspector: Inspector) -> None:
    assert ask(inspector, method, "/api/event", b"{}")[0] == 405
    assert ask(inspector, method, "/hits.ndjson")[0] == 405
    assert inspector.hits() == []


def test_a_browsers_tracker_may_send_from_any_page(inspector: Inspector) -> None:
    asked = {
        "Origin": "https://shop.example", "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,sp-anonymous",
    }  # fmt: skip
    status, headers, _ = ask(inspector, "OPTIONS", "/com.snowplowanalytics.snowplow/tp2", headers=asked)
    assert status == 204
    # With credentials a browser takes no "*" (https://fetch.spec.whatwg.org/#http-new-header-syntax).
    assert headers["access-control-allow-origin"] == "https://shop.example"
    assert headers["access-control-allow-credentials"] == "true"
    assert headers["access-control-allow-headers"] == "content-type,sp-anonymous"
    assert "POST" in headers["access-control-allow-methods"]
    for path in ("/", "/hits.ndjson", "/events"):
        refused = ask(inspector, "OPTIONS", path, headers=asked)
        assert refused[0] == 405
        assert "access-control-allow-origin" not in refused[1]
    read = ask(inspector, "GET", "/hits.ndjson", headers={"Origin": "https://shop.example"})
    assert "access-control-allow-origin" not in read[1]


def test_a_domain_that_serves_as_a_key_does_not_blank_every_address(inspector: Inspector) -> None:
    with analytical.Provider("posthog", "example.com", endpoint=inspector.url) as provider:
        provider.pageview(url="https://example.com/pricing")
    (hit,) = inspector.wait(1)
    assert hit["url"] == "https://example.com/pricing"
    assert '"api_key":"***"' in hit["raw"]["body"]


def test_a_path_that_no_platform_has_is_shown_as_such(inspector: Inspector) -> None:
    assert ask(inspector, "POST", "/nowhere", b'{"a":1}')[0] == 404
    (hit,) = inspector.hits()
    assert hit["provider"] == "unknown"
    assert "endpoint" in hit["findings"][0]
    assert ask(inspector, "GET", "/favicon.ico")[0] == 404
    assert len(inspector.hits()) == 1


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe\x00", b"[" * 50_000, b'{"requests":["?","&&&="]}', b"null"])
@pytest.mark.parametrize("path", ["/matomo.php", "/api/event", "/mp/collect", "/api/send", "/batch/", "/v1/batch"])
def test_hostile_bodies_end_nothing(path: str, body: bytes, inspector: Inspector) -> None:
    assert ask(inspector, "POST", path, body, {"User-Agent": UA})[0] < 600
    assert plausible(inspector) == 202


def test_a_shared_path_goes_to_the_protocol_that_reads_the_body() -> None:
    def make(label: str, word: bytes) -> type[Backend]:
        class One(Backend):
            name = label
            paths = ("/track",)

            @classmethod
            def decode(cls, request: Request) -> list[Decoded]:
                return [Decoded(kind="event", findings=[] if word in request.body else ["not mine"])]

            @classmethod
            def answer(cls, request: Request, decoded: Any) -> Response:
                return Response(status=200, body=label.encode())

        return One

    registry = Registry("provider", "analytical.none", {"one": make("one", b"1"), "two": make("two", b"2")})
    with Inspector(registry=registry) as inspector:
        assert ask(inspector, "POST", "/track", b"2")[2] == b"two"
        assert ask(inspector, "POST", "/track", b"1")[2] == b"one"


def test_memory_is_bounded_by_number_and_by_bytes() -> None:
    with Inspector(max_hits=3) as inspector:
        for n in range(5):
            plausible(inspector, str(n))
        assert [hit["url"][-1] for hit in inspector.hits()] == ["2", "3", "4"]
    store = Store(max_hits=1_000, max_bytes=5_000, boot="b")
    for n in range(100):
        store.add([{"n": n}], {"body": "x" * 400}, counts=True)
    count, size = store.size
    assert size <= 5_000
    assert count < 13


def test_plain_bounds_whatever_arrives() -> None:
    deep: Any = []
    for _ in range(5_000):
        deep = [deep]
    for value in (deep, {"k": "x" * 1_000_000}, list(range(100_000)), {str(n): "y" * 900 for n in range(5_000)}):
        assert len(json.dumps(plain(value))) < 400_000
    assert plain(2**70) == str(2**70)
    assert plain(float("inf")) == "Infinity"


# -- answers as the platform gives them --


@pytest.mark.parametrize(
    ("path", "payload"),
    [
        ("/api/event", {"name": "pageview", "url": "https://example.com/", "domain": "example.com"}),
        (
            "/api/send",
            {"type": "event", "payload": {"website": DESTINATIONS["umami"][0], "hostname": "e.com", "url": "/"}},
        ),
    ],
)
def test_a_robots_hit_is_taken_and_dropped_as_the_platforms_do(path: str, payload: Any, inspector: Inspector) -> None:
    body = json.dumps(payload).encode()
    for browser, kept in ((UA, True), ("Mozilla/5.0 (compatible; Googlebot/2.1)", False)):
        status, headers, said = ask(inspector, "POST", path, body, {"User-Agent": browser})
        assert status in (200, 202)
        assert ("x-plausible-dropped" in headers or said == b'{"beep":"boop"}') is not kept
        assert bool(inspector.hits()[-1]["findings"]) is not kept


def test_broken_json_is_refused_by_plausible(inspector: Inspector) -> None:
    status, _, said = ask(inspector, "POST", "/api/event", b'{"name":', {"User-Agent": UA})
    assert (status, list(json.loads(said)["errors"])) == (400, ["request"])


@pytest.mark.parametrize(
    ("name", "id", "options"),
    [
        ("matomo", 1, {"token_auth": "0123456789abcdef0123456789abcdef"}),
        ("goatcounter", "code", {"api_key": "a-key-of-goatcounter"}),
        ("plausible", "example.com", {}),
    ],
)
def test_a_platforms_check_of_credentials_is_answered_and_is_no_hit(
    name: str, id: Any, options: Any, inspector: Inspector
) -> None:
    with analytical.Provider(name, id, endpoint=inspector.url, **options) as provider:
        backend: Any = provider.backend
        asked = backend.probe()
    call = (asked.method, asked.url.removeprefix(inspector.url), asked.body, dict(asked.headers))
    status, headers, said = ask(inspector, *call)
    assert backend.probed(Response(status=status, headers=headers, body=said)) is None
    assert inspector.hits(refused=True) == []
    with Inspector(faults=Faults(status=401)) as refusing:
        assert (
            ask(refusing, asked.method, asked.url.removeprefix(inspector.url), asked.body, dict(asked.headers))[0]
            == 401
        )


# -- what it does wrong on purpose -----------------------------------------------------------------------------------


def test_failures_are_repeatable_by_seed() -> None:
    def run(seed: int) -> list[int]:
        with Inspector(faults=Faults(fail_rate=0.5, seed=seed)) as inspector:
            return [plausible(inspector) for _ in range(12)]

    first = run(7)
    assert first == run(7)
    assert set(first) == {202, 503}


def test_a_status_alone_fails_every_answer_and_no_platform_would_have_recorded_it() -> None:
    with Inspector(faults=Faults(status=429)) as inspector:
        status, headers, _ = ask(inspector, "POST", "/matomo.php", b"idsite=1&rec=1&url=https%3A%2F%2Fe.com")
        assert (status, headers["retry-after"]) == (429, "1")
        assert inspector.hits() == []
        assert len(inspector.hits(refused=True)) == 1
        (line,) = ask(inspector, "GET", "/hits.ndjson?refused=1")[2].splitlines()
        assert json.loads(line)["findings"] == ["refused on purpose: no platform would have recorded it"]


def test_nothing_is_lost_or_doubled_while_half_the_answers_fail() -> None:
    with Inspector(faults=Faults(fail_rate=0.5, seed=3, status=500)) as inspector:
        with analytical.Provider("plausible", "e.com", endpoint=inspector.url, delivery="background") as provider:
            for n in range(6):
                provider.pageview(url=f"https://e.com/{n}", user_agent=UA)
            assert provider.flush(30)
            assert provider.stats()["delivered"] == 6
        assert sorted(hit["url"] for hit in inspector.hits()) == [f"https://e.com/{n}" for n in range(6)]


def test_a_hanging_request_gets_no_answer_and_ends_with_the_inspector() -> None:
    others = set(threading.enumerate())
    with Inspector(faults=Faults(hang_rate=1.0)) as inspector:
        connection = http.client.HTTPConnection("127.0.0.1", inspector.port, timeout=0.3)
        connection.request("POST", "/api/event", b"{}")
        with pytest.raises(TimeoutError):
            connection.getresponse()
        connection.close()
        (hit,) = inspector.hits(refused=True)
        assert hit["provider"] == "plausible"
    for thread in set(threading.enumerate()) - others:
        thread.join(5)
        assert not thread.is_alive()


def test_sleep_delays_the_answer_and_is_no_part_of_the_hit(inspector: Inspector) -> None:
    import time

    started = time.monotonic()
    ask(inspector, "POST", "/matomo.php?sleep=200ms", b"idsite=1&rec=1&url=https%3A%2F%2Fe.com")
    assert time.monotonic() - started >= 0.2
    (hit,) = inspector.hits()
    assert hit["findings"] == []
    assert hit["raw"]["path"] == "/matomo.php?sleep=200ms"


@pytest.mark.parametrize(("text", "value"), [("500ms", 0.5), ("2s", 2.0), ("1m", 60.0), ("0.25", 0.25), (3, 3.0)])
def test_durations(text: Any, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("wrong", [{"fail_rate": 2}, {"hang_rate": -1}, {"status": 99}, {"delay": 1e9}])
def test_faults_out_of_range_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Faults(**wrong)


# -- strangers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/hits.ndjson", "/events", "/hits/1.json"])
def test_a_name_pointed_at_this_machine_reads_nothing(path: str, inspector: Inspector) -> None:
    assert ask(inspector, "GET", path, headers={"Host": "evil.example"})[0] == 421


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:80", "inspector.localhost"])
def test_loopback_names_are_served(host: str, inspector: Inspector) -> None:
    assert ask(inspector, "GET", "/", headers={"Host": host})[0] == 200


def test_elsewhere_the_name_does_not_matter() -> None:
    with Inspector(host="0.0.0.0") as inspector:
        assert ask(inspector, "GET", "/", headers={"Host": "inspector.internal"})[0] == 200


def test_only_its_own_page_may_clear(inspector: Inspector) -> None:
    plausible(inspector)
    assert ask(inspector, "POST", "/clear", b"", {"Origin": "http://evil.example"})[0] == 403
    assert ask(inspector, "POST", "/clear", b"", {"Sec-Fetch-Site": "cross-site"})[0] == 403
    assert ask(inspector, "GET", "/clear")[0] == 405
    assert len(inspector.hits()) == 1
    assert ask(inspector, "POST", "/clear", b"", {"Origin": inspector.url})[0] == 200
    assert inspector.hits() == []


def test_the_page_can_load_and_send_nothing_from_or_to_elsewhere(inspector: Inspector) -> None:
    for path in ("/", "/_inspector/page.js", "/_inspector/page.css"):
        status, headers, body = ask(inspector, "GET", path)
        assert status == 200
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert b"https://" not in body.replace(b"https://example.com", b"")
        assert b"innerHTML" not in body


def test_too_many_connections_are_told_to_come_back(inspector: Inspector) -> None:
    held = [socket.create_connection(("127.0.0.1", inspector.port)) for _ in range(140)]
    try:
        late = socket.create_connection(("127.0.0.1", inspector.port))
        late.settimeout(5)
        assert late.recv(100).startswith(b"HTTP/1.1 503")
        late.close()
    finally:
        for connection in held:
            connection.close()


# -- the stream ------------------------------------------------------------------------------------------------------


class Stream:
    def __init__(self, inspector: Inspector, last: str = "") -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", inspector.port, timeout=10)
        self.connection.request("GET", "/events", headers={"Last-Event-ID": last} if last else {})
        self.answer = self.connection.getresponse()
        assert self.answer.headers["Content-Type"].startswith("text/event-stream")

    def next(self) -> dict[str, str]:
        event: dict[str, str] = {}
        while True:
            line = self.answer.readline().decode().rstrip("\n")
            if not line and "data" in event:
                return event
            name, _, value = line.partition(": ")
            if name in ("event", "id", "data"):
                event[name] = value

    def close(self) -> None:
        self.answer.close()
        self.connection.close()


def test_a_page_that_reconnects_gets_what_it_missed_and_nothing_twice(inspector: Inspector) -> None:
    plausible(inspector, "1")
    stream = Stream(inspector)
    assert stream.next()["event"] == "reset"
    first = stream.next()
    assert [hit["url"][-1] for hit in json.loads(first["data"])] == ["1"]
    stream.close()
    plausible(inspector, "2")
    again = Stream(inspector, first["id"])
    assert [hit["url"][-1] for hit in json.loads(again.next()["data"])] == ["2"]
    again.close()


def test_a_page_of_an_inspector_that_ran_before_starts_anew(inspector: Inspector) -> None:
    plausible(inspector)
    stream = Stream(inspector, "0123.0.999")
    assert stream.next()["event"] == "reset"
    assert len(json.loads(stream.next()["data"])) == 1
    stream.close()


def test_clearing_reaches_every_page(inspector: Inspector) -> None:
    stream = Stream(inspector)
    stream.next()
    inspector.clear()
    assert stream.next()["event"] == "reset"
    stream.close()


def test_pages_beyond_the_bound_are_refused(inspector: Inspector) -> None:
    streams = [Stream(inspector) for _ in range(24)]
    assert ask(inspector, "GET", "/events")[0] == 503
    for stream in streams:
        stream.close()


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "a.1.", "a.1.2.3", "a." + "9" * 100 + ".1"])
def test_a_forged_position_is_none(text: str) -> None:
    assert Mark.parse(text) is None


# -- in process ------------------------------------------------------------------------------------------------------


def test_waiting_says_how_many_arrived(inspector: Inspector) -> None:
    plausible(inspector)
    with pytest.raises(TimeoutError, match="1 of 2 hits"):
        inspector.wait(2, timeout=0.05)


def test_a_request_is_shown_with_its_receipts_and_not_counted_as_sent(inspector: Inspector) -> None:
    with analytical.Provider("plausible", "example.com", endpoint=inspector.url) as provider:
        explanation = provider.explain("pageview", **PAGE)
    inspector.show(explanation[0], receipts=explanation.receipts)
    assert inspector.hits() == []
    shown = json.loads(ask(inspector, "GET", "/hits/1.json")[2])
    assert shown["outcome"] == "shown"
    masked = {"datum": "client_ip", "came in": "text, 11 characters", "rule": "mask-address", "outcome": "203.0.0.0"}
    assert masked in shown["receipts"]
    assert "203.0.113.9" not in json.dumps(shown)


def test_the_port_that_is_taken_is_said(inspector: Inspector) -> None:
    with pytest.raises(OSError, match=r"[Aa]ddress"):
        Inspector(inspector.port)


def test_closing_twice_is_closing_once() -> None:
    inspector = Inspector()
    inspector.close()
    inspector.close()
    assert "127.0.0.1" in repr(inspector)


def test_small_parts() -> None:
    assert stripped("/a?x=1&sleep=2&y=3") == ("/a?x=1&y=3", "2")
    headers = Headers([("Content-Type", "text/plain")])
    assert headers["content-type"] == headers.get("CONTENT-TYPE") == "text/plain"
    assert "content-TYPE" in headers
    with pytest.raises(ValueError, match="br"):
        inflated(b"x", "br", limit=10)
    with pytest.raises(ValueError, match="ends too early"):
        inflated(gzip.compress(b"hello")[:-6], "gzip", limit=100)
    with pytest.raises(TooLarge):
        inflated(gzip.compress(b"x" * 1_000), "gzip", limit=10)


# -- the edges of the protocol ---------------------------------------------------------------------------------------


def talk(inspector: Inspector, sent: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", inspector.port), timeout=10) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        return connection.recv(65_536)


HEAD = b"POST /api/event HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    ("rest", "status"),
    [
        (b"Content-Length: many\r\n\r\n", b"400"),
        (b"Content-Length: -5\r\n\r\n", b"400"),
        (b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", b"400"),
        (b"Transfer-Encoding: chunked\r\n\r\nfffffffff\r\n", b"413"),
        (b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"a: b\r\n" * 60, b"400"),
        (b"Content-Encoding: br\r\nContent-Length: 1\r\n\r\nx", b"400"),
        (b"Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", b"400"),
    ],
)
def test_broken_requests_get_an_answer(rest: bytes, status: bytes, inspector: Inspector) -> None:
    assert talk(inspector, HEAD + rest).split()[1] == status
    assert inspector.hits() == []


def test_a_body_that_breaks_off_is_no_hit(inspector: Inspector) -> None:
    assert talk(inspector, HEAD + b"Content-Length: 500\r\n\r\nshort") == b""
    assert inspector.hits() == []


def test_a_host_that_is_none_is_refused(inspector: Inspector) -> None:
    assert talk(inspector, b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n").split()[1] == b"421"


def test_browsers_trackers_may_send_and_not_read(inspector: Inspector) -> None:
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Headers": "content-type"}
    status, headers, _ = ask(inspector, "OPTIONS", "/api/event", headers=asked)
    assert (status, headers["access-control-allow-headers"]) == (204, "content-type")
    assert "access-control-allow-origin" not in ask(inspector, "GET", "/hits.ndjson", headers=asked)[1]
    assert ask(inspector, "OPTIONS", "/hits.ndjson", headers=asked)[0] == 405


def test_other_methods(inspector: Inspector) -> None:
    assert ask(inspector, "HEAD", "/")[::2] == (200, b"")
    assert ask(inspector, "HEAD", "/hits.ndjson")[0] == 200
    assert ask(inspector, "PUT", "/nowhere", b"x")[0] == 404
    assert ask(inspector, "GET", "/hits/99.json")[0] == 404
    assert ask(inspector, "GET", "/hits/x.json")[0] == 404


def test_the_export_can_be_narrowed(inspector: Inspector) -> None:
    plausible(inspector, "tea")
    ask(inspector, "POST", "/matomo.php", b"idsite=1&rec=1&url=https%3A%2F%2Fe.com%2Fcoffee")
    ask(inspector, "POST", "/nowhere", b"x")

    def providers(query: str) -> list[str]:
        return [json.loads(line)["provider"] for line in ask(inspector, "GET", f"/hits.ndjson?{query}")[2].splitlines()]

    assert providers("provider=matomo") == ["matomo"]
    assert providers("kind=pageview") == ["plausible", "matomo"]
    assert providers("findings=1") == ["unknown"]
    assert providers("q=COFFEE") == ["matomo"]
    assert "attachment" in ask(inspector, "GET", "/hits.ndjson?download=1")[1]["content-disposition"]


def test_the_page_is_told_what_goes_wrong_on_purpose() -> None:
    with Inspector(faults=Faults(fail_rate=0.2, hang_rate=0.1, delay=0.5, status=500)) as inspector:
        stream = Stream(inspector)
        assert json.loads(stream.next()["data"])["faults"] == "20% answered 500, 10% left hanging, 500 ms late"
        stream.close()


def test_nonsense_in_sleep_is_ignored(inspector: Inspector) -> None:
    assert plausible(inspector, path="/api/event?sleep=soon") == 202


def test_a_broken_plug_in_costs_its_own_protocol_only() -> None:
    class Raising(Backend):
        name = "raising"
        paths = ("/r",)

        @classmethod
        def claims(cls, request: Request) -> bool:
            raise RuntimeError("claims")

    class Silent(Backend):
        name = "silent"
        paths = ("/s",)

    class Answerless(Backend):
        name = "answerless"
        paths = ("/a",)

        @classmethod
        def decode(cls, request: Request) -> list[Decoded]:
            return [Decoded(kind="event")]

        @classmethod
        def answer(cls, request: Request, decoded: Any) -> Response:
            raise RuntimeError("answer")

    known = {"gone": "analytical.no_such:Thing", "raising": Raising, "silent": Silent, "answerless": Answerless}
    with Inspector(registry=Registry("provider", "analytical.none", known)) as inspector:
        assert ask(inspector, "POST", "/r", b"x")[0] == 404
        assert ask(inspector, "POST", "/s", b"x")[0] == 200
        assert ask(inspector, "POST", "/a", b"x")[0] == 500
        assert inspector.protocols.unavailable == {"gone": "ModuleNotFoundError"}
        assert [hit["provider"] for hit in inspector.hits()] == ["unknown", "silent", "answerless"]


def test_a_platforms_own_read_only_call_is_answered_and_is_no_hit(inspector: Inspector) -> None:
    assert ask(inspector, "GET", "/matomo.php")[0] < 500
    assert [hit for hit in inspector.hits() if hit["kind"] == "unknown"] == []


def test_an_address_of_the_other_family_is_spelled_right() -> None:
    try:
        inspector = Inspector(host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    with inspector:
        assert inspector.url == f"http://[::1]:{inspector.port}"


@pytest.mark.parametrize(
    "body",
    [
        b'"token":"' * 200_000,
        b"".join(b"&token=%07dabc" % number for number in range(100_000)),
        b"idsite=1&rec=1&url=" + b"%25" * 300_000,
        b'{"requests":["' + b"\\" * 500_000,
    ],
)
def test_masking_hostile_text_is_linear(body: bytes) -> None:
    import time

    from analytical.inspector.reading import Reading, described

    started = time.process_time()
    hits = [Decoded(kind="event", fields={"title": body[:200_000].decode()})]
    described(Request(url="http://h/x", body=body), Reading(None, hits), target="/x")
    assert time.process_time() - started < 2


def test_a_credential_at_the_end_of_a_long_batch_is_masked_everywhere() -> None:
    from analytical.inspector.reading import Reading, described

    body = b'{"requests":["?cip=tok-1234567890"],"pad":"' + b"x" * 200_000 + b'","token_auth":"tok-1234567890"}'
    hits, raw = described(Request(url="http://h/x", body=body), Reading(None, []), target="/x")
    assert "tok-1234567890" not in json.dumps([hits, raw])
