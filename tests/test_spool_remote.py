"""What all spools at a broker do alike, on a scripted broker and with a clock that moves when it is told to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from analytical.hit import Hit
from analytical.observe import STATES
from analytical.spool import Entry
from analytical.spool._remote import VAIN, Destination, RemoteSpool, inherited
from analytical.spool.memory import Queue
from analytical.verdict import DELIVERED, retry
from tests.contract.spools import NOW, Clock, make_hit


class Down(Exception):
    """The broker does not answer."""


class Broker:
    def __init__(self) -> None:
        self.down = False
        self.asked = 0
        self.hits: dict[str, list[Hit]] = {}

    def ask(self) -> None:
        self.asked += 1
        if self.down:
            raise Down("amqp://guest:hunter2@queue.example.com")


class ScriptedSpool(RemoteSpool[Destination]):
    _BROKER = "The broker"
    _ERRORS = (Down,)
    _AWAY = 0.5

    def __init__(self, broker: Broker, clock: Clock, *, journal: Path | None = None) -> None:
        self.broker = broker
        self.let_go: list[str] = []
        super().__init__(
            "scripted", timeout=1.0, lease=20.0, journal=journal, deliver=True, clock=lambda: NOW, monotonic=clock
        )

    def _make(self, to: str, queue: Queue) -> Destination:
        return Destination(to, queue)

    def _begin(self, destination: Destination) -> None:
        """Nothing to make."""

    def _send(self, destination: Destination, hit: Hit, body: bytes) -> bool:
        try:
            self.broker.ask()
        except Down as error:
            self._unreachable(error)
            self._in_vain = self._monotonic()
            return False
        self.broker.hits.setdefault(destination.to, []).append(hit)
        return True

    def _refill(self, destination: Destination, limit: int) -> None:
        self.broker.ask()
        for hit in self.broker.hits.pop(destination.to, []):
            destination.queue.append(Entry(hit, destination.to, seq=destination.queue.count + 1))

    def _let_go(self, destination: Destination) -> None:
        self.let_go.append(destination.to)
        destination.queue = self._queue(destination.queue.lane)

    def _carry(self, to: str, bodies: list[bytes], name: str, end: int) -> None:
        self.broker.ask()
        self.broker.hits.setdefault(to, []).extend(make_hit(n) for n in range(len(bodies)))

    def _ask(self, destination: Destination) -> None:
        self.broker.ask()
        destination.known = len(self.broker.hits.get(destination.to, [])) + destination.queue.count

    def _counts(self, destination: Destination) -> tuple[dict[str, int], int]:
        return dict.fromkeys(STATES, 0), self._pending(destination)

    def uploads(self, to: str) -> bool:
        with self._lock:
            self._ship()
        return to != "others"


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(broker: Broker, clock: Clock) -> Iterator[Callable[..., ScriptedSpool]]:
    made: list[ScriptedSpool] = []

    def make(**options: Any) -> ScriptedSpool:
        made.append(ScriptedSpool(broker, clock, **options))
        made[-1].attach("web")
        return made[-1]

    yield make
    for spool in made:
        spool.close()


# -- a broker that does not answer --------------------------------------------------------------------------------


def test_after_one_has_waited_in_vain_the_next_are_refused_at_once(
    make: Callable[..., ScriptedSpool], broker: Broker, clock: Clock
) -> None:
    spool = make()
    broker.down = True
    assert [spool.put("web", make_hit(n)) for n in range(10)] == [False] * 10
    assert broker.asked == 1
    broker.down = False
    clock.tick(VAIN + 0.01)
    assert spool.put("web", make_hit())


def test_refused_hits_count_as_dropped(make: Callable[..., ScriptedSpool], broker: Broker, clock: Clock) -> None:
    spool = make()
    assert spool.put("web", make_hit())
    broker.down = True
    assert not spool.put("web", make_hit())
    broker.down = False
    clock.tick(1.0)
    counts = spool.stats("web")
    assert counts is not None
    assert (counts["accepted"], counts["dropped"], counts["pending"]) == (2, 1, 1)
    assert counts["accepted"] == sum(count for state, count in counts.items() if state != "accepted")


def test_what_is_not_attached_has_no_counts(make: Callable[..., ScriptedSpool]) -> None:
    assert make().stats("shop") is None


def test_while_it_is_away_the_last_known_number_is_given(
    make: Callable[..., ScriptedSpool], broker: Broker, clock: Clock
) -> None:
    spool = make()
    assert spool.put("web", make_hit())
    assert (spool.waiting("web"), len(spool), spool.away) == (1, 1, False)
    broker.down = True
    assert (spool.waiting("web"), spool.away) == (1, True)
    asked = broker.asked
    assert [spool.waiting("web") for _ in range(5)] == [1] * 5
    assert spool.take(5, NOW, to="web") == []
    assert broker.asked == asked
    broker.down = False
    clock.tick(0.6)
    assert (spool.waiting("web"), spool.away) == (1, False)
    assert len(spool.take(5, NOW, to="web")) == 1


def test_what_was_brought_here_is_given_out_although_it_is_away(
    make: Callable[..., ScriptedSpool], broker: Broker
) -> None:
    spool = make()
    for n in range(3):
        assert spool.put("web", make_hit(n))
    assert len(spool.take(1, NOW, to="web")) == 1
    broker.down = True
    assert len(spool.take(5, NOW, to="web")) == 2
    assert spool.away


def test_the_same_sentence_is_said_once_a_minute_and_without_the_errors_text(
    make: Callable[..., ScriptedSpool], broker: Broker, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    spool = make()
    broker.down = True
    for _ in range(30):
        spool.waiting("web")
        clock.tick(1.0)
    assert [record.getMessage() for record in caplog.records] == ["scripted: The broker cannot be used: Down"]
    clock.tick(31.0)
    spool.waiting("web")
    assert len(caplog.records) == 2
    assert "hunter2" not in caplog.text


# -- destinations -------------------------------------------------------------------------------------------------


def test_attaching_again_changes_lane_and_ear_and_keeps_what_is_held(make: Callable[..., ScriptedSpool]) -> None:
    spool = make()
    for n in range(2):
        assert spool.put("web", make_hit(n, client_id="a"))
    assert len(spool.take(1, NOW, to="web")) == 1
    told: list[str] = []
    spool.attach("web", lane=lambda hit: hit.client_id, lost=lambda to, hit, state, why: told.append(why))
    assert spool.ready("web") == 1
    destination = spool._destinations["web"]
    assert destination.lost is not None
    destination.lost("web", make_hit(), "dropped", "full")
    assert told == ["full"]
    spool.attach("web")
    assert destination.lost is not None
    assert destination.queue.lane is None


def test_taking_from_any_skips_what_others_empty(make: Callable[..., ScriptedSpool]) -> None:
    spool = make()
    spool.attach("others")
    spool.attach("shop")
    assert spool.put("others", make_hit())
    assert spool.put("shop", make_hit())
    assert [entry.to for entry in spool.take(5, NOW)] == ["shop"]
    assert spool.take(5, NOW) == []


def test_letting_go_of_what_was_never_attached_is_harmless(make: Callable[..., ScriptedSpool]) -> None:
    spool = make()
    spool.detach("shop")
    spool.detach("web")
    assert spool.let_go == ["web"]


def test_after_the_end_nothing_is_taken_until_something_is_put(make: Callable[..., ScriptedSpool]) -> None:
    spool = make()
    assert spool.put("web", make_hit(1))
    spool.close()
    assert spool.let_go == ["web"]
    assert spool.take(5, NOW, to="web") == []
    assert spool.put("web", make_hit(2))
    assert len(spool.take(5, NOW, to="web")) == 2


def test_it_is_looked_at_again_soon_because_other_hosts_ring_no_bell(
    broker: Broker, clock: Clock, make: Callable[..., ScriptedSpool]
) -> None:
    assert ScriptedSpool(broker, clock).wake_at() is None
    spool = make()
    soon = spool.wake_at("web")
    assert soon is not None
    assert NOW < soon < NOW + 1.0
    assert spool.wake_at("shop") is None
    assert spool.put("web", make_hit())
    (entry,) = spool.take(1, NOW, to="web")
    spool._destinations["web"].queue.settle(entry, retry(-5.0), NOW)
    assert spool.wake_at() == NOW - 5.0


def test_a_spool_without_hits_is_a_spool_and_leaves_nothing_in_this_process(
    make: Callable[..., ScriptedSpool],
) -> None:
    spool = make()
    assert spool
    assert len(spool) == 0
    assert spool.remains("web") == []
    assert repr(spool) == "<ScriptedSpool scripted>"


# -- a journal ----------------------------------------------------------------------------------------------------


def test_what_the_broker_does_not_take_stays_in_the_journal_and_counts_as_waiting(
    make: Callable[..., ScriptedSpool], broker: Broker, clock: Clock, tmp_path: Path
) -> None:
    spool = make(journal=tmp_path)
    broker.down = True
    assert all(spool.put("web", make_hit(n)) for n in range(3))
    assert not spool.blocking
    assert broker.asked == 0
    assert spool.take(5, NOW, to="web") == []
    assert spool.away
    assert spool.waiting("web") == 3
    broker.down = False
    clock.tick(1.0)
    assert len(spool.take(5, NOW, to="web")) == 3
    assert spool.waiting("web") == 3


def test_letting_go_brings_the_journal_on_first(
    make: Callable[..., ScriptedSpool], broker: Broker, tmp_path: Path
) -> None:
    spool = make(journal=tmp_path)
    assert spool.put("web", make_hit())
    spool.detach("web")
    assert len(broker.hits["web"]) == 1


def test_a_journal_that_cannot_be_read_or_written_is_said_and_is_not_the_brokers_fault(
    make: Callable[..., ScriptedSpool], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "journal").write_text("not a directory")
    spool = make(journal=tmp_path / "journal")
    assert not spool.put("web", make_hit())
    assert spool.take(5, NOW, to="web") == []
    assert "a journal cannot be read: NotADirectoryError" in caplog.text
    assert not spool.away


# -- forks --------------------------------------------------------------------------------------------------------


def test_before_a_fork_nobody_is_in_the_middle_of_anything(make: Callable[..., ScriptedSpool]) -> None:
    spool = make()
    assert spool.put("web", make_hit())
    taken: list[int] = []
    spool.before_fork()
    other = threading.Thread(target=lambda: taken.append(len(spool.take(5, NOW, to="web"))))
    other.start()
    other.join(0.1)
    assert taken == []
    spool.after_fork()
    other.join(10)
    assert taken == [1]


def test_going_on_without_having_stopped_is_harmless(make: Callable[..., ScriptedSpool]) -> None:
    spool = make()
    spool.after_fork()
    assert spool.put("web", make_hit())


def test_a_child_knows_the_destinations_and_holds_none_of_the_parents_hits(
    make: Callable[..., ScriptedSpool], broker: Broker, tmp_path: Path
) -> None:
    spool = make(journal=tmp_path)
    told: list[str] = []
    spool.attach("web", lane=lambda hit: hit.client_id, lost=lambda to, hit, state, why: told.append(why))
    assert spool.put("web", make_hit(1, client_id="a"))
    (entry,) = spool.take(1, NOW, to="web")
    before = len(inherited)
    names = {path.name for path in tmp_path.iterdir()}
    spool.before_fork()
    spool.abandon()  # as the child does
    assert len(inherited) == before + 1
    destination = spool._destinations["web"]
    assert destination.queue.count == 0
    assert destination.queue.lane is not None
    assert destination.lost is not None
    assert spool.put("web", make_hit(2))
    assert {path.name for path in tmp_path.iterdir()} > names  # a journal of its own
    assert not destination.queue.settle(entry, DELIVERED, NOW)
