"""Work that can be left behind: a call in a thread of its own, and a caller who waits no longer than it wants to."""

from __future__ import annotations

import contextvars
import os
import threading
from collections.abc import Callable
from typing import Any

__all__ = ["Abandonable"]


class Abandonable:
    """Runs calls in daemon threads that are kept for the next call, and forgets a thread that takes too long.

    Name resolution cannot be interrupted from Python, and a caller's own HTTP session may do anything; where a
    deadline must hold all the same, the work is done here and left behind when the deadline passes.

    Args:
        keep: idle threads to keep.
    """

    def __init__(self, *, keep: int = 32) -> None:
        self._keep = keep
        self._idle: list[_Worker] = []
        self._pid = os.getpid()

    def run(self, work: Callable[[], Any], timeout: float) -> tuple[bool, Any]:
        """Do the work elsewhere and wait for it.

        Args:
            work: must not raise.
            timeout: seconds to wait.

        Returns:
            Whether it ended in time, and what it returned. Where no thread can be started (the interpreter is
            going down), the work is done in the caller's own thread.
        """
        if self._pid != os.getpid():  # a forked child has none of its parent's threads
            self._idle = []
            self._pid = os.getpid()
        try:
            worker = self._idle.pop()
        except IndexError:
            try:
                worker = _Worker()
            except RuntimeError:
                return True, work()
        job = _Job(work)
        worker.give(job)
        if not job.ended.acquire(timeout=max(timeout, 0.0)):
            worker.give(None)  # when it comes back at last, it ends
            return False, None
        if len(self._idle) < self._keep:
            self._idle.append(worker)
        else:
            worker.give(None)
        return True, job.result

    def close(self) -> None:
        """Let the idle threads end."""
        idle, self._idle = self._idle, []
        if self._pid == os.getpid():
            for worker in idle:
                worker.give(None)


class _Job:
    __slots__ = ("context", "ended", "result", "work")

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.result: Any = None
        self.ended = threading.Lock()
        self.ended.acquire()
        self.context = contextvars.copy_context()


class _Worker:
    __slots__ = ("_jobs", "_token")

    def __init__(self) -> None:
        # A list and a semaphore rather than a queue: nothing here is held while a job runs.
        self._jobs: list[_Job | None] = []
        self._token = threading.Semaphore(0)
        threading.Thread(target=self._work, name="analytical-exchange", daemon=True).start()

    def give(self, job: _Job | None) -> None:
        self._jobs.append(job)
        self._token.release()

    def _work(self) -> None:
        while True:
            self._token.acquire()
            job = self._jobs.pop(0)
            if job is None:
                return
            job.result = job.context.run(job.work)
            job.ended.release()
            del job
