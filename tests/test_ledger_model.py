"""A model of spool and ledger: whatever happens in whatever order, every accepted hit is in exactly one place."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from analytical.delivery import thread
from analytical.delivery.thread import ThreadDelivery
from analytical.hit import Hit
from analytical.observe import STATES, Ledger
from analytical.route import Route
from analytical.spool.contracts import Clock, make_hit
from analytical.spool.memory import MemorySpool
from analytical.spool.sqlite import SqliteSpool
from analytical.verdict import DELIVERED, NOT_TRIED, UNCONFIRMED, Verdict, rejected, retry

VERDICTS = st.sampled_from(
    [
        DELIVERED,
        DELIVERED,
        UNCONFIRMED,
        rejected("no"),
        retry(reason="http 500"),
        retry(5.0, reason="http 429"),
        retry(reason="timeout", ambiguous=True),
        retry(reason="http 400", attempts=2),
        retry(reason=NOT_TRIED),
    ]
)


class LedgerMachine(RuleBasedStateMachine):
    """A driver whose thread is the machine: hits come, batches are answered in any way, time passes, leases run out."""

    capacity = 12

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.answers: list[Verdict] = []
        self.sent: list[str] = []
        self.ended: dict[str, str] = {}
        self.accepted: set[str] = set()
        self.refused = 0
        self.under_way: list[Any] = []
        self.number = 0
        self.driver = self.build()
        self.begin()

    def build(self) -> ThreadDelivery:
        spool = MemorySpool(hits=self.capacity, overflow="drop-oldest", monotonic=self.clock)
        return ThreadDelivery(spool, clock=self.clock, monotonic=self.clock, uniform=lambda low, high: high)

    def begin(self) -> None:
        self.ledger = Ledger()
        machine = self

        class Watching(Ledger):
            def settled(self, to: str, hit: Hit, state: Any, reason: str = "") -> None:
                assert hit.id not in machine.ended, "a hit ended twice"
                machine.ended[hit.id] = state
                super().settled(to, hit, state, reason)

            settled_many = None  # type: ignore[assignment]  # so that each is told

        self.ledger = Watching()
        route = Route(
            to="web",
            send=self.send,
            observer=self.ledger,
            lane=lambda hit: hit.client_id,
            max_batch=4,
            max_age=300.0,
        )
        with mock.patch.object(thread._Carrier, "start"):  # the machine is the thread
            self.driver.attach(route)
        self.carrier = self.driver._carriers["web"]
        self.carrier.threads = 1

    def send(self, hits: Sequence[Hit], *, timeout: float | None = None) -> list[Verdict]:
        self.sent += [hit.id for hit in hits]
        return [self.answers[n % len(self.answers)] for n in range(len(hits))]

    @rule(lane=st.sampled_from([None, "a", "b"]), priority=st.integers(0, 2), late=st.sampled_from([0.0, 200.0, 400.0]))
    def submit(self, lane: str | None, priority: int, late: float) -> None:
        self.number += 1
        hit = make_hit(self.number, client_id=lane, priority=priority, time=self.clock.now - late)
        if self.driver.submit("web", hit):
            self.accepted.add(hit.id)
        else:
            self.refused += 1
            assert self.ended.get(hit.id) in (None, "dropped")

    @rule(answers=st.lists(VERDICTS, min_size=1, max_size=4))
    def deliver(self, answers: list[Verdict]) -> None:
        self.answers = answers
        entries = self.driver.spool.take(4, self.clock.now, to="web")
        # One whose lease has run out may be taken again: its thread is thought to be lost.
        held = {e.lane for batch in self.under_way for e in batch if self.clock.now < e.until}
        lanes = {entry.lane for entry in entries if entry.lane} & held
        assert not lanes, "two batches of one lane"
        if entries:
            self.carrier._carry(entries)

    @rule()
    def hang(self) -> None:
        entries = self.driver.spool.take(2, self.clock.now, to="web")
        if entries:
            self.under_way.append(entries)

    @rule(answers=st.lists(VERDICTS, min_size=1, max_size=4))
    def come_back_late(self, answers: list[Verdict]) -> None:
        if self.under_way:
            self.answers = answers
            self.carrier._carry(self.under_way.pop(0))

    @rule(seconds=st.sampled_from([0.1, 1.0, 11.0]))
    def pass_time(self, seconds: float) -> None:
        self.clock.tick(seconds)

    @rule()
    def let_leases_run_out(self) -> None:
        self.clock.tick(21.0)
        self.under_way.clear()

    @invariant()
    def the_books_balance(self) -> None:
        stats = self.stats()
        assert stats["accepted"] == sum(stats[state] for state in STATES) + stats["pending"]
        assert all(count >= 0 for count in stats.values())

    @invariant()
    def pending_is_what_the_spool_holds(self) -> None:
        assert self.stats()["pending"] == self.driver.spool.waiting("web")

    @invariant()
    def what_ended_is_what_was_accepted(self) -> None:
        waiting = self.driver.spool.waiting("web")
        assert len(self.accepted - set(self.ended)) == waiting

    def stats(self) -> dict[str, int]:
        found = self.ledger.stats()
        found.pop("withheld")
        return found

    def teardown(self) -> None:
        # In the end everything can be delivered, and then nothing is left.
        self.answers = [DELIVERED]
        self.under_way.clear()
        for _ in range(200):
            self.clock.tick(21.0)
            entries = self.driver.spool.take(4, self.clock.now, to="web")
            if entries:
                self.carrier._carry(entries)
            elif not self.driver.spool.waiting("web"):
                break
        assert self.driver.spool.waiting("web") == 0
        self.driver.spool.close()


class DurableLedgerMachine(LedgerMachine):
    """The same over a file, with restarts in between."""

    capacity = 10_000

    def build(self) -> ThreadDelivery:
        self.place = Path(getattr(self, "place", None) or tempfile.mkdtemp())
        spool = SqliteSpool(self.place / "o.db", clock=self.clock, monotonic=self.clock)
        return ThreadDelivery(spool, clock=self.clock, monotonic=self.clock, uniform=lambda low, high: high)

    @rule(orderly=st.booleans())
    def restart(self, orderly: bool) -> None:
        if orderly:
            self.driver.spool.close()
        else:
            # Killed: descriptors and locks go with the process, and nothing else is done.
            self.driver.spool.abandon()
        self.under_way.clear()
        pending = len(self.accepted - set(self.ended))
        self.driver = self.build()
        self.begin()
        self.accepted = {identity for identity in self.accepted if identity not in self.ended}
        self.ended = {}
        found = self.stats()
        assert (found["accepted"], found["pending"]) == (pending, pending), found

    def stats(self) -> dict[str, int]:
        found = self.driver.stats("web")
        assert found is not None
        return found

    def teardown(self) -> None:
        super().teardown()
        shutil.rmtree(self.place)


LedgerMachine.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
DurableLedgerMachine.TestCase.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)

TestLedger = LedgerMachine.TestCase
TestDurableLedger = DurableLedgerMachine.TestCase
