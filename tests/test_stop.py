"""An event that a signal handler may set, whatever the thread that waits is doing."""

from __future__ import annotations

import subprocess
import sys
import threading

from analytical._stop import Stop


def test_all_who_wait_are_told() -> None:
    stop, told = Stop(), []
    waiting = [threading.Thread(target=lambda: told.append(stop.wait(10))) for _ in range(3)]
    for thread in waiting:
        thread.start()
    stop.set()
    stop.set()
    for thread in waiting:
        thread.join(10)
    assert told == [True, True, True]
    assert stop.is_set()


def test_nobody_is_told_without_reason() -> None:
    stop = Stop()
    assert not stop.wait(0.01)
    assert not stop.wait(-1)
    assert not stop.is_set()


def test_a_signal_at_any_moment_of_a_wait_ends_it() -> None:
    code = """
import signal, sys, time
from analytical._stop import Stop
for turn in range(300):
    stop = Stop()
    signal.signal(signal.SIGALRM, lambda *_: stop.set())
    signal.setitimer(signal.ITIMER_REAL, 0.0002 + turn % 20 * 0.00001)
    while not stop.wait(0.00001):  # mostly between waiting and not waiting
        pass
    stop = Stop()
    signal.setitimer(signal.ITIMER_REAL, 0.0001)
    assert stop.wait(20)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
