"""Inline delivery: sent in the calling thread, settled before the call returns."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from analytical.delivery import Delivery
from analytical.delivery.inline import InlineDelivery
from analytical.hit import Hit
from analytical.observe import Ledger
from analytical.route import Route
from analytical.spool.contracts import NOW, make_hit
from analytical.verdict import DELIVERED, UNCONFIRMED, Verdict, rejected, retry


def submit(answer: Verdict | Exception, hit: Hit | None = None, **options: Any) -> tuple[bool, Ledger, list[Any]]:
    ledger, ends = Ledger(), []

    def send(hits: Sequence[Hit], *, timeout: float | None = None) -> list[Verdict]:
        if isinstance(answer, Exception):
            raise answer
        return [answer] * len(hits)

    delivery = InlineDelivery(clock=lambda: NOW)
    delivery.attach(Route(to="web", send=send, observer=ledger, **options))
    done = delivery.submit("web", hit or make_hit(), done=lambda state, reason: ends.append((state, reason)))
    return done, ledger, ends


def test_is_a_delivery() -> None:
    assert isinstance(InlineDelivery(), Delivery)


@pytest.mark.parametrize(
    ("answer", "returned", "state", "reason"),
    [
        (DELIVERED, True, "delivered", ""),
        (UNCONFIRMED, True, "unconfirmed", ""),
        (rejected("http 400"), False, "rejected", "http 400"),
        (retry(reason="refused"), False, "dropped", "refused"),
        (retry(60.0, reason="http 429"), False, "dropped", "http 429"),
        (retry(), False, "dropped", "no answer"),
        (RuntimeError("a bug"), False, "rejected", "cannot be sent: RuntimeError"),
    ],
)
def test_every_answer_ends_the_hit(answer: Any, returned: bool, state: str, reason: str) -> None:
    done, ledger, ends = submit(answer)
    assert done is returned
    assert ends == [(state, reason)]
    stats = ledger.stats()
    assert stats[state] == stats["accepted"] == 1
    assert stats["pending"] == 0


def test_a_hit_too_old_for_its_platform_is_not_sent() -> None:
    done, _, ends = submit(DELIVERED, make_hit(time=NOW - 301), max_age=300.0)
    assert not done
    assert ends == [("expired", "too old for the platform")]


def test_a_withdrawn_hit_is_not_sent() -> None:
    assert submit(DELIVERED, withdrawn=lambda hit: True)[2] == [("dropped", "withdrawn")]


def test_a_question_for_consent_that_fails_means_no() -> None:
    def broken(hit: Hit) -> bool:
        raise OSError

    assert submit(DELIVERED, withdrawn=broken)[2] == [("dropped", "consent unknown")]


def test_it_is_sent_by_the_calling_thread() -> None:
    seen: list[int] = []

    def send(hits: Sequence[Hit], *, timeout: float | None = None) -> list[Verdict]:
        seen.append(threading.get_ident())
        return [DELIVERED]

    delivery = InlineDelivery()
    delivery.attach(Route(to="web", send=send, observer=Ledger()))
    delivery.submit("web", make_hit())
    assert seen == [threading.get_ident()]


def test_nothing_is_ever_left() -> None:
    delivery = InlineDelivery()
    assert delivery.flush(0)
    assert delivery.stats("web") is None
    delivery.detach("web")
    delivery.close()
