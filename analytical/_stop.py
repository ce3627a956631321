"""An event that a signal handler may set."""

from __future__ import annotations

import threading
from contextlib import suppress

__all__ = ["Stop"]


class Stop(threading.Event):
    """Set once, for good, even by a signal handler that interrupts the thread which waits for it.

    ``threading.Event`` holds a lock for a moment in ``wait()``, and ``set()`` wants the same one: a handler that comes
    in that moment waits for ever for the thread that it interrupted. Here setting is a single step.

    >>> stop = Stop()
    >>> stop.wait(0.001), stop.set(), stop.is_set(), stop.wait()
    (False, None, True, True)
    """

    def __init__(self) -> None:
        super().__init__()
        self._over = False
        self._bell = threading.Lock()
        self._bell.acquire()

    def is_set(self) -> bool:
        return self._over

    def set(self) -> None:
        self._over = True
        with suppress(RuntimeError):  # rung already
            self._bell.release()

    def wait(self, timeout: float | None = None) -> bool:
        if not self._over and self._bell.acquire(timeout=-1 if timeout is None else max(timeout, 0.0)):
            self.set()  # for whoever else waits
        return self._over
