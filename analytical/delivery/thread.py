"""The background driver: threads that empty a spool, each destination on its own, started by the first hit."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from functools import partial
from os import PathLike

from ..errors import UnknownName, did_you_mean
from ..hit import Hit
from ..observe import State
from ..retry import system_uniform
from ..route import Route
from ..spool import Entry, Spool, open_spool
from ..spool.memory import MemorySpool
from ..verdict import Verdict
from . import Done
from ._settling import Breaker, Complaints, Duplicates, decide, overdue, sent

__all__ = ["EXIT_SECONDS", "ThreadDelivery", "default_driver", "driver_for"]

log = logging.getLogger("analytical.delivery")

#: Seconds that all providers together may hold up the end of a process; the interpreter takes its own half second.
EXIT_SECONDS = 1.5

#: Seconds that a batch which is not full waits for more, where the platform takes several at once.
LINGER = 0.03
#: Hits a second that are a burst, and the seconds for which one is let through before it is carried: a thread that
#: encodes what the caller still makes takes half of the interpreter from it, and nothing arrives sooner for that.
BURST_RATE = 15_000.0
BURST_SECONDS = 0.25
#: Seconds after which a connection's thread that found nothing to do ends; the last one stays.
IDLE = 2.0
#: Requests under way at once when a destination is first spoken to, or comes back; each answer adds one. Where a batch
#: is small, and may be one request for every hit, more at first, and each answer adds as many as it had hits.
START = 4
START_SMALL = 16
SMALL = 50
#: Seconds at the end for what is under way to come back; and at most, where there is no deadline.
REST = 0.3
LONGEST_REST = 10.0
#: Seconds after which a batch under way has its lease renewed, and after which its thread is taken for lost.
RENEW = 5.0
ABANDONED = 600.0


class ThreadDelivery:
    """Empties a spool in daemon threads.

    Args:
        spool: where hits wait; a path, a URL or a spool. Without one, memory.
        connections: how many requests to one destination may be under way at once.
        linger: seconds that a batch which is not full waits for more.
        clock: seconds since 1970: the age of hits, due times.
        monotonic: the clock of pauses and deadlines.
        uniform: the source of jitter.

    Nothing runs before the first hit. Every destination has threads, a breaker and an allowance of connections of
    its own, so that one that is slow or down never holds up another. After a fork the child begins with nothing
    under way and nothing in memory; its first hit starts threads of its own.
    """

    def __init__(
        self,
        spool: Spool | str | PathLike[str] | None = None,
        *,
        connections: int = 32,
        linger: float = LINGER,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = system_uniform,
    ) -> None:
        self.spool: Spool = MemorySpool() if spool is None else open_spool(spool)
        self.connections = connections
        self.linger = linger
        self.clock = clock
        self.monotonic = monotonic
        self.uniform = uniform
        self._carriers: dict[str, _Carrier] = {}
        self._former: dict[str, Route] = {}
        self._lock = threading.RLock()
        _remember(self)

    def attach(self, route: Route) -> None:
        with self._lock:
            self.spool.attach(route.to, lane=route.lane, lost=self._lost)
            carrier = self._carriers.get(route.to)
            if carrier is None:
                self._carriers[route.to] = carrier = _Carrier(self, route)
            else:
                carrier.change(route)
            # Behind a journal is a broker, which nobody speaks to before there is a hit.
            local = self.spool.blocking or not _remote(self.spool)
            found = self.spool.waiting(route.to) if self.spool.durable and local else 0
        if found:
            carrier.start()

    def submit(self, to: str, hit: Hit, *, done: Done | None = None) -> bool:
        try:
            carrier = self._carriers[to]
        except KeyError:
            carrier = self._again(to)
        if done is not None or hit.keyed:
            return self._submit_slowly(carrier, hit, done)
        carrier.one()
        if self.spool.put(to, hit):
            if carrier.idle:
                carrier.ring()
            elif not carrier.threads:
                carrier.start()
            return True
        self._refused(carrier, hit)
        return False

    def stats(self, to: str) -> dict[str, int] | None:
        return self.spool.stats(to)

    def begin(self) -> None:
        """Start emptying the spool without waiting for a first hit: what others have put there is delivered too."""
        for carrier in list(self._carriers.values()):
            if not carrier.threads:
                carrier.start()

    def flush(self, timeout: float | None = None, *, to: str | None = None) -> bool:
        if to in self._former and to not in self._carriers:
            return not self.spool.waiting(to)  # it was closed: nobody works for it here
        deadline = None if timeout is None else self.monotonic() + timeout
        carriers = [self._carriers[to]] if to is not None else list(self._carriers.values())
        for carrier in carriers:
            carrier.hurry()
        empty = [carrier.wait_empty(deadline) for carrier in carriers]  # each is waited for, whatever the others are
        return all(empty)

    def detach(self, to: str, timeout: float | None = None) -> None:
        carrier = self._carriers.get(to)
        if carrier is None:
            return
        carrier.hurry()
        deadline = None if timeout is None else self.monotonic() + timeout
        carrier.wait_empty(self._last_call(deadline), ending=True)
        carrier.stop()
        carrier.rest(deadline)
        lost = carrier.give_up("closed")
        with self._lock:
            self._carriers.pop(to, None)
            self._former[to] = carrier.route
            last = not self._carriers
        self.spool.detach(to)
        if last:
            self.spool.close()
        if lost:
            log.warning("%s: closed before all could be delivered: %s", to, _lost(lost))

    def close(self, timeout: float | None = None) -> None:
        lost = self._end(None if timeout is None else self.monotonic() + timeout)
        self.spool.close()
        if lost:
            log.warning("closed before all could be delivered: %s", _lost(lost))

    def _end(self, deadline: float | None, *, exiting: bool = False) -> int:
        """Deliver what can be delivered by a time, let the threads end; return how many hits of memory are lost."""
        carriers = list(self._carriers.values())
        for carrier in carriers:
            carrier.hurry()
        last = self._last_call(deadline)
        for carrier in carriers:
            carrier.wait_empty(last, ending=True)
        for carrier in carriers:
            carrier.stop()
        for carrier in carriers:
            carrier.rest(deadline)
        return sum(carrier.give_up("exit" if exiting else "closed") for carrier in carriers)

    def _last_call(self, deadline: float | None) -> float | None:
        """Return when nothing more shall be begun, so that what is under way can come back by the deadline."""
        if deadline is None:
            return None
        return deadline - min(REST, max(0.0, deadline - self.monotonic()) / 4)

    # -- the less usual ways of a hit -----------------------------------------------------------------------------

    def _again(self, to: str) -> _Carrier:
        """Make a destination known once more that was let go of."""
        route = self._former.get(to)
        if route is None:
            raise UnknownName(f"no route {to!r} is attached.{did_you_mean(to, [*self._carriers, *self._former])}")
        self.attach(route)
        return self._carriers[to]

    def _submit_slowly(self, carrier: _Carrier, hit: Hit, done: Done | None) -> bool:
        to = carrier.to
        if hit.keyed and not carrier.duplicates.first(hit.id):
            carrier.observer.noted(to, "duplicate")
            if done is not None:
                done("unconfirmed", "duplicate")
            return True
        if done is not None:
            carrier.expect(hit.id, done)
        carrier.observer.accepted(to)
        if self.spool.put(to, hit):
            carrier.ring()
            return True
        self._refused(carrier, hit)
        return False

    def _refused(self, carrier: _Carrier, hit: Hit) -> None:
        carrier.ended(hit, "dropped", "full")

    def _lost(self, to: str, hit: Hit, state: State, reason: str) -> None:
        carrier = self._carriers.get(to)
        if carrier is not None:
            carrier.ended(hit, state, reason)

    def _abandon(self) -> None:
        self._lock = threading.RLock()
        self.spool.abandon()
        self._carriers = {to: _Carrier(self, carrier.route) for to, carrier in self._carriers.items()}


class _Carrier:
    """One destination: its threads, its breaker, and who waits for it."""

    def __init__(self, driver: ThreadDelivery, route: Route) -> None:
        self._driver = driver
        self._spool = driver.spool
        self._lock = threading.RLock()
        self.to = route.to
        #: The bells of threads that sleep because there was nothing to do. A bell is a lock that its thread waits
        #: for: releasing one is a single step, so that even a signal handler may ring.
        self.idle: list[threading.Lock] = []
        self.threads = 0
        self._active = 0
        self._under_way: dict[int, tuple[float, list[Entry]]] = {}
        self._bells: list[threading.Lock] = []
        self._hurried = 0
        self._lingering = False
        self._stopped = False
        self._flushers: list[threading.Lock] = []
        self._expected: dict[str, list[Done]] = {}
        self._keeper: object = None
        self.duplicates = Duplicates(clock=driver.monotonic)
        self._complaints = Complaints(driver.monotonic)
        self._breaker = Breaker(driver.uniform)
        self._roomy: Callable[[str], bool] = getattr(driver.spool, "roomy", _never)
        self.change(route)

    def change(self, route: Route) -> None:
        self.route = route
        self.observer = route.observer
        self.one: Callable[[], object] = getattr(route.observer, "one", None) or partial(
            route.observer.accepted, self.to
        )
        self._connections = max(1, route.connections or self._driver.connections)
        self._allowed = self._few()

    def _few(self) -> int:
        return min(START_SMALL if self.route.max_batch <= SMALL else START, self._connections)

    def _step(self, hits: int) -> int:
        return hits if self.route.max_batch <= SMALL else 1

    def expect(self, identity: str, done: Done) -> None:
        with self._lock:
            self._expected.setdefault(identity, []).append(done)

    # -- waking and starting --------------------------------------------------------------------------------------

    def ring(self) -> None:
        """Wake one thread, or start the first."""
        try:
            bell = self.idle.pop()
        except IndexError:
            if not self.threads:
                self.start()
            return
        _ring(bell)

    def start(self) -> None:
        """Start one more thread, if the destination may have one."""
        with self._lock:
            self._stopped = False
            if self.threads >= self._connections:
                return
            self.threads += 1
        _watch_child_exit()
        try:
            threading.Thread(target=self._run, name=f"analytical-{self.to}", daemon=True).start()
        except RuntimeError:  # the interpreter is going down: whoever waits does the work
            with self._lock:
                self.threads -= 1

    def hurry(self) -> None:
        """Do not linger: somebody waits."""
        self._hurried += 1
        self._ring_all()
        if not self.threads and self._spool.waiting(self.to):
            self.start()

    def stop(self) -> None:
        self._stopped = True
        self._ring_all()

    def _ring_all(self) -> None:
        self.idle.clear()
        for bell in list(self._bells):
            _ring(bell)

    def wait_empty(self, deadline: float | None, *, ending: bool = False) -> bool:
        """Wait until nothing is left; at the end, only while there is hope."""
        monotonic = self._driver.monotonic
        bell = threading.Lock()
        bell.acquire()
        try:
            while self._spool.waiting(self.to):
                left = None if deadline is None else deadline - monotonic()
                if left is not None and left <= 0:
                    return False
                if ending and self._hopeless(deadline):
                    return False
                if not self.threads:
                    self.start()
                    if not self.threads:
                        self._work_here(deadline)
                        continue
                self._flushers.append(bell)
                if self._spool.waiting(self.to):
                    bell.acquire(timeout=0.05 if left is None else min(left, 0.05))
                with contextlib.suppress(ValueError):
                    self._flushers.remove(bell)
            return True
        finally:
            self._hurried = max(0, self._hurried - 1)

    def rest(self, deadline: float | None) -> None:
        """Wait for what is under way to come back and be written down: else whoever is next sends it again."""
        monotonic = self._driver.monotonic
        latest = monotonic() + LONGEST_REST
        until = latest if deadline is None else min(deadline, latest)
        bell = threading.Lock()
        bell.acquire()
        while self._active and (left := until - monotonic()) > 0:
            bell.acquire(timeout=min(left, 0.01))

    def _hopeless(self, deadline: float | None) -> bool:
        """Tell whether waiting until then is in vain: the destination is down, or another process sees to it."""
        down = deadline is not None and self._breaker.until > deadline
        return down or (self._spool.durable and not self._spool.uploads(self.to))

    def give_up(self, reason: str) -> int:
        """Settle what is left in memory as dropped; return how many."""
        if self._spool.durable:
            return 0
        entries = self._spool.remains(self.to)
        settled = self._spool.settle(entries, [Verdict("dropped", reason)] * len(entries), self._driver.clock())
        for entry, really in zip(entries, settled, strict=True):
            if really:
                self.ended(entry.hit, "dropped", reason, quiet=True)
        return sum(settled)

    # -- the work -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        me = threading.Lock()
        me.acquire()
        self._bells.append(me)
        try:
            while self._turn(me):
                pass
        except Exception as error:  # noqa: BLE001 - a spool's fault must be said, and the next hit starts a thread
            log.error("%s: a delivery thread ends: %s", self.to, type(error).__name__)
        finally:
            with self._lock:
                self.threads -= 1
                if self._keeper is me:
                    self._keeper = None
            with contextlib.suppress(ValueError):
                self._bells.remove(me)
            with contextlib.suppress(ValueError):
                self.idle.remove(me)
            if not self.threads and not self._stopped and self._spool.ready(self.to):
                self.start()

    def _turn(self, me: threading.Lock) -> bool:
        """Do one thing: carry a batch, or sleep. Return whether to go on."""
        if self._stopped:
            return False
        monotonic = self._driver.monotonic
        pause = self._enter(monotonic())
        if pause is None:
            return False
        if pause:
            with self._lock:
                if self._keeper not in (None, me):
                    return False  # one is enough to wait for the end of a pause
                self._keeper = me
            me.acquire(timeout=pause)
            self._keeper = None
            return True
        entries: list[Entry] = []
        try:
            if not self._linger(me):
                return False
            self._renew()
            entries = self._spool.take(self.route.max_batch, self._driver.clock(), to=self.to)
            if entries:
                self._grow()
                self._carry(entries)
        finally:
            self._leave()
        return True if entries else self._sleep(me)

    def _enter(self, now: float) -> float | None:
        """Get leave to speak to the destination: 0; else seconds to wait; ``None`` where this thread is not needed."""
        with self._lock:
            pause = self._breaker.pause(now)
            if pause > 0:
                return pause
            few = 1 if self._breaker.open else min(START, self._allowed) if self._breaker.failures else self._allowed
            if self._active >= few:
                return None
            self._active += 1
            return 0.0

    def _leave(self) -> None:
        with self._lock:
            self._active -= 1

    def _linger(self, me: threading.Lock) -> bool:
        """Wait for a batch to fill and a burst to pass; return whether to go on: for one batch, one thread waits."""
        waiting = self._spool.ready(self.to)
        if self.route.max_batch == 1 or self._hurried or not 0 < waiting < self.route.max_batch:
            return True
        with self._lock:
            if self._lingering:
                return False
            self._lingering = True
        linger = self._driver.linger
        patience = int(BURST_SECONDS / linger) if linger else 0
        try:
            me.acquire(timeout=linger)
            while patience and not self._hurried and self._roomy(self.to):
                before, waiting = waiting, self._spool.ready(self.to)
                if waiting - before < BURST_RATE * linger:
                    break
                patience -= 1
                me.acquire(timeout=linger)
        finally:
            self._lingering = False
        return True

    def _renew(self) -> None:
        """Hold on to what is under way: its threads come back, because every transport has a deadline."""
        now = self._driver.monotonic()
        for started, batch in list(self._under_way.values()):
            if RENEW < now - started < ABANDONED:
                self._spool.renew(batch)

    def _grow(self) -> None:
        """Have another thread where another full batch waits."""
        if (
            self.threads < self._allowed
            and not self._breaker.failures
            and (self._spool.ready(self.to) >= self.route.max_batch)
        ):
            if self.idle:
                self.ring()
            else:
                self.start()

    def _sleep(self, me: threading.Lock) -> bool:
        """Wait for a hit or a due time; a thread that is one too many ends instead."""
        clock = self._driver.clock
        if not self._spool.uploads(self.to):
            # Another process empties the spool; hits need not wake anybody here.
            if self.threads > 1:
                return False
            when = self._spool.wake_at(self.to)
            me.acquire(timeout=IDLE if when is None else min(max(when - clock(), 0.01), IDLE))
            return True
        self.idle.append(me)
        # Looked at again now that a put would ring: one that came just before did not.
        when = self._spool.wake_at(self.to)
        surplus = self.threads > 1
        wait = IDLE if surplus else -1.0
        if when is not None:
            wait = min(max(when - clock(), 0.0), IDLE)
        rung = me.acquire(timeout=wait) if wait else False
        with contextlib.suppress(ValueError):
            self.idle.remove(me)
        return rung or not surplus or when is not None

    def _carry(self, entries: list[Entry]) -> None:
        driver, route = self._driver, self.route
        started = driver.monotonic()
        now = driver.clock()
        verdicts: list[Verdict | None] = [overdue(route, entry.hit, now) for entry in entries]
        going = [position for position, verdict in enumerate(verdicts) if verdict is None]
        if going:
            me = threading.get_ident()
            self._under_way[me] = (started, entries)
            answers = sent(route, [entries[position].hit for position in going])
            del self._under_way[me]
            with self._lock:
                if self._breaker.heard(answers, started=started, now=driver.monotonic()):
                    self._allowed = min(self._allowed + self._step(len(going)), self._connections)
                elif self._breaker.open:
                    self._allowed = self._few()
            now = driver.clock()
            jitter = driver.uniform(0.0, 1.0)
            durable, probing = self._spool.durable, self._breaker.open
            for position, answer in zip(going, answers, strict=True):
                verdicts[position] = decide(
                    route, entries[position], answer, now, durable=durable, jitter=jitter, probing=probing
                )
        final = [verdict for verdict in verdicts if verdict is not None]
        settled = self._spool.settle(entries, final, now)
        self._tell(entries, final, settled)
        if self._flushers and not self._spool.waiting(self.to):
            for bell in list(self._flushers):
                _ring(bell)

    # -- who is told ----------------------------------------------------------------------------------------------

    def _tell(self, entries: list[Entry], verdicts: list[Verdict], settled: list[bool]) -> None:
        first = verdicts[0]
        many = getattr(self.observer, "settled_many", None)
        alike = first.state in ("delivered", "unconfirmed") and verdicts.count(first) == len(verdicts)
        if alike and many is not None and not self._expected and all(settled):
            many(self.to, [entry.hit for entry in entries], first.state)
            return
        for entry, verdict, really in zip(entries, verdicts, settled, strict=True):
            if not really:
                continue
            if verdict.state == "retry":
                self.observer.retried(self.to, entry.hit, verdict)
                self._complaints.about(self.to, "retried", verdict.reason)
            else:
                self.ended(entry.hit, verdict.state, verdict.reason)

    def ended(self, hit: Hit, state: State, reason: str, *, quiet: bool = False) -> None:
        """A hit reached its end: tell the observer, the log, and who asked to be called."""
        self.observer.settled(self.to, hit, state, reason)
        if state not in ("delivered", "unconfirmed"):
            if hit.keyed:
                self.duplicates.forget(hit.id)  # a later call with the same key is a new chance
            if not quiet:
                self._complaints.about(self.to, state, reason)
        if self._expected:
            with self._lock:
                callbacks = self._expected.pop(hit.id, [])
            for done in callbacks:
                try:
                    done(state, reason)
                except Exception as error:  # noqa: BLE001 - a caller's callback must not stop others' hits
                    log.warning("%s: a callback raised %s", self.to, type(error).__name__)

    def _work_here(self, deadline: float | None) -> None:
        """Carry one batch in the waiting thread: at the end of the interpreter no thread can be started."""
        driver = self._driver
        pause = self._breaker.pause(driver.monotonic())
        bell = threading.Lock()
        bell.acquire()
        if pause > 0:
            left = pause if deadline is None else min(pause, deadline - driver.monotonic())
            bell.acquire(timeout=max(left, 0.0))
            return
        entries = self._spool.take(self.route.max_batch, driver.clock(), to=self.to)
        if entries:
            self._carry(entries)
        else:
            bell.acquire(timeout=0.02)


def _never(to: str) -> bool:
    return False


def _ring(bell: threading.Lock) -> None:
    # Rung already where the lock is free: one is enough.
    with contextlib.suppress(RuntimeError):
        bell.release()


# -- one per process ----------------------------------------------------------------------------------------------

_drivers: list[weakref.ref[ThreadDelivery]] = []
_shared: dict[str, ThreadDelivery] = {}
_watched: list[int] = []
_finalized: list[int] = []
_forking: list[Spool] = []


def driver_for(spool: Spool | str | PathLike[str] | None = None) -> ThreadDelivery:
    """Return this process's driver of a spool: the same for the same path or URL, so that providers share it.

    Args:
        spool: a path, a URL, a spool object (which gets a driver of its own), or ``None`` for the default one.
    """
    if spool is not None and not isinstance(spool, str | PathLike):
        return ThreadDelivery(spool)
    name = "" if spool is None else str(spool)
    if name and "://" not in name:
        name = os.path.abspath(name)
    driver = _shared.get(name)
    if driver is None:
        # setdefault is one step: two threads that come here first get the same driver.
        driver = _shared.setdefault(name, ThreadDelivery(spool))
    return driver


def default_driver() -> ThreadDelivery:
    """Return the driver of this process's memory spool, made on first use."""
    return driver_for(None)


def _remember(driver: ThreadDelivery) -> None:
    _drivers[:] = [reference for reference in _drivers if reference() is not None]
    _drivers.append(weakref.ref(driver))
    if not _watched:
        _watched.append(os.getpid())
        atexit.register(_at_exit)
        os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_here, after_in_child=_after_fork)


def _live() -> list[ThreadDelivery]:
    return [driver for reference in list(_drivers) if (driver := reference()) is not None]


def _before_fork() -> None:
    _forking[:] = [driver.spool for driver in _live()]
    for spool in _forking:
        spool.before_fork()


def _after_fork_here() -> None:
    for spool in _forking:
        spool.after_fork()
    _forking.clear()


def _after_fork() -> None:
    _forking.clear()
    for driver in _live():
        driver._abandon()


def _watch_child_exit() -> None:
    """Be called at the end of a multiprocessing child and of a Celery worker's process, which skip ``atexit``.

    Done when the first thread starts in a process: both clear what was registered before, at their own start.
    """
    if _finalized == [os.getpid()]:
        return
    _finalized[:] = [os.getpid()]
    for name in ("multiprocessing.util", "billiard.util"):
        util = sys.modules.get(name)
        if util is not None:
            util.Finalize(None, _at_exit, exitpriority=100)


def _at_exit() -> None:
    """Deliver what can be delivered in the time that an exit may take, and say what could not."""
    deadline = time.monotonic() + EXIT_SECONDS
    drivers = _live()
    # A broker may be away or hang: it is left where it stands, because what it holds is not lost.
    ended = [_end_apart(driver, deadline) for driver in drivers if _remote(driver.spool)]
    here = [driver for driver in drivers if not _remote(driver.spool)]
    for driver in here:
        for carrier in list(driver._carriers.values()):
            carrier.hurry()
    lost = sum(driver._end(deadline, exiting=True) for driver in here)
    for driver in here:
        driver.spool.close()
    if lost:
        log.warning("%s at exit: the destinations did not answer in time", _lost(lost))
    for bell in ended:
        bell.acquire(timeout=max(0.0, deadline + 0.1 - time.monotonic()))


def _lost(count: int) -> str:
    return "1 hit was lost" if count == 1 else f"{count} hits were lost"


def _remote(spool: Spool) -> bool:
    return bool(getattr(spool, "remote", False))


def _end_apart(driver: ThreadDelivery, deadline: float) -> threading.Lock:
    """End a driver in a thread that can be left behind; return a lock that is free when it is done."""
    done = threading.Lock()
    done.acquire()

    def end() -> None:
        try:
            driver._end(deadline, exiting=True)
            driver.spool.close()
        finally:
            done.release()

    try:
        threading.Thread(target=end, name="analytical-exit", daemon=True).start()
    except RuntimeError:  # the interpreter is going down already
        end()
    return done
