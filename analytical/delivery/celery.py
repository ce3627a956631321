"""Celery carries the hits: a task per batch to the broker you have, delivered by the workers you run.

https://docs.celeryq.dev/en/stable/userguide/tasks.html

A task holds names and sealed hits, ``{"v": 1, "to": "web", "hit": {…}}`` for each, never an address or a secret: the
worker looks ``to`` up among its own providers. Hits wait in this process (in memory, or in an outbox with
``spool=``) until the broker has acknowledged them; a worker acknowledges a task when it is done, so that one that
is killed in the middle leaves it to another.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from os import PathLike
from typing import Any

from ..errors import AnalyticalError, ConfigurationError, MissingExtra
from ..hit import Hit
from ..observe import State
from ..retry import system_uniform
from ..route import Route
from ..spool import LONGEST, Entry, Spool
from ..verdict import UNCONFIRMED, Verdict, retry
from . import Done
from ._settling import Breaker, Complaints, decide, overdue, sent
from .thread import ThreadDelivery

try:
    from celery import current_app, shared_task
    from celery._state import _get_active_apps
    from celery.exceptions import Reject
except ImportError:
    raise MissingExtra("delivery='celery'", "celery") from None

__all__ = ["TASK", "CeleryDelivery", "celery_driver"]

log = logging.getLogger("analytical.delivery")

#: The task's name, for ``task_routes`` and for whoever looks into a queue.
TASK = "analytical.deliver"
#: Hits in one task where the platform takes one at a time, and at most.
_FEW, _MANY = 20, 500
#: Seconds within which the broker must have acknowledged a task.
_PATIENCE = 10.0
#: Seconds after which an unused connection is not trusted any more: brokers and firewalls forget idle ones.
_STALE = 30.0
#: Reached when a task comes for a name that nothing here has asked for: configuration lives above deliveries.
_CONFIGURED = ("analytical.config", "route")


class CeleryDelivery:
    """Hands hits over to Celery.

    Args:
        app: the Celery application; without one, the current application of the process.
        queue: the queue to publish to, instead of what the application's ``task_routes`` say.
        spool: where hits wait for the broker's acknowledgement; without one, memory. With a path, what was accepted
            survives a kill of this process too.
        connections: to the broker, how many at once.

    In this process a hit ends as *unconfirmed* when the broker has acknowledged it: it was handed over, and this
    process hears no more of it. The worker counts what became of it.
    """

    def __init__(
        self,
        app: Any = None,
        *,
        queue: str | None = None,
        spool: str | PathLike[str] | Spool | None = None,
        connections: int = 4,
    ) -> None:
        self._broker = _Broker(app)
        self._where = {} if queue is None else {"queue": queue}
        self._driver = ThreadDelivery(spool, connections=connections)
        self._complaints = Complaints(time.monotonic)

    def attach(self, route: Route) -> None:
        _known[route.to] = route
        self._broker.prepare()
        together = _FEW if route.max_batch == 1 else min(route.max_batch, _MANY)

        def publish(hits: Sequence[Hit], *, timeout: float | None = None) -> list[Verdict]:
            return self._publish(route.to, hits)

        # Lanes are a worker's to keep, and a hit that was published twice has one id.
        self._driver.attach(replace(route, send=publish, max_batch=together, dedupes=True, connections=None))

    def submit(self, to: str, hit: Hit, *, done: Done | None = None) -> bool:
        """Accept a hit; it is published by a thread of this process, in a batch with others.

        ``done`` is called only for a hit that is lost here: what a worker settles calls nothing.
        """
        if done is None:
            return self._driver.submit(to, hit)
        told: Done = done

        def lost(state: str, reason: str) -> None:
            if state not in ("delivered", "unconfirmed"):
                told(state, reason)

        return self._driver.submit(to, hit, done=lost)

    def stats(self, to: str) -> dict[str, int] | None:
        return self._driver.stats(to)

    def flush(self, timeout: float | None = None, *, to: str | None = None) -> bool:
        """Wait until the broker has everything; not until workers have delivered it."""
        return self._driver.flush(timeout, to=to)

    def detach(self, to: str, timeout: float | None = None) -> None:
        self._driver.detach(to, timeout)

    def close(self, timeout: float | None = None) -> None:
        self._driver.close(timeout)
        self._broker.close()

    def _publish(self, to: str, hits: Sequence[Hit]) -> list[Verdict]:
        try:
            self._broker.publish([{"v": 1, "to": to, "hit": hit.to_dict()} for hit in hits], **self._where)
        except ConfigurationError as error:
            self._complaints.about(to, "hits wait here", str(error))
            return [retry(reason="no application")] * len(hits)
        except Exception as error:  # noqa: BLE001 - every kind of broker has errors of its own; the hits wait here
            self._complaints.about(to, "hits wait here", f"the broker does not take them: {type(error).__name__}")
            return [retry(reason="broker")] * len(hits)
        return [UNCONFIRMED] * len(hits)


def celery_driver(spool: str | PathLike[str] | Spool | None = None) -> CeleryDelivery:
    """Return the Celery driver of this process, one for each place where hits wait."""
    if spool is not None and not isinstance(spool, str | PathLike):
        return CeleryDelivery(spool=spool)
    name = "" if spool is None else os.fspath(spool)
    driver = _shared.get(name)
    return driver if driver is not None else _shared.setdefault(name, CeleryDelivery(spool=spool))


# -- the broker ---------------------------------------------------------------------------------------------------


class _Broker:
    """Publishes tasks, each over a connection of its own while it lasts; waits for the acknowledgement.

    Celery's own pool is not used: it may be shared with a parent process, and does not ask for acknowledgements.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._found: Any = None
        self._idle: list[tuple[float, int, Any]] = []

    def find(self) -> Any:
        """Return the application: the one given, the current one, or the only one there is.

        Celery keeps the current application per thread, and answers every other thread with a stand-in that speaks
        to a broker on this machine: hits must not go there by mistake.

        Raises:
            ConfigurationError: there is none, or there are several and none is current.
        """
        if self._app is not None:
            return self._app
        if self._found is None:
            current = current_app._get_current_object()
            if _real(current):
                self._found = current
            else:
                apps = [app for app in list(_get_active_apps()) if _real(app)]
                if len(apps) != 1:
                    raise ConfigurationError(
                        f"{len(apps) or 'no'} Celery applications are known here, and none is the default; call "
                        "app.set_default(), or give delivery=CeleryDelivery(app)"
                    )
                self._found = apps[0]
        return self._found

    def prepare(self) -> None:
        """Load the broker's library, where it is known yet: at the end of an interpreter it can no longer be loaded."""
        try:
            app = self.find()
        except ConfigurationError:
            return  # the application may be made later
        if not app.conf.task_always_eager and not self._idle:
            self._idle.append((time.monotonic(), os.getpid(), self._take(app)))

    def publish(self, entries: list[dict[str, Any]], **options: Any) -> None:
        """Publish a task with these options of ``apply_async``; raises what Celery and the broker's library raise."""
        app = self.find()
        task = app.tasks[TASK]
        if app.conf.task_always_eager:
            task.apply_async((entries,))
            return
        connection = self._take(app)
        try:
            task.apply_async((entries,), connection=connection, retry=False, confirm_timeout=_PATIENCE, **options)
        except BaseException:
            with contextlib.suppress(Exception):
                connection.release()
            raise
        self._idle.append((time.monotonic(), os.getpid(), connection))

    def close(self) -> None:
        while self._idle:
            _, process, connection = self._idle.pop()
            if process == os.getpid():
                with contextlib.suppress(Exception):
                    connection.release()

    def _take(self, app: Any) -> Any:
        while True:
            try:
                since, process, connection = self._idle.pop()  # one step, because other threads take from here too
            except IndexError:
                break
            if process != os.getpid():
                _inherited.append(connection)  # the parent speaks through it: not to be used, nor closed
                continue
            if time.monotonic() - since < _STALE:
                return connection
            with contextlib.suppress(Exception):
                connection.release()
        kind = str(app.conf.broker_write_url or app.conf.broker_url or "").partition(":")[0].partition("+")[0]
        options: dict[str, Any] = {"max_retries": 1, "interval_start": 0.1}
        if kind in ("amqp", "amqps", "pyamqp", ""):
            options |= {"confirm_publish": True, "read_timeout": _PATIENCE, "write_timeout": _PATIENCE}
        elif kind in ("redis", "rediss"):
            options |= {"socket_timeout": _PATIENCE, "socket_connect_timeout": _PATIENCE}
        return app.connection_for_write(transport_options=options)


def _real(app: Any) -> bool:
    """Tell a program's application from Celery's stand-in, which has no broker of its own."""
    return bool(app.main != "default" or app.conf.broker_url)


# -- the worker's side --------------------------------------------------------------------------------------------


_Queued = Mapping[str, Any]


class _Destination:
    """What a worker process keeps of one destination."""

    def __init__(self, route: Route, monotonic: Callable[[], float]) -> None:
        self.route = route
        self.breaker = Breaker()
        self.complaints = Complaints(monotonic)


class _Tasks:
    """Delivers what tasks hold.

    Args:
        clock: seconds since 1970.
        monotonic: the clock of pauses.
        uniform: the source of jitter.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = system_uniform,
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._uniform = uniform
        self._lock = threading.Lock()
        self._destinations: dict[str, _Destination] = {}
        self._complaints = Complaints(monotonic)

    def deliver(self, entries: Sequence[_Queued], *, last: bool = False) -> tuple[list[dict[str, Any]], float]:
        """Deliver a task's entries.

        Args:
            entries: as they were queued.
            last: there is no later task: what cannot be delivered now is dropped.

        Returns:
            What must be queued again, and in how many seconds.
        """
        again: list[dict[str, Any]] = []
        waits = [0.0]
        groups: dict[str, list[_Queued]] = {}
        for entry in entries:
            groups.setdefault(str(entry.get("to")), []).append(entry)
        for to, group in groups.items():
            destination = self._destination(to)
            if destination is None:
                again += [dict(entry) for entry in group]
                waits.append(LONGEST)
                continue
            readable = self._read(to, group, again, waits)
            for start in range(0, len(readable), max(1, destination.route.max_batch)):
                chunk = readable[start : start + max(1, destination.route.max_batch)]
                for carried, verdict in zip(chunk, self._carry(destination, chunk, last=last), strict=True):
                    if verdict is not None:
                        again.append(_requeued(carried, tried=verdict.tried))
                        waits.append(verdict.after or 0.0)
        return again, min(max(waits), LONGEST)

    def _destination(self, to: str) -> _Destination | None:
        with self._lock:
            found = self._destinations.get(to)
            route = _known.get(to)
            if found is not None and (route is None or found.route is route):
                return found
            if route is None:
                module, name = _CONFIGURED
                try:
                    route = getattr(import_module(module), name)(to)
                except AnalyticalError as error:
                    self._complaints.about(
                        to, "tasks wait", f"{error} It belongs into a module that the worker imports"
                    )
                    return None
            assert route is not None
            self._destinations[to] = found = _Destination(route, self._monotonic)
            return found

    def _read(self, to: str, group: Sequence[_Queued], again: list[dict[str, Any]], waits: list[float]) -> list[Entry]:
        found: list[Entry] = []
        for entry in group:
            if entry.get("v", 1) != 1:
                self._complaints.about(to, "tasks wait", "a newer version of analytical wrote them; update this worker")
                again.append(dict(entry))
                waits.append(LONGEST)
                continue
            try:
                hit = Hit.from_dict(entry["hit"])
                attempts, since = int(entry.get("attempts", 0)), float(entry.get("since", self._clock()))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                self._complaints.about(to, "a queued entry is skipped", f"it is no hit: {type(error).__name__}")
                continue
            found.append(Entry(hit, to, attempts=attempts, since=since))
        return found

    def _carry(self, destination: _Destination, chunk: Sequence[Entry], *, last: bool) -> list[Verdict | None]:
        """Send one batch and tell the observer; return a retry for each hit that needs one, else ``None``."""
        route, breaker = destination.route, destination.breaker
        started, now = self._monotonic(), self._clock()
        verdicts: list[Verdict | None] = [overdue(route, entry.hit, now) for entry in chunk]
        going = [position for position, verdict in enumerate(verdicts) if verdict is None]
        pause = breaker.pause(started)
        if going and pause > 0:
            for position in going:
                verdicts[position] = retry(pause, reason="the destination is down")._replace(tried=False)
        elif going:
            probing = breaker.open
            answers = sent(route, [chunk[position].hit for position in going])
            breaker.heard(answers, started=started, now=self._monotonic())
            now, jitter = self._clock(), self._uniform(0.0, 1.0)
            pause = breaker.pause(self._monotonic())
            for position, answer in zip(going, answers, strict=True):
                verdict = decide(route, chunk[position], answer, now, durable=True, jitter=jitter, probing=probing)
                if verdict.state == "retry":
                    verdict = verdict._replace(after=max(verdict.after or 0.0, pause))
                verdicts[position] = verdict
        return [self._tell(destination, entry, verdict, last) for entry, verdict in zip(chunk, verdicts, strict=True)]

    def _tell(self, destination: _Destination, entry: Entry, verdict: Verdict | None, last: bool) -> Verdict | None:
        assert verdict is not None
        to, observer = entry.to, destination.route.observer
        state: State
        if verdict.state == "retry":
            if not last:
                observer.retried(to, entry.hit, verdict)
                destination.complaints.about(to, "retried", verdict.reason)
                return verdict
            state = "dropped"
        else:
            state = verdict.state
        # Counted when it ends: until then it belongs to the broker, not to this process.
        observer.accepted(to)
        observer.settled(to, entry.hit, state, verdict.reason)
        if state not in ("delivered", "unconfirmed"):
            destination.complaints.about(to, state, verdict.reason)
        return None


def _requeued(entry: Entry, *, tried: bool) -> dict[str, Any]:
    return {
        "v": 1,
        "to": entry.to,
        "hit": entry.hit.to_dict(),
        "attempts": entry.attempts + tried,
        "since": entry.since,
    }


#: The routes of the providers that this process has made, by name: what a task's ``to`` means here.
_known: dict[str, Route] = {}
_shared: dict[str, CeleryDelivery] = {}
_inherited: list[Any] = []
_tasks = _Tasks()
_brokers: dict[int, _Broker] = {}


@shared_task(  # type: ignore[untyped-decorator]  # Celery has no types
    bind=True,
    name=TASK,
    # Acknowledged when done: what a killed worker held goes to another.
    acks_late=True,
    reject_on_worker_lost=True,
    max_retries=None,
    ignore_result=True,
    serializer="json",
)
def _deliver(task: Any, entries: list[dict[str, Any]]) -> None:
    """Deliver a batch; what must wait becomes a later task before this one is acknowledged."""
    again, wait = _tasks.deliver(entries, last=bool(task.request.is_eager))
    if not again:
        return
    app = task.app
    # Redis gives a task that is not acknowledged in this time to another worker: waiting must end well before.
    visible = float((app.conf.broker_transport_options or {}).get("visibility_timeout", 3_600))
    came = task.request.delivery_info or {}
    exchange, key = came.get("exchange") or "", came.get("routing_key")
    # By the nameless exchange a routing key is a queue's name.
    back = {"exchange": exchange, "routing_key": key} if exchange else {"queue": key} if key else {}
    try:
        _brokers.setdefault(id(app), _Broker(app)).publish(again, countdown=min(max(wait, 0.1), visible / 2), **back)
    except Exception as error:  # noqa: BLE001 - as in CeleryDelivery._publish
        log.warning("a task goes back to the broker as it came: %s", type(error).__name__)
        raise Reject("not published", requeue=True) from None
