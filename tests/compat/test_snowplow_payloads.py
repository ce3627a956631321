"""For the same input the payload is what Snowplow's own package builds, field by field.

The differences that are meant (see docs/howto/migrate-snowplow) are named in ``OURS``.
"""

from __future__ import annotations

import base64
import copy
import json
import logging
import pickle
import threading
import warnings
from collections import UserDict
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from snowplow_support import SCHEMAS, Collector, judge, opened

from analytical.compat import snowplow as ours
from analytical.compat.snowplow import contracts, payload
from analytical.providers.snowplow import PLATFORMS
from analytical.providers.vocabulary import INPUT_TYPES

_handlers = list(logging.root.handlers)
theirs = pytest.importorskip("snowplow_tracker", reason="the package that is compared with is not installed")
logging.root.handlers[:] = _handlers  # it adds one at import, which is one of the faults that are not copied
logging.getLogger("snowplow_tracker").setLevel(logging.CRITICAL)
logging.getLogger("snowplow_tracker.emitters").setLevel(logging.CRITICAL)

#: Random, or the moment of the call, or the tracker's own name.
OURS = frozenset({"eid", "dtm", "stm", "tv"})
ID = "538e46f7-7738-4ac4-a68c-53decd3bf0f1"
THING = "iglu:com.acme/thing/jsonschema/1-0-0"


class Kept:
    """A custom emitter: one method."""

    def __init__(self) -> None:
        self.payloads: list[dict[str, Any]] = []

    def input(self, payload: dict[str, Any]) -> None:
        self.payloads.append(dict(payload))


def both(act: Callable[[Any, Any], object], **options: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Do the same with both trackers; return what each handed to its emitter."""
    found = []
    for package in (ours, theirs):
        kept = Kept()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            act(package, package.Tracker("cf", kept, app_id="CF63A", **options))
        found.append(kept.payloads)
    return found[0], found[1]


def alike(act: Callable[[Any, Any], object], *, but: frozenset[str] = frozenset(), **options: Any) -> None:
    """Assert that both trackers build the same, and that the collector would take it."""
    mine, peers = both(act, **options)
    assert len(mine) == len(peers) >= 1
    for one, peer in zip(mine, peers, strict=True):
        assert set(one) - but == set(peer) - but
        for name in set(one) - OURS - but:
            assert one[name] == peer[name], name
            assert type(one[name]) is type(peer[name]), name
        judge([ours.emitters._texts(one)])


text = st.text(max_size=30)
full = st.text(min_size=1, max_size=30)
maybe = st.none() | text
numbers = st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
data = st.dictionaries(text, json_values, max_size=4)
entities = st.none() | st.lists(st.tuples(st.just(THING), data), min_size=1, max_size=2)
classes = st.none() | st.lists(text, max_size=3)
cart: dict[str, st.SearchStrategy[Any]] = {
    "sku": full,
    "quantity": st.integers(-100, 100),
    "name": maybe,
    "category": maybe,
    "unit_price": st.none() | numbers,
    "currency": st.none() | st.sampled_from(["USD", "EUR"]),
}
CALLS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "track_page_view": {"page_url": full, "page_title": maybe, "referrer": maybe},
    "track_page_ping": {
        "page_url": full,
        "page_title": maybe,
        "referrer": maybe,
        **{name: st.none() | st.integers(-5, 10_000) for name in ("min_x", "max_x", "min_y", "max_y")},
    },
    "track_screen_view": {"name": full, "id_": maybe},
    "track_mobile_screen_view": {
        "name": full,
        "id_": st.uuids().map(str),
        "type": maybe,
        "previous_name": maybe,
        "previous_id": st.none() | st.uuids().map(str),
        "previous_type": maybe,
        "transition_type": maybe,
    },
    "track_struct_event": {
        "category": full,
        "action": full,
        "label": maybe,
        "property_": maybe,
        "value": st.none() | numbers,
    },
    "track_link_click": {
        "target_url": full,
        "element_id": maybe,
        "element_classes": classes,
        "element_target": maybe,
        "element_content": maybe,
    },
    "track_add_to_cart": cart,
    "track_remove_from_cart": cart,
    "track_form_change": {
        "form_id": full,
        "element_id": text,
        "node_name": st.sampled_from(["INPUT", "TEXTAREA", "SELECT"]),
        "value": maybe,
        "type_": st.none() | st.sampled_from(sorted(INPUT_TYPES)),
        "element_classes": classes,
    },
    "track_form_submit": {
        "form_id": full,
        "form_classes": classes,
        "elements": st.none()
        | st.lists(
            st.fixed_dictionaries(
                {"name": text, "value": text, "nodeName": st.sampled_from(["INPUT", "TEXTAREA", "SELECT"])},
                optional={"type": st.sampled_from(sorted(INPUT_TYPES))},
            ),
            max_size=3,
        ),
    },
    "track_site_search": {
        "terms": st.lists(text, min_size=1, max_size=3),
        "filters": st.none() | st.dictionaries(text, text | st.booleans(), max_size=3),
        "total_results": st.none() | st.integers(0, 10**6),
        "page_results": st.none() | st.integers(0, 100),
    },
    "track_ecommerce_transaction_item": {
        "order_id": full,
        "sku": full,
        "price": numbers,
        "quantity": st.integers(-100, 100),
        "name": maybe,
        "category": maybe,
        "currency": st.none() | st.sampled_from(["USD", "EUR"]),
    },
}


def tracked(name: str, arguments: dict[str, Any], about: Any, **more: Any) -> Callable[[Any, Any], object]:
    def act(package: Any, tracker: Any) -> object:
        context = None if about is None else [package.SelfDescribingJson(schema, inner) for schema, inner in about]
        return getattr(tracker, name)(**json.loads(json.dumps(arguments)), context=context, **more)

    return act


@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=40)
@given(values=st.data(), about=entities, base64=st.booleans())
def test_every_call_builds_the_same(name: str, values: Any, about: Any, base64: bool) -> None:
    arguments = values.draw(st.fixed_dictionaries(CALLS[name]))
    alike(tracked(name, arguments, about), encode_base64=base64)


@settings(max_examples=60)
@given(inner=data, about=entities, base64=st.booleans())
def test_self_describing_events_build_the_same(inner: dict[str, Any], about: Any, base64: bool) -> None:
    for name in ("track_self_describing_event", "track_unstruct_event"):

        def act(package: Any, tracker: Any, name: str = name) -> object:
            context = None if about is None else [package.SelfDescribingJson(*pair) for pair in about]
            return getattr(tracker, name)(package.SelfDescribingJson(THING, inner), context)

        alike(act, encode_base64=base64)


@settings(max_examples=40)
@given(
    items=st.lists(
        st.fixed_dictionaries(
            {"sku": full, "price": numbers, "quantity": st.integers(0, 9)}, optional={"name": text, "category": text}
        ),
        max_size=3,
    ),
    order=st.fixed_dictionaries(
        {
            "total_value": numbers,
            "tax_value": st.none() | numbers,
            "shipping": st.none() | numbers,
            **dict.fromkeys(("affiliation", "city", "state", "country"), maybe),
            "currency": st.none() | st.sampled_from(["", "GBP", "USD"]),
        }
    ),
    about=entities,
)
def test_an_order_with_its_items_builds_the_same(
    items: list[dict[str, Any]], order: dict[str, Any], about: Any
) -> None:
    arguments = {"order_id": "o", **order}
    act = tracked("track_ecommerce_transaction", {**arguments, "items": items}, about)
    # The package stamps items without a time with the moment of the call as their true time; so do we.
    alike(act, but=frozenset({"ttm"}))
    mine, peers = both(act)
    assert ["ttm" in one for one in mine] == ["ttm" in one for one in peers]


SETTERS: dict[str, st.SearchStrategy[tuple[Any, ...]]] = {
    "set_platform": st.tuples(st.sampled_from([name for name in PLATFORMS if name != "headset"])),
    "set_user_id": st.tuples(text),
    "set_screen_resolution": st.tuples(st.integers(1, 9999), st.integers(1, 9999)),
    "set_viewport": st.tuples(st.integers(1, 9999), st.integers(1, 9999)),
    "set_color_depth": st.tuples(st.integers(1, 64)),
    "set_timezone": st.tuples(text),
    "set_lang": st.tuples(text),
    "set_ip_address": st.tuples(text),
    "set_useragent": st.tuples(text),
    "set_domain_user_id": st.tuples(text),
    "set_network_user_id": st.tuples(text),
    "set_domain_session_id": st.tuples(st.uuids().map(str)),
    "set_domain_session_index": st.tuples(st.integers(0, 999)),
}
setting = st.lists(
    st.sampled_from(sorted(SETTERS)).flatmap(lambda name: st.tuples(st.just(name), SETTERS[name])), max_size=8
)


def subject_of(package: Any, made: list[tuple[str, tuple[Any, ...]]]) -> Any:
    subject = package.Subject()
    for name, arguments in made:
        assert getattr(subject, name)(*arguments) is subject
    return subject


@given(made=setting, special=st.none() | setting)
def test_subjects_say_the_same(made: list[Any], special: list[Any] | None) -> None:
    def act(package: Any, tracker: Any) -> object:
        one = None if special is None else subject_of(package, special)
        return tracker.set_subject(subject_of(package, made)).track_page_view("http://e.example/", event_subject=one)

    alike(act)


@given(
    true=st.none() | st.integers(0, 2 * 10**12) | st.floats(0, 2e12),
    about=entities,
    special=st.none() | setting,
    base64=st.booleans(),
    kind=st.sampled_from(["PageView", "PagePing", "ScreenView", "SelfDescribing", "StructuredEvent"]),
)
def test_event_objects_build_the_same(true: Any, about: Any, special: Any, base64: bool, kind: str) -> None:
    def act(package: Any, tracker: Any) -> object:
        arguments: dict[str, Any] = {
            "PageView": {"page_url": "u", "page_title": "t", "referrer": "r"},
            "PagePing": {"page_url": "u", "min_x": 0, "max_x": 5, "min_y": 1, "max_y": 6},
            "ScreenView": {"id_": ID, "name": "n", "type": "feed", "previous_id": ID},
            "SelfDescribing": {"event_json": package.SelfDescribingJson(THING, {"é": [1, None]})},
            "StructuredEvent": {"category": "c", "action": "a", "label": "", "property_": "p", "value": 0},
        }[kind]
        event = getattr(package, kind)(
            **arguments,
            event_subject=None if special is None else subject_of(package, special),
            context=None if about is None else [package.SelfDescribingJson(*pair) for pair in about],
            true_timestamp=true,
        )
        identity = tracker.track(event)
        assert len(identity) == 36
        return identity

    alike(act, encode_base64=base64)


def test_an_events_attributes_can_be_read_and_changed() -> None:
    def act(package: Any, tracker: Any) -> object:
        view = package.PageView("http://a.example/")
        view.page_url, view.page_title, view.referrer = "http://b.example/", "T", "http://r.example/"
        ping = package.PagePing("u")
        ping.min_x, ping.max_x, ping.min_y, ping.max_y = 1, 2, 3, 4
        struct = package.StructuredEvent("c", "a")
        struct.category, struct.action, struct.label, struct.property_, struct.value = "C", "A", "L", "P", 1.5
        screen = package.ScreenView(ID, "n")
        screen.name, screen.type, screen.transition_type, screen.previous_name = "N", "t", "tt", "pn"
        assert (view.page_title, ping.max_y, struct.label, screen.name, screen.id_) == ("T", 4, "L", "N", ID)
        described = package.SelfDescribing(package.SelfDescribingJson(THING, {}))
        described.event_json = package.SelfDescribingJson(THING, {"a": 1})
        described.context = [package.SelfDescribingJson(THING, {"b": 2})]
        described.true_timestamp = 5
        for event in (view, ping, struct, screen, described):
            tracker.track(event)
        return None

    alike(act)


def test_a_json_encoder_is_asked_for_what_json_does_not_know() -> None:
    def act(package: Any, tracker: Any) -> object:
        described = package.SelfDescribingJson(THING, {"day": date(2024, 1, 2), "price": Decimal("1.50")})
        return tracker.track_self_describing_event(described, [described])

    alike(act, json_encoder=str, encode_base64=False)


@pytest.mark.parametrize("method", ["post", "get"])
def test_the_wire_is_the_same(method: str) -> None:
    sent: list[list[dict[str, Any]]] = []
    for package in (ours, theirs):
        with Collector() as collector:
            emitter = package.Emitter(collector.url, method=method, batch_size=20)
            tracker = package.Tracker("cf", emitter)
            tracker.subject.set_user_id("u").set_screen_resolution(1366, 768).set_color_depth(32)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                tracker.track_page_view("http://e.example/ü", "T & T", context=[package.SelfDescribingJson(THING, {})])
                tracker.track_struct_event("c", "a", None, "p", 13.0, tstamp=1368725287000)
                tracker.track_struct_event("c", "a", value=1e22)
                tracker.track_ecommerce_transaction("o", 35, items=[{"sku": "s", "price": 20, "quantity": 1}])
            tracker.flush()
            sent.append(collector.wait(5))
            assert {kind for kind, _ in collector.requests} == {method.upper()}
            assert {path for _, path in collector.requests} == {
                "/i" if method == "get" else "/com.snowplowanalytics.snowplow/tp2"
            }
    mine, peers = sent
    judge(mine)
    for one, peer in zip(mine, peers, strict=True):
        assert set(one) == set(peer)
        but = OURS | {"ttm"} if one["e"] == "ti" else OURS
        assert {key: value for key, value in one.items() if key not in but} == {
            key: value for key, value in peer.items() if key not in but
        }


# -- the differences that are meant


def only(act: Callable[[Any], object], **options: Any) -> dict[str, Any]:
    kept = Kept()
    act(ours.Tracker(kept, **options))
    [payload] = kept.payloads
    return payload


def test_a_plain_time_is_both_and_a_marked_one_is_what_it_says() -> None:
    moment = 1368725287000
    plain = only(lambda t: t.track_struct_event("c", "a", tstamp=moment))
    assert (plain["dtm"], plain["ttm"]) == (moment, moment)
    true = only(lambda t: t.track_struct_event("c", "a", tstamp=ours.TrueTimestamp(moment)))
    assert true["ttm"] == moment != true["dtm"]
    device = only(lambda t: t.track_struct_event("c", "a", tstamp=ours.DeviceTimestamp(moment)))
    assert device["dtm"] == moment
    assert "ttm" not in device
    marked = only(lambda t: t.track(ours.PageView("u", true_timestamp=ours.DeviceTimestamp(moment))))
    assert (marked["dtm"], marked.get("ttm")) == (moment, None)


def test_the_older_documentations_item_has_its_context_seventh() -> None:
    kept = Kept()
    tracker, about = ours.Tracker(kept, encode_base64=False), [ours.SelfDescribingJson(THING, {})]
    tracker.track_ecommerce_transaction_item("o", "s", 1, 1, "Green shoes", "clothing", about, 1368725287000)
    tracker.track_ecommerce_transaction_item("o", "s", 1, 1, "Green shoes", "clothing", "GBP", about, 1368725287000)
    older, newer = kept.payloads
    assert newer.pop("ti_cu") == "GBP"
    assert {**older, "eid": 0} == {**newer, "eid": 0}
    assert older["ttm"] == 1368725287000


def test_both_generations_of_constructors_work() -> None:
    kept, subject = Kept(), ours.Subject().set_platform("tv")
    old = ours.Tracker(kept, subject, "cf", "app", False)
    new = ours.Tracker("cf", kept, subject, "app", False)
    named = ours.Tracker(emitters=[kept], namespace="cf", app_id="app", subject=subject, encode_base64=False)
    mixed = ours.Tracker("cf", emitters=kept, app_id="app", subject=subject, encode_base64=False)
    for tracker in (old, new, named, mixed):
        assert (tracker.get_namespace(), tracker.encode_base64, tracker.subject) == ("cf", False, subject)
        tracker.track_page_view("u")
    assert len({json.dumps({**one, "eid": 0, "dtm": 0}, sort_keys=True) for one in kept.payloads}) == 1
    for arguments in ((), ([],), (object(),), (kept, None, "a", "b", True, None), ("cf",)):
        with pytest.raises((TypeError, ValueError)):
            ours.Tracker(*arguments)
    with pytest.raises(TypeError, match="twice"):
        ours.Tracker("cf", kept, namespace="cf")


def test_a_tracker_forwards_every_setter_and_chains() -> None:
    kept = Kept()
    tracker = ours.Tracker(kept)
    assert tracker.set_platform("mob").set_ip_address("192.0.2.1").set_useragent("UA").set_lang("en") is tracker
    tracker.set_user_id("u").set_viewport(3, 2).set_color_depth(24).set_timezone("Europe/London")
    tracker.set_screen_resolution(1, 2).set_domain_user_id("d").set_network_user_id("n").timezone("Europe/Paris")
    assert tracker.track_page_view("u").track_screen_view("title screen") is tracker
    assert {"uid", "vp", "cd", "tz", "res", "duid", "tnuid", "ip", "ua", "lang"} <= set(kept.payloads[0])
    assert kept.payloads[0]["tz"] == "Europe/Paris"
    tracker.set_subject(None).track_page_view("u")
    assert kept.payloads[-1]["p"] == "pc", "without it the collector would fail the whole request"
    tracker.set_user_id("v").track_page_view("u")
    assert kept.payloads[-1]["uid"] == "v"


def test_a_callers_items_are_not_changed_and_have_contexts_of_their_own() -> None:
    kept = Kept()
    items = [{"sku": "a", "price": 1, "quantity": 1, "context": [ours.SelfDescribingJson(THING, {"own": 1})]}]
    before = [dict(item) for item in items]
    tracker = ours.Tracker(kept, encode_base64=False)
    tracker.track_ecommerce_transaction("o", 1, items=items, context=[ours.SelfDescribingJson(THING, {})])
    assert items == before
    assert opened(kept.payloads[1])["co"]["data"] == [{"schema": THING, "data": {"own": 1}}]


@pytest.mark.parametrize(("tstamp", "key"), [(ours.TrueTimestamp(5), "ttm"), (ours.DeviceTimestamp(5), "dtm")])
def test_an_orders_items_have_its_time(tstamp: ours.Timestamp, key: str) -> None:
    kept = Kept()
    items = [{"sku": "a", "price": 1, "quantity": 1}]
    ours.Tracker(kept).track_ecommerce_transaction("o", 1, items=items, tstamp=tstamp)
    assert [one[key] for one in kept.payloads] == [5, 5]
    assert [one.get("ttm") for one in kept.payloads] == [5 if key == "ttm" else None] * 2


def test_a_slip_in_a_later_item_sends_nothing_at_all() -> None:
    kept = Kept()
    items = [{"sku": "a", "price": 1, "quantity": 1}, {"sku": "b", "price": "1", "quantity": 1}]
    with pytest.raises(TypeError, match="price"):
        ours.Tracker(kept).track_ecommerce_transaction("o", 1, items=items)
    assert kept.payloads == []


def test_any_mapping_will_do_for_items_filters_and_elements() -> None:
    kept = Kept()
    tracker = ours.Tracker(kept, encode_base64=False)
    tracker.track_ecommerce_transaction("o", 1, items=[UserDict(sku="a", price=1, quantity=1)])
    tracker.track_form_submit("f", None, UserDict(name="n", value="v", nodeName="INPUT"))
    assert [one["e"] for one in kept.payloads] == ["tr", "ti", "ue"]
    [element] = opened(kept.payloads[2])["ue_pr"]["data"]["data"]["elements"]
    assert element == {"name": "n", "value": "v", "nodeName": "INPUT"}


def test_a_described_json_of_the_package_itself_is_taken() -> None:
    mine = only(lambda t: t.track_self_describing_event(ours.SelfDescribingJson(THING, {"é": [1, None]})))
    peer = only(lambda t: t.track_self_describing_event(theirs.SelfDescribingJson(THING, {"é": [1, None]})))
    assert mine["ue_px"] == peer["ue_px"]


def test_a_json_encoder_turns_what_json_does_not_know() -> None:
    kept = Kept()
    tracker = ours.Tracker("cf", kept, None, None, False, str)
    tracker.track_self_describing_event(ours.SelfDescribingJson(THING, {"day": date(2014, 5, 16)}))
    assert opened(kept.payloads[0])["ue_pr"]["data"]["data"] == {"day": "2014-05-16"}


@given(value=json_values)
def test_json_is_written_as_the_standard_library_writes_it(value: Any) -> None:
    expected = json.dumps(value, ensure_ascii=False)
    assert payload.written(value) == payload.written(value, str) == expected
    assert payload.encoded(expected) == base64.urlsafe_b64encode(expected.encode()).decode()


def test_data_that_holds_itself_is_refused_again_and_again() -> None:
    circle: dict[str, Any] = {}
    circle["again"] = circle
    for _ in range(2):
        with pytest.raises(ValueError, match="Circular"):
            payload.written(circle)
    circle["again"] = None
    assert payload.written(circle) == '{"again": null}'


def test_without_the_encoder_in_c_the_text_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    value = {"é": [1, 2.5, None, "\x7f\u2028"]}
    expected = payload.written(value)
    monkeypatch.setattr(json.encoder, "c_make_encoder", None)
    assert payload._in_c() is None
    monkeypatch.setattr(payload, "_made", None)
    assert payload.written(value) == expected


def test_what_is_shown_of_an_object_is_no_visitors() -> None:
    tracker = ours.Tracker("cf", Kept()).set_user_id("visitor-4711")
    shown = [
        repr(one)
        for one in (
            tracker,
            tracker.subject,
            ours.PageView("https://visitor-4711.example/"),
            ours.SelfDescribingJson(THING, {"user": "visitor-4711"}),
            ours.Emitter("visitor-4711.example"),
            ours.TrueTimestamp(5),
        )
    ]
    assert "cf" in shown[0]
    assert THING in shown[3]
    assert not any("4711" in one for one in shown)


def test_ids_moments_and_subjects_can_be_asked_for() -> None:
    tracker, subject = ours.Tracker(Kept()), ours.Subject()
    assert len({tracker.get_uuid(), tracker.get_uuid()}) == 2
    assert (tracker.get_timestamp(7.9), tracker.get_timestamp(ours.TrueTimestamp(7.9))) == (7, 7)
    assert tracker.get_timestamp() > 1.7e12
    tracker.subject = subject
    assert tracker.subject is subject
    assert ours.PageView("u", true_timestamp=7).true_timestamp == 7


def test_without_a_subject_an_event_object_still_has_a_platform() -> None:
    kept = Kept()
    ours.Tracker(kept).set_subject(None).track(ours.PageView("u"))
    assert kept.payloads[0]["p"] == "pc"


def test_a_screen_views_attribute_that_is_taken_away_is_gone() -> None:
    view = ours.ScreenView(ID, "n", "feed")
    view.type = None
    assert view.described().data == {"id": ID, "name": "n"}


def test_an_event_can_be_tracked_twice_and_is_two() -> None:
    kept = Kept()
    tracker, event = ours.Tracker(kept), ours.PageView("u")
    assert tracker.track(event) != tracker.track(event)
    assert len({payload["eid"] for payload in kept.payloads}) == 2


def test_a_payload_and_a_described_json_read_as_the_packages_do() -> None:
    def made(package: Any) -> list[Any]:
        payload_of = __import__(f"{package.__name__}.payload", fromlist=["Payload"]).Payload
        payload, described = payload_of({"e": "pv"}), package.SelfDescribingJson(THING, {"a": [1, "é"]})
        payload.add("url", "u")
        payload.add("page", "")
        payload.add_dict({"refr": "r", "uid": None})
        payload.add_json({"a": "é"}, True, "cx", "co")
        payload.add_json({"a": "é"}, False, "ue_px", "ue_pr")
        payload.add_json({}, True, "ue_px", "ue_pr")
        payload.add_json(None, True, "ue_px", "ue_pr")
        return [payload.get(), described.to_json(), described.to_string(), package.Subject().combine_subject(None)]

    assert made(ours) == made(theirs)


def test_an_attribute_that_is_taken_away_is_gone() -> None:
    kept, view = Kept(), ours.PageView("u", "title")
    view.page_title = None
    ours.Tracker(kept).track(view)
    assert "page" not in kept.payloads[0]


def test_one_emitter_that_raises_does_not_touch_the_others() -> None:
    class Broken:
        def input(self, payload: dict[str, Any]) -> None:
            raise OSError("disk full")

    kept = Kept()
    tracker = ours.Tracker([Broken(), kept])
    with pytest.raises(OSError, match="disk full"):
        tracker.track_page_view("u")
    assert len(kept.payloads) == 1


def test_data_is_checked_against_a_folder_of_schemas() -> None:
    kept = Kept()
    tracker = ours.Tracker(kept, validate=str(SCHEMAS))
    tracker.track_add_to_cart("123", 2)
    tracker.track(ours.ScreenView(ID, "n"))
    cart = "iglu:com.snowplowanalytics.snowplow/add_to_cart/jsonschema/1-0-0"
    with pytest.raises(ValueError, match="quantity"):
        tracker.track_self_describing_event(ours.SelfDescribingJson(cart, {"sku": "s", "quantity": "two"}))
    with pytest.raises(ValueError, match="id breaks the rule format"):
        tracker.track(ours.ScreenView("screen23", "n"))
    geo = "iglu:com.snowplowanalytics.snowplow/geolocation_context/jsonschema/1-0-0"
    with pytest.raises(ValueError, match="latitude"):
        tracker.track_page_view("u", context=[ours.SelfDescribingJson(geo, {"latitude": 99, "longitude": 0})])
    assert len(kept.payloads) == 2


# -- contracts

BAD: list[tuple[str, tuple[Any, ...], str]] = [
    ("set_color_depth", ("walrus",), "depth.*walrus"),
    ("set_platform", ("fridge",), "fridge"),
    ("set_screen_resolution", (0, 1), "width.*0"),
    ("set_viewport", (1, "2"), "height"),
    ("set_user_id", (5,), "user_id.*5"),
    ("track_page_view", ("",), "page_url"),
    ("track_page_view", (None,), "page_url"),
    ("track_page_view", ("u", 5), "page_title"),
    ("track_page_view", ("u", 0), "page_title"),
    ("track_page_view", ("u", None, []), "referrer"),
    ("track_page_view", ("u", None, None, {}), "context"),
    ("track_page_view", ("u", None, None, ["x"]), "context"),
    ("track_page_view", ("u", None, None, None, "now"), "tstamp"),
    ("track_page_ping", ("u", None, None, "1"), "min_x"),
    ("track_struct_event", ("", "a"), "category"),
    ("track_struct_event", ("c", "a", False), "label"),
    ("track_struct_event", ("c", "a", None, 0), "property_"),
    ("track_struct_event", ("c", "a", None, None, "2"), "value"),
    ("track_struct_event", ("c", "a", None, None, float("nan")), "value"),
    ("track_struct_event", ("c", "a", None, None, True), "value"),
    ("track_screen_view", (), "at least one"),
    ("track_mobile_screen_view", ("n", ""), "id_"),
    ("track_mobile_screen_view", ("n", None, 5), "type: expected text or None"),
    ("track_link_click", ("t", None, "class"), "element_classes"),
    ("track_link_click", ("t", None, [1]), "element_classes"),
    ("track_add_to_cart", ("s", 1.5), "quantity"),
    ("track_form_change", ("f", "e", "age", "24"), "node_name.*age"),
    ("track_form_change", ("f", "e", "INPUT", "24", "wish"), "type_"),
    ("track_form_submit", ("f", None, [{"name": "n"}]), "elements"),
    ("track_form_submit", ("f", None, ["n"]), "elements"),
    ("track_form_submit", ("f", None, 0), "elements"),
    ("track_site_search", ([],), "terms"),
    ("track_site_search", (["a"], ["b"]), "filters"),
    ("track_site_search", (["a"], {"b": 1}), "filters"),
    ("track_ecommerce_transaction", ("o", "35"), "total_value"),
    ("track_ecommerce_transaction_item", ("o", "s", 1, "1"), "quantity"),
    ("track_self_describing_event", ({"schema": "s"},), "event_json"),
    ("track_self_describing_event", (ours.SelfDescribingJson(THING, {"a": float("nan")}),), "JSON"),
    ("track_page_view", ("u", None, None, [ours.SelfDescribingJson(THING, {"a": {1}})]), "JSON"),
]


@pytest.mark.parametrize(("name", "arguments", "words"), BAD)
def test_a_value_of_the_wrong_kind_is_named(name: str, arguments: tuple[Any, ...], words: str) -> None:
    kept = Kept()
    with pytest.raises((TypeError, ValueError), match=words):
        getattr(ours.Tracker(kept), name)(*arguments)
    assert kept.payloads == []


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ours.PageView("u", 0), "page_title"),
        (lambda: ours.PagePing("u", None, []), "referrer"),
        (lambda: ours.StructuredEvent("c", "a", False), "label"),
        (lambda: ours.StructuredEvent("c", "a", None, {}), "property_"),
    ],
)
def test_a_wrong_value_that_is_empty_is_named_by_event_objects_too(make: Callable[[], object], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        make()


@pytest.mark.parametrize("items", [[1], [{"sku": "s", "price": 1}], [{"sku": "s", "price": 1, "quantity": 1, "x": 1}]])
def test_an_item_that_is_none_sends_nothing_at_all(items: Any) -> None:
    kept = Kept()
    with pytest.raises((TypeError, ValueError), match="items"):
        ours.Tracker(kept).track_ecommerce_transaction("o", 1, items=items)
    assert kept.payloads == []


@pytest.fixture
def unchecked() -> Iterator[None]:
    ours.disable_contracts()
    yield
    ours.enable_contracts()
    assert contracts.contracts_enabled()


@pytest.mark.usefixtures("unchecked")
def test_contracts_can_be_turned_off() -> None:
    kept = Kept()
    tracker = ours.Tracker(kept).set_color_depth("walrus")
    tracker.track_page_view("").track_form_change("f", "e", "age", "24")
    tracker.track_site_search([]).track_screen_view()
    assert len(kept.payloads) == 4


@pytest.mark.usefixtures("unchecked")
def test_what_is_missing_in_an_order_is_left_out_without_contracts() -> None:
    theirs.disable_contracts()
    try:
        items = [{"sku": "s", "price": None, "quantity": None}]
        mine, peers = both(lambda _, t: t.track_ecommerce_transaction("o", None, tax_value="", items=items[:]))
    finally:
        theirs.enable_contracts()
    assert [set(one) for one in mine] == [set(one) for one in peers]
    assert not {"tr_tt", "tr_tx"} & set(mine[0])
    assert not {"ti_pr", "ti_qu"} & set(mine[1])


@pytest.mark.usefixtures("unchecked")
def test_values_of_other_kinds_pass_without_contracts() -> None:
    data = {
        "link": only(lambda t: t.track_link_click(5, element_classes="wide"), encode_base64=False),
        "search": only(lambda t: t.track_site_search("term", {"n": 1}, "many"), encode_base64=False),
        "form": only(lambda t: t.track_form_submit("f", None, [{"name": "n"}]), encode_base64=False),
        "change": only(lambda t: t.track_form_change("f", "e", "INPUT", "v", "wish"), encode_base64=False),
    }
    said = {name: opened(one)["ue_pr"]["data"]["data"] for name, one in data.items()}
    assert said["link"] == {"targetUrl": 5, "elementClasses": "wide"}
    assert said["search"] == {"terms": "term", "filters": {"n": 1}, "totalResults": "many"}
    assert said["form"] == {"formId": "f", "elements": [{"name": "n"}]}
    assert said["change"]["type"] == "wish"
    assert only(lambda t: t.track_struct_event("c", "a", value="2"))["se_va"] == "2"
    assert only(lambda t: t.track_page_ping("u", min_x="1"))["pp_mix"] == "1"
    assert only(lambda t: t.track_page_view("u", 0))["page"] == 0
    assert "url" not in only(lambda t: t.track(ours.PageView("")))
    assert not {"se_ca", "se_va"} & set(only(lambda t: t.track_struct_event("", "a", value="")))


def test_an_event_object_is_needed() -> None:
    with pytest.raises(TypeError, match="event"):
        ours.Tracker(Kept()).track("page")
    with pytest.raises(TypeError, match="event_json"):
        ours.SelfDescribing("x")
    with pytest.raises(ValueError, match="schema"):
        ours.SelfDescribingJson("", {})
    for value in ("now", True, -1, float("inf")):
        with pytest.raises((TypeError, ValueError), match="value"):
            ours.TrueTimestamp(value)


def every_call(package: Any, tracker: Any) -> None:
    tracker.track_page_view("u", "t", tstamp=5).track_page_ping("u", min_x=1).track_struct_event("c", "a", value=2)
    tracker.track_screen_view("n").track_mobile_screen_view("n", ID).track_link_click("t", context=[])
    tracker.track_add_to_cart("s", 1).track_form_submit("f").track_site_search(["a"])
    tracker.track_unstruct_event(package.SelfDescribingJson(THING, {"a": 1}))
    about = [package.SelfDescribingJson(THING, {"b": 1})]
    subject = package.Subject().set_user_id("u")
    items = [{"sku": "s", "price": 1, "quantity": 1}]
    tracker.track_ecommerce_transaction("o", 1, items=items, context=about, tstamp=7, event_subject=subject)


def test_a_subclass_that_overrides_track_sees_every_event() -> None:
    def watched(package: Any) -> tuple[list[Any], list[dict[str, Any]]]:
        seen: list[Any] = []
        kept = Kept()

        class Watched(package.Tracker):
            def track(self, event: Any) -> Any:
                seen.append((type(event).__name__, getattr(event, "page_url", None)))
                event.context = [*event.context, package.SelfDescribingJson(THING, {"added": True})]
                return super().track(event)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            every_call(package, Watched("cf", kept, app_id="CF63A"))
        return seen, kept.payloads

    (seen, mine), (expected, peers) = watched(ours), watched(theirs)
    assert seen == expected
    assert len(mine) == len(peers) == 12
    for one, peer in zip(mine, peers, strict=True):
        assert set(one) == set(peer)
        assert {name: one[name] for name in one if name not in OURS} == {
            name: peer[name] for name in peer if name not in OURS
        }


def test_a_subclass_that_overrides_track_can_withhold_everything() -> None:
    class OptedOut(ours.Tracker):
        def track(self, event: ours.Event) -> None:
            return None

    kept = Kept()
    every_call(ours, OptedOut("cf", kept))
    assert kept.payloads == []


def test_a_subclass_may_complete_payloads_and_describe_events() -> None:
    class Marked(ours.Tracker):
        described = 0

        def complete_payload(self, event: ours.Event) -> ours.Payload:
            made = super().complete_payload(event)
            made.add("co", "mark")
            return made

        def track_self_describing_event(self, *args: Any, **named: Any) -> Marked:
            self.described += 1
            return super().track_self_describing_event(*args, **named)

    kept = Kept()
    tracker = Marked("cf", kept)
    every_call(ours, tracker)
    assert {one["co"] for one in kept.payloads} == {"mark"}
    assert tracker.described == 6  # all that have a schema, but for the screen of a mobile application, as in 1.x
    tracker.track_struct_event("c", "a", None, None, None, 1368725287000)
    assert (kept.payloads[-1]["dtm"], kept.payloads[-1]["ttm"]) == (1368725287000, 1368725287000)


def test_track_can_be_patched_in_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    kept = Kept()
    tracker = ours.Tracker("cf", kept)
    with monkeypatch.context() as patch:
        patch.setattr(ours.Tracker, "track", lambda self, event: seen.append(event))
        tracker.track_page_view("u").track_link_click("t")
    tracker.track = seen.append
    tracker.track_page_view("u")
    assert [type(event).__name__ for event in seen] == ["PageView", "SelfDescribing", "PageView"]
    assert kept.payloads == []


def test_a_copied_tracker_has_a_subject_of_its_own() -> None:
    kept = Kept()
    first = ours.Tracker("cf", kept, subject=ours.Subject().set_user_id("a"))
    second = copy.copy(first).set_subject(ours.Subject().set_user_id("b"))
    first.track_page_view("u")
    second.track_page_view("u")
    assert [one["uid"] for one in kept.payloads] == ["a", "b"]


@pytest.mark.parametrize("again", [copy.deepcopy, lambda subject: pickle.loads(pickle.dumps(subject))])
def test_a_copied_subject_is_at_home_where_it_was_copied(again: Callable[[ours.Subject], ours.Subject]) -> None:
    first = ours.Subject().set_user_id("a")
    second = again(first).set_user_id("b")
    elsewhere: list[Any] = []
    thread = threading.Thread(target=lambda: elsewhere.append(second.standard_nv_pairs["uid"]))
    thread.start()
    thread.join()
    assert (first.standard_nv_pairs["uid"], elsewhere) == ("a", ["b"])


def test_what_every_event_gets_can_be_changed_by_hand() -> None:
    kept = Kept()
    tracker = ours.Tracker("cf", kept)
    tracker.standard_nv_pairs["aid"] = "other"
    tracker.track_page_view("u")
    tracker.standard_nv_pairs = {"tv": "mine", "tna": ""}
    assert tracker.subject is not None
    tracker.subject.standard_nv_pairs = {"p": "web"}
    tracker.track_page_view("u")
    assert kept.payloads[0]["aid"] == "other"
    assert {name: kept.payloads[1].get(name) for name in ("tv", "tna", "aid", "p")} == {
        "tv": "mine",
        "tna": None,
        "aid": None,
        "p": "web",
    }
