"""Who is told what: the ledger that adds up, and hooks that are there or not."""

from __future__ import annotations

import gc
import os

import pytest

from analytical import observe
from analytical.hit import Hit
from analytical.observe import Hooks, Ledger
from analytical.spool.contracts import make_hit
from analytical.verdict import Verdict, retry


def test_hits_found_together_are_accepted_together() -> None:
    ledger = Ledger()
    ledger.accepted("web")
    ledger.accepted("web", 5)
    ledger.settled_many("web", [make_hit(), make_hit()], "delivered")
    ledger.settled("web", make_hit(), "rejected", "http 400")
    stats = ledger.stats()
    assert (stats["accepted"], stats["delivered"], stats["rejected"], stats["pending"]) == (6, 2, 1, 3)
    assert ledger.stats() == stats  # reading counts nothing


def test_what_happens_on_the_way_is_noted() -> None:
    ledger = Ledger()
    ledger.noted("web", "cut", 2)
    ledger.noted("web", "withheld:dnt")
    ledger.noted("web", "withheld:bot")
    ledger.retried("web", make_hit(), retry(reason="http 500"))
    ledger.retried("web", make_hit(), Verdict("retry", "reset", ambiguous=True))
    assert ledger.notes() == {"cut": 2, "retried": 2, "ambiguous": 1}
    assert ledger.stats()["withheld"] == 2


@pytest.mark.parametrize("wanted", ["on_delivered", "on_retry", "on_lost"])
def test_only_the_hook_that_is_there_is_called(wanted: str) -> None:
    told: list[tuple[object, ...]] = []
    hooks = Hooks(**{wanted: lambda *said: told.append(said)})  # type: ignore[arg-type]  # one of the three
    hit, verdict = make_hit(), retry(reason="http 500")
    hooks.accepted("web", 2)
    hooks.noted("web", "cut")
    hooks.settled("web", hit, "delivered")
    hooks.settled("web", hit, "unconfirmed")
    hooks.retried("web", hit, verdict)
    hooks.settled("web", hit, "dropped")
    hooks.settled("web", hit, "expired", "age")
    assert (
        told
        == {
            "on_delivered": [(hit,), (hit,)],
            "on_retry": [(hit, verdict)],
            "on_lost": [(hit, "dropped"), (hit, "expired: age")],
        }[wanted]
    )


def test_an_object_is_asked_for_the_hooks_that_it_has() -> None:
    class Half:
        def __init__(self) -> None:
            self.lost: list[str] = []

        def on_lost(self, hit: Hit, reason: str) -> None:
            self.lost.append(reason)

    half = Half()
    hooks = Hooks.of(half)
    assert hooks is not None
    hooks.settled("web", make_hit(), "rejected", "http 400")
    assert half.lost == ["rejected: http 400"]
    assert Hooks.of(object()) is None


def test_a_child_begins_with_zeros_and_a_ledger_that_is_gone_is_forgotten() -> None:
    ledger, gone = Ledger(), Ledger()
    ledger.accepted("web", 3)
    known = len(observe._ledgers)
    del gone
    gc.collect()
    assert len(observe._ledgers) < known
    child = os.fork()
    if child == 0:
        empty = ledger.stats()["accepted"] == 0
        ledger.accepted("web")
        os._exit(0 if empty and ledger.stats()["accepted"] == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert ledger.stats()["accepted"] == 3
