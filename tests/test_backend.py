"""The one algorithm that carries hits, over a backend of the test's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytical.backend import Backend, Parcel, exchange, option, packed, text_of
from analytical.errors import ConfigurationError, InvalidHit
from analytical.fields import Fields
from analytical.hit import Hit, new_id
from analytical.http import NoResponse, Request, Response
from analytical.verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class Post(Backend):
    """Batches of names; refuses what is called "bad"."""

    token: str | None = option(secret=True)
    colour: str = "red"

    name = "post"
    title = "Post"
    host = "https://post.example"
    paths = ("/in", "/in/batch")
    fields = Fields(url="u", name="n")
    max_batch: ClassVar[int] = 3

    def encode(self, hits: Sequence[Hit], *, now: float) -> list[Parcel]:
        if any(hit.name == "explosive" for hit in hits):
            raise RuntimeError("planted")
        runs = packed([1] * len(hits), count=self.max_batch, size=10_000)
        kept = [[i for i in run if hits[i].name != "unsayable"] for run in runs]
        return [
            Parcel(Request(url=self.address(), body=json.dumps([hits[i].name for i in run]).encode()), tuple(run))
            for run in kept
            if run
        ]


def hits(*names: str) -> list[Hit]:
    return [Hit.from_dict({"id": new_id(), "kind": "event", "time": 1.0, "name": name}) for name in names]


Answer = Callable[[Request], Response | NoResponse]


def carry(
    names: Sequence[str], answer: Answer, backend: Backend | None = None
) -> tuple[list[Verdict], list[list[str]]]:
    talk = exchange(backend or Post(id="1"), hits(*names), now=lambda: 1e9)
    sent = []
    try:
        request = next(talk)
        while True:
            sent.append(json.loads(request.body))
            request = talk.send(answer(request))
    except StopIteration as done:
        return done.value, sent


def ok(request: Request) -> Response:
    return Response(status=200)


def test_every_hit_gets_a_verdict_in_order() -> None:
    verdicts, sent = carry("abcde", ok)
    assert [v.state for v in verdicts] == ["delivered"] * 5
    assert sent == [["a", "b", "c"], ["d", "e"]]


def test_nothing_to_send_is_nothing_sent() -> None:
    assert carry("", ok) == ([], [])


def test_what_is_too_large_is_halved_until_it_fits_or_stands_alone() -> None:
    def small(request: Request) -> Response:
        return Response(status=413 if len(json.loads(request.body)) > 1 or b"fat" in request.body else 200)

    verdicts, sent = carry(["a", "fat", "c"], small)
    assert [v.state for v in verdicts] == ["delivered", "rejected", "delivered"]
    assert verdicts[1].reason == "http 413"
    assert sent == [["a", "fat", "c"], ["a"], ["fat", "c"], ["fat"], ["c"]]


def test_a_dead_destination_is_asked_once() -> None:
    verdicts, sent = carry("abcdefg", lambda request: NoResponse(reason="timeout", sent=True))
    assert len(sent) == 1
    assert [v.state for v in verdicts] == ["retry"] * 7
    assert [v.ambiguous for v in verdicts] == [True] * 3 + [False] * 4


def test_a_permanent_failure_is_not_tried_again() -> None:
    verdicts, _ = carry("a", lambda request: NoResponse(reason="not writable", permanent=True))
    assert verdicts[0] == Verdict("rejected", "not writable")


def test_a_destination_that_asks_for_time_is_left_alone() -> None:
    verdicts, sent = carry("abcdefg", lambda request: Response(status=429, headers={"retry-after": "30"}))
    assert len(sent) == 1
    assert {(v.state, v.after) for v in verdicts} == {("retry", 30.0)}


@pytest.mark.parametrize(
    ("status", "state"),
    [(200, "delivered"), (204, "delivered"), (301, "rejected"), (400, "rejected"), (401, "rejected"), (408, "retry"),
     (413, "rejected"), (425, "retry"), (429, "retry"), (500, "retry"), (503, "retry"), (599, "retry")],
)  # fmt: skip
def test_statuses_by_the_rules_of_http(status: int, state: str) -> None:
    assert carry("a", lambda request: Response(status=status))[0][0].state == state


def test_one_hit_that_cannot_be_encoded_costs_no_other() -> None:
    verdicts, _ = carry(["a", "explosive", "c"], ok)
    assert [v.state for v in verdicts] == ["delivered", "rejected", "delivered"]
    assert verdicts[1].reason == "cannot be encoded: RuntimeError"
    assert carry(["a", "unsayable"], ok)[0][1] == Verdict("rejected", "cannot be encoded")


def test_a_backend_that_misreads_an_answer_claims_nothing() -> None:
    class Wild(Post):
        def interpret(self, response: Response, hits: Sequence[Hit], *, now: float) -> list[Verdict]:
            raise IndexError

    class Short(Post):
        def interpret(self, response: Response, hits: Sequence[Hit], *, now: float) -> list[Verdict]:
            return []

    assert carry("ab", ok, Wild(id="1"))[0] == [Verdict("unconfirmed", "unreadable answer: IndexError")] * 2
    assert carry("ab", ok, Short(id="1"))[0] == [Verdict("unconfirmed", "unreadable answer: miscounted")] * 2
    assert carry("a", lambda r: Response(status=503), Wild(id="1"))[0][0].state == "retry"


@given(st.lists(st.sampled_from(["a", "b", "fat", "explosive", "unsayable"]), max_size=12), st.randoms())
def test_no_weather_loses_a_verdict(names: list[str], weather: Any) -> None:
    def answer(request: Request) -> Response | NoResponse:
        kind = weather.choice(["ok", "413", "500", "dead", "429"])
        if kind == "dead":
            return NoResponse(reason="reset", sent=weather.random() < 0.5)
        return Response(status=200 if kind == "ok" else int(kind))

    verdicts, sent = carry(names, answer)
    assert len(verdicts) == len(names)
    assert all(verdict.state in ("delivered", "retry", "rejected") for verdict in verdicts)
    assert len(sent) <= 4 * len(names) + 1


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 9), st.integers(10, 120))
def test_packed_runs_hold_everything_once_and_fit(sizes: list[int], count: int, size: int) -> None:
    runs = list(packed(sizes, count=count, size=size, overhead=2, between=1))
    assert [i for run in runs for i in run] == list(range(len(sizes)))
    for run in runs:
        total = 2 + sum(sizes[i] for i in run) + len(run) - 1
        assert len(run) <= count
        assert total <= size or len(run) == 1


@pytest.mark.parametrize(
    ("endpoint", "path", "expected"),
    [
        (None, None, "https://post.example/in"),
        ("https://mine.example", None, "https://mine.example/in"),
        ("https://mine.example/", "/in/batch", "https://mine.example/in/batch"),
        ("http://mine.example:81/proxy/x", None, "http://mine.example:81/proxy/x"),
        ("https://mine.example/proxy/in", "/in/batch", "https://mine.example/proxy/in/batch"),
        ("https://mine.example/odd", "/in/batch", "https://mine.example/odd"),
        ("https://mine.example?x=1", None, "https://mine.example/in?x=1"),
    ],
)
def test_addresses(endpoint: str | None, path: str | None, expected: str) -> None:
    assert Post(id="1", endpoint=endpoint).address(path) == expected


def test_options_are_checked_and_secrets_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", "t0ken")
    made = Post.create(7, token="env:A_TOKEN", endpoint=None)
    assert isinstance(made, Post)
    assert (made.id, made.token, made.colour) == ("7", "t0ken", "red")
    assert "t0ken" not in repr(made)
    assert made.but(colour="blue").colour == "blue"
    with pytest.raises(TypeError, match='Did you mean "colour"'):
        Post.create(1, color="blue")
    for wrong in ("mine.example", "ftp://x/", "https://"):
        with pytest.raises(ConfigurationError, match="no address"):
            Post.create(1, endpoint=wrong)

    class Homeless(Post):
        name = "homeless"
        host = None

    with pytest.raises(ConfigurationError, match="type endpoint="):
        Homeless.create(1)


def test_what_the_platform_could_never_take_is_refused() -> None:
    with pytest.raises(InvalidHit, match=r"no hit type 'pagevieww'.*Did you mean \"pageview\""):
        Post(id="1").refuse("pagevieww", {})
    with pytest.raises(InvalidHit, match=r"a pageview on post needs url= \(native 'u'\)"):
        Post(id="1").refuse("pageview", {"url": ""})
    Post(id="1").refuse("event", {"name": "x"})


def test_values_as_text() -> None:
    assert [text_of(v) for v in (True, False, 3, 3.0, 3.25, 1e300, "x", None)] == [
        "1", "0", "3", "3", "3.25", "1e+300", "x", "",
    ]  # fmt: skip


def test_plain_defaults_of_a_backend() -> None:
    plain = Post(id="1")
    assert plain.lane(hits("a")[0]) is None
    assert plain.probe() is None
    assert Post.claims(Request(url="http://127.0.0.1/in?x=1"))
    assert not Post.claims(Request(url="http://127.0.0.1/out"))
    assert Post.answer(Request(url="http://127.0.0.1/in"), []).status == 200
