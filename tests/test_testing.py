"""What tests of applications and of plug-ins are given."""

from __future__ import annotations

import dataclasses
import inspect
from types import SimpleNamespace
from typing import Any

import pytest

import analytical
from analytical.http import Request, Response
from analytical.registry import PROVIDERS
from analytical.spool.contracts import Clock, SpoolContract
from analytical.testing import FakeTransport, ProviderContract, Recorder


def test_a_recorder_is_asked_by_kind_destination_and_field(analytical_recorder: Recorder) -> None:
    told: list[str] = []
    site = analytical.Provider("plausible", "example.com", to="web")
    shop = analytical.Provider("plausible", "shop.example", to="shop")
    assert site.pageview(url="https://example.com/", on_success=lambda: told.append("ok"))
    assert shop.event("signup", url="https://example.com/")
    assert told == ["ok"]
    assert [hit.kind for hit in analytical_recorder.hits] == ["pageview", "event"]
    assert analytical_recorder.pageviews == analytical_recorder.of("pageview") == analytical_recorder.of(to="web")
    assert analytical_recorder.events == analytical_recorder.of(name="signup") == analytical_recorder.of(to="shop")
    assert len(analytical_recorder) == 2
    analytical_recorder.clear()
    assert len(analytical_recorder) == 0


def test_a_request_that_no_provider_would_make_is_the_test_s_mistake() -> None:
    with pytest.raises(AssertionError, match="no provider speaks"):
        FakeTransport().send(Request(url="https://nobody.example/", body=b"x"))


def test_a_plug_in_that_does_not_explain_itself_is_answered_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(request: Request) -> Any:
        raise NotImplementedError

    mute = SimpleNamespace(
        claims=lambda request: True, decode=decode, answer=lambda request, decoded: Response(status=204)
    )
    monkeypatch.setattr(PROVIDERS, "names", lambda: ["mute"])
    monkeypatch.setattr(PROVIDERS, "get", lambda name: mute)
    assert FakeTransport().send(Request(url="https://mute.example/")) == Response(status=204)


def test_answers_come_in_order_and_the_last_one_for_ever() -> None:
    transport = FakeTransport([503, lambda request: Response(status=len(request.body)), Response(status=202)])
    answers = [transport.send(Request(url="https://x.example/", body=b"abc")) for _ in range(4)]
    assert [answer.status for answer in answers if isinstance(answer, Response)] == [503, 3, 202, 202]
    transport.close()
    assert transport.closed


def test_a_name_that_is_none_of_this_module_s_is_an_attribute_error() -> None:
    from analytical import testing

    with pytest.raises(AttributeError, match="has no attribute 'SpoolContarct'"):
        testing.SpoolContarct  # noqa: B018 - reading it is the test


class Modest(SpoolContract):
    """A spool that can do as little as one may; not collected, because of its name."""

    due_times = leases = lanes = bounded = durable = False


@pytest.mark.parametrize(
    "name",
    [name for name in dir(SpoolContract) if name.startswith("test_")
     and "pytest.skip" in inspect.getsource(getattr(SpoolContract, name))],
)  # fmt: skip
def test_what_a_spool_cannot_do_is_skipped_with_a_reason(name: str) -> None:
    asked = getattr(Modest(), name)
    nothing: dict[str, Any] = dict.fromkeys(inspect.signature(asked).parameters)
    with pytest.raises(pytest.skip.Exception, match="this spool"):
        asked(**nothing)


def test_a_spool_without_books_of_its_own_is_not_asked_for_them() -> None:
    from analytical.spool.memory import MemorySpool

    class Bookless(Modest):
        durable = True

    with pytest.raises(pytest.skip.Exception, match="keeps no ledger"):
        Bookless().test_the_books_balance_across_a_restart(MemorySpool(monotonic=Clock()))


def test_a_backend_whose_configuration_can_be_changed_fails_its_suite() -> None:
    suite: Any = ProviderContract()
    suite.backend = dataclasses.make_dataclass("Loose", ["id"], unsafe_hash=True)("G-1")
    with pytest.raises(AssertionError, match="can be changed"):
        suite.test_it_is_a_frozen_value()
