"""The memory spool: the contract, its bounds, its overflow policies, its price."""

from __future__ import annotations

import sys
import threading
import tracemalloc
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from analytical.errors import ConfigurationError, UnknownName
from analytical.hit import Hit
from analytical.spool import Entry, Spool, open_spool
from analytical.spool.contracts import NOW, Clock, SpoolContract, make_hit
from analytical.spool.memory import MemorySpool, weigh
from analytical.verdict import DELIVERED, Verdict, retry


class TestMemorySpool(SpoolContract):
    @pytest.fixture
    def spool(self, clock: Clock) -> Iterator[Spool]:
        spool = MemorySpool(monotonic=clock)
        yield spool
        spool.close()

    def small(self, hits: int) -> Spool:
        return MemorySpool(hits=hits)


def full(**options: Any) -> MemorySpool:
    spool = MemorySpool(hits=3, **options)
    spool.attach("web")
    for n in range(3):
        assert spool.put("web", make_hit(n))
    return spool


def urls(spool: MemorySpool) -> str:
    return "".join(entry.hit.url[-1] for entry in spool.take(100, NOW, to="web"))


def test_drop_newest_refuses_the_new_hit() -> None:
    spool = full()
    assert not spool.put("web", make_hit(9))
    assert urls(spool) == "012"


def test_drop_oldest_gives_up_the_oldest_and_says_so() -> None:
    spool = full(overflow="drop-oldest")
    lost: list[tuple[str, str, str]] = []
    spool.attach("web", lost=lambda to, hit, state, reason: lost.append((hit.url[-1], state, reason)))
    assert spool.put("web", make_hit(9))
    assert lost == [("0", "dropped", "full")]
    assert urls(spool) == "129"


@pytest.mark.parametrize("overflow", ["drop-newest", "drop-oldest"])
def test_a_purchase_takes_the_place_of_a_page_view_and_never_the_other_way(overflow: Any) -> None:
    spool = full(overflow=overflow)
    for n in range(3):
        assert spool.put("web", make_hit(n + 5, priority=1))
    assert not spool.put("web", make_hit(9))
    assert urls(spool) == "567"


def test_a_higher_priority_leaves_first() -> None:
    spool = MemorySpool()
    spool.attach("web")
    for n, priority in enumerate([0, 0, 5, 1]):
        spool.put("web", make_hit(n, priority=priority))
    assert urls(spool) == "2301"


def test_within_lanes_nothing_overtakes() -> None:
    spool = MemorySpool()
    spool.attach("web", lane=lambda hit: hit.client_id)
    spool.put("web", make_hit(0, client_id="a"))
    spool.settle(spool.take(1, NOW, to="web"), [DELIVERED], NOW)
    for n, priority in enumerate([0, 5, 0]):
        spool.put("web", make_hit(n, priority=priority, client_id="a"))
    assert urls(spool) == "012"


def test_block_waits_for_room_and_then_refuses() -> None:
    spool = full(overflow="block", wait=0.02)
    assert not spool.put("web", make_hit(9))


def test_block_goes_on_when_room_is_made() -> None:
    spool = full(overflow="block", wait=10.0)
    entries = spool.take(1, NOW, to="web")
    answers: list[bool] = []
    waiter = threading.Thread(target=lambda: answers.append(spool.put("web", make_hit(9))))
    waiter.start()
    while waiter.is_alive():
        spool.settle(entries, [DELIVERED], NOW)
        waiter.join(0.01)
    assert answers == [True]


def test_it_is_bounded_by_bytes() -> None:
    spool = MemorySpool(bytes=10_000)
    spool.attach("web")
    answers = [spool.put("web", make_hit(n, title="x" * 1_000)) for n in range(20)]
    assert 3 <= answers.count(True) <= 7


def test_what_is_settled_makes_room() -> None:
    spool = full()
    spool.settle(spool.take(3, NOW, to="web"), [DELIVERED] * 3, NOW)
    assert spool.put("web", make_hit())


def test_a_destination_that_is_down_takes_no_room_of_another() -> None:
    spool = full()
    spool.attach("shop")
    assert not spool.put("web", make_hit())
    assert spool.put("shop", make_hit())


def test_the_default_has_room_for_fifty_thousand_page_views() -> None:
    spool = MemorySpool()
    spool.attach("web")
    agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0"
    assert all(spool.put("web", make_hit(n, user_agent=agent, client_ip="12.34.0.0")) for n in range(50_000))


def test_a_waiting_hit_takes_little_memory_and_about_what_it_is_reckoned_with() -> None:
    spool = MemorySpool()
    spool.attach("web")
    count = 2_000

    def hits() -> list[Hit]:
        # Made anew, so that no two share their texts.
        return [
            make_hit(
                n,
                client_ip=f"12.{n % 250}.0.0",
                user_agent=f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/{n}.0.0.0 Safari",
                referrer=f"https://www.example.org/some/where/{n}",
                language="de-DE,de;q=0.9",
                client_id=f"1234567890.{n:010}",
            )
            for n in range(count)
        ]

    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for hit in hits():
        spool.put("web", hit)
    del hit
    each = (tracemalloc.get_traced_memory()[0] - before) / count
    tracemalloc.stop()
    assert each <= 1.2 * 1024
    reckoned = sum(weigh(entry.hit) for entry in spool.take(count, NOW, to="web")) / count
    assert each * 0.6 < reckoned < each * 1.6


def test_put_is_safe_within_itself_as_in_a_signal_handler() -> None:
    spool = MemorySpool()
    spool.attach("web")
    with spool._lock:  # a signal arrives while this thread is within put()
        assert spool.put("web", make_hit())
    assert spool.waiting("web") == 1


def test_a_child_begins_with_nothing_and_with_locks_of_its_own() -> None:
    spool = full()
    spool._lock.acquire()  # another thread of the parent held it when the process forked
    spool.abandon()
    assert spool.waiting("web") == 0
    assert spool.put("web", make_hit())


def test_threads_that_put_and_take_lose_nothing() -> None:
    spool = MemorySpool()
    spool.attach("web")
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        seen: list[str] = []

        def put(start: int) -> None:
            for n in range(500):
                spool.put("web", make_hit(start + n))

        def take() -> None:
            while len(seen) < 2_000:
                entries = spool.take(7, NOW, to="web")
                # Before settling: what is due again may be with the other thread a moment later.
                ended = [e.hit.id for e in entries if e.attempts == 1]
                done = spool.settle(entries, [retry(0.0) if e.attempts == 0 else DELIVERED for e in entries], NOW)
                assert all(done)
                seen.extend(ended)

        threads = [threading.Thread(target=put, args=(n * 1000,)) for n in range(4)]
        threads += [threading.Thread(target=take) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(set(seen)) == 2_000
    assert spool.waiting("web") == 0


def test_open_spool_reads_urls() -> None:
    spool = open_spool("memory://?hits=5&overflow=drop-oldest&wait=0.5")
    assert isinstance(spool, MemorySpool)
    assert (spool.hits, spool.overflow, spool.wait) == (5, "drop-oldest", 0.5)
    assert open_spool(spool) is spool
    spool = open_spool("memory://?overflow=block(0.25)")
    assert isinstance(spool, MemorySpool)
    assert (spool.overflow, spool.wait) == ("block", 0.25)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("memory://?hitz=5", 'Did you mean "hits"'),
        ("memory://?hits=many", "another kind of value"),
        ("memory://?overflow=burst", "drop-newest"),
        ("memory://?hits=0", "at least one"),
    ],
)
def test_bad_options_say_what_to_type(url: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        open_spool(url)


def test_an_unknown_scheme_names_the_known() -> None:
    with pytest.raises(UnknownName, match="sqlite"):
        open_spool("sqlight://x")


def test_something_that_is_no_spool_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="put and take"):
        open_spool(5)  # type: ignore[arg-type]  # the mistake under test


# -- what happens in between --------------------------------------------------------------------------------------


def test_an_empty_spool_is_a_spool() -> None:
    spool = MemorySpool()
    assert bool(spool)
    assert len(spool) == 0


def test_a_lane_goes_on_when_a_late_verdict_ends_the_hit_that_was_to_be_tried_again() -> None:
    clock = Clock()
    spool = MemorySpool(monotonic=clock)
    spool.attach("web", lane=lambda hit: "visitor")
    for n in (1, 2):
        spool.put("web", make_hit(n))
    first = spool.take(1, NOW, to="web")
    assert spool.take(1, NOW, to="web") == []  # the second waits behind it
    clock.tick(3_600)
    assert spool.take(0, NOW, to="web") == []  # taken back, and not yet lent again
    assert spool.settle(first, [DELIVERED], NOW) == [True]
    assert urls(spool) == "2"


def test_what_was_given_up_while_it_waited_is_not_taken() -> None:
    spool = full()
    gone = spool.remains("web")[1]
    assert spool.settle([gone], [Verdict("dropped", "exit")], NOW) == [True]
    assert urls(spool) == "02"


def test_room_is_not_made_twice_of_what_was_given_up_already() -> None:
    spool = full(overflow="drop-oldest")
    lost: list[str] = []
    spool.attach("web", lost=lambda to, hit, state, reason: lost.append(hit.url[-1]))
    spool.settle([spool.remains("web")[0]], [Verdict("dropped", "exit")], NOW)
    assert spool.put("web", make_hit(8))
    assert lost == []
    assert spool.put("web", make_hit(9))
    assert lost == ["1"]
    assert urls(spool) == "289"


def test_leases_run_out_each_at_its_own_time() -> None:
    clock = Clock()
    spool = MemorySpool(monotonic=clock, lease=60.0)
    spool.attach("web")
    for n in range(3):
        spool.put("web", make_hit(n))
        assert len(spool.take(1, NOW, to="web")) == 1
        clock.tick(10)
    for n in range(3):
        clock.now = NOW + 60 + 10 * n
        assert [entry.hit.url[-1] for entry in spool.take(9, NOW, to="web")] == [str(n)]


def test_of_a_long_lane_only_as_many_are_let_go_as_may_leave_at_once() -> None:
    spool = MemorySpool()
    spool.attach("web", lane=lambda hit: "visitor")
    for n in range(1_000):
        spool.put("web", make_hit(n))
    first = spool.take(10, NOW, to="web")
    assert spool.take(10, NOW, to="web") == []  # all the others wait behind it
    spool.settle(first, [DELIVERED] * 10, NOW)
    assert spool.ready("web") == 10
    spool.put("web", make_hit(1_000))
    left = []
    while batch := spool.take(25, NOW, to="web"):
        assert spool.take(3, NOW, to="web") == []
        left += [int(entry.hit.url.rpartition("/")[2]) for entry in batch]  # type: ignore[union-attr]  # all have one
        spool.settle(batch, [DELIVERED] * len(batch), NOW)
    assert left == list(range(10, 1_001))
    assert spool.waiting("web") == 0


@pytest.mark.parametrize("again", [0.0, 0.2])
@pytest.mark.parametrize("seed", range(10))
def test_whatever_happens_a_lane_is_in_one_place_at_a_time_and_none_is_left_behind(seed: int, again: float) -> None:
    draw = Random(seed)
    clock = Clock()
    spool = MemorySpool(monotonic=clock, lease=60.0)
    spool.attach("web", lane=lambda hit: hit.client_id)
    away: list[list[Entry]] = []
    ended: dict[str | None, list[str]] = {}
    put, now = 0, NOW
    for step in range(4_000):
        if step < 1_500 and draw.random() < 0.5:
            lane = draw.choice([None, "a", "b", "c"])
            spool.put("web", make_hit(put, client_id=lane, title=f"{put:06}"))
            put += 1
        elif away and draw.random() < 0.6:
            batch = away.pop(draw.randrange(len(away)))
            verdicts = [retry(after=1.0) if draw.random() < again else DELIVERED] * len(batch)
            for entry, really in zip(batch, spool.settle(batch, verdicts, now), strict=True):
                assert really
                if verdicts[0].state == "delivered":
                    ended.setdefault(entry.hit.client_id, []).append(entry.hit.title or "")
        elif batch := spool.take(draw.choice([1, 3, 10]), now, to="web"):
            busy = {entry.hit.client_id for other in away for entry in other}
            assert busy.isdisjoint({entry.hit.client_id for entry in batch} - {None})
            away.append(batch)
        now += draw.random()
    assert spool.waiting("web") == 0
    assert sum(map(len, ended.values())) == put
    if not again:
        assert all(titles == sorted(titles) for lane, titles in ended.items() if lane is not None)
