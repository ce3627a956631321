"""Matomo: what is sent, and what 408 answers of a real server (5.2) mean."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sampling import SAMPLES, cases, check_encode, check_interpret

from analytical.errors import ConfigurationError, InvalidHit
from analytical.hit import Hit
from analytical.http import Request, Response
from analytical.providers.matomo import Matomo

NOW = 1_767_225_600.0
TOKEN = "0123456789abcdef" * 2
RECORDED = json.loads((SAMPLES / "matomo" / "_recorded.json").read_text(encoding="utf-8"))
BY_NAME = {entry["name"]: entry for entry in RECORDED}
#: Answers that say "tracked" of what is stored nowhere: robots, hits without rec=1, items that are nothing.
INVISIBLE = {"bulk_all_bots", "bulk_missing_rec", "bulk_item_empty_object", "bulk_item_null", "bulk_item_number"}


def matomo(**options: Any) -> Matomo:
    built = Matomo.create(1, endpoint="https://stats.example.com", **options)
    assert isinstance(built, Matomo)
    return built


def hit(number: int = 0, kind: str = "pageview", **fields: Any) -> Hit:
    return Hit(id=f"00000000-0000-4000-8000-{number:012d}", kind=kind, time=NOW, **fields)


def sent(backend: Matomo, *hits: Hit) -> dict[str, str]:
    (parcel,) = backend.encode(hits, now=NOW)
    return dict(parse_qsl(parcel.request.body.decode()))


@pytest.mark.parametrize("case", cases("matomo"))
def test_hits_become_these_requests(case: dict[str, Any]) -> None:
    check_encode(case)


@pytest.mark.parametrize("case", cases("matomo"))
def test_answers_become_these_verdicts(case: dict[str, Any]) -> None:
    check_interpret(case)


# -- recorded answers


def bulk_size(entry: dict[str, Any]) -> int | None:
    """Return how many items a recorded bulk request carried; ``None`` for what is no bulk of ours."""
    try:
        items = json.loads(entry["request"]["body"] or "")["requests"]
    except (ValueError, KeyError, TypeError):
        return None
    return len(items) if isinstance(items, list) and items else None


def response_of(entry: dict[str, Any]) -> Response:
    answer = entry["response"]
    return Response(status=answer["status"], headers={"content-type": answer["type"]}, body=answer["body"].encode())


BULK = [entry for entry in RECORDED if bulk_size(entry)]


@pytest.mark.parametrize("entry", BULK, ids=lambda entry: str(entry["name"]))
def test_a_recorded_bulk_is_never_called_delivered_beyond_what_was_stored(entry: dict[str, Any]) -> None:
    count = bulk_size(entry) or 0
    verdicts = matomo(token_auth=TOKEN).interpret(response_of(entry), [hit(i) for i in range(count)], now=NOW)
    delivered = sum(verdict.state == "delivered" for verdict in verdicts)
    recorded = entry.get("recorded")
    if recorded is not None and entry["name"] not in INVISIBLE:
        assert delivered <= recorded.get("actions", 0) + recorded.get("conversions", 0)
    if entry["response"]["status"] == 500:
        assert {verdict.state for verdict in verdicts} == {"retry"}, "everything was rolled back"


@pytest.mark.parametrize(
    ("name", "states"),
    [
        ("bulk_3_ok_strings", ["delivered"] * 3),
        ("bulk_bad_idsite_super_token", ["delivered", "rejected", "delivered"]),
        ("bulk_bad_idsite_admin_token", ["unconfirmed"] * 3),
        ("bulk_all_invalid", ["rejected"] * 2),
        ("bulk_all_invalid_super_token", ["rejected"] * 2),
        ("bulk_string_without_question_mark", ["unconfirmed"] * 2),
        ("bulk_string_no_query_then_bad_site_super_token", ["unconfirmed"] * 3),
        ("lock_timeout_bulk_2_items", ["retry"] * 2),
        ("record_statistics_0_bulk", ["retry"] * 2),
        ("db_unreachable_bulk", ["retry"] * 2),
        ("sql_error_mid_batch", ["retry"] * 3),
        ("lockout_bulk_super_token", ["retry"] * 2),
        ("bulk_auth_required_wrong_token", ["retry"] * 2),
    ],
)
def test_a_recorded_bulk_answer_means_this(name: str, states: list[str]) -> None:
    verdicts = matomo(token_auth=TOKEN).interpret(
        response_of(BY_NAME[name]), [hit(i) for i in range(len(states))], now=NOW
    )
    assert [verdict.state for verdict in verdicts] == states


@pytest.mark.parametrize("name", ["bulk_cip_postonly_token", "secure_only_bulk_cip_token_body"])
def test_a_token_that_bulk_does_not_take_stops_the_destination(name: str) -> None:
    count = bulk_size(BY_NAME[name]) or 0
    hits = [hit(i, client_ip="203.0.113.0") for i in range(count)]
    verdicts = matomo(token_auth=TOKEN).interpret(response_of(BY_NAME[name]), hits, now=NOW)
    assert {(v.state, v.stop, v.attempts) for v in verdicts} == {("retry", True, 3)}


def test_as_many_invalid_as_need_the_token_stop_the_destination_though_none_is_named() -> None:
    answer = Response(status=200, body=b'{"status":"success","tracked":1,"invalid":1}')
    verdicts = matomo(token_auth=TOKEN).interpret(answer, [hit(0, client_ip="203.0.113.0"), hit(1)], now=NOW)
    assert {(v.state, v.stop) for v in verdicts} == {("unconfirmed", True)}


SINGLE = [entry for entry in RECORDED if not bulk_size(entry) and "requests" not in str(entry["request"]["body"])]


@pytest.mark.parametrize("entry", SINGLE, ids=lambda entry: str(entry["name"]))
def test_a_recorded_single_answer_is_final_only_where_it_is_good(entry: dict[str, Any]) -> None:
    (verdict,) = matomo().interpret(response_of(entry), [hit()], now=NOW)
    if entry["response"]["status"] in (200, 204):
        assert verdict.state == "delivered"
    elif entry["response"]["status"] == 400:
        # The same answer to a bad hit, a database that is down, and a refused token.
        assert (verdict.state, verdict.attempts) == ("retry", 3)
    else:
        assert verdict.state == "retry"


def test_a_custom_dimension_is_cut_where_the_server_would_and_that_is_counted() -> None:
    long = hit(native={"dimension1": "é" * 300, "dimension999": "short"})
    (parcel,) = matomo().encode([long], now=NOW)
    sent = dict(parse_qsl(parcel.request.body.decode()))
    assert (sent["dimension1"], sent["dimension999"]) == ("é" * 250, "short")
    assert matomo().shortens(long)
    assert not matomo().shortens(hit(native={"dimension999": "short", "other": "x" * 300}))


def test_the_database_being_down_does_not_reject_a_hit() -> None:
    (verdict,) = matomo().interpret(response_of(BY_NAME["db_unreachable_post"]), [hit()], now=NOW)
    assert not verdict.final


def test_the_inspector_reads_what_was_really_sent() -> None:
    for entry in BULK + SINGLE:
        request = entry["request"]
        arrived = Request(
            method=request["method"],
            url="https://stats.example.com" + request["path"],
            body=(request["body"] or "").encode(),
        )
        if Matomo.claims(arrived):
            decoded = Matomo.decode(arrived)
            answer = Matomo.answer(arrived, decoded)
            assert answer.status in (200, 204, 400)


# -- the wire


def test_the_token_stands_in_the_body_and_only_where_it_is_needed() -> None:
    backend = matomo(token_auth=TOKEN)
    assert "token_auth" not in sent(backend, hit(url="https://example.com/"))
    for needy in (
        hit(client_ip="203.0.113.0"),
        hit(native={"country": "ch"}),
        Hit(id="a", kind="pageview", time=NOW - 90_000),
    ):
        (parcel,) = backend.encode([needy], now=NOW)
        assert dict(parse_qsl(parcel.request.body.decode()))["token_auth"] == TOKEN
        assert TOKEN not in parcel.request.url
        assert parcel.request.method == "POST"


def test_without_a_token_what_needs_one_is_left_out_rather_than_lost() -> None:
    body = sent(matomo(), hit(client_ip="203.0.113.0", user_agent="UA", native={"country": "ch", "dimension1": "gold"}))
    assert not {"cip", "country", "token_auth"} & set(body)
    assert body["dimension1"] == "gold"


def test_without_a_token_visitors_stay_apart_for_a_day() -> None:
    def cid(address: str, time: float = NOW) -> str:
        return sent(matomo(), Hit(id="x", kind="pageview", time=time, client_ip=address, user_agent="UA"))["cid"]

    assert cid("203.0.0.0") == cid("203.0.0.0", NOW + 60) != cid("198.51.0.0")
    assert cid("203.0.0.0") != cid("203.0.0.0", NOW - 86_400)


def test_without_a_token_a_hit_expires_before_the_server_would_refuse_it() -> None:
    assert (matomo().max_age or 0) < 86_400
    assert matomo(token_auth=TOKEN).max_age is None


@pytest.mark.parametrize("given_id", ["u-1", "g" * 16, "0123456789ABCDEF0", "ß", "555.1"])
def test_any_client_id_becomes_sixteen_hexadecimal_digits(given_id: str) -> None:
    body = sent(matomo(), hit(client_id=given_id))
    assert len(body["cid"]) == 16
    assert int(body["cid"], 16) >= 0


def test_a_client_id_that_is_one_already_stays() -> None:
    assert sent(matomo(), hit(client_id="0123456789ABCDEF"))["cid"] == "0123456789abcdef"


@pytest.mark.parametrize("blank", ["", "   ", None])
def test_an_event_never_lacks_category_or_action(blank: str | None) -> None:
    body = sent(matomo(), hit(kind="event", name="play", category=blank))
    assert body["e_c"] == "event"
    assert body["e_a"] == "play"


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="aé€𝄞&<>\"'", min_size=1, max_size=40), st.integers(1, 60))
def test_no_text_is_cut_inside_a_character_by_the_server(piece: str, times: int) -> None:
    from html import escape

    text = piece * times
    body = sent(
        matomo(), hit(title=text, url="https://example.com/" + text, native={"search_cat": text, "pv_id": text})
    )
    for key, limit in {"action_name": 1024, "url": 1024, "search_cat": 200, "pv_id": 6}.items():
        # The server escapes for HTML before it cuts by bytes.
        assert len(escape(body.get(key, "")).encode()) <= limit
        assert text.startswith(body.get(key, "").removeprefix("https://example.com/"))


def test_bulk_is_what_the_documentation_prescribes() -> None:
    (parcel,) = matomo(token_auth=TOKEN).encode([hit(i, url=f"https://example.com/{i}") for i in range(3)], now=NOW)
    body = json.loads(parcel.request.body)
    assert set(body) == {"requests", "token_auth"}
    for i, item in enumerate(body["requests"]):
        assert item.startswith("?")
        query = parse_qs(item[1:])
        assert query["url"] == [f"https://example.com/{i}"]
        assert (query["idsite"], query["rec"]) == (["1"], ["1"])
    assert parcel.request.headers["Content-Type"] == "application/json"


def test_the_lane_is_the_visitor() -> None:
    backend = matomo()
    assert backend.lane(hit(user_id="u", client_id="c")) == backend.lane(hit(user_id="u", client_id="d"))
    assert backend.lane(hit(client_id="c")) != backend.lane(hit(client_id="d"))
    assert backend.lane(hit(client_ip="1.2.0.0", user_agent="A")) != backend.lane(
        hit(client_ip="1.2.0.0", user_agent="B")
    )


def test_a_page_view_needs_an_address_or_a_title() -> None:
    matomo().refuse("pageview", {"title": "Home"})
    with pytest.raises(InvalidHit, match="url="):
        matomo().refuse("pageview", {})
    with pytest.raises(InvalidHit, match="search"):
        matomo().refuse("search", {"url": "https://example.com/"})


def test_a_site_id_is_a_number() -> None:
    with pytest.raises(ConfigurationError, match="site id"):
        Matomo.create("example.com", endpoint="https://stats.example.com")


def test_the_probe_keeps_the_token_out_of_the_address() -> None:
    backend = matomo(token_auth=TOKEN).but(endpoint="https://example.com/stats/piwik.php")
    request = backend.probe()
    assert request is not None
    assert request.url.startswith("https://example.com/stats/index.php?module=API")
    assert TOKEN not in request.url
    assert TOKEN not in request.masked().body.decode()
    assert backend.probed(Response(status=200, body=b'{"idsite":1}')) is None
    assert "token" in str(backend.probed(Response(status=200, body=b'{"result":"error","message":"wrong token"}')))
