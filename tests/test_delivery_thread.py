"""The background driver: an hour's outage takes a millisecond, and the few real threads are brief."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from analytical.delivery import Delivery
from analytical.delivery import thread as module
from analytical.delivery._settling import CAP, LONGEST_PAUSE, Breaker, Complaints, Duplicates, decide
from analytical.delivery.thread import ThreadDelivery, default_driver, driver_for
from analytical.delivery.worker import Worker
from analytical.errors import UnknownName
from analytical.hit import Hit
from analytical.observe import Hooks, Ledger
from analytical.route import Route
from analytical.spool import Entry
from analytical.spool.contracts import NOW, Clock, make_hit
from analytical.spool.memory import MemorySpool
from analytical.spool.sqlite import SqliteSpool
from analytical.verdict import DELIVERED, NOT_TRIED, UNCONFIRMED, Verdict, rejected, retry

Answer = Callable[[Sequence[Hit]], list[Verdict]]


class Platform:
    """A destination that answers as it is told to, and remembers what it was asked."""

    def __init__(self, answer: Answer | Verdict = DELIVERED) -> None:
        self.answer = answer
        self.batches: list[list[Hit]] = []
        self.times: list[float] = []
        self.clock: Callable[[], float] = time.monotonic

    def __call__(self, hits: Sequence[Hit], *, timeout: float | None = None) -> list[Verdict]:
        self.batches.append(list(hits))
        self.times.append(self.clock())
        return [self.answer] * len(hits) if isinstance(self.answer, Verdict) else self.answer(hits)

    @property
    def hits(self) -> list[str]:
        return [hit.id for batch in self.batches for hit in batch]


# -- with a scripted clock: no thread runs, the test itself turns the wheel ---------------------------------------


class Wheel:
    """A driver whose threads are the test, and whose time passes at once."""

    def __init__(self, platform: Platform, spool: Any = None, **options: Any) -> None:
        self.clock = Clock()
        self.platform = platform
        platform.clock = self.clock
        self.ledger = Ledger()
        self.driver = ThreadDelivery(
            MemorySpool(monotonic=self.clock) if spool is None else spool,
            clock=self.clock,
            monotonic=self.clock,
            uniform=options.pop("uniform", random.Random(1).uniform),
        )
        self.driver.attach(Route(to="web", send=platform, observer=self.ledger, **options))
        self.carrier = self.driver._carriers["web"]
        self.carrier.threads = 1  # so that submit() starts none

    def submit(self, *hits: Hit) -> None:
        for hit in hits:
            assert self.driver.submit("web", hit)

    def turn(self, seconds: float, *, until_empty: bool = False) -> None:
        """Let time pass, doing what a thread would do."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            if until_empty and not self.driver.spool.waiting("web"):
                return
            pause = self.carrier._breaker.pause(self.clock.now)
            if pause > 0:
                self.clock.now = min(end, self.clock.now + pause)
                continue
            entries = self.driver.spool.take(self.carrier.route.max_batch, self.clock.now, to="web")
            if entries:
                self.carrier._carry(entries)
                self.clock.tick(0.01)
                continue
            when = self.driver.spool.wake_at("web")
            self.clock.now = end if when is None else min(end, max(when, self.clock.now + 0.01))


def stats(wheel: Wheel) -> dict[str, int]:
    return {name: count for name, count in wheel.ledger.stats().items() if count}


class Bell:
    """Waits no time, and meanwhile so many hits arrive."""

    def __init__(self, wheel: Wheel, hits: int, *, then: Callable[[], object] | None = None) -> None:
        self.wheel, self.hits, self.then, self.waits = wheel, hits, then, 0

    def acquire(self, timeout: float) -> bool:
        self.waits += 1
        self.wheel.submit(*(make_hit(n) for n in range(self.hits)))
        if self.then is not None:
            self.then()
        return False


@pytest.mark.parametrize(
    ("hits", "room", "waits"),
    [
        pytest.param(100, 100_000, 1, id="no burst"),
        pytest.param(600, 100_000, 9, id="a burst passes in a quarter of a second"),
        pytest.param(600, 4_000, 2, id="the spool fills"),
        pytest.param(0, 100_000, 1, id="nothing comes"),
    ],
)
def test_a_burst_is_let_through_before_it_is_carried(hits: int, room: int, waits: int) -> None:
    wheel = Wheel(Platform(), spool=MemorySpool(hits=room), max_batch=100)
    wheel.submit(make_hit(0))
    bell = Bell(wheel, hits)
    assert wheel.carrier._linger(bell)  # type: ignore[arg-type]  # a bell that takes no time
    assert bell.waits == waits
    assert wheel.ledger.stats()["accepted"] == 1 + hits * waits


def test_a_flush_waits_for_no_burst() -> None:
    wheel = Wheel(Platform(), max_batch=100)
    wheel.submit(make_hit(0))
    bell = Bell(wheel, 600, then=wheel.carrier.hurry)
    assert wheel.carrier._linger(bell)  # type: ignore[arg-type]
    assert bell.waits == 1


def test_an_hour_of_500s_loses_nothing_and_asks_seldom() -> None:
    platform = Platform(retry(reason="http 500"))
    wheel = Wheel(platform, max_batch=10)
    wheel.submit(*(make_hit(n, time=NOW) for n in range(100)))
    wheel.turn(3_600)
    assert stats(wheel) == {"accepted": 100, "pending": 100}
    assert len(platform.batches) < 3_600 / (CAP / 2) * 1.5
    platform.answer = DELIVERED
    ended = wheel.clock.now
    wheel.turn(3_600, until_empty=True)
    assert stats(wheel) == {"accepted": 100, "delivered": 100}
    assert wheel.clock.now - ended <= 15


def test_three_seconds_of_500s_see_few_requests() -> None:
    platform = Platform(retry(reason="http 500"))
    wheel = Wheel(platform)
    wheel.submit(*(make_hit(n) for n in range(100)))
    wheel.turn(3)
    assert len(platform.batches) <= 40


def test_while_it_is_down_one_probe_is_under_way_at_a_time() -> None:
    wheel = Wheel(Platform(retry(reason="http 500")))
    wheel.submit(*(make_hit(n) for n in range(10)))
    wheel.turn(60)
    assert wheel.carrier._breaker.open
    wheel.clock.tick(60)
    assert wheel.carrier._enter(wheel.clock.now) == 0.0
    assert wheel.carrier._enter(wheel.clock.now) is None


@pytest.mark.parametrize("asked", [30.0, 600.0, 86_400.0])
def test_retry_after_pauses_the_whole_destination_new_hits_included(asked: float) -> None:
    platform = Platform(retry(asked, reason="http 429"))
    wheel = Wheel(platform)
    wheel.submit(make_hit(1))
    wheel.turn(0.005)
    platform.answer = DELIVERED
    wheel.submit(make_hit(2))
    wheel.turn(asked - 1)
    assert len(platform.batches) == 1
    wheel.turn(20, until_empty=True)
    assert stats(wheel) == {"accepted": 2, "delivered": 2}


def test_an_endless_retry_after_ends() -> None:
    breaker = Breaker()
    breaker.heard([retry(1e12)], started=0.0, now=0.0)
    assert breaker.pause(0.0) <= LONGEST_PAUSE


def test_refused_credentials_stop_the_destination() -> None:
    platform = Platform(retry(reason="token", stop=True))
    wheel = Wheel(platform, max_batch=10)
    wheel.submit(*(make_hit(n) for n in range(100)))
    wheel.turn(300)
    assert len(platform.batches) <= 6
    assert stats(wheel)["pending"] == 100


def test_only_the_failed_hits_of_a_batch_are_sent_again() -> None:
    seen: set[str] = set()

    def answer(hits: Sequence[Hit]) -> list[Verdict]:
        verdicts = [
            rejected("no")
            if hit.url.endswith("3")
            else DELIVERED
            if hit.url.endswith(("0", "2")) or hit.id in seen
            else retry()
            for hit in hits
        ]
        seen.update(hit.id for hit in hits)
        return verdicts

    platform = Platform(answer)
    wheel = Wheel(platform, max_batch=10)
    hits = [make_hit(n) for n in range(5)]
    wheel.submit(*hits)
    wheel.turn(60)
    assert stats(wheel) == {"accepted": 5, "delivered": 4, "rejected": 1}
    assert sorted(platform.hits[5:]) == sorted([hits[1].id, hits[4].id])


def test_memory_gives_a_hit_up_after_its_attempts() -> None:
    def answer(hits: Sequence[Hit]) -> list[Verdict]:
        # The destination is well, one hit is not.
        return [retry(reason="odd") if hit.url.endswith("/1") else DELIVERED for hit in hits]

    platform = Platform(answer)
    wheel = Wheel(platform, max_batch=10)
    wheel.submit(make_hit(1), make_hit(2))
    for n in range(200):
        wheel.submit(make_hit(n + 10))
        wheel.turn(5)
    assert stats(wheel)["dropped"] == 1
    assert "pending" not in stats(wheel)


def test_a_durable_spool_has_no_limit_of_attempts_but_one_of_age(tmp_path: Path) -> None:
    clock = Clock()
    spool = SqliteSpool(tmp_path / "o.db", clock=clock, monotonic=clock)
    platform = Platform(retry(reason="odd", attempts=None))
    wheel = Wheel(platform, spool)
    wheel.clock.now = clock.now
    spool._clock = spool._monotonic = wheel.clock
    wheel.submit(make_hit(1))
    wheel.turn(600)
    assert len(platform.batches) > 60
    wheel.clock.tick(6.9 * 86_400)
    wheel.turn(20)
    assert spool.waiting("web") == 1
    wheel.clock.tick(0.2 * 86_400)
    wheel.turn(20)
    assert spool.waiting("web") == 0
    found = spool.stats("web")
    assert found is not None
    assert found["expired"] == 1
    spool.close()


def test_a_platform_s_back_dating_limit_expires_hits_unsent() -> None:
    platform = Platform()
    wheel = Wheel(platform, max_age=300.0)
    wheel.submit(make_hit(1, time=NOW - 301), make_hit(2, time=NOW - 299))
    wheel.turn(1)
    assert stats(wheel) == {"accepted": 2, "delivered": 1, "expired": 1}
    assert len(platform.hits) == 1


def test_a_hit_that_waits_too_long_expires() -> None:
    platform = Platform(retry())
    wheel = Wheel(platform, max_age=300.0)
    wheel.submit(make_hit())
    wheel.turn(310)
    assert stats(wheel) == {"accepted": 1, "expired": 1}


def test_a_withdrawn_consent_is_asked_for_again_before_sending() -> None:
    withdrawn: set[str] = set()
    platform = Platform()
    wheel = Wheel(platform, withdrawn=lambda hit: hit.subject in withdrawn)
    wheel.submit(make_hit(1, subject="a"), make_hit(2, subject="b"))
    withdrawn.add("a")
    wheel.turn(1)
    assert stats(wheel) == {"accepted": 2, "delivered": 1, "dropped": 1}
    assert len(platform.hits) == 1


@pytest.mark.parametrize(
    ("policy", "dedupes", "state"), [("retry", False, "pending"), ("drop", False, "dropped"), ("drop", True, "pending")]
)
def test_an_ambiguous_failure_is_retried_unless_that_is_not_wanted(policy: Any, dedupes: bool, state: str) -> None:
    wheel = Wheel(Platform(retry(reason="timeout", ambiguous=True)), ambiguous=policy, dedupes=dedupes)
    wheel.submit(make_hit())
    wheel.turn(0.005)
    assert stats(wheel) == {"accepted": 1, state: 1}
    if state == "pending":
        assert wheel.ledger.notes()["ambiguous"] == 1


def test_an_untrustworthy_no_is_tried_so_often_and_then_rejected() -> None:
    platform = Platform(retry(reason="http 400", attempts=3))
    wheel = Wheel(platform)
    wheel.submit(make_hit())
    wheel.turn(60)
    assert len(platform.batches) == 3
    assert stats(wheel) == {"accepted": 1, "rejected": 1}


def test_hits_whose_turn_did_not_come_lose_no_attempt() -> None:
    entry = Entry(make_hit(), "web", attempts=5)
    route = Route(to="web", send=Platform(), observer=Ledger())
    verdict = decide(route, entry, retry(reason=NOT_TRIED), NOW, durable=False, jitter=1.0, probing=False)
    assert (verdict.after, verdict.tried) == (0.0, False)


def test_a_route_that_raises_costs_the_hit_that_causes_it() -> None:
    def answer(hits: Sequence[Hit]) -> list[Verdict]:
        if any(hit.url.endswith("/3") for hit in hits):
            raise RuntimeError("a bug in a plug-in")
        return [DELIVERED] * len(hits)

    wheel = Wheel(Platform(answer), max_batch=10)
    wheel.submit(*(make_hit(n) for n in range(6)))
    wheel.turn(10)
    assert stats(wheel) == {"accepted": 6, "delivered": 5, "rejected": 1}


def test_a_route_that_cannot_count_leaves_its_hits_unconfirmed() -> None:
    wheel = Wheel(Platform(lambda hits: [DELIVERED]), max_batch=10)
    wheel.submit(*(make_hit(n) for n in range(3)))
    wheel.turn(1)
    assert stats(wheel) == {"accepted": 3, "unconfirmed": 3}


def test_clocks_that_jump_a_day_either_way_lose_and_repeat_nothing() -> None:
    platform = Platform(retry(reason="http 500"))
    wheel = Wheel(platform)
    wheel.submit(*(make_hit(n) for n in range(5)))
    wheel.turn(30)
    jump = Clock(wheel.clock.now - 86_400)
    wheel.driver.clock = jump  # the wall clock; leases and pauses go on by the other
    platform.answer = DELIVERED
    before = len(platform.batches)
    wheel.clock.tick(20)
    while entries := wheel.driver.spool.take(1, jump.now, to="web"):
        wheel.carrier._carry(entries)
    assert len(platform.batches) - before == 5
    assert stats(wheel) == {"accepted": 5, "delivered": 5}


def test_a_business_key_counts_once() -> None:
    platform = Platform()
    wheel = Wheel(platform)
    hit = make_hit(keyed=True)
    wheel.submit(hit, hit)
    wheel.turn(1)
    wheel.submit(hit)
    wheel.turn(1)
    assert stats(wheel) == {"accepted": 1, "delivered": 1}
    assert wheel.ledger.notes() == {"duplicate": 2}


def test_a_business_key_whose_hit_was_lost_may_be_used_again() -> None:
    platform = Platform(rejected("no"))
    wheel = Wheel(platform)
    hit = make_hit(keyed=True)
    wheel.submit(hit)
    wheel.turn(1)
    wheel.submit(hit)
    wheel.turn(1)
    assert stats(wheel) == {"accepted": 2, "rejected": 2}


def test_the_window_of_keys_is_bounded_in_time_and_room() -> None:
    clock = Clock()
    seen = Duplicates(clock=clock, window=10, room=100)
    assert seen.first("a")
    assert not seen.first("a")
    clock.tick(11)
    assert seen.first("a")
    for n in range(1_000):
        seen.first(str(n))
    assert len(seen._seen) <= 101


def test_a_full_spool_is_counted_and_said_by_false() -> None:
    wheel = Wheel(Platform(), MemorySpool(hits=2))
    answers = [wheel.driver.submit("web", make_hit(n)) for n in range(3)]
    assert answers == [True, True, False]
    assert stats(wheel) == {"accepted": 3, "dropped": 1, "pending": 2}


def test_what_the_spool_gives_up_is_counted() -> None:
    wheel = Wheel(Platform(), MemorySpool(hits=2, overflow="drop-oldest"))
    wheel.submit(*(make_hit(n) for n in range(5)))
    assert stats(wheel) == {"accepted": 5, "dropped": 3, "pending": 2}


def test_callbacks_are_called_once_at_the_end() -> None:
    ends: list[tuple[str, str]] = []
    platform = Platform(retry(reason="http 500"))
    wheel = Wheel(platform)
    wheel.driver.submit("web", make_hit(), done=lambda state, reason: ends.append((state, reason)))
    wheel.turn(5)
    assert ends == []
    platform.answer = UNCONFIRMED
    wheel.turn(60)
    assert ends == [("unconfirmed", "")]


def test_a_callback_that_raises_stops_nothing() -> None:
    wheel = Wheel(Platform(), max_batch=10)

    def broken(state: str, reason: str) -> None:
        raise ValueError("the caller's own")

    wheel.driver.submit("web", make_hit(1), done=broken)
    wheel.driver.submit("web", make_hit(2))
    wheel.turn(1)
    assert stats(wheel) == {"accepted": 2, "delivered": 2}


def test_log_lines_are_few_and_carry_no_hit(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        platform = Platform(rejected("http 400"))
        wheel = Wheel(platform)
        wheel.submit(*(make_hit(n, title="Marker", client_ip="12.34.0.0") for n in range(50)))
        wheel.turn(10)
        wheel.clock.tick(61)
        wheel.submit(make_hit())
        wheel.turn(1)
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["web: rejected (http 400)", "web: rejected (http 400), and 49 more since the last line"]
    assert "Marker" not in caplog.text


def test_reasons_without_number_do_not_fill_memory() -> None:
    complaints = Complaints(Clock())
    for n in range(1_000):
        complaints.about("web", "rejected", f"reason {n}")
    assert len(complaints._last) <= 201


def test_hooks_are_called() -> None:
    told: list[tuple[str, str]] = []
    hooks = Hooks(
        on_delivered=lambda hit: told.append(("delivered", hit.url[-1])),
        on_retry=lambda hit, verdict: told.append(("retry", hit.url[-1])),
        on_lost=lambda hit, reason: told.append((reason, hit.url[-1])),
    )
    hooks.accepted("web")
    hooks.noted("web", "cut")
    hooks.settled("web", make_hit(1), "delivered")
    hooks.settled("web", make_hit(2), "rejected", "no")
    hooks.retried("web", make_hit(3), retry())
    assert told == [("delivered", "1"), ("rejected: no", "2"), ("retry", "3")]

    class Theirs:
        def on_lost(self, hit: Hit, reason: str) -> None:
            told.append((reason, "theirs"))

    found = Hooks.of(Theirs())
    assert found is not None
    found.settled("web", make_hit(), "dropped", "")
    assert told[-1] == ("dropped", "theirs")
    assert Hooks.of(object()) is None


# -- with real threads --------------------------------------------------------------------------------------------


@pytest.fixture
def drivers() -> Iterator[Callable[..., ThreadDelivery]]:
    made: list[ThreadDelivery] = []

    def build(*arguments: Any, **options: Any) -> ThreadDelivery:
        made.append(ThreadDelivery(*arguments, **options))
        return made[-1]

    yield build
    for driver in made:
        driver.close(0)


def attached(driver: ThreadDelivery, platform: Any, to: str = "web", **options: Any) -> Ledger:
    ledger = Ledger()
    driver.attach(Route(to=to, send=platform, observer=ledger, **options))
    return ledger


def test_is_a_delivery() -> None:
    assert isinstance(ThreadDelivery(), Delivery)


def test_nothing_runs_before_the_first_hit(drivers: Any) -> None:
    before = threading.active_count()
    driver = drivers()
    attached(driver, Platform())
    assert threading.active_count() == before


def test_hits_are_delivered_in_batches(drivers: Any) -> None:
    platform = Platform()
    driver = drivers()
    ledger = attached(driver, platform, max_batch=50)
    hits = [make_hit(n) for n in range(500)]
    assert all(driver.submit("web", hit) for hit in hits)
    assert driver.flush(10)
    assert sorted(platform.hits) == sorted(hit.id for hit in hits)
    assert max(map(len, platform.batches)) <= 50
    assert len(platform.batches) < 100
    assert ledger.stats()["delivered"] == 500


def test_a_single_hit_leaves_soon_without_a_flush(drivers: Any) -> None:
    arrived = threading.Event()

    def answer(hits: Sequence[Hit]) -> list[Verdict]:
        arrived.set()
        return [DELIVERED] * len(hits)

    driver = drivers()
    attached(driver, Platform(answer), max_batch=100)
    driver.submit("web", make_hit())
    assert arrived.wait(2)


def test_several_connections_hide_latency_where_a_request_carries_one_hit(drivers: Any) -> None:
    under_way, most, lock = 0, 0, threading.Lock()

    def answer(hits: Sequence[Hit]) -> list[Verdict]:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.02)
        with lock:
            under_way -= 1
        return [DELIVERED] * len(hits)

    driver = drivers(connections=16)
    attached(driver, Platform(answer))
    started = time.monotonic()
    for n in range(200):
        driver.submit("web", make_hit(n))
    assert driver.flush(10)
    assert time.monotonic() - started < 200 * 0.02 / 3
    assert 8 <= most <= 16


def test_two_requests_of_one_lane_are_never_under_way_at_once(drivers: Any) -> None:
    busy: set[str] = set()
    clashes: list[str] = []
    order: dict[str, list[int]] = {}
    lock = threading.Lock()

    def answer(hits: Sequence[Hit]) -> list[Verdict]:
        lanes = {str(hit.client_id) for hit in hits}
        with lock:
            clashes.extend(busy & lanes)
            busy.update(lanes)
        time.sleep(0.001)
        with lock:
            busy.difference_update(lanes)
            for hit in hits:
                order.setdefault(str(hit.client_id), []).append(int(hit.url.rpartition("/")[2]))
        return [DELIVERED] * len(hits)

    driver = drivers(connections=8)
    attached(driver, Platform(answer), max_batch=3, lane=lambda hit: hit.client_id)
    for n in range(600):
        driver.submit("web", make_hit(n, client_id=f"visitor {n % 7}"))
    assert driver.flush(10)
    assert clashes == []
    assert all(numbers == sorted(numbers) for numbers in order.values())


def test_a_slow_destination_does_not_hold_up_another(drivers: Any) -> None:
    over = threading.Event()

    def hang(hits: Sequence[Hit]) -> list[Verdict]:
        over.wait(10)
        return [DELIVERED] * len(hits)

    quick = Platform()
    driver = drivers(connections=4)
    attached(driver, Platform(hang), "slow")
    attached(driver, quick, "quick")
    for n in range(50):
        driver.submit("slow", make_hit(n))
    for n in range(50):
        driver.submit("quick", make_hit(n))
    assert driver.flush(5, to="quick")
    assert len(quick.hits) == 50
    assert not driver.flush(0.05)
    over.set()


def test_close_counts_and_says_what_memory_loses(drivers: Any, caplog: pytest.LogCaptureFixture) -> None:
    driver = drivers()
    ledger = attached(driver, Platform(retry(reason="refused")), max_batch=10)
    for n in range(37):
        driver.submit("web", make_hit(n))
    driver.close(0.2)
    assert ledger.stats() | {"withheld": 0} == {
        "accepted": 37, "delivered": 0, "unconfirmed": 0, "rejected": 0, "expired": 0, "dropped": 37,
        "pending": 0, "withheld": 0,
    }  # fmt: skip
    assert " 37 hits " in caplog.text


@pytest.mark.parametrize(("count", "said"), [(1, "1 hit was lost"), (2, "2 hits were lost")])
@pytest.mark.parametrize("detached", [True, False], ids=["one destination", "the driver"])
def test_what_is_lost_at_the_end_is_said_in_the_right_number(
    drivers: Any, caplog: pytest.LogCaptureFixture, count: int, said: str, detached: bool
) -> None:
    driver = drivers()
    attached(driver, Platform(retry(reason="refused")))
    for n in range(count):
        driver.submit("web", make_hit(n))
    if detached:
        driver.detach("web", 0.05)
    else:
        driver.close(0.05)
    assert f"closed before all could be delivered: {said}" in caplog.text


def test_a_driver_that_was_closed_begins_again_with_the_next_hit(drivers: Any) -> None:
    platform = Platform()
    driver = drivers()
    attached(driver, platform)
    driver.submit("web", make_hit())
    driver.close(2)
    driver.submit("web", make_hit())
    assert driver.flush(5)
    assert len(platform.hits) == 2


def test_a_destination_that_was_let_go_of_can_be_flushed_and_closed_again(drivers: Any) -> None:
    driver = drivers(MemorySpool())
    driver.attach(Route(to="web", send=lambda hits, timeout=None: [DELIVERED] * len(hits), observer=Ledger()))
    driver.submit("web", make_hit())
    driver.detach("web", 5)
    assert driver.flush(0, to="web")
    driver.detach("web", 5)


def test_detaching_one_destination_leaves_the_others(drivers: Any) -> None:
    platform = Platform()
    driver = drivers()
    attached(driver, platform, "one")
    attached(driver, platform, "two")
    driver.submit("one", make_hit())
    driver.detach("one", 5)
    assert len(platform.hits) == 1
    driver.submit("two", make_hit())
    assert driver.flush(5)
    driver.submit("one", make_hit())  # and comes back when it is spoken to
    assert driver.flush(5)
    assert len(platform.hits) == 3
    driver.detach("never heard of")


def test_a_destination_that_nobody_attached_is_named(drivers: Any) -> None:
    driver = drivers()
    attached(driver, Platform())
    with pytest.raises(UnknownName, match='Did you mean "web"'):
        driver.submit("wed", make_hit())


def test_a_route_can_be_replaced(drivers: Any) -> None:
    first, second = Platform(), Platform()
    driver = drivers()
    attached(driver, first)
    attached(driver, second)
    driver.submit("web", make_hit())
    assert driver.flush(5)
    assert (len(first.hits), len(second.hits)) == (0, 1)


def test_where_no_thread_can_be_started_the_waiting_one_does_the_work(drivers: Any, monkeypatch: Any) -> None:
    def refused(self: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    platform = Platform()
    driver = drivers()
    attached(driver, platform)
    monkeypatch.setattr(threading.Thread, "start", refused)
    for n in range(3):
        driver.submit("web", make_hit(n))
    assert driver.flush(5)
    assert len(platform.hits) == 3


def test_found_hits_of_a_durable_spool_are_delivered_without_a_new_one(drivers: Any, tmp_path: Path) -> None:
    spool = SqliteSpool(tmp_path / "o.db")
    spool.attach("web")
    for n in range(5):
        spool.put("web", make_hit(n))
    spool.close()
    platform = Platform()
    driver = drivers(tmp_path / "o.db")
    attached(driver, platform)
    found = driver.stats("web")
    assert (found["accepted"], found["pending"] + found["delivered"]) == (5, 5)
    assert driver.flush(5)
    assert len(platform.hits) == 5
    assert driver.stats("web")["delivered"] == 5


def test_closing_leaves_durable_hits_where_they_are(drivers: Any, tmp_path: Path, caplog: Any) -> None:
    driver = drivers(tmp_path / "o.db")
    attached(driver, Platform(retry(reason="refused")))
    for n in range(7):
        driver.submit("web", make_hit(n))
    driver.close(0.1)
    assert "lost" not in caplog.text
    left = SqliteSpool(tmp_path / "o.db")
    assert left.waiting("web") == 7
    left.close()


def test_one_driver_per_process_and_spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_shared", {})
    assert default_driver() is default_driver() is driver_for(None)
    monkeypatch.chdir(tmp_path)
    assert driver_for("o.db") is driver_for(tmp_path / "o.db")
    assert driver_for("o.db") is not driver_for("p.db")
    spool = MemorySpool()
    assert driver_for(spool).spool is spool


def test_a_worker_empties_the_spool_once(drivers: Any, tmp_path: Path) -> None:
    spool = SqliteSpool(tmp_path / "o.db")
    spool.attach("web")
    for n in range(20):
        spool.put("web", make_hit(n))
    spool.close()
    platform = Platform()
    driver = drivers(tmp_path / "o.db")
    attached(driver, platform, max_batch=7)
    assert Worker(driver).run(once=True, timeout=10)
    assert len(platform.hits) == 20


def test_a_worker_stops_when_it_is_told_to_and_delivers_what_is_there(drivers: Any) -> None:
    platform = Platform()
    driver = drivers()
    attached(driver, platform)
    worker = Worker(driver)
    answers: list[bool] = []
    running = threading.Thread(target=lambda: answers.append(worker.run()))
    running.start()
    for n in range(10):
        driver.submit("web", make_hit(n))
    worker.stop()
    running.join(5)
    assert answers == [True]
    assert len(platform.hits) == 10


def test_a_worker_that_cannot_deliver_says_so(drivers: Any) -> None:
    driver = drivers()
    attached(driver, Platform(retry(reason="refused")))
    driver.submit("web", make_hit())
    assert not Worker(driver, drain=0.01).run(once=True, timeout=0.01)
