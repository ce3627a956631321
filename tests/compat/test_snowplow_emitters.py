"""The emitters: when a buffer leaves, what is tried again, what callbacks are told, and what an exit costs."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from snowplow_support import SCHEMAS, Collector, judge, opened

from analytical.compat.snowplow import (
    AsyncEmitter,
    Emitter,
    EmitterConfiguration,
    InMemoryEventStore,
    PageView,
    RedisEmitter,
    SelfDescribingJson,
    Snowplow,
    StructuredEvent,
    Subject,
    Tracker,
    TrackerConfiguration,
    get_domain_user_id,
)
from analytical.compat.snowplow import emitters as module
from analytical.compat.snowplow.event_store import StoreSpool, hit_of
from analytical.testing import FakeTransport
from analytical.verdict import DELIVERED, retry

THING = "iglu:com.acme/thing/jsonschema/1-0-0"


@pytest.fixture
def collector() -> Any:
    with Collector() as found:
        yield found


def urls(events: list[dict[str, Any]]) -> list[str]:
    return [event["url"] for event in events]


@pytest.mark.parametrize("kind", [Emitter, AsyncEmitter])
def test_a_full_buffer_leaves_in_one_request(collector: Collector, kind: type[Emitter]) -> None:
    with kind(collector.url, buffer_size=3) as emitter:
        tracker = Tracker(emitter)
        tracker.track_page_view("1").track_page_view("2")
        assert collector.events == []
        tracker.track_page_view("3")
        assert urls(collector.wait(3)) == ["1", "2", "3"]
        assert collector.requests == [("POST", "/com.snowplowanalytics.snowplow/tp2")]
    judge(collector.events)


def test_the_call_that_fills_the_buffer_sends_it(collector: Collector) -> None:
    with Emitter(collector.url, buffer_size=1) as emitter:
        Tracker(emitter).track_page_view("1")
        assert urls(collector.events) == ["1"]


@pytest.mark.parametrize("kind", [Emitter, AsyncEmitter])
def test_a_buffer_that_is_not_full_leaves_after_a_second(collector: Collector, kind: type[Emitter]) -> None:
    with kind(collector.url) as emitter:
        started = time.monotonic()
        Tracker(emitter).track_page_view("1")
        collector.wait(1)
        assert 0.5 < time.monotonic() - started < 3
        Tracker(emitter).track_page_view("2")
        collector.wait(2)


@pytest.mark.parametrize("kind", [Emitter, AsyncEmitter])
def test_a_flush_waits_unless_it_is_asked_not_to(kind: type[Emitter]) -> None:
    with Collector(delay=0.2) as collector, kind(collector.url) as emitter:
        tracker = Tracker(emitter)
        for wait in (lambda: tracker.flush(), lambda: tracker.flush(False), lambda: tracker.flush(asynchronous=False)):
            tracker.track_page_view("u")
            before = len(collector.events)
            wait()
            assert len(collector.events) == before + 1
        for go in (lambda: tracker.flush(is_async=True), lambda: tracker.flush(True)):
            tracker.track_page_view("u")
            before = len(collector.events)
            started = time.monotonic()
            go()
            assert time.monotonic() - started < 0.15
            collector.wait(before + 1)


@pytest.mark.parametrize("kind", [Emitter, AsyncEmitter])
def test_an_emitter_can_be_flushed_by_itself(collector: Collector, kind: type[Emitter]) -> None:
    with kind(collector.url, batch_size=5, byte_limit=10_000) as emitter:
        assert (emitter.batch_size, emitter.buffer_size, emitter.byte_limit) == (5, 5, 10_000)
        for number, flush in enumerate((emitter.flush, emitter.async_flush, emitter.sync_flush), 1):
            Tracker(emitter).track_page_view(f"{number}")
            flush()
            collector.wait(number)


def test_bytes_fill_a_buffer_too(collector: Collector) -> None:
    with Emitter(collector.url, byte_limit=600) as emitter:
        tracker = Tracker(emitter)
        tracker.track_page_view("1")
        assert collector.events == []
        tracker.track_page_view("2", "x" * 500)
        assert urls(collector.events) == ["1", "2"]
        assert not emitter.reached_limit()


def test_the_flush_timer_is_the_lingering_and_can_be_cancelled(collector: Collector) -> None:
    with AsyncEmitter(collector.url) as emitter:
        tracker = Tracker(emitter)
        emitter.set_flush_timer(0.05)
        started = time.monotonic()
        tracker.track_page_view("1")
        collector.wait(1)
        assert time.monotonic() - started < 0.9
        emitter.cancel_flush()
        tracker.track_page_view("2")
        threading.Event().wait(0.2)
        assert len(collector.events) == 1
        tracker.flush()
        assert len(collector.events) == 2
        with pytest.raises(ValueError, match="timeout"):
            emitter.set_flush_timer(0)


def test_callbacks_are_told_payloads(collector: Collector) -> None:
    sent: list[list[dict[str, Any]]] = []
    failed: list[tuple[int, list[dict[str, Any]]]] = []
    collector.script = [200, 400]
    with Emitter(
        collector.url, buffer_size=2, on_success=sent.append, on_failure=lambda *a: failed.append(a)
    ) as emitter:
        tracker = Tracker(emitter)
        tracker.track_page_view("1").track_page_view("2")
        assert [urls(one) for one in sent] == [["1", "2"]]
        assert all(type(value) is str for one in sent[0] for value in one.values())
        assert set(sent[0][0]) == set(collector.events[0]), "what is told is what was sent"
        tracker.track_page_view("3").track_page_view("4")
        assert [(count, urls(unsent)) for count, unsent in failed] == [(0, ["3", "4"])]
        assert emitter.stats()["rejected"] == 2


def test_failed_gets_are_not_dropped(collector: Collector) -> None:
    collector.script = [200, 503, 200]
    failed: list[tuple[int, int]] = []
    with Emitter(
        collector.url, method="get", batch_size=3, on_failure=lambda count, unsent: failed.append((count, len(unsent)))
    ) as emitter:
        tracker = Tracker(emitter)
        for name in "123":
            tracker.track_page_view(name)
        assert sorted(urls(collector.wait(3))) == ["1", "2", "3"]
        assert failed
        tracker.flush()
        assert emitter.stats()["pending"] == 0
    judge(collector.events)


def test_each_get_has_a_fate_of_its_own(collector: Collector) -> None:
    collector.script = [200, 503, 200, 404]
    told: list[tuple[int, list[str]]] = []
    sent: list[list[str]] = []
    with Emitter(
        collector.url,
        method="get",
        batch_size=4,
        custom_retry_codes={404: False},
        on_success=lambda payloads: sent.append(urls(payloads)),
        on_failure=lambda count, unsent: told.append((count, urls(unsent))),
    ) as emitter:
        tracker = Tracker(emitter)
        for name in "1234":
            tracker.track_page_view(name)
        assert (sent, told) == ([["1", "3"]], [(2, ["2", "4"])])
        assert urls(collector.wait(3)) == ["1", "3", "2"], "the second is tried again, the fourth is refused for good"
        assert emitter.stats()["rejected"] == 1


def test_a_collector_that_cannot_be_reached_is_asked_once_a_round() -> None:
    told: list[tuple[int, int]] = []
    with Emitter(
        "127.0.0.1:1",
        protocol="http",
        method="get",
        batch_size=3,
        request_timeout=0.2,
        on_failure=lambda count, unsent: told.append((count, len(unsent))),
    ) as emitter:
        tracker = Tracker(emitter)
        for name in "123":
            tracker.track_page_view(name)
        assert told[0] == (0, 3)


@pytest.mark.parametrize("method", ["get", "post"])
def test_text_that_utf8_cannot_carry_costs_a_letter_not_the_event(collector: Collector, method: str) -> None:
    with Emitter(collector.url, method=method, batch_size=1) as emitter:
        for base64 in (True, False):
            tracker = Tracker(emitter, encode_base64=base64)
            tracker.track_page_view("u", "a\ud800b", context=[SelfDescribingJson(THING, {"k": "\ud83d"})])
    judge(collector.events)
    assert [one["page"] for one in collector.events] == ["a?b"] * 2


def test_what_may_succeed_later_is_tried_again_with_the_same_id(collector: Collector) -> None:
    collector.script = [500, 404, 200]
    with Emitter(collector.url, buffer_size=1) as emitter:
        Tracker(emitter).track_page_view("1")
        collector.wait(1)
        assert [one["eid"] for one in collector.refused] == [collector.events[0]["eid"]] * 2


@pytest.mark.parametrize(("status", "again"), [(401, False), (403, False), (410, False), (422, False), (413, False)])
def test_some_answers_are_final(collector: Collector, status: int, again: bool) -> None:
    collector.script = [status]
    with Emitter(collector.url, buffer_size=1) as emitter:
        Tracker(emitter).track_page_view("1")
        assert emitter.stats()["rejected"] == 1


def test_an_application_may_say_what_is_tried_again(collector: Collector) -> None:
    rules = EmitterConfiguration()
    assert rules.set_retry_code(422)
    assert rules.set_retry_code(500, retry=False)
    assert not rules.set_retry_code(200)
    assert not rules.set_retry_code("500")  # type: ignore[arg-type]
    collector.script = [500, 422, 200]
    with Emitter(collector.url, buffer_size=1, custom_retry_codes=rules.custom_retry_codes) as emitter:
        tracker = Tracker(emitter)
        tracker.track_page_view("1").track_page_view("2")
        assert urls(collector.wait(1)) == ["2"]
    assert EmitterConfiguration().custom_retry_codes == {}


def test_putting_back_what_failed_sends_it_once(collector: Collector) -> None:
    collector.script = [500]
    emitter = Emitter(collector.url, buffer_size=2)

    def again(count: int, unsent: list[dict[str, Any]]) -> None:
        for payload in unsent:
            emitter.input(payload)
        emitter.sync_flush()  # waits for nothing here: it would be waiting for itself

    emitter.on_failure = again
    with emitter:
        Tracker(emitter).track_page_view("1").track_page_view("2")
        collector.wait(2)
        emitter.sync_flush()
        threading.Event().wait(0.1)
        assert sorted(urls(collector.events)) == ["1", "2"]


def test_a_callback_that_raises_stops_nothing(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    def broken(payloads: list[dict[str, Any]]) -> None:
        raise RuntimeError("visitor-4711")

    with caplog.at_level(logging.DEBUG), Emitter(collector.url, buffer_size=1, on_success=broken) as emitter:
        Tracker(emitter).track_page_view("1").track_page_view("2")
    assert len(collector.events) == 2
    assert "RuntimeError" in caplog.text
    assert "visitor-4711" not in caplog.text


def test_a_full_buffer_loses_the_newest_and_counts_it() -> None:
    with Emitter("127.0.0.1:1", protocol="http", batch_size=2, buffer_capacity=2, request_timeout=0.2) as emitter:
        tracker = Tracker(emitter)
        for name in "12345":
            tracker.track_page_view(name)
        counts = emitter.stats()
        assert (counts["accepted"], counts["dropped"], counts["pending"]) == (5, 3, 2)


def test_no_call_waits_for_a_collector_that_hangs() -> None:
    with Collector(delay=0.5) as collector:
        emitter = AsyncEmitter(collector.url, buffer_size=1)
        tracker = Tracker(emitter)
        started = time.monotonic()
        for name in range(20):
            tracker.track_page_view(str(name))
        assert time.monotonic() - started < 0.3
        emitter.close(5)
        assert len(collector.events) == 20


def test_there_is_a_timeout_without_asking() -> None:
    with Collector(delay=1.5) as collector:
        emitter = Emitter(collector.url, buffer_size=1, request_timeout=(0.1, 0.1))
        started = time.monotonic()
        Tracker(emitter).track_page_view("1")
        assert time.monotonic() - started < 1
        emitter.close(0)
    assert 0 < module.TIMEOUT < 30


def test_two_threads_track_while_one_connects() -> None:
    with Collector(delay=0.4) as collector, Emitter(collector.url, buffer_size=2) as emitter:
        tracker = Tracker(emitter)
        slow = threading.Thread(target=lambda: tracker.track_page_view("1").track_page_view("2"))
        slow.start()
        threading.Event().wait(0.1)
        started = time.monotonic()
        tracker.track_page_view("3")
        assert time.monotonic() - started < 0.2, "no lock is held while another thread waits for the collector"
        slow.join()


class FileStore:
    """An application's own event store."""

    def __init__(self) -> None:
        self.kept: list[dict[str, Any]] = []
        self.heard: list[tuple[int, bool]] = []

    def add_event(self, payload: dict[str, Any]) -> bool:
        self.kept.append(payload)
        return True

    def get_events_batch(self) -> list[dict[str, Any]]:
        batch, self.kept = self.kept, []
        return batch

    def cleanup(self, batch: list[dict[str, Any]], need_retry: bool) -> None:
        self.heard.append((len(batch), need_retry))
        if need_retry:
            self.kept += batch

    def size(self) -> int:
        return len(self.kept)


def test_an_event_store_of_ones_own_is_asked_and_told(collector: Collector) -> None:
    store = FileStore()
    collector.script = [500]
    with Emitter(collector.url, batch_size=2, event_store=store) as emitter:
        assert emitter.event_store is store
        tracker = Tracker(emitter)
        tracker.track_page_view("1")
        assert store.size() == 1
        tracker.track_page_view("2")
        assert store.heard[0] == (2, True)
        collector.wait(2)
        emitter.sync_flush()
        assert store.heard[-1] == (2, False)


def test_a_store_that_was_filled_before_is_emptied(collector: Collector) -> None:
    store = FileStore()
    store.add_event({"e": "pv", "url": "before", "p": "pc", "tv": "py-1.1.0", "dtm": "1"})
    with Emitter(collector.url, event_store=store) as emitter:
        Tracker(emitter).track_page_view("after").flush()
    assert sorted(urls(collector.events)) == ["after", "before"]


def test_the_memory_store_has_its_documented_shape() -> None:
    store = InMemoryEventStore(buffer_capacity=1, logger=logging.getLogger("analytical.test"))
    assert store.add_event({"a": 1})
    assert not store.add_event({"a": 2})
    batch = store.get_events_batch()
    store.cleanup(batch, need_retry=True)
    assert store.size() == 1
    store.get_events_batch()
    store.cleanup(batch, need_retry=False)
    assert store.size() == 0


def spool_of(store: Any, clock: list[float], **options: Any) -> StoreSpool:
    return StoreSpool(store, clock=lambda: clock[0], **{"batch_size": 2, **options})


def test_a_store_as_a_spool_gives_out_what_is_due_and_no_more() -> None:
    clock = [100.0]
    spool = spool_of(InMemoryEventStore(), clock)
    assert spool.put("to", hit_of({"e": "pv", "url": "1"}))
    assert spool.take(10, clock[0]) == [], "one is no full buffer"
    assert len(spool) == 1
    clock[0] += 1.0
    [entry] = spool.take(10, clock[0])
    assert entry.hit.native == {"e": "pv", "url": "1"}
    assert spool.settle([entry], [DELIVERED], clock[0]) == [True]
    assert spool.settle([entry], [DELIVERED], clock[0]) == [False], "it was settled before"
    assert len(spool) == 0


def test_what_is_under_way_takes_room_too() -> None:
    clock = [100.0]
    spool = spool_of(InMemoryEventStore(), clock, capacity=2)
    assert [spool.add({"url": name}) for name in "12"] == [1, 2]
    entries = spool.take(10, clock[0])
    assert len(entries) == 2
    assert spool.add({"url": "3"}) == 0
    spool.settle(entries, [retry()] * 2, clock[0])
    assert [one["url"] for one in spool.store.get_events_batch()] == ["1", "2"]


def test_a_forked_child_begins_with_an_empty_memory_and_the_store_that_is_there() -> None:
    for store, left in ((InMemoryEventStore(), 0), (FileStore(), 1)):
        spool = spool_of(store, [100.0])
        spool.add({"url": "1"})
        spool.abandon()
        assert len(spool) == left


@pytest.mark.parametrize("payload", [{}, {"dtm": "soon"}, {"dtm": None, "ttm": None}])
def test_a_payload_without_a_time_is_of_now(payload: dict[str, Any]) -> None:
    before = time.time()
    hit = hit_of(payload)
    assert before <= hit.time <= time.time()
    assert len(hit.id) == 36


def test_a_transport_of_ones_own_is_used_and_not_closed() -> None:
    transport = FakeTransport([200])
    with Emitter("c.example", buffer_size=1, transport=transport) as emitter:
        Tracker(emitter).track_page_view("1")
        assert emitter.deliver([]) == []
    del emitter
    assert len(transport.requests) == 1
    assert transport.requests[0].url == "https://c.example/com.snowplowanalytics.snowplow/tp2"


@pytest.mark.parametrize("kind", [Emitter, AsyncEmitter])
def test_a_callback_may_flush(collector: Collector, kind: type[Emitter]) -> None:
    flushed: list[int] = []

    def flush(payloads: list[dict[str, Any]]) -> None:
        emitter.sync_flush()
        flushed.append(len(payloads))

    with kind(collector.url, buffer_size=2, on_success=flush) as emitter:
        Tracker(emitter).track_page_view("1").track_page_view("2").flush()
    assert flushed == [2]


def test_a_session_of_ones_own_is_used(collector: Collector) -> None:
    with requests.Session() as session:
        session.headers["X-Mine"] = "yes"
        with Emitter(collector.url, buffer_size=1, session=session) as emitter:
            Tracker(emitter).track_page_view("1")
    assert collector.headers[0]["X-Mine"] == "yes"


def test_several_emitters_get_every_event(collector: Collector) -> None:
    with Collector() as other, Emitter(collector.url) as first, Emitter(other.url, method="get") as second:
        tracker = Tracker([first])
        third = AsyncEmitter(other.url, buffer_size=1)
        tracker.addEmitter(second).add_emitter(third)
        tracker.track_page_view("1").flush()
        other.wait(2)
        assert urls(collector.events) == ["1"]
        third.close()
        with pytest.raises(TypeError, match="input"):
            tracker.add_emitter(object())


def test_the_gate_is_there_for_the_asking(collector: Collector) -> None:
    with Emitter(collector.url, buffer_size=1, privacy="careful") as emitter:
        tracker = Tracker(emitter).set_ip_address("203.0.113.77")
        thing = SelfDescribingJson(THING, {"text": "ask a@b.example"})
        tracker.track_page_view("https://e.example/?token=abc", context=[thing], tstamp=1368725287000)
        tracker.track_ecommerce_transaction("ann@example.org", 35)
        assert emitter.stats()["withheld"] == 1, "no order without its id"
    [event] = collector.events
    judge([event])
    assert event["ip"] == "203.0.0.0"
    assert event["dtm"] == "1368725287000"
    assert "abc" not in event["url"]
    assert "a@b.example" not in str(opened(event))
    assert "cx" in event


def test_what_is_sent_by_default_is_what_is_given(collector: Collector) -> None:
    with Emitter(collector.url, buffer_size=1) as emitter:
        Tracker(emitter).set_ip_address("34.633.11.139").track_page_view("https://e.example/?token=abc")
    assert (collector.events[0]["ip"], collector.events[0]["url"]) == ("34.633.11.139", "https://e.example/?token=abc")


def test_old_payloads_are_made_fit(collector: Collector) -> None:
    with Emitter(collector.url, buffer_size=1) as emitter:
        emitter.input(
            {"e": "pv", "url": "u", "dtm": 1400252420261, "tid": 7515828, "p": "pc", "tv": "py-0.4.0", "odd": {"a": 1}}
        )
        emitter.input({"e": "pv", "url": "u", "eid": "538e46f777384ac4a68c53decd3bf0f1", "x": True, "refr": None})
        with pytest.raises(TypeError, match="payload"):
            emitter.input("page")  # type: ignore[arg-type]
    judge(collector.events)
    assert (collector.events[0]["dtm"], collector.events[0]["tv"]) == ("1400252420261", "py-0.4.0")
    assert collector.events[1]["eid"] == "538e46f7-7738-4ac4-a68c-53decd3bf0f1"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("c.example",), "https://c.example/com.snowplowanalytics.snowplow/tp2"),
        (("c.example/", "http"), "http://c.example/com.snowplowanalytics.snowplow/tp2"),
        (("http://c.example", "https"), "http://c.example/com.snowplowanalytics.snowplow/tp2"),
        (("c.example", "https", 8080, "get"), "https://c.example:8080/i"),
    ],
)
def test_the_address_is_put_together(arguments: tuple[Any, ...], expected: str) -> None:
    assert Emitter.as_collector_uri(*arguments) == expected
    assert Emitter(*arguments).endpoint == expected
    assert AsyncEmitter(*arguments).endpoint == expected


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"endpoint": ""}, "endpoint"),
        ({"endpoint": None}, "endpoint"),
        ({"endpoint": "https://"}, "endpoint"),
        ({"protocol": "ftp"}, "protocol"),
        ({"method": "put"}, "method"),
        ({"port": "80"}, "port"),
        ({"buffer_size": 0}, "batch_size"),
        ({"byte_limit": "much"}, "byte_limit"),
        ({"request_timeout": 0}, "request_timeout"),
        ({"thread_count": 0}, "thread_count"),
    ],
)
def test_an_option_of_the_wrong_kind_is_named(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        Emitter(**{"endpoint": "c.example", **arguments})


def test_trackers_by_name(collector: Collector) -> None:
    Snowplow.reset()
    tracker = Snowplow.create_tracker(
        "ns",
        collector.url,
        app_id="app",
        subject=Subject().set_user_id("u"),
        tracker_config=TrackerConfiguration(encode_base64=False),
        emitter_config=EmitterConfiguration(batch_size=1, request_timeout=2),
    )
    assert Snowplow.get_tracker("ns") is tracker
    special = Subject().set_user_id("v")
    identity = tracker.track(PageView("https://e.example/", context=[SelfDescribingJson(THING, {})]))
    tracker.track(StructuredEvent("c", "a", event_subject=special))
    page, event = collector.wait(2)
    assert (page["eid"], page["tna"], page["aid"], page["uid"], event["uid"]) == (identity, "ns", "app", "u", "v")
    assert "co" in page
    checked = Snowplow.create_tracker("checked", collector.url, validate=SCHEMAS)
    with pytest.raises(ValueError, match="not in the folder"):
        checked.track(PageView("https://e.example/", context=[SelfDescribingJson(THING, {})]))
    with pytest.raises(TypeError, match="ns"):
        Snowplow.create_tracker("ns", collector.url)
    with pytest.raises(TypeError, match="endpoint"):
        Snowplow.create_tracker("other", None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Tracker"):
        Snowplow.add_tracker("ns")  # type: ignore[arg-type]
    Snowplow.remove_tracker(tracker)
    Snowplow.remove_tracker_by_namespace("ns")
    assert Snowplow.get_tracker("ns") is None
    for name in ("batch_size", "byte_limit", "buffer_capacity"):
        for value in (-1, "1"):
            with pytest.raises(ValueError, match=name):
                EmitterConfiguration(**{name: value})


@pytest.mark.parametrize(
    ("name", "cookies", "expected"),
    [
        ("_sp_id", {"_sp_id.1fff": "c7aadf5c60a5dff9.1400.1.2.3"}, "c7aadf5c60a5dff9"),
        ("_sp_id", {"_sp_id": "c7aadf5c60a5dff9"}, "c7aadf5c60a5dff9"),
        ("_acme_id", {"_sp_id.1fff": "a.b", "_acme_id.2": "c.d"}, "c"),
        ("_sp_id", {"_sp_ids": "x"}, None),
        ("_sp_id", {}, None),
    ],
)
@pytest.mark.parametrize("attribute", ["COOKIES", "cookies"])
def test_the_browsers_id_is_read_from_the_cookie(name: str, cookies: Any, expected: str | None, attribute: str) -> None:
    request = type("Request", (), {attribute: cookies})()
    assert get_domain_user_id(request, name) == expected


# -- processes


def run(code: str, *arguments: object, timeout: float = 30.0, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**os.environ, **environment},
    )


def test_importing_it_adds_no_handler_and_starts_nothing() -> None:
    done = run(
        "import logging, threading; import analytical.compat.snowplow as s, sys; "
        "print(logging.root.handlers, threading.active_count(), 'celery' in sys.modules, 'redis' in sys.modules); "
        "s.logger.setLevel(60)"
    )
    assert done.stdout.strip() == "[] 1 False False", done.stderr


@pytest.mark.parametrize("kind", ["Emitter", "AsyncEmitter"])
def test_the_shortest_example_sends_without_a_flush(collector: Collector, kind: str) -> None:
    code = (
        "import sys; from analytical.compat.snowplow import *; "
        f"Tracker({kind}(sys.argv[1])).track_page_view('http://www.example.com')"
    )
    started = time.monotonic()
    done = run(code, collector.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert urls(collector.events) == ["http://www.example.com"]
    assert time.monotonic() - started < 10


def test_an_exit_with_a_dead_collector_is_quick_and_says_what_is_lost() -> None:
    code = (
        "import time, logging; logging.basicConfig(); from analytical.compat.snowplow import *; "
        "t = Tracker(Emitter('127.0.0.1:1', protocol='http')); [t.track_page_view('u') for _ in range(7)]; "
        "print(time.time())"
    )
    done = run(code)
    assert time.time() - float(done.stdout) < 4
    assert "7" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_sends_its_own_and_not_its_parents(collector: Collector) -> None:
    code = """
import os, sys
from analytical.compat.snowplow import AsyncEmitter, Tracker
tracker = Tracker(AsyncEmitter(sys.argv[1]))
tracker.track_page_view("parent")
child = os.fork()
if child == 0:
    tracker.track_page_view("child").flush()
    os._exit(0)
os.waitpid(child, 0)
tracker.flush()
"""
    # What Python 3.12 says of every fork beside a thread is no word of ours.
    done = run(code, collector.url, PYTHONWARNINGS="ignore:This process:DeprecationWarning")
    assert done.stderr == ""
    assert sorted(urls(collector.events)) == ["child", "parent"]


# -- Redis, as far as it needs none


class FakeRedis:
    def __init__(self) -> None:
        self.lists: dict[str, list[str]] = {}
        self.down = False

    def rpush(self, key: str, *values: str) -> None:
        if self.down:
            raise ConnectionError
        self.lists.setdefault(key, []).extend(values)


def test_the_redis_emitter_keeps_what_redis_does_not_take() -> None:
    redis = FakeRedis()
    redis.down = True
    with RedisEmitter(redis, "mine") as emitter:
        Tracker(emitter).track_page_view("1")
        assert emitter.stats()["pending"] == 1
        redis.down = False
        Tracker(emitter).track_page_view("2")
        deadline = time.monotonic() + 10
        while len(redis.lists.get("mine", [])) < 2 and time.monotonic() < deadline:
            threading.Event().wait(0.02)
    assert [json.loads(one)["url"] for one in redis.lists["mine"]] == ["1", "2"]


def test_without_the_extra_one_sentence_says_what_to_type(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ImportError, match=r"analytical\[redis\]"):
        RedisEmitter()
    code = "import sys; sys.modules['celery'] = None; from analytical.compat.snowplow import emitters; emitters.app"
    assert "analytical[celery]" in run(code).stderr
    pytest.importorskip("celery")
    assert "analytical[redis]" in run(code.replace("celery", "redis"), PYTHONSAFEPATH="1").stderr
