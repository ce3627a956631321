"""googleanalytics: what is sent, and what the answers mean."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

import pytest
from sampling import cases, check_encode, check_interpret

from analytical.errors import ConfigurationError, InvalidHit
from analytical.hit import Hit
from analytical.providers.ga4 import Ga4
from analytical.providers.googleanalytics import GoogleAnalytics


@pytest.mark.parametrize("case", cases("googleanalytics"))
def test_hits_become_these_requests(case: dict[str, Any]) -> None:
    check_encode(case)


@pytest.mark.parametrize("case", cases("googleanalytics"))
def test_answers_become_these_verdicts(case: dict[str, Any]) -> None:
    check_interpret(case)


NOW = 1_767_225_600.0


def v1(**options: Any) -> GoogleAnalytics:
    return GoogleAnalytics(id="UA-12345-1", **options)


def pairs(hit: Hit, backend: GoogleAnalytics | None = None) -> dict[str, str]:
    (parcel,) = (backend or v1()).encode([hit], now=NOW)
    return dict(parse_qsl(parcel.request.body.decode(), keep_blank_values=True))


def test_the_2018_call_keeps_its_wire() -> None:
    known, rest = v1().lift({"dl": "https://example.com", "dt": "My page", "ua": "user-agent", "uip": "12.34.0.0"})
    sent = pairs(Hit(id="0f9c2a4e-5b1d-4c3e-8a7f-000000000000", kind="pageview", time=NOW, native=rest, **known))
    assert sent == {
        "v": "1",
        "tid": "UA-12345-1",
        "t": "pageview",
        "cid": "0f9c2a4e-5b1d-4c3e-8a7f-000000000000",
        "dl": "https://example.com",
        "dt": "My page",
        "ua": "user-agent",
        "uip": "12.34.0.0",
    }


def test_the_id_chooses_the_protocol() -> None:
    assert isinstance(GoogleAnalytics.create("G-ABC123", api_secret="s"), Ga4)
    assert isinstance(GoogleAnalytics.create("1:23:android:ab", api_secret="s"), Ga4)
    with pytest.raises(ConfigurationError, match="G-XXXXXXX"):
        GoogleAnalytics.create("GTM-1234")
    own = GoogleAnalytics.create("shop", endpoint="https://collector.example.com")
    assert own.address() == "https://collector.example.com/collect"


def test_a_ua_id_warns_once_a_process_and_names_2024() -> None:
    code = (
        "import warnings\n"
        "from analytical.providers.googleanalytics import GoogleAnalytics as G\n"
        "with warnings.catch_warnings(record=True) as seen:\n"
        "    warnings.simplefilter('always')\n"
        "    G.create('UA-1-1'); G.create('UA-2-1')\n"
        "print(len(seen), '2024' in str(seen[0].message))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "True"]


def test_queue_time_is_reckoned_at_sending() -> None:
    assert "qt" not in pairs(Hit(id="a", kind="pageview", time=NOW, url="https://e.com/"))
    assert pairs(Hit(id="a", kind="pageview", time=NOW - 90, url="https://e.com/"))["qt"] == "90000"
    queued = Hit(id="a", kind="pageview", time=NOW - 90, url="https://e.com/", native={"qt": 1000})
    assert pairs(queued)["qt"] == "91000"
    assert v1().max_age == 4 * 3600


def test_an_event_has_a_category_and_a_whole_value() -> None:
    sent = pairs(Hit(id="a", kind="event", time=NOW, name="play", value="12.9"))
    assert (sent["ec"], sent["ea"], sent["ev"]) == ("event", "play", "12")
    assert "ev" not in pairs(Hit(id="a", kind="event", time=NOW, name="play", value=-1))
    assert pairs(Hit(id="a", kind="event", time=NOW, name="play", value=0))["ev"] == "0"


@pytest.mark.parametrize(
    "identity", ["0b6ff8f1-6a0f-4f2d-9c7e-3f2a5d1c8e90", "019adf00-1234-7abc-8def-0123456789ab", "g-1"]
)
def test_a_missing_visitor_is_a_uuid_of_version_4_derived_from_the_hit(identity: str) -> None:
    hit = Hit(id=identity, kind="pageview", time=NOW, url="https://example.com/")
    cid = pairs(hit)["cid"]
    assert cid == pairs(hit)["cid"]
    assert identity == "g-1" or UUID(cid).version == 4
    assert cid == identity or identity[14:15] == "7"


def test_a_user_id_stands_for_the_client_id() -> None:
    assert "cid" not in pairs(Hit(id="a", kind="pageview", time=NOW, user_id="u"))


def test_a_key_cannot_smuggle_in_another_hit() -> None:
    hits = [Hit(id="a", kind="pageview", time=NOW, native={"x\nv=1&tid": "UA-9-9", "a&b": "c"}) for _ in range(2)]
    (parcel,) = v1().encode(hits, now=NOW)
    assert len(parcel.request.body.split(b"\n")) == 2
    assert b"&tid=UA-9-9" not in parcel.request.body


def test_a_hit_stays_within_8_kb_whatever_its_letters_cost() -> None:
    long = "ä" * 2000
    hit = Hit(
        id="a", kind="pageview", time=NOW, url=f"https://e.com/{long}", title=long, referrer=f"https://e.com/{long}"
    )
    (parcel,) = v1().encode([hit], now=NOW)
    assert len(parcel.request.body) <= 8192
    assert not [f for decoded in GoogleAnalytics.decode(parcel.request) for f in decoded.findings]


@pytest.mark.parametrize(
    ("kind", "draft", "lacks"),
    [
        ("pageview", {"native": {"dh": "example.com"}}, "'dp'"),
        ("pageview", {"native": {"dh": "example.com", "dp": "/"}}, None),
        ("pageview", {"url": "https://example.com/"}, None),
        ("event", {}, "'ea'"),
        ("screenview", {}, "'cd'"),
        ("transaction", {}, "'ti'"),
        ("item", {"native": {"ti": "1"}}, "'in'"),
        ("social", {"native": {"sn": "n", "sa": "a"}}, "'st'"),
        ("exception", {}, None),
        ("timing", {}, None),
    ],
)
def test_each_kind_says_what_it_lacks(kind: str, draft: dict[str, Any], lacks: str | None) -> None:
    if lacks is None:
        v1().refuse(kind, draft)
    else:
        with pytest.raises(InvalidHit, match=lacks):
            v1().refuse(kind, draft)


def test_a_collector_with_one_address_gets_one_hit_a_request() -> None:
    hits = [Hit(id=str(i), kind="pageview", time=NOW, url="https://e.com/") for i in range(3)]
    assert len(v1(endpoint="https://proxy.example.com/ua").encode(hits, now=NOW)) == 3
    (parcel,) = v1(endpoint="https://proxy.example.com/ua/collect").encode(hits, now=NOW)
    assert parcel.request.url == "https://proxy.example.com/ua/batch"


def test_validation_reads_the_parser_messages() -> None:
    (request,) = v1(validate=True).validate_requests([Hit(id="a", kind="pageview", time=NOW)], now=NOW)
    assert request.url.endswith("/debug/collect")
    answer = GoogleAnalytics.answer(request, GoogleAnalytics.decode(request))
    assert any("dl" in finding for finding in v1().findings(answer))
    assert v1().validate_requests([], now=NOW) == []


def test_ga4_understands_every_key_of_the_first_documented_call() -> None:
    ga = GoogleAnalytics.create("G-ABC123", api_secret="s")
    known, rest = ga.lift({"dl": "https://example.com", "dt": "My page", "ua": "UA", "uip": "12.34.0.0", "ul": "de"})
    ga.refuse("pageview", {**known, "native": rest})
    (parcel,) = ga.encode([Hit(id="a", kind="pageview", time=NOW, native=rest, **known)], now=NOW)
    body = json.loads(parcel.request.body)
    assert body["ip_override"] == "12.34.0.0"
    assert body["user_agent"] == "UA"
    assert body["events"][0]["name"] == "page_view"
    assert body["events"][0]["params"]["page_location"] == "https://example.com"


def test_ga4_takes_v1_events_and_its_own_keys_alike() -> None:
    ga = GoogleAnalytics.create("G-ABC123", api_secret="s")
    old, _ = ga.lift({"ec": "video", "ea": "play", "el": "intro", "ev": 3, "uid": "u", "cid": "1.2"})
    new, _ = ga.lift(
        {
            "event_category": "video",
            "name": "play",
            "event_label": "intro",
            "value": 3,
            "user_id": "u",
            "client_id": "1.2",
        }
    )
    assert old == new
    with pytest.raises(InvalidHit, match="'ea'"):
        ga.refuse("event", {})


def test_v1_knew_no_reserved_names_and_screens_of_the_web_are_pages() -> None:
    site = GoogleAnalytics.create("G-ABC", api_secret="s3cret")
    site.refuse("event", {"name": "error"})
    event = Hit(id="a", kind="event", time=NOW, name="error")
    screen = Hit(id="b", kind="screenview", time=NOW, native={"cd": "Home"})
    sent = [json.loads(site.encode([one], now=NOW)[0].request.body)["events"][0] for one in (event, screen)]
    assert sent[0]["name"] == "e_error"
    assert sent[1]["name"] == "page_view"
    assert sent[1]["params"] == {"page_title": "Home", "screen_name": "Home"}


def test_products_of_v1_become_items() -> None:
    site = GoogleAnalytics.create("G-ABC", api_secret="s3cret")
    native = {"pa": "purchase", "ti": "T1", "tr": "30.5", "tcc": "SUMMER"}
    products = {"pr2id": "B", "pr1id": "A", "pr1nm": "Shoe", "pr1pr": "10.25", "pr1qt": "2", "pr1ps": 1, "pr1cd1": "x"}
    bought = Hit(id="a", kind="event", time=NOW, name="checkout", currency="EUR", native={**native, **products})
    (parcel,) = site.encode([bought], now=NOW)
    (event,) = json.loads(parcel.request.body)["events"]
    assert event["name"] == "purchase"
    assert event["params"]["items"] == [
        {"item_id": "A", "item_name": "Shoe", "price": 10.25, "quantity": 2, "index": 1},
        {"item_id": "B"},
    ]
    assert {key: event["params"][key] for key in ("transaction_id", "value", "coupon", "currency", "pr1cd1")} == {
        "transaction_id": "T1",
        "value": 30.5,
        "coupon": "SUMMER",
        "currency": "EUR",
        "pr1cd1": "x",
    }
    assert [finding for hit in site.decode(parcel.request) for finding in hit.findings] == []


def test_what_0_0_1_kept_here_is_still_found_here() -> None:
    from analytical.providers.googleanalytics import generate_client_id

    assert generate_client_id("secret") == generate_client_id("secret") != generate_client_id()
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        vars(sys.modules["analytical.providers.googleanalytics"])["__getattr__"]("Nothing")


# -- small things -------------------------------------------------------------------------------------------------


def test_who_allows_no_personal_advertising_is_sent_as_such_and_read_as_such() -> None:
    refused = Hit(id="a", kind="pageview", time=NOW, url="https://example.com/", consent={"ad_personalization": False})
    assert pairs(refused)["npa"] == "1"
    (parcel,) = v1().encode([refused], now=NOW)
    (seen,) = GoogleAnalytics.decode(parcel.request)
    assert seen.fields["consent"] == {"ad_personalization": False}
    allowed = Hit(id="a", kind="pageview", time=NOW, url="https://example.com/", consent={"ad_personalization": True})
    assert "npa" not in pairs(allowed)


def test_a_host_and_a_path_are_an_address() -> None:
    backend = GoogleAnalytics.create("G-1", api_secret="s3cret")
    assert backend.missing("pageview", {"native": {"dh": "example.com", "dp": "/a"}}) is None
    assert backend.missing("pageview", {"native": {"dp": "/a"}}) is not None


def test_a_queue_time_moves_the_moment_of_a_translated_hit() -> None:
    backend = GoogleAnalytics.create("G-1", api_secret="s3cret")
    known, rest = backend.lift({"dl": "https://example.com/", "qt": "1500"})
    (parcel,) = backend.encode([Hit(id="a", kind="pageview", time=NOW, native=rest, **known)], now=NOW)
    (event,) = json.loads(parcel.request.body)["events"]
    assert event["timestamp_micros"] == int((NOW - 1.5) * 1_000_000)
