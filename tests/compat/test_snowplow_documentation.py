"""The examples in the documentation of release 0.8, in its order, with the import changed and a collector on loopback.

The names, arguments and values are the documentation's. Where an example has a slip, the test says what happens.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from services import need_service
from snowplow_support import Collector, judge, opened

import analytical.compat.snowplow

POSTER = "iglu:com.acme_company/movie_poster/jsonschema/2-1-1"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as found:
        yield found
    judge(found.events)


@pytest.fixture
def snowplow(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Let the documentation's host be the collector, and close what the examples leave open."""
    made: list[Any] = []
    emitter = analytical.compat.snowplow.Emitter
    build = emitter.__init__

    def local(self: Any, endpoint: str, *args: Any, **options: Any) -> None:
        assert endpoint.endswith(".cloudfront.net")
        build(self, collector.url, *args, **options)
        made.append(self)

    monkeypatch.setattr(emitter, "__init__", local)
    yield analytical.compat.snowplow
    for one in made:
        one.close()


def test_the_shortest_example(collector: Collector, snowplow: ModuleType) -> None:
    from analytical.compat.snowplow import Emitter, Subject, Tracker

    e = Emitter("d3rkrsqld9gmqf.cloudfront.net")
    t = Tracker(e)
    tracker = Tracker(Emitter("d3rkrsqld9gmqf.cloudfront.net"), namespace="cf", app_id="cf29ea", encode_base64=False)
    assert isinstance(t.subject, Subject)
    t.track_page_view("http://www.example.com")
    tracker.track_page_view("http://www.example.com")
    events = collector.wait(2)
    assert [(one.get("tna"), one.get("aid"), one["p"]) for one in events].count(("cf", "cf29ea", "pc")) == 1


def test_subjects(collector: Collector, snowplow: ModuleType) -> None:
    from analytical.compat.snowplow import Emitter, Subject, Tracker

    e = Emitter("d3rkrsqld9gmqf.cloudfront.net")
    t = tracker = Tracker(emitters=e, namespace="cf", app_id="CF63A")
    t.subject.set_platform("mob").set_user_id("user-12345").set_lang("en")
    s = Subject()
    s.set_platform("tv")
    s.set_user_id("alexd")
    s.set_screen_resolution(1366, 768)
    s.set_viewport(300, 200)
    s.set_color_depth(32)
    s.timezone("Europe/London")  # a slip: the method is called set_timezone; here both names work
    s.set_lang("en")
    t.set_subject(s)
    tracker.set_ip_address("34.633.11.139")
    tracker.set_useragent("Mozilla/5.0 (Windows NT 5.1; rv:23.0) Gecko/20100101 Firefox/23.0")
    tracker.set_domain_user_id("c7aadf5c60a5dff9")
    tracker.set_network_user_id("ecdff4d0-9175-40ac-a8bb-325c49733607")
    t.track_page_view("http://www.example.com").flush()
    [event] = collector.events
    expected = {"p": "tv", "uid": "alexd", "res": "1366x768", "vp": "300x200", "cd": "32", "tz": "Europe/London"}
    expected |= {"lang": "en", "ip": "34.633.11.139", "duid": "c7aadf5c60a5dff9"}
    expected |= {"tnuid": "ecdff4d0-9175-40ac-a8bb-325c49733607", "tna": "cf", "aid": "CF63A"}
    assert expected.items() <= event.items()


def test_several_subjects(collector: Collector, snowplow: ModuleType) -> None:
    from analytical.compat.snowplow import Emitter, Subject, Tracker

    e = Emitter("d3rkrsqld9gmqf.cloudfront.net")
    t = Tracker(emitters=e, namespace="cf", app_id="CF63A")
    s1 = Subject()
    s1.set_platform("pc")
    s1.set_user_id("0a78f2867de")
    t.set_subject(s1)
    t.track_page_view("http://www.example.com")
    s2 = Subject()
    s2.set_platform("mob").set_user_id("0b08f8be3f1")
    t.set_subject(s2)
    t.track_page_view("http://www.example.com")
    t.set_subject(s1).track_struct_event("Ecomm", "add-to-basket", "dog-skateboarding-video", "hd", 13.99)
    t.flush()
    assert [(one["p"], one["uid"]) for one in collector.events] == [
        ("pc", "0a78f2867de"),
        ("mob", "0b08f8be3f1"),
        ("pc", "0a78f2867de"),
    ]
    assert collector.events[2]["se_va"] == "13.99"


def test_contexts_and_times(collector: Collector, snowplow: ModuleType) -> None:
    from analytical.compat.snowplow import AsyncEmitter, SelfDescribingJson, Tracker
    from analytical.compat.snowplow.timestamp import DeviceTimestamp
    from analytical.compat.snowplow.tracker import TrueTimestamp

    e = AsyncEmitter("d3rkrsqld9gmqf.cloudfront.net")
    t = Tracker(e)
    geo_context = SelfDescribingJson(
        "iglu:com.snowplowanalytics.snowplow/geolocation_context/jsonschema/1-0-0",
        {"latitude": -23.2, "longitude": 43.0},
    )
    poster_context = SelfDescribingJson(
        POSTER, {"movie_name": "Solaris", "poster_country": "JP", "poster_year": "1978-01-01"}
    )
    t.track_page_view("http://www.films.com", "Homepage", context=[poster_context, geo_context])
    # A slip: the sixth argument is the context; a number there is taken for the time that it is.
    t.track_struct_event("some cat", "save action", None, None, None, 1368725287000)
    t.track_struct_event("some cat", "save action", tstamp=1368725287000)
    t.track_struct_event("some cat", "save action", tstamp=TrueTimestamp(1368725287000))
    t.track_struct_event("some cat", "save action", tstamp=DeviceTimestamp(1368725287000))
    t.track_page_view("http://www.example.com").track_screen_view("title screen").flush()
    page, *structured = collector.events[:5]
    assert [part["schema"] for part in opened(page)["co"]["data"]] == [POSTER, geo_context.schema]
    assert [one.get("ttm") for one in structured] == ["1368725287000"] * 3 + [None]
    assert [one["dtm"] == "1368725287000" for one in structured] == [True, True, False, True]
    assert len(collector.events) == 7


def test_every_event(collector: Collector, snowplow: ModuleType) -> None:
    from analytical.compat.snowplow import Emitter, SelfDescribingJson, Tracker

    t = Tracker(Emitter("d3rkrsqld9gmqf.cloudfront.net", buffer_size=100))
    saved = SelfDescribingJson(
        "iglu:com.example_company/save-game/jsonschema/1-0-2",
        {"save_id": "4321", "level": 23, "difficultyLevel": "HARD", "dl_content": True},
    )
    t.track_self_describing_event(saved)
    t.track_unstruct_event(saved)
    t.track_page_view("www.example.com", "example", "www.referrer.com")
    t.track_page_ping("http://mytesturl/test2", "Page title 2", "http://myreferrer.com", 0, 100, 0, 500, None)
    t.track_screen_view("HUD > Save Game", "screen23", None, 1368725287000)  # a slip: Python's null is None
    t.track_ecommerce_transaction(
        "6a8078be",
        35,
        city="London",
        currency="GBP",
        items=[{"sku": "pbz0026", "price": 20, "quantity": 1}, {"sku": "pbz0038", "price": 15, "quantity": 1}],
    )
    t.track_ecommerce_transaction_item("order-789", "2001", 49.99, 1, "Green shoes", "clothing")
    t.track_struct_event("shop", "add-to-basket", None, "pcs", 2)
    t.track_link_click("http://my-target-url2/path")
    t.track_link_click("http://my-target-url2/path", "element id 2", None, "element target", "element content")
    t.track_add_to_cart("123", 2, "The Devil's Dance", "Books", 23.99, "USD", None)
    t.track_remove_from_cart("123", 1)
    t.track_remove_from_cart("123", 2, "The Devil's Dance", "Books", 23.99, "USD")
    # A slip: "age" is no node name, neither there nor here; what stands in the table, INPUT, is meant.
    for example in (
        ("signupForm", "ageInput", "age", "24"),
        ("signupForm", "ageInput", "age", "24", "number", ["signup__number", "form__red"]),
    ):
        with pytest.raises(ValueError, match="node_name"):
            t.track_form_change(*example)
    t.track_form_change("signupForm", "ageInput", "INPUT", "24", "number", ["signup__number", "form__red"])
    t.track_form_submit("registrationForm")
    # A slip: one mapping where a list of them is meant; it is taken for a list of one.
    t.track_form_submit(
        "signupForm",
        ["signup__warning"],
        {"name": "email", "value": "[email protected]", "nodeName": "INPUT", "type": "email"},  # type: ignore[arg-type]
    )
    t.track_site_search(["analytics", "snowplow", "tracker"])
    t.track_site_search(["pulp fiction", "reviews"], {"nswf": True}, 215, 22)  # a slip: Python's true is True
    t.flush(False)  # it waits, and so it always did: the argument asks whether not to
    kinds = [one["e"] for one in collector.events]
    assert kinds == ["ue", "ue", "pv", "pp", "ue", "tr", "ti", "ti", "ti", "se"] + ["ue"] * 10
    order = [one for one in collector.events if one["e"] in ("tr", "ti")][:3]
    assert len({one["dtm"] for one in order}) == 1
    assert {one.get("tr_cu") or one.get("ti_cu") for one in order} == {"GBP"}
    form = opened(collector.events[-3])["ue_pr"]["data"]["data"]
    assert form["elements"][0]["name"] == "email"


def test_emitters_and_callbacks(collector: Collector, snowplow: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    from analytical.compat.snowplow import AsyncEmitter, Emitter, Tracker

    def f(x: Any) -> None:
        print(str(len(x)) + " events sent successfully!")  # as in 1.x, it is the list of payloads

    unsent_events = []

    def g(x: int, y: list[dict[str, Any]]) -> None:
        print(str(x) + " events sent successfully!")
        for event_dict in y:
            unsent_events.append(event_dict)

    e = Emitter("d3rkrsqld9gmqf.cloudfront.net", buffer_size=3, on_success=f, on_failure=g)
    t = Tracker(e)
    t.track_page_view("http://www.example.com")
    t.track_page_view("http://www.example.com/page1")
    assert collector.events == []
    t.track_page_view("http://www.example.com/page2")
    assert len(collector.events) == 3
    assert capsys.readouterr().out == "3 events sent successfully!\n"
    assert unsent_events == []

    Emitter("d3rkrsqld9gmqf.cloudfront.net", thread_count=10)  # a slip: AsyncEmitter is meant; here both take it
    AsyncEmitter("d3rkrsqld9gmqf.cloudfront.net", thread_count=10)
    e1 = AsyncEmitter("collector1.cloudfront.net", method="post")
    e1.set_flush_timer(5)
    e1.cancel_flush()
    t = Tracker([AsyncEmitter("collector1.cloudfront.net", method="get"), e1])
    t.track_page_view("u").flush()
    assert {kind for kind, _ in collector.requests} == {"GET", "POST"}


def test_immediate_retry_by_hand(collector: Collector, snowplow: ModuleType) -> None:
    from analytical.compat.snowplow import Emitter, Tracker

    def on_failure_retry(failed_event_count: int, failed_events: list[dict[str, Any]]) -> None:
        for e in failed_events:
            my_emitter.input(e)

    collector.script = [503]
    my_emitter = Emitter("d3rkrsqld9gmqf.cloudfront.net", buffer_size=1, on_failure=on_failure_retry)
    Tracker(my_emitter).track_page_view("u")
    collector.wait(1)
    my_emitter.sync_flush()
    assert len(collector.events) == 1


def test_a_custom_emitter() -> None:
    from analytical.compat.snowplow import Tracker

    class Custom:
        def __init__(self) -> None:
            self.seen: list[dict[str, Any]] = []

        def input(self, payload: dict[str, Any]) -> None:
            self.seen.append(payload)

    custom = Custom()
    Tracker(custom).track_page_view("http://www.example.com").flush().flush(True)
    assert custom.seen[0]["url"] == "http://www.example.com"


def test_redis(collector: Collector, snowplow: ModuleType) -> None:
    import json
    import uuid

    import redis

    from analytical.compat.snowplow import AsyncEmitter, RedisEmitter, Tracker
    from analytical.compat.snowplow.redis_worker import RedisWorker

    key = f"my_snowplow_key-{uuid.uuid4()}"
    with redis.StrictRedis.from_url(need_service("redis")) as rdb:
        e = RedisEmitter(rdb, key)
        t = Tracker(e)
        t.track_page_view("http://www.example.com")
        [kept] = rdb.lrange(key, 0, -1)
        assert json.loads(kept)["url"] == "http://www.example.com"
        r = RedisWorker(AsyncEmitter("d3rkrsqld9gmqf.cloudfront.net"), key=key, dbr=rdb)
        assert r.step()
        assert collector.events[0]["url"] == "http://www.example.com"
        r._finish()
        e.close()


def test_contracts_and_the_logger() -> None:
    from analytical.compat.snowplow import Subject, Tracker, disable_contracts, enable_contracts, logger

    class Nowhere:
        def input(self, payload: dict[str, Any]) -> None:
            return

    s, t = Subject(), Tracker(Nowhere())
    for one in (s, t):
        with pytest.raises((TypeError, ValueError), match=r"depth.*walrus"):
            one.set_color_depth("walrus")  # type: ignore[attr-defined]
    level_idx = 42
    t.track_screen_view("Game Level", str(level_idx))
    disable_contracts()
    s.set_color_depth("walrus")  # type: ignore[arg-type]
    enable_contracts()
    before = logger.level
    for level in (10, 30, 60):
        logger.setLevel(level)
    logger.setLevel(before)


def test_every_documented_path_can_be_imported() -> None:
    for name in ("tracker", "subject", "emitters", "redis_worker", "timestamp", "self_describing_json", "typing"):
        __import__(f"analytical.compat.snowplow.{name}")
        assert f"analytical.compat.snowplow.{name}" in sys.modules
    from analytical.compat.snowplow import CeleryEmitter
    from analytical.compat.snowplow.emitters import AsyncEmitter, CeleryEmitter, Emitter, RedisEmitter  # noqa: F401, F811
    from analytical.compat.snowplow.subject import Subject  # noqa: F401
    from analytical.compat.snowplow.timestamp import DeviceTimestamp, Timestamp, TrueTimestamp  # noqa: F401
    from analytical.compat.snowplow.tracker import Tracker  # noqa: F401


# -- one tracker for many visitors


class Kept:
    def __init__(self) -> None:
        self.payloads: list[dict[str, Any]] = []

    def input(self, payload: dict[str, Any]) -> None:
        self.payloads.append(payload)


def test_no_visitor_is_seen_by_another_thread() -> None:
    from analytical.compat.snowplow import Subject, Tracker

    kept, shared = Kept(), Subject().set_lang("en")
    tracker = Tracker(kept, shared)
    together = threading.Barrier(4)

    def serve(number: int) -> None:
        for turn in range(20):
            if number % 2:
                tracker.set_user_id(f"{number}")
            else:
                tracker.set_subject(Subject().set_user_id(f"{number}"))
            together.wait()
            tracker.track_page_view(f"{number}/{turn}")

    threads = [threading.Thread(target=serve, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kept.payloads) == 80
    assert all(one["url"].split("/")[0] == one["uid"] for one in kept.payloads)
    tracker.track_page_view("main")
    assert "uid" not in kept.payloads[-1]
    assert kept.payloads[-1]["lang"] == "en"


def test_no_visitor_is_seen_by_another_task() -> None:
    from analytical.compat.snowplow import Tracker

    kept = Kept()
    tracker = Tracker(kept)

    async def serve(number: int) -> None:
        tracker.set_user_id(f"{number}")
        await asyncio.sleep(0)
        tracker.track_page_view(f"{number}")
        await asyncio.to_thread(tracker.track_page_view, f"{number}")

    async def main() -> None:
        await asyncio.gather(*(serve(number) for number in range(5)))

    asyncio.run(main())
    assert len(kept.payloads) == 10
    assert all(one["url"] == one["uid"] for one in kept.payloads)
    assert "uid" not in (tracker.subject.standard_nv_pairs if tracker.subject else {})


def test_what_is_set_where_the_tracker_was_made_holds_for_all() -> None:
    from analytical.compat.snowplow import Subject, Tracker

    kept = Kept()
    tracker = Tracker(kept).set_subject(Subject().set_user_id("service"))
    thread = threading.Thread(target=tracker.track_page_view, args=("u",))
    thread.start()
    thread.join()
    assert kept.payloads[0]["uid"] == "service"
