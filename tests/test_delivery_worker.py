"""The process that empties a spool, and the end of one that SIGTERM ends."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from analytical.delivery.worker import Worker, drain_on_sigterm
from analytical.spool.contracts import Clock


class Driver:
    """A driver that is never done, or is; time passes as it waits."""

    def __init__(self, *, empty: bool = False) -> None:
        self.monotonic = Clock()
        self.empty = empty
        self.begun = 0
        self.flushed: list[float | None] = []
        self.closed: list[float | None] = []

    def begin(self) -> None:
        self.begun += 1

    def flush(self, timeout: float | None = None) -> bool:
        self.flushed.append(timeout)
        self.monotonic.tick(timeout or 0.0)
        return self.empty

    def close(self, timeout: float | None = None) -> None:
        self.closed.append(timeout)


def test_a_status_line_is_asked_for_about_once_a_second() -> None:
    driver: Any = Driver()
    times: list[float] = []
    assert not Worker(driver).run(once=True, timeout=3.0, tick=lambda: times.append(driver.monotonic()))
    assert [second - first for first, second in itertools.pairwise(times)] == [1.0]
    assert driver.begun == 1
    assert driver.closed == [0.5]


def test_a_worker_that_waits_says_so_until_it_is_stopped() -> None:
    driver: Any = Driver(empty=True)
    worker = Worker(driver, drain=7.0)
    assert worker.run(tick=worker.stop)
    assert driver.flushed == [7.0]
    assert driver.closed == [0.0]


def test_being_told_to_stop_twice_is_harmless() -> None:
    driver: Any = Driver(empty=True)
    worker = Worker(driver)
    worker.stop()
    worker.stop()
    assert worker.run()


@pytest.fixture
def told() -> Iterator[list[int]]:
    """The signals that reached whoever handled SIGTERM before."""
    numbers: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: numbers.append(number))
    yield numbers
    signal.signal(signal.SIGTERM, before)


def test_sigterm_delivers_first_and_then_does_what_it_would_have_done(told: list[int]) -> None:
    driver: Any = Driver(empty=True)
    former = signal.getsignal(signal.SIGTERM)
    drain_on_sigterm(driver, timeout=3.0)
    signal.raise_signal(signal.SIGTERM)
    assert driver.flushed == [3.0]
    assert told == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is former


def test_a_worker_s_signals_are_its_own_for_the_time_of_a_block(told: list[int]) -> None:
    driver: Any = Driver(empty=True)
    worker = Worker(driver)
    with worker.signals([signal.SIGTERM]):
        signal.raise_signal(signal.SIGTERM)
        assert worker.run()
    assert told == []
    signal.raise_signal(signal.SIGTERM)
    assert told == [signal.SIGTERM]
