"""What every spool must do: the suite that a spool of any kind inherits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ..hit import Hit, new_id
from ..verdict import DELIVERED, UNCONFIRMED, dropped, expired, rejected, retry
from . import LONGEST, Entry, Spool

__all__ = ["Clock", "SpoolContract", "make_hit"]

NOW = 1_800_000_000.0


def make_hit(number: int = 0, **fields: Any) -> Hit:
    """Return a sealed hit, as the gate would."""
    plain = {
        "id": new_id(),
        "kind": "pageview",
        "time": NOW,
        "url": f"https://example.com/{number}",
        "title": f"Page {number}",
    }
    return Hit.from_dict({**plain, **fields})


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def tick(self, seconds: float) -> None:
        self.now += seconds


class SpoolContract:
    """Inherit, and give a ``spool`` fixture.

    Attributes:
        durable: what was accepted is there again for a second spool on the same place (needs ``reopen``).
        due_times: a retry comes back when it is due, not before; brokers that cannot are asked less.
        leases: a batch that nobody settles is taken again after ``lease`` seconds of ``clock`` (needs ``clock``).
        lanes: two batches never carry one lane at once.
        bounded: can be opened with room for few hits (needs ``small``).
        takes_at_once: a hit can be taken as soon as it was put; else within ``patience`` seconds.
    """

    durable = False
    due_times = True
    leases = True
    lanes = True
    bounded = True
    patience = 0.0

    to = "web"

    @pytest.fixture
    def clock(self) -> Clock:
        """Return the clock that the spool was given for leases."""
        return Clock()

    @pytest.fixture
    def spool(self, clock: Clock) -> Iterator[Spool] | Spool:
        """Return an empty spool."""
        raise NotImplementedError

    def reopen(self, spool: Spool) -> Spool:
        """Return another spool on the same place, as another process would open it."""
        raise NotImplementedError

    def small(self, hits: int) -> Spool:
        """Return an empty spool with room for so many hits."""
        raise NotImplementedError

    def take(self, spool: Spool, limit: int = 100, now: float = NOW, to: str | None = None) -> list[Entry]:
        """Take, and be patient where the spool needs it."""
        return spool.take(limit, now, to=to or self.to)

    def take_all(self, spool: Spool, *, now: float = NOW, batch: int = 100) -> list[Entry]:
        """Take batch after batch until nothing comes."""
        found: list[Entry] = []
        while entries := self.take(spool, batch, now):
            found += entries
        return found

    # -- put and take ---------------------------------------------------------------------------------------------

    def test_is_a_spool(self, spool: Spool) -> None:
        assert isinstance(spool, Spool)
        assert spool.durable is self.durable

    def test_an_empty_spool_gives_nothing(self, spool: Spool) -> None:
        spool.attach(self.to)
        assert self.take(spool) == []
        assert len(spool) == 0
        assert spool.waiting(self.to) == 0

    def test_what_is_put_is_taken_whole_and_in_order(self, spool: Spool) -> None:
        spool.attach(self.to)
        hits = [
            make_hit(
                n,
                properties={"plan": "pro", "list": [1, 2.5, None, True]},
                native={"dimension1": "ä€😀"},
                title="Überschrift",
                value=3,
                keyed=False,
            )
            for n in range(5)
        ]
        assert all(spool.put(self.to, hit) for hit in hits)
        assert spool.waiting(self.to) == 5
        assert [entry.hit for entry in self.take(spool)] == hits

    def test_no_more_than_the_limit_is_taken(self, spool: Spool) -> None:
        spool.attach(self.to)
        for n in range(5):
            spool.put(self.to, make_hit(n))
        first = self.take(spool, 2)
        assert len(first) == 2
        assert len(self.take(spool, 10)) == 3

    def test_what_is_taken_is_not_taken_again(self, spool: Spool) -> None:
        spool.attach(self.to)
        for n in range(10):
            spool.put(self.to, make_hit(n))
        found = self.take_all(spool, batch=3)
        assert len({entry.hit.id for entry in found}) == len(found) == 10
        assert spool.waiting(self.to) == 10  # taken is not settled

    def test_destinations_are_kept_apart(self, spool: Spool) -> None:
        spool.attach("web")
        spool.attach("shop")
        spool.put("web", make_hit(1))
        spool.put("shop", make_hit(2))
        assert [entry.hit.url for entry in self.take(spool, to="shop")] == ["https://example.com/2"]
        assert [entry.to for entry in self.take(spool, to="web")] == ["web"]

    def test_entries_and_spools_show_no_hit(self, spool: Spool) -> None:
        spool.attach(self.to)
        spool.put(self.to, make_hit(title="a name"))
        (entry,) = self.take(spool)
        assert "a name" not in repr(entry)
        assert "a name" not in repr(spool)

    # -- settle ---------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "verdict", [DELIVERED, UNCONFIRMED, rejected("no"), expired("late"), dropped("closed")], ids=lambda v: v.state
    )
    def test_what_is_settled_is_gone(self, spool: Spool, verdict: Any) -> None:
        spool.attach(self.to)
        spool.put(self.to, make_hit())
        entries = self.take(spool)
        assert spool.settle(entries, [verdict], NOW) == [True]
        assert self.take(spool, now=NOW + 3600) == []
        assert spool.waiting(self.to) == 0

    def test_only_the_failed_hits_of_a_batch_come_again(self, spool: Spool) -> None:
        spool.attach(self.to)
        hits = [make_hit(n) for n in range(4)]
        for hit in hits:
            spool.put(self.to, hit)
        entries = self.take(spool)
        spool.settle(entries, [DELIVERED, retry(0.0), rejected("no"), retry(0.0)], NOW)
        assert [entry.hit.id for entry in self.take(spool, now=NOW + 1)] == [hits[1].id, hits[3].id]

    def test_a_retry_counts_its_attempts(self, spool: Spool) -> None:
        spool.attach(self.to)
        spool.put(self.to, make_hit())
        for expected in range(3):
            (entry,) = self.take(spool, now=NOW + expected)
            assert entry.attempts == expected
            spool.settle([entry], [retry(0.0)], NOW + expected)

    def test_an_attempt_that_was_none_does_not_count(self, spool: Spool) -> None:
        spool.attach(self.to)
        spool.put(self.to, make_hit())
        spool.settle(self.take(spool), [retry(0.0)._replace(tried=False)], NOW)
        assert self.take(spool, now=NOW + 1)[0].attempts == 0

    def test_a_retry_is_due_when_it_is_due(self, spool: Spool) -> None:
        if not self.due_times:
            pytest.skip("this spool has no due times")
        spool.attach(self.to)
        spool.put(self.to, make_hit())
        spool.settle(self.take(spool), [retry(5.0)], NOW)
        assert self.take(spool, now=NOW + 4.9) == []
        when = spool.wake_at(self.to)
        assert when is not None
        assert when <= NOW + 5.0
        assert len(self.take(spool, now=NOW + 5.1)) == 1

    def test_a_due_time_further_ahead_than_any_wait_is_due_now(self, spool: Spool) -> None:
        if not self.due_times:
            pytest.skip("this spool has no due times")
        spool.attach(self.to)
        spool.put(self.to, make_hit())
        spool.settle(self.take(spool), [retry(5.0)], NOW)
        # The clock was set back by a day.
        assert len(self.take(spool, now=NOW - 86_400 - LONGEST)) == 1

    def test_settling_twice_counts_once(self, spool: Spool) -> None:
        spool.attach(self.to)
        spool.put(self.to, make_hit())
        entries = self.take(spool)
        assert spool.settle(entries, [DELIVERED], NOW) == [True]
        assert spool.settle(entries, [DELIVERED], NOW) == [False]
        assert spool.settle(entries, [retry(0.0)], NOW) == [False]
        assert spool.waiting(self.to) == 0

    # -- leases ---------------------------------------------------------------------------------------------------

    def test_a_batch_that_nobody_settles_falls_due_again(self, spool: Spool, clock: Clock) -> None:
        if not self.leases:
            pytest.skip("this spool's leases cannot be scripted")
        spool.attach(self.to)
        spool.put(self.to, make_hit())
        (first,) = self.take(spool)
        clock.tick(10)
        assert self.take(spool) == []
        clock.tick(11)
        (second,) = self.take(spool)
        assert second.hit.id == first.hit.id

    def test_a_renewed_lease_lasts(self, spool: Spool, clock: Clock) -> None:
        if not self.leases:
            pytest.skip("this spool's leases cannot be scripted")
        spool.attach(self.to)
        spool.put(self.to, make_hit())
        entries = self.take(spool)
        clock.tick(15)
        spool.renew(entries)
        clock.tick(15)
        assert self.take(spool) == []

    def test_a_late_verdict_that_is_final_ends_the_hit(self, spool: Spool, clock: Clock) -> None:
        if not self.leases:
            pytest.skip("this spool's leases cannot be scripted")
        spool.attach(self.to)
        spool.put(self.to, make_hit())
        late = self.take(spool)
        clock.tick(21)
        again = self.take(spool)
        assert spool.settle(late, [DELIVERED], NOW) == [True]
        assert spool.settle(again, [DELIVERED], NOW) == [False]
        assert spool.waiting(self.to) == 0

    def test_a_late_retry_does_not_take_the_hit_from_its_next_taker(self, spool: Spool, clock: Clock) -> None:
        if not self.leases:
            pytest.skip("this spool's leases cannot be scripted")
        spool.attach(self.to)
        spool.put(self.to, make_hit())
        late = self.take(spool)
        clock.tick(21)
        again = self.take(spool)
        assert spool.settle(late, [retry(0.0)], NOW) == [False]
        assert self.take(spool, now=NOW + 1) == []
        assert spool.settle(again, [DELIVERED], NOW) == [True]

    # -- lanes ----------------------------------------------------------------------------------------------------

    @staticmethod
    def lane(hit: Hit) -> str | None:
        return hit.client_id

    def test_one_lane_is_never_in_two_batches(self, spool: Spool) -> None:
        if not self.lanes:
            pytest.skip("this spool leaves lanes to its partitions")
        spool.attach(self.to, lane=self.lane)
        for n in range(6):
            spool.put(self.to, make_hit(n, client_id="ab"[n % 2]))
        first = self.take(spool, 1)
        second = self.take(spool, 10)
        assert [entry.hit.client_id for entry in first] == ["a"]
        assert {entry.hit.client_id for entry in second} == {"b"}
        assert self.take(spool) == []
        spool.settle(first, [DELIVERED], NOW)
        assert [str(entry.hit.url)[-1] for entry in self.take(spool)] == ["2", "4"]

    def test_a_lane_keeps_its_order_through_a_retry(self, spool: Spool) -> None:
        if not self.lanes or not self.due_times:
            pytest.skip("this spool leaves lanes to its partitions")
        spool.attach(self.to, lane=self.lane)
        for n in range(3):
            spool.put(self.to, make_hit(n, client_id="a"))
        spool.put(self.to, make_hit(9, client_id="b"))
        spool.settle(self.take(spool, 1), [retry(5.0)], NOW)
        # The others of the lane wait with it; another lane does not.
        others = self.take(spool)
        assert [str(entry.hit.url)[-1] for entry in others] == ["9"]
        came: list[str] = []
        now = NOW + 6
        while batch := self.take(spool, 1, now=now):
            came += [str(entry.hit.url)[-1] for entry in batch]
            spool.settle(batch, [DELIVERED], now)
        assert came == ["0", "1", "2"]

    def test_hits_without_a_lane_wait_for_nobody(self, spool: Spool) -> None:
        spool.attach(self.to, lane=self.lane)
        for n in range(4):
            spool.put(self.to, make_hit(n))
        assert len(self.take(spool, 2)) == 2
        assert len(self.take(spool, 2)) == 2

    # -- bounds ---------------------------------------------------------------------------------------------------

    def test_a_full_spool_refuses_and_keeps_what_it_has(self) -> None:
        if not self.bounded:
            pytest.skip("this spool's bounds are its server's")
        spool = self.small(3)
        spool.attach(self.to)
        answers = [spool.put(self.to, make_hit(n)) for n in range(6)]
        assert answers.count(True) == spool.waiting(self.to) == 3
        spool.close()

    # -- durability -----------------------------------------------------------------------------------------------

    def test_what_was_accepted_is_there_for_the_next_process(self, spool: Spool) -> None:
        if not self.durable:
            pytest.skip("this spool lives with its process")
        spool.attach(self.to)
        hits = [make_hit(n) for n in range(20)]
        assert all(spool.put(self.to, hit) for hit in hits)
        taken = self.take(spool, 5)
        spool.settle(taken[:2], [DELIVERED, DELIVERED], NOW)
        spool.close()
        again = self.reopen(spool)
        again.attach(self.to)
        assert again.waiting(self.to) == 18
        assert [entry.hit for entry in self.take_all(again, now=NOW + 60)] == hits[2:]
        again.close()

    def test_the_books_balance_across_a_restart(self, spool: Spool) -> None:
        if not self.durable:
            pytest.skip("this spool lives with its process")
        spool.attach(self.to)
        for n in range(6):
            spool.put(self.to, make_hit(n))
        entries = self.take(spool)
        spool.settle(entries[:3], [DELIVERED, rejected("no"), expired("late")], NOW)
        first = spool.stats(self.to)
        if first is None:
            pytest.skip("this spool keeps no ledger of its own")
        assert (first["accepted"], first["delivered"], first["rejected"], first["expired"], first["pending"]) == (
            6, 1, 1, 1, 3,
        )  # fmt: skip
        spool.close()
        again = self.reopen(spool)
        again.attach(self.to)
        found = again.stats(self.to)
        assert found is not None
        assert (found["accepted"], found["pending"], found["delivered"]) == (3, 3, 0)
        again.close()

    def test_closing_twice_is_harmless(self, spool: Spool) -> None:
        spool.attach(self.to)
        spool.close()
        spool.close()


#: So that a type checker sees what a subclass may give instead of a fixture.
Opener = Callable[[], Spool]
