"""One process that empties the spool of many: what ``analytical worker`` runs."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterable, Iterator

from .._stop import Stop
from .thread import ThreadDelivery

__all__ = ["Worker", "drain_on_sigterm"]


class Worker:
    """Empties a spool until it is told to stop.

    Args:
        driver: the background driver of the spool, with its routes attached.
        drain: seconds for delivering on after a stop; what is left then stays in a durable spool.
    """

    def __init__(self, driver: ThreadDelivery, *, drain: float = 5.0) -> None:
        self.driver = driver
        self._drain = drain
        self._stop = Stop()

    def stop(self) -> None:
        """End :meth:`run`; may be called from a signal handler and from any thread."""
        self._stop.set()

    def run(
        self, *, once: bool = False, timeout: float | None = None, tick: Callable[[], object] | None = None
    ) -> bool:
        """Deliver until :meth:`stop`, or with ``once`` until nothing is left.

        Args:
            once: end when the spool is empty.
            timeout: with ``once``, seconds after which to end all the same.
            tick: called about once a second, for a status line.

        Returns:
            Whether nothing is left.
        """
        monotonic = self.driver.monotonic
        deadline = None if timeout is None else monotonic() + timeout
        self.driver.begin()
        while not self._stop.is_set():
            if once:
                if self.driver.flush(1.0):
                    break
                if deadline is not None and monotonic() >= deadline:
                    break
            elif self._stop.wait(1.0):
                break
            if tick is not None:
                tick()
        empty = self.driver.flush(self._drain if self._stop.is_set() else 0.0)
        self.driver.close(0.0 if empty else 0.5)
        return empty

    @contextlib.contextmanager
    def signals(self, numbers: Iterable[int] = (signal.SIGTERM, signal.SIGINT)) -> Iterator[Worker]:
        """Within this block, these signals stop the worker in order; the handlers before come back after it."""
        former = {number: signal.signal(number, lambda *_: self.stop()) for number in numbers}
        try:
            yield self
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)


def drain_on_sigterm(driver: ThreadDelivery, *, timeout: float = 2.0) -> None:
    """Deliver what waits in memory when SIGTERM comes, and then do what would have been done.

    For processes that nobody else ends in order: SIGTERM skips ``atexit``. Call it from the main thread, after
    whoever else sets handlers.

    Args:
        driver: the background driver.
        timeout: seconds.
    """
    former = signal.getsignal(signal.SIGTERM)

    def drain(number: int, frame: object) -> None:
        driver.flush(timeout)
        signal.signal(number, former if former is not None else signal.SIG_DFL)
        signal.raise_signal(number)

    signal.signal(signal.SIGTERM, drain)
