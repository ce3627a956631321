"""The Kafka spool, on librdkafka's own mock cluster: the contract, groups, retries through their topic, a fork."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from analytical.errors import ConfigurationError, MissingExtra
from analytical.hit import Hit
from analytical.spool import Entry, Spool, open_spool
from analytical.spool.kafka import KafkaSpool, _Destination, _Partition
from analytical.verdict import DELIVERED, rejected, retry
from tests.contract.spools import NOW, Clock, SpoolContract, make_hit


@pytest.fixture(scope="module")
def servers() -> Iterator[str]:
    cluster = Producer({"test.mock.num.brokers": 3, "log_level": 0})
    brokers = cluster.list_topics(timeout=10).brokers.values()
    yield ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
    del cluster


class InOrder(KafkaSpool):
    """One partition, so that a test can speak of an order."""

    def _key(self, destination: _Destination, hit: Hit) -> bytes:
        return b"k"


@pytest.fixture
def make(servers: str) -> Iterator[Callable[..., KafkaSpool]]:
    made: list[KafkaSpool] = []
    topic = f"test-{uuid.uuid4().hex[:8]}"

    def make(kind: type[KafkaSpool] = InOrder, **options: Any) -> KafkaSpool:
        # An idempotent producer waits for half a second before its first message; one test does.
        settings = {"enable.idempotence": "false", **options.pop("settings", {})}
        made.append(kind(servers, **{"topic": topic, "assign": True, "timeout": 5.0, "settings": settings, **options}))
        return made[-1]

    yield make
    for spool in made:
        spool.close()


def all_read(spool: Any, to: str | None) -> bool:
    """Tell whether the spool has read everything that the cluster has."""
    here = spool._destinations[to]
    spool._reader(here)
    reach = spool._reach(here, [TopicPartition(*place) for place in here.partitions], -1)
    return all(reach[place] <= partition.position for place, partition in here.partitions.items())


class TestContract(SpoolContract):
    durable = True
    bounded = False

    @pytest.fixture
    def spool(self, clock: Clock, make: Callable[..., KafkaSpool]) -> Spool:
        self.make = make
        return make(clock=lambda: NOW, monotonic=clock)

    def reopen(self, spool: Spool) -> Spool:
        return self.make(clock=lambda: NOW)

    def take(self, spool: Spool, limit: int = 100, now: float = NOW, to: str | None = None) -> list[Entry]:
        found: list[Entry] = []
        while len(found) < limit:
            nothing_left = all_read(spool, to or self.to)
            batch = spool.take(limit - len(found), now, to=to or self.to)
            found += batch
            if nothing_left and not batch:
                break
        return found

    def test_one_lane_is_never_in_two_batches(self, spool: Spool) -> None:
        super().test_one_lane_is_never_in_two_batches(_Single(spool))  # type: ignore[arg-type]  # a stand-in

    def test_a_lane_keeps_its_order_through_a_retry(self, spool: Spool) -> None:
        super().test_a_lane_keeps_its_order_through_a_retry(_Single(spool))  # type: ignore[arg-type]  # a stand-in


class _Single:
    """One take for one take: two would be two batches."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def __getattr__(self, name: str) -> Any:
        return getattr(self._spool, name)

    def take(self, limit: int, now: float, *, to: str | None = None) -> list[Entry]:
        while not all_read(self._spool, to):
            self._spool._fetch(self._spool._destinations[to], 10_000)  # type: ignore[attr-defined]  # the spool's own
        return self._spool.take(limit, now, to=to)


def take(spool: Spool, count: int, now: float = NOW, patience: float = 20.0, to: str = "web") -> list[Entry]:
    found: list[Entry] = []
    deadline = time.monotonic() + patience
    while len(found) < count and time.monotonic() < deadline:
        found += spool.take(count - len(found), now, to=to)
    return found


def test_workers_of_a_group_divide_the_partitions_and_take_over(make: Callable[..., KafkaSpool]) -> None:
    # The mock cluster lets a new group wait for members for 3 s, and forgets who hears nothing for a session.
    quick = {"session.timeout.ms": "6000", "heartbeat.interval.ms": "500", "enable.idempotence": "true"}
    first = make(KafkaSpool, assign=False, settings=quick)
    first.attach("web")
    hits = [make_hit(n, client_id=f"c{n}") for n in range(40)]
    assert all(first.put("web", hit) for hit in hits)
    entries = take(first, 40)
    assert {entry.hit.id for entry in entries} == {hit.id for hit in hits}
    first.settle(entries[:25], [DELIVERED] * 25, NOW)
    first.close()  # it leaves the group, and what it did not settle
    second = make(KafkaSpool, assign=False, settings=quick)
    second.attach("web")
    left = {entry.hit.id for entry in entries[25:]}
    found = {entry.hit.id for entry in take(second, len(left))}
    assert left <= found | {entry.hit.id for entry in take(second, 15, patience=1.0)}


def test_a_worker_that_cannot_ask_where_to_begin_joins_anew_and_skips_nothing(
    make: Callable[..., KafkaSpool], monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = make(assign=False, settings={"session.timeout.ms": "6000"})
    spool.attach("web")
    hits = [make_hit(n) for n in range(5)]
    assert all(spool.put("web", hit) for hit in hits)
    asked = KafkaSpool._assigned
    refusals = [KafkaException(KafkaError(KafkaError._TIMED_OUT))]

    def once(self: KafkaSpool, destination: _Destination, consumer: Any, places: list[Any]) -> None:
        if refusals:
            raise refusals.pop()
        asked(self, destination, consumer, places)

    monkeypatch.setattr(KafkaSpool, "_assigned", once)
    assert {entry.hit.id for entry in take(spool, 5, patience=40.0)} == {hit.id for hit in hits}
    assert not refusals


def test_a_retry_goes_through_its_topic_and_the_rest_is_committed(make: Callable[..., KafkaSpool]) -> None:
    first = make()
    first.attach("web")
    for n in range(3):
        assert first.put("web", make_hit(n))
    entries = take(first, 3)
    first.settle(entries, [DELIVERED, retry(30.0), DELIVERED], NOW)
    assert first.waiting("web") == 1
    first.close()
    second = make()
    second.attach("web")
    assert take(second, 1, now=NOW + 29, patience=0.5) == []
    (entry,) = take(second, 1, now=NOW + 31)
    assert (entry.hit.url, entry.attempts) == ("https://example.com/1", 1)


def test_one_visitors_hits_are_in_one_partition(make: Callable[..., KafkaSpool]) -> None:
    spool = make(KafkaSpool)
    spool.attach("web", lane=lambda hit: hit.client_id)
    for n in range(30):
        assert spool.put("web", make_hit(n, client_id=f"c{n % 3}"))
    where: dict[str | None, set[int]] = {}
    count = 0
    while count < 30:
        entries = take(spool, 1)
        spool.settle(entries, [DELIVERED], NOW)
        count += len(entries)
        for entry in entries:
            where.setdefault(entry.hit.client_id, set()).add(entry.token[1])
    assert [len(partitions) for partitions in where.values()] == [1, 1, 1]


def test_refused_hits_are_dead_letters(make: Callable[..., KafkaSpool], servers: str) -> None:
    from confluent_kafka import Consumer

    spool = make()
    spool.attach("web")
    hit = make_hit()
    assert spool.put("web", hit)
    spool.settle(take(spool, 1), [rejected("no such site")], NOW)
    topic = spool._destinations["web"].dead
    reader = Consumer({"bootstrap.servers": servers, "group.id": "t", "auto.offset.reset": "earliest", "log_level": 0})
    reader.assign([TopicPartition(topic, n, 0) for n in reader.list_topics(topic, timeout=5).topics[topic].partitions])
    message = reader.poll(10)
    assert message is not None
    assert hit.id.encode() in message.value()
    assert dict(message.headers())["reason"] == b"no such site"
    reader.close()


def test_dead_letters_can_be_looked_at_and_put_back_once(make: Callable[..., KafkaSpool]) -> None:
    spool = make()
    spool.attach("web:1")
    hits = [make_hit(n) for n in range(5)]
    assert all(spool.put("web:1", hit) for hit in hits)
    entries = take(spool, 5, to="web:1")
    spool.settle(entries, [rejected("no such site"), rejected("nor this"), DELIVERED, retry(30.0), retry(30.0)], NOW)
    spool.close()  # what was settled is committed once a second, and at the end
    operator = make(deliver=False)
    assert operator.names() == ["web:1"]
    (row,) = operator.status()
    assert (row["to"], row["pending"], row["dead"]) == ("web:1", 2, 2)
    assert [entry.attempts for entry in operator.peek()] == [1, 1]
    letters = operator.dead()
    assert {(entry.hit.id, state, reason) for entry, state, reason in letters} == {
        (hits[0].id, "rejected", "no such site"),
        (hits[1].id, "rejected", "nor this"),
    }
    assert operator.dead(to="shop") == operator.peek(to="shop") == []
    assert operator.replay() == 2
    assert operator.replay() == 0
    assert operator.dead() == []
    spool = make()
    spool.attach("web:1")
    assert {entry.hit.id for entry in take(spool, 2, to="web:1")} == {hits[0].id, hits[1].id}


def test_what_others_settle_is_unconfirmed_here(make: Callable[..., KafkaSpool]) -> None:
    producer, worker = make(deliver=False), make()
    for spool in (producer, worker):
        spool.attach("web")
    for n in range(5):
        assert producer.put("web", make_hit(n))
    assert producer.take(5, NOW, to="web") == []
    worker.settle(take(worker, 5)[:4], [DELIVERED] * 4, NOW)
    worker.close()
    counts = producer.stats("web")
    assert counts is not None
    assert (counts["accepted"], counts["unconfirmed"], counts["pending"]) == (5, 4, 1)


def test_brokers_that_are_away_cost_the_caller_no_more_than_the_timeout(caplog: pytest.LogCaptureFixture) -> None:
    spool = open_spool("kafka://127.0.0.1:9/hits?timeout=0.2&sasl.password=hunter2")
    began = time.monotonic()
    spool.attach("web")
    assert not spool.put("web", make_hit())
    assert time.monotonic() - began < 3
    assert "Kafka cannot be used" in caplog.text
    assert "hunter2" not in caplog.text + repr(spool)
    spool.close()


def test_with_a_journal_the_caller_does_not_need_the_brokers(make: Callable[..., KafkaSpool], tmp_path: Path) -> None:
    spool = make(journal=tmp_path)
    spool.attach("web")
    began = time.monotonic()
    hits = [make_hit(n) for n in range(100)]
    assert all(spool.put("web", hit) for hit in hits)
    assert time.monotonic() - began < 0.5
    assert not spool.blocking
    assert spool.waiting("web") == 100
    assert [entry.hit.id for entry in take(spool, 100)] == [hit.id for hit in hits]
    assert spool.waiting("web") == 100


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX processes")
@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
def test_a_forked_child_puts_over_a_producer_of_its_own(make: Callable[..., KafkaSpool]) -> None:
    spool = make()
    spool.attach("web")
    assert spool.put("web", make_hit(1))
    spool.before_fork()
    child = os.fork()
    if not child:
        code = 1
        try:
            spool.abandon()
            code = 0 if spool.put("web", make_hit(2)) else 2
        finally:
            os._exit(code)
    spool.after_fork()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            break
        threading.Event().wait(0.05)
    else:
        os.kill(child, 9)
        os.waitpid(child, 0)
        raise AssertionError("the child hangs")
    assert os.waitstatus_to_exitcode(status) == 0
    assert spool.put("web", make_hit(3))
    assert len(take(spool, 3)) == 3


def test_two_that_take_all_partitions_beside_a_group_are_said(
    make: Callable[..., KafkaSpool], caplog: pytest.LogCaptureFixture
) -> None:
    member = make(assign=False, settings={"session.timeout.ms": "6000"})
    member.attach("web")
    assert member.put("web", make_hit())
    assert len(take(member, 1)) == 1
    greedy = make()
    greedy.attach("web")
    greedy.settle(take(greedy, 1), [DELIVERED], NOW)
    deadline = time.monotonic() + 20
    while "cannot be committed" not in caplog.text and time.monotonic() < deadline:
        greedy.take(1, NOW, to="web")
        threading.Event().wait(0.05)
    assert "may be delivered again: UNKNOWN_MEMBER_ID" in caplog.text


def partitions(spool: KafkaSpool, to: str = "web") -> list[TopicPartition]:
    return [TopicPartition(*place) for place in spool._destinations[to].partitions]


@pytest.mark.parametrize("goes_on", [False, True])
def test_a_worker_that_lost_its_partitions_settles_nothing_any_more(
    make: Callable[..., KafkaSpool], goes_on: bool
) -> None:
    spool = make()
    spool.attach("web")
    for n in range(4):
        assert spool.put("web", make_hit(n))
    entries = take(spool, 3)
    assert spool.settle(entries[:1], [DELIVERED], NOW) == [True]
    destination = spool._destinations["web"]
    spool._revoked(destination, None, partitions(spool))  # as librdkafka says it
    assert destination.queue.count == 0
    assert spool.settle(entries[1:], [DELIVERED, retry(1.0)], NOW) == [False, False]
    if goes_on:
        assert spool.take(4, NOW, to="web") == []
    spool.detach("web")
    again = take(spool, 4)  # the retry is the next worker's: nothing of it went to the retry topic
    assert {entry.token[0] for entry in again} == {destination.topic}
    assert {entry.hit.id for entry in again} >= {entry.hit.id for entry in entries[1:]}


def test_partitions_that_stay_keep_their_hits_when_others_go(
    make: Callable[..., KafkaSpool], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    spool = make(KafkaSpool)
    spool.attach("web")
    for n in range(20):
        assert spool.put("web", make_hit(n, client_id=f"c{n}"))
    entries = take(spool, 20)
    assert all(spool.settle(entries[:1], [DELIVERED], NOW))
    gone = entries[1].token[:2]

    def refused(self: KafkaSpool, destination: _Destination, *, now: bool = False) -> None:
        raise KafkaException(KafkaError(KafkaError.REBALANCE_IN_PROGRESS))

    destination = spool._destinations["web"]
    with monkeypatch.context() as patch:
        patch.setattr(KafkaSpool, "_commit", refused)
        spool._revoked(destination, destination.consumer, [TopicPartition(*gone)])
    assert "Kafka cannot be used: REBALANCE_IN_PROGRESS" in caplog.text
    answers = spool.settle(entries[1:], [DELIVERED] * 19, NOW)
    assert answers == [entry.token[:2] != gone for entry in entries[1:]]
    assert True in answers


def test_what_is_read_twice_is_kept_once(make: Callable[..., KafkaSpool]) -> None:
    spool = make()
    spool.attach("web")
    for n in range(3):
        assert spool.put("web", make_hit(n))
    entries = take(spool, 3)
    topic, partition, _ = entries[0].token
    spool._destinations["web"].consumer.seek(TopicPartition(topic, partition, 0))
    assert spool.put("web", make_hit(3))
    assert [entry.hit.url for entry in take(spool, 1)] == ["https://example.com/3"]
    assert take(spool, 1, patience=0.2) == []


def test_offsets_without_a_message_are_stepped_over() -> None:
    here = _Partition(3)
    here.skip_to(3)
    here.skip_to(6)  # 4 and 5 are markers, or were deleted by age
    here.settle(6)
    assert (here.committed, here.done) == (3, {4, 5, 6})
    here.settle(3)
    assert (here.committed, here.done, here.position) == (7, set(), 7)


def test_what_is_no_hit_is_said_and_skipped(
    make: Callable[..., KafkaSpool], servers: str, caplog: pytest.LogCaptureFixture
) -> None:
    spool = make()
    spool.attach("web")
    here = spool._destinations["web"]
    spool._places(here, [here.topic, here.dead])
    other = Producer({"bootstrap.servers": servers, "log_level": 0})
    for topic in (here.topic, here.dead):
        other.produce(topic, b'{"v":2,"to":"web","hit":{}}', key=b"k")
        other.produce(topic, None, key=b"k")
    other.flush(10)
    operator = make(deliver=False)
    assert operator.names() == ["web"]  # no hit says what the destination is called: the topic does
    assert operator.peek() == operator.dead() == []
    hit = make_hit()
    assert spool.put("web", hit)
    assert [entry.hit.id for entry in take(spool, 1)] == [hit.id]
    assert "a message is no hit of a known version, and is skipped" in caplog.text
    assert spool.waiting("web") == 1
    assert operator.names() == ["web"]


def test_an_operator_may_be_attached_itself(make: Callable[..., KafkaSpool]) -> None:
    spool = make()
    spool.attach("web")
    assert spool.put("web", make_hit())
    asker = spool._destinations["web"].asker
    assert [row["pending"] for row in spool.status()] == [1]
    assert spool._destinations["web"].asker is asker
    assert len(take(spool, 1)) == 1


def test_a_range_is_read_to_the_end_of_its_partition_and_no_further(make: Callable[..., KafkaSpool]) -> None:
    spool = make()
    spool.attach("web")
    assert spool.put("web", make_hit())
    topic, partition, _ = take(spool, 1)[0].token
    assert len(spool._read({(topic, partition): (0, 100)}, 100)) == 1
    strict = make(settings={"auto.offset.reset": "error"})
    with pytest.raises(KafkaException):
        strict._read({(topic, partition): (1_000, 1_001)}, 1)
    with pytest.raises(KafkaException):
        spool._reach(spool._destinations["web"], [*partitions(spool), TopicPartition(topic, 99)], -1)


def test_dead_letters_that_cannot_be_written_are_said(
    make: Callable[..., KafkaSpool], caplog: pytest.LogCaptureFixture
) -> None:
    spool = make(settings={"queue.buffering.max.messages": "1"})
    spool.attach("web")
    for n in range(2):
        assert spool.put("web", make_hit(n))
    assert spool.settle(take(spool, 2), [rejected("no")] * 2, NOW) == [True, True]
    assert "dead letters could not be written" in caplog.text
    assert "Kafka cannot be used: BufferError" in caplog.text


def test_dead_letters_that_cannot_be_put_back_stay_dead(make: Callable[..., KafkaSpool]) -> None:
    spool = make()
    spool.attach("web")
    assert spool.put("web", make_hit(title="x" * 2_000))
    spool.settle(take(spool, 1), [rejected("no")], NOW)
    spool.close()
    operator = make(deliver=False, settings={"message.max.bytes": "1000"})
    with pytest.raises(KafkaException):
        operator.replay()
    assert len(operator.dead()) == 1
    assert make(deliver=False).replay(limit=0) == 0


def test_a_worker_that_cannot_begin_tries_again(
    make: Callable[..., KafkaSpool], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    spool = make(monotonic=clock)
    spool.attach("web")
    assert spool.put("web", make_hit())
    asked = KafkaSpool._assigned
    refusals = [KafkaException(KafkaError(KafkaError.COORDINATOR_NOT_AVAILABLE))]

    def once(self: KafkaSpool, destination: _Destination, consumer: Any, places: list[Any]) -> None:
        if refusals:
            raise refusals.pop()
        asked(self, destination, consumer, places)

    monkeypatch.setattr(KafkaSpool, "_assigned", once)
    assert spool.take(1, NOW, to="web") == []
    assert spool.away
    assert spool._destinations["web"].consumer is None
    clock.tick(2.0)
    assert len(take(spool, 1)) == 1


def test_a_topic_that_nobody_makes_is_said(make: Callable[..., KafkaSpool], caplog: pytest.LogCaptureFixture) -> None:
    spool = make(timeout=0.2, settings={"allow.auto.create.topics": "false"})
    spool.attach("web")
    assert "Kafka cannot be used: UNKNOWN_TOPIC_OR_PART" in caplog.text


def test_where_a_reader_cannot_go_on_is_said(make: Callable[..., KafkaSpool], caplog: pytest.LogCaptureFixture) -> None:
    settings = {"enable.partition.eof": "true", "auto.offset.reset": "error"}
    spool = make(settings=settings)
    spool.attach("web")
    assert spool.put("web", make_hit())
    (entry,) = take(spool, 1)  # the end of a partition is no error
    assert not spool.away
    topic, partition, _ = entry.token
    spool._destinations["web"].consumer.seek(TopicPartition(topic, partition, 1_000))  # what retention has deleted
    deadline = time.monotonic() + 20
    while not spool.away and time.monotonic() < deadline:
        spool.take(1, NOW, to="web")
    assert "Kafka cannot be used: _AUTO_OFFSET_RESET" in caplog.text


def test_while_the_brokers_are_away_everything_else_goes_on(tmp_path: Path) -> None:
    clock = Clock()
    spool = KafkaSpool("127.0.0.1:9", timeout=0.1, monotonic=clock, assign=True)
    spool.attach("web")
    clock.tick(2.0)
    assert not spool.put("web", make_hit())
    clock.tick(2.0)
    assert spool.take(1, NOW, to="web") == []
    clock.tick(2.0)
    spool._destinations["web"].base = 0  # they were there before
    counts = spool.stats("web")
    assert counts is not None
    assert (counts["accepted"], counts["dropped"], counts["pending"]) == (1, 1, 0)
    assert spool.stats("web") == counts  # they are not asked again at once
    spool.close()
    journal = KafkaSpool("127.0.0.1:9", timeout=0.1, monotonic=clock, journal=tmp_path)
    journal.attach("web")
    assert journal.put("web", make_hit())
    assert journal.uploads("web")
    clock.tick(2.0)
    assert journal.waiting("web") == 1
    clock.tick(2.0)
    journal._ship(now=True)
    assert journal.away
    journal.close()


def test_a_commit_that_fails_at_the_end_is_said(make: Callable[..., KafkaSpool]) -> None:
    spool = make()
    spool.attach("web")
    assert spool.put("web", make_hit())
    spool.settle(take(spool, 1), [DELIVERED], NOW)
    destination = spool._destinations["web"]
    destination.dirty, consumer = True, destination.consumer

    class Refusing:
        closed = False

        def commit(self, **options: Any) -> None:
            raise KafkaException(KafkaError(KafkaError.COORDINATOR_NOT_AVAILABLE))

        def close(self) -> None:
            Refusing.closed = True
            consumer.close()

    destination.consumer = Refusing()
    spool.detach("web")
    assert Refusing.closed
    assert spool.away


FORKING = """
import os
import sys
from analytical.spool.kafka import KafkaSpool
from tests.contract.spools import NOW, make_hit
options = {"journal": sys.argv[3] or None, "settings": {"enable.idempotence": "false"}}
spool = KafkaSpool(sys.argv[1], topic=sys.argv[2], assign=True, timeout=5.0, **options)
spool.attach("web")
assert spool.put("web", make_hit(1))
while not sys.argv[3] and not spool.take(1, NOW, to="web"):
    pass
spool.before_fork()
child = os.fork()
if not child:
    spool.abandon()
    assert spool.put("web", make_hit(2))
    spool.close()
    sys.exit(0)
spool.after_fork()
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
spool.close()
print("both ended")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX processes")
@pytest.mark.parametrize("journal", [False, True])
def test_a_forked_child_ends_as_any_process_does(
    make: Callable[..., KafkaSpool], servers: str, tmp_path: Path, journal: bool
) -> None:
    spool = make()  # for its topic
    arguments = [servers, spool._topic, str(tmp_path) if journal else ""]
    root = str(Path(__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKING, *arguments],
        cwd=root, env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "both ended\n", "")
    spool.attach("web")
    assert {entry.hit.url for entry in take(spool, 2)} == {"https://example.com/1", "https://example.com/2"}


# -- its URL ------------------------------------------------------------------------------------------------------


def test_the_url_says_everything(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", "hunter2")
    spool = open_spool(
        f"kafka://a:9092,b:9092/hits?group=workers&timeout=0.5&lease=5&deliver=no&assign=yes&journal={tmp_path}"
        "&sasl.password=env:KAFKA_PASSWORD"
    )
    assert isinstance(spool, KafkaSpool)
    assert (spool._topic, spool._group, spool.timeout, spool._lease) == ("hits", "workers", 0.5, 5.0)
    assert (spool._deliver, spool._assign, spool.blocking) == (False, True, False)
    assert spool._settings == {"bootstrap.servers": "a:9092,b:9092", "sasl.password": "hunter2"}
    assert KafkaSpool.from_url("kafka://a:9092")._topic == "analytical"


@pytest.mark.parametrize("where", ["a:9092/two/levels", "a:9092/hits?timeout=soon", "a:9092/hits?deliver=perhaps"])
def test_a_mistyped_value_is_said(where: str) -> None:
    with pytest.raises(ConfigurationError, match="expected"):
        open_spool(f"kafka://{where}")


def test_without_the_client_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "analytical.spool.kafka")
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(MissingExtra, match=r"analytical\[kafka\]"):
        importlib.import_module("analytical.spool.kafka")


def test_a_mistyped_option_is_said() -> None:
    with pytest.raises(ConfigurationError, match="group"):
        open_spool("kafka://127.0.0.1/hits?gruop=x")
    with pytest.raises(ConfigurationError, match="broker"):
        open_spool("kafka:///hits")
