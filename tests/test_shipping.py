"""From journals to a broker: whose journal, which piece, and what is left where the broker does not take it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from analytical.spool import _shipping
from analytical.spool._shipping import Shipping, read_queued
from analytical.spool.journal import HEADER, Journal, JournalReader, journals
from tests.contract.spools import Clock, make_hit


def body(number: int = 0, *, to: str = "web", **fields: Any) -> bytes:
    return b'{"v":1,"to":"%s","hit":%s}' % (to.encode(), msgspec.json.encode(make_hit(number, **fields)))


class Broker:
    """Takes pieces; refuses as many as it is told to."""

    def __init__(self) -> None:
        self.pieces: list[tuple[str, int, int]] = []
        self.ends: list[int] = []
        self.refusals = 0

    def carry(self, to: str, bodies: list[bytes], name: str, end: int) -> None:
        if self.refusals:
            self.refusals -= 1
            raise ConnectionError
        self.pieces.append((to, len(bodies), end))


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def make(broker: Broker, said: list[str], tmp_path: Path) -> Iterator[Callable[[], Shipping]]:
    made: list[Shipping] = []

    def make() -> Shipping:
        made.append(
            Shipping(tmp_path, broker.carry, ends=lambda name: broker.ends, complain=said.append, monotonic=Clock())
        )
        return made[-1]

    yield make
    for shipping in made:
        shipping.close()


@pytest.mark.parametrize("text", [b"", b"\xff", b"{}", b'{"v":2,"to":"web","hit":{}}'])
def test_what_is_no_entry_is_none(text: bytes) -> None:
    assert read_queued(text) is None


def test_an_entry_of_a_newer_version_is_none() -> None:
    assert read_queued(body()) is not None
    assert read_queued(body().replace(b'"v":1', b'"v":2', 1)) is None


def test_records_go_by_destination_and_those_of_no_known_version_are_said(
    make: Callable[[], Shipping], broker: Broker, said: list[str]
) -> None:
    shipping = make()
    for record in (body(1), body(2, to="shop"), b"{}", body(3)):
        assert shipping.journal.append(record)
    assert (shipping.waiting("web"), shipping.waiting("shop")) == (2, 1)
    shipping.ship()
    assert [(to, count) for to, count, _ in broker.pieces] == [("web", 2), ("shop", 1)]
    assert said == ["a record of a journal is no hit of a known version, and is skipped"]
    assert shipping.waiting("web") == 0


def test_what_was_refused_is_brought_again(make: Callable[[], Shipping], broker: Broker) -> None:
    shipping = make()
    assert shipping.journal.append(body())
    broker.refusals = 1
    with pytest.raises(ConnectionError):
        shipping.ship()
    assert shipping.waiting("web") == 1
    shipping.ship(now=True)
    assert [(to, count) for to, count, _ in broker.pieces] == [("web", 1)]


def test_a_long_journal_goes_in_pieces(make: Callable[[], Shipping], broker: Broker) -> None:
    shipping = make()
    for n in range(30):
        assert shipping.journal.append(body(n, title="x" * 100_000))
    assert shipping.waiting("web") == 30
    shipping.ship()
    assert len(broker.pieces) > 1
    assert sum(count for _, count, _ in broker.pieces) == 30


def test_a_journal_is_looked_at_when_something_was_added(make: Callable[[], Shipping], broker: Broker) -> None:
    shipping = make()
    shipping.ship()
    assert shipping.journal.append(body())
    shipping.ship()
    shipping.ship()
    assert len(broker.pieces) == 1
    assert shipping.journal.append(body())
    shipping.ship()
    assert len(broker.pieces) == 2


def test_a_living_process_sees_to_its_journal_itself(
    make: Callable[[], Shipping], broker: Broker, tmp_path: Path
) -> None:
    other = Journal(tmp_path)
    assert other.append(body())
    shipping = make()
    shipping.ship()
    assert broker.pieces == []
    assert shipping.waiting("web") == 1
    other.close()  # its process is gone
    shipping.ship(now=True)
    assert [(to, count) for to, count, _ in broker.pieces] == [("web", 1)]
    assert list(journals(tmp_path)) == []


def test_pieces_that_the_broker_has_already_are_the_same_pieces_again(
    make: Callable[[], Shipping], broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make()
    for n in range(3):
        assert first.journal.append(body(n))

    def killed(self: JournalReader, offset: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(JournalReader, "note", killed)
        with pytest.raises(KeyboardInterrupt):
            first.ship()  # the broker has them, and the file does not say so
    ((_, _, end),) = broker.pieces
    assert first.journal.append(body(3))
    first.close()
    broker.ends = [end, HEADER]
    make().ship()
    again, new = broker.pieces[1:]
    assert again == ("web", 3, end)
    assert new[:2] == ("web", 1)
    assert list(journals(tmp_path)) == []


def test_pieces_of_which_no_answer_came_are_the_same_pieces_again(make: Callable[[], Shipping], broker: Broker) -> None:
    shipping = make()
    assert shipping.journal.append(body(0))
    shipping.ship()
    assert shipping.journal.append(body(1))
    broker.refusals = 1
    with pytest.raises(ConnectionError):
        shipping.ship()
    (reader,) = shipping._readers.values()
    broker.ends = [reader.size()]  # it had them, and only its answer was lost
    assert shipping.journal.append(body(2))
    shipping.ship(now=True)
    assert broker.pieces[1:] == [("web", 1, broker.ends[0]), ("web", 1, reader.size())]


def test_a_journal_that_another_process_removed_is_not_held_open(
    make: Callable[[], Shipping], broker: Broker, tmp_path: Path
) -> None:
    other = Journal(tmp_path)
    assert other.append(body())
    first, second = make(), make()
    second.ship(now=True)
    assert len(second._readers) == 1
    other.close()
    first.ship(now=True)  # and removes it
    second.ship(now=True)
    assert second._readers == {}


def test_a_journal_that_another_process_removed_meanwhile_is_no_error(
    make: Callable[[], Shipping], broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipping = make()
    assert shipping.journal.append(body())
    monkeypatch.setattr(_shipping, "journals", lambda directory: ["gone.journal", *journals(directory)])
    assert shipping.waiting("web") == 1
    shipping.ship()
    assert [(to, count) for to, count, _ in broker.pieces] == [("web", 1)]


def test_a_child_writes_a_journal_of_its_own_and_closes_nothing(make: Callable[[], Shipping], tmp_path: Path) -> None:
    shipping = make()
    assert shipping.journal.append(body())
    shipping.ship()
    (reader,) = shipping._readers.values()
    kept = shipping.inherited()
    assert kept == {reader.path.name: reader}
    assert reader.size() > HEADER  # it is still open
    reader.close()
    assert shipping.journal.append(body())
    assert shipping.journal.name != reader.path.name
