"""The Snowplow backend and the wider vocabulary, judged by Snowplow's own schemas."""

from __future__ import annotations

import inspect
import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from snowplow_support import SCHEMAS, judge, opened

import analytical
from analytical.backend import exchange
from analytical.errors import ConfigurationError, InvalidHit, Unsupported
from analytical.hit import Hit
from analytical.http import Request, Response
from analytical.providers.snowplow import KEYS, PAYLOAD_DATA, Snowplow
from analytical.providers.vocabulary import Vocabulary
from analytical.testing import FakeTransport

NOW = 1_700_000_001.5
ID = "538e46f7-7738-4ac4-a68c-53decd3bf0f1"
GEO = {
    "schema": "iglu:com.snowplowanalytics.snowplow/geolocation_context/jsonschema/1-0-0",
    "data": {"latitude": -23.2, "longitude": 43.0},
}


def backend(**options: Any) -> Snowplow:
    found = Snowplow.create("shop", endpoint="https://collector.example", **options)
    assert isinstance(found, Snowplow)
    return found


def hit(kind: str = "pageview", **fields: Any) -> Hit:
    fields.setdefault("url", "https://example.com/")
    return Hit.from_dict({"id": ID, "kind": kind, "time": 1_700_000_000.123, **fields})


def posted(request: Request) -> list[dict[str, str]]:
    body = json.loads(request.body)
    assert body["schema"] == PAYLOAD_DATA
    return list(body["data"])


def one(sent: Hit, **options: Any) -> dict[str, str]:
    [parcel] = backend(**options).encode([sent], now=NOW)
    [payload] = posted(parcel.request)
    judge([payload])
    return payload


def said(call: str, *args: Any, options: dict[str, Any] | None = None, **fields: Any) -> list[dict[str, Any]]:
    """Return what a typed call sends, read."""
    transport = FakeTransport()
    site = analytical.Provider(
        "snowplow", "shop", endpoint="https://collector.example", transport=transport, privacy="off", **(options or {})
    )
    assert getattr(site, call)(*args, **fields) is True
    payloads = [payload for request in transport.requests for payload in posted(request)]
    judge(payloads)
    findings = [text for request in transport.requests for found in Snowplow.decode(request) for text in found.findings]
    assert findings == []
    return [opened(payload) for payload in payloads]


# -- the wire


def test_a_page_view_and_an_event_are_posted_together() -> None:
    pair = [hit(title="T", referrer="https://r.example/"), hit("event", name="signup", label="pro", value=1.5)]
    [parcel] = backend(namespace="web").encode(pair, now=NOW)
    assert parcel.hits == (0, 1)
    assert parcel.request.url == "https://collector.example/com.snowplowanalytics.snowplow/tp2"
    assert parcel.request.headers["Content-Type"] == "application/json; charset=utf-8"
    page, event = posted(parcel.request)
    assert page == {
        "e": "pv",
        "p": "srv",
        "tv": "py-analytical-1",
        "aid": "shop",
        "tna": "web",
        "url": "https://example.com/",
        "page": "T",
        "refr": "https://r.example/",
        "eid": ID,
        "dtm": "1700000000123",
        "stm": "1700000001500",
    }
    assert (event["e"], event["se_ca"], event["se_ac"], event["se_la"], event["se_va"]) == (
        "se",
        "event",
        "signup",
        "pro",
        "1.5",
    )
    judge([page, event])


def test_every_common_field_has_its_key() -> None:
    visitor = {"client_id": "c7aadf5c60a5dff9", "user_id": "u", "session_id": ID, "screen": "1280x800"}
    payload = one(hit(client_ip="203.0.113.0", user_agent="UA", language="de-CH,de;q=0.9", **visitor))
    assert [payload[key] for key in ("ip", "ua", "lang", "duid", "uid", "sid", "res")] == [
        "203.0.113.0",
        "UA",
        "de-CH",
        "c7aadf5c60a5dff9",
        "u",
        ID,
        "1280x800",
    ]


def test_a_session_that_is_no_uuid_becomes_one_and_the_same_one() -> None:
    assert one(hit(session_id=ID.replace("-", "")))["sid"] == ID
    derived = one(hit(session_id="1767225599"))["sid"]
    assert derived == one(hit(session_id="1767225599"))["sid"] != one(hit(session_id="2"))["sid"]
    assert len(derived) == 36


def test_the_keys_are_those_of_the_collectors_schema() -> None:
    published = json.loads((SCHEMAS / PAYLOAD_DATA.removeprefix("iglu:")).read_text(encoding="utf-8"))
    assert set(published["items"]["properties"]) == KEYS


@given(
    st.dictionaries(
        st.sampled_from(sorted(KEYS - {"ue_px", "cx", "ue_pr", "co", "e", "p"}))
        | st.text(min_size=1, max_size=8).filter(lambda key: key not in KEYS),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40) | st.lists(st.integers()),
        max_size=12,
    )
)
def test_whatever_comes_every_value_is_text_and_every_key_known(native: dict[str, Any]) -> None:
    raw = Hit(id=ID, kind="payload", time=1.0, native=native)
    payload = backend().payload(raw)
    judge([payload])
    assert payload["eid"].count("-") == 4
    for key in ("dtm", "ttm", "vid", "tid", "ti_qu"):
        if key in payload:
            int(payload[key])


def test_containers_travel_as_base64_or_as_they_are() -> None:
    about = {"ue_pr": {"schema": GEO["schema"], "data": GEO["data"]}, "co": [GEO]}
    encoded = one(hit("self_describing", native=about))
    plain = one(hit("self_describing", native=about), base64=False)
    assert {"ue_px", "cx"} <= set(encoded)
    assert {"ue_pr", "co"} <= set(plain)
    assert opened(encoded) == opened(plain)
    assert opened(plain)["co"]["data"] == [GEO]


def test_what_the_gate_must_see_is_read_first() -> None:
    thing = {"schema": "iglu:com.acme/thing/jsonschema/1-0-0", "data": {"mail": "a@b.example"}}
    encoded = one(hit("self_describing", native={"ue_pr": thing}))
    transport = FakeTransport()
    site = analytical.Provider("snowplow", "shop", endpoint="https://c.example", transport=transport)
    site.track_hit("self_describing", {"ue_px": encoded["ue_px"]})
    [payload] = posted(transport.requests[0])
    assert "a@b.example" not in str(opened(payload))


def test_the_gate_leaves_schemas_and_screens_usable() -> None:
    transport = FakeTransport()
    site = analytical.Provider(
        "snowplow", "shop", endpoint="https://c.example", transport=transport, privacy="strict", validate=SCHEMAS
    )
    assert site.screen_view("Checkout", id=ID, previous_id=ID, entities=[GEO])
    [payload] = posted(transport.requests[0])
    judge([payload])
    assert opened(payload)["ue_pr"]["data"]["schema"].endswith("mobile/screen_view/jsonschema/1-0-0")
    assert "co" not in opened(payload), "a place is no longer one without its coordinates, and would fail the event"


@pytest.mark.parametrize("privacy", ["careful", "strict"])
def test_what_the_gate_takes_out_never_fails_the_event_out_of_sight(privacy: str) -> None:
    transport = FakeTransport()
    site = analytical.Provider("snowplow", "shop", endpoint="https://c.example", transport=transport, privacy=privacy)
    page = {"schema": "iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0", "data": {"id": ID}}
    assert site.pageview(url="https://e.example/", entities=[GEO, page])
    [payload] = posted(transport.requests[0])
    judge([payload])
    kept = opened(payload).get("co", {"data": []})["data"]
    assert kept == ([page] if privacy == "careful" else []), "an entity that lost what it needs is left out"
    assert not site.ecommerce_transaction("ann@example.org", 35), "no order without its id"
    assert site.stats()["rejected"] == 1
    assert len(transport.requests) == 1


def test_get_sends_one_event_each_and_posts_what_is_too_long() -> None:
    large = {"schema": "iglu:com.acme/thing/jsonschema/1-0-0", "data": {"x": "y" * 20_000}}
    short, long = hit(title="T"), hit("event", name="n" * 900, native={"co": [large]})
    first, second = backend(method="get", base64=False).encode([short, long], now=NOW)
    assert (first.request.method, first.hits) == ("GET", (0,))
    parts = urlsplit(first.request.url)
    assert parts.path == "/i"
    judge([dict(parse_qsl(parts.query))])
    assert (second.request.method, second.hits) == ("POST", (1,))


def test_count_and_bytes_limit_a_request() -> None:
    hits = [hit(title="x" * 500) for _ in range(7)]
    assert [len(parcel.hits) for parcel in backend(batch_size=3).encode(hits, now=NOW)] == [3, 3, 1]
    parcels = backend(byte_limit=2_000).encode(hits, now=NOW)
    assert all(len(parcel.request.body) <= 2_000 for parcel in parcels)
    assert sum(len(parcel.hits) for parcel in parcels) == 7


def test_an_event_that_the_collector_would_lose_is_in_no_parcel() -> None:
    big = hit("self_describing", native={"ue_pr": {"schema": GEO["schema"], "data": {"x": "y" * 1_100_000}}})
    assert [parcel.hits for parcel in backend().encode([big, hit()], now=NOW)] == [(1,)]


def test_anonymous_asks_the_collector_to_keep_nothing() -> None:
    [parcel] = backend(anonymous=True).encode([hit()], now=NOW)
    assert parcel.request.headers["SP-Anonymous"] == "*"


def test_an_answer_is_never_a_confirmation() -> None:
    def verdict(status: int) -> str:
        talk = exchange(backend(), [hit()], now=lambda: NOW)
        next(talk)
        with pytest.raises(StopIteration) as end:
            talk.send(Response(status=status))
        return str(end.value.value[0].state)

    assert [verdict(status) for status in (200, 400, 413, 429, 503)] == [
        "unconfirmed",
        "rejected",
        "rejected",
        "retry",
        "retry",
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [({"platform": "fridge"}, "srv"), ({"method": "put"}, "post"), ({"batch_size": 0}, "above 0")],
)
def test_an_option_that_cannot_be_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        backend(**options)


@pytest.mark.parametrize(
    ("native", "words"),
    [
        ({"pagee": "x"}, "'page'"),
        ({"pp_mix": "far"}, "whole number"),
        ({"dtm": "2024-01-01"}, "milliseconds"),
        ({"p": "fridge"}, "srv"),
        ({"vp": "wide"}, "WIDTHxHEIGHT"),
        ({"eid": ID.replace("-", "")}, "dashes"),
        ({"tr_tt": "much"}, "decimal"),
        ({"cookie": "yes"}, "0 or 1"),
        ({"cx": "???"}, "base64"),
        ({"co": [{"schema": "thing", "data": {}}]}, "iglu:"),
    ],
)
def test_what_the_pipeline_would_fail_is_refused_at_the_call(native: dict[str, Any], words: str) -> None:
    site = analytical.Provider("snowplow", "shop", endpoint="https://c.example", transport=FakeTransport())
    with pytest.raises(InvalidHit, match=words):
        site.pageview(native, url="https://example.com/")


@pytest.mark.parametrize("kind", ["pageview", "event", "ecommerce_transaction", "self_describing"])
def test_a_hit_without_what_it_needs_is_refused(kind: str) -> None:
    with pytest.raises(InvalidHit, match="needs"):
        backend().refuse(kind, {})


# -- the vocabulary


def test_a_page_ping() -> None:
    [event] = said("page_ping", url="https://e.example/", title="T", min_x=0, max_x=100, min_y=0, max_y=500)
    assert (event["e"], event["url"], event["pp_mix"], event["pp_may"]) == ("pp", "https://e.example/", "0", "500")


def test_a_screen_view_with_both_a_name_and_an_id_is_the_mobile_one() -> None:
    [event] = said("screen_view", "HUD", id=ID, type="menu", previous_name="Home", transition_type="slide")
    assert event["ue_pr"]["data"] == {
        "schema": "iglu:com.snowplowanalytics.mobile/screen_view/jsonschema/1-0-0",
        "data": {"name": "HUD", "id": ID, "type": "menu", "previousName": "Home", "transitionType": "slide"},
    }
    [older] = said("screen_view", name="HUD")
    assert older["ue_pr"]["data"]["schema"].startswith("iglu:com.snowplowanalytics.snowplow/screen_view/")


def test_an_event_that_a_schema_describes_about_entities_at_a_true_time() -> None:
    [event] = said(
        "self_describing",
        "iglu:com.acme/save_game/jsonschema/1-0-2",
        {"level": 23},
        entities=[GEO],
        true_time=1_368_725_287,
        time=1_368_725_288,
        user_id="u",
    )
    assert event["ue_pr"]["data"] == {"schema": "iglu:com.acme/save_game/jsonschema/1-0-2", "data": {"level": 23}}
    assert event["co"]["data"] == [GEO]
    assert (event["ttm"], event["dtm"], event["uid"]) == ("1368725287000", "1368725288000", "u")


def test_a_structured_event_has_five_parts() -> None:
    [event] = said("structured_event", "shop", "add", None, "pcs", 2)
    assert [event.get(key) for key in ("se_ca", "se_ac", "se_la", "se_pr", "se_va")] == [
        "shop",
        "add",
        None,
        "pcs",
        "2",
    ]


@pytest.mark.parametrize("call", ["pageview", "event", "track_hit"])
def test_what_any_call_was_about_and_its_true_time(call: str) -> None:
    args = {"pageview": (), "event": ("signup",), "track_hit": ("page_ping", {"pp_mix": 1})}[call]
    about = {"url": "https://e.example/", "entities": [GEO], "true_time": 1_368_725_287.5}
    [event] = said(call, *args, **about)
    assert (event["e"], event["co"]["data"], event["ttm"]) == (
        {"pageview": "pv", "event": "se", "track_hit": "pp"}[call],
        [GEO],
        "1368725287500",
    )
    elsewhere = analytical.Provider("plausible", "example.com", transport=FakeTransport())
    for name, value in (("entities", [GEO]), ("true_time", 1.0)):
        with pytest.raises(Unsupported, match=f"{name} unsupported by plausible; supported by: snowplow"):
            getattr(elsewhere, call)(*args, url="https://e.example/", **{name: value})


def test_typed_calls_take_their_arguments_by_name() -> None:
    [event] = said("structured_event", category="shop", action="add", label="l", property="pcs", value=2)
    assert [event[key] for key in ("se_ca", "se_ac", "se_la", "se_pr", "se_va")] == ["shop", "add", "l", "pcs", "2"]
    [form] = said("form_change", form_id="f", element_id="e", node_name="SELECT", value="v")
    assert form["ue_pr"]["data"]["data"] == {"formId": "f", "elementId": "e", "nodeName": "SELECT", "value": "v"}
    [own] = said("self_describing", schema="iglu:com.acme/thing/jsonschema/1-0-0", data={"a": 1})
    assert own["ue_pr"]["data"]["data"] == {"a": 1}
    [cart] = said("add_to_cart", sku="s", quantity=1, unit_price=Decimal("23.99"))
    assert cart["ue_pr"]["data"]["data"] == {"sku": "s", "quantity": 1, "unitPrice": 23.99}
    [item] = said("ecommerce_transaction_item", "o", "s", Decimal("19.90"), 2, name="n", category="c", currency="GBP")
    assert [item[key] for key in ("ti_pr", "ti_qu", "ti_nm", "ti_ca", "ti_cu")] == ["19.90", "2", "n", "c", "GBP"]


def test_an_object_that_describes_itself_is_an_event_too() -> None:
    class Described:
        def to_json(self) -> dict[str, Any]:
            return {"schema": "iglu:com.acme/thing/jsonschema/1-0-0", "data": {"a": 1}}

    [event] = said("self_describing", Described())
    assert event["ue_pr"]["data"] == Described().to_json()


def test_an_order_without_a_key_has_items_without_one_and_the_time_it_is_given() -> None:
    order, item = said("ecommerce_transaction", "o", 35, items=[{"sku": "s", "price": 1, "quantity": 1}], time=NOW)
    assert order["dtm"] == item["dtm"] == str(int(NOW * 1000))
    assert order["eid"] != item["eid"]


def test_an_order_and_its_items_are_hits_of_one_order_and_one_time() -> None:
    order, first, second = said(
        "ecommerce_transaction",
        "6a8078be",
        35,
        currency="GBP",
        city="London",
        key="order-6a8078be",
        items=[
            {"sku": "pbz0026", "price": 20, "quantity": 1, "name": "Shoes"},
            {"sku": "pbz0038", "price": 15, "quantity": 1, "entities": [GEO]},
        ],
    )
    assert (order["e"], order["tr_id"], order["tr_tt"], order["tr_ci"], order["tr_cu"]) == (
        "tr",
        "6a8078be",
        "35",
        "London",
        "GBP",
    )
    assert [item["ti_sk"] for item in (first, second)] == ["pbz0026", "pbz0038"]
    assert {item["ti_cu"] for item in (first, second)} == {"GBP"}
    assert len({hit["dtm"] for hit in (order, first, second)}) == 1
    assert len({hit["eid"] for hit in (order, first, second)}) == 3
    assert "co" in second


@pytest.mark.parametrize(
    ("call", "args", "fields", "schema", "data"),
    [
        (
            "link_click",
            ("http://t.example/",),
            {"element_id": "e", "element_classes": ["a"], "element_target": "_top", "element_content": "go"},
            "link_click/jsonschema/1-0-1",
            {
                "targetUrl": "http://t.example/",
                "elementId": "e",
                "elementClasses": ["a"],
                "elementTarget": "_top",
                "elementContent": "go",
            },
        ),
        (
            "add_to_cart",
            ("123", 2),
            {"name": "The Devil's Dance", "category": "Books", "unit_price": 23.99, "currency": "USD"},
            "add_to_cart/jsonschema/1-0-0",
            {
                "sku": "123",
                "quantity": 2,
                "name": "The Devil's Dance",
                "category": "Books",
                "unitPrice": 23.99,
                "currency": "USD",
            },
        ),
        ("remove_from_cart", ("123", 1), {}, "remove_from_cart/jsonschema/1-0-0", {"sku": "123", "quantity": 1}),
        (
            "form_change",
            ("signup", "age", "INPUT", "24"),
            {"type": "number", "element_classes": ["a"]},
            "change_form/jsonschema/1-0-0",
            {
                "formId": "signup",
                "elementId": "age",
                "nodeName": "INPUT",
                "value": "24",
                "type": "number",
                "elementClasses": ["a"],
            },
        ),
        (
            "form_submit",
            ("signup",),
            {"elements": [{"name": "n", "value": "v", "nodeName": "INPUT", "type": "text"}], "form_classes": ["c"]},
            "submit_form/jsonschema/1-0-0",
            {
                "formId": "signup",
                "formClasses": ["c"],
                "elements": [{"name": "n", "value": "v", "nodeName": "INPUT", "type": "text"}],
            },
        ),
        (
            "site_search",
            (["pulp fiction"],),
            {"filters": {"nsfw": True}, "total_results": 215, "page_results": 22},
            "site_search/jsonschema/1-0-0",
            {"terms": ["pulp fiction"], "filters": {"nsfw": True}, "totalResults": 215, "pageResults": 22},
        ),
    ],
)
def test_a_typed_call_is_an_event_of_a_published_schema(
    call: str, args: tuple[Any, ...], fields: dict[str, Any], schema: str, data: dict[str, Any]
) -> None:
    [event] = said(call, *args, **fields)
    assert event["ue_pr"]["data"] == {"schema": f"iglu:com.snowplowanalytics.snowplow/{schema}", "data": data}


@pytest.mark.parametrize(
    ("call", "args", "fields"),
    [
        ("screen_view", (), {}),
        ("screen_view", ("HUD",), {"type": "menu"}),
        ("screen_view", ("HUD",), {"id": "screen23"}),
        ("link_click", ("",), {}),
        ("form_change", ("f", "e", "age"), {}),
        ("form_change", ("f", "e", "INPUT"), {"type": "wish"}),
        ("form_submit", ("f",), {"elements": [{"name": "n"}]}),
        ("form_submit", ("f",), {"elements": [{"name": "n", "value": "v", "nodeName": "WISH"}]}),
        ("site_search", ("word",), {}),
        ("site_search", ([],), {}),
        ("page_ping", (), {"url": "x", "entities": GEO}),
        ("page_ping", (), {"url": "x", "entities": [{"schema": "s"}]}),
        ("ecommerce_transaction", ("o", 1), {"items": [{"sku": "s"}]}),
        ("ecommerce_transaction", ("o", "much"), {}),
        ("ecommerce_transaction_item", ("o", "s", float("nan"), 1), {}),
        ("add_to_cart", ("s", "two"), {}),
        ("add_to_cart", ("s", 1.5), {}),
        ("remove_from_cart", ("s", 1), {"unit_price": "cheap"}),
        ("structured_event", ("c", "a"), {"value": "2"}),
        ("structured_event", ("c", 5), {}),
        ("link_click", ("https://t.example/",), {"element_id": 5}),
        ("site_search", (["a"],), {"filters": ["b"]}),
        ("site_search", (["a"],), {"filters": {"b": 1}}),
        ("site_search", (["a"],), {"total_results": -1}),
        ("page_ping", (), {"url": "x", "min_x": 1.5}),
        ("pageview", (), {"url": "x", "entities": "iglu:com.acme/thing/jsonschema/1-0-0"}),
    ],
)
def test_a_call_that_cannot_become_an_event_is_refused(
    call: str, args: tuple[Any, ...], fields: dict[str, Any]
) -> None:
    site = analytical.Provider("snowplow", "shop", endpoint="https://c.example", transport=FakeTransport())
    with pytest.raises(InvalidHit):
        getattr(site, call)(*args, **fields)


def test_another_platform_refuses_with_the_names_of_those_that_have_it() -> None:
    site = analytical.Provider("plausible", "example.com", transport=FakeTransport())
    with pytest.raises(Unsupported, match=r"link_click unsupported by plausible; supported by: .*snowplow"):
        site.link_click("https://t.example/")


def test_every_typed_call_says_what_it_takes() -> None:
    calls = [value for name, value in vars(Vocabulary).items() if not name.startswith("_") and callable(value)]
    assert len(calls) == 12
    for call in calls:
        assert call.__doc__
        assert call.__doc__.strip().endswith((".", "id; or a detail that only the schema with both has."))
        assert inspect.signature(call).return_annotation == "bool"


# -- schemas from a folder


def test_data_is_checked_against_a_folder_of_schemas() -> None:
    site = analytical.Provider(
        "snowplow", "shop", endpoint="https://c.example", transport=FakeTransport(), validate=str(SCHEMAS)
    )
    assert site.add_to_cart("123", 2)
    with pytest.raises(InvalidHit, match="latitude"):
        site.page_ping(url="https://e.example/", entities=[{**GEO, "data": {"latitude": 91, "longitude": 0}}])
    with pytest.raises(InvalidHit, match="not in the folder"):
        site.self_describing("iglu:com.acme/thing/jsonschema/1-0-0", {})


@pytest.mark.parametrize("place", ["com.acme/thing/jsonschema/1-0-0", "schemas/com.acme/thing/jsonschema/1-0-0.json"])
def test_a_folder_of_ones_own_schemas_is_enough(tmp_path: Path, place: str) -> None:
    schema = {"type": "object", "properties": {"level": {"type": "integer"}}, "additionalProperties": False}
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(schema), encoding="utf-8")
    named = {"self": {"vendor": "com.acme", "name": "other", "format": "jsonschema", "version": "2-0-0"}, **schema}
    (tmp_path / "other.json").write_text(json.dumps(named), encoding="utf-8")
    (tmp_path / "no_schema.json").write_text("[]", encoding="utf-8")
    (tmp_path / "README.md").write_text("no JSON", encoding="utf-8")
    site = analytical.Provider(
        "snowplow", "shop", endpoint="https://c.example", transport=FakeTransport(), validate=tmp_path
    )
    for uri in ("iglu:com.acme/thing/jsonschema/1-0-0", "iglu:com.acme/other/jsonschema/2-0-0"):
        assert site.self_describing(uri, {"level": 1})
        with pytest.raises(InvalidHit, match="level breaks the rule type"):
            site.self_describing(uri, {"level": "high"})
    with pytest.raises(InvalidHit, match="not in the folder"):
        site.self_describing("iglu:com.acme/thing/jsonschema/1-0-1", {"level": 1})
    assert site.link_click("https://t.example/"), "Snowplow's own schemas are in every pipeline"


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path / "none", tmp_path):
        with pytest.raises(ConfigurationError, match="validate="):
            backend(validate=str(folder))
    broken = tmp_path / "com.acme" / "thing" / "jsonschema"
    broken.mkdir(parents=True)
    (broken / "1-0-0").write_text("{", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="no schema can be read"):
        backend(validate=str(tmp_path))


# -- the inspector


def test_the_inspector_reads_what_the_backend_writes() -> None:
    sent = [hit(title="T"), hit("event", name="n"), hit("link_click", native={"ue_pr": {"schema": "x", "data": {}}})]
    [parcel] = backend().encode(sent, now=NOW)
    assert Snowplow.claims(parcel.request)
    kinds = [found.kind for found in Snowplow.decode(parcel.request)]
    assert kinds == ["pageview", "event", "self_describing"]
    assert Snowplow.answer(parcel.request, []).body == b"ok"
    get = backend(method="get").encode([hit()], now=NOW)[0].request
    assert Snowplow.claims(get)
    assert Snowplow.decode(get)[0].fields["url"] == "https://example.com/"
    assert Snowplow.answer(get, []).headers["content-type"] == "image/gif"
    assert not Snowplow.claims(Request(method="GET", url="https://c.example/i?x=1"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dtm": 1}, "must be text"),
        ({"colour": "red"}, "no parameter"),
        ({"eid": ID.replace("-", "")}, "UUID"),
        ({"dtm": "1.5"}, "whole number"),
        ({"p": "fridge"}, "one of"),
        ({"page": "x" * 2001}, "2000"),
        ({"url": ""}, "url is missing"),
        ({"cx": "!"}, "no base64"),
        ({"co": '{"schema":"x","data":[]}'}, "expected iglu:"),
        ({"co": '{"schema":1,"more":[]}'}, "envelope"),
        ({"e": "ue"}, "neither ue_px nor ue_pr"),
        ({"page": "x", "co": json.dumps({"x": "y" * 200_000})}, "192000"),
    ],
)
def test_the_inspector_finds_what_the_collector_never_reports(change: dict[str, Any], words: str) -> None:
    event = {"e": "pv", "p": "srv", "tv": "t", "url": "https://e.example/", "eid": ID, "dtm": "1", **change}
    body = json.dumps({"schema": PAYLOAD_DATA, "data": [event]}).encode()
    request = Request(
        url="https://c.example/com.snowplowanalytics.snowplow/tp2",
        headers={"content-type": "application/json"},
        body=body,
    )
    [found] = Snowplow.decode(request)
    assert any(words in finding for finding in found.findings), found.findings


def test_the_inspector_survives_any_body_and_answers_by_size() -> None:
    url = "https://c.example/com.snowplowanalytics.snowplow/tp2"
    for body in (b"", b"{", b"[1]", b'{"data":[1]}', b'{"data":{}}', b"\xff"):
        assert all(found.findings for found in Snowplow.decode(Request(url=url, body=body)))
    assert Snowplow.answer(Request(url=url, body=b"x" * 2_097_153), []).status == 413
    long = Request(method="GET", url="https://c.example/i?e=pv&page=" + "x" * 21_000)
    assert Snowplow.answer(long, []).status == 400
    assert any("20480" in text for text in Snowplow.decode(long)[0].findings)
    query = Request(url=url + "?aid=x", body=b'{"schema":"s","data":[{"e":"pv"}]}')
    assert any("query" in text for text in Snowplow.decode(query)[0].findings)


@settings(max_examples=50)
@given(st.binary(max_size=200))
def test_the_inspector_survives_anything(body: bytes) -> None:
    Snowplow.decode(Request(url="https://c.example/com.snowplowanalytics.snowplow/tp2", body=body))
