"""Providers by name, and the walk of one hit through a shell."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import requests_mock as rm
from hypothesis import given
from hypothesis import strategies as st

import analytical
from analytical.context import RequestFacts, serving
from analytical.errors import ConfigurationError, InvalidHit, Lost, Rejected, UnknownField, UnknownName, Unreachable
from analytical.http import NoResponse, Request, Response
from analytical.testing import FakeTransport, recording

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def plausible(**options: Any) -> analytical.Provider:
    return analytical.Provider("plausible", "example.com", **{"transport": FakeTransport(), **options})


def test_the_first_documented_call() -> None:
    transport = FakeTransport()
    site = analytical.Provider("matomo", 1, endpoint="https://stats.example.com/matomo.php", transport=transport)
    assert site.pageview({"action_name": "Home", "url": "https://example.com/"})
    assert site.pageview(title="Home", url="https://example.com/")
    native, common = (decoded.fields for decoded in transport.decoded())
    assert {k: native[k] for k in ("url", "title")} == {k: common[k] for k in ("url", "title")}
    assert site.stats() == {
        "accepted": 2, "delivered": 2, "unconfirmed": 0, "rejected": 0, "expired": 0, "dropped": 0, "pending": 0,
        "withheld": 0,
    }  # fmt: skip


def test_keywords_win_over_native_keys_and_both_over_the_request() -> None:
    transport = FakeTransport()
    site = plausible(transport=transport, privacy="off")
    facts = RequestFacts(url="https://example.com/context", referrer="https://ref.example/", user_agent=FIREFOX)
    with serving(facts):
        site.pageview({"url": "https://example.com/native"}, url="https://example.com/keyword")
        site.pageview({"url": "https://example.com/native"})
        site.pageview()
    assert [d.fields["url"].rsplit("/", 1)[1] for d in transport.decoded()] == ["keyword", "native", "context"]
    assert all(d.fields["referrer"] == "https://ref.example/" for d in transport.decoded())


def test_none_means_absent() -> None:
    with recording() as recorder:
        plausible().pageview({"referrer": None}, url="https://example.com/", title=None, time=None)
    assert recorder.hits[0].title is None
    assert recorder.hits[0].referrer is None


def test_empty_text_is_absent_and_silences_the_request() -> None:
    facts = RequestFacts(url="https://example.com/", referrer="https://ref.example/", user_agent=FIREFOX)
    with recording() as recorder, serving(facts):
        site = analytical.Provider("rudderstack", "key", endpoint="https://r.example")
        site.event("signup", user_id="", client_id="", referrer="", value="", screen="", key="", label="")  # type: ignore[arg-type]
        site.event("signup", key="")
    first, second = recorder.hits
    assert first.to_dict().keys() == {"v", "id", "kind", "time", "url", "user_agent", "name"}
    assert second.referrer == "https://ref.example/"
    assert not first.keyed
    assert first.id != second.id
    google = analytical.Provider("googleanalytics", "G-1", api_secret="s3cret", transport=FakeTransport())
    assert google.event({"ec": "video", "ea": "play", "ev": "", "cid": "", "uip": ""})
    with pytest.raises(InvalidHit, match="needs name="):
        site.event("")
    with pytest.raises(InvalidHit, match="time="):
        site.event("x", time="")  # type: ignore[arg-type]


def test_an_event_by_name_or_by_native_keys() -> None:
    with recording() as recorder:
        site = plausible()
        site.event("signup", url="https://example.com/")
        site.event({"name": "signup", "url": "https://example.com/"})
    assert [hit.name for hit in recorder.events] == ["signup", "signup"]
    with pytest.raises(InvalidHit, match="twice"):
        site.event("a", name="b")
    with pytest.raises(InvalidHit, match="mapping of plausible's own keys"):
        site.pageview(["url"])  # type: ignore[arg-type]


def test_a_key_makes_the_same_hit_again() -> None:
    with recording() as recorder:
        for site in (plausible(), plausible()):
            site.event("order", url="https://example.com/", key="order-1")
            site.event("order", url="https://example.com/", key="order-2")
    ids = [hit.id for hit in recorder.hits]
    assert ids[0] == ids[2] != ids[1] == ids[3]
    assert all(hit.keyed for hit in recorder.hits)


def test_time_and_priority() -> None:
    with recording() as recorder:
        plausible().event("x", url="https://example.com/", time=datetime(2026, 1, 1, tzinfo=UTC), priority=2)
    assert recorder.hits[0].time == datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    assert recorder.hits[0].priority == 2
    with pytest.raises(InvalidHit, match="priority"):
        plausible().event("x", url="https://example.com/", priority="high")  # type: ignore[arg-type]


def test_programming_mistakes_always_raise() -> None:
    with pytest.raises(UnknownName, match='Did you mean "plausible"'):
        analytical.Provider("plausibel", "x")
    site = plausible()
    with pytest.raises(UnknownField, match='Did you mean "title"'):
        site.pageview(url="https://example.com/", titel="x")  # type: ignore[call-arg]
    with pytest.raises(InvalidHit, match="needs url="):
        site.pageview(title="x")
    with pytest.raises(InvalidHit, match="no hit type"):
        site.track_hit("transaction", {})
    assert site.stats()["accepted"] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        {"timeout": 0}, {"timeout": "3"}, {"timeout": True}, {"delivery": "backgruond"}, {"privacy": "sometimes"},
        {"delivery": "inline", "spool": "x.db"}, {"endpoint": "example.com"},
        {"transport": FakeTransport(), "session": requests.Session()}, {"delivery": object(), "spool": "x.db"},
        {"asynchronously": True, "delivery": "inline"}, {"delivery": object()}, {"observer": 5}, {"bots": True},
        {"connections": 0}, {"connections": "4"},
    ],
)  # fmt: skip
def test_options_that_cannot_be_used(arguments: dict[str, Any]) -> None:
    with pytest.raises((ConfigurationError, TypeError)):
        analytical.Provider("plausible", "example.com", **arguments)


@pytest.mark.parametrize("name", ["amplitude", "mixpanel", "posthog", "segment", "jitsu"])
def test_an_id_that_is_a_credential_is_shown_nowhere(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WRITE_KEY", "wr1te-key")
    site = analytical.Provider(name, "env:WRITE_KEY", endpoint="https://h.example", transport=FakeTransport([500]))
    failed: list[Exception] = []
    site.event("signup", on_failure=failed.append)
    (request,) = site.explain("event", "signup")
    shown = f"{site!r} {site.to} {site.backend!r} {failed} {request.url} {request.headers} {request.body!r}"
    assert failed
    assert "wr1te-key" not in shown
    assert site.backend.id == "wr1te-key"


def test_an_unknown_option_names_the_nearest() -> None:
    with pytest.raises(TypeError, match="token_auth"):
        analytical.Provider("matomo", 1, endpoint="https://x.example", token_aut="x")


@pytest.mark.parametrize(
    ("answers", "state", "error"),
    [
        ([400], "rejected", Rejected),
        ([500], "dropped", Unreachable),
        ([NoResponse(reason="refused")], "dropped", Unreachable),
        ([Response(status=202, headers={"x-plausible-dropped": "1"})], "rejected", Rejected),
    ],
)
def test_the_worlds_failures_are_counted_and_raise_only_when_asked(answers: Any, state: str, error: Any) -> None:
    quiet = plausible(transport=FakeTransport(answers))
    assert quiet.pageview(url="https://example.com/") is False
    assert quiet.stats()[state] == 1
    assert quiet.stats()["pending"] == 0
    loud = plausible(transport=FakeTransport(answers), fail_silently=False)
    with pytest.raises(error):
        loud.pageview(url="https://example.com/")


def test_callbacks_inline_and_in_the_background() -> None:
    told: list[Any] = []
    arrived = threading.Event()
    for delivery in ("inline", "background"):
        for answers in ([202], [400]):
            site = plausible(transport=FakeTransport(answers), delivery=delivery)
            arrived.clear()
            site.pageview(
                url="https://example.com/",
                on_success=lambda: (told.append("yes"), arrived.set()),
                on_failure=lambda error: (told.append(type(error)), arrived.set()),
            )
            assert arrived.wait(5)
    assert told == ["yes", Rejected, "yes", Rejected]


def test_a_callback_that_raises_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    site = plausible()

    def fail() -> None:
        raise RuntimeError("planted")

    assert site.pageview(url="https://example.com/", on_success=fail)
    assert site.ledger.notes()["callback_error"] == 1
    assert "planted" not in caplog.text


def test_explain_shows_what_would_leave_and_sends_nothing() -> None:
    transport = FakeTransport()
    site = analytical.Provider(
        "matomo", 1, endpoint="https://stats.example.com", token_auth="a" * 32, transport=transport
    )
    shown = site.explain("pageview", url="https://example.com/?email=a@b.example", client_ip="12.34.56.78")
    assert transport.requests == []
    assert site.stats()["accepted"] == 0
    text = shown[0].url + shown[0].body.decode()
    assert "12.34.0.0" in text
    assert "a" * 32 not in text
    assert "b.example" not in text
    receipts = {receipt.field: receipt for receipt in shown.receipts}
    assert receipts["client_ip"].changed
    assert site.explain("event", "signup", url="https://example.com/")
    assert (
        b"e_a=signup" in site.explain("event", {"e_a": "signup", "e_c": "account"}, url="https://example.com/")[0].body
    )
    assert b"action_name=Home" in site.explain({"url": "https://example.com/", "action_name": "Home"})[0].body
    with pytest.raises(InvalidHit, match="hit type first"):
        site.explain({"action_name": "Home"}, {"url": "https://example.com/"})


def test_explain_says_why_nothing_would_leave() -> None:
    site = plausible(privacy="strict")
    with serving(RequestFacts(gpc=True)):
        shown = site.explain("pageview", url="https://example.com/")
    assert list(shown) == []
    assert shown.withheld.startswith("withheld:")


def test_a_hit_of_which_the_gate_leaves_too_little_is_withheld_and_said(caplog: pytest.LogCaptureFixture) -> None:
    transport = FakeTransport()
    site = analytical.Provider("plausible", "example.com", transport=transport)
    token = "zQ8xT2bN7kLw" * 6_000
    assert site.event(token, url="https://example.com/") is False
    assert site.event(token, url="https://example.com/") is False
    told = site.explain("event", token, url="https://example.com/")
    assert (list(told), told.withheld) == ([], "withheld:needed")
    assert site.stats() == {**dict.fromkeys(site.stats(), 0), "withheld": 2}
    assert transport.requests == []
    assert sum("name is needed" in record.getMessage() for record in caplog.records) == 1
    assert token[:12] not in caplog.text


def test_what_the_gate_changes_is_said_once_without_the_value(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "analytical")
    site = plausible()
    for _ in range(3):
        site.pageview(url="https://example.com/?email=planted", client_ip="12.34.56.78")
    said = [record.getMessage() for record in caplog.records if "client_ip" in record.getMessage()]
    assert len(said) == 1
    assert "12.34" not in caplog.text
    assert "planted" not in caplog.text


def test_text_is_cut_to_the_platforms_limit_and_counted() -> None:
    transport = FakeTransport()
    site = analytical.Provider("matomo", 1, endpoint="https://stats.example.com", transport=transport)
    site.pageview(url="https://example.com/", title="déjà vu " * 400)
    title = transport.decoded()[0].fields["title"]
    assert 0 < len(title.encode()) <= 1024
    assert set(title) == set("déjà vu")
    assert site.ledger.notes()["cut"] >= 1


_LONG: dict[str, dict[str, Any]] = {
    "value": {"properties": {"plan": "é" * 40_000}},
    "key": {"properties": {"é" * 1_100: "pro"}},
    "crowd": {"properties": {f"property{n}": n for n in range(600)}},
    "label": {"label": "é" * 40_000},
}


@pytest.mark.filterwarnings("ignore:Google stopped recording")
@pytest.mark.parametrize(
    ("name", "identity", "options", "cuts"),
    [
        ("googleanalytics", "UA-1-1", {}, "label"),
        ("ga4", "G-ABC", {"api_secret": "s3cret"}, "value key crowd label"),
        ("plausible", "example.com", {}, "value key crowd label"),
        ("amplitude", "key", {}, "value key label"),
        ("mixpanel", "token", {}, "value key crowd label"),
        ("segment", "key", {}, "value label"),
        ("rybbit", "1", {"api_key": "rb_s3cret"}, "value crowd label"),
    ],
)
def test_what_encode_leaves_out_is_counted(name: str, identity: str, options: dict[str, Any], cuts: str) -> None:
    short: dict[str, Any] = {"url": "https://example.com/", "properties": {"plan": "pro"}, "label": "a"}
    for change in ({}, *(_LONG[word] for word in cuts.split())):
        transport = FakeTransport()
        site = analytical.Provider(name, identity, transport=transport, privacy="off", **options)
        assert site.event("signup", **(short | change))
        assert ("cut" in site.ledger.notes()) is bool(change)
        assert len(transport.requests[0].body) < 34_000


@pytest.mark.filterwarnings("ignore:Google stopped recording")
def test_a_hit_of_v1_that_must_be_shortened_as_a_whole_is_counted() -> None:
    site = analytical.Provider("googleanalytics", "UA-1-1", transport=FakeTransport(), privacy="off")
    site.pageview(url="https://example.com/", user_agent="é" * 200)
    assert "cut" not in site.ledger.notes()
    site.pageview(url="https://example.com/", user_agent="é" * 4_000)
    assert site.ledger.notes()["cut"] == 1


@pytest.mark.parametrize(
    ("name", "identity", "options", "reserved"),
    [
        ("plausible", "example.com", {}, "pageview"),
        ("plausible", "example.com", {}, "engagement"),
        ("ga4", "G-ABC", {"api_secret": "s3cret"}, "session_start"),
        ("ga4", "G-ABC", {"api_secret": "s3cret"}, "google_thing"),
        ("ga4", "G-ABC", {"api_secret": "s3cret"}, "in_app_purchase"),
        ("openpanel", "id", {"client_secret": "s3cret"}, "session_end"),
    ],
)
def test_a_name_that_the_platform_keeps_for_itself_is_refused_at_the_call(
    name: str, identity: str, options: dict[str, Any], reserved: str
) -> None:
    site = analytical.Provider(name, identity, transport=FakeTransport(), **options)
    with pytest.raises(InvalidHit, match=f"'{reserved}' for itself"):
        site.event(reserved, url="https://example.com/")
    assert site.stats()["accepted"] == 0


def test_a_requests_session_of_ones_own_is_used(requests_mock: rm.Mocker) -> None:
    requests_mock.post("https://plausible.io/api/event", status_code=202, text="ok")
    session = requests.Session()
    session.headers["X-Mine"] = "yes"
    site = analytical.Provider("plausible", "example.com", session=session)
    assert site.pageview(url="https://example.com/", user_agent=FIREFOX)
    assert requests_mock.last_request is not None
    assert requests_mock.last_request.headers["X-Mine"] == "yes"
    assert json.loads(requests_mock.last_request.text)["domain"] == "example.com"


def test_requests_mock_sees_the_default_transport(requests_mock: rm.Mocker) -> None:
    requests_mock.post("https://plausible.io/api/event", status_code=202)
    assert analytical.Provider("plausible", "example.com").pageview(url="https://example.com/")
    assert requests_mock.called


def test_an_observer_is_told_and_cannot_break_anything() -> None:
    class Watch:
        def __init__(self) -> None:
            self.seen: list[str] = []

        def settled(self, to: str, hit: Any, state: str, reason: str = "") -> None:
            self.seen.append(state)

        def accepted(self, to: str, count: int = 1) -> None:
            raise RuntimeError("planted")

    watch = Watch()
    site = plausible(observer=watch)
    assert site.pageview(url="https://example.com/")
    assert watch.seen == ["delivered"]
    assert site.stats()["delivered"] == 1
    assert site.ledger.notes()["observer_error"] == 1


def test_with_and_flush_and_aflush() -> None:
    transport = FakeTransport()
    with plausible(transport=transport, delivery="background") as site:
        assert site.pageview(url="https://example.com/")
        assert site.flush(5)
        assert asyncio.run(site.aflush(5))
    assert transport.closed
    assert site.stats()["delivered"] == 1

    async def use() -> None:
        async with plausible() as other:
            other.pageview(url="https://example.com/")

    asyncio.run(use())
    assert "example.com" in repr(site)


def test_only_a_sealed_hit_can_be_submitted() -> None:
    with pytest.raises(InvalidHit, match="sealed"):
        plausible().submit({"url": "x"})  # type: ignore[arg-type]


def test_several_providers_and_one_that_fails() -> None:
    good, bad = FakeTransport(), FakeTransport([NoResponse(reason="refused")])
    sites = analytical.Providers(
        [
            plausible(transport=bad),
            plausible(transport=good),
            analytical.Provider("stdout", "x", transport=FakeTransport()),
        ]
    )
    assert sites.pageview(url="https://example.com/") is False
    assert sites.event("signup", url="https://example.com/") is False
    assert len(good.requests) == 2
    told: list[str] = []
    sites.pageview(
        url="https://example.com/", on_success=lambda: told.append("yes"), on_failure=lambda error: told.append("no")
    )
    sites.event("x", url="https://example.com/", on_success=lambda: told.append("yes"))
    assert told == ["no", "yes", "yes", "yes", "yes"]
    assert sites.flush(1)
    assert asyncio.run(sites.aflush(1))
    assert len(sites) == len(list(sites)) == len(sites.stats()) == 3
    with sites:
        pass
    with pytest.raises(ConfigurationError, match="list of providers"):
        analytical.Providers(["plausible"])  # type: ignore[list-item]


def test_a_mistake_at_one_of_several_raises_after_the_others_were_served() -> None:
    good = FakeTransport()
    umami = analytical.Provider("umami", "not-a-site", endpoint="https://u.example", transport=FakeTransport())
    matomo = analytical.Provider("matomo", 1, endpoint="https://m.example", transport=good)
    umami.backend = matomo.backend.but()
    umami._required = {"event": ("name", "category")}
    object.__setattr__(umami.backend, "missing", lambda kind, draft: "category=")
    with pytest.raises(InvalidHit, match="needs category="):
        analytical.Providers([umami, matomo]).event("signup", url="https://example.com/")
    assert len(good.requests) == 1


@pytest.fixture(scope="session")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real package, installed by pip into a folder of its own."""
    target = tmp_path_factory.mktemp("plugin")
    source = Path(__file__).parent / "plugin"
    copy = tmp_path_factory.mktemp("source") / "plugin"
    import shutil

    shutil.copytree(source, copy)
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation",
         "--target", str(target), str(copy)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return target


def test_a_plugin_of_another_package_works_by_name(plugin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from analytical.registry import PROVIDERS

    monkeypatch.syspath_prepend(plugin)
    transport = FakeTransport([200])
    site = analytical.Provider("acme", "site-1", transport=transport)
    assert site.pageview(url="https://example.com/?email=a@b.example", title="T")
    assert json.loads(transport.requests[0].body) == {"site": "site-1", "page": "https://example.com/", "heading": "T"}
    assert "acme" in PROVIDERS.names()
    PROVIDERS._known.pop("acme", None)


def test_lost_is_for_a_spool_that_is_full() -> None:
    class Full:
        def attach(self, route: Any) -> None: ...
        def submit(self, to: str, hit: Any, *, done: Any = None) -> bool:
            return False

        def stats(self, to: str) -> None:
            return None

        def flush(self, timeout: Any = None, *, to: str | None = None) -> bool:
            return True

        def detach(self, to: str, timeout: Any = None) -> None: ...
        def close(self, timeout: Any = None) -> None: ...

    site = plausible(delivery=Full(), fail_silently=False)
    with pytest.raises(Lost):
        site.pageview(url="https://example.com/")


def test_recording_calls_back_and_finds() -> None:
    told: list[str] = []
    with recording() as recorder:
        site = plausible()
        site.event("a", url="https://example.com/", on_success=lambda: told.append("a"))
        assert recorder.of("event", name="a", to=site.to)
        recorder.clear()
        assert len(recorder) == 0
    assert told == ["a"]


def test_the_transport_may_answer_by_a_function() -> None:
    def answer(request: Request) -> Response:
        return Response(status=202 if request.url.startswith("https://plausible.io") else 500)

    assert plausible(transport=FakeTransport([answer])).pageview(url="https://example.com/")


GPTBOT = "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; GPTBot/1.2; +https://openai.com/gptbot"


def test_robots_are_dropped_tagged_or_sent_elsewhere() -> None:
    dropping = plausible(bots="drop")
    assert dropping.pageview(url="https://example.com/", user_agent=GPTBOT) is False
    assert dropping.pageview(url="https://example.com/", user_agent=FIREFOX) is True
    assert dropping.stats()["withheld"] == 1
    told = dropping.explain(url="https://example.com/", user_agent=GPTBOT)
    assert (list(told), told.withheld) == ([], "withheld:bot")
    assert dropping.stats()["withheld"] == 1

    for name, endpoint in (("matomo", "https://m.example"), ("goatcounter", "https://g.example")):
        transport = FakeTransport()
        tagging = analytical.Provider(name, 1, endpoint=endpoint, bots="tag", transport=transport)
        tagging.pageview(url="https://example.com/", user_agent=GPTBOT, client_ip="203.0.113.9")
        tagging.pageview(url="https://example.com/", user_agent=FIREFOX, client_ip="203.0.113.9")
        robot, person = (request.body + request.url.encode() for request in transport.requests)
        assert b"recMode=1" in robot or b'"bot":' in robot
        assert b"recMode" not in person
        assert b'"bot":' not in person

    with recording() as recorder:
        analytical.configure({"robots": {"provider": "stdout", "id": "robots"}})
        routing = plausible(bots=analytical.Bots(action="route", to="robots"))
        routing.pageview({"props": {"plan": "pro"}}, url="https://example.com/", user_agent=GPTBOT)
        routing.pageview(url="https://example.com/", user_agent=FIREFOX)
        assert routing.explain(url="https://example.com/", user_agent=GPTBOT)[0].url == "stdout:"
        assert b"bot" in tagging.explain(url="https://example.com/", user_agent=GPTBOT)[0].body
    assert [to for to, _ in recorder.entries] == ["robots", routing.to]


def test_a_withdrawal_ends_what_is_queued(tmp_path: Path) -> None:
    from analytical.privacy.consent import subject_tag

    tag = subject_tag(b"0123456789abcdef0123456789abcdef", "user-5")
    transport = FakeTransport([503])
    with plausible(transport=transport, spool=tmp_path / "outbox.db") as site:
        assert site.event("order", url="https://example.com/", subject=tag)
        site.withdraw(tag)
        assert site.event("order", url="https://example.com/", subject=tag)
        assert site.flush(10)
        assert site.stats()["dropped"] == 2
    assert (tmp_path / "outbox.db.tombstones").exists()


def test_several_providers_share_the_time_of_a_flush_and_of_a_close() -> None:
    silent = [
        analytical.Provider("stdout", str(number), delivery="background", transport=_Never()) for number in range(3)
    ]
    both = analytical.Providers(silent)
    for site in silent:
        site.pageview(url="https://example.com/")
    began = time.monotonic()
    assert not both.flush(0.4)
    both.close(0.4)
    assert time.monotonic() - began < 1.5


class _Never:
    """A transport whose every answer is late."""

    def send(self, request: object, *, timeout: float | None = None) -> NoResponse:
        threading.Event().wait(3.0)
        return NoResponse(reason="late")

    def close(self) -> None:
        """Nothing is open."""


# -- small things -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ambiguous": "perhaps"}, "expected 'retry' or 'drop'"),
        ({"transport": object()}, r"transport= takes an object with send\(\); got <object>"),
        ({"session": object(), "transport": None}, r"session= takes an object with send\(\); got <object>"),
    ],
)
def test_an_option_that_cannot_be_is_refused_in_words(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        plausible(**options)


def test_a_number_that_is_none_is_left_out_and_counted() -> None:
    transport = FakeTransport()
    site = plausible(transport=transport, privacy="off")
    assert site.pageview({"nothing": float("nan")}, url="https://example.com/", value=float("inf"))
    (seen,) = transport.decoded()
    assert "value" not in seen.fields
    assert site.ledger.notes()["nan"] == 2


def test_a_hit_too_old_for_its_platform_is_lost_in_words() -> None:
    site = analytical.Provider("ga4", "G-1", api_secret="s", transport=FakeTransport(), fail_silently=False)
    with pytest.raises(Lost, match=r"the hit for ga4.* expired: "):
        site.pageview(url="https://example.com/", time=time.time() - 100 * 86_400)


@pytest.mark.parametrize("names", [[], ["settled"], ["settled", "settled_many"], ["accepted", "noted", "retried"]])
def test_an_observer_is_told_of_what_it_has_methods_for(names: list[str]) -> None:
    told: list[str] = []

    class Partial:
        """What a program that watches one thing writes."""

    watch = Partial()
    for name in names:
        setattr(watch, name, lambda *said, name=name: told.append(name))
    transport = FakeTransport([503, 202])
    site = analytical.Provider(
        "umami",
        "3fa85f64-5717-4562-b3fc-2c963f66afa6",
        transport=transport,
        delivery="background",
        observer=watch if names else Silent(),
        privacy="off",
    )
    for n in range(20):
        assert site.pageview(url=f"https://example.com/{n}", user_agent=FIREFOX)
    assert site.flush(20)
    site.close()
    assert site.ledger.stats()["pending"] == 0
    assert set(told) <= set(names)
    if "settled" in names:
        assert "settled" in told or "settled_many" in told
    if "retried" in names:
        assert {"accepted", "retried"} <= set(told)


class Silent:
    """An observer that asks for one thing that never happens."""

    def noted(self, to: str, what: str, count: int = 1) -> None:
        """Nothing."""


@pytest.mark.parametrize("answer", [Response(status=200, body=b'{"validationMessages": []}'), NoResponse(reason="dns")])
def test_a_hit_that_its_platform_finds_nothing_wrong_with_is_sent(answer: Response | NoResponse) -> None:
    transport = FakeTransport([answer, Response(status=204)])
    site = analytical.Provider("ga4", "G-1", api_secret="s", transport=transport, validate=True)
    assert site.pageview(url="https://example.com/")
    assert ["/debug/" in request.url for request in transport.requests] == [True, False]
    assert site.ledger.notes().get("validation_unreachable", 0) == isinstance(answer, NoResponse)


def test_what_a_validation_server_finds_is_raised() -> None:
    found = json.dumps(
        {"validationMessages": [{"fieldPath": "events", "description": "the name is reserved"}]}
    ).encode()
    transport = FakeTransport([Response(status=200, body=found)])
    site = analytical.Provider("ga4", "G-1", api_secret="s", transport=transport, validate=True)
    with pytest.raises(InvalidHit, match="the name is reserved"):
        site.pageview(url="https://example.com/")
    assert len(transport.requests) == 1


def test_a_robot_is_not_sent_to_a_name_that_nobody_configured() -> None:
    from analytical.bots import Bots

    site = plausible(bots=Bots(action="route", to="robots"))
    robot = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
    with pytest.raises(UnknownName, match="robots"):
        site.explain("pageview", url="https://example.com/", user_agent=robot)
    person = site.explain("pageview", url="https://example.com/", user_agent=FIREFOX)
    assert person.withheld == ""


def test_tombstones_stand_beside_a_spool_on_disk_and_not_beside_one_elsewhere(tmp_path: Path) -> None:
    from analytical.models import _tombstones

    assert "outbox.db.tombstones" in repr(_tombstones(None, str(tmp_path / "outbox.db")))
    assert "outbox.db.tombstones" in repr(_tombstones(None, f"sqlite:///{tmp_path}/outbox.db?hits=1"))
    assert _tombstones(None, "redis://127.0.0.1/0") is None
    assert _tombstones(None, object()) is None


# -- what the gate recalls ----------------------------------------------------------------------------------------

_SEEN = {
    "url": ["https://example.com/a", "https://example.com/b?utm_source=x&token=s3cret", "https://example.com/u/a@b.example"],
    "title": ["A page", "Mail alice@example.com", "", "x" * 6_000, "caf\u00e9", "\ud800 half"],
    "referrer": ["https://ref.example/", None],
    "client_ip": ["12.34.56.78", "2001:db8::1", "nobody"],
    "user_agent": [FIREFOX, "Rarest/0.1 (alice@example.com)"],
    "language": ["de-DE,de;q=0.9", "klingon" * 3],
    "client_id": ["1234567890.1700000000", "alice@example.com", "y" * 300],
    "session_id": ["s1", 17],
    "name": ["signup", "Anna Smith <anna@example.com>"],
    "screen": ["390x844", "none"],
    "properties": [{"plan": "pro"}],
    "time": [1_700_000_000.0],
    "route": ["/:page"],
    "consent": [{"analytics": False}],
    "priority": [1],
}  # fmt: skip
_NEEDS: dict[str, tuple[str, dict[str, Any]]] = {
    "ga4": ("G-1", {"api_secret": "s"}),
    "googleanalytics": ("UA-1-1", {}),
    "matomo": ("1", {"endpoint": "https://stats.example.com"}),
    "snowplow": ("shop", {"endpoint": "https://c.example.com"}),
    "goatcounter": ("example", {"api_key": "k"}),
}
_calls = st.lists(
    st.tuples(
        st.sampled_from(["pageview", "event"]),
        st.fixed_dictionaries(
            {}, optional={name: st.sampled_from(values) for name, values in _SEEN.items()}
        ),
        st.sampled_from([None, RequestFacts(client_ip="12.34.1.1", user_agent=FIREFOX, language="de"),
                         RequestFacts(dnt=True), RequestFacts(route="/:page", gpc=False)]),
    ),
    max_size=12,
)  # fmt: skip


@pytest.mark.parametrize("privacy", ["careful", "strict", "off"])
@pytest.mark.parametrize(
    "provider", ["posthog", "plausible", "ga4", "googleanalytics", "matomo", "snowplow", "goatcounter"]
)
@pytest.mark.filterwarnings("ignore:Google stopped recording")
def test_a_hit_that_is_recalled_is_the_hit_that_would_have_been_made(provider: str, privacy: str) -> None:
    id, options = _NEEDS.get(provider, ("example", {}))

    def made() -> analytical.Provider:
        return analytical.Provider(provider, id, privacy=privacy, transport=FakeTransport(), **options)

    @given(_calls)
    def alike(calls: list[Any]) -> None:
        quick, thorough = made(), made()
        thorough._recalls = {}
        outcomes = []
        for site in (quick, thorough):
            with recording() as recorder:
                answers = []
                for kind, fields, facts in [*calls, *calls]:  # the second time most of it is known
                    with serving(facts):
                        try:
                            answers.append(site.track_hit(kind, **fields))
                        except InvalidHit as error:
                            answers.append(str(error))
            hits = [{k: v for k, v in hit.to_dict().items() if k not in ("id", "time")} for hit in recorder.hits]
            outcomes.append((answers, hits, site._told, dict(site.ledger.notes()), site.stats()))
        assert outcomes[0] == outcomes[1]

    alike()


def test_a_page_view_of_what_was_seen_makes_no_draft(monkeypatch: pytest.MonkeyPatch) -> None:
    site = plausible()
    page = {"url": "https://example.com/a", "client_ip": "12.34.56.78", "user_agent": FIREFOX, "title": "A"}
    with recording() as recorder:
        site.pageview(**page)  # type: ignore[arg-type]
        monkeypatch.setattr(site, "_draft", None)  # would raise
        assert site.pageview(**page)  # type: ignore[arg-type]
        with serving(RequestFacts(url="https://example.com/a", client_ip="12.34.9.9", user_agent=FIREFOX)):
            assert site.pageview(title="A")
    first, again, served = recorder.hits
    assert first.id != again.id
    assert {hit.client_ip for hit in recorder.hits} == {"12.34.0.0"}
    assert served.url == "https://example.com/a"


def test_a_rule_of_the_application_s_own_is_asked_for_every_hit() -> None:
    asked: list[str] = []

    def own(value: str) -> str:
        asked.append(value)
        return value

    site = plausible(privacy=analytical.Policy.careful(url=own, ip="drop"))
    with recording():
        for _ in range(3):
            site.pageview(url="https://example.com/a", client_ip="12.34.56.78", user_agent=FIREFOX)
    assert asked == ["https://example.com/a"] * 3


def test_a_predicate_of_the_application_s_own_is_given_the_draft() -> None:
    seen: list[Any] = []
    policy = analytical.Policy.careful(withhold=lambda draft, facts: seen.append(draft["kind"]))
    site = plausible(privacy=policy)
    with recording():
        for _ in range(2):
            site.pageview(url="https://example.com/a", user_agent=FIREFOX, client_ip="12.34.56.78")
    assert seen == ["pageview"] * 2
